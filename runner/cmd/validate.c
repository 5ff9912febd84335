/* SPDX-License-Identifier: Apache-2.0 */
/* validate.c - sill validate: say all that is wrong with manifests. */
#include "runner/cmd/cmd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/cmd/open.h"
#include "runner/cmd/scan.h"
#include "runner/host/doctor.h"
#include "runner/manifest/manifest.h"
#include "runner/manifest/shares.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

enum { ABSENT_MAX = 8, NOTES_MAX = 20 };

struct totals {
	const struct host_facts *host;
	const struct compose_extra *extra;
	struct shares shares; /* what the VMs of all files hold */
	size_t note_count;
	bool strict; /* a warning is as bad as a mistake */
	bool quiet;  /* nothing to say when all is right */
	bool colour; /* of stderr */
	size_t files, bad_files, vms, count, warning_count;
	size_t errors;  /* files and directories that could not be read */
	size_t skipped; /* that were left out */
	bool truncated; /* not all mistakes or warnings are in the lists */
	struct {
		char *dir;   /* that it is not there was said of one file */
		size_t more; /* files that are missed in it */
	} absent[ABSENT_MAX];
	/* NULL: for people */
	json_t *mistakes, *warnings, *error_list, *skipped_list, *notes;
};

static void extend(json_t *list, const struct diags *d)
{
	json_t *more = diags_json(d);

	(void)json_array_extend(list, more);
	json_decref(more);
}

/* What is no manifest's mistake. */
static void note(struct totals *t, const char *text, const char *hint)
{
	if (t->notes != NULL) {
		(void)json_array_append_new(t->notes,
					    json_pack("{s:o,s:o}", "message", json_text(text),
						      "hint", json_text(hint)));
		return;
	}
	if (t->quiet)
		return;
	if (t->note_count++ < NOTES_MAX)
		(void)fprintf(stderr, "note: %s\n", text);
	if (hint[0] != '\0')
		(void)fprintf(stderr, "   hint: %s\n", hint);
}

static void say_shared(void *arg, const char *text)
{
	note(arg, text, "");
}

static void note_kvm(struct totals *t)
{
	struct kvm_look k;
	char text[320];

	kvm_look(&k, -1);
	if (t->note_count > NOTES_MAX && !t->quiet)
		(void)fprintf(stderr, "note: and %zu more like these\n", t->note_count - NOTES_MAX);
	t->note_count = 0;
	(void)snprintf(text, sizeof(text), "no VM can be run on this host: %s", k.e.msg);
	if (k.state != KVM_GOOD && t->count == 0)
		note(t, text, k.e.hint);
}

/* A line about @path, which is counted in @ret_count. */
static void say(struct totals *t, size_t *ret_count, json_t *list, const char *path,
		const char *text)
{
	char clean[512];
	json_t *o;

	++*ret_count;
	if (t->mistakes == NULL) {
		(void)fprintf(stderr, "%s: %s\n",
			      text_clean(clean, sizeof(clean), path, strlen(path)), text);
		return;
	}
	o = json_object();
	(void)json_object_set_new(o, "file", json_text(path));
	(void)json_object_set_new(o, "message", json_text(text));
	(void)json_array_append_new(list, o);
}

static void say_failed(void *arg, const char *path, const char *why)
{
	struct totals *t = arg;

	say(t, &t->errors, t->error_list, path, why);
}

static void say_skipped(void *arg, const char *path, const char *why)
{
	struct totals *t = arg;
	char text[400];

	(void)snprintf(text, sizeof(text), "%s%s", t->mistakes == NULL ? "skipped: " : "", why);
	say(t, &t->skipped, t->skipped_list, path, text);
}

/* That a directory is not there is said once, not of all the files that were to be in it. */
static void fold(struct totals *t, struct diag *g)
{
	for (size_t i = 0; g->lacks != NULL && i < ABSENT_MAX; i++) {
		if (t->absent[i].dir == NULL) {
			t->absent[i].dir = strdup(g->lacks);
			return;
		}
		if (strcmp(t->absent[i].dir, g->lacks) == 0) {
			t->absent[i].more++;
			g->folded = true;
			return;
		}
	}
}

