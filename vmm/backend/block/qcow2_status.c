/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_status.c - what the tables of one qcow2 image say about a run of the disk. */
#include <errno.h>

#include "backend/block/qcow2.h"

/*
 * A cluster that reads as zeroes may have a place all the same, and so has each subcluster of one of which
 * another subcluster has data. Where is the first one's, and how far do the others go on from there?
 */
static int find_place_locked(struct qcow2 *q, uint64_t off, struct blk_status *s) REQUIRES(q->lock)
{
	const uint64_t span = 1ull << (q->l2_bits + q->cluster_bits);
	const uint32_t index = (uint32_t)(off / span);
	const uint64_t end = off + s->length;
	struct qcow2_slot *slot;
	uint64_t at = off, entry, bitmap;
	const uint8_t *table;
	int err;

	if (q->l1[index] == 0)
		return 0;
	err = qcow2_l2_get(q, index, &slot);
	if (err != 0)
		return err;
	table = qcow2_cache_bytes(q, &q->l2, slot);
	while (at < end) {
		const uint64_t in = at & (q->cluster_size - 1);
		bool has_place;

		err = qcow2_l2_entry(q, table, at >> q->cluster_bits, &entry, &bitmap);
		if (err != 0)
			return err;
		has_place = (entry & (QCOW2_OFFSET | QCOW2_COPIED)) != 0;
		if (at == off) {
			s->has_place = has_place;
			s->place = has_place ? (entry & QCOW2_OFFSET) + in : 0;
		} else if (has_place != s->has_place ||
			   (has_place && (entry & QCOW2_OFFSET) != s->place + (at - off))) {
			break;
		}
		at += q->cluster_size - in;
	}
	s->length = (at < end ? at : end) - off;
	return 0;
}

/* How much of it is lost with what could not be looked up at @off: all of a table, or one cluster. */
static uint64_t lost_with(struct qcow2 *q, uint64_t off, uint64_t n) REQUIRES(q->lock)
{
	const uint64_t span = 1ull << (q->l2_bits + q->cluster_bits);
	const uint32_t index = (uint32_t)(off / span);
	const bool has_table =
		q->l1[index] != QCOW2_LOST && qcow2_cache_find(&q->l2, index) != NULL;
	const uint64_t all = has_table ? q->cluster_size : span, rest = all - off % all;

	return rest < n ? rest : n;
}

int qcow2_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret)
{
	static const enum blk_kind kinds[] = { [QCOW2_UNALLOCATED] = BLK_ABSENT,
					       [QCOW2_ZEROES] = BLK_ZEROES,
					       [QCOW2_DATA] = BLK_DATA,
					       [QCOW2_PACKED] = BLK_DATA };
	struct qcow2 *q = b->state;
	struct blk_status s;
	struct qcow2_map m;
	int err;

	lock_take(&q->lock);
	err = qcow2_map(q, off, n, &m);
	if (err == 0) {
		s = (struct blk_status){ .kind = kinds[m.kind],
					 .length = m.length,
					 .packed = m.kind == QCOW2_PACKED,
					 .has_place = m.kind == QCOW2_DATA,
					 .place = m.kind == QCOW2_DATA ? m.host : 0 };
		if (s.kind != BLK_DATA)
			err = find_place_locked(q, off, &s);
	} else if (b->salvage && err != ENOMEM) {
		s = (struct blk_status){ .kind = BLK_LOST, .length = lost_with(q, off, n) };
		err = 0;
	}
	lock_drop(&q->lock);
	if (err == 0)
		*ret = s;
	return err;
}
