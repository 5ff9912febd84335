/* SPDX-License-Identifier: Apache-2.0 */
/* test_qcow2.c - qcow2 images: what is refused and why, recovery, marks in the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zstd.h>

#include "backend/block/qcow2.h"
#include "tests/image/image_kit.h"

static struct sill_err last;

static int set_up(void **state)
{
	(void)state;
	dir_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dir_remove();
	return 0;
}

static void need_tools(void)
{
	if (sh("qemu-img --version && qemu-io --version") != 0)
		skip();
}

static void patch(const char *name, off_t at, const void *p, size_t n)
{
	int fd = open_in_dir(name, false);

	assert_true(fd >= 0 && pwrite(fd, p, n, at) == (ssize_t)n);
	close(fd);
}

static void patch32(const char *name, off_t at, uint32_t v)
{
	uint8_t b[4];

	qcow2_put_be32(b, v);
	patch(name, at, b, sizeof(b));
}

static void patch64(const char *name, off_t at, uint64_t v)
{
	uint8_t b[8];

	qcow2_put_be64(b, v);
	patch(name, at, b, sizeof(b));
}

static uint64_t peek64(const char *name, off_t at)
{
	uint8_t b[8];
	int fd = open_in_dir(name, true);

	assert_true(fd >= 0 && pread(fd, b, sizeof(b), at) == (ssize_t)sizeof(b));
	close(fd);
	return qcow2_be64(b);
}

static struct blk *open_one(bool readonly)
{
	const struct chain c = { .n = 1, .name = { "a" } };

	last = (struct sill_err){ 0 };
	return chain_open(&c, readonly, &last);
}

static void refused(const char *why)
{
	struct blk *b = open_one(false);

	assert_null(b);
	if (strstr(last.msg, why) == NULL)
		fail_msg("'%s' is not in '%s'", why, last.msg);
}

static void create(const char *options)
{
	assert_int_equal(sh("rm -f a && qemu-img create -f qcow2 %s a 8M", options), 0);
}

static void qcow2_open__refuses_what_is_not_qcow2(void **state)
{
	(void)state;
	need_tools();
	assert_int_equal(sh("truncate -s 1M a"), 0);
	refused("none");
	assert_int_equal(sh("truncate -s 10 a"), 0);
	refused("none");
	create("");
	patch32("a", 4, 4);
	refused("version 4");
}

static void qcow2_open__refuses_encryption_and_snapshots_by_name(void **state)
{
	(void)state;
	need_tools();
	create("");
	assert_int_equal(sh("qemu-img snapshot -c now a"), 0);
	refused("snapshots");
	for (unsigned method = 1; method <= 2; method++) { /* AES, LUKS */
		create("");
		patch32("a", 32, method);
		refused("encrypted");
	}
}

static void qcow2_open__names_an_unknown_feature(void **state)
{
	char table[8 + 48] = { 0 };

	(void)state;
	need_tools();
	create("");
	patch64("a", 72, 1ull << 9);
	refused("bit 9");
	qcow2_put_be32(table, 0x6803f857);
	qcow2_put_be32(table + 4, 48);
	table[9] = 9;
	memcpy(table + 10, "time\x1btravel", 11);
	patch("a", 112, table, sizeof(table));
	patch64("a", 112 + sizeof(table), 0);
	refused("'time\\x1btravel'");
}

