/* SPDX-License-Identifier: Apache-2.0 */
/*
 * person.c - a person at a port of a VM: a raw terminal, the keys after Ctrl-A, and the way back.
 *
 * The terminal is left in order on every way out: tty.c sees to return, exit() and faults; signals that
 * end us are taken by a descriptor, and come again by default when it is in order; and a second process, which does
 * nothing but wait for the end of this one, puts it back if this one is killed.
 *
 * A terminal or pipe that takes no output holds up only the output: keys and signals are heard meanwhile.
 */
#include "runner/console/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/host/escape.h"
#include "runner/host/tty.h"
#include "runner/report/text.h"

enum {
	PIECE = 1024,
	RESTORE_MS = 500, /* what a terminal that takes nothing gets at the end */
};

struct person {
	const struct session *s;
	struct conlink link;
	int fd, signals;
	int out;    /* standard output; one of our own that does not wait, where there can be one */
	bool tty;   /* standard input is a terminal, which is raw now */
	bool keys;  /* standard input may still say something */
	bool leave; /* the person wants to */
	bool failed;  /* the VM's end does not speak as it should, or standard output is gone */
	int ended_by; /* a signal; 0: none */
	bool took;    /* --take has been said */
	enum sill_console_pen pen;
	uint32_t whose;
	struct escape escape;
	size_t typed_n;
	uint8_t typed[2 * PIECE]; /* for the guest, not sent yet */
};

static void __attribute__((format(printf, 2, 3))) say(const struct person *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vsay(stderr, p->tty ? "\r\n[sill: " : "[sill: ", p->tty ? "]\r\n" : "]\n", fmt, ap);
	va_end(ap);
}

/* Until @fd may be ready, for so long; keys and signals are heard. 0: nothing has come; -1: it cannot be waited for. */
static int attend(struct person *p, int fd, short events, int limit_ms);

/* ---- from the VM ---- */

static bool is_over(const struct person *p)
{
	return p->leave || p->failed || p->ended_by != 0;
}

static void on_output(void *ctx, const uint8_t *out, size_t n)
{
	struct person *p = ctx;

	while (n > 0 && !is_over(p)) {
		const ssize_t done = write(p->out, out, n);

		if (done < 0 && errno == EAGAIN)
			p->failed = attend(p, p->out, POLLOUT, -1) < 0;
		else if (done < 0 && errno != EINTR)
			p->failed = true;
		out += done < 0 ? 0 : done;
		n -= done < 0 ? 0 : (size_t)done;
	}
}

static void on_lost(void *ctx, uint64_t n)
{
	say(ctx, "too slow: %llu bytes are lost here", (unsigned long long)n);
}

static void on_pen(void *ctx, enum sill_console_pen pen, uint32_t pid)
{
	struct person *p = ctx;
	const bool news = pen != p->pen || pid != p->whose;

	if (pen == SILL_CONSOLE_PEN_TAKEN && !p->s->read_only && (news || p->took))
		say(p, "process %u writes here: your keys are dropped. Ctrl-A t takes over", pid);
	else if (pen != SILL_CONSOLE_PEN_TAKEN && p->pen == SILL_CONSOLE_PEN_TAKEN &&
		 !p->s->read_only)
		say(p, "you may write");
	p->took = false;
	p->pen = pen;
	p->whose = pid;
}

static void tell(struct person *p, enum sill_console_frame type, const void *what, size_t n)
{
	struct sill_err e = { 0 };

	/* That the VM has ended shows when we read. */
	if (!p->s->read_only)
		(void)conlink_send(p->fd, type, what, n, &e);
}

/* ---- from the person ---- */

#define ESCAPES                                                     \
	"Ctrl-A d       detach: the VM goes on\r\n"                 \
	"Ctrl-A t       take over: what others type is dropped\r\n" \
	"Ctrl-A g       let others write\r\n"                       \
	"Ctrl-A b       send a break (serial ports)\r\n"            \
	"Ctrl-A h       this help\r\n"                              \
	"Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n"

static void send_typed(struct person *p)
{
	if (p->typed_n > 0)
		tell(p, SILL_CONSOLE_INPUT, p->typed, p->typed_n);
	p->typed_n = 0;
}

