/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtq.c - the split ring: rules, breaches, notifications, byte strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "devices/virtio/virtq.h"
#include "guestring.h"

enum { RING = 0x10000, TABLE = 0x20000, DATA = 0x100000 };

struct rig {
	struct gmem *mem;
	struct guestring g;
	struct virtq q;
};

static void rig_start(struct rig *r, uint16_t size, bool event_idx, bool indirect)
{
	(void)guestring_init(&r->g, r->mem, size, RING);
	r->g.s.event_idx = event_idx;
	r->g.s.indirect = indirect;
	assert_int_equal(virtq_start(&r->q, &r->g.s), 0);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->mem = guest_ram();
	assert_int_equal(virtq_init(&r->q, r->mem), 0);
	rig_start(r, 8, false, true);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	virtq_fini(&r->q);
	guest_ram_free(r->mem);
	free(r);
	return 0;
}

static void desc(struct rig *r, uint32_t i, gpa_t addr, uint32_t len, unsigned flags, unsigned next)
{
	guest_desc(r->mem, RING, i, addr, len, flags, next);
}

static void entry(struct rig *r, uint32_t i, gpa_t addr, uint32_t len, unsigned flags,
		  unsigned next)
{
	guest_desc(r->mem, TABLE, i, addr, len, flags, next);
}

static void offer(struct rig *r, unsigned head)
{
	guestring_put(&r->g, head);
	(void)guestring_show(&r->g);
}

static void virtq_start__refuses_bad_sizes_and_places(void **state)
{
	static const struct virtq_setup bad[] = {
		{ .size = 0, .desc = RING, .avail = RING + 0x1000, .used = RING + 0x2000 },
		{ .size = 3, .desc = RING, .avail = RING + 0x1000, .used = RING + 0x2000 },
		{ .size = 2048, .desc = RING, .avail = 0x80000, .used = 0x90000 },
		{ .size = 8, .desc = RING + 8, .avail = RING + 0x1000, .used = RING + 0x2000 },
		{ .size = 8, .desc = RING, .avail = RING + 0x1001, .used = RING + 0x2000 },
		{ .size = 8, .desc = RING, .avail = RING + 0x1000, .used = RING + 0x2002 },
		{ .size = 8, .desc = GUEST_RAM - 112, .avail = RING, .used = RING + 0x2000 },
		{ .size = 8, .desc = RING, .avail = GUEST_RAM - 20, .used = RING + 0x2000 },
		{ .size = 8, .desc = RING, .avail = RING + 0x1000, .used = GUEST_RAM - 68 },
		{ .size = 8, .desc = ~0ull - 15, .avail = RING + 0x1000, .used = RING + 0x2000 },
	};
	struct rig *r = *state;
	struct virtq_chain c;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(virtq_start(&r->q, &bad[i]), -1);
		assert_int_equal(virtq_pop(&r->q, &c), -1);
	}
}

static void virtq_pop__gives_readable_then_writable_buffers(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;

	assert_int_equal(virtq_pop(&r->q, &c), 0);
	desc(r, 3, DATA, 16, VIRTQ_DESC_NEXT, 5);
	desc(r, 5, DATA + 0x1000, 0, VIRTQ_DESC_NEXT, 1); /* empty: left out */
	desc(r, 1, DATA + 0x2000, 512, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 0);
	desc(r, 0, DATA + 0x3000, 1, VIRTQ_DESC_WRITE, 7);
	offer(r, 3);
	assert_int_equal(virtq_has_more(&r->q), 1);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(c.head, 3);
	assert_int_equal(c.out_count, 1);
	assert_int_equal(c.in_count, 2);
	assert_int_equal(c.out_len, 16);
	assert_int_equal(c.in_len, 513);
	assert_int_equal(c.seg[2].gpa, DATA + 0x3000);
	assert_int_equal(r->q.in_flight, 1);
	assert_int_equal(virtq_pop(&r->q, &c), 0);
}

