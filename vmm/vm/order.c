/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.c - devices that come and go, and cables that are plugged and pulled, while a VM runs: any thread
 * gives the order, the main loop carries it out, at once or when all vCPUs are parked, and the value says what
 * became of it.
 *
 * A device that goes ends what it has begun, however long that takes. Then the
 * vCPUs are parked for a moment (REQ_LET_GO), so that none is inside it. It goes
 * because it is taken out, because the guest has ejected it, or because a reset
 * comes while the guest still owes an answer.
 */
#include <string.h>

#include "backend/serial/chr.h"
#include "base/log.h"
#include "machine/plug.h"
#include "vm/vm.h"

struct device_order {
	struct order order; /* first */
	const struct sill_device *device;
	struct sill_files *files;
	enum sill_device_kind kind;
	const char *id;
	bool up;
	uint64_t ticket;
};

/* --- on the main loop --------------------------------------------------- */

static int plug(struct sill_vm *vm, struct order *order)
{
	struct device_order *o = (struct device_order *)order;
	struct sill_config value;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	if (vm_value_with(vm, o->device, &value, order->e) < 0)
		return -1;
	if (machine_plug(&vm->machine, o->device, o->files, order->e) < 0) {
		sill_config_free(&value);
		return -1;
	}
	vm_value_set(vm, &value);
	if (o->device->kind == SILL_DEVICE_CONSOLE && vm->keys != NULL)
		chr_set_keys(machine_console(&vm->machine), vm->keys, vm->keys_ctx);
	machine_tell_added(&vm->machine, o->device);
	return 0;
}

static int unplug(struct sill_vm *vm, struct order *order)
{
	struct device_order *o = (struct device_order *)order;
	struct sill_config value;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	if (vm_value_without(vm, o->kind, o->id, &value, order->e) < 0)
		return -1;
	if (machine_unplug(&vm->machine, o->kind, o->id, &o->ticket, order->e) < 0) {
		sill_config_free(&value);
		return -1;
	}
	vm_value_set(vm, &value);
	return 0;
}

/* Only this thread changes the value; others read it under the mutex. */
static int set_link(struct sill_vm *vm, struct order *order)
{
	const struct device_order *o = (const struct device_order *)order;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	if (machine_net_link(&vm->machine, o->id, o->up, order->e) < 0)
		return -1;
	(void)pthread_mutex_lock(&vm->mutex);
	for (unsigned i = 0; i < vm->value.net_count; i++)
		if (strcmp(vm->value.net[i].id, o->id) == 0)
			vm->value.net[i].link = o->up ? SILL_LINK_UP : SILL_LINK_DOWN;
	(void)pthread_mutex_unlock(&vm->mutex);
	return 0;
}

static int eject(struct sill_vm *vm, struct order *order)
{
	const struct device_order *o = (const struct device_order *)order;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	return machine_eject(&vm->machine, o->kind, o->id, order->e);
}

/* The guest does not have it any more: no way back, whatever fails here. */
static void take_out(struct sill_vm *vm, const struct sill_device_info *d)
{
	struct sill_config value;
	struct sill_err e = { 0 };
	uint64_t ticket;

	if (vm_value_without(vm, d->kind, d->id, &value, &e) == 0)
		vm_value_set(vm, &value);
	else
		log_line(LOG_ERROR, "%s: %s", d->id, e.msg);
	if (machine_unplug(&vm->machine, d->kind, d->id, &ticket, &e) < 0)
		return; /* another thread is taking it out: that is as good */
}

void vm_eject(struct sill_vm *vm)
{
	struct sill_device_info d;

	while (machine_next_ejected(&vm->machine, &d))
		take_out(vm, &d);
}

void vm_eject_asked(struct sill_vm *vm)
{
	struct sill_device_info d;

	while (machine_next_asked(&vm->machine, &d)) {
		take_out(vm, &d);
		machine_hide(&vm->machine, &d);
	}
}

static void hear(void *ctx, enum machine_word w, const struct sill_device_info *d, const char *why)
{
	static const enum sill_event_kind kinds[] = {
		[MACHINE_ADDED] = SILL_EVENT_ADDED,
		[MACHINE_REMOVED] = SILL_EVENT_REMOVED,
		[MACHINE_UNANSWERED] = SILL_EVENT_UNANSWERED,
		[MACHINE_CUT_OFF] = SILL_EVENT_CUT_OFF,
		[MACHINE_CONNECTED] = SILL_EVENT_CONNECTED,
	};
	const struct sill_vm *vm = ctx;
	const struct sill_event event = {
		.kind = kinds[w],
		.id = d->id,
		.what = why,
		.device = d->kind,
		.slot = d->slot,
	};

	if (w == MACHINE_ADDED)
		log_line(LOG_INFO, "%s: added in PCI slot %u", d->id, d->slot);
	else if (why != NULL)
		log_line(w == MACHINE_REMOVED ? LOG_INFO : LOG_WARN, "%s: %s%s", d->id,
			 w == MACHINE_REMOVED ? "gone: " : "", why);
	if (vm->event != NULL)
		vm->event(vm->event_ctx, &event);
}

