/* SPDX-License-Identifier: Apache-2.0 */
/* up.c - sill up: start VMs in the background. */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/cmd/open.h"
#include "runner/gdb/gdb.h"
#include "runner/manifest/emit.h"
#include "runner/manifest/scalar.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/gang.h"
#include "runner/up/start.h"
#include "runner/up/unit.h"
#include "runner/up/wait.h"

struct wish {
	const char *name, *within, *gdb, *jobs;
	unsigned limit; /* how many are started at once */
	bool verbose, allow_hollow, wait, here, systemd;
	uint64_t within_ms; /* 0: as the manifests say */
	bool child;         /* we are a VM's process, whose status this is */
};

/* It runs already: is it what the file says? */
static int compare(const struct target *t, const struct rundir_vm *vm)
{
	json_t *m = emit_json(&t->mf->check, t->doc->root, EMIT_EFFECTIVE), *list = NULL;
	const struct call c = { .method = "PUT", .target = "/sill.diff", .body = m };
	struct sill_err e = { 0 };
	int status = CMD_FAILED;

	if (call_vm(vm, &c, &list, &e) < 0)
		(void)cmd_error(&e);
	else if (json_array_size(list) == 0)
		status = CMD_DONE;
	else
		text_say(stderr, "sill: '%s' runs already, and differs from '%s': %s", vm->name,
			 t->file,
			 json_string_value(json_object_get(json_array_get(list, 0), "path")));
	if (status == CMD_DONE)
		text_say(stdout, "%s: runs already, as the manifest has it", vm->name);
	json_decref(list);
	json_decref(m);
	return status;
}

static int up_unit(const struct wish *w, const struct target *t, const char *dir)
{
	struct sill_err e = { 0 };

	if (unit_up(t, dir, w->wait, &e) < 0) {
		(void)cmd_error(&e);
		return CMD_FAILED;
	}
	text_say(stdout, "%s: sill@%s.service", t->doc->m->name, t->doc->m->name);
	return CMD_DONE;
}

static int up_one(struct wish *w, const struct targets *all, const struct target *t)
{
	struct start s = { .target = t,
			   .file = t->file,
			   .directory = all->directory,
			   .gdb = w->gdb,
			   .verbose = w->verbose,
			   .allow_hollow = w->allow_hollow };
	struct rundir_vm vm;
	bool runs;

	if (rundir_look(t->doc->m->name, &vm, &runs) && runs && !w->here)
		return compare(t, &vm);
	if (w->systemd)
		return up_unit(w, t, all->directory);
	if (w->here) {
		s.unit = unit_own();
		s.directory = unit_own_directory();
		return start_here(&s);
	}
	return start_vm(&s, &w->child);
}

/* Several at once. */
struct many {
	struct wish *w;
	const struct targets *t;
	unsigned run, failed;
	int status;
};

static int many_job(void *ctx, size_t i)
{
	struct many *m = ctx;

	return up_one(m->w, m->t, &m->t->list[i]);
}

static void many_done(void *ctx, size_t i, int status)
{
	struct many *m = ctx;

	if (status < 0)
		text_say(stderr, "sill: %s: not started", m->t->list[i].doc->m->name);
	if (m->status == CMD_DONE)
		m->status = status < 0 ? CMD_FAILED : status;
	++*(status == CMD_DONE ? &m->run : &m->failed);
}

/* Those that are right are started even if others, with @status, are not. */
static int up_all(struct wish *w, const struct targets *t, int status)
{
	struct many m = { .w = w, .t = t, .status = status };
	const struct gang c = { t->count, w->limit, many_job, many_done, &m };
	int one;

	if (t->count == 1 || w->systemd) {
		for (size_t i = 0; i < t->count && !w->child; i++) {
			one = up_one(w, t, &t->list[i]);
			if (w->child || status == CMD_DONE)
				status = one;
		}
		return status;
	}
	one = gang_run(&c, &w->child);
	if (w->child || one != CMD_DONE)
		return one;
	text_say(stdout, "%u run, %u failed", m.run, m.failed);
	return m.status;
}

/* All of them have been started: their times pass side by side. */
static int wait_all(const struct wish *w, const struct targets *t)
{
	int status = CMD_DONE;

	for (size_t i = 0; i < t->count; i++) {
		const int one = wait_ready(t->list[i].doc->m->name, w->within_ms);

		status = status == CMD_DONE ? one : status;
	}
	return status;
}

/* 0, or the exit status of wrong usage. */
static int read_within(struct wish *w)
{
	if (w->within == NULL)
		return 0;
	w->wait = true;
	if (scalar_span(w->within, &w->within_ms) == SCALAR_OK && w->within_ms > 0)
		return 0;
	return cmd_usage(&verb_up, "--within takes a time: 90s, 5m");
}

/* From where the command was given; the VM's process has another directory. */
static int settle_gdb(struct wish *w, size_t vms, char path[PATH_MAX])
{
	size_t n;

	if (w->gdb == NULL)
		return CMD_DONE;
	if (vms != 1)
		return cmd_usage(&verb_up, "--gdb is for one VM; choose with --name");
	if (!gdb_is_path(w->gdb) || w->gdb[0] == '/')
		return CMD_DONE;
	if (getcwd(path, PATH_MAX) == NULL) {
		text_say(stderr, "sill: this directory: %s", strerrordesc_np(errno));
		return CMD_FAILED;
	}
	n = strlen(path);
	(void)snprintf(path + n, PATH_MAX - n, "/%s", w->gdb);
	w->gdb = path;
	return CMD_DONE;
}

