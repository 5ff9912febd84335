/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h - the engine's threads: signals blocked (sill_thread_signals()), a stack of a size that we chose. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

#include "base/attr.h"

/*
 * 0 or an errno. The stack is small on purpose: the default of 8 MiB is room
 * for transparent huge pages, and the first touch costs 2 MiB of memory.
 * It has an alternate one for signals: a handler runs even when the stack is used up.
 */
int thread_create(pthread_t *ret, void *(*fn)(void *ctx), void *ctx) MUST_CHECK;

#endif
