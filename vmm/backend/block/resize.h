/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize.h - changes of an image's header: what it is made on top of.
 */
#ifndef BACKEND_BLOCK_RESIZE_H
#define BACKEND_BLOCK_RESIZE_H

#include <stdint.h>

#include "backend/block/block.h"
#include "base/err.h"

/*
 * Another name in the header for what is below; @name NULL: nothing any more.
 * The image is not open anywhere. 0, or -1 and @e.
 */
int qcow2_set_backing(int fd, const char *path, const char *name, const char *format,
		      struct sill_err *e) MUST_CHECK;

#endif
