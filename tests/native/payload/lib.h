/* SPDX-License-Identifier: Apache-2.0 */
/* lib.h - the C library of a program without one: text, memory, options. */
#ifndef PAYLOAD_LIB_H
#define PAYLOAD_LIB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Known to the compiler under these names. */
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
void *memmove(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

/* %c %s %u %d %x %lu %lx %%, with a width and 0, %s with a precision: all that is used here. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vformat(char *buf, size_t size, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/* The command line's words: "name=value". */
void opt_init(const char *cmdline);
bool opt_is(const char *name, const char *value); /* name's value is exactly this */
bool opt_has(const char *name, const char *item); /* name's value, a list with commas, holds item */
bool opt_given(const char *name);
uint64_t opt_number(const char *name, uint64_t fallback); /* decimal */

/* A fixed sequence of numbers that look random; the same @seed gives the same sequence. */
uint64_t random_next(uint64_t *seed);

#endif
