/* SPDX-License-Identifier: Apache-2.0 */
/* balloon.c - balloon: the virtio memory balloon. */
#include "schema/key.h"
#include "sill/config.h"

/* clang-format off */
static const struct key balloon_keys[] = {
	{ KEY_SIZE(struct sill_balloon_config, size), .or_off = true, .min = 4096, .max = 8ull << 40, .def = "off",
	  .effect = EFFECT_LIVE, .unit = "bytes",
	  .doc = "How much of its memory the guest is to give to the host: a multiple of 4K, at most memory.size. "
		 "The guest's driver does it when it can, and takes it back when the size becomes less; a guest "
		 "that begins anew has all of it until its driver is there. Memory of huge pages (memory.hugepages) "
		 "does not go back to the host.",
	  .example = "256M" },
	{ KEY_BOOL(struct sill_balloon_config, deflate_on_oom), .def = "off",
	  .doc = "A guest that would have to end a program for want of memory may take some back instead. "
		 "Windows' driver has no such thing.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_balloon_config, free_page_reporting), .def = "off",
	  .doc = "The guest tells of memory that is free, whatever the balloon's size, and the host has it until "
		 "the guest uses it again.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_balloon_config, enabled), .def = "on", .effect = EFFECT_HOTPLUG,
	  .doc = "There is a balloon at all; without this section there is none.", .example = "off" },
};
/* clang-format on */

const struct section balloon_section = {
	.name = "balloon",
	.doc = "A virtio memory balloon: memory that the guest gives to the host while it does not "
	       "need it. The "
	       "guest's statistics of its memory come with it.",
	.keys = balloon_keys,
	.count = CYAML_ARRAY_LEN(balloon_keys),
};
