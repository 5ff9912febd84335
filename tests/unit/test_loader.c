/* SPDX-License-Identifier: Apache-2.0 */
/* test_loader.c - ELF and bzImage: images from strangers, and where they may go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/le.h"
#include "firmware/bzimage.h"
#include "firmware/elf.h"

#define FILE_SIZE 0x4000u

static const struct bootfile_ram ram = { .start = 0x100000, .end = 0x8000000 };

/* ---- ELF ---- */

/* An image shaped as CLOUDHV.fd: one PT_LOAD at 1 MiB over the whole file, the note inside it. */
static void elf_make(uint8_t file[FILE_SIZE])
{
	uint8_t *ph = file + 64;

	memset(file, 0, FILE_SIZE);
	memcpy(file, "\177ELF\2\1\1", 7);
	st16(file + 16, 2);
	st16(file + 18, 3); /* EM_386 in an ELF64 */
	st32(file + 20, 1);
	st64(file + 24, 0x103fd0);
	st64(file + 32, 64);
	st16(file + 52, 64);
	st16(file + 54, 56);
	st16(file + 56, 2);

	st32(ph, 1);
	st64(ph + 24, 0x100000);
	st64(ph + 32, FILE_SIZE);
	st64(ph + 40, FILE_SIZE);
	ph += 56;
	st32(ph, 4);
	st64(ph + 8, 0xb0);
	st64(ph + 32, 20);

	st32(file + 0xb0, 4);
	st32(file + 0xb4, 4);
	st32(file + 0xb8, 18);
	memcpy(file + 0xbc, "Xen", 4);
	st32(file + 0xc0, 0x103fd0);
}

static void elf_parse__accepts_the_shape_of_cloudhv(void **state)
{
	static uint8_t file[FILE_SIZE];
	struct elf_image img;
	struct sill_err e = { 0 };

	(void)state;
	elf_make(file);
	assert_true(elf_probe(file, FILE_SIZE));
	assert_int_equal(elf_parse(file, FILE_SIZE, &ram, &img, &e), 0);
	assert_int_equal(img.segment_count, 1);
	assert_int_equal(img.segment[0].file_off, 0);
	assert_int_equal(img.segment[0].file_size, FILE_SIZE);
	assert_int_equal(img.segment[0].gpa, 0x100000);
	assert_int_equal(img.segment[0].mem_size, FILE_SIZE);
	assert_int_equal(img.start, 0x100000);
	assert_int_equal(img.end, 0x104000);
	assert_int_equal(img.pvh_entry, 0x103fd0);
}

static void elf_parse__accepts_an_8_byte_entry_behind_other_notes(void **state)
{
	static uint8_t file[FILE_SIZE];
	struct elf_image img;
	struct sill_err e = { 0 };
	uint8_t *n = file + 0xb0;

	(void)state;
	elf_make(file);
	st64(file + 64 + 56 + 32, 0x30 + 2);
	st32(n, 4);
	st32(n + 4, 5); /* padded to 8 */
	st32(n + 8, 6);
	memcpy(n + 12, "Xen", 4);
	n += 24;
	st32(n, 4);
	st32(n + 4, 8);
	st32(n + 8, 18);
	memcpy(n + 12, "Xen", 4);
	st64(n + 16, 0x100123);
	assert_int_equal(elf_parse(file, FILE_SIZE, &ram, &img, &e), 0);
	assert_int_equal(img.pvh_entry, 0x100123);
}

enum { W16, W32, W64 };
#define PH1 64u
#define PH2 120u

