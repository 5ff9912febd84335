/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program `sill`: find the verb, run it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "runner/api/api.h"
#include "runner/cmd/cmd.h"
#include "runner/cmd/verbs.h"
#include "runner/host/std.h"

/*
 * By the name cloud-hypervisor, for who starts that and drives it through its socket (libvirt): serve,
 * with the options that it is started with, and a version of the form that is looked for.
 */
static int as_cloud_hypervisor(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		(void)printf("cloud-hypervisor v%s\n", API_VERSION);
		return CMD_DONE;
	}
	return verb_serve.run(argc, argv);
}

static bool is_called(const char *program, const char *name)
{
	const char *slash = strrchr(program, '/');

	return strcmp(slash != NULL ? slash + 1 : program, name) == 0;
}

/* The status of these is about guests, whoever reads what they print. */
static bool runs_vms(int argc, char **argv)
{
	const struct verb *v = argc > 1 ? verb_find(argv[1]) : NULL;

	return v == &verb_run || v == &verb_up || v == &verb_apply || v == &verb_serve ||
	       (argc > 0 && is_called(argv[0], "cloud-hypervisor"));
}

static int find_and_run(int argc, char **argv)
{
	const struct verb *v;

	if (argc > 0 && is_called(argv[0], "cloud-hypervisor"))
		return as_cloud_hypervisor(argc, argv);
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

int main(int argc, char **argv)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	int ret, printed;

	if (std_fill() < 0)
		return CMD_HOST;
	/* A file at its limit (ulimit -f) is an error, EFBIG, like a full disk: told and tidied up. */
	(void)sigaction(SIGXFSZ, &ignore, NULL);
	ret = find_and_run(argc, argv);
	if (runs_vms(argc, argv))
		return ret;
	/* What is printed is what the others are for. */
	printed = cmd_flush();
	return ret == CMD_DONE ? printed : ret;
}
