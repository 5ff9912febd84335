/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsdt.c - the AML of the machine (ACPI 6.5 chapters 5, 6, 8, 9; PCI Firmware 3.3).
 *
 *	\_S5                        soft off; no other sleep state
 *	\_SB.MBRD  PNP0C02          memory nobody else may take: ECAM, IOAPIC, LAPIC
 *	\_SB.PCI0  PNP0A08          the root: _CRS, _PRT, _OSC
 *	    .MBIO  PNP0C02          ports inside the root's window: PM block, fw_cfg
 *	    .HPIO  PNP0A06          the hotplug registers' ports
 *	    .Sxx                    a slot each; _SUN and _EJ0 when removable
 *	    .LPCB                   the ISA bridge: COM1, COM2, RTC, devices of the caller
 *	\_SB.CPUS  ACPI0010         processors Cxxx, ACPI0007
 *	\_SB.MEMS  PNP0A06          memory slots Mxxx, PNP0C80
 *	\_SB.VGEN                   VM generation id
 *	\_GPE._E0n                  or, hardware-reduced, \_SB.GED
 *
 * Names are part of the machine: Windows keys device instances on them.
 *
 * Hotplug registers are those of QEMU's public specifications
 * (docs/specs/acpi_cpu_hotplug, acpi_mem_hotplug, acpi_pci_hotplug). Fields
 * with event or command bits are WriteAsZeros: a read-modify-write would
 * acknowledge or eject.
 */
#include "firmware/dsdt.h"

#include <string.h>

#include "base/le.h"
#include "firmware/acpi.h"
#include "firmware/aml.h"

#define STA_HOUSEKEEPING 0x0bu /* present, enabled, working, but not shown to the user */
#define STA_WORKING      0x0fu

#define OSC_CONTROL 0x1eu /* SHPC, PME, AER, PCIe capability; never native hotplug (bit 0) */

size_t madt_cpu_write(uint8_t ret[MADT_CPU_MAX], uint32_t uid, uint32_t apic_id, uint32_t flags)
{
	memset(ret, 0, MADT_CPU_MAX);
	if (apic_id < 255 && uid < 255) {
		ret[0] = 0; /* processor local APIC; id 255 is the broadcast */
		ret[1] = 8;
		ret[2] = (uint8_t)uid;
		ret[3] = (uint8_t)apic_id;
		st32(ret + 4, flags);
		return 8;
	}
	ret[0] = 9; /* processor local x2APIC */
	ret[1] = 16;
	st32(ret + 4, apic_id);
	st32(ret + 8, flags);
	st32(ret + 12, uid);
	return 16;
}

/* Without a slot that may come or go the methods would have nothing to do. */
static bool pci_hotplug_wanted(const struct acpi_facts *f)
{
	return f->hotplug_pci && f->removable != 0;
}

static void motherboard_memory(struct aml *a, const struct acpi_facts *f)
{
	aml_device(a, "MBRD");
	aml_name_eisa(a, "_HID", "PNP0C02");
	aml_name_int(a, "_UID", 0);
	aml_crs(a);
	if (f->bus_count != 0)
		aml_memory32(a, true, (uint32_t)f->ecam_base, f->bus_count << 20);
	aml_memory32(a, true, 0xfec00000, 0x1000);
	aml_memory32(a, true, 0xfee00000, 0x1000);
	aml_close(a);
	aml_close(a);
}

/* Under PCI0: the ports lie in its window, a child consumes from its parent. */
static void motherboard_ports(struct aml *a, const struct acpi_facts *f)
{
	aml_device(a, "MBIO");
	aml_name_eisa(a, "_HID", "PNP0C02");
	aml_name_int(a, "_UID", 1);
	aml_crs(a);
	/* All that the LPC decodes: Linux drops a range that cuts its PMBASE region in two. */
	aml_io(a, f->pm_base, 0x80);
	if (f->has_fw_cfg)
		aml_io(a, 0x510, 12);
	if (f->hw_reduced)
		aml_io(a, f->ged_port, 1);
	aml_close(a);
	aml_close(a);

	if (!pci_hotplug_wanted(f) && !f->hotplug_cpu && f->memory_slots == 0)
		return;
	aml_device(a, "HPIO");
	aml_name_eisa(a, "_HID", "PNP0A06");
	aml_name_str(a, "_UID", "hotplug registers");
	aml_name_int(a, "_STA", STA_HOUSEKEEPING);
	aml_crs(a);
	if (f->memory_slots != 0)
		aml_io(a, ACPI_PORT_MEMORY, 0x18);
	if (pci_hotplug_wanted(f))
		aml_io(a, ACPI_PORT_PCI, 0x18);
	if (f->hotplug_cpu)
		aml_io(a, ACPI_PORT_CPU, 0x0c);
	aml_close(a);
	aml_close(a);
}

