/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lend.c - queues that somebody outside of this process serves (the kernel's vhost): what the ring's owner does
 * besides. See virtio.h.
 *
 * Interrupts go straight from that one to the guest, by the eventfd of the queue's MSI-X vector, while the
 * vector is live. While it is masked, and without MSI-X, they come to the queue's own eventfd, and from there
 * to the pending bit or the line. Who masks has the eventfd changed under the device's lock before the access
 * returns, so that nothing is delivered after it; what has come to our eventfd by the time of the next
 * change is still there, and is delivered by our loop.
 */
#include "devices/virtio/virtio.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/virtio/virtio_pci.h"

/* By which eventfd does an interrupt of the queue reach the guest now? */
static int call_of(const struct virtio_queue *q)
{
	struct virtio *v = q->v;
	const unsigned vector = __atomic_load_n(&q->vector, __ATOMIC_ACQUIRE);
	const int fd = __atomic_load_n(&v->msix_on, __ATOMIC_ACQUIRE)
			       ? msix_live_fd(&v->msix, vector)
			       : -1;

	return fd >= 0 ? fd : q->call_fd;
}

void virtio_aim(struct virtio *v)
{
	for (unsigned i = 0; i < v->queue_count; i++) {
		struct virtio_queue *q = &v->queue[i];
		const int fd = q->lent ? call_of(q) : -1;

		if (!q->lent || fd == q->aimed_fd)
			continue;
		v->ops->aim(q, fd);
		q->aimed_fd = fd;
	}
}

static void on_call(void *ctx, uint32_t events)
{
	struct virtio_queue *q = ctx;
	uint64_t count;

	(void)events;
	if (read(q->call_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		virtio_interrupt(q);
}

static bool prepare(struct virtio_queue *q)
{
	struct sill_err e = { 0 };

	if (q->call_fd < 0)
		q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->call = (struct loop_fd){
		.fd = q->call_fd, .fn = on_call, .ctx = q, .added = q->call.added
	};
	return q->call_fd >= 0 &&
	       (q->call.added || loop_fd_add(q->loop, &q->call, EPOLLIN, &e) == 0);
}

bool virtio_lend(struct virtio_queue *q)
{
	struct virtio *v = q->v;
	int fd;

	if (!v->lends || q->ring.in_flight != 0 || q->held_count != 0 || !prepare(q))
		return false;
	fd = call_of(q);
	/* Kicks are that one's. */
	loop_watch_remove(q->loop, &q->watch);
	loop_fd_remove(q->loop, &q->kick);
	if (!v->ops->lend(q, fd))
		return false;
	q->lent = true;
	q->aimed_fd = fd;
	__atomic_store_n(&q->active, true, __ATOMIC_SEQ_CST);
	/* What the driver has given before. */
	virtio_kick(q);
	return true;
}

void virtio_reclaim(struct virtio_queue *q)
{
	virtq_go_on(&q->ring, q->v->ops->reclaim(q));
	q->lent = false;
	__atomic_store_n(&q->active, false, __ATOMIC_SEQ_CST);
}
