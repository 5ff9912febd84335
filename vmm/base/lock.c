/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - rank checking is one thread-local bit set: a bit per rank held. */
#include "base/lock.h"

#include <assert.h>

static _Thread_local unsigned held;

void lock_init(struct lock *l, enum lock_rank rank)
{
	l->rank = rank;
	(void)pthread_mutex_init(&l->mutex, NULL);
}

void lock_fini(struct lock *l)
{
	(void)pthread_mutex_destroy(&l->mutex);
}

NO_LOCK_CHECK void lock_take(struct lock *l)
{
	assert(held >> l->rank == 0); /* nothing of this rank or above is held */
	(void)pthread_mutex_lock(&l->mutex);
	held |= 1u << l->rank;
}

NO_LOCK_CHECK bool lock_try(struct lock *l)
{
	assert(held >> l->rank == 0);
	if (pthread_mutex_trylock(&l->mutex) != 0)
		return false;
	held |= 1u << l->rank;
	return true;
}

NO_LOCK_CHECK void lock_drop(struct lock *l)
{
	assert((held & 1u << l->rank) != 0);
	held &= ~(1u << l->rank);
	(void)pthread_mutex_unlock(&l->mutex);
}

NO_LOCK_CHECK void lock_wait(struct lock *l, pthread_cond_t *c)
{
	assert(held == 1u << l->rank);
	(void)pthread_cond_wait(c, &l->mutex);
}

bool lock_held_any(void)
{
	return held != 0;
}
