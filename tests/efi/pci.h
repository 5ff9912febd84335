/* SPDX-License-Identifier: Apache-2.0 */
/* pci.h - configuration space of bus 0 by ports 0xCF8 and 0xCFC, and BARs. */
#ifndef PCI_H
#define PCI_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PCI_VENDOR = 0,
	PCI_DEVICE = 2,
	PCI_COMMAND = 4,
	PCI_STATUS = 6,
	PCI_REVISION = 8,
	PCI_HEADER_TYPE = 14,
	PCI_BAR0 = 16,
	PCI_SUBSYS_VENDOR = 44,
	PCI_SUBSYS = 46,
	PCI_ROM = 48,
	PCI_CAPS = 52,
	PCI_COMMAND_MEMORY = 2,
	PCI_COMMAND_MASTER = 4,
};

struct bar {
	unsigned index;
	bool is_io, is_64bit;
	uint64_t base, size;
};

uint32_t pci_read32(unsigned slot, unsigned off);
uint16_t pci_read16(unsigned slot, unsigned off);
uint8_t pci_read8(unsigned slot, unsigned off);
void pci_write32(unsigned slot, unsigned off, uint32_t v);
void pci_write16(unsigned slot, unsigned off, uint16_t v);
void pci_write8(unsigned slot, unsigned off, uint8_t v);

bool pci_present(unsigned slot);
void pci_decode(unsigned slot, bool memory);
/* The BAR at register @index, sized with decoding off; false: not implemented. */
bool pci_bar(unsigned slot, unsigned index, struct bar *ret);
uint64_t pci_bar_base(unsigned slot, const struct bar *b);
void pci_bar_set(unsigned slot, const struct bar *b, uint64_t base); /* low half first */
/* The next capability of @id behind offset @after (0: the first); 0: none. */
unsigned pci_cap(unsigned slot, uint8_t id, unsigned after);

#endif
