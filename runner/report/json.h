/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - JSON for programs that read us. */
#ifndef RUNNER_REPORT_JSON_H
#define RUNNER_REPORT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* A JSON string of any bytes: what is not UTF-8 is escaped as text. */
json_t *json_text(const char *s);

/* Is the text @s in the array @list? */
bool json_has_text(const json_t *list, const char *s);

/* The map in the array @list of which @key is the text @is; borrowed. NULL: there is none. */
json_t *json_find(const json_t *list, const char *key, const char *is);

/* Print @take_root and a newline, two blanks per level, and let go of it. 0, or -1 (said on stderr). */
int json_print(FILE *f, json_t *take_root);

#endif
