/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range.c - who is at work where.
 *
 * A lock of its own, held for a few instructions only: a request ends without
 * waiting for anybody who does I/O. Two lists, so that those that share, however
 * many are in flight, look only at the few that do not.
 */
#include "backend/block/range.h"

#include <assert.h>

void ranges_init(struct ranges *s)
{
	*s = (struct ranges){ 0 };
	s->last = &s->waiting;
	lock_init(&s->lock, RANK_RANGES);
	(void)pthread_cond_init(&s->free, NULL);
}

void ranges_fini(struct ranges *s)
{
	assert(s->shared == NULL && s->exclusive == NULL && s->waiting == NULL);
	(void)pthread_cond_destroy(&s->free);
	lock_fini(&s->lock);
}

static bool meets(const struct range *list, const struct range *r)
{
	for (; list != NULL; list = list->next)
		if (list->first <= r->last && r->first <= list->last)
			return true;
	return false;
}

/* Before @r: those who are at work, and those who wait, up to @end. */
static bool in_the_way(const struct ranges *s, const struct range *r, const struct range *end)
{
	if (meets(s->exclusive, r) || (r->exclusive && meets(s->shared, r)))
		return true;
	for (const struct range *w = s->waiting; w != end; w = w->next)
		if ((w->exclusive || r->exclusive) && w->first <= r->last && r->first <= w->last)
			return true;
	return false;
}

static void add(struct ranges *s, struct range *r)
{
	struct range **list = r->exclusive ? &s->exclusive : &s->shared;

	r->next = *list;
	r->link = list;
	if (r->next != NULL)
		r->next->link = &r->next;
	*list = r;
}

static void queue(struct ranges *s, struct range *r)
{
	r->next = NULL;
	r->link = s->last;
	*s->last = r;
	s->last = &r->next;
}

static void unqueue(struct ranges *s, struct range *r)
{
	*r->link = r->next;
	if (r->next != NULL)
		r->next->link = r->link;
	else
		s->last = r->link;
}

static void sleep_locked(struct ranges *s) REQUIRES(s->lock)
{
	s->sleepers++;
	lock_wait(&s->lock, &s->free);
	s->sleepers--;
}

bool range_try(struct ranges *s, struct range *r)
{
	bool ok;

	lock_take(&s->lock);
	ok = !in_the_way(s, r, NULL);
	if (ok)
		add(s, r);
	lock_drop(&s->lock);
	return ok;
}

void range_take(struct ranges *s, struct range *r)
{
	lock_take(&s->lock);
	if (in_the_way(s, r, NULL)) {
		queue(s, r);
		do {
			sleep_locked(s);
		} while (in_the_way(s, r, r));
		unqueue(s, r);
		/* Who waited behind it, and shares with it, need not wait for its end. */
		if (s->sleepers != 0)
			(void)pthread_cond_broadcast(&s->free);
	}
	add(s, r);
	lock_drop(&s->lock);
}

void range_wait(struct ranges *s, const struct range *r)
{
	lock_take(&s->lock);
	while (in_the_way(s, r, NULL))
		sleep_locked(s);
	lock_drop(&s->lock);
}

void range_drop(struct ranges *s, struct range *r)
{
	lock_take(&s->lock);
	*r->link = r->next;
	if (r->next != NULL)
		r->next->link = r->link;
	if (s->sleepers != 0)
		(void)pthread_cond_broadcast(&s->free);
	lock_drop(&s->lock);
}
