/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c - frames through a Unix socket, to another process on this host.
 *
 * A stream needs care where the other side is passt before July 2024: it takes
 * a length and a frame in one call or the length and the frame in two pieces,
 * and is out of step for ever with any other cut. So one sendmsg() holds exactly one
 * frame with its length; and if the socket has taken a part of it, the rest follows
 * in one call that waits, for at most SEND_WAIT_S. Lengths that newer ones end the
 * connection for (under 14 bytes, over 65,535) are not sent at all.
 *
 * What comes from a stream is cut in any way, and is put together here. Frames that have come
 * are handed out without asking the socket, which may be empty while there are some: whoever looks at the
 * descriptor does so only after NET_AGAIN.
 */
#include "backend/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/le.h"

enum {
	LENGTH = 4,
	STREAM_MAX = 65535,        /* of a frame; a worse length is a broken other side */
	STREAM_BUFFER = 256 << 10, /* many frames come by one call */
	SEND_WAIT_S = 2,
	SOCKET_BUFFER = 4 << 20,
	IOV_ROOM = 1024,
	PURGE_MAX = 4096,
	HEADER_DATA_VALID = 2, /* in its first byte: the checksums are right */
};

struct net_socket {
	struct net net; /* first */
	bool stream;
	bool valid; /* atomic: the guest wants to hear that checksums are right */
	bool gone;
	/* Of a stream: what has come and was not asked for yet, from a frame's length on. */
	size_t at, have;
	uint8_t in[STREAM_BUFFER];
	/* Of a frame that goes; here, because the compiler would clear it on the stack for each. */
	struct iovec out[IOV_ROOM];
};

static struct net_socket *from_net(struct net *n)
{
	return (struct net_socket *)(void *)n;
}

/* What a call that failed means for what it should have sent or received. */
static ssize_t failed(struct net_socket *s)
{
	switch (errno) {
	case EAGAIN:
	case EINTR:
		return NET_AGAIN;
	case EMSGSIZE:
	case ENOBUFS:
	case ENOMEM:
	case EFAULT:
		return NET_DROPPED;
	default:
		s->gone = true;
		return NET_GONE;
	}
}

/* ---- packets ---- */

static ssize_t packet_recv(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov,
			    .msg_iovlen = (size_t)count };
	const ssize_t got = recvmsg(n->fd[queue], &m, MSG_DONTWAIT | MSG_TRUNC);

	if (got < 0)
		return failed(from_net(n));
	if (got == 0)
		return NET_GONE;
	return got;
}

static ssize_t packet_send(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	const struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov,
				  .msg_iovlen = (size_t)count };
	const ssize_t sent = sendmsg(n->fd[queue], &m, MSG_DONTWAIT | MSG_NOSIGNAL);

	return sent < 0 ? failed(from_net(n)) : sent;
}

static void packet_purge(struct net *n, unsigned queue)
{
	uint8_t byte;

	for (unsigned i = 0; i < PURGE_MAX; i++)
		if (recv(n->fd[queue], &byte, sizeof(byte), MSG_DONTWAIT) <= 0)
			return;
}

/* ---- a stream ---- */

static uint32_t next_length(const struct net_socket *s)
{
	be32 length;

	memcpy(&length, s->in + s->at, LENGTH);
	return be32_get(length);
}

/* Has the next frame come, and all of it? */
static bool is_whole(const struct net_socket *s)
{
	return s->have >= LENGTH && next_length(s) <= STREAM_MAX &&
	       s->have - LENGTH >= next_length(s);
}

/* Until there is a frame. 0, or NET_AGAIN ... */
static ssize_t fill(struct net_socket *s, int fd)
{
	while (!is_whole(s)) {
		ssize_t got;

		/* Nothing that could be a length. */
		if (s->have >= LENGTH && next_length(s) > STREAM_MAX) {
			s->gone = true;
			return NET_GONE;
		}
		if (s->at > 0)
			memmove(s->in, s->in + s->at, s->have);
		s->at = 0;
		got = recv(fd, s->in + s->have, sizeof(s->in) - s->have, MSG_DONTWAIT);
		if (got < 0)
			return failed(s);
		if (got == 0) {
			s->gone = true;
			return NET_GONE;
		}
		s->have += (size_t)got;
	}
	return 0;
}

static ssize_t stream_recv(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	struct net_socket *s = from_net(n);
	uint8_t *out = iov[0].iov_base;
	const uint8_t *frame;
	size_t length;
	ssize_t r;

	(void)count;
	if (s->gone)
		return NET_GONE;
	r = fill(s, n->fd[queue]);
	if (r < 0)
		return r;
	frame = s->in + s->at + LENGTH;
	length = next_length(s);
	s->at += LENGTH + length;
	s->have -= LENGTH + length;
	if (length < NET_ETHERNET)
		return NET_DROPPED;
	memset(out, 0, NET_HEADER);
	if (__atomic_load_n(&s->valid, __ATOMIC_RELAXED))
		out[0] = HEADER_DATA_VALID;
	memcpy(out + NET_HEADER, frame, length);
	return (ssize_t)(NET_HEADER + length);
}

