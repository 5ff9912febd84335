/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_audit.c - who uses which cluster of a qcow2 file.
 *
 * The header, the tables that it points to, and what these point to are
 * counted; then the counts are compared with the refcounts, and the flag "ours
 * alone" of each entry with its count. Refcounts come last: they follow from the
 * rest, so where two lie on the same place it is they that are wrong.
 *
 * No table is read twice, however often it is pointed to, holes are not read,
 * and of clusters without a use only whole thousands are looked at: so the work
 * is bounded by what the file has, not by how large it says it is.
 */
#include "backend/block/qcow2_audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAX_CLUSTERS = 1 << 28, /* 512 MiB of counters; 16 TiB with the usual clusters */
	MAX_BITMAPS = 65535,
	MAX_DIRECTORY = 64 * 1024 * 1024, /* bytes: 65535 bitmaps with the longest names */
	TOUCHED = 4096,                   /* clusters to a byte of a->touched */
};

static int cannot(const struct qcow2_audit *a, struct sill_err *e, const char *why)
{
	return sill_err_set(e, SILL_ERR_HOST, "qcow2 image '%s': %s", a->c->path, why);
}

bool qcow2_audit_is_place(const struct qcow2_audit *a, uint64_t off)
{
	return off % a->cluster == 0 && off != 0 && off < a->file_size;
}

bool qcow2_audit_is_meta(const struct qcow2_audit *a, uint64_t cluster)
{
	return (a->meta[cluster / 8] >> cluster % 8 & 1) != 0;
}

/* --- counting -------------------------------------------------------------- */

static void use(struct qcow2_audit *a, uint64_t cluster)
{
	a->touched[cluster / TOUCHED] = 1;
	if (a->count[cluster] < UINT16_MAX) {
		a->count[cluster]++;
		return;
	}
	if (!a->left)
		blk_check_error(a->c, "cluster %" PRIu64 " has more uses than can be counted",
				cluster);
	a->unsure = a->left = true;
}

uint64_t qcow2_audit_next(const struct qcow2_audit *a, uint64_t from, uint64_t end)
{
	end = end < a->n ? end : a->n;
	while (from < end) {
		if (a->touched[from / TOUCHED] == 0)
			from = (from / TOUCHED + 1) * TOUCHED;
		else if (a->count[from] == 0)
			from++;
		else
			return from;
	}
	return end;
}

static void lies_on(struct qcow2_audit *a, const char *what, uint64_t index, uint64_t off)
{
	a->unsure = true;
	blk_check_error(a->c, "%s %" PRIu64 " at %#" PRIx64 " lies on something else", what, index,
			off);
}

/* A cluster of metadata; false: it has another use already, and is not to be read again. */
static bool use_meta(struct qcow2_audit *a, uint64_t off, const char *what, uint64_t index)
{
	const uint64_t cluster = off >> a->bits;
	const bool is_free = a->count[cluster] == 0;

	use(a, cluster);
	a->meta[cluster / 8] |= (uint8_t)(1u << cluster % 8);
	if (!is_free)
		lies_on(a, what, index, off);
	return is_free;
}

/*
 * A table of @bytes; its clusters. False: one of them has another use, and none is counted. So no
 * number of forged tables that all want the same clusters makes more work than one.
 */
static bool use_table(struct qcow2_audit *a, uint64_t off, uint64_t bytes, const char *what)
{
	const uint64_t first = off >> a->bits, n = (bytes + a->cluster - 1) >> a->bits;
	const uint64_t taken = qcow2_audit_next(a, first, first + n);

	if (taken < first + n && taken < a->n) {
		lies_on(a, what, taken - first, taken << a->bits);
		return false;
	}
	for (uint64_t i = 0; i < n; i++)
		(void)use_meta(a, off + (i << a->bits), what, i);
	return true;
}

static void no_place(struct qcow2_audit *a, const char *what, uint64_t index, uint64_t entry)
{
	a->unsure = true;
	blk_check_error(a->c, "%s %" PRIu64 " is no place in the file: %#" PRIx64, what, index,
			entry);
}

static void bad_entry(struct qcow2_audit *a, const char *what, uint64_t index, uint64_t entry)
{
	uint64_t off = entry & QCOW2_OFFSET;

	if ((entry & QCOW2_COMPRESSED) != 0)
		off = entry & ((1ull << (62 - (a->bits - 8))) - 1);
	if (off >= a->file_size && off < a->wild_from)
		a->wild_from = off;
	a->left = true;
	no_place(a, what, index, entry);
}

