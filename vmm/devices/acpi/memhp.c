/* SPDX-License-Identifier: Apache-2.0 */
/* memhp.c - see memhp.h. */
#include "devices/acpi/memhp.h"

#include <assert.h>

#include "devices/acpi/pm.h"
#include "devices/dev.h"

enum {
	REG_ADDRESS_LOW = 0x00,
	REG_ADDRESS_HIGH = 0x04,
	REG_SIZE_LOW = 0x08,
	REG_SIZE_HIGH = 0x0c,
	REG_DOMAIN = 0x10,
	REG_FLAGS = 0x14,
	/* The same, written: */
	REG_SELECTOR = 0x00,
	REG_OST_EVENT = 0x04,
	REG_OST_STATUS = 0x08,
};

enum {
	FLAG_ENABLED = 1 << 0,
	FLAG_INSERT = 1 << 1,
	FLAG_REMOVE = 1 << 2,
	CONTROL_EJECT = 1 << 3,
};

/* ACPI 6.5, 6.3.5: _OST of an ejection. */
enum { OST_EJECT = 3, OST_SUCCESS = 0, OST_IN_PROGRESS = 0x84 };

enum { SAVED_INSERT = 1 << 0, SAVED_REMOVE = 1 << 1, SAVED_KEPT = 1 << 2, SAVED_ALL = 7 };

struct slot {
	struct memhp_module m;
	bool insert, remove;
	bool kept; /* a request was taken back that the guest may be carrying out */
	uint32_t ost_event, ost_status;
};

struct memhp {
	struct dev *pm; /* borrowed */
	uint32_t selector;
	struct slot slot[MEMHP_SLOTS];
};

static bool is_asked(const struct slot *s)
{
	return s->m.state == MEMHP_NO_ANSWER || s->m.state == MEMHP_AT_IT ||
	       s->m.state == MEMHP_REFUSED;
}

/* Does the guest see it in its slot? */
static bool is_enabled(const struct slot *s)
{
	return s->m.state == MEMHP_THERE || is_asked(s);
}

/* --- the guest's accesses ------------------------------------------------- */

static void eject(struct dev *d, struct slot *s)
{
	struct memhp *hp = d->state;

	if (is_asked(s)) {
		s->m = (struct memhp_module){ .state = MEMHP_EMPTY };
		s->insert = s->remove = s->kept = false;
		dev_answered(d);
	} else if (s->kept && is_enabled(s)) {
		/* It has let go of one that may stay: let it look again. */
		s->kept = false;
		s->insert = true;
		pm_raise_gpe(hp->pm, PM_GPE_MEMORY);
	}
}

static void control(struct dev *d, struct slot *s, uint8_t v)
{
	if ((v & FLAG_INSERT) != 0)
		s->insert = false;
	else if ((v & FLAG_REMOVE) != 0)
		s->remove = false;
	else if ((v & CONTROL_EJECT) != 0)
		eject(d, s);
}

static void ost_status(struct dev *d, struct slot *s, uint32_t status)
{
	const struct memhp *hp = d->state;

	s->ost_status = status;
	if (s->ost_event != OST_EJECT || !is_asked(s) || s->m.state == MEMHP_REFUSED)
		return;
	if (status == OST_IN_PROGRESS) {
		s->m.state = MEMHP_AT_IT;
	} else if (status != OST_SUCCESS && !pm_is_new(hp->pm)) {
		s->m.state = MEMHP_REFUSED; /* until it is asked again: a guest says it once */
		dev_answered(d);
	}
}

static void reg_write(struct dev *d, const struct io *io)
{
	struct memhp *hp = d->state;
	struct slot *s;

	if (io->off == REG_SELECTOR && io->size == 4) {
		hp->selector = (uint32_t)io->val;
		return;
	}
	if (hp->selector >= MEMHP_SLOTS)
		return;
	s = &hp->slot[hp->selector];
	if (io->off == REG_OST_EVENT && io->size == 4)
		s->ost_event = (uint32_t)io->val;
	else if (io->off == REG_OST_STATUS && io->size == 4)
		ost_status(d, s, (uint32_t)io->val);
	else if (io->off == REG_FLAGS && io->size == 1)
		control(d, s, (uint8_t)io->val);
}

