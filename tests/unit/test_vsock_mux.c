/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_vsock_mux.c - vsock connections: the test is the guest, which sends and gets
 * packets, and the programs of the host, with real sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/vsock/mux.h"
#include "base/log.h"
#include "core/loop.h"
#include "sill/vm.h"

enum { CID = 42, GUEST_PORT = 1234, HOST_PORT = 80, ROOM = 4096, OURS = 0x40000000 };

static struct bench {
	struct loop *loop;
	struct vsock_mux *mux;
	struct sockaddr_un at;
	socklen_t at_len;
	unsigned wakes, connects;
	int far; /* of the connection that the guest has asked for; -1: there is none */
	bool refuses;
	uint32_t window, taken; /* what the guest says of itself */
	uint8_t data[VSOCK_PACKET];
} * b;

static void on_wake(void *ctx)
{
	(void)ctx;
	b->wakes++;
}

static int on_connect(void *ctx, uint32_t port)
{
	int fd[2];

	(void)ctx;
	assert_int_equal(port, HOST_PORT);
	b->connects++;
	if (b->refuses)
		return -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	b->far = fd[0];
	return fd[1];
}

static void open_bench(void)
{
	struct vsock_mux_config c = {
		.id = "vsock", .cid = CID, .connect = on_connect, .wake = on_wake
	};
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	struct sill_err e = { 0 };

	b = calloc(1, sizeof(*b));
	assert_non_null(b);
	b->far = -1;
	b->window = 1 << 20;
	b->loop = c.loop = loop_create(&e);
	c.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A name of the kernel's choice, in no directory. */
	assert_int_equal(bind(c.listen_fd, (const struct sockaddr *)&any, sizeof(sa_family_t)), 0);
	b->at_len = sizeof(b->at);
	assert_int_equal(getsockname(c.listen_fd, (struct sockaddr *)&b->at, &b->at_len), 0);
	assert_int_equal(listen(c.listen_fd, 16), 0);
	b->mux = vsock_mux_create(&c, &e);
	assert_non_null(b->mux);
}

static void close_bench(void)
{
	vsock_mux_destroy(b->mux);
	loop_destroy(b->loop);
	if (b->far >= 0)
		(void)close(b->far);
	free(b);
}

static void stop(void *ctx)
{
	loop_stop(ctx);
}

/* All that sockets have to tell is told. */
static void settle(void)
{
	struct loop_task t = { .fn = stop, .ctx = b->loop };
	struct sill_err e = { 0 };

	for (unsigned i = 0; i < 4; i++) {
		loop_post(b->loop, &t);
		assert_int_equal(loop_run(b->loop, &e), 0);
	}
}

/* --- the guest ------------------------------------------------------------ */

static struct vsock_header packet(enum vsock_op op)
{
	return (struct vsock_header){ .src_cid = CID,
				      .dst_cid = VSOCK_HOST,
				      .src_port = GUEST_PORT,
				      .dst_port = HOST_PORT,
				      .type = VSOCK_STREAM,
				      .op = (uint16_t)op,
				      .buf_alloc = b->window,
				      .fwd_cnt = b->taken };
}

static void send_packet(const struct vsock_header *h, const void *data)
{
	assert_true(vsock_mux_can_take(b->mux));
	vsock_mux_take(b->mux, h, data);
	settle();
}

static void send_op(enum vsock_op op)
{
	const struct vsock_header h = packet(op);

	send_packet(&h, NULL);
}

static void send_data(const void *data, uint32_t n)
{
	struct vsock_header h = packet(VSOCK_RW);

	h.len = n;
	send_packet(&h, data);
}

/* The next packet for the guest. */
static struct vsock_header get(void)
{
	struct vsock_header h = { 0 };

	settle();
	if (!vsock_mux_give(b->mux, &h, b->data, ROOM))
		fail_msg("nothing for the guest");
	assert_int_equal(h.src_cid, VSOCK_HOST);
	assert_int_equal(h.dst_cid, CID);
	return h;
}

