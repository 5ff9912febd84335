/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tty.c - raw mode and its end.
 *
 * The handlers use nothing but tcsetattr(), sigaction(), raise() and loads of
 * variables that were set before: all safe in a signal handler (signal-safety(7)).
 */
#include "runner/host/tty.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Signals that end the process without asking. */
static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGQUIT };

enum { FATAL_COUNT = sizeof(fatal) / sizeof(fatal[0]) };

static struct termios cooked, raw;
static struct sigaction before[FATAL_COUNT];
static atomic_bool entered;

int tty_check(const char *key, struct sill_err *e)
{
	if (isatty(STDIN_FILENO) == 1)
		return 0;
	(void)sill_err_set(e, SILL_ERR_HOST, "%s is tty, but standard input is not a terminal",
			   key);
	return sill_err_hint(e, "run sill in a terminal, or set mode: file, pty, socket or null");
}

/*
 * tcsetattr() from the background would stop the process, and waiting for output
 * to drain may last for ever: neither must happen on a way out.
 */
static void set(const struct termios *t)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	int saved = errno;

	(void)sigaction(SIGTTOU, &ignore, &old);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, t);
	(void)sigaction(SIGTTOU, &old, NULL);
	errno = saved;
}

void tty_leave(void)
{
	if (atomic_load(&entered))
		set(&cooked);
}

void tty_again(void)
{
	if (atomic_load(&entered) && tcgetpgrp(STDIN_FILENO) == getpgrp())
		set(&raw);
}

/* Give the signal to whoever had it before us: the default action, or a sanitizer. */
static void on_fatal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	tty_leave();
	for (size_t i = 0; i < FATAL_COUNT; i++) {
		if (fatal[i] == sig)
			(void)sigaction(sig, &before[i], NULL);
	}
	/* A fault comes again by itself; what was sent must be sent again. */
	if (info->si_code <= 0)
		(void)raise(sig);
}

int tty_enter(struct sill_err *e)
{
	struct sigaction act = { .sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static bool registered;

	if (tcgetattr(STDIN_FILENO, &cooked) < 0)
		return sill_err_sys(e, errno, "settings of the terminal");
	raw = cooked;
	cfmakeraw(&raw);

	for (size_t i = 0; i < FATAL_COUNT; i++) {
		(void)sigaction(fatal[i], NULL, &before[i]);
		/* A shell's background job is born with SIGQUIT ignored; it does not end us. */
		if (before[i].sa_handler != SIG_IGN)
			(void)sigaction(fatal[i], &act, NULL);
	}
	if (!registered && atexit(tty_leave) != 0)
		return sill_err_sys(e, ENOMEM, "settings of the terminal");
	registered = true;
	atomic_store(&entered, true);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return sill_err_sys(e, errno, "settings of the terminal");
	return 0;
}

bool tty_size(uint16_t *ret_cols, uint16_t *ret_rows)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
		return false;
	*ret_cols = size.ws_col;
	*ret_rows = size.ws_row;
	return true;
}
