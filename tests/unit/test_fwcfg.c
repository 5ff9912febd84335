/* SPDX-License-Identifier: Apache-2.0 */
/* test_fwcfg.c - items, directory, data port and DMA of fw_cfg. */
#include "kit.h"

#include "base/le.h"
#include "base/limits.h"
#include "devices/legacy/fwcfg.h"

enum { SELECTOR = 0, DATA = 1, DMA_HIGH = 4, DMA_LOW = 8 };
enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };
enum { RAM = 0x10000, RAM_SIZE = 4 * 1024 * 1024, DESC = 0x10100, BUF = 0x20000 };

static uint8_t *ram; /* guest address RAM */
static unsigned selected, written;

static void fill(void *ctx, uint8_t *data, size_t size)
{
	selected++;
	memset(data, *(const char *)ctx + (int)selected - 1, size);
}

static void on_written(void *ctx, const uint8_t *data, size_t size)
{
	assert_ptr_equal(ctx, &written);
	assert_int_equal(size, 8);
	written = data[0];
}

static char letter = 'A';

/* clang-format off */
static const struct fwcfg_file files[] = {
	{ .name = "opt/z", .data = "zzz", .size = 3 },
	{ .name = "etc/e820", .data = "0123456789", .size = 10 },
	{ .name = "etc/lazy", .size = 6, .select = fill, .ctx = &letter },
	{ .name = "etc/vmgenid_addr",
	  .data = "\1\2\3\4\5\6\7\10",
	  .size = 8,
	  .writable = true,
	  .written = on_written,
	  .ctx = &written },
};
/* clang-format on */

static void open_fwcfg(struct kit *k)
{
	static const struct fwcfg_config c = { .files = files,
					       .file_count = ARRAY_LEN(files),
					       .boot_cpus = 0x0203 };
	struct sill_err e = { 0 };

	selected = written = 0;
	kit_open(k, 0);
	ram = aligned_alloc(4096, RAM_SIZE);
	assert_non_null(ram);
	memset(ram, 0xee, RAM_SIZE);
	assert_int_equal(gmem_add(k->env.gmem, RAM, RAM_SIZE, ram, GMEM_RAM, &e), 0);
	kit_plug(k, &fwcfg_ops, &c, NO_GSI);
}

static void close_fwcfg(struct kit *k)
{
	kit_close(k);
	free(ram);
}

static void read_item(struct kit *k, unsigned key, void *dst, size_t n)
{
	uint8_t *b = dst;

	wr(k, 0, SELECTOR, 2, key);
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)rd(k, 0, DATA, 1);
}

static uint8_t *at(uint64_t gpa)
{
	return ram + (gpa - RAM);
}

/* One DMA command; returns the control word the device left. */
static uint32_t dma_at(struct kit *k, uint64_t desc, uint32_t control, uint32_t length,
		       uint64_t address)
{
	const be32 c = be32_of(control), n = be32_of(length);
	const be64 a = be64_of(address);
	be32 ret;

	memcpy(at(desc), &c, 4);
	memcpy(at(desc) + 4, &n, 4);
	memcpy(at(desc) + 8, &a, 8);
	wr(k, 0, DMA_HIGH, 4, __builtin_bswap32((uint32_t)(desc >> 32)));
	wr(k, 0, DMA_LOW, 4, __builtin_bswap32((uint32_t)desc));
	memcpy(&ret, at(desc), 4);
	assert_memory_equal(at(desc) + 4, &n, 4);
	assert_memory_equal(at(desc) + 8, &a, 8);
	return be32_get(ret);
}

static uint32_t dma(struct kit *k, uint32_t control, uint32_t length, uint64_t address)
{
	return dma_at(k, DESC, control, length, address);
}

