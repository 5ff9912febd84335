/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.c - see acpi.h. Tables of ACPI 6.5 chapter 5, PCI Firmware 3.3 (MCFG),
 * Microsoft's SPCR and WAET specifications. The DSDT is dsdt.c's.
 *
 * Every pointer between tables is written as the target's offset in the blob
 * and noted in the list of relocations. That is what fw_cfg's table loader
 * adds a base to; for an absolute image we add it ourselves. Checksums stay 0
 * until the pointers are final.
 */
#include "firmware/acpi.h"

#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "firmware/dsdt.h"

#define OEM_REVISION  1u
#define CREATOR       "SILL"
#define HEADER_SIZE   36u
#define CHECKSUM_AT   9u
#define TABLE_ALIGN   16u
#define FACS_ALIGN    64u
#define MAX_CPUS      1024u
#define MAX_MEM_SLOTS 256u

#define LAPIC_BASE  0xfee00000u
#define IOAPIC_BASE 0xfec00000u

/* As in the tables: no NUL. */
static const char oem_id[6] = { 'S', 'I', 'L', 'L', ' ', ' ' };
static const char rsdp_sig[8] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' };

/* ---- building ---- */

struct builder {
	struct acpi_tables *t;
	const struct acpi_facts *f;
	bool broken; /* a list of acpi_tables is full */
};

/* Begin a table: header with a length and checksum of 0. @id8: 8 characters. */
static uint32_t table_open(struct builder *b, const char *sig, uint8_t revision, const char *id8)
{
	struct buf *blob = &b->t->blob;
	uint32_t off;

	buf_align(blob, TABLE_ALIGN);
	off = (uint32_t)blob->size;
	(void)buf_add(blob, sig, 4);
	(void)buf_add32(blob, 0);
	(void)buf_add8(blob, revision);
	(void)buf_add8(blob, 0);
	(void)buf_add(blob, oem_id, sizeof(oem_id));
	(void)buf_add(blob, id8, 8);
	(void)buf_add32(blob, OEM_REVISION);
	(void)buf_add(blob, CREATOR, 4);
	(void)buf_add32(blob, 1);
	return off;
}

static void table_note(struct builder *b, uint32_t off, const char *sig, bool has_checksum)
{
	struct acpi_tables *t = b->t;
	struct acpi_table *e = &t->table[t->table_count];

	if (t->table_count == ACPI_MAX_TABLES) {
		b->broken = true;
		return;
	}
	*e = (struct acpi_table){ .off = off,
				  .size = (uint32_t)t->blob.size - off,
				  .has_checksum = has_checksum };
	memcpy(e->sig, sig, sizeof(e->sig));
	t->table_count++;
}

static void table_close(struct builder *b, uint32_t off, const char *sig)
{
	uint8_t size[4];

	st32(size, (uint32_t)b->t->blob.size - off);
	buf_put(&b->t->blob, off + 4, size, sizeof(size));
	table_note(b, off, sig, true);
}

/* The @size bytes at @off hold, or get, the offset of another place. */
static void pointer(struct builder *b, uint32_t off, uint8_t size, uint32_t target)
{
	struct acpi_tables *t = b->t;
	uint8_t v[8];

	if (t->reloc_count == ACPI_MAX_RELOCS) {
		b->broken = true;
		return;
	}
	st64(v, target);
	buf_put(&t->blob, off, v, size);
	t->reloc[t->reloc_count++] = (struct acpi_reloc){ .off = off, .size = size };
}

static uint32_t facs(struct builder *b)
{
	struct buf *blob = &b->t->blob;
	uint32_t off;

	buf_align(blob, FACS_ALIGN);
	off = (uint32_t)blob->size;
	(void)buf_add(blob, "FACS", 4);
	(void)buf_add32(blob, 64);
	(void)buf_add32(blob,
			0); /* hardware signature: constant, a changed one voids hibernation */
	(void)buf_add(blob, NULL, 20);
	(void)buf_add8(blob, 2); /* version */
	(void)buf_add(blob, NULL, 31);
	table_note(b, off, "FACS", false);
	return off;
}

