/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_probe.c - `sill net probe`: what services say, and servers on the loopback that say it, or
 * something else, or nothing, or too much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/cmd/verbs.h"
#include "runner/net/knock.h"

/* ---- verdicts ---- */

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static const char rdp_confirm[] =
	"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x1f\x08\x00\x02\x00\x00\x00";
static const char rdp_failure[] =
	"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x03\x00\x08\x00\x05\x00\x00\x00";
static const char rdp_old[] = "\x03\x00\x00\x0b\x06\xd0\x00\x00\x12\x34\x00";
static const char winrm_yes[] =
	"HTTP/1.1 200 \r\nServer: Microsoft-HTTPAPI/2.0\r\n\r\n<wsmid:IdentifyResponse>"
	"<wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>";

static char what[SERVICE_WHAT];

/* The verdict comes with the last byte, and not before; cut short it is none. */
static void judged_whole(enum service s, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(service_judge(s, (const uint8_t *)text, i, false, what),
				 SERVICE_MORE);
		assert_int_equal(service_judge(s, (const uint8_t *)text, i, true, what),
				 SERVICE_NOT);
	}
	assert_int_equal(service_judge(s, (const uint8_t *)text, n, false, what), SERVICE_THERE);
}

static void rdp__is_a_connection_confirm(void **state)
{
	(void)state;
	judged_whole(SERVICE_RDP, rdp_confirm, sizeof(rdp_confirm) - 1);
	assert_string_equal(what, "CredSSP");
	judged_whole(SERVICE_RDP, rdp_failure, sizeof(rdp_failure) - 1);
	judged_whole(SERVICE_RDP, rdp_old, sizeof(rdp_old) - 1);
	assert_int_equal(service_judge(SERVICE_RDP, BYTES("SSH-"), false, what), SERVICE_NOT);
	/* Too short a length; a request instead of a confirm. */
	assert_int_equal(service_judge(SERVICE_RDP, BYTES("\3\0\0\4"), false, what), SERVICE_NOT);
	assert_int_equal(service_judge(SERVICE_RDP, BYTES("\3\0\0\x13\x0e\xe0"), false, what),
			 SERVICE_NOT);
}

static void ssh__is_a_line_with_a_version(void **state)
{
	static uint8_t lines[SERVICE_MAX];

	(void)state;
	assert_int_equal(
		service_judge(SERVICE_SSH, BYTES("hello\r\nSSH-2.0-OpenSSH_9\r\n"), false, what),
		SERVICE_THERE);
	assert_string_equal(what, "SSH-2.0-OpenSSH_9");
	assert_int_equal(service_judge(SERVICE_SSH, BYTES("SSH-1.99-x\n"), false, what),
			 SERVICE_THERE);
	assert_int_equal(service_judge(SERVICE_SSH, BYTES("SSH-2.0-Open"), false, what),
			 SERVICE_MORE);
	assert_int_equal(service_judge(SERVICE_SSH, BYTES("SSH-1.5-x\n"), true, what), SERVICE_NOT);
	assert_int_equal(service_judge(SERVICE_SSH, BYTES("SSH-2.0-\x1b[2J\n"), false, what),
			 SERVICE_NOT);
	memset(lines, 'x', sizeof(lines));
	assert_int_equal(service_judge(SERVICE_SSH, lines, 255, false, what), SERVICE_MORE);
	assert_int_equal(service_judge(SERVICE_SSH, lines, 256, false, what), SERVICE_NOT);
	for (size_t i = 0; i < sizeof(lines); i += 64)
		lines[i] = '\n';
	assert_int_equal(service_judge(SERVICE_SSH, lines, sizeof(lines) - 1, false, what),
			 SERVICE_MORE);
	assert_int_equal(service_judge(SERVICE_SSH, lines, sizeof(lines), false, what),
			 SERVICE_NOT);
}

static void winrm__is_an_answer_to_identify(void **state)
{
	(void)state;
	assert_int_equal(service_judge(SERVICE_WINRM, BYTES(winrm_yes), false, what),
			 SERVICE_THERE);
	assert_string_equal(what, "Microsoft Corporation");
	assert_int_equal(service_judge(SERVICE_WINRM, BYTES("HTTP/1.1 200 OK\r\n"), false, what),
			 SERVICE_MORE);
	assert_int_equal(service_judge(SERVICE_WINRM, BYTES("HTTP/1.1 401 \r\n"), false, what),
			 SERVICE_NOT);
	assert_string_equal(what, "HTTP, but no WinRM: status 401");
	assert_int_equal(service_judge(SERVICE_WINRM, BYTES("HTTP/1.1 200 OK\r\n\r\n"), true, what),
			 SERVICE_NOT);
	assert_int_equal(service_judge(SERVICE_WINRM, BYTES("SSH-2.0"), false, what), SERVICE_NOT);
}

