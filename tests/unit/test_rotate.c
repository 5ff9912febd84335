/* SPDX-License-Identifier: Apache-2.0 */
/* test_rotate.c - what a guest prints into a file takes two limits of space at most. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "base/limits.h"
#include "runner/host/logfile.h"
#include "runner/host/rotate.h"

enum { LIMIT = 64 * 1024 };

struct rig {
	char dir[32], path[64], old[64];
	struct rotated log;
	struct loop *loop;
	struct chr *chr;
	uint32_t next; /* the number that is printed next */
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct sill_err e = { 0 };

	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/sill-rotate-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->path, sizeof(r->path), "%s/out.log", r->dir);
	(void)snprintf(r->old, sizeof(r->old), "%s/out.log.1", r->dir);
	r->log.dir_fd = -1;
	r->loop = loop_create(&e);
	assert_non_null(r->loop);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	chr_destroy(r->chr);
	loop_destroy(r->loop);
	rotate_fini(&r->log);
	(void)unlink(r->path);
	(void)unlink(r->old);
	(void)rmdir(r->old);
	(void)rmdir(r->dir);
	free(r);
	return 0;
}

static int next_file(void *ctx)
{
	return rotate_next(ctx, 0);
}

static void open_log(struct rig *r, uint64_t limit)
{
	struct chr_config c = { .mode = SILL_CHAR_FILE,
				.in_fd = -1,
				.listen_fd = -1,
				.max_bytes = limit,
				.next_file = next_file,
				.ctx = &r->log };
	struct sill_err e = { 0 };

	c.out_fd = open(r->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(c.out_fd >= 0);
	assert_int_equal(rotate_init(&r->log, c.out_fd, r->path, &e), 0);
	r->chr = chr_create("serial0", &c, r->loop, &e);
	assert_non_null(r->chr);
}

/* Lines of eight bytes with a number each. */
static void print(struct rig *r, size_t bytes)
{
	for (size_t n = 0; n < bytes; n += 8) {
		char line[9];

		(void)snprintf(line, sizeof(line), "%07u\n", r->next++);
		chr_write(r->chr, line, 8);
		if (n % (CHAR_BUFFER / 2) == 0)
			chr_drain(r->chr, 10000);
	}
	chr_drain(r->chr, 10000);
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* The file's numbers follow each other; the first and the number after the last. */
static void numbers(const char *path, uint32_t *ret_first, uint32_t *ret_end)
{
	FILE *f = fopen(path, "r");
	unsigned v, want = 0;
	bool first = true;

	assert_non_null(f);
	while (fscanf(f, "%u", &v) == 1) {
		if (first)
			*ret_first = want = v;
		first = false;
		assert_int_equal(v, want++);
	}
	*ret_end = want;
	assert_false(first);
	(void)fclose(f);
}

static void rotate__a_flood_takes_two_limits_and_the_newest_is_there(void **state)
{
	struct rig *r = *state;
	uint32_t a, b, c, d;

	open_log(r, LIMIT);
	print(r, 20 * LIMIT + 800);
	assert_in_range(size_of(r->path), 1, LIMIT);
	assert_in_range(size_of(r->old), 1, LIMIT);
	numbers(r->old, &a, &b);
	numbers(r->path, &c, &d);
	assert_int_equal(b, c); /* one stream, nothing is missing between the two */
	assert_int_equal(d, r->next);
	assert_int_equal(chr_dropped(r->chr), 0);
}

/* --- the log of `sill run` ------------------------------------------------------ */

/* What is said meanwhile is in one of the two, and the file before it is replaced at the next turn. */
static void logfile__is_two_files_of_its_limit_at_most(void **state)
{
	struct rig *r = *state;
	struct logfile log = { 0 };
	struct sill_err e = { 0 };
	char first[32] = "";
	FILE *f;

	assert_int_equal(logfile_open(&log, r->path), 0);
	assert_int_equal(logfile_begin(&log, r->path, &e), 0);
	assert_true(logfile_grows(&log));
	for (int turn = 0; turn < 3; turn++) {
		(void)fprintf(log.f, "turn %d\n", turn);
		assert_int_equal(fflush(log.f), 0);
		logfile_look(&log);
		assert_int_equal(size_of(r->path), 7);
		assert_int_equal(ftruncate(fileno(log.f), LOGFILE_LIMIT), 0);
		logfile_look(&log);
		assert_int_equal(size_of(r->path), 0);
		assert_int_equal(size_of(r->old), LOGFILE_LIMIT);
		f = fopen(r->old, "re");
		assert_non_null(fgets(first, sizeof(first), f));
		(void)fclose(f);
		assert_int_equal(first[5], '0' + turn);
	}
	logfile_close(&log);
	/* One that has its limit when it is opened begins anew; a device has none. */
	assert_int_equal(truncate(r->path, LOGFILE_LIMIT), 0);
	assert_int_equal(logfile_open(&log, r->path), 0);
	assert_int_equal(logfile_begin(&log, r->path, &e), 0);
	assert_int_equal(size_of(r->path), 0);
	logfile_close(&log);
	assert_int_equal(logfile_open(&log, "/dev/null"), 0);
	assert_int_equal(logfile_begin(&log, "/dev/null", &e), 0);
	assert_false(logfile_grows(&log));
	logfile_close(&log);
}

/* Of a VM in the background: libraries and sanitizers write there, too. */
static void logfile__takes_standard_error_along(void **state)
{
	struct rig *r = *state;
	struct logfile log = { 0 };
	struct sill_err e = { 0 };
	const int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	struct stat before, after;
	ssize_t wrote;

	assert_int_equal(logfile_open(&log, r->path), 0);
	assert_int_equal(logfile_begin(&log, r->path, &e), 0);
	assert_int_equal(ftruncate(fileno(log.f), LOGFILE_LIMIT), 0);
	(void)dup2(fileno(log.f), STDERR_FILENO);
	logfile_look(&log);
	wrote = write(STDERR_FILENO, "told\n", 5);
	(void)dup2(kept, STDERR_FILENO);
	(void)close(kept);
	assert_int_equal(wrote, 5);
	assert_int_equal(size_of(r->path), 5);
	assert_int_equal(size_of(r->old), LOGFILE_LIMIT);
	/* What is another file stays. */
	assert_int_equal(fstat(STDERR_FILENO, &before), 0);
	assert_int_equal(ftruncate(fileno(log.f), LOGFILE_LIMIT), 0);
	logfile_look(&log);
	assert_int_equal(fstat(STDERR_FILENO, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_dev, before.st_dev);
	logfile_close(&log);
}

static void rotate__below_the_limit_nothing_happens(void **state)
{
	struct rig *r = *state;

	open_log(r, LIMIT);
	print(r, LIMIT);
	assert_int_equal(size_of(r->path), LIMIT);
	assert_int_equal(access(r->old, F_OK), -1);
}

static void rotate__off_is_no_limit(void **state)
{
	struct rig *r = *state;

	open_log(r, 0);
	print(r, 5 * LIMIT);
	assert_int_equal(size_of(r->path), 5 * LIMIT);
	assert_int_equal(access(r->old, F_OK), -1);
}

static void rotate__keeps_the_mode_of_the_file(void **state)
{
	struct rig *r = *state;
	struct stat st;

	open_log(r, LIMIT);
	assert_int_equal(chmod(r->path, 0640), 0);
	print(r, 2 * LIMIT);
	assert_int_equal(stat(r->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void rotate__of_a_file_that_was_removed_begins_anew(void **state)
{
	struct rig *r = *state;

	open_log(r, LIMIT);
	print(r, LIMIT / 2);
	assert_int_equal(unlink(r->path), 0);
	print(r, LIMIT);
	assert_in_range(size_of(r->path), 1, LIMIT);
	assert_int_equal(access(r->old, F_OK), -1);
}

/* Somebody's file has taken the name: it is left alone, and the limit holds all the same. */
static void rotate__leaves_another_file_at_the_path_alone(void **state)
{
	struct rig *r = *state;
	char moved[64];
	int fd;

	open_log(r, LIMIT);
	(void)snprintf(moved, sizeof(moved), "%s/moved", r->dir);
	assert_int_equal(rename(r->path, moved), 0);
	fd = open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "theirs", 6), 6);
	(void)close(fd);
	print(r, 10 * LIMIT);
	assert_int_equal(size_of(r->path), 6);
	assert_in_range(size_of(moved), 1, LIMIT);
	assert_int_equal(access(r->old, F_OK), -1);
	(void)unlink(moved);
}

/* The directory cannot be written: the file begins anew, and does not grow. */
static void rotate__that_cannot_be_done_empties_the_file(void **state)
{
	struct rig *r = *state;
	uint32_t first, end;

	open_log(r, LIMIT);
	assert_int_equal(mkdir(r->old, 0700), 0); /* nothing is renamed over a directory */
	print(r, 10 * LIMIT + 800);
	assert_in_range(size_of(r->path), 1, LIMIT);
	numbers(r->path, &first, &end);
	assert_int_equal(end, r->next);
}

static void rotate_init__refuses_what_must_not_be_replaced(void **state)
{
	struct rig *r = *state;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct sill_err e = { 0 };
	int fd = open(r->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), image;

	assert_int_equal(mkdir(r->old, 0700), 0);
	assert_int_equal(rotate_init(&r->log, fd, r->path, &e), -1);
	assert_non_null(strstr(e.msg, "out.log.1"));
	assert_int_equal(rmdir(r->old), 0);

	image = open(r->old, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fcntl(image, F_OFD_SETLK, &lock), 0);
	e = (struct sill_err){ 0 };
	assert_int_equal(rotate_init(&r->log, fd, r->path, &e), -1);
	assert_non_null(strstr(e.msg, "an image that a VM uses"));
	(void)close(image);
	assert_int_equal(rotate_init(&r->log, fd, r->path, &e), 0);
	(void)close(fd);
}

static void rotate__follows_the_link_that_the_path_is(void **state)
{
	struct rig *r = *state;
	char link[64];
	struct stat st;

	(void)snprintf(link, sizeof(link), "%s/link", r->dir);
	assert_int_equal(symlink("out.log", link), 0);
	open_log(r, LIMIT);
	chr_destroy(r->chr);
	rotate_fini(&r->log);
	{
		char real[64];

		(void)snprintf(real, sizeof(real), "%s", r->path);
		(void)snprintf(r->path, sizeof(r->path), "%s", link);
		open_log(r, LIMIT);
		print(r, 3 * LIMIT);
		(void)snprintf(r->path, sizeof(r->path), "%s", real);
	}
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_in_range(size_of(r->old), 1, LIMIT);
	assert_in_range(size_of(r->path), 1, LIMIT);
	(void)unlink(link);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rotate__a_flood_takes_two_limits_and_the_newest_is_there),
		TEST(rotate__below_the_limit_nothing_happens),
		TEST(logfile__is_two_files_of_its_limit_at_most),
		TEST(logfile__takes_standard_error_along),
		TEST(rotate__off_is_no_limit),
		TEST(rotate__keeps_the_mode_of_the_file),
		TEST(rotate__of_a_file_that_was_removed_begins_anew),
		TEST(rotate__leaves_another_file_at_the_path_alone),
		TEST(rotate__that_cannot_be_done_empties_the_file),
		TEST(rotate_init__refuses_what_must_not_be_replaced),
		TEST(rotate__follows_the_link_that_the_path_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
