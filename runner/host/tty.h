/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tty.h - the terminal a guest's serial port is shown on.
 *
 * Raw mode is left on every way out: return, exit(), a fatal signal, a stop and
 * its continuation. One terminal, standard input, per process.
 */
#ifndef RUNNER_HOST_TTY_H
#define RUNNER_HOST_TTY_H

#include <stdbool.h>
#include <stdint.h>

#include "sill/error.h"

/* Is standard input a terminal? -1 and @e if not. */
int tty_check(const char *key, struct sill_err *e);

/* Enter raw mode and see to it that it is left. 0, or -1 and @e. */
int tty_enter(struct sill_err *e);

/* Leave raw mode. Harmless when it was not entered. Safe in signal handlers. */
void tty_leave(void);

/* After SIGCONT: raw mode again, if it had been entered and we are in the foreground. */
void tty_again(void);

/* The terminal's size; false when it has none. */
bool tty_size(uint16_t *ret_cols, uint16_t *ret_rows);

#endif
