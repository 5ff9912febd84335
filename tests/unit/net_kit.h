/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_kit.h - a network card on the bench of virtio_rig.h, whose far end is a socket
 * of packets that the test holds, and a driver as Windows' for it.
 */
#ifndef TESTS_UNIT_NET_KIT_H
#define TESTS_UNIT_NET_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "backend/net/dhcp.h"
#include "backend/net/ndp.h"
#include "backend/net/net.h"
#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"
#include "winnet.c"

enum { NK_SLOT = 4, NK_MAX = 65562 };

static const uint8_t nk_mac[6] = { 0x02, 1, 2, 3, 4, 5 };

struct net_kit {
	struct rig_pc *pc;
	struct dev *d;
	struct winnet w;
	int far; /* owned */
	struct virtio_net_config c;
	uint8_t frame[NK_MAX]; /* what came last at the far end, with its header */
};

static inline void nk_create(struct net_kit *k)
{
	struct sill_err e = { 0 };
	struct virtio_net_config c = k->c;

	if (c.net == NULL) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		k->far = pair[1];
		c.net = net_socket_open(pair[0], &e);
	}
	if (c.net == NULL)
		fail_msg("%s", e.msg);
	memcpy(c.mac, nk_mac, 6);
	c.slot = NK_SLOT;
	k->d = dev_create(&virtio_net_ops, "net0", &c, NO_GSI, &k->pc->env, &e);
	if (k->d == NULL)
		fail_msg("%s", e.msg);
}

/* k->c is set by the caller before. */
static inline void nk_begin(struct net_kit *k, const struct winnet_options *o)
{
	k->far = -1;
	k->pc = rig_pc_create();
	nk_create(k);
	winnet_start(&k->w, k->pc, NK_SLOT, o);
}

static inline void nk_end(struct net_kit *k)
{
	rig_dev_destroy(k->pc, k->d);
	rig_pc_destroy(k->pc);
	if (k->far >= 0)
		close(k->far);
}

static inline void nk_fill(uint8_t *p, uint32_t n, unsigned seed)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + seed + (i >> 8));
}

/* A frame for the guest, with a plain header. False: the socket is full. */
static inline bool nk_host_send(struct net_kit *k, const void *p, uint32_t n)
{
	uint8_t head[12] = { 0 };
	struct iovec v[2] = { { head, 12 }, { (void *)(uintptr_t)p, n } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };

	head[10] = head[11] = 0xee; /* nobody's business but the card's */
	return sendmsg(k->far, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)(n + 12);
}

/* The next frame from the guest is in k->frame; its length with the header, 0: none within @ms. */
static inline uint32_t nk_host_receive(struct net_kit *k, int ms)
{
	struct pollfd p = { .fd = k->far, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return 0;
	n = recv(k->far, k->frame, sizeof(k->frame), MSG_DONTWAIT);
	return n > 0 ? (uint32_t)n : 0;
}

static inline struct virtio_net_counters nk_counters(const struct net_kit *k)
{
	struct virtio_net_counters n;

	virtio_net_counters(k->d, &n);
	return n;
}

#endif
