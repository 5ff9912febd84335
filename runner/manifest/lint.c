/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint.c - the preflight rules for guest: windows, and their table.
 *
 * A rule is a pure function that finds members of the value; all the words are in the table.
 */
#include "runner/manifest/lint.h"

#include <string.h>
#include <strings.h>

#include "runner/host/vars.h"
#include "runner/report/json.h"
#include "runner/report/text.h"
#include "sill/hyperv.h"

static const uint64_t MIB = 1ull << 20, GIB = 1ull << 30;

enum { WIDTH = 90, INDENT = 7 };

/* @member when it is the first that is asked for and the rule holds. */
static const void *only(size_t i, bool holds, const void *member)
{
	return i == 0 && holds ? member : NULL;
}

static const void *find_one_cpu(const struct sill_config *v, size_t i)
{
	return only(i, v->cpus.boot == 1, &v->cpus.boot);
}

static const void *find_many_cpus(const struct sill_config *v, size_t i)
{
	return only(i, v->cpus.max > 64, &v->cpus.max);
}

static const void *find_packages(const struct sill_config *v, size_t i)
{
	return only(i, v->cpus.topology.packages > 2, &v->cpus.topology.packages);
}

static const void *find_threads(const struct sill_config *v, size_t i)
{
	const struct sill_topology *t = &v->cpus.topology;

	return only(i, t->threads_per_core > 2, &t->threads_per_core);
}

static const void *find_dies(const struct sill_config *v, size_t i)
{
	const struct sill_topology *t = &v->cpus.topology;

	return only(i, (t->dies_per_package & (t->dies_per_package - 1)) != 0,
		    &t->dies_per_package);
}

static const void *hyperv_off(const struct sill_config *v, enum sill_hv_feature f)
{
	const bool *on = sill_hv_switch(&v->cpus.hyperv, f);

	return v->cpus.kvm_hyperv && !*on ? on : NULL;
}

static const void *find_hotplug_partitioning(const struct sill_config *v, size_t i)
{
	return only(i, v->cpus.boot < v->cpus.max, hyperv_off(v, SILL_HV_dynamic_partitioning));
}

static const void *find_phys_bits(const struct sill_config *v, size_t i)
{
	return only(i, v->cpus.max_phys_bits > 46, &v->cpus.max_phys_bits);
}

static const void *find_hyperv_off(const struct sill_config *v, size_t i)
{
	return only(i, !v->cpus.kvm_hyperv, &v->cpus.kvm_hyperv);
}

static const void *find_relaxed(const struct sill_config *v, size_t i)
{
	return only(i, true, hyperv_off(v, SILL_HV_relaxed));
}

static const void *find_time(const struct sill_config *v, size_t i)
{
	return only(i, true, hyperv_off(v, SILL_HV_time));
}

static const void *find_frequencies(const struct sill_config *v, size_t i)
{
	return only(i, true, hyperv_off(v, SILL_HV_frequencies));
}

/* The @i-th of the two that there is. */
static const void *either(size_t i, const void *first, const void *second)
{
	if (first != NULL && i == 0)
		return first;
	return only(first != NULL ? i - 1 : i, true, second);
}

static const void *find_timers(const struct sill_config *v, size_t i)
{
	return either(i, hyperv_off(v, SILL_HV_synic), hyperv_off(v, SILL_HV_stimer));
}

static const void *find_nested(const struct sill_config *v, size_t i)
{
	return only(i, v->cpus.nested, &v->cpus.nested);
}

static const void *find_msrs(const struct sill_config *v, size_t i)
{
	return only(i, v->cpus.unknown_msrs == SILL_MSRS_FAULT, &v->cpus.unknown_msrs);
}

/* The entry of a list of features that is @name. */
static const void *entry(char *const *list, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(list[i], name) == 0)
			return &list[i];
	}
	return NULL;
}

static const void *removed(const struct sill_config *v, const char *name)
{
	return entry(v->cpus.features.remove, v->cpus.features.remove_count, name);
}

static const void *added(const struct sill_config *v, const char *name)
{
	return entry(v->cpus.features.add, v->cpus.features.add_count, name);
}

