/* SPDX-License-Identifier: Apache-2.0 */
/* test_blk_raw.c - raw images: every operation, odd sizes, O_DIRECT, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk_kit.h"

static char path[64];

static int image(off_t size, int flags)
{
	(void)snprintf(path, sizeof(path), "/var/tmp/sill-blk-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
	fd = open(path, O_CLOEXEC | flags);
	assert_true(fd >= 0 || (flags & O_DIRECT) != 0);
	return fd;
}

static struct blk *open_image(int fd, bool readonly, bool direct, struct sill_err *e)
{
	const struct blk_config c = {
		.fd = fd, .path = path, .readonly = readonly, .direct = direct
	};
	struct blk *b = blk_open(&blk_raw_ops, &c, e);

	(void)unlink(path);
	return b;
}

static struct blk *opened(off_t size)
{
	struct sill_err e = { 0 };
	struct blk *b = open_image(image(size, O_RDWR), false, false, &e);

	assert_non_null(b);
	return b;
}

static int run(struct blk *b, struct blk_req r)
{
	return blk_kit_run(b, r);
}

static int rw(struct blk *b, enum blk_op op, uint64_t off, void *p, size_t n)
{
	const struct iovec v = { p, n };

	return run(b, (struct blk_req){
			      .op = op, .offset = off, .length = n, .iov = &v, .iov_count = 1 });
}

static int zero(struct blk *b, enum blk_op op, uint64_t off, uint64_t n, bool unmap)
{
	return run(b, (struct blk_req){ .op = op, .offset = off, .length = n, .unmap = unmap });
}

static void blk_open__refuses_what_is_empty(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	assert_null(open_image(image(0, O_RDWR), false, false, &e));
	assert_int_equal(e.code, SILL_ERR_HOST);
	assert_non_null(strstr(e.msg, path));
	assert_non_null(strstr(e.hint, "truncate"));
}

static void blk_open__refuses_a_pipe_and_closes_it(void **state)
{
	struct sill_err e = { 0 };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_null(open_image(p[0], false, false, &e));
	assert_non_null(strstr(e.msg, "neither"));
	assert_int_equal(fcntl(p[0], F_GETFD), -1); /* taken, also on failure */
	close(p[1]);
}

static void raw__fills_up_the_last_sector_with_zeroes(void **state)
{
	static const off_t sizes[] = { 1, 511, 4096 + 300 };
	struct sill_err e = { 0 };
	char s[5120], in[512];

	(void)state;
	memset(in, 'x', sizeof(in));
	for (size_t i = 0; i < 3; i++) {
		const size_t size = (size_t)sizes[i], whole = (size + 511) / 512 * 512;
		int fd = image(sizes[i], O_RDWR), same = dup(fd);
		struct blk *b;
		struct stat st;

		memset(s, 'a', sizeof(s));
		assert_int_equal(pwrite(fd, s, size, 0), size);
		b = open_image(fd, false, false, &e);
		assert_non_null(b);
		assert_int_equal(b->capacity, whole);
		assert_int_equal(rw(b, BLK_READ, 0, s, whole), 0);
		for (size_t k = 0; k < whole; k++)
			assert_int_equal(s[k], k < size ? 'a' : 0);
		memset(s, 'b', sizeof(s));
		assert_int_equal(rw(b, BLK_READ, whole - 512, s, 512), 0);
		assert_int_equal(s[511], 0);
		assert_int_equal(fstat(same, &st), 0);
		assert_int_equal(st.st_size, size); /* who only reads changes nothing */
		assert_int_equal(rw(b, BLK_WRITE, whole - 512, in, 512), 0);
		assert_int_equal(rw(b, BLK_READ, whole - 512, s, 512), 0);
		assert_memory_equal(s, in, 512);
		assert_int_equal(fstat(same, &st), 0);
		assert_int_equal(st.st_size, whole);
		/* Cut, there is an error where it is not the last sector that is missing. */
		assert_int_equal(ftruncate(same, 0), 0);
		if (whole > 512)
			assert_int_equal(rw(b, BLK_READ, 0, s, 512), EIO);
		blk_close(b);
		close(same);
	}
}

static void raw_resize__fills_up_the_last_sector(void **state)
{
	struct sill_err e = { 0 };
	int fd = image(1000, O_RDWR), same = dup(fd);
	struct blk *b = open_image(fd, false, false, &e);
	char s[512];

	(void)state;
	assert_non_null(b);
	assert_int_equal(blk_resize(b, 0, &e), 0);
	assert_int_equal(b->capacity, 1024);
	assert_int_equal(ftruncate(same, 5000), 0);
	assert_int_equal(blk_resize(b, 0, &e), 0);
	assert_int_equal(b->capacity, 5120);
	assert_int_equal(rw(b, BLK_READ, 4608, s, 512), 0);
	assert_int_equal(blk_resize(b, 8192, &e), 0);
	assert_int_equal(b->capacity, 8192);
	assert_int_equal(rw(b, BLK_READ, 7680, s, 512), 0);
	blk_close(b);
	close(same);
}

