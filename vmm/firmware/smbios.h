/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smbios.h - SMBIOS 3.x tables (DMTF DSP0134 3.6): types 0 1 3 4 11 16 17 19 32 127.
 *
 * Pure: facts in, bytes out. The structure table has no pointers, so the same
 * bytes serve fw_cfg (etc/smbios/smbios-anchor and smbios-tables) and an
 * absolute image with the anchor at 0xF0000.
 */
#ifndef FIRMWARE_SMBIOS_H
#define FIRMWARE_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

#define SMBIOS_ANCHOR_SIZE 24u
#define SMBIOS_ANCHOR_GPA  0xf0000ull /* where door B's firmware and Linux look */
#define SMBIOS_IMAGE_MAX   0x10000u   /* 0xF0000..0xFFFFF */
#define SMBIOS_STRING_MAX  64u        /* longer strings are cut: readers have small buffers */

/* Where memory is that came later. */
struct smbios_range {
	uint64_t base, size; /* bytes */
};

/* Strings are borrowed for the call; NULL or "": the field says "not specified". */
struct smbios_facts {
	const char *manufacturer; /* NULL: "Sill" */
	const char *product;      /* NULL: "Sill virtual machine" */
	const char *version;      /* of the machine and of its firmware tables */
	const char *serial;
	uint8_t uuid[16]; /* RFC 4122 byte order; all zero: none */
	const char *const *oem_strings;
	size_t oem_string_count; /* at most 64 */

	unsigned sockets; /* at least 1 */
	unsigned cores;   /* per socket, at least 1 */
	unsigned threads; /* per core, at least 1 */
	unsigned
		cpus_present; /* cores and sockets beyond these are not enabled, not populated; 0: all */
	const char *cpu_vendor;        /* CPUID 0: "GenuineIntel", "AuthenticAMD" */
	const char *cpu_brand;         /* CPUID 0x80000002..4 */
	uint32_t cpuid_eax, cpuid_edx; /* of leaf 1: the processor id */
	unsigned cpu_mhz;              /* 0: unknown */

	uint64_t low_end;                /* RAM [0, low_end) ... */
	uint64_t high_size;              /* ... and [4 GiB, 4 GiB + high_size) */
	const struct smbios_range *more; /* ... and there; borrowed for the call */
	size_t more_count;
	uint64_t memory_size; /* bytes, all that the guest has; a multiple of 1 MiB is best */
};

/*
 * The structure table, appended to @table (inited by the caller, empty). -1:
 * ERR_LIMIT when it grows beyond SMBIOS_IMAGE_MAX, ERR_INTERNAL for bad facts.
 */
int smbios_build(const struct smbios_facts *f, struct buf *table, struct sill_err *e) MUST_CHECK;

/* The 64-bit entry point for a table of @size bytes at @gpa (0 for fw_cfg). */
void smbios_anchor(uint64_t gpa, uint32_t size, uint8_t ret[SMBIOS_ANCHOR_SIZE]);

/* Anchor at @gpa and the table behind it, in one image. */
int smbios_build_absolute(const struct smbios_facts *f, uint64_t gpa, struct buf *image,
			  struct sill_err *e) MUST_CHECK;

#endif