static void window32(struct aml *a, uint64_t base, uint64_t end)
{
	if (base < end)
		aml_dword_memory(a, false, (uint32_t)base, (uint32_t)(end - base));
}

static void pci_crs(struct aml *a, const struct acpi_facts *f)
{
	uint64_t base = f->window32.base, end = base + f->window32.len;
	uint64_t ecam = f->ecam_base, ecam_end = ecam + ((uint64_t)f->bus_count << 20);

	aml_crs(a);
	aml_bus_range(a, 0, f->bus_count != 0 ? (uint16_t)f->bus_count : 256);
	aml_io(a, 0xcf8, 8);
	aml_word_io(a, 0, 0xcf8);
	aml_word_io(a, 0xd00, 0xf300);
	if (f->has_vga)
		aml_dword_memory(a, true, 0xa0000, 0x20000);
	/* The ECAM is never a PCI resource: cut it out where the firmware put it inside. */
	if (f->bus_count != 0) {
		window32(a, base, ecam < end ? ecam : end);
		base = ecam_end > base ? ecam_end : base;
	}
	window32(a, base, end);
	if (f->window64.len != 0)
		aml_qword_memory(a, true, f->window64.base, f->window64.len);
	aml_close(a);
}

/*
 * All slots and pins: a device may be added anywhere. Source 0 means the index
 * is the GSI. The OS assumes what PCI says, level and active low, and programs
 * the IOAPIC so; KVM's ignores the polarity bit, a line set to 1 is asserted.
 */
static void pci_prt(struct aml *a, const struct acpi_facts *f)
{
	aml_name_package(a, "_PRT", ACPI_PCI_SLOTS * 4);
	for (unsigned slot = 0; slot < ACPI_PCI_SLOTS; slot++) {
		for (unsigned pin = 0; pin < 4; pin++) {
			aml_package(a, 4);
			aml_int(a, slot << 16 | 0xffff);
			aml_int(a, pin);
			aml_int(a, 0);
			aml_int(a, f->intx_gsi[slot][pin]);
			aml_close(a);
		}
	}
	aml_close(a);
}

/* PCI Firmware 3.3, 4.5.1: the status bits in dword 1 are 2 UUID, 3 revision, 4 masked. */
static void pci_osc(struct aml *a)
{
	/* 33db4d5b-1ff7-401c-9657-7441c03dd766 */
	static const uint8_t uuid[16] = { 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
					  0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66 };

	aml_name_bytes(a, "OSCU", uuid, sizeof(uuid));
	aml_method(a, "_OSC", 4, AML_SERIALIZED);
	aml_dword_field(a, "Arg3", 0, "CDW1");
	aml_if(a, "LEqual Arg0 OSCU");
	aml_dword_field(a, "Arg3", 8, "CDW3");
	aml_code(a, "And CDW3 %u Local0", OSC_CONTROL);
	aml_if(a, "LNotEqual Arg1 1");
	aml_code(a, "Or CDW1 0x08 CDW1");
	aml_close(a);
	aml_if(a, "LNotEqual CDW3 Local0");
	aml_code(a, "Or CDW1 0x10 CDW1");
	aml_close(a);
	aml_code(a, "Store Local0 CDW3");
	aml_close(a);
	aml_else(a);
	aml_code(a, "Or CDW1 0x04 CDW1");
	aml_close(a);
	aml_code(a, "Return Arg3");
	aml_close(a);
}

static bool removable(const struct acpi_facts *f, unsigned slot)
{
	return f->hotplug_pci && (f->removable >> slot & 1) != 0;
}

