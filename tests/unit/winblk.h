/* SPDX-License-Identifier: Apache-2.0 */
/*
 * winblk.h - a driver for virtio-blk that behaves as Windows' does (VirtioLib
 * and viostor): the same order of accesses, 32-bit halves, MSI-X vectors read
 * back, all queues set up, event indices, indirect tables of up to 254 data
 * segments, header and status in buffers of their own. It drives the device
 * through the BAR, configuration space and guest memory, never around them.
 *
 * Asserts on everything the driver would fail on. One thread per queue may
 * send and reap once winblk_start() has returned.
 */
#ifndef TESTS_UNIT_WINBLK_H
#define TESTS_UNIT_WINBLK_H

#include "virtio_rig.h"

enum {
	WB_QUEUES = 16,
	WB_SIZE = 256,           /* ring entries */
	WB_SLOTS = WB_SIZE,      /* requests a queue can have in flight */
	WB_SEGMENTS = 254,       /* data segments of one request */
	WB_CONFIG_MESSAGE = 0,   /* data of the MSI messages */
	WB_QUEUE_MESSAGE = 1,    /* + queue */
	WB_POISON = 0xa5,        /* what a status byte holds before the device writes it */
	WB_BASE = 0x100000,      /* guest memory the driver uses for itself, */
	WB_PER_QUEUE = 0x180000, /* this much per queue */
	WB_DATA = 0x2000000,     /* data of the tests */
};

/* Feature bits, virtio 1.2, 5.2.3. */
enum {
	WB_SEG_MAX = 2,
	WB_RO = 5,
	WB_BLK_SIZE = 6,
	WB_FLUSH = 9,
	WB_TOPOLOGY = 10,
	WB_CONFIG_WCE = 11,
	WB_MQ = 12,
	WB_DISCARD = 13,
	WB_WRITE_ZEROES = 14,
};

struct winblk_queue {
	struct guestring ring;
	gpa_t base; /* of the headers, status bytes and indirect tables */
	uint16_t spare[WB_SLOTS];
	unsigned spare_count;
};

struct winblk {
	struct rig_virtio r;
	uint64_t offered, features;
	unsigned queue_count;
	struct winblk_queue queue[WB_QUEUES];
	uint64_t capacity; /* sectors */
	uint32_t seg_max;
};

/* A request as the miniport builds it. */
struct winblk_io {
	uint32_t type;
	uint64_t sector;
	bool in;           /* the data is written by the device */
	unsigned segments; /* 0..WB_SEGMENTS */
	const struct virtq_seg *seg;
	bool direct; /* no indirect table (few segments only) */
};

/*
 * DriverEntry to DRIVER_OK: find the device in @slot, reset it, negotiate, set
 * up @queues queues (at most what it has; 0: all). @drop: features not taken.
 */
void winblk_start(struct winblk *w, struct rig_pc *pc, unsigned slot, unsigned queues,
		  uint64_t drop);
/* Send; the slot it took. Kicks only when the device asks for it. */
unsigned winblk_send(struct winblk *w, unsigned queue, const struct winblk_io *io);
/* The next finished request's slot; waits for the interrupt as the driver would. */
unsigned winblk_reap(struct winblk *w, unsigned queue, uint32_t *ret_used, uint8_t *ret_status);
/* One request from start to end: its status. */
uint8_t winblk_do(struct winblk *w, unsigned queue, const struct winblk_io *io, uint32_t *ret_used);
/* The driver's own check of a slot's status byte. */
uint8_t winblk_status(struct winblk *w, unsigned queue, unsigned slot);

#endif
