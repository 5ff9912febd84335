/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - see link.h. By rtnetlink, and where that says no more, by an ioctl. */
#include "runner/host/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/host/netlink.h"

static size_t begin(struct netlink *b, uint16_t type, uint16_t flags, unsigned index)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };

	return netlink_begin(b, type, flags, &m, sizeof(m));
}

/* Send the one message @b. */
static int ask(const struct netlink *b)
{
	const int fd = netlink_open(NETLINK_ROUTE);
	const int ret = fd < 0 ? -1 : netlink_ask(fd, b, 1);
	const int err = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = err;
	return ret;
}

/* ---- what is there ---- */

static uint32_t take32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (a != NULL && a->nla_len >= sizeof(*a) + sizeof(v))
		memcpy(&v, a + 1, sizeof(v));
	return v;
}

static void take_kind(struct link *l, const struct nlattr *info)
{
	const struct nlattr *kind;
	size_t n;

	kind = info != NULL ? netlink_find(info + 1, info->nla_len - sizeof(*info), IFLA_INFO_KIND)
			    : NULL;
	if (kind == NULL)
		return;
	n = kind->nla_len - sizeof(*kind);
	if (n >= sizeof(l->kind))
		n = sizeof(l->kind) - 1;
	memcpy(l->kind, kind + 1, n);
	l->kind[n] = '\0';
}

static void take(struct link *l, struct nlmsghdr *h)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const struct nlattr *first = (const struct nlattr *)(const void *)(m + 1);
	const size_t n = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	const struct nlattr *mac = netlink_find(first, n, IFLA_ADDRESS),
			    *name = netlink_find(first, n, IFLA_IFNAME);

	*l = (struct link){ .index = (unsigned)m->ifi_index,
			    .mtu = take32(netlink_find(first, n, IFLA_MTU)),
			    .up = (m->ifi_flags & IFF_UP) != 0,
			    .master = take32(netlink_find(first, n, IFLA_MASTER)) };
	if (name != NULL)
		(void)snprintf(l->name, sizeof(l->name), "%.*s",
			       (int)(name->nla_len - sizeof(*name)), (const char *)(name + 1));
	if (mac != NULL && mac->nla_len >= sizeof(*mac) + sizeof(l->mac))
		memcpy(l->mac, mac + 1, sizeof(l->mac));
	take_kind(l, netlink_find(first, n, IFLA_LINKINFO));
}

/* The kernel's one answer about @name. 0, or -1 and errno. */
static int get(int fd, const char *name, struct link *ret)
{
	struct netlink *b = calloc(1, sizeof(*b));
	struct nlmsghdr *h = malloc(NETLINK_ANSWER);
	ssize_t n = -1;
	size_t at;

	errno = ENOMEM;
	if (b != NULL && h != NULL) {
		at = begin(b, RTM_GETLINK, 0, 0);
		netlink_put_text(b, IFLA_IFNAME, name);
		netlink_end(b, at);
		if (send(fd, b->bytes, b->at, 0) >= 0)
			n = recv(fd, h, NETLINK_ANSWER, 0);
	}
	if (n >= 0 && NLMSG_OK(h, (unsigned)n) && h->nlmsg_type == RTM_NEWLINK &&
	    h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg))) {
		take(ret, h);
	} else if (n >= 0) {
		errno = n >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
					h->nlmsg_type == NLMSG_ERROR
				? -((const struct nlmsgerr *)NLMSG_DATA(h))->error
				: EPROTO;
		n = -1;
	}
	free(b);
	free(h);
	return n < 0 ? -1 : 0;
}

/* Of the @n bytes of a dump's answer. 1: there is more to come; 0: no; -1 and errno. */
static int search(struct nlmsghdr *h, unsigned n, const uint8_t mac[6], const char *kind,
		  struct link *ret)
{
	struct link l;

	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR) {
			errno = -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
			return -1;
		}
		if (h->nlmsg_type != RTM_NEWLINK ||
		    h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
			continue;
		take(&l, h);
		if (memcmp(l.mac, mac, sizeof(l.mac)) == 0 && strcmp(l.kind, kind) == 0)
			*ret = l;
	}
	return 1;
}

int link_find_mac(const uint8_t mac[6], const char *kind, struct link *ret, struct sill_err *e)
{
	const int fd = netlink_open(NETLINK_ROUTE);
	struct netlink *b = calloc(1, sizeof(*b));
	char *answer = malloc(NETLINK_ANSWER);
	int more = -1;

	*ret = (struct link){ 0 };
	if (fd >= 0 && b != NULL && answer != NULL) {
		netlink_end(b, begin(b, RTM_GETLINK, NLM_F_DUMP, 0));
		more = send(fd, b->bytes, b->at, 0) >= 0 ? 1 : -1;
	}
	while (more == 1) {
		const ssize_t n = recv(fd, answer, NETLINK_ANSWER, 0);

		more = n < 0 ? -1 : search((void *)answer, (unsigned)n, mac, kind, ret);
	}
	if (more < 0)
		(void)sill_err_sys(e, errno, "the host's network interfaces");
	free(answer);
	free(b);
	if (fd >= 0)
		(void)close(fd);
	return more < 0 ? -1 : ret->index != 0;
}

