/* SPDX-License-Identifier: Apache-2.0 */
/* test_throttle.c - rates, bursts and turns, by a clock that is only a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "backend/throttle.h"

static const uint64_t SECOND = 1000000000ull, START = 77 * 1000000000ull;

/* Serve requests of @n bytes one after the other for a second: how many bytes began? */
static uint64_t served(struct throttle *t, uint64_t from, uint64_t length, uint64_t n)
{
	uint64_t now = from, sum = 0;

	while (now < from + length) {
		sum += n;
		now = throttle_reserve(t, now, n);
	}
	return sum - n;
}

static void throttle_reserve__keeps_the_rate_in_the_long_run(void **state)
{
	static const uint64_t sizes[] = { 512, 4096, 65536, 1 << 20 };
	const uint64_t rate = 10 << 20;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct throttle t;
		uint64_t n;

		throttle_init(&t, &(struct throttle_limits){ .bytes = rate });
		n = served(&t, START, 100 * SECOND, sizes[i]);
		/* The burst of a tenth of a second comes on top, and a request more. */
		assert_in_range(n, 100 * rate - rate / 50, 100 * rate + rate / 10 + 2 * sizes[i]);
	}
}

static void throttle_reserve__lets_a_burst_pass_after_a_pause(void **state)
{
	const struct throttle_limits l = { .ops = 100, .ops_burst = 50 };
	struct throttle t;
	unsigned n = 0;

	(void)state;
	throttle_init(&t, &l);
	while (throttle_reserve(&t, START, 0) == START)
		n++;
	assert_int_equal(n, 51);
	/* Half a second later the bucket is full again; longer makes it no fuller. */
	for (n = 0; throttle_reserve(&t, START + 60 * SECOND, 0) == START + 60 * SECOND;)
		n++;
	assert_int_equal(n, 51);
}

static void throttle_reserve__spaces_those_who_wait(void **state)
{
	const struct throttle_limits l = { .ops = 10, .ops_burst = 1 };
	struct throttle t;
	uint64_t before = START;

	(void)state;
	throttle_init(&t, &l);
	(void)throttle_reserve(&t, START, 0);
	(void)throttle_reserve(&t, START, 0);
	/* Four queues ask at one moment: each has a place of its own, in the order they came. */
	for (unsigned i = 1; i <= 4; i++) {
		const uint64_t at = throttle_reserve(&t, START, 0);

		assert_int_equal(at - before, SECOND / 10);
		before = at;
	}
}

static void throttle_reserve__counts_both_and_the_slower_rules(void **state)
{
	const struct throttle_limits l = { .bytes = 1 << 20, .ops = 1000 };
	struct throttle t;

	(void)state;
	throttle_init(&t, &l);
	assert_in_range(served(&t, START, 10 * SECOND, 512), 10 * 512 * 1000,
			10 * 512 * 1000 + 110 * 512);
	throttle_init(&t, &l);
	assert_in_range(served(&t, START, 10 * SECOND, 65536), 10 << 20, 11 << 20);
}

static void throttle_reserve__lets_a_large_request_pass_whole(void **state)
{
	struct throttle t;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = 1000, .bytes_burst = 10 });
	assert_int_equal(throttle_reserve(&t, START, 5000), START);
	/* Five seconds' worth was taken; the next one waits for all of it but the burst. */
	assert_int_equal(throttle_reserve(&t, START, 1), START + 5 * SECOND - SECOND / 100);
}

static void throttle_charge__is_paid_by_those_behind(void **state)
{
	struct throttle t;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = 1000, .bytes_burst = 10 });
	(void)throttle_reserve(&t, START, 100);
	throttle_charge(&t, START, 900);
	assert_int_equal(throttle_reserve(&t, START, 1), START + SECOND - SECOND / 100);
}

static void throttle_reserve__takes_absurd_sizes(void **state)
{
	struct throttle t;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = 1 });
	for (unsigned i = 0; i < 8; i++)
		assert_true(throttle_reserve(&t, START, UINT64_MAX) >= START);
	assert_true(throttle_reserve(&t, START, 1) <= 1ull << 62);
	throttle_init(&t, &(struct throttle_limits){ 0 });
	assert_int_equal(throttle_reserve(&t, START, UINT64_MAX), START);
}

enum { THREADS = 4, EACH = 20000 };

static void *taker(void *ctx)
{
	for (unsigned i = 0; i < EACH; i++)
		(void)throttle_reserve(ctx, START, 1);
	return NULL;
}

static void throttle_reserve__loses_nothing_between_threads(void **state)
{
	pthread_t threads[THREADS];
	struct throttle t;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = 1000, .ops = 1000 });
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, taker, &t), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(throttle_reserve(&t, START, 1),
			 START + THREADS * EACH * (SECOND / 1000) - SECOND / 10);
}

