/* SPDX-License-Identifier: Apache-2.0 */
/* vhd_entry.c - VHD as a disk format. */
#include "backend/block/vhd.h"

const struct blk_ops blk_vhd_ops = {
	.format = "vhd",
	.state_size = sizeof(struct vhd),
	.open = vhd_open,
	.submit = vhd_submit,
	.resize = vhd_resize,
	.status = vhd_status,
	.close = vhd_close,
};

const struct blk_format blk_format_vhd = {
	.ops = &blk_vhd_ops,
	.has = BLK_HAS_FIXED,
	.usual = 2 * 1024 * 1024,
	.least = 512 * 1024,
	.most = VHD_MAX_BLOCK,
	.max_size = VHD_MAX_DISK,
	.look = vhd_look,
	.is = vhd_is,
	.create = vhd_create,
	.block_bytes = vhd_block_bytes,
	.check = vhd_check,
};
