/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.c - a virtio device behind its registers: the status machine, the
 * runners of its queues, reset. See virtio.h for who owns what.
 */
#include "devices/virtio/virtio.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/virtio/virtio_pci.h"
#include "sill/hash.h"

/* ---- what is wanted; device's lock held ---- */

static bool is_wanted(const struct virtio *v, const struct virtio_queue *q)
{
	return (v->status & VIRTIO_DRIVER_OK) != 0 && (v->status & VIRTIO_NEEDS_RESET) == 0 &&
	       !v->resetting && !v->paused && !v->stopped && v->master && q->enabled;
}

static bool runs_locked(const struct virtio *v)
{
	for (unsigned i = 0; i < v->queue_count; i++)
		if (v->queue[i].running)
			return true;
	return false;
}

/* Everything of the last driver is forgotten; the next one finds the device as new. */
static void finish_reset_locked(struct virtio *v)
{
	for (unsigned i = 0; i < v->queue_count; i++) {
		struct virtio_queue *q = &v->queue[i];

		virtq_reset(&q->ring);
		q->held_count = 0;
		q->started = q->enabled = false;
		q->size = v->queue_max;
		q->desc = q->avail = q->used = 0;
	}
	v->features = v->driver_features = 0;
	v->device_select = v->driver_select = 0;
	v->queue_select = 0;
	virtio_pci_driver_reset(v);
	if (v->ops->driver_reset != NULL)
		v->ops->driver_reset(v);
	v->status = 0;
	v->resetting = false;
	(void)pthread_cond_broadcast(&v->settled);
}

/* Which of the queues that were told to halt have done so? The last one ends a reset. */
static void settle_locked(struct virtio *v)
{
	bool progress = false;

	for (unsigned i = 0; i < v->queue_count; i++) {
		struct virtio_queue *q = &v->queue[i];

		/* Pairs with enter(): either we see it active, or it sees the halt. */
		if (q->running && __atomic_load_n(&q->halt, __ATOMIC_SEQ_CST) &&
		    !__atomic_load_n(&q->active, __ATOMIC_SEQ_CST)) {
			q->running = false;
			progress = true;
		}
	}
	if (v->resetting && !runs_locked(v))
		finish_reset_locked(v);
	if (progress)
		dev_progress(v->dev);
}

void virtio_sync_queues(struct virtio *v)
{
	for (unsigned i = 0; i < v->queue_count; i++) {
		struct virtio_queue *q = &v->queue[i];

		if (!is_wanted(v, q)) {
			__atomic_store_n(&q->halt, true, __ATOMIC_SEQ_CST);
			if (q->lent)
				loop_post(q->loop, &q->start);
		} else if (__atomic_load_n(&q->halt, __ATOMIC_SEQ_CST))
			loop_post(q->loop, &q->start);
	}
	settle_locked(v);
}

void virtio_restart(struct virtio_queue *q)
{
	__atomic_store_n(&q->halt, true, __ATOMIC_SEQ_CST);
	loop_post(q->loop, &q->start);
	settle_locked(q->v);
}

/* The driver broke the rules. Nothing moves any more until it resets the device. */
static void broken_locked(struct virtio_queue *q, const char *why)
{
	struct virtio *v = q->v;

	if ((v->status & VIRTIO_NEEDS_RESET) != 0 || v->resetting)
		return;
	log_guest(&v->dev->bucket, v->dev->id, "queue %u: %s; the device waits for a reset",
		  q->index, why);
	v->status |= VIRTIO_NEEDS_RESET;
	virtio_config_changed(v);
	virtio_sync_queues(v);
}

/* ---- runners: on the queue's loop, no lock held ---- */

static void broken(struct virtio_queue *q, const char *why)
{
	dev_take(q->v->dev);
	broken_locked(q, why);
	dev_drop(q->v->dev);
}

void virtio_break(struct virtio_queue *q, const char *why)
{
	broken(q, why);
}

static void idle(struct virtio_queue *q)
{
	__atomic_store_n(&q->active, false, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&q->halt, __ATOMIC_SEQ_CST)) {
		/* Whoever told us to halt may have seen us active. */
		dev_take(q->v->dev);
		settle_locked(q->v);
		dev_drop(q->v->dev);
	}
}