/* One field changed makes it unusable; "what" is a part of the message. */
static void elf_parse__refuses_every_broken_field(void **state)
{
	static const struct {
		unsigned off, width;
		uint64_t v;
		const char *what;
	} rows[] = {
		{ 0, W32, 0, "no ELF header" },
		{ 4, W16, 0x0101, "64-bit" },
		{ 4, W16, 0x0202, "64-bit" },
		{ 54, W16, 55, "program header size" },
		{ 56, W16, 0, "program headers" },
		{ 56, W16, 65, "too many" },
		{ 56, W16, 0xffff, "too many" },
		{ 32, W64, FILE_SIZE - 56, "beyond the end" },
		{ 32, W64, UINT64_MAX - 10, "beyond the end" },
		{ PH1, W32, 0, "nothing to load" },
		{ PH1 + 8, W64, 1, "beyond the end" },
		{ PH1 + 8, W64, UINT64_MAX, "beyond the end" },
		{ PH1 + 32, W64, FILE_SIZE + 1, "larger in the file" },
		{ PH1 + 32, W64, 16, "entry point" },
		{ PH1 + 40, W64, FILE_SIZE - 1, "larger in the file" },
		{ PH1 + 40, W64, UINT64_MAX, "wants memory" },
		{ PH1 + 40, W64, 0x7f00001, "wants memory" },
		{ PH1 + 24, W64, 0xfffff, "wants memory" },
		{ PH1 + 24, W64, 0, "wants memory" },
		{ PH1 + 24, W64, 0x8000000, "wants memory" },
		{ PH1 + 24, W64, UINT64_MAX, "wants memory" },
		{ PH1 + 24, W64, 0x200000, "entry point" },
		{ PH2, W32, 0, "PHYS32_ENTRY" },
		{ PH2 + 8, W64, FILE_SIZE - 19, "broken notes" },
		{ PH2 + 8, W64, UINT64_MAX, "broken notes" },
		{ PH2 + 32, W64, UINT64_MAX, "broken notes" },
		{ PH2 + 32, W64, 16, "broken notes" },
		{ PH2 + 32, W64, 11, "PHYS32_ENTRY" },
		{ 0xb0, W32, 5, "broken notes" },
		{ 0xb0, W32, UINT32_MAX, "broken notes" },
		{ 0xb4, W32, UINT32_MAX, "broken notes" },
		{ 0xb4, W32, 3, "broken notes" },
		{ 0xb8, W32, 17, "PHYS32_ENTRY" },
		{ 0xbc, W32, 0, "PHYS32_ENTRY" },
		{ 0xc0, W32, 0xfffff, "entry point" },
		{ 0xc0, W32, 0x104000, "entry point" },
		{ 0xc0, W32, UINT32_MAX, "entry point" },
	};
	static uint8_t file[FILE_SIZE];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct elf_image img;
		struct sill_err e = { 0 };

		elf_make(file);
		if (rows[i].width == W16)
			st16(file + rows[i].off, (uint16_t)rows[i].v);
		else if (rows[i].width == W32)
			st32(file + rows[i].off, (uint32_t)rows[i].v);
		else
			st64(file + rows[i].off, rows[i].v);
		if (elf_parse(file, FILE_SIZE, &ram, &img, &e) == 0)
			fail_msg("row %u was accepted", i);
		if (strstr(e.msg, rows[i].what) == NULL)
			fail_msg("row %u: %s", i, e.msg);
		assert_int_equal(e.code, SILL_ERR_MANIFEST);
	}
}

static void elf_parse__refuses_segments_that_overlap(void **state)
{
	static uint8_t file[FILE_SIZE];
	struct elf_image img;
	struct sill_err e = { 0 };

	(void)state;
	elf_make(file);
	memcpy(file + PH2 + 56, file + PH1, 56);
	st16(file + 56, 3);
	st64(file + 64 + 56 + 8, 0x200); /* the note moves away from the third header */
	memcpy(file + 0x200, "\4\0\0\0\4\0\0\0\x12\0\0\0Xen\0\0\0\x10\0", 20);
	st64(file + PH2 + 56 + 24, 0x100000 + FILE_SIZE - 1);
	assert_int_equal(elf_parse(file, FILE_SIZE, &ram, &img, &e), -1);
	assert_non_null(strstr(e.msg, "overlap"));

	st64(file + PH2 + 56 + 24, 0x100000 + FILE_SIZE);
	e = (struct sill_err){ 0 };
	assert_int_equal(elf_parse(file, FILE_SIZE, &ram, &img, &e), 0);
	assert_int_equal(img.segment_count, 2);
	assert_int_equal(img.end, 0x100000 + 2 * FILE_SIZE);
	assert_int_equal(img.pvh_entry, 0x100000);
}

static void elf_parse__bounds_the_segments(void **state)
{
	static uint8_t file[FILE_SIZE];
	struct elf_image img;
	struct sill_err e = { 0 };
	uint8_t *ph;

	(void)state;
	elf_make(file);
	st64(file + 32, 0x1000);
	st16(file + 56, ELF_MAX_SEGMENTS + 2);
	memcpy(file + 0x1000, file + PH2, 56);
	for (unsigned i = 0; i <= ELF_MAX_SEGMENTS; i++) {
		ph = file + 0x1038 + (size_t)i * 56;
		st32(ph, 1);
		st64(ph + 24, 0x100000 + (uint64_t)i * 0x1000);
		st64(ph + 32, 0x1000);
		st64(ph + 40, 0x1000);
	}
	assert_int_equal(elf_parse(file, FILE_SIZE, &ram, &img, &e), -1);
	assert_non_null(strstr(e.msg, "too many segments"));
	st16(file + 56, ELF_MAX_SEGMENTS + 1);
	e = (struct sill_err){ 0 };
	assert_int_equal(elf_parse(file, FILE_SIZE, &ram, &img, &e), 0);
	assert_int_equal(img.segment_count, ELF_MAX_SEGMENTS);
}