static int dsdt(struct builder *b, uint32_t *ret_off)
{
	*ret_off = table_open(b, "DSDT", 2, "SILLDSDT"); /* 2: 64-bit integers */
	if (dsdt_write(&b->t->blob, b->f) < 0)
		return -1;
	table_close(b, *ret_off, "DSDT");
	return 0;
}

enum fadt_flag {
	FADT_WBINVD = 1u << 0,         /* must be set (ACPI 6.5, 5.2.9) */
	FADT_PROC_C1 = 1u << 2,        /* HLT is C1 on every processor: QEMU, OpenVMM */
	FADT_SLP_BUTTON = 1u << 5,     /* set: no fixed sleep button; QEMU, OpenVMM */
	FADT_RTC_S4 = 1u << 7,         /* without S4 it says nothing; kept as in QEMU and OpenVMM */
	FADT_TMR_VAL_EXT = 1u << 8,    /* 32-bit PM timer */
	FADT_RESET_REG_SUP = 1u << 10, /* the reset register works */
	FADT_PLATFORM_CLOCK = 1u << 15, /* prefer the PM timer to a TSC that may drift */
	FADT_FORCE_CLUSTER = 1u << 18,  /* flat logical APIC ids end at 8 processors */
	FADT_HW_REDUCED = 1u << 20,
	/*
	 * Clear on purpose: 4 PWR_BUTTON (clear: the fixed button of PM1 exists),
	 * 6 FIX_RTC (clear: RTC_EN and RTC_STS exist), 14 PCI_EXP_WAK, 16
	 * S4_RTC_STS_VALID, 19 FORCE_PHYSICAL.
	 */
};

enum iapc_boot_arch {
	IAPC_8042 = 1u << 1,
	IAPC_NO_VGA = 1u << 2,
	IAPC_NO_CMOS_RTC = 1u << 5,
	/*
	 * Clear on purpose: 0 LEGACY_DEVICES (as QEMU, although there is a COM1:
	 * everything is in the DSDT, nothing needs to be probed), 3 no MSI.
	 */
};

enum gas_access { GAS_BYTE = 1, GAS_WORD = 2, GAS_DWORD = 3 };

/* A generic address (5.2.3.2) in I/O space. */
static void gas_io(uint8_t *p, uint16_t port, uint8_t bits, enum gas_access access)
{
	p[0] = 1;
	p[1] = bits;
	p[2] = 0;
	p[3] = (uint8_t)access;
	st64(p + 4, port);
}

static void fadt_fixed_hardware(uint8_t *p, const struct acpi_facts *f)
{
	st16(p + 46, f->sci);
	/* SMI_CMD and its values stay 0: ACPI mode is on from reset, SCI_EN reads 1. */
	st32(p + 56, f->pm_base);
	st32(p + 64, f->pm_base + 0x04u);
	st32(p + 76, f->pm_base + 0x08u);
	st32(p + 80, f->pm_base + 0x20u);
	p[88] = 4;
	p[89] = 2;
	p[91] = 4;
	p[92] = 16;          /* first half status, second half enable: 64 GPEs */
	st16(p + 96, 0xfff); /* C2: above 100 means none */
	st16(p + 98, 0xfff); /* C3: above 1000 means none */
	gas_io(p + 220, (uint16_t)(f->pm_base + 0x20u), 128, GAS_BYTE);
}

static uint32_t fadt_flags(const struct acpi_facts *f)
{
	uint32_t flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_RTC_S4 |
			 FADT_RESET_REG_SUP | FADT_PLATFORM_CLOCK;

	if (f->hw_reduced)
		flags = FADT_WBINVD | FADT_HW_REDUCED | FADT_RESET_REG_SUP;
	if (f->pm_timer_32)
		flags |= FADT_TMR_VAL_EXT;
	if (f->cpu_count > 8)
		flags |= FADT_FORCE_CLUSTER;
	return flags;
}

