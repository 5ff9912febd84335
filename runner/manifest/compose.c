/* SPDX-License-Identifier: Apache-2.0 */
/* compose.c - find the bases of a document and put them under it. */
#include "runner/manifest/compose.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/text.h"

struct compose_file {
	const char *path; /* without links: what tells files apart */
	struct source source;
	struct node *root; /* NULL: it is wrong, which was said */
};

/* The files that are being composed, the innermost first. */
struct chain {
	const struct chain *up;
	const struct compose_file *file;
	unsigned depth;
};

static struct node *no_memory(struct compose *c)
{
	c->no_memory = true;
	return NULL;
}

const char *compose_directory(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? arena_copy(a, ".", 1)
				  : arena_copy(a, path, slash == path ? 1 : (size_t)(slash - path));
	char full[PATH_MAX];

	if (dir == NULL || realpath(dir, full) == NULL)
		return dir;
	return strcmp(full, "/") == 0 ? "" : arena_copy(a, full, strlen(full));
}

bool compose_has_dollar(const struct src_text *src)
{
	return memmem(src->text, src->size, "${", 2) != NULL;
}

/* ---- copies: a base stands under more than one document ---- */

static struct node *copy(struct compose *c, const struct node *n)
{
	struct node *m = node_new(c->a, n->type, n->at);

	if (m == NULL)
		return no_memory(c);
	if (++c->nodes > COMPOSE_NODES)
		return NULL;
	*m = *n;
	m->keys = m->items = NULL;
	m->count = 0;
	for (size_t i = 0; i < n->count; i++) {
		struct node *key = n->keys != NULL ? copy(c, n->keys[i]) : NULL;
		struct node *item = copy(c, n->items[i]);

		if (item == NULL || (n->keys != NULL && key == NULL))
			return NULL;
		if (node_append(c->a, m, key, item) < 0)
			return no_memory(c);
	}
	return m;
}

/* ---- one base ---- */

/* @name as the file that has @at says it. */
static const char *beside(struct compose *c, struct mark at, const char *name)
{
	const char *here = at.src != NULL ? at.src->name : "", *slash = strrchr(here, '/');

	if (name[0] == '/' || slash == NULL)
		return arena_copy(c->a, name, strlen(name));
	return arena_printf(c->a, "%.*s/%s", (int)(slash - here), here, name);
}

static struct compose_file *find(const struct compose *c, const char *path)
{
	for (size_t i = 0; i < c->file_count; i++)
		if (strcmp(c->files[i]->path, path) == 0)
			return c->files[i];
	return NULL;
}

/* The text of the base that @n names into @f. -1: said at @n. */
static int read_text(struct compose *c, struct compose_file *f, const char *path,
		     const struct node *n)
{
	struct diags d = { 0 };
	const char *text;
	size_t size = 0;
	int ret;

	if (c->store == NULL) {
		ret = source_read_file(&f->source, path, c->a, &d);
	} else {
		text = c->store->text(c->store->ctx, path, &size);
		ret = text != NULL ? source_set(&f->source, path, text, size, c->a, &d) : -1;
	}
	if (ret < 0)
		(void)diag_add(c->d, n->at, "base", "'%s': %s", path,
			       d.count > 0 ? d.list[0].msg : "cannot open it: there is none");
	diags_fini(&d);
	c->bytes += f->source.src.size;
	if (ret == 0 && c->bytes > COMPOSE_BYTES) {
		(void)diag_add(c->d, n->at, "base", "more than %d MiB of bases",
			       COMPOSE_BYTES >> 20);
		return -1;
	}
	return ret;
}

/* Fill f->root. What is wrong is in the base; its first mistake leads to @n. */
static void parse(struct compose *c, struct compose_file *f, const struct node *n)
{
	struct source *s = &f->source;
	const size_t before = c->d->count;
	bool good = source_parse(s, c->a, c->d) == 0 && s->doc_count > 0;

	if (good && s->doc_count > 1)
		(void)diag_add(c->d, s->docs[1]->at, NULL, "%zu documents where a base has one",
			       s->doc_count);
	else if (good && s->docs[0]->type != NODE_MAP)
		(void)diag_add(c->d, s->docs[0]->at, NULL, "%s where a mapping is due",
			       node_what(s->docs[0]));
	good = good && c->d->count == before;
	if (!good && c->d->count > before && c->d->list[before].other.line == 0)
		diag_other(&c->d->list[before], n->at, "it is a base of this");
	if (good)
		f->root = s->docs[0];
	c->dollar |= compose_has_dollar(&s->src);
}

/* The base @n names, read; NULL: said. */
static struct compose_file *open_base(struct compose *c, const struct node *n)
{
	const char *path = beside(c, n->at, n->text);
	struct compose_file *f;
	char full[PATH_MAX];
	const char *id;

