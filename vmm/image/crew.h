/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew.h - several threads go over a disk, piece by piece.
 *
 * A cursor hands out pieces in rising order; whoever has one visits it. The calling
 * thread is one of them; the others live no longer than the call. look() is called
 * under the crew's lock, visit() without it, on any of the threads.
 */
#ifndef IMAGE_CREW_H
#define IMAGE_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/error.h"

enum { CREW_PIECE = 1024 * 1024 }; /* stays in the processor's cache between two visits */

struct crew_piece {
	uint64_t off, length; /* length > 0 */
	unsigned kind;        /* the caller's */
};

/* What a thread has for itself. */
struct crew_hand {
	uint8_t *buf; /* c->buffer bytes, of whole pages */
	void *tool;   /* what tool_make() made */
};

struct crew {
	uint64_t size;    /* of the disk */
	size_t buffer;    /* bytes */
	unsigned workers; /* threads, at most 8; 0: as the host has processors for */
	/* The piece at @at, which may reach beyond the size; 1: it is to be visited, 0: it is not, or -1. */
	int (*look)(void *ctx, uint64_t at, struct crew_piece *ret, struct sill_err *e);
	/* 0, 1: enough, no more pieces are handed out, or -1. */
	int (*visit)(void *ctx, const struct crew_hand *h, const struct crew_piece *p,
		     struct sill_err *e);
	/* For each thread; NULL: they need none. It returns NULL when there is no memory. */
	void *(*tool_make)(void *ctx);
	void (*tool_drop)(void *tool);
	void *ctx;
	/* Now and then, on the calling thread; false: give up. May be NULL. */
	bool (*progress)(void *ctx, uint64_t done, uint64_t size);
	void *progress_ctx;
};

/* 0 when all was visited, or enough; -1 and the first error. */
int crew_run(const struct crew *c, struct sill_err *e);

#endif
