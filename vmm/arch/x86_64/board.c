/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.c - the PC: the table of soldered parts, and where RAM is.
 *
 * PIC, IOAPIC, local APICs and PIT (with port 0x61) live in KVM (chips.c); what
 * can be unplugged comes from the configuration (machine/plug.c). Order of
 * construction: memory and buses, what boots, tables, parts.
 */
#include "arch/x86_64/board.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/tables.h"
#include "backend/serial/chr.h"
#include "base/fd.h"
#include "base/le.h"
#include "base/log.h"
#include "devices/acpi/cpuhp.h"
#include "devices/acpi/memhp.h"
#include "devices/acpi/pcihp.h"
#include "devices/acpi/pm.h"
#include "devices/acpi/pvpanic.h"
#include "devices/acpi/watchdog.h"
#include "devices/legacy/debugcon.h"
#include "devices/legacy/flash.h"
#include "devices/legacy/fwcfg.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/ports.h"
#include "devices/legacy/rtc.h"
#include "devices/legacy/uart.h"
#include "devices/pci/mch.h"
#include "firmware/acpi.h"
#include "machine/char.h"

/* --- what the parts are told ---------------------------------------------- */

union part_config {
	struct mch_config mch;
	struct {
		struct cpuhp_config config; /* first */
		uint32_t apic_id[SILL_MAX_CPUS];
	} cpuhp;
	struct rtc_config rtc;
	struct uart_config uart;
	struct debugcon_config debugcon;
	struct flash_config flash;
	struct memhp_config memhp;
	struct pcihp_config pcihp;
	struct {
		struct fwcfg_config config; /* first */
		struct fwcfg_file file[7];
	} fw_cfg;
};

static void mch_config(struct board *b, union part_config *ret)
{
	ret->mch = (struct mch_config){
		.device = b->boot.door == BOOT_ELF && b->boot.firmware ? MCH_CLOUDHV : MCH_Q35,
		.ecam = b->boot.door == BOOT_FLASH ? 0 : LAYOUT_ECAM,
	};
}

static void pcihp_config(struct board *b, union part_config *ret)
{
	ret->pcihp = (struct pcihp_config){ .pm = b->pm };
}

static void cpuhp_config(struct board *b, union part_config *ret)
{
	for (unsigned i = 0; i < b->max_cpus; i++)
		ret->cpuhp.apic_id[i] = topology_apic_id(&b->topology, i);
	ret->cpuhp.config = (struct cpuhp_config){ .pm = b->pm,
						   .apic_ids = ret->cpuhp.apic_id,
						   .count = b->max_cpus,
						   .present = b->boot_cpus };
}

static void memhp_config(struct board *b, union part_config *ret)
{
	ret->memhp = (struct memhp_config){ .pm = b->pm };
}

static void rtc_config(struct board *b, union part_config *ret)
{
	ret->rtc = (struct rtc_config){
		.low_ram_end = b->low_end,
		.high_ram = b->high_size,
		.local = b->rtc_local,
	};
}

static void uart_config(struct board *b, union part_config *ret)
{
	ret->uart = (struct uart_config){ .chr = b->port[SILL_PORT_SERIAL] };
}

static void uart2_config(struct board *b, union part_config *ret)
{
	ret->uart = (struct uart_config){ .chr = b->port[SILL_PORT_SERIAL2] };
}

static void debugcon_config(struct board *b, union part_config *ret)
{
	ret->debugcon = (struct debugcon_config){ .chr = b->port[SILL_PORT_DEBUG_CONSOLE] };
}

static int show_flash(void *ctx, bool array)
{
	struct board *b = ctx;
	struct sill_err e = { 0 };

	if (gmem_show(b->machine->gmem, b->vars_gpa, array, &e) == 0)
		return 0;
	log_guest_at(&b->vars_bucket, LOG_ERROR, "vars", "%s", e.msg);
	return -1;
}

static void vars_config(struct board *b, union part_config *ret)
{
	ret->flash = (struct flash_config){
		.fd = b->vars_fd,
		.size = b->vars_size,
		.mem = b->vars,
		.show_array = show_flash,
		.ctx = b,
	};
}

