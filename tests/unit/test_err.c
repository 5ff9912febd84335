/* SPDX-License-Identifier: Apache-2.0 */
/* test_err.c - what is left of an error when its parts are long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

static void err_sys__a_long_path_does_not_push_the_reason_out(void **state)
{
	static const char reason[] = ": No space left on device";
	char path[4096];

	(void)state;
	(void)memset(path, 'p', sizeof(path));
	for (size_t n = 0; n < sizeof(path); n += n < 512 ? 1 : 512) {
		struct sill_err e = { 0 };
		size_t len;

		assert_int_equal(sill_err_sys(&e, ENOSPC, "write '%.*s' at 0", (int)n, path), -1);
		len = strlen(e.msg);
		assert_true(len < sizeof(e.msg) && len >= strlen(reason));
		assert_string_equal(e.msg + len - strlen(reason), reason);
	}
}

static void err_sys__the_first_one_counts(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	(void)sill_err_sys(&e, ENOSPC, "a");
	(void)sill_err_sys(&e, EIO, "b");
	assert_string_equal(e.msg, "a: No space left on device");
	assert_int_equal(e.sys, ENOSPC);
}

/* Names from images and hosts, and what a terminal makes of them. */
static void err__is_printable_whatever_is_in_it(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a\033[31mb\n", "a\\x1b[31mb\\x0a" },
		{ "\x7f \xc2\x9b \xff", "\\x7f \\xc2\\x9b \\xff" },
		{ "\xe2\x80\xae \xe2\x81\xa6", "\\xe2\\x80\\xae \\xe2\\x81\\xa6" },
		{ "\xc0\x80 \xed\xa0\x80", "\\xc0\\x80 \\xed\\xa0\\x80" },
		{ "\xe4\xb8\xad \xc3\xa9 \xf0\x9f\x90\xa7",
		  "\xe4\xb8\xad \xc3\xa9 \xf0\x9f\x90\xa7" },
		{ "\xe4\xb8", "\\xe4\\xb8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sill_err e = { 0 }, sys = { 0 };

		(void)sill_err_set(&e, SILL_ERR_HOST, "%s", cases[i].in);
		assert_string_equal(e.msg, cases[i].out);
		(void)sill_err_hint(&e, "%s", cases[i].in);
		assert_string_equal(e.hint, cases[i].out);
		(void)sill_err_sys(&sys, EIO, "x");
		sill_err_wrap(&sys, "%s", cases[i].in);
		assert_int_equal(strncmp(sys.msg, cases[i].out, strlen(cases[i].out)), 0);
	}
	/* What a full buffer cuts in the middle of a character is not half shown. */
	for (size_t n = 250; n < 256; n++) {
		struct sill_err e = { 0 };
		char text[300];

		(void)memset(text, 'p', n);
		memcpy(text + n, "\xe4\xb8\xad\xe4\xb8\xad", 7);
		(void)sill_err_set(&e, SILL_ERR_HOST, "%s", text);
		assert_null(strchr(e.msg, '\\'));
		assert_int_equal((strlen(e.msg) - n) % 3, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_sys__a_long_path_does_not_push_the_reason_out),
		cmocka_unit_test(err_sys__the_first_one_counts),
		cmocka_unit_test(err__is_printable_whatever_is_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
