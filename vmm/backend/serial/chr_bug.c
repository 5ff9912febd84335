/* SPDX-License-Identifier: Apache-2.0 */
/* chr_bug.c - who hears of a Windows' bug check in what the guest writes: chr_set_bug() in chr.h. */
#include "backend/serial/chr_priv.h"

void chr_set_bug(struct chr *c, chr_bug_fn fn, void *ctx)
{
	c->bug_fn = fn;
	c->bug_ctx = ctx;
}

void chr_look(struct chr *c, const uint8_t *p, size_t n)
{
	const enum ems_news news = ems_take(&c->ems, p, n);

	if (news != EMS_NOTHING)
		c->bug_fn(c->bug_ctx, &c->ems.said, news == EMS_WHOLE);
}
