/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - the facts of the machine the ACPI tests build tables for, and the
 * variants that tests/acpi/check takes apart with iasl.
 */
#ifndef TESTS_ACPI_FACTS_H
#define TESTS_ACPI_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "firmware/acpi.h"

struct variant {
	const char *name;
	unsigned cpus, present; /* possible, present */
	bool hotplug;           /* of processors and PCI */
	unsigned memory_slots;
	uint32_t fixed; /* slots that may not go */
	bool no_serial;
	bool no_lpc;
	bool hw_reduced;
	bool srat;
	bool vmgenid;
	bool ecam_inside; /* the ECAM splits the 32-bit window */
	bool sparse;      /* APIC ids with gaps, up to 300 */
};

/* clang-format off: version 14 crashes on rows of different lengths */
static const struct variant variants[] = {
	{ .name = "plain-1", .cpus = 1, .present = 1 },
	{ .name = "plain-2", .cpus = 2, .present = 2 },
	{ .name = "plain-255", .cpus = 255, .present = 255 },
	{ .name = "absent", .cpus = 4, .present = 2 },
	{ .name = "no-serial", .cpus = 1, .present = 1, .no_serial = true },
	{ .name = "no-lpc", .cpus = 1, .present = 1, .no_lpc = true },
	{ .name = "ecam-inside", .cpus = 1, .present = 1, .ecam_inside = true },
	{ .name = "hotplug-1", .cpus = 1, .present = 1, .hotplug = true },
	{ .name = "hotplug-2", .cpus = 2, .present = 1, .hotplug = true, .vmgenid = true },
	{ .name = "hotplug-255", .cpus = 255, .present = 2, .hotplug = true, .srat = true },
	{ .name = "hotplug-288", .cpus = 288, .present = 2, .hotplug = true, .sparse = true },
	{ .name = "fixed", .cpus = 2, .present = 2, .hotplug = true, .fixed = 0x40000016 },
	{ .name = "all-fixed", .cpus = 2, .present = 2, .hotplug = true, .fixed = 0x7ffffffe },
	{ .name = "memory-1", .cpus = 2, .present = 2, .memory_slots = 1, .srat = true },
	{ .name = "memory-32", .cpus = 2, .present = 2, .memory_slots = 32 },
	{ .name = "all",
	  .cpus = 255,
	  .present = 2,
	  .hotplug = true,
	  .memory_slots = 32,
	  .srat = true,
	  .vmgenid = true },
	{ .name = "reduced", .cpus = 2, .present = 2, .hw_reduced = true },
	{ .name = "reduced-all",
	  .cpus = 8,
	  .present = 2,
	  .hotplug = true,
	  .memory_slots = 32,
	  .srat = true,
	  .vmgenid = true,
	  .hw_reduced = true },
};
/* clang-format on */

#define FACTS_CPUS 1024u

struct facts_room {
	struct acpi_cpu cpus[FACTS_CPUS];
	struct acpi_memory memory[3];
};

static inline struct acpi_facts facts_of(const struct variant *v, struct facts_room *room)
{
	struct acpi_facts f = {
		.cpus = room->cpus,
		.cpu_count = v->cpus,
		.ecam_base = v->ecam_inside ? 0xe0000000 : 0xb0000000,
		.bus_count = 256,
		.window32 = { 0xc0000000, 0x38000000 },
		.window64 = { 0xe000000000, 0x2000000000 },
		.slots = 0x7ffffffe,
		.removable = 0x7ffffffe & ~v->fixed,
		.lpc_slot = v->no_lpc ? -1 : 31,
		.pm_base = 0x600,
		.sci = 9,
		.reset_port = 0xcf9,
		.reset_value = 6,
		.century = 0x32,
		.has_serial = !v->no_serial,
		.has_rtc = true,
		.has_fw_cfg = true,
		.hotplug_pci = v->hotplug,
		.hotplug_cpu = v->hotplug,
		.memory_slots = v->memory_slots,
		.vmgenid_gpa = v->vmgenid ? 0xfe00028 : 0,
		.hw_reduced = v->hw_reduced,
		.ged_port = 0x630,
		.ged_gsi = 13,
	};

	for (unsigned i = 0; i < FACTS_CPUS; i++)
		room->cpus[i] = (struct acpi_cpu){ .apic_id = v->sparse ? i + i / 6 * 2 : i,
						   .present = i < v->present };
	room->memory[0] = (struct acpi_memory){ .range = { 0, 0x80000000 } };
	room->memory[1] = (struct acpi_memory){ .range = { 0x100000000, 0x80000000 } };
	room->memory[2] = (struct acpi_memory){ .range = { 0x180000000, 0x100000000 },
						.hotplug = true };
	if (v->srat) {
		f.memory = room->memory;
		f.memory_count = ARRAY_LEN(room->memory);
	}
	for (unsigned slot = 0; slot < ACPI_PCI_SLOTS; slot++)
		for (unsigned pin = 0; pin < 4; pin++)
			f.intx_gsi[slot][pin] = (uint8_t)(16 + (slot + pin) % 8);
	return f;
}

#endif
