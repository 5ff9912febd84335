/* SPDX-License-Identifier: Apache-2.0 */
/* test_escape.c - which keys are ours, and which the guest's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "runner/host/escape.h"

static int pressed[8];
static unsigned count;

static bool on_key(void *ctx, int key)
{
	(void)ctx;
	pressed[count++] = key;
	return key == 'b';
}

/* What the guest gets of @typed, which comes in one piece. */
static const char *left(struct escape *s, const char *typed)
{
	static uint8_t ret[64];

	ret[escape_keys(s, (const uint8_t *)typed, strlen(typed), ret)] = '\0';
	return (const char *)ret;
}

static void escape_keys__takes_ours_and_passes_others(void **state)
{
	struct escape s = { .fn = on_key };

	(void)state;
	count = 0;
	assert_string_equal(left(&s, "x\001b\001\001\001qy"), "x\001\001qy");
	assert_int_equal(count, 2);
	assert_int_equal(pressed[0], 'b');
	assert_int_equal(pressed[1], 'q');
}

/* The room it was promised is n + 1, and it takes no more. */
static void escape_keys__may_come_in_pieces(void **state)
{
	struct escape s = { .fn = on_key };
	uint8_t ret[3] = { 0, 0, 'e' };

	(void)state;
	count = 0;
	assert_string_equal(left(&s, "a\001"), "a");
	assert_string_equal(left(&s, "b!"), "!");
	assert_int_equal(count, 1);
	assert_string_equal(left(&s, "\001"), "");
	assert_int_equal(escape_keys(&s, (const uint8_t *)"q", 1, ret), 2);
	assert_memory_equal(ret, "\001qe", 3);
	assert_string_equal(left(&s, "\001"), "");
	assert_string_equal(left(&s, "\001"), "\001");
	assert_string_equal(left(&s, "b"), "b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escape_keys__takes_ours_and_passes_others),
		cmocka_unit_test(escape_keys__may_come_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
