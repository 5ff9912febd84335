/* SPDX-License-Identifier: Apache-2.0 */
/* memory_rules.c - what the keys of memory, and of its zones, ask of each other. */
#include <stddef.h>
#include <stdio.h>

#include "runner/manifest/check.h"
#include "runner/manifest/scalar.h"
#include "schema/key.h"
#include "sill/check.h"
#include "sill/config.h"

static const uint64_t PAGE = 4096;

/* @more, which is @bytes, comes beside memory of @size. */
static void check_block(struct check *c, const struct node *more, uint64_t bytes, uint64_t size)
{
	char text[32];

	if (bytes % sill_memory_block(size) != 0)
		diag_hint(check_fail(c, more, "'%s' is not a multiple of %s", more->text,
				     scalar_size_text(text, sizeof(text), sill_memory_block(size))),
			  "that is what guests can take of memory that comes while they run");
}

static void rule_hotplug_size(struct check *c, const struct sill_config *v)
{
	const struct sill_memory_config *m = &v->memory;
	const struct node *more = place_ok(c, &m->hotplug_size);

	if (more != NULL && place_ok(c, &m->size) != NULL && m->zones_count == 0)
		check_block(c, more, m->hotplug_size, m->size);
}

/* What memory of this kind comes in multiples of. 0: that is not known, or wrong and has been said. */
static uint64_t unit_of(const struct check *c, bool hugepages, const uint64_t *hugepage_size)
{
	const struct node *page = place_at(c, hugepage_size);

	if (!hugepages)
		return PAGE;
	if (page != NULL)
		return place_ok(c, hugepage_size) != NULL && is_power_of_two(*hugepage_size)
			       ? *hugepage_size
			       : 0;
	return c->host != NULL && c->host->hugepage_default != 0 ? c->host->hugepage_default : PAGE;
}

static void check_whole(struct check *c, const struct node *size, uint64_t bytes, uint64_t unit)
{
	char text[32];

	if (size != NULL && unit != 0 && bytes % unit != 0)
		diag_hint(check_fail(c, size, "'%s' is not a multiple of %s", size->text,
				     scalar_size_text(text, sizeof(text), unit)),
			  unit != PAGE ? "with hugepages: on, memory comes in pages of that size"
				       : "memory comes in pages of that size");
}

/* Is there such a pool? */
static void check_hugepage_size(struct check *c, const uint64_t *hugepage_size)
{
	const struct node *page = place_ok(c, hugepage_size);
	char sizes[128] = "", text[32];
	size_t used = 0;
	struct diag *g;

	if (page == NULL)
		return;
	if (!is_power_of_two(*hugepage_size)) {
		diag_hint(check_fail(c, page, "'%s' is not a power of two", page->text),
			  "x86 has 2M and 1G");
		return;
	}
	if (c->host == NULL)
		return;
	for (size_t i = 0; i < c->host->hugepage_count; i++) {
		if (c->host->hugepage_sizes[i] == *hugepage_size)
			return;
		if (used < sizeof(sizes))
			used += (size_t)snprintf(
				sizes + used, sizeof(sizes) - used, "%s%s", used > 0 ? ", " : "",
				scalar_size_text(text, sizeof(text), c->host->hugepage_sizes[i]));
	}
	g = check_fail(c, page, "this host has no huge pages of '%s'", page->text);
	diag_hint(g, "it has: %s", used > 0 ? sizes : "none");
}

static void check_pages(struct check *c, const bool *hugepages, const uint64_t *hugepage_size)
{
	const struct node *page = place_ok(c, hugepage_size);

	if (page != NULL && !*hugepages && place_ok(c, hugepages) != NULL)
		diag_hint(check_fail_key(c, page, "means something only with hugepages: on"),
			  "add 'hugepages: on', or remove it");
	check_hugepage_size(c, hugepage_size);
}

/* Is there a hotplug_size, right or wrong? */
static bool may_grow(const struct check *c, const struct sill_memory_config *m)
{
	for (unsigned i = 0; i < m->zones_count; i++)
		if (place_at(c, &m->zones[i].hotplug_size) != NULL)
			return true;
	return m->hotplug_size != 0;
}

