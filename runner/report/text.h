/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - text from outside, made fit to be shown.
 *
 * What a manifest, a path or the host says may hold anything, also what a
 * terminal takes for a command. Nothing of it is printed as it is.
 */
#ifndef RUNNER_REPORT_TEXT_H
#define RUNNER_REPORT_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sill/error.h"

enum { TEXT_SHORT = 64 };

/*
 * Decode one UTF-8 character at @s, of @n bytes. Returns its length, or 0 when
 * the bytes are not UTF-8 (overlong, surrogate, above U+10FFFF, cut).
 */
size_t utf8_next(const char *s, size_t n, uint32_t *ret_char);

/* Columns a terminal uses for @c: 0, 1 or 2. Control characters: 0. */
unsigned utf8_width(uint32_t c);

/* A character that may be shown: no control character, no direction override. */
bool utf8_printable(uint32_t c);

/*
 * @n bytes of @s, printable, what is not escaped as \xNN, cut with "..." so
 * that it fits @size. Returns @dst.
 */
char *text_clean(char *dst, size_t size, const char *s, size_t n);

/* The same with what is in @s, of @size bytes, already. */
void text_cleanse(char *s, size_t size);
/* A copy of @text, which may be NULL, in the place of the owned *@at. 0, or -1 and @e: no memory, and *@at is as it was. */
int text_set(char **at, const char *text, struct sill_err *e);
/*
 * A guest's bytes, fit for a terminal: lines, tabs and what may be shown stay, all else is escaped. How many are done
 * with: fewer than @n only without @all, where half a character, or half of a line's end, is at the end.
 */
size_t text_pass(FILE *f, const char *s, size_t n, bool all);
/*
 * Any path as it stands in a unit's assignment, whose double quotes the caller writes: systemd.syntax(7), specifiers in
 * systemd.unit(5). Control characters are escaped: a newline would end the line.
 */
void text_unit_value(FILE *f, const char *s);
/* A line on @f, made printable as a whole, with a newline: for all that is not a mistake of a manifest. */
void text_say(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same between @begin and @end, which are printed as they are. */
void text_vsay(FILE *f, const char *begin, const char *end, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

/* Print @s broken into lines of at most @width columns, each after @indent blanks. */
void text_wrap(FILE *f, const char *s, int indent, int width);
/* The same; @label stands in the first line's indentation, which it fits in. */
void text_wrap_label(FILE *f, const char *label, const char *s, int indent, int width);

/* A time as "3d 4h", "5m 2s", "7s". Returns @dst. */
enum { TEXT_SPAN = 32 };
const char *text_span(char dst[TEXT_SPAN], uint64_t seconds);

/* The number of edits (insert, delete, change, swap of neighbours) from @a to @b; case counts. */
unsigned text_distance(const char *a, const char *b);

/* How near @a must be to @b to be taken for a slip of the finger. */
bool text_similar(const char *a, const char *b, unsigned *ret_distance);

#endif
