/* SPDX-License-Identifier: Apache-2.0 */
/* open.h - how the verbs that need one right manifest get it. */
#ifndef RUNNER_CMD_OPEN_H
#define RUNNER_CMD_OPEN_H

#include <stdbool.h>

#include "runner/manifest/manifest.h"

/*
 * Load @path; its mistakes are said on stderr. When @name is not NULL, a VM of
 * that name must be in it. CMD_DONE and *ret_f (the caller destroys it), or the
 * exit status.
 */
int cmd_open(const char *path, const char *name, bool ask_host, struct mfile **ret_f);
/* The same of @text, which is said to be @path, and has one VM; asks the host. */
int cmd_open_text(const char *path, const char *text, size_t size, struct mfile **ret_f);

#endif
