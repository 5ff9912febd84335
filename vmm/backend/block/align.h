/* SPDX-License-Identifier: Apache-2.0 */
/*
 * align.h - O_DIRECT and requests that are not aligned.
 *
 * With O_DIRECT the kernel wants aligned offsets, lengths and memory, and the
 * guest does not: what is not aligned goes through one bounce buffer, in whole
 * blocks. A part of a block is then read, changed and written, and who writes
 * another part, or the whole, meanwhile would find it undone. So a write of
 * parts has its blocks to itself, from before it reads to after it has written.
 *
 * Most storage takes every sector, and no two requests ever share a block: then
 * writes cost nothing here. Where blocks are larger than sectors, every write
 * is a range in a set (range.h) while it is at work. The rule there: who holds
 * one is running or in the kernel, never in a pool's list, so every wait ends.
 */
#ifndef BACKEND_BLOCK_ALIGN_H
#define BACKEND_BLOCK_ALIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "backend/block/range.h"
#include "base/attr.h"

/* Caller-allocated; zeroed: O_DIRECT is not used, nothing needs anything. */
struct align {
	uint32_t mem, off; /* powers of two: of memory; of offsets and lengths */
	bool shares;       /* a block is more than a sector */
	struct lock lock;  /* RANK_IMAGE: bounce; held across its I/O */
	uint8_t *bounce;   /* owned */
	struct ranges at_work;
};

/* The whole of it, between @p and the file; 0 or an errno. Reads give zeroes behind the file's end. */
typedef int (*align_fn)(void *ctx, bool write, void *p, size_t n, uint64_t off);

/* What @fd asks of us. 0 or an errno; fini is due after success only. */
int align_init(struct align *a, int fd) MUST_CHECK;
void align_fini(struct align *a);

/* Does O_DIRECT take these as they are? */
bool align_fits(const struct align *a, const struct iovec *iov, int count, uint64_t off);
/* @n bytes from byte @skip of some vectors. */
struct align_part {
	const struct iovec *iov;
	int count;
	size_t skip, n;
};

/* The same of a part. */
bool align_fits_part(const struct align *a, struct align_part p, uint64_t off);

struct align_file {
	align_fn fn;
	void *ctx;
	bool write;
};

/* The part to the file, or from it, through the buffer. A write holds its range. */
int align_bounce(struct align *a, const struct align_file *f, struct align_part p,
		 uint64_t off) MUST_CHECK;
/* Bytes between a part and @flat; @flat NULL: zeroes to the part. */
void align_copy(struct align_part p, uint8_t *flat, bool to_flat);

/* @n bytes at @off change, in whatever way. Without waiting. False: somebody is in the way. */
bool align_try(struct align *a, struct range *r, uint64_t off, uint64_t n) MUST_CHECK;
void align_take(struct align *a, struct range *r, uint64_t off, uint64_t n);
void align_drop(struct align *a, struct range *r);

/* Tests only, while nothing is open: no blocks smaller than that. */
extern uint32_t align_floor;

#endif