/* The rest of a frame after its first @sent bytes, in one call that waits. */
static ssize_t send_rest(struct net_socket *s, int fd, struct msghdr *m, size_t sent)
{
	size_t left = 0;

	while (sent >= m->msg_iov->iov_len) {
		sent -= m->msg_iov->iov_len;
		m->msg_iov++;
		m->msg_iovlen--;
	}
	m->msg_iov->iov_base = (char *)m->msg_iov->iov_base + sent;
	m->msg_iov->iov_len -= sent;
	for (size_t i = 0; i < m->msg_iovlen; i++)
		left += m->msg_iov[i].iov_len;
	if (sendmsg(fd, m, MSG_NOSIGNAL) == (ssize_t)left)
		return (ssize_t)left;
	s->gone = true; /* out of step */
	return NET_GONE;
}

static ssize_t stream_send(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	struct net_socket *s = from_net(n);
	struct msghdr m = { .msg_iov = s->out, .msg_iovlen = (size_t)count };
	size_t length = 0;
	be32 word;
	ssize_t sent;

	if (s->gone)
		return NET_GONE;
	/* The length takes the header's place. */
	for (int i = 1; i < count; i++)
		length += iov[i].iov_len;
	if (length < NET_ETHERNET || length > STREAM_MAX || count > IOV_ROOM)
		return NET_DROPPED;
	word = be32_of((uint32_t)length);
	s->out[0] = (struct iovec){ &word, LENGTH };
	memcpy(s->out + 1, iov + 1, (size_t)(count - 1) * sizeof(*iov));
	sent = sendmsg(n->fd[queue], &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return failed(s);
	if ((size_t)sent < LENGTH + length)
		return send_rest(s, n->fd[queue], &m, (size_t)sent);
	return sent;
}

static void stream_set_offloads(struct net *n, unsigned offloads)
{
	__atomic_store_n(&from_net(n)->valid, (offloads & NET_CSUM) != 0, __ATOMIC_RELAXED);
}

static void socket_close(struct net *n)
{
	fd_close(&n->news);
	free(from_net(n));
}

/* Is it a socket for frames? Its type, or -1. */
static int prepare(int fd, struct sill_err *e)
{
	const struct timeval wait = { .tv_sec = SEND_WAIT_S };
	const int buffer = SOCKET_BUFFER;
	int type = 0;
	socklen_t n = sizeof(type);
	const int flags = fcntl(fd, F_GETFL);

	/* What must not wait says so itself. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return sill_err_sys(e, errno, "network socket");
	if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
		return sill_err_set(e, SILL_ERR_HOST, "network socket: type %d", type);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer,
			 sizeof(buffer)); /* what the host allows */
	return type;
}

/* A descriptor of its own: the other is watched for frames, now and then. */
static int watch_end(struct net *n, struct sill_err *e)
{
	fd_close(&n->news);
	n->news = fcntl(n->fd[0], F_DUPFD_CLOEXEC, 0);
	return n->news >= 0 ? 0 : sill_err_sys(e, errno, "network socket");
}

/* What has come of it before may not have been read yet, and is lost with it. */
static bool socket_is_gone(struct net *n)
{
	struct pollfd p = { .fd = n->news, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 1;
}

static int socket_renew(struct net *n, int fd, struct sill_err *e)
{
	struct net_socket *s = from_net(n);
	const int type = prepare(fd, e);
	int ret = -1;

	if (type >= 0 && s->stream != (type == SOCK_STREAM))
		(void)sill_err_set(e, SILL_ERR_HOST, "network socket: type %d", type);
	else if (type >= 0)
		ret = dup3(fd, n->fd[0], O_CLOEXEC) < 0 ? sill_err_sys(e, errno, "network socket")
							: 0;
	fd_close(&fd);
	if (ret < 0)
		return -1;
	if (watch_end(n, e) < 0)
		return -1;
	s->at = s->have = 0; /* what has come is of another stream */
	s->gone = false;
	return 0;
}

static const struct net_ops packet_ops = {
	.kind = "packets",
	.recv = packet_recv,
	.send = packet_send,
	.close = socket_close,
	.purge = packet_purge,
	.renew = socket_renew,
	.is_gone = socket_is_gone,
};

/* Nothing is purged from a stream: it might be in the middle of a frame. */
static const struct net_ops stream_ops = {
	.kind = "stream",
	.recv = stream_recv,
	.send = stream_send,
	.close = socket_close,
	.set_offloads = stream_set_offloads,
	.renew = socket_renew,
	.is_gone = socket_is_gone,
};

struct net *net_socket_open(int fd, struct sill_err *e)
{
	struct net_socket *s = calloc(1, sizeof(*s));
	int type;

	if (s == NULL) {
		(void)sill_err_sys(e, ENOMEM, "network socket");
		fd_close(&fd);
		return NULL;
	}
	type = prepare(fd, e);
	if (type < 0)
		goto fail;
	s->stream = type == SOCK_STREAM;
	s->net = (struct net){
		.news = -1,
		.news_events = EPOLLRDHUP,
		.ops = s->stream ? &stream_ops : &packet_ops,
		.queues = 1,
		.copies = s->stream,
		.to_guest = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN,
		.from_guest = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN,
	};
	s->net.fd[0] = fd;
	if (watch_end(&s->net, e) < 0)
		goto fail;
	if (s->stream) {
		s->net.to_guest = NET_CSUM;
		s->net.from_guest = NET_CSUM | NET_TSO4 | NET_TSO6;
	}
	return &s->net;

fail:
	fd_close(&fd);
	free(s);
	return NULL;
}
