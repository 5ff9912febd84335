/* SPDX-License-Identifier: Apache-2.0 */
/* vmmemory.c - Cloud Hypervisor's fields of memory and of its zones; see vmfields.c. */
#include <string.h>

#include "runner/api/fieldrows.h"
#include "runner/api/vmfields.h"

static int node_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return field_fail(e, "must be a number from 0");
	return json_object_set_new(to, "host_numa_node", json_pack("[O]", v));
}

static json_t *node_out(const json_t *from)
{
	return json_incref(json_array_get(json_object_get(from, "host_numa_node"), 0));
}

/* With zones it is 0: what there is they say. */
static int memory_size_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	const bool zones = json_array_size(json_object_get(body, "zones")) != 0;

	return bytes_in(v, to, "size", zones ? NULL : "0", e);
}

static json_t *memory_size_out(const json_t *from)
{
	return json_array_size(json_object_get(from, "zones")) != 0
		       ? json_integer(0)
		       : json_incref(json_object_get(from, "size"));
}

/* Ours is not there where theirs is 0. */
static int hotplug_size_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body;
	return bytes_in(v, to, "hotplug_size", NULL, e);
}

/* Theirs is not that of the zones. */
static json_t *hotplug_size_out(const json_t *from)
{
	json_t *v = json_object_get(from, "hotplug_size");

	return json_array_size(json_object_get(from, "zones")) != 0 || json_integer_value(v) == 0
		       ? NULL
		       : json_incref(v);
}

static int plugged_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body;
	return bytes_in(v, to, "hotplugged_size", NULL, e);
}

static json_t *plugged_out(const json_t *from)
{
	json_t *v = json_object_get(from, "hotplugged_size");

	return json_integer_value(v) != 0 ? json_incref(v) : NULL;
}

static bool may_grow(const json_t *o)
{
	return json_integer_value(json_object_get(o, "hotplug_size")) != 0;
}

/* How memory comes, of which none may come: nothing is said of that. */
static int method_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	const json_t *zones = json_object_get(body, "zones");
	const char *word = json_string_value(v);
	bool grows = may_grow(body);

	if (word == NULL || (strcmp(word, "Acpi") != 0 && strcmp(word, "VirtioMem") != 0))
		return field_fail(e, "must be Acpi or VirtioMem");
	for (size_t i = 0; i < json_array_size(zones); i++)
		grows |= may_grow(json_array_get(zones, i));
	if (!grows && word[0] == 'V')
		return 0;
	return json_object_set_new(to, "hotplug_method",
				   json_string(word[0] == 'V' ? "virtio-mem" : "acpi"));
}

static json_t *method_out(const json_t *from)
{
	const char *word = json_string_value(json_object_get(from, "hotplug_method"));

	return json_string(word != NULL && word[0] == 'v' ? "VirtioMem" : "Acpi");
}

/* Their clients say their default, also where pages are huge already. */
static int thp_in(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e)
{
	(void)body;
	if (!json_is_boolean(v))
		return field_fail(e, "must be true or false");
	return json_is_true(v) ? 0 : json_object_set(to, "thp", (json_t *)(uintptr_t)v);
}

static json_t *thp_out(const json_t *from)
{
	return json_boolean(json_is_true(json_object_get(from, "thp")));
}

/* clang-format off */

static const struct field zone_fields[] = {
	{ .name = "id", .kind = FIELD_TEXT, .key = "id", .required = true },
	{ .name = "size", .kind = FIELD_SIZE, .key = "size", .required = true },
	{ .name = "file", .kind = FIELD_TEXT, .key = "file" },
	BOOL("mergeable", "mergeable", "false"),
	BOOL("shared", "shared", "false"),
	BOOL("hugepages", "hugepages", "false"),
	SIZE("hugepage_size", "hugepage_size", NULL),
	OWN("host_numa_node", node_in, node_out),
	OWN("hotplug_size", hotplug_size_in, hotplug_size_out),
	OWN("hotplugged_size", plugged_in, plugged_out),
	BOOL("prefault", "prefault", "false"),
	BOOL("reserve", "reserve", "false"),
	IGNORED("policy", NULL),
	{ 0 },
};

const struct field memory_fields[] = {
	{ .name = "size", .kind = FIELD_OWN, .in = memory_size_in, .out = memory_size_out, .required = true },
	BOOL("mergeable", "mergeable", "false"),
	BOOL("shared", "shared", "false"),
	BOOL("hugepages", "hugepages", "false"),
	SIZE("hugepage_size", "hugepage_size", NULL),
	BOOL("prefault", "prefault", "false"),
	BOOL("reserve", "reserve", "false"),
	OWN("thp", thp_in, thp_out),
	OWN("hotplug_size", hotplug_size_in, hotplug_size_out),
	OWN("hotplugged_size", plugged_in, plugged_out),
	OWN("hotplug_method", method_in, method_out),
	{ .name = "zones", .kind = FIELD_LIST, .key = "zones", .fields = zone_fields },
	{ 0 },
};
/* clang-format on */
