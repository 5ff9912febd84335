/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range.h - who is at work where: requests that are in each other's way come
 * one after the other.
 *
 * A range is first..last of whatever unit the owner of the set counts in. Those
 * that share pass each other; an exclusive one has its place to itself. Who
 * waits for a place is next there: nobody who came later gets ahead. So who
 * holds a range asks for no other. Any thread; a range may be dropped by
 * another thread than took it.
 */
#ifndef BACKEND_BLOCK_RANGE_H
#define BACKEND_BLOCK_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/lock.h"

/* Caller-allocated; in a set from take to drop. */
struct range {
	uint64_t first, last;
	bool exclusive;
	struct range *next, **link; /* private */
};

/* Caller-allocated. */
struct ranges {
	struct lock lock; /* RANK_RANGES: all below */
	pthread_cond_t free;
	unsigned sleepers;
	struct range *shared, *exclusive; /* of requests at work, who own them */
	struct range *waiting, **last;    /* first come first */
};

void ranges_init(struct ranges *s);
void ranges_fini(struct ranges *s); /* nobody is at work any more */

/* Without waiting. False: somebody is in the way, or waits for the place. */
bool range_try(struct ranges *s, struct range *r) MUST_CHECK;
/* Waits; no lock is held. */
void range_take(struct ranges *s, struct range *r);
/* Until nobody is in the way; takes nothing. No lock is held. */
void range_wait(struct ranges *s, const struct range *r);
void range_drop(struct ranges *s, struct range *r);

#endif
