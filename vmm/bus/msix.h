/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msix.h - an MSI-X table and its pending bits (PCI 3.0, 6.8.2), delivering by
 * irqfd. The device puts msix_table_io() and msix_pba_io() into one of its BARs.
 *
 * msix_raise() may be called from any thread without a lock: when the vector
 * can be delivered it is one eventfd write; else its pending bit is set and
 * the unmasking access delivers it. Once an access that masks has returned,
 * nothing is delivered: it waits for the eventfd writes under way. The other
 * functions run under the device's lock.
 */
#ifndef BUS_MSIX_H
#define BUS_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/save.h"
#include "bus/io.h"
#include "bus/pci.h"
#include "core/irq.h"

struct msix_entry {
	uint32_t addr_lo, addr_hi, data, control;
	struct irq_msi
		msi;  /* opened in msix_init(), for good; if that failed, when first unmasked */
	bool live;    /* atomic: enabled, unmasked and routed */
	bool pending; /* atomic */
	/* private to msix.c */
	uint32_t sending; /* atomic, futex: threads about to write the eventfd, and a flag */
	bool routed;      /* msi delivers the message below */
	uint64_t routed_addr;
	uint32_t routed_data;
};

/* Caller-allocated. */
struct msix {
	struct irqs *irqs; /* borrowed */
	const char *name;  /* borrowed, for messages */
	unsigned count;
	struct msix_entry entry[MAX_MSIX_VECTORS];
	bool enabled, function_masked;
	uint8_t cap; /* offset of the capability */
	struct log_bucket bucket;
};

/* Add the capability to @f, and open the vectors: table at @table_off and PBA at @pba_off of BAR @bar. */
void msix_init(struct msix *m, struct irqs *irqs, struct pci_func *f, unsigned count, unsigned bar,
	       uint32_t table_off, uint32_t pba_off);
void msix_fini(struct msix *m);
void msix_reset(struct msix *m);
/* To be called from config_written(). */
void msix_config_written(struct msix *m, const struct pci_func *f, unsigned off, unsigned size);
/* Table accesses (4 and 8 bytes, aligned), offset from the table's start; then the pending bits. */
enum io_result msix_table_io(struct msix *m, struct io *io);
enum io_result msix_pba_io(struct msix *m, struct io *io);
/* Any thread. Out-of-range vectors (0xffff) are ignored. */
void msix_raise(struct msix *m, unsigned vector);
/*
 * The eventfd by which @vector is delivered, while it is live; -1: it is masked, or there is none. For who
 * delivers by it without us: the device's lock is held, and every access that masks is followed by another look.
 */
int msix_live_fd(const struct msix *m, unsigned vector);
/* Within the caller's record. */
void msix_save(const struct msix *m, struct saver *s);
int msix_load(struct msix *m, struct loader *l, struct sill_err *e) MUST_CHECK;

#endif
