/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - one line a rule, on COM1.
 *
 *	ok RULE
 *	not ok RULE: what was seen, what is right (and N more)
 *	# RULE: some of the N more, before it
 *	skip RULE: why
 *
 * Written to the port itself, not through the firmware's console, so that no
 * escape sequences mix in. Boot processor only.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

struct counts {
	uint32_t passed, failed, skipped;
};

extern struct counts counts;

/* %u %x %d (with l), %c %s %%; a width, zero-padded if it begins with 0. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A rule is one line however often it is checked: begin, any number of
 * complaints (the first is printed), end. True: it holds.
 */
void rule_begin(const char *name);
void rule_bad(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool rule_end(void);
void rule_skip(const char *name, const char *why, ...) __attribute__((format(printf, 2, 3)));

#endif
