/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.c - see tap.h.
 *
 * Order, for one that is made: owner, MTU, MAC, address or bridge, up. Which network is free is
 * found out and taken under networks_lock(): the kernel would give one address to two
 * devices without a word.
 */
#include "runner/host/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/ipv6.h"
#include "runner/host/link.h"
#include "runner/host/subnet.h"
#include "runner/host/vhost.h"

#ifndef IFF_TUN_EXCL
#define IFF_TUN_EXCL 0x8000
#endif

enum { FLAGS = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

void tap_init(struct tap *t)
{
	*t = (struct tap){ .leftover = -1, .news = -1, .ear = -1, .silence = -1 };
	for (unsigned i = 0; i < SILL_MAX_NET_QUEUES; i++)
		t->fd[i] = t->vhost_fd[i] = -1;
}

void tap_close(struct tap *t)
{
	for (unsigned i = 0; i < SILL_MAX_NET_QUEUES; i++)
		if (t->fd[i] >= 0)
			(void)close(t->fd[i]);
	if (t->news >= 0)
		(void)close(t->news);
	vhost_close(t);
	macvtap_close(t);
	tap_init(t);
}

/* ---- the device ---- */

static int open_tun(struct sill_err *e)
{
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	(void)sill_err_sys(e, errno, "open '/dev/net/tun'");
	if (errno == ENOENT || errno == ENODEV)
		(void)sill_err_hint(e, "load the module: `modprobe tun`; a container needs the "
				       "device passed in");
	return -1;
}

/* One queue of @name, which may be a pattern; the name it got is in t->name. */
static int attach(struct tap *t, unsigned queue, const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(t->fd[queue], TUNSETIFF, &ifr) < 0)
		return -1;
	(void)snprintf(t->name, sizeof(t->name), "%s", ifr.ifr_name);
	return 0;
}

static int cannot_make(const char *name, const char *bridge, struct sill_err *e)
{
	const char *own = strchr(name, '%') != NULL ? "vmtap0" : name;
	const int err = errno;

	(void)sill_err_sys(e, err, "make the tap '%s'", name);
	if (err != EPERM)
		return -1;
	if (bridge != NULL)
		return sill_err_hint(
			e,
			"that takes CAP_NET_ADMIN; or have root make one for you: "
			"`ip tuntap add dev %s mode tap user %u; ip link set %s master "
			"%s up`, and write 'tap: %s'",
			own, (unsigned)getuid(), own, bridge, own);
	return sill_err_hint(e,
			     "that takes CAP_NET_ADMIN; or have root make one for you: "
			     "`ip tuntap add dev %s mode tap user %u`, and name it",
			     own, (unsigned)getuid());
}

static int cannot_use(const char *name, unsigned queues, struct sill_err *e)
{
	const int err = errno;

	(void)sill_err_sys(e, err, "use the tap '%s'", name);
	switch (err) {
	case EPERM:
		return sill_err_hint(e, "it belongs to another user: `ip -d link show %s`", name);
	case EBUSY:
		return sill_err_hint(e, "another program has it");
	case EINVAL:
		return sill_err_hint(e,
				     queues > 1 ? "is it a tap, made with multi_queue? "
						  "`ip -d link show %s`"
						: "is it a tap? `ip -d link show %s`",
				     name);
	default:
		return -1;
	}
}

static int attach_found(struct tap *t, const char *name, struct sill_err *e)
{
	const int many = FLAGS | IFF_MULTI_QUEUE;

	if (t->count > 1 || attach(t, 0, name, FLAGS) < 0) {
		/* One queue of a device that may have several is as good. */
		if ((t->count == 1 && errno != EINVAL) || attach(t, 0, name, many) < 0)
			return cannot_use(name, t->count, e);
	}
	return 0;
}

static int attach_made(struct tap *t, const char *name, const char *bridge, struct sill_err *e)
{
	if (attach(t, 0, name, FLAGS | IFF_TUN_EXCL | (t->count > 1 ? IFF_MULTI_QUEUE : 0)) < 0)
		return cannot_make(name, bridge, e);
	t->made = true;
	/* Without an owner any user of this host could attach to it, too. */
	if (ioctl(t->fd[0], TUNSETOWNER, (unsigned long)getuid()) < 0)
		return sill_err_sys(e, errno, "'%s': owner", t->name);
	return 0;
}

