/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ipv6.c - IPv6 between kernels: this process is the host, with the tap of a VM; the guest is
 * another network namespace, whose kernel has a tap of its own for its card. In between the frames go through
 * the functions that a card answers with. Skipped where there is no right to make such things, or no IPv6.
 */
#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/net/ndp.h"
#include "frame_kit.h"
#include "runner/host/ipv6.h"
#include "runner/host/nat.h"
#include "runner/host/tap.h"
#include "sill/config.h"

enum { HEADER = 10, FRAME = 65600, PATIENCE_MS = 20000, PORT = 7777 };

static const char *why_not;  /* these tests are skipped */
static const char *no_world; /* why those with one are */
static int host_ns = -1, guest_ns = -1, world_ns = -1;
static char none[] = "", automatic[] = "auto", off[] = "off", on[] = "on",
	    mac[] = "02:00:00:00:00:01", given[] = "fd12:3456:789a::1/64", card[] = "eth0",
	    dir[] = "/tmp/sill-ipv6-XXXXXX";

#define NEED()                                          \
	do {                                            \
		(void)state;                            \
		if (why_not != NULL) {                  \
			print_message("%s\n", why_not); \
			skip();                         \
		}                                       \
	} while (0)

static struct sill_net_config config(char *ipv6)
{
	return (struct sill_net_config){
		.tap = none, .address = automatic, .ipv6 = ipv6, .mac = mac
	};
}

