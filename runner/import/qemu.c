/* SPDX-License-Identifier: Apache-2.0 */
/* qemu.c - QEMU's command line: each option, and what becomes of all of them at the end. */
#include "runner/import/qemu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- options that say something of the machine ---- */

static void take_machine(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, "type");
	const char *accel = qemu_opt(o, "accel");

	if (accel != NULL && strncmp(accel, "kvm", 3) != 0)
		import_lost(q->im, "-machine accel", "a VM of Sill's runs on KVM");
	if (import_is(qemu_opt(o, "type"), "microvm"))
		import_lost(q->im, "-machine microvm", "there is one machine, a PC");
	import_text(q->m, "kernel", qemu_opt(o, "kernel"));
	import_text(q->m, "initramfs", qemu_opt(o, "initrd"));
	import_text(q->m, "cmdline", qemu_opt(o, "append"));
	if (qemu_is_on(o, "smm"))
		import_note(q->im, "-machine smm",
			    "Sill has no Secure Boot: firmware for it does not start");
	qemu_rest(q, o,
		  " type accel pflash0 pflash1 kernel initrd append smm kernel-irqchip "
		  "kernel_irqchip usb vmport hpet acpi graphics "
		  "dump-guest-core mem-merge memory-backend vmport nvdimm sata pic pit i8042 "
		  "suppress-vmdesc hmat "
		  "hostmem graphics smbus default_bus_bypass_iommu x-oem-id x-oem-table-id q35 pc ",
		  "-machine");
	json_decref(o);
}

/* Once all nodes are known. */
static void take_machine_flash(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, "type");

	for (unsigned i = 0; i < 2; i++) {
		const char *node = qemu_opt(o, i == 0 ? "pflash0" : "pflash1");

		if (node == NULL)
			continue;
		q->flashes = i;
		qemu_flash(q, qemu_node_file(q, node));
	}
	json_decref(o);
}

static void take_accel(struct qemu *q, const char *text)
{
	if (strncmp(text, "kvm", 3) != 0)
		import_lost(q->im, "-accel", "a VM of Sill's runs on KVM");
}

static void take_blockdev(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, "driver");
	const char *name = qemu_opt(o, "node-name");

	if (name != NULL)
		(void)json_object_set(q->nodes, name, o);
	json_decref(o);
}

/* The list of @what that @o goes to by its id. */
static void keep_by_id(json_t *list, json_t *take_o)
{
	const char *id = qemu_opt(take_o, "id");

	if (id != NULL)
		(void)json_object_set(list, id, take_o);
	json_decref(take_o);
}

static void take_netdev(struct qemu *q, const char *text)
{
	keep_by_id(q->netdevs, qemu_opts(text, "type"));
}

static void take_chardev(struct qemu *q, const char *text)
{
	keep_by_id(q->chardevs, qemu_opts(text, "backend"));
}

static void take_object(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, "qom-type"), *memory;
	const char *type = qemu_opt(o, "qom-type"), *path = qemu_opt(o, "mem-path");
	char what[64];

	if (type != NULL && strncmp(type, "memory-backend-", 15) == 0) {
		memory = import_map(q->m, "memory");
		if (qemu_is_on(o, "share"))
			(void)json_object_set_new(memory, "shared", json_true());
		if (qemu_is_on(o, "hugetlb") || (path != NULL && strstr(path, "huge") != NULL))
			(void)json_object_set_new(memory, "hugepages", json_true());
		if (qemu_is_on(o, "prealloc"))
			(void)json_object_set_new(memory, "prefault", json_true());
	} else if (!qemu_one_of(" rng-random rng-builtin iothread ", type)) {
		(void)snprintf(what, sizeof(what), "-object %.50s", type != NULL ? type : "");
		import_lost(q->im, what, "Sill has nothing of the kind");
	}
	keep_by_id(q->objects, o);
}

static void take_device(struct qemu *q, const char *text)
{
	(void)json_array_append_new(q->devices, qemu_opts(text, "driver"));
}

static void take_bios(struct qemu *q, const char *file)
{
	if (strcasestr(file, "bios") != NULL)
		q->bios = true;
	else
		qemu_flash(q, file);
}

static void take_kernel(struct qemu *q, const char *file)
{
	import_text(q->m, "kernel", file);
}

static void take_initrd(struct qemu *q, const char *file)
{
	import_text(q->m, "initramfs", file);
}

