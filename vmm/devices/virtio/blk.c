/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk.c - virtio block device, virtio 1.2, 5.2.
 *
 * One I/O thread per queue, with an aio of its own; what would block that
 * thread is done by a pool that the queues share. A request is a slot of the
 * queue, taken from a stack so that a shallow queue stays in a few cache lines;
 * it holds the host vectors of the guest's buffers (no copy) until the backend
 * is done. Nothing is allocated after init().
 *
 * A request that the host fails is answered with an error, or kept (on_error):
 * then the machine pauses, and the end of the pause submits it again. A kept
 * request is held by its queue (virtio_hold()): a reset or the end forgets it, and
 * what has not begun in the image is given up (blk_abandon()). What a failed
 * flush has lost is lost, so only a flush for which there was no space is tried
 * again, and only where the image still has in hand what did not fit.
 *
 * Rate limits: a request that has to wait stays in the ring, and the queue with
 * it, until its place in time has come (throttle.h). Zeroes are paid for like
 * data, and what the host did not have to write of them is given back.
 *
 * Batches: requests that are found in the ring in one turn are submitted
 * together, and completions that are reaped together are shown together, in
 * portions that let the driver, us and the storage work at the same time.
 *
 * A request on the ring: 16 bytes of header, data, one byte of status, cut
 * into buffers in any way. The header is at the start of the readable part,
 * the status is the last byte of the writable part.
 *
 *	type 0 IN, 1 OUT, 4 FLUSH, 8 GET_ID, 11 DISCARD, 13 WRITE_ZEROES
 *	status 0 OK, 1 IOERR, 2 UNSUPP
 *
 * The length in the used ring is what was really written: data and status of
 * a read, one byte otherwise. Windows' drivers look at it.
 */
#include "devices/virtio/blk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/block.h"
#include "backend/throttle.h"
#include "base/le.h"
#include "devices/virtio/affinity.h"
#include "devices/virtio/virtio.h"

enum {
	F_SEG_MAX = 2,
	F_RO = 5,
	F_BLK_SIZE = 6,
	F_FLUSH = 9,
	F_TOPOLOGY = 10,
	F_CONFIG_WCE = 11,
	F_MQ = 12,
	F_DISCARD = 13,
	F_WRITE_ZEROES = 14,
};

enum {
	T_IN = 0,
	T_OUT = 1,
	T_FLUSH = 4,
	T_GET_ID = 8,
	T_DISCARD = 11,
	T_WRITE_ZEROES = 13,
};

enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

enum {
	SECTOR = 512,
	SERIAL_SIZE = 20,
	DEFAULT_QUEUE_SIZE = 256,
	/* viostor's arrays hold 512 and overrun with more; it asks for 254 of 256 anyway. */
	SEG_MAX = 254,
	/* A buffer may lie across two pieces of memory; few do. */
	SLOT_VECTORS = SEG_MAX + 8,
	/* viostor before 2026 had an array of 16 and no check. */
	ZERO_SEG_MAX = 1,
	/* 1 GiB a request: fast where holes can be punched, bounded where not. */
	ZERO_SECTORS_MAX = 1 << 21,
	ZERO_UNMAP = 1, /* the only flag of a zero segment */
	POOL_THREADS = 16,
	POLL_NS = 64 * 1000, /* what waking the thread and the driver costs, about */
};

struct blk_header {
	le32 type;
	le32 reserved;
	le64 sector;
};
WIRE_SIZE(struct blk_header, 16);

struct zero_segment {
	le64 sector;
	le32 sectors;
	le32 flags;
};
WIRE_SIZE(struct zero_segment, 16);

/* struct virtio_blk_config of the specification, up to the fields of WRITE_ZEROES. */
struct blk_space {
	le64 capacity;
	le32 size_max;
	le32 seg_max;
	le16 cylinders;
	uint8_t heads, sectors;
	le32 blk_size;
	uint8_t physical_block_exp, alignment_offset;
	le16 min_io_size;
	le32 opt_io_size;
	uint8_t writeback, unused0;
	le16 num_queues;
	le32 max_discard_sectors;
	le32 max_discard_seg;
	le32 discard_sector_alignment;
	le32 max_write_zeroes_sectors;
	le32 max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
};
WIRE_SIZE(struct blk_space, 64);
WIRE_AT(struct blk_space, writeback, 32);
WIRE_AT(struct blk_space, max_discard_sectors, 36);
WIRE_AT(struct blk_space, write_zeroes_may_unmap, 56);

