/* SPDX-License-Identifier: Apache-2.0 */
/* test_ready.c - signs that a guest is up: their names, times and places, text in pieces, and the thread that looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/manifest/scalar.h"
#include "runner/ready/ready.h"
#include "runner/ready/sign.h"

static char name[SIGN_NAME];

static void scalar_span__is_a_time_with_a_unit(void **state)
{
	static const struct {
		const char *text;
		enum scalar_result is;
		uint64_t ms;
	} cases[] = {
		{ "300s", SCALAR_OK, 300000 },
		{ "5m", SCALAR_OK, 300000 },
		{ "1h", SCALAR_OK, 3600000 },
		{ "250ms", SCALAR_OK, 250 },
		{ "0s", SCALAR_OK, 0 },
		{ "168h", SCALAR_OK, 604800000 },
		{ "169h", SCALAR_BIG, 7 },
		{ "604800001ms", SCALAR_BIG, 7 },
		{ "20", SCALAR_NO_UNIT, 20000 },
		{ "5x", SCALAR_UNIT, 7 },
		{ "5 s", SCALAR_UNIT, 7 },
		{ "", SCALAR_NOT, 7 },
		{ "s", SCALAR_NOT, 7 },
		{ "0x10s", SCALAR_NOT, 7 },
		{ "010s", SCALAR_OCTAL, 7 },
		{ "-1s", SCALAR_NOT, 7 },
		{ "99999999999999999999s", SCALAR_BIG, 7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ms = 7;

		assert_int_equal(scalar_span(cases[i].text, &ms), cases[i].is);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void sign_name__is_fit_to_be_shown(void **state)
{
	struct sill_ready_config r = { .ssh = 22 };

	(void)state;
	assert_string_equal(sign_name(&r, name), "ssh 22");
	r.host = (char[]){ "web.example" };
	assert_string_equal(sign_name(&r, name), "ssh 22 at web.example");
	assert_string_equal(sign_name(&(struct sill_ready_config){ .vsock = 4294967294u }, name),
			    "vsock 4294967294");
	r = (struct sill_ready_config){ .serial = (char[]){ "a\x1b[2J" } };
	assert_string_equal(sign_name(&r, name), "serial 'a\\x1b[2J'");
	assert_int_equal(sign_within(&r), 300000);
	r.within = (char[]){ "2m" };
	assert_int_equal(sign_within(&r), 120000);
}

static void sign_text__is_found_across_pieces(void **state)
{
	static struct sign_text t;
	static uint8_t noise[SIGN_PIECE];

	(void)state;
	memset(noise, '.', sizeof(noise));
	assert_false(sign_has(&t, "login:"));
	sign_take(&t, noise, sizeof(noise));
	for (const char *p = "web login"; *p != '\0'; p++) {
		sign_take(&t, (const uint8_t *)p, 1);
		assert_false(sign_has(&t, "login:"));
	}
	sign_take(&t, (const uint8_t *)": ", 2);
	assert_true(sign_has(&t, "login:"));
	/* It goes when so much has come behind it that it can be no beginning any more. */
	sign_take(&t, noise, sizeof(noise));
	assert_true(sign_has(&t, "login:"));
	sign_take(&t, noise, sizeof(noise));
	assert_false(sign_has(&t, "login:"));
	assert_int_equal(t.n, SIGN_TEXT + SIGN_PIECE);
}

static bool is_at(const struct sill_config *c, uint16_t port, const char *host, uint16_t at)
{
	const struct sill_ready_config r = { .tcp = port };
	struct sign_port p = { 0 };

	return sign_find_port(c, &r, &p) && strcmp(p.host, host) == 0 && p.port == at;
}

static void sign_find_port__knows_where_the_guest_is(void **state)
{
	char *forwards[] = { (char[]){ "2222:22" }, (char[]){ "0.0.0.0:8080:80" },
			     (char[]){ "192.0.2.1:33:3389" }, (char[]){ "[::]:5:5985" } };
	struct sill_net_config card = { .forward = forwards, .forward_count = 4 };
	const struct sill_config c = { .net = &card, .net_count = 1 };
	const struct sill_ready_config other = { .tcp = 22, .host = (char[]){ "web.example" } };
	struct sign_port p;

	(void)state;
	assert_true(is_at(&c, 22, "127.0.0.1", 2222));
	assert_true(is_at(&c, 80, "127.0.0.1", 8080));
	assert_true(is_at(&c, 3389, "192.0.2.1", 33));
	assert_true(is_at(&c, 5985, "::1", 5));
	assert_false(sign_find_port(&c, &(struct sill_ready_config){ .tcp = 1 }, &p));
	assert_false(sign_find_port(&c, &(struct sill_ready_config){ .vsock = 1 }, &p));
	/* It has it from us, at a port of its own; unless passt stands between. */
	card.address = (char[]){ "192.168.249.1/24" };
	card.dhcp = SILL_DHCP_ON;
	assert_true(is_at(&c, 22, "192.168.249.2", 22));
	card.user = true;
	assert_true(is_at(&c, 22, "127.0.0.1", 2222));
	assert_true(sign_find_port(&c, &other, &p));
	assert_string_equal(p.host, "web.example");
	assert_int_equal(p.port, 22);
}

/* ---- the thread ---- */