static void set(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void go(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

/* ---- the guest ---- */

struct wire {
	struct tap host;
	int guest; /* the card of the guest's kernel */
	struct ndp_config ndp;
	uint8_t learned[16];
	unsigned answers;
	unsigned neighbour, router; /* that the host said where it is, and was a router */
};

/* Its kernel asks at once, and does not wait long for who might have its address. */
static int make_card(void)
{
	struct sill_net_config n = { .tap = card, .address = off, .mac = mac };
	struct ifreq ifr = { .ifr_name = "eth0" };
	struct sill_err e = { 0 };
	struct tap t;
	int s, fd;

	go(guest_ns);
	tap_init(&t);
	/* Like the host's side, then with the guest's own address. */
	if (tap_open(&t, &n, "/tmp", &e) < 0)
		fail_msg("%s", e.msg);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags = (short)(ifr.ifr_flags & ~IFF_UP);
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	ifr.ifr_hwaddr.sa_family = 1;
	assert_int_equal(sill_mac_read(mac, (uint8_t *)ifr.ifr_hwaddr.sa_data), 0);
	assert_int_equal(ioctl(s, SIOCSIFHWADDR, &ifr), 0);
	set("/proc/sys/net/ipv6/conf/eth0/accept_ra", "1");
	set("/proc/sys/net/ipv6/conf/eth0/router_solicitation_delay", "0");
	set("/proc/sys/net/ipv6/neigh/eth0/retrans_time_ms", "20");
	ifr.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	close(s);
	fd = fcntl(t.fd[0], F_DUPFD_CLOEXEC, 3);
	tap_close(&t);
	go(host_ns);
	return fd;
}

static void begin_host(struct wire *w, const struct sill_net_config *n)
{
	struct sill_err e = { 0 };

	*w = (struct wire){ 0 };
	tap_init(&w->host);
	if (tap_open(&w->host, n, "/tmp", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(sill_address6_read(w->host.address6, w->ndp.host), 0);
	assert_int_equal(sill_mac_read(mac, w->ndp.mac), 0);
	sill_host_mac(w->ndp.mac, w->ndp.host_mac);
}

static void begin(struct wire *w, const struct sill_net_config *n)
{
	begin_host(w, n);
	w->guest = make_card();
}

static void finish(struct wire *w)
{
	close(w->guest);
	tap_close(&w->host);
}

static void from_guest(struct wire *w, uint8_t *f, size_t n)
{
	uint8_t answer[HEADER + NDP_ADVERT_MAX] = { 0 };
	size_t length;

	(void)ndp_learn(&w->ndp, f + HEADER, n - HEADER, w->learned);
	length = ndp_reply(&w->ndp, f + HEADER, n - HEADER, answer + HEADER, NDP_ADVERT_MAX);
	if (length > 0) {
		w->answers++;
		assert_int_equal(write(w->guest, answer, HEADER + length), HEADER + length);
	} else {
		(void)!write(w->host.fd[0], f, n);
	}
}

/* A neighbour advertisement (RFC 4861 4.4): its first flag is R. */
static void to_guest(struct wire *w, const uint8_t *f, size_t n)
{
	const uint8_t *ip = f + HEADER + 14, *icmp = ip + 40;

	if (n >= HEADER + 14 + 40 + 24 && ip[-2] == 0x86 && ip[-1] == 0xdd && ip[6] == 58 &&
	    icmp[0] == 136) {
		w->neighbour++;
		w->router += icmp[4] >> 7;
	}
	(void)!write(w->guest, f, n);
}

/* What there is to carry, until there is something at @fd too. */
static void carry_until(struct wire *w, int fd)
{
	static uint8_t f[FRAME];

	for (;;) {
		struct pollfd p[3] = { { .fd = w->guest, .events = POLLIN },
				       { .fd = w->host.fd[0], .events = POLLIN },
				       { .fd = fd, .events = POLLIN } };
		ssize_t n;

		assert_true(poll(p, 3, PATIENCE_MS) > 0);
		if ((p[2].revents & POLLIN) != 0)
			return;
		if ((p[0].revents & POLLIN) != 0) {
			n = read(w->guest, f, sizeof(f));
			assert_true(n > HEADER);
			from_guest(w, f, (size_t)n);
		}
		if ((p[1].revents & POLLIN) != 0) {
			n = read(w->host.fd[0], f, sizeof(f));
			assert_true(n > HEADER);
			to_guest(w, f, (size_t)n);
		}
	}
}

/* A netlink socket on which this namespace tells of IPv6 addresses. */
static int listen_addresses(void)
{
	const int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	const struct {
		unsigned short family, pad;
		unsigned pid, groups;
	} at = { AF_NETLINK, 0, 0, 1u << (9 - 1) /* RTNLGRP_IPV6_IFADDR */ };

	assert_int_equal(bind(s, (const struct sockaddr *)(const void *)&at, sizeof(at)), 0);
	return s;
}

/* Until the guest has an address of our network. */
static struct in6_addr await_address(struct wire *w, int news)
{
	struct in6_addr a;
	char bytes[4096];
	bool has;

	for (;;) {
		go(guest_ns);
		has = ipv6_find("eth0", &a);
		go(host_ns);
		if (has && memcmp(&a, w->ndp.host, 8) == 0)
			return a;
		carry_until(w, news);
		while (recv(news, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
	}
}

/* In the namespace that this process is in. */
static int open_socket(void)
{
	const struct sockaddr_in6 me = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	const int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(s, (const struct sockaddr *)&me, sizeof(me)), 0);
	return s;
}

static int guest_socket(void)
{
	int s;

	go(guest_ns);
	s = open_socket();
	go(host_ns);
	return s;
}

/* ---- tests ---- */

static void a_guest__makes_its_address_of_what_it_is_told(void **state)
{
	const struct sill_net_config n = config(automatic);
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) }, from;
	socklen_t size = sizeof(from);
	struct wire w;
	char text[8];
	int news, s, g;

	NEED();
	go(guest_ns);
	news = listen_addresses();
	go(host_ns);
	begin(&w, &n);
	to.sin6_addr = await_address(&w, news);
	assert_true(w.answers > 0);
	assert_memory_equal(w.learned, &to.sin6_addr, 16);
	/* It is reached from the host's side, and answers there. */
	s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	g = guest_socket();
	assert_int_equal(sendto(s, "ping", 4, 0, (struct sockaddr *)&to, sizeof(to)), 4);
	carry_until(&w, g);
	assert_int_equal(recvfrom(g, text, sizeof(text), 0, (struct sockaddr *)&from, &size), 4);
	assert_memory_equal(&from.sin6_addr, w.ndp.host, 16);
	assert_int_equal(sendto(g, "pong", 4, 0, (struct sockaddr *)&from, sizeof(from)), 4);
	carry_until(&w, s);
	assert_int_equal(recv(s, text, sizeof(text), 0), 4);
	close(s);
	close(g);
	close(news);
	finish(&w);
}

static void a_tap_that_is_made__has_an_address_of_its_own(void **state)
{
	struct sill_net_config n = config(automatic);
	struct in6_addr a, again;
	struct sill_err e = { 0 };
	struct tap t, u;

	NEED();
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_int_equal(sill_address6_read(t.address6, a.s6_addr), 0);
	assert_int_equal(a.s6_addr[0], 0xfd);
	assert_true(ipv6_has(t.name, &a));
	assert_true(ipv6_is_used(&a));
	/* The same card a second time: its network is taken, another is not. */
	tap_init(&u);
	assert_int_equal(tap_open(&u, &n, "/tmp", &e), 0);
	assert_string_not_equal(u.address6, t.address6);
	tap_close(&u);
	tap_close(&t);
	assert_false(ipv6_is_used(&a));
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_int_equal(sill_address6_read(t.address6, again.s6_addr), 0);
	assert_memory_equal(&again, &a, 16); /* a guest keeps its address */
	tap_close(&t);
}

static void an_address__is_the_one_asked_for_or_none(void **state)
{
	struct sill_net_config n = config(given);
	struct sill_err e = { 0 };
	struct tap t, u;

	NEED();
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_string_equal(t.address6, given);
	tap_init(&u);
	assert_int_equal(tap_open(&u, &n, "/tmp", &e), -1);
	assert_string_equal(e.msg, "the host uses the network of 'fd12:3456:789a::1/64' already");
	tap_close(&u);
	tap_close(&t);
	n.ipv6 = off;
	tap_init(&t);
	e = (struct sill_err){ 0 };
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_string_equal(t.address6, "");
	tap_close(&t);
	/* Without IPv4, only by its own word. */
	n = config(automatic);
	n.address = off;
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_string_equal(t.address6, "");
	tap_close(&t);
	n.ipv6 = on;
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_string_not_equal(t.address6, "");
	assert_string_equal(t.address, "");
	tap_close(&t);
}

static void a_host_without_ipv6__is_as_before(void **state)
{
	static const char all[] = "/proc/sys/net/ipv6/conf/default/disable_ipv6";
	struct sill_net_config n = config(automatic);
	struct sill_err e = { 0 };
	struct tap t;

	NEED();
	set(all, "1");
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_string_equal(t.address, "192.168.249.1/24");
	assert_string_equal(t.address6, "");
	tap_close(&t);
	n.ipv6 = on;
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), -1);
	assert_string_equal(e.msg, "ipv6 is on, but this host has none");
	assert_non_null(strstr(e.hint, "disable_ipv6=0"));
	tap_close(&t);
	set(all, "0");
	/* Nor is it on a link with small packets. */
	n.ipv6 = automatic;
	n.mtu = IPV6_MTU_MIN - 1;
	e = (struct sill_err){ 0 };
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_string_equal(t.address6, "");
	tap_close(&t);
}

static void a_tap_that_is_there__keeps_what_it_has(void **state)
{
	struct sill_net_config n = config(off);
	struct in6_addr a = { .s6_addr = { 0xfd, 9, [15] = 7 } };
	struct sill_err e = { 0 };
	char name[] = "lan0", its[] = "fd09::7/64";
	struct tap t, u;

	NEED();
	n.tap = name;
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), 0);
	assert_int_equal(ioctl(t.fd[0], TUNSETPERSIST, 1), 0);
	for (unsigned i = 0; i < 4; i++) {
		char *asked[] = { on, automatic, on, its };

		if (i == 2)
			assert_int_equal(ipv6_give("lan0", &a), 0);
		close(t.fd[0]);
		t.fd[0] = -1;
		n.ipv6 = asked[i];
		tap_init(&u);
		e = (struct sill_err){ 0 };
		assert_int_equal(tap_open(&u, &n, "/tmp", &e), i == 0 ? -1 : 0);
		assert_string_equal(u.address6, i < 2 ? "" : its);
		if (i == 0)
			assert_string_equal(
				e.msg, "ipv6 is on, but the tap 'lan0' has not an IPv6 address");
		if (i == 3)
			assert_int_equal(ioctl(u.fd[0], TUNSETPERSIST, 0), 0);
		tap_close(&u);
	}
	assert_int_equal(if_nametoindex("lan0"), 0);
}

