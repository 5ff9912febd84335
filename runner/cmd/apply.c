/* SPDX-License-Identifier: Apache-2.0 */
/* apply.c - sill apply: make VMs what their manifests say. */
#include "runner/cmd/cmd.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner/cmd/open.h"
#include "runner/manifest/scalar.h"
#include "runner/plan/apply.h"
#include "runner/plan/jobs.h"
#include "runner/report/text.h"
#include "runner/up/gang.h"
#include "runner/up/keeper.h"
#include "runner/up/record.h"
#include "runner/up/start.h"
#include "runner/up/unit.h"

enum { GRACE_S = 120, GRACE_MAX = 24 * 3600 };

/* What is wanted, and what has come of it. */
struct apply {
	bool yes, prune, allow_hollow;
	bool next_boot, recreate; /* allowed */
	unsigned grace_s;
	const char *directory;
	bool child;     /* we are a VM's process */
	unsigned limit; /* how many are seen to at once */
	struct outcome {
		unsigned created, changed, removed, left, failed;
	} o;
};

static const char *name_of(const struct plan_job *j)
{
	return plan_job_vm(j).name;
}

static void fail(struct apply *a, const struct plan_job *j, const struct sill_err *e)
{
	text_say(stderr, "sill: %s: not all of it was done", name_of(j));
	(void)cmd_error(e);
	a->o.failed++;
}

/* ---- one VM ---- */

static void start_unit(struct apply *a, const struct plan_job *j, const char *unit, unsigned *count)
{
	struct sill_err e = { 0 };

	/* Without signs it is ready when it runs. */
	if (unit_change(unit, j->target, a->directory, &e) < 0 ||
	    unit_start(unit, j->target->doc->m->ready_count == 0, &e) < 0) {
		fail(a, j, &e);
		return;
	}
	text_say(stdout, "%s: %s", name_of(j), unit);
	++*count;
}

/* By the @unit, "": in the background. @count: of what has come of it. */
static void start(struct apply *a, const struct plan_job *j, const char *unit, unsigned *count)
{
	const struct start s = { .target = j->target,
				 .file = j->target->file,
				 .directory = a->directory,
				 .allow_hollow = a->allow_hollow };
	int status;

	if (unit[0] != '\0') {
		start_unit(a, j, unit, count);
		return;
	}
	status = start_vm(&s, &a->child);
	if (a->child)
		a->o.failed = (unsigned)status;
	else
		++*(status == CMD_DONE ? count : &a->o.failed);
}

/* For good: a start of the host does not bring it back either. */
static void shut_down(struct apply *a, const struct plan_job *j)
{
	char unit[UNIT_NAME];
	struct sill_err e = { 0 };

	(void)unit_of(&j->vm, unit);
	if (stop_vm(&j->vm, a->grace_s, false, &e) < 0 ||
	    (unit[0] != '\0' && unit_forget(unit, &e) < 0)) {
		fail(a, j, &e);
		return;
	}
	(void)rundir_forget(j->vm.name);
	text_say(stdout, "%s: stopped", j->vm.name);
	a->o.removed++;
}

/* Are all that take a new start allowed to? */
static bool may_restart(const struct apply *a, const struct plan *p)
{
	return plan_restarts(p) && plan_count(p, PLAN_REFUSED) == 0 &&
	       (a->next_boot || plan_count(p, PLAN_NEXT_BOOT) == 0) &&
	       (a->recreate || plan_count(p, PLAN_RECREATE) == 0);
}

/* A new start does all of it. */
static void restart(struct apply *a, const struct plan_job *j)
{
	char unit[UNIT_NAME];
	struct sill_err e = { 0 };

	(void)unit_of(&j->vm, unit);
	if (stop_vm(&j->vm, a->grace_s, false, &e) < 0) {
		fail(a, j, &e);
		return;
	}
	text_say(stdout, "%s: stopped", j->vm.name);
	start(a, j, unit, &a->o.changed);
}

