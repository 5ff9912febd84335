/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.h - one conventional PCI root bus: configuration mechanism 1, ECAM,
 * BARs that move.
 *
 * A device embeds a struct pci_func, describes itself (ids, BARs,
 * capabilities) and is added to a slot. Configuration accesses run under the
 * bus lock (RANK_BUS); the function's hooks are called under it and take the
 * device's lock themselves. The bus changes the maps after the hook returned.
 *
 * BARs are transactional: a new address takes effect when decoding is on and
 * the whole address has been written (a 64-bit BAR's half-written address is
 * tentative until the other half is written, or decoding is switched on); if
 * the new place is not free or outside the windows, the old mapping stays and
 * answers, as a courtesy: it gives way to any BAR whose registers name the
 * place, and the move is tried again at every change. So the maps agree with
 * the registers as soon as these are consistent, whatever the order of writes.
 * Sizing (all ones) moves nothing. Registers read back what was written. With
 * decoding off a BAR does not answer.
 */
#ifndef BUS_PCI_H
#define BUS_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/save.h"
#include "bus/map.h"

/* Configuration header offsets, PCI Local Bus 3.0, 6.1. */
enum {
	PCI_VENDOR = 0x00,
	PCI_DEVICE = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x09, /* prog-if, subclass, class */
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SUBSYS_VENDOR = 0x2c,
	PCI_SUBSYS = 0x2e,
	PCI_ROM = 0x30,
	PCI_CAP_PTR = 0x34,
	PCI_INT_LINE = 0x3c,
	PCI_INT_PIN = 0x3d,
};

enum {
	PCI_CMD_IO = 1 << 0,
	PCI_CMD_MEMORY = 1 << 1,
	PCI_CMD_MASTER = 1 << 2,
	PCI_CMD_INTX_OFF = 1 << 10,
	PCI_STATUS_INTX = 1 << 3,
	PCI_STATUS_CAPS = 1 << 4,
};

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

/* Filled in before pci_bus_add(). A MEM64 BAR uses the next index too, which stays NONE. */
struct pci_bar {
	enum pci_bar_kind kind;
	bool prefetchable;
	uint64_t size;            /* power of two; at least 16 (memory) or 4 (I/O) */
	struct io_target *target; /* borrowed: answers accesses inside the BAR */
	unsigned region;
	const struct doorbell *bells; /* borrowed */
	unsigned bell_count;
	/* private to pci.c */
	uint64_t wanted;    /* the last address that was written whole */
	uint64_t mapped_at; /* also the last one, when not mapped but homed */
	bool mapped, homed;
	uint8_t written; /* a bit per byte written since `wanted`; 0: the register says `wanted` */
};

struct pci_func_ops {
	/* Before bytes [off, off+size) of cfg are read: bring them up to date. May be NULL. */
	void (*config_read)(void *ctx, unsigned off, unsigned size);
	/* After a write went through the write mask: react (MSI-X enable, a window ...). May be NULL. */
	void (*config_written)(void *ctx, unsigned off, unsigned size);
};

/* Caller-allocated. */
struct pci_func {
	const struct pci_func_ops *ops; /* borrowed */
	void *ctx;
	const char *name; /* borrowed */
	uint8_t cfg[256];
	uint8_t wmask[256];   /* bits the guest can write */
	uint8_t w1cmask[256]; /* bits the guest clears by writing 1 */
	uint8_t reset[256];   /* cfg after reset; filled in by pci_bus_add() from cfg */
	struct pci_bar bar[6];
	uint8_t cap_last, cap_end; /* private: where the next capability goes */
	unsigned slot;
	struct pci_bus *bus; /* borrowed; NULL when not on a bus */
};

struct pci_ids {
	uint16_t vendor, device, subsys_vendor, subsys;
	uint32_t class_code; /* 24 bits: class, subclass, prog-if */
	uint8_t revision;
};

void pci_func_init(struct pci_func *f, const struct pci_ids *ids, const struct pci_func_ops *ops,
		   void *ctx, const char *name);
/* Append a capability of @size bytes (with its 2-byte header), 4-aligned, from 0x40 on. Returns its offset. */
uint8_t pci_cap_add(struct pci_func *f, uint8_t id, uint8_t size);
bool pci_bus_master(const struct pci_func *f);

struct pci_bus;

/* Address windows that BARs may live in, inclusive; the same numbers go into _CRS. */
struct pci_windows {
	uint64_t io_base, io_end;
	uint64_t mem32_base, mem32_end;
	uint64_t mem64_base, mem64_end; /* base > end: none */
};

struct pci_bus *pci_bus_create(struct map *pio, struct map *mmio, const struct pci_windows *w,
			       struct sill_err *e);
void pci_bus_destroy(struct pci_bus *b); /* accepts NULL; functions must be gone */

/*
 * Put @f into @slot (-1: of the free ones from 1 to 30 the one that has been empty longest, so that
 * what a guest still does to a device that went does not hit the next one; the first one, if none has
 * been used). From now on the guest sees it.
 */
int pci_bus_add(struct pci_bus *b, struct pci_func *f, int slot, struct sill_err *e) MUST_CHECK;
/* The guest sees all ones from now on; BARs are out of the maps (wait with map_quiesce). */
void pci_bus_remove(struct pci_bus *b, struct pci_func *f);
/* Is it still there? Somebody else may have removed it. */
bool pci_bus_has(struct pci_bus *b, const struct pci_func *f);
struct pci_func *pci_bus_find(struct pci_bus *b, unsigned slot);
/*
 * The whole bus: CONFIG_ADDRESS and every function's registers back to reset
 * values, BARs out of the maps; save and load likewise cover every function
 * (load maps the BARs again, and puts functions but the bridges into the slots
 * that those of their names were saved in). Called by the machine while no vCPU
 * runs and no lock is held, before the devices' own reset()/load(): a device's
 * reset, save and load hold its lock and therefore leave its pci_func alone.
 */
void pci_bus_reset(struct pci_bus *b);
void pci_bus_save(struct pci_bus *b, struct saver *s);
int pci_bus_load(struct pci_bus *b, struct loader *l, struct sill_err *e) MUST_CHECK;

/*
 * Enhanced configuration access: 1 MiB a bus at @base, @buses of them; 0: off.
 * Called by the host bridge, from its hook or its reset(). -1: the place is
 * taken; the old one stays, and it moves by itself once the place is free.
 */
int pci_bus_set_ecam(struct pci_bus *b, uint64_t base, unsigned buses,
		     struct sill_err *e) MUST_CHECK;
uint64_t pci_bus_ecam(struct pci_bus *b, unsigned *ret_buses);

/* @fn hears byte writes of port 0xCF9 (reset control), which lies inside CONFIG_ADDRESS; reads are ours. */
void pci_bus_set_reset_control(struct pci_bus *b, void (*fn)(void *ctx, uint8_t val), void *ctx);

/* INTx: which GSI pin @pin (1 = A .. 4 = D) of @slot is wired to; 16..23, the same as _PRT. */
unsigned pci_intx_gsi(unsigned slot, unsigned pin);

/* Direct configuration access, as the guest's; for tests and the boot code. */
uint32_t pci_config_read(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned off,
			 unsigned size);
void pci_config_write(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned off, unsigned size,
		      uint32_t val);

#endif
