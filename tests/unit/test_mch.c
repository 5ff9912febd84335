/* SPDX-License-Identifier: Apache-2.0 */
/* test_mch.c - the host bridge: identity, and an ECAM that follows PCIEXBAR. */
#include "devices/pci/mch.h"

#include "kit.h"

#include "base/le.h"
#include "bus/pci.h"

extern const struct dev_ops mch_ops;

struct fixture {
	struct kit kit;
	struct map_reader pio_r, mmio_r;
};

static void plug(struct fixture *f, uint16_t device, uint64_t ecam)
{
	const struct mch_config c = { .device = device, .ecam = ecam };
	static const struct pci_windows windows = {
		.io_base = 0x1000,
		.io_end = 0xffff,
		.mem32_base = 0xc0000000,
		.mem32_end = 0xf7ffffff,
		.mem64_base = 0xe000000000,
		.mem64_end = 0xffffffffff,
	};
	struct sill_err e = { 0 };

	kit_open(&f->kit, 0);
	f->kit.env.pio = map_create(0x10000, NULL, &e);
	f->kit.env.mmio = map_create(0, NULL, &e);
	assert_non_null(f->kit.env.pio);
	assert_non_null(f->kit.env.mmio);
	f->kit.env.pci = pci_bus_create(f->kit.env.pio, f->kit.env.mmio, &windows, &e);
	assert_non_null(f->kit.env.pci);
	map_reader_add(f->kit.env.pio, &f->pio_r);
	map_reader_add(f->kit.env.mmio, &f->mmio_r);
	kit_plug(&f->kit, &mch_ops, &c, NO_GSI);
}

static void unplug(struct fixture *f)
{
	unsigned buses;

	dev_destroy(f->kit.dev);
	f->kit.dev = NULL;
	(void)pci_bus_ecam(f->kit.env.pci, &buses);
	assert_int_equal(buses, 0);
	assert_null(pci_bus_find(f->kit.env.pci, 0));
	map_reader_remove(f->kit.env.pio, &f->pio_r);
	map_reader_remove(f->kit.env.mmio, &f->mmio_r);
	pci_bus_destroy(f->kit.env.pci);
	map_destroy(f->kit.env.pio);
	map_destroy(f->kit.env.mmio);
	kit_close(&f->kit);
}

static uint32_t cfg(struct fixture *f, unsigned off, unsigned size)
{
	return pci_config_read(f->kit.env.pci, 0, 0, off, size);
}

static void set(struct fixture *f, unsigned off, unsigned size, uint32_t val)
{
	pci_config_write(f->kit.env.pci, 0, 0, off, size, val);
}

static uint64_t ecam(struct fixture *f, unsigned *ret_buses)
{
	return pci_bus_ecam(f->kit.env.pci, ret_buses);
}

static uint32_t mmio(struct fixture *f, uint64_t at)
{
	uint8_t b[4] = { 0 };

	(void)map_read(f->kit.env.mmio, &f->mmio_r, at, b, 4);
	return ld32(b);
}