static uint32_t fadt(struct builder *b, uint32_t facs_off, uint32_t dsdt_off)
{
	const struct acpi_facts *f = b->f;
	uint8_t p[276] = { 0 };
	uint32_t off = table_open(b, "FACP", 6, "SILLFACP");
	unsigned arch = (f->has_i8042 ? IAPC_8042 : 0) | (f->has_vga ? 0 : IAPC_NO_VGA) |
			(f->has_rtc ? 0 : IAPC_NO_CMOS_RTC);

	p[108] = f->century;
	st16(p + 109, (uint16_t)arch);
	st32(p + 112, fadt_flags(f));
	gas_io(p + 116, f->reset_port, 8, GAS_BYTE);
	p[128] = f->reset_value;
	p[131] = 3; /* minor: 6.3, the first that knows Online Capable in the MADT */
	/*
	 * PM1a is filled in also when hardware-reduced, where the OS ignores it:
	 * the loader of Windows' own hypervisor refuses a zero one.
	 */
	gas_io(p + 148, f->pm_base, 32, GAS_WORD);
	gas_io(p + 172, (uint16_t)(f->pm_base + 0x04u), 16, GAS_WORD);
	gas_io(p + 208, (uint16_t)(f->pm_base + 0x08u), 32, GAS_DWORD);
	if (f->hw_reduced) {
		gas_io(p + 244, f->pm_base, 8, GAS_BYTE); /* sleep control */
		gas_io(p + 256, f->pm_base, 8, GAS_BYTE); /* sleep status */
	} else {
		fadt_fixed_hardware(p, f);
	}
	memcpy(p + 268, "SILL\0\0\0", 8); /* hypervisor vendor */
	(void)buf_add(&b->t->blob, p + HEADER_SIZE, sizeof(p) - HEADER_SIZE);
	/* X_FIRMWARE_CTRL stays 0: it is for a FACS above 4 GiB, and exactly one of both is set. */
	if (!f->hw_reduced)
		pointer(b, off + 36, 4, facs_off);
	pointer(b, off + 40, 4, dsdt_off);
	pointer(b, off + 140, 8, dsdt_off);
	table_close(b, off, "FACP");
	return off;
}

static void madt_override(struct buf *blob, uint8_t source, uint32_t gsi, uint16_t flags)
{
	(void)buf_add8(blob, 2);
	(void)buf_add8(blob, 10);
	(void)buf_add8(blob, 0); /* ISA */
	(void)buf_add8(blob, source);
	(void)buf_add32(blob, gsi);
	(void)buf_add16(blob, flags);
}