static void raw__reads_back_what_was_written(void **state)
{
	struct blk *b = opened(1 << 20);
	char a[1024], c[512], d[1536];
	struct iovec w[2] = { { a, 1024 }, { c, 512 } };

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(c, 'c', sizeof(c));
	assert_int_equal(run(b, (struct blk_req){ .op = BLK_WRITE,
						  .offset = 512,
						  .length = 1536,
						  .iov = w,
						  .iov_count = 2 }),
			 0);
	assert_int_equal(run(b, (struct blk_req){ .op = BLK_FLUSH }), 0);
	assert_int_equal(rw(b, BLK_READ, 512, d, 1536), 0);
	assert_memory_equal(d, a, 1024);
	assert_memory_equal(d + 1024, c, 512);
	__atomic_store_n(&b->writeback, false, __ATOMIC_RELEASE);
	assert_int_equal(rw(b, BLK_WRITE, 0, c, 512), 0); /* older dirt: by fdatasync */
	assert_int_equal(rw(b, BLK_WRITE, 0, a, 512), 0); /* by RWF_DSYNC */
	assert_int_equal(rw(b, BLK_READ, 0, d, 512), 0);
	assert_memory_equal(d, a, 512);
	blk_close(b);
}

static void raw__takes_more_vectors_than_one_call_can(void **state)
{
	enum { N = 2500 };
	struct blk *b = opened(N * 512);
	struct iovec *v = calloc(N, sizeof(*v));
	char *p = malloc((size_t)N * 512), *q = malloc((size_t)N * 512);

	(void)state;
	for (size_t i = 0; i < N; i++) {
		memset(p + 512 * i, (int)(i % 251), 512);
		v[i] = (struct iovec){ p + 512 * i, 512 };
	}
	assert_int_equal(run(b, (struct blk_req){ .op = BLK_WRITE,
						  .length = N * 512,
						  .iov = v,
						  .iov_count = N }),
			 0);
	assert_int_equal(rw(b, BLK_READ, 0, q, (size_t)N * 512), 0);
	assert_memory_equal(p, q, (size_t)N * 512);
	free(q);
	free(p);
	free(v);
	blk_close(b);
}

static void raw__reports_a_file_cut_under_it(void **state)
{
	struct blk *b = opened(8192);
	char s[4096];

	(void)state;
	assert_int_equal(ftruncate(b->fd, 6000), 0);
	assert_int_equal(rw(b, BLK_READ, 4096, s, 4096), EIO);
	blk_close(b);
}

static void raw__refuses_changes_when_read_only(void **state)
{
	struct sill_err e = { 0 };
	struct blk *b = open_image(image(8192, O_RDONLY), true, false, &e);
	char s[512] = { 0 };

	(void)state;
	assert_non_null(b);
	assert_false(b->can_discard);
	assert_int_equal(rw(b, BLK_WRITE, 0, s, 512), EROFS);
	assert_int_equal(zero(b, BLK_DISCARD, 0, 512, false), EROFS);
	assert_int_equal(zero(b, BLK_WRITE_ZEROES, 0, 512, false), EROFS);
	assert_int_equal(rw(b, BLK_READ, 0, s, 512), 0);
	assert_int_equal(run(b, (struct blk_req){ .op = BLK_FLUSH }), 0);
	blk_close(b);
}

static void raw__zeroes_and_discards_exactly_the_range(void **state)
{
	static const struct {
		enum blk_op op;
		bool unmap;
	} ways[] = { { BLK_DISCARD, false },
		     { BLK_WRITE_ZEROES, false },
		     { BLK_WRITE_ZEROES, true } };
	const size_t size = 4 << 20;
	char *p = malloc(size);

	(void)state;
	for (size_t w = 0; w < 3; w++) {
		struct blk *b = opened((off_t)size);
		const uint64_t from = 1024, n = (3 << 20) + 512;
		struct stat st;

		assert_true(b->can_discard);
		memset(p, 'x', size);
		assert_int_equal(rw(b, BLK_WRITE, 0, p, size), 0);
		assert_int_equal(zero(b, ways[w].op, from, n, ways[w].unmap), 0);
		assert_int_equal(rw(b, BLK_READ, 0, p, size), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], i < from || i >= from + n ? 'x' : 0);
		assert_int_equal(fstat(b->fd, &st), 0);
		assert_int_equal(st.st_size, size);
		if (w != 1)
			assert_true(st.st_blocks * 512 < (2 << 20));
		assert_int_equal(zero(b, ways[w].op, 0, 0, false), 0);
		blk_close(b);
	}
	free(p);
}

