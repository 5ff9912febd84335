/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_tx.c - frames from the guest.
 *
 * The header is copied once, so that it cannot change between our look and the
 * back end's; the frame goes from the guest's buffers by one writev(). A frame
 * that the back end refuses, or that is longer than any may be, is dropped
 * and counted: it was the guest's. A frame for which there is no room stays in the
 * ring, so that a reset forgets it with the rest.
 *
 * The length in the used ring is 0: nothing was written. Windows looks at it.
 */
#include "devices/virtio/net_priv.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/clock.h"

void net_tx_begin(struct net_pair *p)
{
	p->tx_frames = p->tx_bytes = 0;
}

void net_tx_writable(void *ctx, uint32_t events)
{
	struct net_pair *p = ctx;

	(void)events;
	loop_fd_remove(p->loop, &p->writable);
	p->tx_full = false;
	virtio_run(p->tx);
}

void net_tx_more(void *ctx)
{
	struct net_pair *p = ctx;

	virtio_run(p->tx);
}

void net_tx_forget(struct net_pair *p)
{
	p->tx_turn = (struct throttle_turn){ 0 };
	p->tx_paid = false;
}

static bool is_over(const struct net_pair *p)
{
	return p->tx_frames >= BUDGET_FRAMES || p->tx_bytes >= BUDGET_BYTES;
}

static enum virtio_next drop(struct net_pair *p, const struct virtq_chain *c)
{
	net_count(&p->n.tx_dropped, 1);
	virtio_push(p->tx, c->head, 0);
	return VIRTIO_TAKEN;
}

/* How long may it be? The back end has no limit of its own. */
static uint32_t frame_max(const struct virtio_net *vn, const struct net_header *h)
{
	return h->gso_type == HEADER_GSO_NONE ? vn->mtu + NET_ETHERNET + 4u : NET_FRAME_MAX;
}

size_t net_dhcp_reply(struct net_pair *p, uint32_t n, uint8_t *ret, size_t max)
{
	struct virtio_net *vn = p->vn;
	struct dhcp_config dhcp = vn->dhcp;
	size_t length;

	dev_take(vn->v.dev);
	memcpy(dhcp.mac, vn->space.mac, sizeof(dhcp.mac)); /* the driver may have changed it */
	dev_drop(vn->v.dev);
	length = dhcp_reply(&dhcp, p->tx_buffer, n, ret, max);
	if (length > 0)
		net_count(&p->n.dhcp_answers, 1);
	if (length > 0 && dhcp_grants(ret, length))
		__atomic_store_n(&vn->lease_end,
				 vmclock_now(vn->v.dev->env->clock) + NS_PER_S * dhcp_lease(&dhcp),
				 __ATOMIC_RELAXED);
	return length;
}

size_t net_ndp_reply(struct net_pair *p, uint32_t n, uint8_t *ret, size_t max)
{
	struct virtio_net *vn = p->vn;
	struct ndp_config ndp = vn->ndp;
	uint8_t found[16];
	size_t length;

	dev_take(vn->v.dev);
	memcpy(ndp.mac, vn->space.mac, sizeof(ndp.mac)); /* as above */
	if (ndp_learn(&ndp, p->tx_buffer, n, found))
		memcpy(vn->guest6, found, sizeof(vn->guest6));
	dev_drop(vn->v.dev);
	length = ndp_reply(&ndp, p->tx_buffer, n, ret, max);
	if (length == 0)
		return 0;
	net_count(&p->n.ndp_answers, 1);
	loop_timer_set(vn->pair->loop, &vn->pair->advert,
		       host_now() + NDP_INTERVAL_S * 1000000000ull);
	return length;
}

void net_say(struct net_pair *p, size_t length)
{
	struct virtio_net *vn = p->vn;

	if (vn->ear.fd >= 0) {
		(void)send(vn->ear.fd, p->answer + NET_HEADER, length, MSG_DONTWAIT);
		return;
	}
	memset(p->answer, 0, NET_HEADER);
	p->answer_length = NET_HEADER + length;
	loop_post(p->loop, &p->wake);
}

void net_ndp_again(void *ctx)
{
	struct net_pair *p = ctx;
	struct virtio_net *vn = p->vn;

	if (p->answer_length == 0 && __atomic_load_n(&vn->link, __ATOMIC_ACQUIRE))
		net_say(p, ndp_advert(&vn->ndp, p->answer + NET_HEADER,
				      sizeof(p->answer) - NET_HEADER));
	loop_timer_set(p->loop, &p->advert, host_now() + NDP_INTERVAL_S * 1000000000ull);
}

/* A frame of @n bytes that @is might want, by its first @look: is it in tx_buffer now? */
static bool fetch(struct net_pair *p, const struct virtq_chain *c, uint32_t n, uint32_t look,
		  bool (*is)(const uint8_t *frame, size_t n))
{
	return virtq_read(&p->tx->ring, c, NET_HEADER, p->tx_buffer, look) >= 0 &&
	       is(p->tx_buffer, look) &&
	       virtq_read(&p->tx->ring, c, NET_HEADER, p->tx_buffer, n) >= 0;
}

