/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.c - see forward.h. One thread, one epoll.
 *
 * A connection's two ends are watched edge by edge: whatever happens to one, both flows are moved until each
 * waits for an end that will tell. A flow reads only what it has room for, so a slow reader slows
 * the writer. The end of a stream is passed on when all before it has been; what breaks an end resets the
 * other one. A guest that is not up yet, or refuses, resets the client; how long it has is
 * the kernel's count of SYNs.
 *
 * Places are counted: of a card's forwards together, and a few of each listener's own, which no flood of another
 * port takes. Who comes and finds none waits in the listener, which is not watched then (deaf), until a connection
 * ends, or one has been silent for so long that it gives way.
 */
#include "runner/net/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/host/worker.h"

enum {
	BACKLOG = 128,
	LISTENERS = 256,
	EVENTS = 64,
	TURNS = 2, /* a flow's, before it is another connection's turn */
	ROOM = 64 * 1024,
	SYNS = 2,            /* after the first: seven seconds in all */
	AGAIN_MS = 500,      /* after accept() has failed for want of something on this host */
	LOOK_MS = 5000,      /* at who is silent, while somebody waits */
	HALF_MS = 60 * 1000, /* as a kernel's FIN_WAIT_2 (tcp(7), tcp_fin_timeout) */
	SILENT_MS = 124 * 60 * 1000,      /* RFC 5382 5, REQ-5 */
	CROWDED = FORWARD_SHARED / 4 * 3, /* from here on, no more for who has MANY */
	MANY = FORWARD_SHARED / 2,
};

/* What epoll tells of. */
struct watch {
	enum { WATCH_STOP, WATCH_LISTENER, WATCH_END } kind;
	int fd; /* owned; -1: none */
	struct conn *conn;
};

struct listener {
	struct watch watch;
	struct sockaddr_in guest; /* where it leads, without @find */
	forward_find find;
	void *ctx;
	uint16_t guest_port;
	const char *device; /* borrowed, for listen_at() alone; NULL: connections come in by any */
	uint16_t port;
	struct in_addr address4; /* where it listens: one of the two, */
	struct in6_addr address6;
	bool six;                   /* and which */
	bool deaf;                  /* not watched: somebody waits, and there is no place */
	unsigned conns;             /* now */
	struct forward_count count; /* atomic, relaxed */
};

/* From one end to the other. */
struct flow {
	size_t start, n;
	bool ended; /* its source has said so, */
	bool shut;  /* and its sink has been told */
	uint8_t data[ROOM];
};

enum { CLIENT, GUEST };

struct conn {
	struct conn *next, **prev;
	struct listener *of;         /* borrowed */
	struct forward_count *count; /* its */
	struct in6_addr client;      /* whose one's are counted; unspecified: nobody's */
	uint64_t last_ms;            /* when something was heard of it */
	struct watch end[2];
	struct flow flow[2]; /* by their source */
	bool connected, dead;
	struct sockaddr_storage to[FORWARD_TARGETS];
	unsigned targets,
		tried; /* of these: that there are, that were not there or are being asked */
};

struct forwards {
	int epoll;
	struct watch stop;
	struct listener listener[LISTENERS];
	unsigned count;
	unsigned shared;    /* places in use that are no listener's own */
	bool waits;         /* a listener is deaf */
	bool lacks;         /* all are: accept() has failed */
	uint64_t now_ms;    /* when the events at hand came, */
	uint64_t looked_ms; /* and those before which all of them were looked at */
	uint64_t half_ms, silent_ms;
	bool started;
	struct conn *live, *dead;
	pthread_t thread;
};

/* ---- one connection ---- */

static int watch_it(int epoll, int op, struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	return epoll_ctl(epoll, op, w->fd, &ev);
}

static void set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value)); /* it works without, too */
}

