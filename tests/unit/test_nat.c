/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_nat.c - a guest behind its host, in network namespaces of its own: this process is the host
 * and, at the tap, the guest; a child in another namespace is the world, which knows no way to
 * the guest's network. Skipped where there is no right to make such things, no iproute2 or no nf_tables.
 */
#include "kit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frame_kit.h"
#include "runner/host/conntrack.h"
#include "runner/host/nat.h"
#include "runner/host/proc.h"
#include "runner/host/tap.h"

enum { CHAINS = 4 }; /* without antispoof */
enum { HEADER = 10, PORT = 7777, GUEST_PORT = 5555, PAYLOAD = HEADER + 14 + 20 + 8 };

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define GUEST          IP(192, 168, 249, 2)
#define WORLD          IP(10, 99, 0, 2)
#define HOST           IP(192, 168, 249, 1)
#define INTERNET       IP(203, 0, 113, 9) /* the world's other address, which is public */

static const char *why_not; /* these tests are skipped */
static char dir[] = "/tmp/sill-nat-XXXXXX", none[] = "", automatic[] = "auto",
	    mac[] = "02:00:00:00:00:01";
static int seen_fd; /* the source addresses that the world sees */

#define NEED()                                          \
	do {                                            \
		(void)state;                            \
		if (why_not != NULL) {                  \
			print_message("%s\n", why_not); \
			skip();                         \
		}                                       \
	} while (0)

static int flag(const char *interface)
{
	char path[96], c = '?';
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", interface);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	return c - '0';
}

static unsigned files_left(void)
{
	DIR *d = opendir(dir);
	const char *name;
	unsigned count = 0;

	assert_non_null(d);
	while ((name = dir_next(d)) != NULL)
		count += name[0] != '.';
	closedir(d);
	return count;
}

/* ---- the world ---- */

/* Answer each datagram to @address, and tell @out whom it came from. */
static void serve(int out, uint32_t address)
{
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in me = { .sin_family = AF_INET,
					.sin_port = htons(PORT),
					.sin_addr = { htonl(address) } };
	struct sockaddr_in from;
	char text[64];

	if (bind(s, (const struct sockaddr *)&me, sizeof(me)) < 0)
		_exit(1);
	for (;;) {
		socklen_t size = sizeof(from);
		const ssize_t n =
			recvfrom(s, text, sizeof(text), 0, (struct sockaddr *)&from, &size);

		if (n < 0 || write(out, &from.sin_addr.s_addr, 4) != 4)
			_exit(1);
		(void)sendto(s, text, (size_t)n, 0, (const struct sockaddr *)&from, size);
	}
}

/* "up0" here and 10.99.0.2 there; the one who is there, or -1. */
static pid_t make_world(void)
{
	int ready[2], go[2], seen[2];
	char text[160], byte = 0;
	pid_t child;

	if (pipe(ready) < 0 || pipe(go) < 0 || pipe(seen) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		close(go[1]);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1 ||
		    read(go[0], &byte, 1) != 1 ||
		    fk_run("ip address add 10.99.0.2/24 dev far0") != 0 ||
		    fk_run("ip address add 203.0.113.9/32 dev far0") != 0 ||
		    fk_run("ip link set far0 up") != 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(seen[1], INTERNET);
		}
		serve(seen[1], WORLD);
	}
	close(ready[1]);
	close(seen[1]);
	(void)snprintf(text, sizeof(text),
		       "ip link add up0 type veth peer name far0 netns %d && "
		       "ip address add 10.99.0.1/24 dev up0 && ip link set up0 up && "
		       "ip route add default via 10.99.0.2",
		       (int)child);
	seen_fd = seen[0];
	if (read(ready[0], &byte, 1) != 1 || fk_run(text) != 0 || write(go[1], "", 1) != 1 ||
	    read(ready[0], &byte, 1) != 1)
		return -1;
	return child;
}

/* What it has seen within @ms: an address, or 0. */
static uint32_t seen(int ms)
{
	struct pollfd p = { .fd = seen_fd, .events = POLLIN };
	uint32_t a = 0;

	return poll(&p, 1, ms) == 1 && read(seen_fd, &a, 4) == 4 ? ntohl(a) : 0;
}

/* ---- the guest ---- */

