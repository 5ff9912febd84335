/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_msr.c - the answers for model-specific registers that KVM does not know.
 *
 * The table is private to msr.c, and its order is what the search relies on, so
 * the file itself is included instead of linked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "arch/x86_64/msr.c"
#include "sill/vm.h"

/* One that no table will ever have. */
enum { UNKNOWN = 0x1234567 };

static void msr_table__is_sorted_and_free_of_overlaps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		assert_true(answers[i].first <= answers[i].last);
		if (i > 0)
			assert_true(answers[i - 1].last < answers[i].first);
	}
}

static void msr_table__has_no_hyperv_register(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		assert_false(is_hyperv(answers[i].first) || is_hyperv(answers[i].last));
}

static void msr_read__finds_both_ends_of_every_range_under_both_policies(void **state)
{
	(void)state;
	for (int ignore = 0; ignore < 2; ignore++) {
		struct msr_policy p = { .ignore_unknown = ignore };
		uint64_t val;

		for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
			const struct answer *a = &answers[i];

			val = ~a->value;
			assert_true(msr_read(&p, 0, a->first, &val));
			assert_int_equal(val, a->value);
			val = ~a->value;
			assert_true(msr_read(&p, 0, a->last, &val));
			assert_int_equal(val, a->value);
			assert_int_equal(msr_write(&p, 0, a->first, 1), a->write == DROP);
			assert_int_equal(msr_write(&p, 0, a->last, 1), a->write == DROP);
		}
	}
}

/* What Windows reads without a net, and the values it can live with. */
static void msr_read__answers_what_windows_reads_unasked(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
	} wanted[] = {
		{ 0x3a, 1 },          /* locked: a #GP here stops Windows */
		{ 0x8b, 1ull << 32 }, /* no microcode update is wanted */
		{ 0x17, 0 },
		{ 0x2a, 0 },
		{ 0x11e, 0 },
		{ 0x606, 0 },
		{ 0xc0010114, 1u << 4 }, /* SVM disabled */
		{ 0xc0010115, 0 },
		{ 0xc001102c, 0 },
	};
	struct msr_policy p = { .ignore_unknown = false };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		uint64_t val = ~wanted[i].value;

		assert_true(msr_read(&p, 0, wanted[i].msr, &val));
		assert_int_equal(val, wanted[i].value);
	}
	assert_true(msr_write(&p, 0, 0x79, 1)); /* microcode loader */
	assert_true(msr_write(&p, 0, 0xc0010115, 0));
	assert_false(msr_write(&p, 0, 0x3a, 5)); /* locked */
}

static void msr_policy__fault_refuses_the_unknown(void **state)
{
	struct msr_policy p = { .ignore_unknown = false };
	uint64_t val = 7;

	(void)state;
	assert_false(msr_read(&p, 0, UNKNOWN, &val));
	assert_int_equal(val, 0); /* nothing of ours leaks out */
	assert_false(msr_write(&p, 0, UNKNOWN, 1));
	/* The gaps beside a range are not in it. */
	assert_false(msr_read(&p, 0, 0x33, &val));
	assert_false(msr_read(&p, 0, 0x36, &val));
	assert_false(msr_read(&p, 0, 0x11f, &val));
	assert_false(msr_read(&p, 0, 0xc0010008, &val));
	assert_false(msr_read(&p, 0, 0xffffffff, &val));
	assert_false(msr_read(&p, 0, 0, &val));
}

static void msr_policy__ignore_reads_zero_and_drops_writes(void **state)
{
	struct msr_policy p = { .ignore_unknown = true };
	uint64_t val = 7;

	(void)state;
	assert_true(msr_read(&p, 0, UNKNOWN, &val));
	assert_int_equal(val, 0);
	assert_true(msr_write(&p, 0, UNKNOWN, ~0ull));
	assert_true(msr_read(&p, 0, UNKNOWN, &val));
	assert_int_equal(val, 0);
	assert_false(msr_write(&p, 0, 0x3a, 5)); /* the table goes first */
}

static void msr_policy__hyperv_registers_always_fault(void **state)
{
	(void)state;
	for (int ignore = 0; ignore < 2; ignore++) {
		struct msr_policy p = { .ignore_unknown = ignore };
		uint64_t val;

		for (uint32_t msr = 0x40000000; msr <= 0x400001ff; msr++) {
			assert_false(msr_read(&p, 0, msr, &val));
			assert_int_equal(val, 0);
			assert_false(msr_write(&p, 0, msr, 0));
		}
		assert_int_equal(msr_read(&p, 0, 0x3fffffff, &val), ignore);
		assert_int_equal(msr_read(&p, 0, 0x40000200, &val), ignore);
	}
}

static void msr_log__says_a_register_once(void **state)
{
	struct msr_policy p = { .ignore_unknown = true };
	char *text = NULL;
	size_t size = 0;
	unsigned lines = 0;
	FILE *f = open_memstream(&text, &size);
	uint64_t val;

	(void)state;
	assert_non_null(f);
	sill_log_to(f, LOG_DEBUG);
	for (unsigned i = 0; i < 100; i++) {
		(void)msr_read(&p, i % 4, UNKNOWN, &val);
		(void)msr_write(&p, i % 4, UNKNOWN, i);
		(void)msr_read(&p, 0, 0x3a, &val); /* in the table: no line */
	}
	/* A guest that walks the whole space does not fill the disk: one line a bit. */
	for (uint32_t msr = 0x10000; msr < 0x30000; msr++)
		(void)msr_read(&p, 0, msr, &val);
	sill_log_to(stderr, LOG_INFO);
	(void)fclose(f);
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	assert_in_range(lines, 1, 64 * 64);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(msr_table__is_sorted_and_free_of_overlaps),
		cmocka_unit_test(msr_table__has_no_hyperv_register),
		cmocka_unit_test(msr_read__finds_both_ends_of_every_range_under_both_policies),
		cmocka_unit_test(msr_read__answers_what_windows_reads_unasked),
		cmocka_unit_test(msr_policy__fault_refuses_the_unknown),
		cmocka_unit_test(msr_policy__ignore_reads_zero_and_drops_writes),
		cmocka_unit_test(msr_policy__hyperv_registers_always_fault),
		cmocka_unit_test(msr_log__says_a_register_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
