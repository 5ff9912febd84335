/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hardware.h - what a guest finds when it starts from a manifest now, and what it was when that was locked.
 *
 * A machine is made of the manifest as for a start, with stand-ins for what it would use of the host (empty disks,
 * cards without a cable, ports that lead nowhere), is asked (sill/hardware.h), and is thrown away. So another version
 * of this program, another kernel and another processor are seen before a guest meets them.
 */
#ifndef RUNNER_PLAN_HARDWARE_H
#define RUNNER_PLAN_HARDWARE_H

#include <jansson.h>
#include <stddef.h>

#include "sill/config.h"
#include "sill/error.h"

/* An object: value by name, as sill/hardware.h has them. NULL: @e; SILL_ERR_HOST without /dev/kvm. */
json_t *hardware_of(const struct sill_config *c, struct sill_err *e);

/* web.yaml has web.lock.json. */
void hardware_lock_path(const char *file, char *ret, size_t size);
/* The lock of the file that was looked at last: several VMs have one. Public struct, zeroed by its owner. */
struct hardware_lock {
	char *file;        /* owned: the manifest's */
	json_t *vms;       /* owned; NULL: it has none */
	struct sill_err e; /* why; SILL_ERR_NONE: there is no such file */
};

/* What is locked for the VM @name of @file; NULL: nothing, and then @e says why unless there is no such file. */
json_t *hardware_locked(struct hardware_lock *l, const char *file, const char *name,
			struct sill_err *e);
void hardware_lock_fini(struct hardware_lock *l);

/* [ { what, locked, now } ], sorted; null for what is not there, in @locked or @now. */
json_t *hardware_diff(json_t *locked, json_t *now);
/* A line each: "  hardware  pci.03: 1af4:1042 ... -> 1af4:1043 ...". */
void hardware_print(FILE *f, const json_t *diff);

#endif
