/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mux.c - see mux.h.
 *
 * What the guest is to be told of a connection is a set of bits (owes), so that a
 * guest that gives no buffers makes us remember nothing more than that. A connection
 * that has something to tell stands in one queue; each gives one packet and goes to
 * its end. Answers to packets of no connection are the only ones that are kept as
 * packets, and when there are many, the guest's next one waits in its ring.
 *
 * A socket is watched for input only while nothing of it waits for the guest, and
 * for room only while something of the guest's waits for it.
 */
#include "backend/vsock/mux.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "core/clock.h"
#include "core/loop.h"

enum {
	LINE_MAX = 32,           /* of a greeting: "CONNECT 4294967295\n" and some room */
	RESETS_MAX = 64,         /* answers to packets of no connection */
	FIRST_PORT = 0x40000000, /* of our ends of connections that the host begins */
};

static const uint64_t LISTEN_AGAIN_NS = 1000000000ull;

enum state {
	FREE,
	GREETING, /* a program of the host has connected and not said where to */
	ASKING,   /* the guest is asked whether it wants it */
	OPEN,
	CLOSING, /* the host's end has gone, the guest's word on it has not come */
};

enum owes {
	OWES_REQUEST = 1 << 0,
	OWES_RESPONSE = 1 << 1,
	OWES_RST = 1 << 2, /* and then the connection is no more */
	OWES_SHUTDOWN = 1 << 3,
	OWES_UPDATE = 1 << 4,
	OWES_QUESTION = 1 << 5, /* a credit request */
};

struct conn {
	struct vsock_mux *mux;
	enum state state;
	int fd; /* owned; -1: gone */
	struct loop_fd watch;
	uint32_t interest; /* what it is watched for */
	uint64_t since;    /* when it came, in connections */
	uint32_t guest_port, host_port;
	uint8_t owes;
	bool queued;
	bool readable;                 /* the socket may have bytes */
	bool ended;                    /* the host sends no more */
	bool guest_sends, guest_takes; /* until it says otherwise */
	bool asked;                    /* for credit, since the window was full */
	bool used;                     /* pages of the ring are there */
	uint32_t shut;                 /* flags of the SHUTDOWN that is owed */
	uint32_t window, taken, sent;  /* the guest's window, its count, ours */
	uint8_t *ring;                 /* VSOCK_WINDOW bytes of the mux's mapping */
	uint32_t in, out, told; /* bytes that came, that went, that the guest knows to have gone */
	char line[LINE_MAX];
	unsigned line_len;
	struct conn *next; /* in the queue */
};

struct reset {
	uint32_t guest_port, host_port;
	uint16_t type;
};

struct vsock_mux {
	struct vsock_mux_config c;
	struct loop_fd listen;
	struct loop_timer listen_again;
	struct log_bucket bucket;
	struct conn conn[VSOCK_CONNECTIONS];
	unsigned count;
	uint64_t born;
	uint32_t next_port;
	uint8_t *rings; /* owned mapping; a page is there once it has been used */
	struct conn *first, **last;
	struct reset reset[RESETS_MAX];
	unsigned reset_head, reset_count;
};

/* --- connections ---------------------------------------------------------- */

static struct conn *find(struct vsock_mux *m, uint32_t guest_port, uint32_t host_port)
{
	for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++) {
		struct conn *c = &m->conn[i];

		if (c->state >= ASKING && c->guest_port == guest_port && c->host_port == host_port)
			return c;
	}
	return NULL;
}

bool vsock_mux_has(const struct vsock_mux *m)
{
	return m->first != NULL || m->reset_count != 0;
}

static void enqueue(struct conn *c)
{
	struct vsock_mux *m = c->mux;
	const bool had = vsock_mux_has(m);

	if (c->queued)
		return;
	c->queued = true;
	c->next = NULL;
	*m->last = c;
	m->last = &c->next;
	if (!had)
		m->c.wake(m->c.wake_ctx);
}

static void dequeue(struct conn *c)
{
	struct conn **at = &c->mux->first;

	if (!c->queued)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->mux->last == &c->next)
		c->mux->last = at;
	c->queued = false;
}

static void owe(struct conn *c, enum owes what)
{
	c->owes |= (uint8_t)what;
	enqueue(c);
}

static void close_host(struct conn *c)
{
	loop_fd_remove(c->mux->c.loop, &c->watch);
	fd_close(&c->fd);
	c->interest = 0;
	c->readable = false;
	c->in = c->out;
}

