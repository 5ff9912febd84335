/* SPDX-License-Identifier: Apache-2.0 */
/* test_mmio.c - configuration space both ways, BARs that are sized and moved while in use. */
#include "../pattern.h"
#include "blk.h"
#include "boot.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "pci.h"
#include "test.h"

enum { CONFIG_SIZE = 256 };

/* Registers whose value may change between two reads. */
static bool is_volatile(unsigned slot, unsigned off)
{
	(void)slot;
	return (off & ~3u) == PCI_COMMAND; /* status */
}

static uint64_t ecam_at(uint64_t base, unsigned slot, unsigned off)
{
	return base + ((uint64_t)slot << 15) + off;
}

static void mmio_ecam__agrees_with_mechanism_1(void)
{
	uint64_t base = pci_ecam();

	SKIP_IF(base == 0, "no MCFG");
	map_high(base, 1 << 20);
	for (unsigned i = 0; i < pci_dev_count; i++) {
		unsigned slot = pci_devs[i].slot;

		for (unsigned off = 0; off < CONFIG_SIZE; off += 4) {
			uint64_t a = ecam_at(base, slot, off);
			uint32_t v = pci_read(slot, off, 4);

			if (is_volatile(slot, off))
				continue;
			CHECK(read32(a) == v, "slot %u offset 0x%x: 0x%x and 0x%x", slot, off,
			      read32(a), v);
			CHECK(read16(a + 2) == v >> 16, "slot %u offset 0x%x, upper word", slot,
			      off);
			CHECK(read8(a + 1) == (v >> 8 & 0xff), "slot %u offset 0x%x, byte 1", slot,
			      off);
		}
	}
}

static void mmio_ecam__writes_reach_the_register(void)
{
	uint64_t base = pci_ecam();
	struct virtio v;

	SKIP_IF(base == 0, "no MCFG");
	SKIP_IF(!virtio_open(&v, VIRTIO_TYPE_BLK, 0), "no virtio-blk");
	write8(ecam_at(base, v.pci->slot, PCI_INTERRUPT_LINE), 0x5a);
	CHECK(pci_read(v.pci->slot, PCI_INTERRUPT_LINE, 1) == 0x5a, "by ECAM, read by port: %x",
	      pci_read(v.pci->slot, PCI_INTERRUPT_LINE, 1));
	pci_write(v.pci->slot, PCI_INTERRUPT_LINE, 1, 0xa5);
	CHECK(read8(ecam_at(base, v.pci->slot, PCI_INTERRUPT_LINE)) == 0xa5, "by port");
	write32(ecam_at(base, v.pci->slot, PCI_ID), 0);
	CHECK(pci_read(v.pci->slot, PCI_ID, 2) == v.pci->vendor, "the vendor id can be written");
}

static void mmio_absent_function__reads_ones(void)
{
	uint64_t base = pci_ecam();
	unsigned slot = 0;

	while (slot < PCI_SLOTS && pci_read(slot, PCI_ID, 4) != 0xffffffff)
		slot++;
	SKIP_IF(slot == PCI_SLOTS, "no slot is free");
	pci_write(slot, PCI_BAR0, 4, 0);
	for (unsigned off = 0; off < CONFIG_SIZE; off += 4) {
		CHECK(pci_read(slot, off, 4) == 0xffffffff, "offset 0x%x", off);
		CHECK(base == 0 || read32(ecam_at(base, slot, off)) == 0xffffffff,
		      "offset 0x%x in ECAM", off);
	}
}

/* What comes back when nobody answers: all ones; QEMU's memory says 0. */
static bool is_nobody(uint64_t v, unsigned n)
{
	return v == ones(n) || (v == 0 && !vmm_is_sill());
}

