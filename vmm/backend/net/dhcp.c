/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp.c - see dhcp.h.
 *
 *	Ethernet  dst 6, src 6, type 0x0800
 *	IPv4      version and length, tos, total u16, id u16, flags and offset u16, ttl,
 *	          protocol, checksum u16, source u32, destination u32
 *	UDP       source u16, destination u16, length u16, checksum u16
 *	BOOTP     op, htype, hlen, hops, xid u32, secs u16, flags u16, ciaddr u32, yiaddr u32,
 *	          siaddr u32, giaddr u32, chaddr 16, sname 64, file 128, cookie u32, options
 *
 * An option is { code, length, bytes }; 0 is padding, 255 the end. That options go
 * on in sname and file (option 52) is not looked at: no client does that.
 *
 * Checksums of what comes are not looked at: the card's driver leaves them to the
 * card. Those of what goes are complete: clients that read raw packets check them.
 */
#include "backend/net/dhcp.h"

#include <string.h>

#include "backend/net/wire.h"

enum {
	IP = 14,
	IP_HEADER = 20,
	UDP_HEADER = 8,
	PROTOCOL_UDP = 17,
	SERVER_PORT = 67,
	CLIENT_PORT = 68,
	TTL = 64,
};

/* Places in the BOOTP part. */
enum {
	B_OP = 0,
	B_HTYPE = 1,
	B_HLEN = 2,
	B_XID = 4,
	B_SECS = 8,
	B_FLAGS = 10,
	B_CIADDR = 12,
	B_YIADDR = 16,
	B_GIADDR = 24,
	B_CHADDR = 28,
	B_COOKIE = 236,
	B_OPTIONS = 240,
	B_MIN = 300,           /* RFC 1542 2.1: shorter ones were thrown away by some */
	FLAG_BROADCAST = 0x80, /* of the first byte */
};

enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6, INFORM = 8 };

enum {
	O_PAD = 0,
	O_MASK = 1,
	O_ROUTER = 3,
	O_DNS = 6,
	O_HOST_NAME = 12,
	O_DOMAIN = 15,
	O_MTU = 26,
	O_BROADCAST = 28,
	O_ADDRESS = 50,
	O_LEASE = 51,
	O_TYPE = 53,
	O_SERVER = 54,
	O_T1 = 58,
	O_T2 = 59,
	O_ROUTES = 121,
	O_WPAD = 252,
	O_END = 255,
};

static const uint8_t cookie[4] = { 99, 130, 83, 99 };
static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* ---- what came ---- */

struct request {
	const uint8_t *bootp; /* borrowed; at least B_OPTIONS bytes */
	uint8_t type;
	uint32_t ciaddr;
	bool has_address, has_server;
	uint32_t address, server;
};

bool dhcp_is_request(const uint8_t *frame, size_t n)
{
	const uint8_t *ip = frame + IP;
	size_t header;

	if (n < DHCP_LOOK || wire_get16(frame + 12) != 0x0800 || ip[0] >> 4 != 4 ||
	    ip[9] != PROTOCOL_UDP || (wire_get16(ip + 6) & 0x3fff) != 0)
		return false;
	header = 4u * (ip[0] & 15);
	/* With IP options the ports come later; no client sends any. */
	return header == IP_HEADER && wire_get16(ip + header) == CLIENT_PORT &&
	       wire_get16(ip + header + 2) == SERVER_PORT;
}

static bool parse_options(struct request *r, const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n && p[at] != O_END) {
		size_t length;

		if (p[at] == O_PAD) {
			at++;
			continue;
		}
		if (n - at < 2 || p[at + 1] > n - at - 2)
			return false;
		length = p[at + 1];
		if (p[at] == O_TYPE && length == 1)
			r->type = p[at + 2];
		if (p[at] == O_ADDRESS && length == 4) {
			r->has_address = true;
			r->address = wire_get32(p + at + 2);
		}
		if (p[at] == O_SERVER && length == 4) {
			r->has_server = true;
			r->server = wire_get32(p + at + 2);
		}
		at += 2 + length;
	}
	return true;
}

static uint32_t mask_of(const struct dhcp_config *c)
{
	return ~0u << (32 - c->prefix);
}

