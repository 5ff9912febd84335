/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw.h - what the firmware gives: pages, tables, processors, a variable.
 *
 * The only header that knows UEFI; the tests see none of it.
 */
#ifndef FW_H
#define FW_H

#include <efi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

#define MAX_CPUS 64u

enum exit_door { DOOR_COLD, DOOR_WARM, DOOR_SHUTDOWN };

/* What is kept over a reset, in a UEFI variable. */
struct state {
	uint32_t magic;
	uint32_t boot; /* 0: the first */
	struct counts counts;
	uint64_t tsc;       /* at the end of the last boot */
	uint32_t low_pages; /* bit n: page n of the low 64 KiB holds the pattern */
	uint32_t hyperv;    /* Hyper-V registers were left switched on */
};

struct region {
	uint64_t base, end; /* end: the first address behind */
	uint32_t type;      /* EFI_MEMORY_TYPE */
};

extern struct state state;
extern unsigned cpu_count; /* enabled processors, at most MAX_CPUS; 0 is the boot processor */
extern uint32_t cpu_fw_apic_id[MAX_CPUS];

bool fw_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);
void fw_state_save(void);
void fw_state_forget(void);
void fw_reset(enum exit_door how);
void fw_stall_us(unsigned us);

/* Pages below 4 GiB, zeroed; never freed. */
void *fw_pages(unsigned count);
/* The page at exactly this address, if it is free. */
bool fw_page_at(uint64_t addr);
/* The memory map; its length, at most @max. */
unsigned fw_memory_map(struct region *ret, unsigned max);
/* A vendor table from the system table, or NULL. */
const void *fw_table(const EFI_GUID *guid);
/* Take the firmware's driver off the PCI function. */
void fw_disconnect_pci(unsigned bus, unsigned device, unsigned function);

/*
 * Options come as lines key=value from \wintest.cfg beside us and from SMBIOS
 * OEM strings "wintest:key=value". False: not given.
 */
bool opt(const char *key, char *ret, size_t size);
void opt_print(void);
bool opt_is(const char *key, const char *value);
bool opt_lists(const char *key, const char *word); /* a comma-separated list with @word in it */

/* Run on every processor, the boot processor first, the others at once. */
void mp_each(void (*fn)(unsigned cpu, void *ctx), void *ctx);
/* Run on one, and wait. */
void mp_on(unsigned cpu, void (*fn)(unsigned cpu, void *ctx), void *ctx);
/* Start it on one other processor and go on; mp_wait() waits for its end. */
void mp_start(unsigned cpu, void (*fn)(unsigned cpu, void *ctx), void *ctx);
void mp_wait(void);

#endif
