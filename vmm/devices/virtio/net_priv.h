/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_priv.h - what the parts of the virtio-net device share: net.c (life,
 * features, state), net_ctrl.c (control queue), net_rx.c and net_tx.c (frames).
 *
 * Threads: a pair of queues belongs to its I/O thread, and everything in struct
 * net_pair with it. The control queue runs on the main loop, or, with a driver that
 * does not know of several pairs and finds it as queue 2, on the thread of the
 * second pair, which is idle then. What it changes is under the device's lock, and
 * atomic where the pairs look at it.
 */
#ifndef DEVICES_VIRTIO_NET_PRIV_H
#define DEVICES_VIRTIO_NET_PRIV_H

#include "backend/net/dhcp.h"
#include "backend/net/ndp.h"
#include "backend/net/net.h"
#include "backend/throttle.h"
#include "base/le.h"
#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"

/* Feature bits, virtio 1.2, 5.1.3. */
enum {
	F_CSUM = 0,
	F_GUEST_CSUM = 1,
	F_CTRL_GUEST_OFFLOADS = 2,
	F_MTU = 3,
	F_MAC = 5,
	F_GUEST_TSO4 = 7,
	F_GUEST_TSO6 = 8,
	F_GUEST_ECN = 9,
	F_HOST_TSO4 = 11,
	F_HOST_TSO6 = 12,
	F_HOST_ECN = 13,
	F_MRG_RXBUF = 15,
	F_STATUS = 16,
	F_CTRL_VQ = 17,
	F_CTRL_RX = 18,
	F_MQ = 22,
	F_CTRL_MAC_ADDR = 23,
	F_GUEST_USO4 = 54,
	F_GUEST_USO6 = 55,
	F_HOST_USO = 56,
};

enum {
	/* A turn of a queue: so many frames or bytes, then it is somebody else's. */
	BUDGET_FRAMES = 64,
	BUDGET_BYTES = 512 << 10,
	/* Chains for one frame. Drivers that merge buffers have ones of 1.5 KiB and more. */
	GATHER_CHAINS = 64,
	/* Vectors of one system call: the kernel takes 1024, and one is ours. */
	GATHER_VECTORS = 1023,
	/* A frame in pieces this small is copied: chains are a driver's whim. */
	DELIVER_CHAINS = 256,
	BUFFER = NET_HEADER + NET_FRAME_MAX,
};

#define NS_PER_S 1000000000ull

/* struct virtio_net_hdr_v1 of the specification. */
struct net_header {
	uint8_t flags, gso_type;
	le16 hdr_len, gso_size, csum_start, csum_offset;
	le16 num_buffers;
};
WIRE_SIZE(struct net_header, NET_HEADER);
WIRE_AT(struct net_header, num_buffers, 10);

enum { HEADER_NEEDS_CSUM = 1, HEADER_GSO_NONE = 0 };

/* struct virtio_net_config of the specification, up to mtu. */
struct net_space {
	uint8_t mac[6];
	le16 status;
	le16 max_virtqueue_pairs;
	le16 mtu;
};
WIRE_SIZE(struct net_space, 12);
WIRE_AT(struct net_space, mtu, 10);

enum { STATUS_LINK_UP = 1 };

/* A chain that waits for a frame. */
struct rx_chain {
	uint16_t head;
	uint16_t iov_count;
	uint32_t length;
	gpa_t num_buffers_at[2]; /* its two bytes: a driver may cut the header anywhere */
	struct gmem_span span;
};

struct net_pair {
	struct virtio_net *vn;
	unsigned index;
	struct iothread *thread; /* owned */
	struct loop *loop;       /* the thread's */
	struct virtio_queue *rx, *tx;

	/* From the back end. */
	struct loop_fd readable;      /* added while there are chains, and no frame */
	bool looked;                  /* the back end was asked since this was cleared */
	bool rx_dry;                  /* nothing there, as of this turn */
	bool rx_slow;                 /* frames go through rx_buffer for the rest of this turn */
	unsigned rx_frames, rx_bytes; /* of this turn */
	unsigned rx_largest;          /* frame of this turn */
	unsigned rx_want; /* bytes of chains that are made ready, or what the largest frame needs */
	struct rx_chain chain[GATHER_CHAINS];
	/*
	 * Of chain[]; between turns of this queue, of the frame that the other one sends. Not on a stack: the
	 * compiler would clear all of it for each frame.
	 */
	struct iovec iov[GATHER_VECTORS + 1];
	unsigned chain_count, iov_count;
	uint32_t gathered;  /* bytes of all chains */
	uint8_t *rx_buffer; /* owned; BUFFER bytes: a frame that waits for room, with its header */
	size_t rx_waiting;  /* its length; 0: none */
	struct loop_task wake; /* look at the rx queue */

	struct loop_timer rx_opens; /* with limits: frames may come again */