static void qcow2_open__checks_every_field(void **state)
{
	static const struct {
		off_t at;
		uint64_t v;
		bool wide;
		const char *why;
	} bad[] = {
		{ 20, 8, false, "cluster size" },
		{ 20, 22, false, "cluster size" },
		{ 24, 100, true, "smaller than a sector" },
		{ 24, UINT64_MAX, true, "absurd" },
		{ 24, 1ull << 50, true, "L1 table" },
		{ 36, 0, false, "L1 table" },
		{ 36, 0xffffffff, false, "L1 table" },
		{ 40, 0, true, "L1 table" },
		{ 40, 512, true, "L1 table" },
		{ 40, 1ull << 40, true, "L1 table" },
		{ 40, 0xffffffffffff0000ull, true, "L1 table" },
		{ 40, 0x10000, true, "top of" },
		{ 48, 0, true, "refcount table" },
		{ 48, 0x10200, true, "refcount table" },
		{ 48, 0xffffffffffff0000ull, true, "refcount table" },
		{ 56, 0, false, "refcount table" },
		{ 56, 0xffffffff, false, "refcount table" },
		{ 96, 7, false, "64 bits" },
		{ 100, 96, false, "length of its header" },
		{ 100, 0xfffffff8, false, "length of its header" },
		{ 88, 1, true, "bitmaps" },
		{ 88, 2, true, "data file" },
		{ 72, 4, true, "another file" },
		{ 72, 8, true, "compression" },
		{ 116, 0xfffffff0, false, "extension" },
	};

	(void)state;
	need_tools();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		create("");
		if (bad[i].wide)
			patch64("a", bad[i].at, bad[i].v);
		else
			patch32("a", bad[i].at, (uint32_t)bad[i].v);
		refused(bad[i].why);
	}
}

static void qcow2_open__wants_the_backing_file_that_is_named(void **state)
{
	struct chain two = { .n = 2, .name = { "base", "a" }, .raw = { true, false } };

	(void)state;
	need_tools();
	assert_int_equal(
		sh("rm -f a; truncate -s 8M base; qemu-img create -f qcow2 -b base -F raw a"), 0);
	refused("on top of 'base'");
	last = (struct sill_err){ 0 };
	two.raw[0] = false;
	assert_int_equal(sh("qemu-img create -f qcow2 base 8M"), 0);
	assert_null(chain_open(&two, false, &last));
	assert_non_null(strstr(last.msg, "is 'raw', not 'qcow2'"));
	create("");
	last = (struct sill_err){ 0 };
	assert_null(chain_open(&two, false, &last));
	assert_non_null(strstr(last.msg, "names none"));
}

static void qcow2_open__refuses_loops_and_towers(void **state)
{
	struct blk *b = NULL;

	(void)state;
	need_tools();
	assert_int_equal(sh("qemu-img create -f qcow2 0 1M; for i in $(seq 1 65); do "
			    "qemu-img create -f qcow2 -b $((i - 1)) -F qcow2 $i; done"),
			 0);
	for (int i = 0; i <= QCOW2_MAX_DEPTH; i++) {
		struct blk_config c = { .path = "x", .readonly = true, .backing = b };
		char name[8];

		(void)snprintf(name, sizeof(name), "%d", i == 1 ? 1 : i);
		c.fd = open_in_dir(name, true);
		last = (struct sill_err){ 0 };
		b = blk_open(&blk_qcow2_ops, &c, &last);
		assert_true((b != NULL) == (i < QCOW2_MAX_DEPTH));
	}
	assert_non_null(strstr(last.msg, "on top of each other"));

	for (int i = 0; i < 2; i++) {
		const struct blk_config c = { .fd = open_in_dir(i == 0 ? "0" : "1", true),
					      .readonly = true,
					      .path = "x",
					      .backing = b };

		b = blk_open(&blk_qcow2_ops, &c, &last);
		assert_non_null(b);
	}
	const struct blk_config c = { .fd = open_in_dir("1", true), .path = "x", .backing = b };

	last = (struct sill_err){ 0 };
	assert_null(blk_open(&blk_qcow2_ops, &c, &last));
	assert_non_null(strstr(last.msg, "its own backing file"));
}

static void qcow2_open__counts_anew_after_a_lazy_writer(void **state)
{
	struct blk *b;
	char s[SECTOR];

	(void)state;
	need_tools();
	for (int ext = 0; ext < 2; ext++) {
		create(ext != 0 ? "-o lazy_refcounts=on,extended_l2=on" : "-o lazy_refcounts=on");
		(void)sh("qemu-io -c 'write -P 7 1M 3M' -c flush -c abort a");
		assert_int_equal(peek64("a", 72) & 1, 1);
		b = open_one(true); /* a reader does not mind */
		assert_non_null(b);
		assert_int_equal(transfer(b, BLK_READ, 1 << 20, s, SECTOR), 0);
		assert_int_equal(s[9], 7);
		blk_close(b);
		assert_int_equal(peek64("a", 72) & 1, 1);
		b = open_one(false);
		assert_non_null(b);
		assert_int_equal(peek64("a", 72) & 1, 0);
		assert_int_equal(transfer(b, BLK_WRITE, 0, s, SECTOR), 0);
		blk_close(b);
		assert_int_equal(sh("qemu-img check a"), 0);
		assert_int_equal(sh("qemu-io -c 'read -P 7 1M 3M' a | tee out; ! grep -q fail out"),
				 0);
	}
}

