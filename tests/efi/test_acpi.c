/* SPDX-License-Identifier: Apache-2.0 */
/* test_acpi.c - the ACPI tables in the shape that Windows has been seen to take. */
#include "acpi.h"
#include "cpu.h"
#include "fw.h"
#include "lib.h"
#include "report.h"
#include "tests.h"

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n > 0)
		s = (uint8_t)(s + p[--n]);
	return s;
}

static void check_sum(const uint8_t *t)
{
	uint8_t s = sum(t, acpi_length(t));

	if (s != 0)
		rule_bad("%c%c%c%c sums to %x", t[0], t[1], t[2], t[3], s);
}

static void checksums(void)
{
	unsigned n = (acpi_length(acpi.xsdt) - 36) / 8;

	rule_begin("acpi.checksums");
	if (acpi.rsdp[15] < 2 || sum(acpi.rsdp, 20) != 0 || sum(acpi.rsdp, 36) != 0)
		rule_bad("RSDP revision %u, sums %x and %x", acpi.rsdp[15], sum(acpi.rsdp, 20),
			 sum(acpi.rsdp, 36));
	check_sum(acpi.xsdt);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *t = (const uint8_t *)get64(acpi.xsdt + 36 + (size_t)8 * i);

		check_sum(t);
		for (unsigned k = 0; k < i; k++) {
			const uint8_t *other =
				(const uint8_t *)get64(acpi.xsdt + 36 + (size_t)8 * k);

			if (memcmp(t, other, 4) == 0 && memcmp(t, "SSDT", 4) != 0)
				rule_bad("two tables %c%c%c%c", t[0], t[1], t[2], t[3]);
		}
		if (memcmp(t, "HPET", 4) == 0)
			rule_bad("an HPET table");
	}
	check_sum(acpi.dsdt);
	if (acpi.dsdt[8] < 2)
		rule_bad("DSDT revision %u: 32-bit integers", acpi.dsdt[8]);
	(void)rule_end();
}

static void fadt(void)
{
	enum { WBINVD = 0, PROC_C1 = 2, RESET_REG_SUP = 10, HW_REDUCED = 20 };
	uint32_t flags = acpi_fadt32(FADT_FLAGS);

	rule_begin("acpi.fadt");
	if (!bit(flags, WBINVD) || !bit(flags, PROC_C1) || !bit(flags, RESET_REG_SUP) ||
	    bit(flags, HW_REDUCED))
		rule_bad("flags %x: WBINVD, PROC_C1 and RESET_REG_SUP, not HW_REDUCED", flags);
	if (acpi_fadt16(FADT_SCI_INT) != 9 || acpi_fadt32(FADT_SMI_CMD) != 0)
		rule_bad("SCI %u, SMI_CMD %x; 9 and 0 are right", acpi_fadt16(FADT_SCI_INT),
			 acpi_fadt32(FADT_SMI_CMD));
	if (acpi_fadt32(FADT_PM1A_EVT) == 0 || acpi_fadt8(FADT_PM1_EVT_LEN) != 4 ||
	    acpi_fadt32(FADT_PM1A_CNT) == 0 || acpi_fadt8(FADT_PM1_CNT_LEN) != 2 ||
	    acpi_fadt32(FADT_PM_TMR_BLK) == 0 || acpi_fadt8(FADT_PM_TMR_LEN) != 4 ||
	    acpi_fadt32(FADT_GPE0_BLK) == 0 || acpi_fadt8(FADT_GPE0_LEN) < 4)
		rule_bad("PM1a event, control, timer or GPE0 is missing");
	if (acpi_fadt64(FADT_X_PM1A_EVT + 4) != acpi_fadt32(FADT_PM1A_EVT) ||
	    acpi_fadt64(FADT_X_PM1A_CNT + 4) != acpi_fadt32(FADT_PM1A_CNT))
		rule_bad("X_PM1a is elsewhere: %lx, %lx", acpi_fadt64(FADT_X_PM1A_EVT + 4),
			 acpi_fadt64(FADT_X_PM1A_CNT + 4));
	if (acpi_fadt16(FADT_P_LVL2_LAT) <= 100 || acpi_fadt16(FADT_P_LVL3_LAT) <= 1000)
		rule_bad("C2 and C3: latencies %u and %u", acpi_fadt16(FADT_P_LVL2_LAT),
			 acpi_fadt16(FADT_P_LVL3_LAT));
	if (acpi_fadt8(FADT_RESET_REG) != 1 || acpi_fadt64(FADT_RESET_REG + 4) != 0xcf9 ||
	    (acpi_fadt8(FADT_RESET_VALUE) & 6) != 6)
		rule_bad("reset register: space %u, %lx, value %x", acpi_fadt8(FADT_RESET_REG),
			 acpi_fadt64(FADT_RESET_REG + 4), acpi_fadt8(FADT_RESET_VALUE));
	if (bit(acpi_fadt16(FADT_BOOT_ARCH), 3) || bit(acpi_fadt16(FADT_BOOT_ARCH), 5))
		rule_bad("boot architecture %x: no MSI, or no CMOS clock",
			 acpi_fadt16(FADT_BOOT_ARCH));
	(void)rule_end();

	rule_begin("acpi.sci-en");
	if (!bit(in16((uint16_t)acpi_fadt32(FADT_PM1A_CNT)), 0))
		rule_bad("PM1a_CNT is %x", in16((uint16_t)acpi_fadt32(FADT_PM1A_CNT)));
	(void)rule_end();

	rule_begin("acpi.facs");
	if (acpi.facs == NULL)
		rule_bad("there is none");
	else if (((uint64_t)acpi.facs & 63) != 0 || memcmp(acpi.facs, "FACS", 4) != 0 ||
		 acpi_length(acpi.facs) < 64)
		rule_bad("at %lx, %u bytes", (uint64_t)acpi.facs, acpi_length(acpi.facs));
	(void)rule_end();
}

