/* SPDX-License-Identifier: Apache-2.0 */
/* acpi.c - see acpi.h. */
#include "acpi.h"

#include "fw.h"
#include "lib.h"

struct acpi acpi;

uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

uint32_t acpi_length(const uint8_t *table)
{
	return get32(table + 4);
}

static bool in_fadt(enum fadt_field at, unsigned n)
{
	return acpi.fadt != NULL && at + n <= acpi_length(acpi.fadt);
}

uint8_t acpi_fadt8(enum fadt_field at)
{
	return in_fadt(at, 1) ? acpi.fadt[at] : 0;
}

uint16_t acpi_fadt16(enum fadt_field at)
{
	return in_fadt(at, 2) ? get16(acpi.fadt + at) : 0;
}

uint32_t acpi_fadt32(enum fadt_field at)
{
	return in_fadt(at, 4) ? get32(acpi.fadt + at) : 0;
}

uint64_t acpi_fadt64(enum fadt_field at)
{
	return in_fadt(at, 8) ? get64(acpi.fadt + at) : 0;
}

static const uint8_t *find(const char *signature)
{
	unsigned n;

	if (acpi.xsdt == NULL)
		return NULL;
	n = (acpi_length(acpi.xsdt) - 36) / 8;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *t = (const uint8_t *)get64(acpi.xsdt + 36 + (size_t)8 * i);

		if (memcmp(t, signature, 4) == 0)
			return t;
	}
	return NULL;
}

void acpi_init(void)
{
	static const EFI_GUID guid = ACPI_20_TABLE_GUID;

	acpi.rsdp = fw_table(&guid);
	if (acpi.rsdp == NULL)
		return;
	acpi.xsdt = (const uint8_t *)get64(acpi.rsdp + 24);
	acpi.fadt = find("FACP");
	acpi.madt = find("APIC");
	acpi.mcfg = find("MCFG");
	acpi.waet = find("WAET");
	acpi.spcr = find("SPCR");
	if (acpi.fadt == NULL)
		return;
	acpi.facs = (const uint8_t *)(uint64_t)acpi_fadt32(FADT_FACS);
	if (acpi.facs == NULL)
		acpi.facs = (const uint8_t *)acpi_fadt64(FADT_X_FACS);
	acpi.dsdt = (const uint8_t *)acpi_fadt64(FADT_X_DSDT);
	if (acpi.dsdt == NULL)
		acpi.dsdt = (const uint8_t *)(uint64_t)acpi_fadt32(FADT_DSDT);
}

const uint8_t *acpi_madt_next(uint8_t type, const uint8_t *after)
{
	const uint8_t *p, *end;

	if (acpi.madt == NULL)
		return NULL;
	end = acpi.madt + acpi_length(acpi.madt);
	p = after != NULL ? after + after[1] : acpi.madt + 44;
	for (; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1])
		if (p[0] == type)
			return p;
	return NULL;
}

unsigned acpi_madt_cpus(struct madt_cpu *ret, unsigned max)
{
	unsigned n = 0;

	for (const uint8_t *p = NULL; n < max && (p = acpi_madt_next(0, p)) != NULL;)
		ret[n++] = (struct madt_cpu){ p[2], p[3], get32(p + 4) };
	for (const uint8_t *p = NULL; n < max && (p = acpi_madt_next(9, p)) != NULL;)
		ret[n++] = (struct madt_cpu){ get32(p + 12), get32(p + 4), get32(p + 8) };
	return n;
}

uint64_t acpi_ecam(unsigned *ret_buses)
{
	if (acpi.mcfg == NULL || acpi_length(acpi.mcfg) < 60)
		return 0;
	if (ret_buses != NULL)
		*ret_buses = acpi.mcfg[55] + 1u;
	return get64(acpi.mcfg + 44);
}
