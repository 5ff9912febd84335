/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_data.c - reads, writes and zeroes of the disk.
 *
 * Every request holds a range of clusters, from its lookup to the end of its
 * I/O. Reads and writes in place share; what changes the mapping is alone. So
 * two queues that write parts of one new cluster come one after the other, and
 * a cluster that is given up has nobody at work in it.
 *
 * A write that needs new clusters: take them (refcounts, in memory), write head,
 * data and tail in one call, then enter them in the L2 table, in memory. The
 * commit brings the rest to the medium, in order.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/block/qcow2.h"

enum {
	ZEROES = 64 * 1024,
	PIECES = 128,             /* vectors that a write with head and tail is made of */
	ZERO_PIECE = 32 * ZEROES, /* zeroes are written so much at a time: one large cluster */
	PENDING_ROOM = 8,         /* runs that one step may add */
};

/* Never written; not const, because an iovec is not. */
static _Alignas(4096) uint8_t zeroes[ZEROES];

static uint64_t last_cluster(const struct qcow2 *q, uint64_t off, uint64_t n)
{
	return (off + n - 1) >> q->cluster_bits;
}

/* Until nobody is in the way of @r. Lets go of the lock meanwhile. */
static void wait_for(struct qcow2 *q, const struct range *r) REQUIRES(q->lock)
{
	lock_drop(&q->lock);
	range_wait(&q->ranges, r);
	lock_take(&q->lock);
}

/* --- scratch ------------------------------------------------------------- */

struct qcow2_scratch *qcow2_scratch_get(struct qcow2 *q)
{
	const size_t cluster = q->cluster_size < 4096 ? 4096 : q->cluster_size;
	struct qcow2_scratch *s;

	lock_take(&q->lock);
	s = q->scratch;
	if (s != NULL)
		q->scratch = s->next;
	lock_drop(&q->lock);
	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->mem =
		mmap(NULL, 5 * cluster, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->mem == MAP_FAILED) {
		free(s);
		return NULL;
	}
	s->cow = s->mem;
	s->packed = s->mem + 2 * cluster;
	s->plain = s->mem + 4 * cluster;
	return s;
}

void qcow2_scratch_put(struct qcow2 *q, struct qcow2_scratch *s)
{
	lock_take(&q->lock);
	s->next = q->scratch;
	q->scratch = s;
	lock_drop(&q->lock);
}

/* --- reading ------------------------------------------------------------- */

struct vectors {
	const struct iovec *iov;
	int count;
	size_t skip; /* where the bytes in question begin */
};

static int read_backing(struct qcow2 *q, const struct vectors *v, uint64_t off, uint64_t n)
{
	const uint64_t end = q->base != NULL ? q->base->capacity : 0;
	const uint64_t there = off >= end ? 0 : n < end - off ? n : end - off;
	int err = 0;

	if (there != 0)
		err = q->backing != NULL
			      ? qcow2_read(q->backing, v->iov, v->count, v->skip, off, there)
			      : qcow2_readv(&q->backing_file, v->iov, v->count, v->skip,
					    (size_t)there, off);
	if (err == 0)
		qcow2_iov_fill(v->iov, v->count, v->skip + (size_t)there, NULL,
			       (size_t)(n - there));
	return err;
}

static int read_packed(struct qcow2 *q, const struct vectors *v, uint64_t off,
		       const struct qcow2_map *m)
{
	struct qcow2_scratch *s = qcow2_scratch_get(q);
	int err;

	if (s == NULL)
		return ENOMEM;
	err = qcow2_packed_read(q, s, m->entry);
	if (err == 0)
		qcow2_iov_fill(v->iov, v->count, v->skip, s->plain + (off & (q->cluster_size - 1)),
			       (size_t)m->length);
	qcow2_scratch_put(q, s);
	return err;
}