static uint32_t reg_read(const struct memhp *hp, const struct io *io)
{
	const struct slot *s;

	if (io->off > REG_FLAGS)
		return (uint32_t)(0xffffffffull >> (32 - 8 * (io->size < 4 ? io->size : 4)));
	if (hp->selector >= MEMHP_SLOTS || io->size != (io->off == REG_FLAGS ? 1 : 4))
		return 0;
	s = &hp->slot[hp->selector];
	if (io->off == REG_FLAGS)
		return (is_enabled(s) ? FLAG_ENABLED : 0u) | (s->insert ? FLAG_INSERT : 0u) |
		       (s->remove ? FLAG_REMOVE : 0u);
	if (!is_enabled(s))
		return 0;
	switch (io->off) {
	case REG_ADDRESS_LOW:
		return (uint32_t)s->m.base;
	case REG_ADDRESS_HIGH:
		return (uint32_t)(s->m.base >> 32);
	case REG_SIZE_LOW:
		return (uint32_t)s->m.size;
	case REG_SIZE_HIGH:
		return (uint32_t)(s->m.size >> 32);
	default: /* REG_DOMAIN: there is one */
		return 0;
	}
}

static enum io_result memhp_io(struct dev *d, unsigned region, struct io *io)
{
	(void)region;
	if (io->write)
		reg_write(d, io);
	else
		io->val = reg_read(d->state, io);
	return IO_DONE;
}

/* --- the machine's side ---------------------------------------------------- */

static struct slot *slot_of(struct dev *d, unsigned slot)
{
	struct memhp *hp = d->state;

	assert(d->ops == &memhp_ops && slot < MEMHP_SLOTS);
	return &hp->slot[slot];
}

void memhp_module(struct dev *d, unsigned slot, struct memhp_module *ret)
{
	dev_take(d);
	*ret = slot_of(d, slot)->m;
	dev_drop(d);
}

void memhp_add(struct dev *d, unsigned slot, uint64_t base, uint64_t size)
{
	struct memhp *hp = d->state;
	struct slot *s = slot_of(d, slot);

	assert(size != 0);
	dev_take(d);
	assert(s->m.state == MEMHP_EMPTY);
	s->m = (struct memhp_module){ .base = base, .size = size, .state = MEMHP_THERE };
	s->insert = true;
	s->remove = s->kept = false;
	pm_raise_gpe(hp->pm, PM_GPE_MEMORY);
	dev_drop(d);
}

void memhp_ask(struct dev *d, unsigned slot)
{
	struct memhp *hp = d->state;
	struct slot *s = slot_of(d, slot);

	dev_take(d);
	if (s->m.state == MEMHP_FOLDED) {
		s->m.state = MEMHP_FOLDED_ASKED;
	} else if (is_enabled(s)) {
		s->m.state = MEMHP_NO_ANSWER;
		s->remove = true;
		s->kept = false;
		pm_raise_gpe(hp->pm, PM_GPE_MEMORY);
	}
	dev_drop(d);
}

bool memhp_tell_again(struct dev *d)
{
	const struct memhp *hp = d->state;
	bool unread = false;

	assert(d->ops == &memhp_ops);
	dev_take(d);
	for (unsigned i = 0; i < MEMHP_SLOTS; i++)
		unread |= hp->slot[i].insert || hp->slot[i].remove;
	if (unread)
		pm_raise_gpe(hp->pm, PM_GPE_MEMORY);
	dev_drop(d);
	return unread;
}

