/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop.c - the end on request, within a second.
 *
 * A thread of its own waits for the signals. It notes the first one, so that
 * the verb leaves what it is at and says so. Where that takes too long, since
 * the verb is in a loop that does not look or waits for a disk, or at a second
 * signal, it takes the unfinished file away and lets the signal do what it does
 * to a program that knows nothing of it: at every instant an image is whole.
 * That also ends system calls that a handler would not.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/image/verbs.h"

enum { PATIENCE_MS = 600, LOCK_MS = 100 };

static atomic_int came; /* the signal; 0: none */
static sigset_t signals;
static bool watching;

/* The name that is to go. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int name_dir = -1; /* borrowed; -1: none */
static char name[NAME_MAX + 1];

bool image_interrupted(void)
{
	return atomic_load(&came) != 0;
}

void image_name_lock(void)
{
	(void)pthread_mutex_lock(&lock);
}

void image_name_unlock(int dir, const char *left)
{
	name_dir = dir;
	if (dir >= 0)
		(void)snprintf(name, sizeof(name), "%s", left);
	(void)pthread_mutex_unlock(&lock);
}

/* As if nobody had caught it. */
static void die(int sig)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t one;

	(void)sigemptyset(&one);
	(void)sigaddset(&one, sig);
	(void)sigaction(sig, &usual, NULL);
	/* Not the process: the other thread would take it. */
	(void)pthread_kill(pthread_self(), sig);
	(void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	_exit(128 + sig);
}

static struct timespec from_ms(long ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

static void remove_name(void)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += from_ms(LOCK_MS).tv_nsec;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	/* Who has it may be waiting for a disk that is dead. */
	if (pthread_mutex_timedlock(&lock, &until) != 0)
		return;
	if (name_dir >= 0)
		(void)unlinkat(name_dir, name, 0);
}

static void *watch(void *arg)
{
	const struct timespec patience = from_ms(PATIENCE_MS);
	int sig, second;

	(void)arg;
	if (sigwait(&signals, &sig) != 0)
		return NULL;
	atomic_store(&came, sig);
	do
		second = sigtimedwait(&signals, NULL, &patience);
	while (second < 0 && errno == EINTR);
	remove_name();
	die(second > 0 ? second : sig);
	return NULL;
}

void image_catch_signals(void)
{
	static const int wanted[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction old;
	pthread_t thread;
	sigset_t all, before;

	if (watching)
		return;
	watching = true;
	(void)sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		/* nohup and a shell's & ignore some of them: that stays. */
		if (sigaction(wanted[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)sigaddset(&signals, wanted[i]);
	}
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, watch, NULL) == 0) {
		(void)pthread_detach(thread);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	} else { /* without a thread they kill at once, as they do anybody */
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
}

void image_end_interrupted(void)
{
	const int sig = atomic_load(&came);

	if (sig == 0)
		return;
	(void)fflush(stdout);
	die(sig);
}
