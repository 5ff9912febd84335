/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - see client.h. */
#include "runner/api/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/api/server.h"

struct client *client_create(int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->fd = fd;
	http_init(&c->http);
	return c;
}

static void close_fds(struct client *c)
{
	for (unsigned i = 0; i < c->fd_count; i++)
		(void)close(c->fds[i]);
	c->fd_count = 0;
}

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	c->dead = true;
	if (c->job != NULL)
		__atomic_store_n(&c->job->call.gone, true, __ATOMIC_RELAXED);
}

void client_destroy(struct client *c)
{
	c->job = NULL; /* it may have been freed before */
	hang_up(c);
	close_fds(c);
	http_fini(&c->http);
	free(c->out);
	free(c);
}

/* ---- looking ---- */

bool client_owes(const struct client *c)
{
	return !c->dead && c->out_size > c->out_off;
}

static bool is_reading(const struct client *c)
{
	return !c->dead && !c->busy && !c->ended && !c->closing && !client_owes(c);
}

bool client_is_slow_now(const struct client *c)
{
	return client_owes(c) || (is_reading(c) && !c->stream && c->http.begun);
}

bool client_is_there(const struct client *c)
{
	struct pollfd p = { .fd = c->fd };

	return !c->dead && poll(&p, 1, 0) == 0;
}

bool client_is_idle(const struct client *c)
{
	return is_reading(c) && !c->stream && !c->http.begun && c->in_size == 0;
}

bool client_is_over(const struct client *c)
{
	return c->dead || (!c->busy && !client_owes(c) && (c->closing || c->ended));
}

uint32_t client_wants(const struct client *c)
{
	uint32_t events = 0;

	if (c->dead)
		return 0;
	if (is_reading(c))
		events |= EPOLLIN;
	if (client_owes(c))
		events |= EPOLLOUT;
	return events;
}

/* ---- sending ---- */

/* Room for @n bytes behind what waits. */
static char *room_for(struct client *c, size_t n)
{
	const size_t have = c->out_size - c->out_off;
	char *more;

	if (c->dead)
		return NULL;
	if (c->out_off > 0) {
		memmove(c->out, c->out + c->out_off, have);
		c->out_off = 0;
		c->out_size = have;
	}
	if (have + n <= c->out_room)
		return c->out + have;
	more = realloc(c->out, have + n);
	if (more == NULL) {
		hang_up(c);
		return NULL;
	}
	c->out = more;
	c->out_room = have + n;
	return c->out + have;
}

static void send_later(struct client *c, const char *data, size_t n)
{
	char *to = n > 0 ? room_for(c, n) : NULL;

	if (to == NULL)
		return;
	memcpy(to, data, n);
	c->out_size += n;
	c->moved = true;
}

void client_flush(struct client *c)
{
	while (client_owes(c)) {
		const ssize_t n = send(c->fd, c->out + c->out_off, c->out_size - c->out_off,
				       MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			hang_up(c);
			return;
		}
		c->out_off += (size_t)n;
		c->moved = true;
	}
	/* What one large answer took is given back. */
	if (c->out_room > CLIENT_IN) {
		free(c->out);
		c->out = NULL;
		c->out_room = 0;
	}
	c->out_off = c->out_size = 0;
}

/* ---- receiving ---- */

/* Descriptors belong to the request that they came with a part of. */
static bool keep_fds(struct client *c, struct msghdr *msg)
{
	bool fit = (msg->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m != NULL; m = CMSG_NXTHDR(msg, m)) {
		const size_t n = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(m) + i * sizeof(int), sizeof(fd));
			if (c->fd_count < API_FDS) {
				c->fds[c->fd_count++] = fd;
				continue;
			}
			(void)close(fd);
			fit = false;
		}
	}
	return fit;
}

static void refuse(struct client *c, unsigned status, bool keep, const char *why)
{
	char head[HTTP_HEAD_MAX], body[128];
	const int n = snprintf(body, sizeof(body), "[\"%s\"]", why);

	send_later(c, head, http_head(head, status, "application/json", (size_t)n, keep));
	send_later(c, body, (size_t)n);
	c->closing |= !keep;
}

static void receive(struct client *c)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(API_FDS * sizeof(int))];
	} control;
	struct iovec iov = { c->in, sizeof(c->in) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	if (c->in_size > 0 || !is_reading(c))
		return;
	n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->ended = true;
		if (n < 0 || c->http.begun)
			hang_up(c);
		return;
	}
	c->in_off = 0;
	c->in_size = (size_t)n;
	if (!keep_fds(c, &msg))
		refuse(c, 400, false, "more descriptors than any request may have");
}