/* What is left after what could be done. */
static void say_rest(struct apply *a, const struct plan_job *j, const struct plan *p)
{
	const size_t refused = plan_count(p, PLAN_REFUSED), waits = p->count - refused;
	const char *name = name_of(j);

	if (refused > 0) {
		text_say(stderr, "sill: %s: %zu refused", name, refused);
		a->o.failed++;
	}
	if (waits == 0)
		return;
	text_say(stdout, "%s: %zu wait%s for a new start: sill reboot %s, or --allow %s", name,
		 waits, waits == 1 ? "s" : "", name,
		 plan_count(p, PLAN_RECREATE) > 0 ? "next-boot,recreate" : "next-boot");
	a->o.left++;
}

/* It is asked once more: what is left is what it says. */
static void look_again(struct apply *a, const struct plan_job *j)
{
	const struct sill_config *want = j->target->doc->m;
	struct observed o = { 0 };
	struct plan p = { 0 };
	struct sill_err e = { 0 };

	if (observe(&j->vm, want, &o, &e) < 0 || plan_make(&o.value, want, &o.facts, &p, &e) < 0)
		fail(a, j, &e);
	else
		say_rest(a, j, &p);
	if (p.count < j->plan.count)
		a->o.changed++;
	plan_fini(&p);
	observed_fini(&o);
}

static bool has_step(const struct plan *p, enum plan_step step)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].step == step)
			return true;
	return false;
}

/* A process that starts it again; @news: the manifest says so since now, else the one that did has gone. */
static void keep(struct apply *a, const struct plan_job *j, const json_t *record, bool news)
{
	const struct start s = {
		.target = j->target,
		.file = record_text(record, "file"),
		.directory = record_text(record, "directory"),
		.allow_hollow = a->allow_hollow,
		.restarts = (unsigned)json_integer_value(json_object_get(record, "restarts")),
	};
	const int status = start_keeper(&s, &j->vm, &a->child);

	if (a->child)
		a->o.failed = (unsigned)status;
	else if (status != CMD_DONE)
		a->o.failed++;
	else if (!news)
		text_say(stdout, "%s: nobody would have started it again: now somebody does",
			 name_of(j));
}

/* Who starts it again is told, comes or goes. Nobody does of a VM that runs on a terminal. */
static void see_to_restart(struct apply *a, const struct plan_job *j)
{
	const bool news = has_step(&j->plan, PLAN_RESTART),
		   never = j->target->doc->m->restart == SILL_RESTART_NO;
	json_t *record = record_read(&j->vm);
	char unit[UNIT_NAME];
	struct sill_err e = { 0 };

	if (unit_of(&j->vm, unit)) {
		if (news && unit_change(unit, j->target, record_text(record, "directory"), &e) < 0)
			fail(a, j, &e);
	} else if (news && never) {
		keeper_end(j->vm.name);
	} else if (record != NULL && !never && keeper_of(j->vm.name) == 0) {
		keep(a, j, record, news);
	}
	json_decref(record);
}

static void change(struct apply *a, const struct plan_job *j)
{
	struct sill_err e = { 0 };

	if (may_restart(a, &j->plan)) {
		restart(a, j);
		return;
	}
	if (apply_want(&j->seen, j->target, &e) < 0 ||
	    apply_steps(&j->seen, &j->plan, j->target, a->grace_s, &e) < 0)
		fail(a, j, &e);
	else
		look_again(a, j);
	if (e.code == SILL_ERR_NONE)
		see_to_restart(a, j);
}

static void do_job(struct apply *a, const struct plan_job *j)
{
	char unit[UNIT_NAME] = "";

	if (j->e.code != SILL_ERR_NONE) {
		(void)cmd_error(&j->e);
		a->o.failed++;
		return;
	}
	switch (j->action) {
	case PLAN_NOTHING:
		see_to_restart(a, j);
		break;
	case PLAN_CREATE:
		if (j->vm.name[0] != '\0')
			(void)unit_of(&j->vm, unit);
		start(a, j, unit, &a->o.created);
		break;
	case PLAN_CHANGE:
		change(a, j);
		break;
	case PLAN_REMOVE:
		shut_down(a, j);
		break;
	}
}

/* ---- all of them ---- */

