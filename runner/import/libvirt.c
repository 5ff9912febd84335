/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt.c - libvirt's domain XML (https://libvirt.org/formatdomain.html, as of version 9). */
#include "runner/import/libvirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/scalar.h"

bool domain_one_of(const char *words, const char *word)
{
	char padded[64];

	if (word == NULL || strlen(word) > sizeof(padded) - 3 || strchr(word, ' ') != NULL)
		return false;
	(void)snprintf(padded, sizeof(padded), " %s ", word);
	return strstr(words, padded) != NULL;
}

uint64_t domain_number(const char *text)
{
	uint64_t n;

	return text != NULL && scalar_uint(text, &n) == SCALAR_OK && n <= INT64_MAX ? n : 0;
}

void domain_set_number(json_t *to, const char *key, const char *text)
{
	if (domain_number(text) > 0)
		(void)json_object_set_new(to, key, json_integer((json_int_t)domain_number(text)));
}

void domain_set_size(json_t *to, const char *key, uint64_t bytes)
{
	if (bytes > 0)
		import_size(to, key, bytes);
}

void domain_walk(struct domain *d, const xmlNode *n, const struct element *rows, size_t count)
{
	for (const xmlNode *c = n->children; c != NULL; c = c->next) {
		size_t i = 0;

		if (c->type != XML_ELEMENT_NODE)
			continue;
		while (i < count && !domain_one_of(rows[i].names, (const char *)c->name))
			i++;
		if (i == count)
			import_lost(d->im, (const char *)c->name, "Sill has nothing of the kind");
		else if (rows[i].take != NULL)
			rows[i].take(d, c);
		else if (rows[i].why != NULL)
			import_lost(d->im, (const char *)c->name, "%s", rows[i].why);
	}
}

/* ---- memory: <memory> is all of it, <currentMemory> without the balloon, <maxMemory> with what may come ---- */

/* The text of @n in bytes; KiB without a unit. */
static uint64_t bytes_of(struct domain *d, const xmlNode *n)
{
	static const struct {
		const char *names;
		uint64_t bytes;
	} units[] = { { " b bytes ", 1 },        { " KB ", 1000 },
		      { " k KiB ", 1ull << 10 }, { " MB ", 1000000 },
		      { " M MiB ", 1ull << 20 }, { " GB ", 1000000000 },
		      { " G GiB ", 1ull << 30 }, { " T TiB ", 1ull << 40 } };
	const char *unit = xml_attr(d->im, n, "unit");
	const uint64_t v = domain_number(xml_text(d->im, n));

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (domain_one_of(units[i].names, unit != NULL ? unit : "KiB"))
			return v < (1ull << 60) / units[i].bytes ? v * units[i].bytes : 0;
	return 0;
}

/* libvirt rounds up to a page. */
static uint64_t memory_of(struct domain *d, const xmlNode *n)
{
	return (bytes_of(d, xml_child(n->parent, "memory")) + 4095) / 4096 * 4096;
}

static void take_memory(struct domain *d, const xmlNode *n)
{
	if (memory_of(d, n) == 0)
		import_lost(d->im, "memory", "that is no size: it is the default");
	domain_set_size(import_map(d->m, "memory"), "size", memory_of(d, n));
}

static void take_current_memory(struct domain *d, const xmlNode *n)
{
	const uint64_t now = bytes_of(d, n) / 4096 * 4096;

	if (now > 0 && now < memory_of(d, n))
		import_size(import_map(d->m, "balloon"), "size", memory_of(d, n) - now);
}

static void take_max_memory(struct domain *d, const xmlNode *n)
{
	const uint64_t max = bytes_of(d, n), module = 128 << 20;
	const uint64_t memory = memory_of(d, n);

	if (max > memory)
		domain_set_size(import_map(d->m, "memory"), "hotplug_size",
				(max - memory) / module * module);
}

static void take_hugepages(struct domain *d, const xmlNode *n)
{
	static const char unit[] = "KiB";
	const xmlNode *page = xml_child(n, "page");
	const char *size = xml_attr(d->im, page, "size"), *in = xml_attr(d->im, page, "unit");
	json_t *memory = import_map(d->m, "memory");

	(void)json_object_set_new(memory, "hugepages", json_true());
	if (size != NULL)
		(void)json_object_set_new(memory, "hugepage_size",
					  json_sprintf("%s%.1s", size, in != NULL ? in : unit));
}

