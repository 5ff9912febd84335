/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio.c - the frame of all virtio devices and its PCI transport, with
 * a device type of the test's own that holds requests for as long as the test
 * wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

enum { RING = 0x10000, RING_STRIDE = 0x10000, DATA = 0x400000, QUEUES = 3, QUEUE_SIZE = 64 };

#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define INDIRECT  (1ull << VIRTIO_F_INDIRECT_DESC)
#define EVENT_IDX (1ull << VIRTIO_F_EVENT_IDX)
#define OWN       (1ull << 5)

/* The device: a request of a held queue stays in hand until let_go(). */
struct hold {
	struct virtio v;
	struct iothread *thread;
	uint8_t space[10];
	uint16_t head[QUEUE_SIZE];
	unsigned held;
	bool hold;      /* atomic */
	bool wait;      /* atomic: VIRTIO_WAIT */
	unsigned oks;   /* driver_ok calls */
	unsigned taken; /* atomic */
};

static enum virtio_next hold_request(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct hold *h = (struct hold *)(void *)q->v;

	if (__atomic_load_n(&h->wait, __ATOMIC_SEQ_CST))
		return VIRTIO_WAIT;
	if (c->in_len == 7)
		return VIRTIO_BROKEN;
	__atomic_add_fetch(&h->taken, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&h->hold, __ATOMIC_SEQ_CST))
		h->head[h->held++] = c->head;
	else
		virtio_push(q, c->head, c->in_len);
	return VIRTIO_TAKEN;
}

static void hold_driver_ok(struct virtio *v)
{
	((struct hold *)(void *)v)->oks++;
}

static enum io_result hold_config_write(struct virtio *v, const struct io *io)
{
	struct hold *h = (struct hold *)(void *)v;

	if (io->off + io->size > sizeof(h->space))
		return IO_NO_REGISTER;
	memcpy(h->space + io->off, &io->val, io->size);
	return IO_DONE;
}

static const struct virtio_ops hold_virtio_ops = {
	.request = hold_request,
	.driver_ok = hold_driver_ok,
	.config_write = hold_config_write,
};

static int hold_init(struct dev *d, struct sill_err *e)
{
	struct hold *h = d->state;
	const struct virtio_spec spec = {
		.ops = &hold_virtio_ops,
		.type = 42,
		.class_code = 0x00ff00,
		.queue_count = QUEUES,
		.queue_size = QUEUE_SIZE,
		.features = OWN,
		.config = h->space,
		.config_size = sizeof(h->space),
	};

	memcpy(h->space, "0123456789", 10);
	h->thread = iothread_create("hold", 0, e);
	if (h->thread == NULL || virtio_init(&h->v, d, &spec, e) < 0)
		return -1;
	for (unsigned i = 0; i < QUEUES; i++)
		h->v.queue[i].loop = iothread_loop(h->thread);
	return virtio_attach(&h->v, -1, e);
}

static void hold_fini(struct dev *d)
{
	struct hold *h = d->state;

	virtio_detach(&h->v);
	iothread_destroy(h->thread);
	virtio_fini(&h->v);
}

static const struct dev_ops hold_ops = {
	.type = "hold",
	.state_size = sizeof(struct hold),
	.init = hold_init,
	.io = virtio_io,
	.reset = virtio_reset,
	.pause = virtio_pause,
	.resume = virtio_resume,
	.stop = virtio_stop,
	.drained = virtio_drained,
	.fini = hold_fini,
	.save = virtio_save,
	.load = virtio_load,
};

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct hold *h;
	struct rig_virtio r;
	struct guestring g[QUEUES];
};

