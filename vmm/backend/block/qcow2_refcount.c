/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_refcount.c - who uses a host cluster, and which are free.
 *
 * The refcount table points to blocks of counts of 1 to 64 bits. Blocks may go
 * to the file at any time: a count is raised before anything points to the
 * cluster and lowered after nothing does on the medium, so a crash only leaks.
 * The table may point to a block only when the block is on the medium.
 *
 * A free cluster is searched from free_hint on, below which there is none, and
 * blocks known to be full are skipped without being read. A new block lies in
 * the first cluster that it describes and nobody uses.
 *
 * Where no block is, nobody has counted. A new one is made only for clusters that
 * are all behind the end that the file had when it was opened: what a missing one
 * below would describe is not known to be free. (A device has no such end.)
 *
 * A table that is full is written anew behind the last cluster that the old
 * one can describe, together with the blocks for that place; the header then
 * changes over in one sector.
 *
 * Clusters of L2 tables and refcount blocks are in a hash set as well: neither
 * a damaged refcount nor a damaged L2 entry lets data be written over them.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/qcow2.h"
#include "base/log.h"

/* --- the set of metadata clusters ---------------------------------------- */

static uint64_t *set_slot(uint64_t *set, uint64_t size, uint64_t key)
{
	uint64_t i = (key * 0x9e3779b97f4a7c15ull) >> 20 & (size - 1);

	while (set[i] != 0 && set[i] != key)
		i = (i + 1) & (size - 1);
	return &set[i];
}

int qcow2_meta_add(struct qcow2 *q, uint64_t cluster)
{
	uint64_t *slot;

	assert(cluster != 0);
	if (q->meta_used * 2 >= q->meta_size) {
		const uint64_t size = q->meta_size != 0 ? q->meta_size * 2 : 64;
		uint64_t *set = calloc(size, sizeof(*set));

		if (set == NULL)
			return ENOMEM;
		for (uint64_t i = 0; i < q->meta_size; i++)
			if (q->meta[i] != 0)
				*set_slot(set, size, q->meta[i]) = q->meta[i];
		free(q->meta);
		q->meta = set;
		q->meta_size = size;
	}
	slot = set_slot(q->meta, q->meta_size, cluster);
	if (*slot == cluster)
		return EEXIST;
	*slot = cluster;
	q->meta_used++;
	return 0;
}

static bool within(const struct qcow2 *q, uint64_t cluster, uint64_t off, uint64_t bytes)
{
	const uint64_t first = off >> q->cluster_bits;
	const uint64_t count = (bytes + q->cluster_size - 1) >> q->cluster_bits;

	return cluster >= first && cluster - first < count;
}

bool qcow2_is_meta(const struct qcow2 *q, uint64_t cluster)
{
	return cluster == 0 || within(q, cluster, q->l1_offset, (uint64_t)q->l1_size * 8) ||
	       within(q, cluster, q->rt_offset, (uint64_t)q->rt_size * 8) ||
	       (q->meta_size != 0 && *set_slot(q->meta, q->meta_size, cluster) != 0);
}

/* --- counts in a block --------------------------------------------------- */

static uint64_t count_get(const struct qcow2 *q, const uint8_t *block, uint64_t i)
{
	uint16_t h;

	switch (q->ref_order) {
	case 0:
	case 1:
	case 2: {
		const unsigned bits = 1u << q->ref_order, per = 8 / bits;

		return block[i / per] >> (i % per * bits) & ((1u << bits) - 1);
	}
	case 3:
		return block[i];
	case 4:
		memcpy(&h, block + i * 2, 2);
		return __builtin_bswap16(h);
	case 5:
		return qcow2_be32(block + i * 4);
	default:
		return qcow2_be64(block + i * 8);
	}
}