static void take_access(struct domain *d, const xmlNode *n)
{
	if (import_is(xml_attr(d->im, n, "mode"), "shared"))
		(void)json_object_set_new(import_map(d->m, "memory"), "shared", json_true());
}

static void take_allocation(struct domain *d, const xmlNode *n)
{
	if (import_is(xml_attr(d->im, n, "mode"), "immediate"))
		(void)json_object_set_new(import_map(d->m, "memory"), "prefault", json_true());
}

static void take_backing(struct domain *d, const xmlNode *n)
{
	static const struct element rows[] = {
		{ " hugepages ", take_hugepages, NULL },
		{ " access ", take_access, NULL },
		{ " allocation ", take_allocation, NULL },
		{ " source discard ", NULL, NULL },
		{ " nosharepages ", NULL, NULL },
		{ " locked ", NULL,
		  "Sill does not lock memory; 'memory: {prefault: on}' takes it at the start" },
	};

	domain_walk(d, n, rows, sizeof(rows) / sizeof(rows[0]));
}

/* ---- processors ---- */

/* "0-3,^2,8" as a list; what '^' takes out is not in it. Owned by the caller. */
static json_t *cpus_of(const char *set)
{
	bool in[1024] = { false };
	json_t *list = json_array();

	while (set != NULL && *set != '\0') {
		const bool out = *set == '^';
		char *end;
		unsigned long from = strtoul(set + out, &end, 10), to = from;

		if (end == set + out)
			break;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (; from <= to && from < sizeof(in); from++)
			in[from] = !out;
		set = end + (*end == ',');
		if (*end != ',')
			break;
	}
	for (size_t i = 0; i < sizeof(in); i++)
		if (in[i])
			(void)json_array_append_new(list, json_integer((json_int_t)i));
	return list;
}

static void pin(struct domain *d, uint64_t vcpu, const char *set)
{
	json_t *cpus = cpus_of(set), *o;

	if (json_array_size(cpus) == 0) {
		json_decref(cpus);
		return;
	}
	o = import_entry(import_map(d->m, "cpus"), "affinity");
	(void)json_object_set_new(o, "vcpu", json_integer((json_int_t)vcpu));
	(void)json_object_set_new(o, "host_cpus", cpus);
}

static bool is_pinned(struct domain *d, const xmlNode *tune, uint64_t vcpu)
{
	for (const xmlNode *p = xml_child(tune, "vcpupin"); p != NULL; p = xml_next(p))
		if (domain_number(xml_attr(d->im, p, "vcpu")) == vcpu)
			return true;
	return false;
}

static void take_vcpu(struct domain *d, const xmlNode *n)
{
	const char *now = xml_attr(d->im, n, "current"), *set = xml_attr(d->im, n, "cpuset");
	json_t *cpus = import_map(d->m, "cpus");
	const uint64_t max = domain_number(xml_text(d->im, n));

	domain_set_number(cpus, "max", xml_text(d->im, n));
	domain_set_number(cpus, "boot", now != NULL ? now : xml_text(d->im, n));
	for (uint64_t i = 0; set != NULL && i < max && i < 254; i++)
		if (!is_pinned(d, xml_child(n->parent, "cputune"), i))
			pin(d, i, set);
}

static void take_vcpupin(struct domain *d, const xmlNode *n)
{
	pin(d, domain_number(xml_attr(d->im, n, "vcpu")), xml_attr(d->im, n, "cpuset"));
}

static void take_cputune(struct domain *d, const xmlNode *n)
{
	static const struct element rows[] = {
		{ " vcpupin ", take_vcpupin, NULL },
		{ " emulatorpin iothreadpin ", NULL,
		  "'affinity' in an entry of 'disk' or 'net' is for its threads" },
		{ " shares period quota global_period global_quota emulator_period emulator_quota "
		  "iothread_period "
		  "iothread_quota vcpusched iothreadsched emulatorsched ",
		  NULL, "`systemd-run -p CPUQuota=200% sill run FILE` limits a VM" },
	};

	domain_walk(d, n, rows, sizeof(rows) / sizeof(rows[0]));
}

