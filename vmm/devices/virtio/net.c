/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c - virtio network card, virtio 1.2, 5.1: its life, features and state.
 *
 * One I/O thread for each pair of queues: 2i brings frames to the guest, 2i + 1 takes
 * them. The control queue is the last, or queue 2 when the driver does not know of
 * several pairs. The other parts: net_rx.c, net_tx.c, net_ctrl.c; threads: net_priv.h.
 *
 * What the back end may leave to the guest follows what the guest has acknowledged:
 * nothing after a reset, so that firmware sees whole frames with their checksums.
 *
 * Not offered: VLAN filters (Windows would send 4096 commands), GUEST_ANNOUNCE, RSS,
 * UFO, SPEED_DUPLEX.
 */
#include "devices/virtio/net.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/virtio/affinity.h"
#include "devices/virtio/net_priv.h"

enum {
	DEFAULT_MTU = 1500,
	DEFAULT_QUEUE_SIZE = 256,
	POLL_NS = 50 * 1000, /* a queue's thread looks for so long before it sleeps */
};

static const struct {
	uint8_t to_guest, from_guest; /* feature bits */
	unsigned offload;
} offload_bits[] = {
	{ F_GUEST_CSUM, F_CSUM, NET_CSUM },      { F_GUEST_TSO4, F_HOST_TSO4, NET_TSO4 },
	{ F_GUEST_TSO6, F_HOST_TSO6, NET_TSO6 }, { F_GUEST_ECN, F_HOST_ECN, NET_ECN },
	{ F_GUEST_USO4, F_HOST_USO, NET_USO },
};

unsigned net_guest_offloads(uint64_t features)
{
	unsigned offloads = 0;

	for (size_t i = 0; i < ARRAY_LEN(offload_bits); i++)
		if ((features >> offload_bits[i].to_guest & 1) != 0)
			offloads |= offload_bits[i].offload;
	if ((features >> F_GUEST_USO6 & 1) == 0)
		offloads &= ~(unsigned)NET_USO; /* a tap has both or none */
	return net_offloads_sane(offloads);
}

/* ---- what the guest has set; the device's lock is held ---- */

void net_apply_offloads(struct virtio_net *vn, unsigned offloads)
{
	const bool large = (offloads & (NET_TSO4 | NET_TSO6 | NET_USO)) != 0;

	vn->offloads = offloads;
	/* 5.1.6.3.1 */
	__atomic_store_n(&vn->need, large ? 65562u : vn->mtu + NET_HEADER + NET_ETHERNET + 4u,
			 __ATOMIC_RELAXED);
	if (vn->net->ops->set_offloads != NULL)
		vn->net->ops->set_offloads(vn->net, offloads);
}

void net_apply_filter(struct virtio_net *vn)
{
	struct net_filter f = { .all = vn->promiscuous || vn->mac_count >= NET_MAX_MACS,
				.all_multicast = vn->all_multicast,
				.count = 1 };

	if (vn->net->ops->set_mac != NULL)
		vn->net->ops->set_mac(vn->net, vn->space.mac);
	if (vn->net->ops->set_filter == NULL)
		return;
	if (!f.all) {
		memcpy(f.mac[0], vn->space.mac, 6);
		memcpy(f.mac[1], vn->table, 6 * (size_t)vn->mac_count);
		f.count += vn->mac_count;
	}
	vn->net->ops->set_filter(vn->net, &f);
}

void net_apply_pairs(struct virtio_net *vn, unsigned pairs)
{
	vn->pairs = pairs;
	if (vn->net->ops->set_queues != NULL)
		vn->net->ops->set_queues(vn->net, pairs);
}

static void set_status(struct virtio_net *vn)
{
	const bool up = __atomic_load_n(&vn->link, __ATOMIC_RELAXED) &&
			!__atomic_load_n(&vn->gone, __ATOMIC_RELAXED);

	if ((le16_get(vn->space.status) == STATUS_LINK_UP) == up)
		return;
	vn->space.status = le16_of(up ? STATUS_LINK_UP : 0);
	if (virtio_has(&vn->v, F_STATUS))
		virtio_config_changed(&vn->v);
}

enum virtio_net_news virtio_net_news(struct dev *d)
{
	struct virtio_net *vn = d->state;

