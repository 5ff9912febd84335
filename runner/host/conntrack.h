/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrack.h - the kernel's memory of connections, by ctnetlink.
 *
 * What it has seen of a connection's first packet holds as long as the connection: one that began
 * before there was NAT is never translated. So a guest's are forgotten when its rules come, and when they go.
 */
#ifndef RUNNER_HOST_CONNTRACK_H
#define RUNNER_HOST_CONNTRACK_H

#include "runner/host/nft.h"

/*
 * Forget all connections that one of @n has begun, or answers in. Where there is nothing to forget, or no right to,
 * nothing happens. Returns how many. Reads all that the kernel remembers: some milliseconds for 10,000.
 */
unsigned conntrack_forget(const struct nft_net *n);
/* The same of an IPv6 network of 64 bits. */
unsigned conntrack_forget6(const uint8_t net[8]);

#endif
