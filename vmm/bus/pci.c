/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.c - see pci.h. PCI Local Bus 3.0 chapter 6 (registers), 3.2.2.3.2
 * (configuration mechanism 1); PCI Express 3.0, 7.2.2 (ECAM).
 *
 * Two locks. `lock` (RANK_BUS) lets one configuration access through at a time
 * and is held around a function's hooks. `regs` (RANK_PCI) guards registers
 * and placement and is never held around a hook, so that the host bridge can
 * move the ECAM from its hook.
 *
 * Placing BARs. `wanted` is what a BAR's register says once it was written
 * whole. A BAR that is mapped where it wants to be is settled; one that is
 * mapped elsewhere is there as a courtesy. settle() gives each BAR that wants
 * to be elsewhere its place unless a settled BAR is in it, putting out courtesy
 * mappings. Whoever has no mapping at the end gets its last place back if that
 * is free.
 */
#include "bus/pci.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/log.h"

enum {
	PORT_BASE = 0xcf8,
	PORT_SIZE = 8,
	OFF_ADDRESS = 0,
	OFF_RESET = 1, /* 0xCF9 */
	OFF_DATA = 4,
	/* Reset control: system reset, reset CPU, full reset; the rest reads 0. */
	RESET_BITS = 0x0e,

	CFG_SIZE = 256,
	CFG_FIRST_CAP = 0x40,
	CACHE_LINE = 0x0c,
	MAX_BUSES = 256,
	FIRST_FREE_SLOT = 1, /* 0 is the host bridge */
	LAST_FREE_SLOT = 30, /* 31 is the LPC bridge */

	NAME_ROOM = 64, /* longer than any name there is */
};

/* Enable, bus, device, function, register; the others read 0. */
#define ADDRESS_BITS 0x80fffffcu
#define SAVE_TAG_BUS SAVE_TAG('P', 'C', 'I', 'B')

struct ecam {
	uint64_t base;
	unsigned buses; /* 0: off */
};

struct pci_bus {
	struct map *pio, *mmio; /* borrowed */
	struct pci_windows win;
	struct lock lock; /* RANK_BUS: one configuration access at a time */
	struct log_bucket bucket;
	struct io_target ports, ecam_target;
	void (*reset_fn)(void *ctx, uint8_t val);
	void *reset_ctx;

	/* Everything below is under regs. */
	struct lock regs; /* RANK_PCI */
	struct pci_func *func[MAX_PCI_SLOTS];
	uint64_t left
		[MAX_PCI_SLOTS]; /* when the last function of a slot went, in removals; 0: none did */
	uint64_t removals;
	uint32_t address; /* CONFIG_ADDRESS */
	uint8_t reset_control;
	struct ecam ecam, ecam_wanted;
};

/* --- describing a function ---------------------------------------------- */

void pci_func_init(struct pci_func *f, const struct pci_ids *ids, const struct pci_func_ops *ops,
		   void *ctx, const char *name)
{
	*f = (struct pci_func){ .ops = ops, .ctx = ctx, .name = name };
	st16(f->cfg + PCI_VENDOR, ids->vendor);
	st16(f->cfg + PCI_DEVICE, ids->device);
	f->cfg[PCI_REVISION] = ids->revision;
	f->cfg[PCI_CLASS] = (uint8_t)ids->class_code;
	st16(f->cfg + PCI_CLASS + 1, (uint16_t)(ids->class_code >> 8));
	st16(f->cfg + PCI_SUBSYS_VENDOR, ids->subsys_vendor);
	st16(f->cfg + PCI_SUBSYS, ids->subsys);
	st16(f->wmask + PCI_COMMAND, PCI_CMD_MEMORY | PCI_CMD_MASTER | PCI_CMD_INTX_OFF);
	f->wmask[CACHE_LINE] = 0xff;
	f->wmask[PCI_INT_LINE] = 0xff;
	f->cap_end = CFG_FIRST_CAP;
}

uint8_t pci_cap_add(struct pci_func *f, uint8_t id, uint8_t size)
{
	uint8_t at = f->cap_end;
	unsigned end = (at + size + 3u) & ~3u;

	/* The very last dword stays free, so that cap_end fits its type. */
	assert(f->bus == NULL && size >= 2 && end < CFG_SIZE);
	f->cfg[at] = id;
	f->cfg[f->cap_last != 0 ? f->cap_last + 1 : PCI_CAP_PTR] = at;
	f->cfg[PCI_STATUS] |= PCI_STATUS_CAPS;
	f->cap_last = at;
	f->cap_end = (uint8_t)end;
	return at;
}

