/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fmt.h - the form in which `sill fmt` writes a manifest.
 *
 * Mappings and lists are indented by two blanks, one blank stands where YAML wants one, comments behind
 * values are two blanks away and one under the other, quotes go where no reader needs them, several empty
 * lines are one. The order of keys, comments and the lines of several-line texts stay.
 */
#ifndef RUNNER_MANIFEST_FMT_H
#define RUNNER_MANIFEST_FMT_H

#include <stddef.h>

#include "runner/report/diag.h"

/*
 * @src, which is YAML, in that form; the caller frees it. It says the same, has the same comments, and is its
 * own form: all that is tried before it is given away. NULL: no memory, or then *ret_why: it has a form that
 * is left as it is.
 */
char *fmt_text(const struct src_text *src, size_t *ret_size, const char **ret_why);

#endif
