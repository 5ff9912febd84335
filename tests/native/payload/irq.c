/* SPDX-License-Identifier: Apache-2.0 */
/* irq.c - see irq.h. SDM volume 3, 11 (local APIC); 82093AA data sheet (IOAPIC). */
#include "irq.h"

#include "lib.h"

enum { IOAPIC = 0xfec00000, IOAPIC_DATA = 0xfec00010, IOAPIC_REDIRECT = 0x10 };
enum { REDIRECT_MASKED = 1 << 16, LVT_MASKED = 1 << 16 };
enum { PM_TIMER_PORT = 0x608, PM_TIMER_HZ = 3579545, PM_TIMER_MASK = 0xffffff };
enum { LAPIC_TIMER_PER_MS = 1000000 / 16 }; /* KVM's and QEMU's bus clock is 1 GHz; divided by 16 */

extern const uint8_t irq_stubs[256][STUB_SIZE];
extern const uint8_t irq_spurious[], irq_idle[];

struct gate {
	uint16_t off_lo, selector, flags, off_mid;
	uint32_t off_hi, reserved;
};

extern struct gate idt[256];

void irq_init(void)
{
	for (unsigned v = 0; v < 256; v++) {
		const uint8_t *to = v == 3              ? irq_idle
				    : v == VEC_SPURIOUS ? irq_spurious
							: irq_stubs[v];
		uint64_t a = (uint64_t)to;

		idt[v] = (struct gate){
			.off_lo = (uint16_t)a,
			.selector = SEL_KERNEL_CODE,
			.flags = v == 3 ? 0xee00 : 0x8e00, /* int3 is for ring 3 */
			.off_mid = (uint16_t)(a >> 16),
		};
	}
	outb(0x21, 0xff); /* the 8259s */
	outb(0xa1, 0xff);
	lapic_init();
}

void lapic_init(void)
{
	lapic_write(LAPIC_SPURIOUS, 0x100 | VEC_SPURIOUS);
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	lapic_write(LAPIC_TIMER_DIVIDE, 3); /* by 16 */
	lapic_write(LAPIC_LVT_TIMER, VEC_TIMER);
	cpu_idle(~(uint64_t)0); /* returns at once, with interrupts enabled */
}

void lapic_send(uint32_t apic_id, uint32_t icr)
{
	lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
	lapic_write(LAPIC_ICR, icr);
}

uint32_t ioapic_read(unsigned reg)
{
	write32(IOAPIC, reg);
	return read32(IOAPIC_DATA);
}

void ioapic_write(unsigned reg, uint32_t v)
{
	write32(IOAPIC, reg);
	write32(IOAPIC_DATA, v);
}

void ioapic_route(unsigned gsi)
{
	ioapic_write(IOAPIC_REDIRECT + 2 * gsi + 1, cpu0.apic_id << 24);
	ioapic_write(IOAPIC_REDIRECT + 2 * gsi, VEC_LINE);
}

void ioapic_mask(unsigned gsi)
{
	ioapic_write(IOAPIC_REDIRECT + 2 * gsi, REDIRECT_MASKED);
}

uint32_t pm_timer(void)
{
	return inl(PM_TIMER_PORT) & PM_TIMER_MASK;
}

uint64_t tsc_per_ms(void)
{
	static uint64_t rate;

	if (rate == 0) {
		/* In this order time lost in between makes waits longer, never shorter. */
		uint64_t t = tsc();
		uint32_t from = pm_timer(), ticks;

		do
			ticks = (pm_timer() - from) & PM_TIMER_MASK;
		while (ticks < PM_TIMER_HZ / 100 && tsc() - t < 10000000000);
		rate = (tsc() - t) * (PM_TIMER_HZ / 1000) / (ticks != 0 ? ticks : 1);
	}
	return rate;
}

uint64_t now_ns(void)
{
	static uint64_t start;

	if (start == 0)
		start = tsc();
	return (tsc() - start) * 1000 / (tsc_per_ms() / 1000);
}

void spin_ms(unsigned ms)
{
	uint64_t t = tsc(), n = ms * tsc_per_ms();

	while (tsc() - t < n)
		relax();
}

bool wait_for(bool (*cond)(void *ctx), void *ctx, unsigned ms)
{
	uint64_t from = tsc(), n = ms * tsc_per_ms();

	for (;;) {
		uint64_t seen = cpu0.irqs;
		uint64_t gone;

		if (cond(ctx)) {
			lapic_write(LAPIC_TIMER_COUNT, 0);
			return true;
		}
		gone = tsc() - from;
		if (gone >= n)
			return false;
		lapic_write(LAPIC_TIMER_COUNT,
			    (uint32_t)(((n - gone) / tsc_per_ms() + 1) * LAPIC_TIMER_PER_MS));
		cpu_idle(seen);
	}
}

bool poll_for(bool (*cond)(void *ctx), void *ctx, unsigned ms)
{
	uint64_t from = tsc(), n = ms * tsc_per_ms();

	while (!cond(ctx)) {
		if (tsc() - from >= n)
			return cond(ctx);
		relax();
	}
	return true;
}

struct vector_wait {
	unsigned vector;
	uint32_t count;
};

static bool vector_came(void *ctx)
{
	const struct vector_wait *w = ctx;

	return (int32_t)(cpu0.count[w->vector] - w->count) >= 0;
}

bool wait_vector(unsigned vector, uint32_t count, unsigned ms)
{
	return wait_for(vector_came, &(struct vector_wait){ vector, count }, ms);
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

void sleep_ms(unsigned ms)
{
	(void)wait_for(never, NULL, ms);
}
