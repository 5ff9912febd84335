/* SPDX-License-Identifier: Apache-2.0 */
/* validate.c - sill validate: say all that is wrong with manifests. */
#include "runner/cmd/cmd.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/manifest/manifest.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

enum { DEPTH_MAX = 16, FILES_MAX = 10000 };

struct totals {
	const struct host_facts *host;
	json_t *mistakes, *warnings; /* NULL: for people */
	size_t files, bad_files, vms, count, warning_count;
	bool strict; /* a warning is as bad as a mistake */
	bool failed; /* something that is not the manifests' fault */
};

static void extend(json_t *list, const struct diags *d)
{
	json_t *more = diags_json(d);

	(void)json_array_extend(list, more);
	json_decref(more);
}

static void validate_file(struct totals *t, const char *path)
{
	struct mfile *f = mfile_check(path, t->host);

	t->files++;
	if (f == NULL) {
		(void)fputs("sill: no memory\n", stderr);
		t->failed = true;
		return;
	}
	t->vms += f->count;
	t->count += f->diags.total;
	t->bad_files += f->diags.total > 0;
	t->warning_count += f->warnings.total;
	if (t->mistakes != NULL) {
		extend(t->mistakes, &f->diags);
		extend(t->warnings, &f->warnings);
	} else {
		diags_print(stderr, &f->diags, colour_wanted(stderr));
		diags_print(stderr, &f->warnings, colour_wanted(stderr));
	}
	mfile_destroy(f);
}

static int wanted(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void cannot(struct totals *t, const char *path, int err)
{
	char clean[256];

	(void)fprintf(stderr, "sill: '%s': %s\n",
		      text_clean(clean, sizeof(clean), path, strlen(path)), strerrordesc_np(err));
	t->failed = true;
}

static void validate_directory(struct totals *t, const char *path, unsigned depth)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, wanted, alphasort);

	if (n < 0)
		cannot(t, path, errno);
	for (int i = 0; i < n; i++) {
		size_t len = strlen(list[i]->d_name);
		struct stat st;
		char *full = NULL;

		if (t->files < FILES_MAX && asprintf(&full, "%s/%s", path, list[i]->d_name) >= 0) {
			if (lstat(full, &st) == 0 && S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
				validate_directory(t, full, depth + 1);
			else if (len > 5 && strcmp(list[i]->d_name + len - 5, ".yaml") == 0)
				validate_file(t, full);
			free(full);
		}
		free(list[i]);
	}
	free(list);
}

static void validate_operand(struct totals *t, const char *path)
{
	size_t before = t->files;
	struct stat st;
	char clean[256];

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		validate_file(t, path);
		return;
	}
	validate_directory(t, path, 0);
	if (t->files != before || t->failed)
		return;
	(void)fprintf(stderr, "sill: no *.yaml in '%s'\n",
		      text_clean(clean, sizeof(clean), path, strlen(path)));
	t->failed = true;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static bool all_right(const struct totals *t)
{
	return t->count == 0 && (!t->strict || t->warning_count == 0);
}

static void print_totals(const struct totals *t)
{
	FILE *f = all_right(t) ? stdout : stderr;

	if (t->count > 0)
		(void)fprintf(f, "%zu mistake%s in %zu of %zu file%s", t->count, plural(t->count),
			      t->bad_files, t->files, plural(t->files));
	else if (t->files > 0)
		(void)fprintf(f, "%zu VM%s in %zu file%s: %s", t->vms, plural(t->vms), t->files,
			      plural(t->files), t->warning_count > 0 ? "no mistake" : "all right");
	else
		return;
	if (t->warning_count > 0)
		(void)fprintf(f, ", %zu warning%s%s", t->warning_count, plural(t->warning_count),
			      t->strict ? " where --strict allows none" : "");
	(void)fputc('\n', f);
}

static int print_json(struct totals *t)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "ok", json_boolean(all_right(t) && !t->failed));
	(void)json_object_set_new(o, "files", json_integer((json_int_t)t->files));
	(void)json_object_set_new(o, "vms", json_integer((json_int_t)t->vms));
	(void)json_object_set_new(o, "count", json_integer((json_int_t)t->count));
	(void)json_object_set_new(o, "mistakes", t->mistakes);
	(void)json_object_set_new(o, "warning_count", json_integer((json_int_t)t->warning_count));
	(void)json_object_set_new(o, "warnings", t->warnings);
	return json_print(stdout, o);
}

static int run(int argc, char **argv)
{
	bool json = false, no_host = false;
	struct host_facts host;
	struct totals t = { 0 };
	const struct opt opts[] = {
		{.name = "json",     .flag = &json    },
		{ .name = "no-host", .flag = &no_host },
		{ .name = "strict",  .flag = &t.strict},
	};
	int n = cmd_options(&verb_validate, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n == 0)
		return cmd_usage(&verb_validate, "which file?");
	if (!no_host) {
		host_facts_get(&host);
		t.host = &host;
	}
	if (json) {
		t.mistakes = json_array();
		t.warnings = json_array();
		t.failed = t.mistakes == NULL || t.warnings == NULL;
	}
	for (int i = 1; i <= n; i++)
		validate_operand(&t, argv[i]);
	if (!json)
		print_totals(&t);
	else if (print_json(&t) < 0)
		t.failed = true;
	return !all_right(&t) ? CMD_MANIFEST : t.failed ? CMD_FAILED : CMD_DONE;
}

const struct verb verb_validate = {
	.name = "validate",
	.args = "[--json] [--no-host] [--strict] FILE|DIRECTORY...",
	.summary = "say all that is wrong with manifests; nothing is started",
	.help = "Of a directory, all files *.yaml in it and below are checked. A manifest with\n"
		"guest: windows that is right gets warnings about what others have regretted;\n"
		"`sill explain lint` lists them.\n"
		"\n"
		"  --json     one JSON object on stdout: ok, files, vms, count, mistakes[] with\n"
		"             severity, file, line, column, path, message, hint, other;\n"
		"             warning_count, warnings[] with rule, why and see as well\n"
		"  --no-host  do not look at this host: its files, CPU and huge pages\n"
		"  --strict   a warning is as bad as a mistake\n"
		"\n"
		"exit status: 0 all right, also with warnings; 1 a file cannot be read; 2 "
		"mistakes, "
		"or\n"
		"warnings with --strict\n",
	.run = run,
};