static void fwcfg_items__are_what_firmware_asks_for(void **state)
{
	uint8_t b[8];
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	read_item(&k, 0, b, 6);
	assert_memory_equal(b, "QEMU\0\0", 6);
	read_item(&k, 1, b, 4);
	assert_int_equal(ld32(b), 3);
	read_item(&k, 5, b, 3);
	assert_int_equal(ld32(b) & 0xffffff, 0x0203);
	read_item(&k, 0x0e, b, 2);
	assert_int_equal(ld16(b), 0);
	/* No kernel, no bit-15 items, no file past the last. */
	static const unsigned none[] = { 0x08,   0x0b,   0x14, 0x17,  0x8000,
					 0x8003, 0x8020, 0x24, 0x3fff };
	for (unsigned i = 0; i < ARRAY_LEN(none); i++) {
		memset(b, 1, sizeof(b));
		read_item(&k, none[i], b, 8);
		assert_memory_equal(b, "\0\0\0\0\0\0\0\0", 8);
	}
	/* Bit 14 selects the same item. */
	read_item(&k, 0x4000, b, 4);
	assert_memory_equal(b, "QEMU", 4);
	close_fwcfg(&k);
}

static void fwcfg_directory__is_sorted_and_big_endian(void **state)
{
	static const struct {
		const char *name;
		uint32_t size;
	} want[] = {
		{ "etc/e820", 10 }, { "etc/lazy", 6 }, { "etc/vmgenid_addr", 8 }, { "opt/z", 3 }
	};
	uint8_t dir[4 + 5 * 64];
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	read_item(&k, 0x19, dir, sizeof(dir));
	assert_memory_equal(dir, "\0\0\0\4", 4);
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *e = dir + 4 + 64 * (size_t)i;

		assert_int_equal(e[0] << 24 | e[1] << 16 | e[2] << 8 | e[3], want[i].size);
		assert_int_equal(e[4] << 8 | e[5], 0x20 + i);
		assert_int_equal(e[6] | e[7], 0);
		assert_string_equal((const char *)e + 8, want[i].name);
		for (size_t j = 8 + strlen(want[i].name); j < 64; j++)
			assert_int_equal(e[j], 0);
	}
	assert_int_equal(dir[4 + 4 * 64], 0); /* past the end */
	close_fwcfg(&k);
}

static void fwcfg_data__ends_in_zeroes_and_starts_over(void **state)
{
	uint8_t b[12];
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	read_item(&k, 0x20, b, 12);
	assert_memory_equal(b, "0123456789\0\0", 12);
	read_item(&k, 0x20, b, 2);
	assert_memory_equal(b, "01", 2);
	wr(&k, 0, DATA, 1, 0x55); /* the data port cannot write */
	assert_int_equal(rd(&k, 0, DATA, 1), '2');
	close_fwcfg(&k);
}

static void fwcfg_dma__announces_itself(void **state)
{
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	assert_int_equal(rd(&k, 0, DMA_HIGH, 4), 0x554d4551); /* "QEMU" */
	assert_int_equal(rd(&k, 0, DMA_LOW, 4), 0x47464320);  /* " CFG" */
	assert_int_equal(rd(&k, 0, DMA_LOW + 3, 1), 'G');
	close_fwcfg(&k);
}

static void fwcfg_dma__selects_reads_skips_and_goes_on(void **state)
{
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	assert_int_equal(dma(&k, SELECT | READ | 0x20u << 16, 4, BUF), 0);
	assert_memory_equal(at(BUF), "0123\xee", 5);
	assert_int_equal(dma(&k, SKIP, 2, 0), 0);
	assert_int_equal(dma(&k, READ, 2, BUF), 0);
	assert_memory_equal(at(BUF), "6723", 4);
	assert_int_equal(rd(&k, 0, DATA, 1), '8'); /* one position for both ways */
	assert_int_equal(dma(&k, READ, 4, BUF), 0);
	assert_memory_equal(at(BUF), "9\0\0\0\xee", 5);
	assert_int_equal(dma(&k, SELECT | SKIP | 0x20u << 16, UINT32_MAX, 0), 0);
	assert_int_equal(rd(&k, 0, DATA, 1), 0);
	assert_int_equal(dma(&k, SELECT | 0x23u << 16, 0, 0), 0);
	assert_int_equal(rd(&k, 0, DATA, 1), 'z');
	assert_int_equal(dma(&k, 0, 0, 0), 0);
	close_fwcfg(&k);
}

