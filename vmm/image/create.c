/* SPDX-License-Identifier: Apache-2.0 */
/* create.c - what is usual, what fits together, and who makes it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/format.h"
#include "image/open.h"

enum { NOBODY_HAS = 1u << 31 };
#define GIB (1024ull * 1024 * 1024)

static bool is_power(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static int check_size(const struct sill_image_options *o, struct sill_err *e)
{
	const struct blk_format *f = blk_formats[o->format];

	if (o->size == 0 || o->size % 512 != 0) {
		(void)sill_err_set(e, SILL_ERR_STATE, "a disk has sectors: a size of %llu is none",
				   (unsigned long long)o->size);
		return sill_err_hint(e, "write a multiple of 512 bytes, for example 20G");
	}
	if (o->size > f->max_size)
		return sill_err_set(e, SILL_ERR_LIMIT, "%s has disks of at most %llu GiB",
				    sill_image_format_name(o->format),
				    (unsigned long long)(f->max_size / GIB));
	return 0;
}

static int check_blocks(struct sill_image_options *o, struct sill_err *e)
{
	const struct blk_format *f = blk_formats[o->format];

	if (o->block_size == 0)
		o->block_size = f->usual;
	if (f->usual == 0)
		return o->block_size == 0 ? 0
					  : sill_err_set(e, SILL_ERR_STATE,
							 "%s has no blocks to set a size of",
							 sill_image_format_name(o->format));
	if (!is_power(o->block_size) || o->block_size < f->least || o->block_size > f->most)
		return sill_err_set(e, SILL_ERR_STATE,
				    "%s: blocks are a power of two from %u to %u bytes",
				    sill_image_format_name(o->format), f->least, f->most);
	return 0;
}

/* What belongs to another format. */
static int check_others(const struct sill_image_options *o, struct sill_err *e)
{
	const unsigned has = blk_formats[o->format]->has;
	const struct {
		unsigned needs;
		bool asked;
		const char *what;
	} all[] = {
		{ BLK_HAS_LAYERS, o->backing != NULL, "backing file" },
		{ BLK_HAS_LAYERS, o->data_file != NULL, "data file" },
		{ BLK_HAS_CLUSTERS, o->zstd, "compressed clusters" },
		{ BLK_HAS_CLUSTERS,
		  o->version != 0 || o->refcount_bits != 0 || o->subclusters || o->lazy_refcounts,
		  "versions, refcounts and subclusters" },
		{ BLK_HAS_FIXED, o->fixed, "fixed disks" },
		{ BLK_HAS_SECTORS,
		  o->physical_size != 0 || (o->sector_size != 0 && o->sector_size != 512),
		  "sectors of another size" },
		{ NOBODY_HAS,
		  (has & BLK_HAS_FIXED) != 0 && !o->fixed && o->prealloc != SILL_PREALLOC_OFF,
		  "preallocation without 'fixed'" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].asked && (has & all[i].needs) == 0)
			return sill_err_set(e, SILL_ERR_STATE, "%s has no %s",
					    sill_image_format_name(o->format), all[i].what);
	return 0;
}

int image_options_check(struct sill_image_options *o, struct sill_err *e)
{
	const struct blk_format *f = blk_formats[o->format];

	if (check_size(o, e) < 0 || check_others(o, e) < 0 || check_blocks(o, e) < 0)
		return -1;
	return f->options != NULL ? f->options(o, e) : 0;
}

int sill_image_create(int fd, const struct sill_image_options *given, struct sill_err *e)
{
	struct sill_image_options o = *given;
	struct stat st;

	if (image_options_check(&o, e) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return sill_err_sys(e, errno, "new image");
	if (!S_ISREG(st.st_mode) || st.st_size != 0)
		return sill_err_set(e, SILL_ERR_STATE,
				    "a new image is made in an empty regular file");
	return blk_formats[o.format]->create(fd, &o, e);
}