bool pci_bus_master(const struct pci_func *f)
{
	return (__atomic_load_n(&f->cfg[PCI_COMMAND], __ATOMIC_RELAXED) & PCI_CMD_MASTER) != 0;
}

static unsigned bar_at(unsigned i)
{
	return PCI_BAR0 + 4 * i;
}

/* How many bytes of configuration space the BAR takes. */
static unsigned bar_bytes(const struct pci_bar *r)
{
	return r->kind == PCI_BAR_MEM64 ? 8 : 4;
}

/* The bits of a BAR that can be written: sizing reads them back. */
static uint64_t bar_mask(const struct pci_bar *r)
{
	uint64_t mask = ~(r->size - 1);

	return r->kind == PCI_BAR_MEM64 ? mask : mask & UINT32_MAX;
}

/* The address in BAR @i of the registers @cfg. */
static uint64_t bar_register(const struct pci_func *f, const uint8_t *cfg, unsigned i)
{
	const struct pci_bar *r = &f->bar[i];
	const uint8_t *p = cfg + bar_at(i);

	return (r->kind == PCI_BAR_MEM64 ? ld64(p) : ld32(p)) & bar_mask(r);
}

/* The type bits, the write mask and the promises of a BAR's description. */
static void bar_describe(struct pci_func *f, unsigned i)
{
	struct pci_bar *r = &f->bar[i];
	uint8_t *cfg = f->cfg + bar_at(i), *wmask = f->wmask + bar_at(i);
	uint32_t type = r->prefetchable ? 8 : 0;

	r->wanted = r->mapped_at = 0;
	r->mapped = r->homed = false;
	r->written = 0;
	if (r->kind == PCI_BAR_NONE)
		return;
	assert(r->target != NULL && (r->size & (r->size - 1)) == 0);
	assert(r->kind == PCI_BAR_MEM64 || r->size <= 1ull << 31);
	if (r->kind == PCI_BAR_IO) {
		assert(r->size >= 4 && r->size <= 256);
		type = 1;
	} else {
		assert(r->size >= 16);
	}
	if (r->kind == PCI_BAR_MEM64) {
		assert(i < 5 && f->bar[i + 1].kind == PCI_BAR_NONE);
		st64(cfg, type | 4);
		st64(wmask, bar_mask(r));
	} else {
		st32(cfg, type);
		st32(wmask, (uint32_t)bar_mask(r));
	}
}

/* --- where BARs are ----------------------------------------------------- */

static struct map *bar_map(const struct pci_bus *b, const struct pci_bar *r)
{
	return r->kind == PCI_BAR_IO ? b->pio : b->mmio;
}

static unsigned decode_bit(const struct pci_bar *r)
{
	return r->kind == PCI_BAR_IO ? PCI_CMD_IO : PCI_CMD_MEMORY;
}

static bool bar_decodes(const struct pci_func *f, const struct pci_bar *r)
{
	return r->kind != PCI_BAR_NONE && (f->cfg[PCI_COMMAND] & decode_bit(r)) != 0;
}

static bool range_in(uint64_t at, uint64_t size, uint64_t base, uint64_t end)
{
	return base <= end && at >= base && at <= end && size - 1 <= end - at;
}

static bool in_windows(const struct pci_bus *b, const struct pci_bar *r, uint64_t at)
{
	const struct pci_windows *w = &b->win;

	switch (r->kind) {
	case PCI_BAR_NONE:
		break;
	case PCI_BAR_IO:
		return range_in(at, r->size, w->io_base, w->io_end);
	case PCI_BAR_MEM64:
		if (range_in(at, r->size, w->mem64_base, w->mem64_end))
			return true;
		return range_in(at, r->size, w->mem32_base, w->mem32_end);
	case PCI_BAR_MEM32:
		return range_in(at, r->size, w->mem32_base, w->mem32_end);
	}
	return false;
}

static void bar_unmap(struct pci_bus *b, struct pci_bar *r)
{
	if (r->mapped)
		(void)map_remove(bar_map(b, r), r->target, r->region);
	r->mapped = false;
}