static void pci_slots(struct aml *a, const struct acpi_facts *f)
{
	for (unsigned slot = 0; slot < ACPI_PCI_SLOTS; slot++) {
		if ((f->slots >> slot & 1) == 0)
			continue;
		aml_device(a, "S%02X", slot);
		aml_name_int(a, "_ADR", slot << 16);
		/* _SUN names the slot to the user, _EJ0 makes it removable: both only if true. */
		if (removable(f, slot)) {
			aml_name_int(a, "_SUN", slot);
			aml_method(a, "_EJ0", 1, AML_PLAIN);
			aml_code(a, "PEJT %u", slot);
			aml_close(a);
		}
		aml_close(a);
	}
}

static void pci_hotplug(struct aml *a, const struct acpi_facts *f)
{
	aml_region(a, "PREG", AML_SYSTEM_IO, ACPI_PORT_PCI, 0x18);
	aml_field(a, "PREG", AML_ACC_DWORD, AML_WRITE_AS_ZEROS);
	aml_field_bits(a, "PUP", 32); /* slots with a new device; reading clears */
	aml_field_bits(a, "PDN", 32); /* slots whose device should go; reading clears */
	aml_field_bits(a, "PEJ", 32); /* write: eject these slots */
	aml_field_bits(a, "PRM", 32);
	aml_field_bits(a, "PBS", 32); /* bus selector, always 0 */
	aml_close(a);
	aml_mutex(a, "PLK");

	aml_method(a, "PEJT", 1, AML_SERIALIZED);
	aml_acquire(a, "PLK");
	aml_code(a, "Store 0 PBS");
	aml_code(a, "ShiftLeft 1 Arg0 PEJ");
	aml_release(a, "PLK");
	aml_close(a);

	aml_method(a, "PNT", 2, AML_SERIALIZED);
	for (unsigned slot = 0; slot < ACPI_PCI_SLOTS; slot++) {
		if (!removable(f, slot))
			continue;
		aml_if(a, "And Arg0 %u -", 1u << slot);
		aml_code(a, "Notify S%02X Arg1", slot);
		aml_close(a);
	}
	aml_close(a);

	aml_method(a, "PSC", 0, AML_SERIALIZED);
	aml_acquire(a, "PLK");
	aml_code(a, "Store 0 PBS");
	aml_code(a, "Store PUP Local0"); /* once: reading clears */
	aml_code(a, "Store PDN Local1");
	aml_code(a, "PNT Local0 1");
	aml_code(a, "PNT Local1 3");
	aml_release(a, "PLK");
	aml_close(a);
}

/* Without an 8259 in the hardware-reduced shape a GSI is not an ISA IRQ. */
static void isa_irq(struct aml *a, const struct acpi_facts *f, unsigned irq)
{
	if (f->hw_reduced)
		aml_interrupt(a, AML_IRQ_EDGE, irq);
	else
		aml_irq(a, irq);
}

/* COM @number: Windows takes that from _UID. */
static void serial_port(struct aml *a, const struct acpi_facts *f, unsigned number)
{
	const char name[] = { 'C', 'O', 'M', (char)('0' + number), '\0' };

	aml_device(a, "COM%u", number);
	aml_name_eisa(a, "_HID", "PNP0501");
	aml_name_int(a, "_UID", number);
	aml_name_str(a, "_DDN", name);
	aml_name_int(a, "_STA", STA_WORKING);
	aml_crs(a);
	aml_io(a, number == 1 ? 0x3f8 : 0x2f8, 8);
	isa_irq(a, f, number == 1 ? 4 : 3);
	aml_close(a);
	aml_close(a);
}

static void isa_devices(struct aml *a, const struct acpi_facts *f)
{
	if (f->has_serial)
		serial_port(a, f, 1);
	if (f->has_serial2)
		serial_port(a, f, 2);
	if (f->has_rtc) {
		aml_device(a, "RTC");
		aml_name_eisa(a, "_HID", "PNP0B00");
		aml_crs(a);
		aml_io(a, 0x70, 2);
		isa_irq(a, f, 8);
		aml_close(a);
		aml_close(a);
	}
	if (f->devices != NULL)
		f->devices(f->devices_ctx, a);
}

static void pci_root(struct aml *a, const struct acpi_facts *f)
{
	aml_device(a, "PCI0");
	aml_name_eisa(a, "_HID", "PNP0A08");
	aml_name_eisa(a, "_CID", "PNP0A03");
	aml_name_int(a, "_UID", 0);
	aml_name_int(a, "_SEG", 0);
	aml_name_int(a, "_BBN", 0);
	pci_crs(a, f);
	pci_prt(a, f);
	pci_osc(a);
	motherboard_ports(a, f);
	if (pci_hotplug_wanted(f))
		pci_hotplug(a, f);
	pci_slots(a, f);
	if (f->lpc_slot >= 0) {
		aml_device(a, "LPCB");
		aml_name_int(a, "_ADR", (uint64_t)f->lpc_slot << 16);
	}
	isa_devices(a, f);
	if (f->lpc_slot >= 0)
		aml_close(a);
	aml_close(a);
}

