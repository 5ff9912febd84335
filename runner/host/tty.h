/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tty.h - the terminal a guest's serial port is shown on.
 *
 * Raw mode is left on every way out: return, exit(), a fatal signal, a stop and
 * its continuation. One terminal, standard input, per process. While it belongs to
 * somebody else (we are in the background) its settings are left alone.
 */
#ifndef RUNNER_HOST_TTY_H
#define RUNNER_HOST_TTY_H

#include <stdbool.h>
#include <stdint.h>

#include "sill/error.h"

/* Is standard input a terminal? */
bool tty_is_there(void);

/* Is the terminal ours now? Not if another job of its session is in the foreground. */
bool tty_in_foreground(void);

/*
 * Enter raw mode and see to it that it is left; in the background, see to that only.
 * 0, or -1 and @e.
 */
int tty_enter(struct sill_err *e);

/* Leave raw mode. Harmless when it was not entered. Safe in signal handlers. */
void tty_leave(void);

/* Raw mode (again), if tty_enter() was called and we are in the foreground; after SIGCONT. */
void tty_again(void);

/*
 * tty_enter() was called and raw mode is still to come. A shell need not send a signal when it
 * moves a job that runs into the foreground: call tty_again() from time to time.
 */
bool tty_waits(void);

/* The terminal's size; false when it has none. */
bool tty_size(uint16_t *ret_cols, uint16_t *ret_rows);

#endif