static void madt(void)
{
	bool pit = false, sci = false, nmi = false;

	rule_begin("acpi.madt");
	if (get32(acpi.madt + 36) != 0xfee00000 || (get32(acpi.madt + 40) & 1) == 0)
		rule_bad("local APIC at %x, flags %x", get32(acpi.madt + 36),
			 get32(acpi.madt + 40));
	if (acpi_madt_next(1, NULL) == NULL || get32(acpi_madt_next(1, NULL) + 4) != 0xfec00000)
		rule_bad("no IOAPIC at FEC00000");
	for (const uint8_t *p = NULL; (p = acpi_madt_next(2, p)) != NULL;) {
		pit = pit || (p[3] == 0 && get32(p + 4) == 2);
		/* level (3 at bit 2); either polarity */
		sci = sci || (p[3] == 9 && get32(p + 4) == 9 && (get16(p + 8) >> 2 & 3) == 3);
	}
	for (const uint8_t *p = NULL; (p = acpi_madt_next(4, p)) != NULL;)
		nmi = nmi || (p[2] == 0xff && p[5] == 1);
	if (!pit || !sci || !nmi)
		rule_bad("IRQ 0 to 2: %u, SCI 9 level: %u, NMI at LINT1 of all: %u", pit, sci, nmi);
	(void)rule_end();
}

static bool reserved(uint64_t base, uint64_t end)
{
	struct region map[256];
	unsigned n = fw_memory_map(map, ARRAY_LEN(map));

	/* Regions are sorted and may touch. */
	for (unsigned i = 0; i < n && base < end; i++)
		if (map[i].base <= base && base < map[i].end &&
		    (map[i].type == EfiReservedMemoryType || map[i].type == EfiMemoryMappedIO ||
		     map[i].type == EfiMemoryMappedIOPortSpace))
			base = map[i].end;
	return base >= end;
}

static void mcfg(void)
{
	unsigned buses = 0;
	uint64_t base = acpi_ecam(&buses);

	rule_begin("acpi.mcfg");
	if (base == 0)
		rule_bad("no ECAM");
	else if (!reserved(base, base + ((uint64_t)buses << 20)))
		rule_bad("%lx, %u buses, is not reserved in the memory map", base, buses);
	(void)rule_end();
}

