/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.h - what a debugger asks by GDB's remote serial protocol, and the answers (GDB manual, appendix E).
 *
 * A vCPU is a thread, numbered from 1. The VM is told by sill/debug.h, where a debugger is attached already.
 * Packets are a stranger's: numbers and sizes are checked, and what is not known has the empty answer.
 *
 * Besides the manual's: `monitor help`, and QEMU's Qqemu.PhyMemMode for addresses that are guest-physical.
 */
#ifndef RUNNER_GDB_TALK_H
#define RUNNER_GDB_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "runner/gdb/packet.h"
#include "sill/debug.h"

/* What follows after an answer. */
enum gdb_then {
	GDB_ANSWERS, /* reply[] */
	GDB_RUNS,    /* the guest goes on; there is an answer when it has stopped */
	GDB_RESETS,  /* likewise: reply[], when it has been reset */
	GDB_LEAVES,  /* reply[], and then the debugger is gone */
	GDB_KILLS,   /* likewise, and the VM ends */
};

enum { GDB_XML = 12 * 1024, GDB_BLOCK = 2048 };

/* Public struct; private but for the first four. */
struct gdb_talk {
	struct sill_vm *vm; /* borrowed */
	bool no_ack;        /* neither side says any more that it has understood */
	size_t reply_n;
	char reply[GDB_PACKET];
	bool swbreak, hwbreak; /* the debugger knows these words */
	bool physical;         /* addresses are */
	unsigned looks_at;     /* a vCPU, of which registers and memory are */
	int goes;              /* the vCPU that s and c are about; -1: all */
	struct sill_debug_stop stop;
	size_t block_size, xml_n;
	unsigned char block[GDB_BLOCK]; /* all registers */
	char xml[GDB_XML];              /* the target's description */
};

/* @vm has stopped for it, for @stop. */
void gdb_talk_begin(struct gdb_talk *t, struct sill_vm *vm, const struct sill_debug_stop *stop);
/* @packet ends in a NUL that @n does not count; it is changed. */
enum gdb_then gdb_talk_packet(struct gdb_talk *t, char *packet, size_t n);
/* After GDB_RUNS: it has stopped; reply[]. */
void gdb_talk_stopped(struct gdb_talk *t, const struct sill_debug_stop *stop);
/* The VM is at its end; reply[]. */
void gdb_talk_ended(struct gdb_talk *t);

#endif
