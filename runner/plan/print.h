/* SPDX-License-Identifier: Apache-2.0 */
/* print.h - a plan for people and for programs. */
#ifndef RUNNER_PLAN_PRINT_H
#define RUNNER_PLAN_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "runner/plan/plan.h"
#include "runner/up/targets.h"

/* What becomes of a VM. */
enum plan_action { PLAN_NOTHING, PLAN_CREATE, PLAN_CHANGE, PLAN_REMOVE };

/* Public struct: a VM and its plan, all borrowed. */
struct plan_vm {
	const char *name;
	const struct target *target; /* NULL: its manifest is gone */
	const char *file;            /* then: where that was */
	enum plan_action action;
	const struct plan *plan; /* CHANGE */
};

void plan_print(FILE *f, const struct plan_vm *v, bool colour);
/*
 * { name, file, action: none | create | change | remove, changes: [ { path, how: add | remove | replace | order | set,
 *   file, line, column, before, after, effect: live | hotplug | next boot | recreate | refused, why, drift } ] }; what is
 * not there is null. NULL: no memory.
 */
json_t *plan_json(const struct plan_vm *v);

#endif
