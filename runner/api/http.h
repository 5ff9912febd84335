/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - HTTP/1.1 (RFC 9112) of one connection: bytes in, requests out, answers as bytes.
 *
 * Pure: no socket, no clock. What comes is a stranger's: sizes are limited before they are
 * allocated, and a request is whole before anybody looks at it. One thread at a time.
 */
#ifndef RUNNER_API_HTTP_H
#define RUNNER_API_HTTP_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_TARGET = 256,           /* bytes of a request's target; the longest of ours has 60 */
	HTTP_HEADERS = 16 * 1024,    /* bytes of its headers, all together */
	HTTP_BODY = 4 * 1024 * 1024, /* bytes of a body: Cloud Hypervisor's limit */
	HTTP_HEAD_MAX = 256,         /* of an answer, from http_head() */
};

/* Public struct: a request, whole. */
struct http_request {
	enum http_method method;
	char target[HTTP_TARGET]; /* as it was sent, with a query if there is one */
	char *body;               /* owned; NULL: none. Followed by a NUL that is not counted */
	size_t body_size;
	bool keep_alive;
};

enum http_state {
	HTTP_READING,  /* there is more to come */
	HTTP_COMPLETE, /* request is whole; the next one begins with http_next() */
	HTTP_BAD,      /* status says what to answer; nothing more is taken */
};

/* Public struct. */
struct http {
	struct http_request request;
	enum http_state state;
	unsigned status;     /* BAD: 400, 413, 414, 417, 431 ... */
	bool begun;          /* the first byte of a request has come */
	bool wants_continue; /* the client waits for http_continue before it sends the body */

	/* Private. */
	http_parser parser;
	size_t headers, room;
	unsigned target_size;
	bool in_expect, target_done;
	char name[8], value[16]; /* the beginning of a header's */
	unsigned name_size, value_size;
};

extern const char http_continue[];

void http_init(struct http *h);
/* Take the request's body along. */
void http_fini(struct http *h);
/* Returns how many of the @n bytes were taken: all, or up to the end of a request or the mistake. */
size_t http_take(struct http *h, const char *data, size_t n);
/* The request that is complete has been answered. */
void http_next(struct http *h);

/* "GET", "PUT" ... */
const char *http_method_text(enum http_method m);
/* The words that go with a status. */
const char *http_reason(unsigned status);
/*
 * The head of an answer in @ret. @type NULL: it has no body. @size SIZE_MAX: a body of chunks, as long
 * as it takes. Returns its length.
 */
size_t http_head(char ret[HTTP_HEAD_MAX], unsigned status, const char *type, size_t size,
		 bool keep_alive);

#endif
