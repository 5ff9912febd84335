/* SPDX-License-Identifier: Apache-2.0 */
/* net_ends.c - what a network card is connected to on the host: one thing, and what that cannot have. */
#include <stddef.h>
#include <string.h>

#include "runner/host/link.h"
#include "runner/manifest/check.h"
#include "runner/report/text.h"
#include "sill/config.h"

/* Keys that ask something of the host's side. */
enum {
	ADDRESS = 1,
	DHCP = 2,
	NAT = 4,
	FORWARD = 8,
	ISOLATE = 16,
	ANTISPOOF = 32,
	MODE = 64,
	IPV6 = 128,
	VHOST = 256,
	DNSMASQ = 512, /* DHCP by that */
};

static const struct end {
	const char *key;
	unsigned lacks; /* what means nothing with it */
} ends[] = {
	{ "tap", MODE },
	{ "bridge", ADDRESS | NAT | ISOLATE | MODE | IPV6 | DNSMASQ },
	{ "macvtap", ADDRESS | DHCP | NAT | FORWARD | ISOLATE | ANTISPOOF | IPV6 },
	{ "fd", NAT | ISOLATE | ANTISPOOF | MODE | IPV6 | DNSMASQ },
	{ "user", NAT | ISOLATE | ANTISPOOF | MODE | IPV6 | VHOST | DNSMASQ },
	{ "none", ADDRESS | DHCP | NAT | FORWARD | ISOLATE | ANTISPOOF | MODE | IPV6 | VHOST },
};
enum { ENDS = sizeof(ends) / sizeof(ends[0]) };

static const struct node *end_of(const struct node *card, size_t i)
{
	const struct node *n = node_find(card, ends[i].key);

	const bool is_switch = strcmp(ends[i].key, "none") == 0 || strcmp(ends[i].key, "user") == 0;

	/* `none: off` is as good as not there. */
	return n != NULL && is_switch && n->ok && n->num == 0 ? NULL : n;
}

/* The one end of @card; NULL: it has not exactly one, which is said. */
static const struct end *find_end(struct check *c, const struct node *card)
{
	const struct end *found = NULL;
	const struct node *first = NULL;

	for (size_t i = 0; i < ENDS; i++) {
		const struct node *n = end_of(card, i);
		struct diag *g;

		if (n == NULL)
			continue;
		if (first != NULL && (!n->ok || !first->ok))
			return NULL;
		if (first != NULL) {
			g = check_fail_key(c, n, "a card is connected to one thing");
			diag_other(g, first->key_at, "and this is another");
			diag_hint(g, "remove one of them");
			return NULL;
		}
		first = n;
		found = &ends[i];
	}
	if (first == NULL)
		diag_hint(check_fail_key(c, card, "the card is connected to nothing"),
			  "add tap: '' for a tap of its own; or bridge, macvtap, fd, user: on, or "
			  "none: on");
	return found;
}

/* Is it written, and does it say anything? */
static const struct node *asks(struct check *c, const struct sill_net_config *n, unsigned what)
{
	const struct node *at = what == ADDRESS     ? place_ok(c, &n->address)
				: what == DHCP      ? place_ok(c, &n->dhcp)
				: what == DNSMASQ   ? place_ok(c, &n->dhcp)
				: what == NAT       ? place_ok(c, &n->nat)
				: what == FORWARD   ? place_ok(c, &n->forward)
				: what == ISOLATE   ? place_ok(c, &n->isolate)
				: what == IPV6      ? place_ok(c, &n->ipv6)
				: what == VHOST     ? place_ok(c, &n->vhost)
				: what == ANTISPOOF ? place_ok(c, &n->antispoof)
						    : place_ok(c, &n->macvtap_mode);

	if (at == NULL || at->implied || (what == ADDRESS && strcmp(n->address, "auto") == 0) ||
	    (what == IPV6 && (strcmp(n->ipv6, "auto") == 0 || strcmp(n->ipv6, "off") == 0)) ||
	    (what == DHCP && !sill_dhcp_gives(n->dhcp)) ||
	    (what == DNSMASQ && n->dhcp != SILL_DHCP_DNSMASQ) || (what == NAT && !n->nat) ||
	    (what == ISOLATE && !n->isolate) ||
	    (what == ANTISPOOF && n->antispoof != SILL_ANTISPOOF_ON) ||
	    (what == FORWARD && n->forward_count == 0) ||
	    (what == VHOST && n->vhost != SILL_VHOST_ON))
		return NULL;
	return at;
}

static void check_lacks(struct check *c, const struct sill_net_config *n, const struct node *card,
			const struct end *end)
{
	for (unsigned what = ADDRESS; what <= DNSMASQ; what <<= 1) {
		const struct node *at = (end->lacks & what) != 0 ? asks(c, n, what) : NULL;
		struct diag *g;

		if (at == NULL)
			continue;
		if (what == MODE) {
			diag_hint(check_fail_key(c, at, "means something only with macvtap"),
				  "remove it");
			continue;
		}
		if (what == DNSMASQ) {
			g = check_fail_key(c, at, "dnsmasq serves a tap by its name");
			diag_other(g, node_find(card, end->key)->key_at, "this is another end");
			diag_hint(
				g,
				"'dhcp: on' has the card answer by itself; off: who else is there");
			continue;
		}
		g = check_fail_key(c, at, "means nothing with %s", end->key);
		diag_other(g, node_find(card, end->key)->key_at, "this");
		diag_hint(g,
			  (what == DHCP || what == FORWARD) && strcmp(end->key, "none") != 0
				  ? "remove it: who is on that network gives the guest its address"
				  : "remove it");
	}
}

