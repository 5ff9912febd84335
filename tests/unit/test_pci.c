/* SPDX-License-Identifier: Apache-2.0 */
/* test_pci.c - configuration accesses, BARs that move, ECAM, reset, saved state. */
#include "bus/pci.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/le.h"

#define MEM32 0xc0000000u
#define MEM64 0xe000000000ull
#define ONES  0xffffffffu

static const struct pci_windows windows = {
	.io_base = 0x1000,
	.io_end = 0xffff,
	.mem32_base = MEM32,
	.mem32_end = 0xf7ffffff,
	.mem64_base = MEM64,
	.mem64_end = 0xffffffffff,
};

/* A function whose BARs answer with its number in bits 7:4 and the region below. */
struct card {
	struct pci_func f;
	struct io_target target;
	uint8_t number;
	unsigned reads, writes, off, size; /* of the hooks */
};

struct fixture {
	struct map *pio, *mmio;
	struct map_reader pio_r, mmio_r;
	struct pci_bus *bus;
	struct card card[4];
	struct sill_err e;
};

static enum io_result card_io(void *ctx, unsigned region, struct io *io)
{
	const struct card *c = ctx;

	if (!io->write)
		io->val = (uint64_t)(c->number << 4 | region);
	return IO_DONE;
}

static void card_read(void *ctx, unsigned off, unsigned size)
{
	struct card *c = ctx;

	c->reads++;
	c->off = off;
	c->size = size;
}

static void card_written(void *ctx, unsigned off, unsigned size)
{
	struct card *c = ctx;

	c->writes++;
	c->off = off;
	c->size = size;
}

static const struct pci_func_ops card_ops = { card_read, card_written };

static void card_init(struct card *c, uint8_t number)
{
	const struct pci_ids ids = { 0x1af4, 0x1042, 0x1af4, 0x1100, 0x018000, 1 };
	static const char *const name[] = { "card0", "card1", "card2", "card3" };

	*c = (struct card){ .number = number };
	c->target = (struct io_target){ .io = card_io, .ctx = c, .name = name[number] };
	pci_func_init(&c->f, &ids, &card_ops, c, name[number]);
}

static void card_bar(struct card *c, unsigned i, enum pci_bar_kind kind, uint64_t size)
{
	c->f.bar[i].kind = kind;
	c->f.bar[i].size = size;
	c->f.bar[i].target = &c->target;
	c->f.bar[i].region = i;
}

/* Three functions: card 0 in slot 1 and card 1 in slot 2 with a 64-bit BAR, card 2 with 32 bit and I/O. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->pio = map_create(0x10000, NULL, &f->e);
	f->mmio = map_create(0, NULL, &f->e);
	assert_non_null(f->pio);
	assert_non_null(f->mmio);
	map_reader_add(f->pio, &f->pio_r);
	map_reader_add(f->mmio, &f->mmio_r);
	f->bus = pci_bus_create(f->pio, f->mmio, &windows, &f->e);
	assert_non_null(f->bus);
	for (uint8_t i = 0; i < 4; i++)
		card_init(&f->card[i], i);
	card_bar(&f->card[0], 0, PCI_BAR_MEM64, 0x4000);
	card_bar(&f->card[1], 0, PCI_BAR_MEM64, 0x4000);
	card_bar(&f->card[2], 0, PCI_BAR_MEM32, 0x1000);
	card_bar(&f->card[2], 1, PCI_BAR_IO, 0x20);
	card_bar(&f->card[3], 4, PCI_BAR_MEM64, 1ull << 33);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pci_bus_add(f->bus, &f->card[i].f, -1, &f->e), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 4; i++)
		pci_bus_remove(f->bus, &f->card[i].f);
	pci_bus_destroy(f->bus);
	map_reader_remove(f->pio, &f->pio_r);
	map_reader_remove(f->mmio, &f->mmio_r);
	map_destroy(f->pio);
	map_destroy(f->mmio);
	free(f);
	return 0;
}

static uint32_t rd(struct fixture *f, unsigned slot, unsigned off, unsigned size)
{
	return pci_config_read(f->bus, 0, slot << 3, off, size);
}

static void wr(struct fixture *f, unsigned slot, unsigned off, unsigned size, uint32_t val)
{
	pci_config_write(f->bus, 0, slot << 3, off, size, val);
}

static uint32_t in(struct fixture *f, uint16_t port, size_t n)
{
	uint8_t b[4] = { 0 };

	(void)map_read(f->pio, &f->pio_r, port, b, n);
	return ld32(b);
}

static void out(struct fixture *f, uint16_t port, size_t n, uint32_t val)
{
	uint8_t b[4];

	st32(b, val);
	(void)map_write(f->pio, &f->pio_r, port, b, n);
}

static uint64_t mmio(struct fixture *f, uint64_t at, size_t n)
{
	uint8_t b[8] = { 0 };

	(void)map_read(f->mmio, &f->mmio_r, at, b, n);
	return ld64(b);
}

static void mmio_out(struct fixture *f, uint64_t at, size_t n, uint64_t val)
{
	uint8_t b[8];

	st64(b, val);
	(void)map_write(f->mmio, &f->mmio_r, at, b, n);
}

/* Who answers at @at: a card's number and region, or 0xff. */
static unsigned who(struct fixture *f, uint64_t at)
{
	return (unsigned)mmio(f, at, 1);
}

static void bar64(struct fixture *f, unsigned slot, uint64_t at)
{
	wr(f, slot, PCI_BAR0, 4, (uint32_t)at);
	wr(f, slot, PCI_BAR0 + 4, 4, (uint32_t)(at >> 32));
}

static void decode(struct fixture *f, unsigned slot, unsigned bits)
{
	wr(f, slot, PCI_COMMAND, 2, bits);
}

/* --- registers ---------------------------------------------------------- */

