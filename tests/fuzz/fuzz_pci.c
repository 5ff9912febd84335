/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_pci.c - a guest that pokes configuration space, moves BARs and the ECAM
 * and plays with an MSI-X table; functions come and go, states are loaded.
 *
 * Input: records of 8 bytes { op, a, b, c, u32 value }, see step(). After each:
 * BARs are mapped where they may be, overlap nowhere and answer, and every BAR
 * whose place nobody disputes is where its register says.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/le.h"
#include "bus/msix.h"
#include "bus/pci.h"
#include "devices/dev.h"
#include "devices/pci/mch.h"
#include "sill/vm.h"

enum { CARDS = 6, VECTORS = 3, TABLE = 0x800, PBA = 0xc00, CAP = 0x40 };

static const struct pci_windows windows = {
	.io_base = 0x1000,
	.io_end = 0x10ff, /* narrow windows: conflicts */
	.mem32_base = 0xc0000000,
	.mem32_end = 0xc000f7ff, /* and none that ends where a BAR would */
	.mem64_base = 0xffffff8000,
	.mem64_end = 0xffffffffff,
};

struct card {
	struct pci_func f;
	struct io_target target;
	struct msix msix; /* of card 0 */
	bool there;
};

static struct card card[CARDS];
static struct map *pio, *mmio;
static struct map_reader pio_r, mmio_r;
static struct pci_bus *bus;
static struct dev *mch;
static struct irqs irqs;
static int bell;

/* --- the machine ---------------------------------------------------------- */

static int msi_open(void *ctx, struct irq_msi *m, struct sill_err *e)
{
	(void)ctx;
	(void)e;
	m->fd = dup(bell);
	return m->fd < 0 ? -1 : 0;
}

static int msi_route(void *ctx, struct irq_msi *m, uint64_t addr, uint32_t data)
{
	(void)ctx;
	(void)m;
	(void)addr;
	return data == 0xbad ? -1 : 0;
}

static void msi_close(void *ctx, struct irq_msi *m)
{
	(void)ctx;
	(void)close(m->fd);
}

static const struct irq_ops irq_ops = { .msi_open = msi_open,
					.msi_route = msi_route,
					.msi_close = msi_close };

/* Reads of region 0 tell who answers; in the middle of it card 0 has its table. */
static enum io_result card_io(void *ctx, unsigned region, struct io *io)
{
	struct card *c = ctx;

	if (c->msix.count != 0 && region == 0 && io->off >= TABLE &&
	    io->off + io->size <= TABLE + VECTORS * 16) {
		io->off -= TABLE;
		return msix_table_io(&c->msix, io);
	}
	if (c->msix.count != 0 && region == 0 && io->off >= PBA) {
		io->off -= PBA;
		return msix_pba_io(&c->msix, io);
	}
	if (!io->write)
		io->val = (uint64_t)((unsigned)(c - card) << 4 | region);
	return IO_DONE;
}

static void card_written(void *ctx, unsigned off, unsigned size)
{
	struct card *c = ctx;

	if (c->msix.count != 0)
		msix_config_written(&c->msix, &c->f, off, size);
}

static const struct pci_func_ops card_ops = { .config_written = card_written };

static void card_bar(struct card *c, unsigned i, enum pci_bar_kind kind, uint64_t size)
{
	c->f.bar[i].kind = kind;
	c->f.bar[i].size = size;
	c->f.bar[i].target = &c->target;
	c->f.bar[i].region = i;
}

static void card_plug(unsigned n)
{
	const struct pci_ids ids = { 0x1af4, (uint16_t)(0x1040 + n), 0x1af4, 0x1100, 0xff00, 1 };
	struct card *c = &card[n];
	struct sill_err e = { 0 };

	pci_func_init(&c->f, &ids, &card_ops, c, "card");
	c->target = (struct io_target){ .io = card_io, .ctx = c, .name = "card" };
	switch (n) {
	case 0:
		card_bar(c, 0, PCI_BAR_MEM64, 0x1000);
		card_bar(c, 3, PCI_BAR_IO, 0x20);
		msix_init(&c->msix, &irqs, &c->f, VECTORS, 0, TABLE, PBA);
		break;
	case 1:
		card_bar(c, 0, PCI_BAR_MEM64, 0x4000);
		card_bar(c, 2, PCI_BAR_MEM64, 0x1000);
		card_bar(c, 4, PCI_BAR_MEM64, 0x10);
		break;
	case 2:
		card_bar(c, 0, PCI_BAR_MEM32, 0x2000);
		card_bar(c, 1, PCI_BAR_IO, 0x40);
		card_bar(c, 5, PCI_BAR_MEM32, 0x10);
		break;
	case 3:
		card_bar(c, 1, PCI_BAR_MEM64, 1ull << 33); /* fits nowhere */
		card_bar(c, 4, PCI_BAR_MEM32, 0x8000);
		break;
	default:
		card_bar(c, 0, PCI_BAR_MEM64, 0x1000);
		card_bar(c, 2, PCI_BAR_IO, 0x4);
		break;
	}
	if (pci_bus_add(bus, &c->f, (int)n + 1, &e) < 0)
		abort();
	c->there = true;
}