static void fw_cfg_config(struct board *b, union part_config *ret)
{
	struct tables *t = b->tables;
	/* The last one is for firmware that puts 64-bit BARs behind memory: behind what may come. */
	const struct fwcfg_file files[] = {
		{ .name = "etc/e820",
		  .size = tables_e820_size(t),
		  .select = tables_select_e820,
		  .ctx = t },
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
		  .size = t->smbios_size,
		  .select = tables_select_smbios,
		  .ctx = t },
		{ .name = "etc/reserved-memory-end",
		  .data = b->memory_end,
		  .size = sizeof(b->memory_end) },
	};

	_Static_assert(sizeof(files) == sizeof(ret->fw_cfg.file), "room for all");
	st64(b->memory_end, b->hot_base + b->hot_size);
	memcpy(ret->fw_cfg.file, files, sizeof(files));
	ret->fw_cfg.config = (struct fwcfg_config){
		.boot_cpus = (uint16_t)b->boot_cpus,
		.files = ret->fw_cfg.file,
		.file_count = ARRAY_LEN(files) - (b->hot_size == 0),
	};
}

/* --- the parts ------------------------------------------------------------- */

static bool has_serial(const struct board *b)
{
	return b->port[SILL_PORT_SERIAL] != NULL;
}

static bool has_serial2(const struct board *b)
{
	return b->port[SILL_PORT_SERIAL2] != NULL;
}

static bool has_debugcon(const struct board *b)
{
	return b->port[SILL_PORT_DEBUG_CONSOLE] != NULL;
}

static bool has_pvpanic(const struct board *b)
{
	return b->pvpanic;
}

static bool has_watchdog(const struct board *b)
{
	return b->watchdog;
}

static bool has_vars(const struct board *b)
{
	return b->vars_fd >= 0;
}

static bool has_flash(const struct board *b)
{
	return b->boot.door == BOOT_FLASH;
}

/* A single processor cannot go, and no other can come. */
static bool has_cpuhp(const struct board *b)
{
	return b->max_cpus > 1;
}

static int cpuhp_made(struct board *b, struct dev *d, struct sill_err *e)
{
	(void)e;
	b->cpuhp = d;
	return 0;
}

static bool has_memhp(const struct board *b)
{
	return b->hot_size != 0 && !b->virtio_mem;
}

static int memhp_made(struct board *b, struct dev *d, struct sill_err *e)
{
	(void)e;
	b->memhp = d;
	return 0;
}

static int fw_cfg_made(struct board *b, struct dev *d, struct sill_err *e)
{
	(void)e;
	b->fw_cfg = d;
	return 0;
}

static int pm_made(struct board *b, struct dev *d, struct sill_err *e)
{
	(void)e;
	b->pm = d;
	return 0;
}

static int pcihp_made(struct board *b, struct dev *d, struct sill_err *e)
{
	(void)e;
	b->machine->pcihp = d;
	return 0;
}

/* Byte writes of port 0xCF9, which lies inside the PCI bus's ports. */
static int ports_made(struct board *b, struct dev *d, struct sill_err *e)
{
	(void)e;
	b->ports = d;
	pci_bus_set_reset_control(b->machine->pci, ports_reset_control_write, d);
	return 0;
}

static int debugcon_made(struct board *b, struct dev *d, struct sill_err *e)
{
	return dev_map(d, b->machine->pio, b->debug_port, 1, 0, e);
}

static int vars_made(struct board *b, struct dev *d, struct sill_err *e)
{
	struct machine *m = b->machine;

	if (gmem_add(m->gmem, b->vars_gpa, b->vars_size, flash_memory(d), GMEM_ROM, e) < 0)
		return -1;
	return dev_map(d, m->mmio, b->vars_gpa, b->vars_size, 0, e);
}