static void pci_config__header_reads_as_described(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rd(f, 1, PCI_VENDOR, 4), 0x10421af4);
	assert_int_equal(rd(f, 1, PCI_REVISION, 4), 0x01800001);
	assert_int_equal(rd(f, 1, PCI_SUBSYS_VENDOR, 4), 0x11001af4);
	assert_int_equal(rd(f, 1, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(rd(f, 1, PCI_CLASS + 2, 1), 1);
	assert_int_equal(rd(f, 1, PCI_DEVICE, 2), 0x1042);
	assert_int_equal(rd(f, 1, PCI_STATUS, 2), 0); /* no capability yet */
	wr(f, 1, PCI_VENDOR, 4, 0);
	wr(f, 1, PCI_STATUS, 2, ONES);
	assert_int_equal(rd(f, 1, PCI_VENDOR, 4), 0x10421af4);
	assert_int_equal(rd(f, 1, PCI_STATUS, 2), 0);
	/* Absent: all ones of the size. Above 256 bytes: nothing. */
	assert_int_equal(rd(f, 9, PCI_VENDOR, 4), ONES);
	assert_int_equal(rd(f, 9, PCI_VENDOR, 2), 0xffff);
	assert_int_equal(rd(f, 9, 0x100, 1), 0xff);
	assert_int_equal(pci_config_read(f->bus, 0, 1 << 3 | 1, 0, 4), ONES);
	assert_int_equal(pci_config_read(f->bus, 1, 1 << 3, 0, 4), ONES);
	assert_int_equal(rd(f, 1, 0x100, 4), 0);
	assert_int_equal(rd(f, 1, 0xffc, 4), 0);
	pci_config_write(f->bus, 0, 1 << 3 | 1, PCI_INT_LINE, 1, 7);
	pci_config_write(f->bus, 5, 1 << 3, PCI_INT_LINE, 1, 7);
	wr(f, 1, 0x100 + PCI_INT_LINE, 1, 7);
	assert_int_equal(rd(f, 1, PCI_INT_LINE, 1), 0);
}

static void pci_config__command_has_the_bits_that_exist(void **state)
{
	struct fixture *f = *state;

	wr(f, 1, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(rd(f, 1, PCI_COMMAND, 2),
			 PCI_CMD_MEMORY | PCI_CMD_MASTER | PCI_CMD_INTX_OFF);
	assert_true(pci_bus_master(&f->card[0].f));
	wr(f, 3, PCI_COMMAND, 4, 0xffffffff);
	assert_int_equal(rd(f, 3, PCI_COMMAND, 4),
			 PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER | PCI_CMD_INTX_OFF);
	wr(f, 1, PCI_COMMAND, 1, 0);
	assert_int_equal(rd(f, 1, PCI_COMMAND, 2), PCI_CMD_INTX_OFF);
	assert_false(pci_bus_master(&f->card[0].f));
	wr(f, 1, PCI_INT_LINE, 1, 0x0b);
	assert_int_equal(rd(f, 1, PCI_INT_LINE, 1), 0x0b);
	wr(f, 1, PCI_INT_PIN, 1, 3);
	assert_int_equal(rd(f, 1, PCI_INT_PIN, 1), 0);
}

static void pci_config__write_one_to_clear(void **state)
{
	struct fixture *f = *state;

	f->card[0].f.cfg[0x44] = 0xff;
	f->card[0].f.w1cmask[0x44] = 0x0f;
	wr(f, 1, 0x44, 1, 0x35);
	assert_int_equal(rd(f, 1, 0x44, 1), 0xfa);
}

static void pci_config__hooks_see_offset_and_size(void **state)
{
	struct fixture *f = *state;

	(void)rd(f, 1, 0x42, 2);
	assert_int_equal(f->card[0].reads, 1);
	assert_int_equal(f->card[0].off, 0x42);
	assert_int_equal(f->card[0].size, 2);
	wr(f, 1, 0x80, 4, 0);
	assert_int_equal(f->card[0].writes, 1);
	assert_int_equal(f->card[0].off, 0x80);
	(void)rd(f, 1, 0x200, 4);
	wr(f, 1, 0x200, 4, 1);
	assert_int_equal(f->card[0].reads, 1);
	assert_int_equal(f->card[0].writes, 1);
}

static void pci_cap_add__links_in_order(void **state)
{
	struct fixture *f = *state;
	struct card *c = &f->card[3];
	unsigned at, n = 0;

	assert_int_equal(pci_cap_add(&c->f, 9, 16), 0x40);
	assert_int_equal(pci_cap_add(&c->f, 9, 19), 0x50);
	assert_int_equal(pci_cap_add(&c->f, 0x11, 12), 0x64);
	assert_int_equal(pci_bus_add(f->bus, &c->f, 7, &f->e), 0);
	assert_int_equal(rd(f, 7, PCI_STATUS, 2), PCI_STATUS_CAPS);
	for (at = rd(f, 7, PCI_CAP_PTR, 1); at != 0; at = rd(f, 7, at + 1, 1))
		n++;
	assert_int_equal(n, 3);
	assert_int_equal(rd(f, 7, 0x64, 2), 0x0011);
}

static void pci_bus_add__chooses_slots(void **state)
{
	struct fixture *f = *state;
	struct card *more = calloc(32, sizeof(*more));
	struct sill_err e = { 0 };

	assert_non_null(more);
	assert_int_equal(f->card[0].f.slot, 1);
	assert_int_equal(f->card[2].f.slot, 3);
	card_init(&f->card[3], 3);
	assert_int_equal(pci_bus_add(f->bus, &f->card[3].f, 2, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	e = (struct sill_err){ 0 };
	assert_int_equal(pci_bus_add(f->bus, &f->card[3].f, 32, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	for (unsigned i = 4; i <= 30; i++) {
		card_init(&more[i], 0);
		assert_int_equal(pci_bus_add(f->bus, &more[i].f, -1, &f->e), 0);
		assert_int_equal(more[i].f.slot, i);
	}
	e = (struct sill_err){ 0 };
	assert_int_equal(pci_bus_add(f->bus, &f->card[3].f, -1, &e), -1); /* never 31, never 0 */
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	assert_int_equal(pci_bus_add(f->bus, &f->card[3].f, 31, &f->e), 0);
	assert_ptr_equal(pci_bus_find(f->bus, 31), &f->card[3].f);
	assert_null(pci_bus_find(f->bus, 0));
	assert_null(pci_bus_find(f->bus, 32));
	pci_bus_remove(f->bus, &more[9].f);
	assert_null(pci_bus_find(f->bus, 9));
	assert_int_equal(pci_bus_add(f->bus, &more[9].f, -1, &f->e), 0);
	assert_int_equal(more[9].f.slot, 9);
	for (unsigned i = 4; i <= 30; i++)
		pci_bus_remove(f->bus, &more[i].f);
	free(more);
}

static void pci_intx_gsi__is_16_to_23(void **state)
{
	(void)state;
	for (unsigned s = 0; s < 32; s++)
		for (unsigned pin = 1; pin <= 4; pin++)
			assert_in_range(pci_intx_gsi(s, pin), 16, 23);
	assert_int_equal(pci_intx_gsi(0, 1), 16);
	assert_int_not_equal(pci_intx_gsi(1, 1), pci_intx_gsi(2, 1));
}

/* --- ports ---------------------------------------------------------------- */

static uint8_t reset_seen;
static unsigned reset_calls;

static void reset_control(void *ctx, uint8_t val)
{
	(void)ctx;
	reset_seen = val;
	reset_calls++;
}

static void pci_ports__mechanism_1(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in(f, 0xcf8, 4), 0);
	assert_int_equal(in(f, 0xcfc, 4), ONES); /* not enabled */
	/* What Linux does to find mechanism 1. */
	out(f, 0xcfb, 1, 1);
	out(f, 0xcf8, 4, 0x80000000);
	assert_int_equal(in(f, 0xcf8, 4), 0x80000000);
	assert_int_equal(in(f, 0xcfc, 4), ONES); /* nobody in slot 0 here */
	out(f, 0xcf8, 4, 0xffffffff);
	assert_int_equal(in(f, 0xcf8, 4), 0x80fffffc);
	out(f, 0xcf8, 4, 0x80000000 | 1 << 11);
	assert_int_equal(in(f, 0xcfc, 4), 0x10421af4);
	assert_int_equal(in(f, 0xcfe, 2), 0x1042);
	assert_int_equal(in(f, 0xcfd, 1), 0x1a);
	assert_int_equal(in(f, 0xcfd, 2), 0x421a);
	out(f, 0xcf8, 4, 0x80000000 | 1 << 11 | PCI_INT_LINE);
	out(f, 0xcfc, 1, 0x0a);
	assert_int_equal(rd(f, 1, PCI_INT_LINE, 1), 0x0a);
	/* Other functions, other buses. */
	out(f, 0xcf8, 4, 0x80000000 | 1 << 11 | 1 << 8);
	assert_int_equal(in(f, 0xcfc, 4), ONES);
	out(f, 0xcf8, 4, 0x80000000 | 1 << 16 | 1 << 11);
	assert_int_equal(in(f, 0xcfc, 2), 0xffff);
	/* Other sizes at 0xCF8 are not CONFIG_ADDRESS. */
	out(f, 0xcf8, 4, 0x80000800);
	out(f, 0xcf8, 2, 0);
	out(f, 0xcf8, 1, 0);
	out(f, 0xcfa, 2, 0);
	assert_int_equal(in(f, 0xcf8, 4), 0x80000800);
	assert_int_equal(in(f, 0xcf8, 2), 0xffff);
	assert_int_equal(in(f, 0xcfa, 4), ONES);
	pci_bus_reset(f->bus);
	assert_int_equal(in(f, 0xcf8, 4), 0);
}

static void pci_ports__reset_control(void **state)
{
	struct fixture *f = *state;

	reset_calls = 0;
	out(f, 0xcf9, 1, 6); /* nobody listens yet */
	pci_bus_set_reset_control(f->bus, reset_control, NULL);
	out(f, 0xcf9, 1, 6);
	assert_int_equal(reset_calls, 1);
	assert_int_equal(reset_seen, 6);
	assert_int_equal(in(f, 0xcf9, 1), 6);
	out(f, 0xcf8, 4, 0x80000600);
	out(f, 0xcf9, 2, 6);
	assert_int_equal(reset_calls, 1);
	out(f, 0xcf9, 1, 0xff);
	assert_int_equal(in(f, 0xcf9, 1), 0x0e);
	assert_int_equal(in(f, 0xcf8, 4), 0x80000600);
	pci_bus_reset(f->bus);
	assert_int_equal(in(f, 0xcf9, 1), 0);
}

/* --- ECAM ----------------------------------------------------------------- */

static void pci_ecam__every_size_and_place(void **state)
{
	struct fixture *f = *state;
	const uint64_t base = 0xb0000000, card = base + (1 << 15);
	unsigned buses;

	(void)pci_bus_ecam(f->bus, &buses);
	assert_int_equal(buses, 0);
	assert_int_equal(mmio(f, card, 4), ONES);
	assert_int_equal(pci_bus_set_ecam(f->bus, base, 256, &f->e), 0);
	assert_int_equal(pci_bus_ecam(f->bus, &buses), base);
	assert_int_equal(buses, 256);
	assert_int_equal(mmio(f, card, 4), 0x10421af4);
	assert_int_equal(mmio(f, card + 2, 2), 0x1042);
	assert_int_equal(mmio(f, card + 3, 1), 0x10);
	assert_int_equal(mmio(f, card, 8), 0x0000000010421af4ull);
	assert_int_equal(mmio(f, card + 1, 4), 0x0010421a); /* unaligned: in pieces */
	assert_int_equal(mmio(f, card - 2, 4), 0x1af4ffff); /* function 7 of slot 0, then slot 1 */
	assert_int_equal(mmio(f, card + 0xffe, 4), 0xffff0000);
	assert_int_equal(mmio(f, card + 0x1000, 4), ONES);     /* function 1 */
	assert_int_equal(mmio(f, card + (1 << 20), 8), ~0ull); /* bus 1 */
	assert_int_equal(mmio(f, base + (256 << 20), 4), ONES);
	/* The last byte, and an access that leaves the region. */
	assert_int_equal(mmio(f, base + (256 << 20) - 2, 4), ONES);
	mmio_out(f, card + PCI_INT_LINE, 1, 5);
	assert_int_equal(rd(f, 1, PCI_INT_LINE, 1), 5);
	mmio_out(f, card + PCI_BAR0, 8, MEM64 + 0x8000);
	assert_int_equal(rd(f, 1, PCI_BAR0, 4), 0x00008004);
	assert_int_equal(rd(f, 1, PCI_BAR0 + 4, 4), 0xe0);
	assert_int_equal(pci_bus_set_ecam(f->bus, 0, 0, &f->e), 0);
	assert_int_equal(mmio(f, card, 4), ONES);
}

static void pci_ecam__moves_and_waits_for_room(void **state)
{
	struct fixture *f = *state;
	struct sill_err e = { 0 };
	unsigned buses;

	bar64(f, 1, 0xe0000000);
	decode(f, 1, PCI_CMD_MEMORY);
	assert_int_equal(who(f, 0xe0000000), 0x00);
	assert_int_equal(pci_bus_set_ecam(f->bus, 0xb0000000, 64, &e), 0);
	assert_int_equal(pci_bus_set_ecam(f->bus, 0xd0000000, 256, &e), 0); /* another size */
	assert_int_equal(mmio(f, 0xb0008000, 4), ONES);
	assert_int_equal(mmio(f, 0xd0008000, 2), 0x1af4);
	assert_int_equal(pci_bus_set_ecam(f->bus, 0xe0000000, 256, &e), -1);
	assert_int_equal(pci_bus_ecam(f->bus, &buses), 0xd0000000); /* stays and answers */
	assert_int_equal(mmio(f, 0xd0008000, 2), 0x1af4);
	bar64(f, 1, MEM64);
	assert_int_equal(pci_bus_ecam(f->bus, &buses), 0xe0000000);
	assert_int_equal(mmio(f, 0xe0008000, 2), 0x1af4);
	/* A BAR cannot go where the ECAM is. */
	bar64(f, 1, 0xe0004000);
	assert_int_equal(who(f, MEM64), 0x00);
	assert_int_equal(mmio(f, 0xe0004000, 4), ONES);
	e = (struct sill_err){ 0 };
	assert_int_equal(pci_bus_set_ecam(f->bus, 0xb0000000, 256, &e), 0);
	assert_int_equal(who(f, 0xe0004000), 0x00);
}

/* A BAR is moved by a write that itself comes through the ECAM, in the map that is changed. */
static void pci_ecam__may_move_what_it_lies_beside(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pci_bus_set_ecam(f->bus, 0xb0000000, 256, &f->e), 0);
	mmio_out(f, 0xb0008000 + PCI_COMMAND, 2, PCI_CMD_MEMORY);
	for (uint64_t i = 0; i < 300; i++) {
		uint64_t at = MEM64 + i * 0x4000;

		mmio_out(f, 0xb0008000 + PCI_BAR0, 8, at);
		assert_int_equal(who(f, at), 0x00);
		assert_int_equal(who(f, at - 0x4000), 0xff);
	}
}

/* --- BARs ----------------------------------------------------------------- */

static void pci_bar__sizing_reads_the_mask(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pci_bus_add(f->bus, &f->card[3].f, 7, &f->e), 0);
	wr(f, 1, PCI_BAR0, 4, ONES);
	wr(f, 1, PCI_BAR0 + 4, 4, ONES);
	assert_int_equal(rd(f, 1, PCI_BAR0, 4), 0xffffc004);
	assert_int_equal(rd(f, 1, PCI_BAR0 + 4, 4), ONES);
	wr(f, 3, PCI_BAR0, 4, ONES);
	wr(f, 3, PCI_BAR0 + 4, 4, ONES);
	assert_int_equal(rd(f, 3, PCI_BAR0, 4), 0xfffff000);
	assert_int_equal(rd(f, 3, PCI_BAR0 + 4, 4), 0xffffffe1);
	wr(f, 7, PCI_BAR0 + 16, 4, ONES);
	wr(f, 7, PCI_BAR0 + 20, 4, ONES);
	assert_int_equal(rd(f, 7, PCI_BAR0 + 16, 4), 4);
	assert_int_equal(rd(f, 7, PCI_BAR0 + 20, 4), 0xfffffffe);
	/* No such BAR, no ROM. */
	wr(f, 1, PCI_BAR0 + 8, 4, ONES);
	wr(f, 1, PCI_ROM, 4, 0xfffffffe);
	assert_int_equal(rd(f, 1, PCI_BAR0 + 8, 4), 0);
	assert_int_equal(rd(f, 1, PCI_ROM, 4), 0);
}

static void pci_bar__answers_while_decoding_is_on(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	assert_int_equal(who(f, MEM64), 0xff);
	decode(f, 1, PCI_CMD_MEMORY);
	assert_int_equal(who(f, MEM64), 0x00);
	assert_int_equal(who(f, MEM64 + 0x3fff), 0x00);
	assert_int_equal(who(f, MEM64 + 0x4000), 0xff);
	decode(f, 1, 0);
	assert_int_equal(who(f, MEM64), 0xff);
	decode(f, 1, PCI_CMD_MEMORY);
	assert_int_equal(who(f, MEM64), 0x00);
	/* Memory and I/O decode each for themselves. */
	wr(f, 3, PCI_BAR0, 4, MEM32);
	wr(f, 3, PCI_BAR0 + 4, 4, 0x6000);
	decode(f, 3, PCI_CMD_IO);
	assert_int_equal(in(f, 0x601f, 1), 0x21);
	assert_int_equal(who(f, MEM32), 0xff);
	decode(f, 3, PCI_CMD_MEMORY);
	assert_int_equal(in(f, 0x601f, 1), 0xff);
	assert_int_equal(who(f, MEM32), 0x20);
}

static void pci_bar__half_an_address_is_tentative(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	decode(f, 1, PCI_CMD_MEMORY);
	/* Low, then high. */
	wr(f, 1, PCI_BAR0, 4, 0xd0000000);
	assert_int_equal(who(f, MEM64), 0x00);
	assert_int_equal(rd(f, 1, PCI_BAR0, 4), 0xd0000004);
	wr(f, 1, PCI_BAR0 + 4, 4, 0);
	assert_int_equal(who(f, MEM64), 0xff);
	assert_int_equal(who(f, 0xd0000000), 0x00);
	/* High, then low. */
	wr(f, 1, PCI_BAR0 + 4, 4, 0xe1);
	assert_int_equal(who(f, 0xd0000000), 0x00);
	wr(f, 1, PCI_BAR0, 4, 0x4000);
	assert_int_equal(who(f, 0xe100004000), 0x00);
	assert_int_equal(who(f, 0xd0000000), 0xff);
	/* One half only: decoding switched off and on makes it count. */
	wr(f, 1, PCI_BAR0, 4, 0x8000);
	assert_int_equal(who(f, 0xe100004000), 0x00);
	decode(f, 1, 0);
	decode(f, 1, PCI_CMD_MEMORY);
	assert_int_equal(who(f, 0xe100008000), 0x00);
	/* A half that stays the same counts as written, in either order. */
	bar64(f, 1, 0xe000008000);
	assert_int_equal(who(f, 0xe000008000), 0x00);
	wr(f, 1, PCI_BAR0 + 4, 4, 0xe0);
	wr(f, 1, PCI_BAR0, 4, 0xc000);
	assert_int_equal(who(f, 0xe00000c000), 0x00);
	wr(f, 1, PCI_BAR0 + 4, 4, 0xe1);
	wr(f, 1, PCI_BAR0, 4, 0xc000);
	assert_int_equal(who(f, 0xe10000c000), 0x00);
	/* In bytes. */
	wr(f, 3, PCI_BAR0, 4, MEM32);
	decode(f, 3, PCI_CMD_MEMORY);
	wr(f, 3, PCI_BAR0 + 3, 1, 0xd1);
	wr(f, 3, PCI_BAR0 + 2, 1, 0x23);
	assert_int_equal(who(f, MEM32), 0x20);
	wr(f, 3, PCI_BAR0 + 1, 1, 0x40);
	assert_int_equal(who(f, 0xd1234000), 0x20);
}

static void pci_bar__sizing_with_decode_on_moves_nothing(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	decode(f, 1, PCI_CMD_MEMORY);
	/* One dword at a time, as Linux does. */
	wr(f, 1, PCI_BAR0, 4, ONES);
	assert_int_equal(who(f, MEM64), 0x00);
	wr(f, 1, PCI_BAR0, 4, (uint32_t)MEM64 | 4);
	wr(f, 1, PCI_BAR0 + 4, 4, ONES);
	assert_int_equal(who(f, MEM64), 0x00);
	wr(f, 1, PCI_BAR0 + 4, 4, MEM64 >> 32);
	assert_int_equal(who(f, MEM64), 0x00);
	/* Both at once, as firmware does. */
	bar64(f, 1, ~0ull);
	assert_int_equal(who(f, MEM64), 0x00);
	bar64(f, 1, MEM64);
	assert_int_equal(who(f, MEM64), 0x00);
	/* And then it still moves. */
	bar64(f, 1, ~0ull);
	bar64(f, 1, 0xd0000000);
	assert_int_equal(who(f, 0xd0000000), 0x00);
	wr(f, 3, PCI_BAR0, 4, MEM32);
	wr(f, 3, PCI_BAR0 + 4, 4, 0x6000);
	decode(f, 3, 3);
	wr(f, 3, PCI_BAR0, 4, ONES);
	wr(f, 3, PCI_BAR0 + 4, 4, ONES);
	assert_int_equal(who(f, MEM32), 0x20);
	assert_int_equal(in(f, 0x6000, 1), 0x21);
}

/* A neighbour that waits for the place does not get it because the owner is being sized. */
static void pci_bar__sizing_loses_no_place_to_a_neighbour(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	decode(f, 1, PCI_CMD_MEMORY);
	bar64(f, 2, MEM64);
	decode(f, 2, PCI_CMD_MEMORY);
	assert_int_equal(who(f, MEM64), 0x00);
	bar64(f, 1, ~0ull);
	wr(f, 2, PCI_INT_LINE, 1, 1);
	decode(f, 2, 0);
	decode(f, 2, PCI_CMD_MEMORY);
	bar64(f, 1, MEM64);
	assert_int_equal(who(f, MEM64), 0x00);
}

static void pci_bar__zero_and_nonsense_leave_it_where_it_was(void **state)
{
	static const uint64_t bad[] = {
		0,          0x4000,     0xb0000000,     0xfee00000,
		0xf7ffe000, 0xbfffc000, MEM64 - 0x4000, 0x10000000000ull,
		0xfec00000, 1ull << 63, ~0ull - 0x7fff, 0xffffc000,
	};
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	decode(f, 1, PCI_CMD_MEMORY);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		bar64(f, 1, bad[i]);
		if (bad[i] != 0xf7ffe000) /* rounds down into the window */
			assert_int_equal(who(f, MEM64), 0x00);
		assert_int_equal(rd(f, 1, PCI_BAR0, 4), ((uint32_t)bad[i] & 0xffffc000) | 4);
		assert_int_equal(rd(f, 1, PCI_BAR0 + 4, 4), bad[i] >> 32);
		/* Even with decoding off and on: the last place that worked. */
		decode(f, 1, 0);
		decode(f, 1, PCI_CMD_MEMORY);
		bar64(f, 1, MEM64);
		assert_int_equal(who(f, MEM64), 0x00);
	}
}

static void pci_bar__goes_to_the_edges_of_the_windows(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, 0xffffffc000);
	decode(f, 1, PCI_CMD_MEMORY);
	assert_int_equal(who(f, 0xffffffffff), 0x00);
	bar64(f, 1, 0xf7ffc000);
	assert_int_equal(who(f, 0xf7ffffff), 0x00);
	bar64(f, 1, MEM32);
	assert_int_equal(who(f, MEM32), 0x00);
	wr(f, 3, PCI_BAR0, 4, 0xf7fff000);
	wr(f, 3, PCI_BAR0 + 4, 4, 0xffe0);
	decode(f, 3, 3);
	assert_int_equal(who(f, 0xf7ffffff), 0x20);
	assert_int_equal(in(f, 0xffff, 1), 0x21);
	wr(f, 3, PCI_BAR0, 4, 0xf8000000);
	assert_int_equal(who(f, 0xf7ffffff), 0x20);
	wr(f, 3, PCI_BAR0 + 4, 4, 0x10000);
	assert_int_equal(in(f, 0xffff, 1), 0x21);
	wr(f, 3, PCI_BAR0 + 4, 4, 0xfe0);
	assert_int_equal(in(f, 0xffff, 1), 0x21);
	wr(f, 3, PCI_BAR0 + 4, 4, 0x1000);
	assert_int_equal(in(f, 0x1000, 1), 0x21);
}

static void pci_bar__io_on_fixed_ports_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(map_add(f->pio,
				 &(struct map_region){ .base = 0x6010,
						       .size = 1,
						       .target = &f->card[3].target,
						       .region = 9 },
				 &f->e),
			 0);
	wr(f, 3, PCI_BAR0 + 4, 4, 0x6000);
	decode(f, 3, PCI_CMD_IO);
	assert_int_equal(in(f, 0x6000, 1), 0xff);
	assert_int_equal(in(f, 0x6010, 1), 0x39);
	wr(f, 3, PCI_BAR0 + 4, 4, 0x7000);
	assert_int_equal(in(f, 0x7000, 1), 0x21);
	wr(f, 3, PCI_BAR0 + 4, 4, 0x6000);
	assert_int_equal(in(f, 0x7000, 1), 0x21);
	/* Configuration ports cannot be taken either (0xCE0 is below the window anyway). */
	wr(f, 3, PCI_BAR0 + 4, 4, 0xce0);
	assert_int_equal(in(f, 0x7000, 1), 0x21);
}