static void qcow2_open__refuses_to_write_what_is_corrupt(void **state)
{
	struct blk *b;

	(void)state;
	need_tools();
	create("");
	patch64("a", 72, 2);
	refused("corrupt");
	b = open_one(true);
	assert_non_null(b);
	blk_close(b);
}

/* The L1 table is at 0x30000, the first L2 table behind it. */
static void qcow2_write__marks_an_image_with_wild_pointers(void **state)
{
	static const uint64_t wild[] = {
		(1ull << 63) | 0x10000,          /* the refcount table */
		(1ull << 63) | 0x20000,          /* a refcount block */
		(1ull << 63) | 0x30000,          /* L1 */
		(1ull << 63) | 0x40000,          /* the L2 table itself */
		(1ull << 63) | 0x50200,          /* not aligned */
		(1ull << 63) | 0x5000000,        /* beyond the end */
		(1ull << 63),                    /* the header */
		0x50002,                         /* a reserved bit */
		(3ull << 62) | 0x50000,          /* compressed and its own */
		(1ull << 62) | 0xfffffffffff000, /* compressed, beyond the end */
	};
	char s[SECTOR] = { 0 };

	(void)state;
	need_tools();
	for (size_t i = 0; i < ARRAY_LEN(wild); i++) {
		struct blk *b;

		create("");
		assert_int_equal(sh("qemu-io -c 'write 0 64k' a"), 0);
		assert_int_equal(peek64("a", 0x30000), (1ull << 63) | 0x40000);
		patch64("a", 0x40000, wild[i]);
		b = open_one(false);
		assert_non_null(b);
		assert_int_equal(transfer(b, BLK_WRITE, 0, s, SECTOR), EIO);
		assert_int_equal(transfer(b, BLK_WRITE, 1 << 20, s, SECTOR), EIO);
		blk_close(b);
		assert_int_equal(peek64("a", 72), 2);
	}
}

/* Trimming what such a pointer leads to, or copying it elsewhere, frees nothing. */
static void qcow2_zero__gives_no_metadata_back(void **state)
{
	enum { RT = 0x10000, BLOCK = 0x20000, L1 = 0x30000, OTHER_L2 = 0x40000, L2 = 0x60000 };
	/* clang-format off */
	static const struct {
		enum blk_op op;
		uint32_t flags, to;
		uint64_t n;
	} cases[] = {
		{ BLK_DISCARD, 1u << 31, L1, 65536 },
		{ BLK_DISCARD, 1u << 31, OTHER_L2, 65536 },
		{ BLK_DISCARD, 1u << 31, BLOCK, 65536 },
		{ BLK_DISCARD, 0, OTHER_L2, 65536 },
		{ BLK_DISCARD, 1u << 30, RT, 65536 },
		{ BLK_WRITE, 0, OTHER_L2, SECTOR },
	};
	/* clang-format on */
	char s[SECTOR] = { 0 };

	(void)state;
	need_tools();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t before;
		struct blk *b;

		assert_int_equal(sh("rm -f a; qemu-img create -f qcow2 a 2G && qemu-io "
				    "-c 'write 1G 64k' -c 'write 0 64k' a"),
				 0);
		assert_int_equal(peek64("a", L1 + 16), (1ull << 63) | OTHER_L2);
		assert_int_equal(peek64("a", L1), (1ull << 63) | L2);
		patch64("a", L2, (uint64_t)cases[i].flags << 32 | cases[i].to);
		before = peek64("a", (off_t)cases[i].to);
		assert_true(before != 0);
		b = open_one(false);
		assert_non_null(b);
		assert_int_equal(transfer(b, cases[i].op, 0, s, cases[i].n), EIO);
		(void)blk_close(b);
		assert_int_equal(peek64("a", (off_t)cases[i].to), before);
		assert_int_equal(peek64("a", 72), 2);
	}
}

