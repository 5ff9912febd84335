/* SPDX-License-Identifier: Apache-2.0 */
/* test_memory.c - the memory map that the firmware hands on. */
#include "acpi.h"
#include "fw.h"
#include "lib.h"
#include "report.h"
#include "tests.h"

enum { MAP_MAX = 256 };

static struct region map[MAP_MAX];
static unsigned map_count;

static bool is_ram(const struct region *r)
{
	switch (r->type) {
	case EfiLoaderCode:
	case EfiLoaderData:
	case EfiBootServicesCode:
	case EfiBootServicesData:
	case EfiRuntimeServicesCode:
	case EfiRuntimeServicesData:
	case EfiConventionalMemory:
	case EfiACPIReclaimMemory:
	case EfiACPIMemoryNVS:
		return true;
	default:
		return false;
	}
}

static bool covered(uint64_t base, uint64_t end)
{
	for (unsigned i = 0; i < map_count && base < end; i++)
		if (map[i].base <= base && base < map[i].end)
			base = map[i].end;
	return base >= end;
}

static void layout(void)
{
	static const struct region device[] = {
		{ 0xfec00000, 0xfec01000, 0 },
		{ 0xfee00000, 0xfee01000, 0 },
	};
	uint64_t end = 0;

	rule_begin("memory.map");
	if (map_count == 0)
		rule_bad("there is none");
	for (unsigned i = 0; i < map_count; i++) {
		const struct region *r = &map[i];

		if (r->base < end)
			rule_bad("%lx-%lx overlaps what ends at %lx", r->base, r->end, end);
		if (is_ram(r) && r->base < 0x100000 && r->end > 0xa0000)
			rule_bad("RAM at %lx-%lx, in the hole below 1 MiB", r->base, r->end);
		for (unsigned d = 0; d < ARRAY_LEN(device); d++)
			if (is_ram(r) && r->base < device[d].end && r->end > device[d].base)
				rule_bad("RAM at %lx-%lx, over an APIC", r->base, r->end);
		if (is_ram(r) && end != 0 && r->base > end && r->base - end < 0x10000)
			rule_bad("a hole of %lx bytes at %lx", r->base - end, end);
		end = r->end;
	}
	if (!covered(0, 0xa0000))
		rule_bad("the first 640 KiB are not all described");
	(void)rule_end();
}

/* Windows prefers what it finds there to the table UEFI names. */
static void no_low_rsdp(void)
{
	rule_begin("memory.no-low-rsdp");
	for (uint64_t at = 0xe0000; at < 0x100000; at += 16)
		if (memcmp((const void *)at, "RSD PTR ", 8) == 0)
			rule_bad("an RSDP at %lx", at);
	(void)rule_end();
}

void test_memory(void)
{
	map_count = fw_memory_map(map, MAP_MAX);
	layout();
	no_low_rsdp();
}