static void cpu_registers(struct aml *a)
{
	aml_region(a, "CREG", AML_SYSTEM_IO, ACPI_PORT_CPU, 0x0c);
	aml_field(a, "CREG", AML_ACC_BYTE, AML_WRITE_AS_ZEROS);
	aml_field_skip(a, 32);
	aml_field_bits(a, "CEN", 1); /* enabled */
	aml_field_bits(a, "CIN", 1); /* insert event; write 1: acknowledge */
	aml_field_bits(a, "CRM", 1); /* remove event; write 1: acknowledge */
	aml_field_bits(a, "CEJ", 1); /* write 1: eject */
	aml_field_skip(a, 4);
	aml_field_bits(a, "CCM", 8); /* command */
	aml_close(a);
	aml_field(a, "CREG", AML_ACC_DWORD, AML_PRESERVE);
	aml_field_bits(a, "CSL", 32); /* selector */
	aml_field_skip(a, 32);
	aml_field_bits(a, "CDA", 32); /* data of the command */
	aml_close(a);
	aml_mutex(a, "CLK");
}

/* _STA: enabled or not there. */
static void slot_status(struct aml *a, const char *method, const char *lock, const char *selector,
			const char *enabled)
{
	aml_method(a, method, 1, AML_SERIALIZED);
	aml_acquire(a, lock);
	aml_code(a, "Store Arg0 %s", selector);
	aml_code(a, "Store 0 Local0");
	aml_if(a, "%s", enabled);
	aml_code(a, "Store %u Local0", STA_WORKING);
	aml_close(a);
	aml_release(a, lock);
	aml_code(a, "Return Local0");
	aml_close(a);
}

static void slot_eject(struct aml *a, const char *method, const char *lock, const char *selector,
		       const char *eject)
{
	aml_method(a, method, 1, AML_SERIALIZED);
	aml_acquire(a, lock);
	aml_code(a, "Store Arg0 %s", selector);
	aml_code(a, "Store 1 %s", eject);
	aml_release(a, lock);
	aml_close(a);
}

/* Notify (<prefix>nnn, Arg1) for n == Arg0, one If each: no package, Windows limits those to 255. */
static void slot_notify(struct aml *a, const char *method, char prefix, unsigned count)
{
	aml_method(a, method, 2, AML_SERIALIZED);
	for (unsigned i = 0; i < count; i++) {
		aml_if(a, "LEqual Arg0 %u", i);
		aml_code(a, "Notify %c%03X Arg1", prefix, i);
		aml_close(a);
	}
	aml_close(a);
}

static void cpu_methods(struct aml *a, unsigned count)
{
	slot_status(a, "CST", "CLK", "CSL", "CEN");
	slot_eject(a, "CEJT", "CLK", "CSL", "CEJ");

	/* _OST (event, status): commands 1 and 2 */
	aml_method(a, "COS", 3, AML_SERIALIZED);
	aml_acquire(a, "CLK");
	aml_code(a, "Store Arg0 CSL");
	aml_code(a, "Store 1 CCM");
	aml_code(a, "Store Arg1 CDA");
	aml_code(a, "Store 2 CCM");
	aml_code(a, "Store Arg2 CDA");
	aml_release(a, "CLK");
	aml_close(a);

	slot_notify(a, "CNT", 'C', count);

	/*
	 * Scan: command 0 finds the next processor with an event, from the selected
	 * one on, and wraps. Both bits of one are looked at: an add may be followed
	 * by a remove before the guest has looked.
	 */
	aml_method(a, "CSC", 0, AML_SERIALIZED);
	aml_acquire(a, "CLK");
	aml_code(a, "Store 0 Local0");
	aml_while(a, "LLess Local0 %u", count);
	aml_code(a, "Store Local0 CSL");
	aml_code(a, "Store 0 CCM");
	aml_code(a, "Store CDA Local1");
	aml_if(a, "LLess Local1 Local0"); /* wrapped round */
	aml_code(a, "Break");
	aml_close(a);
	aml_code(a, "Store CIN Local2");
	aml_code(a, "Store CRM Local3");
	aml_if(a, "LEqual Or Local2 Local3 - 0");
	aml_code(a, "Break");
	aml_close(a);
	aml_if(a, "Local2");
	aml_code(a, "CNT Local1 1");
	aml_code(a, "Store 1 CIN");
	aml_close(a);
	aml_if(a, "Local3");
	aml_code(a, "CNT Local1 3");
	aml_code(a, "Store 1 CRM");
	aml_close(a);
	aml_code(a, "Add Local1 1 Local0");
	aml_close(a);
	aml_release(a, "CLK");
	aml_close(a);
}

