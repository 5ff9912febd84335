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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_sys__a_long_path_does_not_push_the_reason_out),
		cmocka_unit_test(err_sys__the_first_one_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
