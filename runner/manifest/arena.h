/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that is freed all at once.
 *
 * A manifest is many small things with one lifetime: the file's. The arena has
 * a limit, so that a hostile file costs a known amount.
 */
#ifndef RUNNER_MANIFEST_ARENA_H
#define RUNNER_MANIFEST_ARENA_H

#include <stddef.h>

#include "sill/error.h"

/* Public struct, zero-initialised by its owner. */
struct arena {
	struct arena_block *blocks; /* owned */
	size_t used;                /* bytes given out */
	unsigned fail_after;        /* tests: the n-th allocation fails; 0: none */
	unsigned count;             /* allocations so far */
};

enum { ARENA_LIMIT = 64 << 20 };

/* Zeroed memory, or NULL (no memory, limit, a test's wish). */
void *arena_alloc(struct arena *a, size_t n);
char *arena_copy(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) SILL_PRINTF(2, 3);

/* "@a.@b" of paths; @b when @a is empty. */
const char *arena_join(struct arena *arena, const char *a, const char *b);

/* Room for one more in an array of @count pointers; returns the array, moved or not, or NULL. */
void **arena_grow(struct arena *a, void **list, size_t count);

void arena_fini(struct arena *a);

#endif
