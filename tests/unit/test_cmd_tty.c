/* SPDX-License-Identifier: Apache-2.0 */
/* test_cmd_tty.c - the terminal is what it was, whichever way the process ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/thread.h"
#include "runner/host/std.h"
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
	if (!tty_is_there() || !tty_in_foreground() || tty_enter(&e) < 0)
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

/* --- faults in a thread of the engine --- */

static void *do_write(void *ctx)
{
	(void)ctx;
	fault();
	return NULL;
}

static void *do_read_behind_a_file(void *ctx)
{
	FILE *f = tmpfile();
	volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(f), 0);
	char c = *page;

	(void)ctx, (void)c;
	return NULL;
}

static void *do_bad_instruction(void *ctx)
{
	(void)ctx;
	__asm__ volatile("ud2");
	return NULL;
}

static void *do_divide(void *ctx)
{
	(void)ctx;
	__asm__ volatile("xorl %%ecx, %%ecx; xorl %%edx, %%edx; movl $1, %%eax; divl %%ecx" ::
				 : "eax", "ecx", "edx");
	return NULL;
}

static void *do_breakpoint(void *ctx)
{
	(void)ctx;
	__asm__ volatile("int3");
	return NULL;
}

static void *do_abort(void *ctx)
{
	(void)ctx;
	abort();
}

static void *do_send_itself_sigsys(void *ctx)
{
	(void)ctx;
	(void)raise(SIGSYS);
	return NULL;
}

/* A call that the process has forbidden itself, as a sandbox does it. */
static void *do_forbidden_call(void *ctx)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	(void)ctx;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
	(void)getppid();
	return NULL;
}

/* It never ends, which the compiler does not know. */
static unsigned use_up_the_stack(volatile const unsigned *depth)
{
	volatile unsigned char frame[1024];
	volatile unsigned next = *depth + 1;

	frame[next % sizeof(frame)] = (unsigned char)next;
	if (next == UINT32_MAX)
		return 0;
	return use_up_the_stack(&next) + frame[next % sizeof(frame)];
}

static void *do_use_up_the_stack(void *ctx)
{
	const unsigned depth = 0;

	(void)ctx;
	return (void *)(uintptr_t)use_up_the_stack(&depth);
}

static void *(*thread_does)(void *ctx);

static void let_a_thread_do_it(void)
{
	pthread_t t;

	if (thread_create(&t, thread_does, NULL) == 0)
		(void)pthread_join(t, NULL);
	for (;;)
		(void)pause();
}

static void tty_leave__after_every_fault_in_an_engine_thread(void **state)
{
	static const struct {
		void *(*fn)(void *ctx);
		int sig;
	} faults[] = {
		{ do_write, SIGSEGV },
		{ do_read_behind_a_file, SIGBUS },
		{ do_bad_instruction, SIGILL },
		{ do_divide, SIGFPE },
		{ do_breakpoint, SIGTRAP },
		{ do_abort, SIGABRT },
		{ do_send_itself_sigsys, SIGSYS },
		{ do_forbidden_call, SIGSYS },
		{ do_use_up_the_stack, SIGSEGV },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct terminal t;
		int status;

		thread_does = faults[i].fn;
		start(&t, let_a_thread_do_it);
		status = end_of(&t);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != faults[i].sig)
			print_error("fault %zu: status %x, want signal %d\n", i, status,
				    faults[i].sig);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), faults[i].sig);
		assert_true(is_as_before(&t));
		close_terminal(&t);
	}
}

