/* SPDX-License-Identifier: Apache-2.0 */
/* memfile.h - the file that a memory zone is in. */
#ifndef RUNNER_HOST_MEMFILE_H
#define RUNNER_HOST_MEMFILE_H

#include "sill/config.h"
#include "sill/error.h"

/*
 * Open and lock the file of @z, or make one without a name in the directory that z->file is. The descriptor, or -1 and
 * @e. Main thread.
 */
int memfile_open(const struct sill_memory_zone *z, struct sill_err *e);

#endif
