/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - sill plan: what it takes for VMs to be what their manifests say. */
#include "runner/cmd/cmd.h"

#include <stdio.h>

#include "runner/plan/observe.h"
#include "runner/plan/print.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

struct look {
	bool json, colour;
	json_t *list;     /* with --json */
	unsigned changes; /* VMs that something is to be done about */
	bool failed;
};

static void say(struct look *l, const struct plan_vm *v)
{
	l->changes += v->action != PLAN_NOTHING;
	if (l->list != NULL)
		(void)json_array_append_new(l->list, plan_json(v));
	else
		plan_print(stdout, v, l->colour);
}

static void plan_running(struct look *l, const struct target *t, const struct rundir_vm *vm)
{
	struct observed o = { 0 };
	struct plan p = { 0 };
	struct sill_err e = { 0 };

	if (observe(vm, &o, &e) < 0 || plan_make(&o.value, t->doc->m, &o.facts, &p, &e) < 0) {
		(void)cmd_error(&e);
		l->failed = true;
	} else {
		say(l, &(struct plan_vm){ .name = vm->name,
					  .target = t,
					  .action = p.count > 0 ? PLAN_CHANGE : PLAN_NOTHING,
					  .plan = &p });
	}
	plan_fini(&p);
	observed_fini(&o);
}

static int run(int argc, char **argv)
{
	const char *name = NULL;
	struct look l = { 0 };
	const struct opt opts[] = { { .name = "name", .text = &name },
				    { .name = "json", .flag = &l.json } };
	const int n = cmd_options(&verb_plan, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct targets t = { 0 };
	struct rundir_vm vm;
	bool runs;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_plan, n == 0 ? "which file or directory?" : "one at a time");
	l.colour = colour_wanted(stdout);
	l.list = l.json ? json_array() : NULL;
	l.failed = targets_open(argv[1], name, &t) != CMD_DONE;
	for (size_t i = 0; i < t.count; i++) {
		const char *is = t.list[i].doc->m->name;

		if (rundir_look(is, &vm, &runs) && runs)
			plan_running(&l, &t.list[i], &vm);
		else
			say(&l, &(struct plan_vm){
					.name = is, .target = &t.list[i], .action = PLAN_CREATE });
	}
	targets_fini(&t);
	if (l.json && json_print(stdout, json_pack("{s:o}", "vms", l.list)) < 0)
		return CMD_FAILED;
	/* The manifest's own status is 2 here: something is to be done. */
	return l.failed ? CMD_FAILED : l.changes > 0 ? CMD_MANIFEST : CMD_DONE;
}

const struct verb verb_plan = {
	.name = "plan",
	.args = "[--json] [--name VM] FILE|DIR",
	.summary = "tell what it takes for running VMs to be what their manifests say",
	.help = "A VM that runs is asked what it is; each difference has its place in the file, "
		"both\n"
		"values, and what it costs:\n"
		"\n"
		"  live       nothing\n"
		"  hotplug    the guest sees something come, or is asked for something\n"
		"  next boot  the guest shuts down and starts anew\n"
		"  recreate   likewise, and finds another machine\n"
		"  refused    it cannot be had, and why\n"
		"\n"
		"Drift is a difference that has come about since the VM was started or `sill "
		"apply`\n"
		"has changed it last: somebody else did it. Nothing is changed here.\n"
		"\n"
		"  --json     an object, vms[]: name, file, action (none, create, change, "
		"remove),\n"
		"             changes[]: path, how (add, remove, replace, order, set), file, "
		"line,\n"
		"             column, before, after, effect, why, drift\n"
		"  --name VM  this one of a file\n"
		"\n"
		"exit status: 0 nothing to do, 2 something is, 1 a manifest is wrong or a VM does "
		"not\n"
		"answer\n",
	.run = run,
};