struct blk_queue;

/* One request in the backend's hands. */
struct slot {
	struct blk_req req; /* first: done() casts back */
	struct blk_queue *bq;
	gpa_t status_at;
	uint32_t written;          /* without the status byte, when all goes well */
	struct throttle_paid paid; /* for zeroes that may have to be written */
	uint16_t head;
	struct gmem_span span;
	struct iovec iov[SLOT_VECTORS];
};

struct blk_queue {
	struct virtio_queue *vq;
	struct iothread *thread; /* owned */
	struct aio *aio;         /* owned; on the thread's loop */
	bool owed;               /* pushed in a batch and not shown yet */
	struct slot *slot;       /* owned; as many as the ring can hold */
	uint16_t *spare;         /* owned; a stack of slots not in use */
	unsigned spare_count;
	/* Of the request at the head of the ring, when it waits for its turn. */
	struct throttle_turn turn;
	uint64_t turn_zeroes;
	struct loop_timer on_turn;
	struct virtio_blk_counters n; /* atomic, relaxed; only its thread adds */
};

struct virtio_blk {
	struct virtio v;   /* first */
	struct blk *blk;   /* owned */
	struct pool *pool; /* owned; of all queues */
	struct blk_queue *queue;
	unsigned queue_count;
	enum sill_disk_cache cache;
	enum sill_on_error on_error;
	bool keep_space;
	struct throttle *throttle; /* borrowed, or NULL */
	bool zeroes_free;          /* atomic: this host has been seen to write none */
	uint64_t poll_ns;          /* of the queues' threads */
	char serial[SERIAL_SIZE];  /* padded with zeroes */
	struct blk_space space;
};

static struct virtio_blk *from_virtio(struct virtio *v)
{
	return (struct virtio_blk *)(void *)v;
}

/* ---- requests, on the queue's thread ---- */

static void answer(struct blk_queue *bq, uint16_t head, gpa_t status_at, uint8_t status,
		   uint32_t written)
{
	/* Memory that went away since the request came: nobody to tell. */
	if (gmem_write(bq->vq->v->dev->env->gmem, status_at, &status, 1) < 0)
		written = 0;
	virtio_push(bq->vq, head, written);
}

static void end_span(struct blk_queue *bq, struct slot *s)
{
	gmem_span_end(bq->vq->v->dev->env->gmem, &s->span);
}

static bool is_no_space(int err)
{
	return err == ENOSPC || err == EDQUOT;
}

/* May what the failed request wanted still be had by trying again? */
static bool can_retry(const struct virtio_blk *vb, const struct blk_req *r, int err)
{
	return r->op != BLK_FLUSH || (is_no_space(err) && vb->blk->ops != &blk_raw_ops);
}

/*
 * Keep a failed request, if that is wanted and nobody waits for it to end. What is left of it is its
 * place in the ring.
 */
static bool keep(struct slot *s, int err)
{
	static const char *const what[] = {
		[BLK_READ] = "read",
		[BLK_WRITE] = "write",
		[BLK_FLUSH] = "flush",
		[BLK_DISCARD] = "discard",
		[BLK_WRITE_ZEROES] = "write of zeroes",
	};
	struct blk_queue *bq = s->bq;
	struct virtio *v = bq->vq->v;
	struct virtio_blk *vb = from_virtio(v);
	struct dev *d = v->dev;

	if (vb->on_error == SILL_ON_ERROR_REPORT || d->env->stall == NULL ||
	    (vb->on_error == SILL_ON_ERROR_ENOSPC_STOP && !is_no_space(err)))
		return false;
	if (!virtio_hold(bq->vq, s->head, !can_retry(vb, &s->req, err)))
		return false;
	d->env->stall(d->env->ctx, d->id, what[s->req.op], err);
	return true;
}

