/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - what an endpoint of the control API is: a row of routes.def, and a function.
 *
 * Base /api/v1. A call is answered by api_json(), api_text(), api_fail() or not at all, which is
 * 204. Endpoints that look run on the server's thread and shall not wait; the others on one of its
 * workers, where they may (WORKS).
 */
#ifndef RUNNER_API_API_H
#define RUNNER_API_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "sill/error.h"

/* The release of Cloud Hypervisor whose API this is. */
#define API_VERSION "53.0.0"

enum { API_FDS = 32 }; /* descriptors with one request: queues of a network card are at most 16 */

struct life;
struct events;

/* Public struct: who answers. */
struct api {
	struct life *life;
	struct events *events;
};

/* Public struct: a request and its answer. */
struct api_call {
	struct api *api;  /* borrowed */
	char query[64];   /* what stands behind '?', or "" */
	json_t *body;     /* owned; NULL: there is none */
	int fds[API_FDS]; /* owned, -1 when taken; SCM_RIGHTS */
	unsigned fd_count;

	unsigned status; /* 204 until it is said */
	const char *type;
	char *text; /* owned, from malloc(3) */
	size_t size;
	bool stream;   /* of events */
	bool only_new; /* from here on, behind an empty line; else with those that are kept */

	bool gone; /* atomic: who has asked has hung up; what takes long may end */
	/* On a worker, when the answer has nobody to go to; NULL: that is all the same. */
	void (*unheard)(struct api_call *c);
};

enum api_where { API_LOOKS, API_WORKS };
enum api_body { API_NO_BODY, API_BODY };

/* Public struct. */
struct api_route {
	const char *method; /* "GET" or "PUT" */
	const char *path;   /* "/vm.info" */
	enum api_where where;
	enum api_body body; /* BODY: an object must come */
	void (*fn)(struct api_call *c);
	const char *missing; /* fn NULL: 501, with this sentence */
};

/* All of them; ends with a NULL path. */
extern const struct api_route api_routes[];

/* 200 and @take_root, in the form of Cloud Hypervisor's answers. */
void api_json(struct api_call *c, json_t *take_root);
/* 200 and @take_text, of @size bytes, from malloc(3); NULL: there was no memory. */
void api_text(struct api_call *c, const char *type, char *take_text, size_t size);
/* @status and an array of sentences, the outermost first. */
void api_fail(struct api_call *c, unsigned status, const char *fmt, ...) SILL_PRINTF(3, 4);
/* The same from @e, behind the sentence @what; the status is @e's. */
void api_fail_err(struct api_call *c, const char *what, const struct sill_err *e);

/* Find the route of @method and @target ("/api/v1/vm.info?x"); NULL: *ret_status is 404 or 405. */
const struct api_route *api_find(const char *method, const char *target, unsigned *ret_status);
/* Answer @c, whose body was @text of @size bytes; on the right thread. */
void api_answer(struct api_call *c, const struct api_route *r, const char *text, size_t size);
void api_call_fini(struct api_call *c);

#endif