static struct vsock_header get_op(enum vsock_op op)
{
	const struct vsock_header h = get();

	assert_int_equal(h.op, op);
	return h;
}

static void get_nothing(void)
{
	struct vsock_header h = { 0 };

	settle();
	if (vsock_mux_give(b->mux, &h, b->data, ROOM))
		fail_msg("operation %u", h.op);
	assert_false(vsock_mux_has(b->mux));
}

/* The guest connects to the host. */
static void connect_out(void)
{
	struct vsock_header h;

	send_op(VSOCK_REQUEST);
	h = get_op(VSOCK_RESPONSE);
	assert_int_equal(h.src_port, HOST_PORT);
	assert_int_equal(h.dst_port, GUEST_PORT);
	assert_int_equal(h.type, VSOCK_STREAM);
	assert_int_equal(h.buf_alloc, VSOCK_WINDOW);
	assert_int_equal(h.fwd_cnt, 0);
	assert_true(b->far >= 0);
	get_nothing();
}

/* --- programs of the host ---------------------------------------------------- */

static int connect_in(const char *greeting)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&b->at, b->at_len), 0);
	settle();
	if (greeting != NULL)
		assert_int_equal(write(fd, greeting, strlen(greeting)), (ssize_t)strlen(greeting));
	settle();
	return fd;
}

static void expect(int fd, const char *text)
{
	char got[256] = "";
	ssize_t n;

	settle();
	n = read(fd, got, strlen(text) + 1);
	assert_int_equal(n, (ssize_t)strlen(text));
	assert_string_equal(got, text);
}

static bool has_ended(int fd)
{
	char byte;

	settle();
	return read(fd, &byte, 1) == 0;
}

static void mux_in__asks_the_guest_and_says_ok(void **state)
{
	struct vsock_header h;
	int fd;

	(void)state;
	open_bench();
	fd = connect_in("CONN");
	get_nothing();
	assert_int_equal(write(fd, "ECT 1234\nhello", 14), 14);
	h = get_op(VSOCK_REQUEST);
	assert_int_equal(h.dst_port, GUEST_PORT);
	assert_int_equal(h.src_port, OURS);
	get_nothing(); /* what came with the greeting waits for the answer */
	h = packet(VSOCK_RESPONSE);
	h.dst_port = OURS;
	send_packet(&h, NULL);
	expect(fd, "OK 1073741824\n");
	h = get_op(VSOCK_RW);
	assert_int_equal(h.len, 5);
	assert_memory_equal(b->data, "hello", 5);
	h = packet(VSOCK_RW);
	h.dst_port = OURS;
	h.len = 5;
	send_packet(&h, "world");
	expect(fd, "world");
	(void)close(fd);
	close_bench();
}

static void mux_in__is_refused_by_the_guest(void **state)
{
	struct vsock_header h;
	int fd;

	(void)state;
	open_bench();
	fd = connect_in("CONNECT 1234\n");
	(void)get_op(VSOCK_REQUEST);
	h = packet(VSOCK_RST);
	h.dst_port = OURS;
	send_packet(&h, NULL);
	assert_true(has_ended(fd));
	get_nothing();
	assert_int_equal(vsock_mux_count(b->mux), 0);
	(void)close(fd);
	close_bench();
}

static void mux_in__drops_what_is_no_greeting(void **state)
{
	static const char *const wrong[] = {
		"\n",
		"CONNECT\n",
		"CONNECT x\n",
		"CONNECT -1\n",
		"CONNECT 1 \n",
		"connect 1\n",
		"CONNECT 4294967295\n",
		"CONNECT 99999999999\n",
		"CONNECT 00000000000000000000000000000000001\n",
		"GET / HTTP/1.1\r\n\r\n",
	};

	(void)state;
	open_bench();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const int fd = connect_in(wrong[i]);

		assert_int_equal(vsock_mux_count(b->mux), 0);
		(void)close(fd);
	}
	get_nothing();
	close_bench();
}

