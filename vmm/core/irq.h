/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq.h - interrupts as devices see them: lines and messages.
 *
 * A line is a level on a GSI of the IOAPIC/PIC; several lines may share a GSI,
 * which is high while any of them is. A message (MSI) has an eventfd: writing
 * it (irq_msi_raise) delivers without any lock. Who really delivers is behind
 * struct irq_ops: KVM in a VM, a recorder in unit tests.
 */
#ifndef CORE_IRQ_H
#define CORE_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/lock.h"

/* Caller-allocated; one per vector. */
struct irq_msi {
	int fd;       /* eventfd; -1 when closed */
	unsigned gsi; /* the routing entry, the implementation's business */
};

struct irq_ops {
	void (*line)(void *ctx, unsigned gsi, bool level);
	int (*msi_open)(void *ctx, struct irq_msi *m, struct sill_err *e);
	/* The message from now on. Returns -1 when the host refuses it (logged there). */
	int (*msi_route)(void *ctx, struct irq_msi *m, uint64_t addr, uint32_t data);
	void (*msi_close)(void *ctx, struct irq_msi *m);
};

/* Caller-allocated; one per VM. */
struct irqs {
	const struct irq_ops *ops; /* borrowed */
	void *ctx;
	struct lock lock;           /* RANK_IRQ: asserted[] */
	uint16_t asserted[MAX_GSI]; /* how many lines hold the GSI high */
};

void irqs_init(struct irqs *q, const struct irq_ops *ops, void *ctx);
void irqs_fini(struct irqs *q);

#define NO_GSI 0xffffffffu

/* Caller-allocated, zero gsi is GSI 0: set NO_GSI for "not connected". */
struct irq_line {
	struct irqs *irqs; /* borrowed; NULL: not connected */
	unsigned gsi;
	bool level;
};

/* Any thread that owns the device (its lock is held); changes only reach the chip. */
void irq_line_set(struct irq_line *l, bool level);

int irq_msi_open(struct irqs *q, struct irq_msi *m, struct sill_err *e) MUST_CHECK;
int irq_msi_route(struct irqs *q, struct irq_msi *m, uint64_t addr, uint32_t data) MUST_CHECK;
void irq_msi_close(struct irqs *q, struct irq_msi *m); /* accepts a closed one */
void irq_msi_raise(struct irq_msi *m);                 /* any thread, no lock */

#endif
