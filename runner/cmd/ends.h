/* SPDX-License-Identifier: Apache-2.0 */
/* ends.h - what a VM's ports and cards are connected to, for the person. */
#ifndef RUNNER_CMD_ENDS_H
#define RUNNER_CMD_ENDS_H

#include "runner/host/files.h"

/* When vmfiles_create() has succeeded: on stdout; what keeps a guest from the world, on stderr. */
void ends_print(const struct vmfiles *f);

#endif
