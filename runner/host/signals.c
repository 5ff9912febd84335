/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - one thread that waits for signals. */
#include "runner/host/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "runner/host/tty.h"

/* The thread's own signal to end. */
enum { SIG_END = SIGUSR2 };

/* Its stack: less than a huge page, of which the first touch would take 2 MiB. */
enum { STACK = 256 * 1024 };

static struct {
	pthread_t thread;
	bool running;
	bool tty_is_console;
	struct sill_vm *vm; /* borrowed while the thread runs */
	atomic_int stopped_by;
} self;

static void fill(sigset_t *set)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH, SIG_END };

	(void)sigemptyset(set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		(void)sigaddset(set, taken[i]);
}

int signals_block(struct sill_err *e)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;
	int err;

	fill(&set);
	err = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (err != 0)
		return sill_err_sys(e, err, "block signals");
	(void)sigaction(SIGPIPE, &ignore, NULL);
	return 0;
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

static void *take_signals(void *arg)
{
	sigset_t set;
	int sig = 0;

	(void)arg;
	fill(&set);
	for (;;) {
		if (sigwait(&set, &sig) != 0)
			continue;
		switch (sig) {
		case SIG_END:
			return NULL;
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
}

int signals_start(struct sill_vm *vm, bool tty_is_console, struct sill_err *e)
{
	pthread_attr_t attr;
	int err;

	self.vm = vm;
	self.tty_is_console = tty_is_console;
	err = pthread_attr_init(&attr);
	if (err == 0) {
		(void)pthread_attr_setstacksize(&attr, STACK);
		err = pthread_create(&self.thread, &attr, take_signals, NULL);
		(void)pthread_attr_destroy(&attr);
	}
	if (err != 0)
		return sill_err_sys(e, err, "start the thread for signals");
	self.running = true;
	resized();
	return 0;
}

void signals_stop(void)
{
	if (!self.running)
		return;
	(void)pthread_kill(self.thread, SIG_END);
	(void)pthread_join(self.thread, NULL);
	self.running = false;
}

int signals_stopped_by(void)
{
	return atomic_load(&self.stopped_by);
}