void memhp_keep(struct dev *d, unsigned slot)
{
	struct slot *s = slot_of(d, slot);

	dev_take(d);
	if (s->m.state == MEMHP_FOLDED_ASKED) {
		s->m.state = MEMHP_FOLDED;
	} else if (is_asked(s)) {
		s->kept = !s->remove;
		s->remove = false;
		s->m.state = MEMHP_THERE;
	}
	dev_drop(d);
}

/* --- life -------------------------------------------------------------------- */

static int memhp_init(struct dev *d, struct sill_err *e)
{
	const struct memhp_config *c = d->config;
	struct memhp *hp = d->state;

	(void)e;
	hp->pm = c->pm;
	return 0;
}

static void memhp_reset(struct dev *d)
{
	struct memhp *hp = d->state;
	bool gone = false;

	for (unsigned i = 0; i < MEMHP_SLOTS; i++) {
		struct slot *s = &hp->slot[i];
		struct memhp_module m = s->m;

		if (is_asked(s) || m.state == MEMHP_FOLDED_ASKED) {
			m = (struct memhp_module){ .state = MEMHP_EMPTY };
			gone = true;
		} else if (m.state == MEMHP_THERE) {
			m.state = MEMHP_FOLDED;
		}
		*s = (struct slot){ .m = m };
	}
	hp->selector = 0;
	if (gone)
		dev_answered(d);
}

static int memhp_save(struct dev *d, struct saver *out)
{
	const struct memhp *hp = d->state;

	save_begin(out, SAVE_TAG('m', 'm', 'h', 'p'), 1);
	save_u32(out, hp->selector);
	for (unsigned i = 0; i < MEMHP_SLOTS; i++) {
		const struct slot *s = &hp->slot[i];

		save_u64(out, s->m.base);
		save_u64(out, s->m.size);
		save_u8(out, (uint8_t)s->m.state);
		save_u8(out,
			(uint8_t)((s->insert ? SAVED_INSERT : 0) | (s->remove ? SAVED_REMOVE : 0) |
				  (s->kept ? SAVED_KEPT : 0)));
		save_u32(out, s->ost_event);
		save_u32(out, s->ost_status);
	}
	save_end(out);
	return 0;
}

/* Where a module may be is not known here: who maps them checks that. */
static void load_slot(struct loader *l, struct slot *ret)
{
	uint8_t state, flags;

	ret->m.base = load_u64(l);
	ret->m.size = load_u64(l);
	state = load_u8(l);
	flags = load_u8(l);
	ret->ost_event = load_u32(l);
	ret->ost_status = load_u32(l);
	if (state > MEMHP_FOLDED_ASKED || (flags & ~SAVED_ALL) != 0) {
		load_fail(l);
		return;
	}
	ret->m.state = (enum memhp_state)state;
	ret->insert = (flags & SAVED_INSERT) != 0;
	ret->remove = (flags & SAVED_REMOVE) != 0;
	ret->kept = (flags & SAVED_KEPT) != 0;
	if ((ret->m.size != 0) != (state != MEMHP_EMPTY) ||
	    (state == MEMHP_EMPTY && ret->m.base != 0) || (flags != 0 && !is_enabled(ret)) ||
	    (ret->remove && !is_asked(ret)))
		load_fail(l);
}

static int memhp_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct memhp *hp = d->state;
	struct memhp is = { .pm = hp->pm };

	(void)load_begin(l, SAVE_TAG('m', 'm', 'h', 'p'), 1);
	is.selector = load_u32(l);
	for (unsigned i = 0; i < MEMHP_SLOTS; i++)
		load_slot(l, &is.slot[i]);
	if (load_end(l, d->id, e) < 0)
		return -1;
	*hp = is;
	return 0;
}

const struct dev_ops memhp_ops = {
	.type = "memhp",
	.state_size = sizeof(struct memhp),
	.init = memhp_init,
	.io = memhp_io,
	.reset = memhp_reset,
	.save = memhp_save,
	.load = memhp_load,
};
