/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - an address space (ports, or memory-mapped I/O): who answers where.
 *
 * How it works: the regions are an immutable sorted table; a change builds a
 * new table and swaps the pointer, so a lookup takes no lock. A reader (one
 * per vCPU thread) publishes which table it is using; an old table is freed
 * once nobody uses it, and map_quiesce() waits until an access that may still
 * be inside a removed region has come back.
 *
 * Accesses that do not lie in one region whole are split into bytes, each
 * looked up by itself; bytes that nobody answers read as all ones and writes
 * to them are dropped (firmware depends on both).
 */
#ifndef BUS_MAP_H
#define BUS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "bus/io.h"

struct map;

/* A write that only rings a bell: @size bytes (0: any) at region offset @off wake @fd, in the kernel. */
struct doorbell {
	uint64_t off;
	uint8_t size;
	int fd; /* borrowed eventfd */
};

/* KVM's ioeventfds; NULL listener in unit tests: then the region's own io() rings the bell. */
struct map_listener {
	int (*bell_add)(void *ctx, uint64_t addr, const struct doorbell *b);
	void (*bell_remove)(void *ctx, uint64_t addr, const struct doorbell *b);
	void *ctx;
};

/* Caller-owned description of a region; copied. */
struct map_region {
	uint64_t base, size;
	struct io_target *target;     /* borrowed */
	unsigned region;              /* handed to target->io */
	const struct doorbell *bells; /* borrowed while mapped */
	unsigned bell_count;
};

/* @limit: addresses are below it (0x10000 for ports, 0 for "all of 64 bits"). @l borrowed, may be NULL. */
struct map *map_create(uint64_t limit, const struct map_listener *l, struct sill_err *e);
void map_destroy(struct map *m); /* accepts NULL */

/*
 * Changes: any thread, also from inside an access; no lock above RANK_PCI may
 * be held. -1: overlap, out of range, too many regions, no memory; then
 * nothing has changed.
 */
int map_add(struct map *m, const struct map_region *r, struct sill_err *e) MUST_CHECK;
/* Takes out the region of @target and @region; false when it is not there. Does not wait, cannot fail. */
bool map_remove(struct map *m, const struct io_target *target, unsigned region);
/*
 * Move it: there is no moment at which neither the old nor the new place
 * answers... except the ioeventfds, which follow within the call; a doorbell
 * rung meanwhile goes through io().
 */
int map_move(struct map *m, const struct io_target *target, unsigned region, uint64_t base,
	     struct sill_err *e) MUST_CHECK;

/* One per thread that accesses; caller-allocated. Registered with the map while in use. */
struct map_reader {
	/* private */
	const void *using; /* atomic: the table of the access under way */
	unsigned last_hit; /* index of the region that answered last */
	bool awaited;      /* under the map's lock: map_quiesce() waits for it to come back */
	struct map_reader *next;
};

void map_reader_add(struct map *m, struct map_reader *r);
void map_reader_remove(struct map *m, struct map_reader *r);
/* Wait until no access that began before this call is inside a target. No lock held, not inside one. */
void map_quiesce(struct map *m);

/*
 * One guest access of 1, 2, 4 or 8 bytes (others are split): @data is the
 * guest's bytes, little-endian. Returns false when nobody answered any byte.
 * @r: the calling thread's reader.
 */
bool map_read(struct map *m, struct map_reader *r, uint64_t addr, void *data, size_t n);
bool map_write(struct map *m, struct map_reader *r, uint64_t addr, const void *data, size_t n);

#endif