	return __atomic_exchange_n(&vn->told, VIRTIO_NET_NOTHING, __ATOMIC_ACQ_REL);
}

void net_gone(struct net_pair *p)
{
	struct virtio_net *vn = p->vn;
	struct dev *d = vn->v.dev;

	if (__atomic_exchange_n(&vn->gone, true, __ATOMIC_ACQ_REL))
		return;
	log_line(LOG_ERROR, "%s: the host's side of the network is gone; the link is down", d->id);
	dev_take(d);
	set_status(vn);
	dev_drop(d);
	/* No lock held: whoever watches the machine may ask what it is. */
	__atomic_store_n(&vn->told, VIRTIO_NET_LOST, __ATOMIC_RELEASE);
	dev_progress(d);
}

/* Frames may not pass here, or nobody may want any: the loss is noticed all the same. */
static void on_news(void *ctx, uint32_t events)
{
	struct net_pair *p = ctx;
	struct net *n = p->vn->net;

	(void)events;
	if (!n->ops->is_gone(n))
		return;
	loop_fd_remove(p->loop, &p->vn->news); /* it would be said again and again */
	net_gone(p);
}

/* On the first pair's loop. */
static void listen_to_news(void *ctx)
{
	struct virtio_net *vn = ctx;
	struct sill_err e = { 0 };

	if (vn->net->ops->is_gone == NULL || vn->net->news < 0)
		return;

	vn->news = (struct loop_fd){ .fd = vn->net->news, .fn = on_news, .ctx = vn->pair };
	if (loop_fd_add(vn->pair->loop, &vn->news, vn->net->news_events, &e) < 0)
		log_line(LOG_WARN, "%s: %s", vn->v.dev->id, e.msg);
}

struct renewal {
	struct net_pair *p;
	int fd, ret;
	bool was_gone; /* somebody has noticed */
	struct sill_err *e;
};

/* On the pair's thread. */
static void renew(void *ctx)
{
	struct renewal *r = ctx;
	struct net_pair *p = r->p;
	struct net *n = p->vn->net;

	loop_fd_remove(p->loop, &p->readable);
	loop_fd_remove(p->loop, &p->writable);
	loop_fd_remove(p->loop, &p->vn->news);
	r->ret = n->ops->renew(n, r->fd, r->e);
	listen_to_news(p->vn);
	if (r->ret == 0 && dup3(n->fd[p->index], p->out_fd, O_CLOEXEC) < 0)
		r->ret = sill_err_sys(r->e, errno, "queue pair %u", p->index);
	if (r->ret < 0)
		return;
	p->tx_full = false;
	r->was_gone = __atomic_exchange_n(&p->vn->gone, false, __ATOMIC_ACQ_REL);
	/* Here, where it may be lost again the next moment, which is to be the last that is told. */
	if (r->was_gone)
		__atomic_store_n(&p->vn->told, VIRTIO_NET_BACK, __ATOMIC_RELEASE);
}

int virtio_net_renew(struct dev *d, int fd, struct sill_err *e)
{
	struct virtio_net *vn = d->state;
	struct renewal r = { .p = vn->pair, .fd = fd, .e = e };

	if (vn->net->ops->renew == NULL) {
		fd_close(&fd);
		return sill_err_set(e, SILL_ERR_STATE, "%s: its far end cannot be replaced", d->id);
	}
	loop_call(r.p->loop, renew, &r);
	if (r.ret < 0)
		return -1;
	dev_take(d);
	set_status(vn);
	dev_drop(d);
	if (r.was_gone)
		dev_progress(d);
	loop_post(r.p->loop, &r.p->wake);
	loop_post(r.p->loop, &r.p->more);
	return 0;
}

void virtio_net_set_link(struct dev *d, bool up)
{
	struct virtio_net *vn = d->state;

	dev_take(d);
	__atomic_store_n(&vn->link, up, __ATOMIC_RELEASE);
	if (vn->net->ops->set_carrier != NULL)
		vn->net->ops->set_carrier(vn->net, up);
	set_status(vn);
	/* The kernel would send on: carrier or not. */
	for (unsigned i = 0; i < vn->pair_count && vn->vhost[0] != NULL; i++)
		virtio_restart(vn->pair[i].tx);
	dev_drop(d);
	for (unsigned i = 0; i < vn->pair_count && up; i++)
		loop_post(vn->pair[i].loop, &vn->pair[i].wake);
}