void client_event(struct client *c, uint32_t events)
{
	if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
		hang_up(c);
		return;
	}
	if ((events & EPOLLOUT) != 0)
		client_flush(c);
	if ((events & (EPOLLIN | EPOLLRDHUP)) != 0)
		receive(c);
}

/* ---- requests ---- */

bool client_can_parse(const struct client *c)
{
	return is_reading(c) && !c->stream && c->in_size > 0;
}

bool client_parse(struct client *c)
{
	while (client_can_parse(c)) {
		const size_t n = http_take(&c->http, c->in + c->in_off, c->in_size);

		c->in_off += n;
		c->in_size -= n;
		if (c->http.state != HTTP_READING)
			return true;
		if (n == 0)
			break;
	}
	if (!c->dead && c->http.state == HTTP_READING && c->http.wants_continue && !c->busy) {
		c->http.wants_continue = false;
		send_later(c, http_continue, strlen(http_continue));
	}
	/* What an events' client says meanwhile is nothing to us. */
	if (c->stream)
		c->in_size = 0;
	return false;
}

static struct job *make_job(struct client *c, struct api *api, const struct api_route *route)
{
	struct http_request *r = &c->http.request;
	struct job *job = calloc(1, sizeof(*job));
	const char *query = strchr(r->target, '?');

	if (job == NULL)
		return NULL;
	job->route = route;
	job->owner = c;
	job->keep_alive = r->keep_alive;
	job->text = r->body;
	job->size = r->body_size;
	r->body = NULL;
	job->call.api = api;
	(void)snprintf(job->call.query, sizeof(job->call.query), "%s",
		       query != NULL ? query + 1 : "");
	memcpy(job->call.fds, c->fds, sizeof(c->fds));
	job->call.fd_count = c->fd_count;
	c->fd_count = 0;
	return job;
}

struct job *client_job(struct client *c, struct api *api)
{
	const struct http_request *r = &c->http.request;
	const struct api_route *route = NULL;
	unsigned status = c->http.status;
	struct job *job = NULL;

	if (c->http.state == HTTP_COMPLETE)
		route = api_find(http_method_text(r->method), r->target, &status);
	if (route != NULL) {
		job = make_job(c, api, route);
		status = 503;
	}
	if (job == NULL) {
		close_fds(c);
		/* What is not whole leaves nothing to go on with. */
		refuse(c, status, c->http.state == HTTP_COMPLETE && r->keep_alive,
		       http_reason(status));
		http_next(&c->http);
		return NULL;
	}
	c->busy = true;
	c->job = job;
	return job;
}

void client_answered(struct client *c, struct job *take_job)
{
	struct api_call *a = &take_job->call;
	const bool keep = take_job->keep_alive && !c->closing;
	char head[HTTP_HEAD_MAX];

	c->busy = false;
	c->job = NULL;
	http_next(&c->http);
	c->stream = a->stream;
	send_later(c, head,
		   http_head(head, a->status, a->type, a->stream ? SIZE_MAX : a->size,
			     keep && !a->stream));
	send_later(c, a->text, a->type != NULL ? a->size : 0);
	if (!keep)
		c->closing = !a->stream;
	if (a->only_new) {
		c->event = events_next(a->api->events);
		send_later(c, "1\r\n\n\r\n", 6);
	}
	job_free(take_job);
}

/* ---- events ---- */

void client_feed(struct client *c, struct events *ev)
{
	char lines[8 * EVENT_MAX];
	size_t n;

	while (c->stream && !c->dead && !c->closing && c->out_size - c->out_off < SERVER_STREAM &&
	       (n = events_read(ev, &c->event, lines, sizeof(lines))) > 0) {
		char size[16];

		send_later(c, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", n));
		send_later(c, lines, n);
		send_later(c, "\r\n", 2);
	}
}

void client_end_stream(struct client *c, struct events *ev)
{
	if (!c->stream || c->dead)
		return;
	client_feed(c, ev);
	send_later(c, "0\r\n\r\n", 5);
	c->closing = true;
	client_flush(c);
}

void client_too_slow(struct client *c)
{
	if (client_owes(c)) {
		hang_up(c);
		return;
	}
	refuse(c, 408, false, "the rest of the request did not come");
	client_flush(c);
}
