/* SPDX-License-Identifier: Apache-2.0 */
/* test_vhdx.c - VHDX images: crosswise with qemu-img, damaged, failing, cut off, killed. */
#include "vhd_cases.h"

#include "backend/block/vhdx.h"
#include "sill/image.h"

#define DYNAMIC "subformat=dynamic,block_size=1M"
#define FIXED   "subformat=fixed,block_size=2M"

enum {
	LOG_AT = 1 << 20, /* where qemu-img puts things */
	REGIONS_AT = 192 * 1024,
	REGIONS_SIZE = 64 * 1024,
};

static void qemu_check(void)
{
	/* Its log was replayed and the image closed: nothing is left to repair. */
	assert_int_equal(rig_shell("qemu-img check -q -f vhdx '%s'", rig_path), 0);
}

static void read_header(struct vhdx_header *ret_h)
{
	struct vhdx_header h[2];

	rig_peek(VHDX_HEADER_AT, &h[0], sizeof(h[0]));
	rig_peek(2 * VHDX_HEADER_AT, &h[1], sizeof(h[1]));
	*ret_h = h[le64_get(h[1].sequence) > le64_get(h[0].sequence)];
}

/* Change a field in the region tables and set their checksum right. */
static void forge_regions(size_t at, const void *p, size_t n)
{
	static uint8_t t[REGIONS_SIZE];

	for (unsigned i = 0; i < 2; i++) {
		rig_peek(REGIONS_AT + i * REGIONS_SIZE, t, sizeof(t));
		memcpy(t + at, p, n);
		st32(t + 4, 0);
		st32(t + 4, vhdio_crc(0, t, sizeof(t)));
		rig_poke(REGIONS_AT + i * REGIONS_SIZE, t, sizeof(t));
	}
}

static void forge_header(size_t at, const void *p, size_t n)
{
	uint8_t h[VHDX_SECTOR];

	for (unsigned i = 1; i <= 2; i++) {
		rig_peek((off_t)i * VHDX_HEADER_AT, h, sizeof(h));
		memcpy(h + at, p, n);
		st32(h + 4, 0);
		st32(h + 4, vhdio_crc(0, h, sizeof(h)));
		rig_poke((off_t)i * VHDX_HEADER_AT, h, sizeof(h));
	}
}

/* Where a region is; @id is the first byte of its GUID. */
static off_t region(uint8_t id)
{
	uint8_t e[32];

	for (unsigned i = 0; i < 2; i++) {
		rig_peek(REGIONS_AT + 16 + i * 32, e, sizeof(e));
		if (e[0] == id)
			return (off_t)ld64(e + 16);
	}
	fail();
	return 0;
}

enum { BAT = 0x66, META = 0x06 };

/* Where the value of a metadata item is; @id as above. */
static off_t item(uint8_t id)
{
	uint8_t e[32];

	for (unsigned i = 0; i < 8; i++) {
		rig_peek(region(META) + 32 + i * 32, e, sizeof(e));
		if (e[0] == id)
			return region(META) + (off_t)ld32(e + 16);
	}
	fail();
	return 0;
}

enum { FILE_PARAMETERS = 0x37, DISK_SIZE = 0x24, LOGICAL = 0x1d, PHYSICAL = 0xc7 };

static void poke32(off_t at, uint32_t v)
{
	rig_poke(at, &v, sizeof(v));
}

static void poke64(off_t at, uint64_t v)
{
	rig_poke(at, &v, sizeof(v));
}

