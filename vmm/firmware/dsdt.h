/* SPDX-License-Identifier: Apache-2.0 */
/* dsdt.h - the AML of the machine; used by acpi.c only. */
#ifndef FIRMWARE_DSDT_H
#define FIRMWARE_DSDT_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct acpi_facts;

/* Append the definition block's content (what follows the header). -1: our bug, or no room. */
int dsdt_write(struct buf *out, const struct acpi_facts *f) MUST_CHECK;

#define MADT_CPU_MAX 16u
/* The MADT entry of processor @uid; also its _MAT. Returns the size. */
size_t madt_cpu_write(uint8_t ret[MADT_CPU_MAX], uint32_t uid, uint32_t apic_id, uint32_t flags);
#define MADT_CPU_ENABLED        0x1u
#define MADT_CPU_ONLINE_CAPABLE 0x2u

#endif
