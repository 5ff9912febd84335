/* SPDX-License-Identifier: Apache-2.0 */
/* vhdx_status.c - what the block table of a VHDX image says about a run of the disk. */
#include "backend/block/vhdx.h"

int vhdx_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret)
{
	struct vhdx *x = b->state;
	const struct vhdio_piece p = vhdio_piece_at(x->block_size, off, n);
	const uint64_t entry = vhdx_entry(x, p.block);
	struct blk_status s = { .length = p.n };

	switch (entry & VHDX_STATE) {
	case VHDX_PRESENT:
		s.kind = BLK_DATA;
		s.has_place = true;
		s.place = (entry & VHDX_OFFSET) + p.skip;
		break;
	case VHDX_ZERO:
		s.kind = BLK_ZEROES;
		break;
	case VHDX_PARTIAL: /* of an image that is salvaged */
		s.kind = BLK_LOST;
		break;
	default:
		s.kind = BLK_ABSENT;
		break;
	}
	*ret = s;
	return 0;
}
