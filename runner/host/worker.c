/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - see worker.h. */
#include "runner/host/worker.h"

#include <signal.h>

#include "sill/vm.h"

int worker_create(pthread_t *ret, void *(*fn)(void *arg), void *arg, size_t stack)
{
	pthread_attr_t attr;
	sigset_t blocked, old;
	int err = pthread_attr_init(&attr);

	if (err != 0)
		return err;
	sill_thread_signals(&blocked);
	(void)pthread_attr_setstacksize(&attr, stack);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &old);
	err = pthread_create(ret, &attr, fn, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return err;
}

int worker_start(pthread_t *ret, void *(*fn)(void *arg), void *arg, const char *what,
		 struct sill_err *e)
{
	const int err = worker_create(ret, fn, arg, WORKER_STACK);

	return err == 0 ? 0 : sill_err_sys(e, err, "start %s", what);
}
