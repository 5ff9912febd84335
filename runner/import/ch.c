/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ch.c - Cloud Hypervisor's command line, as its own VmConfig.
 *
 * Options and their keys: its --help and documents as of version 53. What a field of a VmConfig means for Sill
 * is in runner/api/vmfields.c, and said only there.
 */
#include "runner/import/ch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/scalar.h"

enum value {
	V_TEXT,
	V_UINT,
	V_SIZE,
	V_BOOL,
	V_WORD,     /* one of .words: theirs, in JSON */
	V_NUMBERS,  /* [1,3-5] */
	V_TEXTS,    /* [a,b] */
	V_AFFINITY, /* [0@[1,2],1@3], .words: the names of both */
	V_TOPOLOGY, /* 1:2:1:1 */
	V_LIMIT,    /* "bandwidth.size" and such, below rate_limiter_config */
	V_AMX,
};

struct ch_key {
	const char *key, *field;
	enum value value;
	const char *const *words;
};

enum shape {
	OBJECT,  /* --cpus boot=1,... */
	LIST,    /* --disk path=a path=b --disk path=c */
	PAYLOAD, /* --kernel FILE */
	PORT,    /* --serial file=x */
	FLAG,    /* --watchdog */
	ABSENT,  /* it says something that Sill has not; .field says what */
	PROCESS, /* it is about the process and not the VM; .field says what to do */
	QUIET,   /* the same, with nothing to do */
};

struct ch_option {
	const char *name;
	enum shape shape;
	const char *field;
	const struct ch_key *keys;
	bool bare; /* no value behind it */
};

/* clang-format off */
static const char *const schedules[] = { "vm", "Vm", "vcpu", "Vcpu", "off", "Off", NULL };
static const char *const methods[] = { "acpi", "Acpi", "virtio-mem", "VirtioMem", NULL };
static const char *const images[] = { "raw", "Raw", "qcow2", "Qcow2", "vhd", "FixedVhd", "vhdx", "Vhdx", NULL };
static const char *const locks[] = { "byte-range", "ByteRange", "full", "Full", NULL };
static const char *const vcpu_names[] = { "vcpu", "host_cpus" };
static const char *const queue_names[] = { "queue_index", "host_cpus" };

static const struct ch_key cpus_keys[] = {
	{ "boot", "boot_vcpus", V_UINT, NULL }, { "max", "max_vcpus", V_UINT, NULL },
	{ "topology", "topology", V_TOPOLOGY, NULL }, { "kvm_hyperv", "kvm_hyperv", V_BOOL, NULL },
	{ "max_phys_bits", "max_phys_bits", V_UINT, NULL },
	{ "affinity", "affinity", V_AFFINITY, vcpu_names },
	{ "features", "features", V_AMX, NULL }, { "nested", "nested", V_BOOL, NULL },
	{ "core_scheduling", "core_scheduling", V_WORD, schedules },
	{ "profile", "profile", V_TEXT, NULL }, { 0 },
};
static const struct ch_key memory_keys[] = {
	{ "size", "size", V_SIZE, NULL }, { "mergeable", "mergeable", V_BOOL, NULL },
	{ "shared", "shared", V_BOOL, NULL }, { "hugepages", "hugepages", V_BOOL, NULL },
	{ "hugepage_size", "hugepage_size", V_SIZE, NULL },
	{ "hotplug_method", "hotplug_method", V_WORD, methods },
	{ "hotplug_size", "hotplug_size", V_SIZE, NULL },
	{ "hotplugged_size", "hotplugged_size", V_SIZE, NULL },
	{ "prefault", "prefault", V_BOOL, NULL }, { "reserve", "reserve", V_BOOL, NULL },
	{ "thp", "thp", V_BOOL, NULL }, { 0 },
};
static const struct ch_key zone_keys[] = {
	{ "id", "id", V_TEXT, NULL }, { "size", "size", V_SIZE, NULL }, { "file", "file", V_TEXT, NULL },
	{ "shared", "shared", V_BOOL, NULL }, { "hugepages", "hugepages", V_BOOL, NULL },
	{ "hugepage_size", "hugepage_size", V_SIZE, NULL },
	{ "host_numa_node", "host_numa_node", V_UINT, NULL },
	{ "hotplug_size", "hotplug_size", V_SIZE, NULL },
	{ "hotplugged_size", "hotplugged_size", V_SIZE, NULL },
	{ "prefault", "prefault", V_BOOL, NULL }, { "reserve", "reserve", V_BOOL, NULL },
	{ "mergeable", "mergeable", V_BOOL, NULL }, { 0 },
};