/* Is it a request of this guest, to everybody or to us? */
static bool parse(struct request *r, const struct dhcp_config *c, const uint8_t *frame, size_t n)
{
	const uint8_t *ip = frame + IP, *udp = ip + IP_HEADER;
	uint32_t to;
	size_t total, length;

	*r = (struct request){ .bootp = udp + UDP_HEADER };
	if (n < DHCP_REQUEST_MIN || !dhcp_is_request(frame, n))
		return false;
	total = wire_get16(ip + 2);
	length = wire_get16(udp + 4);
	if (total > n - IP || total < IP_HEADER + UDP_HEADER + B_OPTIONS ||
	    length > total - IP_HEADER || length < UDP_HEADER + B_OPTIONS)
		return false;
	to = wire_get32(ip + 16);
	if (to != ~0u && to != c->host && to != (c->host | ~mask_of(c)))
		return false;
	if (memcmp(frame + 6, c->mac, 6) != 0 || memcmp(r->bootp + B_CHADDR, c->mac, 6) != 0 ||
	    r->bootp[B_OP] != 1 || r->bootp[B_HTYPE] != 1 || r->bootp[B_HLEN] != 6 ||
	    wire_get32(r->bootp + B_GIADDR) != 0 || memcmp(r->bootp + B_COOKIE, cookie, 4) != 0)
		return false;
	r->ciaddr = wire_get32(r->bootp + B_CIADDR);
	return parse_options(r, r->bootp + B_OPTIONS, length - UDP_HEADER - B_OPTIONS);
}

/* OFFER, ACK, NAK; 0: silence. */
static uint8_t decide(const struct dhcp_config *c, const struct request *r)
{
	switch (r->type) {
	case DISCOVER:
		return OFFER;
	case INFORM:
		return ACK;
	case REQUEST:
		if (r->has_server && r->server != c->host)
			return 0;                      /* it has chosen somebody else */
		if (r->has_server || r->ciaddr == 0) { /* selecting, or back after a reboot */
			if (!r->has_address)
				return 0;
			return r->address == c->address ? ACK : NAK;
		}
		return r->ciaddr == c->address ? ACK : NAK; /* renewing, rebinding */
	default:
		return 0; /* DECLINE, RELEASE: there is nothing to do */
	}
}

/* ---- what goes ---- */

struct writer {
	uint8_t *p;
	size_t at, max; /* at > max: it did not fit */
};

static void option(struct writer *w, uint8_t code, const void *bytes, size_t n)
{
	if (w->at > w->max || w->max - w->at < 2 + n || n > 255) {
		w->at = w->max + 1;
		return;
	}
	w->p[w->at] = code;
	w->p[w->at + 1] = (uint8_t)n;
	memcpy(w->p + w->at + 2, bytes, n);
	w->at += 2 + n;
}

static void option32(struct writer *w, uint8_t code, uint32_t v)
{
	uint8_t b[4];

	wire_put32(b, v);
	option(w, code, b, 4);
}

static void option_text(struct writer *w, uint8_t code, const char *text, size_t max)
{
	if (text[0] != '\0')
		option(w, code, text, strnlen(text, max));
}

/* RFC 3442: { prefix, as many bytes of the net as it covers, gateway } each. */
static void option_routes(struct writer *w, const struct dhcp_config *c)
{
	uint8_t b[DHCP_MAX_ROUTES * 9];
	size_t n = 0;

	for (unsigned i = 0; i < c->route_count && i < DHCP_MAX_ROUTES; i++) {
		const struct dhcp_route *r = &c->route[i];
		uint8_t net[4];

		wire_put32(net, r->net);
		b[n++] = r->prefix;
		memcpy(b + n, net, (r->prefix + 7u) / 8);
		n += (r->prefix + 7u) / 8;
		wire_put32(b + n, r->gateway);
		n += 4;
	}
	if (n > 0)
		option(w, O_ROUTES, b, n);
}

/* The mask comes before the router: RFC 2132 3.3. */
static void network_options(struct writer *w, const struct dhcp_config *c)
{
	uint8_t dns[4 * DHCP_MAX_DNS], mtu[2];
	unsigned count = c->dns_count < DHCP_MAX_DNS ? c->dns_count : DHCP_MAX_DNS;

	option32(w, O_MASK, mask_of(c));
	if (c->router != 0)
		option32(w, O_ROUTER, c->router);
	for (unsigned i = 0; i < count; i++)
		wire_put32(dns + 4 * (size_t)i, c->dns[i]);
	if (count > 0)
		option(w, O_DNS, dns, 4 * (size_t)count);
	option_text(w, O_HOST_NAME, c->host_name, sizeof(c->host_name));
	option_text(w, O_DOMAIN, c->domain, sizeof(c->domain));
	if (c->mtu != 0) {
		wire_put16(mtu, c->mtu);
		option(w, O_MTU, mtu, 2);
	}
	option32(w, O_BROADCAST, c->address | ~mask_of(c));
	option_routes(w, c);
	option(w, O_WPAD, "\n", 1); /* do not look for a proxy */
}

