/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_resize.c - a larger disk in the same file.
 *
 * The L1 table has whole clusters, so there is nearly always room behind it:
 * one cluster of 64 KiB finds 4 TiB. That room is zeroed first. What is to come
 * to light must be zeroes: the rest of the last cluster, and what an image below
 * has there. All of this is invisible at the old size; the switch is one sector.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend/block/qcow2.h"
#include "backend/block/resize.h"

enum { AT_SIZE = 24, AT_L1_SIZE = 36 };

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

/* Entries up to @want: zeroes in the file, and in memory. */
static int extend_l1(struct qcow2 *q, uint32_t want)
{
	static const uint8_t zeroes[4096];
	uint64_t *l1 = realloc(q->l1, (size_t)want * sizeof(*l1));
	uint64_t at = (uint64_t)q->l1_size * 8;
	int err;

	if (l1 == NULL)
		return ENOMEM;
	q->l1 = l1;
	err = qcow2_cache_grow(&q->l2, want);
	while (at < (uint64_t)want * 8 && err == 0) {
		const uint64_t left = (uint64_t)want * 8 - at;
		const size_t n = left < sizeof(zeroes) ? (size_t)left : sizeof(zeroes);

		err = qcow2_pwrite(&q->file, zeroes, n, q->l1_offset + at);
		at += n;
	}
	if (err == 0)
		err = qcow2_sync(&q->file);
	if (err != 0)
		return err;
	for (uint32_t i = q->l1_size; i < want; i++)
		q->l1[i] = 0;
	q->l1_size = want;
	return 0;
}

/* From the old end on: what else than zeroes could come to light. */
static int clear_new(struct qcow2 *q, uint64_t from, uint64_t size)
{
	uint64_t to = size;

	if (q->base != NULL && q->base->capacity < to)
		to = q->base->capacity;
	/* The rest of the last cluster in any case. */
	if (to < from || to - from < q->cluster_size)
		to = size - from < q->cluster_size ? size : from + q->cluster_size;
	return qcow2_zero(q, from, to - from, false, true);
}

static int switch_size(struct qcow2 *q, uint64_t size)
{
	int err;

	lock_take(&q->lock);
	err = qcow2_commit(q);
	if (err == 0) {
		qcow2_put_be64(q->header + AT_SIZE, size);
		qcow2_put_be32(q->header + AT_L1_SIZE, q->l1_size);
		err = qcow2_header_write(q);
	}
	if (err == 0)
		err = qcow2_sync(&q->file);
	lock_drop(&q->lock);
	return err;
}

int qcow2_grow(struct blk *b, uint64_t size)
{
	struct qcow2 *q = b->state;
	const uint64_t old = b->capacity, per = 1ull << q->l2_bits;
	const uint64_t want = divide_up(divide_up(size, q->cluster_size), per);
	const uint64_t room =
		divide_up((uint64_t)q->l1_size * 8, q->cluster_size) * (q->cluster_size / 8);
	int err = 0;

	if (size <= old)
		return size == old ? 0 : EINVAL;
	if (want > room || want > QCOW2_MAX_L1)
		return ERANGE;
	if (q->has_bitmaps || q->data_file != &q->file)
		return EOPNOTSUPP;
	if (want > q->l1_size)
		err = extend_l1(q, (uint32_t)want);
	if (err != 0)
		return err;
	b->capacity = size;
	err = clear_new(q, old, size);
	if (err == 0)
		err = switch_size(q, size);
	if (err != 0)
		b->capacity = old;
	return err;
}
