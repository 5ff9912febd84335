/* SPDX-License-Identifier: Apache-2.0 */
/* ipv6.c - see ipv6.h. What there is, is read from /proc/net; where that has no IPv6, neither has the host. */
#include "runner/host/ipv6.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/machine_id.h"
#include "runner/host/netlink.h"
#include "sill/hash.h"

enum {
	LINE = 256,
	WIDE = 8, /* a route to so many bits or less is of a kind of networks: fc00::/7, 2000::/3 */
	NETWORK = 64,
	TRIES = 64,
};

static int open_switch(const char *interface, const char *name, int how)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%.15s/%s", interface, name);
	return open(path, how | O_CLOEXEC);
}

bool ipv6_is_on(const char *interface)
{
	const int fd = open_switch(interface, "disable_ipv6", O_RDONLY);
	char c = '1';
	const bool on = fd >= 0 && read(fd, &c, 1) == 1 && c == '0';

	if (fd >= 0)
		(void)close(fd);
	return on;
}

void ipv6_make_none(const char *interface)
{
	const int fd = open_switch(interface, "addr_gen_mode", O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		(void)lseek(fd, 0, SEEK_SET); /* then it has two */
	(void)close(fd);
}

/* ---- what is used ---- */

/* 32 hexadecimal digits. */
static bool read_address(const char *s, struct in6_addr *ret)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned v;

		if (sscanf(s + 2 * (size_t)i, "%2x", &v) != 1)
			return false;
		ret->s6_addr[i] = (uint8_t)v;
	}
	return true;
}

static bool same_bits(const struct in6_addr *a, const struct in6_addr *b, unsigned bits)
{
	const unsigned rest = bits % 8;
	const uint8_t mask = (uint8_t)(0xff00 >> rest);

	return memcmp(a, b, bits / 8) == 0 &&
	       (rest == 0 || ((a->s6_addr[bits / 8] ^ b->s6_addr[bits / 8]) & mask) == 0);
}

bool ipv6_is_used(const struct in6_addr *a)
{
	FILE *f = fopen("/proc/net/ipv6_route", "re");
	char line[LINE];
	bool used = false;

	/* destination, its prefix, ... : the kernel's networks of its own addresses are among them */
	while (f != NULL && !used && fgets(line, sizeof(line), f) != NULL) {
		struct in6_addr d;
		unsigned prefix;

		if (strlen(line) < 36 || !read_address(line, &d) ||
		    sscanf(line + 33, "%2x", &prefix) != 1 || prefix > 128)
			continue;
		used = prefix > WIDE && same_bits(a, &d, prefix < NETWORK ? prefix : NETWORK);
	}
	if (f != NULL)
		(void)fclose(f);
	return used;
}

unsigned ipv6_uplinks(char ret[IPV6_UPLINKS][IF_NAMESIZE])
{
	static const struct in6_addr any = IN6ADDR_ANY_INIT;
	enum { UP = 1, REJECT = 0x200 }; /* LINUX: include/uapi/linux/route.h */
	FILE *f = fopen("/proc/net/ipv6_route", "re");
	char line[LINE], name[LINE];
	unsigned count = 0, flags, prefix, i;

	/* destination, prefix, source, its prefix, next hop, metric, two counts, flags, name */
	while (f != NULL && count < IPV6_UPLINKS && fgets(line, sizeof(line), f) != NULL) {
		struct in6_addr d;

		if (!read_address(line, &d) ||
		    sscanf(line + 32, "%x %*s %*x %*s %*x %*x %*x %x %255s", &prefix, &flags,
			   name) != 3 ||
		    prefix != 0 || memcmp(&d, &any, sizeof(d)) != 0 ||
		    (flags & (UP | REJECT)) != UP || strcmp(name, "lo") == 0)
			continue;
		for (i = 0; i < count && strcmp(ret[i], name) != 0; i++)
			;
		if (i == count && strlen(name) < IF_NAMESIZE)
			memcpy(ret[count++], name, strlen(name) + 1);
	}
	if (f != NULL)
		(void)fclose(f);
	return count;
}

static uint64_t hash(const char *host, const char *seed, uint8_t round)
{
	const uint64_t h = sill_hash_text(sill_hash_text(SILL_HASH_START, host), seed);

	return sill_hash_mix(sill_hash(h, &round, 1));
}

bool ipv6_choose(const char *seed, struct in6_addr *ret)
{
	char host[MACHINE_ID_MAX];

	machine_id(host);
	for (uint8_t i = 0; i < TRIES; i++) {
		const uint64_t h = hash(host, seed, i);

		/* fd, 40 bits that are the host's and the card's, 16 of a network: RFC 4193 3.2.2 */
		*ret = (struct in6_addr){ .s6_addr = { 0xfd, [15] = 1 } };
		for (unsigned b = 0; b < 7; b++)
			ret->s6_addr[1 + b] = (uint8_t)(h >> 8 * b);
		if (!ipv6_is_used(ret))
			return true;
	}
	return false;
}

/* ---- addresses ---- */

int ipv6_give(const char *interface, const struct in6_addr *a)
{
	const struct ifaddrmsg m = { .ifa_family = AF_INET6,
				     .ifa_prefixlen = NETWORK,
				     .ifa_flags = IFA_F_NODAD,
				     .ifa_scope = IN6_IS_ADDR_LINKLOCAL(a) ? RT_SCOPE_LINK
									   : RT_SCOPE_UNIVERSE,
				     .ifa_index = if_nametoindex(interface) };
	struct netlink *b = calloc(1, sizeof(*b));
	const int fd = b != NULL ? netlink_open(NETLINK_ROUTE) : -1;
	int ret = -1, err;

	if (fd >= 0) {
		const size_t at = netlink_begin(
			b, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));

		netlink_put(b, IFA_ADDRESS, a, sizeof(*a));
		netlink_put(b, IFA_LOCAL, a, sizeof(*a));
		netlink_end(b, at);
		ret = netlink_ask(fd, b, 1);
	}
	err = b != NULL ? errno : ENOMEM;
	if (fd >= 0)
		(void)close(fd);
	free(b);
	errno = err;
	return ret;
}

/* One that it has: @a, or with NULL the first in a network of 64 bits that is more than the link's. */
static bool look(const char *interface, const struct in6_addr *a, struct in6_addr *ret)
{
	FILE *f = fopen("/proc/net/if_inet6", "re");
	char line[LINE], name[LINE];
	bool found = false;

	/* address, index, prefix, scope, flags, name */
	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		unsigned prefix, scope;

		if (!read_address(line, ret) ||
		    sscanf(line + 32, "%*x %x %x %*x %255s", &prefix, &scope, name) != 3 ||
		    strcmp(name, interface) != 0)
			continue;
		found = a != NULL ? memcmp(a, ret, sizeof(*a)) == 0
				  : prefix == NETWORK && scope == 0;
	}
	if (f != NULL)
		(void)fclose(f);
	return found;
}

bool ipv6_find(const char *interface, struct in6_addr *ret)
{
	return look(interface, NULL, ret);
}

bool ipv6_has(const char *interface, const struct in6_addr *a)
{
	struct in6_addr unused;

	return look(interface, a, &unused);
}
