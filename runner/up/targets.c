/* SPDX-License-Identifier: Apache-2.0 */
/* targets.c - see targets.h. */
#include "runner/up/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/cmd/open.h"
#include "runner/cmd/scan.h"
#include "runner/report/text.h"
#include "runner/up/keeper.h"
#include "runner/up/record.h"

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool ends_in(const char *text, const char *end)
{
	const size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

/* Is it a file or a directory rather than the name of a VM? A bare word that is both is the VM: "./web" is the file. */
static bool is_path(const char *operand)
{
	struct rundir_vm vm;
	struct stat st;
	bool runs;

	if (strchr(operand, '/') != NULL || ends_in(operand, ".yaml") || ends_in(operand, ".yml"))
		return true;
	return stat(operand, &st) == 0 && !rundir_look(operand, &vm, &runs);
}

static char *absolute(const char *path)
{
	char full[PATH_MAX];

	return strdup(realpath(path, full) != NULL ? full : path);
}

/* Room for a file more, and all of its VMs. */
static int make_room(struct targets *t, size_t vms)
{
	struct target *list = realloc(t->list, (t->count + vms) * sizeof(*list));
	const size_t room = t->room == 0 ? 8 : 2 * t->room;
	struct mfile **files;
	char **paths;

	if (list == NULL)
		return -1;
	t->list = list;
	if (t->file_count < t->room)
		return 0;
	files = realloc(t->files, room * sizeof(*files));
	if (files != NULL)
		t->files = files;
	paths = realloc(t->paths, 2 * room * sizeof(*paths));
	if (paths != NULL)
		t->paths = paths;
	if (files == NULL || paths == NULL)
		return -1;
	t->room = room;
	return 0;
}

static const struct target *find(const struct targets *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->list[i].doc->m->name, name) == 0)
			return &t->list[i];
	return NULL;
}

static int worse(int a, int b)
{
	return a == CMD_MANIFEST || b == CMD_DONE ? a : b;
}

/* One name is one VM, also in a directory. */
static int add_doc(struct targets *t, struct mfile *mf, const struct mdoc *doc, const char *file)
{
	const struct target *other = find(t, doc->m->name);

	if (other != NULL) {
		text_say(stderr, "sill: two VMs are named '%s': in '%s' and in '%s'", doc->m->name,
			 other->file, file);
		return CMD_MANIFEST;
	}
	t->list[t->count++] = (struct target){ mf, doc, file };
	return CMD_DONE;
}

/* Takes @mf. */
static int add_file(struct targets *t, const char *path, const char *name, struct mfile *mf)
{
	char *given = strdup(path), *full = absolute(path);
	int status = CMD_DONE;

	if (given == NULL || full == NULL || make_room(t, mf->count) < 0) {
		free(given);
		free(full);
		mfile_destroy(mf);
		t->any = true;
		text_say(stderr, "sill: no memory");
		return CMD_FAILED;
	}
	t->files[t->file_count] = mf;
	t->paths[2 * t->file_count] = given;
	t->paths[2 * t->file_count + 1] = full;
	t->file_count++;
	for (size_t i = 0; i < mf->count; i++)
		if (name == NULL || strcmp(mf->docs[i].m->name, name) == 0)
			status = worse(status, add_doc(t, mf, &mf->docs[i], full));
	return status;
}

/* A regular file's text, which the caller owns, without NULs. NULL: it cannot be had. */
static char *read_text(const char *path)
{
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char *text = NULL;
	struct stat st;
	ssize_t n = -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SOURCE_BYTES)
		text = malloc((size_t)st.st_size + 1);
	if (text != NULL)
		n = read(fd, text, (size_t)st.st_size);
	if (fd >= 0)
		(void)close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text[n] = '\0';
	return text;
}

/* Which VMs it is about is not known: its text is kept, and what is in that. */
static void add_wrong(struct targets *t, const char *path)
{
	char *text = read_text(path), **more = NULL;

	if (text != NULL)
		more = realloc(t->wrong, (t->wrong_count + 1) * sizeof(*more));
	if (more == NULL) {
		free(text);
		t->any = true;
		return;
	}
	t->wrong = more;
	t->wrong[t->wrong_count++] = text;
}

/* A walk of a directory. */
struct walk {
	struct targets *t;
	int status;
};

static void on_file(void *arg, const char *path)
{
	struct walk *w = arg;
	struct mfile *mf = NULL;
	int status = cmd_open(path, NULL, true, &mf);

	if (status == CMD_DONE)
		status = add_file(w->t, path, NULL, mf);
	else
		add_wrong(w->t, path);
	w->status = worse(w->status, status);
}

static void on_skipped(void *arg, const char *path, const char *why)
{
	(void)arg;
	text_say(stderr, "sill: %s: skipped: %s", path, why);
}

