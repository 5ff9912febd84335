/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - the other end of the control API: one request after the other, on a connection of one's own.
 *
 * It blocks for as long as the VM takes, or its patience lasts. What comes is believed to be a VM's of this user's; sizes have
 * limits all the same.
 */
#ifndef RUNNER_API_ASK_H
#define RUNNER_API_ASK_H

#include <stddef.h>

#include "runner/host/rundir.h"
#include "sill/error.h"

enum { ASK_ANSWER = 64 << 20, ASK_LINE = 64 << 10 };

/* Public struct: @target behind /api/v1; @body NULL: none. */
struct ask_request {
	const char *method, *target, *body;
};

/* Public struct. */
struct ask_answer {
	unsigned status;
	char *body; /* owned; never NULL, and followed by a NUL */
	size_t size;
};

/* The socket of @name: a VM that runs, or a path with a '/' in it. 0, or -1 and @e. */
int ask_path(const char *name, char *ret, size_t size, struct sill_err *e);
/*
 * A descriptor, or -1 and @e. @patience_s: as long as that nothing may come or go, and then ETIMEDOUT is in @e of whatever
 * waits; 0: for ever.
 */
int ask_connect(const char *path, unsigned patience_s, struct sill_err *e);
/* The same, to a VM that runs. */
int ask_connect_vm(const struct rundir_vm *vm, unsigned patience_s, struct sill_err *e);
/* Another patience for what is read from now on; 0: for ever. */
void ask_patience(int fd, unsigned ms);
/* 0 with any status, or -1 and @e: there is no answer. */
int ask(int fd, const struct ask_request *q, struct ask_answer *ret, struct sill_err *e);
/*
 * Lines of an endpoint that does not end, until @fn returns another number than 0, which is returned; 0: the other
 * end has ended it. -1 and @e.
 */
int ask_lines(int fd, const char *target, int (*fn)(void *ctx, const char *line), void *ctx,
	      struct sill_err *e);

#endif