static void virtq_pop__follows_an_indirect_table_after_direct_buffers(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;

	desc(r, 2, DATA, 16, VIRTQ_DESC_NEXT, 4);
	/* The write bit on the table's own descriptor means nothing. */
	desc(r, 4, TABLE, 16 * 40, VIRTQ_DESC_INDIRECT | VIRTQ_DESC_WRITE, 0);
	entry(r, 0, DATA + 0x1000, 10, VIRTQ_DESC_NEXT, 39);
	entry(r, 39, DATA + 0x2000, 20, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 17);
	entry(r, 17, DATA + 0x3000, 1, VIRTQ_DESC_WRITE, 0);
	offer(r, 2);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(c.out_len, 26);
	assert_int_equal(c.in_len, 21);
	assert_int_equal(c.in_count, 2);
}

static void virtq_pop__takes_254_indirect_segments(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;

	for (unsigned i = 0; i < 256; i++)
		entry(r, i, DATA + 4096ull * i,
		      i == 0     ? 16
		      : i == 255 ? 1
				 : 4096,
		      (i < 255 ? VIRTQ_DESC_NEXT : 0u) | (i > 0 ? VIRTQ_DESC_WRITE : 0u), i + 1);
	desc(r, 0, TABLE, 16 * 256, VIRTQ_DESC_INDIRECT, 0);
	offer(r, 0);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(c.in_count, 255);
	assert_int_equal(c.in_len, 254 * 4096 + 1);
}

/* Every breach of the rules kills the queue, and it stays dead. */
static void breach(struct rig *r, unsigned head)
{
	struct virtq_chain c;

	offer(r, head);
	assert_int_equal(virtq_pop(&r->q, &c), -1);
	assert_int_equal(virtq_pop(&r->q, &c), -1);
	assert_int_equal(virtq_has_more(&r->q), -1);
	assert_int_equal(virtq_notify_on(&r->q), -1);
	assert_int_equal(virtq_publish(&r->q), -1);
	assert_int_equal(r->q.in_flight, 0);
	rig_start(r, 8, false, true);
}

static void virtq_pop__refuses_every_breach(void **state)
{
	struct rig *r = *state;

	breach(r, 8); /* head outside the ring */

	desc(r, 0, DATA, 16, VIRTQ_DESC_NEXT, 8); /* next outside the ring */
	breach(r, 0);

	desc(r, 0, DATA, 16, VIRTQ_DESC_NEXT, 1); /* a circle */
	desc(r, 1, DATA, 16, VIRTQ_DESC_NEXT, 0);
	breach(r, 0);

	desc(r, 0, DATA, 0, VIRTQ_DESC_NEXT, 0); /* a circle of nothing */
	breach(r, 0);

	desc(r, 0, DATA, 16, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 1); /* readable after writable */
	desc(r, 1, DATA, 16, 0, 0);
	breach(r, 0);

	desc(r, 0, DATA, 0xffffffff, VIRTQ_DESC_NEXT, 1); /* more than 4 GiB */
	desc(r, 1, DATA, 2, 0, 0);
	breach(r, 0);

	desc(r, 0, TABLE, 16, VIRTQ_DESC_INDIRECT | VIRTQ_DESC_NEXT, 1);
	entry(r, 0, DATA, 16, 0, 0);
	breach(r, 0);

	desc(r, 0, TABLE, 0, VIRTQ_DESC_INDIRECT, 0);
	breach(r, 0);

	desc(r, 0, TABLE, 17, VIRTQ_DESC_INDIRECT, 0);
	breach(r, 0);

	desc(r, 0, GUEST_RAM - 16, 32, VIRTQ_DESC_INDIRECT, 0); /* a table half in the void */
	breach(r, 0);

	desc(r, 0, TABLE, 32, VIRTQ_DESC_INDIRECT, 0); /* nested */
	entry(r, 0, TABLE, 32, VIRTQ_DESC_INDIRECT, 0);
	breach(r, 0);

	desc(r, 0, TABLE, 32, VIRTQ_DESC_INDIRECT, 0); /* next outside the table */
	entry(r, 0, DATA, 16, VIRTQ_DESC_NEXT, 2);
	breach(r, 0);

	desc(r, 0, TABLE, 32, VIRTQ_DESC_INDIRECT, 0); /* a circle in the table */
	entry(r, 0, DATA, 16, VIRTQ_DESC_NEXT, 1);
	entry(r, 1, DATA, 16, VIRTQ_DESC_NEXT, 0);
	breach(r, 0);

	rig_start(r, 8, false, false); /* indirect was not negotiated */
	desc(r, 0, TABLE, 16, VIRTQ_DESC_INDIRECT, 0);
	entry(r, 0, DATA, 16, 0, 0);
	breach(r, 0);

	r->g.avail_idx = 9; /* more than the ring holds */
	breach(r, 0);
}

