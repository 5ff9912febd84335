/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - memory: how much, and what it is made of. */
#include "schema/key.h"
#include "sill/config.h"

static const cyaml_strval_t methods[] = {
	{ "acpi", SILL_HOTPLUG_ACPI },
	{ "virtio-mem", SILL_HOTPLUG_VIRTIO_MEM },
};

static const struct key memory_keys[] = {
	{ KEY_SIZE(struct sill_memory_config, size), .min = 16ull << 20, .max = 16ull << 40,
	  .def = "512M", .effect = EFFECT_HOTPLUG,
	  .effect_note = "up to hotplug_size more, and back; less than at the start: a new start",
	  .doc = "How much memory the guest has: a multiple of 4K, or of the huge page with "
		 "hugepages: on. OVMF needs at least 64M.",
	  .unit = "bytes", .example = "4G" },
	{ KEY_SIZE(struct sill_memory_config, hotplug_size), .min = 128ull << 20,
	  .max = 16ull << 40, .def_note = "none: the memory stays as it is",
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
};

const struct section memory_section = {
	.name = "memory",
	.doc = "The memory the guest has, and what it is made of.",
	.keys = memory_keys,
	.schema = "{\"dependentRequired\": {\"hugepage_size\": [\"hugepages\"]}}",
	.count = CYAML_ARRAY_LEN(memory_keys),
};
