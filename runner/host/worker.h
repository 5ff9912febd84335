/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - a thread of the program beside the VM's: all signals blocked but those of its own faults, a small stack. */
#ifndef RUNNER_HOST_WORKER_H
#define RUNNER_HOST_WORKER_H

#include <pthread.h>
#include <stddef.h>

#include "sill/error.h"

enum {
	WORKER_STACK = 256 << 10
}; /* less than a huge page, of which the first touch would take 2 MiB */

/* With a stack of @stack bytes. 0, or an errno. */
int worker_create(pthread_t *ret, void *(*fn)(void *arg), void *arg, size_t stack);
/* @what: "the thread for forwards". 0, or -1 and @e. */
int worker_start(pthread_t *ret, void *(*fn)(void *arg), void *arg, const char *what,
		 struct sill_err *e);

#endif