static void virtq_pop__refuses_a_head_that_is_in_flight(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;

	desc(r, 6, DATA, 16, 0, 0);
	offer(r, 6);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	offer(r, 6);
	assert_int_equal(virtq_pop(&r->q, &c), -1);
	/* What was in hand is given back into the void. */
	assert_int_equal(virtq_push(&r->q, 6, 0), -1);
	assert_int_equal(r->q.in_flight, 0);
}

static void virtq_push__allows_the_head_again(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;
	uint32_t head, len;

	desc(r, 6, DATA, 16, VIRTQ_DESC_WRITE, 0);
	for (unsigned i = 0; i < 70000; i++) { /* the indices wrap */
		offer(r, 6);
		assert_int_equal(virtq_pop(&r->q, &c), 1);
		assert_int_equal(virtq_push(&r->q, 6, i), 0);
		assert_false(guestring_get(&r->g, &head, &len));
		assert_int_equal(virtq_publish(&r->q), 1);
		assert_true(guestring_get(&r->g, &head, &len));
		assert_int_equal(head, 6);
		assert_int_equal(len, i);
	}
	assert_int_equal(virtq_publish(&r->q), 0); /* nothing new */
}

static void virtq_unpop__gives_the_same_chain_again(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;

	desc(r, 6, DATA, 16, VIRTQ_DESC_WRITE, 0);
	offer(r, 6);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	virtq_unpop(&r->q, &c);
	assert_int_equal(r->q.in_flight, 0);
	assert_int_equal(virtq_has_more(&r->q), 1);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(c.head, 6);
}

static void finish(struct rig *r, unsigned head)
{
	struct virtq_chain c;

	desc(r, head, DATA, 16, 0, 0);
	offer(r, head);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(virtq_push(&r->q, c.head, 0), 0);
}

static void virtq_publish__honours_no_interrupt(void **state)
{
	struct rig *r = *state;

	assert_int_equal(gmem_store_index(r->mem, r->g.s.avail, VIRTQ_AVAIL_NO_INTERRUPT), 0);
	finish(r, 0);
	assert_int_equal(virtq_publish(&r->q), 0);
	assert_int_equal(gmem_store_index(r->mem, r->g.s.avail, 0), 0);
	finish(r, 0);
	assert_int_equal(virtq_publish(&r->q), 1);
}

static void virtq_publish__honours_the_event_index(void **state)
{
	struct rig *r = *state;

	rig_start(r, 8, true, true);
	guestring_used_event(&r->g, 2); /* wake me when the third is done */
	for (unsigned i = 0; i < 5; i++) {
		finish(r, i);
		assert_int_equal(virtq_publish(&r->q), i == 2);
	}
	/* A batch that steps over the mark wakes too; flags mean nothing here. */
	guestring_used_event(&r->g, 6);
	assert_int_equal(gmem_store_index(r->mem, r->g.s.avail, VIRTQ_AVAIL_NO_INTERRUPT), 0);
	finish(r, 0);
	finish(r, 1);
	finish(r, 2);
	assert_int_equal(virtq_publish(&r->q), 1);
}

