/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_image_boot.c - kernels and firmware from strangers: the ELF and bzImage
 * parsers. The first byte of the input chooses:
 *
 *	even  the rest is the file
 *	odd   the rest is a list of (offset u16, byte) patches to a good ELF (1
 *	      modulo 4) or bzImage (3), which gets deeper sooner
 *
 * What a parser accepts must be copyable without another check.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "firmware/bzimage.h"
#include "firmware/elf.h"
#include "require.h"

#define GOOD_SIZE 0x1000u

static const struct bootfile_ram ram = { .start = 0x100000, .end = 0x8000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segment(const struct bootfile_segment *s, size_t size)
{
	require(s->file_off <= size && s->file_size <= size - s->file_off);
	require(s->mem_size > 0 && s->mem_size >= s->file_size);
	require(s->gpa >= ram.start && s->gpa <= ram.end && s->mem_size <= ram.end - s->gpa);
}

static void try_elf(const uint8_t *file, size_t size)
{
	struct elf_image img;
	struct sill_err e = { 0 };
	bool entry = false;

	if (elf_parse(file, size, &ram, &img, &e) < 0) {
		require(e.code != SILL_ERR_NONE && e.msg[0] != '\0');
		return;
	}
	require(img.segment_count >= 1 && img.segment_count <= ELF_MAX_SEGMENTS);
	for (unsigned i = 0; i < img.segment_count; i++) {
		const struct bootfile_segment *s = &img.segment[i];

		check_segment(s, size);
		require(s->gpa >= img.start && s->gpa + s->mem_size <= img.end);
		entry = entry || (img.pvh_entry >= s->gpa && img.pvh_entry < s->gpa + s->file_size);
		for (unsigned j = 0; j < i; j++)
			require(s->gpa + s->mem_size <= img.segment[j].gpa ||
				img.segment[j].gpa + img.segment[j].mem_size <= s->gpa);
	}
	require(entry);
}

/* What is no kernel is refused with a message, whatever it is. */
static void try_refuse(const uint8_t *file, size_t size)
{
	struct sill_err e = { 0 };

	if (bootfile_refuse(file, size, &e) == 0 || e.code == SILL_ERR_NONE || e.msg[0] == '\0')
		abort();
}

static void try_bzimage(const uint8_t *file, size_t size)
{
	static uint8_t page[BZIMAGE_ZERO_PAGE_SIZE];
	struct e820_map map = { .entry = { { 0, 0xa0000, E820_RAM } }, .count = 1 };
	struct bzimage_boot boot = { .cmdline_gpa = 0x20000, .cmdline_len = 100, .map = &map };
	struct sill_err e = { 0 };
	struct bzimage b;

	if (bzimage_parse(file, size, &ram, &b, &e) < 0) {
		require(e.code != SILL_ERR_NONE && e.msg[0] != '\0');
		return;
	}
	check_segment(&b.kernel, size);
	require(b.entry >= b.kernel.gpa && b.entry < b.kernel.gpa + b.kernel.mem_size);
	require(b.end >= b.kernel.gpa + b.kernel.mem_size && b.end <= ram.end);
	require(b.header_size <= sizeof(b.header));
	boot.initrd_gpa = b.initrd_end_max & ~0xfffull;
	boot.initrd_size = b.initrd_end_max - boot.initrd_gpa;
	if (bzimage_zero_page(&b, &boot, page, &e) == 0)
		require(page[0x210] == 0xff && page[0x1e8] == 1);
}

static void good_elf(uint8_t *p)
{
	memcpy(p, "\177ELF\2\1\1", 7);
	st64(p + 32, 64);
	st16(p + 54, 56);
	st16(p + 56, 3);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *ph = p + 64 + 56 * (size_t)i;

		st32(ph, 1);
		st64(ph + 8, 0x800 * (uint64_t)i);
		st64(ph + 24, 0x100000 + 0x2000 * (uint64_t)i);
		st64(ph + 32, 0x800);
		st64(ph + 40, 0x1000);
	}
	st32(p + 176, 4);
	st64(p + 184, 0x200);
	st64(p + 208, 44);
	st32(p + 0x200, 4);
	st32(p + 0x204, 5);
	memcpy(p + 0x20c, "GNU", 4);
	st32(p + 0x218, 4);
	st32(p + 0x21c, 4);
	st32(p + 0x220, 18);
	memcpy(p + 0x224, "Xen", 4);
	st32(p + 0x228, 0x100000);
}

static void good_bzimage(uint8_t *p)
{
	p[0x1f1] = 1;
	p[0x201] = 0x6a;
	memcpy(p + 0x202, "HdrS", 4);
	st16(p + 0x206, 0x20f);
	p[0x211] = 1;
	st32(p + 0x214, 0x100000);
	st32(p + 0x22c, 0x7fffffff);
	st32(p + 0x230, 0x200000);
	p[0x234] = 1;
	st32(p + 0x238, 2047);
	st64(p + 0x258, 0x1000000);
	st32(p + 0x260, 0x100000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file;
	unsigned how;

	if (size == 0)
		return 0;
	how = *data++ % 4;
	size--;
	if (how % 2 == 0) {
		try_elf(data, size);
		try_bzimage(data, size);
		try_refuse(data, size);
		return 0;
	}

	file = calloc(1, GOOD_SIZE);
	if (file == NULL)
		return 0;
	if (how == 1)
		good_elf(file);
	else
		good_bzimage(file);
	for (; size >= 3; data += 3, size -= 3)
		file[ld16(data) % GOOD_SIZE] = data[2];
	try_elf(file, GOOD_SIZE);
	try_bzimage(file, GOOD_SIZE);
	free(file);
	return 0;
}