	/* To it. */
	int out_fd; /* owned: a copy of the back end's, to wait for room */
	struct loop_fd writable;
	struct throttle_turn tx_turn; /* of the frame at the head of the ring */
	struct loop_timer tx_opens;
	bool tx_paid;                 /* it had its turn, and there was no room */
	bool tx_full;                 /* the back end takes nothing, until it is writable */
	unsigned tx_frames, tx_bytes; /* of this turn */
	struct loop_task more;        /* another turn */
	struct loop_timer advert;     /* of the first pair, with ndp: the guest is told again */
	uint8_t *tx_buffer;           /* owned; BUFFER bytes */

	/* With vhost: the kernel says that a ring breaks the rules. Owned. */
	struct loop_fd breaks[2];
	bool no_vhost; /* under the device's lock: it could not be told of the guest's memory */

	/* An answer to the guest that is due on the rx queue. */
	uint8_t answer[DHCP_REPLY_MAX];
	size_t answer_length; /* 0: none */

	struct virtio_net_counters n; /* atomic, relaxed */
};

struct virtio_net {
	struct virtio v; /* first */
	struct net *net; /* owned */
	struct net_pair *pair;
	unsigned pair_count;
	struct throttle *rx_throttle, *tx_throttle; /* borrowed; NULL: no limits */
	struct vhost *vhost[NET_MAX_QUEUES];        /* owned; one for each pair, or none at all */
	struct loop_fd ear;                         /* owned; see virtio_net_config */
	int kept_fd;                                /* owned, likewise */
	bool has_dhcp;
	struct dhcp_config dhcp;
	bool has_ndp;
	struct ndp_config ndp;
	struct loop_fd news; /* the back end's, on the first pair's loop */
	uint16_t mtu;
	uint8_t mac[6]; /* as it was given */
	/* Under the device's lock. */
	struct net_space space;
	bool promiscuous, all_multicast;
	unsigned
		mac_count; /* of the guest's table; more than fit: NET_MAX_MACS, and everything passes */
	uint8_t table[NET_MAX_MACS][6];
	unsigned offloads;  /* what the guest takes: NET_* */
	unsigned pairs;     /* that get frames */
	uint8_t guest6[16]; /* the address that it was last seen to have; all zero: none */
	/* Atomic. */
	bool link;
	bool gone;          /* the back end, for good */
	unsigned told;      /* virtio_net_news() is to say: enum virtio_net_news */
	uint64_t lease_end; /* the guest's clock: until then it has its address; 0: it has none */
	uint32_t need;      /* room for the largest frame, with its header */
	bool mergeable;
};

static inline struct virtio_net *net_of(struct virtio *v)
{
	return (struct virtio_net *)(void *)v;
}

static inline void net_count(uint64_t *counter, uint64_t n)
{
	__atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
}

/* net.c */
/* The back end is gone: said once, the link is down. Pair's thread, no lock held. */
void net_gone(struct net_pair *p);
/* What the guest takes has changed; the device's lock is held. */
void net_apply_offloads(struct virtio_net *vn, unsigned offloads);
void net_apply_filter(struct virtio_net *vn);
void net_apply_pairs(struct virtio_net *vn, unsigned pairs);
/* Of negotiated features, or of the mask of a GUEST_OFFLOADS command. */
unsigned net_guest_offloads(uint64_t features);

/* net_ctrl.c */
enum virtio_next net_control(struct virtio_queue *q, const struct virtq_chain *c);

/* net_vhost.c */
int net_vhost_open(struct virtio_net *vn, struct sill_err *e) MUST_CHECK;
void net_vhost_begin(struct virtio_net *vn); /* the pairs' threads run */
void net_vhost_forget(struct net_pair *p);   /* pair's thread: it looks at nothing any more */
void net_vhost_close(struct virtio_net *vn);
bool net_lend(struct virtio_queue *q, int call_fd);
uint16_t net_reclaim(struct virtio_queue *q);
void net_aim(struct virtio_queue *q, int call_fd);

/* net_rx.c; pair's thread, but the last, which comes when nothing runs */
enum virtio_next net_receive(struct virtio_queue *q, const struct virtq_chain *c);
void net_rx_begin(struct net_pair *p); /* of a turn */
void net_rx_readable(void *ctx, uint32_t events);
void net_rx_wake(void *ctx);          /* also when the limits let more come */
void net_rx_lent(struct net_pair *p); /* somebody else reads the back end now */
void net_rx_forget(struct net_pair *p);

/* net_tx.c; likewise */
enum virtio_next net_transmit(struct virtio_queue *q, const struct virtq_chain *c);
void net_tx_begin(struct net_pair *p);
/* The answer to a request of @n bytes in tx_buffer: its length, 0: none. */
size_t net_dhcp_reply(struct net_pair *p, uint32_t n, uint8_t *ret, size_t max);
/*
 * Likewise to what is meant for a router. Who asks is told again from time to time; where the guest is is noted,
 * whatever the answer.
 */
size_t net_ndp_reply(struct net_pair *p, uint32_t n, uint8_t *ret, size_t max);
void net_ndp_again(void *ctx); /* it is time */
/* The guest hears what is in p->answer, @length bytes, behind room for a header. */
void net_say(struct net_pair *p, size_t length);
void net_tx_writable(void *ctx, uint32_t events);
void net_tx_more(void *ctx);            /* likewise */
void net_tx_forget(struct net_pair *p); /* when nothing runs */

#endif