static void a_turn__comes_when_it_was_promised(void **state)
{
	/* 1,000 bytes a second, and one that may always begin. */
	const struct throttle_limits l = { .bytes = 1000, .bytes_burst = 1 };
	struct throttle_turn turn = { 0 };
	struct throttle t;

	(void)state;
	throttle_init(&t, &l);
	assert_true(throttle_may_begin(&t, &turn, START, 500));
	assert_false(throttle_may_begin(&t, &turn, START, 500));
	assert_int_equal(turn.at_ns, START + SECOND / 2 - SECOND / 1000);
	/* Asking again neither costs nor helps. */
	for (unsigned i = 0; i < 10; i++)
		assert_false(throttle_may_begin(&t, &turn, turn.at_ns - 1, 500));
	assert_true(throttle_may_begin(&t, &turn, turn.at_ns, 500));
	assert_false(turn.waits);
	/* The next one waits for both. */
	assert_false(throttle_may_begin(&t, &turn, START, 100));
	assert_int_equal(turn.at_ns, START + SECOND - SECOND / 1000);
	/* It has become larger meanwhile: those behind it pay. */
	assert_true(throttle_may_begin(&t, &turn, turn.at_ns, 600));
	assert_int_equal(throttle_reserve(&t, START, 1),
			 START + 1600 * (SECOND / 1000) - SECOND / 1000);
}

static void what_is_paid_for_afterwards__is_let_in_when_the_debt_is_gone(void **state)
{
	const struct throttle_limits l = {
		.ops = 10, .ops_burst = 2, .bytes = 1000, .bytes_burst = 500
	};
	struct throttle t;
	uint64_t now = START;
	unsigned n = 0;

	(void)state;
	throttle_init(&t, &l);
	assert_int_equal(throttle_opens(&t, START), START);
	while (throttle_opens(&t, now) == now) {
		(void)throttle_reserve(&t, now, 10);
		n++;
	}
	assert_int_equal(n, 3);
	assert_int_equal(throttle_opens(&t, now), START + SECOND / 10);
	now = START + SECOND / 10;
	assert_int_equal(throttle_opens(&t, now), now);
	(void)throttle_reserve(&t, now, 10000); /* whole, however large */
	assert_int_equal(throttle_opens(&t, now), now + 10 * SECOND - SECOND / 2);
	/* In the long run it is the rate. */
	throttle_init(&t, &(struct throttle_limits){ .bytes = 1000000 });
	for (now = START, n = 0; now < START + 100 * SECOND; now = throttle_opens(&t, now)) {
		(void)throttle_reserve(&t, now, 1500);
		n++;
	}
	assert_in_range(n, 66600, 66800);
}

/* ---- limits that change ---- */

static void throttle_set__moves_what_is_owed_to_the_new_rate(void **state)
{
	const struct throttle_limits slow = { .bytes = 1000, .bytes_burst = 10 },
				     fast = { .bytes = 10000, .bytes_burst = 100 };
	struct throttle t;

	(void)state;
	throttle_init(&t, &slow);
	assert_int_equal(throttle_reserve(&t, START, 5010), START);
	/* 5,000 bytes beyond the burst: 5 s, then half a second, then 5 s again. */
	assert_int_equal(throttle_opens(&t, START), START + 5 * SECOND);
	throttle_set(&t, START, &fast);
	assert_int_equal(throttle_opens(&t, START), START + SECOND / 2);
	throttle_set(&t, START, &slow);
	assert_int_equal(throttle_opens(&t, START), START + 5 * SECOND);
	/* What is paid off by then is. */
	throttle_set(&t, START + 4 * SECOND, &fast);
	assert_int_equal(throttle_opens(&t, START + 4 * SECOND), START + 4 * SECOND + SECOND / 10);
}

static void throttle_set__a_burst_that_was_used_is_no_debt(void **state)
{
	struct throttle t;
	uint64_t now = START;

	(void)state;
	/* A tenth of a second of 1 GB/s, all used, would take a day at 1,000 B/s. */
	throttle_init(&t, &(struct throttle_limits){ .bytes = 1000000000 });
	(void)throttle_reserve(&t, now, 100000000);
	throttle_set(&t, now, &(struct throttle_limits){ .bytes = 1000 });
	assert_int_equal(throttle_opens(&t, now), now);
	(void)throttle_reserve(&t, now, 1000);
	assert_int_equal(throttle_opens(&t, now), now + SECOND);
}