/* Into the map, or from one place to another. False: something is in the way; nothing changed. */
static bool bar_put(struct pci_bus *b, struct pci_bar *r, uint64_t at)
{
	const struct map_region m = {
		.base = at,
		.size = r->size,
		.target = r->target,
		.region = r->region,
		.bells = r->bells,
		.bell_count = r->bell_count,
	};
	struct sill_err why = { 0 }; /* nobody to tell: the guest finds out by itself */
	int ret;

	if (r->mapped)
		ret = map_move(bar_map(b, r), r->target, r->region, at, &why);
	else
		ret = map_add(bar_map(b, r), &m, &why);
	if (ret < 0)
		return false;
	r->mapped = r->homed = true;
	r->mapped_at = at;
	return true;
}

static bool is_settled(const struct pci_bar *r)
{
	return r->mapped && r->mapped_at == r->wanted;
}

struct place {
	uint64_t at, size;
	bool io;
};

/*
 * Make room: put the courtesy mappings in @p out, except @except itself.
 * False, and nothing done, when a settled BAR is there.
 */
static bool make_room(struct pci_bus *b, const struct place *p, const struct pci_bar *except)
{
	struct pci_bar *lodger[MAX_PCI_SLOTS * 6];
	unsigned n = 0;

	for (unsigned s = 0; s < MAX_PCI_SLOTS; s++) {
		for (unsigned i = 0; b->func[s] != NULL && i < 6; i++) {
			struct pci_bar *r = &b->func[s]->bar[i];

			if (r == except || !r->mapped || (r->kind == PCI_BAR_IO) != p->io ||
			    p->at > r->mapped_at + (r->size - 1) ||
			    r->mapped_at > p->at + (p->size - 1))
				continue;
			if (is_settled(r))
				return false;
			lodger[n++] = r;
		}
	}
	while (n > 0)
		bar_unmap(b, lodger[--n]);
	return true;
}

static void bar_try(struct pci_bus *b, struct pci_bar *r)
{
	const struct place p = { r->wanted, r->size, r->kind == PCI_BAR_IO };

	if (make_room(b, &p, r))
		(void)bar_put(b, r, r->wanted);
}

static bool ecam_is_settled(const struct pci_bus *b)
{
	return b->ecam.buses == b->ecam_wanted.buses &&
	       (b->ecam.buses == 0 || b->ecam.base == b->ecam_wanted.base);
}

static bool ecam_add(struct pci_bus *b, const struct ecam *to)
{
	const struct map_region m = {
		.base = to->base,
		.size = (uint64_t)to->buses << 20,
		.target = &b->ecam_target,
	};
	struct sill_err why = { 0 };

	return map_add(b->mmio, &m, &why) == 0;
}

/* Put the ECAM where it is wanted, if there is room. It gives way to nobody. */
static void ecam_try(struct pci_bus *b)
{
	const struct ecam to = b->ecam_wanted, was = b->ecam;
	const struct place p = { to.base, (uint64_t)to.buses << 20, false };
	struct sill_err why = { 0 };
	bool there;

	if (to.buses != 0 && !make_room(b, &p, NULL))
		return;
	if (to.buses == was.buses) {
		there = map_move(b->mmio, &b->ecam_target, 0, to.base, &why) == 0;
	} else {
		/* A region cannot change its size in place. */
		if (was.buses != 0)
			(void)map_remove(b->mmio, &b->ecam_target, 0);
		there = to.buses == 0 || ecam_add(b, &to);
		if (!there && was.buses != 0 && !ecam_add(b, &was))
			b->ecam.buses = 0;
	}
	if (there)
		b->ecam = to;
}

/*
 * Make the maps agree with the registers; see the head of this file. One round
 * is enough: what is in somebody's way after it is settled, and stays.
 */
static void settle(struct pci_bus *b)
{
	struct pci_bar *bar[MAX_PCI_SLOTS * 6];
	unsigned n = 0;

	for (unsigned s = 0; s < MAX_PCI_SLOTS; s++) {
		for (unsigned i = 0; b->func[s] != NULL && i < 6; i++) {
			struct pci_bar *r = &b->func[s]->bar[i];

			if (bar_decodes(b->func[s], r))
				bar[n++] = r;
			else
				bar_unmap(b, r);
		}
	}
	if (!ecam_is_settled(b))
		ecam_try(b);
	for (unsigned i = 0; i < n; i++)
		if (!is_settled(bar[i]) && in_windows(b, bar[i], bar[i]->wanted))
			bar_try(b, bar[i]);
	for (unsigned i = 0; i < n; i++)
		if (!bar[i]->mapped && bar[i]->homed)
			(void)bar_put(b, bar[i], bar[i]->mapped_at);
}

