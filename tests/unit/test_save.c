/* SPDX-License-Identifier: Apache-2.0 */
/* test_save.c - the format of saved state: records, records inside records, strangers' bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/save.h"

enum { OUTER = SAVE_TAG('O', 'U', 'T', 'R'), INNER = SAVE_TAG('I', 'N', 'N', 'R') };

static void write_both(struct buf *b)
{
	struct saver s, inner;

	buf_init(b, 1 << 16);
	save_init(&s, b);
	save_begin(&s, OUTER, 1);
	save_str(&s, "disk0");
	save_init(&inner, b);
	save_begin(&inner, INNER, 2);
	save_u32(&inner, 0x12345678);
	save_end(&inner);
	save_end(&s);
	save_begin(&s, INNER, 1);
	save_u8(&s, 7);
	save_end(&s);
	assert_false(b->failed);
}

static int read_both(const uint8_t *data, size_t size, struct sill_err *e)
{
	struct loader l, inner;
	char name[8];
	int ret;

	load_init(&l, data, size);
	(void)load_begin(&l, OUTER, 1);
	load_str(&l, name, sizeof(name));
	inner = load_rest(&l);
	ret = load_end(&l, "the outer one", e);
	(void)load_begin(&inner, INNER, 2);
	if (load_u32(&inner) != 0x12345678 || strcmp(name, "disk0") != 0)
		load_fail(&inner);
	if (ret == 0 && load_end(&inner, "the inner one", e) == 0 &&
	    load_done(&inner, "the inner one", e) == 0) {
		if (load_peek(&l) != INNER)
			load_fail(&l);
		(void)load_begin(&l, INNER, 1);
		if (load_u8(&l) != 7)
			load_fail(&l);
		ret = load_end(&l, "the last one", e) < 0 ? -1 : load_done(&l, "all", e);
		return ret < 0 || load_peek(&l) != 0 ? -1 : 0;
	}
	return -1;
}

static void save__records_may_hold_records(void **state)
{
	struct sill_err e = { 0 };
	struct buf b;

	(void)state;
	write_both(&b);
	assert_int_equal(read_both(b.data, b.size, &e), 0);
	assert_int_equal(e.code, SILL_ERR_NONE);
	buf_fini(&b);
}

static void load__refuses_what_is_cut_or_goes_on(void **state)
{
	struct sill_err e = { 0 };
	struct buf b;

	(void)state;
	write_both(&b);
	for (size_t n = 0; n < b.size; n++) {
		e = (struct sill_err){ 0 };
		assert_int_equal(read_both(b.data, n, &e), -1);
		assert_int_equal(e.code, SILL_ERR_STATE);
	}
	(void)buf_add8(&b, 0);
	assert_int_equal(read_both(b.data, b.size, &e), -1);
	buf_fini(&b);
}

/* An inner record's size cannot lead out of the outer one. */
static void load__an_inner_record_ends_with_the_outer_one(void **state)
{
	struct sill_err e = { 0 };
	struct buf b;

	(void)state;
	write_both(&b);
	b.data[12 + 2 + 5 + 8] += 4;
	assert_int_equal(read_both(b.data, b.size, &e), -1);
	buf_fini(&b);
}

static void load_str__wants_text_that_fits(void **state)
{
	static const struct {
		uint8_t bytes[16];
		bool good;
	} row[] = {
		{ { 3, 0, 'a', 'b', 'c' }, true },
		{ { 0, 0 }, true },
		{ { 4, 0, 'a', 'b', 'c', 'd' }, false }, /* no room for its end */
		{ { 3, 0, 'a', 0, 'c' }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct loader l;
		char text[4];

		load_init(&l, row[i].bytes, sizeof(row[i].bytes));
		l.end = l.size;
		load_str(&l, text, sizeof(text));
		assert_int_equal(l.failed, !row[i].good);
		assert_int_equal(strlen(text), row[i].good ? row[i].bytes[0] : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(save__records_may_hold_records),
		cmocka_unit_test(load__refuses_what_is_cut_or_goes_on),
		cmocka_unit_test(load__an_inner_record_ends_with_the_outer_one),
		cmocka_unit_test(load_str__wants_text_that_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