static bool on_escape(void *ctx, int key)
{
	struct person *p = ctx;

	send_typed(p); /* before another may write, or we may */
	switch (key) {
	case 'd':
	case 'x':
	case 'q':
		p->leave = true;
		return true;
	case 't':
		p->took = true;
		tell(p, SILL_CONSOLE_TAKE, NULL, 0);
		return true;
	case 'g':
		tell(p, SILL_CONSOLE_GIVE, NULL, 0);
		return true;
	case 'b':
		tell(p, SILL_CONSOLE_BREAK, NULL, 0);
		return true;
	case 'h':
	case '?':
		(void)fputs("\r\n" ESCAPES, stderr);
		return true;
	default:
		return false;
	}
}

static void take_keys(struct person *p)
{
	struct pollfd room = { .fd = p->fd, .events = POLLOUT };
	uint8_t keys[PIECE];
	const ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
	bool full;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		p->keys = false; /* the output goes on */
		p->leave = p->tty;
		return;
	}
	/* A guest that takes nothing: Ctrl-A must go on working. */
	full = p->tty && (poll(&room, 1, 0) <= 0 || (room.revents & POLLOUT) == 0);
	for (ssize_t i = 0; i < n && !p->leave; i++) {
		if (p->tty)
			p->typed_n += escape_keys(&p->escape, &keys[i], 1, p->typed + p->typed_n);
		else
			p->typed[p->typed_n++] = keys[i];
		if (full)
			p->typed_n = 0;
	}
	if (full)
		(void)fputc('\a', stderr);
	send_typed(p);
}

static void tell_size(struct person *p)
{
	uint16_t cols, rows;
	uint8_t size[4];

	if (p->s->port != SILL_PORT_CONSOLE || !p->tty || !tty_size(&cols, &rows))
		return;
	size[0] = (uint8_t)cols;
	size[1] = (uint8_t)(cols >> 8);
	size[2] = (uint8_t)rows;
	size[3] = (uint8_t)(rows >> 8);
	tell(p, SILL_CONSOLE_SIZE, size, sizeof(size));
}

/* ---- signals ---- */

static void set_action(int sig, void (*fn)(int))
{
	const struct sigaction act = { .sa_handler = fn };

	(void)sigaction(sig, &act, NULL);
}

