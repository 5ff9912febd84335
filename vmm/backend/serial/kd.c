/* SPDX-License-Identifier: Apache-2.0 */
/* kd.c - see kd.h. */
#include "backend/serial/kd.h"

#include <string.h>

#include "base/le.h"

static bool is_control(uint16_t type)
{
	return type >= KD_ACK && type <= KD_RESET;
}

/* Can what is in head[] be the beginning of a packet? */
static bool is_head(const struct kd_line *l)
{
	const bool control = l->head[0] == KD_LEADER_CONTROL;
	const uint16_t type = l->head_n >= 6 ? ld16(l->head + 4) : 0;
	const uint16_t count = l->head_n >= 8 ? ld16(l->head + 6) : 0;

	for (unsigned i = 0; i < 4 && i < l->head_n; i++)
		if (l->head[i] != (control ? KD_LEADER_CONTROL : KD_LEADER_DATA))
			return false;
	if (l->head_n >= 6 && (type == 0 || type > KD_TYPE_LAST || is_control(type) != control))
		return false;
	return l->head_n < 8 || (control ? count == 0 : count > 0 && count <= KD_DATA_MAX);
}

/* A packet is complete. */
static void count(struct kd_line *l)
{
	const uint16_t type = ld16(l->head + 4);

	l->side.packets++;
	l->side.resets += type == KD_RESET;
	l->side.resends += type == KD_RESEND;
	l->head_n = 0;
}

/* A byte that belongs to no packet. */
static void skip(struct kd_line *l, uint8_t byte)
{
	l->side.breaks += byte == KD_BREAK_IN;
	l->strays += byte != KD_BREAK_IN;
}

/* A byte that may begin a packet, or belongs to the head of one. */
static void take_head(struct kd_line *l, uint8_t byte)
{
	if (l->head_n == 0 && byte != KD_LEADER_DATA && byte != KD_LEADER_CONTROL) {
		skip(l, byte);
		return;
	}
	l->head[l->head_n++] = byte;
	while (l->head_n > 0 && !is_head(l)) {
		skip(l, l->head[0]);
		l->head_n--;
		memmove(l->head, l->head + 1, l->head_n);
	}
	if (l->head_n < KD_HEAD)
		return;
	l->left = ld16(l->head + 6);
	l->sum = 0;
	if (l->left == 0)
		count(l);
}

static void take_trailer(struct kd_line *l, uint8_t byte)
{
	l->trailer = false;
	if (byte == KD_TRAILER && l->sum == ld32(l->head + 12)) {
		count(l);
		return;
	}
	l->side.bad++;
	l->head_n = 0;
	if (byte != KD_TRAILER)
		take_head(l, byte); /* bytes were lost, and this may be the next one's */
}

void kd_anew(struct kd_line *l)
{
	*l = (struct kd_line){ .side = l->side };
}

void kd_take(struct kd_line *l, const uint8_t *p, size_t n)
{
	l->side.bytes += n;
	for (size_t i = 0; i < n; i++) {
		if (l->left > 0) {
			l->sum += p[i];
			l->left--;
			l->trailer = l->left == 0;
		} else if (l->trailer) {
			take_trailer(l, p[i]);
		} else {
			take_head(l, p[i]);
		}
	}
}
