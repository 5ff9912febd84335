/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - sill explain: what a key of the manifest means. */
#include "runner/cmd/cmd.h"

#include <string.h>

#include "runner/cmd/open.h"
#include "runner/cmd/topics.h"
#include "runner/manifest/describe.h"
#include "runner/report/text.h"

/* What a key that is none may have meant: those of that name in some section, and the path most like it. */
struct guess {
	const char *given;
	char best[DESCRIBE_PATH];
	unsigned least;
	unsigned named;
	char list[512]; /* of those of that name, as far as it goes */
};

/* @end is the whole of @path, or its last sections and key. */
static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return m > 0 && m <= n && strcmp(path + n - m, end) == 0 &&
	       (m == n || path[n - m - 1] == '.');
}

static void consider(void *ctx, const char *path, const struct key *row)
{
	struct guess *g = ctx;
	size_t len = strlen(g->list);
	unsigned dist;

	/* The key alone ("boot") is a little worse than the whole path with a slip. */
	if (ends_with(path, g->given)) {
		dist = 1;
		g->named++;
		(void)snprintf(g->list + len, sizeof(g->list) - len, "%s%s", len > 0 ? ", " : "",
			       path);
	} else if (text_similar(g->given, row->field.key, &dist)) {
		dist += 2;
	} else if (!text_similar(g->given, path, &dist)) {
		return;
	}
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

	if (front_find(given) != NULL) {
		describe_front(stdout, front_find(given));
		return CMD_DONE;
	}
	if (row == NULL) {
		describe_each(consider, &g);
		/* In one section only: nothing else can be meant. */
		if (g.named == 1)
			row = describe_find(g.best, clean);
	}
	if (row != NULL) {
		describe_key(stdout, clean, row);
		return CMD_DONE;
	}
	(void)fprintf(stderr, "sill: no key '%s'\n",
		      text_clean(clean, sizeof(clean), given, strlen(given)));
	if (g.named > 1)
		(void)fprintf(stderr, "   hint: one of %s\n", g.list);
	else if (g.best[0] != '\0')
		(void)fprintf(stderr, "   hint: did you mean '%s'?\n", g.best);
	else
		(void)fputs("   hint: `sill explain` lists all keys\n", stderr);
	return CMD_FAILED;
}

/* The topics take the place of the first key. */
static int run_topic(int n, char **argv, const struct topic_wish *given)
{
	struct topic_wish w = *given;

	if (strcmp(argv[1], "lint") == 0)
		return n > 1 ? cmd_usage(&verb_explain, "lint has no file") : topic_lint(&w);
	if (n > 2)
		return cmd_usage(&verb_explain, "one file at a time");
	w.file = n > 1 ? argv[2] : NULL;
	if (n > 1)
		open_choose(argv[2], &w.name);
	return topic_hyperv(&w);
}

static int explain_keys(int n, char **argv)
{
	int ret = CMD_DONE;

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

static int run(int argc, char **argv)
{
	struct topic_wish w = { 0 };
	const struct opt opts[] = {
		{ .name = "json", .flag = &w.json },
		{ .name = "name", .text = &w.name },
		OPEN_OPTS,
	};
	int n = cmd_options(&verb_explain, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n > 0 && (strcmp(argv[1], "hyperv") == 0 || strcmp(argv[1], "lint") == 0))
		return run_topic(n, argv, &w);
	if (w.json || w.name != NULL)
		return cmd_usage(&verb_explain, "options are for hyperv and lint");
	return explain_keys(n, argv);
}

const struct verb verb_explain = {
	.name = "explain",
	.args = "[KEY...] | hyperv [--name VM] " OPEN_ARGS " [--json] [FILE] | lint [--json]",
	.summary = "tell what a key of the manifest means, or list them all",
	.help = "A key is named with its sections: `sill explain cpus.topology.packages`.\n"
		"\n"
		"  hyperv [FILE]  which Hyper-V enlightenments the VMs of a manifest get on this "
		"host,\n"
		"                 and why; without FILE, what the default set would get\n"
		"  lint           what `sill validate` warns about with guest: windows, and where "
		"that\n"
		"                 was learnt\n"
		"\n"
		"  --name VM      only this one of several\n" OPEN_HELP
		"  --json         a JSON array instead of text\n",
	.run = run,
};
