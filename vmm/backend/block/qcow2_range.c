/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_range.c - who is at work on which clusters.
 *
 * A lock of its own, held for a few instructions only: a request of the fast
 * path ends without waiting for anybody who reads tables. Two lists, so that
 * reads and writes in place, however many are in flight, look only at the few
 * that change mappings.
 */
#include "backend/block/qcow2.h"

static bool meets(const struct qcow2_range *list, const struct qcow2_range *r)
{
	for (; list != NULL; list = list->next)
		if (list->first <= r->last && r->first <= list->last)
			return true;
	return false;
}

static bool in_the_way(const struct qcow2 *q, const struct qcow2_range *r)
{
	return meets(q->exclusive, r) || (r->exclusive && meets(q->shared, r));
}

static void add(struct qcow2 *q, struct qcow2_range *r)
{
	struct qcow2_range **list = r->exclusive ? &q->exclusive : &q->shared;

	r->next = *list;
	r->link = list;
	if (r->next != NULL)
		r->next->link = &r->next;
	*list = r;
}

static void wait_locked(struct qcow2 *q, const struct qcow2_range *r) REQUIRES(q->range_lock)
{
	q->range_sleepers++;
	while (in_the_way(q, r))
		lock_wait(&q->range_lock, &q->range_free);
	q->range_sleepers--;
}

bool qcow2_range_try(struct qcow2 *q, struct qcow2_range *r)
{
	bool ok;

	lock_take(&q->range_lock);
	ok = !in_the_way(q, r);
	if (ok)
		add(q, r);
	lock_drop(&q->range_lock);
	return ok;
}

void qcow2_range_take(struct qcow2 *q, struct qcow2_range *r)
{
	lock_take(&q->range_lock);
	wait_locked(q, r);
	add(q, r);
	lock_drop(&q->range_lock);
}

void qcow2_range_wait(struct qcow2 *q, const struct qcow2_range *r)
{
	lock_drop(&q->lock);
	lock_take(&q->range_lock);
	wait_locked(q, r);
	lock_drop(&q->range_lock);
	lock_take(&q->lock);
}

void qcow2_range_drop(struct qcow2 *q, struct qcow2_range *r)
{
	lock_take(&q->range_lock);
	*r->link = r->next;
	if (r->next != NULL)
		r->next->link = r->link;
	if (q->range_sleepers != 0)
		(void)pthread_cond_broadcast(&q->range_free);
	lock_drop(&q->range_lock);
}
