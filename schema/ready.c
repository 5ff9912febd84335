/* SPDX-License-Identifier: Apache-2.0 */
/* ready.c - ready: by what others see that the guest is up. */
#include "schema/key.h"
#include "sill/config.h"

/* clang-format off */
#define PORT_ROW(member, port, text)                                                            \
	{ KEY_UINT(struct sill_ready_config, member), .min = 1, .max = 65535,                     \
	  .effect = EFFECT_LIVE, .doc = (text), .example = port }

static const struct key ready_keys[] = {
	PORT_ROW(tcp, "80", "Somebody takes a connection at this port. Of a port that is forwarded that may be Sill "
			    "or passt, and says nothing of the guest: then one of the others is better."),
	PORT_ROW(ssh, "22", "An SSH server says its version at this port."),
	PORT_ROW(rdp, "3389", "Remote Desktop answers at this port."),
	PORT_ROW(winrm, "5985", "WinRM answers at this port, over HTTP."),
	{ KEY_STRING(struct sill_ready_config, serial, KIND_TEXT), .min = 1, .max = 256,
	  .effect = EFFECT_LIVE, .unit = "bytes",
	  .doc = "The guest writes this text on its first serial port, in one line and as it stands here. Of a VM in the "
		 "background, or with serial.mode: socket.",
	  .example = "'login:'" },
	{ KEY_UINT(struct sill_ready_config, vsock), .min = 1, .max = 0xfffffffe, .effect = EFFECT_LIVE,
	  .doc = "A program of the guest takes a connection at this port of its vsock device.",
	  .example = "1024" },
	{ KEY_STRING(struct sill_ready_config, host, KIND_TEXT), .min = 1, .max = 255,
	  .effect = EFFECT_LIVE, .unit = "bytes",
	  .def_note = "the guest's address, if it has it from Sill; else where the host forwards this port of the guest",
	  .doc = "Where that port is: a name or an address.",
	  .example = "192.0.2.10" },
	{ KEY_STRING(struct sill_ready_config, within, KIND_TEXT), .min = 2, .max = 16,
	  .effect = EFFECT_LIVE, .unit = "bytes", .def = "300s", .form = "300s or 5m",
	  .doc = "How long the guest has for it from its start, in ms, s, m or h. What comes later counts as well; who "
		 "waits does not wait longer.",
	  .example = "10m" },
	{ KEY_STRING(struct sill_ready_config, hint, KIND_TEXT), .min = 1, .max = 500,
	  .effect = EFFECT_LIVE, .unit = "bytes",
	  .doc = "What a person may do about it when it does not come: printed then.",
	  .example = "is sshd enabled in the image?" },
};
/* clang-format on */

const struct section ready_section = {
	.name = "ready",
	.doc = "Signs by which others see that the guest is up. All of them must have come. `sill "
	       "up "
	       "--wait` waits for them, `sill status` tells of them.",
	.keys = ready_keys,
	/* One sign an entry; a host only of a port; how a time is written. */
	.schema =
		"{\"oneOf\": [{\"required\": [\"tcp\"]}, {\"required\": [\"ssh\"]}, {\"required\": "
		"[\"rdp\"]}, {\"required\": [\"winrm\"]}, {\"required\": [\"serial\"]}, "
		"{\"required\": [\"vsock\"]}],"
		" \"not\": {\"required\": [\"host\"], \"anyOf\": [{\"required\": [\"serial\"]}, "
		"{\"required\": [\"vsock\"]}]},"
		" \"allOf\": [{\"properties\": {\"within\": {\"pattern\": "
		"\"^[1-9][0-9]*(ms|s|m|h)$\"}}}]}",
	.count = CYAML_ARRAY_LEN(ready_keys),
};
