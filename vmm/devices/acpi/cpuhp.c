/* SPDX-License-Identifier: Apache-2.0 */
/* cpuhp.c - see cpuhp.h. */
#include "devices/acpi/cpuhp.h"

#include <assert.h>
#include <string.h>

#include "devices/acpi/pm.h"
#include "devices/dev.h"
#include "sill/config.h"

enum { REG_SELECTOR = 0x0, REG_FLAGS = 0x4, REG_COMMAND = 0x5, REG_DATA = 0x8 };

enum {
	FLAG_ENABLED = 1 << 0,
	FLAG_INSERT = 1 << 1,
	FLAG_REMOVE = 1 << 2,
	CONTROL_EJECT = 1 << 3,
};

enum command { CMD_NEXT, CMD_OST_EVENT, CMD_OST_STATUS, CMD_ARCH_ID, CMD_COUNT };

/* ACPI 6.5, 6.3.5: _OST of an ejection. */
enum { OST_EJECT = 3, OST_SUCCESS = 0, OST_IN_PROGRESS = 0x84 };

enum { WORD = 64, WORDS = (SILL_MAX_CPUS + WORD - 1) / WORD };

/* The bits of what is saved. */
enum {
	SAVED_PRESENT = 1 << 0,
	SAVED_INSERT = 1 << 1,
	SAVED_REMOVE = 1 << 2,
	SAVED_ASKED = 1 << 3,
	SAVED_KEPT = 1 << 4,
	SAVED_ANSWER_SHIFT = 5, /* two bits */
};

struct processor {
	uint32_t apic_id;
	bool insert, remove;
	bool asked; /* may be ejected; the guest's acknowledging of "remove" leaves it */
	bool kept;  /* a request was taken back that the guest may be carrying out */
	enum cpuhp_answer answer;
	uint32_t ost_event, ost_status;
};

struct cpuhp {
	struct dev *pm; /* borrowed */
	unsigned count;
	uint64_t present[WORDS]; /* atomic; written under the lock */
	uint32_t selector;
	enum command command;
	struct processor cpu[SILL_MAX_CPUS];
};

static bool is_present(const struct cpuhp *s, unsigned i)
{
	return (__atomic_load_n(&s->present[i / WORD], __ATOMIC_ACQUIRE) >> i % WORD & 1) != 0;
}

static void set_present(struct cpuhp *s, unsigned i, bool present)
{
	const uint64_t bit = 1ull << i % WORD;

	if (present)
		(void)__atomic_or_fetch(&s->present[i / WORD], bit, __ATOMIC_RELEASE);
	else
		(void)__atomic_and_fetch(&s->present[i / WORD], ~bit, __ATOMIC_RELEASE);
}

static void forget_request(struct processor *c)
{
	c->remove = c->asked = c->kept = false;
	c->answer = CPUHP_NOT_ASKED;
}

/* --- the guest's accesses ------------------------------------------------- */

/* From the selected one on, once around. */
static void select_next(struct cpuhp *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		const unsigned at = (s->selector + i) % s->count;

		if (s->cpu[at].insert || s->cpu[at].remove) {
			s->selector = at;
			return;
		}
	}
}

static void eject(struct dev *d)
{
	struct cpuhp *s = d->state;
	struct processor *c = &s->cpu[s->selector];

	if (!is_present(s, s->selector))
		return;
	if (c->asked) { /* never the first one */
		set_present(s, s->selector, false);
		c->insert = false;
		forget_request(c);
		dev_answered(d);
	} else if (c->kept) {
		/* It has let go of one that may stay: let it look again. */
		c->kept = false;
		c->insert = true;
		pm_raise_gpe(s->pm, PM_GPE_CPU);
	}
}

static void control(struct dev *d, uint8_t v)
{
	struct cpuhp *s = d->state;
	struct processor *c = &s->cpu[s->selector];

	if ((v & FLAG_INSERT) != 0)
		c->insert = false;
	else if ((v & FLAG_REMOVE) != 0)
		c->remove = false;
	else if ((v & CONTROL_EJECT) != 0)
		eject(d);
}

static void ost_status(struct dev *d, uint32_t status)
{
	struct cpuhp *s = d->state;
	struct processor *c = &s->cpu[s->selector];

	c->ost_status = status;
	if (c->ost_event != OST_EJECT || !c->asked || c->answer == CPUHP_REFUSED)
		return;
	if (status == OST_IN_PROGRESS) {
		c->answer = CPUHP_AT_IT;
	} else if (status != OST_SUCCESS && !pm_is_new(s->pm)) {
		c->answer = CPUHP_REFUSED; /* until it is asked again: a guest says it once */
		dev_answered(d);
	}
}