/* May the ring be touched? Then it is ours until leave(). */
static bool enter(struct virtio_queue *q)
{
	if (q->in_run || q->lent)
		return false;
	__atomic_store_n(&q->active, true, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&q->halt, __ATOMIC_SEQ_CST)) {
		q->in_run = true;
		return true;
	}
	if (!q->in_hand)
		idle(q);
	return false;
}

static void leave(struct virtio_queue *q)
{
	q->in_run = false;
	q->in_hand = q->ring.in_flight != q->held_count;
	if (!q->in_hand)
		idle(q);
}

void virtio_kick(struct virtio_queue *q)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full: then it rings already. */
	if (write(q->kick_fd, &one, sizeof(one)) < 0)
		return;
}

void virtio_look_again(struct dev *d)
{
	struct virtio *v = d->state;

	for (unsigned i = 0; i < v->queue_count; i++)
		virtio_kick(&v->queue[i]);
}

void virtio_interrupt(struct virtio_queue *q)
{
	struct virtio *v = q->v;

	if (__atomic_load_n(&v->msix_on, __ATOMIC_ACQUIRE)) {
		msix_raise(&v->msix, __atomic_load_n(&q->vector, __ATOMIC_ACQUIRE));
		return;
	}
	dev_take(v->dev);
	virtio_pci_interrupt(v, 1);
	dev_drop(v->dev);
}

bool virtio_hold(struct virtio_queue *q, uint16_t head, bool lost)
{
	struct virtio *v = q->v;
	bool held;

	/* Who begins a reset later finds it held; who has begun one waits for an answer. */
	dev_take(v->dev);
	held = !v->resetting && !v->stopped;
	dev_drop(v->dev);
	if (held)
		q->held[q->held_count++] = (struct virtio_held){ .head = head, .lost = lost };
	return held;
}

void virtio_push(struct virtio_queue *q, uint16_t head, uint32_t written)
{
	/* What breaks here is noticed by the flush that follows. */
	(void)virtq_push(&q->ring, head, written);
}

void virtio_flush(struct virtio_queue *q)
{
	int r = virtq_publish(&q->ring);

	if (r < 0)
		broken(q, "the used ring is not in memory");
	else if (r > 0)
		virtio_interrupt(q);
	if (!q->in_run)
		leave(q);
}

static void plug(struct virtio_queue *q)
{
	if (q->v->ops->plug != NULL)
		q->v->ops->plug(q);
}

/* What was taken from the ring is started; what is done by then is shown. */
static void unplug(struct virtio_queue *q)
{
	if (q->v->ops->unplug != NULL)
		q->v->ops->unplug(q);
	virtio_flush(q);
}

/* One held request. False: the ring is broken, and it stays held for the reset that has to come. */
static bool again(struct virtio_queue *q, const struct virtio_held *h)
{
	struct virtq_chain c;

	if (virtq_again(&q->ring, h->head, &c) < 0 ||
	    q->v->ops->again(q, &c, h->lost) == VIRTIO_BROKEN) {
		broken(q, "a request makes no sense any more");
		return false;
	}
	if (virtio_is_full(q))
		virtio_flush(q);
	return true;
}

/* What was held when the queue was started, oldest first. What is held anew stands before the rest. */
static void run_again(struct virtio_queue *q)
{
	const unsigned count = q->held_count;
	unsigned i = 0;

	q->again = false;
	q->held_count = 0;
	while (i < count && !__atomic_load_n(&q->halt, __ATOMIC_ACQUIRE)) {
		const struct virtio_held h = q->held[i];

		if (!again(q, &h))
			break;
		i++;
	}
	while (i < count)
		q->held[q->held_count++] = q->held[i++];
}

/* Take requests until the ring is empty, one waits, or it is somebody else's turn on this loop. */
static void run(struct virtio_queue *q)
{
	unsigned turns = q->ring.s.size;

	q->waits = false;
	plug(q);
	virtq_notify_off(&q->ring);
	if (q->again)
		run_again(q);
	while (!__atomic_load_n(&q->halt, __ATOMIC_ACQUIRE)) {
		struct virtq_chain c;
		int r;

		if (turns-- == 0) {
			if (!q->watch.added)
				virtio_kick(q);
			break;
		}
		r = virtq_pop(&q->ring, &c);
		if (r < 0) {
			broken(q, "the ring breaks the rules");
			break;
		}
		if (r == 0) {
			unplug(q);
			/* The loop looks by itself until doze(). A ring that broke shows at the next pop. */
			if (q->watch.added || virtq_notify_on(&q->ring) <= 0)
				return;
			plug(q);
			virtq_notify_off(&q->ring);
			continue;
		}
		switch (q->v->ops->request(q, &c)) {
		case VIRTIO_TAKEN:
			if (virtio_is_full(q))
				virtio_flush(q);
			continue;
		case VIRTIO_WAIT:
			virtq_unpop(&q->ring, &c);
			q->waits = true;
			unplug(q);
			if (!q->watch.added)
				(void)virtq_notify_on(&q->ring);
			return;
		case VIRTIO_BROKEN:
			virtq_unpop(&q->ring, &c);
			broken(q, "a request makes no sense");
			break;
		}
	}
	unplug(q);
}

