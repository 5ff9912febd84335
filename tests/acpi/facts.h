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

enum {
	HOTPLUG = 1 << 0, /* of processors and PCI */
	NO_SERIAL = 1 << 1,
	NO_LPC = 1 << 2,
	ECAM_INSIDE = 1 << 3, /* the ECAM splits the 32-bit window */
	SPARSE = 1 << 4,      /* APIC ids with gaps, up to 382 */
	SRAT = 1 << 5,
	VMGENID = 1 << 6,
	REDUCED = 1 << 7, /* hardware-reduced */
	NO_ECAM = 1 << 8, /* nobody has programmed it */
	SERIAL2 = 1 << 9,
	WATCHDOG = 1 << 10,
	ALL = HOTPLUG | SRAT | VMGENID,
};

struct variant {
	const char *name;
	unsigned cpus, present; /* possible, present */
	unsigned memory_slots;
	uint32_t fixed; /* slots that may not go */
	unsigned flags;
};

#define NONE_FIXED 0x00000000u
#define SOME_FIXED 0x40000016u
#define ALL_FIXED  0x7ffffffeu

static const struct variant variants[] = {
	{ "plain-1", 1, 1, 0, NONE_FIXED, 0 },
	{ "plain-2", 2, 2, 0, NONE_FIXED, 0 },
	{ "plain-255", 255, 255, 0, NONE_FIXED, 0 },
	{ "absent", 4, 2, 0, NONE_FIXED, 0 },
	{ "no-serial", 1, 1, 0, NONE_FIXED, NO_SERIAL },
	{ "serial2", 1, 1, 0, NONE_FIXED, SERIAL2 },
	{ "watchdog", 2, 2, 0, NONE_FIXED, WATCHDOG },
	{ "no-lpc", 1, 1, 0, NONE_FIXED, NO_LPC },
	{ "ecam-inside", 1, 1, 0, NONE_FIXED, ECAM_INSIDE },
	{ "no-ecam", 1, 1, 0, NONE_FIXED, NO_ECAM },
	{ "hotplug-1", 1, 1, 0, NONE_FIXED, HOTPLUG },
	{ "hotplug-2", 2, 1, 0, NONE_FIXED, HOTPLUG | VMGENID },
	{ "hotplug-255", 255, 2, 0, NONE_FIXED, HOTPLUG | SRAT },
	{ "hotplug-288", 288, 2, 0, NONE_FIXED, HOTPLUG | SPARSE },
	{ "fixed", 2, 2, 0, SOME_FIXED, HOTPLUG },
	{ "all-fixed", 2, 2, 0, ALL_FIXED, HOTPLUG },
	{ "memory-1", 2, 2, 1, NONE_FIXED, SRAT },
	{ "memory-32", 2, 2, 32, NONE_FIXED, 0 },
	{ "all", 255, 2, 32, NONE_FIXED, ALL },
	{ "reduced", 2, 2, 0, NONE_FIXED, REDUCED },
	{ "reduced-all", 8, 2, 32, NONE_FIXED, REDUCED | ALL },
};

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
		.ecam_base = (v->flags & ECAM_INSIDE) != 0 ? 0xe0000000 : 0xb0000000,
		.bus_count = (v->flags & NO_ECAM) != 0 ? 0 : 256,
		.window32 = { 0xc0000000, 0x38000000 },
		.window64 = { 0xe000000000, 0x2000000000 },
		.slots = 0x7ffffffe,
		.removable = 0x7ffffffe & ~v->fixed,
		.lpc_slot = (v->flags & NO_LPC) != 0 ? -1 : 31,
		.pm_base = 0x600,
		.sci = 9,
		.reset_port = 0xcf9,
		.reset_value = 6,
		.century = 0x32,
		.has_serial = (v->flags & NO_SERIAL) == 0,
		.has_serial2 = (v->flags & SERIAL2) != 0,
		.has_watchdog = (v->flags & WATCHDOG) != 0,
		.has_rtc = true,
		.has_fw_cfg = true,
		.hotplug_pci = (v->flags & HOTPLUG) != 0,
		.hotplug_cpu = (v->flags & HOTPLUG) != 0,
		.memory_slots = v->memory_slots,
		.vmgenid_gpa = (v->flags & VMGENID) != 0 ? 0xfe00028 : 0,
		.hw_reduced = (v->flags & REDUCED) != 0,
		.ged_port = 0xce4,
		.ged_gsi = 13,
	};

	for (unsigned i = 0; i < FACTS_CPUS; i++)
		room->cpus[i] =
			(struct acpi_cpu){ .apic_id = (v->flags & SPARSE) != 0 ? i + i / 6 * 2 : i,
					   .present = i < v->present };
	room->memory[0] = (struct acpi_memory){ .range = { 0, 0x80000000 } };
	room->memory[1] = (struct acpi_memory){ .range = { 0x100000000, 0x80000000 } };
	room->memory[2] =
		(struct acpi_memory){ .range = { 0x180000000, 0x100000000 }, .hotplug = true };
	if ((v->flags & SRAT) != 0) {
		f.memory = room->memory;
		f.memory_count = ARRAY_LEN(room->memory);
	}
	for (unsigned slot = 0; slot < ACPI_PCI_SLOTS; slot++)
		for (unsigned pin = 0; pin < 4; pin++)
			f.intx_gsi[slot][pin] = (uint8_t)(16 + (slot + pin) % 8);
	return f;
}

#endif
