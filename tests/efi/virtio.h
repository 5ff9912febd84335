/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - a driver of the entropy source, to see that a device works.
 *
 * virtio 1.2, 4.1 (PCI) and 5.4 (entropy). Everything is found through the
 * capabilities, and addresses are computed from the BAR's register each time:
 * the tests move it.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"

enum { VIRTIO_VENDOR = 0x1af4, VIRTIO_RNG = 0x1044 };

enum virtio_cap { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_PCI_CFG = 5 };

struct virtio {
	unsigned slot;
	struct bar bar;     /* of the common configuration, and of the rest as well */
	uint32_t offset[6]; /* by enum virtio_cap */
	uint32_t length[6];
	unsigned at[6]; /* of the capability itself */
	uint32_t multiplier;
};

/* The capabilities of the function in @slot; false: one is missing. */
bool virtio_find(struct virtio *v, unsigned slot);
/* Reset, features, one queue, DRIVER_OK; false: the device does not come along. */
bool virtio_rng_start(struct virtio *v);
/* Ask for 32 bytes by the doorbell in the BAR, or through the PCI_CFG window. */
bool virtio_rng_ask(struct virtio *v, bool through_window);
void virtio_reset(struct virtio *v);
/* What the common configuration says at @base: the first four bytes after select 1. */
uint32_t virtio_features_at(const struct virtio *v, uint64_t base);

#endif
