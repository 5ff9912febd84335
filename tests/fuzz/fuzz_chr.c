/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_chr.c - whoever connects to a port that listens, while its guest writes and reads: sockets and TCP.
 *
 * Input: the first byte says which: bit 0 TCP instead of a socket with its readers, bit 1 a kernel debugger's;
 * then pairs { op, value }. Bits 1:0 of op say which of four clients, bits 7:5 what: 0 it comes or goes, 1 it says
 * hello, 2 it sends a frame, 3 what follows in the input, 4 it reads, 5 the guest writes, 6 the guest reads, 7 others. Who has
 * said hello is sent frames that are whole and none but those of sill/console.h; a port is never too busy for its guest.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/serial/chr.h"
#include "base/le.h"
#include "sill/console.h"
#include "turn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 4, HISTORY = 64 * 1024 };

struct client {
	int fd;        /* -1: none */
	bool answered; /* frames follow */
	uint8_t in[SILL_CONSOLE_HEAD + SILL_CONSOLE_FRAME + SILL_CONSOLE_HELLO_SIZE];
	size_t in_n;
};

static struct loop *loop;
static struct chr *chr;
static struct client client[CLIENTS];
static struct sockaddr_un at;
static socklen_t at_size;
static const uint8_t hello[] = SILL_CONSOLE_HELLO "0123456789abcdef\n";

static void nothing(void *ctx)
{
	(void)ctx;
}

static void resized(void *ctx, uint16_t cols, uint16_t rows)
{
	(void)ctx;
	(void)cols;
	(void)rows;
}

static void set_up(bool tcp, bool kd)
{
	static const struct chr_user user = { .readable = nothing, .resized = resized };
	struct chr_config config = { .mode = tcp ? SILL_CHAR_TCP : SILL_CHAR_SOCKET,
				     .in_fd = -1,
				     .out_fd = -1,
				     .history = HISTORY };
	struct sill_err e = { 0 };

	if (loop == NULL)
		loop = loop_create(&e);
	config.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at = (struct sockaddr_un){
		.sun_family = AF_UNIX
	}; /* the kernel chooses a name that is no path */
	require(bind(config.listen_fd, (struct sockaddr *)&at, sizeof(sa_family_t)) == 0);
	at_size = sizeof(at);
	require(getsockname(config.listen_fd, (struct sockaddr *)&at, &at_size) == 0);
	require(listen(config.listen_fd, 2 * CLIENTS) == 0);
	chr = chr_create("far", &config, loop, &e);
	require(chr != NULL);
	if (tcp && kd)
		chr_set_kd(chr);
	chr_set_user(chr, &user);
	for (unsigned i = 0; i < CLIENTS; i++)
		client[i] = (struct client){ .fd = -1 };
}

static void come_or_go(struct client *c)
{
	if (c->fd >= 0) {
		(void)close(c->fd);
		*c = (struct client){ .fd = -1 };
		return;
	}
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connect(c->fd, (struct sockaddr *)&at, at_size) <
	    0) /* nobody has accepted the last ones yet */
		turn(loop);
}

static void say(const struct client *c, const void *p, size_t n)
{
	if (c->fd >= 0)
		(void)send(c->fd, p, n, MSG_NOSIGNAL);
}

static void say_frame(struct client *c, uint8_t v, const uint8_t *p, size_t n)
{
	static const uint8_t types[] = { SILL_CONSOLE_START, SILL_CONSOLE_INPUT,
					 SILL_CONSOLE_TAKE,  SILL_CONSOLE_GIVE,
					 SILL_CONSOLE_BREAK, SILL_CONSOLE_SIZE,
					 SILL_CONSOLE_WHEN,  'z' };
	uint8_t frame[SILL_CONSOLE_HEAD + 31] = { types[v & 7] };
	const size_t wanted = v >> 3, have = n < wanted ? n : wanted;

	memcpy(frame + SILL_CONSOLE_HEAD, p, have);
	st16(frame + 2, (uint16_t)have);
	say(c, frame, SILL_CONSOLE_HEAD + have);
}

