/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_header.c - the first cluster: fields, feature bits, extensions.
 *
 * Big-endian. Version 2 ends after 72 bytes; 3 goes on for header_length, and
 * extensions follow: type, length, data padded to 8, until type 0.
 *
 *	0 magic  4 version  8 backing name: offset  16 length  20 cluster bits  24 size
 *	32 encryption  36 L1 entries  40 L1 offset  48 refcount table offset  56 clusters of it
 *	60 snapshots  64 their offset
 *	72 incompatible  80 compatible  88 autoclear  96 refcount order  100 header length
 *	104 compression
 *
 * Everything in it is a stranger's word.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/qcow2.h"
#include "base/log.h"

enum {
	MAGIC = 0x514649fb,
	V2_LENGTH = 72,
	V3_LENGTH = 104,
	MAX_NAME = 1023,
	EXT_BACKING_FORMAT = 0xe2792aca,
	EXT_FEATURES = 0x6803f857,
	EXT_BITMAPS = 0x23852875,
	EXT_LUKS = 0x0537be77,
	EXTENSIONS = 64 * 1024, /* how much of the first cluster is looked at */
};

struct header {
	const char *path;
	const uint8_t *bytes; /* the first cluster, or as much of it as is looked at */
	size_t n;
	uint64_t incompat;
	uint32_t length;
	uint64_t name_at;
	uint32_t name_length;
	bool has_bitmaps;
	bool salvage; /* what is not needed to read it may be wrong */
	char backing_format[16];
};

/* Foreign text for a message. */
static const char *printable(char *dst, size_t size, const uint8_t *src, size_t n)
{
	return log_escape(dst, size, src, n);
}

static int bad(const struct header *h, struct sill_err *e, const char *what)
{
	return sill_err_set(e, SILL_ERR_HOST, "qcow2 image '%s': %s", h->path, what);
}

/* The name of an incompatible feature, if the image tells. */
static void feature_name(const struct header *h, const uint8_t *table, uint32_t n,
			 struct sill_err *e)
{
	char text[64] = "";
	unsigned bit = (unsigned)__builtin_ctzll(h->incompat & ~0x1full);

	for (uint32_t i = 0; table != NULL && i + 48 <= n; i += 48)
		if (table[i] == 0 && table[i + 1] == bit) {
			const uint8_t *end = memchr(table + i + 2, 0, 46);
			size_t length = end != NULL ? (size_t)(end - (table + i + 2)) : 46;

			(void)printable(text, sizeof(text), table + i + 2, length);
		}
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "qcow2 image '%s' needs a feature that is not known here: bit %u%s%s%s",
			   h->path, bit, text[0] != 0 ? " '" : "", text, text[0] != 0 ? "'" : "");
}

static int read_extensions(struct header *h, struct sill_err *e)
{
	const uint64_t end = h->name_at >= h->length && h->name_at < h->n ? h->name_at : h->n;
	const uint8_t *features = NULL;
	uint32_t features_n = 0;

	for (uint64_t at = h->length; at + 8 <= end;) {
		const uint32_t type = qcow2_be32(h->bytes + at);
		const uint32_t n = qcow2_be32(h->bytes + at + 4);
		const uint8_t *data = h->bytes + at + 8;

		if (type == 0 || (h->salvage && n > end - at - 8))
			break;
		if (n > end - at - 8)
			return bad(h, e, "a header extension is longer than the header's cluster");
		if (type == EXT_LUKS)
			return bad(h, e, "it is encrypted, which is not supported");
		if (type == EXT_BITMAPS)
			h->has_bitmaps = true;
		if (type == (uint32_t)EXT_BACKING_FORMAT && n < sizeof(h->backing_format)) {
			memcpy(h->backing_format, data, n);
			h->backing_format[n] = 0;
		}
		if (type == EXT_FEATURES) {
			features = data;
			features_n = n;
		}
		at += 8 + (((uint64_t)n + 7) & ~7ull);
	}
	if ((h->incompat & ~0x1full) != 0) {
		feature_name(h, features, features_n, e);
		return -1;
	}
	return 0;
}

