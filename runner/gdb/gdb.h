/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gdb.h - a socket at which GDB debugs the guest, on a thread of its own.
 *
 * One debugger at a time; who comes while there is one is turned away. The guest stands still from when one has
 * come until it says otherwise; when its connection breaks, the guest goes on as if it had detached. Who may
 * connect has the guest: a path is for the user's own (0600), and an address is the loopback one unless another is written.
 */
#ifndef RUNNER_GDB_GDB_H
#define RUNNER_GDB_GDB_H

#include <stdbool.h>
#include <stddef.h>

#include "sill/error.h"
#include "sill/vm.h"

struct gdb;

/* Is it a path? Else it is [ADDRESS:]PORT. */
bool gdb_is_path(const char *where);
/* What follows "target remote " for it; HOST where it listens at all of the host's addresses. @size is not 0. */
void gdb_target(const char *where, char *ret, size_t size);
/* Listen at @where, which is one of the two, and print what to type; NULL: *ret is NULL, too. 0, or -1 and @e. */
int gdb_open(struct gdb **ret, const char *where, struct sill_err *e);
/* @vm runs (SILL_EVENT_RUNNING): who comes from now on is served. 0, or -1 and @e. Accepts NULL. */
int gdb_start(struct gdb *g, struct sill_vm *vm, struct sill_err *e);
/* @vm has ended: who is there is told. Nothing when it has not started. Accepts NULL. */
void gdb_stop(struct gdb *g);
/* Accepts one that is NULL, which it leaves. */
void gdb_close(struct gdb **g);

#endif
