/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost.h - the kernel's own server of a network card's rings (/dev/vhost-net): frames go between guest and
 * tap without a way through this process.
 *
 *   vhost_create -> vhost_set_memory -> vhost_start(ring) ... vhost_stop(ring) -> vhost_destroy
 *
 * One for each pair of queues; ring 0 brings frames to the guest, ring 1 takes them. Linux, uapi/linux/vhost.h.
 * One thread at a time. What the kernel does with a ring it does in this process's name, with its memory:
 * the ring is hostile to it as it is to us.
 */
#ifndef BACKEND_NET_VHOST_H
#define BACKEND_NET_VHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

enum { VHOST_RINGS = 2, VHOST_REGIONS = 64 }; /* the kernel's default limit: max_mem_regions */

struct vhost;

/* Guest memory: RAM only, no overlap. */
struct vhost_region {
	uint64_t gpa, size;
	void *hva;
};

struct vhost_ring {
	uint16_t size;
	uint16_t base;             /* the next entry of the avail ring */
	void *desc, *avail, *used; /* each inside one region */
	int kick_fd, call_fd;      /* eventfds, borrowed until vhost_stop() */
	int err_fd;                /* written when the ring breaks the rules */
	int tap_fd;                /* borrowed likewise; nobody else may read it */
};

/* @fd: /dev/vhost-net, taken, also when it fails. This process becomes its owner: it cannot be used by another. */
struct vhost *vhost_create(int fd, struct sill_err *e);
void vhost_destroy(struct vhost *v); /* accepts NULL; stops what runs */

/*
 * What was negotiated with the driver; of it what rings are about. While a ring runs they are what they were.
 * -1: the kernel cannot do all of that.
 */
int vhost_set_features(struct vhost *v, uint64_t features, struct sill_err *e) MUST_CHECK;
/* The whole of it, also while rings run: they go on with the new table when this returns. */
int vhost_set_memory(struct vhost *v, const struct vhost_region *r, unsigned count,
		     struct sill_err *e) MUST_CHECK;
/*
 * Nothing of rings or memory is touched any more when this returns; what ran is still to be stopped. Any thread,
 * also beside another one.
 */
void vhost_halt(const struct vhost *v);
/* Serve a ring. 0, or -1 and @e: then it is not served. */
int vhost_start(struct vhost *v, unsigned ring, const struct vhost_ring *r,
		struct sill_err *e) MUST_CHECK;
/* Interrupt by @call_fd from here on; nothing comes by the one before when this returns. */
void vhost_set_call(struct vhost *v, unsigned ring, int call_fd);
/*
 * Waits for what the kernel is at. Nothing of the ring or the guest's memory is touched by it when this returns:
 * the next entry of the avail ring, which is that of the used ring, too. Frames that come wait in the tap.
 */
uint16_t vhost_stop(struct vhost *v, unsigned ring);

#endif