/* On a terminal a person decides; elsewhere what was allowed is done. False: nothing is. */
static bool consent(struct apply *a, const struct plan_jobs *j)
{
	bool something = false, restarts = false;

	for (size_t i = 0; i < j->count; i++) {
		something |= j->list[i]->action != PLAN_NOTHING;
		restarts |= j->list[i]->action == PLAN_CHANGE && plan_restarts(&j->list[i]->plan) &&
			    !may_restart(a, &j->list[i]->plan);
	}
	if (!something || a->yes || isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1)
		return true;
	if (!cmd_is_yes("Do this?"))
		return false;
	if (restarts && cmd_is_yes("Also what takes a new start? Guests shut down"))
		a->next_boot = a->recreate = true;
	return true;
}

static void print_plan(const struct plan_jobs *j)
{
	const bool colour = colour_wanted(stdout);

	for (size_t i = 0; i < j->count; i++) {
		const struct plan_vm v = plan_job_vm(j->list[i]);

		if (j->list[i]->e.code == SILL_ERR_NONE)
			plan_print(stdout, &v, colour);
	}
	(void)fflush(stdout);
}

/* Several at once: what has come of each is in memory that all of them see. */
struct many {
	struct apply *a;
	const struct plan_jobs *j;
	struct outcome *list;
};

static int many_job(void *ctx, size_t i)
{
	struct many *m = ctx;
	struct apply *a = m->a;

	a->o = (struct outcome){ 0 };
	do_job(a, m->j->list[i]);
	if (a->child)
		return (int)a->o.failed;
	m->list[i] = a->o;
	return CMD_DONE;
}

static void many_done(void *ctx, size_t i, int status)
{
	struct many *m = ctx;
	struct outcome *sum = &m->a->o;
	const struct outcome *o = &m->list[i];

	sum->created += o->created;
	sum->changed += o->changed;
	sum->removed += o->removed;
	sum->left += o->left;
	sum->failed += status != CMD_DONE ? 1 : o->failed;
	if (status != CMD_DONE)
		text_say(stderr, "sill: %s: not all of it was done", name_of(m->j->list[i]));
}

/* An exit status: of us, or of what we have started. */
static int do_all(struct apply *a, const struct plan_jobs *j)
{
	const size_t size = j->count * sizeof(struct outcome);
	struct many m = { .a = a, .j = j };
	const struct gang c = { j->count, a->limit, many_job, many_done, &m };
	int status;

	if (j->count <= 1) {
		for (size_t i = 0; i < j->count; i++)
			do_job(a, j->list[i]);
		return a->child ? (int)a->o.failed : CMD_DONE;
	}
	m.list = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m.list == MAP_FAILED) {
		text_say(stderr, "sill: no memory");
		return CMD_FAILED;
	}
	status = gang_run(&c, &a->child);
	(void)munmap(m.list, size);
	return status;
}

/* An exit status. */
static int apply(struct apply *a, const struct plan_jobs *j)
{
	int status;

	print_plan(j);
	if (!consent(a, j)) {
		text_say(stdout, "nothing was done");
		return CMD_FAILED;
	}
	status = do_all(a, j);
	if (a->child || status != CMD_DONE)
		return status;
	text_say(stdout, "%u created, %u changed, %u removed, %u with changes that wait, %u failed",
		 a->o.created, a->o.changed, a->o.removed, a->o.left, a->o.failed);
	return a->o.failed > 0 ? CMD_FAILED : CMD_DONE;
}

/* "next-boot,recreate" */
static bool read_allowed(struct apply *a, const char *text)
{
	while (text != NULL && *text != '\0') {
		const size_t n = strcspn(text, ",");

		if (n == 9 && strncmp(text, "next-boot", n) == 0)
			a->next_boot = true;
		else if (n == 8 && strncmp(text, "recreate", n) == 0)
			a->recreate = true;
		else
			return false;
		text += n + (text[n] == ',');
	}
	return true;
}

