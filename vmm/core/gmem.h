/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem.h - the only way to touch guest memory.
 *
 * Guest memory is hostile and it changes under us: any vCPU may be writing it
 * while we read. So: copy in, check the copy, use the copy. No function here
 * returns a pointer into guest memory except gmem_span_get(), whose result is
 * good only for handing to a system call and must be put back.
 *
 * Threads: reads, writes and spans from any thread without a lock; add and
 * remove from the main loop only. A removed region stays readable for
 * accesses under way and is given back after gmem_remove() returned.
 */
#ifndef CORE_GMEM_H
#define CORE_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/err.h"

typedef uint64_t gpa_t; /* never cast to a pointer outside gmem.c */

struct gmem;

enum gmem_kind {
	GMEM_RAM, /* read and written by guest and devices */
	GMEM_ROM, /* the guest's writes exit to the MMIO bus; devices cannot write it */
};

/* What KVM must be told; NULL listener in unit tests. Called on the main loop. */
struct gmem_listener {
	int (*map)(void *ctx, unsigned slot, gpa_t gpa, size_t size, void *hva, bool read_only,
		   struct sill_err *e);
	void (*unmap)(void *ctx, unsigned slot);
	void *ctx;
};

struct gmem *gmem_create(const struct gmem_listener *l,
			 struct sill_err *e); /* l borrowed, may be NULL */
void gmem_destroy(struct gmem *m);            /* accepts NULL; unmaps nothing from the host */

/* @hva: borrowed until gmem_remove(). Page-aligned, no overlap, or SILL_ERR_INTERNAL. */
int gmem_add(struct gmem *m, gpa_t gpa, size_t size, void *hva, enum gmem_kind kind,
	     struct sill_err *e) MUST_CHECK;
/* @gpa must be the start of a region. Waits for accesses and spans under way; hold no lock. */
void gmem_remove(struct gmem *m, gpa_t gpa);

/*
 * Whether the guest sees the region that starts at @gpa as memory, or its
 * accesses exit to the MMIO bus (a flash chip in command mode). Devices see it
 * either way. One thread at a time per region; blocks for a slot update.
 */
int gmem_show(struct gmem *m, gpa_t gpa, bool shown, struct sill_err *e) MUST_CHECK;

/* 0, or -1 when any byte of [gpa, gpa + n) is not memory (RAM to write). Nothing is copied then. */
int gmem_read(const struct gmem *m, gpa_t gpa, void *dst, size_t n) MUST_CHECK;
int gmem_write(const struct gmem *m, gpa_t gpa, const void *src, size_t n) MUST_CHECK;
int gmem_zero(const struct gmem *m, gpa_t gpa, size_t n) MUST_CHECK;
bool gmem_is_ram(const struct gmem *m, gpa_t gpa, size_t n);

/*
 * One aligned 16-bit little-endian index in a single access, ordered before
 * every later read (acquire) or after every earlier write (release), and a
 * full fence between a store and a later load (the event-index handshake).
 */
int gmem_load_index(const struct gmem *m, gpa_t gpa, uint16_t *v) MUST_CHECK;
int gmem_store_index(const struct gmem *m, gpa_t gpa, uint16_t v) MUST_CHECK;
void gmem_fence(void);

/*
 * This thread is about to make many accesses: count them as one. Not nested,
 * and short: gmem_remove() waits for it, so whoever holds must not wait for
 * the main loop.
 */
void gmem_hold(const struct gmem *m);
void gmem_release(const struct gmem *m);

/*
 * Host vectors for [gpa, gpa + n), to be handed to a system call. Appends to
 * iov[0..max), returns how many were used, or -1 (not RAM, or more than max).
 * Each successful call needs one gmem_span_put(), on the same thread. @write: the host will write.
 */
int gmem_span_get(struct gmem *m, gpa_t gpa, size_t n, bool write, struct iovec *iov,
		  int max) MUST_CHECK;
void gmem_span_put(struct gmem *m);

#endif
