/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - sill help [VERB]. */
#include "runner/cmd/cmd.h"

#include <string.h>
#include <strings.h>

#include "runner/cmd/verbs.h"
#include "runner/report/text.h"

/* What people bring from other tools, and what it is here. */
static const struct {
	const char *word, *say;
} elsewhere[] = {
	{ "boot", "sill run FILE" },
	{ "launch", "sill run FILE" },
	{ "exec", "sill run FILE for a VM; sill sac NAME exec -- COMMAND inside of Windows" },
	{ "check", "sill validate FILE" },
	{ "lint", "sill validate FILE" },
	{ "verify", "sill validate FILE" },
	{ "test", "sill validate FILE" },
	{ "new", "sill init" },
	{ "define", "sill init" },
	{ "create", "sill init for a manifest, sill image create for a disk" },
	{ "convert", "sill image convert" },
	{ "resize", "sill image resize" },
	{ "info", "sill image info for a disk, sill show for a manifest" },
	{ "qemu-img", "sill image" },
	{ "probe", "sill net probe" },
	{ "wait", "sill net probe --wait TIME" },
	{ "disk", "sill image" },
	{ "config", "sill show --effective FILE" },
	{ "cat", "sill show FILE" },
	{ "dumpxml", "sill show --effective FILE" },
	{ "doc", "sill explain KEY" },
	{ "docs", "sill explain KEY" },
	{ "keys", "sill explain" },
	{ "setup", "sill doctor" },
	{ "env", "sill doctor" },
	{ "host", "sill doctor" },
	{ "stop", "sill down NAME" },
	{ "shutdown", "sill down NAME" },
	{ "destroy", "sill down --now NAME" },
	{ "restart", "sill reboot NAME" },
	{ "start", "sill up FILE, sill run FILE to stay with it" },
	{ "diff", "sill plan FILE" },
	{ "list", "sill ps" },
	{ "log", "sill logs NAME" },
	{ "attach", "sill console NAME" },
	{ "serial", "sill console NAME" },
	{ "shell", "sill console NAME" },
	{ "tty", "sill console NAME" },
	{ "ssh", "ssh USER@ADDRESS; sill net status NAME tells the address" },
	{ "format", "sill fmt FILE" },
	{ "reset", "sill ctl NAME reset" },
	{ "pause", "sill ctl NAME pause" },
	{ "suspend", "sill ctl NAME pause, or sill ctl NAME snapshot DIR" },
	{ "resume", "sill ctl NAME resume" },
	{ "unpause", "sill ctl NAME resume" },
	{ "edit", "change the file; then sill plan FILE and sill apply FILE" },
	{ "update", "sill apply FILE" },
	{ "reload", "sill apply FILE" },
	{ "deploy", "sill apply FILE" },
	{ "sync", "sill apply --prune DIR" },
	{ "delete", "sill down NAME" },
	{ "remove", "sill down NAME" },
	{ "rm", "sill down NAME" },
	{ "undefine", "sill down NAME" },
	{ "inspect", "sill status NAME, sill ctl NAME info" },
	{ "describe", "sill status NAME, sill ctl NAME info" },
	{ "dominfo", "sill status NAME, sill ctl NAME info" },
	{ "domifaddr", "sill net status NAME" },
	{ "ip", "sill net status NAME" },
	{ "top", "sill ctl NAME counters" },
	{ "metrics", "sill ctl NAME metrics" },
	{ "events", "sill ctl NAME events" },
	{ "monitor", "sill ctl NAME events" },
	{ "watch", "sill ctl NAME events" },
	{ "snapshot", "sill ctl NAME snapshot DIR" },
	{ "save", "sill ctl NAME snapshot DIR" },
	{ "restore", "sill run --restore DIR" },
	{ "dump", "sill ctl NAME coredump FILE" },
	{ "coredump", "sill ctl NAME coredump FILE" },
	{ "add-disk", "sill ctl NAME add-disk path=FILE" },
	{ "attach-disk", "sill ctl NAME add-disk path=FILE" },
	{ "enable", "sill up --systemd FILE" },
	{ "systemd", "sill up --systemd FILE, or sill export --systemd FILE" },
	{ "unlock", "remove the lock's file: sill help lock" },
	{ "gdb", "sill run --gdb PATH|PORT FILE" },
	{ "ls", "sill ps" },
	{ "stats", "sill ctl NAME counters" },
};

/* The hint for a verb that is none. True when one was given. */
static bool hint(const char *word)
{
	const char *names[32];
	size_t count = 0;

	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (strcasecmp(word, elsewhere[i].word) == 0) {
			(void)fprintf(stderr, "   hint: %s\n", elsewhere[i].say);
			return true;
		}
	for (; count < sizeof(names) / sizeof(names[0]) && verb_table[count] != NULL; count++)
		names[count] = verb_table[count]->name;
	if (cmd_nearest(word, names, count) == NULL)
		return false;
	(void)fprintf(stderr, "   hint: did you mean '%s'?\n", cmd_nearest(word, names, count));
	return true;
}

static void print_all(FILE *f)
{
	(void)fputs("usage: sill VERB ...\n\n"
		    "Runs virtual machines that are described in YAML manifests.\n\n",
		    f);
	for (size_t i = 0; verb_table[i] != NULL; i++)
		(void)fprintf(f, "  %-10s %s\n", verb_table[i]->name, verb_table[i]->summary);
	(void)fputs("\n`sill help VERB` tells more; `sill explain` describes the manifest's keys;\n"
		    "`sill doctor` says whether this machine can run guests.\n\n"
		    "every verb: --help, and --color auto|always|never for its messages\n"
		    "exit status: 0 done, 1 failed or wrong usage, 2 the manifest is wrong,\n"
		    "3 the host lacks something or failed, 4 the guest cannot go on\n",
		    f);
}

static int run(int argc, char **argv)
{
	int n = cmd_options(&verb_help, argc, argv, NULL, 0);
	const struct verb *v;
	char clean[TEXT_SHORT];

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
	(void)text_clean(clean, sizeof(clean), argv[1], strlen(argv[1]));
	(void)fprintf(stderr, "sill: unknown verb '%s'\n", clean);
	if (!hint(argv[1]))
		print_all(stderr);
	return CMD_FAILED;
}

const struct verb verb_help = {
	.name = "help",
	.args = "[VERB]",
	.summary = "list the verbs, or tell all about one",
	.run = run,
};
