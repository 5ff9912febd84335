/* SPDX-License-Identifier: Apache-2.0 */
/* head.h - the files of a snapshot by name, and its head as JSON. */
#ifndef RUNNER_SNAPSHOT_HEAD_H
#define RUNNER_SNAPSHOT_HEAD_H

#include <jansson.h>
#include <stddef.h>

#include "sill/error.h"

#define HEAD_FILE   "snapshot.json"
#define HEAD_CONFIG "config.json"
#define HEAD_STATE  "state"
#define HEAD_MEMORY "memory"

/* Of the directory @dir, of a format that we know; the caller owns it. NULL and @e. */
json_t *head_read(int dir, struct sill_err *e);
/* A whole file of at most @max bytes, terminated; the caller owns it. NULL and @e. */
char *head_read_file(int dir, const char *name, size_t max, size_t *ret_size, struct sill_err *e);

#endif
