/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage.c - see bzimage.h. Offsets are those of the file, which for the
 * setup header are also those of the zero page (Linux boot.rst, zero-page.rst).
 */
#include "firmware/bzimage.h"

#include <string.h>

#include "base/le.h"

enum {
	HDR_START = 0x1f1, /* u8 setup_sects */
	HDR_JUMP_LEN = 0x201,
	HDR_MAGIC = 0x202,
	HDR_VERSION = 0x206,
	HDR_LOADER = 0x210,
	HDR_LOADFLAGS = 0x211,
	HDR_CODE32 = 0x214,
	HDR_RAMDISK = 0x218,
	HDR_RAMDISK_SIZE = 0x21c,
	HDR_CMDLINE = 0x228,
	HDR_INITRD_MAX = 0x22c,
	HDR_ALIGNMENT = 0x230,
	HDR_RELOCATABLE = 0x234,
	HDR_CMDLINE_SIZE = 0x238,
	HDR_SETUP_DATA = 0x250,
	HDR_PREF_ADDRESS = 0x258,
	HDR_INIT_SIZE = 0x260,
	HDR_END_MIN = 0x264, /* what protocol 2.10 has */
	HDR_END_MAX = 0x290, /* the zero page goes on with other things */
};

enum {
	PAGE_RSDP = 0x070,
	PAGE_E820_COUNT = 0x1e8,
	PAGE_E820 = 0x2d0,
};

#define SECTOR         512u
#define LOADED_HIGH    0x01u
#define LOADER_UNKNOWN 0xffu
#define VERSION_MIN    0x020au
#define LOAD_GPA       0x100000u
#define E820_ENTRY     20u
#define E820_PAGE_MAX  128u
#define ALIGN_MAX      (1u << 30)

_Static_assert(E820_MAX <= E820_PAGE_MAX, "the zero page has 128 entries");

static int bad(struct sill_err *e, const char *why)
{
	return sill_err_set(e, SILL_ERR_MANIFEST, "not a usable bzImage: %s", why);
}

bool bzimage_probe(const void *file, size_t size)
{
	const uint8_t *p = file;

	return size >= HDR_END_MIN && memcmp(p + HDR_MAGIC, "HdrS", 4) == 0;
}

/*
 * Where the running kernel will be: it moves itself from where we load it to
 * its own alignment, not below the address it prefers, and unpacks there; it
 * needs init_size bytes from that place before it knows the memory map.
 */
static int set_end(const uint8_t *p, const struct bootfile_ram *ram, struct bzimage *b,
		   struct sill_err *e)
{
	uint64_t align = ld32(p + HDR_ALIGNMENT), runs_at = ld64(p + HDR_PREF_ADDRESS);
	uint64_t end;

	if (p[HDR_RELOCATABLE] != 0) {
		uint64_t moved;

		if (align == 0 || (align & (align - 1)) != 0 || align > ALIGN_MAX)
			return bad(e, "bad alignment");
		moved = ((uint64_t)b->entry + align - 1) & ~(align - 1);
		if (runs_at < moved)
			runs_at = moved;
	}
	if (__builtin_add_overflow(runs_at, ld32(p + HDR_INIT_SIZE), &end) || end > ram->end)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "not a usable bzImage: the kernel needs memory up to 0x%llx, "
				    "the guest has 0x%llx",
				    (unsigned long long)end, (unsigned long long)ram->end);
	b->end = b->kernel.gpa + b->kernel.mem_size;
	if (b->end < end)
		b->end = end;
	return 0;
}

int bzimage_parse(const void *file, size_t size, const struct bootfile_ram *ram,
		  struct bzimage *ret, struct sill_err *e)
{
	const uint8_t *p = file;
	struct bzimage b = { 0 };
	unsigned sects;
	uint64_t off, header_end;

