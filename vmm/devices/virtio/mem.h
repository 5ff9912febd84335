/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h - what the board tells a virtio-mem device, and what can be asked of it. Any
 * thread, no lock held.
 */
#ifndef DEVICES_VIRTIO_MEM_H
#define DEVICES_VIRTIO_MEM_H

#include <stdbool.h>
#include <stdint.h>

struct dev;
struct dev_ops;

/* type "virtio-mem" */
extern const struct dev_ops virtio_mem_ops;

/* Memory comes and goes in these; what Linux' driver and the host's pages both like. */
#define VIRTIO_MEM_BLOCK (2ull << 20)

struct virtio_mem_config {
	uint64_t base,
		size; /* the region: multiples of VIRTIO_MEM_BLOCK; RAM of the guest from here on */
	uint64_t requested; /* bytes, at most @size */
	int slot;           /* -1: see pci_bus_add() */
};

struct virtio_mem_state {
	uint64_t size, requested, plugged; /* bytes */
	bool driver;                       /* is at work */
};

void virtio_mem_look(const struct dev *d, struct virtio_mem_state *ret);
/* The guest shall have so much of it: a multiple of VIRTIO_MEM_BLOCK, at most the region's size. */
void virtio_mem_resize(struct dev *d, uint64_t bytes);

#endif