static void mmio_unassigned__reads_ones(void)
{
	uint64_t high = pci_window64() + 0x40000000;
	uint64_t at[] = { PCI_SPARE32 + 0x1000000, 0xfec80000, high };

	map_high(high, 4096);
	for (unsigned i = 0; i < ARRAY_LEN(at); i++)
		for (unsigned n = 1; n <= 8; n *= 2) {
			write_n(at[i], n, 0);
			CHECK(is_nobody(read_n(at[i], n), n), "0x%lx, %u bytes: 0x%lx", at[i], n,
			      read_n(at[i], n));
			CHECK(is_nobody(read_n(at[i] + 3, n), n), "0x%lx, %u bytes, unaligned",
			      at[i] + 3, n);
		}
}

/* The BAR of the device's registers, with the device up. */
static bool live_disk(struct blk *b, unsigned *ret_bar)
{
	if (!blk_open(b, false, &(struct blk_setup){ .interrupts = true }))
		return false;
	*ret_bar = b->v.common.bar;
	return true;
}

/* After a move the doorbells are elsewhere too. */
static void follow(struct blk *b, uint64_t from, uint64_t to)
{
	for (unsigned i = 0; i < b->queues; i++)
		b->q[i].doorbell += to - from;
}

static void mmio_bar__sizing_leaves_a_live_device_alone(void)
{
	static struct blk b;
	unsigned bar, reg, slot;
	uint32_t low, high;

	SKIP_IF(!live_disk(&b, &bar), "no virtio-blk");
	slot = b.v.pci->slot;
	reg = PCI_BAR0 + 4 * bar;
	low = pci_read(slot, reg, 4);
	high = pci_read(slot, reg + 4, 4);
	/* As Windows does it: decoding stays on. */
	pci_write(slot, reg, 4, 0xffffffff);
	CHECK((pci_read(slot, reg, 4) & ~15u) == (uint32_t) ~(b.v.pci->bar[bar].size - 1),
	      "size reads 0x%x", pci_read(slot, reg, 4));
	if (vmm_is_sill())
		CHECK(virtio_status(&b.v) != 0xff, "the device does not answer during sizing");
	pci_write(slot, reg, 4, low);
	if (b.v.pci->bar[bar].wide) {
		pci_write(slot, reg + 4, 4, 0xffffffff);
		CHECK(pci_read(slot, reg + 4, 4) == 0xffffffff, "upper half reads 0x%x",
		      pci_read(slot, reg + 4, 4));
		pci_write(slot, reg + 4, 4, high);
	}
	CHECK(blk_works(&b), "no I/O after sizing");
}

static void move_and_check(struct blk *b, unsigned bar, uint64_t to)
{
	uint64_t from = b->v.pci->bar[bar].addr;

	pci_bar_move(b->v.pci, bar, to);
	follow(b, from, to);
	CHECK(pci_bar_read(b->v.pci, bar) == to, "the register reads 0x%lx",
	      pci_bar_read(b->v.pci, bar));
	CHECK((virtio_status(&b->v) & VS_DRIVER_OK) != 0, "status at 0x%lx is %x", to,
	      virtio_status(&b->v));
	CHECK(is_nobody(read32(from + b->v.common.off), 4), "the old place still answers");
	CHECK(blk_works(b), "no I/O at 0x%lx", to);
}

static void mmio_bar__moves_while_the_device_works(void)
{
	static struct blk b;
	unsigned bar;
	uint64_t home;

	SKIP_IF(!live_disk(&b, &bar), "no virtio-blk");
	home = b.v.pci->bar[bar].addr;
	for (unsigned i = 0; i < 8 && !test_has_failed(); i++) {
		move_and_check(&b, bar, PCI_SPARE32 + i * 0x800000);
		if (b.v.pci->bar[bar].wide && !test_has_failed())
			move_and_check(&b, bar, pci_window64() + 0x80000000 + i * 0x800000u);
	}
	if (!test_has_failed())
		move_and_check(&b, bar, home);
}

