/* SPDX-License-Identifier: Apache-2.0 */
/* balloon.c - what other threads want of the balloon. */
#include "devices/virtio/balloon.h"
#include "machine/plug.h"
#include "vm/vm.h"

struct balloon_order {
	struct order order; /* first */
	uint64_t bytes;
};

static int resize_balloon(struct sill_vm *vm, struct order *order)
{
	const struct balloon_order *o = (const struct balloon_order *)order;
	struct sill_vm_memory now;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	sill_vm_memory(vm, &now);
	if (o->bytes > now.present)
		return sill_err_set(order->e, SILL_ERR_LIMIT,
				    "a balloon of %llu MiB: the guest has %llu MiB of memory",
				    (unsigned long long)(o->bytes >> 20),
				    (unsigned long long)(now.present >> 20));
	if (!machine_balloon_resize(&vm->machine, o->bytes))
		return sill_err_set(order->e, SILL_ERR_STATE, "the VM has no balloon");
	vm_value_set_balloon(vm, o->bytes);
	return 0;
}

int sill_vm_resize_balloon(struct sill_vm *vm, uint64_t bytes, struct sill_err *e)
{
	struct balloon_order o = { .order = { .fn = resize_balloon, .e = e }, .bytes = bytes };

	if (vm_check_caller(vm, e) < 0)
		return -1;
	if (bytes % BALLOON_PAGE != 0)
		return sill_err_set(e, SILL_ERR_LIMIT, "a balloon has whole pages of %u bytes",
				    BALLOON_PAGE);
	return vm_order(vm, &o.order);
}

bool sill_vm_balloon(struct sill_vm *vm, struct sill_vm_balloon *ret)
{
	struct virtio_balloon_state s;
	struct sill_vm_memory now;

	if (!machine_balloon(&vm->machine, &s))
		return false;
	sill_vm_memory(vm, &now);
	*ret = (struct sill_vm_balloon){ .size = s.size,
					 .actual = s.actual < now.present ? s.actual : now.present,
					 .driver = s.driver };
	return true;
}