static void vhdio_crc__is_crc32c(void **state)
{
	(void)state;
	/* RFC 3720 B.4, and the usual check value. */
	assert_int_equal(vhdio_crc(0, "123456789", 9), 0xe3069283);
	assert_int_equal(vhdio_crc(0, (uint8_t[32]){ 0 }, 32), 0x8a9136aa);
	assert_int_equal(vhdio_crc(vhdio_crc(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void vhdx_dynamic__holds_what_qemu_reads(void **state)
{
	(void)state;
	rig_round_trip(DYNAMIC);
}

static void vhdx_large_blocks__hold_what_qemu_reads(void **state)
{
	(void)state;
	rig_round_trip("subformat=dynamic,block_size=8M");
}

static void vhdx_fixed__holds_what_qemu_reads(void **state)
{
	(void)state;
	rig_keeps = true;
	rig_round_trip(FIXED);
	rig_keeps = false;
}

static void vhdx__reads_what_qemu_wrote(void **state)
{
	(void)state;
	rig_reads_qemu(DYNAMIC);
	rig_reads_qemu(FIXED);
	rig_reads_qemu("subformat=dynamic,block_size=4M,block_state_zero=off");
}

static void vhdx__refuses_writes_when_read_only(void **state)
{
	(void)state;
	rig_read_only(DYNAMIC);
}

static void vhdx__survives_each_failing_call(void **state)
{
	(void)state;
	rig_each_call_fails(DYNAMIC);
}

static void vhdx__keeps_what_was_flushed_when_power_goes(void **state)
{
	(void)state;
	rig_power_goes(DYNAMIC);
}

static void vhdx__keeps_what_was_flushed_when_killed(void **state)
{
	(void)state;
	rig_kills(DYNAMIC);
}

static void vhdx__serves_several_threads(void **state)
{
	(void)state;
	rig_threads(DYNAMIC);
}

/* The image as a crash leaves it: the log counts, the BAT in place is the old one. */
static void make_unclosed(void)
{
	uint8_t s[512];
	struct blk *b;
	uint8_t bat[4096];

	rig_make(DYNAMIC);
	rig_peek(region(BAT), bat, sizeof(bat));
	b = rig_open();
	for (uint32_t n = 0; n < 20; n++) {
		rig_fill(s, n * 2048, ++rig->version);
		rig->now[n * 2048] = rig->version;
		assert_int_equal(rig_rw(b, BLK_WRITE, n * 2048 * 512, s, 512), 0);
		if (n % 7 == 0)
			assert_int_equal(rig_flush(b), 0);
	}
	assert_int_equal(rig_flush(b), 0);
	assert_int_equal(rig_shell("cp --sparse=always '%s' '%s'", rig_path, rig_base), 0);
	blk_close(b);
	assert_int_equal(rename(rig_base, rig_path), 0);
	rig_poke(region(BAT), bat, sizeof(bat));
}

static void vhdx_log__is_replayed_by_us(void **state)
{
	struct vhdx_header h;
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	make_unclosed();
	read_header(&h);
	assert_false(vhdx_is_null(&h.log));
	rig_refused(true, "log must be replayed");
	b = rig_open();
	rig_compare(b);
	blk_close(b);
	read_header(&h);
	assert_true(vhdx_is_null(&h.log));
	rig_check();
	rig_compare_qemu();
}

/* Salvage writes nothing: what the log says of the tables is followed all the same. */
static void vhdx_log__is_followed_by_who_salvages(void **state)
{
	struct blk_status s = { 0 };
	struct vhdx_header h;
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	make_unclosed();
	b = rig_salvage();
	rig_compare(b);
	blk_close(b);
	read_header(&h);
	assert_false(vhdx_is_null(&h.log));
	/* Of a damaged log nothing is taken: the tables are those in place, without a block. */
	rig_poke(LOG_AT + 4096 + 100, "x", 1);
	rig_poke(LOG_AT + 512 * 1024 + 4096 + 100, "x", 1);
	b = rig_salvage();
	assert_int_equal(b->ops->status(b, 0, 512, &s), 0);
	assert_int_equal(s.kind, BLK_ZEROES);
	blk_close(b);
}

static void vhdx_log__is_replayed_by_qemu(void **state)
{
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	make_unclosed();
	assert_int_equal(rig_shell("qemu-img check -q -r all -f vhdx '%s'", rig_path), 0);
	rig_check();
	rig_compare_qemu();
	b = rig_open();
	rig_compare(b);
	blk_close(b);
}

static void vhdx_log__is_not_trusted(void **state)
{
	struct vhdx_header h;
	off_t at;

	(void)state;
	RIG_NEEDS_QEMU();
	/* Both entries damaged: nothing to replay, which is not said to be well. */
	make_unclosed();
	rig_poke(LOG_AT + 4096 + 100, "x", 1);
	rig_poke(LOG_AT + 512 * 1024 + 4096 + 100, "x", 1);
	rig_refused(false, "log is damaged");
	/* Where it leads: over a header, over itself, beyond the file; with a good checksum. */
	for (unsigned k = 0; k < 4; k++) {
		static const uint64_t targets[] = { 64 * 1024, LOG_AT + 4096, 1ull << 40, 12345 };

		make_unclosed();
		read_header(&h);
		at = (off_t)le64_get(h.log_offset);
		for (unsigned half = 0; half < 2; half++, at += 512 * 1024) {
			static uint8_t entry[64 * 1024];
			uint32_t length;

			rig_peek(at, entry, sizeof(entry));
			length = ld32(entry + 8);
			assert_true(length <= sizeof(entry));
			st64(entry + 64 + 16, targets[k]);
			st32(entry + 4, 0);
			st32(entry + 4, vhdio_crc(0, entry, length));
			rig_poke(at, entry, length);
		}
		rig_refused(false, "outside of the file");
	}
	/* The file was cut behind what the log says is there. */
	make_unclosed();
	assert_int_equal(truncate(rig_path, 8 << 20), 0);
	rig_refused(false, "cut");
}

/* Killed between the header that names the log and the log's first entry, or within that. */
static void vhdx_log__may_hold_nothing_yet(void **state)
{
	struct vhdx_header h;
	uint8_t id[16];

	(void)state;
	RIG_NEEDS_QEMU();
	for (unsigned k = 0; k < 3; k++) {
		rig_make(DYNAMIC);
		assert_int_equal(
			rig_shell("qemu-io -f vhdx -c 'write -P 7 0 1M' '%s' >/dev/null", rig_path),
			0);
		memset(id, 7, sizeof(id));
		forge_header(48, id, sizeof(id));
		if (k > 0) { /* an entry: of another life, or cut short */
			static uint8_t entry[4096];
			const uint8_t other = 8;

			memcpy(entry, "loge", 4);
			st32(entry + 8, 8192);
			st32(entry + 12, 0);
			st64(entry + 16, 1);
			st32(entry + 24, 1);
			memcpy(entry + 32, id, sizeof(id));
			rig_poke(LOG_AT, entry, sizeof(entry));
			if (k == 1)
				rig_poke(LOG_AT + 32, &other, 1);
		}
		for (unsigned readonly = 2; readonly-- > 0;) {
			struct sill_err e = { 0 };
			struct blk *b = rig_try_open(readonly, &e);
			uint8_t s[512];

			assert_non_null(b);
			assert_int_equal(rig_rw(b, BLK_READ, 0, s, 512), 0);
			assert_int_equal(s[0], 7);
			blk_close(b);
			read_header(&h);
			assert_int_equal(vhdx_is_null(&h.log), !readonly);
		}
		qemu_check();
	}
}

/* Only the older of two entries is whole: that one counts. */
static void vhdx_log__falls_back_to_the_last_whole_entry(void **state)
{
	uint8_t e[2][64];
	struct blk *b;
	unsigned newer;

	(void)state;
	RIG_NEEDS_QEMU();
	make_unclosed();
	rig_peek(LOG_AT, e[0], 64);
	rig_peek(LOG_AT + 512 * 1024, e[1], 64);
	newer = ld64(e[1] + 16) > ld64(e[0] + 16);
	rig_poke(LOG_AT + newer * 512 * 1024 + 4096 + 8, "x", 1);
	b = rig_open();
	/* Flushed before: the blocks 0 to 14. */
	memset(&rig->now[15 * 2048], 0, (RIG_SECTORS - 15 * 2048) * sizeof(rig->now[0]));
	rig_compare(b);
	blk_close(b);
	rig_check();
}

static void vhdx_open__takes_the_whole_header(void **state)
{
	struct vhdx_header h, bad = { 0 };
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	b = rig_open();
	(void)rig_step(b);
	blk_close(b);
	for (unsigned i = 1; i <= 2; i++) {
		rig_peek((off_t)i * VHDX_HEADER_AT, &h, sizeof(h));
		rig_poke((off_t)i * VHDX_HEADER_AT, &bad, sizeof(bad));
		b = rig_open();
		rig_compare(b);
		blk_close(b);
		rig_poke((off_t)i * VHDX_HEADER_AT, &h, sizeof(h));
	}
	rig_poke(VHDX_HEADER_AT, &bad, sizeof(bad));
	rig_poke(2 * VHDX_HEADER_AT, &bad, sizeof(bad));
	rig_refused(false, "both headers");
}

static void vhdx__changes_its_identifiers_when_written(void **state)
{
	struct vhdx_header before, after;
	struct blk *b;
	uint8_t s[512] = { 1 };

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	read_header(&before);
	b = rig_open();
	assert_int_equal(rig_rw(b, BLK_READ, 0, s, 512), 0);
	assert_int_equal(rig_flush(b), 0);
	blk_close(b);
	read_header(&after);
	assert_memory_equal(&before, &after, sizeof(before));
	b = rig_open();
	assert_int_equal(rig_rw(b, BLK_WRITE, 0, s, 512), 0);
	blk_close(b);
	read_header(&after);
	assert_memory_not_equal(&before.file_write, &after.file_write, 16);
	assert_memory_not_equal(&before.data_write, &after.data_write, 16);
	assert_true(vhdx_is_null(&after.log));
}

/* A child names its parent by the identifier of the data: a header that is mended changes none. */
static void vhdx_check__mends_a_header_and_keeps_the_data_identifier(void **state)
{
	struct vhdx_header before, after, bad = { 0 };
	struct sill_image_checking how = { .path = rig_path,
					   .format = SILL_DISK_VHDX,
					   .repair = true };
	struct sill_err e = { 0 };
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	b = rig_open();
	(void)rig_step(b);
	blk_close(b);
	read_header(&before);
	for (unsigned i = 1; i <= 2; i++) {
		struct sill_image_check found = { 0 };

		rig_poke((off_t)i * VHDX_HEADER_AT, &bad, sizeof(bad));
		how.fd = open(rig_path, O_RDWR | O_CLOEXEC);
		if (sill_image_check(&how, &found, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(close(how.fd), 0);
		read_header(&after);
		assert_memory_equal(&before.data_write, &after.data_write, 16);
		assert_memory_not_equal(&before.file_write, &after.file_write, 16);
		rig_peek((off_t)i * VHDX_HEADER_AT, &after, sizeof(after));
		assert_memory_equal(&before.data_write, &after.data_write, 16);
	}
	b = rig_open();
	rig_compare(b);
	blk_close(b);
	qemu_check();
}

/* --- what repair and replay must not do --- */

static void read_tables(uint8_t t[2][REGIONS_SIZE])
{
	for (unsigned i = 0; i < 2; i++)
		rig_peek(REGIONS_AT + i * REGIONS_SIZE, t[i], REGIONS_SIZE);
}

/* One table, with its checksum right: so many entries, or regions that are nowhere. */
static void forge_table(unsigned which, bool count)
{
	static uint8_t t[REGIONS_SIZE];

	rig_peek(REGIONS_AT + which * REGIONS_SIZE, t, sizeof(t));
	if (count)
		st32(t + 8, 2050);
	else
		st64(t + 16 + 16, 1ull << 40);
	st32(t + 4, 0);
	st32(t + 4, vhdio_crc(0, t, sizeof(t)));
	rig_poke(REGIONS_AT + which * REGIONS_SIZE, t, sizeof(t));
}

static void repair_it(struct sill_image_check *ret)
{
	struct sill_image_checking how = { .path = rig_path,
					   .format = SILL_DISK_VHDX,
					   .repair = true };
	struct sill_err e = { 0 };

	how.fd = open(rig_path, O_RDWR | O_CLOEXEC);
	if (sill_image_check(&how, ret, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(close(how.fd), 0);
}

/* A checksum says that a table was written, not that it leads anywhere. */
static void vhdx_check__replaces_a_table_only_by_one_that_opens(void **state)
{
	static uint8_t before[2][REGIONS_SIZE], after[2][REGIONS_SIZE];
	struct sill_image_check r;

	(void)state;
	RIG_NEEDS_QEMU();
	for (unsigned n = 0; n < 4; n++) {
		const unsigned bad = n & 1;

		rig_make(DYNAMIC);
		read_tables(before);
		forge_table(bad, n >= 2);
		repair_it(&r);
		assert_int_equal(r.errors, 0);
		assert_int_equal(r.errors_fixed, 1);
		read_tables(after);
		assert_memory_equal(after[0], before[!bad], REGIONS_SIZE);
		assert_memory_equal(after[1], before[!bad], REGIONS_SIZE);
		qemu_check();
	}
	rig_make(DYNAMIC);
	forge_table(0, true);
	forge_table(1, false);
	read_tables(before);
	repair_it(&r);
	assert_true(r.errors > 0);
	read_tables(after);
	assert_memory_equal(before, after, sizeof(before));
}

enum { LOG_ENTRY = 64, LOG_DESC = 32, ZEROINGS = 100 };

/* An entry of the log that zeroes @length bytes at @off, @count times; whole unless @torn. */
static void forge_log(unsigned sector, uint64_t sequence, uint64_t last, unsigned count,
		      uint64_t off, uint64_t length, bool torn)
{
	static uint8_t s[VHDX_SECTOR];
	uint8_t guid[16];
	struct vhdx_header h;
	uint64_t at;

	memset(s, 0, sizeof(s));
	memset(guid, 0x11, sizeof(guid));
	forge_header(48, guid, sizeof(guid));
	read_header(&h);
	at = le64_get(h.log_offset) + (uint64_t)sector * VHDX_SECTOR;
	memcpy(s, "loge", 4);
	st32(s + 8, sizeof(s));
	st32(s + 12, sector * VHDX_SECTOR);
	st64(s + 16, sequence);
	st32(s + 24, count);
	memcpy(s + 32, guid, sizeof(guid));
	st64(s + 48, VHDX_MIB);
	st64(s + 56, last);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *d = s + LOG_ENTRY + (size_t)i * LOG_DESC;

		memcpy(d, "zero", 4);
		st64(d + 8, length);
		st64(d + 16, off);
		st64(d + 24, sequence);
	}
	st32(s + 4, vhdio_crc(0, s, sizeof(s)) ^ (torn ? 1 : 0));
	rig_poke((off_t)at, s, sizeof(s));
}

static uint64_t rig_file_size(void)
{
	struct stat st;

	assert_int_equal(stat(rig_path, &st), 0);
	return (uint64_t)st.st_size;
}

static uint64_t calls_to_zero;

static int count_fallocate(int fd, int mode, off_t off, off_t n)
{
	calls_to_zero++;
	return vhdio_host.fallocate(fd, mode, off, n);
}

static void vhdx_log__zeroes_no_more_than_the_file_has(void **state)
{
	struct vhdio_calls counted = vhdio_host;
	struct sill_err e = { 0 };
	uint64_t size;
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	/* Behind the file's end there are zeroes already: however often it is said, nothing is done. */
	rig_make(DYNAMIC);
	size = (rig_file_size() + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
	forge_log(0, 1, size + (1ull << 30), ZEROINGS, size, 1ull << 30, false);
	counted.fallocate = count_fallocate;
	calls_to_zero = 0;
	vhdio_calls = &counted;
	b = rig_try_open(false, &e);
	vhdio_calls = &vhdio_host;
	if (b == NULL)
		fail_msg("%s", e.msg);
	assert_int_equal(blk_close(b), 0);
	assert_in_range(calls_to_zero, 0, 4); /* can it punch holes at all? */

	/* Within it, no more than it has. */
	rig_make(DYNAMIC);
	size = rig_file_size() / VHDX_MIB * VHDX_MIB;
	forge_log(0, 1, rig_file_size(), ZEROINGS, size - VHDX_MIB, VHDX_MIB, false);
	rig_refused(false, "zeroes more than it has");
}

/* Replayed as it says, but the file is not left longer than its blocks need. */
static void vhdx_log__makes_the_file_no_longer_than_what_is_in_it(void **state)
{
	static uint8_t sector[RIG_SECTOR] = { 7 };
	const uint64_t far = 1ull << 40;
	struct sill_err e = { 0 };
	uint64_t size;
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	for (int grows = 0; grows < 2; grows++) {
		rig_make(DYNAMIC);
		size = rig_file_size();
		forge_log(0, 1, far, 1, size / VHDX_MIB * VHDX_MIB + VHDX_MIB, VHDX_MIB, false);
		b = rig_try_open(false, &e);
		if (b == NULL)
			fail_msg("%s", e.msg);
		assert_in_range(rig_file_size(), size, size + VHDX_MIB);
		/* What comes later goes where there is room, and the file is whole. */
		if (grows)
			assert_int_equal(rig_rw(b, BLK_WRITE, 0, sector, sizeof(sector)), 0);
		assert_int_equal(blk_close(b), 0);
		assert_in_range(rig_file_size(), size, size + 64 * VHDX_MIB);
		qemu_check();
	}
}

/* The newest entry is torn: the one before it counts, and that is said. */
static void vhdx_log__says_what_it_drops(void **state)
{
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	forge_log(0, 1, rig_file_size(), 0, 0, 0, false);
	b = rig_open();
	assert_false(((struct vhdx *)b->state)->log_dropped);
	blk_close(b);
	forge_log(0, 1, rig_file_size(), 0, 0, 0, false);
	forge_log(8, 2, rig_file_size(), 0, 0, 0, true);
	b = rig_open();
	assert_true(((struct vhdx *)b->state)->log_dropped);
	blk_close(b);
	qemu_check();
}

static void vhdx__has_sectors_of_4096(void **state)
{
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	poke32(item(LOGICAL), 4096);
	b = rig_open();
	assert_int_equal(b->block_size, 4096);
	assert_int_equal(b->phys_size, 4096);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(rig_step(b), 0);
	blk_close(b);
	b = rig_open();
	rig_compare(b);
	blk_close(b);
	poke32(item(LOGICAL), 512);
	poke32(item(PHYSICAL), 4096);
	b = rig_open();
	assert_int_equal(b->block_size, 512);
	assert_int_equal(b->phys_size, 4096);
	rig_compare(b);
	blk_close(b);
}

static uint64_t bat_entry(unsigned i)
{
	uint64_t v;

	rig_peek(region(BAT) + i * 8, &v, 8);
	return v;
}

static void vhdx__gives_blocks_up_and_takes_their_space_again(void **state)
{
	static uint8_t mib[1 << 20];
	struct stat st;
	off_t size;
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	memset(mib, 'x', sizeof(mib));
	b = rig_open();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(rig_rw(b, BLK_WRITE, i * sizeof(mib), mib, sizeof(mib)), 0);
	assert_int_equal(rig_zero(b, BLK_DISCARD, 0, 3 * sizeof(mib), true), 0);
	assert_int_equal(rig_zero(b, BLK_WRITE_ZEROES, 4 * sizeof(mib), sizeof(mib), true), 0);
	assert_int_equal(rig_zero(b, BLK_WRITE_ZEROES, 5 * sizeof(mib), sizeof(mib), false), 0);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(rig_rw(b, BLK_READ, i * sizeof(mib), mib, 512), 0);
		assert_int_equal(mib[0], i == 3 ? 'x' : 0);
	}
	blk_close(b);
	assert_int_equal(bat_entry(0), VHDX_UNMAPPED);
	assert_int_equal(bat_entry(4), VHDX_ZERO); /* with a place, Hyper-V would refuse it */
	assert_int_equal(bat_entry(5) & VHDX_STATE, VHDX_PRESENT);
	rig_check();
	assert_int_equal(stat(rig_path, &st), 0);
	size = st.st_size;
	b = rig_open();
	memset(mib, 'y', sizeof(mib));
	for (unsigned i = 8; i < 12; i++)
		assert_int_equal(rig_rw(b, BLK_WRITE, i * sizeof(mib), mib, 512), 0);
	assert_int_equal(rig_rw(b, BLK_READ, 9 * sizeof(mib), mib, sizeof(mib)), 0);
	for (size_t i = 512; i < sizeof(mib); i++)
		assert_int_equal(mib[i], 0); /* not the x of before */
	blk_close(b);
	assert_int_equal(stat(rig_path, &st), 0);
	assert_int_equal(st.st_size, size);
	rig_check();
}

/* What Hyper-V has unmapped may keep its place, and read there as before: zeroes must not get lost. */
static void vhdx__writes_zeroes_to_what_others_unmapped(void **state)
{
	static uint8_t mib[1 << 20];
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	memset(mib, 'x', sizeof(mib));
	b = rig_open();
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(rig_rw(b, BLK_WRITE, i * sizeof(mib), mib, sizeof(mib)), 0);
	blk_close(b);
	for (unsigned i = 0; i < 2; i++)
		poke64(region(BAT) + i * 8, (bat_entry(i) & VHDX_OFFSET) | VHDX_UNMAPPED);
	b = rig_open();
	assert_int_equal(rig_zero(b, BLK_WRITE_ZEROES, sizeof(mib) + 4096, 4096, true), 0);
	assert_int_equal(rig_rw(b, BLK_READ, sizeof(mib), mib, sizeof(mib)), 0);
	assert_int_equal(mib[0], 0);
	blk_close(b);
	assert_int_equal(bat_entry(1), VHDX_ZERO);
	b = rig_open();
	assert_int_equal(rig_zero(b, BLK_WRITE_ZEROES, 0, 512, false), 0);
	assert_int_equal(rig_rw(b, BLK_WRITE, 512, mib, 512), 0);
	blk_close(b);
	assert_int_equal(bat_entry(0) & VHDX_STATE, VHDX_PRESENT);
	rig_check();
}

static void vhdx_fixed__keeps_its_blocks(void **state)
{
	struct blk *b;
	uint8_t s[512] = { 0 };

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(FIXED);
	b = rig_open(); /* qemu-img makes the blocks of a fixed image zero, without a place */
	assert_int_equal(rig_rw(b, BLK_WRITE, 0, s, 512), 0);
	assert_int_equal(rig_rw(b, BLK_WRITE, 2 << 20, s, 512), 0);
	assert_int_equal(rig_zero(b, BLK_DISCARD, 0, 4 << 20, true), 0);
	assert_int_equal(rig_zero(b, BLK_WRITE_ZEROES, 0, 2 << 20, true), 0);
	assert_int_equal(rig_rw(b, BLK_READ, 0, s, 512), 0);
	blk_close(b);
	assert_int_equal(bat_entry(0) & VHDX_STATE, VHDX_PRESENT);
	assert_int_equal(bat_entry(1) & VHDX_STATE, VHDX_PRESENT);
	rig_check();
}

/* QEMU cuts the file behind the disk's last byte. */
static void vhdx_fixed__may_end_within_its_last_block(void **state)
{
	static uint8_t s[512], back[512];
	struct stat st;
	struct blk *b;

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make("subformat=fixed,block_state_zero=off,block_size=32M");
	assert_int_equal(stat(rig_path, &st), 0);
	assert_int_equal(st.st_size, (bat_entry(0) & VHDX_OFFSET) + (off_t)RIG_SECTORS * 512);
	b = rig_open();
	assert_int_equal(rig_rw(b, BLK_READ, (off_t)RIG_SECTORS * 512 - 512, back, 512), 0);
	memset(s, 'e', sizeof(s));
	assert_int_equal(rig_rw(b, BLK_WRITE, (off_t)RIG_SECTORS * 512 - 512, s, 512), 0);
	assert_int_equal(rig_rw(b, BLK_READ, (off_t)RIG_SECTORS * 512 - 512, back, 512), 0);
	assert_memory_equal(s, back, 512);
	blk_close(b);
	rig_check();
	/* But all of the disk has to be there. */
	assert_int_equal(truncate(rig_path, st.st_size - 512), 0);
	rig_refused(false, "outside of the file");
}

/* More dirty sectors of the BAT than an entry of the log has room for. */
static void vhdx__commits_in_batches(void **state)
{
	const uint64_t step = 512ull << 20; /* what one sector of the BAT is for */
	const unsigned count = 300;
	struct sill_err e = { 0 };
	struct blk *b;
	uint64_t s[64];

	(void)state;
	RIG_NEEDS_QEMU();
	assert_int_equal(rig_shell("rm -f '%s'; qemu-img create -q -f vhdx -o %s '%s' 150G",
				   rig_path, DYNAMIC, rig_path),
			 0);
	b = rig_try_open(false, &e);
	assert_non_null(b);
	for (unsigned i = 0; i < count; i++) {
		rig_fill(s, i, i + 1);
		assert_int_equal(rig_rw(b, BLK_WRITE, i * step, s, 512), 0);
	}
	assert_int_equal(rig_flush(b), 0);
	assert_int_equal(rig_shell("cp --sparse=always '%s' '%s'", rig_path, rig_base), 0);
	blk_close(b);
	rig_check();
	assert_int_equal(rename(rig_base, rig_path), 0);
	b = rig_try_open(false, &e);
	assert_non_null(b);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(rig_rw(b, BLK_READ, i * step, s, 512), 0);
		assert_true(rig_holds(s, i, i + 1));
	}
	blk_close(b);
	rig_check();
}

/* In the log, but not in place: that is made up for before the next entry takes over. */
static void vhdx_log__is_kept_until_it_is_in_place(void **state)
{
	const uint64_t step = 512ull << 20;
	struct blk *b;
	uint64_t s[64];

	(void)state;
	RIG_NEEDS_QEMU();
	assert_int_equal(rig_shell("rm -f '%s'; qemu-img create -q -f vhdx -o %s '%s' 4G", rig_path,
				   DYNAMIC, rig_path),
			 0);
	vhdio_calls = &rig_failing;
	rig_fail_at = 0;
	b = rig_open();
	for (unsigned i = 0; i < 4; i++) {
		rig_fill(s, i, i + 1);
		assert_int_equal(rig_rw(b, BLK_WRITE, i * step, s, 512), 0);
		/* Sync, entry, sync; the first time two headers, each with its sync. */
		rig_calls = 0;
		rig_fail_at = i == 0 ? 8 : 4;
		rig_fail_with = EIO;
		rig_fail_on = false;
		if (i != 3)
			assert_int_equal(rig_flush(b), EIO);
		rig_fail_at = 0;
	}
	assert_int_equal(rig_flush(b), 0);
	vhdio_calls = &vhdio_host;
	assert_int_equal(rig_shell("cp --sparse=always '%s' '%s'", rig_path, rig_base), 0);
	blk_close(b);
	assert_int_equal(rename(rig_base, rig_path), 0);
	b = rig_open();
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(rig_rw(b, BLK_READ, i * step, s, 512), 0);
		assert_true(rig_holds(s, i, i + 1));
	}
	blk_close(b);
	qemu_check();
}

static void vhdx_open__refuses_by_name(void **state)
{
	uint8_t v[16] = { 0 };

	(void)state;
	RIG_NEEDS_QEMU();
	rig_make(DYNAMIC);
	poke32(item(FILE_PARAMETERS) + 4, 2);
	rig_refused(false, "differencing");
	poke32(item(FILE_PARAMETERS) + 4, 0);
	poke32(item(FILE_PARAMETERS), 3 << 20);
	rig_refused(false, "block size");
	poke32(item(FILE_PARAMETERS), 1 << 19);
	rig_refused(false, "block size");
	poke32(item(FILE_PARAMETERS), 1 << 20);
	poke32(item(LOGICAL), 520);
	rig_refused(false, "sector size");
	poke32(item(LOGICAL), 512);
	poke64(item(DISK_SIZE), 1000);
	rig_refused(false, "size");
	poke64(item(DISK_SIZE), 65ull << 40);
	rig_refused(false, "size");
	poke64(item(DISK_SIZE), 60ull << 40);
	rig_refused(false, "at most");
	poke64(item(DISK_SIZE), 1ull << 40);
	rig_refused(false, "shorter than the disk");

	rig_make(DYNAMIC);
	poke32(region(META) + 32 + 20, 1 << 20); /* the length of an item */
	rig_refused(false, "outside of it");
	rig_make(DYNAMIC);
	poke32(region(META) + 32, 0x12345678);
	rig_refused(false, "not known");
	rig_make(DYNAMIC);
	poke32(region(META), 0);
	rig_refused(false, "metadata is damaged");

	rig_make(DYNAMIC);
	poke64(region(BAT), VHDX_PRESENT);
	rig_refused(false, "overlap");
	poke64(region(BAT), 1ull << 40 | VHDX_PRESENT);
	rig_refused(false, "outside of the file");
	poke64(region(BAT), VHDX_PARTIAL);
	rig_refused(false, "parent");
	poke64(region(BAT), 4);
	rig_refused(false, "unknown state");

	rig_make(DYNAMIC);
	forge_regions(16, v, 16);
	rig_refused(false, "no block table");
	v[0] = 1; /* required */
	forge_regions(16 + 28, v, 4);
	rig_refused(false, "not known");
	rig_make(DYNAMIC);
	st64(v, 1 << 20); /* on the log */
	forge_regions(16 + 16, v, 8);
	rig_refused(false, "regions overlap");
	st64(v, UINT64_MAX << 20); /* the end wraps around */
	forge_regions(16 + 16, v, 8);
	rig_refused(false, "regions overlap");
	v[0] = 0xff;
	rig_poke(REGIONS_AT + 100, v, 1);
	rig_poke(REGIONS_AT + REGIONS_SIZE + 100, v, 1);
	rig_refused(false, "both region tables");

	rig_make(DYNAMIC);
	st64(v, 1ull << 50);
	forge_header(72, v, 8);
	rig_refused(false, "log lies outside");
	st64(v, 5000);
	forge_header(72, v, 8);
	rig_refused(false, "log lies outside");
	rig_make(DYNAMIC);
	v[0] = 9;
	forge_header(66, v, 1);
	rig_refused(false, "unknown version");
	rig_poke(0, "conectix", 8);
	rig_refused(false, "does not begin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vhdio_crc__is_crc32c),
		cmocka_unit_test(vhdx_dynamic__holds_what_qemu_reads),
		cmocka_unit_test(vhdx_large_blocks__hold_what_qemu_reads),
		cmocka_unit_test(vhdx_fixed__holds_what_qemu_reads),
		cmocka_unit_test(vhdx__reads_what_qemu_wrote),
		cmocka_unit_test(vhdx_open__refuses_by_name),
		cmocka_unit_test(vhdx_open__takes_the_whole_header),
		cmocka_unit_test(vhdx__refuses_writes_when_read_only),
		cmocka_unit_test(vhdx__changes_its_identifiers_when_written),
		cmocka_unit_test(vhdx_check__mends_a_header_and_keeps_the_data_identifier),
		cmocka_unit_test(vhdx_check__replaces_a_table_only_by_one_that_opens),
		cmocka_unit_test(vhdx_log__zeroes_no_more_than_the_file_has),
		cmocka_unit_test(vhdx_log__makes_the_file_no_longer_than_what_is_in_it),
		cmocka_unit_test(vhdx_log__says_what_it_drops),
		cmocka_unit_test(vhdx__has_sectors_of_4096),
		cmocka_unit_test(vhdx__gives_blocks_up_and_takes_their_space_again),
		cmocka_unit_test(vhdx__writes_zeroes_to_what_others_unmapped),
		cmocka_unit_test(vhdx_fixed__keeps_its_blocks),
		cmocka_unit_test(vhdx_fixed__may_end_within_its_last_block),
		cmocka_unit_test(vhdx__commits_in_batches),
		cmocka_unit_test(vhdx_log__is_kept_until_it_is_in_place),
		cmocka_unit_test(vhdx_log__is_replayed_by_us),
		cmocka_unit_test(vhdx_log__is_followed_by_who_salvages),
		cmocka_unit_test(vhdx_log__is_replayed_by_qemu),
		cmocka_unit_test(vhdx_log__is_not_trusted),
		cmocka_unit_test(vhdx_log__may_hold_nothing_yet),
		cmocka_unit_test(vhdx_log__falls_back_to_the_last_whole_entry),
		cmocka_unit_test(vhdx__survives_each_failing_call),
		cmocka_unit_test(vhdx__keeps_what_was_flushed_when_power_goes),
		cmocka_unit_test(vhdx__keeps_what_was_flushed_when_killed),
		cmocka_unit_test(vhdx__serves_several_threads),
	};

	rig_ops = &blk_vhdx_ops;
	rig_check = qemu_check;
	rig_format = "vhdx";
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
