/* SPDX-License-Identifier: Apache-2.0 */
/* test_vhd.c - VHD images: crosswise with qemu-img, damaged, failing, cut off, killed. */
#include "sill/image.h"
#include "vhd_cases.h"

enum { DATA_OFFSET = 16, CURRENT_SIZE = 48, TYPE = 60, CHECKSUM = 64, BLOCK_SIZE = 32 };

#define DYNAMIC "subformat=dynamic,force_size=on"
#define FIXED   "subformat=fixed,force_size=on"

/* qemu-img has no check for this format; converting reads all of it. */
static void no_check(void) {}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Change a field of the structure at @at, with its checksum. */
static void forge(off_t at, size_t size, size_t sum_at, size_t field, uint32_t v)
{
	uint8_t s[1024];
	uint32_t sum = 0;

	rig_peek(at, s, size);
	put32(s + field, v);
	put32(s + sum_at, 0);
	for (size_t i = 0; i < size; i++)
		sum += s[i];
	put32(s + sum_at, ~sum);
	rig_poke(at, s, size);
}

static off_t image_size(void)
{
	struct stat st;

	assert_int_equal(stat(rig_path, &st), 0);
	return st.st_size;
}

static void forge_footer(size_t field, uint32_t v)
{
	forge(image_size() - 512, 512, CHECKSUM, field, v);
}

static void vhd_dynamic__holds_what_qemu_reads(void **state)
{
	(void)state;
	rig_round_trip(DYNAMIC);
}

static void vhd_fixed__holds_what_qemu_reads(void **state)
{
	(void)state;
	rig_round_trip(FIXED);
}

/* Without force_size qemu rounds up to a geometry; the disk is what the footer says, not it. */
static void vhd_open__takes_the_current_size(void **state)
{
	struct blk *b;
	struct sill_err e = { 0 };
	uint8_t f[512];

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make("subformat=dynamic");
	rig_peek(image_size() - 512, f, 512);
	b = rig_open();
	assert_int_equal(b->capacity, get32(f + CURRENT_SIZE + 4));
	assert_true(b->capacity > RIG_SECTORS * RIG_SECTOR);
	blk_close(b);
	/* Smaller than the geometry: still the size. */
	forge_footer(CURRENT_SIZE + 4, 1536);
	b = rig_try_open(false, &e);
	assert_non_null(b);
	assert_int_equal(b->capacity, 1536);
	blk_close(b);
}

static void vhd_open__recovers_the_footer(void **state)
{
	struct blk *b;
	uint8_t f[512], copy[512];
	off_t size;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	size = image_size();
	assert_int_equal(truncate(rig_path, size - 100), 0);
	b = rig_try_open(true, &(struct sill_err){ 0 });
	assert_non_null(b);
	blk_close(b);
	b = rig_open();
	rig_compare(b);
	assert_int_equal(rig_step(b), 0);
	blk_close(b);
	rig_peek(image_size() - 512, f, 512);
	rig_peek(0, copy, 512);
	assert_memory_equal(f, copy, 512);
	b = rig_open();
	rig_compare(b);
	blk_close(b);
}

/* A hole in the middle is gone without a trace, but for the size that the footer speaks of. */
static void vhd_salvage__reads_a_fixed_disk_as_far_as_it_goes(void **state)
{
	const uint64_t there = RIG_SECTORS * RIG_SECTOR;
	struct blk_status s = { 0 };
	uint8_t data[1024];
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(FIXED);
	forge_footer(CURRENT_SIZE + 4, (uint32_t)there + 4096);
	rig_refused(true, "shorter than the disk");
	b = rig_salvage();
	rig_compare(b);
	assert_int_equal(b->capacity, there + 4096);
	assert_int_equal(rig_rw(b, BLK_READ, there - 512, data, 1024), EIO);
	assert_int_equal(rig_rw(b, BLK_READ, there, data, 512), EIO);
	assert_int_equal(b->ops->status(b, there - 512, 1024, &s), 0);
	assert_int_equal(s.kind, BLK_DATA);
	assert_int_equal(s.length, 512);
	assert_int_equal(b->ops->status(b, there, 4096, &s), 0);
	assert_int_equal(s.kind, BLK_LOST);
	blk_close(b);
}

