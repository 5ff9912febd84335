/* SPDX-License-Identifier: Apache-2.0 */
/* char.h - from the configuration to the far end of a port: serial, console. */
#ifndef MACHINE_CHAR_H
#define MACHINE_CHAR_H

#include "base/attr.h"
#include "base/err.h"
#include "sill/config.h"
#include "sill/files.h"

struct chr;
struct loop;

/* *ret is NULL when @c says that there is no such port. Takes what it needs of @files. */
int char_open(const char *id, const struct sill_char_config *c, struct loop *loop,
	      struct sill_files *files, struct chr **ret, struct sill_err *e) MUST_CHECK;

#endif
