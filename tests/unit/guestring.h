/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guestring.h - the driver's side of a split virtqueue, for tests: rings and
 * buffers in a gmem of its own, written the way a driver writes them (entry,
 * then index; fences where the specification has them). One thread.
 */
#ifndef TESTS_UNIT_GUESTRING_H
#define TESTS_UNIT_GUESTRING_H

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/gmem.h"
#include "devices/virtio/virtq.h"

#ifndef GUEST_RAM
#define GUEST_RAM (64 << 20)
#endif

static inline struct gmem *guest_ram(void)
{
	struct sill_err e = { 0 };
	struct gmem *m = gmem_create(NULL, &e);
	void *p = mmap(NULL, GUEST_RAM, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert(m != NULL && p != MAP_FAILED);
	assert(gmem_add(m, 0, GUEST_RAM, p, GMEM_RAM, &e) == 0);
	return m;
}

static inline void guest_ram_free(struct gmem *m)
{
	struct gmem_span span;
	struct iovec v;

	span = gmem_span_begin(m);
	assert(gmem_span_add(m, 0, GUEST_RAM, true, &v, 1) == 1);
	gmem_span_end(m, &span);
	gmem_destroy(m);
	munmap(v.iov_base, GUEST_RAM);
}

static inline void guest_gone(void *ctx)
{
	*(bool *)ctx = true;
}

/* Take memory away; hangs when somebody keeps a hold of it. */
static inline void guest_ram_remove(struct gmem *m, gpa_t gpa)
{
	struct sill_err e = { 0 };
	bool gone = false;

	assert(gmem_remove(m, gpa, guest_gone, &gone, &e) == 0);
	while (!gone) {
		sched_yield();
		gmem_poll(m);
	}
}

/* Caller-allocated. */
struct guestring {
	struct gmem *mem;
	struct virtq_setup s;
	uint16_t avail_idx; /* ours, ahead of the published one */
	uint16_t shown;     /* as published */
	uint16_t used_seen;
};

/* Bytes a ring takes at @gpa, which must be 16-aligned. */
static inline gpa_t guestring_init(struct guestring *g, struct gmem *m, uint16_t size, gpa_t gpa)
{
	const gpa_t avail = gpa + 16ull * size;
	const gpa_t used = (avail + 6 + 2ull * size + 3) & ~3ull;
	const gpa_t end = (used + 6 + 8ull * size + 15) & ~15ull;

	*g = (struct guestring){ .mem = m,
				 .s = { .size = size, .desc = gpa, .avail = avail, .used = used } };
	assert(gmem_zero(m, gpa, end - gpa) == 0);
	return end - gpa;
}

static inline void guest_desc(struct gmem *m, gpa_t table, uint32_t i, gpa_t addr, uint32_t len,
			      unsigned flags, unsigned next)
{
	const struct virtq_desc d = { le64_of(addr), le32_of(len), le16_of((uint16_t)flags),
				      le16_of((uint16_t)next) };

	assert(gmem_write(m, table + 16ull * i, &d, sizeof(d)) == 0);
}

/* Put a head into the ring without showing it yet. */
static inline void guestring_put(struct guestring *g, unsigned head)
{
	const gpa_t slot = g->s.avail + 4 + 2ull * (g->avail_idx & (g->s.size - 1u));

	assert(gmem_store_index(g->mem, slot, (uint16_t)head) == 0);
	g->avail_idx++;
}

/* Show what was put; true when the device wants to be kicked. */
static inline bool guestring_show(struct guestring *g)
{
	const uint16_t old = g->shown;
	uint16_t v;

	assert(gmem_store_index(g->mem, g->s.avail + 2, g->avail_idx) == 0);
	g->shown = g->avail_idx;
	gmem_fence();
	if (g->s.event_idx) {
		assert(gmem_load_index(g->mem, g->s.used + 4 + 8ull * g->s.size, &v) == 0);
		return (uint16_t)(g->shown - v - 1) < (uint16_t)(g->shown - old);
	}
	assert(gmem_load_index(g->mem, g->s.used, &v) == 0);
	return (v & VIRTQ_USED_NO_NOTIFY) == 0;
}

static inline void guestring_used_event(struct guestring *g, uint16_t v)
{
	assert(gmem_store_index(g->mem, g->s.avail + 4 + 2ull * g->s.size, v) == 0);
	gmem_fence();
}

/* The next finished chain; false: none. */
static inline bool guestring_get(struct guestring *g, uint32_t *ret_head, uint32_t *ret_len)
{
	struct virtq_used_elem u;
	uint16_t idx;

	assert(gmem_load_index(g->mem, g->s.used + 2, &idx) == 0);
	if (idx == g->used_seen)
		return false;
	assert(gmem_read(g->mem, g->s.used + 4 + 8ull * (g->used_seen & (g->s.size - 1u)), &u,
			 sizeof(u)) == 0);
	g->used_seen++;
	*ret_head = le32_get(u.id);
	*ret_len = le32_get(u.len);
	return true;
}

#endif