static int read_run(struct qcow2 *q, const struct vectors *v, uint64_t off,
		    const struct qcow2_map *m)
{
	switch (m->kind) {
	case QCOW2_UNALLOCATED:
		return read_backing(q, v, off, m->length);
	case QCOW2_ZEROES:
		qcow2_iov_fill(v->iov, v->count, v->skip, NULL, (size_t)m->length);
		return 0;
	case QCOW2_DATA:
		/* Others let a file end within its last cluster; of one that was cut, that is a loss. */
		if (q->b->salvage && q->data_file == &q->file && m->host + m->length > q->file_end)
			return EIO;
		return qcow2_readv(q->data_file, v->iov, v->count, v->skip, (size_t)m->length,
				   m->host);
	case QCOW2_PACKED:
		return read_packed(q, v, off, m);
	}
	return EIO;
}

/* With a range held. */
static int read_held(struct qcow2 *q, struct vectors v, uint64_t off, uint64_t n)
{
	while (n > 0) {
		struct qcow2_map m;
		int err;

		lock_take(&q->lock);
		err = qcow2_map(q, off, n, &m);
		lock_drop(&q->lock);
		if (err == 0)
			err = read_run(q, &v, off, &m);
		if (err != 0)
			return err;
		v.skip += (size_t)m.length;
		off += m.length;
		n -= m.length;
	}
	return 0;
}

int qcow2_read(struct qcow2 *q, const struct iovec *iov, int count, size_t skip, uint64_t off,
	       uint64_t n)
{
	struct range r = { .first = off >> q->cluster_bits };
	int err;

	if (n == 0)
		return 0;
	r.last = last_cluster(q, off, n);
	if (!q->b->readonly) /* nothing changes when nobody writes */
		range_take(&q->ranges, &r);
	err = read_held(q, (struct vectors){ iov, count, skip }, off, n);
	if (!q->b->readonly)
		range_drop(&q->ranges, &r);
	return err;
}

/* --- writing ------------------------------------------------------------- */

static uint64_t autoclear_kept(const struct qcow2 *q)
{
	return q->data_raw ? QCOW2_AUTOCLEAR_RAW : 0;
}

bool qcow2_writes_as_it_is(const struct qcow2 *q)
{
	return !q->broken && !q->corrupt &&
	       (q->written || (q->autoclear & ~autoclear_kept(q)) == 0);
}

int qcow2_before_writing(struct qcow2 *q)
{
	const uint64_t keep = autoclear_kept(q);
	const uint64_t old = q->autoclear;
	int err = 0;

	if (q->broken || q->corrupt)
		return EIO;
	if (qcow2_writes_as_it_is(q))
		return 0;
	q->autoclear &= keep;
	err = qcow2_header_write(q);
	if (err == 0)
		err = qcow2_sync(&q->file);
	if (err == 0)
		q->written = true;
	else
		q->autoclear = old;
	return err;
}

int qcow2_check_overlap(struct qcow2 *q, const struct qcow2_map *m)
{
	const uint64_t last = (m->host + m->length - 1) >> q->cluster_bits;

	if (q->data_file != &q->file)
		return 0;
	for (uint64_t c = m->host >> q->cluster_bits; c <= last; c++)
		if (qcow2_is_meta(q, c))
			return qcow2_set_corrupt(q, "an L2 entry that points to metadata",
						 c << q->cluster_bits);
	return 0;
}

/* An allocating write: what it found and what it does about it. */
struct plan {
	struct vectors v; /* iov NULL: zeroes */
	uint64_t off, end;
	struct range r;
	uint64_t host;  /* of the first cluster */
	uint64_t count; /* clusters */
	bool owned;     /* the cluster is ours already */
	bool whole;     /* of the old cluster everything is copied, not only a granule */
	bool fresh;
};

static int data_write(struct qcow2 *q, const struct vectors *v, uint64_t host, uint64_t n)
{
	struct iovec z[ZERO_PIECE / ZEROES];

	if (v->iov != NULL)
		return qcow2_writev(q->data_file, v->iov, v->count, v->skip, (size_t)n, host);
	while (n > 0) {
		uint64_t piece = 0;
		int count = 0, err;

		while (piece < n && count < (int)(sizeof(z) / sizeof(z[0]))) {
			z[count] =
				(struct iovec){ zeroes, n - piece < ZEROES ? n - piece : ZEROES };
			piece += z[count++].iov_len;
		}
		err = qcow2_writev(q->data_file, z, count, 0, (size_t)piece, host);
		if (err != 0)
			return err;
		blk_wrote_zeroes(piece);
		host += piece;
		n -= piece;
	}
	return 0;
}

