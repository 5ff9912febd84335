/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr.c - the rings between a device and the far end, and what moves them.
 *
 * Output: chr_write() puts bytes into a ring and returns. The first byte after
 * a pause posts a flush; what follows within FLUSH_NS rides along with the next
 * one, so a guest that prints byte by byte costs a system call a millisecond,
 * not one a byte. The ring keeps the newest CHAR_BUFFER bytes: a reader that
 * comes late, or is too slow, sees the latest output and misses the oldest.
 *
 * Input: read into a ring and no further, so that a pipe or socket slows its
 * writer down. A keyboard is read always, because of the keys that are not for the guest.
 *
 * Watching means being in the loop: a descriptor is added when there is
 * something to wait for and removed otherwise, because epoll reports a hang-up
 * of an added descriptor for ever.
 *
 * Threads: see chr.h. The lock covers the rings and flags at the end of struct
 * chr and is never held across a system call on the far end.
 */
#include "backend/serial/chr.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/serial/chr_priv.h"
#include "base/fd.h"
#include "core/clock.h"

enum {
	PIECE = 4096,          /* bytes per system call */
	FLUSH_MAX = 32 * 1024, /* bytes per turn of the loop: others want it too */
	PUMP_MAX = 4,          /* pieces of input per turn */
	DESTROY_MS = 50,       /* what a reader that lags gets at the very end */
};
static const uint64_t FLUSH_NS = 1000000, ALONE_NS = 1000000000;

static size_t ring_fill(const struct ring *r)
{
	return (size_t)(r->head - r->tail);
}

/* Copy [@pos, @pos + @n) of the stream out; the caller knows that it is there. */
static void ring_copy_out(const struct ring *r, uint64_t pos, uint8_t *dst, size_t n)
{
	size_t at = (size_t)pos & (r->size - 1);
	size_t first = n < r->size - at ? n : r->size - at;

	memcpy(dst, r->data + at, first);
	memcpy(dst + first, r->data, n - first);
}

/* Append at most size - fill bytes. */
static void ring_copy_in(struct ring *r, const uint8_t *src, size_t n)
{
	size_t at = (size_t)r->head & (r->size - 1);
	size_t first = n < r->size - at ? n : r->size - at;

	memcpy(r->data + at, src, first);
	memcpy(r->data, src + first, n - first);
	r->head += n;
}

/* --- the user ------------------------------------------------------------ */

static void notify(struct chr *c)
{
	struct chr_user u;

	lock_take(&c->lock);
	u = c->user;
	lock_drop(&c->lock);
	if (u.readable != NULL)
		u.readable(u.ctx);
}

static void notify_run(void *ctx)
{
	notify(ctx);
}

void chr_set_connected(struct chr *c, bool connected)
{
	bool changed;

	lock_take(&c->lock);
	changed = c->connected != connected;
	c->connected = connected;
	if (c->is_kd && changed)
		chr_kd_comes_locked(c);
	lock_drop(&c->lock);
	if (changed)
		notify(c);
}

void chr_set_user(struct chr *c, const struct chr_user *u)
{
	lock_take(&c->lock);
	c->user = u != NULL ? *u : (struct chr_user){ 0 };
	lock_drop(&c->lock);
	if (u != NULL)
		loop_post(c->loop, &c->notify_task); /* there may be input already */
}

bool chr_connected(struct chr *c)
{
	bool connected;

	lock_take(&c->lock);
	connected = c->connected;
	lock_drop(&c->lock);
	return connected;
}

bool chr_take_break(struct chr *c)
{
	bool got;

	lock_take(&c->lock);
	got = c->got_break;
	c->got_break = false;
	lock_drop(&c->lock);
	return got;
}

void chr_inject_break(struct chr *c)
{
	lock_take(&c->lock);
	c->got_break = true;
	lock_drop(&c->lock);
	loop_post(c->loop, &c->notify_task);
}

uint64_t chr_dropped(const struct chr *c)
{
	return __atomic_load_n(&c->dropped, __ATOMIC_RELAXED);
}

void chr_set_keys(struct chr *c, sill_keys_fn fn, void *ctx)
{
	c->keys = fn;
	c->keys_ctx = ctx;
}

/* --- output -------------------------------------------------------------- */

