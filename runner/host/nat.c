/* SPDX-License-Identifier: Apache-2.0 */
/* nat.c - see nat.h. */
#include "runner/host/nat.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/conntrack.h"
#include "runner/host/signals.h"
#include "runner/host/subnet.h"

enum { NAME_TURNS = 200, NAME_TURN_MS = 50 };

void nat_init(struct nat *n)
{
	*n = (struct nat){ .fd = -1 };
}

/* Before the first packet, and after the last: what is remembered is of others. */
static void forget(const struct nat *n)
{
	for (unsigned i = 0; i < n->guest_count; i++)
		(void)conntrack_forget(&n->guests[i]);
	for (unsigned i = 0; i < n->guest6_count; i++)
		(void)conntrack_forget6(n->guests6[i]);
}

void nat_fini(struct nat *n)
{
	/* While the table is there, the host forwards for the guests alone. */
	forwarding_fini(&n->forwarding);
	if (n->fd >= 0) {
		(void)close(n->fd);
		forget(n);
	}
	nat_init(n);
}

/* The tables are made, or @e says what the kernel does. */
static int commit(struct nat *n, struct nft *b, const struct rules *r, struct sill_err *e)
{
	*e = (struct sill_err){ 0 };
	rules_put(b, r);
	n->fd = nft_open(e);
	if (n->fd >= 0 && nft_commit(b, n->fd, e) == 0)
		return 0;
	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
	return -1;
}

static int explain(struct sill_err *e)
{
	if (e->sys == EPERM)
		return sill_err_hint(e, "that takes CAP_NET_ADMIN; or leave out nat, isolate and "
					"antispoof");
	return sill_err_hint(e, "that takes a kernel with nf_tables, nft_masq and nft_ct: "
				"`modprobe nft_masq`; or leave out nat, isolate and antispoof");
}

struct name {
	char text[NFT_NAME];
	bool found;
};

static void on_chain(void *ctx, const struct nft_found *c)
{
	struct name *n = ctx;

	n->found |= strcmp(c->table, n->text) == 0;
}

/*
 * A VM that ends gives its tap up first, and the tables of that name when its memory is gone: one that has the name by now
 * waits for them. 0: there are none of that name.
 */
static int await_name(const char *tap, struct sill_err *e)
{
	struct sill_err unused = { 0 };
	struct name n;

	rules_name(n.text, tap);
	for (unsigned i = 0; i < NAME_TURNS; i++) {
		const int fd = nft_open(&unused);

		n.found = false;
		if (fd >= 0) {
			(void)nft_each_chain(fd, on_chain, &n, &unused);
			(void)close(fd);
		}
		if (!n.found)
			return 0;
		if (signals_wait(-1, NAME_TURN_MS) < 0)
			return sill_err_sys(e, errno, "nat");
	}
	return sill_err_set(e, SILL_ERR_HOST, "another process has the packet filter's tables '%s'",
			    n.text);
}

static bool any(const struct rules *r, bool isolate)
{
	for (unsigned i = 0; i < r->count; i++)
		if (isolate ? r->cards[i].isolate : r->cards[i].nat)
			return true;
	return false;
}

/* The networks, each once: a host may have many addresses in one. How many are in @ret, which has room for all. */
static unsigned list_near(struct nft_net *ret, const struct subnets *nets)
{
	unsigned count = 0;

	for (size_t i = 0; i < nets->count; i++) {
		const uint8_t prefix = nets->list[i].prefix;
		const uint32_t net = prefix > 0 ? nets->list[i].address & ~0u << (32 - prefix) : 0;
		unsigned j = 0;

		while (j < count && (ret[j].address != net || ret[j].prefix != prefix))
			j++;
		if (j == count)
			ret[count++] = (struct nft_net){ net, prefix };
	}
	return count;
}

