/* SPDX-License-Identifier: Apache-2.0 */
/* disks.h - the disks of the machine; board.c is the only user. */
#ifndef ARCH_X86_64_DISKS_H
#define ARCH_X86_64_DISKS_H

#include "arch/x86_64/machine.h"
#include "base/attr.h"
#include "base/err.h"
#include "sill/config.h"

/* The descriptors of one disk that still have to find an owner; [0] is its own image. */
struct disk_fds {
	int image[SILL_MAX_LAYERS], data[SILL_MAX_LAYERS];
};

void disks_collect(struct disk_fds f[SILL_MAX_DISKS], const struct sill_config *c);
void disks_close(struct disk_fds f[SILL_MAX_DISKS]);

/* All disks of @c; takes the descriptors of those it gets to. */
int disks_add(struct machine *m, const struct sill_config *c, struct disk_fds fds[SILL_MAX_DISKS],
	      struct sill_err *e) MUST_CHECK;

/* After the devices. */
void disks_free_limits(struct machine *m);

#endif
