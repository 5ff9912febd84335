/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookalike.h - characters that are not what they look like.
 *
 * A word processor, a web page or a chat puts them into text that is copied
 * from it: a blank that is none, nothing at all, another script's letters.
 */
#ifndef RUNNER_REPORT_LOOKALIKE_H
#define RUNNER_REPORT_LOOKALIKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a character is taken for. Values are bits. */
enum look {
	LOOK_HIDDEN = 1,  /* nothing: it cannot be seen */
	LOOK_BLANK = 2,   /* a blank */
	LOOK_MARK = 4,    /* ASCII punctuation */
	LOOK_LETTER = 8,  /* an ASCII letter or digit */
	LOOK_JOINED = 16, /* lookalike_in() only: joiners that join, too */
};

struct lookalike {
	uint32_t c;
	enum look look;
	char like[4];  /* the ASCII text it is taken for; "" when hidden */
	char name[64]; /* "U+00A0 NO-BREAK SPACE" */
};

/* Is @c one of them? */
bool lookalike_find(uint32_t c, struct lookalike *ret);

/* Does @c change how the character before it is drawn? */
bool lookalike_joins(uint32_t c);

/*
 * The offset in the @n bytes of @s of the first one of the kinds @looks (bits), or @n. A joiner or a
 * variation selector behind a character that is not ASCII is part of it (emoji, Persian), and not meant.
 */
size_t lookalike_in(const char *s, size_t n, unsigned looks, struct lookalike *ret);

/* @s as it was likely meant: in ASCII, as far as one looks like it. Cut to fit. Returns @dst. */
char *lookalike_plain(char *dst, size_t size, const char *s, size_t n);

#endif
