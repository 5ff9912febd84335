/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - sill plan: what it takes for VMs to be what their manifests say. */
#include "runner/cmd/cmd.h"

#include <stdio.h>

#include "runner/cmd/open.h"
#include "runner/plan/hardware.h"
#include "runner/plan/jobs.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

enum { CHANGES = 2 }; /* the exit status: something is to be done */

/* What its guest will find that it was locked without; NULL: nothing is locked, or it cannot be known, and that was said. */
static json_t *hardware(struct hardware_lock *l, const struct plan_job *j)
{
	const struct target *t = j->target;
	struct sill_err e = { 0 };
	json_t *locked = t != NULL ? hardware_locked(l, t->file, t->doc->m->name, &e) : NULL;
	json_t *now = locked != NULL ? hardware_of(t->doc->m, &e) : NULL;
	json_t *ret = now != NULL ? hardware_diff(locked, now) : NULL;

	if (e.code != SILL_ERR_NONE)
		text_say(stderr, "sill: warning: %s: its hardware is not compared: %s",
			 t->doc->m->name, e.msg);
	json_decref(now);
	json_decref(locked);
	return ret;
}

static int print_json(const struct plan_jobs *j)
{
	json_t *list = json_array();
	struct hardware_lock lock = { 0 };

	for (size_t i = 0; i < j->count; i++) {
		const struct plan_vm v = plan_job_vm(j->list[i]);

		json_t *o, *found;

		if (j->list[i]->e.code != SILL_ERR_NONE)
			continue;
		o = plan_json(&v);
		found = hardware(&lock, j->list[i]);
		(void)json_object_set_new(o, "hardware", found != NULL ? found : json_null());
		(void)json_array_append_new(list, o);
	}
	hardware_lock_fini(&lock);
	return json_print(stdout, json_pack("{s:o}", "vms", list));
}

static int print(const struct plan_jobs *j, bool json)
{
	const bool colour = colour_wanted(stdout);
	struct hardware_lock lock = { 0 };
	int status = CMD_DONE;

	if (json && print_json(j) < 0)
		return CMD_FAILED;
	for (size_t i = 0; i < j->count; i++) {
		const struct plan_job *one = j->list[i];
		const struct plan_vm v = plan_job_vm(one);
		json_t *found;

		if (one->e.code != SILL_ERR_NONE) {
			(void)cmd_error(&one->e);
			status = CMD_FAILED;
			continue;
		}
		if (!json)
			plan_print(stdout, &v, colour);
		found = json ? NULL : hardware(&lock, one);
		hardware_print(stdout, found);
		json_decref(found);
		if (status == CMD_DONE && one->action != PLAN_NOTHING)
			status = CHANGES;
	}
	hardware_lock_fini(&lock);
	return status;
}

static int run(int argc, char **argv)
{
	const char *name = NULL;
	bool json = false, prune = false;
	const struct opt opts[] = { { .name = "name", .text = &name },
				    OPEN_OPTS,
				    { .name = "prune", .flag = &prune },
				    { .name = "json", .flag = &json } };
	const int n = cmd_options(&verb_plan, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct plan_jobs jobs = { 0 };
	struct targets t = { 0 };
	struct sill_err e = { 0 };
	int status, printed;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_plan, n == 0 ? "which file or directory?" : "one at a time");
	open_choose(argv[1], &name);
	status = targets_open(argv[1], name, &t);
	if (plan_jobs_make(&t, prune, &jobs, &e) < 0)
		printed = cmd_error(&e);
	else
		printed = print(&jobs, json);
	plan_jobs_fini(&jobs);
	targets_fini(&t);
	return status != CMD_DONE ? CMD_FAILED : printed;
}

const struct verb verb_plan = {
	.name = "plan",
	.args = "[--json] [--prune] [--name VM] " OPEN_ARGS " FILE|DIR",
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
		"Of a manifest that is locked (`sill lock`), `hardware` lines say what the guest "
		"will find\n"
		"that it has not found before, whatever the reason; the exit status does not count "
		"them.\n"
		"\n"
		"  --json     an object, vms[]: name, file, action (none, create, change, "
		"remove),\n"
		"             changes[]: path, how (add, remove, replace, order, set), file, "
		"line,\n"
		"             column, before, after, effect, why, drift; hardware[]: what, locked, "
		"now\n"
		"  --prune    also the VMs that this directory has started and has no more\n"
		"  --name VM  this one of a file\n" OPEN_HELP "\n"
		"exit status: 0 nothing to do, 2 something is, 1 a manifest is wrong or a VM does "
		"not\n"
		"answer\n",
	.run = run,
};
