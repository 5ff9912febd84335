/* SPDX-License-Identifier: Apache-2.0 */
/* hardware.c - what the guest finds, as text (sill/hardware.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/board.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/tables.h"
#include "bus/pci.h"
#include "machine/machine.h"
#include "sill/hash.h"

enum { WHAT_ROOM = 48, VALUE_ROOM = 96 };

static void tell_bytes(const struct arch_teller *t, const char *what, const uint8_t *p, size_t n)
{
	char value[VALUE_ROOM];

	(void)snprintf(value, sizeof(value), "%zu bytes, %016" PRIx64, n,
		       sill_hash(SILL_HASH_START, p, n));
	t->tell(t->ctx, what, value);
}

/* Which processor this is, and what the guest itself turns on, is not of the kind. */
static uint32_t ebx_of(const struct kvm_cpuid_entry2 *l)
{
	return l->function == 1 ? l->ebx & 0x00ffffff : l->ebx;
}

static uint32_t ecx_of(const struct kvm_cpuid_entry2 *l)
{
	return l->function == 1 ? l->ecx & ~(1u << 27) : l->ecx; /* OSXSAVE */
}

static int tell_leaves(const struct arch_cpus *a, const struct arch_teller *t, struct sill_err *e)
{
	char what[WHAT_ROOM], value[VALUE_ROOM];
	struct cpuid c;

	if (arch_cpus_leaves(a, &c, e) < 0)
		return -1;
	for (uint32_t i = 0; i < c.head.nent; i++) {
		const struct kvm_cpuid_entry2 *l = &c.leaf[i];

		(void)snprintf(what, sizeof(what), "cpuid.%08x.%u", l->function, l->index);
		(void)snprintf(value, sizeof(value), "eax=%08x ebx=%08x ecx=%08x edx=%08x", l->eax,
			       ebx_of(l), ecx_of(l), l->edx);
		t->tell(t->ctx, what, value);
	}
	return 0;
}

/* Of type 4 the speeds, which the host's kernel measures anew at each boot. */
static void tell_smbios(const struct arch_teller *t, const uint8_t *p, size_t n)
{
	enum { PROCESSOR = 4, MAX_SPEED = 0x14, SPEED_END = 0x18 };
	uint8_t *copy = malloc(n > 0 ? n : 1);
	size_t at = 0;

	if (copy == NULL || n == 0) {
		free(copy);
		return;
	}
	memcpy(copy, p, n);
	while (at + 2 < n && copy[at + 1] >= 4) {
		const size_t len = copy[at + 1];

		if (copy[at] == PROCESSOR && len >= SPEED_END && at + len <= n)
			memset(&copy[at + MAX_SPEED], 0, SPEED_END - MAX_SPEED);
		for (at += len; at + 1 < n && (copy[at] != 0 || copy[at + 1] != 0); at++)
			continue;
		at += 2;
	}
	tell_bytes(t, "smbios", copy, n);
	free(copy);
}

static uint32_t get(const struct pci_func *f, unsigned off, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = size; i-- > 0;)
		v = v << 8 | f->cfg[off + i];
	return v;
}

static void tell_bus(struct pci_bus *bus, const struct arch_teller *t)
{
	char what[WHAT_ROOM], value[VALUE_ROOM];

	for (unsigned slot = 0; slot < 32; slot++) {
		const struct pci_func *f = pci_bus_find(bus, slot);

		if (f == NULL)
			continue;
		(void)snprintf(what, sizeof(what), "pci.%02x", slot);
		(void)snprintf(value, sizeof(value),
			       "%04x:%04x class %06x revision %02x subsystem %04x:%04x",
			       get(f, 0x00, 2), get(f, 0x02, 2), get(f, 0x08, 4) >> 8,
			       get(f, 0x08, 1), get(f, 0x2c, 2), get(f, 0x2e, 2));
		t->tell(t->ctx, what, value);
	}
}

static void tell_map(const struct e820_map *m, const struct arch_teller *t)
{
	char what[WHAT_ROOM], value[VALUE_ROOM];

	for (unsigned i = 0; i < m->count; i++) {
		(void)snprintf(what, sizeof(what), "memory.%016" PRIx64, m->entry[i].base);
		(void)snprintf(value, sizeof(value), "%" PRIu64 " bytes, %s", m->entry[i].len,
			       m->entry[i].type == E820_RAM ? "ram" : "reserved");
		t->tell(t->ctx, what, value);
	}
}

int arch_tell_hardware(struct board *b, const struct arch_cpus *a, const struct arch_teller *t,
		       struct sill_err *e)
{
	const struct buf *smbios =
		b->boot.door == BOOT_FLASH ? &b->tables->smbios : &b->tables->smbios_image;
	struct boot_tables images;
	char what[WHAT_ROOM];

	if (tell_leaves(a, t, e) < 0 || tables_remake_map(b->tables, e) < 0 ||
	    tables_remake_smbios(b->tables, e) < 0 || tables_images(b->tables, &images, e) < 0)
		return -1;
	for (unsigned i = 0; i < b->tables->built.table_count; i++) {
		const struct acpi_table *one = &b->tables->built.table[i];

		/* Nothing but where the others are. */
		if (memcmp(one->sig, "RSDT", 4) == 0 || memcmp(one->sig, "XSDT", 4) == 0)
			continue;
		(void)snprintf(what, sizeof(what), "acpi.%.4s", one->sig);
		tell_bytes(t, what, b->tables->built.blob.data + one->off, one->size);
	}
	tell_smbios(t, smbios->data, smbios->size);
	tell_map(images.map, t);
	tell_bus(b->machine->pci, t);
	return 0;
}