static void pci_bar__overlap_waits_for_the_place(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	bar64(f, 2, MEM64 + 0x4000);
	decode(f, 1, PCI_CMD_MEMORY);
	decode(f, 2, PCI_CMD_MEMORY);
	bar64(f, 1, MEM64 + 0x4000);
	assert_int_equal(who(f, MEM64), 0x00); /* the old mapping stays */
	assert_int_equal(who(f, MEM64 + 0x4000), 0x10);
	bar64(f, 2, 0xd0000000);
	assert_int_equal(who(f, MEM64 + 0x4000), 0x00);
	assert_int_equal(who(f, MEM64), 0xff);
	assert_int_equal(who(f, 0xd0000000), 0x10);
	/* By switching the owner off. */
	bar64(f, 1, 0xd0000000);
	assert_int_equal(who(f, MEM64 + 0x4000), 0x00);
	decode(f, 2, 0);
	assert_int_equal(who(f, 0xd0000000), 0x00);
	decode(f, 2, PCI_CMD_MEMORY);
	assert_int_equal(who(f, 0xd0000000), 0x00);
	/* By removing the owner. */
	pci_bus_remove(f->bus, &f->card[0].f);
	assert_int_equal(who(f, 0xd0000000), 0x10);
	assert_int_equal(rd(f, 1, PCI_VENDOR, 4), ONES);
}

