/* SPDX-License-Identifier: Apache-2.0 */
/* test_aml.c - the AML writer against bytes of the specification and of iasl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware/aml.h"

static struct buf out;
static struct aml a;

static int setup(void **state)
{
	(void)state;
	buf_init(&out, 1 << 20);
	aml_init(&a, &out);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&out);
	return 0;
}

#define EXPECT(...)                                                \
	do {                                                       \
		static const uint8_t want[] = { __VA_ARGS__ };     \
                                                                   \
		assert_int_equal(aml_end(&a), 0);                  \
		assert_int_equal(out.size, sizeof(want));          \
		assert_memory_equal(out.data, want, sizeof(want)); \
	} while (0)

static void aml_int__takes_the_shortest_form(void **state)
{
	(void)state;
	aml_int(&a, 0);
	aml_int(&a, 1);
	aml_int(&a, 2);
	aml_int(&a, 0xff);
	aml_int(&a, 0x100);
	aml_int(&a, 0x10000);
	aml_int(&a, 0x100000000);
	aml_int(&a, UINT64_MAX);
	EXPECT(0x00, 0x01, 0x0a, 0x02, 0x0a, 0xff, 0x0b, 0x00, 0x01, 0x0c, 0x00, 0x00, 0x01, 0x00,
	       0x0e, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xff);
}

/* ACPI 6.5, 20.2.2: one, two and more segments, root and parent prefixes. */
static void aml_name__writes_every_form_of_path(void **state)
{
	(void)state;
	aml_code(&a, "A");
	aml_code(&a, "\\_SB.PCI0");
	aml_code(&a, "^^A.B.C0");
	aml_code(&a, "\\");
	EXPECT('A', '_', '_', '_', '\\', 0x2e, '_', 'S', 'B', '_', 'P', 'C', 'I', '0', '^', '^',
	       0x2f, 0x03, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '0', '_', '_', '\\', 0x00);
}

static void aml_name__refuses_what_is_not_a_name(void **state)
{
	static const char *const wrong[] = { "a",  "TOOLONG", "A.", ".A",   "A..B",
					     "1A", "A-B",     "A^", "\\\\", "A.B.C.D.E.F.G.H.I" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		aml_init(&a, &out);
		aml_scope(&a, "%s", wrong[i]);
		aml_close(&a);
		assert_int_equal(aml_end(&a), -1);
	}
}

/* 19.3.4 and every table there is: PNP0501 is 0x0105D041. */
static void aml_name_eisa__compresses_the_id(void **state)
{
	(void)state;
	aml_name_eisa(&a, "_HID", "PNP0501");
	EXPECT(0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01);
}

static void aml_name_eisa__refuses_other_ids(void **state)
{
	static const char *const wrong[] = { "ACPI0007", "PNP050", "pnp0501", "PNP05G1",
					     "PN00501" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		aml_init(&a, &out);
		aml_name_eisa(&a, "_HID", wrong[i]);
		assert_int_equal(aml_end(&a), -1);
	}
}