static void processor(struct aml *a, const struct acpi_facts *f, unsigned i)
{
	uint8_t mat[MADT_CPU_MAX];
	size_t n = madt_cpu_write(mat, i, f->cpus[i].apic_id, MADT_CPU_ENABLED);

	aml_device(a, "C%03X", i);
	aml_name_str(a, "_HID", "ACPI0007");
	aml_name_int(a, "_UID", i);
	if (f->memory != NULL)
		aml_name_int(a, "_PXM", f->cpus[i].node);
	aml_name_bytes(a, "_MAT", mat, n); /* Enabled also while absent: Linux wants it so */
	if (!f->hotplug_cpu) {
		aml_name_int(a, "_STA", STA_WORKING);
		aml_close(a);
		return;
	}
	aml_method(a, "_STA", 0, AML_PLAIN);
	aml_code(a, "Return CST %u", i);
	aml_close(a);
	aml_method(a, "_OST", 3, AML_PLAIN);
	aml_code(a, "COS %u Arg0 Arg1", i);
	aml_close(a);
	if (i != 0) {
		aml_method(a, "_EJ0", 1, AML_PLAIN);
		aml_code(a, "CEJT %u", i);
		aml_close(a);
	}
	aml_close(a);
}

static void processors(struct aml *a, const struct acpi_facts *f)
{
	aml_device(a, "CPUS");
	aml_name_str(a, "_HID", "ACPI0010");
	aml_name_eisa(a, "_CID", "PNP0A05");
	aml_name_str(a, "_UID", "processors");
	if (f->hotplug_cpu) {
		cpu_registers(a);
		cpu_methods(a, (unsigned)f->cpu_count);
	}
	for (unsigned i = 0; i < f->cpu_count; i++)
		if (f->hotplug_cpu || f->cpus[i].present)
			processor(a, f, i);
	aml_close(a);
}

static void memory_registers(struct aml *a)
{
	aml_region(a, "MREG", AML_SYSTEM_IO, ACPI_PORT_MEMORY, 0x18);
	aml_field(a, "MREG", AML_ACC_DWORD, AML_PRESERVE); /* reading */
	aml_field_bits(a, "MBL", 32);
	aml_field_bits(a, "MBH", 32);
	aml_field_bits(a, "MLL", 32);
	aml_field_bits(a, "MLH", 32);
	aml_field_bits(a, "MPX", 32);
	aml_close(a);
	aml_field(a, "MREG", AML_ACC_BYTE, AML_WRITE_AS_ZEROS);
	aml_field_skip(a, 0x14 * 8);
	aml_field_bits(a, "MEN", 1);
	aml_field_bits(a, "MIN", 1);
	aml_field_bits(a, "MRM", 1);
	aml_field_bits(a, "MEJ", 1);
	aml_close(a);
	aml_field(a, "MREG", AML_ACC_DWORD, AML_PRESERVE); /* writing, same ports */
	aml_field_bits(a, "MSL", 32);
	aml_field_bits(a, "MOE", 32);
	aml_field_bits(a, "MOS", 32);
	aml_close(a);
	aml_mutex(a, "MLK");
}

/*
 * _CRS of a slot: one range, filled from the registers. Sums of 64 bits need DSDT revision 2.
 * An empty slot has no resources: a range with both ends fixed must not be empty (ACPI 6.5, 6.4.3.5).
 */
