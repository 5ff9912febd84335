/* SPDX-License-Identifier: Apache-2.0 */
/* chr_tail.c - what was written last: it stays in the output ring when it has been passed on, until more comes. */
#include "backend/serial/chr_priv.h"

size_t chr_tail(struct chr *c, void *ret, size_t n)
{
	const struct ring *r = &c->out_ring;
	uint8_t *to = ret;

	lock_take(&c->lock);
	if (n > r->size)
		n = r->size;
	if (n > r->head)
		n = (size_t)r->head;
	for (size_t i = 0; i < n; i++)
		to[i] = r->data[(r->head - n + i) & (r->size - 1)];
	lock_drop(&c->lock);
	return n;
}
