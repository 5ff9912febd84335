/* SPDX-License-Identifier: Apache-2.0 */
/* console.c - sill console NAME: be at a port of a VM that runs. */
#include "runner/cmd/cmd.h"

#include <string.h>

#include "runner/console/session.h"

static bool find_port(const char *name, enum sill_port *ret)
{
	for (unsigned p = 0; p < SILL_PORTS; p++) {
		if (strcmp(sill_port_name(p), name) == 0) {
			*ret = (enum sill_port)p;
			return true;
		}
	}
	return false;
}

static int run(int argc, char **argv)
{
	struct session s = { .port = SILL_PORT_SERIAL, .within_ms = 60000 };
	const char *port = NULL, *within = NULL;
	const struct opt opts[] = { { .name = "port", .text = &port },
				    { .name = "read-only", .flag = &s.read_only },
				    { .name = "history", .flag = &s.history },
				    { .name = "take", .flag = &s.take },
				    { .name = "send", .text = &s.send },
				    { .name = "expect", .text = &s.expect },
				    { .name = "within", .text = &within } };
	const int n = cmd_options(&verb_console, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	uint8_t text[4096];

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_console, n == 0 ? "which VM?" : "one VM at a time");
	s.name = argv[1];
	if (port != NULL && !find_port(port, &s.port))
		return cmd_usage(&verb_console,
				 "--port is serial, serial2, debug_console or console");
	if (within != NULL && !cmd_time(within, &s.within_ms))
		return cmd_usage(&verb_console, "--within: '%s' is no time such as 60s", within);
	if (within != NULL && s.expect == NULL)
		return cmd_usage(&verb_console, "--within says how long to wait for --expect");
	if (s.read_only && (s.send != NULL || s.take))
		return cmd_usage(&verb_console, "--read-only does not send");
	if (s.send != NULL && session_unescape(s.send, text, sizeof(text)) < 0)
		return cmd_usage(&verb_console,
				 "--send: \\r \\n \\t \\e \\\\ and \\xNN, at most 4096 bytes");
	return s.send != NULL || s.expect != NULL ? session_script(&s) : session_person(&s);
}

const struct verb verb_console = {
	.name = "console",
	.args = "[OPTION]... VM",
	.summary = "be at a serial port or console of a VM that runs",
	.help = "VM is the name of a VM of this user, or the path of a port's socket, with a '/' "
		"in it. The\n"
		"port must be a socket: serial: {mode: socket, path: web.sock}.\n"
		"\n"
		"The terminal is raw: all keys go to the guest but Ctrl-A and the one after it, of "
		"which\n"
		"Ctrl-A d leaves and Ctrl-A h tells the others. The VM does not notice who comes "
		"and goes.\n"
		"Any number may look; one at a time writes, and the others may take over (Ctrl-A "
		"t).\n"
		"\n"
		"  --port PORT      serial (default), serial2, debug_console or console, which "
		"learns the\n"
		"                   terminal's size\n"
		"  --read-only      only look\n"
		"  --history        begin with all that the port has kept, not with its last line\n"
		"  --take           take over at once\n"
		"\n"
		"For scripts, without a terminal; the output goes to standard output:\n"
		"  --send TEXT      send it; \\r \\n \\t \\e \\\\ and \\xNN are as in C\n"
		"  --expect REGEX   wait for it (extended, line by line; NULs and \\r are left "
		"out), after\n"
		"                   what was sent\n"
		"  --within TIME    so long at most: 60s (default), 500ms\n"
		"\n"
		"exit status: 0 left, or the VM has ended; what was expected has come. 1 it has "
		"not, or there\n"
		"is no such VM or port. 3 nobody listens at the socket\n",
	.run = run,
};
