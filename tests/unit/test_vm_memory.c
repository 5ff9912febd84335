/* SPDX-License-Identifier: Apache-2.0 */
/* test_vm_memory.c - memory that comes and goes while a VM runs, is paused, reset, or ends. */
#include "vm_rig.h"

enum { MIB = 1 << 20, START = 16 * MIB };

static const uint64_t AREA = 8ull << 30;

static void check(struct run *r, unsigned present, unsigned asked, unsigned refused)
{
	struct sill_vm_memory m;

	sill_vm_memory(r->vm, &m);
	assert_int_equal(m.present / MIB, present);
	assert_int_equal(m.asked / MIB, asked);
	assert_int_equal(m.refused / MIB, refused);
	assert_int_equal(m.wanted / MIB, present - asked);
	assert_int_equal(m.max, 80 * MIB);
	assert_int_equal(m.block, 4 * MIB);
	assert_true(m.heard);
}

static int try_resize(struct run *r, unsigned mib)
{
	struct sill_err e = { 0 };
	const int ret = sill_vm_resize_memory(r->vm, (uint64_t)mib * MIB, NULL, &e);

	return ret < 0 ? (int)e.code : 0;
}

static void resize_to(struct run *r, unsigned mib)
{
	assert_int_equal(try_resize(r, mib), 0);
}

static void wait_for(const unsigned *n, unsigned least)
{
	while (count(n) < least)
		sched_yield();
}

static void set_answer(unsigned slot, enum arch_answer a)
{
	(void)pthread_mutex_lock(&fake_dimms);
	fake.dimm[slot].answer = a;
	(void)pthread_mutex_unlock(&fake_dimms);
	fake.hooks.answered(fake.hooks.ctx);
}

/* The guest writes its eject register. */
static void give_up(unsigned slot)
{
	(void)pthread_mutex_lock(&fake_dimms);
	fake.dimm[slot] = (struct arch_dimm){ 0 };
	(void)pthread_mutex_unlock(&fake_dimms);
	fake.hooks.answered(fake.hooks.ctx);
}

static uint64_t size_value(struct run *r)
{
	struct sill_config c;
	struct sill_err e = { 0 };
	uint64_t n;

	assert_int_equal(sill_vm_config_now(r->vm, &c, &e), 0);
	n = c.memory.size / MIB;
	sill_config_free(&c);
	return n;
}

static bool is_ram(struct run *r, unsigned from, unsigned n)
{
	return gmem_is_ram(r->vm->machine.gmem, AREA + (uint64_t)from * MIB, (size_t)n * MIB);
}

static void open_run(struct run *r)
{
	create_with(r, 1, 1);
	begin(r);
}

static void resize__maps_before_the_guest_hears(void **state)
{
	struct run r;
	uint64_t x = 0x1122334455667788;

	(void)state;
	open_run(&r);
	check(&r, 16, 0, 0);
	assert_false(is_ram(&r, 0, 1));
	resize_to(&r, 24);
	resize_to(&r, 56);
	check(&r, 56, 0, 0);
	assert_int_equal(count(&r.came), 2);
	assert_int_equal(size_value(&r), 56);
	assert_true(is_ram(&r, 0, 40));
	assert_false(is_ram(&r, 40, 1));
	/* An access may lie in two pieces. */
	assert_int_equal(gmem_write(r.vm->machine.gmem, AREA + 8 * MIB - 4, &x, sizeof(x)), 0);
	resize_to(&r, 56);
	assert_int_equal(count(&r.came), 2);
	end(&r);
}

