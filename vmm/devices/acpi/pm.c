/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pm.c - see pm.h.
 *
 * How it works: TMR_STS is never stored. The timer's top bit changes every
 * 2^23 ticks, so "it has changed since the guest last cleared TMR_STS" is a
 * comparison of two numbers of half periods. A host timer runs only while the
 * guest wants the interrupt (TMR_EN) and does not have it yet (TMR_STS clear).
 */
#include "devices/acpi/pm.h"

#include <assert.h>
#include <string.h>

#include "devices/dev.h"

enum {
	REG_PM1_STS = 0x00,
	REG_PM1_EN = 0x02,
	REG_PM1_CNT = 0x04,
	REG_PM1_CNT_HIGH = 0x05,
	REG_PM1_END = 0x06,
	REG_TMR = 0x08,
	REG_TMR_END = 0x0c,
	REG_GPE_STS = 0x20,
	REG_GPE_EN = 0x28,
	REG_GPE_END = 0x30,
};

enum {
	PM1_TMR = 1 << 0,
	PM1_PWRBTN = 1 << 8,
	/* Events that raise the SCI: TMR, GBL, PWRBTN, RTC. */
	PM1_SCI_EVENTS = 0x0521,
	/* What may ever be set in our PM1a_STS besides TMR_STS. */
	PM1_STS_STORED = PM1_PWRBTN,

	CNT_SCI_EN = 1 << 0,
	CNT_BM_RLD = 1 << 1,
	CNT_SLP_TYP = 7 << 10,
	CNT_STORED = CNT_BM_RLD | CNT_SLP_TYP,
	/* In the high byte: */
	CNT_HIGH_SLP_EN = 1 << 5,
	CNT_HIGH_SLP_TYP_SHIFT = 2,

	CLOUDHV_OFF = 0x34,
	GPE_BYTES = PM_GPE_COUNT / 8,
	TMR_BITS = 24,
};

/* Ours, see pm_is_new(): Linux takes less than a second on hardware, an emulator some. */
static const uint64_t NEW_NS = 10000000000ull;

struct pm {
	struct dev *dev; /* borrowed, for the timer's callback */
	struct lock lock;
	/* Under lock: all below. */
	uint16_t sts, en, cnt;
	uint8_t gpe_sts[GPE_BYTES], gpe_en[GPE_BYTES];
	uint8_t gpe_heard[GPE_BYTES]; /* enabled once; it is not while the guest handles one */
	uint64_t heard_ns;    /* guest time at which one was for the first time; 0: long ago */
	uint64_t tmr_cleared; /* number of the half period in which TMR_STS was last cleared */
	struct loop_timer timer;
	bool paused;
};

/* 3,579,545 Hz in lowest terms: 715,909 ticks are 200,000,000 ns. */
static const uint64_t TICKS = 715909, TICKS_NS = 200000000;

/*
 * floor(ns * TICKS / TICKS_NS) without a division: multiply with the reciprocal
 * rounded up, 2^72 * TICKS / TICKS_NS, which is too large by less than one
 * tick for every 64-bit ns, then see from the remainder (exact in 64 bits)
 * whether it was.
 */
static uint64_t ticks_at(uint64_t ns)
{
	static const uint64_t reciprocal =
		(uint64_t)((((unsigned __int128)715909 << 72) + 199999999) / 200000000);
	uint64_t t = (uint64_t)((unsigned __int128)ns * reciprocal >> 72);

	if ((int64_t)(ns * TICKS - t * TICKS_NS) < 0)
		t--;
	return t;
}

/* The first nanosecond at which ticks_at() reaches @ticks. */
static uint64_t ns_at(uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * TICKS_NS + TICKS - 1) / TICKS);
}

static uint64_t ticks_now(const struct dev *d)
{
	return ticks_at(vmclock_now(d->env->clock));
}

/* No host time at which the guest's would be reached: resume() comes first. */
static bool clock_stands(const struct dev *d)
{
	return __atomic_load_n(&d->env->clock->frozen, __ATOMIC_RELAXED);
}

