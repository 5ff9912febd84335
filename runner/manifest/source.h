/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - a manifest's text and the trees in it.
 *
 * libyaml reads it, event by event; its marks become lines and columns in
 * bytes. Everything has a limit: a manifest is written by a person.
 */
#ifndef RUNNER_MANIFEST_SOURCE_H
#define RUNNER_MANIFEST_SOURCE_H

#include "runner/manifest/arena.h"
#include "runner/manifest/node.h"
#include "runner/report/diag.h"

enum {
	SOURCE_BYTES = 1 << 20, /* of a file */
	SOURCE_DEPTH = 16,      /* of nesting; the table needs 5 */
	SOURCE_NODES = 10000,   /* in a file, those that aliases stand for counted */
	SOURCE_TEXT = 8192,     /* bytes of one scalar */
	SOURCE_DOCS = 64,       /* in a file */
	SOURCE_ANCHORS = 64,    /* in a document */
};

/* Public struct. */
struct source {
	struct src_text src; /* text and name lie in the arena */
	struct node *docs[SOURCE_DOCS];
	size_t doc_count;
	size_t nodes;    /* in all of them */
	bool unreadable; /* what is in the file is not known: it could not be read */
};

/*
 * Read the file at @path, or what "-", /dev/stdin and /dev/fd/N stand for. 0, or -1 with the
 * mistake in @d. d->src is set to &s->src in any case. Nothing but a regular file is opened.
 */
int source_read(struct source *s, const char *path, struct arena *a, struct diags *d);

/* The same of a file alone: no name stands for a descriptor. */
int source_read_file(struct source *s, const char *path, struct arena *a, struct diags *d);

/* The same from memory. The text is copied. */
int source_set(struct source *s, const char *name, const char *text, size_t size, struct arena *a,
	       struct diags *d);

/*
 * Fill s->docs. 0, or -1 with the mistakes in @d: the documents before the
 * first one that is not YAML are there even then.
 */
int source_parse(struct source *s, struct arena *a, struct diags *d);

#endif
