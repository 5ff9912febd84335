/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_create.c - a new qcow2 image.
 *
 *	header | refcount table | refcount blocks | L1 table | L2 tables | data
 *
 * The last two only with preallocation. Every cluster up to there has refcount
 * one, so a refcount block is either full or ends in zeroes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/block/qcow2.h"
#include "base/fd.h"

enum {
	V3_LENGTH = 112, /* with the byte that names the compression */
};

struct layout {
	const struct sill_image_options *o;
	int fd;
	unsigned bits, ref_order, entry_size;
	uint64_t cluster;
	uint64_t l1_entries;
	/* Clusters, and where they begin. */
	uint64_t rt, blocks, l1, l2, data, total;
	uint64_t rt_at, blocks_at, l1_at, l2_at, data_at;
	uint8_t *buf; /* owned: one cluster */
};

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static int plan(struct layout *l, struct sill_err *e)
{
	const struct sill_image_options *o = l->o;
	uint64_t per_block;

	l->cluster = o->block_size;
	l->bits = (unsigned)__builtin_ctz(o->block_size);
	l->ref_order = (unsigned)__builtin_ctz(o->refcount_bits);
	l->entry_size = o->subclusters ? 16 : 8;
	l->data = divide_up(o->size, l->cluster);
	l->l1_entries = divide_up(l->data, l->cluster / l->entry_size);
	if (l->l1_entries > QCOW2_MAX_L1) {
		(void)sill_err_set(e, SILL_ERR_LIMIT,
				   "a disk of this size needs an L1 table of more than 32 MiB");
		return sill_err_hint(e, "larger clusters make for a smaller table");
	}
	l->l1 = divide_up(l->l1_entries * 8, l->cluster);
	l->l2 = l->l1_entries;
	if (o->prealloc == SILL_PREALLOC_OFF)
		l->l2 = l->data = 0;
	per_block = l->cluster * 8 / o->refcount_bits;
	/* The blocks count themselves and the table that finds them. */
	for (l->rt = l->blocks = 1;;) {
		const uint64_t rt = divide_up(l->blocks * 8, l->cluster);
		uint64_t blocks;

		l->total = 1 + rt + l->blocks + l->l1 + l->l2 + l->data;
		blocks = divide_up(l->total, per_block);
		if (blocks == l->blocks && rt == l->rt)
			break;
		l->blocks = blocks;
		l->rt = rt;
	}
	if (l->rt * l->cluster > QCOW2_MAX_RT)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "a disk of this size needs a refcount table of more than 8 "
				    "MiB");
	l->rt_at = 1;
	l->blocks_at = l->rt_at + l->rt;
	l->l1_at = l->blocks_at + l->blocks;
	l->l2_at = l->l1_at + l->l1;
	l->data_at = l->l2_at + l->l2;
	return 0;
}

static int put(struct layout *l, uint64_t cluster)
{
	return fd_pwrite_full(l->fd, l->buf, l->cluster, (off_t)(cluster << l->bits)) < 0 ? errno
											  : 0;
}

/* A table of @n words: the first @used point to clusters from @first on. */
static int put_table(struct layout *l, uint64_t at, uint64_t n, uint64_t used, uint64_t first,
		     uint64_t flags)
{
	const uint64_t per = l->cluster / 8;

	for (uint64_t c = 0; c < n; c++) {
		int err;

		memset(l->buf, 0, l->cluster);
		for (uint64_t i = 0; i < per && c * per + i < used; i++)
			qcow2_put_be64(l->buf + i * 8, (first + c * per + i) << l->bits | flags);
		err = put(l, at + c);
		if (err != 0)
			return err;
	}
	return 0;
}

static int put_blocks(struct layout *l)
{
	const uint64_t per = l->cluster * 8 / l->o->refcount_bits;

	for (uint64_t k = 0; k < l->blocks; k++) {
		int err;

		memset(l->buf, 0, l->cluster);
		for (uint64_t i = 0; i < per && k * per + i < l->total; i++) {
			const uint64_t bit = i << l->ref_order;

			/* Counts are big-endian; those of less than a byte begin at its low end. */
			if (l->ref_order < 3)
				l->buf[bit / 8] |= (uint8_t)(1u << bit % 8);
			else
				l->buf[bit / 8 + (1u << l->ref_order) / 8 - 1] = 1;
		}
		err = put(l, l->blocks_at + k);
		if (err != 0)
			return err;
	}
	return 0;
}

