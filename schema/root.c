/* SPDX-License-Identifier: Apache-2.0 */
/* root.c - the keys at the top of a document. */
#include <string.h>

#include "schema/key.h"
#include "sill/config.h"

static const cyaml_strval_t guests[] = {
	{ "windows", SILL_GUEST_WINDOWS },
	{ "linux", SILL_GUEST_LINUX },
	{ "other", SILL_GUEST_OTHER },
};

static const cyaml_strval_t restarts[] = {
	{ "no", SILL_RESTART_NO },
	{ "on-failure", SILL_RESTART_ON_FAILURE },
	{ "always", SILL_RESTART_ALWAYS },
};

static const cyaml_strval_t crash_ways[] = {
	{ "report", SILL_ON_CRASH_REPORT },
	{ "reset", SILL_ON_CRASH_RESET },
	{ "stop", SILL_ON_CRASH_STOP },
	{ "nmi-dump", SILL_ON_CRASH_NMI_DUMP },
};

static const struct key root_keys[] = {
	{ KEY_UINT(struct sill_config, sill), .min = 1, .max = 1, .required = true,
	  .doc = "The version of the manifest's language. People write it first, programs wherever "
		 "they sort it. A released version never changes its meaning.",
	  .example = "1" },
	{ KEY_STRING(struct sill_config, name, KIND_NAME), .min = 1, .max = 63, .required = true,
	  .doc = "What the VM is called, on the command line and in file names. Unique in the "
		 "file.",
	  .example = "win2022" },
	{ KEY_ENUM(struct sill_config, guest, guests), .def = "other",
	  .doc = "What runs inside. 'windows' is a profile: it changes the defaults that Windows "
		 "needs otherwise (cpus.kvm_hyperv, platform.rtc). Each of them can be overridden.",
	  .example = "windows" },
	{ KEY_MAP(struct sill_config, firmware, firmware_section),
	  .doc = "The firmware the VM starts from. A VM has either firmware.code or kernel.",
	  .example = "{code: /usr/share/OVMF/OVMF_CODE_4M.fd, vars: win2022.vars.fd}" },
	{ KEY_STRING(struct sill_config, kernel, KIND_FILE_READ), .min = 1, .max = 1024,
	  .effect = EFFECT_NEXT_BOOT,
	  .doc = "A Linux kernel to start without firmware: a bzImage, or an ELF with a PVH note.",
	  .example = "vmlinuz" },
	{ KEY_STRING(struct sill_config, initramfs, KIND_FILE_READ), .min = 1, .max = 1024,
	  .effect = EFFECT_NEXT_BOOT,
	  .doc = "The initial RAM disk that is handed to the kernel. Only with kernel.",
	  .example = "initrd.img" },
	{ KEY_STRING(struct sill_config, cmdline, KIND_TEXT), .min = 0, .max = SILL_CMDLINE_MAX - 1,
	  .effect = EFFECT_NEXT_BOOT, .unit = "bytes",
	  .doc = "The kernel's command line. Only with kernel.",
	  .example = "console=ttyS0 root=/dev/vda1" },
	{ KEY_MAP(struct sill_config, cpus, cpus_section), .implied = true, .short_key = "boot",
	  .doc = "The virtual processors.", .example = "{boot: 2, max: 8}" },
	{ KEY_MAP(struct sill_config, memory, memory_section), .implied = true, .short_key = "size",
	  .doc = "The memory the guest has, and what it is made of.", .example = "{size: 4G}" },
	{ KEY_LIST_OF_MAPS(struct sill_config, disk, disk_section), .match = "id", .min = 0,
	  .max = SILL_MAX_DISKS, .effect = EFFECT_HOTPLUG,
	  .doc = "The disks, in the order in which they take PCI slots.",
	  .example = "[{path: disk.img, format: raw}]" },
	{ KEY_LIST_OF_MAPS(struct sill_config, net, net_section), .match = "id", .min = 0,
	  .max = SILL_MAX_NETS, .effect = EFFECT_HOTPLUG, .short_key = "tap",
	  .doc = "The network cards. Those without a slot come behind all other devices, in their "
		 "order.",
	  .example = "[{tap: ''}]" },
	{ KEY_MAP(struct sill_config, serial, serial_section), .implied = true, .short_key = "mode",
	  .doc = "The first serial port (COM1, ttyS0) and where its other end is.",
	  .example = "{mode: tty}" },
	{ KEY_MAP(struct sill_config, serial2, serial2_section), .short_key = "mode",
	  .doc = "The second serial port (COM2, ttyS1), if there is to be one, and where its other "
		 "end is.",
	  .example = "{mode: pty}" },
	{ KEY_MAP(struct sill_config, debug_console, debug_console_section), .short_key = "mode",
	  .doc = "The debug console: an I/O port whose bytes go to its other end, as Bochs has it.",
	  .example = "{mode: pty}" },
	{ KEY_MAP(struct sill_config, console, console_section), .implied = true,
	  .short_key = "mode", .doc = "The virtio console (hvc0) and where its other end is.",
	  .example = "{mode: pty}" },
	{ KEY_MAP(struct sill_config, debug, debug_section),
	  .doc = "How the guest's kernel is debugged.",
	  .example = "{kd: serial2, listen: 127.0.0.1:4445}" },
	{ KEY_MAP(struct sill_config, rng, rng_section), .implied = true, .short_key = "src",
	  .doc = "The virtio entropy device.", .example = "{src: /dev/urandom}" },
	{ KEY_MAP(struct sill_config, vsock, vsock_section), .effect = EFFECT_HOTPLUG,
	  .doc = "A virtio socket device: streams between the guest and programs of the host.",
	  .example = "{cid: 3, socket: vsock.sock}" },
	{ KEY_MAP(struct sill_config, balloon, balloon_section), .effect = EFFECT_HOTPLUG,
	  .short_key = "size",
	  .doc = "A virtio memory balloon: memory that the guest gives to the host while it does "
		 "not need it.",
	  .example = "{size: 256M}" },
	{ KEY_ENUM(struct sill_config, on_crash, crash_ways), .def = "report",
	  .doc = "What becomes of a guest that says it has crashed, by the crash registers of "
		 "Hyper-V (Windows' bug checks), on a serial port (the same, with EMS; not with "
		 "guest: linux) or by pvpanic. It is told in any case: an event, "
		 "and "
		 "`crash` in `sill status`. report: nothing more, so that it may write its dump; "
		 "reset, stop: at once, and it writes none; nmi-dump: an NMI to all vCPUs, after "
		 "which it may write one. A VM that is stopped so has failed: its state is fault, "
		 "and `restart: on-failure` starts it again.",
	  .example = "stop" },
	{ KEY_BOOL(struct sill_config, pvpanic), .def = "off",
	  .doc = "The device by which a guest says that it has crashed (ACPI QEMU0001, port "
		 "0x505). "
		 "Linux' pvpanic and virtio-win's have a driver; Windows without one shows an "
		 "unknown "
		 "device.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_config, watchdog), .def = "off",
	  .doc = "A hardware watchdog (ACPI table WDAT): a guest that has started it, and does not "
		 "answer for as long as it said, is reset. Linux' wdat_wdt and Windows drive it; "
		 "it stands while the VM is paused.",
	  .example = "on" },
	{ KEY_MAP(struct sill_config, api, api_section), .short_key = "socket",
	  .doc = "Where the control API listens, besides the runtime directory.",
	  .example = "/run/web.sock" },
	{ KEY_MAP(struct sill_config, platform, platform_section), .implied = true,
	  .doc = "What the machine says about itself, and its clock.",
	  .example = "{serial_number: SN-0001}" },
	{ KEY_LIST_OF_MAPS(struct sill_config, ready, ready_section), .min = 0,
	  .max = SILL_MAX_READY, .alone = true, .effect = EFFECT_LIVE,
	  .doc = "Signs by which others see that the guest is up. All of them must have come.",
	  .example = "[{serial: login, within: 300s}]" },
	{ KEY_ENUM(struct sill_config, restart, restarts), .def = "no", .effect = EFFECT_LIVE,
	  .doc = "Whether a VM in the background (`sill up`) is started again when it has ended. "
		 "on-failure: when it has "
		 "crashed, or could not go on because of the guest (also by on_crash: stop) or the "
		 "host; always: also when "
		 "the guest has shut itself "
		 "down. After 0.5 s, then twice as long each time, 60 s at most; once it has run "
		 "for a minute, "
		 "0.5 s again. One that somebody has stopped stays so.",
	  .example = "on-failure" },
};

