/* SPDX-License-Identifier: Apache-2.0 */
/* blk.h - a virtio-blk driver (virtio 1.2, 5.2) on top of virtio.h. */
#ifndef PAYLOAD_BLK_H
#define PAYLOAD_BLK_H

#include "virtio.h"

enum {
	BLK_F_SEG_MAX = 2,
	BLK_F_RO = 5,
	BLK_F_BLK_SIZE = 6,
	BLK_F_FLUSH = 9,
	BLK_F_CONFIG_WCE = 11,
	BLK_F_MQ = 12,
	BLK_F_DISCARD = 13,
	BLK_F_WRITE_ZEROES = 14,
};

enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_GET_ID = 8, BLK_DISCARD = 11, BLK_ZEROES = 13 };
enum { BLK_OK = 0, BLK_IOERR = 1, BLK_UNSUPPORTED = 2, BLK_TIMEOUT = 0xee, BLK_NO_ROOM = 0xef };
enum { BLK_QUEUES = 4, BLK_CAPACITY = 0, BLK_SEG_MAX = 12, BLK_WCE = 32, BLK_NUM_QUEUES = 34 };

struct blk_header {
	uint32_t type, priority;
	uint64_t sector;
};

/* Caller-allocated. */
struct blk {
	struct virtio v;
	struct vq q[BLK_QUEUES];
	unsigned queues; /* in use */
	uint64_t sectors;
};

/* How to bring a device up. Zero: all features, no interrupts, one queue of 64. */
struct blk_setup {
	unsigned queues; /* at most; 0: 1 */
	unsigned size;   /* entries of each; 0: 64 */
	bool interrupts; /* queue n on MSI-X entry n */
	bool indirect;
	uint64_t without; /* features not to take */
};

/* Open the first writable disk (or the first read-only one) and start it. */
bool blk_open(struct blk *b, bool readonly, const struct blk_setup *s);
/* Reset and start an open one again. */
bool blk_start(struct blk *b, const struct blk_setup *s);

/* A request that is on its way. Caller-allocated; stays put until it is done. */
struct blk_request {
	struct blk_header header;
	volatile uint8_t status;
	int head;
};

/* Put it into the queue; head is -1 when there is no room. Does not ring. */
void blk_submit(struct vq *q, struct blk_request *r, uint32_t type, uint64_t sector, void *data,
		uint32_t len);
/* One request from start to end: its status, BLK_TIMEOUT or BLK_NO_ROOM. */
uint8_t blk_do(struct blk *b, unsigned queue, uint32_t type, uint64_t sector, void *data,
	       uint32_t len);
/* The host's pattern can be read: the device works. */
bool blk_works(struct blk *b);

#endif
