/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_header.c - the header of an image that is opened: does it fit the files that came with it, and
 * what it changes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/qcow2.h"
#include "backend/block/qcow2_look.h"
#include "base/log.h"

/* How much of the first cluster is looked at. */
enum { HEAD = LOOK_FRONT };

/* What is not needed to read it may be wrong. */
static const uint32_t salvage_faults =
	~(uint32_t)(QCOW2_BAD_EXTENSION | QCOW2_BAD_FORMAT | QCOW2_BAD_DATA_NAME | QCOW2_BAD_L1);

static int bad(const struct qcow2 *q, struct sill_err *e, const char *what)
{
	return sill_err_set(e, SILL_ERR_HOST, "qcow2 image '%s': %s", q->b->path, what);
}

static int check_features(struct qcow2 *q, const struct qcow2_head *h, struct sill_err *e)
{
	struct blk *b = q->b;

	if (h->incompat & QCOW2_INCOMPAT_CORRUPT) {
		q->corrupt = true;
		if (!b->readonly) {
			(void)bad(q, e, "it is marked as corrupt and must not be written to");
			return sill_err_hint(
				e, "save a copy, then: sill image check -f qcow2 --repair '%s'",
				b->path);
		}
	}
	if ((h->incompat & QCOW2_INCOMPAT_DATA_FILE) != 0 && b->data == NULL) {
		(void)bad(q, e, "its data are in another file");
		return sill_err_hint(e, "that file must be given with the image");
	}
	if ((h->incompat & QCOW2_INCOMPAT_DATA_FILE) == 0 && b->data != NULL)
		return bad(q, e, "a data file is given, but the image has its data itself");
	if (b->data != NULL && b->data->ops != &blk_raw_ops)
		return bad(q, e, "the data file must be raw");
	if ((h->autoclear & QCOW2_AUTOCLEAR_BITMAPS) != 0 && h->bitmaps.at == 0 && !b->salvage)
		return bad(q, e, "it says that it has bitmaps, and has none");
	if ((h->autoclear & QCOW2_AUTOCLEAR_RAW) != 0) {
		if (b->data == NULL)
			return bad(q, e, "it says that its data file is raw, and has none");
		if (h->name_at != 0)
			return bad(q, e, "a raw data file and a backing file exclude each other");
		q->data_raw = true;
	}
	return 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return false;
	if (S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode))
		return x.st_rdev == y.st_rdev;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What it says that is below it, and what came with it. */
static int check_format(const struct qcow2 *q, const struct qcow2_head *h, struct sill_err *e)
{
	const struct qcow2_ext said = h->backing_format;
	const char *is = q->b->backing->format;
	enum sill_disk_format format;
	char text[16] = "";

	if (said.at == 0 || said.n == 0 || said.n >= sizeof(text))
		return 0;
	memcpy(text, h->bytes + said.at, said.n);
	if (strcmp(text, is) == 0)
		return 0;
	return sill_err_set(
		e, SILL_ERR_HOST, "qcow2 image '%.80s': its backing file is '%.15s', not '%s'",
		q->b->path,
		sill_image_format_find(text, &format) ? text : "of a format not known here", is);
}

static int check_backing(const struct qcow2 *q, const struct qcow2_head *h, struct sill_err *e)
{
	const struct blk *b = q->b;
	char name[256] = "";
	int depth = 1;

	if (h->name_at != 0 && b->backing == NULL) {
		(void)log_escape(name, sizeof(name), h->bytes + h->name_at, h->name_n);
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "qcow2 image '%.80s' is made on top of '%.100s', which was not "
				   "given",
				   b->path, name);
		return sill_err_hint(e, "name the backing file of the disk");
	}
	if (h->name_at == 0 && b->backing != NULL)
		return bad(q, e, "a backing file is given, but the image names none");
	if (b->backing != NULL && check_format(q, h, e) < 0)
		return -1;
	for (struct blk *x = b->backing; x != NULL; x = x->backing) {
		if (++depth > QCOW2_MAX_DEPTH)
			return sill_err_set(e, SILL_ERR_LIMIT,
					    "'%s': more than %d images on top of each other",
					    b->path, QCOW2_MAX_DEPTH);
		if (same_file(b->fd, x->fd))
			return bad(q, e, "it is its own backing file");
	}
	if (b->data != NULL && same_file(b->fd, b->data->fd))
		return bad(q, e, "it is its own data file");
	return 0;
}

/* Is [off, off + n) a place for a table of whole clusters? */
static bool is_place(const struct qcow2 *q, uint64_t off, uint64_t n)
{
	return off != 0 && off % q->cluster_size == 0 && (off & ~QCOW2_OFFSET) == 0 &&
	       off <= q->file_end && n <= q->file_end - off;
}

static uint64_t l1_needed(const struct qcow2 *q, uint64_t size)
{
	const uint64_t clusters = ((size - 1) >> q->cluster_bits) + 1;

	return (clusters + (1ull << q->l2_bits) - 1) >> q->l2_bits;
}

