/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.c - what a guest says of its crash, by each way it has, told once until it is reset: sill_vm_set_event().
 *
 * On a serial port the parameters follow the code, after a moment. They are waited for, since who hears of a
 * crash may reset or stop the guest; but not for long, since not every Windows writes them.
 */
#include <string.h>

#include "base/log.h"
#include "core/clock.h"
#include "vm/vm.h"

enum { TEXT_WAIT_NS = 1000000000 };

void vm_crashed(void *ctx, bool dumps)
{
	struct sill_vm *vm = ctx;

	(void)__atomic_or_fetch(&vm->crashed, dumps ? 2 : 1, __ATOMIC_SEQ_CST);
	vm_ask(vm, 0);
}

void vm_bug_check(void *ctx, const struct sill_crash *said)
{
	struct sill_vm *vm = ctx;

	(void)pthread_mutex_lock(&vm->mutex);
	vm->bug = *said;
	vm->has_bug = true;
	(void)pthread_mutex_unlock(&vm->mutex);
	vm_ask(vm, 0);
}

void vm_bug_text(void *ctx, const struct sill_crash *said, bool whole)
{
	struct sill_vm *vm = ctx;

	(void)pthread_mutex_lock(&vm->mutex);
	vm->text = *said;
	vm->has_text = true;
	vm->text_whole |= whole;
	(void)pthread_mutex_unlock(&vm->mutex);
	vm_ask(vm, 0);
}

static void tell(struct sill_vm *vm, const char *what, const struct sill_crash *said)
{
	const struct sill_event event = { .kind = SILL_EVENT_CRASHED, .what = what, .crash = said };

	if (vm->event != NULL)
		vm->event(vm->event_ctx, &event);
}

/* The guest has said so; a person may want to know. */
static void tell_panic(struct sill_vm *vm)
{
	const unsigned how = __atomic_exchange_n(&vm->crashed, 0, __ATOMIC_SEQ_CST);

	if (how == 0)
		return;
	log_guest_at(&vm->stalls, LOG_WARN, vm->machine.name,
		     "the guest says that it has crashed%s", how > 1 ? ", and writes a dump" : "");
	tell(vm, how > 1 ? "dump" : "panic", NULL);
}

/* The same, with its reason. */
static void tell_bug_check(struct sill_vm *vm)
{
	struct sill_crash said;
	bool has;

	(void)pthread_mutex_lock(&vm->mutex);
	said = vm->bug;
	has = vm->has_bug;
	vm->has_bug = false;
	(void)pthread_mutex_unlock(&vm->mutex);
	if (!has || vm->bug_told)
		return;
	vm->bug_told = true;
	tell(vm, "bug-check", &said);
}

/* Likewise. @all: also if more may come. */
static void tell_text(struct sill_vm *vm, bool all)
{
	struct sill_crash said;
	bool has, ripe;

	(void)pthread_mutex_lock(&vm->mutex);
	said = vm->text;
	has = vm->has_text;
	ripe = has && (all || vm->text_whole || vm->text_told);
	vm->has_text = has && !ripe;
	(void)pthread_mutex_unlock(&vm->mutex);
	if (has && !ripe && !vm->text_waits) {
		vm->text_waits = true;
		loop_timer_set(vm->loop, &vm->text_wait, host_now() + TEXT_WAIT_NS);
	}
	if (!ripe)
		return;
	vm->text_told = true;
	tell(vm, "serial", &said);
}

static void waited(void *ctx)
{
	tell_text(ctx, true);
}

void vm_crash_init(struct sill_vm *vm)
{
	vm->text_wait = (struct loop_timer){ .fn = waited, .ctx = vm };
}

void vm_crash_tell(struct sill_vm *vm, bool all)
{
	tell_panic(vm);
	tell_bug_check(vm);
	tell_text(vm, all);
}

void vm_crash_anew(struct sill_vm *vm)
{
	loop_timer_cancel(vm->loop, &vm->text_wait);
	vm->bug_told = vm->text_told = vm->text_waits = false;
	(void)pthread_mutex_lock(&vm->mutex);
	vm->has_bug = vm->has_text = vm->text_whole = false;
	(void)pthread_mutex_unlock(&vm->mutex);
}
