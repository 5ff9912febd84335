/* SPDX-License-Identifier: Apache-2.0 */
/* test_text.c - what others have written, as it goes to a terminal and to a unit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runner/report/text.h"

/* How many bytes are done with; @ret is what was written. */
static size_t pass(const char *s, size_t n, bool all, char **ret)
{
	size_t size = 0, done;
	FILE *f = open_memstream(ret, &size);

	assert_non_null(f);
	done = text_pass(f, s, n, all);
	assert_int_equal(fclose(f), 0);
	return done;
}

static void check(const char *s, size_t n, bool all, size_t done, const char *want)
{
	char *got = NULL;

	assert_int_equal(pass(s, n, all, &got), done);
	assert_string_equal(got, want);
	free(got);
}

static void text_pass__escapes_what_a_terminal_would_obey(void **state)
{
	(void)state;
	check("a\tb\r\nc\n", 7, true, 7, "a\tb\nc\n");
	check("\x1b]0;x\a\xc2\x9b\0\r.", 11, true, 11, "\\x1b]0;x\\x07\\xc2\\x9b\\x00\\x0d.");
	check("\xc3\xa4\xff", 3, true, 3, "\xc3\xa4\\xff");
	check("", 0, true, 0, "");
}

static void text_pass__cuts_nothing(void **state)
{
	static char line[64 * 1024 + 1];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	check(line, sizeof(line) - 1, true, sizeof(line) - 1, line);
}

static void text_pass__waits_for_the_other_half(void **state)
{
	(void)state;
	check("a\xc3", 2, false, 1, "a");
	check("a\r", 2, false, 1, "a");
	check("a\xc3", 2, true, 2, "a\\xc3");
	check("a\r", 2, true, 2, "a\\x0d");
}

static void text_unit_value__is_read_back_as_it_was(void **state)
{
	char *got = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&got, &size);

	(void)state;
	assert_non_null(f);
	text_unit_value(f, "/a \"b\" 100%i\\c\n\x7f\xc3\xa4'$");
	assert_int_equal(fclose(f), 0);
	assert_string_equal(got, "/a \\\"b\\\" 100%%i\\\\c\\x0a\\x7f\xc3\xa4'$");
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_pass__escapes_what_a_terminal_would_obey),
		cmocka_unit_test(text_pass__cuts_nothing),
		cmocka_unit_test(text_pass__waits_for_the_other_half),
		cmocka_unit_test(text_unit_value__is_read_back_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
