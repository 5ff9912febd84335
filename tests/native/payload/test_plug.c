/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_plug.c - devices that come and go while we run. A line "host: COMMAND;..." asks
 * tests/native/run to have the engine do it; only its case "plug" does. What follows a
 * pause stands in one line with it: we could not say it.
 */
#include "../pattern.h"
#include "blk.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "test.h"

enum { GONE_MS = 120000, IN_FLIGHT = 16 };
enum { VIRTIO_VENDOR = 0x1af4, VIRTIO_DEVICE = 0x1040 };
enum { CONSOLE_OUT = 1 };

static bool is_there(void *ctx)
{
	const unsigned *type = ctx;

	pci_scan();
	return pci_find(VIRTIO_VENDOR, (uint16_t)(VIRTIO_DEVICE + *type), 0) != NULL;
}

/* An operating system that looks for new devices. */
static struct pci_dev *await(unsigned type)
{
	if (!poll_for(is_there, &type, GONE_MS))
		return NULL;
	return pci_find(VIRTIO_VENDOR, (uint16_t)(VIRTIO_DEVICE + type), 0);
}

static bool is_empty(void *ctx)
{
	const unsigned *slot = ctx;

	return pci_read(*slot, PCI_ID, 4) == 0xffffffff;
}

/* Nothing of it answers any more. */
static void check_gone(struct pci_dev *d)
{
	unsigned slot = d->slot;

	CHECK(poll_for(is_empty, &slot, GONE_MS), "slot %u is still taken", slot);
	CHECK(pci_read(slot, PCI_COMMAND, 2) == 0xffff, "a register answers");
	CHECK(read32(d->bar[0].addr) == 0xffffffff, "the BAR answers");
	if (pci_ecam() != 0)
		CHECK(read32(pci_ecam() + ((uint64_t)slot << 15)) == 0xffffffff, "the ECAM does");
}

/* @paused: the disk goes while we stand still, with requests on their way. */
static void disk_round(bool paused)
{
	static uint8_t data[IN_FLIGHT][8 * SECTOR_SIZE] __attribute__((aligned(4096)));
	static struct blk_request req[IN_FLIGHT];
	static struct blk disk;
	struct pci_dev *d;

	print("host: plug data:disk.img\n");
	d = await(VIRTIO_TYPE_BLK);
	CHECK(d != NULL, "no disk comes");
	CHECK(blk_open(&disk, false, &(struct blk_setup){ .interrupts = true }),
	      "it cannot be opened");
	CHECK(blk_works(&disk), "it does not work");
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		blk_submit(&disk.q[0], &req[i], BLK_IN, 8 * i, data[i], sizeof(data[i]));
	vq_kick(&disk.q[0]);
	print(paused ? "host: pause;unplug data;resume\n" : "host: unplug data\n");
	check_gone(d);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		CHECK(req[i].status == BLK_OK || req[i].status == 0xff, "request %u: status %u", i,
		      req[i].status);
}

static void plug_disk__comes_works_and_goes(void)
{
	for (unsigned round = 0; round < 6 && !test_has_failed(); round++)
		disk_round(round % 2 != 0);
}

/* It was there from the start. */
static void plug_rng__goes_and_comes_again(void)
{
	static struct virtio v;
	static struct vq q;
	static uint8_t bytes[64];
	struct vq_seg s = { bytes, sizeof(bytes), true };
	struct pci_dev *d = await(VIRTIO_TYPE_RNG);
	int head;

	CHECK(d != NULL, "there is none");
	print("host: unplug rng\n");
	check_gone(d);
	print("host: plug rng\n");
	CHECK(await(VIRTIO_TYPE_RNG) != NULL && virtio_open(&v, VIRTIO_TYPE_RNG, 0),
	      "it does not come back");
	CHECK(virtio_negotiate(&v, 0) && virtio_queue(&v, &q, 0, 16, 0), "it does not start");
	virtio_driver_ok(&v);
	head = vq_add(&q, &s, 1);
	vq_kick(&q);
	CHECK(head >= 0 && vq_wait(&q, head, LONG_MS), "no bytes came");
}