static int setup(void **state)
{
	struct rig *x = calloc(1, sizeof(*x));
	struct sill_err e = { 0 };

	x->pc = rig_pc_create();
	x->d = dev_create(&hold_ops, "hold0", NULL, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
	x->h = x->d->state;
	rig_plug(&x->r, x->pc, 1);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct rig *x = *state;

	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	free(x);
	return 0;
}

/* A driver that is up: features, MSI-X (config 0, queue i: i + 1, data 10 + vector), all queues. */
static void drive(struct rig *x, uint64_t features)
{
	for (unsigned i = 0; i <= QUEUES; i++)
		rig_vector(&x->r, i, 10 + i);
	rig_msix(&x->r, true);
	assert_true(rig_negotiate(&x->r, features | VERSION_1));
	rig_set_common(&x->r, 16, 2, 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		(void)guestring_init(&x->g[i], x->pc->mem, QUEUE_SIZE, RING + i * RING_STRIDE);
		x->g[i].s.event_idx = (features & EVENT_IDX) != 0;
		for (unsigned k = 0; k < QUEUE_SIZE; k++)
			guest_desc(x->pc->mem, x->g[i].s.desc, k, DATA + 16 * k, 16,
				   VIRTQ_DESC_WRITE, 0);
		rig_queue(&x->r, i, &x->g[i]);
		rig_set_common(&x->r, 26, 2, i + 1);
		assert_int_equal(rig_common(&x->r, 26, 2), i + 1);
	}
	rig_driver_ok(&x->r);
}

static void send(struct rig *x, unsigned queue, unsigned head)
{
	guestring_put(&x->g[queue], head);
	if (guestring_show(&x->g[queue]))
		rig_kick(&x->r, queue);
}

static void await_taken(struct rig *x, unsigned n)
{
	while (__atomic_load_n(&x->h->taken, __ATOMIC_SEQ_CST) < n)
		sched_yield();
}

static void finish_held(void *ctx)
{
	struct hold *h = ctx;

	while (h->held > 0)
		virtio_push(&h->v.queue[0], h->head[--h->held], 16);
	virtio_flush(&h->v.queue[0]);
}

static void let_go(struct rig *x)
{
	loop_call(iothread_loop(x->h->thread), finish_held, x->h);
}

static void virtio_pci__identity_and_capabilities(void **state)
{
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;

	assert_int_equal(rig_cfg(r, 2, 2), 0x1040 + 42);
	assert_int_equal(rig_cfg(r, PCI_SUBSYS_VENDOR, 2), 0x1af4);
	assert_int_equal(rig_cfg(r, PCI_SUBSYS, 2), 0x1100);
	assert_int_equal(rig_cfg(r, PCI_REVISION, 1), 1);
	assert_int_equal(rig_cfg(r, PCI_INT_PIN, 1), 1);
	/* Order: common, ISR, device, notify, window, MSI-X. */
	assert_true(r->common.at < r->isr.at && r->isr.at < r->device.at);
	assert_true(r->device.at < r->notify.at && r->notify.at < r->window.at);
	assert_true(r->window.at < r->msix_at);
	assert_true(r->common.length >= 56 && r->common.off % 4 == 0);
	assert_int_equal(r->device.length, 10);
	assert_int_equal(rig_cfg(r, r->window.at + 2u, 1), 20);
	assert_int_equal(rig_cfg(r, r->notify.at + 2u, 1), 20);
	assert_true(r->notify.length >= QUEUES * r->multiplier);
	assert_int_equal(r->msix_count, QUEUES + 1);
	/* A 64-bit memory BAR, sized by all ones, that reads back what was written. */
	assert_int_equal(rig_cfg(r, PCI_BAR0, 4), (uint32_t)r->bar | 4);
	rig_set_cfg(r, PCI_COMMAND, 2, 0);
	rig_set_cfg(r, PCI_BAR0, 4, 0xffffffff);
	rig_set_cfg(r, PCI_BAR0 + 4, 4, 0xffffffff);
	assert_int_equal(rig_cfg(r, PCI_BAR0, 4), (uint32_t)-VIRTIO_BAR_SIZE | 4);
	assert_int_equal(rig_cfg(r, PCI_BAR0 + 4, 4), 0xffffffff);
}

static void virtio_common__registers_read_as_the_specification_says(void **state)
{
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;
	uint64_t whole;

	assert_int_equal(rig_features(r), VERSION_1 | INDIRECT | EVENT_IDX | OWN);
	rig_set_common(r, 0, 4, 2);
	assert_int_equal(rig_common(r, 4, 4), 0);
	rig_set_common(r, 0, 4, 0xffffffff);
	assert_int_equal(rig_common(r, 4, 4), 0);
	assert_int_equal(rig_common(r, 16, 2), 0xffff);
	assert_int_equal(rig_common(r, 18, 2), QUEUES);
	assert_int_equal(rig_common(r, 20, 1), 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		rig_set_common(r, 22, 2, i);
		assert_int_equal(rig_common(r, 22, 2), i);
		assert_int_equal(rig_common(r, 24, 2), QUEUE_SIZE);
		assert_int_equal(rig_common(r, 26, 2), 0xffff);
		assert_int_equal(rig_common(r, 28, 2), 0);
		assert_int_equal(rig_common(r, 30, 2), i);
	}
	/* A queue that does not exist: size 0, no vector, and writes fall through. */
	rig_set_common(r, 22, 2, QUEUES);
	assert_int_equal(rig_common(r, 24, 2), 0);
	assert_int_equal(rig_common(r, 26, 2), 0xffff);
	rig_set_common(r, 28, 2, 1);
	rig_set_common(r, 32, 8, 0x1000);
	assert_int_equal(rig_common(r, 28, 2), 0);
	/* Doorbells have nothing to read. */
	assert_int_equal(rig_get(r, r->notify.off, 2), 0);
	assert_int_equal(rig_get(r, r->notify.off + r->multiplier, 4), 0);
	/* Any size and place reads the same bytes. */
	whole = rig_common(r, 16, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(rig_common(r, 16 + i, 1), whole >> 8 * i & 0xff);
	assert_int_equal(rig_common(r, 56, 8), 0);
}

static void virtio_common__ring_addresses_come_in_halves(void **state)
{
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;

	for (unsigned off = 32; off < 56; off += 8) {
		rig_set_common(r, off + 4, 4, 0x12345678);
		rig_set_common(r, off, 4, 0x9abcdef0);
		assert_int_equal(rig_common(r, off, 8), 0x123456789abcdef0);
		rig_set_common(r, off, 4, 1);
		assert_int_equal(rig_common(r, off, 8), 0x1234567800000001);
		rig_set_common(r, off, 8, 0xfedcba9876543210);
		assert_int_equal(rig_common(r, off + 4, 4), 0xfedcba98);
		rig_set_common(r, off, 2, 0); /* not a half */
		rig_set_common(r, off + 2, 4, 0);
		assert_int_equal(rig_common(r, off, 8), 0xfedcba9876543210);
	}
}

static void virtio_common__sizes_and_vectors_are_checked(void **state)
{
	static const uint16_t bad_sizes[] = { 0, 3, 65, 128, 0x8000, 0xffff };
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;

	rig_set_common(r, 24, 2, 16);
	for (size_t i = 0; i < ARRAY_LEN(bad_sizes); i++) {
		rig_set_common(r, 24, 2, bad_sizes[i]);
		assert_int_equal(rig_common(r, 24, 2), 16);
	}
	rig_set_common(r, 26, 2, QUEUES);
	assert_int_equal(rig_common(r, 26, 2), QUEUES);
	rig_set_common(r, 26, 2, QUEUES + 1); /* cannot be had: reads back as none */
	assert_int_equal(rig_common(r, 26, 2), 0xffff);
	rig_set_common(r, 16, 2, 1);
	assert_int_equal(rig_common(r, 16, 2), 1);
	rig_set_common(r, 16, 2, 0x7fff);
	assert_int_equal(rig_common(r, 16, 2), 0xffff);
	(void)rig_reset(r);
	assert_int_equal(rig_common(r, 24, 2), QUEUE_SIZE);
	assert_int_equal(rig_common(r, 16, 2), 0xffff);
	rig_set_common(r, 24, 2, 16);
	rig_set_common(r, 28, 2, 1);
	rig_set_common(r, 24, 2, 32); /* too late */
	rig_set_common(r, 32, 4, 0x1000);
	rig_set_common(r, 28, 2, 0);
	assert_int_equal(rig_common(r, 24, 2), 16);
	assert_int_equal(rig_common(r, 32, 8), 0);
	assert_int_equal(rig_common(r, 28, 2), 1);
}

static void virtio_status__features_act_once_and_only_if_offered(void **state)
{
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;

	assert_false(rig_negotiate(r, VERSION_1 | 1ull << 6)); /* not offered */
	(void)rig_reset(r);
	assert_false(rig_negotiate(r, OWN)); /* VERSION_1 is a must */
	rig_driver_ok(r);                    /* refused without FEATURES_OK */
	assert_int_equal(rig_common(r, 20, 1) & 4, 0);
	(void)rig_reset(r);
	assert_true(rig_negotiate(r, VERSION_1 | OWN));
	rig_set_common(r, 8, 4, 0); /* later writes change nothing */
	rig_set_common(r, 12, 4, 0);
	assert_int_equal(rig_common(r, 12, 4), OWN);
	rig_driver_ok(r);
	rig_set_common(r, 20, 1, 1 | 2 | 4 | 8);
	rig_set_common(r, 20, 1, 1 | 2 | 4 | 8);
	assert_int_equal(x->h->oks, 1);
	assert_int_equal(x->h->v.features, VERSION_1 | OWN);
	rig_set_common(r, 20, 1, 1); /* bits go away by reset only */
	assert_int_equal(rig_common(r, 20, 1), 1 | 2 | 4 | 8);
	assert_true(rig_reset(r) < 60000);
	assert_int_equal(x->h->v.features, 0);
	/* All at once, as a hurried driver does. */
	rig_set_common(r, 8, 4, 1);
	rig_set_common(r, 12, 4, 1);
	rig_set_common(r, 20, 1, 1 | 2 | 4 | 8);
	assert_int_equal(rig_common(r, 20, 1), 1 | 2 | 4 | 8);
}

static void virtio__requests_go_through_and_interrupt(void **state)
{
	static const uint64_t ways[] = { 0, INDIRECT, INDIRECT | EVENT_IDX };
	struct rig *x = *state;

	for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
		drive(x, ways[w]);
		for (unsigned i = 0; i < 5 * QUEUE_SIZE; i++) {
			const unsigned q = i % QUEUES;
			uint32_t len;

			guestring_used_event(&x->g[q], x->g[q].used_seen);
			send(x, q, i % QUEUE_SIZE);
			assert_true(rig_message(x->pc, 11 + q, 60000));
			assert_int_equal(rig_await(&x->g[q], &len), i % QUEUE_SIZE);
			assert_int_equal(len, 16);
		}
		(void)rig_reset(&x->r);
		/* All queues are as new, also those that were not used. */
		rig_set_common(&x->r, 22, 2, 2);
		assert_int_equal(rig_common(&x->r, 28, 2), 0);
		assert_int_equal(rig_common(&x->r, 26, 2), 0xffff);
		assert_int_equal(rig_common(&x->r, 24, 2), QUEUE_SIZE);
		assert_int_equal(rig_common(&x->r, 32, 8), 0);
	}
	assert_int_equal(x->h->v.dev->target.guest_errors, 0);
}

static void virtio__intx_sets_the_isr_until_it_is_read(void **state)
{
	struct rig *x = *state;
	const unsigned gsi = pci_intx_gsi(1, 1);
	uint32_t len;

	drive(x, 0);
	rig_msix(&x->r, false);
	send(x, 1, 0);
	(void)rig_await(&x->g[1], &len);
	while (!__atomic_load_n(&x->pc->line[gsi], __ATOMIC_SEQ_CST))
		sched_yield();
	assert_int_equal(rig_cfg(&x->r, PCI_STATUS, 2) & PCI_STATUS_INTX, PCI_STATUS_INTX);
	/* Masked in the command register, and back. */
	rig_set_cfg(&x->r, PCI_COMMAND, 2, PCI_CMD_MEMORY | PCI_CMD_MASTER | PCI_CMD_INTX_OFF);
	assert_false(x->pc->line[gsi]);
	rig_set_cfg(&x->r, PCI_COMMAND, 2, PCI_CMD_MEMORY | PCI_CMD_MASTER);
	assert_true(x->pc->line[gsi]);
	assert_int_equal(rig_get(&x->r, x->r.isr.off, 1), 1);
	assert_false(x->pc->line[gsi]);
	assert_int_equal(rig_get(&x->r, x->r.isr.off, 1), 0);
	assert_int_equal(rig_cfg(&x->r, PCI_STATUS, 2) & PCI_STATUS_INTX, 0);
	/* A reset takes the line down. */
	send(x, 1, 0);
	while (!__atomic_load_n(&x->pc->line[gsi], __ATOMIC_SEQ_CST))
		sched_yield();
	(void)rig_reset(&x->r);
	assert_false(x->pc->line[gsi]);
}

static void virtio__config_space_has_a_generation(void **state)
{
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;
	uint64_t generation;

	assert_int_equal(rig_get(r, r->device.off + 4, 1), '4');
	assert_int_equal(rig_get(r, r->device.off + 2, 2), 0x3332);
	assert_int_equal(rig_get(r, r->device.off + 4, 4), 0x37363534);
	assert_int_equal(rig_get(r, r->device.off + 8, 4), 0x3938); /* the rest is not there */
	assert_int_equal(rig_get(r, r->device.off + 12, 4), 0xffffffff);
	rig_set(r, r->device.off + 4, 2, 0x4142);
	assert_int_equal(rig_get(r, r->device.off + 4, 2), 0x4142);
	drive(x, 0);
	generation = rig_common(r, 21, 1);
	dev_take(x->d);
	virtio_config_changed(&x->h->v);
	dev_drop(x->d);
	assert_int_not_equal(rig_common(r, 21, 1), generation);
	assert_true(rig_message(x->pc, 10, 0));
	assert_int_equal(rig_get(r, r->isr.off, 1), 2);
}

static void virtio__a_broken_ring_needs_a_reset_and_nothing_less(void **state)
{
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;
	uint32_t len;

	drive(x, 0);
	send(x, 0, 5);
	(void)rig_await(&x->g[0], &len);
	send(x, 0, QUEUE_SIZE); /* no such descriptor */
	assert_true(rig_message(x->pc, 10, 60000));
	assert_int_equal(rig_common(r, 20, 1), 1 | 2 | 4 | 8 | 64);
	/* It stays, whatever the driver writes; other queues stand still too. */
	rig_set_common(r, 20, 1, 1 | 2 | 4 | 8);
	assert_int_equal(rig_common(r, 20, 1), 1 | 2 | 4 | 8 | 64);
	send(x, 1, 0);
	rig_kick(r, 1);
	assert_false(rig_message(x->pc, 12, 50));
	assert_true(rig_reset(r) < 60000);
	assert_int_equal(rig_common(r, 20, 1), 0);
	drive(x, EVENT_IDX);
	send(x, 0, 5);
	(void)rig_await(&x->g[0], &len);
	/* A request that makes no sense, and a ring that is nowhere: the same. */
	guest_desc(x->pc->mem, x->g[0].s.desc, 1, DATA, 7, VIRTQ_DESC_WRITE, 0);
	send(x, 0, 1);
	assert_true(rig_message(x->pc, 10, 60000));
	(void)rig_reset(r);
	x->g[0].s.desc = 0; /* drive() sets it up anew, this goes to the device */
	rig_msix(r, true);
	assert_true(rig_negotiate(r, VERSION_1));
	x->g[0].s.used = GUEST_RAM - 8;
	rig_queue(r, 0, &x->g[0]);
	rig_driver_ok(r);
	while ((rig_common(r, 20, 1) & 64) == 0)
		sched_yield();
}

static void virtio__a_used_ring_that_vanishes_breaks_the_queue(void **state)
{
	struct rig *x = *state;
	struct sill_err e = { 0 };
	const gpa_t far = 1ull << 32;
	uint8_t *p = aligned_alloc(4096, 4096);

	assert_int_equal(gmem_add(x->pc->mem, far, 4096, p, GMEM_RAM, &e), 0);
	memset(p, 0, 4096);
	rig_msix(&x->r, true);
	rig_vector(&x->r, 0, 10);
	assert_true(rig_negotiate(&x->r, VERSION_1));
	rig_set_common(&x->r, 16, 2, 0);
	(void)guestring_init(&x->g[0], x->pc->mem, 16, RING);
	x->g[0].s.used = far;
	guest_desc(x->pc->mem, x->g[0].s.desc, 0, DATA, 16, VIRTQ_DESC_WRITE, 0);
	rig_queue(&x->r, 0, &x->g[0]);
	__atomic_store_n(&x->h->hold, true, __ATOMIC_SEQ_CST);
	rig_driver_ok(&x->r);
	send(x, 0, 0);
	await_taken(x, 1);
	guest_ram_remove(x->pc->mem, far);
	free(p);
	let_go(x);
	assert_true(rig_message(x->pc, 10, 60000));
	assert_int_equal(rig_common(&x->r, 20, 1) & 64, 64);
	(void)rig_reset(&x->r);
}

static void virtio_window__reaches_every_register_and_rings(void **state)
{
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;
	const unsigned w = r->window.at;
	uint32_t len;

	drive(x, 0);
	rig_set_cfg(r, w + 4, 1, 0);
	rig_set_cfg(r, w + 8, 4, r->common.off + 18);
	rig_set_cfg(r, w + 12, 4, 2);
	assert_int_equal(rig_cfg(r, w + 16, 2), QUEUES);
	assert_int_equal(rig_cfg(r, w + 16, 4), QUEUES);
	rig_set_cfg(r, w + 8, 4, r->common.off + 20);
	rig_set_cfg(r, w + 12, 4, 1);
	assert_int_equal(rig_cfg(r, w + 16, 1), 15);
	rig_set_cfg(r, w + 8, 4, r->device.off + 4);
	rig_set_cfg(r, w + 12, 4, 4);
	rig_set_cfg(r, w + 16, 4, 0x44434241);
	assert_int_equal(rig_get(r, r->device.off + 4, 4), 0x44434241);
	/* A dword write with length 1 is a write of one byte. */
	rig_set_cfg(r, w + 12, 4, 1);
	rig_set_cfg(r, w + 16, 4, 0x5a5a5a5a);
	assert_int_equal(rig_get(r, r->device.off + 4, 4), 0x4443425a);
	/* A doorbell. */
	guestring_put(&x->g[2], 3);
	(void)guestring_show(&x->g[2]);
	rig_set_cfg(r, w + 8, 4, r->notify.off + 2 * r->multiplier);
	rig_set_cfg(r, w + 12, 4, 2);
	rig_set_cfg(r, w + 16, 2, 2);
	assert_int_equal(rig_await(&x->g[2], &len), 3);
	/* What it does not reach reads as all ones. */
	rig_set_cfg(r, w + 8, 4, 0x7fffffff);
	assert_int_equal(rig_cfg(r, w + 16, 4), 0xffffffff);
	rig_set_cfg(r, w + 8, 4, VIRTIO_BAR_SIZE);
	assert_int_equal(rig_cfg(r, w + 16, 4), 0xffffffff);
	rig_set_cfg(r, w + 8, 4, r->common.off + 1);
	assert_int_equal(rig_cfg(r, w + 16, 4), 0xffffffff);
	rig_set_cfg(r, w + 8, 4, r->common.off);
	rig_set_cfg(r, w + 12, 4, 3);
	assert_int_equal(rig_cfg(r, w + 16, 4), 0xffffffff);
	rig_set_cfg(r, w + 12, 4, 4);
	rig_set_cfg(r, w + 4, 1, 1);
	assert_int_equal(rig_cfg(r, w + 16, 4), 0xffffffff);
	rig_set_cfg(r, w + 16, 4, 0);
	/* Reset by the window, polled by the window. */
	rig_set_cfg(r, w + 4, 1, 0);
	rig_set_cfg(r, w + 8, 4, r->common.off + 20);
	rig_set_cfg(r, w + 12, 4, 1);
	rig_set_cfg(r, w + 16, 1, 0);
	assert_int_equal(rig_cfg(r, w + 16, 1), 0);
}

/* As Windows does when it rebalances: decode off, low, high, decode on; the driver is running. */
static void virtio__the_bar_moves_with_its_doorbells(void **state)
{
	struct rig *x = *state;
	struct rig_virtio *r = &x->r;
	uint64_t one = 1, word = 0;
	uint32_t len;

	drive(x, EVENT_IDX);
	for (unsigned i = 0; i < 20; i++) {
		const uint64_t old = r->bar, at = (1ull << 39) - (i + 1) * 0x800000ull;
		const uint64_t bell = at + r->notify.off + r->multiplier;

		rig_set_cfg(r, PCI_COMMAND, 2, PCI_CMD_MASTER);
		rig_set_cfg(r, PCI_BAR0, 4, (uint32_t)at);
		rig_set_cfg(r, PCI_BAR0 + 4, 4, (uint32_t)(at >> 32));
		rig_set_cfg(r, PCI_COMMAND, 2, PCI_CMD_MASTER | PCI_CMD_MEMORY);
		r->bar = at;
		assert_int_equal(rig_cfg(r, PCI_BAR0, 4), (uint32_t)at | 4);
		assert_int_equal(rig_common(r, 20, 1), 15);
		assert_false(map_read(x->pc->mmio, rig_reader, old, &word, 4));
		assert_int_equal(rig_bell(x->pc, old + r->notify.off + r->multiplier), 0);
		/* By a register access, and by the eventfd that the kernel would ring. */
		send(x, 1, 5);
		assert_int_equal(rig_await(&x->g[1], &len), 5);
		guestring_put(&x->g[1], 6);
		(void)guestring_show(&x->g[1]);
		assert_int_not_equal(rig_bell(x->pc, bell), 0);
		assert_int_equal(write(rig_bell(x->pc, bell), &one, 8), 8);
		assert_int_equal(rig_await(&x->g[1], &len), 6);
	}
}

static void virtio__no_dma_without_bus_mastering(void **state)
{
	struct rig *x = *state;
	uint32_t len;

	rig_set_cfg(&x->r, PCI_COMMAND, 2, PCI_CMD_MEMORY);
	drive(x, 0);
	guestring_put(&x->g[0], 0);
	(void)guestring_show(&x->g[0]);
	rig_kick(&x->r, 0);
	assert_false(rig_message(x->pc, 11, 50));
	rig_set_cfg(&x->r, PCI_COMMAND, 2, PCI_CMD_MEMORY | PCI_CMD_MASTER);
	assert_int_equal(rig_await(&x->g[0], &len), 0);
	rig_set_cfg(&x->r, PCI_COMMAND, 2, PCI_CMD_MEMORY);
	guestring_put(&x->g[0], 1);
	(void)guestring_show(&x->g[0]);
	rig_kick(&x->r, 0);
	assert_false(guestring_get(&x->g[0], &len, &len));
	rig_set_cfg(&x->r, PCI_COMMAND, 2, PCI_CMD_MEMORY | PCI_CMD_MASTER);
	assert_int_equal(rig_await(&x->g[0], &len), 1);
}

static void virtio__waiting_requests_stay_in_the_ring(void **state)
{
	struct rig *x = *state;
	uint32_t head, len;

	__atomic_store_n(&x->h->wait, true, __ATOMIC_SEQ_CST);
	drive(x, EVENT_IDX);
	send(x, 0, 9);
	send(x, 0, 10);
	assert_false(rig_message(x->pc, 11, 50));
	assert_false(guestring_get(&x->g[0], &head, &len));
	__atomic_store_n(&x->h->wait, false, __ATOMIC_SEQ_CST);
	rig_kick(&x->r, 0);
	assert_int_equal(rig_await(&x->g[0], &len), 9);
	assert_int_equal(rig_await(&x->g[0], &len), 10);
}

static void hold_some(struct rig *x, unsigned n)
{
	__atomic_store_n(&x->h->hold, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < n; i++)
		send(x, 0, i);
	await_taken(x, n);
}

static void virtio_reset__status_reads_0_when_nothing_is_in_flight(void **state)
{
	struct rig *x = *state;
	uint32_t head, len;

	drive(x, 0);
	hold_some(x, 20);
	rig_set_common(&x->r, 20, 1, 0);
	assert_int_not_equal(rig_common(&x->r, 20, 1), 0);
	rig_set_common(&x->r, 20, 1, 0); /* again: does not wait */
	assert_int_not_equal(rig_common(&x->r, 20, 1), 0);
	send(x, 0, 40); /* too late: not taken */
	rig_kick(&x->r, 0);
	let_go(x);
	assert_int_equal(rig_common(&x->r, 20, 1), 0);
	assert_int_equal(__atomic_load_n(&x->h->taken, __ATOMIC_SEQ_CST), 20);
	for (unsigned i = 0; i < 20; i++)
		assert_true(guestring_get(&x->g[0], &head, &len));
	assert_false(guestring_get(&x->g[0], &head, &len));
	__atomic_store_n(&x->h->hold, false, __ATOMIC_SEQ_CST);
	drive(x, 0);
	send(x, 0, 1);
	(void)rig_await(&x->g[0], &len);
}

static void *let_go_later(void *arg)
{
	const struct timespec t = { .tv_nsec = 50 * 1000 * 1000 };

	(void)nanosleep(&t, NULL); /* the driver is to be caught waiting */
	let_go(arg);
	return NULL;
}

static void virtio_reset__holds_up_a_driver_that_does_not_poll(void **state)
{
	struct rig *x = *state;
	pthread_t t;
	uint32_t len;

	drive(x, 0);
	hold_some(x, 3);
	__atomic_store_n(&x->h->hold, false, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_create(&t, NULL, let_go_later, x), 0);
	rig_set_common(&x->r, 20, 1, 0);
	rig_set_common(&x->r, 20, 1, 1); /* waits here */
	assert_int_equal(rig_common(&x->r, 20, 1), 1);
	assert_int_equal(x->h->held, 0);
	(void)pthread_join(t, NULL);
	drive(x, 0);
	send(x, 0, 1);
	assert_int_equal(rig_await(&x->g[0], &len), 1);
}

static void virtio_reset__does_not_wait_inside_the_window(void **state)
{
	struct rig *x = *state;
	const struct rig_virtio *r = &x->r;
	const unsigned w = r->window.at;

	drive(x, 0);
	hold_some(x, 3);
	rig_set_cfg(r, w + 8, 4, r->common.off + 20);
	rig_set_cfg(r, w + 12, 4, 1);
	rig_set_cfg(r, w + 16, 1, 0);
	rig_set_cfg(r, w + 16, 1, 1); /* dropped: the driver must poll */
	assert_int_equal(rig_cfg(r, w + 16, 1), 15);
	let_go(x);
	assert_int_equal(rig_cfg(r, w + 16, 1), 0);
}

static void virtio_reset__of_the_machine_waits_by_drained(void **state)
{
	struct rig *x = *state;
	unsigned before;

	drive(x, 0);
	hold_some(x, 5);
	before = __atomic_load_n(&x->pc->progress, __ATOMIC_SEQ_CST);
	pci_bus_reset(x->pc->pci);
	dev_reset(x->d);
	assert_false(dev_drained(x->d));
	let_go(x);
	assert_true(dev_drained(x->d));
	assert_int_not_equal(__atomic_load_n(&x->pc->progress, __ATOMIC_SEQ_CST), before);
	assert_int_equal(x->h->v.status, 0);
	assert_false(x->h->v.msix.enabled);
	__atomic_store_n(&x->h->hold, false, __ATOMIC_SEQ_CST);
	rig_plug(&x->r, x->pc, 1);
	assert_int_equal(rig_common(&x->r, 20, 1), 0);
	drive(x, 0);
	send(x, 0, 1);
	assert_true(rig_message(x->pc, 11, 60000));
}

static void virtio_pause__nothing_moves_until_resume(void **state)
{
	struct rig *x = *state;
	uint32_t head, len;

	drive(x, EVENT_IDX);
	hold_some(x, 2);
	dev_pause(x->d);
	assert_false(dev_drained(x->d));
	__atomic_store_n(&x->h->hold, false, __ATOMIC_SEQ_CST);
	guestring_put(&x->g[0], 30);
	(void)guestring_show(&x->g[0]);
	rig_kick(&x->r, 0);
	let_go(x);
	assert_true(dev_drained(x->d));
	assert_true(guestring_get(&x->g[0], &head, &len));
	assert_true(guestring_get(&x->g[0], &head, &len));
	assert_false(guestring_get(&x->g[0], &head, &len));
	dev_resume(x->d);
	assert_int_equal(rig_await(&x->g[0], &len), 30);
	/* On and off again, with a ring that is never empty. */
	for (unsigned i = 0; i < 500; i++) {
		send(x, 0, i % QUEUE_SIZE);
		dev_pause(x->d);
		dev_resume(x->d);
		assert_int_equal(rig_await(&x->g[0], &len), i % QUEUE_SIZE);
	}
}

/* Kicks from one thread, pauses and resets from another: it always comes to rest. */
struct kicker {
	struct rig *x;
	bool stop; /* atomic */
};

static void *kick_for_ever(void *arg)
{
	struct kicker *k = arg;
	struct map_reader reader;

	rig_thread_begin(k->x->pc, &reader);
	while (!__atomic_load_n(&k->stop, __ATOMIC_SEQ_CST))
		rig_kick(&k->x->r, 0);
	rig_thread_end(k->x->pc);
	return NULL;
}

static void virtio_pause__comes_to_rest_under_kicks(void **state)
{
	struct rig *x = *state;
	struct kicker k = { .x = x };
	pthread_t t;
	uint32_t len;

	drive(x, 0);
	assert_int_equal(pthread_create(&t, NULL, kick_for_ever, &k), 0);
	for (unsigned i = 0; i < 400; i++) {
		const uint64_t began = rig_now_ms();

		dev_pause(x->d);
		while (!dev_drained(x->d)) {
			assert_true(rig_now_ms() - began < 60000);
			(void)sched_yield();
		}
		assert_false(x->h->v.queue[0].running);
		dev_resume(x->d);
		if (i % 10 == 0) {
			assert_true(rig_reset(&x->r) < 60000);
			drive(x, 0);
		}
		guestring_put(&x->g[0], i % QUEUE_SIZE);
		(void)guestring_show(&x->g[0]);
		assert_int_equal(rig_await(&x->g[0], &len), i % QUEUE_SIZE);
	}
	__atomic_store_n(&k.stop, true, __ATOMIC_SEQ_CST);
	(void)pthread_join(t, NULL);
}

static void virtio_stop__drains_and_stays(void **state)
{
	struct rig *x = *state;
	uint32_t head, len;

	drive(x, 0);
	hold_some(x, 2);
	dev_stop(x->d);
	assert_false(dev_drained(x->d));
	let_go(x);
	assert_true(dev_drained(x->d));
	x->g[0].used_seen = 2;
	send(x, 0, 30);
	rig_kick(&x->r, 0);
	assert_false(rig_message(x->pc, 12, 50));
	assert_false(guestring_get(&x->g[0], &head, &len));
	assert_true(rig_reset(&x->r) < 60000); /* registers still answer */
}

static void virtio_load__a_copy_goes_on_where_the_original_stopped(void **state)
{
	struct rig *x = *state;
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf b;
	uint32_t len;

	drive(x, EVENT_IDX);
	for (unsigned i = 0; i < 10; i++) {
		send(x, 1, i);
		(void)rig_await(&x->g[1], &len);
	}
	guestring_put(&x->g[1], 33); /* not seen before the pause */
	dev_pause(x->d);
	(void)guestring_show(&x->g[1]);
	while (!dev_drained(x->d))
		sched_yield();
	buf_init(&b, 1 << 20);
	save_init(&s, &b);
	pci_bus_save(x->pc->pci, &s);
	assert_int_equal(dev_save(x->d, &s), 0);
	assert_false(b.failed);

	/* The same machine serves as the other one: reset, load, go on. */
	pci_bus_reset(x->pc->pci);
	dev_reset(x->d);
	load_init(&l, b.data, b.size);
	assert_int_equal(pci_bus_load(x->pc->pci, &l, &e), 0);
	assert_int_equal(dev_load(x->d, &l, &e), 0);
	guestring_used_event(&x->g[1], x->g[1].used_seen);
	dev_resume(x->d);
	assert_true(rig_message(x->pc, 12, 60000));
	assert_int_equal(rig_await(&x->g[1], &len), 33);
	assert_int_equal(rig_common(&x->r, 20, 1), 15);
	send(x, 2, 7);
	assert_int_equal(rig_await(&x->g[2], &len), 7);

	/* Cut anywhere, it is refused and the device is as new. */
	dev_pause(x->d);
	for (size_t cut = 0; cut < b.size; cut++) {
		dev_reset(x->d);
		e = (struct sill_err){ 0 };
		load_init(&l, b.data, cut);
		if (pci_bus_load(x->pc->pci, &l, &e) == 0)
			assert_int_equal(dev_load(x->d, &l, &e), -1);
		assert_int_not_equal(e.code, 0);
	}
	buf_fini(&b);
}

static void virtio__a_guest_error_is_counted_not_fatal(void **state)
{
	struct rig *x = *state;
	unsigned seed = 7;

	for (unsigned i = 0; i < 20000; i++) {
		const uint64_t off = (uint64_t)rand_r(&seed) % VIRTIO_BAR_SIZE;
		const unsigned size = 1u << rand_r(&seed) % 4;

		if (off + size > VIRTIO_BAR_SIZE)
			continue;
		if (rand_r(&seed) % 2 == 0)
			(void)rig_get(&x->r, off, size);
		else
			rig_set(&x->r, off < 0x100 || i % 3 != 0 ? off % 64 : off, size,
				(uint64_t)rand_r(&seed) % 5);
	}
	assert_true(x->h->v.dev->target.guest_errors > 0);
	(void)rig_reset(&x->r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(virtio_pci__identity_and_capabilities),
		T(virtio_common__registers_read_as_the_specification_says),
		T(virtio_common__ring_addresses_come_in_halves),
		T(virtio_common__sizes_and_vectors_are_checked),
		T(virtio_status__features_act_once_and_only_if_offered),
		T(virtio__requests_go_through_and_interrupt),
		T(virtio__intx_sets_the_isr_until_it_is_read),
		T(virtio__config_space_has_a_generation),
		T(virtio__a_broken_ring_needs_a_reset_and_nothing_less),
		T(virtio__a_used_ring_that_vanishes_breaks_the_queue),
		T(virtio_window__reaches_every_register_and_rings),
		T(virtio__the_bar_moves_with_its_doorbells),
		T(virtio__no_dma_without_bus_mastering),
		T(virtio__waiting_requests_stay_in_the_ring),
		T(virtio_reset__status_reads_0_when_nothing_is_in_flight),
		T(virtio_reset__holds_up_a_driver_that_does_not_poll),
		T(virtio_reset__does_not_wait_inside_the_window),
		T(virtio_reset__of_the_machine_waits_by_drained),
		T(virtio_pause__nothing_moves_until_resume),
		T(virtio_pause__comes_to_rest_under_kicks),
		T(virtio_stop__drains_and_stays),
		T(virtio_load__a_copy_goes_on_where_the_original_stopped),
		T(virtio__a_guest_error_is_counted_not_fatal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
