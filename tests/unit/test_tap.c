/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tap.c - the host's side of a network card, in a network namespace of its own: what
 * is made, what is left alone, and which network is taken. The part with real devices is
 * skipped where there is no /dev/net/tun or no right to use it.
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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/net/net.h"
#include "machine/net.h"
#include "runner/host/leftover.h"
#include "runner/host/link.h"
#include "runner/host/signals.h"
#include "runner/host/subnet.h"
#include "runner/host/tap.h"

static bool alone, have_tap; /* in a network namespace of our own; with devices */

/* ---- which network ---- */

static struct subnet net(unsigned a, unsigned b, unsigned c, unsigned d, uint8_t prefix)
{
	return (struct subnet){ a << 24 | b << 16 | c << 8 | d, prefix };
}

static void the_first_free_network__is_chosen(void **state)
{
	struct subnet list[] = { net(192, 168, 249, 17, 32), net(192, 168, 250, 0, 25),
				 net(192, 168, 252, 0, 22) };
	struct subnets used = { list, 0 };
	struct subnet n;

	(void)state;
	assert_true(subnets_choose(&used, &n));
	assert_int_equal(n.address, net(192, 168, 249, 1, 24).address);
	assert_int_equal(n.prefix, 24);
	used.count = 1;
	assert_true(subnets_choose(&used, &n));
	assert_int_equal(n.address, net(192, 168, 250, 1, 24).address);
	used.count = 2;
	assert_true(subnets_choose(&used, &n));
	assert_int_equal(n.address, net(192, 168, 251, 1, 24).address);
	list[0] = net(192, 168, 0, 0, 16); /* a VPN's route */
	assert_true(subnets_choose(&used, &n));
	assert_int_equal(n.address, net(10, 249, 0, 1, 24).address);
	list[1] = net(10, 0, 0, 0, 8);
	assert_false(subnets_choose(&used, &n));
}

/* ---- devices ---- */

static char automatic[] = "auto", off[] = "off", mac[] = "02:00:00:00:00:01", none[] = "",
	    lo[] = "lo";

static struct sill_net_config config(char *name)
{
	return (struct sill_net_config){ .tap = name, .address = automatic, .mac = mac };
}

static void open_or_fail(struct tap *t, const struct sill_net_config *n)
{
	struct sill_err e = { 0 };

	tap_init(t);
	if (tap_open(t, n, "/tmp", &e) < 0)
		fail_msg("%s", e.msg);
}

static short flags_of(const char *name)
{
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
	close(s);
	return ifr.ifr_flags;
}

static void taps__are_made_addressed_up_and_gone_at_the_end(void **state)
{
	struct sill_net_config n = config(none);
	struct tap a, b;

	(void)state;
	if (!have_tap)
		skip();
	open_or_fail(&a, &n);
	assert_string_equal(a.name, "vmtap0");
	assert_string_equal(a.address, "192.168.249.1/24");
	assert_int_equal(a.mtu, 1500);
	assert_true(a.made);
	assert_int_equal(flags_of("vmtap0") & IFF_UP, IFF_UP);
	n.mtu = 9000;
	n.queues = 4;
	open_or_fail(&b, &n);
	assert_string_equal(b.name, "vmtap1");
	assert_string_equal(b.address, "192.168.250.1/24");
	assert_int_equal(b.mtu, 9000);
	assert_int_equal(b.count, 4);
	tap_close(&a);
	tap_close(&b);
	assert_int_equal(if_nametoindex("vmtap0"), 0);
	assert_int_equal(if_nametoindex("vmtap1"), 0);
}

