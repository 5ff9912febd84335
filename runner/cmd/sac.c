/* SPDX-License-Identifier: Apache-2.0 */
/* sac.c - sill sac VM VERB: Windows' Special Administration Console over the serial port. */
#include "runner/cmd/cmd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/console/conlink.h"
#include "runner/host/clock.h"
#include "runner/report/text.h"
#include "runner/sac/sac.h"

enum { HISTORY_MS = 10000 }; /* for all that the port has kept */

struct call {
	const char *vm;
	enum sill_port port;
	bool take, yes;
	struct conlink link;
	int fd;
	bool live, known;
	enum sill_console_pen pen;
	uint32_t whose;
	struct sac sac;
};

static void on_output(void *ctx, const uint8_t *p, size_t n)
{
	struct call *c = ctx;

	sac_take(&c->sac, p, n);
}

static void on_live(void *ctx)
{
	struct call *c = ctx;

	c->live = true;
}

static void on_pen(void *ctx, enum sill_console_pen pen, uint32_t pid)
{
	struct call *c = ctx;

	c->known = true;
	c->pen = pen;
	c->whose = pid;
}

/* Take what comes until @until_ms, or the first of it. 0, or -1 and @e. */
static int hear(struct call *c, uint64_t until_ms, struct sill_err *e)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	const uint64_t now = clock_ms();
	uint8_t piece[16 * 1024];
	ssize_t n;

	if (until_ms > now)
		(void)poll(&p, 1, (int)(until_ms - now < 60000 ? until_ms - now : 60000));
	n = recv(c->fd, piece, sizeof(piece), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' has ended", c->vm);
	if (conlink_take(&c->link, piece, (size_t)n) < 0)
		return sill_err_set(e, SILL_ERR_HOST, "the VM's end does not speak as it should");
	return 0;
}

/* Be at the port, and know all that it has kept. 0, or -1 and @e. */
static int join(struct call *c, const struct conlink_user *user, struct sill_err *e)
{
	const uint64_t until = clock_ms() + HISTORY_MS;

	conlink_init(&c->link, user);
	c->fd = conlink_connect(&c->link, c->vm, c->port, SILL_CONSOLE_FROM_ALL, e);
	if (c->fd < 0)
		return -1;
	while (!c->live || !c->known) {
		if (clock_ms() >= until)
			return sill_err_set(e, SILL_ERR_HOST,
					    "the port does not say what it has kept");
		if (hear(c, until, e) < 0)
			return -1;
	}
	return 0;
}

/* One command at SAC's prompt; the answer is in c->sac.text then. 0, or -1 and @e. */
static int say(struct call *c, const char *command, bool ends, struct sill_err *e)
{
	struct sac_talk t = { .sac = &c->sac, .command = command, .ends = ends };

	if (c->pen == SILL_CONSOLE_PEN_TAKEN && !c->take) {
		(void)sill_err_set(e, SILL_ERR_STATE, "process %u writes there", c->whose);
		return sill_err_hint(e, "--take takes over");
	}
	if (conlink_send(c->fd, SILL_CONSOLE_TAKE, NULL, 0, e) < 0)
		return -1;
	for (;;) {
		uint8_t send[SAC_SEND];
		uint64_t wake;
		size_t n;
		const enum sac_next next = sac_step(&t, clock_ms(), send, &n, &wake);

		if (next == SAC_DONE)
			return 0;
		if (next == SAC_FAILED) {
			(void)sill_err_set(e, SILL_ERR_STATE, "%s: %s", command, t.why);
			return sill_err_hint(e, "at the other side: %s; `sill console %s` shows it",
					     sac_side_name(c->sac.side), c->vm);
		}
		if ((n > 0 && conlink_send(c->fd, SILL_CONSOLE_INPUT, send, n, e) < 0) ||
		    hear(c, wake, e) < 0)
			return -1;
	}
}

/* The answer, without the prompt behind it; what a terminal would obey is escaped. */
static void print_answer(struct call *c)
{
	char *line = c->sac.text, *end;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (line != c->sac.text || *line != '\0')
			text_say(stdout, "%s", line);
	}
}

static int say_and_print(struct call *c, const char *command, bool ends)
{
	struct sill_err e = { 0 };

	if (say(c, command, ends, &e) < 0)
		return cmd_error(&e);
	print_answer(c);
	return CMD_DONE;
}

/* ---- the verbs ---- */

static int do_status(struct call *c, int argc, char **argv)
{
	const struct sac_stop *stop = sac_stop_find(c->sac.stopcode);

	(void)argc;
	(void)argv;
	(void)printf("other side: %s\n", sac_side_name(c->sac.side));
	if (c->sac.side == SAC_WINDOWS || c->sac.side == SAC_CHANNEL)
		(void)printf("command prompts: %s\n",
			     c->sac.cmd_ready ? "available" : "not seen yet");
	if (c->sac.stopcode != 0)
		(void)printf("bug check: 0x%x%s%s\n", c->sac.stopcode, stop != NULL ? " " : "",
			     stop != NULL ? stop->name : "");
	if (stop != NULL)
		(void)printf("look at: %s\n", stop->look);
	return CMD_DONE;
}

static int do_ls(struct call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return say_and_print(c, "ch", false);
}

static int do_id(struct call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return say_and_print(c, "id", false);
}

static int do_time(struct call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return say_and_print(c, "s", false);
}