static void fwcfg_dma__reads_zeroes_from_nothing_but_not_without_end(void **state)
{
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	assert_int_equal(dma(&k, SELECT | READ | 0x17u << 16, 4, BUF), 0);
	assert_memory_equal(at(BUF), "\0\0\0\0\xee", 5);
	assert_int_equal(dma(&k, SELECT | READ | 0x20u << 16, 10 + FWCFG_ZEROES_MAX, BUF), 0);
	assert_int_equal(at(BUF)[10 + FWCFG_ZEROES_MAX - 1], 0);
	assert_int_equal(at(BUF)[10 + FWCFG_ZEROES_MAX], 0xee);
	memset(ram, 0xee, RAM_SIZE);
	assert_int_equal(dma(&k, SELECT | READ | 0x20u << 16, 11 + FWCFG_ZEROES_MAX, BUF), ERROR);
	assert_int_equal(dma(&k, READ, UINT32_MAX, RAM), ERROR);
	assert_int_equal(at(BUF)[0], 0xee);
	close_fwcfg(&k);
}

static void fwcfg_dma__refuses_what_is_not_ram(void **state)
{
	static const uint64_t bad[] = {
		0, RAM - 1, RAM + RAM_SIZE - 7, RAM + RAM_SIZE, UINT64_MAX, UINT64_MAX - 6
	};
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(dma(&k, SELECT | READ | 0x20u << 16, 10, bad[i]), ERROR);
		assert_int_equal(rd(&k, 0, DATA, 1), '0'); /* nothing was consumed */
		assert_int_equal(dma(&k, SELECT | WRITE | 0x22u << 16, 8, bad[i]), ERROR);
	}
	assert_int_equal(*at(RAM + RAM_SIZE - 1), 0xee);
	/* The descriptor itself: nothing happens, nobody is told. */
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		wr(&k, 0, DMA_HIGH, 4, __builtin_bswap32((uint32_t)(bad[i] >> 32)));
		wr(&k, 0, DMA_LOW, 4, __builtin_bswap32((uint32_t)bad[i]));
	}
	close_fwcfg(&k);
}

static void fwcfg_dma__writes_only_writable_files_within_their_size(void **state)
{
	uint8_t b[8];
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	memcpy(at(BUF), "ABCDEFGHI", 9);
	assert_int_equal(dma(&k, SELECT | WRITE | 0x20u << 16, 4, BUF), ERROR);
	assert_int_equal(dma(&k, SELECT | WRITE | 0x19u << 16, 4, BUF), ERROR);
	assert_int_equal(dma(&k, SELECT | WRITE | 0x3fffu << 16, 4, BUF), ERROR);
	assert_int_equal(dma(&k, SELECT | WRITE | 0x22u << 16, 9, BUF), ERROR);
	read_item(&k, 0x22, b, 8);
	assert_memory_equal(b, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(written, 0);
	assert_int_equal(dma(&k, SELECT | WRITE | 0x22u << 16, 8, BUF), 0);
	assert_int_equal(written, 'A');
	read_item(&k, 0x22, b, 8);
	assert_memory_equal(b, "ABCDEFGH", 8);
	assert_int_equal(dma(&k, SELECT | SKIP | 0x22u << 16, 6, 0), 0);
	assert_int_equal(dma(&k, WRITE, 3, BUF), ERROR);
	assert_int_equal(dma(&k, WRITE, 2, BUF), 0);
	read_item(&k, 0x22, b, 8);
	assert_memory_equal(b, "ABCDEFAB", 8);
	dev_reset(k.dev);
	read_item(&k, 0x22, b, 8);
	assert_memory_equal(b, "\1\2\3\4\5\6\7\10", 8);
	close_fwcfg(&k);
}

static void fwcfg_select__fills_a_lazy_file_each_time(void **state)
{
	uint8_t b[6];
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	assert_int_equal(selected, 0);
	read_item(&k, 0x21, b, 6);
	assert_memory_equal(b, "AAAAAA", 6);
	assert_int_equal(dma(&k, SELECT | READ | 0x21u << 16, 6, BUF), 0);
	assert_memory_equal(at(BUF), "BBBBBB", 6);
	assert_int_equal(selected, 2);
	close_fwcfg(&k);
}

static void fwcfg_io__of_other_sizes_is_the_guests_mistake(void **state)
{
	static const struct {
		struct io io;
		enum io_result want;
	} t[] = {
		{ { .off = 0, .size = 1, .write = true }, IO_BAD_SIZE },
		{ { .off = 0, .size = 4, .write = true }, IO_BAD_SIZE },
		{ { .off = 4, .size = 2, .write = true }, IO_BAD_SIZE },
		{ { .off = 8, .size = 1, .write = true }, IO_BAD_SIZE },
		{ { .off = 8, .size = 8, .write = true }, IO_BAD_SIZE },
		{ { .off = 6, .size = 2, .write = true }, IO_NO_REGISTER },
		{ { .off = 1, .size = 2 }, IO_BAD_SIZE },
		{ { .off = 0, .size = 2 }, IO_NO_REGISTER },
		{ { .off = 2, .size = 1 }, IO_NO_REGISTER },
		{ { .off = 8, .size = 8 }, IO_NO_REGISTER },
	};
	struct kit k;

	(void)state;
	open_fwcfg(&k);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct io io = t[i].io;

		assert_int_equal(kit_access(&k, 0, &io), t[i].want);
	}
	close_fwcfg(&k);
}