static bool tmr_sts(const struct pm *s, uint64_t ticks)
{
	return ticks >> (TMR_BITS - 1) != s->tmr_cleared;
}

/* Bring the interrupt and the host timer up to date with the registers. */
static void update_locked(struct pm *s) REQUIRES(s->lock)
{
	struct dev *d = s->dev;
	const uint64_t ticks = ticks_now(d);
	const bool tmr = tmr_sts(s, ticks);
	unsigned active = s->sts | (tmr ? PM1_TMR : 0);

	active &= s->en & PM1_SCI_EVENTS;
	for (unsigned i = 0; i < GPE_BYTES; i++)
		active |= s->gpe_sts[i] & s->gpe_en[i];
	irq_line_set(&d->irq, active != 0);

	if ((s->en & PM1_TMR) != 0 && !tmr && !s->paused && !clock_stands(d)) {
		const uint64_t at = ns_at((s->tmr_cleared + 1) << (TMR_BITS - 1));

		loop_timer_set(d->env->loop, &s->timer, vmclock_to_host(d->env->clock, at));
	} else {
		loop_timer_cancel(d->env->loop, &s->timer);
	}
}

static void pm_timer_fired(void *ctx)
{
	struct pm *s = ctx;

	lock_take(&s->lock);
	update_locked(s);
	lock_drop(&s->lock);
}

static uint8_t byte_read(const struct pm *s, unsigned off, uint64_t ticks) REQUIRES(s->lock)
{
	switch (off) {
	case REG_PM1_STS:
		return (uint8_t)(s->sts | (tmr_sts(s, ticks) ? PM1_TMR : 0));
	case REG_PM1_STS + 1:
		return (uint8_t)(s->sts >> 8);
	case REG_PM1_EN:
	case REG_PM1_EN + 1:
		return (uint8_t)(s->en >> 8 * (off - REG_PM1_EN));
	case REG_PM1_CNT:
	case REG_PM1_CNT_HIGH:
		return (uint8_t)(s->cnt >> 8 * (off - REG_PM1_CNT));
	default:
		break;
	}
	if (off >= REG_TMR && off < REG_TMR_END)
		return (uint8_t)((ticks & ((1u << TMR_BITS) - 1)) >> 8 * (off - REG_TMR));
	if (off >= REG_GPE_STS && off < REG_GPE_EN)
		return s->gpe_sts[off - REG_GPE_STS];
	if (off >= REG_GPE_EN && off < REG_GPE_END)
		return s->gpe_en[off - REG_GPE_EN];
	return 0;
}

static void cnt_high_write(struct pm *s, uint8_t v) REQUIRES(s->lock)
{
	const unsigned type = (v >> CNT_HIGH_SLP_TYP_SHIFT) & 7;
	const unsigned cnt = (s->cnt & 0xffu) | (unsigned)v << 8;

	s->cnt = (uint16_t)((cnt & CNT_STORED) | CNT_SCI_EN);
	/* Types 1 to 4 would be sleeping states, which \_S1 .. \_S4 do not offer. */
	if ((v & CNT_HIGH_SLP_EN) != 0 && (type == 0 || type == 5))
		s->dev->env->request(s->dev->env->ctx, MACHINE_POWER_OFF, s->dev->id);
}

static void gpe_enable(struct pm *s, unsigned byte, uint8_t v) REQUIRES(s->lock)
{
	s->gpe_en[byte] = v;
	if ((v & ~s->gpe_heard[byte]) == 0)
		return;
	s->gpe_heard[byte] |= v;
	s->heard_ns = vmclock_now(s->dev->env->clock);
	dev_listens(s->dev);
}