/* The clusters from @p->off on that want the same: as many as can be done at once. */
static int classify(struct qcow2 *q, const uint8_t *table, struct plan *p) REQUIRES(q->lock)
{
	const uint64_t first = p->off >> q->cluster_bits;
	const uint64_t last = last_cluster(q, p->off, p->end - p->off);

	p->count = 0;
	p->owned = p->whole = false;
	for (uint64_t c = first; c <= last; c++) {
		uint64_t entry, bitmap, host;
		bool owned, old;
		int err = qcow2_l2_entry(q, table, c, &entry, &bitmap);

		if (err != 0)
			return p->count != 0 ? 0 : err;
		host = entry & QCOW2_OFFSET;
		owned = (entry & (QCOW2_COMPRESSED | QCOW2_COPIED)) == QCOW2_COPIED;
		old = (entry & QCOW2_COMPRESSED) != 0 || (host != 0 && !owned);
		if (q->data_file != &q->file)
			owned = old = false; /* where it belongs is known anyway */
		if (owned || old) {
			if (p->count != 0)
				return 0;
			p->count = 1;
			p->owned = owned;
			p->whole = old;
			p->host = host;
			return 0;
		}
		p->count++;
	}
	return 0;
}

/* The head or tail of a copy: [from, to) of the disk, into vectors. */
struct rest {
	uint64_t from, to;
	uint8_t *buf;
	bool zero; /* not read: zeroes */
};

static int rest_read(struct qcow2 *q, struct rest *r)
{
	const uint64_t size = qcow2_size(q), end = r->to < size ? r->to : size;
	const struct iovec v = { r->buf, (size_t)(r->to - r->from) };
	uint64_t at = r->from;
	int err;

	r->zero = true;
	while (at < end && r->zero) {
		struct qcow2_map m;

		lock_take(&q->lock);
		err = qcow2_map(q, at, end - at, &m);
		lock_drop(&q->lock);
		if (err != 0)
			return err;
		if (m.kind == QCOW2_DATA || m.kind == QCOW2_PACKED ||
		    (m.kind == QCOW2_UNALLOCATED && q->base != NULL && at < q->base->capacity))
			r->zero = false;
		at += m.length;
	}
	if (r->zero || r->from >= end)
		return 0;
	err = read_held(q, (struct vectors){ &v, 1, 0 }, r->from, end - r->from);
	if (err == 0)
		memset(r->buf + (end - r->from), 0, (size_t)(r->to - end));
	return err;
}

static int rest_vectors(const struct rest *r, struct iovec *out)
{
	uint64_t n = r->to - r->from;
	int count = 0;

	if (n == 0)
		return 0;
	if (!r->zero) {
		out[0] = (struct iovec){ r->buf, (size_t)n };
		return 1;
	}
	while (n > 0) {
		out[count] = (struct iovec){ zeroes, n < ZEROES ? n : ZEROES };
		n -= out[count++].iov_len;
	}
	return count;
}

/* Head, data, tail; in one call when the pieces are not too many. */
static int write_parts(struct qcow2 *q, struct plan *p, struct rest *head, struct rest *tail)
{
	const uint64_t base = p->host - ((p->off >> q->cluster_bits) << q->cluster_bits);
	const uint64_t n = p->end - p->off;
	struct iovec v[PIECES];
	int count, more, err;

	if (p->fresh && head->zero)
		head->from = head->to;
	if (p->fresh && tail->zero)
		tail->to = tail->from;
	count = rest_vectors(head, v);
	more = p->v.iov == NULL ? -1
				: qcow2_iov_slice(p->v.iov, p->v.count, p->v.skip, (size_t)n,
						  v + count, PIECES - count - 32);
	if (more >= 0) {
		count += more;
		count += rest_vectors(tail, v + count);
		return qcow2_writev(q->data_file, v, count, 0, (size_t)(tail->to - head->from),
				    base + head->from);
	}
	err = count == 0 ? 0
			 : qcow2_writev(q->data_file, v, count, 0, (size_t)(head->to - head->from),
					base + head->from);
	if (err == 0 && (p->v.iov != NULL || !p->fresh))
		err = data_write(q, &p->v, base + p->off, n);
	count = rest_vectors(tail, v);
	if (err == 0 && count != 0)
		err = qcow2_writev(q->data_file, v, count, 0, (size_t)(tail->to - tail->from),
				   base + tail->from);
	return err;
}

