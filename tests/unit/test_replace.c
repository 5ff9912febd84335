/* SPDX-License-Identifier: Apache-2.0 */
/* test_replace.c - what a replaced file keeps, and what is replaced by none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/host/replace.h"

enum { NOBODY = 65534 };

static char dir[] = "/tmp/sill-test-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL && chdir(dir) == 0 && chmod(dir, 0777) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink("a") == 0 && chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void make(mode_t mode)
{
	const int fd = open("a", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "old", 3), 3);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void a_file__keeps_its_mode_also_behind_a_link(void **state)
{
	char text[8] = "";
	struct stat st;
	int fd;

	(void)state;
	make(0640);
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(file_replace("link", "new", 3, 0600), 0);
	assert_int_equal(mode_of("a"), 0640);
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	fd = open("a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 3);
	assert_string_equal(text, "new");
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink("link"), 0);
}

static void what_is_no_file__stays(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(file_replace("pipe", "new", 3, 0600), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(lstat("pipe", &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(file_replace(".", "new", 3, 0600), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(unlink("pipe"), 0);
}

/* The old group's rights are not those of the group of who replaces it. */
static void another_group__gets_what_all_have(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	make(0664);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const bool bad = setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
				 setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
				 file_replace("a", "new", 3, 0600) < 0;

		_exit(bad);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(mode_of("a"), 0644);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file__keeps_its_mode_also_behind_a_link),
		cmocka_unit_test(what_is_no_file__stays),
		cmocka_unit_test(another_group__gets_what_all_have),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
