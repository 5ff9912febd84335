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
	struct blk *blk;           /* taken, also when init() fails */
	struct throttle *throttle; /* borrowed, outlives the device; NULL: never any limits */
	struct sill_disk_config
		disk; /* what it owns is borrowed for init(); the rest of it is about the images */
};

/* Requests that the backend has done; bytes are of those that went well. */
struct virtio_blk_counters {
	uint64_t read_bytes, read_ops, write_bytes, write_ops;
	uint64_t flush_ops, discard_ops, errors; /* discards: and zeroes to write */
};

/* Any thread. */
void virtio_blk_counters(const struct dev *d, struct virtio_blk_counters *ret);

/*
 * Any thread, no lock held: make the disk @bytes large, or as large as the host's
 * file or device is now when @bytes is 0, and tell the guest. It never shrinks.
 */
int virtio_blk_resize(struct dev *d, uint64_t bytes, struct sill_err *e);

/* While it is drained: what the guest has written is on the medium. It waits for that. 0, or -1 and @e. */
int virtio_blk_sync(struct dev *d, struct sill_err *e);

#endif
