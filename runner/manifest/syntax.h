/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax.h - what is wrong with text that is not YAML, and where.
 *
 * libyaml says where it could not go on. That is often far behind the slip: an
 * unclosed quote ends at the next one, a key without ':' runs on into the next
 * line. The text before is looked at again, for the slips that people make.
 */
#ifndef RUNNER_MANIFEST_SYNTAX_H
#define RUNNER_MANIFEST_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#include "runner/report/diag.h"
#include "runner/report/lookalike.h"

/* What libyaml knows. Offsets in the text. Public struct. */
struct syntax_error {
	const struct src_text *src;
	const char *problem; /* its words */
	const char *context; /* what it was reading, or NULL */
	size_t at;           /* where it could not go on */
	size_t context_at;   /* where what it was reading begins */
	size_t last;         /* where the last thing begins that it did read */
};

/* Say it. */
void syntax_report(const struct syntax_error *e, struct diags *d);

/* Say that @l is where it should not be. */
struct diag *syntax_lookalike(struct diags *d, struct mark at, const char *path,
			      const struct lookalike *l);

/*
 * "size:1G", "size 1G" and "size=1G" are "size: 1G": true, and that in @ret. @rest: all that follows
 * is the value; otherwise its first word.
 */
bool syntax_pair(const char *s, size_t n, bool rest, char *ret, size_t size);

#endif
