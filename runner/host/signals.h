/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals.h - signals of a process that runs a VM.
 *
 * They are blocked in all threads and taken by one of their own, which can
 * call what a handler may not.
 *
 *   SIGTERM SIGINT SIGHUP  stop the VM; SIGHUP not if it was ignored at the start (nohup)
 *   SIGALRM SIGVTALRM SIGPROF SIGXCPU SIGPWR
 *                          likewise: whatever ends the process ends it in order
 *   SIGTSTP SIGCONT        leave the terminal in order, and take it again
 *   SIGCONT                resume the VM too, if it is paused
 *   SIGWINCH               tell the guest the terminal's size
 *   SIGPIPE SIGXFSZ        ignored: a reader that goes away is no reason to die
 *   SIGTTIN SIGTTOU        ignored: in the background, a VM runs on
 *   SIGUSR1 SIGUSR2 SIGIO SIGSTKFLT, real-time signals
 *                          ignored: strays
 *
 * Those of a fault (SIGSEGV ...) and SIGQUIT are tty.c's.
 */
#ifndef RUNNER_HOST_SIGNALS_H
#define RUNNER_HOST_SIGNALS_H

#include <stdbool.h>

#include "sill/error.h"
#include "sill/vm.h"

/* Before any thread is created: block them. 0, or -1. */
int signals_block(struct sill_err *e);

/*
 * Wait until @fd (-1: nothing) can be read or its far end has gone (1), or @ms are over (0; @ms -1: never).
 * -1 and EINTR when a blocked signal has come that asks a VM to stop: it is left for who takes it.
 */
int signals_wait(int fd, int ms);

/* Begin to take them. @tty_is_console: the terminal's size is the virtio console's. */
int signals_start(struct sill_vm *vm, bool tty_is_console, struct sill_err *e);

/* Before signals_start(): something that thread does every minute or more often. NULL: nothing. */
void signals_set_chore(void (*fn)(void *ctx), void *ctx);

/* Before signals_start(): something that thread does once, so long after it has begun. NULL: nothing. */
void signals_set_once(unsigned ms, void (*fn)(void *ctx), void *ctx);

/* End the thread; the signals stay blocked. Harmless when it was not started. */
void signals_stop(void);

/* The signal that asked the VM to stop, or 0. */
int signals_stopped_by(void);

#endif
