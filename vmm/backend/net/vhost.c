/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost.c - see vhost.h.
 *
 * The order of calls is the kernel's: owner, features, memory, then for each ring size, base, addresses,
 * eventfds, and the tap, which starts it. A ring with a tap has no new base.
 *
 * Feature bit 27 is the kernel's for a header that it adds by itself, and ANY_LAYOUT for a driver: it never passes.
 */
#include "backend/net/vhost.h"

#include <assert.h>
#include <errno.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/log.h"

/* Bits of the ring, virtio 1.2, 6: what the kernel has to know of the driver. */
static const uint64_t RING_FEATURES =
	1ull << 15 /* mergeable receive buffers: sets the header's length */ |
	1ull << 28 /* indirect */ | 1ull << 29 /* event index */ | 1ull << 32 /* version 1 */;

struct vhost {
	int fd; /* owned */
	uint64_t known;
	bool running[VHOST_RINGS];
	uint16_t base[VHOST_RINGS]; /* as of the start, for want of a better answer */
};

struct vhost *vhost_create(int fd, struct sill_err *e)
{
	struct vhost *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		(void)sill_err_sys(e, ENOMEM, "vhost-net");
		fd_close(&fd);
		return NULL;
	}
	v->fd = fd;
	if (ioctl(fd, VHOST_SET_OWNER) < 0 || ioctl(fd, VHOST_GET_FEATURES, &v->known) < 0) {
		(void)sill_err_sys(e, errno, "vhost-net");
		vhost_destroy(v);
		return NULL;
	}
	return v;
}

void vhost_destroy(struct vhost *v)
{
	if (v == NULL)
		return;
	for (unsigned i = 0; i < VHOST_RINGS; i++)
		if (v->running[i])
			(void)vhost_stop(v, i);
	fd_close(&v->fd);
	free(v);
}

int vhost_set_features(struct vhost *v, uint64_t features, struct sill_err *e)
{
	uint64_t wanted = features & RING_FEATURES;

	if (v->running[0] || v->running[1])
		return 0;
	if ((wanted & ~v->known) != 0)
		return sill_err_set(e, SILL_ERR_HOST, "vhost-net: the kernel lacks features 0x%llx",
				    (unsigned long long)(wanted & ~v->known));
	if (ioctl(v->fd, VHOST_SET_FEATURES, &wanted) < 0)
		return sill_err_sys(e, errno, "vhost-net: features");
	return 0;
}

int vhost_set_memory(struct vhost *v, const struct vhost_region *r, unsigned count,
		     struct sill_err *e)
{
	union {
		struct vhost_memory head;
		uint8_t bytes[sizeof(struct vhost_memory) +
			      VHOST_REGIONS * sizeof(struct vhost_memory_region)];
	} table;

	if (count > VHOST_REGIONS)
		return sill_err_set(e, SILL_ERR_LIMIT, "vhost-net: %u regions of guest memory",
				    count);
	memset(&table, 0, sizeof(table));
	table.head.nregions = count;
	for (unsigned i = 0; i < count; i++)
		table.head.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = r[i].gpa,
			.memory_size = r[i].size,
			.userspace_addr = (uintptr_t)r[i].hva,
		};
	if (ioctl(v->fd, VHOST_SET_MEM_TABLE, &table) < 0)
		return sill_err_sys(e, errno, "vhost-net: guest memory");
	return 0;
}

static int set_file(const struct vhost *v, unsigned long what, unsigned ring, int fd)
{
	struct vhost_vring_file f = { .index = ring, .fd = fd };

	return ioctl(v->fd, what, &f);
}

void vhost_halt(const struct vhost *v)
{
	for (unsigned i = 0; i < VHOST_RINGS; i++)
		(void)set_file(v, VHOST_NET_SET_BACKEND, i, -1);
}

static int set_ring(const struct vhost *v, unsigned ring, const struct vhost_ring *r)
{
	struct vhost_vring_state num = { .index = ring, .num = r->size },
				 base = { .index = ring, .num = r->base };
	struct vhost_vring_addr addr = {
		.index = ring,
		.desc_user_addr = (uintptr_t)r->desc,
		.avail_user_addr = (uintptr_t)r->avail,
		.used_user_addr = (uintptr_t)r->used,
	};

	return ioctl(v->fd, VHOST_SET_VRING_NUM, &num) < 0 ||
			       ioctl(v->fd, VHOST_SET_VRING_BASE, &base) < 0 ||
			       ioctl(v->fd, VHOST_SET_VRING_ADDR, &addr) < 0 ||
			       set_file(v, VHOST_SET_VRING_CALL, ring, r->call_fd) < 0 ||
			       set_file(v, VHOST_SET_VRING_ERR, ring, r->err_fd) < 0 ||
			       set_file(v, VHOST_SET_VRING_KICK, ring, r->kick_fd) < 0 ||
			       set_file(v, VHOST_NET_SET_BACKEND, ring, r->tap_fd) < 0
		       ? -1
		       : 0;
}

/* Nobody else's eventfds are written or read any more. */
static void unbind(const struct vhost *v, unsigned ring)
{
	(void)set_file(v, VHOST_SET_VRING_KICK, ring, -1);
	(void)set_file(v, VHOST_SET_VRING_CALL, ring, -1);
	(void)set_file(v, VHOST_SET_VRING_ERR, ring, -1);
}

int vhost_start(struct vhost *v, unsigned ring, const struct vhost_ring *r, struct sill_err *e)
{
	assert(ring < VHOST_RINGS && !v->running[ring]);
	if (set_ring(v, ring, r) < 0) {
		(void)sill_err_sys(e, errno, "vhost-net: ring %u", ring);
		unbind(v, ring);
		return -1;
	}
	v->running[ring] = true;
	v->base[ring] = r->base;
	return 0;
}

void vhost_set_call(struct vhost *v, unsigned ring, int call_fd)
{
	if (set_file(v, VHOST_SET_VRING_CALL, ring, call_fd) < 0)
		log_line(LOG_ERROR, "vhost-net: ring %u: interrupt: %s", ring,
			 strerrordesc_np(errno));
}

uint16_t vhost_stop(struct vhost *v, unsigned ring)
{
	struct vhost_vring_state base = { .index = ring, .num = v->base[ring] };

	if (set_file(v, VHOST_NET_SET_BACKEND, ring, -1) < 0 ||
	    ioctl(v->fd, VHOST_GET_VRING_BASE, &base) < 0)
		log_line(LOG_ERROR, "vhost-net: ring %u: stop: %s", ring, strerrordesc_np(errno));
	unbind(v, ring);
	v->running[ring] = false;
	return (uint16_t)base.num;
}
