/* SPDX-License-Identifier: Apache-2.0 */
/* test_vm_debug.c - a debugger at a VM: stops, steps, points, memory, and what else happens to the VM meanwhile. */
#include "vm_rig.h"

enum { MEMORY = 64 << 10, CODE = 0x2000 };

/* Of the test that runs. Each stop is told on the main loop. */
static struct {
	struct run run;
	uint8_t *memory;
	unsigned stops; /* atomic */
} at;

static void on_stop(void *ctx)
{
	assert_ptr_equal(ctx, &at);
	add(&at.stops);
}

static const struct sill_debug_place *place(int vcpu, uint64_t address)
{
	static struct sill_debug_place p;

	p = (struct sill_debug_place){ vcpu, address };
	return &p;
}

/* What the vCPUs see: the gate's lock lies between. */
static uint8_t byte_at(uint64_t gpa)
{
	uint8_t b = 0;

	let_it_look(&at.run);
	assert_int_equal(gmem_read(at.run.vm->machine.gmem, gpa, &b, 1), 0);
	return b;
}

/* The stop after @before of them. */
static struct sill_debug_stop await_stop(unsigned before)
{
	struct sill_debug_stop s;

	while (count(&at.stops) == before)
		sched_yield();
	assert_int_equal(count(&at.stops), before + 1);
	assert_true(sill_debug_stopped(at.run.vm, &s));
	assert_int_equal(state_of(&at.run), VM_PAUSED);
	return s;
}

static void set_up_with(unsigned max)
{
	struct sill_err e = { 0 };

	create_with(&at.run, 2, (uint16_t)max);
	at.stops = 0;
	at.memory = aligned_alloc(4096, MEMORY);
	assert_non_null(at.memory);
	for (unsigned i = 0; i < MEMORY; i++)
		at.memory[i] = (uint8_t)(i * 7 % 251);
	assert_int_equal(gmem_add(at.run.vm->machine.gmem, 0, MEMORY, at.memory, GMEM_RAM, &e), 0);
	begin(&at.run);
}

static void set_up(void)
{
	set_up_with(2);
}

static void tear_down(void)
{
	end(&at.run);
	free(at.memory);
}

static void attach_it(void)
{
	struct sill_err e = { 0 };

	assert_int_equal(sill_debug_attach(at.run.vm, on_stop, &at, &e), 0);
	assert_int_equal(await_stop(0).why, SILL_DEBUG_ASKED);
}

static int let_run(enum sill_debug_act first, enum sill_debug_act second)
{
	const enum sill_debug_act act[] = { first, second };
	struct sill_err e = { 0 };

	return sill_debug_go(at.run.vm, act, 2, &e);
}

static const struct arch_points *points(void)
{
	return __atomic_load_n(&fake.points, __ATOMIC_SEQ_CST);
}

/* Both go on, and do. */
static void run_both(void)
{
	assert_int_equal(let_run(SILL_DEBUG_GO, SILL_DEBUG_GO), 0);
	await(&at.run, VM_RUNNING);
}

static int point(enum sill_debug_point kind, uint64_t address, size_t size)
{
	struct sill_err e = { 0 };

	return sill_debug_set_point(at.run.vm, kind, place(1, address), size, &e);
}

static int no_point(enum sill_debug_point kind, uint64_t address, size_t size)
{
	struct sill_err e = { 0 };

	return sill_debug_clear_point(at.run.vm, kind, address, size, &e);
}

/* A vCPU's thread has come to one. */
static void trap(unsigned vcpu, enum sill_debug_why why, enum sill_debug_point kind,
		 uint64_t address)
{
	struct cpu *c = &at.run.vm->vcpus[vcpu].cpu;

	c->trap = (struct sill_debug_stop){
		.why = why, .point = kind, .vcpu = vcpu, .address = address
	};
	c->trapped = true;
	at.run.vm->gate.wants(at.run.vm->gate.ctx, VCPU_TRAP, vcpu, CAUSE_NONE);
}

