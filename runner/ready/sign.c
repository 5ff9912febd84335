/* SPDX-License-Identifier: Apache-2.0 */
/* sign.c - see sign.h. */
#include "runner/ready/sign.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/manifest/scalar.h"
#include "runner/net/forwardspec.h"
#include "runner/net/knock.h"
#include "runner/net/netstate.h"
#include "runner/report/text.h"

enum { VSOCK_MS = 3000 };

/* False: it is none of a host. */
static bool service_of(const struct sill_ready_config *r, enum service *ret, uint16_t *ret_port)
{
	const uint16_t ports[] = { [SERVICE_TCP] = r->tcp,
				   [SERVICE_RDP] = r->rdp,
				   [SERVICE_SSH] = r->ssh,
				   [SERVICE_WINRM] = r->winrm };

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (ports[i] == 0)
			continue;
		*ret = (enum service)i;
		*ret_port = ports[i];
		return true;
	}
	return false;
}

char *sign_name(const struct sill_ready_config *r, char dst[SIGN_NAME])
{
	enum service s;
	uint16_t port;

	if (service_of(r, &s, &port))
		(void)snprintf(dst, SIGN_NAME, "%s %u%.60s%.40s", service_name(s), port,
			       r->host != NULL ? " at " : "", r->host != NULL ? r->host : "");
	else if (r->serial != NULL)
		(void)snprintf(dst, SIGN_NAME, "serial '%.60s'", r->serial);
	else
		(void)snprintf(dst, SIGN_NAME, "vsock %u", r->vsock);
	text_cleanse(dst, SIGN_NAME);
	return dst;
}

uint64_t sign_within(const struct sill_ready_config *r)
{
	uint64_t ms = 0;

	/* The rules have seen to it. */
	(void)(r->within != NULL ? scalar_span(r->within, &ms) : scalar_span("300s", &ms));
	return ms;
}

/* ---- ports of a host ---- */

static void set_host(struct sign_port *ret, const char *host, uint16_t port)
{
	(void)snprintf(ret->host, sizeof(ret->host), "%s", host);
	ret->port = port;
}

/* Where the host takes connections for it: of any address, the loopback's. */
static void set_forward(struct sign_port *ret, const struct forward_spec *f)
{
	char text[INET6_ADDRSTRLEN];

	if (f->v4 && (f->v6 || f->address4.s_addr == INADDR_ANY))
		set_host(ret, "127.0.0.1", f->host_port);
	else if (f->v4)
		set_host(ret, inet_ntop(AF_INET, &f->address4, text, sizeof(text)), f->host_port);
	else if (memcmp(&f->address6, &in6addr_any, sizeof(in6addr_any)) == 0)
		set_host(ret, "::1", f->host_port);
	else
		set_host(ret, inet_ntop(AF_INET6, &f->address6, text, sizeof(text)), f->host_port);
}

static bool find_forward(const struct sill_config *c, uint16_t port, struct sign_port *ret)
{
	for (unsigned i = 0; i < c->net_count; i++)
		for (unsigned j = 0; j < c->net[i].forward_count; j++) {
			struct sill_err unused = { 0 };
			struct forward_spec f;

			if (forward_read(c->net[i].forward[j], &f, &unused) < 0 ||
			    f.guest_port != port)
				continue;
			set_forward(ret, &f);
			return true;
		}
	return false;
}

bool sign_find_port(const struct sill_config *c, const struct sill_ready_config *r,
		    struct sign_port *ret)
{
	char guest[INET_ADDRSTRLEN];
	enum service s;
	uint16_t port;

	if (!service_of(r, &s, &port))
		return false;
	if (r->host == NULL && !netstate_guest_of(c, guest))
		return find_forward(c, port, ret);
	set_host(ret, r->host != NULL ? r->host : guest, port);
	return true;
}

static bool try_port(const struct sill_config *c, const struct sill_ready_config *r,
		     const int *stop, char ret_what[SIGN_WHAT])
{
	struct sign_port at;
	struct knock_result result;
	struct knock k = { .stop = stop };
	uint16_t port;

	if (!service_of(r, &k.service, &port) || !sign_find_port(c, r, &at)) {
		(void)snprintf(ret_what, SIGN_WHAT,
			       "the guest's address is not known: add host, or forward");
		return false;
	}
	k.host = at.host;
	k.port = at.port;
	knock(&k, &result);
	(void)snprintf(ret_what, SIGN_WHAT, "%s", result.what);
	return result.end == KNOCK_THERE;
}

/* ---- the guest's vsock device ---- */

static bool wait_for(int fd, short events, const int *stop, uint64_t until)
{
	struct pollfd p[] = { { .fd = fd, .events = events }, { .fd = *stop, .events = POLLIN } };
	const uint64_t now = clock_ms();

	return poll(p, 2, now < until ? (int)(until - now) : 0) > 0 && p[1].revents == 0;
}

/* "OK 1024\n" comes once the guest's program has accepted. */
static bool hear_ok(int fd, const int *stop, char ret_what[SIGN_WHAT])
{
	const uint64_t until = clock_ms() + VSOCK_MS;
	char line[32];
	size_t n = 0;

	while (n < sizeof(line) && memchr(line, '\n', n) == NULL) {
		ssize_t got;

		if (!wait_for(fd, POLLIN, stop, until)) {
			(void)snprintf(ret_what, SIGN_WHAT, "nobody answers");
			return false;
		}
		got = recv(fd, line + n, sizeof(line) - n, 0);
		if (got <= 0) {
			(void)snprintf(ret_what, SIGN_WHAT, "nobody of the guest listens there");
			return false;
		}
		n += (size_t)got;
	}
	ret_what[0] = '\0';
	return n > 3 && memcmp(line, "OK ", 3) == 0;
}

static bool try_vsock(const struct sill_config *c, const struct sill_ready_config *r,
		      const int *stop, char ret_what[SIGN_WHAT])
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char line[32];
	int fd, n;
	bool is;

	if (c->vsock.socket == NULL || strlen(c->vsock.socket) >= sizeof(at.sun_path)) {
		(void)snprintf(ret_what, SIGN_WHAT, "the VM has no vsock device");
		return false;
	}
	memcpy(at.sun_path, c->vsock.socket, strlen(c->vsock.socket) + 1);
	n = snprintf(line, sizeof(line), "CONNECT %u\n", r->vsock);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    send(fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
		(void)snprintf(ret_what, SIGN_WHAT, "%s", strerrordesc_np(errno));
		is = false;
	} else {
		is = hear_ok(fd, stop, ret_what);
	}
	if (fd >= 0)
		(void)close(fd);
	return is;
}

bool sign_try(const struct sill_config *c, const struct sill_ready_config *r, const int *stop,
	      char ret_what[SIGN_WHAT])
{
	return r->vsock != 0 ? try_vsock(c, r, stop, ret_what) : try_port(c, r, stop, ret_what);
}

/* ---- text ---- */

void sign_take(struct sign_text *t, const uint8_t *p, size_t n)
{
	const size_t keep = t->n < SIGN_TEXT ? t->n : SIGN_TEXT;

	assert(n <= SIGN_PIECE);
	memmove(t->data, t->data + t->n - keep, keep);
	memcpy(t->data + keep, p, n);
	t->n = keep + n;
}

bool sign_has(const struct sign_text *t, const char *text)
{
	return memmem(t->data, t->n, text, strlen(text)) != NULL;
}
