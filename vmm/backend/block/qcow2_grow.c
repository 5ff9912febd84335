/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_grow.c - a larger disk while requests go on.
 *
 * New entries of the L1 table, all zero, get to the medium before the header
 * that says how many there are; the guest learns of the new size last. So the
 * table is only made longer where it is: the rest of its last cluster is room
 * for 4 TiB with clusters of 64 KiB. Beyond that it would have to move, which
 * is left to a tool that has the image to itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/qcow2.h"

enum { AT_SIZE = 24, AT_L1_SIZE = 36 };

static int refuse(const struct qcow2 *q, struct sill_err *e, const char *why)
{
	(void)sill_err_set(e, SILL_ERR_STATE, "qcow2 image '%s' cannot grow now: %s", q->b->path,
			   why);
	return sill_err_hint(e, "grow it while no VM uses it");
}

static int check(const struct qcow2 *q, uint64_t entries, struct sill_err *e)
{
	const uint64_t room = ((uint64_t)q->l1_size * 8 + q->cluster_size - 1) / q->cluster_size *
			      (q->cluster_size / 8);

	if (q->b->readonly)
		return refuse(q, e, "it is read-only");
	if (q->broken || q->corrupt)
		return refuse(q, e, "it is not written to any more after an error");
	if (q->has_bitmaps)
		return refuse(q, e, "it has bitmaps, which belong to its size");
	if (q->data_file != &q->file)
		return refuse(q, e, "its data are in another file");
	/* What lies behind the old end would come to light. */
	if (q->b->capacity % q->cluster_size != 0)
		return refuse(q, e, "its size is not a multiple of its clusters");
	if (q->base != NULL && q->base->capacity > q->b->capacity)
		return refuse(q, e, "the image below is larger");
	if (entries > room || entries > QCOW2_MAX_L1)
		return refuse(q, e, "its L1 table has no room for that");
	return 0;
}

/* The table in memory; its first @old entries stay. */
static int grow_memory(struct qcow2 *q, uint32_t old, uint32_t entries) REQUIRES(q->lock)
{
	uint64_t *l1;

	if (qcow2_cache_grow(&q->l2, entries) != 0)
		return ENOMEM;
	l1 = calloc(entries, sizeof(*l1));
	if (l1 == NULL)
		return ENOMEM;
	memcpy(l1, q->l1, (size_t)old * sizeof(*l1));
	free(q->l1);
	q->l1 = l1;
	return 0;
}

static int write_zeroes(struct qcow2 *q, uint32_t from, uint32_t to) REQUIRES(q->lock)
{
	static const uint8_t zeroes[4096];
	uint64_t off = q->l1_offset + (uint64_t)from * 8, n = (uint64_t)(to - from) * 8;
	int err = 0;

	while (n > 0 && err == 0) {
		const size_t piece = n < sizeof(zeroes) ? (size_t)n : sizeof(zeroes);

		err = qcow2_pwrite(&q->file, zeroes, piece, off);
		off += piece;
		n -= piece;
	}
	return err == 0 ? qcow2_sync(&q->file) : err;
}

static int grow(struct qcow2 *q, uint64_t bytes, uint32_t entries) REQUIRES(q->lock)
{
	const uint32_t old = q->l1_size;
	const uint64_t old_bytes = qcow2_be64(q->header + AT_SIZE);
	int err = 0;

	if (entries > old) {
		err = grow_memory(q, old, entries);
		if (err == 0)
			err = write_zeroes(q, old, entries);
		if (err != 0)
			return err;
	}
	qcow2_put_be64(q->header + AT_SIZE, bytes);
	qcow2_put_be32(q->header + AT_L1_SIZE, entries > old ? entries : old);
	err = qcow2_header_write(q);
	if (err != 0) { /* later ones shall not say what this one could not */
		qcow2_put_be64(q->header + AT_SIZE, old_bytes);
		qcow2_put_be32(q->header + AT_L1_SIZE, old);
		return err;
	}
	if (entries > old)
		q->l1_size = entries;
	err = qcow2_sync(&q->file);
	q->broken |= err != 0; /* which of the two headers counts is not known any more */
	return err;
}

int qcow2_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e)
{
	struct qcow2 *q = b->state;
	const uint64_t span = (uint64_t)q->cluster_size << q->l2_bits;
	int err;

	*ret = b->capacity;
	if (bytes == 0 || bytes == b->capacity)
		return 0;
	if (bytes > INT64_MAX)
		return refuse(q, e, "the size is absurd");
	lock_take(&q->lock);
	while (q->committing)
		qcow2_wait(q);
	if (check(q, (bytes - 1) / span + 1, e) < 0) {
		lock_drop(&q->lock);
		return -1;
	}
	err = grow(q, bytes, (uint32_t)((bytes - 1) / span + 1));
	lock_drop(&q->lock);
	if (err != 0)
		return sill_err_sys(e, err, "qcow2 image '%s'", b->path);
	*ret = bytes;
	return 0;
}