/* What the register says counts from now on, unless it is being sized. */
static void bar_commit(const struct pci_func *f, struct pci_bar *r, unsigned i)
{
	uint64_t at = bar_register(f, f->cfg, i);

	r->written = 0;
	if (at != bar_mask(r))
		r->wanted = at;
}

/*
 * Bytes [off, off + size), some of them of BAR @i, have been written while it
 * decodes; it was at @old. True when the address is whole now.
 *
 * Going back to `wanted` is the end of sizing and leaves nothing half done;
 * but a half that is written with the value it has already is a half written,
 * because the new address may have that half in common with the old one.
 */
static bool bar_written(struct pci_func *f, unsigned i, unsigned off, unsigned size, uint64_t old)
{
	struct pci_bar *r = &f->bar[i];
	uint64_t now = bar_register(f, f->cfg, i);
	unsigned at = bar_at(i), need = 0;

	if (now == r->wanted && now != old) {
		r->written = 0;
		return false;
	}
	for (unsigned k = 0; k < bar_bytes(r); k++) {
		if (at + k >= off && at + k < off + size)
			r->written |= (uint8_t)(1u << k);
		need |= (f->wmask[at + k] != 0 ? 1u : 0u) << k;
	}
	if ((r->written & need) != need)
		return false;
	bar_commit(f, r, i);
	return true;
}

/*
 * Bytes [off, off + size) of configuration space have been written; @was is
 * what the header was before. Returns true when settle() has something to do.
 */
static bool bars_written(struct pci_func *f, unsigned off, unsigned size, const uint8_t *was)
{
	bool changed = false;

	for (unsigned i = 0; i < 6; i++) {
		struct pci_bar *r = &f->bar[i];
		bool decoded = (was[PCI_COMMAND] & decode_bit(r)) != 0;

		if (r->kind == PCI_BAR_NONE)
			continue;
		if (!decoded || !bar_decodes(f, r)) {
			/* Off, or on just now: no half counts as tentative. */
			bar_commit(f, r, i);
			changed |= decoded != bar_decodes(f, r);
		} else if (off < bar_at(i) + bar_bytes(r) && off + size > bar_at(i)) {
			changed |= bar_written(f, i, off, size, bar_register(f, was, i));
		}
	}
	return changed;
}

/* A memory BAR that the guest wants where none can be. */
struct misplaced {
	const char *who; /* NULL: none */
	unsigned bar;
	uint64_t at;
};

static void misplaced_find(const struct pci_bus *b, const struct pci_func *f,
			   struct misplaced *ret_bad)
{
	for (unsigned i = 0; i < 6; i++) {
		const struct pci_bar *r = &f->bar[i];

		if (r->kind != PCI_BAR_IO && bar_decodes(f, r) && r->wanted != 0 &&
		    !in_windows(b, r, r->wanted))
			*ret_bad = (struct misplaced){ f->name, i, r->wanted };
	}
}

/* --- configuration accesses, under the bus lock --------------------------- */

static struct pci_func *func_at(struct pci_bus *b, unsigned bus, unsigned devfn)
{
	struct pci_func *f;

	if (bus != 0 || devfn >= MAX_PCI_SLOTS * 8 || (devfn & 7) != 0)
		return NULL;
	lock_take(&b->regs);
	f = b->func[devfn >> 3];
	lock_drop(&b->regs);
	return f;
}

static uint32_t ones(unsigned size)
{
	return UINT32_MAX >> (32 - 8 * size);
}

static uint32_t cfg_read(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned off,
			 unsigned size)
{
	struct pci_func *f = func_at(b, bus, devfn);
	uint32_t val = 0;

	if (f == NULL)
		return ones(size);
	/* What a conventional function has above: nothing, and no extended capability. */
	if (off >= CFG_SIZE)
		return 0;
	if (f->ops != NULL && f->ops->config_read != NULL)
		f->ops->config_read(f->ctx, off, size);
	lock_take(&b->regs);
	memcpy(&val, f->cfg + off, size);
	lock_drop(&b->regs);
	return val;
}

