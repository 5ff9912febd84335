/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_passt.c - the process that carries a card's frames: how it is called, what is said when it is missing or
 * fails, when it is tried again; and the real one, where it is installed and a network namespace can be had.
 * Programs that play passt are scripts at the head of PATH.
 */
#include "play_kit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame_kit.h"
#include "runner/net/passt.h"
#include "runner/net/usernet.h"

static const struct passt_want plain = {
	.mac = { 2, 1, 2, 3, 4, 5 }, .host = 0x0a000201, .guest = 0x0a000202, .prefix = 24
};

static bool has(const struct program_line *l, const char *option, const char *value)
{
	for (unsigned i = 0; l->argv[i] != NULL; i++)
		if (strcmp(l->argv[i], option) == 0 &&
		    (value == NULL ||
		     (l->argv[i + 1] != NULL && strcmp(l->argv[i + 1], value) == 0)))
			return true;
	return false;
}

static void its_line__says_who_is_who_and_what_leads_to_the_guest(void **state)
{
	struct program_line *l = calloc(1, sizeof(*l));
	struct passt_want w = plain;
	struct sill_err e = { 0 };
	static const char *const specs[] = { "2222:22", "10.0.0.1:80:8080", "[::1]:443:8443" };

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(forward_read(specs[i], &w.forward[w.forward_count++], &e), 0);
	w.mtu = 65521;
	passt_line(l, &w, 3);
	assert_string_equal(l->argv[0], "passt");
	assert_true(has(l, "-f", NULL) && has(l, "--fd", "3"));
	assert_true(has(l, "-a", "10.0.2.2") && has(l, "-g", "10.0.2.1") && has(l, "-n", "24"));
	assert_true(has(l, "-M", "fe:01:02:03:04:fa"));
	assert_true(has(l, "--no-map-gw", NULL) && has(l, "--no-dhcp", NULL));
	assert_true(has(l, "-m", "65520"));
	assert_true(has(l, "-t", "127.0.0.1/2222:22"));
	assert_true(has(l, "-t", "10.0.0.1/80:8080"));
	assert_true(has(l, "-t", "::1/443:8443"));
	/* All there is room for. */
	while (w.forward_count < PASST_FORWARDS)
		assert_int_equal(
			forward_read("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535:65535",
				     &w.forward[w.forward_count++], &e),
			0);
	passt_line(l, &w, 3);
	free(l);
}

static void tries__come_at_longer_and_longer_intervals(void **state)
{
	static const uint64_t want[] = { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
	uint64_t ms = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		ms = usernet_wait(ms);
		assert_int_equal(ms, want[i]);
	}
}

/* ---- programs that play it ---- */

static void play(const char *script)
{
	play_tool("passt", script);
	if (script == NULL)
		assert_int_equal(setenv("PATH", play_dir, 1), 0); /* not even the real one */
}

static void refused(const char *script, const char *message, const char *hint)
{
	struct sill_err e = { 0 };
	struct program p;
	int fd = -1;

	play(script);
	assert_int_equal(passt_start(&p, &plain, -1, &fd, &e), -1);
	if (strstr(e.msg, message) == NULL || strstr(e.hint, hint) == NULL)
		fail_msg("'%s', '%s'", e.msg, e.hint);
	assert_int_equal(p.pid, 0);
	assert_int_equal(p.pidfd, -1);
	assert_int_equal(fd, -1);
}

static void one_that_is_missing_or_fails__is_said_with_its_own_words(void **state)
{
	(void)state;
	refused(NULL, "start passt: No such file", "apt install passt");
	refused("echo first >&2; echo 'External interface not usable' >&2; exit 1",
		"passt: External interface not usable", "default route");
	refused("echo \"Failed to bind any port for '-t 22', exiting\" >&2; exit 1", "-t 22",
		"taken");
	refused("exit 0", "it does not answer", "");
	/* What it says is not believed, and no more of it kept than there is room for. */
	refused("printf 'a\\033[31mb' >&2; exit 1", "a", "");
	refused("while echo 0123456789012345678901234567890123456789012345678901234567890; do :; "
		"done >&2; exit 1",
		"0123", "");
	/* Frames that are none, or not the answer. */
	refused("head -c 46 <&3 >/dev/null; printf '\\377\\377\\377\\377' >&3; cat <&3 >/dev/null",
		"it does not answer", "");
}

/* An ARP reply, after a frame that is longer than one, and one of no bytes. */
#define ANSWER                                                                          \
	"head -c 46 <&3 >/dev/null; { printf '\\0\\0\\10\\0'; head -c 2048 /dev/zero; " \
	"printf '\\0\\0\\0\\0'; printf '\\0\\0\\0\\52'; head -c 12 /dev/zero; "         \
	"printf '\\10\\6\\0\\1\\10\\0\\6\\4\\0\\2'; head -c 20 /dev/zero; } >&3; "

static void one_that_answers__has_the_socket_between_two_frames(void **state)
{
	struct sill_err e = { 0 };
	char why[PROGRAM_WHY], byte;
	struct program p;
	int fd;

	(void)state;
	play(ANSWER "printf x >&3; echo enough >&2; exit 3");
	if (passt_start(&p, &plain, -1, &fd, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = p.pidfd, .events = POLLIN }, 1, 60000), 1);
	program_collect(&p, why);
	assert_string_equal(why, "exit status 3: enough");
	close(fd);
	play(ANSWER "kill -9 $$");
	assert_int_equal(passt_start(&p, &plain, -1, &fd, &e), 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = p.pidfd, .events = POLLIN }, 1, 60000), 1);
	program_collect(&p, why);
	assert_string_equal(why, "it was killed by SIGKILL");
	close(fd);
}

