/* SPDX-License-Identifier: Apache-2.0 */
/* usernet.c - see usernet.h. */
#include "runner/net/usernet.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/host/worker.h"

enum { TEXT = 400 };

struct card {
	const char *id; /* borrowed */
	struct passt_want want;
	struct program passt;
	uint64_t began_ms;
	uint64_t wait_ms;  /* before the next try */
	uint64_t again_ms; /* when that is; only without a passt */
	bool told;         /* that it does not start */
};

struct usernet {
	struct card card[SILL_MAX_NETS];
	unsigned count;
	int stop; /* eventfd */
	bool started;
	pthread_t thread;
	struct sill_vm *vm; /* borrowed */
	usernet_say say;
};

uint64_t usernet_wait(uint64_t last_ms)
{
	if (last_ms == 0)
		return USERNET_FIRST_MS;
	return last_ms < USERNET_WAIT_MS / 2 ? 2 * last_ms : USERNET_WAIT_MS;
}

struct usernet *usernet_create(struct sill_err *e)
{
	struct usernet *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		(void)sill_err_sys(e, ENOMEM, "passt");
		return NULL;
	}
	u->stop = eventfd(0, EFD_CLOEXEC);
	if (u->stop < 0) {
		(void)sill_err_sys(e, errno, "passt");
		free(u);
		return NULL;
	}
	return u;
}

int usernet_add(struct usernet *u, const char *id, const struct passt_want *w, int *ret_fd,
		struct sill_err *e)
{
	struct card *c = &u->card[u->count];

	*c = (struct card){ .id = id, .want = *w, .began_ms = clock_ms() };
	if (passt_start(&c->passt, w, u->stop, ret_fd, e) < 0)
		return -1;
	u->count++;
	return 0;
}

static void __attribute__((format(printf, 3, 4)))
tell(const struct usernet *u, const struct card *c, const char *fmt, ...)
{
	char text[TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	u->say(c->id, text);
}

static void ended(const struct usernet *u, struct card *c)
{
	const uint64_t now = clock_ms();
	char why[PROGRAM_WHY];

	program_collect(&c->passt, why);
	tell(u, c, "passt has ended (%s): the link is down until it runs again", why);
	if (now - c->began_ms >= USERNET_WAIT_MS)
		c->wait_ms = 0;
	c->again_ms = now + c->wait_ms;
}

static void start_again(const struct usernet *u, struct card *c)
{
	struct sill_err e = { 0 };
	int fd;

	c->wait_ms = usernet_wait(c->wait_ms);
	c->began_ms = clock_ms();
	if (passt_start(&c->passt, &c->want, u->stop, &fd, &e) == 0) {
		if (sill_vm_net_renew(u->vm, c->id, fd, &e) == 0) {
			tell(u, c, "passt runs again");
			c->told = false;
			return;
		}
		program_stop(&c->passt);
	}
	if (!c->told)
		tell(u, c, "passt does not start: %s; it is tried again and again", e.msg);
	c->told = true;
	c->again_ms = clock_ms() + c->wait_ms;
}

/* Until the next try, in ms; -1: none is due. */
static int time_left(const struct usernet *u)
{
	const uint64_t now = clock_ms();
	int left = -1;

	for (unsigned i = 0; i < u->count; i++) {
		const struct card *c = &u->card[i];
		const int ms = c->again_ms > now ? (int)(c->again_ms - now) : 0;

		if (c->passt.pid == 0 && (left < 0 || ms < left))
			left = ms;
	}
	return left;
}

static void *watch(void *arg)
{
	struct usernet *u = arg;
	struct pollfd p[SILL_MAX_NETS + 1];

	for (;;) {
		p[u->count] = (struct pollfd){ .fd = u->stop, .events = POLLIN };
		for (unsigned i = 0; i < u->count; i++)
			p[i] = (struct pollfd){ .fd = u->card[i].passt.pidfd, .events = POLLIN };
		if (poll(p, u->count + 1, time_left(u)) < 0 && errno != EINTR)
			return NULL;
		if ((p[u->count].revents & POLLIN) != 0)
			return NULL;
		for (unsigned i = 0; i < u->count; i++) {
			struct card *c = &u->card[i];

			if (c->passt.pid != 0 && (p[i].revents & POLLIN) != 0)
				ended(u, c);
			if (c->passt.pid == 0 && clock_ms() >= c->again_ms)
				start_again(u, c);
		}
	}
}

int usernet_start(struct usernet *u, struct sill_vm *vm, usernet_say say, struct sill_err *e)
{
	u->vm = vm;
	u->say = say;
	u->started = worker_start(&u->thread, watch, u, "the thread for passt", e) == 0;
	return u->started ? 0 : -1;
}

void usernet_stop(struct usernet *u)
{
	const uint64_t one = 1;

	if (u == NULL || !u->started)
		return;
	if (write(u->stop, &one, sizeof(one)) == (ssize_t)sizeof(one))
		(void)pthread_join(u->thread, NULL);
	u->started = false;
}

void usernet_destroy(struct usernet *u)
{
	if (u == NULL)
		return;
	usernet_stop(u);
	for (unsigned i = 0; i < u->count; i++)
		program_stop(&u->card[i].passt);
	(void)close(u->stop);
	free(u);
}