/* Somebody may be copying it still, and go on where the file ends. */
static void vhd_open__leaves_alone_what_is_cut(void **state)
{
	struct sill_image_checking how = { .path = rig_path,
					   .format = SILL_DISK_VHD,
					   .repair = true };
	struct sill_image_check r;
	uint8_t data[512] = { 1 };
	struct sill_err e = { 0 };
	struct blk *b;
	off_t size;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	b = rig_open();
	assert_int_equal(rig_rw(b, BLK_WRITE, 0, data, sizeof(data)), 0);
	assert_int_equal(blk_close(b), 0);
	size = image_size() - 4096;
	assert_int_equal(truncate(rig_path, size), 0);
	rig_refused(false, "outside of the file");
	assert_int_equal(image_size(), size);
	how.fd = open(rig_path, O_RDWR | O_CLOEXEC);
	assert_int_equal(sill_image_check(&how, &r, &e), 0);
	assert_true(r.errors != 0);
	assert_int_equal(image_size(), size);
	(void)close(how.fd);
}

/* A fixed disk has no copy: what is in its first sector is what the guest wants. */
static void vhd_open__does_not_take_the_guest_s_word(void **state)
{
	struct sill_image_checking how = { .path = rig_path, .format = SILL_DISK_VHD };
	struct sill_image_check r;
	struct sill_image_info h;
	struct sill_err e = { 0 };
	uint8_t f[512];
	off_t size;
	int fd;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(FIXED);
	size = image_size();
	rig_peek(size - 512, f, 512);
	rig_poke(0, f, 512);
	forge(0, 512, CHECKSUM, CURRENT_SIZE + 4, 1024);
	assert_int_equal(truncate(rig_path, size - 4096), 0);
	rig_refused(false, "no footer");
	assert_int_equal(image_size(), size - 4096);
	fd = open(rig_path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sill_image_head(fd, "disk", SILL_DISK_VHD, &h, &e), -1);
	how.fd = fd;
	assert_int_equal(sill_image_check(&how, &r, &e), -1);
	(void)close(fd);
}

/* A growth that was cut off leaves one; who reads all of it must not find data in there. */
static void vhd_open__keeps_blocks_out_of_a_longer_table(void **state)
{
	enum { TABLE_AT = 1536, TABLE_END = TABLE_AT + 512 * 4 };
	uint8_t data[4096], entry[4];
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(rig_shell("rm -f '%s'; qemu-img create -q -f vpc -o %s '%s' 1G", rig_path,
				   DYNAMIC, rig_path),
			 0);
	forge_footer(CURRENT_SIZE + 4, RIG_SECTORS * RIG_SECTOR);
	forge(0, 512, CHECKSUM, CURRENT_SIZE + 4, RIG_SECTORS * RIG_SECTOR);
	b = rig_open();
	memset(data, 1, sizeof(data));
	assert_int_equal(rig_rw(b, BLK_WRITE, 0, data, sizeof(data)), 0);
	blk_close(b);
	/* It goes by all of the table to find where the blocks end. */
	assert_int_equal(
		rig_shell("qemu-io -f vpc -c 'write -P 1 4M 512' '%s' >/dev/null", rig_path), 0);
	assert_true(image_size() < 10 * 1024 * 1024);
	rig_peek(TABLE_AT, entry, sizeof(entry));
	assert_int_equal(get32(entry), TABLE_END / 512);
}

/* The copy says what the footer says. */
static void copy_footer(void)
{
	uint8_t f[512];

	rig_peek(image_size() - 512, f, 512);
	rig_poke(0, f, 512);
}

