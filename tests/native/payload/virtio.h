/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - a driver for virtio 1.2 devices on PCI (modern transport, split
 * rings), made for tests: it can be told to break the rules.
 */
#ifndef PAYLOAD_VIRTIO_H
#define PAYLOAD_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"

/* Common configuration, 4.1.4.3. */
enum {
	VC_DEVICE_FEATURE_SELECT = 0x00,
	VC_DEVICE_FEATURE = 0x04,
	VC_DRIVER_FEATURE_SELECT = 0x08,
	VC_DRIVER_FEATURE = 0x0c,
	VC_CONFIG_VECTOR = 0x10,
	VC_NUM_QUEUES = 0x12,
	VC_STATUS = 0x14,
	VC_GENERATION = 0x15,
	VC_QUEUE_SELECT = 0x16,
	VC_QUEUE_SIZE = 0x18,
	VC_QUEUE_VECTOR = 0x1a,
	VC_QUEUE_ENABLE = 0x1c,
	VC_QUEUE_NOTIFY_OFF = 0x1e,
	VC_QUEUE_DESC = 0x20,
	VC_QUEUE_DRIVER = 0x28,
	VC_QUEUE_DEVICE = 0x30,
	VC_END = 0x38,
};

enum {
	VS_ACKNOWLEDGE = 1,
	VS_DRIVER = 2,
	VS_DRIVER_OK = 4,
	VS_FEATURES_OK = 8,
	VS_NEEDS_RESET = 0x40,
};

enum { VIRTIO_TYPE_BLK = 2, VIRTIO_TYPE_CONSOLE = 3, VIRTIO_TYPE_RNG = 4 };
enum { NO_VECTOR = 0xffff };

#define VIRTIO_BIT(n) ((uint64_t)1 << (n))

enum { VIRTIO_F_INDIRECT = 28, VIRTIO_F_EVENT_IDX = 29, VIRTIO_F_VERSION_1 = 32 };

/* A structure of the device: where its vendor capability says. */
struct virtio_window {
	unsigned bar;
	uint32_t off, size; /* size 0: not there */
};

/* Caller-allocated. */
struct virtio {
	struct pci_dev *pci;
	struct virtio_window common, notify, isr, device;
	uint32_t notify_multiplier;
	unsigned cfg_cap; /* the capability that is a window itself, 4.1.4.9 */
	struct msix msix;
	uint64_t features; /* negotiated */
};

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
enum { VQ_MAX = 256 };

struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct vq_avail {
	uint16_t flags, idx, ring[];
};

struct vq_used_elem {
	uint32_t id, len;
};

struct vq_used {
	uint16_t flags, idx;
	struct vq_used_elem ring[];
};

/* Caller-allocated, zeroed before the first use; the rings are on the heap and used again. */
struct vq {
	struct virtio *dev;
	unsigned index, size, vector; /* vector: MSI-X entry or NO_VECTOR */
	unsigned room;                /* entries that the memory below is for */
	volatile struct vq_desc *desc;
	volatile struct vq_avail *avail;
	volatile struct vq_used *used;
	uint64_t doorbell;
	struct vq_desc *indirect; /* one table of VQ_SEGS for each head */
	uint16_t free_head, free_count;
	uint16_t last_used;
	uint16_t kicked;            /* avail idx at the last kick */
	bool use_indirect, broken;  /* broken: the device returned what it was not given */
	uint16_t chain_len[VQ_MAX]; /* by head; 0: not in flight */
	bool done[VQ_MAX];
	uint32_t written[VQ_MAX];
	uint64_t kicks; /* doorbells rung */
};

enum { VQ_SEGS = 40 };

/* A piece of a request; @in: the device writes it. */
struct vq_seg {
	void *p;
	uint32_t len;
	bool in;
};

/* The @n-th device of a type. False: there is none, or it lacks a structure. */
bool virtio_open(struct virtio *v, unsigned type, unsigned n);
uint64_t virtio_reg(const struct virtio *v, unsigned reg); /* address of a common register */
uint64_t virtio_config(const struct virtio *v, unsigned off);
uint64_t virtio_offered(const struct virtio *v);
uint8_t virtio_status(const struct virtio *v);
void virtio_set_status(const struct virtio *v, uint8_t status);
/* Status 0 and wait until it reads back; false: it does not. */
bool virtio_reset(struct virtio *v);
/* Wait for the end of one that was asked for otherwise. False when the status does not become 0. */
bool virtio_reset_ends(struct virtio *v);
/* Reset, then up to FEATURES_OK with what is offered of @wanted, and VERSION_1. MSI-X on. */
bool virtio_negotiate(struct virtio *v, uint64_t wanted);
/* Set up queue @index, at most @size entries. @vector: MSI-X entry, NO_VECTOR to poll. */
bool virtio_queue(struct virtio *v, struct vq *q, unsigned index, unsigned size, unsigned vector);
void virtio_driver_ok(struct virtio *v);

/* Put a request into the ring: returns its head, or -1 when there is no room. */
int vq_add(struct vq *q, const struct vq_seg *segs, unsigned n);
/* Make a chain's head available as it is. */
void vq_publish(struct vq *q, uint16_t head);
void vq_kick(struct vq *q);        /* if the device wants it */
void vq_kick_always(struct vq *q); /* no questions asked */
unsigned vq_collect(struct vq *q); /* what came back; sets done[] and written[] */
/* Wait for request @head: by interrupt if the queue has a vector. False: it did not come. */
bool vq_wait(struct vq *q, int head, unsigned ms);

#endif