/* What Windows does when it rebalances. */
static void pci_bar__two_swap_with_decode_off(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	bar64(f, 2, MEM64 + 0x4000);
	decode(f, 1, PCI_CMD_MEMORY);
	decode(f, 2, PCI_CMD_MEMORY);
	decode(f, 1, 0);
	decode(f, 2, 0);
	bar64(f, 1, MEM64 + 0x4000);
	bar64(f, 2, MEM64);
	decode(f, 1, PCI_CMD_MEMORY);
	assert_int_equal(who(f, MEM64 + 0x4000), 0x00);
	decode(f, 2, PCI_CMD_MEMORY);
	assert_int_equal(who(f, MEM64 + 0x4000), 0x00);
	assert_int_equal(who(f, MEM64), 0x10);
	/* One after the other: the second is still at the place. */
	decode(f, 1, 0);
	bar64(f, 1, MEM64);
	decode(f, 1, PCI_CMD_MEMORY);
	decode(f, 2, 0);
	bar64(f, 2, MEM64 + 0x4000);
	decode(f, 2, PCI_CMD_MEMORY);
	assert_int_equal(who(f, MEM64), 0x00);
	assert_int_equal(who(f, MEM64 + 0x4000), 0x10);
}

/* Every order of the four half writes that swap two BARs with decode on ends in the same place. */
static void pci_bar__two_swap_with_decode_on_in_any_order(void **state)
{
	struct fixture *f = *state;
	const uint64_t a = 0xd0000000, b = MEM64 + 0x4000;
	unsigned orders = 0;

	for (unsigned n = 0; n < 256; n++) {
		unsigned step[4] = { n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3 };

		if ((1u << step[0] | 1u << step[1] | 1u << step[2] | 1u << step[3]) != 15)
			continue;
		orders++;
		decode(f, 1, 0);
		decode(f, 2, 0);
		bar64(f, 1, a);
		bar64(f, 2, b);
		decode(f, 1, PCI_CMD_MEMORY);
		decode(f, 2, PCI_CMD_MEMORY);
		assert_int_equal(who(f, a), 0x00);
		assert_int_equal(who(f, b), 0x10);
		for (unsigned i = 0; i < 4; i++) {
			unsigned slot = 1 + step[i] / 2, high = step[i] & 1;
			uint64_t to = slot == 1 ? b : a;

			wr(f, slot, PCI_BAR0 + 4 * high, 4, (uint32_t)(high ? to >> 32 : to));
		}
		assert_int_equal(who(f, a), 0x10);
		assert_int_equal(who(f, b), 0x00);
	}
	assert_int_equal(orders, 24);
}

