/* SPDX-License-Identifier: Apache-2.0 */
/* irq.h - vectors, the local APIC, the IOAPIC, time, and waiting for what an interrupt brings. */
#ifndef PAYLOAD_IRQ_H
#define PAYLOAD_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"

enum {
	VEC_TIMER = 0x40, /* the LAPIC timer: wakes waits that would be too long */
	VEC_LINE = 0x41,  /* whatever ioapic_route() was asked for */
	VEC_IPI = 0x42,
	VEC_MSI = 0x50, /* MSI-X vectors from here on */
	VEC_SPURIOUS = 0xff,
};

enum {
	LAPIC_ID = 0x20,
	LAPIC_VERSION = 0x30,
	LAPIC_TPR = 0x80,
	LAPIC_SPURIOUS = 0xf0,
	LAPIC_ICR = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_TIMER_COUNT = 0x380,
	LAPIC_TIMER_NOW = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
};

/*
 * For a wait whose end is certain on a sound machine: what has not come by then never comes. A host
 * with other things to do may let a second pass between any two instructions, of ours or of a device.
 */
enum { LONG_MS = 60000 };

static inline uint32_t lapic_read(unsigned reg)
{
	return read32(LAPIC_BASE + reg);
}

static inline void lapic_write(unsigned reg, uint32_t v)
{
	write32(LAPIC_BASE + reg, v);
}

/* The IDT, the 8259s masked; once. */
void irq_init(void);
/* This processor's local APIC on. */
void lapic_init(void);
/* Send: @icr is the low half (vector, delivery mode, shorthand). */
void lapic_send(uint32_t apic_id, uint32_t icr);

uint32_t ioapic_read(unsigned reg);
void ioapic_write(unsigned reg, uint32_t v);
/* Edge, active high, to VEC_LINE of the boot processor; gsi < 24. */
void ioapic_route(unsigned gsi);
void ioapic_mask(unsigned gsi);

/* Nanoseconds since the first call, by the TSC, whose rate the PM timer has told. */
uint64_t now_ns(void);
uint32_t pm_timer(void); /* 24 bits of it, 3.579545 MHz */
uint64_t tsc_per_ms(void);
void spin_ms(unsigned ms);

/* Until @cond(@ctx) or @ms (at most LONG_MS) have passed: sleeping, so an interrupt must come with it. */
bool wait_for(bool (*cond)(void *ctx), void *ctx, unsigned ms);
/* The same, spinning: for what changes without an interrupt. */
bool poll_for(bool (*cond)(void *ctx), void *ctx, unsigned ms);
/* Until this processor has taken @count interrupts of @vector in all. */
bool wait_vector(unsigned vector, uint32_t count, unsigned ms);
/* Let @ms pass with interrupts welcome. */
void sleep_ms(unsigned ms);

/* Sleep until the processor has taken an interrupt beyond @seen (of cpu.irqs). */
static inline void cpu_idle(uint64_t seen)
{
	__asm__ volatile("int3" : : "a"(seen) : "memory");
}

#endif
