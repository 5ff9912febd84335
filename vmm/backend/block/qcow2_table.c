/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_table.c - caches of tables, what is where on the disk, and the commit.
 *
 * The commit
 *
 * L2 tables go to the file in a commit only: at a flush, at the end, and when
 * the cache has nothing clean left to give up.
 *
 *	1  refcount blocks are written
 *	2  barrier: data, refcounts (and the refcount table, if it changed)
 *	3  L2 tables are written
 *	4  barrier
 *	5  L1 entries of new L2 tables are written, barrier
 *	6  clusters that the L2 tables gave up become free
 *
 * So at no instant does the medium hold a pointer to something that is not
 * there: data are there before the L2 entry that finds them, so what was
 * copied from a backing file is not lost; counts are raised before, lowered
 * after. What a crash leaves is at most clusters that nobody uses.
 *
 * While a commit waits for its barriers the lock is free for lookups and for
 * requests that need no new mapping; those that do wait for its end.
 *
 * When a barrier fails, the kernel has thrown away what it could not write and
 * says so once. From then on we do not know what is on the medium, and nothing
 * is written any more: it stays as good as it is.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/block/qcow2.h"
#include "base/log.h"

/* --- caches -------------------------------------------------------------- */

int qcow2_cache_init(struct qcow2_cache *c, struct qcow2 *q, uint32_t indices, size_t budget)
{
	uint64_t count = budget >> q->cluster_bits;

	count = count < 16 ? 16 : count;
	count = count > 8192 ? 8192 : count;
	*c = (struct qcow2_cache){ .count = (uint32_t)count, .where_count = indices };
	c->slot = calloc(count, sizeof(*c->slot));
	c->where = calloc(indices != 0 ? indices : 1, sizeof(*c->where));
	c->mem_size = (size_t)(count << q->cluster_bits);
	/* Untouched pages cost nothing. */
	c->mem = mmap(NULL, c->mem_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->mem == MAP_FAILED)
		c->mem = NULL;
	return c->mem == NULL || c->slot == NULL || c->where == NULL ? ENOMEM : 0;
}

void qcow2_cache_fini(struct qcow2_cache *c)
{
	if (c->mem != NULL)
		(void)munmap(c->mem, c->mem_size);
	free(c->slot);
	free(c->where);
	*c = (struct qcow2_cache){ 0 };
}

int qcow2_cache_grow(struct qcow2_cache *c, uint32_t indices)
{
	uint32_t *where = realloc(c->where, (size_t)indices * sizeof(*where));

	if (where == NULL)
		return ENOMEM;
	c->where = where;
	for (uint32_t i = c->where_count; i < indices; i++)
		where[i] = 0;
	if (indices > c->where_count)
		c->where_count = indices;
	return 0;
}

struct qcow2_slot *qcow2_cache_find(struct qcow2_cache *c, uint32_t index)
{
	struct qcow2_slot *s;

	if (c->where[index] == 0)
		return NULL;
	s = &c->slot[c->where[index] - 1];
	s->hot = true;
	return s;
}

void qcow2_cache_forget(struct qcow2_cache *c, struct qcow2_slot *s)
{
	if (!s->used)
		return;
	c->dirty -= s->lo != s->hi;
	c->where[s->index] = 0;
	*s = (struct qcow2_slot){ 0 };
}

/* The clock: what was used since the hand came by last is spared once. */
struct qcow2_slot *qcow2_cache_claim(struct qcow2_cache *c, uint32_t index)
{
	if (c->dirty == c->count)
		return NULL;
	for (;;) {
		const uint32_t at = c->hand++ % c->count;
		struct qcow2_slot *s = &c->slot[at];

		if (s->used && s->lo != s->hi)
			continue;
		if (s->hot) {
			s->hot = false;
			continue;
		}
		qcow2_cache_forget(c, s);
		*s = (struct qcow2_slot){ .index = index, .used = true, .hot = true };
		c->where[index] = at + 1;
		return s;
	}
}

