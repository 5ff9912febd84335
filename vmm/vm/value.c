/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - the value that a VM runs, as devices come and go. */
#include <assert.h>
#include <string.h>

#include "vm/vm.h"

static_assert(SILL_CHAR_OFF == 0, "a configuration of zeroes is that of no device");

int vm_value_with(const struct sill_vm *vm, const struct sill_device *d, struct sill_config *ret,
		  struct sill_err *e)
{
	struct sill_disk_config disk[SILL_MAX_DISKS];
	struct sill_net_config net[SILL_MAX_NETS];
	struct sill_config c = vm->value; /* borrowed from there and from @d, until it is copied */

	switch (d->kind) {
	case SILL_DEVICE_DISK:
		if (c.disk_count >= SILL_MAX_DISKS)
			return sill_err_set(e, SILL_ERR_LIMIT, "more than %u disks",
					    SILL_MAX_DISKS);
		if (c.disk_count != 0)
			memcpy(disk, c.disk, c.disk_count * sizeof(disk[0]));
		disk[c.disk_count++] = *d->disk;
		c.disk = disk;
		break;
	case SILL_DEVICE_NET:
		if (c.net_count >= SILL_MAX_NETS)
			return sill_err_set(e, SILL_ERR_LIMIT, "more than %u network cards",
					    SILL_MAX_NETS);
		if (c.net_count != 0)
			memcpy(net, c.net, c.net_count * sizeof(net[0]));
		net[c.net_count++] = *d->net;
		c.net = net;
		break;
#define SILL_MANY(KIND, member, type)
#define SILL_ONE(KIND, member, type, there) \
	case SILL_DEVICE_##KIND:            \
		c.member = *d->member;      \
		break;
#include "sill/device_kinds.def"
#undef SILL_MANY
#undef SILL_ONE
	case SILL_DEVICE_KINDS:
		break;
	}
	if (sill_config_copy(ret, &c, e) < 0)
		return -1;
	if (d->kind == SILL_DEVICE_DISK || d->kind == SILL_DEVICE_NET)
		vm_limits_join(ret, d->kind, sill_device_id(d));
	return 0;
}

int vm_value_without(const struct sill_vm *vm, enum sill_device_kind kind, const char *id,
		     struct sill_config *ret, struct sill_err *e)
{
	struct sill_disk_config disk[SILL_MAX_DISKS];
	struct sill_net_config net[SILL_MAX_NETS];
	struct sill_config c = vm->value;

	switch (kind) {
	case SILL_DEVICE_DISK:
		c.disk_count = 0;
		for (unsigned i = 0; i < vm->value.disk_count; i++)
			if (id == NULL || strcmp(vm->value.disk[i].id, id) != 0)
				disk[c.disk_count++] = vm->value.disk[i];
		c.disk = c.disk_count != 0 ? disk : NULL;
		break;
	case SILL_DEVICE_NET:
		c.net_count = 0;
		for (unsigned i = 0; i < vm->value.net_count; i++)
			if (id == NULL || strcmp(vm->value.net[i].id, id) != 0)
				net[c.net_count++] = vm->value.net[i];
		c.net = c.net_count != 0 ? net : NULL;
		break;
#define SILL_MANY(KIND, member, type)
#define SILL_ONE(KIND, member, type, there)    \
	case SILL_DEVICE_##KIND:               \
		c.member = (struct type){ 0 }; \
		break;
#include "sill/device_kinds.def"
#undef SILL_MANY
#undef SILL_ONE
	case SILL_DEVICE_KINDS:
		break;
	}
	return sill_config_copy(ret, &c, e);
}

void vm_value_set(struct sill_vm *vm, struct sill_config *take)
{
	struct sill_config old = vm->value;

	(void)pthread_mutex_lock(&vm->mutex);
	vm->value = *take;
	(void)pthread_mutex_unlock(&vm->mutex);
	*take = (struct sill_config){ 0 };
	sill_config_free(&old);
}

void vm_value_set_cpus(struct sill_vm *vm, unsigned count)
{
	(void)pthread_mutex_lock(&vm->mutex);
	vm->value.cpus.boot = (uint16_t)count;
	(void)pthread_mutex_unlock(&vm->mutex);
}

void vm_value_set_memory(struct sill_vm *vm, uint64_t size)
{
	const struct sill_memory_config *c = &vm->config.memory;
	const uint64_t apart = c->hotplugged_size != 0 ? size - c->size : 0;

	if (c->zones_count != 0) /* they have what they have at the start */
		return;
	(void)pthread_mutex_lock(&vm->mutex);
	vm->value.memory.size = size - apart;
	vm->value.memory.hotplugged_size = apart;
	(void)pthread_mutex_unlock(&vm->mutex);
}

void vm_value_set_balloon(struct sill_vm *vm, uint64_t size)
{
	(void)pthread_mutex_lock(&vm->mutex);
	vm->value.balloon.size = size;
	(void)pthread_mutex_unlock(&vm->mutex);
}

int sill_vm_config_now(struct sill_vm *vm, struct sill_config *ret, struct sill_err *e)
{
	int done;

	(void)pthread_mutex_lock(&vm->mutex);
	done = sill_config_copy(ret, &vm->value, e);
	(void)pthread_mutex_unlock(&vm->mutex);
	return done;
}
