/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_hub.c - a listening socket with many readers and one history: sill/console.h tells what they say.
 *
 * Each reader has a place in the output ring, and gets what is behind it as fast as it takes it. Who is so
 * slow that the ring runs over him loses the oldest bytes, which are counted; the guest and the others do
 * not notice. One reader has the pen: what it sends is the guest's input.
 *
 * A client may close its sending side and go on reading (`printf ... | socat - UNIX:...`): then input is over
 * and output goes on. One that is gone altogether may have left bytes that the guest has not taken yet: they
 * are read first.
 *
 * Main loop only; the lock of struct chr is taken by the functions of chr.c that are called here.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "backend/serial/chr_priv.h"
#include "base/fd.h"
#include "base/le.h"
#include "core/clock.h"
#include "sill/console.h"

enum {
	TURN_MAX = 8,   /* pieces for one reader in a turn of the loop: others want it too */
	READ_MAX = 4,   /* likewise, from one */
	LINE_MAX = 512, /* of a line that was begun */
	MARKS = 64,
	FIXED = SILL_CONSOLE_HELLO_FIX,
	HELLO = SILL_CONSOLE_HELLO_SIZE,
	HEAD = SILL_CONSOLE_HEAD,
	ROOM = SILL_CONSOLE_HEAD + SILL_CONSOLE_FRAME,
};

/* What we take it for. */
enum speech {
	SPEECH_UNKNOWN, /* it has said nothing, or a part of a hello */
	SPEECH_PLAIN,
	SPEECH_FRAMES,
};

struct reader {
	struct reader *next;
	struct chr *c; /* borrowed */
	int fd;        /* owned */
	uint32_t pid;  /* 0: not known */
	struct loop_fd watch;
	uint32_t watched;
	enum speech speech;
	bool in_open, out_open;
	bool stuck;   /* it takes nothing now: EPOLLOUT continues */
	bool blocked; /* in[] is for the guest, which has no room for it now */
	/* What has been said to one that speaks in frames. */
	bool start_asked, hello_due, live_due, pen_due, ago_due;
	uint64_t ago_back;
	uint64_t pos;
	uint64_t lost; /* not said yet */
	uint64_t refused;
	size_t frame_left; /* of an input frame whose head is done with */
	size_t in_n, out_n, out_at;
	uint8_t hello[HELLO];
	uint8_t in[ROOM], out[ROOM];
};

/* What begins at @pos was written from then on, as near as one can say with so few. */
struct mark {
	uint64_t pos, ns;
};

struct hub {
	struct mark mark[MARKS];
	unsigned marks;
	struct mark newest;   /* all before @pos had been written then */
	struct reader *first; /* owned */
	struct reader *pen;   /* in the list; NULL: free */
	unsigned count;
};

static const uint64_t MARK_NS = 1000ull * 1000 * 1000;

/* --- when it was said ---------------------------------------------------------- */

/* A mark a second while there is room, then every other one goes. */
static void note_time(struct hub *h, uint64_t head)
{
	const struct mark begin = { h->newest.pos, host_now() };

	if (head == h->newest.pos)
		return;
	h->newest = (struct mark){ head, begin.ns };
	if (h->marks > 0 && begin.ns - h->mark[h->marks - 1].ns < MARK_NS)
		return;
	if (h->marks == MARKS) {
		h->marks /= 2;
		for (unsigned i = 1; i < h->marks; i++)
			h->mark[i] = h->mark[2 * (size_t)i];
	}
	h->mark[h->marks++] = begin;
}

static uint64_t ms_since(uint64_t ns)
{
	return (host_now() - ns) / 1000000;
}

/* Of the byte at @pos. */
static uint64_t ms_ago(const struct hub *h, uint64_t pos)
{
	unsigned i = h->marks;

	while (i > 1 && h->mark[i - 1].pos > pos)
		i--;
	return i > 0 ? ms_since(h->mark[i - 1].ns) : UINT64_MAX;
}

/* --- who is there ------------------------------------------------------------ */

/* It waits for the guest no more: what is in in[] is refused when it is read on, or at once if it has ended. */
static void unblock(struct reader *r)
{
	r->blocked = false;
	if (r->in_open)
		return;
	r->refused += r->in_n;
	r->in_n = 0;
}

