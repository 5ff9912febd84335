/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmconfig.h - the VmConfig of Cloud Hypervisor's API (0.3.0), and what a manifest calls the same.
 *
 * One table has each field, the key it stands for, and what it may be where Sill has no such thing: the
 * value that asks for nothing. Bodies become manifests, so that one checker says what is wrong with either; values
 * become bodies for vm.info. Pure.
 */
#ifndef RUNNER_API_VMCONFIG_H
#define RUNNER_API_VMCONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "sill/config.h"
#include "sill/error.h"

/* Public struct: who is told of the fields that cannot be had, which are left out then. */
struct vmconfig_lost {
	void (*say)(void *arg, const char *path, const char *why); /* "disks[0].iommu" */
	void *arg;
	char path[128]; /* of the object that is looked at; "" at first */
};

/* Public struct: what came of a body. */
struct vmconfig_err {
	struct sill_err err;
	bool lacks;                 /* it is right, and asks for something that Sill has not */
	struct vmconfig_lost *lost; /* borrowed; NULL: what cannot be had is an error */
};

/* Public struct: paths of ptys, which ports have only once they are there; "": none. */
struct vmconfig_ends {
	char pty[SILL_PORTS][64];
};

/* A manifest, of the name @name, for vm.create. The caller owns it. NULL: @e. */
json_t *vmconfig_manifest(const json_t *body, const char *name, struct vmconfig_err *e);
/* An entry of `disk`, `net` for vm.add-disk, vm.add-net. */
json_t *vmconfig_disk(const json_t *body, struct vmconfig_err *e);
json_t *vmconfig_net(const json_t *body, struct vmconfig_err *e);
/* The mapping `vsock` for vm.add-vsock. */
json_t *vmconfig_vsock(const json_t *body, struct vmconfig_err *e);

/* The VmConfig of a value, with the defaults of what Sill has not. NULL: no memory. */
json_t *vmconfig_of(const struct sill_config *c, const struct vmconfig_ends *ends);

/*
 * Theirs keeps groups that no disk is in, a manifest does not: those of a right body, as said there. The caller owns the
 * list; NULL: none, or no memory.
 */
json_t *vmconfig_groups(const json_t *body);
/* Those of @kept (accepts NULL) that the VmConfig @config has not, beside its own. */
void vmconfig_keep_groups(json_t *config, const json_t *kept);
/* The entry @disk is the first one of a group of @kept, none of @disks being in it: it gets that one's limits. */
void vmconfig_first_of_group(json_t *disk, const json_t *kept, const json_t *disks);

/* Is what is given as a kernel the image of a firmware, by its name? Cloud Hypervisor starts both in one way. */
bool payload_is_firmware(const char *kernel);

#endif
