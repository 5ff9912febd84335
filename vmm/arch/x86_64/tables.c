/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c - see tables.h. */
#include "arch/x86_64/tables.h"

#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch/x86_64/board.h"
#include "arch/x86_64/layout.h"
#include "base/log.h"
#include "devices/acpi/pcihp.h"

enum { SLOTS = 0x7ffffffe }; /* 00:1.0 to 00:1e.0; 0 is the host bridge, 31 the ISA bridge */
enum { LPC_SLOT = 31 };

/* Of the soldered parts: the PCI slots have theirs whatever is in them. */
static void device_objects(void *ctx, struct aml *scope)
{
	struct board *b = ctx;

	for (unsigned i = 0; i < b->part_count; i++)
		if (b->part[i]->ops->acpi != NULL)
			b->part[i]->ops->acpi(b->part[i], scope);
}

/* The 32-bit window begins where the ECAM ends, or below an ECAM that lies inside it. */
static struct acpi_range window32(uint64_t ecam, unsigned buses)
{
	uint64_t base = LAYOUT_MEM32_NEW;

	if (buses != 0 && ecam < LAYOUT_MEM32)
		base = ecam + ((uint64_t)buses << 20);
	return (struct acpi_range){ base, LAYOUT_MEM32_END + 1 - base };
}

static uint32_t removable(const struct board *b)
{
	return b->machine->pcihp != NULL ? SLOTS & ~pcihp_fixed(b->machine->pcihp) : 0;
}

enum { MEMORY_MAX = 3 + 2 * SILL_MAX_DIMMS + 1 };

/*
 * For the SRAT, all of it in one node: RAM, and where more may come. Windows and Linux want the latter
 * announced; it makes Linux set bounce buffers aside, so there is none where none can come.
 */
static size_t list_memory(const struct tables *t, struct acpi_memory ret[MEMORY_MAX])
{
	const struct board *b = t->board;
	const uint64_t end = b->hot_base + b->hot_size;
	uint64_t at = b->hot_base;
	size_t n = 0;

	if (b->hot_size == 0)
		return 0;
	ret[n++] = (struct acpi_memory){ .range = { 0, LAYOUT_LOW_RAM_END } };
	ret[n++] =
		(struct acpi_memory){ .range = { LAYOUT_HIGH_RAM, b->low_end - LAYOUT_HIGH_RAM } };
	if (b->high_size != 0)
		ret[n++] = (struct acpi_memory){ .range = { LAYOUT_4G, b->high_size } };
	for (unsigned i = 0; i < t->folded_count; i++) {
		const struct acpi_range *f = &t->folded[i];

		if (f->base > at)
			ret[n++] = (struct acpi_memory){ .range = { at, f->base - at },
							 .hotplug = true };
		ret[n++] = (struct acpi_memory){ .range = *f };
		at = f->base + f->len;
	}
	if (at < end)
		ret[n++] = (struct acpi_memory){ .range = { at, end - at }, .hotplug = true };
	return n;
}

static int build_acpi(struct tables *t, struct sill_err *e)
{
	struct board *b = t->board;
	struct acpi_cpu cpus[SILL_MAX_CPUS];
	struct acpi_memory memory[MEMORY_MAX];
	const size_t memory_count = list_memory(t, memory);
	unsigned buses = 0;
	uint64_t ecam = pci_bus_ecam(b->machine->pci, &buses);
	struct acpi_facts f = {
		.cpus = cpus,
		.cpu_count = b->max_cpus,
		.ecam_base = ecam,
		.bus_count = buses,
		.window32 = window32(ecam, buses),
		.window64 = { b->mem64_base, layout_mem64_end(b->phys_bits) + 1 - b->mem64_base },
		.slots = SLOTS,
		.removable = removable(b),
		.hotplug_pci = removable(b) != 0,
		.lpc_slot = LPC_SLOT,
		.pm_base = PORT_PM,
		.sci = IRQ_SCI,
		.reset_port = PORT_RESET,
		.reset_value = 6,
		.century = 0x32,
		.has_serial = b->port[SILL_PORT_SERIAL] != NULL,
		.has_serial2 = b->port[SILL_PORT_SERIAL2] != NULL,
		.has_watchdog = b->watchdog,
		.has_rtc = true,
		.hotplug_cpu = b->cpuhp != NULL,
		.memory_slots = b->memhp != NULL ? SILL_MAX_DIMMS : 0,
		.memory = memory_count != 0 ? memory : NULL,
		.memory_count = memory_count,
		.has_fw_cfg = b->boot.door == BOOT_FLASH,
		.vmgenid_gpa = b->has_vmgenid ? LAYOUT_VMGENID : 0,
		.devices = device_objects,
		.devices_ctx = b,
	};

	memset(cpus, 0, sizeof(cpus));
	for (unsigned i = 0; i < b->max_cpus; i++)
		cpus[i] = (struct acpi_cpu){ .apic_id = topology_apic_id(&b->topology, i),
					     .present = arch_cpu_is_present(b, i) };
	for (unsigned slot = 0; slot < ACPI_PCI_SLOTS; slot++)
		for (unsigned pin = 0; pin < 4; pin++)
			f.intx_gsi[slot][pin] = (uint8_t)pci_intx_gsi(slot, pin + 1);
	return acpi_rebuild(&t->built, &f, e);
}

