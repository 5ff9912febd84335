/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scalar.h - numbers and sizes as they are written.
 *
 * A number means what it looks like: no octal, no exponents, no underscores. A
 * size always has a unit, and units are powers of 1024.
 */
#ifndef RUNNER_MANIFEST_SCALAR_H
#define RUNNER_MANIFEST_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/key.h"

enum scalar_result {
	SCALAR_OK,
	SCALAR_NOT,     /* not a number at all */
	SCALAR_OCTAL,   /* 010: eight or ten? */
	SCALAR_BIG,     /* does not fit 64 bits */
	SCALAR_NO_UNIT, /* a size without a unit */
	SCALAR_UNIT,    /* a size with a unit we do not know, or written otherwise */
};

enum scalar_result scalar_uint(const char *s, uint64_t *ret_v);
enum scalar_result scalar_size(const char *s, uint64_t *ret_v);

/*
 * A time: "120s", "2m", "500ms", "1h", at most SCALAR_SPAN_MAX_S. SCALAR_NO_UNIT: a number alone, which is there as
 * seconds all the same.
 */
enum { SCALAR_SPAN_MAX_S = 7 * 24 * 3600 };
enum scalar_result scalar_span(const char *s, uint64_t *ret_ms);

/*
 * What the author of a wrong size may have meant ("1.5G" is 1536M, "4 gb" is
 * 4G): true and the right way to write it.
 */
bool scalar_size_guess(const char *s, char *ret, size_t size);

/* How a size of @row that lacks its unit is written, such as is taken then: "write 4M or 4G (...)". */
void scalar_unit_hint(const struct key *row, const char *s, char *ret, size_t size);

/* The shortest way to write @v bytes, "512M". */
char *scalar_size_text(char *dst, size_t size, uint64_t v);

/* How @v, a value of @row, is written. UINT, SIZE, BOOL. */
char *scalar_text(char *dst, size_t size, const struct key *row, uint64_t v);

/*
 * What a reader of YAML 1.2 (core schema) makes of plain text that is no text to it:
 * "a number", "true or false"; NULL: text.
 */
const char *scalar_reads_as(const char *s);

#endif
