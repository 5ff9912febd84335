/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish.c - a manifest that a reader has put together, made right and short.
 *
 * Both are done by asking: what is said to be wrong is taken out until nothing is, and what the manifest says
 * as well without is left out.
 */
#include "runner/import/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/api/plain.h"
#include "runner/manifest/emit.h"
#include "runner/manifest/manifest.h"
#include "runner/report/text.h"

struct work {
	struct import *im;
	json_t *m;    /* borrowed */
	json_t *want; /* owned: the value as it is with everything in it; NULL: none yet */
	const char *dir;
	unsigned tries;
};

static struct mfile *load(struct work *w)
{
	char *text = json_dumps(w->m, JSON_INDENT(1));
	struct mfile *f = text != NULL ? mfile_load_text("import", text, strlen(text), NULL) : NULL;

	free(text);
	if (f == NULL)
		(void)import_fail(w->im, "no memory for the manifest");
	return f;
}

/* ---- what is wrong ---- */

/* Take what is at @path, "disk[1].path", out of @o. False: it is not there. */
static bool drop(json_t *o, const char *path)
{
	const size_t len = strcspn(path, ".[");
	char key[64], *end;
	json_t *v;

	if (len == 0 || len >= sizeof(key))
		return false;
	(void)snprintf(key, sizeof(key), "%.*s", (int)len, path);
	v = json_object_get(o, key);
	path += len;
	if (v != NULL && *path == '[') {
		const unsigned long i = strtoul(path + 1, &end, 10);

		if (*end != ']' || i >= json_array_size(v))
			return false;
		if (end[1] == '\0')
			return json_array_remove(v, i) == 0;
		return drop(json_array_get(v, i), end + 2);
	}
	if (v == NULL || *path == '\0')
		return v != NULL && json_object_del(o, key) == 0;
	return drop(v, path + 1);
}

/* Take out what @g blames, or what that is in. */
static bool drop_blamed(struct work *w, const struct diag *g)
{
	char path[DIAG_PATH], *dot;

	(void)snprintf(path, sizeof(path), "%s", g->path);
	while (path[0] != '\0' && strcmp(path, "name") != 0 && strcmp(path, "sill") != 0) {
		if (drop(w->m, path)) {
			import_lost(w->im, path, "%s", g->msg);
			return true;
		}
		dot = strrchr(path, '.');
		*(dot != NULL ? dot : path) = '\0';
	}
	return false;
}

/* A manifest that is right; NULL: im->err. */
static struct mfile *make_right(struct work *w)
{
	for (unsigned i = 0; i < IMPORT_TRIES; i++) {
		struct mfile *f = load(w);

		if (f == NULL || f->diags.total == 0)
			return f;
		if (f->diags.count == 0 || !drop_blamed(w, &f->diags.list[0])) {
			(void)import_fail(w->im, "no manifest can be made of it: %.200s",
					  f->diags.count > 0 ? f->diags.list[0].msg : "");
			mfile_destroy(f);
			return NULL;
		}
		mfile_destroy(f);
	}
	(void)import_fail(w->im, "no manifest can be made of it");
	return NULL;
}

/* ---- paths ---- */

/* The value at @path of @m is @text. */
static void replace(json_t *o, const char *path, const char *text)
{
	const size_t len = strcspn(path, ".[");
	char key[64], *end;
	json_t *v;

	(void)snprintf(key, sizeof(key), "%.*s", (int)len, path);
	if (path[len] == '\0') {
		(void)json_object_set_new(o, key, json_string(text));
		return;
	}
	v = json_object_get(o, key);
	if (path[len] == '[') {
		v = json_array_get(v, strtoul(path + len + 1, &end, 10));
		replace(v, end + 2, text);
	} else {
		replace(v, path + len + 1, text);
	}
}

/* All of a reader's paths: "~" is what a shell makes a directory of, and nobody here. With w->dir they become absolute. */
static void take_paths(struct work *w, const struct node *n)
{
	char *text;

	for (size_t i = 0; i < n->count; i++)
		take_paths(w, n->items[i]);
	if (n->type != NODE_SCALAR || n->implied || n->row == NULL || !node_is_path(n) ||
	    n->text[0] == '/')
		return;
	if (n->text[0] == '~') {
		import_lost(w->im, n->path, "'%.200s': write out the directory that '~' stands for",
			    n->text);
		return;
	}
	if (w->dir == NULL)
		return;
	text = arena_printf(&w->im->a, "%s/%s", w->dir, n->text);
	if (text != NULL)
		replace(w->m, n->path, text);
}

/* ---- what is the default ---- */

/* Is the VM the same without what was taken out? */
static bool is_same(struct work *w)
{
	struct mfile *f;
	json_t *now;
	bool same;

	if (w->tries++ >= IMPORT_TRIES)
		return false;
	f = load(w);
	if (f == NULL)
		return false;
	now = f->diags.total == 0 ? plain_json(&root_section, f->docs[0].value) : NULL;
	same = now != NULL && json_equal(now, w->want);
	json_decref(now);
	mfile_destroy(f);
	return same;
}

/* Leave out of @o what makes no difference. */
static void shorten(struct work *w, json_t *o)
{
	json_t *all = json_copy(o);
	const char *key;
	json_t *v;

	json_object_foreach(all, key, v)
	{
		(void)json_object_del(o, key);
		if (is_same(w))
			continue;
		(void)json_object_set(o, key, v);
		if (json_is_object(v))
			shorten(w, v);
		for (size_t i = 0; i < json_array_size(v); i++)
			if (json_is_object(json_array_get(v, i)))
				shorten(w, json_array_get(v, i));
	}
	json_decref(all);
}

/* ---- all of it ---- */

static char *write_text(struct work *w, struct mfile *f, json_t **ret_json)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool ok = out != NULL && emit_yaml(out, &f->check, f->docs[0].root, EMIT_WRITTEN) == 0;

	if (out != NULL)
		ok &= fclose(out) == 0;
	if (ok && ret_json != NULL) {
		*ret_json = emit_json(&f->check, f->docs[0].root, EMIT_WRITTEN);
		ok = *ret_json != NULL;
	}
	if (ok)
		return text;
	(void)import_fail(w->im, "no memory for the manifest");
	free(text);
	return NULL;
}

char *import_finish(struct import *im, size_t i, const char *dir, json_t **ret_json)
{
	struct work w = { .im = im, .m = json_array_get(im->vms, i), .dir = dir };
	struct mfile *f;
	char *text;

	im->about = w.m;
	f = make_right(&w);
	if (f == NULL)
		return NULL;
	take_paths(&w, f->docs[0].root);
	if (dir != NULL) {
		mfile_destroy(f);
		f = make_right(&w);
	}
	if (f == NULL)
		return NULL;
	w.want = plain_json(&root_section, f->docs[0].value);
	mfile_destroy(f);
	shorten(&w, w.m);
	json_decref(w.want);
	f = make_right(&w);
	text = f != NULL ? write_text(&w, f, ret_json) : NULL;
	mfile_destroy(f);
	return text;
}