void vm_listen(struct sill_vm *vm)
{
	vm->machine.ear = (struct machine_ear){ .fn = hear, .ctx = vm };
}

void vm_carry_out(struct sill_vm *vm, bool parked)
{
	struct order *o;

	(void)pthread_mutex_lock(&vm->mutex);
	o = vm->order;
	if (o != NULL && o->parked && !parked) {
		o = NULL;
		(void)__atomic_or_fetch(&vm->requests, (unsigned)REQ_ORDER, __ATOMIC_SEQ_CST);
	} else {
		vm->order = NULL;
	}
	(void)pthread_mutex_unlock(&vm->mutex);
	if (o == NULL)
		return;
	o->ret = o->fn(vm, o);
	(void)pthread_mutex_lock(&vm->mutex);
	o->done = true;
	(void)pthread_cond_broadcast(&vm->changed);
	(void)pthread_mutex_unlock(&vm->mutex);
}

void vm_let_go(struct sill_vm *vm)
{
	vm_eject(vm); /* one that has come to rest by itself may have been ejected just now */
	machine_let_go(&vm->machine);
	(void)pthread_mutex_lock(&vm->mutex);
	vm->gone++;
	(void)pthread_cond_broadcast(&vm->changed);
	(void)pthread_mutex_unlock(&vm->mutex);
}

/* --- any thread --------------------------------------------------------- */

int vm_order(struct sill_vm *vm, struct order *o)
{
	bool done;

	(void)pthread_mutex_lock(&vm->callers);
	(void)pthread_mutex_lock(&vm->mutex);
	if (vm->running) {
		vm->order = o;
		vm_ask(vm, 0);
	}
	/* One that is taken is carried out, whatever becomes of the VM. */
	while (!o->done && vm->running)
		(void)pthread_cond_wait(&vm->changed, &vm->mutex);
	done = o->done;
	if (!done)
		vm->order = NULL;
	(void)pthread_mutex_unlock(&vm->mutex);
	(void)pthread_mutex_unlock(&vm->callers);
	return done ? o->ret : vm_not_running(o->e);
}

int sill_vm_plug(struct sill_vm *vm, const struct sill_device *d, struct sill_files *files,
		 struct sill_err *e)
{
	struct device_order o = { .order = { .fn = plug, .e = e }, .device = d, .files = files };

	return loop_is_self(vm->loop) ? plug(vm, &o.order) : vm_order(vm, &o.order);
}

int sill_vm_net_link(struct sill_vm *vm, const char *id, bool up, struct sill_err *e)
{
	struct device_order o = { .order = { .fn = set_link, .e = e }, .id = id, .up = up };

	return loop_is_self(vm->loop) ? set_link(vm, &o.order) : vm_order(vm, &o.order);
}

int sill_vm_eject(struct sill_vm *vm, enum sill_device_kind kind, const char *id,
		  struct sill_err *e)
{
	struct device_order o = { .order = { .fn = eject, .e = e }, .kind = kind, .id = id };

	return loop_is_self(vm->loop) ? eject(vm, &o.order) : vm_order(vm, &o.order);
}

size_t sill_vm_devices(struct sill_vm *vm, struct sill_device_info *ret, size_t room)
{
	return machine_devices(&vm->machine, ret, room);
}

/* The end takes all devices along. */
static void wait_gone(struct sill_vm *vm, uint64_t ticket)
{
	uint64_t gone = 0;
	bool runs = true;

	while (runs && machine_is_leaving(&vm->machine, ticket)) {
		(void)pthread_mutex_lock(&vm->mutex);
		while (vm->gone == gone && vm->running)
			(void)pthread_cond_wait(&vm->changed, &vm->mutex);
		gone = vm->gone;
		runs = vm->running;
		(void)pthread_mutex_unlock(&vm->mutex);
	}
}

int sill_vm_unplug(struct sill_vm *vm, enum sill_device_kind kind, const char *id,
		   struct sill_err *e)
{
	struct device_order o = { .order = { .fn = unplug, .e = e }, .kind = kind, .id = id };

	if (!loop_is_self(vm->loop)) {
		if (vm_order(vm, &o.order) < 0)
			return -1;
		wait_gone(vm, o.ticket);
		return 0;
	}
	if (vm->state != VM_NEW && vm_check_caller(vm, e) < 0)
		return -1;
	if (unplug(vm, &o.order) < 0)
		return -1;
	machine_let_go(&vm->machine);
	return 0;
}
