/* SPDX-License-Identifier: Apache-2.0 */
/* limit.h - rate limits of disks and cards that change. */
#ifndef RUNNER_API_LIMIT_H
#define RUNNER_API_LIMIT_H

#include "runner/api/api.h"

/*
 * Carry out sill.set-limit: the manifest first, which is checked as a whole, then the VM, if it runs. All of a group
 * get the limit that one of it is told. A worker, with the lock around changes of devices.
 */
void limit_change(struct api_call *c);

#endif
