/* SPDX-License-Identifier: Apache-2.0 */
/* syncs.c - one fdatasync() of a file at a time. */
#include "backend/block/syncs.h"

#include <assert.h>

void syncs_init(struct syncs *s)
{
	*s = (struct syncs){ 0 };
	(void)pthread_mutex_init(&s->mutex, NULL);
	(void)pthread_cond_init(&s->end, NULL);
}

void syncs_fini(struct syncs *s)
{
	assert(s->begun == s->ended);
	(void)pthread_cond_destroy(&s->end);
	(void)pthread_mutex_destroy(&s->mutex);
}

static void end_locked(struct syncs *s, int err)
{
	assert(s->ended + 1 == s->begun);
	s->ended = s->begun;
	if (err != 0) {
		s->failed = s->ended;
		s->err = err;
	}
	(void)pthread_cond_broadcast(&s->end);
}

int syncs_run(struct syncs *s, int (*sync)(void *ctx), void *ctx)
{
	uint64_t first, mine;
	int err;

	(void)pthread_mutex_lock(&s->mutex);
	mine = s->begun + 1;
	first = s->ended + 1; /* the one at work, which may hear of what we have written; or ours */
	while (s->ended < mine) {
		if (s->begun != s->ended) {
			(void)pthread_cond_wait(&s->end, &s->mutex);
			continue;
		}
		s->begun++;
		(void)pthread_mutex_unlock(&s->mutex);
		err = sync(ctx);
		(void)pthread_mutex_lock(&s->mutex);
		end_locked(s, err);
	}
	err = s->failed >= first ? s->err : 0;
	(void)pthread_mutex_unlock(&s->mutex);
	return err;
}

bool syncs_try(struct syncs *s)
{
	bool is_ours;

	(void)pthread_mutex_lock(&s->mutex);
	is_ours = s->begun == s->ended;
	if (is_ours)
		s->begun++;
	(void)pthread_mutex_unlock(&s->mutex);
	return is_ours;
}

void syncs_end(struct syncs *s, int err)
{
	(void)pthread_mutex_lock(&s->mutex);
	end_locked(s, err);
	(void)pthread_mutex_unlock(&s->mutex);
}