static uint32_t madt(struct builder *b)
{
	const struct acpi_facts *f = b->f;
	struct buf *blob = &b->t->blob;
	uint32_t off = table_open(b, "APIC", 5, "SILLAPIC");
	bool x2apic = false;

	(void)buf_add32(blob, LAPIC_BASE);
	(void)buf_add32(blob, f->hw_reduced ? 0 : 1); /* PCAT_COMPAT: the 8259s are there */
	for (uint32_t i = 0; i < f->cpu_count; i++) {
		/* Absent ones only if they can come: an OS sizes its tables by them. */
		uint32_t flags = f->cpus[i].present ? MADT_CPU_ENABLED : MADT_CPU_ONLINE_CAPABLE;
		uint8_t p[MADT_CPU_MAX];
		size_t n = madt_cpu_write(p, i, f->cpus[i].apic_id, flags);

		if (!f->cpus[i].present && !f->hotplug_cpu)
			continue;
		(void)buf_add(blob, p, n);
		x2apic = x2apic || p[0] == 9;
	}
	(void)buf_add8(blob, 1);
	(void)buf_add8(blob, 12);
	(void)buf_add8(blob, 0); /* IOAPIC id */
	(void)buf_add8(blob, 0);
	(void)buf_add32(blob, IOAPIC_BASE);
	(void)buf_add32(blob, 0); /* first GSI */
	if (!f->hw_reduced) {
		madt_override(blob, 0, 2, 0);              /* the PIT, as the bus has it */
		madt_override(blob, f->sci, f->sci, 0x0d); /* level, active high */
	}
	(void)buf_add8(blob, 4); /* NMI at LINT1 of all: what "inject NMI" pulls */
	(void)buf_add8(blob, 6);
	(void)buf_add8(blob, 0xff);
	(void)buf_add16(blob, 0);
	(void)buf_add8(blob, 1);
	if (x2apic) {
		(void)buf_add8(blob, 0x0a);
		(void)buf_add8(blob, 12);
		(void)buf_add16(blob, 0);
		(void)buf_add32(blob, UINT32_MAX);
		(void)buf_add8(blob, 1);
		(void)buf_add(blob, NULL, 3);
	}
	table_close(b, off, "APIC");
	return off;
}

static uint32_t mcfg(struct builder *b)
{
	struct buf *blob = &b->t->blob;
	uint32_t off = table_open(b, "MCFG", 1, "SILLMCFG");

	(void)buf_add64(blob, 0);
	(void)buf_add64(blob, b->f->ecam_base);
	(void)buf_add16(blob, 0); /* segment */
	(void)buf_add8(blob, 0);
	(void)buf_add8(blob, (uint8_t)(b->f->bus_count - 1));
	(void)buf_add32(blob, 0);
	table_close(b, off, "MCFG");
	return off;
}

/* Windows ACPI Emulated Devices Table: bit 1, one read of the PM timer is enough. */
static uint32_t waet(struct builder *b)
{
	uint32_t off = table_open(b, "WAET", 1, "SILLWAET");

	(void)buf_add32(&b->t->blob, 0x2);
	table_close(b, off, "WAET");
	return off;
}

/* Actions and instructions of the specification's tables; a row is an access to a register of ours. */
enum wdat_action {
	WDAT_RESET = 1,
	WDAT_GET_LEFT = 4,
	WDAT_GET_COUNT = 5,
	WDAT_SET_COUNT = 6,
	WDAT_GET_RUNS = 8,
	WDAT_SET_RUNS = 9,
	WDAT_GET_STANDS = 10,
	WDAT_SET_STANDS = 11,
	WDAT_GET_REBOOT = 16,
	WDAT_SET_REBOOT = 17,
	WDAT_GET_STATUS = 32,
	WDAT_SET_STATUS = 33,
};
enum wdat_how { WDAT_READ_VALUE, WDAT_READ_COUNT, WDAT_WRITE_VALUE, WDAT_WRITE_COUNT };
enum { WDAT_ENABLED = 1, WDAT_HEAD = 32, WDAT_ENTRY = 24, WDAT_NO_PCI = 0xff };

static const struct wdat_row {
	uint8_t action, how, reg;
	uint32_t value, mask;
} wdat_rows[] = {
	{ WDAT_RESET, WDAT_WRITE_VALUE, 0x08, 1, 1 },
	{ WDAT_GET_LEFT, WDAT_READ_COUNT, 0x00, 0, 0xffff },
	{ WDAT_GET_COUNT, WDAT_READ_COUNT, 0x04, 0, 0xffff },
	{ WDAT_SET_COUNT, WDAT_WRITE_COUNT, 0x04, 0, 0xffff },
	{ WDAT_GET_RUNS, WDAT_READ_VALUE, 0x0c, 1, 1 },
	{ WDAT_SET_RUNS, WDAT_WRITE_VALUE, 0x0c, 1, 1 },
	{ WDAT_GET_STANDS, WDAT_READ_VALUE, 0x0c, 0, 1 },
	{ WDAT_SET_STANDS, WDAT_WRITE_VALUE, 0x0c, 0, 1 },
	{ WDAT_GET_REBOOT, WDAT_READ_VALUE, 0x10, 1, 1 },
	{ WDAT_SET_REBOOT, WDAT_WRITE_VALUE, 0x10, 1, 1 },
	{ WDAT_GET_STATUS, WDAT_READ_VALUE, 0x14, 1, 1 },
	{ WDAT_SET_STATUS, WDAT_WRITE_VALUE, 0x14, 1, 1 },
};

