/* SPDX-License-Identifier: Apache-2.0 */
/* test_report.c - text from outside, widths, and the picture with the caret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/diag.h"
#include "runner/report/json.h"
#include "runner/report/lookalike.h"
#include "runner/report/pace.h"
#include "runner/report/text.h"

static void utf8_next__refuses_what_is_not_utf8(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x80\x80",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xc3",
		"\xe2\x82",
		"\xc3(",
		"\xff",
	};
	uint32_t c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(utf8_next(bad[i], strlen(bad[i]), &c), 0);
	assert_int_equal(utf8_next("\xe2\x82\xac", 3, &c), 3);
	assert_int_equal(c, 0x20ac);
	assert_int_equal(utf8_next("\xf4\x8f\xbf\xbf", 4, &c), 4);
	assert_int_equal(c, 0x10ffff);
	assert_int_equal(utf8_next("", 0, &c), 0);
}

static void utf8_width__knows_wide_and_combining(void **state)
{
	(void)state;
	assert_int_equal(utf8_width('a'), 1);
	assert_int_equal(utf8_width(0x65e5), 2);
	assert_int_equal(utf8_width(0x0301), 0);
	assert_int_equal(utf8_width(0x1f600), 2);
	assert_int_equal(utf8_width('\a'), 0);
}

static void __attribute__((format(printf, 4, 5)))
say(FILE *f, const char *begin, const char *end, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vsay(f, begin, end, fmt, ap);
	va_end(ap);
}

/* What stands around a line is ours; all that is in it is not. */
static void text_vsay__cleans_the_line_alone(void **state)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	assert_non_null(f);
	say(f, "\r\nsill: ", "\r\n", "'%s'", "a\033[2J\r\nb");
	text_say(f, "%s", "x\n");
	(void)fclose(f);
	assert_string_equal(text, "\r\nsill: 'a\\x1b[2J\\x0d\\x0ab'\r\nx\\x0a\n");
	free(text);
}

/* Five at once, then one in ten seconds; what was left out is counted. */
static void pace__lets_a_few_through_and_counts_the_rest(void **state)
{
	const uint64_t start = 123456789;
	struct pace p = { 0 };
	unsigned dropped = 0, said = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		said += pace_allows(&p, start + (uint64_t)i, &dropped);
	assert_int_equal(said, 5);
	assert_true(pace_allows(&p, start + 10100, &dropped));
	assert_int_equal(dropped, 995);
	assert_false(pace_allows(&p, start + 10200, &dropped));
	/* An hour without any: as at the beginning. */
	said = 0;
	for (int i = 0; i < 10; i++)
		said += pace_allows(&p, start + 3600000, &dropped);
	assert_int_equal(said, 5);
}

static void text_clean__escapes_and_cuts(void **state)
{
	char buf[16], tiny[4];

	(void)state;
	assert_string_equal(text_clean(buf, sizeof(buf), "a\033[0m", 5), "a\\x1b[0m");
	assert_string_equal(text_clean(buf, sizeof(buf), "0123456789abcdef", 16),
			    "0123456789ab...");
	assert_string_equal(text_clean(buf, sizeof(buf), "0123456789abcde", 15), "0123456789abcde");
	assert_string_equal(text_clean(buf, sizeof(buf), "x\xffy", 3), "x\\xffy");
	assert_string_equal(text_clean(tiny, sizeof(tiny), "abcdef", 6), "...");
}

static void text_distance__counts_edits(void **state)
{
	unsigned d;

	(void)state;
	assert_int_equal(text_distance("memory", "memory"), 0);
	assert_int_equal(text_distance("memroy", "memory"), 1);
	assert_int_equal(text_distance("", "abc"), 3);
	assert_int_equal(text_distance("kitten", "sitting"), 3);
	assert_true(text_similar("Memory", "memory", &d));
	assert_int_equal(d, 0);
	assert_false(text_similar("size", "sill", &d));
	assert_false(text_similar("frobnicate", "memory", &d));
}