static int add_tables(struct nat *n, struct rules *r, struct sill_err *e)
{
	struct nft *b = malloc(sizeof(*b));
	struct nft_net *near = NULL;
	struct subnets nets = { 0 };
	int ret = -1;

	if (b == NULL)
		return sill_err_sys(e, ENOMEM, "nat");
	if (any(r, true) && subnets_connected(&nets, e) < 0)
		goto out;
	near = calloc(nets.count + 1, sizeof(*near));
	if (near == NULL) {
		(void)sill_err_sys(e, ENOMEM, "nat");
		goto out;
	}
	r->near_count = list_near(near, &nets);
	r->near = near;
	ret = commit(n, b, r, e);
	/* Somebody's tables of that name, or no right to any. */
	if (ret < 0 && e->sys == EPERM) {
		if (await_name(r->cards[0].tap, e) < 0)
			goto out;
		ret = commit(n, b, r, e);
	}
	if (ret < 0)
		(void)explain(e);
out:
	free(near);
	subnets_free(&nets);
	free(b);
	return ret;
}

enum how6 { SIX_NOT, SIX_IS_ON, SIX_EACH, SIX_ALL };

/* How the host can be had to pass on what comes from the tap of @c. */
static enum how6 how6(const struct nat *n, const struct rules_card *c)
{
	if (!c->nat6 || n->uplink6_count == 0)
		return SIX_NOT;
	if (forwarding_is_on(FORWARDING_ALL_IPV6, "all"))
		return SIX_IS_ON;
	if (forwarding_is_there(FORWARDING_IPV6, c->tap))
		return SIX_EACH;
	return c->nat6_insists ? SIX_ALL : SIX_NOT;
}

/* The host goes on to believe its routers, which it would not otherwise, being one. */
static int hold_believe(struct nat *n, struct sill_err *e)
{
	for (unsigned i = 0; i < n->uplink6_count; i++)
		if (forwarding_hold(&n->forwarding, FORWARDING_BELIEVE, n->uplinks6[i], e) < 0)
			return -1;
	return 0;
}

static int hold_all6(struct nat *n, struct sill_err *e)
{
	return hold_believe(n, e) < 0
		       ? -1
		       : forwarding_hold(&n->forwarding, FORWARDING_ALL_IPV6, "all", e);
}

/* On for another VM's sake, it is so for this one's too. */
static int hold_on6(struct nat *n, struct sill_err *e)
{
	const unsigned before = n->forwarding.count;

	if (forwarding_hold(&n->forwarding, FORWARDING_ALL_IPV6, "all", e) < 0)
		return -1;
	return n->forwarding.count > before ? hold_all6(n, e) : 0;
}

static int hold_each6(struct nat *n, const struct rules_card *c, struct sill_err *e)
{
	if (hold_believe(n, e) < 0)
		return -1;
	for (unsigned i = 0; i < n->uplink6_count; i++)
		if (forwarding_hold(&n->forwarding, FORWARDING_IPV6, n->uplinks6[i], e) < 0)
			return -1;
	if (!c->stays)
		return 0;
	return forwarding_hold(&n->forwarding, FORWARDING_IPV6, c->tap, e) < 0
		       ? -1
		       : forwarding_hold(&n->forwarding, FORWARDING_ROUTER6, c->tap, e);
}

/* Where the host is a router of its own will, what it does for its neighbours is not ours. */
static void keep_held6(struct nat *n)
{
	const bool all = forwarding_holds(&n->forwarding, FORWARDING_ALL_IPV6, "all");
	const unsigned count = n->uplink6_count;

	n->uplink6_count = 0;
	for (unsigned i = 0; i < count; i++)
		if (all || forwarding_holds(&n->forwarding, FORWARDING_IPV6, n->uplinks6[i]))
			memmove(n->uplinks6[n->uplink6_count++], n->uplinks6[i], IF_NAMESIZE);
}

