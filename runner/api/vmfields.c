/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmfields.c - Cloud Hypervisor's fields, one row each, and Sill's keys for them.
 *
 * Field names, defaults and words: its OpenAPI description, version 0.3.0; where its program differs from
 * that (addresses of network cards, image types), as the program does.
 */
#include "runner/api/vmfields.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "runner/api/fieldrows.h"
#include "runner/manifest/scalar.h"
#include "runner/report/json.h"

int bytes_in(const json_t *v, json_t *to, const char *key, const char *zero, struct vmconfig_err *e)
{
	char size[32];

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return field_fail(e, "must be a number from 0");
	if (json_integer_value(v) != 0)
		zero = scalar_size_text(size, sizeof(size), (uint64_t)json_integer_value(v));
	return zero != NULL ? json_object_set_new(to, key, json_string(zero)) : 0;
}

/* ---- payload ---- */

/* clang-format off */
static const struct field payload_fields[] = {
	TEXT("firmware", "firmware"),
	TEXT("kernel", "kernel"),
	TEXT("cmdline", "cmdline"),
	TEXT("initramfs", "initramfs"),
	ABSENT("igvm", NULL, "IGVM payloads"),
	ABSENT("host_data", NULL, "encrypted memory"),
	ABSENT("fw_cfg_config", NULL, "fw_cfg items of the user's"),
	{ 0 },
};
/* clang-format on */

bool payload_is_firmware(const char *kernel)
{
	static const char *const names[] = { "OVMF", "CLOUDHV", "hypervisor-fw", ".fd" };
	const char *base = strrchr(kernel, '/') != NULL ? strrchr(kernel, '/') : kernel;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strstr(base, names[i]) != NULL)
			return true;
	return false;
}

static int payload_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	json_t *p = fields_in(payload_fields, v, e);
	json_t *code;
	const char *kernel;
	int ret = 0;

	(void)body;
	if (p == NULL)
		return -1;
	code = json_object_get(p, "firmware");
	kernel = json_string_value(json_object_get(p, "kernel"));
	if ((code != NULL) == (kernel != NULL))
		ret = field_fail(e, "Payload configuration is not bootable: it needs a kernel or a "
				    "firmware");
	else if (kernel != NULL &&
		 payload_is_firmware(kernel)) /* libvirt has no other word for it */
		ret = json_object_set_new(to, "firmware", json_pack("{s:s}", "code", kernel));
	else if (code != NULL) /* the others are a kernel's, and not used with firmware */
		ret = json_object_set_new(to, "firmware", json_pack("{s:O}", "code", code));
	else
		ret = json_object_update(to, p);
	json_decref(p);
	return ret;
}

static json_t *payload_out(const json_t *from)
{
	static const char *const same[] = { "kernel", "cmdline", "initramfs" };
	json_t *p = json_object();
	json_t *code = json_object_get(json_object_get(from, "firmware"), "code");

	if (code != NULL)
		(void)json_object_set(p, "firmware", code);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (json_object_get(from, same[i]) != NULL)
			(void)json_object_set(p, same[i], json_object_get(from, same[i]));
	return p;
}

/* ---- cpus ---- */

static int features_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body, (void)to;
	return json_is_true(json_object_get(v, "amx")) ? field_lacks(e, "switch for AMX") : 0;
}

/* clang-format off */
static const struct field topology_fields[] = {
	UINT("threads_per_core", "threads_per_core", NULL),
	UINT("cores_per_die", "cores_per_die", NULL),
	UINT("dies_per_package", "dies_per_package", NULL),
	UINT("packages", "packages", NULL),
	{ 0 },
};

static const struct field affinity_fields[] = {
	{ .name = "vcpu", .kind = FIELD_UINT, .key = "vcpu", .required = true },
	{ .name = "host_cpus", .kind = FIELD_NUMBERS, .key = "host_cpus", .required = true },
	{ 0 },
};
/* clang-format on */

static int topology_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	json_t *t = fields_in(topology_fields, v, e);

	(void)body;
	return t != NULL ? json_object_set_new(to, "topology", t) : -1;
}