static void take_topology(struct domain *d, const xmlNode *n)
{
	json_t *o = import_map(import_map(d->m, "cpus"), "topology");

	domain_set_number(o, "packages", xml_attr(d->im, n, "sockets"));
	domain_set_number(o, "dies_per_package", xml_attr(d->im, n, "dies"));
	domain_set_number(o, "cores_per_die", xml_attr(d->im, n, "cores"));
	domain_set_number(o, "threads_per_core", xml_attr(d->im, n, "threads"));
}

static void take_cpu_feature(struct domain *d, const xmlNode *n)
{
	const char *from = xml_attr(d->im, n, "name"), *policy = xml_attr(d->im, n, "policy");
	char name[48];

	if (from == NULL || domain_one_of(" optional ", policy))
		return;
	(void)snprintf(name, sizeof(name), "%s", from);
	for (char *p = name; *p != '\0'; p++)
		*p = *p == '-' || *p == '.' ? '_' : *p;
	if (!import_feature(d->m, name, !domain_one_of(" disable forbid ", policy)))
		import_lost(d->im, from, "Sill knows no such feature of processors");
}

static void take_model(struct domain *d, const xmlNode *n)
{
	if (!domain_one_of(" host-passthrough host-model maximum ",
			   xml_attr(d->im, n->parent, "mode")))
		import_lost(d->im, "cpu/model",
			    "the guest has the host's processor; cpus.features adds and "
			    "removes features");
}

static void take_phys_bits(struct domain *d, const xmlNode *n)
{
	const char *limit = xml_attr(d->im, n, "limit");

	domain_set_number(import_map(d->m, "cpus"), "max_phys_bits",
			  limit != NULL ? limit : xml_attr(d->im, n, "bits"));
}

static void take_cpu(struct domain *d, const xmlNode *n)
{
	static const struct element rows[] = {
		{ " topology ", take_topology, NULL },
		{ " feature ", take_cpu_feature, NULL },
		{ " model ", take_model, NULL },
		{ " maxphysaddr ", take_phys_bits, NULL },
		{ " vendor cache ", NULL, NULL },
		{ " numa ", NULL, "Sill has no NUMA nodes yet" },
	};

	domain_walk(d, n, rows, sizeof(rows) / sizeof(rows[0]));
}

/* ---- enlightenments ---- */

static bool is_on(struct domain *d, const xmlNode *n)
{
	return !import_is(xml_attr(d->im, n, "state"), "off");
}

static void take_hyperv(struct domain *d, const xmlNode *n)
{
	for (const xmlNode *c = n->children; c != NULL; c = c->next) {
		const char *name = (const char *)c->name;
		json_t *spins = import_map(import_map(d->m, "cpus"), "hyperv");

		if (c->type != XML_ELEMENT_NODE)
			continue;
		d->windows |= is_on(d, c);
		domain_set_number(spins, "spin_retries", xml_attr(d->im, c, "retries"));
		if (xml_child(c, "direct") != NULL && strcmp(name, "stimer") == 0)
			(void)import_hyperv(d->m, "stimer_direct",
					    is_on(d, xml_child(c, "direct")));
		if (xml_child(c, "extended") != NULL)
			(void)import_hyperv(d->m, "tlbflush_ext",
					    is_on(d, xml_child(c, "extended")));
		if (!import_hyperv(d->m, name, is_on(d, c)) && is_on(d, c) &&
		    strcmp(name, "vpindex") != 0)
			import_lost(d->im, name, "Sill has no such enlightenment");
	}
}

static void take_kvm(struct domain *d, const xmlNode *n)
{
	if (xml_child(n, "hidden") != NULL && is_on(d, xml_child(n, "hidden")))
		import_lost(d->im, "kvm/hidden", "the guest can tell that it is one");
}

