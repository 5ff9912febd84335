/* SPDX-License-Identifier: Apache-2.0 */
/* test_blk_resize.c - images that grow while they are open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

static struct blk *below_of(int fd)
{
	const struct blk_config c = { .fd = dup(fd), .path = "base", .readonly = true };
	struct sill_err e = { 0 };
	struct blk *b = blk_open(&blk_raw_ops, &c, &e);

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

static void raw_resize__says_that_a_disk_is_read_only(void **state)
{
	int fd = make(&(struct sill_image_options){ .format = SILL_DISK_RAW, .size = MIB });
	struct sill_err e = { 0 };
	struct blk *b = below_of(fd);

	(void)state;
	assert_int_equal(blk_resize(b, 2 * MIB, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_non_null(strstr(e.msg, "read-only"));
	/* Somebody else may have made it larger. */
	assert_int_equal(ftruncate(fd, (off_t)(2 * MIB)), 0);
	assert_int_equal(blk_resize(b, 2 * MIB, &e), 0);
	assert_int_equal(blk_capacity(b), 2 * MIB);
	blk_close(b);
	(void)close(fd);
}

/* A memfd says nothing about alignment, so whole pages are used. */
static void raw_resize__leaves_no_part_of_a_block_with_direct(void **state)
{
	int fd = make(&(struct sill_image_options){ .format = SILL_DISK_RAW, .size = MIB });
	const struct blk_config c = { .fd = dup(fd), .path = "disk", .direct = true };
	struct sill_err e = { 0 };
	struct blk *b = blk_open(&blk_raw_ops, &c, &e);
	struct stat st;

	(void)state;
	assert_non_null(b);
	assert_true(b->direct);
	assert_int_equal(blk_resize(b, 2 * MIB + 512, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, MIB); /* it was refused, so nothing was done */
	assert_int_equal(blk_resize(b, 2 * MIB + 4096, &e), 0);
	assert_int_equal(blk_capacity(b), 2 * MIB + 4096);
	blk_close(b);
	(void)close(fd);
}

/* Grows and says how, or why not. */
static void grow(struct blk *b, uint64_t bytes)
{
	struct sill_err e = { 0 };

	if (blk_resize(b, bytes, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(blk_capacity(b), bytes);
}

/* Not even a leak, as we and as qemu-img see it, if there is one. */
static void check(int fd, enum sill_disk_format format)
{
	const struct sill_image_checking how = { .fd = fd, .path = "image", .format = format };
	struct sill_image_check r = { 0 };
	struct sill_err e = { 0 };
	char line[200];

	if (sill_image_check(&how, &r, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.errors + r.leaks, 0);
	/* Which does not check vhd, nor open a vhdx with sectors of 4096 bytes. */
	if (system("command -v qemu-img >/dev/null") != 0 || format != SILL_DISK_QCOW2)
		return;
	(void)snprintf(line, sizeof(line), "qemu-img check -q -f qcow2 /proc/%d/fd/%d", getpid(),
		       fd);
	assert_int_equal(system(line), 0);
}

static void qcow2_resize__keeps_the_image_good(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = 512 * MIB };
	int fd = make(&o);
	struct blk *b = open_blk(&blk_qcow2_ops, fd, NULL);

	(void)state;
	put(b, 0, 0x11);
	put(b, 512 * MIB - 4096, 0x22);
	/* From one entry of the L1 table to four thousand. */
	grow(b, 2048ull * 1024 * MIB);
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
	/* Now the table has to move. */
	grow(b, 8192ull * 1024 * MIB);
	assert_int_equal(get(b, 700 * MIB), 0x55);
	put(b, 8192ull * 1024 * MIB - 4096, 0x66);
	blk_close(b);
	b = open_blk(&blk_qcow2_ops, fd, NULL);
	assert_int_equal(get(b, 700 * MIB), 0x55);
	assert_int_equal(get(b, 8192ull * 1024 * MIB - 4096), 0x66);
	blk_close(b);
	check(fd, SILL_DISK_QCOW2);
	(void)close(fd);
}

static void qcow2_resize__refuses_a_table_of_more_than_32_mib(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2,
					      .size = MIB,
					      .block_size = 512 };
	int fd = make(&o);
	struct blk *b = open_blk(&blk_qcow2_ops, fd, NULL);
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(blk_resize(b, 200ull * 1024 * MIB, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	assert_non_null(strstr(e.hint, "larger clusters"));
	assert_int_equal(blk_capacity(b), MIB);
	blk_close(b);
	check(fd, SILL_DISK_QCOW2);
	(void)close(fd);
}

static void qcow2_resize__shows_nothing_of_a_larger_image_below(void **state)
{
	static const unsigned versions[] = { 2, 3 };
	uint8_t old[4 * MIB / 4096][4096];

	(void)state;
	memset(old, 0xbb, sizeof(old));
	for (size_t i = 0; i < 4; i++) {
		const struct sill_image_options o = { .format = SILL_DISK_QCOW2,
						      .size = MIB + 512,
						      .version = versions[i % 2],
						      .backing = "base",
						      .backing_format = SILL_DISK_RAW };
		/* Behind the old end, and behind the new one. */
		const uint64_t below = i < 2 ? 2 * MIB : 4 * MIB;
		int base = make(
			&(struct sill_image_options){ .format = SILL_DISK_RAW, .size = below });
		int fd = make(&o);
		struct blk *b = open_blk(&blk_qcow2_ops, fd, below_of(base));

		assert_int_equal(pwrite(base, old, below, 0), below);
		grow(b, 3 * MIB + 512);
		assert_int_equal(get(b, MIB - 4096), 0xbb);
		for (uint64_t at = MIB + 512; at < 3 * MIB + 512; at += 4096)
			assert_int_equal(get(b, at), 0);
		put(b, 3 * MIB - 3584, 0x66);
		blk_close(b);
		b = open_blk(&blk_qcow2_ops, fd, below_of(base));
		assert_int_equal(get(b, 3 * MIB - 3584), 0x66);
		assert_int_equal(get(b, 2 * MIB), 0);
		blk_close(b);
		(void)close(fd);
		(void)close(base);
	}
}

/* One that qemu-img makes; @raw: the data file is a disk of its own. */
static void data_file(bool raw)
{
	char dir[] = "/var/tmp/sill-grow-XXXXXX", line[400];
	struct blk_config c = { .path = "image" }, d = { .path = "data" };
	uint8_t bytes[3 * 4096];
	struct sill_err e = { 0 };
	struct stat st;
	struct blk *b;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(line, sizeof(line),
		       "cd %s && qemu-img create -q -f qcow2 -o data_file=data,data_file_raw=%s "
		       "image 1049088",
		       dir, raw ? "on" : "off");
	assert_int_equal(system(line), 0);
	(void)snprintf(line, sizeof(line), "%s/image", dir);
	c.fd = open(line, O_RDWR | O_CLOEXEC);
	(void)snprintf(line, sizeof(line), "%s/data", dir);
	d.fd = open(line, O_RDWR | O_CLOEXEC);
	/* Behind its end there is something. */
	memset(bytes, 0xdd, sizeof(bytes));
	assert_int_equal(pwrite(d.fd, bytes, sizeof(bytes), MIB + 512), sizeof(bytes));
	c.data = blk_open(&blk_raw_ops, &d, &e);
	b = blk_open(&blk_qcow2_ops, &c, &e);
	if (b == NULL)
		fail_msg("%s", e.msg);
	put(b, MIB - 4096 + 512, 0x11);
	grow(b, 2 * MIB);
	assert_int_equal(get(b, MIB + 512), 0);
	assert_int_equal(get(b, MIB + 512 + 4096), 0);
	assert_int_equal(get(b, MIB - 4096 + 512), 0x11);
	put(b, 2 * MIB - 4096, 0x22);
	assert_int_equal(fstat(c.data->fd, &st), 0);
	assert_int_equal(st.st_size, 2 * MIB);
	blk_close(b);
	(void)snprintf(line, sizeof(line),
		       "cd %s && qemu-img check -q image && %s; s=$?; rm -r %s; exit $s", dir,
		       raw ? "qemu-img compare -q -f qcow2 -F raw image data" : "true", dir);
	assert_int_equal(system(line), 0);
}

static void qcow2_resize__makes_a_data_file_larger_too(void **state)
{
	(void)state;
	if (system("command -v qemu-img >/dev/null") != 0)
		skip();
	data_file(false);
	data_file(true);
}

/* A qcow2 image of @size bytes, whose data are in the file of @fd. Skips without qemu-img. */
static struct blk *open_on_data(uint64_t size, int fd, bool direct)
{
	char dir[] = "/var/tmp/sill-data-XXXXXX", line[400];
	struct blk_config c = { .path = "image" },
			  d = { .fd = fd, .path = "data", .direct = direct };
	struct sill_err e = { 0 };
	struct blk *b;

	if (system("command -v qemu-img >/dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	(void)snprintf(line, sizeof(line),
		       "cd %s && qemu-img create -q -f qcow2 -o data_file=data image %llu", dir,
		       (unsigned long long)size);
	assert_int_equal(system(line), 0);
	(void)snprintf(line, sizeof(line), "%s/image", dir);
	c.fd = open(line, O_RDWR | O_CLOEXEC);
	c.data = blk_open(&blk_raw_ops, &d, &e);
	b = blk_open(&blk_qcow2_ops, &c, &e);
	if (b == NULL)
		fail_msg("%s", e.msg);
	(void)snprintf(line, sizeof(line), "rm -r %s", dir);
	assert_int_equal(system(line), 0);
	return b;
}

/* As a partition is: it ends within the disk's last cluster, and has nothing behind that. */
static void qcow2_write__ends_where_the_data_file_does(void **state)
{
	const int fd = memfd_create("data", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct blk *b;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)MIB + 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	b = open_on_data(MIB + 4096, fd, false);
	put(b, MIB, 0x11);
	put(b, MIB - 4096, 0x22);
	assert_int_equal(get(b, MIB), 0x11);
	assert_int_equal(get(b, MIB - 4096), 0x22);
	assert_int_equal(blk_close(b), 0);
}

/* What O_DIRECT cannot have is behind the end of the data file, so it is not the disk's either. */
static void qcow2_resize__does_not_outgrow_a_direct_data_file(void **state)
{
	const int fd = memfd_create("data", MFD_CLOEXEC); /* whole pages, see above */
	struct sill_err e = { 0 };
	struct blk *b;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)MIB), 0);
	b = open_on_data(MIB, fd, true);
	assert_int_equal(blk_resize(b, 2 * MIB + 512, &e), -1);
	assert_int_equal(blk_capacity(b), MIB);
	put(b, MIB - 4096, 0x22);
	grow(b, 2 * MIB + 4096);
	put(b, 2 * MIB, 0x33);
	assert_int_equal(get(b, 2 * MIB), 0x33);
	assert_int_equal(get(b, MIB - 4096), 0x22);
	assert_int_equal(blk_close(b), 0);
}

static void refuses(struct blk *b, uint64_t bytes, const char *why)
{
	const uint64_t before = blk_capacity(b);
	struct sill_err e = { 0 };

	assert_int_equal(blk_resize(b, bytes, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	if (strstr(e.msg, why) == NULL)
		fail_msg("'%s' is not in: %s", why, e.msg);
	assert_int_equal(blk_capacity(b), before);
}

/* @limit is as large as it gets; @why one more sector is refused, and what is not whole ones. */
static void grows_to(const struct blk_ops *ops, const struct sill_image_options *o, uint64_t limit,
		     uint64_t sector, const char *why)
{
	int fd = make(o);
	struct blk *b = open_blk(ops, fd, NULL);

	put(b, 3 * MIB, 0x11);
	refuses(b, 4 * MIB + sector / 8, "whole sectors");
	refuses(b, limit + sector, why);
	grow(b, limit);
	put(b, limit - 4096, 0x22);
	blk_close(b);
	b = open_blk(ops, fd, NULL);
	assert_int_equal(blk_capacity(b), limit);
	assert_int_equal(get(b, 3 * MIB), 0x11);
	assert_int_equal(get(b, 3 * MIB + 4096), 0);
	assert_int_equal(get(b, limit - 4096), 0x22);
	blk_close(b);
	check(fd, o->format);
	(void)close(fd);
}

static void vhdx_resize__has_limits_and_sectors_of_4096(void **state)
{
	(void)state;
	grows_to(&blk_vhdx_ops,
		 &(struct sill_image_options){
			 .format = SILL_DISK_VHDX, .size = 3 * MIB + 4096, .sector_size = 4096 },
		 64ull << 40, 4096, "64 TiB");
}

/* 512 blocks, whose entries are one page: there is nothing behind the last. */
static void vhdx_resize__grows_from_a_table_that_ends_with_its_page(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_VHDX,
					      .size = 512 * MIB,
					      .block_size = MIB };
	int fd = make(&o);
	struct blk *b = open_blk(&blk_vhdx_ops, fd, NULL);

	(void)state;
	put(b, 512 * MIB - 4096, 0x11);
	grow(b, 513 * MIB);
	assert_int_equal(get(b, 512 * MIB - 4096), 0x11);
	assert_int_equal(get(b, 512 * MIB), 0);
	blk_close(b);
	check(fd, o.format);
	(void)close(fd);
}

static void vhd_resize__ends_at_2040_gib(void **state)
{
	(void)state;
	grows_to(&blk_vhd_ops,
		 &(struct sill_image_options){ .format = SILL_DISK_VHD, .size = 3 * MIB + 4096 },
		 2040ull << 30, 512, "2040 GiB");
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
		cmocka_unit_test(raw_resize__says_that_a_disk_is_read_only),
		cmocka_unit_test(raw_resize__leaves_no_part_of_a_block_with_direct),
		cmocka_unit_test(qcow2_resize__keeps_the_image_good),
		cmocka_unit_test(qcow2_resize__refuses_a_table_of_more_than_32_mib),
		cmocka_unit_test(qcow2_resize__shows_nothing_of_a_larger_image_below),
		cmocka_unit_test(qcow2_resize__makes_a_data_file_larger_too),
		cmocka_unit_test(qcow2_write__ends_where_the_data_file_does),
		cmocka_unit_test(qcow2_resize__does_not_outgrow_a_direct_data_file),
		cmocka_unit_test(vhdx_resize__has_limits_and_sectors_of_4096),
		cmocka_unit_test(vhdx_resize__grows_from_a_table_that_ends_with_its_page),
		cmocka_unit_test(vhd_resize__ends_at_2040_gib),
		cmocka_unit_test(blk_max_file__is_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