static int read_places(struct qcow2 *q, const struct qcow2_head *h, struct sill_err *e)
{
	const uint64_t rt_bytes = (uint64_t)h->rt_clusters * q->cluster_size;

	q->l1_size = q->l1_known = h->l1_size;
	q->l1_offset = h->l1_at;
	if (!is_place(q, q->l1_offset, (uint64_t)q->l1_size * 8))
		return bad(q, e, "its L1 table is outside of the file");
	q->rt_offset = h->rt_at;
	if (rt_bytes == 0 || rt_bytes > QCOW2_MAX_RT)
		return bad(q, e, "its refcount table is empty or larger than 8 MiB");
	if (!is_place(q, q->rt_offset, rt_bytes))
		return bad(q, e, "its refcount table is outside of the file");
	q->rt_size = (uint32_t)(rt_bytes / 8);
	return 0;
}

/* Refcounts are not needed to read, and of the L1 table what there is. */
static int salvage_places(struct qcow2 *q, const struct qcow2_head *h, struct sill_err *e)
{
	const uint64_t needed = l1_needed(q, h->size);

	q->l1_known = h->l1_size;
	q->l1_offset = h->l1_at;
	if (needed > QCOW2_MAX_L1)
		return bad(q, e, "its size is absurd");
	q->l1_size = (uint32_t)needed;
	/* Of nothing in the file is known to what place of the disk it belongs. */
	if (!is_place(q, q->l1_offset, 8))
		return bad(q, e, "its L1 table is outside of the file");
	return 0;
}

static void take_geometry(struct qcow2 *q, const struct qcow2_head *h)
{
	const unsigned bits = h->cluster_bits;

	q->version = h->version;
	q->incompat = h->incompat;
	q->autoclear = h->autoclear;
	q->has_bitmaps = h->bitmaps.at != 0;
	q->zstd = h->compression == 1;
	q->cluster_bits = bits;
	q->cluster_size = h->cluster;
	q->old_end = q->is_device ? 0 : (q->file_end + q->cluster_size - 1) >> bits;
	q->entry_size = h->entry_size;
	q->granules = q->entry_size == 16 ? 32 : 1;
	q->granule_bits = q->entry_size == 16 ? bits - 5 : bits;
	q->l2_bits = q->entry_size == 16 ? bits - 4 : bits - 3;
	q->ref_order = h->ref_order;
	q->rb_bits = bits + 3 - q->ref_order;
	q->b->capacity = q->size = h->size - h->size % 512;
}

static int use_header(struct qcow2 *q, const uint8_t *bytes, struct sill_err *e)
{
	const bool salvage = q->b->salvage;
	struct qcow2_head h;

	qcow2_parse(&h, bytes, HEAD);
	if (qcow2_refuse(&h, salvage ? salvage_faults : UINT32_MAX, q->b->path, e) < 0)
		return -1;
	memcpy(q->header, bytes, QCOW2_HEADER);
	take_geometry(q, &h);
	if ((salvage ? salvage_places(q, &h, e) : read_places(q, &h, e)) < 0)
		return -1;
	return check_features(q, &h, e) < 0 ? -1 : check_backing(q, &h, e);
}

int qcow2_header_read(struct qcow2 *q, struct sill_err *e)
{
	const char *path = q->b->path;
	uint8_t *bytes;
	struct stat st;
	off_t end;
	int err, ret;

	if (fstat(q->b->fd, &st) < 0)
		return sill_err_sys(e, errno, "disk '%s'", path);
	q->is_device = S_ISBLK(st.st_mode);
	if (!q->is_device && !S_ISREG(st.st_mode))
		return sill_err_set(e, SILL_ERR_HOST,
				    "disk '%s' is neither a file nor a block device", path);
	end = lseek(q->b->fd, 0, SEEK_END);
	if (end < 0)
		return sill_err_sys(e, errno, "size of '%s'", path);
	q->file_end = (uint64_t)end;
	bytes = malloc(HEAD);
	if (bytes == NULL)
		return sill_err_sys(e, ENOMEM, "disk '%s'", path);
	err = qcow2_pread(&q->file, bytes, HEAD, 0);
	ret = err != 0 ? sill_err_sys(e, err, "header of '%s'", path) : use_header(q, bytes, e);
	free(bytes);
	return ret;
}

int qcow2_header_write(struct qcow2 *q)
{
	qcow2_put_be64(q->header + QCOW2_AT_RT_OFFSET, q->rt_offset);
	qcow2_put_be32(q->header + QCOW2_AT_RT_CLUSTERS,
		       (uint32_t)(((uint64_t)q->rt_size * 8) >> q->cluster_bits));
	if (q->version == 3) {
		qcow2_put_be64(q->header + QCOW2_AT_INCOMPAT, q->incompat);
		qcow2_put_be64(q->header + QCOW2_AT_AUTOCLEAR, q->autoclear);
	}
	/* One sector: all of it gets there, or nothing. */
	return qcow2_pwrite(&q->file, q->header, QCOW2_HEADER, 0);
}

int qcow2_set_corrupt(struct qcow2 *q, const char *what, uint64_t where)
{
	if (q->corrupt)
		return EIO;
	q->corrupt = true;
	log_line(LOG_ERROR, "%s: the image is corrupt: %s (at %#" PRIx64 "); it is %s", q->b->path,
		 what, where, q->b->readonly ? "read as far as it goes" : "not written any more");
	if (!q->b->readonly && q->version == 3) {
		q->incompat |= QCOW2_INCOMPAT_CORRUPT;
		if (qcow2_header_write(q) != 0 || qcow2_sync(&q->file) != 0)
			log_line(LOG_ERROR, "%s: that could not be noted in its header",
				 q->b->path);
	}
	return EIO;
}
