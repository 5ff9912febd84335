/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem.h - the only way to touch guest memory.
 *
 * Guest memory is hostile and it changes under us: any vCPU may be writing it
 * while we read. So: copy in, check the copy, use the copy. No function here
 * returns a pointer into guest memory except gmem_span_add(), whose result is
 * good only for handing to a system call, until its span ends.
 *
 * Threads: reads, writes and spans from any thread without a lock; add,
 * remove and poll from the main loop only. A removed region stays readable for
 * accesses under way; gmem_remove() says later when there are none left.
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
struct ram;

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

/* @hva: borrowed until gmem_remove() has said that it is done. Page-aligned, no overlap, or SILL_ERR_INTERNAL. */
int gmem_add(struct gmem *m, gpa_t gpa, size_t size, void *hva, enum gmem_kind kind,
	     struct sill_err *e) MUST_CHECK;

/* The same for RAM: @size bytes of @r from @off on, which gmem_discard() can give back. */
int gmem_add_ram(struct gmem *m, gpa_t gpa, const struct ram *r, uint64_t off, uint64_t size,
		 struct sill_err *e) MUST_CHECK;

/*
 * The region that starts at @gpa goes: accesses that begin from now on do not
 * find it. @done is called once, on the main loop, when those under way have
 * ended and nobody can be inside its memory any more: at once, within this
 * call, or by a later gmem_poll(). New accesses to other regions never hold it
 * up; a span that is kept does. Removals are done in order. -1: no memory, and
 * the region is still there.
 */
int gmem_remove(struct gmem *m, gpa_t gpa, void (*done)(void *ctx), void *ctx,
		struct sill_err *e) MUST_CHECK;
/* Removals are waiting: look whether they are done. Cheap when there is none. */
void gmem_poll(struct gmem *m);
/*
 * @wake is called on any thread, with that thread's locks held, when gmem_poll()
 * has something to do. Before the first other thread; NULL: whoever removes polls.
 */
void gmem_set_wake(struct gmem *m, void (*wake)(void *ctx), void *ctx);

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
 * Give back to the host what lies in [gpa, gpa + n): who reads there finds zeroes, and who writes has it
 * again. Only whole pages of the host's go, and nothing that is not RAM. Returns how many bytes went.
 * One system call a region.
 */
uint64_t gmem_discard(const struct gmem *m, gpa_t gpa, uint64_t n);

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
 * and short: what gmem_remove() took away is in use until then.
 */
void gmem_hold(const struct gmem *m);
void gmem_release(const struct gmem *m);

/*
 * Guest memory handed to a system call: everything that is found under a span
 * stays until it ends, on whichever thread that is.
 */
struct gmem_span {
	unsigned *count; /* NULL: has not begun, or has ended */
};

struct gmem_span gmem_span_begin(struct gmem *m);
/*
 * Host vectors for [gpa, gpa + n). Appends to iov[0..max), returns how many
 * were used, or -1 (not RAM, or more than max). Only under a span that has
 * begun. @write: the host will write.
 */
int gmem_span_add(struct gmem *m, gpa_t gpa, size_t n, bool write, struct iovec *iov,
		  int max) MUST_CHECK;
/*
 * All of RAM, for a system call that is told of it as a whole, in the order of addresses: the first @max
 * into @ret. How many there are. Only under a span that has begun.
 */
struct gmem_region {
	gpa_t gpa;
	uint64_t size;
	void *hva;
	int fd;       /* borrowed: of the file that it is shared as; -1: it is private */
	uint64_t off; /* in that file */
};
unsigned gmem_ram_regions(const struct gmem *m, struct gmem_region *ret, unsigned max);
/* Accepts one that has not begun. */
void gmem_span_end(struct gmem *m, struct gmem_span *s);

#endif
