/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - an event loop: descriptors, timers, posted tasks (epoll, timerfd,
 * eventfd). The main loop is the thread of sill_vm_run(); an I/O thread is a
 * loop with a thread of its own (iothread_*).
 *
 * Callbacks run on the loop's thread, one at a time, with no lock held: a
 * device's callback takes its device's lock itself (dev_take/dev_drop).
 * Unless it says otherwise a function here may be called from any thread.
 */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct loop;

/*
 * A stream of work that passes through a thread (requests to the storage, completions from it,
 * answers to the driver) is handed on so much at a time, at the cost of a system call or an
 * interrupt each: whoever gets a portion works on it while we get the next one ready. If batches
 * were handed on whole, however large, one would work and all others wait. Every stage goes by
 * this number: one with a larger one would make the next stage wait again.
 */
enum { LOOP_PORTION = 8 };

typedef void (*loop_fn)(void *ctx);
typedef void (*loop_fd_fn)(void *ctx, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP ... */

/* Caller-allocated, zeroed; stays put while added. Neither function adds or removes one. */
struct loop_watch {
	/* Is there something? It is seen to before this returns true. Cheap when there is not. */
	bool (*look)(void *ctx);
	/* The thread is about to sleep: have it woken. True: something had come, and is seen to. Or NULL. */
	bool (*doze)(void *ctx);
	void *ctx;
	/* private */
	struct loop_watch *next;
	bool added;
};

/* Caller-allocated, zeroed; stays put while added. */
struct loop_fd {
	int fd; /* borrowed */
	loop_fd_fn fn;
	void *ctx;
	bool added;
};

struct loop_timer {
	loop_fn fn;
	void *ctx;
	/* private */
	uint64_t deadline_ns;
	struct loop_timer *next;
	bool armed;
};

struct loop_task {
	loop_fn fn;
	void *ctx;
	/* private */
	struct loop_task *next;
	bool posted;
};

struct loop *loop_create(struct sill_err *e);
void loop_destroy(struct loop *l); /* accepts NULL; nothing may be added any more */
/* Run until loop_stop(). 0, or -1 when epoll itself fails. */
int loop_run(struct loop *l, struct sill_err *e);
/*
 * Before it runs: let the thread look for events for up to @max_ns before it goes to sleep, if that has paid of
 * late: waking a thread takes longer than fast storage and the driver's next request. 0, as at the start, is
 * never: right where whoever makes the events has to have the same processor.
 */
void loop_set_poll(struct loop *l, uint64_t max_ns);
/*
 * What the thread can see without a system call while it looks, and what would
 * wake it only if asked to. Loop's thread only (or while it does not run).
 */
void loop_watch_add(struct loop *l, struct loop_watch *w);
void loop_watch_remove(struct loop *l, struct loop_watch *w); /* accepts one that is not added */
void loop_stop(struct loop *l);                               /* async-signal-safe */
/* This thread is about to call loop_run(): others can post and wait from here on. */
void loop_take(struct loop *l);
bool loop_is_self(const struct loop *l); /* true on the loop's thread, or while nobody runs it */

/* Loop's thread only (or while it does not run). After remove() the callback is not called again. */
int loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events, struct sill_err *e) MUST_CHECK;
void loop_fd_remove(struct loop *l, struct loop_fd *f); /* accepts one that is not added */

/* One-shot, absolute host CLOCK_MONOTONIC ns; setting again moves it. fn and ctx are set before. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns);
/* From another thread the callback may still be running when this returns. */
void loop_timer_cancel(struct loop *l, struct loop_timer *t);

/* Run the task once, soon, on the loop's thread. Posting a posted task does nothing. */
void loop_post(struct loop *l, struct loop_task *t);
void loop_unpost(struct loop *l, struct loop_task *t);
/* Run @fn on the loop's thread and wait for it; no lock may be held. Direct when loop_is_self(). */
void loop_call(struct loop *l, loop_fn fn, void *ctx);

/* A loop with its own thread, all signals blocked. @poll_ns: as for loop_set_poll(). */
struct iothread;
struct iothread *iothread_create(const char *name, uint64_t poll_ns, struct sill_err *e);
void iothread_destroy(struct iothread *t); /* accepts NULL; stops and joins */
struct loop *iothread_loop(struct iothread *t);

#endif
