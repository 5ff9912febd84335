/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle.c - places in time.
 *
 * A bucket of @burst tokens that fills at @rate is full at full_ns. Taking n
 * tokens moves that by n / rate. The bucket is empty when full_ns is burst /
 * rate (the slack) ahead of now, and whoever comes then begins when it no
 * longer is: at full_ns - slack. A request larger than the burst is let through
 * whole when the bucket is not empty, and paid for by those behind it.
 *
 * full_ns is the lower part of a word whose upper part counts changes of the rate: who takes at the old rate
 * while it changes finds another word, and takes anew.
 */
#include "backend/throttle.h"

static const uint64_t SECOND = 1000000000ull;
/* 18 years: no guest's request moves full_ns beyond it. */
static const uint64_t FAR = 1ull << 59;

/* Four bits of version: it comes round only after 16 changes while one thread takes once. */
enum { TIME_BITS = 60, VERSIONS = 16 };
static const uint64_t TIME_MASK = (1ull << TIME_BITS) - 1;

/* What one word stands for. */
struct look {
	uint64_t word, full_ns, rate, slack_ns, since_ns;
	unsigned version, era;
};

static uint64_t duration(uint64_t n, uint64_t rate)
{
	const unsigned __int128 ns = ((unsigned __int128)n * SECOND + rate - 1) / rate;

	return ns > FAR ? FAR : (uint64_t)ns;
}

/* @ns, in which the same is done at rate @now as was at @before. */
static uint64_t scale(uint64_t ns, uint64_t before, uint64_t now)
{
	const unsigned __int128 n = (unsigned __int128)ns * before / now;

	return n > FAR ? FAR : (uint64_t)n;
}

static void look_at(const struct throttle_bucket *b, uint64_t word, struct look *ret)
{
	const unsigned version = (unsigned)(word >> TIME_BITS);
	const struct throttle_rate *r = &b->rate[version & 1];

	*ret = (struct look){
		.word = word,
		.full_ns = word & TIME_MASK,
		.rate = __atomic_load_n(&r->rate, __ATOMIC_RELAXED),
		.slack_ns = __atomic_load_n(&r->slack_ns, __ATOMIC_RELAXED),
		.since_ns = __atomic_load_n(&r->since_ns, __ATOMIC_RELAXED),
		.version = version,
		.era = __atomic_load_n(&r->era, __ATOMIC_RELAXED),
	};
}

static void look(const struct throttle_bucket *b, struct look *ret)
{
	look_at(b, __atomic_load_n(&b->word, __ATOMIC_ACQUIRE), ret);
}

/* True: from what was looked at to @full_ns. False: it has moved, and was looked at again. */
static bool move(struct throttle_bucket *b, struct look *at, uint64_t full_ns)
{
	uint64_t word = at->word;
	const uint64_t to = (word & ~TIME_MASK) | (full_ns > FAR ? FAR : full_ns);

	if (__atomic_compare_exchange_n(&b->word, &word, to, true, __ATOMIC_ACQUIRE,
					__ATOMIC_ACQUIRE))
		return true;
	look_at(b, word, at);
	return false;
}

static uint64_t slack_of(uint64_t rate, uint64_t burst)
{
	return rate == 0 ? 0 : burst != 0 ? duration(burst, rate) : SECOND / 10;
}

static void bucket_init(struct throttle_bucket *b, uint64_t rate, uint64_t burst)
{
	const unsigned era = rate != 0;

	*b = (struct throttle_bucket){ .rate[0] = { rate, slack_of(rate, burst), 0, era },
				       .eras = era };
}

static bool limits_any(const struct throttle_limits *l)
{
	return l->bytes != 0 || l->ops != 0;
}

void throttle_init(struct throttle *t, const struct throttle_limits *l)
{
	bucket_init(&t->bytes, l->bytes, l->bytes_burst);
	bucket_init(&t->ops, l->ops, l->ops_burst);
	t->on = limits_any(l);
}

/* When it is full by @r: what was taken of the burst is the same part of the new one. */
static uint64_t full_by(const struct throttle_rate *r, const struct look *o, uint64_t now)
{
	const uint64_t ahead = o->full_ns > now ? o->full_ns - now : 0;
	const uint64_t used = ahead < o->slack_ns ? ahead : o->slack_ns;

	if (ahead == 0 || o->rate == 0 || r->rate == 0)
		return 0;
	return now + (used != 0 ? scale(used, r->slack_ns, o->slack_ns) : 0) +
	       scale(ahead - used, o->rate, r->rate);
}