static int hold6(struct nat *n, struct rules_card *cards, unsigned count, struct sill_err *e)
{
	int ret = 0;

	n->uplink6_count = ipv6_uplinks(n->uplinks6);
	for (unsigned i = 0; ret == 0 && i < count; i++) {
		struct rules_card *c = &cards[i];
		const enum how6 how = how6(n, c);

		c->nat6 = how != SIX_NOT;
		if (how == SIX_EACH)
			ret = hold_each6(n, c, e);
		else if (how == SIX_ALL)
			ret = hold_all6(n, e);
		else if (how == SIX_IS_ON)
			ret = hold_on6(n, e);
	}
	keep_held6(n);
	return ret;
}

/* What the uplinks' flags were is written down before the table says which of them are ours. */
static int hold(struct nat *n, const struct rules *r, struct rules_card *cards, const char *dir,
		struct sill_err *e)
{
	struct uplinks up;
	int lock, ret;

	if (forwarding_init(&n->forwarding, dir, e) < 0 || uplinks_find(&up, e) < 0)
		return -1;
	n->no_uplink = up.count == 0;
	for (unsigned i = 0; i < r->count; i++)
		if (r->cards[i].nat && r->cards[i].peer != 0)
			uplinks_add_way(&up, r->cards[i].peer);
	lock = networks_lock(e);
	if (lock < 0)
		return -1;
	ret = 0;
	for (unsigned i = 0; ret == 0 && i < up.count; i++)
		ret = forwarding_hold(&n->forwarding, FORWARDING_IPV4, up.name[i], e);
	n->uplinks = n->forwarding.count;
	for (unsigned i = 0; ret == 0 && i < r->count; i++)
		if (r->cards[i].nat && r->cards[i].stays)
			ret = forwarding_hold(&n->forwarding, FORWARDING_IPV4, r->cards[i].tap, e);
	if (ret == 0)
		ret = hold6(n, cards, r->count, e);
	(void)close(lock);
	return ret;
}

/* Where all interfaces forward, this one says so already. */
static int start_six(const char *tap, struct sill_err *e)
{
	if (forwarding_is_on(FORWARDING_ALL_IPV6, "all") ||
	    !forwarding_is_there(FORWARDING_IPV6, tap))
		return 0;
	return forwarding_set(FORWARDING_IPV6, tap, e) < 0
		       ? -1
		       : forwarding_set(FORWARDING_ROUTER6, tap, e);
}

static int start_forwarding(const struct nat *n, const struct rules *r, struct sill_err *e)
{
	if (forwarding_start(&n->forwarding, e) < 0)
		return -1;
	for (unsigned i = 0; i < r->count; i++)
		if (r->cards[i].nat && !r->cards[i].stays &&
		    forwarding_set(FORWARDING_IPV4, r->cards[i].tap, e) < 0)
			return -1;
	for (unsigned i = 0; i < r->count; i++)
		if (r->cards[i].nat6 && !r->cards[i].stays && start_six(r->cards[i].tap, e) < 0)
			return -1;
	return 0;
}

int nat_start(struct nat *n, struct rules_card *cards, unsigned count, const char *dir,
	      struct sill_err *e)
{
	struct rules r = { .cards = cards, .count = count };
	char uplinks[FORWARDING_MAX][IF_NAMESIZE];
	const bool any_nat = any(&r, false);

	if (any_nat && hold(n, &r, cards, dir, e) < 0)
		return -1;
	for (unsigned i = 0; i < n->uplinks; i++)
		memcpy(uplinks[i], n->forwarding.list[i].name, sizeof(uplinks[i]));
	r.uplinks = uplinks;
	r.uplink_count = n->uplinks;
	r.uplinks6 = (const char(*)[IF_NAMESIZE])n->uplinks6;
	r.uplink6_count = n->uplink6_count;
	for (unsigned i = 0; i < count; i++)
		if ((cards[i].nat || cards[i].isolate) && cards[i].guest.prefix > 0)
			n->guests[n->guest_count++] = cards[i].guest;
	for (unsigned i = 0; i < count; i++)
		if (cards[i].nat6)
			memcpy(n->guests6[n->guest6_count++], cards[i].net6, 8);
	if (add_tables(n, &r, e) < 0)
		return -1;
	forget(n);
	return any_nat ? start_forwarding(n, &r, e) : 0;
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
