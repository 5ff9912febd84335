/* SPDX-License-Identifier: Apache-2.0 */
/* test_ram.c - guest RAM begins where a huge page does, and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "core/ram.h"

enum { HUGE = 2 << 20 };

/* How many pages the process has mapped. */
static unsigned long mapped(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pages), 1);
	(void)fclose(f);
	return pages;
}

static void ram_map__begins_where_a_huge_page_does(void **state)
{
	static const uint64_t sizes[] = { HUGE, HUGE + 4096, 64 << 20, (64 << 20) - 4096 };
	unsigned long before;
	struct ram r;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		before = mapped();
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			const struct sill_memory_config c = { .size = sizes[i], .thp = round == 1 };
			struct sill_err e = { 0 };

			assert_int_equal(ram_map(&r, &c, &e), 0);
			assert_int_equal((uintptr_t)r.hva % HUGE, 0);
			assert_int_equal(mapped() - before, sizes[i] / (unsigned)getpagesize());
			ram_touch(&r, 0);
			r.hva[0] = r.hva[sizes[i] - 1] = 1;
			ram_unmap(&r);
			assert_int_equal(mapped(), before);
		}
	}
}

static void ram_map__takes_less_than_a_huge_page(void **state)
{
	const struct sill_memory_config c = { .size = 64 << 10 };
	struct sill_err e = { 0 };
	struct ram r;

	(void)state;
	assert_int_equal(ram_map(&r, &c, &e), 0);
	r.hva[c.size - 1] = 1;
	ram_unmap(&r);
}

static void ram_map__shares_a_file(void **state)
{
	const struct sill_memory_config c = { .size = 4 << 20, .shared = true };
	struct sill_err e = { 0 };
	struct ram r;
	uint8_t byte = 0;

	(void)state;
	assert_int_equal(ram_map(&r, &c, &e), 0);
	r.hva[4096] = 0x5a;
	assert_int_equal(pread(r.fd, &byte, 1, 4096), 1);
	assert_int_equal(byte, 0x5a);
	ram_unmap(&r);
}

/* What the kernel calls a mapping that holds @at: "mg" merges, "nr" sets nothing aside. */
static bool has_flag(const void *at, const char *flag)
{
	unsigned long begin = 0, end = 0;
	bool has = false, done = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "re");

	assert_non_null(f);
	while (!done && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			continue;
		done = strncmp(line, "VmFlags:", 8) == 0 && begin <= (uintptr_t)at &&
		       (uintptr_t)at < end;
		has = done && strstr(line, flag) != NULL;
	}
	(void)fclose(f);
	assert_true(done);
	return has;
}

static void ram_map__merges_and_reserves_as_it_is_told(void **state)
{
	static char a[] = "a", b[] = "b";
	struct sill_memory_zone zone[] = {
		{ .id = a, .size = 4 << 20, .mergeable = true },
		{ .id = b, .size = 4 << 20, .reserve = true },
	};
	struct sill_memory_config c = { .size = 8 << 20, .zones = zone, .zones_count = 2 };
	const bool ksm = access("/sys/kernel/mm/ksm/run", F_OK) == 0;
	struct sill_err e = { 0 };
	struct ram_zones z;

	(void)state;
	if (!ksm) {
		assert_int_equal(ram_zones_map(&z, &c, NULL, &e), -1);
		assert_non_null(strstr(e.hint, "mergeable: off"));
		zone[0].mergeable = false;
	}
	assert_int_equal(ram_zones_map(&z, &c, NULL, &e), 0);
	assert_int_equal(has_flag(z.zone[0].hva, " mg"), ksm);
	assert_true(has_flag(z.zone[0].hva, " nr"));
	assert_false(has_flag(z.zone[1].hva, " mg"));
	assert_false(has_flag(z.zone[1].hva, " nr"));
	ram_zones_unmap(&z);
	/* What all of the memory is told is for each zone. */
	c.reserve = true;
	c.mergeable = ksm;
	assert_int_equal(ram_zones_map(&z, &c, NULL, &e), 0);
	assert_int_equal(has_flag(z.zone[1].hva, " mg"), ksm);
	assert_false(has_flag(z.zone[0].hva, " nr"));
	ram_zones_unmap(&z);
	c.zones_count = 0;
	assert_int_equal(ram_zones_map(&z, &c, NULL, &e), 0);
	assert_int_equal(has_flag(z.hva, " mg"), ksm);
	assert_false(has_flag(z.hva, " nr"));
	ram_zones_unmap(&z);
}

static void ram_page__of_huge_pages_nothing_goes_back(void **state)
{
	const struct sill_memory_config small = { .size = 4 << 20, .shared = true };
	struct sill_memory_config huge = { .size = 4 << 20, .hugepages = true };

	(void)state;
	assert_int_equal(ram_page(&small), 4096);
	assert_int_equal(ram_page(&huge), 0);
	huge.hugepage_size = 1 << 30;
	assert_int_equal(ram_page(&huge), 0);
}

/* --- zones ---------------------------------------------------------------- */