const struct section root_section = {
	.name = "",
	.doc = "One document describes one VM. A file may hold several, separated by '---'. "
	       "Relative paths are relative to the manifest's own directory. Keys that begin with "
	       "'x-' are left alone: a place for anchors.",
	.keys = root_keys,
	/* Either a kernel or firmware.code. */
	.schema =
		"{\"dependentRequired\": {\"initramfs\": [\"kernel\"], \"cmdline\": [\"kernel\"]},"
		" \"oneOf\": [{\"required\": [\"kernel\"]}, {\"required\": [\"firmware\"],"
		" \"properties\": {\"firmware\": {\"required\": [\"code\"]}}}],"
		" \"patternProperties\": {\"^x-.\": {}}}",
	.count = CYAML_ARRAY_LEN(root_keys),
};

const struct front_key front_keys[] = {
	{ .key = "base",
	  .type = "a path, or list of 1 to 16 paths, each of a file that is read",
	  .doc = "What the document stands on: files of one document each, relative to the file "
		 "that "
		 "says it, with keys that this one has too unless it says otherwise. Mappings are "
		 "merged key by key, lists whose entries have an id entry by entry, anything else "
		 "is "
		 "replaced, and null takes a key away (docs/COMPOSE.md).",
	  .example = "../bases/windows.yaml",
	  .schema = "{\"anyOf\": [{\"type\": \"string\", \"minLength\": 1},"
		    " {\"type\": \"array\", \"minItems\": 1, \"maxItems\": 16,"
		    " \"items\": {\"type\": \"string\", \"minLength\": 1}}]}" },
	{ .key = "vars",
	  .type = "mapping of names to single values",
	  .doc = "Variables: ${name} in any value below is what is said here. A file that a "
		 "document "
		 "stands on may have them too, and the command line goes before both (--set, "
		 "--var-file). One without a value must be set. ${name} is also the VM's name, and "
		 "${dir} the directory of the file; $${ is ${ itself (docs/COMPOSE.md).",
	  .example = "{size: 4G, image: web.qcow2}",
	  .schema = "{\"type\": \"object\","
		    " \"propertyNames\": {\"pattern\": \"^[A-Za-z_][A-Za-z0-9_-]*$\"},"
		    " \"additionalProperties\":"
		    " {\"type\": [\"string\", \"number\", \"boolean\", \"null\"]}}" },
	{ 0 },
};

const struct front_key *front_find(const char *key)
{
	for (const struct front_key *f = front_keys; f->key != NULL; f++)
		if (strcmp(f->key, key) == 0)
			return f;
	return NULL;
}
