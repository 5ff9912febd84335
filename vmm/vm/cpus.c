/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpus.c - which vCPUs there are: those of the start, those that come, those that go.
 *
 * What the guest sees is the board's (arch.h); here are their threads. One that comes is
 * made and started before the guest hears of it. One that goes is asked of the guest, which
 * may take its time, or never do it: then the next reset takes it; until it has answered it is told again
 * (machine/wish.h). When it is gone from the
 * guest's view its thread ends; KVM cannot take a vCPU back, so it waits for its next time.
 * Threads come and go while all of them are parked.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "vm/vm.h"

struct resize_order {
	struct order order; /* first */
	unsigned wanted;
	struct sill_vm_cpus
		now; /* when it was carried out: the guest may have answered before who waits looks */
};

/* --- counting ------------------------------------------------------------- */

static bool is_asked_for(const struct sill_vm *vm, unsigned i)
{
	return arch_cpu_answer(vm->board, i) != ARCH_NOT_ASKED;
}

void sill_vm_cpus(struct sill_vm *vm, struct sill_vm_cpus *ret)
{
	*ret = (struct sill_vm_cpus){ .max = vm->config.cpus.max,
				      .heard = arch_cpus_heard(vm->board) };
	for (unsigned i = 0; i < ret->max; i++) {
		const enum arch_answer a = arch_cpu_answer(vm->board, i);

		ret->present += arch_cpu_is_present(vm->board, i);
		ret->asked += a != ARCH_NOT_ASKED;
		ret->refused += a == ARCH_REFUSED;
	}
}

/* --- threads ---------------------------------------------------------------- */

/* KVM counts them in the order in which they are made, and tells Hyper-V guests that number. */
static int make_up_to(struct sill_vm *vm, unsigned index, struct sill_err *e)
{
	while (vm->vcpu_count <= index) {
		struct vcpu *v = &vm->vcpus[vm->vcpu_count];

		if (vcpu_init(v, &vm->gate, vm->cpus, vm->vcpu_count, e) < 0) {
			arch_cpu_fini(&v->cpu);
			return -1;
		}
		vm->vcpu_count++;
	}
	return 0;
}

/* The wish: those that have come are read of, those that are asked for answered. */
static bool ask_again(void *ctx, uint64_t waited_ns)
{
	struct sill_vm *vm = ctx;
	bool stands = arch_cpus_tell_again(vm->board);

	(void)waited_ns;
	for (unsigned i = 1; i < vm->vcpu_count; i++) {
		if (arch_cpu_answer(vm->board, i) != ARCH_NO_ANSWER)
			continue;
		arch_cpu_ask(vm->board, i);
		stands = true;
	}
	return stands;
}

int vm_cpus_create(struct sill_vm *vm, struct sill_err *e)
{
	vm->cpus_wish = (struct wish){ .again = ask_again, .ctx = vm };
	vm->cpus = arch_cpus_create(vm->board, &vm->config.cpus, e);
	return vm->cpus == NULL ? -1 : make_up_to(vm, vm->config.cpus.boot - 1u, e);
}

int vm_cpus_start(struct sill_vm *vm, struct sill_err *e)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (vcpu_start(&vm->vcpus[i], &vm->config.cpus, e) < 0)
			return -1;
	return 0;
}

/* One that has run, or waits since others were made. */
static int begin_anew(struct sill_vm *vm, struct vcpu *v, struct sill_err *e)
{
	return arch_cpu_clear(&v->cpu, e) < 0 ? -1 : arch_cpu_join(&v->cpu, &vm->vcpus[0].cpu, e);
}

/* One that is made just now is as power-on leaves it. */
static int start_late(struct sill_vm *vm, unsigned index, struct sill_err *e)
{
	struct vcpu *v = &vm->vcpus[index];
	const bool is_new = vm->vcpu_count <= index;

	if (make_up_to(vm, index, e) < 0)
		return -1;
	if (is_new ? arch_cpu_join(&v->cpu, &vm->vcpus[0].cpu, e) < 0 : begin_anew(vm, v, e) < 0)
		return -1;
	return vcpu_add(v, &vm->config.cpus, e);
}

/* Its interrupt controller goes off with it: nothing is delivered there any more. */
static void stop(struct sill_vm *vm, unsigned index)
{
	struct vcpu *v = &vm->vcpus[index];
	struct sill_err e = { 0 };

	vcpu_remove(v);
	if (begin_anew(vm, v, &e) < 0)
		log_line(LOG_WARN, "%s: vcpu%u: %s", vm->machine.name, index, e.msg);
}

/* --- telling ------------------------------------------------------------------ */