static void take_append(struct qemu *q, const char *text)
{
	import_text(q->m, "cmdline", text);
}

static void take_cdrom(struct qemu *q, const char *file)
{
	qemu_simple_drive(q, file, "cdrom");
}

static void take_hd(struct qemu *q, const char *file)
{
	qemu_simple_drive(q, file, "disk");
}

static void take_uuid(struct qemu *q, const char *text)
{
	import_text(import_map(q->m, "platform"), "uuid", text);
}

static void take_smbios(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, "file"), *platform = import_map(q->m, "platform");

	import_text(platform, "serial_number", qemu_opt(o, "serial"));
	import_text(platform, "uuid", qemu_opt(o, "uuid"));
	for (size_t i = 0; qemu_opt_at(o, "value", i) != NULL; i++) {
		if (json_object_get(platform, "oem_strings") == NULL)
			(void)json_object_set_new(platform, "oem_strings", json_array());
		(void)json_array_append_new(json_object_get(platform, "oem_strings"),
					    json_string(qemu_opt_at(o, "value", i)));
	}
	qemu_rest(q, o, " type serial uuid value ", "-smbios");
	json_decref(o);
}

static void take_rtc(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, "base");
	const char *base = qemu_opt(o, "base");

	if (qemu_one_of(" utc localtime ", base))
		import_text(import_map(q->m, "platform"), "rtc", base);
	else if (base != NULL)
		import_lost(q->im, "-rtc base", "the clock keeps the host's time");
	json_decref(o);
}

static void take_watchdog(struct qemu *q, const char *text)
{
	(void)text;
	(void)json_object_set_new(q->m, "watchdog", json_true());
}

static void take_mem_path(struct qemu *q, const char *path)
{
	(void)json_object_set_new(import_map(q->m, "memory"), "hugepages", json_true());
	import_note(q->im, "-mem-path", "'%.100s' is taken to be huge pages", path);
}

static void take_prealloc(struct qemu *q, const char *text)
{
	(void)text;
	(void)json_object_set_new(import_map(q->m, "memory"), "prefault", json_true());
}

static void take_snapshot(struct qemu *q, const char *text)
{
	(void)text;
	q->snapshot = true;
}

static void take_nodefaults(struct qemu *q, const char *text)
{
	(void)text;
	q->no_net = true;
}

static void take_nographic(struct qemu *q, const char *text)
{
	(void)text;
	import_text(import_map(q->m, "serial"), "mode", "tty");
}

static void take_debugcon(struct qemu *q, const char *text)
{
	json_t *port;
	const unsigned was = q->serials;

	/* It is written as a serial port is. */
	q->serials = 0;
	port = json_incref(json_object_get(q->m, "serial"));
	qemu_serial(q, text);
	q->serials = was;
	(void)json_object_set(q->m, "debug_console", json_object_get(q->m, "serial"));
	if (port != NULL)
		(void)json_object_set_new(q->m, "serial", port);
	else
		(void)json_object_del(q->m, "serial");
}

static void take_display(struct qemu *q, const char *text)
{
	if (strcmp(text, "none") != 0)
		import_lost(q->im, "-display",
			    "Sill has no display yet; the guest's output is on serial and console");
}

static void take_vga(struct qemu *q, const char *text)
{
	if (strcmp(text, "none") != 0)
		import_lost(q->im, "-vga",
			    "Sill has no display yet; the guest's output is on serial and console");
}

static void take_monitor(struct qemu *q, const char *text)
{
	if (strcmp(text, "none") != 0)
		import_note(q->im, "-monitor",
			    "`sill ctl` and the control API speak to a VM that runs");
}

static void take_boot(struct qemu *q, const char *text)
{
	(void)text;
	import_note(q->im, "-boot", "the firmware keeps the boot order, in firmware.vars");
}

/* ---- all options ---- */

#define NO_DISPLAY "Sill has no display yet; the guest's output is on serial and console"

struct qemu_option {
	const char *names;                              /* " a b " */
	bool value;                                     /* one behind it */
	void (*take)(struct qemu *q, const char *text); /* NULL: see why */
	const char *why; /* not carried; NULL: there is nothing to carry */
};

