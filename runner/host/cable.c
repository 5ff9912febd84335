/* SPDX-License-Identifier: Apache-2.0 */
/* cable.c - see cable.h. */
#include "runner/host/cable.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/host/vhost.h"
#include "runner/report/text.h"

#define RESOLV_CONF "/etc/resolv.conf"
static const char resolv_conf[] = RESOLV_CONF;

struct cable *cable_create(const char *id, struct sill_err *e)
{
	struct cable *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		(void)sill_err_sys(e, ENOMEM, "%s", id);
		return NULL;
	}
	(void)snprintf(c->id, sizeof(c->id), "%s", id);
	tap_init(&c->tap);
	nat_init(&c->nat);
	dnsmasq_init(&c->dnsmasq);
	return c;
}

void cable_destroy(struct cable *c)
{
	if (c == NULL)
		return;
	forwards_destroy(c->forwards);
	dnsproxy_destroy(c->dnsproxy);
	dnsmasq_stop(&c->dnsmasq);
	tap_close(&c->tap);
	usernet_destroy(c->usernet);
	nat_fini(&c->nat);
	free(c);
}

int cable_start(struct cable *c, struct sill_vm *vm, usernet_say say, struct sill_err *e)
{
	c->seen = (struct seen_guest){ vm, c->id };
	return (c->forwards != NULL && forwards_start(c->forwards, e) < 0) ||
			       (c->dnsproxy != NULL && dnsproxy_start(c->dnsproxy, e) < 0) ||
			       (c->usernet != NULL && usernet_start(c->usernet, vm, say, e) < 0) ||
			       dnsmasq_watch(&c->dnsmasq, c->id, say, e) < 0
		       ? -1
		       : 0;
}

void cable_stop(struct cable *c)
{
	usernet_stop(c->usernet);
	forwards_stop(c->forwards);
	dnsproxy_destroy(c->dnsproxy);
	c->dnsproxy = NULL;
}

/* ---- what the card is ---- */

/* Is the guest's address for us to say? */
static bool is_asked(const struct sill_net_config *n, const struct tap *t)
{
	return n->dhcp == SILL_DHCP_AUTO ? t->made && n->bridge == NULL && t->address[0] != '\0'
					 : sill_dhcp_gives(n->dhcp);
}

/* Does the card itself answer its guest's requests? */
static bool is_answered(const struct sill_net_config *n, const struct tap *t)
{
	return is_asked(n, t) && n->dhcp != SILL_DHCP_DNSMASQ;
}

static bool is_host_dns(const struct sill_net_config *n)
{
	return n->dns_count == 1 && strcmp(n->dns[0], "host") == 0;
}

static bool is_checked(const struct sill_net_config *n)
{
	return n->antispoof == SILL_ANTISPOOF_AUTO ? n->nat || n->isolate
						   : n->antispoof == SILL_ANTISPOOF_ON;
}

/* ---- rules ---- */

/* Whom the guest is told to ask. */
static void list_dns(const struct cable *c, const struct sill_net_config *n, struct rules_card *r)
{
	struct in_addr in;

	if (c->proxied) {
		r->dns[r->dns_count++] = r->host;
		return;
	}
	for (unsigned i = 0; is_host_dns(n) && i < c->dns.count && r->dns_count < RULES_DNS; i++)
		r->dns[r->dns_count++] = c->dns.list[i];
	for (unsigned i = 0; i < n->dns_count && r->dns_count < RULES_DNS; i++)
		if (inet_pton(AF_INET, n->dns[i], &in) == 1)
			r->dns[r->dns_count++] = ntohl(in.s_addr);
}

static int describe(const struct cable *c, const struct sill_net_config *n, struct rules_card *r,
		    struct sill_err *e)
{
	const struct tap *t = &c->tap;
	uint8_t net6[16] = { 0 };