/* Through the masks. pci_bus_master() reads without a lock, hence the atomic stores. */
static void cfg_store(struct pci_func *f, unsigned off, unsigned size, uint32_t val)
{
	for (unsigned i = off; i < off + size; i++, val >>= 8) {
		uint8_t now = (uint8_t)((f->cfg[i] & ~f->wmask[i]) | (val & f->wmask[i]));

		now &= (uint8_t) ~(val & f->w1cmask[i]);
		__atomic_store_n(&f->cfg[i], now, __ATOMIC_RELAXED);
	}
}

static void cfg_write(struct pci_bus *b, struct pci_func *f, unsigned off, unsigned size,
		      uint32_t val, struct misplaced *ret_bad)
{
	uint8_t was[CFG_FIRST_CAP];

	lock_take(&b->regs);
	memcpy(was, f->cfg, sizeof(was));
	cfg_store(f, off, size, val);
	lock_drop(&b->regs);
	if (f->ops != NULL && f->ops->config_written != NULL)
		f->ops->config_written(f->ctx, off, size);
	lock_take(&b->regs);
	/* Unless the function was removed meanwhile. */
	if (f->bus == b && bars_written(f, off, size, was)) {
		settle(b);
		misplaced_find(b, f, ret_bad);
	}
	lock_drop(&b->regs);
}

uint32_t pci_config_read(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned off,
			 unsigned size)
{
	uint32_t val;

	assert((size == 1 || size == 2 || size == 4) && (off & 3) + size <= 4);
	lock_take(&b->lock);
	val = cfg_read(b, bus, devfn, off, size);
	lock_drop(&b->lock);
	return val;
}

void pci_config_write(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned off, unsigned size,
		      uint32_t val)
{
	struct misplaced bad = { 0 };
	struct pci_func *f;

	assert((size == 1 || size == 2 || size == 4) && (off & 3) + size <= 4);
	lock_take(&b->lock);
	f = func_at(b, bus, devfn);
	if (f != NULL && off < CFG_SIZE)
		cfg_write(b, f, off, size, val, &bad);
	lock_drop(&b->lock);
	if (bad.who != NULL)
		log_guest(&b->bucket, bad.who, "BAR %u cannot be at 0x%llx: outside the windows",
			  bad.bar, (unsigned long long)bad.at);
}

/* --- the two ways in ------------------------------------------------------ */

static enum io_result address_io(struct pci_bus *b, struct io *io)
{
	lock_take(&b->regs);
	if (io->write)
		b->address = (uint32_t)io->val & ADDRESS_BITS;
	io->val = b->address;
	lock_drop(&b->regs);
	return IO_DONE;
}

static enum io_result reset_control_io(struct pci_bus *b, struct io *io)
{
	lock_take(&b->regs);
	if (io->write)
		b->reset_control = (uint8_t)io->val & RESET_BITS;
	else
		io->val = b->reset_control;
	lock_drop(&b->regs);
	if (io->write && b->reset_fn != NULL)
		b->reset_fn(b->reset_ctx, (uint8_t)io->val);
	return IO_DONE;
}

static enum io_result data_io(struct pci_bus *b, struct io *io)
{
	unsigned off = (unsigned)io->off - OFF_DATA;
	uint32_t address;

	if (io->size > 4)
		return IO_BAD_SIZE;
	lock_take(&b->regs);
	address = b->address;
	lock_drop(&b->regs);
	if ((address & 1u << 31) == 0)
		return IO_NO_REGISTER;
	off |= address & 0xfc;
	if (io->write)
		pci_config_write(b, address >> 16 & 0xff, address >> 8 & 0xff, off, io->size,
				 (uint32_t)io->val);
	else
		io->val = pci_config_read(b, address >> 16 & 0xff, address >> 8 & 0xff, off,
					  io->size);
	return IO_DONE;
}

/*
 * 0xCF8: only a 4-byte access is CONFIG_ADDRESS; of the others only the byte at
 * 0xCF9 has somebody behind it.
 */
static enum io_result ports_io(void *ctx, unsigned region, struct io *io)
{
	struct pci_bus *b = ctx;

	(void)region;
	if (io->off == OFF_ADDRESS && io->size == 4)
		return address_io(b, io);
	if (io->off == OFF_RESET && io->size == 1)
		return reset_control_io(b, io);
	if (io->off >= OFF_DATA)
		return data_io(b, io);
	return IO_BAD_SIZE;
}

/* The largest aligned piece of at most 4 bytes that begins at @off. */
static unsigned piece_size(uint64_t off, unsigned n)
{
	if ((off & 3) == 0 && n >= 4)
		return 4;
	return (off & 1) == 0 && n >= 2 ? 2 : 1;
}

