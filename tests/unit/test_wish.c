/* SPDX-License-Identifier: Apache-2.0 */
/* test_wish.c - what the guest is told again, and when: guest time stands until a test moves it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "machine/wish.h"

static const uint64_t SECOND = 1000000000ull;

struct one {
	struct wish wish;
	unsigned told;
	uint64_t waited;
	bool stands;
};

static struct bench {
	struct loop *loop;
	struct vmclock clock;
	struct wishes ws;
	struct one one[3];
} b;

static bool again(void *ctx, uint64_t waited_ns)
{
	struct one *o = ctx;

	o->told++;
	o->waited = waited_ns;
	return o->stands;
}

static void open_bench(void)
{
	struct sill_err e = { 0 };

	memset(&b, 0, sizeof(b));
	b.loop = loop_create(&e);
	assert_non_null(b.loop);
	vmclock_init(&b.clock);
	vmclock_freeze(&b.clock);
	vmclock_set(&b.clock, 0);
	wishes_init(&b.ws, b.loop, &b.clock);
	for (unsigned i = 0; i < 3; i++) {
		b.one[i].wish = (struct wish){ .again = again, .ctx = &b.one[i] };
		b.one[i].stands = true;
	}
}

static void close_bench(void)
{
	wishes_fini(&b.ws);
	loop_destroy(b.loop);
}

/* What the timer does, if it were set. */
static void at(uint64_t ns)
{
	vmclock_set(&b.clock, ns);
	b.ws.timer.fn(b.ws.timer.ctx);
}

static void wish__is_told_again_at_intervals_that_double_up_to_a_longest(void **state)
{
	static const unsigned due_s[] = { 5, 15, 35, 75, 155, 315, 635, 955, 1275 };
	struct one *o = &b.one[0];

	(void)state;
	open_bench();
	wish_made(&b.ws, &o->wish);
	for (unsigned i = 0; i < sizeof(due_s) / sizeof(due_s[0]); i++) {
		at(due_s[i] * SECOND - 1);
		assert_int_equal(o->told, i);
		at(due_s[i] * SECOND);
		assert_int_equal(o->told, i + 1);
		assert_int_equal(o->waited, (due_s[i] - (i != 0 ? due_s[i - 1] : 0)) * SECOND);
	}
	wish_made(&b.ws, &o->wish); /* asked for anew: from the start */
	at(1280 * SECOND);
	assert_int_equal(o->told, 10);
	wish_over(&b.ws, &o->wish);
	wish_over(&b.ws, &o->wish);
	at(9999 * SECOND);
	assert_int_equal(o->told, 10);
	close_bench();
}

static void wishes__are_told_at_once_when_the_guest_begins_to_listen(void **state)
{
	static const uint64_t step_ms[] = { 500, 1000, 2000, 4000, 8000 };
	uint64_t now = 100 * SECOND;

	(void)state;
	open_bench();
	wish_made(&b.ws, &b.one[0].wish);
	wish_made(&b.ws, &b.one[1].wish);
	at(now);
	assert_int_equal(b.one[0].told, 1);
	wishes_heard(&b.ws);
	at(now);
	assert_int_equal(b.one[0].told, 2);
	assert_int_equal(b.one[1].told, 2);
	for (unsigned i = 0; i < 5; i++) {
		now += step_ms[i] * 1000000;
		at(now - 1);
		assert_int_equal(b.one[1].told, 2 + i);
		at(now);
		assert_int_equal(b.one[1].told, 3 + i);
	}
	close_bench();
}

/* In the middle of the list, too. */
static void wishes__that_do_not_stand_any_more_are_forgotten(void **state)
{
	(void)state;
	open_bench();
	for (unsigned i = 0; i < 3; i++)
		wish_made(&b.ws, &b.one[i].wish);
	b.one[1].stands = false;
	at(5 * SECOND);
	at(15 * SECOND);
	assert_int_equal(b.one[0].told, 2);
	assert_int_equal(b.one[1].told, 1);
	assert_int_equal(b.one[2].told, 2);
	wish_made(&b.ws, &b.one[1].wish);
	at(20 * SECOND);
	assert_int_equal(b.one[1].told, 2);
	close_bench();
}

/* Real time, which is short here; the loop's own timer. */
static bool stop_loop(void *ctx, uint64_t waited_ns)
{
	(void)waited_ns;
	loop_stop(ctx);
	return false;
}

static void wishes__wait_for_the_end_of_a_pause(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	b.one[0].wish = (struct wish){ .again = stop_loop, .ctx = b.loop };
	wish_made(&b.ws, &b.one[0].wish);
	wishes_stand(&b.ws, true);
	vmclock_set(&b.clock, 5 * SECOND);
	wishes_heard(&b.ws);
	assert_false(b.ws.timer.armed);
	b.ws.timer.fn(b.ws.timer.ctx); /* was on its way */
	assert_non_null(b.ws.first);
	vmclock_thaw(&b.clock);
	assert_false(b.ws.timer.armed);
	wishes_stand(&b.ws, false);
	assert_true(b.ws.timer.armed);
	assert_int_equal(loop_run(b.loop, &e), 0);
	assert_null(b.ws.first);
	assert_false(b.ws.timer.armed);
	close_bench();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wish__is_told_again_at_intervals_that_double_up_to_a_longest),
		cmocka_unit_test(wishes__are_told_at_once_when_the_guest_begins_to_listen),
		cmocka_unit_test(wishes__that_do_not_stand_any_more_are_forgotten),
		cmocka_unit_test(wishes__wait_for_the_end_of_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