/* An urgent byte is one as others: it has its place in the stream, and would be lost (RFC 6093 5). */
static void tune(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

/*
 * A client that is gone without a word would keep its place for ever, and there are only so many: it has five minutes.
 * Not so the guest, who says nothing while it is paused.
 */
static void tune_client(int fd)
{
	tune(fd);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 120); /* s, as the next */
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 6);
}

/* The next close() resets instead of ending in peace. */
static void will_reset(int fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void add(uint64_t *counter, uint64_t n)
{
	(void)__atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
}

/* Freed after the events at hand, of which others may be about it. */
static void end_conn(struct forwards *f, struct conn *c, bool reset)
{
	if (c->dead)
		return;
	for (unsigned i = 0; i < 2; i++) {
		if (reset && c->end[i].fd >= 0)
			will_reset(c->end[i].fd);
		if (c->end[i].fd >= 0)
			(void)close(c->end[i].fd);
	}
	c->dead = true;
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->next = f->dead;
	f->dead = c;
	if (--c->of->conns >= FORWARD_OWN)
		f->shared--;
	add(&c->count->open, (uint64_t)-1);
}

enum moved { MOVED_ALL, MOVED_SOME, MOVED_BROKEN };

/* SOME: its turns are over. ALL: an end will tell when it goes on. */
static enum moved move(struct flow *w, int from, int to, uint64_t *counter)
{
	for (unsigned turn = 0; turn < TURNS && !w->shut; turn++) {
		ssize_t n;

		if (w->n == 0 && !w->ended) {
			n = recv(from, w->data, sizeof(w->data), 0);
			if (n < 0)
				return errno == EAGAIN ? MOVED_ALL : MOVED_BROKEN;
			w->start = 0;
			w->n = (size_t)n;
			w->ended = n == 0;
		}
		if (w->n == 0) {
			w->shut = true;
			return shutdown(to, SHUT_WR) < 0 ? MOVED_BROKEN : MOVED_ALL;
		}
		n = send(to, w->data + w->start, w->n, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? MOVED_ALL : MOVED_BROKEN;
		w->start += (size_t)n;
		w->n -= (size_t)n;
		add(counter, (uint64_t)n);
	}
	return w->shut ? MOVED_ALL : MOVED_SOME;
}

static const uint32_t all_edges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

static void move_both(struct forwards *f, struct conn *c)
{
	enum moved m[2];

	for (unsigned i = 0; i < 2; i++) {
		m[i] = move(&c->flow[i], c->end[i].fd, c->end[!i].fd,
			    i == CLIENT ? &c->count->to_guest : &c->count->from_guest);
		if (m[i] == MOVED_BROKEN) {
			end_conn(f, c, true);
			return;
		}
	}
	if (c->flow[CLIENT].shut && c->flow[GUEST].shut) {
		end_conn(f, c, false);
		return;
	}
	if (m[CLIENT] == MOVED_ALL && m[GUEST] == MOVED_ALL)
		return;
	/* Told once more of what was told already. */
	for (unsigned i = 0; i < 2; i++)
		if (watch_it(f->epoll, EPOLL_CTL_MOD, &c->end[i], all_edges) < 0) {
			end_conn(f, c, true);
			return;
		}
}

static int connect_to(const struct sockaddr_storage *to)
{
	const int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const socklen_t size =
		to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	if (fd < 0)
		return -1;
	set_option(fd, IPPROTO_TCP, TCP_SYNCNT, SYNS);
	tune(fd);
	if (connect(fd, (const struct sockaddr *)to, size) == 0 || errno == EINPROGRESS)
		return fd;
	(void)close(fd);
	return -1;
}

/* Whoever of those that are left might be there. False: nobody; there is no descriptor. */
static bool try_next(struct forwards *f, struct conn *c)
{
	struct watch *w = &c->end[GUEST];

	w->fd = -1;
	while (c->tried < c->targets) {
		w->fd = connect_to(&c->to[c->tried++]);
		if (w->fd < 0)
			continue;
		if (watch_it(f->epoll, EPOLL_CTL_ADD, w, all_edges) == 0)
			return true;
		(void)close(w->fd);
		w->fd = -1;
	}
	return false;
}

static void on_end(struct forwards *f, struct watch *w, uint32_t events)
{
	struct conn *c = w->conn;
	int err = 0;
	socklen_t len = sizeof(err);

	if (c->dead)
		return;
	c->last_ms = f->now_ms;
	if ((events & EPOLLERR) != 0 && (c->connected || w == &c->end[CLIENT])) {
		end_conn(f, c, true);
		return;
	}
	if (!c->connected) {
		if (w != &c->end[GUEST] || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) == 0)
			return;
		if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err != 0) {
			(void)close(w->fd);
			if (!try_next(f, c))
				end_conn(f, c, true);
			return;
		}
		c->connected = true;
	}
	move_both(f, c);
}