static void mch_config__is_a_q35(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	plug(&f, MCH_Q35, 0);
	assert_int_equal(cfg(&f, PCI_VENDOR, 4), 0x29c08086);
	assert_int_equal(cfg(&f, PCI_CLASS, 1), 0);
	assert_int_equal(cfg(&f, PCI_CLASS + 1, 2), 0x0600);
	assert_int_equal(cfg(&f, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(cfg(&f, 0x60, 4), 0);
	set(&f, PCI_COMMAND, 2, 0);
	assert_int_equal(cfg(&f, PCI_COMMAND, 2), 6);
	/* It gets its BARs probed like any other; the memory attributes are kept. */
	for (unsigned off = PCI_BAR0; off < PCI_BAR0 + 24; off += 4) {
		set(&f, off, 4, 0xffffffff);
		assert_int_equal(cfg(&f, off, 4), 0);
	}
	set(&f, 0x91, 1, 3);
	assert_int_equal(cfg(&f, 0x91, 1), 3);
	unplug(&f);
	f = (struct fixture){ 0 };
	plug(&f, MCH_CLOUDHV, 0xb0000000);
	assert_int_equal(cfg(&f, PCI_VENDOR, 4), 0x0d578086);
	unplug(&f);
}

/* The writes of OVMF 2022.11, by way of the ports; then those of later releases. */
static void mch_pciexbar__is_where_firmware_puts_it(void **state)
{
	struct fixture f = { 0 };
	unsigned buses;
	uint8_t b[4];

	(void)state;
	plug(&f, MCH_Q35, 0);
	(void)ecam(&f, &buses);
	assert_int_equal(buses, 0);
	static const uint32_t writes[][2] = { { 0x60, 0 }, { 0x64, 0 }, { 0x60, 0xb0000001 } };
	for (unsigned i = 0; i < 3; i++) {
		st32(b, 0x80000000 | writes[i][0]);
		assert_true(map_write(f.kit.env.pio, &f.pio_r, 0xcf8, b, 4));
		st32(b, writes[i][1]);
		assert_true(map_write(f.kit.env.pio, &f.pio_r, 0xcfc, b, 4));
	}
	assert_int_equal(ecam(&f, &buses), 0xb0000000);
	assert_int_equal(buses, 256);
	assert_int_equal(mmio(&f, 0xb0000000), 0x29c08086);
	assert_int_equal(cfg(&f, 0x60, 4), 0xb0000001);
	/* The same again after a reset. */
	pci_bus_reset(f.kit.env.pci);
	dev_reset(f.kit.dev);
	(void)ecam(&f, &buses);
	assert_int_equal(buses, 0);
	assert_int_equal(mmio(&f, 0xb0000000), 0xffffffff);
	set(&f, 0x60, 4, 0);
	set(&f, 0x64, 4, 0);
	set(&f, 0x60, 4, 0xe0000001);
	assert_int_equal(ecam(&f, &buses), 0xe0000000);
	/* Moved by a write that comes through it. */
	st32(b, 0xb0000001);
	assert_true(map_write(f.kit.env.mmio, &f.mmio_r, 0xe0000060, b, 4));
	assert_int_equal(mmio(&f, 0xe0000000), 0xffffffff);
	assert_int_equal(mmio(&f, 0xb0000000), 0x29c08086);
	unplug(&f);
}

static void mch_pciexbar__lengths(void **state)
{
	struct fixture f = { 0 };
	unsigned buses;

	(void)state;
	plug(&f, MCH_Q35, 0);
	set(&f, 0x60, 4, 0xb8000003);
	assert_int_equal(ecam(&f, &buses), 0xb8000000);
	assert_int_equal(buses, 128);
	assert_int_equal(mmio(&f, 0xb8000000), 0x29c08086);
	set(&f, 0x60, 4, 0xbc000005);
	assert_int_equal(ecam(&f, &buses), 0xbc000000);
	assert_int_equal(buses, 64);
	assert_int_equal(mmio(&f, 0xb8000000), 0xffffffff);
	set(&f, 0x60, 4, 0xbc000001); /* 256 MiB aligned */
	assert_int_equal(ecam(&f, &buses), 0xb0000000);
	set(&f, 0x60, 4, 0xb0000007);
	(void)ecam(&f, &buses);
	assert_int_equal(buses, 0);
	set(&f, 0x60, 4, 0xfffffff9);
	assert_int_equal(cfg(&f, 0x60, 4), 0xfc000001);
	set(&f, 0x60, 4, 0xb0000001);
	set(&f, 0x64, 4, 0xffffffff);
	assert_int_equal(cfg(&f, 0x64, 4), 0xf);
	assert_int_equal(ecam(&f, &buses), 0xfb0000000ull);
	set(&f, 0x60, 4, 0xb0000000);
	(void)ecam(&f, &buses);
	assert_int_equal(buses, 0);
	unplug(&f);
}

static void mch_pciexbar__is_preset_for_the_other_door(void **state)
{
	struct fixture f = { 0 };
	unsigned buses;

	(void)state;
	plug(&f, MCH_CLOUDHV, 0xb0000000);
	assert_int_equal(ecam(&f, &buses), 0xb0000000);
	assert_int_equal(mmio(&f, 0xb0000000), 0x0d578086);
	set(&f, 0x60, 4, 0);
	assert_int_equal(mmio(&f, 0xb0000000), 0xffffffff);
	pci_bus_reset(f.kit.env.pci);
	dev_reset(f.kit.dev);
	assert_int_equal(cfg(&f, 0x60, 4), 0xb0000001);
	assert_int_equal(mmio(&f, 0xb0000000), 0x0d578086);
	unplug(&f);
}

static void mch_load__moves_the_ecam_back(void **state)
{
	struct fixture f = { 0 };
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf b;

	(void)state;
	plug(&f, MCH_Q35, 0);
	set(&f, 0x60, 4, 0xb0000001);
	buf_init(&b, 1 << 16);
	save_init(&s, &b);
	pci_bus_save(f.kit.env.pci, &s);
	assert_int_equal(dev_save(f.kit.dev, &s), 0);
	pci_bus_reset(f.kit.env.pci);
	dev_reset(f.kit.dev);
	assert_int_equal(mmio(&f, 0xb0000000), 0xffffffff);
	load_init(&l, b.data, b.size);
	assert_int_equal(pci_bus_load(f.kit.env.pci, &l, &e), 0);
	assert_int_equal(dev_load(f.kit.dev, &l, &e), 0);
	assert_int_equal(mmio(&f, 0xb0000000), 0x29c08086);
	buf_fini(&b);
	kit_load_damaged(&f.kit);
	unplug(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mch_config__is_a_q35),
		cmocka_unit_test(mch_pciexbar__is_where_firmware_puts_it),
		cmocka_unit_test(mch_pciexbar__lengths),
		cmocka_unit_test(mch_pciexbar__is_preset_for_the_other_door),
		cmocka_unit_test(mch_load__moves_the_ecam_back),
	};

	return cmocka_run_group_tests_name("mch", tests, NULL, NULL);
}
