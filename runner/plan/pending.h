/* SPDX-License-Identifier: Apache-2.0 */
/* pending.h - what the file that a VM was started from says by now and the VM is not yet: for `sill status`. */
#ifndef RUNNER_PLAN_PENDING_H
#define RUNNER_PLAN_PENDING_H

#include <jansson.h>
#include <stdio.h>

#include "runner/host/rundir.h"
#include "runner/manifest/manifest.h"

/*
 * Into @o, which is of @vm, which runs: changes: [ as plan_json() ], null: not known; manifest_error: what is wrong with
 * the file, null: nothing. @mf is that file, which may be wrong; NULL: there is none.
 */
void pending_put(json_t *o, const struct rundir_vm *vm, struct mfile *mf);
/* A line of each, for people; nothing when there is nothing. */
void pending_print(FILE *f, const json_t *o);

#endif