/* Where the next data and the next hole are, as the host's file system has it; a device is all data. */
static void find_hole(struct qcow2_audit *a, uint64_t off)
{
	const off_t data = lseek(a->c->fd, (off_t)off, SEEK_DATA);
	off_t end;

	if (data < 0 && errno == ENXIO) {
		a->hole_from = off;
		a->hole_to = UINT64_MAX;
	} else if (data > (off_t)off) {
		a->hole_from = off;
		a->hole_to = (uint64_t)data;
	} else {
		end = data < 0 ? -1 : lseek(a->c->fd, data, SEEK_HOLE);
		a->data_from = off;
		a->data_to = end < 0 ? UINT64_MAX : (uint64_t)end;
	}
}

int qcow2_audit_read(struct qcow2_audit *a, uint64_t off, bool *ret_hole)
{
	const uint64_t end = off + a->cluster;

	if (!(off >= a->hole_from && off < a->hole_to) &&
	    !(off >= a->data_from && off < a->data_to))
		find_hole(a, off);
	*ret_hole = off >= a->hole_from && end <= a->hole_to;
	return *ret_hole ? 0 : qcow2_pread(&a->file, a->buf, a->cluster, off);
}

static void count_packed(struct qcow2_audit *a, uint64_t index, uint64_t entry)
{
	const unsigned x = 62 - (a->bits - 8);
	const uint64_t off = entry & ((1ull << x) - 1);
	const uint64_t more = entry >> x & ((1ull << (a->bits - 8)) - 1);
	uint64_t end = off + (more + 1) * 512 - off % 512;

	if (off < a->cluster || off >= a->file_size || (entry & QCOW2_COPIED) != 0 ||
	    (a->incompat & QCOW2_INCOMPAT_DATA_FILE) != 0) {
		bad_entry(a, "compressed cluster", index, entry);
		return;
	}
	end = end < a->file_size ? end : a->file_size; /* the last sector may be cut */
	for (uint64_t c = off >> a->bits; c <= (end - 1) >> a->bits; c++)
		use(a, c);
	a->c->found.allocated++;
	a->c->found.compressed++;
	a->c->found.fragmented++;
}

/* @index: of the cluster of the disk. @next: where it would lie if it followed the last one. */
static void count_entry(struct qcow2_audit *a, uint64_t index, uint64_t entry, uint64_t bitmap,
			uint64_t *next)
{
	const uint64_t off = entry & QCOW2_OFFSET;
	uint64_t known = QCOW2_OFFSET | QCOW2_COPIED;

	if ((entry & QCOW2_COMPRESSED) != 0) {
		count_packed(a, index, entry);
		return;
	}
	if (a->entry_size == 8 && a->version >= 3)
		known |= QCOW2_ZERO;
	if ((entry & ~known) != 0 || (bitmap >> 32 & bitmap & UINT32_MAX) != 0) {
		bad_entry(a, "entry of cluster", index, entry);
		return;
	}
	if ((a->incompat & QCOW2_INCOMPAT_DATA_FILE) != 0) {
		if ((entry & (QCOW2_OFFSET | QCOW2_COPIED)) != 0 && off != index << a->bits)
			bad_entry(a, "cluster in the data file", index, entry);
		a->c->found.allocated += (entry & (QCOW2_OFFSET | QCOW2_COPIED)) != 0;
		return;
	}
	if (off == 0 && (entry & QCOW2_COPIED) == 0 && (bitmap & UINT32_MAX) == 0)
		return;
	if (!qcow2_audit_is_place(a, off)) {
		bad_entry(a, "cluster", index, entry);
		return;
	}
	use(a, off >> a->bits);
	a->c->found.allocated++;
	a->c->found.fragmented += *next != 0 && off != *next;
	*next = off + a->cluster;
}

static int count_l2(struct qcow2_audit *a, uint32_t i, struct sill_err *e)
{
	const uint64_t off = a->l1[i] & QCOW2_OFFSET, per = a->cluster / a->entry_size;
	uint64_t follows = 0;
	bool is_hole;
	int err;

	if ((a->l1[i] & ~(QCOW2_OFFSET | QCOW2_COPIED)) != 0 || !qcow2_audit_is_place(a, off)) {
		bad_entry(a, "L2 table", i, a->l1[i]);
		return 0;
	}
	if (!use_meta(a, off, "L2 table", i)) {
		a->left = true;
		return 0;
	}
	err = qcow2_audit_read(a, off, &is_hole);
	if (err != 0)
		return sill_err_sys(e, err, "L2 table of '%s'", a->c->path);
	for (uint64_t k = 0; k < per && !is_hole; k++) {
		const uint8_t *p = a->buf + k * a->entry_size;

		count_entry(a, i * per + k, qcow2_be64(p),
			    a->entry_size == 16 ? qcow2_be64(p + 8) : 0, &follows);
	}
	return 0;
}

