/* SPDX-License-Identifier: Apache-2.0 */
/* console.c - console: the virtio console. */
#include "schema/key.h"
#include "schema/manifest.h"

static const struct key console_keys[] = {
	{KEY_ENUM(struct mf_char, mode,       char_modes), .def = "off",
         .doc = "Where the other end is, as serial.mode. Only one of the two can have the "
		 "terminal.",								   .example = "pty"},
	{ KEY_STRING(struct mf_char,                   path, KIND_PATH),    .min = 1,  .max = 1024,
         .doc = "The file or the socket. Needed by mode file and socket, forbidden otherwise.",
         .example = "console.sock" },
};

const struct section console_section = {
	.name = "console",
	.doc = "The virtio console (hvc0).",
	.keys = console_keys,
	.count = CYAML_ARRAY_LEN(console_keys),
};
