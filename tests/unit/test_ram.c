/* SPDX-License-Identifier: Apache-2.0 */
/* test_ram.c - guest RAM begins where a huge page does, and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_map__begins_where_a_huge_page_does),
		cmocka_unit_test(ram_map__takes_less_than_a_huge_page),
		cmocka_unit_test(ram_map__shares_a_file),
		cmocka_unit_test(ram_page__of_huge_pages_nothing_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
