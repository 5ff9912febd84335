/* SPDX-License-Identifier: Apache-2.0 */
/* test_cycle.c - one boot of very many: all processors run, and are at work when the reset comes. */
#include "cpu.h"
#include "exit.h"
#include "irq.h"
#include "lib.h"
#include "smp.h"
#include "test.h"

/* One sleeps and is woken, one asks the machine for something, the others only count. */
_Noreturn static void work(struct cpu *c)
{
	volatile uint64_t n = 0;

	for (;;) {
		n++;
		if (c == smp_cpu[1])
			lapic_send(smp_cpu[smp_count - 1]->apic_id, VEC_IPI);
		else if (c == smp_cpu[smp_count - 1])
			(void)inb(0x604);
	}
}

static void cycle_aps__run_in_every_boot(void)
{
	unsigned listed = smp_listed(), run = smp_start();

	CHECK(listed != 0 && run == listed, "%u of %u processors run", run, listed);
	SKIP_IF(!exit_will_reset(), "the last boot");
	for (unsigned i = 1; i < run; i++)
		smp_run(smp_cpu[i], work);
}

const struct test cycle_tests[] = {
	{ "cycle_aps__run_in_every_boot", cycle_aps__run_in_every_boot },
	{ 0 },
};
