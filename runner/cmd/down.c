/* SPDX-License-Identifier: Apache-2.0 */
/* down.c - sill down, kill, reboot: the ends of VMs in the background. */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "runner/cmd/open.h"
#include "runner/manifest/scalar.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/keeper.h"
#include "runner/up/record.h"
#include "runner/up/start.h"
#include "runner/up/unit.h"

enum { GRACE_S = 120, GRACE_MAX = 24 * 3600, KILLED_MS = 30000 };

struct wish {
	const char *name, *grace;
	bool now, reset, allow_hollow;
	unsigned grace_s;
	bool child;
};

/* That it is not as it was asked for is one status, whatever the cause. */
static int failed(const struct sill_err *e)
{
	(void)cmd_error(e);
	return CMD_FAILED;
}

static int no_such_vm(const char *name)
{
	struct rundir_vm vm;
	struct sill_err e = { 0 };

	return rundir_find(name, &vm, &e) < 0 ? failed(&e) : CMD_FAILED;
}

/* ---- down ---- */

static int down_one(void *ctx, const char *name)
{
	const struct wish *w = ctx;
	char unit[UNIT_NAME];
	struct sill_err e = { 0 };
	struct rundir_vm vm;
	bool runs;

	keeper_end(name);
	if (!rundir_look(name, &vm, &runs)) {
		if (rundir_is_name(name))
			text_say(stdout, "%s: does not run", name);
		return rundir_is_name(name) ? CMD_DONE : no_such_vm(name);
	}
	(void)unit_of(&vm, unit);
	if (stop_vm(&vm, w->grace_s, w->now, &e) < 0)
		return failed(&e);
	if (runs ||
	    unit_own() == NULL) /* its unit tidies up: how it has ended is still of interest */
		(void)rundir_forget(name);
	text_say(stdout, "%s: %s", name, runs ? "stopped" : "does not run");
	if (unit[0] != '\0' && unit_is_enabled(unit))
		text_say(stdout,
			 "%s: a start of the host starts it again, until `systemctl %sdisable %s`",
			 name, geteuid() != 0 ? "--user " : "", unit);
	return CMD_DONE;
}

/* It has ended, and its keeper, or the unit that it is, is about to start it again. */
static bool waits(const struct rundir_vm *vm)
{
	char unit[UNIT_NAME];
	json_t *record = record_read(vm), *ended = json_object_get(record, "ended");
	const char *how = json_string_value(json_object_get(ended, "how"));
	bool will = record != NULL && keeper_of(vm->name) != 0;

	if (record != NULL && !will && unit_of(vm, unit))
		will = keeper_wants(keeper_wish(vm), how != NULL ? how : "crashed");
	json_decref(record);
	return will;
}

/* ---- kill ---- */

/* There is nothing to be killed, but what comes. */
static int kill_waiting(const struct rundir_vm *vm)
{
	char unit[UNIT_NAME];
	struct sill_err e = { 0 };

	if (unit_of(vm, unit) && unit_stop(unit, true, &e) < 0)
		return failed(&e);
	text_say(stdout, "%s: does not run, and is not started again", vm->name);
	return CMD_DONE;
}

static int kill_one(void *ctx, const char *name)
{
	char unit[UNIT_NAME];
	struct sill_err e = { 0 };
	struct rundir_vm vm;
	bool ended, runs, will;
	int fd;

	(void)ctx;
	will = rundir_look(name, &vm, &runs) && !runs && waits(&vm);
	keeper_end(name);
	/* It may have begun just before. */
	if (will && rundir_look(name, &vm, &runs) && !runs)
		return kill_waiting(&vm);
	if (rundir_find(name, &vm, &e) < 0)
		return failed(&e);
	fd = call_watch(&vm);
	if (fd < 0 || pidfd_send_signal(fd, SIGKILL, NULL, 0) < 0) {
		text_say(stderr, "sill: the process of '%s' cannot be killed: %s", name,
			 strerrordesc_np(errno));
		if (fd >= 0)
			(void)close(fd);
		return CMD_FAILED;
	}
	ended = call_wait(fd, KILLED_MS);
	(void)close(fd);
	if (!ended) {
		text_say(stderr,
			 "sill: %s: killed, and its process (%ld) does not end: what it waits for "
			 "may be the host's storage",
			 name, vm.pid);
		return CMD_FAILED;
	}
	record_end_of(&vm, "killed");
	if (unit_of(&vm, unit) && unit_stop(unit, true, &e) < 0)
		return failed(&e);
	text_say(stdout, "%s: killed; what it may have left on the host: sill doctor --clean",
		 name);
	return CMD_DONE;
}

/* ---- reboot ---- */

static int reset(const struct rundir_vm *vm)
{
	const struct call c = { .method = "PUT", .target = "/vm.reboot" };
	struct sill_err e = { 0 };

	if (call_vm(vm, &c, NULL, &e) < 0)
		return failed(&e);
	text_say(stdout, "%s: reset", vm->name);
	return CMD_DONE;
}

/* A unit starts it from its file; else it is the manifest it was told last, wherever the file is by now. */
static int start_again(struct wish *w, const struct target *t, const json_t *record)
{
	const struct start s = { .target = t,
				 .file = record_text(record, "file"),
				 .directory = record_text(record, "directory"),
				 .allow_hollow = w->allow_hollow };

	return start_vm(&s, &w->child);
}

static int start_unit(const char *unit, const struct target *t)
{
	struct sill_err e = { 0 };

	/* Without signs it is ready when it runs. */
	if (unit_start(unit, t->doc->m->ready_count == 0, &e) < 0)
		return failed(&e);
	text_say(stdout, "%s: %s", t->doc->m->name, unit);
	return CMD_DONE;
}

