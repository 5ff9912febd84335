/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap.h - exceptions and interrupts while the firmware's own handlers stay.
 *
 * Each processor that runs our code loads our IDT: the firmware's entries, but
 * #UD, #GP and #PF and a few vectors of interrupts are ours.
 */
#ifndef TRAP_H
#define TRAP_H

#include <stdbool.h>
#include <stdint.h>

enum { IRQ_VECTOR = 0xe0, IRQ_VECTORS = 4 };

/* What LIDT and SIDT take: the limit, and the base in four parts. */
struct idt_register {
	uint16_t limit, base[4];
};

/* What ours became after an interrupt at vector IRQ_VECTOR + n. */
struct irq_seen {
	uint32_t count;
	uint64_t tsc; /* of the last */
};

extern volatile struct irq_seen irq_seen[IRQ_VECTORS];

/* Called with interrupts off, before the end of interrupt; NULL: none. */
extern void (*irq_hook[IRQ_VECTORS])(void);

/* How the end of interrupt is told; the local APIC's own way unless a test sets one. */
extern void (*irq_eoi)(void);

void trap_init(void);
void trap_enter(struct idt_register *ret_old);
void trap_leave(const struct idt_register *old);
void apic_eoi(void);
uint32_t apic_read(uint32_t reg); /* an offset such as 0x20 */
void apic_write(uint32_t reg, uint32_t v);

#endif