uint64_t chr_written(struct chr *c)
{
	uint64_t n;

	lock_take(&c->lock);
	n = c->written;
	lock_drop(&c->lock);
	return n;
}

static void count_dropped_locked(struct chr *c, int64_t n)
{
	__atomic_store_n(&c->dropped, c->dropped + (uint64_t)n, __ATOMIC_RELAXED);
}

/* Bytes that nobody has looked after yet. */
static uint64_t out_waiting_locked(const struct chr *c)
{
	return c->out_ring.head - (c->is_history ? c->flushed : c->out_ring.tail);
}

bool chr_put_locked(struct chr *c, const uint8_t *src, size_t n)
{
	struct ring *r = &c->out_ring;
	bool wake = false;
	size_t over;

	if (n > r->size) {
		/* A place in a history counts what was never in it, too. */
		if (c->is_history)
			r->head = r->tail = r->head + (n - r->size);
		else
			count_dropped_locked(c, (int64_t)(n - r->size));
		src += n - r->size;
		n = r->size;
	}
	over = ring_fill(r) + n > r->size ? ring_fill(r) + n - r->size : 0;
	r->tail += over;
	if (!c->is_history)
		count_dropped_locked(c, (int64_t)over);
	if (c->out_state == OUT_IDLE) {
		c->out_state = OUT_SOON;
		wake = true;
	} else if (c->out_state == OUT_SOON && out_waiting_locked(c) + n > r->size / 2) {
		wake = true; /* the timer would come too late */
	}
	ring_copy_in(r, src, n);
	return wake;
}

void chr_write(struct chr *c, const void *p, size_t n)
{
	const uint8_t *src = p;
	bool wake;

	if (c->bug_fn != NULL)
		chr_look(c, src, n);
	if (n == 0 || c->mode == &chr_null_mode)
		return;
	lock_take(&c->lock);
	c->written += n;
	wake = c->is_kd ? chr_kd_write_locked(c, src, n) : chr_put_locked(c, src, n);
	lock_drop(&c->lock);
	if (wake)
		loop_post(c->loop, &c->out_task);
}

/* The oldest bytes of the ring; @ret_pos says where they are. Does not take them out. */
static size_t out_peek(struct chr *c, uint8_t *dst, size_t n, uint64_t *ret_pos)
{
	struct ring *r = &c->out_ring;

	lock_take(&c->lock);
	if (n > ring_fill(r))
		n = ring_fill(r);
	ring_copy_out(r, r->tail, dst, n);
	*ret_pos = r->tail;
	lock_drop(&c->lock);
	return n;
}

/* The @n bytes at @pos are done with: written, or (@lost) given up. */
static void out_advance(struct chr *c, uint64_t pos, size_t n, bool lost)
{
	struct ring *r = &c->out_ring;
	uint64_t end = pos + n;

	lock_take(&c->lock);
	if (lost)
		count_dropped_locked(c, (int64_t)n);
	/* chr_write() may have overtaken us and counted as dropped what we were writing. */
	if (r->tail > pos)
		count_dropped_locked(c, -(int64_t)((r->tail < end ? r->tail : end) - pos));
	if (r->tail < end)
		r->tail = end;
	lock_drop(&c->lock);
}

/* The flush is over. True when the ring is empty, else bytes came in meanwhile. */
static bool out_settle(struct chr *c, bool wrote)
{
	bool empty;

	lock_take(&c->lock);
	empty = ring_fill(&c->out_ring) == 0;
	if (empty)
		c->out_state = wrote ? OUT_SOON : OUT_IDLE;
	lock_drop(&c->lock);
	if (empty && wrote)
		loop_timer_set(c->loop, &c->out_timer, host_now() + FLUSH_NS);
	return empty;
}

static void out_stuck(struct chr *c)
{
	lock_take(&c->lock);
	c->out_state = OUT_STUCK;
	lock_drop(&c->lock);
}

