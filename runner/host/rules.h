/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - what the kernel's packet filter is told about a VM's cards.
 *
 * Pure: it fills a batch (nft.h). The tables, the chains and the order of their rules are in rules.c.
 */
#ifndef RUNNER_HOST_RULES_H
#define RUNNER_HOST_RULES_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "runner/host/nft.h"

enum { RULES_DNS = 3 };

/* Public struct. A card that there are rules for. */
struct rules_card {
	const char *tap; /* borrowed */
	uint8_t mac[6];  /* the guest's */
	struct nft_net
		guest; /* what the guest's packets may have as their source; a prefix of 0: not known */
	uint32_t host;           /* the host's side; 0: none */
	uint32_t dns[RULES_DNS]; /* what the guest is told to ask */
	unsigned dns_count;
	bool nat;             /* it reaches what the host reaches, under its address */
	uint32_t peer;        /* whom it must reach, whatever the default route is; 0: nobody */
	bool isolate;         /* but not the host itself, nor private networks */
	bool dhcp_by_program; /* its requests are for one on the host, not for the card */
	bool antispoof;       /* it has no other addresses than its own */
	bool stays;           /* the tap, when the VM ends */
	bool nat6;            /* nat is for IPv6, too: of this network of 64 bits */
	bool nat6_insists;    /* even if the whole host has to forward for it */
	uint8_t net6[8];
};

/* Public struct; all of it borrowed. */
struct rules {
	const struct rules_card *cards;
	unsigned count;                     /* at least 1 */
	const char (*uplinks)[IF_NAMESIZE]; /* that forward for our sake alone */
	unsigned uplink_count;
	const char (*uplinks6)[IF_NAMESIZE]; /* likewise, of IPv6 */
	unsigned uplink6_count;
	const struct nft_net *near; /* networks that the host itself is in */
	unsigned near_count;
};

/* The name of the VM's tables, by the tap of its first card. */
void rules_name(char ret[NFT_NAME], const char *tap);
void rules_put(struct nft *b, const struct rules *r);
/* Is the address (in the host's byte order) one that isolate keeps a guest from on any host? */
bool rules_private(uint32_t address);

#endif