/* clang-format off */
static const struct qemu_option options[] = {
	{ " machine M ", true, take_machine, NULL },
	{ " accel ", true, take_accel, NULL },
	{ " cpu ", true, qemu_cpu, NULL },
	{ " smp ", true, qemu_smp, NULL },
	{ " m ", true, qemu_memory, NULL },
	{ " drive ", true, qemu_drive, NULL },
	{ " blockdev ", true, take_blockdev, NULL },
	{ " device ", true, take_device, NULL },
	{ " netdev ", true, take_netdev, NULL },
	{ " nic ", true, qemu_nic, NULL },
	{ " net ", true, qemu_old_net, NULL },
	{ " chardev ", true, take_chardev, NULL },
	{ " object ", true, take_object, NULL },
	{ " serial ", true, NULL, NULL },
	{ " bios ", true, take_bios, NULL },
	{ " pflash ", true, qemu_flash, NULL },
	{ " kernel ", true, take_kernel, NULL },
	{ " initrd ", true, take_initrd, NULL },
	{ " append ", true, take_append, NULL },
	{ " cdrom ", true, take_cdrom, NULL },
	{ " hda hdb hdc hdd ", true, take_hd, NULL },
	{ " uuid ", true, take_uuid, NULL },
	{ " smbios ", true, take_smbios, NULL },
	{ " rtc ", true, take_rtc, NULL },
	{ " watchdog ", true, take_watchdog, NULL },
	{ " mem-path ", true, take_mem_path, NULL },
	{ " mem-prealloc ", false, take_prealloc, NULL },
	{ " snapshot ", false, take_snapshot, NULL },
	{ " nodefaults ", false, take_nodefaults, NULL },
	{ " nographic ", false, take_nographic, NULL },
	{ " debugcon ", true, take_debugcon, NULL },
	{ " display ", true, take_display, NULL },
	{ " vga ", true, take_vga, NULL },
	{ " vnc spice ", true, NULL, NO_DISPLAY },
	{ " monitor qmp qmp-pretty mon ", true, take_monitor, NULL },
	{ " boot ", true, take_boot, NULL },
	{ " name enable-kvm ", true, NULL, NULL },
	{ " enable-kvm no-hpet no-fd-bootchk no-user-config no-quit full-screen daemonize usb nouserconfig no-reboot-timeout "
	  "only-migratable curses sdl alt-grab ctrl-grab ", false, NULL, NULL },
	{ " pidfile D d msg sandbox runas chroot L k trace vnc-tls parallel overcommit realtime watchdog-action-none add-fd "
	  "enable-fips compat dfilter seed ", true, NULL, NULL },
	{ " no-acpi ", false, NULL, "a guest has ACPI" },
	{ " no-reboot ", false, NULL, "a reset starts the guest anew" },
	{ " no-shutdown ", false, NULL, "power-off ends the VM's process" },
	{ " S preconfig ", false, NULL, "a VM starts at once" },
	{ " s ", false, NULL, "gdb's end is `sill run --gdb 1234`, or debug.gdb" },
	{ " win2k-hack rtc-td-hack no-kvm singlestep ", false, NULL, "Sill has nothing of the kind" },
	{ " fda fdb sd mtdblock ", true, NULL, "Sill has no floppy and no flash cards" },
	{ " usbdevice ", true, NULL, "Sill has no USB and input devices yet" },
	{ " audio audiodev soundhw ", true, NULL, "Sill has no sound devices yet" },
	{ " tpmdev ", true, NULL, "Sill has no TPM yet" },
	{ " virtfs fsdev ", true, NULL, "Sill has no shared directories yet" },
	{ " numa ", true, NULL, "Sill has no NUMA nodes yet" },
	{ " global set ", true, NULL, "a property of QEMU's own" },
	{ " incoming loadvm ", true, NULL, "a snapshot is not of the manifest's" },
	{ " watchdog-action action ", true, NULL, "a guest that hangs is reset" },
	{ " gdb ", true, NULL, "gdb's end is `sill run --gdb PATH|PORT`, or debug.gdb" },
	{ " icount dtb fw_cfg acpitable option-rom readconfig writeconfig plugin semihosting-config xen-domid g ",
	  true, NULL, "Sill has nothing of the kind" },
};
/* clang-format on */

static const struct qemu_option *find_option(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (qemu_one_of(options[i].names, name))
			return &options[i];
	return NULL;
}

/* Ports and flash last: what they name may come behind them. */
enum { FIRST, LAST };