/* A pipe without a reader and a file at its limit answer with a signal that would end the process. */
ssize_t chr_write_quietly(int fd, const void *p, size_t n)
{
	const struct timespec now = { 0 };
	sigset_t quiet, old, pending;
	ssize_t put;
	int error;

	(void)sigemptyset(&quiet);
	(void)sigaddset(&quiet, SIGPIPE);
	(void)sigaddset(&quiet, SIGXFSZ);
	(void)sigpending(&pending);
	(void)pthread_sigmask(SIG_BLOCK, &quiet, &old);
	put = write(fd, p, n);
	error = errno;
	if (put < 0 && (error == EPIPE || error == EFBIG)) {
		int sig = error == EPIPE ? SIGPIPE : SIGXFSZ;

		(void)sigemptyset(&quiet);
		(void)sigaddset(&quiet, sig);
		if (sigismember(&pending, sig) == 0)
			(void)sigtimedwait(&quiet, NULL, &now);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return put;
}

static ssize_t out_put(struct chr *c, const void *p, size_t n)
{
	if (c->out_kind == OUT_SOCKET)
		return send(c->out_fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return chr_write_quietly(c->out_fd, p, n);
}

/* Wait for room at the far end. */
static void out_wait(struct chr *c)
{
	struct sill_err e = { 0 };

	out_stuck(c);
	if (!c->out.added && loop_fd_add(c->loop, &c->out, EPOLLOUT, &e) < 0)
		loop_timer_set(c->loop, &c->out_timer, host_now() + 10 * FLUSH_NS);
}

/*
 * What becomes of the @n bytes at @pos, of which out_put() wrote @put (or -1:
 * @error). False: no more can be written now.
 */
static bool out_outcome(struct chr *c, uint64_t pos, size_t n, ssize_t put, int error)
{
	if (put > 0) {
		out_advance(c, pos, (size_t)put, false);
		return true;
	}
	if (put == 0)
		error = EIO;
	if (error == EINTR)
		return true;
	if (error == EAGAIN) {
		out_wait(c);
		return false;
	}
	if (c->out_kind == OUT_FILE) {
		log_guest(&c->bucket, c->id, "output lost: %s", strerrordesc_np(error));
		out_advance(c, pos, n, true);
		return true;
	}
	c->mode->out_failed(c, error);
	return true; /* out_open says what is left */
}

static void chr_flush(struct chr *c)
{
	size_t left = FLUSH_MAX;
	bool wrote = false;

	if (c->mode->own != NULL) {
		c->mode->own->flush(c);
		return;
	}
	while (c->out_open) {
		uint8_t piece[PIECE];
		uint64_t pos;
		size_t n = out_peek(c, piece, sizeof(piece), &pos);
		ssize_t put;

		if (n == 0 && out_settle(c, wrote))
			return;
		if (n == 0)
			continue;
		if (left < n) {
			loop_post(c->loop, &c->out_task);
			return;
		}
		if (c->mode->make_room != NULL && !c->mode->make_room(c, n)) {
			out_advance(c, pos, n, true);
			left -= n;
			continue;
		}
		put = out_put(c, piece, n);
		wrote = wrote || put > 0;
		c->file_size += put > 0 ? (uint64_t)put : 0;
		if (!out_outcome(c, pos, n, put, errno))
			return;
		left -= n;
	}
	out_stuck(c);
}

static void out_run(void *ctx)
{
	struct chr *c = ctx;

	if (c->out.added)
		return; /* waits for the far end */
	chr_flush(c);
}

static void out_event(void *ctx, uint32_t events)
{
	struct chr *c = ctx;

	(void)events; /* an error or hang-up shows when we write */
	loop_fd_remove(c->loop, &c->out);
	chr_flush(c);
}

void chr_drain(struct chr *c, int ms)
{
	uint64_t deadline = host_now() + (uint64_t)ms * 1000000;

	if (c->mode->own != NULL) {
		c->mode->own->drain(c, deadline);
		return;
	}
	for (;;) {
		struct pollfd p = { .fd = c->out_fd, .events = POLLOUT };
		uint64_t now;
		size_t fill;

		chr_flush(c);
		lock_take(&c->lock);
		fill = ring_fill(&c->out_ring);
		lock_drop(&c->lock);
		now = host_now();
		if (fill == 0 && c->out_open && c->mode->linger != NULL)
			c->mode->linger(c, deadline);
		if (fill == 0 || !c->out_open || now >= deadline)
			return;
		if (c->out_kind != OUT_FILE)
			(void)poll(&p, 1, (int)((deadline - now + 999999) / 1000000));
	}
}

/* --- a history: see chr_priv.h ------------------------------------------- */

size_t chr_recall(struct chr *c, uint64_t *pos, uint8_t *dst, size_t n, uint64_t *ret_lost)
{
	const struct ring *r = &c->out_ring;

	lock_take(&c->lock);
	*ret_lost = *pos < r->tail ? r->tail - *pos : 0;
	*pos += *ret_lost;
	if (n > r->head - *pos)
		n = (size_t)(r->head - *pos);
	ring_copy_out(r, *pos, dst, n);
	lock_drop(&c->lock);
	*pos += n;
	return n;
}

uint64_t chr_last_line(struct chr *c, size_t max)
{
	const struct ring *r = &c->out_ring;
	uint64_t at;

	lock_take(&c->lock);
	for (at = r->head; at > r->tail && r->head - at < max; at--) {
		if (r->data[(at - 1) & (r->size - 1)] == '\n')
			break;
	}
	lock_drop(&c->lock);
	return at;
}

uint64_t chr_head(struct chr *c)
{
	uint64_t head;

	lock_take(&c->lock);
	head = c->out_ring.head;
	lock_drop(&c->lock);
	return head;
}

void chr_add_dropped(struct chr *c, uint64_t n)
{
	lock_take(&c->lock);
	count_dropped_locked(c, (int64_t)n);
	lock_drop(&c->lock);
}

void chr_flushed(struct chr *c, uint64_t pos, bool alone)
{
	bool more, some;

	lock_take(&c->lock);
	some = pos != c->flushed || (alone && pos != c->out_ring.head);
	more = !alone && pos != c->out_ring.head;
	c->flushed = pos;
	if (!more)
		c->out_state = some ? OUT_SOON : OUT_IDLE;
	lock_drop(&c->lock);
	if (more)
		loop_post(c->loop, &c->out_task);
	else if (some)
		loop_timer_set(c->loop, &c->out_timer, host_now() + (alone ? ALONE_NS : FLUSH_NS));
}

/* --- input --------------------------------------------------------------- */

void chr_take_locked(struct chr *c, const uint8_t *p, size_t n)
{
	struct ring *r = &c->in_ring;

	if (n > r->size - ring_fill(r))
		n = r->size - ring_fill(r); /* only a keyboard: nobody can be slowed down */
	ring_copy_in(r, p, n);
}

static void in_push(struct chr *c, const uint8_t *p, size_t n)
{
	lock_take(&c->lock);
	if (c->is_kd)
		chr_kd_take_locked(c, p, n);
	else
		chr_take_locked(c, p, n);
	lock_drop(&c->lock);
}

size_t chr_push(struct chr *c, const uint8_t *p, size_t n)
{
	struct ring *r = &c->in_ring;

	lock_take(&c->lock);
	c->in_paused = n > r->size - ring_fill(r);
	if (c->in_paused)
		n = r->size - ring_fill(r);
	ring_copy_in(r, p, n);
	lock_drop(&c->lock);
	if (n > 0)
		notify(c);
	return n;
}

static void in_take(struct chr *c, const uint8_t *p, size_t n)
{
	uint8_t left[PIECE + 1];

	if (c->keys == NULL || !c->in_terminal)
		in_push(c, p, n);
	else
		in_push(c, left, c->keys(c->keys_ctx, p, n, left));
}

/* How much may be read; 0: the ring is full, and chr_read() will post in_task. */
static size_t in_room(struct chr *c)
{
	size_t room;

	lock_take(&c->lock);
	room = c->in_ring.size - ring_fill(&c->in_ring) - c->kd_held;
	c->in_paused = room == 0 && !c->in_terminal;
	lock_drop(&c->lock);
	return room == 0 && c->in_terminal ? PIECE : room;
}

/* A job in the background may not read from its terminal: it would be stopped, or told EIO. */
static bool in_is_away(const struct chr *c)
{
	const pid_t group = c->in_terminal ? tcgetpgrp(c->in_fd) : -1;

	return group >= 0 && group != getpgrp();
}

static ssize_t in_get(struct chr *c, void *p, size_t n)
{
	if (in_is_away(c)) {
		c->in_away = true;
		errno = EIO;
		return -1;
	}
	if (c->in_socket)
		return recv(c->in_fd, p, n, MSG_DONTWAIT);
	return read(c->in_fd, p, n);
}

void chr_pump(struct chr *c)
{
	bool got = false, ended = false;
	int error = 0;

	for (unsigned i = 0; i < PUMP_MAX && c->in_fd >= 0; i++) {
		uint8_t piece[PIECE];
		size_t room = in_room(c);
		ssize_t n;

		if (room == 0) {
			loop_fd_remove(c->loop, &c->in);
			break;
		}
		n = in_get(c, piece, room < sizeof(piece) ? room : sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			ended = true;
			error = n < 0 ? errno : 0;
			break;
		}
		in_take(c, piece, (size_t)n);
		got = true;
	}
	if (got)
		notify(c);
	if (ended)
		c->mode->in_ended(c, error);
}

/* Wait for input, if there can be any and somebody wants it. */
static int in_watch(struct chr *c, struct sill_err *e)
{
	bool paused;

	lock_take(&c->lock);
	paused = c->in_paused;
	lock_drop(&c->lock);
	if (c->in_fd < 0 || !c->in_open || paused || c->in_away || c->in.added)
		return 0;
	if (!c->in_direct) {
		c->in.fd = c->in_fd;
		if (loop_fd_add(c->loop, &c->in, EPOLLIN, e) == 0)
			return 0;
		if (e->sys != EPERM)
			return -1;
		/* Files and /dev/null cannot be waited for; they are always ready. */
		*e = (struct sill_err){ 0 };
		c->in_direct = true;
	}
	loop_post(c->loop, &c->in_task);
	return 0;
}

static void in_run(void *ctx)
{
	struct chr *c = ctx;
	struct sill_err e = { 0 };

	if (c->mode->own != NULL)
		c->mode->own->resume(c);
	if (c->in_fd < 0 || !c->in_open)
		return;
	c->in_away = false;
	chr_pump(c);
	if (in_watch(c, &e) < 0)
		log_guest_at(&c->bucket, LOG_ERROR, c->id, "no more input: %s", e.msg);
}

static void in_event(void *ctx, uint32_t events)
{
	struct chr *c = ctx;

	(void)events; /* what a hang-up means shows when we read */
	if (c->in_open)
		chr_pump(c);
	else
		c->mode->in_ended(c, 0);
}

size_t chr_read(struct chr *c, void *p, size_t n)
{
	struct ring *r = &c->in_ring;
	bool resume;

	lock_take(&c->lock);
	if (n > ring_fill(r))
		n = ring_fill(r);
	ring_copy_out(r, r->tail, p, n);
	r->tail += n;
	resume = c->in_paused && ring_fill(r) <= r->size / 2;
	if (resume)
		c->in_paused = false;
	lock_drop(&c->lock);
	if (resume)
		loop_post(c->loop, &c->in_task);
	return n;
}

bool chr_has_input(struct chr *c)
{
	bool has;

	lock_take(&c->lock);
	has = ring_fill(&c->in_ring) != 0;
	lock_drop(&c->lock);
	return has;
}

/* --- life ---------------------------------------------------------------- */

int chr_set_nonblock(int fd, int *ret_old_flags)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	*ret_old_flags = flags;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int chr_classify(struct chr *c, struct sill_err *e)
{
	struct stat st;

	if (c->in_fd >= 0 && c->in_fd == c->out_fd) {
		/* Two entries in the loop need two descriptors. */
		c->out_fd = fcntl(c->in_fd, F_DUPFD_CLOEXEC, 3);
		if (c->out_fd < 0)
			return sill_err_sys(e, errno, "duplicate a descriptor");
	}
	if (c->in_fd >= 0) {
		if (fstat(c->in_fd, &st) < 0)
			return sill_err_sys(e, errno, "input descriptor");
		c->in_socket = S_ISSOCK(st.st_mode);
		c->in_direct = S_ISREG(st.st_mode);
	}
	if (c->out_fd >= 0) {
		if (fstat(c->out_fd, &st) < 0)
			return sill_err_sys(e, errno, "output descriptor");
		c->out_kind = S_ISSOCK(st.st_mode)                         ? OUT_SOCKET
			      : S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? OUT_FILE
									   : OUT_STREAM;
	}
	return 0;
}

int chr_begin(struct chr *c, struct sill_err *e)
{
	c->out.fd = c->out_fd;
	if (in_watch(c, e) < 0)
		return -1;
	if (c->out_open)
		chr_flush(c);
	return 0;
}

void chr_unwatch(struct chr *c)
{
	loop_fd_remove(c->loop, &c->in);
	loop_fd_remove(c->loop, &c->out);
	c->in_open = false;
	c->out_open = false;
}

static const struct chr_mode *mode_find(enum sill_char_mode mode)
{
	switch (mode) {
	case SILL_CHAR_OFF:
		return NULL;
	case SILL_CHAR_NULL:
		return &chr_null_mode;
	case SILL_CHAR_TTY:
		return &chr_tty_mode;
	case SILL_CHAR_PTY:
		return &chr_pty_mode;
	case SILL_CHAR_FILE:
		return &chr_file_mode;
	case SILL_CHAR_SOCKET:
		return &chr_socket_mode;
	case SILL_CHAR_TCP:
		return &chr_tcp_mode;
	}
	return NULL;
}

static void close_fds(int in_fd, int out_fd, int listen_fd)
{
	if (out_fd != in_fd)
		fd_close(&out_fd);
	fd_close(&in_fd);
	fd_close(&listen_fd);
}

/* The ring that the output goes into. 0, or -1: no memory. */
static int history_make(struct chr *c, const struct chr_config *cfg)
{
	size_t size = CHAR_BUFFER;

	c->is_history = cfg->mode == SILL_CHAR_SOCKET;
	while (c->is_history && size < cfg->history)
		size *= 2;
	if (size > CHAR_BUFFER && (c->history = malloc(size)) == NULL)
		return -1;
	c->out_ring = (struct ring){ .data = c->history != NULL ? c->history : c->out_data,
				     .size = size };
	return 0;
}

struct chr *chr_create(const char *id, const struct chr_config *cfg, struct loop *loop,
		       struct sill_err *e)
{
	const struct chr_mode *mode = mode_find(cfg->mode);
	struct chr *c = mode != NULL ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL || (c->id = strdup(id)) == NULL || history_make(c, cfg) < 0) {
		if (mode == NULL)
			(void)sill_err_set(e, SILL_ERR_INTERNAL, "%s: mode %d has no far end", id,
					   (int)cfg->mode);
		else
			(void)sill_err_sys(e, ENOMEM, "%s", id);
		close_fds(cfg->in_fd, cfg->out_fd, cfg->listen_fd);
		if (c != NULL)
			free(c->id);
		free(c);
		return NULL;
	}
	c->mode = mode;
	c->loop = loop;
	c->in_fd = cfg->in_fd;
	c->out_fd = cfg->out_fd;
	c->listen_fd = cfg->listen_fd;
	c->file_max = cfg->max_bytes;
	c->next_file = cfg->next_file;
	c->next_ctx = cfg->ctx;
	c->dial = cfg->dial;
	c->dial_ctx = cfg->dial_ctx;
	c->dial_fd = -1;
	c->notify_fd = c->in_flags = c->out_flags = -1;
	c->in = (struct loop_fd){ .fn = in_event, .ctx = c };
	c->out = (struct loop_fd){ .fn = out_event, .ctx = c };
	c->in_task = (struct loop_task){ .fn = in_run, .ctx = c };
	c->out_task = (struct loop_task){ .fn = out_run, .ctx = c };
	c->notify_task = (struct loop_task){ .fn = notify_run, .ctx = c };
	c->out_timer = (struct loop_timer){ .fn = out_run, .ctx = c };
	lock_init(&c->lock, RANK_BACKEND);
	c->in_ring = (struct ring){ .data = c->in_data, .size = sizeof(c->in_data) };
	if (chr_classify(c, e) < 0 || (mode->open != NULL && mode->open(c, e) < 0)) {
		sill_err_wrap(e, "%s", id);
		chr_destroy(c);
		return NULL;
	}
	return c;
}

void chr_destroy(struct chr *c)
{
	if (c == NULL)
		return;
	chr_drain(c, DESTROY_MS);
	chr_unwatch(c);
	if (c->mode->close != NULL)
		c->mode->close(c);
	loop_unpost(c->loop, &c->in_task);
	loop_unpost(c->loop, &c->out_task);
	loop_unpost(c->loop, &c->notify_task);
	loop_timer_cancel(c->loop, &c->out_timer);
	loop_timer_cancel(c->loop, &c->retry);
	close_fds(c->in_fd, c->out_fd, c->listen_fd);
	lock_fini(&c->lock);
	free(c->history);
	free(c->id);
	free(c);
}
