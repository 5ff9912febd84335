/* SPDX-License-Identifier: Apache-2.0 */
/* test_watchdog.c - the watchdog's registers, what stops its time, and what it does at the end of it. */
#include "kit.h"

#include "devices/acpi/watchdog.h"
#include "firmware/acpi.h"

enum { LEFT = 0x00, COUNT = 0x04, AGAIN = 0x08, RUNS = 0x0c, RESETS = 0x10, FIRED = 0x14 };

static void open_watchdog(struct kit *k)
{
	kit_open(k, 1000);
	kit_plug(k, &watchdog_ops, NULL, NO_GSI);
}

static void watchdog__counts_as_it_is_told(void **state)
{
	struct kit k;

	(void)state;
	open_watchdog(&k);
	assert_int_equal(rd(&k, 0, COUNT, 4), 30000 / WATCHDOG_TICK_MS);
	assert_int_equal(rd(&k, 0, LEFT, 4), 0);
	assert_int_equal(rd(&k, 0, RESETS, 4), 1);
	wr(&k, 0, COUNT, 4, 0);
	assert_int_equal(rd(&k, 0, COUNT, 4), WATCHDOG_MIN);
	wr(&k, 0, COUNT, 4, 0xffffffff);
	assert_int_equal(rd(&k, 0, COUNT, 4), WATCHDOG_MAX);
	wr(&k, 0, COUNT, 4, 600);
	wr(&k, 0, AGAIN, 4, 1); /* it stands */
	assert_int_equal(rd(&k, 0, LEFT, 4), 0);
	wr(&k, 0, RUNS, 4, 1);
	assert_int_equal(rd(&k, 0, RUNS, 4), 1);
	assert_in_range(rd(&k, 0, LEFT, 4), 1, 600);
	wr(&k, 0, RUNS, 4, 0);
	assert_int_equal(rd(&k, 0, LEFT, 4), 0);
	kit_close(&k);
}

static void watchdog__has_no_other_registers(void **state)
{
	struct io io = { .off = 2, .size = 4 };
	struct kit k;

	(void)state;
	open_watchdog(&k);
	assert_int_equal(kit_access(&k, 0, &io), IO_NO_REGISTER);
	io = (struct io){ .off = COUNT, .size = 1 };
	assert_int_equal(kit_access(&k, 0, &io), IO_BAD_SIZE);
	io = (struct io){ .off = LEFT, .size = 4, .write = true };
	assert_int_equal(kit_access(&k, 0, &io), IO_READ_ONLY);
	kit_close(&k);
}

/* Guest time is set to where its countdown ends. */
static void watchdog__resets_the_machine(void **state)
{
	struct sill_err e = { 0 };
	struct kit k;

	(void)state;
	open_watchdog(&k);
	wr(&k, 0, COUNT, 4, WATCHDOG_MIN);
	wr(&k, 0, RUNS, 4, 1);
	/* It stands as long as the machine does. */
	vmclock_freeze(k.env.clock);
	dev_pause(k.dev);
	vmclock_set(k.env.clock,
		    vmclock_now(k.env.clock) + WATCHDOG_MIN * WATCHDOG_TICK_MS * 1000000ull);
	vmclock_thaw(k.env.clock);
	assert_int_equal(k.resets, 0);
	assert_int_equal(rd(&k, 0, RUNS, 4), 1);
	k.stop_on_request = true;
	dev_resume(k.dev);
	assert_int_equal(loop_run(k.env.loop, &e), 0);
	assert_int_equal(k.resets, 1);
	assert_int_equal(rd(&k, 0, RUNS, 4), 0);
	/* The next boot asks why. */
	dev_reset(k.dev);
	assert_int_equal(rd(&k, 0, FIRED, 4), 1);
	assert_int_equal(rd(&k, 0, COUNT, 4), 30000 / WATCHDOG_TICK_MS);
	wr(&k, 0, FIRED, 4, 0);
	assert_int_equal(rd(&k, 0, FIRED, 4), 1);
	wr(&k, 0, FIRED, 4, 1);
	assert_int_equal(rd(&k, 0, FIRED, 4), 0);
	kit_close(&k);
}

static void watchdog__goes_on_after_a_load(void **state)
{
	struct kit k;
	uint8_t *saved;
	size_t n;

	(void)state;
	open_watchdog(&k);
	wr(&k, 0, COUNT, 4, 900);
	wr(&k, 0, RUNS, 4, 1);
	saved = kit_save(&k, &n);
	dev_reset(k.dev);
	assert_int_equal(rd(&k, 0, LEFT, 4), 0);
	assert_int_equal(kit_load(&k, saved, n), 0);
	assert_int_equal(rd(&k, 0, RUNS, 4), 1);
	assert_int_equal(rd(&k, 0, COUNT, 4), 900);
	assert_in_range(rd(&k, 0, LEFT, 4), 1, 900);
	free(saved);
	kit_load_damaged(&k);
	kit_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watchdog__counts_as_it_is_told),
		cmocka_unit_test(watchdog__has_no_other_registers),
		cmocka_unit_test(watchdog__resets_the_machine),
		cmocka_unit_test(watchdog__goes_on_after_a_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