static void run_held(struct virtio_queue *q)
{
	struct gmem *mem = q->v->dev->env->gmem;

	gmem_hold(mem);
	run(q);
	gmem_release(mem);
}

void virtio_run(struct virtio_queue *q)
{
	if (!enter(q))
		return;
	run_held(q);
	leave(q);
}

/* For the loop: are there new requests? */
static bool look(void *ctx)
{
	struct virtio_queue *q = ctx;
	bool more;

	if (q->waits || !enter(q))
		return false;
	more = virtq_has_more(&q->ring) != 0;
	if (more)
		run_held(q);
	leave(q);
	return more;
}

/* For the loop, which goes to sleep: from now on the driver must kick. */
static bool doze(void *ctx)
{
	struct virtio_queue *q = ctx;
	bool more;

	if (q->waits || !enter(q))
		return false;
	more = q->ring.notify_off && virtq_notify_on(&q->ring) != 0;
	if (more)
		run_held(q);
	leave(q);
	return more;
}

/* Each kick is an edge: nobody counts them, and one system call less answers the driver sooner. */
static void on_kick(void *ctx, uint32_t events)
{
	(void)events;
	virtio_run(ctx);
}

static int start_ring(struct virtio_queue *q)
{
	const struct virtq_setup s = {
		.size = q->size,
		.desc = q->desc,
		.avail = q->avail,
		.used = q->used,
		.event_idx = virtio_has(q->v, VIRTIO_F_EVENT_IDX),
		.indirect = virtio_has(q->v, VIRTIO_F_INDIRECT_DESC),
	};

	return virtq_start(&q->ring, &s);
}

static void start_locked(struct virtio_queue *q)
{
	struct sill_err e = { 0 };

	if (!q->started && start_ring(q) < 0) {
		broken_locked(q, "the ring is misplaced");
		return;
	}
	q->started = true;
	if (virtio_lend(q)) {
		q->running = true;
		__atomic_store_n(&q->halt, false, __ATOMIC_SEQ_CST);
		return;
	}
	/* The descriptor stays; a queue that was halted takes kicks and does nothing. */
	if (!q->kick.added && loop_fd_add(q->loop, &q->kick, EPOLLIN | EPOLLET, &e) < 0) {
		broken_locked(q, e.msg);
		return;
	}
	if (q->loop != q->v->dev->env->loop && !q->watch.added)
		loop_watch_add(q->loop, &q->watch);
	q->running = true;
	q->again = q->held_count > 0;
	__atomic_store_n(&q->halt, false, __ATOMIC_SEQ_CST);
}

/* Posted to the loop: begin, or go on after a pause, if that is still wanted. */
static void queue_start(void *ctx)
{
	struct virtio_queue *q = ctx;

	dev_take(q->v->dev);
	if (q->lent && __atomic_load_n(&q->halt, __ATOMIC_SEQ_CST)) {
		virtio_reclaim(q);
		settle_locked(q->v);
	}
	if (is_wanted(q->v, q) && !q->lent)
		start_locked(q);
	dev_drop(q->v->dev);
	virtio_run(q);
}

/* On the loop, at the end: it forgets us. */
static void queue_forget(void *ctx)
{
	struct virtio_queue *q = ctx;

	loop_watch_remove(q->loop, &q->watch);
	loop_fd_remove(q->loop, &q->kick);
	loop_fd_remove(q->loop, &q->call);
	loop_unpost(q->loop, &q->start);
}

/* ---- the device ---- */

void virtio_config_changed(struct virtio *v)
{
	v->generation++;
	if ((v->status & VIRTIO_DRIVER_OK) != 0 && !v->resetting)
		virtio_pci_interrupt(v, 2);
}

