/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtio_console.c - console bytes both ways, back-pressure, the size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backend/serial/chr.h"
#include "devices/virtio/console.h"
#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

extern const struct dev_ops virtio_console_ops;

enum { RING = 0x10000, RING_STRIDE = 0x10000, DATA = 0x100000, RX = 0, TX = 1 };

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct rig_virtio r;
	struct guestring g[2];
	struct chr *chr;
	int in, out; /* our ends: bytes to the guest, bytes from it */
};

static void create_chr(void *ctx)
{
	struct rig *x = ctx;
	struct chr_config c = { .mode = SILL_CHAR_TTY, .listen_fd = -1 };
	struct sill_err e = { 0 };
	int in[2], out[2];

	assert(pipe(in) == 0 && pipe(out) == 0);
	c.in_fd = in[0];
	c.out_fd = out[1];
	x->in = in[1];
	x->out = out[0];
	x->chr = chr_create("hvc0", &c, x->pc->env.loop, &e);
	assert(x->chr != NULL);
}

static void create_dev(void *ctx)
{
	struct rig *x = ctx;
	const struct virtio_console_config c = { .chr = x->chr, .cols = 80, .rows = 25, .slot = 4 };
	struct sill_err e = { 0 };

	x->d = dev_create(&virtio_console_ops, "hvc0", &c, NO_GSI, &x->pc->env, &e);
	assert(x->d != NULL);
}

static void drive(struct rig *x, uint64_t features)
{
	rig_plug(&x->r, x->pc, 4);
	for (unsigned i = 0; i < 3; i++)
		rig_vector(&x->r, i, i);
	rig_msix(&x->r, true);
	assert_true(rig_negotiate(&x->r, features | 1ull << VIRTIO_F_VERSION_1));
	rig_set_common(&x->r, 16, 2, 0);
	for (unsigned i = 0; i < 2; i++) {
		(void)guestring_init(&x->g[i], x->pc->mem, 64, RING + i * RING_STRIDE);
		rig_queue(&x->r, i, &x->g[i]);
		rig_set_common(&x->r, 26, 2, i + 1);
	}
	rig_driver_ok(&x->r);
}

static struct rig *rig_create(bool with_chr)
{
	struct rig *x = calloc(1, sizeof(*x));

	x->in = x->out = -1;
	x->pc = rig_pc_create();
	if (with_chr)
		loop_call(x->pc->env.loop, create_chr, x);
	loop_call(x->pc->env.loop, create_dev, x);
	return x;
}

static void rig_free(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	if (x->in >= 0)
		close(x->in);
	if (x->out >= 0)
		close(x->out);
	free(x);
}

static void offer(struct rig *x, unsigned q, unsigned head, gpa_t gpa, uint32_t n)
{
	guest_desc(x->pc->mem, x->g[q].s.desc, head, gpa, n, q == RX ? VIRTQ_DESC_WRITE : 0, 0);
	guestring_put(&x->g[q], head);
	if (guestring_show(&x->g[q]))
		rig_kick(&x->r, q);
}

static void console__sends_what_the_guest_writes(void **state)
{
	struct rig *x = rig_create(true);
	char got[32] = { 0 };
	uint32_t len;
	size_t n = 0;

	(void)state;
	drive(x, 0);
	assert_int_equal(rig_cfg(&x->r, 2, 2), 0x1043);
	assert_int_equal(gmem_write(x->pc->mem, DATA, "hello, world", 12), 0);
	/* One request of three buffers. */
	guest_desc(x->pc->mem, x->g[TX].s.desc, 0, DATA, 5, VIRTQ_DESC_NEXT, 1);
	guest_desc(x->pc->mem, x->g[TX].s.desc, 1, DATA + 5, 2, VIRTQ_DESC_NEXT, 2);
	guest_desc(x->pc->mem, x->g[TX].s.desc, 2, DATA + 7, 5, 0, 0);
	guestring_put(&x->g[TX], 0);
	assert_true(guestring_show(&x->g[TX]));
	rig_kick(&x->r, TX);
	assert_true(rig_message(x->pc, 2, 60000));
	assert_int_equal(rig_await(&x->g[TX], &len), 0);
	assert_int_equal(len, 0);
	while (n < 12)
		n += (size_t)read(x->out, got + n, sizeof(got) - n);
	assert_string_equal(got, "hello, world");
	rig_free(x);
}

static void console__output_never_waits_for_a_reader(void **state)
{
	struct rig *x = rig_create(true);
	uint32_t len;

	(void)state;
	drive(x, 0);
	for (unsigned i = 0; i < 1000; i++) { /* 4 MB, and nobody reads */
		offer(x, TX, i % 64, DATA, 4096);
		assert_int_equal(rig_await(&x->g[TX], &len), i % 64);
		assert_int_equal(len, 0);
	}
	assert_true(chr_dropped(x->chr) > 0);
	rig_free(x);
}

