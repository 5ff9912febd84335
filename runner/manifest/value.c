/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - from nodes to the value, by the offsets in the rows.
 *
 * The values come from what the checker understood (node.num), not from the
 * text.
 */
#include "runner/manifest/value.h"

#include <stdlib.h>
#include <string.h>

#include "runner/manifest/check.h"
#include "schema/key.h"

struct place {
	const void *member;
	bool map; /* a struct and its first member have one address */
	const struct node *n;
};

static int compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->member != y->member)
		return (uintptr_t)x->member < (uintptr_t)y->member ? -1 : 1;
	return (int)x->map - (int)y->map;
}

static void add_place(struct check *c, const void *member, bool map, const struct node *n)
{
	struct places *p = &c->places;
	const size_t room = p->room == 0 ? 128 : 2 * p->room;
	struct place *more;

	if (p->count == p->room) {
		more = arena_alloc(c->a, room * sizeof(*more));
		if (more == NULL) {
			c->no_memory = true;
			return;
		}
		if (p->count > 0)
			memcpy(more, p->list, p->count * sizeof(*more));
		p->list = more;
		p->room = room;
	}
	p->list[p->count++] = (struct place){ member, map, n };
}

static void fill_scalar(struct check *c, const struct node *n, void *at)
{
	const char *text;

	if (n->type != NODE_SCALAR || !n->ok)
		return;
	if (!kind_is_text(n->row->kind)) {
		key_set_number(n->row, at, n->num);
		return;
	}
	text = node_is_path(n) ? check_path(c, n) : n->text;
	c->no_memory |= text == NULL;
	*(const char **)at = text;
}

static void fill_map(struct check *c, const struct section *s, const struct node *map, char *p);

static void fill_list(struct check *c, const struct key *row, const struct node *n, char *p)
{
	const size_t size = key_entry_size(row);
	char *list = n->count > 0 ? arena_alloc(c->a, n->count * size) : NULL;

	if (list == NULL) {
		c->no_memory |= n->count > 0;
		return;
	}
	*(void **)(p + row->field.data_offset) = list;
	*(unsigned *)(p + row->field.count_offset) = (unsigned)n->count;
	for (size_t i = 0; i < n->count; i++) {
		add_place(c, list + i * size, row->item == NULL, n->items[i]);
		if (row->item != NULL)
			fill_scalar(c, n->items[i], list + i * size);
		else
			fill_map(c, row->section, n->items[i], list + i * size);
	}
}

static void fill_map(struct check *c, const struct section *s, const struct node *map, char *p)
{
	for (size_t i = 0; map->type == NODE_MAP && i < s->count; i++) {
		const struct key *row = &s->keys[i];
		const struct node *n = node_find(map, row->field.key);
		char *at = p + row->field.data_offset;

		if (n == NULL || c->no_memory)
			continue;
		add_place(c, at, row->kind == KIND_MAP, n);
		if (row->kind == KIND_MAP)
			fill_map(c, row->section, n, at);
		else if (row->kind != KIND_LIST)
			fill_scalar(c, n, at);
		else if (n->type == NODE_LIST)
			fill_list(c, row, n, p);
	}
}

struct sill_config *value_make(struct check *c, const struct node *root)
{
	struct sill_config *v = arena_alloc(c->a, sizeof(*v));

	c->places = (struct places){ 0 };
	if (v == NULL) {
		c->no_memory = true;
		return NULL;
	}
	add_place(c, v, true, root);
	fill_map(c, &root_section, root, (char *)v);
	if (c->places.count > 0)
		qsort(c->places.list, c->places.count, sizeof(*c->places.list), compare);
	return c->no_memory ? NULL : v;
}

static const struct node *find(const struct places *p, const void *member, bool map)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		const struct place *at = &p->list[mid];

		if (at->member == member && at->map == map)
			return at->n;
		if ((uintptr_t)at->member < (uintptr_t)member ||
		    (at->member == member && at->map < map))
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct node *place_at(const struct check *c, const void *member)
{
	return find(&c->places, member, false);
}

const struct node *place_ok(const struct check *c, const void *member)
{
	const struct node *n = find(&c->places, member, false);

	return n != NULL && n->ok ? n : NULL;
}

const struct node *place_map(const struct check *c, const void *member)
{
	return find(&c->places, member, true);
}