/* ---- new ones ---- */

static void find_targets(const struct listener *l, struct conn *c)
{
	struct sockaddr_in6 six;

	if (l->find == NULL) {
		memcpy(&c->to[0], &l->guest, sizeof(l->guest));
		c->targets = 1;
		return;
	}
	c->targets = l->find(l->ctx, c->to);
	for (unsigned i = 0; i < c->targets; i++) {
		/* The port is in one place in both. */
		memcpy(&six, &c->to[i], sizeof(six));
		six.sin6_port = htons(l->guest_port);
		memcpy(&c->to[i], &six, sizeof(six));
	}
}

static void begin(struct forwards *f, struct listener *l, int client, const struct in6_addr *from)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		will_reset(client);
		(void)close(client);
		return;
	}
	tune_client(client);
	c->end[CLIENT] = (struct watch){ .kind = WATCH_END, .fd = client, .conn = c };
	c->end[GUEST] = (struct watch){ .kind = WATCH_END, .fd = -1, .conn = c };
	c->next = f->live;
	c->prev = &f->live;
	if (c->next != NULL)
		c->next->prev = &c->next;
	f->live = c;
	if (l->conns++ >= FORWARD_OWN)
		f->shared++;
	c->of = l;
	c->client = *from;
	c->last_ms = f->now_ms;
	c->count = &l->count;
	add(&l->count.open, 1);
	add(&l->count.taken, 1);
	find_targets(l, c);
	if (watch_it(f->epoll, EPOLL_CTL_ADD, &c->end[CLIENT], all_edges) < 0 || !try_next(f, c))
		end_conn(f, c, true);
}

/* ---- places ---- */

static bool has_room(const struct forwards *f, const struct listener *l)
{
	return l->conns < FORWARD_OWN || f->shared < FORWARD_SHARED;
}

/* How long has it been silent beyond what it may be? 0: it has not. */
static uint64_t overdue(const struct forwards *f, const struct conn *c)
{
	const bool half = c->flow[CLIENT].ended || c->flow[GUEST].ended;
	const uint64_t silent = f->now_ms - c->last_ms, may = half ? f->half_ms : f->silent_ms;

	return silent >= may ? silent - may + 1 : 0;
}

/* One whose place @l may have, of those that have been silent for too long. False: there is none. */
static bool make_room(struct forwards *f, const struct listener *l)
{
	struct conn *worst = NULL;
	uint64_t most = 0;

	for (struct conn *c = f->live; c != NULL; c = c->next) {
		const bool helps = c->of == l || c->of->conns > FORWARD_OWN;
		const uint64_t n = helps ? overdue(f, c) : 0;

		if (n > 0 && n >= most) { /* of two, the older one */
			most = n;
			worst = c;
		}
	}
	if (worst != NULL)
		end_conn(f, worst, true);
	return worst != NULL;
}

static void set_deaf(struct forwards *f, struct listener *l, bool deaf)
{
	l->deaf = deaf;
	(void)watch_it(f->epoll, EPOLL_CTL_MOD, &l->watch, deaf ? 0 : EPOLLIN);
}

