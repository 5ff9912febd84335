/* SPDX-License-Identifier: Apache-2.0 */
/* test_core.c - guest memory, clock, interrupt lines, event loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/gmem.h"
#include "core/irq.h"
#include "core/loop.h"

static uint8_t ram[4 * 4096] __attribute__((aligned(4096)));

/* Two adjacent regions of RAM at 0x1000 and 0x2000, a ROM at 0x5000. */
static struct gmem *three_regions(void)
{
	struct sill_err e = { 0 };
	struct gmem *m = gmem_create(NULL, &e);

	assert_non_null(m);
	memset(ram, 0, sizeof(ram));
	assert_int_equal(gmem_add(m, 0x2000, 4096, ram + 4096, GMEM_RAM, &e), 0);
	assert_int_equal(gmem_add(m, 0x1000, 4096, ram, GMEM_RAM, &e), 0);
	assert_int_equal(gmem_add(m, 0x5000, 4096, ram + 8192, GMEM_ROM, &e), 0);
	return m;
}

static void gmem_read__crosses_adjacent_regions(void **state)
{
	struct gmem *m = three_regions();
	uint8_t b[8];

	(void)state;
	ram[4095] = 1;
	ram[4096] = 2;
	assert_int_equal(gmem_read(m, 0x1ffc, b, 8), 0);
	assert_int_equal(b[3], 1);
	assert_int_equal(b[4], 2);
	gmem_destroy(m);
}

static void gmem_read__refuses_one_byte_past_the_end(void **state)
{
	struct gmem *m = three_regions();
	uint8_t b[2] = { 7, 7 };

	(void)state;
	assert_int_equal(gmem_read(m, 0x2fff, b, 2), -1);
	assert_int_equal(b[0], 7);
	assert_int_equal(gmem_read(m, 0xfff, b, 2), -1);
	assert_int_equal(gmem_read(m, UINT64_MAX, b, 2), -1);
	gmem_destroy(m);
}

static void gmem_write__copies_nothing_when_the_tail_is_no_ram(void **state)
{
	struct gmem *m = three_regions();
	uint8_t b[4] = { 9, 9, 9, 9 };

	(void)state;
	assert_int_equal(gmem_write(m, 0x2ffe, b, 4), -1);
	assert_int_equal(ram[8190], 0);
	gmem_destroy(m);
}

static void gmem_write__refuses_rom(void **state)
{
	struct gmem *m = three_regions();
	uint8_t b = 9;

	(void)state;
	assert_int_equal(gmem_write(m, 0x5000, &b, 1), -1);
	assert_int_equal(gmem_read(m, 0x5000, &b, 1), 0);
	assert_int_equal(b, 0);
	assert_false(gmem_is_ram(m, 0x5000, 1));
	assert_true(gmem_is_ram(m, 0x1000, 0x2000));
	gmem_destroy(m);
}

static void gmem_add__refuses_overlap(void **state)
{
	struct gmem *m = three_regions();
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(gmem_add(m, 0x0, 0x2000, ram, GMEM_RAM, &e), -1);
	e = (struct sill_err){ 0 };
	assert_int_equal(gmem_add(m, 0x3000, 0x3000, ram, GMEM_RAM, &e), -1);
	e = (struct sill_err){ 0 };
	assert_int_equal(gmem_add(m, UINT64_MAX - 4095, 8192, ram, GMEM_RAM, &e), -1);
	gmem_destroy(m);
}

static void count_done(void *ctx)
{
	(*(unsigned *)ctx)++;
}

static void gmem_remove__makes_the_range_absent(void **state)
{
	struct gmem *m = three_regions();
	struct sill_err e = { 0 };
	unsigned done = 0;
	uint8_t b;

	(void)state;
	assert_int_equal(gmem_remove(m, 0x2000, count_done, &done, &e), 0);
	assert_int_equal(done, 1);
	assert_int_equal(gmem_read(m, 0x2000, &b, 1), -1);
	assert_int_equal(gmem_read(m, 0x1fff, &b, 1), 0);
	gmem_destroy(m);
}

