/* SPDX-License-Identifier: Apache-2.0 */
/*
 * std.h - standard input, output and error, whatever the process was started with.
 */
#ifndef RUNNER_HOST_STD_H
#define RUNNER_HOST_STD_H

#include <stdbool.h>

/*
 * First of all: see to it that descriptors 0, 1 and 2 are taken. One that was closed would be given
 * to the next file that is opened: what is printed would go into a disk image, and a guest would
 * read one as its keyboard. Reading and writing what was closed fails, as it would have.
 * 0, or -1 when there is nothing to take their place.
 */
int std_fill(void);

/*
 * Can a line be written to standard error at once? A pipe whose reader has fallen asleep, or a terminal
 * that was told to wait, would keep us waiting, and with us the guest.
 */
bool std_error_ready(void);

#endif