static int apply_operand(struct apply *a, const char *operand, const char *name)
{
	struct plan_jobs jobs = { 0 };
	struct targets t = { 0 };
	struct sill_err e = { 0 };
	int status = targets_open(operand, name, &t), done;

	a->directory = t.directory;
	if (plan_jobs_make(&t, a->prune, &jobs, &e) < 0)
		done = cmd_error(&e);
	else
		done = apply(a, &jobs);
	plan_jobs_fini(&jobs);
	targets_fini(&t);
	return a->child || status == CMD_DONE ? done : status;
}

/* Two at once would each do what the other has done, by plans that are not true any more. */
static int apply_alone(struct apply *a, const char *operand, const char *name)
{
	struct sill_err e = { 0 };
	const int lock = rundir_lock("apply", &e);
	int status;

	if (lock < 0) {
		(void)cmd_error(&e);
		return CMD_FAILED;
	}
	status = apply_operand(a, operand, name);
	if (!a->child)
		(void)close(lock);
	return status;
}

static int run(int argc, char **argv)
{
	struct apply a = { .grace_s = GRACE_S };
	const char *name = NULL, *allow = NULL, *grace = NULL, *jobs = NULL;
	const struct opt opts[] = {
		{ .name = "yes", .letter = 'y', .flag = &a.yes },
		{ .name = "allow", .text = &allow },
		{ .name = "prune", .flag = &a.prune },
		{ .name = "grace", .text = &grace },
		{ .name = "jobs", .letter = 'j', .text = &jobs },
		{ .name = "name", .text = &name },
		OPEN_OPTS,
		{ .name = "allow-hollow-kvm", .flag = &a.allow_hollow },
	};
	const int n = cmd_options(&verb_apply, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	uint64_t s;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_apply,
				 n == 0 ? "which file or directory?" : "one at a time");
	if (!read_allowed(&a, allow))
		return cmd_usage(&verb_apply, "--allow takes next-boot, recreate, or both");
	if (grace != NULL) {
		if (scalar_uint(grace, &s) != SCALAR_OK || s > GRACE_MAX)
			return cmd_usage(&verb_apply, "--grace takes seconds, %d at most",
					 GRACE_MAX);
		a.grace_s = (unsigned)s;
	}
	if (gang_read(jobs, &a.limit) < 0)
		return cmd_usage(&verb_apply, "--jobs takes a number, 1 to %d", GANG_MAX);
	open_choose(argv[1], &name);
	return apply_alone(&a, argv[1], name);
}

const struct verb verb_apply = {
	.name = "apply",
	.args = "[--yes] [--allow next-boot,recreate] [--prune] [--jobs N] [--name VM] " OPEN_ARGS
		" FILE|DIR",
	.summary = "make VMs what their manifests say, while they run where that can be",
	.help = "Prints the plan (`sill help plan`), asks on a terminal, and carries it out: VMs "
		"that\n"
		"do not run are started as by `sill up`; of those that run, devices go and come,\n"
		"and sizes change, each step when the engine, and where it takes the guest, the\n"
		"guest has done it. What takes a new start is left, and `sill reboot` does it\n"
		"then, unless it is allowed: then the guest shuts down, and starts anew with all\n"
		"of it. Done twice, the second time does nothing. A manifest that is wrong is\n"
		"said, and its VM left alone; the others are seen to. One is at work at a time.\n"
		"\n"
		"  --yes, -y  do not ask; what takes a new start is left all the same\n"
		"  --allow next-boot,recreate\n"
		"             shut down and start anew for changes of these kinds\n"
		"  --prune    shut down the VMs that this directory has started and has no more\n"
		"  --grace SECONDS\n"
		"             how long a guest has to shut down (120), or to give a device up\n"
		"             (60 at most)\n"
		"  --jobs N, -j N\n"
		"             so many are seen to at once (as many as there are\n"
		"             processors, 8 at most); what is said of each comes together\n"
		"  --name VM  this one of a file\n" OPEN_HELP "  --allow-hollow-kvm\n"
		"             as for `sill run`\n"
		"\n"
		"exit status: 0 done, but for what waits; 1 something could not be; 2 a manifest "
		"is\n"
		"wrong, the others are done\n",
	.run = run,
};