static void mux_out__carries_bytes_both_ways(void **state)
{
	struct vsock_header h;

	(void)state;
	open_bench();
	connect_out();
	send_data("ping", 4);
	expect(b->far, "ping");
	assert_int_equal(write(b->far, "pong", 4), 4);
	h = get_op(VSOCK_RW);
	assert_int_equal(h.len, 4);
	assert_int_equal(h.fwd_cnt, 4);
	assert_memory_equal(b->data, "pong", 4);
	get_nothing();
	assert_true(b->wakes >= 2);
	close_bench();
}

static void mux_out__to_nowhere_is_refused(void **state)
{
	struct vsock_header h;

	(void)state;
	open_bench();
	b->refuses = true;
	send_op(VSOCK_REQUEST);
	h = get_op(VSOCK_RST);
	assert_int_equal(h.src_port, HOST_PORT);
	assert_int_equal(h.dst_port, GUEST_PORT);
	get_nothing();
	assert_int_equal(vsock_mux_count(b->mux), 0);
	close_bench();
}

/* --- windows --------------------------------------------------------------------- */

static void mux_window__of_the_guest_is_kept(void **state)
{
	uint8_t much[10000];
	struct vsock_header h;

	(void)state;
	open_bench();
	memset(much, 7, sizeof(much));
	b->window = 6000;
	connect_out();
	assert_int_equal(write(b->far, much, sizeof(much)), sizeof(much));
	assert_int_equal(get_op(VSOCK_RW).len, ROOM);
	assert_int_equal(get_op(VSOCK_RW).len, 6000 - ROOM);
	(void)get_op(VSOCK_CREDIT_REQUEST);
	get_nothing();
	send_op(VSOCK_CREDIT_UPDATE); /* nothing taken yet */
	(void)get_op(VSOCK_CREDIT_REQUEST);
	get_nothing();
	b->taken = 6000;
	send_op(VSOCK_CREDIT_UPDATE);
	h = get_op(VSOCK_RW);
	assert_int_equal(h.len, 10000 - 6000);
	get_nothing();
	/* A guest that claims to have taken what was never sent gets nothing. */
	b->taken = 20000;
	send_op(VSOCK_CREDIT_UPDATE);
	assert_int_equal(write(b->far, much, 10), 10);
	(void)get_op(VSOCK_CREDIT_REQUEST);
	get_nothing();
	close_bench();
}

/* Until the socket and then our window are full; then the host reads all of it. */
static void mux_window__of_ours_holds_what_the_host_does_not_take(void **state)
{
	static uint8_t piece[16384], back[16384];
	uint32_t sent = 0, read_back = 0, known = 0;
	struct vsock_header h;
	ssize_t n;

	(void)state;
	open_bench();
	connect_out();
	for (;;) {
		while (vsock_mux_give(b->mux, &h, b->data, ROOM))
			known = h.fwd_cnt;
		if (sent - known + sizeof(piece) > VSOCK_WINDOW)
			break;
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = (uint8_t)((sent + i) * 7 >> 3);
		send_data(piece, sizeof(piece));
		sent += (uint32_t)sizeof(piece);
	}
	assert_true(sent > VSOCK_WINDOW);
	while (read_back < sent) {
		settle();
		n = read(b->far, back, sizeof(back));
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(back[i], (uint8_t)((read_back + (uint32_t)i) * 7 >> 3));
		read_back += (uint32_t)n;
	}
	h = get_op(VSOCK_CREDIT_UPDATE); /* there is room again */
	assert_true(sent - h.fwd_cnt < VSOCK_WINDOW / 2);
	get_nothing();
	send_op(VSOCK_CREDIT_REQUEST);
	assert_int_equal(get_op(VSOCK_CREDIT_UPDATE).fwd_cnt, sent);
	close_bench();
}

