/* SPDX-License-Identifier: Apache-2.0 */
/* test_vm_cpus.c - vCPUs that come and go while a VM runs, is paused, reset, or ends. */
#include "vm_rig.h"

enum { MAX = 8 };

static struct sill_vm_cpus cpus_of(struct run *r)
{
	struct sill_vm_cpus c;

	sill_vm_cpus(r->vm, &c);
	return c;
}

static void check(struct run *r, unsigned present, unsigned asked, unsigned refused)
{
	const struct sill_vm_cpus c = cpus_of(r);

	assert_int_equal(c.present, present);
	assert_int_equal(c.asked, asked);
	assert_int_equal(c.refused, refused);
	assert_int_equal(c.max, MAX);
}

/* Threads, while the main loop does nothing with them: 1 for each that has one. */
static void check_threads(struct run *r, const char *want)
{
	for (unsigned i = 0; i < MAX; i++)
		assert_int_equal(r->vm->vcpus[i].started, want[i] == '1');
}

static void resize_to(struct run *r, unsigned wanted)
{
	struct sill_err e = { 0 };

	if (sill_vm_resize_cpus(r->vm, wanted, NULL, &e) < 0)
		fail_msg("%s", e.msg);
}

static void wait_for(const unsigned *n, unsigned least)
{
	while (count(n) < least)
		sched_yield();
}

/* The guest writes its eject register, or says no. */
static void give_up(unsigned i)
{
	__atomic_store_n(&fake.cpu[i].answer, ARCH_NOT_ASKED, __ATOMIC_SEQ_CST);
	set(&fake.cpu[i].present, false);
	fake.hooks.answered(fake.hooks.ctx);
}

static void refuse(unsigned i)
{
	__atomic_store_n(&fake.cpu[i].answer, ARCH_REFUSED, __ATOMIC_SEQ_CST);
	fake.hooks.answered(fake.hooks.ctx);
}

static unsigned boot_value(struct run *r)
{
	struct sill_config c;
	struct sill_err e = { 0 };
	unsigned n;

	assert_int_equal(sill_vm_config_now(r->vm, &c, &e), 0);
	n = c.cpus.boot;
	sill_config_free(&c);
	return n;
}

static void open_run(struct run *r, uint16_t boot)
{
	create_with(r, boot, MAX);
	begin(r);
}

static void resize__brings_the_lowest_absent_ones(void **state)
{
	struct sill_vm_cpus c;
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	open_run(&r, 2);
	assert_int_equal(sill_vm_resize_cpus(r.vm, 6, &c, &e), 0);
	assert_int_equal(c.present, 6);
	assert_int_equal(c.asked, 0);
	assert_true(c.heard);
	check_threads(&r, "11111100");
	for (unsigned i = 0; i < MAX; i++)
		assert_int_equal(fake.cpu[i].added, i >= 2 && i < 6);
	assert_int_equal(fake.joined, 4);
	assert_int_equal(fake.cleared, 0); /* KVM has just made them */
	assert_int_equal(count(&r.came), 1);
	assert_int_equal(boot_value(&r), 6);
	assert_int_equal(sill_vm_config(r.vm)->cpus.boot, 2);
	resize_to(&r, 6); /* as it is */
	assert_int_equal(count(&r.came), 1);
	end(&r);
}

static void resize__asks_for_the_highest(void **state)
{
	struct run r;

	(void)state;
	open_run(&r, 6);
	resize_to(&r, 3);
	check(&r, 6, 3, 0);
	assert_int_equal(boot_value(&r), 6); /* it still has them */
	give_up(4);                          /* in whatever order */
	wait_for(&r.went, 1);
	give_up(5);
	wait_for(&r.went, 2);
	check(&r, 4, 1, 0);
	give_up(3);
	wait_for(&r.went, 3);
	check(&r, 3, 0, 0);
	assert_int_equal(sill_vm_pause(r.vm, &(struct sill_err){ 0 }), 0);
	check_threads(&r, "11100000");
	assert_int_equal(boot_value(&r), 3);
	resize_to(&r, 5); /* the same ones again, which KVM has kept */
	check_threads(&r, "11111000");
	assert_int_equal(r.vm->vcpu_count, 6);
	assert_int_equal(fake.joined, 3 + 2);
	assert_int_equal(fake.cleared, 3 + 2);
	assert_int_equal(resume(&r), 0);
	end(&r);
}

