/* SPDX-License-Identifier: Apache-2.0 */
/* pace.c - lines for the person that a guest can cause. */
#include "runner/report/pace.h"

enum { AT_ONCE = 5, EVERY_MS = 10000 };

bool pace_allows(struct pace *p, uint64_t now_ms, unsigned *ret_dropped)
{
	const uint64_t refilled = (now_ms - p->last_ms) / EVERY_MS;

	p->used = refilled < p->used ? p->used - (unsigned)refilled : 0;
	p->last_ms = p->used == 0 ? now_ms : p->last_ms + refilled * EVERY_MS;
	if (p->used == AT_ONCE) {
		p->dropped++;
		return false;
	}
	p->used++;
	*ret_dropped = p->dropped;
	p->dropped = 0;
	return true;
}
