/* SPDX-License-Identifier: Apache-2.0 */
/* machine_id.h - what tells this host from all others: machine-id(5). */
#ifndef RUNNER_HOST_MACHINE_ID_H
#define RUNNER_HOST_MACHINE_ID_H

enum { MACHINE_ID_MAX = 34 }; /* 32 digits, the end of their line, and of the text */

/* The line as it is in the file, its end too. "": this host has none. */
void machine_id(char ret[MACHINE_ID_MAX]);

#endif
