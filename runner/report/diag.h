/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.h - mistakes and warnings with a place, and how a person sees them.
 *
 *   web.yaml:12:11: disk[1].size: '20' has no unit
 *      12 |     size: 20
 *         |           ^~
 *      hint: write 20G or 20GiB
 */
#ifndef RUNNER_REPORT_DIAG_H
#define RUNNER_REPORT_DIAG_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "sill/error.h"

enum { DIAGS_MAX = 64, DIAG_PATH = 128 };

/* The text a place is in. All borrowed. */
struct src_text {
	const char *name; /* as the user gave it */
	const char *text; /* UTF-8; a byte order mark is not part of it */
	size_t size;
	const char *
		dir; /* relative paths in it begin here, absolute; NULL: where those of the manifest do */
};

/*
 * line 0: no place. Column and width in bytes, the column from 1; width at least 1. What is shown are
 * columns in characters, also from 1; JSON has both.
 */
struct mark {
	unsigned line, col, width;
	const struct src_text *src; /* borrowed; NULL: the one that the mistakes are of */
};

struct diag {
	struct mark at;
	struct mark other; /* the other party of a quarrel; line 0: none */
	char path[DIAG_PATH];
	char msg[256];
	char hint[256];
	char other_msg[64];
	/* A warning: its rule, why it matters, and where that was learnt. NULL: a mistake. */
	const char *rule, *why, *see;
	/* A directory that is not there, and so cannot have what is missed; borrowed. NULL: none. */
	const char *lacks;
	bool folded; /* not to be shown to people: the same has been said of another file in it */
};

/* The mistakes, or the warnings, of one file. Zero-initialised by its owner. */
struct diags {
	const struct src_text *src; /* borrowed */
	size_t total;               /* also those that are not kept */
	size_t count, room;
	struct diag *list; /* owned */
};

/* Let go of the list, not of @d. */
void diags_fini(struct diags *d);

/*
 * A new mistake. Never NULL: beyond DIAGS_MAX, or without memory, it is only counted, and the slot is
 * a spare one. Good until the next one is added.
 */
struct diag *diag_add(struct diags *d, struct mark at, const char *path, const char *fmt, ...)
	SILL_PRINTF(4, 5);
/* What was said of the same place in a base, which other documents have too, is no second mistake. */
struct diag *diag_vadd(struct diags *d, struct mark at, const char *path, const char *fmt,
		       va_list ap) SILL_PRINTF(4, 0);
/*
 * The same about what an alias at @at stands for, which is written at @from: it names both, and it
 * is no second mistake if it was said of @from.
 */
struct diag *diag_vadd_alias(struct diags *d, struct mark at, struct mark from, const char *path,
			     const char *fmt, va_list ap) SILL_PRINTF(5, 0);
void diag_hint(struct diag *g, const char *fmt, ...) SILL_PRINTF(2, 3);
void diag_other(struct diag *g, struct mark at, const char *fmt, ...) SILL_PRINTF(3, 4);
/* The hint of @g: what a comment behind its place on the same line says, if there is one. */
void diag_hint_comment(struct diag *g, const struct src_text *src);

/* Sort by place, the file itself before its bases; the order of adding decides between equals. */
void diags_sort(struct diags *d);

/* Make it a warning. The texts are borrowed. */
void diag_warn(struct diag *g, const char *rule, const char *why, const char *see);

/* For people, without what is folded. @colour: with terminal colours. */
void diags_print(FILE *f, const struct diags *d, bool colour);

/* The same fields: an array of objects, or NULL without memory. The caller owns it. */
json_t *diags_json(const struct diags *d);

/*
 * True when @f is a terminal that wants colours (NO_COLOR and TERM=dumb are heeded), or what --color says.
 * colour_set(): "auto", "always" or "never" for the whole program; -1 for another word.
 */
bool colour_wanted(FILE *f);
int colour_set(const char *when);

#endif