static void mux_window__is_not_to_be_overrun(void **state)
{
	static uint8_t piece[VSOCK_PACKET];
	unsigned n = 0;
	struct vsock_header h = { 0 };

	(void)state;
	open_bench();
	connect_out();
	while (h.op != VSOCK_RST && n++ < 64) {
		send_data(piece, sizeof(piece));
		while (h.op != VSOCK_RST && vsock_mux_give(b->mux, &h, b->data, ROOM))
			continue;
	}
	assert_int_equal(h.op, VSOCK_RST);
	assert_int_equal(vsock_mux_count(b->mux), 0);
	get_nothing();
	close_bench();
}

/* --- ends ---------------------------------------------------------------------------- */

static void mux_end__of_the_host_is_told_after_its_bytes(void **state)
{
	struct vsock_header h;

	(void)state;
	open_bench();
	connect_out();
	assert_int_equal(write(b->far, "last", 4), 4);
	assert_int_equal(shutdown(b->far, SHUT_WR), 0);
	assert_int_equal(get_op(VSOCK_RW).len, 4);
	assert_int_equal(get_op(VSOCK_SHUTDOWN).flags, VSOCK_NO_SEND);
	get_nothing();
	send_data("more", 4); /* the other direction goes on */
	expect(b->far, "more");
	(void)close(b->far);
	b->far = -1;
	send_data("lost", 4);
	(void)get_op(VSOCK_RST);
	get_nothing();

	connect_out();
	assert_int_equal(write(b->far, "last", 4), 4);
	(void)close(b->far);
	b->far = -1;
	assert_int_equal(get_op(VSOCK_RW).len, 4);
	h = get_op(VSOCK_SHUTDOWN);
	assert_int_equal(h.flags, VSOCK_NO_SEND | VSOCK_NO_RECEIVE);
	get_nothing();
	send_op(VSOCK_RST);
	assert_int_equal(vsock_mux_count(b->mux), 0);
	close_bench();
}

static void mux_end__of_the_guest_is_told_after_its_bytes(void **state)
{
	struct vsock_header h;

	(void)state;
	open_bench();
	connect_out();
	send_data("last", 4);
	h = packet(VSOCK_SHUTDOWN);
	h.flags = VSOCK_NO_SEND;
	send_packet(&h, NULL);
	expect(b->far, "last");
	assert_true(has_ended(b->far));
	assert_int_equal(write(b->far, "more", 4), 4);
	assert_int_equal(get_op(VSOCK_RW).len, 4);
	h.flags = VSOCK_NO_RECEIVE; /* the two add up */
	send_packet(&h, NULL);
	(void)get_op(VSOCK_RST);
	assert_int_equal(vsock_mux_count(b->mux), 0);
	get_nothing();
	close_bench();
}

static void mux_reset__ends_all_but_greetings(void **state)
{
	int fd;

	(void)state;
	open_bench();
	fd = connect_in("CONNECT 12");
	connect_out();
	vsock_mux_reset(b->mux);
	assert_true(has_ended(b->far));
	assert_int_equal(vsock_mux_count(b->mux), 1);
	get_nothing();
	assert_int_equal(write(fd, "34\n", 3), 3);
	(void)get_op(VSOCK_REQUEST);
	(void)close(fd);
	close_bench();
}

/* --- hostile guests, and many ------------------------------------------------------------ */

