/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.h - what is to be known of a VM, whether it runs or not: for `sill status` and `sill ps`.
 *
 * { name, state, pid, uptime_seconds, file, git_revision, vcpus: { present, asked, refused, max }, memory: likewise in
 *   bytes, devices_asked: [ id ], net: [ ... ] as `sill net status --json` has it, ready: as GET sill.ready has it, or null: its
 *   manifest names no signs, panics, keeper: pid or null, restarts, last_end: as ended, of the run before, ended: { at, how, why },
 *   log, directory }
 *
 * state: starting, running, paused; restarting: it has ended, and its keeper or systemd starts it again; power-off, stopped, fault, host, killed as in record.h; crashed: its process is
 * gone without a word. What is not known is null.
 */
#ifndef RUNNER_UP_LOOK_H
#define RUNNER_UP_LOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "runner/host/rundir.h"

/* @all: also what takes the VM some milliseconds to tell. NULL: no memory. */
json_t *look_json(const struct rundir_vm *vm, bool runs, bool all);
void look_print(FILE *f, const json_t *o);
/* Does it run, and have all signs come that its manifest names? Prints what it is at, and what is missing. */
bool look_ready(FILE *f, const struct rundir_vm *vm, bool runs);
/* A line of `sill ps`; NULL: the headings. */
void look_line(FILE *f, const json_t *o);

/* The commit that is checked out where @file lies; "" when that is no git repository. */
enum { LOOK_REVISION = 72 };
void look_revision(const char *file, char ret[LOOK_REVISION]);

#endif
