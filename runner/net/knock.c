/* SPDX-License-Identifier: Apache-2.0 */
/*
 * knock.c - see knock.h.
 *
 * Nothing tells that a service of another machine has begun to listen, so between two tries time
 * passes: little when nobody was bothered (refused, no route), more when a server had
 * to answer, which some of them hold against who asks.
 */
#include "runner/net/knock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/host/worker.h"

enum { CONNECT_MS = 3000, ANSWER_MS = 3000, NAME_MS = 5000, ADDRESSES = 8 };
enum { RESOLVER_STACK = 1 << 20 }; /* libc's keeps its answers there, and may load a module */
enum { QUICK_MS = 200, QUICK_MAX_MS = 1000, SLOW_MS = 1000, SLOW_MAX_MS = 5000 };

const char *knock_word(enum knock_end end)
{
	static const char *const words[] = { "there",     "no-name",        "refused", "no-route",
					     "timed-out", "wrong-protocol", "closed",  "failed" };

	return words[end];
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static enum knock_end fail(struct knock_result *r, enum knock_end end, const char *what)
{
	(void)snprintf(r->what, sizeof(r->what), "%s", what);
	return end;
}

static enum knock_end fail_sys(struct knock_result *r, int err)
{
	const char *what = strerrordesc_np(err);

	switch (err) {
	case ECONNREFUSED:
		return fail(r, KNOCK_REFUSED, what);
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case EADDRNOTAVAIL:
		return fail(r, KNOCK_ROUTE, what);
	case ETIMEDOUT:
		return fail(r, KNOCK_TIME, "nobody answers");
	case ECONNRESET:
	case EPIPE:
		return fail(r, KNOCK_CLOSED, what);
	default:
		return fail(r, KNOCK_SYSTEM, what != NULL ? what : "unknown error");
	}
}

/* @fd -1: time alone. False: not before @until, or who asks was told to stop. */
static bool wait_for(const struct knock *k, int fd, short events, uint64_t until)
{
	struct pollfd p[] = { { .fd = fd, .events = events },
			      { .fd = k->stop != NULL ? *k->stop : -1, .events = POLLIN } };

	for (;;) {
		const uint64_t now = clock_ms();
		const int n = poll(p, 2, now < until ? (int)least(until - now, 60000) : 0);

		if (n > 0)
			return p[1].revents == 0;
		if (now >= until)
			return false;
	}
}

static bool is_stopped(const struct knock *k)
{
	struct pollfd p = { .fd = k->stop != NULL ? *k->stop : -1, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static enum knock_end connect_to(const struct knock *k, int fd, const struct addrinfo *a,
				 uint64_t until, struct knock_result *r)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return KNOCK_THERE;
	if (errno != EINPROGRESS)
		return fail_sys(r, errno);
	if (!wait_for(k, fd, POLLOUT, until))
		return fail(r, KNOCK_TIME, "nobody answers");
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return err == 0 ? KNOCK_THERE : fail_sys(r, err);
}

/* Requests are small: a socket that has just been connected takes them whole. */
static bool send_all(int fd, const char *data, size_t n)
{
	return n == 0 || send(fd, data, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static enum knock_end talk(int fd, const struct knock *k, uint64_t until, struct knock_result *r)
{
	uint8_t answer[SERVICE_MAX];
	char request[SERVICE_REQUEST];
	size_t n = 0;

	if (!send_all(fd, request, service_request(k->service, r->address, request)))
		return fail_sys(r, errno);
	for (;;) {
		enum service_verdict v = SERVICE_MORE;
		ssize_t got = 1;

		if (k->service != SERVICE_TCP) {
			if (!wait_for(k, fd, POLLIN, until))
				return fail(r, KNOCK_TIME,
					    n == 0 ? "it takes the connection, and says nothing"
						   : "its answer comes too slowly");
			got = recv(fd, answer + n, sizeof(answer) - n, 0);
			if (got < 0 && errno != EAGAIN && errno != EINTR)
				return fail_sys(r, errno);
			n += got > 0 ? (size_t)got : 0;
		}
		v = service_judge(k->service, answer, n, got == 0, r->what);
		if (v == SERVICE_MORE)
			continue;
		if (v == SERVICE_NOT)
			return got == 0 ? KNOCK_CLOSED : KNOCK_WRONG;
		(void)send_all(fd, request, service_goodbye(k->service, request));
		return KNOCK_THERE;
	}
}

static enum knock_end ask_address(const struct knock *k, const struct addrinfo *a, uint64_t until,
				  struct knock_result *r)
{
	const int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	enum knock_end end;

	if (getnameinfo(a->ai_addr, a->ai_addrlen, r->address, sizeof(r->address), NULL, 0,
			NI_NUMERICHOST) != 0)
		r->address[0] = '\0';
	if (fd < 0)
		return fail_sys(r, errno);
	end = connect_to(k, fd, a, least(until, clock_ms() + CONNECT_MS), r);
	if (end == KNOCK_THERE)
		end = talk(fd, k, least(until, clock_ms() + ANSWER_MS), r);
	(void)close(fd);
	return end;
}

/* ---- names: the resolver may take long, and cannot be stopped ---- */

/* The resolver's thread and who waits for it: the second to leave frees it. */
struct lookup {
	struct addrinfo *found; /* owned */
	int err;
	int done; /* owned: an eventfd */
	atomic_bool left;
	char port[8];
	char host[256];
};

static void leave(struct lookup *l)
{
	if (!atomic_exchange(&l->left, true))
		return;
	if (l->found != NULL)
		freeaddrinfo(l->found);
	(void)close(l->done);
	free(l);
}

static void *resolve(void *arg)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const uint64_t one = 1;
	struct lookup *l = arg;

	l->err = getaddrinfo(l->host, l->port, &hints, &l->found);
	if (l->err != 0)
		l->found = NULL;
	/* Cannot fail: the counter is zero. */
	(void)!write(l->done, &one, sizeof(one));
	leave(l);
	return NULL;
}

static struct lookup *start_lookup(const char *host, const char *port)
{
	struct lookup *l = calloc(1, sizeof(*l));
	pthread_t thread;

	if (l == NULL)
		return NULL;
	(void)snprintf(l->port, sizeof(l->port), "%s", port);
	(void)snprintf(l->host, sizeof(l->host), "%s", host);
	l->done = eventfd(0, EFD_CLOEXEC);
	if (l->done >= 0 && worker_create(&thread, resolve, l, RESOLVER_STACK) == 0) {
		(void)pthread_detach(thread);
		return l;
	}
	if (l->done >= 0)
		(void)close(l->done);
	free(l);
	return NULL;
}

static struct addrinfo *look_up(const struct knock *k, uint64_t until, struct knock_result *r)
{
	static const struct addrinfo number = { .ai_socktype = SOCK_STREAM,
						.ai_flags = AI_NUMERICHOST };
	struct addrinfo *found = NULL;
	struct lookup *l;
	uint64_t count;
	char port[8];
	int err;

	(void)snprintf(port, sizeof(port), "%u", k->port);
	if (getaddrinfo(k->host, port, &number, &found) == 0)
		return found;
	l = start_lookup(k->host, port);
	if (l == NULL) {
		r->end = fail(r, KNOCK_SYSTEM, "no memory or no thread");
		return NULL;
	}
	if (!wait_for(k, l->done, POLLIN, until)) {
		r->end = fail(r, KNOCK_TIME, "nobody tells the name's address");
		leave(l);
		return NULL;
	}
	err = read(l->done, &count, sizeof(count)) < 0 ? EAI_SYSTEM : l->err;
	if (err != 0) {
		r->end = fail(r, KNOCK_NAME, gai_strerror(err));
	} else {
		found = l->found;
		l->found = NULL;
	}
	leave(l);
	return err == 0 ? found : NULL;
}

static void ask(const struct knock *k, uint64_t until, struct knock_result *r)
{
	struct addrinfo *list = look_up(k, least(until, clock_ms() + NAME_MS), r), *a = list;

	for (unsigned i = 0; a != NULL && i < ADDRESSES; i++, a = a->ai_next) {
		r->end = ask_address(k, a, until, r);
		if (r->end == KNOCK_THERE || clock_ms() >= until || is_stopped(k))
			break;
	}
	if (list != NULL)
		freeaddrinfo(list);
}

void knock(const struct knock *k, struct knock_result *ret)
{
	const uint64_t start = clock_ms();
	const uint64_t until = k->wait_ms > 0 ? start + k->wait_ms : UINT64_MAX;
	uint64_t quick = QUICK_MS, slow = SLOW_MS;

	*ret = (struct knock_result){ .end = KNOCK_NAME };
	for (;;) {
		uint64_t pause;

		ret->tries++;
		ask(k, until, ret);
		ret->ms = clock_ms() - start;
		if (ret->end == KNOCK_THERE || k->wait_ms == 0 || clock_ms() >= until ||
		    is_stopped(k))
			return;
		if (ret->end == KNOCK_REFUSED || ret->end == KNOCK_ROUTE) {
			pause = quick;
			quick = least(2 * quick, QUICK_MAX_MS);
		} else {
			pause = slow;
			slow = least(2 * slow, SLOW_MAX_MS);
		}
		if (clock_ms() + pause >= until)
			return;
		(void)wait_for(k, -1, 0, clock_ms() + pause);
	}
}
