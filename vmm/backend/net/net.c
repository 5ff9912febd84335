/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - what all network back ends share. */
#include "backend/net/net.h"

#include "base/fd.h"

unsigned net_offloads_sane(unsigned offloads)
{
	if ((offloads & NET_CSUM) == 0)
		return 0;
	if ((offloads & (NET_TSO4 | NET_TSO6)) == 0)
		offloads &= ~(unsigned)NET_ECN;
	return offloads;
}

void net_close(struct net *n)
{
	if (n == NULL)
		return;
	for (unsigned i = 0; i < n->queues; i++)
		fd_close(&n->fd[i]);
	n->ops->close(n);
}