static void bucket_set(struct throttle_bucket *b, uint64_t now, uint64_t rate, uint64_t burst)
{
	struct throttle_rate r = { rate, slack_of(rate, burst), now, 0 };
	struct throttle_rate *next;
	struct look at;
	uint64_t full, to;

	look(b, &at);
	if (rate != 0)
		r.era = at.rate != 0 ? at.era : ++b->eras;
	next = &b->rate[(at.version + 1) & 1];
	__atomic_store_n(&next->rate, r.rate, __ATOMIC_RELAXED);
	__atomic_store_n(&next->slack_ns, r.slack_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&next->since_ns, r.since_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&next->era, r.era, __ATOMIC_RELAXED);
	do {
		at.full_ns = at.word & TIME_MASK;
		full = full_by(&r, &at, now);
		to = (uint64_t)((at.version + 1) % VERSIONS) << TIME_BITS |
		     (full > FAR ? FAR : full);
	} while (!__atomic_compare_exchange_n(&b->word, &at.word, to, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

void throttle_set(struct throttle *t, uint64_t now, const struct throttle_limits *l)
{
	bucket_set(&t->bytes, now, l->bytes, l->bytes_burst);
	bucket_set(&t->ops, now, l->ops, l->ops_burst);
	__atomic_store_n(&t->on, limits_any(l), __ATOMIC_RELAXED);
}

/* Take @n tokens. @ret: from when on the bucket was not empty. */
static void take(struct throttle_bucket *b, uint64_t now, uint64_t n, struct throttle_place *ret)
{
	struct look at;
	uint64_t old;

	look(b, &at);
	do {
		old = at.full_ns;
	} while (at.rate != 0 && n != 0 &&
		 !move(b, &at, (old > now ? old : now) + duration(n, at.rate)));
	*ret = (struct throttle_place){ now, at.rate, at.since_ns, at.version, at.era };
	if (at.rate != 0 && n != 0 && old > now && old - now > at.slack_ns)
		ret->at_ns = old - at.slack_ns;
}

static uint64_t later(const struct throttle_place *a, const struct throttle_place *b)
{
	return a->at_ns > b->at_ns ? a->at_ns : b->at_ns;
}

uint64_t throttle_reserve(struct throttle *t, uint64_t now, uint64_t bytes)
{
	struct throttle_place a, b;

	take(&t->bytes, now, bytes, &a);
	take(&t->ops, now, 1, &b);
	return later(&a, &b);
}

/* The rate is another one: what is left to wait takes longer, or shorter. */
static void follow(const struct throttle_bucket *b, struct throttle_place *p)
{
	struct look at;

	look(b, &at);
	if (at.version == p->version && at.since_ns == p->since_ns)
		return;
	if (at.rate == 0 || p->rate == 0)
		p->at_ns = 0;
	else if (p->at_ns > at.since_ns)
		p->at_ns = at.since_ns + scale(p->at_ns - at.since_ns, p->rate, at.rate);
	p->rate = at.rate;
	p->since_ns = at.since_ns;
	p->version = at.version;
}

bool throttle_may_begin(struct throttle *t, struct throttle_turn *turn, uint64_t now,
			uint64_t bytes)
{
	if (!turn->waits) {
		take(&t->bytes, now, bytes, &turn->in_bytes);
		take(&t->ops, now, 1, &turn->in_ops);
		turn->at_ns = later(&turn->in_bytes, &turn->in_ops);
		turn->bytes = bytes;
		turn->waits = turn->at_ns > now;
		return !turn->waits;
	}
	follow(&t->bytes, &turn->in_bytes);
	follow(&t->ops, &turn->in_ops);
	turn->at_ns = later(&turn->in_bytes, &turn->in_ops);
	if (now < turn->at_ns)
		return false;
	turn->waits = false;
	if (bytes > turn->bytes)
		throttle_charge(t, now, bytes - turn->bytes);
	return true;
}

void throttle_turn_sooner(struct throttle_turn *turn, uint64_t ns)
{
	uint64_t *at = &turn->in_bytes.at_ns;

	*at = *at > ns ? *at - ns : 0;
	turn->at_ns = later(&turn->in_bytes, &turn->in_ops);
}

static uint64_t opens(const struct throttle_bucket *b, uint64_t now)
{
	struct look at;

	look(b, &at);
	return at.full_ns > now && at.full_ns - now > at.slack_ns ? at.full_ns - at.slack_ns : now;
}

uint64_t throttle_opens(const struct throttle *t, uint64_t now)
{
	const uint64_t a = opens(&t->bytes, now), b = opens(&t->ops, now);

	return a > b ? a : b;
}

struct throttle_paid throttle_paid_by(const struct throttle *t, const struct throttle_turn *turn,
				      uint64_t bytes)
{
	struct look at;

	if (turn != NULL)
		return (struct throttle_paid){ bytes, turn->in_bytes.era };
	look(&t->bytes, &at);
	return (struct throttle_paid){ 0, at.era };
}

static uint64_t refund(struct throttle_bucket *b, unsigned era, uint64_t bytes)
{
	struct look at;
	uint64_t ns;

	look(b, &at);
	do {
		if (at.rate == 0 || at.era != era)
			return 0;
		ns = duration(bytes, at.rate);
		/* What lies before now is full all the same. */
	} while (!move(b, &at, at.full_ns > ns ? at.full_ns - ns : 0));
	return ns;
}

uint64_t throttle_settle(struct throttle *t, const struct throttle_paid *paid, uint64_t now,
			 uint64_t bytes)
{
	struct look at;

	if (bytes < paid->bytes)
		return refund(&t->bytes, paid->era, paid->bytes - bytes);
	look(&t->bytes, &at);
	if (bytes > paid->bytes && at.era == paid->era)
		throttle_charge(t, now, bytes - paid->bytes);
	return 0;
}

void throttle_charge(struct throttle *t, uint64_t now, uint64_t bytes)
{
	struct throttle_place paid;

	take(&t->bytes, now, bytes, &paid);
}
