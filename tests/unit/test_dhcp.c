/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dhcp.c - one DHCP server, one guest: what Windows and others ask, and what they
 * must be told. Answers are looked at byte by byte; the golden ones are as on the wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "backend/net/dhcp.h"
#include "frame_kit.h"

#define IP(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum {
	DISCOVER = 1,
	OFFER = 2,
	REQUEST = 3,
	DECLINE = 4,
	ACK = 5,
	NAK = 6,
	RELEASE = 7,
	INFORM = 8
};
enum { US = IP(192, 168, 249, 1), GUEST = IP(192, 168, 249, 2), BOOTP = 14 + 20 + 8 };

static const uint8_t guest[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };

static struct dhcp_config config(void)
{
	return (struct dhcp_config){
		.mac = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 },
		.host_mac = { 0xfe, 1, 2, 3, 4, 5 },
		.address = GUEST,
		.host = US,
		.prefix = 24,
		.router = US,
		.dns = { IP(9, 9, 9, 9), IP(1, 1, 1, 1) },
		.dns_count = 2,
		.host_name = "win",
	};
}

/* A request in the making. */
struct ask {
	uint8_t f[1514];
	size_t n; /* so far */
};

static uint32_t get32(const uint8_t *p)
{
	return IP(p[0], p[1], p[2], p[3]);
}

static void option(struct ask *a, uint8_t code, const void *p, uint8_t n)
{
	a->f[a->n++] = code;
	a->f[a->n++] = n;
	if (n > 0)
		memcpy(a->f + a->n, p, n);
	a->n += n;
}

static void option32(struct ask *a, uint8_t code, uint32_t v)
{
	uint8_t b[4];

	fk_put32(b, v);
	option(a, code, b, 4);
}

/* As Windows begins all of its messages. */
static void ask(struct ask *a, uint8_t type, bool broadcast, uint32_t ciaddr)
{
	uint8_t *b = a->f + BOOTP;
	uint8_t id[7] = { 1 };

	*a = (struct ask){ .n = BOOTP + 240 };
	memset(a->f, 0xff, 6);
	memcpy(a->f + 6, guest, 6);
	a->f[12] = 8;
	a->f[14] = 0x45;
	a->f[22] = 128;
	a->f[23] = 17;
	fk_put32(a->f + 26, ciaddr);
	fk_put32(a->f + 30, ~0u);
	a->f[35] = 68;
	a->f[37] = 67;
	b[0] = 1;
	b[1] = 1;
	b[2] = 6;
	fk_put32(b + 4, 0x12345678);
	b[10] = broadcast ? 0x80 : 0;
	fk_put32(b + 12, ciaddr);
	memcpy(b + 28, guest, 6);
	fk_put32(b + 236, 0x63825363);
	option(a, 53, &type, 1);
	memcpy(id + 1, guest, 6);
	option(a, 61, id, 7);
}

/* Finish, and ask. */
static size_t answer(struct ask *a, const struct dhcp_config *c, uint8_t *reply)
{
	size_t n;

	a->f[a->n++] = 255;
	while (a->n < BOOTP + 300)
		a->f[a->n++] = 0;
	n = a->n - 14;
	a->f[16] = (uint8_t)(n >> 8);
	a->f[17] = (uint8_t)n;
	a->f[38] = (uint8_t)((n - 20) >> 8);
	a->f[39] = (uint8_t)(n - 20);
	return dhcp_reply(c, a->f, a->n, reply, 1514);
}

/* The bytes of an option; NULL: it is not there. */
static const uint8_t *find(const uint8_t *reply, size_t n, uint8_t code, uint8_t *ret_n)
{
	for (size_t at = BOOTP + 240; at < n && reply[at] != 255;) {
		if (reply[at] == 0) {
			at++;
			continue;
		}
		assert_true(at + 2 + reply[at + 1] <= n);
		if (reply[at] == code) {
			if (ret_n != NULL)
				*ret_n = reply[at + 1];
			return reply + at + 2;
		}
		at += 2u + reply[at + 1];
	}
	return NULL;
}

