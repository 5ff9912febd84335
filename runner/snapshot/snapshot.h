/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - a VM at an instant, as a directory, and a VM that goes on from there.
 *
 *   DIR/config.json    the effective manifest, as a manifest
 *       state          of devices, chips and vCPUs: sill_vm_save()
 *       memory         the guest's, sparse: the ranges that the head names, one behind the other
 *       snapshot.json  the head: format, sizes, the disks' images; it comes last, and makes it a snapshot
 *
 * All of mode 0600: what a guest knows is in it, keys and passwords too. Disks are not in it. Their images are named
 * with size and time of the last change, and a VM goes on only with images that are as they were.
 *
 * Reading: a directory may come from a stranger. The head is checked, the configuration like any manifest, the
 * state by the engine; what the VM's memory is comes from the configuration, and the file must have that size.
 */
#ifndef RUNNER_SNAPSHOT_SNAPSHOT_H
#define RUNNER_SNAPSHOT_SNAPSHOT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/snapshot/sparse.h"
#include "sill/config.h"
#include "sill/error.h"
#include "sill/vm.h"

enum {
	SNAPSHOT_FORMAT = 1,
	SNAPSHOT_RANGES = 64,   /* the engine has no more regions of memory */
	SNAPSHOT_IMAGES = 1024, /* of all disks, with what is below them */
};

/* "file:///dir" as "/dir"; NULL and @e: it is no such URL. */
const char *snapshot_path(const char *url, struct sill_err *e);

/* Public struct: who is told. */
struct snapshot_told {
	struct sparse_told memory;
	/* All is written, and the VM cannot go on before this returns; what comes of it afterwards comes after. */
	void (*written)(void *ctx);
	void *ctx;
};

/*
 * Of a VM that is paused, into a directory that is there and has none of these files in it. @said: the value as it was
 * written, for what is found anew at each start. It stays paused. 0, or -1 and @e: no file of ours is left.
 */
int snapshot_write(struct sill_vm *vm, const struct sill_config *said, const char *dir,
		   const struct snapshot_told *told, struct sill_err *e);
/*
 * The VM has ended, and has closed its images, without having run since: that is no change of theirs. -1 and
 * @e: a start from it will find them changed.
 */
int snapshot_renew(const char *dir, const struct sill_config *m, struct sill_err *e);

struct snapshot;

/* NULL and @e: there is none, or it is damaged, or of another version. */
struct snapshot *snapshot_open(const char *dir, struct sill_err *e);
/* Accepts NULL. */
void snapshot_close(struct snapshot *s);
/* The text of its configuration, borrowed; terminated. */
const char *snapshot_config(const struct snapshot *s, size_t *ret_size);
/* Are the images of @m as they were? With their locks held. 0, or -1 and @e, which names the first that is not. */
int snapshot_check_disks(const struct snapshot *s, const struct sill_config *m, struct sill_err *e);
/* Memory and state into a VM that was created and does not run yet; it has another generation id then. 0, or -1 and @e. */
int snapshot_load(struct snapshot *s, struct sill_vm *vm, struct sill_err *e);

#endif
