/* SPDX-License-Identifier: Apache-2.0 */
/* debug.c - debug: debuggers of the guest's kernel. */
#include "schema/key.h"
#include "sill/config.h"

static const cyaml_strval_t kds[] = {
	{ "off", SILL_KD_OFF },
	{ "serial", SILL_KD_SERIAL },
	{ "serial2", SILL_KD_SERIAL2 },
	{ "net", SILL_KD_NET },
};

/* clang-format off */
static const struct key debug_keys[] = {
	{ KEY_ENUM(struct sill_debug_config, kd, kds), .def = "off",
	  .doc = "Where Windows' kernel debugger (KD) is: a serial port, or a network card. The port has mode tcp then, "
		 "by itself, with the end that listen or connect says. serial2 is COM2; serial is COM1, where SAC is: "
		 "there is no console of Windows then. Before Windows' first packet the port passes nothing on to the "
		 "debugger, and from it packets and break-ins only, for firmware has a console there. net is KDNET: the guest sends UDP through a card to the "
		 "address that connect says, under key; a card on a tap that is made has nat then, unless its nat or "
		 "isolate says something. What to type in WinDbg and in the guest is printed by `sill run`, `sill up` "
		 "and `sill status`.",
	  .example = "serial2" },
	{ KEY_STRING(struct sill_debug_config, listen, KIND_TEXT), .min = 1, .max = 300,
	  .doc = "With kd: where to listen for the debugger, [ADDRESS:]PORT; without an address at 127.0.0.1. "
		 "Whoever can connect there owns the guest: there is no password.",
	  .example = "127.0.0.1:4445" },
	{ KEY_STRING(struct sill_debug_config, connect, KIND_TEXT), .min = 1, .max = 300,
	  .doc = "With kd: where the debugger listens, HOST:PORT, as a serial port of the VM that WinDbg runs in. "
		 "Nobody need be there yet. With kd: net, the IPv4 address of the machine that WinDbg runs on, as the "
		 "guest reaches it, and a UDP port of 49152 to 65535; Microsoft recommends 50000 to 50039.",
	  .example = "192.0.2.1:4445" },
	{ KEY_STRING(struct sill_debug_config, key, KIND_TEXT), .min = 7, .max = 55, .unit = "bytes",
	  .doc = "With kd: net, what both sides encrypt with: four numbers of lower-case letters and digits, with dots "
		 "between them, each below 2 to the power of 64 in base 36. Who knows it owns the guest.",
	  .example = "2n9ck3.1qw8x.7d0f4.p3z5" },
	{ KEY_STRING(struct sill_debug_config, card, KIND_NAME), .min = 1, .max = 63,
	  .doc = "With kd: net, the id of the card that Windows gives to its debugger; needed where there are several. "
		 "Windows has the card, too, as a \"Kernel Debug Network Adapter\".",
	  .example = "net0" },
	{ KEY_STRING(struct sill_debug_config, gdb, KIND_PATH), .min = 1, .max = 300, .or_port = true,
	  .doc = "Where gdb may come (target remote): the path of a socket that is made, or [ADDRESS:]PORT. It stops the "
		 "guest, of any system, and whoever can connect there owns it. `sill run --gdb` and `sill up --gdb` say "
		 "another place.",
	  .example = "127.0.0.1:1234" },
};
/* clang-format on */

const struct section debug_section = {
	.name = "debug",
	.doc = "How the guest's kernel is debugged. The guest does not wait for a debugger that is "
	       "not "
	       "there.",
	.keys = debug_keys,
	.schema = "{\"allOf\": [{\"if\": {\"required\": [\"kd\"], \"properties\": {\"kd\":"
		  " {\"enum\": [\"serial\", \"serial2\"]}}},"
		  " \"then\": {\"oneOf\": [{\"required\": [\"listen\"]}, {\"required\": "
		  "[\"connect\"]}]},"
		  " \"else\": {\"not\": {\"required\": [\"listen\"]}}},"
		  " {\"if\": {\"required\": [\"kd\"], \"properties\": {\"kd\": {\"const\": "
		  "\"net\"}}},"
		  " \"then\": {\"required\": [\"connect\", \"key\"]},"
		  " \"else\": {\"not\": {\"anyOf\": [{\"required\": [\"key\"]}, {\"required\": "
		  "[\"card\"]}]}}},"
		  " {\"if\": {\"not\": {\"required\": [\"kd\"], \"properties\": {\"kd\":"
		  " {\"enum\": [\"serial\", \"serial2\", \"net\"]}}}},"
		  " \"then\": {\"not\": {\"required\": [\"connect\"]}}}]}",
	.count = CYAML_ARRAY_LEN(debug_keys),
};