static void on_failed(void *arg, const char *path, const char *why)
{
	struct walk *w = arg;

	text_say(stderr, "sill: %s: %s", path, why);
	w->t->any = true;
	w->status = worse(w->status, CMD_FAILED);
}

static int open_directory(const char *path, struct targets *t)
{
	struct walk w = { .t = t };
	const struct scan_sink sink = {
		.arg = &w, .file = on_file, .skipped = on_skipped, .failed = on_failed
	};

	t->directory = absolute(path);
	open_many();
	scan_manifests(path, &sink);
	if (open_many_end(NULL) == 0)
		return w.status;
	/* What was wanted of all of them is not known. */
	t->count = 0;
	t->any = true;
	return CMD_MANIFEST;
}

int targets_open(const char *operand, const char *name, struct targets *ret)
{
	struct mfile *mf;
	int status;

	if (is_directory(operand) && name != NULL) {
		text_say(stderr, "sill: --name is of a file; '%s' is a directory", operand);
		return CMD_FAILED;
	}
	if (is_directory(operand))
		return open_directory(operand, ret);
	status = cmd_open(operand, name, true, &mf);
	return status == CMD_DONE ? add_file(ret, operand, name, mf) : status;
}

int targets_open_wanted(const struct rundir_vm *vm, struct targets *ret)
{
	char path[RUNDIR_PATH + 16];
	size_t n = 0;
	char *text = rundir_read(vm, "wanted.json", &n);
	struct mfile *mf;
	int status;

	(void)snprintf(path, sizeof(path), "%s/wanted.json", vm->path);
	if (text == NULL) {
		text_say(stderr, "sill: %s: cannot be read", path);
		return CMD_FAILED;
	}
	status = cmd_open_text(path, text, n, &mf);
	free(text);
	return status == CMD_DONE ? add_file(ret, path, NULL, mf) : status;
}

void targets_fini(struct targets *t)
{
	for (size_t i = 0; i < t->file_count; i++) {
		mfile_destroy(t->files[i]);
		free(t->paths[2 * i]);
		free(t->paths[2 * i + 1]);
	}
	for (size_t i = 0; i < t->wrong_count; i++)
		free(t->wrong[i]);
	free(t->wrong);
	free(t->files);
	free(t->paths);
	free(t->list);
	free(t->directory);
	*t = (struct targets){ 0 };
}

int targets_names(const char *operand, const char *name, int (*fn)(void *ctx, const char *name),
		  void *ctx)
{
	struct targets t = { 0 };
	int status;

	if (!is_path(operand) && name != NULL) {
		text_say(stderr, "sill: --name is of a file; '%s' is the name of a VM", operand);
		return CMD_FAILED;
	}
	if (!is_path(operand))
		return fn(ctx, operand);
	status = targets_open(operand, name, &t);
	if (status == CMD_DONE && t.count == 0) {
		text_say(stderr, "sill: '%s' has no VM: no *.yaml and no *.yml in it", operand);
		status = CMD_FAILED;
	}
	for (size_t i = 0; i < t.count; i++)
		status = worse(status, fn(ctx, t.list[i].doc->m->name));
	targets_fini(&t);
	return status;
}

/* ---- VMs whose manifest has gone ---- */

struct gone {
	const struct targets *t;
	void (*fn)(void *ctx, const struct rundir_vm *vm, const char *file);
	void *ctx;
};

/* Nothing there any more, or read, and right; and what is wrong has not its name. */
static bool says_nothing(const struct targets *t, const char *name, const char *file)
{
	struct stat st;

	if (t->any)
		return false;
	for (size_t i = 0; i < t->wrong_count; i++)
		if (strstr(t->wrong[i], name) != NULL)
			return false;
	for (size_t i = 0; i < t->file_count; i++)
		if (strcmp(t->paths[2 * i + 1], file) == 0)
			return true;
	return stat(file, &st) < 0 && errno == ENOENT;
}

static void look_at(void *ctx, const struct rundir_vm *vm, bool runs)
{
	const struct gone *g = ctx;
	json_t *record = runs || keeper_of(vm->name) != 0 ? record_read(vm) : NULL;
	const char *dir = record_text(record, "directory"), *file = record_text(record, "file");

	if (dir != NULL && file != NULL && strcmp(dir, g->t->directory) == 0 &&
	    find(g->t, vm->name) == NULL && says_nothing(g->t, vm->name, file))
		g->fn(g->ctx, vm, file);
	json_decref(record);
}

void targets_gone(const struct targets *t,
		  void (*fn)(void *ctx, const struct rundir_vm *vm, const char *file), void *ctx)
{
	struct gone g = { t, fn, ctx };

	if (t->directory != NULL)
		rundir_each(look_at, &g);
}
