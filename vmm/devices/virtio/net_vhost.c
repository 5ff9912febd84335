/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_vhost.c - a card whose frames the host's kernel passes (backend/net/vhost.h).
 *
 * Each pair of queues has a vhost of its own, to which both are lent while they run. What is left to us: the
 * control queue, offloads and filters, which are the tap's; the link, for which the sending queue is taken back and
 * drops what the driver sends; and DHCP, and what is meant for a router: a packet socket on the tap hears the
 * guest's requests, and what is sent by it the guest hears. No limits, and no counters.
 */
#include "devices/virtio/net_priv.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/net/vhost.h"
#include "base/fd.h"

enum { EAR_FRAMES = 16 }; /* at a time: a guest may shout */

/* ---- guest memory ---- */

/* A span has begun: the memory is there, whatever is added or removed meanwhile. */
static int tell_memory(struct gmem *mem, struct vhost *v, struct sill_err *e)
{
	struct gmem_region ram[VHOST_REGIONS];
	struct vhost_region r[VHOST_REGIONS];
	const unsigned count = gmem_ram_regions(mem, ram, VHOST_REGIONS);

	for (unsigned i = 0; i < count && i < VHOST_REGIONS; i++)
		r[i] = (struct vhost_region){ ram[i].gpa, ram[i].size, ram[i].hva };
	return vhost_set_memory(v, r, count, e);
}

/* NULL: not memory, or of two regions. */
static void *host_of(struct gmem *mem, gpa_t gpa, size_t n)
{
	struct iovec iov;

	return gmem_span_add(mem, gpa, n, true, &iov, 1) == 1 ? iov.iov_base : NULL;
}

/* What it has of the guest's memory is no longer true: the pair is ours from here on. */
static void give_up_vhost(struct virtio_net *vn, unsigned pair, const struct sill_err *why)
{
	log_line(LOG_ERROR, "%s: queue pair %u without vhost: %s", vn->v.dev->id, pair, why->msg);
	vhost_halt(vn->vhost[pair]);
	vn->pair[pair].no_vhost = true;
	virtio_restart(vn->pair[pair].rx);
	virtio_restart(vn->pair[pair].tx);
}

void virtio_net_memory_changed(struct dev *d)
{
	struct virtio_net *vn = d->state;
	struct gmem *mem = d->env->gmem;
	struct gmem_span span;
	struct sill_err e = { 0 };

	if (vn->vhost[0] == NULL)
		return;
	dev_take(d);
	span = gmem_span_begin(mem);
	for (unsigned i = 0; i < vn->pair_count; i++)
		if (tell_memory(mem, vn->vhost[i], &e) < 0)
			give_up_vhost(vn, i, &e);
	gmem_span_end(mem, &span);
	dev_drop(d);
}

/* ---- queues ---- */

static int start(struct net_pair *p, struct virtio_queue *q, int call_fd, struct sill_err *e)
{
	struct virtio_net *vn = p->vn;
	struct vhost *v = vn->vhost[p->index];
	struct gmem *mem = vn->v.dev->env->gmem;
	const unsigned ring = q->index % 2;
	struct gmem_span span = gmem_span_begin(mem);
	const struct vhost_ring r = {
		.size = q->size,
		.base = q->ring.last_avail,
		.desc = host_of(mem, q->desc, 16ul * q->size),
		.avail = host_of(mem, q->avail, 6 + 2ul * q->size),
		.used = host_of(mem, q->used, 6 + 8ul * q->size),
		.kick_fd = q->kick_fd,
		.call_fd = call_fd,
		.err_fd = p->breaks[ring].fd,
		.tap_fd = vn->net->fd[p->index],
	};
	int ret = -1;

	if (r.desc == NULL || r.avail == NULL || r.used == NULL)
		(void)sill_err_set(e, SILL_ERR_GUEST, "a ring in two pieces of memory");
	else if (vhost_set_features(v, vn->v.features, e) == 0 && tell_memory(mem, v, e) == 0)
		ret = vhost_start(v, ring, &r, e);
	gmem_span_end(mem, &span);
	return ret;
}

bool net_lend(struct virtio_queue *q, int call_fd)
{
	struct virtio_net *vn = net_of(q->v);
	struct net_pair *p = &vn->pair[q->index / 2];
	struct sill_err e = { 0 };

	/* A driver that does not know of several pairs has its control queue in the second one's place. */
	if (q->index >= 2 * vn->pair_count || vn->vhost[q->index / 2] == NULL ||
	    (q->index >= 2 && !virtio_has(q->v, F_MQ)) || p->no_vhost)
		return false;
	if (q->index % 2 != 0 && !__atomic_load_n(&vn->link, __ATOMIC_ACQUIRE))
		return false; /* what it sends goes nowhere */
	if (q->index % 2 == 0)
		net_rx_lent(p);
	if (start(p, q, call_fd, &e) == 0)
		return true;
	log_guest(&q->v->dev->bucket, q->v->dev->id, "queue %u without vhost: %s", q->index, e.msg);
	return false;
}

