/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - sill help [VERB]. */
#include "runner/cmd/cmd.h"

#include <string.h>

#include "runner/report/text.h"

static void print_all(FILE *f)
{
	(void)fputs("usage: sill VERB ...\n\n"
		    "Runs virtual machines that are described in YAML manifests.\n\n",
		    f);
	for (size_t i = 0; verb_table[i] != NULL; i++)
		(void)fprintf(f, "  %-10s %s\n", verb_table[i]->name, verb_table[i]->summary);
	(void)fputs("\n`sill help VERB` tells more; `sill explain` describes the manifest's keys;\n"
		    "`sill doctor` says whether this machine can run guests.\n\n"
		    "exit status: 0 done, 1 failed or wrong usage, 2 the manifest is wrong,\n"
		    "3 the host lacks something or failed, 4 the guest cannot go on\n",
		    f);
}

static int run(int argc, char **argv)
{
	int n = cmd_options(&verb_help, argc, argv, NULL, 0);
	const char *names[32];
	const struct verb *v;
	char clean[TEXT_SHORT];
	size_t count = 0;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n == 0) {
		print_all(stdout);
		return CMD_DONE;
	}
	v = verb_find(argv[1]);
	/* "help image create": the verb of a verb. */
	for (size_t i = 0; v != NULL && v->verbs != NULL && n == 2 && v->verbs[i] != NULL; i++)
		if (strcmp(strrchr(v->verbs[i]->name, ' ') + 1, argv[2]) == 0) {
			v = v->verbs[i];
			break;
		}
	if (v != NULL) {
		cmd_print_help(stdout, v);
		return CMD_DONE;
	}
	for (; count < sizeof(names) / sizeof(names[0]) && verb_table[count] != NULL; count++)
		names[count] = verb_table[count]->name;
	(void)text_clean(clean, sizeof(clean), argv[1], strlen(argv[1]));
	(void)fprintf(stderr, "sill: unknown verb '%s'\n", clean);
	if (cmd_nearest(argv[1], names, count) != NULL)
		(void)fprintf(stderr, "   hint: did you mean '%s'?\n",
			      cmd_nearest(argv[1], names, count));
	else
		print_all(stderr);
	return CMD_FAILED;
}

const struct verb verb_help = {
	.name = "help",
	.args = "[VERB]",
	.summary = "list the verbs, or tell all about one",
	.run = run,
};