/* Every single byte that is another one: a verdict, and nothing outside the bytes is looked at. */
static void garbage__gets_a_verdict(void **state)
{
	(void)state;
	for (enum service s = SERVICE_TCP; s <= SERVICE_WINRM; s++)
		for (unsigned seed = 0; seed < 2000; seed++) {
			const size_t n = seed % 97;
			uint8_t *data = malloc(n + 1); /* its end is the end of a block */

			for (size_t i = 0; i < n; i++)
				data[i] = (uint8_t)((seed * 2654435761u + i * 40503u) >> 8);
			if (n > 0 && seed % 3 == 0)
				data[0] = 3;
			assert_int_not_equal(service_judge(s, data, n, true, what), SERVICE_MORE);
			free(data);
		}
}

/* ---- servers ---- */

struct server {
	int fd;
	uint16_t port;
	const char *say; /* to everybody */
	size_t size;
	bool endless;      /* again and again */
	bool hold;         /* then keep the connection until the end */
	unsigned after_ms; /* listens only then; until then the port refuses */
	char heard[2048];
	size_t heard_size;
	atomic_bool stopped;
	pthread_t thread;
};

static void serve_one(struct server *s, int c)
{
	struct pollfd p = { .fd = c, .events = POLLIN };
	char byte[256];

	do {
		if (s->size > 0 && send(c, s->say, s->size, MSG_NOSIGNAL) < 0)
			break;
	} while (s->endless);
	if (poll(&p, 1, 20) > 0) {
		const ssize_t n = recv(c, s->heard, sizeof(s->heard) - 1, 0);

		s->heard_size = n > 0 ? (size_t)n : 0;
	}
	while (s->hold && recv(c, byte, sizeof(byte), 0) > 0)
		;
	close(c);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	int c;

	if (s->after_ms > 0) {
		(void)poll(NULL, 0, (int)s->after_ms);
		assert_int_equal(listen(s->fd, 16), 0);
	}
	while (!atomic_load(&s->stopped)) {
		if (poll(&p, 1, 20) <= 0)
			continue;
		c = accept(s->fd, NULL, NULL);
		if (c >= 0)
			serve_one(s, c);
	}
	return NULL;
}

static void start(struct server *s, int family)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = family == AF_INET ? sizeof(four) : sizeof(six);
	void *at = family == AF_INET ? (void *)&four : (void *)&six;

	s->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->fd, at, len) < 0) {
		close(s->fd);
		skip(); /* a host without IPv6 */
	}
	assert_int_equal(getsockname(s->fd, at, &len), 0);
	s->port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
	if (s->after_ms == 0)
		assert_int_equal(listen(s->fd, 16), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
	atomic_store(&s->stopped, true);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	close(s->fd);
}

static struct knock_result ask(const char *host, uint16_t port, enum service s, uint64_t wait_ms)
{
	const struct knock k = { .host = host, .port = port, .service = s, .wait_ms = wait_ms };
	struct knock_result r;

	knock(&k, &r);
	return r;
}

static void services__are_found_over_both_protocols(void **state)
{
	static const struct {
		enum service service;
		const char *say;
		size_t size;
	} cases[] = { { SERVICE_TCP, "", 0 },
		      { SERVICE_RDP, rdp_confirm, sizeof(rdp_confirm) - 1 },
		      { SERVICE_SSH, "SSH-2.0-x\r\n", 11 },
		      { SERVICE_WINRM, winrm_yes, sizeof(winrm_yes) - 1 } };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct server s = { .say = cases[i / 2].say, .size = cases[i / 2].size };
		struct knock_result r;

		start(&s, i % 2 == 0 ? AF_INET : AF_INET6);
		r = ask(i % 2 == 0 ? "127.0.0.1" : "::1", s.port, cases[i / 2].service, 0);
		stop(&s);
		assert_int_equal(r.end, KNOCK_THERE);
		assert_int_equal(r.tries, 1);
	}
}

static void requests__are_the_protocols(void **state)
{
	struct server s = { .say = rdp_confirm, .size = sizeof(rdp_confirm) - 1 };

	(void)state;
	start(&s, AF_INET);
	(void)ask("127.0.0.1", s.port, SERVICE_RDP, 0);
	stop(&s);
	assert_int_equal(s.heard_size, 19);
	assert_memory_equal(s.heard, "\x03\x00\x00\x13\x0e\xe0", 6);

	s = (struct server){ .say = winrm_yes, .size = sizeof(winrm_yes) - 1 };
	start(&s, AF_INET);
	(void)ask("127.0.0.1", s.port, SERVICE_WINRM, 0);
	stop(&s);
	assert_non_null(strstr(s.heard, "POST /wsman HTTP/1.1\r\nHost: 127.0.0.1\r\n"));
	assert_non_null(strstr(s.heard, "\r\nWSMANIDENTIFY: unauthenticated\r\n"));

	s = (struct server){ .say = "SSH-2.0-x\r\n", .size = 11 };
	start(&s, AF_INET);
	(void)ask("127.0.0.1", s.port, SERVICE_SSH, 0);
	stop(&s);
	assert_string_equal(s.heard, "SSH-2.0-sill\r\n");
}