/* All zero is none. */
static json_t *topology_out(const json_t *from)
{
	const json_t *t = json_object_get(from, "topology");

	return json_integer_value(json_object_get(t, "packages")) != 0
		       ? fields_out(topology_fields, t)
		       : NULL;
}

/* clang-format off */
static const struct field cpus_fields[] = {
	{ .name = "boot_vcpus", .kind = FIELD_UINT, .key = "boot", .value = "1", .required = true },
	{ .name = "max_vcpus", .kind = FIELD_UINT, .key = "max", .value = "1", .required = true },
	OWN("topology", topology_in, topology_out),
	BOOL("kvm_hyperv", "kvm_hyperv", "false"),
	UINT("max_phys_bits", "max_phys_bits", "46"),
	BOOL("nested", "nested", "true"),
	{ .name = "affinity", .kind = FIELD_LIST, .key = "affinity", .fields = affinity_fields },
	{ .name = "features", .kind = FIELD_OWN, .in = features_in, .value = "{\"amx\": false}" },
	IGNORED("core_scheduling", "\"Vm\""),
	IGNORED("profile", NULL),
	{ 0 },
};
/* clang-format on */

/* ---- disks ---- */

/* A bucket of @size tokens that fills in refill_time ms: so many in a second. 0: no limit. */
static json_int_t rate_of(const json_t *bucket, json_int_t *ret_burst)
{
	const json_int_t size = json_integer_value(json_object_get(bucket, "size"));
	const json_int_t ms = json_integer_value(json_object_get(bucket, "refill_time"));

	*ret_burst = size;
	if (size <= 0 || ms <= 0 || size > INT64_MAX / 1000)
		return 0;
	return size * 1000 / ms > 0 ? size * 1000 / ms : 1;
}

static void set_size(json_t *o, const char *key, json_int_t v)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lldK", (long long)(v / 1024 + (v % 1024 != 0)));
	(void)json_object_set_new(o, key, json_string(text));
}

/* Into the mapping `rate_limit` of @to. */
void limits_in(const json_t *v, json_t *to)
{
	json_t *limit = json_object_get(to, "rate_limit");
	json_int_t burst, rate = rate_of(json_object_get(v, "bandwidth"), &burst);

	if (limit == NULL) {
		limit = json_object();
		(void)json_object_set_new(to, "rate_limit", limit);
	}
	if (rate > 0) {
		set_size(limit, "bandwidth", rate);
		set_size(limit, "bandwidth_burst", burst);
	}
	rate = rate_of(json_object_get(v, "ops"), &burst);
	if (rate > 0) {
		(void)json_object_set_new(limit, "ops", json_integer(rate));
		(void)json_object_set_new(limit, "ops_burst", json_integer(burst));
	}
	if (json_object_size(limit) == 0)
		(void)json_object_del(to, "rate_limit");
}

static int limiter_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body;
	if (!json_is_object(v))
		return field_fail(e, "must be an object");
	limits_in(v, to);
	return 0;
}

/* Theirs is for each direction by itself. */
static int net_limiter_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	json_t *limits = json_object(), *limit;
	const int ret = limiter_in(v, body, limits, e);

	limit = json_object_get(limits, "rate_limit");
	if (limit != NULL) {
		(void)json_object_set(to, "rx_limit", limit);
		(void)json_object_set(to, "tx_limit", limit);
	}
	json_decref(limits);
	return ret;
}

static json_t *bucket_out(const json_t *limit, const char *rate, const char *burst)
{
	const json_int_t r = json_integer_value(json_object_get(limit, rate));
	json_int_t b = json_integer_value(json_object_get(limit, burst));

	if (r == 0)
		return json_null();
	if (b == 0)
		b = r / 10 > 0 ? r / 10 : 1;
	return json_pack("{s:I,s:n,s:I}", "size", b, "one_time_burst", "refill_time",
			 b * 1000 / r > 0 ? b * 1000 / r : 1);
}

