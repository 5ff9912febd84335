/* SPDX-License-Identifier: Apache-2.0 */
/* export.c - sill export: manifests as what systemd, Kubernetes or Nomad is told. */
#include "runner/cmd/cmd.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/cmd/open.h"
#include "runner/cmd/scan.h"
#include "runner/cmd/write.h"
#include "runner/export/export.h"
#include "runner/report/diag.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

struct engine {
	char *(*make)(const struct export_vm *vm);
	const char *ending;  /* of a file */
	const char *between; /* two VMs on one output */
};

static const struct engine systemd = { export_systemd, ".service", "\n" };
static const struct engine kubernetes = { export_kubernetes, ".yaml", "---\n" };
static const struct engine nomad = { export_nomad, ".nomad.json", "\n" };

/* All of it owned. */
struct made {
	char *name, *text; /* a VM's */
};

struct work {
	const struct engine *kind;
	const char *image, *out; /* out: a directory; NULL: standard output */
	bool force;
	const struct compose_extra *extra;
	json_t *names;     /* owned: of which file each VM is */
	struct made *made; /* owned: written when all files were read */
	size_t count;
	int status;
};

static void worse(struct work *w, int status)
{
	/* What is wrong with a manifest is said before what else has failed. */
	if (w->status == CMD_DONE || status == CMD_MANIFEST)
		w->status = status;
}

/* @take_text NULL: no memory. */
static void keep(struct work *w, const char *name, char *take_text)
{
	struct made *more = realloc(w->made, (w->count + 1) * sizeof(*more));
	char *own = strdup(name);

	w->made = more != NULL ? more : w->made;
	if (more == NULL || own == NULL || take_text == NULL) {
		free(own);
		free(take_text);
		worse(w, CMD_FAILED);
		return;
	}
	w->made[w->count++] = (struct made){ own, take_text };
}

static void write_one(struct work *w, size_t i)
{
	const char *text = w->made[i].text;
	char path[PATH_MAX];

	if (w->out == NULL) {
		(void)fprintf(stdout, "%s%s%s", i > 0 ? w->kind->between : "", text,
			      text[strlen(text) - 1] == '\n' ? "" : "\n");
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/%s%s", w->out, w->made[i].name, w->kind->ending);
	worse(w, cmd_write_file("export", path, text, w->force));
}

/* Nothing is, when --set names what no file has: what was wanted of all of them is not known. */
static void write_all(struct work *w)
{
	const bool known = open_many_end(NULL) == 0;

	if (!known)
		worse(w, CMD_MANIFEST);
	for (size_t i = 0; i < w->count; i++) {
		if (known)
			write_one(w, i);
		free(w->made[i].name);
		free(w->made[i].text);
	}
	free(w->made);
}

/* An engine has one of a name: the second would take the place of the first. False: said. */
static bool is_first(struct work *w, const char *name, const char *path)
{
	const char *other = json_string_value(json_object_get(w->names, name));

	if (other == NULL)
		return json_object_set_new(w->names, name, json_text(path)) == 0;
	text_say(stderr, "sill export: '%s': a VM named '%s' is in '%s', too", path, name, other);
	worse(w, CMD_MANIFEST);
	return false;
}

static void export_file(void *arg, const char *path)
{
	struct work *w = arg;
	struct mfile *f = mfile_read(path, &(struct mfile_how){ .extra = w->extra });
	char full[PATH_MAX];

	if (f == NULL || f->diags.total > 0) {
		if (f != NULL)
			diags_print(stderr, &f->diags, colour_wanted(stderr));
		worse(w, CMD_MANIFEST);
		mfile_destroy(f);
		return;
	}
	if (realpath(path, full) == NULL)
		(void)snprintf(full, sizeof(full), "%s", path);
	for (size_t i = 0; i < f->count; i++) {
		const struct export_vm vm = { f, i, full, w->image, stderr };

		if (is_first(w, f->docs[i].m->name, path))
			keep(w, f->docs[i].m->name, w->kind->make(&vm));
	}
	mfile_destroy(f);
}

static void say_failed(void *arg, const char *path, const char *why)
{
	text_say(stderr, "sill export: '%s': %s", path, why);
	worse(arg, CMD_FAILED);
}

static void say_skipped(void *arg, const char *path, const char *why)
{
	(void)arg;
	text_say(stderr, "sill export: '%s' is left out: %s", path, why);
}

static void export_operand(struct work *w, const char *path)
{
	const struct scan_sink sink = {
		.arg = w, .file = export_file, .skipped = say_skipped, .failed = say_failed
	};
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		scan_manifests(path, &sink);
	else
		export_file(w, path);
}

static int run(int argc, char **argv)
{
	struct work w = { .image = "sill" };
	bool is_systemd = false, is_kubernetes = false, is_nomad = false;
	const struct opt opts[] = {
		{ .name = "systemd", .flag = &is_systemd },
		{ .name = "kubernetes", .flag = &is_kubernetes },
		{ .name = "nomad", .flag = &is_nomad },
		{ .name = "image", .text = &w.image },
		{ .name = "output", .letter = 'o', .text = &w.out },
		{ .name = "force", .flag = &w.force },
		OPEN_OPTS,
	};
	const int n = cmd_options(&verb_export, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (is_systemd + is_kubernetes + is_nomad != 1)
		return cmd_usage(&verb_export, "--systemd, --kubernetes or --nomad?");
	if (n == 0)
		return cmd_usage(&verb_export, "which file?");
	if (is_systemd && open_sets.count + open_var_files.count > 0)
		return cmd_usage(&verb_export,
				 "a unit runs the file as it is: what --set and --var-file say "
				 "belongs into the file");
	open_many();
	w.extra = open_extra();
	if (w.extra == NULL)
		return CMD_FAILED;
	w.kind = is_systemd ? &systemd : is_kubernetes ? &kubernetes : &nomad;
	w.names = json_object();
	for (int i = 1; i <= n; i++)
		export_operand(&w, argv[i]);
	write_all(&w);
	json_decref(w.names);
	if (w.count == 0 && w.status == CMD_DONE) {
		(void)fputs("sill export: there is no manifest\n", stderr);
		w.status = CMD_FAILED;
	}
	worse(&w, cmd_flush());
	return w.status;
}

const struct verb verb_export = {
	.name = "export",
	.args = "--systemd|--kubernetes|--nomad [--image IMAGE] [-o DIR [--force]] " OPEN_ARGS
		" FILE|DIR...",
	.summary = "manifests as units, StatefulSets or jobs, for engines that run fleets",
	.help = "Prints what the engine is told, with the devices, rights and memory that the VM "
		"needs;\n"
		"on standard error what it has to be given besides. The host is not looked at.\n"
		"\n"
		"  --systemd      a service that runs the file where it lies\n"
		"  --kubernetes   a ConfigMap, a Service and a StatefulSet of one pod; devices by\n"
		"                 KubeVirt's device plugin\n"
		"  --nomad        a job in JSON, for `nomad job run -json`, by the raw_exec "
		"driver\n"
		"  --image IMAGE  for --kubernetes: a container with sill in it (sill)\n"
		"  -o DIR         a file for each VM there, by its name\n"
		"  --force        also over files that are there\n" OPEN_HELP "\n"
		"exit status: 0 all is written; 1 something could not be; 2 a manifest is wrong, "
		"and\n"
		"the others are written\n",
	.run = run,
};
