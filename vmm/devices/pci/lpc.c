/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lpc.c - the bridge to the chips of a PC (ICH9 LPC, Intel I/O Controller Hub 9
 * datasheet, 13.1), of which firmware wants the identity and a few registers.
 * They are kept and have no effect: the PM block is where OVMF puts it (0x600)
 * all the time, and pins go to interrupts as _PRT says.
 *
 *   off 0x40  RW  PMBASE: 15:7; bit 0 reads 1
 *   off 0x44  RW  ACPI_CNTL: 7 enable, 2:0 SCI
 *   off 0x60  RW  PIRQA-D routing, 0x80: none
 *   off 0x68  RW  PIRQE-H routing
 *   off 0xf0  RW  RCBA: 31:14, 0 enable
 */
#include <string.h>

#include "base/le.h"
#include "bus/pci.h"
#include "devices/dev.h"

enum {
	SLOT = 31,
	REG_PMBASE = 0x40,
	REG_ACPI_CNTL = 0x44,
	REG_PIRQ_A = 0x60,
	REG_PIRQ_E = 0x68,
	REG_RCBA = 0xf0,

	PIRQ_NONE = 0x80,
	PIRQ_BITS = 0x8f,
};

struct lpc {
	struct pci_func func;
};

extern const struct dev_ops lpc_ops;

static int lpc_init(struct dev *d, struct sill_err *e)
{
	/* The class is what makes OVMF look for a serial port behind it. */
	static const struct pci_ids ids = {
		.vendor = 0x8086,
		.device = 0x2918,
		.subsys_vendor = 0x1af4,
		.subsys = 0x1100,
		.class_code = 0x060100,
		.revision = 2,
	};
	struct lpc *s = d->state;
	struct pci_func *f = &s->func;

	pci_func_init(f, &ids, NULL, NULL, d->id);
	/* Decoding and mastering cannot be switched off. */
	st16(f->cfg + PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER);
	st16(f->wmask + PCI_COMMAND, 0);
	st32(f->cfg + REG_PMBASE, 1);
	st32(f->wmask + REG_PMBASE, 0xff80);
	f->wmask[REG_ACPI_CNTL] = 0x87;
	memset(f->cfg + REG_PIRQ_A, PIRQ_NONE, 4);
	memset(f->wmask + REG_PIRQ_A, PIRQ_BITS, 4);
	memset(f->cfg + REG_PIRQ_E, PIRQ_NONE, 4);
	memset(f->wmask + REG_PIRQ_E, PIRQ_BITS, 4);
	st32(f->wmask + REG_RCBA, 0xffffc001);
	return pci_bus_add(d->env->pci, f, SLOT, e);
}

static void lpc_fini(struct dev *d)
{
	struct lpc *s = d->state;

	pci_bus_remove(d->env->pci, &s->func);
}

static enum io_result lpc_io(struct dev *d, unsigned region, struct io *io)
{
	(void)d;
	(void)region;
	(void)io;
	return IO_NO_REGISTER; /* it has no regions */
}

/* All it has is registers, which the bus resets, saves and loads. */
static void lpc_reset(struct dev *d)
{
	(void)d;
}

const struct dev_ops lpc_ops = {
	.type = "lpc",
	.state_size = sizeof(struct lpc),
	.init = lpc_init,
	.io = lpc_io,
	.reset = lpc_reset,
	.fini = lpc_fini,
};