/* With @cpus processors, and @more memory than at the start. */
static int build_smbios(struct tables *t, unsigned cpus, const struct smbios_range *more,
			size_t more_count, struct sill_err *e)
{
	const struct sill_config *c = t->config;
	struct board *b = t->board;
	char vendor[13] = "", brand[49] = "";
	unsigned r[4] = { 0 };
	struct smbios_facts f = {
		.version = SILL_VERSION,
		.serial = c->platform.serial_number,
		.oem_strings = (const char *const *)c->platform.oem_strings,
		.oem_string_count = c->platform.oem_strings_count,
		.sockets = b->topology.packages,
		.cores = b->topology.cores * b->topology.dies,
		.threads = b->topology.threads,
		.cpus_present = cpus,
		.cpu_vendor = vendor,
		.cpu_brand = brand,
		.low_end = b->low_end,
		.high_size = b->high_size,
		.more = more,
		.more_count = more_count,
		.memory_size = c->memory.size,
	};
	int khz = ioctl(b->machine->kvm.vm_fd, KVM_GET_TSC_KHZ, 0);

	if (c->platform.uuid != NULL && sill_uuid_read(c->platform.uuid, f.uuid) < 0)
		return sill_err_set(e, SILL_ERR_MANIFEST, "platform.uuid is none");
	if (__get_cpuid(0, &r[0], &r[1], &r[2], &r[3]) != 0) {
		memcpy(vendor, &r[1], 4);
		memcpy(vendor + 4, &r[3], 4);
		memcpy(vendor + 8, &r[2], 4);
	}
	for (unsigned i = 0; i < 3; i++)
		if (__get_cpuid(0x80000002 + i, &r[0], &r[1], &r[2], &r[3]) != 0)
			memcpy(brand + (size_t)16 * i, r, 16);
	if (__get_cpuid(1, &r[0], &r[1], &r[2], &r[3]) != 0) {
		f.cpuid_eax = r[0];
		f.cpuid_edx = r[3];
	}
	f.cpu_mhz = khz > 0 ? (unsigned)khz / 1000 : 0;
	for (size_t i = 0; i < more_count; i++)
		f.memory_size += more[i].size;
	buf_clear(&t->smbios);
	buf_clear(&t->smbios_image);
	if (b->boot.door != BOOT_FLASH)
		return smbios_build_absolute(&f, LAYOUT_SMBIOS, &t->smbios_image, e);
	return smbios_build(&f, &t->smbios, e);
}

int tables_remake_smbios(struct tables *t, struct sill_err *e)
{
	struct smbios_range more[SILL_MAX_DIMMS];

	for (unsigned i = 0; i < t->folded_count; i++)
		more[i] = (struct smbios_range){ t->folded[i].base, t->folded[i].len };
	return build_smbios(t, board_count_cpus(t->board), more, t->folded_count, e);
}

/* A file's size does not change: with all the processors and all the memory that there can be. */
static int measure_smbios(struct tables *t, struct sill_err *e)
{
	const struct board *b = t->board;
	struct smbios_range more[SILL_MAX_DIMMS] = { 0 };
	const size_t count = b->hot_size != 0 ? SILL_MAX_DIMMS : 0;

	for (size_t i = 0; i < count; i++)
		more[i] = (struct smbios_range){ b->hot_base, b->hot_size / SILL_MAX_DIMMS };
	if (build_smbios(t, b->max_cpus, more, count, e) < 0)
		return -1;
	t->smbios_size = t->smbios.size;
	smbios_anchor(0, (uint32_t)t->smbios_size, t->smbios_anchor);
	return 0;
}

/* What is behind the end-of-table structure is nothing. */
void tables_select_smbios(void *ctx, uint8_t *data, size_t size)
{
	const struct tables *t = ctx;

	assert(t->smbios.size <= size);
	memset(data, 0, size);
	memcpy(data, t->smbios.data, t->smbios.size);
}

/*
 * Firmware in a flash reads the map before it has programmed PCIEXBAR, and reserves by itself what it
 * programs: where that is not where the board would have put it, BARs go there. Without such firmware
 * the register is preset.
 */