static void throttle_set__begins_and_ends_limits(void **state)
{
	struct throttle t;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ 0 });
	assert_false(throttle_is_on(&t));
	throttle_set(&t, START, &(struct throttle_limits){ .ops = 10, .ops_burst = 1 });
	assert_true(throttle_is_on(&t));
	assert_int_equal(throttle_reserve(&t, START, 1 << 20), START);
	assert_int_equal(throttle_reserve(&t, START, 1 << 20), START);
	assert_int_equal(throttle_reserve(&t, START, 1 << 20), START + SECOND / 10);
	throttle_set(&t, START, &(struct throttle_limits){ 0 });
	assert_false(throttle_is_on(&t));
	assert_int_equal(throttle_reserve(&t, START, 1 << 20), START);
	assert_false(throttle_is_on(NULL));
}

/* Two queues wait, and keep their order and their distance. */
static void a_turn__comes_sooner_or_later_with_the_rate(void **state)
{
	const struct throttle_limits l = { .bytes = 1000, .bytes_burst = 1 };
	struct throttle_turn first = { 0 }, second = { 0 };
	struct throttle t;

	(void)state;
	throttle_init(&t, &l);
	assert_true(throttle_may_begin(&t, &first, START, 1001));
	assert_false(throttle_may_begin(&t, &first, START, 1000));
	assert_false(throttle_may_begin(&t, &second, START, 1000));
	assert_int_equal(first.at_ns, START + SECOND);
	assert_int_equal(second.at_ns, START + 2 * SECOND);
	throttle_set(&t, START + SECOND / 2, &(struct throttle_limits){ .bytes = 10000 });
	assert_false(throttle_may_begin(&t, &second, START + SECOND / 2, 1000));
	assert_false(throttle_may_begin(&t, &first, START + SECOND / 2, 1000));
	assert_int_equal(first.at_ns, START + SECOND / 2 + SECOND / 20);
	assert_int_equal(second.at_ns, START + SECOND / 2 + 3 * (SECOND / 20));
	throttle_set(&t, START + SECOND / 2, &(struct throttle_limits){ .bytes = 500 });
	assert_false(throttle_may_begin(&t, &first, START + SECOND / 2, 1000));
	assert_int_equal(first.at_ns, START + SECOND / 2 + SECOND);
	assert_true(throttle_may_begin(&t, &first, first.at_ns, 1000));
	/* Without limits nobody waits. */
	throttle_set(&t, START + SECOND, &(struct throttle_limits){ 0 });
	assert_true(throttle_may_begin(&t, &second, START + SECOND, 1000));
}

/* Nobody looks meanwhile, as while the VM is paused; the bucket counts changes up to sixteen. */
static void a_turn__follows_however_often_the_rate_has_changed(void **state)
{
	const struct throttle_limits slow = { .bytes = 1000, .bytes_burst = 1 };

	(void)state;
	for (unsigned changes = 1; changes <= 40; changes++) {
		struct throttle_turn turn = { 0 };
		struct throttle t;

		throttle_init(&t, &slow);
		assert_true(throttle_may_begin(&t, &turn, START, 1001));
		assert_false(throttle_may_begin(&t, &turn, START, 1000));
		for (unsigned i = 1; i < changes; i++)
			throttle_set(&t, START + i, &slow);
		throttle_set(&t, START + 1000, &(struct throttle_limits){ .bytes = 1000000 });
		assert_false(throttle_may_begin(&t, &turn, START + 1000, 1000));
		assert_int_equal(turn.at_ns, START + 1000 + SECOND / 1000 - 1);
	}
}

struct counted {
	struct throttle *t;
	pthread_t thread;
	unsigned takes; /* done so far */
};

