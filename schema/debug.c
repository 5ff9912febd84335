/* SPDX-License-Identifier: Apache-2.0 */
/* debug.c - debug: debuggers of the guest's kernel. */
#include "schema/key.h"
#include "sill/config.h"

static const cyaml_strval_t kds[] = {
	{ "off", SILL_KD_OFF },
	{ "serial", SILL_KD_SERIAL },
	{ "serial2", SILL_KD_SERIAL2 },
};

/* clang-format off */
static const struct key debug_keys[] = {
	{ KEY_ENUM(struct sill_debug_config, kd, kds), .def = "off",
	  .doc = "The serial port that Windows' kernel debugger (KD) is at. That port has mode tcp then, by itself, "
		 "with the end that listen or connect says. serial2 is COM2; serial is COM1, where SAC is: there is "
		 "no console of Windows then. What to type in WinDbg and in the guest is printed by `sill run`, "
		 "`sill up` and `sill status`.",
	  .example = "serial2" },
	{ KEY_STRING(struct sill_debug_config, listen, KIND_TEXT), .min = 1, .max = 300,
	  .doc = "With kd: where to listen for the debugger, [ADDRESS:]PORT; without an address at 127.0.0.1. "
		 "Whoever can connect there owns the guest: there is no password.",
	  .example = "127.0.0.1:4445" },
	{ KEY_STRING(struct sill_debug_config, connect, KIND_TEXT), .min = 1, .max = 300,
	  .doc = "With kd: where the debugger listens, HOST:PORT, as a serial port of the VM that WinDbg runs in. "
		 "Nobody need be there yet.",
	  .example = "192.0.2.1:4445" },
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
	.schema = "{\"if\": {\"required\": [\"kd\"], \"properties\": {\"kd\":"
		  " {\"enum\": [\"serial\", \"serial2\"]}}},"
		  " \"then\": {\"oneOf\": [{\"required\": [\"listen\"]}, {\"required\": "
		  "[\"connect\"]}]},"
		  " \"else\": {\"not\": {\"anyOf\": [{\"required\": [\"listen\"]}, "
		  "{\"required\": [\"connect\"]}]}}}",
	.count = CYAML_ARRAY_LEN(debug_keys),
};