/* A start of the host has no more than the file. */
static int check_systemd(const struct wish *w)
{
	if (!w->systemd)
		return 0;
	if (w->here)
		return cmd_usage(&verb_up, "--foreground is what the service of --systemd runs");
	if (open_sets.count > 0 || open_var_files.count > 0)
		return cmd_usage(&verb_up,
				 "a service is started from its file alone: no --set and "
				 "no --var-file with --systemd; a manifest with 'base' and "
				 "'vars' has both (docs/COMPOSE.md)");
	if (w->gdb != NULL || w->verbose || w->allow_hollow)
		return cmd_usage(&verb_up, "a service is started from its file alone: no --gdb, no "
					   "-v and no --allow-hollow-kvm with --systemd");
	return 0;
}

static int run(int argc, char **argv)
{
	struct wish w = { 0 };
	const struct opt opts[] = {
		{ .name = "name", .text = &w.name },
		{ .name = "wait", .flag = &w.wait },
		{ .name = "within", .text = &w.within },
		{ .name = "jobs", .letter = 'j', .text = &w.jobs },
		{ .name = "systemd", .flag = &w.systemd },
		{ .name = "foreground", .flag = &w.here },
		OPEN_OPTS,
		{ .name = "gdb", .text = &w.gdb },
		{ .name = "verbose", .letter = 'v', .flag = &w.verbose },
		{ .name = "allow-hollow-kvm", .flag = &w.allow_hollow },
	};
	const int n = cmd_options(&verb_up, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct targets t = { 0 };
	char path[PATH_MAX];
	int status;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_up, n == 0 ? "which file or directory?" : "one at a time");
	if (read_within(&w) != 0 || check_systemd(&w) != 0)
		return CMD_FAILED;
	if (gang_read(w.jobs, &w.limit) < 0)
		return cmd_usage(&verb_up, "--jobs takes a number, 1 to %d", GANG_MAX);
	open_choose(argv[1], &w.name);
	status = targets_open(argv[1], w.name, &t);
	if (status == CMD_DONE && t.count == 0) {
		text_say(stderr, "sill: no VM in '%s'", argv[1]);
		status = CMD_FAILED;
	}
	if (status == CMD_DONE && w.here && t.count != 1)
		status = cmd_usage(&verb_up, "--foreground is for one VM; choose with --name");
	if (status == CMD_DONE)
		status = settle_gdb(&w, t.count, path);
	if (status != CMD_MANIFEST && ((w.gdb == NULL && !w.here) || status == CMD_DONE))
		status = up_all(&w, &t, status);
	if (w.wait && status == CMD_DONE && !w.child && !w.systemd)
		status = wait_all(&w, &t);
	targets_fini(&t);
	return status;
}

const struct verb verb_up = {
	.name = "up",
	.args = "[--wait] [--within TIME] [--jobs N] [--systemd|--foreground] [--name "
		"VM] " OPEN_ARGS " [--gdb PATH|[ADDRESS:]PORT] [-v] FILE|DIR",
	.summary = "start VMs in the background",
	.help = "Every VM of the file, or of all *.yaml and *.yml in the directory and below. What "
		"is\n"
		"wrong with any of the manifests is said, and nothing is started then. A VM is a\n"
		"process of its own, which stays when the terminal goes; the command returns when\n"
		"its first instruction runs. One that runs already is left alone.\n"
		"\n"
		"A port on the terminal (serial: tty) is there for `sill console NAME`, and writes "
		"to\n"
		"serial.log in the runtime directory (`sill help run`); messages go to vm.log "
		"there: `sill logs NAME`. Both stay\n"
		"when the VM has ended, until it is started again, or `sill down NAME`.\n"
		"\n"
		"  --wait     until their guests are up, by the signs in the manifests (`sill "
		"explain\n"
		"             ready`); what is missing when the time is over is said, with its "
		"hint "
		"and\n"
		"             the end of what the guest has written\n"
		"  --within TIME\n"
		"             likewise, for so long, whatever the manifests say: 90s, 5m\n"
		"  --jobs N, -j N\n"
		"             so many are started at once (as many as there are\n"
		"             processors, 8 at most); what is said of each comes together\n"
		"  --systemd  as services: sill@NAME.service, which a start of the host starts, "
		"too;\n"
		"             --wait: until each is ready (docs/GITOPS.md)\n"
		"  --foreground\n"
		"             what that service runs: the VM is this process, and messages go to\n"
		"             standard error; sd_notify(3) is told how it is\n"
		"  --name VM  this one of a file\n" OPEN_HELP "  --gdb PATH|[ADDRESS:]PORT\n"
		"             as for `sill run`\n"
		"  -v         log more (--verbose)\n"
		"  --allow-hollow-kvm\n"
		"             as for `sill run`\n"
		"\n"
		"exit status: 0 all run; 1 one could not be started, or runs and is not what the\n"
		"manifest says; 2 a manifest is wrong, nothing was started; 5 (--wait) all\n"
		"run, and a guest is not up in its time\n",
	.run = run,
};
