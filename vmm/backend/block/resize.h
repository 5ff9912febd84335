/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize.h - changes of an image's header: its size, and what it is made on top of.
 */
#ifndef BACKEND_BLOCK_RESIZE_H
#define BACKEND_BLOCK_RESIZE_H

#include <stdint.h>

#include "backend/block/block.h"
#include "base/err.h"

/*
 * Grow to @size, a multiple of 512, what is open for writing and at rest. What
 * is new reads as zeroes, also when an image below is larger. On the medium
 * when it returns 0; until then the image has its old size, and nothing but
 * that was touched. ERANGE: there is no room in its tables; or an errno.
 */
int qcow2_grow(struct blk *b, uint64_t size) MUST_CHECK;

/*
 * Another name in the header for what is below; @name NULL: nothing any more.
 * The image is not open anywhere. 0, or -1 and @e.
 */
int qcow2_set_backing(int fd, const char *path, const char *name, const char *format,
		      struct sill_err *e) MUST_CHECK;

#endif
