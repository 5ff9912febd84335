/* SPDX-License-Identifier: Apache-2.0 */
/* test_throttle.c - rates, bursts and turns, by a clock that is only a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