static void resize__tells_a_refusal_once_and_a_reset_takes_them(void **state)
{
	struct run r;

	(void)state;
	open_run(&r, 4);
	resize_to(&r, 2);
	refuse(3);
	wait_for(&r.refused, 1);
	check(&r, 4, 2, 1);
	fake.hooks.answered(fake.hooks.ctx);
	let_it_look(&r);
	resize_to(&r, 2); /* asked again */
	check(&r, 4, 2, 0);
	assert_int_equal(count(&fake.cpu[3].asked), 2);
	assert_int_equal(count(&fake.cpu[2].asked), 2);
	assert_int_equal(count(&r.refused), 1);
	refuse(3);
	refuse(2);
	wait_for(&r.refused, 2);
	sill_vm_reset(r.vm);
	wait_for(&r.went, 1);
	await(&r, VM_RUNNING);
	check(&r, 2, 0, 0);
	assert_int_equal(boot_value(&r), 2);
	end(&r);
}

/* Windows: it never says a word. */
static void resize__waits_for_a_guest_that_never_answers(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	open_run(&r, 4);
	resize_to(&r, 1);
	check(&r, 4, 3, 0);
	let_it_look(&r);
	check(&r, 4, 3, 0);
	let_pass(r.vm, 5);
	for (unsigned i = 1; i < 4; i++)
		wait_for(&fake.cpu[i].asked, 2);
	/* Not while it is paused, and who has answered is not asked again. */
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	__atomic_store_n(&fake.cpu[2].answer, ARCH_AT_IT, __ATOMIC_SEQ_CST);
	let_pass(r.vm, 10);
	fake.hooks.listens(fake.hooks.ctx);
	let_it_look(&r);
	assert_int_equal(count(&fake.cpu[1].asked), 2);
	assert_int_equal(resume(&r), 0);
	wait_for(&fake.cpu[1].asked, 3);
	/* It has begun to listen. */
	fake.hooks.listens(fake.hooks.ctx);
	wait_for(&fake.cpu[3].asked, 4);
	assert_int_equal(count(&fake.cpu[2].asked), 2);
	sill_vm_reset(r.vm);
	wait_for(&r.went, 1);
	check(&r, 1, 0, 0);
	end(&r);
}

static void resize__tells_of_those_that_come_until_it_is_read(void **state)
{
	struct run r;

	(void)state;
	open_run(&r, 2);
	set(&fake.unread, true);
	resize_to(&r, 4);
	assert_int_equal(count(&fake.told_again), 0);
	fake.hooks.listens(fake.hooks.ctx);
	wait_for(&fake.told_again, 1);
	set(&fake.unread, false);
	let_pass(r.vm, 1);
	wait_for(&fake.told_again, 2);
	let_pass(r.vm, 1000);
	let_it_look(&r);
	assert_int_equal(count(&fake.told_again), 2);
	end(&r);
}

static void resize__takes_requests_back_before_more_come(void **state)
{
	struct run r;

	(void)state;
	open_run(&r, 4);
	resize_to(&r, 1);
	resize_to(&r, 3);
	check(&r, 4, 1, 0);
	assert_int_equal(count(&r.came), 0);
	resize_to(&r, 6);
	check(&r, 6, 0, 0);
	assert_int_equal(fake.joined, 2);
	end(&r);
}

static void resize__works_while_paused(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	open_run(&r, 2);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	resize_to(&r, 4);
	check_threads(&r, "11110000");
	resize_to(&r, 3);
	check(&r, 4, 1, 0);
	assert_int_equal(state_of(&r), VM_PAUSED);
	sill_vm_reset(r.vm); /* and reset while paused */
	wait_for(&r.went, 1);
	await(&r, VM_PAUSED);
	check_threads(&r, "11100000");
	assert_int_equal(resume(&r), 0);
	check(&r, 3, 0, 0);
	end(&r);
}

