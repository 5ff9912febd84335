/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtq.c - split virtqueues, virtio 1.2, 2.7. See virtq.h.
 *
 * Ring layout (all little-endian; N is the queue size):
 *
 *	desc    N * { addr u64, len u32, flags u16, next u16 }       aligned 16
 *	avail   flags u16, idx u16, ring[N] u16, used_event u16      aligned 2
 *	used    flags u16, idx u16, ring[N] { id u32, len u32 }, avail_event u16
 *	                                                             aligned 4
 *
 * Order: the driver writes the entry, then avail.idx; we read avail.idx with
 * acquire. We write the used element, then used.idx with release. Before
 * deciding whether the driver wants an interrupt (or whether it may have
 * missed that we want a kick) a full fence stands between our store and our
 * load; it pairs with the driver's own between its store and its load.
 */
#include "devices/virtio/virtq.h"

#include <assert.h>
#include <stdlib.h>

enum {
	AVAIL_FLAGS = 0,
	AVAIL_IDX = 2,
	AVAIL_RING = 4,
	USED_FLAGS = 0,
	USED_IDX = 2,
	USED_RING = 4,
	/* Indirect tables are nearly always in order; read this many entries at once. */
	TABLE_AHEAD = 16,
};

int virtq_init(struct virtq *q, struct gmem *mem)
{
	q->mem = mem;
	q->seg = calloc(MAX_VIRTQ_CHAIN, sizeof(*q->seg));
	return q->seg != NULL ? 0 : -1;
}

void virtq_fini(struct virtq *q)
{
	free(q->seg);
	*q = (struct virtq){ 0 };
}

void virtq_go_on(struct virtq *q, uint16_t index)
{
	q->last_avail = q->seen = q->used_idx = q->published = index;
	q->notify_off = false;
}

void virtq_reset(struct virtq *q)
{
	*q = (struct virtq){ .mem = q->mem, .seg = q->seg };
}

int virtq_start(struct virtq *q, const struct virtq_setup *s)
{
	const gpa_t n = s->size;

	virtq_reset(q);
	if (n == 0 || n > MAX_VIRTQ_SIZE || (n & (n - 1)) != 0)
		return -1;
	if (s->desc % 16 != 0 || s->avail % 2 != 0 || s->used % 4 != 0)
		return -1;
	/* Memory may go away later; then the accesses fail. This is for a plain word early. */
	if (!gmem_is_ram(q->mem, s->desc, 16 * n) || !gmem_is_ram(q->mem, s->avail, 6 + 2 * n) ||
	    !gmem_is_ram(q->mem, s->used, 6 + 8 * n))
		return -1;
	q->s = *s;
	q->ready = true;
	return 0;
}

static int broken(struct virtq *q)
{
	q->ready = false;
	return -1;
}

static gpa_t used_event(const struct virtq *q)
{
	return q->s.avail + AVAIL_RING + 2 * (gpa_t)q->s.size;
}

static gpa_t avail_event(const struct virtq *q)
{
	return q->s.used + USED_RING + 8 * (gpa_t)q->s.size;
}

static bool is_busy(const struct virtq *q, uint16_t head)
{
	return (q->busy[head / 64] >> (head % 64) & 1) != 0;
}

/* How many chains wait, or at least one: 0 .. size, or -1. */
static int waiting(struct virtq *q)
{
	uint16_t idx, n;

	if (!q->ready)
		return -1;
	if (q->seen != q->last_avail)
		return (uint16_t)(q->seen - q->last_avail);
	if (gmem_load_index(q->mem, q->s.avail + AVAIL_IDX, &idx) < 0)
		return broken(q);
	n = (uint16_t)(idx - q->last_avail);
	if (n > q->s.size)
		return broken(q);
	q->seen = idx;
	return n;
}

int virtq_has_more(struct virtq *q)
{
	int n = waiting(q);

	return n > 0 ? 1 : n;
}

/* A descriptor table being walked: the ring's own, or an indirect one. */
struct table {
	gpa_t gpa;
	uint32_t count;
	/* Entries [first, first + have) are already copied. */
	uint32_t first, have;
	struct virtq_desc ahead[TABLE_AHEAD];
};

/* Not by an initializer, which would clear what is read ahead, too. */
static void table_begin(struct table *t, gpa_t gpa, uint32_t count)
{
	t->gpa = gpa;
	t->count = count;
	t->first = t->have = 0;
}