static void gmem_span_add__needs_as_many_vectors_as_pieces(void **state)
{
	struct gmem *m = three_regions();
	struct gmem_span span = gmem_span_begin(m);
	struct iovec iov[2];

	(void)state;
	assert_int_equal(gmem_span_add(m, 0x1800, 0x1000, true, iov, 1), -1);
	assert_int_equal(gmem_span_add(m, 0x1800, 0x1000, true, iov, 2), 2);
	assert_ptr_equal(iov[0].iov_base, ram + 0x800);
	assert_int_equal(iov[0].iov_len + iov[1].iov_len, 0x1000);
	assert_int_equal(gmem_span_add(m, 0x5000, 16, true, iov, 2), -1);
	assert_int_equal(gmem_span_add(m, 0x5000, 16, false, iov, 2), 1);
	gmem_span_end(m, &span);
	assert_null(span.count);
	gmem_span_end(m, &span);
	gmem_destroy(m);
}

struct reader {
	struct gmem *m;
	bool stop;      /* atomic */
	unsigned turns; /* atomic */
	unsigned wakes; /* atomic */
};

static void *read_for_ever(void *ctx)
{
	struct reader *r = ctx;
	unsigned char b[8];
	struct iovec v;

	for (unsigned i = 0; !__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST); i++) {
		const bool hold = i % 2 == 0;
		struct gmem_span span;

		if (hold)
			gmem_hold(r->m);
		/* All of it or nothing: what was removed is not touched. */
		if (gmem_read(r->m, 0x2000, b, sizeof(b)) == 0)
			assert_int_equal(b[0], b[7]);
		span = gmem_span_begin(r->m);
		if (gmem_span_add(r->m, 0x2000, 8, true, &v, 1) == 1)
			assert_int_equal(*(volatile unsigned char *)v.iov_base, 0);
		gmem_span_end(r->m, &span);
		if (hold)
			gmem_release(r->m);
		__atomic_add_fetch(&r->turns, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void wake(void *ctx)
{
	struct reader *r = ctx;

	__atomic_add_fetch(&r->wakes, 1, __ATOMIC_SEQ_CST);
}

/* Memory comes and goes under readers that never rest; what was removed is unmapped as soon as it is done. */
static void gmem_remove__is_done_when_nobody_is_inside(void **state)
{
	enum { READERS = 3 };
	struct sill_err e = { 0 };
	struct gmem *m = gmem_create(NULL, &e);
	struct reader r = { .m = m };
	pthread_t t[READERS];

	(void)state;
	gmem_set_wake(m, wake, &r);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, read_for_ever, &r), 0);
	for (unsigned round = 0; round < 200; round++) {
		void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);
		const unsigned turns = __atomic_load_n(&r.turns, __ATOMIC_SEQ_CST);
		unsigned done = 0, seen;

		assert_true(p != MAP_FAILED);
		assert_int_equal(gmem_add(m, 0x2000, 4096, p, GMEM_RAM, &e), 0);
		while (__atomic_load_n(&r.turns, __ATOMIC_SEQ_CST) == turns)
			sched_yield();
		seen = __atomic_load_n(&r.wakes, __ATOMIC_SEQ_CST);
		assert_int_equal(gmem_remove(m, 0x2000, count_done, &done, &e), 0);
		/* Only a wake is a reason to look again: a lost one would wait for ever. */
		while (done == 0) {
			while (__atomic_load_n(&r.wakes, __ATOMIC_SEQ_CST) == seen)
				sched_yield();
			seen = __atomic_load_n(&r.wakes, __ATOMIC_SEQ_CST);
			gmem_poll(m);
		}
		assert_int_equal(done, 1);
		assert_int_equal(munmap(p, 4096), 0);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < READERS; i++)
		(void)pthread_join(t[i], NULL);
	gmem_destroy(m);
}

