/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_crash.c - the guest says that it has crashed, by pvpanic (port 0x505) or as Windows' EMS on COM1, and who runs
 * it shall hear of it.
 */
#include "cpu.h"
#include "lib.h"
#include "test.h"

enum { PVPANIC_PORT = 0x505, PVPANIC_PANICKED = 1 };

static void crash__is_said(void)
{
	SKIP_IF(inb(PVPANIC_PORT) == 0xff, "no pvpanic");
	outb(PVPANIC_PORT, PVPANIC_PANICKED);
}

static void crash__is_written(void)
{
	print("\a\a\a<?xml>\a<BP>\r\n<INSTANCE CLASSNAME=\"BLUESCREEN\">\r\n"
	      "<PROPERTY NAME=\"STOPCODE\" TYPE=\"string\"><VALUE>\"0xD1\"</VALUE></PROPERTY>\r\n"
	      "</INSTANCE>\r\n</BP>\a\r\n"
	      "The problem seems to be caused by the following file: myfault.sys\r\n"
	      "*** STOP: 0x000000D1 (0x0000000000000028,0x0000000000000002,0x0000000000000000,"
	      "0xFFFFF80012345678)\r\n!SAC>\r\n");
}

const struct test crash_tests[] = {
	{ "crash__is_said", crash__is_said },
	{ "crash__is_written", crash__is_written },
	{ 0 },
};