/* What is asked of a DHCP server or a router is answered here, and goes no further. */
static bool answer(struct net_pair *p, const struct virtq_chain *c, uint32_t n)
{
	const struct virtio_net *vn = p->vn;
	uint8_t *ret = p->answer + NET_HEADER;
	const size_t max = sizeof(p->answer) - NET_HEADER;
	size_t length = 0;

	if (vn->has_dhcp && n >= DHCP_REQUEST_MIN && n <= DHCP_REQUEST_MAX) {
		if (fetch(p, c, n, DHCP_LOOK, dhcp_is_request))
			length = net_dhcp_reply(p, n, ret, max);
	} else if (vn->has_ndp && n >= NDP_MESSAGE_MIN && n <= NDP_MESSAGE_MAX) {
		if (fetch(p, c, n, NDP_LOOK, ndp_is_for_router))
			length = net_ndp_reply(p, n, ret, max);
	}
	if (length > 0)
		net_say(p, length);
	return length > 0;
}

/* Is it not this frame's turn yet? It is the first of the ring, and comes again. */
static bool must_wait(struct net_pair *p, uint32_t n)
{
	const uint64_t before = p->tx_turn.waits ? p->tx_turn.at_ns : 0;

	if (p->tx_paid || throttle_may_begin(p->vn->tx_throttle, &p->tx_turn, host_now(), n)) {
		p->tx_paid = false;
		return false;
	}
	if (p->tx_turn.at_ns != before) /* the first time, or the limits are others */
		loop_timer_set(p->loop, &p->tx_opens, p->tx_turn.at_ns);
	return true;
}

/* No room. If nobody can say when there is some, the frame is lost. */
static enum virtio_next wait_for_room(struct net_pair *p, const struct virtq_chain *c)
{
	struct sill_err e = { 0 };

	if (loop_fd_add(p->loop, &p->writable, EPOLLOUT, &e) < 0)
		return drop(p, c);
	p->tx_full = true;
	p->tx_paid = throttle_is_on(p->vn->tx_throttle);
	return VIRTIO_WAIT;
}

static enum virtio_next send_frame(struct net_pair *p, const struct virtq_chain *c,
				   struct net_header *h, uint32_t n)
{
	struct virtio_net *vn = p->vn;
	struct iovec *iov = p->iov;
	struct gmem_span span;
	ssize_t sent;
	int count =
		virtq_iov(&p->tx->ring, c, false, NET_HEADER, n, iov + 1, GATHER_VECTORS, &span);

	assert(p->chain_count == 0); /* iov[] is ours */
	if (count < 0) {
		/* In too many pieces, or not in memory. */
		if (virtq_read(&p->tx->ring, c, NET_HEADER, p->tx_buffer, n) < 0)
			return VIRTIO_BROKEN;
		iov[1] = (struct iovec){ p->tx_buffer, n };
		count = 1;
	}
	iov[0] = (struct iovec){ h, sizeof(*h) };
	sent = vn->net->ops->send(vn->net, p->index, iov, count + 1);
	gmem_span_end(vn->v.dev->env->gmem, &span);
	if (sent == NET_AGAIN)
		return wait_for_room(p, c);
	if (sent == NET_GONE)
		net_gone(p);
	if (sent < 0)
		return drop(p, c);
	net_count(&p->n.tx_frames, 1);
	net_count(&p->n.tx_bytes, n);
	virtio_push(p->tx, c->head, 0);
	return VIRTIO_TAKEN;
}

static enum virtio_next transmit(struct net_pair *p, const struct virtq_chain *c)
{
	struct virtio_net *vn = p->vn;
	struct net_header h;
	uint32_t n;

	p->tx_frames++;
	if (c->out_len < NET_HEADER + NET_ETHERNET)
		return drop(p, c);
	n = c->out_len - NET_HEADER;
	p->tx_bytes += n < BUDGET_BYTES ? n : BUDGET_BYTES;
	if (virtq_read(&p->tx->ring, c, 0, &h, sizeof(h)) < 0)
		return VIRTIO_BROKEN;
	h.num_buffers = le16_of(0);
	if (n > frame_max(vn, &h) || !__atomic_load_n(&vn->link, __ATOMIC_ACQUIRE) ||
	    __atomic_load_n(&vn->gone, __ATOMIC_ACQUIRE))
		return drop(p, c);
	if (answer(p, c, n)) {
		virtio_push(p->tx, c->head, 0);
		return VIRTIO_TAKEN;
	}
	if ((p->tx_paid || p->tx_turn.waits || throttle_is_on(vn->tx_throttle)) && must_wait(p, n))
		return VIRTIO_WAIT;
	return send_frame(p, c, &h, n);
}

/* As many as there are, up to the end of the turn: one look at whether the driver wants an interrupt. */
enum virtio_next net_transmit(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct net_pair *p = &net_of(q->v)->pair[q->index / 2];
	struct virtq_chain cur = *c;
	bool used = false;

	if (p->tx_full)
		return VIRTIO_WAIT;
	while (!is_over(p)) {
		const enum virtio_next r = transmit(p, &cur);

		if (r != VIRTIO_TAKEN && !used)
			return r;
		if (r != VIRTIO_TAKEN)
			break; /* the frame comes again with it, as the first */
		used = true;
		if (virtio_is_full(q))
			virtio_flush(q);
		if (virtq_pop(&q->ring, &cur) <= 0)
			return VIRTIO_TAKEN;
	}
	if (!used) {
		loop_post(p->loop, &p->more);
		return VIRTIO_WAIT;
	}
	virtq_unpop(&q->ring, &cur);
	return VIRTIO_TAKEN;
}