/* Only another reader takes it from its holder, whose in[] nobody is at then. */
static void pen_set(struct chr *c, struct reader *to)
{
	if (c->hub->pen == to)
		return;
	if (c->hub->pen != NULL && to != NULL)
		unblock(c->hub->pen);
	c->hub->pen = to;
	for (struct reader *r = c->hub->first; r != NULL; r = r->next)
		r->pen_due = true;
}

static void tell_connected(struct chr *c)
{
	bool any = false;

	for (struct reader *r = c->hub->first; r != NULL; r = r->next)
		any = any || r->out_open;
	chr_set_connected(c, any);
}

static void count_lost(struct reader *r, uint64_t n)
{
	if (n == 0)
		return;
	r->lost += n;
	chr_add_dropped(r->c, n);
}

static void reader_destroy(struct reader *r)
{
	struct chr *c = r->c;
	uint64_t lost;

	(void)chr_recall(c, &r->pos, r->out, 0, &lost);
	count_lost(r, lost);
	if (r->lost > 0 && r->speech != SPEECH_FRAMES)
		log_guest(&c->bucket, c->id, "a reader was too slow: %llu bytes lost",
			  (unsigned long long)r->lost);
	if (r->refused > 0)
		log_guest(&c->bucket, c->id, "%llu bytes of input dropped: another one had the pen",
			  (unsigned long long)r->refused);
	for (struct reader **at = &c->hub->first; *at != NULL; at = &(*at)->next) {
		if (*at == r) {
			*at = r->next;
			break;
		}
	}
	c->hub->count--;
	if (c->hub->pen == r)
		pen_set(c, NULL);
	loop_fd_remove(c->loop, &r->watch);
	fd_close(&r->fd);
	free(r);
}

static bool is_done(const struct reader *r)
{
	return !r->in_open && r->in_n == 0 && (!r->out_open || chr_is_gone(r->fd));
}

/* Wait for what there can be. */
static void reader_watch(struct reader *r)
{
	const uint32_t out = r->stuck ? EPOLLOUT : 0, in = r->in_open && !r->blocked ? EPOLLIN : 0;
	struct sill_err e = { 0 };
	/* What hung up and is not read out would be said again and again. */
	const bool nothing = r->blocked && out == 0;

	if (r->watch.added && !nothing && r->watched == (in | out))
		return;
	loop_fd_remove(r->c->loop, &r->watch);
	r->watched = in | out;
	if (nothing || loop_fd_add(r->c->loop, &r->watch, in | out, &e) == 0)
		return;
	log_guest(&r->c->bucket, r->c->id, "client turned away: %s", e.msg);
	r->in_open = r->out_open = false;
	r->in_n = 0;
}

/* After everything that may have changed readers: those that are done go, the others are watched. */
static void settle(struct chr *c)
{
	struct reader *next;

	for (struct reader *r = c->hub->first; r != NULL; r = next) {
		next = r->next;
		reader_watch(r);
		if (is_done(r))
			reader_destroy(r);
	}
	tell_connected(c);
}

/* --- to the readers ----------------------------------------------------------- */

static uint8_t *frame(struct reader *r, enum sill_console_frame type, size_t n)
{
	r->out[0] = (uint8_t)type;
	r->out[1] = 0;
	st16(r->out + 2, (uint16_t)n);
	r->out_n = HEAD + n;
	return r->out + HEAD;
}

/* What has to be said before the next output. False: nothing. */
static bool fill_news(struct reader *r)
{
	const struct reader *pen = r->c->hub->pen;
	uint8_t *at;

	if (r->hello_due) {
		memcpy(r->out, r->hello, HELLO);
		r->out_n = HELLO;
		r->hello_due = false;
	} else if (r->speech != SPEECH_FRAMES || !r->start_asked) {
		return false;
	} else if (r->pen_due) {
		at = frame(r, SILL_CONSOLE_PEN, 5);
		at[0] = pen == NULL ? SILL_CONSOLE_PEN_FREE
			: pen == r  ? SILL_CONSOLE_PEN_YOURS
				    : SILL_CONSOLE_PEN_TAKEN;
		st32(at + 1, pen != NULL ? pen->pid : 0);
		r->pen_due = false;
	} else if (r->lost > 0) {
		st64(frame(r, SILL_CONSOLE_LOST, 8), r->lost);
		r->lost = 0;
	} else if (r->ago_due) {
		const struct hub *h = r->c->hub;

		at = frame(r, SILL_CONSOLE_AGO, 16);
		st64(at, ms_ago(h, r->pos - (r->ago_back < r->pos ? r->ago_back : r->pos)));
		st64(at + 8, h->marks > 0 ? ms_since(h->newest.ns) : UINT64_MAX);
		r->ago_due = false;
	} else {
		return false;
	}
	return true;
}

