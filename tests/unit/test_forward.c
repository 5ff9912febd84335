/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_forward.c - port forwards: how they are written, and what passes through them. The guest is a
 * server at 127.0.0.2; all of it in a network namespace of its own, where every port is free. Skipped
 * where there is no right to one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame_kit.h"
#include "runner/host/files.h"
#include "runner/net/forward.h"

static bool have_net;

/* ---- how it is written ---- */

static void a_forward__is_read(void **state)
{
	struct sill_err e = { 0 };
	struct forward_spec s;

	(void)state;
	assert_int_equal(forward_read("3389:3390", &s, &e), 0);
	assert_true(s.v4 && s.v6);
	assert_int_equal(s.address4.s_addr, htonl(INADDR_LOOPBACK));
	assert_memory_equal(&s.address6, &in6addr_loopback, 16);
	assert_int_equal(s.host_port, 3389);
	assert_int_equal(s.guest_port, 3390);
	assert_int_equal(forward_read("0.0.0.0:65535:1/tcp", &s, &e), 0);
	assert_true(s.v4 && !s.v6);
	assert_int_equal(s.address4.s_addr, 0);
	assert_int_equal(s.host_port, 65535);
	assert_int_equal(forward_read("[fd00::1]:8443:443", &s, &e), 0);
	assert_true(!s.v4 && s.v6);
	assert_int_equal(s.address6.s6_addr[0], 0xfd);
	assert_int_equal(s.guest_port, 443);
}

static void what_is_none__is_said_with_a_hint(void **state)
{
	static const struct {
		const char *text, *msg, *hint;
	} bad[] = {
		{ "", "is not a port forward", "HOSTPORT:GUESTPORT" },
		{ "3389", "is not a port forward", "HOSTPORT:GUESTPORT" },
		{ "3389:", "is not a port forward", "" },
		{ ":3389", "is not a port forward", "" },
		{ "a:1", "is not a port forward", "" },
		{ "1:65536", "has a port above 65535", "1 to 65535" },
		{ "18446744073709551616:1", "has a port above 65535", "" },
		{ "8080-8090:80-90", "has a range of ports", "an entry for each" },
		{ "1:-1", "is not a port forward", "" },
		{ "0:22", "has the port 0", "1 to 65535" },
		{ "53:53/udp", "is not TCP", "only TCP" },
		{ "53:53/", "is not TCP", "" },
		{ "*:22:22", "does not begin with an address", "'0.0.0.0' and '[::]'" },
		{ "localhost:22:22", "does not begin with an address", "no names" },
		{ "::1:22:22", "does not begin with an address", "in brackets" },
		{ "[::1:22:22", "does not begin with an address", "" },
		{ "[]:22:22", "does not begin with an address", "" },
		{ "[::ffff:1.2.3.4]:22:22", "does not begin with an address", "" },
		{ "1.2.3:22:22", "does not begin with an address", "" },
		{ ":22:22", "does not begin with an address", "" },
		{ "\033[2J:1:1", "'\\x1b[2J:1:1' does not begin", "" },
	};
	char longest[300];
	struct forward_spec s;
	struct sill_err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct sill_err){ 0 };
		assert_int_equal(forward_read(bad[i].text, &s, &e), -1);
		if (strstr(e.msg, bad[i].msg) == NULL || strstr(e.hint, bad[i].hint) == NULL ||
		    e.hint[0] == '\0')
			fail_msg("'%s': %s; %s", bad[i].text, e.msg, e.hint);
	}
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	e = (struct sill_err){ 0 };
	assert_int_equal(forward_read(longest, &s, &e), -1);
}

static bool clash(const char *a, const char *b)
{
	struct sill_err e = { 0 };
	struct forward_spec s, t;

	assert_int_equal(forward_read(a, &s, &e), 0);
	assert_int_equal(forward_read(b, &t, &e), 0);
	assert_int_equal(forward_clash(&s, &t), forward_clash(&t, &s));
	return forward_clash(&s, &t);
}

