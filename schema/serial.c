/* SPDX-License-Identifier: Apache-2.0 */
/* serial.c - serial, serial2, debug_console, console: what has a far end. */
#include "schema/key.h"
#include "sill/config.h"

const cyaml_strval_t char_modes[CHAR_MODE_COUNT] = {
	{ "off", SILL_CHAR_OFF }, { "null", SILL_CHAR_NULL }, { "tty", SILL_CHAR_TTY },
	{ "pty", SILL_CHAR_PTY }, { "file", SILL_CHAR_FILE }, { "socket", SILL_CHAR_SOCKET },
	{ "tcp", SILL_CHAR_TCP },
};

/* A path for a file or a socket, and for nothing else; a limit for a file; a log and history; one end for tcp. */
static const char char_schema[] =
	"{\"allOf\": [{\"if\": {\"required\": [\"mode\"], \"properties\": {\"mode\":"
	" {\"enum\": [\"file\", \"socket\"]}}},"
	" \"then\": {\"required\": [\"path\"]}, \"else\": {\"not\": {\"required\": [\"path\"]}}},"
	" {\"if\": {\"required\": [\"limit\"]}, \"then\": {\"anyOf\": [{\"required\": [\"log\"]},"
	" {\"required\": [\"mode\"], \"properties\": {\"mode\": {\"const\": \"file\"}}}]}},"
	" {\"if\": {\"anyOf\": [{\"required\": [\"log\"]}, {\"required\": [\"history\"]}]},"
	" \"then\": {\"required\": [\"mode\"], \"properties\": {\"mode\": {\"const\": "
	"\"socket\"}}}},"
	" {\"if\": {\"required\": [\"mode\"], \"properties\": {\"mode\": {\"const\": \"tcp\"}}},"
	" \"then\": {\"oneOf\": [{\"required\": [\"listen\"]}, {\"required\": [\"connect\"]}]},"
	" \"else\": {\"not\": {\"anyOf\": [{\"required\": [\"listen\"]}, {\"required\": "
	"[\"connect\"]}]}}}]}";

/* clang-format off */
#define END_MODE                                                                                \
	{ KEY_ENUM(struct sill_char_config, mode, char_modes), .def = "off",                     \
	  .doc = "Where the other end is, as serial.mode. Only one port can have the terminal.",  \
	  .example = "pty" }
#define END_PATH(file)                                                                          \
	{ KEY_STRING(struct sill_char_config, path, KIND_PATH), .min = 1, .max = 1024,           \
	  .doc = "The file or the socket. Needed by mode file and socket, forbidden otherwise.",  \
	  .example = file }
#define END_LIMIT                                                                               \
	{ KEY_SIZE(struct sill_char_config, limit), .or_off = true, .min = 64 << 10,              \
	  .max = 4ull << 30, .unit = "bytes", .def_note = "64M with mode file, or a log",        \
	  .doc = "With mode file: how large the file gets, as serial.limit.", .example = "16M" }
#define END_LOG(file)                                                                           \
	{ KEY_STRING(struct sill_char_config, log, KIND_PATH), .min = 1, .max = 1024,             \
	  .doc = "With mode socket: a file that the output is written to as well, with the host's time " \
		 "in front of each line (25 bytes, UTC) and as it is behind that. It is emptied first; " \
		 "limit is its size, as with mode file.",                                        \
	  .example = file },                                                                    \
	{ KEY_SIZE(struct sill_char_config, history), .min = 64 << 10, .max = 64 << 20,           \
	  .unit = "bytes", .def_note = "1M with mode socket",                                    \
	  .doc = "With mode socket: how much of the output is kept for who comes later, rounded up to a " \
		 "power of two.",                                                                \
	  .example = "4M" }
#define END_TCP                                                                                 \
	{ KEY_STRING(struct sill_char_config, listen, KIND_TEXT), .min = 1, .max = 300,           \
	  .doc = "With mode tcp: where to listen, [ADDRESS:]PORT; without an address at 127.0.0.1. " \
		 "Whoever can connect there is at the port: there is no password.",              \
	  .example = "127.0.0.1:4445" },                                                        \
	{ KEY_STRING(struct sill_char_config, connect, KIND_TEXT), .min = 1, .max = 300,          \
	  .doc = "With mode tcp: where to connect to, HOST:PORT. Nobody need be there yet, and who " \
		 "goes away may come back: it is tried again, after 0.1 s and then at longer "   \
		 "intervals, up to 5 s. A name is asked for at the start of the VM; if it has "  \
		 "several addresses, one after the other is tried.",                            \
	  .example = "192.0.2.1:4445" }

static const struct key serial_keys[] = {
	{ KEY_ENUM(struct sill_char_config, mode, char_modes), .def = "tty",
	  .doc = "Where the other end is. off: no port; null: output is dropped; tty: the terminal "
		 "sill runs in (Ctrl-A h tells its keys), or standard input and output as they are "
		 "when there is none; pty: a new pseudo terminal, whose path is printed; file: "
		 "output is written to path, which is emptied first; socket: a UNIX socket at path, "
		 "which up to 16 may read at once: each gets what was kept first (history), "
		 "and one at a time writes (see sill/console.h); tcp: a TCP connection, one at a time, taken at listen or made "
		 "to connect. The guest never waits for who reads: while nobody does, the newest "
		 "output is kept.",
	  .example = "tty" },
	{ KEY_STRING(struct sill_char_config, path, KIND_PATH), .min = 1, .max = 1024,
	  .doc = "The file or the socket. Needed by mode file and socket, forbidden otherwise.",
	  .example = "serial.log" },
	{ KEY_SIZE(struct sill_char_config, limit), .or_off = true, .min = 64 << 10, .max = 4ull << 30,
	  .unit = "bytes", .def_note = "64M with mode file, or a log",
	  .doc = "With mode file: how large the file gets, or the log. Then it becomes PATH.1, in place of an older "
		 "one, and a new file begins at path: the two have at most twice the limit, however "
		 "much the guest prints. off: no limit, and a guest can fill the file system.",
	  .example = "16M" },
	END_TCP, END_LOG("serial.log"),
};

static const struct key serial2_keys[] = {
	END_MODE, END_PATH("kd.sock"), END_LIMIT, END_TCP, END_LOG("serial2.log"),
};

static const struct key debug_console_keys[] = {
	END_MODE, END_PATH("debug.log"), END_LIMIT, END_TCP, END_LOG("debug.log"),
	{ KEY_UINT(struct sill_char_config, port), .min = 1, .max = 0xffff, .def = "0xe9",
	  .doc = "The I/O port: a byte that the guest writes there goes to the other end, and a byte "
		 "that it reads is 0xe9.",
	  .example = "0xe9" },
};

static const struct key console_keys[] = {
	END_MODE, END_PATH("console.sock"), END_LIMIT, END_TCP, END_LOG("console.log"),
};
/* clang-format on */

#define PORT_SECTION(port, text)                                       \
	const struct section port##_section = { .name = #port,         \
						.doc = (text),         \
						.keys = port##_keys,   \
						.schema = char_schema, \
						.count = CYAML_ARRAY_LEN(port##_keys) }

PORT_SECTION(serial, "The first serial port (COM1, ttyS0): a 16550A.");
PORT_SECTION(serial2, "The second serial port (COM2, ttyS1): a 16550A.");
PORT_SECTION(debug_console,
	     "The debug console. Firmware and kernels that know it write there before they have "
	     "anything else; Windows does not know it. Nothing in the ACPI tables tells of it.");
PORT_SECTION(console, "The virtio console (hvc0).");
