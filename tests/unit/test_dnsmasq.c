/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dnsmasq.c - the process that gives a guest its address in the card's place: how it is called, what is said when
 * it is missing or fails, when it ends; and the real one, where it is installed and a tap can be had.
 * Programs that play dnsmasq are scripts at the head of PATH.
 */
#include "play_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frame_kit.h"
#include "runner/net/dnsmasq.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

enum { BOOTP = 14 + 20 + 8, FRAME = 1514, PATIENCE_MS = 30000 };

static const struct dnsmasq_want plain = {
	.device = "lan0",
	.mac = { 2, 1, 2, 3, 4, 5 },
	.guest = IP(10, 17, 0, 2),
	.prefix = 24,
	.router = IP(10, 17, 0, 1),
	.mtu = 1400,
	.dns = { IP(9, 9, 9, 9), IP(1, 1, 1, 1) },
	.dns_count = 2,
};

static bool has(const struct program_line *l, const char *option)
{
	for (unsigned i = 0; l->argv[i] != NULL; i++)
		if (strcmp(l->argv[i], option) == 0)
			return true;
	return false;
}

static void its_line__serves_one_guest_on_one_tap(void **state)
{
	struct program_line *l = calloc(1, sizeof(*l));
	struct dnsmasq_want w = plain;

	(void)state;
	dnsmasq_line(l, &w);
	assert_string_equal(l->argv[0], "sh");
	assert_true(has(l, "--interface=lan0") && has(l, "--port=0") && has(l, "--leasefile-ro"));
	assert_true(has(l, "--conf-file=/dev/null") && has(l, "--pid-file="));
	assert_true(has(l, "--dhcp-range=10.17.0.2,10.17.0.2,255.255.255.0,1h"));
	assert_true(has(l, "--dhcp-host=02:01:02:03:04:05,10.17.0.2"));
	assert_true(has(l, "--dhcp-option=option:router,10.17.0.1"));
	assert_true(has(l, "--dhcp-option=option:dns-server,9.9.9.9,1.1.1.1"));
	assert_true(has(l, "--dhcp-option=option:mtu,1400"));
	w.router = w.dns_count = w.mtu = 0;
	w.prefix = 30;
	dnsmasq_line(l, &w);
	assert_true(has(l, "--dhcp-option=option:router"));
	assert_true(has(l, "--dhcp-option=option:dns-server"));
	assert_true(has(l, "--dhcp-range=10.17.0.2,10.17.0.2,255.255.255.252,1h"));
	assert_false(has(l, "--dhcp-option=option:mtu,0"));
	free(l);
}

static void play(const char *script)
{
	play_tool("dnsmasq", script);
}

static void one_that_fails__is_said_with_its_own_words(void **state)
{
	struct dnsmasq d;
	struct sill_err e = { 0 };

	(void)state;
	play("echo >&2; echo 'dnsmasq: failed to bind DHCP server socket: Address already in use' "
	     ">&2; "
	     "exit 2");
	assert_int_equal(dnsmasq_start(&d, &plain, &e), -1);
	assert_string_equal(e.msg, "dnsmasq does not start: failed to bind DHCP server socket: "
				   "Address already in use");
	assert_non_null(strstr(e.hint, "another DHCP server"));
	assert_int_equal(d.program.pid, 0);
	assert_int_equal(d.hold, -1);
	/* With its log begun. */
	e = (struct sill_err){ 0 };
	play("echo 'dnsmasq[7]: failed to change group-id to 0: Operation not permitted' >&2; "
	     "echo 'dnsmasq[7]: FAILED to start up' >&2; exit 5");
	assert_int_equal(dnsmasq_start(&d, &plain, &e), -1);
	assert_string_equal(e.msg, "dnsmasq does not start: failed to change group-id to 0: "
				   "Operation not permitted");
	/* As a shell says that there is none. */
	e = (struct sill_err){ 0 };
	play("exit 127");
	assert_int_equal(dnsmasq_start(&d, &plain, &e), -1);
	assert_int_equal(e.sys, ENOENT);
	assert_non_null(strstr(e.hint, "apt install dnsmasq-base"));
	dnsmasq_stop(&d);
}

/* The number that the next one writes into the pipe @name. */
static pid_t number_in(const char *name)
{
	FILE *f = fopen(name, "r");
	int pid = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d\n", &pid), 1);
	(void)fclose(f);
	return pid;
}

