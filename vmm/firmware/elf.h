/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.h - ELF64 images with a Xen PHYS32_ENTRY note: vmlinux, CLOUDHV.fd,
 * hypervisor-fw. The machine is not checked: CLOUDHV.fd says EM_386.
 */
#ifndef FIRMWARE_ELF_H
#define FIRMWARE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "firmware/bootfile.h"

#define ELF_MAX_SEGMENTS 16u /* vmlinux has 4 or 5 */

/* Caller-allocated. */
struct elf_image {
	struct bootfile_segment segment[ELF_MAX_SEGMENTS]; /* no two overlap */
	unsigned segment_count;                            /* at least 1 */
	uint64_t start, end;                               /* what the segments span */
	uint32_t pvh_entry;                                /* inside a segment's file bytes */
};

/* Only the magic: is this file meant to be ELF? */
bool elf_probe(const void *file, size_t size);

/* -1: ERR_MANIFEST; the message says what is wrong with the file, without its name. */
int elf_parse(const void *file, size_t size, const struct bootfile_ram *ram, struct elf_image *ret,
	      struct sill_err *e) MUST_CHECK;

#endif