static void count_put(const struct qcow2 *q, uint8_t *block, uint64_t i, uint64_t v)
{
	uint16_t h;

	switch (q->ref_order) {
	case 0:
	case 1:
	case 2: {
		const unsigned bits = 1u << q->ref_order, per = 8 / bits;
		const unsigned shift = (unsigned)(i % per) * bits;
		const unsigned mask = ((1u << bits) - 1) << shift;

		block[i / per] = (uint8_t)((block[i / per] & ~mask) | (v << shift & mask));
		break;
	}
	case 3:
		block[i] = (uint8_t)v;
		break;
	case 4:
		h = __builtin_bswap16((uint16_t)v);
		memcpy(block + i * 2, &h, 2);
		break;
	case 5:
		qcow2_put_be32(block + i * 4, (uint32_t)v);
		break;
	default:
		qcow2_put_be64(block + i * 8, v);
		break;
	}
}

static void block_dirty(struct qcow2 *q, struct qcow2_slot *s, uint64_t i, uint64_t n)
{
	const uint64_t lo = (i << q->ref_order) / 8;
	const uint64_t hi = (((i + n) << q->ref_order) + 7) / 8;

	qcow2_cache_dirty(&q->rb, s, (uint32_t)lo, (uint32_t)hi);
}

/* A slot for a block; when all are dirty, one is written: blocks may be at any time. */
static int block_slot(struct qcow2 *q, uint32_t index, struct qcow2_slot **ret_s)
{
	struct qcow2_slot *s;

	while ((s = qcow2_cache_claim(&q->rb, index)) == NULL) {
		struct qcow2_slot *victim = &q->rb.slot[q->rb.hand++ % q->rb.count];
		int err =
			qcow2_cache_write(q, &q->rb, victim, q->rt[victim->index] & ~(uint64_t)511);

		if (err != 0)
			return err;
	}
	*ret_s = s;
	return 0;
}

static int block_get(struct qcow2 *q, uint32_t index, struct qcow2_slot **ret_s)
{
	struct qcow2_slot *s = qcow2_cache_find(&q->rb, index);
	int err;

	if (s == NULL) {
		err = block_slot(q, index, &s);
		if (err != 0)
			return err;
		err = qcow2_pread(&q->file, qcow2_cache_bytes(q, &q->rb, s), q->cluster_size,
				  q->rt[index]);
		if (err != 0) {
			qcow2_cache_forget(&q->rb, s);
			return err;
		}
	}
	*ret_s = s;
	return 0;
}

/* --- the file's end ------------------------------------------------------ */

static int reach(struct qcow2 *q, uint64_t cluster, uint64_t count, bool *ret_fresh)
{
	const uint64_t from = cluster << q->cluster_bits;
	const uint64_t end = (cluster + count) << q->cluster_bits;

	if (end > QCOW2_OFFSET)
		return EFBIG;
	*ret_fresh = !q->is_device && from >= q->file_end;
	if (q->b->max_file != 0 && end > q->b->max_file)
		return ENOSPC;
	if (end <= q->file_end)
		return 0;
	if (q->is_device)
		return ENOSPC;
	while (q->file.io->resize(q->file.fd, (off_t)end) < 0)
		if (errno != EINTR)
			return errno;
	q->file_end = end;
	return 0;
}

/* --- the table ----------------------------------------------------------- */

static void rt_set(struct qcow2 *q, uint32_t index, uint64_t off)
{
	q->rt[index] = off;
	if (q->rt_lo == q->rt_hi) {
		q->rt_lo = index;
		q->rt_hi = index + 1;
	} else {
		q->rt_lo = index < q->rt_lo ? index : q->rt_lo;
		q->rt_hi = index >= q->rt_hi ? index + 1 : q->rt_hi;
	}
}

int qcow2_refs_write(struct qcow2 *q)
{
	for (uint32_t i = 0; i < q->rb.count && q->rb.dirty > 0; i++) {
		struct qcow2_slot *s = &q->rb.slot[i];
		int err;

		if (!s->used || s->lo == s->hi)
			continue;
		err = qcow2_cache_write(q, &q->rb, s, q->rt[s->index]);
		if (err != 0)
			return err;
	}
	return 0;
}