static void byte_write(struct pm *s, unsigned off, uint8_t v, uint64_t ticks) REQUIRES(s->lock)
{
	unsigned shift = 8 * (off & 1);

	switch (off) {
	case REG_PM1_STS:
	case REG_PM1_STS + 1:
		if (off == REG_PM1_STS && (v & PM1_TMR) != 0)
			s->tmr_cleared = ticks >> (TMR_BITS - 1);
		s->sts = (uint16_t)(s->sts & ~((unsigned)v << shift));
		return;
	case REG_PM1_EN:
	case REG_PM1_EN + 1:
		s->en = (uint16_t)((s->en & ~(0xffu << shift)) | (unsigned)v << shift);
		return;
	case REG_PM1_CNT:
		s->cnt = (uint16_t)((s->cnt & 0xff00u) | (v & CNT_STORED) | CNT_SCI_EN);
		return;
	case REG_PM1_CNT_HIGH:
		cnt_high_write(s, v);
		return;
	default:
		break;
	}
	if (off >= REG_GPE_STS && off < REG_GPE_EN)
		s->gpe_sts[off - REG_GPE_STS] &= (uint8_t)~v;
	else if (off >= REG_GPE_EN && off < REG_GPE_END)
		gpe_enable(s, off - REG_GPE_EN, v);
}

/* Does any byte of the access hit a register? */
static bool any_register(const struct io *io)
{
	for (uint64_t off = io->off; off < io->off + io->size; off++)
		if (off < REG_PM1_END || (off >= REG_TMR && off < REG_TMR_END) ||
		    (off >= REG_GPE_STS && off < REG_GPE_END))
			return true;
	return false;
}

static enum io_result pm_io(struct dev *d, unsigned region, struct io *io)
{
	struct pm *s = d->state;
	uint64_t ticks;

	(void)region;
	/* Firmware reads the timer millions of times a boot: nothing else on this path. */
	if (io->off == REG_TMR && !io->write && io->size == 4) {
		io->val = ticks_now(d) & ((1u << TMR_BITS) - 1);
		return IO_DONE;
	}
	if (!any_register(io))
		return IO_NO_REGISTER;
	if (io->write && io->off == REG_PM1_STS && io->size == 1 && io->val == CLOUDHV_OFF) {
		d->env->request(d->env->ctx, MACHINE_POWER_OFF, d->id);
		return IO_DONE;
	}

	lock_take(&s->lock);
	ticks = ticks_now(d);
	if (io->write) {
		for (unsigned i = 0; i < io->size; i++)
			byte_write(s, (unsigned)io->off + i, (uint8_t)(io->val >> 8 * i), ticks);
		update_locked(s);
	} else {
		io->val = 0;
		for (unsigned i = 0; i < io->size; i++)
			io->val |= (uint64_t)byte_read(s, (unsigned)io->off + i, ticks) << 8 * i;
	}
	lock_drop(&s->lock);
	return IO_DONE;
}

int pm_power_button(struct dev *d)
{
	struct pm *s = d->state;
	int ret = -1;

	assert(d->ops == &pm_ops);
	lock_take(&s->lock);
	if ((s->en & PM1_PWRBTN) != 0) {
		s->sts |= PM1_PWRBTN;
		update_locked(s);
		ret = 0;
	}
	lock_drop(&s->lock);
	return ret;
}

void pm_raise_gpe(struct dev *d, unsigned gpe)
{
	struct pm *s = d->state;

	assert(d->ops == &pm_ops && gpe < PM_GPE_COUNT);
	lock_take(&s->lock);
	s->gpe_sts[gpe / 8] |= (uint8_t)(1u << gpe % 8);
	update_locked(s);
	lock_drop(&s->lock);
}

bool pm_is_new(struct dev *d)
{
	struct pm *s = d->state;
	uint64_t since;

	assert(d->ops == &pm_ops);
	lock_take(&s->lock);
	since = s->heard_ns;
	lock_drop(&s->lock);
	return since != 0 && vmclock_now(d->env->clock) - since < NEW_NS;
}

bool pm_hears(struct dev *d, unsigned gpe)
{
	struct pm *s = d->state;
	bool hears;

	assert(d->ops == &pm_ops && gpe < PM_GPE_COUNT);
	lock_take(&s->lock);
	hears = (s->gpe_heard[gpe / 8] >> gpe % 8 & 1) != 0;
	lock_drop(&s->lock);
	return hears;
}

