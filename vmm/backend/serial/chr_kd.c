/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_kd.c - what is seen of a kernel debugger at the far end: chr_set_kd() in chr.h.
 *
 * The bytes are counted on their way to the rings of chr.c. Whether somebody is attached is about what was said
 * since the guest began and the debugger came.
 *
 * Before Windows speaks, firmware has the port: OVMF makes COM1 and COM2 its consoles (PrepareLpcBridgeDevicePath()
 * in PlatformBootManagerLib). Its text is nothing for a debugger, and what comes would be keys to it.
 */
#include "backend/serial/chr_priv.h"

void chr_set_kd(struct chr *c)
{
	lock_take(&c->lock);
	c->is_kd = true;
	lock_drop(&c->lock);
}

static enum sill_kd_state kd_state_locked(const struct chr *c)
{
	if (c->kd_guest.side.bytes == c->kd_guest_was.bytes)
		return SILL_KD_SILENT;
	if (c->kd_guest.side.packets == c->kd_guest_was.packets)
		return SILL_KD_STRANGE;
	if (!c->connected || c->kd_debugger.side.packets == c->kd_debugger_was.packets)
		return SILL_KD_WAITING;
	return SILL_KD_ATTACHED;
}

void chr_kd(struct chr *c, struct sill_kd_seen *ret)
{
	*ret = (struct sill_kd_seen){ .state = SILL_KD_NO_PORT };
	lock_take(&c->lock);
	if (c->is_kd)
		*ret = (struct sill_kd_seen){ .state = kd_state_locked(c),
					      .connected = c->connected,
					      .guest = c->kd_guest.side,
					      .debugger = c->kd_debugger.side };
	lock_drop(&c->lock);
}

void chr_kd_comes_locked(struct chr *c)
{
	kd_anew(&c->kd_debugger);
	c->kd_held = 0;
	c->kd_debugger_was = c->kd_debugger.side;
	c->out_ring.tail = c->out_ring.head; /* of the one before: half a packet, perhaps */
}

/* The packet whose head is complete with the byte that has just been taken begins with head[]. */
static bool has_head(const struct kd_line *l, uint64_t packets_before)
{
	return l->head_n == KD_HEAD || l->side.packets != packets_before;
}

bool chr_kd_write_locked(struct chr *c, const uint8_t *p, size_t n)
{
	struct kd_line *l = &c->kd_guest;
	bool wake = false;

	for (; n > 0 && !c->kd_spoken; p++, n--) {
		const uint64_t packets = l->side.packets;

		kd_take(l, p, 1);
		c->kd_spoken = has_head(l, packets);
		if (c->kd_spoken && c->connected)
			wake = chr_put_locked(c, l->head, KD_HEAD);
	}
	if (n == 0)
		return wake;
	kd_take(l, p, n);
	return (c->connected && chr_put_locked(c, p, n)) || wake;
}

static void pass_held_locked(struct chr *c, size_t head_n)
{
	chr_take_locked(c, c->kd_debugger.head + head_n - c->kd_held, c->kd_held);
	c->kd_held = 0;
}

/* A byte for a guest that has not spoken. @breaks: a break-in is one; else it belongs to somebody's text. */
static void take_early_locked(struct chr *c, uint8_t byte, bool breaks)
{
	struct kd_line *l = &c->kd_debugger;
	const struct sill_kd_side before = l->side;
	const bool inside = l->left > 0 || l->trailer;

	kd_take(l, &byte, 1);
	if (inside) {
		chr_take_locked(c, &byte, 1);
		return;
	}
	c->kd_held++;
	if (has_head(l, before.packets))
		pass_held_locked(c, KD_HEAD);
	else if (breaks && l->side.breaks != before.breaks)
		chr_take_locked(c, &byte, 1);
	if (c->kd_held > l->head_n)
		c->kd_held = l->head_n;
}

void chr_kd_take_locked(struct chr *c, const uint8_t *p, size_t n)
{
	struct kd_line whole = c->kd_debugger;
	bool clean;

	if (c->kd_spoken) {
		pass_held_locked(c, c->kd_debugger.head_n);
		chr_take_locked(c, p, n);
		kd_take(&c->kd_debugger, p, n);
		return;
	}
	kd_take(&whole, p, n);
	clean = whole.strays == c->kd_debugger.strays;
	for (size_t i = 0; i < n; i++)
		take_early_locked(c, p[i], clean);
}

void chr_guest_anew(struct chr *c)
{
	c->ems = (struct ems_line){ 0 };
	lock_take(&c->lock);
	kd_anew(&c->kd_guest);
	c->kd_spoken = false;
	c->kd_guest_was = c->kd_guest.side;
	c->kd_debugger_was = c->kd_debugger.side;
	lock_drop(&c->lock);
}
