/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - sill schema: the manifest's table as JSON Schema or as the manual. */
#include "runner/cmd/cmd.h"
#include "runner/manifest/describe.h"
#include "runner/report/json.h"

static int run(int argc, char **argv)
{
	bool manual = false;
	const struct opt opts[] = { { .name = "manual", .flag = &manual } };
	int n = cmd_options(&verb_schema, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n == CMD_OPTS_HELP)
		return CMD_DONE;
	if (n != 0)
		return n > 0 ? cmd_usage(&verb_schema, "takes no operands") : CMD_FAILED;
	if (!manual)
		return json_print(stdout, describe_json_schema()) < 0 ? CMD_FAILED : CMD_DONE;
	describe_manual(stdout);
	return fflush(stdout) == 0 ? CMD_DONE : CMD_FAILED;
}

const struct verb verb_schema = {
	.name = "schema",
	.args = "[--manual]",
	.summary = "print the manifest's JSON Schema (2020-12), or its manual",
	.help = "  --manual  the manual as Markdown instead (docs/MANIFEST.md)\n"
		"\n"
		"Editors complete and check manifests with the schema; put this on the first "
		"line:\n"
		"  # yaml-language-server: $schema=PATH/manifest.schema.json\n",
	.run = run,
};
