/* SPDX-License-Identifier: Apache-2.0 */
/* test_crash.c - the guest says that it has crashed (pvpanic, port 0x505), and who runs it shall hear of it. */
#include "cpu.h"
#include "test.h"

enum { PVPANIC_PORT = 0x505, PVPANIC_PANICKED = 1 };

static void crash__is_said(void)
{
	SKIP_IF(inb(PVPANIC_PORT) == 0xff, "no pvpanic");
	outb(PVPANIC_PORT, PVPANIC_PANICKED);
}

const struct test crash_tests[] = {
	{ "crash__is_said", crash__is_said },
	{ 0 },
};
