/* SPDX-License-Identifier: Apache-2.0 */
/* test_qcow2_crash.c - a part of tests/image/qcow2_crash.c and qcow2_cross.c in every unit run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int crash_main(int argc, char **argv);
#define main crash_main
#include "tests/image/qcow2_crash.c"
#undef main

/* Sanitized builds are ten times slower: fewer rounds of the same kinds. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ROUNDS = 10 };
#else
enum { ROUNDS = 50 };
#endif

/* SILL_ROUNDS, in percent, for long runs. */
static void run(const char *what)
{
	const char *percent = getenv("SILL_ROUNDS");
	char count[24];
	char *argv[] = { (char *)(uintptr_t) "", (char *)(uintptr_t)what,
			 (char *)(uintptr_t) "1000", count, NULL };
	int status;

	(void)snprintf(count, sizeof(count), "%lu",
		       percent != NULL ? ROUNDS * strtoul(percent, NULL, 10) / 100 : ROUNDS);
	status = crash_main(4, argv);

	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

static void qcow2__survives_kills(void **state)
{
	(void)state;
	run("kill");
}

static void qcow2__survives_kills_with_many_in_flight(void **state)
{
	(void)state;
	run("many");
}

static void qcow2__survives_power_cuts(void **state)
{
	(void)state;
	run("drop");
}

static void qcow2__survives_failing_calls(void **state)
{
	(void)state;
	run("inject");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qcow2__survives_kills),
		cmocka_unit_test(qcow2__survives_kills_with_many_in_flight),
		cmocka_unit_test(qcow2__survives_power_cuts),
		cmocka_unit_test(qcow2__survives_failing_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
