/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_look.c - the first cluster: fields, feature bits, extensions.
 *
 * Everything in it is a stranger's word.
 */
#include "backend/block/qcow2_look.h"

#include <string.h>

#include "backend/block/qcow2.h"
#include "base/log.h"

static const struct {
	uint32_t fault;
	const char *text, *hint;
} texts[] = {
	{ QCOW2_BAD_MAGIC, "it is none: there is no qcow2 header",
	  "is the format of the disk right?" },
	{ QCOW2_BAD_CLUSTER, "its cluster size is not one from 512 bytes to 2 MiB", NULL },
	{ QCOW2_BAD_LENGTH, "the length of its header is out of bounds", NULL },
	{ QCOW2_ENCRYPTED, "it is encrypted, which is not supported", NULL },
	{ QCOW2_BAD_NAME_PLACE, "the name of its backing file is out of bounds", NULL },
	{ QCOW2_BAD_NAME, "the name of its backing file is not one", NULL },
	{ QCOW2_BAD_EXTENSION, "a header extension is longer than the header's cluster", NULL },
	{ QCOW2_BAD_FORMAT, "the format of its backing file is not one", NULL },
	{ QCOW2_BAD_DATA_NAME, "the name of its data file is not one", NULL },
	{ QCOW2_BAD_REF_ORDER, "its refcounts are wider than 64 bits", NULL },
	{ QCOW2_BAD_SUBCLUSTERS, "it has subclusters, and clusters of less than 16 KiB", NULL },
	{ QCOW2_BAD_COMPRESSION, "it contradicts itself about compression", NULL },
	{ QCOW2_BAD_COMPRESSION_TYPE, "its clusters are compressed in a way not known here", NULL },
	{ QCOW2_EMPTY, "the disk in it is empty", NULL },
	{ QCOW2_NO_SECTOR, "the disk in it is smaller than a sector", NULL },
	{ QCOW2_ABSURD, "its size is absurd", NULL },
	{ QCOW2_BAD_L1, "its L1 table does not fit its size", NULL },
	{ QCOW2_SNAPSHOTS, "it has internal snapshots, which are not supported",
	  "qemu-img snapshot -l lists them, -d deletes one" },
};

static void fault(struct qcow2_head *h, bool is, enum qcow2_fault which)
{
	if (is)
		h->faults |= which;
}

static bool is_text(const uint8_t *p, uint64_t n, uint64_t max)
{
	return n > 0 && n <= max && memchr(p, 0, n) == NULL;
}

/* Found once it counts; twice nobody knows what is meant. */
static void found(struct qcow2_head *h, struct qcow2_ext *x, uint64_t at, uint32_t n)
{
	h->ext_unknown |= x->at != 0;
	*x = (struct qcow2_ext){ .at = (uint32_t)at, .n = n };
}

static void parse_extension(struct qcow2_head *h, uint32_t type, uint64_t at, uint32_t n)
{
	switch (type) {
	case QCOW2_EXT_BACKING_FORMAT:
		found(h, &h->backing_format, at, n);
		fault(h, n >= 16 || memchr(h->bytes + at, 0, n) != NULL, QCOW2_BAD_FORMAT);
		return;
	case QCOW2_EXT_DATA_FILE:
		found(h, &h->data_file, at, n);
		fault(h, !is_text(h->bytes + at, n, SILL_IMAGE_MAX_NAME), QCOW2_BAD_DATA_NAME);
		return;
	case QCOW2_EXT_FEATURES:
		found(h, &h->features, at, n);
		return;
	case QCOW2_EXT_BITMAPS:
		found(h, &h->bitmaps, at, n);
		return;
	case QCOW2_EXT_LUKS:
		fault(h, true, QCOW2_ENCRYPTED);
		return;
	default:
		h->ext_unknown = true;
		return;
	}
}

/* @room: of the first cluster, what is looked at. */
static void parse_names(struct qcow2_head *h, uint64_t room)
{
	uint64_t end = room;

	if (h->name_at != 0 &&
	    (h->name_at < h->length || h->name_at > room || h->name_n > room - h->name_at)) {
		fault(h, true, QCOW2_BAD_NAME_PLACE);
	} else if (h->name_at != 0) {
		end = h->name_at;
		fault(h, !is_text(h->bytes + h->name_at, h->name_n, SILL_IMAGE_MAX_NAME),
		      QCOW2_BAD_NAME);
	}
	for (uint64_t at = h->length; at + 8 <= end;) {
		const uint32_t type = qcow2_be32(h->bytes + at), n = qcow2_be32(h->bytes + at + 4);

		if (type == QCOW2_EXT_END) {
			h->ext_end = (uint32_t)at + 8;
			h->ext_all = true;
			return;
		}
		if (n > end - at - 8) {
			fault(h, true, QCOW2_BAD_EXTENSION);
			return;
		}
		parse_extension(h, type, at + 8, n);
		at += qcow2_ext_size(n);
	}
	h->ext_all = end != room || room == h->cluster;
}

