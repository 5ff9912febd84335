/* SPDX-License-Identifier: Apache-2.0 */
/* limit.h - rate limits of disks and cards that change. */
#ifndef RUNNER_API_LIMIT_H
#define RUNNER_API_LIMIT_H

#include "runner/api/api.h"

/*
 * Carry out sill.set-limit: the manifest first, which is checked as a whole, then the VM, if it runs. What limits
 * something is said to all of a group that say what the limit is. A worker, with the lock around changes of devices.
 */
void limit_change(struct api_call *c);

/* Before @leaving, of the manifest's list @list, is taken out: what it says of a group, another of that says then. */
void limit_hand_on(json_t *list, const json_t *leaving);

#endif
