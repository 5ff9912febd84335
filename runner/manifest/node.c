/* SPDX-License-Identifier: Apache-2.0 */
/* node.c - build and search the tree. */
#include "runner/manifest/node.h"

#include <string.h>

struct node *node_new(struct arena *a, enum node_type type, struct mark at)
{
	struct node *n = arena_alloc(a, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->type = type;
	n->at = at;
	n->text = "";
	n->path = "";
	return n;
}

struct mark node_origin(const struct node *n)
{
	return (n->var || n->implied) && n->from.line > 0 ? n->from : n->at;
}

int node_append(struct arena *a, struct node *n, struct node *key, struct node *item)
{
	void **items = arena_grow(a, (void **)n->items, n->count);

	if (items == NULL)
		return -1;
	n->items = (struct node **)items;
	if (key != NULL) {
		void **keys = arena_grow(a, (void **)n->keys, n->count);

		if (keys == NULL)
			return -1;
		n->keys = (struct node **)keys;
		n->keys[n->count] = key;
	}
	n->items[n->count++] = item;
	return 0;
}

static struct node *find(const struct node *map, const char *key, size_t len)
{
	if (map == NULL || map->type != NODE_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++) {
		const struct node *k = map->keys[i];

		if (k->type == NODE_SCALAR && k->len == len && memcmp(k->text, key, len) == 0)
			return map->items[i];
	}
	return NULL;
}

struct node *node_find(const struct node *map, const char *key)
{
	return find(map, key, strlen(key));
}

struct node *node_at(const struct node *root, const char *path)
{
	struct node *n = NULL;

	for (;;) {
		size_t len = strcspn(path, ".");

		n = find(root, path, len);
		if (n == NULL || path[len] == '\0')
			return n;
		root = n;
		path += len + 1;
	}
}

struct node *node_ok(const struct node *root, const char *path)
{
	struct node *n = node_at(root, path);

	return n != NULL && n->ok ? n : NULL;
}

bool node_is_path(const struct node *n)
{
	enum kind k = n->row->kind;

	return k == KIND_FILE_READ || k == KIND_FILE_WRITE ||
	       (k == KIND_PATH && !key_is_word(n->row, n->text));
}

bool node_is_null(const struct node *n)
{
	static const char *const spelled[] = { "", "~", "null", "Null", "NULL" };

	if (n->type != NODE_SCALAR || !n->plain)
		return false;
	for (size_t i = 0; i < sizeof(spelled) / sizeof(spelled[0]); i++) {
		if (n->len == strlen(spelled[i]) && strcmp(n->text, spelled[i]) == 0)
			return true;
	}
	return false;
}

const char *node_what(const struct node *n)
{
	switch (n->type) {
	case NODE_MAP:
		return "a mapping";
	case NODE_LIST:
		return "a list";
	case NODE_SCALAR:
		break;
	}
	return node_is_null(n) ? "nothing" : "a single value";
}
