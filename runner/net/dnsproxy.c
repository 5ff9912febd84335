/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnsproxy.c - see dnsproxy.h. One thread, one epoll.
 *
 * A query goes to the first server; one that refuses, or says nothing for two seconds, is passed over
 * for the next, and after the last the guest is told of a failure, before it has given up itself.
 */
#include "runner/net/dnsproxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/host/resolver.h"
#include "runner/host/worker.h"
#include "runner/net/dnsmsg.h"

enum {
	LISTENERS = 8, /* a VM's cards */
	EVENTS = 16,
	WAIT_MS = 2000,
	QUERY_MAX = 1472, /* what fits in a frame */
	REPLY_MAX = 65535,
	TURNS = 64, /* datagrams of one listener, before others have their turn */
};

/* What epoll tells of. */
struct watch {
	enum { WATCH_STOP, WATCH_LISTENER, WATCH_QUERY } kind;
	int fd; /* owned; -1: none */
};

struct query {
	struct watch watch; /* first; connected to who is asked; -1: the place is free */
	int listener;       /* borrowed: where it came in */
	struct sockaddr_in guest;
	uint16_t guest_id;
	unsigned tried; /* servers that did not answer */
	uint64_t deadline;
	size_t n, end; /* of msg; of its question */
	uint8_t msg[QUERY_MAX];
};

struct dnsproxy {
	int epoll;
	struct watch stop;
	struct watch listener[LISTENERS];
	unsigned count;
	bool started;
	pthread_t thread;
	const char *conf; /* borrowed */
	struct stat conf_is;
	struct upstreams up;
	struct query query[DNSPROXY_MAX];
	uint8_t reply[REPLY_MAX];
};

static int watch_it(int epoll, struct watch *w)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, w->fd, &ev);
}

/* A network that comes or goes, a VPN: another file, or another content. */
static void read_servers(struct dnsproxy *p)
{
	const struct stat *a = &p->conf_is;
	struct stat b = { 0 };

	(void)stat(p->conf, &b);
	if (p->up.count > 0 && a->st_ino == b.st_ino && a->st_size == b.st_size &&
	    a->st_mtim.tv_sec == b.st_mtim.tv_sec && a->st_mtim.tv_nsec == b.st_mtim.tv_nsec)
		return;
	p->conf_is = b;
	upstreams_read(&p->up, p->conf);
}

/* ---- a query ---- */

static void forget(struct query *q)
{
	if (q->watch.fd >= 0)
		(void)close(q->watch.fd);
	q->watch.fd = -1;
}

/* To the guest, under the id it knows. Lost, it asks again. */
static void answer(const struct query *q, uint8_t *msg, size_t n)
{
	dns_set_id(msg, q->guest_id);
	(void)sendto(q->listener, msg, n, MSG_NOSIGNAL, (const struct sockaddr *)&q->guest,
		     sizeof(q->guest));
}

static int send_to(struct dnsproxy *p, struct query *q, const struct upstream *u)
{
	uint16_t id;

	q->watch.fd = socket(u->at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->watch.fd < 0 || getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return -1;
	dns_set_id(q->msg, id);
	if (connect(q->watch.fd, (const struct sockaddr *)&u->at, u->size) < 0 ||
	    send(q->watch.fd, q->msg, q->n, MSG_NOSIGNAL) != (ssize_t)q->n)
		return -1;
	return watch_it(p->epoll, &q->watch);
}

/* The next server that can be asked; without one the guest is told. */
static void ask(struct dnsproxy *p, struct query *q)
{
	uint8_t failure[DNS_QUESTION_MAX];

	read_servers(p);
	for (; q->tried < p->up.count; q->tried++) {
		if (send_to(p, q, &p->up.list[q->tried]) == 0) {
			q->deadline = clock_ms() + WAIT_MS;
			return;
		}
		forget(q);
	}
	answer(q, failure, dns_failure(q->msg, q->end, failure));
}

static void try_next(struct dnsproxy *p, struct query *q)
{
	forget(q);
	q->tried++;
	ask(p, q);
}

/* What is no answer to it says nothing. */
static void on_reply(struct dnsproxy *p, struct query *q)
{
	const ssize_t n = recv(q->watch.fd, p->reply, sizeof(p->reply), 0);

	if (n < 0 && errno != EAGAIN) {
		try_next(p, q); /* nobody there */
		return;
	}
	if (n < 0 || !dns_is_answer(q->msg, q->end, p->reply, (size_t)n))
		return;
	answer(q, p->reply, (size_t)n);
	forget(q);
}

static struct query *free_place(struct dnsproxy *p)
{
	for (unsigned i = 0; i < DNSPROXY_MAX; i++)
		if (p->query[i].watch.fd < 0)
			return &p->query[i];
	return NULL;
}

/* False: nothing more has come, or there is no room for it. */
static bool take_query(struct dnsproxy *p, int listener)
{
	struct query *q = free_place(p);
	socklen_t size = sizeof(struct sockaddr_in);
	uint8_t unused;
	ssize_t n;

	if (q == NULL) /* dropped */
		return recv(listener, &unused, 1, 0) >= 0;
	n = recvfrom(listener, q->msg, sizeof(q->msg), MSG_TRUNC, (struct sockaddr *)&q->guest,
		     &size);
	if (n < 0)
		return false;
	q->end = (size_t)n <= sizeof(q->msg) ? dns_query_end(q->msg, (size_t)n) : 0;
	if (q->end == 0)
		return true;
	q->n = (size_t)n;
	q->guest_id = dns_id(q->msg);
	q->listener = listener;
	q->tried = 0;
	ask(p, q);
	return true;
}

/* ---- the thread ---- */

/* How long there is nothing to do, for epoll_wait(); who has waited long enough is asked no longer. */
static int look_at_deadlines(struct dnsproxy *p)
{
	const uint64_t now = clock_ms();
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < DNSPROXY_MAX; i++) {
		struct query *q = &p->query[i];

		if (q->watch.fd >= 0 && q->deadline <= now)
			try_next(p, q);
		if (q->watch.fd >= 0 && q->deadline < first)
			first = q->deadline;
	}
	if (first == UINT64_MAX)
		return -1;
	return first > now ? (int)(first - now) : 0;
}

