/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - see server.h. One epoll; what a worker has done comes back by an eventfd.
 *
 * A client is read only while no request of it is under way and its last answer has been taken, so what
 * one may make us keep is one request, one answer and one buffer.
 */
#include "runner/api/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/api/client.h"
#include "runner/api/event.h"
#include "runner/api/work.h"
#include "runner/host/clock.h"
#include "runner/host/worker.h"

enum { EVENTS = 64, STACK = 256 * 1024, LAST_MS = 1000, BACKLOG = 256, AGAIN_MS = 500 };

struct server {
	struct api *api;
	int listener[SERVER_LISTENERS]; /* owned */
	unsigned listeners;
	int epoll, wake;         /* owned */
	struct workers *workers; /* owned */
	struct client *clients;  /* owned list */
	unsigned count;
	bool deaf;     /* nobody is accepted for a moment: accept() has failed */
	bool stopping; /* atomic */
	bool started;
	pthread_t thread;
};

/* ---- clients ---- */

/* What epoll has to tell of it, and by when it must have moved. */
static void attend(struct server *s, struct client *c)
{
	const uint32_t events = client_wants(c);
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (client_is_slow_now(c)) {
		if (c->moved || c->deadline == 0)
			c->deadline = clock_ms() + SERVER_SLOW_MS;
	} else {
		c->deadline = 0;
	}
	c->moved = false;
	if (c->fd < 0 || events == c->watched)
		return;
	c->watched = events;
	(void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void remove_client(struct server *s, struct client *c)
{
	struct client **at = &s->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	s->count--;
	client_destroy(c);
}

/* Answer what is whole, and go on until it has to wait. */
static void serve(struct server *s, struct client *c)
{
	while (client_parse(c)) {
		struct job *job = client_job(c, s->api);

		if (job == NULL)
			continue;
		if (job->route->where == API_WORKS) {
			workers_give(s->workers, job);
			break;
		}
		api_answer(&job->call, job->route, job->text, job->size);
		client_answered(c, job);
	}
	client_feed(c, s->api->events);
	client_flush(c);
}

/* After anything has happened to it: it may be no more. */
static void settle(struct server *s, struct client *c)
{
	serve(s, c);
	/* What waited behind the answer that has been taken now. */
	while (client_can_parse(c))
		serve(s, c);
	if (client_is_over(c) && !c->busy)
		remove_client(s, c);
	else
		attend(s, c);
}

static bool may_connect(int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
	       (who.uid == geteuid() || who.uid == 0);
}

/* The one that has been idle the longest makes room. False: all are at work. */
static bool make_room(struct server *s)
{
	struct client *idle = NULL;

	for (struct client *c = s->clients; c != NULL; c = c->next)
		if (client_is_idle(c))
			idle = c; /* new ones are in front */
	if (idle == NULL)
		return false;
	remove_client(s, idle);
	return true;
}

static void listen_again(struct server *s, bool yes)
{
	s->deaf = !yes;
	for (unsigned i = 0; i < s->listeners; i++) {
		struct epoll_event ev = { .events = yes ? EPOLLIN : 0,
					  .data.ptr = &s->listener[i] };

		(void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listener[i], &ev);
	}
}

static void accept_client(struct server *s, int listener)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP };
	struct client *c;
	int fd;

	if (s->count >= SERVER_CLIENTS && !make_room(s)) {
		listen_again(s, false);
		return;
	}
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			listen_again(s, false);
		return;
	}
	c = may_connect(fd) ? client_create(fd) : NULL;
	if (c == NULL) {
		(void)close(fd);
		return;
	}
	ev.data.ptr = c;
	c->watched = ev.events;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		client_destroy(c);
		return;
	}
	c->next = s->clients;
	s->clients = c;
	s->count++;
}

/* ---- the thread ---- */

static void woken(struct server *s)
{
	struct job *job;
	uint64_t n;

	if (read(s->wake, &n, sizeof(n)) < 0)
		return;
	while ((job = workers_done(s->workers)) != NULL) {
		struct client *c = job->owner;

		if (job->call.unheard != NULL && !client_is_there(c)) {
			workers_give(s->workers, job);
			continue;
		}
		client_answered(c, job);
		settle(s, c);
	}
	for (struct client *c = s->clients, *next; c != NULL; c = next) {
		next = c->next;
		if (c->stream)
			settle(s, c);
	}
}

