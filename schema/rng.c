/* SPDX-License-Identifier: Apache-2.0 */
/* rng.c - rng: the virtio entropy device. */
#include "schema/key.h"
#include "sill/config.h"

/* clang-format off */
static const struct key rng_keys[] = {
	{ KEY_STRING(struct sill_rng_config, src, KIND_PATH), .min = 1, .max = 1024, .def = "/dev/urandom",
	  .words = " off ",
	  .doc = "The file the random bytes are read from, or 'off' for no device.",
	  .example = "/dev/urandom" },
};
/* clang-format on */

const struct section rng_section = {
	.name = "rng",
	.doc = "The virtio entropy device.",
	.keys = rng_keys,
	.count = CYAML_ARRAY_LEN(rng_keys),
};
