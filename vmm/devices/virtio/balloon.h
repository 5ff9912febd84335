/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon.h - what the board tells a virtio-balloon device, and what can be asked
 * of it. Any thread, no lock held.
 */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

struct dev;
struct dev_ops;

/* type "virtio-balloon" */
extern const struct dev_ops virtio_balloon_ops;

/* Of the balloon and of what it is told, whatever the host's and the guest's pages are; virtio 1.2, 5.5.6. */
enum { BALLOON_PAGE = 4096 };

struct virtio_balloon_config {
	uint64_t size; /* bytes, a multiple of BALLOON_PAGE, less than 16 TiB */
	bool deflate_on_oom, free_page_reporting;
	uint64_t poll_ns; /* how often the driver is asked for its statistics */
	int slot;         /* -1: see pci_bus_add() */
};

/* What the guest says of its memory, by tag; virtio 1.2, 5.5.6.4. */
enum {
	BALLOON_SWAP_IN,  /* bytes */
	BALLOON_SWAP_OUT, /* bytes */
	BALLOON_MAJOR_FAULTS,
	BALLOON_MINOR_FAULTS,
	BALLOON_FREE,      /* bytes */
	BALLOON_TOTAL,     /* bytes */
	BALLOON_AVAILABLE, /* bytes */
	BALLOON_CACHES,    /* bytes */
	BALLOON_HUGE_ALLOCATED,
	BALLOON_HUGE_FAILED,
	BALLOON_STATS
};

/* Public struct. Numbers of the guest's are its word, and may be anything. */
struct virtio_balloon_state {
	uint64_t size;   /* bytes: so large it shall be */
	uint64_t actual; /* bytes: so large it is, as the driver says; 0 without one */
	bool driver;     /* is at work */
	unsigned known;  /* bits: which of @stat have been told */
	uint64_t stat[BALLOON_STATS];
	/* Bytes since the device came: taken in, let go, and reported free; of all of these @returned went back to the host. */
	uint64_t inflated, deflated, reported, returned;
	uint64_t refused; /* pages that are no RAM */
};

void virtio_balloon_look(const struct dev *d, struct virtio_balloon_state *ret);
/* @bytes as in the config: the driver is told. */
void virtio_balloon_resize(struct dev *d, uint64_t bytes);

#endif