/* What the bytes are between that get allocated with this write. */
static void extent(const struct qcow2 *q, const struct plan *p, uint64_t *ret_lo, uint64_t *ret_hi)
{
	const uint64_t unit = p->whole ? q->cluster_size : 1ull << q->granule_bits;

	*ret_lo = p->off & ~(unit - 1);
	*ret_hi = (p->end + unit - 1) & ~(unit - 1);
}

/*
 * A data file need not go on to the end of the disk's last cluster, and a device cannot. When
 * the disk grows, so does the file, and what is new there is zeroed.
 */
static uint64_t data_end(struct qcow2 *q)
{
	const uint64_t size = qcow2_size(q), there = blk_capacity(q->b->data);

	return size > there ? size : there;
}

static int copy_and_write(struct qcow2 *q, struct plan *p)
{
	struct qcow2_scratch *s = NULL;
	struct rest head, tail;
	uint64_t lo, hi;
	int err = 0;

	extent(q, p, &lo, &hi);
	if (q->data_file != &q->file && hi > data_end(q))
		hi = data_end(q);
	if (lo != p->off || hi != p->end) {
		s = qcow2_scratch_get(q);
		if (s == NULL)
			return ENOMEM;
	}
	head = (struct rest){ .from = lo, .to = p->off };
	tail = (struct rest){ .from = p->end, .to = hi };
	if (s != NULL) {
		head.buf = s->cow;
		tail.buf = s->cow + q->cluster_size;
		err = rest_read(q, &head);
		if (err == 0)
			err = rest_read(q, &tail);
	} else {
		head.zero = tail.zero = true;
	}
	if (err == 0)
		err = write_parts(q, p, &head, &tail);
	if (s != NULL)
		qcow2_scratch_put(q, s);
	return err;
}

/* Nothing is going to point to what @entry says any more. EIO: it cannot be data. */
static int give_up(struct qcow2 *q, uint64_t entry) REQUIRES(q->lock)
{
	uint64_t off = entry & QCOW2_OFFSET, n = 1;

	if ((entry & QCOW2_COMPRESSED) != 0)
		qcow2_packed_extent(q, entry, &off, &n);
	if (q->data_file != &q->file || off == 0)
		return 0;
	/* It would be counted as free, and the host take its contents. */
	for (uint64_t c = off >> q->cluster_bits; c <= last_cluster(q, off, n); c++)
		if (qcow2_is_meta(q, c))
			return qcow2_set_corrupt(q, "an L2 entry that points to metadata",
						 c << q->cluster_bits);
	for (uint64_t c = off >> q->cluster_bits; c <= last_cluster(q, off, n); c++)
		qcow2_unref_later(q, c, 1);
	return 0;
}

/* An L2 table to change, with room for what is given up. */
static int get_update(struct qcow2 *q, uint32_t index, struct qcow2_slot **ret_s) REQUIRES(q->lock)
{
	while (q->pending_count + PENDING_ROOM > QCOW2_MAX_PENDING) {
		int err = qcow2_commit(q);

		if (err != 0)
			return err;
	}
	return qcow2_l2_get_update(q, index, ret_s);
}

static uint32_t l1_index(const struct qcow2 *q, uint64_t off)
{
	return (uint32_t)(off >> (q->cluster_bits + q->l2_bits));
}

