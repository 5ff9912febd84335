/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - sill import: what another program is told of a VM, as a manifest. */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cmd/write.h"
#include "runner/import/import.h"
#include "runner/report/diag.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

struct reader {
	const char *name;
	int (*read)(struct import *im, const char *text, size_t size);
};

struct wish {
	const struct reader *from; /* NULL: to be told by what is read */
	const char *out;           /* NULL: standard output */
	bool force, json, no_host;
	char *const *words; /* a command on the line; NULL: none */
	size_t count;
};

/* ---- what is read ---- */

enum { COMMAND, CH_JSON, LIBVIRT, COMPOSE };
static const struct reader readers[] = {
	[COMMAND] = { "command", import_script },
	[CH_JSON] = { "cloud-hypervisor", import_ch_json },
	[LIBVIRT] = { "libvirt", import_libvirt },
	[COMPOSE] = { "compose", import_compose },
};

static const struct reader *reader_of(const char *name)
{
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (strcmp(readers[i].name, name) == 0)
			return &readers[i];
	return NULL;
}

/* By its first character that is no blank; a compose file by the one key that each has. */
static const struct reader *recognise(const char *text)
{
	if (strncmp(text, "services:", 9) == 0 || strstr(text, "\nservices:") != NULL)
		return &readers[COMPOSE];
	text += strspn(text, " \t\r\n");
	return &readers[*text == '{' ? CH_JSON : *text == '<' ? LIBVIRT : COMMAND];
}

/* All of @path, or of standard input, NUL-terminated; the caller frees it. NULL: @im->err. */
static char *read_all(struct import *im, const char *path, size_t *ret_size)
{
	static const char mark[] = "\xef\xbb\xbf"; /* what some editors begin UTF-8 with */
	const bool in = strcmp(path, "-") == 0;
	const int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = fd >= 0 ? malloc(IMPORT_BYTES + 2) : NULL;
	size_t size = 0;
	ssize_t n = 1;

	while (text != NULL && size <= IMPORT_BYTES && n > 0) {
		n = read(fd, text + size, IMPORT_BYTES + 1 - size);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			size += (size_t)n;
	}
	if (text == NULL || n < 0)
		(void)sill_err_sys(&im->err, errno, "'%.150s'", path);
	else if (size > IMPORT_BYTES)
		(void)import_fail(im, "'%.150s' has more than %d bytes", path, IMPORT_BYTES);
	else if (!import_is_text(text, size))
		(void)import_fail(im, "'%.150s' is no text in UTF-8", path);
	if (fd >= 0 && !in)
		(void)close(fd);
	if (im->err.code != SILL_ERR_NONE) {
		free(text);
		return NULL;
	}
	if (size >= sizeof(mark) - 1 && memcmp(text, mark, sizeof(mark) - 1) == 0)
		memmove(text, text + sizeof(mark) - 1, size -= sizeof(mark) - 1);
	text[size] = '\0';
	*ret_size = size;
	return text;
}

static int read_file(struct import *im, const struct wish *w, const char *path)
{
	size_t size;
	char *text = read_all(im, path, &size);
	const struct reader *r;
	int ret;

	if (text == NULL)
		return -1;
	r = w->from != NULL ? w->from : recognise(text);
	ret = r->read(im, text, size);
	free(text);
	return ret;
}

static int read_words(struct import *im, const struct wish *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (!import_is_text(w->words[i], strlen(w->words[i])))
			return import_fail(im, "word %zu is no text in UTF-8", i + 1);
	if (w->count > IMPORT_WORDS)
		return import_fail(im, "more than %d words", IMPORT_WORDS);
	return import_command(im, w->words, w->count);
}

/* ---- what is written ---- */

/* Where relative paths begin, when the manifest is not to lie in the working directory; NULL: there. */
static const char *directory(const struct wish *w, char dir[PATH_MAX])
{
	const char *slash = w->out != NULL ? strrchr(w->out, '/') : NULL;

	if (slash == NULL || strncmp(w->out, "./", 2) == 0)
		return slash == NULL || strchr(w->out + 2, '/') == NULL ? NULL
									: getcwd(dir, PATH_MAX);
	return getcwd(dir, PATH_MAX);
}

/* All manifests, "---" between them; NULL: im->err. */
static char *make_text(struct import *im, const struct wish *w, json_t *list)
{
	char dir[PATH_MAX], *all = NULL;
	const char *from = directory(w, dir);
	size_t size = 0;
	FILE *f = open_memstream(&all, &size);
	int ret = f != NULL ? 0 : import_fail(im, "no memory");

	for (size_t i = 0; i < json_array_size(im->vms) && ret == 0; i++) {
		json_t *o = NULL;
		char *text = import_finish(im, i, from, &o);

		ret = text != NULL ? 0 : -1;
		if (text != NULL)
			(void)fprintf(f, "%s%s", i > 0 ? "---\n" : "", text);
		(void)json_array_append_new(list, o);
		free(text);
	}
	if (f != NULL && fclose(f) != 0 && ret == 0)
		ret = import_fail(im, "no memory");
	if (ret == 0)
		return all;
	free(all);
	return NULL;
}

static void say_list(const json_t *list, const char *mark, bool names)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		const char *vm = json_string_value(json_object_get(o, "vm"));

		text_say(stderr, "%s%s%s%s: %s", mark, names && vm != NULL ? vm : "",
			 names && vm != NULL ? ": " : "",
			 json_string_value(json_object_get(o, "what")),
			 json_string_value(json_object_get(o, "why")));
	}
}

