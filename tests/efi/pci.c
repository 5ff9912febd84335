/* SPDX-License-Identifier: Apache-2.0 */
/* pci.c - see pci.h. */
#include "pci.h"

#include "cpu.h"

enum { ADDRESS = 0xcf8, DATA = 0xcfc };

static uint16_t select(unsigned slot, unsigned off)
{
	out32(ADDRESS, 0x80000000u | slot << 11 | (off & 0xfc));
	return (uint16_t)(DATA + (off & 3));
}

uint32_t pci_read32(unsigned slot, unsigned off)
{
	return in32(select(slot, off));
}

uint16_t pci_read16(unsigned slot, unsigned off)
{
	return in16(select(slot, off));
}

uint8_t pci_read8(unsigned slot, unsigned off)
{
	return in8(select(slot, off));
}

void pci_write32(unsigned slot, unsigned off, uint32_t v)
{
	out32(select(slot, off), v);
}

void pci_write16(unsigned slot, unsigned off, uint16_t v)
{
	out16(select(slot, off), v);
}

void pci_write8(unsigned slot, unsigned off, uint8_t v)
{
	out8(select(slot, off), v);
}

bool pci_present(unsigned slot)
{
	return pci_read16(slot, PCI_VENDOR) != 0xffff;
}

void pci_decode(unsigned slot, bool memory)
{
	uint16_t v = pci_read16(slot, PCI_COMMAND);

	if (memory)
		v |= PCI_COMMAND_MEMORY;
	else
		v &= (uint16_t)~PCI_COMMAND_MEMORY;
	pci_write16(slot, PCI_COMMAND, v);
}

uint64_t pci_bar_base(unsigned slot, const struct bar *b)
{
	unsigned at = PCI_BAR0 + 4 * b->index;
	uint64_t v = pci_read32(slot, at) & (b->is_io ? ~3u : ~15u);

	return b->is_64bit ? v | (uint64_t)pci_read32(slot, at + 4) << 32 : v;
}

void pci_bar_set(unsigned slot, const struct bar *b, uint64_t base)
{
	unsigned at = PCI_BAR0 + 4 * b->index;

	pci_write32(slot, at, (uint32_t)base);
	if (b->is_64bit)
		pci_write32(slot, at + 4, (uint32_t)(base >> 32));
}

bool pci_bar(unsigned slot, unsigned index, struct bar *ret)
{
	unsigned at = PCI_BAR0 + 4 * index;
	uint32_t low = pci_read32(slot, at);
	uint16_t command = pci_read16(slot, PCI_COMMAND);
	uint64_t mask;

	*ret = (struct bar){ .index = index, .is_io = (low & 1) != 0, .is_64bit = (low & 7) == 4 };
	ret->base = pci_bar_base(slot, ret);
	pci_write16(slot, PCI_COMMAND, command & (uint16_t)~3);
	pci_bar_set(slot, ret, ~0ull);
	mask = pci_bar_base(slot, ret);
	pci_bar_set(slot, ret, ret->base);
	pci_write16(slot, PCI_COMMAND, command);
	if (!ret->is_64bit && mask != 0)
		mask |= 0xffffffff00000000;
	ret->size = -mask;
	return mask != 0;
}

unsigned pci_cap(unsigned slot, uint8_t id, unsigned after)
{
	unsigned at = pci_read8(slot, after != 0 ? after + 1 : PCI_CAPS) & 0xfcu;

	for (unsigned n = 0; n < 48 && at >= 0x40; n++) {
		if (pci_read8(slot, at) == id)
			return at;
		at = pci_read8(slot, at + 1) & 0xfcu;
	}
	return 0;
}
