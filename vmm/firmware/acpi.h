/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.h - the ACPI tables: facts in, bytes out (ACPI 6.5).
 *
 * One generator makes all tables in one blob with a list of relocations; two
 * back-ends place them: at an absolute address (PVH boot, door B), or as the
 * fw_cfg files of the firmware's table loader (door A).
 *
 *	acpi_build(&t, &facts, &e)
 *	  -> acpi_link_absolute(&t, gpa, &image)    one image, RSDP first
 *	  -> acpi_link_loader(&t, &files)           rsdp, tables, table-loader
 *
 * Pure functions; no state, any thread.
 */
#ifndef FIRMWARE_ACPI_H
#define FIRMWARE_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

struct aml;

#define ACPI_TABLES_SIZE 0x20000u /* etc/acpi/tables, always: 255 hot-pluggable CPUs need a third */
#define ACPI_LOADER_SIZE 0x2000u  /* etc/table-loader, always: 64 commands, 33 are used */
#define ACPI_RSDP_SIZE   36u      /* etc/acpi/rsdp */

#define ACPI_MAX_TABLES 16u
#define ACPI_MAX_RELOCS 64u
#define ACPI_PCI_SLOTS  32u

struct acpi_range {
	uint64_t base;
	uint64_t len; /* 0: none */
};

/* A possible CPU. Its index is its ACPI uid and its number in the hotplug block. */
struct acpi_cpu {
	uint32_t apic_id; /* 255 and above become x2APIC entries */
	uint32_t node;    /* with srat */
	bool present;
};

struct acpi_memory {
	struct acpi_range range;
	uint32_t node;
	bool hotplug; /* a hot-pluggable area, not RAM that is there */
};

/*
 * What the tables say. All pointers are borrowed for the call of acpi_build().
 * A device that describes itself through @devices must not be announced by a
 * flag here as well.
 */
struct acpi_facts {
	const struct acpi_cpu *cpus; /* [0] is the boot processor and present */
	size_t cpu_count;            /* possible ones, 1..1024 */

	uint64_t ecam_base;         /* below 4 GiB; where PCIEXBAR says */
	unsigned bus_count;         /* up to 256, 1 MiB of ECAM each; 0: there is none */
	struct acpi_range window32; /* 32-bit BARs; the ECAM is cut out of it if it lies inside */
	struct acpi_range window64; /* 64-bit BARs; len 0: none */
	uint32_t slots;             /* bit n: 00:n.0 may hold a device; gets an object */
	uint32_t removable;         /* bit n: with hotplug_pci, slot n gets _SUN and _EJ0 */
	int lpc_slot;               /* the ISA bridge, parent of COM1 and the RTC; -1: none */
	uint8_t intx_gsi[ACPI_PCI_SLOTS][4]; /* the GSI of each slot's INTA..INTD, 16..23 */

	uint16_t pm_base; /* PM1a event +0, control +4, PM timer +8, GPE0 +0x20 (16 bytes) */
	bool pm_timer_32; /* the PM timer counts 32 bits, else 24 */
	uint8_t sci;      /* GSI, level, active high */
	uint16_t reset_port;
	uint8_t reset_value;
	uint8_t century; /* CMOS index; 0: none */

	bool has_serial;   /* COM1 at 0x3f8, IRQ 4: device and SPCR */
	bool has_watchdog; /* at ACPI_PORT_WATCHDOG: WDAT */
	bool has_serial2;  /* COM2 at 0x2f8, IRQ 3 */
	bool has_rtc;      /* 0x70, IRQ 8 */
	bool has_i8042;
	bool has_vga;
	bool has_fw_cfg; /* only reserves its ports */

	bool hotplug_pci;      /* registers at 0xcc0, GPE 1 */
	bool hotplug_cpu;      /* registers at 0xcd8, GPE 2; absent CPUs are listed */
	unsigned memory_slots; /* registers at 0xa00, GPE 3; 0: no memory hotplug; at most 256 */

	const struct acpi_memory *memory; /* NULL: no SRAT */
	size_t memory_count;

