/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.h - what differs between two values (sill/config.h), by the rows.
 *
 * One difference is one key: its path, both values as a person would write them, and its row, which
 * knows what has to happen (row->effect). Entries of a list of maps are matched by the key that tells
 * them apart, so a path is "disk[data].cache"; an entry that only one side has is one difference, and
 * so is another order of those that both have.
 */
#ifndef SCHEMA_DIFF_H
#define SCHEMA_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "schema/key.h"
#include "sill/config.h"
#include "sill/error.h"

/* Texts are owned. NULL: there is none on this side. */
struct diff {
	char *path;
	char *before, *after;
	const struct key *row; /* borrowed */
	/* In @after, borrowed: the member, the entry that came, or the list that an entry has gone from; its struct. */
	const void *at, *owner;
	bool came; /* @at is an entry */
};

/* Public struct. */
struct diffs {
	struct diff *list; /* owned */
	size_t count, room;
};

/* 0 and @ret, zeroed by the caller, which is to be freed; or -1 and @e: no memory. */
int diff_make(const struct sill_config *before, const struct sill_config *after, struct diffs *ret,
	      struct sill_err *e);
void diff_free(struct diffs *d);

#endif
