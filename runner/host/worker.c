/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - see worker.h. */
#include "runner/host/worker.h"

#include <signal.h>

int worker_start(pthread_t *ret, void *(*fn)(void *arg), void *arg, const char *what,
		 struct sill_err *e)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
	pthread_attr_t attr;
	sigset_t all, old;
	int err = pthread_attr_init(&attr);

	if (err == 0) {
		(void)sigfillset(&all);
		for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
			(void)sigdelset(&all, faults[i]);
		(void)pthread_attr_setstacksize(&attr, WORKER_STACK);
		(void)pthread_sigmask(SIG_SETMASK, &all, &old);
		err = pthread_create(ret, &attr, fn, arg);
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
		(void)pthread_attr_destroy(&attr);
	}
	return err == 0 ? 0 : sill_err_sys(e, err, "start %s", what);
}
