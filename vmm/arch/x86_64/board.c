/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.c - the list of soldered parts, and the machine around them.
 *
 * PIC, IOAPIC, local APICs and PIT (with port 0x61) live in KVM; PCI devices
 * come from the manifest. Order of construction: memory and buses, boot image,
 * tables, chips, PCI devices in the manifest's order.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/x86_64/disks.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/machine.h"
#include "arch/x86_64/tables.h"
#include "base/fd.h"
#include "base/log.h"
#include "devices/acpi/pm.h"
#include "devices/legacy/flash.h"
#include "devices/legacy/fwcfg.h"
#include "devices/legacy/ports.h"
#include "devices/legacy/rtc.h"
#include "devices/legacy/uart.h"
#include "devices/pci/mch.h"
#include "devices/virtio/console.h"
#include "devices/virtio/rng.h"

struct fixed {
	const char *type;
	struct {
		uint16_t port, count;
		unsigned region;
	} ports[4]; /* count 0 ends the list */
	unsigned gsi;
};

static const struct fixed part_mch = { "mch", { { 0 } }, NO_GSI };
static const struct fixed part_lpc = { "lpc", { { 0 } }, NO_GSI };
static const struct fixed part_pm = { "pm", { { PORT_PM, PORT_PM_SIZE, 0 } }, IRQ_SCI };
static const struct fixed part_rtc = { "rtc", { { PORT_RTC, 2, 0 } }, IRQ_RTC };
static const struct fixed part_i8042 = { "i8042",
					 { { PORT_I8042_DATA, 1, 0 }, { PORT_I8042_CMD, 1, 1 } },
					 NO_GSI };
static const struct fixed part_ports = { "ports",
					 { { PORT_A20, 1, PORTS_SYSTEM_A },
					   { PORT_POST, 1, PORTS_POST },
					   { PORT_DEBUGCON, 1, PORTS_DEBUG } },
					 NO_GSI };
static const struct fixed part_uart = { "uart", { { PORT_COM1, 8, 0 } }, IRQ_COM1 };
static const struct fixed part_fw_cfg = { "fw-cfg", { { PORT_FW_CFG, 12, 0 } }, NO_GSI };

/* --- devices ------------------------------------------------------------ */

struct dev *machine_add_device(struct machine *m, const char *type, const char *id,
			       const void *config, unsigned gsi, struct sill_err *e)
{
	const struct dev_ops *ops = dev_ops_find(type);
	struct dev *d;

	if (ops == NULL) {
		(void)sill_err_set(e, SILL_ERR_INTERNAL, "there is no device '%s'", type);
		return NULL;
	}
	d = dev_create(ops, id, config, gsi, &m->env, e);
	if (d == NULL)
		return NULL;
	*m->devices_end = d;
	m->devices_end = &d->next;
	return d;
}

static struct dev *add_part(struct machine *m, const struct fixed *part, const void *config,
			    struct sill_err *e)
{
	struct dev *d = machine_add_device(m, part->type, part->type, config, part->gsi, e);

	for (unsigned i = 0; d != NULL && i < ARRAY_LEN(part->ports); i++)
		if (part->ports[i].count != 0 &&
		    dev_map(d, m->pio, part->ports[i].port, part->ports[i].count,
			    part->ports[i].region, e) < 0)
			return NULL;
	return d;
}

static int add_chips(struct machine *m, const struct sill_config *c, struct sill_err *e)
{
	const struct mch_config mch = {
		.device = m->boot.door == BOOT_ELF && m->boot.firmware ? MCH_CLOUDHV : MCH_Q35,
		.ecam = m->boot.door == BOOT_FLASH ? 0 : LAYOUT_ECAM,
	};
	const struct rtc_config rtc = {
		.low_ram_end = m->low_end,
		.high_ram = m->high_size,
		.local = c->platform.rtc == SILL_RTC_LOCALTIME,
	};
	struct uart_config uart = { .chr = m->serial };
	struct dev *ports;

	if (add_part(m, &part_mch, &mch, e) == NULL || add_part(m, &part_lpc, NULL, e) == NULL)
		return -1;
	m->pm = add_part(m, &part_pm, NULL, e);
	ports = add_part(m, &part_ports, NULL, e);
	if (m->pm == NULL || ports == NULL || add_part(m, &part_rtc, &rtc, e) == NULL ||
	    add_part(m, &part_i8042, NULL, e) == NULL)
		return -1;
	pci_bus_set_reset_control(m->pci, ports_reset_control_write, ports);
	if (m->serial != NULL) {
		m->uart = add_part(m, &part_uart, &uart, e);
		if (m->uart == NULL)
			return -1;
	}
	return 0;
}

