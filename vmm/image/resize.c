/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - a larger image in the same file, and another one below it. */
#include "backend/block/qcow2.h"
#include "image/open.h"

int sill_image_grow(struct sill_image *i, uint64_t size, struct sill_err *e)
{
	struct blk *b = i->blk;

	if (size < b->capacity || size % 512 != 0 || size > INT64_MAX)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' cannot grow to this size", b->path);
	if (blk_resize(b, size, e) < 0)
		return -1;
	if (i->format == SILL_DISK_RAW && sill_image_flush(i, e) < 0)
		return -1;
	return 0;
}

int sill_image_set_backing(int fd, const char *path, const char *backing,
			   enum sill_disk_format format, struct sill_err *e)
{
	return qcow2_set_backing(fd, path, backing, sill_image_format_name(format), e);
}