static void card_unplug(unsigned n)
{
	pci_bus_remove(bus, &card[n].f);
	map_quiesce(mmio);
	map_quiesce(pio);
	msix_fini(&card[n].msix);
	card[n].there = false;
}

static enum io_result fixed_io(void *ctx, unsigned region, struct io *io)
{
	(void)ctx;
	(void)region;
	io->val = 0xee;
	return IO_DONE;
}

static struct io_target fixed = { .io = fixed_io, .name = "fixed" };
static const struct map_region fixed_pio = { .base = 0x1080, .size = 3, .target = &fixed };
static const struct map_region fixed_mmio = { .base = 0xc0008100, .size = 0x10, .target = &fixed };

static void set_up(void)
{
	static const struct mch_config config = { .device = MCH_Q35 };
	static struct dev_env env;
	struct sill_err e = { 0 };
	extern const struct dev_ops mch_ops;

	sill_log_to(NULL, -1);
	bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	irqs_init(&irqs, &irq_ops, NULL);
	pio = map_create(0x10000, NULL, &e);
	mmio = map_create(0, NULL, &e);
	map_reader_add(pio, &pio_r);
	map_reader_add(mmio, &mmio_r);
	bus = pci_bus_create(pio, mmio, &windows, &e);
	assert(bus != NULL);
	if (map_add(pio, &fixed_pio, &e) < 0 || map_add(mmio, &fixed_mmio, &e) < 0)
		abort();
	env = (struct dev_env){ .pio = pio, .mmio = mmio, .pci = bus, .irqs = &irqs };
	mch = dev_create(&mch_ops, "mch", &config, NO_GSI, &env, &e);
	assert(mch != NULL);
}

/* --- what must hold ------------------------------------------------------- */

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

static bool within(uint64_t at, uint64_t size, uint64_t base, uint64_t end)
{
	return at >= base && at <= end && size - 1 <= end - at;
}

static bool may_be_at(const struct pci_bar *r, uint64_t at)
{
	if (r->kind == PCI_BAR_IO)
		return within(at, r->size, windows.io_base, windows.io_end);
	return within(at, r->size, windows.mem32_base, windows.mem32_end) ||
	       (r->kind == PCI_BAR_MEM64 &&
		within(at, r->size, windows.mem64_base, windows.mem64_end));
}

static bool decodes(const struct card *c, const struct pci_bar *r)
{
	unsigned bit = r->kind == PCI_BAR_IO ? PCI_CMD_IO : PCI_CMD_MEMORY;

	return c->there && r->kind != PCI_BAR_NONE && (c->f.cfg[PCI_COMMAND] & bit) != 0;
}

/* Does anybody else want a byte of where @r wants to be? */
static bool is_disputed(const struct pci_bar *r)
{
	const struct map_region *x = r->kind == PCI_BAR_IO ? &fixed_pio : &fixed_mmio;
	uint64_t bar = ld64(pci_bus_find(bus, 0)->cfg + 0x60);
	uint64_t base;
	unsigned buses;

	if (overlap(r->wanted, r->size, x->base, x->size))
		return true;
	base = pci_bus_ecam(bus, &buses);
	if (r->kind != PCI_BAR_IO && buses != 0 &&
	    overlap(r->wanted, r->size, base, (uint64_t)buses << 20))
		return true;
	if (r->kind != PCI_BAR_IO && (bar & 1) != 0 &&
	    overlap(r->wanted, r->size, bar & ~0xfffffffull, 1 << 28))
		return true;
	for (unsigned n = 0; n < CARDS; n++)
		for (unsigned i = 0; i < 6; i++) {
			const struct pci_bar *o = &card[n].f.bar[i];

			if (o != r && decodes(&card[n], o) &&
			    (o->kind == PCI_BAR_IO) == (r->kind == PCI_BAR_IO) &&
			    may_be_at(o, o->wanted) &&
			    overlap(r->wanted, r->size, o->wanted, o->size))
				return true;
		}
	return false;
}