/* --- bitmaps --------------------------------------------------------------- */

static int count_bitmap(struct qcow2_audit *a, uint64_t table, uint32_t entries, struct sill_err *e)
{
	const uint64_t bytes = (uint64_t)entries * 8;

	if (!qcow2_audit_is_place(a, table) || bytes > a->file_size - table) {
		no_place(a, "table of a bitmap", 0, table);
		return 0;
	}
	if (!use_table(a, table, bytes, "table of a bitmap"))
		return 0;
	for (uint64_t at = 0; at < bytes; at += a->cluster) {
		bool is_hole;
		int err = qcow2_audit_read(a, table + at, &is_hole);

		if (err != 0)
			return sill_err_sys(e, err, "bitmaps of '%s'", a->c->path);
		for (uint64_t k = 0; k < a->cluster && at + k < bytes && !is_hole; k += 8) {
			const uint64_t off = qcow2_be64(a->buf + k) & QCOW2_OFFSET;

			if (off != 0 && !qcow2_audit_is_place(a, off))
				no_place(a, "cluster of a bitmap", (at + k) / 8, off);
			else if (off != 0)
				(void)use_meta(a, off, "cluster of a bitmap", (at + k) / 8);
		}
	}
	return 0;
}

static int walk_directory(struct qcow2_audit *a, const uint8_t *dir, uint64_t size, uint32_t count,
			  struct sill_err *e)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t n;

		if (at > size || size - at < 24)
			break;
		n = 24 + (uint64_t)qcow2_be32(dir + at + 20) + (uint64_t)dir[at + 18] * 256 +
		    dir[at + 19];
		n = (n + 7) & ~7ull;
		if (n > size - at)
			break;
		if (count_bitmap(a, qcow2_be64(dir + at), qcow2_be32(dir + at + 8), e) < 0)
			return -1;
		at += n;
	}
	if (at != size) {
		a->unsure = true;
		blk_check_error(a->c, "the directory of the bitmaps is damaged");
	}
	return 0;
}

/* The extension: number, reserved, size of the directory, its place. */
static int count_bitmaps(struct qcow2_audit *a, const uint8_t *x, uint32_t n, struct sill_err *e)
{
	const uint32_t count = n >= 24 ? qcow2_be32(x) : 0;
	const uint64_t size = n >= 24 ? qcow2_be64(x + 8) : 0,
		       at = n >= 24 ? qcow2_be64(x + 16) : 0;
	uint8_t *dir;
	int err, ret;

	if (n < 24 || count > MAX_BITMAPS || size > MAX_DIRECTORY || !qcow2_audit_is_place(a, at) ||
	    size > a->file_size - at) {
		no_place(a, "directory of the bitmaps", 0, at);
		return 0;
	}
	if (!use_table(a, at, size, "directory of the bitmaps"))
		return 0;
	dir = malloc(size != 0 ? size : 1);
	err = dir == NULL ? ENOMEM : qcow2_pread(&a->file, dir, size, at);
	ret = err != 0 ? sill_err_sys(e, err, "bitmaps of '%s'", a->c->path)
		       : walk_directory(a, dir, size, count, e);
	free(dir);
	return ret;
}

static int count_extensions(struct qcow2_audit *a, struct sill_err *e)
{
	const struct qcow2_head *h = &a->head;

	/* One that is not known; one that does not end here: bitmaps may follow. */
	if (h->ext_unknown || !h->ext_all)
		a->unsure = true;
	/* Its bit is clear: others may have written since, the bitmaps mean nothing. */
	return h->bitmaps.at != 0 ? count_bitmaps(a, a->header + h->bitmaps.at, h->bitmaps.n, e)
				  : 0;
}

/* --- comparing ------------------------------------------------------------- */

uint64_t qcow2_audit_ref_get(const struct qcow2_audit *a, const uint8_t *block, uint64_t i)
{
	const uint64_t bit = i << a->ref_order;
	const unsigned bits = 1u << a->ref_order;
	uint64_t v = 0;

	if (bits < 8)
		return block[bit / 8] >> bit % 8 & ((1u << bits) - 1);
	for (unsigned k = 0; k < bits / 8; k++)
		v = v << 8 | block[bit / 8 + k];
	return v;
}

