/* SPDX-License-Identifier: Apache-2.0 */
/* test_cables.c - which cable goes when a card goes, and when one does not come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "runner/host/cables.h"
#include "runner/host/worker.h"

/* Nobody asks it anything: these cables have no threads. */
static struct sill_vm *const some_vm = (struct sill_vm *)(uintptr_t)16;

static bool no_threads; /* the host has none any more */

/* In the place of the library's. */
int worker_start(pthread_t *ret, void *(*fn)(void *arg), void *arg, const char *what,
		 struct sill_err *e)
{
	const int err = no_threads ? EAGAIN : pthread_create(ret, NULL, fn, arg);

	return err == 0 ? 0 : sill_err_sys(e, err, "start %s", what);
}

static struct cable *plug(struct cables *cs, const char *id)
{
	struct sill_err e = { 0 };
	struct cable *c = cable_create(id, &e);

	assert_non_null(c);
	assert_int_equal(cables_plug(cs, c, &e), 0);
	return c;
}

static unsigned count(const struct cables *cs)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SILL_MAX_NETS; i++)
		n += cables_at(cs, i) != NULL;
	return n;
}

static bool has(const struct cables *cs, const struct cable *c)
{
	for (unsigned i = 0; i < SILL_MAX_NETS; i++)
		if (cables_at(cs, i) == c)
			return true;
	return false;
}

static void begin(struct cables *cs)
{
	struct sill_err e = { 0 };

	cables_init(cs);
	assert_int_equal(cables_start(cs, some_vm, NULL, &e), 0);
}

static void end(struct cables *cs)
{
	cables_stop(cs);
	cables_fini(cs);
	assert_int_equal(count(cs), 0);
}

/* A guest that was asked for a card has it still: one of the same id cannot come, and what the first has stays. */
static void cables_unplug__leaves_the_one_that_was_there(void **state)
{
	struct cables cs;
	const struct cable *first, *second;

	(void)state;
	begin(&cs);
	first = plug(&cs, "net0");
	second = plug(&cs, "net0");
	cables_unplug(&cs, second);
	cables_settle(&cs);
	assert_int_equal(count(&cs), 1);
	assert_true(has(&cs, first));
	cables_unplug(&cs, second); /* which is no more */
	assert_int_equal(count(&cs), 1);
	end(&cs);
}

/* Wherever they are in the list: the word that a card has gone is of the one that was there first. */
static void cables_remove__ends_the_older_of_two(void **state)
{
	struct cables cs;
	const struct cable *other, *first, *second;

	(void)state;
	begin(&cs);
	other = plug(&cs, "other");
	first = plug(&cs, "net0");
	cables_remove(&cs, "other");
	cables_settle(&cs);
	assert_false(has(&cs, other));
	second = plug(&cs, "net0");
	assert_ptr_equal(cables_at(&cs, 0), second); /* before the first one */
	cables_remove(&cs, "net0");
	cables_settle(&cs);
	assert_int_equal(count(&cs), 1);
	assert_false(has(&cs, first));
	assert_true(has(&cs, second));
	cables_remove(&cs, "net0");
	cables_remove(&cs, "net0"); /* nobody's any more */
	cables_settle(&cs);
	assert_int_equal(count(&cs), 0);
	end(&cs);
}

/* When the VM has ended none comes, and those that are there stay until its descriptors are closed. */
static void cables_stop__leaves_the_list_as_it_is(void **state)
{
	struct sill_err e = { 0 };
	struct cables cs;
	struct cable *late;
	const struct cable *c;

	(void)state;
	begin(&cs);
	c = plug(&cs, "net0");
	cables_stop(&cs);
	cables_remove(&cs, "net0");
	cables_unplug(&cs, c);
	assert_true(has(&cs, c));
	late = cable_create("net1", &e);
	assert_non_null(late);
	assert_int_equal(cables_plug(&cs, late, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	end(&cs);
}

static void cables_plug__takes_as_many_as_a_vm_has_cards(void **state)
{
	struct sill_err e = { 0 };
	struct cables cs;
	struct cable *c;

	(void)state;
	begin(&cs);
	for (unsigned i = 0; i < SILL_MAX_NETS; i++)
		(void)plug(&cs, "net");
	c = cable_create("net", &e);
	assert_non_null(c);
	assert_int_equal(cables_plug(&cs, c, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	assert_int_equal(count(&cs), SILL_MAX_NETS);
	end(&cs);
}

/* Two go that had, one after the other, the same place: each is ended by who waits for them. */
static void cables_settle__ends_those_that_got_no_thread(void **state)
{
	const struct cable *first, *second;
	struct cables cs;

	(void)state;
	begin(&cs);
	no_threads = true;
	first = plug(&cs, "net0");
	cables_remove(&cs, "net0");
	second = plug(&cs, "net0");
	cables_remove(&cs, "net0");
	no_threads = false;
	assert_int_equal(count(&cs), 0);
	assert_ptr_equal(cs.late, second);
	assert_ptr_equal(cs.late->next, first);
	cables_settle(&cs);
	assert_null(cs.late);
	assert_int_equal(cs.going, 0);
	end(&cs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cables_unplug__leaves_the_one_that_was_there),
		cmocka_unit_test(cables_remove__ends_the_older_of_two),
		cmocka_unit_test(cables_stop__leaves_the_list_as_it_is),
		cmocka_unit_test(cables_settle__ends_those_that_got_no_thread),
		cmocka_unit_test(cables_plug__takes_as_many_as_a_vm_has_cards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