/* --- door A: flash and fw_cfg ------------------------------------------- */

static int show_flash(void *ctx, bool array)
{
	struct machine *m = ctx;
	struct sill_err e = { 0 };

	if (gmem_show(m->gmem, m->vars_gpa, array, &e) == 0)
		return 0;
	log_guest_at(&m->vars_bucket, LOG_ERROR, "vars", "%s", e.msg);
	return -1;
}

static int add_vars(struct machine *m, uint64_t code_gpa, const char *path, struct sill_err *e)
{
	struct flash_config f = { .fd = m->vars_fd, .show_array = show_flash, .ctx = m };
	struct dev *d;

	if (boot_check_vars(&m->boot, m->vars_fd, &f.size, e) < 0) {
		sill_err_wrap(e, "variable store %s", path);
		return -1;
	}
	m->vars_gpa = code_gpa - f.size;
	d = machine_add_device(m, "flash", "vars", &f, NO_GSI, e);
	if (d == NULL || gmem_add(m->gmem, m->vars_gpa, f.size, flash_memory(d), GMEM_ROM, e) < 0)
		return -1;
	return dev_map(d, m->mmio, m->vars_gpa, f.size, 0, e);
}

static int add_flash(struct machine *m, const char *vars_path, struct sill_err *e)
{
	const uint64_t code_gpa = LAYOUT_4G - m->boot.image_size;

	if (gmem_add(m->gmem, code_gpa, m->boot.image_size, (void *)(uintptr_t)m->boot.flash,
		     GMEM_ROM, e) < 0)
		return -1;
	if (m->vars_fd < 0)
		return 0;
	return add_vars(m, code_gpa, vars_path != NULL ? vars_path : "", e);
}

static int add_fw_cfg(struct machine *m, struct sill_err *e)
{
	struct tables *t = m->tables;
	const struct fwcfg_file files[] = {
		{ .name = "etc/e820", .data = t->e820.data, .size = t->e820.size },
		{ .name = "etc/acpi/rsdp",
		  .size = ACPI_RSDP_SIZE,
		  .select = tables_select_rsdp,
		  .ctx = t },
		{ .name = "etc/acpi/tables",
		  .size = ACPI_TABLES_SIZE,
		  .select = tables_select_acpi,
		  .ctx = t },
		{ .name = "etc/table-loader",
		  .size = ACPI_LOADER_SIZE,
		  .select = tables_select_loader,
		  .ctx = t },
		{ .name = "etc/smbios/smbios-anchor",
		  .data = t->smbios_anchor,
		  .size = SMBIOS_ANCHOR_SIZE },
		{ .name = "etc/smbios/smbios-tables",
		  .data = t->smbios.data,
		  .size = t->smbios.size },
	};
	const struct fwcfg_config config = {
		.boot_cpus = (uint16_t)m->boot_cpus,
		.files = files,
		.file_count = ARRAY_LEN(files),
	};

	return add_part(m, &part_fw_cfg, &config, e) == NULL ? -1 : 0;
}

/* --- PCI devices -------------------------------------------------------- */

static int add_rest(struct machine *m, const struct sill_config *c, struct sill_files *files,
		    struct sill_err *e)
{
	const struct virtio_console_config console = { .chr = m->console, .slot = -1 };
	struct virtio_rng_config rng = { .slot = -1 };

	if (sill_rng_wanted(&c->rng)) {
		rng.fd = sill_files_take(files, SILL_FILE_RNG, NULL, 0);
		if (machine_add_device(m, "virtio-rng", "rng", &rng, NO_GSI, e) == NULL)
			return -1;
	}
	if (m->console != NULL) {
		m->virtio_console =
			machine_add_device(m, "virtio-console", "console", &console, NO_GSI, e);
		if (m->virtio_console == NULL)
			return -1;
	}
	return 0;
}

/* --- memory and buses --------------------------------------------------- */

static int pio_bell_add(void *ctx, uint64_t addr, const struct doorbell *b)
{
	return kvm_ioeventfd(ctx, true, addr, b->size, b->fd, true);
}

static void pio_bell_remove(void *ctx, uint64_t addr, const struct doorbell *b)
{
	(void)kvm_ioeventfd(ctx, true, addr, b->size, b->fd, false);
}