static void what_it_is_not__is_said(void **state)
{
	struct server s = { .say = "SSH-2.0-x\r\n", .size = 11 };
	struct knock_result r;

	(void)state;
	start(&s, AF_INET);
	r = ask("127.0.0.1", s.port, SERVICE_RDP, 0);
	stop(&s);
	assert_int_equal(r.end, KNOCK_WRONG);

	s = (struct server){ .say = "\3\0", .size = 2 };
	start(&s, AF_INET);
	r = ask("127.0.0.1", s.port, SERVICE_RDP, 0);
	stop(&s);
	assert_true(r.end == KNOCK_CLOSED);
	/* Nobody any more. */
	r = ask("127.0.0.1", s.port, SERVICE_SSH, 0);
	assert_int_equal(r.end, KNOCK_REFUSED);
	assert_int_equal(r.tries, 1);
	r = ask("no such name.invalid", 22, SERVICE_SSH, 0);
	assert_true(r.end == KNOCK_NAME || r.end == KNOCK_TIME);
}

static void silence__ends_with_the_time(void **state)
{
	struct server s = { .hold = true };
	struct knock_result r;

	(void)state;
	start(&s, AF_INET);
	r = ask("127.0.0.1", s.port, SERVICE_SSH, 300);
	stop(&s);
	assert_int_equal(r.end, KNOCK_TIME);
	assert_true(r.ms >= 300 && r.ms < 3000);
}

static void endless_bytes__are_not_read_forever(void **state)
{
	static char lines[4096];
	struct server s = { .say = lines, .size = sizeof(lines), .endless = true };
	struct knock_result r;

	(void)state;
	memset(lines, '\n', sizeof(lines));
	start(&s, AF_INET);
	r = ask("127.0.0.1", s.port, SERVICE_SSH, 0);
	stop(&s);
	assert_int_equal(r.end, KNOCK_WRONG);
	assert_string_equal(r.what, "its answer does not end");
}

static void a_late_start__is_waited_for(void **state)
{
	struct server s = { .say = "SSH-2.0-x\r\n", .size = 11, .after_ms = 300 };
	struct knock_result r;

	(void)state;
	start(&s, AF_INET);
	r = ask("127.0.0.1", s.port, SERVICE_SSH, 60000);
	stop(&s);
	assert_int_equal(r.end, KNOCK_THERE);
	assert_true(r.tries > 1);
}

/* ---- the verb ---- */

static int verb(const char *const *words)
{
	char text[10][64], *argv[11] = { 0 };
	int argc = 0;

	for (; words[argc] != NULL; argc++) {
		(void)snprintf(text[argc], sizeof(text[0]), "%s", words[argc]);
		argv[argc] = text[argc];
	}
	return verb_find("net")->run(argc, argv);
}

static void words__are_checked_before_anybody_is_asked(void **state)
{
	static const char *const bad[][8] = {
		{ "net" },
		{ "net", "prob", "--ssh", "h", "1" },
		{ "net", "probe", "--ssh", "h" },
		{ "net", "probe", "h", "1" },
		{ "net", "probe", "--ssh", "--rdp", "h", "1" },
		{ "net", "probe", "--ssh", "127.0.0.1", "0" },
		{ "net", "probe", "--ssh", "127.0.0.1", "65536" },
		{ "net", "probe", "--ssh", "--wait", "soon", "127.0.0.1", "22" },
		{ "net", "probe", "--ssh", "--wait", "99999999999h", "127.0.0.1", "22" },
		{ "net", "probe", "--ssh", "", "22" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(verb(bad[i]), CMD_FAILED);
	assert_int_equal(verb((const char *const[]){ "net", "--help", NULL }), CMD_DONE);
	assert_int_equal(verb((const char *const[]){ "net", "probe", "--help", NULL }), CMD_DONE);
}

static void the_status__is_for_scripts(void **state)
{
	struct server s = { .say = "SSH-2.0-x\r\n", .size = 11 };
	char port[8];
	const char *const words[] = { "net",   "probe",       "--ssh", "--json", "--wait",
				      "100ms", "[127.0.0.1]", port,    NULL };

	(void)state;
	start(&s, AF_INET);
	(void)snprintf(port, sizeof(port), "%u", s.port);
	assert_int_equal(verb(words), CMD_DONE);
	stop(&s);
	assert_int_equal(verb(words), CMD_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rdp__is_a_connection_confirm),
		cmocka_unit_test(ssh__is_a_line_with_a_version),
		cmocka_unit_test(winrm__is_an_answer_to_identify),
		cmocka_unit_test(garbage__gets_a_verdict),
		cmocka_unit_test(services__are_found_over_both_protocols),
		cmocka_unit_test(requests__are_the_protocols),
		cmocka_unit_test(what_it_is_not__is_said),
		cmocka_unit_test(silence__ends_with_the_time),
		cmocka_unit_test(endless_bytes__are_not_read_forever),
		cmocka_unit_test(a_late_start__is_waited_for),
		cmocka_unit_test(words__are_checked_before_anybody_is_asked),
		cmocka_unit_test(the_status__is_for_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
