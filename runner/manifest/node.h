/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - a document as a tree in which every value knows its place.
 *
 * Aliases are gone: each stands for a copy of what it names. So a node belongs
 * to one key, and what the checker learns about it can be kept in it.
 */
#ifndef RUNNER_MANIFEST_NODE_H
#define RUNNER_MANIFEST_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/manifest/arena.h"
#include "runner/report/diag.h"
#include "schema/key.h"

enum node_type { NODE_SCALAR, NODE_MAP, NODE_LIST };

/* Public struct. All pointers lie in the document's arena. */
struct node {
	enum node_type type;
	struct mark at;   /* of the alias, where one stands for it */
	struct mark from; /* then, of a variable, of a group's: where it is written; line 0: here */

	/* Scalars. */
	const char *text; /* NUL-terminated; may hold NULs before @len, which the checker refuses */
	size_t len;
	bool plain;   /* written without quotes, not as a block */
	bool untyped; /* said on the command line: a number and text look alike there */
	bool var;     /* what `from` has is a variable's value, not an anchor's */

	/* Maps: keys[i] (scalars) and items[i]. Lists: items[i]. */
	struct node **keys;
	struct node **items;
	size_t count;

	/* Set by the checker. */
	const struct key *row; /* NULL: the document itself, or not known to the table; of a key:
				  what an unknown one was likely meant to be */
	const char *path;      /* "disk[1].path"; "" for the document */
	struct mark key_at;    /* where its key is; the value's place for entries of lists */
	uint64_t num;          /* UINT, SIZE, BOOL, ENUM: the value */
	bool ok;               /* right by its row, and so are all in it */
	bool implied; /* not written here: a default, or what another of its group states */
};

struct node *node_new(struct arena *a, enum node_type type, struct mark at);

/* The line that says its value: of a variable, where that is given; of a group's, where one of it states that. */
struct mark node_origin(const struct node *n);

/* 0, or -1 without memory. */
int node_append(struct arena *a, struct node *n, struct node *key, struct node *item);

/* The value of @key in a map, or NULL. */
struct node *node_find(const struct node *map, const char *key);

/* The node at a path such as "cpus.boot", or NULL. */
struct node *node_at(const struct node *root, const char *path);

/* As node_at(), but NULL also when the value is wrong. */
struct node *node_ok(const struct node *root, const char *path);

/* Is it a path of the host's, and not a word that may stand instead? */
bool node_is_path(const struct node *n);

/* An empty value, ~ or null, without quotes. */
bool node_is_null(const struct node *n);

/* "a mapping", "a list", "nothing", "text" ... for messages. */
const char *node_what(const struct node *n);

#endif
