/* SPDX-License-Identifier: Apache-2.0 */
/* test_vm.c - the states of a VM: pauses that wait for devices, what may come between, saving. */
#include "vm_rig.h"

static void vm_pause__returns_when_the_devices_have_come_to_rest(void **state)
{
	struct sill_err e = { 0 };
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	let_it_look(&r);
	assert_false(get(&p.done));
	assert_int_equal(state_of(&r), VM_PAUSING);
	drain();
	assert_int_equal(pause_end(&p), 0);
	assert_int_equal(state_of(&r), VM_PAUSED);
	/* Again is nothing. */
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(count(&fake.pauses), 1);
	assert_int_equal(resume(&r), 0);
	assert_int_equal(state_of(&r), VM_RUNNING);
	end(&r);
}

static void vm_pause__a_resume_need_not_wait_for_devices(void **state)
{
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	assert_int_equal(resume(&r), 0);
	assert_int_equal(pause_end(&p), -1);
	assert_int_equal(p.e.code, SILL_ERR_STATE);
	assert_non_null(strstr(p.e.msg, "resumed before"));
	assert_int_equal(state_of(&r), VM_RUNNING);
	assert_false(get(&fake.paused));
	/* And as from a signal handler. */
	pause_begin(&r, &p);
	sill_vm_ask_resume(r.vm);
	assert_int_equal(pause_end(&p), -1);
	set(&fake.busy, false);
	end(&r);
}

static void vm_pause__two_at_once_both_wait(void **state)
{
	struct pauser p, q;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	pause_begin(&r, &q);
	drain();
	assert_int_equal(pause_end(&p), 0);
	assert_int_equal(pause_end(&q), 0);
	end(&r);
}

static void vm_pause__survives_a_reset_in_the_middle(void **state)
{
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	sill_vm_reset(r.vm);
	await(&r, VM_RESETTING);
	assert_false(get(&p.done));
	drain();
	assert_int_equal(pause_end(&p), 0);
	assert_int_equal(count(&fake.resets), 1);
	assert_int_equal(state_of(&r), VM_PAUSED);
	assert_true(get(&fake.paused));
	end(&r);
}

static void vm_pause__a_stop_ends_it(void **state)
{
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	sill_vm_stop(r.vm);
	assert_int_equal(pause_end(&p), -1);
	assert_int_equal(state_of(&r), VM_ENDING);
	drain();
	end(&r);
}

/* A request that fails while the devices come to rest: one pause, and it is told when it is complete. */
static void vm_pause__meets_an_error_that_stops(void **state)
{
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	fake.hooks.stall(fake.hooks.ctx, "disk0", "write", ENOSPC);
	let_it_look(&r);
	assert_int_equal(count(&r.events), 0);
	drain();
	assert_int_equal(pause_end(&p), 0);
	while (count(&r.events) == 0)
		sched_yield();
	assert_int_equal(resume(&r), 0);
	assert_int_equal(state_of(&r), VM_RUNNING);
	assert_int_equal(count(&fake.pauses), 1);
	end(&r);
}

static void vm_save__only_when_paused(void **state)
{
	struct sill_err e = { 0 };
	struct pauser p;
	struct run r;
	size_t size;
	void *bytes;

	(void)state;
	create(&r);
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), -1);
	begin(&r);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), -1);
	assert_string_equal(e.msg, "the virtual machine is not paused");
	set(&fake.busy, true);
	pause_begin(&r, &p);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), -1);
	drain();
	assert_int_equal(pause_end(&p), 0);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), 0);
	assert_int_equal(count(&fake.saves), 1);
	free(bytes);
	/* It is paused as before. */
	assert_int_equal(state_of(&r), VM_PAUSED);
	end(&r);
}

static void *resume_main(void *ctx)
{
	return resume(ctx) == 0 ? NULL : ctx;
}

