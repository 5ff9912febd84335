/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c - one tree over another.
 *
 *   mappings             by key; a short form under one is its long form
 *   lists with ids       (disk, net) by id; entries without one, and with a new one, are added; a
 *                        mapping in the list's place names entries by id
 *   anything else        the later one
 *   null                 takes away what is under it
 *
 * The nodes of both are used as they are. What is wrong in either stays in the result, for the
 * checker to say.
 */
#include <inttypes.h>
#include <string.h>

#include "runner/manifest/compose.h"

static struct node *no_memory(struct compose *c)
{
	c->no_memory = true;
	return NULL;
}

static struct node *append(struct compose *c, struct node *to, struct node *key, struct node *item)
{
	if (item == NULL || node_append(c->a, to, key, item) < 0)
		return no_memory(c);
	return item;
}

/* A node of @type where @n is. */
static struct node *in_place(struct compose *c, const struct node *n, enum node_type type)
{
	struct node *m = node_new(c->a, type, n->at);

	if (m == NULL)
		return no_memory(c);
	m->from = n->from;
	m->key_at = n->key_at;
	return m;
}

/* The word null of an enumeration is a value. */
static bool removes(const struct key *row, const struct node *n)
{
	if (!node_is_null(n))
		return false;
	if (row != NULL && row->short_key != NULL && row->kind == KIND_MAP)
		row = section_find(row->section, row->short_key);
	return row == NULL || row->kind != KIND_ENUM || strcmp(n->text, "null") != 0;
}

/* The long form of @n, which stands under a mapping of @row. */
static struct node *unfold(struct compose *c, const struct key *row, struct node *n)
{
	struct node *map, *key;

	if (row == NULL || row->short_key == NULL || n->type != NODE_SCALAR || node_is_null(n))
		return n;
	map = in_place(c, n, NODE_MAP);
	key = in_place(c, n, NODE_SCALAR);
	if (map == NULL || key == NULL)
		return no_memory(c);
	key->text = row->short_key;
	key->len = strlen(key->text);
	key->plain = true;
	return append(c, map, key, n) != NULL ? map : NULL;
}

/* ---- lists with ids ---- */

/* The id of the entry at @i as the VM will know it: what is written, or "disk0". */
static const char *id_of(struct compose *c, const struct key *row, const struct node *list,
			 size_t i)
{
	const struct node *id = node_find(list->items[i], row->match);

	if (id != NULL && id->type == NODE_SCALAR)
		return id->text;
	return arena_printf(c->a, "%s%zu", row->field.key, i);
}

/* Where the entry called @id is in @list; its count: nowhere. */
static size_t find_entry(struct compose *c, const struct key *row, const struct node *list,
			 const char *id)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *other = id_of(c, row, list, i);

		if (other == NULL)
			c->no_memory = true;
		else if (strcmp(other, id) == 0)
			return i;
	}
	return list->count;
}

/* A list with the entries of @under, which may be replaced. */
static struct node *entries(struct compose *c, const struct node *under, const struct node *over)
{
	struct node *list = in_place(c, over, NODE_LIST);

	for (size_t i = 0; list != NULL && i < under->count; i++)
		if (append(c, list, NULL, under->items[i]) == NULL)
			return NULL;
	return list;
}

/* An id that only its place has given it is written down before places change. */
static struct node *name_entry(struct compose *c, const struct key *row, struct node *list,
			       size_t i)
{
	struct node *e = unfold(c, row, list->items[i]), *key, *id;
	const char *text;

	if (e == NULL || e->type != NODE_MAP || node_find(e, row->match) != NULL)
		return e;
	text = id_of(c, row, list, i);
	key = in_place(c, e, NODE_SCALAR);
	id = in_place(c, e, NODE_SCALAR);
	if (text == NULL || key == NULL || id == NULL)
		return no_memory(c);
	key->text = row->match;
	key->len = strlen(key->text);
	key->plain = true;
	id->text = text;
	id->len = strlen(text);
	return append(c, e, key, id) != NULL ? e : NULL;
}

static struct node *merge_lists(struct compose *c, const struct key *row, const struct node *under,
				const struct node *over)
{
	struct node *list = entries(c, under, over);

	for (size_t i = 0; list != NULL && i < over->count; i++) {
		struct node *e = unfold(c, row, over->items[i]), *id, *both;
		size_t at = list->count;

		id = e != NULL ? node_find(e, row->match) : NULL;
		if (id != NULL && id->type == NODE_SCALAR)
			at = find_entry(c, row, under, id->text);
		if (e == NULL || (at >= under->count && append(c, list, NULL, e) == NULL))
			return NULL;
		if (at >= under->count)
			continue;
		both = unfold(c, row, list->items[at]);
		if (both != NULL && both->type == NODE_MAP && e->type == NODE_MAP)
			both = compose_merge(c, row->section, both, e);
		if (both == NULL)
			return NULL;
		list->items[at] = both;
	}
	return list;
}