static void an_address__is_the_one_asked_for_or_none(void **state)
{
	static char asked[] = "172.20.5.9/28", same[] = "172.20.5.1/24", name[] = "lan";
	struct sill_net_config n = config(name);
	struct sill_err e = { 0 };
	struct tap t, u;

	(void)state;
	if (!have_tap)
		skip();
	n.address = asked;
	open_or_fail(&t, &n);
	assert_string_equal(t.name, "lan");
	assert_string_equal(t.address, "172.20.5.9/28");
	n = config(none);
	n.address = same;
	tap_init(&u);
	assert_int_equal(tap_open(&u, &n, "/tmp", &e), -1);
	assert_non_null(strstr(e.msg, "uses the network of '172.20.5.1/24' already"));
	tap_close(&u);
	n.address = off;
	open_or_fail(&u, &n);
	assert_string_equal(u.address, "");
	tap_close(&u);
	tap_close(&t);
}

static void a_tap_that_is_made__belongs_to_its_user_alone(void **state)
{
	const struct sill_net_config n = {
		.tap = none, .address = automatic, .mac = mac, .queues = 2
	};
	struct tap t;
	int status;
	pid_t child;

	(void)state;
	if (!have_tap || getuid() != 0)
		skip();
	open_or_fail(&t, &n);
	child = fork();
	if (child == 0) {
		struct ifreq ifr = { .ifr_flags =
					     IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };
		int fd;

		(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", t.name);
		if (setuid(65534) < 0)
			_exit(2);
		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		_exit(ioctl(fd, TUNSETIFF, &ifr) < 0 && errno == EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	tap_close(&t);
}

static void without_the_right__it_is_said_what_helps(void **state)
{
	static char name[] = "lan7";
	const struct sill_net_config n = { .tap = name, .address = automatic, .mac = mac };
	int status;
	pid_t child;

	(void)state;
	if (!have_tap || getuid() != 0)
		skip();
	child = fork();
	if (child == 0) {
		struct sill_err e = { 0 };
		struct tap t;

		tap_init(&t);
		if (setuid(65534) < 0 || tap_open(&t, &n, "/tmp", &e) == 0)
			_exit(1);
		_exit(strstr(e.hint, "ip tuntap add dev lan7 mode tap user 65534") != NULL ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* As an administrator makes one: persistent, with an address, down. */
static void make_persistent(const char *name, short flags, bool persistent)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags) };
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, (unsigned long)persistent), 0);
	close(fd);
}

static void a_tap_that_is_there__is_used_as_it_is_and_stays(void **state)
{
	static char name[] = "admin0";
	struct sill_net_config n = config(name);
	struct sill_err e = { 0 };
	struct tap t;

	(void)state;
	if (!have_tap)
		skip();
	make_persistent(name, 0, true);
	open_or_fail(&t, &n);
	assert_false(t.made);
	assert_string_equal(t.address, "");
	assert_int_equal(flags_of(name) & IFF_UP, 0);
	tap_close(&t);
	n.mtu = 9000;
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), -1);
	assert_non_null(strstr(e.msg, "has an MTU of 1500, not 9000"));
	tap_close(&t);
	e = (struct sill_err){ 0 };
	n.mtu = 0;
	n.dhcp = SILL_DHCP_ON;
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), -1);
	assert_non_null(strstr(e.msg, "has no IPv4 address"));
	tap_close(&t);
	e = (struct sill_err){ 0 };
	n.queues = 2; /* it was made with one */
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), -1);
	assert_non_null(strstr(e.hint, "multi_queue"));
	tap_close(&t);
	assert_int_not_equal(if_nametoindex(name), 0);
	make_persistent(name, 0, false);
}

static void a_tap_with_several_queues__may_be_used_with_one(void **state)
{
	static char name[] = "admin1";
	struct sill_net_config n = config(name);
	struct tap t;

	(void)state;
	if (!have_tap)
		skip();
	make_persistent(name, IFF_MULTI_QUEUE, true);
	open_or_fail(&t, &n);
	assert_int_equal(t.count, 1);
	tap_close(&t);
	make_persistent(name, IFF_MULTI_QUEUE, false);
}

