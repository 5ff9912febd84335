/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_order.c - a VM's calls for devices that come and go, and what else threads ask meanwhile: vm.c is
 * included for its main loop's side, and the VM has no vCPU and no board.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>

#include "devices/acpi/pcihp.h"
#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

#include "vm/vm.c"

static struct bench {
	struct rig_pc *pc;
	struct sill_vm vm;
	/* What was told: atomic. */
	unsigned added, removed, unanswered, crashed, bug_checks, texts;
	unsigned parameters; /* of the last text: how many */
	const char *why;
	unsigned unplugged; /* atomic: how often a thread has taken it out */
} * b;

static void call_begin(void *ctx)
{
	struct sill_err e = { 0 };

	(void)ctx;
	assert_int_equal(loop_fd_add(b->vm.loop, &b->vm.wake, EPOLLIN, &e), 0);
	set_state(&b->vm, VM_RUNNING);
}

static void open_bench(void)
{
	struct dev_env hooks = { .request = device_request,
				 .progress = device_progress,
				 .listens = device_listens };
	struct sill_vm *vm;
	struct machine *m;
	struct sill_err e = { 0 };

	b = calloc(1, sizeof(*b));
	assert_non_null(b);
	b->pc = rig_pc_create();
	vm = &b->vm;
	m = &vm->machine;
	hooks.ctx = vm;
	assert_int_equal(machine_init(m, "vm", &hooks, b->pc->env.loop, &e), 0);
	m->gmem = m->env.gmem = b->pc->mem;
	m->env.irqs = &b->pc->irqs;
	m->env.clock = &m->clock;
	m->pci = m->env.pci = b->pc->pci;
	m->mmio = m->env.mmio = b->pc->mmio;
	m->pio = m->env.pio = b->pc->pio;
	vmclock_init(&m->clock);
	(void)pthread_mutex_init(&vm->callers, NULL);
	(void)pthread_mutex_init(&vm->mutex, NULL);
	(void)pthread_cond_init(&vm->changed, NULL);
	vm->loop = b->pc->env.loop;
	vm->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->wake = (struct loop_fd){ .fd = vm->wake_fd, .fn = on_wake, .ctx = vm };
	vm->press_again = (struct loop_timer){ .fn = press_again, .ctx = vm };
	vm->arm_press = (struct loop_task){ .fn = arm_press, .ctx = vm };
	vm->slow = (struct loop_timer){ .fn = is_slow, .ctx = vm };
	vm_crash_init(vm);
	vcpu_gate_init(&vm->gate, NULL, 0, 0);
	vm->running = true;
	loop_call(vm->loop, call_begin, NULL);
}

/* What sill_vm_run() and sill_vm_destroy() do at the end. */
static void call_end(void *ctx)
{
	struct sill_vm *vm = ctx;

	machine_stop(&vm->machine);
	while (machine_waits_for(&vm->machine) != NULL)
		sched_yield();
	(void)pthread_mutex_lock(&vm->mutex);
	vm->running = false;
	(void)pthread_cond_broadcast(&vm->changed);
	(void)pthread_mutex_unlock(&vm->mutex);
	machine_remove_devices(&vm->machine);
	loop_timer_cancel(vm->loop, &vm->slow);
	loop_timer_cancel(vm->loop, &vm->text_wait);
	loop_timer_cancel(vm->loop, &vm->press_again);
	loop_unpost(vm->loop, &vm->arm_press);
	loop_fd_remove(vm->loop, &vm->wake);
}

static void end_vm(void)
{
	loop_call(b->vm.loop, call_end, &b->vm);
}

static void close_bench(void)
{
	struct sill_vm *vm = &b->vm;

	vcpu_gate_fini(&vm->gate);
	sill_config_free(&vm->value);
	fd_close(&vm->wake_fd);
	(void)pthread_cond_destroy(&vm->changed);
	(void)pthread_mutex_destroy(&vm->mutex);
	(void)pthread_mutex_destroy(&vm->callers);
	(void)pthread_mutex_destroy(&vm->machine.mutex);
	free(vm->machine.name);
	rig_pc_destroy(b->pc);
	free(b);
}

