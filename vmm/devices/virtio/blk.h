/* SPDX-License-Identifier: Apache-2.0 */
/* blk.h - what the board tells a virtio-blk device. */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/block/aio.h"
#include "sill/config.h"

struct blk;
struct dev;
struct throttle;

extern const struct dev_ops virtio_blk_ops;

struct virtio_blk_config {
	struct blk *blk;     /* taken, also when init() fails */
	const char *serial;  /* at most 20 bytes are shown; NULL: empty */
	int slot;            /* -1: the first free one */
	unsigned num_queues; /* 1..64, each with a thread of its own; 0: 1 */
	unsigned queue_size; /* power of two, 4..1024; 0: 256 */
	enum aio_engine io;
	const uint16_t *host_cpus; /* borrowed for init(): where the queues' threads run */
	size_t host_cpu_count;     /* 0: anywhere */
	enum sill_disk_cache cache;
	bool keep_space; /* no discards; zeroes are written without freeing space */
	enum sill_on_error on_error;
	struct throttle *throttle; /* borrowed, outlives the device; NULL: no limits */
};

/*
 * Any thread, no lock held: make the disk @bytes large, or as large as the host's
 * file or device is now when @bytes is 0, and tell the guest. It never shrinks.
 */
int virtio_blk_resize(struct dev *d, uint64_t bytes, struct sill_err *e);

#endif
