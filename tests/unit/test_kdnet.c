/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_kdnet.c - a datagram's way from KDNET in a guest to WinDbg and back, by what `debug: {kd: net}` makes of a
 * manifest: the card by its PCI_CFG window alone, polled, DHCP, a tap of the kernel's with nat, and the debugger in
 * a network that knows no way to the guest's, and that no default route of the host's leads to.
 *
 * The debugger's machine and the host are network namespaces. Skipped where there is no right to make such, no
 * iproute2, no taps or no nf_tables.
 */
#include "net_kit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "frame_kit.h"
#include "runner/debug/kdnet.h"
#include "runner/host/cable.h"
#include "runner/host/subnet.h"
#include "runner/manifest/manifest.h"

enum {
	PATIENCE_MS = 60000,
	DEBUGGER_PORT = 50000,
	GUEST_PORT = 49800,
	ETH = 14,
	IP = 20,
	UDP = 8,
	SAID = 656 /* bytes of a datagram */
};

/* 10.99.0.1 is the host there, 10.99.0.2 the debugger. */
static const char manifest[] =
	"sill: 1\nname: kdnet\nkernel: kernel\n"
	"net: [{tap: '', mac: '02:01:02:03:04:05'}]\n"
	"debug: {kd: net, connect: '10.99.0.2:50000', key: 2n9ck3.1qw8x.7d0f4.p3z5}\n";

static const char *why_not;
static char dir[] = "/tmp/sill-kdnet-XXXXXX";
static int debugger = -1; /* its socket, in its namespace */

static int udp_socket(uint32_t address)
{
	const struct sockaddr_in me = { .sin_family = AF_INET,
					.sin_port = htons(DEBUGGER_PORT),
					.sin_addr = { htonl(address) } };
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(s, (const struct sockaddr *)&me, sizeof(me)), 0);
	return s;
}

/* Two namespaces, joined; this process stays in the host's. What is missing, or NULL. */
static const char *make_networks(void)
{
	char text[160];
	int far, host;

	if (unshare(CLONE_NEWNET) < 0)
		return "no right to make a network namespace";
	far = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	debugger = udp_socket(INADDR_ANY);
	if (unshare(CLONE_NEWNET) < 0)
		return "no right to make a network namespace";
	host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	(void)snprintf(
		text, sizeof(text),
		"ip link add up0 type veth peer name far0 netns /proc/%d/fd/%d && "
		"ip address add 10.99.0.1/24 dev up0 && ip link set up0 up && ip link set lo up",
		(int)getpid(), far);
	if (fk_run(text) != 0)
		return "no pair of interfaces (veth), or no iproute2";
	if (fk_run("ip tuntap add vm0 mode tap && ip address add 10.98.0.1/24 dev vm0 && "
		   "ip link set vm0 up") != 0)
		return "no tap";
	if (fk_run("nft add table ip probe") != 0 || fk_run("nft delete table ip probe") != 0)
		return "no nftables";
	if (setns(far, CLONE_NEWNET) < 0 || fk_run("ip address add 10.99.0.2/24 dev far0") != 0 ||
	    fk_run("ip link set far0 up") != 0 || setns(host, CLONE_NEWNET) < 0)
		return "no way between two network namespaces";
	(void)close(far);
	(void)close(host);
	return NULL;
}

/* ---- the machine ---- */

struct machine {
	struct mfile *file;
	struct cable *cable;
	struct dhcp_config dhcp;
	struct net_kit kit;
	uint8_t gateway[6], got[2048];
	uint32_t got_n;
};

/* What `sill run` opens for the card. */
static void open_cable(struct machine *m)
{
	struct cable_want w = { .dir = dir };
	struct sill_err e = { 0 };

	m->file = mfile_load_text("kdnet.yaml", manifest, sizeof(manifest) - 1, NULL);
	assert_non_null(m->file);
	assert_non_null(m->file->docs[0].m);
	w.n = &m->file->docs[0].m->net[0];
	w.peer = kdnet_peer(m->file->docs[0].m, w.n);
	assert_true(w.n->nat); /* nobody has written it */
	assert_int_equal(w.peer, 0x0a630002);
	m->cable = cable_create("net0", &e);
	assert_non_null(m->cable);
	if (cable_open(m->cable, &w, &e) < 0 || cable_guard(m->cable, &w, &e) < 0)
		fail_msg("%s", e.msg);
}

