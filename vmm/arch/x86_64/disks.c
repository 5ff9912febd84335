/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks.c - from the configuration to disks on the bus: images and what is
 * below them, sectors, rate limits.
 */
#include "arch/x86_64/disks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/format.h"
#include "backend/block/throttle.h"
#include "devices/virtio/blk.h"

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
static struct blk *open_disk(const struct sill_disk_config *d, struct sill_files *files,
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

/* Limits that a disk has alone, or shares with those of its group. */
struct disk_limits {
	struct throttle throttle;
	char *group; /* owned; NULL: nobody else's */
	struct disk_limits *next;
};

static struct disk_limits *find_limits(const struct machine *m, const char *group)
{
	for (struct disk_limits *l = m->limits; l != NULL && group != NULL; l = l->next)
		if (l->group != NULL && strcmp(l->group, group) == 0)
			return l;
	return NULL;
}

/* The limits @r is part of, made if need be. *ret is NULL when there are none. */
static int get_limits(struct machine *m, const struct sill_rate_limit *r, struct throttle **ret,
		      struct sill_err *e)
{
	const struct throttle_limits t = { .bytes = r->bandwidth,
					   .ops = r->ops,
					   .bytes_burst = r->bandwidth_burst,
					   .ops_burst = r->ops_burst };
	struct disk_limits *l = find_limits(m, r->group);

	*ret = NULL;
	if (l == NULL && throttle_limits_any(&t)) {
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			return sill_err_sys(e, ENOMEM, "rate limits");
		l->next = m->limits;
		m->limits = l;
		throttle_init(&l->throttle, &t);
		l->group = r->group != NULL ? strdup(r->group) : NULL;
		if (r->group != NULL && l->group == NULL)
			return sill_err_sys(e, ENOMEM, "rate limits");
	}
	if (l != NULL)
		*ret = &l->throttle;
	return 0;
}

/* The disks of a group share what the first of them that has limits says. */
static int add_groups(struct machine *m, const struct sill_config *c, struct sill_err *e)
{
	struct throttle *unused;

	for (size_t i = 0; i < c->disk_count; i++)
		if (c->disk[i].rate_limit.group != NULL &&
		    get_limits(m, &c->disk[i].rate_limit, &unused, e) < 0)
			return -1;
	return 0;
}

void disks_free_limits(struct machine *m)
{
	struct disk_limits *l = m->limits;

	while (l != NULL) {
		struct disk_limits *next = l->next;

		free(l->group);
		free(l);
		l = next;
	}
	m->limits = NULL;
}

static int add_disk(struct machine *m, const struct sill_disk_config *d, struct sill_files *files,
		    struct sill_err *e)
{
	static const enum aio_engine engines[] = {
		[SILL_IO_AUTO] = AIO_AUTO,
		[SILL_IO_URING] = AIO_URING,
		[SILL_IO_THREADS] = AIO_THREADS,
	};
	struct virtio_blk_config v = {
		.serial = d->serial,
		.slot = d->slot != 0 ? d->slot : -1,
		.num_queues = d->queues,
		.queue_size = d->queue_size,
		.io = engines[d->io],
		.host_cpus = d->affinity,
		.host_cpu_count = d->affinity_count,
		.cache = d->cache,
		.keep_space = d->discard == SILL_DISCARD_IGNORE,
		.on_error = d->on_error,
	};

	if (get_limits(m, &d->rate_limit, &v.throttle, e) < 0)
		return -1;
	v.blk = open_disk(d, files, e);
	if (v.blk == NULL || set_sectors(v.blk, d, e) < 0) {
		blk_close(v.blk);
		sill_err_wrap(e, "%s", d->id);
		return -1;
	}
	return machine_add_device(m, "virtio-blk", d->id, &v, NO_GSI, e) == NULL ? -1 : 0;
}

/* Slots that disks ask for are taken before the others are handed out. */
int disks_add(struct machine *m, const struct sill_config *c, struct sill_files *files,
	      struct sill_err *e)
{
	if (add_groups(m, c, e) < 0)
		return -1;
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < c->disk_count; i++)
			if ((c->disk[i].slot == 0) == (pass == 1) &&
			    add_disk(m, &c->disk[i], files, e) < 0)
				return -1;
	return 0;
}

int machine_disk_resize(struct machine *m, const char *id, uint64_t bytes, struct sill_err *e)
{
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		if (d->ops == &virtio_blk_ops && strcmp(d->id, id) == 0)
			return virtio_blk_resize(d, bytes, e);
	return sill_err_set(e, SILL_ERR_STATE, "there is no disk '%s'", id);
}
