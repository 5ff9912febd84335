/* SPDX-License-Identifier: Apache-2.0 */
/* pcihp.c - see pcihp.h. */
#include "devices/acpi/pcihp.h"

#include <assert.h>

#include "bus/pci.h"
#include "devices/acpi/pm.h"
#include "devices/dev.h"

enum {
	REG_UP = 0x00,
	REG_DOWN = 0x04,
	REG_EJECT = 0x08,
	REG_REMOVABLE = 0x0c,
	REG_BUS = 0x10,
	REG_INDEX = 0x14,
};

enum { SAVE_VERSION = 1 };

/* Bits of slots; all of it under the device's lock. */
struct pcihp {
	struct dev *pm; /* borrowed; NULL: none */
	uint32_t up, down;
	uint32_t asked;   /* until it has gone, whether the guest has read it or not */
	uint32_t ejected; /* for pcihp_take_ejected() */
	uint32_t fixed;   /* atomic, written under the lock */
	uint32_t bus;
};

static void set_fixed(struct pcihp *s, uint32_t slots)
{
	__atomic_store_n(&s->fixed, slots, __ATOMIC_RELAXED);
}

static uint32_t bit(unsigned slot)
{
	assert(slot < 32 && (PCIHP_SLOTS >> slot & 1) != 0);
	return 1u << slot;
}

static void raise_event(struct dev *d)
{
	const struct pcihp *s = d->state;

	if (s->pm != NULL)
		pm_raise_gpe(s->pm, PM_GPE_PCI);
}

/* --- the guest's side ------------------------------------------------------- */

static void eject(struct dev *d, uint32_t slots)
{
	struct pcihp *s = d->state;

	slots &= PCIHP_SLOTS & ~s->fixed;
	for (unsigned slot = 0; slot < 32; slot++) {
		struct pci_func *f;

		if ((slots >> slot & 1) == 0)
			continue;
		/* Its memory stays until no vCPU can be here: the owner parks them first. */
		f = pci_bus_find(d->env->pci, slot);
		if (f == NULL)
			continue;
		pci_bus_remove(d->env->pci, f);
		s->up &= ~bit(slot);
		s->down &= ~bit(slot);
		s->asked &= ~bit(slot);
		s->ejected |= bit(slot);
	}
	if (s->ejected != 0)
		dev_progress(d);
}

static uint32_t take(uint32_t *bits)
{
	const uint32_t now = *bits;

	*bits = 0;
	return now;
}

static uint32_t reg_read(struct pcihp *s, uint64_t off)
{
	if (off == REG_BUS)
		return s->bus;
	if (s->bus != 0)
		return 0;
	switch (off) {
	case REG_UP:
		return take(&s->up);
	case REG_DOWN:
		return take(&s->down);
	case REG_REMOVABLE:
		return PCIHP_SLOTS & ~s->fixed;
	default:
		return 0;
	}
}

static enum io_result pcihp_io(struct dev *d, unsigned region, struct io *io)
{
	struct pcihp *s = d->state;

	(void)region;
	if (io->size != 4 || (io->off & 3) != 0) {
		if (!io->write)
			io->val = 0;
		return IO_DONE;
	}
	if (!io->write)
		io->val = reg_read(s, io->off);
	else if (io->off == REG_BUS)
		s->bus = (uint32_t)io->val;
	else if (io->off == REG_EJECT && s->bus == 0)
		eject(d, (uint32_t)io->val);
	return IO_DONE;
}

/* --- the machine's side ------------------------------------------------------- */

void pcihp_added(struct dev *d, unsigned slot)
{
	struct pcihp *s = d->state;

	assert(d->ops == &pcihp_ops);
	dev_take(d);
	s->up |= bit(slot);
	raise_event(d);
	dev_drop(d);
}

void pcihp_ask(struct dev *d, unsigned slot)
{
	struct pcihp *s = d->state;

	assert(d->ops == &pcihp_ops);
	dev_take(d);
	/* Not when it has just been ejected: whoever comes next into the slot was not asked for. */
	if (pci_bus_find(d->env->pci, slot) != NULL) {
		s->asked |= bit(slot);
		s->down |= bit(slot);
		raise_event(d);
	}
	dev_drop(d);
}

bool pcihp_tell_again(struct dev *d, unsigned slot)
{
	const struct pcihp *s = d->state;
	bool unread;

	assert(d->ops == &pcihp_ops);
	dev_take(d);
	unread = (s->up & bit(slot)) != 0;
	if (unread)
		raise_event(d);
	dev_drop(d);
	return unread;
}

