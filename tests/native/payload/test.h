/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h - what a test is. A section is a file test_<section>.c that ends in
 * <section>_tests[], and a line in sections.def.
 */
#ifndef PAYLOAD_TEST_H
#define PAYLOAD_TEST_H

#include <stdbool.h>

struct test {
	const char *name; /* thing__what_is_expected */
	void (*run)(void);
};

/* End the running test: it has failed, or cannot be run here, for a reason. */
#define CHECK(cond, ...)                        \
	do {                                    \
		if (!(cond)) {                  \
			test_fail(__VA_ARGS__); \
			return;                 \
		}                               \
	} while (0)
#define SKIP_IF(cond, ...)                      \
	do {                                    \
		if (cond) {                     \
			test_skip(__VA_ARGS__); \
			return;                 \
		}                               \
	} while (0)

void test_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool test_has_failed(void);     /* the running one: for helpers that call CHECK themselves */
const char *test_running(void); /* its name; never NULL */

/* The monitor is told apart by vmm= on the command line; without it, it is Sill. */
bool vmm_is_sill(void);

#endif