static void check_bar(unsigned n, unsigned i)
{
	const struct card *c = &card[n];
	const struct pci_bar *r = &c->f.bar[i];
	uint8_t b = 0;

	assert(!r->mapped || (decodes(c, r) && may_be_at(r, r->mapped_at)));
	assert((r->mapped_at & (r->size - 1)) == 0);
	if (r->written == 0 && decodes(c, r) && may_be_at(r, r->wanted) && !is_disputed(r))
		assert(r->mapped && r->mapped_at == r->wanted);
	if (!r->mapped)
		return;
	for (unsigned m = 0; m < CARDS; m++)
		for (unsigned k = 0; k < 6; k++) {
			const struct pci_bar *o = &card[m].f.bar[k];

			if (o != r && o->mapped &&
			    (o->kind == PCI_BAR_IO) == (r->kind == PCI_BAR_IO))
				assert(!overlap(r->mapped_at, r->size, o->mapped_at, o->size));
		}
	if (r->kind == PCI_BAR_IO)
		assert(map_read(pio, &pio_r, r->mapped_at, &b, 1));
	else
		assert(map_read(mmio, &mmio_r, r->mapped_at, &b, 1));
	assert(b == (n << 4 | i));
}

static void check(void)
{
	uint8_t b[4];
	uint64_t base;
	unsigned buses;

	for (unsigned n = 0; n < CARDS; n++)
		for (unsigned i = 0; i < 6; i++)
			if (card[n].there && card[n].f.bar[i].kind != PCI_BAR_NONE)
				check_bar(n, i);
	assert(map_read(pio, &pio_r, 0x1081, b, 1) && b[0] == 0xee);
	assert(map_read(mmio, &mmio_r, 0xc0008100, b, 1) && b[0] == 0xee);
	base = pci_bus_ecam(bus, &buses);
	if (buses != 0)
		assert(map_read(mmio, &mmio_r, base, b, 4) && ld32(b) == 0x29c08086);
}

/* --- the guest ------------------------------------------------------------ */

/* Addresses that collide, and some that are nowhere. */
static uint64_t place(uint8_t which, uint32_t val)
{
	switch (which % 8) {
	case 0:
		return windows.mem64_base + (val & 0x7fff);
	case 1:
		return ~0ull;
	case 2:
		return windows.io_base + (val & 0xff);
	case 3:
		return val;
	case 4:
		return (uint64_t)val << 8;
	default:
		return windows.mem32_base + (val & 0xffff);
	}
}

static void config(uint8_t slot, unsigned off, unsigned size, uint32_t val, bool write)
{
	off &= 0xfff & ~(size - 1);
	if (write)
		pci_config_write(bus, 0, (unsigned)(slot % 8) << 3, off, size, val);
	else
		(void)pci_config_read(bus, 0, (unsigned)(slot % 8) << 3, off, size);
}

static void access_any(struct map *m, struct map_reader *r, uint64_t at, size_t n, uint32_t val,
		       bool write)
{
	uint8_t b[8];

	st64(b, (uint64_t)val << 32 | val);
	if (write)
		(void)map_write(m, r, at, b, n);
	else
		(void)map_read(m, r, at, b, n);
}

static void msix_poke(uint8_t a, uint8_t b, uint32_t val)
{
	struct msix *m = &card[0].msix;
	struct io io = {
		.off = (a % (VECTORS * 4 + 1)) * 4u, .size = 4, .val = val, .write = true
	};
	uint64_t n;

	if (m->count == 0)
		return;
	if (b % 4 == 0) {
		io.size = 8;
		io.val = (uint64_t)val << 32 | val;
	}
	if (b % 2 != 0) {
		unsigned v = a % VECTORS;
		bool live = m->enabled && !m->function_masked && m->entry[v].control == 0 &&
			    m->entry[v].data != 0xbad;

		(void)!read(bell, &n, sizeof(n));
		msix_raise(m, a);
		if (a < VECTORS) {
			assert((read(bell, &n, sizeof(n)) == sizeof(n)) == live);
			assert(m->entry[v].pending == !live);
		}
		return;
	}
	(void)msix_table_io(m, &io);
}