static void forget(struct conn *c)
{
	struct vsock_mux *m = c->mux;

	close_host(c);
	dequeue(c);
	if (c->used)
		(void)madvise(c->ring, VSOCK_WINDOW, MADV_DONTNEED);
	*c = (struct conn){ .mux = m, .fd = -1, .ring = c->ring };
	m->count--;
}

/* Both ends hear of it. */
static void reset(struct conn *c)
{
	close_host(c);
	c->state = CLOSING;
	c->owes = 0;
	owe(c, OWES_RST);
}

static uint64_t in_the_way(const struct conn *c)
{
	return c->state == GREETING || c->state == CLOSING ? c->since : UINT64_MAX;
}

/* A free one; else the oldest of those that nobody uses goes. NULL: all are used. */
static struct conn *get_conn(struct vsock_mux *m)
{
	struct conn *c = &m->conn[0];

	for (unsigned i = 0; i < VSOCK_CONNECTIONS && c->state != FREE; i++)
		if (m->conn[i].state == FREE || in_the_way(&m->conn[i]) < in_the_way(c))
			c = &m->conn[i];
	if (c->state != FREE && in_the_way(c) == UINT64_MAX) {
		log_guest(&m->bucket, m->c.id, "a connection is refused: there are %d",
			  VSOCK_CONNECTIONS);
		return NULL;
	}
	if (c->state != FREE)
		forget(c);
	m->count++;
	c->since = ++m->born;
	c->guest_sends = c->guest_takes = true;
	return c;
}

/* --- the host's end ---------------------------------------------------------- */

static uint32_t wanted(const struct conn *c)
{
	const bool in = c->state == GREETING ||
			(c->state == OPEN && !c->ended && !c->readable && c->guest_takes);

	return (in ? (uint32_t)EPOLLIN : 0) | (c->in != c->out ? (uint32_t)EPOLLOUT : 0);
}

/* A hang-up is told whether it is wanted or not: without an interest there is no watch at all. */
static void watch(struct conn *c)
{
	const uint32_t want = c->fd >= 0 ? wanted(c) : 0;
	struct sill_err e = { 0 };

	if (want == c->interest)
		return;
	loop_fd_remove(c->mux->c.loop, &c->watch);
	c->interest = want;
	if (want == 0 || loop_fd_add(c->mux->c.loop, &c->watch, want, &e) == 0)
		return;
	if (c->state == GREETING)
		forget(c);
	else
		reset(c);
}

/* Neither side has more to say. */
static void finish(struct conn *c)
{
	if (c->in != c->out)
		return;
	if (!c->guest_sends && !c->guest_takes)
		reset(c);
	else if (!c->guest_sends && c->fd >= 0)
		(void)shutdown(c->fd, SHUT_WR);
}

/* What the guest has sent goes to the socket, as far as it takes it. */
static void drain(struct conn *c)
{
	while (c->in != c->out) {
		const uint32_t at = c->out % VSOCK_WINDOW;
		const uint32_t left = c->in - c->out, to_end = VSOCK_WINDOW - at;
		const ssize_t n = send(c->fd, c->ring + at, left < to_end ? left : to_end,
				       MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			reset(c);
			return;
		}
		c->out += (uint32_t)n;
	}
	if (c->out - c->told >= VSOCK_WINDOW / 2)
		owe(c, OWES_UPDATE);
	finish(c);
}

static bool read_port(const char *line, uint32_t *ret)
{
	static const char word[] = "CONNECT ";
	unsigned long long port;
	char *end;

	if (strncmp(line, word, sizeof(word) - 1) != 0 || line[sizeof(word) - 1] < '0' ||
	    line[sizeof(word) - 1] > '9')
		return false;
	port = strtoull(line + sizeof(word) - 1, &end, 10);
	*ret = (uint32_t)port;
	return port < UINT32_MAX && strcmp(end, "\n") == 0; /* the last one means any */
}

static void ask_guest(struct conn *c, uint32_t port)
{
	struct vsock_mux *m = c->mux;

	do {
		if (m->next_port < FIRST_PORT || m->next_port == UINT32_MAX)
			m->next_port = FIRST_PORT;
		c->host_port = m->next_port++;
	} while (find(m, port, c->host_port) != NULL);
	c->guest_port = port;
	c->state = ASKING;
	owe(c, OWES_REQUEST);
}