struct part {
	const char *type, *id;
	struct {
		uint16_t port, count;
		unsigned region;
	} ports[4]; /* count 0 ends the list */
	unsigned gsi;
	bool (*fitted)(const struct board *b);                           /* NULL: always */
	void (*config)(struct board *b, union part_config *ret);         /* NULL: none */
	int (*made)(struct board *b, struct dev *d, struct sill_err *e); /* NULL: nothing to do */
};

/* Type, id, ports, interrupt, and what knows more about it. */
/* clang-format off */
static const struct part parts[] = {
	{ "mch",    "mch",    { { 0 } },                           NO_GSI,   .config = mch_config },
	{ "lpc",    "lpc",    { { 0 } },                           NO_GSI,   .config = NULL },
	{ "pm",     "pm",     { { PORT_PM, PM_PORT_COUNT, 0 } },      IRQ_SCI,  .made = pm_made },
	{ "cpuhp",  "cpuhp",  { { ACPI_PORT_CPU, CPUHP_PORT_COUNT, 0 } }, NO_GSI, has_cpuhp, cpuhp_config, cpuhp_made },
	{ "memhp",  "memhp",  { { ACPI_PORT_MEMORY, MEMHP_PORT_COUNT, 0 } }, NO_GSI, has_memhp, memhp_config, memhp_made },
	{ "pcihp",  "pcihp",  { { ACPI_PORT_PCI, PCIHP_PORT_COUNT, 0 } }, NO_GSI, NULL, pcihp_config, pcihp_made },
	{ "pvpanic", "pvpanic", { { PVPANIC_PORT, 1, 0 } },        NO_GSI,   has_pvpanic, NULL, NULL },
	{ "watchdog", "watchdog", { { ACPI_PORT_WATCHDOG, WATCHDOG_PORT_COUNT, 0 } }, NO_GSI, has_watchdog, NULL, NULL },
	{ "ports",  "ports",  { { PORT_A20,      1, PORTS_SYSTEM_A },
			        { PORT_POST,     1, PORTS_POST },
			        { PORT_DEBUGCON, 1, PORTS_DEBUG } }, NO_GSI, .made = ports_made },
	{ "rtc",    "rtc",    { { PORT_RTC, RTC_PORT_COUNT, 0 } },    IRQ_RTC,  .config = rtc_config },
	{ "i8042",  "i8042",  { { PORT_I8042_DATA, 1, I8042_REGION_DATA },
			        { PORT_I8042_CMD,  1, I8042_REGION_COMMAND } }, NO_GSI, .config = NULL },
	{ "uart",   "uart",   { { PORT_COM1, UART_PORT_COUNT, 0 } },  IRQ_COM1, has_serial, uart_config, NULL },
	{ "uart",   "uart2",  { { PORT_COM2, UART_PORT_COUNT, 0 } },  IRQ_COM2, has_serial2, uart2_config, NULL },
	{ "debugcon", "debugcon", { { 0 } },                       NO_GSI, has_debugcon, debugcon_config, debugcon_made },
	{ "flash",  "vars",   { { 0 } },                           NO_GSI,   has_vars, vars_config, vars_made },
	{ "fw-cfg", "fw-cfg", { { PORT_FW_CFG, FWCFG_PORT_COUNT, 0 } }, NO_GSI, has_flash, fw_cfg_config, fw_cfg_made },
};
/* clang-format on */

_Static_assert(ARRAY_LEN(parts) <= BOARD_PARTS_MAX, "room for all");

/* What is not in the table: KVM's chips, what guests write to where a PC has them, and PCI. */
static const struct {
	uint16_t first, last;
	const char *what;
} other_ports[] = {
	{ 0x00, 0x1f, "the DMA controller" },
	{ 0x20, 0x21, "the interrupt controller" },
	{ 0x40, 0x43, "the timer" },
	{ PORT_SYSTEM_B, PORT_SYSTEM_B, "the timer" },
	{ 0x80, 0x8f, "the DMA controller" },
	{ 0xa0, 0xa1, "the interrupt controller" },
	{ 0xc0, 0xdf, "the DMA controller" },
	{ 0x4d0, 0x4d1, "the interrupt controller" },
	{ PORT_PCI_CONFIG, PORT_PCI_CONFIG + 7, "PCI" },
	{ LAYOUT_PCI_IO, LAYOUT_PCI_IO_END, "PCI" },
};