/* Whom there is a place for by now. From time to time those are looked at, too, who are silent. */
static void listen_again(struct forwards *f, bool look)
{
	f->waits = f->lacks = false;
	for (unsigned i = 0; i < f->count; i++) {
		struct listener *l = &f->listener[i];

		if (l->deaf && (has_room(f, l) || (look && make_room(f, l))))
			set_deaf(f, l, false);
		f->waits = f->waits || l->deaf;
	}
}

/* Of what accept() takes of this host: all listeners wait a while. */
static void lack(struct forwards *f)
{
	f->lacks = f->waits = true;
	f->looked_ms = f->now_ms;
	for (unsigned i = 0; i < f->count; i++)
		set_deaf(f, &f->listener[i], true);
}

/* Who is told apart from others: an address, of IPv6 a network of 64 bits, which one machine may have. */
static struct in6_addr client_of(const struct sockaddr_storage *at)
{
	struct in6_addr ret = IN6ADDR_ANY_INIT;
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	if (at->ss_family == AF_INET) {
		memcpy(&four, at, sizeof(four));
		if (ntohl(four.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
			memcpy(&ret.s6_addr[12], &four.sin_addr, 4);
	} else if (at->ss_family == AF_INET6) {
		memcpy(&six, at, sizeof(six));
		if (!IN6_IS_ADDR_LOOPBACK(&six.sin6_addr))
			memcpy(&ret, &six.sin6_addr, 8);
	}
	return ret;
}

/* Of the last places there are, one who has so many already gets none: if it waited, others behind it would. */
static bool has_enough(const struct forwards *f, const struct listener *l,
		       const struct in6_addr *client)
{
	unsigned has = 0;

	if (l->conns < FORWARD_OWN || f->shared < CROWDED || IN6_IS_ADDR_UNSPECIFIED(client))
		return false;
	for (const struct conn *c = f->live; c != NULL; c = c->next)
		has += IN6_ARE_ADDR_EQUAL(&c->client, client);
	return has >= MANY;
}

static void on_listener(struct forwards *f, struct listener *l)
{
	struct sockaddr_storage at = { 0 };
	socklen_t size = sizeof(at);
	struct in6_addr client;
	int fd;

	if (l->deaf)
		return;
	if (!has_room(f, l) && !make_room(f, l)) {
		set_deaf(f, l, true);
		f->looked_ms = f->waits ? f->looked_ms : f->now_ms;
		f->waits = true;
		return;
	}
	fd = accept4(l->watch.fd, (struct sockaddr *)&at, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			lack(f);
		return;
	}
	client = client_of(&at);
	if (!has_enough(f, l, &client)) {
		begin(f, l, fd, &client);
		return;
	}
	will_reset(fd);
	(void)close(fd);
}

/* ---- the thread ---- */

static void bury(struct forwards *f)
{
	while (f->dead != NULL) {
		struct conn *c = f->dead;

		f->dead = c->next;
		free(c);
	}
}

/* Not for nothing: with no room the listeners would tell at once again. */
static void look_again(struct forwards *f)
{
	const bool look = f->now_ms - f->looked_ms >= (f->lacks ? AGAIN_MS : LOOK_MS);

	if (!f->waits || (!look && f->dead == NULL))
		return;
	if (look)
		f->looked_ms = f->now_ms;
	listen_again(f, look);
}

/* At the time f->now_ms. False: it is to stop. */
static bool answer(struct forwards *f, const struct epoll_event *ev, int n)
{
	for (int i = 0; i < n; i++) {
		struct watch *w = ev[i].data.ptr;

		if (w->kind == WATCH_STOP)
			return false;
		if (w->kind == WATCH_LISTENER)
			on_listener(f, (struct listener *)(void *)w);
		else
			on_end(f, w, ev[i].events);
	}
	look_again(f);
	bury(f);
	return true;
}

static void *serve(void *arg)
{
	struct forwards *f = arg;
	struct epoll_event ev[EVENTS];
	int n;

	do {
		n = epoll_wait(f->epoll, ev, EVENTS,
			       !f->waits  ? -1
			       : f->lacks ? AGAIN_MS
					  : LOOK_MS);
		f->now_ms = clock_ms();
	} while (answer(f, ev, n));
	return NULL;
}

unsigned forwards_turn(struct forwards *f, uint64_t now_ms)
{
	struct epoll_event ev[EVENTS];
	const int n = epoll_wait(f->epoll, ev, EVENTS, 0);

	f->now_ms = now_ms;
	(void)answer(f, ev, n);
	return n > 0 ? (unsigned)n : 0;
}

struct forwards *forwards_create(struct sill_err *e)
{
	struct forwards *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		(void)sill_err_sys(e, ENOMEM, "forward");
		return NULL;
	}
	forwards_patience(f, HALF_MS, SILENT_MS);
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->stop =
		(struct watch){ .kind = WATCH_STOP, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (f->epoll < 0 || f->stop.fd < 0 ||
	    watch_it(f->epoll, EPOLL_CTL_ADD, &f->stop, EPOLLIN) < 0) {
		(void)sill_err_sys(e, errno, "forward");
		forwards_destroy(f);
		return NULL;
	}
	return f;
}

void forwards_patience(struct forwards *f, uint64_t half_ms, uint64_t silent_ms)
{
	f->half_ms = half_ms;
	f->silent_ms = silent_ms;
}

void forwards_stop(struct forwards *f)
{
	const uint64_t one = 1;

	if (f == NULL)
		return;
	/* Cannot fail: the counter is zero. */
	if (f->started && write(f->stop.fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		(void)pthread_join(f->thread, NULL);
	while (f->live != NULL)
		end_conn(f, f->live, true);
	bury(f);
	f->started = false;
	for (unsigned i = 0; i < f->count; i++)
		if (f->listener[i].watch.fd >= 0)
			(void)close(f->listener[i].watch.fd);
	for (unsigned i = 0; i < f->count; i++)
		f->listener[i].watch.fd = -1;
}

void forwards_destroy(struct forwards *f)
{
	if (f == NULL)
		return;
	forwards_stop(f);
	if (f->stop.fd >= 0)
		(void)close(f->stop.fd);
	if (f->epoll >= 0)
		(void)close(f->epoll);
	free(f);
}

int forwards_watch(struct forwards *f, struct sill_err *e)
{
	for (unsigned i = 0; i < f->count; i++)
		if (watch_it(f->epoll, EPOLL_CTL_ADD, &f->listener[i].watch, EPOLLIN) < 0)
			return sill_err_sys(e, errno, "forward");
	return 0;
}

int forwards_start(struct forwards *f, struct sill_err *e)
{
	if (forwards_watch(f, e) < 0)
		return -1;
	f->started = worker_start(&f->thread, serve, f, "the thread for forwards", e) == 0;
	return f->started ? 0 : -1;
}

/* ---- ports ---- */

static int cannot_listen(const char *address, uint16_t port, int err, struct sill_err *e)
{
	(void)sill_err_sys(e, err, "forward: listen on %s port %u", address, port);
	switch (err) {
	case EADDRINUSE:
		return sill_err_hint(e, "who has it: `ss -ltnp 'sport = :%u'`", port);
	case EACCES:
		return sill_err_hint(e,
				     "ports below 1024 take CAP_NET_BIND_SERVICE, or "
				     "`sysctl net.ipv4.ip_unprivileged_port_start=%u`; or take "
				     "another one",
				     port);
	case EADDRNOTAVAIL:
		return sill_err_hint(e, "this host does not have the address: `ip address`");
	default:
		return -1;
	}
}

static struct listener listener_at(const struct sockaddr *at, int fd, const struct listener *like)
{
	struct listener l = *like;
	struct sockaddr_in6 six;
	struct sockaddr_in four;

	l.watch = (struct watch){ .kind = WATCH_LISTENER, .fd = fd };
	l.six = at->sa_family == AF_INET6;
	if (l.six) {
		memcpy(&six, at, sizeof(six));
		l.address6 = six.sin6_addr;
		l.port = ntohs(six.sin6_port);
	} else {
		memcpy(&four, at, sizeof(four));
		l.address4 = four.sin_addr;
		l.port = ntohs(four.sin_port);
	}
	return l;
}

/* 0 also where the host has no IPv6 and nobody has asked for it: @optional. */
static int listen_at(struct forwards *f, const struct sockaddr *at, socklen_t len, bool optional,
		     const struct listener *like)
{
	const int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = fd < 0 ? errno : 0;

	if (fd >= 0) {
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		if (at->sa_family == AF_INET6)
			set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if ((like->device != NULL &&
		     setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, like->device,
				(socklen_t)strlen(like->device)) < 0) ||
		    bind(fd, at, len) < 0 || listen(fd, BACKLOG) < 0)
			err = errno;
	}
	if (err == 0) {
		f->listener[f->count++] = listener_at(at, fd, like);
		return 0;
	}
	if (fd >= 0)
		(void)close(fd);
	return optional && (err == EAFNOSUPPORT || err == EADDRNOTAVAIL) ? 0 : err;
}

static int add_listeners(struct forwards *f, const struct forward_spec *s,
			 const struct listener *like, struct sill_err *e)
{
	const struct sockaddr_in four = { .sin_family = AF_INET,
					  .sin_port = htons(s->host_port),
					  .sin_addr = s->address4 };
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6,
					  .sin6_port = htons(s->host_port),
					  .sin6_addr = s->address6 };
	char text[INET6_ADDRSTRLEN];
	int err;

	if (f->count + 2 > LISTENERS)
		return sill_err_set(e, SILL_ERR_LIMIT, "forward: more than %d ports",
				    LISTENERS / 2);
	err = s->v4 ? listen_at(f, (const struct sockaddr *)&four, sizeof(four), false, like) : 0;
	if (err != 0)
		return cannot_listen(inet_ntop(AF_INET, &four.sin_addr, text, sizeof(text)),
				     s->host_port, err, e);
	err = s->v6 ? listen_at(f, (const struct sockaddr *)&six, sizeof(six), s->v4, like) : 0;
	if (err != 0)
		return cannot_listen(inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text)),
				     s->host_port, err, e);
	return 0;
}

