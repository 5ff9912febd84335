/* SPDX-License-Identifier: Apache-2.0 */
/* vhdx_status.c - what the block table of a VHDX image says about a run of the disk. */
#include "backend/block/vhdx.h"

int vhdx_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret)
{
	struct vhdx *x = b->state;
	const uint32_t block = (uint32_t)(off / x->block_size),
		       skip = (uint32_t)(off % x->block_size);
	const uint64_t entry =
		__atomic_load_n(&x->bat[block + (block >> x->chunk_shift)], __ATOMIC_ACQUIRE);
	struct blk_status s = { .length = x->block_size - skip };

	if (s.length > n)
		s.length = n;
	switch (entry & VHDX_STATE) {
	case VHDX_PRESENT:
		s.kind = BLK_DATA;
		s.has_place = true;
		s.place = (entry & VHDX_OFFSET) + skip;
		break;
	case VHDX_ZERO:
		s.kind = BLK_ZEROES;
		break;
	default:
		s.kind = BLK_ABSENT;
		break;
	}
	*ret = s;
	return 0;
}
