/* SPDX-License-Identifier: Apache-2.0 */
/* work.c - see work.h. */
#include "runner/api/work.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner/host/worker.h"

enum { STACK = 512 * 1024, THREADS = 16 };

struct workers {
	pthread_mutex_t mutex; /* the fields below; a leaf */
	pthread_cond_t changed;
	struct job *todo, **todo_end, *done, **done_end;
	unsigned idle, queued, count, max;
	bool end;
	int wake;
	pthread_t thread[THREADS];
};

void job_free(struct job *job)
{
	api_call_fini(&job->call);
	free(job->text);
	free(job);
}

static void tell(const struct workers *w)
{
	const uint64_t one = 1;

	(void)!write(w->wake, &one, sizeof(one)); /* full: it is awake */
}

/* A second time it is because nobody has heard the answer. */
static void carry_out(struct job *job)
{
	void (*unheard)(struct api_call *) = job->call.unheard;

	job->call.unheard = NULL;
	if (unheard != NULL)
		unheard(&job->call);
	else
		api_answer(&job->call, job->route, job->text, job->size);
}

static void *work(void *arg)
{
	struct workers *w = arg;

	(void)pthread_setname_np(pthread_self(), "api-worker");
	(void)pthread_mutex_lock(&w->mutex);
	for (;;) {
		struct job *job = w->todo;

		if (w->end)
			break;
		if (job == NULL) {
			w->idle++;
			(void)pthread_cond_wait(&w->changed, &w->mutex);
			w->idle--;
			continue;
		}
		w->todo = job->next;
		w->queued--;
		if (w->todo == NULL)
			w->todo_end = &w->todo;
		(void)pthread_mutex_unlock(&w->mutex);
		carry_out(job);
		(void)pthread_mutex_lock(&w->mutex);
		job->next = NULL;
		*w->done_end = job;
		w->done_end = &job->next;
		tell(w);
	}
	(void)pthread_mutex_unlock(&w->mutex);
	return NULL;
}

struct workers *workers_create(int wake, unsigned max)
{
	struct workers *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->wake = wake;
	w->max = max < THREADS ? max : THREADS;
	w->todo_end = &w->todo;
	w->done_end = &w->done;
	(void)pthread_mutex_init(&w->mutex, NULL);
	(void)pthread_cond_init(&w->changed, NULL);
	return w;
}

/* With the mutex. */
static bool add_thread(struct workers *w)
{
	if (w->count >= w->max || worker_create(&w->thread[w->count], work, w, STACK) != 0)
		return false;
	w->count++;
	return true;
}

void workers_give(struct workers *w, struct job *job)
{
	bool nobody;

	job->next = NULL;
	(void)pthread_mutex_lock(&w->mutex);
	/* Who is idle may have been called for another job already. */
	if (w->queued >= w->idle)
		(void)add_thread(w);
	nobody = w->count == 0;
	if (nobody) {
		job->call.unheard = NULL;
		api_fail(&job->call, 503, "no thread could be started for this request");
		*w->done_end = job;
		w->done_end = &job->next;
		tell(w);
	} else {
		*w->todo_end = job;
		w->todo_end = &job->next;
		w->queued++;
		(void)pthread_cond_signal(&w->changed);
	}
	(void)pthread_mutex_unlock(&w->mutex);
}

struct job *workers_done(struct workers *w)
{
	struct job *job;

	(void)pthread_mutex_lock(&w->mutex);
	job = w->done;
	if (job != NULL)
		w->done = job->next;
	if (w->done == NULL)
		w->done_end = &w->done;
	(void)pthread_mutex_unlock(&w->mutex);
	return job;
}

static void free_jobs(struct job *job)
{
	while (job != NULL) {
		struct job *next = job->next;

		job_free(job);
		job = next;
	}
}

void workers_destroy(struct workers *w)
{
	if (w == NULL)
		return;
	(void)pthread_mutex_lock(&w->mutex);
	w->end = true;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->mutex);
	for (unsigned i = 0; i < w->count; i++)
		(void)pthread_join(w->thread[i], NULL);
	free_jobs(w->todo);
	free_jobs(w->done);
	(void)pthread_cond_destroy(&w->changed);
	(void)pthread_mutex_destroy(&w->mutex);
	free(w);
}
