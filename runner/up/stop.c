/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c - stop_vm() of start.h: the power button, patience, and the end. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/start.h"

enum {
	PRESS_MS = 1000, /* between presses that a guest which is not up yet does not hear */
	STOP_MS = 30000, /* for the process to end, once the guest stands still */
};

static bool press(const struct rundir_vm *vm)
{
	const struct call c = { "PUT", "/vm.power-button", NULL };

	return call_vm(vm, &c, NULL, &(struct sill_err){ 0 }) == 0;
}

/* True: it has ended by itself. */
static bool ask_guest(const struct rundir_vm *vm, int fd, unsigned grace_s)
{
	bool heard = press(vm);

	if (!heard)
		text_say(stderr, "%s: the guest does not listen to the power button yet", vm->name);
	for (unsigned s = 0; s < grace_s; s++) {
		if (call_wait(fd, PRESS_MS))
			return true;
		if (!heard)
			heard = press(vm);
	}
	return call_wait(fd, 0);
}

int stop_vm(const struct rundir_vm *vm, unsigned grace_s, bool now, struct sill_err *e)
{
	const struct call quit = { "PUT", "/vmm.shutdown", NULL };
	const int fd = call_watch(vm);
	int ret = 0;

	if (fd < 0)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' has ended meanwhile", vm->name);
	if (!now && !ask_guest(vm, fd, grace_s)) {
		text_say(stderr, "%s: still up after %u s: it is stopped", vm->name, grace_s);
		now = true;
	}
	if (now && call_vm(vm, &quit, NULL, e) < 0 && !call_wait(fd, 0))
		ret = -1;
	if (ret == 0 && !call_wait(fd, STOP_MS)) {
		(void)sill_err_set(e, SILL_ERR_HOST, "the process of '%s' (%ld) does not end",
				   vm->name, vm->pid);
		ret = sill_err_hint(
			e, "what it waits for may be the host's storage; `sill kill %s`", vm->name);
	}
	(void)close(fd);
	return ret;
}
