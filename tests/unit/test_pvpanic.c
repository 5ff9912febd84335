/* SPDX-License-Identifier: Apache-2.0 */
/* test_pvpanic.c - the port by which a guest says that it has crashed. */
#include "kit.h"

#include "base/buf.h"
#include "devices/acpi/pvpanic.h"
#include "firmware/aml.h"

static unsigned panics, dumps;

static void on_crash(void *ctx, bool dumps_core)
{
	assert_non_null(ctx);
	panics += !dumps_core;
	dumps += dumps_core;
}

static void open_pvpanic(struct kit *k)
{
	panics = dumps = 0;
	kit_open(k, 1000);
	k->env.crashed = on_crash;
	kit_plug(k, &pvpanic_ops, NULL, NO_GSI);
}

static void pvpanic__tells_of_each_event_once(void **state)
{
	struct kit k;

	(void)state;
	open_pvpanic(&k);
	assert_int_equal(rd(&k, 0, 0, 1), 3);
	wr(&k, 0, 0, 1, 0);
	wr(&k, 0, 0, 1, 0xfc); /* nothing that we know */
	assert_int_equal(panics + dumps, 0);
	wr(&k, 0, 0, 1, 1);
	wr(&k, 0, 0, 1, 1);
	assert_int_equal(panics, 1);
	assert_int_equal(dumps, 0);
	wr(&k, 0, 0, 1, 3);
	assert_int_equal(panics, 1);
	assert_int_equal(dumps, 1);
	assert_int_equal(rd(&k, 0, 0, 1), 3);
	dev_reset(k.dev);
	wr(&k, 0, 0, 1, 2);
	assert_int_equal(dumps, 2);
	kit_close(&k);
}

static void pvpanic__remembers_over_a_load(void **state)
{
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf out;
	struct kit k;

	(void)state;
	open_pvpanic(&k);
	wr(&k, 0, 0, 1, 1);
	buf_init(&out, 256);
	save_init(&s, &out);
	assert_int_equal(dev_save(k.dev, &s), 0);
	dev_reset(k.dev);
	load_init(&l, out.data, out.size);
	assert_int_equal(dev_load(k.dev, &l, &e), 0);
	wr(&k, 0, 0, 1, 1);
	assert_int_equal(panics, 1);
	out.data[out.size - 1] = 0xff; /* an event that there is not */
	load_init(&l, out.data, out.size);
	assert_int_equal(dev_load(k.dev, &l, &e), -1);
	buf_fini(&out);
	kit_close(&k);
}

static void pvpanic__is_in_the_tables(void **state)
{
	struct buf out;
	struct aml a;
	struct kit k;

	(void)state;
	open_pvpanic(&k);
	buf_init(&out, 4096);
	aml_init(&a, &out);
	k.dev->ops->acpi(k.dev, &a);
	assert_non_null(memmem(out.data, out.size, "QEMU0001", 8));
	assert_non_null(memmem(out.data, out.size, "\x47\x01\x05\x05\x05\x05", 6)); /* I/O 0x505 */
	buf_fini(&out);
	kit_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pvpanic__tells_of_each_event_once),
		cmocka_unit_test(pvpanic__remembers_over_a_load),
		cmocka_unit_test(pvpanic__is_in_the_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
