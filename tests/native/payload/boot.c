/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - see boot.h. The start info is Xen's PVH hvm_start_info, versions 0
 * and 1; a loader without a memory map gets the low 64 MiB taken for granted.
 */
#include "boot.h"

#include "cpu.h"
#include "exit.h"
#include "lib.h"

enum { HVM_MAGIC = 0x336ec578, E820_RAM = 1 };
enum { PTE_USER = 7, PTE_LARGE = 1 << 7 };
enum { MIB = 1 << 20, LARGE_PAGE = 2 * MIB };

struct hvm_start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline, rsdp;
	uint64_t memmap; /* from version 1 on */
	uint32_t memmap_count, reserved;
};

struct hvm_memmap {
	uint64_t base, size;
	uint32_t type, reserved;
};

struct acpi_header {
	char sig[4];
	uint32_t size;
	uint8_t rest[28];
};

extern uint64_t boot_start_info; /* start.S */
extern uint32_t boot_phys_bits;
extern uint64_t pml4[512];
extern char __end[];

struct boot boot;

static uint64_t heap_next = (uint64_t)__end;

bool boot_init(void)
{
	const struct hvm_start_info *si = (const void *)boot_start_info;
	const struct hvm_memmap *map;

	boot.phys_bits = boot_phys_bits & 0xff;
	boot.cmdline = "";
	if (si == NULL || si->magic != HVM_MAGIC) {
		print("not ok boot: no PVH start info at 0x%lx\n", boot_start_info);
		return false;
	}
	if (si->cmdline != 0)
		boot.cmdline = (const char *)si->cmdline;
	boot.rsdp = si->rsdp;
	if (si->version >= 1) {
		map = (const void *)si->memmap;
		for (uint32_t i = 0; i < si->memmap_count && boot.ram_count < MAX_RAM_RANGES; i++)
			if (map[i].type == E820_RAM)
				boot.ram[boot.ram_count++] =
					(struct ram_range){ map[i].base, map[i].size };
	}
	if (boot.ram_count == 0)
		boot.ram[boot.ram_count++] = (struct ram_range){ MIB, 63 * MIB };
	return true;
}

bool boot_is_ram(uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < boot.ram_count; i++)
		if (base >= boot.ram[i].base && size <= boot.ram[i].size &&
		    base - boot.ram[i].base <= boot.ram[i].size - size)
			return true;
	return false;
}

void *heap_alloc(size_t size, size_t align)
{
	uint64_t p = (heap_next + align - 1) & ~(uint64_t)(align - 1);

	if (!boot_is_ram(p, size) || p + size > HEAP_LIMIT) {
		print("not ok heap: no %lu bytes left\n", (uint64_t)size);
		exit_failed();
	}
	heap_next = p + size;
	return memset((void *)p, 0, size);
}

/* The table below @entry, made if it is not there. */
static uint64_t *next_table(uint64_t *entry)
{
	if (*entry == 0)
		*entry = (uint64_t)heap_alloc(4096, 4096) | PTE_USER;
	return (uint64_t *)(*entry & ~(uint64_t)0xfff);
}

void map_high(uint64_t base, uint64_t size)
{
	uint64_t a = base & ~(uint64_t)(LARGE_PAGE - 1);

	for (; a < base + size; a += LARGE_PAGE) {
		uint64_t *pdpt = next_table(&pml4[a >> 39 & 511]);
		uint64_t *pd = next_table(&pdpt[a >> 30 & 511]);

		pd[a >> 21 & 511] = a | PTE_USER | PTE_LARGE;
	}
}

static bool checksum_ok(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (n-- > 0)
		sum = (uint8_t)(sum + *b++);
	return sum == 0;
}

const void *acpi_find(const char sig[4])
{
	const uint8_t *rsdp = (const void *)boot.rsdp;
	const struct acpi_header *root, *t;
	size_t width;
	uint64_t a = 0;

	if (rsdp == NULL || memcmp(rsdp, "RSD PTR ", 8) != 0 || !checksum_ok(rsdp, 20))
		return NULL;
	width = rsdp[15] >= 2 ? 8 : 4; /* revision 2: the XSDT at 24; else the RSDT at 16 */
	memcpy(&a, rsdp + (width == 8 ? 24 : 16), width);
	root = (const void *)a;
	if (!checksum_ok(root, root->size))
		return NULL;
	for (size_t off = sizeof(*root); off + width <= root->size; off += width) {
		a = 0;
		memcpy(&a, (const uint8_t *)root + off, width);
		t = (const void *)a;
		if (memcmp(t->sig, sig, 4) == 0)
			return checksum_ok(t, t->size) ? t : NULL;
	}
	return NULL;
}
