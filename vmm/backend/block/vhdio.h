/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdio.h - the system calls under the VHD and VHDX formats.
 *
 * Each call ends in a table that a test may replace, so that every one of them
 * can be made to fail, and writes that were not synced can be dropped. All
 * functions return 0 or an errno. Any thread.
 */
#ifndef BACKEND_BLOCK_VHDIO_H
#define BACKEND_BLOCK_VHDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/err.h"

struct blk;
struct blk_req;

struct vhdio_calls {
	ssize_t (*preadv)(int fd, const struct iovec *iov, int count, off_t off);
	ssize_t (*pwritev)(int fd, const struct iovec *iov, int count, off_t off);
	int (*fdatasync)(int fd);
	int (*ftruncate)(int fd, off_t size);
	int (*fallocate)(int fd, int mode, off_t off, off_t length);
};

extern const struct vhdio_calls vhdio_host;
/* Tests only: changed while no image is open. */
extern const struct vhdio_calls *vhdio_calls;

/* A place in the vectors of a request. Caller-allocated. */
struct vhdio_cursor {
	const struct iovec *iov; /* borrowed */
	int count;
	size_t skip; /* bytes of iov[0] that are done */
};

void vhdio_cursor_init(struct vhdio_cursor *c, const struct blk_req *r);
/* Put @n bytes of zero at the cursor and move it on. */
void vhdio_cursor_zero(struct vhdio_cursor *c, uint64_t n);

/* What of a request lies in one block. */
struct vhdio_piece {
	uint32_t block, skip;
	uint64_t n;
};

/* The first of @left bytes at @off. */
static inline struct vhdio_piece vhdio_piece_at(uint32_t block_size, uint64_t off, uint64_t left)
{
	const uint32_t skip = (uint32_t)(off % block_size), room = block_size - skip;

	return (struct vhdio_piece){ .block = (uint32_t)(off / block_size),
				     .skip = skip,
				     .n = room < left ? room : left };
}

/* @n bytes between the cursor, which moves on, and the file. */
int vhdio_xfer(int fd, bool write, struct vhdio_cursor *c, uint64_t off, uint64_t n) MUST_CHECK;
int vhdio_read(int fd, void *p, size_t n, uint64_t off) MUST_CHECK;
int vhdio_write(int fd, const void *p, size_t n, uint64_t off) MUST_CHECK;
int vhdio_sync(int fd) MUST_CHECK;
int vhdio_truncate(int fd, uint64_t size) MUST_CHECK;
/* Free the space of a range, which then reads as zeroes. EOPNOTSUPP: nothing happened. */
int vhdio_punch(int fd, uint64_t off, uint64_t n) MUST_CHECK;
/* Zero a range, whatever the host can do; @unmap: its space may be freed. */
int vhdio_zero(int fd, uint64_t off, uint64_t n, bool unmap) MUST_CHECK;

/*
 * A table of up to @max bytes that grows while others read it: it stays where it
 * is. Only address space is taken for what is not used yet. Caller-allocated.
 */
struct vhdio_table {
	void *mem; /* owned: mapped */
	size_t size, max;
};

int vhdio_table_init(struct vhdio_table *t, size_t max) MUST_CHECK;
void vhdio_table_fini(struct vhdio_table *t); /* accepts a zeroed one */
/* At least @size bytes, at most the table's most; new ones are zero. */
int vhdio_table_grow(struct vhdio_table *t, size_t size) MUST_CHECK;

/*
 * What both formats ask of the file: a regular one, no O_DIRECT (it is turned
 * off with a warning: their structures are not aligned to blocks). Sets
 * @ret_size, b->phys_size and b->can_discard.
 */
int vhdio_prepare(struct blk *b, uint64_t *ret_size, struct sill_err *e) MUST_CHECK;
/* "disk 'x': <what>: <errno text>"; returns -1. */
int vhdio_fail(struct blk *b, int err, const char *what, struct sill_err *e);
/* What is wrong with an image; returns -1. */
int vhdio_damaged(struct blk *b, struct sill_err *e, const char *what);
/* Sound, but beyond us: "disk 'x' @what"; likewise. */
int vhdio_unsupported(struct blk *b, struct sill_err *e, const char *what);

uint32_t vhdio_crc(uint32_t crc, const void *p, size_t n); /* CRC-32C; begin with 0 */

#endif