static json_t *limit_out(const json_t *limit)
{
	json_t *bytes = bucket_out(limit, "bandwidth", "bandwidth_burst");
	json_t *ops = bucket_out(limit, "ops", "ops_burst");

	if (json_is_object(bytes) || json_is_object(ops))
		return json_pack("{s:o,s:o}", "bandwidth", bytes, "ops", ops);
	return NULL;
}

/* Its own: a group's is the group's. */
static json_t *limiter_out(const json_t *from)
{
	const json_t *limit = json_object_get(from, "rate_limit");

	return json_object_get(limit, "group") == NULL ? limit_out(limit) : NULL;
}

/* None where the two directions differ, or share with others: they have no word for that. */
static json_t *net_limiter_out(const json_t *from)
{
	const json_t *rx = json_object_get(from, "rx_limit");

	if (json_object_get(rx, "group") != NULL ||
	    !json_equal(rx, json_object_get(from, "tx_limit")))
		return NULL;
	return limit_out(rx);
}

static int group_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	json_t *limit = json_object_get(to, "rate_limit");

	if (!json_is_string(v))
		return field_fail(e, "must be a string");
	if (json_object_get(body, "rate_limiter_config") != NULL &&
	    !json_is_null(json_object_get(body, "rate_limiter_config")))
		return field_fail(e, "a disk has a limit of its own, or a group's");
	if (limit == NULL) {
		limit = json_object();
		(void)json_object_set_new(to, "rate_limit", limit);
	}
	return json_object_set(limit, "group", (json_t *)(uintptr_t)v);
}

static json_t *group_out(const json_t *from)
{
	return json_incref(json_object_get(json_object_get(from, "rate_limit"), "group"));
}

/* Theirs is by queue, ours by disk: its threads may use all that is named. */
static int queue_affinity_in(const json_t *v, const json_t *body, json_t *to,
			     struct vmconfig_err *e)
{
	json_t *all = json_array();

	(void)body;
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *cpus = json_object_get(json_array_get(v, i), "host_cpus");

		for (size_t j = 0; j < json_array_size(cpus); j++) {
			json_t *cpu = json_array_get(cpus, j);
			size_t k = 0;

			while (k < json_array_size(all) && !json_equal(json_array_get(all, k), cpu))
				k++;
			if (k == json_array_size(all))
				(void)json_array_append(all, cpu);
		}
	}
	if (json_array_size(all) > 0)
		return json_object_set_new(to, "affinity", all);
	json_decref(all);
	return json_is_array(v) ? 0 : field_fail(e, "must be a list");
}

static json_t *queue_affinity_out(const json_t *from)
{
	const json_t *cpus = json_object_get(from, "affinity");
	const json_int_t queues = json_integer_value(json_object_get(from, "queues"));
	json_t *list = cpus != NULL ? json_array() : NULL;

	for (json_int_t i = 0; list != NULL && i < queues; i++)
		(void)json_array_append_new(
			list, json_pack("{s:I,s:O}", "queue_index", i, "host_cpus", cpus));
	return list;
}

static int backing_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body, (void)e;
	if (!json_is_true(v))
		return 0;
	return json_object_set_new(to, "backing", json_pack("[{s:s}]", "path", "auto"));
}

static json_t *backing_out(const json_t *from)
{
	return json_boolean(json_array_size(json_object_get(from, "backing")) > 0);
}

static int sparse_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body, (void)e;
	return json_object_set_new(to, "discard",
				   json_string(json_is_false(v) ? "ignore" : "unmap"));
}

static json_t *sparse_out(const json_t *from)
{
	const char *word = json_string_value(json_object_get(from, "discard"));

	return json_boolean(word == NULL || strcmp(word, "unmap") == 0);
}

static const char *const image_types[] = { "Raw", "raw",  "Qcow2", "qcow2", "FixedVhd",
					   "vhd", "Vhdx", "vhdx",  NULL };

