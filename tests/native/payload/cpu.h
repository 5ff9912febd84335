/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.h - ports, memory-mapped registers, and what the payload keeps about a processor. */
#ifndef PAYLOAD_CPU_H
#define PAYLOAD_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asm.h"

/* The bottom of a 4 KiB page whose top is the processor's ring 0 stack. */
struct cpu {
	volatile uint64_t irqs; /* interrupts taken, all vectors */
	uint8_t *stack;         /* end of the ring 3 stack */
	uint32_t index;         /* in the GDT's list of TSSs */
	uint32_t apic_id;
	uint64_t unused;
	volatile uint32_t count[256]; /* interrupts by vector */
	/* Work for an application processor, see smp.h. */
	void (*volatile work)(struct cpu *c);
	volatile uint32_t wanted, done;
	volatile bool up;
};

_Static_assert(offsetof(struct cpu, irqs) == CPU_IRQS, "asm.h");
_Static_assert(offsetof(struct cpu, stack) == CPU_STACK, "asm.h");
_Static_assert(offsetof(struct cpu, index) == CPU_INDEX, "asm.h");
_Static_assert(offsetof(struct cpu, count) == CPU_COUNT, "asm.h");
_Static_assert(sizeof(struct cpu) <= 2048, "leaves too little of the page for the stack");

extern struct cpu cpu0; /* the boot processor's */

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

/* String I/O: one exit to the monitor for the whole buffer. */
static inline void outsb(uint16_t port, const void *p, size_t n)
{
	__asm__ volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(port) : "memory");
}

static inline void insb(uint16_t port, void *p, size_t n)
{
	__asm__ volatile("rep insb" : "+D"(p), "+c"(n) : "d"(port) : "memory");
}

/*
 * Memory-mapped registers: one plain mov of exactly that size, which every
 * instruction decoder knows.
 */
static inline uint8_t read8(uint64_t a)
{
	uint8_t v;

	__asm__ volatile("movb (%1), %0" : "=q"(v) : "r"(a) : "memory");
	return v;
}

static inline uint16_t read16(uint64_t a)
{
	uint16_t v;

	__asm__ volatile("movw (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}

static inline uint32_t read32(uint64_t a)
{
	uint32_t v;

	__asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}

static inline uint64_t read64(uint64_t a)
{
	uint64_t v;

	__asm__ volatile("movq (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}

static inline void write8(uint64_t a, uint8_t v)
{
	__asm__ volatile("movb %0, (%1)" : : "q"(v), "r"(a) : "memory");
}

static inline void write16(uint64_t a, uint16_t v)
{
	__asm__ volatile("movw %0, (%1)" : : "r"(v), "r"(a) : "memory");
}

static inline void write32(uint64_t a, uint32_t v)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(v), "r"(a) : "memory");
}

static inline void write64(uint64_t a, uint64_t v)
{
	__asm__ volatile("movq %0, (%1)" : : "r"(v), "r"(a) : "memory");
}

/* Any size, 1, 2, 4 or 8. */
static inline uint64_t read_n(uint64_t a, unsigned n)
{
	return n == 1 ? read8(a) : n == 2 ? read16(a) : n == 4 ? read32(a) : read64(a);
}

static inline void write_n(uint64_t a, unsigned n, uint64_t v)
{
	if (n == 1)
		write8(a, (uint8_t)v);
	else if (n == 2)
		write16(a, (uint16_t)v);
	else if (n == 4)
		write32(a, (uint32_t)v);
	else
		write64(a, v);
}

/* All ones of @n bytes: what nobody answers. */
static inline uint64_t ones(unsigned n)
{
	return n == 8 ? ~(uint64_t)0 : ((uint64_t)1 << (8 * n)) - 1;
}

static inline uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline unsigned cpu_ring(void)
{
	uint32_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

static inline void barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void fence(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

static inline void relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

#endif
