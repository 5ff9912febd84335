/* SPDX-License-Identifier: Apache-2.0 */
/* serial.c - serial, serial2, debug_console: the two serial ports, and the port for debugging. */
#include "schema/key.h"
#include "sill/config.h"

const cyaml_strval_t char_modes[CHAR_MODE_COUNT] = {
	{ "off", SILL_CHAR_OFF }, { "null", SILL_CHAR_NULL }, { "tty", SILL_CHAR_TTY },
	{ "pty", SILL_CHAR_PTY }, { "file", SILL_CHAR_FILE }, { "socket", SILL_CHAR_SOCKET },
};

/* A path for a file or a socket, and for nothing else; a limit for a file. */
const char char_schema[] =
	"{\"allOf\": [{\"if\": {\"required\": [\"mode\"], \"properties\": {\"mode\":"
	" {\"enum\": [\"file\", \"socket\"]}}},"
	" \"then\": {\"required\": [\"path\"]}, \"else\": {\"not\": {\"required\": [\"path\"]}}},"
	" {\"if\": {\"required\": [\"limit\"]}, \"then\": {\"required\": [\"mode\"], "
	"\"properties\":"
	" {\"mode\": {\"const\": \"file\"}}}}]}";

/* clang-format off */
#define END_PATH(file)                                                                         \
	{ KEY_STRING(struct sill_char_config, path, KIND_PATH), .min = 1, .max = 1024,          \
	  .doc = "The file or the socket. Needed by mode file and socket, forbidden otherwise.", \
	  .example = file }
#define END_LIMIT                                                                              \
	{ KEY_SIZE(struct sill_char_config, limit), .or_off = true, .min = 64 << 10,             \
	  .max = 4ull << 30, .unit = "bytes", .def_note = "64M with mode file",                 \
	  .doc = "With mode file: how large the file gets, as serial.limit.", .example = "16M" }

static const struct key serial2_keys[] = {
	{ KEY_ENUM(struct sill_char_config, mode, char_modes), .def = "off",
	  .doc = "Where the other end is, as serial.mode. Only one port can have the terminal.",
	  .example = "pty" },
	END_PATH("kd.sock"),
	END_LIMIT,
};

static const struct key debug_console_keys[] = {
	{ KEY_ENUM(struct sill_char_config, mode, char_modes), .def = "off",
	  .doc = "Where the other end is, as serial.mode. Only one port can have the terminal.",
	  .example = "pty" },
	END_PATH("debug.log"),
	END_LIMIT,
	{ KEY_UINT(struct sill_char_config, port), .min = 1, .max = 0xffff, .def = "0xe9",
	  .doc = "The I/O port: a byte that the guest writes there goes to the other end, and a byte "
		 "that it reads is 0xe9.",
	  .example = "0xe9" },
};

static const struct key serial_keys[] = {
	{ KEY_ENUM(struct sill_char_config, mode, char_modes), .def = "tty",
	  .doc = "Where the other end is. off: no port; null: output is dropped; tty: the terminal "
		 "sill runs in (Ctrl-A h tells its keys), or standard input and output as they are "
		 "when there is none; pty: a new pseudo terminal, whose path is printed; file: "
		 "output is written to path, which is emptied first; socket: a UNIX socket at path, "
		 "one client at a time.",
	  .example = "tty" },
	{ KEY_STRING(struct sill_char_config, path, KIND_PATH), .min = 1, .max = 1024,
	  .doc = "The file or the socket. Needed by mode file and socket, forbidden otherwise.",
	  .example = "serial.log" },
	{ KEY_SIZE(struct sill_char_config, limit), .or_off = true, .min = 64 << 10, .max = 4ull << 30,
	  .unit = "bytes", .def_note = "64M with mode file",
	  .doc = "With mode file: how large the file gets. Then it becomes PATH.1, in place of an older "
		 "one, and a new file begins at path: the two have at most twice the limit, however "
		 "much the guest prints. off: no limit, and a guest can fill the file system.",
	  .example = "16M" },
};
/* clang-format on */

const struct section serial_section = {
	.name = "serial",
	.doc = "The first serial port (COM1, ttyS0): a 16550A.",
	.keys = serial_keys,
	.schema = char_schema,
	.count = CYAML_ARRAY_LEN(serial_keys),
};

const struct section serial2_section = {
	.name = "serial2",
	.doc = "The second serial port (COM2, ttyS1): a 16550A.",
	.keys = serial2_keys,
	.schema = char_schema,
	.count = CYAML_ARRAY_LEN(serial2_keys),
};

const struct section debug_console_section = {
	.name = "debug_console",
	.doc = "The debug console. Firmware and kernels that know it write there before they have "
	       "anything else; Windows does not know it. Nothing in the ACPI tables tells of it.",
	.keys = debug_console_keys,
	.schema = char_schema,
	.count = CYAML_ARRAY_LEN(debug_console_keys),
};
