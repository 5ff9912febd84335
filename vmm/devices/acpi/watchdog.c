/* SPDX-License-Identifier: Apache-2.0 */
/* watchdog.c - see watchdog.h. */
#include "devices/acpi/watchdog.h"

#include "core/clock.h"
#include "core/loop.h"
#include "devices/dev.h"
#include "firmware/acpi.h"

enum {
	REG_LEFT = 0x00,
	REG_COUNT = 0x04,
	REG_AGAIN = 0x08,
	REG_RUNS = 0x0c,
	REG_RESETS = 0x10,
	REG_FIRED = 0x14
};

static const uint64_t TICK_NS = WATCHDOG_TICK_MS * 1000000ull;
enum { COUNT_AT_RESET = 30000 / WATCHDOG_TICK_MS };

struct watchdog {
	struct dev *dev;   /* borrowed, for the timer's callback */
	uint64_t deadline; /* guest time, while it runs */
	uint32_t count;
	bool runs, fired, paused;
	struct loop_timer timer;
};

static uint64_t now(const struct watchdog *s)
{
	return vmclock_now(s->dev->env->clock);
}

static void arm(struct watchdog *s)
{
	const struct dev_env *env = s->dev->env;

	if (s->runs && !s->paused)
		loop_timer_set(env->loop, &s->timer, vmclock_to_host(env->clock, s->deadline));
	else
		loop_timer_cancel(env->loop, &s->timer);
}

static void count_again(struct watchdog *s)
{
	s->deadline = now(s) + s->count * TICK_NS;
	arm(s);
}

static void timer_fired(void *ctx)
{
	struct watchdog *s = ctx;
	struct dev *d = s->dev;

	dev_take(d);
	if (s->runs && !s->paused && now(s) >= s->deadline) {
		s->runs = false;
		s->fired = true;
		log_guest(&d->bucket, d->id, "the guest has not answered for %llu s: reset",
			  (unsigned long long)s->count * WATCHDOG_TICK_MS / 1000);
		d->env->request(d->env->ctx, MACHINE_RESET, d->id);
	} else {
		arm(s); /* it was put off */
	}
	dev_drop(d);
}

static uint32_t left(const struct watchdog *s)
{
	const uint64_t at = now(s);

	if (!s->runs)
		return 0;
	return s->deadline > at ? (uint32_t)((s->deadline - at + TICK_NS - 1) / TICK_NS) : 0;
}

static uint32_t read_register(const struct watchdog *s, uint64_t off)
{
	switch (off) {
	case REG_LEFT:
		return left(s);
	case REG_COUNT:
		return s->count;
	case REG_RUNS:
		return s->runs;
	case REG_RESETS:
		return 1;
	case REG_FIRED:
		return s->fired;
	default:
		return 0;
	}
}

static void write_register(struct watchdog *s, uint64_t off, uint32_t v)
{
	switch (off) {
	case REG_COUNT:
		s->count = v < WATCHDOG_MIN ? WATCHDOG_MIN : v > WATCHDOG_MAX ? WATCHDOG_MAX : v;
		break;
	case REG_AGAIN:
		if ((v & 1) != 0 && s->runs)
			count_again(s);
		break;
	case REG_RUNS:
		if ((v & 1) != 0 && !s->runs) {
			s->runs = true;
			count_again(s);
		} else if ((v & 1) == 0) {
			s->runs = false;
			arm(s);
		}
		break;
	case REG_FIRED:
		s->fired &= (v & 1) == 0;
		break;
	default:
		break;
	}
}

static enum io_result watchdog_io(struct dev *d, unsigned region, struct io *io)
{
	struct watchdog *s = d->state;

	(void)region;
	if (io->off % 4 != 0 || io->off > REG_FIRED)
		return IO_NO_REGISTER;
	if (io->size != 4)
		return IO_BAD_SIZE;
	if (io->write && io->off == REG_LEFT)
		return IO_READ_ONLY;
	if (io->write)
		write_register(s, io->off, (uint32_t)io->val);
	else
		io->val = read_register(s, io->off);
	return IO_DONE;
}

static int watchdog_init(struct dev *d, struct sill_err *e)
{
	struct watchdog *s = d->state;

	(void)e;
	s->dev = d;
	s->timer = (struct loop_timer){ .fn = timer_fired, .ctx = s };
	return 0;
}

static void watchdog_reset(struct dev *d)
{
	struct watchdog *s = d->state;

	s->runs = false;
	s->count = COUNT_AT_RESET;
	arm(s);
}

static void watchdog_pause(struct dev *d)
{
	struct watchdog *s = d->state;

	s->paused = true;
	arm(s);
}

static void watchdog_resume(struct dev *d)
{
	struct watchdog *s = d->state;

	s->paused = false;
	arm(s);
}

static void watchdog_fini(struct dev *d)
{
	struct watchdog *s = d->state;

	loop_timer_cancel(d->env->loop, &s->timer);
}

static int watchdog_save(struct dev *d, struct saver *out)
{
	const struct watchdog *s = d->state;
	const uint64_t at = now(s);

	save_begin(out, SAVE_TAG('w', 'd', 'a', 't'), 1);
	save_u8(out, s->runs);
	save_u8(out, s->fired);
	save_u32(out, s->count);
	save_u64(out, s->runs && s->deadline > at ? s->deadline - at : 0);
	save_end(out);
	return 0;
}

static int watchdog_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct watchdog *s = d->state;
	bool runs, fired;
	uint32_t count;
	uint64_t ns;

	(void)load_begin(l, SAVE_TAG('w', 'd', 'a', 't'), 1);
	runs = load_bool(l);
	fired = load_bool(l);
	count = load_u32(l);
	ns = load_u64(l);
	if (count < WATCHDOG_MIN || count > WATCHDOG_MAX || ns > WATCHDOG_MAX * TICK_NS)
		load_fail(l);
	if (load_end(l, d->id, e) < 0)
		return -1;
	s->runs = runs;
	s->fired = fired;
	s->count = count;
	s->deadline = now(s) + ns;
	arm(s);
	return 0;
}

const struct dev_ops watchdog_ops = {
	.type = "watchdog",
	.state_size = sizeof(struct watchdog),
	.init = watchdog_init,
	.io = watchdog_io,
	.reset = watchdog_reset,
	.pause = watchdog_pause,
	.resume = watchdog_resume,
	.fini = watchdog_fini,
	.save = watchdog_save,
	.load = watchdog_load,
};
