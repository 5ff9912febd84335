/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - carry out of a plan what can be done while the VM runs.
 *
 * What goes comes first, so that its file, tap or place is free for what comes; sizes come last. Each step is over
 * when the engine has done it, and where it needs the guest, when that has answered. After each, what the VM is by
 * then is remembered: whatever ends this half-way leaves a VM that the next plan describes.
 */
#ifndef RUNNER_PLAN_APPLY_H
#define RUNNER_PLAN_APPLY_H

#include "runner/plan/observe.h"
#include "runner/up/targets.h"

enum { APPLY_PATIENCE_S = 60 }; /* for a guest to give a device up, at most */

/*
 * @grace_s: for a guest to give a device up, as far as APPLY_PATIENCE_S goes. A line on stdout for each step. 0, or -1
 * and @e: at the step that failed; those before are done, and those after it are not begun. A guest that keeps what it
 * was asked for, or is silent, is no failure, unless something new is to come in its place. Of devices that are
 * replaced each is tried; one whose successor cannot be had is put back.
 */
int apply_steps(const struct observed *o, const struct plan *p, const struct target *t,
		unsigned grace_s, struct sill_err *e);
/* Before that: from now on a new start is by this manifest, of a VM in the background. 0, or -1 and @e. */
int apply_want(const struct observed *o, const struct target *t, struct sill_err *e);

#endif