struct datagram {
	uint32_t source, target;
	uint16_t port;
	uint8_t mac_end; /* of the source, in place of the guest's own; 0: its own */
};

static void send_datagram(const struct tap *t, struct datagram d)
{
	uint8_t f[PAYLOAD + 4] = { 0 }, *eth = f + HEADER, *ip = eth + 14, *udp = ip + 20;

	assert_int_equal(sill_mac_read(mac, eth + 6), 0);
	memcpy(eth, eth + 6, 6); /* as tap.c makes the host's */
	eth[0] = 0xfe;
	eth[5] ^= 0xff;
	if (d.mac_end != 0)
		eth[11] = d.mac_end;
	fk_put16(eth + 12, 0x0800);
	ip[0] = 0x45;
	fk_put16(ip + 2, 20 + 8 + 4);
	ip[8] = 64;
	ip[9] = 17;
	fk_put32(ip + 12, d.source);
	fk_put32(ip + 16, d.target);
	fk_put16(ip + 10, 0xffff - fk_sum(ip, 20, 0));
	fk_put16(udp, GUEST_PORT);
	fk_put16(udp + 2, d.port);
	fk_put16(udp + 4, 8 + 4);
	memcpy(udp + 8, "ping", 4);
	assert_int_equal(write(t->fd[0], f, sizeof(f)), sizeof(f));
}

/* One datagram to the world. */
static void send_from(const struct tap *t, uint32_t source)
{
	send_datagram(t, (struct datagram){ source, WORLD, PORT, 0 });
}

/* Does @from's answer come within a second? */
static bool answered_by(const struct tap *t, uint32_t who)
{
	struct pollfd p = { .fd = t->fd[0], .events = POLLIN };
	uint8_t f[2048];

	while (poll(&p, 1, 1000) == 1) {
		const uint8_t *ip = f + HEADER + 14;
		const ssize_t n = read(t->fd[0], f, sizeof(f));
		uint8_t from[8];

		fk_put32(from, who);
		fk_put32(from + 4, GUEST);
		if (n >= PAYLOAD + 4 && ip[9] == 17 && memcmp(ip + 12, from, 8) == 0 &&
		    memcmp(f + PAYLOAD, "ping", 4) == 0)
			return true;
	}
	return false;
}

static bool answered(const struct tap *t)
{
	return answered_by(t, WORLD);
}

/* A socket of the host's own at @port. */
static int listen_at(uint16_t port)
{
	const struct sockaddr_in me = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(s, (const struct sockaddr *)&me, sizeof(me)), 0);
	return s;
}

/* Has something come to @s within @ms? */
static bool came(int s, int ms)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	char c[64];

	return poll(&p, 1, ms) == 1 && recv(s, c, sizeof(c), 0) > 0;
}

struct sum {
	const char *comment;
	uint64_t packets;
};

static void add_count(void *ctx, const struct nft_counted *c)
{
	struct sum *s = ctx;

	if (strcmp(c->comment, s->comment) == 0)
		s->packets += c->packets;
}

/* What the rules of this comment have counted, of the table of @family. */
static uint64_t counted(uint8_t family, const char *comment)
{
	struct sill_err e = { 0 };
	struct sum s = { comment, 0 };
	const int fd = nft_open(&e);

	assert_int_equal(
		nft_each_count(fd, &(struct nft_table){ family, "sill_vmtap0" }, add_count, &s, &e),
		0);
	close(fd);
	return s.packets;
}

/* A VM's card, as files.c has it. */
static void begin_with(struct tap *t, struct nat *n, struct rules_card l)
{
	const struct sill_net_config c = { .tap = none, .address = automatic, .mac = mac };
	struct sill_err e = { 0 };
	char text[128];

	tap_init(t);
	nat_init(n);
	if (tap_open(t, &c, "/tmp", &e) < 0)
		fail_msg("%s", e.msg);
	l.tap = t->name;
	assert_int_equal(sill_mac_read(mac, l.mac), 0);
	assert_int_equal(sill_address_read(t->address, &l.host, &(uint8_t){ 0 }), 0);
	l.guest = (struct nft_net){ sill_guest_address(l.host, 24), 32 };
	if (nat_start(n, &l, 1, dir, &e) < 0)
		fail_msg("%s", e.msg);
	(void)snprintf(text, sizeof(text), "ip neigh replace 192.168.249.2 lladdr %s dev %s", mac,
		       t->name);
	(void)fk_run(text);
}

