/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_grow.c - a larger disk, also while requests go on.
 *
 *	1  the L1 table gets more entries, all zero
 *	2  what is not zero between the old end and the new one is cleared
 *	3  the header has the new size; then the guest learns of it
 *
 * Each is on the medium before the next begins. The table grows where it is as
 * long as its last cluster has room: with clusters of 64 KiB that is 4 TiB. Else
 * it is written anew to free clusters, counted before, and the header changes
 * over, one sector that holds both the place and the length; then the old
 * one's clusters are free. A table longer than the disk needs does no harm, so
 * 1 and 3 need not happen together.
 *
 * Behind the old end may be the rest of the last cluster, what an image below
 * has there, or clusters that a former attempt has left; and in a raw data
 * file whatever that has. While they are cleared they belong to the disk in
 * the tables' eyes (q->size), but not yet in the guest's (b->capacity).
 *
 * When something fails the disk has its old size. Of the new table nothing but
 * leaked clusters can be left.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/qcow2.h"

enum { AT_SIZE = 24, AT_L1_SIZE = 36, AT_L1_OFFSET = 40 };

#define DATA_STEP (1ull << 30) /* zeroes in a data file, a request */

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static int refuse(const struct qcow2 *q, struct sill_err *e, enum sill_err_code code,
		  const char *why)
{
	return sill_err_set(e, code, "qcow2 image '%s' cannot grow: %s", q->b->path, why);
}

static int check(const struct qcow2 *q, uint64_t bytes, uint64_t entries, struct sill_err *e)
	REQUIRES(q->lock)
{
	if (q->b->readonly)
		return refuse(q, e, SILL_ERR_STATE, "it is read-only");
	if (q->broken || q->corrupt)
		return refuse(q, e, SILL_ERR_STATE, "it is not written to any more after an error");
	if (q->has_bitmaps) {
		(void)refuse(q, e, SILL_ERR_STATE, "it has bitmaps, which belong to its size");
		return sill_err_hint(e, "remove them with: qemu-img bitmap --remove");
	}
	if (bytes % 512 != 0 || bytes > INT64_MAX)
		return refuse(q, e, SILL_ERR_LIMIT, "the size is absurd");
	if (entries > QCOW2_MAX_L1) {
		(void)refuse(q, e, SILL_ERR_LIMIT, "its L1 table would have more than 32 MiB");
		return sill_err_hint(e, "larger clusters make for a smaller table: convert it");
	}
	return 0;
}

/* --- the header ---------------------------------------------------------- */

/* One sector: all of it gets there, or nothing. With the lock held all along. */
static int switch_header(struct qcow2 *q, uint64_t size, uint32_t l1_size, uint64_t l1_offset)
	REQUIRES(q->lock)
{
	uint8_t old[QCOW2_HEADER];
	int err;

	memcpy(old, q->header, sizeof(old));
	qcow2_put_be64(q->header + AT_SIZE, size);
	qcow2_put_be32(q->header + AT_L1_SIZE, l1_size);
	qcow2_put_be64(q->header + AT_L1_OFFSET, l1_offset);
	err = qcow2_header_write(q);
	if (err == 0)
		return qcow2_barrier(q);
	/* Some of it may be in the file: the old one must be there before anything else is. */
	memcpy(q->header, old, sizeof(old));
	if (qcow2_header_write(q) != 0 || qcow2_barrier(q) != 0)
		q->broken = true;
	return err;
}

/* --- the table ----------------------------------------------------------- */

/* Clusters for a table: counted on the medium, where all is that the old one leads to. */
static int find_place(struct qcow2 *q, uint64_t clusters, uint64_t *ret_host) REQUIRES(q->lock)
{
	int err = qcow2_alloc_row(q, clusters, ret_host);

	if (err != 0)
		return err;
	do { /* the first may find nothing to do, and let others in while it syncs */
		err = qcow2_commit(q);
		if (err == 0 && q->corrupt) /* the tables stay as they are */
			err = EIO;
	} while (err == 0 && q->l1_lo != q->l1_hi);
	if (err != 0)
		qcow2_unref(q, *ret_host >> q->cluster_bits, clusters);
	return err;
}

/* @l1 has room for @entries. Nothing was changed when this fails. */
static int put_table(struct qcow2 *q, uint64_t *l1, uint32_t entries) REQUIRES(q->lock)
{
	const uint64_t old_clusters = divide_up((uint64_t)q->l1_size * 8, q->cluster_size);
	const uint64_t clusters = divide_up((uint64_t)entries * 8, q->cluster_size);
	const uint64_t size = qcow2_be64(q->header + AT_SIZE);
	const bool moves = clusters > old_clusters;
	uint64_t at = q->l1_offset;
	int err = moves ? find_place(q, clusters, &at) : 0;

	if (err != 0)
		return err;
	memcpy(l1, q->l1, (size_t)q->l1_size * sizeof(*l1));
	err = qcow2_table_write(q, l1, moves ? 0 : q->l1_size, entries, at);
	if (err == 0)
		err = qcow2_barrier(q);
	if (err == 0)
		err = switch_header(q, size, entries, at);
	if (moves && !q->broken)
		qcow2_unref(q, (err == 0 ? q->l1_offset : at) >> q->cluster_bits,
			    err == 0 ? old_clusters : clusters);
	if (err == 0)
		q->l1_offset = at;
	return err;
}