uint32_t dhcp_lease(const struct dhcp_config *c)
{
	return c->lease != 0 ? c->lease : 3600;
}

/* The type is the first option; an answer to INFORM has no address. */
bool dhcp_grants(const uint8_t *reply, size_t n)
{
	const uint8_t *bootp = reply + IP + IP_HEADER + UDP_HEADER;

	return n >= DHCP_REQUEST_MIN + 3 && bootp[B_OPTIONS] == O_TYPE &&
	       bootp[B_OPTIONS + 2] == ACK && wire_get32(bootp + B_YIADDR) != 0;
}

/* The BOOTP part: its length, 0 when it does not fit. */
static size_t write_bootp(const struct dhcp_config *c, const struct request *r, uint8_t type,
			  uint8_t *p, size_t max)
{
	struct writer w = { .p = p, .at = B_OPTIONS, .max = max - 1 };
	const bool inform = r->type == INFORM;
	const uint32_t lease = dhcp_lease(c);

	memset(p, 0, max);
	p[B_OP] = 2;
	p[B_HTYPE] = 1;
	p[B_HLEN] = 6;
	memcpy(p + B_XID, r->bootp + B_XID, 4);
	memcpy(p + B_FLAGS, r->bootp + B_FLAGS, 2);
	memcpy(p + B_CHADDR, r->bootp + B_CHADDR, 16);
	memcpy(p + B_COOKIE, cookie, 4);
	if (type != NAK)
		wire_put32(p + B_CIADDR, r->type == DISCOVER ? 0 : r->ciaddr);
	if (type != NAK && !inform)
		wire_put32(p + B_YIADDR, c->address);
	option(&w, O_TYPE, &type, 1);
	option32(&w, O_SERVER, c->host);
	if (type != NAK && !inform) {
		option32(&w, O_LEASE, lease);
		option32(&w, O_T1, lease / 2);
		option32(&w, O_T2, (uint32_t)((uint64_t)lease * 7 / 8));
	}
	if (type != NAK)
		network_options(&w, c);
	if (w.at > w.max)
		return 0;
	p[w.at++] = O_END;
	return w.at < B_MIN ? B_MIN : w.at;
}

static void write_headers(uint8_t *frame, const struct dhcp_config *c, uint32_t to, size_t bootp)
{
	uint8_t *ip = frame + IP, *udp = ip + IP_HEADER;
	const size_t udp_length = UDP_HEADER + bootp;
	uint16_t sum;

	memcpy(frame + 6, c->host_mac, 6);
	wire_put16(frame + 12, 0x0800);
	memset(ip, 0, IP_HEADER + UDP_HEADER);
	ip[0] = 0x45;
	wire_put16(ip + 2, (uint32_t)(IP_HEADER + udp_length));
	ip[8] = TTL;
	ip[9] = PROTOCOL_UDP;
	wire_put32(ip + 12, c->host);
	wire_put32(ip + 16, to);
	wire_put16(ip + 10, wire_fold(wire_add_up(0, ip, IP_HEADER)));
	wire_put16(udp, SERVER_PORT);
	wire_put16(udp + 2, CLIENT_PORT);
	wire_put16(udp + 4, (uint32_t)udp_length);
	sum = wire_fold(wire_add_up(PROTOCOL_UDP + (uint32_t)udp_length, ip + 12, 8 + udp_length));
	wire_put16(udp + 6, sum != 0 ? sum : 0xffff);
}

size_t dhcp_reply(const struct dhcp_config *c, const uint8_t *frame, size_t n, uint8_t *reply,
		  size_t max)
{
	const size_t before = IP + IP_HEADER + UDP_HEADER;
	uint32_t to = c->address;
	struct request r;
	size_t bootp;
	uint8_t type;

	if (max < before + B_MIN || !parse(&r, c, frame, n))
		return 0;
	type = decide(c, &r);
	if (type == 0)
		return 0;
	bootp = write_bootp(c, &r, type, reply + before, max - before);
	if (bootp == 0)
		return 0;
	/* To whom: RFC 2131 4.1. A NAK goes to everybody: the guest's address is not what it thinks. */
	if (type == NAK)
		to = ~0u;
	else if (r.ciaddr != 0 && r.type != DISCOVER)
		to = r.ciaddr;
	else if ((r.bootp[B_FLAGS] & FLAG_BROADCAST) != 0 || r.type == INFORM)
		to = ~0u;
	memcpy(reply, to == ~0u ? everybody : c->mac, 6);
	write_headers(reply, c, to, bootp);
	return before + bootp;
}
