/* SPDX-License-Identifier: Apache-2.0 */
/* measure.c - how large will the file of an image be? */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/format.h"
#include "image/open.h"

/* Bytes of whole blocks of @block that hold anything. */
static int data_bytes(struct sill_image *from, uint64_t block, uint64_t *ret, struct sill_err *e)
{
	const uint64_t size = sill_image_size(from);
	uint64_t counted = 0; /* all before it */

	*ret = 0;
	for (uint64_t at = 0; at < size;) {
		struct sill_image_extent x;
		uint64_t end, begin;

		if (sill_image_extent(from, at, size - at, SILL_IMAGE_MAX_DEPTH, &x, e) < 0)
			return -1;
		end = x.offset + x.length;
		if (!x.zero) {
			begin = at - at % block;
			begin = begin > counted ? begin : counted;
			counted = end + (block - end % block) % block;
			*ret += counted > begin ? counted - begin : 0;
			end = counted;
		}
		at = end;
	}
	return 0;
}

/* Of the file as it is made, before anything is written. */
static int new_file(const struct sill_image_options *o, uint64_t *ret, struct sill_err *e)
{
	const int fd = memfd_create("measure", MFD_CLOEXEC);
	struct stat st = { 0 };
	int failed;

	if (fd < 0)
		return sill_err_sys(e, errno, "measure");
	failed = sill_image_create(fd, o, e);
	if (failed == 0 && fstat(fd, &st) < 0)
		failed = sill_err_sys(e, errno, "measure");
	(void)close(fd);
	*ret = (uint64_t)st.st_size;
	return failed;
}

static int measure_blocks(const struct sill_image_options *o, struct sill_image *from,
			  struct sill_image_measure *ret, struct sill_err *e)
{
	const uint64_t block = o->fixed ? 0 : blk_formats[o->format]->block_bytes(o);
	uint64_t empty = 0, data = 0;

	if (new_file(o, &empty, e) < 0 ||
	    (from != NULL && data_bytes(from, o->block_size, &data, e) < 0))
		return -1;
	ret->required = ret->full = empty;
	if (o->fixed)
		return 0;
	ret->required += data / o->block_size * block;
	ret->full += (o->size / o->block_size + (o->size % o->block_size != 0)) * block;
	return 0;
}

static int measure_whole(const struct sill_image_options *o, struct sill_image *from,
			 struct sill_image_measure *ret, struct sill_err *e)
{
	uint64_t data = 0, all;

	if (blk_formats[o->format]->full_size(o, &ret->full, &all, e) < 0 ||
	    (from != NULL && all != 0 && data_bytes(from, o->block_size, &data, e) < 0))
		return -1;
	if (o->prealloc == SILL_PREALLOC_FULL)
		data = all;
	ret->required = ret->full - all + data;
	return 0;
}

int sill_image_measure(const struct sill_image_options *given, struct sill_image *from,
		       struct sill_image_measure *ret, struct sill_err *e)
{
	struct sill_image_options o = *given;

	if (from != NULL)
		o.size = sill_image_size(from);
	if (image_options_check(&o, e) < 0)
		return -1;
	return blk_formats[o.format]->full_size != NULL ? measure_whole(&o, from, ret, e)
							: measure_blocks(&o, from, ret, e);
}
