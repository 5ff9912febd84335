/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tables.c - the ECAM in what a guest is told: only what is programmed is reserved; and memory that came. The file is
 * included for its parts, and the machine has none but the PCI bus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define arch_dimm fake_arch_dimm
#include "arch/x86_64/tables.c"
#include "base/le.h"

enum { ENTRY = 20 };

static struct machine m;
static struct board board;
static struct tables t;
static struct arch_dimm dimm[SILL_MAX_DIMMS];

void arch_dimm(const struct board *b, unsigned slot, struct arch_dimm *ret)
{
	(void)b;
	*ret = dimm[slot];
}

static void setup(enum boot_door door)
{
	static const struct sill_topology one;
	static const struct pci_windows windows = {
		.io_base = LAYOUT_PCI_IO,
		.io_end = LAYOUT_PCI_IO_END,
		.mem32_base = LAYOUT_MEM32_NEW,
		.mem32_end = LAYOUT_MEM32_END,
		.mem64_base = 0xe000000000,
		.mem64_end = 0xffffffffff,
	};
	struct sill_err e = { 0 };

	m = (struct machine){ 0 };
	board = (struct board){ .machine = &m,
				.boot_cpus = 1,
				.max_cpus = 1,
				.phys_bits = 40,
				.mem64_base = 0xe000000000,
				.low_end = LAYOUT_LOW_RAM_MAX,
				.high_size = 1 << 30,
				.boot = { .door = door } };
	assert_int_equal(topology_init(&board.topology, &one, 1, &e), 0);
	m.pio = map_create(0x10000, NULL, &e);
	m.mmio = map_create(0, NULL, &e);
	m.pci = pci_bus_create(m.pio, m.mmio, &windows, &e);
	assert_non_null(m.pci);
	t = (struct tables){ .board = &board };
	buf_init(&t.e820, (size_t)E820_MAX * ENTRY);
	assert_int_equal(acpi_tables_reserve(&t.built, &e), 0);
	assert_int_equal(make_map(&t, &e), 0);
}

static void done(void)
{
	struct sill_err e = { 0 };

	assert_int_equal(pci_bus_set_ecam(m.pci, 0, 0, &e), 0);
	buf_fini(&t.e820);
	acpi_tables_fini(&t.built);
	pci_bus_destroy(m.pci);
	map_destroy(m.pio);
	map_destroy(m.mmio);
}

/* What fw_cfg gives says of the byte at @gpa; 0: nothing. */
static unsigned type_at(uint64_t gpa)
{
	for (size_t i = 0; i + ENTRY <= t.e820.size; i += ENTRY) {
		const uint8_t *p = t.e820.data + i;

		if (gpa >= ld64(p) && gpa - ld64(p) < ld64(p + 8))
			return ld32(p + 16);
	}
	return 0;
}

/* edk2 from 202305 on gives BARs what lies below 0xe0000000. */
static void e820__reserves_nothing_before_firmware_has_programmed_it(void **state)
{
	(void)state;
	setup(BOOT_FLASH);
	for (uint64_t gpa = LAYOUT_MEM32_NEW; gpa < LAYOUT_4G; gpa += 1 << 20)
		assert_int_equal(type_at(gpa), 0);
	assert_int_equal(type_at(LAYOUT_LOW_RAM_MAX - 1), E820_RAM);
	assert_int_equal(type_at(LAYOUT_4G), E820_RAM);
	done();
}

static void e820__reserves_the_preset_ecam_of_a_kernel_without_firmware(void **state)
{
	(void)state;
	for (enum boot_door door = BOOT_ELF; door <= BOOT_BZIMAGE; door++) {
		setup(door);
		assert_int_equal(type_at(LAYOUT_ECAM - 1), 0);
		assert_int_equal(type_at(LAYOUT_ECAM), E820_RESERVED);
		assert_int_equal(type_at(LAYOUT_ECAM + LAYOUT_ECAM_SIZE - 1), E820_RESERVED);
		assert_int_equal(type_at(LAYOUT_ECAM + LAYOUT_ECAM_SIZE), 0);
		done();
	}
}