static void qcow2_alloc__does_not_hand_out_metadata(void **state)
{
	char s[SECTOR] = { 0 };
	struct blk *b;

	(void)state;
	need_tools();
	create("");
	patch64("a", 0x20000, 0); /* header, table, block, L1: all free */
	b = open_one(false);
	assert_non_null(b);
	assert_int_equal(transfer(b, BLK_WRITE, 0, s, SECTOR), EIO);
	blk_close(b);
	assert_int_equal(peek64("a", 72), 2);
}

static void qcow2_read__takes_garbage_for_an_error(void **state)
{
	char s[SECTOR];
	struct blk *b;

	(void)state;
	need_tools();
	for (int zstd = 0; zstd < 2; zstd++) {
		assert_int_equal(sh("rm -f a; yes | head -c 1M >r; qemu-img convert -c -f raw -O "
				    "qcow2 -o compression_type=%s r a",
				    zstd != 0 ? "zstd" : "zlib"),
				 0);
		b = open_one(true);
		assert_int_equal(transfer(b, BLK_READ, 4096, s, SECTOR), 0);
		assert_int_equal(s[0], 'y');
		blk_close(b);
		patch("a", (off_t)(peek64("a", 0x40000) & 0x3fffffffffffull),
		      "\xff\xff\xff\xff\xff", 5);
		b = open_one(true);
		assert_int_equal(transfer(b, BLK_READ, 4096, s, SECTOR), EIO);
		blk_close(b);
	}
}

/* One cluster as a stream of a size that is not said, which may look back 2^@window bytes. */
static size_t pack(uint8_t *dst, size_t room, int window)
{
	static uint8_t plain[65536];
	ZSTD_inBuffer in = { plain, sizeof(plain), 0 };
	ZSTD_outBuffer out = { dst, room, 0 };
	ZSTD_CCtx *c = ZSTD_createCCtx();

	memset(plain, 0x5a, sizeof(plain));
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window);
	assert_false(ZSTD_isError(ZSTD_compressStream2(c, &out, &in, ZSTD_e_continue)));
	assert_int_equal(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end), 0);
	(void)ZSTD_freeCCtx(c);
	return out.pos;
}

static void qcow2_read__gives_a_stream_no_more_memory_than_it_needs(void **state)
{
	static const int windows[] = { 10, 21, 23, 24, 27 };
	uint8_t packed[4096] = { 0 };
	char s[SECTOR];

	(void)state;
	need_tools();
	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		const int err = windows[i] > 23 ? EIO : 0;
		struct blk *b;

		create("-o compression_type=zstd");
		assert_int_equal(sh("qemu-io -c 'write 0 64k' a"), 0);
		assert_true(pack(packed, sizeof(packed), windows[i]) > 0);
		patch("a", 0x50000, packed, sizeof(packed));
		patch64("a", 0x40000, (1ull << 62) | (7ull << 54) | 0x50000);
		b = open_one(true);
		assert_non_null(b);
		assert_int_equal(transfer(b, BLK_READ, 4096, s, SECTOR), err);
		assert_true(err != 0 || s[SECTOR - 1] == 0x5a);
		blk_close(b);
	}
}

static void qcow2_write__takes_the_meaning_from_bitmaps(void **state)
{
	char s[SECTOR] = { 0 };
	struct blk *b;

	(void)state;
	need_tools();
	create("");
	assert_int_equal(sh("qemu-img bitmap --add a one"), 0);
	assert_int_equal(peek64("a", 88), 1);
	b = open_one(false);
	assert_int_equal(transfer(b, BLK_READ, 0, s, SECTOR), 0);
	assert_int_equal(request(b, BLK_FLUSH, 0, 0, NULL, 0, false), 0);
	blk_close(b);
	assert_int_equal(peek64("a", 88), 1); /* nothing was written */
	assert_int_equal(sh("qemu-img check a"), 0);
	b = open_one(false);
	assert_int_equal(transfer(b, BLK_WRITE, 0, s, SECTOR), 0);
	blk_close(b);
	assert_int_equal(peek64("a", 88), 0);
	assert_true(sh("qemu-img check a") != 2);
}