/* A memfd of hugetlbfs-less tmpfs has no ZERO_RANGE: the zeroes are written. */
static void raw__writes_zeroes_where_the_host_has_no_call_for_it(void **state)
{
	struct sill_err e = { 0 };
	const size_t size = 3 << 20;
	int fd = memfd_create("disk", MFD_CLOEXEC);
	char *p = malloc(size);
	struct blk *b;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	b = open_image(fd, false, false, &e);
	assert_non_null(b);
	memset(p, 'x', size);
	assert_int_equal(rw(b, BLK_WRITE, 0, p, size), 0);
	assert_int_equal(zero(b, BLK_WRITE_ZEROES, 512, size - 1024, false), 0);
	assert_int_equal(rw(b, BLK_READ, 0, p, size), 0);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(p[i], i < 512 || i >= size - 512 ? 'x' : 0);
	free(p);
	blk_close(b);
}

static void raw__reports_the_errno_of_the_host(void **state)
{
	struct sill_err e = { 0 };
	int fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char s[512] = { 1 };
	struct blk *b;

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0); /* writes fail with EPERM */
	b = open_image(fd, false, false, &e);
	assert_non_null(b);
	assert_int_equal(rw(b, BLK_WRITE, 0, s, 512), EPERM);
	blk_close(b);
}

static void any_alignment(int fd, size_t size)
{
	struct sill_err e = { 0 };
	char *shadow = calloc(1, size);
	char *mem = aligned_alloc(4096, size + 4096), *back = malloc(size);
	struct blk *b;
	unsigned seed = 1;

	b = open_image(fd, false, true, &e);
	assert_non_null(b);
	assert_true(b->direct);
	for (int i = 0; i < 400; i++) {
		const uint64_t off = (uint64_t)rand_r(&seed) % 3000 * 512;
		const size_t n = ((size_t)rand_r(&seed) % (i % 10 == 0 ? 1000 : 20) + 1) * 512;
		/* Memory at any address, in two pieces that need not be whole sectors. */
		char *p = mem + (i % 3 == 0 ? 0 : (size_t)rand_r(&seed) % 4096);
		const size_t cut = (size_t)rand_r(&seed) % (n + 1);
		struct iovec v[2] = { { p, cut }, { p + cut, n - cut } };
		struct blk_req r = { .offset = off, .length = n, .iov = v, .iov_count = 2 };

		if (cut == 0 || cut == n)
			r.iov = &v[cut == 0], r.iov_count = 1;
		if (i % 4 != 3) {
			memset(p, i, n);
			memset(shadow + off, i, n);
			r.op = BLK_WRITE;
			assert_int_equal(run(b, r), 0);
		} else {
			r.op = BLK_READ;
			assert_int_equal(run(b, r), 0);
			assert_int_equal(memcmp(p, shadow + off, n), 0);
		}
	}
	assert_int_equal(rw(b, BLK_READ, 0, back, size), 0);
	assert_int_equal(memcmp(back, shadow, size), 0);
	free(back);
	free(mem);
	free(shadow);
	blk_close(b);
}

static void raw__direct_takes_any_alignment(void **state)
{
	const size_t size = 2 << 20;
	int fd = image((off_t)size, O_RDWR | O_DIRECT);

	(void)state;
	if (fd < 0)
		skip();
	any_alignment(fd, size);
}

/* A memfd says nothing about alignment, so whole pages are used: parts are read, changed, written. */
static void raw__direct_keeps_what_is_beside_a_part_of_a_block(void **state)
{
	const size_t size = 2 << 20;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	any_alignment(fd, size);
}

/* A loop device over a file, gone with its last descriptor; -1 where we may not have one. */
static int loop_device(off_t size, uint32_t sector, bool direct)
{
	struct loop_config c = { .block_size = sector, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), loop = -1, own = -1, n;
	char name[32];

	c.fd = (uint32_t)image(size, O_RDWR);
	(void)unlink(path);
	n = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
	(void)snprintf(name, sizeof(name), "/dev/loop%d", n);
	if (n >= 0)
		loop = open(name, O_RDWR | O_CLOEXEC);
	if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &c) == 0)
		own = open(name, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0));
	if (loop >= 0)
		close(loop);
	if (control >= 0)
		close(control);
	close((int)c.fd);
	return own;
}