uint8_t *qcow2_cache_bytes(struct qcow2 *q, struct qcow2_cache *c, const struct qcow2_slot *s)
{
	return c->mem + ((size_t)(s - c->slot) << q->cluster_bits);
}

void qcow2_cache_dirty(struct qcow2_cache *c, struct qcow2_slot *s, uint32_t lo, uint32_t hi)
{
	if (s->lo == s->hi) {
		s->lo = lo;
		s->hi = hi;
		c->dirty++;
		return;
	}
	s->lo = lo < s->lo ? lo : s->lo;
	s->hi = hi > s->hi ? hi : s->hi;
}

int qcow2_cache_write(struct qcow2 *q, struct qcow2_cache *c, struct qcow2_slot *s, uint64_t off)
{
	/* Whole pages (the table, when it is smaller): aligned for O_DIRECT. */
	const uint32_t unit = q->cluster_size < 4096 ? q->cluster_size : 4096;
	const uint32_t lo = s->lo & ~(unit - 1);
	const uint32_t hi = (s->hi + unit - 1) & ~(unit - 1);
	int err = qcow2_pwrite(&q->file, qcow2_cache_bytes(q, c, s) + lo, hi - lo, off + lo);

	if (err == 0) {
		s->lo = s->hi = 0;
		c->dirty--;
	}
	return err;
}

/* --- L2 tables ----------------------------------------------------------- */

void qcow2_wait(struct qcow2 *q)
{
	q->sleepers++;
	lock_wait(&q->lock, &q->wake);
	q->sleepers--;
}

void qcow2_wake(struct qcow2 *q)
{
	if (q->sleepers != 0)
		(void)pthread_cond_broadcast(&q->wake);
}

int qcow2_l2_get(struct qcow2 *q, uint32_t index, struct qcow2_slot **ret_s)
{
	struct qcow2_slot *s;
	int err;

	for (;;) {
		s = qcow2_cache_find(&q->l2, index);
		if (s != NULL)
			break;
		s = qcow2_cache_claim(&q->l2, index);
		if (s == NULL) {
			err = qcow2_commit(q);
			if (err != 0)
				return err;
			continue;
		}
		err = qcow2_pread(&q->file, qcow2_cache_bytes(q, &q->l2, s), q->cluster_size,
				  q->l1[index] & QCOW2_OFFSET);
		if (err == 0)
			break;
		qcow2_cache_forget(&q->l2, s);
		return err;
	}
	*ret_s = s;
	return 0;
}

static void l1_set(struct qcow2 *q, uint32_t index, uint64_t v)
{
	q->l1[index] = v;
	if (q->l1_lo == q->l1_hi) {
		q->l1_lo = index;
		q->l1_hi = index + 1;
	} else {
		q->l1_lo = index < q->l1_lo ? index : q->l1_lo;
		q->l1_hi = index >= q->l1_hi ? index + 1 : q->l1_hi;
	}
}

static int l2_create(struct qcow2 *q, uint32_t index, struct qcow2_slot *s) REQUIRES(q->lock)
{
	uint64_t host, count;
	bool fresh;
	int err = qcow2_alloc(q, 1, &host, &count, &fresh);

	if (err != 0)
		return err;
	err = qcow2_meta_add(q, host >> q->cluster_bits);
	if (err != 0) {
		qcow2_unref(q, host >> q->cluster_bits, 1);
		return err;
	}
	memset(qcow2_cache_bytes(q, &q->l2, s), 0, q->cluster_size);
	/* Even when nothing comes of what it was made for: L1 is going to point to it. */
	qcow2_cache_dirty(&q->l2, s, 0, fresh ? 8 : q->cluster_size);
	l1_set(q, index, host | QCOW2_COPIED);
	return 0;
}

/* A table without the flag that it is ours alone: there are no snapshots, so it must be. */
static int own(struct qcow2 *q, uint32_t index) REQUIRES(q->lock)
{
	const uint64_t off = q->l1[index] & QCOW2_OFFSET;
	uint64_t refs;
	int err;

	if ((q->l1[index] & QCOW2_COPIED) != 0)
		return 0;
	err = qcow2_ref_get(q, off >> q->cluster_bits, &refs);
	if (err != 0)
		return err;
	if (refs != 1)
		return qcow2_set_corrupt(q, "an L2 table is shared, and there is no snapshot", off);
	l1_set(q, index, off | QCOW2_COPIED);
	return 0;
}

