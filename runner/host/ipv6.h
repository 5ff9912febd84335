/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipv6.h - IPv6 of this network namespace: which networks are used, one that nobody else has, and
 * the addresses of the host's side of a link. Networks have 64 bits here.
 */
#ifndef RUNNER_HOST_IPV6_H
#define RUNNER_HOST_IPV6_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { IPV6_MTU_MIN = 1280 }; /* of a link that it can be on: RFC 8200 5 */

/* Is there IPv6 on this interface? */
bool ipv6_is_on(const char *interface);

/* Does anything here use the network of @a, or a part of it? Default routes and those to whole kinds of networks do not. */
bool ipv6_is_used(const struct in6_addr *a);

/*
 * The first address of a unique local network (RFC 4193) that nothing here uses, made of the host's machine-id and
 * @seed: the same one each time, and on another host another one. False: there is none.
 */
bool ipv6_choose(const char *seed, struct in6_addr *ret);

enum { IPV6_UPLINKS = 8 };
/* The interfaces of default routes: how many. */
unsigned ipv6_uplinks(char ret[IPV6_UPLINKS][IF_NAMESIZE]);

/* Give the interface an address, which it uses at once: nobody else is on the link. 0, or -1 and errno. */
int ipv6_give(const char *interface, const struct in6_addr *a);

/* An address that it has and that others may be told, in a network of 64 bits. False: it has none. */
bool ipv6_find(const char *interface, struct in6_addr *ret);
bool ipv6_has(const char *interface, const struct in6_addr *a);

/* It makes no link-local address of its own. Before it is up. */
void ipv6_make_none(const char *interface);

#endif