static void raw__works_on_block_devices(void **state)
{
	static const uint32_t sectors[] = { 512, 4096 };
	const size_t size = 2 << 20;
	char *p = malloc(size);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const bool direct = i % 2 == 1;
		int fd = loop_device((off_t)size, sectors[i / 2], direct);
		struct sill_err e = { 0 };
		struct blk *b;

		if (fd < 0) {
			free(p);
			skip();
		}
		b = open_image(dup(fd), false, direct, &e);
		assert_non_null(b);
		assert_int_equal(b->capacity, size);
		assert_int_equal(b->block_size, 512);
		assert_int_equal(b->phys_size, sectors[i / 2]);
		memset(p, 'x', size);
		assert_int_equal(rw(b, BLK_WRITE, 0, p, size), 0);
		assert_int_equal(zero(b, BLK_WRITE_ZEROES, 512, 65536, false), 0);
		assert_int_equal(zero(b, BLK_WRITE_ZEROES, 1 << 20, 65536, true), 0);
		assert_int_equal(zero(b, BLK_DISCARD, 4096 + 512, 512, false), 0);
		assert_int_equal(run(b, (struct blk_req){ .op = BLK_FLUSH }), 0);
		assert_int_equal(rw(b, BLK_READ, 0, p, size), 0);
		for (size_t k = 0; k < size; k++) {
			const bool hole = (k >= 512 && k < 512 + 65536) ||
					  (k >= 1 << 20 && k < (1 << 20) + 65536);

			assert_int_equal(p[k], hole ? 0 : 'x');
		}
		memset(p, 0, size);
		assert_int_equal(rw(b, BLK_WRITE, 0, p, size), 0);
		blk_close(b);
		if (direct)
			any_alignment(fd, size);
		else
			close(fd);
	}
	free(p);
}

static void raw__direct_is_given_up_for_an_odd_size(void **state)
{
	struct sill_err e = { 0 };
	int fd = image(8192 + 512, O_RDWR | O_DIRECT);
	char s[512];
	struct blk *b;

	(void)state;
	if (fd < 0)
		skip();
	b = open_image(fd, false, true, &e);
	assert_non_null(b);
	if (!b->direct)
		assert_int_equal(fcntl(b->fd, F_GETFL) & O_DIRECT, 0);
	memset(s, 'y', sizeof(s));
	assert_int_equal(rw(b, BLK_WRITE, 8192, s, 512), 0);
	assert_int_equal(rw(b, BLK_READ, 8192, s, 512), 0);
	blk_close(b);
}

/* The guest may switch between write-back and write-through at any time. */
static void raw__writes_either_way_and_switches(void **state)
{
	const size_t size = 64 * 512;
	struct blk *b = opened((off_t)size);
	char p[512], back[512];

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		memset(p, (int)i + 1, sizeof(p));
		__atomic_store_n(&b->writeback, (i / 3) % 2 == 0, __ATOMIC_RELEASE);
		assert_int_equal(rw(b, BLK_WRITE, i * 512, p, sizeof(p)), 0);
		assert_int_equal(rw(b, BLK_READ, i * 512, back, sizeof(back)), 0);
		assert_memory_equal(p, back, sizeof(p));
		if (i % 7 == 0)
			assert_int_equal(run(b, (struct blk_req){ .op = BLK_FLUSH }), 0);
	}
	assert_int_equal(rw(b, BLK_READ, 0, p, 0), 0);
	assert_int_equal(rw(b, BLK_WRITE, 0, p, 0), 0);
	blk_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blk_open__refuses_what_is_empty),
		cmocka_unit_test(blk_open__refuses_a_pipe_and_closes_it),
		cmocka_unit_test(raw__fills_up_the_last_sector_with_zeroes),
		cmocka_unit_test(raw_resize__fills_up_the_last_sector),
		cmocka_unit_test(raw__reads_back_what_was_written),
		cmocka_unit_test(raw__takes_more_vectors_than_one_call_can),
		cmocka_unit_test(raw__reports_a_file_cut_under_it),
		cmocka_unit_test(raw__refuses_changes_when_read_only),
		cmocka_unit_test(raw__zeroes_and_discards_exactly_the_range),
		cmocka_unit_test(raw__writes_zeroes_where_the_host_has_no_call_for_it),
		cmocka_unit_test(raw__reports_the_errno_of_the_host),
		cmocka_unit_test(raw__direct_takes_any_alignment),
		cmocka_unit_test(raw__direct_keeps_what_is_beside_a_part_of_a_block),
		cmocka_unit_test(raw__works_on_block_devices),
		cmocka_unit_test(raw__direct_is_given_up_for_an_odd_size),
		cmocka_unit_test(raw__writes_either_way_and_switches),
	};

	return blk_kit_each_way(tests, ARRAY_LEN(tests));
}