/* "Unknown" leaves it to who looks at the file. */
static int image_type_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	const char *word = json_string_value(v);

	(void)body;
	if (word != NULL && strcmp(word, "Unknown") == 0)
		return 0;
	for (const char *const *w = image_types; word != NULL && *w != NULL; w += 2)
		if (strcmp(w[0], word) == 0)
			return json_object_set_new(to, "format", json_string(w[1]));
	return field_fail(e, "must be one of Raw, Qcow2, FixedVhd, Vhdx, Unknown");
}

static json_t *image_type_out(const json_t *from)
{
	const char *word = json_string_value(json_object_get(from, "format"));

	for (const char *const *w = image_types; word != NULL && *w != NULL; w += 2)
		if (strcmp(w[1], word) == 0)
			return json_string(w[0]);
	return json_string("Unknown");
}

/* clang-format off */
const struct field disk_fields[] = {
	TEXT("path", "path"),
	BOOL("readonly", "readonly", "false"),
	BOOL("direct", "direct", "false"),
	ABSENT("iommu", "false", "IOMMU"),
	UINT("num_queues", "queues", "1"),
	UINT("queue_size", "queue_size", "128"),
	ABSENT("vhost_user", "false", "vhost-user devices"),
	ABSENT("vhost_socket", NULL, "vhost-user devices"),
	OWN("rate_limiter_config", limiter_in, limiter_out),
	OWN("rate_limit_group", group_in, group_out),
	TEXT("id", "id"),
	TEXT("serial", "serial"),
	ABSENT("pci_segment", "0", "second PCI segment"),
	UINT("pci_device_id", "slot", NULL),
	OWN("queue_affinity", queue_affinity_in, queue_affinity_out),
	OWN("backing_files", backing_in, backing_out),
	OWN("sparse", sparse_in, sparse_out),
	OWN("image_type", image_type_in, image_type_out),
	IGNORED("lock_granularity", "\"ByteRange\""),
	IGNORED("disable_io_uring", NULL),
	IGNORED("disable_aio", NULL),
	IGNORED("poll_queue", NULL), /* of older clients, as are SGX and a zone's policy */
	{ 0 },
};
/* clang-format on */

/* ---- network cards ---- */

static int num_queues_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	const json_int_t n = json_integer_value(v);

	(void)body;
	if (!json_is_integer(v) || n < 2 || n % 2 != 0)
		return field_fail(e, "must be an even number from 2: it counts both directions");
	return json_object_set_new(to, "queues", json_integer(n / 2));
}

static json_t *num_queues_out(const json_t *from)
{
	const json_int_t pairs = json_integer_value(json_object_get(from, "queues"));

	return json_integer(pairs > 0 ? 2 * pairs : 2);
}

static bool prefix_of(const char *mask, unsigned *ret)
{
	struct in_addr in;
	uint32_t bits;

	if (mask == NULL || inet_pton(AF_INET, mask, &in) != 1)
		return false;
	bits = ntohl(in.s_addr);
	*ret = bits == 0 ? 0 : 32 - (unsigned)__builtin_ctz(bits);
	return *ret == 0 || bits == (uint32_t)(~0ull << (32 - *ret));
}

static int ip_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	const char *ip = json_string_value(v);
	const char *mask = json_string_value(json_object_get(body, "mask"));
	char text[64];
	unsigned prefix;

	if (ip == NULL)
		return field_fail(e, "must be a string");
	if (strchr(ip, ':') != NULL)
		return field_lacks(e, "IPv6 address for the host's side of a network card");
	if (mask == NULL)
		return field_fail(e, "IP provided without a mask");
	if (!prefix_of(mask, &prefix))
		return field_fail(e, "'%.40s' is no netmask", mask);
	(void)snprintf(text, sizeof(text), "%.40s/%u", ip, prefix);
	return json_object_set_new(to, "address", json_string(text));
}

static int mask_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	const json_t *ip = json_object_get(body, "ip");

	(void)v, (void)to;
	return ip == NULL || json_is_null(ip) ? field_fail(e, "Mask provided without an IP") : 0;
}

