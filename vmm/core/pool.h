/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - a bounded pool of threads for work that blocks.
 *
 * One thread is there from the start. The others are made one by one, by a thread
 * of the pool that goes to work when nobody else waits: so they are where the first
 * one was made to run, whoever puts a job. Those that cannot be had are no error.
 * Jobs begin in the order they were put. Nothing is allocated for a job: it is part
 * of what asks for it.
 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "base/attr.h"
#include "base/err.h"

struct pool;

/* Caller-allocated; stays put until fn() has begun. */
struct pool_job {
	void (*fn)(struct pool_job *j); /* on a thread of the pool, no lock held */
	struct pool_job *next;          /* private */
};

enum { POOL_MAX_THREADS = 64 };

/* @threads, at most: 1 .. POOL_MAX_THREADS. All signals are blocked in them. */
struct pool *pool_create(const char *name, unsigned threads, struct sill_err *e) MUST_CHECK;
/* Accepts NULL. Runs what was put, then waits for the threads to end. */
void pool_destroy(struct pool *p);
/* From any thread, also from a job. Jobs may wait for jobs that have begun, never for queued ones. */
void pool_put(struct pool *p, struct pool_job *j);

#endif