static void begin(struct tap *t, struct nat *n)
{
	begin_with(t, n, (struct rules_card){ .nat = true });
}

static void finish(struct tap *t, struct nat *n)
{
	tap_close(t);
	nat_fini(n);
}

static void count_ours(void *ctx, const struct nft_found *c)
{
	*(unsigned *)ctx += strncmp(c->table, "sill_", 5) == 0;
}

static unsigned chains(void)
{
	struct sill_err e = { 0 };
	const int fd = nft_open(&e);
	unsigned count = 0;

	assert_int_equal(nft_each_chain(fd, count_ours, &count, &e), 0);
	close(fd);
	return count;
}

/* ---- tests ---- */

static void a_guest__reaches_the_world_under_its_hosts_address(void **state)
{
	struct tap t;
	struct nat n;

	NEED();
	assert_int_equal(flag("up0"), 0);
	begin(&t, &n);
	assert_false(n.no_uplink);
	assert_int_equal(chains(), CHAINS);
	assert_int_equal(flag("up0"), 1);
	assert_int_equal(flag(t.name), 1);
	send_from(&t, GUEST);
	assert_int_equal(seen(2000), IP(10, 99, 0, 1));
	assert_true(answered(&t));
	/* Under no name but its own. */
	send_from(&t, GUEST + 75);
	send_from(&t, IP(10, 99, 0, 7));
	assert_int_equal(seen(200), 0);
	send_from(&t, GUEST);
	assert_int_equal(seen(2000), IP(10, 99, 0, 1));
	finish(&t, &n);
	assert_int_equal(chains(), 0);
	assert_int_equal(flag("up0"), 0);
	assert_int_equal(files_left(), 0);
}

static void our_table__is_nobody_elses(void **state)
{
	struct sill_err e = { 0 };
	struct nft *b;
	struct tap t;
	struct nat n;
	int fd;

	NEED();
	begin(&t, &n);
	b = malloc(sizeof(*b));
	fd = nft_open(&e);
	nft_begin(b);
	nft_add_table(b, &(struct nft_table){ NFPROTO_INET, "sill_vmtap0" }, true);
	assert_int_equal(nft_commit(b, fd, &e), -1);
	close(fd);
	if (fk_run("nft --version") == 0)
		assert_int_equal(fk_run("nft flush ruleset"), 0);
	assert_int_equal(chains(), CHAINS);
	finish(&t, &n);
	assert_int_equal(chains(), 0);
	free(b);
}

static void on_cleaned(void *ctx, const char *interface, bool done)
{
	assert_true(done);
	(void)snprintf(ctx, IF_NAMESIZE, "%s", interface);
}