static void settle_zeroes(struct slot *s, uint64_t written);
static void learn(struct virtio_blk *vb, const struct blk_req *r, int status);

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void count(struct virtio_blk_counters *n, const struct blk_req *r, int status)
{
	uint64_t *ops = r->op == BLK_READ    ? &n->read_ops
			: r->op == BLK_WRITE ? &n->write_ops
			: r->op == BLK_FLUSH ? &n->flush_ops
					     : &n->discard_ops;

	add(ops, 1);
	if (status != 0)
		add(&n->errors, 1);
	else if (r->op == BLK_READ || r->op == BLK_WRITE)
		add(r->op == BLK_READ ? &n->read_bytes : &n->write_bytes, r->length);
}

static void on_done(struct blk_req *r, int status)
{
	struct slot *s = (struct slot *)(void *)r;
	struct blk_queue *bq = s->bq;

	count(&bq->n, r, status);
	learn(from_virtio(bq->vq->v), r, status);
	settle_zeroes(s, r->zeroes_written);
	end_span(bq, s);
	if (status == 0 || !keep(s, status))
		answer(bq, s->head, s->status_at, status == 0 ? S_OK : S_IOERR,
		       status == 0 ? s->written + 1 : 1);
	bq->spare[bq->spare_count++] = (uint16_t)(s - bq->slot);
	/* A turn, and a batch, end with a flush. */
	bq->owed = aio_in_batch(bq->aio);
	if ((!bq->owed && !bq->vq->in_run) || virtio_is_full(bq->vq)) {
		bq->owed = false;
		virtio_flush(bq->vq);
	}
}

/* A batch of completions is over. */
static void on_batch(void *ctx)
{
	struct blk_queue *bq = ctx;

	if (!bq->owed)
		return;
	bq->owed = false;
	virtio_flush(bq->vq);
}

static void blk_plug(struct virtio_queue *q)
{
	aio_plug(from_virtio(q->v)->queue[q->index].aio);
}

static void blk_unplug(struct virtio_queue *q)
{
	aio_unplug(from_virtio(q->v)->queue[q->index].aio);
}

/* Is [sector, sector + bytes) on the disk, in whole blocks? */
static bool in_range(const struct blk *b, uint64_t sector, uint64_t bytes, uint64_t *ret_off)
{
	const uint64_t capacity = blk_capacity(b);
	uint64_t off;

	if (__builtin_mul_overflow(sector, (uint64_t)SECTOR, &off) || off > capacity ||
	    bytes > capacity - off || off % b->block_size != 0 || bytes % b->block_size != 0)
		return false;
	*ret_off = off;
	return true;
}

/* The range of a DISCARD or WRITE_ZEROES. S_OK, or why not. */
static uint8_t parse_zero(struct virtio_blk *vb, struct blk_queue *bq, const struct virtq_chain *c,
			  struct blk_req *r)
{
	struct zero_segment z;
	uint32_t sectors, flags;

	if (c->out_len != sizeof(struct blk_header) + sizeof(z) ||
	    virtq_read(&bq->vq->ring, c, sizeof(struct blk_header), &z, sizeof(z)) < 0)
		return S_IOERR; /* one segment is what we offer */
	sectors = le32_get(z.sectors);
	flags = le32_get(z.flags);
	if ((flags & ~(r->op == BLK_WRITE_ZEROES ? ZERO_UNMAP : 0u)) != 0)
		return S_UNSUPP; /* 5.2.6.2 */
	if (sectors > ZERO_SECTORS_MAX)
		return S_IOERR;
	r->length = (uint64_t)sectors * SECTOR;
	r->unmap = (flags & ZERO_UNMAP) != 0 && !vb->keep_space;
	return in_range(vb->blk, le64_get(z.sector), r->length, &r->offset) ? S_OK : S_IOERR;
}

