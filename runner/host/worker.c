/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - see worker.h. */
#include "runner/host/worker.h"

#include <signal.h>

int worker_create(pthread_t *ret, void *(*fn)(void *arg), void *arg, size_t stack)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
	pthread_attr_t attr;
	sigset_t all, old;
	int err = pthread_attr_init(&attr);

	if (err != 0)
		return err;
	(void)sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		(void)sigdelset(&all, faults[i]);
	(void)pthread_attr_setstacksize(&attr, stack);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
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
