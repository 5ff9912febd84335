/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - what each format of disk images provides.
 *
 * To add a format: write vmm/backend/block/<name>.c (and what else it needs beside
 * it) with blk_format_<name> at its end, and add one line to sill/formats.def.
 */
#ifndef BACKEND_BLOCK_FORMAT_H
#define BACKEND_BLOCK_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/block/block.h"
#include "backend/block/check.h"
#include "backend/block/look.h"
#include "base/err.h"
#include "sill/image.h"

/* What a new image can be asked for. */
enum {
	BLK_HAS_LAYERS = 1 << 0,   /* an image below it, a data file beside it */
	BLK_HAS_CLUSTERS = 1 << 1, /* versions, refcounts, subclusters; compressed ones */
	BLK_HAS_FIXED = 1 << 2,    /* every block is there */
	BLK_HAS_SECTORS = 1 << 3,  /* of another size than 512 */
};

struct blk_format {
	const struct blk_ops *ops;
	unsigned has;
	uint32_t usual, least, most; /* bytes of a block; 0: there are none */
	uint64_t max_size;           /* bytes of a disk */

	/*
	 * What the header says, into what is zeroed. With l->to_use an image that cannot be used is refused:
	 * cut off, encrypted, with a feature that is not known; else only what is none.
	 */
	int (*look)(const struct blk_look *l, struct sill_image_info *ret, struct sill_err *e);
	/*
	 * Write an empty image to @fd, an empty regular file. The options have been looked at: they fit
	 * the format, what is usual has been filled in. The header is written last, nothing is synced.
	 */
	int (*create)(int fd, const struct sill_image_options *o, struct sill_err *e);

	/* The rest is optional. */

	/* Do the bytes look like it? 0: no; 1: by the file's end; 2: by its beginning, which counts first. */
	unsigned (*is)(const struct blk_look *l);
	/* What is usual filled in; 0, or -1 and @e: the options do not fit together. */
	int (*options)(struct sill_image_options *o, struct sill_err *e);
	/* Bytes of the file when all of the disk is in it, and how much of that is data. NULL: see block_bytes. */
	int (*full_size)(const struct sill_image_options *o, uint64_t *ret_full, uint64_t *ret_data,
			 struct sill_err *e);
	/* What a block takes in the file; the rest of that is what the file has when it is new. */
	uint64_t (*block_bytes)(const struct sill_image_options *o);
	/* See check.h. */
	int (*check)(struct blk_check *c, struct sill_err *e);
};

/* By enum sill_disk_format. */
extern const struct blk_format *const blk_formats[SILL_DISK_FORMATS];

#define FORMAT(NAME, name) extern const struct blk_format blk_format_##name;
#include "sill/formats.def"
#undef FORMAT

#endif