static void save_and_load(const uint8_t *p, size_t size, bool damaged)
{
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf b;

	buf_init(&b, 1 << 20);
	save_init(&s, &b);
	pci_bus_save(bus, &s);
	if (dev_save(mch, &s) < 0)
		abort();
	if (damaged)
		for (size_t i = 0; i + 4 <= size && i < 64; i += 4)
			b.data[ld16(p + i) % b.size] ^= p[i + 2];
	load_init(&l, b.data, b.size);
	if (pci_bus_load(bus, &l, &e) < 0 || dev_load(mch, &l, &e) < 0)
		assert(damaged);
	buf_fini(&b);
}

static void reset(void)
{
	pci_bus_reset(bus);
	dev_reset(mch);
	if (card[0].there)
		msix_reset(&card[0].msix);
}

static void step(const uint8_t *p)
{
	uint32_t val = ld32(p + 4);
	uint8_t a = p[1], b = p[2], c = p[3];
	unsigned i = b % 6;
	uint64_t to;

	switch (p[0] % 16) {
	case 0: /* a whole address */
		to = place(c, val);
		config(a, PCI_BAR0 + 4 * i, 4, (uint32_t)to, true);
		config(a, PCI_BAR0 + 4 * i + 4, 4, (uint32_t)(to >> 32), true);
		break;
	case 1: /* half of it */
		config(a, PCI_BAR0 + 4 * i, 4, (uint32_t)(place(c, val) >> (b & 64 ? 32 : 0)),
		       true);
		break;
	case 2:
		config(a, PCI_BAR0 + b % 24u, 1u << c % 3, val, true);
		break;
	case 3:
		config(a, PCI_COMMAND, 2, val, true);
		break;
	case 4:
		config(a, b | (c & 1u) << 8, 1u << (c >> 1) % 3, val, true);
		break;
	case 5:
		config(a, b, 1u << c % 3, 0, false);
		break;
	case 6: /* PCIEXBAR: beside the windows, and over them */
		config(0, 0x60 + (b & 4u), 4, b & 4 ? 0 : (c % 4 << 28) + 0xb0000000 + val % 8,
		       true);
		break;
	case 7: /* ports */
		access_any(pio, &pio_r, (c & 1 ? 0xcf5 : windows.io_base) + b % 16u, 1u << a % 4,
			   val, (c & 2) != 0);
		break;
	case 8:
		access_any(pio, &pio_r, 0xcf8, 4, 0x80000000 | (a % 8u) << 11 | (b & 0xfc), true);
		access_any(pio, &pio_r, 0xcfc + (c & 3u), 1u << (c >> 2) % 3, val, (c & 32) != 0);
		break;
	case 9: /* the ECAM, if it is there, by odd sizes */
		access_any(mmio, &mmio_r, 0xb0000000 + ((a % 8u) << 15) + b + (c & 0xf0) * 16,
			   c % 9, val, (c & 8) != 0);
		break;
	case 10: /* BARs */
		access_any(mmio, &mmio_r, place(c, val), a % 9, val, (b & 1) != 0);
		break;
	case 11:
		if (card[a % CARDS].there)
			card_unplug(a % CARDS);
		else
			card_plug(a % CARDS);
		break;
	case 12:
		if (c < 16)
			reset();
		else
			save_and_load(NULL, 0, false);
		break;
	case 13:
		config(1, CAP + 2, 2, c % 4 << 14, true);
		break;
	default:
		msix_poke(a, b, c % 3 ? c % 2 : val);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (bus == NULL)
		set_up();
	reset();
	for (unsigned n = 0; n < CARDS; n++) {
		if (card[n].there)
			card_unplug(n);
		card_plug(n);
	}
	for (unsigned n = 0; n < CARDS; n++)
		config((uint8_t)(n + 1), PCI_COMMAND, 2, PCI_CMD_IO | PCI_CMD_MEMORY, true);
	for (; size >= 8; data += 8, size -= 8) {
		step(data);
		check();
		if (data[0] == 0xff && data[1] == 0xff) {
			save_and_load(data, size, true);
			break; /* what a bad state leaves behind only has to be harmless */
		}
	}
	return 0;
}
