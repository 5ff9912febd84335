/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ems.h - what a guest writes to a serial port: is it the bug check of a Windows with Emergency Management Services?
 *
 * In this order, by ReactOS' ntoskrnl (ke/bug.c, KiDisplayBlueScreen) and what Windows Server writes:
 *
 *   <BP> <INSTANCE CLASSNAME="BLUESCREEN"> <PROPERTY NAME="STOPCODE" ...><VALUE>"0xD1"</VALUE></PROPERTY> ... </BP>
 *   The problem seems to be caused by the following file: NAME       where it is known
 *   *** STOP: 0x000000D1 (0x..., 0x..., 0x..., 0x...)
 *   ***  NAME - Address ... base at ..., DateStamp ...               likewise
 *   !SAC>                                                            unless it begins anew
 *
 * The block alone is the sign: the prompt also comes at a shutdown, and the other lines may be anybody's text.
 *
 * Pure, bounded, without allocation; the bytes are a hostile guest's.
 */
#ifndef BACKEND_SERIAL_EMS_H
#define BACKEND_SERIAL_EMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/vm.h"

/* The longest of these lines has 99 bytes, and a driver's name for which there is more room. */
enum { EMS_LINE = 192 };

enum ems_news {
	EMS_NOTHING, /* that was not known */
	EMS_MORE,    /* of a bug check, and more is to come */
	EMS_WHOLE,   /* of a bug check, with its parameters, or as much as there will be */
};

/* Public struct; zeroed: the guest begins. */
struct ems_line {
	struct sill_crash said; /* what is known; of use once there were news */
	/* private */
	uint8_t escape; /* in an escape sequence: behind ESC, behind [ */
	bool too_long;  /* the line is, and its end is not there */
	bool inside, blue,
		is_code;    /* in the block; of a bug check; in the property that is its code */
	bool ended, prompt; /* the block is; the prompt has come */
	uint16_t n;
	char text[EMS_LINE]; /* the line, or what follows the last '>' in it; ends with a NUL */
};

/* The next @n bytes. News come at most four times until the guest begins anew. */
enum ems_news ems_take(struct ems_line *l, const uint8_t *p, size_t n);

#endif
