/* SPDX-License-Identifier: Apache-2.0 */
/* targets.h - which VMs a command is about: those of a manifest, of all manifests in a directory, or one by name. */
#ifndef RUNNER_UP_TARGETS_H
#define RUNNER_UP_TARGETS_H

#include <stdbool.h>
#include <stddef.h>

#include "runner/host/rundir.h"
#include "runner/manifest/manifest.h"

/* Public struct: a VM of a manifest. */
struct target {
	struct mfile *mf;       /* borrowed from the list */
	const struct mdoc *doc; /* of mf */
	const char *file;       /* absolute; borrowed */
};

/* Public struct, zeroed by its owner. */
struct targets {
	struct target *list; /* owned, in the order of files and documents */
	size_t count;
	struct mfile **files; /* owned */
	char **paths;         /* owned: as given, and absolute */
	size_t file_count, room;
	char **wrong; /* owned: the text of each file in the directory that is wrong */
	size_t wrong_count;
	bool any;        /* likewise wrong, and not read: it may be about any VM */
	char *directory; /* owned; absolute. NULL: a file was given */
};

/*
 * Load the manifest, or all of the directory, @operand names; what is wrong with them is said on stderr. @name: this
 * VM alone, of a file; of a directory it is a mistake; NULL: all. CMD_DONE, or the exit status: CMD_MANIFEST with a
 * mistake in any of them. What was right is in the list even then;
 * none is when --set names what none of them has.
 */
int targets_open(const char *operand, const char *name, struct targets *ret);
/* What @vm was told last (record_want()): as it is written there, whatever --set says. Likewise, of one VM. */
int targets_open_wanted(const struct rundir_vm *vm, struct targets *ret);
void targets_fini(struct targets *t);

/*
 * @fn of each VM that was started with this directory, runs or is about to be started again, and is none of the list's:
 * its file, which @fn gets, is gone, or right and without it. One whose manifest is wrong is not gone: nor is one whose name is anywhere in the text
 * of a file that is wrong, and none is when such a file, or a directory, cannot be read.
 */
void targets_gone(const struct targets *t,
		  void (*fn)(void *ctx, const struct rundir_vm *vm, const char *file), void *ctx);

/*
 * For commands that take NAME, FILE or DIR; @name is of a FILE alone. A bare word that names a VM, which runs or has
 * left something, is that VM whatever lies in the working directory. @fn of each name; the worst status is returned:
 * CMD_FAILED for a directory without a VM.
 */
int targets_names(const char *operand, const char *name, int (*fn)(void *ctx, const char *name),
		  void *ctx);

#endif