/* What every answer has to be: well-formed, with complete checksums. */
static uint8_t check(const uint8_t *r, size_t n)
{
	const uint8_t *type;

	assert_true(n >= BOOTP + 300);
	assert_int_equal(fk_sum(r + 14, 20, 0), 0xffff);
	assert_int_equal(fk_sum(r + 26, n - 26, (uint32_t)(17 + n - 34)), 0xffff);
	assert_int_equal(r[16] << 8 | r[17], n - 14);
	assert_int_equal(r[38] << 8 | r[39], n - 34);
	assert_int_equal(r[BOOTP], 2);
	assert_int_equal(get32(r + BOOTP + 4), 0x12345678);
	assert_memory_equal(r + BOOTP + 28, guest, 6);
	assert_int_equal(get32(r + 26), US);
	assert_int_equal(get32(find(r, n, 54, NULL)), US);
	type = find(r, n, 53, NULL);
	assert_non_null(type);
	return *type;
}

static bool is_broadcast(const uint8_t *r)
{
	return r[0] == 0xff && get32(r + 30) == ~0u;
}

static bool is_unicast(const uint8_t *r, uint32_t to)
{
	return memcmp(r, guest, 6) == 0 && get32(r + 30) == to;
}

/* ---- what Windows does ---- */

static void windows__gets_its_lease_without_and_with_the_broadcast_flag(void **state)
{
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;
	size_t n;

	(void)state;
	for (int broadcast = 0; broadcast < 2; broadcast++) {
		ask(&a, DISCOVER, broadcast, 0);
		n = answer(&a, &c, r);
		assert_int_equal(check(r, n), OFFER);
		assert_int_equal(get32(r + BOOTP + 16), GUEST);
		assert_true(broadcast ? is_broadcast(r) : is_unicast(r, GUEST));
		assert_int_equal(r[BOOTP + 10], broadcast ? 0x80 : 0);
		ask(&a, REQUEST, broadcast, 0);
		option32(&a, 50, GUEST);
		option32(&a, 54, US);
		n = answer(&a, &c, r);
		assert_int_equal(check(r, n), ACK);
		assert_int_equal(get32(r + BOOTP + 16), GUEST);
		assert_true(broadcast ? is_broadcast(r) : is_unicast(r, GUEST));
		assert_int_equal(get32(find(r, n, 51, NULL)), 3600);
		assert_int_equal(get32(find(r, n, 58, NULL)), 1800);
		assert_int_equal(get32(find(r, n, 59, NULL)), 3150);
	}
}

static void windows_from_another_network__is_told_so_at_once(void **state)
{
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;

	(void)state;
	ask(&a, REQUEST, false, 0); /* INIT-REBOOT */
	option32(&a, 50, IP(10, 0, 2, 15));
	assert_int_equal(check(r, answer(&a, &c, r)), NAK);
	assert_true(is_broadcast(r));
	assert_int_equal(get32(r + BOOTP + 16), 0);
	assert_null(find(r, 600, 51, NULL));
	ask(&a, REQUEST, false, 0); /* and of the same network, but not its own */
	option32(&a, 50, GUEST + 1);
	assert_int_equal(check(r, answer(&a, &c, r)), NAK);
	ask(&a, REQUEST, false, 0);
	option32(&a, 50, GUEST);
	assert_int_equal(check(r, answer(&a, &c, r)), ACK);
}

static void renewing__is_answered_to_the_address_it_has(void **state)
{
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;

	(void)state;
	ask(&a, REQUEST, false, GUEST);
	fk_put32(a.f + 30, US); /* renewing is unicast */
	assert_int_equal(check(r, answer(&a, &c, r)), ACK);
	assert_true(is_unicast(r, GUEST));
	assert_int_equal(get32(r + BOOTP + 12), GUEST);
	ask(&a, REQUEST, true, GUEST); /* rebinding */
	assert_int_equal(check(r, answer(&a, &c, r)), ACK);
	ask(&a, REQUEST, false, IP(192, 168, 250, 2)); /* restored from elsewhere */
	assert_int_equal(check(r, answer(&a, &c, r)), NAK);
	assert_true(is_broadcast(r));
}

