/* SPDX-License-Identifier: Apache-2.0 */
/* test_chr_job.c - a serial port on a terminal that another job has: no stop, no read, later a keyboard. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "core/clock.h"

enum { LIMIT_MS = 20000 };

struct job {
	struct chr *chr;
	struct loop *loop;
	struct loop_timer tick;
	int tell;
};

/* Everything that the guest is given goes to the parent. */
static void pass_on(void *ctx)
{
	struct job *j = ctx;
	char got[64];
	size_t n;

	while ((n = chr_read(j->chr, got, sizeof(got))) > 0)
		(void)!write(j->tell, got, n);
}

/* The job: in a group of its own, behind whoever has the terminal. Runs until it is killed. */
static void run_job(int tell)
{
	struct chr_config c = {
		.mode = SILL_CHAR_TTY, .in_fd = dup(0), .out_fd = dup(1), .listen_fd = -1
	};
	struct job j = { .tell = tell };
	const struct chr_user u = { .readable = pass_on, .ctx = &j };
	struct sill_err e = { 0 };

	(void)setpgid(0, 0);
	(void)signal(SIGTTIN, SIG_IGN);
	(void)signal(SIGTTOU, SIG_IGN);
	j.loop = loop_create(&e);
	j.chr = j.loop != NULL ? chr_create("serial0", &c, j.loop, &e) : NULL;
	if (j.chr == NULL)
		_exit(9);
	chr_set_user(j.chr, &u);
	chr_write(j.chr, "hello\n", 6);
	(void)loop_run(j.loop, &e);
	_exit(8);
}

static pid_t leader_main(int slave, int tell, int order)
{
	pid_t job;
	char c;

	(void)setsid();
	(void)ioctl(slave, TIOCSCTTY, 0);
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(slave, fd);
	(void)signal(SIGTTOU, SIG_IGN);
	job = fork();
	if (job == 0)
		run_job(tell);
	(void)setpgid(job, job);
	/* As a shell: the terminal goes to the job when we are told to, and nobody sends a signal. */
	if (read(order, &c, 1) != 1 || tcsetpgrp(0, job) < 0)
		_exit(7);
	(void)!read(order, &c, 1);
	(void)kill(job, SIGKILL);
	(void)waitpid(job, NULL, 0);
	_exit(0);
}

/* Bytes of @fd until @want are there; how many came in LIMIT_MS. */
static size_t collect(int fd, char *got, size_t want)
{
	size_t n = 0;

	while (n < want) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		if (poll(&p, 1, LIMIT_MS) <= 0)
			break;
		r = read(fd, got + n, want - n);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	return n;
}

static void chr_tty__in_the_background_waits_for_its_turn(void **state)
{
	struct pollfd quiet;
	int master, slave, tell[2], order[2], status;
	struct termios raw;
	char got[16];
	pid_t leader;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	raw.c_lflag |= TOSTOP; /* who writes from the background would be stopped */
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	assert_int_equal(pipe(tell), 0);
	assert_int_equal(pipe(order), 0);
	leader = fork();
	assert_true(leader >= 0);
	if (leader == 0) {
		(void)close(master);
		(void)leader_main(slave, tell[1], order[0]);
	}
	(void)close(tell[1]);
	/* Output comes, though another job has the terminal. */
	assert_int_equal(collect(master, got, 6), 6);
	assert_memory_equal(got, "hello\n", 6);
	/* Keys are that job's: ours leaves them, and goes on. */
	assert_int_equal(write(master, "key", 3), 3);
	quiet = (struct pollfd){ .fd = tell[0], .events = POLLIN };
	assert_int_equal(poll(&quiet, 1, 700), 0);
	assert_int_equal(waitpid(leader, &status, WNOHANG | WUNTRACED), 0);
	/* In the foreground, without a signal. */
	assert_int_equal(write(order[1], "f", 1), 1);
	assert_int_equal(collect(tell[0], got, 3), 3);
	assert_memory_equal(got, "key", 3);
	assert_int_equal(write(order[1], "e", 1), 1);
	assert_int_equal(waitpid(leader, &status, 0), leader);
	assert_int_equal(status, 0);
	(void)close(master);
	(void)close(slave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chr_tty__in_the_background_waits_for_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
