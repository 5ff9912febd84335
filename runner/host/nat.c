/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat.c - see nat.h.
 *
 *	table ip sill_TAP {
 *		flags owner
 *		chain guest_through {
 *			type filter hook forward priority filter; policy accept
 *			iifname TAP ip saddr != GUEST counter drop
 *			iifname UPLINK ct state != { established, related } counter drop
 *		}
 *		chain guest_nat {
 *			type nat hook postrouting priority srcnat; policy accept
 *			ip saddr GUEST oifname != TAP counter masquerade
 *		}
 *	}
 *
 * The rule about the uplink is there if it forwards for our sake alone: the host does not
 * become a router for its neighbours by that.
 */
#include "runner/host/nat.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/subnet.h"

static const char through[] = "guest_through", masquerade[] = "guest_nat";

void nat_init(struct nat *n)
{
	*n = (struct nat){ .fd = -1 };
}

void nat_fini(struct nat *n)
{
	if (n->fd >= 0)
		(void)close(n->fd);
	forwarding_fini(&n->forwarding);
	nat_init(n);
}

static void add_link(struct nft *b, const struct nat_link *l)
{
	nft_begin_rule(b, through);
	nft_match_in(b, l->tap);
	nft_match_source(b, l->source, l->prefix, false);
	nft_count(b);
	nft_drop(b);
	nft_end_rule(b);
	nft_begin_rule(b, masquerade);
	nft_match_source(b, l->source, l->prefix, true);
	nft_match_not_out(b, l->tap);
	nft_count(b);
	nft_masquerade(b);
	nft_end_rule(b);
}

static void add_uplink(struct nft *b, const char *uplink)
{
	nft_begin_rule(b, through);
	nft_match_in(b, uplink);
	nft_match_new(b);
	nft_count(b);
	nft_drop(b);
	nft_end_rule(b);
}

static int add_table(struct nat *n, const struct nat_link *links, unsigned count,
		     struct sill_err *e)
{
	static const struct nft_chain chains[] = {
		{ through, "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER, false },
		{ masquerade, "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, false },
	};
	struct nft *b = malloc(sizeof(*b));
	char name[NFT_NAME];
	int ret;

	if (b == NULL)
		return sill_err_sys(e, ENOMEM, "nat");
	(void)snprintf(name, sizeof(name), "sill_%s", links[0].tap);
	nft_begin(b, name, true);
	for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		nft_add_chain(b, &chains[i]);
	for (unsigned i = 0; i < n->uplinks; i++)
		add_uplink(b, n->forwarding.list[i].name);
	for (unsigned i = 0; i < count; i++)
		add_link(b, &links[i]);
	n->fd = nft_open(e);
	ret = n->fd < 0 ? -1 : nft_commit(b, n->fd, e);
	free(b);
	if (ret < 0 && e->sys == EPERM)
		(void)sill_err_hint(e, "that takes CAP_NET_ADMIN; or leave out nat");
	else if (ret < 0)
		(void)sill_err_hint(e, "that takes a kernel with nf_tables, nft_masq and nft_ct: "
				       "`modprobe nft_masq`; or leave out nat");
	return ret;
}

/* What the uplinks' flags were is written down before the table says which of them are ours. */
int nat_start(struct nat *n, const struct nat_link *links, unsigned count, const char *dir,
	      struct sill_err *e)
{
	struct uplinks up;
	int lock, ret;

	if (forwarding_init(&n->forwarding, dir, e) < 0 || uplinks_find(&up, e) < 0)
		return -1;
	n->no_uplink = up.count == 0;
	lock = networks_lock(e);
	if (lock < 0)
		return -1;
	ret = 0;
	for (unsigned i = 0; ret == 0 && i < up.count; i++)
		ret = forwarding_hold(&n->forwarding, up.name[i], e);
	n->uplinks = n->forwarding.count;
	for (unsigned i = 0; ret == 0 && i < count; i++)
		if (links[i].stays)
			ret = forwarding_hold(&n->forwarding, links[i].tap, e);
	(void)close(lock);
	if (ret < 0 || add_table(n, links, count, e) < 0 || forwarding_start(&n->forwarding, e) < 0)
		return -1;
	for (unsigned i = 0; ret == 0 && i < count; i++)
		if (!links[i].stays)
			ret = forwarding_set(links[i].tap, e);
	return ret;
}

/* ---- what is in the way ---- */

struct obstacle {
	struct nft_found chain; /* "": none */
	bool docker, ufw, firewalld;
};

static void look(void *ctx, const struct nft_found *c)
{
	struct obstacle *o = ctx;

	if (strncmp(c->table, "sill_", 5) == 0)
		return;
	o->docker |= strcmp(c->name, "DOCKER-USER") == 0;
	o->ufw |= strcmp(c->name, "ufw-user-forward") == 0;
	if (!c->is_base || c->hook != NF_INET_FORWARD ||
	    (c->family != NFPROTO_IPV4 && c->family != NFPROTO_INET))
		return;
	/* firewalld's last rule refuses, not its policy. */
	o->firewalld |= strcmp(c->table, "firewalld") == 0;
	if (c->drops || (strcmp(c->table, "firewalld") == 0 && o->chain.table[0] == '\0'))
		o->chain = *c;
}

static void advise(const struct obstacle *o, const char *tap, char ret[NAT_ADVICE])
{
	const char *chain = o->docker ? "DOCKER-USER" : "FORWARD";

	if (o->ufw && !o->docker)
		(void)snprintf(ret, NAT_ADVICE,
			       "ufw drops what is forwarded; `ufw route allow in on %s`", tap);
	else if (o->firewalld && !o->docker)
		(void)snprintf(ret, NAT_ADVICE,
			       "firewalld may refuse what is forwarded; "
			       "`firewall-cmd --zone=trusted --add-interface=%s`",
			       tap);
	else if (o->docker || strcmp(o->chain.table, "filter") == 0)
		(void)snprintf(ret, NAT_ADVICE,
			       "%s drops what is forwarded; `iptables -I %s -i %s -j ACCEPT && "
			       "iptables -I %s -o %s -m conntrack --ctstate ESTABLISHED,RELATED "
			       "-j ACCEPT`",
			       o->docker ? "Docker" : "the host's firewall", chain, tap, chain,
			       tap);
	else
		(void)snprintf(
			ret, NAT_ADVICE,
			"the chain '%s' of the table '%s' drops what is forwarded; `nft insert "
			"rule %s %s %s iifname %s accept && nft insert rule %s %s %s oifname "
			"%s ct state established,related accept`",
			o->chain.name, o->chain.table,
			o->chain.family == NFPROTO_INET ? "inet" : "ip", o->chain.table,
			o->chain.name, tap, o->chain.family == NFPROTO_INET ? "inet" : "ip",
			o->chain.table, o->chain.name, tap);
}

bool nat_obstacle(const char *interface, char ret[NAT_ADVICE])
{
	struct sill_err unused = { 0 };
	struct obstacle o = { 0 };
	const int fd = nft_open(&unused);
	const bool read = fd >= 0 && nft_each_chain(fd, look, &o, &unused) == 0;

	if (fd >= 0)
		(void)close(fd);
	if (!read || o.chain.table[0] == '\0')
		return false;
	advise(&o, interface, ret);
	return true;
}
