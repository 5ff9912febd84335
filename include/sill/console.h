/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - how a program talks to a port of a VM whose far end is a UNIX socket.
 *
 * Who just connects gets the port's history and then what the guest prints, as the guest wrote it; what it
 * sends is the guest's input while nobody else writes, and is dropped while somebody does.
 *
 * A program that wants to know more begins with a hello: SILL_CONSOLE_HELLO, 16 hexadecimal digits of its
 * choice, a newline. What it has been sent until then it forgets: the same SILL_CONSOLE_HELLO_SIZE bytes come back, and from there on
 * both sides send frames. The digits shall be random: then no guest can print what looks like that answer.
 *
 *	frame: 0 type u8, 1 zero u8, 2 size u16 little-endian, 4 size bytes, at most SILL_CONSOLE_FRAME
 *
 * A frame that is not one of these ends the connection.
 */
#ifndef SILL_CONSOLE_H
#define SILL_CONSOLE_H

/* Begins with a NUL: no keyboard does. */
#define SILL_CONSOLE_HELLO      "\0sill-console 1 "
#define SILL_CONSOLE_HELLO_FIX  16 /* bytes of it; then the digits */
#define SILL_CONSOLE_HELLO_SIZE 33
#define SILL_CONSOLE_HEAD       4
#define SILL_CONSOLE_FRAME      4096
#define SILL_CONSOLE_READERS    16 /* at one port; one more is turned away */

enum sill_console_frame {
	/* To the VM. */
	SILL_CONSOLE_START = 's', /* u8: enum sill_console_from. Nothing is sent before it */
	SILL_CONSOLE_INPUT = 'i', /* for the guest; takes the pen if it is free */
	SILL_CONSOLE_TAKE = 't',  /* empty: the pen, whoever has it */
	SILL_CONSOLE_GIVE = 'g',  /* empty: the pen may be another's */
	SILL_CONSOLE_BREAK = 'b', /* empty: a break condition; serial ports only */
	SILL_CONSOLE_SIZE = 'w',  /* u16 columns, u16 rows of the terminal; little-endian */
	/* u64, little-endian: so many bytes before the newest of what was sent, when was that written? */
	SILL_CONSOLE_WHEN = 'q',
	/* From the VM. */
	SILL_CONSOLE_OUTPUT = 'o', /* what the guest has written */
	SILL_CONSOLE_LOST = 'l',   /* u64, little-endian: so many bytes have been dropped here */
	SILL_CONSOLE_LIVE = 'h',   /* empty: the history ends here; once */
	/* To that: u64 milliseconds ago, and u64 since the guest has written anything; all ones: never */
	SILL_CONSOLE_AGO = 'a',
	SILL_CONSOLE_PEN =
		'p', /* u8: enum sill_console_pen; u32, little-endian: whose, a pid or 0 */
};

/* How much of what was there before. */
enum sill_console_from {
	SILL_CONSOLE_FROM_LINE, /* the line that was begun: a prompt */
	SILL_CONSOLE_FROM_ALL,  /* all that is kept */
};

/* Who may write. */
enum sill_console_pen {
	SILL_CONSOLE_PEN_FREE, /* who writes first */
	SILL_CONSOLE_PEN_YOURS,
	SILL_CONSOLE_PEN_TAKEN, /* another, until it gives it up, goes, or it is taken */
};

#endif
