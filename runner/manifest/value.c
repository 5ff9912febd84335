/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - from nodes to the value, by the offsets in the rows.
 *
 * The values come from what the checker understood (node.num), not from the
 * text.
 */
#include "runner/manifest/value.h"

#include "runner/manifest/check.h"
#include "schema/key.h"

struct place {
	const void *member;
	bool map; /* a struct and its first member have one address */
	struct node *n;
};

/* Where (@member, @map) is in the table, or would be. */
static struct place *slot_of(const struct places *p, const void *member, bool map)
{
	const uint64_t hash = ((uint64_t)(uintptr_t)member * 2 + map) * 0x9e3779b97f4a7c15ull;
	size_t at = (size_t)(hash >> 32) & (p->size - 1);

	while (p->slot[at].n != NULL && (p->slot[at].member != member || p->slot[at].map != map))
		at = (at + 1) & (p->size - 1);
	return &p->slot[at];
}

static bool grow(struct check *c)
{
	const struct places old = c->places;
	struct places *p = &c->places;

	p->size = old.size == 0 ? 256 : 2 * old.size;
	p->slot = arena_alloc(c->a, p->size * sizeof(*p->slot));
	if (p->slot == NULL) {
		*p = (struct places){ 0 };
		c->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < old.size; i++) {
		if (old.slot[i].n != NULL)
			*slot_of(p, old.slot[i].member, old.slot[i].map) = old.slot[i];
	}
	return true;
}

static void add_place(struct check *c, const void *member, bool map, struct node *n)
{
	struct places *p = &c->places;

	if (c->no_memory || (2 * p->count >= p->size && !grow(c)))
		return;
	*slot_of(p, member, map) = (struct place){ member, map, n };
	p->count++;
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

void value_put(struct check *c, const struct key *row, struct node *n, char *p)
{
	char *at = p + row->field.data_offset;

	if (c->no_memory)
		return;
	add_place(c, at, row->kind == KIND_MAP, n);
	if (row->kind == KIND_MAP)
		fill_map(c, row->section, n, at);
	else if (row->kind != KIND_LIST)
		fill_scalar(c, n, at);
	else if (n->type == NODE_LIST)
		fill_list(c, row, n, p);
}

static void fill_map(struct check *c, const struct section *s, const struct node *map, char *p)
{
	for (size_t i = 0; map->type == NODE_MAP && i < s->count; i++) {
		struct node *n = node_find(map, s->keys[i].field.key);

		if (n != NULL)
			value_put(c, &s->keys[i], n, p);
	}
}

struct sill_config *value_make(struct check *c, struct node *root)
{
	struct sill_config *v = arena_alloc(c->a, sizeof(*v));

	c->places = (struct places){ 0 };
	if (v == NULL) {
		c->no_memory = true;
		return NULL;
	}
	add_place(c, v, true, root);
	fill_map(c, &root_section, root, (char *)v);
	return c->no_memory ? NULL : v;
}

static struct node *find(const struct places *p, const void *member, bool map)
{
	return p->size > 0 ? slot_of(p, member, map)->n : NULL;
}

const struct node *places_find(const struct places *p, const void *member)
{
	return find(p, member, false);
}

const struct node *places_find_map(const struct places *p, const void *member)
{
	return find(p, member, true);
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

struct node *value_map(const struct check *c, const void *member)
{
	return find(&c->places, member, true);
}
