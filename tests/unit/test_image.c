/* SPDX-License-Identifier: Apache-2.0 */
/* test_image.c - images without a VM: made, opened, read, written, looked at. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/block/qcow2.h"
#include "backend/block/vhd.h"
#include "sill/image.h"

#define MIB (1024 * 1024ull)

static int file(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void ok(int ret, const struct sill_err *e)
{
	if (ret != 0)
		fail_msg("%s", e->msg);
}

static void make(int fd, const struct sill_image_options *o)
{
	struct sill_err e = { 0 };

	ok(sill_image_create(fd, o, &e), &e);
}

/* Takes a copy of @fd. */
static struct sill_image *open_it(int fd, enum sill_disk_format format, struct sill_image *backing)
{
	struct sill_image_source s = {
		.fd = dup(fd), .path = "image", .format = format, .backing = backing
	};
	struct sill_err e = { 0 };
	struct sill_image *i = sill_image_open(&s, &e);

	if (i == NULL)
		fail_msg("%s", e.msg);
	return i;
}

/* Every kind of image that can be made. */
/* clang-format off */
static const struct sill_image_options kinds[] = {
	{ .format = SILL_DISK_RAW },
	{ .format = SILL_DISK_RAW, .prealloc = SILL_PREALLOC_FULL },
	{ .format = SILL_DISK_QCOW2 },
	{ .format = SILL_DISK_QCOW2, .version = 2 },
	{ .format = SILL_DISK_QCOW2, .block_size = 512, .refcount_bits = 1 },
	{ .format = SILL_DISK_QCOW2, .block_size = 512, .refcount_bits = 64, .prealloc = SILL_PREALLOC_METADATA },
	{ .format = SILL_DISK_QCOW2, .block_size = 2 * MIB, .subclusters = true },
	{ .format = SILL_DISK_QCOW2, .subclusters = true, .prealloc = SILL_PREALLOC_METADATA },
	{ .format = SILL_DISK_QCOW2, .prealloc = SILL_PREALLOC_FULL, .lazy_refcounts = true },
	{ .format = SILL_DISK_VHD },
	{ .format = SILL_DISK_VHD, .block_size = 512 * 1024 },
	{ .format = SILL_DISK_VHD, .fixed = true },
	{ .format = SILL_DISK_VHD, .fixed = true, .prealloc = SILL_PREALLOC_FULL },
	{ .format = SILL_DISK_VHDX },
	{ .format = SILL_DISK_VHDX, .block_size = MIB, .sector_size = 4096 },
	{ .format = SILL_DISK_VHDX, .block_size = MIB, .physical_size = 512 },
	{ .format = SILL_DISK_VHDX, .block_size = MIB, .fixed = true },
};
/* clang-format on */

static void image_create__every_kind_opens_and_holds_what_is_written(void **state)
{
	uint8_t in[4096], out[4096];

	(void)state;
	memset(in, 0xa5, sizeof(in));
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		struct sill_image_options o = kinds[k];
		enum sill_disk_format told;
		struct sill_image_info f;
		struct sill_err e = { 0 };
		struct sill_image *i;
		int fd = file();

		o.size = 9 * MIB + 8192;
		make(fd, &o);
		ok(sill_image_tell(fd, &told, &e), &e);
		assert_int_equal(told, o.format);
		ok(sill_image_info(fd, "image", told, &f, &e), &e);
		assert_int_equal(f.size, o.size);
		assert_int_equal(f.fixed, o.fixed);
		assert_int_equal(f.subclusters, o.subclusters);
		if (o.format == SILL_DISK_VHDX)
			assert_int_equal(f.physical_size, o.physical_size ? o.physical_size : 4096);
		i = open_it(fd, o.format, NULL);
		assert_int_equal(sill_image_size(i), o.size);
		for (uint64_t at = 0; at < o.size; at += sizeof(out)) {
			ok(sill_image_read(i, out, sizeof(out), at, &e), &e);
			assert_true(out[0] == 0 && memcmp(out, out + 1, sizeof(out) - 1) == 0);
		}
		ok(sill_image_write(i, in, sizeof(in), o.size - 4096, &e), &e);
		ok(sill_image_flush(i, &e), &e);
		sill_image_close(i);
		i = open_it(fd, o.format, NULL);
		ok(sill_image_read(i, out, sizeof(out), o.size - 4096, &e), &e);
		assert_memory_equal(in, out, sizeof(in));
		sill_image_close(i);
		(void)close(fd);
	}
}

