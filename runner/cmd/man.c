/* SPDX-License-Identifier: Apache-2.0 */
/*
 * man.c - sill man: the manual pages, from what the verbs say of themselves and from the manifest's table.
 *
 * The macros are those of man(7), which man-db and mandoc read.
 */
#include "runner/cmd/cmd.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runner/cmd/verbs.h"
#include "runner/manifest/describe.h"
#include "runner/report/text.h"

/* Text that is laid out already, line by line: no line is a request, no word a number register. */
static void laid_out(const char *text)
{
	bool begins = true;

	(void)fputs(".nf\n", stdout);
	for (const char *p = text; *p != '\0'; p++) {
		if (begins && (*p == '.' || *p == '\''))
			(void)fputs("\\&", stdout);
		if (*p == '\\')
			(void)fputs("\\e", stdout);
		else if (*p == '-')
			(void)fputs("\\-", stdout);
		else if (*p == '`')
			(void)fputs("\\(ga", stdout);
		else if (*p == '\'')
			(void)fputs("\\(aq", stdout);
		else
			(void)putchar(*p);
		begins = *p == '\n';
	}
	(void)fputs(begins ? ".fi\n" : "\n.fi\n", stdout);
}

/* Text within a line. */
static void inline_text(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p == '-')
			(void)fputs("\\-", stdout);
		else
			(void)putchar(*p);
}

static void title(const char *name, int section)
{
	(void)fputs(".TH \"", stdout);
	for (const char *p = name; *p != '\0'; p++)
		(void)putchar(*p == ' ' ? '-' : toupper(*p));
	(void)printf("\" %d \"\" \"sill %s\" \"Sill\"\n.SH NAME\n", section, SILL_VERSION);
	for (const char *p = name; *p != '\0'; p++)
		(void)fputs(*p == ' ' || *p == '-' ? "\\-" : (char[]){ *p, '\0' }, stdout);
	(void)fputs(" \\- ", stdout);
}

static void exit_status(void)
{
	(void)fputs(".SH EXIT STATUS\n"
		    ".TP\n.B 0\nDone; with\n.BR sill\\-run (1):\nthe guest powered off, or was "
		    "stopped on request.\n"
		    ".TP\n.B 1\nWrong usage, or anything that has no status of its own.\n"
		    ".TP\n.B 2\nThe manifest is wrong; nothing was started.\n"
		    ".TP\n.B 3\nThe host lacks something or failed.\n"
		    ".TP\n.B 4\nThe guest cannot go on.\n",
		    stdout);
}

static void verbs_of(const struct verb *const *list)
{
	for (size_t i = 0; list[i] != NULL; i++) {
		(void)fputs(".TP\n.BR sill", stdout);
		(void)fputs("\\-", stdout);
		for (const char *p = list[i]->name; *p != '\0'; p++)
			(void)fputs(*p == ' ' ? "\\-" : (char[]){ *p, '\0' }, stdout);
		(void)fputs(" (1)\n", stdout);
		inline_text(list[i]->summary);
		(void)putchar('\n');
	}
}

static void page_of_verb(const struct verb *v)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "sill %s", v->name);
	title(name, 1);
	inline_text(v->summary);
	(void)printf("\n.SH SYNOPSIS\n.B %s\n", name);
	inline_text(v->args);
	(void)fputs(v->args[0] != '\0' ? "\n" : "", stdout);
	if (v->help != NULL) {
		(void)fputs(".SH DESCRIPTION\n", stdout);
		laid_out(v->help);
	}
	if (v->verbs != NULL) {
		(void)fputs(".SH VERBS\n", stdout);
		verbs_of(v->verbs);
	}
	if (v->help == NULL || strcasestr(v->help, "exit status") == NULL)
		exit_status();
	(void)fputs(".SH SEE ALSO\n.BR sill (1),\n.BR sill\\-manifest (5)\n", stdout);
}