/* The next piece into out[]. False: there is none. */
static bool fill(struct reader *r)
{
	const bool framed = r->speech == SPEECH_FRAMES;
	uint64_t lost;
	size_t n;

	r->out_n = r->out_at = 0;
	if (fill_news(r))
		return true;
	if (framed && !r->start_asked)
		return false;
	n = chr_recall(r->c, &r->pos, r->out + HEAD, SILL_CONSOLE_FRAME, &lost);
	count_lost(r, lost);
	if (framed && r->lost > 0) {
		r->pos -= n; /* first it is told that there is a gap */
		return fill_news(r);
	}
	if (n == 0) {
		if (!framed || !r->live_due)
			return false;
		(void)frame(r, SILL_CONSOLE_LIVE, 0);
		r->live_due = false;
		return true;
	}
	if (framed) {
		(void)frame(r, SILL_CONSOLE_OUTPUT, n);
	} else {
		r->out_at = HEAD;
		r->out_n = HEAD + n;
	}
	return true;
}

/* Send what it takes. True: it is at the end, or takes no more now; false: there is more. */
static bool send_out(struct reader *r)
{
	for (unsigned i = 0; i < TURN_MAX && r->out_open;) {
		ssize_t n;

		if (r->out_at == r->out_n && !fill(r))
			return true;
		n = send(r->fd, r->out + r->out_at, r->out_n - r->out_at,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			r->stuck = true;
			return true;
		}
		if (n <= 0) {
			r->out_open = r->stuck = false;
			return true;
		}
		r->out_at += (size_t)n;
		i++;
	}
	return !r->out_open;
}

static void hub_flush(struct chr *c)
{
	const uint64_t head = chr_head(c);
	bool alone = c->out_fd < 0, more;

	if (c->hub == NULL)
		return;
	note_time(c->hub, head);
	more = !chr_log(c);
	for (struct reader *r = c->hub->first; r != NULL; r = r->next) {
		if (r->out_open && !r->stuck)
			more = !send_out(r) || more;
		alone = alone && (r->stuck || !r->out_open);
	}
	settle(c);
	chr_flushed(c, head, alone);
	if (more)
		loop_post(c->loop, &c->out_task);
}

static bool is_behind(const struct reader *r, uint64_t head)
{
	const bool waits = r->speech == SPEECH_FRAMES && !r->start_asked;

	return r->out_open && !waits && (r->out_at < r->out_n || r->pos < head);
}

static void hub_drain(struct chr *c, uint64_t deadline_ns)
{
	while (c->hub != NULL) {
		struct pollfd p[SILL_CONSOLE_READERS];
		const uint64_t head = chr_head(c);
		nfds_t count = 0;
		uint64_t now;

		for (struct reader *r = c->hub->first; r != NULL; r = r->next)
			r->stuck = false;
		hub_flush(c);
		for (struct reader *r = c->hub->first; r != NULL; r = r->next) {
			if (is_behind(r, head))
				p[count++] = (struct pollfd){ .fd = r->fd, .events = POLLOUT };
		}
		now = host_now();
		if (count == 0 && c->log_pos < head && c->out_fd >= 0)
			continue; /* a file takes everything */
		if (count == 0 || now >= deadline_ns)
			return;
		(void)poll(p, count, (int)((deadline_ns - now + 999999) / 1000000));
	}
}

/* --- from the readers ----------------------------------------------------------- */

static void read_in(struct reader *r);

