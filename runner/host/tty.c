/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tty.c - raw mode and its end.
 *
 * The handlers use nothing but tcsetattr(), tcgetpgrp(), sigaction(), raise() and loads of
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

static struct termios cooked; /* what raw mode is left for; set before is_raw */
static struct sigaction before[FATAL_COUNT];
static atomic_bool entered, is_raw;

bool tty_is_there(void)
{
	return isatty(STDIN_FILENO) == 1;
}

bool tty_in_foreground(void)
{
	const pid_t group = tcgetpgrp(STDIN_FILENO);

	return group < 0 || group == getpgrp(); /* not our session's terminal: nobody else's job */
}

/*
 * tcsetattr() from the background would stop the process, and waiting for output
 * to drain may last for ever: neither must happen on a way out.
 */
static int set(const struct termios *t)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	int saved = errno, ret;

	(void)sigaction(SIGTTOU, &ignore, &old);
	ret = tcsetattr(STDIN_FILENO, TCSANOW, t) < 0 ? errno : 0;
	(void)sigaction(SIGTTOU, &old, NULL);
	errno = saved;
	return ret;
}

void tty_leave(void)
{
	/* A shell that has taken the terminal back meanwhile has settings of its own. */
	if (atomic_exchange(&is_raw, false) && tty_in_foreground())
		(void)set(&cooked);
}

/* The settings are taken now: in the background they were those of the job in front. */
static int make_raw(struct sill_err *e)
{
	struct termios raw;
	int err;

	if (tcgetattr(STDIN_FILENO, &raw) < 0)
		return sill_err_sys(e, errno, "settings of the terminal");
	cooked = raw;
	cfmakeraw(&raw);
	atomic_store(&is_raw, true);
	err = set(&raw);
	return err == 0 ? 0 : sill_err_sys(e, err, "settings of the terminal");
}

void tty_again(void)
{
	struct sill_err e = { 0 };

	if (!atomic_load(&entered) || !tty_in_foreground())
		return;
	/* Stopped without our being asked, it may be ours and no longer raw. */
	if (atomic_load(&is_raw)) {
		struct termios raw = cooked;

		cfmakeraw(&raw);
		(void)set(&raw);
		return;
	}
	(void)make_raw(&e); /* the terminal is gone: there is nothing to leave then */
}

bool tty_waits(void)
{
	return atomic_load(&entered) && !atomic_load(&is_raw);
}

/*
 * Give the signal to whoever had it before us: the default action, or a sanitizer. A fault
 * comes again by itself, with its address; what was sent, and a trap, behind which the thread
 * would go on, must be sent again.
 */
static void on_fatal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	tty_leave();
	for (size_t i = 0; i < FATAL_COUNT; i++) {
		if (fatal[i] == sig)
			(void)sigaction(sig, &before[i], NULL);
	}
	if (info->si_code <= 0 || sig == SIGTRAP || sig == SIGSYS)
		(void)raise(sig);
}

/* Of this thread; the engine's have theirs, and so has everything under a sanitizer. */
static void make_signal_stack(void)
{
	static uint8_t room[32 * 1024];
	const stack_t ours = { .ss_sp = room, .ss_size = sizeof(room) };
	stack_t old;

	if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE) != 0)
		(void)sigaltstack(&ours, NULL);
}

int tty_enter(struct sill_err *e)
{
	struct sigaction act = { .sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static bool registered;

	if (!registered && atexit(tty_leave) != 0)
		return sill_err_sys(e, ENOMEM, "settings of the terminal");
	for (size_t i = 0; i < FATAL_COUNT && !registered; i++) {
		(void)sigaction(fatal[i], NULL, &before[i]);
		/* A shell's background job is born with SIGQUIT ignored; it does not end us. */
		if (before[i].sa_handler != SIG_IGN)
			(void)sigaction(fatal[i], &act, NULL);
	}
	registered = true;
	make_signal_stack();
	if (tty_in_foreground() && make_raw(e) < 0)
		return -1;
	atomic_store(&entered, true);
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