/* Does it end within so many milliseconds (-1: wait for it)? It may be dead and nobody has asked yet. */
static bool ends(pid_t pid, int ms)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int n;

	if (p.fd < 0)
		return true;
	n = poll(&p, 1, ms);
	(void)close(p.fd);
	return n == 1;
}

static void one_that_runs__ends_with_us_and_comes_again_when_somebody_ends_it(void **state)
{
	char name[64], script[400];
	struct dnsmasq d;
	struct sill_err e = { 0 };
	pid_t first, second;

	(void)state;
	play_tool("sleep", "exit 0");
	(void)snprintf(name, sizeof(name), "%s/pid", play_dir);
	assert_int_equal(mkfifo(name, 0600), 0);
	(void)snprintf(script, sizeof(script),
		       "echo >>%s/runs; [ $(wc -l <%s/runs) != 2 ] || exit 2; "
		       "trap '' HUP TERM; echo 'dnsmasq[1]: started, version 0' >&2; echo $$ >%s; "
		       "exec /bin/sleep 100000",
		       play_dir, play_dir, name);
	play(script);
	assert_int_equal(dnsmasq_start(&d, &plain, &e), 0);
	first = number_in(name);
	assert_int_equal(kill(first, SIGKILL), 0);
	second = number_in(name); /* of the third: one between has failed */
	assert_int_not_equal(first, second);
	assert_false(ends(second, 0));
	/* As the kernel does when we are killed. */
	(void)close(d.hold);
	d.hold = -1;
	assert_true(ends(second, -1));
	dnsmasq_stop(&d);
	assert_int_equal(dnsmasq_start(&d, &plain, &e), 0);
	second = number_in(name);
	dnsmasq_stop(&d);
	assert_true(ends(second, -1));
	assert_int_equal(unlink(name), 0);
	(void)snprintf(name, sizeof(name), "%s/runs", play_dir);
	assert_int_equal(unlink(name), 0);
	play(NULL);
	play_tool("sleep", NULL);
}

static unsigned said;
static int waits = -1;

/* As the second in a row has ended; the third is not here before. */
static void hear(const char *id, const char *what)
{
	assert_string_equal(id, "net0");
	assert_string_equal(what, "dnsmasq ends again and again (its last words: no room): it is "
				  "started each time, in the end once a minute");
	(void)__atomic_add_fetch(&said, 1, __ATOMIC_SEQ_CST);
}

/* Is the next wait of @want seconds? Whoever waits does so until it is asked for. */
static void next_wait(const char *want)
{
	char text[8] = "";

	for (size_t n = 0; n < sizeof(text) - 1; n++)
		if (read(waits, &text[n], 1) != 1 || text[n] == '\n')
			break;
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, want);
}

static void one_that_ends_again_and_again__waits_longer_and_is_told_of_once(void **state)
{
	static const char *const want[] = { "1",  "2",  "4", "8", "16", "32",
					    "60", "60", "1", "2", "4" };
	char name[64], text[200];
	struct dnsmasq d;
	struct sill_err e = { 0 };

	(void)state;
	(void)snprintf(name, sizeof(name), "%s/waits", play_dir);
	assert_int_equal(mkfifo(name, 0600), 0);
	(void)snprintf(text, sizeof(text), "echo $1 >%s; exit 0", name);
	play_tool("sleep", text);
	/* A clock that stands, but for the ninth life, of a minute. */
	(void)snprintf(text, sizeof(text),
		       "echo >>%s/dates; [ $(wc -l <%s/dates) -lt 18 ] && echo 0 || echo 60",
		       play_dir, play_dir);
	play_tool("date", text);
	(void)snprintf(text, sizeof(text),
		       "[ -e %s/dates ] && [ $(wc -l <%s/dates) -gt 1 ] && echo 'dnsmasq: no room' "
		       ">&2 && exit 2; echo 'dnsmasq: started, version 0' >&2; exit 0",
		       play_dir, play_dir);
	play(text);
	assert_int_equal(dnsmasq_start(&d, &plain, &e), 0);
	assert_int_equal(dnsmasq_watch(&d, "net0", hear, &e), 0);
	waits = open(name, O_RDWR);
	assert_true(waits >= 0);
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		next_wait(want[i]);
	dnsmasq_stop(&d);
	assert_int_equal(__atomic_load_n(&said, __ATOMIC_SEQ_CST), 2);
	(void)close(waits);
	assert_int_equal(unlink(name), 0);
	(void)snprintf(name, sizeof(name), "%s/dates", play_dir);
	assert_int_equal(unlink(name), 0);
	play(NULL);
	play_tool("sleep", NULL);
	play_tool("date", NULL);
}

