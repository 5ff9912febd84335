/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - GDB's remote serial protocol, as bytes (GDB manual, appendix E.1 "Overview").
 *
 *   $DATA#SUM   a packet; SUM two hexadecimal digits. } before a byte: it was changed by 0x20
 *   + -         the last one was understood, or not
 *   0x03        stop the guest
 *
 * Nothing is opened, nobody waits. What comes is a stranger's: sizes are bounded.
 */
#ifndef RUNNER_GDB_PACKET_H
#define RUNNER_GDB_PACKET_H

#include <stddef.h>
#include <stdint.h>

enum {
	GDB_PACKET = 16 * 1024,        /* bytes of data; the debugger is told so */
	GDB_WIRE = 2 * GDB_PACKET + 8, /* what it comes to at most */
};

enum gdb_byte {
	GDB_MORE,      /* nothing is complete */
	GDB_PACKET_IN, /* data[0..n), and a NUL behind it */
	GDB_AGAIN,     /* the last packet is wanted again */
	GDB_STOP,      /* the guest shall stop */
	GDB_BROKEN,    /* a packet whose sum is wrong, or that is too long */
};

/* Public struct. Zeroed, nothing has come. */
struct gdb_packet {
	enum { GDB_OUTSIDE, GDB_DATA, GDB_ESCAPED, GDB_SUM1, GDB_SUM2 } state; /* private */
	uint8_t sum, digit;
	size_t n; /* more than GDB_PACKET: too long */
	char data[GDB_PACKET + 1];
};

enum gdb_byte gdb_packet_take(struct gdb_packet *p, uint8_t byte);
/* @data as a packet; @n at most GDB_PACKET. Returns its length. */
size_t gdb_packet_make(const char *data, size_t n, char ret[GDB_WIRE]);

/* The value of a hexadecimal digit; -1: it is none. */
int gdb_digit(char c);

#endif