/* Entry @i, good until the next call; NULL: not memory. Up to @max are read at once. */
static const struct virtq_desc *table_get(const struct virtq *q, struct table *t, uint32_t i,
					  uint32_t max)
{
	if (i - t->first >= t->have) {
		uint32_t n = t->count - i;

		if (n > max)
			n = max;
		t->have = 0;
		if (gmem_read(q->mem, t->gpa + 16 * (gpa_t)i, t->ahead, 16 * (size_t)n) < 0)
			return NULL;
		t->first = i;
		t->have = n;
	}
	return &t->ahead[i - t->first];
}

/* Append one buffer to the chain; the parts must come readable first. */
static int chain_add(struct virtq *q, struct virtq_chain *c, const struct virtq_desc *d)
{
	const unsigned n = c->out_count + c->in_count;
	const uint32_t len = le32_get(d->len);
	const bool in = (le16_get(d->flags) & VIRTQ_DESC_WRITE) != 0;
	uint32_t *total = in ? &c->in_len : &c->out_len;

	if (len == 0)
		return 0; /* pointless but harmless, wherever it stands */
	if (n == MAX_VIRTQ_CHAIN || (!in && c->in_count != 0))
		return -1;
	if (__builtin_add_overflow(*total, len, total))
		return -1; /* 2.7.4: a chain describes at most 4 GiB */
	q->seg[n] = (struct virtq_seg){ .gpa = le64_get(d->addr), .len = len };
	if (in)
		c->in_count++;
	else
		c->out_count++;
	return 0;
}

/* From @head on, of which @first is what was read. */
static int chain_walk_on(struct virtq *q, struct virtq_chain *c, const struct virtq_desc *first)
{
	struct table t;
	uint32_t i = c->head;
	uint32_t left = q->s.size; /* a longer walk has met itself */
	uint32_t max = 1;          /* the ring's own entries are scattered: one by one */
	bool nested = false;

	table_begin(&t, q->s.desc, q->s.size);
	t.first = i;
	t.have = 1;
	t.ahead[0] = *first;
	while (left-- > 0) {
		const struct virtq_desc *d = i < t.count ? table_get(q, &t, i, max) : NULL;
		uint16_t flags;

		if (d == NULL)
			return -1;
		flags = le16_get(d->flags);
		if ((flags & VIRTQ_DESC_INDIRECT) != 0) {
			const uint32_t len = le32_get(d->len);

			if (nested || !q->s.indirect || (flags & VIRTQ_DESC_NEXT) != 0 ||
			    len == 0 || len % 16 != 0)
				return -1;
			table_begin(&t, le64_get(d->addr), len / 16);
			nested = true;
			i = 0;
			/*
			 * 2.7.5.3.1 bounds this by the queue size, but drivers exist that
			 * go by their own limits; ours is what the array holds.
			 */
			left = MAX_VIRTQ_CHAIN;
			max = TABLE_AHEAD;
			continue;
		}
		if (chain_add(q, c, d) < 0)
			return -1;
		if ((flags & VIRTQ_DESC_NEXT) == 0)
			return 0;
		i = le16_get(d->next);
	}
	return -1;
}

/* Walk a chain from @head, an entry of the ring, into q->seg. One buffer, without a table to read ahead in, is most of them. */
static int chain_walk(struct virtq *q, uint16_t head, struct virtq_chain *c)
{
	struct virtq_desc d;

	*c = (struct virtq_chain){ .seg = q->seg, .head = head };
	if (head >= q->s.size || gmem_read(q->mem, q->s.desc + 16 * (gpa_t)head, &d, sizeof(d)) < 0)
		return -1;
	return (le16_get(d.flags) & (VIRTQ_DESC_NEXT | VIRTQ_DESC_INDIRECT)) == 0
		       ? chain_add(q, c, &d)
		       : chain_walk_on(q, c, &d);
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
	int n = waiting(q);
	uint16_t head;

	if (n <= 0)
		return n;
	if (gmem_load_index(q->mem,
			    q->s.avail + AVAIL_RING + 2 * (gpa_t)(q->last_avail & (q->s.size - 1u)),
			    &head) < 0)
		return broken(q);
	if (head >= q->s.size || is_busy(q, head) || chain_walk(q, head, c) < 0)
		return broken(q);
	q->busy[head / 64] |= 1ull << (head % 64);
	q->in_flight++;
	q->last_avail++;
	return 1;
}

void virtq_unpop(struct virtq *q, const struct virtq_chain *c)
{
	assert(is_busy(q, c->head));
	q->busy[c->head / 64] &= ~(1ull << (c->head % 64));
	q->in_flight--;
	q->last_avail--;
}

int virtq_again(struct virtq *q, uint16_t head, struct virtq_chain *c)
{
	assert(is_busy(q, head));
	if (!q->ready)
		return -1;
	return chain_walk(q, head, c) < 0 ? broken(q) : 0;
}

int virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	const struct virtq_used_elem u = { .id = le32_of(head), .len = le32_of(written) };
	const gpa_t slot = q->used_idx & (q->s.size - 1u);

	assert(head < MAX_VIRTQ_SIZE && is_busy(q, head));
	q->busy[head / 64] &= ~(1ull << (head % 64));
	q->in_flight--;
	if (!q->ready)
		return -1;
	if (gmem_write(q->mem, q->s.used + USED_RING + 8 * slot, &u, sizeof(u)) < 0)
		return broken(q);
	q->used_idx++;
	return 0;
}

int virtq_publish(struct virtq *q)
{
	const uint16_t old = q->published;
	uint16_t v;

	if (!q->ready)
		return -1;
	if (q->used_idx == old)
		return 0;
	if (gmem_store_index(q->mem, q->s.used + USED_IDX, q->used_idx) < 0)
		return broken(q);
	q->published = q->used_idx;
	gmem_fence();
	if (q->s.event_idx) {
		if (gmem_load_index(q->mem, used_event(q), &v) < 0)
			return broken(q);
		/* Did the index pass the driver's mark? (2.7.7.2, modulo 2^16) */
		return (uint16_t)(q->used_idx - v - 1) < (uint16_t)(q->used_idx - old);
	}
	if (gmem_load_index(q->mem, q->s.avail + AVAIL_FLAGS, &v) < 0)
		return broken(q);
	return (v & VIRTQ_AVAIL_NO_INTERRUPT) == 0;
}

void virtq_notify_off(struct virtq *q)
{
	if (!q->ready || q->notify_off)
		return;
	q->notify_off = true;
	/* With event indices the mark simply stays behind. */
	if (!q->s.event_idx &&
	    gmem_store_index(q->mem, q->s.used + USED_FLAGS, VIRTQ_USED_NO_NOTIFY) < 0)
		(void)broken(q);
}

int virtq_notify_on(struct virtq *q)
{
	int ret;

	if (!q->ready)
		return -1;
	q->notify_off = false;
	if (q->s.event_idx)
		ret = gmem_store_index(q->mem, avail_event(q), q->last_avail);
	else
		ret = gmem_store_index(q->mem, q->s.used + USED_FLAGS, 0);
	if (ret < 0)
		return broken(q);
	gmem_fence();
	return virtq_has_more(q);
}

int virtq_notify_more(struct virtq *q)
{
	const uint16_t seen = q->seen;
	uint16_t idx;
	int ret;

	if (!q->ready)
		return -1;
	q->notify_off = false;
	if (q->s.event_idx)
		ret = gmem_store_index(q->mem, avail_event(q), seen);
	else
		ret = gmem_store_index(q->mem, q->s.used + USED_FLAGS, 0);
	gmem_fence();
	if (ret < 0 || gmem_load_index(q->mem, q->s.avail + AVAIL_IDX, &idx) < 0 ||
	    (uint16_t)(idx - q->last_avail) > q->s.size)
		return broken(q);
	q->seen = idx;
	return idx != seen;
}

/* A walk over the bytes of one part of a chain. */
struct walk {
	const struct virtq_seg *seg;
	unsigned left; /* buffers from seg on */
	uint32_t off;  /* inside *seg */
};

static int walk_begin(struct walk *w, const struct virtq_chain *c, bool in, uint32_t off,
		      uint32_t n)
{
	const uint32_t total = in ? c->in_len : c->out_len;

	if (off > total || n > total - off)
		return -1;
	w->seg = in ? c->seg + c->out_count : c->seg;
	w->left = in ? c->in_count : c->out_count;
	while (w->left > 0 && off >= w->seg->len) {
		off -= w->seg->len;
		w->seg++;
		w->left--;
	}
	w->off = off;
	return 0;
}

/* The next piece of at most @n bytes; there is one, walk_begin() has counted them. */
static uint32_t walk_next(struct walk *w, uint32_t n, gpa_t *ret_gpa)
{
	const uint32_t here = w->seg->len - w->off;

	assert(w->left > 0);
	*ret_gpa = w->seg->gpa + w->off; /* wraps only where gmem refuses it */
	if (n < here) {
		w->off += n;
		return n;
	}
	w->seg++;
	w->left--;
	w->off = 0;
	return here;
}

/* Is all of [off, off + n) in the one buffer that there is, as it is most often? It begins at *@ret_gpa. */
static bool is_in_one(const struct virtq_chain *c, bool in, uint32_t off, uint32_t n,
		      gpa_t *ret_gpa)
{
	const struct virtq_seg *s = in ? c->seg + c->out_count : c->seg;

	if ((in ? c->in_count : c->out_count) != 1 || n == 0 || n > s->len || off > s->len - n)
		return false;
	*ret_gpa = s->gpa + off; /* as walk_next() has it */
	return true;
}