static void two_of_one_port__clash_where_they_meet(void **state)
{
	(void)state;
	assert_true(clash("22:22", "22:23"));
	assert_false(clash("22:22", "23:22"));
	assert_true(clash("22:22", "127.0.0.1:22:1"));
	assert_true(clash("22:22", "[::1]:22:1"));
	assert_true(clash("22:22", "0.0.0.0:22:1"));
	assert_true(clash("10.0.0.1:22:22", "0.0.0.0:22:1"));
	assert_false(clash("22:22", "10.0.0.1:22:1"));
	assert_true(clash("[::]:22:22", "22:22"));
	assert_false(clash("[::]:22:22", "0.0.0.0:22:22"));
}

static void the_guest__is_where_dhcp_puts_it(void **state)
{
	uint32_t guest;

	(void)state;
	assert_int_equal(forward_guest("192.168.249.1/24", &guest), 0);
	assert_int_equal(guest, 0xc0a8f902);
	assert_int_equal(forward_guest("192.168.249.7/24", &guest), 0);
	assert_int_equal(guest, 0xc0a8f901);
	assert_int_equal(forward_guest("", &guest), -1);
	assert_int_equal(forward_guest("off", &guest), -1);
}

/* ---- what passes through ---- */

enum { GUEST = 0x7f000002, PORT = 4000, SOME = 8 << 20, MANY = 64, WAIT_MS = 60000 };

static struct forwards *forward_to(const char *text)
{
	struct sill_err e = { 0 };
	struct forwards *f = forwards_create(&e);
	struct forward_spec s;

	if (forward_read(text, &s, &e) < 0 || forwards_add(f, &s, GUEST, &e) < 0 ||
	    forwards_start(f, &e) < 0)
		fail_msg("%s", e.msg);
	return f;
}

static void limit_time(int fd)
{
	const struct timeval t = { .tv_sec = WAIT_MS / 1000 };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int guest_listens(void)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(PORT),
					.sin_addr = { htonl(GUEST) } };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, MANY), 0);
	limit_time(fd);
	return fd;
}

static int guest_accepts(int fd)
{
	const int c = accept(fd, NULL, NULL);

	assert_true(c >= 0);
	limit_time(c);
	return c;
}

