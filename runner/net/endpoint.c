/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - see endpoint.h. */
#include "runner/net/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/manifest/scalar.h"
#include "runner/report/text.h"

enum { HOST_MAX = 256 }; /* a name has 253 bytes at most (RFC 1035, 2.3.4) */

static int fail(struct sill_err *e, const char *text, const char *what)
{
	char clean[TEXT_SHORT];

	return sill_err_set(e, SILL_ERR_MANIFEST, "'%s' %s",
			    text_clean(clean, sizeof(clean), text, strlen(text)), what);
}

/* [HOST:]PORT in its two parts; @host is "" without one. */
static int split(const char *text, char host[HOST_MAX], uint16_t *ret_port, struct sill_err *e)
{
	const char *colon = strrchr(text, ':'), *port = colon != NULL ? colon + 1 : text;
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	uint64_t n;

	if (scalar_uint(port, &n) != SCALAR_OK || n == 0 || n > 65535) {
		(void)fail(e, text, "does not end with a port");
		return sill_err_hint(e, "ports are 1 to 65535, as in '127.0.0.1:4445'");
	}
	*ret_port = (uint16_t)n;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len) != NULL) {
		(void)fail(e, text, "has more than one ':'");
		return sill_err_hint(e, "an IPv6 address stands in brackets: '[::1]:4445'");
	}
	if (len >= HOST_MAX) {
		(void)fail(e, text, "is too long");
		return sill_err_hint(e, "an address and a port, as in '127.0.0.1:4445'");
	}
	memcpy(host, text, len);
	host[len] = '\0';
	return 0;
}

/* An address, not a name. */
static bool set_address(struct endpoint *p, const char *host, uint16_t port)
{
	struct sockaddr_in *v4 = (void *)&p->at;
	struct sockaddr_in6 *v6 = (void *)&p->at;

	*p = (struct endpoint){ 0 };
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		p->size = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return false;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	p->size = sizeof(*v6);
	return true;
}

int endpoint_read_listen(const char *text, struct endpoint *ret, struct sill_err *e)
{
	char host[HOST_MAX];
	uint16_t port;

	if (split(text, host, &port, e) < 0)
		return -1;
	if (set_address(ret, host[0] == '\0' || strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
			port))
		return 0;
	(void)fail(e, text, "does not begin with an address of the host");
	return sill_err_hint(e, strcmp(host, "*") == 0
					? "all of the host's: '0.0.0.0:PORT'"
					: "a port alone is 127.0.0.1's; else '192.0.2.1:4445'");
}

/* HOST:PORT in its two parts. */
static int split_connect(const char *text, char host[HOST_MAX], uint16_t *ret_port,
			 struct sill_err *e)
{
	if (split(text, host, ret_port, e) < 0)
		return -1;
	if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:%") !=
	    strlen(host)) {
		(void)fail(e, text, "does not begin with the name of a host");
		return sill_err_hint(e, "HOST:PORT, as in '192.0.2.1:4445'");
	}
	if (host[0] != '\0')
		return 0;
	(void)fail(e, text, "does not say where");
	return sill_err_hint(e, "HOST:PORT, as in '192.0.2.1:4445'");
}

int endpoint_check_connect(const char *text, struct sill_err *e)
{
	char host[HOST_MAX];
	uint16_t port;

	return split_connect(text, host, &port, e);
}

int endpoint_resolve(const char *text, struct endpoint_peer *ret, struct sill_err *e)
{
	const struct addrinfo want = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char host[HOST_MAX], service[8];
	uint16_t port;
	int err;

	if (split_connect(text, host, &port, e) < 0)
		return -1;
	*ret = (struct endpoint_peer){ 0 };
	if (set_address(&ret->at[0], host, port)) {
		ret->count = 1;
		return 0;
	}
	(void)snprintf(service, sizeof(service), "%u", port);
	err = getaddrinfo(host, service, &want, &found);
	if (err != 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%.200s': %s", host, gai_strerror(err));
		return sill_err_hint(e, "a name is asked for at the start, an address is not");
	}
	for (const struct addrinfo *a = found; a != NULL && ret->count < ENDPOINT_ADDRESSES;
	     a = a->ai_next) {
		memcpy(&ret->at[ret->count].at, a->ai_addr, a->ai_addrlen);
		ret->at[ret->count++].size = a->ai_addrlen;
	}
	freeaddrinfo(found);
	return 0;
}

/*
 * A debugger's packets are small and wait for answers; a peer that is gone without a word is found out. Who is
 * accepted has all of it from who listens.
 */
static void tune(int fd)
{
	const int yes = 1, idle = 30, again = 10, times = 3; /* s, s: gone after a minute */

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &again, sizeof(again));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

int endpoint_listen(const struct endpoint *p, const char *text, struct sill_err *e)
{
	const int yes = 1;
	int fd = socket(p->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		tune(fd);
	/* So that a VM that starts again need not wait for the connections of the one before. */
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    (p->at.ss_family != AF_INET6 ||
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) == 0) &&
	    bind(fd, (const void *)&p->at, p->size) == 0 && listen(fd, 1) == 0)
		return fd;
	(void)sill_err_sys(e, errno, "listen at '%s'", text);
	if (errno == EADDRINUSE)
		(void)sill_err_hint(e, "another program has that port: `ss -ltnp` tells which");
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int endpoint_dial(const struct endpoint *p)
{
	const int fd = socket(p->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A host that is silent is asked after 1 s and 3 s once more, and given up after 7: then it is dialled anew. */
	const int times = 2;

	if (fd >= 0) {
		tune(fd);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &times, sizeof(times));
	}
	if (fd < 0 || connect(fd, (const void *)&p->at, p->size) == 0 || errno == EINPROGRESS)
		return fd;
	(void)close(fd);
	return -1;
}

int endpoint_dial_next(struct endpoint_peer *p)
{
	return p->count > 0 ? endpoint_dial(&p->at[p->next++ % p->count]) : -1;
}
