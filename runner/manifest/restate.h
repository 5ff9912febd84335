/* SPDX-License-Identifier: Apache-2.0 */
/* restate.h - a value as a manifest that says it: for who has nothing but the value. Pure. */
#ifndef RUNNER_MANIFEST_RESTATE_H
#define RUNNER_MANIFEST_RESTATE_H

#include "sill/config.h"

/*
 * Every key that has a value, and a meaning beside the others; in the flow style of YAML, which is nearly JSON, and in ASCII. The caller frees it.
 * NULL: no memory, or a text is no UTF-8.
 */
char *manifest_restate(const struct sill_config *c);

#endif