/* Hardware Watchdog Timers Design Specification: the Watchdog Action Table, revision 1. */
static uint32_t wdat(struct builder *b)
{
	struct buf *blob = &b->t->blob;
	const uint32_t off = table_open(b, "WDAT", 1, "SILLWDAT");
	uint8_t head[WDAT_HEAD] = { 0 };

	st32(head, WDAT_HEAD);
	st16(head + 4,
	     WDAT_NO_PCI); /* a segment of 16 bits, but of 8 is what everybody looks for */
	head[6] = head[7] = head[8] = WDAT_NO_PCI;
	st32(head + 12, WATCHDOG_TICK_MS);
	st32(head + 16, WATCHDOG_MAX);
	st32(head + 20, WATCHDOG_MIN);
	head[24] = WDAT_ENABLED;
	st32(head + 28, ARRAY_LEN(wdat_rows));
	(void)buf_add(blob, head, sizeof(head));
	for (size_t i = 0; i < ARRAY_LEN(wdat_rows); i++) {
		const struct wdat_row *r = &wdat_rows[i];
		uint8_t p[WDAT_ENTRY] = { r->action, r->how };

		gas_io(p + 4, (uint16_t)(ACPI_PORT_WATCHDOG + r->reg), 32, GAS_DWORD);
		st32(p + 16, r->value);
		st32(p + 20, r->mask);
		(void)buf_add(blob, p, sizeof(p));
	}
	table_close(b, off, "WDAT");
	return off;
}

/* Revision 2. Windows takes its EMS port from here ("BIOS settings"). */
static uint32_t spcr(struct builder *b)
{
	uint32_t off = table_open(b, "SPCR", 2, "SILLSPCR");
	uint8_t p[80 - HEADER_SIZE] = { 0 };

	p[0] = 0; /* 16550 */
	gas_io(p + 4, 0x3f8, 8, GAS_BYTE);
	p[16] = 0x03; /* interrupts: 8259 and IOAPIC */
	p[17] = 4;
	st32(p + 18, 4);
	p[22] = 7;            /* 115200 */
	p[24] = 1;            /* one stop bit */
	p[26] = 2;            /* VT-UTF8 */
	st16(p + 28, 0xffff); /* not a PCI device */
	st16(p + 30, 0xffff);
	(void)buf_add(&b->t->blob, p, sizeof(p));
	table_close(b, off, "SPCR");
	return off;
}

static void srat_cpu(struct buf *blob, uint32_t uid, const struct acpi_cpu *cpu)
{
	uint8_t p[24] = { 0 };

	if (cpu->apic_id < 255 && uid < 255) {
		p[1] = 16;
		p[2] = (uint8_t)cpu->node;
		p[3] = (uint8_t)cpu->apic_id;
		st32(p + 4, 1);
		p[9] = (uint8_t)(cpu->node >> 8);
		st16(p + 10, (uint16_t)(cpu->node >> 16));
	} else {
		p[0] = 2;
		p[1] = 24;
		st32(p + 4, cpu->node);
		st32(p + 8, cpu->apic_id);
		st32(p + 12, 1);
	}
	(void)buf_add(blob, p, p[1]);
}