static void elf_parse__refuses_every_truncation(void **state)
{
	static uint8_t file[FILE_SIZE];

	(void)state;
	elf_make(file);
	for (size_t n = 0; n < FILE_SIZE; n++) {
		/* An allocation of exactly n bytes: the sanitizer sees one byte too far. */
		uint8_t *cut = malloc(n != 0 ? n : 1);
		struct elf_image img;
		struct sill_err e = { 0 };

		assert_non_null(cut);
		memcpy(cut, file, n);
		assert_int_equal(elf_parse(cut, n, &ram, &img, &e), -1);
		free(cut);
	}
}

/* ---- bzImage ---- */

static void bz_make(uint8_t file[FILE_SIZE])
{
	memset(file, 0, FILE_SIZE);
	file[0x1f1] = 3; /* setup: 4 sectors with the boot sector */
	st16(file + 0x1fe, 0xaa55);
	file[0x200] = 0xeb;
	file[0x201] = 0x6a;
	memcpy(file + 0x202, "HdrS", 4);
	st16(file + 0x206, 0x020f);
	file[0x211] = 0x01;
	st32(file + 0x214, 0x100000);
	st32(file + 0x22c, 0x7fffffff);
	st32(file + 0x230, 0x200000);
	file[0x234] = 1;
	st32(file + 0x238, 2047);
	st64(file + 0x250, 0xdeadbeef);
	st64(file + 0x258, 0x1000000);
	st32(file + 0x260, 0x3000000);
	file[0x800] = 0xfc;
}

static void bzimage_parse__accepts_a_modern_kernel(void **state)
{
	static uint8_t file[FILE_SIZE];
	struct bzimage b;
	struct sill_err e = { 0 };

	(void)state;
	bz_make(file);
	assert_true(bzimage_probe(file, FILE_SIZE));
	assert_int_equal(bzimage_parse(file, FILE_SIZE, &ram, &b, &e), 0);
	assert_int_equal(b.version, 0x020f);
	assert_int_equal(b.kernel.file_off, 0x800);
	assert_int_equal(b.kernel.file_size, FILE_SIZE - 0x800);
	assert_int_equal(b.kernel.mem_size, FILE_SIZE - 0x800);
	assert_int_equal(b.kernel.gpa, 0x100000);
	assert_int_equal(b.entry, 0x100000);
	assert_int_equal(b.end, 0x4000000);
	assert_int_equal(b.initrd_end_max, 0x80000000);
	assert_int_equal(b.cmdline_max, 2047);
	assert_int_equal(b.header_size, 0x26c - 0x1f1);
}

static void bzimage_parse__zero_setup_sectors_mean_four(void **state)
{
	static uint8_t file[FILE_SIZE];
	struct bzimage b;
	struct sill_err e = { 0 };

	(void)state;
	bz_make(file);
	file[0x1f1] = 0;
	assert_int_equal(bzimage_parse(file, FILE_SIZE, &ram, &b, &e), 0);
	assert_int_equal(b.kernel.file_off, 0xa00);
}

static void bzimage_parse__takes_what_fits_of_a_long_header(void **state)
{
	static uint8_t file[FILE_SIZE];
	struct bzimage b;
	struct sill_err e = { 0 };

	(void)state;
	bz_make(file);
	file[0x201] = 0xff;
	assert_int_equal(bzimage_parse(file, FILE_SIZE, &ram, &b, &e), 0);
	assert_int_equal(b.header_size, sizeof(b.header));
}