	*r = (struct rules_card){ .tap = t->name,
				  .nat = n->nat,
				  .isolate = n->isolate,
				  .dhcp_by_program = n->dhcp == SILL_DHCP_DNSMASQ,
				  .antispoof = is_checked(n),
				  .stays = !t->made };
	if (sill_mac_read(n->mac, r->mac) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "%s: no MAC address", n->id);
	if (sill_address_read(t->address, &r->host, &r->guest.prefix) < 0) {
		if (!n->nat && !n->isolate) {
			r->guest.prefix = t->made && n->bridge == NULL ? 32 : 0; /* 0.0.0.0 */
			return 0;
		}
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "%s: %s is on, but the tap '%s' has no IPv4 address", n->id,
				   n->nat ? "nat" : "isolate", t->name);
		return sill_err_hint(e, "`ip address add 192.168.249.1/24 dev %s`", t->name);
	}
	r->guest.address = r->host;
	/* What is kept from private networks has none of IPv6. */
	r->nat6 = n->nat && !n->isolate && n->nat6 != SILL_DHCP_OFF &&
		  sill_address6_read(t->address6, net6) == 0;
	r->nat6_insists = n->nat6 == SILL_DHCP_ON;
	memcpy(r->net6, net6, sizeof(r->net6));
	if (is_asked(n, t))
		r->guest = (struct nft_net){ sill_guest_address(r->host, r->guest.prefix), 32 };
	else if (n->bridge != NULL)
		r->guest.prefix = 0; /* others give it one */
	list_dns(c, n, r);
	return 0;
}

int cable_guard(struct cable *c, const struct cable_want *w, struct sill_err *e)
{
	const struct sill_net_config *n = w->n;
	struct rules_card r;

	if (!n->nat && !n->isolate && !is_checked(n))
		return 0;
	if (describe(c, n, &r, e) < 0)
		return -1;
	r.peer = w->peer;
	if (nat_start(&c->nat, &r, 1, w->dir, e) < 0)
		return -1;
	c->routes6 = r.nat6;
	return 0;
}

/* ---- ports of the host ---- */

static int need_forwards(struct cable *c, struct sill_err *e)
{
	if (c->forwards == NULL)
		c->forwards = forwards_create(e);
	return c->forwards == NULL ? -1 : 0;
}

/* Where the guest is, is known when we have told it, or seen it take its address. */
static int open_forwards(struct cable *c, const struct sill_net_config *n, struct sill_err *e)
{
	const struct tap *t = &c->tap;
	struct forward_spec s;
	uint32_t guest = 0;
	bool told;

	if (n->forward_count == 0 || n->user)
		return 0;
	told = is_asked(n, t) && forward_guest(t->address, &guest) == 0;
	if (!told && t->address6[0] == '\0') {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "forward: nobody knows the address of the guest on the tap '%s'",
				   t->name);
		return sill_err_hint(e, "'dhcp: on' gives it one; never where others are on the "
					"link");
	}
	if (need_forwards(c, e) < 0)
		return -1;
	for (unsigned i = 0; i < n->forward_count; i++)
		if (forward_read(n->forward[i], &s, e) < 0 ||
		    (told ? forwards_add(c->forwards, &s, guest, e)
			  : forwards_add_found(c->forwards, &s, find_guest, &c->seen, e)) < 0)
			return -1;
	return 0;
}

/*
 * passt has one address for a port. Of the loopback's two, it takes IPv4's, and a forward of ours leads
 * there from IPv6's, where the host has one.
 */
static int user_forward(struct cable *c, const char *text, struct passt_want *w, struct sill_err *e)
{
	struct forward_spec *s = &w->forward[w->forward_count], six;
	struct sill_err why = { 0 };

	if (w->forward_count == PASST_FORWARDS)
		return sill_err_set(e, SILL_ERR_LIMIT, "forward: more than %d ports",
				    PASST_FORWARDS);
	if (forward_read(text, s, e) < 0)
		return -1;
	w->forward_count++;
	if (!s->v4 || !s->v6)
		return 0;
	six = *s;
	six.v4 = false;
	six.guest_port = s->host_port;
	if (need_forwards(c, e) < 0)
		return -1;
	if (forwards_add(c->forwards, &six, INADDR_LOOPBACK, &why) == 0 ||
	    why.sys == EAFNOSUPPORT || why.sys == EADDRNOTAVAIL)
		return 0;
	*e = why;
	return -1;
}

