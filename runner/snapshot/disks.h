/* SPDX-License-Identifier: Apache-2.0 */
/* disks.h - what tells whether an image has changed: its size, and when it was written to. */
#ifndef RUNNER_SNAPSHOT_DISKS_H
#define RUNNER_SNAPSHOT_DISKS_H

#include <jansson.h>

#include "sill/config.h"
#include "sill/error.h"

/* A list of all images of @m, those below others and data files too; the caller owns it. NULL and @e. */
json_t *disks_mark(const struct sill_config *m, struct sill_err *e);
/* Is @list, from a file, what disks_mark() says now? 0, or -1 and @e. */
int disks_check(const json_t *list, const struct sill_config *m, struct sill_err *e);

#endif
