/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cpumap.c - where a guest's kernel has its memory: page tables of this file, a stranger's too; cpumap.c is
 * included with ioctl() replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

static int fake_ioctl(int fd, unsigned long request, ...);
#define ioctl fake_ioctl
#include "arch/x86_64/cpumap.c"
#undef ioctl

enum { PAGE = 4096, PAGES = 8, USER = 4, WRITE = 2, ROOM = 8 };
#define NO_EXECUTE (1ull << 63)
#define HALF       0xffff800000000000ull /* where the upper half begins */

static uint64_t table[PAGES][ENTRIES] __attribute__((aligned(4096)));
static struct kvm_sregs sregs;
static struct machine machine;
static struct sill_mapped_range range[ROOM];

static int fake_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;

	assert_int_equal(fd, 17);
	assert_int_equal(request, KVM_GET_SREGS);
	va_start(ap, request);
	*va_arg(ap, struct kvm_sregs *) = sregs;
	va_end(ap);
	return 0;
}

/* Memory is at 0, and what is in it are the tables. */
static int set_up(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	memset(table, 0, sizeof(table));
	memset(range, 0, sizeof(range));
	sregs = (struct kvm_sregs){ .efer = EFER_LMA | 1 << 8,
				    .cr3 = 0x18 /* no part of the address */ };
	machine.gmem = gmem_create(NULL, &e);
	assert_non_null(machine.gmem);
	assert_int_equal(gmem_add(machine.gmem, 0, sizeof(table), table, GMEM_RAM, &e), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gmem_destroy(machine.gmem);
	return 0;
}

static uint64_t to(unsigned page)
{
	return (uint64_t)page * PAGE | PRESENT | WRITE;
}

static unsigned look(uint64_t least)
{
	const struct cpu c = { .fd = 17, .machine = &machine };
	struct arch_mapped m = { .least = least, .range = range, .room = ROOM };

	assert_true(arch_cpu_mapped(&c, &m, true));
	return m.count;
}

static void is_range(unsigned i, uint64_t address, uint64_t gpa, uint64_t size)
{
	assert_int_equal(range[i].address, address);
	assert_int_equal(range[i].gpa, gpa);
	assert_int_equal(range[i].size, size);
}

static void pages__of_all_sizes_are_found(void **state)
{
	(void)state;
	table[0][0] = to(1); /* a program's */
	table[0][256] = to(1);
	table[1][0] = 1ull << 30 | LARGE | PRESENT | NO_EXECUTE;
	table[1][1] = 2ull << 30 | LARGE | PRESENT; /* the one before goes on here */
	table[0][511] = to(2);
	table[2][510] = to(3);
	table[3][8] = 0x1000000 | 1 << 12 | LARGE | PRESENT; /* bit 12 is the memory type's */
	table[3][9] = to(4);
	table[4][0] = 0x7000 | PRESENT;
	table[4][1] = 0x9000 | PRESENT;
	table[4][2] = 0xa000 | PRESENT;
	table[4][3] = 0xb000; /* not there */
	table[4][511] = 0xc000 | PRESENT | USER;
	assert_int_equal(look(0), 5);
	is_range(0, 0xffffffff81000000, 0x1000000, 2 << 20);
	is_range(1, 0xffffffff81200000, 0x7000, PAGE);
	is_range(2, 0xffffffff81201000, 0x9000, 2 * PAGE);
	is_range(3, 0xffffffff813ff000, 0xc000, PAGE);
	is_range(4, HALF, 1ull << 30, 2ull << 30);
	/* The small ones are not wanted. */
	assert_int_equal(look(2 * PAGE), 3);
	is_range(1, 0xffffffff81201000, 0x9000, 2 * PAGE);
}

static void tables__may_have_five_levels(void **state)
{
	(void)state;
	sregs.cr4 = CR4_LA57;
	table[0][256] = to(1);
	table[1][1] = to(2);
	table[2][0] = 1ull << 30 | LARGE | PRESENT;
	table[1][2] =
		1ull << 39 | LARGE | PRESENT; /* no page is so large: a table, where no memory is */
	assert_int_equal(look(0), 1);
	is_range(0, 0xff00008000000000, 1ull << 30, 1 << 30);
}

/* Windows has its tables in themselves, and a guest may have nothing else. */
static void tables__in_themselves_come_to_an_end(void **state)
{
	(void)state;
	table[0][0x1ed] = to(0);
	assert_int_equal(look(0), 1);
	is_range(0, 0xfffff6fb7dbed000, 0, PAGE);
	for (unsigned i = 0; i < ENTRIES; i++)
		table[0][i] = to(0);
	/* The last entry is looked at even so, and first. */
	table[0][511] = to(1);
	table[1][510] = 0x40000000 | LARGE | PRESENT;
	assert_true(look(0) > ROOM); /* what there is no room for is counted */
	is_range(0, 0xffffffff80000000, 0x40000000, 1 << 30);
}

static void tables__that_are_no_memory_are_none(void **state)
{
	(void)state;
	table[0][511] = 0x123456789000 | PRESENT;
	assert_int_equal(look(0), 0);
	sregs.cr3 = 0x123456789000;
	assert_int_equal(look(0), 0);
}

static void nothing__is_found_where_there_are_no_such_tables(void **state)
{
	const struct cpu c = { .fd = 17, .machine = &machine };
	struct arch_mapped m = { .count = 3 };

	(void)state;
	sregs.ss.dpl = 3;
	assert_false(arch_cpu_mapped(&c, &m, false));
	assert_int_equal(m.count, 0);
	assert_true(arch_cpu_mapped(&c, &m, true));
	sregs.ss.dpl = 0;
	assert_true(arch_cpu_mapped(&c, &m, false));
	sregs.efer = 0;
	assert_false(arch_cpu_mapped(&c, &m, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages__of_all_sizes_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tables__may_have_five_levels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tables__in_themselves_come_to_an_end, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(tables__that_are_no_memory_are_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(nothing__is_found_where_there_are_no_such_tables,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