int qcow2_rt_write(struct qcow2 *q)
{
	/* From whole sectors: what is between two changes may have been torn before. */
	const uint32_t lo = q->rt_lo & ~63u;
	const uint32_t hi = q->rt_hi + 63 < q->rt_size ? (q->rt_hi + 63) & ~63u : q->rt_size;
	int err;

	if (q->rt_lo == q->rt_hi)
		return 0;
	err = qcow2_refs_write(q);
	if (err == 0)
		err = qcow2_barrier(q);
	if (err == 0)
		err = qcow2_table_write(q, q->rt, lo, hi, q->rt_offset);
	if (err == 0)
		err = qcow2_barrier(q);
	if (err == 0)
		q->rt_lo = q->rt_hi = 0;
	return err;
}

/* The new table's place and contents, before anybody knows of it. */
struct new_table {
	uint64_t *rt;
	uint8_t *full;
	uint32_t size;     /* entries */
	uint32_t index;    /* of the first new block */
	uint64_t first;    /* host cluster: blocks, then the table */
	uint64_t blocks;   /* how many */
	uint64_t clusters; /* of the table */
};

/* The first block from @index on that describes nothing of what the file had. */
static uint64_t first_new_block(const struct qcow2 *q, uint64_t index)
{
	const uint64_t behind = (q->old_end + (1ull << q->rb_bits) - 1) >> q->rb_bits;

	return index > behind ? index : behind;
}

static int plan_table(struct qcow2 *q, struct new_table *t)
{
	const uint64_t per = 1ull << q->rb_bits;
	const uint64_t index = first_new_block(q, q->rt_size), entries = index + q->rt_size / 2;

	if (index > QCOW2_MAX_RT / 8)
		return EFBIG;
	t->index = (uint32_t)index;
	t->first = index << q->rb_bits;
	t->blocks = 0;
	do {
		t->blocks++;
		t->clusters = ((entries + t->blocks) * 8 + q->cluster_size - 1) >> q->cluster_bits;
	} while (t->blocks * per < t->blocks + t->clusters);
	if (t->clusters << q->cluster_bits > QCOW2_MAX_RT)
		return EFBIG;
	t->size = (uint32_t)((t->clusters << q->cluster_bits) / 8);
	t->rt = calloc(t->size, sizeof(*t->rt));
	t->full = calloc(t->size, 1);
	if (t->rt == NULL || t->full == NULL || qcow2_cache_grow(&q->rb, t->size) != 0)
		return ENOMEM;
	memcpy(t->rt, q->rt, (size_t)q->rt_size * 8);
	memcpy(t->full, q->rt_full, q->rt_size);
	return 0;
}

static int write_blocks(struct qcow2 *q, struct new_table *t)
{
	const uint64_t used = t->blocks + t->clusters;
	uint8_t *block = aligned_alloc(4096, q->cluster_size < 4096 ? 4096 : q->cluster_size);
	int err = block == NULL ? ENOMEM : 0;

	for (uint64_t k = 0; k < t->blocks && err == 0; k++) {
		memset(block, 0, q->cluster_size);
		for (uint64_t i = 0; i < 1ull << q->rb_bits; i++)
			if ((k << q->rb_bits) + i < used)
				count_put(q, block, i, 1);
		t->rt[t->index + k] = (t->first + k) << q->cluster_bits;
		err = qcow2_pwrite(&q->file, block, q->cluster_size, t->rt[t->index + k]);
		if (err == 0)
			err = qcow2_meta_add(q, t->first + k);
		if (err == EEXIST) /* from an attempt that failed */
			err = 0;
	}
	free(block);
	return err;
}

static int write_table(struct qcow2 *q, struct new_table *t) REQUIRES(q->lock)
{
	const uint64_t old_offset = q->rt_offset;
	const uint32_t old_size = q->rt_size;
	bool fresh;
	int err = reach(q, t->first, t->blocks + t->clusters, &fresh);

	if (err == 0)
		err = write_blocks(q, t);
	if (err == 0)
		err = qcow2_table_write(q, t->rt, 0, t->size,
					(t->first + t->blocks) << q->cluster_bits);
	/* Blocks that only the new table points to, too. */
	if (err == 0)
		err = qcow2_refs_write(q);
	if (err == 0)
		err = qcow2_barrier(q);
	if (err != 0)
		return err;
	q->rt_offset = (t->first + t->blocks) << q->cluster_bits;
	q->rt_size = t->size;
	err = qcow2_header_write(q);
	if (err == 0)
		err = qcow2_barrier(q);
	if (err != 0) { /* which of the two tables counts is not known any more */
		q->broken = true;
		q->rt_offset = old_offset;
		q->rt_size = old_size;
	}
	return err;
}

