/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.h - the layer of an ephemeral disk: what the guest writes, until the VM ends.
 *
 * The file has no name, or, where the file system cannot do that, one of its own
 * for a moment: it is gone when the process is, however that ends. A path that is
 * given says only where.
 */
#ifndef RUNNER_HOST_OVERLAY_H
#define RUNNER_HOST_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/host/chain.h"
#include "sill/config.h"
#include "sill/error.h"

/* How large the layer's file may become; 0: no limit, or no layer. */
uint64_t overlay_limit(const struct sill_disk_config *d);

/* Make the layer for @c, which is open for reading. A descriptor, or -1 and @e. */
int overlay_make(const struct chain *c, const struct sill_disk_config *d, struct sill_err *e);

#endif
