/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_gdb.c - a debugger that sends anything: bytes to the parser of packets, and each packet to who answers.
 *
 * Input: bytes as they come from the socket; a sum that is wrong is mended, so that packets get through.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "gdb_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gdb_packet packet;
static struct gdb_talk talk;
static char wire[GDB_WIRE];

/* What is answered is a packet that can be read again. */
static void check_reply(void)
{
	static struct gdb_packet back;
	enum gdb_byte last = GDB_MORE;
	size_t n;

	assert(talk.reply_n <= GDB_PACKET);
	n = gdb_packet_make(talk.reply, talk.reply_n, wire);
	assert(n <= GDB_WIRE);
	back = (struct gdb_packet){ 0 };
	for (size_t i = 0; i < n; i++) {
		assert(last == GDB_MORE);
		last = gdb_packet_take(&back, (uint8_t)wire[i]);
	}
	assert(last == GDB_PACKET_IN && back.n == talk.reply_n);
	assert(memcmp(back.data, talk.reply, back.n) == 0);
}

static void talk_of(char *p, size_t n)
{
	const struct sill_debug_stop stop = { .why = SILL_DEBUG_STEP, .vcpu = n % KIT_CPUS };

	switch (gdb_talk_packet(&talk, p, n)) {
	case GDB_RUNS:
		assert(kit.runs);
		kit.runs = false;
		gdb_talk_stopped(&talk, &stop);
		break;
	case GDB_ANSWERS:
	case GDB_RESETS:
	case GDB_LEAVES:
	case GDB_KILLS:
		break;
	}
	assert(talk.looks_at < KIT_CPUS && talk.goes < KIT_CPUS);
	check_reply();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sill_debug_stop stop = { .why = SILL_DEBUG_ASKED };

	memset(&kit, 0, sizeof(kit));
	kit.vcpus = KIT_CPUS;
	packet = (struct gdb_packet){ 0 };
	gdb_talk_begin(&talk, NULL, &stop);
	for (size_t i = 0; i < size; i++) {
		const bool sum = packet.state == GDB_SUM1 || packet.state == GDB_SUM2;
		const uint8_t mended =
			(uint8_t) "0123456789abcdef"[packet.state == GDB_SUM1 ? packet.sum >> 4
									      : packet.sum & 15];

		if (gdb_packet_take(&packet, sum && data[i] != 'x' ? mended : data[i]) ==
		    GDB_PACKET_IN)
			talk_of(packet.data, packet.n);
	}
	return 0;
}
