/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h - what the board tells a virtio-rng device. */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

struct virtio_rng_config {
	int fd;   /* taken, also when init() fails: /dev/urandom or another source of bytes */
	int slot; /* -1: the first free one */
};

#endif