int qcow2_l2_get_update(struct qcow2 *q, uint32_t index, struct qcow2_slot **ret_s)
{
	struct qcow2_slot *s;
	int err;

	for (;;) {
		while (q->committing)
			qcow2_wait(q);
		if (q->broken || q->corrupt)
			return EIO;
		if (q->l1[index] != 0) {
			err = qcow2_l2_get(q, index, &s);
			if (err != 0)
				return err;
			if (q->committing)
				continue; /* the lock was free for a while */
			err = own(q, index);
			break;
		}
		s = qcow2_cache_claim(&q->l2, index);
		if (s != NULL) {
			err = l2_create(q, index, s);
			if (err != 0)
				qcow2_cache_forget(&q->l2, s);
			break;
		}
		err = qcow2_commit(q);
		if (err != 0)
			return err;
	}
	*ret_s = s;
	return err;
}

/* --- entries ------------------------------------------------------------- */

static int check_packed(struct qcow2 *q, uint64_t entry) REQUIRES(q->lock)
{
	uint64_t off, n;

	qcow2_packed_extent(q, entry, &off, &n);
	if ((entry & QCOW2_COPIED) != 0 || q->data_file != &q->file)
		return qcow2_set_corrupt(q, "a compressed cluster with wrong flags", entry);
	/* The last sector may end beyond the file. */
	if (off < q->cluster_size || off >= q->file_end)
		return qcow2_set_corrupt(q, "a compressed cluster outside of the file", off);
	return 0;
}

int qcow2_l2_entry(struct qcow2 *q, const uint8_t *table, uint64_t cluster, uint64_t *ret_entry,
		   uint64_t *ret_bitmap)
{
	const uint64_t i = cluster & ((1ull << q->l2_bits) - 1);
	const uint64_t entry = qcow2_be64(table + i * q->entry_size);
	const uint64_t bitmap = q->entry_size == 16 ? qcow2_be64(table + i * 16 + 8) : 0;
	const uint64_t host = entry & QCOW2_OFFSET;
	uint64_t known = QCOW2_OFFSET | QCOW2_COPIED;

	*ret_entry = entry;
	*ret_bitmap = bitmap;
	if ((entry & QCOW2_COMPRESSED) != 0)
		return check_packed(q, entry);
	if (q->entry_size == 8 && q->version >= 3)
		known |= QCOW2_ZERO;
	if ((entry & ~known) != 0)
		return qcow2_set_corrupt(q, "reserved bits in an L2 entry", entry);
	if ((bitmap >> 32 & bitmap & 0xffffffff) != 0)
		return qcow2_set_corrupt(q, "a subcluster that is data and zeroes", bitmap);
	if (q->data_file != &q->file) {
		if ((entry & (QCOW2_OFFSET | QCOW2_COPIED)) != 0 &&
		    host != cluster << q->cluster_bits)
			return qcow2_set_corrupt(q, "data at another place in the data file", host);
		return 0;
	}
	if (host % q->cluster_size != 0 || host >= q->file_end)
		return qcow2_set_corrupt(q, "an L2 entry that points outside of the file", host);
	if (host == 0 && ((bitmap & 0xffffffff) != 0 || (entry & QCOW2_COPIED) != 0))
		return qcow2_set_corrupt(q, "an L2 entry that points to the header", entry);
	return 0;
}

void qcow2_l2_set(struct qcow2 *q, struct qcow2_slot *s, uint64_t cluster, uint64_t entry,
		  uint64_t bitmap)
{
	const uint32_t at = (uint32_t)(cluster & ((1ull << q->l2_bits) - 1)) * q->entry_size;
	uint8_t *table = qcow2_cache_bytes(q, &q->l2, s);

	qcow2_put_be64(table + at, entry);
	if (q->entry_size == 16)
		qcow2_put_be64(table + at + 8, bitmap);
	qcow2_cache_dirty(&q->l2, s, at, at + q->entry_size);
}