static int told; /* an eventfd: something was told */
static atomic_uint lates;

static void on_all(void *ctx, uint64_t ms)
{
	const uint64_t one = 1;

	(void)ctx;
	(void)ms;
	(void)!write(told, &one, sizeof(one));
}

static void on_late(void *ctx, const char *sign)
{
	assert_string_equal(sign, (const char *)ctx);
	atomic_fetch_add(&lates, 1);
	on_all(NULL, 0);
}

static void wait_told(void)
{
	uint64_t count;

	assert_int_equal(read(told, &count, sizeof(count)), sizeof(count));
}

static bool all_ready(struct ready *r)
{
	json_t *o = ready_json(r);
	const bool is = json_is_true(json_object_get(o, "ready"));

	json_decref(o);
	return is;
}

static void ready__is_late_and_comes_all_the_same(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sill_ready_config sign = { .host = (char[]){ "127.0.0.1" },
					  .within = (char[]){ "1ms" } };
	const struct sill_config c = { .ready = &sign, .ready_count = 1 };
	struct ready_wish w = { .events = events_create(), .all = on_all, .late = on_late };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);
	struct sill_err e = { 0 };
	struct ready *r;

	(void)state;
	told = eventfd(0, EFD_CLOEXEC);
	/* Bound, and nobody listens: refused. */
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	sign.tcp = ntohs(at.sin_port);
	w.ctx = sign_name(&sign, name);
	r = ready_start(&c, &w, &e);
	assert_non_null(r);
	wait_told();
	assert_int_equal(atomic_load(&lates), 1);
	assert_false(all_ready(r));
	assert_int_equal(listen(fd, 4), 0);
	ready_again(r); /* is asked at once */
	wait_told();
	assert_true(all_ready(r));
	/* Of a guest that begins anew it is looked for anew, and told anew. */
	ready_again(r);
	wait_told();
	assert_true(all_ready(r));
	ready_stop(r);
	ready_stop(NULL);
	assert_int_equal(events_next(w.events), 3);
	events_destroy(w.events);
	(void)close(fd);
	(void)close(told);
}

/* A server that takes the connection and says nothing does not hold up the end. */
static void ready_stop__waits_for_no_answer(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sill_ready_config sign = { .host = (char[]){ "127.0.0.1" } };
	const struct sill_config c = { .ready = &sign, .ready_count = 1 };
	const struct ready_wish w = { .events = events_create() };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);
	struct sill_err e = { 0 };
	struct ready *r;
	int taken;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	assert_int_equal(listen(fd, 4), 0);
	sign.ssh = ntohs(at.sin_port);
	r = ready_start(&c, &w, &e);
	assert_non_null(r);
	taken = accept(fd, NULL, NULL);
	ready_stop(r);
	assert_true(recv(taken, name, 1, 0) <= 0); /* it was let go before its three seconds */
	(void)close(taken);
	(void)close(fd);
	events_destroy(w.events);
}

/* Other signs: what has come stays, a new one has its own time, and what is missing is wanted no more. */
static void ready_set__keeps_what_was_seen(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sill_ready_config signs[2] = {
		{ .host = (char[]){ "127.0.0.1" }, .hint = (char[]){ "another" } },
		{ .serial = (char[]){ "login" }, .within = (char[]){ "1ms" } },
	};
	struct sill_config none = { 0 }, one = { .ready = signs, .ready_count = 1 },
			   two = { .ready = signs, .ready_count = 2 };
	struct ready_wish w = { .events = events_create(), .all = on_all, .late = on_late };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);
	struct sill_err e = { 0 };
	struct ready *r;

	(void)state;
	told = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	assert_int_equal(listen(fd, 4), 0);
	signs[0].tcp = ntohs(at.sin_port);
	w.ctx = sign_name(&signs[1], name);
	atomic_store(&lates, 0);
	r = ready_start(&none, &w, &e);
	assert_non_null(r);
	assert_true(all_ready(r));
	assert_int_equal(ready_set(r, &one, &e), 0);
	wait_told();
	assert_true(all_ready(r));
	(void)close(fd); /* it would not come again */
	assert_int_equal(ready_set(r, &two, &e), 0);
	assert_false(all_ready(r));
	wait_told();
	assert_int_equal(atomic_load(&lates), 1);
	signs[0].hint = NULL;
	assert_int_equal(ready_set(r, &one, &e), 0);
	wait_told();
	assert_true(all_ready(r));
	assert_int_equal(ready_set(r, &one, &e), 0);
	assert_true(all_ready(r)); /* told once */
	assert_int_equal(ready_set(r, &none, &e), 0);
	ready_again(r);
	assert_true(all_ready(r));
	ready_stop(r);
	assert_int_equal(events_next(w.events), 3);
	events_destroy(w.events);
	(void)close(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalar_span__is_a_time_with_a_unit),
		cmocka_unit_test(sign_name__is_fit_to_be_shown),
		cmocka_unit_test(sign_text__is_found_across_pieces),
		cmocka_unit_test(sign_find_port__knows_where_the_guest_is),
		cmocka_unit_test(ready__is_late_and_comes_all_the_same),
		cmocka_unit_test(ready_stop__waits_for_no_answer),
		cmocka_unit_test(ready_set__keeps_what_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