/* The range and the vectors of a read or a write. */
static uint8_t parse_data(struct virtio_blk *vb, struct blk_queue *bq, const struct virtq_chain *c,
			  uint64_t sector, struct slot *s)
{
	const bool in = s->req.op == BLK_READ;
	const uint32_t skip = in ? 0 : sizeof(struct blk_header);
	const uint32_t n = in ? c->in_len - 1 : c->out_len - skip;

	s->req.length = n;
	if (!in_range(vb->blk, sector, n, &s->req.offset))
		return S_IOERR;
	s->req.iov_count = virtq_iov(&bq->vq->ring, c, in, skip, n, s->iov, SLOT_VECTORS, &s->span);
	if (s->req.iov_count < 0)
		return S_IOERR;
	s->written = in ? n : 0;
	return S_OK;
}

/* What the backend has to do. S_OK: the slot's request is complete. */
static uint8_t parse(struct virtio_blk *vb, struct blk_queue *bq, const struct virtq_chain *c,
		     const struct blk_header *h, struct slot *s)
{
	struct virtio *v = &vb->v;
	const uint32_t type = le32_get(h->type);

	switch (type) {
	case T_IN:
		s->req.op = BLK_READ;
		return parse_data(vb, bq, c, le64_get(h->sector), s);
	case T_OUT:
		s->req.op = BLK_WRITE;
		if (vb->blk->readonly)
			return S_IOERR;
		return parse_data(vb, bq, c, le64_get(h->sector), s);
	case T_FLUSH: /* also when it was not negotiated, and on a read-only disk */
		s->req.op = BLK_FLUSH;
		return S_OK;
	case T_DISCARD:
	case T_WRITE_ZEROES:
		s->req.op = type == T_DISCARD ? BLK_DISCARD : BLK_WRITE_ZEROES;
		if (!virtio_has(v, type == T_DISCARD ? F_DISCARD : F_WRITE_ZEROES))
			return S_UNSUPP;
		return parse_zero(vb, bq, c, &s->req);
	default:
		return S_UNSUPP;
	}
}

/* 5.2.6: the serial number, 20 bytes, not terminated when it is that long. */
static void get_id(struct virtio_blk *vb, struct blk_queue *bq, const struct virtq_chain *c,
		   gpa_t status_at)
{
	const uint32_t room = c->in_len - 1;
	const uint32_t n = room < SERIAL_SIZE ? room : SERIAL_SIZE;

	if (virtq_write(&bq->vq->ring, c, 0, vb->serial, n) < 0)
		answer(bq, c->head, status_at, S_IOERR, 1);
	else
		answer(bq, c->head, status_at, S_OK, n + 1);
}

/* ---- rate limits ---- */

static void on_turn(void *ctx)
{
	struct blk_queue *bq = ctx;

	virtio_run(bq->vq);
}

/* What it takes up of the bandwidth besides its buffers: a range of zeroes is as good as so many bytes. */
static uint64_t zeroes_of(struct virtio_blk *vb, struct blk_queue *bq, const struct virtq_chain *c,
			  uint32_t type)
{
	struct zero_segment z;

	if (type != T_WRITE_ZEROES || __atomic_load_n(&vb->zeroes_free, __ATOMIC_RELAXED) ||
	    virtq_read(&bq->vq->ring, c, sizeof(struct blk_header), &z, sizeof(z)) < 0 ||
	    le32_get(z.sectors) > ZERO_SECTORS_MAX)
		return 0;
	return (uint64_t)le32_get(z.sectors) * SECTOR;
}

/*
 * Is it not this request's turn yet? It has paid for the size it had when it was
 * first seen; the driver may have made it larger since, and the limits may be others.
 */
static bool must_wait(struct throttle *t, struct blk_queue *bq, uint64_t data, uint64_t zeroes)
{
	const uint64_t before = bq->turn.waits ? bq->turn.at_ns : 0;
	const uint64_t bytes = data + zeroes;

	if (before == 0)
		bq->turn_zeroes = zeroes;
	if (!throttle_may_begin(t, &bq->turn, host_now(), bytes)) {
		if (bq->turn.at_ns != before)
			loop_timer_set(bq->vq->loop, &bq->on_turn, bq->turn.at_ns);
		return true;
	}
	if (bytes > bq->turn.bytes && zeroes > bq->turn_zeroes)
		bq->turn_zeroes = zeroes;
	return false;
}