static void virtq_notify__tells_the_driver_by_flag(void **state)
{
	struct rig *r = *state;

	desc(r, 0, DATA, 16, 0, 0);
	desc(r, 1, DATA, 16, 0, 0);
	virtq_notify_off(&r->q);
	guestring_put(&r->g, 0);
	assert_false(guestring_show(&r->g));
	assert_int_equal(virtq_notify_on(&r->q), 1); /* it came while we did not listen */
	guestring_put(&r->g, 1);
	assert_true(guestring_show(&r->g));
}

static void virtq_notify__tells_the_driver_by_event_index(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;

	rig_start(r, 8, true, true);
	for (unsigned i = 0; i < 4; i++)
		desc(r, i, DATA, 16, 0, 0);
	assert_int_equal(virtq_notify_on(&r->q), 0);
	guestring_put(&r->g, 0);
	assert_true(guestring_show(&r->g));
	virtq_notify_off(&r->q);
	guestring_put(&r->g, 1);
	assert_false(guestring_show(&r->g));
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(virtq_notify_on(&r->q), 1);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(virtq_notify_on(&r->q), 0);
	guestring_put(&r->g, 2);
	assert_true(guestring_show(&r->g));
}

/* Three chains are there and not enough: the next one kicks, with flags and with event indices. */
static void virtq_notify_more__asks_for_what_comes_behind(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c[3];

	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		rig_start(r, 8, event_idx != 0, true);
		for (unsigned i = 0; i < 5; i++)
			desc(r, i, DATA, 16, 0, 0);
		virtq_notify_off(&r->q);
		for (unsigned i = 0; i < 3; i++)
			guestring_put(&r->g, i);
		(void)guestring_show(&r->g);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(virtq_pop(&r->q, &c[i]), 1);
		for (unsigned i = 3; i > 0; i--)
			virtq_unpop(&r->q, &c[i - 1]);
		assert_int_equal(virtq_notify_more(&r->q), 0);
		guestring_put(&r->g, 3);
		assert_true(guestring_show(&r->g));
		virtq_notify_off(&r->q);
		assert_int_equal(virtq_notify_more(&r->q), 1); /* it came before we asked */
		assert_int_equal(virtq_notify_more(&r->q), 0);
		guestring_put(&r->g, 4);
		assert_true(guestring_show(&r->g));
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(virtq_pop(&r->q, &c[0]), 1);
	}
}

/* The string "0123456789abcdef..." cut at every place into up to three buffers. */
static void virtq_read__does_not_see_how_the_bytes_are_cut(void **state)
{
	static const char text[] = "0123456789abcdef";
	struct rig *r = *state;
	struct virtq_chain c;

	for (unsigned a = 0; a <= 16; a++)
		for (unsigned b = a; b <= 16; b++) {
			char out[17] = { 0 };

			rig_start(r, 8, false, true);
			desc(r, 0, DATA, a, VIRTQ_DESC_NEXT, 1);
			desc(r, 1, DATA + 0x1000, b - a, VIRTQ_DESC_NEXT, 2);
			desc(r, 2, DATA + 0x2000, 16 - b, 0, 0);
			assert_int_equal(gmem_write(r->mem, DATA, text, a), 0);
			assert_int_equal(gmem_write(r->mem, DATA + 0x1000, text + a, b - a), 0);
			assert_int_equal(gmem_write(r->mem, DATA + 0x2000, text + b, 16 - b), 0);
			offer(r, 0);
			assert_int_equal(virtq_pop(&r->q, &c), 1);
			assert_int_equal(virtq_read(&r->q, &c, 0, out, 16), 0);
			assert_string_equal(out, text);
			assert_int_equal(virtq_read(&r->q, &c, 5, out, 6), 0);
			assert_memory_equal(out, text + 5, 6);
			assert_int_equal(virtq_read(&r->q, &c, 16, out, 0), 0);
			assert_int_equal(virtq_read(&r->q, &c, 1, out, 16), -1);
			assert_int_equal(virtq_read(&r->q, &c, 17, out, 0), -1);
			assert_int_equal(virtq_read(&r->q, &c, 0xffffffff, out, 2), -1);
			assert_int_equal(virtq_write(&r->q, &c, 0, out, 1), -1);
		}
}