const char *board_port_owner(uint16_t port)
{
	for (size_t i = 0; i < ARRAY_LEN(other_ports); i++)
		if (port >= other_ports[i].first && port <= other_ports[i].last)
			return other_ports[i].what;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (unsigned k = 0; k < ARRAY_LEN(parts[i].ports); k++)
			if (port - parts[i].ports[k].port >= 0 &&
			    port - parts[i].ports[k].port < parts[i].ports[k].count)
				return parts[i].id;
	return NULL;
}

static int add_part(struct board *b, const struct part *p, struct sill_err *e)
{
	struct machine *m = b->machine;
	union part_config config = { 0 };
	struct dev *d;

	if (p->fitted != NULL && !p->fitted(b))
		return 0;
	if (p->config != NULL)
		p->config(b, &config);
	d = machine_add_device(m, p->type, p->id, p->config != NULL ? &config : NULL, p->gsi, e);
	if (d == NULL)
		return -1;
	b->part[b->part_count++] = d;
	for (unsigned i = 0; i < ARRAY_LEN(p->ports) && p->ports[i].count != 0; i++)
		if (dev_map(d, m->pio, p->ports[i].port, p->ports[i].count, p->ports[i].region, e) <
		    0)
			return -1;
	return p->made != NULL ? p->made(b, d, e) : 0;
}

/* --- memory ----------------------------------------------------------------- */

static int split_memory(struct board *b, const struct sill_config *c, struct sill_err *e)
{
	const uint64_t size = c->memory.size, hot = c->memory.hotplug_size;
	const uint64_t end = layout_memory_end(size, hot);

	if (size < 2 * LAYOUT_HIGH_RAM || size % 4096 != 0)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "memory.size of %llu bytes: at least 2 MiB, in pages of 4 KiB",
				    (unsigned long long)size);
	if (hot % layout_hot_block(size) != 0)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "memory.hotplug_size of %llu bytes: not a multiple of %llu MiB",
				    (unsigned long long)hot,
				    (unsigned long long)(layout_hot_block(size) >> 20));
	b->hot_base = layout_hot_base(size);
	b->hot_size = hot;
	b->virtio_mem = c->memory.hotplug_method == SILL_HOTPLUG_VIRTIO_MEM;
	b->low_end = layout_low_ram(size);
	b->high_size = size - b->low_end;
	if (cpuid_phys_bits(cpuid_host_phys_bits(), cpuid_host_is_amd(), c->cpus.max_phys_bits, end,
			    &b->phys_bits, e) < 0)
		return -1;
	b->mem64_base = layout_mem64_base(b->phys_bits, cpuid_host_is_amd(), end);
	return 0;
}

static int add_memory(struct board *b, struct sill_err *e)
{
	struct machine *m = b->machine;
	const struct ram_piece piece[] = {
		{ 0, 0, LAYOUT_LOW_RAM_END },
		{ LAYOUT_SHADOW, LAYOUT_SHADOW, b->low_end - LAYOUT_SHADOW },
		{ LAYOUT_4G, b->low_end, b->high_size },
	};

	for (unsigned i = 0; i < ARRAY_LEN(piece); i++)
		if (ram_zones_add(&m->ram, m->gmem, &piece[i], e) < 0)
			return -1;
	return 0;
}

/* Door A: the firmware ends at 4 GiB, and its variables where it begins. */
static int add_firmware(struct board *b, struct sill_err *e)
{
	const uint64_t code_gpa = LAYOUT_4G - b->boot.image_size;

	if (b->boot.door != BOOT_FLASH)
		return 0;
	if (gmem_add(b->machine->gmem, code_gpa, b->boot.image_size,
		     (void *)(uintptr_t)b->boot.flash, GMEM_ROM, e) < 0)
		return -1;
	if (has_vars(b))
		b->vars_gpa = code_gpa - b->vars_size;
	return 0;
}

/* --- all of it --------------------------------------------------------------- */

