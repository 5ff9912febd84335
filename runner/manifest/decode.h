/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - a right document as typed structs, filled by libcyaml from the
 * same table.
 */
#ifndef RUNNER_MANIFEST_DECODE_H
#define RUNNER_MANIFEST_DECODE_H

#include "runner/manifest/check.h"
#include "schema/manifest.h"

/*
 * @root has passed all checks and has its defaults. NULL and @e: no memory, or
 * our bug. The schema libcyaml needs to free the result lies in c->a.
 */
struct manifest *decode(struct check *c, const struct node *root,
			const struct cyaml_schema_value **ret_schema, struct sill_err *e);

/* Accepts NULL. */
void decode_free(struct manifest *m, const struct cyaml_schema_value *schema);

#endif
