/* SPDX-License-Identifier: Apache-2.0 */
/* console.c - console: the virtio console. */
#include "schema/key.h"
#include "sill/config.h"

/* clang-format off */
static const struct key console_keys[] = {
	{ KEY_ENUM(struct sill_char_config, mode, char_modes), .def = "off",
	  .doc = "Where the other end is, as serial.mode. Only one of the two can have the "
		 "terminal.",
	  .example = "pty" },
	{ KEY_STRING(struct sill_char_config, path, KIND_PATH), .min = 1, .max = 1024,
	  .doc = "The file or the socket. Needed by mode file and socket, forbidden otherwise.",
	  .example = "console.sock" },
	{ KEY_SIZE(struct sill_char_config, limit), .or_off = true, .min = 64 << 10, .max = 4ull << 30,
	  .unit = "bytes", .def_note = "64M with mode file",
	  .doc = "With mode file: how large the file gets, as serial.limit.",
	  .example = "16M" },
};
/* clang-format on */

const struct section console_section = {
	.name = "console",
	.doc = "The virtio console (hvc0).",
	.keys = console_keys,
	.schema = char_schema,
	.count = CYAML_ARRAY_LEN(console_keys),
};
