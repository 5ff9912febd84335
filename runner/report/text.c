/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - UTF-8, widths, escapes and likeness. */
#include "runner/report/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

enum { WORD_MAX = 40 }; /* longer words are not compared */

size_t utf8_next(const char *s, size_t n, uint32_t *ret_char)
{
	const unsigned char *p = (const unsigned char *)s;
	utf8proc_int32_t c;
	utf8proc_ssize_t len;

	if (n == 0)
		return 0;
	if (p[0] < 0x80) {
		*ret_char = p[0];
		return 1;
	}
	len = utf8proc_iterate(p, n < 4 ? (utf8proc_ssize_t)n : 4, &c);
	if (len <= 0)
		return 0;
	*ret_char = (uint32_t)c;
	return (size_t)len;
}

unsigned utf8_width(uint32_t c)
{
	const int width = utf8proc_charwidth((utf8proc_int32_t)c);

	return width > 0 ? (unsigned)width : 0;
}

struct range {
	uint32_t first, last;
};

static bool in_ranges(const struct range *r, size_t count, uint32_t c)
{
	for (size_t i = 0; i < count; i++) {
		if (c >= r[i].first && c <= r[i].last)
			return true;
	}
	return false;
}

bool utf8_printable(uint32_t c)
{
	static const struct range not_shown[] = {
		{ 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x2028, 0x202e },
		{ 0x2066, 0x2069 }, { 0xfff9, 0xfffb }, { 0xfffe, 0xffff },
	};

	return !in_ranges(not_shown, sizeof(not_shown) / sizeof(not_shown[0]), c);
}

/* The first character of @s as it may be shown; *ret_len is the length of the result. */
static size_t clean_one(const char *s, size_t n, char part[24], size_t *ret_len)
{
	uint32_t c = 0;
	size_t len = utf8_next(s, n, &c), take = len > 0 ? len : 1;

	*ret_len = len;
	if (len > 0 && utf8_printable(c)) {
		memcpy(part, s, len);
		return take;
	}
	*ret_len = 0;
	for (size_t i = 0; i < take; i++)
		*ret_len += (size_t)snprintf(part + *ret_len, 24 - *ret_len, "\\x%02x",
					     (unsigned char)s[i]);
	return take;
}

char *text_clean(char *dst, size_t size, const char *s, size_t n)
{
	size_t all = 0, out = 0, len;
	char part[24];
	bool cut;

	if (size == 0)
		return dst;
	for (size_t i = 0; i < n && all < size; all += len)
		i += clean_one(s + i, n - i, part, &len);
	cut = all >= size;
	for (size_t i = 0; i < n; out += len) {
		i += clean_one(s + i, n - i, part, &len);
		if (cut && out + len + 4 > size) {
			(void)snprintf(dst + out, size - out, "...");
			return dst;
		}
		memcpy(dst + out, part, len);
	}
	dst[out] = '\0';
	return dst;
}

void text_cleanse(char *s, size_t size)
{
	char old[1024];

	(void)snprintf(old, sizeof(old), "%s", s);
	(void)text_clean(s, size, old, strlen(old));
}

void text_vsay(FILE *f, const char *begin, const char *end, const char *fmt, va_list ap)
{
	char line[1024];

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	text_cleanse(line, sizeof(line));
	(void)fprintf(f, "%s%s%s", begin, line, end);
}

int text_set(char **at, const char *text, struct sill_err *e)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	if (text != NULL && copy == NULL)
		return sill_err_sys(e, ENOMEM, "'%.100s'", text);
	free(*at);
	*at = copy;
	return 0;
}

void text_say(FILE *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vsay(f, "", "\n", fmt, ap);
	va_end(ap);
}

size_t text_pass(FILE *f, const char *s, size_t n, bool all)
{
	size_t at = 0;

	while (at < n) {
		uint32_t c = 0;
		const size_t len = utf8_next(s + at, n - at, &c);

		/* The rest of a character, or of an end of a line, comes. */
		if (!all && (len == 0 ? n - at < 4 : s[at] == '\r' && at + 1 == n))
			break;
		if (s[at] == '\r' && at + 1 < n && s[at + 1] == '\n')
			at++;
		else if (len > 0 && (c == '\n' || c == '\t' || utf8_printable(c)))
			at += fwrite(s + at, 1, len, f) == len ? len : n - at;
		else
			(void)fprintf(f, "\\x%02x", (unsigned char)s[at++]);
	}
	return at;
}

void text_unit_value(FILE *f, const char *s)
{
	for (; *s != '\0'; s++) {
		const unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f) {
			(void)fprintf(f, "\\x%02x", c);
			continue;
		}
		if (c == '%')
			(void)fputc(c, f);
		else if (c == '"' || c == '\\')
			(void)fputc('\\', f);
		(void)fputc(c, f);
	}
}

void text_wrap(FILE *f, const char *s, int indent, int width)
{
	text_wrap_label(f, "", s, indent, width);
}

void text_wrap_label(FILE *f, const char *label, const char *s, int indent, int width)
{
	int used = 0;

	while (*s != '\0') {
		int word = (int)strcspn(s, " ");

		if (used > 0 && indent + used + 1 + word > width) {
			(void)fputc('\n', f);
			used = 0;
		}
		if (word > 0) {
			(void)fprintf(f, "%-*s%.*s", used == 0 ? indent : 1, label, word, s);
			label = "";
			used += (used > 0) + word;
		}
		s += word;
		s += strspn(s, " ");
	}
	(void)fputc('\n', f);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	size_t alen = strlen(a), blen = strlen(b);

	if (alen > WORD_MAX || blen > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= blen; j++)
		last[j] = before[j] = (unsigned)j;
	for (size_t i = 1; i <= alen; i++) {
		unsigned *free_row = before;

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= blen; j++) {
			unsigned same = a[i - 1] == b[j - 1] ? 0 : 1;

			now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = free_row;
	}
	return last[blen];
}

bool text_similar(const char *a, const char *b, unsigned *ret_distance)
{
	size_t shorter = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
	unsigned d;

	if (strcasecmp(a, b) == 0) {
		*ret_distance = 0;
		return true;
	}
	d = text_distance(a, b);
	if (d > 3 || (size_t)d * 3 > shorter + 1)
		return false;
	*ret_distance = d;
	return true;
}

const char *text_span(char dst[TEXT_SPAN], uint64_t seconds)
{
	static const struct {
		uint64_t seconds, below;
		const char *big, *small;
	} units[] = { { 86400, 3600, "d", "h" }, { 3600, 60, "h", "m" }, { 60, 1, "m", "s" } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (seconds < units[i].seconds)
			continue;
		(void)snprintf(dst, TEXT_SPAN, "%" PRIu64 "%s %" PRIu64 "%s",
			       seconds / units[i].seconds, units[i].big,
			       seconds % units[i].seconds / units[i].below, units[i].small);
		return dst;
	}
	(void)snprintf(dst, TEXT_SPAN, "%" PRIu64 "s", seconds);
	return dst;
}
