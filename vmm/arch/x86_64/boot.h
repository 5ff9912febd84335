/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.h - what the machine starts with, and how it gets into guest memory.
 *
 * Door A, flash: a firmware image that ends at 4 GiB; vCPUs start at the reset
 * vector. Door B, PVH: an ELF with a Xen note or a bzImage, entered in 32-bit
 * protected mode; loaded again at every reset because it modifies itself.
 * Main thread.
 */
#ifndef ARCH_X86_64_BOOT_H
#define ARCH_X86_64_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86_64/cpustate.h"
#include "base/attr.h"
#include "base/err.h"
#include "core/gmem.h"
#include "firmware/bzimage.h"
#include "firmware/e820.h"
#include "firmware/elf.h"
#include "sill/check.h"
#include "sill/config.h"

enum boot_door { BOOT_FLASH, BOOT_ELF, BOOT_BZIMAGE };

/* Caller-allocated, zeroed. */
struct boot {
	enum boot_door door;
	bool firmware; /* ELF firmware (CLOUDHV.fd): MTRRs preset, no command line */
	int image_fd;  /* owned: firmware or kernel */
	uint64_t image_size;
	int initramfs_fd; /* owned, or -1 */
	uint64_t initramfs_size;
	char *cmdline;        /* owned, NULL: none */
	const uint8_t *flash; /* BOOT_FLASH: owned mapping of the image, read-only */
	struct elf_image elf;
	struct bzimage bzimage;
	struct cpu_entry entry; /* door B, after boot_load() */
	bool read_ahead; /* boot_preload() has written to memory, and no boot has been since */
	bool preloaded;  /* and has got all that boots there */
};

/*
 * Takes the image and the initramfs from @files; reads headers, decides the door,
 * and sees to it that all of it has a place in RAM. -1: *ret_part tells what is wrong.
 */
int boot_open(struct boot *b, const struct sill_config *c, struct sill_files *files,
	      uint64_t low_end, enum sill_boot_part *ret_part, struct sill_err *e) MUST_CHECK;
/* Is the open file a variable store that fits below the firmware? The message has no name. */
int boot_check_vars(const struct boot *b, int fd, uint64_t *ret_size,
		    struct sill_err *e) MUST_CHECK;
void boot_close(struct boot *b); /* accepts a zeroed one */
/*
 * Door B, before there is a VM: read image and initramfs to their places in @ram, which holds guest
 * memory from 0 to @low_end and is new. The next boot_load() then need not. What fails here is left to it.
 */
void boot_preload(struct boot *b, uint8_t *ram, uint64_t low_end);
/* With the same memory: if no boot has been since, what was read is zero again. */
void boot_forget(struct boot *b, uint8_t *ram, uint64_t low_end);

/* Tables for door B, ready-made; borrowed for the call. */
struct boot_tables {
	const void *acpi; /* image with the RSDP first, for LAYOUT_ACPI */
	size_t acpi_size;
	const void *smbios; /* anchor and table, for LAYOUT_SMBIOS */
	size_t smbios_size;
	const struct e820_map *map;
	uint64_t low_end; /* end of RAM below 4 GiB */
};

/* Door B: image, initramfs, command line, tables, start info into memory; sets b->entry. */
int boot_load(struct boot *b, struct gmem *m, const struct boot_tables *t,
	      struct sill_err *e) MUST_CHECK;

#endif