	if (!bzimage_probe(file, size))
		return bad(e, "no setup header");
	b.version = ld16(p + HDR_VERSION);
	if (b.version < VERSION_MIN) {
		(void)sill_err_set(e, SILL_ERR_MANIFEST,
				   "not a usable bzImage: boot protocol %u.%02u, older than 2.10",
				   b.version >> 8, b.version & 0xff);
		return sill_err_hint(e, "kernels from Linux 2.6.31 on have it");
	}
	if ((p[HDR_LOADFLAGS] & LOADED_HIGH) == 0)
		return bad(e, "a zImage, to be loaded low");

	sects = p[HDR_START] != 0 ? p[HDR_START] : 4;
	off = (sects + 1) * (uint64_t)SECTOR;
	header_end = HDR_MAGIC + (uint64_t)p[HDR_JUMP_LEN];
	if (header_end < HDR_END_MIN)
		return bad(e, "setup header too short");
	if (header_end > HDR_END_MAX)
		header_end = HDR_END_MAX;
	if (header_end > size || off >= size)
		return bad(e, "the file ends within the setup code");

	b.kernel = (struct bootfile_segment){
		.file_off = off, .file_size = size - off, .gpa = LOAD_GPA, .mem_size = size - off
	};
	b.entry = LOAD_GPA;
	if (ram->start > LOAD_GPA || ram->end < LOAD_GPA || b.kernel.mem_size > ram->end - LOAD_GPA)
		return bad(e, "it does not fit into the guest's memory");
	/* Not relocatable: the entry is where it was linked, and that must be 1 MiB. */
	if (p[HDR_RELOCATABLE] == 0 && ld32(p + HDR_CODE32) != LOAD_GPA)
		return bad(e, "it is to be loaded at an odd address");
	if (set_end(p, ram, &b, e) < 0)
		return -1;

	b.initrd_end_max = (uint64_t)ld32(p + HDR_INITRD_MAX) + 1;
	b.cmdline_max = ld32(p + HDR_CMDLINE_SIZE);
	b.header_size = (uint32_t)header_end - HDR_START;
	memcpy(b.header, p + HDR_START, b.header_size);
	*ret = b;
	return 0;
}

int bzimage_zero_page(const struct bzimage *b, const struct bzimage_boot *boot,
		      uint8_t page[BZIMAGE_ZERO_PAGE_SIZE], struct sill_err *e)
{
	uint64_t initrd_end;

	if (boot->cmdline_len > b->cmdline_max)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "the command line has %u bytes, this kernel takes %u",
				    boot->cmdline_len, b->cmdline_max);
	if (boot->cmdline_gpa > UINT32_MAX ||
	    __builtin_add_overflow(boot->initrd_gpa, boot->initrd_size, &initrd_end) ||
	    (boot->initrd_size != 0 && initrd_end > b->initrd_end_max))
		return sill_err_set(e, SILL_ERR_INTERNAL, "bzImage: bad addresses");

	memset(page, 0, BZIMAGE_ZERO_PAGE_SIZE);
	memcpy(page + HDR_START, b->header, b->header_size);
	page[HDR_LOADER] = LOADER_UNKNOWN;
	st32(page + HDR_CODE32, b->entry);
	st32(page + HDR_CMDLINE, (uint32_t)boot->cmdline_gpa);
	if (boot->initrd_size != 0) {
		st32(page + HDR_RAMDISK, (uint32_t)boot->initrd_gpa);
		st32(page + HDR_RAMDISK_SIZE, (uint32_t)boot->initrd_size);
	} else {
		st32(page + HDR_RAMDISK, 0);
		st32(page + HDR_RAMDISK_SIZE, 0);
	}
	st64(page + HDR_SETUP_DATA, 0); /* a list of addresses the file cannot know */
	st64(page + PAGE_RSDP, boot->rsdp_gpa);
	page[PAGE_E820_COUNT] = (uint8_t)boot->map->count;
	for (unsigned i = 0; i < boot->map->count; i++) {
		uint8_t *p = page + PAGE_E820 + (size_t)i * E820_ENTRY;

		st64(p, boot->map->entry[i].base);
		st64(p + 8, boot->map->entry[i].len);
		st32(p + 16, boot->map->entry[i].type);
	}
	return 0;
}
