/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kit.h - one device on a bench: an environment that records interrupt lines
 * and requests, and short names for guest accesses. For the tests of the
 * simple chips; one kit per test program at a time.
 */
#ifndef TESTS_UNIT_KIT_H
#define TESTS_UNIT_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "devices/dev.h"

struct kit {
	struct dev_env env;
	struct irqs irqs;
	struct vmclock clock;
	struct dev *dev;
	bool line[MAX_GSI];
	unsigned edges; /* how often a line went up */
	unsigned resets, power_offs;
	unsigned answers, listens; /* of the guest, to a device of hotplug */
	bool stop_on_line;         /* a line that goes up stops the loop */
	bool stop_on_request;      /* so does a request */
	struct loop_timer limit;
	bool timed_out;
};

static inline void kit_line(void *ctx, unsigned gsi, bool level)
{
	struct kit *k = ctx;

	k->line[gsi] = level;
	k->edges += level;
	if (level && k->stop_on_line)
		loop_stop(k->env.loop);
}

static inline void kit_request(void *ctx, enum machine_request r, const char *who)
{
	struct kit *k = ctx;

	assert_non_null(who);
	if (r == MACHINE_RESET)
		k->resets++;
	else
		k->power_offs++;
	if (k->stop_on_request)
		loop_stop(k->env.loop);
}

static inline void kit_answered(void *ctx)
{
	struct kit *k = ctx;

	k->answers++;
}

static inline void kit_listens(void *ctx)
{
	struct kit *k = ctx;

	k->listens++;
}

static inline void kit_late(void *ctx)
{
	struct kit *k = ctx;

	k->timed_out = true;
	loop_stop(k->env.loop);
}

/* Guest time stands at @ns until the test moves it. */
static inline void kit_open(struct kit *k, uint64_t ns)
{
	static const struct irq_ops ops = { .line = kit_line };
	struct sill_err e = { 0 };

	*k = (struct kit){ .limit = { .fn = kit_late, .ctx = k } };
	irqs_init(&k->irqs, &ops, k);
	vmclock_init(&k->clock);
	vmclock_freeze(&k->clock);
	vmclock_set(&k->clock, ns);
	k->env = (struct dev_env){
		.irqs = &k->irqs,
		.clock = &k->clock,
		.loop = loop_create(&e),
		.gmem = gmem_create(NULL, &e),
		.request = kit_request,
		.answered = kit_answered,
		.listens = kit_listens,
		.ctx = k,
	};
	assert_non_null(k->env.loop);
	assert_non_null(k->env.gmem);
}

static inline void kit_plug(struct kit *k, const struct dev_ops *ops, const void *config,
			    unsigned gsi)
{
	struct sill_err e = { 0 };

	k->dev = dev_create(ops, "chip0", config, gsi, &k->env, &e);
	if (k->dev == NULL)
		fail_msg("%s", e.msg);
}

static inline void kit_close(struct kit *k)
{
	if (k->dev != NULL)
		dev_stop(k->dev);
	dev_destroy(k->dev);
	loop_timer_cancel(k->env.loop, &k->limit);
	loop_destroy(k->env.loop);
	gmem_destroy(k->env.gmem);
	irqs_fini(&k->irqs);
}

/* Run the loop until a line goes up; false when none does in @ms. */
static inline bool kit_wait_line(struct kit *k, unsigned ms)
{
	struct sill_err e = { 0 };

	k->stop_on_line = true;
	k->timed_out = false;
	loop_timer_set(k->env.loop, &k->limit, host_now() + ms * 1000000ull);
	assert_int_equal(loop_run(k->env.loop, &e), 0);
	loop_timer_cancel(k->env.loop, &k->limit);
	k->stop_on_line = false;
	return !k->timed_out;
}

static inline enum io_result kit_access(struct kit *k, unsigned region, struct io *io)
{
	return dev_io(k->dev, region, io);
}

static inline uint64_t rd(struct kit *k, unsigned region, uint64_t off, unsigned size)
{
	struct io io = { .off = off, .size = (uint8_t)size };

	assert_int_equal(kit_access(k, region, &io), IO_DONE);
	if (size < 8)
		assert_int_equal(io.val >> 8 * size, 0);
	return io.val;
}

static inline void wr(struct kit *k, unsigned region, uint64_t off, unsigned size, uint64_t val)
{
	struct io io = { .off = off, .size = (uint8_t)size, .val = val, .write = true };

	assert_int_equal(kit_access(k, region, &io), IO_DONE);
}

/* The device's saved state as bytes; the caller frees them. */
static inline uint8_t *kit_save(struct kit *k, size_t *ret_n)
{
	struct buf b;
	struct saver s;

	buf_init(&b, 1 << 24);
	save_init(&s, &b);
	assert_int_equal(dev_save(k->dev, &s), 0);
	assert_false(b.failed);
	*ret_n = b.size;
	return b.data;
}

static inline int kit_load(struct kit *k, const uint8_t *state, size_t n)
{
	struct sill_err e = { 0 };
	struct loader l;
	int ret;

	load_init(&l, state, n);
	ret = dev_load(k->dev, &l, &e);
	assert_true((ret == 0) == (e.code == SILL_ERR_NONE));
	return ret;
}

/* Every shorter state, and every one with another tag, version or size, is refused. */
static inline void kit_load_damaged(struct kit *k)
{
	size_t n;
	uint8_t *state = kit_save(k, &n);

	assert_non_null(state);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(kit_load(k, state, cut), -1);
	for (size_t i = 0; i < 12; i++) {
		state[i] ^= 0x40;
		assert_int_equal(kit_load(k, state, n), -1);
		state[i] ^= 0x40;
	}
	/* Any byte of the content may be anything: refused or taken, never a crash. */
	for (size_t i = 12; i < n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			state[i] ^= (uint8_t)(1u << bit);
			(void)kit_load(k, state, n);
			state[i] ^= (uint8_t)(1u << bit);
		}
	assert_int_equal(kit_load(k, state, n), 0);
	free(state);
}

#endif
