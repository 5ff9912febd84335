/* SPDX-License-Identifier: Apache-2.0 */
/* passt.c - see passt.h. */
#include "runner/net/passt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sill/config.h"

enum {
	LOOK_MS = 1000,
	IDLE = 10,          /* looks: it answers within milliseconds */
	CPU_MS = 60 * 1000, /* of its own: it takes some, and goes round in circles */
	FRAMES_MAX = 64,    /* before its answer */
	MTU_MAX = 65520,    /* that it knows */
	ARP_FRAME = 42,
	FRAME_MAX = 65535,
};

/* ---- its command line ---- */

static void add_address(struct program_line *l, const char *option, uint32_t address)
{
	const struct in_addr in = { htonl(address) };
	char text[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, &in, text, sizeof(text));
	program_arg(l, "%s", option);
	program_arg(l, "%s", text);
}

/* A port at an IPv4 address, or at an IPv6 one if it has no other: passt has one address for a port. */
static void add_forward(struct program_line *l, const struct forward_spec *s)
{
	char text[INET6_ADDRSTRLEN];

	if (s->v4)
		(void)inet_ntop(AF_INET, &s->address4, text, sizeof(text));
	else
		(void)inet_ntop(AF_INET6, &s->address6, text, sizeof(text));
	program_arg(l, "-t");
	program_arg(l, "%s/%u:%u", text, s->host_port, s->guest_port);
}

