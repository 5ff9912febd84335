/* SPDX-License-Identifier: Apache-2.0 */
/* describe.h - the table for people and for editors. */
#ifndef RUNNER_MANIFEST_DESCRIBE_H
#define RUNNER_MANIFEST_DESCRIBE_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "schema/key.h"

enum { DESCRIBE_PATH = 96 };

/* The row at a path such as "cpus.topology.packages" or "disk[0].id"; NULL when there is none. */
const struct key *describe_find(const char *path, char ret_clean[DESCRIBE_PATH]);

/* "number, 1 to 254 vCPUs". */
const char *describe_type(char *dst, size_t size, const struct key *row);

/* "`tty`", "`off`, `on` with guest: windows", "none" ...; @tick goes around what is to be written. */
const char *describe_default(char *dst, size_t size, const struct key *row, const char *tick);

/* All there is to say about one key. */
void describe_key(FILE *f, const char *path, const struct key *row);
void describe_front(FILE *f, const struct front_key *k);

/* The same without the keys that are in it. */
void describe_own(FILE *f, const char *path, const struct key *row);

/* The keys of a section and below, one line each. */
void describe_tree(FILE *f, const struct section *s, int depth);

/* Call @fn for every row, sections before what is in them; path as describe_find() takes it. */
void describe_each(void (*fn)(void *ctx, const char *path, const struct key *row), void *ctx);

/* docs/MANIFEST.md. */
void describe_manual(FILE *f);

/* JSON Schema 2020-12; the caller owns it. NULL without memory. */
json_t *describe_json_schema(void);

/*
 * A value as it would be written behind "key:" as JSON, by the row's own rules.
 * NULL when it is not right; the first mistake is then in @ret_why, if not NULL.
 */
json_t *describe_value(const struct key *row, const char *text, char *ret_why, size_t size);

#endif