/* The length counts itself: 62 bytes of content still fit into one byte, 63 do not. */
static void aml_close__writes_lengths_of_each_size(void **state)
{
	static const struct {
		size_t content;
		uint8_t head[4];
		size_t head_size;
	} rows[] = {
		{ 62, { 0x3f }, 1 },
		{ 63, { 0x41, 0x04 }, 2 },
		{ 0xffd, { 0x4f, 0xff }, 2 },
		{ 0xffe, { 0x81, 0x00, 0x01 }, 3 },
		{ 0xffffc, { 0x8f, 0xff, 0xff }, 3 },
		{ 0xffffd, { 0xc1, 0x00, 0x00, 0x01 }, 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b;
		struct aml w;

		buf_init(&b, 1 << 21);
		aml_init(&w, &b);
		aml_else(&w);
		for (size_t n = 0; n < rows[i].content; n++)
			aml_int(&w, 0);
		aml_close(&w);
		assert_int_equal(aml_end(&w), 0);
		assert_int_equal(b.size, 1 + rows[i].head_size + rows[i].content);
		assert_int_equal(b.data[0], 0xa1);
		assert_memory_equal(b.data + 1, rows[i].head, rows[i].head_size);
		buf_fini(&b);
	}
}

static void aml_device__nests(void **state)
{
	(void)state;
	aml_scope(&a, "\\_SB");
	aml_device(&a, "S%02X", 0x1e);
	aml_name_int(&a, "_ADR", 0x1e0000);
	aml_close(&a);
	aml_close(&a);
	EXPECT(0x10, 0x17, '\\', '_', 'S', 'B', '_', 0x5b, 0x82, 0x0f, 'S', '1', 'E', '_', 0x08,
	       '_', 'A', 'D', 'R', 0x0c, 0x00, 0x00, 0x1e, 0x00);
}

static void aml_name_bytes__writes_the_buffer_size(void **state)
{
	(void)state;
	aml_name_bytes(&a, "B", "\1\2\3", 3);
	EXPECT(0x08, 'B', '_', '_', '_', 0x11, 0x06, 0x0a, 0x03, 1, 2, 3);
}

static void aml_package__counts_its_elements(void **state)
{
	(void)state;
	aml_name_package(&a, "P", 3);
	aml_int(&a, 7);
	aml_package(&a, 1);
	aml_str(&a, "x");
	aml_close(&a);
	aml_bytes(&a, "", 0);
	aml_close(&a);
	EXPECT(0x08, 'P', '_', '_', '_', 0x12, 0x0d, 0x03, 0x0a, 0x07, 0x12, 0x05, 0x01, 0x0d, 'x',
	       0x00, 0x11, 0x02, 0x00);

	aml_name_package(&a, "P", 2);
	aml_int(&a, 7);
	aml_close(&a);
	assert_int_equal(aml_end(&a), -1);
}

static void aml_method__holds_flags_and_code(void **state)
{
	(void)state;
	aml_method(&a, "PEJT", 1, AML_SERIALIZED);
	aml_acquire(&a, "PLK");
	aml_code(&a, "ShiftLeft One Arg0 PEJ");
	aml_release(&a, "PLK");
	aml_if(&a, "LNotEqual Local7 0x20");
	aml_code(&a, "Return Add Local0 1 -");
	aml_close(&a);
	aml_else(&a);
	aml_while(&a, "One");
	aml_code(&a, "Break");
	aml_close(&a);
	aml_close(&a);
	aml_close(&a);
	EXPECT(0x14, 0x2d, 'P', 'E', 'J', 'T', 0x09, 0x5b, 0x23, 'P', 'L', 'K', '_', 0xff, 0xff,
	       0x79, 0x01, 0x68, 'P', 'E', 'J', '_', 0x5b, 0x27, 'P', 'L', 'K', '_', 0xa0, 0x0b,
	       0x92, 0x93, 0x67, 0x0a, 0x20, 0xa4, 0x72, 0x60, 0x01, 0x00, 0xa1, 0x05, 0xa2, 0x03,
	       0x01, 0xa5);
}

static void aml_code__refuses_unknown_words(void **state)
{
	static const char *const wrong[] = { "Stor Local0 A",
					     "Store Local8 A",
					     "Store Arg7 A",
					     "Store  Local0",
					     "Store 12x A",
					     "",
					     "Store 99999999999999999999 A" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		aml_init(&a, &out);
		aml_code(&a, "%s", wrong[i]);
		assert_int_equal(aml_end(&a), -1);
	}
}

static void aml_field__packs_bits(void **state)
{
	(void)state;
	aml_region(&a, "CREG", AML_SYSTEM_IO, 0xcd8, 12);
	aml_field(&a, "CREG", AML_ACC_BYTE, AML_WRITE_AS_ZEROS);
	aml_field_skip(&a, 32);
	aml_field_bits(&a, "CEN", 1);
	aml_field_skip(&a, 0x14 * 8);
	aml_close(&a);
	EXPECT(0x5b, 0x80, 'C', 'R', 'E', 'G', 0x01, 0x0b, 0xd8, 0x0c, 0x0a, 0x0c, 0x5b, 0x81, 0x10,
	       'C', 'R', 'E', 'G', 0x41, 0x00, 0x20, 'C', 'E', 'N', '_', 0x01, 0x00, 0x40, 0x0a);
}

/* 6.4.2 and 6.4.3. */
static void aml_crs__writes_descriptors_and_the_end_tag(void **state)
{
	(void)state;
	aml_crs(&a);
	aml_io(&a, 0x3f8, 8);
	aml_irq(&a, 4);
	aml_interrupt(&a, AML_IRQ_EDGE, 13);
	aml_memory32(&a, true, 0xb0000000, 0x10000000);
	aml_close(&a);
	EXPECT(0x08, '_', 'C', 'R', 'S', 0x11, 0x25, 0x0a, 0x22, /**/
	       0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08,   /**/
	       0x22, 0x10, 0x00,                                 /**/
	       0x89, 0x06, 0x00, 0x03, 0x01, 0x0d, 0, 0, 0,      /**/
	       0x86, 0x09, 0x00, 0x01, 0, 0, 0, 0xb0, 0, 0, 0, 0x10, 0x79, 0x00);
}

static void aml_windows__end_where_they_end(void **state)
{
	(void)state;
	aml_crs(&a);
	aml_bus_range(&a, 0, 256);
	aml_word_io(&a, 0xd00, 0xf300);
	aml_dword_memory(&a, false, 0xc0000000, 0x38000000);
	aml_qword_memory(&a, true, 0xe000000000, 0x2000000000);
	aml_close(&a);
	EXPECT(0x08, '_', 'C', 'R', 'S', 0x11, 0x4e, 0x06, 0x0a, 0x6a,                       /**/
	       0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1,          /**/
	       0x88, 0x0d, 0x00, 0x01, 0x0c, 0x03, 0, 0, 0, 0x0d, 0xff, 0xff, 0, 0, 0, 0xf3, /**/
	       0x87, 0x17, 0x00, 0x00, 0x0c, 0x01, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff,
	       0xf7, 0, 0, 0, 0, 0, 0, 0, 0x38, /**/
	       0x8a, 0x2b, 0x00, 0x00, 0x0c, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0, 0,
	       0, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
	       0, 0, 0, 0x79, 0x00);
}

static void aml_windows__refuse_to_wrap(void **state)
{
	(void)state;
	aml_qword_memory(&a, true, UINT64_MAX, 2);
	assert_int_equal(aml_end(&a), -1);
	aml_init(&a, &out);
	aml_dword_memory(&a, true, UINT32_MAX, 2);
	assert_int_equal(aml_end(&a), -1);
	aml_init(&a, &out);
	aml_word_io(&a, 0xff00, 0x101);
	assert_int_equal(aml_end(&a), -1);
	aml_init(&a, &out);
	aml_dword_memory(&a, true, UINT32_MAX, 1);
	assert_int_equal(aml_end(&a), 0);
}

static void aml_end__refuses_unbalanced_blocks(void **state)
{
	(void)state;
	aml_scope(&a, "\\");
	assert_int_equal(aml_end(&a), -1);
	aml_close(&a);
	assert_int_equal(aml_end(&a), 0);
	aml_close(&a);
	assert_int_equal(aml_end(&a), -1);
}

static void aml_open__has_a_depth_limit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < AML_DEPTH; i++)
		aml_else(&a);
	assert_false(a.failed);
	aml_else(&a);
	assert_true(a.failed);
}

