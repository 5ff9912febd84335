/* SPDX-License-Identifier: Apache-2.0 */
/* version.c - sill version. */
#include "runner/cmd/cmd.h"

static int run(int argc, char **argv)
{
	int n = cmd_options(&verb_version, argc, argv, NULL, 0);

	if (n == CMD_OPTS_HELP)
		return CMD_DONE;
	if (n != 0)
		return n > 0 ? cmd_usage(&verb_version, "takes no operands") : CMD_FAILED;
	(void)printf("sill %s, manifest version 1\n", SILL_VERSION);
	return CMD_DONE;
}

const struct verb verb_version = {
	.name = "version",
	.args = "",
	.summary = "print the version of the program and of the manifest's language",
	.run = run,
};