/* How much of @more the guest has at once. */
static void check_plugged(struct check *c, const uint64_t *plugged, const uint64_t *more)
{
	static const uint64_t block = 2ull << 20; /* virtio-mem's */
	const struct node *n = place_ok(c, plugged);
	char text[32];

	if (n == NULL)
		return;
	if (*plugged % block != 0)
		diag_hint(check_fail(c, n, "'%s' is not a multiple of 2M", n->text),
			  "virtio-mem's memory comes and goes in blocks of that size");
	if (place_at(c, more) == NULL)
		diag_hint(check_fail_key(c, n, "means something only with hotplug_size"),
			  "add hotplug_size, or remove it");
	else if (place_ok(c, more) != NULL && *plugged > *more)
		(void)check_fail(c, n, "'%s' is more than hotplug_size, %s", n->text,
				 scalar_size_text(text, sizeof(text), *more));
}

/* Pages that others look at as well stay where they are. */
static void check_merge(struct check *c, const bool *mergeable, bool shared, bool hugepages)
{
	const struct node *n = place_ok(c, mergeable);

	if (n != NULL && *mergeable && (shared || hugepages))
		diag_hint(check_fail(c, n, "merging of equal pages together with %s: on",
				     shared ? "shared" : "hugepages"),
			  "remove one of them: the host merges private, small pages alone");
}

static void rule_memory(struct check *c, const struct sill_config *v)
{
	const struct sill_memory_config *m = &v->memory;

	if (m->zones_count == 0)
		check_whole(c, place_ok(c, &m->size), m->size,
			    unit_of(c, m->hugepages, &m->hugepage_size));
	check_pages(c, &m->hugepages, &m->hugepage_size);
	if (m->hotplug_method == SILL_HOTPLUG_VIRTIO_MEM && !may_grow(c, m) &&
	    place_ok(c, &m->hotplug_method) != NULL)
		diag_hint(check_fail(c, place_at(c, &m->hotplug_method),
				     "means something only with hotplug_size"),
			  "add hotplug_size, or remove it");
	if (m->hotplug_method == SILL_HOTPLUG_VIRTIO_MEM && m->hugepages)
		diag_hint(check_fail(c, place_at(c, &m->hotplug_method),
				     "virtio-mem together with hugepages: on"),
			  "remove one of them: all of hotplug_size would be reserved at once");
	if (m->hugepages && m->thp)
		diag_hint(check_fail(c, place_ok(c, &m->thp),
				     "transparent huge pages together with hugepages: on"),
			  "remove one of them: reserved huge pages are huge already");
	check_merge(c, &m->mergeable, m->shared, m->hugepages);
	if (m->zones_count == 0)
		check_plugged(c, &m->hotplugged_size, &m->hotplug_size);
	if (m->hotplug_method != SILL_HOTPLUG_VIRTIO_MEM &&
	    place_ok(c, &m->hotplugged_size) != NULL)
		diag_hint(check_fail_key(c, place_ok(c, &m->hotplugged_size),
					 "means something only with hotplug_method: virtio-mem"),
			  "add it, or remove hotplugged_size");
}

/* --- zones ------------------------------------------------------------------ */

/* What they have together is what memory has, whether it is written or not. */
static void check_sum(struct check *c, const struct sill_memory_config *m, const uint64_t *of_all,
		      size_t member)
{
	const struct node *n = place_ok(c, of_all);
	uint64_t sum = 0;
	char text[32];

	for (unsigned i = 0; i < m->zones_count; i++) {
		const uint64_t *v = (const uint64_t *)((const char *)&m->zones[i] + member);

		if ((place_at(c, v) != NULL && place_ok(c, v) == NULL) ||
		    __builtin_add_overflow(sum, *v, &sum))
			return;
	}
	if (n != NULL && *of_all != sum)
		diag_hint(check_fail(c, n, "'%s', but the zones have %s together", n->text,
				     sum > 0 ? scalar_size_text(text, sizeof(text), sum) : "none"),
			  sum > 0 ? "remove it: it is what they have" : "write it in one of them");
}

/* What each zone says for itself. */
static void check_zones_instead(struct check *c, const struct sill_memory_config *m)
{
	const struct node *const of_all[] = {
		m->shared ? place_ok(c, &m->shared) : NULL,
		m->hugepages ? place_ok(c, &m->hugepages) : NULL,
		place_ok(c, &m->hugepage_size),
		place_ok(c, &m->hotplugged_size),
	};

	for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++)
		if (of_all[i] != NULL)
			diag_hint(check_fail_key(c, of_all[i], "means nothing with zones"),
				  "write it in those zones that it is meant for");
}

