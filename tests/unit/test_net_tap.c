/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_tap.c - the card on a real tap of this host's kernel, in a network namespace
 * of its own: headers, offloads, queues, carrier, a link that is down, a device that
 * somebody deletes. Skipped where there is no /dev/net/tun or no right to use it.
 */
#include "net_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "runner/host/link.h"

static bool have_tap;

static int open_queue(const char *name, unsigned flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags) };
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void if_flags(const char *name, bool up)
{
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_flags = (short)(up ? IFF_UP : 0) };

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	close(s);
}

/* A socket that sees and sends whole frames on the tap, on the host's side. */
static int packet_socket(const char *name)
{
	const int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	const int big = 8 << 20;

	a.sll_ifindex = (int)if_nametoindex(name);
	assert_true(s >= 0 && a.sll_ifindex > 0);
	(void)setsockopt(s, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	return s;
}

static struct net_kit *begin(unsigned queues, const struct winnet_options *o)
{
	static const struct winnet_options plain = { .rx_fill = 256 };
	struct net_kit *k = calloc(1, sizeof(*k));
	struct sill_err e = { 0 };
	int fd[NET_MAX_QUEUES];

	assert_non_null(k);
	for (unsigned i = 0; i < queues; i++) {
		fd[i] = open_queue("t0", queues > 1 ? IFF_MULTI_QUEUE : 0);
		assert_true(fd[i] >= 0);
	}
	if_flags("t0", true);
	k->c.net = net_tap_open(fd, queues, &e);
	if (k->c.net == NULL)
		fail_msg("%s", e.msg);
	nk_begin(k, o != NULL ? o : &plain);
	k->far = packet_socket("t0");
	return k;
}

static void end(struct net_kit *k)
{
	nk_end(k);
	free(k);
}

/* A frame of a type that nobody else sends: 0x88b5, for experiments. */
static void make(uint8_t *p, uint32_t n, unsigned seed)
{
	nk_fill(p, n, seed);
	memset(p, 0xff, 6);
	memcpy(p + 6, nk_mac, 6);
	p[12] = 0x88;
	p[13] = 0xb5;
}

/* The next of ours at the host's side. */
static uint32_t host_receive(struct net_kit *k, int ms)
{
	struct pollfd p = { .fd = k->far, .events = POLLIN };

	while (poll(&p, 1, ms) == 1) {
		struct sockaddr_ll from;
		socklen_t size = sizeof(from);
		const ssize_t n = recvfrom(k->far, k->frame, sizeof(k->frame), MSG_DONTWAIT,
					   (struct sockaddr *)&from, &size);

		if (n >= 14 && from.sll_pkttype != PACKET_OUTGOING && k->frame[12] == 0x88 &&
		    k->frame[13] == 0xb5)
			return (uint32_t)n;
	}
	return 0;
}

/* The next of ours in the guest; others (the host's own IPv6) are passed over. */
static uint32_t guest_receive(struct net_kit *k, unsigned pair, uint8_t *p, uint32_t max)
{
	struct winnet_header h;

	for (;;) {
		const uint32_t n = winnet_receive(&k->w, pair, p, max, &h);

		assert_true(winnet_give(&k->w, pair));
		if (p[12] == 0x88 && p[13] == 0xb5)
			return n;
	}
}

static void frames__pass_both_ways(void **state)
{
	uint8_t out[1514], in[2048];
	struct net_kit *k;

	(void)state;
	if (!have_tap)
		skip();
	k = begin(1, NULL);
	for (uint32_t n = 14; n <= 1514; n += 100) {
		make(out, n, n);
		winnet_send(&k->w, 0, out, n);
		assert_int_equal(host_receive(k, 20000), n);
		assert_memory_equal(k->frame, out, n);
		assert_int_equal(send(k->far, out, n, 0), n);
		assert_int_equal(guest_receive(k, 0, in, sizeof(in)), n);
		assert_memory_equal(in, out, n);
	}
	end(k);
}

static void headers_the_kernel_refuses__cost_the_frame_and_nothing_else(void **state)
{
	static const struct winnet_header bad[] = {
		{ .flags = 1, .csum_start = { 2000 }, .csum_offset = { 16 } },
		{ .gso_type = 1 },                       /* no size */
		{ .gso_type = 0x55, .gso_size = { 1 } }, /* no such type */
		{ .flags = 1, .gso_type = 1, .gso_size = { 100 }, .hdr_len = { 60000 } },
	};
	uint8_t out[200];
	struct net_kit *k;

	(void)state;
	if (!have_tap)
		skip();
	k = begin(1, NULL);
	make(out, sizeof(out), 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		winnet_put(&k->w, 0, &bad[i], out, sizeof(out), 1);
		winnet_sent(&k->w, 0);
	}
	assert_int_equal(nk_counters(k).tx_dropped, ARRAY_LEN(bad));
	winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(host_receive(k, 20000), sizeof(out));
	end(k);
}

static void a_tap_that_is_down__drops_and_comes_back(void **state)
{
	uint8_t out[200];
	struct net_kit *k;

	(void)state;
	if (!have_tap)
		skip();
	k = begin(1, NULL);
	make(out, sizeof(out), 1);
	if_flags("t0", false);
	winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(nk_counters(k).tx_dropped, 1);
	if_flags("t0", true);
	while (recv(k->far, k->frame, sizeof(k->frame), MSG_DONTWAIT) > 0 || errno == ENETDOWN)
		;
	winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(host_receive(k, 20000), sizeof(out));
	end(k);
}

static void delete_link(const char *name)
{
	struct {
		struct nlmsghdr n;
		struct ifinfomsg i;
	} m = { .n = { .nlmsg_len = sizeof(m),
		       .nlmsg_type = RTM_DELLINK,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };
	const int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char answer[256];

	m.i.ifi_index = (int)if_nametoindex(name);
	assert_int_equal(send(s, &m, sizeof(m), 0), sizeof(m));
	assert_true(recv(s, answer, sizeof(answer), 0) > 0);
	close(s);
}

static void a_tap_that_is_deleted__is_a_link_that_is_down_and_costs_no_time(void **state)
{
	struct timespec before, after;
	uint8_t out[200];
	struct net_kit *k;

	(void)state;
	if (!have_tap)
		skip();
	k = begin(1, NULL);
	make(out, sizeof(out), 1);
	while (rig_message(k->pc, WN_CONFIG_MESSAGE, 0))
		;
	delete_link("t0");
	assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 0);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	(void)poll(NULL, 0, 300);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_in_range((after.tv_sec - before.tv_sec) * 1000 +
				(after.tv_nsec - before.tv_nsec) / 1000000,
			0, 60);
	assert_false(rig_message(k->pc, WN_CONFIG_MESSAGE, 0)); /* once */
	winnet_send(&k->w, 0, out, sizeof(out));
	end(k);
}

/* As with vhost-net: the frames are somebody else's business, and without buffers nobody looks at all. */
static void a_tap_that_nobody_reads__is_seen_to_be_deleted(void **state)
{
	static const struct winnet_options one = { .rx_fill = 1 };
	struct winnet_header h;
	uint8_t out[200], in[2048];
	struct net_kit *k;
	int other, news;

	(void)state;
	if (!have_tap)
		skip();
	other = open_queue("t1", 0);
	k = calloc(1, sizeof(*k));
	assert_non_null(k);
	k->c.net = net_tap_open(&(int){ open_queue("t0", 0) }, 1, &(struct sill_err){ 0 });
	assert_non_null(k->c.net);
	if_flags("t0", true);
	news = link_watch(if_nametoindex("t0"));
	assert_true(news >= 0);
	net_tap_watch(k->c.net, news);
	nk_begin(k, &one);
	k->far = packet_socket("t0");
	make(out, sizeof(out), 1);
	assert_int_equal(send(k->far, out, sizeof(out), 0), sizeof(out));
	assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) > 0);
	while (rig_message(k->pc, WN_CONFIG_MESSAGE, 0))
		;
	delete_link("t1");
	assert_int_equal(poll(&(struct pollfd){ .fd = news, .events = POLLIN }, 1, 0), 0);
	assert_int_equal(virtio_net_news(k->d), VIRTIO_NET_NOTHING);
	delete_link("t0");
	assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 0);
	while (virtio_net_news(k->d) != VIRTIO_NET_LOST)
		(void)sched_yield(); /* it is told after the guest is */
	assert_int_equal(virtio_net_news(k->d), VIRTIO_NET_NOTHING);
	end(k);
	assert_int_equal(fcntl(news, F_GETFD), -1);
	close(other);
}

