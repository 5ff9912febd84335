/* SPDX-License-Identifier: Apache-2.0 */
/* boot.h - what the loader says: RAM, command line, RSDP; the heap; mappings above 4 GiB. */
#ifndef PAYLOAD_BOOT_H
#define PAYLOAD_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_RAM_RANGES 32

struct ram_range {
	uint64_t base, size;
};

struct boot {
	struct ram_range ram[MAX_RAM_RANGES];
	unsigned ram_count;
	uint64_t rsdp; /* 0: none */
	const char *cmdline;
	unsigned phys_bits; /* guest-physical address bits */
};

extern struct boot boot;

/* False, with a line of output, when there is no start info to go by. */
bool boot_init(void);
bool boot_is_ram(uint64_t base, uint64_t size);

/* Zeroed memory, aligned; never freed. Running out ends the run. */
void *heap_alloc(size_t size, size_t align);
/* The heap stays below this; what is above is free for tests to fill with anything. */
#define HEAP_LIMIT 0xa00000u

/* Make [base, base + size) usable; below 4 GiB everything is. */
void map_high(uint64_t base, uint64_t size);

/* An ACPI table by signature, or NULL. Its checksum is right. */
const void *acpi_find(const char sig[4]);

#endif