/* Returns whether the word behind it is its value. */
static bool take_option(struct qemu *q, char *const *words, size_t count, int pass)
{
	const char *name = words[0] + (words[0][1] == '-' ? 2 : 1);
	const struct qemu_option *o = find_option(name);
	/* Of what nobody knows, a word that is no option is taken for the value. */
	const bool value = o != NULL ? o->value && strcmp(name, "enable-kvm") != 0
				     : count > 1 && words[1][0] != '-';
	const char *text = value && count > 1 ? words[1] : "";

	if (pass == LAST) {
		if (strcmp(name, "serial") == 0)
			qemu_serial(q, text);
		else if (qemu_one_of(" machine M ", name))
			take_machine_flash(q, text);
	} else if (o == NULL) {
		import_lost(q->im, words[0], "QEMU has no such option, or Sill does not know it");
	} else if (o->take != NULL) {
		o->take(q, text);
	} else if (o->why != NULL) {
		import_lost(q->im, words[0], "%s", o->why);
	}
	return value;
}

static void walk(struct qemu *q, char *const *words, size_t count, int pass)
{
	for (size_t i = 0; i < count; i++) {
		if (words[i][0] == '-' && words[i][1] != '\0')
			i += take_option(q, words + i, count - i, pass) ? 1 : 0;
		else if (pass == FIRST)
			take_hd(q, words[i]);
	}
}

/* ---- the end ---- */

/* A guest that nobody named is Windows when a file's name says so, or it is offered what only Windows takes. */
static void name_guest(struct qemu *q)
{
	const json_t *disks = json_object_get(q->m, "disk");

	if (q->im->guest != NULL)
		return;
	if (q->windows) {
		import_text(q->m, "guest", "windows");
		return;
	}
	for (size_t i = 0; i < json_array_size(disks); i++) {
		const char *path =
			json_string_value(json_object_get(json_array_get(disks, i), "path"));
		const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;

		if (strncasecmp(base, "win", 3) != 0 && strcasestr(base, "windows") == NULL &&
		    strcasestr(base, "virtio-win") == NULL)
			continue;
		import_text(q->m, "guest", "windows");
		import_note(q->im, "guest",
			    "it is taken to be Windows, as '%s' says; --guest says otherwise",
			    base);
		return;
	}
}

static void name_firmware(struct qemu *q)
{
	if (json_object_get(q->m, "kernel") != NULL || q->flashes > 0)
		return;
	import_uefi(q->m);
	import_lost(q->im, "BIOS",
		    "Sill starts guests by UEFI: what was installed with a BIOS does not start");
}

static const char *name_of(char *const *words, size_t count, struct import *im)
{
	const char *found = NULL;

	for (size_t i = 0; i + 1 < count; i++) {
		json_t *o;
		const char *name;

		if (strcmp(words[i], "-name") != 0 && strcmp(words[i], "--name") != 0)
			continue;
		o = qemu_opts(words[i + 1], "guest");
		name = qemu_opt(o, "guest");
		if (name != NULL)
			found = arena_copy(&im->a, name, strlen(name));
		json_decref(o);
	}
	return found;
}

static void put_together(struct qemu *q, char *const *words, size_t count)
{
	/* 128 MiB where nothing is said. */
	import_size(import_map(q->m, "memory"), "size", 128 << 20);
	walk(q, words, count, FIRST);
	walk(q, words, count, LAST);
	for (size_t i = 0; i < json_array_size(q->devices); i++)
		qemu_device(q, json_array_get(q->devices, i));
	qemu_other_drives(q);
	qemu_nets(q);
	name_firmware(q);
	name_guest(q);
}

int import_qemu(struct import *im, char *const *words, size_t count)
{
	struct qemu q = { .im = im,
			  .m = import_vm(im, name_of(words, count, im)),
			  .drives = json_array(),
			  .nodes = json_object(),
			  .netdevs = json_object(),
			  .chardevs = json_object(),
			  .objects = json_object(),
			  .devices = json_array(),
			  .nics = json_array() };

	if (q.m != NULL)
		put_together(&q, words, count);
	json_decref(q.drives);
	json_decref(q.nodes);
	json_decref(q.netdevs);
	json_decref(q.chardevs);
	json_decref(q.objects);
	json_decref(q.devices);
	json_decref(q.nics);
	return q.m != NULL ? 0 : -1;
}
