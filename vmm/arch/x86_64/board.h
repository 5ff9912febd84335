/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - the PC: RAM layout, soldered parts, what boots, tables.
 *
 * Inside arch/x86_64/ only; vm/ knows it by arch.h. Main loop.
 */
#ifndef ARCH_X86_64_BOARD_H
#define ARCH_X86_64_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "arch/x86_64/boot.h"
#include "arch/x86_64/chips.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/topology.h"
#include "machine/machine.h"

struct chr;
struct tables; /* ACPI, SMBIOS, e820: see tables.h */

enum { BOARD_PARTS_MAX = 32 };

struct board {
	struct machine *machine; /* borrowed */
	unsigned boot_cpus, max_cpus;
	bool hyperv, apic_emulated; /* the local APICs are KVM's: no APICv, no AVIC */
	struct topology topology;
	unsigned phys_bits;
	uint64_t low_end, high_size; /* RAM below and above 4 GiB */
	uint64_t hot_base, hot_size; /* where memory may come; size 0: nowhere */
	bool virtio_mem;             /* and it comes by that: ACPI has no registers for it */
	uint8_t memory_end[8];       /* little-endian: for firmware, where that area ends */
	uint64_t mem64_base;         /* of the 64-bit BARs' window */
	struct chips_state *chips_at_reset;
	struct msr_policy msrs;
	struct boot boot;
	struct tables *tables; /* owned */
	/* Borrowed from the machine: what is fitted of board.c's table, in its order, and one that is asked for more. */
	struct dev *part[BOARD_PARTS_MAX];
	unsigned part_count;
	struct dev *pm, *ports, *cpuhp, *memhp, *fw_cfg; /* the last three may be NULL */

	struct chr *port[SILL_PORTS]; /* owned; NULL: off, or not soldered */
	uint16_t debug_port;
	bool rtc_local, pvpanic, watchdog;
	bool started;                 /* memory is no longer as it was made */
	uint64_t vars_gpa, vars_size; /* door A: where the variable store is */
	int vars_fd;                  /* owned; -1: none */
	uint8_t *vars;                /* owned mapping of vars_size: see flash_read() */
	struct log_bucket vars_bucket;

	bool has_vmgenid;
	uint8_t vmgenid[16]; /* in the byte order guests expect: a Microsoft GUID's */
};

/* What answers I/O port @port, a debug console left out; NULL: nothing. */
const char *board_port_owner(uint16_t port);

/* hotplug.c: how many processors are there now. */
unsigned board_count_cpus(const struct board *b);

/* generation.c: the id that @text says, NULL or off: none; into memory, at each start. */
int generation_init(struct board *b, const char *text, struct sill_err *e) MUST_CHECK;
int generation_write(const struct board *b) MUST_CHECK;

#endif
