/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.c - a tap device of the host's kernel.
 *
 * One read or write is one frame. The size of the header and the offloads belong
 * to the device, and outlive us on a persistent one: both are set every time.
 * The kernel checks the guest's headers (EINVAL), and takes frames of any length:
 * the card has a limit of its own. While the link is down a write is EIO, and
 * a read finds nothing.
 *
 * Queues: frames of a new flow are spread over all that are attached, so those
 * that nobody serves are detached, of a macvtap as of a tap. Detaching moves the last queue into
 * the place that becomes free: from the top down, and attached from the bottom up.
 */
#include "backend/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
	PURGE_MAX = 4096, /* more than a queue holds (its txqueuelen, 1000 by default) */
	NEWS_MAX = 64,    /* of one turn; a device is deleted once */
};

struct tap {
	struct net net;    /* first */
	unsigned attached; /* queues */
	bool tun;          /* not a macvtap, which has no carrier and no filter */
	uint8_t mac[6];    /* of a macvtap, whose address is the guest's */
};

static struct tap *from_net(struct net *n)
{
	return (struct tap *)(void *)n;
}

/*
 * Not libc's readv() and writev(), which are points of cancellation: who has several threads pays for that with
 * some fifty instructions a frame, and nobody is cancelled here.
 */
static ssize_t transfer(long call, int fd, const struct iovec *iov, int count)
{
	return syscall(call, fd, iov, count);
}

static ssize_t tap_recv(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	const ssize_t got = transfer(SYS_readv, n->fd[queue], iov, count);

	if (got >= 0)
		return got;
	switch (errno) {
	case EAGAIN:
	case EINTR:
		return NET_AGAIN;
	case EINVAL:
	case EFAULT:
		return NET_DROPPED;
	default: /* EBADFD: somebody has deleted the device */
		return NET_GONE;
	}
}

static ssize_t tap_send(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	const ssize_t sent = transfer(SYS_writev, n->fd[queue], iov, count);

	if (sent >= 0)
		return sent;
	switch (errno) {
	case EAGAIN: /* only with a finite send buffer */
		return NET_AGAIN;
	case EBADFD:
		return NET_GONE;
	default: /* EINVAL: the guest's header; EIO: the link is down; ENOMEM ... */
		return NET_DROPPED;
	}
}

static void tap_set_offloads(struct net *n, unsigned offloads)
{
	static const struct {
		unsigned net, tun;
	} bits[] = {
		{ NET_CSUM, TUN_F_CSUM },
		{ NET_TSO4, TUN_F_TSO4 },
		{ NET_TSO6, TUN_F_TSO6 },
		{ NET_ECN, TUN_F_TSO_ECN },
		{ NET_USO, TUN_F_USO4 | TUN_F_USO6 },
	};
	unsigned tun = 0;

	for (size_t i = 0; i < ARRAY_LEN(bits); i++)
		if ((offloads & bits[i].net) != 0)
			tun |= bits[i].tun;
	if (ioctl(n->fd[0], TUNSETOFFLOAD, (unsigned long)tun) < 0 && errno != EBADFD)
		log_line(LOG_WARN, "tap: offloads 0x%x: %s", tun, strerrordesc_np(errno));
}

/* A macvtap's queue has lost its device (ENOLINK), a tap's has none (EBADFD). */
static bool has_no_device(const struct net *n)
{
	struct ifreq ifr = { 0 };

	return ioctl(n->fd[0], TUNGETIFF, &ifr) < 0 && (errno == EBADFD || errno == ENOLINK);
}

/* Attach or detach one queue. */
static void set_queue(struct net *n, unsigned queue, bool on)
{
	struct ifreq ifr = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };
	const int why = ioctl(n->fd[queue], TUNSETQUEUE, &ifr) < 0 ? errno : 0;

	if (why != 0 && !has_no_device(n))
		log_line(LOG_WARN, "tap: queue %u: %s", queue, strerrordesc_np(why));
}

static void tap_set_queues(struct net *n, unsigned count)
{
	struct tap *t = from_net(n);

	while (t->attached > count)
		set_queue(n, --t->attached, false);
	while (t->attached < count)
		set_queue(n, t->attached++, true);
}

/* A device that is gone, or a kernel that cannot, has no carrier to set. */
static void tap_set_carrier(struct net *n, bool on)
{
	int carrier = on;

	if (from_net(n)->tun)
		(void)ioctl(n->fd[0], TUNSETCARRIER, &carrier);
}

static void tap_set_filter(struct net *n, const struct net_filter *f)
{
	/* struct tun_filter, with its addresses: those of the guest and broadcast. */
	struct {
		uint16_t flags, count;
		uint8_t mac[NET_MAX_MACS + 1][6];
	} t = { .flags = f->all_multicast ? TUN_FLT_ALLMULTI : 0 };

	if (!from_net(n)->tun)
		return;
	if (!f->all) {
		memset(t.mac[0], 0xff, 6);
		memcpy(t.mac[1], f->mac, 6 * (size_t)f->count);
		t.count = (uint16_t)(f->count + 1);
	}
	/* The kernel filters what it can, and lets pass what it cannot. */
	(void)ioctl(n->fd[0], TUNSETTXFILTER, &t);
}

