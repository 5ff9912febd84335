/* SPDX-License-Identifier: Apache-2.0 */
/* require.h - what holds whatever the input is; a fuzzer stops where it does not. */
#ifndef TESTS_FUZZ_REQUIRE_H
#define TESTS_FUZZ_REQUIRE_H

#include <stdbool.h>
#include <stdlib.h>

static inline void require(bool ok)
{
	if (!ok)
		abort();
}

#endif
