/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon.c - traditional memory balloon device, virtio 1.2, 5.5: the guest gives
 * memory to the host while it does not need it.
 *
 *	queue 0  inflate: numbers of pages that the guest does not touch any more
 *	queue 1  deflate: of pages that it takes back
 *	queue 2  statistics: one buffer that the driver fills whenever it comes back
 *	queue 3, 4  free pages are reported: which may be touched again at any time
 *	configuration: 0 num_pages u32, 4 actual u32 (the driver's)
 *
 * A page that is given is dropped from the host's memory (gmem_discard()); one that
 * is taken back, or touched all the same, is there again, full of zeroes. So there
 * is nothing to undo at a reset, and a guest that lies harms only itself. What it
 * has in the balloon is known to it alone.
 *
 * The queue of reports is number 4 by the specification, also where the one before it
 * (free page hints) does not exist; Linux counts only those that exist. Both are
 * served. Of a driver without statistics, even number 2 is such a queue.
 *
 * VirtIO-win's driver of x86-64 writes page numbers of 8 bytes where there should be
 * 4: each is followed by a zero, and page 0 is in nobody's balloon.
 *
 * All queues are on a thread of the device's own: dropping pages takes a while.
 */
#include "devices/virtio/balloon.h"

#include <stddef.h>

#include "base/le.h"
#include "devices/virtio/virtio.h"

enum { F_STATS_VQ = 1, F_DEFLATE_ON_OOM = 2, F_PAGE_REPORTING = 5 };
enum { INFLATE = 0, DEFLATE = 1, STATS = 2, REPORT = 4, QUEUES = 5, QUEUE_SIZE = 128 };

enum {
	PIECE = 1024,     /* page numbers that are looked at in one go */
	PFNS_MAX = 16384, /* of one request; Linux sends 256, Windows 512 of twice the size */
	STAT_SIZE = 10,   /* le16 tag, le64 value */
	STATS_MAX = 64,   /* in one buffer that are looked at */
};

struct balloon_space {
	le32 num_pages;
	le32 actual;
};
WIRE_SIZE(struct balloon_space, 8);

struct virtio_balloon {
	struct virtio v;         /* first */
	struct iothread *thread; /* owned */
	struct loop *loop;
	struct loop_timer poll;
	uint64_t poll_ns; /* constant */
	bool is_read;     /* the queue's: the buffer of statistics that is in the ring */
	bool pull; /* the loop's thread: the buffer of statistics goes back to be filled again */
	/* Under the device's lock. */
	struct balloon_space space;
	unsigned known;
	uint64_t stat[BALLOON_STATS];
	/* Atomic. */
	uint64_t inflated, deflated, reported, returned, refused;
};

static struct virtio_balloon *from_virtio(struct virtio *v)
{
	return (struct virtio_balloon *)(void *)v;
}

static void count(uint64_t *counter, uint64_t n)
{
	(void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* ---- pages ---- */

/* Neighbours, to be dropped together. */
struct run {
	uint64_t first, end; /* page numbers; the same: none */
};

static bool drop(struct virtio_balloon *b, uint64_t first, uint64_t end)
{
	const struct gmem *mem = b->v.dev->env->gmem;
	const gpa_t gpa = first * BALLOON_PAGE;
	const uint64_t n = (end - first) * BALLOON_PAGE;

	if (!gmem_is_ram(mem, gpa, n))
		return false;
	count(&b->inflated, n);
	count(&b->returned, gmem_discard(mem, gpa, n));
	return true;
}

static void drop_run(struct virtio_balloon *b, struct run *r)
{
	if (r->first != r->end && !drop(b, r->first, r->end)) {
		for (uint64_t pfn = r->first; pfn < r->end; pfn++)
			if (!drop(b, pfn, pfn + 1)) {
				count(&b->refused, 1);
				log_guest(&b->v.dev->bucket, b->v.dev->id,
					  "page 0x%llx is no memory", (unsigned long long)pfn);
			}
	}
	*r = (struct run){ 0 };
}

/* Drivers give pages in rising and falling order alike. */
static void take_page(struct virtio_balloon *b, struct run *r, uint32_t pfn)
{
	if (pfn == 0)
		return;
	if (r->first != r->end && pfn == r->end) {
		r->end++;
	} else if (r->first != r->end && pfn + 1ull == r->first) {
		r->first--;
	} else {
		drop_run(b, r);
		*r = (struct run){ pfn, pfn + 1ull };
	}
}

static enum virtio_next take_pages(struct virtio_balloon *b, struct virtio_queue *q,
				   const struct virtq_chain *c)
{
	const uint32_t all = c->out_len / sizeof(le32);
	struct run r = { 0 };
	le32 pfn[PIECE];

	if (all > PFNS_MAX)
		return VIRTIO_BROKEN;
	for (uint32_t at = 0; at < all; at += PIECE) {
		const uint32_t n = all - at < PIECE ? all - at : PIECE;

		if (virtq_read(&q->ring, c, at * (uint32_t)sizeof(le32), pfn,
			       n * (uint32_t)sizeof(le32)) < 0)
			return VIRTIO_BROKEN;
		for (uint32_t i = 0; i < n && q->index == INFLATE; i++)
			take_page(b, &r, le32_get(pfn[i]));
		for (uint32_t i = 0; i < n && q->index == DEFLATE; i++)
			count(&b->deflated, le32_get(pfn[i]) != 0 ? BALLOON_PAGE : 0);
	}
	drop_run(b, &r);
	virtio_push(q, c->head, 0);
	return VIRTIO_TAKEN;
}

/* Writable buffers are the free memory itself. */
static enum virtio_next take_report(struct virtio_balloon *b, struct virtio_queue *q,
				    const struct virtq_chain *c)
{
	for (unsigned i = 0; i < c->in_count; i++) {
		const struct virtq_seg *s = &c->seg[c->out_count + i];

		count(&b->reported, s->len);
		count(&b->returned, gmem_discard(b->v.dev->env->gmem, s->gpa, s->len));
	}
	virtio_push(q, c->head, 0);
	return VIRTIO_TAKEN;
}

/* ---- statistics ---- */

static int read_stats(struct virtio_balloon *b, const struct virtio_queue *q,
		      const struct virtq_chain *c)
{
	const uint32_t there = c->out_len / STAT_SIZE;
	const uint32_t n = there < STATS_MAX ? there : STATS_MAX;
	uint8_t bytes[STATS_MAX * STAT_SIZE];

	if (virtq_read(&q->ring, c, 0, bytes, n * STAT_SIZE) < 0)
		return -1;
	dev_take(b->v.dev);
	for (uint32_t i = 0; i < n; i++) {
		const uint16_t tag = ld16(bytes + i * STAT_SIZE);

		if (tag >= BALLOON_STATS)
			continue;
		b->known |= 1u << tag;
		b->stat[tag] = ld64(bytes + i * STAT_SIZE + 2);
	}
	dev_drop(b->v.dev);
	return 0;
}

/* The driver's one buffer stays in the ring, and goes back when we want to hear more. */
static enum virtio_next take_stats(struct virtio_balloon *b, struct virtio_queue *q,
				   const struct virtq_chain *c)
{
	if (!b->is_read && read_stats(b, q, c) < 0)
		return VIRTIO_BROKEN;
	b->is_read = !b->pull;
	if (!b->pull)
		return VIRTIO_WAIT;
	b->pull = false;
	virtio_push(q, c->head, 0);
	return VIRTIO_TAKEN;
}

static void on_poll(void *ctx)
{
	struct virtio_balloon *b = ctx;
	bool goes_on;

	dev_take(b->v.dev);
	goes_on = (b->v.status & VIRTIO_DRIVER_OK) != 0;
	if (goes_on)
		loop_timer_set(b->loop, &b->poll, host_now() + b->poll_ns);
	dev_drop(b->v.dev);
	b->pull = goes_on;
	virtio_run(&b->v.queue[STATS]);
	b->pull = false;
}

static void begin_to_poll(struct virtio_balloon *b)
{
	if (virtio_has(&b->v, F_STATS_VQ))
		loop_timer_set(b->loop, &b->poll, host_now() + b->poll_ns);
}

/* ---- the device ---- */

static enum virtio_next balloon_request(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct virtio_balloon *b = from_virtio(q->v);

	if (q->index < STATS)
		return take_pages(b, q, c);
	if (q->index == STATS && virtio_has(q->v, F_STATS_VQ))
		return take_stats(b, q, c);
	return virtio_has(q->v, F_PAGE_REPORTING) ? take_report(b, q, c) : VIRTIO_BROKEN;
}

static enum io_result balloon_config_write(struct virtio *v, const struct io *io)
{
	const uint64_t at = offsetof(struct balloon_space, actual);
	struct virtio_balloon *b = from_virtio(v);
	uint8_t bytes[8];

	if (io->off < at || io->off + io->size > sizeof(b->space))
		return IO_READ_ONLY;
	st64(bytes, io->val);
	memcpy((uint8_t *)&b->space + io->off, bytes, io->size);
	return IO_DONE;
}

static void balloon_driver_ok(struct virtio *v)
{
	begin_to_poll(from_virtio(v));
}

/* What the driver has had in the balloon, the guest has again. */
static void balloon_driver_reset(struct virtio *v)
{
	struct virtio_balloon *b = from_virtio(v);

	if (b->loop != NULL)
		loop_timer_cancel(b->loop, &b->poll);
	b->is_read = false;
	b->space.actual = le32_of(0);
	b->known = 0;
}

static void balloon_save(struct virtio *v, struct saver *s)
{
	const struct virtio_balloon *b = from_virtio(v);

	save_u32(s, le32_get(b->space.num_pages));
	save_u32(s, le32_get(b->space.actual));
}

static void balloon_load(struct virtio *v, struct loader *l)
{
	struct virtio_balloon *b = from_virtio(v);

	b->space.num_pages = le32_of(load_u32(l));
	b->space.actual = le32_of(load_u32(l));
	if ((v->status & VIRTIO_DRIVER_OK) != 0)
		begin_to_poll(b);
}

static const struct virtio_ops balloon_ops = {
	.request = balloon_request,
	.config_write = balloon_config_write,
	.driver_ok = balloon_driver_ok,
	.driver_reset = balloon_driver_reset,
	.save = balloon_save,
	.load = balloon_load,
};

void virtio_balloon_look(const struct dev *dev, struct virtio_balloon_state *ret)
{
	struct dev *d = (struct dev *)(uintptr_t)dev; /* for its lock */
	struct virtio_balloon *b = d->state;

	*ret = (struct virtio_balloon_state){
		.inflated = __atomic_load_n(&b->inflated, __ATOMIC_RELAXED),
		.deflated = __atomic_load_n(&b->deflated, __ATOMIC_RELAXED),
		.reported = __atomic_load_n(&b->reported, __ATOMIC_RELAXED),
		.returned = __atomic_load_n(&b->returned, __ATOMIC_RELAXED),
		.refused = __atomic_load_n(&b->refused, __ATOMIC_RELAXED),
	};
	dev_take(d);
	ret->size = (uint64_t)le32_get(b->space.num_pages) * BALLOON_PAGE;
	ret->actual = (uint64_t)le32_get(b->space.actual) * BALLOON_PAGE;
	ret->driver = (b->v.status & VIRTIO_DRIVER_OK) != 0;
	ret->known = b->known;
	memcpy(ret->stat, b->stat, sizeof(ret->stat));
	dev_drop(d);
}

void virtio_balloon_resize(struct dev *d, uint64_t bytes)
{
	struct virtio_balloon *b = d->state;
	const le32 pages = le32_of((uint32_t)(bytes / BALLOON_PAGE));

	dev_take(d);
	if (le32_get(b->space.num_pages) != le32_get(pages)) {
		b->space.num_pages = pages;
		virtio_config_changed(&b->v);
	}
	dev_drop(d);
}

static void stop_poll(void *ctx)
{
	struct virtio_balloon *b = ctx;

	loop_timer_cancel(b->loop, &b->poll);
}

static void destroy(struct virtio_balloon *b)
{
	virtio_detach(&b->v);
	if (b->thread != NULL)
		loop_call(b->loop, stop_poll, b);
	virtio_fini(&b->v);
	iothread_destroy(b->thread);
}

static int balloon_init(struct dev *d, struct sill_err *e)
{
	const struct virtio_balloon_config *c = d->config;
	struct virtio_balloon *b = d->state;
	const struct virtio_spec spec = {
		.ops = &balloon_ops,
		.type = VIRTIO_BALLOON,
		.class_code = 0x00ff00,
		.queue_count = QUEUES,
		.queue_size = QUEUE_SIZE,
		.features = 1ull << F_STATS_VQ | (uint64_t)c->deflate_on_oom << F_DEFLATE_ON_OOM |
			    (uint64_t)c->free_page_reporting << F_PAGE_REPORTING,
		.config = &b->space,
		.config_size = sizeof(b->space),
	};

	b->space.num_pages = le32_of((uint32_t)(c->size / BALLOON_PAGE));
	b->poll_ns = c->poll_ns;
	if (virtio_init(&b->v, d, &spec, e) < 0)
		return -1;
	b->thread = iothread_create("balloon", 0, e);
	if (b->thread != NULL) {
		b->loop = iothread_loop(b->thread);
		b->poll = (struct loop_timer){ .fn = on_poll, .ctx = b };
		for (unsigned i = 0; i < QUEUES; i++)
			b->v.queue[i].loop = b->loop;
		if (virtio_attach(&b->v, c->slot, e) == 0)
			return 0;
	}
	destroy(b);
	return -1;
}

static void balloon_fini(struct dev *d)
{
	destroy(d->state);
}

const struct dev_ops virtio_balloon_ops = {
	.type = "virtio-balloon",
	.state_size = sizeof(struct virtio_balloon),
	.init = balloon_init,
	VIRTIO_DEV_OPS,
	.reset = virtio_reset,
	.fini = balloon_fini,
};
