/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_kd.c - what is seen of a kernel debugger at the far end: chr_set_kd() in chr.h.
 *
 * The bytes are counted where they go through the rings (chr.c). Whether somebody is attached is about what was
 * said since the guest began and the debugger came.
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

void chr_guest_anew(struct chr *c)
{
	c->ems = (struct ems_line){ 0 };
	lock_take(&c->lock);
	kd_anew(&c->kd_guest);
	c->kd_guest_was = c->kd_guest.side;
	c->kd_debugger_was = c->kd_debugger.side;
	lock_drop(&c->lock);
}