bool virtio_net_has_vhost(const struct dev *d)
{
	const struct virtio_net *vn = d->state;

	return vn->vhost[0] != NULL; /* constant */
}

void virtio_net_counters(const struct dev *d, struct virtio_net_counters *ret)
{
	const struct virtio_net *vn = d->state;

	*ret = (struct virtio_net_counters){ 0 };
	for (unsigned i = 0; i < vn->pair_count; i++) {
		const struct virtio_net_counters *n = &vn->pair[i].n;

#define ADD(name) ret->name += __atomic_load_n(&n->name, __ATOMIC_RELAXED)
		ADD(rx_frames);
		ADD(rx_bytes);
		ADD(rx_dropped);
		ADD(tx_frames);
		ADD(tx_bytes);
		ADD(tx_dropped);
		ADD(dhcp_answers);
		ADD(ndp_answers);
#undef ADD
	}
}

/* In ns, as the guest counts: while it is paused it is not nearer to the end. */
static uint64_t lease_left(const struct virtio_net *vn)
{
	const uint64_t now = vmclock_now(vn->v.dev->env->clock),
		       end = __atomic_load_n(&vn->lease_end, __ATOMIC_RELAXED);

	return end > now ? end - now : 0;
}

void virtio_net_look(struct dev *d, struct virtio_net_state *ret)
{
	struct virtio_net *vn = d->state;
	const uint64_t left = lease_left(vn);

	dev_take(d);
	*ret = (struct virtio_net_state){
		.link = le16_get(vn->space.status) == STATUS_LINK_UP,
		.driver = (vn->v.status & VIRTIO_DRIVER_OK) != 0,
		.pairs = vn->pairs,
		.max_pairs = vn->pair_count,
		.vhost = vn->vhost[0] != NULL,
		.lease_s = (uint32_t)((left + NS_PER_S - 1) / NS_PER_S),
	};
	memcpy(ret->guest6, vn->guest6, sizeof(ret->guest6));
	for (unsigned i = 0; i < 2 * vn->pair_count; i++)
		ret->vhost_queues += vn->v.queue[i].lent;
	dev_drop(d);
}

/* ---- for the frame ---- */

static bool is_control(const struct virtio_queue *q)
{
	const struct virtio_net *vn = net_of(q->v);

	return virtio_has(q->v, F_CTRL_VQ) &&
	       q->index == (virtio_has(q->v, F_MQ) ? 2 * vn->pair_count : 2);
}

static enum virtio_next net_request(struct virtio_queue *q, const struct virtq_chain *c)
{
	const struct virtio_net *vn = net_of(q->v);

	if (is_control(q))
		return net_control(q, c);
	if (q->index == 2 * vn->pair_count)
		return VIRTIO_BROKEN; /* a driver without control queue has set up one */
	return q->index % 2 == 0 ? net_receive(q, c) : net_transmit(q, c);
}

static void net_plug(struct virtio_queue *q)
{
	struct virtio_net *vn = net_of(q->v);

	if (is_control(q) || q->index == 2 * vn->pair_count)
		return;
	if (q->index % 2 == 0)
		net_rx_begin(&vn->pair[q->index / 2]);
	else
		net_tx_begin(&vn->pair[q->index / 2]);
}

static void net_driver_ok(struct virtio *v)
{
	struct virtio_net *vn = net_of(v);

	__atomic_store_n(&vn->mergeable, virtio_has(v, F_MRG_RXBUF), __ATOMIC_RELAXED);
	net_apply_offloads(vn, net_guest_offloads(v->features));
}

/* The next driver, which may be firmware, finds the card as new. */
static void net_driver_reset(struct virtio *v)
{
	struct virtio_net *vn = net_of(v);

	vn->promiscuous = true;
	vn->all_multicast = false;
	vn->mac_count = 0;
	memcpy(vn->space.mac, vn->mac, sizeof(vn->mac));
	__atomic_store_n(&vn->mergeable, false, __ATOMIC_RELAXED);
	net_apply_filter(vn);
	net_apply_pairs(vn, 1);
	net_apply_offloads(vn, 0);
	for (unsigned i = 0; i < vn->pair_count; i++) {
		net_rx_forget(&vn->pair[i]);
		net_tx_forget(&vn->pair[i]);
		loop_timer_cancel(vn->pair[i].loop, &vn->pair[i].advert);
		if (vn->net->ops->purge != NULL)
			vn->net->ops->purge(vn->net, i); /* with headers of other offloads */
	}
}