static int attach_all(struct tap *t, const struct sill_net_config *n, struct sill_err *e)
{
	const char *name = n->tap != NULL && n->tap[0] != '\0' ? n->tap : NULL;
	const bool found = name != NULL && if_nametoindex(name) != 0;

	for (unsigned i = 0; i < t->count; i++) {
		t->fd[i] = open_tun(e);
		if (t->fd[i] < 0)
			return -1;
		if (i > 0) {
			if (attach(t, i, t->name, FLAGS | IFF_MULTI_QUEUE) < 0)
				return cannot_use(t->name, t->count, e);
		} else if (found ? attach_found(t, name, e) < 0
				 : attach_made(t, name != NULL ? name : "vmtap%d", n->bridge, e) <
					   0) {
			return -1;
		}
	}
	return 0;
}

/* ---- the interface: with an AF_INET socket, by its name ---- */

static struct ifreq request(const struct tap *t)
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, t->name, sizeof(t->name));
	return ifr;
}

static int ask(int s, unsigned long what, struct ifreq *ifr, const char *text, struct sill_err *e)
{
	return ioctl(s, what, ifr) < 0 ? sill_err_sys(e, errno, "'%.15s': %s", ifr->ifr_name, text)
				       : 0;
}

static struct sockaddr inet(uint32_t address)
{
	const struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(address) } };
	struct sockaddr a;

	memcpy(&a, &in, sizeof(a));
	return a;
}

static int set_address(const struct tap *t, int s, const struct subnet *n, struct sill_err *e)
{
	const uint32_t mask = ~0u << (32 - n->prefix);
	struct ifreq ifr = request(t);

	ifr.ifr_addr = inet(n->address);
	if (ask(s, SIOCSIFADDR, &ifr, "address", e) < 0)
		return -1;
	ifr = request(t);
	ifr.ifr_netmask = inet(mask);
	if (ask(s, SIOCSIFNETMASK, &ifr, "network", e) < 0)
		return -1;
	ifr = request(t);
	ifr.ifr_broadaddr = inet(n->address | ~mask);
	return ask(s, SIOCSIFBRDADDR, &ifr, "broadcast address", e);
}

/* What @of has, the tap or its bridge; "" when it has none. */
static void read_address(struct tap *t, const struct ifreq *of, int s)
{
	struct ifreq address = *of, mask = *of;
	struct sockaddr_in a, m;

	if (ioctl(s, SIOCGIFADDR, &address) < 0 || ioctl(s, SIOCGIFNETMASK, &mask) < 0)
		return;
	memcpy(&a, &address.ifr_addr, sizeof(a));
	memcpy(&m, &mask.ifr_netmask, sizeof(m));
	(void)snprintf(t->address, sizeof(t->address), "%u.%u.%u.%u/%d",
		       ntohl(a.sin_addr.s_addr) >> 24, ntohl(a.sin_addr.s_addr) >> 16 & 255,
		       ntohl(a.sin_addr.s_addr) >> 8 & 255, ntohl(a.sin_addr.s_addr) & 255,
		       __builtin_popcount(m.sin_addr.s_addr));
}

static int choose(struct subnet *n, struct sill_err *e)
{
	struct subnets used;
	bool found;

	if (subnets_used(&used, e) < 0)
		return -1;
	found = subnets_choose(&used, n);
	subnets_free(&used);
	if (found)
		return 0;
	(void)sill_err_set(e, SILL_ERR_HOST, "the host uses all networks that are tried");
	return sill_err_hint(e, "give the card one: 'address: 172.20.5.1/24'");
}

/* The one that was asked for; it must not be somebody else's. */
static int check_free(const struct subnet *n, const char *text, struct sill_err *e)
{
	struct subnets used;
	bool taken;

	if (subnets_used(&used, e) < 0)
		return -1;
	taken = subnets_overlap(&used, n);
	subnets_free(&used);
	if (!taken)
		return 0;
	(void)sill_err_set(e, SILL_ERR_HOST, "the host uses the network of '%s' already", text);
	return sill_err_hint(e, "see `ip address` and `ip route show table all`; or write "
				"'address: auto'");
}

