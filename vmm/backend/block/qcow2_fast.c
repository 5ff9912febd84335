/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_fast.c - requests that need nothing but one transfer, on the thread of
 * the queue's loop: whole runs of data that are where they are to stay, found
 * in tables that are in memory. Everything else, and everything when the
 * metadata are busy, is left to the pool.
 *
 * The rules of qcow2_data.c hold: a range from the lookup to the end of the
 * I/O. Two more keep the pool's threads from waiting for each other in a
 * circle: this thread never waits for a range, and no request sits in the
 * pool's list with one. What holds a range is running, or in the kernel.
 */
#include <assert.h>
#include <errno.h>

#include "backend/block/qcow2.h"

enum {
	SPINS = 64,             /* the lock is held for less than a microsecond, or for I/O */
	FILL_MAX = 1024 * 1024, /* zeroes that are written into memory right here */
};

/* In the request, until it is done. */
struct fast {
	struct range range;
	bool held;
};
_Static_assert(sizeof(struct fast) <= BLK_OWN_SIZE, "a request has no room for its range");

static struct blk_req *from_io(struct aio_op *op)
{
	return (struct blk_req *)(void *)((char *)op - offsetof(struct blk_req, io));
}

static struct fast *fast_of(struct blk_req *r)
{
	return (struct fast *)(void *)r->own;
}

