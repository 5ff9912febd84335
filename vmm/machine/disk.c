/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c - from the configuration to a disk: images and what is
 * below them, sectors, rate limits.
 */
#include "machine/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/format.h"
#include "devices/virtio/blk.h"
#include "machine/limits.h"
#include "machine/machine.h"

/* One image of a disk. */
struct image {
	enum sill_file_role role;
	unsigned layer;
	enum sill_disk_format format;
	const char *path, *data_path;
};

/* The external data file of @i, if it has one, into @b. */
static int open_data(const struct image *i, const char *id, struct blk_config *b,
		     struct sill_files *files, struct sill_err *e)
{
	const struct sill_file *f = sill_files_find(files, SILL_FILE_DISK_DATA, id, i->layer);
	struct blk_config data = { .path = i->data_path, .readonly = b->readonly };

	if (f == NULL || i->role != SILL_FILE_DISK)
		return 0;
	data.direct = f->direct;
	data.fd = sill_files_take(files, SILL_FILE_DISK_DATA, id, i->layer);
	b->data = blk_open(&blk_raw_ops, &data, e);
	return b->data != NULL ? 0 : -1;
}

/* Takes b->backing, also on failure. */
static struct blk *open_image(const struct image *i, const char *id, struct blk_config *b,
			      struct sill_files *files, struct sill_err *e)
{
	const struct sill_file *f = sill_files_find(files, i->role, id, i->layer);

	if (f == NULL)
		(void)sill_err_set(e, SILL_ERR_INTERNAL, "no open file for '%s'", i->path);
	if (f == NULL || open_data(i, id, b, files, e) < 0) {
		blk_close(b->backing);
		return NULL;
	}
	b->path = i->path;
	f = sill_files_find(files, i->role, id, i->layer);
	b->direct = f->direct;
	b->fd = sill_files_take(files, i->role, id, i->layer);
	return blk_open(blk_formats[i->format]->ops, b, e);
}

/* The layer of an ephemeral disk. Takes @below. */
static struct blk *open_overlay(const struct sill_disk_config *d, struct blk *below,
				struct sill_files *files, struct sill_err *e)
{
	struct image i = { .role = SILL_FILE_DISK_OVERLAY, .format = SILL_DISK_QCOW2 };
	struct blk_config b = { .readonly = d->readonly,
				.max_file = d->ephemeral_limit,
				.backing = below };
	struct blk *ret;
	char *path;

	if (asprintf(&path, "%s (ephemeral)", d->path) < 0) {
		(void)sill_err_sys(e, ENOMEM, "'%s'", d->path);
		blk_close(below);
		return NULL;
	}
	i.path = path;
	ret = open_image(&i, d->id, &b, files, e);
	free(path);
	return ret;
}

/* From the lowest image up. */
static struct blk *open_chain(const struct sill_disk_config *d, struct sill_files *files,
			      struct sill_err *e)
{
	const struct image own = { SILL_FILE_DISK, 0, d->format, d->path, d->data_file };
	const bool ephemeral = sill_disk_ephemeral(d);
	struct blk_config b = { .readonly = d->readonly || ephemeral };
	struct blk *ret;

	if (d->backing_count + ephemeral >= SILL_MAX_LAYERS) {
		(void)sill_err_set(e, SILL_ERR_LIMIT, "more than %u images on top of each other",
				   SILL_MAX_LAYERS);
		return NULL;
	}
	for (unsigned n = d->backing_count; n > 0; n--) {
		const struct sill_backing *l = &d->backing[n - 1];
		const struct image i = { SILL_FILE_DISK, n,
					 l->format == SILL_BACKING_QCOW2 ? SILL_DISK_QCOW2
									 : SILL_DISK_RAW,
					 l->path, l->data_file };
		struct blk_config lower = { .readonly = true, .backing = b.backing };

		b.backing = open_image(&i, d->id, &lower, files, e);
		if (b.backing == NULL)
			return NULL;
	}
	ret = open_image(&own, d->id, &b, files, e);
	return ret != NULL && ephemeral ? open_overlay(d, ret, files, e) : ret;
}

/* The sectors the guest sees, where they are not the image's. */
static int set_sectors(struct blk *b, const struct sill_disk_config *d, struct sill_err *e)
{
	const uint32_t own = b->block_size;

	if (d->logical_sector_size != 0)
		b->block_size = d->logical_sector_size;
	if (d->physical_sector_size != 0)
		b->phys_size = d->physical_sector_size;
	if (b->phys_size < b->block_size)
		b->phys_size = b->block_size;
	if (b->block_size < own)
		return sill_err_set(e, SILL_ERR_MANIFEST, "'%s' has sectors of %u bytes, not %u",
				    b->path, own, d->logical_sector_size);
	if (b->capacity % b->block_size == 0)
		return 0;
	(void)sill_err_set(e, SILL_ERR_MANIFEST, "'%s' is not whole sectors of %u bytes", b->path,
			   b->block_size);
	return sill_err_hint(e, "set logical_sector_size: 512");
}

int disk_open(struct machine *m, const struct sill_disk_config *d, struct sill_files *files,
	      struct disk *ret, struct sill_err *e)
{
	*ret = (struct disk){ .config = { .disk = *d } };
	if (limits_get(m, LIMITS_DISK, &d->rate_limit, &ret->limits, e) < 0)
		return -1;
	ret->config.throttle = limits_throttle(ret->limits);
	ret->config.blk = open_chain(d, files, e);
	if (ret->config.blk != NULL && set_sectors(ret->config.blk, d, e) == 0)
		return 0;
	blk_close(ret->config.blk);
	limits_put(m, ret->limits);
	sill_err_wrap(e, "%s", d->id);
	return -1;
}