/* A 64-bit BAR is written in halves, in either order; in between is nothing to rely on. */
static void mmio_bar64__can_be_written_high_half_first(void)
{
	static struct blk b;
	unsigned bar, reg, slot;
	uint64_t home, to = pci_window64() + 0xc0000000;

	SKIP_IF(!live_disk(&b, &bar) || !b.v.pci->bar[bar].wide, "no 64-bit BAR");
	slot = b.v.pci->slot;
	reg = PCI_BAR0 + 4 * bar;
	home = b.v.pci->bar[bar].addr;
	map_high(to, b.v.pci->bar[bar].size);
	pci_write(slot, reg + 4, 4, (uint32_t)(to >> 32));
	pci_write(slot, reg, 4, (uint32_t)to);
	b.v.pci->bar[bar].addr = to;
	follow(&b, home, to);
	CHECK(blk_works(&b), "no I/O at 0x%lx", to);
	move_and_check(&b, bar, home);
}

static void mmio_bar__stays_when_the_new_place_is_taken(void)
{
	static struct blk b;
	unsigned bar, slot;
	uint64_t home;
	struct pci_dev *other = NULL;
	unsigned other_bar = 0;

	SKIP_IF(!vmm_is_sill(), "only Sill promises it");
	SKIP_IF(!live_disk(&b, &bar), "no virtio-blk");
	for (unsigned i = 0; i < pci_dev_count && other == NULL; i++)
		for (unsigned k = 0; k < 6 && other == NULL; k++)
			if (&pci_devs[i] != b.v.pci && pci_devs[i].bar[k].present &&
			    !pci_devs[i].bar[k].io) {
				other = &pci_devs[i];
				other_bar = k;
			}
	SKIP_IF(other == NULL, "no other device");
	slot = b.v.pci->slot;
	home = b.v.pci->bar[bar].addr;
	pci_bar_move(b.v.pci, bar, other->bar[other_bar].addr);
	b.v.pci->bar[bar].addr = home;
	CHECK((virtio_status(&b.v) & VS_DRIVER_OK) != 0, "the old place does not answer");
	CHECK(blk_works(&b), "no I/O at the old place");
	pci_bar_move(b.v.pci, bar, home);
	CHECK(pci_read(slot, PCI_BAR0 + 4 * bar, 4) != 0xffffffff && blk_works(&b),
	      "no I/O after the way back");
}

static void mmio_memory_decode__can_be_turned_off_and_on(void)
{
	static struct blk b;
	unsigned bar;
	uint32_t command;

	SKIP_IF(!live_disk(&b, &bar), "no virtio-blk");
	command = pci_read(b.v.pci->slot, PCI_COMMAND, 2);
	pci_write(b.v.pci->slot, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MEMORY);
	CHECK(is_nobody(virtio_status(&b.v), 1), "it answers with decoding off");
	pci_write(b.v.pci->slot, PCI_COMMAND, 2, command);
	CHECK(blk_works(&b), "no I/O afterwards");
}

static void mmio_apics__answer(void)
{
	uint32_t version = lapic_read(LAPIC_VERSION);

	CHECK((version & 0xff) >= 0x10 && (version & 0xff) < 0x20, "LAPIC version %x", version);
	CHECK((ioapic_read(1) >> 16 & 0xff) == 23, "IOAPIC version register %x", ioapic_read(1));
}

const struct test mmio_tests[] = {
	{ "mmio_apics__answer", mmio_apics__answer },
	{ "mmio_ecam__agrees_with_mechanism_1", mmio_ecam__agrees_with_mechanism_1 },
	{ "mmio_ecam__writes_reach_the_register", mmio_ecam__writes_reach_the_register },
	{ "mmio_absent_function__reads_ones", mmio_absent_function__reads_ones },
	{ "mmio_unassigned__reads_ones", mmio_unassigned__reads_ones },
	{ "mmio_bar__sizing_leaves_a_live_device_alone",
	  mmio_bar__sizing_leaves_a_live_device_alone },
	{ "mmio_bar__moves_while_the_device_works", mmio_bar__moves_while_the_device_works },
	{ "mmio_bar64__can_be_written_high_half_first",
	  mmio_bar64__can_be_written_high_half_first },
	{ "mmio_bar__stays_when_the_new_place_is_taken",
	  mmio_bar__stays_when_the_new_place_is_taken },
	{ "mmio_memory_decode__can_be_turned_off_and_on",
	  mmio_memory_decode__can_be_turned_off_and_on },
	{ 0 },
};