static void give_up(struct virtio *v)
{
	if (v->ops->give_up != NULL)
		v->ops->give_up(v);
}

/*
 * Bits only come, until a reset takes them all away; each acts when it comes.
 * NEEDS_RESET is ours. FEATURES_OK stays away when the driver asks for what was
 * not offered, which is how it is told (virtio 1.2, 3.1.1).
 */
void virtio_write_status(struct virtio *v, uint8_t val)
{
	const uint64_t version_1 = 1ull << VIRTIO_F_VERSION_1;
	const unsigned fresh = val & ~v->status;

	if (val == 0) {
		v->resetting = true;
		give_up(v);
		virtio_sync_queues(v); /* ends it at once when nothing is in flight */
		return;
	}
	v->status |= fresh & (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FAILED);
	if ((fresh & VIRTIO_FEATURES_OK) != 0 && (v->driver_features & ~v->offered) == 0 &&
	    (v->driver_features & version_1) != 0) {
		v->features = v->driver_features;
		v->status |= VIRTIO_FEATURES_OK;
	}
	if ((fresh & VIRTIO_DRIVER_OK) != 0 && (v->status & VIRTIO_FEATURES_OK) != 0) {
		if (v->ops->driver_ok != NULL)
			v->ops->driver_ok(v);
		v->status |= VIRTIO_DRIVER_OK;
		virtio_sync_queues(v);
	}
}

enum io_result virtio_io(struct dev *d, unsigned region, struct io *io)
{
	(void)region;
	return virtio_pci_io(d->state, io, false);
}

void virtio_reset(struct dev *d)
{
	struct virtio *v = d->state;

	virtio_pci_machine_reset(v);
	v->resetting = true;
	give_up(v);
	virtio_sync_queues(v);
}

static void set_and_sync(struct virtio *v, bool *flag, bool val)
{
	*flag = val;
	virtio_sync_queues(v);
}

void virtio_pause(struct dev *d)
{
	struct virtio *v = d->state;

	set_and_sync(v, &v->paused, true);
}

void virtio_resume(struct dev *d)
{
	struct virtio *v = d->state;

	if (v->config_is_news)
		virtio_config_changed(v);
	v->config_is_news = false;
	set_and_sync(v, &v->paused, false);
}

void virtio_stop(struct dev *d)
{
	struct virtio *v = d->state;

	v->stopped = true;
	give_up(v);
	virtio_sync_queues(v);
}

/* The queue is quiesced: with the lock held its ring is ours. */
static void fail_held_locked(struct virtio_queue *q)
{
	struct virtio *v = q->v;

	for (unsigned i = 0; i < q->held_count; i++) {
		struct virtq_chain c;

		if (virtq_again(&q->ring, q->held[i].head, &c) == 0)
			(void)v->ops->again(q, &c, true);
	}
	q->held_count = 0;
	if (virtq_publish(&q->ring) <= 0)
		return;
	if (__atomic_load_n(&v->msix_on, __ATOMIC_ACQUIRE))
		msix_raise(&v->msix, __atomic_load_n(&q->vector, __ATOMIC_ACQUIRE));
	else
		virtio_pci_interrupt(v, 1);
}

void virtio_fail_held(struct dev *d)
{
	struct virtio *v = d->state;

	dev_take(d);
	for (unsigned i = 0; i < v->queue_count; i++)
		if (v->queue[i].held_count > 0 && !v->queue[i].running && v->master)
			fail_held_locked(&v->queue[i]);
	dev_drop(d);
}

bool virtio_drained(struct dev *d)
{
	struct virtio *v = d->state;
	for (unsigned i = 0; i < v->queue_count; i++)
		if (v->queue[i].running && !is_wanted(v, &v->queue[i]))
			return false;
	return true;
}

