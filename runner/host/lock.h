/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h - one writer per image.
 *
 * Open file description locks (fcntl(2)): they belong to the descriptor we hand
 * to the engine and vanish with it however the process ends. They meet those of
 * QEMU and its tools, byte by byte, and of programs that lock whole files.
 *
 * Whoever may read a file may lock it, also so that its owner cannot start a VM
 * with it: that is what locks are. An image that others shall not stop has a
 * mode that lets none of them read it, and those that we make have (newfile.c).
 */
#ifndef RUNNER_HOST_LOCK_H
#define RUNNER_HOST_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "sill/error.h"

enum { LOCK_TRIES = 16 }; /* how often it may have come late */

/*
 * Lock @fd against other VMs: for writing, or against writers. 0, or -1 and
 * who has it in @e, and no lock. Between two of us one always gets it; us and a QEMU
 * that begin at the same instant may both be refused. Where the file system knows no locks, 0 and a warning on
 * stderr.
 */
int lock_image(int fd, bool write, const char *path, struct sill_err *e);

/* Is the file of @fd, which nobody shall lock, locked by another descriptor? -1 and @e. */
int lock_refuse_image(int fd, const char *path, struct sill_err *e);

/*
 * Once it is locked: is @fd not what @path leads to any more? Who held the lock may have put
 * another file in its place, and then nobody would find what is written to this one.
 */
bool lock_is_late(int fd, const char *path);

/*
 * @found (pathfd.h), by @path, is a block device that O_EXCL did not get: says in @e who
 * has it, the process that locks it or the host. True: such a process.
 */
bool lock_tell_owner(int found, const char *path, struct sill_err *e);

/* Who locks some of the file of @fd: a process that may be seen, and its command line. */
bool lock_holder(int fd, long *ret_pid, char *ret_command, size_t size);

/* Is it this process? That is asked of it alone: lock_holder() looks at all that there are, one by one. */
bool lock_is_held_by(int fd, long pid);

#endif
