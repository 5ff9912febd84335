/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_entry.c - qcow2 as a disk format. */
#include "backend/block/qcow2.h"
#include "backend/block/qcow2_look.h"

const struct blk_format blk_format_qcow2 = {
	.ops = &blk_qcow2_ops,
	.has = BLK_HAS_LAYERS | BLK_HAS_CLUSTERS,
	.usual = 64 * 1024,
	.least = 512,
	.most = 2 * 1024 * 1024,
	.max_size = 1ull << 62,
	.look = qcow2_look,
	.is = qcow2_is,
	.create = qcow2_create,
	.options = qcow2_options,
	.full_size = qcow2_full_size,
	.check = qcow2_check,
};