/* Frames in hand are lost with the state, as frames may be. */
static void net_save(struct virtio *v, struct saver *s)
{
	const struct virtio_net *vn = net_of(v);

	save_bytes(s, vn->space.mac, sizeof(vn->space.mac));
	save_u8(s, vn->promiscuous);
	save_u8(s, vn->all_multicast);
	save_u32(s, vn->offloads);
	save_u16(s, (uint16_t)vn->pairs);
	save_u16(s, (uint16_t)vn->mac_count);
	save_bytes(s, vn->table, 6 * (size_t)vn->mac_count);
	save_u32(s, vn->dhcp.address); /* which the lease is of */
	save_u64(s, lease_left(vn));
	save_bytes(s, vn->guest6, sizeof(vn->guest6));
}

/* The guest's addresses. What is of another network than the card has here is not known to be anybody's. */
static void load_addresses(struct virtio_net *vn, struct loader *l)
{
	const uint32_t address = load_u32(l);
	const uint64_t left = load_u64(l);
	const bool is_ours = vn->has_dhcp && address == vn->dhcp.address && left > 0;
	uint8_t guest6[16];

	load_bytes(l, guest6, sizeof(guest6));
	if (left > NS_PER_S * UINT32_MAX)
		load_fail(l);
	if (l->failed)
		return;
	__atomic_store_n(&vn->lease_end, is_ours ? vmclock_now(vn->v.dev->env->clock) + left : 0,
			 __ATOMIC_RELAXED);
	memset(vn->guest6, 0, sizeof(vn->guest6));
	if (vn->has_ndp && ndp_is_guests(&vn->ndp, guest6))
		memcpy(vn->guest6, guest6, sizeof(vn->guest6));
}

static void net_load(struct virtio *v, struct loader *l)
{
	struct virtio_net *vn = net_of(v);
	unsigned offloads, pairs;

	load_bytes(l, vn->space.mac, sizeof(vn->space.mac));
	vn->promiscuous = load_bool(l);
	vn->all_multicast = load_bool(l);
	offloads = load_u32(l);
	pairs = load_u16(l);
	vn->mac_count = load_u16(l);
	if ((vn->space.mac[0] & 1) != 0 || pairs == 0 || pairs > vn->pair_count ||
	    (pairs > 1 && !virtio_has(v, F_MQ)) || vn->mac_count > NET_MAX_MACS ||
	    (offloads & ~net_guest_offloads(v->features)) != 0 ||
	    net_offloads_sane(offloads) != offloads) {
		load_fail(l);
		vn->mac_count = 0;
		return;
	}
	load_bytes(l, vn->table, 6 * (size_t)vn->mac_count);
	load_addresses(vn, l);
	__atomic_store_n(&vn->mergeable, virtio_has(v, F_MRG_RXBUF), __ATOMIC_RELAXED);
	net_apply_filter(vn);
	net_apply_pairs(vn, pairs);
	net_apply_offloads(vn, offloads);
	/* What it was told may have run out meanwhile, and it does not ask again. */
	if (vn->has_ndp)
		loop_timer_set(vn->pair->loop, &vn->pair->advert, host_now());
}

static const struct virtio_ops net_ops = {
	.request = net_request,
	.plug = net_plug,
	.driver_ok = net_driver_ok,
	.driver_reset = net_driver_reset,
	.save = net_save,
	.load = net_load,
	.lend = net_lend,
	.aim = net_aim,
	.reclaim = net_reclaim,
};

/* ---- life ---- */

