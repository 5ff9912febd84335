/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.h - what the board tells a virtio-vsock device. */
#ifndef DEVICES_VIRTIO_VSOCK_H
#define DEVICES_VIRTIO_VSOCK_H

#include <stdint.h>

struct dev_ops;

/* type "virtio-vsock" */
extern const struct dev_ops virtio_vsock_ops;

struct virtio_vsock_config {
	uint32_t cid; /* the guest's: 3 or more, not 0xffffffff */
	int listen_fd; /* taken, also when init() fails; see backend/vsock/mux.h, and for the next two */
	int (*connect)(void *ctx, uint32_t port); /* on the device's thread */
	void *connect_ctx;
	int slot; /* -1: see pci_bus_add() */
};

#endif
