/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - sill explain: what a key of the manifest means. */
#include "runner/cmd/cmd.h"

#include <string.h>

#include "runner/manifest/describe.h"
#include "runner/report/text.h"

/* The path that was most likely meant. */
struct guess {
	const char *given;
	char best[DESCRIBE_PATH];
	unsigned least;
};

static void consider(void *ctx, const char *path, const struct key *row)
{
	struct guess *g = ctx;
	unsigned dist;

	/* The key alone ("boot") is a little worse than the whole path with a slip. */
	if (strcmp(g->given, row->field.key) == 0)
		dist = 1;
	else if (text_similar(g->given, row->field.key, &dist))
		dist += 2;
	else if (!text_similar(g->given, path, &dist))
		return;
	if (dist < g->least) {
		g->least = dist;
		(void)snprintf(g->best, sizeof(g->best), "%s", path);
	}
}

static int explain(const char *given)
{
	struct guess g = { .given = given, .least = ~0u };
	char clean[DESCRIBE_PATH];
	const struct key *row = describe_find(given, clean);

	if (row != NULL) {
		describe_key(stdout, clean, row);
		return CMD_DONE;
	}
	describe_each(consider, &g);
	(void)fprintf(stderr, "sill: no key '%s'\n",
		      text_clean(clean, sizeof(clean), given, strlen(given)));
	if (g.best[0] != '\0')
		(void)fprintf(stderr, "   hint: did you mean '%s'?\n", g.best);
	else
		(void)fputs("   hint: `sill explain` lists all keys\n", stderr);
	return CMD_FAILED;
}

static int run(int argc, char **argv)
{
	int n = cmd_options(&verb_explain, argc, argv, NULL, 0);
	int ret = CMD_DONE;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n == 0) {
		text_wrap(stdout, root_section.doc, 0, 90);
		(void)fputc('\n', stdout);
		describe_tree(stdout, &root_section, 0);
	}
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			(void)fputc('\n', stdout);
		if (explain(argv[i]) != CMD_DONE)
			ret = CMD_FAILED;
	}
	return ret;
}

const struct verb verb_explain = {
	.name = "explain",
	.args = "[KEY...]",
	.summary = "tell what a key of the manifest means, or list them all",
	.help = "A key is named with its sections: `sill explain cpus.topology.packages`.\n",
	.run = run,
};
