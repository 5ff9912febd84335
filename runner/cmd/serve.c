/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - sill serve: a process without a VM, which is made through the control API.
 *
 * The first thread waits until somebody wants to boot, runs the VM, and waits again.
 */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "runner/cmd/run.h"

struct serve {
	struct run run;
	struct run_wish wish;
	bool no_shutdown;
	int signal_fd; /* of what ends a process that has no VM */
};

static int open_signals(struct serve *s, struct sill_err *e)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd >= 0 ? 0 : sill_err_sys(e, errno, "wait for signals");
}

static int run_vms(struct serve *s)
{
	struct life *life = s->run.control.api.life;
	const struct sill_config *m;
	int ret = CMD_DONE;

	while (life_wait(life, s->signal_fd, &m)) {
		struct sill_err e = { 0 };

		ret = run_once(&s->run, &s->wish, m, &e);
		if (ret < 0) {
			(void)cmd_error(&e); /* who wanted to boot it was told, too */
			ret = CMD_DONE;
		}
		if (life_is_over(life))
			break;
	}
	return ret;
}

static int serve(struct serve *s)
{
	struct sill_err e = { 0 };
	char name[32];
	int ret;

	if (s->wish.name == NULL) {
		(void)snprintf(name, sizeof(name), "vm-%d", (int)getpid());
		s->wish.name = name;
	}
	if (run_open(&s->run, &s->wish) < 0)
		return CMD_FAILED;
	/* Who finds the socket finds all of it. */
	ret = open_signals(s, &e);
	if (ret == 0)
		ret = run_begin(&s->run, &s->wish, s->wish.name, &e);
	if (ret == 0) {
		life_set_stay(s->run.control.api.life, s->no_shutdown);
		ret = run_vms(s);
	}
	run_close(&s->run);
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd);
	return ret < 0 ? cmd_error(&e) : ret;
}

static int run(int argc, char **argv)
{
	struct serve s = { .signal_fd = -1 };
	const char *ignored = NULL;
	const struct opt opts[] = {
		{ .name = "api-socket", .text = &s.wish.api_socket },
		{ .name = "event-monitor", .text = &s.wish.event_monitor },
		{ .name = "name", .text = &s.wish.name },
		{ .name = "log", .text = &s.wish.log },
		{ .name = "log-file", .text = &s.wish.log },
		{ .name = "seccomp", .text = &ignored },
		{ .name = "log-format", .text = &ignored },
		{ .name = "verbose", .letter = 'v', .flag = &s.wish.verbose },
		{ .name = "no-shutdown", .flag = &s.no_shutdown },
		{ .name = "allow-hollow-kvm", .flag = &s.wish.allow_hollow },
	};
	const int n = cmd_options(&verb_serve, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n > 0)
		return cmd_usage(&verb_serve, "it takes no file: the VM comes through its socket");
	if (s.wish.name != NULL && !rundir_is_name(s.wish.name))
		return cmd_usage(&verb_serve, "'%s' cannot be the name of a VM", s.wish.name);
	return serve(&s);
}

const struct verb verb_serve = {
	.name = "serve",
	.args = "[--api-socket PATH] [--name VM] [--log FILE] [-v]",
	.summary = "start without a VM, for one that is made through the control API",
	.help = "What speaks Cloud Hypervisor's API (ch-remote, libvirt, curl) creates, boots and\n"
		"deletes the VM; docs/API.md has the endpoints. The process ends when the guest\n"
		"powers off, with vmm.shutdown, and with SIGTERM, SIGINT or SIGHUP.\n"
		"\n"
		"  --api-socket PATH\n"
		"               listen there too, besides api.sock in the runtime directory; fd=N: "
		"a\n"
		"               Unix socket that listens already\n"
		"  --event-monitor path=FILE|fd=N\n"
		"               what happens to the VM, as JSON objects\n"
		"  --name VM    what the VM is called, and its runtime directory (default: "
		"vm-PID)\n"
		"  --no-shutdown\n"
		"               stay when the guest has powered off; the VM may boot again\n"
		"  --log FILE, -v, --allow-hollow-kvm\n"
		"               as for `sill run`\n"
		"\n"
		"Under the name cloud-hypervisor (a link to sill) the program is this verb;\n"
		"--log-file is --log, and --seccomp is taken without effect.\n"
		"\n"
		"exit status: as for `sill run`\n",
	.run = run,
};
