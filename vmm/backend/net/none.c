/* SPDX-License-Identifier: Apache-2.0 */
/* none.c - a cable with nothing at its other end: what goes is gone, and nothing comes. */
#include "backend/net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

static ssize_t none_recv(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	(void)n;
	(void)queue;
	(void)iov;
	(void)count;
	return NET_AGAIN;
}

static ssize_t none_send(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	(void)n;
	(void)queue;
	(void)iov;
	(void)count;
	return 0;
}

static void none_close(struct net *n)
{
	free(n);
}

static const struct net_ops none_ops = {
	.kind = "none",
	.recv = none_recv,
	.send = none_send,
	.close = none_close,
};

struct net *net_none_open(unsigned count, struct sill_err *e)
{
	struct net *n = calloc(1, sizeof(*n));

	if (n == NULL || count == 0 || count > NET_MAX_QUEUES) {
		(void)sill_err_sys(e, n == NULL ? ENOMEM : EINVAL, "a card without network");
		free(n);
		return NULL;
	}
	*n = (struct net){ .ops = &none_ops,
			   .news = -1,
			   .queues = count,
			   .to_guest = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN,
			   .from_guest = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN };
	for (unsigned i = 0; i < count; i++) {
		n->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* which is never readable */
		if (n->fd[i] >= 0)
			continue;
		(void)sill_err_sys(e, errno, "a card without network");
		n->queues = i;
		net_close(n);
		return NULL;
	}
	return n;
}