static void small_tables(void)
{
	rule_begin("acpi.waet");
	if (acpi.waet == NULL)
		rule_bad("there is none");
	else if (acpi_length(acpi.waet) != 40 || get32(acpi.waet + 36) != 2)
		rule_bad("%u bytes, flags %x; 40 and 2 are right", acpi_length(acpi.waet),
			 get32(acpi.waet + 36));
	(void)rule_end();

	if (acpi.spcr == NULL) {
		rule_skip("acpi.spcr", "there is none");
		return;
	}
	rule_begin("acpi.spcr");
	if (acpi.spcr[36] != 0 && acpi.spcr[36] != 1 && acpi.spcr[36] != 18)
		rule_bad("interface type %u is no 16550", acpi.spcr[36]);
	if (acpi.spcr[40] != 1 || get64(acpi.spcr + 44) != 0x3f8)
		rule_bad("port in space %u at %lx", acpi.spcr[40], get64(acpi.spcr + 44));
	if (acpi.spcr[58] != 7)
		rule_bad("baud rate code %u, 7 is 115200", acpi.spcr[58]);
	if (acpi.spcr[64 - 1] != 0 || (acpi.spcr[63] | acpi.spcr[62]) > 3)
		rule_bad("terminal type %u, flow control %u", acpi.spcr[62], acpi.spcr[63]);
	(void)rule_end();
}

static bool contains(const uint8_t *p, size_t n, const char *what)
{
	size_t len = strlen(what);

	for (size_t i = 0; i + len <= n; i++)
		if (memcmp(p + i, what, len) == 0)
			return true;
	return false;
}

/* Names that would make Windows look for what is not there. */
static void no_strangers(void)
{
	static const char *const names[] = { "VMBUS", "VMBus", "MSFT1000", "LNRO0005", "QEMU0001" };

	rule_begin("acpi.no-strangers");
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (contains(acpi.dsdt, acpi_length(acpi.dsdt), names[i]))
			rule_bad("the DSDT names %s", names[i]);
	(void)rule_end();
}

/* An integer of AML at @p; its size in bytes goes to @ret_n. */
static uint64_t aml_integer(const uint8_t *p, size_t *ret_n)
{
	switch (p[0]) {
	case 0x0a:
		*ret_n = 2;
		return p[1];
	case 0x0b:
		*ret_n = 3;
		return get16(p + 1);
	case 0x0c:
		*ret_n = 5;
		return get32(p + 1);
	case 0x0e:
		*ret_n = 9;
		return get64(p + 1);
	default: /* 0, 1 or all ones */
		*ret_n = 1;
		return p[0] <= 1 ? p[0] : ~0ull;
	}
}

/* Name (ADDR, Package (2) { low, high }): where the generation id is; 0: nowhere. */
static uint64_t generation_at(void)
{
	static const uint8_t name[] = { 0x08, 'A', 'D', 'D', 'R', 0x12 };
	uint32_t length = acpi_length(acpi.dsdt);

	for (uint32_t i = 36; i + 32 <= length; i++) {
		const uint8_t *p = acpi.dsdt + i;
		uint64_t low, high;
		size_t n;

		if (memcmp(p, name, sizeof(name)) != 0 || p[7] != 2)
			continue;
		low = aml_integer(p + 8, &n);
		high = aml_integer(p + 8 + n, &n);
		return low | high << 32;
	}
	return 0;
}

/* The specification "Virtual Machine Generation ID", what a platform must do: R1a to R1d. */
static void generation(void)
{
	static struct region map[256];
	const uint8_t *id;
	unsigned count;
	uint8_t any = 0;
	uint64_t at;

	if (!contains(acpi.dsdt, acpi_length(acpi.dsdt), "VM_Gen_Counter")) {
		rule_skip("acpi.vmgenid", "there is no such device");
		return;
	}
	rule_begin("acpi.vmgenid");
	at = generation_at();
	id = (const uint8_t *)at;
	if (at == 0 || at % 8 != 0)
		rule_bad("the id is at %lx", at);
	for (unsigned i = 0; i < 16 && at != 0; i++)
		any |= id[i];
	if (any == 0)
		rule_bad("the id at %lx is all zero", at);
	count = fw_memory_map(map, ARRAY_LEN(map));
	for (unsigned i = 0; i < count; i++)
		if (at < map[i].end && at + 16 > map[i].base &&
		    map[i].type != EfiReservedMemoryType && map[i].type != EfiACPIMemoryNVS)
			rule_bad("the id at %lx is in memory of type %u", at, map[i].type);
	(void)rule_end();
}

void test_acpi(void)
{
	if (acpi.xsdt == NULL || acpi.fadt == NULL || acpi.madt == NULL || acpi.dsdt == NULL) {
		rule_begin("acpi.tables");
		rule_bad("no RSDP, XSDT, FADT, MADT or DSDT");
		(void)rule_end();
		return;
	}
	checksums();
	fadt();
	madt();
	mcfg();
	small_tables();
	no_strangers();
	generation();
}
