/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - ask a VM that runs, and wait for the end of its process. */
#ifndef RUNNER_UP_CALL_H
#define RUNNER_UP_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "runner/host/rundir.h"
#include "sill/error.h"

/* Seconds that a VM has for its answer: to what asks it to do something, and of who only looks. */
enum { CALL_PATIENCE_S = 30, CALL_LOOK_S = 5 };

/* Public struct: what is asked; @body NULL: nothing more. Borrowed. @patience_s 0: CALL_PATIENCE_S. */
struct call {
	const char *method, *target;
	const json_t *body;
	unsigned patience_s;
};

/*
 * 0 and what is answered, in @ret if that is not NULL, which may be NULL after it; the caller owns it. -1 and @e: nobody
 * answers, ETIMEDOUT: not in time; or SILL_ERR_STATE and its own words: it will not.
 */
int call_vm(const struct rundir_vm *vm, const struct call *c, json_t **ret, struct sill_err *e);

/* A descriptor that can be read when the VM's process has ended (pidfd); -1: it has, or cannot be had. */
int call_watch(const struct rundir_vm *vm);
/* Wait for that, @ms at most; -1: for ever. True: it has ended. */
bool call_wait(int fd, int ms);

#endif
