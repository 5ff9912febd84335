/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp.h - a DHCP server for one guest with one address (RFC 2131, 2132), as a
 * function from a frame to a frame. It keeps nothing, needs no port and no
 * privilege: the card asks it about frames that the guest sends, and puts the
 * answer where frames for the guest come from.
 *
 * For a link that has only this guest on it, never for somebody's LAN.
 */
#ifndef BACKEND_NET_DHCP_H
#define BACKEND_NET_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DHCP_MAX_DNS = 3,
	DHCP_MAX_ROUTES = 8,
	DHCP_LOOK = 14 + 20 + 8, /* bytes dhcp_is_request() looks at */
	DHCP_REQUEST_MIN = 14 + 20 + 8 + 240,
	DHCP_REQUEST_MAX = 1514,
	DHCP_REPLY_MAX = 12 + 1514, /* with room for a card's header */
};

struct dhcp_route {
	uint32_t net, gateway; /* like all addresses here: in the host's byte order */
	uint8_t prefix;        /* 0..32 */
};

struct dhcp_config {
	uint8_t mac[6];      /* of the guest: nobody else is answered */
	uint8_t host_mac[6]; /* of our side */
	uint32_t address;    /* the guest's */
	uint32_t host;       /* ours */
	uint8_t prefix;      /* 1..30 */
	uint32_t router;     /* 0: none */
	uint32_t dns[DHCP_MAX_DNS];
	unsigned dns_count;
	struct dhcp_route route[DHCP_MAX_ROUTES];
	unsigned route_count;
	uint16_t mtu;       /* 0: not said */
	uint32_t lease;     /* seconds; 0: an hour */
	char host_name[64]; /* "": not said */
	char domain[128];   /* likewise */
};

/* From its first DHCP_LOOK bytes: might it be for a DHCP server? Cheap. */
bool dhcp_is_request(const uint8_t *frame, size_t n);

/*
 * The answer to the frame @frame of @n bytes, at most @max into @reply: its length.
 * 0: there is none, and the frame is like any other (not DHCP, not from this guest,
 * for another server, a RELEASE).
 */
size_t dhcp_reply(const struct dhcp_config *c, const uint8_t *frame, size_t n, uint8_t *reply,
		  size_t max);

/* Does this answer of dhcp_reply()'s give the guest its address? */
bool dhcp_grants(const uint8_t *reply, size_t n);
/* For how long then, in seconds. */
uint32_t dhcp_lease(const struct dhcp_config *c);

#endif