static void resize__refuses_what_cannot_be(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	create_with(&r, 2, MAX);
	assert_int_equal(sill_vm_resize_cpus(r.vm, 4, NULL, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE); /* it does not run yet */
	begin(&r);
	for (unsigned i = 0; i < 2; i++) {
		e = (struct sill_err){ 0 };
		assert_int_equal(sill_vm_resize_cpus(r.vm, i == 0 ? 0 : MAX + 1, NULL, &e), -1);
		assert_int_equal(e.code, SILL_ERR_LIMIT);
	}
	set(&fake.no_more_vcpus, true);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_resize_cpus(r.vm, 4, NULL, &e), -1);
	assert_int_equal(e.code, SILL_ERR_HOST);
	check(&r, 2, 0, 0);
	set(&fake.no_more_vcpus, false);
	resize_to(&r, 4);
	check(&r, 4, 0, 0);

	set(&fake.busy, true); /* the end takes its time */
	sill_vm_stop(r.vm);
	await(&r, VM_ENDING);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_resize_cpus(r.vm, 5, NULL, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	drain();
	end(&r);
}

static void *racer(void *ctx)
{
	struct run *r = ctx;
	unsigned seed = (unsigned)(uintptr_t)pthread_self();

	for (unsigned i = 0; i < 300; i++) {
		struct sill_err e = { 0 };

		seed = seed * 1103515245 + 12345;
		if (seed >> 16 & 1)
			assert_int_equal(
				sill_vm_resize_cpus(r->vm, 1 + (seed >> 20) % MAX, NULL, &e), 0);
		else if (seed >> 17 & 1)
			(void)sill_vm_pause(r->vm, &e);
		else
			(void)sill_vm_resume(r->vm, &e);
		if ((seed >> 24) % 16 == 0)
			sill_vm_reset(r->vm);
	}
	return NULL;
}

static void resize__survives_callers_that_race(void **state)
{
	pthread_t t[3];
	struct run r;

	(void)state;
	open_run(&r, 2);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, racer, &r), 0);
	for (unsigned i = 0; i < 3; i++)
		(void)pthread_join(t[i], NULL);
	assert_int_equal(sill_vm_pause(r.vm, &(struct sill_err){ 0 }), 0);
	resize_to(&r, MAX);
	check_threads(&r, "11111111");
	assert_int_equal(resume(&r), 0);
	end(&r);
}

/* With a gap, into a VM that begins with fewer, and with more. */
static void save__knows_which_are_there(void **state)
{
	static const uint16_t boot[] = { 1, 2, 5, MAX };
	struct sill_err e = { 0 };
	struct run r;
	void *saved;
	size_t n;

	(void)state;
	open_run(&r, 4);
	resize_to(&r, 2);
	give_up(2); /* and keeps 3 */
	wait_for(&r.went, 1);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	check_threads(&r, "11010000");
	assert_int_equal(sill_vm_save(r.vm, &saved, &n, &e), 0);
	end(&r);
	for (unsigned i = 0; i < ARRAY_LEN(boot); i++) {
		create_with(&r, boot[i], MAX);
		for (unsigned c = 0; c < MAX; c++) /* as the registers' own state has it */
			fake.cpu[c].present = c < 2 || c == 3;
		if (sill_vm_load(r.vm, saved, n, &e) < 0)
			fail_msg("%s", e.msg);
		check_threads(&r, "11010000");
		sill_vm_destroy(r.vm);
	}
	/* Registers that say something else. */
	create_with(&r, 4, MAX);
	assert_int_equal(sill_vm_load(r.vm, saved, n, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	sill_vm_destroy(r.vm);
	create_with(&r, 4, 4); /* another machine */
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_load(r.vm, saved, n, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	sill_vm_destroy(r.vm);
	free(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resize__brings_the_lowest_absent_ones),
		cmocka_unit_test(resize__asks_for_the_highest),
		cmocka_unit_test(resize__tells_a_refusal_once_and_a_reset_takes_them),
		cmocka_unit_test(resize__waits_for_a_guest_that_never_answers),
		cmocka_unit_test(resize__tells_of_those_that_come_until_it_is_read),
		cmocka_unit_test(resize__takes_requests_back_before_more_come),
		cmocka_unit_test(resize__works_while_paused),
		cmocka_unit_test(resize__refuses_what_cannot_be),
		cmocka_unit_test(resize__survives_callers_that_race),
		cmocka_unit_test(save__knows_which_are_there),
	};

	sill_log_to(stderr, LOG_ERROR);
	return run_vm_tests(tests);
}