static int give_address(struct tap *t, const struct sill_net_config *n, int s, struct sill_err *e)
{
	const bool any = strcmp(n->address, "auto") == 0;
	struct subnet net = { 0 };

	if (!any && sill_address_read(n->address, &net.address, &net.prefix) < 0)
		return 0; /* off */
	if ((any ? choose(&net, e) : check_free(&net, n->address, e)) < 0)
		return -1;
	return set_address(t, s, &net, e);
}

/* ---- IPv6 ---- */

static bool may_have_ipv6(const struct sill_net_config *n)
{
	return n->ipv6 != NULL && strcmp(n->ipv6, "off") != 0;
}

static bool must_have_ipv6(const struct sill_net_config *n)
{
	return may_have_ipv6(n) && strcmp(n->ipv6, "auto") != 0;
}

static int choose6(const struct tap *t, const struct sill_net_config *n, struct in6_addr *ret,
		   struct sill_err *e)
{
	if (!ipv6_is_on(t->name)) {
		(void)sill_err_set(e, SILL_ERR_HOST, "ipv6 is on, but this host has none");
		return sill_err_hint(e, "`sysctl net.ipv6.conf.default.disable_ipv6=0`, or leave "
					"out ipv6");
	}
	if (sill_address6_read(n->ipv6, ret->s6_addr) < 0) {
		if (ipv6_choose(n->mac, ret))
			return 0;
		(void)sill_err_set(e, SILL_ERR_HOST, "the host uses all IPv6 networks");
		return sill_err_hint(e, "give the card one: 'ipv6: fd12:3456:789a::1/64'");
	}
	if (!ipv6_is_used(ret))
		return 0;
	(void)sill_err_set(e, SILL_ERR_HOST, "the host uses the network of '%s' already", n->ipv6);
	return sill_err_hint(e, "see `ip -6 route show table all`; or write 'ipv6: on'");
}

static void keep_address6(struct tap *t, const struct in6_addr *a)
{
	char text[INET6_ADDRSTRLEN];

	(void)snprintf(t->address6, sizeof(t->address6), "%s/64",
		       inet_ntop(AF_INET6, a, text, sizeof(text)));
}

/* The link-local one is that from which the card tells the guest of the network. The link is up. */
static int give_address6(struct tap *t, const struct sill_net_config *n, struct sill_err *e)
{
	struct in6_addr a, local;
	uint8_t mac[6];

	if (choose6(t, n, &a, e) < 0)
		return -1;
	if (sill_mac_read(n->mac, mac) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "ipv6: no MAC address");
	sill_host_mac(mac, mac);
	sill_link_local(mac, local.s6_addr);
	if ((ipv6_give(t->name, &local) < 0 && errno != EEXIST) || ipv6_give(t->name, &a) < 0)
		return sill_err_sys(e, errno, "'%s': IPv6 address", t->name);
	keep_address6(t, &a);
	return 0;
}

/* Of one that was there. */
static int find_address6(struct tap *t, const struct sill_net_config *n, struct sill_err *e)
{
	struct in6_addr a;
	const bool any = sill_address6_read(n->ipv6, a.s6_addr) < 0;

	if (any ? ipv6_find(t->name, &a) : ipv6_has(t->name, &a)) {
		keep_address6(t, &a);
		return 0;
	}
	(void)sill_err_set(e, SILL_ERR_HOST, "ipv6 is on, but the tap '%s' has not %s%s", t->name,
			   any ? "an IPv6 address" : "the address ", any ? "" : n->ipv6);
	return sill_err_hint(e, "`ip address add %s dev %s`",
			     any ? "fd12:3456:789a::1/64" : n->ipv6, t->name);
}

/* What is asked for by `auto` alone is done without when it cannot be had. */
static int give_addresses(struct tap *t, const struct sill_net_config *n, int s, struct sill_err *e)
{
	struct sill_err why = { 0 };

	if (give_address(t, n, s, e) < 0)
		return -1;
	if (link_up(t->name, false) < 0)
		return sill_err_sys(e, errno, "'%s': up", t->name);
	if (must_have_ipv6(n))
		return give_address6(t, n, e);
	if (may_have_ipv6(n) && strcmp(n->address, "off") != 0 &&
	    (n->mtu == 0 || n->mtu >= IPV6_MTU_MIN))
		(void)give_address6(t, n, &why);
	return 0;
}

