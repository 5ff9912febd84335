/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.h - a disk image as the device sees it: sectors in, sectors out.
 *
 * Requests are the device's slots; submit() cannot fail, the outcome arrives
 * in r->done(). Offsets and lengths are bytes, multiples of 512, and have been
 * checked against the capacity by the caller.
 *
 * With an aio, submit() is called on its loop's thread and does not block on
 * storage; done() comes on that thread, and may come before submit() returns.
 * Without one, the work is done on the calling thread, and done() comes before
 * submit() returns. Any number of threads either way.
 */
#ifndef BACKEND_BLOCK_BLOCK_H
#define BACKEND_BLOCK_BLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "backend/block/aio.h"
#include "base/attr.h"
#include "base/err.h"

struct blk;
struct blk_req;
struct loop;

/* A request's work as one call; 0 or an errno. */
typedef int (*blk_fn)(struct blk *b, const struct blk_req *r);

enum { BLK_OWN_SIZE = 64 };

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_WRITE_ZEROES };

struct blk_req {
	enum blk_op op;
	uint64_t offset;         /* bytes */
	uint64_t length;         /* bytes; the sum of iov for reads and writes */
	const struct iovec *iov; /* borrowed until done(); spans of guest memory */
	int iov_count;
	bool unmap;        /* WRITE_ZEROES may deallocate */
	struct loop *loop; /* borrowed: the queue's; done() comes on its thread */
	struct aio *aio;   /* borrowed: on that loop; NULL: block */
	/* status: 0, or an errno (EIO, ENOSPC ...); ECANCELED: blk_abandon() */
	void (*done)(struct blk_req *r, int status);

	uint64_t zeroes_written; /* in done(): bytes that DISCARD or WRITE_ZEROES had to write */

	/* The image's, from submit() to done(). */
	struct blk *blk;
	struct aio_op io;
	blk_fn fn;
	_Alignas(8) unsigned char own[BLK_OWN_SIZE]; /* the format's */
};

/* What a run of the disk is, by one image alone. */
enum blk_kind {
	BLK_ABSENT,
	BLK_ZEROES,
	BLK_DATA,
	BLK_LOST, /* only with `salvage`: a table is damaged that would tell; reading there fails */
};

struct blk_status {
	enum blk_kind kind; /* ABSENT: what is below counts; without that it is zeroes */
	uint64_t length;    /* how far that goes; at least a sector */
	bool packed;        /* DATA that is compressed */
	bool has_place;
	uint64_t place; /* in the file; ZEROES and ABSENT may have one too, which nobody reads */
};

struct blk_ops {
	const char *format;
	size_t state_size;
	int (*open)(struct blk *b, struct sill_err *e); /* b->fd is open; sets b->capacity */
	void (*submit)(struct blk *b, struct blk_req *r);
	/* 0 or an errno. [off, off + n) lies in the disk and n > 0. Any thread, but no loop's: it waits. */
	int (*status)(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret);
	/*
	 * Make the disk @bytes large, or what the file has room for now when @bytes is 0; optional.
	 * Under b->resizing, on any thread but a loop's: it may wait. Requests may be in flight.
	 * Returns the new size, not less than the old one, in @ret; the caller makes it known.
	 */
	int (*resize)(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e);
	/* Nothing is in flight any more; the fd is closed by blk_close(). 0, or why not all is on the medium. */
	int (*close)(struct blk *b);
};

struct blk_config {
	int fd;           /* taken by blk_open(), even on failure */
	const char *path; /* borrowed for the call: messages */
	bool readonly;
	bool direct; /* O_DIRECT: unaligned requests are bounced */
	bool salvage; /* with readonly: open what is damaged as well, as far as anything is known of it */
	bool quiet; /* failures that are returned are not logged too: who gets them tells the person */
	uint64_t
		max_file; /* bytes; the file does not grow beyond that, ENOSPC instead; 0: no limit */
	/* Both taken, also on failure; NULL when the image has none. For formats that can. */
	struct blk *backing; /* what the image was made on top of */
	struct blk *data;    /* raw: an external data file */
};

struct blk {
	const struct blk_ops *ops; /* NULL until it is open */
	const char *format;        /* ops->format, from the beginning */
	void *state;               /* owned */
	int fd;                    /* owned */
	char *path;                /* owned copy */
	struct blk *backing;       /* owned, or NULL */
	struct blk *data;          /* owned, or NULL */
	uint64_t capacity;         /* bytes, multiple of 512; atomic once it is open: it may grow */
	uint32_t block_size;       /* logical, 512 now */
	uint32_t phys_size; /* physical block size the host reports, 512..64 KiB, power of two */
	bool readonly;
	bool direct;
	bool quiet;
	bool salvage;
	uint64_t max_file;
	bool can_discard; /* DISCARD and WRITE_ZEROES punch holes */
	bool writeback;   /* atomic; false: a write is done when it is on the medium */
	bool gives_up;    /* atomic */
	uint32_t unit;    /* what is given up only as a whole, power of two; 0: nothing is */
	pthread_mutex_t resizing;
	uint64_t data_from, data_to; /* atomic each; raw_status.c: a run of data in the file */
};

static inline uint64_t blk_capacity(const struct blk *b)
{
	return __atomic_load_n(&b->capacity, __ATOMIC_ACQUIRE);
}

struct blk *blk_open(const struct blk_ops *ops, const struct blk_config *c, struct sill_err *e);
/* Accepts NULL. Flushes: 0, or the errno of what is not on the medium, here or below. */
int blk_close(struct blk *b);
void blk_submit(struct blk *b, struct blk_req *r);
/*
 * Nobody waits for what is in flight any more (true), or again somebody will (false). What has not begun
 * ends with ECANCELED, and so does what is large after its next piece, of 2 MiB for reads and writes, of
 * at most 64 MiB else. Flushes go on. Any thread.
 */
void blk_abandon(struct blk *b, bool yes);
/* For formats: @n bytes of zeroes were written because the host has no other way. Where fn() is called. */
void blk_wrote_zeroes(uint64_t n);
/* With nothing in flight: what was written is on the medium, tables too. It waits. 0 or an errno. */
int blk_sync(struct blk *b) MUST_CHECK;
/* See blk_ops. The disk never shrinks; a size it has already is no error. */
int blk_resize(struct blk *b, uint64_t bytes, struct sill_err *e) MUST_CHECK;

/*
 * Is there a hole at @off of the file of @b, and how far does that go, in whole sectors? What the host
 * does not tell is none. @off is a multiple of 512. Any thread; it may wait for the file system.
 */
bool blk_is_hole(struct blk *b, uint64_t off, uint64_t n, uint64_t *ret_n);

int raw_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret);

/* For formats: @fn on a thread of the pool, or right here without an aio; then done(). */
void blk_execute(struct blk *b, struct blk_req *r, blk_fn fn);

extern const struct blk_ops blk_raw_ops;
extern const struct blk_ops blk_vhd_ops;
extern const struct blk_ops blk_vhdx_ops;
extern const struct blk_ops blk_qcow2_ops;

#endif