static void a_large_segment__comes_whole_to_a_guest_that_takes_it(void **state)
{
	const struct winnet_options large = { .rx_size = 65562, .rx_fill = 8 };
	uint8_t *out = calloc(1, 8000), *in = calloc(1, 65562);
	struct net_kit *k;
	const int one = 1;
	uint16_t sum = 0;
	struct winnet_header h = { .flags = 1,
				   .gso_type = 1,
				   .hdr_len = le16_of(54),
				   .gso_size = le16_of(1000),
				   .csum_start = le16_of(34),
				   .csum_offset = le16_of(16) };
	struct iovec v[2] = { { &h, 10 }, { out, 8000 } };
	const struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	uint32_t n = 0;

	(void)state;
	if (!have_tap)
		skip();
	memset(out, 0xff, 6); /* IPv4, TCP, 7946 bytes of zeroes */
	out[12] = 8;
	out[14] = 0x45;
	out[16] = (8000 - 14) >> 8;
	out[17] = (8000 - 14) & 0xff;
	out[22] = 64;
	out[23] = 6;
	out[26] = out[30] = 10;
	out[33] = 1;
	out[46] = 0x50;
	for (unsigned i = 14, s = 0; i < 34; i += 2) {
		s += (unsigned)(out[i] << 8 | out[i + 1]);
		sum = (uint16_t) ~(s % 0xffff);
	}
	out[24] = (uint8_t)(sum >> 8);
	out[25] = (uint8_t)sum;
	k = begin(1, &large);
	assert_int_equal(setsockopt(k->far, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	assert_int_equal(sendmsg(k->far, &m, 0), 8010);
	while (n < 1000 || in[23] != 6)
		n = winnet_receive(&k->w, 0, in, 65562, &h);
	assert_int_equal(n, 8000);
	assert_int_equal(h.gso_type, 1);
	assert_int_equal(le16_get(h.gso_size), 1000);
	assert_int_equal(le16_get(h.num_buffers), 1);
	end(k);
	free(out);
	free(in);
}

static void queues__nobody_serves_get_no_frames(void **state)
{
	uint8_t out[100], in[2048];
	le16 n = le16_of(1);
	struct net_kit *k;
	unsigned seen[4] = { 0 };

	(void)state;
	if (!have_tap)
		skip();
	k = begin(4, NULL);
	assert_int_equal(k->w.pairs, 4);
	/* Only the first: all of many flows come by it. */
	assert_int_equal(winnet_control(&k->w, 4, 0, &n, 2), 0);
	for (unsigned i = 0; i < 50; i++) {
		make(out, sizeof(out), i);
		out[6] = (uint8_t)(2 + 4 * i);
		assert_int_equal(send(k->far, out, sizeof(out), 0), sizeof(out));
		assert_int_equal(guest_receive(k, 0, in, sizeof(in)), sizeof(out));
	}
	/* And of all four each can send, before and after. */
	n = le16_of(4);
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(winnet_control(&k->w, 4, 0, &n, 2), 0);
		for (unsigned i = 0; i < 4; i++) {
			winnet_send(&k->w, i, out, sizeof(out));
			seen[i] += host_receive(k, 20000) == sizeof(out);
		}
		n = le16_of((uint16_t)(1 + round % 4));
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(seen[i], 20);
	end(k);
}

static void a_filter__keeps_away_what_is_for_others(void **state)
{
	static const uint8_t other[6] = { 0x02, 7, 7, 7, 7, 7 };
	const uint8_t off = 0, on = 1;
	uint8_t out[100], in[2048];
	struct net_kit *k;

	(void)state;
	if (!have_tap)
		skip();
	k = begin(1, NULL);
	assert_int_equal(winnet_control(&k->w, 0, 0, &off, 1), 0);
	make(out, sizeof(out), 1);
	memcpy(out, other, 6);
	assert_int_equal(send(k->far, out, sizeof(out), 0), sizeof(out));
	memcpy(out, nk_mac, 6);
	assert_int_equal(send(k->far, out, sizeof(out), 0), sizeof(out));
	assert_int_equal(guest_receive(k, 0, in, sizeof(in)), sizeof(out));
	assert_memory_equal(in, nk_mac, 6); /* the first did not come */
	assert_int_equal(winnet_control(&k->w, 0, 0, &on, 1), 0);
	memcpy(out, other, 6);
	assert_int_equal(send(k->far, out, sizeof(out), 0), sizeof(out));
	assert_int_equal(guest_receive(k, 0, in, sizeof(in)), sizeof(out));
	assert_memory_equal(in, other, 6);
	end(k);
}

static void what_is_no_tap__is_refused_with_a_reason(void **state)
{
	struct sill_err e = { 0 };
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_null(net_tap_open(&fd, 1, &e));
	assert_non_null(strstr(e.msg, "attached to no device"));
	if (!have_tap)
		skip();
	e = (struct sill_err){ 0 };
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* attached to nothing */
	assert_null(net_tap_open(&fd, 1, &e));
	assert_non_null(strstr(e.msg, "attached to no device"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames__pass_both_ways),
		cmocka_unit_test(headers_the_kernel_refuses__cost_the_frame_and_nothing_else),
		cmocka_unit_test(a_tap_that_is_down__drops_and_comes_back),
		cmocka_unit_test(a_tap_that_is_deleted__is_a_link_that_is_down_and_costs_no_time),
		cmocka_unit_test(a_tap_that_nobody_reads__is_seen_to_be_deleted),
		cmocka_unit_test(a_large_segment__comes_whole_to_a_guest_that_takes_it),
		cmocka_unit_test(queues__nobody_serves_get_no_frames),
		cmocka_unit_test(a_filter__keeps_away_what_is_for_others),
		cmocka_unit_test(what_is_no_tap__is_refused_with_a_reason),
	};
	int fd;

	if (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) {
		fd = open_queue("t0", 0);
		have_tap = fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	if (!have_tap)
		printf("no tap here: %s\n", strerrordesc_np(errno));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