/* ---- the tap ---- */

/* Linux takes whatever MTU it is told; Windows' driver has not been seen to. */
enum { USER_MTU = 65520 };

static int open_user(struct cable *c, const struct cable_want *want, struct sill_err *e)
{
	const struct sill_net_config *n = want->n;
	const bool any = strcmp(n->address, "auto") == 0;
	struct tap *t = &c->tap;
	struct passt_want w = { 0 };

	(void)snprintf(t->name, sizeof(t->name), "passt");
	(void)snprintf(t->address, sizeof(t->address), "%s", any ? USERNET_ADDRESS : n->address);
	t->mtu = n->mtu != 0 ? n->mtu : want->guest == SILL_GUEST_LINUX ? USER_MTU : 1500;
	t->made = true;
	t->count = 1;
	w.mtu = t->mtu;
	if (sill_mac_read(n->mac, w.mac) < 0 ||
	    sill_address_read(t->address, &w.host, &w.prefix) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "no address");
	w.guest = sill_guest_address(w.host, w.prefix);
	for (unsigned i = 0; i < n->forward_count; i++)
		if (user_forward(c, n->forward[i], &w, e) < 0)
			return -1;
	c->usernet = usernet_create(e);
	return c->usernet == NULL ? -1 : usernet_add(c->usernet, c->id, &w, &t->fd[0], e);
}

static int open_tap(struct cable *c, const struct cable_want *w, struct sill_err *e)
{
	if (w->lent != NULL)
		return tap_adopt(&c->tap, w->lent->fd, w->lent->count, e);
	return w->n->user ? open_user(c, w, e) : tap_open(&c->tap, w->n, w->dir, e);
}

/* TCP is for the answers that are too long for UDP. */
static int forward_dns(struct cable *c, uint32_t host, struct sill_err *e)
{
	const struct forward_spec s = { .v4 = true,
					.device = c->tap.name,
					.address4 = { htonl(host) },
					.host_port = DNSPROXY_PORT,
					.guest_port = DNSPROXY_PORT };
	static char conf[] = RESOLV_CONF;

	return need_forwards(c, e) < 0 ? -1
				       : forwards_add_found(c->forwards, &s, find_dns, conf, e);
}

/* If it cannot be, the guest is told of no name server: no reason not to start. */
static void open_dns(struct cable *c, const struct sill_net_config *n)
{
	struct sill_err e = { 0 };
	struct upstreams up;
	uint32_t host;
	uint8_t prefix;

	/* By a bridge or through a stranger's tap, the host's side is not ours to listen on. */
	if (!is_asked(n, &c->tap) || !is_host_dns(n) || c->dns.count > 0 || n->tap == NULL)
		return;
	upstreams_read(&up, resolv_conf);
	if (up.count == 0 || sill_address_read(c->tap.address, &host, &prefix) < 0)
		return;
	c->dnsproxy = dnsproxy_create(resolv_conf, &e);
	if (c->dnsproxy != NULL && dnsproxy_add(c->dnsproxy, c->tap.name, host, &e) == 0 &&
	    forward_dns(c, host, &e) == 0)
		c->proxied = true;
	else
		c->dns_why = e;
}

/* It tells the guest what the card would. */
static int start_dnsmasq(struct cable *c, const struct sill_net_config *n, struct sill_err *e)
{
	struct rules_card dns = { 0 };
	struct dnsmasq_want w = { .device = c->tap.name };
	uint32_t host;

	if (n->dhcp != SILL_DHCP_DNSMASQ)
		return 0;
	if (c->tap.adopted) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "%s: dnsmasq serves a tap by its name, and this one "
				   "came as a descriptor",
				   c->id);
		return sill_err_hint(e, "'dhcp: on' has the card answer by itself");
	}
	if (sill_mac_read(n->mac, w.mac) < 0 ||
	    sill_address_read(c->tap.address, &host, &w.prefix) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "%s: no address", c->id);
	dns.host = host;
	list_dns(c, n, &dns);
	w.guest = sill_guest_address(host, w.prefix);
	w.router = n->isolate && !n->nat ? 0 : host; /* none: it leads nowhere */
	w.mtu = n->mtu != 0 ? n->mtu : c->tap.mtu != 1500 ? c->tap.mtu : 0;
	w.dns_count = dns.dns_count;
	memcpy(w.dns, dns.dns, dns.dns_count * sizeof(w.dns[0]));
	if (dnsmasq_start(&c->dnsmasq, &w, e) == 0)
		return 0;
	sill_err_wrap(e, "%s", c->id);
	return -1;
}