/* ---- the world ---- */

/* "up0" here and "far0" there, in the namespace of the child. False: that cannot be. */
static bool make_world(pid_t *ret_child)
{
	int ready[2];
	char text[256], byte;
	bool made;

	assert_int_equal(pipe(ready), 0);
	*ret_child = fork();
	if (*ret_child == 0)
		_exit(unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1 || pause() == 0);
	close(ready[1]);
	(void)snprintf(text, sizeof(text), "/proc/%d/ns/net", (int)*ret_child);
	made = read(ready[0], &byte, 1) == 1;
	world_ns = made ? open(text, O_RDONLY | O_CLOEXEC) : -1;
	close(ready[0]);
	(void)snprintf(text, sizeof(text),
		       "ip link add up0 type veth peer name far0 netns %d && "
		       "ip address add 2001:db8:99::1/64 dev up0 nodad && ip link set up0 up && "
		       "ip link set lo up",
		       (int)*ret_child);
	if (world_ns < 0 || fk_run(text) != 0)
		return false;
	go(world_ns);
	made = fk_run("ip address add 2001:db8:99::2/64 dev far0 nodad && ip link set far0 up") ==
	       0;
	go(host_ns);
	return made;
}

static char flag(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = '?';

	if (fd >= 0)
		assert_int_equal(read(fd, &c, 1), 1);
	if (fd >= 0)
		close(fd);
	return c;
}