static int make_map(struct tables *t, struct sill_err *e)
{
	const struct board *b = t->board;

	t->map = (struct e820_map){ 0 };
	buf_clear(&t->e820);
	if (e820_add_ram(&t->map, b->low_end, b->high_size, e) < 0)
		return -1;
	if (b->boot.door != BOOT_FLASH &&
	    e820_add(&t->map, LAYOUT_ECAM, LAYOUT_ECAM_SIZE, E820_RESERVED, e) < 0)
		return -1;
	for (unsigned i = 0; i < t->folded_count; i++)
		if (e820_add(&t->map, t->folded[i].base, t->folded[i].len, E820_RAM, e) < 0)
			return -1;
	e820_write_fw_cfg(&t->map, &t->e820);
	return 0;
}

int tables_remake_map(struct tables *t, struct sill_err *e)
{
	t->folded_count = 0;
	for (unsigned slot = 0; slot < SILL_MAX_DIMMS; slot++) {
		unsigned at = t->folded_count;
		struct arch_dimm m;

		arch_dimm(t->board, slot, &m);
		if (!m.folded)
			continue;
		for (; at > 0 && t->folded[at - 1].base > m.base; at--)
			t->folded[at] = t->folded[at - 1];
		t->folded[at] = (struct acpi_range){ m.base, m.size };
		t->folded_count++;
	}
	return make_map(t, e);
}

/* With room for all that may be folded: a file's size does not change. Entries of type 0 are nothing. */
size_t tables_e820_size(const struct tables *t)
{
	const size_t more = t->board->hot_size != 0 ? SILL_MAX_DIMMS : 0;

	return t->e820.size + more * E820_ENTRY;
}

void tables_select_e820(void *ctx, uint8_t *data, size_t size)
{
	const struct tables *t = ctx;

	assert(t->e820.size <= size);
	memset(data, 0, size);
	memcpy(data, t->e820.data, t->e820.size);
}

struct tables *tables_create(struct board *b, const struct sill_config *c, struct sill_err *e)
{
	struct tables *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		(void)sill_err_sys(e, ENOMEM, "tables");
		return NULL;
	}
	t->board = b;
	t->config = c;
	buf_init(&t->smbios, SMBIOS_IMAGE_MAX);
	buf_init(&t->smbios_image, SMBIOS_IMAGE_MAX);
	buf_init(&t->acpi_image, LAYOUT_ACPI_END - LAYOUT_ACPI);
	buf_init(&t->e820, (size_t)E820_MAX * E820_ENTRY);
	t->acpi = calloc(1, ACPI_TABLES_SIZE);
	t->loader = calloc(1, ACPI_LOADER_SIZE);
	if (t->acpi == NULL || t->loader == NULL) {
		(void)sill_err_sys(e, ENOMEM, "tables");
		goto fail;
	}
	if (acpi_tables_reserve(&t->built, e) < 0 || make_map(t, e) < 0)
		goto fail;
	if (measure_smbios(t, e) < 0)
		goto fail;
	return t;

fail:
	tables_destroy(t);
	return NULL;
}

void tables_destroy(struct tables *t)
{
	if (t == NULL)
		return;
	buf_fini(&t->smbios);
	buf_fini(&t->smbios_image);
	buf_fini(&t->acpi_image);
	buf_fini(&t->e820);
	acpi_tables_fini(&t->built);
	free(t->acpi);
	free(t->loader);
	free(t);
}

/* On a vCPU: nothing is allocated. */
static void make_files(struct tables *t)
{
	struct sill_err e = { 0 };

	t->made = build_acpi(t, &e) == 0 &&
		  acpi_link_loader(&t->built, t->rsdp, t->acpi, t->loader, &e) == 0;
	if (!t->made)
		log_guest_at(&t->bucket, LOG_ERROR, "ACPI tables", "%s", e.msg);
}

void tables_select_loader(void *ctx, uint8_t *data, size_t size)
{
	struct tables *t = ctx;

	assert(size == ACPI_LOADER_SIZE);
	make_files(t);
	memcpy(data, t->loader, size);
}

void tables_select_acpi(void *ctx, uint8_t *data, size_t size)
{
	struct tables *t = ctx;

	assert(size == ACPI_TABLES_SIZE);
	if (!t->made)
		make_files(t);
	memcpy(data, t->acpi, size);
}

void tables_select_rsdp(void *ctx, uint8_t *data, size_t size)
{
	struct tables *t = ctx;

	assert(size == ACPI_RSDP_SIZE);
	if (!t->made)
		make_files(t);
	memcpy(data, t->rsdp, size);
}

int tables_images(struct tables *t, struct boot_tables *ret, struct sill_err *e)
{
	buf_clear(&t->acpi_image);
	if (build_acpi(t, e) < 0 ||
	    acpi_link_absolute(&t->built, LAYOUT_ACPI, &t->acpi_image, e) < 0)
		return -1;
	*ret = (struct boot_tables){
		.acpi = t->acpi_image.data,
		.acpi_size = t->acpi_image.size,
		.smbios = t->smbios_image.data,
		.smbios_size = t->smbios_image.size,
		.map = &t->map,
		.low_end = t->board->low_end,
	};
	return 0;
}
