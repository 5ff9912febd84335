/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - see thread.h. */
#include "base/thread.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "sill/vm.h"

enum {
	STACK = 512 * 1024, /* below a huge page, with room for what sanitizers add to a frame */
	SIGNAL_STACK = 32 * 1024, /* the largest register state is 11 KiB (AMX) */
};

/*
 * On the heap, where a page costs nothing until a signal comes. On the thread's own stack each page is
 * touched when the frame is made (-fstack-clash-protection).
 */
struct start {
	void *(*fn)(void *ctx);
	void *ctx;
	_Alignas(16) uint8_t signal_stack[SIGNAL_STACK];
};

void sill_thread_signals(sigset_t *ret)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT };

	(void)sigfillset(ret);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		(void)sigdelset(ret, faults[i]);
}

static void *main_of_thread(void *take_arg)
{
	struct start *s = take_arg;
	const stack_t ours = { .ss_sp = s->signal_stack, .ss_size = sizeof(s->signal_stack) };
	const stack_t none = { .ss_flags = SS_DISABLE };
	stack_t old = { 0 };
	/* A sanitizer has given the thread one already. */
	const bool has_none = sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE) != 0;
	void *ret;

	if (has_none)
		(void)sigaltstack(&ours, NULL);
	ret = s->fn(s->ctx);
	if (has_none)
		(void)sigaltstack(&none, NULL);
	free(s);
	return ret;
}

int thread_create(pthread_t *ret, void *(*fn)(void *ctx), void *ctx)
{
	struct start *s = malloc(sizeof(*s));
	pthread_attr_t attr;
	sigset_t blocked, old;
	int failed;

	if (s == NULL)
		return ENOMEM;
	s->fn = fn;
	s->ctx = ctx;
	failed = pthread_attr_init(&attr);
	if (failed != 0) {
		free(s);
		return failed;
	}
	failed = pthread_attr_setstacksize(&attr, STACK);
	sill_thread_signals(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &old);
	if (failed == 0)
		failed = pthread_create(ret, &attr, main_of_thread, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (failed != 0)
		free(s);
	return failed;
}