#define NEED_WORLD()                                     \
	do {                                             \
		NEED();                                  \
		if (no_world != NULL) {                  \
			print_message("%s\n", no_world); \
			skip();                          \
		}                                        \
	} while (0)

static const char forwards_up[] = "/proc/sys/net/ipv6/conf/up0/force_forwarding",
		  forwards_all[] = "/proc/sys/net/ipv6/conf/all/forwarding",
		  believes[] = "/proc/sys/net/ipv6/conf/up0/accept_ra",
		  router_up[] = "/proc/sys/net/ipv6/conf/up0/forwarding";

/* @c: the card, whose host's side there is. */
static void start_nat(struct nat *n, struct rules_card *c)
{
	struct sill_err e = { 0 };

	nat_init(n);
	if (nat_start(n, c, 1, dir, &e) < 0)
		fail_msg("%s", e.msg);
	if (flag(forwards_up) != '?')
		return;
	/* Not by interface; and nobody has insisted. */
	assert_false(c->nat6);
	nat_fini(n);
	c->nat6 = c->nat6_insists = true;
	assert_int_equal(nat_start(n, c, 1, dir, &e), 0);
}

/* From the guest's socket @g to the world's @s, and back. */
static void there_and_back(struct wire *w, int g, int s)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) }, from;
	socklen_t size = sizeof(from);
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(inet_pton(AF_INET6, "2001:db8:99::2", &to.sin6_addr), 1);
	assert_int_equal(sendto(g, "ping", 4, 0, (struct sockaddr *)&to, sizeof(to)), 4);
	carry_until(w, s);
	assert_int_equal(recvfrom(s, text, 8, 0, (struct sockaddr *)&from, &size), 4);
	assert_string_equal(inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof(text)),
			    "2001:db8:99::1");
	assert_int_equal(sendto(s, "pong", 4, 0, (struct sockaddr *)&from, sizeof(from)), 4);
	carry_until(w, g);
	assert_int_equal(recv(g, text, 8, 0), 4);
}