bool pcihp_has_read(struct dev *d, unsigned slot)
{
	const struct pcihp *s = d->state;
	bool read;

	assert(d->ops == &pcihp_ops);
	dev_take(d);
	read = (s->down & bit(slot)) == 0;
	dev_drop(d);
	return read;
}

bool pcihp_heard(const struct dev *d)
{
	const struct pcihp *s = d->state;

	return s->pm != NULL && pm_hears(s->pm, PM_GPE_PCI);
}

void pcihp_gone(struct dev *d, unsigned slot)
{
	struct pcihp *s = d->state;

	dev_take(d);
	s->up &= ~bit(slot);
	s->down &= ~bit(slot);
	s->asked &= ~bit(slot);
	dev_drop(d);
}

uint32_t pcihp_take_ejected(struct dev *d)
{
	struct pcihp *s = d->state;
	uint32_t slots;

	dev_take(d);
	slots = take(&s->ejected);
	dev_drop(d);
	return slots;
}

uint32_t pcihp_asked(struct dev *d)
{
	const struct pcihp *s = d->state;
	uint32_t slots;

	dev_take(d);
	slots = s->asked;
	dev_drop(d);
	return slots;
}

void pcihp_fix(struct dev *d, unsigned slot)
{
	struct pcihp *s = d->state;

	dev_take(d);
	set_fixed(s, s->fixed | bit(slot));
	dev_drop(d);
}

uint32_t pcihp_fixed(const struct dev *d)
{
	const struct pcihp *s = d->state;

	return __atomic_load_n(&s->fixed, __ATOMIC_RELAXED);
}

/* --- life ----------------------------------------------------------------------- */

static int pcihp_init(struct dev *d, struct sill_err *e)
{
	const struct pcihp_config *c = d->config;
	struct pcihp *s = d->state;

	(void)e;
	s->pm = c != NULL ? c->pm : NULL;
	return 0;
}

/* What has been ejected stays so, whether its owner has looked or not; tables are made anew. */
static void pcihp_reset(struct dev *d)
{
	struct pcihp *s = d->state;

	s->up = s->down = s->asked = 0;
	s->bus = 0;
	for (unsigned slot = 0; slot < 32; slot++)
		if ((s->fixed >> slot & 1) != 0 && pci_bus_find(d->env->pci, slot) == NULL)
			set_fixed(s, s->fixed & ~bit(slot));
}

static int pcihp_save(struct dev *d, struct saver *out)
{
	const struct pcihp *s = d->state;

	/* The machine says it before: a device is being taken out. */
	if (s->ejected != 0)
		return -1;
	save_begin(out, SAVE_TAG('p', 'c', 'h', 'p'), SAVE_VERSION);
	save_u32(out, s->up);
	save_u32(out, s->down);
	save_u32(out, s->asked);
	save_u32(out, s->fixed);
	save_u32(out, s->bus);
	save_end(out);
	return 0;
}

static int pcihp_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct pcihp *s = d->state;
	struct pcihp now = { 0 };
	uint32_t fixed;

	(void)load_begin(l, SAVE_TAG('p', 'c', 'h', 'p'), SAVE_VERSION);
	now.up = load_u32(l);
	now.down = load_u32(l);
	now.asked = load_u32(l);
	fixed = load_u32(l);
	now.bus = load_u32(l);
	/* Only what is there can have been asked for. */
	if (((now.up | now.asked | fixed) & ~PCIHP_SLOTS) != 0 || (now.down & ~now.asked) != 0 ||
	    (now.asked & fixed) != 0)
		load_fail(l);
	for (unsigned slot = 0; slot < 32; slot++)
		if ((now.asked >> slot & 1) != 0 && pci_bus_find(d->env->pci, slot) == NULL)
			load_fail(l);
	if (load_end(l, d->id, e) < 0)
		return -1;
	s->up = now.up;
	s->down = now.down;
	s->asked = now.asked;
	s->ejected = 0;
	s->bus = now.bus;
	set_fixed(s, fixed);
	return 0;
}

const struct dev_ops pcihp_ops = {
	.type = "pcihp",
	.state_size = sizeof(struct pcihp),
	.init = pcihp_init,
	.io = pcihp_io,
	.reset = pcihp_reset,
	.save = pcihp_save,
	.load = pcihp_load,
};