static void say(const struct import *im)
{
	const bool names = json_array_size(im->vms) > 1;

	say_list(im->notes, "note: ", names);
	say_list(im->lost, "not carried: ", names);
	if (im->lost_count > json_array_size(im->lost))
		(void)fprintf(stderr, "not carried: %zu more\n",
			      im->lost_count - json_array_size(im->lost));
}

static int put(struct import *im, const struct wish *w, const char *text, json_t *take_list)
{
	int ret;

	ret = w->out != NULL ? cmd_write_file("import", w->out, text, w->force) : CMD_DONE;
	if (ret != CMD_DONE) {
		json_decref(take_list);
		return ret;
	}
	if (w->json)
		return json_print(stdout, json_pack("{s:o,s:O*,s:O*}", "vms", take_list, "notes",
						    im->notes, "lost", im->lost)) < 0
			       ? CMD_FAILED
			       : CMD_DONE;
	json_decref(take_list);
	if (w->out == NULL)
		(void)fputs(text, stdout);
	ret = cmd_flush();
	say(im);
	return ret;
}

static int import(struct import *im, const struct wish *w, const char *path)
{
	json_t *list = json_array();
	char *text = NULL;
	int ret = CMD_FAILED;

	if ((w->words != NULL ? read_words(im, w) : read_file(im, w, path)) == 0) {
		import_formats(im, !w->no_host);
		text = make_text(im, w, list);
	}
	if (text != NULL) {
		ret = put(im, w, text, list);
	} else {
		json_decref(list);
		say(im);
		(void)cmd_error(&im->err);
	}
	free(text);
	return ret == CMD_DONE && im->lost_count > 0 ? CMD_MANIFEST : ret;
}

/* ---- the line ---- */

/* What is behind "--" is a command; it is taken off the line. */
static int split(int argc, char **argv, struct wish *w)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") != 0)
			continue;
		w->words = argv + i + 1;
		w->count = (size_t)(argc - i - 1);
		argv[i] = NULL;
		return i;
	}
	return argc;
}

/* The directory of @path; NULL: the working directory. */
static const char *directory_of(struct import *im, const char *path)
{
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	return slash == NULL   ? NULL
	       : slash == path ? "/"
			       : arena_copy(&im->a, path, (size_t)(slash - path));
}

/* A VM without a name has that of its file. */
static void set_fallback(struct import *im, char name[64], const char *path)
{
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;
	const char *base = slash != NULL ? slash + 1 : path;

	if (base == NULL || strcmp(base, "-") == 0)
		return;
	(void)snprintf(name, 64, "%.*s", (int)strcspn(base, "."), base);
	im->fallback = name;
}

static int run(int argc, char **argv)
{
	struct wish w = { 0 };
	struct import im = { 0 };
	const char *from = NULL;
	const struct opt opts[] = {
		{ .name = "from", .text = &from },
		{ .name = "name", .text = &im.name },
		{ .name = "guest", .text = &im.guest },
		{ .name = "output", .letter = 'o', .text = &w.out },
		{ .name = "force", .flag = &w.force },
		{ .name = "json", .flag = &w.json },
		{ .name = "no-host", .flag = &w.no_host },
	};
	char name[64];
	int n, ret;

	argc = split(argc, argv, &w);
	n = cmd_options(&verb_import, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != (w.words != NULL ? 0 : 1))
		return cmd_usage(&verb_import, w.words != NULL || n > 1
						       ? "a file, or a command behind '--'"
						       : "which file?");
	w.from = from != NULL ? reader_of(from) : NULL;
	if (from != NULL && (w.from == NULL || w.words != NULL))
		return cmd_usage(&verb_import, "--from is the kind of a file, and '%s' is none",
				 from);
	if (w.out != NULL && strcmp(w.out, "-") == 0)
		w.out = NULL;
	im.dir = directory_of(&im, argv[1]);
	set_fallback(&im, name, w.out != NULL ? w.out : n == 1 ? argv[1] : NULL);
	ret = import(&im, &w, argv[1]);
	import_fini(&im);
	return ret;
}

const struct verb verb_import = {
	.name = "import",
	.args = "[--from KIND] [--name VM] [--guest GUEST] [-o FILE [--force]] [--json] "
		"[--no-host] FILE | -- COMMAND...",
	.summary = "a manifest from what another program is told of a VM",
	.help = "Reads FILE (- is standard input), or the command behind '--', and prints a "
		"manifest\n"
		"that is right as far as it can be told without this host's files. What is the "
		"default\n"
		"anyway is left out. On standard error: what could not be carried and why, and "
		"notes\n"
		"on what somebody may not expect. Nothing in the file is carried out. KINDs are "
		"told by\n"
		"what is in the file, or by --from:\n"
		"\n"
		"  command           a shell script with commands of Cloud Hypervisor or QEMU;\n"
		"                    variables that it sets are known\n"
		"  cloud-hypervisor  its VmConfig in JSON, as ch-remote info prints it, too\n"
		"  libvirt           XML of domains, as virsh dumpxml prints it\n"
		"  compose           a compose file with services of dockur/windows\n"
		"\n"
		"  --name VM       the name of the first VM; else what is read says it, or the "
		"file's name\n"
		"  --guest GUEST   windows, linux or other: what runs inside\n"
		"  -o FILE         write it there; with a directory in it, paths become absolute\n"
		"  --force         also over a file that is there\n"
		"  --json          a JSON object on standard output: vms[], notes[] and lost[] "
		"with vm,\n"
		"                  what and why\n"
		"  --no-host       do not look at disks to tell their formats: their names decide\n"
		"\n"
		"exit status: 0 all is carried; 1 nothing came of it; 2 something is not carried\n",
	.run = run,
};
