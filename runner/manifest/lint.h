/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint.h - what is right by the rules and still likely to end badly.
 *
 * The preflight check of guest: windows. Its rules come from what others met
 * with Windows on virtual machines; each names where that can be read.
 */
#ifndef RUNNER_MANIFEST_LINT_H
#define RUNNER_MANIFEST_LINT_H

#include <jansson.h>
#include <stdio.h>

#include "runner/manifest/check.h"
#include "runner/report/diag.h"

/* Public struct: one row of the table. All texts are static. */
struct lint_rule {
	const char *id;
	/* The @i-th member of @v to warn about, counted from 0; NULL: there are no more. Pure. */
	const void *(*find)(const struct sill_config *v, size_t i);
	const char *msg; /* what is seen */
	const char *why; /* what it leads to */
	const char *fix; /* what to do about it */
	const char *see; /* where that was learnt */
};

/* All rules; the last has no id. */
extern const struct lint_rule lint_rules[];

/* Warn about a document without mistakes: its value @v, whose places are those of @c. */
void lint_document(struct diags *ret_warnings, const struct check *c, const struct sill_config *v);

/* @n leads to firmware that is built for system management mode, by another name. */
void lint_smm(struct diags *ret_warnings, const struct node *n);
/* @n leads to a file that is no raw disk. */
void lint_foreign(struct diags *ret_warnings, const struct node *n);
/* @n is a variable that nothing reads. */
void lint_unused(struct diags *ret_warnings, const struct node *n);
/* Does the name of a file say so? */
bool lint_is_foreign_name(const char *path);

/* The rules themselves, for people and as an array of objects (the caller owns it). */
void lint_explain(FILE *f);
json_t *lint_explain_json(void);

#endif
