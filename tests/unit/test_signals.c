/* SPDX-License-Identifier: Apache-2.0 */
/* test_signals.c - whatever signal comes from outside, the VM lives or ends in order, and can be stopped. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runner/host/signals.h"
#include "vm/vcpu.h"

enum { LIMIT_MS = 20000 };

static int stop_fd = -1, resume_fd = -1;

/* The VM, as far as signals.c knows it. */
void sill_vm_stop(struct sill_vm *vm)
{
	const uint64_t one = 1;

	(void)vm;
	(void)!write(stop_fd, &one, sizeof(one));
}

void sill_vm_ask_resume(struct sill_vm *vm)
{
	const uint64_t one = 1;

	(void)vm;
	(void)!write(resume_fd, &one, sizeof(one));
}

void sill_vm_console_resize(struct sill_vm *vm, uint16_t cols, uint16_t rows)
{
	(void)vm, (void)cols, (void)rows;
}

static unsigned once_ms;

static void once(void *ctx)
{
	(void)ctx;
	_exit(42);
}

/* In the child: what `sill run` does with signals around a VM that does nothing. */
static void run_vm(int ready, bool nohup)
{
	struct sill_err e = { 0 };
	uint64_t count;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		(void)signal(sig, SIG_DFL); /* cmocka's, and those of who started us */
	if (nohup)
		(void)signal(SIGHUP, SIG_IGN);
	if (once_ms != 0)
		signals_set_once(once_ms, once, NULL);
	stop_fd = eventfd(0, EFD_CLOEXEC);
	resume_fd = eventfd(0, EFD_CLOEXEC);
	if (signals_block(&e) < 0 || vcpu_prepare_signal(&e) < 0 ||
	    signals_start(NULL, false, &e) < 0)
		_exit(9);
	(void)!write(ready, "x", 1);
	while (read(stop_fd, &count, sizeof(count)) < 0)
		continue;
	signals_stop();
	_exit(signals_stopped_by());
}

static pid_t start_vm(bool nohup)
{
	int ready[2];
	pid_t child;
	char c;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		run_vm(ready[1], nohup);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return child;
}

/* The status, or -1 if it still runs after the limit. */
static int wait_for(pid_t child)
{
	int status = -1;

	for (unsigned i = 0; i < LIMIT_MS; i++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		(void)poll(NULL, 0, 1);
	}
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	return -1;
}

enum fate { LIVES, STOPS, DIES };

/* What signals.h says of @sig. */
static enum fate fate_of(int sig)
{
	static const int stops[] = { SIGTERM,   SIGINT,  SIGHUP,  SIGALRM,
				     SIGVTALRM, SIGPROF, SIGXCPU, SIGPWR };
	/* Of a fault: tty.c's, which leaves the terminal. 32 and 33 are the C library's. */
	static const int dies[] = { SIGKILL, SIGQUIT, SIGSEGV, SIGBUS, SIGILL, SIGFPE,
				    SIGABRT, SIGTRAP, SIGSYS,  32,     33 };

	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		if (stops[i] == sig)
			return STOPS;
	}
	for (size_t i = 0; i < sizeof(dies) / sizeof(dies[0]); i++) {
		if (dies[i] == sig)
			return DIES;
	}
	return LIVES;
}

/* A thing to do once has its time, also when signals come meanwhile, and does not come after the end. */
static void signals_set_once__is_done_once_and_not_after_the_end(void **state)
{
	pid_t child;
	int status;

	(void)state;
	once_ms = 50;
	child = start_vm(false);
	(void)kill(child, SIGWINCH);
	status = wait_for(child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	once_ms = 3600 * 1000;
	child = start_vm(false);
	assert_int_equal(kill(child, SIGTERM), 0);
	status = wait_for(child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SIGTERM);
	once_ms = 0;
}

static void signals__after_any_of_them_sigterm_ends_the_vm(void **state)
{
	(void)state;
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		const enum fate fate = fate_of(sig);
		const pid_t child = start_vm(false);
		int status, want = fate == STOPS ? sig : SIGTERM;

		if (fate == DIES) {
			assert_int_equal(kill(child, SIGKILL), 0);
			assert_true(wait_for(child) >= 0);
			continue;
		}
		assert_int_equal(kill(child, sig), 0);
		if (sig == SIGSTOP || sig == SIGTSTP) {
			assert_int_equal(waitpid(child, &status, WUNTRACED), child);
			assert_true(WIFSTOPPED(status));
			assert_int_equal(kill(child, SIGCONT), 0);
		}
		if (fate == LIVES)
			assert_int_equal(kill(child, SIGTERM), 0);
		status = wait_for(child);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
			print_error("signal %d: status %x, want an exit with %d\n", sig, status,
				    want);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), want);
	}
}

/* Strays between two that count: each of them still does. */
static void signals__many_strays_lose_nothing(void **state)
{
	const pid_t child = start_vm(false);
	int status;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		(void)kill(child, SIGUSR1);
		(void)kill(child, SIGUSR2);
		(void)kill(child, SIGRTMIN);
		(void)kill(child, SIGCONT);
	}
	assert_int_equal(kill(child, SIGINT), 0);
	status = wait_for(child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SIGINT);
}

static void signals__nohup_survives_the_terminal(void **state)
{
	const pid_t child = start_vm(true);
	int status;

	(void)state;
	assert_int_equal(kill(child, SIGHUP), 0);
	assert_int_equal(kill(child, SIGTERM), 0);
	status = wait_for(child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_set_once__is_done_once_and_not_after_the_end),
		cmocka_unit_test(signals__after_any_of_them_sigterm_ends_the_vm),
		cmocka_unit_test(signals__many_strays_lose_nothing),
		cmocka_unit_test(signals__nohup_survives_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
