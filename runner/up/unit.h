/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit.h - a VM as a service of systemd: sill@NAME.service, of the template unit, which `sill up --foreground` is behind.
 *
 * What is of this VM is in a file beside it, sill@NAME.service.d/manifest.conf: where the manifest is, and its restart.
 * Root's are the system's, anybody else's those of his own manager. $SILL_UNIT_DIR is where, if set.
 */
#ifndef RUNNER_UP_UNIT_H
#define RUNNER_UP_UNIT_H

#include <stdbool.h>

#include "runner/up/targets.h"
#include "sill/error.h"

/* Write that, enable the unit, so that a start of the host starts it, and start it; @wait: until it is ready. 0, or -1 and @e. */
int unit_up(const struct target *t, bool wait, struct sill_err *e);

#endif
