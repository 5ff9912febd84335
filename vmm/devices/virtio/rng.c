/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.c - virtio entropy device, virtio 1.2, 5.4. One queue of writable
 * buffers, filled from a descriptor, at most 4 KiB at a time.
 *
 * The source may have nothing right now (then the request waits in the ring
 * until the descriptor is readable), or come to an end or fail (then the
 * host's generator takes its place for good: a guest that asks for entropy
 * must not be left without). Main loop.
 */
#include "devices/virtio/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/virtio/virtio.h"

enum {
	QUEUE_SIZE = 64,
	PIECE = 4096,
	/* A source without a poll method that has nothing: look again after this. */
	RETRY_NS = 10 * 1000 * 1000,
};

struct virtio_rng {
	struct virtio v; /* first */
	int fd;          /* owned; -1: getrandom() */
	struct loop_fd source;
	struct loop_timer retry;
};

static struct virtio_rng *from_virtio(struct virtio *v)
{
	return (struct virtio_rng *)(void *)v;
}

static void on_source(void *ctx, uint32_t events)
{
	struct virtio_rng *r = ctx;

	(void)events;
	loop_fd_remove(r->v.dev->env->loop, &r->source);
	virtio_run(&r->v.queue[0]);
}

static void on_retry(void *ctx)
{
	struct virtio_rng *r = ctx;

	virtio_run(&r->v.queue[0]);
}

/* Call us when the source has bytes. */
static void watch_source(struct virtio_rng *r)
{
	struct loop *loop = r->v.dev->env->loop;
	struct sill_err e = { 0 };

	if (r->source.added || loop_fd_add(loop, &r->source, EPOLLIN, &e) == 0)
		return;
	loop_timer_set(loop, &r->retry, host_now() + RETRY_NS);
}

static void give_up_source(struct virtio_rng *r, const char *why)
{
	log_line(LOG_WARN, "%s: the source of randomness %s; the host's own is used instead",
		 r->v.dev->id, why);
	loop_fd_remove(r->v.dev->env->loop, &r->source);
	fd_close(&r->fd);
}

/* Some bytes; 0: none right now. */
static size_t get_bytes(struct virtio_rng *r, void *p, size_t n)
{
	ssize_t got = -1;

	if (r->fd >= 0) {
		do {
			got = read(r->fd, p, n);
		} while (got < 0 && errno == EINTR);
		if (got > 0)
			return (size_t)got;
		if (got < 0 && errno == EAGAIN)
			return 0;
		give_up_source(r, got == 0 ? "came to an end" : strerrordesc_np(errno));
	}
	do {
		got = getrandom(p, n, 0);
	} while (got < 0);
	return (size_t)got;
}

static enum virtio_next rng_request(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct virtio_rng *r = from_virtio(q->v);
	const uint32_t n = c->in_len < PIECE ? c->in_len : PIECE;
	uint8_t piece[PIECE];
	size_t got = 0;

	if (n > 0) {
		got = get_bytes(r, piece, n);
		if (got == 0) {
			watch_source(r);
			return VIRTIO_WAIT;
		}
	}
	if (virtq_write(&q->ring, c, 0, piece, (uint32_t)got) < 0)
		return VIRTIO_BROKEN;
	virtio_push(q, c->head, (uint32_t)got);
	return VIRTIO_TAKEN;
}

static const struct virtio_ops rng_ops = {
	.request = rng_request,
};

static int rng_init(struct dev *d, struct sill_err *e)
{
	const struct virtio_rng_config *c = d->config;
	struct virtio_rng *r = d->state;
	const struct virtio_spec spec = {
		.ops = &rng_ops,
		.type = VIRTIO_RNG,
		.class_code = 0x00ff00,
		.queue_count = 1,
		.queue_size = QUEUE_SIZE,
	};
	int flags;

	r->fd = c->fd;
	r->source = (struct loop_fd){ .fd = r->fd, .fn = on_source, .ctx = r };
	r->retry = (struct loop_timer){ .fn = on_retry, .ctx = r };
	/* The main loop must not hang in a read; what refuses this does not block either. */
	flags = r->fd >= 0 ? fcntl(r->fd, F_GETFL) : -1;
	if (flags >= 0)
		(void)fcntl(r->fd, F_SETFL, flags | O_NONBLOCK);
	if (virtio_init(&r->v, d, &spec, e) == 0 && virtio_attach(&r->v, c->slot, e) == 0)
		return 0;
	virtio_fini(&r->v);
	fd_close(&r->fd);
	return -1;
}

static void rng_fini(struct dev *d)
{
	struct virtio_rng *r = d->state;

	virtio_detach(&r->v);
	loop_fd_remove(d->env->loop, &r->source);
	loop_timer_cancel(d->env->loop, &r->retry);
	virtio_fini(&r->v);
	fd_close(&r->fd);
}

const struct dev_ops virtio_rng_ops = {
	.type = "virtio-rng",
	.state_size = sizeof(struct virtio_rng),
	.init = rng_init,
	VIRTIO_DEV_OPS,
	.reset = virtio_reset,
	.fini = rng_fini,
};
