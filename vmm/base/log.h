/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line is one event: "disk0: flush failed: No space left".
 *
 * error: a person must act; warn: odd, we go on; info: the VM's state changed;
 * debug: off unless asked for. Any thread. Never on a per-request path.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
bool log_wants(enum log_level level);

/*
 * Lines that a guest can cause: a bucket of five, refilled by one every ten
 * seconds; what did not fit is counted and said once when the next line fits.
 * One bucket per device, zero-initialised; any thread. Whatever a guest can make
 * happen again and again goes through one: log_line() is for what happens once.
 */
struct log_bucket {
	uint64_t last_ns;
	uint32_t used;
	uint32_t dropped;
};

/* "<who>: <text>" at level warn, if the bucket allows. Guest bytes must be escaped by the caller. */
void log_guest(struct log_bucket *b, const char *who, const char *fmt, ...) PRINTF(3, 4);
/* The same at another level. A level that is not wanted takes nothing from the bucket. */
void log_guest_at(struct log_bucket *b, enum log_level level, const char *who, const char *fmt, ...)
	PRINTF(4, 5);
/* Nothing more comes: say at @level now what did not fit, if anything. */
void log_guest_end(struct log_bucket *b, enum log_level level, const char *who);

/* Copy @n bytes of guest text to @dst, printable, escaped as \xNN, cut with "..." at size. */
char *log_escape(char *dst, size_t size, const void *src, size_t n);

#endif
