/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_tcp.c - a TCP connection, one at a time: a second one is turned away. It
 * may also be us who connect: then again and again, DIAL_MIN_NS after a
 * connection is gone or cannot be made, and twice as long each time until one
 * can, up to DIAL_MAX_NS. Here is also how sockets are listened on.
 *
 * One that is gone may have left bytes that the guest has not taken yet: they
 * are read first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "backend/serial/chr_priv.h"
#include "base/fd.h"
#include "core/clock.h"

static const uint64_t AGAIN_NS = 1000ull * 1000 * 1000;
static const uint64_t DIAL_MIN_NS = 100ull * 1000 * 1000, DIAL_MAX_NS = 5ull * 1000 * 1000 * 1000;

static void dial_later(struct chr *c)
{
	loop_timer_set(c->loop, &c->retry, host_now() + c->dial_ns);
	c->dial_ns = c->dial_ns * 2 < DIAL_MAX_NS ? c->dial_ns * 2 : DIAL_MAX_NS;
}

bool chr_is_gone(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void client_drop(struct chr *c)
{
	chr_unwatch(c);
	fd_close(&c->in_fd);
	fd_close(&c->out_fd);
	lock_take(&c->lock);
	c->in_paused = false;
	lock_drop(&c->lock);
	chr_set_connected(c, false);
	if (c->listen_fd < 0)
		dial_later(c);
}

/* Takes @take_fd. */
static void client_add(struct chr *c, int take_fd)
{
	struct sill_err e = { 0 };

	c->in_fd = take_fd;
	c->out_fd = take_fd;
	if (chr_classify(c, &e) < 0)
		goto fail;
	c->in_open = c->out_open = true;
	if (chr_begin(c, &e) < 0)
		goto fail;
	if (c->in_fd >= 0) /* it may have hung up already */
		chr_set_connected(c, c->out_open);
	if (c->in_fd >= 0)
		c->dial_ns = DIAL_MIN_NS;
	return;

fail:
	log_guest(&c->bucket, c->id, "client turned away: %s", e.msg);
	client_drop(c);
}

int chr_accept(struct chr *c)
{
	const int fd = accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 || errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return fd;
	/* Out of descriptors or memory: the client stays in the queue and would wake us at once. */
	log_guest(&c->bucket, c->id, "client not accepted: %s", strerrordesc_np(errno));
	loop_fd_remove(c->loop, &c->listen);
	loop_timer_set(c->loop, &c->retry, host_now() + AGAIN_NS);
	return -1;
}

static void listening(void *ctx, uint32_t events)
{
	struct chr *c = ctx;
	auto_fd fd = chr_accept(c);

	(void)events;
	if (fd < 0)
		return;
	/* The one before may have hung up without our noticing (its input waits for the guest). */
	if (c->in_fd >= 0 && chr_is_gone(c->in_fd))
		client_drop(c);
	if (c->in_fd < 0)
		client_add(c, fd_take(&fd));
}

static void listen_again(void *ctx)
{
	struct chr *c = ctx;
	struct sill_err e = { 0 };

	if (loop_fd_add(c->loop, &c->listen, EPOLLIN, &e) < 0)
		loop_timer_set(c->loop, &c->retry, host_now() + AGAIN_NS);
}

int chr_listen(struct chr *c, loop_fd_fn fn, struct sill_err *e)
{
	int old;

	if (c->listen_fd < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "a socket without a descriptor");
	if (chr_set_nonblock(c->listen_fd, &old) < 0)
		return sill_err_sys(e, errno, "make the socket non-blocking");
	c->retry = (struct loop_timer){ .fn = listen_again, .ctx = c };
	c->listen = (struct loop_fd){ .fd = c->listen_fd, .fn = fn, .ctx = c };
	return loop_fd_add(c->loop, &c->listen, EPOLLIN, e);
}

void chr_listen_end(struct chr *c)
{
	loop_fd_remove(c->loop, &c->listen);
}

static void tcp_out_failed(struct chr *c, int error)
{
	(void)error;
	c->out_open = false;
	if (c->in_open)
		chr_set_connected(c, false); /* what it sent before is still being read */
	else
		client_drop(c);
}

static void dialled(void *ctx, uint32_t events)
{
	struct chr *c = ctx;
	socklen_t n = sizeof(int);
	int error = 0;

	(void)events;
	loop_fd_remove(c->loop, &c->dialled);
	if (getsockopt(c->dial_fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error == 0) {
		client_add(c, fd_take(&c->dial_fd));
		return;
	}
	fd_close(&c->dial_fd);
	dial_later(c);
}

static void dial(void *ctx)
{
	struct chr *c = ctx;
	struct sill_err e = { 0 };

	c->dial_fd = c->dial(c->dial_ctx);
	c->dialled = (struct loop_fd){ .fd = c->dial_fd, .fn = dialled, .ctx = c };
	if (c->dial_fd >= 0 && loop_fd_add(c->loop, &c->dialled, EPOLLOUT, &e) == 0)
		return;
	fd_close(&c->dial_fd);
	dial_later(c);
}

static int tcp_open(struct chr *c, struct sill_err *e)
{
	if (c->listen_fd >= 0)
		return chr_listen(c, listening, e);
	if (c->dial == NULL)
		return sill_err_set(e, SILL_ERR_INTERNAL, "tcp without a descriptor");
	c->dial_ns = DIAL_MIN_NS;
	c->retry = (struct loop_timer){ .fn = dial, .ctx = c };
	dial(c);
	return 0;
}

static void tcp_close(struct chr *c)
{
	chr_listen_end(c);
	loop_fd_remove(c->loop, &c->dialled);
	fd_close(&c->dial_fd);
}

/* Who has closed TCP looks like who has only nothing more to send, until something is sent there. */
static void tcp_in_ended(struct chr *c, int error)
{
	(void)error;
	client_drop(c);
}

const struct chr_mode chr_tcp_mode = {
	.open = tcp_open,
	.close = tcp_close,
	.in_ended = tcp_in_ended,
	.out_failed = tcp_out_failed,
};
