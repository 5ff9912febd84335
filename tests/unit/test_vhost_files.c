/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_vhost_files.c - when the host's kernel is to pass a card's frames: what is opened for it, what is refused and
 * why, and what the ear hears. /dev/vhost-net is this file's: open() gives something else for it, or an error.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/host/files.h"
#include "runner/host/vhost.h"
#include "tasks.h"

static int device_errno; /* 0: it opens */
static bool have_tap;

int open(const char *path, int flags, ...)
{
	const bool is_device = strcmp(path, "/dev/vhost-net") == 0;
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (is_device && device_errno != 0) {
		errno = device_errno;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, is_device ? "/dev/null" : path, flags, mode);
}

static char empty[] = "", automatic[] = "auto", mac[] = "02:00:00:00:00:01", id[] = "net0",
	    bridge[] = "br0";
static uint16_t cpus[1];

static void obstacles__are_what_only_we_do(void **state)
{
	struct sill_net_config n = { .tap = empty };

	(void)state;
	assert_null(vhost_obstacle(&n, false));
	assert_null(vhost_obstacle(&n, true));
	n.rx_limit.ops = 1;
	assert_string_equal(vhost_obstacle(&n, true), "it has limits");
	n = (struct sill_net_config){ .tap = empty, .tx_limit = { .group = id } };
	assert_string_equal(vhost_obstacle(&n, true), "it has limits");
	n = (struct sill_net_config){ .tap = empty, .affinity = cpus, .affinity_count = 1 };
	assert_string_equal(vhost_obstacle(&n, false), "its threads have CPUs of their own");
	n = (struct sill_net_config){ .user = true };
	assert_string_equal(vhost_obstacle(&n, true), "it has no tap");
	n = (struct sill_net_config){ .none = true };
	assert_string_equal(vhost_obstacle(&n, false), "it has no tap");
	n = (struct sill_net_config){ .bridge = bridge };
	assert_null(vhost_obstacle(&n, false));
	assert_non_null(vhost_obstacle(&n, true));
}

static struct tap two_queues(void)
{
	struct tap t;

	tap_init(&t);
	t.count = 2;
	return t;
}

static void auto__takes_what_opens_and_nothing_else(void **state)
{
	struct sill_net_config n = { .tap = empty };
	struct tap t = two_queues();
	const unsigned files = files_open();
	struct sill_err e = { 0 };

	(void)state;
	device_errno = ENOENT;
	assert_int_equal(vhost_open(&t, &n, false, &e), 0);
	assert_false(t.vhost);
	assert_int_equal(t.vhost_fd[0], -1);
	assert_int_equal(files_open(), files);
	device_errno = 0;
	assert_int_equal(vhost_open(&t, &n, false, &e), 0);
	assert_true(t.vhost && t.vhost_fd[0] >= 0 && t.vhost_fd[1] >= 0);
	assert_int_equal(t.ear, -1);
	assert_int_equal(files_open(), files + 2);
	tap_close(&t);
	assert_int_equal(files_open(), files);

	t = two_queues();
	n.vhost = SILL_VHOST_OFF;
	assert_int_equal(vhost_open(&t, &n, false, &e), 0);
	n = (struct sill_net_config){ .tap = empty, .tx_limit = { .ops = 1 } };
	assert_int_equal(vhost_open(&t, &n, false, &e), 0);
	n = (struct sill_net_config){ .tap = empty };
	t.adopted = true;
	assert_int_equal(vhost_open(&t, &n, true, &e), 0);
	assert_false(t.vhost);
	assert_int_equal(files_open(), files);
	tap_close(&t);
}

static void on__says_what_is_missing_and_what_helps(void **state)
{
	static const struct {
		int err;
		const char *msg, *hint;
	} cases[] = {
		{ ENOENT, "open '/dev/vhost-net': No such file", "`sudo modprobe vhost_net`" },
		{ ENODEV, "open '/dev/vhost-net': No such device", "`sudo modprobe vhost_net`" },
		{ EACCES, "open '/dev/vhost-net': Permission denied", "usermod -aG $(stat -c %G " },
	};
	struct sill_net_config n = { .tap = empty, .vhost = SILL_VHOST_ON };
	struct tap t = two_queues();
	struct sill_err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		device_errno = cases[i].err;
		e = (struct sill_err){ 0 };
		assert_int_equal(vhost_open(&t, &n, false, &e), -1);
		assert_non_null(strstr(e.msg, cases[i].msg));
		assert_non_null(strstr(e.hint, cases[i].hint));
	}
	device_errno = 0;
	n.rx_limit.ops = 1;
	e = (struct sill_err){ 0 };
	assert_int_equal(vhost_open(&t, &n, false, &e), -1);
	assert_non_null(strstr(e.msg, "it has limits"));
	tap_close(&t);
}