static void take_features(struct domain *d, const xmlNode *n)
{
	static const struct element rows[] = {
		{ " hyperv ", take_hyperv, NULL },
		{ " kvm ", take_kvm, NULL },
		{ " acpi apic pae vmport hap pmu ioapic pvspinlock vmcoreinfo msrs privnet "
		  "viridian ps2 ",
		  NULL, NULL },
		{ " smm ", NULL, "Sill has no Secure Boot yet" },
	};

	domain_walk(d, n, rows, sizeof(rows) / sizeof(rows[0]));
}

/* ---- the start ---- */

static void take_loader(struct domain *d, const xmlNode *n)
{
	const char *path = xml_text(d->im, n);

	if (import_is(xml_attr(d->im, n, "secure"), "yes"))
		import_lost(d->im, "os/loader secure",
			    "Sill has no Secure Boot: such firmware does not start");
	if (path != NULL && !import_is(xml_attr(d->im, n, "type"), "rom"))
		import_text(import_map(d->m, "firmware"), "code", path);
}

static void take_nvram(struct domain *d, const xmlNode *n)
{
	import_text(import_map(d->m, "firmware"), "vars", xml_text(d->im, n));
}

static void take_kernel(struct domain *d, const xmlNode *n)
{
	import_text(d->m, "kernel", xml_text(d->im, n));
}

static void take_initrd(struct domain *d, const xmlNode *n)
{
	import_text(d->m, "initramfs", xml_text(d->im, n));
}

static void take_cmdline(struct domain *d, const xmlNode *n)
{
	import_text(d->m, "cmdline", xml_text(d->im, n));
}

static void take_type(struct domain *d, const xmlNode *n)
{
	const char *arch = xml_attr(d->im, n, "arch");

	if (arch != NULL && !domain_one_of(" x86_64 i686 ", arch))
		import_lost(d->im, arch, "Sill has guests of its host's kind only, x86-64");
}

static void take_os(struct domain *d, const xmlNode *n)
{
	static const struct element rows[] = {
		{ " loader ", take_loader, NULL },
		{ " nvram ", take_nvram, NULL },
		{ " kernel ", take_kernel, NULL },
		{ " initrd ", take_initrd, NULL },
		{ " cmdline ", take_cmdline, NULL },
		{ " type ", take_type, NULL },
		{ " boot bootmenu bios smbios firmware ", NULL, NULL },
	};
	const json_t *vars;

	domain_walk(d, n, rows, sizeof(rows) / sizeof(rows[0]));
	if (json_object_get(d->m, "kernel") != NULL)
		return;
	vars = json_object_get(json_object_get(d->m, "firmware"), "vars");
	if (json_object_get(json_object_get(d->m, "firmware"), "code") != NULL)
		return;
	if (!import_is(xml_attr(d->im, n, "firmware"), "efi"))
		import_lost(d->im, "BIOS",
			    "Sill starts guests by UEFI: what was installed with a BIOS does not "
			    "start");
	json_incref((json_t *)(uintptr_t)vars);
	import_uefi(d->m);
	if (vars != NULL)
		(void)json_object_set_new(json_object_get(d->m, "firmware"), "vars",
					  (json_t *)(uintptr_t)vars);
}

/* ---- the rest ---- */

static void take_uuid(struct domain *d, const xmlNode *n)
{
	import_text(import_map(d->m, "platform"), "uuid", xml_text(d->im, n));
}

static void take_genid(struct domain *d, const xmlNode *n)
{
	const char *id = xml_text(d->im, n);

	import_text(import_map(d->m, "platform"), "vmgenid", id != NULL ? id : "auto");
}

static void take_clock(struct domain *d, const xmlNode *n)
{
	const char *offset = xml_attr(d->im, n, "offset");

	if (domain_one_of(" utc localtime ", offset))
		import_text(import_map(d->m, "platform"), "rtc", offset);
	else if (offset != NULL)
		import_lost(d->im, "clock", "the clock keeps the host's time, UTC or local");
}

static void take_event(struct domain *d, const xmlNode *n)
{
	if (!domain_one_of(" destroy restart coredump-destroy coredump-restart ",
			   xml_text(d->im, n)))
		import_lost(d->im, (const char *)n->name,
			    "a reset starts the guest anew, and power-off ends the VM");
}

