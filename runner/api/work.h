/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h - calls that may wait, made by threads of their own.
 *
 * A thread is started when a job comes and none is idle, up to a number; they stay until the end.
 */
#ifndef RUNNER_API_WORK_H
#define RUNNER_API_WORK_H

#include "runner/api/api.h"

/* Public struct: one request. It belongs to the worker between workers_give() and workers_done(). */
struct job {
	struct api_call call;
	const struct api_route *route;
	char *text; /* owned: the body; NULL: none */
	size_t size;
	bool keep_alive;
	void *owner; /* the client */
	struct job *next;
};

struct workers;

/* @wake, borrowed: an eventfd that is written to when a job is done. NULL: no memory. */
struct workers *workers_create(int wake, unsigned max);
/* Waits for the calls under way; jobs that nobody has begun, or taken back, are freed. Accepts NULL. */
void workers_destroy(struct workers *w);
/* One that has come back, too, whose call is then told that it was not heard. */
void workers_give(struct workers *w, struct job *job);
/* The next that is done; NULL: none. */
struct job *workers_done(struct workers *w);

void job_free(struct job *job);

#endif