/* Checksummed right, and yet wrong: whichever of the two the disk opens through stays. */
static void vhd_check__replaces_a_footer_only_by_one_that_opens(void **state)
{
	uint8_t good[512], end[512], copy[512];

	(void)state;
	RIG_NEEDS_QEMU();
	for (unsigned bad_copy = 0; bad_copy < 2; bad_copy++) {
		struct sill_image_checking how = { .path = rig_path,
						   .format = SILL_DISK_VHD,
						   .repair = true };
		struct sill_image_check r;
		struct sill_err e = { 0 };

		rig_make(DYNAMIC);
		rig_peek(image_size() - 512, good, 512);
		forge_footer(16 + 2, 0x0100); /* the header is at 1 TiB */
		if (bad_copy != 0) {
			copy_footer();
			rig_poke(image_size() - 512, good, 512);
		}
		how.fd = open(rig_path, O_RDWR | O_CLOEXEC);
		assert_int_equal(sill_image_check(&how, &r, &e), 0);
		(void)close(how.fd);
		assert_int_equal(r.errors, 0);
		assert_int_equal(r.errors_fixed, 1);
		rig_peek(image_size() - 512, end, 512);
		rig_peek(0, copy, 512);
		assert_memory_equal(end, good, 512);
		assert_memory_equal(copy, good, 512);
	}
	/* Both lead nowhere: nothing is written. */
	rig_make(DYNAMIC);
	forge_footer(16 + 2, 0x0100);
	rig_peek(image_size() - 512, end, 512);
	copy_footer();
	forge(0, 512, CHECKSUM, 24, 1);
	rig_peek(0, copy, 512);
	{
		struct sill_image_checking how = { .path = rig_path,
						   .format = SILL_DISK_VHD,
						   .repair = true };
		struct sill_image_check r;
		struct sill_err e = { 0 };

		how.fd = open(rig_path, O_RDWR | O_CLOEXEC);
		assert_int_equal(sill_image_check(&how, &r, &e), 0);
		(void)close(how.fd);
		assert_true(r.errors > 0);
	}
	rig_peek(image_size() - 512, good, 512);
	assert_memory_equal(end, good, 512);
	rig_peek(0, good, 512);
	assert_memory_equal(copy, good, 512);
}