int virtio_init(struct virtio *v, struct dev *d, const struct virtio_spec *spec, struct sill_err *e)
{
	assert(spec->queue_count != 0 && spec->queue_count < MAX_MSIX_VECTORS &&
	       spec->queue_count <= MAX_DOORBELLS);
	assert(spec->queue_size != 0 && spec->queue_size <= MAX_VIRTQ_SIZE &&
	       (spec->queue_size & (spec->queue_size - 1)) == 0);
	*v = (struct virtio){
		.dev = d,
		.ops = spec->ops,
		.queue_max = spec->queue_size,
		.offered = spec->features | 1ull << VIRTIO_F_VERSION_1 |
			   1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX,
		.config = spec->config,
		.config_size = spec->config_size,
	};
	(void)pthread_cond_init(&v->settled, NULL);
	v->queue = calloc(spec->queue_count, sizeof(*v->queue));
	v->bells = calloc(spec->queue_count, sizeof(*v->bells));
	if (v->queue == NULL || v->bells == NULL) {
		(void)sill_err_sys(e, ENOMEM, "queues");
		goto fail;
	}
	for (; v->queue_count < spec->queue_count; v->queue_count++) {
		struct virtio_queue *q = &v->queue[v->queue_count];

		*q = (struct virtio_queue){
			.v = v,
			.loop = d->env->loop,
			.index = v->queue_count,
			.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.call_fd = -1,
			.size = v->queue_max,
			.halt = true,
			.start = { .fn = queue_start, .ctx = q },
		};
		q->kick = (struct loop_fd){ .fd = q->kick_fd, .fn = on_kick, .ctx = q };
		q->watch = (struct loop_watch){ .look = look, .doze = doze, .ctx = q };
		v->bells[q->index] =
			(struct doorbell){ .off = VIRTIO_NOTIFY + VIRTIO_NOTIFY_STRIDE * q->index,
					   .fd = q->kick_fd };
		if (v->ops->again != NULL)
			q->held = calloc(v->queue_max, sizeof(*q->held));
		if (q->kick_fd < 0 || (v->ops->again != NULL && q->held == NULL) ||
		    virtq_init(&q->ring, d->env->gmem) < 0) {
			(void)sill_err_sys(e, q->kick_fd < 0 ? errno : ENOMEM, "queue %u",
					   q->index);
			free(q->held);
			fd_close(&q->kick_fd);
			goto fail;
		}
	}
	virtio_pci_init(v, spec->type, spec->class_code);
	return 0;

fail:
	virtio_fini(v);
	return -1;
}

int virtio_attach(struct virtio *v, int slot, struct sill_err *e)
{
	if (pci_bus_add(v->dev->env->pci, &v->func, slot, e) < 0)
		return -1;
	v->attached = true;
	if (v->dev->irq.gsi == NO_GSI)
		v->dev->irq.gsi = pci_intx_gsi(v->func.slot, 1);
	return 0;
}

struct pci_func *virtio_func(struct dev *d)
{
	struct virtio *v = d->state;

	return &v->func;
}

void virtio_detach(struct virtio *v)
{
	if (!v->attached)
		return;
	v->attached = false;
	if (v->func.bus != NULL) /* else the guest has ejected it before */
		pci_bus_remove(v->dev->env->pci, &v->func);
	map_quiesce(v->dev->env->mmio);
	for (unsigned i = 0; v->queue != NULL && i < v->queue_count; i++)
		loop_call(v->queue[i].loop, queue_forget, &v->queue[i]);
}

void virtio_fini(struct virtio *v)
{
	if (v->dev == NULL)
		return;
	virtio_detach(v);
	for (unsigned i = 0; v->queue != NULL && i < v->queue_count; i++) {
		struct virtio_queue *q = &v->queue[i];

		assert(!q->running);
		fd_close(&q->kick_fd);
		fd_close(&q->call_fd);
		virtq_fini(&q->ring);
		free(q->held);
	}
	if (v->msix.irqs != NULL)
		msix_fini(&v->msix);
	(void)pthread_cond_destroy(&v->settled);
	free(v->bells);
	free(v->queue);
	*v = (struct virtio){ 0 };
}

/* ---- saved state ---- */

enum { SAVE_VERSION = 4 };

/* A ring that broke has nothing more to give: what it holds goes with the reset that has to come. */
static bool is_dead(const struct virtio *v)
{
	return (v->status & VIRTIO_NEEDS_RESET) != 0;
}

/* A link, a disk or a terminal may be another where the machine goes on. */
static uint64_t config_hash(const struct virtio *v)
{
	return sill_hash(SILL_HASH_START, v->config, v->config_size);
}

static void save_queue(const struct virtio_queue *q, struct saver *s)
{
	const uint16_t held = is_dead(q->v) ? 0 : q->held_count;

	assert(q->ring.in_flight == q->held_count);
	save_u16(s, q->size);
	save_u16(s, q->vector);
	save_u64(s, q->desc);
	save_u64(s, q->avail);
	save_u64(s, q->used);
	save_u8(s, q->enabled);
	save_u8(s, q->started);
	virtq_save(&q->ring, s);
	save_u16(s, held);
	for (unsigned i = 0; i < held; i++) {
		save_u16(s, q->held[i].head);
		save_u8(s, q->held[i].lost);
	}
}

