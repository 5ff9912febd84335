/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - one list of jobs under one mutex, a leaf; idle threads wait for it to fill. */
#include "core/pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

struct pool {
	pthread_mutex_t mutex; /* all below */
	pthread_cond_t more;
	struct pool_job *first, **end;
	unsigned idle; /* threads that wait; each wake-up and each start under way still counts */
	unsigned count, max;
	bool stop;
	char name[12];
	pthread_t thread[];
};

static void *pool_main(void *ctx);

static int start_one_locked(struct pool *p)
{
	int err = thread_create(&p->thread[p->count], pool_main, p);

	if (err == 0) {
		p->count++;
		p->idle++;
	}
	return err;
}

/* Who goes to work leaves somebody behind who waits. What may not be made is not asked for again. */
static void replace_me_locked(struct pool *p)
{
	const bool wanted = p->idle == 0 && (!p->stop || p->first != NULL);

	if (wanted && p->count < p->max && start_one_locked(p) != 0)
		p->max = p->count;
}

static void *pool_main(void *ctx)
{
	struct pool *p = ctx;

	(void)pthread_setname_np(pthread_self(), p->name);
	(void)pthread_mutex_lock(&p->mutex);
	p->idle--;
	for (;;) {
		struct pool_job *j = p->first;

		if (j == NULL) {
			if (p->stop)
				break;
			p->idle++;
			(void)pthread_cond_wait(&p->more, &p->mutex);
			p->idle--;
			continue;
		}
		p->first = j->next;
		if (p->first == NULL)
			p->end = &p->first;
		replace_me_locked(p);
		(void)pthread_mutex_unlock(&p->mutex);
		j->fn(j);
		(void)pthread_mutex_lock(&p->mutex);
	}
	(void)pthread_mutex_unlock(&p->mutex);
	return NULL;
}

struct pool *pool_create(const char *name, unsigned threads, struct sill_err *e)
{
	struct pool *p;
	int err;

	assert(threads >= 1 && threads <= POOL_MAX_THREADS);
	p = calloc(1, sizeof(*p) + threads * sizeof(p->thread[0]));
	if (p == NULL) {
		(void)sill_err_sys(e, ENOMEM, "threads %s", name);
		return NULL;
	}
	(void)pthread_mutex_init(&p->mutex, NULL);
	(void)pthread_cond_init(&p->more, NULL);
	p->end = &p->first;
	p->max = threads;
	(void)strncat(p->name, name, sizeof(p->name) - 1);
	(void)pthread_mutex_lock(&p->mutex);
	err = start_one_locked(p);
	(void)pthread_mutex_unlock(&p->mutex);
	if (err != 0) {
		(void)sill_err_sys(e, err, "thread %s", name);
		pool_destroy(p);
		return NULL;
	}
	return p;
}

static unsigned threads(struct pool *p)
{
	unsigned n;

	(void)pthread_mutex_lock(&p->mutex);
	n = p->count;
	(void)pthread_mutex_unlock(&p->mutex);
	return n;
}

void pool_destroy(struct pool *p)
{
	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&p->mutex);
	p->stop = true;
	(void)pthread_cond_broadcast(&p->more);
	(void)pthread_mutex_unlock(&p->mutex);
	/* A job may still put one: its own thread comes back for it. Who starts a thread ends after that. */
	for (unsigned i = 0; i < threads(p); i++)
		(void)pthread_join(p->thread[i], NULL);
	(void)pthread_cond_destroy(&p->more);
	(void)pthread_mutex_destroy(&p->mutex);
	free(p);
}

void pool_put(struct pool *p, struct pool_job *j)
{
	j->next = NULL;
	(void)pthread_mutex_lock(&p->mutex);
	*p->end = j;
	p->end = &j->next;
	if (p->idle > 0)
		(void)pthread_cond_signal(&p->more);
	(void)pthread_mutex_unlock(&p->mutex);
}