static void bzimage_parse__refuses_every_broken_field(void **state)
{
	static const struct {
		unsigned off, width;
		uint64_t v;
		const char *what;
	} rows[] = {
		{ 0x202, W32, 0, "no setup header" },
		{ 0x206, W16, 0x0209, "older than" },
		{ 0x210, W16, 0, "zImage" },
		{ 0x1f1, W16, 0xff, "ends within" },
		{ 0x200, W16, 0x10eb, "too short" },
		{ 0x230, W32, 0, "alignment" },
		{ 0x230, W32, 3, "alignment" },
		{ 0x230, W32, 0x80000000, "alignment" },
		{ 0x258, W64, UINT64_MAX, "needs memory" },
		{ 0x258, W64, 0x5000001, "needs memory" },
		{ 0x260, W32, 0x7000001, "needs memory" },
		{ 0x260, W32, UINT32_MAX, "needs memory" },
	};
	static uint8_t file[FILE_SIZE];
	struct sill_err e = { 0 };
	struct bzimage b;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		e = (struct sill_err){ 0 };
		bz_make(file);
		if (rows[i].width == W16)
			st16(file + rows[i].off, (uint16_t)rows[i].v);
		else if (rows[i].width == W32)
			st32(file + rows[i].off, (uint32_t)rows[i].v);
		else
			st64(file + rows[i].off, rows[i].v);
		if (bzimage_parse(file, FILE_SIZE, &ram, &b, &e) == 0)
			fail_msg("row %u was accepted", i);
		if (strstr(e.msg, rows[i].what) == NULL)
			fail_msg("row %u: %s", i, e.msg);
	}

	bz_make(file); /* not relocatable and linked elsewhere */
	file[0x234] = 0;
	st32(file + 0x214, 0x200000);
	e = (struct sill_err){ 0 };
	assert_int_equal(bzimage_parse(file, FILE_SIZE, &ram, &b, &e), -1);
	assert_non_null(strstr(e.msg, "odd address"));
}

static void bzimage_parse__refuses_memory_that_is_too_small(void **state)
{
	static const struct bootfile_ram small[] = {
		{ 0x100000, 0x100000 },  { 0x100000, 0x100000 + FILE_SIZE - 0x800 - 1 },
		{ 0x200000, 0x8000000 }, { 0x100000, 0x3ffffff },
		{ 0x100000, 0 },
	};
	static uint8_t file[FILE_SIZE];

	(void)state;
	bz_make(file);
	for (unsigned i = 0; i < ARRAY_LEN(small); i++) {
		struct sill_err e = { 0 };
		struct bzimage b;

		assert_int_equal(bzimage_parse(file, FILE_SIZE, &small[i], &b, &e), -1);
	}
}

static void bzimage_parse__never_reads_beyond_the_file(void **state)
{
	static uint8_t file[FILE_SIZE];

	(void)state;
	bz_make(file);
	for (size_t n = 0; n < 0x900; n++) {
		uint8_t *cut = malloc(n != 0 ? n : 1);
		struct bzimage b;
		struct sill_err e = { 0 };

		assert_non_null(cut);
		memcpy(cut, file, n);
		assert_int_equal(bzimage_parse(cut, n, &ram, &b, &e), n > 0x800 ? 0 : -1);
		free(cut);
	}
}

static void bzimage_zero_page__fills_what_the_protocol_asks(void **state)
{
	static uint8_t file[FILE_SIZE], page[BZIMAGE_ZERO_PAGE_SIZE];
	struct e820_map m = { 0 };
	struct bzimage_boot boot = { .cmdline_gpa = 0x20000,
				     .cmdline_len = 11,
				     .initrd_gpa = 0x7000000,
				     .initrd_size = 0x123456,
				     .rsdp_gpa = 0xe0000,
				     .map = &m };
	struct sill_err e = { 0 };
	struct bzimage b;

	(void)state;
	bz_make(file);
	assert_int_equal(e820_add_ram(&m, 0x8000000, 0x1000, &e), 0);
	assert_int_equal(bzimage_parse(file, FILE_SIZE, &ram, &b, &e), 0);
	assert_int_equal(bzimage_zero_page(&b, &boot, page, &e), 0);
	assert_int_equal(page[0x1f1], 3);
	assert_memory_equal(page + 0x202, "HdrS", 4);
	assert_int_equal(page[0x210], 0xff);
	assert_int_equal(ld32(page + 0x214), 0x100000);
	assert_int_equal(ld32(page + 0x218), 0x7000000);
	assert_int_equal(ld32(page + 0x21c), 0x123456);
	assert_int_equal(ld32(page + 0x228), 0x20000);
	assert_int_equal(ld64(page + 0x250), 0);
	assert_int_equal(ld64(page + 0x070), 0xe0000);
	assert_int_equal(page[0x1e8], 3);
	assert_int_equal(ld64(page + 0x2d0 + 20), 0x100000);
	assert_int_equal(ld64(page + 0x2d0 + 28), 0x7f00000);
	assert_int_equal(ld32(page + 0x2d0 + 36), 1);
	assert_int_equal(ld64(page + 0x2d0 + 40), 0x100000000);
}