static uint64_t describe(struct virtio_net *vn, const struct virtio_net_config *c)
{
	uint64_t features = 1ull << F_MAC | 1ull << F_STATUS | 1ull << F_MRG_RXBUF |
			    1ull << F_CTRL_VQ | 1ull << F_CTRL_RX | 1ull << F_CTRL_MAC_ADDR;
	unsigned mask = ~0u;

	if (c->no_csum)
		mask = 0;
	else if (c->no_tso)
		mask = NET_CSUM;
	for (size_t i = 0; i < ARRAY_LEN(offload_bits); i++) {
		if ((vn->net->to_guest & mask & offload_bits[i].offload) != 0)
			features |= 1ull << offload_bits[i].to_guest;
		if ((vn->net->from_guest & mask & offload_bits[i].offload) != 0)
			features |= 1ull << offload_bits[i].from_guest;
	}
	if ((features >> F_GUEST_USO4 & 1) != 0)
		features |= 1ull << F_GUEST_USO6;
	if ((features >> F_GUEST_CSUM & 1) != 0)
		features |= 1ull << F_CTRL_GUEST_OFFLOADS;
	memcpy(vn->space.mac, vn->mac, sizeof(vn->mac));
	vn->space.status = le16_of(vn->link ? STATUS_LINK_UP : 0);
	vn->space.max_virtqueue_pairs = le16_of((uint16_t)vn->pair_count);
	if (vn->pair_count > 1)
		features |= 1ull << F_MQ;
	if (c->mtu != 0) {
		features |= 1ull << F_MTU;
		vn->space.mtu = le16_of(c->mtu);
	}
	return features;
}

/*
 * On the pair's thread, where guest and host have the same processor: whoever makes frames is not pushed aside
 * for each of them, and makes several for a turn. When they wait, it is its turn at once, as ever.
 */