/* One thread's requests overlap without end: at no moment is nothing in flight. */
static void gmem_remove__is_not_held_up_by_who_comes_later(void **state)
{
	struct sill_err e = { 0 };
	struct gmem *m = three_regions();
	struct gmem_span span[2] = { gmem_span_begin(m), { 0 } };
	unsigned done = 0, turns = 0;

	(void)state;
	assert_int_equal(gmem_remove(m, 0x2000, count_done, &done, &e), 0);
	assert_int_equal(done, 0);
	for (; done == 0 && turns < 4; turns++) {
		span[1 - turns % 2] = gmem_span_begin(m);
		gmem_span_end(m, &span[turns % 2]);
		gmem_poll(m);
	}
	assert_int_equal(done, 1);
	assert_int_equal(turns, 1);
	gmem_span_end(m, &span[1]);
	gmem_destroy(m);
}

/* A request that is kept (on_error) delays the end of a removal, and nothing else. */
static void gmem_remove__waits_for_a_kept_span_and_blocks_nobody(void **state)
{
	struct sill_err e = { 0 };
	struct gmem *m = three_regions();
	struct gmem_span kept = gmem_span_begin(m), late;
	unsigned first = 0, second = 0;
	uint8_t b;

	(void)state;
	assert_int_equal(gmem_remove(m, 0x2000, count_done, &first, &e), 0);
	late = gmem_span_begin(m); /* it may be inside the second one's memory */
	assert_int_equal(gmem_remove(m, 0x1000, count_done, &second, &e), 0);
	assert_int_equal(gmem_read(m, 0x1000, &b, 1), -1);
	assert_int_equal(gmem_read(m, 0x5000, &b, 1), 0);
	gmem_poll(m);
	assert_int_equal(first + second, 0);
	gmem_span_end(m, &kept);
	gmem_poll(m);
	assert_int_equal(first, 1);
	assert_int_equal(second, 0);
	gmem_span_end(m, &late);
	gmem_poll(m);
	assert_int_equal(second, 1);
	gmem_destroy(m);
}

static void gmem_load_index__refuses_odd_addresses(void **state)
{
	struct gmem *m = three_regions();
	uint16_t v;

	(void)state;
	assert_int_equal(gmem_store_index(m, 0x1002, 0x1234), 0);
	assert_int_equal(gmem_load_index(m, 0x1002, &v), 0);
	assert_int_equal(v, 0x1234);
	assert_int_equal(gmem_load_index(m, 0x1001, &v), -1);
	assert_int_equal(gmem_load_index(m, 0x3000, &v), -1);
	gmem_destroy(m);
}

static void vmclock__stands_still_while_frozen(void **state)
{
	struct vmclock c;
	uint64_t t;

	(void)state;
	vmclock_init(&c);
	vmclock_freeze(&c);
	t = vmclock_now(&c);
	usleep(2000);
	assert_int_equal(vmclock_now(&c), t);
	vmclock_thaw(&c);
	assert_true(vmclock_now(&c) >= t);
	assert_true(vmclock_now(&c) < t + 1000000000ull);
	vmclock_freeze(&c);
	vmclock_set(&c, 42);
	assert_int_equal(vmclock_now(&c), 42);
}

static int line_changes;
static bool line_level;

static void record_line(void *ctx, unsigned gsi, bool level)
{
	(void)ctx;
	assert_int_equal(gsi, 17);
	line_changes++;
	line_level = level;
}

static void irq_line_set__a_shared_gsi_is_high_while_any_line_is(void **state)
{
	static const struct irq_ops ops = { .line = record_line };
	struct irqs q;
	struct irq_line a = { &q, 17, false }, b = { &q, 17, false };

	(void)state;
	irqs_init(&q, &ops, NULL);
	line_changes = 0;
	irq_line_set(&a, true);
	irq_line_set(&b, true);
	irq_line_set(&b, true);
	assert_int_equal(line_changes, 1);
	irq_line_set(&a, false);
	assert_true(line_level);
	irq_line_set(&b, false);
	assert_false(line_level);
	assert_int_equal(line_changes, 2);
	irqs_fini(&q);
}

struct seen {
	struct loop *loop;
	int count;
	int order[4];
	struct loop_timer t1, t2;
	struct loop_fd a, b;
	struct loop_task task;
};

static void on_t1(void *ctx)
{
	struct seen *s = ctx;

	s->order[s->count++] = 1;
	loop_stop(s->loop);
}

