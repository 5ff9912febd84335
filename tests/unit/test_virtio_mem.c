/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtio_mem.c - blocks of memory that a driver plugs and unplugs: its own, never others; and what goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "core/ram.h"
#include "devices/virtio/mem.h"
#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

enum { RING = 0x10000, DATA = 0x100000, ANSWER_AT = 0x101000, SLOT = 4, BLOCKS = 16 };
enum { PLUG = 0, UNPLUG = 1, UNPLUG_ALL = 2, STATE = 3 };
enum { ACK = 0, NACK = 1, ERROR = 3 };
enum { PLUGGED = 0, UNPLUGGED = 1, MIXED = 2 };

#define BASE  (4ull << 30)
#define BLOCK VIRTIO_MEM_BLOCK

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct rig_virtio r;
	struct guestring g;
	struct ram ram;
};

static void create_dev(void *ctx)
{
	const struct virtio_mem_config c = {
		.base = BASE, .size = BLOCKS * BLOCK, .requested = 4 * BLOCK, .slot = SLOT
	};
	struct rig *x = ctx;
	struct sill_err e = { 0 };

	x->d = dev_create(&virtio_mem_ops, "memory", &c, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
}

static void drive(struct rig *x)
{
	rig_plug(&x->r, x->pc, SLOT);
	assert_true(rig_negotiate(&x->r, 3 | 1ull << VIRTIO_F_VERSION_1));
	(void)guestring_init(&x->g, x->pc->mem, 64, RING);
	rig_queue(&x->r, 0, &x->g);
	rig_driver_ok(&x->r);
}

static struct rig *rig_create(void)
{
	const struct sill_memory_config c = { .size = BLOCKS * BLOCK };
	struct rig *x = calloc(1, sizeof(*x));
	struct sill_err e = { 0 };

	x->pc = rig_pc_create();
	assert_int_equal(ram_map(&x->ram, &c, &e), 0);
	assert_int_equal(gmem_add_ram(x->pc->mem, BASE, &x->ram, 0, x->ram.size, &e), 0);
	loop_call(x->pc->env.loop, create_dev, x);
	drive(x);
	return x;
}

static void rig_free(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	ram_unmap(&x->ram);
	free(x);
}

static void offer(struct rig *x, uint32_t out, uint32_t in)
{
	guest_desc(x->pc->mem, x->g.s.desc, 0, DATA, out, VIRTQ_DESC_NEXT, 1);
	guest_desc(x->pc->mem, x->g.s.desc, 1, ANSWER_AT, in, VIRTQ_DESC_WRITE, 0);
	guestring_put(&x->g, 0);
	if (guestring_show(&x->g))
		rig_kick(&x->r, 0);
}

/* The answer's type, and its state in the upper half. */
static uint32_t ask(struct rig *x, unsigned type, gpa_t addr, unsigned blocks)
{
	uint8_t in[24] = { 0 }, out[10];
	uint32_t len;

	st16(in, (uint16_t)type);
	st64(in + 8, addr);
	st16(in + 16, (uint16_t)blocks);
	assert_int_equal(gmem_write(x->pc->mem, DATA, in, sizeof(in)), 0);
	offer(x, sizeof(in), sizeof(out));
	assert_int_equal(rig_await(&x->g, &len), 0);
	assert_int_equal(len, sizeof(out));
	assert_int_equal(gmem_read(x->pc->mem, ANSWER_AT, out, sizeof(out)), 0);
	return ld16(out) | (uint32_t)ld16(out + 8) << 16;
}

static gpa_t block(unsigned i)
{
	return BASE + i * BLOCK;
}

static uint32_t state_of(struct rig *x, unsigned first, unsigned blocks)
{
	const uint32_t a = ask(x, STATE, block(first), blocks);

	assert_int_equal(a & 0xffff, ACK);
	return a >> 16;
}

static uint64_t plugged(struct rig *x)
{
	struct virtio_mem_state s;

	virtio_mem_look(x->d, &s);
	assert_int_equal(rig_get(&x->r, x->r.device.off + 40, 8), s.plugged);
	assert_int_equal(rig_get(&x->r, x->r.device.off + 48, 8), s.requested);
	assert_true(s.driver);
	return s.plugged / BLOCK;
}

static void mem__plugs_as_much_as_is_requested(void **state)
{
	struct rig *x = rig_create();

	(void)state;
	assert_int_equal(rig_cfg(&x->r, 2, 2), 0x1040 + 24);
	assert_int_equal(rig_get(&x->r, x->r.device.off, 8), BLOCK);
	assert_int_equal(rig_get(&x->r, x->r.device.off + 8, 2), 0);
	assert_int_equal(rig_get(&x->r, x->r.device.off + 16, 8), BASE);
	assert_int_equal(rig_get(&x->r, x->r.device.off + 24, 8), BLOCKS * BLOCK);
	assert_int_equal(rig_get(&x->r, x->r.device.off + 32, 8), BLOCKS * BLOCK);
	assert_int_equal(plugged(x), 0);
	assert_int_equal(state_of(x, 0, BLOCKS), UNPLUGGED);
	assert_int_equal(ask(x, PLUG, block(3), 3), ACK);
	assert_int_equal(ask(x, PLUG, block(0), 2), NACK);  /* one too many */
	assert_int_equal(ask(x, PLUG, block(5), 1), ERROR); /* it is */
	assert_int_equal(ask(x, PLUG, block(15), 1), ACK);
	assert_int_equal(plugged(x), 4);
	assert_int_equal(state_of(x, 3, 3), PLUGGED);
	assert_int_equal(state_of(x, 2, 2), MIXED);
	assert_int_equal(state_of(x, 14, 1), UNPLUGGED);
	assert_int_equal(state_of(x, 15, 1), PLUGGED);
	rig_free(x);
}

static void mem__what_is_unplugged_goes_back(void **state)
{
	struct rig *x = rig_create();

	(void)state;
	assert_int_equal(ask(x, PLUG, block(3), 3), ACK);
	memset(x->ram.hva + 3 * BLOCK, 0x5a, 3 * BLOCK);
	assert_int_equal(ask(x, UNPLUG, block(3), 4), ERROR); /* one is not */
	assert_int_equal(x->ram.hva[3 * BLOCK], 0x5a);
	assert_int_equal(ask(x, UNPLUG, block(4), 1), ACK);
	assert_int_equal(ask(x, UNPLUG, block(4), 1), ERROR);
	assert_int_equal(plugged(x), 2);
	assert_int_equal(x->ram.hva[3 * BLOCK], 0x5a);
	assert_int_equal(x->ram.hva[4 * BLOCK], 0);
	assert_int_equal(x->ram.hva[5 * BLOCK - 1], 0);
	assert_int_equal(x->ram.hva[5 * BLOCK], 0x5a);
	assert_int_equal(ask(x, UNPLUG_ALL, 1, 0), ACK);
	assert_int_equal(plugged(x), 0);
	assert_int_equal(x->ram.hva[5 * BLOCK], 0);
	assert_int_equal(state_of(x, 0, BLOCKS), UNPLUGGED);
	rig_free(x);
}

static void mem__refuses_what_is_no_block_of_its_own(void **state)
{
	struct rig *x = rig_create();

	(void)state;
	for (unsigned type = PLUG; type <= STATE; type++) {
		if (type == UNPLUG_ALL)
			continue;
		assert_int_equal(ask(x, type, block(0) + 4096, 1), ERROR);
		assert_int_equal(ask(x, type, block(0), 0), ERROR);
		assert_int_equal(ask(x, type, block(0) - BLOCK, 1), ERROR);
		assert_int_equal(ask(x, type, block(0) - BLOCK, 2), ERROR);
		assert_int_equal(ask(x, type, block(15), 2), ERROR);
		assert_int_equal(ask(x, type, block(16), 1), ERROR);
		assert_int_equal(ask(x, type, 0, 1), ERROR);
		assert_int_equal(ask(x, type, UINT64_MAX - BLOCK + 1, 0xffff), ERROR);
		assert_int_equal(ask(x, type, block(1), 0xffff), ERROR);
	}
	assert_int_equal(ask(x, 4, block(0), 1), ERROR);
	assert_int_equal(plugged(x), 0);
	offer(x, 23, 10);
	while ((rig_common(&x->r, 20, 1) & VIRTIO_NEEDS_RESET) == 0)
		sched_yield();
	(void)rig_reset(&x->r);
	drive(x);
	offer(x, 24, 9);
	while ((rig_common(&x->r, 20, 1) & VIRTIO_NEEDS_RESET) == 0)
		sched_yield();
	rig_free(x);
}

static void mem__a_wish_is_told_and_blocks_outlast_the_driver(void **state)
{
	struct rig *x = rig_create();

	(void)state;
	rig_vector(&x->r, 0, 7);
	rig_msix(&x->r, true);
	rig_set_common(&x->r, 16, 2, 0);
	assert_int_equal(ask(x, PLUG, block(0), 4), ACK);
	virtio_mem_resize(x->d, 4 * BLOCK); /* as it was */
	assert_false(rig_message(x->pc, 7, 0));
	virtio_mem_resize(x->d, 6 * BLOCK);
	assert_true(rig_message(x->pc, 7, 60000));
	assert_int_equal(ask(x, PLUG, block(4), 2), ACK);
	/* Less than it has: what it has it may keep, and no more comes. */
	virtio_mem_resize(x->d, BLOCK);
	assert_int_equal(ask(x, PLUG, block(8), 1), NACK);
	assert_int_equal(plugged(x), 6);
	x->ram.hva[0] = 0x5a;
	(void)rig_reset(&x->r);
	drive(x);
	assert_int_equal(plugged(x), 6);
	assert_int_equal(state_of(x, 0, 6), PLUGGED);
	assert_int_equal(x->ram.hva[0], 0x5a);
	/* The machine's reset takes all. */
	dev_reset(x->d);
	while (!dev_drained(x->d))
		sched_yield();
	drive(x);
	assert_int_equal(plugged(x), 0);
	assert_int_equal(state_of(x, 0, BLOCKS), UNPLUGGED);
	assert_int_equal(x->ram.hva[0], 0);
	assert_int_equal(rig_get(&x->r, x->r.device.off + 48, 8), BLOCK);
	rig_free(x);
}

static void call_pause(void *ctx)
{
	dev_pause(ctx);
}

static void call_resume(void *ctx)
{
	dev_resume(ctx);
}

static void mem__goes_on_after_a_load(void **state)
{
	struct rig *x = rig_create();
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf out;

	(void)state;
	virtio_mem_resize(x->d, 8 * BLOCK);
	assert_int_equal(ask(x, PLUG, block(0), 1), ACK);
	assert_int_equal(ask(x, PLUG, block(9), 2), ACK);
	loop_call(x->pc->env.loop, call_pause, x->d);
	while (!dev_drained(x->d))
		sched_yield();
	buf_init(&out, 65536);
	save_init(&s, &out);
	assert_int_equal(dev_save(x->d, &s), 0);
	dev_reset(x->d);
	while (!dev_drained(x->d))
		sched_yield();
	virtio_mem_resize(x->d, 0);
	load_init(&l, out.data, out.size);
	assert_int_equal(dev_load(x->d, &l, &e), 0);
	loop_call(x->pc->env.loop, call_resume, x->d);
	assert_int_equal(plugged(x), 3);
	assert_int_equal(state_of(x, 9, 2), PLUGGED);
	assert_int_equal(state_of(x, 1, 8), UNPLUGGED);
	assert_int_equal(ask(x, PLUG, block(1), 5), ACK);
	assert_int_equal(ask(x, PLUG, block(6), 1), NACK);
	buf_fini(&out);
	rig_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mem__plugs_as_much_as_is_requested),
		cmocka_unit_test(mem__what_is_unplugged_goes_back),
		cmocka_unit_test(mem__refuses_what_is_no_block_of_its_own),
		cmocka_unit_test(mem__a_wish_is_told_and_blocks_outlast_the_driver),
		cmocka_unit_test(mem__goes_on_after_a_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
