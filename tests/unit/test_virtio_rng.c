/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtio_rng.c - the entropy device: whatever the source does, the guest is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/virtio/rng.h"
#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

extern const struct dev_ops virtio_rng_ops;

enum { RING = 0x10000, DATA = 0x100000 };

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct rig_virtio r;
	struct guestring g;
};

static struct rig *rig_create(int fd)
{
	struct rig *x = calloc(1, sizeof(*x));
	const struct virtio_rng_config c = { .fd = fd, .slot = -1 };
	struct sill_err e = { 0 };

	x->pc = rig_pc_create();
	x->d = dev_create(&virtio_rng_ops, "rng0", &c, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
	rig_plug(&x->r, x->pc, 1);
	rig_vector(&x->r, 0, 0);
	rig_vector(&x->r, 1, 1);
	rig_msix(&x->r, true);
	/* viorng: VERSION_1 and nothing else. */
	assert_true(rig_negotiate(&x->r, 1ull << VIRTIO_F_VERSION_1));
	(void)guestring_init(&x->g, x->pc->mem, 64, RING);
	rig_queue(&x->r, 0, &x->g);
	rig_set_common(&x->r, 26, 2, 1);
	rig_driver_ok(&x->r);
	return x;
}

static void rig_free(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	free(x);
}

static void ask(struct rig *x, unsigned head, uint32_t n)
{
	guest_desc(x->pc->mem, x->g.s.desc, head, DATA + 0x10000ull * head, n, VIRTQ_DESC_WRITE, 0);
	guestring_put(&x->g, head);
	if (guestring_show(&x->g))
		rig_kick(&x->r, 0);
}

/* The request is answered with some bytes, at most @max; not all of them zero. */
static uint32_t answered(struct rig *x, uint32_t max)
{
	uint8_t p[4096], any = 0;
	uint32_t len, head = rig_await(&x->g, &len);

	assert_in_range(len, 1, max);
	assert_int_equal(gmem_read(x->pc->mem, DATA + 0x10000ull * head, p, len), 0);
	for (uint32_t i = 0; i < len; i++)
		any |= p[i];
	assert_true(any != 0 || len < 16);
	return len;
}

static void rng__has_no_configuration(void **state)
{
	struct rig *x = rig_create(open("/dev/urandom", O_RDONLY | O_CLOEXEC));

	(void)state;
	assert_int_equal(rig_cfg(&x->r, 2, 2), 0x1044);
	assert_int_equal(x->r.device.at, 0); /* no capability for it */
	assert_int_equal(rig_common(&x->r, 18, 2), 1);
	rig_free(x);
}

static void rng__fills_buffers_up_to_a_bound(void **state)
{
	struct rig *x = rig_create(open("/dev/urandom", O_RDONLY | O_CLOEXEC));

	(void)state;
	ask(x, 0, 64);
	assert_true(rig_message(x->pc, 1, 60000));
	assert_int_equal(answered(x, 64), 64);
	ask(x, 1, 1);
	assert_int_equal(answered(x, 1), 1);
	ask(x, 2, 0x10000);
	assert_int_equal(answered(x, 4096), 4096);
	for (unsigned i = 0; i < 64; i++)
		ask(x, i, 100);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(answered(x, 100), 100);
	rig_free(x);
}

static void rng__a_request_without_room_is_given_back(void **state)
{
	struct rig *x = rig_create(open("/dev/urandom", O_RDONLY | O_CLOEXEC));
	uint32_t len;

	(void)state;
	guest_desc(x->pc->mem, x->g.s.desc, 0, DATA, 16, 0, 0);
	guestring_put(&x->g, 0);
	(void)guestring_show(&x->g);
	rig_kick(&x->r, 0);
	assert_int_equal(rig_await(&x->g, &len), 0);
	assert_int_equal(len, 0);
	rig_free(x);
}

static void rng__waits_for_a_slow_source(void **state)
{
	uint32_t head, len;
	struct rig *x;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	x = rig_create(p[0]);
	ask(x, 0, 64);
	ask(x, 1, 64);
	assert_false(rig_message(x->pc, 1, 50));
	assert_false(guestring_get(&x->g, &head, &len));
	assert_int_equal(write(p[1], "0123456789", 10), 10);
	assert_int_equal(answered(x, 64), 10);
	/* While it waits the device can be paused, resumed, reset. */
	dev_pause(x->d);
	rig_turn(x->pc); /* the answer was seen before its sender was done with the ring */
	assert_true(dev_drained(x->d));
	assert_int_equal(write(p[1], "abcde", 5), 5);
	rig_turn(x->pc);
	assert_false(guestring_get(&x->g, &head, &len));
	dev_resume(x->d);
	assert_int_equal(answered(x, 64), 5);
	ask(x, 2, 64);
	rig_turn(x->pc);
	assert_true(rig_reset(&x->r) < 60000);
	rig_free(x);
	close(p[1]);
}

static void rng__a_source_that_ends_is_replaced(void **state)
{
	struct rig *x;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	x = rig_create(p[0]);
	ask(x, 0, 64);
	rig_turn(x->pc);
	close(p[1]);
	assert_int_equal(answered(x, 64), 64);
	ask(x, 1, 64);
	assert_int_equal(answered(x, 64), 64);
	rig_free(x);

	int fd = memfd_create("seed", MFD_CLOEXEC);

	assert_int_equal(pwrite(fd, "0123456789", 10, 0), 10);
	x = rig_create(fd);
	ask(x, 0, 64);
	assert_int_equal(answered(x, 64), 10);
	ask(x, 1, 64);
	assert_int_equal(answered(x, 64), 64);
	rig_free(x);

	x = rig_create(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); /* fails with EISDIR */
	ask(x, 0, 64);
	assert_int_equal(answered(x, 64), 64);
	rig_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rng__has_no_configuration),
		cmocka_unit_test(rng__fills_buffers_up_to_a_bound),
		cmocka_unit_test(rng__a_request_without_room_is_given_back),
		cmocka_unit_test(rng__waits_for_a_slow_source),
		cmocka_unit_test(rng__a_source_that_ends_is_replaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