void qcow2_audit_ref_put(const struct qcow2_audit *a, uint8_t *block, uint64_t i, uint64_t v)
{
	const uint64_t bit = i << a->ref_order;
	const unsigned bits = 1u << a->ref_order;

	if (bits < 8) {
		const uint8_t mask = (uint8_t)(((1u << bits) - 1) << bit % 8);

		block[bit / 8] = (uint8_t)((block[bit / 8] & ~mask) | (v << bit % 8 & mask));
		return;
	}
	for (unsigned k = bits / 8; k > 0; k--, v >>= 8)
		block[bit / 8 + k - 1] = (uint8_t)v;
}

static void compare(struct qcow2_audit *a, uint64_t cluster, uint64_t ref)
{
	const uint64_t uses = a->count[cluster];

	/* People cut the file there: what is in use counts, whatever its refcount says. */
	if ((ref != 0 || uses != 0) && (cluster + 1) << a->bits > a->c->found.end_offset)
		a->c->found.end_offset = (cluster + 1) << a->bits;
	if (uses == ref)
		return;
	if (ref < uses) {
		a->wrong_low++;
		blk_check_error(a->c,
				"cluster %" PRIu64 " has refcount %" PRIu64 " and %" PRIu64 " uses",
				cluster, ref, uses);
	} else {
		a->wrong_high++;
		blk_check_leak(a->c, 1,
			       "leaked cluster %" PRIu64 ": refcount %" PRIu64 ", %" PRIu64 " uses",
			       cluster, ref, uses);
	}
}

/* The same for a row of them of which all refcounts are 0; how many have uses. */
static uint64_t compare_none(struct qcow2_audit *a, uint64_t from, uint64_t end)
{
	uint64_t n = 0;

	for (uint64_t c = from; (c = qcow2_audit_next(a, c, end)) < end && c < a->n; c++) {
		compare(a, c, 0);
		n++;
	}
	return n;
}

static int compare_block(struct qcow2_audit *a, uint32_t i, struct sill_err *e)
{
	const uint64_t per = (uint64_t)a->cluster * 8 >> a->ref_order, first = i * per;
	bool is_hole = true;
	int err = a->rt[i] != 0 ? qcow2_audit_read(a, a->rt[i], &is_hole) : 0;

	if (err != 0)
		return sill_err_sys(e, err, "refcounts of '%s'", a->c->path);
	if (is_hole) {
		const uint64_t uses = compare_none(a, first, first + per);

		a->bad_blocks += uses != 0 && a->rt[i] == 0;
		return 0;
	}
	for (uint64_t k = 0; k < per; k++) {
		const uint64_t ref = qcow2_audit_ref_get(a, a->buf, k);

		if (first + k < a->n)
			compare(a, first + k, ref);
		else
			a->wrong_behind += ref != 0;
	}
	return 0;
}

static int compare_all(struct qcow2_audit *a, struct sill_err *e)
{
	const uint64_t per = (uint64_t)a->cluster * 8 >> a->ref_order;

	for (uint32_t i = 0; i < a->rt_size; i++)
		if (compare_block(a, i, e) < 0)
			return -1;
	/* What the table does not reach. */
	a->bad_blocks += compare_none(a, a->rt_size * per, a->n);
	/* What an entry leads to that makes no sense may be anywhere. */
	if (a->unsure && a->c->found.end_offset < a->file_size)
		a->c->found.end_offset = a->file_size;
	return 0;
}

/* --- the flag "ours alone" ------------------------------------------------- */

static void check_flag(struct qcow2_audit *a, uint64_t entry, const char *what, uint64_t index)
{
	const uint64_t off = entry & QCOW2_OFFSET;
	const bool flag = (entry & QCOW2_COPIED) != 0;

	if (!qcow2_audit_is_place(a, off) || (entry & QCOW2_COMPRESSED) != 0)
		return;
	if (flag == (a->count[off >> a->bits] == 1))
		return;
	a->wrong_set += flag;
	a->wrong_clear += !flag;
	blk_check_error(a->c, "%s %" PRIu64 " is flagged as %s, and has %u uses", what, index,
			flag ? "ours alone" : "shared", a->count[off >> a->bits]);
}

bool qcow2_audit_lacks_flag(const struct qcow2_audit *a, uint64_t entry, uint64_t index)
{
	const uint64_t off = entry & QCOW2_OFFSET;

	return off != 0 && off == index << a->bits &&
	       (entry & (QCOW2_COPIED | QCOW2_COMPRESSED)) == 0;
}

