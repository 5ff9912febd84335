/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - what the board tells a virtio-net device. */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct dev;
struct dhcp_config;
struct ndp_config;
struct net;
struct throttle;
struct vhost;

extern const struct dev_ops virtio_net_ops;

enum { VIRTIO_NET_PAIRS = 16 };

struct virtio_net_config {
	struct net *net; /* taken, also when init() fails; one queue pair for each of its queues */
	uint8_t mac[6];  /* unicast, not zero */
	/* Of the link, and what the guest is told: 68..65535. 0: 1500, and the guest is told nothing. */
	uint16_t mtu;
	int slot;                  /* -1: the first free one */
	unsigned queue_size;       /* power of two, 16..1024; 0: 256 */
	const uint16_t *host_cpus; /* borrowed for init(): where the pairs' threads run */
	size_t host_cpu_count;     /* 0: anywhere */
	bool link_down;            /* at the start */
	bool no_csum, no_tso;      /* do not offer it, in either direction; no checksums, no TSO */
	/* Borrowed, outlive the device; NULL: never any limits. Of frames without their headers; answers of ours are free. */
	struct throttle *rx_throttle, *tx_throttle;
	/*
	 * One for each pair, taken, also when init() fails: frames do not pass through us, and there are no limits and
	 * no counters of them. The back end is a tap. NULL: they do.
	 */
	struct vhost *vhost[VIRTIO_NET_PAIRS];
	/*
	 * With vhost and dhcp or ndp: a packet socket on the host's side of the link, taken; it hears what the guest
	 * says, and what is sent by it the guest hears. -1: none.
	 */
	int ear_fd;
	int kept_fd;                    /* taken likewise: closed with the card */
	const struct dhcp_config *dhcp; /* borrowed, copied; NULL: requests pass like all else */
	const struct ndp_config *ndp;   /* likewise, for IPv6 */
};

/* Frames that went by, and that did not. */
struct virtio_net_counters {
	uint64_t rx_frames, rx_bytes, rx_dropped; /* to the guest; bytes without headers */
	uint64_t tx_frames, tx_bytes, tx_dropped; /* from it */
	uint64_t dhcp_answers, ndp_answers;
};

/* Are frames somebody else's, who does not count them here? Any thread. */
bool virtio_net_has_vhost(const struct dev *d);
/* Any thread. */
void virtio_net_counters(const struct dev *d, struct virtio_net_counters *ret);

/*
 * Any thread, no lock held: the back end has another far end, @fd, which is taken, also when it fails.
 * A link that was down because the old one was gone is up again.
 */
int virtio_net_renew(struct dev *d, int fd, struct sill_err *e) MUST_CHECK;

/* What it is like now. */
struct virtio_net_state {
	bool link;                 /* as the guest sees it */
	bool driver;               /* of the guest is at work */
	unsigned pairs, max_pairs; /* that the guest uses, that there are */
	uint32_t lease_s;          /* how long the guest has its address yet; 0: it has none */
	uint8_t guest6[16];        /* its IPv6 address of our network; all zero: none is known */
	bool vhost;                /* the host's kernel is to pass the frames, */
	unsigned vhost_queues;     /* and serves so many queues now */
};

/* What has become of the far end since this was asked last; the last of it. Who has something to say, says dev_progress(). */
enum virtio_net_news { VIRTIO_NET_NOTHING, VIRTIO_NET_LOST, VIRTIO_NET_BACK };
/* One thread at a time. */
enum virtio_net_news virtio_net_news(struct dev *d);

/* Any thread, no lock held. */
void virtio_net_look(struct dev *d, struct virtio_net_state *ret);

/* Guest memory has come or is about to go: whoever serves rings outside is told. Main loop, no lock held. */
void virtio_net_memory_changed(struct dev *d);

/* Any thread, no lock held: plug the cable, or pull it. */
void virtio_net_set_link(struct dev *d, bool up);

#endif
