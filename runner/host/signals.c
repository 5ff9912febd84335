/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals.c - one thread that waits for signals.
 *
 * It reads them from a signalfd, and its end from an eventfd: no signal is ours alone, so none that
 * comes from outside can be taken for one of ours.
 */
#include "runner/host/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/host/tty.h"
#include "runner/host/worker.h"

enum {
	CHORE_MS = 60000,
	LOOK_MS = 500, /* is the terminal ours by now? Nobody tells. */
};

/* Their default action would end the process and leave the terminal raw and sockets behind. */
static const int stops[] = {
	SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGPWR
};
static const int others[] = { SIGTSTP, SIGCONT, SIGWINCH };
/* Likewise, without a meaning for a VM; and a job in the background is not to be stopped. */
static const int ignored[] = { SIGPIPE,   SIGXFSZ, SIGUSR1, SIGUSR2,
			       SIGSTKFLT, SIGIO,   SIGTTIN, SIGTTOU };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct {
	pthread_t thread;
	bool running;
	bool tty_is_console;
	sigset_t taken;
	int signal_fd, end_fd; /* owned while it runs */
	struct sill_vm *vm;    /* borrowed while the thread runs */
	void (*chore)(void *ctx);
	void *chore_ctx;
	void (*once)(void *ctx); /* NULL: none, or done */
	void *once_ctx;
	uint64_t once_ms; /* when, by the monotonic clock; before the start: how long after it */
	atomic_int stopped_by;
} self = { .signal_fd = -1, .end_fd = -1 };

static bool is_ignored(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int signals_block(struct sill_err *e)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	int err;

	(void)sigemptyset(&self.taken);
	for (size_t i = 0; i < COUNT(stops); i++) {
		/* Of nohup's making: the terminal may go, we stay. */
		if (stops[i] != SIGHUP || !is_ignored(SIGHUP))
			(void)sigaddset(&self.taken, stops[i]);
	}
	for (size_t i = 0; i < COUNT(others); i++)
		(void)sigaddset(&self.taken, others[i]);
	err = pthread_sigmask(SIG_BLOCK, &self.taken, NULL);
	if (err != 0)
		return sill_err_sys(e, err, "block signals");
	for (size_t i = 0; i < COUNT(ignored); i++)
		(void)sigaction(ignored[i], &ignore, NULL);
	/* The engine takes one of them for its vCPUs later: a stray one is a kick too many. */
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		(void)sigaction(sig, &ignore, NULL);
	return 0;
}

int signals_wait(int fd, int ms)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	sigset_t set;
	int n;

	/* Of the others one that is pending is none to wake up for. */
	(void)sigemptyset(&set);
	for (size_t i = 0; i < COUNT(stops); i++)
		if (sigismember(&self.taken, stops[i]) == 1)
			(void)sigaddset(&set, stops[i]);
	fds[1].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	do
		n = poll(fds, COUNT(fds), ms);
	while (n < 0 && errno == EINTR);
	if (fds[1].fd >= 0)
		(void)close(fds[1].fd);
	if (n <= 0 || fds[1].revents == 0)
		return n <= 0 ? n : 1;
	errno = EINTR;
	return -1;
}

static void resized(void)
{
	uint16_t cols, rows;

	if (self.tty_is_console && tty_size(&cols, &rows))
		sill_vm_console_resize(self.vm, cols, rows);
}

/* SIGTSTP came from outside, raw mode makes none: do what the default action would. */
static void suspend(void)
{
	tty_leave();
	(void)kill(getpid(), SIGSTOP);
}

static void take(int sig)
{
	switch (sig) {
	case SIGTSTP:
		suspend();
		break;
	case SIGCONT:
		tty_again();
		resized();
		sill_vm_ask_resume(self.vm);
		break;
	case SIGWINCH:
		resized();
		break;
	default:
		atomic_store(&self.stopped_by, sig);
		sill_vm_stop(self.vm);
		break;
	}
}

static int wait_ms(void)
{
	int ms = tty_waits() ? LOOK_MS : self.chore != NULL ? CHORE_MS : -1;
	uint64_t now;

	if (self.once == NULL)
		return ms;
	now = clock_ms();
	if (now >= self.once_ms)
		return 0;
	return ms < 0 || self.once_ms - now < (uint64_t)ms ? (int)(self.once_ms - now) : ms;
}

static void do_once(void)
{
	void (*fn)(void *ctx) = self.once;

	if (fn == NULL || clock_ms() < self.once_ms)
		return;
	self.once = NULL;
	fn(self.once_ctx);
}

static void *take_signals(void *arg)
{
	struct pollfd fds[] = {
		{ .fd = self.signal_fd, .events = POLLIN },
		{ .fd = self.end_fd, .events = POLLIN },
	};

	(void)arg;
	(void)pthread_setname_np(pthread_self(), "signals");
	self.once_ms += clock_ms();
	for (;;) {
		const int n = poll(fds, COUNT(fds), wait_ms());
		struct signalfd_siginfo info;

		do_once();
		if (n == 0 && tty_waits()) {
			tty_again();
			resized();
		}
		if (n == 0 && self.chore != NULL)
			self.chore(self.chore_ctx);
		if (n <= 0)
			continue;
		if (fds[1].revents != 0)
			return NULL;
		if (read(self.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
			take((int)info.ssi_signo);
	}
}

static void close_fds(void)
{
	if (self.signal_fd >= 0)
		(void)close(self.signal_fd);
	if (self.end_fd >= 0)
		(void)close(self.end_fd);
	self.signal_fd = self.end_fd = -1;
}

void signals_set_chore(void (*fn)(void *ctx), void *ctx)
{
	self.chore = fn;
	self.chore_ctx = ctx;
}

void signals_set_once(unsigned ms, void (*fn)(void *ctx), void *ctx)
{
	self.once = fn;
	self.once_ctx = ctx;
	self.once_ms = ms;
}

int signals_start(struct sill_vm *vm, bool tty_is_console, struct sill_err *e)
{
	self.vm = vm;
	self.tty_is_console = tty_is_console;
	self.signal_fd = signalfd(-1, &self.taken, SFD_CLOEXEC | SFD_NONBLOCK);
	self.end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self.signal_fd < 0 || self.end_fd < 0) {
		(void)sill_err_sys(e, errno, "wait for signals");
		close_fds();
		return -1;
	}
	if (worker_start(&self.thread, take_signals, NULL, "the thread for signals", e) < 0) {
		close_fds();
		return -1;
	}
	self.running = true;
	resized();
	return 0;
}

void signals_stop(void)
{
	const uint64_t one = 1;

	if (!self.running)
		return;
	/* Cannot fail: the counter is zero. */
	if (write(self.end_fd, &one, sizeof(one)) < 0)
		return;
	(void)pthread_join(self.thread, NULL);
	self.running = false;
	close_fds();
}

int signals_stopped_by(void)
{
	return atomic_load(&self.stopped_by);
}