static void qcow2_submit__refuses_writes_to_read_only(void **state)
{
	char s[SECTOR] = { 0 };
	struct blk *b;

	(void)state;
	need_tools();
	create("");
	b = open_one(true);
	assert_int_equal(transfer(b, BLK_WRITE, 0, s, SECTOR), EROFS);
	assert_int_equal(request(b, BLK_DISCARD, 0, SECTOR, NULL, 0, false), EROFS);
	assert_int_equal(request(b, BLK_FLUSH, 0, 0, NULL, 0, false), 0);
	blk_close(b);
}

static void qcow2__writes_through_when_asked_and_gives_space_back(void **state)
{
	static uint8_t buf[4 << 20];
	struct stat full, hollow;
	struct blk *b;
	char path[128];

	(void)state;
	need_tools();
	create("");
	(void)snprintf(path, sizeof(path), "%s/a", dir);
	memset(buf, 0x55, sizeof(buf));
	b = open_one(false);
	b->writeback = false;
	assert_int_equal(transfer(b, BLK_WRITE, 0, buf, sizeof(buf)), 0);
	assert_true(peek64("a", 0x30000) != 0); /* it is in the tables of the file */
	assert_int_equal(stat(path, &full), 0);
	assert_int_equal(request(b, BLK_DISCARD, 0, sizeof(buf), NULL, 0, false), 0);
	blk_close(b);
	assert_int_equal(stat(path, &hollow), 0);
	assert_true(full.st_blocks - hollow.st_blocks >= (off_t)sizeof(buf) / 512);
	assert_int_equal(sh("qemu-img check a"), 0);
}

static void qcow2__works_with_direct_io(void **state)
{
	static _Alignas(4096) uint8_t in[1 << 20], out[1 << 20];
	char path[] = "/var/tmp/sill-qcow2-XXXXXX";
	struct sill_err e = { 0 };
	int fd = mkstemp(path);

	(void)state;
	need_tools();
	for (unsigned bits = 9; bits <= 17; bits += 8) {
		struct blk_config c = { .path = path, .direct = true };
		struct blk *b;

		assert_int_equal(
			sh("qemu-img create -f qcow2 -o cluster_size=%u %s 8M", 1u << bits, path),
			0);
		c.fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (c.fd < 0)
			break;
		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (uint8_t)(i * 7 + i / 512);
		b = blk_open(&blk_qcow2_ops, &c, &e);
		assert_non_null(b);
		assert_int_equal(transfer(b, BLK_WRITE, 512, in + 3, 1000 * SECTOR), 0);
		assert_int_equal(transfer(b, BLK_WRITE, 3 << 20, in, sizeof(in)), 0);
		assert_int_equal(transfer(b, BLK_READ, 512, out + 1, 1000 * SECTOR), 0);
		assert_memory_equal(in + 3, out + 1, 1000 * SECTOR);
		assert_int_equal(transfer(b, BLK_READ, 3 << 20, out, sizeof(out)), 0);
		assert_memory_equal(in, out, sizeof(out));
		blk_close(b);
		assert_int_equal(sh("qemu-img check %s", path), 0);
	}
	close(fd);
	(void)unlink(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(qcow2_open__refuses_what_is_not_qcow2),
		TEST(qcow2_open__refuses_encryption_and_snapshots_by_name),
		TEST(qcow2_open__names_an_unknown_feature),
		TEST(qcow2_open__checks_every_field),
		TEST(qcow2_open__wants_the_backing_file_that_is_named),
		TEST(qcow2_open__refuses_loops_and_towers),
		TEST(qcow2_open__counts_anew_after_a_lazy_writer),
		TEST(qcow2_open__refuses_to_write_what_is_corrupt),
		TEST(qcow2_write__marks_an_image_with_wild_pointers),
		TEST(qcow2_zero__gives_no_metadata_back),
		TEST(qcow2_alloc__does_not_hand_out_metadata),
		TEST(qcow2_read__takes_garbage_for_an_error),
		TEST(qcow2_read__gives_a_stream_no_more_memory_than_it_needs),
		TEST(qcow2_write__takes_the_meaning_from_bitmaps),
		TEST(qcow2_submit__refuses_writes_to_read_only),
		TEST(qcow2__writes_through_when_asked_and_gives_space_back),
		TEST(qcow2__works_with_direct_io),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