static void mux_packet__that_makes_no_sense_is_answered_by_a_reset(void **state)
{
	struct vsock_header h;

	(void)state;
	open_bench();
	h = packet(VSOCK_RW);
	h.src_cid = CID + 1;
	send_packet(&h, NULL); /* of another's name */
	send_op(VSOCK_RST);    /* of no connection */
	get_nothing();
	for (unsigned op = 0; op < 10; op++) {
		if (op == VSOCK_REQUEST || op == VSOCK_RST)
			continue;
		send_op(op);
		(void)get_op(VSOCK_RST);
	}
	h = packet(VSOCK_REQUEST);
	h.dst_cid = 5;
	send_packet(&h, NULL);
	(void)get_op(VSOCK_RST);
	h = packet(VSOCK_REQUEST);
	h.type = 2;
	send_packet(&h, NULL);
	assert_int_equal(get_op(VSOCK_RST).type, 2);
	assert_int_equal(b->connects, 0);

	connect_out();
	send_op(VSOCK_REQUEST); /* again */
	(void)get_op(VSOCK_RST);
	assert_true(has_ended(b->far));
	(void)close(b->far);
	connect_out();
	h = packet(VSOCK_RW);
	h.len = 100;
	send_packet(&h, NULL); /* without its data */
	(void)get_op(VSOCK_RST);
	(void)close(b->far);
	connect_out();
	send_op(99);
	(void)get_op(VSOCK_RST);
	(void)close(b->far);
	connect_out();
	send_op(VSOCK_RESPONSE);
	(void)get_op(VSOCK_RST);
	get_nothing();
	assert_int_equal(vsock_mux_count(b->mux), 0);
	close_bench();
}

/* It sends, and takes no answers: then it has to wait. */
static void mux_answers__are_bounded(void **state)
{
	struct vsock_header h;
	unsigned n = 0;

	(void)state;
	open_bench();
	h = packet(VSOCK_RW);
	while (vsock_mux_can_take(b->mux) && n < 1000) {
		h.src_port = n++;
		vsock_mux_take(b->mux, &h, NULL);
	}
	assert_in_range(n, 1, 256);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(get_op(VSOCK_RST).dst_port, i);
	get_nothing();
	assert_true(vsock_mux_can_take(b->mux));
	close_bench();
}

static void mux_connections__are_bounded_and_the_idle_give_way(void **state)
{
	static int far[VSOCK_CONNECTIONS];
	struct vsock_header h;
	int first, second;

	(void)state;
	sill_log_to(stderr, LOG_ERROR);
	open_bench();
	first = connect_in(NULL); /* they say nothing */
	second = connect_in(NULL);
	for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++) {
		h = packet(VSOCK_REQUEST);
		h.src_port = i;
		send_packet(&h, NULL);
		(void)get_op(VSOCK_RESPONSE);
		far[i] = b->far;
		assert_int_equal(vsock_mux_count(b->mux),
				 i < VSOCK_CONNECTIONS - 2 ? i + 3 : VSOCK_CONNECTIONS);
	}
	assert_true(has_ended(first));
	assert_true(has_ended(second));
	h.src_port = VSOCK_CONNECTIONS;
	send_packet(&h, NULL);
	(void)get_op(VSOCK_RST);
	get_nothing();
	for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++)
		(void)close(far[i]);
	(void)close(first);
	(void)close(second);
	if (b->far != far[VSOCK_CONNECTIONS - 1])
		(void)close(b->far);
	b->far = -1;
	close_bench();
	sill_log_to(stderr, LOG_INFO);
}

/* Each gives one packet and goes to the end. */
static void mux_give__is_fair(void **state)
{
	static uint8_t much[3 * ROOM];
	struct vsock_header h;
	unsigned got[2] = { 0 };
	int far[2];

	(void)state;
	open_bench();
	for (unsigned i = 0; i < 2; i++) {
		h = packet(VSOCK_REQUEST);
		h.src_port = i;
		send_packet(&h, NULL);
		(void)get_op(VSOCK_RESPONSE);
		far[i] = b->far;
		assert_int_equal(write(far[i], much, sizeof(much)), sizeof(much));
	}
	for (unsigned i = 0; i < 6; i++) {
		h = get_op(VSOCK_RW);
		assert_in_range(h.dst_port, 0, 1);
		got[h.dst_port]++;
		assert_in_range(got[0] + 1 - got[1], 0, 2);
	}
	(void)close(far[0]);
	(void)close(far[1]);
	b->far = -1;
	close_bench();
}