static void *counted_taker(void *ctx)
{
	struct counted *c = ctx;

	for (unsigned i = 0; i < EACH; i++) {
		(void)throttle_reserve(c->t, START, 1);
		__atomic_store_n(&c->takes, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Until each has taken once more, or is done: so none sees sixteen changes, as many as a bucket tells apart, in one. */
static void await_takes(struct counted *c)
{
	for (unsigned i = 0; i < THREADS; i++) {
		const unsigned before = __atomic_load_n(&c[i].takes, __ATOMIC_ACQUIRE);

		while (before < EACH && __atomic_load_n(&c[i].takes, __ATOMIC_ACQUIRE) == before)
			(void)sched_yield();
	}
}

static void throttle_set__loses_nothing_of_what_others_take_meanwhile(void **state)
{
	/* No time passes, and no burst is to speak of: what is owed is the sum of all, at any rate. */
	static const uint64_t rates[] = { 1000, 2000, 4000, 8000 };
	struct counted c[THREADS];
	struct throttle t;
	uint64_t owed;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = 1000, .bytes_burst = 1 });
	for (unsigned i = 0; i < THREADS; i++) {
		c[i] = (struct counted){ .t = &t };
		assert_int_equal(pthread_create(&c[i].thread, NULL, counted_taker, &c[i]), 0);
	}
	for (unsigned i = 0; i < 20000; i++) {
		if (i % 4 == 0)
			await_takes(c);
		throttle_set(&t, START,
			     &(struct throttle_limits){ .bytes = rates[i % 4], .bytes_burst = 1 });
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(c[i].thread, NULL), 0);
	throttle_set(&t, START, &(struct throttle_limits){ .bytes = 1000, .bytes_burst = 1 });
	owed = throttle_opens(&t, START) - START;
	/* A ns is lost to rounding in each change at most. */
	assert_in_range(owed, (THREADS * EACH - 2) * (SECOND / 1000),
			THREADS * EACH * (SECOND / 1000));
}

static void throttle_settle__is_of_the_limit_that_was_paid_to(void **state)
{
	const struct throttle_limits none = { .ops = 100 }, l = { .bytes = 1000, .bytes_burst = 1 };
	struct throttle_turn turn = { 0 };
	struct throttle_paid paid, later;
	struct throttle t;

	(void)state;
	throttle_init(&t, &none);
	assert_true(throttle_may_begin(&t, &turn, START, 5000));
	paid = throttle_paid_by(&t, &turn, 5000);
	/* It began before there was a limit of bytes: it gets nothing back of it, and owes it nothing. */
	throttle_set(&t, START, &l);
	(void)throttle_reserve(&t, START, 3001);
	assert_int_equal(throttle_opens(&t, START), START + 3 * SECOND);
	assert_int_equal(throttle_settle(&t, &paid, START, 0), 0);
	assert_int_equal(throttle_settle(&t, &paid, START, 6000), 0);
	assert_int_equal(throttle_opens(&t, START), START + 3 * SECOND);
	/* Who has paid gets back, also when the rate is another by now. */
	turn = (struct throttle_turn){ 0 };
	assert_false(throttle_may_begin(&t, &turn, START, 2000));
	assert_true(throttle_may_begin(&t, &turn, START + 3 * SECOND, 2000));
	paid = throttle_paid_by(&t, &turn, 2000);
	later = throttle_paid_by(&t, NULL, 0);
	throttle_set(&t, START + 3 * SECOND,
		     &(struct throttle_limits){ .bytes = 2000, .bytes_burst = 2 });
	assert_int_equal(throttle_settle(&t, &paid, START + 3 * SECOND, 1000), SECOND / 2);
	assert_in_range(throttle_opens(&t, START + 3 * SECOND) - START, 35 * SECOND / 10 - 9,
			35 * SECOND / 10 + 9);
	assert_int_equal(throttle_settle(&t, &later, START + 3 * SECOND, 1000), 0);
	assert_in_range(throttle_opens(&t, START + 3 * SECOND) - START, 4 * SECOND - 9,
			4 * SECOND + 9);
	/* What was owed to a limit that ended is nobody's when another begins. */
	throttle_set(&t, START + 3 * SECOND, &none);
	throttle_set(&t, START + 3 * SECOND, &l);
	(void)throttle_reserve(&t, START + 3 * SECOND, 1001);
	assert_int_equal(throttle_settle(&t, &paid, START + 3 * SECOND, 0), 0);
	assert_int_equal(throttle_opens(&t, START + 3 * SECOND), START + 4 * SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(throttle_reserve__keeps_the_rate_in_the_long_run),
		cmocka_unit_test(throttle_reserve__lets_a_burst_pass_after_a_pause),
		cmocka_unit_test(throttle_reserve__spaces_those_who_wait),
		cmocka_unit_test(throttle_reserve__counts_both_and_the_slower_rules),
		cmocka_unit_test(throttle_reserve__lets_a_large_request_pass_whole),
		cmocka_unit_test(throttle_charge__is_paid_by_those_behind),
		cmocka_unit_test(throttle_reserve__takes_absurd_sizes),
		cmocka_unit_test(a_turn__comes_when_it_was_promised),
		cmocka_unit_test(what_is_paid_for_afterwards__is_let_in_when_the_debt_is_gone),
		cmocka_unit_test(throttle_reserve__loses_nothing_between_threads),
		cmocka_unit_test(throttle_set__moves_what_is_owed_to_the_new_rate),
		cmocka_unit_test(throttle_set__a_burst_that_was_used_is_no_debt),
		cmocka_unit_test(throttle_set__begins_and_ends_limits),
		cmocka_unit_test(a_turn__comes_sooner_or_later_with_the_rate),
		cmocka_unit_test(a_turn__follows_however_often_the_rate_has_changed),
		cmocka_unit_test(throttle_set__loses_nothing_of_what_others_take_meanwhile),
		cmocka_unit_test(throttle_settle__is_of_the_limit_that_was_paid_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
