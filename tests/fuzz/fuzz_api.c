/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_api.c - any bytes as what a client of the control API sends.
 *
 * They come in pieces whose sizes the first byte chooses; each request goes through the table of
 * endpoints, its body through JSON, the fields of a VM, and the checker of manifests. What is
 * refused is refused in printable words.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "require.h"
#include "runner/api/api.h"
#include "runner/api/body.h"
#include "runner/api/http.h"
#include "runner/api/vmconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_error(const struct api_call *c)
{
	json_t *list = json_loads(c->text, 0, NULL);

	require(json_is_array(list) && json_array_size(list) > 0);
	json_decref(list);
}

/* The same value has the same description twice. */
static void check_config(const struct sill_config *m)
{
	json_t *once = vmconfig_of(m, NULL);

	require(once != NULL);
	json_decref(once);
}

static void create(struct api_call *c, const char *text, size_t size)
{
	json_t *body = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	struct vmconfig_err e = { 0 };
	json_t *m = body != NULL ? vmconfig_manifest(body, "fuzz", &e) : NULL;
	struct mfile *mf;

	require(body == NULL || m != NULL || e.err.msg[0] != '\0');
	if (m != NULL) {
		mf = body_check(c, m, false);
		if (mf != NULL)
			check_config(mf->docs[0].m);
		else
			require_error(c);
		mfile_destroy(mf);
	}
	json_decref(m);
	json_decref(body);
}

static void serve(const struct http_request *r)
{
	struct api_call c = { 0 };
	unsigned status = 0;

	if (api_find(http_method_text(r->method), r->target, &status) == NULL)
		require(status == 404 || status == 405);
	if (r->body != NULL)
		create(&c, r->body, r->body_size);
	api_call_fini(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http h;
	size_t at = 1;

	if (size == 0)
		return 0;
	/* Many inputs are only a body. */
	if (data[0] == '{') {
		struct api_call c = { 0 };

		create(&c, (const char *)data, size);
		api_call_fini(&c);
		return 0;
	}
	http_init(&h);
	while (at < size && h.state != HTTP_BAD) {
		const size_t most = (size_t)data[0] + 1;
		const size_t n =
			http_take(&h, (const char *)data + at, size - at < most ? size - at : most);

		at += n;
		if (h.state == HTTP_COMPLETE) {
			serve(&h.request);
			http_next(&h);
		} else {
			require(n > 0 || h.state == HTTP_BAD);
		}
	}
	if (h.state == HTTP_BAD)
		require(strcmp(http_reason(h.status), "Unknown") != 0);
	http_fini(&h);
	return 0;
}