/* The parameter of a module; closes @take_fd, which may be -1. */
static bool says_yes(int take_fd)
{
	char c = 'N';

	if (take_fd >= 0 && pread(take_fd, &c, 1, 0) != 1)
		c = 'N';
	fd_close(&take_fd);
	return c == 'Y' || c == '1';
}

static int open_host(struct board *b, const struct sill_config *c, struct sill_files *files,
		     struct sill_err *e)
{
	struct machine *m = b->machine;

	if (split_memory(b, c, e) < 0 ||
	    topology_init(&b->topology, &c->cpus.topology, b->max_cpus, e) < 0)
		return -1;
	b->apic_emulated = !says_yes(sill_files_take(files, SILL_FILE_APICV, NULL, 0));
	if (machine_open(m, files, e) < 0 || chips_check_kvm(m->kvm.fd, e) < 0)
		return -1;
	return ram_zones_map(&m->ram, &c->memory, files, e);
}

static int add_host(struct board *b, const struct sill_config *c, struct sill_err *e)
{
	struct machine *m = b->machine;
	struct pci_windows w = {
		.io_base = LAYOUT_PCI_IO,
		.io_end = LAYOUT_PCI_IO_END,
		.mem32_base = LAYOUT_MEM32_NEW,
		.mem32_end = LAYOUT_MEM32_END,
	};

	if (machine_opened(m, e) < 0 || chips_create(&m->kvm, e) < 0)
		return -1;
	b->msrs.ignore_unknown = c->cpus.unknown_msrs == SILL_MSRS_IGNORE;
	if (kvm_enable(&m->kvm, KVM_CAP_X86_USER_SPACE_MSR,
		       KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL) < 0)
		log_line(LOG_DEBUG, "%s: unknown MSRs are left to KVM", m->name);
	/* Where it is known (Linux 6.1), a reset also takes back a triple fault that is still to be told. */
	(void)kvm_enable(&m->kvm, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1);
	b->chips_at_reset = chips_get(&m->kvm, e);
	if (b->chips_at_reset == NULL || add_memory(b, e) < 0)
		return -1;
	w.mem64_base = b->mem64_base;
	w.mem64_end = layout_mem64_end(b->phys_bits);
	return machine_add_buses(m, &w, e);
}

static int read_vars(struct board *b, const char *path, struct sill_err *e)
{
	if (boot_check_vars(&b->boot, b->vars_fd, &b->vars_size, e) == 0)
		b->vars = flash_read(b->vars_fd, b->vars_size, e);
	if (b->vars != NULL)
		return 0;
	sill_err_wrap(e, "variable store %s", path != NULL ? path : "");
	return -1;
}

/* A debugger's port is nobody else's, and what Linux writes is no bug check. */
static void listen_at(struct chr *port, bool is_kd, const struct sill_config *c,
		      const struct dev_env *env)
{
	if (is_kd)
		chr_set_kd(port);
	else if (c->guest != SILL_GUEST_LINUX && env->bug_text != NULL)
		chr_set_bug(port, env->bug_text, env->ctx);
}

static int open_boot(struct board *b, const struct sill_config *c, struct sill_files *files,
		     struct sill_err *e)
{
	const enum sill_port kd = sill_kd_port(&c->debug);
	enum sill_boot_part part;

	b->vars_fd = sill_files_take(files, SILL_FILE_VARS, NULL, 0);
	if (boot_open(&b->boot, c, files, b->low_end, &part, e) < 0)
		return -1;
	if (b->vars_fd >= 0 && b->boot.door != BOOT_FLASH)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "firmware.vars needs a flash image; this firmware has no "
				    "persistent variables");
	boot_preload(&b->boot, b->machine->ram.hva, b->low_end);
	ram_touch(&b->machine->ram.zone[0], 0);
	if (b->vars_fd >= 0 && read_vars(b, c->firmware.vars, e) < 0)
		return -1;
	b->debug_port = c->debug_console.port;
	for (unsigned p = 0; p < SILL_PORTS; p++)
		if (p != SILL_PORT_CONSOLE &&
		    char_open(sill_port_name(p), sill_port_config(c, p), b->machine->loop, files,
			      &b->port[p], e) < 0)
			return -1;
	for (unsigned p = 0; p < SILL_PORTS; p++)
		if (p != SILL_PORT_CONSOLE && b->port[p] != NULL)
			listen_at(b->port[p], p == kd, c, &b->machine->env);
	return 0;
}