static bool address_of(const json_t *from, struct in_addr *ip, struct in_addr *mask)
{
	const char *text = json_string_value(json_object_get(from, "address"));
	uint32_t address;
	uint8_t prefix;

	if (text == NULL || sill_address_read(text, &address, &prefix) < 0)
		return false;
	ip->s_addr = htonl(address);
	mask->s_addr = htonl(prefix == 0 ? 0 : (uint32_t)(~0ull << (32 - prefix)));
	return true;
}

static json_t *ip_out(const json_t *from)
{
	struct in_addr ip, mask;
	char text[INET_ADDRSTRLEN];

	return address_of(from, &ip, &mask)
		       ? json_string(inet_ntop(AF_INET, &ip, text, sizeof(text)))
		       : NULL;
}

static json_t *mask_out(const json_t *from)
{
	struct in_addr ip, mask;
	char text[INET_ADDRSTRLEN];

	return address_of(from, &ip, &mask)
		       ? json_string(inet_ntop(AF_INET, &mask, text, sizeof(text)))
		       : NULL;
}

/* clang-format off */
const struct field net_fields[] = {
	TEXT("tap", "tap"),
	OWN("ip", ip_in, ip_out),
	OWN("mask", mask_in, mask_out),
	TEXT("mac", "mac"),
	ABSENT("host_mac", NULL, "MAC address for the host's side of a network card"),
	UINT("mtu", "mtu", NULL),
	ABSENT("iommu", "false", "IOMMU"),
	OWN("num_queues", num_queues_in, num_queues_out),
	UINT("queue_size", "queue_size", "256"),
	ABSENT("vhost_user", "false", "vhost-user devices"),
	ABSENT("vhost_socket", NULL, "vhost-user devices"),
	ABSENT("vhost_mode", "\"Client\"", "vhost-user devices"),
	TEXT("id", "id"),
	IGNORED("fds", NULL), /* they come beside the body */
	OWN("rate_limiter_config", net_limiter_in, net_limiter_out),
	ABSENT("pci_segment", "0", "second PCI segment"),
	UINT("pci_device_id", "slot", NULL),
	BOOL("offload_tso", "offload_tso", "true"),
	IGNORED("offload_ufo", "true"), /* never offered; guests do without */
	BOOL("offload_csum", "offload_csum", "true"),
	{ 0 },
};
/* clang-format on */

/* ---- ports ---- */

static const char *const modes[] = { "Off",  "off",    "Pty",    "pty",  "Tty",  "tty", "File",
				     "file", "Socket", "socket", "Null", "null", NULL };

static int path_if(const char *mode, const json_t *v, const json_t *body, json_t *to)
{
	const char *is = json_string_value(json_object_get(body, "mode"));

	if (is == NULL || strcmp(is, mode) != 0)
		return 0;
	return json_object_set(to, "path", (json_t *)(uintptr_t)v);
}

static int file_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)e;
	return path_if("File", v, body, to);
}

static int socket_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)e;
	return path_if("Socket", v, body, to);
}

static json_t *path_out(const json_t *from, const char *mode)
{
	const char *is = json_string_value(json_object_get(from, "mode"));

	if (is == NULL || strcmp(is, mode) != 0)
		return NULL;
	return json_incref(json_object_get(from, "path"));
}

static json_t *file_out(const json_t *from)
{
	return path_out(from, "file");
}

static json_t *socket_out(const json_t *from)
{
	return path_out(from, "socket");
}

/* clang-format off */
static const struct field port_fields[] = {
	OWN("file", file_in, file_out),
	OWN("socket", socket_in, socket_out),
	{ .name = "mode", .kind = FIELD_WORD, .key = "mode", .words = modes, .required = true },
	ABSENT("iommu", "false", "IOMMU"),
	IGNORED("id", NULL),
	ABSENT("pci_segment", "0", "second PCI segment"),
	IGNORED("pci_device_id", NULL),
	{ 0 },
};

static const struct field rng_fields[] = {
	{ .name = "src", .kind = FIELD_TEXT, .key = "src", .required = true },
	ABSENT("iommu", "false", "IOMMU"),
	IGNORED("id", NULL),
	ABSENT("pci_segment", "0", "second PCI segment"),
	IGNORED("pci_device_id", NULL),
	{ 0 },
};

