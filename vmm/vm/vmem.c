/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmem.c - memory that comes and goes by virtio-mem: the region that the device is of, and what the guest
 * has of it. The region is RAM from the start to the end and costs what is touched, so nothing here changes
 * guest memory while vCPUs run.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/acpi/pcihp.h"
#include "devices/virtio/mem.h"
#include "devices/virtio/virtio.h"
#include "machine/plug.h"
#include "vm/vm.h"

struct vm_vmem {
	struct ram ram;
	struct dev *dev;     /* borrowed from the machine; NULL: not there yet, or no more */
	uint64_t seen, told; /* bytes that the guest had at the last look, and when that was told */
};

bool vm_vmem_count(struct sill_vm *vm, struct sill_vm_memory *ret)
{
	struct virtio_mem_state s;

	if (vm->vmem == NULL)
		return false;
	virtio_mem_look(vm->vmem->dev, &s);
	ret->block = VIRTIO_MEM_BLOCK;
	ret->wanted = ret->present + s.requested;
	ret->present += s.plugged;
	ret->asked = s.plugged > s.requested ? s.plugged - s.requested : 0;
	ret->heard = s.driver;
	return true;
}

void vm_vmem_look(struct sill_vm *vm)
{
	struct vm_vmem *m = vm->vmem;
	struct virtio_mem_state s;

	if (m == NULL)
		return;
	virtio_mem_look(m->dev, &s);
	if (s.plugged == m->seen)
		return;
	m->seen = s.plugged;
	vm_value_set_memory(vm, vm->config.memory.size + s.plugged);
	/* Blocks come by the hundred: told is what they come to. */
	if (s.plugged != s.requested && s.plugged != 0)
		return;
	vm_memory_tell(vm, s.plugged > m->told ? "added" : "removed");
	m->told = s.plugged;
}

void vm_vmem_resize(struct sill_vm *vm, uint64_t bytes)
{
	virtio_mem_resize(vm->vmem->dev, bytes);
}

void *vm_vmem_area(const struct sill_vm *vm, size_t *ret_size)
{
	*ret_size = vm->vmem->ram.size;
	return vm->vmem->ram.hva;
}

static int put_in(struct sill_vm *vm, const struct arch_memory_area *a, struct sill_err *e)
{
	const struct virtio_mem_config config = { .base = a->base, .size = a->size, .slot = -1 };
	struct machine *m = &vm->machine;
	struct sill_memory_config c = vm->config.memory;

	c.size = a->size;
	c.prefault = false; /* most of it is nobody's yet */
	if (ram_map(&vm->vmem->ram, &c, e) < 0 ||
	    gmem_add_ram(m->gmem, a->base, &vm->vmem->ram, 0, a->size, e) < 0)
		return -1;
	machine_memory_changed(m);
	vm->vmem->dev = machine_add_device(m, "virtio-mem", "memory", &config, NO_GSI, e);
	if (vm->vmem->dev == NULL)
		return -1;
	if (m->pcihp != NULL)
		pcihp_fix(m->pcihp, virtio_func(vm->vmem->dev)->slot);
	return 0;
}

int vm_vmem_create(struct sill_vm *vm, struct sill_err *e)
{
	struct arch_memory_area area;
	struct vm_vmem *m;

	arch_memory_area(vm->board, &area);
	if (vm->config.memory.hotplug_method != SILL_HOTPLUG_VIRTIO_MEM || area.size == 0)
		return 0;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return sill_err_sys(e, ENOMEM, "memory that comes and goes");
	m->ram.fd = -1;
	vm->vmem = m;
	if (put_in(vm, &area, e) == 0)
		return 0;
	vm_vmem_destroy(vm);
	return -1;
}

void vm_vmem_destroy(struct sill_vm *vm)
{
	if (vm->vmem == NULL)
		return;
	ram_unmap(&vm->vmem->ram);
	free(vm->vmem);
	vm->vmem = NULL;
}