static void image_create__what_a_format_cannot_do_is_refused(void **state)
{
	/* clang-format off */
	static const struct sill_image_options wrong[] = {
		{ .format = SILL_DISK_RAW, .size = 0 },
		{ .format = SILL_DISK_RAW, .size = 513 },
		{ .format = SILL_DISK_RAW, .size = MIB, .block_size = 65536 },
		{ .format = SILL_DISK_RAW, .size = MIB, .backing = "x" },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .block_size = 256 },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .block_size = 4 * MIB },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .block_size = 65537 },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .version = 4 },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .version = 2, .subclusters = true },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .refcount_bits = 3 },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .refcount_bits = 128 },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .block_size = 8192, .subclusters = true },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .fixed = true },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .backing = "x", .prealloc = SILL_PREALLOC_METADATA },
		{ .format = SILL_DISK_QCOW2, .size = MIB, .backing = "x", .backing_format = SILL_DISK_VHD },
		{ .format = SILL_DISK_QCOW2, .size = 1ull << 61, .block_size = 512 },
		{ .format = SILL_DISK_VHD, .size = 1ull << 42 },
		{ .format = SILL_DISK_VHD, .size = MIB, .prealloc = SILL_PREALLOC_FULL },
		{ .format = SILL_DISK_VHDX, .size = MIB, .sector_size = 1024 },
		{ .format = SILL_DISK_VHDX, .size = MIB, .physical_size = 1024 },
		{ .format = SILL_DISK_VHD, .size = MIB, .physical_size = 512 },
		{ .format = SILL_DISK_VHDX, .size = MIB + 512, .sector_size = 4096 },
		{ .format = SILL_DISK_VHDX, .size = 1ull << 47 },
	};
	/* clang-format on */
	struct stat st;

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(wrong); k++) {
		struct sill_err e = { 0 };
		int fd = file();

		assert_int_equal(sill_image_create(fd, &wrong[k], &e), -1);
		assert_true(e.msg[0] != '\0');
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, 0);
		(void)close(fd);
	}
}

static void image_create__a_file_with_something_in_it_is_left_alone(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = MIB };
	struct sill_err e = { 0 };
	int fd = file();
	char c = 0;

	(void)state;
	assert_int_equal(write(fd, "precious", 8), 8);
	assert_int_equal(sill_image_create(fd, &o, &e), -1);
	assert_int_equal(pread(fd, &c, 1, 0), 1);
	assert_int_equal(c, 'p');
	(void)close(fd);
}

