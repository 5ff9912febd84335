/* SPDX-License-Identifier: Apache-2.0 */
/* smp.c - see smp.h. SDM volume 3, 9.4.4 (INIT-SIPI-SIPI); ACPI 6.5, 5.2.12 (MADT). */
#include "smp.h"

#include "boot.h"
#include "irq.h"
#include "lib.h"

enum { MADT_ENTRIES = 44, MADT_LAPIC = 0, MADT_X2APIC = 9, MADT_ENABLED = 1 };
enum { ICR_INIT = 0x4500, ICR_STARTUP = 0x4600 };
enum { AP_STACK = 16384 };

extern const uint8_t ap_start[], ap_start_end[];
extern struct cpu *volatile ap_next_cpu;

struct cpu *smp_cpu[MAX_CPUS] = { &cpu0 };
unsigned smp_count = 1;

_Noreturn void smp_ap_main(struct cpu *c);

static unsigned list_processors(uint32_t *ids, unsigned max)
{
	const uint8_t *madt = acpi_find("APIC");
	uint32_t size;
	unsigned n = 0;

	if (madt == NULL)
		return 0;
	memcpy(&size, madt + 4, sizeof(size));
	for (uint32_t off = MADT_ENTRIES; off + 2 <= size && madt[off + 1] >= 2;) {
		const uint8_t *e = madt + off;
		uint32_t id = e[3], flags;

		off += e[1];
		if (e[0] == MADT_X2APIC)
			memcpy(&id, e + 4, sizeof(id));
		else if (e[0] != MADT_LAPIC)
			continue;
		memcpy(&flags, e + (e[0] == MADT_LAPIC ? 4 : 8), sizeof(flags));
		if ((flags & MADT_ENABLED) != 0 && n < max)
			ids[n++] = id;
	}
	return n;
}

unsigned smp_listed(void)
{
	uint32_t ids[MAX_CPUS];

	return list_processors(ids, MAX_CPUS);
}

/* An application processor's main: work when told, sleep else. */
_Noreturn void smp_ap_main(struct cpu *c)
{
	lapic_init();
	lapic_write(LAPIC_LVT_TIMER, 1 << 16);
	c->apic_id = lapic_read(LAPIC_ID) >> 24;
	c->up = true;
	for (;;) {
		uint64_t seen = c->irqs;

		if (c->done != c->wanted) {
			c->work(c);
			barrier();
			c->done++;
		} else {
			cpu_idle(seen);
		}
	}
}

static bool is_up(void *ctx)
{
	return ((const struct cpu *)ctx)->up;
}

static bool start_one(struct cpu *c, uint32_t id)
{
	c->up = false;
	ap_next_cpu = c;
	fence();
	lapic_send(id, ICR_INIT);
	spin_ms(10);
	for (unsigned i = 0; i < 2 && !c->up; i++) {
		lapic_send(id, ICR_STARTUP | AP_TRAMPOLINE >> 12);
		if (poll_for(is_up, c, i == 0 ? 1 : LONG_MS))
			break;
	}
	return c->up;
}

static struct cpu *find(uint32_t id)
{
	for (unsigned i = 0; i < smp_count; i++)
		if (smp_cpu[i]->apic_id == id)
			return smp_cpu[i];
	return NULL;
}

bool smp_start_one(uint32_t id)
{
	struct cpu *c;

	if (find(id) != NULL || id > 254 || smp_count == MAX_CPUS)
		return false;
	c = heap_alloc(4096, 4096);
	c->stack = (uint8_t *)heap_alloc(AP_STACK, 4096) + AP_STACK;
	c->index = smp_count;
	c->apic_id = id;
	if (!start_one(c, id))
		return false;
	smp_cpu[smp_count++] = c;
	return true;
}

unsigned smp_start(void)
{
	uint32_t ids[MAX_CPUS];
	unsigned n = list_processors(ids, MAX_CPUS);

	memcpy((void *)AP_TRAMPOLINE, ap_start, (size_t)(ap_start_end - ap_start));
	for (unsigned i = 0; i < n; i++)
		(void)smp_start_one(ids[i]);
	return smp_count;
}

bool smp_restart(struct cpu *c)
{
	c->done = c->wanted;
	return start_one(c, c->apic_id);
}

void smp_run(struct cpu *c, void (*fn)(struct cpu *c))
{
	c->work = fn;
	barrier();
	c->wanted++;
	lapic_send(c->apic_id, VEC_IPI);
}

static bool is_done(void *ctx)
{
	const struct cpu *c = ctx;

	return c->done == c->wanted;
}

bool smp_wait(struct cpu *c, unsigned ms)
{
	return poll_for(is_done, c, ms);
}
