/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_hold.c - who asks something of a VM holds it, and lets go of what was held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runner/api/event.h"
#include "runner/api/handlers.h"
#include "runner/api/life.h"
#include "runner/manifest/manifest.h"

/* Nobody asks it anything. */
static struct sill_vm *const some_vm = (struct sill_vm *)(uintptr_t)16;

static struct mfile *begin(struct api *a)
{
	static const char text[] = "sill: 1\nname: a\nkernel: k\n";
	struct mfile *mf = mfile_load_text("a", text, sizeof(text) - 1, NULL);

	assert_non_null(mf);
	assert_int_equal(mf->count, 1);
	a->events = events_create();
	assert_non_null(a->events);
	a->life = life_create(a->events, NULL, true);
	assert_non_null(a->life);
	return mf;
}

static void end(const struct api *a, struct mfile *mf)
{
	life_destroy(a->life);
	events_destroy(a->events);
	mfile_destroy(mf);
}

/* The status that it is answered with; 204: it is not. */
static unsigned ask(struct api *a, bool want, struct sill_vm *want_vm)
{
	struct api_call c = { .api = a, .status = 204 };
	struct sill_vm *vm = some_vm;
	unsigned status;

	assert_int_equal(api_hold_any(&c, &vm), want);
	assert_ptr_equal(vm, want_vm);
	if (vm != NULL)
		life_release(a->life);
	status = c.status;
	api_call_fini(&c);
	return status;
}

static void api_hold_any__knows_what_there_is(void **state)
{
	static const struct sill_event runs = { .kind = SILL_EVENT_RUNNING };
	struct api a;
	struct mfile *mf = begin(&a);

	(void)state;
	assert_int_equal(ask(&a, false, NULL), 404);
	life_begin(a.life, mf, &mf->docs[0]);
	assert_int_equal(ask(&a, false, NULL), 405);
	life_up(a.life, some_vm);
	life_event(a.life, &runs);
	assert_int_equal(ask(&a, true, some_vm), 204);
	life_let_go(a.life); /* nobody holds it */
	assert_int_equal(ask(&a, false, NULL), 405);
	life_down(a.life, NULL);
	assert_int_equal(ask(&a, true, NULL), 204);
	end(&a, mf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(api_hold_any__knows_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
