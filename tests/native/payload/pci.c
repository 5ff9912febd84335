/* SPDX-License-Identifier: Apache-2.0 */
/* pci.c - see pci.h. PCI Local Bus 3.0: 3.2.2.3 (mechanism 1), 6.2.5 (BARs), 6.8 (MSI-X). */
#include "pci.h"

#include "boot.h"
#include "cpu.h"
#include "lib.h"

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, CONFIG_ENABLE = 1u << 31 };
enum { BAR_IO = 1, BAR_WIDE = 4 };
enum { MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_PBA = 8, MSIX_ENABLE = 1 << 15, MSIX_MASK = 1 << 14 };

#define WINDOW32    0xc0000000u /* what pci_scan() hands out itself starts here */
#define WIDE_STRIDE 0x800000u   /* 64-bit BARs are kept 8 MiB apart */

struct pci_dev pci_devs[PCI_SLOTS];
unsigned pci_dev_count;

static void select_register(unsigned slot, unsigned off)
{
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | (off & 0xfc));
}

uint32_t pci_read(unsigned slot, unsigned off, unsigned size)
{
	uint16_t port = (uint16_t)(CONFIG_DATA + (off & 3));

	select_register(slot, off);
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void pci_write(unsigned slot, unsigned off, unsigned size, uint32_t v)
{
	uint16_t port = (uint16_t)(CONFIG_DATA + (off & 3));

	select_register(slot, off);
	if (size == 1)
		outb(port, (uint8_t)v);
	else if (size == 2)
		outw(port, (uint16_t)v);
	else
		outl(port, v);
}

uint64_t pci_ecam(void)
{
	const uint8_t *mcfg = acpi_find("MCFG");
	uint64_t base = 0;

	if (mcfg != NULL)
		memcpy(&base, mcfg + 44, sizeof(base)); /* PCI Firmware 3.0, table 4-3 */
	return base;
}

unsigned pci_cap_find(const struct pci_dev *d, unsigned id, unsigned from)
{
	unsigned c = pci_read(d->slot, from != 0 ? from + 1 : PCI_CAPABILITIES, 1);

	for (unsigned n = 0; c >= 0x40 && n < 48; n++) {
		if (pci_read(d->slot, c, 1) == id)
			return c;
		c = pci_read(d->slot, c + 1, 1);
	}
	return 0;
}

uint64_t pci_window64(void)
{
	unsigned bits = boot.phys_bits < 47 ? boot.phys_bits : 47; /* mapped where it is */

	return ((uint64_t)1 << bits) - ((uint64_t)1 << (bits - 3));
}

uint64_t pci_bar_read(const struct pci_dev *d, unsigned bar)
{
	uint64_t a = pci_read(d->slot, PCI_BAR0 + 4 * bar, 4);

	a &= (a & BAR_IO) != 0 ? ~(uint64_t)3 : ~(uint64_t)15;
	if (d->bar[bar].wide)
		a |= (uint64_t)pci_read(d->slot, PCI_BAR0 + 4 * bar + 4, 4) << 32;
	return a;
}

void pci_bar_move(struct pci_dev *d, unsigned bar, uint64_t addr)
{
	struct pci_bar *b = &d->bar[bar];

	map_high(addr, b->size);
	pci_write(d->slot, PCI_BAR0 + 4 * bar, 4, (uint32_t)addr);
	if (b->wide)
		pci_write(d->slot, PCI_BAR0 + 4 * bar + 4, 4, (uint32_t)(addr >> 32));
	b->addr = addr;
}

/* Size BAR @i with decoding off, as PCI 3.0 6.2.5.1 has it. Returns the registers it takes. */
static unsigned probe_bar(struct pci_dev *d, unsigned i)
{
	unsigned reg = PCI_BAR0 + 4 * i;
	uint32_t old = pci_read(d->slot, reg, 4), low, high = 0xffffffff;
	struct pci_bar *b = &d->bar[i];
	uint64_t mask;

	b->io = (old & BAR_IO) != 0;
	b->wide = !b->io && (old & 6) == BAR_WIDE && i < 5;
	pci_write(d->slot, reg, 4, 0xffffffff);
	low = pci_read(d->slot, reg, 4);
	pci_write(d->slot, reg, 4, old);
	if (b->wide) {
		uint32_t old_high = pci_read(d->slot, reg + 4, 4);

		pci_write(d->slot, reg + 4, 4, 0xffffffff);
		high = pci_read(d->slot, reg + 4, 4);
		pci_write(d->slot, reg + 4, 4, old_high);
	}
	if ((low & ~0xfu) != 0 || (b->wide && high != 0)) {
		mask = (uint64_t)high << 32 | (low & (b->io ? ~3u : ~15u));
		b->present = true;
		b->size = ~mask + 1;
		if (b->io)
			b->size &= 0xffff;
		b->addr = pci_bar_read(d, i);
	}
	return b->wide ? 2 : 1;
}

static void place_bar(struct pci_dev *d, unsigned i)
{
	static uint64_t next32 = WINDOW32, next64;
	struct pci_bar *b = &d->bar[i];
	uint64_t *next = b->wide ? &next64 : &next32;

	if (!b->present || b->io)
		return;
	if (next64 == 0)
		next64 = pci_window64();
	if (b->addr == 0) {
		*next = (*next + b->size - 1) & ~(b->size - 1);
		pci_bar_move(d, i, *next);
		*next += b->wide && b->size < WIDE_STRIDE ? WIDE_STRIDE : b->size;
	}
	map_high(b->addr, b->size);
}

static bool is_known(unsigned slot)
{
	for (unsigned i = 0; i < pci_dev_count; i++)
		if (pci_devs[i].slot == slot)
			return true;
	return false;
}

void pci_scan_new(void)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		uint32_t id = pci_read(slot, PCI_ID, 4);
		struct pci_dev *d = &pci_devs[pci_dev_count];
		uint32_t command;

		if (id == 0xffffffff || is_known(slot))
			continue;
		pci_dev_count++;
		d->slot = slot;
		d->vendor = (uint16_t)id;
		d->device = (uint16_t)(id >> 16);
		if ((pci_read(slot, 0x0e, 1) & 0x7f) != 0)
			continue; /* a bridge: other registers */
		command = pci_read(slot, PCI_COMMAND, 2);
		pci_write(slot, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MEMORY);
		for (unsigned i = 0; i < 6;)
			i += probe_bar(d, i);
		for (unsigned i = 0; i < 6; i++)
			place_bar(d, i);
		pci_write(slot, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
}

void pci_scan(void)
{
	memset(pci_devs, 0, sizeof(pci_devs));
	pci_dev_count = 0;
	pci_scan_new();
}

void pci_restore(void)
{
	for (unsigned i = 0; i < pci_dev_count; i++) {
		struct pci_dev *d = &pci_devs[i];

		for (unsigned b = 0; b < 6; b++)
			if (d->bar[b].present && !d->bar[b].io)
				pci_bar_move(d, b, d->bar[b].addr);
		if (d->bar[0].present || d->vendor == 0x1af4)
			pci_write(d->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
}

struct pci_dev *pci_find(uint16_t vendor, uint16_t device, unsigned n)
{
	for (unsigned i = 0; i < pci_dev_count; i++)
		if (pci_devs[i].vendor == vendor && pci_devs[i].device == device && n-- == 0)
			return &pci_devs[i];
	return NULL;
}

bool msix_find(struct msix *m, struct pci_dev *d)
{
	uint32_t table, pba;

	m->dev = d;
	m->cap = pci_cap_find(d, PCI_CAP_MSIX, 0);
	if (m->cap == 0)
		return false;
	m->count = (pci_read(d->slot, m->cap + MSIX_CONTROL, 2) & 0x7ff) + 1;
	table = pci_read(d->slot, m->cap + MSIX_TABLE, 4);
	pba = pci_read(d->slot, m->cap + MSIX_PBA, 4);
	m->table_bar = table & 7;
	m->table_off = table & ~7u;
	m->pba_bar = pba & 7;
	m->pba_off = pba & ~7u;
	return m->table_bar < 6 && m->pba_bar < 6;
}

void msix_enable(const struct msix *m, bool on, bool masked)
{
	pci_write(m->dev->slot, m->cap + MSIX_CONTROL, 2,
		  (on ? MSIX_ENABLE : 0u) | (masked ? MSIX_MASK : 0u));
}

uint64_t msix_entry(const struct msix *m, unsigned i)
{
	return m->dev->bar[m->table_bar].addr + m->table_off + 16 * (uint64_t)i;
}

void msix_set(const struct msix *m, unsigned i, unsigned vector)
{
	uint64_t e = msix_entry(m, i);

	write32(e, LAPIC_BASE | cpu0.apic_id << 12);
	write32(e + 4, 0);
	write32(e + 8, vector);
	write32(e + 12, 0);
}

void msix_mask(const struct msix *m, unsigned i, bool masked)
{
	write32(msix_entry(m, i) + 12, masked);
}

bool msix_pending(const struct msix *m, unsigned i)
{
	uint64_t a = m->dev->bar[m->pba_bar].addr + m->pba_off + i / 64 * 8;

	return (read64(a) >> (i % 64) & 1) != 0;
}