/* The base in MCFG, with ECAM at @ecam; 0: no such table. */
static uint64_t mcfg_base(uint64_t ecam, unsigned buses)
{
	const struct buf *b = &t.built.blob;
	struct sill_err e = { 0 };
	uint64_t base = 0;

	setup(BOOT_FLASH);
	assert_int_equal(pci_bus_set_ecam(m.pci, ecam, buses, &e), 0);
	assert_int_equal(build_acpi(&t, &e), 0);
	for (size_t i = 0; i + 60 <= b->size; i++)
		if (memcmp(b->data + i, "MCFG\74\0\0\0", 8) == 0)
			base = ld64(b->data + i + 44);
	done();
	return base;
}

static void acpi__follows_the_register(void **state)
{
	(void)state;
	assert_int_equal(mcfg_base(0xe0000000, 256), 0xe0000000);
	assert_int_equal(mcfg_base(0xb0000000, 256), 0xb0000000);
	assert_int_equal(mcfg_base(0, 0), 0);
}

/* --- memory that came ------------------------------------------------------------- */

static const uint64_t GIB = 1ull << 30;

/* Two pieces in the area since a reset, not in the order of their addresses, and one that came after it. */
static void setup_memory(void)
{
	struct sill_err e = { 0 };

	setup(BOOT_FLASH);
	board.hot_base = 8 * GIB;
	board.hot_size = 8 * GIB;
	memset(dimm, 0, sizeof(dimm));
	assert_int_equal(tables_remake_map(&t, &e), 0);
	dimm[9] = (struct arch_dimm){ .base = 9 * GIB, .size = GIB, .folded = true };
	dimm[4] = (struct arch_dimm){ .base = 12 * GIB, .size = 2 * GIB, .folded = true };
	dimm[3] = (struct arch_dimm){ .base = 10 * GIB, .size = GIB };
}

static void e820__has_what_a_reset_has_folded(void **state)
{
	const size_t room = ENTRY * (3 + SILL_MAX_DIMMS);
	uint8_t file[ENTRY * (3 + SILL_MAX_DIMMS)];
	struct sill_err e = { 0 };

	(void)state;
	setup_memory();
	assert_int_equal(tables_e820_size(&t), room);
	assert_int_equal(type_at(9 * GIB), 0);
	for (unsigned i = 0; i < 3; i++) { /* as often as it is reset */
		assert_int_equal(tables_remake_map(&t, &e), 0);
		assert_int_equal(type_at(8 * GIB), 0);
		assert_int_equal(type_at(9 * GIB), E820_RAM);
		assert_int_equal(type_at(10 * GIB), 0);
		assert_int_equal(type_at(12 * GIB), E820_RAM);
		assert_int_equal(type_at(14 * GIB - 1), E820_RAM);
		assert_int_equal(type_at(14 * GIB), 0);
		assert_int_equal(type_at(0), E820_RAM);
	}
	memset(file, 0xff, sizeof(file));
	tables_select_e820(&t, file, sizeof(file));
	assert_memory_equal(file, t.e820.data, t.e820.size);
	for (size_t at = t.e820.size; at < sizeof(file); at++)
		assert_int_equal(file[at], 0); /* entries of no type */
	done();
}

/* The SRAT entry of the byte at @gpa: its flags, or -1; no two have it. */
static int flags_at(uint64_t gpa)
{
	const struct buf *b = &t.built.blob;
	const uint8_t *srat = NULL;
	int flags = -1;

	for (unsigned i = 0; i < t.built.table_count; i++)
		if (memcmp(t.built.table[i].sig, "SRAT", 4) == 0)
			srat = b->data + t.built.table[i].off;
	if (srat == NULL)
		return -2;
	for (uint32_t at = 48; at < ld32(srat + 4); at += srat[at + 1]) {
		const uint8_t *p = srat + at;

		if (p[0] != 1 || gpa < ld64(p + 8) || gpa - ld64(p + 8) >= ld64(p + 16))
			continue;
		assert_int_equal(flags, -1);
		flags = (int)ld32(p + 28);
	}
	return flags;
}

