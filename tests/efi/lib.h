/* SPDX-License-Identifier: Apache-2.0 */
/* lib.h - what a C library would give: there is none under firmware. */
#ifndef LIB_H
#define LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
bool streq(const char *a, const char *b);

static inline bool bit(uint64_t v, unsigned n)
{
	return (v >> n & 1) != 0;
}

static inline uint32_t bits(uint64_t v, unsigned high, unsigned low)
{
	return (uint32_t)(v >> low & ((1ull << (high - low + 1)) - 1));
}

static inline bool is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

#endif