/* What a clock says of a host that is slow is nothing: one that works has its time, one that does nothing ten looks. */
static void one_that_works__is_waited_for(void **state)
{
	struct passt_want w = plain;
	struct sill_err e = { 0 };
	const int stop = eventfd(1, EFD_CLOEXEC);
	struct program p;
	int fd;

	(void)state;
	w.look_ms = 50; /* half a second without a processor: a crowded host takes less */
	play("i=0; while [ $i -lt 2000000 ]; do i=$((i + 1)); done; " ANSWER "exec cat <&3");
	if (passt_start(&p, &w, -1, &fd, &e) < 0)
		fail_msg("%s", e.msg);
	program_stop(&p);
	close(fd);
	play("exec sleep 1000");
	assert_int_equal(passt_start(&p, &w, -1, &fd, &e), -1);
	assert_non_null(strstr(e.msg, "it does not answer"));
	/* Nor is it when nobody waits any more. */
	w.look_ms = 1000 * 1000;
	assert_int_equal(passt_start(&p, &w, stop, &fd, &e), -1);
	close(stop);
}

static void it_inherits_nothing_but_its_socket(void **state)
{
	struct sill_err e = { 0 };
	struct program p;
	char got[256];
	int fd, other = dup(STDOUT_FILENO); /* not close-on-exec, by mistake */
	ssize_t n;

	(void)state;
	(void)dup2(other, 77);
	/* 10 is the shell's own, for the script. */
	play(ANSWER "for n in 4 5 6 7 8 9 $(seq 11 99); do [ -e /proc/$$/fd/$n ] && r=\"$r $n\"; "
		    "done; printf %s \"${r}end\" >&3; exit 0");
	if (passt_start(&p, &plain, -1, &fd, &e) < 0)
		fail_msg("%s", e.msg);
	n = recv(fd, got, sizeof(got) - 1, MSG_WAITALL);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, "end");
	(void)close(77);
	program_stop(&p);
	close(fd);
	close(other);
}

/* ---- the real one ---- */

static bool host_with_a_route(void)
{
	return unshare(CLONE_NEWNET) == 0 &&
	       fk_run("ip link set lo up && ip tuntap add dev up0 mode tap && "
		      "ip address add 172.20.9.5/24 dev up0 && ip link set up0 up && "
		      "ip route add default via 172.20.9.1 && command -v passt") == 0;
}

/* The next frame; its length. */
static size_t frame(int fd, uint8_t *p, size_t room)
{
	uint32_t length;

	assert_int_equal(recv(fd, &length, 4, MSG_WAITALL), 4);
	length = ntohl(length);
	assert_in_range(length, 14, room);
	assert_int_equal(recv(fd, p, length, MSG_WAITALL), length);
	return length;
}

static void the_real_one__starts_and_leads_a_port_to_the_guest(void **state)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(2222),
					.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct passt_want w = plain;
	struct sill_err e = { 0 };
	static uint8_t p[65536];
	struct program first, second;
	int fd, other, s;

	(void)state;
	play(NULL);
	assert_int_equal(setenv("PATH", play_path, 1), 0);
	if (!host_with_a_route())
		skip();
	assert_int_equal(forward_read("127.0.0.1:2222:22", &w.forward[w.forward_count++], &e), 0);
	if (passt_start(&first, &w, -1, &fd, &e) < 0)
		fail_msg("%s", e.msg);
	/* The port is bound: nobody else gets it, and that is said. */
	assert_int_equal(passt_start(&second, &w, -1, &other, &e), -1);
	assert_non_null(strstr(e.msg, "127.0.0.1/2222:22"));
	assert_non_null(strstr(e.hint, "taken"));
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)connect(s, (const struct sockaddr *)&at, sizeof(at));
	do
		(void)frame(fd, p, sizeof(p));
	while (p[12] != 8 || p[13] != 0);
	assert_memory_equal(p, w.mac, 6);
	assert_memory_equal(p + 6, "\xfe\1\2\3\4\xfa", 6);
	assert_int_equal(p[23], 6);
	assert_memory_equal(p + 30, "\x0a\0\2\2", 4);
	assert_memory_equal(p + 36, "\0\x16", 2);
	/* It ends by itself, when we do. */
	close(fd);
	assert_int_equal(poll(&(struct pollfd){ .fd = first.pidfd, .events = POLLIN }, 1, 60000),
			 1);
	program_stop(&first);
	close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_line__says_who_is_who_and_what_leads_to_the_guest),
		cmocka_unit_test(tries__come_at_longer_and_longer_intervals),
		cmocka_unit_test(one_that_is_missing_or_fails__is_said_with_its_own_words),
		cmocka_unit_test(one_that_answers__has_the_socket_between_two_frames),
		cmocka_unit_test(one_that_works__is_waited_for),
		cmocka_unit_test(it_inherits_nothing_but_its_socket),
		cmocka_unit_test(the_real_one__starts_and_leads_a_port_to_the_guest),
	};

	return cmocka_run_group_tests(tests, play_set_up, play_tear_down);
}
