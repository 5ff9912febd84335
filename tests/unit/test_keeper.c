/* SPDX-License-Identifier: Apache-2.0 */
/* test_keeper.c - what is started again, when, and who does it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/up/keeper.h"

static void keeper_wants__what_nobody_has_ended(void **state)
{
	static const struct {
		const char *how;
		bool on_failure, always;
	} cases[] = {
		{ "crashed", true, true },   { "fault", true, true },
		{ "host", true, true },      { "power-off", false, true },
		{ "stopped", false, false }, { "killed", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(keeper_wants(SILL_RESTART_NO, cases[i].how));
		assert_int_equal(keeper_wants(SILL_RESTART_ON_FAILURE, cases[i].how),
				 cases[i].on_failure);
		assert_int_equal(keeper_wants(SILL_RESTART_ALWAYS, cases[i].how), cases[i].always);
	}
}

static void keeper_pause__doubles_up_to_a_minute(void **state)
{
	static const unsigned pauses[] = {
		500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000
	};
	unsigned last = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		last = keeper_pause(last, KEEPER_LONG_MS - 1);
		assert_int_equal(last, pauses[i]);
	}
	assert_int_equal(keeper_pause(last, KEEPER_LONG_MS), KEEPER_FIRST_MS);
}

/* The lock tells who it is, and goes with the process; who ends it finds nobody afterwards. */
static void keeper_end__ends_the_one_of_this_name(void **state)
{
	char dir[] = "/tmp/sill-keeper-XXXXXX";
	struct sill_err e = { 0 };
	int ends[2], status;
	pid_t pid;
	char byte;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(setenv("SILL_RUNTIME_DIR", dir, 1), 0);
	assert_int_equal(keeper_of("web"), 0);
	keeper_end("web");
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		if (keeper_begin("web", &e) < 0 || write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(keeper_of("web"), pid);
	assert_int_equal(keeper_of("we"), 0);
	assert_int_equal(keeper_begin("web", &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	keeper_end("we");
	assert_int_equal(kill(pid, SIGSTOP), 0); /* one that stands still, too */
	keeper_end("web");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(keeper_of("web"), 0);
	assert_int_equal(rmdir(dir), 0); /* the file of the lock is gone as well */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeper_wants__what_nobody_has_ended),
		cmocka_unit_test(keeper_pause__doubles_up_to_a_minute),
		cmocka_unit_test(keeper_end__ends_the_one_of_this_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