static int take_signals(sigset_t *ret)
{
	static const int ours[] = { SIGTERM, SIGINT,  SIGHUP,  SIGQUIT,
				    SIGALRM, SIGTSTP, SIGCONT, SIGWINCH };

	(void)sigemptyset(ret);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		(void)sigaddset(ret, ours[i]);
	(void)sigprocmask(SIG_BLOCK, ret, NULL);
	set_action(SIGPIPE, SIG_IGN);
	set_action(SIGTTOU, SIG_IGN);
	return signalfd(-1, ret, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void on_signal(struct person *p)
{
	struct signalfd_siginfo info;

	if (read(p->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		tell_size(p);
	} else if (info.ssi_signo == SIGTSTP) {
		tty_leave();
		(void)raise(SIGSTOP);
		tty_again();
	} else if (info.ssi_signo == SIGCONT) {
		tty_again();
		tell_size(p);
	} else {
		p->ended_by = (int)info.ssi_signo;
	}
}

/* In a process of its own: when the other one has gone without a word, the terminal is put back. */
static void guard(int from_it, const struct termios *cooked)
{
	sigset_t all;
	char word;
	ssize_t n;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	do
		n = read(from_it, &word, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1 && tty_in_foreground())
		(void)tcsetattr(STDIN_FILENO, TCSANOW, cooked);
	_exit(0);
}

/* What guard_end() is told; -1: there is none. */
static int guard_start(pid_t *ret_pid)
{
	struct termios cooked;
	int both[2];

	if (tcgetattr(STDIN_FILENO, &cooked) < 0 || pipe(both) < 0)
		return -1;
	*ret_pid = fork();
	if (*ret_pid == 0) {
		(void)close(both[1]);
		/* Only the terminal is its business: who waits for the end of our output shall not wait for it. */
		(void)close(STDOUT_FILENO);
		(void)close(STDERR_FILENO);
		guard(both[0], &cooked);
	}
	(void)close(both[0]);
	if (*ret_pid > 0)
		return both[1];
	(void)close(both[1]);
	return -1;
}

static void guard_end(int fd, pid_t pid)
{
	if (fd < 0)
		return;
	(void)!write(fd, "x", 1);
	(void)close(fd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* O_NONBLOCK is of a description, and that of standard output is the shell's too. */
static int open_output(void)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd >= 0 ? fd : STDOUT_FILENO;
}

/* ---- all of it ---- */

/* How long to wait for anything; in the background, look whether it is the foreground now: no signal tells. */
static int patience(const struct person *p)
{
	if (tty_waits())
		return 500;
	return !p->keys && p->s->quiet_ms > 0 ? p->s->quiet_ms : -1;
}

static int attend(struct person *p, int fd, short events, int limit_ms)
{
	struct pollfd f[] = { { .fd = fd, .events = events },
			      { .fd = p->signals, .events = POLLIN },
			      { .fd = p->keys ? STDIN_FILENO : -1, .events = POLLIN } };
	const int ready = poll(f, 3, limit_ms);

	if (ready < 0)
		return errno == EINTR ? 1 : -1;
	if (tty_waits()) {
		tty_again();
		f[2].revents = 0;
	}
	if (ready > 0 && f[1].revents != 0)
		on_signal(p);
	if (ready > 0 && f[2].revents != 0)
		take_keys(p);
	return ready;
}

/* Until something ends it. */
static void talk(struct person *p)
{
	while (!is_over(p)) {
		uint8_t piece[16 * 1024];
		struct sill_err e = { 0 };
		const int limit = patience(p);
		const int ready = attend(p, p->fd, POLLIN, limit);
		ssize_t n;

		if (ready < 0 || (ready == 0 && !tty_waits() && limit > 0))
			return;
		n = recv(p->fd, piece, sizeof(piece), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0) {
			(void)conlink_over(&p->link, p->s->name, &e);
			say(p, "%s", e.msg);
			p->failed = !p->link.answered;
			return;
		}
		if (conlink_take(&p->link, piece, (size_t)n) < 0)
			p->failed = true;
	}
}

static void restore(const struct person *p)
{
	/*
	 * What the guest has done to it (xterm's "Control Sequences"): colours, an invisible cursor, no wrapping, keys
	 * of applications, the mouse, marks around what is pasted, and the scroll region, which moves the cursor.
	 */
	static const char sane[] =
		"\033[0m\033[?25h\033[?7h\033[?1l\033>\033[?1000l\033[?1002l\033[?1003l\033[?1006l"
		"\033[?2004l\0337\033[r\0338\r\n";

	struct pollfd room = { .fd = p->out, .events = POLLOUT };

	if (p->tty && isatty(p->out) == 1 && poll(&room, 1, RESTORE_MS) > 0)
		(void)!write(p->out, sane, sizeof(sane) - 1);
	tty_leave();
	if (p->out != STDOUT_FILENO)
		(void)close(p->out);
}

static int end_status(const struct person *p, const sigset_t *ours)
{
	if (p->ended_by != 0) {
		set_action(p->ended_by, SIG_DFL);
		(void)raise(p->ended_by);
		(void)sigprocmask(SIG_UNBLOCK, ours, NULL);
	}
	return p->failed ? CMD_FAILED : CMD_DONE;
}

int session_person(const struct session *s)
{
	struct person p = { .s = s, .keys = !s->read_only || tty_is_there() };
	const struct conlink_user user = {
		.output = on_output, .lost = on_lost, .pen = on_pen, .ctx = &p
	};
	struct sill_err e = { 0 };
	sigset_t ours;
	pid_t pid = -1;
	int guarded = -1;

	conlink_init(&p.link, &user);
	p.fd = conlink_connect(&p.link, s->name, s->port,
			       s->history ? SILL_CONSOLE_FROM_ALL : SILL_CONSOLE_FROM_LINE, &e);
	if (p.fd < 0)
		return cmd_error(&e);
	p.escape = (struct escape){ .fn = on_escape, .ctx = &p };
	if (tty_is_there())
		guarded = guard_start(&pid);
	p.signals = take_signals(&ours);
	p.out = open_output();
	if (tty_is_there() && tty_enter(&e) < 0) {
		guard_end(guarded, pid);
		return cmd_error(&e);
	}
	p.tty = tty_is_there();
	if (p.tty)
		say(&p, "%s of '%s'%s; Ctrl-A h tells the keys", sill_port_name(s->port), s->name,
		    s->read_only ? ", only to look at" : "");
	tell_size(&p);
	if (s->take)
		tell(&p, SILL_CONSOLE_TAKE, NULL, 0);
	talk(&p);
	restore(&p);
	guard_end(guarded, pid);
	(void)close(p.fd);
	(void)close(p.signals);
	return end_status(&p, &ours);
}
