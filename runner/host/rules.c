/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c - see rules.h.
 *
 *	table inet sill_TAP {				nat, isolate
 *		flags owner
 *		chain guest_in {			what comes to the host
 *			type filter hook input priority filter; policy accept
 *			iifname TAP ct state established,related accept		isolate
 *			iifname TAP icmpv6 type nd-neighbor-solicit|nd-neighbor-advert accept
 *			iifname TAP ip daddr HOST icmp type echo-request accept
 *			iifname TAP ip daddr HOST udp|tcp dport 53 accept	if that is its name server
 *			iifname TAP udp dport 67 accept		if a program here answers its DHCP
 *			iifname TAP counter drop
 *		}
 *		chain guest_through {			what the host passes on
 *			type filter hook forward priority filter; policy accept
 *			ip, iifname UPLINK ct state != { established, related } counter drop
 *			ip6, likewise
 *			iifname TAP ip6 saddr != NETWORK counter drop		nat, of IPv6
 *			iifname TAP ip saddr != GUEST counter drop
 *			iifname TAP ip daddr DNS udp|tcp dport 53 accept	isolate
 *			iifname TAP jump guest_isolated
 *			oifname TAP ct state != { established, related } counter drop
 *		}
 *		chain guest_isolated {
 *			meta nfproto ipv6 counter drop
 *			ip daddr NETWORK counter drop				of private ones, and the host's
 *		}
 *		chain guest_nat {
 *			type nat hook postrouting priority srcnat; policy accept
 *			ip saddr GUEST oifname != TAP counter masquerade	nat
 *			ip6 saddr NETWORK oifname != TAP counter masquerade
 *		}
 *	}
 *	table netdev sill_TAP {				antispoof
 *		flags owner
 *		chain from_TAP {			what the guest sends, to whomever
 *			type filter hook ingress device TAP priority -500; policy accept
 *			ether saddr != MAC counter drop
 *			ether type arp arp saddr ether != MAC counter drop
 *			ether type arp arp saddr ip != GUEST arp saddr ip != 0.0.0.0 counter drop
 *			ip saddr 0.0.0.0 udp dport 67 accept
 *			ip saddr != GUEST counter drop
 *		}
 *	}
 *
 * The rule about the uplink is there if it forwards for our sake alone: the host does not
 * become a router for its neighbours by that.
 */
#include "runner/host/rules.h"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <string.h>

static const char in[] = "guest_in", through[] = "guest_through", isolated[] = "guest_isolated",
		  masquerade[] = "guest_nat";

enum { NEIGHBOUR_SOLICIT = 135, NEIGHBOUR_ADVERT = 136 }; /* RFC 4861, 4.3 and 4.4 */
enum { DNS_PORT = 53, DHCP_PORT = 67, INGRESS = 0, EARLY = -500 };

/* RFC 1918, RFC 6598 (behind a provider's NAT), RFC 3927 (link-local). */
static const struct nft_net private_nets[] = {
	{ 0x0a000000, 8 },  { 0xac100000, 12 }, { 0xc0a80000, 16 },
	{ 0x64400000, 10 }, { 0xa9fe0000, 16 },
};
enum { PRIVATE_NETS = sizeof(private_nets) / sizeof(private_nets[0]) };

void rules_name(char ret[NFT_NAME], const char *tap)
{
	(void)snprintf(ret, NFT_NAME, "sill_%s", tap);
}

/* A rule whose comment says of what card it is, and what it is for. */
static void begin(struct nft *b, const char *chain, char comment[NFT_NAME], const char *tap,
		  const char *what)
{
	(void)snprintf(comment, NFT_NAME, "%s: %s", tap, what);
	nft_begin_rule(b, chain, comment);
}

static void end_drop(struct nft *b)
{
	nft_count(b);
	nft_drop(b);
	nft_end_rule(b);
}

static void end_accept(struct nft *b)
{
	nft_accept(b);
	nft_end_rule(b);
}

/* ---- isolate ---- */

static bool is_private(const struct nft_net *n)
{
	for (unsigned i = 0; i < PRIVATE_NETS; i++) {
		const struct nft_net *p = &private_nets[i];

		if (n->prefix >= p->prefix && (n->address ^ p->address) >> (32 - p->prefix) == 0)
			return true;
	}
	return false;
}

bool rules_private(uint32_t address)
{
	return is_private(&(struct nft_net){ address, 32 });
}