static void on_t2(void *ctx)
{
	struct seen *s = ctx;

	s->order[s->count++] = 2;
}

static void loop_timers__fire_in_order_and_not_after_cancel(void **state)
{
	struct sill_err e = { 0 };
	struct seen s = { .loop = loop_create(&e) };
	struct loop_timer never = { .fn = on_t2, .ctx = &s };
	uint64_t now = host_now();

	(void)state;
	s.t1 = (struct loop_timer){ .fn = on_t1, .ctx = &s };
	s.t2 = (struct loop_timer){ .fn = on_t2, .ctx = &s };
	loop_timer_set(s.loop, &s.t1, now + 3000000);
	loop_timer_set(s.loop, &never, now + 2000000);
	loop_timer_set(s.loop, &s.t2, now + 9000000);
	loop_timer_set(s.loop, &s.t2, now + 1000000);
	loop_timer_cancel(s.loop, &never);
	assert_int_equal(loop_run(s.loop, &e), 0);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.order[0], 2);
	assert_int_equal(s.order[1], 1);
	loop_destroy(s.loop);
}

static void on_either(void *ctx, uint32_t events)
{
	struct seen *s = ctx;

	(void)events;
	s->count++;
	loop_fd_remove(s->loop, &s->a);
	loop_fd_remove(s->loop, &s->b);
	loop_stop(s->loop);
}

static void loop_fd_remove__also_takes_it_out_of_the_batch_under_way(void **state)
{
	struct sill_err e = { 0 };
	struct seen s = { .loop = loop_create(&e) };
	int p[2], q[2];

	(void)state;
	assert_int_equal(pipe(p) + pipe(q), 0);
	assert_int_equal(write(p[1], "x", 1) + write(q[1], "x", 1), 2);
	s.a = (struct loop_fd){ .fd = p[0], .fn = on_either, .ctx = &s };
	s.b = (struct loop_fd){ .fd = q[0], .fn = on_either, .ctx = &s };
	assert_int_equal(loop_fd_add(s.loop, &s.a, EPOLLIN, &e), 0);
	assert_int_equal(loop_fd_add(s.loop, &s.b, EPOLLIN, &e), 0);
	assert_int_equal(loop_run(s.loop, &e), 0);
	assert_int_equal(s.count, 1);
	loop_destroy(s.loop);
	for (int i = 0; i < 2; i++)
		(void)(close(p[i]) + close(q[i]));
}

/* Work that is counted in memory; who adds to it rings only a loop that has asked for that. */
struct heap {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_fd bell;
	unsigned added; /* atomic */
	unsigned taken; /* atomic; the loop's */
	bool ring;      /* atomic */
	unsigned rung;
};

static bool heap_look(void *ctx)
{
	struct heap *h = ctx;
	const unsigned added = __atomic_load_n(&h->added, __ATOMIC_SEQ_CST);

	if (added == h->taken)
		return false;
	__atomic_store_n(&h->ring, false, __ATOMIC_SEQ_CST);
	__atomic_store_n(&h->taken, added, __ATOMIC_SEQ_CST);
	return true;
}

static bool heap_doze(void *ctx)
{
	struct heap *h = ctx;

	__atomic_store_n(&h->ring, true, __ATOMIC_SEQ_CST);
	return heap_look(h);
}

/* Only wakes: what there is, is found by looking. */
static void heap_rung(void *ctx, uint32_t events)
{
	struct heap *h = ctx;
	uint64_t n;

	(void)events;
	assert_int_equal(read(h->bell.fd, &n, sizeof(n)), sizeof(n));
	h->rung++;
}

static void heap_begin(void *ctx)
{
	struct heap *h = ctx;
	struct sill_err e = { 0 };

	assert_int_equal(loop_fd_add(h->loop, &h->bell, EPOLLIN, &e), 0);
	loop_watch_add(h->loop, &h->watch);
}

static void heap_end(void *ctx)
{
	struct heap *h = ctx;

	loop_watch_remove(h->loop, &h->watch);
	loop_watch_remove(h->loop, &h->watch);
	loop_fd_remove(h->loop, &h->bell);
}

