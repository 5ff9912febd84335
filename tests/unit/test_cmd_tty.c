/* SPDX-License-Identifier: Apache-2.0 */
/* test_cmd_tty.c - the terminal is what it was, whichever way the process ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "runner/host/tty.h"

/* A terminal whose slave is the standard input of a child with a session of its own. */
struct terminal {
	int master, slave;
	struct termios before;
	pid_t child;
};

static void open_terminal(struct terminal *t)
{
	char name[64];

	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(t->master >= 0);
	assert_int_equal(grantpt(t->master), 0);
	assert_int_equal(unlockpt(t->master), 0);
	assert_int_equal(ptsname_r(t->master, name, sizeof(name)), 0);
	t->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(t->slave >= 0);
	assert_int_equal(tcgetattr(t->slave, &t->before), 0);
}

static bool is_raw(const struct terminal *t)
{
	struct termios now;

	assert_int_equal(tcgetattr(t->slave, &now), 0);
	return (now.c_lflag & (ICANON | ECHO | ISIG)) == 0;
}

static bool is_as_before(const struct terminal *t)
{
	struct termios now;

	assert_int_equal(tcgetattr(t->slave, &now), 0);
	return now.c_lflag == t->before.c_lflag && now.c_iflag == t->before.c_iflag &&
	       now.c_oflag == t->before.c_oflag && now.c_cflag == t->before.c_cflag &&
	       memcmp(now.c_cc, t->before.c_cc, sizeof(now.c_cc)) == 0;
}

static void close_terminal(struct terminal *t)
{
	(void)close(t->slave);
	(void)close(t->master);
}

static int ignored; /* a signal that the child was born ignoring; 0: none */

/* In the child: take the terminal, enter raw mode, say so, do @end. Never returns. */
static void child(const struct terminal *t, int ready, void (*end)(void))
{
	static const int defaults[] = { SIGSEGV, SIGBUS, SIGILL,  SIGFPE,
					SIGABRT, SIGSYS, SIGTRAP, SIGQUIT };
	struct sill_err e = { 0 };

	/* cmocka catches some; a shell that put us into the background ignores SIGQUIT. */
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		(void)signal(defaults[i], SIG_DFL);
	(void)setsid();
	(void)ioctl(t->slave, TIOCSCTTY, 0);
	(void)dup2(t->slave, STDIN_FILENO);
	if (ignored != 0)
		(void)signal(ignored, SIG_IGN);
	if (tty_check("serial.mode", &e) < 0 || tty_enter(&e) < 0)
		_exit(99);
	(void)!write(ready, "x", 1);
	end();
	_exit(98);
}

static void start(struct terminal *t, void (*end)(void))
{
	int ready[2];
	char c;

	open_terminal(t);
	assert_int_equal(pipe(ready), 0);
	t->child = fork();
	assert_true(t->child >= 0);
	if (t->child == 0)
		child(t, ready[1], end);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void wait_for_a_signal(void)
{
	for (;;)
		(void)pause();
}

static void call_exit(void)
{
	exit(0); /* NOLINT(concurrency-mt-unsafe) */
}

static void fault(void)
{
	volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*page = 1;
}

static int end_of(struct terminal *t)
{
	int status;

	assert_int_equal(waitpid(t->child, &status, 0), t->child);
	return status;
}

static void tty_leave__after_exit(void **state)
{
	struct terminal t;

	(void)state;
	start(&t, call_exit);
	assert_int_equal(WEXITSTATUS(end_of(&t)), 0);
	assert_true(is_as_before(&t));
	close_terminal(&t);
}

static void tty_leave__after_every_fatal_signal(void **state)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL,  SIGFPE,
				     SIGABRT, SIGSYS, SIGTRAP, SIGQUIT };

	(void)state;
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		struct terminal t;
		int status;

		start(&t, wait_for_a_signal);
		assert_true(is_raw(&t));
		assert_int_equal(kill(t.child, fatal[i]), 0);
		status = end_of(&t);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), fatal[i]);
		assert_true(is_as_before(&t));
		close_terminal(&t);
	}
}

static void tty_enter__leaves_an_ignored_signal_ignored(void **state)
{
	struct terminal t;
	int status;

	(void)state;
	ignored = SIGQUIT;
	start(&t, wait_for_a_signal);
	ignored = 0;
	assert_int_equal(kill(t.child, SIGQUIT), 0);
	assert_int_equal(kill(t.child, SIGKILL), 0);
	status = end_of(&t);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_true(is_raw(&t)); /* nobody left it */
	close_terminal(&t);
}

static void tty_leave__after_abort_and_a_real_fault(void **state)
{
	static void (*const ends[])(void) = { abort, fault };
	static const int signals[] = { SIGABRT, SIGSEGV };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct terminal t;
		int status;

		start(&t, ends[i]);
		status = end_of(&t);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		assert_true(is_as_before(&t));
		close_terminal(&t);
	}
}

static void tty_check__wants_a_terminal(void **state)
{
	struct sill_err e = { 0 };
	int keep = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(dup2(null, STDIN_FILENO) == STDIN_FILENO);
	assert_int_equal(tty_check("serial.mode", &e), -1);
	assert_non_null(strstr(e.msg, "serial.mode is tty, but"));
	assert_true(e.hint[0] != '\0');
	if (keep >= 0)
		assert_true(dup2(keep, STDIN_FILENO) == STDIN_FILENO);
	(void)close(keep);
	(void)close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tty_leave__after_exit),
		cmocka_unit_test(tty_leave__after_every_fatal_signal),
		cmocka_unit_test(tty_enter__leaves_an_ignored_signal_ignored),
		cmocka_unit_test(tty_leave__after_abort_and_a_real_fault),
		cmocka_unit_test(tty_check__wants_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