/* 14 bytes of Ethernet, 20 of IPv4, 8 of UDP, 4 of data. */
static void say(const struct tap *t, uint8_t protocol, uint8_t port, uint16_t fragment)
{
	uint8_t f[12 + 60] = { 0 };
	uint8_t *p = f + 12;

	memset(p, 0xff, 6);
	p[6] = 2;
	memcpy(p + 12, "\x08\x00\x45\x00\x00\x2e", 6);
	p[20] = (uint8_t)(fragment >> 8);
	p[21] = (uint8_t)fragment;
	p[22] = 64;
	p[23] = protocol;
	memset(p + 30, 0xff, 4);
	p[37] = port;
	assert_int_equal(write(t->fd[0], f, sizeof(f)), sizeof(f));
}

/* ICMPv6 in 40 bytes of IPv6. */
static void say6(const struct tap *t, uint8_t type, uint8_t hops)
{
	uint8_t f[12 + 62] = { 0 };
	uint8_t *p = f + 12;

	memcpy(p, "\x33\x33\0\0\0\2", 6);
	p[6] = 2;
	memcpy(p + 12, "\x86\xdd\x60\0\0\0\0\x08\x3a", 9);
	p[21] = hops;
	p[54] = type;
	assert_int_equal(write(t->fd[0], f, sizeof(f)), sizeof(f));
}

static void the_ear__hears_requests_only(void **state)
{
	struct sill_net_config n = { .tap = empty, .address = automatic, .mac = mac, .id = id };
	struct sill_err e = { 0 };
	static const uint8_t heard[] = { 133, 135, 136 };
	uint8_t got[100];
	int size = 12;
	struct tap t;

	(void)state;
	if (!have_tap)
		skip();
	device_errno = 0;
	tap_init(&t);
	if (tap_open(&t, &n, "/tmp", &e) < 0 || vhost_open(&t, &n, true, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(t.vhost && t.ear >= 0 && t.silence >= 0);
	assert_int_equal(ioctl(t.fd[0], TUNSETVNETHDRSZ, &size), 0);
	say(&t, 17, 68, 0);
	say(&t, 6, 67, 0);
	say(&t, 17, 67, 5);
	say(&t, 17, 67, 0);
	assert_int_equal(recv(t.ear, got, sizeof(got), 0), 60);
	assert_int_equal(got[37], 67);
	assert_int_equal(got[23], 17);
	assert_int_equal(got[21], 0);
	assert_int_equal(recv(t.ear, got, sizeof(got), 0), -1);
	say6(&t, 134, 255);
	say6(&t, 133, 64);
	for (unsigned i = 0; i < sizeof(heard); i++) {
		say6(&t, heard[i], 255);
		assert_int_equal(recv(t.ear, got, sizeof(got), 0), 62);
		assert_int_equal(got[54], heard[i]);
	}
	assert_int_equal(recv(t.ear, got, sizeof(got), 0), -1);
	/* What it says itself goes to the guest, and it does not hear it. */
	got[37] = 68;
	assert_int_equal(send(t.ear, got, 60, 0), 60);
	assert_int_equal(recv(t.ear, got, sizeof(got), 0), -1);
	tap_close(&t);
	assert_int_equal(if_nametoindex("vmtap0"), 0);
}

static void descriptors__are_given_to_the_engine_with_the_tap(void **state)
{
	struct sill_net_config n = {
		.tap = empty, .address = automatic, .mac = mac, .id = id, .queues = 2
	};
	struct sill_config c = { .sill = 1, .net = &n, .net_count = 1 };
	struct sill_files files = { 0 };
	struct sill_err e = { 0 };
	struct cable *cable;
	struct vmfiles f;

	(void)state;
	if (!have_tap)
		skip();
	device_errno = 0;
	vmfiles_init(&f, &c);
	cable = cable_create(id, &e);
	assert_non_null(cable);
	assert_int_equal(cables_add(&f.cables, cable, &e), 0);
	if (tap_open(&cable->tap, &n, "/tmp", &e) < 0 ||
	    vhost_open(&cable->tap, &n, true, &e) < 0 || vmfiles_give(&f, &files, &e) < 0)
		fail_msg("%s", e.msg);
	assert_non_null(sill_files_find(&files, SILL_FILE_TAP, id, 1));
	assert_non_null(sill_files_find(&files, SILL_FILE_VHOST_NET, id, 0));
	assert_non_null(sill_files_find(&files, SILL_FILE_VHOST_NET, id, 1));
	assert_null(sill_files_find(&files, SILL_FILE_VHOST_NET, id, 2));
	assert_non_null(sill_files_find(&files, SILL_FILE_EAR, id, 0));
	assert_non_null(sill_files_find(&files, SILL_FILE_EAR, id, 1));
	vmfiles_fini(&f);
	sill_files_close(&files);
	assert_int_equal(if_nametoindex("vmtap0"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(obstacles__are_what_only_we_do),
		cmocka_unit_test(auto__takes_what_opens_and_nothing_else),
		cmocka_unit_test(on__says_what_is_missing_and_what_helps),
		cmocka_unit_test(the_ear__hears_requests_only),
		cmocka_unit_test(descriptors__are_given_to_the_engine_with_the_tap),
	};

	have_tap = unshare(CLONE_NEWNET) == 0 && access("/dev/net/tun", R_OK) == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