/* Only what moves data counts, by what it moves. */
static bool is_limited(uint32_t type)
{
	return type == T_IN || type == T_OUT || type == T_DISCARD || type == T_WRITE_ZEROES;
}

/* Its zeroes are done, or are not to be: what they have cost is known. */
static void settle_zeroes(struct slot *s, uint64_t written)
{
	struct blk_queue *bq = s->bq;
	struct throttle *t = from_virtio(bq->vq->v)->throttle;
	uint64_t ns;

	if (t == NULL || written == s->paid.bytes)
		return;
	ns = throttle_settle(t, &s->paid, host_now(), written);
	if (ns == 0 || !bq->turn.waits)
		return;
	/* Whoever waits behind it waits for less. */
	throttle_turn_sooner(&bq->turn, ns);
	loop_timer_set(bq->vq->loop, &bq->on_turn, bq->turn.at_ns);
}

/* A raw image writes none or all of them: once one was free, they are. Other formats have both. */
static void learn(struct virtio_blk *vb, const struct blk_req *r, int status)
{
	if (r->op == BLK_WRITE_ZEROES && status == 0 && r->length != 0 &&
	    vb->blk->ops == &blk_raw_ops)
		__atomic_store_n(&vb->zeroes_free, r->zeroes_written == 0, __ATOMIC_RELAXED);
}

/* Without a header or a place for the status there is nothing to answer: false. */
static bool read_head(struct virtio_queue *q, const struct virtq_chain *c, struct blk_header *h,
		      gpa_t *ret_status_at)
{
	return virtq_read(&q->ring, c, 0, h, sizeof(*h)) == 0 && c->in_len != 0 &&
	       virtq_in_gpa(c, c->in_len - 1, ret_status_at) == 0 &&
	       gmem_is_ram(q->v->dev->env->gmem, *ret_status_at, 1);
}

/* To the backend. @paid: to the throttle, for zeroes. */
static void begin(struct virtio_queue *q, const struct virtq_chain *c, const struct blk_header *h,
		  gpa_t status_at, const struct throttle_paid *paid)
{
	struct virtio_blk *vb = from_virtio(q->v);
	struct blk_queue *bq = &vb->queue[q->index];
	struct slot *s;
	uint8_t status;

	assert(bq->spare_count > 0); /* a slot for every head the ring can have in flight */
	s = &bq->slot[bq->spare[bq->spare_count - 1]];
	s->req =
		(struct blk_req){ .iov = s->iov, .loop = q->loop, .aio = bq->aio, .done = on_done };
	s->bq = bq;
	s->head = c->head;
	s->status_at = status_at;
	s->written = 0;
	s->paid = *paid;
	status = parse(vb, bq, c, h, s);
	if (status != S_OK) {
		settle_zeroes(s, 0);
		answer(bq, c->head, status_at, status, 1);
		return;
	}
	bq->spare_count--;
	if (s->req.op == BLK_FLUSH && vb->cache == SILL_CACHE_UNSAFE)
		on_done(&s->req, 0);
	else
		blk_submit(vb->blk, &s->req);
}

static enum virtio_next blk_request(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct virtio_blk *vb = from_virtio(q->v);
	struct blk_queue *bq = &vb->queue[q->index];
	struct throttle_paid paid = { 0 };
	struct blk_header h;
	gpa_t status_at;

	if (!read_head(q, c, &h, &status_at))
		return VIRTIO_BROKEN;
	if (le32_get(h.type) == T_GET_ID) {
		get_id(vb, bq, c, status_at);
		return VIRTIO_TAKEN;
	}
	if (q->held_count > 0)
		return VIRTIO_WAIT; /* the machine is about to pause */
	if ((bq->turn.waits || throttle_is_on(vb->throttle)) && is_limited(le32_get(h.type))) {
		if (must_wait(vb->throttle, bq, (uint64_t)c->in_len + c->out_len,
			      zeroes_of(vb, bq, c, le32_get(h.type))))
			return VIRTIO_WAIT;
		if (le32_get(h.type) == T_WRITE_ZEROES)
			paid = throttle_paid_by(vb->throttle, &bq->turn, bq->turn_zeroes);
	}
	begin(q, c, &h, status_at, &paid);
	return VIRTIO_TAKEN;
}

