/* SPDX-License-Identifier: Apache-2.0 */
/* vmconfig.h - a manifest and its descriptors as the engine wants them. */
#ifndef RUNNER_HOST_VMCONFIG_H
#define RUNNER_HOST_VMCONFIG_H

#include "runner/host/files.h"
#include "schema/manifest.h"
#include "sill/config.h"

/* Public struct. All strings are borrowed from the manifest and the opened files. */
struct vmconfig {
	struct sill_config config;
	struct sill_disk_config disks[SILL_MAX_DISKS];
	struct sill_disk_layer layers[SILL_MAX_DISKS][SILL_MAX_LAYERS];
	struct sill_affinity affinity[SILL_MAX_CPUS];
};

/* Copies numbers and pointers; a generation id may be made from the disks (genid.h). The descriptors stay where they are, see vmfiles_give(). */
void vmconfig_make(struct vmconfig *v, const struct manifest *m, const struct vmfiles *f);

#endif
