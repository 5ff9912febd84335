/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - see thread.h. */
#include "base/thread.h"

#include <signal.h>

enum { STACK = 512 * 1024 }; /* below a huge page, with room for what sanitizers add to a frame */

int thread_create(pthread_t *ret, void *(*fn)(void *ctx), void *ctx)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int failed;

	failed = pthread_attr_init(&attr);
	if (failed != 0)
		return failed;
	failed = pthread_attr_setstacksize(&attr, STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	if (failed == 0)
		failed = pthread_create(ret, &attr, fn, ctx);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return failed;
}
