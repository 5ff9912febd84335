/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - what is remembered of a VM in the background: up.json in its runtime directory (rundir.h).
 *
 *   { "file": "/srv/vms/web.yaml", "directory": "/srv/vms" or null, "unit": "sill@web.service" or
 *     null, "pid": 7, "started": seconds since 1970,
 *     "restarts": how often it was started again since, "last_end": as ended, of the one before, or null,
 *     "ended": null or { "at": seconds, "how": WORD, "why": TEXT or null } }
 *
 * WORD: power-off (the guest), stopped (somebody asked), killed (`sill kill`), fault (the guest cannot go on), host,
 * crashed (by its keeper). A
 * record without an end whose VM does not run is that of a VM that was killed, or has crashed.
 */
#ifndef RUNNER_UP_RECORD_H
#define RUNNER_UP_RECORD_H

#include <jansson.h>
#include <stdbool.h>

#include "runner/host/rundir.h"
#include "runner/up/targets.h"
#include "sill/error.h"

/* Public struct: of what a VM was started. All borrowed. */
struct record_start {
	const char *file, *directory; /* directory NULL: a file alone */
	const char *unit;             /* of systemd's, which has started it; NULL: none */
	unsigned restarts;            /* how often it was started again */
};

/* 0, or -1 and @e. */
int record_begin(const struct rundir *d, const struct record_start *s, struct sill_err *e);
/* wanted.json: what a new start is by, with paths that are good from anywhere. 0, or -1 and @e. */
int record_want(const struct rundir *d, const struct target *t, struct sill_err *e);
/* By the VM's process, which holds the name; @why may be NULL. What cannot be written is lost. */
void record_end(const struct rundir *d, const char *how, const char *why);
/* By another, of a VM whose process has ended; the record of another process is left alone. */
void record_end_of(const struct rundir_vm *vm, const char *how);
/* By its keeper, which has seen the end of the process that the record is of. */
void record_crash(const struct rundir_vm *vm, const char *why);
/* The caller owns it. NULL: there is none. */
json_t *record_read(const struct rundir_vm *vm);
bool record_is_there(const struct rundir *d);
/* Its file or directory, absolute, or its unit; the record owns it. NULL: none. */
const char *record_text(const json_t *record, const char *key);

#endif
