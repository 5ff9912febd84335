/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c - epoll for descriptors, one timerfd for all timers, one eventfd to
 * wake the thread up for tasks and stop.
 *
 * Timers are a sorted list: a VM has a handful. The lists are under the
 * loop's own lock (RANK_LOOP); callbacks run without it. A descriptor that is
 * removed from inside a callback may still be in the batch that epoll_wait()
 * returned: the batch is walked again and its entries are cleared.
 */
#include "core/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/lock.h"
#include "base/thread.h"
#include "core/clock.h"

enum {
	BATCH = 32,
	POLL_LEAST_NS = 4000,
	LOOKS = 16,      /* at what is watched, between two at the descriptors */
	WAKE_NS = 64000, /* what waking a thread may take, on a host that is itself a guest */
	/* Whether it pays to look at all: a success is 1, the longest look for nothing costs 2. */
	CREDIT = 8,
	CREDIT_MAX = 64,
	PAUSE = 32, /* short sleeps without a look, when it does not */
};

struct loop {
	int epoll_fd, wake_fd, timer_fd; /* owned */
	struct lock lock;                /* RANK_LOOP: tasks, timers */
	struct loop_task *tasks, **tasks_end;
	struct loop_timer *timers;
	struct epoll_event batch[BATCH]; /* loop thread only */
	int batch_count, batch_at;
	/* Loop thread only, once it runs. */
	uint64_t poll_max_ns, poll_ns;
	unsigned credit, pause;
	struct loop_watch *watches; /* loop thread only, once it runs */
	bool stop;                  /* atomic */
	bool running;               /* atomic: a thread is inside loop_run() */
	int tid;                    /* atomic: the thread inside loop_run(); 0 before it came up */
};

static void wake(struct loop *l)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full: then it is awake already. */
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static int watch(struct loop *l, int fd, void *tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = tag };

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

struct loop *loop_create(struct sill_err *e)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		(void)sill_err_sys(e, ENOMEM, "event loop");
		return NULL;
	}
	lock_init(&l->lock, RANK_LOOP);
	l->tasks_end = &l->tasks;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->epoll_fd < 0 || l->wake_fd < 0 || l->timer_fd < 0 ||
	    watch(l, l->wake_fd, &l->wake_fd) < 0 || watch(l, l->timer_fd, &l->timer_fd) < 0) {
		(void)sill_err_sys(e, errno, "event loop");
		loop_destroy(l);
		return NULL;
	}
	return l;
}

void loop_destroy(struct loop *l)
{
	if (l == NULL)
		return;
	fd_close(&l->timer_fd);
	fd_close(&l->wake_fd);
	fd_close(&l->epoll_fd);
	lock_fini(&l->lock);
	free(l);
}

bool loop_is_self(const struct loop *l)
{
	return !__atomic_load_n(&l->running, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&l->tid, __ATOMIC_ACQUIRE) == gettid();
}

void loop_stop(struct loop *l)
{
	__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
	wake(l);
}

int loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events, struct sill_err *e)
{
	struct epoll_event ev = { .events = events, .data.ptr = f };

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, f->fd, &ev) < 0)
		return sill_err_sys(e, errno, "watch a descriptor");
	f->added = true;
	return 0;
}

void loop_fd_remove(struct loop *l, struct loop_fd *f)
{
	if (!f->added)
		return;
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, f->fd, NULL);
	f->added = false;
	for (int i = l->batch_at; i < l->batch_count; i++)
		if (l->batch[i].data.ptr == f)
			l->batch[i].data.ptr = NULL;
}