int link_find(const char *name, struct link *ret, struct sill_err *e)
{
	const int fd = netlink_open(NETLINK_ROUTE);
	const int got = fd < 0 ? -1 : get(fd, name, ret);
	const int err = errno;

	if (fd >= 0)
		(void)close(fd);
	if (got == 0)
		return 1;
	return err == ENODEV ? 0 : sill_err_sys(e, err, "the interface '%s'", name);
}

/* ---- changes ---- */

int link_join(const char *name, const char *bridge)
{
	const uint32_t master = if_nametoindex(bridge);
	struct netlink *b = calloc(1, sizeof(*b));
	const unsigned index = if_nametoindex(name);
	size_t at;
	int ret;

	errno = b == NULL ? ENOMEM : ENODEV;
	if (b == NULL || master == 0 || index == 0) {
		free(b);
		return -1;
	}
	at = begin(b, RTM_NEWLINK, NLM_F_ACK, index);
	netlink_put(b, IFLA_MASTER, &master, sizeof(master));
	netlink_end(b, at);
	ret = ask(b);
	free(b);
	return ret;
}

static void put_macvtap(struct netlink *b, const struct link_macvtap *m)
{
	static const uint32_t modes[] = { [SILL_MACVTAP_BRIDGE] = MACVLAN_MODE_BRIDGE,
					  [SILL_MACVTAP_VEPA] = MACVLAN_MODE_VEPA,
					  [SILL_MACVTAP_PRIVATE] = MACVLAN_MODE_PRIVATE,
					  [SILL_MACVTAP_PASSTHRU] = MACVLAN_MODE_PASSTHRU };
	const uint32_t lower = m->lower, mtu = m->mtu;
	size_t info, data;

	netlink_put_text(b, IFLA_IFNAME, m->name);
	netlink_put(b, IFLA_LINK, &lower, sizeof(lower));
	netlink_put(b, IFLA_ADDRESS, m->mac, sizeof(m->mac));
	if (mtu != 0)
		netlink_put(b, IFLA_MTU, &mtu, sizeof(mtu));
	info = netlink_nest(b, IFLA_LINKINFO);
	netlink_put_text(b, IFLA_INFO_KIND, "macvtap");
	data = netlink_nest(b, IFLA_INFO_DATA);
	netlink_put(b, IFLA_MACVLAN_MODE, &modes[m->mode], sizeof(modes[0]));
	netlink_nest_end(b, data);
	netlink_nest_end(b, info);
}

int link_make_macvtap(const struct link_macvtap *m)
{
	struct netlink *b = calloc(1, sizeof(*b));
	size_t at;
	int ret;

	errno = ENOMEM;
	if (b == NULL)
		return -1;
	at = begin(b, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 0);
	put_macvtap(b, m);
	netlink_end(b, at);
	ret = ask(b);
	free(b);
	return ret;
}

int link_remove(unsigned index)
{
	struct netlink *b = calloc(1, sizeof(*b));
	int ret;

	errno = ENOMEM;
	if (b == NULL)
		return -1;
	netlink_end(b, begin(b, RTM_DELLINK, NLM_F_ACK, index));
	ret = ask(b);
	free(b);
	return ret;
}

int link_up(const char *name, bool multicast)
{
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_flags = (short)(IFF_UP | (multicast ? IFF_ALLMULTI : 0)) };
	int ret, err;

	if (s < 0)
		return -1;
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ret = ioctl(s, SIOCSIFFLAGS, &ifr);
	err = errno;
	(void)close(s);
	errno = err;
	return ret;
}

void link_no_ipv6(const char *name)
{
	char path[96];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		(void)lseek(fd, 0, SEEK_SET); /* it stays as the host has it */
	(void)close(fd);
}

/* ---- that one is deleted ---- */

/* Of struct nlmsghdr, and of struct ifinfomsg behind it. */
enum { AT_TYPE = 4, AT_INDEX = 16 + 4, WHOLE = 0xffff };

_Static_assert(offsetof(struct nlmsghdr, nlmsg_type) == AT_TYPE, "as the kernel has it");
_Static_assert(sizeof(struct nlmsghdr) + offsetof(struct ifinfomsg, ifi_index) == AT_INDEX, "too");

int link_watch(unsigned index)
{
	/* A filter loads numbers as if they were big-endian. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_TYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_INDEX),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(index), 0, index != 0),
		BPF_STMT(BPF_RET | BPF_K, WHOLE),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog p = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	const struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	/* Nothing is heard before the filter is there. */
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) == 0 &&
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}