/* A tap, as a guest has it: its descriptor. -1: none is to be had, or no dnsmasq. */
static int tap(void)
{
	struct ifreq ifr = { .ifr_name = "lan0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0 &&
	    fk_run("ip link set lo up && ip address add 10.17.0.1/24 dev lan0 && "
		   "ip link set lan0 up && command -v dnsmasq") == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* DHCPDISCOVER, RFC 2131. */
static void put_discover(uint8_t f[BOOTP + 300], const uint8_t mac[6])
{
	uint8_t *b = f + BOOTP;

	memset(f, 0, BOOTP + 300);
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	f[12] = 8;
	memcpy(f + 14, (const uint8_t[]){ 0x45, 0, 1, 72, 0, 0, 0, 0, 64, 17 }, 10);
	memset(f + 30, 0xff, 4);
	fk_put16(f + 24, 0xffff - fk_sum(f + 14, 20, 0));
	memcpy(f + 34, (const uint8_t[]){ 0, 68, 0, 67, 1, 52, 0, 0 }, 8);
	memcpy(b, (const uint8_t[]){ 1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78 }, 8);
	memcpy(b + 28, mac, 6);
	memcpy(b + 236, (const uint8_t[]){ 99, 130, 83, 99, 53, 1, 1, 55, 4, 1, 3, 6, 26, 255 },
	       14);
}

static void the_real_one__offers_the_address(void **state)
{
	static const uint8_t router[] = { 3, 4, 10, 17, 0, 1 }, mtu[] = { 26, 2, 5, 120 },
			     dns[] = { 6, 8, 9, 9, 9, 9, 1, 1, 1, 1 };
	uint8_t f[BOOTP + 300], got[FRAME];
	struct dnsmasq d, other;
	struct sill_err e = { 0 };
	struct pollfd p = { .events = POLLIN };
	int fd;
	ssize_t n;

	(void)state;
	assert_int_equal(setenv("PATH", play_path, 1), 0);
	fd = tap();
	if (fd < 0)
		skip();
	p.fd = fd;
	if (dnsmasq_start(&d, &plain, &e) < 0)
		fail_msg("%s", e.msg);
	put_discover(f, plain.mac);
	assert_int_equal(write(fd, f, sizeof(f)), sizeof(f));
	do {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = read(fd, got, sizeof(got));
	} while (n < BOOTP + 240 || got[23] != 17 || got[35] != 67 || got[37] != 68);
	assert_memory_equal(got + BOOTP + 16, "\x0a\x11\0\2", 4);
	assert_non_null(memmem(got + BOOTP + 240, (size_t)n - BOOTP - 240, router, sizeof(router)));
	assert_non_null(memmem(got + BOOTP + 240, (size_t)n - BOOTP - 240, dns, sizeof(dns)));
	assert_non_null(memmem(got + BOOTP + 240, (size_t)n - BOOTP - 240, mtu, sizeof(mtu)));
	/* A device that is not there: its own words. */
	e = (struct sill_err){ 0 };
	assert_int_equal(dnsmasq_start(&other,
				       &(struct dnsmasq_want){ .device = "nosuch0",
							       .mac = { 2 },
							       .guest = plain.guest,
							       .prefix = 24 },
				       &e),
			 -1);
	assert_non_null(strstr(e.msg, "nosuch0"));
	dnsmasq_stop(&d);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_line__serves_one_guest_on_one_tap),
		cmocka_unit_test(one_that_fails__is_said_with_its_own_words),
		cmocka_unit_test(one_that_runs__ends_with_us_and_comes_again_when_somebody_ends_it),
		cmocka_unit_test(one_that_ends_again_and_again__waits_longer_and_is_told_of_once),
		cmocka_unit_test(the_real_one__offers_the_address),
	};

	return cmocka_run_group_tests(tests, play_set_up, play_tear_down);
}
