/* SPDX-License-Identifier: Apache-2.0 */
/* subnet.c - see subnet.h. What is used comes from rtnetlink, in two dumps. */
#include "runner/host/subnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runner/host/signals.h"
#include "runner/report/text.h"

/* LINUX: unix(7). An abstract name belongs to the namespace, and goes with whoever holds it. */
static const struct sockaddr_un lock_name = { AF_UNIX, "\0sill.networks" };
enum { LOCK_NAME = offsetof(struct sockaddr_un, sun_path) + sizeof("\0sill.networks") - 1 };
enum { LATE_MS = 10000 }; /* it is held for some system calls */

/*
 * Until who has the lock closes it: a connection that nobody accepts ends with the listener. 0, or -1 and
 * errno: EINTR when a signal asks to stop; for whom that is no news, EBUSY after LATE_MS.
 */
static int await_holder(bool ending)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = -1, .events = POLLIN };
	int n, ms = 1, err;

	if (fd < 0)
		return -1;
	/* If not, it has gone meanwhile, or does not listen yet, which is its next system call. */
	if (connect(fd, (const struct sockaddr *)&lock_name, LOCK_NAME) == 0) {
		p.fd = fd;
		ms = LATE_MS;
	}
	n = ending ? poll(&p, 1, ms) : signals_wait(p.fd, ms);
	if (n == 0 && p.fd >= 0 && ending) {
		errno = EBUSY;
		n = -1;
	} else if (n == 0 && p.fd >= 0) {
		text_say(stderr, "sill: waits for another VM's network");
		n = signals_wait(fd, -1);
	}
	err = errno;
	(void)close(fd);
	errno = err;
	return n < 0 ? -1 : 0;
}

static int lock_networks(bool ending, struct sill_err *e)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ret = fd < 0 ? -1 : 0;

	while (ret == 0 && bind(fd, (const struct sockaddr *)&lock_name, LOCK_NAME) < 0)
		ret = errno == EADDRINUSE ? await_holder(ending) : -1;
	if (ret == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	(void)sill_err_sys(e, errno, "a network for the guest");
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int networks_lock(struct sill_err *e)
{
	return lock_networks(false, e);
}

int networks_lock_to_clean(void)
{
	return lock_networks(true, &(struct sill_err){ 0 });
}

bool subnets_overlap(const struct subnets *s, const struct subnet *n)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct subnet *u = &s->list[i];
		const uint8_t prefix = u->prefix < n->prefix ? u->prefix : n->prefix;

		if (prefix == 0 || (u->address ^ n->address) >> (32 - prefix) == 0)
			return true;
	}
	return false;
}

bool subnets_choose(const struct subnets *used, struct subnet *ret)
{
	for (uint32_t i = 0; i < 6 + 2 * 256; i++) {
		const struct subnet n = {
			.address =
				i < 6 ? 0xc0a80001u | (249 + i) << 8 : 0x0af90001u + ((i - 6) << 8),
			.prefix = 24,
		};

		if (!subnets_overlap(used, &n)) {
			*ret = n;
			return true;
		}
	}
	return false;
}

void subnets_free(struct subnets *s)
{
	free(s->list);
	*s = (struct subnets){ 0 };
}

static void add(struct subnets *s, const void *address, uint8_t prefix)
{
	uint32_t a;

	memcpy(&a, address, sizeof(a));
	if (s->count < SUBNETS_MAX && prefix > 0 && prefix <= 32)
		s->list[s->count++] = (struct subnet){ ntohl(a), prefix };
}

/* The attribute @type of @n bytes of attributes; NULL: there is none of 4 bytes. */
static const void *find(struct rtattr *a, unsigned n, unsigned type)
{
	for (; RTA_OK(a, n); a = RTA_NEXT(a, n))
		if (a->rta_type == type && RTA_PAYLOAD(a) == 4)
			return RTA_DATA(a);
	return NULL;
}

static void take(void *ctx, struct nlmsghdr *h)
{
	struct subnets *s = ctx;
	const void *at;

	if (h->nlmsg_type == RTM_NEWADDR) {
		struct ifaddrmsg *m = NLMSG_DATA(h);

		at = find(IFA_RTA(m), (unsigned)IFA_PAYLOAD(h), IFA_LOCAL);
		if (at != NULL)
			add(s, at, m->ifa_prefixlen);
	} else if (h->nlmsg_type == RTM_NEWROUTE) {
		struct rtmsg *m = NLMSG_DATA(h);

		at = find(RTM_RTA(m), (unsigned)RTM_PAYLOAD(h), RTA_DST);
		if (at != NULL && m->rtm_family == AF_INET)
			add(s, at, m->rtm_dst_len);
	}
}