static void bzimage_zero_page__refuses_what_the_kernel_cannot_take(void **state)
{
	static uint8_t file[FILE_SIZE], page[BZIMAGE_ZERO_PAGE_SIZE];
	struct e820_map m = { 0 };
	struct bzimage_boot boot = { .map = &m };
	struct sill_err e = { 0 };
	struct bzimage b;

	(void)state;
	bz_make(file);
	assert_int_equal(bzimage_parse(file, FILE_SIZE, &ram, &b, &e), 0);
	boot.cmdline_len = 2047;
	assert_int_equal(bzimage_zero_page(&b, &boot, page, &e), 0);
	boot.cmdline_len = 2048;
	assert_int_equal(bzimage_zero_page(&b, &boot, page, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);

	boot = (struct bzimage_boot){ .map = &m, .initrd_gpa = 0x7ffff000, .initrd_size = 0x1001 };
	assert_int_equal(bzimage_zero_page(&b, &boot, page, &e), -1);
	boot.initrd_size = 0x1000;
	assert_int_equal(bzimage_zero_page(&b, &boot, page, &e), 0);
	boot.initrd_size = UINT64_MAX;
	assert_int_equal(bzimage_zero_page(&b, &boot, page, &e), -1);
	boot = (struct bzimage_boot){ .map = &m, .cmdline_gpa = 1ull << 32 };
	assert_int_equal(bzimage_zero_page(&b, &boot, page, &e), -1);
}

/* ---- placement ---- */

static void image_place_top__is_as_high_as_pages_allow(void **state)
{
	struct sill_err e = { 0 };
	uint64_t gpa;

	(void)state;
	assert_int_equal(bootfile_place_top(0x4000000, 0x8000000, 1, &gpa, &e), 0);
	assert_int_equal(gpa, 0x7fff000);
	assert_int_equal(bootfile_place_top(0x4000000, 0x8000000, 0x4000000, &gpa, &e), 0);
	assert_int_equal(gpa, 0x4000000);
	assert_int_equal(bootfile_place_top(0x4000000, 0x8000fff, 0x1000, &gpa, &e), 0);
	assert_int_equal(gpa, 0x7fff000);
	assert_int_equal(bootfile_place_top(0x4000000, 0x8000000, 0x4000001, &gpa, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	assert_int_equal(bootfile_place_top(0, 0x8000000, UINT64_MAX, &gpa, &e), -1);
	assert_int_equal(bootfile_place_top(0x9000000, 0x8000000, 0, &gpa, &e), -1);
}

static void image_refuse__says_what_it_is(void **state)
{
	static const struct {
		size_t off;
		const char *magic;
		size_t len;
		const char *said;
	} files[] = {
		{ 0x38, "ARM\x64", 4, "a kernel for arm64" },
		{ 0, "\x28\xb5\x2f\xfd", 4, "zstd" },
		{ 0, "\x1f\x8b\x08", 3, "compressed (gzip)" },
		{ 0, "MZ", 2, "EFI program for another processor" },
		{ 510, "\x55\xaa", 2, "a disk" },
		{ 0, "x", 1, "neither a bzImage nor an ELF" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		static uint8_t file[FILE_SIZE];
		struct sill_err e = { 0 };

		memset(file, 0, FILE_SIZE);
		memcpy(file + files[i].off, files[i].magic, files[i].len);
		assert_int_equal(bootfile_refuse(file, FILE_SIZE, &e), -1);
		assert_non_null(strstr(e.msg, files[i].said));
		/* Cut anywhere, it is refused all the same. */
		for (size_t n = 0; n < 600; n++) {
			struct sill_err again = { 0 };

			assert_int_equal(bootfile_refuse(file, n, &again), -1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf_parse__accepts_the_shape_of_cloudhv),
		cmocka_unit_test(elf_parse__accepts_an_8_byte_entry_behind_other_notes),
		cmocka_unit_test(elf_parse__refuses_every_broken_field),
		cmocka_unit_test(elf_parse__refuses_segments_that_overlap),
		cmocka_unit_test(elf_parse__bounds_the_segments),
		cmocka_unit_test(elf_parse__refuses_every_truncation),
		cmocka_unit_test(bzimage_parse__accepts_a_modern_kernel),
		cmocka_unit_test(bzimage_parse__zero_setup_sectors_mean_four),
		cmocka_unit_test(bzimage_parse__takes_what_fits_of_a_long_header),
		cmocka_unit_test(bzimage_parse__refuses_every_broken_field),
		cmocka_unit_test(bzimage_parse__refuses_memory_that_is_too_small),
		cmocka_unit_test(bzimage_parse__never_reads_beyond_the_file),
		cmocka_unit_test(bzimage_zero_page__fills_what_the_protocol_asks),
		cmocka_unit_test(bzimage_zero_page__refuses_what_the_kernel_cannot_take),
		cmocka_unit_test(image_place_top__is_as_high_as_pages_allow),
		cmocka_unit_test(image_refuse__says_what_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
