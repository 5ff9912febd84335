/* SPDX-License-Identifier: Apache-2.0 */
/* pci.h - the root bus, function 0 of each slot: configuration, BARs, MSI-X. */
#ifndef PAYLOAD_PCI_H
#define PAYLOAD_PCI_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PCI_ID = 0x00,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_BAR0 = 0x10,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
};

enum { PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4 };
enum { PCI_SLOTS = 32, PCI_CAP_MSIX = 0x11, PCI_CAP_VENDOR = 0x09 };

/* Free for tests that move things: inside the 32-bit window, away from what firmware hands out. */
#define PCI_SPARE32 0xd0000000u

struct pci_bar {
	bool present, io, wide; /* wide: 64 bits, takes the next register too */
	uint64_t size, addr;
};

struct pci_dev {
	unsigned slot;
	uint16_t vendor, device;
	struct pci_bar bar[6];
};

extern struct pci_dev pci_devs[PCI_SLOTS];
extern unsigned pci_dev_count;

/* Find all functions, those found before anew; give an address to each memory BAR without one; decoding and DMA on. */
void pci_scan(void);
/* Find what came since, likewise; what is known is not touched. */
void pci_scan_new(void);
/* The @n-th (from 0) device of this vendor and device id, or NULL. */
struct pci_dev *pci_find(uint16_t vendor, uint16_t device, unsigned n);

/* Configuration mechanism 1; size 1, 2 or 4. */
uint32_t pci_read(unsigned slot, unsigned off, unsigned size);
void pci_write(unsigned slot, unsigned off, unsigned size, uint32_t v);
/* ECAM from the MCFG table, bus 0, or 0: none. */
uint64_t pci_ecam(void);
/* The first capability @id after offset @from (0: from the start), or 0. */
unsigned pci_cap_find(const struct pci_dev *d, unsigned id, unsigned from);

/* The register's address as it reads now. */
uint64_t pci_bar_read(const struct pci_dev *d, unsigned bar);
/* Write the address, low half first, decoding left on; maps the place. */
void pci_bar_move(struct pci_dev *d, unsigned bar, uint64_t addr);
/* After abuse: all BARs back at their addresses, decoding and DMA on. */
void pci_restore(void);
/* The first address of the 64-bit window, 2^N - 2^(N-3) for N physical bits. */
uint64_t pci_window64(void);

/* Caller-allocated. */
struct msix {
	struct pci_dev *dev;
	unsigned cap, count;
	unsigned table_bar, pba_bar;
	uint32_t table_off, pba_off;
};

bool msix_find(struct msix *m, struct pci_dev *d);
void msix_enable(const struct msix *m, bool on, bool masked);
/* Entry @i: @vector to the boot processor, unmasked. */
void msix_set(const struct msix *m, unsigned i, unsigned vector);
void msix_mask(const struct msix *m, unsigned i, bool masked);
uint64_t msix_entry(const struct msix *m, unsigned i); /* address of entry @i */
bool msix_pending(const struct msix *m, unsigned i);

#endif