/* What was kept: once more, and without waiting for its turn, which it has had. */
static enum virtio_next blk_again(struct virtio_queue *q, const struct virtq_chain *c, bool lost)
{
	struct virtio_blk *vb = from_virtio(q->v);
	struct throttle_paid paid = { 0 };
	struct blk_header h;
	gpa_t status_at;

	if (!read_head(q, c, &h, &status_at))
		return VIRTIO_BROKEN;
	if (vb->throttle != NULL)
		paid = throttle_paid_by(vb->throttle, NULL, 0);
	if (lost)
		answer(&vb->queue[q->index], c->head, status_at, S_IOERR, 1);
	else
		begin(q, c, &h, status_at, &paid);
	return VIRTIO_TAKEN;
}

/* ---- configuration ---- */

static void set_writeback(struct virtio_blk *vb, bool on)
{
	vb->space.writeback = on;
	__atomic_store_n(&vb->blk->writeback, on || vb->cache == SILL_CACHE_UNSAFE,
			 __ATOMIC_RELEASE);
}

static enum io_result blk_config_write(struct virtio *v, const struct io *io)
{
	if (io->off != offsetof(struct blk_space, writeback) || io->size != 1 ||
	    !virtio_has(v, F_CONFIG_WCE) || io->val > 1)
		return IO_READ_ONLY;
	set_writeback(from_virtio(v), io->val == 1);
	return IO_DONE;
}

static bool starts_writeback(const struct virtio_blk *vb)
{
	return vb->cache != SILL_CACHE_WRITETHROUGH;
}

/* A driver that can neither flush nor choose must be able to trust its writes (5.2.5.1). */
static void blk_driver_ok(struct virtio *v)
{
	struct virtio_blk *vb = from_virtio(v);

	if (!virtio_has(v, F_CONFIG_WCE))
		set_writeback(vb, starts_writeback(vb) && virtio_has(v, F_FLUSH));
}

static void blk_driver_reset(struct virtio *v)
{
	struct virtio_blk *vb = from_virtio(v);

	set_writeback(vb, starts_writeback(vb));
	blk_abandon(vb->blk, false); /* nothing is in flight any more */
}

static void blk_give_up(struct virtio *v)
{
	blk_abandon(from_virtio(v)->blk, true);
}

static void blk_save(struct virtio *v, struct saver *s)
{
	save_u8(s, from_virtio(v)->space.writeback);
}

static void blk_load(struct virtio *v, struct loader *l)
{
	set_writeback(from_virtio(v), load_bool(l));
}

static const struct virtio_ops blk_ops = {
	.request = blk_request,
	.again = blk_again,
	.plug = blk_plug,
	.unplug = blk_unplug,
	.driver_ok = blk_driver_ok,
	.driver_reset = blk_driver_reset,
	.give_up = blk_give_up,
	.config_write = blk_config_write,
	.save = blk_save,
	.load = blk_load,
};

