/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_newfile.c - files that appear when they are whole, where the file system
 * can do less than most: as NFS and 9p have it, there are no nameless files, and
 * a rename always replaces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/host/overlay.h"
#include "runner/image/verbs.h"

static char dir[64], path[96];

/* In the place of libc's. */
int host_open(int at, const char *name, int flags, mode_t mode) __asm__("openat");
int host_rename(int from_dir, const char *from, int to_dir, const char *to,
		unsigned flags) __asm__("renameat2");

/* Others are in the directory: a name that appears is theirs at once. */
static bool exchange;
static char exchanged[NAME_MAX + 1];

int host_open(int at, const char *name, int flags, mode_t mode)
{
	int fd, other;

	if ((flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	fd = (int)syscall(SYS_openat, at, name, flags, mode);
	if (exchange && fd >= 0 && (flags & O_CREAT) != 0) {
		(void)snprintf(exchanged, sizeof(exchanged), "%s", name);
		(void)unlinkat(at, name, 0);
		other = (int)syscall(SYS_openat, at, name, O_CREAT | O_EXCL | O_WRONLY, 0600);
		(void)close(other);
	}
	return fd;
}

int host_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (flags != 0) {
		errno = EINVAL;
		return -1;
	}
	return renameat(from_dir, from, to_dir, to);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/var/tmp/sill-newfile-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/image", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir); /* nothing else is in there */
}

static int make(uint64_t size, bool replace)
{
	const struct sill_image_options o = { .format = SILL_DISK_RAW, .size = size };
	struct newfile n = { .fd = -1, .held = -1 };
	struct sill_err e = { 0 };
	int failed = newfile_open(&n, path, replace, NULL, &e);

	if (failed == 0)
		failed = newfile_create(&n, &o, &e);
	return newfile_end(&n, failed, &e);
}

static off_t size_now(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	return st.st_size;
}

static void newfile__appears_where_a_rename_always_replaces(void **state)
{
	(void)state;
	assert_int_equal(make(512, false), 0);
	assert_int_equal(size_now(), 512);
	assert_int_equal(make(1024, false), -1);
	assert_int_equal(size_now(), 512);
	assert_int_equal(make(1024, true), 0);
	assert_int_equal(size_now(), 1024);
}

/* Somebody else was faster. */
static void newfile__replaces_nothing_that_came_meanwhile(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_RAW, .size = 512 };
	struct newfile n = { .fd = -1, .held = -1 };
	struct sill_err e = { 0 };
	int fd;

	(void)state;
	assert_int_equal(newfile_open(&n, path, false, NULL, &e), 0);
	assert_int_equal(newfile_create(&n, &o, &e), 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(newfile_end(&n, 0, &e), -1);
	assert_int_equal(size_now(), 0);
}

/* --- the layer of an ephemeral disk ------------------------------------------------ */

static int names(void)
{
	int n = 0;
	DIR *d = opendir(dir);

	while (d != NULL && readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2; /* . and .. */
}

static int make_layer(char *where, struct sill_err *e)
{
	static char disk[] = "disk";
	const struct sill_disk_config d = { .path = disk, .ephemeral = where };
	const struct chain c = { .count = 1, .size = 1 << 20 };

	return overlay_make(&c, &d, e);
}

/* In a directory, or where a name is free, which stays free. */
static void overlay__leaves_no_name(void **state)
{
	struct sill_err e = { 0 };
	struct stat st;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const int fd = make_layer(i == 0 ? dir : path, &e);

		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(st.st_size > 0 && st.st_nlink == 0 && (st.st_mode & 0777) == 0600);
		assert_int_equal(names(), 0);
		(void)close(fd);
	}
}

static void overlay__takes_no_name_that_is_anothers(void **state)
{
	struct sill_err e = { 0 };
	char left[sizeof(dir) + sizeof(exchanged)];
	int fd;

	(void)state;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(make_layer(path, &e), -1);
	assert_int_equal(e.sys, EEXIST);
	assert_non_null(strstr(e.hint, "name a directory"));
	exchange = true;
	fd = make_layer(dir, &e);
	exchange = false;
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(names(), 2);
	(void)snprintf(left, sizeof(left), "%s/%s", dir, exchanged);
	assert_int_equal(unlink(left), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(newfile__appears_where_a_rename_always_replaces,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(newfile__replaces_nothing_that_came_meanwhile,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(overlay__leaves_no_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(overlay__takes_no_name_that_is_anothers, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("newfile", tests, NULL, NULL);
}
