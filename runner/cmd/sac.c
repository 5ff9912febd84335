/* SPDX-License-Identifier: Apache-2.0 */
/* sac.c - sill sac VM VERB: Windows' Special Administration Console over the serial port. */
#include "runner/cmd/sac.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/report/text.h"

enum { HISTORY_MS = 10000 }; /* of silence, before all that the port has kept has come */

static void on_output(void *ctx, const uint8_t *p, size_t n)
{
	struct sac_call *c = ctx;

	for (size_t i = 0; i < n; i++) {
		const enum sac_side before = c->sac.side;

		sac_take(&c->sac, &p[i], 1);
		if (c->sac.side != before)
			c->side_at = c->heard + i;
	}
	c->heard += n;
	screen_take(c->screen, p, n);
}

static void on_live(void *ctx)
{
	struct sac_call *c = ctx;

	c->live = true;
}

static void on_pen(void *ctx, enum sill_console_pen pen, uint32_t pid)
{
	struct sac_call *c = ctx;

	c->known = true;
	c->ours = c->ours || pen == SILL_CONSOLE_PEN_YOURS;
	c->pen = pen;
	c->whose = pid;
}

static void on_ago(void *ctx, uint64_t ms, uint64_t silent_ms)
{
	struct sac_call *c = ctx;

	c->told = true;
	c->ago_ms = ms;
	c->silent_ms = silent_ms;
}

static uint64_t now_ms(void *ctx)
{
	(void)ctx;
	return clock_ms();
}

/* ---- who wants to leave in the middle ---- */