	if (path == NULL)
		return (void *)no_memory(c);
	id = c->store == NULL && realpath(path, full) != NULL ? full : path;
	f = find(c, id);
	if (f != NULL)
		return f;
	if (c->file_count == COMPOSE_FILES) {
		(void)diag_add(c->d, n->at, "base", "more than %d bases", COMPOSE_FILES);
		return NULL;
	}
	f = arena_alloc(c->a, sizeof(*f));
	if (f != NULL)
		f->path = arena_copy(c->a, id, strlen(id));
	if (f == NULL || f->path == NULL)
		return (void *)no_memory(c);
	if (read_text(c, f, path, n) < 0)
		return NULL;
	f->source.src.dir = compose_directory(c->a, path);
	if (f->source.src.dir == NULL)
		return (void *)no_memory(c);
	c->files[c->file_count++] = f;
	parse(c, f, n);
	return f;
}

/* ---- all of them ---- */

/* Does @f stand on itself? Said at @n. */
static bool is_loop(struct compose *c, const struct chain *chain, const struct compose_file *f,
		    const struct node *n)
{
	for (const struct chain *l = chain; l != NULL; l = l->up) {
		if (l->file != f)
			continue;
		diag_hint(diag_add(c->d, n->at, "base", "it is its own base%s",
				   l == chain ? "" : ", by way of others"),
			  "take this line out");
		return true;
	}
	if (chain->depth < COMPOSE_DEPTH)
		return false;
	(void)diag_add(c->d, n->at, "base", "bases of bases more than %d deep", COMPOSE_DEPTH);
	return true;
}

static struct node *resolve(struct compose *c, struct node *root, const struct chain *chain);

/* The base that @n names, with its own under it. */
static struct node *layer(struct compose *c, const struct node *n, const struct chain *chain)
{
	struct chain here = { .up = chain, .depth = chain->depth + 1 };
	struct compose_file *f;
	struct node *root;

	if (n->type != NODE_SCALAR || node_is_null(n) || n->len == 0 || strlen(n->text) != n->len) {
		diag_hint(diag_add(c->d, n->at, "base", "%s where a path is due",
				   n->type == NODE_SCALAR ? "nothing" : node_what(n)),
			  "for example base: ../bases/windows.yaml");
		return NULL;
	}
	if (strstr(n->text, "${") != NULL) {
		diag_hint(diag_add(c->d, n->at, "base", "a variable where there is none yet"),
			  "variables come from the bases, too: write the path out");
		return NULL;
	}
	f = open_base(c, n);
	if (f == NULL || f->root == NULL || is_loop(c, chain, f, n))
		return NULL;
	here.file = f;
	root = copy(c, f->root);
	if (root == NULL && !c->no_memory)
		(void)diag_add(c->d, n->at, "base", "more than %d values in the bases",
			       COMPOSE_NODES);
	return root != NULL ? resolve(c, root, &here) : NULL;
}

struct node *compose_take(struct compose *c, struct node *root, const char *name, bool *ret_bad)
{
	struct node *value = NULL;
	size_t to = 0;

	for (size_t i = 0; i < root->count; i++) {
		const struct node *key = root->keys[i];

		if (key->type != NODE_SCALAR || strcmp(key->text, name) != 0) {
			root->keys[to] = root->keys[i];
			root->items[to++] = root->items[i];
			continue;
		}
		if (value != NULL) {
			diag_other(diag_add(c->d, key->at, NULL, "'%s' is there twice", name),
				   value->key_at, "the other one");
			*ret_bad = true;
		}
		value = root->items[i];
		value->key_at = key->at;
	}
	root->count = to;
	return value;
}

static struct node *resolve(struct compose *c, struct node *root, const struct chain *chain)
{
	struct node one = { .count = 1 }, *under = NULL, *base;
	bool bad = false;

	base = compose_take(c, root, "base", &bad);
	if (base == NULL || bad)
		return bad ? NULL : root;
	one.items = &base;
	if (base->type == NODE_LIST) {
		one.items = base->items;
		one.count = base->count;
	}
	if (one.count == 0 || one.count > COMPOSE_LIST) {
		(void)diag_add(c->d, base->key_at, "base", "%zu entries: 1 to %d", one.count,
			       COMPOSE_LIST);
		return NULL;
	}
	for (size_t i = 0; i < one.count; i++) {
		struct node *n = layer(c, one.items[i], chain);

		if (n == NULL)
			return NULL;
		under = under == NULL ? n : compose_merge(c, &root_section, under, n);
		if (under == NULL)
			return no_memory(c);
	}
	root->key_at = base->key_at;
	return compose_merge(c, &root_section, under, root);
}

struct node *compose_document(struct compose *c, struct node *root)
{
	const struct chain top = { 0 };

	if (root->type != NODE_MAP)
		return root;
	root = resolve(c, root, &top);
	return root != NULL ? compose_vars(c, root) : NULL;
}