static enum qcow2_kind kind_of(const struct qcow2 *q, uint64_t entry, uint64_t bitmap, unsigned g)
{
	if ((entry & QCOW2_COMPRESSED) != 0)
		return QCOW2_PACKED;
	if (q->entry_size == 16) {
		if ((bitmap >> (32 + g) & 1) != 0)
			return QCOW2_ZEROES;
		return (bitmap >> g & 1) != 0 ? QCOW2_DATA : QCOW2_UNALLOCATED;
	}
	if ((entry & QCOW2_ZERO) != 0)
		return QCOW2_ZEROES;
	return (entry & (QCOW2_OFFSET | QCOW2_COPIED)) != 0 ? QCOW2_DATA : QCOW2_UNALLOCATED;
}

/* One granule more: does it go on as it began? */
static bool goes_on(const struct qcow2_map *m, const struct qcow2_map *next)
{
	return m->kind == next->kind && m->kind != QCOW2_PACKED && m->in_place == next->in_place &&
	       (m->kind != QCOW2_DATA || m->host + m->length == next->host);
}

bool qcow2_map_is_cached(struct qcow2 *q, uint64_t off)
{
	const uint32_t index = (uint32_t)(off >> (q->l2_bits + q->cluster_bits));

	return q->l1[index] == 0 || qcow2_cache_find(&q->l2, index) != NULL;
}

int qcow2_map(struct qcow2 *q, uint64_t off, uint64_t n, struct qcow2_map *ret_m)
{
	const uint64_t span = 1ull << (q->l2_bits + q->cluster_bits);
	const uint32_t index = (uint32_t)(off / span);
	const uint64_t granule = 1ull << q->granule_bits;
	struct qcow2_map m = { .length = 0 };
	struct qcow2_slot *s;
	const uint8_t *table;
	int err;

	if (n > span - off % span)
		n = span - off % span;
	if (q->l1[index] == 0) {
		*ret_m = (struct qcow2_map){ .kind = QCOW2_UNALLOCATED, .length = n };
		return 0;
	}
	if (q->l1[index] == QCOW2_LOST)
		return EIO;
	err = qcow2_l2_get(q, index, &s);
	if (err != 0)
		return err;
	table = qcow2_cache_bytes(q, &q->l2, s);
	for (uint64_t at = off; at < off + n;) {
		struct qcow2_map next = { 0 };
		uint64_t entry, bitmap;

		err = qcow2_l2_entry(q, table, at >> q->cluster_bits, &entry, &bitmap);
		if (err != 0)
			break;
		next.kind = kind_of(q, entry, bitmap,
				    (unsigned)(at >> q->granule_bits & (q->granules - 1)));
		if (next.kind == QCOW2_DATA) {
			next.host = (entry & QCOW2_OFFSET) + (at & (q->cluster_size - 1));
			next.in_place = (entry & QCOW2_COPIED) != 0;
		}
		next.entry = entry;
		next.length = next.kind == QCOW2_PACKED
				      ? q->cluster_size - (at & (q->cluster_size - 1))
				      : granule - at % granule;
		if (next.length > off + n - at)
			next.length = off + n - at;
		if (at == off)
			m = next;
		else if (goes_on(&m, &next))
			m.length += next.length;
		else
			break;
		at += next.length;
	}
	if (m.length == 0)
		return err; /* what lies behind good ones is somebody else's problem */
	*ret_m = m;
	return 0;
}

/* --- the commit ---------------------------------------------------------- */

static void broken_locked(struct qcow2 *q, int err) REQUIRES(q->lock)
{
	if (q->broken)
		return;
	q->broken = true;
	if (!q->b->quiet)
		log_line(LOG_ERROR,
			 "%s: a flush failed: %s; nothing is written to this image any more",
			 q->b->path, strerrordesc_np(err));
}