static void vm_freeze__others_wait(void **state)
{
	struct sill_err e = { 0 };
	struct run r;
	pthread_t thread;
	size_t size;
	void *bytes, *failed;

	(void)state;
	create(&r);
	begin(&r);
	assert_int_equal(sill_vm_freeze(r.vm, SILL_PICTURE_STATE, &bytes, &size, &e), -1);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(sill_vm_freeze(r.vm, SILL_PICTURE_NOTES, &bytes, &size, &e), 0);
	assert_int_equal(size, 4u * sill_vm_config(r.vm)->cpus.boot);
	free(bytes);
	assert_int_equal(count(&fake.saves), 0);
	assert_int_equal(sill_vm_freeze(r.vm, SILL_PICTURE_STATE, &bytes, &size, &e), -1);
	assert_string_equal(e.msg, "a snapshot or a core dump of it is being written");
	/* A reset that is asked for, and then a resume. */
	sill_vm_reset(r.vm);
	let_it_look(&r);
	assert_int_equal(count(&fake.resets), 0);
	assert_int_equal(pthread_create(&thread, NULL, resume_main, &r), 0);
	while ((__atomic_load_n(&r.vm->requests, __ATOMIC_SEQ_CST) & REQ_RESUME) == 0)
		sched_yield();
	let_it_look(&r);
	assert_int_equal(state_of(&r), VM_PAUSED);
	sill_vm_thaw(r.vm);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_int_equal(count(&fake.resets), 1);
	await(&r, VM_RUNNING);
	/* The end does not wait. */
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_freeze(r.vm, SILL_PICTURE_STATE, &bytes, &size, &e), 0);
	free(bytes);
	end(&r);
}

static void vm_freeze__what_is_asked_meanwhile_waits_for_the_thaw(void **state)
{
	struct sill_err e = { 0 };
	struct run r;
	size_t size;
	void *bytes;

	(void)state;
	create(&r);
	begin(&r);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	set(&fake.meddles, true);
	assert_int_equal(sill_vm_freeze(r.vm, SILL_PICTURE_STATE, &bytes, &size, &e), 0);
	set(&fake.meddles, false);
	free(bytes);
	let_it_look(&r);
	assert_int_equal(count(&fake.resets), 0);
	assert_int_equal(state_of(&r), VM_PAUSED);
	sill_vm_thaw(r.vm);
	await(&r, VM_RUNNING);
	assert_int_equal(count(&fake.resets), 1);
	end(&r);
}

static void vm_load__begins_paused(void **state)
{
	struct sill_err e = { 0 };
	struct run r;
	size_t size;
	void *bytes;

	(void)state;
	create(&r);
	begin(&r);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), 0);
	end(&r);
	create(&r);
	assert_int_equal(sill_vm_load(r.vm, bytes, size, &e), 0);
	set(&fake.busy, true); /* what the load has begun to write */
	begin(&r);
	await(&r, VM_PAUSING);
	drain();
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(count(&fake.loads), 1);
	assert_int_equal(count(&fake.resets), 0);
	assert_int_equal(resume(&r), 0);
	assert_int_equal(state_of(&r), VM_RUNNING);
	end(&r);
	/* Cut, or with more behind it. */
	for (size_t n = 0; n < size; n++) {
		create(&r);
		e = (struct sill_err){ 0 };
		assert_int_equal(sill_vm_load(r.vm, bytes, n, &e), -1);
		assert_int_equal(e.code, SILL_ERR_STATE);
		sill_vm_destroy(r.vm);
	}
	free(bytes);
}

static void what_becomes_of_it__is_told_in_order(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	assert_false(sill_vm_is_paused(r.vm));
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_true(sill_vm_is_paused(r.vm));
	assert_int_equal(sill_vm_resume(r.vm, &e), 0);
	assert_false(sill_vm_is_paused(r.vm));
	/* A look could fall into the reset, which takes what was asked for before. */
	set(&fake.busy, true);
	sill_vm_reset(r.vm);
	await(&r, VM_RESETTING);
	drain();
	await(&r, VM_RUNNING);
	end(&r);
	assert_string_equal(r.told, "bprne");
}

static enum sill_link link_now(const struct run *r)
{
	struct sill_config c;
	struct sill_err e = { 0 };
	enum sill_link link;

