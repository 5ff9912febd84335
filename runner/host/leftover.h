/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftover.h - what a VM has to put right at its end, written down before it is done.
 *
 * A file in the runtime directory for each, called KIND.NAMESPACE.INTERFACE: the network namespace's inode,
 * since a name means another interface in another one. Who needs it holds a shared lock of
 * it. A file that nobody holds is of a VM that was killed: the next one sees to it. Whoever makes, takes
 * or removes one holds networks_lock(), so that nobody takes a file that another removes.
 */
#ifndef RUNNER_HOST_LEFTOVER_H
#define RUNNER_HOST_LEFTOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "sill/error.h"

enum { LEFTOVER_DIR = 128, LEFTOVER_PATH = 320 };

/* Have @dir. 0, or -1 and @e. */
int leftover_dir(const char *dir, struct sill_err *e);

/* The file's path; false: there is no namespace to speak of. */
bool leftover_path(char dst[LEFTOVER_PATH], const char *dir, const char *kind,
		   const char *interface);

/* Make it, or take one that is there, with a shared lock; it is on the disk. The descriptor, or -1 and @e. */
int leftover_make(const char *dir, const char *path, struct sill_err *e);

/* Does nobody but the holder of @fd need it any more? Then it is the caller's alone. */
bool leftover_is_ours(int fd);

typedef void leftover_told(void *ctx, const char *interface, bool done);

/* Public struct. */
struct leftover_kind {
	const char *kind;
	/* Put right what the file at @path tells of, and remove it. false: no right to. */
	bool (*undo)(int fd, const char *path, const char *interface);
	leftover_told *told; /* of each; NULL: nobody */
	void *ctx;
};

/* See to each file of one kind, in this namespace, that nobody holds. Takes networks_lock() itself. */
void leftover_each(const char *dir, const struct leftover_kind *k);

#endif
