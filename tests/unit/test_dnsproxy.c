/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dnsproxy.c - a guest's questions, through the host, to a resolver on the host's loopback address:
 * the messages, then all of it in a network namespace of its own, where the guest is a socket on the tap's
 * network. Skipped there where there is no right to one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tasks.h"

#include "runner/host/resolver.h"
#include "runner/net/dnsmsg.h"
#include "runner/net/dnsproxy.h"

enum { HOST = 0xc0a8f901, WAIT = 20000 };

static bool have_net;
static char conf[] = "/tmp/sill-resolv-XXXXXX";

/* ---- messages ---- */

/* "www.example.org", A, IN; recursion desired. */
static const uint8_t question[] = { 0x12, 0x34, 1,   0,   0,   1,   0,   0,   0,   0,   0,
				    0,    3,    'w', 'w', 'w', 7,   'e', 'x', 'a', 'm', 'p',
				    'l',  'e',  3,   'o', 'r', 'g', 0,   0,   1,   0,   1 };

static void a_query__is_one_question(void **state)
{
	uint8_t m[sizeof(question)], long_name[DNS_QUESTION_MAX + 8] = { 0 };

	(void)state;
	memcpy(m, question, sizeof(m));
	assert_int_equal(dns_query_end(m, sizeof(m)), sizeof(m));
	for (size_t n = 0; n < sizeof(m); n++)
		assert_int_equal(dns_query_end(m, n), 0);
	m[2] = 0x81; /* an answer */
	assert_int_equal(dns_query_end(m, sizeof(m)), 0);
	m[2] = 0x29; /* an update */
	assert_int_equal(dns_query_end(m, sizeof(m)), 0);
	m[2] = 1;
	m[5] = 2; /* two questions */
	assert_int_equal(dns_query_end(m, sizeof(m)), 0);
	m[5] = 1;
	m[12] = 0xc0; /* points at what is not before it */
	assert_int_equal(dns_query_end(m, sizeof(m)), 0);
	/* 255 bytes of a name, and one more. */
	memcpy(long_name, question, DNS_HEADER);
	for (unsigned i = 0; i < 4; i++)
		long_name[DNS_HEADER + 64 * i] = 63;
	long_name[DNS_HEADER + 192] = 61;
	assert_int_equal(dns_query_end(long_name, DNS_HEADER + 255 + 4), DNS_QUESTION_MAX);
	long_name[DNS_HEADER + 192] = 62;
	assert_int_equal(dns_query_end(long_name, DNS_HEADER + 256 + 4), 0);
}

static void an_answer__is_to_that_question(void **state)
{
	uint8_t m[sizeof(question) + 16] = { 0 }, failure[DNS_QUESTION_MAX];
	const size_t end = sizeof(question);

	(void)state;
	memcpy(m, question, end);
	assert_false(dns_is_answer(question, end, m, sizeof(m))); /* it is the question */
	m[2] = 0x81;
	assert_true(dns_is_answer(question, end, m, sizeof(m)));
	for (size_t n = 0; n < end; n++)
		assert_false(dns_is_answer(question, end, m, n));
	m[13] = 'W'; /* as some write it, against forgers */
	assert_true(dns_is_answer(question, end, m, sizeof(m)));
	m[13] = 'v';
	assert_false(dns_is_answer(question, end, m, sizeof(m)));
	m[13] = 'w';
	m[end - 3] = 28; /* another type */
	assert_false(dns_is_answer(question, end, m, sizeof(m)));
	m[end - 3] = 1;
	m[0] ^= 1; /* another id */
	assert_false(dns_is_answer(question, end, m, sizeof(m)));
	m[0] ^= 1;
	m[5] = 0; /* without the question: an error only */
	assert_false(dns_is_answer(question, end, m, sizeof(m)));
	m[3] = 1;
	assert_true(dns_is_answer(question, end, m, DNS_HEADER));

	assert_int_equal(dns_failure(question, end, failure), end);
	assert_true(dns_is_answer(question, end, failure, end));
	assert_int_equal(failure[3] & 15, 2);
}

