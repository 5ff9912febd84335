/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - what others may ask of a VM: any thread, while the main loop runs it. */
#include <string.h>

#include "backend/serial/chr.h"
#include "machine/plug.h"
#include "sill/kd.h"
#include "vm/vm.h"

/* A first press may do no more than wake the display; the second is for the guest that is still up. */
static const uint64_t PRESS_AGAIN_NS = 30000000000ull;

const struct sill_config *sill_vm_config(const struct sill_vm *vm)
{
	return &vm->config;
}

void sill_vm_stop(struct sill_vm *vm)
{
	vm_ask(vm, REQ_STOP);
}

void sill_vm_reset(struct sill_vm *vm)
{
	__atomic_store_n(&vm->why, CAUSE_RESET_BUTTON, __ATOMIC_RELAXED);
	vm_ask(vm, REQ_RESET);
}

int sill_vm_power_button(struct sill_vm *vm)
{
	if (arch_power_button(vm->board) < 0)
		return -1;
	__atomic_store_n(&vm->press_ns, vmclock_now(&vm->machine.clock) + PRESS_AGAIN_NS,
			 __ATOMIC_SEQ_CST);
	loop_post(vm->loop, &vm->arm_press);
	return 0;
}

/* With vm->mutex. A VM that has ended answers nobody. */
static bool is_alive(const struct sill_vm *vm)
{
	return vm->running && vm->seen != VM_ENDING;
}

int vm_not_running(struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_STATE, "the virtual machine does not run");
}

int vm_check_caller(const struct sill_vm *vm, struct sill_err *e)
{
	if (!loop_is_self(vm->loop))
		return 0;
	return sill_err_set(e, SILL_ERR_STATE,
			    "the virtual machine does not run, or this is its main loop, "
			    "which cannot wait for itself");
}

/*
 * One caller at a time until it has begun, or a pause and a resume together could undo each other
 * before either has seen it. Devices may take long: a resume need not wait for them.
 */
int sill_vm_pause(struct sill_vm *vm, struct sill_err *e)
{
	unsigned resumes;
	int ret = 0;

	if (vm_check_caller(vm, e) < 0)
		return -1;
	(void)pthread_mutex_lock(&vm->callers);
	(void)pthread_mutex_lock(&vm->mutex);
	resumes = vm->resumes;
	if (is_alive(vm) && (!vm->seen_pausing || vm->held))
		vm_ask(vm, REQ_PAUSE);
	while (is_alive(vm) && !vm->seen_pausing && vm->resumes == resumes)
		(void)pthread_cond_wait(&vm->changed, &vm->mutex);
	(void)pthread_mutex_unlock(&vm->callers);
	while (is_alive(vm) && vm->seen != VM_PAUSED && vm->resumes == resumes)
		(void)pthread_cond_wait(&vm->changed, &vm->mutex);
	if (!is_alive(vm))
		ret = vm_not_running(e);
	else if (vm->resumes != resumes)
		ret = sill_err_set(e, SILL_ERR_STATE,
				   "the virtual machine was resumed before it had come to rest");
	(void)pthread_mutex_unlock(&vm->mutex);
	return ret;
}

/* A reset that is under way does not matter: the guest runs after it. */
int sill_vm_resume(struct sill_vm *vm, struct sill_err *e)
{
	int ret = 0;

	if (vm_check_caller(vm, e) < 0)
		return -1;
	(void)pthread_mutex_lock(&vm->callers);
	(void)pthread_mutex_lock(&vm->mutex);
	if (is_alive(vm) && vm->seen_pausing && !vm->held)
		vm_ask(vm, REQ_RESUME);
	while (is_alive(vm) && vm->seen_pausing && !vm->held)
		(void)pthread_cond_wait(&vm->changed, &vm->mutex);
	if (!is_alive(vm))
		ret = vm_not_running(e);
	else if (vm->held)
		ret = sill_err_set(
			e, SILL_ERR_STATE,
			"a debugger has stopped the virtual machine: it goes on from there");
	(void)pthread_mutex_unlock(&vm->mutex);
	(void)pthread_mutex_unlock(&vm->callers);
	return ret;
}

bool sill_vm_is_paused(struct sill_vm *vm)
{
	bool paused;

	(void)pthread_mutex_lock(&vm->mutex);
	paused = vm->seen_pausing;
	(void)pthread_mutex_unlock(&vm->mutex);
	return paused;
}

void sill_vm_ask_resume(struct sill_vm *vm)
{
	vm_ask(vm, REQ_RESUME);
}