static void reg_write(struct dev *d, const struct io *io)
{
	struct cpuhp *s = d->state;

	if (io->off == REG_SELECTOR && io->size == 4) {
		s->selector = (uint32_t)io->val;
		return;
	}
	if (s->selector >= s->count)
		return;
	if (io->off == REG_FLAGS && io->size == 1) {
		control(d, (uint8_t)io->val);
	} else if (io->off == REG_COMMAND && io->size == 1 && io->val < CMD_COUNT) {
		s->command = (enum command)io->val;
		if (s->command == CMD_NEXT)
			select_next(s);
	} else if (io->off == REG_DATA && io->size == 4) {
		if (s->command == CMD_OST_EVENT)
			s->cpu[s->selector].ost_event = (uint32_t)io->val;
		else if (s->command == CMD_OST_STATUS)
			ost_status(d, (uint32_t)io->val);
	}
}

static uint32_t reg_read(const struct cpuhp *s, const struct io *io)
{
	const struct processor *c;

	if (s->selector >= s->count)
		return 0;
	c = &s->cpu[s->selector];
	if (io->off == REG_FLAGS && io->size == 1)
		return (is_present(s, s->selector) ? FLAG_ENABLED : 0u) |
		       (c->insert ? FLAG_INSERT : 0u) | (c->remove ? FLAG_REMOVE : 0u);
	if (io->off == REG_DATA && io->size == 4) {
		if (s->command == CMD_NEXT)
			return s->selector;
		if (s->command == CMD_ARCH_ID)
			return c->apic_id;
	}
	return 0;
}

static enum io_result cpuhp_io(struct dev *d, unsigned region, struct io *io)
{
	(void)region;
	if (io->write)
		reg_write(d, io);
	else
		io->val = reg_read(d->state, io);
	return IO_DONE;
}

/* --- the machine's side ---------------------------------------------------- */

bool cpuhp_is_present(const struct dev *d, unsigned index)
{
	const struct cpuhp *s = d->state;

	return index < s->count && is_present(s, index);
}

void cpuhp_add(struct dev *d, unsigned index)
{
	struct cpuhp *s = d->state;

	assert(d->ops == &cpuhp_ops && index < s->count);
	dev_take(d);
	forget_request(&s->cpu[index]);
	s->cpu[index].insert = true;
	set_present(s, index, true);
	pm_raise_gpe(s->pm, PM_GPE_CPU);
	dev_drop(d);
}

void cpuhp_ask(struct dev *d, unsigned index)
{
	struct cpuhp *s = d->state;
	struct processor *c;

	assert(d->ops == &cpuhp_ops && index != 0 && index < s->count);
	dev_take(d);
	c = &s->cpu[index];
	if (is_present(s, index)) {
		c->asked = c->remove = true;
		c->kept = false;
		c->answer = CPUHP_NO_ANSWER;
		pm_raise_gpe(s->pm, PM_GPE_CPU);
	}
	dev_drop(d);
}

bool cpuhp_tell_again(struct dev *d)
{
	const struct cpuhp *s = d->state;
	bool unread = false;

	assert(d->ops == &cpuhp_ops);
	dev_take(d);
	for (unsigned i = 0; i < s->count; i++)
		unread |= s->cpu[i].insert || s->cpu[i].remove;
	if (unread)
		pm_raise_gpe(s->pm, PM_GPE_CPU);
	dev_drop(d);
	return unread;
}

void cpuhp_keep(struct dev *d, unsigned index)
{
	struct cpuhp *s = d->state;
	struct processor *c;

	assert(d->ops == &cpuhp_ops && index < s->count);
	dev_take(d);
	c = &s->cpu[index];
	if (c->asked) {
		const bool heard = !c->remove;

		forget_request(c);
		c->kept = heard;
	}
	dev_drop(d);
}

enum cpuhp_answer cpuhp_answer(struct dev *d, unsigned index)
{
	struct cpuhp *s = d->state;
	enum cpuhp_answer a;

	assert(d->ops == &cpuhp_ops && index < s->count);
	dev_take(d);
	a = s->cpu[index].answer;
	dev_drop(d);
	return a;
}

/* --- life -------------------------------------------------------------------- */

