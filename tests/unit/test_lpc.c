/* SPDX-License-Identifier: Apache-2.0 */
/* test_lpc.c - the LPC bridge: what OVMF writes is there when it reads. */
#include "kit.h"

#include "bus/pci.h"

extern const struct dev_ops lpc_ops;

struct fixture {
	struct kit kit;
};

static int setup(void **state)
{
	static const struct pci_windows windows = { .mem64_base = 1 };
	struct fixture *f = calloc(1, sizeof(*f));
	struct sill_err e = { 0 };

	assert_non_null(f);
	kit_open(&f->kit, 0);
	f->kit.env.pio = map_create(0x10000, NULL, &e);
	f->kit.env.mmio = map_create(0, NULL, &e);
	f->kit.env.pci = pci_bus_create(f->kit.env.pio, f->kit.env.mmio, &windows, &e);
	assert_non_null(f->kit.env.pci);
	kit_plug(&f->kit, &lpc_ops, NULL, NO_GSI);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dev_destroy(f->kit.dev);
	f->kit.dev = NULL;
	assert_null(pci_bus_find(f->kit.env.pci, 31));
	pci_bus_destroy(f->kit.env.pci);
	map_destroy(f->kit.env.pio);
	map_destroy(f->kit.env.mmio);
	kit_close(&f->kit);
	free(f);
	return 0;
}

static uint32_t cfg(struct fixture *f, unsigned off, unsigned size)
{
	return pci_config_read(f->kit.env.pci, 0, 31 << 3, off, size);
}

static void set(struct fixture *f, unsigned off, unsigned size, uint32_t val)
{
	pci_config_write(f->kit.env.pci, 0, 31 << 3, off, size, val);
}

static void lpc_config__is_an_ich9(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg(f, PCI_VENDOR, 4), 0x29188086);
	assert_int_equal(cfg(f, PCI_CLASS, 1), 0);
	assert_int_equal(cfg(f, PCI_CLASS + 1, 2), 0x0601);
	assert_int_equal(cfg(f, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(pci_config_read(f->kit.env.pci, 0, 31 << 3 | 2, 0, 4), 0xffffffff);
	set(f, PCI_COMMAND, 2, 0);
	assert_int_equal(cfg(f, PCI_COMMAND, 2), 7);
	set(f, PCI_BAR0, 4, 0xffffffff);
	assert_int_equal(cfg(f, PCI_BAR0, 4), 0);
}

static void lpc_config__keeps_what_firmware_writes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg(f, 0x40, 4), 1);
	assert_int_equal(cfg(f, 0x44, 1), 0); /* bit 7 set: firmware would skip PMBASE */
	set(f, 0x40, 4, 0x601);
	set(f, 0x44, 1, 0x80);
	set(f, 0xf0, 4, 0xfed1c001);
	assert_int_equal(cfg(f, 0x40, 4), 0x601);
	assert_int_equal(cfg(f, 0x44, 1), 0x80);
	assert_int_equal(cfg(f, 0xf0, 4), 0xfed1c001);
	set(f, 0x40, 4, 0x680);
	assert_int_equal(cfg(f, 0x40, 4), 0x681);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(cfg(f, 0x60 + i, 1), 0x80);
		set(f, 0x60 + i, 1, 0x0a);
		set(f, 0x68 + i, 1, 0x0b);
	}
	assert_int_equal(cfg(f, 0x60, 4), 0x0a0a0a0a);
	assert_int_equal(cfg(f, 0x68, 4), 0x0b0b0b0b);
	assert_int_equal(cfg(f, 0x64, 4), 0);
	set(f, PCI_INT_LINE, 1, 0xff);
	assert_int_equal(cfg(f, PCI_INT_LINE, 1), 0xff);
	pci_bus_reset(f->kit.env.pci);
	dev_reset(f->kit.dev);
	assert_int_equal(cfg(f, 0x40, 4), 1);
	assert_int_equal(cfg(f, 0x60, 4), 0x80808080);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lpc_config__is_an_ich9, setup, teardown),
		cmocka_unit_test_setup_teardown(lpc_config__keeps_what_firmware_writes, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("lpc", tests, NULL, NULL);
}
