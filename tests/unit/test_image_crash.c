/* SPDX-License-Identifier: Apache-2.0 */
/* test_image_crash.c - power cuts while an image's header or refcounts change; how is in note_kit.h. */
#include "note_kit.h"
#include "sill/image.h"

/* --- an image to change --------------------------------------------------- */

/* 3 MiB on top of a raw image of 8, data at 1 MiB and at the very end. */
static struct sill_image *open_top(int fd, int base)
{
	struct sill_image_source below = { .fd = dup(base), .path = "base", .readonly = true };
	struct sill_image_source s = { .fd = dup(fd), .path = "top", .format = SILL_DISK_QCOW2 };
	struct sill_err e = { 0 };
	struct sill_image *i;

	s.backing = sill_image_open(&below, &e);
	i = sill_image_open(&s, &e);
	if (i == NULL)
		fail_msg("%s", e.msg);
	return i;
}

static void make_top(int *ret_fd, int *ret_base)
{
	static uint8_t bytes[8 * MIB];
	const struct sill_image_options raw = { .size = 8 * MIB };
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2,
					      .size = 3 * MIB + 512,
					      .block_size = 4096,
					      .backing = "base" };
	struct sill_err e = { 0 };
	struct sill_image *i;

	*ret_base = file();
	ok(sill_image_create(*ret_base, &raw, &e), &e);
	memset(bytes, 0xbb, sizeof(bytes));
	assert_int_equal(pwrite(*ret_base, bytes, sizeof(bytes), 0), sizeof(bytes));
	*ret_fd = file();
	ok(sill_image_create(*ret_fd, &o, &e), &e);
	i = open_top(*ret_fd, *ret_base);
	memset(bytes, 0x11, sizeof(bytes));
	ok(sill_image_write(i, bytes, 8192, MIB, &e), &e);
	ok(sill_image_write(i, bytes, 512, 3 * MIB, &e), &e);
	sill_image_close(i);
}

static void no_errors(int fd)
{
	const struct sill_image_checking how = { .fd = fd,
						 .path = "image",
						 .format = SILL_DISK_QCOW2 };
	struct sill_image_check r;
	struct sill_err e = { 0 };

	ok(sill_image_check(&how, &r, &e), &e);
	assert_int_equal(r.errors, 0);
}

static void judge_contents(int fd, int base)
{
	struct sill_image *i = open_top(fd, base);
	const uint64_t size = sill_image_size(i);
	struct sill_err e = { 0 };
	uint8_t buf[4096];

	assert_int_equal(size, 3 * MIB + 512);
	for (uint64_t at = 0; at < size; at += 512) {
		const bool ours = (at >= MIB && at < MIB + 8192) || at == 3 * MIB;
		const uint8_t want = ours ? 0x11 : 0xbb;

		/* Much of it is the same: only around what is not. */
		if (at > 65536 && at < MIB - 4096)
			at = MIB - 4096;
		ok(sill_image_read(i, buf, 512, at, &e), &e);
		if (buf[0] != want || buf[511] != want)
			fail_msg("at %llu: %02x", (unsigned long long)at, buf[0]);
	}
	sill_image_close(i);
	no_errors(fd);
}

/* --- the name below -------------------------------------------------------- */

static char short_name[] = "b";
static char long_name[701];

static void check_name(int fd, const char *a, enum sill_disk_format af, const char *b,
		       enum sill_disk_format bf)
{
	static struct sill_image_info f;
	struct sill_err e = { 0 };

	ok(sill_image_info(fd, "image", SILL_DISK_QCOW2, &f, &e), &e);
	if (strcmp(f.backing, a) == 0)
		assert_int_equal(f.backing_format, af);
	else if (strcmp(f.backing, b) == 0)
		assert_int_equal(f.backing_format, bf);
	else
		fail_msg("'%s'", f.backing);
}

static void to_long(int fd, int base)
{
	struct sill_err e = { 0 };

	(void)base;
	ok(sill_image_set_backing(fd, "image", long_name, SILL_DISK_QCOW2, &e), &e);
}

static void judge_long(int fd, int base)
{
	(void)base;
	check_name(fd, short_name, SILL_DISK_RAW, long_name, SILL_DISK_QCOW2);
	no_errors(fd);
}

static void to_short(int fd, int base)
{
	struct sill_err e = { 0 };

	(void)base;
	ok(sill_image_set_backing(fd, "image", short_name, SILL_DISK_RAW, &e), &e);
}

static void image_set_backing__a_power_cut_leaves_one_name_with_its_format(void **state)
{
	const struct sill_image_options o = {
		.format = SILL_DISK_QCOW2, .size = MIB, .block_size = 4096, .backing = short_name
	};
	const struct change there = { .make = to_long, .judge = judge_long };
	const struct change back = { .make = to_short, .judge = judge_long };
	struct sill_err e = { 0 };
	int fd = file();

	(void)state;
	memset(long_name, 'l', sizeof(long_name) - 1);
	ok(sill_image_create(fd, &o, &e), &e);
	for (int i = 0; i < 4; i++) {
		cut_anywhere(&there, fd);
		check_name(fd, long_name, SILL_DISK_QCOW2, "", SILL_DISK_RAW);
		cut_anywhere(&back, fd);
		check_name(fd, short_name, SILL_DISK_RAW, "", SILL_DISK_RAW);
	}
	(void)close(fd);
}

