/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ndp.c - see ndp.h.
 *
 *	Ethernet  dst 6, src 6, type 0x86dd
 *	IPv6      version, class and flow u32, payload length u16, next header, hop limit,
 *	          source 16, destination 16
 *	ICMPv6    type, code, checksum u16, body, options
 *
 * An option is { type, length in units of 8 bytes, body }. Bodies:
 *
 *	solicitation of a router     reserved u32
 *	advert of a router           hop limit, flags, lifetime u16, reachable u32, retransmit u32
 *	solicitation of a neighbour  reserved u32, target 16
 *
 * What passes a router has a hop limit of less than 255; so nobody but the guest can have sent
 * what has 255 (RFC 4861 6.1.1). Checksums of what comes are not looked at, as in dhcp.c.
 */
#include "backend/net/ndp.h"

#include <string.h>

#include "backend/net/wire.h"
#include "sill/config.h"

enum {
	IP = 14,
	IP_HEADER = 40,
	IP_LENGTH = 4,
	IP_NEXT = 6,
	IP_HOPS = 7,
	IP_SOURCE = 8,
	IP_DESTINATION = 24,
	ICMP = IP + IP_HEADER,
	PROTOCOL_ICMP = 58,
	HOPS = 255,
};

enum {
	ROUTER_SOLICIT = 133,
	ROUTER_ADVERT = 134,
	NEIGHBOUR_SOLICIT = 135,
	NEIGHBOUR_ADVERT = 136,
	ROUTER_BODY = 16,    /* of an advert, with its type and checksum */
	SOLICIT_BODY = 8,    /* likewise */
	NEIGHBOUR_BODY = 24, /* likewise */
	TARGET = 8,
};

enum { O_SOURCE = 1, O_PREFIX = 3, O_MTU = 5, O_DNS = 25 };

enum { ON_LINK = 0x80, AUTONOMOUS = 0x40, GUEST_HOPS = 64 };

static const uint8_t nobody[16] = { 0 };
static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

/* ---- what came ---- */

bool ndp_is_for_router(const uint8_t *frame, size_t n)
{
	const uint8_t *ip = frame + IP;

	return n >= NDP_LOOK && wire_get16(frame + 12) == 0x86dd && ip[0] >> 4 == 6 &&
	       ip[IP_NEXT] == PROTOCOL_ICMP && ip[IP_HOPS] == HOPS &&
	       (frame[ICMP] == ROUTER_SOLICIT || frame[ICMP] == NEIGHBOUR_SOLICIT ||
		frame[ICMP] == NEIGHBOUR_ADVERT);
}

/* The ICMPv6 message of this guest: its length. 0: it is none, or malformed. */
static size_t parse(const struct ndp_config *c, const uint8_t *frame, size_t n)
{
	size_t length, body, at;

	if (n < NDP_MESSAGE_MIN || !ndp_is_for_router(frame, n) ||
	    memcmp(frame + 6, c->mac, 6) != 0 || frame[ICMP + 1] != 0)
		return 0;
	length = wire_get16(frame + IP + IP_LENGTH);
	body = frame[ICMP] == ROUTER_SOLICIT ? SOLICIT_BODY : NEIGHBOUR_BODY;
	if (length > n - ICMP || length < body)
		return 0;
	for (at = body; at < length; at += 8u * frame[ICMP + at + 1]) {
		if (length - at < 8 || frame[ICMP + at + 1] == 0)
			return 0;
		/* Who has no address yet cannot be told where to answer. */
		if (frame[ICMP + at] == O_SOURCE && memcmp(frame + IP + IP_SOURCE, nobody, 16) == 0)
			return 0;
	}
	return at == length ? length : 0;
}

bool ndp_is_guests(const struct ndp_config *c, const uint8_t address[16])
{
	return memcmp(address, c->host, 8) == 0 && memcmp(address, c->host, 16) != 0 &&
	       memcmp(address + 8, nobody, 8) != 0;
}