static void a_guest__reaches_the_world_under_its_hosts_address(void **state)
{
	const struct sill_net_config n = config(automatic);
	struct rules_card c = { .nat = true, .nat6 = true, .guest = { 0xc0a8f902, 32 } };
	struct nat nat;
	struct wire w;
	int news, s, g;

	NEED_WORLD();
	assert_int_equal(fk_run("ip -6 route add default via 2001:db8:99::2"), 0);
	go(world_ns);
	s = open_socket();
	go(guest_ns);
	news = listen_addresses();
	go(host_ns);
	begin_host(&w, &n);
	c.tap = w.host.name;
	memcpy(c.net6, w.ndp.host, 8);
	start_nat(&nat, &c);
	assert_true(c.nat6);
	w.ndp.routes = true;
	w.guest = make_card();
	(void)await_address(&w, news);
	g = guest_socket();
	there_and_back(&w, g, s);
	/* The guest asks its router where it is, and hears that it is one. */
	go(guest_ns);
	assert_int_equal(fk_run("ip -6 neigh flush dev eth0"), 0);
	go(host_ns);
	w.neighbour = w.router = 0;
	there_and_back(&w, g, s);
	assert_true(w.neighbour > 0);
	assert_int_equal(w.router, w.neighbour);
	assert_int_equal(flag(believes), '2');
	finish(&w);
	nat_fini(&nat);
	assert_int_not_equal(flag(forwards_up), '1');
	assert_int_equal(flag(forwards_all), '0');
	assert_int_equal(flag(router_up), '0');
	assert_int_equal(flag(believes), '1');
	close(s);
	close(g);
	close(news);
	/* Without a way out nothing is switched. */
	assert_int_equal(fk_run("ip -6 route del default via 2001:db8:99::2"), 0);
	c.nat6 = true;
	c.tap = "lo";
	nat_init(&nat);
	assert_int_equal(nat_start(&nat, &c, 1, dir, &(struct sill_err){ 0 }), 0);
	assert_false(c.nat6);
	nat_fini(&nat);
}

/* The world is a router, and says so. */
static void advertise(void)
{
	const struct ndp_config c = { .host_mac = { 0x02, 0, 0, 0, 0, 0x77 },
				      .host = { 0x20, 1, 0x0d, 0xb8, 0, 0x98, [15] = 1 },
				      .routes = true };
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	uint8_t f[NDP_ADVERT_MAX];
	const size_t n = ndp_advert(&c, f, sizeof(f));
	int s;

	go(world_ns);
	s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	at.sll_ifindex = (int)if_nametoindex("far0");
	assert_int_equal(sendto(s, f, n, 0, (struct sockaddr *)&at, sizeof(at)), n);
	close(s);
	go(host_ns);
}

static void await_route(void)
{
	char name[IPV6_UPLINKS][IF_NAMESIZE];

	/* It is taken while it is sent, or by the next turn of this processor. */
	for (unsigned i = 0; i < 1000000 && ipv6_uplinks(name) == 0; i++)
		(void)sched_yield();
	assert_int_equal(ipv6_uplinks(name), 1);
	assert_string_equal(name[0], "up0");
}

static int hold_all(void)
{
	struct sill_err e = { 0 };
	struct forwarding f;

	return forwarding_init(&f, dir, &e) < 0 ||
	       forwarding_hold(&f, FORWARDING_BELIEVE, "up0", &e) < 0 ||
	       forwarding_hold(&f, FORWARDING_ALL_IPV6, "all", &e) < 0 ||
	       forwarding_start(&f, &e) < 0;
}

