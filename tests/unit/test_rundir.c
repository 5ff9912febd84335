/* SPDX-License-Identifier: Apache-2.0 */
/* test_rundir.c - the runtime directory: one VM of a name, what it tells, and what is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/host/rundir.h"
#include "schema/diff.h"

enum { VMS = 4, LIVES = 200, SAID = 128 };

static char top[32], base[48];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/sill-rundir-XXXXXX");
	assert_non_null(mkdtemp(top));
	(void)snprintf(base, sizeof(base), "%s/sill", top);
	assert_int_equal(setenv("SILL_RUNTIME_DIR", base, 1), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_true(rmdir(base) == 0 || errno == ENOENT);
	assert_int_equal(rmdir(top), 0);
	return 0;
}

static bool is_there(const char *file)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", base, file);
	return access(path, F_OK) == 0;
}

static void make(const char *file)
{
	char path[160];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", base, file);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void open_ok(struct rundir *d, const char *name)
{
	struct sill_err e = { 0 };

	if (rundir_open(d, name, &e) < 0)
		fail_msg("%s", e.msg);
}

/* ---- one VM ---- */

static void a_directory__is_its_users_alone_and_gone_at_the_end(void **state)
{
	struct sill_err e = { 0 };
	struct rundir d = { 0 };
	char text[32] = "", path[160];
	struct stat st;
	int fd;

	(void)state;
	rundir_close(&d);
	open_ok(&d, "web");
	(void)snprintf(path, sizeof(path), "%s/web", base);
	assert_string_equal(d.path, path);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(base, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	fd = openat(d.fd, "pid", O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_int_equal(strtol(text, NULL, 10), getpid());

	assert_int_equal(rundir_write(&d, "note", "one", 3, &e), 0);
	assert_int_equal(rundir_write(&d, "note", "two", 3, &e), 0);
	fd = openat(d.fd, "note", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 3);
	assert_memory_equal(text, "two", 3);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	close(fd);
	assert_false(is_there("web/.note.new"));
	rundir_close(&d);
	assert_false(is_there("web"));
	rundir_close(&d);
}

static void a_manifest__reads_as_it_was(void **state)
{
	char name[] = "web", cmdline[] = "console=ttyS0 # \"quoted\"";
	struct sill_config c = { .sill = 1, .name = name, .cmdline = cmdline, .cpus.boot = 2 }, got;
	struct sill_err e = { 0 };
	struct diffs diffs = { 0 };
	struct rundir_vm vm;
	struct rundir d = { 0 };

	(void)state;
	open_ok(&d, "web");
	assert_int_equal(rundir_find("web", &vm, &e), 0);
	assert_int_equal(rundir_read_manifest(&vm, &got, &e), -1);
	e = (struct sill_err){ 0 };
	assert_int_equal(rundir_write_manifest(&d, &c, &e), 0);
	assert_int_equal(rundir_read_manifest(&vm, &got, &e), 0);
	assert_int_equal(diff_make(&c, &got, &diffs, &e), 0);
	assert_int_equal(diffs.count, 0);
	diff_free(&diffs);
	sill_config_free(&got);
	rundir_close(&d);
}

static void a_name__is_a_name_and_nothing_else(void **state)
{
	static const char *const bad[] = { "",    ".",    "..",       "a/b", "../a", "/tmp",
					   "a b", "a\nb", "\xc3\xa4", "a:b", "a*" };
	char long_name[70];
	struct rundir d;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sill_err e = { 0 };
		struct rundir_vm vm;

		assert_false(rundir_is_name(bad[i]));
		assert_int_equal(rundir_open(&d, bad[i], &e), -1);
		assert_int_equal(e.code, SILL_ERR_HOST);
		e = (struct sill_err){ 0 };
		assert_int_equal(rundir_find(bad[i], &vm, &e), -1);
	}
	memset(long_name, 'a', sizeof(long_name));
	long_name[64] = '\0';
	assert_false(rundir_is_name(long_name));
	long_name[63] = '\0';
	assert_true(rundir_is_name(long_name));
	assert_true(rundir_is_name("..."));
	assert_true(rundir_is_name("win-2022_a.b"));
	open_ok(&d, long_name);
	rundir_close(&d);
}

/* ---- two of them ---- */

static void a_second_vm_of_a_name__is_told_who_has_it(void **state)
{
	struct rundir d = { 0 }, second = { 0 }, other = { 0 };
	struct sill_err e = { 0 };
	struct rundir_vm vm;
	char pid[24];

	(void)state;
	assert_int_equal(rundir_find("web", &vm, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	open_ok(&d, "web");
	e = (struct sill_err){ 0 };
	assert_int_equal(rundir_open(&second, "web", &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	(void)snprintf(pid, sizeof(pid), "process %d ", (int)getpid());
	assert_non_null(strstr(e.msg, pid));
	assert_false(second.there);
	assert_true(is_there("web/pid")); /* it did not harm the first */

	open_ok(&other, "web2");
	rundir_close(&other);
	e = (struct sill_err){ 0 };
	assert_int_equal(rundir_find("web", &vm, &e), 0);
	assert_int_equal(vm.pid, getpid());
	rundir_close(&d);
	assert_int_equal(rundir_find("web", &vm, &e), -1);
	open_ok(&d, "web");
	rundir_close(&d);
}

/* A VM of @name that has been killed, with a file of its own. */
static void kill_one(const char *name)
{
	int ready[2], status;
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct sill_err e = { 0 };
		struct rundir d = { 0 };

		if (rundir_open(&d, name, &e) < 0 || rundir_write(&d, "left", "", 0, &e) < 0 ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static void what_a_killed_vm_left__goes_with_the_next_of_its_name(void **state)
{
	struct sill_err e = { 0 };
	struct rundir d = { 0 };
	struct rundir_vm vm;

	(void)state;
	kill_one("web");
	assert_true(is_there("web/left"));
	assert_true(is_there("web/pid"));
	assert_int_equal(rundir_find("web", &vm, &e), -1);
	open_ok(&d, "web");
	assert_false(is_there("web/left"));
	assert_true(is_there("web/pid"));
	rundir_close(&d);
	assert_false(is_there("web"));
}

static void note(void *ctx, const char *name)
{
	char *said = ctx;
	const size_t n = strlen(said);

	(void)snprintf(said + n, SAID - n, "%s ", name);
}

static void cleaning__takes_the_dead_and_leaves_the_living(void **state)
{
	char said[SAID] = "", path[160];
	struct rundir d = { 0 };

	(void)state;
	assert_int_equal(rundir_clean(note, said), 0);
	kill_one("dead");
	open_ok(&d, "alive");
	make("forwarding.1.eth0"); /* another one's, in the same place */
	(void)snprintf(path, sizeof(path), "%s/empty", base);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(rundir_clean(note, said), 2);
	assert_non_null(strstr(said, "dead "));
	assert_non_null(strstr(said, "empty "));
	assert_false(is_there("dead"));
	assert_true(is_there("alive/pid"));
	assert_true(is_there("forwarding.1.eth0"));
	assert_int_equal(rundir_clean(NULL, NULL), 0);
	rundir_close(&d);
	(void)snprintf(path, sizeof(path), "%s/forwarding.1.eth0", base);
	assert_int_equal(unlink(path), 0);
}

/* Makes and ends VMs of one name; each writes its pid into a file that only one may have. */
static void live(int out)
{
	for (int i = 0; i < LIVES; i++) {
		struct sill_err e = { 0 };
		struct rundir d = { 0 };
		int fd;

		if (rundir_open(&d, "web", &e) < 0) {
			if (e.code != SILL_ERR_STATE)
				_exit(2);
			continue;
		}
		fd = openat(d.fd, "alone", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write(out, "", 1) != 1)
			_exit(3);
		(void)close(fd);
		(void)sched_yield();
		rundir_close(&d);
	}
	_exit(0);
}

static void many_at_once__are_one_at_a_time(void **state)
{
	pid_t child[VMS];
	char seen[VMS * LIVES];
	int pipe_fd[2], status;

	(void)state;
	assert_int_equal(pipe(pipe_fd), 0);
	for (unsigned i = 0; i < VMS; i++) {
		child[i] = fork();
		if (child[i] == 0)
			live(pipe_fd[1]);
	}
	close(pipe_fd[1]);
	for (unsigned i = 0; i < VMS; i++) {
		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_true(read(pipe_fd[0], seen, sizeof(seen)) > 0);
	close(pipe_fd[0]);
	assert_false(is_there("web"));
}

/* ---- where it cannot be ---- */

static void expect_none(const char *what)
{
	struct sill_err e = { 0 };
	struct rundir d = { 0 };

	assert_int_equal(rundir_open(&d, "web", &e), -1);
	assert_int_equal(e.code, SILL_ERR_HOST); /* the VM runs all the same */
	if (strstr(e.msg, what) == NULL)
		fail_msg("%s", e.msg);
	assert_false(d.there);
	rundir_close(&d);
}

static void a_place_of_others__is_not_used(void **state)
{
	char other[48], path[160];

	(void)state;
	/* Others may write. */
	assert_int_equal(mkdir(base, 0700), 0);
	assert_int_equal(chmod(base, 0777), 0);
	expect_none("alone");
	assert_int_equal(chmod(base, 0700), 0);
	/* A link or a file in the place of the VM's. */
	(void)snprintf(path, sizeof(path), "%s/web", base);
	assert_int_equal(symlink(top, path), 0);
	expect_none("'");
	assert_int_equal(unlink(path), 0);
	make("web");
	expect_none("'");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(base), 0);
	/* A link in the place of all. */
	(void)snprintf(other, sizeof(other), "%s/other", top);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(symlink(other, base), 0);
	expect_none("'");
	assert_int_equal(unlink(base), 0);
	assert_int_equal(rmdir(other), 0);
	/* Nothing can be made there. */
	assert_int_equal(setenv("SILL_RUNTIME_DIR", "/proc/sill", 1), 0);
	expect_none("/proc/sill");
	assert_int_equal(setenv("SILL_RUNTIME_DIR", base, 1), 0);
}

static void a_base__is_by_the_variable_then_the_user(void **state)
{
	struct sill_err e = { 0 };
	char got[RUNDIR_BASE], want[RUNDIR_BASE], long_path[300];

	(void)state;
	assert_int_equal(rundir_base(got, &e), 0);
	assert_string_equal(got, base);
	memset(long_path, 'a', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(setenv("SILL_RUNTIME_DIR", long_path, 1), 0);
	assert_int_equal(rundir_base(got, &e), -1);
	assert_int_equal(setenv("SILL_RUNTIME_DIR", "relative", 1), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/4711", 1), 0);
	e = (struct sill_err){ 0 };
	assert_int_equal(rundir_base(got, &e), 0);
	assert_string_equal(got, geteuid() == 0 ? "/run/sill" : "/run/user/4711/sill");
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	assert_int_equal(rundir_base(got, &e), 0);
	(void)snprintf(want, sizeof(want), "/run/user/%u", (unsigned)geteuid());
	if (geteuid() != 0 && access(want, F_OK) < 0) {
		(void)snprintf(want, sizeof(want), "/tmp/sill-%u", (unsigned)geteuid());
		assert_string_equal(got, want);
	}
	assert_int_equal(setenv("SILL_RUNTIME_DIR", base, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_directory__is_its_users_alone_and_gone_at_the_end,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_manifest__reads_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name__is_a_name_and_nothing_else, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_second_vm_of_a_name__is_told_who_has_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			what_a_killed_vm_left__goes_with_the_next_of_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(cleaning__takes_the_dead_and_leaves_the_living,
						setup, teardown),
		cmocka_unit_test_setup_teardown(many_at_once__are_one_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_place_of_others__is_not_used, setup, teardown),
		cmocka_unit_test_setup_teardown(a_base__is_by_the_variable_then_the_user, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("rundir", tests, NULL, NULL);
}
