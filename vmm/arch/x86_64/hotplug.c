/* SPDX-License-Identifier: Apache-2.0 */
/* hotplug.c - what the guest sees of processors and memory that come and go: the PC has ACPI registers for it. */
#include "arch/x86_64/board.h"
#include "arch/x86_64/layout.h"
#include "devices/acpi/cpuhp.h"
#include "devices/acpi/memhp.h"
#include "devices/acpi/pm.h"
#include "firmware/acpi.h"

_Static_assert((int)SILL_MAX_DIMMS == (int)MEMHP_SLOTS, "a slot each");
_Static_assert((int)PM_GPE_MEMORY == (int)ACPI_GPE_MEMORY, "the event that the AML waits for");
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

bool arch_cpus_tell_again(struct board *b)
{
	return b->cpuhp != NULL && cpuhp_tell_again(b->cpuhp);
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

/* --- memory --------------------------------------------------------------- */

void arch_memory_area(const struct board *b, struct arch_memory_area *ret)
{
	*ret = (struct arch_memory_area){
		.base = b->hot_base,
		.size = b->hot_size,
		.block = layout_hot_block(b->low_end + b->high_size),
	};
}

void arch_dimm(const struct board *b, unsigned slot, struct arch_dimm *ret)
{
	static const struct {
		enum arch_answer answer;
		bool folded;
	} is[] = {
		[MEMHP_NO_ANSWER] = { .answer = ARCH_NO_ANSWER },
		[MEMHP_AT_IT] = { .answer = ARCH_AT_IT },
		[MEMHP_REFUSED] = { .answer = ARCH_REFUSED },
		[MEMHP_FOLDED] = { .folded = true },
		[MEMHP_FOLDED_ASKED] = { .answer = ARCH_AT_RESET, .folded = true },
	};
	struct memhp_module m = { 0 };

	if (b->memhp != NULL)
		memhp_module(b->memhp, slot, &m);
	*ret = (struct arch_dimm){ .base = m.base,
				   .size = m.size,
				   .answer = is[m.state].answer,
				   .folded = is[m.state].folded };
}

void arch_dimm_add(struct board *b, unsigned slot, uint64_t base, uint64_t size)
{
	memhp_add(b->memhp, slot, base, size);
}

void arch_dimm_ask(struct board *b, unsigned slot)
{
	memhp_ask(b->memhp, slot);
}

void arch_dimm_keep(struct board *b, unsigned slot)
{
	memhp_keep(b->memhp, slot);
}

bool arch_memory_tell_again(struct board *b)
{
	return b->memhp != NULL && memhp_tell_again(b->memhp);
}

bool arch_memory_heard(const struct board *b)
{
	return b->memhp != NULL && pm_hears(b->pm, PM_GPE_MEMORY);
}
