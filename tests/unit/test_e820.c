/* SPDX-License-Identifier: Apache-2.0 */
/* test_e820.c - the memory map and its forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/le.h"
#include "firmware/e820.h"

static void e820_add_ram__is_the_pc_map(void **state)
{
	static const struct e820_entry want[] = {
		{ 0, 0xa0000, E820_RAM },
		{ 0x100000, 0x7ff00000, E820_RAM },
		{ 0x100000000, 0x40000000, E820_RAM },
	};
	struct e820_map m = { 0 };
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(e820_add_ram(&m, 0x80000000, 0x40000000, &e), 0);
	assert_int_equal(m.count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(m.entry[i].base, want[i].base);
		assert_int_equal(m.entry[i].len, want[i].len);
		assert_int_equal(m.entry[i].type, want[i].type);
	}
}

static void e820_add_ram__has_no_empty_high_range(void **state)
{
	struct e820_map m = { 0 };
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(e820_add_ram(&m, 0x200000, 0, &e), 0);
	assert_int_equal(m.count, 2);
}

static void e820_add_ram__refuses_odd_low_ends(void **state)
{
	static const uint64_t wrong[] = { 0, 0x100000, 0x1fffff, 0x100000000, UINT64_MAX };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		struct e820_map m = { 0 };
		struct sill_err e = { 0 };

		assert_int_equal(e820_add_ram(&m, wrong[i], 0, &e), -1);
		assert_int_equal(e.code, SILL_ERR_INTERNAL);
	}
}

static void e820_add__keeps_the_order(void **state)
{
	struct e820_map m = { 0 };
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(e820_add_ram(&m, 0x80000000, 0x1000, &e), 0);
	assert_int_equal(e820_add(&m, 0xb0000000, 0x10000000, E820_RESERVED, &e), 0);
	assert_int_equal(e820_add(&m, 0xa0000, 0x10, E820_NVS, &e), 0);
	assert_int_equal(m.count, 5);
	assert_int_equal(m.entry[1].base, 0xa0000);
	assert_int_equal(m.entry[3].base, 0xb0000000);
	assert_int_equal(m.entry[4].base, 0x100000000);
}

static void e820_add__refuses_overlaps_and_wraps(void **state)
{
	static const struct {
		uint64_t base, len;
	} wrong[] = {
		{ 0x1000, 0x1000 }, { 0xfff, 2 },      { 0x1fff, 1 },     { 0, UINT64_MAX },
		{ 0x5000, 0 },      { UINT64_MAX, 1 }, { 0x800, 0x4000 }, { 0x1800, 0x10 },
	};
	struct e820_map m = { 0 };
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(e820_add(&m, 0x1000, 0x1000, E820_RAM, &e), 0);
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		e = (struct sill_err){ 0 };
		assert_int_equal(e820_add(&m, wrong[i].base, wrong[i].len, E820_RAM, &e), -1);
		assert_int_equal(m.count, 1);
	}
	e = (struct sill_err){ 0 };
	assert_int_equal(e820_add(&m, 0x2000, 1, E820_RAM, &e), 0);
	assert_int_equal(e820_add(&m, 0xfff, 1, E820_RAM, &e), 0);
}

static void e820_add__refuses_a_full_map(void **state)
{
	struct e820_map m = { 0 };
	struct sill_err e = { 0 };

	(void)state;
	for (unsigned i = 0; i < E820_MAX; i++)
		assert_int_equal(e820_add(&m, i * 2, 1, E820_RAM, &e), 0);
	assert_int_equal(e820_add(&m, 1000, 1, E820_RAM, &e), -1);
}

static void e820_write__packs_20_and_24_bytes(void **state)
{
	static const uint8_t want[24] = { 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 0, 0, 0x10,
					  0, 0, 0, 0,    2, 0, 0, 0, 0, 0, 0, 0 };
	struct e820_map m = { 0 };
	struct sill_err e = { 0 };
	struct buf b;

	(void)state;
	assert_int_equal(e820_add(&m, 0xb0000000, 0x10000000, E820_RESERVED, &e), 0);
	assert_int_equal(e820_add(&m, 0xc0000000, 1, E820_RAM, &e), 0);
	buf_init(&b, 100);
	e820_write_fw_cfg(&m, &b);
	assert_int_equal(b.size, 40);
	assert_memory_equal(b.data, want, 20);
	assert_int_equal(ld32(b.data + 20), 0xc0000000);
	buf_clear(&b);
	e820_write_pvh(&m, &b);
	assert_int_equal(b.size, 48);
	assert_memory_equal(b.data, want, 24);
	assert_int_equal(ld32(b.data + 24), 0xc0000000);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(e820_add_ram__is_the_pc_map),
		cmocka_unit_test(e820_add_ram__has_no_empty_high_range),
		cmocka_unit_test(e820_add_ram__refuses_odd_low_ends),
		cmocka_unit_test(e820_add__keeps_the_order),
		cmocka_unit_test(e820_add__refuses_overlaps_and_wraps),
		cmocka_unit_test(e820_add__refuses_a_full_map),
		cmocka_unit_test(e820_write__packs_20_and_24_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