static void resize__takes_the_last_pieces_that_fit(void **state)
{
	struct run r;

	(void)state;
	open_run(&r);
	resize_to(&r, 24);                       /* 8 */
	resize_to(&r, 28);                       /* 4 */
	resize_to(&r, 44);                       /* 16 */
	assert_int_equal(try_resize(&r, 40), 0); /* 4: the second */
	check(&r, 44, 4, 0);
	assert_int_equal(fake.dimm_asked[1], 1);
	give_up(1);
	wait_for(&r.went, 1);
	check(&r, 40, 0, 0);
	assert_false(is_ram(&r, 8, 4));
	assert_true(is_ram(&r, 0, 8));
	assert_int_equal(try_resize(&r, 36), SILL_ERR_LIMIT); /* no piece of 4 */
	check(&r, 40, 0, 0);
	assert_int_equal(size_value(&r), 40);
	resize_to(&r, 56); /* 4 in the gap, then 12 behind */
	assert_true(is_ram(&r, 0, 40));
	assert_int_equal(fake.dimm[1].base, AREA + 8 * MIB);
	assert_int_equal(fake.dimm[1].size, 4 * MIB);
	assert_int_equal(fake.dimm[3].size, 12 * MIB);
	resize_to(&r, 16);
	check(&r, 56, 40, 0);
	end(&r);
}

/* What the guest is at stays with the host until no access is inside. */
static void resize__waits_for_accesses_under_way(void **state)
{
	struct gmem_span span;
	struct run r;

	(void)state;
	open_run(&r);
	resize_to(&r, 80);
	span = gmem_span_begin(r.vm->machine.gmem); /* a device's I/O */
	resize_to(&r, 16);
	give_up(0);
	let_it_look(&r);
	check(&r, 16, 0, 0);
	assert_int_equal(count(&r.went), 0);
	assert_int_equal(try_resize(&r, 80), SILL_ERR_LIMIT); /* its addresses are taken still */
	gmem_span_end(r.vm->machine.gmem, &span);
	fake.hooks.progress(fake.hooks.ctx); /* as gmem's wake does */
	wait_for(&r.went, 1);
	resize_to(&r, 80);
	end(&r);
}

/* Who serves rings outside of the process learns of memory before the guest does, and of its end before the host. */
static void resize__tells_who_is_outside_in_time(void **state)
{
	struct run r;

	(void)state;
	open_run(&r);
	resize_to(&r, 24);
	assert_int_equal(count(&fake.told), 1);
	assert_int_equal(count(&fake.told_ram), 8);
	assert_int_equal(count(&fake.told_dimms), 0);
	resize_to(&r, 28);
	assert_int_equal(count(&fake.told), 2);
	assert_int_equal(count(&fake.told_ram), 12);
	assert_int_equal(count(&fake.told_dimms), 1);
	resize_to(&r, 24);
	assert_int_equal(count(&fake.told), 2); /* it is still the guest's */
	give_up(1);
	wait_for(&r.went, 1);
	assert_int_equal(count(&fake.told), 3);
	assert_int_equal(count(&fake.told_ram), 8);
	assert_true(fake.told_mapped);
	end(&r);
}

static void resize__tells_a_refusal_once_and_a_reset_takes_it(void **state)
{
	struct run r;

	(void)state;
	open_run(&r);
	resize_to(&r, 24);
	resize_to(&r, 32);
	resize_to(&r, 16);
	set_answer(1, ARCH_REFUSED);
	wait_for(&r.refused, 1);
	check(&r, 32, 16, 8);
	fake.hooks.answered(fake.hooks.ctx);
	let_it_look(&r);
	assert_int_equal(count(&r.refused), 1);
	let_pass(r.vm, 5); /* not of one that has answered */
	wait_for(&fake.dimm_asked[0], 2);
	assert_int_equal(count(&fake.dimm_asked[1]), 1);
	fake.hooks.listens(fake.hooks.ctx);
	wait_for(&fake.dimm_asked[0], 3);
	assert_int_equal(count(&fake.dimm_asked[1]), 1);
	resize_to(&r, 24); /* the first may stay */
	check(&r, 32, 8, 8);
	sill_vm_reset(r.vm);
	wait_for(&r.went, 1);
	check(&r, 24, 0, 0);
	assert_false(is_ram(&r, 8, 8));
	/* What is folded goes with a reset only. */
	resize_to(&r, 16);
	check(&r, 24, 8, 0);
	sill_vm_reset(r.vm);
	wait_for(&r.went, 2);
	check(&r, 16, 0, 0);
	end(&r);
}