static void say_folded(struct totals *t)
{
	char clean[512];

	for (size_t i = 0; i < ABSENT_MAX && t->absent[i].dir != NULL; i++) {
		const char *dir = t->absent[i].dir;

		if (t->absent[i].more > 0)
			(void)fprintf(stderr, "... and %zu more in '%s', which is not there\n",
				      t->absent[i].more,
				      text_clean(clean, sizeof(clean), dir, strlen(dir)));
		free(t->absent[i].dir);
		t->absent[i].dir = NULL;
	}
}

static void count_file(struct totals *t, struct mfile *f)
{
	t->files++;
	t->vms += f->count;
	t->count += f->diags.total;
	t->bad_files += f->diags.total > 0;
	t->warning_count += f->warnings.total;
	t->truncated |= f->diags.total > f->diags.count || f->warnings.total > f->warnings.count;
	if (t->mistakes != NULL) {
		extend(t->mistakes, &f->diags);
		extend(t->warnings, &f->warnings);
	} else {
		for (size_t i = 0; i < f->diags.count; i++)
			fold(t, &f->diags.list[i]);
		diags_print(stderr, &f->diags, t->colour);
		diags_print(stderr, &f->warnings, t->colour);
	}
}

/* What --set names and no file has: of which file that is a mistake is not known. */
static void count_sets(struct totals *t)
{
	json_t *list = NULL;
	const size_t n = open_many_end(t->mistakes != NULL ? &list : NULL);

	(void)json_array_extend(t->mistakes, list);
	json_decref(list);
	t->count += n;
	if (n > 0 && t->bad_files == 0)
		t->bad_files = t->files;
}

static void validate_file(void *arg, const char *path)
{
	struct totals *t = arg;
	const struct mfile_how how = { .host = t->host, .extra = t->extra, .no_values = true };
	struct mfile *f = mfile_read(path, &how);

	if (f != NULL && t->host != NULL)
		shares_note(&t->shares, f, say_shared, t);
	if (f == NULL || f->source.unreadable)
		say_failed(t, path,
			   f != NULL && f->diags.count > 0 ? f->diags.list[0].msg : "no memory");
	else
		count_file(t, f);
	mfile_destroy(f);
}

static void validate_operand(struct totals *t, const char *path)
{
	const struct scan_sink sink = {
		.arg = t, .file = validate_file, .skipped = say_skipped, .failed = say_failed
	};
	size_t before = t->files + t->errors;
	struct stat st;

	if (strcmp(path, "-") == 0 || stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		validate_file(t, path);
		return;
	}
	scan_manifests(path, &sink);
	if (t->files + t->errors == before)
		say_failed(t, path, "no *.yaml and no *.yml in it");
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
	bool good = all_right(t) && t->errors == 0;
	FILE *f = good ? stdout : stderr;
	const char *sep = "";

	if (good && t->quiet)
		return;
	if (t->count > 0)
		(void)fprintf(f, "%zu mistake%s in %zu of %zu file%s", t->count, plural(t->count),
			      t->bad_files, t->files, plural(t->files));
	else if (t->files > 0)
		(void)fprintf(f, "%zu VM%s in %zu file%s: %s", t->vms, plural(t->vms), t->files,
			      plural(t->files),
			      t->warning_count > 0 || t->errors > 0 ? "no mistake" : "all right");
	if (t->files > 0)
		sep = ", ";
	if (t->warning_count > 0)
		(void)fprintf(f, ", %zu warning%s%s", t->warning_count, plural(t->warning_count),
			      t->strict ? " where --strict allows none" : "");
	if (t->errors > 0)
		(void)fprintf(f, "%s%zu could not be read", sep, t->errors);
	if (t->skipped > 0)
		(void)fprintf(f, "%s%zu skipped", t->errors > 0 ? ", " : sep, t->skipped);
	(void)fputc('\n', f);
}

static int print_json(struct totals *t)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "ok", json_boolean(all_right(t) && t->errors == 0));
	(void)json_object_set_new(o, "files", json_integer((json_int_t)t->files));
	(void)json_object_set_new(o, "vms", json_integer((json_int_t)t->vms));
	(void)json_object_set_new(o, "count", json_integer((json_int_t)t->count));
	(void)json_object_set_new(o, "truncated", json_boolean(t->truncated));
	(void)json_object_set_new(o, "mistakes", t->mistakes);
	(void)json_object_set_new(o, "warning_count", json_integer((json_int_t)t->warning_count));
	(void)json_object_set_new(o, "warnings", t->warnings);
	(void)json_object_set_new(o, "error_count", json_integer((json_int_t)t->errors));
	(void)json_object_set_new(o, "errors", t->error_list);
	(void)json_object_set_new(o, "skipped_count", json_integer((json_int_t)t->skipped));
	(void)json_object_set_new(o, "skipped", t->skipped_list);
	(void)json_object_set_new(o, "notes", t->notes);
	return json_print(stdout, o);
}