static void page_of_sill(void)
{
	title("sill", 1);
	(void)fputs("run virtual machines that are described in YAML manifests\n"
		    ".SH SYNOPSIS\n.B sill\n.I verb\n.RI [ words ]\n"
		    ".SH DESCRIPTION\n"
		    "Sill runs virtual machines, Windows first, from manifests that are files and "
		    "live in a\n"
		    "version control system. One process is one virtual machine, on KVM.\n"
		    ".SH VERBS\n",
		    stdout);
	verbs_of(verb_table);
	exit_status();
	(void)fputs(
		".SH ENVIRONMENT\n"
		".TP\n.B SILL_RUNTIME_DIR\nWhere running VMs have their directories.\n"
		".TP\n.B XDG_RUNTIME_DIR\nFor a user without that, they are below it, in sill/.\n"
		".TP\n.B NO_COLOR\nNo colours in messages.\n"
		".SH FILES\n"
		".TP\n.I /run/sill/NAME\nThe directory of root's VM of that name: its lock, "
		"control socket, log and\n"
		"effective manifest.\n"
		".SH SEE ALSO\n.BR sill\\-manifest (5)\n",
		stdout);
}

static void print_key(void *ctx, const char *path, const struct key *row)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	const char *body;

	(void)ctx;
	if (f == NULL)
		return;
	describe_own(f, path, row);
	(void)fclose(f);
	body = text != NULL ? strchr(text, '\n') : NULL;
	if (body != NULL) {
		(void)fputs(".SS ", stdout);
		inline_text(path);
		(void)putchar('\n');
		laid_out(body + 1);
	}
	free(text);
}

static void page_of_manifest(void)
{
	title("sill-manifest", 5);
	(void)fputs(
		"the manifest of a virtual machine\n"
		".SH DESCRIPTION\n"
		"A manifest is a YAML mapping of these keys. The paths below name a key with the\n"
		"sections that it is in. What\n.B change\nsays is what a new value costs a "
		"VM that runs.\n"
		".SH KEYS\n",
		stdout);
	describe_each(print_key, NULL);
	(void)fputs(
		".SH SEE ALSO\n.BR sill (1),\n.BR sill\\-validate (1),\n.BR sill\\-explain (1)\n",
		stdout);
}

/* "run", "image create": the verb, or NULL. */
static const struct verb *find(int count, char **words)
{
	const struct verb *v = verb_find(words[0]);

	if (count == 1 || v == NULL || v->verbs == NULL)
		return count == 1 ? v : NULL;
	for (size_t i = 0; v->verbs[i] != NULL; i++)
		if (strcmp(v->verbs[i]->name + strlen(v->name) + 1, words[1]) == 0)
			return v->verbs[i];
	return NULL;
}

static int list(void)
{
	(void)puts("sill.1\nsill-manifest.5");
	for (size_t i = 0; verb_table[i] != NULL; i++) {
		const struct verb *v = verb_table[i];

		(void)printf("sill-%s.1\n", v->name);
		for (size_t j = 0; v->verbs != NULL && v->verbs[j] != NULL; j++)
			(void)printf("sill-%s-%s.1\n", v->name,
				     v->verbs[j]->name + strlen(v->name) + 1);
	}
	return CMD_DONE;
}

static int run(int argc, char **argv)
{
	bool all = false;
	const struct opt opts[] = { { .name = "list", .flag = &all } };
	const int n = cmd_options(&verb_man, argc, argv, opts, 1);
	const struct verb *v;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n > 2 || (all && n > 0))
		return cmd_usage(&verb_man, "one page at a time");
	if (all)
		return list();
	if (n == 1 && strcmp(argv[1], "manifest") == 0) {
		page_of_manifest();
		return CMD_DONE;
	}
	v = n > 0 ? find(n, &argv[1]) : NULL;
	if (n > 0 && v == NULL)
		return cmd_usage(&verb_man, "there is no such page");
	if (v != NULL)
		page_of_verb(v);
	else
		page_of_sill();
	return CMD_DONE;
}

const struct verb verb_man = {
	.name = "man",
	.args = "[VERB | manifest]",
	.summary = "print a manual page, for man(1)",
	.help = "  sill man image create | man -l -\n"
		"\n"
		"`make install` installs all of them.\n"
		"\n"
		"  --list  the names of the pages instead\n",
	.run = run,
};