static int mmio_bell_add(void *ctx, uint64_t addr, const struct doorbell *b)
{
	return kvm_ioeventfd(ctx, false, addr, b->size, b->fd, true);
}

static void mmio_bell_remove(void *ctx, uint64_t addr, const struct doorbell *b)
{
	(void)kvm_ioeventfd(ctx, false, addr, b->size, b->fd, false);
}

static int split_memory(struct machine *m, const struct sill_config *c, struct sill_err *e)
{
	uint64_t size = c->memory.size;

	if (size < 2 * LAYOUT_HIGH_RAM || size % 4096 != 0)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "memory.size of %llu bytes: at least 2 MiB, in pages of 4 KiB",
				    (unsigned long long)size);
	m->low_end = layout_low_ram(size);
	m->high_size = size - m->low_end;
	if (cpuid_phys_bits(cpuid_host_phys_bits(), cpuid_host_is_amd(), c->cpus.max_phys_bits,
			    layout_ram_end(size), &m->phys_bits, e) < 0)
		return -1;
	m->mem64_base = layout_mem64_base(m->phys_bits, cpuid_host_is_amd(), layout_ram_end(size));
	return 0;
}

static int add_memory(struct machine *m, struct sill_err *e)
{
	const struct {
		uint64_t gpa, end;
		uint64_t at; /* offset in the mapping */
	} piece[] = {
		{ 0, LAYOUT_LOW_RAM_END, 0 },
		{ LAYOUT_SHADOW, m->low_end, LAYOUT_SHADOW },
		{ LAYOUT_4G, LAYOUT_4G + m->high_size, m->low_end },
	};

	for (unsigned i = 0; i < ARRAY_LEN(piece); i++)
		if (piece[i].end > piece[i].gpa &&
		    gmem_add(m->gmem, piece[i].gpa, piece[i].end - piece[i].gpa,
			     m->ram.hva + piece[i].at, GMEM_RAM, e) < 0)
			return -1;
	return 0;
}

static int add_buses(struct machine *m, struct sill_err *e)
{
	const struct pci_windows w = {
		.io_base = LAYOUT_PCI_IO,
		.io_end = LAYOUT_PCI_IO_END,
		.mem32_base = LAYOUT_MEM32_NEW,
		.mem32_end = LAYOUT_MEM32_END,
		.mem64_base = m->mem64_base,
		.mem64_end = layout_mem64_end(m->phys_bits),
	};

	m->pio_listener = (struct map_listener){ pio_bell_add, pio_bell_remove, &m->kvm };
	m->mmio_listener = (struct map_listener){ mmio_bell_add, mmio_bell_remove, &m->kvm };
	m->pio = map_create(0x10000, &m->pio_listener, e);
	m->mmio = m->pio != NULL ? map_create(0, &m->mmio_listener, e) : NULL;
	m->pci = m->mmio != NULL ? pci_bus_create(m->pio, m->mmio, &w, e) : NULL;
	return m->pci == NULL ? -1 : 0;
}

static int open_kvm(struct machine *m, struct sill_files *files, struct sill_err *e)
{
	const int fd = sill_files_take(files, SILL_FILE_KVM, NULL, 0);

	if (fd < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "no /dev/kvm among the files");
	return kvm_open(&m->kvm, fd, e);
}

/* The parameter of a module; closes @take_fd, which may be -1. */
static bool says_yes(int take_fd)
{
	char c = 'N';

	if (take_fd >= 0 && pread(take_fd, &c, 1, 0) != 1)
		c = 'N';
	fd_close(&take_fd);
	return c == 'Y' || c == '1';
}

static int add_host(struct machine *m, const struct sill_config *c, struct sill_files *files,
		    struct sill_err *e)
{
	if (split_memory(m, c, e) < 0 ||
	    topology_init(&m->topology, &c->cpus.topology, m->max_cpus, e) < 0)
		return -1;
	if (open_kvm(m, files, e) < 0 || chips_check_kvm(m->kvm.fd, e) < 0 ||
	    chips_create(&m->kvm, e) < 0)
		return -1;
	m->msrs.ignore_unknown = c->cpus.unknown_msrs == SILL_MSRS_IGNORE;
	m->apic_emulated = !says_yes(sill_files_take(files, SILL_FILE_APICV, NULL, 0));
	if (kvm_enable(&m->kvm, KVM_CAP_X86_USER_SPACE_MSR,
		       KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL) < 0)
		log_line(LOG_DEBUG, "%s: unknown MSRs are left to KVM", m->name);
	kvm_gmem_listener(&m->kvm, &m->gmem_listener);
	irqs_init(&m->irqs, &kvm_irq_ops, &m->kvm);
	m->irqs_ready = true;
	vmclock_init(&m->clock);
	m->chips_at_reset = chips_get(&m->kvm, e);
	m->gmem = m->chips_at_reset != NULL ? gmem_create(&m->gmem_listener, e) : NULL;
	if (m->gmem == NULL || ram_map(&m->ram, &c->memory, e) < 0 || add_memory(m, e) < 0)
		return -1;
	return add_buses(m, e);
}

