/* SPDX-License-Identifier: Apache-2.0 */
/* clean.c - make a message printable, in place. */
#include "base/clean.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 512, ESCAPE = 4 };

/* How long the character that begins with @c should be; 0: none begins so. */
static size_t length_of(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static bool is_shown(uint32_t v, size_t len)
{
	static const uint32_t least[] = { 0, 0x20, 0xa0, 0x800, 0x10000 };

	if (v < least[len] || v == 0x7f || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return false;
	return !(v >= 0x2028 && v <= 0x202e) && !(v >= 0x2066 && v <= 0x2069) &&
	       !(v >= 0xfff9 && v <= 0xfffb) && v != 0xfffe && v != 0xffff;
}

/* The length of the character at @p if it may be shown; else 0. Stops at the final NUL. */
static size_t shown(const unsigned char *p)
{
	const size_t len = length_of(p[0]);
	uint32_t v = len > 1 ? p[0] & (0x7fu >> len) : p[0];

	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	return len > 0 && is_shown(v, len) ? len : 0;
}

/* Is @p the beginning of a character that ends with the text? */
static bool is_cut(const unsigned char *p)
{
	const size_t len = length_of(p[0]), there = strlen((const char *)p);

	for (size_t i = 1; i < there; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return false;
	}
	return there < len;
}

void clean_text(char *s, size_t size)
{
	const unsigned char *p = (const unsigned char *)s;
	const bool full = strlen(s) + 1 >= size;
	char out[LONGEST];
	size_t n = 0, len;

	if (size > sizeof(out))
		size = sizeof(out);
	for (; *p != '\0'; p += len > 0 ? len : 1) {
		len = shown(p);
		if (len == 0 && full && is_cut(p))
			break;
		if (n + (len > 0 ? len : ESCAPE) >= size)
			break;
		if (len > 0)
			memcpy(out + n, p, len);
		else
			(void)snprintf(out + n, ESCAPE + 1, "\\x%02x", p[0]);
		n += len > 0 ? len : ESCAPE;
	}
	memcpy(s, out, n);
	s[n] = '\0';
}