#define LIMITS                                                          \
	{ "bw_size", "bandwidth.size", V_LIMIT, NULL },                 \
	{ "bw_one_time_burst", "bandwidth.one_time_burst", V_LIMIT, NULL }, \
	{ "bw_refill_time", "bandwidth.refill_time", V_LIMIT, NULL },   \
	{ "ops_size", "ops.size", V_LIMIT, NULL },                      \
	{ "ops_one_time_burst", "ops.one_time_burst", V_LIMIT, NULL },  \
	{ "ops_refill_time", "ops.refill_time", V_LIMIT, NULL }
#define PLACE                                                           \
	{ "id", "id", V_TEXT, NULL }, { "iommu", "iommu", V_BOOL, NULL }, \
	{ "pci_segment", "pci_segment", V_UINT, NULL },                 \
	{ "pci_device_id", "pci_device_id", V_UINT, NULL }

static const struct ch_key disk_keys[] = {
	{ "path", "path", V_TEXT, NULL }, { "readonly", "readonly", V_BOOL, NULL },
	{ "direct", "direct", V_BOOL, NULL }, { "num_queues", "num_queues", V_UINT, NULL },
	{ "queue_size", "queue_size", V_UINT, NULL }, { "vhost_user", "vhost_user", V_BOOL, NULL },
	{ "socket", "vhost_socket", V_TEXT, NULL }, { "serial", "serial", V_TEXT, NULL },
	{ "rate_limit_group", "rate_limit_group", V_TEXT, NULL },
	{ "queue_affinity", "queue_affinity", V_AFFINITY, queue_names },
	{ "backing_files", "backing_files", V_BOOL, NULL }, { "sparse", "sparse", V_BOOL, NULL },
	{ "image_type", "image_type", V_WORD, images },
	{ "lock_granularity", "lock_granularity", V_WORD, locks },
	{ "_disable_io_uring", "disable_io_uring", V_BOOL, NULL },
	{ "_disable_aio", "disable_aio", V_BOOL, NULL }, LIMITS, PLACE, { 0 },
};
static const struct ch_key net_keys[] = {
	{ "tap", "tap", V_TEXT, NULL }, { "ip", "ip", V_TEXT, NULL }, { "mask", "mask", V_TEXT, NULL },
	{ "mac", "mac", V_TEXT, NULL }, { "fd", "fds", V_NUMBERS, NULL },
	{ "host_mac", "host_mac", V_TEXT, NULL }, { "mtu", "mtu", V_UINT, NULL },
	{ "num_queues", "num_queues", V_UINT, NULL }, { "queue_size", "queue_size", V_UINT, NULL },
	{ "vhost_user", "vhost_user", V_BOOL, NULL }, { "socket", "vhost_socket", V_TEXT, NULL },
	{ "vhost_mode", "vhost_mode", V_TEXT, NULL }, { "offload_tso", "offload_tso", V_BOOL, NULL },
	{ "offload_ufo", "offload_ufo", V_BOOL, NULL }, { "offload_csum", "offload_csum", V_BOOL, NULL },
	LIMITS, PLACE, { 0 },
};
static const struct ch_key group_keys[] = { { "id", "id", V_TEXT, NULL }, LIMITS, { 0 } };
static const struct ch_key rng_keys[] = { { "src", "src", V_TEXT, NULL }, PLACE, { 0 } };
static const struct ch_key vsock_keys[] = {
	{ "cid", "cid", V_UINT, NULL }, { "socket", "socket", V_TEXT, NULL }, PLACE, { 0 },
};
static const struct ch_key balloon_keys[] = {
	{ "size", "size", V_SIZE, NULL }, { "deflate_on_oom", "deflate_on_oom", V_BOOL, NULL },
	{ "free_page_reporting", "free_page_reporting", V_BOOL, NULL }, PLACE, { 0 },
};
static const struct ch_key port_keys[] = {
	{ "file", "file", V_TEXT, NULL }, { "socket", "socket", V_TEXT, NULL },
	{ "iobase", "iobase", V_UINT, NULL }, PLACE, { 0 },
};
static const struct ch_key platform_keys[] = {
	{ "num_pci_segments", "num_pci_segments", V_UINT, NULL },
	{ "iommu_segments", "iommu_segments", V_NUMBERS, NULL },
	{ "iommu_address_width", "iommu_address_width_bits", V_UINT, NULL },
	{ "iommufd", "iommufd", V_BOOL, NULL }, { "iommufd_fd", "iommufd_fd", V_UINT, NULL },
	{ "vfio_p2p_dma", "vfio_p2p_dma", V_BOOL, NULL },
	{ "serial_number", "serial_number", V_TEXT, NULL }, { "uuid", "uuid", V_TEXT, NULL },
	{ "system_serial_number", "serial_number", V_TEXT, NULL },
	{ "system_uuid", "uuid", V_TEXT, NULL }, { "oem_strings", "oem_strings", V_TEXTS, NULL },
	{ "system_manufacturer", "system_manufacturer", V_TEXT, NULL },
	{ "system_product_name", "system_product_name", V_TEXT, NULL },
	{ "system_version", "system_version", V_TEXT, NULL },
	{ "system_sku_number", "system_sku_number", V_TEXT, NULL },
	{ "system_family", "system_family", V_TEXT, NULL },
	{ "chassis_asset_tag", "chassis_asset_tag", V_TEXT, NULL },
	{ "tdx", "tdx", V_BOOL, NULL }, { "sev_snp", "sev_snp", V_BOOL, NULL }, { 0 },
};

