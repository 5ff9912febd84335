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

#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

#include "vm/vm.c"

static struct bench {
	struct rig_pc *pc;
	struct sill_vm vm;
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
	struct dev_env hooks = { .request = device_request, .progress = device_progress };
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
	vcpu_gate_init(&vm->gate, NULL, 0);
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

static uint32_t slot_1(void)
{
	return pci_config_read(b->pc->pci, 0, 1 << 3, 0, 4);
}

static void plug_and_unplug__in_each_state_that_guests_see(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	for (unsigned i = 0; i < 20; i++) {
		const bool paused_at_plug = (i & 1) != 0, paused_at_unplug = (i & 2) != 0;

		if (paused_at_plug)
			assert_int_equal(sill_vm_pause(&b->vm, &e), 0);
		assert_int_equal(plug_rng(&e), 0);
		assert_int_equal(slot_1(), 0x10441af4);
		if (paused_at_plug)
			assert_int_equal(sill_vm_resume(&b->vm, &e), 0);
		if (paused_at_unplug)
			assert_int_equal(sill_vm_pause(&b->vm, &e), 0);
		assert_int_equal(sill_vm_unplug(&b->vm, SILL_DEVICE_RNG, NULL, &e), 0);
		assert_int_equal(slot_1(), 0xffffffff);
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
	char a[] = "a", c[] = "c";
	const struct sill_disk_config disks[] = { { .id = a }, { .id = c } };
	const struct sill_device device[] = { { .kind = SILL_DEVICE_DISK, .disk = &disks[0] },
					      { .kind = SILL_DEVICE_DISK, .disk = &disks[1] } };
	struct sill_config value;
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vm_value_with(&b->vm, &device[i], &value, &e), 0);
		vm_value_set(&b->vm, &value);
	}
	assert_int_equal(plug_rng(&e), 0);
	assert_int_equal(vm_value_without(&b->vm, SILL_DEVICE_DISK, a, &value, &e), 0);
	vm_value_set(&b->vm, &value);
	assert_int_equal(sill_vm_config_now(&b->vm, &value, &e), 0);
	assert_int_equal(value.disk_count, 1);
	assert_string_equal(value.disk[0].id, "c");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plug_and_unplug__in_each_state_that_guests_see),
		cmocka_unit_test(plug_and_unplug__among_pauses_and_each_other_until_the_end),
		cmocka_unit_test(config_now__is_what_came_without_what_went),
		cmocka_unit_test(plug__says_so_when_the_vm_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