static void lacks_flag(struct qcow2_audit *a, uint64_t index)
{
	a->wrong_clear++;
	blk_check_error(a->c,
			"cluster %" PRIu64 " is flagged as shared, which none in a data file is",
			index);
}

static int check_flags(struct qcow2_audit *a, struct sill_err *e)
{
	const uint64_t per = a->cluster / a->entry_size;

	for (uint32_t i = 0; i < a->l1_size; i++) {
		const uint64_t off = a->l1[i] & QCOW2_OFFSET;
		bool is_hole;
		int err;

		if (a->l1[i] == 0)
			continue;
		check_flag(a, a->l1[i], "L2 table", i);
		if (!qcow2_audit_is_place(a, off) || a->count[off >> a->bits] != 1)
			continue;
		err = qcow2_audit_read(a, off, &is_hole);
		if (err != 0)
			return sill_err_sys(e, err, "L2 table of '%s'", a->c->path);
		for (uint64_t k = 0; k < per && !is_hole; k++) {
			const uint64_t entry = qcow2_be64(a->buf + k * a->entry_size);

			if ((a->incompat & QCOW2_INCOMPAT_DATA_FILE) == 0)
				check_flag(a, entry, "cluster", i * per + k);
			else if (qcow2_audit_lacks_flag(a, entry, i * per + k))
				lacks_flag(a, i * per + k);
		}
	}
	return 0;
}

/* --- the whole ------------------------------------------------------------- */

static int read_words(struct qcow2_audit *a, uint64_t **ret, uint32_t n, uint64_t off,
		      struct sill_err *e)
{
	uint64_t *words = calloc(n != 0 ? n : 1, sizeof(*words));
	int err = words == NULL ? ENOMEM : qcow2_pread(&a->file, words, (size_t)n * 8, off);

	*ret = words;
	if (err != 0)
		return sill_err_sys(e, err, "tables of '%s'", a->c->path);
	for (uint32_t i = 0; i < n; i++)
		words[i] = qcow2_be64(&words[i]);
	return 0;
}

/* @n entries of 8 bytes at @off: in the file? */
static bool is_table(const struct qcow2_audit *a, uint64_t off, uint64_t n)
{
	return qcow2_audit_is_place(a, off) && n * 8 <= a->file_size - off;
}

static int read_header(struct qcow2_audit *a, struct sill_err *e)
{
	const struct qcow2_head *h = &a->head;
	uint64_t rt_bytes;
	struct stat st;
	int err = qcow2_pread(&a->file, a->header, sizeof(a->header), 0);
	off_t end = 0;

	if (err == 0 && (fstat(a->c->fd, &st) < 0 || (end = lseek(a->c->fd, 0, SEEK_END)) < 0))
		err = errno;
	if (err != 0)
		return sill_err_sys(e, err, "header of '%s'", a->c->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return cannot(a, e, "it is neither a file nor a block device");
	a->is_device = S_ISBLK(st.st_mode);
	a->file_size = (uint64_t)end;
	qcow2_parse(&a->head, a->header, sizeof(a->header));
	if ((h->faults & QCOW2_IS_NONE) != 0)
		return cannot(a, e, "its header is damaged, or it is none");
	if (qcow2_refuse(h,
			 QCOW2_BAD_FEATURE | QCOW2_ENCRYPTED | QCOW2_SNAPSHOTS |
				 QCOW2_BAD_REF_ORDER | QCOW2_BAD_SUBCLUSTERS,
			 a->c->path, e) < 0)
		return -1;
	a->version = h->version;
	a->bits = h->cluster_bits;
	a->cluster = h->cluster;
	a->size = h->size;
	a->incompat = h->incompat;
	a->ref_order = h->ref_order;
	a->entry_size = h->entry_size;
	a->n = (a->file_size + a->cluster - 1) >> a->bits;
	if (a->n > MAX_CLUSTERS || a->n == 0)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "qcow2 image '%s' has too many clusters: %" PRIu64, a->c->path,
				    a->n);
	a->l1_size = h->l1_size;
	a->l1_at = h->l1_at;
	a->rt_at = h->rt_at;
	rt_bytes = (uint64_t)h->rt_clusters << a->bits;
	if (a->l1_size > QCOW2_MAX_L1 || (a->l1_size != 0 && !is_table(a, a->l1_at, a->l1_size)))
		return cannot(a, e, "its L1 table is outside of the file");
	if (a->size != 0 &&
	    (a->size - 1) >> a->bits >= (uint64_t)a->l1_size * (a->cluster / a->entry_size))
		return cannot(a, e, "its L1 table does not fit its size");
	if (rt_bytes > QCOW2_MAX_RT)
		return cannot(a, e, "its refcount table is larger than 8 MiB");
	a->rt_size = (uint32_t)(rt_bytes / 8);
	if (!is_table(a, a->rt_at, a->rt_size)) {
		blk_check_error(a->c, "the refcount table is outside of the file");
		a->rt_size = 0;
		a->bad_blocks++;
	}
	return 0;
}