static void resize__works_while_paused(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	open_run(&r);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	resize_to(&r, 48);
	resize_to(&r, 16);
	give_up(0);
	wait_for(&r.went, 1);
	assert_int_equal(state_of(&r), VM_PAUSED);
	resize_to(&r, 20);
	assert_int_equal(resume(&r), 0);
	check(&r, 20, 0, 0);
	end(&r);
}

static void resize__refuses_what_cannot_be(void **state)
{
	struct run r;

	(void)state;
	create_with(&r, 1, 1);
	assert_int_equal(try_resize(&r, 32), SILL_ERR_STATE); /* it does not run yet */
	begin(&r);
	assert_int_equal(try_resize(&r, 12), SILL_ERR_LIMIT); /* less than at the start */
	assert_int_equal(try_resize(&r, 84), SILL_ERR_LIMIT);
	assert_int_equal(try_resize(&r, 18), SILL_ERR_LIMIT);
	for (unsigned i = 1; i <= 16; i++)
		resize_to(&r, 16 + 4 * i); /* all of the area */
	check(&r, 80, 0, 0);
	set(&fake.busy, true);
	sill_vm_stop(r.vm);
	await(&r, VM_ENDING);
	assert_int_equal(try_resize(&r, 16), SILL_ERR_STATE);
	drain();
	end(&r);
}

/* Windows: it never says a word, and keeps what it has until its reset. */
static void resize__waits_for_a_guest_that_never_answers(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	open_run(&r);
	resize_to(&r, 24);
	resize_to(&r, 32);
	resize_to(&r, 16);
	check(&r, 32, 16, 0);
	let_it_look(&r);
	let_pass(r.vm, 5);
	wait_for(&fake.dimm_asked[0], 2);
	wait_for(&fake.dimm_asked[1], 2);
	/* Not while it is paused. */
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	let_pass(r.vm, 10);
	fake.hooks.listens(fake.hooks.ctx);
	let_it_look(&r);
	assert_int_equal(count(&fake.dimm_asked[0]), 2);
	assert_int_equal(count(&fake.dimm_asked[1]), 2);
	assert_int_equal(resume(&r), 0);
	wait_for(&fake.dimm_asked[1], 3);
	check(&r, 32, 16, 0);
	assert_true(is_ram(&r, 0, 16));
	sill_vm_reset(r.vm);
	wait_for(&r.went, 1);
	check(&r, 16, 0, 0);
	end(&r);
}

/* A guest that gives up what it is asked for, if it feels like it. */
static void answer(unsigned slot)
{
	bool gone;

	(void)pthread_mutex_lock(&fake_dimms);
	gone = fake.dimm[slot].size != 0 && fake.dimm[slot].answer != ARCH_NOT_ASKED;
	if (gone)
		fake.dimm[slot] = (struct arch_dimm){ 0 };
	(void)pthread_mutex_unlock(&fake_dimms);
	fake.hooks.answered(fake.hooks.ctx);
}

static void *racer(void *ctx)
{
	struct run *r = ctx;
	unsigned seed = (unsigned)(uintptr_t)pthread_self();

	for (unsigned i = 0; i < 200; i++) {
		struct sill_err e = { 0 };
		int ret = 0;

		seed = seed * 1103515245 + 12345;
		if (seed >> 16 & 1)
			ret = try_resize(r, START / MIB + 4 * ((seed >> 20) % 17));
		else if (seed >> 17 & 1)
			(void)sill_vm_pause(r->vm, &e);
		else
			(void)sill_vm_resume(r->vm, &e);
		/* Pieces may not make the size, or be on their way out. */
		assert_true(ret == 0 || ret == SILL_ERR_LIMIT);
		if ((seed >> 24) % 4 == 0)
			answer((seed >> 26) % SILL_MAX_DIMMS);
		if ((seed >> 24) % 16 == 0)
			sill_vm_reset(r->vm);
	}
	return NULL;
}

