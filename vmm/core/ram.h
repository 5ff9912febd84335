/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram.h - the host memory behind guest RAM: one mapping, one size.
 *
 * Main thread. Never in core dumps; not reserved up front unless prefaulted.
 */
#ifndef CORE_RAM_H
#define CORE_RAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "sill/config.h"

/* Caller-allocated, zeroed. */
struct ram {
	uint8_t *hva; /* owned mapping */
	size_t size;
	int fd;      /* owned memfd when shared or of huge pages, else -1 */
	size_t page; /* ram_page() */
};

/*
 * What can be given back to the host while it is mapped, in bytes, a power of two. 0: nothing, as of huge pages: with
 * a hole in its file the reservation goes too, and who writes there again may get SIGBUS (Linux, mm/hugetlb.c).
 */
size_t ram_page(const struct sill_memory_config *c);
int ram_map(struct ram *r, const struct sill_memory_config *c, struct sill_err *e) MUST_CHECK;
/* Have the page that @off lies in now: who writes there next does not wait for it. */
void ram_touch(const struct ram *r, uint64_t off);
void ram_unmap(struct ram *r); /* accepts a zeroed one */

#endif