enum { MIB = 1 << 20 };

static void ram_zones__lie_one_behind_the_other(void **state)
{
	static char a[] = "a", b[] = "b", c[] = "c";
	uint16_t node = 0;
	struct sill_memory_zone zone[] = {
		{ .id = a, .size = 3 * MIB, .host_numa_node = &node, .host_numa_node_count = 1 },
		{ .id = b, .size = 5 * MIB, .shared = true },
		{ .id = c, .size = 2 * MIB, .prefault = true },
	};
	const struct sill_memory_config m = { .size = 10 * MIB, .zones = zone, .zones_count = 3 };
	const struct ram_piece piece[] = { { 0, 0, 2 * MIB }, { 16 * MIB, 2 * MIB, 7 * MIB } };
	struct gmem_region r[8] = { 0 };
	struct ram_zones z;
	struct sill_err e = { 0 };
	struct gmem_span span;
	struct gmem *g = gmem_create(NULL, &e);
	unsigned long before = mapped();

	(void)state;
	assert_non_null(g);
	if (ram_zones_map(&z, &m, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal((uintptr_t)z.hva % HUGE, 0);
	assert_int_equal(mapped() - before, 10 * MIB / getpagesize());
	/* A hole behind the second MiB, one in the middle of a zone's. */
	assert_int_equal(ram_zones_add(&z, g, &piece[0], &e), 0);
	assert_int_equal(ram_zones_add(&z, g, &piece[1], &e), 0);
	span = gmem_span_begin(g);
	assert_int_equal(gmem_ram_regions(g, r, 8), 4);
	for (unsigned i = 0; i < 4; i++) {
		static const struct {
			unsigned gpa, size, at, off;
			bool shared;
		} want[] = {
			{ 0, 2, 0, 0, false },
			{ 16, 1, 2, 2, false },
			{ 17, 5, 3, 0, true },
			{ 22, 1, 8, 0, false },
		};

		assert_int_equal(r[i].gpa, (uint64_t)want[i].gpa * MIB);
		assert_int_equal(r[i].size, (uint64_t)want[i].size * MIB);
		assert_ptr_equal(r[i].hva, z.hva + (size_t)want[i].at * MIB);
		assert_int_equal(r[i].fd >= 0, want[i].shared);
		assert_int_equal(r[i].off, (uint64_t)want[i].off * MIB);
	}
	gmem_span_end(g, &span);
	/* An access goes from one into the next. */
	assert_int_equal(gmem_write(g, 17 * MIB - 2, "zone", 4), 0);
	assert_memory_equal(z.hva + 3 * MIB - 2, "zone", 4);
	gmem_destroy(g);
	ram_zones_unmap(&z);
	assert_int_equal(mapped(), before);
}

static void ram_zones__are_the_memory_there_is(void **state)
{
	static char a[] = "a", b[] = "b";
	uint16_t nodes[] = { 0, SILL_MAX_NODES - 1 };
	struct sill_memory_zone zone[] = { { .id = a, .size = 3 * MIB }, { .id = b, .size = MIB } };
	struct sill_memory_config m = { .size = 5 * MIB, .zones = zone, .zones_count = 2 };
	unsigned long before = mapped();
	struct ram_zones z;
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(ram_zones_map(&z, &m, NULL, &e), -1);
	assert_int_equal(e.code, SILL_ERR_MANIFEST);
	m.size = 3 * MIB;
	assert_int_equal(ram_zones_map(&z, &m, NULL, &e), -1);
	m.size = 4 * MIB + 1;
	zone[1].size = MIB + 1;
	assert_int_equal(ram_zones_map(&z, &m, NULL, &e), -1);
	m.size = 4 * MIB;
	zone[1].size = MIB;
	/* One that cannot be had takes all others with it. */
	zone[1].host_numa_node = nodes + 1;
	zone[1].host_numa_node_count = 1;
	e = (struct sill_err){ 0 };
	assert_int_equal(ram_zones_map(&z, &m, NULL, &e), -1);
	assert_non_null(strstr(e.msg, "memory zone b"));
	assert_int_equal(mapped(), before);
	ram_zones_unmap(&z);
	/* Without any there is one. */
	m.zones_count = 0;
	assert_int_equal(ram_zones_map(&z, &m, NULL, &e), 0);
	assert_int_equal(z.count, 1);
	assert_int_equal(z.size, 4 * MIB);
	assert_ptr_equal(z.hva, z.zone[0].hva);
	ram_zones_unmap(&z);
	assert_int_equal(mapped(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_map__begins_where_a_huge_page_does),
		cmocka_unit_test(ram_map__takes_less_than_a_huge_page),
		cmocka_unit_test(ram_map__shares_a_file),
		cmocka_unit_test(ram_map__merges_and_reserves_as_it_is_told),
		cmocka_unit_test(ram_page__of_huge_pages_nothing_goes_back),
		cmocka_unit_test(ram_zones__lie_one_behind_the_other),
		cmocka_unit_test(ram_zones__are_the_memory_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