void passt_line(struct program_line *ret, const struct passt_want *w, int fd)
{
	uint8_t m[6];

	ret->n = 0;
	sill_host_mac(w->mac, m);
	program_arg(ret, "passt");
	program_arg(ret, "-f"); /* our child, not a daemon; --fd means that it serves one guest */
	program_arg(ret, "-q");
	program_arg(ret, "--fd");
	program_arg(ret, "%d", fd);
	add_address(ret, "-a", w->guest);
	program_arg(ret, "-n");
	program_arg(ret, "%u", w->prefix);
	add_address(ret, "-g", w->host);
	program_arg(ret, "-M"); /* of its own side */
	program_arg(ret, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	program_arg(ret,
		    "--no-map-gw"); /* the gateway's address does not lead to the host's loopback */
	program_arg(ret, "--no-dhcp"); /* the card answers */
	if (w->mtu != 0) {
		program_arg(ret, "-m");
		program_arg(ret, "%u", w->mtu < MTU_MAX ? w->mtu : MTU_MAX);
	}
	for (unsigned i = 0; i < w->forward_count; i++)
		add_forward(ret, &w->forward[i]);
}

/* ---- the process ---- */

static int spawn(struct program *p, const struct passt_want *w, int theirs, struct sill_err *e)
{
	struct program_line *line = calloc(1, sizeof(*line));
	int ret;

	if (line == NULL)
		return sill_err_sys(e, ENOMEM, "start passt");
	passt_line(line, w, PROGRAM_FD);
	ret = program_start(p, line->argv, theirs, e);
	free(line);
	if (ret < 0 && e->sys == ENOENT)
		return sill_err_hint(e, "the package passt has it: `apt install passt`");
	return ret;
}

/* ---- does it answer? ---- */

/* "Who is the gateway? Tell the guest", after its length. RFC 826. */
static void put_question(uint8_t f[4 + ARP_FRAME], const struct passt_want *w)
{
	static const uint8_t arp[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
	const uint32_t host = htonl(w->host), guest = htonl(w->guest), length = htonl(ARP_FRAME);

	memset(f, 0, 4 + ARP_FRAME);
	memcpy(f, &length, 4);
	f += 4;
	memset(f, 0xff, 6);
	memcpy(f + 6, w->mac, 6);
	memcpy(f + 12, arp, sizeof(arp));
	memcpy(f + 22, w->mac, 6);
	memcpy(f + 28, &guest, 4);
	memcpy(f + 38, &host, 4);
}

/* Who is asked, and how patiently. */
struct talk {
	const struct program *program;
	int fd, stop, look_ms;
	unsigned idle;   /* so often in a row it had done nothing, */
	uint64_t cpu_ms; /* having had so much time until then */
};

/* It has neither answered nor ended. Nothing of it is by the clock but that it does nothing. */
static bool may_answer(struct talk *t)
{
	uint64_t cpu_ms;
	const bool works = program_is_at_work(t->program, &cpu_ms) || cpu_ms != t->cpu_ms;

	t->cpu_ms = cpu_ms;
	t->idle = works ? 0 : t->idle + 1;
	return t->idle < IDLE && cpu_ms < CPU_MS;
}

/* Until there is something to read, or its end. */
static bool wait_for(struct talk *t)
{
	struct pollfd p[2] = { { .fd = t->fd, .events = POLLIN },
			       { .fd = t->stop, .events = POLLIN } };
	int n;

	do
		n = poll(p, 2, t->look_ms);
	while ((n < 0 && errno == EINTR) || (n == 0 && may_answer(t)));
	return n > 0 && p[1].revents == 0;
}

/* @n bytes of a frame, not less; what does not fit is read, too. */
static bool read_all(struct talk *t, uint8_t *p, size_t n, size_t room)
{
	uint8_t rest[512];

	while (n > 0) {
		const bool fits = room > 0;
		const size_t most = fits ? room : sizeof(rest);
		ssize_t got;

		if (!wait_for(t))
			return false;
		got = recv(t->fd, fits ? p : rest, n < most ? n : most, MSG_DONTWAIT);
		if (got <= 0)
			return false;
		n -= (size_t)got;
		if (fits) {
			p += got;
			room -= (size_t)got;
		}
	}
	return true;
}

/* Until the answer has come; what comes before it is nobody's yet. */
static bool answers(struct talk *t, const struct passt_want *w)
{
	static const uint8_t reply[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 2 };
	uint8_t f[4 + ARP_FRAME];
	uint32_t length;

	put_question(f, w);
	if (send(t->fd, f, sizeof(f), MSG_NOSIGNAL) != (ssize_t)sizeof(f))
		return false;
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		memset(f, 0, sizeof(f));
		if (!read_all(t, (uint8_t *)&length, sizeof(length), sizeof(length)) ||
		    ntohl(length) > FRAME_MAX || !read_all(t, f, ntohl(length), sizeof(f)))
			return false;
		if (memcmp(f + 12, reply, sizeof(reply)) == 0)
			return true;
	}
	return false;
}

/* It runs, or has run, and does not answer. */
static int silent(struct program *p, struct sill_err *e)
{
	char words[PROGRAM_WHY];

	program_words(p, words);
	program_stop(p);
	(void)sill_err_set(e, SILL_ERR_HOST, "passt: %s",
			   words[0] != '\0' ? words : "it does not answer");
	if (strstr(words, "interface") != NULL)
		return sill_err_hint(e, "this version of passt needs a default route of the host: "
					"`ip route`");
	if (strstr(words, "bind") != NULL)
		return sill_err_hint(e, "is the port taken (`ss -ltn`), or below 1024 "
					"(net.ipv4.ip_unprivileged_port_start)?");
	return 0;
}

int passt_start(struct program *p, const struct passt_want *w, int stop, int *ret_fd,
		struct sill_err *e)
{
	struct talk t = { .program = p,
			  .stop = stop,
			  .look_ms = w->look_ms != 0 ? (int)w->look_ms : LOOK_MS };
	int pair[2];

	program_init(p);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return sill_err_sys(e, errno, "a socket to passt");
	if (spawn(p, w, pair[1], e) < 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return -1;
	}
	(void)close(pair[1]);
	t.fd = pair[0];
	if (!answers(&t, w)) {
		(void)close(pair[0]);
		(void)silent(p, e);
		return -1;
	}
	*ret_fd = pair[0];
	return 0;
}