static int check_features(struct qcow2 *q, struct header *h, struct sill_err *e)
{
	struct blk *b = q->b;

	if (h->incompat & QCOW2_INCOMPAT_CORRUPT) {
		q->corrupt = true;
		if (!b->readonly) {
			(void)bad(h, e, "it is marked as corrupt and must not be written to");
			return sill_err_hint(
				e, "save a copy, then: sill image check -f qcow2 --repair '%s'",
				b->path);
		}
	}
	if ((h->incompat & QCOW2_INCOMPAT_SUBCLUSTERS) != 0 && q->cluster_bits < 14)
		return bad(h, e, "it has subclusters, and clusters of less than 16 KiB");
	if ((h->incompat & QCOW2_INCOMPAT_DATA_FILE) != 0 && b->data == NULL) {
		(void)bad(h, e, "its data are in another file");
		return sill_err_hint(e, "that file must be given with the image");
	}
	if ((h->incompat & QCOW2_INCOMPAT_DATA_FILE) == 0 && b->data != NULL)
		return bad(h, e, "a data file is given, but the image has its data itself");
	if (b->data != NULL && strcmp(b->data->ops->format, "raw") != 0)
		return bad(h, e, "the data file must be raw");
	if ((q->autoclear & QCOW2_AUTOCLEAR_BITMAPS) != 0 && !h->has_bitmaps && !h->salvage)
		return bad(h, e, "it says that it has bitmaps, and has none");
	if ((q->autoclear & QCOW2_AUTOCLEAR_RAW) != 0) {
		if (b->data == NULL)
			return bad(h, e, "it says that its data file is raw, and has none");
		if (h->name_length != 0)
			return bad(h, e, "a raw data file and a backing file exclude each other");
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

static int check_backing(struct qcow2 *q, struct header *h, struct sill_err *e)
{
	struct blk *b = q->b;
	char name[256] = "";
	int depth = 1;

	if (h->name_at != 0) {
		if (h->name_length == 0 || h->name_length > MAX_NAME ||
		    h->name_at > q->cluster_size || h->name_length > q->cluster_size - h->name_at)
			return bad(h, e, "the name of its backing file is out of bounds");
		if (h->name_at + h->name_length <= h->n)
			(void)printable(name, sizeof(name), h->bytes + h->name_at, h->name_length);
	}
	if (h->name_at != 0 && b->backing == NULL) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "qcow2 image '%.80s' is made on top of '%.100s', which was not "
				   "given",
				   b->path, name);
		return sill_err_hint(e, "name the backing file of the disk");
	}
	if (h->name_at == 0 && b->backing != NULL)
		return bad(h, e, "a backing file is given, but the image names none");
	if (b->backing != NULL && h->backing_format[0] != 0 &&
	    strcmp(h->backing_format, b->backing->ops->format) != 0)
		return sill_err_set(
			e, SILL_ERR_HOST,
			"qcow2 image '%.80s': its backing file is '%.15s', not '%s'", b->path,
			strcmp(h->backing_format, "raw") == 0     ? "raw"
			: strcmp(h->backing_format, "qcow2") == 0 ? "qcow2"
								  : "of a format not known here",
			b->backing->ops->format);
	for (struct blk *x = b->backing; x != NULL; x = x->backing) {
		if (++depth > QCOW2_MAX_DEPTH)
			return sill_err_set(e, SILL_ERR_LIMIT,
					    "'%s': more than %d images on top of each other",
					    b->path, QCOW2_MAX_DEPTH);
		if (same_file(b->fd, x->fd))
			return bad(h, e, "it is its own backing file");
	}
	if (b->data != NULL && same_file(b->fd, b->data->fd))
		return bad(h, e, "it is its own data file");
	return 0;
}

/* Is [off, off + n) a place for a table of whole clusters? */
static bool is_place(const struct qcow2 *q, uint64_t off, uint64_t n)
{
	return off != 0 && off % q->cluster_size == 0 && (off & ~QCOW2_OFFSET) == 0 &&
	       off <= q->file_end && n <= q->file_end - off;
}

