/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit.c - rate limits that change while a VM runs: any thread gives the order, the main loop carries it out.
 *
 * In the value each of a group has what the group has.
 */
#include <string.h>

#include "machine/limits.h"
#include "machine/plug.h"
#include "vm/vm.h"

struct limit_order {
	struct order order; /* first */
	enum sill_device_kind kind;
	const char *id;
	const struct sill_rate_limit
		*limit[2]; /* of a disk, of a card to and from the guest; NULL: stays */
};

/* Of the devices of one kind, in the value's order. */
struct list {
	struct sill_rate_limit *at[LIMITS_MAX];
	size_t count;
	struct sill_rate_limit *own[2]; /* of the device; NULL: there is none */
};

static void set_numbers(struct sill_rate_limit *to, const struct sill_rate_limit *from)
{
	to->bandwidth = from->bandwidth;
	to->ops = from->ops;
	to->bandwidth_burst = from->bandwidth_burst;
	to->ops_burst = from->ops_burst;
}

static void find_limits(const struct sill_config *c, enum sill_device_kind kind, const char *id,
			struct list *ret)
{
	*ret = (struct list){ 0 };
	for (unsigned i = 0; i < c->disk_count && kind == SILL_DEVICE_DISK; i++) {
		ret->at[ret->count++] = &c->disk[i].rate_limit;
		if (strcmp(c->disk[i].id, id) == 0)
			ret->own[0] = &c->disk[i].rate_limit;
	}
	for (unsigned i = 0; i < c->net_count && kind == SILL_DEVICE_NET; i++) {
		ret->at[ret->count++] = &c->net[i].rx_limit;
		ret->at[ret->count++] = &c->net[i].tx_limit;
		if (strcmp(c->net[i].id, id) == 0) {
			ret->own[0] = &c->net[i].rx_limit;
			ret->own[1] = &c->net[i].tx_limit;
		}
	}
}

static void set_all(const struct list *l, const struct sill_rate_limit *own,
		    const struct sill_rate_limit *r)
{
	for (size_t i = 0; i < l->count; i++)
		if (sill_rate_limit_shared(l->at[i], own))
			set_numbers(l->at[i], r);
}

void vm_limits_join(struct sill_config *c, enum sill_device_kind kind, const char *id)
{
	struct list l;

	find_limits(c, kind, id, &l);
	for (unsigned i = 0; i < 2 && l.own[i] != NULL; i++)
		if (sill_rate_limit_states(l.own[i]))
			set_all(&l, l.own[i], l.own[i]);
	for (unsigned i = 0; i < 2 && l.own[i] != NULL; i++)
		for (size_t n = 0; n < l.count && !sill_rate_limit_states(l.own[i]); n++)
			if (sill_rate_limit_shared(l.at[n], l.own[i]))
				set_numbers(l.own[i], l.at[n]);
}

static int set_limits(struct sill_vm *vm, struct order *order)
{
	const struct limit_order *o = (const struct limit_order *)order;
	struct list l;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	find_limits(&vm->value, o->kind, o->id, &l);
	if (l.own[0] == NULL)
		return sill_err_set(order->e, SILL_ERR_STATE, "there is no %s '%s'",
				    o->kind == SILL_DEVICE_DISK ? "disk" : "network card", o->id);
	for (unsigned i = 0; i < 2; i++) {
		if (o->limit[i] == NULL)
			continue;
		if (machine_limit(&vm->machine, o->kind, o->id, i, o->limit[i], order->e) < 0)
			return -1;
		/* Only this thread changes the value; others read it under the mutex. */
		(void)pthread_mutex_lock(&vm->mutex);
		set_all(&l, l.own[i], o->limit[i]);
		(void)pthread_mutex_unlock(&vm->mutex);
	}
	return 0;
}

static int carry_out(struct sill_vm *vm, struct limit_order *o)
{
	return loop_is_self(vm->loop) ? set_limits(vm, &o->order) : vm_order(vm, &o->order);
}

int sill_vm_disk_limit(struct sill_vm *vm, const char *id, const struct sill_rate_limit *r,
		       struct sill_err *e)
{
	struct limit_order o = {
		.order = { .fn = set_limits, .e = e },
		.kind = SILL_DEVICE_DISK,
		.id = id,
		.limit = { r },
	};

	return carry_out(vm, &o);
}

int sill_vm_net_limit(struct sill_vm *vm, const char *id, const struct sill_rate_limit *rx,
		      const struct sill_rate_limit *tx, struct sill_err *e)
{
	struct limit_order o = {
		.order = { .fn = set_limits, .e = e },
		.kind = SILL_DEVICE_NET,
		.id = id,
		.limit = { rx, tx },
	};

	return carry_out(vm, &o);
}
