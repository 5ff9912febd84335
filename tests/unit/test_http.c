/* SPDX-License-Identifier: Apache-2.0 */
/* test_http.c - requests from bytes, whole and in pieces; what is too long, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "runner/api/http.h"

static void a_request__is_the_same_whole_and_in_pieces(void **state)
{
	static const char text[] = "PUT /api/v1/vm.create?x=1 HTTP/1.1\r\nHost: a\r\n"
				   "Content-Length: 5\r\n\r\nhello";
	const size_t n = sizeof(text) - 1;

	(void)state;
	for (size_t piece = 1; piece <= n; piece++) {
		struct http h;
		size_t at = 0;

		http_init(&h);
		while (at < n && h.state == HTTP_READING) {
			const size_t more = n - at < piece ? n - at : piece;

			assert_int_equal(http_take(&h, text + at, more), more);
			at += more;
			assert_true(h.begun);
		}
		assert_int_equal(h.state, HTTP_COMPLETE);
		assert_string_equal(http_method_text(h.request.method), "PUT");
		assert_string_equal(h.request.target, "/api/v1/vm.create?x=1");
		assert_int_equal(h.request.body_size, 5);
		assert_string_equal(h.request.body, "hello");
		assert_true(h.request.keep_alive);
		http_fini(&h);
	}
}

static void what_follows__is_not_taken(void **state)
{
	static const char two[] = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
	struct http h;
	size_t n;

	(void)state;
	http_init(&h);
	n = http_take(&h, two, sizeof(two) - 1);
	assert_int_equal(h.state, HTTP_COMPLETE);
	assert_string_equal(h.request.target, "/a");
	assert_int_equal(n, 19);
	assert_int_equal(http_take(&h, two + n, 5), 0);
	http_next(&h);
	assert_false(h.begun);
	assert_int_equal(http_take(&h, two + n, sizeof(two) - 1 - n), sizeof(two) - 1 - n);
	assert_string_equal(h.request.target, "/b");
	assert_false(h.request.keep_alive);
	http_fini(&h);
}

static void expect_status(const char *text, size_t n, unsigned status)
{
	struct http h;

	http_init(&h);
	(void)http_take(&h, text, n);
	assert_int_equal(h.state, HTTP_BAD);
	assert_int_equal(h.status, status);
	assert_int_equal(http_take(&h, "x", 1), 0);
	http_fini(&h);
}

static void what_is_none__has_a_status(void **state)
{
	static const struct {
		const char *text;
		unsigned status;
	} bad[] = {
		{ "nonsense\r\n\r\n", 400 },
		{ "GET /x HTTP/2.0\r\n\r\n", 505 },
		{ "GET /x HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400 },
		{ "GET /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400 },
		{ "PUT /x HTTP/1.1\r\nContent-Length: 4194305\r\n\r\n", 413 },
		{ "CONNECT x:1 HTTP/1.1\r\n\r\n", 501 },
		{ "GET /x HTTP/1.1\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", 501 },
	};
	char *big = malloc(HTTP_HEADERS + 200);

	(void)state;
	assert_non_null(big);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_status(bad[i].text, strlen(bad[i].text), bad[i].status);
	memset(big, 'a', HTTP_HEADERS + 200);
	memcpy(big, "GET /", 5);
	expect_status(big, HTTP_TARGET + 5, 414);
	memcpy(big, "GET /x HTTP/1.1\r\nX: ", 20);
	expect_status(big, HTTP_HEADERS + 100, 431);
	free(big);
}

/* Chunks do not say how long it gets. */
static void a_body_of_chunks__has_the_same_limit(void **state)
{
	static const char head[] = "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
	static char chunk[7 + 0x10000 + 2];
	struct http h;
	unsigned i;

	(void)state;
	memset(chunk, 'y', sizeof(chunk));
	memcpy(chunk, "10000\r\n", 7);
	memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
	http_init(&h);
	(void)http_take(&h, head, sizeof(head) - 1);
	for (i = 0; i < 65 && h.state == HTTP_READING; i++)
		(void)http_take(&h, chunk, sizeof(chunk));
	assert_int_equal(h.state, HTTP_BAD);
	assert_int_equal(h.status, 413);
	assert_int_equal(i, 65);
	http_fini(&h);
}

static void expect__waits_only_for_a_body_to_come(void **state)
{
	static const char text[] =
		"PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\ny";
	struct http h;

	(void)state;
	http_init(&h);
	(void)http_take(&h, text, sizeof(text) - 2);
	assert_true(h.wants_continue);
	(void)http_take(&h, text + sizeof(text) - 2, 1);
	assert_false(h.wants_continue);
	assert_int_equal(h.state, HTTP_COMPLETE);
	http_fini(&h);
}

static void the_head_of_an_answer__is_as_clients_read_it(void **state)
{
	char head[HTTP_HEAD_MAX];
	size_t n;

	(void)state;
	n = http_head(head, 200, "application/json", 12, true);
	assert_int_equal(n, strlen(head));
	/* Clients take the rest of the line for the number. */
	assert_ptr_equal(strstr(head, "HTTP/1.1 200 \r\n"), head);
	assert_non_null(strstr(head, "\r\nContent-Length: 12\r\n"));
	assert_string_equal(head + n - 4, "\r\n\r\n");
	n = http_head(head, 204, NULL, 0, false);
	assert_null(strstr(head, "Content-"));
	assert_non_null(strstr(head, "Connection: close"));
	/* The longest. */
	n = http_head(head, 431, "application/vnd.something-rather-long", SIZE_MAX, true);
	assert_true(n < HTTP_HEAD_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request__is_the_same_whole_and_in_pieces),
		cmocka_unit_test(what_follows__is_not_taken),
		cmocka_unit_test(what_is_none__has_a_status),
		cmocka_unit_test(a_body_of_chunks__has_the_same_limit),
		cmocka_unit_test(expect__waits_only_for_a_body_to_come),
		cmocka_unit_test(the_head_of_an_answer__is_as_clients_read_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