static void tell_cpus(struct sill_vm *vm, const char *what)
{
	const struct sill_event event = { .kind = SILL_EVENT_CPUS, .what = what };
	struct sill_vm_cpus now;

	sill_vm_cpus(vm, &now);
	vm_value_set_cpus(vm, now.present);
	log_line(LOG_INFO, "%s: %u vCPUs, %s; %u are asked for, of which the guest refuses %u",
		 vm->machine.name, now.present, what, now.asked, now.refused);
	if (vm->event != NULL)
		vm->event(vm->event_ctx, &event);
}

void vm_cpus_settle(struct sill_vm *vm)
{
	unsigned refused = 0, gone = 0;

	for (unsigned i = 1; i < vm->vcpu_count; i++) {
		refused += arch_cpu_answer(vm->board, i) == ARCH_REFUSED;
		if (!vm->vcpus[i].started || arch_cpu_is_present(vm->board, i))
			continue;
		stop(vm, i);
		gone++;
	}
	if (gone != 0)
		tell_cpus(vm, "removed");
	if (refused > vm->refused_vcpus)
		tell_cpus(vm, "refused");
	vm->refused_vcpus = refused;
}

/* --- more, or fewer ------------------------------------------------------------- */

/* First those that were asked for may stay, then others come, the lowest first. */
static int grow(struct sill_vm *vm, unsigned by, struct sill_err *e)
{
	unsigned come = 0;
	int ret = 0;

	for (unsigned i = 1; i < vm->config.cpus.max && by != 0; i++) {
		if (is_asked_for(vm, i)) {
			arch_cpu_keep(vm->board, i);
			by--;
		}
	}
	for (unsigned i = 1; i < vm->config.cpus.max && by != 0; i++) {
		if (arch_cpu_is_present(vm->board, i))
			continue;
		ret = start_late(vm, i, e);
		if (ret < 0)
			break;
		arch_cpu_add(vm->board, i);
		come++;
		by--;
	}
	if (come != 0) {
		wish_made(&vm->machine.wishes, &vm->cpus_wish);
		tell_cpus(vm, "added");
	}
	return ret;
}

/* The highest first. Who was asked before is asked again. */
static void shrink(struct sill_vm *vm, unsigned by)
{
	for (unsigned i = vm->config.cpus.max - 1u; i > 0; i--) {
		const bool asked = is_asked_for(vm, i);

		if (!asked && (by == 0 || !arch_cpu_is_present(vm->board, i)))
			continue;
		by -= !asked;
		arch_cpu_ask(vm->board, i);
	}
	vm->refused_vcpus = 0;
	wish_made(&vm->machine.wishes, &vm->cpus_wish);
}

static int resize(struct sill_vm *vm, struct order *order)
{
	struct resize_order *o = (struct resize_order *)order;
	unsigned stay;
	int ret = 0;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	vm_cpus_settle(vm); /* what the guest gave up just now can be had again */
	sill_vm_cpus(vm, &o->now);
	stay = o->now.present - o->now.asked;
	if (o->wanted > stay)
		ret = grow(vm, o->wanted - stay, order->e);
	else if (o->wanted < stay || o->now.asked != 0)
		shrink(vm, stay - o->wanted);
	sill_vm_cpus(vm, &o->now);
	return ret;
}

int sill_vm_resize_cpus(struct sill_vm *vm, unsigned wanted, struct sill_vm_cpus *ret,
			struct sill_err *e)
{
	struct resize_order o = { .order = { .fn = resize, .parked = true, .e = e },
				  .wanted = wanted };
	int done;

	if (vm_check_caller(vm, e) < 0)
		return -1;
	if (wanted == 0 || wanted > vm->config.cpus.max)
		return sill_err_set(e, SILL_ERR_LIMIT, "%u vCPUs: 1 to %u are possible (cpus.max)",
				    wanted, vm->config.cpus.max);
	done = vm_order(vm, &o.order);
	if (o.now.max == 0) /* it was not carried out */
		sill_vm_cpus(vm, &o.now);
	if (ret != NULL)
		*ret = o.now;
	return done;
}

/* --- saved state ------------------------------------------------------------------ */

void vm_cpus_save(const struct sill_vm *vm, struct saver *s)
{
	save_u32(s, vm->config.cpus.max);
	for (unsigned i = 0; i < vm->config.cpus.max; i++)
		save_u8(s, vm->vcpus[i].started);
}

int vm_cpus_load(struct sill_vm *vm, struct loader *l, struct sill_err *e)
{
	if (load_u32(l) != vm->config.cpus.max) {
		load_fail(l);
		return 0; /* load_end() says so */
	}
	for (unsigned i = 0; i < vm->config.cpus.max; i++) {
		const bool there = load_bool(l);

		if (i == 0 && !there)
			load_fail(l);
		if (l->failed)
			return 0;
		if (there && !vm->vcpus[i].started && start_late(vm, i, e) < 0)
			return -1;
		if (!there && vm->vcpus[i].started)
			stop(vm, i);
	}
	wish_made(&vm->machine.wishes, &vm->cpus_wish); /* it may have something to answer still */
	return 0;
}