/* To a macvtap come the frames for its own address. */
static void tap_set_mac(struct net *n, const uint8_t mac[6])
{
	struct tap *t = from_net(n);
	struct ifreq ifr = { .ifr_hwaddr.sa_family = 1 }; /* ARPHRD_ETHER */

	if (t->tun || memcmp(mac, t->mac, sizeof(t->mac)) == 0)
		return;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, sizeof(t->mac));
	if (ioctl(n->fd[0], SIOCSIFHWADDR, &ifr) == 0)
		memcpy(t->mac, mac, sizeof(t->mac));
	else if (errno != EBADFD && errno != ENODEV)
		log_line(LOG_WARN, "macvtap: the guest's new address: %s", strerrordesc_np(errno));
}

static void tap_purge(struct net *n, unsigned queue)
{
	uint8_t byte;

	/* A buffer that does not hold the header eats the frame, and is EINVAL. */
	for (unsigned i = 0; i < PURGE_MAX; i++)
		if (read(n->fd[queue], &byte, sizeof(byte)) < 0 && errno != EINVAL)
			return;
}

static bool tap_is_gone(struct net *n)
{
	uint8_t byte;

	for (unsigned i = 0; i < NEWS_MAX && recv(n->news, &byte, sizeof(byte), 0) >= 0; i++)
		continue;
	return has_no_device(n);
}

void net_tap_watch(struct net *n, int fd)
{
	fd_close(&n->news);
	n->news = fd;
}

static void tap_close(struct net *n)
{
	fd_close(&n->news);
	free(from_net(n));
}

static const struct net_ops tap_ops = {
	.kind = "tap",
	.recv = tap_recv,
	.send = tap_send,
	.close = tap_close,
	.set_offloads = tap_set_offloads,
	.set_queues = tap_set_queues,
	.set_carrier = tap_set_carrier,
	.set_filter = tap_set_filter,
	.set_mac = tap_set_mac,
	.purge = tap_purge,
	.is_gone = tap_is_gone,
};

/* One queue: is it what it has to be? */
static int prepare(struct tap *t, unsigned queue, struct sill_err *e)
{
	const int fd = t->net.fd[queue];
	struct ifreq ifr = { 0 };
	int size = NET_HEADER, little = 1, sndbuf = INT_MAX;
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return sill_err_sys(e, errno, "tap: queue %u", queue);
	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return sill_err_sys(e, errno, "tap: queue %u is attached to no device", queue);
	if ((ifr.ifr_flags & IFF_TAP) == 0 || (ifr.ifr_flags & IFF_NO_PI) == 0 ||
	    (ifr.ifr_flags & IFF_VNET_HDR) == 0)
		return sill_err_set(e, SILL_ERR_HOST,
				    "tap: '%.15s' is not a tap with headers (flags 0x%x)",
				    ifr.ifr_name, (unsigned)(uint16_t)ifr.ifr_flags);
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
		return sill_err_sys(e, errno, "tap: '%.15s': header of %d bytes", ifr.ifr_name,
				    size);
	/* Both have the right value from the start, but on a macvtap the second. */
	(void)ioctl(fd, TUNSETVNETLE, &little);
	(void)ioctl(fd, TUNSETSNDBUF, &sndbuf);
	return 0;
}

struct net *net_tap_open(const int *fd, unsigned count, struct sill_err *e)
{
	struct tap *t = calloc(1, sizeof(*t));
	unsigned probe = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6;
	struct ifreq ifr = { 0 };
	int on = 1;

	if (t == NULL || count == 0 || count > NET_MAX_QUEUES) {
		(void)sill_err_sys(e, t == NULL ? ENOMEM : EINVAL, "tap");
		for (unsigned i = 0; i < count; i++)
			(void)close(fd[i]);
		free(t);
		return NULL;
	}
	t->net = (struct net){
		.ops = &tap_ops, .queues = count, .news = -1, .news_events = EPOLLIN
	};
	memcpy(t->net.fd, fd, count * sizeof(*fd));
	for (unsigned i = 0; i < count; i++)
		if (prepare(t, i, e) < 0) {
			net_close(&t->net);
			return NULL;
		}
	t->attached = count;
	if (ioctl(fd[0], SIOCGIFHWADDR, &ifr) == 0)
		memcpy(t->net.mac, ifr.ifr_hwaddr.sa_data, sizeof(t->net.mac));
	memcpy(t->mac, t->net.mac, sizeof(t->mac));
	t->tun = ioctl(fd[0], TUNSETCARRIER, &on) == 0;
	t->net.to_guest = t->net.from_guest = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN;
	if (ioctl(fd[0], TUNSETOFFLOAD, (unsigned long)probe) == 0) {
		t->net.to_guest |= NET_USO;
		t->net.from_guest |= NET_USO;
	}
	tap_set_offloads(&t->net, 0);
	tap_set_filter(&t->net, &(struct net_filter){ .all = true });
	tap_set_queues(&t->net, 1);
	return &t->net;
}