/* A guest could call itself a router, and the host would believe it. */
static void refuse_routers(const struct tap *t)
{
	char path[96];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", t->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* no IPv6 */
	if (write(fd, "0", 1) < 0)
		(void)lseek(fd, 0, SEEK_SET); /* it stays as the host has it */
	(void)close(fd);
}

/* The host's side has an address of its own. */
static int set_mac(const struct tap *t, const struct sill_net_config *n, int s, struct sill_err *e)
{
	struct ifreq ifr = request(t);
	uint8_t mac[6];

	if (sill_mac_read(n->mac, mac) < 0)
		return 0;
	sill_host_mac(mac, mac);
	ifr.ifr_hwaddr.sa_family = 1; /* ARPHRD_ETHER */
	memcpy(ifr.ifr_hwaddr.sa_data, mac, sizeof(mac));
	return ask(s, SIOCSIFHWADDR, &ifr, "MAC address", e);
}

static int set_mtu(const struct tap *t, unsigned mtu, int s, struct sill_err *e)
{
	struct ifreq ifr = request(t);

	ifr.ifr_mtu = (int)mtu;
	return mtu != 0 ? ask(s, SIOCSIFMTU, &ifr, "MTU", e) : 0;
}

static int set_up(struct tap *t, const struct sill_net_config *n, int s, struct sill_err *e)
{
	int lock, ret;

	if (set_mtu(t, n->mtu, s, e) < 0 || set_mac(t, n, s, e) < 0)
		return -1;
	refuse_routers(t);
	if (may_have_ipv6(n))
		ipv6_make_none(t->name);
	lock = networks_lock(e);
	if (lock < 0)
		return -1;
	ret = give_addresses(t, n, s, e);
	(void)close(lock);
	return ret;
}

/* A bridge takes the MTU of its smallest port, and the lowest MAC address: ours is neither. */
static int join(struct tap *t, const struct sill_net_config *n, int s, struct sill_err *e)
{
	struct link bridge;
	const int found = link_find(n->bridge, &bridge, e);

	if (found < 0)
		return -1;
	if (found == 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "there is no bridge '%s'", n->bridge);
		return sill_err_hint(e, "`ip link add %s type bridge; ip link set %s up`",
				     n->bridge, n->bridge);
	}
	if (strcmp(bridge.kind, "bridge") != 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is not a bridge", n->bridge);
		return sill_err_hint(e, "`ip link show type bridge` lists them");
	}
	if (set_mtu(t, n->mtu != 0 ? n->mtu : bridge.mtu, s, e) < 0 || set_mac(t, n, s, e) < 0)
		return -1;
	link_no_ipv6(t->name);
	if (link_join(t->name, n->bridge) < 0)
		return sill_err_sys(e, errno, "'%s': join the bridge '%s'", t->name, n->bridge);
	return link_up(t->name, false) == 0 ? 0 : sill_err_sys(e, errno, "'%s': up", t->name);
}

/* One that was there: does it agree with what is written? */
static int check_found(const struct tap *t, const struct sill_net_config *n, struct sill_err *e)
{
	if (n->mtu != 0 && n->mtu != t->mtu) {
		(void)sill_err_set(e, SILL_ERR_HOST, "the tap '%s' has an MTU of %u, not %u",
				   t->name, t->mtu, n->mtu);
		return sill_err_hint(e, "`ip link set %s mtu %u`, or leave out mtu", t->name,
				     n->mtu);
	}
	if (strcmp(n->address, "auto") != 0 && strcmp(n->address, "off") != 0 &&
	    strcmp(n->address, t->address) != 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "the tap '%s' has the address %s, not %s",
				   t->name, t->address[0] != '\0' ? t->address : "none",
				   n->address);
		return sill_err_hint(e, "`ip address add %s dev %s`, or write 'address: auto'",
				     n->address, t->name);
	}
	return 0;
}

/* Where DHCP takes the guest's address from. */
static int check_dhcp(const struct tap *t, const struct sill_net_config *n, struct sill_err *e)
{
	const char *who = n->bridge != NULL ? n->bridge : t->name;

	if (!sill_dhcp_gives(n->dhcp) || t->address[0] != '\0')
		return 0;
	(void)sill_err_set(e, SILL_ERR_HOST, "dhcp is on, but the %s '%s' has no IPv4 address",
			   n->bridge != NULL ? "bridge" : "tap", who);
	return sill_err_hint(e, "`ip address add 192.168.249.1/24 dev %s`", who);
}