/* Pages of the guest's and of the host's begin at the same places only then. */
static void check_begin(struct check *c, const struct sill_memory_config *m, unsigned i)
{
	const struct sill_memory_zone *z = &m->zones[i];
	const uint64_t unit = unit_of(c, z->hugepages, &z->hugepage_size);
	const struct node *n = place_ok(c, &z->hugepages);
	uint64_t begin = 0;
	char is[32], text[32];

	for (unsigned j = 0; j < i; j++)
		if (place_ok(c, &m->zones[j].size) == NULL ||
		    __builtin_add_overflow(begin, m->zones[j].size, &begin))
			return;
	if (n != NULL && z->hugepages && unit != 0 && begin % unit != 0)
		diag_hint(check_fail(c, n, "the zones before it have %s: not a multiple of %s",
				     scalar_size_text(is, sizeof(is), begin),
				     scalar_size_text(text, sizeof(text), unit)),
			  "put it first");
}

static void check_zone_grows(struct check *c, const struct sill_memory_config *m,
			     const struct sill_memory_zone *z)
{
	const struct node *more = place_ok(c, &z->hotplug_size);

	if (more == NULL || place_ok(c, &m->size) == NULL)
		return;
	check_block(c, more, z->hotplug_size, m->size);
	if (m->hotplug_method != SILL_HOTPLUG_VIRTIO_MEM)
		diag_hint(check_fail_key(c, more, "a zone grows by virtio-mem alone"),
			  "add 'hotplug_method: virtio-mem' to memory, or remove it");
	if (z->hugepages)
		diag_hint(check_fail_key(c, more, "virtio-mem together with hugepages: on"),
			  "remove one of them: all of hotplug_size would be reserved at once");
}

static void check_nodes(struct check *c, const struct sill_memory_zone *z)
{
	for (unsigned i = 0; i < z->host_numa_node_count; i++) {
		const struct node *n = place_ok(c, &z->host_numa_node[i]);

		for (unsigned j = 0; j < i && n != NULL; j++)
			if (z->host_numa_node[j] == z->host_numa_node[i]) {
				(void)check_fail(c, n, "node %u is there twice",
						 z->host_numa_node[i]);
				n = NULL;
			}
	}
}

/* What a file is made of is told by where it is, and it has as much as it has. */
static void check_file(struct check *c, const struct sill_memory_zone *z)
{
	const struct node *more = place_ok(c, &z->hotplug_size);
	const struct node *merge = place_ok(c, &z->mergeable);

	if (place_at(c, &z->file) == NULL)
		return;
	if (z->hugepages)
		diag_hint(check_fail_key(c, place_ok(c, &z->hugepages),
					 "hugepages together with file"),
			  "remove it: a file in a hugetlbfs is of huge pages");
	if (more != NULL)
		diag_hint(check_fail_key(c, more, "a zone in a file does not grow"),
			  "remove one of them");
	if (merge != NULL && z->mergeable && !z->shared)
		diag_hint(check_fail(c, merge, "merging of equal pages together with file"),
			  "remove one of them: what the guest has not written is the file's");
}

static void rule_zones(struct check *c, const struct sill_config *v)
{
	const struct sill_memory_config *m = &v->memory;
	const struct list zones = { &memory_zone_section, m->zones, m->zones_count,
				    sizeof(*m->zones) };

	if (m->zones_count == 0)
		return;
	check_sum(c, m, &m->size, offsetof(struct sill_memory_zone, size));
	check_sum(c, m, &m->hotplug_size, offsetof(struct sill_memory_zone, hotplug_size));
	check_zones_instead(c, m);
	check_unique(c, &zones, "id");
	for (unsigned i = 0; i < m->zones_count; i++) {
		const struct sill_memory_zone *z = &m->zones[i];

		check_whole(c, place_ok(c, &z->size), z->size,
			    unit_of(c, z->hugepages, &z->hugepage_size));
		check_pages(c, &z->hugepages, &z->hugepage_size);
		check_begin(c, m, i);
		check_zone_grows(c, m, z);
		check_plugged(c, &z->hotplugged_size, &z->hotplug_size);
		check_merge(c, &z->mergeable, z->shared, z->hugepages);
		check_file(c, z);
		check_nodes(c, z);
	}
}

void check_memory_rules(struct check *c, const struct sill_config *v)
{
	rule_memory(c, v);
	rule_hotplug_size(c, v);
	rule_zones(c, v);
}