static void resize__survives_callers_that_race(void **state)
{
	struct sill_vm_memory m;
	pthread_t t[3];
	struct run r;

	(void)state;
	open_run(&r);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, racer, &r), 0);
	for (unsigned i = 0; i < 3; i++)
		(void)pthread_join(t[i], NULL);
	sill_vm_memory(r.vm, &m);
	assert_true(m.present >= START && m.present <= m.max && m.asked <= m.present - START);
	/* All of it goes, and comes again. */
	(void)resume(&r);
	resize_to(&r, START / MIB);
	sill_vm_reset(r.vm);
	for (unsigned at = 0; at < 64; at += 4)
		while (is_ram(&r, at, 4))
			sched_yield();
	check(&r, START / MIB, 0, 0);
	resize_to(&r, 80);
	assert_true(is_ram(&r, 0, 64));
	check(&r, 80, 0, 0);
	end(&r);
}

/* The registers' own state is the machine's; this is what it leads to. */
static void load__maps_what_was_there(void **state)
{
	static const struct {
		uint64_t base, size;
		bool good;
	} second[] = {
		{ 8, 8, true },   { 56, 8, true },           { 60, 8, false },
		{ 4, 8, false },  { 9, 4, false },           { 8, 3, false },
		{ 0, 64, false }, { 8, ~0ull / MIB, false }, { ~0ull / MIB - 3, 4, false },
	};
	struct sill_err e = { 0 };
	struct run r;
	void *saved;
	size_t n, size;

	(void)state;
	open_run(&r);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(sill_vm_save(r.vm, &saved, &n, &e), 0);
	end(&r);
	for (unsigned i = 0; i < ARRAY_LEN(second); i++) {
		create_with(&r, 1, 1);
		fake.dimm[0] = (struct arch_dimm){ .base = AREA, .size = 8 * MIB };
		fake.dimm[7] = (struct arch_dimm){ .base = AREA + second[i].base * MIB,
						   .size = second[i].size * MIB };
		e = (struct sill_err){ 0 };
		assert_int_equal(sill_vm_load(r.vm, saved, n, &e), second[i].good ? 0 : -1);
		if (second[i].good) {
			assert_non_null(sill_vm_dimm(r.vm, 7, &size));
			assert_int_equal(size, 8 * MIB);
			assert_null(sill_vm_dimm(r.vm, 1, &size));
		} else {
			assert_int_equal(e.code, SILL_ERR_STATE);
		}
		sill_vm_destroy(r.vm);
	}
	free(saved);
}

static void tell_often(void *ctx)
{
	for (unsigned i = 0; i < 100; i++)
		vm_memory_tell(ctx, i % 2 == 0 ? "added" : "removed");
}

/* With virtio-mem a guest takes and gives back as it likes. */
static void tell__a_guest_does_not_fill_the_log(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	unsigned lines = 0;
	struct run r;

	(void)state;
	assert_non_null(f);
	open_run(&r);
	sill_log_to(f, LOG_INFO);
	loop_call(r.vm->loop, tell_often, r.vm);
	end(&r);
	sill_log_to(NULL, LOG_INFO);
	(void)fclose(f);
	for (const char *at = text; (at = strstr(at, "MiB of memory, ")) != NULL; at++)
		lines++;
	assert_true(lines >= 5 && lines < 20);
	assert_non_null(strstr(text, "95 more like these")); /* what did not fit is counted */
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resize__maps_before_the_guest_hears),
		cmocka_unit_test(resize__takes_the_last_pieces_that_fit),
		cmocka_unit_test(resize__waits_for_accesses_under_way),
		cmocka_unit_test(resize__tells_who_is_outside_in_time),
		cmocka_unit_test(resize__tells_a_refusal_once_and_a_reset_takes_it),
		cmocka_unit_test(resize__works_while_paused),
		cmocka_unit_test(resize__waits_for_a_guest_that_never_answers),
		cmocka_unit_test(resize__survives_callers_that_race),
		cmocka_unit_test(resize__refuses_what_cannot_be),
		cmocka_unit_test(load__maps_what_was_there),
		cmocka_unit_test(tell__a_guest_does_not_fill_the_log),
	};

	sill_log_to(stderr, LOG_ERROR);
	return run_vm_tests(tests);
}
