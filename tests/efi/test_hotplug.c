/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_hotplug.c - the registers of processors and memory that come and go, where the AML of Windows' driver
 * finds them: read as firmware and the scan read them, changing nothing.
 */
#include "acpi.h"
#include "cpu.h"
#include "lib.h"
#include "report.h"
#include "tests.h"

enum { CPUS = 0xcd8, MEMORY = 0xa00, CPUS_MAX = 1024, SLOTS = 32 };

/* Entries of the MADT: which are enabled, and which can come. */
static void count_madt(unsigned *ret_present, unsigned *ret_possible)
{
	const uint8_t *p = acpi.madt + 44, *end = acpi.madt + acpi_length(acpi.madt);

	*ret_present = *ret_possible = 0;
	for (; p + 2 <= end && p[1] >= 2; p += p[1]) {
		uint32_t flags;

		if (p[0] != 0 && p[0] != 9)
			continue;
		flags = get32(p + (p[0] == 0 ? 4 : 8));
		*ret_present += flags & 1;
		*ret_possible += (flags & 3) != 0;
	}
}

static void processors(void)
{
	unsigned present, possible, enabled = 0, n = 0;

	count_madt(&present, &possible);
	rule_begin("hotplug.processors");
	out32(CPUS, 0);
	out8(CPUS + 5, 0);
	if (in32(CPUS) != 0)
		rule_bad("command data 2 is %x", in32(CPUS));
	/* As OVMF counts: the end is where the selected one reads as the first. */
	while (n < CPUS_MAX) {
		uint8_t flags;

		out32(CPUS, n);
		if (n != 0 && in32(CPUS + 8) == 0)
			break;
		flags = in8(CPUS + 4);
		if ((flags & ~1u) != 0)
			rule_bad("processor %u: flags %x", n, flags);
		enabled += flags & 1;
		n++;
	}
	out32(CPUS, 0);
	if (n != possible || enabled != present)
		rule_bad("%u of %u, but the MADT has %u of %u", enabled, n, present, possible);
	if (in8(CPUS + 6) != 0 || in16(CPUS + 4) != 0)
		rule_bad("other offsets and sizes read %x, %x", in8(CPUS + 6), in16(CPUS + 4));
	(void)rule_end();
}

static void memory(void)
{
	rule_begin("hotplug.memory");
	for (unsigned slot = 0; slot <= SLOTS; slot++) {
		uint32_t all = 0;

		out32(MEMORY, slot);
		for (unsigned i = 0; i <= 0x10; i += 4)
			all |= in32((uint16_t)(MEMORY + i));
		if (all != 0 || in8(MEMORY + 0x14) != 0)
			rule_bad("slot %u: not empty, flags %x", slot, in8(MEMORY + 0x14));
	}
	if (in8(MEMORY + 0x15) != 0xff)
		rule_bad("behind the flags: %x", in8(MEMORY + 0x15));
	(void)rule_end();
}

void test_hotplug(void)
{
	/* Nothing answers where nothing can come. */
	out32(CPUS, 0);
	if (in32(CPUS) == 0)
		processors();
	else
		rule_skip("hotplug.processors", "one processor, and no other is possible");
	if (in8(MEMORY + 0x14) != 0xff)
		memory();
	else
		rule_skip("hotplug.memory", "memory.hotplug_size is none");
}