static char *drawn(const struct src_text *src, struct mark at, const char *hint)
{
	struct diags *d = calloc(1, sizeof(*d));
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	assert_non_null(d);
	assert_non_null(f);
	d->src = src;
	diag_hint(diag_add(d, at, "disk[1].size", "'%d' has no unit", 20), "%s", hint);
	diags_print(f, d, false);
	(void)fclose(f);
	diags_fini(d);
	free(d);
	return out;
}

static void diags_print__is_the_house_style(void **state)
{
	static const char text[] = "a: 1\n    size: 20\n";
	const struct src_text src = { "web.yaml", text, sizeof(text) - 1, NULL };
	char *out = drawn(&src, (struct mark){ 2, 11, 2, NULL }, "write 20G or 20GiB");

	(void)state;
	assert_string_equal(out, "web.yaml:2:11: disk[1].size: '20' has no unit\n"
				 "    2 |     size: 20\n"
				 "      |           ^~\n"
				 "   hint: write 20G or 20GiB\n");
	free(out);
}

static void diags_print__counts_characters_and_draws_columns(void **state)
{
	static const char text[] = "\tx\xcc\x81: \xe6\x97\xa5 20";
	const struct src_text src = { "w", text, sizeof(text) - 1, NULL };
	char *out = drawn(&src, (struct mark){ 1, 11, 2, NULL }, "");

	(void)state;
	assert_string_equal(out, "w:1:8: disk[1].size: '20' has no unit\n"
				 "    1 |         x\xcc\x81: \xe6\x97\xa5 20\n"
				 "      |               ^~\n");
	free(out);
}

static void diags_print__survives_places_outside_the_text(void **state)
{
	const struct src_text src = { "w", "ab", 2, NULL };
	static const struct mark marks[] = {
		{ 1, 3, 1, NULL },  { 1, 100, 100, NULL }, { 2, 1, 1, NULL },
		{ 99, 1, 1, NULL }, { 0, 0, 0, NULL },     { 1, 1, 4000000000u, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		char *out = drawn(&src, marks[i], "");

		assert_in_range(strlen(out), 10, 400);
		free(out);
	}
}

static void diag_add__counts_beyond_the_limit(void **state)
{
	struct diags *d = calloc(1, sizeof(*d));
	const struct src_text src = { "w", "", 0, NULL };

	(void)state;
	assert_non_null(d);
	d->src = &src;
	for (unsigned i = 0; i < DIAGS_MAX + 5; i++)
		diag_hint(diag_add(d, (struct mark){ DIAGS_MAX + 5 - i, 1, 1, NULL }, NULL, "m"),
			  "h");
	assert_int_equal(d->count, DIAGS_MAX);
	assert_int_equal(d->total, DIAGS_MAX + 5);
	diags_sort(d);
	for (size_t i = 1; i < d->count; i++)
		assert_true(d->list[i - 1].at.line < d->list[i].at.line);
	diags_fini(d);
	free(d);
}

static void diags_json__has_the_same_fields(void **state)
{
	struct diags *d = calloc(1, sizeof(*d));
	const struct src_text src = { "w\xff", "", 0, NULL };
	struct diag *g;
	json_t *list;
	const json_t *o;

	(void)state;
	assert_non_null(d);
	d->src = &src;
	g = diag_add(d, (struct mark){ 3, 4, 1, NULL }, "a.b", "wrong");
	diag_hint(g, "do this");
	diag_other(g, (struct mark){ 1, 2, 1, NULL }, "there");
	list = diags_json(d);
	o = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(o, "file")), "w\\xff");
	assert_int_equal(json_integer_value(json_object_get(o, "line")), 3);
	assert_int_equal(json_integer_value(json_object_get(o, "column")), 4);
	assert_string_equal(json_string_value(json_object_get(o, "path")), "a.b");
	assert_string_equal(json_string_value(json_object_get(o, "message")), "wrong");
	assert_string_equal(json_string_value(json_object_get(o, "hint")), "do this");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "other"), "line")),
			 1);
	json_decref(list);
	diags_fini(d);
	free(d);
}