static void servers__are_those_of_resolv_conf_loopback_too(void **state)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	struct upstreams u;

	(void)state;
	upstreams_parse(&u, "search a\nnameserver 127.0.0.53\nnameserver ::1\nnameserver x\n"
			    "nameserver fe80::1%eth0\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n");
	assert_int_equal(u.count, 3);
	memcpy(&four, &u.list[0].at, sizeof(four));
	assert_int_equal(four.sin_family, AF_INET);
	assert_int_equal(ntohl(four.sin_addr.s_addr), 0x7f000035);
	assert_int_equal(ntohs(four.sin_port), 53);
	assert_int_equal(u.list[1].at.ss_family, AF_INET6);
	assert_int_equal(u.list[2].at.ss_family, AF_INET);
	/* Of a link, by its name: as it is said, or not at all. */
	upstreams_parse(&u,
			"nameserver fe80::1%nowhere0\nnameserver fe80::2\nnameserver fe80::3%lo\n");
	assert_int_equal(u.count, 1);
	memcpy(&six, &u.list[0].at, sizeof(six));
	assert_int_equal(six.sin6_addr.s6_addr[15], 3);
	assert_int_equal(six.sin6_scope_id, if_nametoindex("lo"));
	upstreams_parse(&u, "");
	assert_int_equal(u.count, 0);
	upstreams_read(&u, "/nonexistent");
	assert_int_equal(u.count, 0);
}

/* ---- all of it ---- */

static void set_conf(const char *text)
{
	char beside[64];
	int fd;

	(void)snprintf(beside, sizeof(beside), "%s.new", conf);
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(rename(beside, conf), 0);
}

static int udp_at(uint32_t address, uint16_t port)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr = { htonl(address) } };
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* A packet from the guest's side would come by the tap; here it is by the loopback, which has the address. */
static int begin(struct dnsproxy **ret_p)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(53),
					.sin_addr = { htonl(HOST) } };
	struct sill_err e = { 0 };
	struct dnsproxy *p = dnsproxy_create(conf, &e);
	const int guest = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_non_null(p);
	if (dnsproxy_add(p, "lo", HOST, &e) < 0 || dnsproxy_start(p, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(connect(guest, (const struct sockaddr *)&at, sizeof(at)), 0);
	*ret_p = p;
	return guest;
}

/* The next datagram; 0: none. */
static size_t receive(int fd, uint8_t m[512], struct sockaddr_in *from)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	socklen_t size = sizeof(*from);
	ssize_t n;

	if (poll(&p, 1, WAIT) != 1)
		return 0;
	n = recvfrom(fd, m, 512, 0, (struct sockaddr *)from, &size);
	return n > 0 ? (size_t)n : 0;
}

static void send_back(int fd, const uint8_t *m, size_t n, const struct sockaddr_in *to)
{
	assert_int_equal(sendto(fd, m, n, 0, (const struct sockaddr *)to, sizeof(*to)), n);
}

static void ask(int guest, uint16_t id)
{
	uint8_t m[sizeof(question)];

	memcpy(m, question, sizeof(m));
	dns_set_id(m, id);
	assert_int_equal(send(guest, m, sizeof(m), 0), sizeof(m));
}

static void a_question__is_passed_on_and_forgers_are_not_heard(void **state)
{
	struct sockaddr_in from, unused;
	uint8_t m[512], forged[512];
	struct dnsproxy *p;
	int guest, server, other;
	size_t n;

	(void)state;
	if (!have_net)
		skip();
	set_conf("nameserver 127.0.0.53\n");
	server = udp_at(0x7f000035, 53);
	other = udp_at(0x7f000036, 53);
	guest = begin(&p);
	for (unsigned i = 0; i < 200; i++) { /* more than there are places */
		ask(guest, (uint16_t)(0x4000 + i));
		n = receive(server, m, &from);
		assert_int_equal(n, sizeof(question));
		assert_memory_equal(m + 2, question + 2, n - 2);
		m[2] = 0x81;
		memcpy(forged, m, n);
		forged[n - 3] = 28;
		send_back(server, forged, n, &from); /* another question */
		memcpy(forged, m, n);
		forged[1] ^= 1;
		send_back(server, forged, n, &from); /* another id */
		send_back(server, forged, 5, &from);
		send_back(other, m, n, &from); /* another server */
		m[3] = 0x80;
		send_back(server, m, n, &from);
		assert_int_equal(receive(guest, m, &unused), n);
		assert_int_equal(dns_id(m), 0x4000 + i);
		assert_int_equal(m[3], 0x80);
	}
	/* What is no query goes nowhere: the next that comes is one. */
	assert_int_equal(send(guest, m, 7, 0), 7);
	m[2] = 0x81;
	assert_int_equal(send(guest, m, sizeof(question), 0), sizeof(question));
	ask(guest, 7);
	assert_int_equal(receive(server, m, &from), sizeof(question));
	assert_int_equal(m[2], 1);
	dnsproxy_destroy(p);
	close(guest);
	close(server);
	close(other);
}