static void memory_crs(struct aml *a)
{
	aml_method(a, "MCR", 1, AML_SERIALIZED);
	aml_resources(a, "RT");
	aml_qword_memory(a, true, 0, UINT64_MAX);
	aml_close(a);
	aml_qword_field(a, "RT", 14, "RMIN");
	aml_qword_field(a, "RT", 22, "RMAX");
	aml_qword_field(a, "RT", 38, "RLEN");
	aml_acquire(a, "MLK");
	aml_code(a, "Store Arg0 MSL");
	aml_code(a, "Or ShiftLeft MBH 32 - MBL RMIN");
	aml_code(a, "Or ShiftLeft MLH 32 - MLL RLEN");
	aml_release(a, "MLK");
	aml_if(a, "LEqual RLEN 0");
	aml_resources(a, "RE");
	aml_close(a);
	aml_code(a, "Return RE");
	aml_close(a);
	aml_code(a, "Subtract Add RMIN RLEN - 1 RMAX");
	aml_code(a, "Return RT");
	aml_close(a);
}

static void memory_methods(struct aml *a, unsigned slots, bool pxm)
{
	slot_status(a, "MST", "MLK", "MSL", "MEN");
	slot_eject(a, "MEJT", "MLK", "MSL", "MEJ");
	memory_crs(a);

	if (pxm) {
		aml_method(a, "MPR", 1, AML_SERIALIZED);
		aml_acquire(a, "MLK");
		aml_code(a, "Store Arg0 MSL");
		aml_code(a, "Store MPX Local0");
		aml_release(a, "MLK");
		aml_code(a, "Return Local0");
		aml_close(a);
	}

	aml_method(a, "MOT", 3, AML_SERIALIZED);
	aml_acquire(a, "MLK");
	aml_code(a, "Store Arg0 MSL");
	aml_code(a, "Store Arg1 MOE");
	aml_code(a, "Store Arg2 MOS");
	aml_release(a, "MLK");
	aml_close(a);

	slot_notify(a, "MNT", 'M', slots);

	aml_method(a, "MSC", 0, AML_SERIALIZED);
	aml_acquire(a, "MLK");
	aml_code(a, "Store 0 Local0");
	aml_while(a, "LLess Local0 %u", slots);
	aml_code(a, "Store Local0 MSL");
	aml_code(a, "Store MIN Local1");
	aml_code(a, "Store MRM Local2");
	aml_if(a, "Local1");
	aml_code(a, "MNT Local0 1");
	aml_code(a, "Store 1 MIN");
	aml_close(a);
	aml_if(a, "Local2");
	aml_code(a, "MNT Local0 3");
	aml_code(a, "Store 1 MRM");
	aml_close(a);
	aml_code(a, "Increment Local0");
	aml_close(a);
	aml_release(a, "MLK");
	aml_close(a);
}

static void memory_slots(struct aml *a, const struct acpi_facts *f)
{
	bool pxm = f->memory != NULL;

	aml_device(a, "MEMS");
	aml_name_eisa(a, "_HID", "PNP0A06");
	aml_name_str(a, "_UID", "memory slots");
	aml_name_int(a, "_STA", STA_HOUSEKEEPING);
	memory_registers(a);
	memory_methods(a, f->memory_slots, pxm);
	for (unsigned i = 0; i < f->memory_slots; i++) {
		aml_device(a, "M%03X", i);
		aml_name_eisa(a, "_HID", "PNP0C80");
		aml_name_int(a, "_UID", i);
		aml_method(a, "_STA", 0, AML_PLAIN);
		aml_code(a, "Return MST %u", i);
		aml_close(a);
		aml_method(a, "_CRS", 0, AML_SERIALIZED);
		aml_code(a, "Return MCR %u", i);
		aml_close(a);
		if (pxm) {
			aml_method(a, "_PXM", 0, AML_PLAIN);
			aml_code(a, "Return MPR %u", i);
			aml_close(a);
		}
		aml_method(a, "_EJ0", 1, AML_PLAIN);
		aml_code(a, "MEJT %u", i);
		aml_close(a);
		aml_method(a, "_OST", 3, AML_PLAIN);
		aml_code(a, "MOT %u Arg0 Arg1", i);
		aml_close(a);
		aml_close(a);
	}
	aml_close(a);
}

static void vmgenid(struct aml *a, const struct acpi_facts *f)
{
	aml_device(a, "VGEN");
	aml_name_str(a, "_HID", "SILL0005");
	aml_name_str(a, "_CID", "VM_Gen_Counter");
	aml_name_str(a, "_DDN", "VM_Gen_Counter");
	aml_name_package(a, "ADDR", 2);
	aml_int(a, f->vmgenid_gpa & UINT32_MAX);
	aml_int(a, f->vmgenid_gpa >> 32);
	aml_close(a);
	aml_close(a);
}

