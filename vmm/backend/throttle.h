/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle.h - how fast requests of a disk or frames of a card may come: bytes and requests in a second.
 *
 * Two token buckets, each kept as one number: the time at which it will be full
 * again. Whoever asks gets a place in time and is charged for it at once, so
 * that those who share a throttle come in the order in which they asked, and
 * nobody starves. No lock, no timer: the caller waits.
 *
 * Limits may change while others take: what is owed stays owed, in bytes and requests, and who waits has a
 * place that comes sooner or later by as much as the rate has changed.
 */
#ifndef BACKEND_THROTTLE_H
#define BACKEND_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In a second; 0: no limit. */
struct throttle_limits {
	uint64_t bytes, ops;
	uint64_t bytes_burst, ops_burst; /* at once; 0: a tenth of a second's */
};

/* Atomic, each. */
struct throttle_rate {
	uint64_t rate;     /* in a second; 0: no limit */
	uint64_t slack_ns; /* how long the burst takes at the rate */
	uint64_t since_ns; /* when it began */
	unsigned era;      /* how often there has begun to be one; 0: no limit */
};

struct throttle_bucket {
	struct throttle_rate rate[2]; /* of even and odd versions */
	uint64_t word;                /* atomic: version and time, see throttle.c */
	unsigned eras;                /* of who sets the limits */
};

/* Caller-allocated. Any thread, after init(). */
struct throttle {
	struct throttle_bucket bytes, ops;
	bool on; /* atomic */
};

void throttle_init(struct throttle *t, const struct throttle_limits *l);
/*
 * Other limits from @now on; one thread at a time. How full the bursts are stays as it is, in proportion. Who waits
 * for a turn asks again to hear of it.
 */
void throttle_set(struct throttle *t, uint64_t now, const struct throttle_limits *l);

/* Is anything limited? NULL: nothing. */
static inline bool throttle_is_on(const struct throttle *t)
{
	return t != NULL && __atomic_load_n(&t->on, __ATOMIC_RELAXED);
}

/*
 * One request of @bytes, asked for at @now. Returns when it may begin: @now, or
 * later. It is paid for either way. Times are CLOCK_MONOTONIC, in ns.
 */
uint64_t throttle_reserve(struct throttle *t, uint64_t now, uint64_t bytes);

/*
 * The request that is first in a queue, while it is not its turn. Whoever has it asks again and
 * again. Zeroed: there is none.
 */
struct throttle_place {
	uint64_t at_ns; /* as long as the rate is this: */
	uint64_t rate;
	uint64_t since_ns; /* when that began, */
	unsigned version;  /* and which one it was of the bucket's, which come round */
	unsigned era;      /* in which it was paid for */
};

struct throttle_turn {
	bool waits;
	uint64_t at_ns; /* when it may begin: the later of its places */
	uint64_t bytes; /* paid for */
	struct throttle_place in_bytes, in_ops;
};

/*
 * May a request of @bytes begin? It pays when it is first asked for; what it has grown by since, it pays when
 * it begins. True: then the next one may ask. False: ask again at turn->at_ns, which is another one once the
 * limits have changed.
 */
bool throttle_may_begin(struct throttle *t, struct throttle_turn *turn, uint64_t now,
			uint64_t bytes);

/*
 * For what is paid for when it is over, because nobody knows its size before: when may the next one begin?
 * @now, or later. Who shares the throttle may be first.
 */
uint64_t throttle_opens(const struct throttle *t, uint64_t now);

/* Its turn comes @ns sooner: what was taken before it came back. */
void throttle_turn_sooner(struct throttle_turn *turn, uint64_t ns);

/* What was paid beforehand for bytes of which nobody knew whether they would come. */
struct throttle_paid {
	uint64_t bytes;
	unsigned
		era; /* of the limit at that time: a limit that began later has nothing to do with it */
};

/* What @turn, which has begun, has paid for @bytes of its own; NULL: nothing, by the limit that there is now. */
struct throttle_paid throttle_paid_by(const struct throttle *t, const struct throttle_turn *turn,
				      uint64_t bytes);
/*
 * They were @bytes: what is too much goes back, and those who come later wait for what is missing. Returns by how
 * many ns the others wait less.
 */
uint64_t throttle_settle(struct throttle *t, const struct throttle_paid *paid, uint64_t now,
			 uint64_t bytes);

/* The request became larger by @bytes after that: those who come later wait for it. */
void throttle_charge(struct throttle *t, uint64_t now, uint64_t bytes);

#endif