static void a_server_that_is_not_there__is_passed_over(void **state)
{
	struct sockaddr_in from;
	struct dnsproxy *p;
	int guest, server;
	uint8_t m[512];

	(void)state;
	if (!have_net)
		skip();
	set_conf("nameserver 127.0.0.54\nnameserver 127.0.0.55\n");
	guest = begin(&p);
	ask(guest, 1); /* nobody is there: a failure, told at once */
	assert_int_equal(receive(guest, m, &from), sizeof(question));
	assert_int_equal(dns_id(m), 1);
	assert_int_equal(m[3] & 15, 2);
	server = udp_at(0x7f000037, 53);
	ask(guest, 2);
	assert_int_equal(receive(server, m, &from), sizeof(question));
	m[2] = 0x81;
	send_back(server, m, sizeof(question), &from);
	assert_int_equal(receive(guest, m, &from), sizeof(question));
	assert_int_equal(dns_id(m), 2);
	assert_int_equal(m[3] & 15, 0);
	close(server);
	/* The host's network has changed. */
	set_conf("nameserver 127.0.0.60\n");
	server = udp_at(0x7f00003c, 53);
	ask(guest, 3);
	assert_int_equal(receive(server, m, &from), sizeof(question));
	/* One that says nothing is a failure, too, in the end. */
	assert_int_equal(receive(guest, m, &from), sizeof(question));
	assert_int_equal(dns_id(m), 3);
	assert_int_equal(m[3] & 15, 2);
	dnsproxy_destroy(p);
	close(guest);
	close(server);
}

/* The server answers all that it was asked, until the guest's question @id is. */
static void ask_until_answered(int guest, int server, uint16_t id)
{
	struct pollfd p[] = { { .fd = server, .events = POLLIN },
			      { .fd = guest, .events = POLLIN } };
	struct sockaddr_in from;
	uint8_t m[512];

	for (ask(guest, id);;) {
		assert_true(poll(p, 2, WAIT) > 0);
		if ((p[0].revents & POLLIN) != 0) {
			const size_t n = receive(server, m, &from);

			m[2] = 0x81;
			send_back(server, m, n, &from);
		}
		if ((p[1].revents & POLLIN) == 0)
			continue;
		assert_int_equal(receive(guest, m, &from), sizeof(question));
		if (dns_id(m) == id && (m[3] & 15) == 0)
			return;
		ask(guest, id); /* it may have been dropped */
	}
}

/* A guest that asks and asks, of a server that never answers: bounded, and when it stops all is as before. */
static void a_flood__is_dropped(void **state)
{
	const unsigned before = files_open();
	struct dnsproxy *p;
	int guest, server;

	(void)state;
	if (!have_net)
		skip();
	set_conf("nameserver 127.0.0.53\n");
	server = udp_at(0x7f000035, 53);
	guest = begin(&p);
	for (unsigned i = 0; i < 2000; i++) {
		ask(guest, (uint16_t)i);
		if (i % 50 == 49) /* the test's two, and the forwarder's three */
			assert_in_range(files_open(), before, before + DNSPROXY_MAX + 5);
	}
	ask_until_answered(guest, server, 0x4242);
	dnsproxy_destroy(p);
	close(guest);
	close(server);
	assert_int_equal(files_open(), before);
}

static void a_port_that_is_taken__is_said(void **state)
{
	struct sill_err e = { 0 };
	struct dnsproxy *p;
	int other;

	(void)state;
	if (!have_net)
		skip();
	other = udp_at(0, 53);
	p = dnsproxy_create(conf, &e);
	assert_int_equal(dnsproxy_add(p, "lo", HOST, &e), -1);
	assert_non_null(
		strstr(e.msg, "dns: answer on 192.168.249.1 port 53: Address already in use"));
	dnsproxy_destroy(p);
	dnsproxy_destroy(NULL);
	close(other);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query__is_one_question),
		cmocka_unit_test(an_answer__is_to_that_question),
		cmocka_unit_test(servers__are_those_of_resolv_conf_loopback_too),
		cmocka_unit_test(a_question__is_passed_on_and_forgers_are_not_heard),
		cmocka_unit_test(a_server_that_is_not_there__is_passed_over),
		cmocka_unit_test(a_flood__is_dropped),
		cmocka_unit_test(a_port_that_is_taken__is_said),
	};
	const int fd = mkstemp(conf);

	if (fd >= 0)
		close(fd);
	have_net = unshare(CLONE_NEWNET) == 0 &&
		   system("ip link set lo up && ip address add 192.168.249.1/24 dev lo") ==
			   0; /* NOLINT */
	return cmocka_run_group_tests_name("dnsproxy", tests, NULL, teardown);
}
