/* SPDX-License-Identifier: Apache-2.0 */
/* raw_entry.c - raw as a disk format. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backend/block/foreign.h"
#include "backend/block/format.h"

/* What its contents look like. */
static int raw_look(const struct blk_look *l, struct sill_image_info *ret, struct sill_err *e)
{
	(void)e;
	ret->size = (l->size + 511) & ~511ull; /* the last sector is filled up */
	ret->looks_like = l->like;
	if (ret->looks_like == SILL_DISK_RAW)
		foreign_look(l->front, l->tail, &ret->foreign);
	else
		ret->foreign = (struct sill_image_foreign){
			.kind = SILL_FOREIGN_OURS, .name = sill_image_format_name(ret->looks_like)
		};
	return 0;
}

static int raw_create(int fd, const struct sill_image_options *o, struct sill_err *e)
{
	int err = ftruncate(fd, (off_t)o->size) < 0 ? errno : 0;

	if (err == 0 && o->prealloc == SILL_PREALLOC_FULL)
		err = posix_fallocate(fd, 0, (off_t)o->size);
	return err != 0 ? sill_err_sys(e, err, "raw image") : 0;
}

/* All of it is there from the beginning. */
static int raw_full_size(const struct sill_image_options *o, uint64_t *ret_full, uint64_t *ret_data,
			 struct sill_err *e)
{
	(void)e;
	*ret_full = o->size;
	*ret_data = 0;
	return 0;
}

const struct blk_format blk_format_raw = {
	.ops = &blk_raw_ops,
	.max_size = INT64_MAX,
	.look = raw_look,
	.create = raw_create,
	.full_size = raw_full_size,
};