static void after_kill_9__the_next_vm_puts_back_what_stayed(void **state)
{
	char byte, told[IF_NAMESIZE] = "";
	int ready[2];
	pid_t child;

	NEED();
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct tap t;
		struct nat n;

		begin(&t, &n);
		_exit(write(ready[1], "", 1) == 1 && pause() == 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(chains(), CHAINS);
	/* What a VM needs that runs is not put back. */
	forwarding_clean(dir, NULL, NULL);
	assert_int_equal(flag("up0"), 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(chains(), 0);
	assert_int_equal(flag("up0"), 1);
	assert_int_equal(files_left(), 1);
	forwarding_clean(dir, on_cleaned, told);
	assert_string_equal(told, "up0");
	assert_int_equal(flag("up0"), 0);
	assert_int_equal(files_left(), 0);
}

static void two_vms__leave_it_to_the_last(void **state)
{
	struct tap t, u;
	struct nat n, m;

	NEED();
	begin(&t, &n);
	begin(&u, &m);
	assert_int_equal(chains(), 2 * CHAINS);
	finish(&t, &n);
	assert_int_equal(flag("up0"), 1);
	assert_int_equal(chains(), CHAINS);
	finish(&u, &m);
	assert_int_equal(flag("up0"), 0);
	/* What the host wants stays on. */
	assert_int_equal(fk_run("(echo 1 >/proc/sys/net/ipv4/conf/up0/forwarding)"), 0);
	begin(&t, &n);
	assert_int_equal(files_left(), 0);
	finish(&t, &n);
	assert_int_equal(flag("up0"), 1);
	assert_int_equal(fk_run("(echo 0 >/proc/sys/net/ipv4/conf/up0/forwarding)"), 0);
}

/* Docker has begun meanwhile: it counts on every interface. */
static void forwarding_that_the_host_has_come_to_want__stays(void **state)
{
	struct tap t;
	struct nat n;

	NEED();
	assert_int_equal(flag("all"), 0);
	begin(&t, &n);
	assert_int_equal(fk_run("(echo 1 >/proc/sys/net/ipv4/ip_forward)"), 0);
	finish(&t, &n);
	assert_int_equal(flag("up0"), 1);
	assert_int_equal(files_left(), 0);
	/* It forwards already, but not here: that was so before us. */
	assert_int_equal(fk_run("(echo 0 >/proc/sys/net/ipv4/conf/up0/forwarding)"), 0);
	begin(&t, &n);
	assert_int_equal(flag("up0"), 1);
	finish(&t, &n);
	assert_int_equal(flag("up0"), 0);
	assert_int_equal(flag("all"), 1);
	assert_int_equal(fk_run("(echo 0 >/proc/sys/net/ipv4/ip_forward)"), 0);
}

struct ending {
	struct nat nat;
	sem_t go;
};

static void *end_it(void *ctx)
{
	struct ending *w = ctx;

	while (sem_wait(&w->go) < 0)
		continue;
	nat_fini(&w->nat);
	return NULL;
}

/* The tap is free some time before the tables of its name are. */
static void a_name_whose_vm_is_about_to_end__is_waited_for(void **state)
{
	struct ending w;
	struct tap t, u;
	struct nat m;
	pthread_t thread;

	NEED();
	begin(&t, &w.nat);
	tap_close(&t);
	assert_int_equal(sem_init(&w.go, 0, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, end_it, &w), 0);
	sem_post(&w.go);
	begin(&u, &m);
	assert_string_equal(u.name, "vmtap0");
	assert_int_equal(chains(), CHAINS);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(chains(), CHAINS);
	finish(&u, &m);
}

static void a_firewall_that_drops__is_named_with_what_helps(void **state)
{
	static const struct nft_chain forward = { "FORWARD", "filter", NF_INET_FORWARD,
						  0,         true,     NULL };
	struct sill_err e = { 0 };
	char text[NAT_ADVICE] = "";
	struct nft *b;
	struct tap t;
	struct nat n;
	int fd;

	NEED();
	begin(&t, &n);
	assert_false(nat_obstacle(t.name, text));
	fd = nft_open(&e);
	b = malloc(sizeof(*b));
	nft_begin(b);
	nft_add_table(b, &(struct nft_table){ NFPROTO_IPV4, "filter" }, true);
	nft_add_chain(b, &forward);
	assert_int_equal(nft_commit(b, fd, &e), 0);
	free(b);
	assert_true(nat_obstacle(t.name, text));
	assert_non_null(strstr(text, "iptables -I FORWARD -i vmtap0 -j ACCEPT"));
	send_from(&t, GUEST); /* and it is so */
	assert_int_equal(seen(200), 0);
	close(fd);
	assert_false(nat_obstacle(t.name, text));
	finish(&t, &n);
}

/* The internet and its name server are within reach, and nothing else: not the host, nor what is private. */
static void an_isolated_guest__reaches_the_internet_alone(void **state)
{
	int dns, other;
	struct tap t;
	struct nat n;

	NEED();
	assert_int_equal(fk_run("ip address add 198.51.100.1/24 dev up0"), 0);
	begin_with(&t, &n,
		   (struct rules_card){
			   .nat = true, .isolate = true, .dns = { HOST }, .dns_count = 1 });
	dns = listen_at(53);
	other = listen_at(PORT);
	send_datagram(&t, (struct datagram){ GUEST, INTERNET, PORT, 0 });
	assert_int_equal(seen(2000), IP(10, 99, 0, 1));
	assert_true(answered_by(&t, INTERNET));
	send_datagram(&t, (struct datagram){ GUEST, HOST, 53, 0 });
	assert_true(came(dns, 2000));

	send_datagram(&t, (struct datagram){ GUEST, HOST, PORT, 0 });
	send_datagram(&t, (struct datagram){ GUEST, IP(10, 99, 0, 1), PORT, 0 });
	send_datagram(&t, (struct datagram){ GUEST, IP(10, 99, 0, 1), 53, 0 });
	send_datagram(&t, (struct datagram){ GUEST, WORLD, PORT, 0 });
	assert_false(came(other, 200));
	assert_false(came(dns, 0));
	assert_int_equal(seen(0), 0);
	send_datagram(&t, (struct datagram){ GUEST, IP(198, 51, 100, 7), PORT, 0 });
	assert_int_equal(counted(NFPROTO_INET, "isolate: to 198.51.100.0/24"), 1);
	assert_int_equal(counted(NFPROTO_INET, "vmtap0: to the host"), 3);
	assert_int_equal(counted(NFPROTO_INET, "isolate: to 10.0.0.0/8"), 1);
	assert_int_equal(counted(NFPROTO_INET, "vmtap0: connections masqueraded"), 1);
	close(other);
	close(dns);
	finish(&t, &n);
	assert_int_equal(fk_run("ip address del 198.51.100.1/24 dev up0"), 0);
}

static void a_name_server_on_a_private_network__is_within_reach(void **state)
{
	struct tap t;
	struct nat n;

	NEED();
	begin_with(&t, &n,
		   (struct rules_card){
			   .nat = true, .isolate = true, .dns = { WORLD }, .dns_count = 1 });
	send_datagram(&t, (struct datagram){ GUEST, WORLD, 53, 0 });
	send_from(&t, GUEST);
	assert_int_equal(counted(NFPROTO_INET, "vmtap0: connections masqueraded"), 1);
	assert_int_equal(counted(NFPROTO_INET, "isolate: to 10.0.0.0/8"), 1);
	finish(&t, &n);
}

/* The host may forward for others' sake, or be asked at another of its addresses. */
static void an_isolated_guest_without_nat__stays_on_the_host(void **state)
{
	struct tap t;
	struct nat n;
	int dns;

	NEED();
	begin_with(&t, &n,
		   (struct rules_card){
			   .isolate = true, .dns = { IP(10, 99, 0, 1) }, .dns_count = 1 });
	assert_int_equal(fk_run("(echo 1 >/proc/sys/net/ipv4/conf/vmtap0/forwarding)"), 0);
	dns = listen_at(53);
	send_datagram(&t, (struct datagram){ GUEST, IP(10, 99, 0, 1), 53, 0 });
	assert_true(came(dns, 2000));
	send_datagram(&t, (struct datagram){ GUEST, INTERNET, PORT, 0 });
	send_datagram(&t, (struct datagram){ GUEST, WORLD, 53, 0 });
	assert_int_equal(seen(200), 0);
	assert_int_equal(counted(NFPROTO_INET, "vmtap0: beyond the host"), 2);
	close(dns);
	finish(&t, &n);
}

/* A request that says @ip is at @mac_end. */
static void send_arp(const struct tap *t, uint32_t ip, uint8_t mac_end)
{
	uint8_t f[HEADER + 14 + 28] = { 0 }, *eth = f + HEADER, *arp = eth + 14;

	memset(eth, 0xff, 6);
	assert_int_equal(sill_mac_read(mac, eth + 6), 0);
	fk_put16(eth + 12, 0x0806);
	fk_put16(arp, 1);
	fk_put16(arp + 2, 0x0800);
	arp[4] = 6;
	arp[5] = 4;
	fk_put16(arp + 6, 1);
	memcpy(arp + 8, eth + 6, 6);
	if (mac_end != 0)
		arp[13] = mac_end;
	fk_put32(arp + 14, ip);
	fk_put32(arp + 24, HOST);
	assert_int_equal(write(t->fd[0], f, sizeof(f)), sizeof(f));
}

static void a_guest_with_antispoof__has_no_addresses_but_its_own(void **state)
{
	struct tap t;
	struct nat n;
	int s;

	NEED();
	begin_with(&t, &n, (struct rules_card){ .antispoof = true });
	assert_int_equal(chains(), 1);
	s = listen_at(PORT);
	send_datagram(&t, (struct datagram){ GUEST, HOST, PORT, 0 });
	assert_true(came(s, 2000));
	send_datagram(&t, (struct datagram){ GUEST, HOST, PORT, 0x77 });
	send_datagram(&t, (struct datagram){ GUEST + 1, HOST, PORT, 0 });
	send_datagram(&t, (struct datagram){ 0, HOST, PORT, 0 });
	assert_false(came(s, 200));
	send_arp(&t, GUEST, 0);
	send_arp(&t, 0, 0); /* a probe */
	send_arp(&t, GUEST + 1, 0);
	send_arp(&t, GUEST, 0x77);
	assert_int_equal(counted(NFPROTO_NETDEV, "vmtap0: from another MAC address"), 2);
	assert_int_equal(counted(NFPROTO_NETDEV, "vmtap0: for another address"), 1);
	assert_int_equal(counted(NFPROTO_NETDEV, "vmtap0: from another address"), 2);
	close(s);
	finish(&t, &n);
	assert_int_equal(chains(), 0);
}

/* That began before there was NAT would never be translated; that is still known when its guest is gone is the next one's. */
static void connections__are_forgotten_when_rules_come_and_go(void **state)
{
	const struct nft_net guest = { GUEST, 32 }, other = { GUEST + 1, 32 };
	const struct nft_chain forward = { "FORWARD", "filter", NF_INET_FORWARD, 0, false, NULL };
	struct nft *b = malloc(sizeof(*b));
	struct sill_err e = { 0 };
	struct tap t;
	struct nat n;
	int fd;

	NEED();
	assert_non_null(b);
	fd = nft_open(&e);
	nft_begin(b);
	nft_add_table(b, &(struct nft_table){ NFPROTO_IPV4, "filter" }, true);
	nft_add_chain(b, &forward);
	nft_begin_rule(b, "FORWARD", NULL);
	nft_match_known(b, true); /* so that the kernel remembers */
	nft_accept(b);
	nft_end_rule(b);
	assert_int_equal(nft_commit(b, fd, &e), 0);
	free(b);
	begin_with(&t, &n, (struct rules_card){ .antispoof = true });
	assert_int_equal(fk_run("(echo 1 >/proc/sys/net/ipv4/conf/vmtap0/forwarding)"), 0);
	send_from(&t, GUEST);
	assert_int_equal(seen(2000), GUEST);
	nat_fini(&n);
	assert_int_equal(
		nat_start(&n, &(struct rules_card){ .tap = t.name, .nat = true, .guest = guest }, 1,
			  dir, &e),
		0);
	send_from(&t, GUEST);
	assert_int_equal(seen(2000), IP(10, 99, 0, 1));
	assert_int_equal(conntrack_forget(&other), 0);
	assert_int_equal(conntrack_forget(&guest), 1);
	assert_int_equal(conntrack_forget(&guest), 0);
	send_from(&t, GUEST);
	assert_int_equal(seen(2000), IP(10, 99, 0, 1));
	finish(&t, &n);
	assert_int_equal(conntrack_forget(&guest), 0);
	close(fd);
}

/* One network's, and no other's; IPv4 and IPv6 are looked for apart. */
static void connections__of_ipv6_are_forgotten_too(void **state)
{
	static const uint8_t net[8] = { 0xfd, 0x5e, 0, 1 }, other[8] = { 0xfd, 0x5e, 0, 2 };
	const struct nft_chain out = { "OUT", "filter", NF_INET_LOCAL_OUT, 0, false, NULL };
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	struct nft *b = malloc(sizeof(*b));
	struct sill_err e = { 0 };
	int fd, s;

	NEED();
	if (fk_run("ip link set lo up") != 0 ||
	    fk_run("ip -6 address add fd5e:1::1/128 dev lo nodad") != 0) {
		free(b);
		skip();
	}
	assert_non_null(b);
	fd = nft_open(&e);
	nft_begin(b);
	nft_add_table(b, &(struct nft_table){ NFPROTO_IPV6, "filter" }, true);
	nft_add_chain(b, &out);
	nft_begin_rule(b, "OUT", NULL);
	nft_match_known(b, true);
	nft_accept(b);
	nft_end_rule(b);
	assert_int_equal(nft_commit(b, fd, &e), 0);
	free(b);
	s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(inet_pton(AF_INET6, "fd5e:1::1", &at.sin6_addr), 1);
	assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(sendto(s, "x", 1, 0, (struct sockaddr *)&at, sizeof(at)), 1);
	assert_int_equal(conntrack_forget6(other), 0);
	assert_int_equal(conntrack_forget(&(struct nft_net){ 0, 0 }), 0);
	assert_int_equal(conntrack_forget6(net), 1);
	assert_int_equal(conntrack_forget6(net), 0);
	close(s);
	close(fd);
}

/* ---- the rules, as `nft` reads them ---- */

static void rules__are_these(void **state)
{
	/* clang-format off */
	static const char want[] =
		"table inet sill_lan0 {\n"
		"\tchain guest_in {\n"
		"\t\ttype filter hook input priority 0; policy accept;\n"
		"\t\tiifname \"lan0\" ct state 0x2,0x4 accept\n"
		"\t\tiifname \"lan0\" icmpv6 type 135 accept\n"
		"\t\tiifname \"lan0\" icmpv6 type 136 accept\n"
		"\t\tiifname \"lan0\" ip daddr 192.168.249.1 icmp type 8 accept\n"
		"\t\tiifname \"lan0\" ip daddr 192.168.249.1 udp dport 53 accept\n"
		"\t\tiifname \"lan0\" ip daddr 192.168.249.1 tcp dport 53 accept\n"
		"\t\tiifname \"lan0\" ip daddr 10.99.0.2 udp dport 53 accept\n"
		"\t\tiifname \"lan0\" ip daddr 10.99.0.2 tcp dport 53 accept\n"
		"\t\tiifname \"lan0\" udp dport 67 accept\n"
		"\t\tiifname \"lan0\" counter drop comment \"lan0: to the host\"\n"
		"\t}\n"
		"\tchain guest_through {\n"
		"\t\ttype filter hook forward priority 0; policy accept;\n"
		"\t\tiifname \"eth9\" meta nfproto 2 ct state ! 0x2,0x4 counter drop comment \"eth9: from a neighbour\"\n"
		"\t\tiifname \"lan0\" ip saddr != 192.168.249.2 counter drop comment \"lan0: from another address\"\n"
		"\t\tiifname \"lan0\" ip daddr 10.99.0.2 udp dport 53 accept\n"
		"\t\tiifname \"lan0\" ip daddr 10.99.0.2 tcp dport 53 accept\n"
		"\t\tiifname \"lan0\" jump guest_isolated\n"
		"\t\toifname \"lan0\" ct state ! 0x2,0x4 counter drop comment \"lan0: to the guest\"\n"
		"\t}\n"
		"\tchain guest_isolated {\n"
		"\t\tmeta nfproto 10 counter drop comment \"isolate: IPv6\"\n"
		"\t\tip daddr 10.0.0.0/8 counter drop comment \"isolate: to 10.0.0.0/8\"\n"
		"\t\tip daddr 172.16.0.0/12 counter drop comment \"isolate: to 172.16.0.0/12\"\n"
		"\t\tip daddr 192.168.0.0/16 counter drop comment \"isolate: to 192.168.0.0/16\"\n"
		"\t\tip daddr 100.64.0.0/10 counter drop comment \"isolate: to 100.64.0.0/10\"\n"
		"\t\tip daddr 169.254.0.0/16 counter drop comment \"isolate: to 169.254.0.0/16\"\n"
		"\t\tip daddr 203.0.113.0/24 counter drop comment \"isolate: to 203.0.113.0/24\"\n"
		"\t}\n"
		"\tchain guest_nat {\n"
		"\t\ttype nat hook postrouting priority 100; policy accept;\n"
		"\t\tip saddr 192.168.249.2 oifname != \"lan0\" counter masquerade comment \"lan0: connections masqueraded\"\n"
		"\t}\n"
		"}\n";
	/* clang-format on */
	static const char uplinks[][IF_NAMESIZE] = { "eth9" };
	static const struct nft_net near = { IP(203, 0, 113, 1), 24 };
	static const struct rules_card card = { .tap = "lan0",
						.mac = { 2, 0, 0, 0, 0, 1 },
						.guest = { GUEST, 32 },
						.host = HOST,
						.dns = { HOST, WORLD },
						.dns_count = 2,
						.nat = true,
						.isolate = true,
						.dhcp_by_program = true };
	const struct rules r = { .cards = &card,
				 .count = 1,
				 .uplinks = uplinks,
				 .uplink_count = 1,
				 .near = &near,
				 .near_count = 1 };
	struct nft *b = malloc(sizeof(*b));
	struct sill_err e = { 0 };
	char got[8192], command[192];
	size_t n;
	FILE *f;
	int fd;

	NEED();
	if (fk_run("nft --version | grep -F 'v1.0.6 '") != 0) { /* others have other words */
		free(b);
		skip();
	}
	fd = nft_open(&e);
	rules_put(b, &r);
	assert_int_equal(nft_commit(b, fd, &e), 0);
	free(b);
	/* A file that nobody else has, under the name that /proc gives it. */
	f = tmpfile();
	assert_non_null(f);
	(void)snprintf(command, sizeof(command),
		       "(nft -nn -s list table inet sill_lan0 | "
		       "sed '/^$/d; /flags/d; s/ # progname.*//' >/proc/%d/fd/%d)",
		       (int)getpid(), fileno(f));
	assert_int_equal(fk_run(command), 0);
	n = fread(got, 1, sizeof(got) - 1, f);
	got[n] = '\0';
	(void)fclose(f);
	close(fd);
	assert_string_equal(got, want);
}

/* What is missing here, or NULL. */
static const char *prepare(void)
{
	struct sill_err e = { 0 };
	struct nft *b = malloc(sizeof(*b));
	const struct sill_net_config c = { .tap = none, .address = automatic, .mac = mac };
	struct tap t;
	int fd, bad;

	if (b == NULL || unshare(CLONE_NEWNET) < 0) {
		free(b);
		return "no right to make a network namespace";
	}
	fd = nft_open(&e);
	nft_begin(b);
	nft_add_table(b, &(struct nft_table){ NFPROTO_NETDEV, "sill_try" }, true);
	bad = fd < 0 || nft_commit(b, fd, &e) < 0;
	if (fd >= 0)
		close(fd);
	free(b);
	if (bad)
		return "no nf_tables with owned tables (Linux 5.12)";
	tap_init(&t);
	bad = tap_open(&t, &c, "/tmp", &e) < 0 || forwarding_set(FORWARDING_IPV4, t.name, &e) < 0;
	tap_close(&t);
	if (bad)
		return "no taps, or a /proc/sys/net that cannot be written to";
	return fk_run("ip link set lo up") != 0 ? "no iproute2" : NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest__reaches_the_world_under_its_hosts_address),
		cmocka_unit_test(our_table__is_nobody_elses),
		cmocka_unit_test(after_kill_9__the_next_vm_puts_back_what_stayed),
		cmocka_unit_test(two_vms__leave_it_to_the_last),
		cmocka_unit_test(forwarding_that_the_host_has_come_to_want__stays),
		cmocka_unit_test(a_name_whose_vm_is_about_to_end__is_waited_for),
		cmocka_unit_test(a_firewall_that_drops__is_named_with_what_helps),
		cmocka_unit_test(an_isolated_guest__reaches_the_internet_alone),
		cmocka_unit_test(an_isolated_guest_without_nat__stays_on_the_host),
		cmocka_unit_test(a_name_server_on_a_private_network__is_within_reach),
		cmocka_unit_test(a_guest_with_antispoof__has_no_addresses_but_its_own),
		cmocka_unit_test(connections__are_forgotten_when_rules_come_and_go),
		cmocka_unit_test(connections__of_ipv6_are_forgotten_too),
		cmocka_unit_test(rules__are_these),
	};
	pid_t world = -1;
	int ret;

	if (mkdtemp(dir) == NULL)
		return 1;
	why_not = prepare();
	if (why_not == NULL) {
		world = make_world();
		if (world < 0)
			why_not = "no pair of interfaces (veth)";
	}
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	if (world > 0) {
		kill(world, SIGKILL);
		(void)waitpid(world, NULL, 0);
	}
	(void)rmdir(dir);
	return ret;
}
