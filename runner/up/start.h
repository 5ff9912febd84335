/* SPDX-License-Identifier: Apache-2.0 */
/* start.h - a VM in the background: a process of its own, in a session of its own, that outlives who started it. */
#ifndef RUNNER_UP_START_H
#define RUNNER_UP_START_H

#include <stdbool.h>

#include "runner/up/targets.h"

/* Public struct. All borrowed. */
struct start {
	const struct target *target;
	const char *file;      /* what is remembered as the manifest's path */
	const char *directory; /* likewise, of the directory it was started with; NULL: none */
	const char *unit;      /* of systemd's, that runs this; NULL: none */
	const char *gdb;       /* an absolute path, or [ADDRESS:]PORT: gdb.h; NULL: none */
	bool verbose, allow_hollow;
	bool here;         /* start_here(): no process of its own */
	unsigned restarts; /* how often it was started again: the keeper's */
};

/*
 * Returns when the guest's first instruction runs, or it has failed, which was said on stderr: CMD_DONE, or an exit
 * status. It returns in the new process too, when that is to end: then *ret_child is true, and the caller
 * frees what it has and ends with the status.
 */
int start_vm(const struct start *s, bool *ret_child);

/*
 * A keeper (keeper.h) of @vm, which runs, in place of the one that it has, if any; @s is of what it was started from. It
 * returns as start_vm() does, when that has begun.
 */
struct rundir_vm;
int start_keeper(const struct start *s, const struct rundir_vm *vm, bool *ret_child);

/*
 * The VM in this process, for a service manager: messages go to standard error, and it is told how the VM is (notify.h).
 * Returns when it has ended: an exit status, CMD_DONE when it was shut down or stopped.
 */
int start_here(struct start *s);

/*
 * Ask the guest to shut down, wait @grace_s for it, then stop it; @now: stop it at once. It says what it waits for.
 * Nobody starts it again: neither a keeper nor the unit that it is run by. Returns when its process has ended, which it may
 * have before: 0, or -1 and @e.
 */
int stop_vm(const struct rundir_vm *vm, unsigned grace_s, bool now, struct sill_err *e);

#endif
