/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - memory: how much, and what it is made of. */
#include "schema/key.h"
#include "sill/config.h"

static const cyaml_strval_t methods[] = {
	{ "acpi", SILL_HOTPLUG_ACPI },
	{ "virtio-mem", SILL_HOTPLUG_VIRTIO_MEM },
};

static const struct key node = {
	.field = { .key = "host_numa_node[]",
		   .value = { CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint16_t) } },
	.kind = KIND_UINT,
	.min = 0,
	.max = SILL_MAX_NODES - 1,
	.doc = "The number of a NUMA node of the host.",
	.example = "0",
};

static const struct key zone_keys[] = {
	{ KEY_STRING(struct sill_memory_zone, id, KIND_NAME), .min = 1, .max = 32, .required = true,
	  .doc = "What messages and commands call this zone; unique in the VM.",
	  .example = "fast" },
	{ KEY_SIZE(struct sill_memory_zone, size), .min = 4096, .max = 16ull << 40,
	  .required = true,
	  .doc = "How much memory it has: a multiple of 4K, or of the huge page with hugepages: "
		 "on.",
	  .unit = "bytes", .example = "1G" },
	{ KEY_STRING(struct sill_memory_zone, file, KIND_PATH), .min = 1, .max = 1024,
	  .def_note = "none: memory of the host",
	  .doc = "A file, of at least the zone's size, that its memory is made of: on a disk, a "
		 "tmpfs or "
		 "a hugetlbfs; or a directory, where a file without a name is made. What the guest "
		 "writes is in it only with shared: on. Nobody may make it smaller meanwhile; such "
		 "a "
		 "VM cannot be snapshotted.",
	  .example = "ram.bin" },
	{ KEY_BOOL(struct sill_memory_zone, shared), .def = "off",
	  .doc = "As memory.shared, of this zone; with file, what the guest writes goes there.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_memory_zone, hugepages), .def = "off",
	  .doc = "As memory.hugepages, of this zone. The zones before it must have a multiple of "
		 "that page's size together.",
	  .example = "on" },
	{ KEY_SIZE(struct sill_memory_zone, hugepage_size), .min = 64ull << 10, .max = 16ull << 30,
	  .def_note = "the host's default size", .unit = "bytes",
	  .doc = "Which pool of huge pages. Only with hugepages: on; a power of two the host "
		 "offers.",
	  .example = "2M" },
	{ KEY_LIST(struct sill_memory_zone, host_numa_node, node), .min = 1, .max = SILL_MAX_NODES,
	  .alone = true, .ranges = true, .def_note = "any",
	  .doc = "The host's NUMA nodes that the memory comes from, and from no others: one, or a "
		 "list.",
	  .example = "0" },
	{ KEY_BOOL(struct sill_memory_zone, prefault), .def = "off",
	  .doc = "As memory.prefault, of this zone; with that, all zones are.", .example = "on" },
	{ KEY_BOOL(struct sill_memory_zone, mergeable), .def = "off",
	  .doc = "As memory.mergeable, of this zone; with that, all zones are.", .example = "on" },
	{ KEY_BOOL(struct sill_memory_zone, reserve), .def = "off",
	  .doc = "As memory.reserve, of this zone; with that, all zones are.", .example = "on" },
	{ KEY_SIZE(struct sill_memory_zone, hotplug_size), .min = 128ull << 20, .max = 16ull << 40,
	  .def_note = "none: the zone stays as it is",
	  .doc = "How much memory of this kind may come while the VM runs, as memory.hotplug_size. "
		 "Only with hotplug_method: virtio-mem; `sill ctl VM resize-zone` asks for it.",
	  .unit = "bytes", .example = "1G" },
	{ KEY_SIZE(struct sill_memory_zone, hotplugged_size), .min = 2ull << 20, .max = 16ull << 40,
	  .def_note = "none",
	  .doc = "How much of hotplug_size the guest shall have from the start, as "
		 "memory.hotplugged_size.",
	  .unit = "bytes", .example = "512M" },
};

const struct section memory_zone_section = {
	.name = "memory.zones",
	.doc = "A piece of the guest's memory that is made of another kind of pages, or comes from "
	       "other nodes of the host, than the rest. The guest sees one memory.",
	.keys = zone_keys,
	.schema = "{\"dependentRequired\": {\"hugepage_size\": [\"hugepages\"]}}",
	.count = CYAML_ARRAY_LEN(zone_keys),
};

