/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_loop.c - how long a loop's thread looks before it sleeps: what it learns
 * from what came, with times that are told to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/loop.c"

enum { MAX_NS = 64000, SOON = 20000, LATE = 10 * 1000 * 1000 };

static void loop_learn__looks_while_things_come_soon(void **state)
{
	struct loop l = { .poll_max_ns = MAX_NS, .credit = CREDIT };
	uint64_t before = 0;

	(void)state;
	for (int i = 0; i < 10; i++, before = l.poll_ns) {
		learn(&l, SOON);
		assert_true(l.poll_ns > before || l.poll_ns == MAX_NS);
		if (l.poll_ns == MAX_NS)
			break;
	}
	assert_int_equal(l.poll_ns, MAX_NS);
	/* The time that waking takes is not held against what came. */
	l = (struct loop){ .poll_max_ns = MAX_NS, .credit = CREDIT };
	learn(&l, MAX_NS + WAKE_NS);
	assert_int_equal(l.poll_ns, POLL_LEAST_NS);
}

static void loop_learn__an_idle_thread_ends_up_asleep(void **state)
{
	struct loop l = { .poll_max_ns = MAX_NS, .poll_ns = MAX_NS, .credit = CREDIT_MAX };
	unsigned sleeps = 0;

	(void)state;
	for (; l.poll_ns != 0; sleeps++) {
		assert_true(sleeps < 100);
		learn(&l, LATE);
	}
	for (unsigned i = 0; i < 1000; i++) {
		learn(&l, LATE);
		assert_int_equal(l.poll_ns, 0);
	}
	/* And wakes up again. */
	learn(&l, SOON);
	assert_int_equal(l.poll_ns, POLL_LEAST_NS);
}

/* Storage that answers just after the longest look: most of the time nobody looks. */
static void loop_learn__looks_in_vain_are_few(void **state)
{
	struct loop l = { .poll_max_ns = MAX_NS, .credit = CREDIT };
	uint64_t looked = 0, waited = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		looked += l.poll_ns;
		waited += MAX_NS + SOON;
		learn(&l, MAX_NS + SOON);
	}
	assert_true(looked > 0 && looked < waited / 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_learn__looks_while_things_come_soon),
		cmocka_unit_test(loop_learn__an_idle_thread_ends_up_asleep),
		cmocka_unit_test(loop_learn__looks_in_vain_are_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
