/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_abuse.c - a guest that pokes everything. It asserts little: that the
 * machine is still there, and that a reset of a device makes it work again.
 *
 * What the garbage may hit is chosen with care, since it is this program's own
 * memory too: addresses made of the fill bytes 0xa5 and 0xff, whole or in
 * part, are below 1 MiB or above SACRIFICE, where nothing of ours is.
 */
#include "../pattern.h"
#include "blk.h"
#include "boot.h"
#include "cpu.h"
#include "exit.h"
#include "irq.h"
#include "lib.h"
#include "test.h"

enum { SACRIFICE = HEAP_LIMIT, SACRIFICE_END = 0x1000000 }; /* 0xa5a5a5 is inside */
enum { STORM = 400 };

static uint64_t seed;

/* Ports whose writes end the run (power, reset) or the conversation (the UART's transmitter). */
static bool is_forbidden(unsigned port)
{
	return port == 0x600 || port == 0x604 || port == 0x605 || port == 0xcf9 || port == 0x64 ||
	       port == 0x92 || port == 0x3f8;
}

static bool may_write(unsigned port, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (is_forbidden(port + i))
			return false;
	return true;
}

static void poke_port(unsigned port, unsigned n, uint32_t v)
{
	uint16_t p = (uint16_t)port;

	if (n == 1) {
		(void)inb(p);
		if (may_write(port, n))
			outb(p, (uint8_t)v);
	} else if (n == 2) {
		(void)inw(p);
		if (may_write(port, n))
			outw(p, (uint16_t)v);
	} else {
		(void)inl(p);
		if (may_write(port, n))
			outl(p, v);
	}
}

static void restore_uart(void)
{
	outb(0x3fb, 0x03);
	outb(0x3fc, 0x03);
	outb(0x3f9, 0x00);
	outb(0x3fa, 0x07);
}

static void abuse_ports__of_every_number_and_size(void)
{
	for (unsigned n = 1; n <= 4; n *= 2) {
		for (unsigned port = 0; port + n <= 0x10000; port++)
			poke_port(port, n, port % 3 == 0 ? 0xffffffff : 0xa5a5a5a5);
		restore_uart();
	}
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	for (unsigned gsi = 0; gsi < 24; gsi++)
		ioapic_mask(gsi);
	pci_restore(); /* 0xCF8 and 0xCFC were among them */
}

static void abuse_config_space__of_every_function(void)
{
	for (unsigned i = 0; i < pci_dev_count; i++) {
		struct pci_dev *d = &pci_devs[i];

		if (i == 0)
			continue; /* the host bridge: moving the ECAM is another test's business */
		for (unsigned n = 1; n <= 4; n *= 2)
			for (unsigned off = 0; off + n <= 256; off += n) {
				uint32_t old = pci_read(d->slot, off, n);

				pci_write(d->slot, off, n, (uint32_t)random_next(&seed));
				pci_write(d->slot, off, n, 0xffffffff);
				pci_write(d->slot, off, n, old);
			}
	}
	pci_restore();
}

static void abuse_bars__every_register_with_every_size(void)
{
	for (unsigned i = 0; i < pci_dev_count; i++)
		for (unsigned b = 0; b < 6; b++) {
			const struct pci_bar *bar = &pci_devs[i].bar[b];

			if (!bar->present || bar->io)
				continue;
			for (uint64_t off = 0; off < bar->size; off += off < 4096 ? 1 : 509)
				for (unsigned n = 1; n <= 8 && off + n <= bar->size; n *= 2) {
					(void)read_n(bar->addr + off, n);
					write_n(bar->addr + off, n,
						off % 2 != 0 ? ~(uint64_t)0 : 0xa5a5a5a5a5a5a5a5);
				}
		}
}

static void abuse_chips__apic_pages(void)
{
	/* Reads only: writes would send interrupts to nowhere and stop ours. */
	for (uint64_t a = 0xfec00000; a < 0xfec00100; a++)
		for (unsigned n = 1; n <= 8; n *= 2)
			(void)read_n(a, n);
}

/*
 * A request header in the sacrificed memory, so that some requests get past the
 * first checks. Reads as a range of DISCARD or WRITE_ZEROES it is beyond the
 * disk's end, and writes go to the scratch sectors: the disk is checked later.
 */