/* The pen's holder may have hung up without our noticing: what it sent is read, as far as the guest takes it. */
static void pen_look(struct chr *c)
{
	struct reader *pen = c->hub->pen;

	if (pen == NULL || !chr_is_gone(pen->fd))
		return;
	read_in(pen);
	pen->in_open = pen->blocked = false;
	pen->in_n = 0;
	pen_set(c, NULL);
}

/* Input for the guest. How many bytes are done with. */
static size_t give_guest(struct reader *r, const uint8_t *p, size_t n)
{
	struct hub *hub = r->c->hub;
	size_t taken;

	if (hub->pen != r)
		pen_look(r->c);
	if (hub->pen == NULL)
		pen_set(r->c, r);
	if (hub->pen != r) {
		r->refused += n;
		r->pen_due = true;
		return n;
	}
	taken = chr_push(r->c, p, n);
	r->blocked = taken < n;
	return taken;
}

/* What it sent first, until it is known whether that is a hello. How many bytes are done with. */
static size_t take_hello(struct reader *r)
{
	static const uint8_t fixed[FIXED + 1] = SILL_CONSOLE_HELLO;
	const size_t n = r->in_n < HELLO ? r->in_n : HELLO;
	bool is_one = memcmp(r->in, fixed, n < FIXED ? n : FIXED) == 0;

	for (size_t i = FIXED; is_one && i < n; i++) {
		const uint8_t b = r->in[i];

		is_one = i == HELLO - 1 ? b == '\n'
					: (b >= '0' && b <= '9') || (b >= 'a' && b <= 'f');
	}
	if (!is_one || (n < HELLO && !r->in_open))
		r->speech = SPEECH_PLAIN;
	else if (n == HELLO) {
		memcpy(r->hello, r->in, HELLO);
		r->speech = SPEECH_FRAMES;
		r->hello_due = true;
		return HELLO;
	}
	return 0;
}

/* A whole frame that is not input. False: there is no such frame. */
static bool obey(struct reader *r, uint8_t type, const uint8_t *p, size_t n)
{
	struct chr *c = r->c;

	if (type == SILL_CONSOLE_START && n == 1 && !r->start_asked) {
		if (p[0] == SILL_CONSOLE_FROM_LINE)
			r->pos = chr_last_line(c, LINE_MAX);
		else
			r->pos = 0;
		/* What had gone before it came is not lost to it. */
		(void)chr_recall(c, &r->pos, r->in, 0, &r->lost);
		r->lost = 0;
		r->start_asked = r->live_due = r->pen_due = true;
	} else if (type == SILL_CONSOLE_TAKE && n == 0) {
		pen_set(c, r);
	} else if (type == SILL_CONSOLE_GIVE && n == 0) {
		if (c->hub->pen == r)
			pen_set(c, NULL);
	} else if (type == SILL_CONSOLE_BREAK && n == 0) {
		if (c->hub->pen == NULL || c->hub->pen == r)
			chr_inject_break(c);
	} else if (type == SILL_CONSOLE_WHEN && n == 8) {
		r->ago_back = ld64(p);
		r->ago_due = true;
	} else if (type == SILL_CONSOLE_SIZE && n == 4) {
		struct chr_user u;

		lock_take(&c->lock);
		u = c->user;
		lock_drop(&c->lock);
		if (u.resized != NULL)
			u.resized(u.ctx, ld16(p), ld16(p + 2));
	} else {
		return false;
	}
	return true;
}

/* How many bytes of in[] are done with; 0: the rest of a frame is missing, or there is no room for it. */
static size_t take_frame(struct reader *r)
{
	size_t n, take;

	if (r->frame_left > 0) {
		take = r->in_n < r->frame_left ? r->in_n : r->frame_left;
		n = give_guest(r, r->in, take);
		r->frame_left -= n;
		return n;
	}
	if (r->in_n < HEAD)
		return 0;
	n = ld16(r->in + 2);
	if (r->in[1] != 0 || n > SILL_CONSOLE_FRAME)
		goto bad;
	if (r->in[0] == SILL_CONSOLE_INPUT) {
		r->frame_left = n;
		return HEAD;
	}
	if (r->in_n < HEAD + n)
		return 0;
	if (obey(r, r->in[0], r->in + HEAD, n))
		return HEAD + n;
bad:
	log_guest(&r->c->bucket, r->c->id,
		  "a client was turned away: it does not speak as it said");
	r->in_open = r->out_open = false;
	return r->in_n;
}