static void take_sysinfo(struct domain *d, const xmlNode *n)
{
	json_t *platform = import_map(d->m, "platform");
	const xmlNode *e = xml_child(xml_child(n, "system"), "entry");

	for (; e != NULL; e = xml_next(e)) {
		const char *name = xml_attr(d->im, e, "name");

		if (domain_one_of(" serial uuid ", name))
			import_text(platform, name[0] == 's' ? "serial_number" : "uuid",
				    xml_text(d->im, e));
		else
			import_lost(d->im, name != NULL ? name : "sysinfo",
				    "Sill cannot set this in SMBIOS yet");
	}
	for (e = xml_child(xml_child(n, "oemStrings"), "entry"); e != NULL; e = xml_next(e)) {
		const char *text = xml_text(d->im, e);

		if (json_object_get(platform, "oem_strings") == NULL)
			(void)json_object_set_new(platform, "oem_strings", json_array());
		(void)json_array_append_new(json_object_get(platform, "oem_strings"),
					    json_string(text != NULL ? text : ""));
	}
}

/* What virt-install notes of the guest: <libosinfo><os id="http://microsoft.com/win/11"/>. */
static void take_metadata(struct domain *d, const xmlNode *n)
{
	const char *id = xml_attr(d->im, xml_child(xml_child(n, "libosinfo"), "os"), "id");

	d->windows |= id != NULL && strstr(id, "microsoft.com") != NULL;
}

static const struct element domain_rows[] = {
	{ " name title description iothreads iothreadids seclabel vcpus perf pm ", NULL, NULL },
	{ " metadata ", take_metadata, NULL },
	{ " uuid ", take_uuid, NULL },
	{ " genid ", take_genid, NULL },
	{ " memory ", take_memory, NULL },
	{ " currentMemory ", take_current_memory, NULL },
	{ " maxMemory ", take_max_memory, NULL },
	{ " memoryBacking ", take_backing, NULL },
	{ " vcpu ", take_vcpu, NULL },
	{ " cputune ", take_cputune, NULL },
	{ " cpu ", take_cpu, NULL },
	{ " os ", take_os, NULL },
	{ " features ", take_features, NULL },
	{ " clock ", take_clock, NULL },
	{ " on_poweroff on_reboot on_crash on_lockfailure ", take_event, NULL },
	{ " sysinfo ", take_sysinfo, NULL },
	{ " devices ", domain_devices, NULL },
	{ " numatune ", NULL, "Sill has no NUMA nodes yet" },
	{ " memtune blkiotune resource ", NULL,
	  "`systemd-run -p MemoryMax=SIZE sill run FILE` limits a VM" },
	{ " launchSecurity ", NULL, "Sill has no encrypted memory yet" },
	{ " commandline ", NULL, "words for QEMU are QEMU's own" },
};

static int take_domain(struct import *im, const xmlNode *n)
{
	struct domain d = { .im = im, .m = import_vm(im, xml_text(im, xml_child(n, "name"))) };

	if (d.m == NULL)
		return -1;
	if (!domain_one_of(" kvm qemu ", xml_attr(im, n, "type")))
		import_lost(im, "domain type", "a VM of Sill's runs on KVM");
	domain_walk(&d, n, domain_rows, sizeof(domain_rows) / sizeof(domain_rows[0]));
	if (xml_child(n, "os") == NULL)
		import_uefi(d.m);
	if (d.windows && im->guest == NULL)
		import_text(d.m, "guest", "windows");
	return 0;
}

int import_libvirt(struct import *im, const char *text, size_t size)
{
	xmlDocPtr doc = xml_read(im, text, size);
	const xmlNode *n;
	size_t count = 0;
	int ret = 0;

	if (doc == NULL)
		return -1;
	/* One, or several in anything. */
	for (n = doc->children; n != NULL && n->type != XML_ELEMENT_NODE;)
		n = n->next;
	if (n != NULL && !xml_is(n, "domain"))
		n = xml_child(n, "domain");
	for (; n != NULL && ret == 0; n = xml_next(n), count++)
		ret = take_domain(im, n);
	if (ret == 0 && count == 0)
		ret = import_fail(im, "there is no <domain> in it");
	xml_free(doc);
	return ret;
}
