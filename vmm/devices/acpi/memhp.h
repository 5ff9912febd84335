/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memhp.h - memory modules (DIMMs) that come and go: the register block of QEMU's public
 * specification (docs/specs/acpi_mem_hotplug).
 *
 *   off   port         read (of the selected slot)        write
 *   0x00  4  0xa00     address, bits 31:0                 selector of a slot
 *   0x04  4  0xa04     address, bits 63:32                event of _OST
 *   0x08  4  0xa08     size, bits 31:0                    status of _OST
 *   0x0c  4  0xa0c     size, bits 63:32                   nothing
 *   0x10  4  0xa10     proximity domain                   nothing
 *   0x14  1  0xa14     bit 0 enabled, 1 insert event,     bit 1 clears the insert event, 2 the remove
 *                      2 remove event                     event, 3 ejects; the first that is set
 *   0x15  3            all ones                           nothing
 *
 * With a selector that no slot has, all of the first six read 0 and nothing but the selector is written. Other
 * offsets and sizes read 0 and do nothing.
 *
 * A module that is asked for stays until the guest ejects it, or until the next reset. At a reset
 * the others become memory like that of the start: the memory map has them, and their slots
 * read as empty; when one is asked for, the next reset takes it.
 *
 * Threads: any, unless a comment says otherwise; the functions take the device's lock.
 */
#ifndef DEVICES_ACPI_MEMHP_H
#define DEVICES_ACPI_MEMHP_H

#include <stdbool.h>
#include <stdint.h>

struct dev;
struct dev_ops;

enum { MEMHP_PORT_COUNT = 0x18, MEMHP_SLOTS = 32 };

/* type "memhp"; one region of MEMHP_PORT_COUNT ports; answers come by dev_answered(). */
struct memhp_config {
	struct dev *pm; /* borrowed: raises PM_GPE_MEMORY */
};

extern const struct dev_ops memhp_ops;

enum memhp_state {
	MEMHP_EMPTY,
	MEMHP_THERE,        /* in its slot */
	MEMHP_NO_ANSWER,    /* asked for; not yet */
	MEMHP_AT_IT,        /* the guest says that it is doing it */
	MEMHP_REFUSED,      /* it has said no, not while it booted; a reset takes it all the same */
	MEMHP_FOLDED,       /* since a reset: in the memory map */
	MEMHP_FOLDED_ASKED, /* ... and the next one takes it */
};

struct memhp_module {
	uint64_t base, size; /* bytes; 0 with MEMHP_EMPTY */
	enum memhp_state state;
};

void memhp_module(struct dev *d, unsigned slot, struct memhp_module *ret);
/*
 * It is there, mapped; the guest is told. The slot is empty.
 * memhp_ask(): the guest shall give it up; if it was asked already, once more. memhp_keep(): it may stay after all.
 * memhp_tell_again(): has the guest something to read still that it was told? Then it is told of it again.
 */
void memhp_add(struct dev *d, unsigned slot, uint64_t base, uint64_t size);
void memhp_ask(struct dev *d, unsigned slot);
void memhp_keep(struct dev *d, unsigned slot);
bool memhp_tell_again(struct dev *d);

#endif