static char source[] = "/dev/urandom";
static const struct sill_rng_config rng_config = { .src = source };
static const struct sill_device rng = { .kind = SILL_DEVICE_RNG, .rng = &rng_config };

static int plug_rng(struct sill_err *e)
{
	const struct sill_file f = { .role = SILL_FILE_RNG,
				     .fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC) };
	struct sill_files files;
	int ret;

	sill_files_init(&files);
	assert_int_equal(sill_files_add(&files, &f, e), 0);
	ret = sill_vm_plug(&b->vm, &rng, &files, e);
	sill_files_close(&files);
	return ret;
}

static uint32_t ids_of(unsigned slot)
{
	return pci_config_read(b->pc->pci, 0, slot << 3, 0, 4);
}

/* Where it is; 0: nowhere. */
static unsigned slot_of_rng(void)
{
	struct sill_device_info d[2];

	if (sill_vm_devices(&b->vm, d, ARRAY_LEN(d)) == 0)
		return 0;
	assert_int_equal(d[0].kind, SILL_DEVICE_RNG);
	assert_string_equal(d[0].id, "rng");
	return d[0].slot;
}

static void plug_and_unplug__in_each_state_that_guests_see(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	for (unsigned i = 0; i < 20; i++) {
		const bool paused_at_plug = (i & 1) != 0, paused_at_unplug = (i & 2) != 0;
		unsigned slot;

		if (paused_at_plug)
			assert_int_equal(sill_vm_pause(&b->vm, &e), 0);
		assert_int_equal(plug_rng(&e), 0);
		slot = slot_of_rng();
		assert_int_equal(ids_of(slot), 0x10441af4);
		if (paused_at_plug)
			assert_int_equal(sill_vm_resume(&b->vm, &e), 0);
		if (paused_at_unplug)
			assert_int_equal(sill_vm_pause(&b->vm, &e), 0);
		assert_int_equal(sill_vm_unplug(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
		assert_int_equal(ids_of(slot), 0xffffffff);
		assert_int_equal(slot_of_rng(), 0);
		assert_null(b->vm.machine.plugged);
		if (paused_at_unplug)
			assert_int_equal(sill_vm_resume(&b->vm, &e), 0);
	}
	assert_int_equal(sill_vm_unplug(&b->vm, SILL_DEVICE_RNG, NULL, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	end_vm();
	close_bench();
}

/* --- on top of each other -------------------------------------------------------- */

static void *pause_main(void *ctx)
{
	const bool *stop = ctx;

	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		struct sill_config value;
		struct sill_err e = { 0 };

		(void)sill_vm_pause(&b->vm, &e); /* another thread's resume may undo it */
		(void)sill_vm_resume(&b->vm, &e);
		if (sill_vm_config_now(&b->vm, &value, &e) == 0)
			sill_config_free(&value);
	}
	return NULL;
}

/* Disks do not need to be there for it. */
static void config_now__is_what_came_without_what_went(void **state)
{
	char a[] = "a", c[] = "c", f[] = "f", g[] = "g";
	const struct sill_disk_config disks[] = {
		{ .id = a, .rate_limit = { .ops = 7, .group = g } },
		{ .id = c, .rate_limit = { .group = g } },
	};
	const struct sill_device device[] = { { .kind = SILL_DEVICE_DISK, .disk = &disks[0] },
					      { .kind = SILL_DEVICE_DISK, .disk = &disks[1] } };
	const struct sill_disk_config other = { .id = f, .rate_limit = { .ops = 9, .group = g } };
	const struct sill_device fast = { .kind = SILL_DEVICE_DISK, .disk = &other };
	struct sill_config value;
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vm_value_with(&b->vm, &device[i], &value, &e), 0);
		vm_value_set(&b->vm, &value);
	}
	assert_int_equal(plug_rng(&e), 0);
	/* One that comes with other numbers says them for all. */
	assert_int_equal(vm_value_with(&b->vm, &fast, &value, &e), 0);
	assert_int_equal(value.disk[0].rate_limit.ops, 9);
	assert_int_equal(value.disk[1].rate_limit.ops, 9);
	sill_config_free(&value);
	assert_int_equal(vm_value_without(&b->vm, SILL_DEVICE_DISK, a, &value, &e), 0);
	vm_value_set(&b->vm, &value);
	assert_int_equal(sill_vm_config_now(&b->vm, &value, &e), 0);
	assert_int_equal(value.disk_count, 1);
	assert_string_equal(value.disk[0].id, "c");
	assert_int_equal(value.disk[0].rate_limit.ops,
			 7); /* its group's, which the other one came with */
	assert_string_equal(value.rng.src, source);
	sill_config_free(&value);
	assert_int_equal(sill_vm_unplug(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
	assert_int_equal(sill_vm_config_now(&b->vm, &value, &e), 0);
	assert_null(value.rng.src);
	sill_config_free(&value);
	end_vm();
	close_bench();
}

static void *plug_main(void *ctx)
{
	const bool *stop = ctx;

	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		struct sill_err e = { 0 };

		(void)plug_rng(&e); /* the other one may have been faster */
		if (sill_vm_unplug(&b->vm, SILL_DEVICE_RNG, NULL, &e) == 0)
			(void)__atomic_add_fetch(&b->unplugged, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void plug_and_unplug__among_pauses_and_each_other_until_the_end(void **state)
{
	void *(*const mains[])(void *ctx) = { pause_main, pause_main, plug_main, plug_main };
	pthread_t thread[ARRAY_LEN(mains)];
	bool stop = false;

	(void)state;
	sill_log_to(stderr, LOG_ERROR);
	open_bench();
	for (unsigned i = 0; i < ARRAY_LEN(mains); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, mains[i], &stop), 0);
	while (__atomic_load_n(&b->unplugged, __ATOMIC_SEQ_CST) < 200)
		sched_yield();
	end_vm();
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < ARRAY_LEN(mains); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	close_bench();
	sill_log_to(stderr, LOG_INFO);
}

static void plug__says_so_when_the_vm_has_ended(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	end_vm();
	assert_int_equal(plug_rng(&e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_unplug(&b->vm, SILL_DEVICE_RNG, NULL, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	close_bench();
}

/* --- the guest is asked ------------------------------------------------------------ */

enum { UP = 0x00, DOWN = 0x04, EJECT = 0x08 };

static void on_event(void *ctx, const struct sill_event *event)
{
	(void)ctx;
	if (event->crash != NULL && strcmp(event->what, "serial") == 0) {
		__atomic_store_n(&b->parameters, event->crash->has_parameters ? 4 : 0,
				 __ATOMIC_SEQ_CST);
		(void)__atomic_add_fetch(&b->texts, 1, __ATOMIC_SEQ_CST);
	} else if (event->crash != NULL) {
		assert_string_equal(event->what, "bug-check");
		assert_int_equal(event->crash->code, 0xd1);
		assert_true(event->crash->parameter[0] == 1 && event->crash->parameter[3] == ~0ull);
		(void)__atomic_add_fetch(&b->bug_checks, 1, __ATOMIC_SEQ_CST);
	} else if (event->kind == SILL_EVENT_CRASHED) {
		assert_string_equal(event->what, b->crashed == 0 ? "panic" : "dump");
		(void)__atomic_add_fetch(&b->crashed, 1, __ATOMIC_SEQ_CST);
	}
	if (event->id == NULL)
		return;
	assert_int_equal(event->device, SILL_DEVICE_RNG);
	assert_string_equal(event->id, "rng");
	assert_true(event->slot > 0 && event->slot < 32);
	if (event->kind == SILL_EVENT_ADDED) {
		(void)__atomic_add_fetch(&b->added, 1, __ATOMIC_SEQ_CST);
		return;
	}
	b->why = event->kind == SILL_EVENT_REMOVED ? event->what : b->why;
	(void)__atomic_add_fetch(event->kind == SILL_EVENT_REMOVED ? &b->removed : &b->unanswered,
				 1, __ATOMIC_SEQ_CST);
}

static void call_add_pcihp(void *ctx)
{
	struct machine *m = &b->vm.machine;
	const struct pcihp_config c = { 0 };
	struct sill_err e = { 0 };

	(void)ctx;
	vm_listen(&b->vm);
	m->pcihp = machine_add_device(m, "pcihp", "pcihp", &c, NO_GSI, &e);
	assert_non_null(m->pcihp);
}

static void open_pcihp(void)
{
	struct sill_err e = { 0 };

	open_bench();
	sill_vm_set_event(&b->vm, on_event, NULL);
	loop_call(b->vm.loop, call_add_pcihp, NULL);
	assert_int_equal(plug_rng(&e), 0);
}

static uint32_t guest(unsigned off, bool write, uint32_t val)
{
	struct io io = { .off = off, .size = 4, .write = write, .val = val };

	assert_int_equal(dev_io(b->vm.machine.pcihp, 0, &io), IO_DONE);
	return (uint32_t)io.val;
}

static enum sill_device_stage stage(void)
{
	struct sill_device_info d;

	assert_int_equal(sill_vm_devices(&b->vm, &d, 1), 1);
	return d.stage;
}

static void await(const unsigned *count, unsigned n)
{
	while (__atomic_load_n(count, __ATOMIC_SEQ_CST) < n)
		sched_yield();
}

static void check_gone(unsigned slot, const char *why)
{
	struct sill_config value;
	struct sill_err e = { 0 };

	await(&b->removed, 1);
	assert_string_equal(b->why, why);
	assert_int_equal(ids_of(slot), 0xffffffff);
	assert_int_equal(slot_of_rng(), 0);
	assert_int_equal(sill_vm_config_now(&b->vm, &value, &e), 0);
	assert_null(value.rng.src);
	sill_config_free(&value);
	assert_int_equal(b->unanswered, 0);
}

static void eject__asks_and_the_guest_gives_it_up(void **state)
{
	struct sill_err e = { 0 };
	unsigned slot;

	(void)state;
	open_pcihp();
	slot = slot_of_rng();
	assert_int_equal(b->added, 1);
	assert_int_equal(guest(UP, false, 0), 1u << slot);
	assert_int_equal(guest(DOWN, false, 0), 0);
	assert_int_equal(stage(), SILL_DEVICE_HERE);
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
	assert_int_equal(stage(), SILL_DEVICE_ASKED);
	assert_int_equal(guest(DOWN, false, 0), 1u << slot);
	assert_int_equal(guest(DOWN, false, 0), 0);
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0); /* once more */
	assert_int_equal(guest(DOWN, false, 0), 1u << slot);
	assert_int_equal(ids_of(slot), 0x10441af4);
	(void)guest(EJECT, true, 1u << slot);
	assert_int_equal(ids_of(slot), 0xffffffff);
	check_gone(slot, "ejected by the guest");
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	/* The next one is not told what the last one was. */
	assert_int_equal(plug_rng(&e), 0);
	assert_int_not_equal(slot_of_rng(), slot);
	assert_int_equal(guest(DOWN, false, 0), 0);
	assert_int_equal(stage(), SILL_DEVICE_HERE);
	end_vm();
	close_bench();
}

static void eject__by_the_guest_alone_also_while_it_is_paused(void **state)
{
	struct sill_err e = { 0 };
	unsigned slot;

	(void)state;
	open_pcihp();
	slot = slot_of_rng();
	(void)guest(EJECT, true, 1u << slot);
	assert_int_equal(sill_vm_pause(&b->vm, &e), 0);
	check_gone(slot, "ejected by the guest");
	assert_int_equal(plug_rng(&e), 0);
	slot = slot_of_rng();
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
	assert_int_equal(sill_vm_resume(&b->vm, &e), 0);
	assert_int_equal(guest(DOWN, false, 0), 1u << slot);
	(void)guest(EJECT, true, 1u << slot);
	await(&b->removed, 2);
	end_vm();
	close_bench();
}

static void call_ten_seconds(void *ctx)
{
	struct vmclock *c = &b->vm.machine.clock;

	(void)ctx;
	vmclock_set(c, vmclock_now(c) + 10000000000ull);
	wishes_stand(&b->vm.machine.wishes, false);
}

/* What the guest reads once something is there to read. */
static uint32_t await_bits(unsigned off)
{
	uint32_t bits;

	while ((bits = guest(off, false, 0)) == 0)
		sched_yield();
	return bits;
}

/* It is asked again; when it has read that, too, and not answered, its silence is told, once, and it is asked on. */
static void eject__of_a_guest_that_never_answers(void **state)
{
	struct sill_err e = { 0 };
	unsigned slot;

	(void)state;
	open_pcihp();
	slot = slot_of_rng();
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
	assert_int_equal(guest(DOWN, false, 0), 1u << slot);
	loop_call(b->vm.loop, call_ten_seconds, NULL);
	assert_int_equal(await_bits(DOWN), 1u << slot);
	assert_int_equal(b->unanswered, 0);
	loop_call(b->vm.loop, call_ten_seconds, NULL);
	await(&b->unanswered, 1);
	assert_int_equal(await_bits(DOWN), 1u << slot);
	loop_call(b->vm.loop, call_ten_seconds, NULL);
	loop_call(b->vm.loop, call_ten_seconds, NULL);
	assert_int_equal(await_bits(DOWN), 1u << slot);
	assert_int_equal(b->unanswered, 1);
	assert_int_equal(stage(), SILL_DEVICE_ASKED); /* as it is */
	assert_int_equal(sill_vm_unplug(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
	await(&b->removed, 1);
	assert_string_equal(b->why, "taken out");
	assert_int_equal(pcihp_asked(b->vm.machine.pcihp), 0);
	end_vm();
	close_bench();
}

/* As firmware does: then nobody has kept anything. When a system listens, it is asked within half a second again. */
static void eject__of_a_guest_that_does_not_listen_yet(void **state)
{
	struct sill_err e = { 0 };
	unsigned slot;

	(void)state;
	open_pcihp();
	slot = slot_of_rng();
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
	for (unsigned i = 0; i < 20; i++)
		loop_call(b->vm.loop, call_ten_seconds, NULL);
	assert_int_equal(guest(UP, false, 0), 1u << slot);
	assert_int_equal(guest(DOWN, false, 0), 1u << slot);
	assert_int_equal(guest(DOWN, false, 0), 0);
	device_listens(&b->vm);
	assert_int_equal(await_bits(DOWN), 1u << slot); /* lost again: nobody minds slots yet */
	loop_call(b->vm.loop, call_ten_seconds, NULL);
	assert_int_equal(await_bits(DOWN), 1u << slot);
	assert_int_equal(b->unanswered, 0); /* that was not long enough */
	(void)guest(EJECT, true, 1u << slot);
	check_gone(slot, "ejected by the guest");
	assert_null(b->vm.machine.wishes.first);
	end_vm();
	close_bench();
}

/* What a reset does, without the board that this VM has not. */
static void call_reset(void *ctx)
{
	(void)ctx;
	vm_eject_asked(&b->vm);
	machine_reset(&b->vm.machine);
	while (machine_waits_for(&b->vm.machine) != NULL)
		sched_yield();
	vm_let_go(&b->vm);
}

static void eject__is_done_by_a_reset(void **state)
{
	struct sill_err e = { 0 };
	unsigned slot;

	(void)state;
	open_pcihp();
	loop_call(b->vm.loop, call_reset, NULL);
	slot = slot_of_rng();
	assert_int_equal(guest(UP, false, 0), 0); /* the guest finds it by itself */
	assert_int_equal(ids_of(slot), 0x10441af4);
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
	loop_call(b->vm.loop, call_reset, NULL);
	check_gone(slot, "taken out at a reset");
	assert_int_equal(guest(DOWN, false, 0), 0);
	end_vm();
	close_bench();
}

static void eject__refuses_with_a_reason(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_DISK, "data", &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_non_null(strstr(e.msg, "no device 'data'"));
	e = (struct sill_err){ 0 };
	assert_int_equal(plug_rng(&e), 0);
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), -1);
	assert_non_null(strstr(e.msg, "'rng'"));
	assert_int_equal(sill_vm_unplug(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
	end_vm();
	close_bench();

	open_pcihp();
	pcihp_fix(b->vm.machine.pcihp, slot_of_rng());
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), -1);
	assert_non_null(strstr(e.msg, "'rng' is fixed in PCI slot"));
	assert_int_equal(stage(), SILL_DEVICE_HERE);
	end_vm();
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e), -1);
	close_bench();
}

/* The guest, a thread that asks and one that takes out: each of them goes once. */
static void *eject_main(void *ctx)
{
	const bool *stop = ctx;

	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		struct sill_err e = { 0 };

		if (sill_vm_eject(&b->vm, SILL_DEVICE_RNG, NULL, &e) < 0)
			(void)plug_rng(&e);
		sched_yield();
	}
	return NULL;
}

static void eject__among_pauses_and_a_guest_that_ejects(void **state)
{
	void *(*const mains[])(void *ctx) = { pause_main, eject_main, eject_main };
	pthread_t thread[ARRAY_LEN(mains)];
	bool stop = false;

	(void)state;
	sill_log_to(stderr, LOG_ERROR);
	open_pcihp();
	for (unsigned i = 0; i < ARRAY_LEN(mains); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, mains[i], &stop), 0);
	while (__atomic_load_n(&b->removed, __ATOMIC_SEQ_CST) < 200) {
		const uint32_t slots = guest(DOWN, false, 0);

		if (slots != 0)
			(void)guest(EJECT, true, slots);
	}
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < ARRAY_LEN(mains); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	end_vm();
	close_bench();
	sill_log_to(stderr, LOG_INFO);
}

static void crash__is_told(void **state)
{
	const struct sill_crash said = { .code = 0xd1,
					 .parameter = { 1, 2, 3, ~0ull },
					 .has_code = true,
					 .has_parameters = true };
	struct sill_err e = { 0 };

	(void)state;
	open_pcihp();
	vm_crashed(&b->vm, false);
	await(&b->crashed, 1);
	vm_crashed(&b->vm, true);
	await(&b->crashed, 2);
	for (unsigned i = 0; i < 100; i++) /* it may say so as often as it likes */
		vm_bug_check(&b->vm, &said);
	await(&b->bug_checks, 1);
	assert_int_equal(sill_vm_pause(&b->vm, &e), 0);
	assert_int_equal(b->bug_checks, 1);
	end_vm();
	close_bench();
}

static void call_anew(void *ctx)
{
	(void)ctx;
	vm_crash_anew(&b->vm);
}

static void call_begin_reset(void *ctx)
{
	(void)ctx;
	begin_reset(&b->vm);
	assert_int_equal(b->texts,
			 4); /* of the guest that was, before anybody hears of the reset */
	vm_crash_anew(&b->vm);
	set_state(&b->vm, VM_RUNNING);
}

/* The code comes first: it is told when its parameters are there, when a while is over, or at a reset. */
static void crash_text__waits_for_its_parameters(void **state)
{
	struct sill_crash said = { .code = 0xd1, .has_code = true }, all = said;

	(void)state;
	all.has_parameters = true;
	open_pcihp();
	vm_bug_text(&b->vm, &said, false);
	vm_bug_text(&b->vm, &all, true);
	await(&b->texts, 1);
	assert_int_equal(b->parameters, 4);
	loop_call(b->vm.loop, call_anew, NULL);
	vm_bug_text(&b->vm, &said, false);
	await(&b->texts, 2);
	assert_int_equal(b->parameters, 0);
	vm_bug_text(&b->vm, &all, true); /* late, but it is told, too */
	await(&b->texts, 3);
	loop_call(b->vm.loop, call_anew, NULL);
	vm_bug_text(&b->vm, &said, false);
	loop_call(b->vm.loop, call_begin_reset, NULL);
	end_vm();
	close_bench();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plug_and_unplug__in_each_state_that_guests_see),
		cmocka_unit_test(plug_and_unplug__among_pauses_and_each_other_until_the_end),
		cmocka_unit_test(config_now__is_what_came_without_what_went),
		cmocka_unit_test(plug__says_so_when_the_vm_has_ended),
		cmocka_unit_test(eject__asks_and_the_guest_gives_it_up),
		cmocka_unit_test(eject__by_the_guest_alone_also_while_it_is_paused),
		cmocka_unit_test(eject__of_a_guest_that_never_answers),
		cmocka_unit_test(eject__of_a_guest_that_does_not_listen_yet),
		cmocka_unit_test(eject__is_done_by_a_reset),
		cmocka_unit_test(crash__is_told),
		cmocka_unit_test(crash_text__waits_for_its_parameters),
		cmocka_unit_test(eject__refuses_with_a_reason),
		cmocka_unit_test(eject__among_pauses_and_a_guest_that_ejects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
