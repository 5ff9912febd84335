/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - see http.h. The grammar is http_parser's; limits, and what a body may be, are ours.
 *
 * A client of Cloud Hypervisor looks for "Content-Length: " in this very spelling, and takes all that
 * stands behind "HTTP/1.1 " in the first line for the status, which must be a number: so no reason
 * follows it, as none follows in the original's answers (RFC 9112 wants the space).
 */
#include "runner/api/http.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char http_continue[] = "HTTP/1.1 100 \r\n\r\n";

static struct http *of(http_parser *p)
{
	return p->data;
}

static int fail(struct http *h, unsigned status)
{
	h->state = HTTP_BAD;
	h->status = status;
	return -1;
}

static int on_begin(http_parser *p)
{
	of(p)->begun = true;
	return 0;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
	struct http *h = of(p);

	if (n >= sizeof(h->request.target) - h->target_size)
		return fail(h, 414);
	memcpy(h->request.target + h->target_size, at, n);
	h->target_size += (unsigned)n;
	h->request.target[h->target_size] = '\0';
	return 0;
}

static int count_header(struct http *h, size_t n)
{
	h->headers += n;
	return h->headers > HTTP_HEADERS ? fail(h, 431) : 0;
}

/* As much of a word as is needed to tell it from others. */
static void collect(char *dst, unsigned room, unsigned *size, const char *at, size_t n)
{
	for (size_t i = 0; i < n && *size + 1 < room; i++)
		dst[(*size)++] = at[i];
	dst[*size] = '\0';
}

static int on_field(http_parser *p, const char *at, size_t n)
{
	struct http *h = of(p);

	if (h->in_expect || h->value_size > 0)
		h->name_size = h->value_size = 0;
	h->in_expect = false;
	collect(h->name, sizeof(h->name), &h->name_size, at, n);
	return count_header(h, n);
}

static int on_value(http_parser *p, const char *at, size_t n)
{
	struct http *h = of(p);

	h->in_expect = true;
	collect(h->value, sizeof(h->value), &h->value_size, at, n);
	if (strcasecmp(h->name, "expect") == 0)
		h->wants_continue = strcasecmp(h->value, "100-continue") == 0;
	return count_header(h, n);
}

static int on_headers(http_parser *p)
{
	struct http *h = of(p);

	if (p->http_major != 1)
		return fail(h, 505);
	if (p->upgrade || p->method == HTTP_CONNECT)
		return fail(h, 501);
	if ((p->flags & F_CONTENTLENGTH) != 0 && p->content_length != ULLONG_MAX &&
	    p->content_length > HTTP_BODY)
		return fail(h, 413);
	h->wants_continue = h->wants_continue && p->http_minor >= 1;
	return 0;
}

/* Chunks have no length beforehand. */
static int make_room(struct http *h, size_t n)
{
	struct http_request *r = &h->request;
	size_t room = h->room == 0 ? 4096 : h->room;
	char *body;

	if (n > HTTP_BODY - r->body_size)
		return fail(h, 413);
	while (room < r->body_size + n + 1)
		room *= 2;
	if (room == h->room)
		return 0;
	body = realloc(r->body, room);
	if (body == NULL)
		return fail(h, 503);
	r->body = body;
	h->room = room;
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
	struct http *h = of(p);

	h->wants_continue = false; /* it has not waited */
	if (make_room(h, n) < 0)
		return -1;
	memcpy(h->request.body + h->request.body_size, at, n);
	h->request.body_size += n;
	h->request.body[h->request.body_size] = '\0';
	return 0;
}

static int on_complete(http_parser *p)
{
	struct http *h = of(p);

	h->request.method = (enum http_method)p->method;
	h->request.keep_alive = http_should_keep_alive(p) != 0;
	h->wants_continue = false;
	h->state = HTTP_COMPLETE;
	http_parser_pause(p, 1);
	return 0;
}

void http_init(struct http *h)
{
	*h = (struct http){ .state = HTTP_READING };
	http_parser_init(&h->parser, HTTP_REQUEST);
	h->parser.data = h;
}

void http_fini(struct http *h)
{
	free(h->request.body);
	h->request.body = NULL;
}

size_t http_take(struct http *h, const char *data, size_t n)
{
	static const http_parser_settings settings = {
		.on_message_begin = on_begin,
		.on_url = on_url,
		.on_header_field = on_field,
		.on_header_value = on_value,
		.on_headers_complete = on_headers,
		.on_body = on_body,
		.on_message_complete = on_complete,
	};
	size_t done;

	if (h->state != HTTP_READING || n == 0)
		return 0;
	done = http_parser_execute(&h->parser, &settings, data, n);
	if (h->state == HTTP_READING && HTTP_PARSER_ERRNO(&h->parser) != HPE_OK)
		(void)fail(h, HTTP_PARSER_ERRNO(&h->parser) == HPE_HEADER_OVERFLOW ? 431 : 400);
	return done;
}

void http_next(struct http *h)
{
	http_fini(h);
	http_init(h);
}

const char *http_method_text(enum http_method m)
{
	return http_method_str(m);
}

const char *http_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Unknown";
}

size_t http_head(char ret[HTTP_HEAD_MAX], unsigned status, const char *type, size_t size,
		 bool keep_alive)
{
	char body[96] = "";
	int n;

	if (type != NULL && size == SIZE_MAX)
		(void)snprintf(body, sizeof(body),
			       "Content-Type: %.32s\r\nTransfer-Encoding: chunked\r\n", type);
	else if (type != NULL)
		(void)snprintf(body, sizeof(body), "Content-Type: %.32s\r\nContent-Length: %zu\r\n",
			       type, size);
	else if (status != 204)
		(void)snprintf(body, sizeof(body), "Content-Length: 0\r\n");
	n = snprintf(ret, HTTP_HEAD_MAX,
		     "HTTP/1.1 %u \r\nServer: Cloud Hypervisor API\r\nConnection: %s\r\n%s%s\r\n",
		     status, keep_alive ? "keep-alive" : "close",
		     status == 405 ? "Allow: GET, PUT\r\n" : "", body);
	return (size_t)n;
}