static void image_create__the_name_below_has_to_fit_the_first_cluster(void **state)
{
	struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = MIB, .block_size = 512 };
	struct sill_err e = { 0 };
	char name[1100];
	int fd = file();

	(void)state;
	memset(name, 'n', sizeof(name));
	name[400] = '\0';
	o.backing = name;
	assert_int_equal(sill_image_create(fd, &o, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	(void)close(fd);
	fd = file();
	name[400] = 'n';
	name[1024] = '\0';
	o.block_size = 65536;
	assert_int_equal(sill_image_create(fd, &o, &e), -1);
	(void)close(fd);
	fd = file();
	name[1023] = '\0';
	make(fd, &o);
	(void)close(fd);
}

/* base: raw, 0-1 MiB data; mid: qcow2, data at 64 KiB, zeroes at 128 KiB; top: data at 192 KiB. */
static struct sill_image *three_levels(int fds[3])
{
	struct sill_image_options o = { .format = SILL_DISK_RAW, .size = MIB };
	static uint8_t bytes[65536];
	struct sill_image *i = NULL;
	struct sill_err e = { 0 };

	memset(bytes, 0x11, sizeof(bytes));
	for (int k = 0; k < 3; k++) {
		fds[k] = file();
		make(fds[k], &o);
		i = open_it(fds[k], o.format, i);
		ok(sill_image_write(i, bytes, sizeof(bytes), (uint64_t)k * 65536 + (k == 2) * 65536,
				    &e),
		   &e);
		if (k == 1)
			ok(sill_image_zero(i, 131072, 65536, true, &e), &e);
		o = (struct sill_image_options){ .format = SILL_DISK_QCOW2,
						 .size = 2 * MIB,
						 .backing = "below",
						 .backing_format = o.format };
	}
	return i;
}

static void image_extent__tells_which_image_has_what(void **state)
{
	static const struct {
		uint64_t off;
		unsigned depth;
		bool present, data, zero;
	} want[] = {
		{ 0, 2, true, true, false },      { 65536, 1, true, true, false },
		{ 131072, 1, true, false, true }, { 196608, 0, true, true, false },
		{ 262144, 2, true, false, true }, { MIB, 1, false, false, true },
	};
	struct sill_image_extent x;
	struct sill_err e = { 0 };
	struct sill_image *i;
	int fds[3];

	(void)state;
	i = three_levels(fds);
	for (size_t k = 0; k < ARRAY_LEN(want); k++) {
		ok(sill_image_extent(i, want[k].off, 2 * MIB - want[k].off, 16, &x, &e), &e);
		assert_int_equal(x.offset, want[k].off);
		assert_int_equal(x.depth, want[k].depth);
		assert_int_equal(x.present, want[k].present);
		assert_int_equal(x.data, want[k].data);
		assert_int_equal(x.zero, want[k].zero);
	}
	/* Only the top one: it has nothing here, and that says nothing about zeroes. */
	ok(sill_image_extent(i, 0, MIB, 0, &x, &e), &e);
	assert_false(x.present || x.zero);
	assert_int_equal(x.length, 196608);
	assert_int_equal(sill_image_extent(i, 2 * MIB, 512, 0, &x, &e), -1);
	sill_image_close(i);
	for (int k = 0; k < 3; k++)
		(void)close(fds[k]);
}

/* Data, zeroes that are written and holes, in runs of odd lengths. */
static struct sill_image *patchwork(const struct sill_image_options *o, int *ret_fd)
{
	static uint8_t bytes[256 * 1024];
	struct sill_err e = { 0 };
	struct sill_image *i;
	unsigned seed = 7;

	*ret_fd = file();
	make(*ret_fd, o);
	i = open_it(*ret_fd, o->format, NULL);
	for (uint64_t at = 0; at + sizeof(bytes) <= o->size;) {
		const uint64_t n = 512 * (1 + (seed = seed * 1103515245 + 12345) / 65536 % 512);

		memset(bytes, (int)(seed >> 24 & 0xff), n);
		if (seed >> 8 & 1)
			memset(bytes, 0, n / 1024 * 512);
		if ((seed >> 9 & 3) != 0)
			ok(sill_image_write(i, bytes, n, at, &e), &e);
		at += n;
	}
	ok(sill_image_flush(i, &e), &e);
	return i;
}

static void same(struct sill_image *a, struct sill_image *b)
{
	static uint8_t x[65536], y[65536];
	struct sill_err e = { 0 };

	for (uint64_t at = 0; at < sill_image_size(a); at += sizeof(x)) {
		const uint64_t left = sill_image_size(a) - at;
		const size_t n = left < sizeof(x) ? (size_t)left : sizeof(x);

		ok(sill_image_read(a, x, n, at, &e), &e);
		ok(sill_image_read(b, y, n, at, &e), &e);
		assert_memory_equal(x, y, n);
	}
}

static void image_copy__any_kind_to_any_kind(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		struct sill_image_options a = kinds[k], b = kinds[(k * 7 + 3) % ARRAY_LEN(kinds)];
		struct sill_image_copy c = { .is_new = true, .workers = 1 + (unsigned)k % 4 };
		struct sill_err e = { 0 };
		int from, to = file();

		a.size = b.size = 9 * MIB + 8192;
		c.from = patchwork(&a, &from);
		make(to, &b);
		c.to = open_it(to, b.format, NULL);
		ok(sill_image_copy(&c, &e), &e);
		same(c.from, c.to);
		sill_image_close(c.from);
		sill_image_close(c.to);
		(void)close(from);
		(void)close(to);
	}
}

