/* SPDX-License-Identifier: Apache-2.0 */
/* tests.h - the groups of groups.def, and what surrounds a reset. */
#ifndef TESTS_H
#define TESTS_H

#include <stdint.h>

#define GROUP(name) void test_##name(void);
#include "groups.def"
#undef GROUP

/* Leave marks that a reset has to wipe, and look for them in the next boot. */
void prepare_reset(void);
void test_after_reset(uint64_t tsc_at_entry);
void leave_by(const char *door); /* does not come back */

#endif