static void lookalike__knows_what_it_looks_like(void **state)
{
	static const struct {
		uint32_t c;
		enum look look;
		const char *like, *name;
	} some[] = {
		{ 0x00a0, LOOK_BLANK, " ", "U+00A0 NO-BREAK SPACE" },
		{ 0x00ad, LOOK_HIDDEN, "", "U+00AD SOFT HYPHEN" },
		{ 0x200b, LOOK_HIDDEN, "", "U+200B ZERO WIDTH SPACE" },
		{ 0x2013, LOOK_MARK, "-", "U+2013 EN DASH" },
		{ 0x201c, LOOK_MARK, "\"", "U+201C LEFT DOUBLE QUOTATION MARK" },
		{ 0x0430, LOOK_LETTER, "a", "U+0430 CYRILLIC SMALL LETTER A" },
		{ 0xff1a, LOOK_MARK, ":", "U+FF1A FULLWIDTH COLON" },
		{ 0xff12, LOOK_LETTER, "2", "U+FF12 FULLWIDTH DIGIT TWO" },
		{ 0xff41, LOOK_LETTER, "a", "U+FF41 FULLWIDTH LATIN SMALL LETTER A" },
		{ 0xe0041, LOOK_HIDDEN, "", "U+E0041 TAG" },
	};
	static const char plain[] = "abc \xc3\xa4 \xe6\x97\xa5 \xf0\x9f\x98\x80";
	struct lookalike l;

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		assert_true(lookalike_find(some[i].c, &l));
		assert_int_equal(l.look, some[i].look);
		assert_string_equal(l.like, some[i].like);
		assert_string_equal(l.name, some[i].name);
	}
	for (uint32_t c = 0; c < 0xa0; c++)
		assert_false(lookalike_find(c, &l));
	/* The rows are in order: each is found, and has a name and a likeness that fit. */
	for (uint32_t c = 0xa0; c < 0x110000; c++) {
		if (!lookalike_find(c, &l))
			continue;
		assert_int_equal(strlen(l.like), l.look == LOOK_HIDDEN ? 0 : 1);
		assert_true(strlen(l.name) > strlen("U+0000 ") &&
			    strlen(l.name) < sizeof(l.name) - 1);
	}
	assert_int_equal(lookalike_in(plain, sizeof(plain) - 1, ~0u, &l), sizeof(plain) - 1);
}

static void lookalike_in__leaves_joiners_where_they_join(void **state)
{
	static const char emoji[] = "\xe2\x98\x81\xef\xb8\x8f"; /* a cloud, variation selector 16 */
	static const char letter[] = "a\xe2\x80\x8d"
				     "b"; /* a zero width joiner */
	static const char twice[] = "\xe2\x80\x8b\xe2\x80\x8b";
	char dst[16];
	struct lookalike l;

	(void)state;
	assert_int_equal(lookalike_in(emoji, 6, LOOK_HIDDEN, &l), 6);
	assert_int_equal(lookalike_in(letter, 5, LOOK_HIDDEN, &l), 1);
	assert_int_equal(l.c, 0x200d);
	assert_int_equal(lookalike_in(letter, 5, LOOK_BLANK, &l), 5);
	assert_int_equal(lookalike_in(twice, 6, LOOK_HIDDEN, &l), 0);
	assert_string_equal(lookalike_plain(dst, sizeof(dst), letter, 5), "ab");
	assert_string_equal(lookalike_plain(dst, 3, "\xef\xbc\xa1\xef\xbc\xa1\xef\xbc\xa1", 9),
			    "AA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookalike__knows_what_it_looks_like),
		cmocka_unit_test(lookalike_in__leaves_joiners_where_they_join),
		cmocka_unit_test(utf8_next__refuses_what_is_not_utf8),
		cmocka_unit_test(utf8_width__knows_wide_and_combining),
		cmocka_unit_test(text_clean__escapes_and_cuts),
		cmocka_unit_test(text_vsay__cleans_the_line_alone),
		cmocka_unit_test(pace__lets_a_few_through_and_counts_the_rest),
		cmocka_unit_test(text_distance__counts_edits),
		cmocka_unit_test(diags_print__is_the_house_style),
		cmocka_unit_test(diags_print__counts_characters_and_draws_columns),
		cmocka_unit_test(diags_print__survives_places_outside_the_text),
		cmocka_unit_test(diag_add__counts_beyond_the_limit),
		cmocka_unit_test(diags_json__has_the_same_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