static uint32_t srat(struct builder *b)
{
	const struct acpi_facts *f = b->f;
	struct buf *blob = &b->t->blob;
	uint32_t off = table_open(b, "SRAT", 3, "SILLSRAT");

	(void)buf_add32(blob, 1);
	(void)buf_add64(blob, 0);
	for (uint32_t i = 0; i < f->cpu_count; i++)
		if (f->cpus[i].present || f->hotplug_cpu)
			srat_cpu(blob, i, &f->cpus[i]);
	for (size_t i = 0; i < f->memory_count; i++) {
		const struct acpi_memory *m = &f->memory[i];
		uint8_t p[40] = { 1, 40 };

		st32(p + 2, m->node);
		st64(p + 8, m->range.base);
		st64(p + 16, m->range.len);
		st32(p + 28, m->hotplug ? 3 : 1); /* enabled, hot-pluggable */
		(void)buf_add(blob, p, sizeof(p));
	}
	table_close(b, off, "SRAT");
	return off;
}

static uint32_t root_table(struct builder *b, const char *sig, const char *id8, uint8_t entry_size,
			   const uint32_t *tables, unsigned n)
{
	uint32_t off = table_open(b, sig, 1, id8);

	for (unsigned i = 0; i < n; i++) {
		uint32_t at = (uint32_t)buf_add(&b->t->blob, NULL, entry_size);

		pointer(b, at, entry_size, tables[i]);
	}
	table_close(b, off, sig);
	return off;
}

static bool range_wraps(const struct acpi_range *r)
{
	return r->len != 0 && r->base > UINT64_MAX - (r->len - 1);
}

/* The facts are ours, not the guest's: this finds mistakes of the board's code. */
static const char *facts_mistake(const struct acpi_facts *f)
{
	if (f->cpu_count == 0 || f->cpu_count > MAX_CPUS || !f->cpus[0].present)
		return "processors";
	if (f->bus_count > 256 || f->ecam_base >= UINT32_MAX ||
	    f->ecam_base + ((uint64_t)f->bus_count << 20) > UINT32_MAX)
		return "ECAM";
	if (range_wraps(&f->window32) || f->window32.base + f->window32.len > 1ull << 32)
		return "32-bit window";
	if (range_wraps(&f->window64))
		return "64-bit window";
	if ((f->removable & ~f->slots) != 0 || f->lpc_slot >= (int)ACPI_PCI_SLOTS ||
	    (f->lpc_slot >= 0 && (f->slots >> f->lpc_slot & 1) != 0))
		return "slots";
	if (f->memory_slots > MAX_MEM_SLOTS)
		return "memory slots";
	return NULL;
}

static int build(struct builder *b)
{
	uint32_t list[ACPI_MAX_TABLES], dsdt_off, facs_off;
	unsigned n = 0;

	facs_off = b->f->hw_reduced ? 0 : facs(b);
	if (dsdt(b, &dsdt_off) < 0)
		return -1;
	list[n++] = fadt(b, facs_off, dsdt_off);
	list[n++] = madt(b);
	if (b->f->bus_count != 0)
		list[n++] = mcfg(b);
	list[n++] = waet(b);
	if (b->f->has_serial)
		list[n++] = spcr(b);
	if (b->f->has_watchdog)
		list[n++] = wdat(b);
	if (b->f->memory != NULL)
		list[n++] = srat(b);
	b->t->rsdt = root_table(b, "RSDT", "SILLRSDT", 4, list, n);
	b->t->xsdt = root_table(b, "XSDT", "SILLXSDT", 8, list, n);
	return b->broken || b->t->blob.failed ? -1 : 0;
}

int acpi_build(struct acpi_tables *t, const struct acpi_facts *f, struct sill_err *e)
{
	*t = (struct acpi_tables){ 0 };
	buf_init(&t->blob, ACPI_TABLES_SIZE);
	if (acpi_rebuild(t, f, e) == 0)
		return 0;
	acpi_tables_fini(t);
	return -1;
}

