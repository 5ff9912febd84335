/* SPDX-License-Identifier: Apache-2.0 */
/* plain.h - a value (sill/config.h) as JSON, by the rows: numbers are numbers, sizes are bytes. */
#ifndef RUNNER_API_PLAIN_H
#define RUNNER_API_PLAIN_H

#include <jansson.h>

#include "schema/key.h"

/* What is at @value, of the section @s; what is not given is not there. The caller owns it. NULL: no memory. */
json_t *plain_json(const struct section *s, const void *value);

#endif