static int grow_table(struct qcow2 *q, uint32_t entries) REQUIRES(q->lock)
{
	uint64_t *l1;
	int err;

	if (entries <= q->l1_size)
		return 0;
	l1 = calloc(entries, sizeof(*l1));
	if (l1 == NULL || qcow2_cache_grow(&q->l2, entries) != 0) {
		free(l1);
		return ENOMEM;
	}
	err = put_table(q, l1, entries);
	if (err != 0) {
		free(l1);
		return err;
	}
	free(q->l1);
	q->l1 = l1;
	q->l1_size = entries;
	return 0;
}

/* --- what would come to light -------------------------------------------- */

static int clear(struct qcow2 *q, uint64_t from, uint64_t to)
{
	const uint64_t below = q->base != NULL ? q->base->capacity : 0;
	int err = 0;

	while (from < to && err == 0) {
		struct qcow2_map m;

		lock_take(&q->lock);
		err = qcow2_map(q, from, to - from, &m);
		lock_drop(&q->lock);
		if (err != 0)
			break;
		if (m.kind == QCOW2_UNALLOCATED && from < below && m.length > below - from)
			m.length = below - from;
		if (m.kind == QCOW2_DATA || m.kind == QCOW2_PACKED ||
		    (m.kind == QCOW2_UNALLOCATED && from < below))
			err = qcow2_zero(q, from, m.length, false, true);
		from += m.length;
	}
	return err;
}

/* --- a data file --------------------------------------------------------- */

struct zero_req {
	struct blk_req r; /* first */
	int status;
};

static void zero_done(struct blk_req *r, int status)
{
	((struct zero_req *)(void *)r)->status = status;
}

/* It becomes as large as the disk. A raw one is a disk of its own: it must have zeroes there too. */
static int grow_data(struct qcow2 *q, uint64_t from, uint64_t bytes, struct sill_err *e)
{
	struct blk *d = q->b->data;
	uint64_t to;

	if (blk_resize(d, 0, e) < 0) /* somebody may have made it larger */
		return -1;
	to = q->data_raw && d->capacity > from ? d->capacity : from;
	for (to = to < bytes ? to : bytes; from < to;) {
		struct zero_req z = { .status = EIO };

		z.r = (struct blk_req){ .op = BLK_WRITE_ZEROES,
					.offset = from,
					.length = to - from < DATA_STEP ? to - from : DATA_STEP,
					.unmap = true,
					.done = zero_done };
		blk_submit(d, &z.r);
		if (z.status != 0)
			return sill_err_sys(e, z.status, "data file '%s'", d->path);
		from += z.r.length;
	}
	return d->capacity < bytes ? blk_resize(d, bytes, e) : 0;
}

/* --- all of it ----------------------------------------------------------- */

/* Step 1; from here on the tables go by the new size. */
static int begin(struct qcow2 *q, uint64_t bytes, struct sill_err *e)
{
	const uint64_t clusters = divide_up(bytes, q->cluster_size);
	const uint64_t entries = divide_up(clusters, 1ull << q->l2_bits);
	int ret, err = 0;

	lock_take(&q->lock);
	while (q->committing)
		qcow2_wait(q);
	ret = check(q, bytes, entries, e);
	if (ret == 0)
		err = qcow2_before_writing(q);
	if (ret == 0 && err == 0)
		err = grow_table(q, (uint32_t)entries);
	if (ret == 0 && err == 0)
		__atomic_store_n(&q->size, bytes, __ATOMIC_RELEASE);
	lock_drop(&q->lock);
	return err != 0 ? sill_err_sys(e, err, "grow '%s'", q->b->path) : ret;
}

/* Step 3, or back to the size it had. */
static int end(struct qcow2 *q, uint64_t bytes, int err)
{
	lock_take(&q->lock);
	if (err == 0)
		err = qcow2_commit(q);
	if (err == 0 && q->corrupt)
		err = EIO;
	if (err == 0)
		err = switch_header(q, bytes, q->l1_size, q->l1_offset);
	if (err != 0)
		__atomic_store_n(&q->size, q->b->capacity, __ATOMIC_RELEASE);
	lock_drop(&q->lock);
	return err;
}

int qcow2_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e)
{
	struct qcow2 *q = b->state;
	int err;

	*ret = b->capacity;
	if (bytes == 0 || bytes == b->capacity)
		return 0;
	if (begin(q, bytes, e) < 0)
		return -1;
	if (b->data != NULL && grow_data(q, b->capacity, bytes, e) < 0) {
		(void)end(q, bytes, ECANCELED);
		return -1;
	}
	err = end(q, bytes, clear(q, b->capacity, bytes));
	if (err != 0)
		return sill_err_sys(e, err, "grow '%s'", b->path);
	*ret = bytes;
	return 0;
}