int acpi_tables_reserve(struct acpi_tables *t, struct sill_err *e)
{
	*t = (struct acpi_tables){ 0 };
	buf_init(&t->blob, ACPI_TABLES_SIZE);
	return buf_reserve(&t->blob) < 0 ? sill_err_sys(e, ENOMEM, "ACPI tables") : 0;
}

int acpi_rebuild(struct acpi_tables *t, const struct acpi_facts *f, struct sill_err *e)
{
	struct builder b = { .t = t, .f = f };
	const char *mistake = facts_mistake(f);
	struct buf blob = t->blob;

	if (mistake != NULL)
		return sill_err_set(e, SILL_ERR_INTERNAL, "ACPI: bad facts: %s", mistake);
	buf_clear(&blob);
	*t = (struct acpi_tables){ .blob = blob };
	if (build(&b) < 0) {
		if (t->blob.failed)
			return sill_err_set(
				e, SILL_ERR_LIMIT,
				"ACPI: the tables do not fit into %u bytes (or no memory)",
				ACPI_TABLES_SIZE);
		return sill_err_set(e, SILL_ERR_INTERNAL, "ACPI: the generator failed");
	}
	return 0;
}

void acpi_tables_fini(struct acpi_tables *t)
{
	buf_fini(&t->blob);
	*t = (struct acpi_tables){ 0 };
}

/* ---- linking ---- */

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n-- > 0)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

#define RSDP_RSDT 16u
#define RSDP_XSDT 24u

static void rsdp_write(uint8_t p[ACPI_RSDP_SIZE], uint64_t rsdt, uint64_t xsdt)
{
	memset(p, 0, ACPI_RSDP_SIZE);
	memcpy(p, rsdp_sig, sizeof(rsdp_sig));
	memcpy(p + 9, oem_id, sizeof(oem_id));
	p[15] = 2; /* ACPI 2.0 and later */
	st32(p + RSDP_RSDT, (uint32_t)rsdt);
	st32(p + 20, ACPI_RSDP_SIZE);
	st64(p + RSDP_XSDT, xsdt);
}

int acpi_link_absolute(const struct acpi_tables *t, uint64_t gpa, struct buf *image,
		       struct sill_err *e)
{
	const size_t head = FACS_ALIGN; /* the RSDP, and the blob aligned behind it */
	uint8_t rsdp[ACPI_RSDP_SIZE];
	uint64_t base = gpa + head;
	size_t at;
	uint8_t *p;

	if (gpa % FACS_ALIGN != 0 || gpa >= 1ull << 32 || base + t->blob.size > 1ull << 32)
		return sill_err_set(e, SILL_ERR_INTERNAL, "ACPI: bad address 0x%llx",
				    (unsigned long long)gpa);

	rsdp_write(rsdp, base + t->rsdt, base + t->xsdt);
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, sizeof(rsdp));
	at = buf_add(image, rsdp, sizeof(rsdp));
	(void)buf_add(image, NULL, head - sizeof(rsdp));
	(void)buf_add(image, t->blob.data, t->blob.size);
	if (image->failed)
		return sill_err_set(e, SILL_ERR_LIMIT, "ACPI: no room for the tables");

	p = image->data + at + head;
	for (unsigned i = 0; i < t->reloc_count; i++) {
		const struct acpi_reloc *r = &t->reloc[i];

		if (r->size == 4)
			st32(p + r->off, ld32(p + r->off) + (uint32_t)base);
		else
			st64(p + r->off, ld64(p + r->off) + base);
	}
	for (unsigned i = 0; i < t->table_count; i++)
		if (t->table[i].has_checksum)
			p[t->table[i].off + CHECKSUM_AT] =
				checksum(p + t->table[i].off, t->table[i].size);
	return 0;
}

/*
 * The table loader's script, QEMU's docs/specs/fw_cfg "etc/table-loader":
 * 128-byte commands. What is left of the file is command 0, which is ignored.
 */