typedef void take_fn(void *ctx, struct nlmsghdr *h);

/* One answer. 1: more is to come. */
static int read_some(int fd, take_fn *fn, void *ctx)
{
	static const unsigned room = 1 << 16;
	char *buffer = malloc(room);
	ssize_t got = buffer != NULL ? recv(fd, buffer, room, 0) : -1;
	int ret = got > 0 ? 1 : -1;
	unsigned n = got > 0 ? (unsigned)got : 0;

	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)buffer; ret == 1 && NLMSG_OK(h, n);
	     h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_type == NLMSG_DONE)
			ret = 0;
		else if (h->nlmsg_type == NLMSG_ERROR)
			ret = -1;
		else
			fn(ctx, h);
	}
	free(buffer);
	return ret;
}

static int dump(int fd, uint16_t type, take_fn *fn, void *ctx)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg m; /* as large as a struct ifaddrmsg, or larger */
	} ask = { .h = { .nlmsg_len = sizeof(ask),
			 .nlmsg_type = type,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		  .m = { .rtm_family = AF_INET } };
	int more = 1;

	if (send(fd, &ask, sizeof(ask), 0) < 0)
		return -1;
	while (more == 1)
		more = read_some(fd, fn, ctx);
	return more;
}

/* ---- where the rest of the world is ---- */

/* The interface of a route, once. */
static void take_way(void *ctx, struct nlmsghdr *h)
{
	struct uplinks *u = ctx;
	struct rtmsg *m = NLMSG_DATA(h);
	char name[IF_NAMESIZE];
	const void *at;
	uint32_t index;

	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_family != AF_INET || m->rtm_type != RTN_UNICAST)
		return;
	at = find(RTM_RTA(m), (unsigned)RTM_PAYLOAD(h), RTA_OIF);
	if (at == NULL)
		return;
	memcpy(&index, at, sizeof(index));
	if (if_indextoname(index, name) == NULL || u->count == UPLINKS_MAX)
		return;
	for (unsigned i = 0; i < u->count; i++)
		if (strcmp(u->name[i], name) == 0)
			return;
	memcpy(u->name[u->count++], name, sizeof(name));
}

static void take_uplink(void *ctx, struct nlmsghdr *h)
{
	if (((struct rtmsg *)NLMSG_DATA(h))->rtm_dst_len == 0)
		take_way(ctx, h);
}

static bool is_tap(const char *name)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (void *)&info };
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ret;

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ret = fd >= 0 && ioctl(fd, SIOCETHTOOL, &ifr) == 0 && strcmp(info.driver, "tun") == 0 &&
	      strcmp(info.bus_info, "tap") == 0;
	if (fd >= 0)
		(void)close(fd);
	return ret;
}

void uplinks_add_way(struct uplinks *u, uint32_t address)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg m;
		struct rtattr a;
		uint32_t to;
	} ask = { .h = { .nlmsg_len = sizeof(ask),
			 .nlmsg_type = RTM_GETROUTE,
			 .nlmsg_flags = NLM_F_REQUEST },
		  .m = { .rtm_family = AF_INET, .rtm_dst_len = 32 },
		  .a = { .rta_len = RTA_LENGTH(4), .rta_type = RTA_DST },
		  .to = htonl(address) };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const unsigned before = u->count;

	if (fd >= 0 && send(fd, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask))
		(void)read_some(fd, take_way, u);
	if (u->count > before && is_tap(u->name[before]))
		u->count = before;
	if (fd >= 0)
		(void)close(fd);
}

int uplinks_find(struct uplinks *ret, struct sill_err *e)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int done;

	*ret = (struct uplinks){ 0 };
	done = fd >= 0 ? dump(fd, RTM_GETROUTE, take_uplink, ret) : -1;
	if (done < 0)
		(void)sill_err_sys(e, errno, "the host's routes");
	if (fd >= 0)
		(void)close(fd);
	return done;
}

static int list(struct subnets *ret, bool routes, struct sill_err *e)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	*ret = (struct subnets){ .list = calloc(SUBNETS_MAX, sizeof(*ret->list)) };
	if (ret->list != NULL && fd >= 0 && dump(fd, RTM_GETADDR, take, ret) == 0 &&
	    (!routes || dump(fd, RTM_GETROUTE, take, ret) == 0)) {
		(void)close(fd);
		return 0;
	}
	(void)sill_err_sys(e, errno, "the host's addresses and routes");
	subnets_free(ret);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int subnets_used(struct subnets *ret, struct sill_err *e)
{
	return list(ret, true, e);
}

int subnets_connected(struct subnets *ret, struct sill_err *e)
{
	return list(ret, false, e);
}