/* --- all of it ---------------------------------------------------------- */

/* NULL: @e, or there is none. */
static struct chr *open_char(struct machine *m, const char *id, const struct sill_char_config *c,
			     struct sill_files *files, struct sill_err *e)
{
	const struct sill_file *out = sill_files_find(files, SILL_FILE_OUT, id, 0);
	struct chr_config far = { .mode = c->mode, .max_bytes = c->limit };

	if (c->mode == SILL_CHAR_OFF)
		return NULL;
	if (out != NULL) {
		far.next_file = out->next;
		far.ctx = out->ctx;
	}
	far.in_fd = sill_files_take(files, SILL_FILE_IN, id, 0);
	far.out_fd =
		c->mode == SILL_CHAR_PTY ? far.in_fd : sill_files_take(files, SILL_FILE_OUT, id, 0);
	far.listen_fd = sill_files_take(files, SILL_FILE_LISTEN, id, 0);
	return chr_create(id, &far, m->loop, e);
}

static int open_chars(struct machine *m, const struct sill_config *c, struct sill_files *files,
		      struct sill_err *e)
{
	m->serial = open_char(m, "serial", &c->serial, files, e);
	if (m->serial == NULL && c->serial.mode != SILL_CHAR_OFF)
		return -1;
	m->console = open_char(m, "console", &c->console, files, e);
	return m->console == NULL && c->console.mode != SILL_CHAR_OFF ? -1 : 0;
}

static int open_boot(struct machine *m, const struct sill_config *c, struct sill_files *files,
		     struct sill_err *e)
{
	enum sill_boot_part part;

	m->vars_fd = sill_files_take(files, SILL_FILE_VARS, NULL, 0);
	if (boot_open(&m->boot, c, files, m->low_end, &part, e) < 0)
		return -1;
	if (m->vars_fd >= 0 && m->boot.door != BOOT_FLASH)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "firmware.vars needs a flash image; this firmware has no "
				    "persistent variables");
	return 0;
}

/* RFC 4122 order to a GUID in memory: the first three fields are little-endian there. */
static void guid_in_memory(uint8_t ret[16], const uint8_t id[16])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (unsigned i = 0; i < 16; i++)
		ret[i] = id[order[i]];
}

static void set_vmgenid(struct machine *m, const uint8_t id[16])
{
	static const uint8_t none[16];

	guid_in_memory(m->vmgenid, id);
	m->has_vmgenid = memcmp(id, none, sizeof(none)) != 0;
}

static int read_vmgenid(struct machine *m, const char *text, struct sill_err *e)
{
	uint8_t id[16] = { 0 };

	if (text != NULL && strcmp(text, "off") != 0 && sill_uuid_read(text, id) < 0)
		return sill_err_set(e, SILL_ERR_MANIFEST, "platform.vmgenid: '%.40s' is no id",
				    text);
	set_vmgenid(m, id);
	return 0;
}

static int write_vmgenid(struct machine *m)
{
	return gmem_write(m->gmem, LAYOUT_VMGENID, m->vmgenid, sizeof(m->vmgenid));
}

void machine_new_generation(struct machine *m, const uint8_t id[16])
{
	uint8_t guid[16];

	guid_in_memory(guid, id);
	if (!m->has_vmgenid || memcmp(guid, m->vmgenid, sizeof(guid)) == 0)
		return;
	memcpy(m->vmgenid, guid, sizeof(guid));
	if (write_vmgenid(m) < 0) /* its page is there: machine_load() has written to it */
		log_line(LOG_ERROR, "%s: no memory for the generation id", m->name);
	pm_raise_gpe(m->pm, PM_GPE_VMGENID);
}

