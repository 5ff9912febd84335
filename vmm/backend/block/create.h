/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.h - new images, one function per format.
 *
 * The descriptor is that of an empty regular file, the options have been looked
 * at by sill_image_create(): size, block size and prealloc make sense for the
 * format. What is usual has been filled in. The header is written last, nothing
 * is synced. Return 0, or -1 and @e.
 */
#ifndef BACKEND_BLOCK_CREATE_H
#define BACKEND_BLOCK_CREATE_H

#include "base/err.h"
#include "sill/image.h"

int qcow2_create(int fd, const struct sill_image_options *o, struct sill_err *e);
int vhd_create(int fd, const struct sill_image_options *o, struct sill_err *e);
/* The file of such an image when all of the disk is in it, and how much of that is data. */
int qcow2_full_size(const struct sill_image_options *o, uint64_t *ret_full, uint64_t *ret_data,
		    struct sill_err *e);
int vhdx_create(int fd, const struct sill_image_options *o, struct sill_err *e);

#endif
