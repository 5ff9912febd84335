/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kd.h - one direction of a line between Windows' kernel and its debugger: which bytes are packets.
 *
 * A packet, by ReactOS' windbgkd.h and rizin's kd.h, all numbers little-endian:
 *
 *   off 0   u32  leader: 0x30303030 of data, 0x69696969 of what controls the line
 *   off 4   u16  type: KD_ACK, KD_RESEND, KD_RESET control the line, the others are data
 *   off 6   u16  how many bytes of data follow: none, or 1..KD_DATA_MAX
 *   off 8   u32  id
 *   off 12  u32  sum of the data's bytes
 *   off 16       the data, and behind them KD_TRAILER
 *
 * Outside of packets the debugger sends KD_BREAK_IN to stop the guest. Bytes that are neither are skipped: a
 * line that is broken in the middle of a packet is understood again at the next one.
 *
 * Pure, bounded, without allocation; bytes may come from a hostile guest or a hostile debugger.
 */
#ifndef BACKEND_SERIAL_KD_H
#define BACKEND_SERIAL_KD_H

#include <stddef.h>

#include "sill/kd.h"

enum { KD_HEAD = 16, KD_DATA_MAX = 4000, KD_TRAILER = 0xaa, KD_BREAK_IN = 0x62 };
enum { KD_LEADER_DATA = 0x30, KD_LEADER_CONTROL = 0x69 }; /* four of them */
enum { KD_ACK = 4, KD_RESEND = 5, KD_RESET = 6, KD_TYPE_LAST = 11 };

/* Public struct; zeroed: nothing was sent. */
struct kd_line {
	struct sill_kd_side side;
	uint64_t strays; /* bytes outside of packets, but for break-ins */
	uint32_t sum;    /* of the data so far */
	uint16_t left;   /* bytes of data that are missing */
	bool trailer;    /* they are there, and the last byte is missing */
	uint8_t head_n;
	uint8_t head[KD_HEAD]; /* the first bytes of what may be a packet */
};

/* Somebody else sends from now on: what side has stays, and of a packet that was begun no more will come. */
void kd_anew(struct kd_line *l);
/* The next @n bytes. */
void kd_take(struct kd_line *l, const uint8_t *p, size_t n);

#endif
