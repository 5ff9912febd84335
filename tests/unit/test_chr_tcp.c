/* SPDX-License-Identifier: Apache-2.0 */
/* test_chr_tcp.c - a serial port at the end of a TCP connection, and how such an end is written. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "core/clock.h"
#include "runner/net/endpoint.h"

struct rig {
	struct loop *loop;
	struct chr *chr;
	struct loop_timer tick;
	struct endpoint peer;
	int listener, far; /* ours; -1: none */
	unsigned dials, refused;
	size_t want; /* bytes at the far end */
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct sill_err e = { 0 };

	assert_non_null(r);
	r->loop = loop_create(&e);
	assert_non_null(r->loop);
	r->listener = r->far = -1;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	chr_destroy(r->chr);
	loop_destroy(r->loop);
	if (r->listener >= 0)
		(void)close(r->listener);
	if (r->far >= 0)
		(void)close(r->far);
	free(r);
	return 0;
}

/* A listener of ours at a free port, which r->peer leads to. */
static void start_listener(struct rig *r)
{
	struct sockaddr_in at = { .sin_family = AF_INET };

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(r->listener, 4), 0);
	r->peer.size = sizeof(r->peer.at);
	assert_int_equal(getsockname(r->listener, (struct sockaddr *)&r->peer.at, &r->peer.size),
			 0);
}

static int dial(void *ctx)
{
	struct rig *r = ctx;

	r->dials++;
	if (r->refused > 0) {
		r->refused--;
		return -1;
	}
	return endpoint_dial(&r->peer);
}

static void open_chr(struct rig *r, int listen_fd)
{
	const struct chr_config c = { .mode = SILL_CHAR_TCP,
				      .in_fd = -1,
				      .out_fd = -1,
				      .listen_fd = listen_fd,
				      .dial = listen_fd < 0 ? dial : NULL,
				      .dial_ctx = r };
	struct sill_err e = { 0 };

	r->chr = chr_create("serial2", &c, r->loop, &e);
	if (r->chr == NULL)
		fail_msg("%s", e.msg);
}

static bool (*done)(struct rig *r);

static void look(void *ctx)
{
	struct rig *r = ctx;

	if (done(r))
		loop_stop(r->loop);
	else
		loop_timer_set(r->loop, &r->tick, host_now() + 100000);
}

/* Run the loop until @held; who waits for ever is ended by who runs the tests. */
static void run_until(struct rig *r, bool (*held)(struct rig *r))
{
	struct sill_err e = { 0 };

	done = held;
	r->tick = (struct loop_timer){ .fn = look, .ctx = r };
	loop_timer_set(r->loop, &r->tick, 0);
	assert_int_equal(loop_run(r->loop, &e), 0);
}

static bool is_connected(struct rig *r)
{
	return chr_connected(r->chr);
}

static bool is_alone(struct rig *r)
{
	return !chr_connected(r->chr);
}

static bool has_dialled_thrice(struct rig *r)
{
	return r->dials >= 3;
}

static bool is_accepted(struct rig *r)
{
	r->far = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return r->far >= 0;
}

static bool has_input(struct rig *r)
{
	return chr_has_input(r->chr);
}

static bool has_arrived(struct rig *r)
{
	char got[64];

	return recv(r->far, got, sizeof(got), MSG_PEEK | MSG_DONTWAIT) == (ssize_t)r->want;
}

/* Both ways, @text to the far end and back. */
static void talk(struct rig *r, const char *text)
{
	char got[64];

	r->want = strlen(text);
	chr_write(r->chr, text, r->want);
	run_until(r, has_arrived);
	assert_int_equal(read(r->far, got, sizeof(got)), r->want);
	assert_memory_equal(got, text, r->want);
	assert_int_equal(write(r->far, text, r->want), r->want);
	run_until(r, has_input);
	assert_int_equal(chr_read(r->chr, got, sizeof(got)), r->want);
	assert_memory_equal(got, text, r->want);
}

static void hang_up(struct rig *r)
{
	(void)close(r->far);
	r->far = -1;
	run_until(r, is_alone);
}

static void chr_tcp_listen__takes_one_after_the_other(void **state)
{
	struct rig *r = *state;
	struct endpoint at;
	struct sill_err e = { 0 };
	int fd;

	start_listener(r); /* for its port, which is free again then */
	(void)close(r->listener);
	r->listener = -1;
	fd = endpoint_listen(&r->peer, "it", &e);
	assert_true(fd >= 0);
	at = r->peer;
	open_chr(r, fd);
	for (unsigned i = 0; i < 2; i++) {
		r->far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(r->far, (struct sockaddr *)&at.at, at.size), 0);
		run_until(r, is_connected);
		talk(r, "kd");
		hang_up(r);
	}
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t n = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &n), 0);
	return value;
}

static void check_tuned(int fd)
{
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
}

/* At r->peer, whose port was free just now. */
static int listen_by_endpoint(struct rig *r)
{
	struct sill_err e = { 0 };
	int fd;

	start_listener(r);
	(void)close(r->listener);
	r->listener = -1;
	fd = endpoint_listen(&r->peer, "it", &e);
	assert_true(fd >= 0);
	return fd;
}

/* Who debugs holds the guest: one who has gone without a word must not hold it for ever. */
static void endpoint__finds_out_who_is_gone(void **state)
{
	struct rig *r = *state;
	int fd, near;

	fd = listen_by_endpoint(r);
	r->far = endpoint_dial(&r->peer);
	check_tuned(r->far);
	/* Who is behind a host that is silent is asked again as soon as one who refuses. */
	assert_int_equal(option(r->far, IPPROTO_TCP, TCP_SYNCNT), 2);
	while ((near = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) < 0)
		assert_int_equal(errno, EAGAIN);
	check_tuned(near);
	(void)close(near);
	(void)close(fd);
}