static bool start_json(struct totals *t)
{
	t->mistakes = json_array();
	t->warnings = json_array();
	t->error_list = json_array();
	t->skipped_list = json_array();
	t->notes = json_array();
	return t->mistakes != NULL && t->warnings != NULL && t->error_list != NULL &&
	       t->skipped_list != NULL && t->notes != NULL;
}

static int run(int argc, char **argv)
{
	bool json = false, no_host = false;
	struct host_facts host;
	struct totals t = { 0 };
	const struct opt opts[] = {
		{ .name = "json", .flag = &json },
		{ .name = "no-host", .flag = &no_host },
		{ .name = "quiet", .flag = &t.quiet },
		{ .name = "strict", .flag = &t.strict },
		OPEN_OPTS,
	};
	int n = cmd_options(&verb_validate, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n == 0)
		return cmd_usage(&verb_validate, "which file?");
	if (!no_host) {
		host_facts_get(&host, -1);
		host_room_get(&host);
		t.host = &host;
	}
	t.colour = colour_wanted(stderr);
	open_many();
	t.extra = open_extra();
	if (t.extra == NULL)
		return CMD_FAILED;
	if (json && !start_json(&t)) {
		(void)fputs("sill: no memory\n", stderr);
		return CMD_FAILED;
	}
	for (int i = 1; i <= n; i++)
		validate_operand(&t, argv[i]);
	say_folded(&t);
	count_sets(&t);
	shares_fini(&t.shares);
	if (!json)
		print_totals(&t);
	if (!no_host)
		note_kvm(&t);
	if (json && print_json(&t) < 0)
		return CMD_FAILED;
	return !all_right(&t) ? CMD_MANIFEST : t.errors > 0 ? CMD_FAILED : CMD_DONE;
}

const struct verb verb_validate = {
	.name = "validate",
	.args = "[--json] [--no-host] [--quiet] [--strict] " OPEN_ARGS " FILE|DIRECTORY...",
	.summary = "say all that is wrong with manifests; nothing is started",
	.help = "Of a directory, all files *.yaml and *.yml in it and below are checked, through\n"
		"links too; what is left out (names that begin with '.', bases, a directory a\n"
		"second time) is said and counted. FILE - is standard input. A manifest with "
		"guest:\n"
		"windows that is right gets warnings about what others have regretted;\n"
		"`sill explain lint` lists them. Of files in a directory that is not there the\n"
		"first is shown, with the comment behind its name, and the others are counted.\n"
		"What `sill run` would refuse on this host is a\n"
		"mistake too: memory, huge pages, CPUs and features it has not. Not looked at is\n"
		"what changes from one moment to the next: who uses a file, the room on a disk.\n"
		"Notes are about no manifest alone: there is no /dev/kvm, or VMs of two files "
		"want\n"
		"the same image, which two configurations of one VM may.\n"
		"\n"
		"  --json     one JSON object on stdout, see below\n"
		"  --no-host  do not look at this host: its files, CPU and huge pages\n"
		"  --quiet    say nothing when all is right\n"
		"  --strict   a warning is as bad as a mistake\n" OPEN_HELP "\n"
		"The JSON object: ok, files, vms, count, truncated (a file has more mistakes than\n"
		"are listed), mistakes[] with severity, file, line, column, byte, path, message,\n"
		"hint, other; warning_count, warnings[] with rule, why and see as well;\n"
		"error_count, errors[] (file, message: what could not be read); skipped_count,\n"
		"skipped[] (file, message: what was left out); notes[] (message, hint). Columns "
		"count characters, from 1;\n"
		"byte is the same place in bytes.\n"
		"\n"
		"exit status: 0 all right, also with warnings; 1 something could not be read, and\n"
		"what could has no mistake; 2 mistakes, or warnings with --strict\n",
	.run = run,
};
