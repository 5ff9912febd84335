/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.c - see jobs.h. */
#include "runner/plan/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* NULL: no memory. */
static struct plan_job *add(struct plan_jobs *j)
{
	struct plan_job **list = realloc(j->list, (j->count + 1) * sizeof(*list));

	if (list == NULL)
		return NULL;
	j->list = list;
	list[j->count] = calloc(1, sizeof(**list));
	return list[j->count] != NULL ? list[j->count++] : NULL;
}

static void look(struct plan_job *j)
{
	const struct sill_config *want = j->target->doc->m;
	bool runs;

	j->action = PLAN_CREATE;
	if (!rundir_look(want->name, &j->vm, &runs) || !runs)
		return;
	j->action = PLAN_NOTHING;
	if (observe(&j->vm, want, &j->seen, &j->e) < 0 ||
	    plan_make(&j->seen.value, want, &j->seen.facts, &j->plan, &j->e) < 0)
		return;
	if (j->plan.count > 0)
		j->action = PLAN_CHANGE;
}

struct pruning {
	struct plan_jobs *jobs;
	bool no_memory;
};

static void add_gone(void *ctx, const struct rundir_vm *vm, const char *file)
{
	struct pruning *p = ctx;
	struct plan_job *j = add(p->jobs);

	if (j != NULL)
		j->file = strdup(file);
	if (j == NULL || j->file == NULL) {
		p->no_memory = true;
		return;
	}
	j->vm = *vm;
	j->action = PLAN_REMOVE;
}

int plan_jobs_make(const struct targets *t, bool prune, struct plan_jobs *ret, struct sill_err *e)
{
	struct pruning p = { ret, false };

	for (size_t i = 0; i < t->count && !p.no_memory; i++) {
		struct plan_job *j = add(ret);

		p.no_memory = j == NULL;
		if (j == NULL)
			break;
		j->target = &t->list[i];
		look(j);
	}
	if (prune)
		targets_gone(t, add_gone, &p);
	if (!p.no_memory)
		return 0;
	plan_jobs_fini(ret);
	return sill_err_sys(e, ENOMEM, "the plan");
}

void plan_jobs_fini(struct plan_jobs *j)
{
	for (size_t i = 0; i < j->count; i++) {
		plan_fini(&j->list[i]->plan);
		observed_fini(&j->list[i]->seen);
		free(j->list[i]->file);
		free(j->list[i]);
	}
	free(j->list);
	*j = (struct plan_jobs){ 0 };
}

struct plan_vm plan_job_vm(const struct plan_job *j)
{
	return (struct plan_vm){ .name = j->target != NULL ? j->target->doc->m->name : j->vm.name,
				 .target = j->target,
				 .file = j->file,
				 .action = j->action,
				 .plan = &j->plan };
}
