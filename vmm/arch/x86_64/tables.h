/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.h - what firmware and systems are told about the machine: ACPI,
 * SMBIOS, the memory map; made from the machine as it is at this moment.
 *
 * Door B gets them as images (boot_tables); door A as fw_cfg files whose
 * content is made when the firmware selects the table loader, because MCFG and
 * _CRS follow the registers that the firmware has programmed by then.
 * Main thread, except tables_select_*().
 */
#ifndef ARCH_X86_64_TABLES_H
#define ARCH_X86_64_TABLES_H

#include "arch/x86_64/boot.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "firmware/acpi.h"
#include "firmware/e820.h"
#include "firmware/smbios.h"
#include "sill/config.h"

struct board;

struct tables {
	struct board *board;              /* borrowed */
	const struct sill_config *config; /* borrowed */
	/* door A: stable memory behind the fw_cfg files */
	uint8_t rsdp[ACPI_RSDP_SIZE];
	struct acpi_tables built; /* before they are linked; has all the memory it may need */
	uint8_t *acpi;            /* owned, ACPI_TABLES_SIZE */
	uint8_t *loader;          /* owned, ACPI_LOADER_SIZE */
	bool made;                /* the three above have content */
	struct buf smbios; /* structure table, without an address; smbios_size bytes at most */
	size_t smbios_size;
	uint8_t smbios_anchor[SMBIOS_ANCHOR_SIZE];
	struct buf e820; /* fw_cfg form */
	struct log_bucket bucket;
	/* Memory that came, and is in the map since a reset; sorted. Changes only while the vCPUs are parked. */
	struct acpi_range folded[SILL_MAX_DIMMS];
	unsigned folded_count;
	/* door B */
	struct e820_map map;
	struct buf acpi_image, smbios_image;
};

/* @c outlives them. */
struct tables *tables_create(struct board *b, const struct sill_config *c, struct sill_err *e);
void tables_destroy(struct tables *t); /* accepts NULL */
/*
 * The fw_cfg files' select callbacks. The firmware reads the loader script
 * first: that makes all three files, and the other two are then of one mould.
 * Called on a vCPU's thread; failures go to the log.
 */
void tables_select_loader(void *ctx, uint8_t *data, size_t size);
void tables_select_acpi(void *ctx, uint8_t *data, size_t size);
void tables_select_rsdp(void *ctx, uint8_t *data, size_t size);
/* etc/e820, likewise; and before each start, on the main thread: the memory map as it is by now. */
size_t tables_e820_size(const struct tables *t);
void tables_select_e820(void *ctx, uint8_t *data, size_t size);
int tables_remake_map(struct tables *t, struct sill_err *e) MUST_CHECK;
/* The SMBIOS table, likewise, after the map. */
void tables_select_smbios(void *ctx, uint8_t *data, size_t size);
int tables_remake_smbios(struct tables *t, struct sill_err *e) MUST_CHECK;
/* Make the images of door B; they live until the next call. */
int tables_images(struct tables *t, struct boot_tables *ret, struct sill_err *e) MUST_CHECK;

#endif
