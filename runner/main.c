/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program `sill`: find the verb, run it. */
#include <signal.h>
#include <string.h>

#include "runner/cmd/cmd.h"
#include "runner/host/std.h"

int main(int argc, char **argv)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct verb *v;

	if (std_fill() < 0)
		return CMD_HOST;
	/* A file at its limit (ulimit -f) is an error, EFBIG, like a full disk: told and tidied up. */
	(void)sigaction(SIGXFSZ, &ignore, NULL);
	if (argc < 2) {
		(void)verb_help.run(argc, argv);
		return CMD_FAILED;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return verb_help.run(1, argv);
	if (strcmp(argv[1], "--version") == 0)
		return verb_version.run(1, argv);
	v = verb_find(argv[1]);
	if (v == NULL)
		return verb_help.run(argc > 2 ? 2 : argc, argv);
	return v->run(argc - 1, argv + 1);
}
