/* SPDX-License-Identifier: Apache-2.0 */
/* test_socket.c - nobody removes the socket of a VM that listens, whoever comes and goes beside it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runner/host/socket.h"

enum { VMS = 4, LIVES = 150, CALLS = 5 };

static char dir[32], path[64];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/sill-socket-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/s.sock", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)rmdir(dir);
	return 0;
}

/* Who answers at the path: a process, or 0 for nobody; with errno EAGAIN others wait to be taken already. */
static pid_t who_answers(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);
	int err = 0;

	memcpy(at.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
	else
		err = errno;
	(void)close(fd);
	errno = err;
	return who.pid;
}

static void take_all(int fd)
{
	int client;

	while ((client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		(void)close(client);
}

static void socket_listen__answers_and_goes(void **state)
{
	struct sill_err e = { 0 };
	struct socket_name s;
	struct stat st;
	int fd;

	(void)state;
	fd = socket_listen(path, &s, &e);
	assert_true(fd >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(who_answers(), getpid());
	(void)close(fd);
	socket_remove(&s);
	assert_int_equal(stat(path, &st), -1);
	socket_remove(&s); /* nothing is left to remove */
}

static void socket_remove__leaves_the_socket_of_another_vm(void **state)
{
	struct socket_name first, second;
	struct sill_err e = { 0 };
	int a, b;

	(void)state;
	a = socket_listen(path, &first, &e);
	assert_true(a >= 0);
	assert_int_equal(unlink(path), 0); /* somebody takes it for a left-over */
	b = socket_listen(path, &second, &e);
	assert_true(b >= 0);
	(void)close(a);
	socket_remove(&first);
	assert_int_equal(who_answers(), getpid());
	(void)close(b);
	socket_remove(&second);
	assert_int_equal(access(path, F_OK), -1);
}

static void socket_remove__leaves_what_is_no_socket(void **state)
{
	struct sill_err e = { 0 };
	struct socket_name s;
	int fd, other;

	(void)state;
	fd = socket_listen(path, &s, &e);
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	other = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(other >= 0);
	(void)close(other);
	(void)close(fd);
	socket_remove(&s);
	assert_int_equal(access(path, F_OK), 0);
	fd = socket_listen(path, &s, &e); /* and it is not replaced */
	assert_int_equal(fd, -1);
	assert_int_equal(access(path, F_OK), 0);
}

static void socket_remove__finds_its_directory_wherever_it_is(void **state)
{
	struct sill_err e = { 0 };
	struct socket_name s;
	char moved[64];
	int fd;

	(void)state;
	fd = socket_listen(path, &s, &e);
	assert_true(fd >= 0);
	(void)snprintf(moved, sizeof(moved), "%s-moved", dir);
	assert_int_equal(rename(dir, moved), 0);
	(void)close(fd);
	socket_remove(&s);
	assert_int_equal(rmdir(moved), 0); /* it is empty */
	assert_int_equal(mkdir(dir, 0700), 0);
}

static void socket_listen__refuses_one_that_is_in_use(void **state)
{
	struct socket_name first, second;
	struct sill_err e = { 0 };
	int fd;

	(void)state;
	fd = socket_listen(path, &first, &e);
	assert_true(fd >= 0);
	assert_int_equal(socket_listen(path, &second, &e), -1);
	assert_non_null(strstr(e.msg, "is in use"));
	assert_int_equal(second.dir_fd, -1);
	assert_int_equal(who_answers(), getpid());
	(void)close(fd);
	socket_remove(&first);
}

/* A VM of many: starts, answers, ends, sometimes killed with its socket left behind. */
static void live(unsigned seed)
{
	for (unsigned i = 0; i < LIVES; i++) {
		struct sill_err e = { 0 };
		struct socket_name s;
		const int fd = socket_listen(path, &s, &e);

		if (fd < 0)
			continue; /* another's turn */
		for (unsigned c = 0; c < CALLS; c++) {
			pid_t who;

			/* Others look whether we are deaf, and fill the queue by that. */
			while ((who = who_answers()) == 0 && errno == EAGAIN)
				take_all(fd);
			if (who != getpid())
				_exit(1);
			take_all(fd);
		}
		(void)close(fd);
		if ((i + seed) % 3 != 0)
			socket_remove(&s);
		else /* killed */
			(void)close(s.dir_fd), (void)close(s.fd);
	}
	_exit(0);
}

static void socket__of_a_vm_that_listens_is_there_whatever_others_do(void **state)
{
	pid_t vm[VMS];

	(void)state;
	for (unsigned i = 0; i < VMS; i++) {
		vm[i] = fork();
		assert_true(vm[i] >= 0);
		if (vm[i] == 0)
			live(i);
	}
	for (unsigned i = 0; i < VMS; i++) {
		int status;

		assert_int_equal(waitpid(vm[i], &status, 0), vm[i]);
		assert_int_equal(status, 0);
	}
}

/* Who keeps the directory locked cannot keep a VM from ending; the name stays for the next to replace. */
static void socket_remove__does_not_wait_for_ever(void **state)
{
	struct sill_err e = { 0 };
	struct socket_name s;
	int fd, lock;

	(void)state;
	fd = socket_listen(path, &s, &e);
	assert_true(fd >= 0);
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	(void)close(fd);
	socket_remove(&s);
	assert_int_equal(access(path, F_OK), 0);
	(void)close(lock);
	fd = socket_listen(path, &s, &e);
	assert_true(fd >= 0);
	(void)close(fd);
	socket_remove(&s);
}

/* Another process has bound the name and is about to listen: it has the lock, as socket_listen() has it. */
static void socket_settle__waits_for_who_is_about_to_listen(void **state)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		  dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int go[2], status;
	char c = 0;
	pid_t pid;

	(void)state;
	memcpy(at.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(flock(dir_fd, LOCK_EX), 0);
	assert_int_equal(who_answers(), 0);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		_exit(read(go[0], &c, 1) != 1 || listen(fd, 1) < 0 || flock(dir_fd, LOCK_UN) < 0);
	}
	assert_int_equal(write(go[1], &c, 1), 1);
	socket_settle(path);
	assert_int_not_equal(who_answers(), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(fd);
	(void)close(dir_fd);
	(void)close(go[0]);
	(void)close(go[1]);
	/* It waits for nobody where there is nobody, and harms nothing where there is nothing. */
	socket_settle(path);
	socket_settle("/nonexistent/x");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(socket_listen__answers_and_goes),
		TEST(socket_listen__refuses_one_that_is_in_use),
		TEST(socket_remove__leaves_the_socket_of_another_vm),
		TEST(socket_remove__leaves_what_is_no_socket),
		TEST(socket_remove__finds_its_directory_wherever_it_is),
		TEST(socket_remove__does_not_wait_for_ever),
		TEST(socket_settle__waits_for_who_is_about_to_listen),
		TEST(socket__of_a_vm_that_listens_is_there_whatever_others_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
