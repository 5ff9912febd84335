/* SPDX-License-Identifier: Apache-2.0 */
/* test_pool.c - every job runs once, a thread comes when none waits, none begins beyond the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "core/pool.h"
#include "tasks.h"

struct job {
	struct pool_job j; /* first */
	unsigned runs;     /* atomic */
};

static unsigned inside, peak;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void count_run(struct pool_job *j)
{
	struct job *job = (struct job *)(void *)j;

	__atomic_add_fetch(&job->runs, 1, __ATOMIC_RELAXED);
}

/* Wait until as many jobs are inside at once as the test wants. */
static unsigned meeting;

static void meet(struct pool_job *j)
{
	count_run(j);
	(void)pthread_mutex_lock(&mutex);
	inside++;
	peak = inside > peak ? inside : peak;
	(void)pthread_cond_broadcast(&changed);
	while (peak < meeting)
		(void)pthread_cond_wait(&changed, &mutex);
	inside--;
	(void)pthread_mutex_unlock(&mutex);
}

static void pool__runs_every_job_once(void **state)
{
	enum { JOBS = 2000 };
	struct sill_err e = { 0 };
	struct pool *p = pool_create("test", 4, &e);
	struct job *job = calloc(JOBS, sizeof(*job));

	(void)state;
	assert_non_null(p);
	for (unsigned i = 0; i < JOBS; i++) {
		job[i].j.fn = count_run;
		pool_put(p, &job[i].j);
	}
	pool_destroy(p);
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(job[i].runs, 1);
	free(job);
}

/* Jobs that wait for each other all begin: there is a thread for each, up to the limit. */
static void pool__has_a_thread_for_each_job_up_to_the_limit(void **state)
{
	enum { THREADS = 6, JOBS = 20 };
	struct sill_err e = { 0 };
	struct pool *p = pool_create("test", THREADS, &e);
	struct job job[JOBS] = { 0 };

	(void)state;
	assert_non_null(p);
	inside = peak = 0;
	meeting = THREADS;
	for (unsigned i = 0; i < JOBS; i++) {
		job[i].j.fn = meet;
		pool_put(p, &job[i].j);
	}
	pool_destroy(p);
	assert_int_equal(peak, THREADS);
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(job[i].runs, 1);
}

/* One from the start; whoever goes to work leaves one that waits. */
static void pool__makes_a_thread_when_none_waits(void **state)
{
	struct sill_err e = { 0 };
	const unsigned before = tasks_alive();
	struct pool *p = pool_create("test", 6, &e);
	struct job job = { .j.fn = meet };

	(void)state;
	assert_non_null(p);
	assert_int_equal(tasks_alive(), before + 1);
	inside = peak = 0;
	meeting = 2;
	pool_put(p, &job.j);
	(void)pthread_mutex_lock(&mutex);
	while (inside == 0)
		(void)pthread_cond_wait(&changed, &mutex);
	assert_int_equal(tasks_alive(), before + 2);
	peak = meeting;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&mutex);
	pool_destroy(p);
	assert_int_equal(tasks_alive(), before);
	assert_int_equal(job.runs, 1);
}

static struct pool *again_pool;
static struct job second;

static void put_second(struct pool_job *j)
{
	count_run(j);
	pool_put(again_pool, &second.j);
}

static void pool_destroy__runs_what_a_last_job_puts(void **state)
{
	struct sill_err e = { 0 };
	struct job first = { .j.fn = put_second };

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		again_pool = pool_create("test", 2, &e);
		assert_non_null(again_pool);
		first.runs = 0;
		second = (struct job){ .j.fn = count_run };
		pool_put(again_pool, &first.j);
		pool_destroy(again_pool);
		assert_int_equal(first.runs, 1);
		assert_int_equal(second.runs, 1);
	}
}

static sigset_t seen;

static void look_at_signals(struct pool_job *j)
{
	count_run(j);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &seen);
}

static void pool__threads_take_no_signals(void **state)
{
	struct sill_err e = { 0 };
	struct pool *p = pool_create("test", 1, &e);
	struct job job = { .j.fn = look_at_signals };

	(void)state;
	assert_non_null(p);
	pool_put(p, &job.j);
	pool_destroy(p);
	assert_true(sigismember(&seen, SIGTERM) == 1 && sigismember(&seen, SIGINT) == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool__runs_every_job_once),
		cmocka_unit_test(pool__has_a_thread_for_each_job_up_to_the_limit),
		cmocka_unit_test(pool__makes_a_thread_when_none_waits),
		cmocka_unit_test(pool_destroy__runs_what_a_last_job_puts),
		cmocka_unit_test(pool__threads_take_no_signals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