static int allocate(struct qcow2_audit *a, struct sill_err *e)
{
	a->count = mmap(NULL, a->n * sizeof(*a->count), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	a->meta = mmap(NULL, a->n / 8 + 1, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	a->touched = calloc(a->n / TOUCHED + 1, 1);
	a->buf = malloc(a->cluster);
	if (a->touched == NULL || a->count == MAP_FAILED || a->meta == MAP_FAILED || a->buf == NULL)
		return sill_err_sys(e, ENOMEM, "check of '%s'", a->c->path);
	return 0;
}

/* The other use of a place is the one that counts: refcounts can be made again. */
static int count_refcounts(struct qcow2_audit *a, struct sill_err *e)
{
	if (a->rt_size != 0 &&
	    !use_table(a, a->rt_at, (uint64_t)a->rt_size * 8, "refcount table")) {
		a->rt_size = 0;
		a->bad_blocks++;
	}
	if (read_words(a, &a->rt, a->rt_size, a->rt_at, e) < 0)
		return -1;
	for (uint32_t i = 0; i < a->rt_size; i++) {
		if (a->rt[i] == 0)
			continue;
		if (!qcow2_audit_is_place(a, a->rt[i]))
			blk_check_error(a->c,
					"refcount block %u is no place in the file: %#" PRIx64, i,
					a->rt[i]);
		else if (a->count[a->rt[i] >> a->bits] != 0)
			lies_on(a, "refcount block", i, a->rt[i]);
		else if (use_meta(a, a->rt[i], "refcount block", i))
			continue;
		a->bad_blocks++;
		a->rt[i] = 0;
	}
	return 0;
}

static int count_all(struct qcow2_audit *a, struct sill_err *e)
{
	(void)use_meta(a, 0, "header", 0);
	(void)use_table(a, a->l1_at, (uint64_t)a->l1_size * 8, "L1 table");
	if (read_words(a, &a->l1, a->l1_size, a->l1_at, e) < 0)
		return -1;
	for (uint32_t i = 0; i < a->l1_size; i++)
		if (a->l1[i] != 0 && count_l2(a, i, e) < 0)
			return -1;
	return count_extensions(a, e) < 0 ? -1 : count_refcounts(a, e);
}

/* Metadata that also are somebody's data: no count makes that right. */
static void check_shared(struct qcow2_audit *a)
{
	for (uint64_t c = 0; (c = qcow2_audit_next(a, c, a->n)) < a->n; c++)
		if (a->count[c] > 1 && qcow2_audit_is_meta(a, c)) {
			a->unsure = a->left = true;
			blk_check_error(a->c,
					"cluster %" PRIu64 " holds metadata and is used %u times",
					c, a->count[c]);
		}
}

int qcow2_audit_run(struct qcow2_audit *a, struct blk_check *c, bool direct, struct sill_err *e)
{
	int err;

	*a = (struct qcow2_audit){
		.c = c, .count = MAP_FAILED, .meta = MAP_FAILED, .wild_from = UINT64_MAX
	};
	err = qcow2_file_init(&a->file, c->fd, direct);
	if (err != 0)
		return sill_err_sys(e, err, "'%s'", c->path);
	if (read_header(a, e) < 0 || allocate(a, e) < 0 || count_all(a, e) < 0)
		return -1;
	c->found.clusters = (a->size + a->cluster - 1) >> a->bits;
	check_shared(a);
	return compare_all(a, e) < 0 || check_flags(a, e) < 0 ? -1 : 0;
}

void qcow2_audit_fini(struct qcow2_audit *a)
{
	qcow2_file_fini(&a->file);
	if (a->count != MAP_FAILED)
		(void)munmap(a->count, a->n * sizeof(*a->count));
	if (a->meta != MAP_FAILED)
		(void)munmap(a->meta, a->n / 8 + 1);
	free(a->touched);
	free(a->buf);
	free(a->l1);
	free(a->rt);
}
