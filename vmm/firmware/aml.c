/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml.c - see aml.h. ACPI 6.5: 20.2 is the grammar, 6.4 the resource data.
 *
 * Everything with a package length is written without it; the offset is kept
 * on the stack of open blocks, and aml_close() moves the content up by the 1-4
 * bytes the length takes. That gives the shortest encoding, the one iasl
 * makes, so that tests can compare byte by byte.
 */
#include "firmware/aml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXT = 0x5b,
	OP_LOCAL0 = 0x60,
	OP_ARG0 = 0x68,
	OP_CREATE_DWORD_FIELD = 0x8a,
	OP_CREATE_QWORD_FIELD = 0x8f,
	OP_IF = 0xa0,
	OP_ELSE = 0xa1,
	OP_WHILE = 0xa2,
	OP_ONES = 0xff,
};

/* After OP_EXT. */
enum {
	EXT_MUTEX = 0x01,
	EXT_ACQUIRE = 0x23,
	EXT_RELEASE = 0x27,
	EXT_REGION = 0x80,
	EXT_FIELD = 0x81,
	EXT_DEVICE = 0x82,
};

#define PATH_MAX_LEN 64u
#define CODE_MAX_LEN 160u
#define MAX_SEGMENTS 8u

/* The operators aml_code() knows; a second byte of 0 means "none", Zero is told apart. */
static const struct {
	const char *word;
	uint8_t op, second;
} operators[] = {
	{ "Zero", 0x00, 0 },
	{ "One", 0x01, 0 },
	{ "Ones", 0xff, 0 },
	{ "Store", 0x70, 0 },
	{ "RefOf", 0x71, 0 },
	{ "Add", 0x72, 0 },
	{ "Subtract", 0x74, 0 },
	{ "Increment", 0x75, 0 },
	{ "Decrement", 0x76, 0 },
	{ "Multiply", 0x77, 0 },
	{ "ShiftLeft", 0x79, 0 },
	{ "ShiftRight", 0x7a, 0 },
	{ "And", 0x7b, 0 },
	{ "Or", 0x7d, 0 },
	{ "XOr", 0x7f, 0 },
	{ "Not", 0x80, 0 },
	{ "DerefOf", 0x83, 0 },
	{ "Notify", 0x86, 0 },
	{ "SizeOf", 0x87, 0 },
	{ "Index", 0x88, 0 },
	{ "LAnd", 0x90, 0 },
	{ "LOr", 0x91, 0 },
	{ "LNot", 0x92, 0 },
	{ "LEqual", 0x93, 0 },
	{ "LGreater", 0x94, 0 },
	{ "LLess", 0x95, 0 },
	{ "LNotEqual", 0x92, 0x93 },
	{ "LLessEqual", 0x92, 0x94 },
	{ "LGreaterEqual", 0x92, 0x95 },
	{ "Return", 0xa4, 0 },
	{ "Break", 0xa5, 0 },
};

static void fail(struct aml *a)
{
	a->failed = true;
}

static void put8(struct aml *a, unsigned v)
{
	if (!a->failed)
		(void)buf_add8(a->out, (uint8_t)v);
}

static void put16(struct aml *a, unsigned v)
{
	if (!a->failed)
		(void)buf_add16(a->out, (uint16_t)v);
}

static void put32(struct aml *a, uint32_t v)
{
	if (!a->failed)
		(void)buf_add32(a->out, v);
}

static void put64(struct aml *a, uint64_t v)
{
	if (!a->failed)
		(void)buf_add64(a->out, v);
}

static void put(struct aml *a, const void *p, size_t n)
{
	if (!a->failed)
		(void)buf_add(a->out, p, n);
}

void aml_init(struct aml *a, struct buf *out)
{
	*a = (struct aml){ .out = out };
}

int aml_end(const struct aml *a)
{
	return a->failed || a->out->failed || a->depth != 0 ? -1 : 0;
}

/*
 * The one place that knows how a length is written (20.2.4): the top two bits
 * of the first byte count the bytes that follow; with any, the first holds
 * only four bits. Returns the bytes used, 0 when @v is too large.
 */