static const struct key memory_keys[] = {
	{ KEY_SIZE(struct sill_memory_config, size), .min = 16ull << 20, .max = 16ull << 40,
	  .def_note = "512M; with zones, what they have together", .effect = EFFECT_HOTPLUG,
	  .effect_note = "up to hotplug_size more, and back; less than at the start: a new start",
	  .doc = "How much memory the guest has: a multiple of 4K, or of the huge page with "
		 "hugepages: on. OVMF needs at least 64M.",
	  .unit = "bytes", .example = "4G" },
	{ KEY_SIZE(struct sill_memory_config, hotplug_size), .min = 128ull << 20,
	  .max = 16ull << 40,
	  .def_note = "none: the memory stays as it is; with zones, what theirs are together",
	  .doc = "How much memory may come while the VM runs, beside memory.size: a multiple of "
		 "128M, or "
		 "of 2G from 64G of memory on. It comes in up to 32 pieces, as modules (DIMMs) "
		 "that ACPI "
		 "tells the guest of, and costs nothing before.",
	  .unit = "bytes", .example = "8G" },
	{ KEY_ENUM(struct sill_memory_config, hotplug_method, methods), .def = "acpi",
	  .doc = "How it comes: 'acpi', in modules (DIMMs) as they were added, which Windows takes "
		 "but "
		 "does not give back; or 'virtio-mem', by a device in blocks of 2M, for guests "
		 "that "
		 "have its driver. With that a guest that breaks the rules can use all of "
		 "hotplug_size at any time.",
	  .example = "virtio-mem" },
	{ KEY_SIZE(struct sill_memory_config, hotplugged_size), .min = 2ull << 20,
	  .max = 16ull << 40, .def_note = "none",
	  .doc = "How much of hotplug_size the guest shall have from the start, as soon as its "
		 "driver is there: a multiple of 2M. Only with hotplug_method: virtio-mem.",
	  .unit = "bytes", .example = "512M" },
	{ KEY_BOOL(struct sill_memory_config, shared), .def = "off",
	  .doc = "Memory that other processes can map (a memfd) instead of private memory.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_memory_config, hugepages), .def = "off",
	  .doc = "Take the memory from the host's pool of reserved huge pages. The pool must have "
		 "enough of them free.",
	  .example = "on" },
	{ KEY_SIZE(struct sill_memory_config, hugepage_size), .min = 64ull << 10,
	  .max = 16ull << 30, .def_note = "the host's default size", .unit = "bytes",
	  .doc = "Which pool of huge pages. Only with hugepages: on; a power of two the host "
		 "offers.",
	  .example = "2M" },
	{ KEY_BOOL(struct sill_memory_config, prefault), .def = "off",
	  .doc = "Touch every page before the guest starts: a slower start, no page faults later, "
		 "and memory that cannot be had is known at once.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_memory_config, thp), .def_note = "on, or off with hugepages: on",
	  .effect = EFFECT_LIVE,
	  .doc = "Ask for transparent huge pages. Not together with hugepages: on.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_memory_config, mergeable), .def = "off",
	  .doc = "Let the host keep pages of equal contents once (KSM, which "
		 "/sys/kernel/mm/ksm/run "
		 "starts), also those of other VMs, which can tell by the time a write takes. Not "
		 "together with shared or hugepages.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_memory_config, reserve), .def = "off",
	  .doc = "Have the host set memory or swap aside for all of the size, by its rules "
		 "(vm.overcommit_memory); what it cannot is said at the start. Nothing is set "
		 "aside for shared memory; huge pages always are.",
	  .example = "on" },
	{ KEY_LIST_OF_MAPS(struct sill_memory_config, zones, memory_zone_section), .match = "id",
	  .min = 0, .max = SILL_MAX_ZONES,
	  .doc = "Make the memory of several pieces, the first one at address 0, each with pages "
		 "of "
		 "its own kind. Then size need not be said, and shared and hugepages are each "
		 "zone's.",
	  .example = "[{id: fast, size: 1G, hugepages: on}, {id: rest, size: 3G}]" },
};

const struct section memory_section = {
	.name = "memory",
	.doc = "The memory the guest has, and what it is made of.",
	.keys = memory_keys,
	.schema = "{\"dependentRequired\": {\"hugepage_size\": [\"hugepages\"]}}",
	.count = CYAML_ARRAY_LEN(memory_keys),
};