static int copy_from(const struct virtq *q, const struct virtq_chain *c, bool in, uint32_t off,
		     struct iovec to)
{
	uint8_t *p = to.iov_base;
	uint32_t n = (uint32_t)to.iov_len;
	struct walk w;

	if (walk_begin(&w, c, in, off, n) < 0)
		return -1;
	while (n > 0) {
		gpa_t gpa;
		uint32_t piece = walk_next(&w, n, &gpa);

		if (gmem_read(q->mem, gpa, p, piece) < 0)
			return -1;
		p += piece;
		n -= piece;
	}
	return 0;
}

int virtq_read(const struct virtq *q, const struct virtq_chain *c, uint32_t off, void *dst,
	       uint32_t n)
{
	gpa_t at;

	if (is_in_one(c, false, off, n, &at))
		return gmem_read(q->mem, at, dst, n);
	return copy_from(q, c, false, off, (struct iovec){ dst, n });
}

int virtq_read_in(const struct virtq *q, const struct virtq_chain *c, uint32_t off, void *dst,
		  uint32_t n)
{
	return copy_from(q, c, true, off, (struct iovec){ dst, n });
}

int virtq_write(const struct virtq *q, const struct virtq_chain *c, uint32_t off, const void *src,
		uint32_t n)
{
	const uint8_t *p = src;
	struct walk w;

	if (walk_begin(&w, c, true, off, n) < 0)
		return -1;
	while (n > 0) {
		gpa_t gpa;
		uint32_t piece = walk_next(&w, n, &gpa);

		if (gmem_write(q->mem, gpa, p, piece) < 0)
			return -1;
		p += piece;
		n -= piece;
	}
	return 0;
}

int virtq_in_gpa(const struct virtq_chain *c, uint32_t off, gpa_t *ret_gpa)
{
	struct walk w;

	if (walk_begin(&w, c, true, off, 1) < 0)
		return -1;
	(void)walk_next(&w, 1, ret_gpa);
	return 0;
}

/* Append @add vectors behind @used, joining what is contiguous in the host. Returns the new count. */
static int iov_merge(struct iovec *iov, int used, int add)
{
	for (int i = used; i < used + add; i++)
		assert(iov[i].iov_len != 0);
	while (add > 0 && used > 0 &&
	       (char *)iov[used - 1].iov_base + iov[used - 1].iov_len == iov[used].iov_base) {
		iov[used - 1].iov_len += iov[used].iov_len;
		add--;
		for (int i = used; i < used + add; i++)
			iov[i] = iov[i + 1];
	}
	return used + add;
}

int virtq_iov(const struct virtq *q, const struct virtq_chain *c, bool in, uint32_t off, uint32_t n,
	      struct iovec *iov, int max, struct gmem_span *ret_span)
{
	struct walk w;
	gpa_t at;
	int used = 0;

	*ret_span = (struct gmem_span){ 0 };
	if (is_in_one(c, in, off, n, &at)) {
		*ret_span = gmem_span_begin(q->mem);
		used = gmem_span_add(q->mem, at, n, in, iov, max);
		if (used < 0)
			gmem_span_end(q->mem, ret_span);
		return used > 1 ? iov_merge(iov, 0, used) : used;
	}
	if (walk_begin(&w, c, in, off, n) < 0)
		return -1;
	*ret_span = gmem_span_begin(q->mem);
	while (n > 0) {
		gpa_t gpa;
		uint32_t piece = walk_next(&w, n, &gpa);
		int got = gmem_span_add(q->mem, gpa, piece, in, iov + used, max - used);

		if (got < 0) {
			gmem_span_end(q->mem, ret_span);
			return -1;
		}
		used = iov_merge(iov, used, got);
		n -= piece;
	}
	return used;
}

void virtq_save(const struct virtq *q, struct saver *s)
{
	save_u16(s, q->last_avail);
	save_u16(s, q->published);
}

void virtq_load(struct virtq *q, struct loader *l)
{
	q->last_avail = q->seen = load_u16(l);
	q->used_idx = q->published = load_u16(l);
}

int virtq_take(struct virtq *q, uint16_t head)
{
	if (!q->ready || head >= q->s.size || is_busy(q, head))
		return -1;
	q->busy[head / 64] |= 1ull << (head % 64);
	q->in_flight++;
	return 0;
}

bool virtq_adds_up(const struct virtq *q)
{
	return (uint16_t)(q->last_avail - q->used_idx) == q->in_flight;
}
