/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - walk directories for manifests. */
#include "runner/cmd/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/report/text.h"

/* A directory that has been walked. */
struct visit {
	dev_t dev;
	ino_t ino;
	char *path; /* owned */
};

struct scan {
	const struct scan_sink *sink;
	void *visits; /* a tree of struct visit */
};

static void failed(const struct scan *s, const char *path, int err)
{
	s->sink->failed(s->sink->arg, path, strerrordesc_np(err));
}

static int compare(const void *a, const void *b)
{
	const struct visit *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

static void free_visit(void *p)
{
	struct visit *v = p;

	free(v->path);
	free(v);
}

/* Note the directory; true when it is to be walked: the first time it is met. */
static bool enter(struct scan *s, const char *path, const struct stat *st)
{
	struct visit *v = malloc(sizeof(*v)), **found = NULL;
	char why[320], clean[256];

	if (v != NULL) {
		*v = (struct visit){ .dev = st->st_dev, .ino = st->st_ino, .path = strdup(path) };
		found = v->path != NULL ? tsearch(v, &s->visits, compare) : NULL;
	}
	if (found != NULL && *found == v)
		return true;
	if (found == NULL) {
		failed(s, path, ENOMEM);
	} else {
		(void)snprintf(
			why, sizeof(why), "is '%s', which has been looked at",
			text_clean(clean, sizeof(clean), (*found)->path, strlen((*found)->path)));
		s->sink->skipped(s->sink->arg, path, why);
	}
	if (v != NULL)
		free_visit(v);
	return false;
}

static bool is_manifest(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL && dot != name &&
	       (strcasecmp(dot, ".yaml") == 0 || strcasecmp(dot, ".yml") == 0);
}

/* A directory bases/, or a file x.base.yaml: of other manifests, and none itself. */
static bool is_base(const char *name, bool directory)
{
	const char *dot = strrchr(name, '.');

	if (directory || dot == NULL)
		return directory && strcmp(name, "bases") == 0;
	return dot - name > 5 && strncasecmp(dot - 5, ".base", 5) == 0;
}

static int wanted(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static void walk(struct scan *s, const char *path);

/* @type: what readdir(3) says @full is. */
static void look_at(struct scan *s, const char *full, const char *name, unsigned char type)
{
	bool manifest = is_manifest(name), directory = type == DT_DIR;
	struct stat st;

	if (!directory && !manifest && type != DT_LNK && type != DT_UNKNOWN)
		return;
	if (type == DT_LNK || type == DT_UNKNOWN) {
		/* What a manifest is and cannot be is said by who opens it. */
		if (stat(full, &st) == 0)
			directory = S_ISDIR(st.st_mode);
		else if (!manifest)
			s->sink->skipped(s->sink->arg, full, "a link that leads nowhere");
	}
	if (!directory && !manifest)
		return;
	if (name[0] == '.')
		s->sink->skipped(s->sink->arg, full, "its name begins with '.'");
	else if (!s->sink->bases && is_base(name, directory))
		s->sink->skipped(s->sink->arg, full, "what other manifests stand on");
	else if (directory)
		walk(s, full);
	else
		s->sink->file(s->sink->arg, full);
}

/* The names in the directory @path, sorted; their number, or -1 when nothing is to be walked. */
static int list_names(struct scan *s, const char *path, struct dirent ***ret_list)
{
	/* With O_DIRECTORY, what is none is not opened. */
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC), n = -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		failed(s, path, errno);
	} else if (enter(s, path, &st)) {
		n = scandirat(fd, ".", ret_list, wanted, alphasort);
		if (n < 0)
			failed(s, path, errno);
	}
	if (fd >= 0)
		(void)close(fd);
	return n;
}

/* Paths have a length that the kernel takes, and so this has a depth. */
static void walk(struct scan *s, const char *path)
{
	const char *slash = path[strlen(path) - 1] == '/' ? "" : "/";
	struct dirent **list = NULL;
	int n = list_names(s, path, &list);

	for (int i = 0; i < n; i++) {
		char *full = NULL;

		if (asprintf(&full, "%s%s%s", path, slash, list[i]->d_name) < 0) {
			failed(s, path, ENOMEM);
		} else {
			look_at(s, full, list[i]->d_name, list[i]->d_type);
			free(full);
		}
		free(list[i]);
	}
	free(list);
}

void scan_manifests(const char *path, const struct scan_sink *sink)
{
	struct scan s = { .sink = sink };

	walk(&s, path);
	tdestroy(s.visits, free_visit);
}
