/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe.h - what a VM that runs is, asked of its process, and what it was when the last plan was carried out.
 *
 * What it was is applied.yaml in its runtime directory (store.h's text); a VM that was started and nothing more is what
 * wanted.json says.
 */
#ifndef RUNNER_PLAN_OBSERVE_H
#define RUNNER_PLAN_OBSERVE_H

#include "runner/host/rundir.h"
#include "runner/manifest/manifest.h"
#include "runner/plan/plan.h"

/* Public struct. Zeroed by its owner. */
struct observed {
	struct rundir_vm vm;
	struct sill_config value; /* owned: as it would be written, with the sizes of this moment */
	struct sill_config remembered; /* owned; zeroed: not known */
	json_t *pending;               /* owned */
	struct plan_facts facts;       /* borrows from here */
};

/*
 * What the guest was asked for and has still is in the value, as it was remembered, unless @want has another of its id.
 * 0, or -1 and @e: it does not answer.
 */
int observe(const struct rundir_vm *vm, const struct sill_config *want, struct observed *ret,
	    struct sill_err *e);
void observed_fini(struct observed *o);
/* Remember @value as what it was. 0, or -1 and @e. */
int observed_remember(const struct rundir_vm *vm, const struct sill_config *value,
		      struct sill_err *e);

#endif