/* The number of the only interface in the answer to `i`. -1: there is none, or more than one. */
static int find_interface(const char *text)
{
	const char *at = strstr(text, "Net: ");
	int number;

	if (at == NULL)
		return -1;
	number = (int)strtoul(at + 5, NULL, 10);
	for (at = strstr(at + 5, "Net: "); at != NULL; at = strstr(at + 5, "Net: "))
		if ((int)strtoul(at + 5, NULL, 10) != number)
			return -1;
	return number > 0 ? number : -1;
}

static int do_ip(struct call *c, int argc, char **argv)
{
	struct sill_err e = { 0 };
	char command[128];
	struct in_addr a;
	int number;

	if (argc == 0)
		return say_and_print(c, "i", false);
	if (argc != 4 || strcmp(argv[0], "set") != 0)
		return cmd_usage(&verb_sac, "ip [set ADDRESS MASK GATEWAY]");
	for (int i = 1; i < 4; i++)
		if (inet_pton(AF_INET, argv[i], &a) != 1)
			return cmd_usage(&verb_sac, "'%s' is no IPv4 address", argv[i]);
	if (say(c, "i", false, &e) < 0)
		return cmd_error(&e);
	number = find_interface(c->sac.text);
	if (number < 0) {
		print_answer(c);
		(void)sill_err_set(&e, SILL_ERR_STATE, "there is not one network interface");
		(void)sill_err_hint(&e, "at the prompt of `sill console %s`: i NUMBER %s %s %s",
				    c->vm, argv[1], argv[2], argv[3]);
		return cmd_error(&e);
	}
	(void)snprintf(command, sizeof(command), "i %d %s %s %s", number, argv[1], argv[2],
		       argv[3]);
	return say_and_print(c, command, false);
}

static int go_down(struct call *c, const char *command)
{
	if (!c->yes)
		return cmd_usage(&verb_sac,
				 "%s: Windows does it at once, without asking anybody; say --yes",
				 command);
	return say_and_print(c, command, true);
}

static int do_restart(struct call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return go_down(c, "restart");
}

static int do_shutdown(struct call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return go_down(c, "shutdown");
}

static int do_crashdump(struct call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return go_down(c, "crashdump");
}

static const struct {
	const char *name;
	int (*run)(struct call *c, int argc, char **argv);
} verbs[] = {
	{ "status", do_status },
	{ "ls", do_ls },
	{ "id", do_id },
	{ "time", do_time },
	{ "ip", do_ip },
	{ "restart", do_restart },
	{ "shutdown", do_shutdown },
	{ "crashdump", do_crashdump },
};

static int run(int argc, char **argv)
{
	static struct call c;
	const struct conlink_user user = {
		.output = on_output, .live = on_live, .pen = on_pen, .ctx = &c
	};
	const char *port = NULL;
	const struct opt opts[] = { { .name = "port", .text = &port },
				    { .name = "take", .flag = &c.take },
				    { .name = "yes", .letter = 'y', .flag = &c.yes } };
	const int n = cmd_options(&verb_sac, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct sill_err e = { 0 };

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n < 2)
		return cmd_usage(&verb_sac, "which VM, and what?");
	c.port =
		port != NULL && strcmp(port, "serial2") == 0 ? SILL_PORT_SERIAL2 : SILL_PORT_SERIAL;
	if (port != NULL && strcmp(port, sill_port_name(c.port)) != 0)
		return cmd_usage(&verb_sac, "--port is serial or serial2");
	c.vm = argv[1];
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		int status;

		if (strcmp(argv[2], verbs[i].name) != 0)
			continue;
		if (n > 2 && strcmp(argv[2], "ip") != 0)
			return cmd_usage(&verb_sac, "%s takes nothing", argv[2]);
		status =
			join(&c, &user, &e) < 0 ? cmd_error(&e) : verbs[i].run(&c, n - 2, argv + 3);
		if (c.fd >= 0)
			(void)close(c.fd);
		return status;
	}
	return cmd_usage(&verb_sac, "there is no '%s'", argv[2]);
}

const struct verb verb_sac = {
	.name = "sac",
	.args = "[OPTION]... VM VERB",
	.summary = "talk to Windows' Special Administration Console, over the serial port",
	.help = "Windows must have EMS on (bcdedit /ems on, /emssettings EMSPORT:1 "
		"EMSBAUDRATE:115200), and the\n"
		"port must be a socket, as it is under `sill up`.\n"
		"\n"
		"  status       who is at the other side, as far as its words tell: firmware, "
		"Windows Boot\n"
		"               Manager, SAC, a bug check with its name, Linux; nothing is sent\n"
		"  ls           the channels\n"
		"  id, time     name, version and times of the computer; its clock\n"
		"  ip           its addresses\n"
		"  ip set ADDRESS MASK GATEWAY\n"
		"               the IPv4 address of its only network interface\n"
		"  restart, shutdown, crashdump\n"
		"               at once, without asking anybody in Windows: with --yes only. A "
		"crash dump is\n"
		"               written if Windows is set to write one\n"
		"\n"
		"  --port PORT  serial (default) or serial2\n"
		"  --take       although somebody else writes there now\n"
		"  --yes, -y    for what ends Windows\n"
		"\n"
		"exit status: 0 done, 1 it has not answered, or there is no such VM or port; 3 "
		"nobody listens\n"
		"at the socket\n",
	.run = run,
};