static int link_clusters(struct qcow2 *q, struct plan *p) REQUIRES(q->lock)
{
	struct qcow2_slot *s;
	uint64_t lo, hi;
	int err;

	extent(q, p, &lo, &hi);
	do {
		err = get_update(q, l1_index(q, p->off), &s);
		/* The lock was free while somebody else filled the list again? Once more. */
	} while (err == 0 && q->pending_count + PENDING_ROOM > QCOW2_MAX_PENDING);
	if (err != 0)
		return err;
	for (uint64_t i = 0; i < p->count; i++) {
		const uint64_t c = (p->off >> q->cluster_bits) + i;
		const uint64_t start = c << q->cluster_bits;
		uint64_t entry, bitmap, bits = 0;

		err = qcow2_l2_entry(q, qcow2_cache_bytes(q, &q->l2, s), c, &entry, &bitmap);
		if (err != 0)
			return err;
		if (q->entry_size == 16) {
			const uint64_t from = lo > start ? lo - start : 0;
			const uint64_t to =
				hi - start < q->cluster_size ? hi - start : q->cluster_size;

			bits = ((1ull << (to >> q->granule_bits)) - 1) &
			       ~((1ull << (from >> q->granule_bits)) - 1);
			if (p->whole)
				bitmap = 0;
			bitmap = (bitmap | bits) & ~(bits << 32);
		}
		err = p->whole ? give_up(q, entry) : 0;
		if (err != 0)
			return err;
		qcow2_l2_set(q, s, c, (p->host + (i << q->cluster_bits)) | QCOW2_COPIED, bitmap);
	}
	return 0;
}

/* Host clusters for the plan; fewer than it has clusters shorten it. */
static int find_room(struct qcow2 *q, struct plan *p) REQUIRES(q->lock)
{
	const uint64_t first = p->off >> q->cluster_bits;
	uint64_t got = p->count;
	int err = 0;

	p->fresh = false;
	if (q->data_file != &q->file) {
		p->host = first << q->cluster_bits;
	} else if (p->owned) {
		const struct qcow2_map m = { .host = p->host, .length = q->cluster_size };

		err = qcow2_check_overlap(q, &m);
	} else {
		err = qcow2_alloc(q, p->count, &p->host, &got, &p->fresh);
	}
	if (err != 0)
		return err;
	p->count = got;
	if (p->end > (first + got) << q->cluster_bits)
		p->end = (first + got) << q->cluster_bits;
	return 0;
}

/* With the plan's range held. */
static int allocate_locked(struct qcow2 *q, struct plan *p) REQUIRES(q->lock)
{
	const bool counted = q->data_file == &q->file;
	int err = find_room(q, p);

	if (err != 0)
		return err;
	lock_drop(&q->lock);
	err = copy_and_write(q, p);
	lock_take(&q->lock);
	if (err == 0)
		err = link_clusters(q, p);
	if (err != 0 && !p->owned && counted)
		qcow2_unref(q, p->host >> q->cluster_bits, p->count);
	return err;
}

/* With a range held. */
static int write_in_place(struct qcow2 *q, const struct vectors *v, const struct qcow2_map *m)
	REQUIRES(q->lock)
{
	int err = qcow2_check_overlap(q, m);

	if (err != 0)
		return err;
	lock_drop(&q->lock);
	err = data_write(q, v, m->host, m->length);
	lock_take(&q->lock);
	return err;
}

/* With O_DIRECT: is a block read, changed and written for it? Nobody may write there meanwhile. */
static bool takes_parts(const struct qcow2 *q, const struct qcow2_map *m)
{
	const struct qcow2_file *f = q->data_file;

	return f->direct && ((m->host | m->length) & (f->align.off - 1)) != 0;
}

/* Some of [off, off + n): *ret_n bytes. */
static int write_some(struct qcow2 *q, struct vectors v, uint64_t off, uint64_t n, uint64_t *ret_n)
	REQUIRES(q->lock)
{
	struct plan p = { .v = v, .off = off, .end = off + n };
	struct qcow2_map m;
	int err = qcow2_before_writing(q);

	while (err == 0) {
		bool in_place;

		err = qcow2_map(q, off, n, &m);
		if (err != 0)
			return err;
		in_place = m.kind == QCOW2_DATA && m.in_place;
		p.r.first = off >> q->cluster_bits;
		if (in_place) {
			p.r.last = last_cluster(q, off, m.length);
			p.r.exclusive = takes_parts(q, &m);
		} else {
			struct qcow2_slot *s;

			p.end = off + n;
			err = get_update(q, l1_index(q, off), &s);
			if (err != 0)
				return err;
			if (p.end > ((uint64_t)l1_index(q, off) + 1)
					    << (q->cluster_bits + q->l2_bits))
				p.end = ((uint64_t)l1_index(q, off) + 1)
					<< (q->cluster_bits + q->l2_bits);
			err = classify(q, qcow2_cache_bytes(q, &q->l2, s), &p);
			if (err != 0)
				return err;
			if (p.end > ((off >> q->cluster_bits) + p.count) << q->cluster_bits)
				p.end = ((off >> q->cluster_bits) + p.count) << q->cluster_bits;
			p.r.last = p.r.first + p.count - 1;
			p.r.exclusive = true;
		}
		if (!range_try(&q->ranges, &p.r)) {
			wait_for(q, &p.r);
			err = qcow2_before_writing(q);
			continue; /* nothing is as it was */
		}
		if (in_place) {
			err = write_in_place(q, &v, &m);
			*ret_n = m.length;
		} else {
			err = allocate_locked(q, &p);
			*ret_n = p.end - p.off;
		}
		range_drop(&q->ranges, &p.r);
		return err;
	}
	return err;
}