static uint64_t l1_needed(const struct qcow2 *q)
{
	const uint64_t clusters = ((qcow2_be64(q->header + 24) - 1) >> q->cluster_bits) + 1;

	return (clusters + (1ull << q->l2_bits) - 1) >> q->l2_bits;
}

static int read_places(struct qcow2 *q, struct header *h, struct sill_err *e)
{
	const uint8_t *p = q->header;
	uint64_t rt_bytes;

	q->l1_size = q->l1_known = qcow2_be32(p + 36);
	q->l1_offset = qcow2_be64(p + 40);
	if (q->l1_size > QCOW2_MAX_L1 || q->l1_size < l1_needed(q))
		return bad(h, e, "its L1 table does not fit its size");
	if (!is_place(q, q->l1_offset, (uint64_t)q->l1_size * 8))
		return bad(h, e, "its L1 table is outside of the file");

	q->rt_offset = qcow2_be64(p + QCOW2_AT_RT_OFFSET);
	rt_bytes = (uint64_t)qcow2_be32(p + QCOW2_AT_RT_CLUSTERS) * q->cluster_size;
	if (rt_bytes == 0 || rt_bytes > QCOW2_MAX_RT)
		return bad(h, e, "its refcount table is empty or larger than 8 MiB");
	if (!is_place(q, q->rt_offset, rt_bytes))
		return bad(h, e, "its refcount table is outside of the file");
	q->rt_size = (uint32_t)(rt_bytes / 8);
	return 0;
}

/* Refcounts are not needed to read, and of the L1 table what there is. */
static int salvage_places(struct qcow2 *q, struct header *h, struct sill_err *e)
{
	const uint64_t needed = l1_needed(q);

	q->l1_known = qcow2_be32(q->header + 36);
	q->l1_offset = qcow2_be64(q->header + 40);
	if (needed > QCOW2_MAX_L1)
		return bad(h, e, "its size is absurd");
	q->l1_size = (uint32_t)needed;
	/* Of nothing in the file is known to what place of the disk it belongs. */
	if (!is_place(q, q->l1_offset, 8))
		return bad(h, e, "its L1 table is outside of the file");
	return 0;
}

static int read_geometry(struct qcow2 *q, struct header *h, struct sill_err *e)
{
	const uint8_t *p = q->header;
	const uint64_t size = qcow2_be64(p + 24);
	const uint32_t bits = qcow2_be32(p + 20);

	if (bits < 9 || bits > 21)
		return bad(h, e, "its cluster size is not one from 512 bytes to 2 MiB");
	q->cluster_bits = bits;
	q->cluster_size = 1u << bits;
	q->old_end = q->is_device ? 0 : (q->file_end + q->cluster_size - 1) >> bits;
	q->entry_size = (h->incompat & QCOW2_INCOMPAT_SUBCLUSTERS) != 0 ? 16 : 8;
	q->granules = q->entry_size == 16 ? 32 : 1;
	q->granule_bits = q->entry_size == 16 ? bits - 5 : bits;
	q->l2_bits = q->entry_size == 16 ? bits - 4 : bits - 3;
	q->ref_order = q->version == 2 ? 4 : qcow2_be32(p + 96);
	if (q->ref_order > 6)
		return bad(h, e, "its refcounts are wider than 64 bits");
	q->rb_bits = bits + 3 - q->ref_order;

	if (qcow2_be32(p + 32) != 0)
		return bad(h, e, "it is encrypted, which is not supported");
	if (qcow2_be32(p + 60) != 0) {
		(void)bad(h, e, "it has internal snapshots, which are not supported");
		return sill_err_hint(e, "qemu-img snapshot -l lists them, -d deletes one");
	}

	if (size > INT64_MAX)
		return bad(h, e, "its size is absurd");
	q->b->capacity = q->size = size - size % 512;
	if (q->b->capacity == 0) {
		(void)bad(h, e,
			  size == 0 ? "the disk in it is empty"
				    : "the disk in it is smaller than a sector");
		return sill_err_hint(e,
				     "make it larger with: sill image resize -f qcow2 '%.100s' 20G",
				     q->b->path);
	}
	return h->salvage ? salvage_places(q, h, e) : read_places(q, h, e);
}

