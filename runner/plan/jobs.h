/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.h - what is to be done about each VM of a file or a directory. */
#ifndef RUNNER_PLAN_JOBS_H
#define RUNNER_PLAN_JOBS_H

#include "runner/plan/observe.h"
#include "runner/plan/print.h"

/* Public struct: a VM. */
struct plan_job {
	const struct target *target; /* borrowed; NULL: its manifest has gone */
	char *file;                  /* owned; then: where that was */
	struct rundir_vm vm;         /* CHANGE, NOTHING, REMOVE: it runs */
	enum plan_action action;
	struct observed seen;
	struct plan plan;
	struct sill_err e; /* it runs, and does not answer; code 0: it does */
};

/* Public struct. Zeroed by its owner. */
struct plan_jobs {
	struct plan_job **list; /* owned */
	size_t count;
};

/* @prune: also those whose manifest has gone. @t outlives them. 0, or -1 and @e: no memory. */
int plan_jobs_make(const struct targets *t, bool prune, struct plan_jobs *ret, struct sill_err *e);
void plan_jobs_fini(struct plan_jobs *j);
/* As print.h wants it. */
struct plan_vm plan_job_vm(const struct plan_job *j);

#endif