static int add_parts(struct board *b, const struct sill_config *c, struct sill_err *e)
{
	if (generation_init(b, c->platform.vmgenid, e) < 0)
		return -1;
	b->pvpanic = c->pvpanic;
	b->watchdog = c->watchdog;
	b->rtc_local = c->platform.rtc == SILL_RTC_LOCALTIME;
	b->tables = tables_create(b, c, e);
	if (b->tables == NULL || add_firmware(b, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (add_part(b, &parts[i], e) < 0)
			return -1;
	return 0;
}

struct board *arch_board_create(struct machine *m, const struct sill_config *c,
				struct sill_files *files, struct sill_err *e)
{
	struct board *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		(void)sill_err_sys(e, ENOMEM, "virtual machine");
		return NULL;
	}
	b->machine = m;
	b->boot_cpus = c->cpus.boot;
	b->max_cpus = c->cpus.max;
	b->hyperv = c->cpus.kvm_hyperv;
	b->boot.image_fd = b->boot.initramfs_fd = b->vars_fd = -1;
	if (c->disk_count > SILL_MAX_DISKS || c->cpus.boot == 0 || c->cpus.boot > c->cpus.max ||
	    c->cpus.max > SILL_MAX_CPUS) {
		(void)sill_err_set(e, SILL_ERR_LIMIT, "%u disks, %u of %u vCPUs", c->disk_count,
				   c->cpus.boot, c->cpus.max);
		goto fail;
	}
	/* What boots is read while KVM makes the VM. */
	if (open_host(b, c, files, e) == 0 && open_boot(b, c, files, e) == 0 &&
	    add_host(b, c, e) == 0 && add_parts(b, c, e) == 0)
		return b;

fail:
	machine_remove_devices(m);
	arch_board_destroy(b);
	return NULL;
}

void arch_board_destroy(struct board *b)
{
	if (b == NULL)
		return;
	for (unsigned p = 0; p < SILL_PORTS; p++)
		chr_destroy(b->port[p]);
	tables_destroy(b->tables);
	boot_close(&b->boot);
	fd_close(&b->vars_fd);
	if (b->vars != NULL)
		(void)munmap(b->vars, b->vars_size);
	chips_free(b->chips_at_reset);
	free(b);
}

int arch_board_start(struct board *b, struct sill_err *e)
{
	struct machine *m = b->machine;
	struct boot_tables t;

	if (chips_set(&m->kvm, b->chips_at_reset, e) < 0)
		return -1;
	/* Windows 11 does not come back from a reset when it finds its own old data here. */
	if (b->started && gmem_zero(m->gmem, 0, LAYOUT_RESET_ZEROED) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "no low memory");
	b->started = true;
	if (generation_write(b) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "no memory for the generation id");
	if (tables_remake_map(b->tables, e) < 0 || tables_remake_smbios(b->tables, e) < 0)
		return -1;
	if (b->fw_cfg != NULL)
		fwcfg_set_cpus(b->fw_cfg, (uint16_t)board_count_cpus(b));
	if (b->boot.door == BOOT_FLASH)
		return 0;
	if (tables_images(b->tables, &t, e) < 0)
		return -1;
	return boot_load(&b->boot, m->gmem, &t, e);
}

/* --- saved state ------------------------------------------------------------- */

enum { TAG_BOARD = SAVE_TAG('B', 'O', 'R', 'D'), SAVE_VERSION = 2 };

/* What of the host a guest has seen, beside what the configuration says: leaf 0 and 1 of CPUID; the counter's speed. */
struct host_mark {
	uint32_t vendor[3], signature, tsc_khz;
};

static struct host_mark host_mark(const struct board *b)
{
	const int khz = ioctl(b->machine->kvm.vm_fd, KVM_GET_TSC_KHZ, 0);
	struct host_mark h = { .tsc_khz = khz > 0 ? (uint32_t)khz : 0 };
	uint32_t a, c, d;

	__cpuid(0, a, h.vendor[0], h.vendor[1], h.vendor[2]);
	__cpuid(1, h.signature, a, c, d);
	return h;
}

/* A guest's timekeeping follows what is within 250 parts in a million. */
enum { TSC_TOLERANCE = 4000 };

static int check_mark(const struct host_mark *was, const struct host_mark *is, struct sill_err *e)
{
	const uint32_t apart = was->tsc_khz > is->tsc_khz ? was->tsc_khz - is->tsc_khz
							  : is->tsc_khz - was->tsc_khz;

	if (memcmp(was->vendor, is->vendor, sizeof(is->vendor)) != 0 ||
	    was->signature != is->signature)
		return sill_err_set(e, SILL_ERR_STATE,
				    "the state is of a processor of another model (0x%x) than this "
				    "host's (0x%x)",
				    was->signature, is->signature);
	if (apart > is->tsc_khz / TSC_TOLERANCE)
		return sill_err_set(e, SILL_ERR_STATE,
				    "the state is of a host whose time-stamp counter has %u kHz; "
				    "this one's has %u kHz",
				    was->tsc_khz, is->tsc_khz);
	return 0;
}

int arch_board_save(struct board *b, struct saver *s, struct sill_err *e)
{
	struct chips_state *chips = chips_get(&b->machine->kvm, e);
	const struct host_mark mark = host_mark(b);

	if (chips == NULL)
		return -1;
	save_begin(s, TAG_BOARD, SAVE_VERSION);
	for (unsigned i = 0; i < ARRAY_LEN(mark.vendor); i++)
		save_u32(s, mark.vendor[i]);
	save_u32(s, mark.signature);
	save_u32(s, mark.tsc_khz);
	save_u8(s, b->has_vmgenid);
	save_bytes(s, b->vmgenid, sizeof(b->vmgenid));
	save_end(s);
	chips_save(chips, s);
	chips_free(chips);
	return 0;
}

int arch_board_load(struct board *b, struct loader *l, struct sill_err *e)
{
	uint8_t id[sizeof(b->vmgenid)];
	const struct host_mark is = host_mark(b);
	struct host_mark was;
	struct chips_state *chips;
	int ret;

	if (load_begin(l, TAG_BOARD, SAVE_VERSION) != SAVE_VERSION)
		load_fail(l);
	for (unsigned i = 0; i < ARRAY_LEN(was.vendor); i++)
		was.vendor[i] = load_u32(l);
	was.signature = load_u32(l);
	was.tsc_khz = load_u32(l);
	if (load_bool(l) != b->has_vmgenid) /* the tables tell the guest */
		load_fail(l);
	load_bytes(l, id, sizeof(id));
	if (load_end(l, "the board", e) < 0 || check_mark(&was, &is, e) < 0)
		return -1;
	memcpy(b->vmgenid, id, sizeof(id));
	/* Memory is what was saved: the next start is one after a reset. */
	b->started = true;
	b->boot.read_ahead = b->boot.preloaded = false;
	chips = chips_load(l, e);
	if (chips == NULL)
		return -1;
	ret = chips_set(&b->machine->kvm, chips, e);
	chips_free(chips);
	return ret;
}

void arch_board_forget_boot(struct board *b)
{
	boot_forget(&b->boot, b->machine->ram.hva, b->low_end);
}

int arch_power_button(struct board *b)
{
	return pm_power_button(b->pm);
}

struct chr *arch_port(const struct board *b, enum sill_port p)
{
	return b->port[p];
}

size_t arch_post_codes(const struct board *b, uint8_t ret[SILL_POST_CODES])
{
	_Static_assert((int)SILL_POST_CODES == (int)PORTS_POST_KEPT, "all of them");

	return ports_post_codes(b->ports, ret);
}