static enum io_result ecam_io(void *ctx, unsigned region, struct io *io)
{
	struct pci_bus *b = ctx;
	uint64_t val = 0;
	unsigned piece;

	(void)region;
	for (unsigned done = 0; done < io->size; done += piece) {
		uint64_t off = io->off + done;
		unsigned bus = (unsigned)(off >> 20), devfn = off >> 12 & 0xff;

		piece = piece_size(off, io->size - done);
		if (io->write)
			pci_config_write(b, bus, devfn, off & 0xfff, piece,
					 (uint32_t)(io->val >> 8 * done));
		else
			val |= (uint64_t)pci_config_read(b, bus, devfn, off & 0xfff, piece)
			       << 8 * done;
	}
	if (!io->write)
		io->val = val;
	return IO_DONE;
}

/* --- the bus -------------------------------------------------------------- */

struct pci_bus *pci_bus_create(struct map *pio, struct map *mmio, const struct pci_windows *w,
			       struct sill_err *e)
{
	struct pci_bus *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		(void)sill_err_sys(e, ENOMEM, "PCI bus");
		return NULL;
	}
	b->pio = pio;
	b->mmio = mmio;
	b->win = *w;
	lock_init(&b->lock, RANK_BUS);
	lock_init(&b->regs, RANK_PCI);
	b->ports = (struct io_target){ .io = ports_io, .ctx = b, .name = "pci" };
	b->ecam_target = (struct io_target){ .io = ecam_io, .ctx = b, .name = "ecam" };
	if (map_add(pio,
		    &(struct map_region){
			    .base = PORT_BASE, .size = PORT_SIZE, .target = &b->ports },
		    e) < 0) {
		pci_bus_destroy(b);
		return NULL;
	}
	return b;
}

void pci_bus_destroy(struct pci_bus *b)
{
	if (b == NULL)
		return;
	for (unsigned s = 0; s < MAX_PCI_SLOTS; s++)
		assert(b->func[s] == NULL);
	(void)map_remove(b->pio, &b->ports, 0);
	(void)map_remove(b->mmio, &b->ecam_target, 0);
	lock_fini(&b->lock);
	lock_fini(&b->regs);
	free(b);
}

/* The slot that @slot asks for, or -1 with @e set. */
static int slot_choose(const struct pci_bus *b, int slot, const char *name, struct sill_err *e)
{
	if (slot >= MAX_PCI_SLOTS)
		return sill_err_set(e, SILL_ERR_LIMIT, "%s: there is no PCI slot %d", name, slot);
	if (slot >= 0) {
		if (b->func[slot] != NULL)
			return sill_err_set(e, SILL_ERR_STATE, "%s: PCI slot %d is taken by %s",
					    name, slot, b->func[slot]->name);
		return slot;
	}
	for (int i = FIRST_FREE_SLOT; i <= LAST_FREE_SLOT; i++)
		if (b->func[i] == NULL && (slot < 0 || b->left[i] < b->left[slot]))
			slot = i;
	if (slot >= 0)
		return slot;
	return sill_err_set(e, SILL_ERR_LIMIT, "%s: all %d PCI slots are taken", name,
			    LAST_FREE_SLOT - FIRST_FREE_SLOT + 1);
}

int pci_bus_add(struct pci_bus *b, struct pci_func *f, int slot, struct sill_err *e)
{
	assert(f->bus == NULL);
	for (unsigned i = 0; i < 6; i++) {
		bar_describe(f, i);
		if (f->bar[i].kind == PCI_BAR_IO)
			f->wmask[PCI_COMMAND] |= PCI_CMD_IO;
	}
	memcpy(f->reset, f->cfg, sizeof(f->reset));
	lock_take(&b->regs);
	slot = slot_choose(b, slot, f->name, e);
	if (slot >= 0) {
		f->slot = (unsigned)slot;
		f->bus = b;
		b->func[slot] = f;
	}
	lock_drop(&b->regs);
	return slot < 0 ? -1 : 0;
}

void pci_bus_remove(struct pci_bus *b, struct pci_func *f)
{
	lock_take(&b->regs);
	if (f->bus == b) {
		assert(b->func[f->slot] == f);
		for (unsigned i = 0; i < 6; i++)
			bar_unmap(b, &f->bar[i]);
		b->func[f->slot] = NULL;
		b->left[f->slot] = ++b->removals;
		f->bus = NULL;
		settle(b); /* somebody may have waited for the place */
	}
	lock_drop(&b->regs);
}