static int init_devices(struct machine *m, const struct sill_config *c, struct sill_files *files,
			struct sill_err *e)
{
	if (read_vmgenid(m, c->platform.vmgenid, e) < 0)
		return -1;
	m->tables = tables_create(m, c, e);
	if (m->tables == NULL || add_chips(m, c, e) < 0)
		return -1;
	if (m->boot.door == BOOT_FLASH &&
	    (add_flash(m, c->firmware.vars, e) < 0 || add_fw_cfg(m, e) < 0))
		return -1;
	if (disks_add(m, c, files, e) < 0)
		return -1;
	return add_rest(m, c, files, e);
}

int machine_init(struct machine *m, const struct sill_config *c, struct sill_files *files,
		 const struct dev_env *hooks, struct loop *loop, struct sill_err *e)
{
	*m = (struct machine){ .windows = c->guest == SILL_GUEST_WINDOWS,
			       .hyperv = c->cpus.kvm_hyperv,
			       .boot_cpus = c->cpus.boot,
			       .max_cpus = c->cpus.max,
			       .loop = loop };
	m->devices_end = &m->devices;
	m->kvm.fd = m->kvm.vm_fd = -1;
	m->boot.image_fd = m->boot.initramfs_fd = m->vars_fd = -1;
	m->name = strdup(c->name);
	if (m->name == NULL) {
		(void)sill_err_sys(e, ENOMEM, "virtual machine");
		goto fail;
	}
	if (c->disk_count > SILL_MAX_DISKS || c->cpus.boot == 0 || c->cpus.boot > c->cpus.max ||
	    c->cpus.max > SILL_MAX_CPUS) {
		(void)sill_err_set(e, SILL_ERR_LIMIT, "%u disks, %u of %u vCPUs", c->disk_count,
				   c->cpus.boot, c->cpus.max);
		goto fail;
	}
	if (add_host(m, c, files, e) < 0 || open_boot(m, c, files, e) < 0 ||
	    open_chars(m, c, files, e) < 0)
		goto fail;
	m->env = (struct dev_env){
		.gmem = m->gmem,
		.irqs = &m->irqs,
		.loop = loop,
		.clock = &m->clock,
		.pio = m->pio,
		.mmio = m->mmio,
		.pci = m->pci,
		.request = hooks->request,
		.stall = hooks->stall,
		.progress = hooks->progress,
		.ctx = hooks->ctx,
	};
	if (init_devices(m, c, files, e) < 0)
		goto fail;
	return 0;

fail:
	machine_fini(m);
	return -1;
}

/* Later devices may use earlier ones: the last goes first. */
static void destroy_devices(struct machine *m)
{
	while (m->devices != NULL) {
		struct dev **last = &m->devices;

		while ((*last)->next != NULL)
			last = &(*last)->next;
		dev_destroy(*last);
		*last = NULL;
	}
	m->devices_end = &m->devices;
}

void machine_fini(struct machine *m)
{
	const bool console_taken = m->virtio_console != NULL;

	destroy_devices(m);
	disks_free_limits(m);
	chr_destroy(m->serial);
	if (!console_taken)
		chr_destroy(m->console);
	tables_destroy(m->tables);
	pci_bus_destroy(m->pci);
	map_destroy(m->mmio);
	map_destroy(m->pio);
	gmem_destroy(m->gmem);
	boot_close(&m->boot);
	fd_close(&m->vars_fd);
	if (m->irqs_ready)
		irqs_fini(&m->irqs);
	chips_free(m->chips_at_reset);
	kvm_close(&m->kvm);
	ram_unmap(&m->ram);
	free(m->name);
}

void machine_reset(struct machine *m)
{
	pci_bus_reset(m->pci);
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		dev_reset(d);
}

void machine_stop(struct machine *m)
{
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		dev_stop(d);
}

const char *machine_waits_for(struct machine *m)
{
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		if (!dev_drained(d))
			return d->id;
	return NULL;
}

void machine_pause(struct machine *m)
{
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		dev_pause(d);
}

void machine_resume(struct machine *m)
{
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		dev_resume(d);
}

int machine_load(struct machine *m, struct sill_err *e)
{
	struct boot_tables t;

	if (chips_set(&m->kvm, m->chips_at_reset, e) < 0)
		return -1;
	/* Windows 11 does not come back from a reset when it finds its own old data here. */
	if (gmem_zero(m->gmem, 0, LAYOUT_RESET_ZEROED) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "no low memory");
	if (m->has_vmgenid && write_vmgenid(m) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "no memory for the generation id");
	if (m->boot.door == BOOT_FLASH)
		return 0;
	if (tables_images(m->tables, &t, e) < 0)
		return -1;
	return boot_load(&m->boot, m->gmem, &t, e);
}