static int put_l2(struct layout *l)
{
	const uint64_t per = l->cluster / l->entry_size;

	for (uint64_t t = 0; t < l->l2; t++) {
		int err;

		memset(l->buf, 0, l->cluster);
		for (uint64_t i = 0; i < per && t * per + i < l->data; i++) {
			uint8_t *p = l->buf + i * l->entry_size;

			qcow2_put_be64(p, (l->data_at + t * per + i) << l->bits | QCOW2_COPIED);
			if (l->entry_size == 16)
				qcow2_put_be64(p + 8, 0xffffffff);
		}
		err = put(l, l->l2_at + t);
		if (err != 0)
			return err;
	}
	return 0;
}

static int too_long(const char *what, size_t n, struct sill_err *e)
{
	(void)sill_err_set(e, SILL_ERR_LIMIT, "the name of the %s is too long: %zu bytes", what, n);
	return sill_err_hint(e, "it has to fit into the first cluster, at most 1023 bytes");
}

/* An extension at @*at, and room for the end of them all. */
static int put_extension(struct layout *l, uint64_t *at, uint32_t type, const char *text,
			 const char *what, struct sill_err *e)
{
	const size_t n = strlen(text);
	const uint64_t room = l->cluster - *at;

	if (n > SILL_IMAGE_MAX_NAME || room < 24 || n > room - 24)
		return too_long(what, n, e);
	qcow2_put_be32(l->buf + *at, type);
	qcow2_put_be32(l->buf + *at + 4, (uint32_t)n);
	memcpy(l->buf + *at + 8, text, n);
	*at += 8 + ((n + 7) & ~(uint64_t)7);
	return 0;
}

static int put_header(struct layout *l, struct sill_err *e)
{
	const struct sill_image_options *o = l->o;
	const char *format = sill_image_format_name(o->backing_format);
	const size_t name = o->backing != NULL ? strlen(o->backing) : 0;
	uint64_t at = o->version == 2 ? QCOW2_V2_LENGTH : V3_LENGTH;
	uint8_t *p = l->buf;
	int err;

	memset(p, 0, l->cluster);
	qcow2_put_be32(p, QCOW2_MAGIC);
	qcow2_put_be32(p + QCOW2_AT_VERSION, o->version);
	qcow2_put_be32(p + QCOW2_AT_CLUSTER_BITS, l->bits);
	qcow2_put_be64(p + QCOW2_AT_SIZE, o->size);
	qcow2_put_be32(p + QCOW2_AT_L1_SIZE, (uint32_t)l->l1_entries);
	qcow2_put_be64(p + QCOW2_AT_L1, l->l1_at << l->bits);
	qcow2_put_be64(p + QCOW2_AT_RT_OFFSET, l->rt_at << l->bits);
	qcow2_put_be32(p + QCOW2_AT_RT_CLUSTERS, (uint32_t)l->rt);
	if (o->version == 3) {
		qcow2_put_be64(p + QCOW2_AT_INCOMPAT,
			       (o->subclusters ? QCOW2_INCOMPAT_SUBCLUSTERS : 0) |
				       (o->data_file != NULL ? QCOW2_INCOMPAT_DATA_FILE : 0) |
				       (o->zstd ? QCOW2_INCOMPAT_COMPRESSION : 0));
		qcow2_put_be64(p + QCOW2_AT_COMPAT, o->lazy_refcounts ? QCOW2_COMPAT_LAZY : 0);
		qcow2_put_be32(p + QCOW2_AT_REF_ORDER, l->ref_order);
		qcow2_put_be32(p + QCOW2_AT_LENGTH, V3_LENGTH);
		p[QCOW2_AT_COMPRESSION] = o->zstd ? 1 : 0;
	}
	if (o->data_file != NULL && o->data_file[0] != '\0' &&
	    put_extension(l, &at, QCOW2_EXT_DATA_FILE, o->data_file, "data file", e) < 0)
		return -1;
	if (o->backing != NULL) {
		if (put_extension(l, &at, QCOW2_EXT_BACKING_FORMAT, format, "backing file", e) < 0)
			return -1;
		at += 8; /* the end of the extensions */
		if (name > SILL_IMAGE_MAX_NAME || name > l->cluster - at)
			return too_long("backing file", name, e);
		memcpy(p + at, o->backing, name);
		qcow2_put_be64(p + QCOW2_AT_NAME, at);
		qcow2_put_be32(p + QCOW2_AT_NAME_LENGTH, (uint32_t)name);
	}
	err = put(l, 0);
	return err != 0 ? sill_err_sys(e, err, "header") : 0;
}

