/* SPDX-License-Identifier: Apache-2.0 */
/* lib.c - see lib.h. Output goes to COM1, polled. */
#include "lib.h"

#include "cpu.h"

enum { UART_THR = 0x3f8, UART_LSR = 0x3fd, LSR_THR_EMPTY = 1 << 5 };

static const char *cmdline = "";

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	if (d <= s)
		return memcpy(dst, src, n);
	while (n-- > 0) {
		d[n] = s[n];
		barrier(); /* or the compiler makes this loop a call of memmove */
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;

	for (size_t i = 0; i < n; i++)
		if (p[i] != q[i])
			return p[i] < q[i] ? -1 : 1;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0') {
		n++;
		barrier();
	}
	return n;
}

struct out {
	char *p;
	size_t room; /* with the NUL */
};

static void put(struct out *o, char c)
{
	if (o->room > 1) {
		*o->p++ = c;
		o->room--;
	}
}

static void put_number(struct out *o, uint64_t v, unsigned base, unsigned width, char pad)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	while (width > n) {
		put(o, pad);
		width--;
	}
	while (n > 0)
		put(o, digits[--n]);
}

/* One conversion; @fmt is behind the '%'. Returns what follows it. */
static const char *put_conversion(struct out *o, const char *fmt, va_list *ap)
{
	char pad = *fmt == '0' ? '0' : ' ';
	unsigned width = 0, most = ~0u;
	bool is_long = false;
	const char *s;
	int64_t d;

	while (*fmt >= '0' && *fmt <= '9')
		width = 10 * width + (unsigned)(*fmt++ - '0');
	if (*fmt == '.' && *++fmt == '*') {
		most = (unsigned)va_arg(*ap, int);
		fmt++;
	} else if (fmt[-1] == '.') {
		for (most = 0; *fmt >= '0' && *fmt <= '9'; fmt++)
			most = 10 * most + (unsigned)(*fmt - '0');
	}
	while (*fmt == 'l') {
		is_long = true;
		fmt++;
	}
	switch (*fmt) {
	case 'c':
		put(o, (char)va_arg(*ap, int));
		break;
	case 's':
		for (s = va_arg(*ap, const char *); most > 0 && *s != '\0'; s++, most--)
			put(o, *s);
		break;
	case 'd':
		d = is_long ? va_arg(*ap, int64_t) : va_arg(*ap, int);
		if (d < 0)
			put(o, '-');
		put_number(o, d < 0 ? -(uint64_t)d : (uint64_t)d, 10, width, pad);
		break;
	case 'u':
	case 'x':
		put_number(o, is_long ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned),
			   *fmt == 'x' ? 16 : 10, width, pad);
		break;
	default:
		put(o, *fmt);
		break;
	}
	return fmt + 1;
}

void vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { buf, size };
	va_list args;

	va_copy(args, ap);
	while (*fmt != '\0') {
		if (*fmt == '%')
			fmt = put_conversion(&o, fmt + 1, &args);
		else
			put(&o, *fmt++);
	}
	va_end(args);
	*o.p = '\0';
}

void print(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vformat(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (const char *p = line; *p != '\0'; p++) {
		while ((inb(UART_LSR) & LSR_THR_EMPTY) == 0)
			relax();
		outb(UART_THR, (uint8_t)*p);
	}
}

void opt_init(const char *text)
{
	cmdline = text;
}

/* The value of option @name, or NULL. It ends at a blank or at the end of the line. */
static const char *opt_find(const char *name)
{
	size_t n = strlen(name);
	const char *p = cmdline;

	while (*p != '\0') {
		while (*p == ' ')
			p++;
		if (memcmp(p, name, n) == 0 && p[n] == '=')
			return p + n + 1;
		while (*p != ' ' && *p != '\0')
			p++;
	}
	return NULL;
}

static bool word_ends(char c)
{
	return c == '\0' || c == ' ' || c == '\n';
}

bool opt_has(const char *name, const char *item)
{
	const char *v = opt_find(name);
	size_t n = strlen(item);

	while (v != NULL && !word_ends(*v)) {
		if (memcmp(v, item, n) == 0 && (word_ends(v[n]) || v[n] == ','))
			return true;
		while (*v != ',' && !word_ends(*v))
			v++;
		if (*v == ',')
			v++;
	}
	return false;
}

bool opt_is(const char *name, const char *value)
{
	const char *v = opt_find(name);
	size_t n = strlen(value);

	return v != NULL && memcmp(v, value, n) == 0 && word_ends(v[n]);
}

bool opt_given(const char *name)
{
	return opt_find(name) != NULL;
}

uint64_t opt_number(const char *name, uint64_t fallback)
{
	const char *v = opt_find(name);
	uint64_t n = 0;

	if (v == NULL)
		return fallback;
	for (; *v >= '0' && *v <= '9'; v++)
		n = 10 * n + (uint64_t)(*v - '0');
	return n;
}

uint64_t random_next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