static void say_no_entry(struct compose *c, const struct key *row, const struct node *list,
			 const struct node *key)
{
	struct diag *g = diag_add(c->d, key->at, row->field.key, "no entry with the %s '%s' here",
				  row->match, key->text);
	char all[160] = "";
	size_t used = 0;

	for (size_t i = 0; i < list->count && used < sizeof(all); i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? ", " : "",
					 id_of(c, row, list, i) != NULL ? id_of(c, row, list, i)
									: "");
	diag_hint(g, list->count > 0 ? "there is: %s" : "the list is empty%s", all);
}

/* @over names entries of the list by id: changes them, or takes them away. */
static struct node *change_entries(struct compose *c, const struct key *row,
				   const struct node *under, const struct node *over)
{
	struct node *list = entries(c, under, over), *left;

	for (size_t i = 0; list != NULL && i < list->count; i++) {
		list->items[i] = name_entry(c, row, list, i);
		if (list->items[i] == NULL)
			return NULL;
	}
	for (size_t i = 0; list != NULL && i < over->count; i++) {
		const size_t at = find_entry(c, row, list, over->keys[i]->text);
		struct node *e = over->items[i];

		if (at == list->count)
			say_no_entry(c, row, list, over->keys[i]);
		else if (removes(NULL, e))
			list->items[at] = e;
		else if (e->type == NODE_MAP && list->items[at]->type == NODE_MAP)
			list->items[at] = compose_merge(c, row->section, list->items[at], e);
		else
			(void)diag_add(c->d, e->at, row->field.key, "%s where a mapping is due",
				       node_what(e));
		if (at < list->count && list->items[at] == NULL)
			return NULL;
	}
	left = list != NULL ? in_place(c, over, NODE_LIST) : NULL;
	for (size_t i = 0; left != NULL && i < list->count; i++)
		if (!removes(NULL, list->items[i]) && append(c, left, NULL, list->items[i]) == NULL)
			return NULL;
	return left;
}

/* ---- mappings ---- */

static bool has_ids(const struct key *row)
{
	return row != NULL && row->kind == KIND_LIST && row->match != NULL;
}

static struct node *merge_value(struct compose *c, const struct key *row, struct node *under,
				struct node *over)
{
	const bool ids = has_ids(row);

	if (ids && under->type == NODE_LIST && over->type == NODE_LIST)
		return merge_lists(c, row, under, over);
	if (ids && under->type == NODE_LIST && over->type == NODE_MAP)
		return change_entries(c, row, under, over);
	if (over->type != NODE_MAP || (row != NULL && row->kind != KIND_MAP))
		return over;
	under = unfold(c, row, under);
	if (under == NULL || under->type != NODE_MAP)
		return under == NULL ? NULL : over;
	return compose_merge(c, row != NULL ? row->section : NULL, under, over);
}

static const struct key *row_of(const struct section *s, const struct node *key)
{
	return s != NULL && key->type == NODE_SCALAR ? section_find(s, key->text) : NULL;
}

/* The value of the key that is written as @key; NULL: none. */
static struct node *same(const struct node *map, const struct node *key)
{
	return key->type == NODE_SCALAR && strlen(key->text) == key->len ? node_find(map, key->text)
									 : NULL;
}

struct node *compose_merge(struct compose *c, const struct section *s, struct node *under,
			   struct node *over)
{
	struct node *map = in_place(c, over, NODE_MAP);
	const struct node none = { .type = NODE_LIST };

	for (size_t i = 0; map != NULL && i < over->count; i++) {
		struct node *key = over->keys[i], *value = over->items[i];
		struct node *below = same(under, key);

		if (below != NULL && removes(row_of(s, key), value))
			continue;
		if (below == NULL && has_ids(row_of(s, key)) && value->type == NODE_MAP &&
		    value->count > 0) {
			say_no_entry(c, row_of(s, key), &none, value->keys[0]);
			continue;
		}
		if (below != NULL)
			value = merge_value(c, row_of(s, key), below, value);
		if (append(c, map, key, value) == NULL)
			return NULL;
	}
	for (size_t i = 0; map != NULL && i < under->count; i++)
		if (same(over, under->keys[i]) == NULL &&
		    append(c, map, under->keys[i], under->items[i]) == NULL)
			return NULL;
	return map;
}