static void inform__is_answered_without_an_address_and_a_lease(void **state)
{
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;
	size_t n;

	(void)state;
	ask(&a, INFORM, false, IP(192, 168, 249, 77)); /* set by hand */
	n = answer(&a, &c, r);
	assert_int_equal(check(r, n), ACK);
	assert_true(is_unicast(r, IP(192, 168, 249, 77)));
	assert_int_equal(get32(r + BOOTP + 16), 0);
	assert_null(find(r, n, 51, NULL));
	assert_non_null(find(r, n, 252, NULL));
	assert_int_equal(get32(find(r, n, 6, NULL)), IP(9, 9, 9, 9));
}

/* What counts as a lease: the guest has its address from us, for that long. */
static void a_lease__is_an_ack_with_an_address(void **state)
{
	struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;
	size_t n;

	(void)state;
	ask(&a, DISCOVER, false, 0);
	n = answer(&a, &c, r);
	assert_false(dhcp_grants(r, n)); /* an offer */
	ask(&a, REQUEST, false, 0);
	option32(&a, 50, GUEST);
	n = answer(&a, &c, r);
	assert_true(dhcp_grants(r, n));
	assert_false(dhcp_grants(r, BOOTP + 241));
	ask(&a, REQUEST, false, 0);
	option32(&a, 50, GUEST + 1);
	n = answer(&a, &c, r);
	assert_false(dhcp_grants(r, n)); /* refused */
	ask(&a, INFORM, false, GUEST);
	n = answer(&a, &c, r);
	assert_false(dhcp_grants(r, n)); /* an address that it has by itself */
	assert_int_equal(dhcp_lease(&c), 3600);
	c.lease = 60;
	assert_int_equal(dhcp_lease(&c), 60);
}

/* ---- options ---- */

static void options__say_what_is_configured_mask_before_router(void **state)
{
	struct dhcp_config c = config();
	const uint8_t *mask, *router, *p;
	uint8_t r[1514], length;
	struct ask a;
	size_t n;

	(void)state;
	c.mtu = 1428;
	(void)snprintf(c.domain, sizeof(c.domain), "example.org");
	c.route[0] = (struct dhcp_route){ IP(10, 17, 0, 0), US, 16 };
	c.route[1] = (struct dhcp_route){ 0, US, 0 };
	c.route_count = 2;
	ask(&a, DISCOVER, false, 0);
	n = answer(&a, &c, r);
	assert_int_equal(check(r, n), OFFER);
	mask = find(r, n, 1, NULL);
	router = find(r, n, 3, NULL);
	assert_int_equal(get32(mask), IP(255, 255, 255, 0));
	assert_int_equal(get32(router), US);
	assert_true(mask < router);
	assert_int_equal(get32(find(r, n, 28, NULL)), IP(192, 168, 249, 255));
	p = find(r, n, 12, &length);
	assert_int_equal(length, 3);
	assert_memory_equal(p, "win", 3);
	p = find(r, n, 15, &length);
	assert_memory_equal(p, "example.org", length);
	p = find(r, n, 26, &length);
	assert_int_equal(p[0] << 8 | p[1], 1428);
	p = find(r, n, 252, &length);
	assert_int_equal(length, 1);
	assert_int_equal(p[0], '\n');
	p = find(r, n, 121, &length);
	assert_int_equal(length, 12);
	assert_memory_equal(p, "\x10\x0a\x11\xc0\xa8\xf9\x01\x00\xc0\xa8\xf9\x01", 12);
	p = find(r, n, 6, &length);
	assert_int_equal(length, 8);
}

static void without_a_way_out__no_router_and_no_dns_are_named(void **state)
{
	struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;
	size_t n;

	(void)state;
	c.router = 0;
	c.dns_count = 0;
	c.host_name[0] = '\0';
	ask(&a, DISCOVER, false, 0);
	n = answer(&a, &c, r);
	assert_int_equal(check(r, n), OFFER);
	assert_null(find(r, n, 3, NULL));
	assert_null(find(r, n, 6, NULL));
	assert_null(find(r, n, 12, NULL));
	assert_null(find(r, n, 26, NULL));
}

