/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - see report.h. */
#include "report.h"

#include "cpu.h"
#include "lib.h"

enum { COM1 = 0x3f8, LSR = 5, LSR_THRE = 1 << 5, FIFO = 16 };
enum { COMPLAINTS_SHOWN = 8 };

struct counts counts;

static const char *rule;
static char complaint[256];
static unsigned complaints;

/* --- the port ------------------------------------------------------------ */

static void put_bytes(const char *s, size_t n)
{
	while (n > 0) {
		/* A port that is not there reads all ones: ready. */
		while ((in8(COM1 + LSR) & LSR_THRE) == 0)
			;
		for (unsigned i = 0; i < FIFO && n > 0; i++, n--)
			out8(COM1, (uint8_t)*s++);
	}
}

/* --- formatting ---------------------------------------------------------- */

struct out {
	char *at, *end;
};

static void put(struct out *o, char c)
{
	if (o->at < o->end)
		*o->at++ = c;
}

static void put_number(struct out *o, uint64_t v, unsigned base, unsigned width, char pad)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	for (; width > n; width--)
		put(o, pad);
	while (n > 0)
		put(o, digits[--n]);
}

static void put_string(struct out *o, const char *s, unsigned width)
{
	unsigned n = 0;

	for (; s[n] != '\0'; n++)
		put(o, s[n]);
	for (; n < width; n++)
		put(o, ' ');
}

static void put_signed(struct out *o, int64_t v, unsigned width, char pad)
{
	if (v < 0)
		put(o, '-');
	put_number(o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, pad);
}

static size_t format(char *text, size_t size, const char *fmt, va_list ap)
{
	struct out o = { text, text + size - 1 };

	for (; *fmt != '\0'; fmt++) {
		unsigned width = 0;
		bool is_long = false;
		char pad;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		pad = *++fmt == '0' ? '0' : ' ';
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (unsigned)(*fmt - '0');
		for (; *fmt == 'l'; fmt++)
			is_long = true;
		switch (*fmt) {
		case 'u':
			put_number(&o, is_long ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), 10,
				   width, pad);
			break;
		case 'x':
			put_number(&o, is_long ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), 16,
				   width, pad);
			break;
		case 'd':
			put_signed(&o, is_long ? va_arg(ap, int64_t) : va_arg(ap, int), width, pad);
			break;
		case 's':
			put_string(&o, va_arg(ap, const char *), width);
			break;
		case 'c':
			put(&o, (char)va_arg(ap, int));
			break;
		default:
			put(&o, *fmt);
			break;
		}
	}
	*o.at = '\0';
	return (size_t)(o.at - text);
}

void say(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = format(text, sizeof(text) - 2, fmt, ap);
	va_end(ap);
	text[n++] = '\r';
	text[n++] = '\n';
	put_bytes(text, n);
}

/* --- rules --------------------------------------------------------------- */

void rule_begin(const char *name)
{
	if (rule != NULL)
		(void)rule_end();
	rule = name;
	complaints = 0;
}

void rule_bad(const char *fmt, ...)
{
	char text[sizeof(complaint)];
	va_list ap;

	if (++complaints > COMPLAINTS_SHOWN)
		return;
	va_start(ap, fmt);
	(void)format(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (complaints == 1)
		memcpy(complaint, text, sizeof(text));
	else
		say("# %s: %s", rule, text);
}

bool rule_end(void)
{
	if (complaints == 0) {
		counts.passed++;
		say("ok %s", rule);
	} else {
		counts.failed++;
		if (complaints > 1)
			say("not ok %s: %s (and %u more)", rule, complaint, complaints - 1);
		else
			say("not ok %s: %s", rule, complaint);
	}
	rule = NULL;
	return complaints == 0;
}

void rule_skip(const char *name, const char *why, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, why);
	(void)format(text, sizeof(text), why, ap);
	va_end(ap);
	counts.skipped++;
	say("skip %s: %s", name, text);
}