/* A ring of three, with decode on. */
static void pci_bar__three_rotate(void **state)
{
	struct fixture *f = *state;
	const uint32_t at[3] = { 0xd0000000, 0xd0004000, 0xd0008000 };

	for (unsigned i = 0; i < 3; i++) {
		wr(f, i + 1, PCI_BAR0, 4, at[i]);
		wr(f, i + 1, PCI_BAR0 + (i < 2 ? 4 : 0), 4, i < 2 ? 0 : at[i]);
		decode(f, i + 1, PCI_CMD_MEMORY);
		assert_int_equal(who(f, at[i]), i << 4);
	}
	for (unsigned i = 0; i < 3; i++) {
		wr(f, i + 1, PCI_BAR0, 4, at[(i + 1) % 3]);
		if (i < 2)
			wr(f, i + 1, PCI_BAR0 + 4, 4, 0);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(who(f, at[(i + 1) % 3]), i << 4);
}

/* A BAR whose register no longer names its place gives way to one whose register does. */
static void pci_bar__courtesy_mapping_gives_way(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	decode(f, 1, PCI_CMD_MEMORY);
	bar64(f, 1, 0);
	assert_int_equal(who(f, MEM64), 0x00);
	bar64(f, 2, MEM64);
	decode(f, 2, PCI_CMD_MEMORY);
	assert_int_equal(who(f, MEM64), 0x10);
	bar64(f, 2, MEM64 + 0x4000);
	assert_int_equal(who(f, MEM64), 0x00); /* and comes back */
	bar64(f, 1, 0xd0000000);
	assert_int_equal(who(f, 0xd0000000), 0x00);
	assert_int_equal(who(f, MEM64), 0xff);
}

static char bell_log[256];

static int bell_add(void *ctx, uint64_t addr, const struct doorbell *b)
{
	size_t n = strlen(bell_log);

	(void)ctx;
	(void)snprintf(bell_log + n, sizeof(bell_log) - n, "+%llx/%d ", (unsigned long long)addr,
		       b->fd);
	return 0;
}

static void bell_remove(void *ctx, uint64_t addr, const struct doorbell *b)
{
	size_t n = strlen(bell_log);

	(void)ctx;
	(void)snprintf(bell_log + n, sizeof(bell_log) - n, "-%llx/%d ", (unsigned long long)addr,
		       b->fd);
}

static void pci_bar__doorbells_move_with_it(void **state)
{
	static const struct doorbell bells[] = { { 0x3000, 2, 5 } };
	const struct map_listener l = { bell_add, bell_remove, NULL };
	struct fixture *f = *state;
	struct map *m = map_create(0, &l, &f->e);
	struct map *ports = map_create(0x10000, NULL, &f->e);
	struct pci_bus *bus = pci_bus_create(ports, m, &windows, &f->e);
	struct card *c = &f->card[3];

	assert_non_null(bus);
	card_init(c, 3);
	card_bar(c, 0, PCI_BAR_MEM64, 0x4000);
	c->f.bar[0].bells = bells;
	c->f.bar[0].bell_count = 1;
	bell_log[0] = '\0';
	assert_int_equal(pci_bus_add(bus, &c->f, 1, &f->e), 0);
	pci_config_write(bus, 0, 8, PCI_BAR0, 4, 0xd0000000);
	pci_config_write(bus, 0, 8, PCI_COMMAND, 2, PCI_CMD_MEMORY);
	assert_string_equal(bell_log, "+d0003000/5 ");
	bell_log[0] = '\0';
	pci_config_write(bus, 0, 8, PCI_BAR0, 4, 0xd0010000);
	assert_string_equal(bell_log, "");
	pci_config_write(bus, 0, 8, PCI_BAR0 + 4, 4, 0);
	assert_string_equal(bell_log, "-d0003000/5 +d0013000/5 ");
	bell_log[0] = '\0';
	pci_config_write(bus, 0, 8, PCI_COMMAND, 2, 0);
	assert_string_equal(bell_log, "-d0013000/5 ");
	pci_bus_remove(bus, &c->f);
	pci_bus_destroy(bus);
	map_destroy(m);
	map_destroy(ports);
}

/* --- reset, saved state, threads ------------------------------------------ */

static void pci_bus_reset__puts_registers_back(void **state)
{
	struct fixture *f = *state;

	bar64(f, 1, MEM64);
	decode(f, 1, PCI_CMD_MEMORY | PCI_CMD_MASTER);
	wr(f, 1, PCI_INT_LINE, 1, 9);
	pci_bus_reset(f->bus);
	assert_int_equal(who(f, MEM64), 0xff);
	assert_int_equal(rd(f, 1, PCI_BAR0, 4), 4);
	assert_int_equal(rd(f, 1, PCI_BAR0 + 4, 4), 0);
	assert_int_equal(rd(f, 1, PCI_COMMAND, 2), 0);
	assert_int_equal(rd(f, 1, PCI_INT_LINE, 1), 0);
	/* No memory of the old place. */
	decode(f, 1, PCI_CMD_MEMORY);
	assert_int_equal(who(f, MEM64), 0xff);
}

static void save(struct fixture *f, struct buf *out)
{
	struct saver s;

	buf_init(out, 1 << 20);
	save_init(&s, out);
	pci_bus_save(f->bus, &s);
	assert_false(out->failed);
}

static int load(struct fixture *f, const void *p, size_t n)
{
	struct sill_err e = { 0 };
	struct loader l;

	load_init(&l, p, n);
	return pci_bus_load(f->bus, &l, &e);
}

static void pci_bus_load__restores_registers_and_places(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	bar64(f, 1, MEM64);
	bar64(f, 2, MEM64 + 0x4000);
	wr(f, 3, PCI_BAR0 + 4, 4, 0x6000);
	decode(f, 1, PCI_CMD_MEMORY);
	decode(f, 2, PCI_CMD_MEMORY);
	decode(f, 3, PCI_CMD_IO);
	bar64(f, 1, MEM64 + 0x4000);       /* waits; is at its old place by courtesy */
	wr(f, 2, PCI_BAR0, 4, 0xd0000000); /* half a move */
	out(f, 0xcf8, 4, 0x80000810);
	save(f, &b);
	pci_bus_reset(f->bus);
	assert_int_equal(who(f, MEM64), 0xff);
	assert_int_equal(load(f, b.data, b.size), 0);
	assert_int_equal(in(f, 0xcf8, 4), 0x80000810);
	assert_int_equal(who(f, MEM64), 0x00);
	assert_int_equal(who(f, MEM64 + 0x4000), 0x10);
	assert_int_equal(in(f, 0x6000, 1), 0x21);
	wr(f, 2, PCI_BAR0 + 4, 4, 0); /* the other half */
	assert_int_equal(who(f, 0xd0000000), 0x10);
	assert_int_equal(who(f, MEM64 + 0x4000), 0x00);
	buf_fini(&b);
}

/* All but @absent, in their order: what a machine does that is made anew. */
static void add_anew(struct fixture *f, const bool present[4])
{
	for (unsigned i = 0; i < 4; i++)
		pci_bus_remove(f->bus, &f->card[i].f);
	pci_bus_destroy(f->bus);
	f->bus = pci_bus_create(f->pio, f->mmio, &windows, &f->e);
	assert_non_null(f->bus);
	for (unsigned i = 0; i < 4; i++)
		if (present[i])
			assert_int_equal(pci_bus_add(f->bus, &f->card[i].f, -1, &f->e), 0);
}

/* One of three went: the third is in slot 3 of the next machine too, and the next one comes where it would have. */
static void pci_bus_load__puts_functions_where_they_were(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	pci_bus_remove(f->bus, &f->card[1].f);
	wr(f, 3, PCI_INT_LINE, 1, 9);
	save(f, &b);
	add_anew(f, (const bool[4]){ true, false, true, false });
	assert_int_equal(f->card[2].f.slot, 2);
	assert_int_equal(load(f, b.data, b.size), 0);
	assert_int_equal(f->card[0].f.slot, 1);
	assert_int_equal(f->card[2].f.slot, 3);
	assert_int_equal(rd(f, 2, 0, 4), 0xffffffff);
	assert_int_equal(rd(f, 3, PCI_INT_LINE, 1), 9);
	assert_int_equal(pci_bus_add(f->bus, &f->card[1].f, -1, &f->e), 0);
	assert_int_equal(f->card[1].f.slot, 4);
	assert_int_equal(load(f, b.data, b.size), -1); /* it was not there */
	pci_bus_remove(f->bus, &f->card[1].f);
	pci_bus_remove(f->bus, &f->card[0].f);
	assert_int_equal(load(f, b.data, b.size), -1); /* it was there */
	buf_fini(&b);
}

/* However they came and went. */
static void pci_bus_load__puts_any_order_back(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 1;

	for (unsigned round = 0; round < 300; round++) {
		bool present[4];
		unsigned slot[4];
		struct buf b;

		for (unsigned i = 0; i < 40; i++) {
			struct card *c = &f->card[(seed = seed * 1664525 + 1013904223) >> 30];

			if (c->f.bus != NULL)
				pci_bus_remove(f->bus, &c->f);
			else
				assert_int_equal(pci_bus_add(f->bus, &c->f, -1, &f->e), 0);
		}
		for (unsigned i = 0; i < 4; i++) {
			present[i] = f->card[i].f.bus != NULL;
			slot[i] = f->card[i].f.slot;
		}
		save(f, &b);
		add_anew(f, present);
		assert_int_equal(load(f, b.data, b.size), 0);
		for (unsigned i = 0; i < 4; i++)
			if (present[i])
				assert_int_equal(f->card[i].f.slot, slot[i]);
		buf_fini(&b);
	}
}

static void pci_bus_load__refuses_damage(void **state)
{
	struct fixture *f = *state;
	struct buf b;
	uint8_t *copy;

	bar64(f, 1, MEM64);
	decode(f, 1, PCI_CMD_MEMORY);
	save(f, &b);
	copy = malloc(b.size);
	assert_non_null(copy);
	for (size_t n = 0; n < b.size; n += 7)
		assert_int_equal(load(f, b.data, n), -1);
	memcpy(copy, b.data, b.size);
	copy[12 + 5 + 8 + 9 + 9 + 2 + strlen(f->card[0].f.name)] ^= 1; /* slot 1's vendor id */
	assert_int_equal(load(f, copy, b.size), -1);
	/* Anything goes, nothing breaks. */
	for (unsigned n = 0; n < 2000; n++) {
		memcpy(copy, b.data, b.size);
		copy[n * 2654435761u % b.size] ^= (uint8_t)(1u << n % 8);
		(void)load(f, copy, b.size);
	}
	assert_int_equal(load(f, b.data, b.size), 0);
	assert_int_equal(who(f, MEM64), 0x00);
	pci_bus_remove(f->bus, &f->card[2].f);
	assert_int_equal(load(f, b.data, b.size), -1); /* of another machine */
	free(copy);
	buf_fini(&b);
}

enum { THREADS = 3, MOVES = 600 };

struct mover {
	struct fixture *f;
	unsigned slot;
};

static void *move_about(void *arg)
{
	struct mover *v = arg;
	struct map_reader r;
	uint8_t b[8];

	map_reader_add(v->f->mmio, &r);
	for (unsigned i = 0; i < MOVES; i++) {
		st64(b, 0xd0000000ull + (i % 8) * 0x4000);
		(void)map_write(v->f->mmio, &r, 0xb0000000ull + (v->slot << 15) + PCI_BAR0, b, 8);
		(void)map_read(v->f->mmio, &r, 0xd0000000ull + (i % 5) * 0x4000, b, 1);
		st64(b, i % 3 == 0 ? 0 : PCI_CMD_MEMORY);
		(void)map_write(v->f->mmio, &r, 0xb0000000ull + (v->slot << 15) + PCI_COMMAND, b,
				2);
	}
	map_reader_remove(v->f->mmio, &r);
	return NULL;
}

static void pci_config__two_vcpus_at_once(void **state)
{
	struct fixture *f = *state;
	pthread_t t[THREADS];
	struct mover v[THREADS];

	assert_int_equal(pci_bus_set_ecam(f->bus, 0xb0000000, 256, &f->e), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		v[i] = (struct mover){ f, 1 + i % 3 };
		assert_int_equal(pthread_create(&t[i], NULL, move_about, &v[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	/* Consistent registers, and all is where it should be. */
	bar64(f, 1, 0xd0000000);
	bar64(f, 2, 0xd0004000);
	wr(f, 3, PCI_BAR0, 4, 0xd0008000);
	for (unsigned i = 1; i <= 3; i++)
		decode(f, i, PCI_CMD_MEMORY);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(who(f, 0xd0000000 + i * 0x4000), i << 4);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(pci_config__header_reads_as_described),
		T(pci_config__command_has_the_bits_that_exist),
		T(pci_config__write_one_to_clear),
		T(pci_config__hooks_see_offset_and_size),
		T(pci_cap_add__links_in_order),
		T(pci_bus_add__chooses_slots),
		T(pci_intx_gsi__is_16_to_23),
		T(pci_ports__mechanism_1),
		T(pci_ports__reset_control),
		T(pci_ecam__every_size_and_place),
		T(pci_ecam__moves_and_waits_for_room),
		T(pci_ecam__may_move_what_it_lies_beside),
		T(pci_bar__sizing_reads_the_mask),
		T(pci_bar__answers_while_decoding_is_on),
		T(pci_bar__half_an_address_is_tentative),
		T(pci_bar__sizing_with_decode_on_moves_nothing),
		T(pci_bar__sizing_loses_no_place_to_a_neighbour),
		T(pci_bar__zero_and_nonsense_leave_it_where_it_was),
		T(pci_bar__goes_to_the_edges_of_the_windows),
		T(pci_bar__io_on_fixed_ports_is_refused),
		T(pci_bar__overlap_waits_for_the_place),
		T(pci_bar__two_swap_with_decode_off),
		T(pci_bar__two_swap_with_decode_on_in_any_order),
		T(pci_bar__three_rotate),
		T(pci_bar__courtesy_mapping_gives_way),
		T(pci_bar__doorbells_move_with_it),
		T(pci_bus_reset__puts_registers_back),
		T(pci_bus_load__restores_registers_and_places),
		T(pci_bus_load__puts_functions_where_they_were),
		T(pci_bus_load__puts_any_order_back),
		T(pci_bus_load__refuses_damage),
		T(pci_config__two_vcpus_at_once),
	};
#undef T

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