/* The kernel takes a name for another in silence: it is looked at here. */
static void check_name(struct check *c, char *const *name)
{
	const struct node *at = place_ok(c, name);
	char buf[TEXT_SHORT];

	if (at == NULL || (*name)[0] == '\0')
		return;
	if (strpbrk(*name, "/:% \t") != NULL || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		diag_hint(check_fail(c, at, "'%s' cannot be the name of a network device",
				     text_clean(buf, sizeof(buf), at->text, at->len)),
			  "letters, digits, '-' and '.'%s",
			  strcmp(at->row->field.key, "tap") == 0 ? "; '' for one that is made"
								 : "");
}

/* Each is one queue of one card. */
static void check_descriptors(struct check *c, const struct sill_config *v, unsigned card)
{
	const struct sill_net_config *n = &v->net[card];
	const struct node *queues = place_ok(c, &n->queues), *list = place_ok(c, &n->fd);
	const struct node *address = place_ok(c, &n->address), *dhcp = place_ok(c, &n->dhcp);

	if (list == NULL)
		return;
	for (unsigned i = 0; i < n->fd_count; i++)
		for (unsigned j = 0; j <= card; j++)
			for (unsigned k = 0; k < (j < card ? v->net[j].fd_count : i); k++)
				if (v->net[j].fd[k] == n->fd[i])
					diag_other(check_fail(c, place_at(c, &n->fd[i]),
							      "descriptor %u is there twice",
							      n->fd[i]),
						   place_at(c, &v->net[j].fd[k])->at,
						   "the other one");
	if (queues != NULL && !queues->implied && n->queues != n->fd_count)
		diag_hint(check_fail(c, queues, "%u pairs of queues, but %u %s", n->queues,
				     n->fd_count, n->fd_count == 1 ? "descriptor" : "descriptors"),
			  "leave out queues: there is one pair for each");
	if (address != NULL && dhcp != NULL && n->dhcp == SILL_DHCP_ON &&
	    strcmp(n->address, "auto") == 0)
		diag_hint(check_fail_key(c, dhcp, "nobody knows the address of the host's side"),
			  "add it: 'address: 192.168.249.1/24'; or leave out dhcp");
}

/* A stream is one pair, and passt gives the guest an address whether it is told of it or not. */
static void check_user(struct check *c, const struct sill_net_config *n)
{
	const struct node *user = place_ok(c, &n->user), *queues = place_ok(c, &n->queues);
	const struct node *address = place_ok(c, &n->address);
	struct diag *g = NULL;

	if (user == NULL || !n->user)
		return;
	if (queues != NULL && n->queues > 1) {
		g = check_fail_key(c, queues, "means nothing with user: it has one pair of queues");
		diag_other(g, user->key_at, "this");
		diag_hint(g, "remove it");
	}
	if (address != NULL && strcmp(n->address, "off") == 0) {
		g = check_fail_key(c, address, "means nothing with user: it has an address");
		diag_other(g, user->key_at, "this");
		diag_hint(g, "remove it, or give another one: 10.7.0.1/24");
	}
}

void check_net_end(struct check *c, const struct sill_config *v, unsigned card)
{
	const struct sill_net_config *n = &v->net[card];
	const struct node *map = place_map(c, n);
	const struct end *end;

	if (map == NULL || map->type != NODE_MAP)
		return;
	check_name(c, &n->tap);
	check_name(c, &n->bridge);
	check_name(c, &n->macvtap);
	end = find_end(c, map);
	if (end == NULL)
		return;
	check_lacks(c, n, map, end);
	check_descriptors(c, v, card);
	check_user(c, n);
}

/* What is not there may be by the time the VM starts; what is something else will hardly change. */
void check_net_end_on_host(struct check *c, const struct sill_net_config *n)
{
	const struct node *bridge = place_ok(c, &n->bridge), *lower = place_ok(c, &n->macvtap);
	struct sill_err unused = { 0 };
	struct link l;

	if (bridge != NULL && link_find(n->bridge, &l, &unused) == 1 &&
	    strcmp(l.kind, "bridge") != 0)
		diag_hint(check_fail(c, bridge, "'%s' is not a bridge", n->bridge),
			  "`ip link show type bridge` lists them; without one: 'macvtap: %s'",
			  n->bridge);
	if (lower != NULL && link_find(n->macvtap, &l, &unused) == 1 &&
	    (strcmp(l.kind, "bridge") == 0 || l.master != 0))
		diag_hint(check_fail(c, lower, "'%s' is %s", n->macvtap,
				     l.master != 0 ? "a port of a bridge or a bond" : "a bridge"),
			  l.master != 0 ? "write 'bridge: NAME' with the name of that bridge"
					: "write 'bridge: %s'",
			  n->macvtap);
}