bool ndp_learn(const struct ndp_config *c, const uint8_t *frame, size_t n, uint8_t ret[16])
{
	const uint8_t *source = frame + IP + IP_SOURCE, *found = source;

	if (parse(c, frame, n) == 0 || frame[ICMP] == ROUTER_SOLICIT)
		return false;
	/* It asks whether anybody has the address that it wants to take. */
	if (frame[ICMP] == NEIGHBOUR_SOLICIT && memcmp(source, nobody, 16) == 0)
		found = frame + ICMP + TARGET;
	if (!ndp_is_guests(c, found))
		return false;
	memcpy(ret, found, 16);
	return true;
}

/* ---- what goes ---- */

/* RFC 4861 4.6.2 */
static uint8_t *put_prefix(uint8_t *p, const struct ndp_config *c)
{
	p[0] = O_PREFIX;
	p[1] = 4;
	p[2] = 64;
	p[3] = ON_LINK | AUTONOMOUS;
	wire_put32(p + 4, NDP_VALID_S);
	wire_put32(p + 8, NDP_PREFERRED_S);
	memcpy(p + 16, c->host, 8);
	return p + 32;
}

/* RFC 8106 5.1 */
static uint8_t *put_dns(uint8_t *p, const struct ndp_config *c)
{
	const unsigned count = c->dns_count < NDP_MAX_DNS ? c->dns_count : NDP_MAX_DNS;

	if (count == 0)
		return p;
	p[0] = O_DNS;
	p[1] = (uint8_t)(1 + 2 * count);
	wire_put32(p + 4, NDP_ROUTER_S);
	memcpy(p + 8, c->dns, 16 * (size_t)count);
	return p + 8 + 16 * (size_t)count;
}

/* The ICMPv6 message, but for its checksum: its length. */
static size_t put_message(uint8_t *icmp, const struct ndp_config *c)
{
	uint8_t *p = icmp + ROUTER_BODY;

	icmp[0] = ROUTER_ADVERT;
	icmp[4] = GUEST_HOPS;
	wire_put16(icmp + 6, c->routes ? NDP_ROUTER_S : 0);
	p[0] = O_SOURCE;
	p[1] = 1;
	memcpy(p + 2, c->host_mac, 6);
	p += 8;
	if (c->mtu >= NDP_MTU_MIN) {
		p[0] = O_MTU;
		p[1] = 1;
		wire_put32(p + 4, c->mtu);
		p += 8;
	}
	p = put_prefix(p, c);
	return (size_t)(put_dns(p, c) - icmp);
}

static size_t advertise(const struct ndp_config *c, const uint8_t to[16], uint8_t *f, size_t max)
{
	const bool all = to[0] == 0xff;
	uint8_t *ip = f + IP, *icmp = f + ICMP;
	size_t length;

	if (max < NDP_ADVERT_MAX)
		return 0;
	memset(f, 0, NDP_ADVERT_MAX);
	length = put_message(icmp, c);
	/* RFC 2464 7: a group's address on Ethernet */
	memcpy(f, all ? (const uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 } : c->mac, 6);
	memcpy(f + 6, c->host_mac, 6);
	wire_put16(f + 12, 0x86dd);
	ip[0] = 0x60;
	wire_put16(ip + IP_LENGTH, (uint32_t)length);
	ip[IP_NEXT] = PROTOCOL_ICMP;
	ip[IP_HOPS] = HOPS;
	sill_link_local(c->host_mac, ip + IP_SOURCE);
	memcpy(ip + IP_DESTINATION, to, 16);
	/* RFC 4443 2.3: with both addresses, the length and the protocol. */
	wire_put16(icmp + 2, wire_fold(wire_add_up(PROTOCOL_ICMP + (uint32_t)length, ip + IP_SOURCE,
						   32 + length)));
	return ICMP + length;
}

size_t ndp_advert(const struct ndp_config *c, uint8_t *reply, size_t max)
{
	return advertise(c, all_nodes, reply, max);
}

size_t ndp_reply(const struct ndp_config *c, const uint8_t *frame, size_t n, uint8_t *reply,
		 size_t max)
{
	uint8_t to[16];

	if (parse(c, frame, n) == 0 || frame[ICMP] != ROUTER_SOLICIT)
		return 0;
	memcpy(to, frame + IP + IP_SOURCE, 16);
	/* Without an address yet; or none that could be one. */
	if (memcmp(to, nobody, 16) == 0 || to[0] == 0xff)
		memcpy(to, all_nodes, 16);
	return advertise(c, to, reply, max);
}