static void *serve(void *arg)
{
	struct dnsproxy *p = arg;
	struct epoll_event ev[EVENTS];

	for (;;) {
		const int n = epoll_wait(p->epoll, ev, EVENTS, look_at_deadlines(p));

		for (int i = 0; i < n; i++) {
			struct watch *w = ev[i].data.ptr;

			if (w->kind == WATCH_STOP)
				return NULL;
			/* Of an event at hand, the query may have ended meanwhile. */
			if (w->kind == WATCH_QUERY && w->fd >= 0)
				on_reply(p, (struct query *)(void *)w);
			for (unsigned t = 0; w->kind == WATCH_LISTENER && t < TURNS; t++)
				if (!take_query(p, w->fd))
					break;
		}
	}
}

struct dnsproxy *dnsproxy_create(const char *conf, struct sill_err *e)
{
	struct dnsproxy *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		(void)sill_err_sys(e, ENOMEM, "dns");
		return NULL;
	}
	p->conf = conf;
	for (unsigned i = 0; i < DNSPROXY_MAX; i++)
		p->query[i].watch = (struct watch){ .kind = WATCH_QUERY, .fd = -1 };
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->stop =
		(struct watch){ .kind = WATCH_STOP, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (p->epoll < 0 || p->stop.fd < 0 || watch_it(p->epoll, &p->stop) < 0) {
		(void)sill_err_sys(e, errno, "dns");
		dnsproxy_destroy(p);
		return NULL;
	}
	return p;
}

void dnsproxy_destroy(struct dnsproxy *p)
{
	const uint64_t one = 1;

	if (p == NULL)
		return;
	if (p->started && write(p->stop.fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		(void)pthread_join(p->thread, NULL);
	for (unsigned i = 0; i < DNSPROXY_MAX; i++)
		forget(&p->query[i]);
	for (unsigned i = 0; i < p->count; i++)
		(void)close(p->listener[i].fd);
	if (p->stop.fd >= 0)
		(void)close(p->stop.fd);
	if (p->epoll >= 0)
		(void)close(p->epoll);
	free(p);
}

int dnsproxy_add(struct dnsproxy *p, const char *interface, uint32_t host, struct sill_err *e)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(DNSPROXY_PORT),
					.sin_addr = { htonl(host) } };
	struct watch *w = &p->listener[p->count];
	char text[INET_ADDRSTRLEN];

	if (p->count == LISTENERS)
		return sill_err_set(e, SILL_ERR_LIMIT, "dns: more than %d cards", LISTENERS);
	*w = (struct watch){ .kind = WATCH_LISTENER,
			     .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	/* Only the guest asks; others on this host's links could name its address, too. */
	if (w->fd >= 0 &&
	    setsockopt(w->fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
		       (socklen_t)strlen(interface)) == 0 &&
	    bind(w->fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	    watch_it(p->epoll, w) == 0) {
		p->count++;
		return 0;
	}
	(void)sill_err_sys(e, errno, "dns: answer on %s port %d",
			   inet_ntop(AF_INET, &at.sin_addr, text, sizeof(text)), DNSPROXY_PORT);
	if (w->fd >= 0)
		(void)close(w->fd);
	return -1;
}

int dnsproxy_start(struct dnsproxy *p, struct sill_err *e)
{
	p->started = worker_start(&p->thread, serve, p, "the thread for DNS", e) == 0;
	return p->started ? 0 : -1;
}