static const struct field platform_fields[] = {
	IGNORED("num_pci_segments", "1"),
	ABSENT("iommu_segments", NULL, "IOMMU"),
	IGNORED("iommu_address_width_bits", "64"),
	TEXT("serial_number", "serial_number"),
	TEXT("system_serial_number", "serial_number"),
	TEXT("uuid", "uuid"),
	TEXT("system_uuid", "uuid"),
	{ .name = "oem_strings", .kind = FIELD_TEXTS, .key = "oem_strings" },
	ABSENT("system_manufacturer", NULL, "manufacturer in SMBIOS"),
	ABSENT("system_product_name", NULL, "product name in SMBIOS"),
	ABSENT("system_version", NULL, "version in SMBIOS"),
	ABSENT("system_family", NULL, "family in SMBIOS"),
	ABSENT("system_sku_number", NULL, "SKU number in SMBIOS"),
	ABSENT("chassis_asset_tag", NULL, "asset tag in SMBIOS"),
	ABSENT("tdx", "false", "encrypted memory"),
	ABSENT("sev_snp", "false", "encrypted memory"),
	ABSENT("iommufd", "false", "devices of the host for the guest"),
	ABSENT("iommufd_fd", NULL, "devices of the host for the guest"),
	IGNORED("vfio_p2p_dma", "true"),
	{ 0 },
};

static const struct field debug_console_fields[] = {
	OWN("file", file_in, file_out),
	{ .name = "mode", .kind = FIELD_WORD, .key = "mode", .words = modes, .required = true },
	UINT("iobase", "port", "233"), /* 0xe9, also of one that is off */
	{ 0 },
};
/* clang-format on */

/* clang-format off */
const struct field vsock_fields[] = {
	{ .name = "cid", .kind = FIELD_UINT, .key = "cid", .required = true },
	{ .name = "socket", .kind = FIELD_TEXT, .key = "socket", .required = true },
	ABSENT("iommu", "false", "IOMMU"),
	IGNORED("id", NULL),
	ABSENT("pci_segment", "0", "second PCI segment"),
	IGNORED("pci_device_id", NULL),
	{ 0 },
};
/* clang-format on */

static int vsock_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	json_t *o = fields_in(vsock_fields, v, e);

	(void)body;
	return o != NULL ? json_object_set_new(to, "vsock", o) : -1;
}

/* Without a socket there is none. */
static json_t *vsock_out(const json_t *from)
{
	const json_t *o = json_object_get(from, "vsock");

	return json_object_get(o, "socket") != NULL ? fields_out(vsock_fields, o) : NULL;
}

/* A balloon of nothing is one that may grow. */
static int balloon_size_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body;
	return bytes_in(v, to, "size", "off", e);
}

static json_t *balloon_size_out(const json_t *from)
{
	return json_integer(json_integer_value(json_object_get(from, "size")));
}

/* clang-format off */
static const struct field balloon_fields[] = {
	{ .name = "size", .kind = FIELD_OWN, .in = balloon_size_in, .out = balloon_size_out, .required = true },
	BOOL("deflate_on_oom", "deflate_on_oom", "false"),
	BOOL("free_page_reporting", "free_page_reporting", "false"),
	ABSENT("iommu", "false", "IOMMU"),
	IGNORED("id", NULL),
	ABSENT("pci_segment", "0", "second PCI segment"),
	IGNORED("pci_device_id", NULL),
	{ 0 },
};
/* clang-format on */

static int balloon_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	json_t *o = fields_in(balloon_fields, v, e);

	(void)body;
	return o != NULL ? json_object_set_new(to, "balloon", o) : -1;
}

static json_t *balloon_out(const json_t *from)
{
	const json_t *o = json_object_get(from, "balloon");

	return json_is_true(json_object_get(o, "enabled")) ? fields_out(balloon_fields, o) : NULL;
}

/* ---- all of it ---- */