static int set_or_read(struct tap *t, const struct sill_net_config *n, int s, struct sill_err *e)
{
	struct ifreq ifr;

	if (t->made && (n->bridge != NULL ? join(t, n, s, e) : set_up(t, n, s, e)) < 0)
		return -1;
	ifr = request(t);
	if (ask(s, SIOCGIFMTU, &ifr, "MTU", e) < 0)
		return -1;
	t->mtu = (uint16_t)ifr.ifr_mtu;
	if (n->bridge != NULL)
		(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", n->bridge);
	read_address(t, &ifr, s);
	if (!t->made && check_found(t, n, e) < 0)
		return -1;
	if (!t->made && n->tap != NULL && must_have_ipv6(n) && find_address6(t, n, e) < 0)
		return -1;
	return check_dhcp(t, n, e);
}

/* ---- one that somebody else has opened ---- */

static int check_flags(int fd, unsigned count, const struct ifreq *ifr, struct sill_err *e)
{
	static const struct {
		int flag;
		const char *name, * or ;
	} need[] = { { IFF_TAP, "IFF_TAP", "" },
		     { IFF_NO_PI, "IFF_NO_PI", "" },
		     { IFF_VNET_HDR, "IFF_VNET_HDR", "" },
		     { IFF_MULTI_QUEUE, "IFF_MULTI_QUEUE", "; or give one descriptor" } };

	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
		if ((ifr->ifr_flags & need[i].flag) != 0 ||
		    (need[i].flag == IFF_MULTI_QUEUE && count == 1))
			continue;
		(void)sill_err_set(e, SILL_ERR_HOST, "descriptor %d: the tap '%.15s' is without %s",
				   fd, ifr->ifr_name, need[i].name);
		return sill_err_hint(e, "it is one of the flags for TUNSETIFF%s", need[i].or);
	}
	return 0;
}

static int check_inherited(int fd, unsigned count, struct ifreq *ret, struct sill_err *e)
{
	const int flags = fcntl(fd, F_GETFD);

	/* What this process has opened itself does not outlive an exec. */
	if (flags < 0 || (flags & FD_CLOEXEC) != 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "descriptor %d was not open at the start", fd);
		return sill_err_hint(e, "who starts sill opens it, and keeps it open over exec");
	}
	if (ioctl(fd, TUNGETIFF, ret) < 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "descriptor %d is no tap's", fd);
		return sill_err_hint(e, "open /dev/net/tun or /dev/tapN, and attach it with "
					"TUNSETIFF");
	}
	return check_flags(fd, count, ret, e);
}

/* Is its device in this network namespace? Who has no right to know finds it so. */
static bool is_here(int fd)
{
	const int ns = ioctl(fd, TUNGETDEVNETNS);
	struct stat its, own;
	bool here = true;

	if (ns < 0)
		return true;
	if (fstat(ns, &its) == 0 && stat("/proc/thread-self/ns/net", &own) == 0)
		here = its.st_dev == own.st_dev && its.st_ino == own.st_ino;
	(void)close(ns);
	return here;
}

/* Only the descriptors are asked: by its name, another device may be meant in this network namespace. */
static int inherit(struct tap *t, const struct sill_net_config *n, struct sill_err *e)
{
	struct ifreq ifr = { 0 };

	t->adopted = true;
	for (unsigned i = 0; i < t->count; i++) {
		if (check_inherited(n->fd[i], t->count, &ifr, e) < 0)
			return -1;
		if (i > 0 && strncmp(ifr.ifr_name, t->name, sizeof(t->name)) != 0)
			return sill_err_set(e, SILL_ERR_HOST,
					    "descriptors of two taps, '%s' and '%.15s'", t->name,
					    ifr.ifr_name);
		(void)snprintf(t->name, sizeof(t->name), "%.15s", ifr.ifr_name);
	}
	for (unsigned i = 0; i < t->count; i++) {
		t->fd[i] = n->fd[i];
		(void)fcntl(t->fd[i], F_SETFD, FD_CLOEXEC);
	}
	t->elsewhere = t->count > 0 && !is_here(t->fd[0]);
	t->mtu = n->mtu != 0 ? n->mtu : 1500;
	if (strcmp(n->address, "auto") != 0 && strcmp(n->address, "off") != 0)
		(void)snprintf(t->address, sizeof(t->address), "%s", n->address);
	return check_dhcp(t, n, e);
}

