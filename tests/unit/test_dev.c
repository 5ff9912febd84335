/* SPDX-License-Identifier: Apache-2.0 */
/* test_dev.c - the life of a device. */
#include "kit.h"

struct probe {
	unsigned accesses, resets, finis;
	bool refuse;
};

static struct probe probe;

static enum io_result probe_io(struct dev *d, unsigned region, struct io *io)
{
	(void)d;
	(void)region;
	(void)io;
	probe.accesses++;
	return IO_DONE;
}

/* As a device does that goes on the bus: a vCPU may be there before init() has returned. */
static int probe_init(struct dev *d, struct sill_err *e)
{
	struct io io = { .size = 1 };

	(void)d->target.io(d->target.ctx, 0, &io);
	return probe.refuse ? sill_err_set(e, SILL_ERR_HOST, "not today") : 0;
}

static void probe_reset(struct dev *d)
{
	(void)d;
	probe.resets++;
}

static void probe_fini(struct dev *d)
{
	(void)d;
	probe.finis++;
}

static const struct dev_ops probe_ops = {
	.type = "probe",
	.init = probe_init,
	.io = probe_io,
	.reset = probe_reset,
	.fini = probe_fini,
};

static void dev_create__takes_accesses_before_init_has_returned(void **state)
{
	struct sill_err e = { 0 };
	struct kit k;

	(void)state;
	probe = (struct probe){ 0 };
	kit_open(&k, 0);
	k.dev = dev_create(&probe_ops, "probe", NULL, NO_GSI, &k.env, &e);
	assert_non_null(k.dev);
	assert_int_equal(probe.accesses, 1);
	assert_int_equal(probe.resets, 1);
	kit_close(&k);
	assert_int_equal(probe.finis, 1);
}

static void dev_create__owes_no_fini_when_init_fails(void **state)
{
	struct sill_err e = { 0 };
	struct kit k;

	(void)state;
	probe = (struct probe){ .refuse = true };
	kit_open(&k, 0);
	k.dev = dev_create(&probe_ops, "probe", NULL, NO_GSI, &k.env, &e);
	assert_null(k.dev);
	assert_string_equal(e.msg, "probe: not today");
	assert_int_equal(probe.resets, 0);
	assert_int_equal(probe.finis, 0);
	kit_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dev_create__takes_accesses_before_init_has_returned),
		cmocka_unit_test(dev_create__owes_no_fini_when_init_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
