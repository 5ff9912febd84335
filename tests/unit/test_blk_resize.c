/* SPDX-License-Identifier: Apache-2.0 */
/* test_blk_resize.c - images that grow while they are open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/block.h"
#include "sill/image.h"

#define MIB (1ull << 20)

static void on_done(struct blk_req *r, int status)
{
	(void)r;
	assert_int_equal(status, 0);
}

static void transfer(struct blk *b, enum blk_op op, uint64_t off, uint8_t bytes[4096])
{
	struct iovec v = { bytes, 4096 };
	struct blk_req r = {
		.op = op, .offset = off, .length = 4096, .iov = &v, .iov_count = 1, .done = on_done
	};

	blk_submit(b, &r);
}

static void put(struct blk *b, uint64_t off, uint8_t byte)
{
	uint8_t bytes[4096];

	memset(bytes, byte, sizeof(bytes));
	transfer(b, BLK_WRITE, off, bytes);
}

static uint8_t get(struct blk *b, uint64_t off)
{
	uint8_t bytes[4096];

	transfer(b, BLK_READ, off, bytes);
	assert_int_equal(memcmp(bytes, bytes + 1, 4095), 0);
	return bytes[0];
}

static struct blk *open_blk(const struct blk_ops *ops, int fd, struct blk *backing)
{
	const struct blk_config c = { .fd = dup(fd), .path = "disk", .backing = backing };
	struct sill_err e = { 0 };
	struct blk *b = blk_open(ops, &c, &e);

	if (b == NULL)
		fail_msg("%s", e.msg);
	return b;
}

static int make(const struct sill_image_options *o)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct sill_err e = { 0 };

	assert_true(fd >= 0);
	if (o->format == SILL_DISK_RAW)
		assert_int_equal(ftruncate(fd, (off_t)o->size), 0);
	else if (sill_image_create(fd, o, &e) < 0)
		fail_msg("%s", e.msg);
	return fd;
}

static void raw_resize__makes_the_file_larger_or_takes_what_is_there(void **state)
{
	int fd = make(&(struct sill_image_options){ .format = SILL_DISK_RAW, .size = MIB });
	struct blk *b = open_blk(&blk_raw_ops, fd, NULL);
	struct sill_err e = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(blk_resize(b, 2 * MIB, &e), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 2 * MIB);
	assert_int_equal(blk_capacity(b), 2 * MIB);
	put(b, 2 * MIB - 4096, 0x33);
	/* Somebody has made the file larger. */
	assert_int_equal(ftruncate(fd, (off_t)(3 * MIB + 100)), 0);
	assert_int_equal(blk_resize(b, 0, &e), 0);
	assert_int_equal(blk_capacity(b), 3 * MIB + 512);
	assert_int_equal(get(b, 2 * MIB - 4096), 0x33);
	assert_int_equal(blk_resize(b, MIB, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	/* Somebody has cut it. */
	e = (struct sill_err){ 0 };
	assert_int_equal(ftruncate(fd, (off_t)MIB), 0);
	assert_int_equal(blk_resize(b, 0, &e), -1);
	assert_int_equal(e.code, SILL_ERR_HOST);
	assert_int_equal(blk_capacity(b), 3 * MIB + 512);
	blk_close(b);
	(void)close(fd);
}

static void qcow2_resize__keeps_the_image_good(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = 512 * MIB };
	int fd = make(&o);
	struct blk *b = open_blk(&blk_qcow2_ops, fd, NULL);
	struct sill_err e = { 0 };

	(void)state;
	put(b, 0, 0x11);
	put(b, 512 * MIB - 4096, 0x22);
	/* From one entry of the L1 table to four thousand. */
	assert_int_equal(blk_resize(b, 2048ull * 1024 * MIB, &e), 0);
	assert_int_equal(get(b, 512 * MIB), 0);
	put(b, 2048ull * 1024 * MIB - 4096, 0x44);
	put(b, 700 * MIB, 0x55);
	blk_close(b);
	b = open_blk(&blk_qcow2_ops, fd, NULL);
	assert_int_equal(blk_capacity(b), 2048ull * 1024 * MIB);
	assert_int_equal(get(b, 0), 0x11);
	assert_int_equal(get(b, 512 * MIB - 4096), 0x22);
	assert_int_equal(get(b, 700 * MIB), 0x55);
	assert_int_equal(get(b, 2048ull * 1024 * MIB - 4096), 0x44);
	/* Where the table has no room it stays as it was. */
	assert_int_equal(blk_resize(b, 8192ull * 1024 * MIB, &e), -1);
	assert_non_null(strstr(e.msg, "no room"));
	assert_int_equal(blk_capacity(b), 2048ull * 1024 * MIB);
	assert_int_equal(get(b, 700 * MIB), 0x55);
	blk_close(b);
	(void)close(fd);
}

