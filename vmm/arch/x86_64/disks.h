/* SPDX-License-Identifier: Apache-2.0 */
/* disks.h - the disks of the machine; board.c is the only user. */
#ifndef ARCH_X86_64_DISKS_H
#define ARCH_X86_64_DISKS_H

#include "arch/x86_64/machine.h"
#include "base/attr.h"
#include "base/err.h"
#include "sill/config.h"
#include "sill/files.h"

/* All disks of @c; takes the files of those it gets to. */
int disks_add(struct machine *m, const struct sill_config *c, struct sill_files *files,
	      struct sill_err *e) MUST_CHECK;

/* After the devices. */
void disks_free_limits(struct machine *m);

#endif