static void plug_console__comes_while_paused_prints_and_goes(void)
{
	static struct virtio v;
	static struct vq q;
	static char line[] = "payload: hello, late console\n";
	struct vq_seg s = { line, sizeof(line) - 1, false };
	struct pci_dev *d;
	int head;

	print("host: pause;plug console:console.txt;resume\n");
	d = await(VIRTIO_TYPE_CONSOLE);
	CHECK(d != NULL && virtio_open(&v, VIRTIO_TYPE_CONSOLE, 0), "no console comes");
	CHECK(virtio_negotiate(&v, 0) && virtio_queue(&v, &q, CONSOLE_OUT, 16, 0),
	      "it does not start");
	virtio_driver_ok(&v);
	head = vq_add(&q, &s, 1);
	vq_kick(&q);
	CHECK(head >= 0 && vq_wait(&q, head, LONG_MS), "it does not end");
	print("host: unplug console\n");
	check_gone(d);
}

/* ---- what an operating system does with ACPI: GPE 1, the registers, _EJ0 */

enum {
	GPE0_STS = 0x620,
	GPE_PCI = 1 << 1,
	SLOTS_UP = 0xcc0,
	SLOTS_DOWN = 0xcc4,
	SLOTS_EJECT = 0xcc8,
	SLOTS_REMOVABLE = 0xccc
};

static bool event_is_set(void *ctx)
{
	(void)ctx;
	return (inb(GPE0_STS) & GPE_PCI) != 0;
}

static void take_events(void)
{
	outb(GPE0_STS, GPE_PCI);
	(void)inl(SLOTS_UP);
	(void)inl(SLOTS_DOWN);
}

/* Slots that the next event is about; clears it. 0: none came. */
static uint32_t await_event(uint16_t port)
{
	if (!poll_for(event_is_set, NULL, GONE_MS))
		return 0;
	outb(GPE0_STS, GPE_PCI);
	return inl(port);
}

/* @asked: we are; else we do it of our own accord. */
static void eject_round(bool asked)
{
	static uint8_t data[IN_FLIGHT][8 * SECTOR_SIZE] __attribute__((aligned(4096)));
	static struct blk_request req[IN_FLIGHT];
	static struct blk disk;
	struct pci_dev *d;
	uint32_t slots;
	unsigned slot;

	take_events();
	print("host: plug data:disk.img\n");
	slots = await_event(SLOTS_UP);
	pci_scan();
	d = pci_find(VIRTIO_VENDOR, VIRTIO_DEVICE + VIRTIO_TYPE_BLK, 0);
	CHECK(d != NULL, "an event, but no disk");
	slot = d->slot;
	CHECK(slots == 1u << slot, "slots %x are new, not %u", slots, slot);
	CHECK(inl(SLOTS_UP) == 0, "reading does not clear");
	CHECK(blk_open(&disk, false, &(struct blk_setup){ .interrupts = true }),
	      "it cannot be opened");
	CHECK(blk_works(&disk), "it does not work");
	CHECK((inl(SLOTS_REMOVABLE) >> slot & 1) != 0, "it is fixed");
	if (asked) {
		print("host: eject data\n");
		slots = await_event(SLOTS_DOWN);
		CHECK(slots == 1u << slot, "asked for slots %x, not %u", slots, slot);
		CHECK(inl(SLOTS_DOWN) == 0, "reading does not clear");
	}
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		blk_submit(&disk.q[0], &req[i], BLK_IN, 8 * i, data[i], sizeof(data[i]));
	vq_kick(&disk.q[0]);
	outl(SLOTS_EJECT, 1u << slot);
	CHECK(pci_read(slot, PCI_ID, 4) == 0xffffffff, "slot %u is still taken", slot);
	check_gone(d);
	print("host: gone data\n");
}

static void plug_acpi__tells_asks_and_ejects(void)
{
	for (unsigned round = 0; round < 6 && !test_has_failed(); round++)
		eject_round(round % 2 == 0);
	outl(SLOTS_EJECT, 1u << 31 | 1); /* the bridges stay */
	CHECK(pci_read(0, PCI_ID, 4) != 0xffffffff && pci_read(31, PCI_ID, 4) != 0xffffffff,
	      "a bridge has gone");
}

const struct test plug_tests[] = {
	{ "plug_disk__comes_works_and_goes", plug_disk__comes_works_and_goes },
	{ "plug_rng__goes_and_comes_again", plug_rng__goes_and_comes_again },
	{ "plug_console__comes_while_paused_prints_and_goes",
	  plug_console__comes_while_paused_prints_and_goes },
	{ "plug_acpi__tells_asks_and_ejects", plug_acpi__tells_asks_and_ejects },
	{ 0 },
};