uint16_t net_reclaim(struct virtio_queue *q)
{
	return vhost_stop(net_of(q->v)->vhost[q->index / 2], q->index % 2);
}

void net_aim(struct virtio_queue *q, int call_fd)
{
	vhost_set_call(net_of(q->v)->vhost[q->index / 2], q->index % 2, call_fd);
}

static void on_break(struct virtio_queue *q, int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		virtio_break(q, "the kernel finds that the ring breaks the rules");
}

static void on_rx_break(void *ctx, uint32_t events)
{
	struct net_pair *p = ctx;

	(void)events;
	on_break(p->rx, p->breaks[0].fd);
}

static void on_tx_break(void *ctx, uint32_t events)
{
	struct net_pair *p = ctx;

	(void)events;
	on_break(p->tx, p->breaks[1].fd);
}

/* ---- DHCP, and what is meant for a router ---- */

static void on_ear(void *ctx, uint32_t events)
{
	struct net_pair *p = ctx;
	struct virtio_net *vn = p->vn;
	uint8_t *ret = p->answer + NET_HEADER;
	const size_t max = sizeof(p->answer) - NET_HEADER;

	(void)events;
	for (unsigned i = 0; i < EAR_FRAMES; i++) {
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		const ssize_t n =
			recvfrom(vn->ear.fd, p->tx_buffer, DHCP_REQUEST_MAX,
				 MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &len);
		size_t length = 0;

		if (n < 0)
			return;
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		if (n >= DHCP_REQUEST_MIN && n <= DHCP_REQUEST_MAX && vn->has_dhcp)
			length = dhcp_is_request(p->tx_buffer, DHCP_LOOK)
					 ? net_dhcp_reply(p, (uint32_t)n, ret, max)
					 : 0;
		else if (n >= NDP_MESSAGE_MIN && n <= NDP_MESSAGE_MAX && vn->has_ndp)
			length = net_ndp_reply(p, (uint32_t)n, ret, max);
		if (length > 0)
			net_say(p, length);
	}
}

/* ---- life ---- */

int net_vhost_open(struct virtio_net *vn, struct sill_err *e)
{
	for (unsigned i = 0; i < vn->pair_count; i++) {
		struct net_pair *p = &vn->pair[i];

		if (vn->vhost[i] == NULL)
			continue;
		for (unsigned ring = 0; ring < VHOST_RINGS; ring++) {
			struct loop_fd *b = &p->breaks[ring];

			*b = (struct loop_fd){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					       .fn = ring == 0 ? on_rx_break : on_tx_break,
					       .ctx = p };
			if (b->fd < 0)
				return sill_err_sys(e, errno, "queue pair %u", i);
		}
	}
	vn->ear.fn = on_ear;
	vn->ear.ctx = vn->pair;
	return 0;
}

/* On the pair's loop. */
static void listen_to(void *ctx)
{
	struct net_pair *p = ctx;
	struct virtio_net *vn = p->vn;
	struct sill_err e = { 0 };

	for (unsigned ring = 0; ring < VHOST_RINGS && vn->vhost[p->index] != NULL; ring++)
		if (loop_fd_add(p->loop, &p->breaks[ring], EPOLLIN, &e) < 0)
			log_line(LOG_WARN, "%s: %s", vn->v.dev->id, e.msg);
	if (p->index == 0 && vn->ear.fd >= 0 && loop_fd_add(p->loop, &vn->ear, EPOLLIN, &e) < 0)
		log_line(LOG_WARN, "%s: nobody answers DHCP: %s", vn->v.dev->id, e.msg);
}

void net_vhost_begin(struct virtio_net *vn)
{
	for (unsigned i = 0; i < vn->pair_count && vn->vhost[0] != NULL; i++)
		loop_call(vn->pair[i].loop, listen_to, &vn->pair[i]);
}

void net_vhost_forget(struct net_pair *p)
{
	loop_fd_remove(p->loop, &p->breaks[0]);
	loop_fd_remove(p->loop, &p->breaks[1]);
	if (p->index == 0)
		loop_fd_remove(p->loop, &p->vn->ear);
}

void net_vhost_close(struct virtio_net *vn)
{
	for (unsigned i = 0; vn->pair != NULL && i < vn->pair_count; i++) {
		fd_close(&vn->pair[i].breaks[0].fd);
		fd_close(&vn->pair[i].breaks[1].fd);
	}
	for (unsigned i = 0; i < NET_MAX_QUEUES; i++)
		vhost_destroy(vn->vhost[i]);
	fd_close(&vn->ear.fd);
	fd_close(&vn->kept_fd);
}
