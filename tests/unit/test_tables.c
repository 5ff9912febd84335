/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tables.c - the ECAM in what a guest is told: only what is programmed is reserved. The file is
 * included for its parts, and the machine has none but the PCI bus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/x86_64/tables.c"
#include "base/le.h"

enum { ENTRY = 20 };

static struct machine m;
static struct board board;
static struct tables t;

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(e820__reserves_nothing_before_firmware_has_programmed_it),
		cmocka_unit_test(e820__reserves_the_preset_ecam_of_a_kernel_without_firmware),
		cmocka_unit_test(acpi__follows_the_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