	assert_int_equal(sill_vm_config_now(r->vm, &c, &e), 0);
	assert_int_equal(c.net_count, 1);
	link = c.net[0].link;
	sill_config_free(&c);
	return link;
}

/* The value follows the cable: what a plan compares with is what is. */
static void vm_net_link__is_what_the_value_says(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	create(&r);
	assert_int_equal(link_now(&r), SILL_LINK_UP);
	assert_int_equal(sill_vm_net_link(r.vm, "lan", false, &e),
			 0); /* this thread's, before it runs */
	assert_int_equal(link_now(&r), SILL_LINK_DOWN);
	begin(&r);
	assert_int_equal(sill_vm_net_link(r.vm, "lan", true, &e), 0);
	assert_true(get(&fake.link_up));
	assert_int_equal(link_now(&r), SILL_LINK_UP);
	assert_int_equal(sill_vm_net_link(r.vm, "wan", false, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(sill_vm_net_link(r.vm, "lan", false, &e), 0);
	assert_false(get(&fake.link_up));
	assert_int_equal(link_now(&r), SILL_LINK_DOWN);
	assert_int_equal(sill_vm_config(r.vm)->net[0].link, SILL_LINK_UP); /* as it was made */
	end(&r);
}

/* The card's ways share a group: what the one is told both have, and the value says so. */
static void vm_net_limit__is_what_the_value_says(void **state)
{
	const struct sill_rate_limit fast = { .ops = 9, .ops_burst = 3 }, none = { 0 };
	struct sill_config c;
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	create(&r);
	r.vm->value.net[0].rx_limit = (struct sill_rate_limit){ .ops = 5, .group = strdup("wan") };
	r.vm->value.net[0].tx_limit = (struct sill_rate_limit){ .group = strdup("wan") };
	assert_int_equal(sill_vm_net_limit(r.vm, "lan", NULL, &fast, &e), 0);
	begin(&r);
	assert_int_equal(sill_vm_config_now(r.vm, &c, &e), 0);
	assert_int_equal(c.net[0].rx_limit.ops, 9);
	assert_int_equal(c.net[0].tx_limit.ops_burst, 3);
	assert_string_equal(c.net[0].tx_limit.group, "wan");
	sill_config_free(&c);
	/* One that is told none: the group has none. */
	assert_int_equal(sill_vm_net_limit(r.vm, "lan", &none, NULL, &e), 0);
	assert_int_equal(sill_vm_config_now(r.vm, &c, &e), 0);
	assert_int_equal(c.net[0].rx_limit.ops, 0);
	assert_int_equal(c.net[0].tx_limit.ops, 0);
	sill_config_free(&c);
	assert_int_equal(sill_vm_net_limit(r.vm, "wan", &none, NULL, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_int_equal(sill_vm_disk_limit(r.vm, "lan", &none, &(struct sill_err){ 0 }), -1);
	end(&r);
	assert_int_equal(fake.limit[1].ops, 9);
	assert_int_equal(fake.limit[0].ops, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vm_pause__returns_when_the_devices_have_come_to_rest),
		cmocka_unit_test(vm_pause__a_resume_need_not_wait_for_devices),
		cmocka_unit_test(vm_pause__two_at_once_both_wait),
		cmocka_unit_test(vm_pause__survives_a_reset_in_the_middle),
		cmocka_unit_test(vm_pause__a_stop_ends_it),
		cmocka_unit_test(vm_pause__meets_an_error_that_stops),
		cmocka_unit_test(vm_save__only_when_paused),
		cmocka_unit_test(vm_freeze__others_wait),
		cmocka_unit_test(vm_freeze__what_is_asked_meanwhile_waits_for_the_thaw),
		cmocka_unit_test(vm_load__begins_paused),
		cmocka_unit_test(what_becomes_of_it__is_told_in_order),
		cmocka_unit_test(vm_net_link__is_what_the_value_says),
		cmocka_unit_test(vm_net_limit__is_what_the_value_says),
	};

	return run_vm_tests(tests);
}