	uint64_t vmgenid_gpa; /* of the 16-byte GUID; 0: none; GPE 5 */

	bool hw_reduced;   /* the hardware-reduced shape: GED instead of SCI, PM1 and GPE0 */
	uint16_t ged_port; /* hw_reduced: one byte, reading clears; ACPI_GED_* */
	uint8_t ged_gsi;   /* edge, active high */

	/* Called once with the ISA bridge (PCI0 without one) open; each device appends its own. */
	void (*devices)(void *ctx, struct aml *scope);
	void *devices_ctx;
};

#define ACPI_PORT_MEMORY   0x0a00u /* the hotplug blocks, where QEMU's Q35 has them */
#define ACPI_PORT_PCI      0x0cc0u
#define ACPI_PORT_WATCHDOG 0x0ca0u /* devices/acpi/watchdog.h has its registers */
#define ACPI_PORT_CPU      0x0cd8u

/* The watchdog's tick, and how many it counts: WDAT tells the guest. */
enum { WATCHDOG_TICK_MS = 100, WATCHDOG_MIN = 10, WATCHDOG_MAX = 65535 };

enum acpi_gpe { ACPI_GPE_PCI = 1, ACPI_GPE_CPU = 2, ACPI_GPE_MEMORY = 3, ACPI_GPE_VMGENID = 5 };
/* Bits of the GED byte. */
enum acpi_ged {
	ACPI_GED_CPU = 0x01,
	ACPI_GED_MEMORY = 0x02,
	ACPI_GED_PCI = 0x04,
	ACPI_GED_POWER = 0x08,
	ACPI_GED_VMGENID = 0x10,
};

struct acpi_table {
	uint32_t off; /* in the blob */
	uint32_t size;
	char sig[4];
	bool has_checksum; /* all but the FACS */
};

/* A pointer inside the blob to another place inside the blob. */
struct acpi_reloc {
	uint32_t off; /* of the pointer; it holds the offset of its target */
	uint8_t size; /* 4 or 8 */
};

/* Caller-allocated; zero it or acpi_build() it before acpi_tables_fini(). */
struct acpi_tables {
	struct buf blob; /* all tables; the first byte must land on a multiple of 64 */
	struct acpi_table table[ACPI_MAX_TABLES];
	unsigned table_count;
	struct acpi_reloc reloc[ACPI_MAX_RELOCS];
	unsigned reloc_count;
	uint32_t rsdt, xsdt; /* offsets in the blob */
};

/*
 * Make the tables. -1: ERR_INTERNAL for facts that contradict each other,
 * ERR_LIMIT when they do not fit into ACPI_TABLES_SIZE. @t is then empty.
 */
int acpi_build(struct acpi_tables *t, const struct acpi_facts *f, struct sill_err *e) MUST_CHECK;
/* The same without allocating: acpi_tables_reserve() once, then acpi_rebuild() as often as wanted. */
int acpi_tables_reserve(struct acpi_tables *t, struct sill_err *e) MUST_CHECK;
int acpi_rebuild(struct acpi_tables *t, const struct acpi_facts *f, struct sill_err *e) MUST_CHECK;
void acpi_tables_fini(struct acpi_tables *t);

/*
 * The image for guest address @gpa (a multiple of 64, all of it below 4 GiB):
 * the RSDP at its first byte. Appended to @image, which the caller inited.
 */
int acpi_link_absolute(const struct acpi_tables *t, uint64_t gpa, struct buf *image,
		       struct sill_err *e) MUST_CHECK;

/*
 * The three files, each exactly ACPI_*_SIZE bytes whatever the facts, so that
 * a directory can be made first and the content when the guest selects it.
 */
int acpi_link_loader(const struct acpi_tables *t, uint8_t rsdp[ACPI_RSDP_SIZE],
		     uint8_t tables[ACPI_TABLES_SIZE], uint8_t loader[ACPI_LOADER_SIZE],
		     struct sill_err *e) MUST_CHECK;

#endif
