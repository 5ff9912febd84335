/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - a document as the value that it describes (sill/config.h), and the way back: from a
 * member of the value to the node it was written in.
 *
 * Rules are about members; their mistakes have a place because of this. A member whose text is
 * wrong is zero, and so is one that was not written and has no default: both have no node that is
 * right, see place_ok().
 */
#ifndef RUNNER_MANIFEST_VALUE_H
#define RUNNER_MANIFEST_VALUE_H

#include "runner/manifest/node.h"
#include "sill/config.h"

struct check;

/* Public struct. All of it lies in the arena. */
struct places {
	struct place *slot; /* a hash table by member; at most half of it is used */
	size_t count, size;
};

/*
 * The value of @root, in the arena of @c; paths in it are absolute. c->places is filled. NULL: no
 * memory.
 */
struct sill_config *value_make(struct check *c, struct node *root);

/* For who fills in what was not written (defaults.c). */
/* @n, checked, is in a mapping from now on: the member by @row of that mapping's struct @p is what it says. */
void value_put(struct check *c, const struct key *row, struct node *n, char *p);
/* As place_map(). */
struct node *value_map(const struct check *c, const void *member);

/* The node of a text, number, switch or list, by the address of its member; NULL: there is none. */
const struct node *places_find(const struct places *p, const void *member);
/* The same of a mapping, by the address of its struct. */
const struct node *places_find_map(const struct places *p, const void *member);

/* The same in the document that is looked at. */
const struct node *place_at(const struct check *c, const void *member);
/* The same, but NULL also when what is written is wrong. */
const struct node *place_ok(const struct check *c, const void *member);
/* The node of a mapping: of a member that is a struct, of an entry of a list, of the value itself. */
const struct node *place_map(const struct check *c, const void *member);
#endif
