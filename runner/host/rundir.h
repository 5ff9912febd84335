/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rundir.h - the runtime directory of a VM: what others on this host may know of it while it runs.
 *
 *   BASE/NAME/lock           held (an open file description lock) by the VM's process as long as it lives
 *            pid             of that process, in digits
 *            manifest.yaml   the effective manifest, as schema/store.h writes it
 *            api.sock        the control socket, if there is one
 *            events.jsonl    what happened to it: runner/api/event.h
 *
 * A VM in the background (`sill up`) has more, which stays when it has ended, so that others can be told how:
 *
 *            up.json         what was started, from which file, and how it has ended: runner/up/record.h
 *            wanted.json     the manifest it was started from, with all defaults
 *            crash.json      how the guest has crashed, if it has: runner/debug/crash.h; without `sill up`, too
 *            vm.log          its messages, and vm.log.1 those before; serial.log likewise
 *            serial.sock     of a VM in the background: the port that has no terminal
 *
 * BASE/.apply is locked by the `sill apply` that is at work, BASE/.keep-NAME by who starts NAME again: up/keeper.h.
 *
 * BASE is $SILL_RUNTIME_DIR if that is set; else /run/sill for root, $XDG_RUNTIME_DIR/sill for a user; without
 * that variable /run/user/UID/sill, and where that is not to be had /tmp/sill-UID. All of it has mode 0700
 * and belongs to who runs the VM; a BASE that others may write to is not used.
 *
 * The lock is by name: two VMs of one name cannot run at once. It goes with the process, however that ends; what
 * is left of a VM that was killed is removed by the next of that name, and by `sill doctor --clean`. A directory
 * that cannot be had (a read-only or full file system) stops no VM: it runs without, and says so.
 */
#ifndef RUNNER_HOST_RUNDIR_H
#define RUNNER_HOST_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>

#include "sill/config.h"
#include "sill/error.h"

enum { RUNDIR_BASE = 128, RUNDIR_PATH = RUNDIR_BASE + 72 }; /* a name has 63 bytes at most */

/* Public struct. Zero-initialised by its owner: there is none. */
struct rundir {
	bool there;
	bool keeps;             /* the files that stay, stay */
	int base, fd, lock;     /* owned */
	char path[RUNDIR_PATH]; /* of the directory */
	char name[64];
};

/* Where all VMs of this user have theirs; nothing is made. 0, or -1 and @e: the path is too long. */
int rundir_base(char ret[RUNDIR_BASE], struct sill_err *e);

/*
 * Take the name: make the directory, with its lock and the pid. What a VM has left in it goes. -1 and @e, with
 * nothing held: SILL_ERR_STATE, a VM of this name runs, and which process that is; SILL_ERR_HOST, there can
 * be no directory.
 */
int rundir_open(struct rundir *d, const char *name, struct sill_err *e);
/* The same; the log that one of this name has left stays, and rundir_close() leaves the files that stay. */
int rundir_open_kept(struct rundir *d, const char *name, struct sill_err *e);

/* A file in it, whole or not at all: written beside, then renamed. 0, or -1 and @e. */
int rundir_write(const struct rundir *d, const char *file, const void *text, size_t n,
		 struct sill_err *e);
/* The same, without waiting for the disk: others see it at once, a host that loses its power may forget it. */
int rundir_write_soon(const struct rundir *d, const char *file, const void *text, size_t n,
		      struct sill_err *e);
/* Its manifest.yaml. */
int rundir_write_manifest(const struct rundir *d, const struct sill_config *c, struct sill_err *e);

/* All of it goes, and the lock. Harmless when there is none. */
void rundir_close(struct rundir *d);

/* ---- for others ---- */

/* Can it be the name of a VM, and nothing but a name? Letters, digits and ._-, and not . or .. */
bool rundir_is_name(const char *name);

/* Public struct: a VM that runs. */
struct rundir_vm {
	char path[RUNDIR_PATH];
	char name[64];
	long pid; /* 0: not known */
};

/* -1 and @e, SILL_ERR_STATE: no VM of this name runs; that its keeper is about to start it is said. Takes no lock: who starts meanwhile does not notice. */
int rundir_find(const char *name, struct rundir_vm *ret, struct sill_err *e);
/* To write into the directory of a VM that is another process's: rundir_write() alone. The caller closes ret->fd. 0, or -1 and @e. */
int rundir_reach(const struct rundir_vm *vm, struct rundir *ret, struct sill_err *e);
/* Its manifest.yaml, which the caller owns. 0, or -1 and @e. */
int rundir_read_manifest(const struct rundir_vm *vm, struct sill_config *ret, struct sill_err *e);

/* Its directory, if there is one, with a VM that runs in it or what one has left. */
bool rundir_look(const char *name, struct rundir_vm *ret, bool *ret_runs);
/* Of every directory there is, in no order: does its VM run? */
void rundir_each(void (*fn)(void *ctx, const struct rundir_vm *vm, bool runs), void *ctx);
/* A whole file of it, followed by a NUL, which the caller frees; NULL: it cannot be read. */
char *rundir_read(const struct rundir_vm *vm, const char *file, size_t *ret_n);
/* Forget what the VM of this name has left, unless one runs. */
bool rundir_forget(const char *name);

/*
 * Lock BASE/.@name, for this process alone and as long as it lives or has the descriptor: children that are forked do
 * not have the lock. -1 and @e, SILL_ERR_STATE: another process has it.
 */
int rundir_lock(const char *name, struct sill_err *e);
/* Which process has it; 0: none. Not for one that has it itself: it would lose it. */
long rundir_locker(const char *name);
/* Its file goes, once nobody has it. */
void rundir_unlock(const char *name);

/* Remove what VMs have left that run no more; @fn, which may be NULL, is told of each. How many. */
unsigned rundir_clean(void (*fn)(void *ctx, const char *name), void *ctx);

#endif
