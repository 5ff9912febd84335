/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mch.c - the host bridge, as far as firmware asks for one: Intel 3 Series
 * Express Chipset (Q35) datasheet, 5.1.
 *
 *   off 0x60  RW  PCIEXBAR: 0 enable, 2:1 length (256, 128, 64 MiB), 35:26 base
 *   off 0x90  RW  PAM0..PAM6: memory attributes of 0xC0000-0xFFFFF; kept, unused:
 *                 that memory is RAM always
 *
 * OVMF programs PCIEXBAR (0xB0000000, later releases 0xE0000000) by writing
 * the low half 0, the high half 0, the low half with the enable bit.
 */
#include "devices/pci/mch.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "bus/pci.h"
#include "devices/dev.h"

enum {
	REG_PCIEXBAR = 0x60,
	REG_PAM = 0x90,
	PAM_COUNT = 7,
	PAM_BITS = 0x33, /* two areas, each readable and writable */

	ECAM_ENABLE = 1 << 0,
	ECAM_LENGTH_SHIFT = 1,
	ECAM_LENGTH_MASK = 3,
};

/* Base, length, enable. Smaller areas use bits 27 and 26 of the base as well. */
#define PCIEXBAR_BITS 0x0000000ffc000007ull
#define SAVE_TAG_MCH  SAVE_TAG('M', 'C', 'H', ' ')

struct mch {
	struct pci_func func;
};

extern const struct dev_ops mch_ops;

/* Put the ECAM where PCIEXBAR says. */
static void ecam_follow(struct dev *d)
{
	const struct mch *s = d->state;
	uint64_t bar = ld64(s->func.cfg + REG_PCIEXBAR);
	unsigned length = (unsigned)(bar >> ECAM_LENGTH_SHIFT) & ECAM_LENGTH_MASK;
	unsigned buses = 256u >> length;
	struct sill_err e = { 0 };

	/* Length 3 is reserved. */
	if ((bar & ECAM_ENABLE) == 0 || length == 3)
		buses = 0;
	bar = buses != 0 ? bar & PCIEXBAR_BITS & ~(((uint64_t)buses << 20) - 1) : 0;
	if (pci_bus_set_ecam(d->env->pci, bar, buses, &e) < 0)
		log_guest(&d->bucket, d->id, "%s", e.msg);
}

static void mch_config_written(void *ctx, unsigned off, unsigned size)
{
	struct dev *d = ctx;

	if (off >= REG_PCIEXBAR + 8 || off + size <= REG_PCIEXBAR)
		return;
	dev_take(d);
	ecam_follow(d);
	dev_drop(d);
}

static const struct pci_func_ops func_ops = { .config_written = mch_config_written };

static int mch_init(struct dev *d, struct sill_err *e)
{
	const struct mch_config *c = d->config;
	const struct pci_ids ids = {
		.vendor = 0x8086,
		.device = c->device,
		.subsys_vendor = 0x1af4,
		.subsys = 0x1100,
		.class_code = 0x060000,
	};
	struct mch *s = d->state;
	struct pci_func *f = &s->func;

	assert((c->ecam & ~PCIEXBAR_BITS) == 0 && (c->ecam & 0xfffffff) == 0);
	pci_func_init(f, &ids, &func_ops, d, d->id);
	/* It decodes memory and masters the bus always. */
	st16(f->cfg + PCI_COMMAND, PCI_CMD_MEMORY | PCI_CMD_MASTER);
	st16(f->wmask + PCI_COMMAND, 0);
	if (c->ecam != 0)
		st64(f->cfg + REG_PCIEXBAR, c->ecam | ECAM_ENABLE);
	st64(f->wmask + REG_PCIEXBAR, PCIEXBAR_BITS);
	memset(f->wmask + REG_PAM, PAM_BITS, PAM_COUNT);
	return pci_bus_add(d->env->pci, f, 0, e);
}

static void mch_fini(struct dev *d)
{
	struct mch *s = d->state;
	struct sill_err e = { 0 };
	int off = pci_bus_set_ecam(d->env->pci, 0, 0, &e);

	assert(off == 0); /* off is always possible */
	pci_bus_remove(d->env->pci, &s->func);
}

static enum io_result mch_io(struct dev *d, unsigned region, struct io *io)
{
	(void)d;
	(void)region;
	(void)io;
	return IO_NO_REGISTER; /* it has no regions */
}

/* The registers are the bus's to reset and load; what they say is followed here. */
static void mch_reset(struct dev *d)
{
	ecam_follow(d);
}

static int mch_save(struct dev *d, struct saver *s)
{
	(void)d;
	save_begin(s, SAVE_TAG_MCH, 1);
	save_end(s);
	return 0;
}

static int mch_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	(void)load_begin(l, SAVE_TAG_MCH, 1);
	if (load_end(l, d->id, e) < 0)
		return -1;
	ecam_follow(d);
	return 0;
}

const struct dev_ops mch_ops = {
	.type = "mch",
	.state_size = sizeof(struct mch),
	.init = mch_init,
	.io = mch_io,
	.reset = mch_reset,
	.fini = mch_fini,
	.save = mch_save,
	.load = mch_load,
};
