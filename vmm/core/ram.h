/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram.h - the host memory behind guest RAM: a mapping of one kind of pages, or several in a row.
 *
 * Main thread. Never in core dumps; not reserved up front unless prefaulted.
 */
#ifndef CORE_RAM_H
#define CORE_RAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "core/gmem.h"
#include "sill/config.h"
#include "sill/files.h"

/* Caller-allocated, zeroed. */
struct ram {
	uint8_t *hva; /* owned mapping */
	size_t size;
	int fd; /* owned: its file when shared or of huge pages, else -1 */
	size_t page; /* ram_page(); of a file of others 0: its contents are theirs, and no zeroes below ours */
};

/*
 * What can be given back to the host while it is mapped, in bytes, a power of two. 0: nothing, as of huge pages: with
 * a hole in its file the reservation goes too, and who writes there again may get SIGBUS (Linux, mm/hugetlb.c).
 */
size_t ram_page(const struct sill_memory_config *c);
int ram_map(struct ram *r, const struct sill_memory_config *c, struct sill_err *e) MUST_CHECK;
/* The same of one zone of it; @thp as in the configuration. */
int ram_map_zone(struct ram *r, const struct sill_memory_zone *z, bool thp,
		 struct sill_err *e) MUST_CHECK;
/* Have the page that @off lies in now: who writes there next does not wait for it. */
void ram_touch(const struct ram *r, uint64_t off);
void ram_unmap(struct ram *r); /* accepts a zeroed one */

/*
 * What a guest has from the start: its zones one behind the other, without a gap between them. A configuration
 * without zones has one. Caller-allocated, zeroed.
 */
struct ram_zones {
	uint8_t *hva; /* owned mapping, of all of them */
	size_t size;
	unsigned count;
	struct ram zone[SILL_MAX_ZONES]; /* .hva lies in that mapping */
};

/*
 * SILL_ERR_MANIFEST: the zones are not c->size together, or are too many. SILL_ERR_HOST: the file of one, which is
 * taken out of @files, is not there, too small, or of pages that do not fit. @files may be NULL where no zone has one.
 */
int ram_zones_map(struct ram_zones *z, const struct sill_memory_config *c, struct sill_files *files,
		  struct sill_err *e) MUST_CHECK;
/* @p of them becomes guest memory: a region for each zone. */
struct ram_piece {
	gpa_t gpa;
	uint64_t off, size; /* in the mapping of all */
};
int ram_zones_add(const struct ram_zones *z, struct gmem *m, const struct ram_piece *p,
		  struct sill_err *e) MUST_CHECK;
void ram_zones_unmap(struct ram_zones *z); /* accepts a zeroed one */

#endif