static int write_all(struct layout *l, struct sill_err *e)
{
	const off_t end = (off_t)(l->total << l->bits);
	int err = ftruncate(l->fd, end) < 0 ? errno : 0;

	if (err == 0 && l->o->prealloc == SILL_PREALLOC_FULL)
		err = posix_fallocate(l->fd, 0, end);
	if (err == 0)
		err = put_table(l, l->rt_at, l->rt, l->blocks, l->blocks_at, 0);
	if (err == 0)
		err = put_blocks(l);
	if (err == 0)
		err = put_table(l, l->l1_at, l->l1, l->l2, l->l2_at, QCOW2_COPIED);
	if (err == 0)
		err = put_l2(l);
	if (err != 0)
		return sill_err_sys(e, err, "tables");
	return put_header(l, e);
}

int qcow2_options(struct sill_image_options *o, struct sill_err *e)
{
	if (o->version == 0)
		o->version = 3;
	if (o->refcount_bits == 0)
		o->refcount_bits = 16;
	if (o->version != 2 && o->version != 3)
		return sill_err_set(e, SILL_ERR_STATE, "qcow2 has versions 2 and 3");
	if (o->refcount_bits > 64 || (o->refcount_bits & (o->refcount_bits - 1)) != 0)
		return sill_err_set(e, SILL_ERR_STATE,
				    "refcounts have 1, 2, 4, 8, 16, 32 or 64 bits");
	if (o->version == 2 &&
	    (o->refcount_bits != 16 || o->subclusters || o->lazy_refcounts || o->zstd)) {
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "version 2 has refcounts of 16 bits, no subclusters, no lazy "
				   "refcounts and no zstd");
		return sill_err_hint(e, "version 3 has them");
	}
	if (o->subclusters && o->block_size < 16 * 1024)
		return sill_err_set(e, SILL_ERR_STATE,
				    "subclusters need clusters of at least 16 KiB");
	if (o->data_file != NULL && (o->version == 2 || o->prealloc != SILL_PREALLOC_OFF))
		return sill_err_set(e, SILL_ERR_STATE,
				    "an image with a data file has version 3, and begins empty");
	if (o->backing != NULL && o->prealloc != SILL_PREALLOC_OFF)
		return sill_err_set(e, SILL_ERR_STATE,
				    "preallocated clusters would hide what is in the backing file");
	if (o->backing != NULL && o->backing_format != SILL_DISK_RAW &&
	    o->backing_format != SILL_DISK_QCOW2)
		return sill_err_set(e, SILL_ERR_STATE, "a backing file is raw or qcow2");
	return 0;
}

int qcow2_full_size(const struct sill_image_options *o, uint64_t *ret_full, uint64_t *ret_data,
		    struct sill_err *e)
{
	struct sill_image_options all = *o;
	struct layout l = { .o = &all };

	all.prealloc = SILL_PREALLOC_METADATA;
	if (plan(&l, e) < 0)
		return -1;
	*ret_full = l.total << l.bits;
	*ret_data = l.data << l.bits;
	return 0;
}

int qcow2_create(int fd, const struct sill_image_options *o, struct sill_err *e)
{
	struct layout l = { .o = o, .fd = fd };
	int ret;

	if (plan(&l, e) < 0)
		return -1;
	l.buf = malloc(l.cluster);
	if (l.buf == NULL)
		return sill_err_sys(e, ENOMEM, "tables");
	ret = write_all(&l, e);
	free(l.buf);
	return ret;
}