static void aml_end__reports_a_full_buffer(void **state)
{
	struct buf small;
	struct aml w;

	(void)state;
	buf_init(&small, 10);
	aml_init(&w, &small);
	aml_scope(&w, "\\_SB");
	aml_name_str(&w, "_UID", "does not fit");
	aml_close(&w);
	assert_int_equal(aml_end(&w), -1);
	buf_fini(&small);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(aml_int__takes_the_shortest_form),
		T(aml_name__writes_every_form_of_path),
		T(aml_name__refuses_what_is_not_a_name),
		T(aml_name_eisa__compresses_the_id),
		T(aml_name_eisa__refuses_other_ids),
		T(aml_close__writes_lengths_of_each_size),
		T(aml_device__nests),
		T(aml_name_bytes__writes_the_buffer_size),
		T(aml_package__counts_its_elements),
		T(aml_method__holds_flags_and_code),
		T(aml_code__refuses_unknown_words),
		T(aml_field__packs_bits),
		T(aml_crs__writes_descriptors_and_the_end_tag),
		T(aml_windows__end_where_they_end),
		T(aml_windows__refuse_to_wrap),
		T(aml_end__refuses_unbalanced_blocks),
		T(aml_open__has_a_depth_limit),
		T(aml_end__reports_a_full_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
