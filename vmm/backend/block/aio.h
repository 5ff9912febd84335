/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aio.h - reads, writes and syncs of host files that do not block the thread
 * that asks for them. One aio for each I/O thread, on that thread's loop.
 *
 * Two engines behind one interface. io_uring: what is submitted between
 * aio_plug() and aio_unplug() goes to the kernel in one call, and what is done
 * by then is reaped without another. Threads, where io_uring cannot be had
 * (an old kernel, a sysctl, a seccomp filter): each operation is a job of the
 * pool. Work that io_uring has no operation for, or that computes, is a job in
 * either engine (AIO_CALL).
 *
 * An operation is part of what asks for it: nothing is allocated, copied or
 * locked for one. What the kernel did not do in one go is continued, reads and
 * writes that were interrupted begin again. done() comes once for each
 * submitted operation, on the loop's thread; it may submit more. An aio ends
 * when all is done. What nobody wants any more (quit) is not begun, and not
 * continued: a large operation goes to the kernel in pieces for that.
 */
#ifndef BACKEND_BLOCK_AIO_H
#define BACKEND_BLOCK_AIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/err.h"
#include "core/pool.h"
#include "sill/config.h"

struct aio;
struct loop;

enum aio_kind {
	AIO_READ,
	AIO_WRITE,
	AIO_SYNC, /* fdatasync() */
	AIO_CALL, /* call(), on a thread of the pool */
};

/*
 * What is known of a file: whether reading or writing a little of it costs no
 * more than a copy, so that the thread that asks has done it before it could
 * have told another one to. Files in memory, for which io_uring has nothing but
 * threads; and writes into the page cache of ext4, likewise, until one of them
 * has turned out to be slow.
 */
struct aio_pace {
	bool memory;
	bool cached_writes;
	/* Atomic: so many writes go the long way; so many will after the next slow one. */
	unsigned detour, penalty;
};

void aio_pace_init(struct aio_pace *p, int fd, bool direct);

/* Caller-allocated; what is not private is set anew before each aio_submit(). */
struct aio_op {
	enum aio_kind kind;
	int fd;                /* borrowed */
	struct aio_pace *pace; /* borrowed: the file's; or NULL */
	int flags;             /* WRITE: 0 or RWF_DSYNC */
	bool zero_tail;        /* READ: beyond the end of the file there are zeroes, not EIO */
	int count;
	const struct iovec *iov; /* borrowed until done(); holds at least a byte */
	uint64_t off;
	int (*call)(struct aio_op *op); /* CALL: 0 or an errno */
	const bool *quit; /* borrowed, atomic; true: ECANCELED instead of the next piece; or NULL */
	void (*done)(struct aio_op *op, int err);

	/* private */
	struct aio *aio;
	struct aio_op *next;
	struct pool_job job;
	struct iovec rest; /* of the vector that was done in part; before iov */
	unsigned tries;
	int result;
};

struct aio_config {
	struct loop *loop; /* borrowed, outlives the aio */
	struct pool *pool; /* borrowed; destroyed before the aio, so that no job is half over */
	enum sill_disk_io engine; /* AUTO: io_uring, or threads where there is none */
	unsigned depth;           /* the most operations at a time; up to 4096 */
	/* On the loop's thread, after the done()s of what was reaped at once. May be NULL. */
	void (*batch)(void *ctx);
	void *ctx;
};

/* With SILL_IO_URING the lack of io_uring is an error. May wait for the loop's thread. */
struct aio *aio_create(const struct aio_config *c, struct sill_err *e) MUST_CHECK;
void aio_destroy(struct aio *a); /* accepts NULL; nothing is in flight; may wait for the loop */
bool aio_is_uring(const struct aio *a);

/*
 * On the loop's thread, with no lock held. Without a plug an operation starts
 * at once. done() comes from the loop or from aio_unplug(); of an operation
 * with a pace, from here as well.
 */
void aio_submit(struct aio *a, struct aio_op *op);
void aio_plug(struct aio *a);
/* The last one starts what was held back; calls done() for what is done then, not batch(). */
void aio_unplug(struct aio *a);
/* Inside done()s that batch() will follow? */
bool aio_in_batch(const struct aio *a);

/* The same on this thread, blocking. Returns 0 or an errno; done is not called. */
int aio_perform(struct aio_op *op) MUST_CHECK;

#endif
