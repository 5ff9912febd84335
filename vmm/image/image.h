/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - an image of sill/image.h is a block backend, driven synchronously. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "backend/block/block.h"
#include "sill/image.h"

struct sill_image {
	struct blk *blk; /* owned */
	enum sill_disk_format format;
};

#endif
