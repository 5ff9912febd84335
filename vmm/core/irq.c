/* SPDX-License-Identifier: Apache-2.0 */
/* irq.c - lines share GSIs: a GSI is high while any line on it is. */
#include "core/irq.h"

#include <assert.h>
#include <unistd.h>

void irqs_init(struct irqs *q, const struct irq_ops *ops, void *ctx)
{
	*q = (struct irqs){ .ops = ops, .ctx = ctx };
	lock_init(&q->lock, RANK_IRQ);
}

void irqs_fini(struct irqs *q)
{
	lock_fini(&q->lock);
}

void irq_line_set(struct irq_line *l, bool level)
{
	struct irqs *q = l->irqs;
	bool was;

	if (q == NULL || l->gsi == NO_GSI || l->level == level)
		return;
	assert(l->gsi < MAX_GSI);
	lock_take(&q->lock);
	l->level = level;
	was = q->asserted[l->gsi] > 0;
	assert(level || was);
	q->asserted[l->gsi] = (uint16_t)(q->asserted[l->gsi] + (level ? 1 : -1));
	if (was != (q->asserted[l->gsi] > 0))
		q->ops->line(q->ctx, l->gsi, level);
	lock_drop(&q->lock);
}

int irq_msi_open(struct irqs *q, struct irq_msi *m, struct sill_err *e)
{
	*m = (struct irq_msi){ .fd = -1 };
	return q->ops->msi_open(q->ctx, m, e);
}

int irq_msi_route(struct irqs *q, struct irq_msi *m, uint64_t addr, uint32_t data)
{
	return q->ops->msi_route(q->ctx, m, addr, data);
}

void irq_msi_close(struct irqs *q, struct irq_msi *m)
{
	if (m->fd >= 0)
		q->ops->msi_close(q->ctx, m);
	m->fd = -1;
}

void irq_msi_raise(struct irq_msi *m)
{
	const uint64_t one = 1;

	/* An eventfd write fails only when its counter is full: then it is signalled already. */
	if (write(m->fd, &one, sizeof(one)) < 0)
		return;
}