static void image_copy__zeroes_replace_what_was_there(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = 4 * MIB };
	static uint8_t bytes[4 * MIB];
	struct sill_image_copy c = { .workers = 3 };
	struct sill_err e = { 0 };
	int from, to = file();

	(void)state;
	memset(bytes, 0x77, sizeof(bytes));
	c.from = patchwork(&o, &from);
	make(to, &o);
	c.to = open_it(to, o.format, NULL);
	ok(sill_image_write(c.to, bytes, sizeof(bytes), 0, &e), &e);
	ok(sill_image_copy(&c, &e), &e);
	same(c.from, c.to);
	sill_image_close(c.from);
	sill_image_close(c.to);
	(void)close(from);
	(void)close(to);
}

static void image_copy__of_the_top_one_leaves_the_rest_alone(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_RAW, .size = 2 * MIB };
	struct sill_image_copy c = { .top_only = true };
	struct sill_err e = { 0 };
	static uint8_t bytes[2 * MIB];
	int fds[3], to = file();

	(void)state;
	memset(bytes, 0x77, sizeof(bytes));
	make(to, &o);
	c.from = three_levels(fds);
	c.to = open_it(to, o.format, NULL);
	ok(sill_image_write(c.to, bytes, sizeof(bytes), 0, &e), &e);
	ok(sill_image_copy(&c, &e), &e);
	ok(sill_image_read(c.to, bytes, sizeof(bytes), 0, &e), &e);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i >= 196608 && i < 262144 ? 0x11 : 0x77);
	sill_image_close(c.from);
	sill_image_close(c.to);
	for (int k = 0; k < 3; k++)
		(void)close(fds[k]);
	(void)close(to);
}

static bool enough(void *ctx, uint64_t done, uint64_t size)
{
	(void)size;
	return done < 2 * MIB || ++*(int *)ctx == 0;
}

static void image_copy__ends_when_nobody_wants_it_any_more(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_RAW, .size = 64 * MIB };
	int from, to = file(), asked = 0;
	struct sill_image_copy c = {
		.is_new = true, .workers = 4, .progress = enough, .ctx = &asked
	};
	struct sill_err e = { 0 };

	(void)state;
	c.from = patchwork(&o, &from);
	make(to, &o);
	c.to = open_it(to, o.format, NULL);
	/* The other threads may have all of it before we are asked once. */
	if (sill_image_copy(&c, &e) != 0)
		assert_string_equal(e.msg, "interrupted");
	else
		assert_int_equal(asked, 1);
	sill_image_close(c.from);
	sill_image_close(c.to);
	(void)close(from);
	(void)close(to);
}

static void image_info__foreign_bytes_are_looked_at_only(void **state)
{
	static uint8_t junk[128 * 1024];
	struct sill_image_info *f = malloc(sizeof(*f));
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		int fd = file();

		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
		memcpy(junk, round % 2 == 0 ? "QFI\xfb\0\0\0\3" : "vhdxfile", 8);
		qcow2_put_be32(junk + 20, 9 + (uint32_t)round % 13);
		assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
		for (int k = 0; k < 4; k++) {
			struct sill_err e = { 0 };

			(void)sill_image_info(fd, "junk", (enum sill_disk_format)k, f, &e);
		}
		(void)close(fd);
	}
	free(f);
}

