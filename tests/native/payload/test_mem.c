/* SPDX-License-Identifier: Apache-2.0 */
/* test_mem.c - RAM is where the memory map says, each byte of it once. */
#include "boot.h"
#include "cpu.h"
#include "lib.h"
#include "test.h"

enum { PAGE = 4096, STEP = 32 << 20, PLACES = 1024 };

#define GIB4 0x100000000u

static uint64_t place[PLACES];
static unsigned place_count;

static void note(uint64_t a)
{
	if (place_count < PLACES && a >= HEAP_LIMIT)
		place[place_count++] = a & ~(uint64_t)7;
}

static void mem_map__names_ram_and_an_rsdp(void)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < boot.ram_count; i++)
		total += boot.ram[i].size;
	CHECK(boot_is_ram(0x100000, 0x200000), "no RAM at 1 MiB");
	CHECK(total >= 32u << 20, "only %lu bytes of RAM", total);
	CHECK(boot.rsdp != 0, "the start info names no RSDP");
	CHECK(acpi_find("FACP") != NULL, "no FADT behind the RSDP at 0x%lx, or a bad checksum",
	      boot.rsdp);
	CHECK(boot.phys_bits >= 36 && boot.phys_bits <= 52, "%u physical address bits",
	      boot.phys_bits);
}

/* Every place gets its own address as content; an alias would show as another's. */
static void mem_ram__holds_what_was_written_everywhere(void)
{
	place_count = 0;
	for (unsigned i = 0; i < boot.ram_count; i++) {
		uint64_t base = boot.ram[i].base, end = base + boot.ram[i].size;

		if (end - base < PAGE || end <= HEAP_LIMIT)
			continue;
		map_high(base, end - base);
		note(base);
		for (uint64_t a = base; a + STEP < end; a += STEP)
			note(a + 8);
		note(end - 8);
	}
	CHECK(place_count > 0, "no RAM beyond the heap");
	for (unsigned i = 0; i < place_count; i++)
		write64(place[i], ~place[i]);
	for (unsigned i = 0; i < place_count; i++)
		CHECK(read64(place[i]) == ~place[i], "0x%lx reads 0x%lx", place[i],
		      read64(place[i]));
	for (unsigned i = 0; i < place_count; i++)
		write64(place[i], 0);
}

static void mem_high__is_there_when_the_map_says_so(void)
{
	uint64_t high = 0;

	for (unsigned i = 0; i < boot.ram_count; i++)
		if (boot.ram[i].base >= GIB4)
			high += boot.ram[i].size;
	SKIP_IF(high == 0, "no RAM above 4 GiB");
	CHECK(boot_is_ram(GIB4, PAGE), "RAM above 4 GiB, but none at 4 GiB");
	map_high(GIB4, PAGE);
	write64(GIB4, 0x1122334455667788);
	CHECK(read64(GIB4) == 0x1122334455667788, "4 GiB does not hold a value");
}

const struct test mem_tests[] = {
	{ "mem_map__names_ram_and_an_rsdp", mem_map__names_ram_and_an_rsdp },
	{ "mem_ram__holds_what_was_written_everywhere",
	  mem_ram__holds_what_was_written_everywhere },
	{ "mem_high__is_there_when_the_map_says_so", mem_high__is_there_when_the_map_says_so },
	{ 0 },
};
