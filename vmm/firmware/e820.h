/* SPDX-License-Identifier: Apache-2.0 */
/*
 * e820.h - the memory map a firmware or kernel is told (ACPI 6.5, 15.1).
 *
 * One list, three forms: fw_cfg's etc/e820, PVH's memmap, the zero page.
 */
#ifndef FIRMWARE_E820_H
#define FIRMWARE_E820_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

#define E820_MAX \
	48u /* entries; the zero page takes 128, we make 4, and one for each piece of memory that came */
#define E820_ENTRY 20u /* bytes in fw_cfg */

struct e820_entry {
	uint64_t base, len;
	enum e820_type type;
};

/* Caller-allocated; { 0 } is the empty map. Sorted, no overlaps. */
struct e820_map {
	struct e820_entry entry[E820_MAX];
	unsigned count;
};

#define E820_LOW_RAM_END 0xa0000ull  /* [0, here) */
#define E820_HIGH_RAM    0x100000ull /* [here, low_end); what lies between is not listed */
#define E820_4G          0x100000000ull

/*
 * Add a range. -1 (ERR_INTERNAL): it is empty, wraps, overlaps an entry, or
 * the map is full.
 */
int e820_add(struct e820_map *m, uint64_t base, uint64_t len, enum e820_type type,
	     struct sill_err *e) MUST_CHECK;

/*
 * RAM of the PC: [0, 640 KiB), [1 MiB, @low_end), [4 GiB, 4 GiB + @high_size).
 * @low_end is at least 2 MiB and below 4 GiB. The map must be empty.
 */
int e820_add_ram(struct e820_map *m, uint64_t low_end, uint64_t high_size,
		 struct sill_err *e) MUST_CHECK;

/* fw_cfg "etc/e820": packed 20-byte entries (u64 base, u64 length, u32 type). */
void e820_write_fw_cfg(const struct e820_map *m, struct buf *out);
/* PVH memmap: 24-byte entries, the last four bytes zero. */
void e820_write_pvh(const struct e820_map *m, struct buf *out);

#endif