static void a_host_that_forwards_all__keeps_its_own_default_route(void **state)
{
	char name[IPV6_UPLINKS][IF_NAMESIZE];
	pid_t child;

	NEED_WORLD();
	advertise();
	await_route();
	/* That is what is prevented. */
	set(forwards_all, "1");
	assert_int_equal(ipv6_uplinks(name), 0);
	set(forwards_all, "0");
	advertise();
	await_route();
	child = fork();
	if (child == 0)
		_exit(hold_all() != 0 || kill(getpid(), SIGKILL) < 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(flag(forwards_all), '1');
	assert_int_equal(flag(believes), '2');
	assert_int_equal(ipv6_uplinks(name), 1);
	forwarding_clean(dir, NULL, NULL);
	assert_int_equal(flag(forwards_all), '0');
	assert_int_equal(flag(believes), '1');
	assert_int_equal(ipv6_uplinks(name), 1);
	assert_int_equal(rmdir(dir), 0); /* nothing is left in it */
	assert_int_equal(mkdir(dir, 0700), 0);
}

/* A tap that stays: what was switched on it is written down, and put back after a kill -9. */
static void a_router_on_one_interface__keeps_the_hosts_default_route(void **state)
{
	static const char router_tap[] = "/proc/sys/net/ipv6/conf/lan0/forwarding";
	struct rules_card c = { .tap = "lan0",
				.nat = true,
				.nat6 = true,
				.stays = true,
				.guest = { 0xc0a8f902, 32 },
				.net6 = { 0xfd, 9 } };
	struct in6_addr a = { .s6_addr = { 0xfd, 9, [15] = 7 } };
	char name[IPV6_UPLINKS][IF_NAMESIZE];
	struct sill_err e = { 0 };
	struct nat nat;
	pid_t child;

	NEED_WORLD();
	if (flag(forwards_up) == '?')
		skip(); /* all interfaces forward, or none */
	assert_int_equal(fk_run("ip tuntap add dev lan0 mode tap && ip link set lan0 up"), 0);
	assert_int_equal(ipv6_give("lan0", &a), 0);
	advertise();
	await_route();
	child = fork();
	if (child == 0) {
		nat_init(&nat);
		_exit(nat_start(&nat, &c, 1, dir, &e) != 0 || kill(getpid(), SIGKILL) < 0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(flag(router_tap), '1');
	assert_int_equal(flag(believes), '2');
	assert_int_equal(flag(forwards_up), '1');
	assert_int_equal(ipv6_uplinks(name), 1);
	forwarding_clean(dir, NULL, NULL);
	assert_int_equal(flag(router_tap), '0');
	assert_int_equal(flag(believes), '1');
	assert_int_equal(flag(forwards_up), '0');
	assert_int_equal(ipv6_uplinks(name), 1);
	assert_int_equal(fk_run("ip link del lan0"), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
}

/* What is missing here, or NULL. */
static const char *prepare(void)
{
	const struct sill_net_config n = config(off);
	struct sill_err e = { 0 };
	struct tap t;
	int bad;

	if (unshare(CLONE_NEWNET) < 0)
		return "no right to make a network namespace";
	guest_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0)
		return "no second network namespace";
	host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	tap_init(&t);
	bad = tap_open(&t, &n, "/tmp", &e) < 0;
	tap_close(&t);
	if (bad)
		return "no taps";
	return ipv6_is_on("lo") && access("/proc/sys/net/ipv6/conf/lo/accept_ra", W_OK) == 0
		       ? NULL
		       : "no IPv6, or a /proc/sys/net that cannot be written to";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest__makes_its_address_of_what_it_is_told),
		cmocka_unit_test(a_tap_that_is_made__has_an_address_of_its_own),
		cmocka_unit_test(an_address__is_the_one_asked_for_or_none),
		cmocka_unit_test(a_host_without_ipv6__is_as_before),
		cmocka_unit_test(a_tap_that_is_there__keeps_what_it_has),
		cmocka_unit_test(a_guest__reaches_the_world_under_its_hosts_address),
		cmocka_unit_test(a_host_that_forwards_all__keeps_its_own_default_route),
		cmocka_unit_test(a_router_on_one_interface__keeps_the_hosts_default_route),
	};
	pid_t world = -1;
	int ret;

	if (mkdtemp(dir) == NULL)
		return 1;
	why_not = prepare();
	if (why_not == NULL && !make_world(&world))
		no_world = "no pair of interfaces (veth), or no iproute2";
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	if (world > 0) {
		kill(world, SIGKILL);
		(void)waitpid(world, NULL, 0);
	}
	(void)rmdir(dir);
	return ret;
}
