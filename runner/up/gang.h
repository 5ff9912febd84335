/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gang.h - what is done about many VMs, some of them at once: each by a process of its own, whose words are printed
 * together when it has ended.
 *
 * A process, because starting a VM forks: no thread stands in another's way, and what goes wrong with one VM is its own.
 * It ends with the process that has started it.
 */
#ifndef RUNNER_UP_GANG_H
#define RUNNER_UP_GANG_H

#include <stdbool.h>
#include <stddef.h>

enum { GANG_DEFAULT_MAX = 8, GANG_MAX = 256 };

/* Public struct. */
struct gang {
	size_t count;
	unsigned limit; /* at once, 1 to GANG_MAX */
	/* In its process: its exit status. It may return in a process that it has started (start_vm()), too. */
	int (*job)(void *ctx, size_t i);
	/* In ours, once its words are printed; @status -1: it could not be begun, or was killed. */
	void (*done)(void *ctx, size_t i, int status);
	void *ctx;
};

/*
 * Returns when all have ended, CMD_DONE; and in each of their processes, when that is to end: then *ret_child is true, and
 * the caller frees what it has and ends with the status.
 */
int gang_run(const struct gang *c, bool *ret_child);
/* --jobs: 0, or -1: it is no such number; NULL: the default. */
int gang_read(const char *text, unsigned *ret_limit);

#endif