static void srat__tells_memory_from_where_it_may_come(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	setup(BOOT_FLASH); /* none may come */
	assert_int_equal(build_acpi(&t, &e), 0);
	assert_int_equal(flags_at(0), -2);
	done();
	setup_memory();
	assert_int_equal(build_acpi(&t, &e), 0);
	for (unsigned i = 8; i < 16; i++)
		assert_int_equal(flags_at(i * GIB), 3); /* enabled, hot-pluggable */
	assert_int_equal(tables_remake_map(&t, &e), 0);
	assert_int_equal(build_acpi(&t, &e), 0);
	for (unsigned i = 8; i < 16; i++)
		assert_int_equal(flags_at(i * GIB), i == 9 || i == 12 || i == 13 ? 1 : 3);
	assert_int_equal(flags_at(16 * GIB), -1);
	assert_int_equal(flags_at(0), 1);
	assert_int_equal(flags_at(LAYOUT_LOW_RAM_END), -1);
	assert_int_equal(flags_at(LAYOUT_LOW_RAM_MAX - 1), 1);
	assert_int_equal(flags_at(LAYOUT_LOW_RAM_MAX), -1);
	assert_int_equal(flags_at(LAYOUT_4G), 1);
	done();
}

/* The sum of what the memory devices (type 17) hold, in MiB; *@ret_mapped: of what is mapped (type 19), in GiB. */
static unsigned smbios_mib(unsigned *ret_mapped)
{
	const uint8_t *p = t.smbios.data, *end = p + t.smbios.size;
	unsigned mib = 0;

	*ret_mapped = 0;
	while (p < end) {
		if (p[0] == 17)
			mib += ld16(p + 0x0c) != 0x7fff ? ld16(p + 0x0c) : ld32(p + 0x1c);
		if (p[0] == 19)
			*ret_mapped += (ld32(p + 8) - ld32(p + 4) + 1) >> 20;
		for (p += p[1]; p[0] != 0 || p[1] != 0;)
			p++;
		p += 2;
	}
	return mib;
}

static void smbios__has_what_a_reset_has_folded(void **state)
{
	const struct sill_config c = { .memory = { .size = 4 * GIB, .hotplug_size = 8 * GIB } };
	struct sill_err e = { 0 };
	uint8_t *file;
	unsigned mapped;

	(void)state;
	setup_memory();
	t.config = &c;
	buf_init(&t.smbios, SMBIOS_IMAGE_MAX);
	assert_int_equal(measure_smbios(&t, &e), 0);
	assert_int_equal(smbios_mib(&mapped), 12 * 1024);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(tables_remake_smbios(&t, &e), 0);
		assert_int_equal(smbios_mib(&mapped), 4 * 1024);
	}
	file = test_malloc(t.smbios_size);
	memset(file, 0xff, t.smbios_size);
	tables_select_smbios(&t, file, t.smbios_size);
	assert_memory_equal(file, t.smbios.data, t.smbios.size);
	for (size_t at = t.smbios.size; at < t.smbios_size; at++)
		assert_int_equal(file[at], 0);
	test_free(file);
	assert_int_equal(ld32(t.smbios_anchor + 12), t.smbios_size);

	assert_int_equal(tables_remake_map(&t, &e), 0);
	assert_int_equal(tables_remake_smbios(&t, &e), 0);
	assert_int_equal(smbios_mib(&mapped), 7 * 1024);
	assert_int_equal(mapped, (LAYOUT_LOW_RAM_MAX >> 30) + 1 + 3);
	assert_true(t.smbios.size <= t.smbios_size);
	buf_fini(&t.smbios);
	done();
}

static void layout__has_room_for_memory_that_comes(void **state)
{
	(void)state;
	assert_int_equal(layout_hot_base(GIB), LAYOUT_4G);
	assert_int_equal(layout_hot_base(2 * GIB), LAYOUT_4G);
	assert_int_equal(layout_hot_base(3 * GIB), 6 * GIB);
	assert_int_equal(layout_hot_base(4 * GIB), 6 * GIB);
	assert_int_equal(layout_memory_end(GIB, 0), GIB);
	assert_int_equal(layout_memory_end(GIB, GIB), 5 * GIB);
	assert_int_equal(sill_memory_block(64 * GIB - 1), 128 << 20);
	assert_int_equal(sill_memory_block(64 * GIB), 2 * GIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(e820__reserves_nothing_before_firmware_has_programmed_it),
		cmocka_unit_test(e820__reserves_the_preset_ecam_of_a_kernel_without_firmware),
		cmocka_unit_test(acpi__follows_the_register),
		cmocka_unit_test(e820__has_what_a_reset_has_folded),
		cmocka_unit_test(srat__tells_memory_from_where_it_may_come),
		cmocka_unit_test(smbios__has_what_a_reset_has_folded),
		cmocka_unit_test(layout__has_room_for_memory_that_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