static void attach__stops_and_detach_goes_on(void **state)
{
	struct sill_debug_stop s;
	struct sill_err e = { 0 };

	(void)state;
	set_up();
	assert_false(sill_debug_stopped(at.run.vm, &s));
	assert_int_equal(sill_debug_stop(at.run.vm, &e), -1); /* no debugger */
	attach_it();
	assert_int_equal(sill_debug_attach(at.run.vm, on_stop, &at, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_true(sill_vm_is_paused(at.run.vm));
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	await(&at.run, VM_RUNNING);
	assert_null(points());
	assert_false(sill_debug_stopped(at.run.vm, &s));
	/* And another one. */
	at.stops = 0;
	attach_it();
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	await(&at.run, VM_RUNNING);
	tear_down();
	assert_string_equal(at.run.told, "be"); /* nobody else is told */
}

static void attach__what_was_paused_stays_so_afterwards(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	set_up();
	assert_int_equal(sill_vm_pause(at.run.vm, &e), 0);
	attach_it();
	assert_int_equal(sill_vm_resume(at.run.vm, &e), -1);
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	let_it_look(&at.run);
	assert_int_equal(state_of(&at.run), VM_PAUSED);
	assert_int_equal(resume(&at.run), 0);
	tear_down();
	assert_string_equal(at.run.told, "bpre");
}

static void attach__what_is_paused_meanwhile_stays_so_afterwards(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		set_up();
		attach_it();
		assert_int_equal(sill_vm_pause(at.run.vm, &e), 0);
		if (i == 1)
			let_it_look(&at.run);
		assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
		let_it_look(&at.run);
		assert_int_equal(state_of(&at.run), VM_PAUSED);
		assert_int_equal(resume(&at.run), 0);
		/* One that the debugger has let go on is the debugger's again. */
		at.stops = 0;
		attach_it();
		assert_int_equal(sill_vm_pause(at.run.vm, &e), 0);
		run_both();
		assert_int_equal(sill_debug_stop(at.run.vm, &e), 0);
		(void)await_stop(1);
		assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
		await(&at.run, VM_RUNNING);
		tear_down();
		/* Who has asked for the pauses hears of them, and of their ends; of the debugger's own nobody does. */
		assert_string_equal(at.run.told, "bprpre");
	}
}

/* A snapshot of what the debugger has stopped is of the past when it goes on, and who has it hears of that. */
static void go__is_told_to_who_has_a_picture(void **state)
{
	struct sill_err e = { 0 };
	size_t size;
	void *bytes;

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(sill_vm_freeze(at.run.vm, SILL_PICTURE_STATE, &bytes, &size, &e), 0);
	free(bytes);
	sill_vm_thaw(at.run.vm);
	run_both();
	assert_int_equal(sill_debug_stop(at.run.vm, &e), 0);
	(void)await_stop(1);
	run_both();
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
	assert_string_equal(at.run.told, "bre");
}

static const struct arch_points *points_of(const struct vcpu *v)
{
	return __atomic_load_n(&v->cpu.points, __ATOMIC_SEQ_CST);
}

/* One that is out when the debugger leaves, and comes again, has nothing of it. */
static void detach__is_of_all_vcpus(void **state)
{
	struct sill_err e = { 0 };
	struct vcpu *v;

	(void)state;
	set_up();
	v = &at.run.vm->vcpus[1];
	attach_it();
	run_both();
	assert_int_equal(sill_debug_stop(at.run.vm, &e), 0);
	(void)await_stop(1);
	assert_non_null(points_of(v));
	assert_int_equal(sill_vm_pause(at.run.vm, &e), 0);
	v->started = false;
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	assert_null(points_of(v));
	v->started = true;
	assert_int_equal(resume(&at.run), 0);
	tear_down();
}

/* One that comes while the guest runs for its debugger stops at the points that there are; or stays, while others step. */
static void attach__is_to_vcpus_that_come(void **state)
{
	static const enum sill_debug_act act[][3] = {
		{ SILL_DEBUG_GO, SILL_DEBUG_GO, SILL_DEBUG_GO },
		{ SILL_DEBUG_STAY, SILL_DEBUG_GO_STEP, SILL_DEBUG_STAY },
	};
	struct sill_err e = { 0 };

	(void)state;
	for (unsigned steps = 0; steps < 2; steps++) {
		struct sill_vm_cpus c = { 0 };
		const struct vcpu *v;

		set_up_with(3);
		attach_it();
		assert_int_equal(sill_debug_go(at.run.vm, act[steps], 3, &e), 0);
		await(&at.run, VM_RUNNING);
		v = &at.run.vm->vcpus[2];
		assert_int_equal(sill_vm_resize_cpus(at.run.vm, 3, NULL, &e), 0);
		while (c.present != 3)
			sill_vm_cpus(at.run.vm, &c);
		await(&at.run, VM_RUNNING);
		let_it_look(&at.run);
		assert_ptr_equal(points_of(v), points());
		assert_int_equal(get(&v->stays), steps == 1);
		assert_int_equal(get(&fake.step[1]), steps == 1);
		assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
		assert_null(points_of(v));
		assert_false(get(&v->stays));
		tear_down();
	}
}

static void stop__only_the_debugger_ends_it(void **state)
{
	struct sill_err e = { 0 };
	void *picture;
	size_t size;

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(sill_vm_resume(at.run.vm, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_non_null(strstr(e.msg, "debugger"));
	sill_vm_ask_resume(at.run.vm);
	let_it_look(&at.run);
	assert_int_equal(state_of(&at.run), VM_PAUSED);
	assert_int_equal(sill_vm_pause(at.run.vm, &e), 0); /* it is */
	/* It can be dumped. */
	assert_int_equal(sill_vm_freeze(at.run.vm, SILL_PICTURE_NOTES, &picture, &size, &e), 0);
	free(picture);
	sill_vm_thaw(at.run.vm);
	run_both();
	assert_int_equal(let_run(SILL_DEBUG_GO, SILL_DEBUG_GO), -1); /* it runs */
	assert_int_equal(sill_debug_stop(at.run.vm, &e), 0);
	assert_int_equal(await_stop(1).why, SILL_DEBUG_ASKED);
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
}

static void step__of_one_vcpu_keeps_the_others(void **state)
{
	struct sill_debug_stop s;
	struct sill_err e = { 0 };

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(let_run(SILL_DEBUG_STAY, SILL_DEBUG_STAY), -1);
	assert_int_equal(let_run(SILL_DEBUG_STAY, SILL_DEBUG_GO_STEP), 0);
	await(&at.run, VM_RUNNING);
	assert_true(get(&at.run.vm->vcpus[0].stays));
	assert_false(get(&at.run.vm->vcpus[1].stays));
	assert_false(get(&fake.step[0]));
	assert_true(get(&fake.step[1]));
	trap(1, SILL_DEBUG_STEP, SILL_DEBUG_SOFT, 0);
	s = await_stop(1);
	assert_int_equal(s.why, SILL_DEBUG_STEP);
	assert_int_equal(s.vcpu, 1);
	run_both();
	assert_false(get(&at.run.vm->vcpus[0].stays));
	assert_false(get(&fake.step[1]));
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
}

static void soft_point__is_in_memory_while_the_guest_runs(void **state)
{
	const uint8_t was = (uint8_t)(CODE * 7 % 251);
	struct sill_debug_stop s;
	struct sill_err e = { 0 };
	uint8_t b = 0x90;

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(point(SILL_DEBUG_SOFT, FAKE_LINEAR + CODE, 1), 0);
	assert_int_equal(point(SILL_DEBUG_SOFT, FAKE_LINEAR + CODE, 1), 0);
	assert_int_equal(point(SILL_DEBUG_SOFT, 0, 1), -1);                    /* no page there */
	assert_int_equal(point(SILL_DEBUG_SOFT, FAKE_LINEAR + MEMORY, 1), -1); /* no memory */
	assert_int_equal(byte_at(CODE), was);
	run_both();
	assert_int_equal(points()->soft_count, 1);
	assert_int_equal(byte_at(CODE), 0xcc);
	/* A pause of somebody else's is without it, too. */
	assert_int_equal(sill_vm_pause(at.run.vm, &e), 0);
	assert_int_equal(byte_at(CODE), was);
	assert_int_equal(resume(&at.run), 0);
	assert_int_equal(byte_at(CODE), 0xcc);
	trap(0, SILL_DEBUG_POINT, SILL_DEBUG_SOFT, FAKE_LINEAR + CODE);
	s = await_stop(1);
	assert_int_equal(s.address, FAKE_LINEAR + CODE);
	assert_int_equal(byte_at(CODE), was);
	/* What the debugger writes there is under the trap. */
	assert_int_equal(sill_debug_write(at.run.vm, place(0, FAKE_LINEAR + CODE), &b, 1, &e), 0);
	run_both();
	assert_int_equal(byte_at(CODE), 0xcc);
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	assert_int_equal(byte_at(CODE), 0x90);
	tear_down();
}

static void soft_point__what_the_guest_writes_over_it_stays(void **state)
{
	const uint8_t code = 0x55;
	struct sill_err e = { 0 };

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(point(SILL_DEBUG_SOFT, FAKE_LINEAR + CODE, 1), 0);
	/* Two linear addresses of one byte. */
	assert_int_equal(sill_debug_set_point(at.run.vm, SILL_DEBUG_SOFT,
					      place(SILL_DEBUG_PHYSICAL, CODE), 1, &e),
			 0);
	run_both();
	assert_int_equal(byte_at(CODE), 0xcc);
	assert_int_equal(gmem_write(at.run.vm->machine.gmem, CODE, &code, 1), 0);
	assert_int_equal(sill_debug_stop(at.run.vm, &e), 0);
	(void)await_stop(1);
	assert_int_equal(byte_at(CODE), 0x55);
	assert_int_equal(no_point(SILL_DEBUG_SOFT, CODE, 1), 0);
	assert_int_equal(no_point(SILL_DEBUG_SOFT, CODE + 1, 1), 0); /* there never was one */
	run_both();
	assert_int_equal(byte_at(CODE), 0xcc);
	assert_int_equal(sill_debug_stop(at.run.vm, &e), 0);
	(void)await_stop(2);
	assert_int_equal(byte_at(CODE), 0x55);
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
}

static void reset__drops_soft_points_and_keeps_hard_ones(void **state)
{
	const uint8_t was = (uint8_t)(CODE * 7 % 251);
	struct sill_err e = { 0 };

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(point(SILL_DEBUG_SOFT, FAKE_LINEAR + CODE, 1), 0);
	assert_int_equal(point(SILL_DEBUG_HARD, FAKE_LINEAR + CODE, 1), 0);
	run_both();
	assert_int_equal(byte_at(CODE), 0xcc);
	sill_vm_reset(at.run.vm);
	while (count(&fake.resets) == 0)
		sched_yield();
	await(&at.run, VM_RUNNING);
	assert_int_equal(byte_at(CODE), was);
	assert_int_equal(points()->soft_count, 0);
	assert_true(points()->hard[0].used);
	trap(0, SILL_DEBUG_POINT, SILL_DEBUG_HARD, FAKE_LINEAR + CODE);
	assert_int_equal(await_stop(1).point, SILL_DEBUG_HARD);
	/* One that is stopped stays so, and it is told when the guest stands at its beginning. */
	sill_vm_reset(at.run.vm);
	assert_int_equal(await_stop(2).why, SILL_DEBUG_ASKED);
	run_both();
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
}

/* Debug registers take aligned pieces of 1, 2, 4 and 8 bytes. */
static void hard_points__cover_what_is_watched(void **state)
{
	const struct arch_points *p;
	struct sill_err e = { 0 };

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(point(SILL_DEBUG_WRITE, 0x1003, 7), 0);   /* 3, 4..7, 8..9 */
	assert_int_equal(point(SILL_DEBUG_ACCESS, 0x2000, 9), -1); /* two, and there is one */
	assert_int_equal(point(SILL_DEBUG_READ, 0x2000, 1), -1);   /* no such kind here */
	assert_int_equal(point(SILL_DEBUG_ACCESS, 0x2000, 8), 0);
	assert_int_equal(point(SILL_DEBUG_HARD, 0x3000, 1), -1);
	assert_int_equal(point(SILL_DEBUG_WRITE, 0x1003, 7), 0); /* again */
	run_both();
	p = points();
	assert_true(p->hard[0].used && p->hard[1].used && p->hard[2].used && p->hard[3].used);
	assert_int_equal(p->hard[0].address, 0x1003);
	assert_int_equal(p->hard[0].size, 1);
	assert_int_equal(p->hard[1].address, 0x1004);
	assert_int_equal(p->hard[1].size, 4);
	assert_int_equal(p->hard[2].address, 0x1008);
	assert_int_equal(p->hard[2].size, 2);
	assert_int_equal(p->hard[3].kind, SILL_DEBUG_ACCESS);
	assert_int_equal(p->hard[3].size, 8);
	assert_int_equal(sill_debug_stop(at.run.vm, &e), 0);
	(void)await_stop(1);
	assert_int_equal(no_point(SILL_DEBUG_WRITE, 0x1003, 7), 0);
	assert_false(p->hard[0].used || p->hard[1].used || p->hard[2].used);
	assert_true(p->hard[3].used);
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
}

/* Of two that come at once; one comes again by itself, unless it watches memory. */
static void traps__of_watched_memory_are_not_lost(void **state)
{
	struct sill_debug_stop s;
	struct sill_err e = { 0 };

	(void)state;
	set_up();
	attach_it();
	run_both();
	at.run.vm->vcpus[0].cpu.trap = (struct sill_debug_stop){ .why = SILL_DEBUG_POINT,
								 .point = SILL_DEBUG_WRITE,
								 .address = 0x1000 };
	at.run.vm->vcpus[0].cpu.trapped = true;
	trap(1, SILL_DEBUG_POINT, SILL_DEBUG_ACCESS, 0x2000);
	assert_int_equal(await_stop(1).vcpu, 0);
	assert_int_equal(let_run(SILL_DEBUG_GO, SILL_DEBUG_GO), 0);
	s = await_stop(2); /* at once */
	assert_int_equal(s.vcpu, 1);
	assert_int_equal(s.address, 0x2000);
	at.run.vm->vcpus[0].cpu.trap.point = SILL_DEBUG_SOFT;
	at.run.vm->vcpus[0].cpu.trapped = true;
	run_both();
	assert_false(at.run.vm->vcpus[0].cpu.trapped);
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
}

static void memory__is_read_as_far_as_it_goes_and_written_as_a_whole(void **state)
{
	struct sill_err e = { 0 };
	uint8_t b[8192];

	(void)state;
	set_up();
	assert_int_equal(sill_debug_read(at.run.vm, place(0, FAKE_LINEAR), b, 1, &e), -1);
	attach_it();
	assert_int_equal(sill_debug_read(at.run.vm, place(0, FAKE_LINEAR + 4000), b, 5000, &e),
			 5000);
	assert_memory_equal(b, at.memory + 4000, 5000);
	assert_int_equal(
		sill_debug_read(at.run.vm, place(1, FAKE_LINEAR + MEMORY - 4096), b, 8192, &e),
		4096);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_debug_read(at.run.vm, place(0, 0), b, 1, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	assert_int_equal(sill_debug_read(at.run.vm, place(2, FAKE_LINEAR), b, 1, &e), -1);
	assert_int_equal(sill_debug_read(at.run.vm, place(SILL_DEBUG_PHYSICAL, 5), b, 3, &e), 3);
	assert_memory_equal(b, at.memory + 5, 3);
	memset(b, 0xab, sizeof(b));
	assert_int_equal(sill_debug_write(at.run.vm, place(0, FAKE_LINEAR + MEMORY - 1), b, 2, &e),
			 -1);
	assert_int_not_equal(at.memory[MEMORY - 1], 0xab);
	assert_int_equal(sill_debug_write(at.run.vm, place(0, FAKE_LINEAR + 4090), b, 100, &e), 0);
	assert_int_equal(at.memory[4090], 0xab);
	assert_int_equal(at.memory[4189], 0xab);
	assert_int_not_equal(at.memory[4190], 0xab);
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
}

static void registers__are_each_vcpus(void **state)
{
	uint8_t in[FAKE_REGISTERS] = { 1, 2, 3 }, out[FAKE_REGISTERS];
	bool present[SILL_MAX_CPUS];
	struct sill_err e = { 0 };

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(sill_debug_vcpus(at.run.vm, present, &e), 2);
	assert_true(present[0] && present[1] && !present[2]);
	assert_int_equal(sill_debug_set(at.run.vm, 1, in, sizeof(in), &e), 0);
	assert_int_equal(sill_debug_get(at.run.vm, 1, out, sizeof(out), &e), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(sill_debug_get(at.run.vm, 0, out, sizeof(out), &e), 0);
	assert_int_equal(out[0], 0);
	assert_int_equal(sill_debug_get(at.run.vm, 0, out, sizeof(out) - 1, &e), -1);
	assert_int_equal(sill_debug_get(at.run.vm, 2, out, sizeof(out), &e), -1);
	assert_int_equal(sill_debug_detach(at.run.vm, &e), 0);
	tear_down();
}

static void end__of_the_vm_ends_all(void **state)
{
	struct sill_err e = { 0 };
	struct run *r = &at.run;

	(void)state;
	set_up();
	attach_it();
	assert_int_equal(point(SILL_DEBUG_SOFT, FAKE_LINEAR + CODE, 1), 0);
	sill_vm_stop(r->vm);
	(void)pthread_join(r->thread, NULL);
	assert_int_equal(let_run(SILL_DEBUG_GO, SILL_DEBUG_GO), -1);
	assert_int_equal(sill_debug_detach(r->vm, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	sill_vm_destroy(r->vm);
	free(at.memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach__stops_and_detach_goes_on),
		cmocka_unit_test(attach__what_was_paused_stays_so_afterwards),
		cmocka_unit_test(attach__what_is_paused_meanwhile_stays_so_afterwards),
		cmocka_unit_test(go__is_told_to_who_has_a_picture),
		cmocka_unit_test(detach__is_of_all_vcpus),
		cmocka_unit_test(attach__is_to_vcpus_that_come),
		cmocka_unit_test(stop__only_the_debugger_ends_it),
		cmocka_unit_test(step__of_one_vcpu_keeps_the_others),
		cmocka_unit_test(soft_point__is_in_memory_while_the_guest_runs),
		cmocka_unit_test(soft_point__what_the_guest_writes_over_it_stays),
		cmocka_unit_test(reset__drops_soft_points_and_keeps_hard_ones),
		cmocka_unit_test(hard_points__cover_what_is_watched),
		cmocka_unit_test(traps__of_watched_memory_are_not_lost),
		cmocka_unit_test(memory__is_read_as_far_as_it_goes_and_written_as_a_whole),
		cmocka_unit_test(registers__are_each_vcpus),
		cmocka_unit_test(end__of_the_vm_ends_all),
	};

	return run_vm_tests(tests);
}
