/* SPDX-License-Identifier: Apache-2.0 */
/* acpi.h - the tables as the firmware installed them (ACPI 6.4, chapter 5.2). */
#ifndef ACPI_H
#define ACPI_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets in the FADT (table 5.9). */
enum fadt_field {
	FADT_FACS = 36,
	FADT_DSDT = 40,
	FADT_SCI_INT = 46,
	FADT_SMI_CMD = 48,
	FADT_PM1A_EVT = 56,
	FADT_PM1A_CNT = 64,
	FADT_PM_TMR_BLK = 76,
	FADT_GPE0_BLK = 80,
	FADT_PM1_EVT_LEN = 88,
	FADT_PM1_CNT_LEN = 89,
	FADT_PM_TMR_LEN = 91,
	FADT_GPE0_LEN = 92,
	FADT_P_LVL2_LAT = 96,
	FADT_P_LVL3_LAT = 98,
	FADT_CENTURY = 108,
	FADT_BOOT_ARCH = 109,
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116,
	FADT_RESET_VALUE = 128,
	FADT_X_FACS = 132,
	FADT_X_DSDT = 140,
	FADT_X_PM1A_EVT = 148,
	FADT_X_PM1A_CNT = 172,
};

struct acpi {
	const uint8_t *rsdp, *xsdt, *fadt, *facs, *dsdt, *madt, *mcfg, *waet, *spcr;
};

extern struct acpi acpi;

void acpi_init(void);
uint8_t acpi_fadt8(enum fadt_field at);
uint16_t acpi_fadt16(enum fadt_field at);
uint32_t acpi_fadt32(enum fadt_field at);
uint64_t acpi_fadt64(enum fadt_field at); /* 0 past the table's end, as the others */
uint32_t acpi_length(const uint8_t *table);
uint16_t get16(const uint8_t *p);
uint32_t get32(const uint8_t *p);
uint64_t get64(const uint8_t *p);

/* The MADT's processors: xAPIC and x2APIC entries alike. */
struct madt_cpu {
	uint32_t uid, apic_id, flags;
};

unsigned acpi_madt_cpus(struct madt_cpu *ret, unsigned max);
/* The MADT's first structure of @type behind @after (NULL: the first), or NULL. */
const uint8_t *acpi_madt_next(uint8_t type, const uint8_t *after);
uint64_t acpi_ecam(unsigned *ret_buses); /* of segment 0; 0: none */

void test_acpi(void);

#endif
