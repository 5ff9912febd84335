/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.h - the layer of an ephemeral disk: what the guest writes, until the VM ends.
 *
 * The file has no name, or loses it as soon as it has one: it is gone when the
 * process is, however that ends.
 */
#ifndef RUNNER_HOST_OVERLAY_H
#define RUNNER_HOST_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/host/chain.h"
#include "schema/manifest.h"
#include "sill/error.h"

/* Is what the guest writes to @d thrown away? */
bool overlay_wanted(const struct mf_disk *d);

/* How large the layer's file may become; 0: no limit, or no layer. */
uint64_t overlay_limit(const struct mf_disk *d);

/* Make the layer and put it on top of @c, which is open for reading. 0, or -1 and @e. */
int overlay_add(struct chain *c, const struct mf_disk *d, struct sill_err *e);

#endif
