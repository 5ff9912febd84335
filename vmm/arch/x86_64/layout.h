/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - the PC's address space, drawn once.
 *
 *   0xffffffff +----------------------------+
 *              | flash: code ends at 4 GiB, |
 *              | variables right below it   |
 *   0xff000000 +----------------------------+ (2 MiB to 8 MiB of it used)
 *   0xfeffc000 | KVM identity map, TSS      |
 *   0xfee00000 | local APIC                 |
 *   0xfed40000 | TPM (absent: all ones)     |
 *   0xfec00000 | IOAPIC                     |
 *   0xf8000000 +----------------------------+
 *              | 32-bit BARs                |
 *   0xc0000000 +----------------------------+
 *   0xb0000000 | ECAM, 256 MiB, where       |  or 0xe0000000: newer OVMF programs
 *              | PCIEXBAR says              |  that, and gives BARs what is below
 *   0x80000000 +----------------------------+
 *              | RAM, at most 2 GiB here,   |
 *              | the rest above 4 GiB       |
 *   0x00100000 +----------------------------+
 *   0x000f0000 | SMBIOS (door B)            |  RAM-backed, not in the memory map
 *   0x000e8000 | VM generation id           |  RAM-backed, not in the memory map
 *   0x000c0000 | ACPI tables (door B)       |  RAM-backed, not in the memory map
 *   0x000a0000 | nothing (VGA)              |
 *   0x00000000 +----------------------------+ RAM
 *
 * Above 4 GiB: RAM, then the area for memory that comes later, then up to the very top,
 * for N physical address bits, 64-bit BARs from layout_mem64_base() to 2^N: the
 * window that OVMF computes by itself (OvmfPkg PlatformInitLib, 2022.11 and
 * later) lies in it.
 */
#ifndef ARCH_X86_64_LAYOUT_H
#define ARCH_X86_64_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define LAYOUT_LOW_RAM_END 0xa0000ull
#define LAYOUT_SHADOW      0xc0000ull /* RAM-backed up to 1 MiB */
#define LAYOUT_ACPI        0xc0000ull /* below 0xe0000: systems search RSDPs from there on */
#define LAYOUT_ACPI_END    0xe0000ull
#define LAYOUT_VMGENID     0xe8000ull /* the 16-byte generation id: RAM, in nobody's memory map */
#define LAYOUT_SMBIOS      0xf0000ull
#define LAYOUT_HIGH_RAM    0x100000ull
#define LAYOUT_LOW_RAM_MAX 0x80000000ull
#define LAYOUT_ECAM        0xb0000000ull /* where 2022.11 firmware puts it; preset for door B */
#define LAYOUT_ECAM_SIZE   0x10000000ull
#define LAYOUT_MEM32       0xc0000000ull
#define LAYOUT_MEM32_END   0xf7ffffffull
#define LAYOUT_MEM32_NEW   0x80000000ull /* window of firmware that puts the ECAM at 0xe0000000 */
#define LAYOUT_IOAPIC      0xfec00000ull
#define LAYOUT_LAPIC       0xfee00000ull
#define LAYOUT_KVM         0xfeffc000ull /* one page for the identity map of old Intel hosts */
#define LAYOUT_KVM_TSS     0xfeffd000ull /* and three for the task state segment (chips.c) */
#define LAYOUT_KVM_END     0xff000000ull
#define LAYOUT_FLASH_MAX   0x1000000ull /* code and variables together, below 4 GiB */
#define LAYOUT_4G          0x100000000ull
#define LAYOUT_MEM64_OVMF  0x800000000ull /* OVMF's PcdPciMmio64Size */

/* What the boot code puts into low RAM for door B; the low 64 KiB are zeroed at reset. */
#define LAYOUT_BOOT_GDT     0x500ull
#define LAYOUT_BOOT_IDT     0x520ull
#define LAYOUT_START_INFO   0x6000ull
#define LAYOUT_ZERO_PAGE    0x7000ull
#define LAYOUT_CMDLINE      0x20000ull
#define LAYOUT_RESET_ZEROED 0x10000ull

/* Ports. */
enum {
	PORT_I8042_DATA = 0x60,
	PORT_SYSTEM_B = 0x61, /* with the PIT, in KVM */
	PORT_I8042_CMD = 0x64,
	PORT_RTC = 0x70,
	PORT_POST = 0x80,
	PORT_A20 = 0x92,
	PORT_COM2 = 0x2f8,
	PORT_COM1 = 0x3f8,
	PORT_DEBUGCON = 0x402,
	PORT_FW_CFG = 0x510,
	PORT_PM = 0x600, /* where OVMF programs PMBASE for a Q35 */
	PORT_PCI_CONFIG = 0xcf8,
	PORT_RESET = 0xcf9,
};