#if defined(__SANITIZE_ADDRESS__)
static void thread__a_sanitizer_says_what_it_found(void **state)
{
	static char said[1 << 16];
	size_t n = 0;
	ssize_t got;
	int out[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(out), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(out[1], STDERR_FILENO);
		(void)close(out[1]);
		/* Anew: cmocka has put its own handlers over the sanitizer's. */
		(void)execl("/proc/self/exe", "test_cmd_tty", "fault", NULL);
		_exit(99);
	}
	(void)close(out[1]);
	while (n < sizeof(said) - 1 && (got = read(out[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	(void)close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_non_null(strstr(said, "AddressSanitizer"));
	assert_non_null(strstr(said, "do_write"));
}
#endif

/* --- in the background --- */

/* In the child's child: a job behind its parent. It runs on; then the terminal is given to it. */
static void in_the_background(void)
{
	struct sill_err e = { 0 };

	(void)setpgid(0, 0);
	if (!tty_is_there() || tty_in_foreground() || tty_enter(&e) < 0 || !tty_waits())
		_exit(1);
	tty_again(); /* not ours yet */
	if (!tty_waits())
		_exit(2);
	(void)signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(STDIN_FILENO, getpgrp()) < 0)
		_exit(3);
	tty_again();
	_exit(tty_waits() ? 4 : 0); /* without leaving: the parent sees raw mode */
}

static void be_a_shell(void)
{
	const pid_t job = fork();
	int status;

	if (job == 0)
		in_the_background();
	(void)waitpid(job, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 9);
}

static void tty_enter__in_the_background_changes_nothing_until_it_is_ours(void **state)
{
	struct terminal t;

	(void)state;
	open_terminal(&t);
	t.child = fork();
	assert_true(t.child >= 0);
	if (t.child == 0) {
		(void)setsid();
		(void)ioctl(t.slave, TIOCSCTTY, 0);
		(void)dup2(t.slave, STDIN_FILENO);
		be_a_shell();
	}
	assert_int_equal(end_of(&t), 0);
	assert_true(is_raw(&t));
	close_terminal(&t);
}

/* A crash in the background does not touch the settings of the job in front. */
static void crash_in_the_background(void)
{
	struct sill_err e = { 0 };

	(void)setpgid(0, 0);
	(void)tty_enter(&e);
	abort();
}

static void be_a_shell_with_a_job_that_crashes(void)
{
	const pid_t job = fork();
	struct termios mine;
	int status;

	if (job == 0)
		crash_in_the_background();
	(void)waitpid(job, &status, 0);
	if (tcgetattr(STDIN_FILENO, &mine) < 0 || (mine.c_lflag & ICANON) != 0)
		_exit(1);
	_exit(0);
}

static void tty_leave__in_the_background_is_not_ours_to_do(void **state)
{
	struct terminal t;
	int status;

	(void)state;
	start(&t, be_a_shell_with_a_job_that_crashes); /* raw, as a line editor has it */
	status = end_of(&t);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close_terminal(&t);
}

static void tty_is_there__wants_a_terminal(void **state)
{
	int keep = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(dup2(null, STDIN_FILENO) == STDIN_FILENO);
	assert_false(tty_is_there());
	if (keep >= 0)
		assert_true(dup2(keep, STDIN_FILENO) == STDIN_FILENO);
	(void)close(keep);
	(void)close(null);
}

/* --- closed from the start --- */

static void std_fill__leaves_no_room_for_a_file(void **state)
{
	(void)state;
	for (unsigned closed = 0; closed < 8; closed++) {
		const pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0) {
			char c = 'x';

			for (int fd = 0; fd < 3; fd++)
				if ((closed >> fd & 1) != 0)
					(void)close(fd);
			if (std_fill() < 0 || open("/dev/zero", O_RDWR | O_CLOEXEC) < 3)
				_exit(1);
			/* As with a closed one: neither read nor written. */
			if ((closed & 1) != 0 && read(0, &c, 1) != -1)
				_exit(2);
			if ((closed & 2) != 0 && write(1, &c, 1) != -1)
				_exit(3);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tty_leave__after_exit),
		cmocka_unit_test(tty_leave__after_every_fatal_signal),
		cmocka_unit_test(tty_enter__leaves_an_ignored_signal_ignored),
		cmocka_unit_test(tty_leave__after_abort_and_a_real_fault),
		cmocka_unit_test(tty_leave__after_every_fault_in_an_engine_thread),
#if defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(thread__a_sanitizer_says_what_it_found),
#endif
		cmocka_unit_test(tty_enter__in_the_background_changes_nothing_until_it_is_ours),
		cmocka_unit_test(tty_leave__in_the_background_is_not_ours_to_do),
		cmocka_unit_test(tty_is_there__wants_a_terminal),
		cmocka_unit_test(std_fill__leaves_no_room_for_a_file),
	};

	if (argc > 1 && strcmp(argv[1], "fault") == 0) {
		thread_does = do_write;
		let_a_thread_do_it();
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