static size_t length_write(uint8_t ret[4], size_t v)
{
	size_t more = v <= 0x3f ? 0 : v <= 0xfff ? 1 : v <= 0xfffff ? 2 : 3;

	if (v > 0xfffffff)
		return 0;
	ret[0] = (uint8_t)(more == 0 ? v : (more << 6 | (v & 0x0f)));
	for (size_t i = 1; i <= more; i++)
		ret[i] = (uint8_t)(v >> (8 * i - 4));
	return more + 1;
}

/* The length of a package of @n content bytes, which counts its own bytes too. */
static size_t package_length_write(uint8_t ret[4], size_t n)
{
	size_t self = n + 1 <= 0x3f ? 1 : n + 2 <= 0xfff ? 2 : n + 3 <= 0xfffff ? 3 : 4;

	return length_write(ret, n + self);
}

static void open_block(struct aml *a, enum aml_block block, unsigned want)
{
	if (a->depth == AML_DEPTH)
		fail(a);
	if (a->failed)
		return;
	a->open[a->depth].off = a->out->size;
	a->open[a->depth].block = block;
	a->open[a->depth].count = 0;
	a->open[a->depth].want = want;
	a->depth++;
}

/* An element of a package was written, if one is open. */
static void count_element(struct aml *a)
{
	if (a->depth != 0)
		a->open[a->depth - 1].count++;
}

static size_t int_write(uint8_t ret[9], uint64_t v)
{
	size_t n;

	if (v <= 1 || v == UINT64_MAX) {
		ret[0] = (uint8_t)v;
		return 1;
	}
	n = v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;
	ret[0] = n == 1 ? OP_BYTE : n == 2 ? OP_WORD : n == 4 ? OP_DWORD : OP_QWORD;
	memcpy(ret + 1, &v, n); /* little-endian, see base/le.h */
	return 1 + n;
}

void aml_close(struct aml *a)
{
	uint8_t head[4 + 9];
	uint8_t size[9];
	size_t off, len, size_len = 0;

	if (a->depth == 0)
		fail(a);
	if (a->failed)
		return;

	a->depth--;
	off = a->open[a->depth].off;
	if (a->open[a->depth].block == AML_BLOCK_PACKAGE &&
	    a->open[a->depth].count != a->open[a->depth].want)
		fail(a);
	if (a->open[a->depth].block == AML_BLOCK_RESOURCES)
		put16(a, 0x0079); /* end tag, no checksum */
	if (a->failed || a->out->failed)
		return;

	len = a->out->size - off;
	if (a->open[a->depth].block == AML_BLOCK_BUFFER ||
	    a->open[a->depth].block == AML_BLOCK_RESOURCES)
		size_len = int_write(size, len);
	len = package_length_write(head, size_len + len);
	if (len == 0) {
		fail(a);
		return;
	}
	memcpy(head + len, size, size_len);
	buf_insert(a->out, off, head, len + size_len);
}