#define COMMAND_SIZE 128u
#define NAME_SIZE    56u

enum command { CMD_ALLOCATE = 1, CMD_ADD_POINTER = 2, CMD_ADD_CHECKSUM = 3 };
enum zone { ZONE_HIGH = 1, ZONE_FSEG = 2 };

static const char file_rsdp[NAME_SIZE] = "etc/acpi/rsdp";
static const char file_tables[NAME_SIZE] = "etc/acpi/tables";

struct script {
	uint8_t *p;
	size_t used;
	bool full;
	uint8_t nowhere[COMMAND_SIZE]; /* takes what no longer fits */
};

static uint8_t *command(struct script *s, enum command c)
{
	uint8_t *p = s->p + s->used;

	if (s->used + COMMAND_SIZE > ACPI_LOADER_SIZE) {
		s->full = true;
		return s->nowhere;
	}
	s->used += COMMAND_SIZE;
	st32(p, c);
	return p;
}

static void cmd_allocate(struct script *s, const char file[NAME_SIZE], uint32_t align,
			 enum zone zone)
{
	uint8_t *p = command(s, CMD_ALLOCATE);

	memcpy(p + 4, file, NAME_SIZE);
	st32(p + 60, align);
	p[64] = (uint8_t)zone;
}

/* Add the address of the tables file to the @size bytes at @off of @file. */
static void cmd_pointer(struct script *s, const char file[NAME_SIZE], uint32_t off, uint8_t size)
{
	uint8_t *p = command(s, CMD_ADD_POINTER);

	memcpy(p + 4, file, NAME_SIZE);
	memcpy(p + 60, file_tables, NAME_SIZE);
	st32(p + 116, off);
	p[120] = size;
}

static void cmd_checksum(struct script *s, const char file[NAME_SIZE], uint32_t at, uint32_t start,
			 uint32_t size)
{
	uint8_t *p = command(s, CMD_ADD_CHECKSUM);

	memcpy(p + 4, file, NAME_SIZE);
	st32(p + 60, at);
	st32(p + 64, start);
	st32(p + 68, size);
}

int acpi_link_loader(const struct acpi_tables *t, uint8_t rsdp[ACPI_RSDP_SIZE],
		     uint8_t tables[ACPI_TABLES_SIZE], uint8_t loader[ACPI_LOADER_SIZE],
		     struct sill_err *e)
{
	struct script s = { .p = loader };

	memset(tables, 0, ACPI_TABLES_SIZE);
	memset(loader, 0, ACPI_LOADER_SIZE);
	memcpy(tables, t->blob.data, t->blob.size); /* the buffer's maximum is ACPI_TABLES_SIZE */
	rsdp_write(rsdp, t->rsdt, t->xsdt);

	cmd_allocate(&s, file_rsdp, 16, ZONE_FSEG);
	cmd_allocate(&s, file_tables, FACS_ALIGN, ZONE_HIGH);
	for (unsigned i = 0; i < t->reloc_count; i++)
		cmd_pointer(&s, file_tables, t->reloc[i].off, t->reloc[i].size);
	for (unsigned i = 0; i < t->table_count; i++)
		if (t->table[i].has_checksum)
			cmd_checksum(&s, file_tables, t->table[i].off + CHECKSUM_AT,
				     t->table[i].off, t->table[i].size);
	cmd_pointer(&s, file_rsdp, RSDP_RSDT, 4);
	cmd_pointer(&s, file_rsdp, RSDP_XSDT, 8);
	cmd_checksum(&s, file_rsdp, 8, 0, 20);
	cmd_checksum(&s, file_rsdp, 32, 0, ACPI_RSDP_SIZE);
	if (s.full)
		return sill_err_set(e, SILL_ERR_INTERNAL, "ACPI: the loader script is too long");
	return 0;
}
