/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.h - is the guest up? Looks for the signs that the manifest names, on a thread of its own, while the VM runs.
 *
 * A sign that has come stays; one that has not is asked for again and again, also when its time is over. When the guest
 * begins anew all of them are looked for anew, and their time begins anew if all had come.
 */
#ifndef RUNNER_READY_READY_H
#define RUNNER_READY_READY_H

#include <jansson.h>

#include "runner/api/event.h"
#include "sill/config.h"
#include "sill/error.h"

struct ready;

/* Public struct: who is told, on the thread. Borrowed until ready_stop(). */
struct ready_wish {
	struct events *events; /* of `ready` and `not-ready` */
	void (*all)(void *ctx,
		    uint64_t ms); /* all signs have come, so long after the start; NULL */
	void (*late)(void *ctx, const char *sign); /* the time of this one is over; NULL */
	void *ctx;
};

/* Of the value that runs, in which nothing is `auto`; copied. Without signs there is no thread. NULL and @e: no memory or no thread. */
struct ready *ready_start(const struct sill_config *c, const struct ready_wish *w,
			  struct sill_err *e);
/*
 * Other signs of the value that runs, or other words about them. One that was looked for before keeps what was seen of
 * it; the time of a new one begins now. It waits for the thread; of one caller at a time, and not beside ready_stop().
 * 0, or -1 and @e: nothing has changed, or no thread: nobody looks.
 */
int ready_set(struct ready *r, const struct sill_config *c, struct sill_err *e);
/* The guest begins anew. Any thread. */
void ready_again(struct ready *r);
/*
 * { ready, seconds, signs: [ { sign, ready, late, seconds, within_seconds, tries, last, hint } ] }: seconds from the
 * start until it had come; what is not there is null. Any thread. NULL: no memory.
 */
json_t *ready_json(struct ready *r);
/* Accepts NULL. */
void ready_stop(struct ready *r);

#endif
