/* SPDX-License-Identifier: Apache-2.0 */
/* find.c - see find.h. */
#include "runner/net/find.h"

#include <netinet/in.h>
#include <string.h>

#include "runner/host/resolver.h"

unsigned find_guest(void *ctx, struct sockaddr_storage to[FORWARD_TARGETS])
{
	static const uint8_t none[16] = { 0 };
	const struct seen_guest *g = ctx;
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
	struct sill_err unused = { 0 };
	struct sill_net_status s;

	if (g->vm == NULL || sill_vm_net_status(g->vm, g->id, &s, &unused) < 0 ||
	    memcmp(s.guest6, none, sizeof(none)) == 0)
		return 0;
	memcpy(&at.sin6_addr, s.guest6, sizeof(s.guest6));
	memcpy(&to[0], &at, sizeof(at));
	return 1;
}

unsigned find_dns(void *ctx, struct sockaddr_storage to[FORWARD_TARGETS])
{
	struct upstreams up;

	upstreams_read(&up, ctx);
	for (unsigned i = 0; i < up.count && i < FORWARD_TARGETS; i++)
		to[i] = up.list[i].at;
	return up.count < FORWARD_TARGETS ? up.count : FORWARD_TARGETS;
}