int virtio_save(struct dev *d, struct saver *s)
{
	struct virtio *v = d->state;

	assert(!runs_locked(v) && !v->resetting); /* paused and drained */
	save_begin(s, SAVE_TAG('V', 'I', 'R', 'T'), SAVE_VERSION);
	save_u64(s, v->features);
	save_u64(s, v->driver_features);
	save_u32(s, v->device_select);
	save_u32(s, v->driver_select);
	save_u16(s, v->queue_select);
	save_u16(s, v->config_vector);
	save_u8(s, v->status);
	save_u8(s, v->generation);
	save_u8(s, v->isr);
	save_u64(s, v->config_is_news ? v->config_seen : config_hash(v));
	save_u16(s, v->queue_count);
	for (unsigned i = 0; i < v->queue_count; i++)
		save_queue(&v->queue[i], s);
	if (v->ops->save != NULL)
		v->ops->save(v, s);
	msix_save(&v->msix, s);
	save_end(s);
	return 0;
}

static bool vector_ok(const struct virtio *v, uint16_t vector)
{
	return vector == VIRTIO_NO_VECTOR || vector < v->msix.count;
}

static void load_ring(struct virtio_queue *q, struct loader *l)
{
	const bool dead = is_dead(q->v);
	uint16_t count;

	virtq_reset(&q->ring);
	q->held_count = 0;
	if (q->started && !dead && !l->failed && start_ring(q) < 0)
		load_fail(l);
	virtq_load(&q->ring, l);
	count = load_u16(l);
	if (count > (q->held != NULL ? q->size : 0u))
		load_fail(l);
	for (unsigned i = 0; i < count && !l->failed; i++) {
		const struct virtio_held h = { .head = load_u16(l), .lost = load_bool(l) };

		if (l->failed || virtq_take(&q->ring, h.head) < 0)
			load_fail(l);
		else
			q->held[q->held_count++] = h;
	}
	if (!dead && !virtq_adds_up(&q->ring))
		load_fail(l);
}

static void load_queue(struct virtio *v, struct virtio_queue *q, struct loader *l)
{
	q->size = load_u16(l);
	q->vector = load_u16(l);
	q->desc = load_u64(l);
	q->avail = load_u64(l);
	q->used = load_u64(l);
	q->enabled = load_bool(l);
	q->started = load_bool(l);
	if (q->size == 0 || q->size > v->queue_max || (q->size & (q->size - 1)) != 0 ||
	    !vector_ok(v, q->vector) || (q->started && !q->enabled))
		load_fail(l);
	load_ring(q, l);
}

/* Into a device that has been reset, while the machine is paused. */
int virtio_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct virtio *v = d->state;

	assert(!runs_locked(v));
	v->paused = true;
	if (load_begin(l, SAVE_TAG('V', 'I', 'R', 'T'), SAVE_VERSION) != SAVE_VERSION)
		load_fail(l); /* older ones have other fields */
	v->features = load_u64(l);
	v->driver_features = load_u64(l);
	v->device_select = load_u32(l);
	v->driver_select = load_u32(l);
	v->queue_select = load_u16(l);
	v->config_vector = load_u16(l);
	v->status = load_u8(l);
	v->generation = load_u8(l);
	v->isr = load_u8(l);
	v->config_seen = load_u64(l);
	if (load_u16(l) != v->queue_count || (v->features & ~v->offered) != 0 ||
	    !vector_ok(v, v->config_vector))
		load_fail(l);
	if ((v->status & VIRTIO_DRIVER_OK) != 0 && (v->status & VIRTIO_FEATURES_OK) == 0)
		load_fail(l);
	for (unsigned i = 0; i < v->queue_count && !l->failed; i++)
		load_queue(v, &v->queue[i], l);
	if (v->ops->load != NULL)
		v->ops->load(v, l);
	if (msix_load(&v->msix, l, e) < 0 || load_end(l, d->id, e) < 0) {
		msix_reset(&v->msix);
		finish_reset_locked(v);
		return -1;
	}
	v->config_is_news = v->config_seen != config_hash(v);
	virtio_pci_loaded(v);
	return 0;
}