static void check_frame(const uint8_t *p, size_t n)
{
	require(p[1] == 0);
	switch (p[0]) {
	case SILL_CONSOLE_OUTPUT:
		require(n > 0);
		break;
	case SILL_CONSOLE_LOST:
		require(n == 8 && ld64(p + SILL_CONSOLE_HEAD) > 0);
		break;
	case SILL_CONSOLE_LIVE:
		require(n == 0);
		break;
	case SILL_CONSOLE_AGO:
		require(n == 16);
		break;
	default:
		require(p[0] == SILL_CONSOLE_PEN && n == 5 &&
			p[SILL_CONSOLE_HEAD] <= SILL_CONSOLE_PEN_TAKEN);
		break;
	}
}

/* The guest writes no NUL: a hello's answer is nowhere else. */
static void take(struct client *c)
{
	size_t from = 0, n;

	if (!c->answered) {
		const uint8_t *found = memmem(c->in, c->in_n, hello, SILL_CONSOLE_HELLO_SIZE);

		if (found == NULL) {
			from = c->in_n < SILL_CONSOLE_HELLO_SIZE
				       ? 0
				       : c->in_n - SILL_CONSOLE_HELLO_SIZE + 1;
		} else {
			from = (size_t)(found - c->in) + SILL_CONSOLE_HELLO_SIZE;
			c->answered = true;
		}
	}
	while (c->answered && c->in_n - from >= SILL_CONSOLE_HEAD) {
		n = ld16(c->in + from + 2);
		require(n <= SILL_CONSOLE_FRAME);
		if (c->in_n - from < SILL_CONSOLE_HEAD + n)
			break;
		check_frame(c->in + from, n);
		from += SILL_CONSOLE_HEAD + n;
	}
	c->in_n -= from;
	memmove(c->in, c->in + from, c->in_n);
}

static void hear(struct client *c, unsigned pieces)
{
	ssize_t n;

	while (c->fd >= 0 && pieces-- > 0) {
		n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, 0);
		if (n <= 0)
			return;
		c->in_n += (size_t)n;
		take(c);
	}
}

static void write_some(uint8_t v, const uint8_t *p, size_t n)
{
	uint8_t piece[4096];
	const uint64_t before = chr_written(chr);

	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = (uint8_t)(1 | (n > 0 ? p[i % n] : i)); /* no NUL */
	for (unsigned i = 0; i <= (v & 31u); i++)
		chr_write(chr, piece, sizeof(piece) >> (v >> 5));
	require(chr_written(chr) == before + ((v & 31u) + 1) * (sizeof(piece) >> (v >> 5)));
}

static void other(uint8_t v)
{
	static uint8_t tail[HISTORY];
	struct sill_kd_seen seen;

	switch (v & 3) {
	case 0:
		chr_guest_anew(chr);
		break;
	case 1:
		chr_kd(chr, &seen);
		break;
	case 2:
		require(chr_tail(chr, tail, v * 256u) <= v * 256u);
		break;
	default:
		(void)chr_take_break(chr);
		chr_inject_break(chr);
		break;
	}
	turn(loop);
}

static void step(uint8_t op, uint8_t v, const uint8_t *p, size_t n)
{
	struct client *c = &client[op & 3];
	uint8_t sink[4096];

	switch (op >> 5) {
	case 0:
		come_or_go(c);
		break;
	case 1:
		say(c, hello, SILL_CONSOLE_HELLO_SIZE);
		break;
	case 2:
		say_frame(c, v, p, n);
		break;
	case 3:
		say(c, p, v < n ? v : n);
		break;
	case 4:
		hear(c, v);
		break;
	case 5:
		write_some(v, p, n);
		break;
	case 6:
		require(chr_read(chr, sink, (size_t)v * 16) <= (size_t)v * 16);
		break;
	default:
		other(v);
		break;
	}
	if ((op & 0x04) != 0)
		turn(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	set_up((data[0] & 1) != 0, (data[0] & 2) != 0);
	for (size_t i = 1; i + 1 < size; i += 2)
		step(data[i], data[i + 1], data + i + 2, size - i - 2);
	turn(loop);
	for (unsigned i = 0; i < CLIENTS; i++) {
		hear(&client[i], 64);
		if (client[i].fd >= 0)
			(void)close(client[i].fd);
	}
	turn(loop);
	require(chr_dropped(chr) <= CLIENTS * chr_written(chr) + chr_written(chr));
	chr_destroy(chr);
	return 0;
}