static const int enders[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

/* What is open then is closed first: somebody may be logged in there. Who ignores one goes on ignoring it. */
static void take_signals(struct sac_call *c)
{
	struct sigaction now;
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(enders) / sizeof(enders[0]); i++)
		if (sigaction(enders[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			(void)sigaddset(&set, enders[i]);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signals >= 0)
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The next one ends us at once. */
static void let_signals_go(struct sac_call *c)
{
	sigset_t set;

	if (c->signals < 0)
		return;
	(void)close(c->signals);
	c->signals = -1;
	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(enders) / sizeof(enders[0]); i++)
		(void)sigaddset(&set, enders[i]);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int on_signal(struct sac_call *c, struct sill_err *e)
{
	struct signalfd_siginfo info;

	if (read(c->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	c->ended_by = (int)info.ssi_signo;
	let_signals_go(c);
	return sill_err_set(e, SILL_ERR_STATE, "interrupted");
}

/* See struct sac_wire. */
static int hear(void *ctx, uint64_t until_ms, struct sill_err *e)
{
	struct sac_call *c = ctx;
	struct pollfd p[] = { { .fd = c->fd, .events = POLLIN },
			      { .fd = c->signals, .events = POLLIN } };
	const uint64_t now = clock_ms();
	uint8_t piece[16 * 1024];
	ssize_t n;

	if (until_ms > now)
		(void)poll(p, 2, (int)(until_ms - now < 60000 ? until_ms - now : 60000));
	if (c->signals >= 0 && on_signal(c, e) < 0)
		return -1;
	n = recv(c->fd, piece, sizeof(piece), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return conlink_over(&c->link, c->vm, e);
	if (conlink_take(&c->link, piece, (size_t)n) < 0)
		return sill_err_set(e, SILL_ERR_HOST, "the VM's end does not speak as it should");
	if (c->ours && c->pen == SILL_CONSOLE_PEN_TAKEN)
		return sill_err_set(e, SILL_ERR_STATE, "process %u has taken over", c->whose);
	return 1;
}

static int send_keys(void *ctx, const uint8_t *p, size_t n, struct sill_err *e)
{
	struct sac_call *c = ctx;

	return conlink_send(c->fd, SILL_CONSOLE_INPUT, p, n, e);
}

uint64_t sac_call_until(const struct sac_call *c, uint64_t ms)
{
	const uint64_t at = clock_ms() + ms;

	return at < c->deadline_ms ? at : c->deadline_ms;
}

int sac_call_join(struct sac_call *c, struct sill_err *e)
{
	static const struct conlink_user to = {
		.output = on_output, .live = on_live, .ago = on_ago, .pen = on_pen
	};
	uint64_t until = sac_call_until(c, HISTORY_MS);
	int heard;

	c->live = c->known = c->ours = false;
	c->sac = (struct sac){ 0 };
	c->heard = c->side_at = 0;
	c->user_of_link = to;
	c->user_of_link.ctx = c;
	c->wire = (struct sac_wire){ .now_ms = now_ms, .hear = hear, .send = send_keys, .ctx = c };
	if (c->screen == NULL)
		c->screen = screen_create();
	if (c->screen == NULL)
		return sill_err_sys(e, ENOMEM, "a screen");
	conlink_init(&c->link, &c->user_of_link);
	c->fd = conlink_connect(&c->link, c->vm, c->port, SILL_CONSOLE_FROM_ALL, e);
	if (c->fd < 0)
		return -1;
	while (!c->live || !c->known) {
		if (clock_ms() >= c->deadline_ms)
			return sill_err_set(e, SILL_ERR_STATE, "the time for it is over");
		if (clock_ms() >= until)
			return sill_err_set(e, SILL_ERR_HOST,
					    "the port does not say what it has kept");
		heard = hear(c, until, e);
		if (heard < 0)
			return -1;
		if (heard > 0)
			until = sac_call_until(c, HISTORY_MS);
	}
	return 0;
}

int sac_call_take(struct sac_call *c, struct sill_err *e)
{
	if (c->pen == SILL_CONSOLE_PEN_TAKEN && !c->take) {
		(void)sill_err_set(e, SILL_ERR_STATE, "process %u writes there", c->whose);
		return sill_err_hint(e, "--take takes over");
	}
	return conlink_send(c->fd, SILL_CONSOLE_TAKE, NULL, 0, e);
}

int sac_call_say(struct sac_call *c, const char *command, bool ends, struct sill_err *e)
{
	struct sac_talk t = { .sac = &c->sac,
			      .command = command,
			      .ends = ends,
			      .deadline_ms = c->deadline_ms,
			      .patient = c->patient };

	if (sac_call_take(c, e) < 0)
		return -1;
	if (sac_say(&c->wire, &t, e) == 0)
		return 0;
	if (e->hint[0] != '\0')
		return -1;
	return sill_err_hint(e, "at the other side: %s; `sill console %s` shows it",
			     sac_side_name(c->sac.side), c->vm);
}

void sac_call_print(struct sac_call *c)
{
	char *line = c->sac.text, *end;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (line != c->sac.text || *line != '\0')
			text_say(stdout, "%s", line);
	}
	if (c->sac.text_n == SAC_TEXT - 1)
		(void)fprintf(stderr, "sill: the answer was longer: its first %d KiB are here\n",
			      SAC_TEXT / 1024);
}

static int say_and_print(struct sac_call *c, const char *command, bool ends)
{
	struct sill_err e = { 0 };

	if (sac_call_say(c, command, ends, &e) < 0)
		return cmd_error(&e);
	sac_call_print(c);
	return CMD_DONE;
}

/* ---- the verbs ---- */

/* A VM of an older Sill turns away who asks: then it is not known. */
static void ask_how_long(struct sac_call *c)
{
	const uint64_t until = sac_call_until(c, HISTORY_MS);
	struct sill_err e = { 0 };
	uint8_t back[8];

	for (size_t i = 0; i < sizeof(back); i++)
		back[i] = (uint8_t)((c->heard - c->side_at) >> (8 * i));
	if (conlink_send(c->fd, SILL_CONSOLE_WHEN, back, sizeof(back), &e) == 0)
		while (!c->told && clock_ms() < until && hear(c, until, &e) >= 0)
			;
}

static int do_status(struct sac_call *c, int argc, char **argv)
{
	const struct sac_stop *stop = sac_stop_find(c->sac.stopcode);
	char since[TEXT_SPAN], silent[TEXT_SPAN];

	(void)argc;
	(void)argv;
	ask_how_long(c);
	(void)printf("other side: %s", sac_side_name(c->sac.side));
	if (c->told && c->ago_ms != UINT64_MAX)
		(void)printf(", for %s; silent for %s", text_span(since, c->ago_ms / 1000),
			     text_span(silent, c->silent_ms / 1000));
	(void)printf("\n");
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

static int do_ls(struct sac_call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return say_and_print(c, "ch", false);
}

static int do_id(struct sac_call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return say_and_print(c, "id", false);
}

static int do_time(struct sac_call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return say_and_print(c, "s", false);
}

/* On a terminal a person decides. */
static int go_down(struct sac_call *c, const char *command)
{
	char question[160];

	if (!c->yes && (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1))
		return cmd_usage(&verb_sac,
				 "%s: Windows does it at once, without asking anybody; say --yes",
				 command);
	if (!c->yes) {
		(void)snprintf(
			question, sizeof(question),
			"%s of '%.80s': Windows does it at once, without asking anybody. Do it?",
			command, c->vm);
		let_signals_go(c); /* nothing is open that would have to be closed */
		if (!cmd_is_yes(question))
			return CMD_FAILED;
		take_signals(c);
		c->deadline_ms = clock_ms() + c->within_ms;
	}
	return say_and_print(c, command, true);
}

static int do_restart(struct sac_call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return go_down(c, "restart");
}

static int do_shutdown(struct sac_call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return go_down(c, "shutdown");
}

static int do_crashdump(struct sac_call *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return go_down(c, "crashdump");
}

static const struct {
	const char *name;
	int (*run)(struct sac_call *c, int argc, char **argv);
} verbs[] = {
	{ "status", do_status },       { "ls", do_ls },           { "id", do_id },
	{ "time", do_time },           { "ip", sac_call_ip },     { "cmd", sac_call_cmd },
	{ "exec", sac_call_exec },     { "restart", do_restart }, { "shutdown", do_shutdown },
	{ "crashdump", do_crashdump },
};

/* argv[1] is the VM, argv[2] the verb. */
static int run_verb(struct sac_call *c, int n, char **argv)
{
	struct sill_err e = { 0 };
	const bool exec = strcmp(argv[2], "exec") == 0;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		int status;

		if (strcmp(argv[2], verbs[i].name) != 0)
			continue;
		if (n > 2 && strcmp(argv[2], "ip") != 0 && !exec)
			return cmd_usage(&verb_sac, "%s takes nothing", argv[2]);
		if (n == 2 && exec) {
			(void)cmd_usage(&verb_sac, "exec: which command?");
			return SAC_EXIT_OURS;
		}
		take_signals(c);
		c->deadline_ms = clock_ms() + c->within_ms;
		if (sac_call_join(c, &e) == 0)
			status = verbs[i].run(c, n - 2, argv + 3);
		else
			status = cmd_error(&e);
		/* A status of the command's is none of ours. */
		if (e.code != SILL_ERR_NONE && exec)
			status = SAC_EXIT_OURS;
		screen_destroy(c->screen);
		if (c->fd >= 0)
			(void)close(c->fd);
		let_signals_go(c);
		(void)fflush(NULL);
		if (c->ended_by != 0)
			(void)raise(c->ended_by);
		return status;
	}
	return cmd_no_word(&verb_sac, argv[1], argv[2]);
}

static const char *word(size_t i)
{
	return i < sizeof(verbs) / sizeof(verbs[0]) ? verbs[i].name : NULL;
}

/* argv[1] is the VM then, argv[2] the verb. How many words there are, or as cmd_options(); it has been said why. */
static int read_call(struct sac_call *c, int argc, char **argv)
{
	const char *port = NULL, *within = NULL;
	const struct opt opts[] = { { .name = "port", .text = &port },
				    { .name = "take", .flag = &c->take },
				    { .name = "yes", .letter = 'y', .flag = &c->yes },
				    { .name = "user", .text = &c->user },
				    { .name = "domain", .text = &c->domain },
				    { .name = "password-file", .text = &c->password_file },
				    { .name = "within", .text = &within } };
	const int n = cmd_options(&verb_sac, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n;
	if (n < 2) {
		(void)cmd_usage(&verb_sac, "which VM, and what?");
		return CMD_OPTS_BAD;
	}
	c->patient = within != NULL;
	c->port =
		port != NULL && strcmp(port, "serial2") == 0 ? SILL_PORT_SERIAL2 : SILL_PORT_SERIAL;
	if (port != NULL && strcmp(port, sill_port_name(c->port)) != 0)
		(void)cmd_usage(&verb_sac, "--port is serial or serial2");
	else if (!cmd_time(within != NULL ? within : "600s", &c->within_ms))
		(void)cmd_usage(&verb_sac, "--within: '%s' is no time such as 60s", within);
	else
		return n;
	return CMD_OPTS_BAD;
}

/* Whose exit status is the command's: a call that is wrong is none of those. */
static bool is_exec(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "exec") == 0)
			return true;
	return false;
}

static int run(int argc, char **argv)
{
	static struct sac_call c;
	const bool exec = is_exec(argc, argv);
	int n;

	c = (struct sac_call){ .fd = -1, .signals = -1 };
	n = read_call(&c, argc, argv);
	if (n == CMD_OPTS_HELP)
		return CMD_DONE;
	if (n < 0)
		return exec ? SAC_EXIT_OURS : CMD_FAILED;
	c.vm = argv[1];
	return run_verb(&c, n, argv);
}

const struct verb verb_sac = {
	.name = "sac",
	.args = "[OPTION]... VM VERB [-- COMMAND...]",
	.summary = "talk to Windows' Special Administration Console, over the serial port",
	.help = "Windows must have EMS on (bcdedit /ems on, /emssettings EMSPORT:1 "
		"EMSBAUDRATE:115200), and the\n"
		"port must be a socket, as it is under `sill up`.\n"
		"\n"
		"  status       who is at the other side, as far as its words tell: firmware, "
		"Windows Boot\n"
		"               Manager, SAC, a bug check with its name, Linux; for how long, and "
		"how long it\n"
		"               has written nothing; nothing is sent to it\n"
		"  ls           the channels\n"
		"  id, time     name, version and times of the computer; its clock\n"
		"  ip           its addresses\n"
		"  ip set ADDRESS MASK GATEWAY\n"
		"               the IPv4 address of its only network interface, and see that it "
		"has "
		"it\n"
		"  ip auto      the same with what DHCP of Sill's would give it\n"
		"  restart, shutdown, crashdump\n"
		"               at once, without asking anybody in Windows: with --yes, or when a "
		"person on a\n"
		"               terminal says yes. A crash dump is written if Windows is set to "
		"write one\n"
		"\n"
		"  cmd          a command prompt of its own, for a person: as `sill console`, from "
		"its login on,\n"
		"               or logged in with --user. Leaving (Ctrl-A d) closes it, and so "
		"does the "
		"end of\n"
		"               standard input, once Windows says nothing for two seconds\n"
		"  exec -- COMMAND...\n"
		"               run it in a command prompt of its own, which is closed again; what "
		"it "
		"writes\n"
		"               comes on standard output, and its exit status is ours: 0 to 124, "
		"126 "
		"for\n"
		"               another one, which is said, and 125 if it has not been run or "
		"heard. Its\n"
		"               standard input is empty. Ctrl-C interrupts it, and the prompt is "
		"closed;\n"
		"               once more leaves it there\n"
		"\n"
		"  --user NAME, --domain NAME, --password-file FILE\n"
		"               who logs in to the prompt; FILE's first line is the password, - is "
		"standard input\n"
		"  --within TIME\n"
		"               so long at most, for all of the call (600s): 60s, 500ms; who says "
		"it waits\n"
		"               so long for a prompt that is silent, too, and not for some ten "
		"seconds\n"
		"  --port PORT  serial (default) or serial2\n"
		"  --take       although somebody else writes there now\n"
		"  --yes, -y    for what ends Windows\n"
		"\n"
		"exit status: 0 done, 1 it has not answered, or there is no such VM or port; 3 "
		"nobody listens\n"
		"at the socket\n",
	.word = word,
	.run = run,
};