static void parse_disk(struct qcow2_head *h)
{
	/* By an entry of the L1 table. */
	const uint64_t covered = (uint64_t)h->cluster / h->entry_size * h->cluster;

	fault(h, h->ref_order > 6, QCOW2_BAD_REF_ORDER);
	fault(h, h->entry_size == 16 && h->cluster_bits < 14, QCOW2_BAD_SUBCLUSTERS);
	fault(h, ((h->incompat & QCOW2_INCOMPAT_COMPRESSION) != 0) != (h->compression != 0),
	      QCOW2_BAD_COMPRESSION);
	fault(h, h->compression > 1, QCOW2_BAD_COMPRESSION_TYPE);
	fault(h, h->size == 0, QCOW2_EMPTY);
	fault(h, h->size < 512, QCOW2_NO_SECTOR);
	fault(h, h->size > INT64_MAX, QCOW2_ABSURD);
	fault(h,
	      h->l1_size > QCOW2_MAX_L1 ||
		      (h->size != 0 && h->l1_size < (h->size - 1) / covered + 1),
	      QCOW2_BAD_L1);
}

void qcow2_parse(struct qcow2_head *ret, const uint8_t *p, size_t n)
{
	struct qcow2_head *h = ret;
	uint64_t room;

	*h = (struct qcow2_head){ .bytes = p, .version = 2, .ref_order = 4, .entry_size = 8 };
	fault(h, n < QCOW2_V3_LENGTH || qcow2_be32(p) != QCOW2_MAGIC, QCOW2_BAD_MAGIC);
	if (h->faults != 0)
		return;
	h->version = qcow2_be32(p + QCOW2_AT_VERSION);
	h->cluster_bits = qcow2_be32(p + QCOW2_AT_CLUSTER_BITS);
	fault(h, h->version != 2 && h->version != 3, QCOW2_BAD_VERSION);
	fault(h, h->cluster_bits < 9 || h->cluster_bits > 21, QCOW2_BAD_CLUSTER);
	if (h->faults != 0)
		return;
	h->cluster = 1u << h->cluster_bits;
	room = h->cluster < n ? h->cluster : n;
	h->length = QCOW2_V2_LENGTH;
	if (h->version == 3) {
		h->incompat = qcow2_be64(p + QCOW2_AT_INCOMPAT);
		h->compat = qcow2_be64(p + QCOW2_AT_COMPAT);
		h->autoclear = qcow2_be64(p + QCOW2_AT_AUTOCLEAR);
		h->ref_order = qcow2_be32(p + QCOW2_AT_REF_ORDER);
		h->length = qcow2_be32(p + QCOW2_AT_LENGTH);
	}
	fault(h, h->version == 3 && h->length < QCOW2_V3_LENGTH, QCOW2_BAD_LENGTH);
	fault(h, h->length % 8 != 0 || h->length > room, QCOW2_BAD_LENGTH);
	if (h->version == 3 && h->length > QCOW2_AT_COMPRESSION && n > QCOW2_AT_COMPRESSION)
		h->compression = p[QCOW2_AT_COMPRESSION];
	h->entry_size = (h->incompat & QCOW2_INCOMPAT_SUBCLUSTERS) != 0 ? 16 : 8;
	h->size = qcow2_be64(p + QCOW2_AT_SIZE);
	h->l1_size = qcow2_be32(p + QCOW2_AT_L1_SIZE);
	h->l1_at = qcow2_be64(p + QCOW2_AT_L1);
	h->rt_at = qcow2_be64(p + QCOW2_AT_RT_OFFSET);
	h->rt_clusters = qcow2_be32(p + QCOW2_AT_RT_CLUSTERS);
	h->snapshots = qcow2_be32(p + QCOW2_AT_SNAPSHOTS);
	h->name_at = qcow2_be64(p + QCOW2_AT_NAME);
	h->name_n = h->name_at != 0 ? qcow2_be32(p + QCOW2_AT_NAME_LENGTH) : 0;
	fault(h, qcow2_be32(p + QCOW2_AT_ENCRYPTION) != 0, QCOW2_ENCRYPTED);
	fault(h, (h->incompat & ~QCOW2_INCOMPAT_KNOWN) != 0, QCOW2_BAD_FEATURE);
	fault(h, h->snapshots != 0, QCOW2_SNAPSHOTS);
	parse_disk(h);
	if ((h->faults & QCOW2_BAD_LENGTH) == 0)
		parse_names(h, room);
}

