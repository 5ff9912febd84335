/* SPDX-License-Identifier: Apache-2.0 */
/* test_i8042.c - the reset line of a keyboard controller that is not there. */
#include "kit.h"

#include "devices/legacy/i8042.h"

static void i8042_status__reads_as_no_controller(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, 0);
	kit_plug(&k, &i8042_ops, NULL, NO_GSI);
	assert_int_equal(rd(&k, I8042_REGION_COMMAND, 0, 1), 0xfd); /* ready for a command */
	assert_int_equal(rd(&k, I8042_REGION_DATA, 0, 1), 0xff);
	kit_close(&k);
}

static void i8042_command__resets_for_pulses_of_bit_0_only(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, 0);
	kit_plug(&k, &i8042_ops, NULL, NO_GSI);
	for (unsigned v = 0; v < 256; v++) {
		k.resets = 0;
		wr(&k, I8042_REGION_COMMAND, 0, 1, v);
		assert_int_equal(k.resets, v >= 0xf0 && v % 2 == 0);
		wr(&k, I8042_REGION_DATA, 0, 1, 0xff);
	}
	/* What firmware sends to find a keyboard does nothing: AD A7 AA 60. */
	assert_int_equal(k.power_offs, 0);
	kit_close(&k);
}

static void i8042_output_port__resets_with_bit_0_clear(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, 0);
	kit_plug(&k, &i8042_ops, NULL, NO_GSI);
	wr(&k, I8042_REGION_DATA, 0, 1, 0xfe);
	assert_int_equal(k.resets, 0);
	wr(&k, I8042_REGION_COMMAND, 0, 1, 0xd1);
	wr(&k, I8042_REGION_DATA, 0, 1, 0xdf); /* A20 on */
	wr(&k, I8042_REGION_DATA, 0, 1, 0xfe); /* not for the output port */
	assert_int_equal(k.resets, 0);
	wr(&k, I8042_REGION_COMMAND, 0, 1, 0xd1);
	wr(&k, I8042_REGION_COMMAND, 0, 1, 0xad);
	wr(&k, I8042_REGION_DATA, 0, 1, 0xfe);
	assert_int_equal(k.resets, 0);
	wr(&k, I8042_REGION_COMMAND, 0, 1, 0xd1);
	wr(&k, I8042_REGION_DATA, 0, 1, 0xfe);
	assert_int_equal(k.resets, 1);
	kit_close(&k);
}

static void i8042_load__keeps_a_begun_command(void **state)
{
	struct kit a, b;
	uint8_t *saved;
	size_t n;

	(void)state;
	kit_open(&a, 0);
	kit_plug(&a, &i8042_ops, NULL, NO_GSI);
	wr(&a, I8042_REGION_COMMAND, 0, 1, 0xd1);
	saved = kit_save(&a, &n);
	kit_open(&b, 0);
	kit_plug(&b, &i8042_ops, NULL, NO_GSI);
	assert_int_equal(kit_load(&b, saved, n), 0);
	wr(&b, I8042_REGION_DATA, 0, 1, 0);
	assert_int_equal(b.resets, 1);
	kit_load_damaged(&b);
	dev_reset(a.dev);
	wr(&a, I8042_REGION_DATA, 0, 1, 0);
	assert_int_equal(a.resets, 0);
	free(saved);
	kit_close(&a);
	kit_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(i8042_status__reads_as_no_controller),
		cmocka_unit_test(i8042_command__resets_for_pulses_of_bit_0_only),
		cmocka_unit_test(i8042_output_port__resets_with_bit_0_clear),
		cmocka_unit_test(i8042_load__keeps_a_begun_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