/* A name table up to where it looks, and then it does not know who else uses clusters. */
/* The footer's checksum is right, and what it says is not; its copy is good: everybody goes by that. */
static void image_info__a_footer_that_leads_nowhere_has_a_copy(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_VHD, .size = 4 * MIB };
	const uint8_t far_away[8] = { 0, 0, 1 };
	struct sill_image_info *f = malloc(sizeof(*f));
	struct vhd_footer footer;
	struct sill_err e = { 0 };
	struct sill_image *i;
	struct stat st;
	uint8_t byte = 7;
	int fd = file();

	(void)state;
	make(fd, &o);
	i = open_it(fd, SILL_DISK_VHD, NULL);
	ok(sill_image_write(i, memset(f, 7, 512), 512, MIB, &e), &e);
	ok(sill_image_finish(i, &e), &e);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pread(fd, &footer, sizeof(footer), st.st_size - 512), sizeof(footer));
	memcpy(&footer.data_offset, far_away, sizeof(far_away));
	footer.checksum = be32_of(
		vhd_checksum(&footer, sizeof(footer), offsetof(struct vhd_footer, checksum)));
	assert_int_equal(pwrite(fd, &footer, sizeof(footer), st.st_size - 512), sizeof(footer));
	ok(sill_image_info(fd, "image", SILL_DISK_VHD, f, &e), &e);
	assert_int_equal(f->size, 4 * MIB);
	assert_int_equal(f->block_size, 2 * MIB);
	/* Without it there is nothing. */
	assert_int_equal(pwrite(fd, "kaputt", 6, 0), 6);
	assert_int_equal(sill_image_info(fd, "image", SILL_DISK_VHD, f, &e), -1);
	assert_non_null(strstr(e.msg, "second header"));
	assert_int_equal(pwrite(fd, "conect", 6, 0), 6);
	i = open_it(fd, SILL_DISK_VHD, NULL);
	e = (struct sill_err){ 0 };
	ok(sill_image_read(i, &footer, 512, MIB, &e), &e);
	assert_memory_equal(&footer, &byte, 1);
	sill_image_close(i);
	free(f);
	close(fd);
}

static void image_check__frees_nothing_when_the_header_goes_on(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = MIB };
	const uint32_t ends[] = { 4096, 4088 };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		int fd = file();
		const struct sill_image_checking how = {
			.fd = fd, .path = "image", .format = o.format, .repair = true
		};
		struct sill_image_check r = { 0 };
		struct sill_err e = { 0 };
		uint8_t ext[8], count[2] = { 0, 1 };

		make(fd, &o);
		qcow2_put_be32(ext, 0x6803f857);
		qcow2_put_be32(ext + 4, ends[i] - 120);
		assert_int_equal(pwrite(fd, ext, 8, 112), 8);
		/* Bitmaps may be behind it; what one of them uses looks leaked. */
		qcow2_put_be32(ext, 0x23852875);
		assert_int_equal(pwrite(fd, ext, 8, ends[i]), 8);
		assert_int_equal(pwrite(fd, count, 2, 0x20000 + 2 * 4), 2);
		assert_int_equal(ftruncate(fd, 0x50000), 0);
		ok(sill_image_check(&how, &r, &e), &e);
		assert_int_equal(r.leaks_fixed, 0);
		assert_int_equal(pread(fd, count, 2, 0x20000 + 2 * 4), 2);
		assert_int_equal(count[1], 1);
		(void)close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_create__every_kind_opens_and_holds_what_is_written),
		cmocka_unit_test(image_create__what_a_format_cannot_do_is_refused),
		cmocka_unit_test(image_create__a_file_with_something_in_it_is_left_alone),
		cmocka_unit_test(image_create__the_name_below_has_to_fit_the_first_cluster),
		cmocka_unit_test(image_extent__tells_which_image_has_what),
		cmocka_unit_test(image_copy__any_kind_to_any_kind),
		cmocka_unit_test(image_copy__zeroes_replace_what_was_there),
		cmocka_unit_test(image_copy__of_the_top_one_leaves_the_rest_alone),
		cmocka_unit_test(image_copy__ends_when_nobody_wants_it_any_more),
		cmocka_unit_test(image_info__a_footer_that_leads_nowhere_has_a_copy),
		cmocka_unit_test(image_check__frees_nothing_when_the_header_goes_on),
		cmocka_unit_test(image_info__foreign_bytes_are_looked_at_only),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