static const struct ch_option options[] = {
	{ "kernel", PAYLOAD, "kernel", NULL, false },
	{ "firmware", PAYLOAD, "firmware", NULL, false },
	{ "cmdline", PAYLOAD, "cmdline", NULL, false },
	{ "initramfs", PAYLOAD, "initramfs", NULL, false },
	{ "igvm", ABSENT, "IGVM payloads", NULL, false },
	{ "host-data", ABSENT, "encrypted memory", NULL, false },
	{ "fw-cfg-config", ABSENT, "fw_cfg items of the user's", NULL, false },
	{ "cpus", OBJECT, "cpus", cpus_keys, false },
	{ "memory", OBJECT, "memory", memory_keys, false },
	{ "memory-zone", LIST, "zones", zone_keys, false },
	{ "platform", OBJECT, "platform", platform_keys, false },
	{ "disk", LIST, "disks", disk_keys, false },
	{ "net", LIST, "net", net_keys, false },
	{ "rate-limit-group", LIST, "rate_limit_groups", group_keys, false },
	{ "rng", OBJECT, "rng", rng_keys, false },
	{ "balloon", OBJECT, "balloon", balloon_keys, false },
	{ "vsock", OBJECT, "vsock", vsock_keys, false },
	{ "serial", PORT, "serial", port_keys, false },
	{ "console", PORT, "console", port_keys, false },
	{ "debug-console", PORT, "debug_console", port_keys, false },
	{ "watchdog", FLAG, "watchdog", NULL, true },
	{ "pvpanic", FLAG, "pvpanic", NULL, true },
	{ "rtc", ABSENT, "virtio-rtc", NULL, false },
	{ "fs", ABSENT, "shared directories (virtio-fs)", NULL, false },
	{ "pmem", ABSENT, "persistent memory devices", NULL, false },
	{ "generic-vhost-user", ABSENT, "vhost-user devices", NULL, false },
	{ "device", ABSENT, "devices of the host for the guest (VFIO)", NULL, false },
	{ "user-device", ABSENT, "vfio-user devices", NULL, false },
	{ "vdpa", ABSENT, "vDPA devices", NULL, false },
	{ "numa", ABSENT, "NUMA nodes", NULL, false },
	{ "pci-segment", ABSENT, "second PCI segment", NULL, false },
	{ "tpm", ABSENT, "TPM", NULL, false },
	{ "ivshmem", ABSENT, "ivshmem devices", NULL, false },
	{ "pvmemcontrol", ABSENT, "pvmemcontrol device", NULL, true },
	{ "gdb", PROCESS, "gdb's end is `sill run --gdb PATH`, or debug.gdb", NULL, false },
	{ "landlock", PROCESS, "a manifest has no sandbox by Landlock", NULL, true },
	{ "landlock-rules", PROCESS, "a manifest has no sandbox by Landlock", NULL, false },
	{ "api-socket", PROCESS, "`sill run --api-socket PATH` listens there as well", NULL, false },
	{ "event-monitor", PROCESS, "`sill ctl` and the control API tell of events", NULL, false },
	{ "restore", PROCESS, "a snapshot is not of the manifest's", NULL, false },
	{ "seccomp", QUIET, NULL, NULL, false },
	{ "log-file", PROCESS, "`sill up` keeps a log, see `sill logs`", NULL, false },
	{ "log-format", PROCESS, "`sill up` keeps a log, see `sill logs`", NULL, false },
	{ "no-shutdown", PROCESS, "power-off ends the VM's process", NULL, true },
	{ "dbus-service-name", PROCESS, "there is no D-Bus API", NULL, false },
	{ "dbus-object-path", PROCESS, "there is no D-Bus API", NULL, false },
	{ "dbus-system-bus", PROCESS, "there is no D-Bus API", NULL, true },
	{ "version", QUIET, NULL, NULL, true },
	{ 0 },
};
/* clang-format on */

