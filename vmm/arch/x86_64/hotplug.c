/* SPDX-License-Identifier: Apache-2.0 */
/* hotplug.c - what the guest sees of processors that come and go: the PC has ACPI registers for it. */
#include "arch/x86_64/board.h"
#include "devices/acpi/cpuhp.h"
#include "devices/acpi/pm.h"
#include "firmware/acpi.h"

_Static_assert((int)PM_GPE_CPU == (int)ACPI_GPE_CPU, "the event that the AML waits for");

bool arch_cpu_is_present(const struct board *b, unsigned index)
{
	return b->cpuhp != NULL ? cpuhp_is_present(b->cpuhp, index) : index < b->boot_cpus;
}

unsigned board_count_cpus(const struct board *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->max_cpus; i++)
		n += arch_cpu_is_present(b, i);
	return n;
}

void arch_cpu_add(struct board *b, unsigned index)
{
	cpuhp_add(b->cpuhp, index);
}

void arch_cpu_ask(struct board *b, unsigned index)
{
	cpuhp_ask(b->cpuhp, index);
}

void arch_cpu_keep(struct board *b, unsigned index)
{
	cpuhp_keep(b->cpuhp, index);
}

enum arch_answer arch_cpu_answer(struct board *b, unsigned index)
{
	if (b->cpuhp == NULL)
		return ARCH_NOT_ASKED;
	switch (cpuhp_answer(b->cpuhp, index)) {
	case CPUHP_NOT_ASKED:
		break;
	case CPUHP_NO_ANSWER:
		return ARCH_NO_ANSWER;
	case CPUHP_AT_IT:
		return ARCH_AT_IT;
	case CPUHP_REFUSED:
		return ARCH_REFUSED;
	}
	return ARCH_NOT_ASKED;
}

bool arch_cpus_heard(const struct board *b)
{
	return b->cpuhp != NULL && pm_hears(b->pm, PM_GPE_CPU);
}