/* Nothing is forgotten in a loop that looks, nor in one that never does; nobody rings in vain. */
static void loop_watch__nothing_is_missed_on_the_way_to_sleep(void **state)
{
	static const uint64_t poll[] = { 0, 20000 };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(poll); k++) {
		struct sill_err e = { 0 };
		struct iothread *t = iothread_create("test", poll[k], &e);
		struct heap h = { .loop = iothread_loop(t) };
		unsigned rang = 0;
		const uint64_t one = 1;

		h.watch = (struct loop_watch){ .look = heap_look, .doze = heap_doze, .ctx = &h };
		h.bell = (struct loop_fd){ .fd = eventfd(0, EFD_CLOEXEC),
					   .fn = heap_rung,
					   .ctx = &h };
		loop_call(h.loop, heap_begin, &h);
		for (unsigned i = 1; i <= 20000; i++) {
			__atomic_store_n(&h.added, i, __ATOMIC_SEQ_CST);
			if (__atomic_exchange_n(&h.ring, false, __ATOMIC_SEQ_CST)) {
				assert_int_equal(write(h.bell.fd, &one, sizeof(one)), sizeof(one));
				rang++;
			}
			/* Now at once, now after it has gone to sleep. */
			while (i % 7 != 0 && __atomic_load_n(&h.taken, __ATOMIC_SEQ_CST) != i)
				sched_yield();
			while (i % 700 == 0 && !__atomic_load_n(&h.ring, __ATOMIC_SEQ_CST))
				sched_yield();
		}
		while (__atomic_load_n(&h.taken, __ATOMIC_SEQ_CST) != 20000)
			sched_yield();
		loop_call(h.loop, heap_end, &h);
		iothread_destroy(t);
		assert_true(h.rung <= rang && rang > 0);
		close(h.bell.fd);
	}
}

static void add_one(void *ctx)
{
	(*(int *)ctx)++;
}

static void *call_many(void *ctx)
{
	static int sum;

	for (int i = 0; i < 1000; i++)
		loop_call(iothread_loop(ctx), add_one, &sum);
	return &sum;
}

static void loop_call__runs_on_the_thread_and_waits(void **state)
{
	static const uint64_t poll[] = { 0, 32000 };
	struct sill_err e = { 0 };

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct iothread *t = iothread_create("test", poll[k], &e);
		pthread_t other[2];
		void *sum;

		assert_non_null(t);
		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&other[i], NULL, call_many, t), 0);
		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_join(other[i], &sum), 0);
		assert_int_equal(*(int *)sum, 2000 * (k + 1));
		iothread_destroy(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gmem_read__crosses_adjacent_regions),
		cmocka_unit_test(gmem_read__refuses_one_byte_past_the_end),
		cmocka_unit_test(gmem_write__copies_nothing_when_the_tail_is_no_ram),
		cmocka_unit_test(gmem_write__refuses_rom),
		cmocka_unit_test(gmem_add__refuses_overlap),
		cmocka_unit_test(gmem_remove__makes_the_range_absent),
		cmocka_unit_test(gmem_remove__is_done_when_nobody_is_inside),
		cmocka_unit_test(gmem_remove__is_not_held_up_by_who_comes_later),
		cmocka_unit_test(gmem_remove__waits_for_a_kept_span_and_blocks_nobody),
		cmocka_unit_test(gmem_span_add__needs_as_many_vectors_as_pieces),
		cmocka_unit_test(gmem_load_index__refuses_odd_addresses),
		cmocka_unit_test(vmclock__stands_still_while_frozen),
		cmocka_unit_test(irq_line_set__a_shared_gsi_is_high_while_any_line_is),
		cmocka_unit_test(loop_timers__fire_in_order_and_not_after_cancel),
		cmocka_unit_test(loop_fd_remove__also_takes_it_out_of_the_batch_under_way),
		cmocka_unit_test(loop_call__runs_on_the_thread_and_waits),
		cmocka_unit_test(loop_watch__nothing_is_missed_on_the_way_to_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
