/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_netstream.c - a stream of frames from a far end that says anything, cut in any way. What comes out
 * are the frames of a simple reading of the same bytes, in order and no others, up to the first length that
 * cannot be.
 *
 * Input: a byte for how the pieces are cut, then what the far end sends, see spread().
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 17, LONGEST = 65535 };

/* The input as the far end sends it: a byte 0xf0..0xff stands for so many KiB of nothing but itself. */
static size_t spread(const uint8_t *data, size_t size, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		const size_t many = data[i] >= 0xf0 ? (size_t)(data[i] - 0xef) << 10 : 1;

		if (many > ROOM - n)
			break;
		memset(out + n, data[i], many);
		n += many;
	}
	return n;
}

/* Everything that can be had now agrees with @in from *@at on. False: it has ended. */
static bool read_all(struct net *n, const uint8_t *in, size_t come, size_t *at)
{
	static uint8_t frame[NET_HEADER + NET_FRAME_MAX];
	const struct iovec iov = { frame, sizeof(frame) };

	for (;;) {
		const ssize_t got = n->ops->recv(n, 0, &iov, 1);
		const uint8_t *p = in + *at;
		size_t length = 0;

		if (come - *at >= 4)
			length = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
		if (got == NET_AGAIN) {
			assert(come - *at < 4 || (length <= LONGEST && come - *at < 4 + length));
			return true;
		}
		if (got == NET_GONE) {
			assert(come - *at >= 4 && length > LONGEST);
			return false;
		}
		assert(come - *at >= 4 + length && length <= LONGEST);
		if (got == NET_DROPPED) {
			assert(length < NET_ETHERNET);
		} else {
			assert((size_t)got == NET_HEADER + length && length >= NET_ETHERNET);
			assert(memcmp(frame + NET_HEADER, p + 4, length) == 0);
		}
		*at += 4 + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t in[ROOM];
	struct sill_err e = { 0 };
	size_t total, sent = 0, at = 0;
	struct net *n;
	int pair[2];
	bool there = true;

	if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	n = net_socket_open(pair[0], &e);
	assert(n != NULL);
	total = spread(data + 1, size - 1, in);
	while (there && sent < total) {
		const size_t piece =
			1 + (size_t)data[sent % size] * (data[0] + 1u) % (total - sent);
		const ssize_t part = send(pair[1], in + sent, piece, MSG_DONTWAIT);

		assert(part > 0);
		sent += (size_t)part;
		there = read_all(n, in, sent, &at);
	}
	close(pair[1]);
	if (there) {
		const struct iovec iov = { in, sizeof(in) };

		assert(n->ops->recv(n, 0, &iov, 1) == NET_GONE);
	}
	net_close(n);
	return 0;
}
