/* SPDX-License-Identifier: Apache-2.0 */
/* blk.h - what the board tells a virtio-blk device. */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include <stdint.h>

#include "backend/block/aio.h"

struct blk;

struct virtio_blk_config {
	struct blk *blk;     /* taken, also when init() fails */
	const char *serial;  /* at most 20 bytes are shown; NULL: empty */
	int slot;            /* -1: the first free one */
	unsigned num_queues; /* 1..64, each with a thread of its own; 0: 1 */
	unsigned queue_size; /* power of two, 4..1024; 0: 256 */
	enum aio_engine io;
};

#endif
