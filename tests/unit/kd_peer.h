/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kd_peer.h - both ends of a kernel debugger's line, as far as its packets go: ours, from public descriptions.
 *
 * A peer is fed with bytes and says what it answers. The target is a Windows that has stopped and tells so; it
 * answers what it is asked. The debugger begins as WinDbg does, with a reset, and asks again and again.
 */
#ifndef TESTS_KD_PEER_H
#define TESTS_KD_PEER_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "backend/serial/kd.h"
#include "base/le.h"

enum {
	KD_MANIPULATE = 2,
	KD_STATE_CHANGE = 7,
	KD_PEER_ROOM = 8192,
	KD_ASKED = 52, /* bytes of a question; an answer has more */
	KD_ANSWER = 240,
};
#define KD_FIRST_ID 0x80800000u
#define KD_SYNC     0x800u

/* Writes a packet to @to; how long it is. */
static inline size_t kd_packet(uint8_t *to, uint16_t type, uint32_t id, const void *data,
			       uint16_t n)
{
	const bool control = type >= KD_ACK && type <= KD_RESET;
	uint32_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += ((const uint8_t *)data)[i];
	memset(to, control ? KD_LEADER_CONTROL : KD_LEADER_DATA, 4);
	st16(to + 4, type);
	st16(to + 6, n);
	st32(to + 8, id);
	st32(to + 12, sum);
	if (control)
		return KD_HEAD;
	memcpy(to + KD_HEAD, data, n);
	to[KD_HEAD + n] = KD_TRAILER;
	return KD_HEAD + n + 1u;
}

struct kd_peer {
	bool is_target;
	uint32_t next_id, wanted_id; /* of what it sends, of what comes */
	uint8_t last[512];           /* its last data packet, for who did not get it */
	size_t last_n;
	bool unacked;
	uint8_t in[KD_PEER_ROOM];
	size_t in_n;
	uint8_t out[KD_PEER_ROOM];
	size_t out_n;
	uint8_t asked; /* what the last question says, at the target */
	unsigned questions, answers, resets, breaks, resent, wrong;
};

static inline void kd_peer_put(struct kd_peer *p, const void *what, size_t n)
{
	if (p->out_n + n > sizeof(p->out))
		return; /* it is lost on the line */
	memcpy(p->out + p->out_n, what, n);
	p->out_n += n;
}

static inline void kd_peer_control(struct kd_peer *p, uint16_t type, uint32_t id)
{
	uint8_t packet[KD_HEAD];

	kd_peer_put(p, packet, kd_packet(packet, type, id, NULL, 0));
}

static inline void kd_peer_send(struct kd_peer *p, uint16_t type, uint8_t fill, uint16_t n)
{
	uint8_t data[KD_ANSWER];

	memset(data, fill, n);
	p->last_n = kd_packet(p->last, type, p->next_id, data, n);
	p->unacked = true;
	kd_peer_put(p, p->last, p->last_n);
}

static inline void kd_peer_begin(struct kd_peer *p, bool is_target)
{
	*p = (struct kd_peer){ .is_target = is_target,
			       .next_id = KD_FIRST_ID | (is_target ? KD_SYNC : 0),
			       .wanted_id = KD_FIRST_ID };
	if (is_target)
		kd_peer_send(p, KD_STATE_CHANGE, 0x11, KD_ANSWER);
	else
		kd_peer_control(p, KD_RESET, 0);
}

static inline void kd_peer_ask(struct kd_peer *p)
{
	kd_peer_send(p, KD_MANIPULATE, (uint8_t)p->questions++, KD_ASKED);
}

/* The last packet again: nobody has said that it has come. Not twice in one breath. */
static inline void kd_peer_again(struct kd_peer *p)
{
	if (p->out_n > sizeof(p->out) / 2)
		return;
	p->resent++;
	kd_peer_put(p, p->last, p->last_n);
}

static inline void kd_peer_controlled(struct kd_peer *p, uint16_t type, uint32_t id)
{
	if (type == KD_ACK && p->unacked && id == (p->next_id & ~KD_SYNC)) {
		p->unacked = false;
		p->next_id = (p->next_id & ~KD_SYNC) ^ 1;
	} else if (type == KD_RESEND && p->unacked) {
		kd_peer_again(p);
	} else if (type == KD_RESET) {
		p->resets++;
		p->next_id = p->wanted_id = KD_FIRST_ID;
		if (p->is_target) {
			kd_peer_control(p, KD_RESET, 0);
			kd_peer_send(p, KD_STATE_CHANGE, 0x11, KD_ANSWER);
		}
	}
}

static inline void kd_peer_data(struct kd_peer *p, uint16_t type, uint32_t id)
{
	kd_peer_control(p, KD_ACK, id & ~KD_SYNC);
	if ((id & ~KD_SYNC) != p->wanted_id)
		return; /* it has come before, and the answer was lost */
	p->wanted_id ^= 1;
	if (p->is_target && type == KD_MANIPULATE) {
		p->questions++;
		p->asked = p->in[KD_HEAD];
		kd_peer_send(p, KD_MANIPULATE, p->asked, KD_ANSWER);
	} else if (!p->is_target && type == KD_MANIPULATE) {
		p->answers++;
		p->wrong += p->in[KD_HEAD] != (uint8_t)(p->questions - 1);
	}
}

/* How many of the bytes in in[] are done with; 0: more are needed. */
static inline size_t kd_peer_one(struct kd_peer *p)
{
	const uint8_t *h = p->in;
	size_t n;

	if (h[0] != KD_LEADER_DATA && h[0] != KD_LEADER_CONTROL) {
		p->breaks += h[0] == KD_BREAK_IN;
		return 1;
	}
	for (size_t i = 1; i < 4 && i < p->in_n; i++)
		if (h[i] != h[0])
			return 1;
	if (p->in_n < KD_HEAD)
		return 0;
	n = h[0] == KD_LEADER_DATA ? KD_HEAD + ld16(h + 6) + 1u : KD_HEAD;
	if (n > 512) {
		kd_peer_control(p, KD_RESEND, 0);
		return 4;
	}
	if (p->in_n < n)
		return 0;
	if (h[0] == KD_LEADER_CONTROL) {
		kd_peer_controlled(p, ld16(h + 4), ld32(h + 8));
	} else {
		uint32_t sum = 0;

		for (size_t i = KD_HEAD; i < n - 1; i++)
			sum += h[i];
		if (sum != ld32(h + 12) || h[n - 1] != KD_TRAILER) {
			kd_peer_control(p, KD_RESEND, 0);
			return 4;
		}
		kd_peer_data(p, ld16(h + 4), ld32(h + 8));
	}
	return n;
}

static inline void kd_peer_take(struct kd_peer *p, const uint8_t *data, size_t n)
{
	size_t done;

	assert(p->in_n + n <= sizeof(p->in));
	memcpy(p->in + p->in_n, data, n);
	p->in_n += n;
	while (p->in_n > 0 && (done = kd_peer_one(p)) > 0) {
		p->in_n -= done;
		memmove(p->in, p->in + done, p->in_n);
	}
}

#endif
