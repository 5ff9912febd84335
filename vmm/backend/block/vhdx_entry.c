/* SPDX-License-Identifier: Apache-2.0 */
/* vhdx_entry.c - VHDX as a disk format. */
#include "backend/block/vhdx.h"

const struct blk_ops blk_vhdx_ops = {
	.format = "vhdx",
	.state_size = sizeof(struct vhdx),
	.open = vhdx_open,
	.submit = vhdx_submit,
	.resize = vhdx_resize,
	.status = vhdx_status,
	.close = vhdx_close,
};

static uint64_t block_bytes(const struct sill_image_options *o)
{
	return o->block_size;
}

const struct blk_format blk_format_vhdx = {
	.ops = &blk_vhdx_ops,
	.has = BLK_HAS_FIXED | BLK_HAS_SECTORS,
	.usual = 32 * VHDX_MIB,
	.least = VHDX_MIB,
	.most = 256 * VHDX_MIB,
	.max_size = VHDX_MAX_DISK,
	.look = vhdx_look,
	.is = vhdx_is,
	.create = vhdx_create,
	.options = vhdx_options,
	.block_bytes = block_bytes,
	.check = vhdx_check,
};
