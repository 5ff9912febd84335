/* SPDX-License-Identifier: Apache-2.0 */
/* crew.c - several threads go over a disk, piece by piece. */
#include "image/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"

enum { MAX_WORKERS = 8, PAGE = 4096 };

struct job {
	const struct crew *c;
	pthread_mutex_t mutex; /* a leaf but for the backends' locks; guards all below */
	uint64_t at;           /* all before it was handed out */
	uint64_t done;
	bool stopped, failed;
	struct sill_err err; /* the first one */
};

static void stop(struct job *j, const struct sill_err *e)
{
	(void)pthread_mutex_lock(&j->mutex);
	if (e != NULL && !j->failed) {
		j->failed = true;
		j->err = *e;
	}
	j->stopped = true;
	(void)pthread_mutex_unlock(&j->mutex);
}

/* The next piece that is worth a visit. 1, 0 at the end, or -1. */
static int next(struct job *j, struct crew_piece *p, struct sill_err *e)
{
	int ret = 0;

	(void)pthread_mutex_lock(&j->mutex);
	while (ret == 0 && !j->stopped && j->at < j->c->size) {
		ret = j->c->look(j->c->ctx, j->at, p, e);
		if (ret < 0)
			break;
		j->at += p->length;
		if (ret == 0)
			j->done += p->length;
	}
	(void)pthread_mutex_unlock(&j->mutex);
	return ret;
}

static bool go_on(struct job *j, const struct crew_piece *p, bool caller)
{
	uint64_t done;

	(void)pthread_mutex_lock(&j->mutex);
	j->done += p->length;
	done = j->done < j->c->size ? j->done : j->c->size;
	(void)pthread_mutex_unlock(&j->mutex);
	return !caller || j->c->progress == NULL ||
	       j->c->progress(j->c->progress_ctx, done, j->c->size);
}

static int visit_all(struct job *j, const struct crew_hand *h, bool caller, struct sill_err *e)
{
	struct crew_piece p;
	int ret;

	while ((ret = next(j, &p, e)) > 0) {
		ret = j->c->visit(j->c->ctx, h, &p, e);
		if (ret > 0)
			stop(j, NULL);
		if (ret < 0)
			return -1;
		if (!go_on(j, &p, caller))
			return sill_err_set(e, SILL_ERR_STATE, "interrupted");
	}
	return ret;
}

static void work(struct job *j, bool caller)
{
	struct crew_hand h = { .buf = aligned_alloc(PAGE, j->c->buffer) };
	struct sill_err e = { 0 };
	bool able = h.buf != NULL;

	if (able && j->c->tool_make != NULL) {
		h.tool = j->c->tool_make(j->c->ctx);
		able = h.tool != NULL;
	}
	if (!able)
		(void)sill_err_sys(&e, ENOMEM, "copy");
	if (!able || visit_all(j, &h, caller, &e) < 0)
		stop(j, &e);
	if (h.tool != NULL)
		j->c->tool_drop(h.tool);
	free(h.buf);
}

static void *worker(void *arg)
{
	work(arg, false);
	return NULL;
}

/* As many of @want as the host lets us have; the job gets done with none. */
static unsigned start(struct job *j, pthread_t *threads, unsigned want)
{
	unsigned n = 0;

	while (n < want && thread_create(&threads[n], worker, j) == 0)
		n++;
	return n;
}

static unsigned worker_count(const struct crew *c)
{
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	/* More than processors: some of them wait for the disk. */
	unsigned n = online > 2 ? 2 * (unsigned)online : 4;

	if (c->workers != 0)
		n = c->workers;
	return n < MAX_WORKERS ? n : MAX_WORKERS;
}

int crew_run(const struct crew *c, struct sill_err *e)
{
	struct job j = { .c = c };
	pthread_t threads[MAX_WORKERS];
	unsigned n;

	(void)pthread_mutex_init(&j.mutex, NULL);
	n = start(&j, threads, worker_count(c) - 1);
	work(&j, true);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	(void)pthread_mutex_destroy(&j.mutex);
	if (j.failed) {
		*e = j.err;
		return -1;
	}
	if (c->progress != NULL)
		(void)c->progress(c->progress_ctx, c->size, c->size);
	return 0;
}