static int open_any(struct tap *t, const struct sill_net_config *n, const char *dir,
		    struct sill_err *e)
{
	int s, ret;

	t->count = n->fd_count != 0 ? n->fd_count : n->queues != 0 ? n->queues : 1;
	if (n->none) {
		t->mtu = n->mtu != 0 ? n->mtu : 1500;
		return 0;
	}
	if (n->fd_count != 0)
		return inherit(t, n, e);
	if (n->macvtap != NULL)
		return macvtap_open(t, n, dir, e);
	if (attach_all(t, n, e) < 0)
		return -1;
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return sill_err_sys(e, errno, "'%s'", t->name);
	ret = set_or_read(t, n, s, e);
	(void)close(s);
	return ret;
}

/* The name of one that others have opened may be another's, in this namespace. Without the watch it runs as well. */
static void watch(struct tap *t)
{
	const unsigned index = t->adopted ? 0 : if_nametoindex(t->name);

	if (t->fd[0] >= 0 && (index != 0 || t->adopted))
		t->news = link_watch(index);
}

int tap_open(struct tap *t, const struct sill_net_config *n, const char *dir, struct sill_err *e)
{
	if (open_any(t, n, dir, e) < 0)
		return -1;
	watch(t);
	return 0;
}

int tap_give(struct tap *t, const struct sill_net_config *n, struct sill_files *ret,
	     struct sill_err *e)
{
	const enum sill_file_role queue = n->user ? SILL_FILE_NET : SILL_FILE_TAP;
	struct {
		int *fd;
		enum sill_file_role role;
		unsigned layer;
	} all[3 + 2 * SILL_MAX_NET_QUEUES] = { { &t->ear, SILL_FILE_EAR, 0 },
					       { &t->silence, SILL_FILE_EAR, 1 },
					       { &t->news, SILL_FILE_TAP_NEWS, 0 } };
	const unsigned count = 3 + 2 * t->count;

	for (unsigned i = 0; i < t->count; i++) {
		all[3 + 2 * i].fd = &t->fd[i];
		all[3 + 2 * i].role = queue;
		all[4 + 2 * i].fd = &t->vhost_fd[i];
		all[4 + 2 * i].role = SILL_FILE_VHOST_NET;
		all[3 + 2 * i].layer = all[4 + 2 * i].layer = i;
	}
	for (unsigned i = 0; i < count; i++) {
		const struct sill_file file = {
			.role = all[i].role, .id = n->id, .layer = all[i].layer, .fd = *all[i].fd
		};

		*all[i].fd = -1;
		if (file.fd >= 0 && sill_files_add(ret, &file, e) < 0)
			return -1;
	}
	return 0;
}

int tap_adopt(struct tap *t, const int *fds, unsigned n, struct sill_err *e)
{
	struct ifreq ifr = { 0 };
	int s;

	if (n > SILL_MAX_NET_QUEUES)
		return sill_err_set(e, SILL_ERR_LIMIT, "more than %u queues of a tap",
				    SILL_MAX_NET_QUEUES);
	t->adopted = true;
	for (t->count = 0; t->count < n; t->count++) {
		t->fd[t->count] = fcntl(fds[t->count], F_DUPFD_CLOEXEC, 3);
		if (t->fd[t->count] < 0)
			return sill_err_sys(e, errno, "a tap's descriptor");
		if (ioctl(t->fd[t->count], TUNGETIFF, &ifr) < 0)
			return sill_err_sys(e, errno, "descriptor %u is no tap", t->count);
	}
	(void)snprintf(t->name, sizeof(t->name), "%s", ifr.ifr_name);
	t->mtu = 1500;
	t->elsewhere = n > 0 && !is_here(t->fd[0]);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Another device may have that name here. */
	if (s >= 0 && !t->elsewhere && ioctl(s, SIOCGIFMTU, &ifr) == 0)
		t->mtu = (uint16_t)ifr.ifr_mtu;
	if (s >= 0)
		(void)close(s);
	watch(t);
	return 0;
}
