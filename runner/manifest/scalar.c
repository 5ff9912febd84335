/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.c - read and write numbers, sizes and UUIDs. */
#include "runner/manifest/scalar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char units[] = "KMGT";

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* The number at the beginning of @s; *ret_rest is what follows it. */
static enum scalar_result number(const char *s, uint64_t *ret_v, const char **ret_rest)
{
	unsigned base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
	const char *p = base == 16 ? s + 2 : s;
	bool big = false;
	uint64_t v = 0;

	if (digit(*p) >= (int)base)
		return SCALAR_NOT;
	for (; digit(*p) < (int)base; p++) {
		big |= __builtin_mul_overflow(v, (uint64_t)base, &v);
		big |= __builtin_add_overflow(v, (uint64_t)digit(*p), &v);
	}
	*ret_rest = p;
	*ret_v = v;
	if (big)
		return SCALAR_BIG;
	return base == 10 && s[0] == '0' && p - s > 1 ? SCALAR_OCTAL : SCALAR_OK;
}

enum scalar_result scalar_uint(const char *s, uint64_t *ret_v)
{
	enum scalar_result r;
	const char *rest;
	uint64_t v;

	r = number(s, &v, &rest);
	if (r == SCALAR_NOT || *rest != '\0')
		return SCALAR_NOT;
	if (r == SCALAR_OK)
		*ret_v = v;
	return r;
}

enum scalar_result scalar_size(const char *s, uint64_t *ret_v)
{
	enum scalar_result r;
	const char *rest, *unit;
	unsigned shift;
	uint64_t v;

	r = number(s, &v, &rest);
	if (r == SCALAR_NOT)
		return r;
	if (*rest == '\0')
		return r == SCALAR_OK ? SCALAR_NO_UNIT : r;
	unit = strchr(units, *rest);
	if (unit == NULL || (rest[1] != '\0' && strcmp(rest + 1, "iB") != 0))
		return SCALAR_UNIT;
	if (r != SCALAR_OK)
		return r;
	shift = 10 * (unsigned)(unit - units + 1);
	if (v > UINT64_MAX >> shift)
		return SCALAR_BIG;
	*ret_v = v << shift;
	return SCALAR_OK;
}

enum scalar_result scalar_span(const char *s, uint64_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} spans[] = { { "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 }, { "h", 3600000 } };
	const size_t digits = strspn(s, "0123456789");
	enum scalar_result r;
	const char *rest;
	uint64_t v;

	r = digits > 0 && (s[0] != '0' || (s[1] | 0x20) != 'x') ? number(s, &v, &rest) : SCALAR_NOT;
	if (r != SCALAR_OK)
		return r;
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		if (strcmp(rest, spans[i].unit) != 0)
			continue;
		if (v > (uint64_t)SCALAR_SPAN_MAX_S * 1000 / spans[i].ms)
			return SCALAR_BIG;
		*ret_ms = v * spans[i].ms;
		return *rest == '\0' ? SCALAR_NO_UNIT : SCALAR_OK;
	}
	return SCALAR_UNIT;
}

char *scalar_size_text(char *dst, size_t size, uint64_t v)
{
	int u = -1;

	while (v != 0 && v % 1024 == 0 && u < 3) {
		v /= 1024;
		u++;
	}
	if (u < 0)
		(void)snprintf(dst, size, "%" PRIu64 " bytes", v);
	else
		(void)snprintf(dst, size, "%" PRIu64 "%c", v, units[u]);
	return dst;
}

char *scalar_text(char *dst, size_t size, const struct key *row, uint64_t v)
{
	if (row->kind == KIND_BOOL)
		(void)snprintf(dst, size, "%s", v != 0 ? "on" : "off");
	else if (row->kind == KIND_SIZE && row->or_off && v == 0)
		(void)snprintf(dst, size, "off");
	else if (row->kind == KIND_SIZE)
		(void)scalar_size_text(dst, size, v);
	else
		(void)snprintf(dst, size, "%" PRIu64, v);
	return dst;
}

bool scalar_size_guess(const char *s, char *ret, size_t size)
{
	uint64_t whole, thousandths = 0, scale = 1000, bytes;
	const char *p, *unit = NULL;

	if (number(s, &whole, &p) == SCALAR_NOT || whole > 1 << 20)
		return false;
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++) {
			scale /= 10;
			thousandths += scale * (uint64_t)(*p - '0');
		}
	}
	p += strspn(p, " ");
	for (const char *u = units; *u != '\0' && *p != '\0'; u++) {
		if ((*p & ~0x20) == *u)
			unit = u;
	}
	/* k, kb, kib, K, KB, Kib ... */
	if (unit == NULL || strlen(p) > 3 || strspn(p + 1, "iIbB") != strlen(p + 1))
		return false;
	bytes = (whole << (10 * (unit - units + 1))) +
		((thousandths << (10 * (unit - units + 1))) / 1000);
	if (bytes == 0 || bytes % 1024 != 0)
		return false;
	(void)scalar_size_text(ret, size, bytes);
	return true;
}

void scalar_unit_hint(const struct key *row, const char *s, char *ret, size_t size)
{
	char text[2][32] = { "", "" }, low[32], high[32];
	unsigned fits = 0;
	uint64_t v;

	for (size_t i = 0; i < 2 && strlen(s) < sizeof(text[0]) - 1; i++) {
		(void)snprintf(text[fits], sizeof(text[0]), "%s%c", s, "MG"[i]);
		fits += scalar_size(text[fits], &v) == SCALAR_OK && v >= row->min && v <= row->max;
	}
	if (fits > 0)
		(void)snprintf(ret, size, "write %s%s%s (MiB and GiB are the same)", text[0],
			       fits > 1 ? " or " : "", fits > 1 ? text[1] : "");
	else
		(void)snprintf(ret, size, "%s%s to %s, as in %s", row->or_off ? "off, or " : "",
			       scalar_size_text(low, sizeof(low), row->min),
			       scalar_size_text(high, sizeof(high), row->max), low);
}

static const char *skip_digits(const char *s, const char *digits)
{
	return s + strspn(s, digits);
}

/* 10, -1.5, .5, 1e3, 0x1f, 0o17, .inf, .nan */
static bool is_number(const char *s)
{
	static const char *const words[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN" };
	static const char ten[] = "0123456789";
	const char *p = s, *whole, *part;

	if (strncmp(s, "0x", 2) == 0 || strncmp(s, "0o", 2) == 0) {
		p = skip_digits(s + 2, s[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567");
		return p > s + 2 && *p == '\0';
	}
	p += *p == '+' || *p == '-';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(i < 3 ? p : s, words[i]) == 0)
			return true;
	}
	whole = p;
	p = part = skip_digits(p, ten);
	if (*p == '.')
		p = skip_digits(p + 1, ten);
	/* A digit on one side of the point. */
	if (part == whole && p <= part + 1)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '+' || *p == '-';
		part = p;
		p = skip_digits(p, ten);
		if (p == part)
			return false;
	}
	return *p == '\0';
}

const char *scalar_reads_as(const char *s)
{
	static const char *const words[] = { "true", "True", "TRUE", "false", "False", "FALSE" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(s, words[i]) == 0)
			return "true or false";
	}
	return is_number(s) ? "a number" : NULL;
}