/* With the name of the feature, if the image tells. */
static int refuse_feature(const struct qcow2_head *h, const char *path, struct sill_err *e)
{
	const unsigned bit = (unsigned)__builtin_ctzll(h->incompat & ~QCOW2_INCOMPAT_KNOWN);
	const uint8_t *row = h->bytes + h->features.at;
	char text[64] = "";

	for (uint32_t i = 0; h->features.n - i >= 48; i += 48, row += 48)
		if (row[0] == 0 && row[1] == bit)
			(void)log_escape(text, sizeof(text), row + 2,
					 strnlen((const char *)row + 2, 46));
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "qcow2 image '%.100s' has a feature that is not supported: bit %u%s%s%s",
			   path, bit, text[0] != 0 ? " '" : "", text, text[0] != 0 ? "'" : "");
	return sill_err_hint(e, "convert it with the program that made it");
}

int qcow2_refuse(const struct qcow2_head *h, uint32_t which, const char *path, struct sill_err *e)
{
	const uint32_t faults = h->faults & which, first = faults & -faults;

	if (first == 0)
		return 0;
	if (first == QCOW2_BAD_VERSION)
		return sill_err_set(e, SILL_ERR_HOST,
				    "qcow2 image '%.150s' has version %u, not 2 or 3", path,
				    h->version);
	if (first == QCOW2_BAD_FEATURE)
		return refuse_feature(h, path, e);
	for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i].fault != first)
			continue;
		(void)sill_err_set(e, SILL_ERR_HOST, "qcow2 image '%.150s': %s", path,
				   texts[i].text);
		if ((first & (QCOW2_EMPTY | QCOW2_NO_SECTOR)) != 0)
			return sill_err_hint(
				e, "make it larger with: sill image resize -f qcow2 '%.100s' 20G",
				path);
		return texts[i].hint != NULL ? sill_err_hint(e, "%s", texts[i].hint) : -1;
	}
	return sill_err_set(e, SILL_ERR_INTERNAL, "qcow2 image '%.150s': fault %#x", path, first);
}

/* --- for people, and for who is to open what belongs to it ------------------ */

unsigned qcow2_is(const struct blk_look *l)
{
	struct qcow2_head h;

	qcow2_parse(&h, l->front, l->n);
	return (h.faults & QCOW2_IS_NONE) == 0 ? 2 : 0;
}

/* As many as there is room for, and a NUL. */
static void take(char *dst, size_t size, const struct qcow2_head *h, struct qcow2_ext x)
{
	if (x.at == 0 || x.n >= size)
		return;
	memcpy(dst, h->bytes + x.at, x.n);
	dst[x.n] = '\0';
}

static void tell(struct sill_image_info *f, const struct qcow2_head *h)
{
	const struct qcow2_ext name = { (uint32_t)h->name_at, h->name_n };

	f->version = h->version;
	f->block_size = h->cluster;
	f->size = h->size;
	f->refcount_bits = h->ref_order <= 6 ? 1u << h->ref_order : 0;
	f->encrypted = (h->faults & QCOW2_ENCRYPTED) != 0;
	f->snapshots = h->snapshots;
	f->lazy_refcounts = (h->compat & QCOW2_COMPAT_LAZY) != 0;
	f->data_raw = (h->autoclear & QCOW2_AUTOCLEAR_RAW) != 0;
	f->zstd = h->compression == 1;
	f->dirty = (h->incompat & QCOW2_INCOMPAT_DIRTY) != 0;
	f->corrupt = (h->incompat & QCOW2_INCOMPAT_CORRUPT) != 0;
	f->has_data_file = (h->incompat & QCOW2_INCOMPAT_DATA_FILE) != 0;
	f->subclusters = h->entry_size == 16;
	f->has_bitmaps = h->bitmaps.at != 0;
	take(f->data_file, sizeof(f->data_file), h, h->data_file);
	take(f->backing, sizeof(f->backing), h, name);
	take(f->backing_format_said, sizeof(f->backing_format_said), h, h->backing_format);
	f->has_backing_format = sill_image_format_find(f->backing_format_said, &f->backing_format);
}

int qcow2_look(const struct blk_look *l, struct sill_image_info *ret, struct sill_err *e)
{
	struct qcow2_head h;

	qcow2_parse(&h, l->front, l->n);
	if ((h.faults & QCOW2_BAD_MAGIC) != 0)
		return blk_look_is_none(l, "there is no qcow2 header", e);
	if (!l->to_use && qcow2_refuse(&h, QCOW2_BAD_VERSION, l->path, e) < 0)
		return blk_look_hint(l, e);
	if (qcow2_refuse(&h, l->to_use ? UINT32_MAX : QCOW2_IS_NONE | QCOW2_BAD_NAME_PLACE, l->path,
			 e) < 0)
		return -1;
	tell(ret, &h);
	if (!l->to_use)
		return 0;
	ret->size -= h.size % 512;
	if (h.l1_at <= l->size && h.l1_size * 8ull <= l->size - h.l1_at && h.rt_at < l->size)
		return 0;
	(void)blk_look_bad(l, "the file ends before its tables: it was cut off", e);
	return sill_err_hint(e, "was it copied completely?");
}