static bool is_lead(char c)
{
	return (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c)
{
	return is_lead(c) || (c >= '0' && c <= '9');
}

/* One name segment of 1-4 characters; returns what follows it, NULL when it is none. */
static const char *segment(const char *s, char ret[4])
{
	unsigned n = 0;

	if (!is_lead(*s))
		return NULL;
	memset(ret, '_', 4);
	while (is_name(*s)) {
		if (n == 4)
			return NULL;
		ret[n++] = *s++;
	}
	return s;
}

/* NameString, 20.2.2. */
static void name_string(struct aml *a, const char *path)
{
	char seg[MAX_SEGMENTS][4];
	unsigned n = 0;
	const char *s = path;

	if (*s == '\\')
		put8(a, (uint8_t)*s++);
	else
		while (*s == '^')
			put8(a, (uint8_t)*s++);

	while (*s != '\0') {
		if (n == MAX_SEGMENTS || (s = segment(s, seg[n])) == NULL) {
			fail(a);
			return;
		}
		n++;
		if (*s == '.' && s[1] != '\0')
			s++;
		else if (*s != '\0') {
			fail(a);
			return;
		}
	}

	if (n == 0) {
		put8(a, 0); /* NullName: the root, or a parent, itself */
	} else if (n == 2) {
		put8(a, OP_DUAL_NAME);
	} else if (n > 2) {
		put8(a, OP_MULTI_NAME);
		put8(a, n);
	}
	put(a, seg, 4 * (size_t)n);
}

static void name_format(struct aml *a, const char *fmt, va_list ap) PRINTF(2, 0);

static void name_format(struct aml *a, const char *fmt, va_list ap)
{
	char path[PATH_MAX_LEN];
	int n = vsnprintf(path, sizeof(path), fmt, ap);

	if (n < 0 || (size_t)n >= sizeof(path))
		fail(a);
	else
		name_string(a, path);
}

void aml_scope(struct aml *a, const char *path, ...)
{
	va_list ap;

	put8(a, OP_SCOPE);
	open_block(a, AML_BLOCK_PLAIN, 0);
	va_start(ap, path);
	name_format(a, path, ap);
	va_end(ap);
}

void aml_device(struct aml *a, const char *path, ...)
{
	va_list ap;

	put8(a, OP_EXT);
	put8(a, EXT_DEVICE);
	open_block(a, AML_BLOCK_PLAIN, 0);
	va_start(ap, path);
	name_format(a, path, ap);
	va_end(ap);
}

void aml_method(struct aml *a, const char *path, unsigned args, enum aml_method_kind kind)
{
	put8(a, OP_METHOD);
	open_block(a, AML_BLOCK_PLAIN, 0);
	name_string(a, path);
	if (args > 7)
		fail(a);
	put8(a, args | (kind == AML_SERIALIZED ? 0x08u : 0));
}

static void name(struct aml *a, const char *path)
{
	put8(a, OP_NAME);
	name_string(a, path);
}

void aml_int(struct aml *a, uint64_t v)
{
	uint8_t p[9];

	put(a, p, int_write(p, v));
	count_element(a);
}

void aml_str(struct aml *a, const char *s)
{
	for (const char *c = s; *c != '\0'; c++)
		if ((unsigned char)*c >= 0x80)
			fail(a); /* AsciiChar, 20.2.3 */
	put8(a, OP_STRING);
	put(a, s, strlen(s) + 1);
	count_element(a);
}

void aml_bytes(struct aml *a, const void *p, size_t n)
{
	put8(a, OP_BUFFER);
	open_block(a, AML_BLOCK_BUFFER, 0);
	put(a, p, n);
	aml_close(a);
	count_element(a);
}

void aml_package(struct aml *a, unsigned n)
{
	if (n > 255)
		fail(a); /* a VarPackage would be due: Windows has trouble with those */
	count_element(a);
	put8(a, OP_PACKAGE);
	open_block(a, AML_BLOCK_PACKAGE, n);
	put8(a, n);
}

void aml_name_int(struct aml *a, const char *path, uint64_t v)
{
	name(a, path);
	aml_int(a, v);
}

void aml_name_str(struct aml *a, const char *path, const char *s)
{
	name(a, path);
	aml_str(a, s);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void aml_name_eisa(struct aml *a, const char *path, const char *id)
{
	uint32_t v = 0;

	if (strlen(id) != 7) {
		fail(a);
		return;
	}
	for (int i = 0; i < 3; i++) {
		if (id[i] < 'A' || id[i] > 'Z') {
			fail(a);
			return;
		}
		v = v << 5 | (uint32_t)(id[i] - '@');
	}
	for (int i = 3; i < 7; i++) {
		int d = hex_digit(id[i]);

		if (d < 0) {
			fail(a);
			return;
		}
		v = v << 4 | (uint32_t)d;
	}
	name(a, path);
	put8(a, OP_DWORD);
	put32(a, __builtin_bswap32(v));
}

void aml_name_bytes(struct aml *a, const char *path, const void *p, size_t n)
{
	name(a, path);
	aml_bytes(a, p, n);
}

void aml_name_package(struct aml *a, const char *path, unsigned n)
{
	name(a, path);
	aml_package(a, n);
}

static bool number_word(struct aml *a, const char *w)
{
	char *end;
	uint64_t v;

	if (*w < '0' || *w > '9')
		return false;
	errno = 0;
	v = strtoull(w, &end, w[0] == '0' && w[1] == 'x' ? 16 : 10);
	if (errno != 0 || *end != '\0')
		fail(a);
	aml_int(a, v);
	return true;
}

static bool variable_word(struct aml *a, const char *w)
{
	size_t n = strlen(w);

	if (n == 6 && strncmp(w, "Local", 5) == 0 && w[5] >= '0' && w[5] <= '7')
		put8(a, OP_LOCAL0 + (unsigned)(w[5] - '0'));
	else if (n == 4 && strncmp(w, "Arg", 3) == 0 && w[3] >= '0' && w[3] <= '6')
		put8(a, OP_ARG0 + (unsigned)(w[3] - '0'));
	else
		return false;
	return true;
}

static bool operator_word(struct aml *a, const char *w)
{
	for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
		if (strcmp(w, operators[i].word) != 0)
			continue;
		put8(a, operators[i].op);
		if (operators[i].second != 0)
			put8(a, operators[i].second);
		return true;
	}
	return false;
}

static void word(struct aml *a, const char *w)
{
	if (strcmp(w, "-") == 0)
		put8(a, 0); /* no target: NullName */
	else if (!number_word(a, w) && !variable_word(a, w) && !operator_word(a, w))
		name_string(a, w);
}

static void code_format(struct aml *a, const char *fmt, va_list ap) PRINTF(2, 0);

static void code_format(struct aml *a, const char *fmt, va_list ap)
{
	char text[CODE_MAX_LEN];
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	char *w = text;

	if (n <= 0 || (size_t)n >= sizeof(text)) {
		fail(a);
		return;
	}
	while (w != NULL) {
		char *next = strchr(w, ' ');

		if (next != NULL)
			*next++ = '\0';
		if (*w == '\0')
			fail(a);
		else
			word(a, w);
		w = next;
	}
}

void aml_code(struct aml *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code_format(a, fmt, ap);
	va_end(ap);
}

void aml_if(struct aml *a, const char *fmt, ...)
{
	va_list ap;

	put8(a, OP_IF);
	open_block(a, AML_BLOCK_PLAIN, 0);
	va_start(ap, fmt);
	code_format(a, fmt, ap);
	va_end(ap);
}

void aml_else(struct aml *a)
{
	put8(a, OP_ELSE);
	open_block(a, AML_BLOCK_PLAIN, 0);
}

void aml_while(struct aml *a, const char *fmt, ...)
{
	va_list ap;

	put8(a, OP_WHILE);
	open_block(a, AML_BLOCK_PLAIN, 0);
	va_start(ap, fmt);
	code_format(a, fmt, ap);
	va_end(ap);
}

void aml_mutex(struct aml *a, const char *path)
{
	put8(a, OP_EXT);
	put8(a, EXT_MUTEX);
	name_string(a, path);
	put8(a, 0); /* sync level */
}

void aml_acquire(struct aml *a, const char *path)
{
	put8(a, OP_EXT);
	put8(a, EXT_ACQUIRE);
	name_string(a, path);
	put16(a, 0xffff);
}

void aml_release(struct aml *a, const char *path)
{
	put8(a, OP_EXT);
	put8(a, EXT_RELEASE);
	name_string(a, path);
}

static void create_field(struct aml *a, unsigned op, const char *source, unsigned off,
			 const char *field)
{
	put8(a, op);
	word(a, source);
	aml_int(a, off);
	name_string(a, field);
}

void aml_dword_field(struct aml *a, const char *source, unsigned off, const char *field)
{
	create_field(a, OP_CREATE_DWORD_FIELD, source, off, field);
}

void aml_qword_field(struct aml *a, const char *source, unsigned off, const char *field)
{
	create_field(a, OP_CREATE_QWORD_FIELD, source, off, field);
}

void aml_region(struct aml *a, const char *path, enum aml_space space, uint64_t base, uint64_t len)
{
	put8(a, OP_EXT);
	put8(a, EXT_REGION);
	name_string(a, path);
	put8(a, space);
	aml_int(a, base);
	aml_int(a, len);
}

void aml_field(struct aml *a, const char *region, enum aml_access access, enum aml_update update)
{
	put8(a, OP_EXT);
	put8(a, EXT_FIELD);
	open_block(a, AML_BLOCK_PLAIN, 0);
	name_string(a, region);
	put8(a, (unsigned)access | (unsigned)update << 5); /* bit 4 clear: NoLock */
}

static void field_length(struct aml *a, unsigned bits)
{
	uint8_t p[4];
	size_t n = length_write(p, bits);

	if (n == 0)
		fail(a);
	put(a, p, n);
}

void aml_field_bits(struct aml *a, const char *field, unsigned bits)
{
	char seg[4];
	const char *end = segment(field, seg);

	if (end == NULL || *end != '\0')
		fail(a);
	else
		put(a, seg, sizeof(seg));
	field_length(a, bits);
}

void aml_field_skip(struct aml *a, unsigned bits)
{
	put8(a, 0);
	field_length(a, bits);
}

void aml_resources(struct aml *a, const char *path)
{
	name(a, path);
	put8(a, OP_BUFFER);
	open_block(a, AML_BLOCK_RESOURCES, 0);
}

void aml_crs(struct aml *a)
{
	aml_resources(a, "_CRS");
}

void aml_io(struct aml *a, uint16_t base, uint8_t len)
{
	put8(a, 0x47);
	put8(a, 1); /* decodes 16 bits */
	put16(a, base);
	put16(a, base);
	put8(a, 1); /* alignment, without meaning for a fixed range */
	put8(a, len);
}

void aml_irq(struct aml *a, unsigned irq)
{
	if (irq > 15) {
		fail(a);
		return;
	}
	put8(a, 0x22);
	put16(a, 1u << irq);
}

void aml_interrupt(struct aml *a, unsigned flags, uint32_t gsi)
{
	put8(a, 0x89);
	put16(a, 6);
	put8(a, flags | 0x01u); /* consumer */
	put8(a, 1);
	put32(a, gsi);
}

void aml_memory32(struct aml *a, bool writable, uint32_t base, uint32_t len)
{
	put8(a, 0x86);
	put16(a, 9);
	put8(a, writable ? 1 : 0);
	put32(a, base);
	put32(a, len);
}

enum space_type { SPACE_MEMORY, SPACE_IO, SPACE_BUS };

#define SPACE_FIXED      0x0cu /* minimum and maximum fixed, positive decode, producer */
#define SPACE_IO_ENTIRE  0x03u /* ISA and non-ISA addresses */
#define SPACE_MEM_WRITE  0x01u
#define SPACE_MEM_CACHED 0x02u

static void word_space(struct aml *a, enum space_type type, unsigned flags, uint32_t base,
		       uint32_t len)
{
	if (len == 0 || len > 0xffff || base + len > 0x10000)
		fail(a);
	put8(a, 0x88);
	put16(a, 13);
	put8(a, type);
	put8(a, SPACE_FIXED);
	put8(a, flags);
	put16(a, 0);
	put16(a, base);
	put16(a, base + len - 1);
	put16(a, 0);
	put16(a, len);
}

void aml_bus_range(struct aml *a, uint16_t first, uint16_t count)
{
	word_space(a, SPACE_BUS, 0, first, count);
}

void aml_word_io(struct aml *a, uint16_t base, uint32_t len)
{
	word_space(a, SPACE_IO, SPACE_IO_ENTIRE, base, len);
}

void aml_dword_memory(struct aml *a, bool cacheable, uint32_t base, uint32_t len)
{
	if (len == 0 || base > UINT32_MAX - (len - 1))
		fail(a);
	put8(a, 0x87);
	put16(a, 23);
	put8(a, SPACE_MEMORY);
	put8(a, SPACE_FIXED);
	put8(a, SPACE_MEM_WRITE | (cacheable ? SPACE_MEM_CACHED : 0));
	put32(a, 0);
	put32(a, base);
	put32(a, base + (len - 1));
	put32(a, 0);
	put32(a, len);
}

void aml_qword_memory(struct aml *a, bool cacheable, uint64_t base, uint64_t len)
{
	if (len == 0 || base > UINT64_MAX - (len - 1))
		fail(a);
	put8(a, 0x8a);
	put16(a, 43);
	put8(a, SPACE_MEMORY);
	put8(a, SPACE_FIXED);
	put8(a, SPACE_MEM_WRITE | (cacheable ? SPACE_MEM_CACHED : 0));
	put64(a, 0);
	put64(a, base);
	put64(a, base + (len - 1));
	put64(a, 0);
	put64(a, len);
}
