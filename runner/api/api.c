/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - the table of endpoints, and how they answer; see api.h. */
#include "runner/api/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/api/handlers.h"
#include "runner/report/json.h"

#define BASE "/api/v1"

enum { DEPTH_MAX = 64 }; /* the deepest of ours has 6 */

const struct api_route api_routes[] = {
#define ROUTE(method, path, where, body, name) \
	{ #method, path, API_##where, API_##body, api_##name, NULL },
#define MISSING(path, why) { "PUT", path, API_LOOKS, API_NO_BODY, NULL, why },
#include "runner/api/routes.def"
#undef ROUTE
#undef MISSING
	{ 0 },
};

const struct api_route *api_find(const char *method, const char *target, unsigned *ret_status)
{
	const size_t base = strlen(BASE);
	const size_t n = strcspn(target, "?");

	*ret_status = 404;
	if (n <= base || strncmp(target, BASE, base) != 0)
		return NULL;
	for (const struct api_route *r = api_routes; r->path != NULL; r++) {
		if (strlen(r->path) != n - base || strncmp(r->path, target + base, n - base) != 0)
			continue;
		if (strcmp(r->method, method) == 0)
			return r;
		*ret_status = 405;
	}
	return NULL;
}

/* ---- answers ---- */

void api_text(struct api_call *c, const char *type, char *take_text, size_t size)
{
	free(c->text);
	c->text = take_text;
	c->size = take_text != NULL ? size : 0;
	c->type = take_text != NULL ? type : NULL;
	c->status = take_text != NULL ? 200 : 503;
}

/* In ASCII: the original's client reads in pieces, and gives up where one ends within a character. */
void api_json(struct api_call *c, json_t *take_root)
{
	char *text =
		take_root != NULL ? json_dumps(take_root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(take_root);
	api_text(c, "application/json", text, text != NULL ? strlen(text) : 0);
}

static void fail(struct api_call *c, unsigned status, json_t *take_list)
{
	api_json(c, take_list);
	c->status = status;
}

void api_fail(struct api_call *c, unsigned status, const char *fmt, ...)
{
	char text[512];
	json_t *list = json_array();
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (list != NULL)
		(void)json_array_append_new(list, json_text(text));
	fail(c, status, list);
}

/* What status goes with @e: 400 manifest, 405 state, 500 the rest. */
static unsigned status_of(const struct sill_err *e)
{
	switch (e->code) {
	case SILL_ERR_MANIFEST:
		return 400;
	case SILL_ERR_STATE:
		return 405;
	case SILL_ERR_NONE:
	case SILL_ERR_HOST:
	case SILL_ERR_LIMIT:
	case SILL_ERR_GUEST:
	case SILL_ERR_INTERNAL:
		break;
	}
	return 500;
}

void api_fail_err(struct api_call *c, const char *what, const struct sill_err *e)
{
	json_t *list = json_array();

	if (list != NULL) {
		(void)json_array_append_new(list, json_text(what));
		if (e->msg[0] != '\0')
			(void)json_array_append_new(list, json_text(e->msg));
		if (e->hint[0] != '\0')
			(void)json_array_append_new(list, json_text(e->hint));
	}
	fail(c, status_of(e), list);
}

/* ---- calls ---- */

/* The reader goes down as deep as a body does, on the stack. */
static bool is_too_deep(const char *text, size_t size)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < size; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
		if (depth > DEPTH_MAX)
			return true;
	}
	return false;
}

/* An object, without a key that is there twice. */
static int read_body(struct api_call *c, const char *text, size_t size)
{
	json_error_t e;

	if (text == NULL || size == 0) {
		api_fail(c, 400, "the request needs a JSON object as its body");
		return -1;
	}
	if (is_too_deep(text, size)) {
		api_fail(c, 400, "the body is no JSON of at most %d levels", DEPTH_MAX);
		return -1;
	}
	c->body = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
	if (c->body == NULL) {
		api_fail(c, 400, "the body is no JSON: %s, line %d column %d", e.text, e.line,
			 e.column);
		return -1;
	}
	if (!json_is_object(c->body)) {
		api_fail(c, 400, "the body is no JSON object");
		return -1;
	}
	return 0;
}

void api_answer(struct api_call *c, const struct api_route *r, const char *text, size_t size)
{
	c->status = 204;
	if (r->fn == NULL)
		api_fail(c, 501, "%s", r->missing);
	else if (r->body == API_NO_BODY || read_body(c, text, size) == 0)
		r->fn(c);
}

void api_call_fini(struct api_call *c)
{
	for (unsigned i = 0; i < c->fd_count; i++)
		if (c->fds[i] >= 0)
			(void)close(c->fds[i]);
	c->fd_count = 0;
	json_decref(c->body);
	free(c->text);
}
