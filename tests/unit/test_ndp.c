/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ndp.c - one router, one guest: what Windows and Linux ask, and what they must be
 * told, byte by byte as on the wire; and what of a hostile guest is believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "backend/net/ndp.h"
#include "frame_kit.h"

enum { IP = 14, ICMP = 54, ROOM = 512 };

static const uint8_t guest[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };

static struct ndp_config config(void)
{
	return (struct ndp_config){
		.mac = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 },
		.host_mac = { 0xfe, 0x11, 0x22, 0x33, 0x44, 0xaa },
		.host = { 0xfd, 1, 2, 3, 4, 5, 6, 7, [15] = 1 },
	};
}

/* An ICMPv6 message of @body bytes from the guest, with the source address @from and zeroes for the rest. */
static size_t message(uint8_t f[ROOM], uint8_t type, const uint8_t from[16], size_t body)
{
	memset(f, 0, ROOM);
	memcpy(f, "\x33\x33\0\0\0\2", 6);
	memcpy(f + 6, guest, 6);
	memcpy(f + 12, "\x86\xdd\x60", 3);
	f[IP + 4] = (uint8_t)(body >> 8);
	f[IP + 5] = (uint8_t)body;
	f[IP + 6] = 58;
	f[IP + 7] = 255;
	memcpy(f + IP + 8, from, 16);
	memcpy(f + IP + 24, "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	f[ICMP] = type;
	return ICMP + body;
}

static const uint8_t nobody[16] = { 0 };
/* Not made of its MAC address: so does Windows, and Linux with stable privacy. */
static const uint8_t own[16] = { 0xfe, 0x80, [8] = 0x9c, 0x4d, 1, 2, 3, 4, 5, 6 };
static const uint8_t global[16] = { 0xfd, 1, 2, 3, 4, 5, 6, 7, 0x9c, 0x4d, 1, 2, 3, 4, 5, 6 };

/* As Windows asks: from its link-local address, with its MAC address. */
static size_t solicit(uint8_t f[ROOM])
{
	const size_t n = message(f, 133, own, 16);

	f[ICMP + 8] = 1;
	f[ICMP + 9] = 1;
	memcpy(f + ICMP + 10, guest, 6);
	return n;
}

/* As Linux asks before its address is known to be its own. */
static size_t solicit_early(uint8_t f[ROOM])
{
	return message(f, 133, nobody, 8);
}

/* "Has anybody @target?" */
static size_t try_address(uint8_t f[ROOM], const uint8_t target[16])
{
	const size_t n = message(f, 135, nobody, 24);

	memcpy(f + ICMP + 8, target, 16);
	return n;
}

/* Of addresses, length, protocol and message: 0xffff when it is right. */
static unsigned sum(const uint8_t *f, size_t n)
{
	return fk_sum(f + IP + 8, n - IP - 8, 58 + (uint32_t)(n - ICMP));
}

static void who_asks__is_told_the_network(void **state)
{
	/* clang-format off */
	static const uint8_t golden[] = {
		0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0xfe, 0x11, 0x22, 0x33, 0x44, 0xaa, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 56, 58, 255,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xfc, 0x11, 0x22, 0xff, 0xfe, 0x33, 0x44, 0xaa,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x9c, 0x4d, 1, 2, 3, 4, 5, 6,
		134, 0, 0x58, 0x4c, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 1, 0xfe, 0x11, 0x22, 0x33, 0x44, 0xaa,
		3, 4, 64, 0xc0, 0, 0, 0x1c, 0x20, 0, 0, 0x0e, 0x10, 0, 0, 0, 0,
		0xfd, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	/* clang-format on */
	const struct ndp_config c = config();
	uint8_t f[ROOM], r[ROOM];
	size_t n;

	(void)state;
	n = ndp_reply(&c, f, solicit(f), r, sizeof(r));
	assert_int_equal(n, sizeof(golden));
	assert_int_equal(sum(r, n), 0xffff);
	assert_memory_equal(r, golden, sizeof(golden));
	/* To all, who has no address yet. */
	assert_int_equal(ndp_reply(&c, f, solicit_early(f), r, sizeof(r)), n);
	assert_memory_equal(r, "\x33\x33\0\0\0\1", 6);
	assert_memory_equal(r + IP + 24, "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(sum(r, n), 0xffff);
	assert_memory_equal(r + ICMP + 4, golden + ICMP + 4, n - ICMP - 4);
	/* And so it is said from time to time. */
	assert_int_equal(ndp_advert(&c, f, sizeof(f)), n);
	assert_memory_equal(f, r, n);
}

static void what_there_is_to_tell__is_told(void **state)
{
	struct ndp_config c = config();
	uint8_t f[ROOM], r[ROOM];
	size_t n;

	(void)state;
	c.routes = true;
	c.mtu = 9000;
	c.dns_count = 3;
	memcpy(c.dns[0], global, 16);
	memcpy(c.dns[1], own, 16);
	n = ndp_reply(&c, f, solicit(f), r, sizeof(r));
	assert_int_equal(n, NDP_ADVERT_MAX);
	assert_int_equal(sum(r, n), 0xffff);
	assert_memory_equal(r + ICMP + 6, "\x07\x08", 2);
	assert_memory_equal(r + ICMP + 24, "\5\1\0\0\0\0\x23\x28", 8);
	assert_memory_equal(r + ICMP + 64, "\x19\7\0\0\0\0\7\x08", 8);
	assert_memory_equal(r + ICMP + 72, global, 16);
	/* IPv6 is not on a link that is smaller. */
	c.mtu = NDP_MTU_MIN - 1;
	assert_int_equal(ndp_advert(&c, r, sizeof(r)), NDP_ADVERT_MAX - 8);
	/* No room, no answer; never half of one. */
	memset(r, 0xa5, sizeof(r));
	assert_int_equal(ndp_advert(&c, r, NDP_ADVERT_MAX - 1), 0);
	assert_int_equal(r[0], 0xa5);
}

static void what_is_not_the_guests_question__is_like_any_frame(void **state)
{
	const struct ndp_config c = config();
	uint8_t f[ROOM], r[ROOM];
	const size_t n = solicit(f);

	(void)state;
#define REFUSED(at, value)                                         \
	do {                                                       \
		(void)solicit(f);                                  \
		f[at] = value;                                     \
		assert_int_equal(ndp_reply(&c, f, n, r, ROOM), 0); \
	} while (0)
	REFUSED(11, 0x56); /* of somebody else */
	REFUSED(12, 0x08); /* not IPv6 */
	REFUSED(IP, 0x40);
	REFUSED(IP + 5, 17); /* longer than the frame, */
	REFUSED(IP + 5, 15); /* or cut */
	REFUSED(IP + 5, 7);
	REFUSED(IP + 5, 0);
	REFUSED(IP + 6, 0);   /* hop-by-hop first */
	REFUSED(IP + 7, 254); /* it came through a router */
	REFUSED(ICMP, 134);   /* an advert: the guest is no router of ours */
	REFUSED(ICMP, 128);
	REFUSED(ICMP + 1, 1);
	REFUSED(ICMP + 9, 0); /* an option without end */
	REFUSED(ICMP + 9, 2); /* one that is longer than the message */
	REFUSED(ICMP + 9, 255);
#undef REFUSED
	for (size_t i = 0; i < n; i++) {
		(void)solicit(f);
		assert_int_equal(ndp_reply(&c, f, i, r, ROOM), 0);
	}
	/* Nobody's MAC address cannot be. */
	(void)solicit(f);
	memset(f + IP + 8, 0, 16);
	assert_int_equal(ndp_reply(&c, f, n, r, ROOM), 0);
	/* A group does not ask; who says so is answered as nobody is. */
	(void)solicit(f);
	f[IP + 8] = 0xff;
	assert_true(ndp_reply(&c, f, n, r, ROOM) > 0);
	assert_memory_equal(r, "\x33\x33\0\0\0\1", 6);
	/* What is behind the message is nobody's. */
	(void)solicit(f);
	assert_true(ndp_reply(&c, f, n + 100, r, ROOM) > 0);
}

static void an_address_it_takes__is_where_the_guest_is(void **state)
{
	const struct ndp_config c = config();
	uint8_t f[ROOM], r[ROOM], a[16];
	size_t n;

	(void)state;
	assert_true(ndp_learn(&c, f, try_address(f, global), a));
	assert_memory_equal(a, global, 16);
	assert_int_equal(ndp_reply(&c, f, try_address(f, global), r, ROOM), 0);
	/* One that it uses. */
	assert_true(ndp_learn(&c, f, message(f, 135, global, 24), a));
	memset(a, 0, 16);
	n = message(f, 136, global, 24);
	assert_true(ndp_learn(&c, f, n, a));
	assert_memory_equal(a, global, 16);
	/* Of no other link, and not for a question. */
	assert_false(ndp_learn(&c, f, try_address(f, own), a));
	assert_false(ndp_learn(&c, f, message(f, 135, own, 24), a));
	assert_false(ndp_learn(&c, f, message(f, 133, global, 8), a));
	assert_false(ndp_learn(&c, f, try_address(f, nobody), a));
	assert_false(ndp_learn(&c, f, message(f, 135, global, 16), a));
}

/* A forward would lead from the host to the host. */
static void the_hosts_own_addresses__are_never_the_guests(void **state)
{
	const struct ndp_config c = config();
	uint8_t f[ROOM], a[16], routers[16] = { 0 };

	(void)state;
	assert_false(ndp_learn(&c, f, try_address(f, c.host), a));
	assert_false(ndp_learn(&c, f, message(f, 136, c.host, 24), a));
	memcpy(routers, c.host, 8);
	assert_false(ndp_learn(&c, f, try_address(f, routers), a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_asks__is_told_the_network),
		cmocka_unit_test(what_there_is_to_tell__is_told),
		cmocka_unit_test(what_is_not_the_guests_question__is_like_any_frame),
		cmocka_unit_test(an_address_it_takes__is_where_the_guest_is),
		cmocka_unit_test(the_hosts_own_addresses__are_never_the_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