/* Who has not moved in its time goes. Returns ms until the next one's time; -1: nobody has one. */
static int look_at_clocks(struct server *s)
{
	uint64_t now = clock_ms(), first = UINT64_MAX;

	for (struct client *c = s->clients, *next; c != NULL; c = next) {
		next = c->next;
		if (c->deadline == 0)
			continue;
		if (now >= c->deadline) {
			client_too_slow(c);
			settle(s, c);
		} else if (c->deadline < first) {
			first = c->deadline;
		}
	}
	if (s->deaf)
		return AGAIN_MS;
	return first == UINT64_MAX ? -1 : (int)(first - now) + 1;
}

static bool is_owing(const struct server *s)
{
	for (const struct client *c = s->clients; c != NULL; c = c->next)
		if (c->busy || client_owes(c))
			return true;
	return false;
}

static bool is_listener(const struct server *s, const void *ptr)
{
	return ptr == &s->listener[0] || ptr == &s->listener[1];
}

static void turn(struct server *s, int ms)
{
	struct epoll_event ev[EVENTS];
	const int n = epoll_wait(s->epoll, ev, EVENTS, ms);

	if (s->deaf)
		listen_again(s, true);
	for (int i = 0; i < n; i++) {
		if (is_listener(s, ev[i].data.ptr) || ev[i].data.ptr == &s->wake)
			continue;
		client_event(ev[i].data.ptr, ev[i].events);
		settle(s, ev[i].data.ptr);
	}
	/* These may end clients, of which no event is left now. */
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr == &s->wake)
			woken(s);
		else if (is_listener(s, ev[i].data.ptr))
			accept_client(s, *(const int *)ev[i].data.ptr);
	}
}

static void *run(void *arg)
{
	struct server *s = arg;
	uint64_t end;

	(void)pthread_setname_np(pthread_self(), "api");
	while (!__atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE))
		turn(s, look_at_clocks(s));
	for (struct client *c = s->clients; c != NULL; c = c->next)
		client_end_stream(c, s->api->events);
	end = clock_ms() + LAST_MS;
	while (is_owing(s) && clock_ms() < end)
		turn(s, 50);
	return NULL;
}

/* ---- its life ---- */

static int watch_fd(struct server *s, int *fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = fd };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, *fd, &ev);
}

static int start_thread(struct server *s)
{
	const int err = worker_create(&s->thread, run, s, STACK);

	s->started = err == 0;
	return err;
}

/* 0, or an errno. */
static int listen_all(struct server *s)
{
	/* A longer queue than they were made with: whoever does not fit is refused at once. */
	for (unsigned i = 0; i < s->listeners; i++)
		if (listen(s->listener[i], BACKLOG) < 0 || watch_fd(s, &s->listener[i]) < 0)
			return errno;
	return watch_fd(s, &s->wake) < 0 ? errno : 0;
}

struct server *server_start(const int *fds, unsigned n, struct api *api, struct sill_err *e)
{
	struct server *s = calloc(1, sizeof(*s));
	int err = 0;

	if (s == NULL) {
		for (unsigned i = 0; i < n; i++)
			(void)close(fds[i]);
		(void)sill_err_sys(e, ENOMEM, "control API");
		return NULL;
	}
	s->api = api;
	for (; s->listeners < n; s->listeners++)
		s->listener[s->listeners] = fds[s->listeners];
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = s->epoll < 0 || s->wake < 0 ? errno : listen_all(s);
	if (err == 0)
		s->workers = workers_create(s->wake, SERVER_WORKERS);
	if (err == 0)
		err = s->workers == NULL ? ENOMEM : start_thread(s);
	if (err != 0) {
		(void)sill_err_sys(e, err, "control API");
		server_stop(s);
		return NULL;
	}
	events_set_wake(api->events, s->wake);
	return s;
}

void server_stop(struct server *s)
{
	const uint64_t one = 1;

	if (s == NULL)
		return;
	events_set_wake(s->api->events, -1);
	__atomic_store_n(&s->stopping, true, __ATOMIC_RELEASE);
	if (s->started && write(s->wake, &one, sizeof(one)) >= 0)
		(void)pthread_join(s->thread, NULL);
	workers_destroy(s->workers);
	while (s->clients != NULL)
		remove_client(s, s->clients);
	if (s->wake >= 0)
		(void)close(s->wake);
	if (s->epoll >= 0)
		(void)close(s->epoll);
	for (unsigned i = 0; i < s->listeners; i++)
		(void)close(s->listener[i]);
	free(s);
}