static int read_compression(struct qcow2 *q, struct header *h, struct sill_err *e)
{
	const unsigned type = h->length > 104 ? q->header[104] : 0;

	if (((h->incompat & QCOW2_INCOMPAT_COMPRESSION) != 0) != (type != 0))
		return bad(h, e, "it contradicts itself about compression");
	if (type > 1)
		return bad(h, e, "its clusters are compressed in a way not known here");
	q->zstd = type == 1;
	return 0;
}

static int read_all(struct qcow2 *q, struct header *h, struct sill_err *e)
{
	if (qcow2_be32(q->header) != MAGIC) {
		(void)bad(h, e, "it is none: its first bytes are not 'QFI\\xfb'");
		return sill_err_hint(e, "is the format of the disk right?");
	}
	q->version = qcow2_be32(q->header + 4);
	if (q->version != 2 && q->version != 3)
		return sill_err_set(e, SILL_ERR_HOST, "qcow2 image '%s' has version %u, not 2 or 3",
				    h->path, q->version);
	h->length = V2_LENGTH;
	if (q->version == 3) {
		h->incompat = qcow2_be64(q->header + QCOW2_AT_INCOMPAT);
		q->autoclear = qcow2_be64(q->header + QCOW2_AT_AUTOCLEAR);
		h->length = qcow2_be32(q->header + 100);
		if (h->length < V3_LENGTH || h->length % 8 != 0 || h->length > h->n)
			return bad(h, e, "the length of its header is out of bounds");
	}
	h->name_at = qcow2_be64(q->header + 8);
	h->name_length = h->name_at != 0 ? qcow2_be32(q->header + 16) : 0;
	if (qcow2_be32(q->header + 20) < 16 && qcow2_be32(q->header + 20) >= 9)
		h->n = 1u << qcow2_be32(q->header + 20);
	if (h->length > h->n)
		return bad(h, e, "its header is longer than a cluster");
	if (read_extensions(h, e) < 0 || read_geometry(q, h, e) < 0 ||
	    read_compression(q, h, e) < 0 || check_features(q, h, e) < 0 ||
	    check_backing(q, h, e) < 0)
		return -1;
	q->incompat = h->incompat;
	q->has_bitmaps = h->has_bitmaps;
	return 0;
}

int qcow2_header_read(struct qcow2 *q, struct sill_err *e)
{
	struct header h = { .path = q->b->path, .n = EXTENSIONS, .salvage = q->b->salvage };
	uint8_t *bytes = NULL;
	struct stat st;
	off_t end;
	int err, ret = -1;

	if (fstat(q->b->fd, &st) < 0)
		return sill_err_sys(e, errno, "disk '%s'", h.path);
	q->is_device = S_ISBLK(st.st_mode);
	if (!q->is_device && !S_ISREG(st.st_mode))
		return sill_err_set(e, SILL_ERR_HOST,
				    "disk '%s' is neither a file nor a block device", h.path);
	end = lseek(q->b->fd, 0, SEEK_END);
	if (end < 0)
		return sill_err_sys(e, errno, "size of '%s'", h.path);
	q->file_end = (uint64_t)end;
	bytes = malloc(EXTENSIONS);
	if (bytes == NULL)
		return sill_err_sys(e, ENOMEM, "disk '%s'", h.path);
	err = qcow2_pread(&q->file, bytes, EXTENSIONS, 0);
	if (err != 0) {
		(void)sill_err_sys(e, err, "header of '%s'", h.path);
	} else {
		memcpy(q->header, bytes, QCOW2_HEADER);
		h.bytes = bytes;
		ret = read_all(q, &h, e);
	}
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
