/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h - the process that starts a VM in the background again (restart in the manifest).
 *
 * A VM that is to be started again has two processes: its own, and the keeper, which has forked it and waits for its end.
 * The keeper holds BASE/.keep-NAME locked as long as it lives (rundir_lock()). Without it the VM runs on, and is started
 * again no more: so who ends a VM for good ends the keeper first.
 */
#ifndef RUNNER_UP_KEEPER_H
#define RUNNER_UP_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/host/rundir.h"
#include "sill/config.h"
#include "sill/error.h"

enum {
	KEEPER_FIRST_MS = 500,  /* before the first new start */
	KEEPER_MAX_MS = 60000,  /* each wait is twice the one before it, up to this */
	KEEPER_LONG_MS = 60000, /* who has run for so long has lasted: it begins anew */
};

/* Is a VM that has ended @how (record.h) to be started again? */
bool keeper_wants(enum sill_restart restart, const char *how);
/* How long to wait, when it was @last_ms before the start of what has run for @ran_ms; 0: that was the first. */
unsigned keeper_pause(unsigned last_ms, uint64_t ran_ms);

/* For the keeper: it is that of @name from now on. A descriptor, -1 and @e. */
int keeper_begin(const char *name, struct sill_err *e);
/* And is not any more. */
void keeper_leave(const char *name);
/* What the manifest that was applied last says. */
enum sill_restart keeper_wish(const struct rundir_vm *vm);

/* The pid of @name's keeper; 0: there is none. Not for the keeper itself, which would lose its lock. */
long keeper_of(const char *name);
/* Nobody starts it again any more. Harmless when nobody would. */
void keeper_end(const char *name);

#endif
