/* SPDX-License-Identifier: Apache-2.0 */
/* wish.c - see wish.h. */
#include "machine/wish.h"

/* Ours: who is up answers within it, or will not soon. Twice that, twice read, is an answer, too (plug.c). */
static const uint64_t WAIT_NS = 5000000000ull;
/* A system that has begun to listen looks for devices next: Linux takes tenths of a second, in an emulator more. */
static const uint64_t LISTENS_WAIT_NS = 500000000ull;
/* A person may close the program that keeps it: asking costs the guest one interrupt. */
static const uint64_t LONGEST_WAIT_NS = 320000000000ull;

/* The timer follows the first one that is due. */
static void arm(struct wishes *ws)
{
	uint64_t first = UINT64_MAX;

	for (const struct wish *w = ws->first; w != NULL; w = w->next)
		if (w->due_ns < first)
			first = w->due_ns;
	if (first == UINT64_MAX || ws->stand ||
	    __atomic_load_n(&ws->clock->frozen, __ATOMIC_RELAXED))
		loop_timer_cancel(ws->loop, &ws->timer);
	else
		loop_timer_set(ws->loop, &ws->timer, vmclock_to_host(ws->clock, first));
}

static void forget(struct wishes *ws, struct wish *w)
{
	struct wish **at = &ws->first;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->made = false;
}

static void tell_due(void *ctx)
{
	struct wishes *ws = ctx;
	const uint64_t now = vmclock_now(ws->clock);
	struct wish *next;

	for (struct wish *w = ws->first; w != NULL && !ws->stand; w = next) {
		next = w->next;
		if (w->due_ns > now)
			continue;
		if (!w->again(w->ctx, w->wait_ns)) {
			forget(ws, w);
			continue;
		}
		w->wait_ns = w->wait_ns < LONGEST_WAIT_NS / 2 ? 2 * w->wait_ns : LONGEST_WAIT_NS;
		w->due_ns = now + w->wait_ns;
	}
	arm(ws);
}

void wishes_init(struct wishes *ws, struct loop *loop, const struct vmclock *clock)
{
	*ws = (struct wishes){ .clock = clock, .loop = loop };
	ws->timer = (struct loop_timer){ .fn = tell_due, .ctx = ws };
}

void wishes_fini(struct wishes *ws)
{
	if (ws->loop != NULL)
		loop_timer_cancel(ws->loop, &ws->timer);
}

void wish_made(struct wishes *ws, struct wish *w)
{
	if (!w->made) {
		w->next = ws->first;
		ws->first = w;
		w->made = true;
	}
	w->wait_ns = WAIT_NS;
	w->due_ns = vmclock_now(ws->clock) + w->wait_ns;
	arm(ws);
}

void wish_over(struct wishes *ws, struct wish *w)
{
	if (!w->made)
		return;
	forget(ws, w);
	arm(ws);
}

void wishes_stand(struct wishes *ws, bool stand)
{
	ws->stand = stand;
	arm(ws);
}

/* By the timer, which waits for the end of a pause. */
void wishes_heard(struct wishes *ws)
{
	const uint64_t now = vmclock_now(ws->clock);

	for (struct wish *w = ws->first; w != NULL; w = w->next) {
		w->due_ns = now;
		w->wait_ns = LISTENS_WAIT_NS / 2;
	}
	arm(ws);
}
