/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_pty.c - a pseudo-terminal: we hold the master, people open the other end.
 *
 * While nobody has the other end open, the master reports a hang-up at every
 * look, and nothing is reported when somebody comes. So the master is taken
 * out of the loop then, and inotify on the other end's node says who comes
 * (where there is no inotify, a timer looks twice a second).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "backend/serial/chr_priv.h"
#include "base/fd.h"
#include "core/clock.h"

enum { LINGER_MS = 2, LINGER_LOOKS = 10 };
static const uint64_t LOOK_NS = 500ull * 1000 * 1000;

static int look(const struct chr *c)
{
	struct pollfd p = { .fd = c->in_fd, .events = POLLIN };

	return poll(&p, 1, 0) < 0 ? 0 : p.revents;
}

static void came(struct chr *c)
{
	struct sill_err e = { 0 };

	c->in_open = c->out_open = true;
	loop_timer_cancel(c->loop, &c->retry);
	if (chr_begin(c, &e) < 0)
		log_guest_at(&c->bucket, LOG_ERROR, c->id, "no more input: %s", e.msg);
	chr_set_connected(c, true);
}

static void went(struct chr *c)
{
	chr_unwatch(c);
	if (c->notify_fd < 0)
		loop_timer_set(c->loop, &c->retry, host_now() + LOOK_NS);
	chr_set_connected(c, false);
}

/* Somebody came or went, perhaps. */
static void check(struct chr *c)
{
	bool there = (look(c) & POLLHUP) == 0;

	if (there && !c->out_open)
		came(c);
	else if (!there && c->out_open)
		went(c);
}

static void looked(struct chr *c)
{
	/* Who wrote and left at once has left bytes behind. */
	if (!c->out_open && (look(c) & POLLIN) != 0)
		chr_pump(c);
	check(c);
}

static void retry(void *ctx)
{
	struct chr *c = ctx;

	looked(c);
	if (!c->out_open)
		loop_timer_set(c->loop, &c->retry, host_now() + LOOK_NS);
}

static void notified(void *ctx, uint32_t events)
{
	char buf[1024] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct chr *c = ctx;

	(void)events;
	while (read(c->notify_fd, buf, sizeof(buf)) > 0)
		continue; /* only that something happened counts */
	looked(c);
}

/*
 * Open the other end once and close it: from now on "nobody there" is reported
 * as such, and inotify can be pointed at it without a path of its own.
 */
static int watch_peer(struct chr *c, struct sill_err *e)
{
	auto_fd peer = ioctl(c->in_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct sill_err ignored = { 0 };
	char path[32];

	if (peer < 0)
		return sill_err_sys(e, errno, "other end of the pty");
	c->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (c->notify_fd < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", peer);
	c->notify = (struct loop_fd){ .fd = c->notify_fd, .fn = notified, .ctx = c };
	if (inotify_add_watch(c->notify_fd, path, IN_OPEN | IN_CLOSE) < 0 ||
	    loop_fd_add(c->loop, &c->notify, EPOLLIN, &ignored) < 0)
		fd_close(&c->notify_fd);
	return 0;
}

static int pty_open(struct chr *c, struct sill_err *e)
{
	struct termios t;
	int old;

	if (c->in_fd < 0 || c->out_fd < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "a pty without a descriptor");
	if (chr_set_nonblock(c->in_fd, &old) < 0)
		return sill_err_sys(e, errno, "make the pty non-blocking");
	/* Without this, what we write would be echoed back to us as input. */
	if (tcgetattr(c->in_fd, &t) < 0)
		return sill_err_sys(e, errno, "settings of the pty");
	cfmakeraw(&t);
	if (tcsetattr(c->in_fd, TCSANOW, &t) < 0)
		return sill_err_sys(e, errno, "settings of the pty");
	c->retry = (struct loop_timer){ .fn = retry, .ctx = c };
	if (watch_peer(c, e) < 0)
		return -1;
	if ((look(c) & POLLHUP) == 0)
		came(c);
	else
		went(c);
	return 0;
}

static void pty_close(struct chr *c)
{
	loop_fd_remove(c->loop, &c->notify);
	fd_close(&c->notify_fd);
}

static void pty_in_ended(struct chr *c, int error)
{
	(void)error; /* EIO: the last one has closed the other end */
	check(c);
}

static void pty_out_failed(struct chr *c, int error)
{
	(void)error;
	if (c->out_open)
		went(c);
}

/*
 * Closing the master throws away what the other end has not read. Nothing
 * reports a read, so look every few milliseconds; some times, because bytes are
 * handed over by a kernel thread, which on a busy machine has to wait itself.
 */
static void pty_linger(struct chr *c, uint64_t deadline_ns)
{
	auto_fd peer = ioctl(c->in_fd, TIOCGPTPEER, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	int unread = 0;

	for (unsigned quiet = 0; peer >= 0 && quiet < LINGER_LOOKS && host_now() < deadline_ns;) {
		if (ioctl(peer, FIONREAD, &unread) < 0)
			return;
		quiet = unread == 0 ? quiet + 1 : 0;
		(void)poll(NULL, 0, LINGER_MS);
	}
}

const struct chr_mode chr_pty_mode = {
	.open = pty_open,
	.close = pty_close,
	.in_ended = pty_in_ended,
	.out_failed = pty_out_failed,
	.linger = pty_linger,
};