void qcow2_barrier_failed(struct qcow2 *q, int err)
{
	lock_take(&q->lock);
	broken_locked(q, err);
	lock_drop(&q->lock);
}

static NO_LOCK_CHECK int barrier_unlocked(struct qcow2 *q, bool data_too)
{
	int err;

	lock_drop(&q->lock);
	err = qcow2_sync(&q->file);
	if (err == 0 && data_too && q->data_file != &q->file)
		err = qcow2_sync(q->data_file);
	lock_take(&q->lock);
	if (err != 0)
		broken_locked(q, err);
	return err;
}

int qcow2_barrier(struct qcow2 *q)
{
	int err = qcow2_sync(&q->file);

	if (err != 0)
		broken_locked(q, err);
	return err;
}

/* Through the 4 KiB on the stack. */
int qcow2_table_write(struct qcow2 *q, const uint64_t *table, uint32_t lo, uint32_t hi,
		      uint64_t off)
{
	uint8_t buf[4096];

	while (lo < hi) {
		const uint32_t n =
			hi - lo < sizeof(buf) / 8 ? hi - lo : (uint32_t)(sizeof(buf) / 8);
		int err;

		for (uint32_t i = 0; i < n; i++)
			qcow2_put_be64(buf + (size_t)i * 8, table[lo + i]);
		err = qcow2_pwrite(&q->file, buf, (size_t)n * 8, off + (uint64_t)lo * 8);
		if (err != 0)
			return err;
		lo += n;
	}
	return 0;
}

/* From a whole sector on. */
static int l1_write(struct qcow2 *q) REQUIRES(q->lock)
{
	return qcow2_table_write(q, q->l1, q->l1_lo & ~63u, q->l1_hi, q->l1_offset);
}

static int l2_write(struct qcow2 *q)
{
	for (uint32_t i = 0; i < q->l2.count && q->l2.dirty > 0; i++) {
		struct qcow2_slot *s = &q->l2.slot[i];
		int err;

		if (!s->used || s->lo == s->hi)
			continue;
		err = qcow2_cache_write(q, &q->l2, s, q->l1[s->index] & QCOW2_OFFSET);
		if (err != 0)
			return err;
	}
	return 0;
}

static int commit_steps(struct qcow2 *q) REQUIRES(q->lock)
{
	int err = barrier_unlocked(q, true);

	if (err == 0)
		err = qcow2_rt_write(q);
	if (err == 0)
		err = l2_write(q);
	if (err == 0)
		err = barrier_unlocked(q, false);
	if (err == 0 && q->l1_lo != q->l1_hi) {
		err = l1_write(q);
		if (err == 0)
			err = barrier_unlocked(q, false);
		if (err == 0)
			q->l1_lo = q->l1_hi = 0;
	}
	if (err == 0)
		qcow2_unref_pending(q);
	return err;
}

static bool has_news(const struct qcow2 *q) REQUIRES(q->lock)
{
	return q->l2.dirty != 0 || q->l1_lo != q->l1_hi || q->rt_lo != q->rt_hi ||
	       q->pending_count != 0;
}

bool qcow2_is_clean(const struct qcow2 *q)
{
	return !q->committing && !q->broken && !q->corrupt && q->rb.dirty == 0 && !has_news(q);
}

int qcow2_commit(struct qcow2 *q)
{
	int err;

	while (q->committing)
		qcow2_wait(q);
	if (q->broken)
		return EIO;
	if (q->corrupt) /* the tables stay as they are; data may still go there */
		return barrier_unlocked(q, true) != 0 || q->l2.dirty != 0 ? EIO : 0;
	err = qcow2_refs_write(q);
	if (err != 0)
		return err;
	if (!has_news(q))
		return barrier_unlocked(q, true);
	q->committing = true;
	err = commit_steps(q);
	q->committing = false;
	qcow2_wake(q);
	return err;
}

int qcow2_flush(struct qcow2 *q)
{
	int err;

	if (q->b->readonly)
		return 0;
	lock_take(&q->lock);
	err = qcow2_commit(q);
	lock_drop(&q->lock);
	return err;
}