/* The far side of runner/host: what the engine makes of the settled card. */
static void a_card__tells_of_the_name_servers_it_is_given(void **state)
{
	static char id[] = "net0", first[] = "10.0.0.53", second[] = "10.0.1.53", bad[] = "host",
		    six[] = "fd00::53", given[] = "fd12:3456:789a::1/64";
	const uint8_t server[16] = { 0xfd, [15] = 0x53 };
	char *dns[] = { first, six, second };
	struct sill_net_config n = config(none);
	struct sill_files files = { 0 };
	struct sill_file file = { .role = SILL_FILE_TAP, .id = id };
	struct sill_err e = { 0 };
	struct card card;
	struct tap t;

	(void)state;
	if (!have_tap)
		skip();
	n.id = id;
	n.dhcp = SILL_DHCP_ON;
	n.dns = dns;
	n.dns_count = 3;
	n.ipv6 = given;
	for (unsigned i = 0; i < 3; i++) {
		n.address = automatic;
		open_or_fail(&t, &n);
		n.address = t.address;
		file.fd = t.fd[0];
		t.fd[0] = -1;
		assert_int_equal(sill_files_add(&files, &file, &e), 0);
		if (i == 2) {
			assert_int_equal(card_open("vm", &n, &files, &card, &e), -1);
			assert_non_null(strstr(e.msg, "'host' is no name server"));
			break;
		}
		assert_int_equal(card_open("vm", &n, &files, &card, &e), 0);
		assert_int_equal(card.dhcp.dns_count, i == 0 ? 2 : 0);
		if (i == 0) {
			assert_int_equal(card.dhcp.dns[0], net(10, 0, 0, 53, 32).address);
			assert_int_equal(card.dhcp.dns[1], net(10, 0, 1, 53, 32).address);
			assert_int_equal(card.config.ndp->dns_count, 1);
			assert_memory_equal(card.config.ndp->dns[0], server, 16);
		}
		net_close(card.config.net);
		dns[0] = i == 0 ? off : bad;
		n.dns_count = 1;
	}
	sill_files_close(&files);
}

/* ---- what else a card can be connected to ---- */

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static bool can(const char *command)
{
	char quiet[256];

	(void)snprintf(quiet, sizeof(quiet), "{ %s; } >/dev/null 2>&1", command);
	return have_tap && system(quiet) == 0;
}

static struct link link_of(const char *name)
{
	struct sill_err e = { 0 };
	struct link l;

	if (link_find(name, &l, &e) != 1)
		fail_msg("%s: %s", name, e.msg);
	return l;
}

static void a_bridge__is_joined_left_and_not_touched(void **state)
{
	static char br[] = "br7";
	struct sill_net_config n = { .bridge = br, .address = automatic, .mac = mac };
	struct sill_err e = { 0 };
	struct link before, now;
	struct tap t;

	(void)state;
	if (!can("ip link add br7 type bridge && ip link set br7 mtu 9000 up && "
		 "ip address add 10.77.0.1/24 dev br7"))
		skip();
	before = link_of("br7");
	assert_string_equal(before.kind, "bridge");
	open_or_fail(&t, &n);
	assert_string_equal(t.name, "vmtap0");
	assert_true(link_of("vmtap0").master != 0);
	assert_int_equal(t.mtu, 9000);
	assert_int_equal(link_of("vmtap0").mac[0], 0xfe);
	assert_string_equal(t.address, "10.77.0.1/24"); /* of the bridge: the tap has none */
	assert_int_equal(system("ip -4 address show dev vmtap0 | grep -q inet"), 1 << 8);
	assert_int_equal(system("ip -6 address show dev vmtap0 | grep -q inet6"), 1 << 8);
	assert_int_equal(flags_of("vmtap0") & IFF_UP, IFF_UP);
	tap_close(&t);
	now = link_of("br7");
	assert_int_equal(now.mtu, before.mtu);
	assert_int_equal(if_nametoindex("vmtap0"), 0);

	run("ip address flush dev br7");
	n.dhcp = SILL_DHCP_ON;
	tap_init(&t);
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), -1);
	assert_string_equal(e.msg, "dhcp is on, but the bridge 'br7' has no IPv4 address");
	tap_close(&t);
	run("ip link del br7");
	e = (struct sill_err){ 0 };
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), -1);
	assert_string_equal(e.msg, "there is no bridge 'br7'");
	tap_close(&t);
	n.bridge = lo;
	e = (struct sill_err){ 0 };
	assert_int_equal(tap_open(&t, &n, "/tmp", &e), -1);
	assert_string_equal(e.msg, "'lo' is not a bridge");
	tap_close(&t);
}