static void a_reply_that_does_not_fit__is_none(void **state)
{
	struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;

	(void)state;
	ask(&a, DISCOVER, false, 0);
	(void)answer(&a, &c, r);
	for (size_t max = 0; max < BOOTP + 300; max++)
		assert_int_equal(dhcp_reply(&c, a.f, a.n, r, max), 0);
	assert_int_not_equal(dhcp_reply(&c, a.f, a.n, r, BOOTP + 340), 0);
}

/* ---- what is not for us ---- */

static size_t with(size_t at, uint8_t v)
{
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;

	ask(&a, DISCOVER, false, 0);
	a.f[at] = v;
	return answer(&a, &c, r);
}

static void what_is_not_for_us__is_left_alone(void **state)
{
	static const size_t places[] = {
		6,     12,        13,        14,         20,         23,
		30,    35,        37, /* source, type, IP, fragment, protocol, ports */
		BOOTP, BOOTP + 1, BOOTP + 2, BOOTP + 24, BOOTP + 28, BOOTP + 236,
	};

	(void)state;
	assert_int_not_equal(with(BOOTP + 4, 0x12), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		assert_int_equal(with(places[i], 0x21), 0);
}

static void other_servers__and_declines_are_left_alone(void **state)
{
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;

	(void)state;
	ask(&a, REQUEST, false, 0);
	option32(&a, 50, GUEST);
	option32(&a, 54, US + 7);
	assert_int_equal(answer(&a, &c, r), 0);
	ask(&a, DECLINE, false, 0);
	option32(&a, 50, GUEST);
	assert_int_equal(answer(&a, &c, r), 0);
	ask(&a, RELEASE, false, GUEST);
	assert_int_equal(answer(&a, &c, r), 0);
	ask(&a, REQUEST, false, 0); /* neither address nor server: no client sends that */
	assert_int_equal(answer(&a, &c, r), 0);
}

static void damaged_options__are_no_request(void **state)
{
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;

	(void)state;
	ask(&a, DISCOVER, false, 0);
	a.f[a.n++] = 50; /* longer than what is left */
	a.f[a.n++] = 200;
	assert_int_equal(answer(&a, &c, r), 0);
	ask(&a, DISCOVER, false, 0);
	for (size_t n = 0; n < a.n; n++) /* cut anywhere */
		assert_int_equal(dhcp_reply(&c, a.f, n, r, sizeof(r)), 0);
}

/* Whatever the lengths say, nothing behind the frame is looked at (AddressSanitizer sees its end). */
static void lengths_that_lie__are_no_request(void **state)
{
	enum {
		OPTIONS = 8 + 240,
		TYPE = 3,
		ID = 9
	}; /* of UDP, until the options; and of each of them */
	const struct dhcp_config c = config();
	uint8_t r[1514], *exact;
	struct ask a;

	(void)state;
	ask(&a, DISCOVER, false, 0);
	assert_int_not_equal(answer(&a, &c, r), 0);
	exact = malloc(a.n);
	assert_non_null(exact);
	for (unsigned v = 0; v <= 0xffff; v++) {
		const bool whole =
			v == OPTIONS + TYPE || (v >= OPTIONS + TYPE + ID && v <= a.n - 34);

		memcpy(exact, a.f, a.n);
		fk_put16(exact + 16, v); /* of IP */
		assert_int_equal(dhcp_reply(&c, exact, a.n, r, sizeof(r)) != 0, v == a.n - 14);
		memcpy(exact, a.f, a.n);
		fk_put16(exact + 38, v); /* of UDP */
		assert_int_equal(dhcp_reply(&c, exact, a.n, r, sizeof(r)) != 0, whole);
	}
	free(exact);
}

static void options_that_lie__say_nothing(void **state)
{
	static const uint8_t two[5] = { DISCOVER, DISCOVER };
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;
	size_t n;

	(void)state;
	for (uint8_t length = 0; length <= 2; length++) { /* a type is one byte */
		ask(&a, DISCOVER, false, 0);
		a.n = BOOTP + 240;
		option(&a, 53, two, length);
		assert_int_equal(answer(&a, &c, r) != 0, length == 1);
	}
	for (uint8_t length = 3; length <= 5; length++) { /* an address four, */
		ask(&a, REQUEST, false, 0);
		option32(&a, 54, US);
		option(&a, 50, two, length);
		assert_int_equal(answer(&a, &c, r) != 0, length == 4);
	}
	/* What sname and file have is no option, though one says so: nothing of it is followed. */
	ask(&a, DISCOVER, false, 0);
	option(&a, 52, "\3", 1);
	memcpy(a.f + BOOTP + 44, "\x35\1\3\x34\1\3\x32\xff", 8);
	memset(a.f + BOOTP + 108, 0xff, 128);
	assert_int_equal(check(r, answer(&a, &c, r)), OFFER);
	/* As many as there is room for, none with anything in it; and all padding. */
	for (unsigned i = 0; i < 2; i++) {
		ask(&a, DISCOVER, false, 0);
		while (a.n + 3 <= 1514)
			option(&a, i == 0 ? 55 : 0, NULL, 0);
		n = answer(&a, &c, r);
		assert_int_equal(check(r, n), OFFER);
	}
}

static void golden__the_ack_of_windows_request(void **state)
{
	static const uint8_t want[] = {
		0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0xfe, 0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x00,
		0x45, 0x00, 0x01, 0x5c, 0x00, 0x00, 0x00, 0x00, 0x40, 0x11, 0x09, 0x3e, 0xc0, 0xa8,
		0xf9, 0x01, 0xc0, 0xa8, 0xf9, 0x02, 0x00, 0x43, 0x00, 0x44, 0x01, 0x48,
	};
	static const uint8_t options[] = {
		53, 1,  5, 54,  4,   192, 168, 249, 1,   51,   4,    0,   0,   0x0e, 0x10, 58,
		4,  0,  0, 7,   8,   59,  4,   0,   0,   0x0c, 0x4e, 1,   4,   255,  255,  255,
		0,  3,  4, 192, 168, 249, 1,   6,   8,   9,    9,    9,   9,   1,    1,    1,
		1,  12, 3, 'w', 'i', 'n', 28,  4,   192, 168,  249,  255, 252, 1,    '\n', 255,
	};
	const struct dhcp_config c = config();
	uint8_t r[1514];
	struct ask a;
	size_t n;

	(void)state;
	ask(&a, REQUEST, false, 0);
	option32(&a, 50, GUEST);
	option32(&a, 54, US);
	n = answer(&a, &c, r);
	assert_int_equal(n, BOOTP + sizeof(options) + 240);
	assert_memory_equal(r + BOOTP + 240, options, sizeof(options));
	assert_memory_equal(r, want, 16);
	assert_memory_equal(r + 18, want + 18, 6);
	assert_memory_equal(r + 26, want + 26, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows__gets_its_lease_without_and_with_the_broadcast_flag),
		cmocka_unit_test(windows_from_another_network__is_told_so_at_once),
		cmocka_unit_test(renewing__is_answered_to_the_address_it_has),
		cmocka_unit_test(a_lease__is_an_ack_with_an_address),
		cmocka_unit_test(inform__is_answered_without_an_address_and_a_lease),
		cmocka_unit_test(options__say_what_is_configured_mask_before_router),
		cmocka_unit_test(without_a_way_out__no_router_and_no_dns_are_named),
		cmocka_unit_test(a_reply_that_does_not_fit__is_none),
		cmocka_unit_test(what_is_not_for_us__is_left_alone),
		cmocka_unit_test(other_servers__and_declines_are_left_alone),
		cmocka_unit_test(damaged_options__are_no_request),
		cmocka_unit_test(lengths_that_lie__are_no_request),
		cmocka_unit_test(options_that_lie__say_nothing),
		cmocka_unit_test(golden__the_ack_of_windows_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