static uint64_t describe(struct virtio_blk *vb, unsigned queue_size)
{
	const struct blk *b = vb->blk;
	const uint32_t blocks = b->phys_size > b->block_size ? b->phys_size / b->block_size : 1;
	uint64_t features = 1ull << F_SEG_MAX | 1ull << F_BLK_SIZE | 1ull << F_FLUSH |
			    1ull << F_TOPOLOGY | 1ull << F_CONFIG_WCE;
	const uint32_t seg_max = queue_size - 2 < SEG_MAX ? queue_size - 2 : SEG_MAX;

	vb->space = (struct blk_space){
		.capacity = le64_of(b->capacity / SECTOR),
		.seg_max = le32_of(seg_max),
		.blk_size = le32_of(b->block_size),
		.physical_block_exp = (uint8_t)__builtin_ctz(blocks),
		.min_io_size = le16_of((uint16_t)blocks),
		.num_queues = le16_of((uint16_t)vb->queue_count),
		.writeback = starts_writeback(vb),
	};
	if (vb->queue_count > 1)
		features |= 1ull << F_MQ;
	if (b->readonly)
		features |= 1ull << F_RO;
	if (b->can_discard && !b->readonly) {
		features |= 1ull << F_WRITE_ZEROES;
		vb->space.max_write_zeroes_sectors = le32_of(ZERO_SECTORS_MAX);
		vb->space.max_write_zeroes_seg = le32_of(ZERO_SEG_MAX);
		vb->space.write_zeroes_may_unmap = !vb->keep_space;
	}
	if (b->can_discard && !b->readonly && !vb->keep_space) {
		features |= 1ull << F_DISCARD;
		vb->space.max_discard_sectors = le32_of(ZERO_SECTORS_MAX);
		vb->space.max_discard_seg = le32_of(ZERO_SEG_MAX);
		vb->space.discard_sector_alignment =
			le32_of(b->phys_size > SECTOR ? b->phys_size / SECTOR : 1);
	}
	return features;
}

/* ---- life ---- */

static int queue_create(struct virtio_blk *vb, unsigned i, const struct virtio_blk_config *c,
			struct sill_err *e)
{
	struct blk_queue *bq = &vb->queue[i];
	struct aio_config ac = { .pool = vb->pool,
				 .engine = c->disk.io,
				 .depth = vb->v.queue_max,
				 .batch = on_batch,
				 .ctx = bq };
	char name[16];

	bq->vq = &vb->v.queue[i];
	bq->slot = calloc(vb->v.queue_max, sizeof(*bq->slot));
	bq->spare = calloc(vb->v.queue_max, sizeof(*bq->spare));
	bq->on_turn = (struct loop_timer){ .fn = on_turn, .ctx = bq };
	if (bq->slot == NULL || bq->spare == NULL)
		return sill_err_sys(e, ENOMEM, "requests of queue %u", i);
	/* The slots themselves are not touched: most of them never are. */
	for (unsigned n = vb->v.queue_max; n > 0; n--)
		bq->spare[bq->spare_count++] = (uint16_t)(n - 1);
	(void)snprintf(name, sizeof(name), "%.9s/q%hhu", vb->v.dev->id, (unsigned char)i);
	bq->thread = iothread_create(name, vb->poll_ns, e);
	if (bq->thread == NULL)
		return -1;
	bq->vq->loop = ac.loop = iothread_loop(bq->thread);
	bq->aio = aio_create(&ac, e);
	return bq->aio != NULL ? 0 : -1;
}

static int threads_create(struct virtio_blk *vb, const struct virtio_blk_config *c,
			  struct sill_err *e)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "%.8s/io", vb->v.dev->id);
	vb->pool = pool_create(name, POOL_THREADS, e);
	if (vb->pool == NULL)
		return -1;
	for (unsigned i = 0; i < vb->queue_count; i++)
		if (queue_create(vb, i, c, e) < 0)
			return -1;
	return 0;
}

/* On the loop's thread. */
static void forget(void *ctx)
{
	struct blk_queue *bq = ctx;

	loop_timer_cancel(bq->vq->loop, &bq->on_turn);
}

static void blk_free(struct virtio_blk *vb)
{
	virtio_detach(&vb->v);
	pool_destroy(vb->pool);
	for (unsigned i = 0; vb->queue != NULL && i < vb->queue_count; i++) {
		if (vb->queue[i].thread != NULL)
			loop_call(iothread_loop(vb->queue[i].thread), forget, &vb->queue[i]);
		aio_destroy(vb->queue[i].aio);
		iothread_destroy(vb->queue[i].thread);
		free(vb->queue[i].slot);
		free(vb->queue[i].spare);
	}
	free(vb->queue);
	virtio_fini(&vb->v);
	blk_close(vb->blk);
}

