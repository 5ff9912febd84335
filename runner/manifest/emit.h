/* SPDX-License-Identifier: Apache-2.0 */
/* emit.h - write a checked document: for people and for programs. */
#ifndef RUNNER_MANIFEST_EMIT_H
#define RUNNER_MANIFEST_EMIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "runner/manifest/check.h"

enum emit_style {
	EMIT_WRITTEN,   /* what was written, in the table's order */
	EMIT_EFFECTIVE, /* with defaults, and paths that are good from anywhere */
};

/* The document as YAML. @c is for its arena and directory. 0, or -1 (I/O, no memory). */
int emit_yaml(FILE *f, struct check *c, const struct node *root, enum emit_style style);

/* The same, effective, with a comment behind each value: the line it is from, or that it is a default. */
int emit_origins(FILE *f, struct check *c, const struct node *root);

/* The document as JSON; the caller owns it. NULL without memory. */
json_t *emit_json(struct check *c, const struct node *root, enum emit_style style);

/* One checked value as JSON, as it was written. NULL without memory. */
json_t *emit_value_json(struct check *c, const struct node *n);

/* Text that every YAML reader, 1.1 or 1.2, takes for text without quotes. */
bool emit_is_plain(const char *s);

#endif