/* Of the greeting's line and nothing behind it, which is the guest's. */
static void greet(struct conn *c)
{
	const size_t room = sizeof(c->line) - 1 - c->line_len;
	char *at = c->line + c->line_len, *newline;
	uint32_t port;
	ssize_t n;

	n = recv(c->fd, at, room, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	newline = n > 0 ? memchr(at, '\n', (size_t)n) : NULL;
	if (newline != NULL)
		n = newline + 1 - at;
	if (n <= 0 || recv(c->fd, at, (size_t)n, MSG_DONTWAIT) != n) {
		forget(c);
		return;
	}
	c->line_len += (unsigned)n;
	c->line[c->line_len] = '\0';
	if (newline == NULL) {
		if (c->line_len == sizeof(c->line) - 1)
			forget(c);
		return;
	}
	if (read_port(c->line, &port))
		ask_guest(c, port);
	else
		forget(c);
}

static void on_socket(void *ctx, uint32_t events)
{
	struct conn *c = ctx;

	if (c->state == GREETING) {
		greet(c);
	} else {
		if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 &&
		    (c->interest & EPOLLIN) != 0) {
			c->readable = true;
			enqueue(c);
		}
		if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
			drain(c);
	}
	watch(c);
}

static struct conn *begin(struct vsock_mux *m, int take_fd)
{
	struct conn *c = get_conn(m);

	if (c == NULL) {
		fd_close(&take_fd);
		return NULL;
	}
	c->fd = take_fd;
	c->watch = (struct loop_fd){ .fd = take_fd, .fn = on_socket, .ctx = c };
	return c;
}

static void on_listen(void *ctx, uint32_t events)
{
	struct vsock_mux *m = ctx;
	const int fd = accept4(m->c.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *c;

	(void)events;
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		/* Out of descriptors or memory: it stays in the queue and would wake us at once. */
		log_guest(&m->bucket, m->c.id, "a connection is not accepted: %s",
			  strerrordesc_np(errno));
		loop_fd_remove(m->c.loop, &m->listen);
		loop_timer_set(m->c.loop, &m->listen_again, host_now() + LISTEN_AGAIN_NS);
		return;
	}
	c = begin(m, fd);
	if (c == NULL)
		return;
	c->state = GREETING;
	watch(c);
}

static void on_listen_again(void *ctx)
{
	struct vsock_mux *m = ctx;
	struct sill_err e = { 0 };

	if (loop_fd_add(m->c.loop, &m->listen, EPOLLIN, &e) < 0)
		loop_timer_set(m->c.loop, &m->listen_again, host_now() + LISTEN_AGAIN_NS);
}

/* --- what the guest sends -------------------------------------------------------- */

bool vsock_mux_can_take(const struct vsock_mux *m)
{
	return m->reset_count < RESETS_MAX;
}

/* There is no such connection. */
static void refuse(struct vsock_mux *m, const struct vsock_header *h)
{
	const bool had = vsock_mux_has(m);

	if (h->op == VSOCK_RST)
		return;
	assert(vsock_mux_can_take(m));
	m->reset[(m->reset_head + m->reset_count++) % RESETS_MAX] =
		(struct reset){ h->src_port, h->dst_port, h->type };
	if (!had)
		m->c.wake(m->c.wake_ctx);
}

static void take_request(struct vsock_mux *m, const struct vsock_header *h)
{
	const int fd = m->c.connect != NULL ? m->c.connect(m->c.connect_ctx, h->dst_port) : -1;
	struct conn *c = fd >= 0 ? begin(m, fd) : NULL;

	if (c == NULL) {
		refuse(m, h);
		return;
	}
	c->guest_port = h->src_port;
	c->host_port = h->dst_port;
	c->state = OPEN;
	c->window = h->buf_alloc;
	c->taken = h->fwd_cnt;
	owe(c, OWES_RESPONSE);
	watch(c);
}