static void start_card(struct machine *m)
{
	static const struct winnet_options kdnet = {
		.drop = ~(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC |
			  1 << WN_MAC | 1 << WN_STATUS),
		.rx_fill = 8,
		.by_window = true,
	};
	struct dhcp_config *d = &m->dhcp;
	struct sill_err e = { 0 };

	assert_int_equal(sill_address_read(m->cable->tap.address, &d->host, &d->prefix), 0);
	d->address = sill_guest_address(d->host, d->prefix);
	d->router = d->host;
	memcpy(d->mac, nk_mac, 6);
	sill_host_mac(nk_mac, d->host_mac);
	m->kit.c.dhcp = d;
	m->kit.c.net = net_tap_open(m->cable->tap.fd, 1, &e);
	if (m->kit.c.net == NULL)
		fail_msg("%s", e.msg);
	m->cable->tap.fd[0] = -1; /* the card's now */
	m->cable->tap.count = 0;
	nk_begin(&m->kit, &kdnet);
	assert_int_equal(rig_get(&m->kit.w.r, m->kit.w.r.device.off + 6, 2), 1); /* link up */
}

static void end(struct machine *m)
{
	if (m->kit.pc != NULL)
		nk_end(&m->kit);
	cable_destroy(m->cable);
	mfile_destroy(m->file);
	free(m);
}

/* The next frame that @is wants; others are for nobody here. */
static void expect(struct machine *m, bool (*is)(const struct machine *m))
{
	struct winnet_header h;

	do {
		assert_true(winnet_has_frame(&m->kit.w, 0, PATIENCE_MS));
		m->got_n = winnet_receive(&m->kit.w, 0, m->got, sizeof(m->got), &h);
		assert_true(winnet_give(&m->kit.w, 0));
	} while (!is(m));
	assert_int_equal(h.flags, 0); /* its checksum is whole */
	assert_int_equal(h.gso_type, 0);
}

/* ---- what KDNET sends ---- */

static void put_head(uint8_t *p, const uint8_t to[6], unsigned type)
{
	memcpy(p, to, 6);
	memcpy(p + 6, nk_mac, 6);
	fk_put16(p + 12, type);
}

/* UDP's own checksum is none: it need not be there. */
static uint32_t put_datagram(uint8_t *p, const uint8_t to[6], uint32_t from, uint32_t target,
			     uint16_t n)
{
	uint8_t *ip = p + ETH;

	put_head(p, to, 0x0800);
	memset(ip, 0, IP + UDP);
	ip[0] = 0x45;
	fk_put16(ip + 2, IP + UDP + n);
	ip[8] = 64;
	ip[9] = 17;
	fk_put32(ip + 12, from);
	fk_put32(ip + 16, target);
	fk_put16(ip + 10, 0xffff - fk_sum(ip, IP, 0));
	fk_put16(ip + IP + 4, UDP + n);
	return ETH + IP + UDP + n;
}

static bool is_offer(const struct machine *m)
{
	return m->got_n >= 342 && m->got[23] == 17 && m->got[ETH + IP + 1] == 67;
}

static void get_address(struct machine *m)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t out[400] = { 0 }, *udp = out + ETH + IP, want[4];
	const uint32_t n = put_datagram(out, all, 0, INADDR_BROADCAST, 300 - UDP);

	fk_put16(udp, 68);
	fk_put16(udp + 2, 67);
	memcpy(udp + UDP, "\x01\x01\x06", 3);
	memcpy(udp + UDP + 28, nk_mac, 6);
	memcpy(udp + UDP + 236, "\x63\x82\x53\x63\x35\x01\x01\xff", 8); /* DISCOVER */
	winnet_send(&m->kit.w, 0, out, n);
	expect(m, is_offer);
	fk_put32(want, m->dhcp.address);
	assert_memory_equal(m->got + ETH + IP + UDP + 16, want, 4);
}

static bool is_arp_answer(const struct machine *m)
{
	return m->got_n >= 42 && m->got[12] == 8 && m->got[13] == 6 && m->got[21] == 2;
}

static void find_gateway(struct machine *m)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t out[60] = { 0 };

	put_head(out, all, 0x0806);
	memcpy(out + 14, "\x00\x01\x08\x00\x06\x04\x00\x01", 8);
	memcpy(out + 22, nk_mac, 6);
	fk_put32(out + 28, m->dhcp.address);
	fk_put32(out + 38, m->dhcp.router);
	winnet_send(&m->kit.w, 0, out, sizeof(out));
	expect(m, is_arp_answer);
	memcpy(m->gateway, m->got + 22, 6);
}

