/* SPDX-License-Identifier: Apache-2.0 */
/* trap.c - see trap.h. */
#include "trap.h"

#include "cpu.h"
#include "lib.h"
#include "report.h"

struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t middle;
	uint32_t high, reserved;
};

_Static_assert(sizeof(struct gate) == 16, "SDM 3A figure 6-8");

extern const int64_t fault_points[];
extern const char fault_return[];
extern const char entry_6[], entry_13[], entry_14[];
extern const char entry_0xe0[], entry_0xe1[], entry_0xe2[], entry_0xe3[];

void trap_entry(struct frame *f); /* called by cpu.S */

volatile struct irq_seen irq_seen[IRQ_VECTORS];
void (*irq_hook[IRQ_VECTORS])(void);
void (*irq_eoi)(void) = apic_eoi;

static struct gate idt[256] __attribute__((aligned(16)));

static bool recover(struct frame *f)
{
	for (unsigned i = 0; fault_points[i] != 0; i++) {
		if (f->rip != (uint64_t)fault_points + (uint64_t)fault_points[i])
			continue;
		f->rip = (uint64_t)fault_return;
		f->rax = f->vector;
		return true;
	}
	return false;
}

void trap_entry(struct frame *f)
{
	unsigned n = (unsigned)f->vector - IRQ_VECTOR;

	if (n < IRQ_VECTORS) {
		irq_seen[n].tsc = rdtsc();
		irq_seen[n].count++;
		if (irq_hook[n] != NULL)
			irq_hook[n]();
		irq_eoi();
		return;
	}
	if (recover(f))
		return;
	say("not ok wintest.exception: vector %lu, error %lx, rip %lx (image at %lx), rsp %lx",
	    f->vector, f->error, f->rip, (uint64_t)trap_entry, f->rsp);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static uint16_t code_selector(void)
{
	uint16_t cs;

	__asm__("movw %%cs, %0" : "=r"(cs));
	return cs;
}

static void set_gate(unsigned vector, const char *entry)
{
	uint64_t at = (uint64_t)entry;

	idt[vector] = (struct gate){
		.low = (uint16_t)at,
		.selector = code_selector(),
		.type = 0x8e, /* present, interrupt gate */
		.middle = (uint16_t)(at >> 16),
		.high = (uint32_t)(at >> 32),
	};
}

void trap_enter(struct idt_register *ret_old)
{
	struct idt_register ours = { .limit = sizeof(idt) - 1 };
	const uint64_t base = (uint64_t)idt;

	memcpy(ours.base, &base, sizeof(base));
	__asm__ volatile("sidt %0" : "=m"(*ret_old));
	__asm__ volatile("lidt %0" : : "m"(ours));
}

void trap_leave(const struct idt_register *old)
{
	__asm__ volatile("lidt %0" : : "m"(*old));
}

void trap_init(void)
{
	struct idt_register old;
	uint64_t base;

	__asm__ volatile("sidt %0" : "=m"(old));
	memcpy(&base, old.base, sizeof(base));
	memcpy(idt, (const void *)base, (size_t)old.limit + 1u);
	set_gate(6, entry_6);
	set_gate(13, entry_13);
	set_gate(14, entry_14);
	set_gate(0xe0, entry_0xe0);
	set_gate(0xe1, entry_0xe1);
	set_gate(0xe2, entry_0xe2);
	set_gate(0xe3, entry_0xe3);
	trap_enter(&old);
}

/* --- the local APIC ------------------------------------------------------ */

enum { APIC_EOI = 0xb0 };

static bool x2apic(void)
{
	return bit(rdmsr(MSR_APIC_BASE), 10);
}

uint32_t apic_read(uint32_t reg)
{
	if (x2apic())
		return (uint32_t)rdmsr(0x800 + (reg >> 4));
	return mmio_read32(0xfee00000 + (uint64_t)reg);
}

void apic_write(uint32_t reg, uint32_t v)
{
	if (x2apic())
		(void)try_wrmsr(0x800 + (reg >> 4), v);
	else
		mmio_write32(0xfee00000 + (uint64_t)reg, v);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}