int qcow2_write(struct qcow2 *q, const struct iovec *iov, int count, uint64_t off, uint64_t n)
{
	struct vectors v = { iov, count, 0 };
	int err = 0;

	while (n > 0 && err == 0) {
		uint64_t done = 0;

		lock_take(&q->lock);
		err = write_some(q, v, off, n, &done);
		lock_drop(&q->lock);
		v.skip += (size_t)done;
		off += done;
		n -= done;
	}
	return err;
}

/* --- zeroes -------------------------------------------------------------- */

struct zeroing {
	uint64_t off, end; /* whole granules */
	uint64_t size;     /* of the disk, when that was found */
	bool discard, unmap;
};

/* What becomes of an entry. false: zeroes have to be written. */
static bool zero_entry(const struct qcow2 *q, const struct zeroing *z, uint64_t cluster,
		       uint64_t *entry, uint64_t *bitmap)
{
	const bool owned = (*entry & (QCOW2_COMPRESSED | QCOW2_COPIED)) == QCOW2_COPIED;
	const uint64_t start = cluster << q->cluster_bits;
	const uint64_t from = z->off > start ? z->off - start : 0;
	const uint64_t to = z->end - start < q->cluster_size ? z->end - start : q->cluster_size;
	const bool all = from == 0 && to == q->cluster_size;
	const bool keep = owned && !z->discard && !z->unmap;
	uint64_t bits;

	if (q->entry_size == 8) {
		if (q->version == 2 && q->base != NULL)
			return false;
		if (keep && q->version >= 3)
			*entry |= QCOW2_ZERO;
		else
			*entry = q->base != NULL ? QCOW2_ZERO : 0;
		return true;
	}
	if (!all && (*entry & QCOW2_COMPRESSED) != 0)
		return false;
	if (all && !keep) {
		*entry = 0;
		*bitmap = q->base != NULL ? 0xffffffffull << 32 : 0;
		return true;
	}
	bits = ((1ull << (to >> q->granule_bits)) - 1) & ~((1ull << (from >> q->granule_bits)) - 1);
	*bitmap = (*bitmap & ~bits) | bits << 32;
	return true;
}

/* Clusters of one L2 table. *ret_n bytes are dealt with; *ret_write: must be written first. */
static int zero_table(struct qcow2 *q, const struct zeroing *z, uint64_t *ret_n, bool *ret_write)
	REQUIRES(q->lock)
{
	const uint32_t index = l1_index(q, z->off);
	struct qcow2_slot *s;
	uint64_t c = z->off >> q->cluster_bits;
	int err = get_update(q, index, &s);

	*ret_n = 0;
	*ret_write = false;
	if (err != 0)
		return err;
	for (; c << q->cluster_bits < z->end; c++) {
		uint64_t entry, bitmap, old;

		if (q->pending_count + PENDING_ROOM > QCOW2_MAX_PENDING)
			break;
		err = qcow2_l2_entry(q, qcow2_cache_bytes(q, &q->l2, s), c, &entry, &bitmap);
		if (err != 0)
			break;
		old = entry;
		if (!zero_entry(q, z, c, &entry, &bitmap)) {
			*ret_write = true;
			break;
		}
		if ((entry & QCOW2_OFFSET) != (old & QCOW2_OFFSET) ||
		    ((entry ^ old) & QCOW2_COMPRESSED) != 0)
			err = give_up(q, old);
		if (err != 0)
			break;
		qcow2_l2_set(q, s, c, entry, bitmap);
	}
	if (c << q->cluster_bits > z->off)
		*ret_n = (c << q->cluster_bits < z->end ? c << q->cluster_bits : z->end) - z->off;
	return err;
}