static int client(int family)
{
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6,
					  .sin6_port = htons(PORT),
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr_in four = { .sin_family = AF_INET,
					  .sin_port = htons(PORT),
					  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	limit_time(fd);
	if (connect(fd,
		    family == AF_INET ? (const struct sockaddr *)&four
				      : (const struct sockaddr *)&six,
		    family == AF_INET ? sizeof(four) : sizeof(six)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A guest that listens, and a forward that leads to it. */
struct way {
	struct forwards *f;
	int guest; /* its listening socket */
};

/* Skips the test where there is no network for it. */
static struct way open_way(const char *text)
{
	struct way w = { 0 };

	if (!have_net)
		skip();
	w.guest = guest_listens();
	w.f = forward_to(text);
	return w;
}

static void close_way(const struct way *w)
{
	forwards_destroy(w->f);
	close(w->guest);
}

static uint8_t pattern(unsigned seed, size_t i)
{
	return (uint8_t)((i * 2654435761u + seed * 40503u) >> 13);
}

struct stream {
	int fd;
	unsigned seed;
	size_t size;
	bool ok;
	pthread_t thread;
};

static void *write_all(void *arg)
{
	struct stream *s = arg;
	uint8_t block[8192];

	for (size_t at = 0; at < s->size;) {
		const size_t n = s->size - at < sizeof(block) ? s->size - at : sizeof(block);

		for (size_t i = 0; i < n; i++)
			block[i] = pattern(s->seed, at + i);
		for (size_t done = 0; done < n;) {
			const ssize_t m = send(s->fd, block + done, n - done, MSG_NOSIGNAL);

			if (m <= 0)
				return NULL;
			done += (size_t)m;
		}
		at += n;
	}
	s->ok = shutdown(s->fd, SHUT_WR) == 0;
	return NULL;
}

/* Until the end of the stream, which has to be where it should. */
static void *read_all(void *arg)
{
	struct stream *s = arg;
	uint8_t block[8192];
	size_t at = 0;
	ssize_t n;

	while ((n = recv(s->fd, block, sizeof(block), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++, at++)
			if (block[i] != pattern(s->seed, at))
				return NULL;
	}
	s->ok = n == 0 && at == s->size;
	return NULL;
}

/* Both ways at once: what each end reads is what the other one wrote. */
static void exchange(const int (*pairs)[2], unsigned count, size_t size)
{
	struct stream *s = calloc((size_t)count * 4, sizeof(*s));

	for (unsigned i = 0; i < count * 4; i++) {
		const bool reads = i % 2 != 0;
		const unsigned from = i / 2 % 2;

		s[i] = (struct stream){ .fd = pairs[i / 4][reads ? !from : from],
					.seed = i / 2,
					.size = size };
		assert_int_equal(
			pthread_create(&s[i].thread, NULL, reads ? read_all : write_all, &s[i]), 0);
	}
	for (unsigned i = 0; i < count * 4; i++)
		assert_int_equal(pthread_join(s[i].thread, NULL), 0);
	for (unsigned i = 0; i < count * 4; i++)
		if (!s[i].ok)
			fail_msg("stream %u", i);
	free(s);
}

/* What has passed, once nothing is open any more. */
static struct forward_count counted(const struct forwards *f, const char *text)
{
	struct sill_err e = { 0 };
	struct forward_count c;
	struct forward_spec s;

	assert_int_equal(forward_read(text, &s, &e), 0);
	do
		assert_true(forwards_count(f, &s, &c));
	while (c.open > 0);
	return c;
}

static void eight_mib__pass_both_ways_over_both_protocols(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct forward_count c;
	struct forward_spec none = { .v4 = true, .host_port = 4001 };
	uint64_t passed = 0;
	struct way w;

	(void)state;
	w = open_way("4000:4000");
	for (unsigned i = 0; i < 2; i++) {
		int pair[1][2];

		pair[0][0] = client(families[i]);
		if (families[i] == AF_INET6 && pair[0][0] < 0)
			continue; /* a host without IPv6 */
		assert_true(pair[0][0] >= 0);
		pair[0][1] = guest_accepts(w.guest);
		exchange(pair, 1, SOME);
		close(pair[0][0]);
		close(pair[0][1]);
		passed++;
	}
	c = counted(w.f, "4000:4000");
	assert_int_equal(c.taken, passed);
	assert_int_equal(c.to_guest, passed * SOME);
	assert_int_equal(c.from_guest, passed * SOME);
	assert_false(forwards_count(w.f, &none, &c));
	close_way(&w);
}

static void many__at_once_do_not_mix(void **state)
{
	static int pairs[MANY][2];
	struct way w;

	(void)state;
	w = open_way("127.0.0.1:4000:4000");
	for (unsigned i = 0; i < MANY; i++) {
		pairs[i][0] = client(AF_INET);
		assert_true(pairs[i][0] >= 0);
		pairs[i][1] = guest_accepts(w.guest);
	}
	exchange(pairs, MANY, 256 * 1024);
	for (unsigned i = 0; i < MANY; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	close_way(&w);
}

static void the_end_of_a_stream__is_passed_on_alone(void **state)
{
	struct way w;
	char byte;
	int c, g;

	(void)state;
	w = open_way("4000:4000");
	for (unsigned i = 0; i < 2; i++) {
		int from, to;

		c = client(AF_INET);
		g = guest_accepts(w.guest);
		from = i == 0 ? c : g;
		to = i == 0 ? g : c;
		assert_int_equal(send(from, "q", 1, 0), 1);
		assert_int_equal(shutdown(from, SHUT_WR), 0);
		assert_int_equal(recv(to, &byte, 1, 0), 1);
		assert_int_equal(recv(to, &byte, 1, 0), 0);
		/* The other way goes on. */
		assert_int_equal(send(to, "a", 1, 0), 1);
		assert_int_equal(recv(from, &byte, 1, 0), 1);
		assert_int_equal(byte, 'a');
		assert_int_equal(shutdown(to, SHUT_WR), 0);
		assert_int_equal(recv(from, &byte, 1, 0), 0);
		close(c);
		close(g);
	}
	close_way(&w);
}

/* Some protocols have one: the forward is no end of them. */
static void an_urgent_byte__is_passed_on_in_its_place(void **state)
{
	struct way w;
	char got[3];
	int c, g;

	(void)state;
	w = open_way("4000:4000");
	c = client(AF_INET);
	g = guest_accepts(w.guest);
	for (unsigned i = 0; i < 2; i++) {
		const int from = i == 0 ? c : g, to = i == 0 ? g : c;

		assert_int_equal(send(from, "ab", 2, MSG_OOB), 2);
		assert_int_equal(send(from, "c", 1, 0), 1);
		assert_int_equal(recv(to, got, 3, MSG_WAITALL), 3);
		assert_memory_equal(got, "abc", 3);
	}
	close(c);
	close(g);
	close_way(&w);
}

static void kill_it(int fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

static void an_end_that_breaks__resets_the_other(void **state)
{
	struct way w;
	char byte;
	int c, g;

	(void)state;
	w = open_way("4000:4000");
	for (unsigned i = 0; i < 2; i++) {
		c = client(AF_INET);
		g = guest_accepts(w.guest);
		kill_it(i == 0 ? c : g);
		assert_int_equal(recv(i == 0 ? g : c, &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(i == 0 ? g : c);
	}
	/* With the VM end those that were open, and the port. */
	c = client(AF_INET);
	g = guest_accepts(w.guest);
	forwards_destroy(w.f);
	assert_int_equal(recv(c, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(recv(g, &byte, 1, 0), -1);
	close(c);
	close(g);
	assert_int_equal(client(AF_INET), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(w.guest);
}

/* Is whoever talks to @peer at the other end, in this process, asked whether it is still there? */
static bool is_asked(int peer)
{
	struct sockaddr_in own, to;
	socklen_t n = sizeof(own);
	int on = 0;

	assert_int_equal(getsockname(peer, (struct sockaddr *)&own, &n), 0);
	for (int fd = 3; fd < 256; fd++) {
		n = sizeof(to);
		if (getpeername(fd, (struct sockaddr *)&to, &n) < 0 || n != sizeof(to) ||
		    to.sin_family != AF_INET || to.sin_port != own.sin_port ||
		    to.sin_addr.s_addr != own.sin_addr.s_addr)
			continue;
		n = sizeof(on);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &n), 0);
		return on != 0;
	}
	fail_msg("nobody talks to it");
	return false;
}

static void a_client_that_is_gone__is_found_out_and_a_paused_guest_is_not_cut(void **state)
{
	struct way w;
	int c, g;

	(void)state;
	w = open_way("4000:4000");
	c = client(AF_INET);
	g = guest_accepts(w.guest);
	assert_true(is_asked(c));
	assert_false(is_asked(g));
	close(c);
	close(g);
	close_way(&w);
}

static void a_guest_that_is_not_there__resets_the_client(void **state)
{
	struct forwards *f;
	char byte;
	int l, c, g;

	(void)state;
	if (!have_net)
		skip();
	f = forward_to("4000:4000");
	c = client(AF_INET);
	/* It may come as soon as the connection does. */
	if (c >= 0) {
		assert_int_equal(recv(c, &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(c);
	}
	l = guest_listens();
	c = client(AF_INET);
	g = guest_accepts(l); /* by now it is */
	close(c);
	close(g);
	forwards_destroy(f);
	close(l);
}

/* Whom a forward finds: nobody, then two that are not there and one that is, by IPv6. */
static unsigned find(void *ctx, struct sockaddr_storage to[FORWARD_TARGETS])
{
	const struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr = { htonl(GUEST) } };
	const struct sockaddr_in6 dead = { .sin6_family = AF_INET6,
					   .sin6_addr = { .s6_addr = { 0xfd, 1 } } },
				  six = { .sin6_family = AF_INET6,
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	if ((*(unsigned *)ctx)++ == 0)
		return 0;
	memcpy(&to[0], &four, sizeof(four)); /* nobody listens there */
	memcpy(&to[1], &dead, sizeof(dead)); /* no route */
	memcpy(&to[2], &six, sizeof(six));
	return 3;
}

static void a_guest_that_is_found__is_tried_at_each_of_its_addresses(void **state)
{
	const struct sockaddr_in6 at = { .sin6_family = AF_INET6,
					 .sin6_port = htons(PORT + 1),
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const int g = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sill_err e = { 0 };
	struct forwards *f;
	struct forward_spec s;
	unsigned asked = 0;
	int pair[1][2];
	char byte;

	(void)state;
	if (!have_net || g < 0 || bind(g, (const struct sockaddr *)&at, sizeof(at)) < 0)
		skip();
	assert_int_equal(listen(g, 1), 0);
	limit_time(g);
	f = forwards_create(&e);
	assert_int_equal(forward_read("127.0.0.1:4000:4001", &s, &e), 0);
	assert_int_equal(forwards_add_found(f, &s, find, &asked, &e), 0);
	assert_int_equal(forwards_start(f, &e), 0);
	pair[0][0] = client(AF_INET);
	assert_int_equal(recv(pair[0][0], &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(pair[0][0]);
	pair[0][0] = client(AF_INET);
	pair[0][1] = guest_accepts(g);
	exchange(pair, 1, 100000);
	assert_int_equal(counted(f, "127.0.0.1:4000:4001").taken, 2);
	forwards_stop(f); /* its thread has ended */
	assert_int_equal(asked, 2);
	forwards_destroy(f);
	close(pair[0][0]);
	close(pair[0][1]);
	close(g);
}

/* A name server for the guest is not its neighbours'. */
static void a_port_of_one_device__is_not_there_by_another(void **state)
{
	struct ifreq other = { .ifr_name = "other0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	const int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct forward_spec s;
	struct sill_err e = { 0 };
	struct forwards *f;
	int l, c, g;

	(void)state;
	if (!have_net || tap < 0 || ioctl(tap, TUNSETIFF, &other) < 0)
		skip();
	l = guest_listens();
	assert_int_equal(forward_read("127.0.0.1:4000:4000", &s, &e), 0);
	for (unsigned i = 0; i < 2; i++) {
		s.device = i == 0 ? "other0" : "lo";
		f = forwards_create(&e);
		assert_int_equal(forwards_add(f, &s, GUEST, &e), 0);
		assert_int_equal(forwards_start(f, &e), 0);
		c = client(AF_INET);
		assert_int_equal(c >= 0, i == 1);
		if (c >= 0) {
			g = guest_accepts(l);
			close(g);
			close(c);
		}
		forwards_destroy(f);
	}
	close(l);
	close(tap);
}

static void a_slow_reader__slows_the_writer(void **state)
{
	static uint8_t block[1 << 20];
	struct pollfd p = { .events = POLLOUT };
	struct way w;
	size_t sent = 0, got = 0;
	ssize_t n;
	int g;

	(void)state;
	w = open_way("4000:4000");
	p.fd = client(AF_INET);
	g = guest_accepts(w.guest);
	/* What the kernel's buffers hold, and ours; not all that is written. */
	while (sent < (256u << 20) && poll(&p, 1, 300) > 0) {
		n = send(p.fd, block, sizeof(block), MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
	}
	assert_true(sent < (256u << 20));
	assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
	while ((n = recv(g, block, sizeof(block), 0)) > 0)
		got += (size_t)n;
	assert_int_equal(got, sent);
	close(g);
	close(p.fd);
	close_way(&w);
}

/* ---- how many ---- */

enum { ALL = FORWARD_SHARED + FORWARD_OWN, CLIENTS = ALL + FORWARD_OWN + 3 };

/* A guest with two ports that lead to its one, and many who come by the first. */
struct crowd {
	struct way w;
	int client[CLIENTS], guest[CLIENTS];
	unsigned count;
};

static int client_from(const char *source, uint16_t port)
{
	struct sockaddr_in from = { .sin_family = AF_INET },
			   to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET, source, &from.sin_addr), 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
	limit_time(fd);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* One more, who gets through. */
static void join(struct crowd *c, const char *source, uint16_t port)
{
	assert_in_range(c->count, 0, CLIENTS - 1);
	c->client[c->count] = client_from(source, port);
	c->guest[c->count] = guest_accepts(c->w.guest);
	c->count++;
}

static bool somebody_comes(const struct crowd *c)
{
	struct pollfd p = { .fd = c->w.guest, .events = POLLIN };

	return poll(&p, 1, 100) != 0;
}

/* @half, @silent: who is so gives way at once, and others never. Neither: as without. */
static struct crowd *gather(bool half, bool silent, unsigned count)
{
	static const char *const texts[] = { "127.0.0.1:4000:4000", "127.0.0.1:4001:4000" };
	struct crowd *c = calloc(1, sizeof(*c));
	struct forward_spec s;
	struct rlimit limit;
	struct sill_err e = { 0 };

	assert_non_null(c);
	/* Four ends for each. */
	if (!have_net || getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 5 * CLIENTS) {
		free(c);
		skip();
	}
	c->w.guest = guest_listens();
	c->w.f = forwards_create(&e);
	for (unsigned i = 0; i < 2; i++)
		if (forward_read(texts[i], &s, &e) < 0 || forwards_add(c->w.f, &s, GUEST, &e) < 0)
			fail_msg("%s", e.msg);
	if (half || silent)
		forwards_patience(c->w.f, half ? 0 : UINT64_MAX, silent ? 0 : UINT64_MAX);
	assert_int_equal(forwards_start(c->w.f, &e), 0);
	while (c->count < count)
		join(c, "127.0.0.1", PORT);
	return c;
}

static void disperse(struct crowd *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		close(c->client[i]);
		if (c->guest[i] >= 0)
			close(c->guest[i]);
	}
	close_way(&c->w);
	free(c);
}

static void is_reset(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void more_than_the_limit__wait_for_their_turn(void **state)
{
	enum { MORE = 3 };
	struct crowd *c = gather(false, false, ALL);
	int more[MORE];

	(void)state;
	for (unsigned i = 0; i < MORE; i++)
		more[i] = client(AF_INET);
	assert_false(somebody_comes(c));
	for (unsigned i = 0; i < MORE; i++) {
		kill_it(c->guest[i]);
		c->guest[i] = guest_accepts(c->w.guest);
	}
	for (unsigned i = 0; i < MORE; i++)
		close(more[i]);
	disperse(c);
}

static void a_port_that_is_flooded__leaves_another_its_own(void **state)
{
	struct crowd *c = gather(false, false, ALL);
	int first = client(AF_INET), second;

	(void)state;
	for (unsigned i = 0; i < FORWARD_OWN; i++)
		join(c, "127.0.0.1", PORT + 1);
	exchange((const int[][2]){ { c->client[ALL], c->guest[ALL] } }, 1, 100000);
	close(c->client[ALL]);
	close(c->guest[ALL]);
	c->client[ALL] = client_from("127.0.0.1", PORT + 1); /* not who waits at the other one */
	c->guest[ALL] = guest_accepts(c->w.guest);
	assert_int_equal(send(c->client[ALL], "2", 1, 0), 1);
	assert_int_equal(recv(c->guest[ALL], &(char){ 0 }, 1, 0), 1);
	/* And no more than these. */
	second = client_from("127.0.0.1", PORT + 1);
	assert_false(somebody_comes(c));
	close(first);
	close(second);
	disperse(c);
}

static void one_that_has_closed_and_says_nothing__gives_way(void **state)
{
	struct crowd *c = gather(true, false, ALL);
	char byte;
	int more;

	(void)state;
	/* The guest has, and the client does not: else it would have its place for ever. */
	close(c->guest[7]);
	c->guest[7] = -1;
	assert_int_equal(recv(c->client[7], &byte, 1, 0), 0);
	join(c, "127.0.0.1", PORT);
	assert_int_equal(send(c->client[6], "x", 1, 0), 1);
	assert_int_equal(recv(c->guest[6], &byte, 1, 0), 1);
	more = client(AF_INET);
	assert_false(somebody_comes(c)); /* nobody else does */
	close(more);
	disperse(c);
}

static void one_that_is_silent_longest__gives_way(void **state)
{
	struct crowd *c = gather(false, true, ALL);

	(void)state;
	join(c, "127.0.0.1", PORT);
	is_reset(c->client[0]);
	close(c->guest[0]);
	c->guest[0] = -1;
	disperse(c);
}

/* Of the last quarter; this host's own are not counted. */
static void one_client_that_has_half__leaves_places_to_others(void **state)
{
	enum { MOST = FORWARD_OWN + FORWARD_SHARED / 4 * 3 };
	struct crowd *c;
	int more;

	(void)state;
	if (!have_net || fk_run("ip address add 10.9.8.1/32 dev lo && "
				"ip address add 10.9.8.2/32 dev lo") != 0)
		skip();
	c = gather(false, false, 0);
	while (c->count < MOST)
		join(c, "10.9.8.1", PORT);
	for (unsigned i = 0; i < 3; i++) {
		more = client_from("10.9.8.1", PORT);
		is_reset(more);
		close(more);
	}
	join(c, "10.9.8.1", PORT + 1); /* that port has its own */
	join(c, "10.9.8.2", PORT);
	while (c->count < ALL + 1)
		join(c, "127.0.0.1", PORT);
	disperse(c);
}

/* ---- ports ---- */

static void add_fails(const char *text, const char *msg, const char *hint)
{
	struct sill_err e = { 0 };
	struct forwards *f = forwards_create(&e);
	struct forward_spec s;

	assert_int_equal(forward_read(text, &s, &e), 0);
	assert_int_equal(forwards_add(f, &s, GUEST, &e), -1);
	if (strstr(e.msg, msg) == NULL || strstr(e.hint, hint) == NULL)
		fail_msg("%s; %s", e.msg, e.hint);
	forwards_destroy(f);
}

static void a_port_that_is_taken__is_said_before_the_start(void **state)
{
	struct forwards *f;

	(void)state;
	if (!have_net)
		skip();
	f = forward_to("127.0.0.1:4000:4000");
	add_fails("4000:22", "forward: listen on 127.0.0.1 port 4000: Address already in use",
		  "ss -ltnp 'sport = :4000'");
	add_fails("0.0.0.0:4000:22", "listen on 0.0.0.0 port 4000", "ss -ltnp");
	add_fails("10.9.8.7:4000:22", "listen on 10.9.8.7 port 4000", "does not have the address");
	forwards_destroy(f);
	f = forward_to("127.0.0.1:4000:4000"); /* and free again */
	forwards_destroy(f);
}

static void all_addresses__are_two_protocols(void **state)
{
	struct sill_err e = { 0 };
	struct forwards *f = forwards_create(&e);
	struct forward_spec s;

	(void)state;
	if (!have_net) {
		forwards_destroy(f);
		skip();
	}
	assert_int_equal(forward_read("0.0.0.0:4000:22", &s, &e), 0);
	assert_int_equal(forwards_add(f, &s, GUEST, &e), 0);
	assert_int_equal(forward_read("[::]:4000:22", &s, &e), 0);
	if (forwards_add(f, &s, GUEST, &e) < 0 && e.sys != EAFNOSUPPORT && e.sys != EADDRNOTAVAIL)
		fail_msg("%s", e.msg);
	forwards_destroy(f);
}

/* ---- with a card ---- */

static bool can_make_taps(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	/* In a user namespace that maps no users a device cannot have an owner. */
	const bool can = fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0 &&
			 ioctl(fd, TUNSETOWNER, (unsigned long)getuid()) == 0;

	if (fd >= 0)
		close(fd);
	return can;
}

static int open_card(struct vmfiles *files, const struct sill_config *m, struct sill_err *e)
{
	vmfiles_init(files, m);
	*e = (struct sill_err){ 0 };
	return vmfiles_create(files, e);
}

static void a_card__has_its_ports_from_the_start(void **state)
{
	static struct vmfiles files;
	static char tap[] = "", automatic[] = "auto", mac[] = "02:00:00:00:00:01", id[] = "net0",
		    name[] = "vm", text[] = "4000:22";
	char *forward[] = { text };
	struct sill_net_config n = { .tap = tap,
				     .address = automatic,
				     .mac = mac,
				     .id = id,
				     .forward = forward,
				     .forward_count = 1 };
	const struct sill_config m = { .name = name, .net = &n, .net_count = 1 };
	struct sill_err e;
	struct forwards *f;
	int c;

	(void)state;
	if (!have_net || !can_make_taps())
		skip();
	if (open_card(&files, &m, &e) < 0)
		fail_msg("%s", e.msg);
	c = client(AF_INET); /* the kernel takes it; it waits for the VM */
	assert_true(c >= 0);
	vmfiles_fini(&files);
	close(c);
	/* Somebody else has it. */
	f = forward_to("4000:4000");
	assert_int_equal(open_card(&files, &m, &e), -1);
	assert_non_null(strstr(e.msg, "net0: forward: listen on 127.0.0.1 port 4000"));
	vmfiles_fini(&files);
	forwards_destroy(f);
	/* Nobody has told the guest where it is. */
	n.dhcp = SILL_DHCP_OFF;
	assert_int_equal(open_card(&files, &m, &e), -1);
	assert_non_null(strstr(e.msg, "net0: forward: nobody knows the address of the guest"));
	assert_non_null(strstr(e.hint, "dhcp: on"));
	vmfiles_fini(&files);
	/* But it takes an address itself, by IPv6. */
	n.ipv6 = automatic;
	if (access("/proc/sys/net/ipv6", F_OK) == 0 && open_card(&files, &m, &e) < 0)
		fail_msg("%s", e.msg);
	vmfiles_fini(&files);
}

static void bring_up_loopback(void)
{
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	have_net = ioctl(s, SIOCSIFFLAGS, &ifr) == 0;
	close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forward__is_read),
		cmocka_unit_test(what_is_none__is_said_with_a_hint),
		cmocka_unit_test(two_of_one_port__clash_where_they_meet),
		cmocka_unit_test(the_guest__is_where_dhcp_puts_it),
		cmocka_unit_test(eight_mib__pass_both_ways_over_both_protocols),
		cmocka_unit_test(many__at_once_do_not_mix),
		cmocka_unit_test(the_end_of_a_stream__is_passed_on_alone),
		cmocka_unit_test(an_urgent_byte__is_passed_on_in_its_place),
		cmocka_unit_test(an_end_that_breaks__resets_the_other),
		cmocka_unit_test(a_client_that_is_gone__is_found_out_and_a_paused_guest_is_not_cut),
		cmocka_unit_test(a_guest_that_is_not_there__resets_the_client),
		cmocka_unit_test(a_guest_that_is_found__is_tried_at_each_of_its_addresses),
		cmocka_unit_test(a_slow_reader__slows_the_writer),
		cmocka_unit_test(more_than_the_limit__wait_for_their_turn),
		cmocka_unit_test(a_port_that_is_flooded__leaves_another_its_own),
		cmocka_unit_test(one_that_has_closed_and_says_nothing__gives_way),
		cmocka_unit_test(one_that_is_silent_longest__gives_way),
		cmocka_unit_test(one_client_that_has_half__leaves_places_to_others),
		cmocka_unit_test(a_port_that_is_taken__is_said_before_the_start),
		cmocka_unit_test(all_addresses__are_two_protocols),
		cmocka_unit_test(a_port_of_one_device__is_not_there_by_another),
		cmocka_unit_test(a_card__has_its_ports_from_the_start),
	};

	vmfiles_raise_limit();
	if (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
		bring_up_loopback();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