static int pm_init(struct dev *d, struct sill_err *e)
{
	struct pm *s = d->state;

	(void)e;
	s->dev = d;
	s->timer = (struct loop_timer){ .fn = pm_timer_fired, .ctx = s };
	lock_init(&s->lock, RANK_PM);
	return 0;
}

static void pm_fini(struct dev *d)
{
	struct pm *s = d->state;

	loop_timer_cancel(d->env->loop, &s->timer);
	lock_fini(&s->lock);
}

static void pm_reset(struct dev *d)
{
	struct pm *s = d->state;

	lock_take(&s->lock);
	s->sts = 0;
	s->en = 0;
	s->cnt = CNT_SCI_EN;
	memset(s->gpe_sts, 0, sizeof(s->gpe_sts));
	memset(s->gpe_en, 0, sizeof(s->gpe_en));
	memset(s->gpe_heard, 0, sizeof(s->gpe_heard));
	s->heard_ns = 0;
	s->tmr_cleared = ticks_now(d) >> (TMR_BITS - 1);
	update_locked(s);
	lock_drop(&s->lock);
}

static void set_paused(struct dev *d, bool paused)
{
	struct pm *s = d->state;

	lock_take(&s->lock);
	s->paused = paused;
	update_locked(s);
	lock_drop(&s->lock);
}

static void pm_pause(struct dev *d)
{
	set_paused(d, true);
}

static void pm_resume(struct dev *d)
{
	set_paused(d, false);
}

static int pm_save(struct dev *d, struct saver *out)
{
	struct pm *s = d->state;

	lock_take(&s->lock);
	save_begin(out, SAVE_TAG('a', 'p', 'm', '1'), 1);
	save_u16(out, s->sts);
	save_u16(out, s->en);
	save_u16(out, s->cnt);
	save_bytes(out, s->gpe_sts, sizeof(s->gpe_sts));
	save_bytes(out, s->gpe_en, sizeof(s->gpe_en));
	save_u64(out, s->tmr_cleared);
	save_end(out);
	lock_drop(&s->lock);
	return 0;
}

static int pm_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct pm *s = d->state;
	uint8_t gpe_sts[GPE_BYTES], gpe_en[GPE_BYTES];
	uint16_t sts, en, cnt;
	uint64_t tmr_cleared;

	(void)load_begin(l, SAVE_TAG('a', 'p', 'm', '1'), 1);
	sts = load_u16(l);
	en = load_u16(l);
	cnt = load_u16(l);
	load_bytes(l, gpe_sts, sizeof(gpe_sts));
	load_bytes(l, gpe_en, sizeof(gpe_en));
	tmr_cleared = load_u64(l);
	if ((sts & ~PM1_STS_STORED) != 0 || (cnt & ~(CNT_STORED | CNT_SCI_EN)) != 0 ||
	    (cnt & CNT_SCI_EN) == 0)
		load_fail(l);
	if (load_end(l, d->id, e) < 0)
		return -1;

	lock_take(&s->lock);
	s->sts = sts;
	s->en = en;
	s->cnt = cnt;
	memcpy(s->gpe_sts, gpe_sts, sizeof(gpe_sts));
	memcpy(s->gpe_en, gpe_en, sizeof(gpe_en));
	memcpy(s->gpe_heard, gpe_en, sizeof(gpe_en));
	s->heard_ns = 0;
	s->tmr_cleared = tmr_cleared;
	update_locked(s);
	lock_drop(&s->lock);
	return 0;
}

const struct dev_ops pm_ops = {
	.type = "pm",
	.state_size = sizeof(struct pm),
	.init = pm_init,
	.io = pm_io,
	.reset = pm_reset,
	.pause = pm_pause,
	.resume = pm_resume,
	.fini = pm_fini,
	.save = pm_save,
	.load = pm_load,
};
