/* SPDX-License-Identifier: Apache-2.0 */
/* test_fmt.c - the form of sill fmt, and that nothing is lost on the way to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/fmt.h"
#include "runner/manifest/source.h"

static void is(const char *text, const char *want)
{
	const struct src_text src = { .name = "t", .text = text, .size = strlen(text) };
	const char *why = NULL;
	size_t n = 0;
	char *made = fmt_text(&src, &n, &why);

	if (made == NULL)
		fail_msg("%s", why != NULL ? why : "no memory");
	assert_string_equal(made, want);
	assert_int_equal(n, strlen(want));
	free(made);
}

static void fmt__indents_by_two(void **state)
{
	(void)state;
	is("a:\n      b: 1\n      c:\n       - d: 2\n         e:   3\n       -   f\n",
	   "a:\n  b: 1\n  c:\n    - d: 2\n      e: 3\n    - f\n");
	is("a:\n- b\n-\n  c: 1\n- - d\n  - e\n", "a:\n  - b\n  - c: 1\n  - - d\n    - e\n");
	is("a:   1\nb :  2\nc:\nd: ''\n", "a: 1\nb: 2\nc:\nd: ''\n");
}

static void fmt__spaces_braces_and_brackets(void **state)
{
	(void)state;
	is("a: {  b: 1,c: [1,2 , 3],d: }\n", "a: {b: 1, c: [1, 2, 3], d: }\n");
	/* Of several lines it stays as it was put there. */
	is("a:\n    - {b: 1,\n       c: 2}   # x\n", "a:\n  - {b: 1,\n     c: 2}  # x\n");
}

static void fmt__quotes_only_where_they_are_needed(void **state)
{
	(void)state;
	is("a: \"web\"\nb: 'on'\nc: '42'\nd: \"${x}\"\ne: ['a,b', 'c']\nf: 'a: b'\ng: 'null'\nh: "
	   "\"\\t\"\n",
	   "a: web\nb: 'on'\nc: '42'\nd: \"${x}\"\ne: ['a,b', c]\nf: 'a: b'\ng: 'null'\nh: "
	   "\"\\t\"\n");
}

/* What is no path without quotes (short.c) keeps them. */
static void fmt__keeps_the_quotes_of_paths_that_are_words(void **state)
{
	static const char *const words[] = { "none",     "enable", "enabled", "disable",
					     "Disabled", "auto",   "default" };
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		(void)snprintf(text, sizeof(text), "disk: [{path: '%s', format: raw}]\n", words[i]);
		is(text, text);
	}
}

static void fmt__keeps_comments_where_they_belong(void **state)
{
	(void)state;
	is("#head\n\n\n\na: 1 #one\nbb: 22    # two\n   #own\nc:   # key\n    # inner\n    d: 1\n"
	   "    # end\n# next\ne:  # before\n  1\n#last\n",
	   "#head\n\na: 1    #one\nbb: 22  # two\n#own\nc:  # key\n  # inner\n  d: 1\n  # end\n"
	   "# next\ne: 1  # before\n#last\n");
	is("a: 'b # c'   #d\n", "a: 'b # c'  #d\n");
	is("- # x\n  a: 1 # y\n", "# x\n- a: 1  # y\n");
}

static void fmt__keeps_documents_anchors_and_texts(void **state)
{
	(void)state;
	is("--- # one\na: &x\n   b: 1\nc:   *x\n---\n\n\nd: &y 2\n",
	   "---  # one\na: &x\n  b: 1\nc: *x\n---\n\nd: &y 2\n");
	is("a:\n    b: |\n      x\n       y\n\n      z  \n\n\nc: >-\n   w\n",
	   "a:\n  b: |\n    x\n     y\n\n    z  \n\nc: >-\n   w\n");
	is("a: \"x\n   y\"\nb: x\n   y\n", "a: \"x\n   y\"\nb: x\n   y\n");
	is("a: 1\r\nb: |\r\n  x\r\n", "a: 1\nb: |\n  x\n");
}

/* ---- everything there is ---- */

static size_t formatted, left;

/* Each line that is a comment alone is in @made, in this order. */
static void has_comments(const char *text, const char *made)
{
	for (const char *s = text; s != NULL && *s != '\0';) {
		const char *begin = s + strspn(s, " "), *nl = strchr(s, '\n');
		size_t n = nl != NULL ? (size_t)(nl - begin) : strlen(begin);

		while (n > 0 && strchr(" \r", begin[n - 1]) != NULL)
			n--;
		if (*begin == '#') {
			made = memmem(made, strlen(made), begin, n);
			if (made == NULL)
				fail_msg("'%.*s' is lost", (int)n, begin);
			made += n;
		}
		s = nl != NULL ? nl + 1 : NULL;
	}
}

/* What is YAML is formatted, and says the same by the checks of fmt_text() itself. */
static void try(const char *text, size_t size, bool whole)
{
	struct source *s = calloc(1, sizeof(*s));
	struct arena a = { 0 };
	struct diags d = { 0 };
	const char *why = NULL;
	char *made;
	size_t n = 0;

	assert_non_null(s);
	if (source_set(s, "t", text, size, &a, &d) == 0 && source_parse(s, &a, &d) == 0 &&
	    d.total == 0) {
		made = fmt_text(&s->src, &n, &why);
		assert_true(made != NULL || why != NULL);
		left += made == NULL;
		formatted += made != NULL;
		/* Keys that are no single values are mistakes in every manifest. */
		if (made == NULL && whole && strstr(text, "\n? ") == NULL)
			fail_msg("%s:\n%.*s", why, (int)size, text);
		if (made != NULL && whole)
			has_comments(s->src.text, made);
		free(made);
	}
	diags_fini(&d);
	arena_fini(&a);
	free(s);
}

static void fmt__loses_nothing_of_any_manifest(void **state)
{
	static const char *const places[] = { "examples/*.yaml", "tests/manifest/*.yaml",
					      "tests/manifest/bases/*.yaml" };
	static char text[SOURCE_BYTES];
	glob_t g;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_int_equal(glob(places[i], 0, NULL, &g), 0);
		for (size_t k = 0; k < g.gl_pathc; k++) {
			FILE *f = fopen(g.gl_pathv[k], "re");
			size_t n;

			assert_non_null(f);
			n = fread(text, 1, sizeof(text) - 1, f);
			text[n] = '\0';
			(void)fclose(f);
			try(text, n, true);
			/* With a slip: a character less, a blank more. */
			for (size_t at = k % 7; n < 2000 && at < n; at += 7) {
				char was = text[at];

				memmove(text + at, text + at + 1, n - at);
				try(text, n - 1, false);
				memmove(text + at + 1, text + at, n - at);
				text[at] = ' ';
				try(text, n, false);
				text[at] = was;
			}
		}
		globfree(&g);
	}
	assert_true(formatted > 1000);
	if (left * 20 > formatted)
		fail_msg("%zu of %zu are left as they are", left, formatted + left);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fmt__indents_by_two),
		cmocka_unit_test(fmt__spaces_braces_and_brackets),
		cmocka_unit_test(fmt__quotes_only_where_they_are_needed),
		cmocka_unit_test(fmt__keeps_the_quotes_of_paths_that_are_words),
		cmocka_unit_test(fmt__keeps_comments_where_they_belong),
		cmocka_unit_test(fmt__keeps_documents_anchors_and_texts),
		cmocka_unit_test(fmt__loses_nothing_of_any_manifest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