/* ---- key=value,key=[a,b],key="a,b" ---- */

struct cursor {
	const char *at;
};

/* Up to the next @stop that is in neither quotes nor brackets; quotes outside of these go. Copied into @dst. */
static void take_until(struct cursor *c, char stop, char *dst, size_t size)
{
	bool quoted = false;
	int depth = 0;
	size_t n = 0;

	for (; *c->at != '\0'; c->at++) {
		quoted ^= *c->at == '"';
		if (*c->at == '"' && depth == 0)
			continue;
		if (!quoted && depth == 0 && *c->at == stop)
			break;
		depth += !quoted && *c->at == '[';
		depth -= !quoted && *c->at == ']' && depth > 0;
		if (n + 1 < size)
			dst[n++] = *c->at;
	}
	dst[n] = '\0';
}

/* What is between the brackets of @text; @text itself without any. */
static char *inside(char *text)
{
	const size_t n = strlen(text);

	if (text[0] != '[' || n < 2 || text[n - 1] != ']')
		return text;
	text[n - 1] = '\0';
	return text + 1;
}

/* ---- values ---- */

static json_t *read_size(const char *s)
{
	char *end;
	const unsigned long long v = strtoull(s, &end, 10);
	static const char units[] = "KMGT";
	const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
	const unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;

	if (end == s || s[0] == '-' || (*end != '\0' && (unit == NULL || end[1] != '\0')) ||
	    v > (uint64_t)INT64_MAX >> shift)
		return NULL;
	return json_integer((json_int_t)(v << shift));
}

static json_t *read_uint(const char *s)
{
	uint64_t v;

	if (scalar_uint(s, &v) != SCALAR_OK || v > INT64_MAX)
		return NULL;
	return json_integer((json_int_t)v);
}

static json_t *read_bool(const char *s)
{
	if (s[0] == '\0' || strcmp(s, "on") == 0 || strcmp(s, "true") == 0)
		return json_true();
	return strcmp(s, "off") == 0 || strcmp(s, "false") == 0 ? json_false() : NULL;
}

static json_t *read_word(const char *s, const char *const *words)
{
	for (; words[0] != NULL; words += 2)
		if (strcmp(words[0], s) == 0)
			return json_string(words[1]);
	return NULL;
}

