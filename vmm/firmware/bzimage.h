/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage.h - Linux bzImage through the 32-bit boot protocol.
 *
 * Linux Documentation/arch/x86/boot.rst, protocol 2.10 (2.6.31) and later.
 * Entry state: protected mode, paging off, flat CS 0x10 and DS = ES = SS 0x18,
 * interrupts off, ESI = the zero page, EBP = EDI = EBX = 0, EIP = entry.
 */
#ifndef FIRMWARE_BZIMAGE_H
#define FIRMWARE_BZIMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "firmware/bootfile.h"
#include "firmware/e820.h"

#define BZIMAGE_ZERO_PAGE_SIZE 4096u

/* Caller-allocated. */
struct bzimage {
	uint16_t version; /* boot protocol, 0x020f = 2.15 */
	struct bootfile_segment kernel;
	uint32_t entry;          /* 32-bit; the kernel's first byte */
	uint64_t end;            /* the kernel needs [entry, end) until it has its memory map */
	uint64_t initrd_end_max; /* the initramfs must end at or below this */
	uint32_t cmdline_max;    /* bytes without the NUL */
	uint8_t header[0x290 - 0x1f1]; /* the setup header, for the zero page */
	uint32_t header_size;
};

/* Only the magic. */
bool bzimage_probe(const void *file, size_t size);

/* -1: ERR_MANIFEST; the message says what is wrong with the file, without its name. */
int bzimage_parse(const void *file, size_t size, const struct bootfile_ram *ram,
		  struct bzimage *ret, struct sill_err *e) MUST_CHECK;

struct bzimage_boot {
	uint64_t cmdline_gpa;             /* below 4 GiB, NUL-terminated */
	uint32_t cmdline_len;             /* without the NUL */
	uint64_t initrd_gpa, initrd_size; /* size 0: none */
	uint64_t rsdp_gpa;
	const struct e820_map *map;
};

/*
 * Fill the zero page (struct boot_params). -1: ERR_LIMIT when the command line
 * is longer than this kernel takes, ERR_INTERNAL for addresses that cannot be.
 */
int bzimage_zero_page(const struct bzimage *b, const struct bzimage_boot *boot,
		      uint8_t page[BZIMAGE_ZERO_PAGE_SIZE], struct sill_err *e) MUST_CHECK;

#endif
