/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit.h - a VM as a service of systemd: sill@NAME.service, of the template unit, which `sill up --foreground` is behind.
 *
 * What is of this VM is in a file beside it, sill@NAME.service.d/manifest.conf: where the manifest is, the directory it
 * was started with, and its restart. Root's are the system's, anybody else's those of his own manager. $SILL_UNIT_DIR is
 * where, if set. Which unit a VM is run by is in its record (record.h): the template says it, in $SILL_UNIT.
 */
#ifndef RUNNER_UP_UNIT_H
#define RUNNER_UP_UNIT_H

#include <stdbool.h>

#include "runner/host/rundir.h"
#include "runner/up/targets.h"
#include "sill/error.h"

enum { UNIT_NAME = 96 };

/* What the template unit tells who it runs: $SILL_UNIT and $SILL_DIRECTORY; NULL: we are not run by one, or by a file. */
const char *unit_own(void);
const char *unit_own_directory(void);
/*
 * The unit that @vm is run by, or was last. False: by none; or we are run by it: what it does itself to stop asks nobody
 * to stop it.
 */
bool unit_of(const struct rundir_vm *vm, char ret[UNIT_NAME]);

/*
 * Write the file, enable the unit, so that a start of the host starts it, and start it; @dir: as in the record; @wait:
 * until it is ready. 0, or -1 and @e.
 */
int unit_up(const struct target *t, const char *dir, bool wait, struct sill_err *e);
/* Write the file anew, of a unit that is there: what it says counts from now on. 0, or -1 and @e. */
int unit_change(const char *unit, const struct target *t, const char *dir, struct sill_err *e);
/* Start it; @wait: until it is ready. 0, or -1 and @e. */
int unit_start(const char *unit, bool wait, struct sill_err *e);
/* It is not started again; @wait: and has ended. 0, or -1 and @e. */
int unit_stop(const char *unit, bool wait, struct sill_err *e);
/*
 * Does systemd start it, or wait to start it again after a failure (auto-restart in systemd.service(5))? It is asked, for
 * some seconds at most.
 */
bool unit_is_activating(const char *unit);
/* Does a start of the host start it? */
bool unit_is_enabled(const char *unit);
/* It is not any more, and the file goes. 0, or -1 and @e. */
int unit_forget(const char *unit, struct sill_err *e);

#endif
