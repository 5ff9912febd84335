/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - a larger image in the same file, and another one below it. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/resize.h"
#include "image/image.h"

static int grow_raw(struct blk *b, uint64_t size)
{
	struct stat st;

	if (fstat(b->fd, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return ENOTSUP;
	if (ftruncate(b->fd, (off_t)size) < 0 || fdatasync(b->fd) < 0)
		return errno;
	b->capacity = size;
	return 0;
}

int sill_image_grow(struct sill_image *i, uint64_t size, bool *ret_done, struct sill_err *e)
{
	struct blk *b = i->blk;
	int err;

	*ret_done = false;
	if (size < b->capacity || size % 512 != 0 || size > INT64_MAX)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' cannot grow to this size", b->path);
	if (i->format == SILL_DISK_RAW)
		err = grow_raw(b, size);
	else if (i->format == SILL_DISK_QCOW2)
		err = qcow2_grow(b, size);
	else
		err = ERANGE;
	*ret_done = err == 0;
	if (err == 0 || err == ERANGE)
		return 0;
	if (err == EOPNOTSUPP)
		return sill_err_set(
			e, SILL_ERR_STATE,
			i->format == SILL_DISK_RAW
				? "'%s' is a device, which has the size it has"
				: "'%s' has bitmaps or a data file, which would have to "
				  "grow too",
			b->path);
	return sill_err_sys(e, err, "grow '%s'", b->path);
}

int sill_image_set_backing(int fd, const char *path, const char *backing,
			   enum sill_disk_format format, struct sill_err *e)
{
	return qcow2_set_backing(fd, path, backing, sill_image_format_name(format), e);
}
