/* SPDX-License-Identifier: Apache-2.0 */
/* up.c - sill up: start VMs in the background. */
#include "runner/cmd/cmd.h"

#include <stdio.h>
#include <string.h>

#include "runner/manifest/emit.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/start.h"

struct wish {
	const char *name;
	bool verbose, allow_hollow;
	bool child; /* we are a VM's process, whose status this is */
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

static int up_one(struct wish *w, const struct targets *all, const struct target *t)
{
	const struct start s = { .target = t,
				 .file = t->file,
				 .directory = all->directory,
				 .verbose = w->verbose,
				 .allow_hollow = w->allow_hollow };
	struct rundir_vm vm;
	bool runs;

	if (rundir_look(t->doc->m->name, &vm, &runs) && runs)
		return compare(t, &vm);
	return start_vm(&s, &w->child);
}

static int run(int argc, char **argv)
{
	struct wish w = { 0 };
	const struct opt opts[] = {
		{ .name = "name", .text = &w.name },
		{ .name = "verbose", .letter = 'v', .flag = &w.verbose },
		{ .name = "allow-hollow-kvm", .flag = &w.allow_hollow },
	};
	const int n = cmd_options(&verb_up, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct targets t = { 0 };
	int status;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_up, n == 0 ? "which file or directory?" : "one at a time");
	status = targets_open(argv[1], w.name, &t);
	if (status == CMD_DONE && t.count == 0) {
		text_say(stderr, "sill: no VM in '%s'", argv[1]);
		status = CMD_FAILED;
	}
	for (size_t i = 0; status != CMD_MANIFEST && i < t.count; i++) {
		const int one = up_one(&w, &t, &t.list[i]);

		if (w.child || status == CMD_DONE)
			status = one;
		if (w.child)
			break;
	}
	targets_fini(&t);
	return status;
}

const struct verb verb_up = {
	.name = "up",
	.args = "[--name VM] [-v] FILE|DIR",
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
		"  --name VM  this one of a file\n"
		"  -v         log more (--verbose)\n"
		"  --allow-hollow-kvm\n"
		"             as for `sill run`\n"
		"\n"
		"exit status: 0 all run; 1 one could not be started, or runs and is not what the\n"
		"manifest says; 2 a manifest is wrong, nothing was started\n",
	.run = run,
};