static void drop_network(struct nft *b, const struct nft_net *n)
{
	const uint32_t a = n->address & ~0u << (32 - n->prefix);
	char comment[NFT_NAME];

	(void)snprintf(comment, sizeof(comment), "isolate: to %u.%u.%u.%u/%u", a >> 24,
		       a >> 16 & 255, a >> 8 & 255, a & 255, n->prefix);
	nft_begin_rule(b, isolated, comment);
	nft_match_target(b, n);
	end_drop(b);
}

static void put_isolated(struct nft *b, const struct rules *r)
{
	nft_begin_rule(b, isolated, "isolate: IPv6");
	nft_match_ipv6(b);
	end_drop(b);
	for (unsigned i = 0; i < PRIVATE_NETS; i++)
		drop_network(b, &private_nets[i]);
	for (unsigned i = 0; i < r->near_count; i++)
		if (r->near[i].prefix > 0 && !is_private(&r->near[i]))
			drop_network(b, &r->near[i]);
}

/* The name server at @address answers. */
static void accept_dns(struct nft *b, const char *chain, const struct rules_card *c,
		       uint32_t address)
{
	static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP };
	const struct nft_net server = { address, 32 };

	for (unsigned i = 0; i < sizeof(protocols); i++) {
		nft_begin_rule(b, chain, NULL);
		nft_match_in(b, c->tap);
		nft_match_target(b, &server);
		nft_match_port(b, protocols[i], DNS_PORT);
		end_accept(b);
	}
}

/* As ARP does for IPv4, these say where the guest is: forwards ask. They are of no connection. */
static void accept_neighbours(struct nft *b, const struct rules_card *c)
{
	for (uint8_t type = NEIGHBOUR_SOLICIT; type <= NEIGHBOUR_ADVERT; type++) {
		nft_begin_rule(b, in, NULL);
		nft_match_in(b, c->tap);
		nft_match_icmp6(b, type);
		end_accept(b);
	}
}

static void put_in(struct nft *b, const struct rules_card *c)
{
	char comment[NFT_NAME];

	nft_begin_rule(b, in, NULL);
	nft_match_in(b, c->tap);
	nft_match_known(b, true);
	end_accept(b);
	accept_neighbours(b, c);
	if (c->host != 0) {
		nft_begin_rule(b, in, NULL);
		nft_match_in(b, c->tap);
		nft_match_target(b, &(struct nft_net){ c->host, 32 });
		nft_match_echo(b);
		end_accept(b);
	}
	/* Only those come here that are the host's own, whichever of its addresses they have. */
	for (unsigned i = 0; i < c->dns_count; i++)
		accept_dns(b, in, c, c->dns[i]);
	/* Who asks has no address yet, and asks all. */
	if (c->dhcp_by_program) {
		nft_begin_rule(b, in, NULL);
		nft_match_in(b, c->tap);
		nft_match_port(b, IPPROTO_UDP, DHCP_PORT);
		end_accept(b);
	}
	begin(b, in, comment, c->tap, "to the host");
	nft_match_in(b, c->tap);
	end_drop(b);
}

/* ---- what is passed on ---- */

static void put_uplink(struct nft *b, const char *uplink, bool six)
{
	char comment[NFT_NAME];

	begin(b, through, comment, uplink, "from a neighbour");
	nft_match_in(b, uplink);
	if (six)
		nft_match_ipv6(b);
	else
		nft_match_ipv4(b);
	nft_match_known(b, false);
	end_drop(b);
}

/* Of an isolated guest: what it may reach beyond the host. */
static void put_beyond(struct nft *b, const struct rules_card *c)
{
	char comment[NFT_NAME];

	/* The host may forward for others' sake: without nat nothing of that is for this guest. */
	if (!c->nat) {
		begin(b, through, comment, c->tap, "beyond the host");
		nft_match_in(b, c->tap);
		end_drop(b);
		return;
	}
	for (unsigned i = 0; i < c->dns_count; i++)
		if (c->dns[i] != c->host)
			accept_dns(b, through, c, c->dns[i]);
	nft_begin_rule(b, through, NULL);
	nft_match_in(b, c->tap);
	nft_jump(b, isolated);
	nft_end_rule(b);
}