/* The first timer's deadline into the timerfd; 0 ns would disarm it, so at least 1. */
static void arm_locked(struct loop *l)
{
	uint64_t at = l->timers != NULL ? l->timers->deadline_ns : 0;
	struct itimerspec spec = { 0 };

	if (l->timers != NULL && at == 0)
		at = 1;
	spec.it_value.tv_sec = (time_t)(at / 1000000000ull);
	spec.it_value.tv_nsec = (long)(at % 1000000000ull);
	(void)timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void timer_unlink_locked(struct loop *l, struct loop_timer *t)
{
	struct loop_timer **p = &l->timers;

	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	t->armed = false;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns)
{
	struct loop_timer **p = &l->timers, *first;

	lock_take(&l->lock);
	first = l->timers;
	if (t->armed && t->deadline_ns == deadline_ns) {
		lock_drop(&l->lock);
		return;
	}
	if (t->armed)
		timer_unlink_locked(l, t);
	t->deadline_ns = deadline_ns;
	t->armed = true;
	while (*p != NULL && (*p)->deadline_ns <= deadline_ns)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
	if (l->timers == t || first == t)
		arm_locked(l);
	lock_drop(&l->lock);
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	lock_take(&l->lock);
	if (t->armed) {
		bool first = l->timers == t;

		timer_unlink_locked(l, t);
		if (first)
			arm_locked(l);
	}
	lock_drop(&l->lock);
}

static void run_timers(struct loop *l)
{
	uint64_t now = host_now();

	lock_take(&l->lock);
	while (l->timers != NULL && l->timers->deadline_ns <= now) {
		struct loop_timer *t = l->timers;

		timer_unlink_locked(l, t);
		lock_drop(&l->lock);
		t->fn(t->ctx);
		lock_take(&l->lock);
	}
	arm_locked(l);
	lock_drop(&l->lock);
}

void loop_post(struct loop *l, struct loop_task *t)
{
	bool was_posted, was_empty;

	lock_take(&l->lock);
	was_posted = t->posted;
	was_empty = l->tasks == NULL;
	if (!was_posted) {
		t->posted = true;
		t->next = NULL;
		*l->tasks_end = t;
		l->tasks_end = &t->next;
	}
	lock_drop(&l->lock);
	if (!was_posted && was_empty)
		wake(l);
}

void loop_unpost(struct loop *l, struct loop_task *t)
{
	lock_take(&l->lock);
	if (t->posted) {
		struct loop_task **p = &l->tasks;

		while (*p != t)
			p = &(*p)->next;
		*p = t->next;
		if (l->tasks_end == &t->next)
			l->tasks_end = p;
		t->posted = false;
	}
	lock_drop(&l->lock);
}

/* Runs what is posted now; what these tasks post waits for the next turn. */
static void run_tasks(struct loop *l)
{
	struct loop_task *last;

	lock_take(&l->lock);
	last = l->tasks != NULL ? (struct loop_task *)(void *)((char *)l->tasks_end -
							       offsetof(struct loop_task, next))
				: NULL;
	while (l->tasks != NULL) {
		struct loop_task *t = l->tasks;

		l->tasks = t->next;
		if (l->tasks == NULL)
			l->tasks_end = &l->tasks;
		t->posted = false;
		lock_drop(&l->lock);
		t->fn(t->ctx);
		lock_take(&l->lock);
		if (t == last)
			break;
	}
	if (l->tasks != NULL)
		wake(l);
	lock_drop(&l->lock);
}

static void drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
}

static void dispatch(struct loop *l, const struct epoll_event *ev)
{
	struct loop_fd *f = ev->data.ptr;

	if (ev->data.ptr == NULL)
		return;
	if (ev->data.ptr == &l->wake_fd) {
		drain(l->wake_fd);
		run_tasks(l);
	} else if (ev->data.ptr == &l->timer_fd) {
		drain(l->timer_fd);
		run_timers(l);
	} else {
		f->fn(f->ctx, ev->events);
	}
}

void loop_set_poll(struct loop *l, uint64_t max_ns)
{
	l->poll_max_ns = max_ns;
	l->credit = CREDIT;
}

void loop_watch_add(struct loop *l, struct loop_watch *w)
{
	w->next = l->watches;
	l->watches = w;
	w->added = true;
}

void loop_watch_remove(struct loop *l, struct loop_watch *w)
{
	struct loop_watch **p = &l->watches;

	if (!w->added)
		return;
	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	w->added = false;
}

static bool look(struct loop *l)
{
	bool found = false;

	for (struct loop_watch *w = l->watches; w != NULL; w = w->next)
		found = w->look(w->ctx) || found;
	return found;
}

static bool doze(struct loop *l)
{
	bool found = false;

	for (struct loop_watch *w = l->watches; w != NULL; w = w->next)
		found = (w->doze != NULL && w->doze(w->ctx)) || found;
	return found;
}

static int events_now(struct loop *l)
{
	return epoll_wait(l->epoll_fd, l->batch, BATCH, 0);
}

/*
 * Until there are events, or nothing was seen for as long as it pays to look.
 * *ret_idle says since when there was nothing.
 */
static int look_around(struct loop *l, uint64_t *ret_idle)
{
	uint64_t now = *ret_idle;
	int n = 0;

	while (n == 0 && now - *ret_idle < l->poll_ns) {
		bool found = false;

		for (unsigned i = 0; i < LOOKS; i++) {
			if (look(l))
				found = true;
			else
				__builtin_ia32_pause();
		}
		n = events_now(l);
		now = host_now();
		if (found)
			*ret_idle = now;
		if ((found || n != 0) && l->credit < CREDIT_MAX)
			l->credit++;
	}
	return n;
}

/*
 * How long to look next time, after a sleep that ended @waited ns after the last
 * thing that was seen: what came soon might have been seen, had the thread not
 * slept. Storage that is only just too slow for that would have it look in vain
 * for ever, so looking must pay.
 */
