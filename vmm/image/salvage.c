/* SPDX-License-Identifier: Apache-2.0 */
/* salvage.c - what of an image could not be read. */
#include "image/salvage.h"

#include <stdlib.h>
#include <string.h>

#include "image/open.h"

enum { MAX_RUNS = 1 << 16 }; /* a megabyte; who has more losses than that has no use for a list */

struct salvage *salvage_create(void)
{
	struct salvage *s = calloc(1, sizeof(*s));

	if (s != NULL)
		(void)pthread_mutex_init(&s->mutex, NULL);
	return s;
}

void salvage_destroy(struct salvage *s)
{
	if (s == NULL)
		return;
	(void)pthread_mutex_destroy(&s->mutex);
	free(s->run);
	free(s);
}

/* Room for one more run. */
static bool has_room(struct salvage *s)
{
	const uint32_t room = s->room != 0 ? s->room * 2 : 64;
	struct salvage_run *run;

	if (s->count < s->room)
		return true;
	run = room <= MAX_RUNS ? realloc(s->run, room * sizeof(*run)) : NULL;
	if (run == NULL)
		return false;
	s->run = run;
	s->room = room;
	return true;
}

/* The runs [at, end) become one, with [from, to) in it. */
static void replace(struct salvage *s, uint32_t at, uint32_t end, struct salvage_run r)
{
	if (at == end && !has_room(s)) {
		s->more += r.to - r.from;
		return;
	}
	memmove(s->run + at + 1, s->run + end, (s->count - end) * sizeof(*s->run));
	s->run[at] = r;
	s->count = s->count + 1 - (end - at);
}

void salvage_add(struct salvage *s, uint64_t from, uint64_t to)
{
	struct salvage_run r = { from, to };
	uint32_t at, end;

	(void)pthread_mutex_lock(&s->mutex);
	/* Most come in rising order, but for a few. */
	for (at = s->count; at > 0 && s->run[at - 1].to >= from;)
		at--;
	for (end = at; end < s->count && s->run[end].from <= to; end++) {
		r.from = s->run[end].from < r.from ? s->run[end].from : r.from;
		r.to = s->run[end].to > r.to ? s->run[end].to : r.to;
	}
	replace(s, at, end, r);
	(void)pthread_mutex_unlock(&s->mutex);
}

uint64_t sill_image_lost(struct sill_image *i,
			 void (*each)(void *ctx, uint64_t off, uint64_t length), void *ctx)
{
	struct salvage *s = i->salvage;
	uint64_t sum;

	if (s == NULL)
		return 0;
	(void)pthread_mutex_lock(&s->mutex);
	sum = s->more;
	for (uint32_t k = 0; k < s->count; k++) {
		const uint64_t n = s->run[k].to - s->run[k].from;

		if (each != NULL)
			each(ctx, s->run[k].from, n);
		sum += n;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return sum;
}