#define LAYOUT_PCI_IO     0x1000ull /* I/O BARs; firmware takes 0x6000 or 0xc000 and up */
#define LAYOUT_PCI_IO_END 0xffffull

/* ISA interrupt lines. */
enum { IRQ_COM2 = 3, IRQ_COM1 = 4, IRQ_RTC = 8, IRQ_SCI = 9 };

/* RAM below 4 GiB; the rest of @size begins there. */
static inline uint64_t layout_low_ram(uint64_t size)
{
	return size < LAYOUT_LOW_RAM_MAX ? size : LAYOUT_LOW_RAM_MAX;
}

/* Where RAM ends. */
static inline uint64_t layout_ram_end(uint64_t size)
{
	return size > LAYOUT_LOW_RAM_MAX ? LAYOUT_4G + size - LAYOUT_LOW_RAM_MAX : size;
}

/*
 * Where memory that comes later begins. Linux takes blocks of 128 MiB, or, from 64 GiB of memory on, of up
 * to 2 GiB, which must begin at a multiple of their size (arch/x86/mm/init_64.c).
 */
#define LAYOUT_HOT_ALIGN 0x80000000ull

static inline uint64_t layout_hot_base(uint64_t size)
{
	const uint64_t end = layout_ram_end(size) < LAYOUT_4G ? LAYOUT_4G : layout_ram_end(size);

	return (end + LAYOUT_HOT_ALIGN - 1) & ~(LAYOUT_HOT_ALIGN - 1);
}

static inline uint64_t layout_hot_block(uint64_t size)
{
	return size < 64ull << 30 ? 128ull << 20 : LAYOUT_HOT_ALIGN;
}

/* Where all memory that there ever can be ends, with @hot bytes that may come. */
static inline uint64_t layout_memory_end(uint64_t size, uint64_t hot)
{
	return hot == 0 ? layout_ram_end(size) : layout_hot_base(size) + hot;
}

/*
 * Firmware puts 64-bit BARs into the top eighth of the address space if it
 * believes @bits and that is more than 32 GiB; else into 32 GiB that begin at
 * a multiple of that behind RAM. It believes what real processors have.
 */
static inline uint64_t layout_mem64_base(unsigned bits, bool amd, uint64_t ram_end)
{
	const uint64_t classic = LAYOUT_MEM64_OVMF;
	bool believed = bits >= 41 || (amd ? bits == 40 : bits == 36 || bits == 39);

	if (believed && 1ull << (bits - 3) > classic)
		return (1ull << bits) - (1ull << (bits - 3));
	if (ram_end < LAYOUT_4G)
		ram_end = LAYOUT_4G;
	return (ram_end + classic - 1) & ~(classic - 1);
}

/* RAM ends below the window, and the firmware's lies within the address bits. */
static inline bool layout_mem64_fits(unsigned bits, bool amd, uint64_t ram_end)
{
	uint64_t base = layout_mem64_base(bits, amd, ram_end), end = 1ull << bits;

	return ram_end <= base && base < end && end - base >= LAYOUT_MEM64_OVMF;
}

static inline uint64_t layout_mem64_end(unsigned bits)
{
	return (1ull << bits) - 1;
}

_Static_assert(LAYOUT_LOW_RAM_MAX <= LAYOUT_MEM32_NEW, "RAM below every BAR window");
_Static_assert(LAYOUT_LOW_RAM_MAX <= LAYOUT_ECAM, "RAM below the ECAM");
_Static_assert(LAYOUT_ECAM + LAYOUT_ECAM_SIZE <= LAYOUT_MEM32, "ECAM below the BARs");
_Static_assert(LAYOUT_MEM32_END < LAYOUT_IOAPIC, "BARs below the IOAPIC");
_Static_assert(LAYOUT_KVM_END <= LAYOUT_4G - LAYOUT_FLASH_MAX, "KVM's pages below the flash");
_Static_assert(LAYOUT_ACPI_END <= LAYOUT_VMGENID, "ACPI below the generation id");
_Static_assert(LAYOUT_VMGENID + 4096 <= LAYOUT_SMBIOS, "generation id below SMBIOS");
_Static_assert(LAYOUT_CMDLINE >= LAYOUT_RESET_ZEROED || LAYOUT_ZERO_PAGE < LAYOUT_RESET_ZEROED,
	       "boot data is written again after the zeroing");

#endif
