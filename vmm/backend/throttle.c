/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle.c - places in time.
 *
 * A bucket of @burst tokens that fills at @rate is full at full_ns. Taking n
 * tokens moves that by n / rate. The bucket is empty when full_ns is burst /
 * rate (the slack) ahead of now, and whoever comes then begins when it no
 * longer is: at full_ns - slack. A request larger than the burst is let through
 * whole when the bucket is not empty, and paid for by those behind it.
 */
#include "backend/throttle.h"

static const uint64_t SECOND = 1000000000ull;
static const uint64_t FAR = 1ull << 62; /* 146 years: no guest's request moves full_ns beyond it */

static uint64_t duration(uint64_t n, uint64_t rate)
{
	const unsigned __int128 ns = ((unsigned __int128)n * SECOND + rate - 1) / rate;

	return ns > FAR ? FAR : (uint64_t)ns;
}

static void bucket_init(struct throttle_bucket *b, uint64_t rate, uint64_t burst)
{
	*b = (struct throttle_bucket){ .rate = rate };
	if (rate != 0)
		b->slack_ns = burst != 0 ? duration(burst, rate) : SECOND / 10;
}

void throttle_init(struct throttle *t, const struct throttle_limits *l)
{
	bucket_init(&t->bytes, l->bytes, l->bytes_burst);
	bucket_init(&t->ops, l->ops, l->ops_burst);
}

bool throttle_limits_any(const struct throttle_limits *l)
{
	return l->bytes != 0 || l->ops != 0;
}

/* Take @n tokens. Returns when the bucket was not empty. */
static uint64_t take(struct throttle_bucket *b, uint64_t now, uint64_t n)
{
	uint64_t old, full;

	if (b->rate == 0 || n == 0)
		return now;
	old = __atomic_load_n(&b->full_ns, __ATOMIC_RELAXED);
	do {
		full = (old > now ? old : now) + duration(n, b->rate);
		if (full > FAR)
			full = FAR;
	} while (!__atomic_compare_exchange_n(&b->full_ns, &old, full, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return old > now && old - now > b->slack_ns ? old - b->slack_ns : now;
}

uint64_t throttle_reserve(struct throttle *t, uint64_t now, uint64_t bytes)
{
	const uint64_t a = take(&t->bytes, now, bytes), b = take(&t->ops, now, 1);

	return a > b ? a : b;
}

bool throttle_may_begin(struct throttle *t, struct throttle_turn *turn, uint64_t now,
			uint64_t bytes)
{
	if (!turn->waits) {
		turn->at_ns = throttle_reserve(t, now, bytes);
		turn->bytes = bytes;
		turn->waits = turn->at_ns > now;
		return !turn->waits;
	}
	if (now < turn->at_ns)
		return false;
	turn->waits = false;
	if (bytes > turn->bytes)
		throttle_charge(t, now, bytes - turn->bytes);
	return true;
}

static uint64_t opens(const struct throttle_bucket *b, uint64_t now)
{
	const uint64_t full = __atomic_load_n(&b->full_ns, __ATOMIC_RELAXED);

	return full > now && full - now > b->slack_ns ? full - b->slack_ns : now;
}

uint64_t throttle_opens(const struct throttle *t, uint64_t now)
{
	const uint64_t a = opens(&t->bytes, now), b = opens(&t->ops, now);

	return a > b ? a : b;
}

uint64_t throttle_refund(struct throttle *t, uint64_t bytes)
{
	struct throttle_bucket *b = &t->bytes;
	uint64_t old, ns;

	if (b->rate == 0 || bytes == 0)
		return 0;
	ns = duration(bytes, b->rate);
	old = __atomic_load_n(&b->full_ns, __ATOMIC_RELAXED);
	/* What lies before now is full all the same. */
	while (!__atomic_compare_exchange_n(&b->full_ns, &old, old > ns ? old - ns : 0, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return ns;
}

void throttle_charge(struct throttle *t, uint64_t now, uint64_t bytes)
{
	(void)take(&t->bytes, now, bytes);
}