int cable_open(struct cable *c, const struct cable_want *w, struct sill_err *e)
{
	resolvers_read(&c->dns, resolv_conf, "/run/systemd/resolve/resolv.conf");
	if (open_tap(c, w, e) < 0 || vhost_open(&c->tap, w->n, is_answered(w->n, &c->tap), e) < 0 ||
	    open_forwards(c, w->n, e) < 0) {
		sill_err_wrap(e, "%s", c->id);
		return -1;
	}
	open_dns(c, w->n);
	return start_dnsmasq(c, w->n, e);
}

/* ---- what it has become ---- */

bool cable_lacks_dns(const struct cable *c, const struct sill_net_config *n)
{
	return is_asked(n, &c->tap) && is_host_dns(n) && c->dns.count == 0 && !c->proxied &&
	       (!c->routes6 || c->dns.count6 == 0);
}

/* The IPv4 ones, and of the others what there is room for; "off": none. */
static int settle_dns(struct sill_net_config *n, const struct resolvers *r, struct sill_err *e)
{
	const unsigned all = r->count + r->count6, count = all == 0             ? 1
							   : all < SILL_MAX_DNS ? all
										: SILL_MAX_DNS;
	char **list;

	list = calloc(count, sizeof(*list));
	if (list == NULL)
		return sill_err_sys(e, ENOMEM, "the host's name servers");
	free(n->dns[0]);
	free((void *)n->dns);
	n->dns = list;
	n->dns_count = count;
	for (unsigned i = 0; i < count; i++) {
		char text[INET6_ADDRSTRLEN] = "off";

		if (i < r->count)
			(void)inet_ntop(AF_INET, &(struct in_addr){ htonl(r->list[i]) }, text,
					sizeof(text));
		else if (all > 0)
			(void)inet_ntop(AF_INET6, r->list6[i - r->count], text, sizeof(text));
		if (text_set(&list[i], text, e) < 0)
			return -1;
	}
	return 0;
}

static int settle_host_dns(const struct cable *c, struct sill_net_config *n, struct sill_err *e)
{
	struct resolvers told = c->dns;
	uint8_t prefix;

	if (!is_host_dns(n))
		return 0;
	if (c->proxied && sill_address_read(c->tap.address, &told.list[0], &prefix) == 0)
		told.count = 1;
	if (!c->routes6)
		told.count6 = 0; /* the guest's IPv6 ends at the host */
	return settle_dns(n, &told, e);
}

int cable_settle(const struct cable *c, struct sill_net_config *n, struct sill_err *e)
{
	const struct tap *t = &c->tap;

	n->nat6 = c->routes6 ? SILL_DHCP_ON : SILL_DHCP_OFF;
	/* The guest is told of an MTU when it is not what it expects, or was asked for. */
	if (t->mtu != 1500)
		n->mtu = t->mtu;
	if (n->dhcp != SILL_DHCP_DNSMASQ)
		n->dhcp = is_asked(n, t) ? SILL_DHCP_ON : SILL_DHCP_OFF;
	n->antispoof = is_checked(n) ? SILL_ANTISPOOF_ON : SILL_ANTISPOOF_OFF;
	n->vhost = t->vhost ? SILL_VHOST_ON : SILL_VHOST_OFF;
	n->queues = (uint16_t)t->count;
	if (n->tap != NULL && text_set(&n->tap, t->name, e) < 0)
		return -1;
	if (text_set(&n->ipv6, t->address6[0] != '\0' ? t->address6 : "off", e) < 0 ||
	    text_set(&n->address, t->address[0] != '\0' ? t->address : "off", e) < 0)
		return -1;
	return settle_host_dns(c, n, e);
}