/* Before Virtual PC 2004 a footer had 511 bytes; what lost its last byte looks the same. */
static void vhd_open__takes_a_footer_of_511_bytes(void **state)
{
	(void)state;
	RIG_NEEDS_QEMU();
	for (unsigned fixed = 0; fixed < 2; fixed++) {
		struct sill_image_info h;
		struct sill_err e = { 0 };
		off_t size;
		int fd;

		rig_make(fixed != 0 ? FIXED : DYNAMIC);
		size = image_size();
		assert_int_equal(truncate(rig_path, size - 1), 0);
		fd = open(rig_path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(sill_image_head(fd, "disk", SILL_DISK_VHD, &h, &e), 0);
		(void)close(fd);
		for (unsigned readonly = 0; readonly < 2; readonly++) {
			struct blk *b = rig_try_open(readonly != 0, &e);

			assert_non_null(b);
			assert_int_equal(blk_close(b), 0);
		}
	}
}

/* What is sound and beyond us is not corrupt: the check cannot be done. */
static void vhd_check__does_not_call_a_limit_damage(void **state)
{
	struct sill_image_checking how = { .path = rig_path, .format = SILL_DISK_VHD };
	struct sill_image_check r;
	struct sill_err e = { 0 };

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	forge_footer(TYPE, 4);
	copy_footer();
	how.fd = open(rig_path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sill_image_check(&how, &r, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	(void)close(how.fd);
}

static void vhd_open__refuses_by_name(void **state)
{
	uint8_t f[512];
	off_t bat;
	uint8_t entry[4];

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	forge_footer(TYPE, 4);
	rig_refused(false, "differencing");
	forge_footer(TYPE, 7);
	rig_refused(false, "unknown disk type");
	rig_make(DYNAMIC);
	forge_footer(12, 2 << 16);
	rig_refused(false, "unknown version");
	rig_make(DYNAMIC);
	forge_footer(CURRENT_SIZE + 4, 511);
	copy_footer();
	rig_refused(false, "multiple of 512");
	forge_footer(CURRENT_SIZE, 1 << 20);
	forge_footer(CURRENT_SIZE + 4, 0);
	copy_footer();
	rig_refused(false, "block table is shorter");
	rig_make(FIXED);
	forge_footer(CURRENT_SIZE + 4, RIG_SECTORS * 512 + 512);
	rig_refused(false, "shorter than the disk");
	rig_make(FIXED);
	rig_peek(image_size() - 512, f, 512);
	f[100] ^= 1;
	rig_poke(image_size() - 512, f, 512);
	rig_refused(false, "no footer");
	assert_int_equal(truncate(rig_path, 300), 0);
	rig_refused(false, "too short");

	rig_make(DYNAMIC);
	forge(512, 1024, 36, BLOCK_SIZE, 3 << 20);
	rig_refused(false, "block size");
	forge(512, 1024, 36, BLOCK_SIZE, 1u << 31);
	rig_refused(false, "block size");
	forge(512, 1024, 36, BLOCK_SIZE, 0);
	rig_refused(false, "block size");
	forge(512, 1024, 36, BLOCK_SIZE, 256);
	rig_refused(false, "block size");
	rig_make(DYNAMIC);
	forge(512, 1024, 36, 20, 1 << 30);
	rig_refused(false, "outside of the file");
	forge(512, 1024, 36, 20, 512);
	rig_refused(false, "overlap");
	rig_make(DYNAMIC);
	rig_peek(512, f, 512);
	bat = get32(f + 20);
	put32(entry, 0);
	rig_poke(bat, entry, 4);
	rig_refused(false, "overlap");
	put32(entry, 1 << 30);
	rig_poke(bat, entry, 4);
	rig_refused(false, "outside of the file");
	rig_make(DYNAMIC);
	f[0] = 'x';
	rig_poke(512, f, 1);
	rig_refused(false, "header is damaged");
	forge_footer(DATA_OFFSET + 4, 1 << 30);
	rig_refused(false, "outside of the file");
}

static void vhd__sees_zeroes_where_bits_are_clear(void **state)
{
	static const uint8_t half[2] = { 0xff, 0xf0 };
	struct blk *b;
	uint8_t f[512];
	off_t bat;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	b = rig_open();
	for (uint32_t s = 0; s < 64; s++) {
		rig_fill(f, s, ++rig->version);
		rig->now[s] = rig->version;
		assert_int_equal(rig_rw(b, BLK_WRITE, s * 512, f, 512), 0);
	}
	blk_close(b);
	rig_peek(512, f, 512);
	bat = get32(f + 20);
	rig_peek(bat, f, 512);
	rig_poke((off_t)get32(f) * 512, half, 2); /* 12..15 */
	memset(&rig->now[12], 0, 4 * sizeof(rig->now[0]));
	b = rig_open();
	rig_compare(b);
	rig_fill(f, 13, ++rig->version);
	rig->now[13] = rig->version;
	assert_int_equal(rig_rw(b, BLK_WRITE, 13 * 512, f, 512), 0);
	rig_compare(b);
	blk_close(b);
	rig_compare_qemu(); /* which does not look at the bits */
}

static void vhd__reads_what_qemu_wrote(void **state)
{
	(void)state;
	rig_reads_qemu(DYNAMIC);
	rig_reads_qemu(FIXED);
}

static void vhd__refuses_writes_when_read_only(void **state)
{
	(void)state;
	rig_read_only(DYNAMIC);
}

static void vhd__survives_each_failing_call(void **state)
{
	(void)state;
	rig_each_call_fails(DYNAMIC);
}

static void vhd__keeps_what_was_flushed_when_power_goes(void **state)
{
	(void)state;
	rig_power_goes(DYNAMIC);
}

static void vhd__keeps_what_was_flushed_when_killed(void **state)
{
	(void)state;
	rig_kills(DYNAMIC);
}

static void vhd__serves_several_threads(void **state)
{
	(void)state;
	rig_threads(DYNAMIC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vhd_dynamic__holds_what_qemu_reads),
		cmocka_unit_test(vhd_fixed__holds_what_qemu_reads),
		cmocka_unit_test(vhd__reads_what_qemu_wrote),
		cmocka_unit_test(vhd_open__takes_the_current_size),
		cmocka_unit_test(vhd_open__recovers_the_footer),
		cmocka_unit_test(vhd_salvage__reads_a_fixed_disk_as_far_as_it_goes),
		cmocka_unit_test(vhd_open__leaves_alone_what_is_cut),
		cmocka_unit_test(vhd_open__does_not_take_the_guest_s_word),
		cmocka_unit_test(vhd_open__keeps_blocks_out_of_a_longer_table),
		cmocka_unit_test(vhd_open__refuses_by_name),
		cmocka_unit_test(vhd_check__replaces_a_footer_only_by_one_that_opens),
		cmocka_unit_test(vhd_open__takes_a_footer_of_511_bytes),
		cmocka_unit_test(vhd_check__does_not_call_a_limit_damage),
		cmocka_unit_test(vhd__sees_zeroes_where_bits_are_clear),
		cmocka_unit_test(vhd__refuses_writes_when_read_only),
		cmocka_unit_test(vhd__survives_each_failing_call),
		cmocka_unit_test(vhd__keeps_what_was_flushed_when_power_goes),
		cmocka_unit_test(vhd__keeps_what_was_flushed_when_killed),
		cmocka_unit_test(vhd__serves_several_threads),
	};

	rig_ops = &blk_vhd_ops;
	rig_check = no_check;
	rig_format = "vpc";
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
