/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_socket.c - a listening Unix socket: one client at a time, a second one
 * is turned away.
 *
 * A client may close its sending side and go on reading (`printf ... | socat -
 * UNIX:...`): then input is over and output goes on. One that is gone
 * altogether may have left bytes that the guest has not taken yet: they are
 * read first.
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

static bool client_gone(const struct chr *c)
{
	struct pollfd p = { .fd = c->in_fd };

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
	return;

fail:
	log_guest(&c->bucket, c->id, "client turned away: %s", e.msg);
	client_drop(c);
}

static void listening(void *ctx, uint32_t events)
{
	struct chr *c = ctx;
	auto_fd fd = accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		/* Out of descriptors or memory: the client stays in the queue and would wake us at once. */
		log_guest(&c->bucket, c->id, "client not accepted: %s", strerrordesc_np(errno));
		loop_fd_remove(c->loop, &c->listen);
		loop_timer_set(c->loop, &c->retry, host_now() + AGAIN_NS);
		return;
	}
	/* The one before may have hung up without our noticing (its input waits for the guest). */
	if (c->in_fd >= 0 && client_gone(c))
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

static int socket_open(struct chr *c, struct sill_err *e)
{
	int old;

	if (c->listen_fd < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "a socket without a descriptor");
	if (chr_set_nonblock(c->listen_fd, &old) < 0)
		return sill_err_sys(e, errno, "make the socket non-blocking");
	c->retry = (struct loop_timer){ .fn = listen_again, .ctx = c };
	c->listen = (struct loop_fd){ .fd = c->listen_fd, .fn = listening, .ctx = c };
	return loop_fd_add(c->loop, &c->listen, EPOLLIN, e);
}

static void socket_close(struct chr *c)
{
	loop_fd_remove(c->loop, &c->listen);
}

static void socket_in_ended(struct chr *c, int error)
{
	struct sill_err e = { 0 };

	c->in_open = false;
	loop_fd_remove(c->loop, &c->in);
	/* Half-closed: no event but the hang-up is of interest any more. */
	if (error != 0 || !c->out_open || client_gone(c) || loop_fd_add(c->loop, &c->in, 0, &e) < 0)
		client_drop(c);
}

static void socket_out_failed(struct chr *c, int error)
{
	(void)error;
	c->out_open = false;
	if (c->in_open)
		chr_set_connected(c, false); /* what it sent before is still being read */
	else
		client_drop(c);
}

const struct chr_mode chr_socket_mode = {
	.open = socket_open,
	.close = socket_close,
	.in_ended = socket_in_ended,
	.out_failed = socket_out_failed,
};