struct pci_func *pci_bus_find(struct pci_bus *b, unsigned slot)
{
	return func_at(b, 0, slot < MAX_PCI_SLOTS ? slot << 3 : ~0u);
}

bool pci_bus_has(struct pci_bus *b, const struct pci_func *f)
{
	bool has;

	lock_take(&b->regs);
	has = f->bus == b;
	lock_drop(&b->regs);
	return has;
}

static void func_reset(struct pci_bus *b, struct pci_func *f)
{
	for (unsigned i = 0; i < CFG_SIZE; i++)
		__atomic_store_n(&f->cfg[i], f->reset[i], __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 6; i++) {
		bar_unmap(b, &f->bar[i]);
		f->bar[i].wanted = 0;
		f->bar[i].homed = false;
		f->bar[i].written = 0;
	}
}

void pci_bus_reset(struct pci_bus *b)
{
	lock_take(&b->lock);
	lock_take(&b->regs);
	b->address = 0;
	b->reset_control = 0;
	for (unsigned s = 0; s < MAX_PCI_SLOTS; s++)
		if (b->func[s] != NULL)
			func_reset(b, b->func[s]);
	lock_drop(&b->regs);
	lock_drop(&b->lock);
}

int pci_bus_set_ecam(struct pci_bus *b, uint64_t base, unsigned buses, struct sill_err *e)
{
	bool there;

	assert(buses <= MAX_BUSES && (base & 0xfffff) == 0);
	lock_take(&b->regs);
	b->ecam_wanted = (struct ecam){ base, buses };
	settle(b);
	there = ecam_is_settled(b);
	lock_drop(&b->regs);
	if (!there)
		return sill_err_set(e, SILL_ERR_STATE, "no room for the ECAM at 0x%llx",
				    (unsigned long long)base);
	return 0;
}

uint64_t pci_bus_ecam(struct pci_bus *b, unsigned *ret_buses)
{
	struct ecam now;

	lock_take(&b->regs);
	now = b->ecam;
	lock_drop(&b->regs);
	*ret_buses = now.buses;
	return now.base;
}

void pci_bus_set_reset_control(struct pci_bus *b, void (*fn)(void *ctx, uint8_t val), void *ctx)
{
	b->reset_fn = fn;
	b->reset_ctx = ctx;
}

/* Eight pins, so that neighbours do not share one; INTA# of slot 0 is GSI 16. */
unsigned pci_intx_gsi(unsigned slot, unsigned pin)
{
	return 16 + ((slot + pin - 1) & 7);
}

/* --- saved state ------------------------------------------------------------ */

static void func_save(const struct pci_func *f, struct saver *s)
{
	save_bytes(s, f->cfg, sizeof(f->cfg));
	for (unsigned i = 0; i < 6; i++) {
		const struct pci_bar *r = &f->bar[i];

		save_u64(s, r->wanted);
		save_u64(s, r->mapped_at);
		save_u8(s, r->mapped);
		save_u8(s, r->homed);
		save_u8(s, r->written);
	}
}

void pci_bus_save(struct pci_bus *b, struct saver *s)
{
	lock_take(&b->lock);
	lock_take(&b->regs);
	save_begin(s, SAVE_TAG_BUS, 2);
	save_u32(s, b->address);
	save_u8(s, b->reset_control);
	save_u64(s, b->removals);
	for (unsigned i = 0; i < MAX_PCI_SLOTS; i++) {
		save_u64(s, b->left[i]);
		save_u8(s, b->func[i] != NULL);
		if (b->func[i] != NULL) {
			save_str(s, b->func[i]->name);
			func_save(b->func[i], s);
		}
	}
	save_end(s);
	lock_drop(&b->regs);
	lock_drop(&b->lock);
}

/* True when what was loaded into the BAR could have come about. */
static bool bar_is_sane(const struct pci_bus *b, const struct pci_bar *r, bool mapped)
{
	if (r->kind == PCI_BAR_NONE)
		return r->wanted == 0 && !mapped && !r->homed;
	if (((r->wanted | r->mapped_at) & (r->size - 1)) != 0 || (mapped && !r->homed))
		return false;
	return !r->homed || in_windows(b, r, r->mapped_at);
}

