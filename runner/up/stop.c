/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c - stop_vm() of start.h: the power button, patience, and the end. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/keeper.h"
#include "runner/up/start.h"
#include "runner/up/unit.h"

enum {
	ANSWER_S = 10,   /* for its answer: there is something else to do then */
	PRESS_MS = 1000, /* between presses that a guest which is not up yet does not hear */
	AWAY_MS = 50,    /* between looks for the socket of one that has just begun */
	STOP_MS = 30000, /* for the process to end, once the guest stands still */
};

static bool press(const struct rundir_vm *vm)
{
	const struct call c = { .method = "PUT",
				.target = "/vm.power-button",
				.patience_s = CALL_LOOK_S };

	return call_vm(vm, &c, NULL, &(struct sill_err){ 0 }) == 0;
}

/* True: it has ended by itself. */
static bool ask_guest(const struct rundir_vm *vm, int fd, unsigned grace_s)
{
	const int64_t end = (int64_t)clock_ms() + (int64_t)grace_s * 1000;
	bool heard = press(vm);
	int64_t left;

	if (!heard)
		text_say(stderr, "%s: the guest does not listen to the power button yet", vm->name);
	while ((left = end - (int64_t)clock_ms()) > 0) {
		if (call_wait(fd, left < PRESS_MS ? (int)left : PRESS_MS))
			return true;
		if (!heard)
			heard = press(vm);
	}
	return call_wait(fd, 0);
}

static int does_not_end(const struct rundir_vm *vm, struct sill_err *e)
{
	(void)sill_err_set(e, SILL_ERR_HOST, "the process of '%s' (%ld) does not end", vm->name,
			   vm->pid);
	return sill_err_hint(e, "what it waits for may be the host's storage; `sill kill %s`",
			     vm->name);
}

/* Nobody is at its socket: it is not there yet, or not any more. */
static bool is_away(const struct sill_err *e)
{
	return e->sys == ENOENT || e->sys == ECONNREFUSED;
}

/* A process that does not answer in time does not end either, and that is what is to be said. */
static int quit(const struct rundir_vm *vm, int fd, struct sill_err *e)
{
	const struct call c = { .method = "PUT",
				.target = "/vmm.shutdown",
				.patience_s = ANSWER_S };
	const uint64_t end = clock_ms() + ANSWER_S * 1000;
	struct sill_err why = { 0 };

	while (call_vm(vm, &c, NULL, &why) < 0) {
		if (call_wait(fd, is_away(&why) ? AWAY_MS : 0))
			return 0;
		if (why.sys == ETIMEDOUT)
			return does_not_end(vm, e);
		if (!is_away(&why) || clock_ms() > end) {
			*e = why;
			return -1;
		}
		why = (struct sill_err){ 0 };
	}
	return 0;
}

/* By itself, and that is what was wanted. */
static int has_ended(const struct rundir_vm *vm, struct sill_err *e)
{
	struct rundir_vm now;
	bool runs;

	if (!rundir_look(vm->name, &now, &runs) || !runs)
		return 0;
	return sill_err_set(e, SILL_ERR_STATE, "the process of '%s' cannot be watched", vm->name);
}

/* The guest is asked, or stopped, and its process has ended. */
static int stop_process(const struct rundir_vm *vm, unsigned grace_s, bool now, struct sill_err *e)
{
	const int fd = call_watch(vm);
	int ret = 0;

	if (fd < 0)
		return has_ended(vm, e);
	if (!now && !ask_guest(vm, fd, grace_s)) {
		text_say(stderr, "%s: still up after %u s: it is stopped", vm->name, grace_s);
		now = true;
	}
	if (now)
		ret = quit(vm, fd, e);
	if (ret == 0 && !call_wait(fd, STOP_MS))
		ret = does_not_end(vm, e);
	(void)close(fd);
	return ret;
}

int stop_vm(const struct rundir_vm *known, unsigned grace_s, bool now, struct sill_err *e)
{
	char unit[UNIT_NAME];
	struct rundir_vm vm;
	bool runs;

	keeper_end(known->name); /* before it ends: nobody is to start it again meanwhile */
	/* Which it has, maybe, since it was looked at. */
	if (!rundir_look(known->name, &vm, &runs))
		return 0;
	if (unit_of(&vm, unit) && unit_stop(unit, false, e) < 0)
		return -1;
	if (runs && stop_process(&vm, grace_s, now, e) < 0)
		return -1;
	return unit[0] != '\0' ? unit_stop(unit, true, e) : 0;
}