static void learn(struct loop *l, uint64_t waited)
{
	if (waited > l->poll_max_ns + WAKE_NS) {
		l->poll_ns = l->poll_ns > POLL_LEAST_NS ? l->poll_ns / 2 : 0;
	} else if (l->pause != 0) {
		l->pause--;
	} else if (l->poll_ns != l->poll_max_ns) {
		const uint64_t more = l->poll_ns != 0 ? 2 * l->poll_ns : POLL_LEAST_NS;

		l->poll_ns = more < l->poll_max_ns ? more : l->poll_max_ns;
	} else if (l->credit >= 2) {
		l->credit -= 2;
	} else {
		l->poll_ns = 0;
		l->pause = PAUSE;
		l->credit = CREDIT;
	}
}

/* Events, after a while of looking, or of sleep. */
static int wait_for_events(struct loop *l)
{
	uint64_t idle = 0;
	int n;

	if (l->poll_max_ns != 0) {
		idle = host_now();
		n = look_around(l, &idle);
		if (n != 0)
			return n;
	}
	if (doze(l))
		return events_now(l);
	n = epoll_wait(l->epoll_fd, l->batch, BATCH, -1);
	if (l->poll_max_ns != 0)
		learn(l, host_now() - idle);
	return n;
}

void loop_take(struct loop *l)
{
	__atomic_store_n(&l->tid, gettid(), __ATOMIC_RELEASE);
	__atomic_store_n(&l->running, true, __ATOMIC_RELEASE);
}

int loop_run(struct loop *l, struct sill_err *e)
{
	int ret = 0;

	loop_take(l);
	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		l->batch_count = wait_for_events(l);
		if (l->batch_count < 0) {
			l->batch_count = 0;
			if (errno == EINTR)
				continue;
			ret = sill_err_sys(e, errno, "wait for events");
			break;
		}
		for (l->batch_at = 0; l->batch_at < l->batch_count;) {
			struct epoll_event ev = l->batch[l->batch_at++];

			dispatch(l, &ev);
		}
		l->batch_count = 0;
	}
	__atomic_store_n(&l->running, false, __ATOMIC_RELEASE);
	__atomic_store_n(&l->stop, false, __ATOMIC_RELEASE);
	return ret;
}

struct call {
	struct loop_task task;
	loop_fn fn;
	void *ctx;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool done;
};

static void call_run(void *ctx)
{
	struct call *c = ctx;

	c->fn(c->ctx);
	(void)pthread_mutex_lock(&c->mutex);
	c->done = true;
	(void)pthread_cond_signal(&c->cond);
	(void)pthread_mutex_unlock(&c->mutex);
}

void loop_call(struct loop *l, loop_fn fn, void *ctx)
{
	struct call c = { .task = { .fn = call_run },
			  .fn = fn,
			  .ctx = ctx,
			  .mutex = PTHREAD_MUTEX_INITIALIZER,
			  .cond = PTHREAD_COND_INITIALIZER };

	if (loop_is_self(l)) {
		fn(ctx);
		return;
	}
	c.task.ctx = &c;
	loop_post(l, &c.task);
	(void)pthread_mutex_lock(&c.mutex);
	while (!c.done)
		(void)pthread_cond_wait(&c.cond, &c.mutex);
	(void)pthread_mutex_unlock(&c.mutex);
	(void)pthread_mutex_destroy(&c.mutex);
	(void)pthread_cond_destroy(&c.cond);
}

struct iothread {
	struct loop *loop; /* owned */
	pthread_t thread;
	char name[16];
};

static void *iothread_main(void *ctx)
{
	struct iothread *t = ctx;
	struct sill_err e = { 0 };

	(void)pthread_setname_np(pthread_self(), t->name);
	(void)loop_run(t->loop, &e);
	return NULL;
}

struct iothread *iothread_create(const char *name, uint64_t poll_ns, struct sill_err *e)
{
	struct iothread *t = calloc(1, sizeof(*t));
	int failed;

	if (t == NULL) {
		(void)sill_err_sys(e, ENOMEM, "thread %s", name);
		return NULL;
	}
	(void)strncat(t->name, name, sizeof(t->name) - 1);
	t->loop = loop_create(e);
	if (t->loop == NULL) {
		free(t);
		return NULL;
	}
	loop_set_poll(t->loop, poll_ns);
	/* Until its thread has come up, nobody may take the loop for idle. */
	t->loop->running = true;
	failed = thread_create(&t->thread, iothread_main, t);
	if (failed != 0) {
		(void)sill_err_sys(e, failed, "thread %s", name);
		loop_destroy(t->loop);
		free(t);
		return NULL;
	}
	return t;
}

void iothread_destroy(struct iothread *t)
{
	if (t == NULL)
		return;
	loop_stop(t->loop);
	(void)pthread_join(t->thread, NULL);
	loop_destroy(t->loop);
	free(t);
}

struct loop *iothread_loop(struct iothread *t)
{
	return t->loop;
}
