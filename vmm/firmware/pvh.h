/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvh.h - what a guest entered through a Xen PVH note finds at EBX.
 *
 * Xen's docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h.
 * The entry state is: 32-bit protected mode, paging off, CR0 = PE|ET, CR4 = 0,
 * flat CS, DS, ES, SS, a 32-bit TSS with limit 0x67, EFLAGS = 2, EBX = gpa.
 */
#ifndef FIRMWARE_PVH_H
#define FIRMWARE_PVH_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "firmware/e820.h"

#define PVH_START_MAGIC 0x336ec578u
#define PVH_MAX_MODULES 4u /* we give one: the initramfs */
/* What pvh_build() makes at most: start_info, modules, memmap. */
#define PVH_MAX_SIZE (64u + 32u * PVH_MAX_MODULES + 24u * E820_MAX)

struct pvh_module {
	uint64_t gpa, size;
	uint64_t cmdline_gpa; /* 0: none */
};

struct pvh_facts {
	uint64_t gpa;         /* where the result goes, a multiple of 8 */
	uint64_t cmdline_gpa; /* NUL-terminated; 0: none */
	uint64_t rsdp_gpa;
	const struct pvh_module *modules;
	unsigned module_count;
	const struct e820_map *map;
};

/*
 * hvm_start_info version 1 at the first byte, then the module list and the
 * memory map, all with addresses for facts->gpa. Appended to @out, which must
 * be empty. -1: ERR_INTERNAL.
 */
int pvh_build(const struct pvh_facts *f, struct buf *out, struct sill_err *e) MUST_CHECK;

#endif