int forwards_add(struct forwards *f, const struct forward_spec *s, uint32_t guest,
		 struct sill_err *e)
{
	const struct listener like = { .guest = { .sin_family = AF_INET,
						  .sin_port = htons(s->guest_port),
						  .sin_addr = { htonl(guest) } },
				       .device = s->device };

	return add_listeners(f, s, &like, e);
}

int forwards_add_found(struct forwards *f, const struct forward_spec *s, forward_find find,
		       void *ctx, struct sill_err *e)
{
	const struct listener like = {
		.find = find, .ctx = ctx, .guest_port = s->guest_port, .device = s->device
	};

	return add_listeners(f, s, &like, e);
}

static bool is_of(const struct listener *l, const struct forward_spec *s)
{
	if (l->port != s->host_port)
		return false;
	return l->six ? s->v6 && memcmp(&l->address6, &s->address6, sizeof(l->address6)) == 0
		      : s->v4 && l->address4.s_addr == s->address4.s_addr;
}

bool forwards_count(const struct forwards *f, const struct forward_spec *s,
		    struct forward_count *ret)
{
	bool found = false;

	*ret = (struct forward_count){ 0 };
	for (unsigned i = 0; i < f->count; i++) {
		const struct listener *l = &f->listener[i];

		if (!is_of(l, s))
			continue;
		found = true;
		ret->taken += __atomic_load_n(&l->count.taken, __ATOMIC_RELAXED);
		ret->open += __atomic_load_n(&l->count.open, __ATOMIC_RELAXED);
		ret->to_guest += __atomic_load_n(&l->count.to_guest, __ATOMIC_RELAXED);
		ret->from_guest += __atomic_load_n(&l->count.from_guest, __ATOMIC_RELAXED);
	}
	return found;
}