/* "1,3-5" and so on, as a list; NULL: it is none. */
static json_t *read_numbers(const char *s)
{
	json_t *list = json_array();

	while (*s != '\0') {
		char *end;
		unsigned long from = strtoul(s, &end, 10), to = from;

		if (end == s || from > 65535)
			break;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (; from <= to && to < 65536 && json_array_size(list) < 1024; from++)
			(void)json_array_append_new(list, json_integer((json_int_t)from));
		s = end + (*end == ',');
		if (*end != ',' && *end != '\0')
			break;
	}
	if (*s == '\0' && json_array_size(list) > 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *read_texts(const char *s)
{
	struct cursor c = { s };
	json_t *list = json_array();
	char text[256];

	while (*c.at != '\0' && json_array_size(list) < 64) {
		take_until(&c, ',', text, sizeof(text));
		(void)json_array_append_new(list, json_string(text));
		c.at += *c.at == ',';
	}
	return list;
}

static json_t *read_affinity(const char *s, const char *const *names)
{
	struct cursor c = { s };
	json_t *list = json_array();

	while (*c.at != '\0' && json_array_size(list) < 1024) {
		char which[32], cpus[4096];
		json_t *numbers, *index;

		take_until(&c, '@', which, sizeof(which));
		c.at += *c.at == '@';
		take_until(&c, ',', cpus, sizeof(cpus));
		c.at += *c.at == ',';
		numbers = read_numbers(inside(cpus));
		index = read_uint(which);
		if (numbers == NULL || index == NULL) {
			json_decref(numbers);
			json_decref(index);
			json_decref(list);
			return NULL;
		}
		(void)json_array_append_new(
			list, json_pack("{s:o,s:o}", names[0], index, names[1], numbers));
	}
	return list;
}

static json_t *read_topology(const char *s)
{
	static const char *const names[] = { "threads_per_core", "cores_per_die",
					     "dies_per_package", "packages" };
	struct cursor c = { s };
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[32];
		json_t *v;

		take_until(&c, ':', text, sizeof(text));
		c.at += *c.at == ':';
		v = read_uint(text);
		if (v == NULL) {
			json_decref(o);
			return NULL;
		}
		(void)json_object_set_new(o, names[i], v);
	}
	return o;
}

/* NULL: the value is none of its kind. */
static json_t *read_value(const struct ch_key *k, char *text)
{
	switch (k->value) {
	case V_TEXT:
		return json_string(text);
	case V_UINT:
		return read_uint(text);
	case V_SIZE:
	case V_LIMIT:
		return read_size(text);
	case V_BOOL:
		return read_bool(text);
	case V_WORD:
		return read_word(text, k->words);
	case V_NUMBERS:
		return read_numbers(inside(text));
	case V_TEXTS:
		return read_texts(inside(text));
	case V_AFFINITY:
		return read_affinity(inside(text), k->words);
	case V_TOPOLOGY:
		return read_topology(text);
	case V_AMX:
		return json_pack("{s:b}", "amx", strstr(text, "amx") != NULL);
	}
	return NULL;
}

/* ---- options ---- */

struct command {
	struct import *im;
	json_t *body; /* owned: the VmConfig */
	const struct ch_option *option;
};

static void put_limit(json_t *o, const char *field, json_t *take_v)
{
	char bucket[32];
	const char *dot = strchr(field, '.');

	(void)snprintf(bucket, sizeof(bucket), "%.*s", (int)(dot - field), field);
	(void)json_object_set_new(import_map(import_map(o, "rate_limiter_config"), bucket), dot + 1,
				  take_v);
}

static void take_pair(struct command *c, json_t *o, const char *key, char *text)
{
	char what[128];
	const struct ch_key *k = c->option->keys;
	json_t *v;

	(void)snprintf(what, sizeof(what), "--%s %.40s=%.60s", c->option->name, key, text);
	while (k->key != NULL && strcmp(k->key, key) != 0)
		k++;
	if (k->key == NULL) {
		import_lost(c->im, what, "Cloud Hypervisor has no such key");
		return;
	}
	v = read_value(k, text);
	if (v == NULL)
		import_lost(c->im, what, "that is not a value of this key");
	else if (k->value == V_LIMIT)
		put_limit(o, k->field, v);
	else
		(void)json_object_set_new(o, k->field, v);
}

static int take_pairs(struct command *c, json_t *o, const char *text)
{
	struct cursor at = { text };
	const size_t room = strlen(text) + 1;
	char *pair = arena_alloc(&c->im->a, room);

	if (pair == NULL)
		return import_fail(c->im, "too much text");
	while (*at.at != '\0') {
		char *value;

		take_until(&at, ',', pair, room);
		at.at += *at.at == ',';
		value = pair + strcspn(pair, "=");
		if (*value == '=')
			*value++ = '\0';
		if (pair[0] != '\0')
			take_pair(c, o, pair, value);
	}
	return 0;
}

/* "tty", "file=log", "off,iobase=0xe9". */
static int take_port(struct command *c, const char *text)
{
	static const char *const modes[] = { "off", "Off", "null", "Null", "pty",
					     "Pty", "tty", "Tty",  NULL };
	json_t *o = import_map(c->body, c->option->field);
	const size_t n = strcspn(text, ",=");
	char word[16];
	json_t *mode;

	(void)snprintf(word, sizeof(word), "%.*s", (int)n, text);
	mode = text[n] != '=' ? read_word(word, modes) : NULL;
	if (mode != NULL)
		text += n + (text[n] == ',');
	else if (strcmp(word, "file") == 0 || strcmp(word, "socket") == 0)
		mode = json_string(word[0] == 'f' ? "File" : "Socket");
	(void)json_object_set_new(o, "mode", mode != NULL ? mode : json_string("Off"));
	return take_pairs(c, o, text);
}

static int take_option(struct command *c, const char *text)
{
	const struct ch_option *o = c->option;
	char what[128];

	(void)snprintf(what, sizeof(what), "--%s%s%.100s", o->name, o->bare ? "" : " ", text);
	switch (o->shape) {
	case OBJECT:
		return take_pairs(c, import_map(c->body, o->field), text);
	case LIST:
		if (strcmp(o->field, "zones") == 0)
			return take_pairs(c, import_entry(import_map(c->body, "memory"), "zones"),
					  text);
		return take_pairs(c, import_entry(c->body, o->field), text);
	case PAYLOAD:
		import_text(import_map(c->body, "payload"), o->field, text);
		break;
	case PORT:
		return take_port(c, text);
	case FLAG:
		(void)json_object_set_new(c->body, o->field, json_true());
		break;
	case ABSENT:
		import_lost(c->im, what, "Sill has no %s yet", o->field);
		break;
	case PROCESS:
		import_lost(c->im, what, "%s", o->field);
		break;
	case QUIET:
		break;
	}
	return 0;
}

static const struct ch_option *find_option(const char *name, size_t len)
{
	for (const struct ch_option *o = options; o->name != NULL; o++)
		if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

/* @word begins with "--". Returns how many more words it took, or -1. */
static int take_word(struct command *c, char *const *words, size_t count)
{
	const char *name = words[0] + 2, *eq = strchr(name, '=');
	const size_t len = eq != NULL ? (size_t)(eq - name) : strlen(name);
	size_t took = 0;

	c->option = find_option(name, len);
	if (c->option == NULL) {
		import_lost(c->im, words[0], "Cloud Hypervisor has no such option");
		return 0;
	}
	if (c->option->bare || eq != NULL)
		return take_option(c, eq != NULL ? eq + 1 : "");
	/* Several values may follow one option. */
	while (took + 1 < count && words[took + 1][0] != '-') {
		took++;
		if (take_option(c, words[took]) < 0)
			return -1;
	}
	if (took == 0 && c->option->shape != QUIET)
		import_lost(c->im, words[0], "there is no value behind it");
	return (int)took;
}

int import_ch(struct import *im, char *const *words, size_t count)
{
	struct command c = { .im = im, .body = json_object() };
	json_t *m = import_vm(im, NULL);
	int ret = m != NULL ? 0 : -1;

	for (size_t i = 0; i < count && ret >= 0; i++) {
		ret = 0;
		if (strncmp(words[i], "--", 2) == 0)
			ret = take_word(&c, words + i, count - i);
		else if (strncmp(words[i], "-v", 2) != 0 && strcmp(words[i], "-V") != 0)
			import_lost(im, words[i], "Cloud Hypervisor has no such option");
		i += ret > 0 ? (size_t)ret : 0;
	}
	if (ret >= 0)
		ret = ch_body(im, c.body, m);
	json_decref(c.body);
	return ret;
}