static uint64_t plant_header(uint64_t r)
{
	uint64_t a = SACRIFICE + r % (SACRIFICE_END - SACRIFICE) / 16 * 16;

	*(struct blk_header *)a = (struct blk_header){
		.type = (uint32_t)(r >> 40) % 16,
		.priority = 1,
		.sector = SCRATCH_FIRST + (r >> 32) % 1024,
	};
	return a;
}

/* A value for a descriptor: mostly harmful, never aimed at this program. */
static uint64_t hostile_address(void)
{
	uint64_t r = random_next(&seed);

	switch (r & 7) {
	case 0:
		return ~(uint64_t)0 - (r >> 52);
	case 1:
		return 0x100000000u - (r >> 60); /* over the edge of 4 GiB */
	case 2:
		return 0xfee00000;
	case 3:
		return (uint64_t)1 << (40 + (r >> 60));
	default:
		return plant_header(r >> 8);
	}
}

static void hostile_descriptors(struct vq *q)
{
	for (unsigned i = 0; i < q->size; i++) {
		uint64_t r = random_next(&seed);

		q->desc[i] = (struct vq_desc){
			.addr = hostile_address(),
			.len = (r & 1) != 0 ? (uint32_t)(r >> 40) : (uint32_t)(r >> 56),
			.flags = (uint16_t)(r >> 8 & ((r & 6) == 0 ? 0xffff : 7)),
			.next = (uint16_t)((r >> 24) % (q->size + 2)),
		};
		q->avail->ring[i] = (uint16_t)((r >> 32) % (q->size + (r >> 60 == 0)));
	}
}

static void abuse_rings__random_descriptors(void)
{
	static struct blk b;

	seed = opt_number("seed", 1);
	for (unsigned i = 0; i < STORM; i++) {
		unsigned n;

		SKIP_IF(!blk_open(&b, i % 4 == 3,
				  &(struct blk_setup){ .queues = BLK_QUEUES,
						       .interrupts = i % 2 == 0 }),
			"no virtio-blk (round %u)", i);
		hostile_descriptors(&b.q[0]);
		n = (unsigned)(random_next(&seed) % 8) + 1;
		while (n-- > 0) {
			b.q[0].avail->idx = (uint16_t)(b.q[0].avail->idx + random_next(&seed) % 4);
			vq_kick_always(&b.q[0]);
			hostile_descriptors(&b.q[0]); /* while the device looks */
		}
	}
}

static void abuse_queue_setup__in_any_order(void)
{
	static struct virtio v;

	seed = opt_number("seed", 1) + 1;
	for (unsigned type = 1; type <= 26; type++) {
		if (!virtio_open(&v, type, 0))
			continue;
		for (unsigned i = 0; i < STORM; i++) {
			uint64_t r = random_next(&seed);
			uint64_t value = (r & 8) != 0 ? random_next(&seed) : (r >> 60);
			unsigned reg = (unsigned)(r >> 32) % VC_END;
			unsigned n = 1u << (r & 3);

			if (reg >= VC_QUEUE_DESC)
				value = hostile_address();
			write_n(virtio_reg(&v, reg), n, value);
			if (i % 8 == 0)
				virtio_set_status(&v, (uint8_t)(r >> 16));
			if (i % 16 == 0)
				write16(v.pci->bar[v.notify.bar].addr + v.notify.off, 0);
		}
		CHECK(virtio_reset(&v), "type %u does not reset", type);
	}
}

static void abuse_disk__still_works(void)
{
	static struct blk b;

	SKIP_IF(!blk_open(&b, false, &(struct blk_setup){ .interrupts = true }), "no virtio-blk");
	CHECK(blk_works(&b), "no I/O");
}

const struct test abuse_tests[] = {
	{ "abuse_rings__random_descriptors", abuse_rings__random_descriptors },
	{ "abuse_queue_setup__in_any_order", abuse_queue_setup__in_any_order },
	{ "abuse_chips__apic_pages", abuse_chips__apic_pages },
	{ "abuse_bars__every_register_with_every_size",
	  abuse_bars__every_register_with_every_size },
	{ "abuse_config_space__of_every_function", abuse_config_space__of_every_function },
	{ "abuse_ports__of_every_number_and_size", abuse_ports__of_every_number_and_size },
	{ "abuse_disk__still_works", abuse_disk__still_works },
	{ 0 },
};
