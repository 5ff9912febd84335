/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmem.c - memory that comes and goes by virtio-mem: the regions that the devices are of, one behind the other,
 * and what the guest has of them. Without zones there is one, else one for each zone that may grow. A region is RAM
 * from the start to the end and costs what is touched, so nothing here changes guest memory while vCPUs run.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/acpi/pcihp.h"
#include "devices/virtio/mem.h"
#include "devices/virtio/virtio.h"
#include "machine/plug.h"
#include "vm/vm.h"

struct region {
	const struct sill_memory_zone
		*zone; /* borrowed from the configuration; NULL: there are none */
	struct ram ram;
	struct dev *dev;     /* borrowed from the machine; NULL: not there yet, or no more */
	uint64_t seen, told; /* bytes that the guest had at the last look, and when that was told */
};

struct vm_vmem {
	unsigned count;
	struct region region[SILL_MAX_ZONES];
};

static void count_region(const struct region *r, struct sill_vm_memory *ret)
{
	struct virtio_mem_state s;

	virtio_mem_look(r->dev, &s);
	ret->block = VIRTIO_MEM_BLOCK;
	ret->present += s.plugged;
	ret->wanted += s.requested;
	ret->asked += s.plugged > s.requested ? s.plugged - s.requested : 0;
	ret->heard |= s.driver;
}

bool vm_vmem_count(struct sill_vm *vm, struct sill_vm_memory *ret)
{
	if (vm->vmem == NULL)
		return false;
	ret->heard = false;
	ret->wanted = ret->present;
	for (unsigned i = 0; i < vm->vmem->count; i++)
		count_region(&vm->vmem->region[i], ret);
	return true;
}

static struct region *region_of(struct vm_vmem *m, const struct sill_memory_zone *z)
{
	for (unsigned i = 0; m != NULL && i < m->count; i++)
		if (m->region[i].zone == z)
			return &m->region[i];
	return NULL;
}

static void look(struct sill_vm *vm, struct region *r)
{
	struct virtio_mem_state s;
	struct sill_vm_memory now;

	virtio_mem_look(r->dev, &s);
	if (s.plugged == r->seen)
		return;
	r->seen = s.plugged;
	sill_vm_memory(vm, &now);
	vm_value_set_memory(vm, now.present);
	/* Blocks come by the hundred: told is what they come to. */
	if (s.plugged != s.requested && s.plugged != 0)
		return;
	vm_memory_tell(vm, s.plugged > r->told ? "added" : "removed");
	r->told = s.plugged;
}

void vm_vmem_look(struct sill_vm *vm)
{
	for (unsigned i = 0; vm->vmem != NULL && i < vm->vmem->count; i++)
		look(vm, &vm->vmem->region[i]);
}

void vm_vmem_resize(struct sill_vm *vm, const struct sill_memory_zone *z, uint64_t bytes)
{
	struct region *r = region_of(vm->vmem, z);

	assert(r != NULL);
	virtio_mem_resize(r->dev, bytes);
}

void vm_vmem_zone(struct sill_vm *vm, const struct sill_memory_zone *z, struct sill_vm_memory *ret)
{
	const struct region *r = region_of(vm->vmem, z);

	*ret = (struct sill_vm_memory){ .present = z->size,
					.wanted = z->size,
					.max = z->size + z->hotplug_size,
					.block = VIRTIO_MEM_BLOCK };
	if (r != NULL)
		count_region(r, ret);
}

void *vm_vmem_area(const struct sill_vm *vm, unsigned i, size_t *ret_size)
{
	const struct ram *r = &vm->vmem->region[i].ram;

	*ret_size = i < vm->vmem->count ? r->size : 0;
	return i < vm->vmem->count ? r->hva : NULL;
}

/* Most of it is nobody's yet: nothing is taken or set aside for it. */
static int map_region(struct sill_vm *vm, struct region *r, uint64_t size, struct sill_err *e)
{
	struct sill_memory_config c = vm->config.memory;
	struct sill_memory_zone z;

	if (r->zone == NULL) {
		c.size = size;
		c.prefault = c.reserve = false;
		return ram_map(&r->ram, &c, e);
	}
	z = *r->zone;
	z.size = size;
	z.prefault = z.reserve = false;
	z.mergeable |= c.mergeable;
	return ram_map_zone(&r->ram, &z, c.thp, e);
}

static int put_in(struct sill_vm *vm, struct region *r, uint64_t base, uint64_t size,
		  struct sill_err *e)
{
	const struct virtio_mem_config config = {
		.base = base,
		.size = size,
		.requested = r->zone != NULL ? r->zone->hotplugged_size
					     : vm->config.memory.hotplugged_size,
		.slot = -1,
	};
	struct machine *m = &vm->machine;

	if (config.requested > size || config.requested % VIRTIO_MEM_BLOCK != 0)
		return sill_err_set(
			e, SILL_ERR_MANIFEST,
			"hotplugged_size of %llu bytes: not blocks of 2 MiB of what may come",
			(unsigned long long)config.requested);
	if (map_region(vm, r, size, e) < 0 || gmem_add_ram(m->gmem, base, &r->ram, 0, size, e) < 0)
		return -1;
	machine_memory_changed(m);
	r->dev = machine_add_device(m, "virtio-mem", r->zone != NULL ? r->zone->id : "memory",
				    &config, NO_GSI, e);
	if (r->dev == NULL)
		return -1;
	if (m->pcihp != NULL)
		pcihp_fix(m->pcihp, virtio_func(r->dev)->slot);
	return 0;
}

/* In the order of the zones, which is the guest's. */
static int put_all_in(struct sill_vm *vm, const struct arch_memory_area *a, struct sill_err *e)
{
	const struct sill_memory_config *c = &vm->config.memory;
	struct vm_vmem *m = vm->vmem;
	uint64_t at = 0;

	for (unsigned i = 0; i < c->zones_count || i == 0; i++) {
		const struct sill_memory_zone *z = c->zones_count != 0 ? &c->zones[i] : NULL;
		const uint64_t size = z != NULL ? z->hotplug_size : a->size;
		struct region *r = &m->region[m->count];

		if (size == 0)
			continue;
		if (size > a->size - at || size % a->block != 0)
			return sill_err_set(e, SILL_ERR_MANIFEST,
					    "the zones' hotplug_size is not memory.hotplug_size");
		*r = (struct region){ .zone = z, .ram = { .fd = -1 } };
		m->count++;
		if (put_in(vm, r, a->base + at, size, e) < 0)
			return -1;
		at += size;
	}
	return 0;
}

int vm_vmem_create(struct sill_vm *vm, struct sill_err *e)
{
	struct arch_memory_area area;

	arch_memory_area(vm->board, &area);
	if (vm->config.memory.hotplug_method != SILL_HOTPLUG_VIRTIO_MEM || area.size == 0)
		return 0;
	vm->vmem = calloc(1, sizeof(*vm->vmem));
	if (vm->vmem == NULL)
		return sill_err_sys(e, ENOMEM, "memory that comes and goes");
	if (put_all_in(vm, &area, e) == 0)
		return 0;
	vm_vmem_destroy(vm);
	return -1;
}

void vm_vmem_destroy(struct sill_vm *vm)
{
	if (vm->vmem == NULL)
		return;
	for (unsigned i = 0; i < vm->vmem->count; i++)
		ram_unmap(&vm->vmem->region[i].ram);
	free(vm->vmem);
	vm->vmem = NULL;
}
