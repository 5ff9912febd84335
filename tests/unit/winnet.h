/* SPDX-License-Identifier: Apache-2.0 */
/*
 * winnet.h - a driver for virtio-net that behaves as Windows' does (VirtioLib and
 * NetKVM): rings of up to 1024, all pairs set up before it decides how many it
 * uses, the control queue behind them, vectors read back, indirect tables of a
 * header and data, event indices, and no mergeable buffers unless it is told.
 *
 * Asserts on everything the driver would fail on. One thread per pair may send and
 * receive once winnet_start() has returned.
 */
#ifndef TESTS_UNIT_WINNET_H
#define TESTS_UNIT_WINNET_H

#include "virtio_rig.h"

enum {
	WN_PAIRS = 4,
	WN_SIZE = 1024,
	WN_HEADER = 12,
	WN_CONFIG_MESSAGE = 0,   /* data of the MSI messages; + 1 + queue for a queue's */
	WN_BASE = 0x100000,      /* guest memory the driver uses for itself, */
	WN_PER_QUEUE = 0x600000, /* this much per queue */
	WN_BUFFERS = 0x100000,   /* from here on in a queue's memory */
	WN_RX_SIZE = 2048,       /* of a receive buffer, unless said otherwise */
};

/* Feature bits, virtio 1.2, 5.1.3. */
enum {
	WN_CSUM = 0,
	WN_GUEST_CSUM = 1,
	WN_GUEST_OFFLOADS = 2,
	WN_MTU = 3,
	WN_MAC = 5,
	WN_GUEST_TSO4 = 7,
	WN_GUEST_TSO6 = 8,
	WN_GUEST_ECN = 9,
	WN_HOST_TSO4 = 11,
	WN_HOST_TSO6 = 12,
	WN_HOST_ECN = 13,
	WN_MRG = 15,
	WN_STATUS = 16,
	WN_CTRL_VQ = 17,
	WN_CTRL_RX = 18,
	WN_CTRL_VLAN = 19,
	WN_ANNOUNCE = 21,
	WN_MQ = 22,
	WN_CTRL_MAC = 23,
};

struct winnet_queue {
	struct guestring ring;
	gpa_t base;
	uint32_t rx_size; /* of each buffer, with its header */
	uint16_t spare[WN_SIZE];
	unsigned spare_count;
};

struct winnet {
	struct rig_virtio r;
	uint64_t offered, features;
	unsigned pairs, control;
	struct winnet_queue queue[2 * WN_PAIRS + 1];
	uint8_t mac[6];
	uint16_t mtu;
};

struct winnet_header {
	uint8_t flags, gso_type;
	le16 hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

/* What a test wants other than the driver would. */
struct winnet_options {
	uint64_t drop;    /* features not taken */
	uint64_t also;    /* taken, though the driver does not by itself (WN_MRG) */
	uint32_t rx_size; /* 0: WN_RX_SIZE */
	unsigned rx_fill; /* buffers given at the start; 0: as many as the ring holds */
	bool by_window;   /* as KDNET: no register of a BAR is touched, no interrupt is taken */
};

void winnet_start(struct winnet *w, struct rig_pc *pc, unsigned slot,
		  const struct winnet_options *o);
/* Give a receive buffer; false when the ring is full. Kicks when asked to. */
bool winnet_give(struct winnet *w, unsigned pair);
/* The next frame into @p, its header into @h. The length without header. Waits for it. */
uint32_t winnet_receive(struct winnet *w, unsigned pair, void *p, uint32_t max,
			struct winnet_header *h);
/* Is there one, within @ms? */
bool winnet_has_frame(struct winnet *w, unsigned pair, int ms);
/* A frame in @pieces buffers (behind a buffer with the header); does not wait. */
void winnet_put(struct winnet *w, unsigned pair, const struct winnet_header *h, const void *p,
		uint32_t n, unsigned pieces);
/* The next frame that was sent is done; asserts the length in the used ring. */
void winnet_sent(struct winnet *w, unsigned pair);
static inline void winnet_send(struct winnet *w, unsigned pair, const void *p, uint32_t n)
{
	const struct winnet_header none = { 0 };

	winnet_put(w, pair, &none, p, n, 1);
	winnet_sent(w, pair);
}
/* A command; the answer, 0 or 1. As the driver: polls, and gives up at any other length than 1. */
uint8_t winnet_control(struct winnet *w, unsigned class, unsigned command, const void *p,
		       uint32_t n);

#endif
