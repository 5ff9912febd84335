/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - sill show: a manifest as Sill understands it. */
#include "runner/cmd/cmd.h"

#include <string.h>

#include "runner/cmd/open.h"
#include "runner/manifest/emit.h"
#include "runner/report/json.h"

struct wish {
	enum emit_style style;
	bool json;
	const char *name; /* NULL: all */
};

static bool wanted(const struct wish *w, const struct mdoc *doc)
{
	return w->name == NULL || strcmp(doc->m->name, w->name) == 0;
}

static int show_json(struct mfile *f, const struct wish *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->count; i++) {
		if (wanted(w, &f->docs[i]))
			(void)json_array_append_new(
				list, emit_json(&f->check, f->docs[i].root, w->style));
	}
	return json_print(stdout, list);
}

static int show_yaml(struct mfile *f, const struct wish *w)
{
	bool first = true;

	for (size_t i = 0; i < f->count; i++) {
		if (!wanted(w, &f->docs[i]))
			continue;
		if (!first)
			(void)fputs("---\n", stdout);
		first = false;
		if ((w->style == EMIT_EFFECTIVE
			     ? emit_origins(stdout, &f->check, f->docs[i].root)
			     : emit_yaml(stdout, &f->check, f->docs[i].root, w->style)) < 0)
			return -1;
	}
	return 0;
}

static int run(int argc, char **argv)
{
	struct wish w = { .style = EMIT_WRITTEN };
	bool effective = false, no_host = false;
	const struct opt opts[] = {
		{ .name = "effective", .flag = &effective }, { .name = "json", .flag = &w.json },
		{ .name = "name", .text = &w.name },         OPEN_OPTS,
		{ .name = "no-host", .flag = &no_host },
	};
	int n = cmd_options(&verb_show, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct mfile *f;
	int ret;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_show, n == 0 ? "which file?" : "one file at a time");
	if (effective)
		w.style = EMIT_EFFECTIVE;
	open_choose(argv[1], &w.name);
	ret = cmd_open(argv[1], w.name, !no_host, &f);
	if (ret != CMD_DONE)
		return ret;
	if ((w.json ? show_json(f, &w) : show_yaml(f, &w)) < 0)
		ret = CMD_FAILED;
	mfile_destroy(f);
	return ret;
}

const struct verb verb_show = {
	.name = "show",
	.args = "[--effective] [--name VM] [--json] [--no-host] " OPEN_ARGS " FILE",
	.summary = "print a manifest as sill understands it, with all defaults if wanted",
	.help = "A file with several VMs may have the name of one behind it: FILE#NAME.\n"
		"\n"
		"  --effective  with every default filled in and paths made absolute; the output "
		"is a\n"
		"               manifest again, and says the same. Behind each value stands the\n"
		"               line it is from: of the file or a base, --set, or a default\n"
		"  --name VM    only this one of several\n" OPEN_HELP
		"  --json       a JSON array with one object per VM\n"
		"  --no-host    do not look at this host: its files, CPU and huge pages\n",
	.run = run,
};