static int grow_table(struct qcow2 *q) REQUIRES(q->lock)
{
	const uint64_t old = q->rt_offset >> q->cluster_bits;
	const uint64_t old_clusters = ((uint64_t)q->rt_size * 8) >> q->cluster_bits;
	struct new_table t = { 0 };
	int err = plan_table(q, &t);

	if (err == 0)
		err = write_table(q, &t);
	if (err != 0) {
		free(t.rt);
		free(t.full);
		return err;
	}
	free(q->rt);
	free(q->rt_full);
	q->rt = t.rt;
	q->rt_full = t.full;
	q->rt_lo = q->rt_hi = 0;
	qcow2_unref(q, old, old_clusters);
	return 0;
}

/* Block @index at @cluster, which is counted if it is this block that does so. */
static int make_block(struct qcow2 *q, uint32_t index, uint64_t cluster) REQUIRES(q->lock)
{
	const uint64_t i = cluster & ((1ull << q->rb_bits) - 1);
	struct qcow2_slot *s;
	bool fresh;
	int err;

	if (qcow2_is_meta(q, cluster))
		return qcow2_set_corrupt(q, "no refcount for a cluster of metadata",
					 cluster << q->cluster_bits);
	err = reach(q, cluster, 1, &fresh);
	if (err == 0)
		err = block_slot(q, index, &s);
	if (err != 0)
		return err;
	err = qcow2_meta_add(q, cluster);
	if (err != 0) {
		qcow2_cache_forget(&q->rb, s);
		return err;
	}
	memset(qcow2_cache_bytes(q, &q->rb, s), 0, q->cluster_size);
	if (!fresh)
		qcow2_cache_dirty(&q->rb, s, 0, q->cluster_size);
	if (cluster >> q->rb_bits == index) {
		count_put(q, qcow2_cache_bytes(q, &q->rb, s), i, 1);
		block_dirty(q, s, i, 1);
	}
	rt_set(q, index, cluster << q->cluster_bits);
	return 0;
}

/* --- counts -------------------------------------------------------------- */

int qcow2_ref_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret_v)
{
	const uint64_t index = cluster >> q->rb_bits;
	struct qcow2_slot *s;
	int err;

	*ret_v = 0;
	if (index >= q->rt_size || q->rt[index] == 0)
		return 0;
	err = block_get(q, (uint32_t)index, &s);
	if (err == 0)
		*ret_v = count_get(q, qcow2_cache_bytes(q, &q->rb, s),
				   cluster & ((1ull << q->rb_bits) - 1));
	return err;
}

int qcow2_ref_set(struct qcow2 *q, uint64_t cluster, uint64_t v)
{
	const uint64_t i = cluster & ((1ull << q->rb_bits) - 1);
	const uint64_t index = cluster >> q->rb_bits;
	const unsigned bits = 1u << q->ref_order;
	struct qcow2_slot *s;
	int err;

	assert(index < q->rt_size && q->rt[index] != 0);
	if (bits < 64 && v >> bits != 0)
		return ERANGE;
	err = block_get(q, (uint32_t)index, &s);
	if (err != 0)
		return err;
	count_put(q, qcow2_cache_bytes(q, &q->rb, s), i, v);
	block_dirty(q, s, i, 1);
	if (v == 0) {
		q->rt_full[index] = 0;
		if (cluster < q->free_hint)
			q->free_hint = cluster;
	}
	return 0;
}