static void virtq_write__fills_the_writable_part_only(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;
	char in[3];
	gpa_t gpa;

	desc(r, 0, DATA, 16, VIRTQ_DESC_NEXT, 1);
	desc(r, 1, DATA + 0x1000, 2, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 2);
	desc(r, 2, DATA + 0x2000, 2, VIRTQ_DESC_WRITE, 0);
	offer(r, 0);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(virtq_write(&r->q, &c, 1, "xyz", 3), 0);
	assert_int_equal(gmem_read(r->mem, DATA + 0x1000, in, 3), 0);
	assert_memory_equal(in, "\0x\0", 3);
	assert_int_equal(gmem_read(r->mem, DATA + 0x2000, in, 3), 0);
	assert_memory_equal(in, "yz\0", 3);
	assert_int_equal(virtq_write(&r->q, &c, 2, "xyz", 3), -1);
	assert_int_equal(virtq_in_gpa(&c, 3, &gpa), 0);
	assert_int_equal(gpa, DATA + 0x2001);
	assert_int_equal(virtq_in_gpa(&c, 4, &gpa), -1);
}

static void virtq_iov__merges_neighbours_under_one_span(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;
	struct iovec iov[4];
	struct gmem_span span;

	desc(r, 0, DATA, 16, VIRTQ_DESC_NEXT, 1);
	desc(r, 1, DATA + 16, 512, VIRTQ_DESC_NEXT, 2);
	desc(r, 2, DATA + 528, 512, VIRTQ_DESC_NEXT, 3);
	desc(r, 3, DATA + 0x3000, 512, 0, 0);
	offer(r, 0);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(virtq_iov(&r->q, &c, false, 16, 1536, iov, 4, &span), 2);
	assert_int_equal(iov[0].iov_len, 1024);
	assert_int_equal(iov[1].iov_len, 512);
	assert_non_null(span.count);
	gmem_span_end(r->mem, &span);
	assert_int_equal(virtq_iov(&r->q, &c, false, 16, 1536, iov, 1, &span), -1);
	assert_null(span.count);
	assert_int_equal(virtq_iov(&r->q, &c, false, 16, 1537, iov, 4, &span), -1);
	assert_int_equal(virtq_iov(&r->q, &c, false, 1552, 0, iov, 4, &span), 0);
	gmem_span_end(r->mem, &span);
}

static void virtq_iov__refuses_what_is_not_memory(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;
	struct iovec iov[4];
	struct gmem_span span;

	desc(r, 0, DATA, 512, VIRTQ_DESC_WRITE | VIRTQ_DESC_NEXT, 1);
	desc(r, 1, ~0ull - 100, 512, VIRTQ_DESC_WRITE, 0);
	offer(r, 0);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(virtq_iov(&r->q, &c, true, 0, 1024, iov, 4, &span), -1);
	assert_null(span.count);
	assert_int_equal(virtq_write(&r->q, &c, 600, "x", 1), -1);
}

static void virtq_load__continues_where_save_was(void **state)
{
	struct rig *r = *state;
	struct virtq_chain c;
	struct loader l;
	struct saver s;
	struct buf b;
	uint32_t head, len;

	finish(r, 0);
	finish(r, 1);
	(void)virtq_publish(&r->q);
	buf_init(&b, 4096);
	save_init(&s, &b);
	save_begin(&s, 1, 1);
	virtq_save(&r->q, &s);
	save_end(&s);
	load_init(&l, b.data, b.size);
	assert_int_equal(load_begin(&l, 1, 1), 1);
	assert_int_equal(virtq_start(&r->q, &r->g.s), 0);
	virtq_load(&r->q, &l);
	assert_false(l.failed);
	buf_fini(&b);

	desc(r, 2, DATA, 16, 0, 0);
	offer(r, 2);
	assert_int_equal(virtq_pop(&r->q, &c), 1);
	assert_int_equal(c.head, 2);
	assert_int_equal(virtq_push(&r->q, 2, 7), 0);
	assert_int_equal(virtq_publish(&r->q), 1);
	r->g.used_seen = 2;
	assert_true(guestring_get(&r->g, &head, &len));
	assert_int_equal(len, 7);
}

