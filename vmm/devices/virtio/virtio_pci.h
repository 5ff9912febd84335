/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_pci.h - between virtio.c (the device) and virtio_pci.c (how the driver reaches it). Device's lock held. */
#ifndef DEVICES_VIRTIO_VIRTIO_PCI_H
#define DEVICES_VIRTIO_VIRTIO_PCI_H

#include "devices/virtio/virtio.h"

/* virtio_pci.c */
void virtio_pci_init(struct virtio *v, uint16_t type, uint32_t class_code);
/* Everything behind the BAR; @window: through the PCI_CFG capability, which must not wait. */
enum io_result virtio_pci_io(struct virtio *v, struct io *io, bool window);
/* Vectors, selectors and the ISR back to their reset values. */
void virtio_pci_driver_reset(struct virtio *v);
/* MSI-X too. */
void virtio_pci_machine_reset(struct virtio *v);
/* Configuration space and MSI-X have been loaded. */
void virtio_pci_loaded(struct virtio *v);
/* @bit: 1 queue, 2 configuration. */
void virtio_pci_interrupt(struct virtio *v, uint8_t bit);

/* virtio.c */
void virtio_write_status(struct virtio *v, uint8_t val);
/* What queues should do may have changed: start them, halt them, end a reset. */
void virtio_sync_queues(struct virtio *v);
void virtio_kick(struct virtio_queue *q);
/* Of the queue, by its vector or by the line; no lock held. */
void virtio_interrupt(struct virtio_queue *q);

/* lend.c: vectors may have changed. */
void virtio_aim(struct virtio *v);
/* On the queue's loop: the queue that stands is lent; false: it is ours. */
bool virtio_lend(struct virtio_queue *q);
/* Likewise: it is taken back, and is not active. */
void virtio_reclaim(struct virtio_queue *q);

#endif
