/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_status.c - what the tables of one qcow2 image say about a run of the disk. */
#include "backend/block/qcow2.h"

int qcow2_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret)
{
	static const enum blk_kind kinds[] = { [QCOW2_UNALLOCATED] = BLK_ABSENT,
					       [QCOW2_ZEROES] = BLK_ZEROES,
					       [QCOW2_DATA] = BLK_DATA,
					       [QCOW2_PACKED] = BLK_DATA };
	struct qcow2 *q = b->state;
	struct qcow2_map m;
	int err;

	lock_take(&q->lock);
	err = qcow2_map(q, off, n, &m);
	lock_drop(&q->lock);
	if (err != 0)
		return err;
	*ret = (struct blk_status){ .kind = kinds[m.kind],
				    .length = m.length,
				    .packed = m.kind == QCOW2_PACKED,
				    .has_place = m.kind == QCOW2_DATA,
				    .place = m.kind == QCOW2_DATA ? m.host : 0 };
	return 0;
}