void qcow2_unref(struct qcow2 *q, uint64_t cluster, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t v;

		/* What cannot be written down now is lost until the next check: a leak. */
		if (qcow2_ref_get(q, cluster + i, &v) != 0)
			continue;
		if (v == 0)
			(void)qcow2_set_corrupt(q, "a cluster in use is counted as free",
						(cluster + i) << q->cluster_bits);
		else if (qcow2_ref_set(q, cluster + i, v - 1) != 0)
			continue;
	}
}

void qcow2_unref_later(struct qcow2 *q, uint64_t cluster, uint64_t count)
{
	struct qcow2_run *last = q->pending_count != 0 ? &q->pending[q->pending_count - 1] : NULL;

	if (last != NULL && last->first + last->count == cluster) {
		last->count += count;
		return;
	}
	assert(q->pending_count < QCOW2_MAX_PENDING);
	q->pending[q->pending_count++] = (struct qcow2_run){ cluster, count };
}

/* The host gets the space back; then the clusters may be used again. */
void qcow2_unref_pending(struct qcow2 *q)
{
	for (unsigned i = 0; i < q->pending_count; i++) {
		const struct qcow2_run r = q->pending[i];
		uint64_t v = 0;

		/* A run of more than one is never of compressed clusters, which share. */
		if (!q->is_device && qcow2_ref_get(q, r.first, &v) == 0 && v == 1)
			for (uint64_t k = 0; k < r.count;) {
				uint64_t n = 1;

				while (k + n < r.count &&
				       qcow2_ref_get(q, r.first + k + n, &v) == 0 && v == 1)
					n++;
				(void)q->file.io->punch(q->file.fd,
							(off_t)((r.first + k) << q->cluster_bits),
							(off_t)(n << q->cluster_bits));
				for (k += n; k < r.count; k++)
					if (qcow2_ref_get(q, r.first + k, &v) == 0 && v == 1)
						break;
			}
		qcow2_unref(q, r.first, r.count);
	}
	q->pending_count = 0;
}

/* --- finding free ones --------------------------------------------------- */

/* Take [i, i + n) of block @s, which are free. */
static int take(struct qcow2 *q, struct qcow2_slot *s, uint64_t cluster, uint64_t n,
		bool *ret_fresh) REQUIRES(q->lock)
{
	const uint64_t i = cluster & ((1ull << q->rb_bits) - 1);
	uint8_t *block = qcow2_cache_bytes(q, &q->rb, s);
	int err;

	for (uint64_t k = 0; k < n; k++)
		if (qcow2_is_meta(q, cluster + k))
			return qcow2_set_corrupt(q, "a cluster of metadata is counted as free",
						 (cluster + k) << q->cluster_bits);
	err = reach(q, cluster, n, ret_fresh);
	if (err != 0)
		return err;
	for (uint64_t k = 0; k < n; k++)
		count_put(q, block, i + k, 1);
	block_dirty(q, s, i, n);
	q->free_hint = cluster + n;
	return 0;
}

int qcow2_alloc(struct qcow2 *q, uint64_t want, uint64_t *ret_host, uint64_t *ret_count,
		bool *ret_fresh)
{
	const uint64_t per = 1ull << q->rb_bits;

	if (q->broken || q->corrupt)
		return EIO;
	for (uint64_t c = q->free_hint;;) {
		const uint64_t index = c >> q->rb_bits;
		struct qcow2_slot *s;
		uint64_t i = c & (per - 1), n = 1;
		const uint8_t *block;
		int err = 0;

		if (index >= q->rt_size) {
			err = grow_table(q);
			if (err != 0)
				return err;
			c = q->free_hint; /* the old table's place */
			continue;
		}
		if (q->rt_full[index] != 0) {
			c = (index + 1) << q->rb_bits;
			continue;
		}
		if (q->rt[index] == 0 && index < first_new_block(q, 0)) {
			c = first_new_block(q, 0) << q->rb_bits;
			continue;
		}
		if (q->rt[index] == 0) {
			err = make_block(q, (uint32_t)index, c);
			if (err != 0)
				return err;
			continue;
		}
		err = block_get(q, (uint32_t)index, &s);
		if (err != 0)
			return err;
		block = qcow2_cache_bytes(q, &q->rb, s);
		while (i < per && count_get(q, block, i) != 0)
			i++;
		if (i == per) { /* nothing below the hint is free, and nothing from there on */
			q->rt_full[index] = 1;
			c = (index + 1) << q->rb_bits;
			continue;
		}
		c = (index << q->rb_bits) + i;
		while (n < want && i + n < per && count_get(q, block, i + n) == 0 &&
		       (q->is_device || ((c << q->cluster_bits) >= q->file_end) ==
						(((c + n) << q->cluster_bits) >= q->file_end)))
			n++;
		err = take(q, s, c, n, ret_fresh);
		if (err != 0)
			return err;
		*ret_host = c << q->cluster_bits;
		*ret_count = n;
		return 0;
	}
}

