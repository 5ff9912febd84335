/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ndp.h - a router for one guest (RFC 4861, 4862, 8106), as a function from a frame to a
 * frame: it tells the guest the network that it makes its address of. Like dhcp.h it keeps nothing, needs
 * no port and no privilege, and is for a link that has only this guest on it. Who has which address is asked
 * of the host's kernel, whose side of the link has the link-local address that its MAC address makes.
 *
 * There is no DHCPv6: a guest takes its address, and from Windows 10 1703 on its name servers, without.
 */
#ifndef BACKEND_NET_NDP_H
#define BACKEND_NET_NDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NDP_MAX_DNS = 3,
	NDP_LOOK = 14 + 40 + 1, /* bytes ndp_is_for_router() looks at */
	NDP_MESSAGE_MIN = 14 + 40 + 8,
	NDP_MESSAGE_MAX = 256, /* with more options than any system sends */
	NDP_ADVERT_MAX = 14 + 40 + 16 + 8 + 8 + 32 + 8 + 16 * NDP_MAX_DNS,
	NDP_INTERVAL_S = 600,   /* between adverts nobody asked for: RFC 4861 6.2.1 */
	NDP_ROUTER_S = 1800,    /* how long one makes us the guest's router, and names servers */
	NDP_PREFERRED_S = 3600, /* how long its network is used for what begins, */
	NDP_VALID_S = 7200, /* and at all: RFC 4862 5.5.3 (e) lets nobody shorten that to less */
	NDP_MTU_MIN = 1280, /* RFC 8200 5: of a link that IPv6 can be on */
};

struct ndp_config {
	uint8_t mac[6];      /* of the guest: nobody else is answered */
	uint8_t host_mac[6]; /* of our side */
	uint8_t host[16];    /* our address; its first 64 bits are the network */
	bool routes;         /* the host leads further than to itself */
	uint16_t mtu;        /* 0: not said */
	uint8_t dns[NDP_MAX_DNS][16];
	unsigned dns_count;
};

/* From its first NDP_LOOK bytes: might it be something for a router, or tell where the guest is? Cheap. */
bool ndp_is_for_router(const uint8_t *frame, size_t n);

/*
 * The answer to the frame @frame of @n bytes, at most @max into @reply: its length. 0: there
 * is none, and the frame is like any other (it asks for no router, or is not of this guest).
 */
size_t ndp_reply(const struct ndp_config *c, const uint8_t *frame, size_t n, uint8_t *reply,
		 size_t max);
/* What a router says to all from time to time; likewise. */
size_t ndp_advert(const struct ndp_config *c, uint8_t *reply, size_t max);

/* Might the guest have this address of our network? Not one that leads to the host: its own, and that of all routers. */
bool ndp_is_guests(const struct ndp_config *c, const uint8_t address[16]);
/* Does the guest try or use such an address in this frame? Then @ret is it. */
bool ndp_learn(const struct ndp_config *c, const uint8_t *frame, size_t n, uint8_t ret[16]);

#endif