static void take_response(struct conn *c)
{
	char line[32];
	const int n = snprintf(line, sizeof(line), "OK %u\n", c->host_port);

	/* The first bytes of a socket always fit. */
	if (send(c->fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n) {
		reset(c);
		return;
	}
	c->state = OPEN;
	watch(c);
}

static void take_data(struct conn *c, const struct vsock_header *h, const uint8_t *data)
{
	const uint32_t at = c->in % VSOCK_WINDOW, to_end = VSOCK_WINDOW - at;
	const uint32_t first = h->len < to_end ? h->len : to_end;

	if (!c->guest_sends || (data == NULL && h->len != 0) ||
	    h->len > VSOCK_WINDOW - (c->in - c->out)) {
		reset(c);
		return;
	}
	if (h->len == 0)
		return;
	c->used = true;
	memcpy(c->ring + at, data, first);
	memcpy(c->ring, data + first, h->len - first);
	c->in += h->len;
	drain(c);
}

static void take_shutdown(struct conn *c, uint32_t flags)
{
	if ((flags & VSOCK_NO_SEND) != 0)
		c->guest_sends = false;
	if ((flags & VSOCK_NO_RECEIVE) != 0) {
		c->guest_takes = false;
		if (c->fd >= 0)
			(void)shutdown(c->fd, SHUT_RD);
	}
	finish(c);
}

/* Of a connection that there is. */
static void take(struct conn *c, const struct vsock_header *h, const uint8_t *data)
{
	c->window = h->buf_alloc;
	c->taken = h->fwd_cnt;
	c->asked = false;
	switch (h->op) {
	case VSOCK_RST:
		forget(c);
		return;
	case VSOCK_RESPONSE:
		if (c->state == ASKING)
			take_response(c);
		else
			reset(c);
		return;
	case VSOCK_SHUTDOWN:
		take_shutdown(c, h->flags);
		return;
	case VSOCK_RW:
		if (c->state == OPEN)
			take_data(c, h, data);
		else if (c->state == ASKING)
			reset(c);
		break; /* closing: nobody is there to read it */
	case VSOCK_CREDIT_UPDATE:
		break;
	case VSOCK_CREDIT_REQUEST:
		owe(c, OWES_UPDATE);
		break;
	default:
		reset(c);
		return;
	}
	if (c->readable)
		enqueue(c); /* it may have been waiting for room */
}

void vsock_mux_take(struct vsock_mux *m, const struct vsock_header *h, const void *data)
{
	struct conn *c;

	/* virtio 1.2, 5.10.6.4.2: of another's name it is dropped. */
	if (h->src_cid != m->c.cid)
		return;
	if (h->dst_cid != VSOCK_HOST || h->type != VSOCK_STREAM) {
		refuse(m, h);
		return;
	}
	c = find(m, h->src_port, h->dst_port);
	if (c != NULL && h->op == VSOCK_REQUEST) {
		reset(c); /* it has forgotten the first one */
	} else if (c != NULL) {
		take(c, h, data);
		if (c->state != FREE)
			watch(c);
	} else if (h->op == VSOCK_REQUEST) {
		take_request(m, h);
	} else {
		refuse(m, h);
	}
}

/* --- what the guest gets ------------------------------------------------------------ */

static void fill(struct conn *c, enum vsock_op op, struct vsock_header *ret)
{
	*ret = (struct vsock_header){
		.src_cid = VSOCK_HOST,
		.dst_cid = c->mux->c.cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.type = VSOCK_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = VSOCK_WINDOW,
		.fwd_cnt = c->out,
	};
	c->told = c->out;
	c->owes &= (uint8_t)~OWES_UPDATE;
}

static void give_reset(struct vsock_mux *m, struct vsock_header *ret)
{
	const struct reset *r = &m->reset[m->reset_head];

	*ret = (struct vsock_header){
		.src_cid = VSOCK_HOST,
		.dst_cid = m->c.cid,
		.src_port = r->host_port,
		.dst_port = r->guest_port,
		.type = r->type,
		.op = VSOCK_RST,
	};
	m->reset_head = (m->reset_head + 1) % RESETS_MAX;
	m->reset_count--;
}

static uint32_t credit(const struct conn *c)
{
	const uint32_t used = c->sent - c->taken;

	return used < c->window ? c->window - used : 0;
}

/* The host has said its last. Has it gone altogether, then nobody reads the guest's either. */
static void host_ended(struct conn *c)
{
	struct pollfd p = { .fd = c->fd };

	c->ended = true;
	c->readable = false;
	c->shut = VSOCK_NO_SEND;
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0) {
		c->shut |= VSOCK_NO_RECEIVE;
		close_host(c);
		c->state = CLOSING;
	}
	owe(c, OWES_SHUTDOWN);
}

