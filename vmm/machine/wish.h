/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wish.h - what the guest shall hear: that something has come, or that it is to give something up.
 *
 * A guest hears nothing while its firmware runs, and what it is told while its system boots may
 * find nobody who minds. So a wish is told again as long as its owner says that it stands: when the guest begins to listen
 * (dev_env.listens), then after half a second, and at intervals that double; and to a guest that has listened all
 * along after five seconds, likewise. The longest interval is 320 seconds. All of it is the guest's time, which
 * stands still while the VM is paused.
 *
 * Threads: the main loop, or before it runs.
 */
#ifndef MACHINE_WISH_H
#define MACHINE_WISH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/loop.h"

/* Caller-allocated, zeroed; stays put while it is made. */
struct wish {
	/*
	 * Nobody has said for @waited_ns that it is fulfilled: tell the guest again. False: it does not stand any more.
	 * It calls nothing of this file.
	 */
	bool (*again)(void *ctx, uint64_t waited_ns);
	void *ctx;
	/* private */
	uint64_t due_ns, wait_ns;
	struct wish *next;
	bool made;
};

/* Caller-allocated; all that are made. */
struct wishes {
	const struct vmclock *clock; /* borrowed */
	struct loop *loop;           /* borrowed */
	struct loop_timer timer;
	struct wish *first;
	bool stand; /* the guest's time does */
};

void wishes_init(struct wishes *ws, struct loop *loop, const struct vmclock *clock);
void wishes_fini(struct wishes *ws); /* accepts a zeroed one; none is made any more */

/* The guest has just been told of it; one that is made begins anew. */
void wish_made(struct wishes *ws, struct wish *w);
/* It is fulfilled, or taken back. Accepts one that is not made. */
void wish_over(struct wishes *ws, struct wish *w);

/* The guest's time stands, or runs on; or it has been set. */
void wishes_stand(struct wishes *ws, bool stand);
/* The guest has begun to listen: all of them are told again, now. */
void wishes_heard(struct wishes *ws);

#endif
