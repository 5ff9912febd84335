/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose.h - a document and what it stands on: its bases under it, what variables stand for.
 *
 * `base` names files, relative to the one that says it, of one document each, which may have bases of
 * their own. Layers are merged from the lowest up, later ones over earlier ones (merge.c). What comes
 * of it is one tree, in which every node still knows the file and the line it is from. A base's
 * relative paths begin at the base.
 */
#ifndef RUNNER_MANIFEST_COMPOSE_H
#define RUNNER_MANIFEST_COMPOSE_H

#include "runner/manifest/arena.h"
#include "runner/manifest/node.h"
#include "runner/manifest/source.h"
#include "runner/report/diag.h"

enum {
	COMPOSE_DEPTH = 8,       /* bases of bases */
	COMPOSE_LIST = 16,       /* entries of one `base` */
	COMPOSE_FILES = 32,      /* different bases of one file */
	COMPOSE_BYTES = 4 << 20, /* in all of them */
	COMPOSE_NODES = 50000,   /* values in all of them, each time that they are used */
	COMPOSE_UNUSED = 16,
	COMPOSE_SETS = 64, /* of --set that may be about one of several documents alone */
};

/* Where bases are had from, when that is not the host's files: tests. Public struct. */
struct compose_store {
	/* The text of @path, which stays; NULL: there is none. */
	const char *(*text)(const void *ctx, const char *path, size_t *ret_size);
	const void *ctx;
};

/* What several files know of each --set: one of them is to take it. Public struct, zeroed by its owner. */
struct compose_many {
	struct {
		bool missed, taken;
		char near[64]; /* what it may have meant; "": nothing */
	} sets[COMPOSE_SETS];
};

/* What the command line adds. Public struct. All borrowed, for as long as what is made of it. */
struct compose_extra {
	const struct src_text *files; /* of --var-file */
	size_t file_count;
	const char *const *sets; /* of --set, "NAME=VALUE" */
	size_t set_count;
	struct compose_many
		*many; /* of several files, for compose_many_end(); NULL: each has all of them */
};

/* A base that was read. */
struct compose_file;

/* Of one --set, in a file of several documents. Public struct. */
struct compose_set {
	const struct node *missed; /* its name, which a document does not know; NULL: none yet */
	const char *near;          /* what it may have meant there; NULL: nothing */
	bool taken;                /* by another document */
};

/* What is known while the documents of one file are composed. Public struct. */
struct compose {
	struct arena *a; /* borrowed, as the rest */
	struct diags *d;
	const struct compose_store *store; /* NULL: files */
	struct compose_file *files[COMPOSE_FILES];
	size_t file_count, bytes, nodes;
	const struct compose_extra *extra; /* NULL: nothing */
	bool several;                      /* documents */
	struct compose_set sets[COMPOSE_SETS];
	bool dollar;     /* "${" is somewhere in a text */
	size_t expanded; /* bytes that variables have made */
	/* The variables that a document has and nothing reads; the first few. */
	const struct node *unused[COMPOSE_UNUSED];
	unsigned unused_count;
	bool no_memory;
};

/*
 * @root, a document, with its bases under it and without variables; @root itself when it has neither. NULL: it cannot be had,
 * and that was said, unless c->no_memory.
 */
struct node *compose_document(struct compose *c, struct node *root);

/* vars.c, behind the last document: say which --set none of several has taken. */
void compose_end(struct compose *c);

/* vars.c, behind the last file: say which --set none of them has taken; @src[] has room for each, and lives as long as @d. */
void compose_many_end(const struct compose_extra *x, struct src_text *src, struct diags *d);

/* vars.c: @root with its variables in their places. NULL likewise. */
struct node *compose_vars(struct compose *c, struct node *root);

/* The value of @key, taken out of the mapping @root; NULL: there is none, or two, which was said. */
struct node *compose_take(struct compose *c, struct node *root, const char *key, bool *ret_bad);

/* merge.c: @over on top of @under, both mappings of @s (NULL: of no section). NULL: no memory. */
struct node *compose_merge(struct compose *c, const struct section *s, struct node *under,
			   struct node *over);

/* Is there a variable in it, or what looks like one? */
bool compose_has_dollar(const struct src_text *src);

/* The directory of @path, absolute and without links; falls back to the text itself. NULL: no memory. */
const char *compose_directory(struct arena *a, const char *path);

#endif
