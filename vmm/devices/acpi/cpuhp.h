/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuhp.h - processors that come and go: the register block of QEMU's public
 * specification (docs/specs/acpi_cpu_hotplug, the interface with a selector).
 *
 *   off   port         read                            write
 *   0x0   4  0xcd8     0                               selector of a processor
 *   0x4   1  0xcdc     bit 0 enabled, 1 insert event,  bit 1 clears the insert event, 2 the remove
 *                      2 remove event                  event, 3 ejects; the first that is set
 *   0x5   1  0xcdd     0                               command: 0, 1, 2, 3
 *   0x8   4  0xce0     command 0: the selector;        after command 1: the event of _OST, after 2:
 *                      3: the APIC id; else 0          its status
 *
 * Command 0 also searches, from the selected processor on and around, for one with an event. With a selector
 * that no processor has, all reads are 0 and nothing but the selector is written: firmware
 * counts with that. Other offsets and sizes read 0 and do nothing.
 *
 * A processor that is asked for stays until the guest ejects it, or until the next reset. The
 * first one never goes. The ids in MADT, the _UIDs and the selector are one numbering.
 *
 * Threads: any, unless a comment says otherwise; the functions take the device's lock.
 */
#ifndef DEVICES_ACPI_CPUHP_H
#define DEVICES_ACPI_CPUHP_H

#include <stdbool.h>
#include <stdint.h>

struct dev;
struct dev_ops;

enum { CPUHP_PORT_COUNT = 12 };

/* type "cpuhp"; one region of CPUHP_PORT_COUNT ports; answers come by dev_answered(). */
struct cpuhp_config {
	struct dev *pm;           /* borrowed: raises PM_GPE_CPU */
	const uint32_t *apic_ids; /* @count of them, copied */
	unsigned count;           /* possible processors, 1..SILL_MAX_CPUS */
	unsigned present;         /* the first so many are there, 1..@count */
};

extern const struct dev_ops cpuhp_ops;

/* No lock: what a guest that looks finds. */
bool cpuhp_is_present(const struct dev *d, unsigned index);

/* It is there, complete; the guest is told. */
void cpuhp_add(struct dev *d, unsigned index);
/* Ask the guest to give it up; if it was asked already, once more. Not the first one, nor one that is absent. */
void cpuhp_ask(struct dev *d, unsigned index);
/* Has the guest something to read still that it was told? Then it is told of it again. */
bool cpuhp_tell_again(struct dev *d);
/* It may stay after all. */
void cpuhp_keep(struct dev *d, unsigned index);

/* What has become of a request. */
enum cpuhp_answer {
	CPUHP_NOT_ASKED,
	CPUHP_NO_ANSWER, /* yet */
	CPUHP_AT_IT,     /* the guest says that it is doing it */
	CPUHP_REFUSED, /* it has said no, not while it booted; a reset takes the processor all the same */
};
enum cpuhp_answer cpuhp_answer(struct dev *d, unsigned index);

#endif