/* What each kind of event runs. */
static const struct event {
	const char *method, *run;
	uint8_t ged;
} events[] = {
	{ "_E01", "\\_SB.PCI0.PSC", ACPI_GED_PCI },
	{ "_E02", "\\_SB.CPUS.CSC", ACPI_GED_CPU },
	{ "_E03", "\\_SB.MEMS.MSC", ACPI_GED_MEMORY },
	{ "_E05", "Notify \\_SB.VGEN 0x80", ACPI_GED_VMGENID },
	{ "", "Notify \\_SB.PWRB 0x80", ACPI_GED_POWER },
};

static bool event_wanted(const struct acpi_facts *f, const struct event *ev)
{
	switch ((enum acpi_ged)ev->ged) {
	case ACPI_GED_CPU:
		return f->hotplug_cpu;
	case ACPI_GED_MEMORY:
		return f->memory_slots != 0;
	case ACPI_GED_PCI:
		return pci_hotplug_wanted(f);
	case ACPI_GED_POWER:
		return f->hw_reduced; /* else the fixed button of PM1 */
	case ACPI_GED_VMGENID:
		return f->vmgenid_gpa != 0;
	}
	return false;
}

/* _Exx, edge: the OS clears the bit before it runs the method, so none is lost meanwhile. */
static void gpe_methods(struct aml *a, const struct acpi_facts *f)
{
	aml_scope(a, "\\_GPE");
	for (unsigned i = 0; i < ARRAY_LEN(events); i++) {
		if (!event_wanted(f, &events[i]))
			continue;
		aml_method(a, events[i].method, 0, AML_PLAIN);
		aml_code(a, "%s", events[i].run);
		aml_close(a);
	}
	aml_close(a);
}

static void ged(struct aml *a, const struct acpi_facts *f)
{
	aml_device(a, "PWRB");
	aml_name_eisa(a, "_HID", "PNP0C0C");
	aml_name_int(a, "_UID", 0);
	aml_close(a);

	aml_device(a, "GED");
	aml_name_str(a, "_HID", "ACPI0013");
	aml_name_int(a, "_UID", 0);
	aml_crs(a);
	aml_interrupt(a, AML_IRQ_EDGE, f->ged_gsi);
	aml_close(a);
	aml_region(a, "GREG", AML_SYSTEM_IO, f->ged_port, 1);
	aml_field(a, "GREG", AML_ACC_BYTE, AML_WRITE_AS_ZEROS);
	aml_field_bits(a, "GEV", 8);
	aml_close(a);
	aml_method(a, "_EVT", 1, AML_SERIALIZED);
	aml_code(a, "Store GEV Local0"); /* once: reading clears */
	for (unsigned i = 0; i < ARRAY_LEN(events); i++) {
		if (!event_wanted(f, &events[i]))
			continue;
		aml_if(a, "And Local0 %u -", events[i].ged);
		aml_code(a, "%s", events[i].run);
		aml_close(a);
	}
	aml_close(a);
	aml_close(a);
}

/*
 * SLP_TYP of S5. PM1_CNT takes any value we publish; the hardware-reduced
 * sleep register is the byte at pm_base, where 5 makes the value 0x34.
 */
static void sleep_states(struct aml *a, const struct acpi_facts *f)
{
	unsigned type = f->hw_reduced ? 5 : 0;

	aml_name_package(a, "\\_S5", 4);
	aml_int(a, type);
	aml_int(a, type);
	aml_int(a, 0);
	aml_int(a, 0);
	aml_close(a);
}

int dsdt_write(struct buf *out, const struct acpi_facts *f)
{
	struct aml a;

	aml_init(&a, out);
	sleep_states(&a, f);
	aml_scope(&a, "\\_SB");
	motherboard_memory(&a, f);
	pci_root(&a, f);
	processors(&a, f);
	if (f->memory_slots != 0)
		memory_slots(&a, f);
	if (f->vmgenid_gpa != 0)
		vmgenid(&a, f);
	if (f->hw_reduced)
		ged(&a, f);
	aml_close(&a);
	if (!f->hw_reduced)
		gpe_methods(&a, f);
	return aml_end(&a);
}
