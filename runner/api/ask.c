/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - see ask.h. */
#include "runner/api/ask.h"

#include <errno.h>
#include <http_parser.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runner/host/rundir.h"
#include "runner/host/socket.h"

int ask_path(const char *name, char *ret, size_t size, struct sill_err *e)
{
	struct rundir_vm vm;

	if (strchr(name, '/') != NULL) {
		if (snprintf(ret, size, "%s", name) >= (int)size)
			return sill_err_sys(e, ENAMETOOLONG, "'%s'", name);
		return 0;
	}
	if (rundir_find(name, &vm, e) < 0)
		return -1;
	(void)snprintf(ret, size, "%s/api.sock", vm.path);
	return 0;
}

static struct timeval time_of(unsigned ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

void ask_patience(int fd, unsigned ms)
{
	const struct timeval t = time_of(ms);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

int ask_connect(const char *path, unsigned patience_s, struct sill_err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct timeval patience = time_of(patience_s * 1000);
	int fd, err;

	if (strlen(path) >= sizeof(at.sun_path))
		return sill_err_sys(e, ENAMETOOLONG, "'%s'", path);
	memcpy(at.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return sill_err_sys(e, errno, "connect to '%s'", path);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	ask_patience(fd, patience_s * 1000);
	err = connect(fd, (const struct sockaddr *)&at, sizeof(at));
	if (err < 0 && errno == ECONNREFUSED) {
		/* A VM that starts may be about to listen. */
		socket_settle(path);
		err = connect(fd, (const struct sockaddr *)&at, sizeof(at));
	}
	if (err == 0)
		return fd;
	err = errno == EAGAIN ? ETIMEDOUT : errno;
	(void)sill_err_sys(e, err, "connect to '%s'", path);
	if (err == ENOENT || err == ECONNREFUSED)
		(void)sill_err_hint(e, "nobody listens there: does the VM run?");
	(void)close(fd);
	return -1;
}

int ask_connect_vm(const struct rundir_vm *vm, unsigned patience_s, struct sill_err *e)
{
	char path[RUNDIR_PATH + 16];

	(void)snprintf(path, sizeof(path), "%s/api.sock", vm->path);
	return ask_connect(path, patience_s, e);
}

static int send_all(int fd, const char *data, size_t n, struct sill_err *e)
{
	while (n > 0) {
		const ssize_t done = send(fd, data, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return sill_err_sys(e, errno == EAGAIN ? ETIMEDOUT : errno,
					    "send the request");
		data += done;
		n -= (size_t)done;
	}
	return 0;
}

static int send_request(int fd, const struct ask_request *q, struct sill_err *e)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "%s /api/v1%s HTTP/1.1\r\nHost: localhost\r\n",
			 q->method, q->target);

	if (q->body != NULL)
		n += snprintf(head + n, sizeof(head) - (size_t)n,
			      "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			      strlen(q->body));
	n += snprintf(head + n, sizeof(head) - (size_t)n, "\r\n");
	if (send_all(fd, head, (size_t)n, e) < 0)
		return -1;
	return q->body != NULL ? send_all(fd, q->body, strlen(q->body), e) : 0;
}

/* ---- the answer ---- */

struct reading {
	struct ask_answer *answer;
	int (*fn)(void *ctx, const char *line);
	void *ctx;
	int said; /* what fn has returned */
	bool done, too_much;
};

/* Whole lines go to fn; the rest stays. */
static void give_lines(struct reading *r)
{
	struct ask_answer *a = r->answer;
	char *end;

	while (r->said == 0 && (end = memchr(a->body, '\n', a->size)) != NULL) {
		const size_t n = (size_t)(end - a->body) + 1;

		*end = '\0';
		r->said = r->fn(r->ctx, a->body);
		memmove(a->body, a->body + n, a->size - n);
		a->size -= n;
		a->body[a->size] = '\0';
	}
}

static int on_body(http_parser *p, const char *at, size_t n)
{
	struct reading *r = p->data;
	struct ask_answer *a = r->answer;
	const bool lines = r->fn != NULL && p->status_code == 200;
	char *more;

	if (n > (lines ? ASK_LINE : ASK_ANSWER) - a->size) {
		r->too_much = true;
		return -1;
	}
	more = realloc(a->body, a->size + n + 1);
	if (more == NULL)
		return -1;
	memcpy(more + a->size, at, n);
	a->body = more;
	a->size += n;
	a->body[a->size] = '\0';
	if (lines)
		give_lines(r);
	return 0;
}

static int on_complete(http_parser *p)
{
	struct reading *r = p->data;

	r->done = p->status_code != 100;
	return 0;
}

/* Until it is whole, or fn has said enough. */
static int receive(int fd, struct reading *r, struct sill_err *e)
{
	static const http_parser_settings settings = { .on_body = on_body,
						       .on_message_complete = on_complete };
	char data[16 * 1024];
	http_parser p;

	http_parser_init(&p, HTTP_RESPONSE);
	p.data = r;
	while (!r->done && r->said == 0) {
		const ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sill_err_sys(e, errno == EAGAIN ? ETIMEDOUT : errno,
					    "wait for the VM's answer");
		if (n == 0)
			return sill_err_set(e, SILL_ERR_HOST,
					    "the VM's process ended before it had answered");
		(void)http_parser_execute(&p, &settings, data, (size_t)n);
		if (HTTP_PARSER_ERRNO(&p) != HPE_OK)
			return sill_err_set(e, SILL_ERR_HOST, "the answer is %s",
					    r->too_much ? "too long" : "no HTTP");
	}
	r->answer->status = p.status_code;
	return 0;
}

static int begin(struct ask_answer *a, struct sill_err *e)
{
	*a = (struct ask_answer){ .body = calloc(1, 1) };
	return a->body != NULL ? 0 : sill_err_sys(e, ENOMEM, "the answer");
}

int ask(int fd, const struct ask_request *q, struct ask_answer *ret, struct sill_err *e)
{
	struct reading r = { .answer = ret };

	if (begin(ret, e) < 0)
		return -1;
	if (send_request(fd, q, e) == 0 && receive(fd, &r, e) == 0)
		return 0;
	free(ret->body);
	ret->body = NULL;
	return -1;
}

int ask_lines(int fd, const char *target, int (*fn)(void *ctx, const char *line), void *ctx,
	      struct sill_err *e)
{
	struct ask_answer a;
	const struct ask_request q = { "GET", target, NULL };
	struct reading r = { .answer = &a, .fn = fn, .ctx = ctx };
	int ret = -1;

	if (begin(&a, e) < 0)
		return -1;
	if (send_request(fd, &q, e) == 0 && receive(fd, &r, e) == 0) {
		ret = r.said;
		if (a.status != 200)
			ret = sill_err_set(e, SILL_ERR_HOST, "the VM answers with status %u",
					   a.status);
	}
	free(a.body);
	return ret;
}