/* Without sleeping. The one who holds it may be reading a table. */
static bool take_soon(struct qcow2 *q) TRY_ACQUIRES(true, q->lock)
{
	for (unsigned i = 0; i < SPINS; i++) {
		if (lock_try(&q->lock))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/* What [off, off + n) is, if it is one run whose table is in memory. */
static bool lookup(struct qcow2 *q, uint64_t off, uint64_t n, struct qcow2_map *m) REQUIRES(q->lock)
{
	return qcow2_map_is_cached(q, off) && qcow2_map(q, off, n, m) == 0 && m->length == n;
}

static void let_go(struct qcow2 *q, struct blk_req *r)
{
	if (fast_of(r)->held)
		range_drop(&q->ranges, &fast_of(r)->range);
}

/* ---- completions -------------------------------------------------------- */

static void on_read(struct aio_op *op, int err)
{
	struct blk_req *r = from_io(op);

	let_go(r->blk->state, r);
	r->done(r, err);
}

static int commit_now(struct blk *b, const struct blk_req *r)
{
	(void)r;
	return qcow2_flush(b->state);
}

static void on_written(struct aio_op *op, int err)
{
	struct blk_req *r = from_io(op);

	let_go(r->blk->state, r);
	/* The guest may have switched to write-through meanwhile. */
	if (err == 0 && !__atomic_load_n(&r->blk->writeback, __ATOMIC_ACQUIRE))
		blk_execute(r->blk, r, commit_now);
	else
		r->done(r, err);
}

static void on_synced(struct aio_op *op, int err)
{
	struct blk_req *r = from_io(op);
	struct qcow2 *q = r->blk->state;

	/* First, so that whoever waits for the end finds the image as it is now. */
	if (err != 0)
		qcow2_barrier_failed(q, err);
	syncs_end(&q->file.syncs, err);
	r->done(r, err);
}

/* ---- starts ------------------------------------------------------------- */

/* Can the kernel take the request's vectors as they are, at @off of @f? */
static bool fits(const struct qcow2_file *f, const struct blk_req *r, uint64_t off)
{
	return f->io == &qcow2_io_real && off <= INT64_MAX - r->length &&
	       (!f->direct || align_fits(&f->align, r->iov, r->iov_count, off));
}

static void transfer(struct blk_req *r, struct qcow2_file *f, uint64_t off)
{
	const bool write = r->op == BLK_WRITE;

	r->io = (struct aio_op){ .kind = write ? AIO_WRITE : AIO_READ,
				 .fd = f->fd,
				 .pace = &f->pace,
				 .zero_tail = !write,
				 .iov = r->iov,
				 .count = r->iov_count,
				 .off = off,
				 .quit = &r->blk->gives_up,
				 .done = write ? on_written : on_read };
	aio_submit(r->aio, &r->io);
}

/* Below the image: whole runs in images that nobody writes. @f NULL: zeroes. */
static bool find_below(struct qcow2 *q, const struct blk_req *r, struct qcow2_file **f,
		       uint64_t *ret_off)
{
	struct qcow2_map m = { .kind = QCOW2_UNALLOCATED };

	while (m.kind == QCOW2_UNALLOCATED) {
		bool found;

		if (q->base == NULL || r->offset >= q->base->capacity) {
			*f = NULL;
			return true;
		}
		if (r->length > q->base->capacity - r->offset || !q->base->readonly)
			return false;
		if (q->backing == NULL) {
			*f = &q->backing_file;
			*ret_off = r->offset;
			return true;
		}
		q = q->backing;
		if (!take_soon(q))
			return false;
		found = lookup(q, r->offset, r->length, &m);
		lock_drop(&q->lock);
		if (!found)
			return false;
	}
	*f = m.kind == QCOW2_DATA ? q->data_file : NULL;
	*ret_off = m.host;
	return m.kind != QCOW2_PACKED;
}

static bool start_read(struct qcow2 *q, struct blk_req *r)
{
	struct fast *x = fast_of(r);
	struct qcow2_file *f = NULL;
	struct qcow2_map m;
	bool found;

	if (!take_soon(q))
		return false;
	found = lookup(q, r->offset, r->length, &m);
	if (found && !q->b->readonly) /* nothing changes when nobody writes */
		found = x->held = range_try(&q->ranges, &x->range);
	lock_drop(&q->lock);
	if (!found)
		return false;
	if (m.kind == QCOW2_UNALLOCATED)
		found = find_below(q, r, &f, &m.host);
	else if (m.kind == QCOW2_DATA)
		f = q->data_file;
	else
		found = m.kind == QCOW2_ZEROES;
	found = found && (f != NULL ? fits(f, r, m.host) : r->length <= FILL_MAX);
	if (!found) {
		let_go(q, r);
		return false;
	}
	if (f != NULL) {
		transfer(r, f, m.host);
		return true;
	}
	qcow2_iov_fill(r->iov, r->iov_count, 0, NULL, (size_t)r->length);
	let_go(q, r);
	r->done(r, 0);
	return true;
}

static bool start_write(struct qcow2 *q, struct blk_req *r)
{
	struct fast *x = fast_of(r);
	struct qcow2_map m;

	if (!__atomic_load_n(&r->blk->writeback, __ATOMIC_ACQUIRE) || !take_soon(q))
		return false;
	x->held = qcow2_writes_as_it_is(q) && lookup(q, r->offset, r->length, &m) &&
		  m.kind == QCOW2_DATA && m.in_place && qcow2_check_overlap(q, &m) == 0 &&
		  fits(q->data_file, r, m.host) && range_try(&q->ranges, &x->range);
	lock_drop(&q->lock);
	if (x->held)
		transfer(r, q->data_file, m.host);
	return x->held;
}

/*
 * A flush of data only: all tables are as they are in the file. With io_uring only: a sync that is a
 * job is at work only when it runs, and those that wait for it may have all threads.
 */
static bool start_flush(struct qcow2 *q, struct blk_req *r)
{
	bool clean;

	if (q->data_file != &q->file || q->file.io != &qcow2_io_real || !take_soon(q))
		return false;
	/* Under the lock: a commit that begins now waits for this one, and hears how it ends. */
	clean = qcow2_is_clean(q) && syncs_try(&q->file.syncs);
	lock_drop(&q->lock);
	if (!clean)
		return false;
	r->io = (struct aio_op){ .kind = AIO_SYNC, .fd = q->file.fd, .done = on_synced };
	aio_submit(r->aio, &r->io);
	return true;
}

bool qcow2_start(struct qcow2 *q, struct blk_req *r)
{
	struct fast *x = fast_of(r);

	if (r->op == BLK_FLUSH)
		return !q->b->readonly && start_flush(q, r);
	if ((r->op != BLK_READ && r->op != BLK_WRITE) || r->length == 0 ||
	    (r->op == BLK_WRITE && q->b->readonly))
		return false;
	*x = (struct fast){ .range = { .first = r->offset >> q->cluster_bits,
				       .last = (r->offset + r->length - 1) >> q->cluster_bits } };
	return r->op == BLK_READ ? start_read(q, r) : start_write(q, r);
}
