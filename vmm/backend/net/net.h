/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - where the frames of a network card go to and come from.
 *
 * A frame travels with a header of NET_HEADER bytes in front, struct
 * virtio_net_hdr_v1 of the specification (5.1.6), which says what is left to do
 * for it: checksum, segmentation. Bytes 10 and 11 of it (num_buffers) are the
 * card's own; a back end neither reads nor writes them.
 *
 * Threads: recv() and send() of one queue by one thread, that of the queue pair;
 * the rest by whoever holds the card's lock. Nothing here waits for the network;
 * the one exception says so (socket.c).
 *
 * A back end opens nothing by path: it is made of descriptors.
 */
#ifndef BACKEND_NET_NET_H
#define BACKEND_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	NET_HEADER = 12,
	NET_ETHERNET = 14, /* addresses and type */
	/* The largest: an IP datagram, its Ethernet header, and a VLAN tag. */
	NET_FRAME_MAX = 65535 + NET_ETHERNET + 4,
	NET_MAX_QUEUES = 16,
	NET_MAX_MACS = 64, /* in a filter; with more, everything passes */
};

/* What may be left to do for a frame. */
enum {
	NET_CSUM = 1,
	NET_TSO4 = 2,
	NET_TSO6 = 4,
	NET_ECN = 8,
	NET_USO = 16, /* UDP of either IP version */
};

/* What recv() and send() return instead of a length. */
enum {
	NET_AGAIN = -1,   /* nothing there, or no room: the descriptor says when */
	NET_DROPPED = -2, /* this frame is lost; the next one may fare better */
	NET_GONE = -3,    /* and will not come back */
};

/* Which frames the guest wants to see. */
struct net_filter {
	bool all;           /* the rest does not matter */
	bool all_multicast; /* whatever is in mac[] */
	unsigned count;
	uint8_t mac[NET_MAX_MACS]
		   [6]; /* its own, unicast, multicast; broadcast is not listed, and passes */
};

struct net;

struct net_ops {
	const char *kind;
	/*
	 * One frame with its header into @iov: how long it is. Longer than @iov: it is lost but for
	 * what fits, and the length says so, by one byte or more.
	 */
	ssize_t (*recv)(struct net *n, unsigned queue, const struct iovec *iov, int count);
	/* One frame. iov[0] is the header, all of it. Any length >= 0: it is gone. */
	ssize_t (*send)(struct net *n, unsigned queue, const struct iovec *iov, int count);
	void (*close)(struct net *n);

	/* Optional. */
	/* Frames from here on may leave so much to the guest: NET_*, as net_offloads_sane() has them. */
	void (*set_offloads)(struct net *n, unsigned offloads);
	void (*set_queues)(struct net *n, unsigned count); /* frames come by the first @count */
	void (*set_carrier)(struct net *n, bool on);
	void (*set_filter)(struct net *n, const struct net_filter *f);
	void (*set_mac)(struct net *n, const uint8_t mac[6]); /* the guest goes by this address */
	void (*purge)(struct net *n, unsigned queue); /* what has come is not wanted any more */
	/*
	 * Another far end, after NET_GONE or before: @fd, taken, also when it fails, takes the place of the
	 * one there was, under its number. By the thread of recv() and send(), which polls neither.
	 */
	int (*renew)(struct net *n, int fd, struct sill_err *e);
	/* With a descriptor in news: what there was to read of it is read. Is the far end gone? */
	bool (*is_gone)(struct net *n);
};

/* First member of a back end's state. */
struct net {
	const struct net_ops *ops;
	unsigned queues;        /* constant, like all of it */
	int fd[NET_MAX_QUEUES]; /* owned; to poll for what recv() and send() wait for */
	/*
	 * Owned; -1: none. Has one of news_events (EPOLL*) when the far end may be gone, also while nobody calls recv() or
	 * send(); with is_gone() only. renew() brings another one.
	 */
	int news;
	uint32_t news_events;
	unsigned to_guest,
		from_guest; /* NET_*: what it can leave to the guest, what the guest may leave */
	uint8_t mac[6];     /* of the host's side; zero: it has none */
	/* recv() must get one vector of NET_HEADER + NET_FRAME_MAX: it copies, and not into guest memory. */
	bool copies;
};

/* What of @offloads can be had together: nothing without checksums, no ECN without TSO. */
unsigned net_offloads_sane(unsigned offloads);
/* Closes its descriptors too; accepts NULL. */
void net_close(struct net *n);

/*
 * A tap device, or a macvtap: one descriptor for each queue, each attached by its owner
 * (TUNSETIFF with IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, and IFF_MULTI_QUEUE with more than one).
 * Taken, also when it fails. All queues but the first are detached until set_queues().
 */
struct net *net_tap_open(const int *fd, unsigned count, struct sill_err *e) MUST_CHECK;

/*
 * @fd, taken, can be read when the device of @n, a tap that was opened here, may have been deleted: a netlink socket of
 * its network namespace, non-blocking, that hears RTM_DELLINK.
 */
void net_tap_watch(struct net *n, int fd);

/* Nothing: @count queues that swallow what comes from the guest. */
struct net *net_none_open(unsigned count, struct sill_err *e) MUST_CHECK;

/*
 * A connected AF_UNIX socket, taken, also when it fails.
 *   SOCK_SEQPACKET  a packet is a frame with its header
 *   SOCK_STREAM     a frame without a header, after its length in 32 bits, big-endian: passt's way.
 *                   The other side checks no checksums and takes what is not segmented yet
 */
struct net *net_socket_open(int fd, struct sill_err *e) MUST_CHECK;

#endif
