/* SPDX-License-Identifier: Apache-2.0 */
/* test_life.c - what a VM of the control API boots with next, as it is changed while it runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runner/api/event.h"
#include "runner/api/life.h"
#include "runner/manifest/manifest.h"
#include "runner/report/json.h"

/* Nobody asks it anything. */
static struct sill_vm *const some_vm = (struct sill_vm *)(uintptr_t)16;

static struct mfile *read_text(const char *text)
{
	struct mfile *mf = mfile_load_text("a", text, strlen(text), NULL);

	assert_non_null(mf);
	assert_int_equal(mf->count, 1);
	return mf;
}

/* Created from @text. */
static struct life *begin(struct events *ev, const char *text)
{
	struct life *l = life_create(ev, NULL, true);
	struct sill_err e = { 0 };

	assert_non_null(l);
	assert_int_equal(life_set(l, read_text(text), &e), 0);
	return l;
}

static void expect_said(struct life *l, unsigned boot, unsigned max)
{
	json_t *manifest = life_manifest(l), *cpus = json_object_get(manifest, "cpus");
	struct sill_config c;
	struct sill_err e = { 0 };

	assert_int_equal(json_integer_value(json_object_get(cpus, "boot")), boot);
	assert_int_equal(json_integer_value(json_object_get(cpus, "max")), max);
	json_decref(manifest);
	assert_int_equal(life_said(l, &c, &e), 0);
	assert_int_equal(c.cpus.boot, boot);
	assert_int_equal(c.cpus.max, max);
	sill_config_free(&c);
}

static void vcpus__are_those_of_the_next_boot(void **state)
{
	struct events *ev = events_create();
	struct life *l = begin(ev, "sill: 1\nname: a\nkernel: k\ncpus: {boot: 1, max: 4}\n");
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(life_set_vcpus(l, 3, &e), 0);
	expect_said(l, 3, 4);
	assert_int_equal(life_set_vcpus(l, 4, &e), 0);
	expect_said(l, 4, 4);
	life_destroy(l);
	events_destroy(ev);
}

/* As if the manifest had said so: nothing else of it is another. */
static void vcpus__change_nothing_else(void **state)
{
	struct events *ev = events_create();
	struct life *l = begin(ev, "sill: 1\nname: a\nkernel: k\ncpus: {boot: 1, max: 4}\n"
				   "disk: [{path: d, format: raw}]\nnet: [{none: on}]\n");
	struct life *same = begin(ev, "sill: 1\nname: a\nkernel: k\ncpus: {boot: 2, max: 4}\n"
				      "disk: [{path: d, format: raw}]\nnet: [{none: on}]\n");
	struct sill_err e = { 0 };
	json_t *got, *want = life_manifest(same);

	(void)state;
	assert_int_equal(life_set_vcpus(l, 2, &e), 0);
	got = life_manifest(l);
	assert_true(json_equal(got, want));
	json_decref(got);
	json_decref(want);
	life_destroy(l);
	life_destroy(same);
	events_destroy(ev);
}

static void vcpus__more_than_there_can_be_are_refused(void **state)
{
	struct events *ev = events_create();
	struct life *l = begin(ev, "sill: 1\nname: a\nkernel: k\ncpus: {boot: 2, max: 4}\n");
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(life_set_vcpus(l, 5, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	assert_int_equal(life_set_vcpus(l, 0, &e), -1);
	expect_said(l, 2, 4);
	life_destroy(l);
	events_destroy(ev);
}

/* `sill run`: the value that it has begun with is the caller's, and stays. */
static void vcpus__of_one_that_runs(void **state)
{
	static const struct sill_event runs = { .kind = SILL_EVENT_RUNNING };
	struct events *ev = events_create();
	struct mfile *mf = read_text("sill: 1\nname: a\nkernel: k\ncpus: {boot: 1, max: 4}\n");
	struct life *l = life_create(ev, NULL, false);
	struct sill_err e = { 0 };

	(void)state;
	life_begin(l, mf, &mf->docs[0]);
	assert_int_equal(life_set_vcpus(l, 2, &e), -1); /* it boots: between two states */
	assert_int_equal(e.code, SILL_ERR_STATE);
	life_up(l, some_vm);
	life_event(l, &runs);
	assert_int_equal(life_set_vcpus(l, 2, &e), 0);
	expect_said(l, 2, 4);
	assert_int_equal(mf->docs[0].m->cpus.boot, 1);
	life_let_go(l);
	life_down(l, NULL);
	expect_said(l, 2, 4);
	life_destroy(l);
	mfile_destroy(mf);
	events_destroy(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vcpus__are_those_of_the_next_boot),
		cmocka_unit_test(vcpus__change_nothing_else),
		cmocka_unit_test(vcpus__more_than_there_can_be_are_refused),
		cmocka_unit_test(vcpus__of_one_that_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