static void image_set_backing__the_other_extensions_stay(void **state)
{
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = MIB };
	uint8_t head[512], ext[24] = { 0 };
	static struct sill_image_info f;
	struct sill_err e = { 0 };
	int fd = file();

	(void)state;
	ok(sill_image_create(fd, &o, &e), &e);
	qcow2_put_be32(ext, 0x12345678);
	qcow2_put_be32(ext + 4, 5);
	memcpy(ext + 8, "other", 5);
	assert_int_equal(pwrite(fd, ext, 16, 112), 16);
	ok(sill_image_set_backing(fd, "image", "base", SILL_DISK_RAW, &e), &e);
	ok(sill_image_info(fd, "image", SILL_DISK_QCOW2, &f, &e), &e);
	assert_string_equal(f.backing, "base");
	assert_true(f.has_backing_format);
	ok(sill_image_set_backing(fd, "image", NULL, SILL_DISK_RAW, &e), &e);
	ok(sill_image_info(fd, "image", SILL_DISK_QCOW2, &f, &e), &e);
	assert_string_equal(f.backing, "");
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	assert_non_null(memmem(head, sizeof(head), "\x12\x34\x56\x78\0\0\0\5other", 13));
	(void)close(fd);
}

/* Headers that are as long as all that is looked at, or shorter than one is. */
static void image_set_backing__a_forged_length_is_an_error(void **state)
{
	static const uint32_t lengths[] = { 0, 8, 96, 105, 8176, 8184, 8192, UINT32_MAX };
	const struct sill_image_options o = { .format = SILL_DISK_QCOW2, .size = MIB };
	uint8_t before[8192], after[8192], length[4];

	(void)state;
	memset(long_name, 'l', sizeof(long_name) - 1);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct sill_err e = { 0 };
		int fd = file();

		ok(sill_image_create(fd, &o, &e), &e);
		qcow2_put_be32(length, lengths[i]);
		assert_int_equal(pwrite(fd, length, 4, 100), 4);
		assert_int_equal(pread(fd, before, sizeof(before), 0), sizeof(before));
		assert_int_equal(sill_image_set_backing(fd, "image", long_name, SILL_DISK_RAW, &e),
				 -1);
		assert_int_equal(pread(fd, after, sizeof(after), 0), sizeof(after));
		assert_memory_equal(before, after, sizeof(before));
		(void)close(fd);
	}
}

/* --- repair ---------------------------------------------------------------- */

static void repair(int fd, int base)
{
	const struct sill_image_checking how = {
		.fd = fd, .path = "image", .format = SILL_DISK_QCOW2, .repair = true
	};
	struct sill_image_check r;
	struct sill_err e = { 0 };

	(void)base;
	ok(sill_image_check(&how, &r, &e), &e);
	assert_int_equal(r.errors + r.leaks, 0);
}

static void judge_repair(int fd, int base)
{
	int copy = copy_of(fd);

	repair(copy, base);
	judge_contents(copy, base);
	(void)close(copy);
}

static void put64(int fd, uint64_t v, uint64_t at)
{
	uint8_t word[8];

	qcow2_put_be64(word, v);
	assert_int_equal(pwrite(fd, word, 8, (off_t)at), 8);
}

static uint64_t get64(int fd, uint64_t at)
{
	uint8_t word[8];

	assert_int_equal(pread(fd, word, 8, (off_t)at), 8);
	return qcow2_be64(word);
}

/* Which damage: 0 counts too low, 1 a block is missing, 2 a flag, 3 counts too high. */
static void hurt(int fd, int kind)
{
	const uint64_t table = get64(fd, QCOW2_AT_RT_OFFSET), block = get64(fd, table);
	const uint64_t l2 = get64(fd, get64(fd, 40)) & QCOW2_OFFSET;

	if (kind == 0)
		put64(fd, 0, block + 8);
	else if (kind == 1)
		put64(fd, 0, table);
	else if (kind == 2)
		put64(fd, get64(fd, l2 + 8 * (MIB / 4096)) ^ QCOW2_COPIED, l2 + 8 * (MIB / 4096));
	else
		put64(fd, 0x0007000700070007, block);
}

static void image_check__a_power_cut_in_a_repair_loses_nothing(void **state)
{
	for (int kind = 0; kind < 4; kind++) {
		struct change c = { .make = repair, .judge = judge_repair };
		int fd;

		(void)state;
		make_top(&fd, &c.base);
		hurt(fd, kind);
		cut_anywhere(&c, fd);
		(void)close(fd);
		(void)close(c.base);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_set_backing__a_power_cut_leaves_one_name_with_its_format),
		cmocka_unit_test(image_set_backing__the_other_extensions_stay),
		cmocka_unit_test(image_set_backing__a_forged_length_is_an_error),
		cmocka_unit_test(image_check__a_power_cut_in_a_repair_loses_nothing),
	};

	return cmocka_run_group_tests_name("image_crash", tests, NULL, NULL);
}
