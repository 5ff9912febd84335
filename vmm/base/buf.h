/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growing byte buffer with a mandatory maximum.
 *
 * Errors stick: once an append has failed (memory, or the maximum) the buffer
 * is "failed", later appends do nothing, and the user checks once at the end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* Caller-allocated. */
struct buf {
	uint8_t *data; /* owned */
	size_t size;   /* bytes used */
	size_t room;   /* bytes allocated */
	size_t max;    /* never more than this */
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_clear(struct buf *b);
/* All the memory it may ever need, now. -1: there is none. */
int buf_reserve(struct buf *b) MUST_CHECK;
/* Append @n bytes; returns their offset (0 when failed). @p may be NULL: zeroes. */
size_t buf_add(struct buf *b, const void *p, size_t n);
size_t buf_add8(struct buf *b, uint8_t v);
size_t buf_add16(struct buf *b, uint16_t v);
size_t buf_add32(struct buf *b, uint32_t v);
size_t buf_add64(struct buf *b, uint64_t v);
/* Append zeroes up to a multiple of @align. */
void buf_align(struct buf *b, size_t align);
/* Overwrite; the range must have been appended before (else the buffer fails). */
void buf_put(struct buf *b, size_t off, const void *p, size_t n);
/* Insert @n bytes at @off, moving the rest up. */
void buf_insert(struct buf *b, size_t off, const void *p, size_t n);

#endif