static void call(struct machine *m, uint32_t whom, unsigned seed)
{
	uint8_t out[ETH + IP + UDP + SAID], *udp = out + ETH + IP;

	nk_fill(udp + UDP, SAID, seed);
	(void)put_datagram(out, m->gateway, m->dhcp.address, whom, SAID);
	fk_put16(udp, GUEST_PORT);
	fk_put16(udp + 2, DEBUGGER_PORT);
	winnet_send(&m->kit.w, 0, out, sizeof(out));
}

static bool is_answer(const struct machine *m)
{
	return m->got_n >= ETH + IP + UDP + SAID && m->got[12] == 8 && m->got[13] == 0 &&
	       m->got[23] == 17 && m->got[ETH + IP] == DEBUGGER_PORT >> 8 &&
	       m->got[ETH + IP + 1] == (DEBUGGER_PORT & 0xff);
}

/* WinDbg at @s hears it, from @caller, and answers: the guest has that byte for byte, and its checksums are right. */
static void answer(struct machine *m, int s, uint32_t caller, unsigned seed)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	uint8_t said[SAID + 1], want[SAID], pseudo[12] = { 0 };

	nk_fill(want, SAID, seed);
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(recvfrom(s, said, sizeof(said), 0, (struct sockaddr *)&from, &size), SAID);
	assert_memory_equal(said, want, SAID);
	assert_int_equal(ntohl(from.sin_addr.s_addr), caller);
	nk_fill(want, SAID, seed + 1);
	assert_int_equal(sendto(s, want, SAID, 0, (struct sockaddr *)&from, size), SAID);
	expect(m, is_answer);
	assert_memory_equal(m->got + ETH + IP + UDP, want, SAID);
	assert_int_equal(m->got[ETH + IP + 2] << 8 | m->got[ETH + IP + 3], GUEST_PORT);
	assert_int_equal(fk_sum(m->got + ETH, IP, 0), 0xffff);
	memcpy(pseudo, m->got + ETH + 12, 8);
	pseudo[9] = 17;
	fk_put16(pseudo + 10, UDP + SAID);
	if (m->got[ETH + IP + 6] != 0 || m->got[ETH + IP + 7] != 0)
		assert_int_equal(fk_sum(m->got + ETH + IP, UDP + SAID, fk_sum(pseudo, 12, 0)),
				 0xffff);
}

static void kdnet__reaches_its_debugger_and_hears_it(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));
	int here;

	(void)state;
	assert_non_null(m);
	if (why_not != NULL)
		print_message("%s\n", why_not);
	if (why_not != NULL) {
		end(m);
		skip();
	}
	open_cable(m);
	start_card(m);
	get_address(m);
	find_gateway(m);
	for (unsigned i = 0; i < 20;
	     i++) { /* in the other network, the host's address is all that is seen */
		call(m, 0x0a630002, i);
		answer(m, debugger, 0x0a630001, i);
	}
	here = udp_socket(m->dhcp.host);
	call(m, m->dhcp.host, 7); /* on the host itself */
	answer(m, here, m->dhcp.address, 7);
	(void)close(here);
	assert_false(rig_message(m->kit.pc, 1, 0)); /* polled */
	end(m);
}

/* A debugger's VM on this host has its own nat: that of the other one leaves its tap alone. */
static void kdnet__is_forwarded_by_the_hosts_way_but_not_by_another_vms_tap(void **state)
{
	struct uplinks u = { 0 };

	(void)state;
	if (why_not != NULL)
		skip();
	uplinks_add_way(&u, 0x0a620002);
	assert_int_equal(u.count, 0);
	uplinks_add_way(&u, 0x0a630002);
	assert_int_equal(u.count, 1);
	assert_string_equal(u.name[0], "up0");
	uplinks_add_way(&u, 0x0a630001); /* the host itself */
	uplinks_add_way(&u, 0x0a630003);
	assert_int_equal(u.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kdnet__is_forwarded_by_the_hosts_way_but_not_by_another_vms_tap),
		cmocka_unit_test(kdnet__reaches_its_debugger_and_hears_it),
	};
	int ret;

	if (mkdtemp(dir) == NULL)
		return 1;
	why_not = make_networks();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return ret;
}
