/* SPDX-License-Identifier: Apache-2.0 */
/* open.h - an image of sill/image.h is a block backend, driven synchronously. */
#ifndef IMAGE_OPEN_H
#define IMAGE_OPEN_H

#include "backend/block/block.h"
#include "image/salvage.h"
#include "sill/image.h"

struct sill_image {
	struct blk *blk; /* owned */
	enum sill_disk_format format;
	struct salvage *salvage; /* owned; NULL: what cannot be read is an error */
};

/* What is usual filled in; 0, or -1 and @e: it does not fit together (create.c). */
int image_options_check(struct sill_image_options *o, struct sill_err *e);

#endif