static void fwcfg_create__refuses_bad_files(void **state)
{
	static const struct fwcfg_file twice[] = { { .name = "a", .size = 1 },
						   { .name = "a", .size = 1 } };
	static const struct fwcfg_file longname[] = {
		{ .name = "12345678901234567890123456789012345678901234567890123456", .size = 1 }
	};
	static const struct fwcfg_file empty[] = { { .name = "a" } };
	static const struct fwcfg_config bad[] = {
		{ .files = twice, .file_count = 2 },
		{ .files = longname, .file_count = 1 },
		{ .files = empty, .file_count = 1 },
		{ .files = empty, .file_count = MAX_FWCFG_FILES + 1 },
	};
	struct kit k;

	(void)state;
	kit_open(&k, 0);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct sill_err e = { 0 };

		assert_null(dev_create(&fwcfg_ops, "fwcfg", &bad[i], NO_GSI, &k.env, &e));
		assert_int_not_equal(e.code, SILL_ERR_NONE);
	}
	kit_close(&k);
}

static void fwcfg_load__goes_on_in_the_middle_of_a_file(void **state)
{
	struct kit a, b;
	uint8_t *saved, *ram_a;
	size_t n;

	(void)state;
	open_fwcfg(&a);
	ram_a = ram;
	memcpy(at(BUF), "ABCDEFGH", 8);
	assert_int_equal(dma(&a, SELECT | WRITE | 0x22u << 16, 8, BUF), 0);
	wr(&a, 0, SELECTOR, 2, 0x21);
	(void)rd(&a, 0, DATA, 1);
	wr(&a, 0, DMA_HIGH, 4, 0x01000000);
	saved = kit_save(&a, &n);
	kit_close(&a);
	free(ram_a);

	open_fwcfg(&b);
	assert_int_equal(kit_load(&b, saved, n), 0);
	assert_int_equal(rd(&b, 0, DATA, 1), 'A');
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(rd(&b, 0, DATA, 1), 'A');
	assert_int_equal(rd(&b, 0, DATA, 1), 0);
	/* The high half of the DMA address was 1: no such memory, no effect. */
	wr(&b, 0, DMA_LOW, 4, __builtin_bswap32(DESC));
	assert_int_equal(*at(DESC), 0xee);
	wr(&b, 0, SELECTOR, 2, 0x22);
	assert_int_equal(rd(&b, 0, DATA, 1), 'A');
	kit_load_damaged(&b);
	free(saved);
	close_fwcfg(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fwcfg_items__are_what_firmware_asks_for),
		cmocka_unit_test(fwcfg_directory__is_sorted_and_big_endian),
		cmocka_unit_test(fwcfg_data__ends_in_zeroes_and_starts_over),
		cmocka_unit_test(fwcfg_dma__announces_itself),
		cmocka_unit_test(fwcfg_dma__selects_reads_skips_and_goes_on),
		cmocka_unit_test(fwcfg_dma__reads_zeroes_from_nothing_but_not_without_end),
		cmocka_unit_test(fwcfg_dma__refuses_what_is_not_ram),
		cmocka_unit_test(fwcfg_dma__writes_only_writable_files_within_their_size),
		cmocka_unit_test(fwcfg_select__fills_a_lazy_file_each_time),
		cmocka_unit_test(fwcfg_io__of_other_sizes_is_the_guests_mistake),
		cmocka_unit_test(fwcfg_create__refuses_bad_files),
		cmocka_unit_test(fwcfg_load__goes_on_in_the_middle_of_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
