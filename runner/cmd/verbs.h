/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h - every verb that there is: the lines of verbs.def. */
#ifndef RUNNER_CMD_VERBS_H
#define RUNNER_CMD_VERBS_H

#include "runner/cmd/cmd.h"

/* In the order of verbs.def; ends with NULL. */
extern const struct verb *const verb_table[];

/* NULL: there is no such verb. */
const struct verb *verb_find(const char *name);

#endif