/* Anything from both sides, in any order. */
static void mux_any_traffic__is_survived(void **state)
{
	static uint8_t piece[VSOCK_PACKET];
	int fds[8], n = 0;
	unsigned seed = 7;

	(void)state;
	sill_log_to(stderr, LOG_ERROR);
	open_bench();
	for (unsigned i = 0; i < 3000; i++) {
		struct vsock_header h = packet((enum vsock_op)(rand_r(&seed) % 9));

		h.src_port = (uint32_t)(rand_r(&seed) % 4);
		h.dst_port =
			rand_r(&seed) % 3 == 0 ? OURS + (uint32_t)(rand_r(&seed) % 8) : HOST_PORT;
		h.flags = (uint32_t)(rand_r(&seed) % 4);
		h.buf_alloc = (uint32_t)rand_r(&seed) % 100000;
		h.fwd_cnt = (uint32_t)rand_r(&seed) % 100000;
		h.len = h.op == VSOCK_RW ? (uint32_t)rand_r(&seed) % (VSOCK_PACKET + 1) : 0;
		if (vsock_mux_can_take(b->mux) &&
		    (h.op != VSOCK_REQUEST || h.dst_port == HOST_PORT)) {
			if (b->far >= 0 && rand_r(&seed) % 2 == 0) {
				(void)close(b->far);
				b->far = -1;
			}
			if (h.op == VSOCK_REQUEST && b->far >= 0) {
				(void)close(b->far);
				b->far = -1;
			}
			vsock_mux_take(b->mux, &h, piece);
		}
		if (rand_r(&seed) % 4 == 0 && n < 8)
			fds[n++] = connect_in(rand_r(&seed) % 2 == 0 ? "CONNECT 1\nabc" : "CONN");
		else if (rand_r(&seed) % 4 == 0 && n > 0)
			(void)close(fds[--n]);
		if (b->far >= 0)
			(void)!write(b->far, piece, (size_t)rand_r(&seed) % sizeof(piece));
		if (rand_r(&seed) % 3 == 0)
			settle();
		for (unsigned k = (unsigned)rand_r(&seed) % 4; k > 0; k--)
			if (vsock_mux_give(b->mux, &h, b->data, 1 + (uint32_t)rand_r(&seed) % ROOM))
				assert_in_range(h.len, 0, ROOM);
		if (rand_r(&seed) % 500 == 0)
			vsock_mux_reset(b->mux);
		assert_in_range(vsock_mux_count(b->mux), 0, VSOCK_CONNECTIONS);
	}
	while (n > 0)
		(void)close(fds[--n]);
	close_bench();
	sill_log_to(stderr, LOG_INFO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mux_in__asks_the_guest_and_says_ok),
		cmocka_unit_test(mux_in__is_refused_by_the_guest),
		cmocka_unit_test(mux_in__drops_what_is_no_greeting),
		cmocka_unit_test(mux_out__carries_bytes_both_ways),
		cmocka_unit_test(mux_out__to_nowhere_is_refused),
		cmocka_unit_test(mux_window__of_the_guest_is_kept),
		cmocka_unit_test(mux_window__of_ours_holds_what_the_host_does_not_take),
		cmocka_unit_test(mux_window__is_not_to_be_overrun),
		cmocka_unit_test(mux_end__of_the_host_is_told_after_its_bytes),
		cmocka_unit_test(mux_end__of_the_guest_is_told_after_its_bytes),
		cmocka_unit_test(mux_reset__ends_all_but_greetings),
		cmocka_unit_test(mux_packet__that_makes_no_sense_is_answered_by_a_reset),
		cmocka_unit_test(mux_answers__are_bounded),
		cmocka_unit_test(mux_connections__are_bounded_and_the_idle_give_way),
		cmocka_unit_test(mux_give__is_fair),
		cmocka_unit_test(mux_any_traffic__is_survived),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* the test's own writes to ends that are closed */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
