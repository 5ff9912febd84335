/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_arp.c - how fast the first network card is, as a guest that does nothing else sees it. Not run by default;
 * options on the command line:
 *	arp_depth=1 arp_count=10000	so many questions at once, and altogether
 *	arp_silent=1			frames that nobody answers: what sending alone takes
 *	arp_size=60			bytes of such a frame
 * The host at 10.0.2.1, guest 10.0.2.2, answers "who has 10.0.2.1"; no other program is needed there. Prints
 * "begin", at the end "arp COUNT NANOSECONDS", and rests for a moment with each, so that somebody may look. Polls.
 */
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "test.h"
#include "virtio.h"

enum {
	VIRTIO_TYPE_NET = 1,
	NET_F_MRG_RXBUF = 15,
	RX,
	TX = 1,
	HEADER = 12,
	SLOT = 2048,
	MAX_DEPTH = 64,
	RX_BUFFERS = 128,
	ARP = 42, /* bytes of the question; the rest is padding */
	OPERATION = 21,
	REPLY = 2,
	REST_MS = 200,
};

static struct virtio card;
static struct vq ring[2];
static uint8_t in[RX_BUFFERS][SLOT], out[SLOT];
static int head_of[RX_BUFFERS];

/* RFC 826: Ethernet and IPv4, a request. */
static const uint8_t question[ARP] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 1, 0x08, 0x06, /* Ethernet */
	0,    1,    0x08, 0,    6,    4,    0,    1,                            /* who has */
	0x52, 0x54, 0,    0,    0,    1,    10,   0,    2, 2,                   /* asks */
	0,    0,    0,    0,    0,    0,    10,   0,    2, 1,
};

static void give(unsigned i)
{
	head_of[i] = vq_add(&ring[0], &(struct vq_seg){ in[i], SLOT, true }, 1);
}

/* Buffers that have come back are given again; how many of them are answers. */
static unsigned take_answers(void)
{
	unsigned n = 0;

	if (vq_collect(&ring[0]) == 0)
		return 0;
	for (unsigned i = 0; i < RX_BUFFERS; i++) {
		if (head_of[i] < 0 || !ring[0].done[head_of[i]])
			continue;
		n += in[i][HEADER + 12] == 0x08 && in[i][HEADER + 13] == 0x06 &&
		     in[i][HEADER + OPERATION] == REPLY;
		head_of[i] = -1;
	}
	for (unsigned i = 0; i < RX_BUFFERS; i++)
		if (head_of[i] < 0)
			give(i);
	vq_kick(&ring[0]);
	return n;
}

static void bench_arp__as_told(void)
{
	const uint64_t count = opt_number("arp_count", 10000), depth = opt_number("arp_depth", 1),
		       size = opt_number("arp_size", 60);
	const bool silent = opt_number("arp_silent", 0) != 0;
	uint64_t start, took, sent = 0, done = 0;

	SKIP_IF(!virtio_open(&card, VIRTIO_TYPE_NET, 0), "no virtio-net");
	CHECK(depth >= 1 && depth <= MAX_DEPTH && size >= 60 && size + HEADER <= SLOT,
	      "bad options");
	CHECK(virtio_negotiate(&card, VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(NET_F_MRG_RXBUF)),
	      "features");
	CHECK(virtio_queue(&card, &ring[0], 0, RX_BUFFERS, NO_VECTOR) &&
		      virtio_queue(&card, &ring[1], 1, RX_BUFFERS, NO_VECTOR),
	      "queues");
	memcpy(out + HEADER, question, sizeof(question));
	if (silent)
		out[HEADER + 13] = 0xb5; /* 0x08b5: nobody's */
	for (unsigned i = 0; i < RX_BUFFERS; i++)
		give(i);
	virtio_driver_ok(&card);
	vq_kick(&ring[0]);
	print("begin\n");
	sleep_ms(REST_MS);
	start = now_ns();
	while (done < count) {
		bool more = false;

		for (; sent < count && sent - done < depth; sent++, more = true)
			CHECK(vq_add(&ring[1],
				     &(struct vq_seg){ out, (uint32_t)(HEADER + size), false },
				     1) >= 0,
			      "no room");
		if (more)
			vq_kick(&ring[1]);
		if (silent)
			done += vq_collect(&ring[1]);
		else {
			(void)vq_collect(&ring[1]);
			done += take_answers();
		}
		CHECK(!ring[0].broken && !ring[1].broken, "a ring is broken");
		relax();
	}
	took = now_ns() - start;
	print("arp %lu %lu\n", done, took);
	sleep_ms(REST_MS);
	CHECK(virtio_reset(&card), "reset");
}

const struct test arp_tests[] = {
	{ "bench_arp__as_told", bench_arp__as_told },
	{ 0 },
};