static int reboot_known(struct wish *w, const struct rundir_vm *vm, const json_t *record)
{
	char unit[UNIT_NAME];
	struct targets t = { 0 };
	struct sill_err e = { 0 };
	int status;

	status = unit_of(vm, unit) ? targets_open(record_text(record, "file"), vm->name, &t)
				   : targets_open_wanted(vm, &t);
	if (status == CMD_DONE && stop_vm(vm, w->grace_s, w->now, &e) < 0)
		status = failed(&e);
	if (status == CMD_DONE && unit[0] != '\0')
		status = start_unit(unit, &t.list[0]);
	else if (status == CMD_DONE)
		status = start_again(w, &t.list[0], record);
	targets_fini(&t);
	return status;
}

static int reboot_one(void *ctx, const char *name)
{
	struct wish *w = ctx;
	struct sill_err e = { 0 };
	struct rundir_vm vm;
	json_t *record;
	bool runs;
	int status;

	if (w->child)
		return CMD_DONE;
	if ((w->reset || !rundir_look(name, &vm, &runs) || (!runs && !waits(&vm))) &&
	    rundir_find(name, &vm, &e) < 0)
		return failed(&e);
	if (w->reset)
		return reset(&vm);
	record = record_read(&vm);
	if (record == NULL) {
		text_say(stderr,
			 "sill: '%s' does not run in the background: who runs it starts it again",
			 name);
		text_say(stderr, "   hint: --reset presses its reset button");
		return CMD_FAILED;
	}
	status = reboot_known(w, &vm, record);
	json_decref(record);
	return status;
}

/* ---- the verbs ---- */

static int run_each(const struct verb *v, int argc, char **argv,
		    int (*fn)(void *ctx, const char *name))
{
	struct wish w = { .grace_s = GRACE_S };
	const struct opt opts[] = {
		{ .name = "name", .text = &w.name },
		OPEN_OPTS,
		{ .name = "now", .flag = &w.now },
		{ .name = "grace", .text = &w.grace },
		{ .name = "reset", .flag = &w.reset },
		{ .name = "allow-hollow-kvm", .flag = &w.allow_hollow },
	};
	const int n = cmd_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	uint64_t s;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(v, n == 0 ? "which VM?" : "one at a time");
	if (w.grace != NULL) {
		if (scalar_uint(w.grace, &s) != SCALAR_OK || s > GRACE_MAX)
			return cmd_usage(v, "--grace takes seconds, %d at most", GRACE_MAX);
		w.grace_s = (unsigned)s;
	}
	open_choose(argv[1], &w.name);
	return targets_names(argv[1], w.name, fn, &w);
}

static int run(int argc, char **argv)
{
	return run_each(&verb_down, argc, argv, down_one);
}

static int run_kill(int argc, char **argv)
{
	return run_each(&verb_kill, argc, argv, kill_one);
}

static int run_reboot(int argc, char **argv)
{
	return run_each(&verb_reboot, argc, argv, reboot_one);
}

const struct verb verb_down = {
	.name = "down",
	.args = "[--now] [--grace SECONDS] [--name VM] " OPEN_ARGS " NAME|FILE|DIR",
	.summary = "shut VMs down: the power button, patience, then the end",
	.help = "The guest is asked to shut down, as by its power button; one that is still up "
		"after\n"
		"the grace is stopped. The command returns when all of it has gone. What has\n"
		"ended before is forgotten, with its log. Nobody starts it again: neither its\n"
		"restart, nor the service that it is (docs/GITOPS.md).\n"
		"\n"
		"  --grace SECONDS  how long the guest has (120)\n"
		"  --now            stop it at once, without asking\n"
		"  --name VM        this one of a file\n" OPEN_HELP "\n"
		"A word that names a VM is that VM; ./WORD is the file, or the directory.\n"
		"\n"
		"exit status: 0 none of them runs; 1 one does still, or the directory has no "
		"manifest;\n"
		"2 the manifest is wrong\n",
	.run = run,
};

const struct verb verb_kill = {
	.name = "kill",
	.args = "[--name VM] " OPEN_ARGS " NAME|FILE|DIR",
	.summary = "kill the process of a VM",
	.help = "SIGKILL: nothing is tidied up. For a VM that `sill down --now` cannot stop. What "
		"it\n"
		"has left on the host (tap devices, rules) goes with `sill doctor --clean`. One "
		"that\n"
		"has ended, and waits for its restart, is not started again.\n"
		"\n"
		"exit status: 0 it was killed; 1 there is no such VM, it cannot be, or "
		"it\n"
		"does not end\n",
	.run = run_kill,
};

const struct verb verb_reboot = {
	.name = "reboot",
	.args = "[--reset] [--now] [--grace SECONDS] [--name VM] " OPEN_ARGS " NAME|FILE|DIR",
	.summary = "shut a VM down and start it again, with all that waits for that",
	.help = "As `sill down`, and then a new start from the manifest it was given last: what a\n"
		"changed manifest has left to the next boot is done.\n"
		"\n"
		"  --reset  press the reset button instead: at once, in place, as it is\n"
		"  --grace, --now, --name\n"
		"           as for `sill down`\n"
		"  --allow-hollow-kvm\n"
		"           as for `sill run`\n"
		"\n"
		"exit status: 0 it runs again; 1 it does not, or never did; 2 its manifest is "
		"wrong\n"
		"by now: it was left running\n",
	.run = run_reboot,
};
