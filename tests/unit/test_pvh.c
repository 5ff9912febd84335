/* SPDX-License-Identifier: Apache-2.0 */
/* test_pvh.c - hvm_start_info, offsets from Xen's start_info.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/le.h"
#include "firmware/pvh.h"

static struct e820_map map(void)
{
	struct e820_map m = { 0 };
	struct sill_err e = { 0 };

	assert_int_equal(e820_add_ram(&m, 0x10000000, 0, &e), 0);
	return m;
}

static void pvh_build__without_modules(void **state)
{
	struct e820_map m = map();
	struct pvh_facts f = { .gpa = 0x6000, .rsdp_gpa = 0xe0000, .map = &m };
	struct sill_err e = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, PVH_MAX_SIZE);
	assert_int_equal(pvh_build(&f, &b, &e), 0);
	assert_int_equal(b.size, 56 + 2 * 24);
	assert_int_equal(ld32(b.data), 0x336ec578);
	assert_int_equal(ld32(b.data + 4), 1);
	assert_int_equal(ld32(b.data + 8), 0);
	assert_int_equal(ld32(b.data + 12), 0);
	assert_int_equal(ld64(b.data + 16), 0);
	assert_int_equal(ld64(b.data + 24), 0);
	assert_int_equal(ld64(b.data + 32), 0xe0000);
	assert_int_equal(ld64(b.data + 40), 0x6000 + 56);
	assert_int_equal(ld32(b.data + 48), 2);
	assert_int_equal(ld32(b.data + 52), 0);
	assert_int_equal(ld64(b.data + 56 + 24), 0x100000);
	buf_fini(&b);
}

static void pvh_build__with_an_initramfs(void **state)
{
	struct e820_map m = map();
	struct pvh_module mod = { .gpa = 0xf000000, .size = 0x1234 };
	struct pvh_facts f = {
		.gpa = 0x6000, .cmdline_gpa = 0x20000, .modules = &mod, .module_count = 1, .map = &m
	};
	struct sill_err e = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, PVH_MAX_SIZE);
	assert_int_equal(pvh_build(&f, &b, &e), 0);
	assert_int_equal(ld32(b.data + 12), 1);
	assert_int_equal(ld64(b.data + 16), 0x6038);
	assert_int_equal(ld64(b.data + 24), 0x20000);
	assert_int_equal(ld64(b.data + 40), 0x6038 + 32);
	assert_int_equal(ld64(b.data + 56), 0xf000000);
	assert_int_equal(ld64(b.data + 64), 0x1234);
	assert_int_equal(ld64(b.data + 72), 0);
	assert_int_equal(ld64(b.data + 88), 0); /* the map's first entry */
	assert_int_equal(ld64(b.data + 96), 0xa0000);
	buf_fini(&b);
}

static void pvh_build__fits_into_its_maximum(void **state)
{
	struct pvh_module mods[PVH_MAX_MODULES] = { 0 };
	struct e820_map m = { 0 };
	struct pvh_facts f = { .modules = mods, .module_count = PVH_MAX_MODULES, .map = &m };
	struct sill_err e = { 0 };
	struct buf b;

	(void)state;
	for (unsigned i = 0; i < E820_MAX; i++)
		assert_int_equal(e820_add(&m, i * 2, 1, E820_RAM, &e), 0);
	buf_init(&b, PVH_MAX_SIZE);
	assert_int_equal(pvh_build(&f, &b, &e), 0);
	buf_fini(&b);

	buf_init(&b, 100);
	assert_int_equal(pvh_build(&f, &b, &e), -1);
	buf_fini(&b);
}

static void pvh_build__refuses_bad_facts(void **state)
{
	struct e820_map m = map();
	struct pvh_facts odd = { .gpa = 0x6004, .map = &m };
	struct pvh_facts many = { .module_count = PVH_MAX_MODULES + 1, .map = &m };
	struct sill_err e = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, PVH_MAX_SIZE);
	assert_int_equal(pvh_build(&odd, &b, &e), -1);
	assert_int_equal(pvh_build(&many, &b, &e), -1);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pvh_build__without_modules),
		cmocka_unit_test(pvh_build__with_an_initramfs),
		cmocka_unit_test(pvh_build__fits_into_its_maximum),
		cmocka_unit_test(pvh_build__refuses_bad_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