/* Some of the granules. */
static int zero_some(struct qcow2 *q, struct zeroing z, uint64_t *ret_n, bool *ret_write)
	REQUIRES(q->lock)
{
	const uint64_t span = 1ull << (q->cluster_bits + q->l2_bits);
	struct range r = { .first = z.off >> q->cluster_bits, .exclusive = true };
	int err = qcow2_before_writing(q);

	*ret_n = 0;
	*ret_write = false;
	if (err != 0)
		return err;
	if (z.end > (z.off / span + 1) * span)
		z.end = (z.off / span + 1) * span;
	r.last = last_cluster(q, z.off, z.end - z.off);
	while (!range_try(&q->ranges, &r))
		wait_for(q, &r);
	if (q->size != z.size) /* it has grown: what is behind the old end is somebody's now */
		err = EAGAIN;
	else if (q->l1[l1_index(q, z.off)] == 0 && q->base == NULL)
		*ret_n = z.end - z.off; /* zeroes they are */
	else
		err = zero_table(q, &z, ret_n, ret_write);
	range_drop(&q->ranges, &r);
	return err;
}

/* Write zeroes where there are none yet. */
static int zero_by_writing(struct qcow2 *q, uint64_t off, uint64_t n)
{
	int err = 0;

	while (n > 0 && err == 0) {
		struct qcow2_map m;

		lock_take(&q->lock);
		err = qcow2_map(q, off, n, &m);
		lock_drop(&q->lock);
		if (err != 0)
			break;
		if (m.kind != QCOW2_ZEROES && (m.kind != QCOW2_UNALLOCATED || q->base != NULL))
			err = qcow2_write(q, NULL, 0, off, m.length);
		off += m.length;
		n -= m.length;
	}
	return err;
}

/* EAGAIN: once more, the disk has grown meanwhile. */
static int zero_once(struct qcow2 *q, uint64_t off, uint64_t n, bool discard, bool unmap)
{
	const uint64_t granule = 1ull << q->granule_bits;
	const uint64_t end = off + n;
	struct zeroing z = { .size = qcow2_size(q), .discard = discard, .unmap = unmap };
	int err = 0;

	/* A raw data file is an image of its own: what reads as zeroes must be zeroes there. */
	if (q->data_raw)
		return discard ? 0 : qcow2_write(q, NULL, 0, off, n);
	if (discard && q->version == 2 && q->base != NULL)
		return 0; /* there is no way to say so: advice not taken */
	z.off = (off + granule - 1) & ~(granule - 1);
	z.end = (end == z.size ? end + granule - 1 : end) & ~(granule - 1);
	if (z.off >= z.end)
		return discard ? 0 : zero_by_writing(q, off, n);
	if (!discard && z.off > off)
		err = zero_by_writing(q, off, z.off - off);
	while (z.off < z.end && err == 0) {
		uint64_t done;
		bool write;

		lock_take(&q->lock);
		err = zero_some(q, z, &done, &write);
		lock_drop(&q->lock);
		z.off += done;
		if (err == 0 && write) {
			uint64_t to = (z.off | (q->cluster_size - 1)) + 1;

			to = to < z.end ? to : z.end;
			if (to > z.size)
				err = zero_by_writing(q, z.off, z.size - z.off);
			else
				err = zero_by_writing(q, z.off, to - z.off);
			z.off = to;
		}
	}
	if (!discard && z.end < end && err == 0)
		err = zero_by_writing(q, z.end, end - z.end);
	return err;
}

int qcow2_zero(struct qcow2 *q, uint64_t off, uint64_t n, bool discard, bool unmap)
{
	int err;

	do {
		err = zero_once(q, off, n, discard, unmap);
	} while (err == EAGAIN);
	return err;
}