static void qcow2_resize__shows_nothing_of_a_larger_image_below(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2,
					      .size = 2 * MIB,
					      .backing = "base",
					      .backing_format = SILL_DISK_RAW };
	int base = make(&(struct sill_image_options){ .format = SILL_DISK_RAW, .size = 4 * MIB });
	int small = make(&(struct sill_image_options){ .format = SILL_DISK_RAW, .size = MIB });
	const struct blk_config c = { .fd = base, .path = "base", .readonly = true };
	const struct blk_config d = { .fd = small, .path = "small", .readonly = true };
	struct sill_err e = { 0 };
	int fd = make(&o), fd2 = make(&o);
	struct blk *b;

	(void)state;
	b = open_blk(&blk_qcow2_ops, fd, blk_open(&blk_raw_ops, &c, &e));
	assert_int_equal(blk_resize(b, 4 * MIB, &e), -1);
	assert_non_null(strstr(e.msg, "below is larger"));
	blk_close(b);
	e = (struct sill_err){ 0 };
	b = open_blk(&blk_qcow2_ops, fd2, blk_open(&blk_raw_ops, &d, &e));
	assert_int_equal(blk_resize(b, 4 * MIB, &e), 0);
	assert_int_equal(get(b, 3 * MIB), 0);
	put(b, 3 * MIB, 0x66);
	assert_int_equal(get(b, 3 * MIB), 0x66);
	blk_close(b);
	(void)close(fd);
	(void)close(fd2);
}

static int last_status;

static void on_any(struct blk_req *r, int status)
{
	(void)r;
	last_status = status;
}

static void blk_max_file__is_a_full_disk(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = 64 * MIB };
	int fd = make(&o);
	const struct blk_config c = { .fd = dup(fd), .path = "disk", .max_file = 2 * MIB };
	struct sill_err e = { 0 };
	struct blk *b = blk_open(&blk_qcow2_ops, &c, &e);
	uint8_t bytes[4096] = { 1 };
	struct iovec v = { bytes, sizeof(bytes) };
	struct stat st;

	(void)state;
	assert_non_null(b);
	for (uint64_t at = 0; last_status == 0 && at < 64 * MIB; at += 65536) {
		struct blk_req r = { .op = BLK_WRITE,
				     .offset = at,
				     .length = sizeof(bytes),
				     .iov = &v,
				     .iov_count = 1,
				     .done = on_any };

		blk_submit(b, &r);
	}
	assert_int_equal(last_status, ENOSPC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_in_range(st.st_size, MIB, 2 * MIB);
	/* What got in stays. */
	transfer(b, BLK_READ, MIB, bytes);
	assert_int_equal(bytes[0], 1);
	blk_close(b);
	b = open_blk(&blk_qcow2_ops, fd, NULL);
	transfer(b, BLK_READ, MIB, bytes);
	assert_int_equal(bytes[0], 1);
	blk_close(b);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_resize__makes_the_file_larger_or_takes_what_is_there),
		cmocka_unit_test(qcow2_resize__keeps_the_image_good),
		cmocka_unit_test(qcow2_resize__shows_nothing_of_a_larger_image_below),
		cmocka_unit_test(blk_max_file__is_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