/* Do what in[] says, as far as it goes. */
static void consume(struct reader *r)
{
	size_t n;

	r->blocked = false;
	do {
		if (r->in_n == 0)
			return;
		if (r->speech == SPEECH_UNKNOWN) {
			n = take_hello(r);
			if (n == 0 && r->speech == SPEECH_UNKNOWN)
				return;
		} else if (r->speech == SPEECH_PLAIN) {
			n = give_guest(r, r->in, r->in_n);
		} else {
			n = take_frame(r);
		}
		r->in_n -= n;
		memmove(r->in, r->in + n, r->in_n);
	} while (!r->blocked && (n > 0 || r->speech == SPEECH_PLAIN));
}

static void read_in(struct reader *r)
{
	consume(r);
	for (unsigned i = 0; i < READ_MAX && r->in_open && !r->blocked; i++) {
		const ssize_t n =
			recv(r->fd, r->in + r->in_n, sizeof(r->in) - r->in_n, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			r->in_open = false;
			consume(r); /* half a hello is none */
			if (!r->blocked)
				r->in_n = 0;
			if (!r->blocked && r->c->hub->pen == r)
				pen_set(r->c, NULL);
			return;
		}
		r->in_n += (size_t)n;
		consume(r);
	}
}

static void hub_resume(struct chr *c)
{
	struct reader *pen = c->hub->pen;

	if (pen == NULL || !pen->blocked)
		return;
	read_in(pen);
	hub_flush(c); /* who has hung up meanwhile is found out, and the others hear of the pen */
}

static void reader_event(void *ctx, uint32_t events)
{
	struct reader *r = ctx;
	struct chr *c = r->c;

	if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
		r->stuck = false;
	if (r->in_open && !r->blocked)
		read_in(r);
	hub_flush(c);
}

/* --- life ---------------------------------------------------------------------- */

static void arrived(void *ctx, uint32_t events)
{
	struct chr *c = ctx;
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);
	auto_fd fd = chr_accept(c);
	struct reader *r;

	(void)events;
	if (fd < 0)
		return;
	settle(c); /* who has gone makes room */
	r = c->hub->count < SILL_CONSOLE_READERS ? calloc(1, sizeof(*r)) : NULL;
	if (r == NULL) {
		log_guest(&c->bucket, c->id, "a client was turned away: %u are there",
			  c->hub->count);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid > 0)
		r->pid = (uint32_t)who.pid;
	r->c = c;
	r->fd = fd_take(&fd);
	r->in_open = r->out_open = true;
	r->watch = (struct loop_fd){ .fd = r->fd, .fn = reader_event, .ctx = r };
	(void)chr_recall(c, &r->pos, r->out, 0, &r->lost);
	r->lost = 0; /* it was not there */
	r->next = c->hub->first;
	c->hub->first = r;
	c->hub->count++;
	read_in(r); /* a hello that is there already comes before any output */
	hub_flush(c);
}

static int hub_open(struct chr *c, struct sill_err *e)
{
	struct stat st;

	c->hub = calloc(1, sizeof(*c->hub));
	if (c->hub == NULL)
		return sill_err_sys(e, ENOMEM, "the readers");
	if (c->out_fd >= 0) {
		if (fstat(c->out_fd, &st) < 0)
			return sill_err_sys(e, errno, "log");
		c->file_size = (uint64_t)st.st_size;
		if (!S_ISREG(st.st_mode))
			c->file_max = 0;
	}
	return chr_listen(c, arrived, e);
}

static void hub_close(struct chr *c)
{
	chr_listen_end(c);
	while (c->hub != NULL && c->hub->first != NULL)
		reader_destroy(c->hub->first);
	free(c->hub);
	c->hub = NULL;
}

static const struct chr_own hub_own = {
	.flush = hub_flush,
	.resume = hub_resume,
	.drain = hub_drain,
};

const struct chr_mode chr_socket_mode = {
	.open = hub_open,
	.close = hub_close,
	.own = &hub_own,
};
