/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - memory that cannot be had is said before anything starts.
 *
 * What counts is what there is, not what is free: a guest need not touch all of
 * its memory, and the host can swap. Only what is taken at the start has to be
 * there at the start: prefaulted memory and huge pages.
 */
#include <inttypes.h>

#include "runner/host/facts.h"
#include "runner/host/files.h"
#include "runner/manifest/scalar.h"

static int check_pool(const struct host_facts *f, const struct sill_memory_config *m,
		      struct sill_err *e)
{
	const uint64_t page = m->hugepage_size != 0 ? m->hugepage_size : f->hugepage_default;
	uint64_t need, total = 0, unused = 0;
	char size[32], each[32];

	if (page == 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "this host has no huge pages");
		return sill_err_hint(e, "set hugepages: off");
	}
	for (size_t i = 0; i < f->hugepage_count; i++) {
		if (f->hugepage_sizes[i] == page) {
			total = f->room.hugepages[i];
			unused = f->room.hugepages_free[i];
		}
	}
	need = m->size / page;
	if (unused >= need)
		return 0;
	(void)scalar_size_text(size, sizeof(size), m->size);
	(void)scalar_size_text(each, sizeof(each), page);
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "%s of memory need %" PRIu64 " huge pages of %s; %" PRIu64 " of %" PRIu64
			   " are free",
			   size, need, each, unused, total);
	return sill_err_hint(e,
			     "echo %" PRIu64
			     " | sudo tee /sys/kernel/mm/hugepages/hugepages-%" PRIu64
			     "kB/nr_hugepages",
			     total + need - unused, page >> 10);
}

int host_room_check(const struct host_facts *f, const struct sill_memory_config *m,
		    enum host_room_part *ret_part, struct sill_err *e)
{
	const struct host_room *r = &f->room;
	char size[32];

	*ret_part = ROOM_HUGEPAGES;
	if (m->hugepages)
		return check_pool(f, m, e);
	*ret_part = ROOM_SIZE;
	(void)scalar_size_text(size, sizeof(size), m->size);
	if (r->address_space != 0 && r->address_space < m->size) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "%s, but this process may have no more than %" PRIu64 "M", size,
				   r->address_space >> 20);
		return sill_err_hint(e, "raise the limit: ulimit -v unlimited");
	}
	if (r->all != 0 && m->size > r->all) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "%s, but this host has %" PRIu64 "M, swap counted", size,
				   r->all >> 20);
		return sill_err_hint(e, "lower it to what the host can give");
	}
	*ret_part = ROOM_PREFAULT;
	if (m->prefault && r->now != 0 && m->size > r->now) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "%s are to be there at the start, but only %" PRIu64
				   "M are available now",
				   size, r->now >> 20);
		return sill_err_hint(e, "lower memory.size, or set prefault: off");
	}
	return 0;
}

static uint64_t page_of(const struct sill_memory_zone *z)
{
	return z->hugepages ? z->hugepage_size : 1;
}

void host_room_of(const struct sill_memory_config *m, unsigned i, struct sill_memory_config *ret)
{
	*ret = (struct sill_memory_config){ 0 };
	for (unsigned j = 0; j < m->zones_count && j <= i; j++) {
		const struct sill_memory_zone *z = &m->zones[j];

		if (z->file != NULL) /* as much as there is room where it is */
			continue;
		if (i == m->zones_count ? !z->hugepages
					: z->hugepages == m->zones[i].hugepages &&
						  page_of(z) == page_of(&m->zones[i]) &&
						  (z->hugepages || m->prefault ||
						   z->prefault == m->zones[i].prefault))
			ret->size += z->size;
	}
	if (i == m->zones_count)
		return;
	ret->hugepages = m->zones[i].hugepages;
	ret->hugepage_size = m->zones[i].hugepage_size;
	ret->prefault = m->prefault || m->zones[i].prefault;
}

static int check_zones(const struct host_facts *host, const struct sill_memory_config *m,
		       struct sill_err *e)
{
	struct sill_memory_config of;
	enum host_room_part part;

	for (unsigned i = 0; i <= m->zones_count; i++) {
		host_room_of(m, i, &of);
		if (host_room_check(host, &of, &part, e) == 0)
			continue;
		if (i == m->zones_count)
			sill_err_wrap(e, "memory.zones");
		else
			sill_err_wrap(e, "memory zone %s", m->zones[i].id);
		return -1;
	}
	return 0;
}

int host_memory_check(const struct sill_config *m, struct sill_err *e)
{
	struct host_facts host = { 0 };
	enum host_room_part part;

	host_room_get(&host);
	if (m->memory.zones_count != 0)
		return check_zones(&host, &m->memory, e);
	if (host_room_check(&host, &m->memory, &part, e) == 0)
		return 0;
	sill_err_wrap(e, part == ROOM_SIZE       ? "memory.size"
			 : part == ROOM_PREFAULT ? "memory.prefault"
						 : "memory.hugepages");
	return -1;
}