static const void *find_needed(const struct sill_config *v, size_t i)
{
	static const char *const names[] = { "sse4_2",        "popcnt", "cx16", "lahf_lm", "sep",
					     "3dnowprefetch", "nx",     "fxsr", "sse",     "sse2",
					     "cx8",           "lm",     "pae",  "pge" };

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		const void *member = removed(v, names[k]);

		if (member != NULL && i-- == 0)
			return member;
	}
	return NULL;
}

static const void *find_xsaves(const struct sill_config *v, size_t i)
{
	return only(i, removed(v, "xsavec") == NULL, removed(v, "xsaves"));
}

static const void *find_topoext(const struct sill_config *v, size_t i)
{
	return only(i, removed(v, "perfctr_core") == NULL, removed(v, "topoext"));
}

static const void *find_gigabyte_pages(const struct sill_config *v, size_t i)
{
	return only(i, true, removed(v, "pdpe1gb"));
}

static const void *find_cet(const struct sill_config *v, size_t i)
{
	return either(i, added(v, "cet_ss"), added(v, "cet_ibt"));
}

static const void *find_arch_capabilities(const struct sill_config *v, size_t i)
{
	return only(i, true, added(v, "arch_capabilities"));
}

static const void *find_psfd(const struct sill_config *v, size_t i)
{
	return only(i, true, added(v, "amd_psfd"));
}

static const void *find_la57(const struct sill_config *v, size_t i)
{
	return only(i, true, added(v, "la57"));
}

static const void *find_memory_tiny(const struct sill_config *v, size_t i)
{
	return only(i, v->memory.size < 2 * GIB, &v->memory.size);
}

static const void *find_memory_small(const struct sill_config *v, size_t i)
{
	return only(i, v->memory.size >= 2 * GIB && v->memory.size < 4 * GIB, &v->memory.size);
}

static const void *find_memory_odd(const struct sill_config *v, size_t i)
{
	return only(i, v->memory.size % (128 * MIB) != 0, &v->memory.size);
}

static const void *find_kernel(const struct sill_config *v, size_t i)
{
	return only(i, v->kernel != NULL, &v->kernel);
}

static const void *find_no_vars(const struct sill_config *v, size_t i)
{
	const struct sill_firmware_config *f = &v->firmware;

	return only(i, f->code != NULL && f->vars == NULL, &f->code);
}

/* A value has no variables: vars.c finds them. */
static const void *find_nothing(const struct sill_config *v, size_t i)
{
	(void)v;
	(void)i;
	return NULL;
}

static const void *find_smm(const struct sill_config *v, size_t i)
{
	const struct sill_firmware_config *f = &v->firmware;

	return only(i, f->code != NULL && vars_needs_smm(f->code), &f->code);
}

bool lint_is_foreign_name(const char *path)
{
	static const char *const ends[] = { ".vmdk", ".vdi", ".qed", ".gz",  ".xz", ".bz2",
					    ".zst",  ".zip", ".tar", ".ova", ".7z" };
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot != NULL && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcasecmp(dot, ends[i]) == 0)
			return true;
	return false;
}

/* The path of the @i-th raw disk whose name is of something else. */
static const void *find_foreign(const struct sill_config *v, size_t i)
{
	for (unsigned k = 0; k < v->disk_count; k++) {
		const struct sill_disk_config *d = &v->disk[k];

		if (d->format == SILL_DISK_RAW && d->format_check &&
		    lint_is_foreign_name(d->path) && i-- == 0)
			return &d->path;
	}
	return NULL;
}

/* The @i-th serial number of a disk for which @holds. */
static const void *nth_serial(const struct sill_config *v, bool (*holds)(const char *serial),
			      size_t i)
{
	for (unsigned k = 0; k < v->disk_count; k++) {
		const struct sill_disk_config *d = &v->disk[k];

		if (holds(d->serial) && i-- == 0)
			return &d->serial;
	}
	return NULL;
}

/* The @i-th disk with more queues than the VM has processors. */
static const void *find_disk_queues(const struct sill_config *v, size_t i)
{
	for (unsigned k = 0; k < v->disk_count; k++) {
		const struct sill_disk_config *d = &v->disk[k];

		if (d->queues > v->cpus.boot && i-- == 0)
			return &d->queues;
	}
	return NULL;
}