static void be_patient(void *ctx)
{
	(void)ctx;
	if (sched_getscheduler(0) == SCHED_OTHER) /* not what somebody has chosen */
		(void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
}

static int pair_create(struct virtio_net *vn, unsigned i, uint64_t poll_ns, struct sill_err *e)
{
	struct net_pair *p = &vn->pair[i];
	char name[16];

	p->rx = &vn->v.queue[2 * i];
	p->tx = &vn->v.queue[2 * i + 1];
	p->out_fd = fcntl(vn->net->fd[i], F_DUPFD_CLOEXEC, 0);
	if (p->out_fd < 0)
		return sill_err_sys(e, errno, "queue pair %u", i);
	p->rx_buffer = malloc(BUFFER);
	p->tx_buffer = malloc(BUFFER);
	if (p->rx_buffer == NULL || p->tx_buffer == NULL)
		return sill_err_sys(e, ENOMEM, "frames of pair %u", i);
	p->readable = (struct loop_fd){ .fd = vn->net->fd[i], .fn = net_rx_readable, .ctx = p };
	p->writable = (struct loop_fd){ .fd = p->out_fd, .fn = net_tx_writable, .ctx = p };
	p->wake = (struct loop_task){ .fn = net_rx_wake, .ctx = p };
	p->more = (struct loop_task){ .fn = net_tx_more, .ctx = p };
	p->rx_opens = (struct loop_timer){ .fn = net_rx_wake, .ctx = p };
	p->tx_opens = (struct loop_timer){ .fn = net_tx_more, .ctx = p };
	p->advert = (struct loop_timer){ .fn = net_ndp_again, .ctx = p };
	(void)snprintf(name, sizeof(name), "%.9s/q%hhu", vn->v.dev->id, (unsigned char)i);
	p->thread = iothread_create(name, poll_ns, e);
	if (p->thread == NULL)
		return -1;
	p->rx->loop = p->tx->loop = p->loop = iothread_loop(p->thread);
	if (poll_ns == 0)
		loop_call(p->loop, be_patient, NULL);
	return 0;
}

static int pairs_create(struct virtio_net *vn, const struct virtio_net_config *c,
			struct sill_err *e)
{
	const uint64_t poll_ns = affinity_has_cpus() ? POLL_NS : 0;
	struct affinity before;
	int ret = 0;

	if (affinity_set(&before, c->host_cpus, c->host_cpu_count, e) < 0)
		return -1;
	for (unsigned i = 0; i < vn->pair_count && ret == 0; i++)
		ret = pair_create(vn, i, poll_ns, e);
	affinity_restore(&before);
	return ret;
}

/* On the loop's thread. */
static void forget(void *ctx)
{
	struct net_pair *p = ctx;

	loop_fd_remove(p->loop, &p->readable);
	loop_fd_remove(p->loop, &p->writable);
	loop_unpost(p->loop, &p->wake);
	loop_unpost(p->loop, &p->more);
	net_vhost_forget(p);
	if (p->index == 0)
		loop_fd_remove(p->loop, &p->vn->news);
	loop_timer_cancel(p->loop, &p->rx_opens);
	loop_timer_cancel(p->loop, &p->tx_opens);
	loop_timer_cancel(p->loop, &p->advert);
}

static void net_free(struct virtio_net *vn)
{
	virtio_detach(&vn->v);
	for (unsigned i = 0; vn->pair != NULL && i < vn->pair_count; i++) {
		struct net_pair *p = &vn->pair[i];

		if (p->thread != NULL)
			loop_call(p->loop, forget, p);
		iothread_destroy(p->thread);
		fd_close(&p->out_fd);
		free(p->rx_buffer);
		free(p->tx_buffer);
	}
	net_vhost_close(vn);
	free(vn->pair);
	virtio_fini(&vn->v);
	net_close(vn->net);
}

static void take_config(struct virtio_net *vn, const struct virtio_net_config *c)
{
	vn->net = c->net;
	vn->pair_count = c->net->queues;
	vn->link = !c->link_down;
	memcpy(vn->vhost, c->vhost, sizeof(vn->vhost));
	vn->ear.fd = c->vhost[0] != NULL ? c->ear_fd : -1;
	vn->kept_fd = c->vhost[0] != NULL ? c->kept_fd : -1;
	vn->rx_throttle = c->rx_throttle;
	vn->tx_throttle = c->tx_throttle;
	vn->mtu = c->mtu != 0 ? c->mtu : DEFAULT_MTU;
	memcpy(vn->mac, c->mac, sizeof(vn->mac));
	if (c->dhcp != NULL) {
		vn->has_dhcp = true;
		vn->dhcp = *c->dhcp;
	}
	if (c->ndp != NULL) {
		vn->has_ndp = true;
		vn->ndp = *c->ndp;
	}
}

static int net_init(struct dev *d, struct sill_err *e)
{
	const struct virtio_net_config *c = d->config;
	struct virtio_net *vn = d->state;
	struct virtio_spec spec = {
		.ops = &net_ops,
		.type = VIRTIO_NET,
		.class_code = 0x020000, /* network, Ethernet */
		.queue_size = (uint16_t)(c->queue_size != 0 ? c->queue_size : DEFAULT_QUEUE_SIZE),
		.config = &vn->space,
		.config_size = sizeof(vn->space),
	};

	take_config(vn, c);
	assert((vn->mac[0] & 1) == 0 && vn->pair_count <= NET_MAX_QUEUES);
	vn->pair = calloc(vn->pair_count, sizeof(*vn->pair));
	if (vn->pair == NULL) {
		(void)sill_err_sys(e, ENOMEM, "queue pairs");
		goto fail;
	}
	for (unsigned i = 0; i < vn->pair_count; i++)
		vn->pair[i] = (struct net_pair){
			.vn = vn, .index = i, .out_fd = -1, .breaks = { { .fd = -1 }, { .fd = -1 } }
		};
	spec.queue_count = (uint16_t)(2 * vn->pair_count + 1);
	spec.features = describe(vn, c);
	if (net_vhost_open(vn, e) < 0 || virtio_init(&vn->v, d, &spec, e) < 0 ||
	    pairs_create(vn, c, e) < 0)
		goto fail;
	vn->v.lends = vn->vhost[0] != NULL;
	net_vhost_begin(vn);
	loop_call(vn->pair->loop, listen_to_news, vn);
	if (vn->net->ops->set_carrier != NULL)
		vn->net->ops->set_carrier(vn->net, vn->link);
	if (virtio_attach(&vn->v, c->slot, e) < 0)
		goto fail;
	return 0;

fail:
	net_free(vn);
	return -1;
}

static void net_fini(struct dev *d)
{
	net_free(d->state);
}

const struct dev_ops virtio_net_ops = {
	.type = "virtio-net",
	.state_size = sizeof(struct virtio_net),
	.init = net_init,
	VIRTIO_DEV_OPS,
	.reset = virtio_reset,
	.fini = net_fini,
};
