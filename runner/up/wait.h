/* SPDX-License-Identifier: Apache-2.0 */
/* wait.h - wait until the guest of a VM in the background is up, by the signs that its manifest names (ready). */
#ifndef RUNNER_UP_WAIT_H
#define RUNNER_UP_WAIT_H

#include <stdint.h>

/*
 * @limit_ms: how long, whatever the signs say; 0: as long as each of them says. What comes meanwhile is said on stderr,
 * and why it is not up, with the end of what the guest has written. CMD_DONE, CMD_NOT_READY, or CMD_FAILED: it has
 * ended, or does not answer. A VM without signs is up when it runs.
 */
int wait_ready(const char *name, uint64_t limit_ms);

#endif