static bool is_long(const char *serial)
{
	return strlen(serial) > 19;
}

static bool is_odd(const char *serial)
{
	return serial[strspn(serial, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789._-")] != '\0';
}

static const void *find_serial_long(const struct sill_config *v, size_t i)
{
	return nth_serial(v, is_long, i);
}

static const void *find_serial_odd(const struct sill_config *v, size_t i)
{
	return nth_serial(v, is_odd, i);
}

static const void *find_console(const struct sill_config *v, size_t i)
{
	return only(i, v->console.mode != SILL_CHAR_OFF, &v->console.mode);
}

static const void *find_serial_off(const struct sill_config *v, size_t i)
{
	return only(i, v->serial.mode == SILL_CHAR_OFF, &v->serial.mode);
}

static const void *find_utc(const struct sill_config *v, size_t i)
{
	return only(i, v->platform.rtc == SILL_RTC_UTC, &v->platform.rtc);
}

#define CH     "https://github.com/cloud-hypervisor/cloud-hypervisor/"
#define VIRTIO "https://github.com/virtio-win/kvm-guest-drivers-windows/"
#define MS     "https://learn.microsoft.com/"
#define TLFS   "https://github.com/MicrosoftDocs/Virtualization-Documentation/tree/main/tlfs"

/* clang-format off */
const struct lint_rule lint_rules[] = {
	/* Processors. */
	{ "cpus-one", find_one_cpu,
	  "Windows starts with one vCPU",
	  "Windows 11 asks for two cores; with one, every driver's interrupt work competes with "
	  "all else, and drivers with a queue for each vCPU are little tested",
	  "cpus: {boot: 2}",
	  MS "windows/whats-new/windows-11-requirements" },
	{ "cpus-groups", find_many_cpus,
	  "more than 64 vCPUs: more than one processor group",
	  "a program that knows nothing of processor groups uses the 64 vCPUs of one group at "
	  "most",
	  "at most 64, unless all that matters in the guest knows processor groups",
	  MS "windows/win32/procthread/processor-groups" },
	{ "topology-packages", find_packages,
	  "more than two packages (sockets)",
	  "client editions of Windows use one or two and leave the vCPUs of the others idle",
	  "put the cores into one package: packages: 1",
	  CH "issues/6504" },
	{ "topology-threads", find_threads,
	  "more than two threads in a core",
	  "no processor that Windows is tested on has that; APIC ids are made of power-of-two "
	  "fields, and schedulers and licences count cores by them",
	  "threads_per_core: 1, and more cores",
	  CH "issues/6051" },
	{ "topology-dies", find_dies,
	  "dies in a package that are not a power of two",
	  "APIC ids are made of power-of-two fields and get holes; Windows ends with 0x3E "
	  "(multiprocessor configuration not supported) when it cannot make sense of them",
	  "dies_per_package: 1, and more cores",
	  CH "issues/6051" },
	{ "phys-bits", find_phys_bits,
	  "more than 46 physical address bits",
	  "firmware puts its 64-bit window where no processor with fewer bits reaches; with a "
	  "window that high Windows has started over and over",
	  "max_phys_bits: 40, or leave the key out",
	  CH "issues/5942" },
	{ "nested", find_nested,
	  "hardware virtualization is shown to Windows",
	  "Windows starts its virtualization-based security on it: much slower, and some builds "
	  "did not boot",
	  "nested: off, unless Hyper-V or WSL 2 is to run in the guest",
	  "https://github.com/microsoft/openvmm/pull/3646" },
	{ "unknown-msrs", find_msrs,
	  "registers nobody knows fault",
	  "not every access of Windows and its drivers to a model-specific register is guarded: "
	  "a fault there is a bug check",
	  "unknown_msrs: ignore",
	  "https://github.com/virt-manager/virt-manager/issues/570" },

	/* Enlightenments. */
	{ "hyperv-off", find_hyperv_off,
	  "no Hyper-V enlightenments",
	  "without them Windows has hung early in its start, with nothing on the screen, and its "
	  "clocks cost an exit each",
	  "kvm_hyperv: on",
	  CH "blob/main/docs/windows.md" },
	{ "hyperv-relaxed", find_relaxed,
	  "relaxed timing is off",
	  "under a hypervisor that does not ask for it Windows keeps its watchdogs: bug checks "
	  "0x101 (clock) and 0x133 (DPC) when the host is busy",
	  "relaxed: on",
	  TLFS },
	{ "hyperv-time", find_time,
	  "the reference clock is off",
	  "each look at the clock is an exit: 71 thousand in a second instead of 1.3 million",
	  "time: on",
	  CH "issues/8380" },
	{ "hyperv-frequencies", find_frequencies,
	  "the frequencies are not told",
	  "Windows measures its timers against each other at the start; on a busy host it "
	  "measures wrong, and its clock runs wrong until the next start",
	  "frequencies: on",
	  "https://www.qemu.org/docs/master/system/i386/hyperv.html" },
	{ "hyperv-timers", find_timers,
	  "the synthetic timers are off, or cannot work",
	  "the clock interrupt then comes from an emulated timer: more exits, and late ticks",
	  "synic: on, stimer: on",
	  "https://www.qemu.org/docs/master/system/i386/hyperv.html" },
	{ "hyperv-hotplug", find_hotplug_partitioning,
	  "vCPUs may be added, but Windows is told that they are not",
	  "a vCPU that is added anyway has ended in a bug check",
	  "dynamic_partitioning: on, or cpus.max equal to cpus.boot",
	  CH "issues/1799" },

	/* Processor features. */
	{ "features-needed", find_needed,
	  "a processor feature that Windows needs is removed",
	  "Windows 11 24H2 and Server 2025 do not start without SSE4.2, POPCNT, CMPXCHG16B, "
	  "LAHF/SAHF, PREFETCHW and NX, and no version without what is older",
	  "leave it in",
	  MS "windows-server/get-started/hardware-requirements" },
	{ "features-xsaves", find_xsaves,
	  "xsaves is removed and xsavec is not",
	  "Server 2016 with Hyper-V and several vCPUs does not start on that pair",
	  "remove both or none",
	  "https://github.com/torvalds/linux/blob/master/arch/x86/kvm/hyperv.c" },
	{ "features-topoext", find_topoext,
	  "topoext is removed and perfctr_core is not",
	  "on AMD, Server 2022 loops for ever at its start on that pair",
	  "remove both or none",
	  "https://github.com/oxidecomputer/propolis/pull/961" },
	{ "features-1g-pages", find_gigabyte_pages,
	  "1 GiB pages are removed",
	  "the firmware then uses no more than 40 physical address bits, whatever the processor "
	  "says",
	  "leave pdpe1gb in",
	  "https://github.com/tianocore/edk2/blob/master/OvmfPkg/Library/PlatformInitLib/MemDetect.c" },
	{ "features-cet", find_cet,
	  "control-flow enforcement (CET) is shown to Windows",
	  "KVM carries all of its registers only since Linux 6.18, and Proxmox hides it from every "
	  "Windows guest",
	  "leave it out",
	  "https://github.com/proxmox/qemu-server/blob/master/src/test/cfg2cmd/"
	  "win11-amd-host-11.0+pve2.conf.cmd" },
	{ "features-arch-caps", find_arch_capabilities,
	  "arch_capabilities is added",
	  "on an AMD host Windows takes it for a processor that does not exist: bug check 0x5D",
	  "leave it out",
	  "https://github.com/qemus/qemu/pull/813" },
	{ "features-psfd", find_psfd,
	  "amd_psfd is added",
	  "where the other speculation controls are missing, a Windows with Hyper-V faults when "
	  "it uses this one",
	  "leave it out",
	  "https://github.com/microsoft/openvmm/pull/3534" },
	{ "features-la57", find_la57,
	  "five-level paging is added",
	  "firmware and Windows are tested with four levels, and firmware lays out its address "
	  "space otherwise with five",
	  "leave it out",
	  "https://github.com/tianocore/edk2/blob/master/OvmfPkg/Library/PlatformInitLib/MemDetect.c" },

	/* Memory. */
	{ "memory-tiny", find_memory_tiny,
	  "less than 2 GiB of memory",
	  "the boot loader of Windows Server gives up with 0xC0000017 (no memory)",
	  "memory: {size: 4G}",
	  "https://github.com/oxidecomputer/propolis/issues/793" },
	{ "memory-small", find_memory_small,
	  "less than 4 GiB of memory",
	  "Windows 11 asks for 4 GiB, and its Setup ends when there is less",
	  "memory: {size: 4G}",
	  MS "windows/whats-new/windows-11-requirements" },
	{ "memory-odd", find_memory_odd,
	  "memory that is not a multiple of 128 MiB",
	  "memory that is added to a running guest comes in blocks of 128 MiB, at multiples of that: "
	  "behind an odd size the first does not fit",
	  "round it to a multiple of 128M",
	  CH "blob/main/docs/hotplug.md" },

	/* What it starts from. */
	{ "boot-kernel", find_kernel,
	  "Windows does not start from a kernel",
	  "this starts a Linux kernel without firmware; Windows needs UEFI",
	  "firmware: {code: /usr/share/OVMF/OVMF_CODE_4M.fd, vars: NAME.vars.fd}",
	  CH "blob/main/docs/windows.md" },
	{ "firmware-no-vars", find_no_vars,
	  "UEFI firmware without a file for its variables",
	  "Setup writes its boot entry into them and restarts several times: at each start of the "
	  "VM the entry, and the order of the disks, are forgotten",
	  "add 'vars: NAME.vars.fd'; an ELF such as CLOUDHV.fd cannot have any: take OVMF_CODE_4M.fd",
	  "https://github.com/tianocore/edk2/blob/master/OvmfPkg/README" },
	{ "firmware-smm", find_smm,
	  "firmware that is built for system management mode",
	  "this machine has none: such a build stops before its first line of output",
	  "code: /usr/share/OVMF/OVMF_CODE_4M.fd",
	  "https://github.com/tianocore/edk2/blob/master/OvmfPkg/README" },

	/* Disks, ports, clock. */
	{ "disk-foreign", find_foreign,
	  "another program's image, or a packed file, as a raw disk",
	  "the guest finds that file's own header where it looks for its partitions, and what it "
	  "writes destroys the file",
	  "`sill image info FILE` says what it is, and what makes a disk of it",
	  "https://www.qemu.org/docs/master/system/qemu-block-drivers.html#disk-image-file-formats" },
	{ "disk-serial-long", find_serial_long,
	  "a disk's serial number of 20 characters",
	  "Windows' driver takes the number for text that ends with a NUL, and 20 characters "
	  "leave no room for it",
	  "at most 19 characters",
	  VIRTIO "blob/master/viostor/virtio_stor.c" },
	{ "disk-serial-odd", find_serial_odd,
	  "a disk's serial number with more than letters, digits, '.', '_' and '-'",
	  "it becomes part of what Windows calls the disk, and blanks are cut off: two numbers may "
	  "become one, and Windows takes disks with one number offline (event 158)",
	  "letters, digits, '.', '_' and '-'",
	  VIRTIO "issues/250" },
	{ "disk-queues", find_disk_queues,
	  "a disk with more queues than the VM has vCPUs",
	  "Windows' driver uses one for each processor; the rest are threads and memory for nothing",
	  "at most cpus.boot",
	  VIRTIO "blob/master/viostor/virtio_stor.c" },
	{ "console-on", find_console,
	  "a virtio console",
	  "Windows has no use for it: its virtio-serial driver asks for a device with several "
	  "ports, and without that driver it is an unknown device",
	  "console: {mode: off}; Windows' console is the serial port",
	  VIRTIO "tree/master/vioserial" },
	{ "serial-off", find_serial_off,
	  "no serial port",
	  "the Special Administration Console, Windows' only console here, has nowhere to go",
	  "serial: {mode: tty}, or file, pty, socket, null",
	  MS "windows-hardware/drivers/devtest/boot-parameters-to-enable-ems-redirection" },
	{ "rtc-utc", find_utc,
	  "a clock that keeps UTC",
	  "Windows takes it for local time, and is off by the time zone until the network sets it",
	  "rtc: localtime, unless RealTimeIsUniversal is set in the guest's registry",
	  "https://libvirt.org/formatdomain.html#time-keeping" },

	/* The manifest itself. */
	{ "variable-unused", find_nothing,
	  "a variable that nothing reads",
	  "who changes its value expects something to change",
	  "take it out, or write ${NAME} where it is meant",
	  "https://github.com/terraform-linters/tflint-ruleset-terraform/blob/main/docs/rules/terraform_unused_declarations.md" },
	{ .id = NULL },
};
/* clang-format on */

/* Of every guest, not only of Windows. */
static bool is_general(const struct lint_rule *r)
{
	return strcmp(r->id, "firmware-smm") == 0 || strcmp(r->id, "disk-foreign") == 0 ||
	       strcmp(r->id, "variable-unused") == 0;
}

/* One that is off by default is so because another is, and that is the cause. */
static bool is_of_a_switch(const struct lint_rule *r)
{
	return strncmp(r->id, "hyperv-", 7) == 0 && strcmp(r->id, "hyperv-off") != 0;
}

static void warn(struct diags *w, const struct lint_rule *r, const struct node *n)
{
	struct diag *g =
		diag_add(w, n->at, n->path, "%s%s", r->msg, n->implied ? " (the default)" : "");

	diag_hint(g, "%s", r->fix);
	diag_warn(g, r->id, r->why, r->see);
}

static const struct lint_rule *find_rule(const char *id)
{
	const struct lint_rule *r = lint_rules;

	while (strcmp(r->id, id) != 0)
		r++;
	return r;
}

void lint_smm(struct diags *ret_warnings, const struct node *n)
{
	warn(ret_warnings, find_rule("firmware-smm"), n);
}

void lint_foreign(struct diags *ret_warnings, const struct node *n)
{
	warn(ret_warnings, find_rule("disk-foreign"), n);
}

void lint_unused(struct diags *ret_warnings, const struct node *n)
{
	warn(ret_warnings, find_rule("variable-unused"), n);
}

void lint_document(struct diags *ret_warnings, const struct check *c, const struct sill_config *v)
{
	const bool windows = v->guest == SILL_GUEST_WINDOWS;

	for (const struct lint_rule *r = lint_rules; r->id != NULL; r++) {
		const void *member;

		for (size_t i = 0; (windows || is_general(r)) && (member = r->find(v, i)) != NULL;
		     i++) {
			const struct node *n = place_at(c, member);

			if (n != NULL && !(n->implied && is_of_a_switch(r)))
				warn(ret_warnings, r, n);
		}
	}
}

void lint_explain(FILE *f)
{
	text_wrap(f,
		  "`sill validate` warns about these, most of them only with guest: windows. A "
		  "warning is no mistake: the VM can be run. With --strict a warning is as bad as "
		  "a mistake.",
		  0, WIDTH);
	for (const struct lint_rule *r = lint_rules; r->id != NULL; r++) {
		(void)fprintf(f, "\n%s: %s%s\n", r->id, r->msg,
			      is_general(r) ? " (any guest)" : "");
		text_wrap_label(f, "  why", r->why, INDENT, WIDTH);
		text_wrap_label(f, "  do", r->fix, INDENT, WIDTH);
		text_wrap_label(f, "  see", r->see, INDENT, WIDTH);
	}
}

json_t *lint_explain_json(void)
{
	json_t *list = json_array();

	for (const struct lint_rule *r = lint_rules; r->id != NULL; r++) {
		json_t *o = json_object();

		(void)json_object_set_new(o, "rule", json_string(r->id));
		(void)json_object_set_new(o, "message", json_string(r->msg));
		(void)json_object_set_new(o, "any_guest", json_boolean(is_general(r)));
		(void)json_object_set_new(o, "why", json_string(r->why));
		(void)json_object_set_new(o, "hint", json_string(r->fix));
		(void)json_object_set_new(o, "see", json_string(r->see));
		(void)json_array_append_new(list, o);
	}
	return list;
}