void virtio_blk_counters(const struct dev *d, struct virtio_blk_counters *ret)
{
	const struct virtio_blk *vb = d->state;

	*ret = (struct virtio_blk_counters){ 0 };
	for (unsigned i = 0; i < vb->queue_count; i++) {
		const struct virtio_blk_counters *n = &vb->queue[i].n;

#define ADD(name) ret->name += __atomic_load_n(&n->name, __ATOMIC_RELAXED)
		ADD(read_bytes);
		ADD(read_ops);
		ADD(write_bytes);
		ADD(write_ops);
		ADD(flush_ops);
		ADD(discard_ops);
		ADD(errors);
#undef ADD
	}
}

static int blk_init(struct dev *d, struct sill_err *e)
{
	const struct virtio_blk_config *c = d->config;
	struct virtio_blk *vb = d->state;
	const unsigned size = c->disk.queue_size != 0 ? c->disk.queue_size : DEFAULT_QUEUE_SIZE;
	struct affinity before;
	int created;
	struct virtio_spec spec = {
		.ops = &blk_ops,
		.type = VIRTIO_BLK,
		.class_code = 0x018000, /* mass storage, other */
		.queue_size = (uint16_t)size,
		.config = &vb->space,
		.config_size = sizeof(vb->space),
	};

	vb->blk = c->blk;
	vb->cache = c->disk.cache;
	vb->on_error = c->disk.on_error;
	vb->keep_space = c->disk.discard == SILL_DISCARD_IGNORE;
	vb->throttle = c->throttle;
	vb->queue_count = c->disk.queues != 0 ? c->disk.queues : 1;
	assert(vb->queue_count <= MAX_DOORBELLS && size >= 4 && size <= MAX_VIRTQ_SIZE);
	if (c->disk.serial != NULL)
		memcpy(vb->serial, c->disk.serial, strnlen(c->disk.serial, SERIAL_SIZE));
	vb->queue = calloc(vb->queue_count, sizeof(*vb->queue));
	if (vb->queue == NULL) {
		(void)sill_err_sys(e, ENOMEM, "queues");
		goto fail;
	}
	spec.queue_count = (uint16_t)vb->queue_count;
	spec.features = describe(vb, size);
	if (virtio_init(&vb->v, d, &spec, e) < 0)
		goto fail;
	vb->poll_ns = affinity_has_cpus() ? POLL_NS : 0;
	if (affinity_set(&before, c->disk.affinity, c->disk.affinity_count, e) < 0)
		goto fail;
	created = threads_create(vb, c, e);
	affinity_restore(&before);
	if (created < 0)
		goto fail;
	if (virtio_attach(&vb->v, c->disk.slot != 0 ? c->disk.slot : -1, e) < 0)
		goto fail;
	return 0;

fail:
	blk_free(vb);
	return -1;
}

int virtio_blk_resize(struct dev *d, uint64_t bytes, struct sill_err *e)
{
	struct virtio_blk *vb = d->state;
	uint64_t capacity;

	if (bytes % vb->blk->block_size != 0)
		return sill_err_set(e, SILL_ERR_LIMIT, "%s: the size is not a multiple of %u",
				    d->id, vb->blk->block_size);
	if (blk_resize(vb->blk, bytes, e) < 0) {
		sill_err_wrap(e, "%s", d->id);
		return -1;
	}
	capacity = blk_capacity(vb->blk);
	dev_take(d);
	if (le64_get(vb->space.capacity) != capacity / SECTOR) {
		vb->space.capacity = le64_of(capacity / SECTOR);
		virtio_config_changed(&vb->v);
	}
	dev_drop(d);
	return 0;
}

int virtio_blk_sync(struct dev *d, struct sill_err *e)
{
	const int err = blk_sync(((struct virtio_blk *)d->state)->blk);

	return err == 0 ? 0 : sill_err_sys(e, err, "%s: write what is in memory yet", d->id);
}

static void blk_fini(struct dev *d)
{
	blk_free(d->state);
}

const struct dev_ops virtio_blk_ops = {
	.type = "virtio-blk",
	.state_size = sizeof(struct virtio_blk),
	.init = blk_init,
	VIRTIO_DEV_OPS,
	.reset = virtio_reset,
	.fini = blk_fini,
};