static void swap_slots(struct pci_bus *b, unsigned s, unsigned other)
{
	struct pci_func *f = b->func[s];

	b->func[s] = b->func[other];
	b->func[other] = f;
	if (b->func[s] != NULL)
		b->func[s]->slot = s;
	if (f != NULL)
		f->slot = other;
}

/* Is this @name, of the vendor and device in @cfg? An empty slot: @name NULL. */
static bool is_called(const struct pci_func *f, const char *name, const uint8_t *cfg)
{
	if (f == NULL || name == NULL)
		return f == NULL && name == NULL;
	return strcmp(f->name, name) == 0 && memcmp(f->cfg, cfg, PCI_COMMAND) == 0;
}

/*
 * Devices that came and went have left others in slots which a machine that is made anew would not
 * give them: what was in @s is put there. Slots below @s have what they had.
 */
static bool seat(struct pci_bus *b, unsigned s, const char *name, const uint8_t *cfg)
{
	if (is_called(b->func[s], name, cfg))
		return true;
	for (unsigned other = s + 1; s >= FIRST_FREE_SLOT && other <= LAST_FREE_SLOT; other++) {
		if (is_called(b->func[other], name, cfg)) {
			swap_slots(b, s, other);
			return true;
		}
	}
	return false;
}

/* What the guest cannot write must be as this function has it. Returns a bit per mapped BAR. */
static unsigned func_load(struct pci_func *f, const uint8_t cfg[CFG_SIZE], struct loader *l)
{
	unsigned mapped = 0;

	for (unsigned i = 0; i < CFG_SIZE; i++) {
		uint8_t mask = f->wmask[i] | f->w1cmask[i];
		uint8_t now = (uint8_t)((f->cfg[i] & ~mask) | (cfg[i] & mask));

		__atomic_store_n(&f->cfg[i], now, __ATOMIC_RELAXED);
	}
	for (unsigned i = 0; i < 6; i++) {
		struct pci_bar *r = &f->bar[i];

		r->wanted = load_u64(l);
		r->mapped_at = load_u64(l);
		mapped |= (load_bool(l) ? 1u : 0u) << i;
		r->homed = load_bool(l);
		r->written = load_u8(l);
		if (!bar_is_sane(f->bus, r, (mapped >> i & 1) != 0)) {
			r->homed = false;
			load_fail(l);
		}
	}
	return mapped;
}

/* What was in slot @s. Returns a bit per mapped BAR. */
static unsigned slot_load(struct pci_bus *b, unsigned s, struct loader *l)
{
	uint8_t cfg[CFG_SIZE];
	char name[NAME_ROOM];
	bool full;

	b->left[s] = load_u64(l);
	full = load_bool(l);
	if (full) {
		load_str(l, name, sizeof(name));
		load_bytes(l, cfg, sizeof(cfg));
	}
	if (b->left[s] > b->removals || l->failed || !seat(b, s, full ? name : NULL, cfg)) {
		b->left[s] = 0;
		load_fail(l);
		return 0;
	}
	if (!full)
		return 0;
	func_reset(b, b->func[s]);
	return func_load(b->func[s], cfg, l);
}

int pci_bus_load(struct pci_bus *b, struct loader *l, struct sill_err *e)
{
	unsigned mapped[MAX_PCI_SLOTS] = { 0 };

	lock_take(&b->lock);
	lock_take(&b->regs);
	(void)load_begin(l, SAVE_TAG_BUS, 2);
	b->address = load_u32(l) & ADDRESS_BITS;
	b->reset_control = load_u8(l) & RESET_BITS;
	b->removals = load_u64(l);
	for (unsigned s = 0; s < MAX_PCI_SLOTS && !l->failed; s++)
		mapped[s] = slot_load(b, s, l);
	/* Of a state that ended early, the other slots have what they had. */
	for (unsigned s = 0; s < MAX_PCI_SLOTS; s++)
		if (b->left[s] > b->removals)
			b->left[s] = 0;
	/* First the places that were in use, then whatever the registers want besides. */
	for (unsigned s = 0; s < MAX_PCI_SLOTS && !l->failed; s++) {
		for (unsigned i = 0; b->func[s] != NULL && i < 6; i++) {
			struct pci_bar *r = &b->func[s]->bar[i];

			if ((mapped[s] >> i & 1) != 0 && bar_decodes(b->func[s], r))
				(void)bar_put(b, r, r->mapped_at);
		}
	}
	settle(b);
	lock_drop(&b->regs);
	lock_drop(&b->lock);
	return load_end(l, "the PCI bus", e);
}