/* True: @ret and @data are a packet. */
static bool give_data(struct conn *c, struct vsock_header *ret, void *data, uint32_t room)
{
	const uint32_t left = credit(c), n = left < room ? left : room;
	ssize_t got;

	if (n == 0) {
		/* It stays readable; the guest's next packet brings it back. */
		if (!c->asked)
			owe(c, OWES_QUESTION);
		c->asked = true;
		return false;
	}
	do {
		got = recv(c->fd, data, n, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got > 0) {
		fill(c, VSOCK_RW, ret);
		ret->len = (uint32_t)got;
		c->sent += ret->len;
		enqueue(c);
		return true;
	}
	if (got < 0 && errno == EAGAIN) {
		c->readable = false;
		watch(c);
	} else if (got < 0) {
		reset(c);
	} else {
		host_ended(c);
		watch(c);
	}
	return false;
}

static bool settle(struct conn *c, enum owes what)
{
	const bool owed = (c->owes & what) != 0;

	c->owes &= (uint8_t)~what;
	return owed;
}

/* One packet of @c, which is in no queue. */
static bool give(struct conn *c, struct vsock_header *ret, void *data, uint32_t room)
{
	if (settle(c, OWES_RST)) {
		fill(c, VSOCK_RST, ret);
		forget(c);
		return true;
	}
	if (settle(c, OWES_REQUEST))
		fill(c, VSOCK_REQUEST, ret);
	else if (settle(c, OWES_RESPONSE))
		fill(c, VSOCK_RESPONSE, ret);
	else if (c->state == OPEN && c->readable && c->guest_takes && give_data(c, ret, data, room))
		return true;
	else if (settle(c, OWES_SHUTDOWN)) {
		fill(c, VSOCK_SHUTDOWN, ret);
		ret->flags = c->shut;
	} else if (settle(c, OWES_QUESTION))
		fill(c, VSOCK_CREDIT_REQUEST, ret);
	else if (settle(c, OWES_UPDATE))
		fill(c, VSOCK_CREDIT_UPDATE, ret);
	else
		return false;
	if (c->owes != 0 || c->readable)
		enqueue(c);
	return true;
}

bool vsock_mux_give(struct vsock_mux *m, struct vsock_header *ret, void *data, uint32_t room)
{
	assert(room != 0);
	if (m->reset_count != 0) {
		give_reset(m, ret);
		return true;
	}
	while (m->first != NULL) {
		struct conn *c = m->first;

		dequeue(c);
		if (give(c, ret, data, room < VSOCK_PACKET ? room : VSOCK_PACKET))
			return true;
	}
	return false;
}

/* --- life ------------------------------------------------------------------------------ */

void vsock_mux_reset(struct vsock_mux *m)
{
	for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++)
		if (m->conn[i].state != FREE && m->conn[i].state != GREETING)
			forget(&m->conn[i]);
	m->reset_count = 0;
}

unsigned vsock_mux_count(const struct vsock_mux *m)
{
	return m->count;
}

struct vsock_mux *vsock_mux_create(const struct vsock_mux_config *config, struct sill_err *e)
{
	struct vsock_mux *m = calloc(1, sizeof(*m));
	int fd = config->listen_fd;

	if (m == NULL) {
		fd_close(&fd);
		(void)sill_err_sys(e, ENOMEM, "connections");
		return NULL;
	}
	m->c = *config;
	m->last = &m->first;
	m->rings = mmap(NULL, (size_t)VSOCK_CONNECTIONS * VSOCK_WINDOW, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->rings == MAP_FAILED) {
		m->rings = NULL;
		(void)sill_err_sys(e, errno, "memory of the connections");
		goto fail;
	}
	for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++)
		m->conn[i] = (struct conn){ .mux = m,
					    .fd = -1,
					    .ring = m->rings + (size_t)i * VSOCK_WINDOW };
	m->listen = (struct loop_fd){ .fd = m->c.listen_fd, .fn = on_listen, .ctx = m };
	m->listen_again = (struct loop_timer){ .fn = on_listen_again, .ctx = m };
	if (loop_fd_add(m->c.loop, &m->listen, EPOLLIN, e) == 0)
		return m;

fail:
	vsock_mux_destroy(m);
	return NULL;
}

void vsock_mux_destroy(struct vsock_mux *m)
{
	if (m == NULL)
		return;
	for (unsigned i = 0; m->rings != NULL && i < VSOCK_CONNECTIONS; i++)
		if (m->conn[i].state != FREE)
			forget(&m->conn[i]);
	loop_timer_cancel(m->c.loop, &m->listen_again);
	loop_fd_remove(m->c.loop, &m->listen);
	fd_close(&m->c.listen_fd);
	if (m->rings != NULL)
		(void)munmap(m->rings, (size_t)VSOCK_CONNECTIONS * VSOCK_WINDOW);
	free(m);
}