/* A name such as localhost has more than one, and somebody listens at the last. */
static void endpoint_dial_next__tries_each_address(void **state)
{
	struct rig *r = *state;
	struct endpoint_peer p = { .count = 2 };
	int fd, near;

	fd = listen_by_endpoint(r);
	p.at[1] = r->peer;
	((struct sockaddr_in *)&r->peer.at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	p.at[0] = r->peer;
	for (unsigned i = 0; i < 4; i++) {
		r->far = endpoint_dial_next(&p);
		if (i % 2 == 0) { /* refused */
			if (r->far >= 0)
				(void)close(r->far);
			continue;
		}
		while ((near = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) < 0)
			assert_int_equal(errno, EAGAIN);
		(void)close(near);
		(void)close(r->far);
		r->far = -1;
	}
	(void)close(fd);
}

static void chr_tcp_connect__comes_back_after_each_end(void **state)
{
	struct rig *r = *state;

	start_listener(r);
	open_chr(r, -1);
	for (unsigned i = 0; i < 3; i++) {
		run_until(r, is_accepted);
		run_until(r, is_connected);
		talk(r, "hello, debugger");
		hang_up(r);
	}
	assert_in_range(r->dials, 3, 4);
}

static void chr_tcp_connect__needs_nobody_at_the_start(void **state)
{
	struct rig *r = *state;
	int one = 1, on = 0;
	socklen_t n = sizeof(on);

	start_listener(r);
	(void)close(r->listener);
	r->listener = -1;
	r->refused = 1; /* no network; then nobody there */
	open_chr(r, -1);
	chr_write(r->chr, "early", 5);
	run_until(r, has_dialled_thrice);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&r->peer.at, r->peer.size), 0);
	assert_int_equal(listen(r->listener, 4), 0);
	run_until(r, is_accepted);
	r->want = 5;
	run_until(r, has_arrived);
	assert_int_equal(getsockopt(r->far, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
}

static void chr_tcp_connect__ends_on_its_way(void **state)
{
	struct rig *r = *state;
	struct sockaddr_in *at = (void *)&r->peer.at;

	/* RFC 5737: nobody has it, and nobody answers. */
	at->sin_family = AF_INET;
	at->sin_port = htons(9);
	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &at->sin_addr), 1);
	r->peer.size = sizeof(*at);
	open_chr(r, -1);
	assert_int_equal(r->dials, 1);
	assert_false(chr_connected(r->chr));
}

static void expect_fault(int ret, const struct sill_err *e, const char *text)
{
	assert_int_equal(ret, -1);
	if (strstr(e->msg, text) == NULL)
		fail_msg("'%s' is not in: %s", text, e->msg);
	assert_true(e->hint[0] != '\0');
}

static void endpoint__is_read_as_it_is_written(void **state)
{
	static const struct {
		const char *text, *fault;
	} wrong[] = {
		{ "", "does not end with a port" },
		{ "host", "does not end with a port" },
		{ "1.2.3.4:", "does not end with a port" },
		{ "1.2.3.4:0", "does not end with a port" },
		{ "1.2.3.4:65536", "does not end with a port" },
		{ "::1:4445", "more than one ':'" },
		{ "nobody:4445", "does not begin with an address" },
		{ "*:4445", "does not begin with an address" },
		{ "1.2.3:4445", "does not begin with an address" },
		{ "[::1:4445", "more than one ':'" },
	};
	struct endpoint_peer peer;
	struct endpoint p;
	const struct sockaddr_in *v4 = (void *)&p.at;
	const struct sockaddr_in6 *v6 = (void *)&p.at;
	struct sill_err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		e = (struct sill_err){ 0 };
		expect_fault(endpoint_read_listen(wrong[i].text, &p, &e), &e, wrong[i].fault);
	}
	assert_int_equal(endpoint_read_listen("4445", &p, &e), 0);
	assert_int_equal(v4->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(v4->sin_port, htons(4445));
	assert_int_equal(endpoint_read_listen("localhost:1", &p, &e), 0);
	assert_int_equal(v4->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(endpoint_read_listen("0.0.0.0:65535", &p, &e), 0);
	assert_int_equal(v4->sin_addr.s_addr, htonl(INADDR_ANY));
	assert_int_equal(endpoint_read_listen("[::1]:4445", &p, &e), 0);
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_true(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
	assert_int_equal(endpoint_check_connect("debugger.example:4445", &e), 0);
	e = (struct sill_err){ 0 };
	expect_fault(endpoint_check_connect("4445", &e), &e, "does not say where");
	e = (struct sill_err){ 0 };
	expect_fault(endpoint_check_connect("tcp server:4445", &e), &e, "the name of a host");
	assert_int_equal(endpoint_resolve("[::1]:7", &peer, &e), 0);
	assert_int_equal(peer.count, 1);
	p = peer.at[0];
	assert_int_equal(v6->sin6_port, htons(7));
}

static void endpoint_listen__says_that_a_port_is_taken(void **state)
{
	struct rig *r = *state;
	struct sill_err e = { 0 };

	start_listener(r);
	expect_fault(endpoint_listen(&r->peer, "127.0.0.1:4445", &e), &e,
		     "listen at '127.0.0.1:4445'");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(chr_tcp_listen__takes_one_after_the_other),
		TEST(endpoint__finds_out_who_is_gone),
		TEST(endpoint_dial_next__tries_each_address),
		TEST(chr_tcp_connect__comes_back_after_each_end),
		TEST(chr_tcp_connect__needs_nobody_at_the_start),
		TEST(chr_tcp_connect__ends_on_its_way),
		TEST(endpoint__is_read_as_it_is_written),
		TEST(endpoint_listen__says_that_a_port_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