static int open_queue(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };
	const int fd = open("/dev/net/tun", O_RDWR); /* as who starts us leaves it */

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void refused(const struct sill_net_config *n, const char *text)
{
	struct sill_err e = { 0 };
	char fds[32];
	struct tap t;

	tap_init(&t);
	assert_int_equal(tap_open(&t, n, "/tmp", &e), -1);
	assert_non_null(strstr(e.msg, text));
	(void)snprintf(fds, sizeof(fds), "%d", t.fd[0]);
	assert_string_equal(fds, "-1"); /* what was refused is not taken */
	tap_close(&t);
}

static void descriptors_of_others__are_looked_at_and_taken(void **state)
{
	static char asked[] = "10.78.0.1/24";
	const int good = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	uint16_t fd[2];
	struct sill_net_config n = { .fd = fd, .fd_count = 1, .address = automatic, .mac = mac };
	struct sill_err e = { 0 };
	struct net *net;
	struct tap t;

	(void)state;
	if (!have_tap)
		skip();
	fd[0] = 1023;
	refused(&n, "descriptor 1023 was not open at the start");
	fd[0] = (uint16_t)open("/dev/null", O_RDWR | O_CLOEXEC); /* one of our own */
	refused(&n, "was not open at the start");
	(void)fcntl(fd[0], F_SETFD, 0);
	refused(&n, "is no tap's");
	close(fd[0]);
	fd[0] = (uint16_t)open_queue("in0", IFF_TAP | IFF_NO_PI);
	refused(&n, "the tap 'in0' is without IFF_VNET_HDR");
	close(fd[0]);
	fd[0] = (uint16_t)open_queue("in0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	refused(&n, "the tap 'in0' is without IFF_TAP");
	close(fd[0]);
	fd[0] = (uint16_t)open_queue("in0", good | IFF_MULTI_QUEUE);
	fd[1] = (uint16_t)open_queue("in1", good | IFF_MULTI_QUEUE);
	n.fd_count = 2;
	refused(&n, "descriptors of two taps, 'in0' and 'in1'");
	close(fd[1]);
	fd[1] = (uint16_t)open_queue("in2", good);
	refused(&n, "the tap 'in2' is without IFF_MULTI_QUEUE");
	close(fd[1]);
	fd[1] = (uint16_t)open_queue("in0", good | IFF_MULTI_QUEUE);
	n.address = asked;
	n.dhcp = SILL_DHCP_ON;
	open_or_fail(&t, &n);
	assert_int_equal(t.count, 2);
	assert_int_equal(t.fd[1], fd[1]);
	assert_int_equal(fcntl(fd[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_string_equal(t.name, "in0");
	assert_string_equal(t.address, asked);
	assert_int_equal(t.mtu, 1500);
	net = net_tap_open(t.fd, t.count, &e);
	t.fd[0] = t.fd[1] = -1;
	assert_non_null(net);
	net_close(net);
	tap_close(&t);
	assert_int_equal(if_nametoindex("in0"), 0);
}

/* In a namespace of its own, where another device has the same name. 0: it is as it should be. */
static int adopt_elsewhere(void)
{
	struct tap t;
	struct sill_err e = { 0 };
	const int fd = open_queue("in3", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	int other;

	tap_init(&t);
	run("ip link set in3 mtu 1400");
	if (fd < 0 || tap_adopt(&t, &fd, 1, &e) < 0 || t.elsewhere || t.mtu != 1400)
		return 1;
	tap_close(&t);
	if (unshare(CLONE_NEWNET) < 0)
		return 2;
	other = open_queue("in3", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	run("ip link set in3 mtu 9000");
	tap_init(&t);
	if (other < 0 || tap_adopt(&t, &fd, 1, &e) < 0)
		return 3;
	return t.elsewhere && t.mtu == 1500 ? 0 : 4;
}

static void a_descriptor_of_another_namespace__is_not_taken_for_the_device_of_that_name(
	void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (!have_tap)
		skip();
	child = fork();
	if (child == 0)
		_exit(adopt_elsewhere());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Sixty-four flows of UDP to a macvtap at 02:00:00:00:00:01, by way of mv-far. */
static void send_flows(void)
{
	static const uint8_t start[] = {
		2,  0, 0, 0, 0, 1,  2,  0, 0, 0,  0, 9, 8, 0,  0x45, 0, 0,
		28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0,    0, 2
	};
	const int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	const struct sockaddr_ll a = { .sll_family = AF_PACKET,
				       .sll_ifindex = (int)if_nametoindex("mv-far") };
	uint8_t frame[60] = { 0 };

	memcpy(frame, start, sizeof(start));
	frame[39] = 8; /* the length of the datagram */
	for (uint8_t i = 0; i < 64; i++) {
		frame[35] = i; /* its port */
		assert_int_equal(
			sendto(s, frame, sizeof(frame), 0, (const struct sockaddr *)&a, sizeof(a)),
			sizeof(frame));
	}
	close(s);
}

/* How many of those have come by @queue? */
static unsigned flows(struct net *n, unsigned queue)
{
	uint8_t in[2048];
	const struct iovec iov = { in, sizeof(in) };
	unsigned count = 0;
	ssize_t got;

	while ((got = n->ops->recv(n, queue, &iov, 1)) >= 0)
		count += got == 12 + 60 && in[12 + 12] == 8 && in[12 + 13] == 0;
	return count;
}

/* A guest that serves one pair gets all frames by it, and has them spread as soon as it serves two. */
static void macvtap_queues(struct net *n)
{
	for (unsigned i = 0; i < 2; i++) {
		unsigned first;

		n->ops->set_queues(n, 1);
		send_flows();
		assert_int_equal(flows(n, 0), 64);
		assert_int_equal(flows(n, 1), 0);
		n->ops->set_queues(n, 2);
		send_flows();
		first = flows(n, 0);
		assert_in_range(first, 1, 63);
		assert_int_equal(flows(n, 1), 64 - first);
	}
}

/* Nobody is woken up by the queue itself. */
static void deleted_macvtap(const struct sill_net_config *n, const char *dir)
{
	struct sill_err e = { 0 };
	struct net *net;
	struct tap t;

	tap_init(&t);
	if (tap_open(&t, n, dir, &e) < 0)
		fail_msg("%s", e.msg);
	net = net_tap_open(t.fd, t.count, &e);
	assert_non_null(net);
	net_tap_watch(net, t.news);
	t.fd[0] = t.fd[1] = t.news = -1;
	assert_false(net->ops->is_gone(net));
	assert_int_equal(poll(&(struct pollfd){ .fd = net->news, .events = POLLIN }, 1, 0), 0);
	run("ip link del vmtap0");
	assert_int_equal(poll(&(struct pollfd){ .fd = net->news, .events = POLLIN }, 1, 10000), 1);
	assert_true(net->ops->is_gone(net));
	assert_int_equal(poll(&(struct pollfd){ .fd = net->news, .events = POLLIN }, 1, 0), 0);
	net_close(net);
	tap_close(&t);
}

static void a_macvtap__has_the_guests_address_and_goes_with_the_vm(void **state)
{
	static char lower[] = "mv-lower", other[] = "02:00:00:00:00:77";
	struct sill_net_config n = { .macvtap = lower,
				     .macvtap_mode = SILL_MACVTAP_PRIVATE,
				     .address = automatic,
				     .mac = mac,
				     .queues = 2 };
	const uint8_t changed[6] = { 2, 0, 0, 0, 0, 0x78 };
	char dir[] = "/tmp/sill-macvtap-XXXXXX", ls[64];
	struct sill_err e = { 0 };
	struct tap t, second;
	struct net *net;
	struct link l;

	(void)state;
	if (!can("ip link add mv-lower type veth peer name mv-far && ip link set mv-lower up && "
		 "ip link set mv-far up && "
		 "ip link add link mv-lower name mv-try type macvtap && ip link del mv-try"))
		skip();
	assert_non_null(mkdtemp(dir));
	(void)snprintf(ls, sizeof(ls), "test -z \"$(ls -A %s)\"", dir);
	tap_init(&t);
	if (tap_open(&t, &n, dir, &e) < 0) {
		tap_close(&t); /* a /dev without such devices */
		skip();
	}
	l = link_of("vmtap0");
	assert_string_equal(l.kind, "macvtap");
	assert_memory_equal(l.mac, ((uint8_t[]){ 2, 0, 0, 0, 0, 1 }), 6);
	assert_int_equal(flags_of("vmtap0") & (IFF_UP | IFF_ALLMULTI), IFF_UP | IFF_ALLMULTI);
	assert_int_equal(system("ip -d link show vmtap0 | grep -q 'mode private'"), 0);
	assert_int_equal(system("ip -6 address show dev vmtap0 | grep -q inet6"), 1 << 8);
	assert_int_equal(t.mtu, 1500);
	assert_int_equal(system(ls), 1 << 8);

	net = net_tap_open(t.fd, t.count, &e);
	if (net == NULL)
		fail_msg("%s", e.msg);
	macvtap_queues(net);
	net->ops->set_mac(net, changed);
	l = link_of("vmtap0");
	assert_memory_equal(l.mac, changed, 6);
	net->ops->set_mac(net, ((const uint8_t[]){ 2, 0, 0, 0, 0, 1 }));
	t.fd[0] = t.fd[1] = -1;
	n.mac = other;
	tap_init(&second);
	if (tap_open(&second, &n, dir, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(second.name, "vmtap1");
	macvtap_clean(dir, NULL, NULL); /* both are held */
	assert_int_not_equal(if_nametoindex("vmtap1"), 0);
	net_close(net);
	assert_int_not_equal(if_nametoindex("vmtap0"), 0);
	tap_close(&t);
	assert_int_equal(if_nametoindex("vmtap0"), 0);

	/* kill -9: nobody closes, and the next VM sees to it. */
	close(second.leftover);
	close(second.fd[0]);
	close(second.fd[1]);
	assert_int_not_equal(if_nametoindex("vmtap1"), 0);
	macvtap_clean(dir, NULL, NULL);
	assert_int_equal(if_nametoindex("vmtap1"), 0);
	assert_int_equal(system(ls), 0);
	deleted_macvtap(&n, dir);
	assert_int_equal(rmdir(dir), 0);
	run("ip link del mv-lower");
	refused(&n, "there is no interface 'mv-lower'");
}

/* A file that tells of a macvtap, and another device under that name: it is left alone. */
static void a_name_that_is_somebody_elses_by_now__is_left_alone(void **state)
{
	char dir[] = "/tmp/sill-macvtap-XXXXXX", path[LEFTOVER_PATH];
	struct sill_err e = { 0 };
	int fd;

	(void)state;
	if (!can("ip link add vmtap5 type bridge"))
		skip();
	assert_non_null(mkdtemp(dir));
	assert_true(leftover_path(path, dir, "macvtap", "vmtap5"));
	fd = leftover_make(dir, path, &e);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, mac, strlen(mac), 0), strlen(mac));
	close(fd);
	macvtap_clean(dir, NULL, NULL);
	assert_int_not_equal(if_nametoindex("vmtap5"), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
	run("ip link del vmtap5");
}

static void a_card_connected_to_nothing__needs_nothing(void **state)
{
	struct sill_net_config n = {
		.none = true, .address = automatic, .mac = mac, .queues = 2, .id = automatic
	};
	struct iovec iov = { .iov_base = mac, .iov_len = sizeof(mac) };
	struct sill_files files = { 0 };
	struct sill_err e = { 0 };
	struct card card;
	struct tap t;

	(void)state;
	open_or_fail(&t, &n);
	assert_int_equal(t.fd[0], -1);
	assert_string_equal(t.name, "");
	assert_int_equal(card_open("vm", &n, &files, &card, &e), 0);
	assert_int_equal(card.config.net->queues, 2);
	assert_int_equal(card.config.net->ops->recv(card.config.net, 1, &iov, 1), NET_AGAIN);
	assert_true(card.config.net->ops->send(card.config.net, 1, &iov, 1) >= 0);
	net_close(card.config.net);
	tap_close(&t);
}

/* What a VM has found. */
struct found {
	char name[SILL_TAP_NAME_LEN + 1], address[TAP_ADDRESS], address6[TAP_ADDRESS6];
};

static bool found_by_another(const struct found *f, unsigned i)
{
	for (unsigned j = 0; j < i; j++)
		if (strcmp(f[i].name, f[j].name) == 0 || strcmp(f[i].address, f[j].address) == 0 ||
		    (f[i].address6[0] != '\0' && strcmp(f[i].address6, f[j].address6) == 0))
			return true;
	return false;
}

/* More VMs than one range of networks has room for. */
static void many_at_one_instant__never_share_a_network(void **state)
{
	enum { MANY = 280 };
	struct found *found = mmap(NULL, MANY * sizeof(*found), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int gate[2], done[2], hold[2];
	char byte;

	(void)state;
	if (!have_tap)
		skip();
	assert_true(found != MAP_FAILED && pipe(gate) == 0 && pipe(done) == 0 && pipe(hold) == 0);
	for (unsigned i = 0; i < MANY; i++) {
		if (fork() == 0) {
			struct sill_net_config n = config(none);
			struct sill_err e = { 0 };
			char own[24];
			struct tap t;
			bool ok;

			close(gate[1]);
			close(hold[1]);
			(void)snprintf(own, sizeof(own), "02:00:00:00:%02x:%02x", i >> 8, i & 255);
			n.mac = own;
			n.ipv6 = automatic;
			ok = read(gate[0], &byte, 1) == 0; /* until all are there */
			tap_init(&t);
			if (ok && tap_open(&t, &n, "/tmp", &e) == 0) {
				memcpy(found[i].name, t.name, sizeof(t.name));
				memcpy(found[i].address, t.address, sizeof(t.address));
				memcpy(found[i].address6, t.address6, sizeof(t.address6));
			} else {
				(void)fprintf(stderr, "%s\n", e.msg);
			}
			ok = write(done[1], "", 1) == 1 && read(hold[0], &byte, 1) == 0;
			_exit(ok ? 0 : 1);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(read(done[0], &byte, 1), 1);
	for (unsigned i = 0; i < MANY; i++) {
		assert_string_not_equal(found[i].address, "");
		assert_false(found_by_another(found, i));
	}
	close(hold[0]);
	close(hold[1]);
	while (wait(NULL) > 0)
		;
}

/* ---- the lock ---- */

/* In a child: does networks_lock() end with the signal @sig, or with the lock (0)? Below 0: it is to clean. */
static int lock_in_child(int sig)
{
	const char *what = strerrordesc_np(EINTR);
	struct sill_err e = { 0 };
	int fd;

	fd = signals_block(&e) < 0 ? -1 : sig < 0 ? networks_lock_to_clean() : networks_lock(&e);
	if (sig < 0)
		return fd >= 0 ? 0 : 3;
	if (fd >= 0)
		return sig == 0 ? 0 : 1;
	return sig != 0 && strstr(e.msg, what) != NULL ? 0 : 2;
}

/* @lock is ours alone: a child that had it, too, would wait for itself. */
static pid_t start_child(int lock, int sig)
{
	const pid_t child = fork();

	if (child == 0) {
		close(lock);
		_exit(lock_in_child(sig));
	}
	return child;
}

static void networks_lock__is_waited_for_until_it_is_free(void **state)
{
	struct sill_err e = { 0 };
	pid_t child[8];
	int status, fd;

	(void)state;
	if (!alone)
		skip();
	fd = networks_lock(&e);
	assert_true(fd >= 0);
	for (size_t i = 0; i < 8; i++)
		child[i] = start_child(fd, 0);
	assert_int_equal(waitpid(-1, &status, WNOHANG), 0);
	close(fd);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
}

static void networks_lock__ends_with_a_signal(void **state)
{
	struct sill_err e = { 0 };
	sigset_t term, old;
	int status, fd;
	pid_t child;

	(void)state;
	if (!alone)
		skip();
	fd = networks_lock(&e);
	assert_true(fd >= 0);
	/* It comes before or during the wait; never before the child blocks it. */
	assert_true(sigemptyset(&term) == 0 && sigaddset(&term, SIGTERM) == 0 &&
		    sigprocmask(SIG_BLOCK, &term, &old) == 0);
	child = start_child(fd, SIGTERM);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
}

/* A second signal while the VM ends: the host gets back what is the host's all the same. */
static void networks_lock_to_clean__is_had_whatever_signals_come(void **state)
{
	struct sill_err e = { 0 };
	sigset_t term, old;
	int status, fd;
	pid_t child;

	(void)state;
	if (!alone)
		skip();
	fd = networks_lock(&e);
	assert_true(fd >= 0);
	assert_true(sigemptyset(&term) == 0 && sigaddset(&term, SIGTERM) == 0 &&
		    sigprocmask(SIG_BLOCK, &term, &old) == 0);
	child = start_child(fd, -1);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	close(fd);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* So that a user without rights is somebody in a namespace of his own, too: himself. */
static void map_id(const char *file, unsigned id)
{
	char text[32];
	const int n = snprintf(text, sizeof(text), "%u %u 1", id, id);
	const int fd = open(file, O_WRONLY | O_CLOEXEC);

	/* Where it may not be written there are no devices either, and that is a reason to skip. */
	if (fd >= 0) {
		(void)!write(fd, text, (size_t)n);
		close(fd);
	}
}

static bool own_namespace(void)
{
	const unsigned uid = geteuid(), gid = getegid();
	int fd;

	if (unshare(CLONE_NEWNET) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "deny", 4);
		close(fd);
	}
	map_id("/proc/self/uid_map", uid);
	map_id("/proc/self/gid_map", gid);
	return true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_free_network__is_chosen),
		cmocka_unit_test(networks_lock__is_waited_for_until_it_is_free),
		cmocka_unit_test(networks_lock__ends_with_a_signal),
		cmocka_unit_test(networks_lock_to_clean__is_had_whatever_signals_come),
		cmocka_unit_test(taps__are_made_addressed_up_and_gone_at_the_end),
		cmocka_unit_test(an_address__is_the_one_asked_for_or_none),
		cmocka_unit_test(a_tap_that_is_made__belongs_to_its_user_alone),
		cmocka_unit_test(without_the_right__it_is_said_what_helps),
		cmocka_unit_test(a_tap_that_is_there__is_used_as_it_is_and_stays),
		cmocka_unit_test(a_tap_with_several_queues__may_be_used_with_one),
		cmocka_unit_test(a_card__tells_of_the_name_servers_it_is_given),
		cmocka_unit_test(a_bridge__is_joined_left_and_not_touched),
		cmocka_unit_test(descriptors_of_others__are_looked_at_and_taken),
		cmocka_unit_test(
			a_descriptor_of_another_namespace__is_not_taken_for_the_device_of_that_name),
		cmocka_unit_test(a_macvtap__has_the_guests_address_and_goes_with_the_vm),
		cmocka_unit_test(a_name_that_is_somebody_elses_by_now__is_left_alone),
		cmocka_unit_test(a_card_connected_to_nothing__needs_nothing),
		cmocka_unit_test(many_at_one_instant__never_share_a_network),
	};
	int fd;

	alone = own_namespace();
	if (alone) {
		struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		have_tap = fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0;
		if (fd >= 0)
			close(fd);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