/* --- many in a row, for a table ------------------------------------------ */

/* @n free ones in a block that is there; *@ret_first is 0 when there are none. */
static int find_row(struct qcow2 *q, uint64_t n, uint64_t *ret_first) REQUIRES(q->lock)
{
	const uint64_t per = 1ull << q->rb_bits;

	*ret_first = 0;
	for (uint64_t index = q->free_hint >> q->rb_bits; n <= per && index < q->rt_size; index++) {
		struct qcow2_slot *s;
		const uint8_t *block;
		uint64_t run = 0;
		int err;

		if (q->rt[index] == 0 || q->rt_full[index] != 0)
			continue;
		err = block_get(q, (uint32_t)index, &s);
		if (err != 0)
			return err;
		block = qcow2_cache_bytes(q, &q->rb, s);
		for (uint64_t i = 0; i < per; i++) {
			run = count_get(q, block, i) == 0 ? run + 1 : 0;
			if (run == n) {
				*ret_first = (index << q->rb_bits) + i + 1 - n;
				return 0;
			}
		}
	}
	return 0;
}

/*
 * Behind all that any block describes: blocks for @n clusters and for themselves,
 * which lie there first. The table of blocks is made larger if it must be.
 */
static int make_row(struct qcow2 *q, uint64_t n, uint64_t *ret_first) REQUIRES(q->lock)
{
	const uint64_t per = 1ull << q->rb_bits;
	const uint64_t blocks = (n + per - 2) / (per - 1);
	uint64_t index, first;
	bool fresh;
	int err;

	for (;;) {
		for (index = q->rt_size; index > 0 && q->rt[index - 1] == 0;)
			index--;
		index = first_new_block(q, index);
		if (index + blocks <= q->rt_size)
			break;
		err = grow_table(q);
		if (err != 0)
			return err;
	}
	first = index << q->rb_bits;
	err = reach(q, first, blocks + n, &fresh);
	for (uint64_t k = 0; k < blocks && err == 0; k++) {
		const bool counted_before = k != 0; /* by the first, or one not much later */

		if (counted_before)
			err = qcow2_ref_set(q, first + k, 1);
		if (err != 0)
			break;
		err = make_block(q, (uint32_t)(index + k), first + k);
		if (err != 0 && counted_before)
			qcow2_unref(q, first + k, 1);
	}
	*ret_first = first + blocks;
	return err;
}

int qcow2_alloc_row(struct qcow2 *q, uint64_t n, uint64_t *ret_host)
{
	uint64_t first, done = 0;
	bool fresh;
	int err;

	if (q->broken || q->corrupt)
		return EIO;
	err = find_row(q, n, &first);
	if (err == 0 && first == 0)
		err = make_row(q, n, &first);
	else if (err == 0)
		err = reach(q, first, n, &fresh);
	for (; done < n && err == 0; done++) {
		if (qcow2_is_meta(q, first + done))
			err = qcow2_set_corrupt(q, "a cluster of metadata is counted as free",
						(first + done) << q->cluster_bits);
		else
			err = qcow2_ref_set(q, first + done, 1);
		if (err != 0)
			break;
	}
	if (err != 0) {
		qcow2_unref(q, first, done);
		return err;
	}
	*ret_host = first << q->cluster_bits;
	return 0;
}