/* A group's limits stand at the first disk that names it. */
static int groups_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body;
	if (!json_is_array(v))
		return field_fail(e, "must be a list");
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *group = json_array_get(v, i);

		if (!json_is_string(json_object_get(group, "id")) ||
		    !json_is_object(json_object_get(group, "rate_limiter_config")))
			return field_fail(e, "[%zu]: needs 'id' and 'rate_limiter_config'", i);
	}
	if (json_array_size(v) == 0)
		return 0;
	return json_object_set(to, VM_GROUPS, (json_t *)(uintptr_t)v);
}

static json_t *groups_out(const json_t *from)
{
	const json_t *disks = json_object_get(from, "disk");
	json_t *groups = json_array();

	for (size_t i = 0; i < json_array_size(disks); i++) {
		const json_t *limit = json_object_get(json_array_get(disks, i), "rate_limit");
		const char *id = json_string_value(json_object_get(limit, "group"));
		json_t *numbers = id != NULL ? limit_out(limit) : NULL;

		if (numbers != NULL && json_find(groups, "id", id) == NULL)
			(void)json_array_append_new(
				groups,
				json_pack("{s:s,s:O}", "id", id, "rate_limiter_config", numbers));
		json_decref(numbers);
	}
	if (json_array_size(groups) > 0)
		return groups;
	json_decref(groups);
	return NULL;
}

/* clang-format off */
const struct field vm_fields[] = {
	{ .name = "cpus", .kind = FIELD_OBJECT, .key = "cpus", .fields = cpus_fields },
	{ .name = "memory", .kind = FIELD_OBJECT, .key = "memory", .fields = memory_fields },
	{ .name = "payload", .kind = FIELD_OWN, .in = payload_in, .out = payload_out, .required = true },
	OWN("rate_limit_groups", groups_in, groups_out),
	{ .name = "disks", .kind = FIELD_LIST, .key = "disk", .fields = disk_fields },
	{ .name = "net", .kind = FIELD_LIST, .key = "net", .fields = net_fields },
	{ .name = "rng", .kind = FIELD_OBJECT, .key = "rng", .fields = rng_fields },
	OWN("balloon", balloon_in, balloon_out),
	ABSENT("fs", NULL, "shared directories (virtio-fs)"),
	ABSENT("generic_vhost_user", NULL, "vhost-user devices"),
	ABSENT("pmem", NULL, "persistent memory devices"),
	{ .name = "serial", .kind = FIELD_OBJECT, .key = "serial", .fields = port_fields },
	{ .name = "console", .kind = FIELD_OBJECT, .key = "console", .fields = port_fields },
	{ .name = "debug_console", .kind = FIELD_OBJECT, .key = "debug_console", .fields = debug_console_fields },
	ABSENT("devices", NULL, "devices of the host for the guest (VFIO)"),
	ABSENT("user_devices", NULL, "vfio-user devices"),
	ABSENT("vdpa", NULL, "vDPA devices"),
	OWN("vsock", vsock_in, vsock_out),
	ABSENT("numa", NULL, "NUMA nodes"),
	ABSENT("iommu", "false", "IOMMU"),
	{ .name = "watchdog", .kind = FIELD_BOOL, .key = "watchdog" },
	ABSENT("rtc", NULL, "virtio-rtc"),
	{ .name = "pvpanic", .kind = FIELD_BOOL, .key = "pvpanic" },
	IGNORED("pci_segments", NULL),
	{ .name = "platform", .kind = FIELD_OBJECT, .key = "platform", .fields = platform_fields },
	ABSENT("tpm", NULL, "TPM"),
	ABSENT("sgx_epc", NULL, "SGX"),
	ABSENT("gdb", NULL, "gdb server"),
	ABSENT("ivshmem", NULL, "ivshmem devices"),
	ABSENT("pvmemcontrol", NULL, "pvmemcontrol device"),
	ABSENT("landlock_enable", "false", "sandbox by Landlock"),
	ABSENT("landlock_rules", NULL, "sandbox by Landlock"),
	{ 0 },
};
/* clang-format on */
