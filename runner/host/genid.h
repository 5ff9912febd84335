/* SPDX-License-Identifier: Apache-2.0 */
/*
 * genid.h - the generation id of a VM that is not given one (platform.vmgenid: auto).
 *
 * The guest must see another id when it runs from a state it may have run from
 * before: as a clone, or from a copy that was put back. It must see the same id
 * after a reboot and when the VM is started again. So the id is made from what
 * changes with a copy and with nothing else:
 *
 *   the VM's name and platform.uuid
 *   of the first disk that can be written, a file: its inode number and birth
 *   time, which no copy shares; a block device: its path
 *
 * What this cannot see: an older state written into the same file, or into the
 * same block device. The manual says so.
 */
#ifndef RUNNER_HOST_GENID_H
#define RUNNER_HOST_GENID_H

#include <stdint.h>

#include "sill/config.h"

enum { GENID_TEXT = 37 }; /* 8-4-4-4-12 digits with the NUL */

/* @disk_fds: of m->disk, in order. */
void genid_make(const struct sill_config *m, const int *disk_fds, char ret[GENID_TEXT]);

#endif