static int cpuhp_init(struct dev *d, struct sill_err *e)
{
	const struct cpuhp_config *c = d->config;
	struct cpuhp *s = d->state;

	if (c->count == 0 || c->count > SILL_MAX_CPUS || c->present == 0 || c->present > c->count)
		return sill_err_set(e, SILL_ERR_INTERNAL, "%u of %u processors", c->present,
				    c->count);
	s->pm = c->pm;
	s->count = c->count;
	for (unsigned i = 0; i < s->count; i++) {
		s->cpu[i].apic_id = c->apic_ids[i];
		set_present(s, i, i < c->present);
	}
	return 0;
}

/* What the guest was asked for goes now, whether it has answered or not. */
static void cpuhp_reset(struct dev *d)
{
	struct cpuhp *s = d->state;
	bool gone = false;

	for (unsigned i = 0; i < s->count; i++) {
		struct processor *c = &s->cpu[i];

		if (c->asked) {
			set_present(s, i, false);
			gone = true;
		}
		forget_request(c);
		c->insert = false;
		c->ost_event = c->ost_status = 0;
	}
	s->selector = 0;
	s->command = CMD_NEXT;
	if (gone)
		dev_answered(d);
}

static int cpuhp_save(struct dev *d, struct saver *out)
{
	const struct cpuhp *s = d->state;

	save_begin(out, SAVE_TAG('c', 'p', 'h', 'p'), 1);
	save_u32(out, s->count);
	save_u32(out, s->selector);
	save_u8(out, (uint8_t)s->command);
	for (unsigned i = 0; i < s->count; i++) {
		const struct processor *c = &s->cpu[i];

		save_u8(out,
			(uint8_t)((is_present(s, i) ? SAVED_PRESENT : 0) |
				  (c->insert ? SAVED_INSERT : 0) | (c->remove ? SAVED_REMOVE : 0) |
				  (c->asked ? SAVED_ASKED : 0) | (c->kept ? SAVED_KEPT : 0) |
				  (unsigned)c->answer << SAVED_ANSWER_SHIFT));
		save_u32(out, c->ost_event);
		save_u32(out, c->ost_status);
	}
	save_end(out);
	return 0;
}

/* One of those of cpuhp_save(); the first processor is there, and nobody asks for it. */
static bool load_processor(struct loader *l, bool first, struct processor *ret, bool *ret_present)
{
	const uint8_t v = load_u8(l);

	*ret_present = (v & SAVED_PRESENT) != 0;
	ret->insert = (v & SAVED_INSERT) != 0;
	ret->remove = (v & SAVED_REMOVE) != 0;
	ret->asked = (v & SAVED_ASKED) != 0;
	ret->kept = (v & SAVED_KEPT) != 0;
	ret->answer = (enum cpuhp_answer)(v >> SAVED_ANSWER_SHIFT & 3);
	ret->ost_event = load_u32(l);
	ret->ost_status = load_u32(l);
	if (v >> (SAVED_ANSWER_SHIFT + 2) != 0 || ((ret->insert || ret->asked) && !*ret_present) ||
	    (ret->remove && !ret->asked) || ret->asked != (ret->answer != CPUHP_NOT_ASKED))
		return false;
	return !first || (*ret_present && !ret->asked);
}

static int cpuhp_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct cpuhp *s = d->state;
	struct processor cpu[SILL_MAX_CPUS] = { 0 };
	bool present[SILL_MAX_CPUS] = { false };
	uint32_t selector;
	uint8_t command;

	(void)load_begin(l, SAVE_TAG('c', 'p', 'h', 'p'), 1);
	if (load_u32(l) != s->count)
		load_fail(l);
	selector = load_u32(l);
	command = load_u8(l);
	if (command >= CMD_COUNT)
		load_fail(l);
	for (unsigned i = 0; i < s->count; i++) {
		if (!load_processor(l, i == 0, &cpu[i], &present[i]))
			load_fail(l);
		cpu[i].apic_id = s->cpu[i].apic_id;
	}
	if (load_end(l, d->id, e) < 0)
		return -1;
	s->selector = selector;
	s->command = (enum command)command;
	memcpy(s->cpu, cpu, sizeof(cpu));
	for (unsigned i = 0; i < s->count; i++)
		set_present(s, i, present[i]);
	return 0;
}

const struct dev_ops cpuhp_ops = {
	.type = "cpuhp",
	.state_size = sizeof(struct cpuhp),
	.init = cpuhp_init,
	.io = cpuhp_io,
	.reset = cpuhp_reset,
	.save = cpuhp_save,
	.load = cpuhp_load,
};