static void console__input_waits_for_buffers_and_buffers_for_input(void **state)
{
	struct rig *x = rig_create(true);
	uint32_t head, len;
	char got[64];

	(void)state;
	/* Keys that are pressed before there is a driver are kept. */
	assert_int_equal(write(x->in, "early", 5), 5);
	drive(x, 1ull << VIRTIO_F_EVENT_IDX);
	rig_turn(x->pc);
	offer(x, RX, 0, DATA, 3);
	assert_int_equal(rig_await(&x->g[RX], &len), 0);
	assert_int_equal(len, 3);
	offer(x, RX, 1, DATA + 3, 64);
	assert_int_equal(rig_await(&x->g[RX], &len), 1);
	assert_int_equal(len, 2);
	assert_int_equal(gmem_read(x->pc->mem, DATA, got, 5), 0);
	assert_memory_equal(got, "early", 5);
	offer(x, RX, 2, DATA, 64);
	rig_turn(x->pc);
	assert_false(guestring_get(&x->g[RX], &head, &len));
	assert_int_equal(write(x->in, "now", 3), 3);
	assert_int_equal(rig_await(&x->g[RX], &len), 2);
	assert_int_equal(len, 3);
	rig_free(x);
}

static void console__a_stream_arrives_whole_and_in_order(void **state)
{
	enum { TOTAL = 300000 };
	struct rig *x = rig_create(true);
	size_t sent = 0, got = 0;
	unsigned head = 0;

	(void)state;
	assert_int_equal(fcntl(x->in, F_SETFL, O_NONBLOCK), 0);
	drive(x, 1ull << VIRTIO_F_EVENT_IDX);
	while (got < TOTAL) {
		uint8_t piece[1000];
		uint32_t len;

		while (sent < TOTAL) {
			ssize_t n;

			for (size_t i = 0; i < sizeof(piece); i++)
				piece[i] = (uint8_t)((sent + i) * 7 >> 3);
			n = write(x->in, piece,
				  TOTAL - sent < sizeof(piece) ? TOTAL - sent : sizeof(piece));
			if (n < 0)
				break;
			sent += (size_t)n;
		}
		offer(x, RX, head, DATA, 777);
		assert_int_equal(rig_await(&x->g[RX], &len), head);
		assert_in_range(len, 1, 777);
		assert_int_equal(gmem_read(x->pc->mem, DATA, piece, len), 0);
		for (uint32_t i = 0; i < len; i++, got++)
			assert_int_equal(piece[i], (uint8_t)(got * 7 >> 3));
		head = (head + 1) % 64;
	}
	rig_free(x);
}

static void console__the_size_is_told_and_retold(void **state)
{
	struct rig *x = rig_create(true);
	const struct rig_virtio *r = &x->r;
	uint64_t generation;

	(void)state;
	virtio_console_resize(x->d, 81, 26); /* before anybody listens */
	rig_plug(&x->r, x->pc, 4);
	assert_int_equal(rig_features(r) & 1, 1);
	drive(x, 1);
	assert_int_equal(rig_get(r, r->device.off, 2), 81);
	assert_int_equal(rig_get(r, r->device.off + 2, 2), 26);
	assert_int_equal(rig_get(r, r->device.off + 4, 4), 1);
	assert_false(rig_message(x->pc, 0, 0));
	generation = rig_common(r, 21, 1);
	virtio_console_resize(x->d, 132, 50);
	assert_true(rig_message(x->pc, 0, 0));
	assert_int_equal(rig_get(r, r->device.off, 4), 132 | 50 << 16);
	assert_int_not_equal(rig_common(r, 21, 1), generation);
	virtio_console_resize(x->d, 132, 50); /* no news */
	assert_false(rig_message(x->pc, 0, 0));
	/* A driver that did not ask for the size is left alone. */
	(void)rig_reset(r);
	drive(x, 0);
	virtio_console_resize(x->d, 80, 25);
	assert_false(rig_message(x->pc, 0, 0));
	rig_free(x);
}

static void console__works_with_nothing_behind_it(void **state)
{
	struct rig *x = rig_create(false);
	uint32_t head, len;

	(void)state;
	drive(x, 0);
	offer(x, RX, 0, DATA, 64);
	offer(x, TX, 0, DATA, 64);
	assert_int_equal(rig_await(&x->g[TX], &len), 0);
	assert_false(guestring_get(&x->g[RX], &head, &len));
	rig_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(console__sends_what_the_guest_writes),
		cmocka_unit_test(console__output_never_waits_for_a_reader),
		cmocka_unit_test(console__input_waits_for_buffers_and_buffers_for_input),
		cmocka_unit_test(console__a_stream_arrives_whole_and_in_order),
		cmocka_unit_test(console__the_size_is_told_and_retold),
		cmocka_unit_test(console__works_with_nothing_behind_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