int sill_vm_disk_resize(struct sill_vm *vm, const char *id, uint64_t bytes, struct sill_err *e)
{
	return machine_disk_resize(&vm->machine, id, bytes, e);
}

int sill_vm_net_renew(struct sill_vm *vm, const char *id, int fd, struct sill_err *e)
{
	return machine_net_renew(&vm->machine, id, fd, e);
}

int sill_vm_net_status(struct sill_vm *vm, const char *id, struct sill_net_status *ret,
		       struct sill_err *e)
{
	return machine_net_status(&vm->machine, id, ret, e);
}

void sill_vm_set_event(struct sill_vm *vm, sill_event_fn fn, void *ctx)
{
	vm->event = fn;
	vm->event_ctx = ctx;
}

static void on_tick(void *ctx)
{
	struct sill_vm *vm = ctx;

	vm->tick_fn(vm->tick_ctx);
	vm_tick(vm);
}

void vm_tick(struct sill_vm *vm)
{
	if (vm->tick_ms > 0)
		loop_timer_set(vm->loop, &vm->tick, host_now() + vm->tick_ms * 1000000ull);
}

void sill_vm_set_tick(struct sill_vm *vm, unsigned ms, void (*fn)(void *ctx), void *ctx)
{
	vm->tick = (struct loop_timer){ .fn = on_tick, .ctx = vm };
	vm->tick_ms = ms;
	vm->tick_fn = fn;
	vm->tick_ctx = ctx;
}

void sill_vm_nmi(struct sill_vm *vm)
{
	vm_ask(vm, REQ_NMI);
}

int sill_vm_new_generation(struct sill_vm *vm, const uint8_t id[16], struct sill_err *e)
{
	static const uint8_t none[16];

	if (!arch_has_generation(vm->board) || memcmp(id, none, sizeof(none)) == 0)
		return sill_err_set(e, SILL_ERR_STATE,
				    arch_has_generation(vm->board)
					    ? "a generation id of zero means that there is none"
					    : "the virtual machine has no generation id");
	(void)pthread_mutex_lock(&vm->mutex);
	memcpy(vm->generation, id, sizeof(vm->generation));
	(void)pthread_mutex_unlock(&vm->mutex);
	vm_ask(vm, REQ_GENERATION);
	return 0;
}

uint64_t sill_vm_output(struct sill_vm *vm)
{
	uint64_t n = machine_console_written(&vm->machine);

	for (unsigned p = 0; p < SILL_PORTS; p++)
		if (arch_port(vm->board, p) != NULL)
			n += chr_written(arch_port(vm->board, p));
	return n;
}

size_t sill_vm_output_tail(struct sill_vm *vm, enum sill_port port, void *ret, size_t n)
{
	struct chr *c = arch_port(vm->board, port); /* the virtio console is none of the board's */

	return c != NULL ? chr_tail(c, ret, n) : 0;
}

size_t sill_vm_post_codes(struct sill_vm *vm, uint8_t ret[SILL_POST_CODES])
{
	return arch_post_codes(vm->board, ret);
}

void sill_vm_kd(struct sill_vm *vm, struct sill_kd_seen *ret)
{
	const enum sill_port p = sill_kd_port(&vm->config.debug);

	*ret = (struct sill_kd_seen){ .state = SILL_KD_NO_PORT };
	if (p != SILL_PORTS && arch_port(vm->board, p) != NULL)
		chr_kd(arch_port(vm->board, p), ret);
}

void sill_vm_serial_break(struct sill_vm *vm)
{
	struct chr *second = arch_port(vm->board, SILL_PORT_SERIAL2);
	struct chr *port = arch_port(vm->board, SILL_PORT_SERIAL);

	if (second != NULL && (port == NULL || vm->config.serial2.mode == SILL_CHAR_TTY))
		port = second;
	if (port != NULL)
		chr_inject_break(port);
}

void sill_vm_console_resize(struct sill_vm *vm, uint16_t cols, uint16_t rows)
{
	machine_console_resize(&vm->machine, cols, rows);
}

void sill_vm_set_keys(struct sill_vm *vm, sill_keys_fn fn, void *ctx)
{
	vm->keys = fn;
	vm->keys_ctx = ctx;
	for (unsigned p = 0; p < SILL_PORTS; p++)
		if (arch_port(vm->board, p) != NULL)
			chr_set_keys(arch_port(vm->board, p), fn, ctx);
	if (machine_console(&vm->machine) != NULL)
		chr_set_keys(machine_console(&vm->machine), fn, ctx);
}