/* Driver and device on two threads, no kick lost: both sides sleep when told they may. */
struct pair {
	struct rig *r;
	uint32_t rounds;
	bool kick, irq; /* atomic */
};

static void wait_for(bool *flag)
{
	while (!__atomic_exchange_n(flag, false, __ATOMIC_ACQ_REL))
		sched_yield();
}

static void *device_side(void *arg)
{
	struct pair *p = arg;
	struct virtq *q = &p->r->q;
	uint32_t done = 0;

	for (;;) {
		struct virtq_chain c;

		virtq_notify_off(q);
		while (virtq_pop(q, &c) > 0) {
			assert(virtq_push(q, c.head, done++) == 0);
			if (done % 3 == 0 && virtq_publish(q) > 0)
				__atomic_store_n(&p->irq, true, __ATOMIC_RELEASE);
		}
		if (virtq_publish(q) > 0)
			__atomic_store_n(&p->irq, true, __ATOMIC_RELEASE);
		if (virtq_notify_on(q) > 0)
			continue;
		if (done == p->rounds)
			return NULL;
		wait_for(&p->kick);
	}
}

static void both_sides(struct rig *r, bool event_idx)
{
	struct pair p = { .r = r, .rounds = 20000 };
	uint32_t sent = 0, got = 0, head, len;
	pthread_t t;

	rig_start(r, 8, event_idx, true);
	for (unsigned i = 0; i < 8; i++)
		desc(r, i, DATA, 16, 0, 0);
	assert_int_equal(pthread_create(&t, NULL, device_side, &p), 0);
	while (got < p.rounds) {
		while (sent < p.rounds && sent - got < 8)
			guestring_put(&r->g, sent++ % 8);
		if (guestring_show(&r->g))
			__atomic_store_n(&p.kick, true, __ATOMIC_RELEASE);
		while (guestring_get(&r->g, &head, &len))
			assert_int_equal(len, got++);
		guestring_used_event(&r->g, (uint16_t)got);
		if (guestring_get(&r->g, &head, &len))
			assert_int_equal(len, got++);
		else if (got < p.rounds && sent - got == 8)
			wait_for(&p.irq);
	}
	(void)pthread_join(t, NULL);
}

static void virtq__loses_no_wakeup_between_two_threads(void **state)
{
	both_sides(*state, false);
	both_sides(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(virtq_start__refuses_bad_sizes_and_places),
		T(virtq_pop__gives_readable_then_writable_buffers),
		T(virtq_pop__follows_an_indirect_table_after_direct_buffers),
		T(virtq_pop__takes_254_indirect_segments),
		T(virtq_pop__refuses_every_breach),
		T(virtq_pop__refuses_a_head_that_is_in_flight),
		T(virtq_push__allows_the_head_again),
		T(virtq_unpop__gives_the_same_chain_again),
		T(virtq_publish__honours_no_interrupt),
		T(virtq_publish__honours_the_event_index),
		T(virtq_notify__tells_the_driver_by_flag),
		T(virtq_notify__tells_the_driver_by_event_index),
		T(virtq_notify_more__asks_for_what_comes_behind),
		T(virtq_read__does_not_see_how_the_bytes_are_cut),
		T(virtq_write__fills_the_writable_part_only),
		T(virtq_iov__merges_neighbours_under_one_span),
		T(virtq_iov__refuses_what_is_not_memory),
		T(virtq_load__continues_where_save_was),
		T(virtq__loses_no_wakeup_between_two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