static void put_through(struct nft *b, const struct rules_card *c)
{
	char comment[NFT_NAME];

	if (c->guest.prefix > 0) {
		begin(b, through, comment, c->tap, "from another address");
		nft_match_in(b, c->tap);
		nft_match_source(b, &c->guest, false);
		end_drop(b);
	}
	if (c->nat6) {
		begin(b, through, comment, c->tap, "from another IPv6 network");
		nft_match_in(b, c->tap);
		nft_match_source6(b, c->net6, false);
		end_drop(b);
	}
	if (!c->isolate)
		return;
	put_beyond(b, c);
	begin(b, through, comment, c->tap, "to the guest");
	nft_match_out(b, c->tap);
	nft_match_known(b, false);
	end_drop(b);
}

static void put_nat(struct nft *b, const struct rules_card *c)
{
	char comment[NFT_NAME];

	begin(b, masquerade, comment, c->tap, "connections masqueraded");
	nft_match_source(b, &c->guest, true);
	nft_match_not_out(b, c->tap);
	nft_count(b);
	nft_masquerade(b);
	nft_end_rule(b);
	if (!c->nat6)
		return;
	begin(b, masquerade, comment, c->tap, "IPv6 connections masqueraded");
	nft_match_source6(b, c->net6, true);
	nft_match_not_out(b, c->tap);
	nft_count(b);
	nft_masquerade(b);
	nft_end_rule(b);
}

static void put_inet(struct nft *b, const struct rules *r, const char *name)
{
	static const struct nft_chain chains[] = {
		{ in, "filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER, false, NULL },
		{ through, "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER, false, NULL },
		{ isolated, NULL, 0, 0, false, NULL },
		{ masquerade, "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, false, NULL },
	};
	bool any_isolated = false;

	nft_add_table(b, &(struct nft_table){ NFPROTO_INET, name }, true);
	for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		nft_add_chain(b, &chains[i]);
	for (unsigned i = 0; i < r->uplink_count; i++)
		put_uplink(b, r->uplinks[i], false);
	for (unsigned i = 0; i < r->uplink6_count; i++)
		put_uplink(b, r->uplinks6[i], true);
	for (unsigned i = 0; i < r->count; i++) {
		const struct rules_card *c = &r->cards[i];

		if (c->isolate)
			put_in(b, c);
		if (c->isolate || c->nat)
			put_through(b, c);
		if (c->nat)
			put_nat(b, c);
		any_isolated |= c->isolate;
	}
	if (any_isolated)
		put_isolated(b, r);
}

/* ---- antispoof ---- */

static void put_from(struct nft *b, const struct rules_card *c)
{
	const struct nft_net none = { 0, 32 }; /* before it has an address, and in ARP probes */
	char chain[NFT_NAME], comment[NFT_NAME];

	(void)snprintf(chain, sizeof(chain), "from_%s", c->tap);
	nft_add_chain(b, &(struct nft_chain){ chain, "filter", INGRESS, EARLY, false, c->tap });
	begin(b, chain, comment, c->tap, "from another MAC address");
	nft_match_not_mac(b, c->mac);
	end_drop(b);
	nft_begin_rule(b, chain, comment);
	nft_match_arp_not_mac(b, c->mac);
	end_drop(b);
	if (c->guest.prefix == 0)
		return;
	begin(b, chain, comment, c->tap, "for another address");
	nft_match_arp_not(b, &c->guest);
	nft_match_arp_not(b, &none);
	end_drop(b);
	nft_begin_rule(b, chain, NULL);
	nft_match_source(b, &none, true);
	nft_match_port(b, IPPROTO_UDP, DHCP_PORT);
	end_accept(b);
	begin(b, chain, comment, c->tap, "from another address");
	nft_match_source(b, &c->guest, false);
	end_drop(b);
}

void rules_put(struct nft *b, const struct rules *r)
{
	bool routed = false, checked = false;
	char name[NFT_NAME];

	rules_name(name, r->cards[0].tap);
	nft_begin(b);
	for (unsigned i = 0; i < r->count; i++) {
		routed |= r->cards[i].nat || r->cards[i].isolate;
		checked |= r->cards[i].antispoof;
	}
	if (routed)
		put_inet(b, r, name);
	if (!checked)
		return;
	nft_add_table(b, &(struct nft_table){ NFPROTO_NETDEV, name }, true);
	for (unsigned i = 0; i < r->count; i++)
		if (r->cards[i].antispoof)
			put_from(b, &r->cards[i]);
}
