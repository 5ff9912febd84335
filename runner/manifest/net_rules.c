/* SPDX-License-Identifier: Apache-2.0 */
/* net_rules.c - what the keys of a network card ask of themselves and of each other. */
#include <arpa/inet.h>
#include <string.h>

#include "runner/host/ipv6.h"
#include "runner/manifest/check.h"
#include "runner/net/forwardspec.h"
#include "runner/report/text.h"
#include "sill/check.h"
#include "sill/config.h"

#define NET_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

static void check_mac(struct check *c, const struct sill_net_config *n)
{
	const struct node *mac = place_ok(c, &n->mac);
	char buf[TEXT_SHORT];
	uint8_t bytes[6];

	if (mac == NULL || sill_mac_read(n->mac, bytes) == 0)
		return;
	diag_hint(check_fail(c, mac, "'%s' is not the MAC address of a card",
			     text_clean(buf, sizeof(buf), mac->text, mac->len)),
		  "six pairs of hexadecimal digits, the first of them even: 02:00:5e:10:00:01");
}

static void check_address(struct check *c, const struct sill_net_config *n)
{
	const struct node *address = place_ok(c, &n->address), *dhcp = place_ok(c, &n->dhcp);
	char buf[TEXT_SHORT];
	uint32_t a;
	uint8_t prefix;
	struct diag *g;

	if (address == NULL || strcmp(n->address, "auto") == 0)
		return;
	if (strcmp(n->address, "off") == 0) {
		if (dhcp == NULL || !sill_dhcp_gives(n->dhcp))
			return;
		g = check_fail_key(c, dhcp, "nobody can answer: the host's side has no address");
		diag_other(g, address->at, "address");
		diag_hint(g, "remove one of them");
		return;
	}
	if (sill_address_read(n->address, &a, &prefix) < 0)
		diag_hint(check_fail(c, address, "'%s' is not the address of a host in a network",
				     text_clean(buf, sizeof(buf), address->text, address->len)),
			  "for example 192.168.249.1/24; the network has 8 to 30 bits, and its "
			  "first and last addresses are nobody's");
}

static void check_ipv6(struct check *c, const struct sill_net_config *n)
{
	const struct node *ipv6 = place_ok(c, &n->ipv6), *mtu = place_ok(c, &n->mtu);
	char buf[TEXT_SHORT];
	uint8_t bytes[16];
	struct diag *g;

	if (ipv6 == NULL || strcmp(n->ipv6, "auto") == 0 || strcmp(n->ipv6, "off") == 0)
		return;
	if (strcmp(n->ipv6, "on") != 0 && sill_address6_read(n->ipv6, bytes) < 0) {
		diag_hint(check_fail(c, ipv6,
				     "'%s' is not the address of a host in an IPv6 network",
				     text_clean(buf, sizeof(buf), ipv6->text, ipv6->len)),
			  "for example fd12:3456:789a::1/64, always of 64 bits; or auto, on, off");
		return;
	}
	if (mtu != NULL && n->mtu != 0 && n->mtu < IPV6_MTU_MIN) {
		g = check_fail_key(c, ipv6, "there is no IPv6 on a link with such packets");
		diag_other(g, mtu->at, "mtu");
		diag_hint(g, "an mtu of %d or more, or leave out ipv6", IPV6_MTU_MIN);
	}
}

static void check_nat6(struct check *c, const struct sill_net_config *n)
{
	const struct node *six = place_ok(c, &n->nat6), *nat = place_ok(c, &n->nat);
	const struct node *isolate = place_ok(c, &n->isolate);
	struct diag *g;

	if (six == NULL || n->nat6 != SILL_DHCP_ON)
		return;
	if (nat != NULL && !n->nat) {
		diag_hint(check_fail_key(c, six, "means something only with nat"),
			  "remove it, or add 'nat: on'");
	} else if (isolate != NULL && n->isolate) {
		g = check_fail_key(c, six, "means nothing with isolate, which drops IPv6");
		diag_other(g, isolate->at, "isolate");
		diag_hint(g, "remove one of them");
	}
}

/* The rules of the kernel's packet filter are about a card's tap, by its name, where some letters mean more. */
static void check_filter(struct check *c, const struct sill_net_config *n)
{
	const struct node *nat = place_ok(c, &n->nat), *isolate = place_ok(c, &n->isolate);
	const struct node *spoof = place_ok(c, &n->antispoof), *tap = place_ok(c, &n->tap);
	const struct node *address = place_ok(c, &n->address);
	const struct node *routed = nat != NULL && n->nat           ? nat
				    : isolate != NULL && n->isolate ? isolate
								    : NULL;
	const bool checked = spoof != NULL && n->antispoof == SILL_ANTISPOOF_ON;
	struct diag *g;

	if (routed != NULL && address != NULL && strcmp(n->address, "off") == 0) {
		g = check_fail_key(c, routed,
				   "there is no way through a host's side without an address");
		diag_other(g, address->at, "address");
		diag_hint(g, "remove one of them");
	}
	if ((routed != NULL || checked) && tap != NULL &&
	    strspn(n->tap, NET_LETTERS) != strlen(n->tap)) {
		g = check_fail_key(c, routed != NULL ? routed : spoof,
				   "not with a tap of this name");
		diag_other(g, tap->at, "tap");
		diag_hint(g, "a name of letters, digits, '-', '_' and '.'");
	}
}

/* What an address of a name server is to a guest. */
enum server { SERVER_NONE, SERVER_ITSELF, SERVER_4, SERVER_6 };

static enum server server_of(const char *text)
{
	struct in6_addr six;
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) == 1) {
		const uint32_t first = ntohl(in.s_addr) >> 24;

		return first == 0 || first >= 224 ? SERVER_NONE
		       : first == 127             ? SERVER_ITSELF
						  : SERVER_4;
	}
	if (inet_pton(AF_INET6, text, &six) != 1 || IN6_IS_ADDR_UNSPECIFIED(&six) ||
	    IN6_IS_ADDR_MULTICAST(&six) || IN6_IS_ADDR_V4MAPPED(&six))
		return SERVER_NONE;
	return IN6_IS_ADDR_LOOPBACK(&six) ? SERVER_ITSELF : SERVER_6;
}

static void check_server(struct check *c, const struct node *one, const char *text)
{
	char buf[TEXT_SHORT];

	(void)text_clean(buf, sizeof(buf), one->text, one->len);
	switch (server_of(text)) {
	case SERVER_NONE:
		diag_hint(check_fail(c, one, "'%s' is not the address of a name server", buf),
			  "an address, like 10.0.0.53 or fd00::53; or host, or off");
		break;
	case SERVER_ITSELF:
		diag_hint(check_fail(c, one, "'%s' is the guest itself, for the guest", buf),
			  "an address that the guest can reach, like 10.0.0.53; or host, or off");
		break;
	case SERVER_4:
	case SERVER_6:
		break;
	}
}

/* Whose way to the guest is not there. */
static void check_told(struct check *c, const struct sill_net_config *n, const struct node *dns)
{
	const struct node *dhcp = place_ok(c, &n->dhcp), *ipv6 = place_ok(c, &n->ipv6),
			  *isolate = place_ok(c, &n->isolate);
	bool four = false, six = false;

	for (unsigned i = 0; i < n->dns_count; i++) {
		four |= server_of(n->dns[i]) == SERVER_4;
		six |= server_of(n->dns[i]) == SERVER_6;
	}
	if (four && dhcp != NULL && n->dhcp == SILL_DHCP_OFF)
		diag_other(check_fail_key(c, dns, "nobody tells the guest: dhcp is off"), dhcp->at,
			   "dhcp");
	if (!six)
		return;
	if (n->tap == NULL)
		diag_hint(check_fail_key(c, dns, "nobody tells the guest of an IPv6 name server"),
			  "with 'tap' it is told");
	else if (ipv6 != NULL && n->ipv6 != NULL && strcmp(n->ipv6, "off") == 0)
		diag_other(check_fail_key(c, dns, "nobody tells the guest: ipv6 is off"), ipv6->at,
			   "ipv6");
	else if (isolate != NULL && n->isolate)
		diag_other(check_fail_key(c, dns, "isolate keeps the guest from IPv6"), isolate->at,
			   "isolate");
}

static void check_dns(struct check *c, const struct sill_net_config *n)
{
	const struct node *dns = place_ok(c, &n->dns);
	char buf[TEXT_SHORT];

	if (dns == NULL || dns->implied)
		return;
	for (unsigned i = 0; i < n->dns_count; i++) {
		const struct node *one = dns->items[i];
		const bool word = strcmp(n->dns[i], "host") == 0 || strcmp(n->dns[i], "off") == 0;

		(void)text_clean(buf, sizeof(buf), one->text, one->len);
		if (word && n->dns_count > 1)
			diag_hint(check_fail(c, one, "'%s' stands alone", buf),
				  "remove it, or the others");
		else if (!word)
			check_server(c, one, n->dns[i]);
	}
	check_told(c, n, dns);
}

/* One port for two forwards, of this card or one before it. */
static void check_same_port(struct check *c, const struct sill_config *v, unsigned card,
			    unsigned at, const struct forward_spec *s)
{
	const struct node *n = place_ok(c, &v->net[card].forward[at]);
	struct sill_err unused = { 0 };
	struct forward_spec other;

	for (unsigned i = 0; i <= card; i++)
		for (unsigned j = 0; j < (i < card ? v->net[i].forward_count : at); j++) {
			const struct node *o = place_ok(c, &v->net[i].forward[j]);

			if (o == NULL || forward_read(v->net[i].forward[j], &other, &unused) < 0 ||
			    !forward_clash(s, &other))
				continue;
			diag_other(check_fail(c, n, "the host's port %u is taken already",
					      s->host_port),
				   o->at, "by this");
			return;
		}
}

/* The guest is where our DHCP has put it; whether a tap that is there leads to one, the start tells. */
static void check_forward(struct check *c, const struct sill_config *v, unsigned card)
{
	const struct sill_net_config *n = &v->net[card];
	const struct node *list = place_ok(c, &n->forward), *dhcp = place_ok(c, &n->dhcp);
	const struct node *address = place_ok(c, &n->address);
	struct diag *g = NULL;

	for (unsigned i = 0; i < n->forward_count; i++) {
		const struct node *at = place_ok(c, &n->forward[i]);
		struct sill_err e = { 0 };
		struct forward_spec s;

		if (at == NULL)
			continue;
		if (forward_read(n->forward[i], &s, &e) < 0)
			diag_hint(check_fail(c, at, "%s", e.msg), "%s", e.hint);
		else
			check_same_port(c, v, card, i, &s);
	}
	if (list == NULL || n->forward_count == 0)
		return;
	/* It makes its own address of a network that it is told. */
	if (place_ok(c, &n->ipv6) != NULL && strcmp(n->ipv6, "auto") != 0 &&
	    strcmp(n->ipv6, "off") != 0)
		return;
	if (address != NULL && strcmp(n->address, "off") == 0) {
		g = check_fail_key(c, list, "nobody knows the guest: the host has no address");
		diag_other(g, address->at, "address");
	} else if (dhcp != NULL && n->dhcp == SILL_DHCP_OFF) {
		g = check_fail_key(c, list, "nobody knows the guest's address: dhcp is off");
		diag_other(g, dhcp->at, "dhcp");
	}
	if (g != NULL)
		diag_hint(g, "remove one of them");
}

static void check_queues(struct check *c, const struct sill_config *v,
			 const struct sill_net_config *n)
{
	const struct node *queues = place_ok(c, &n->queues), *max = place_ok(c, &v->cpus.max);
	const struct node *size = place_ok(c, &n->queue_size), *tso = place_ok(c, &n->offload_tso);
	struct diag *g;

	if (queues != NULL && max != NULL && n->queues > v->cpus.max) {
		g = check_fail(c, queues, "more pairs of queues than vCPUs");
		diag_other(g, max->at, "cpus.max");
		diag_hint(g, "at most %u", v->cpus.max);
	}
	if (size != NULL && !is_power_of_two(n->queue_size))
		diag_hint(check_fail(c, size, "%u is not a power of two", n->queue_size),
			  "256, 512, 1024");
	if (tso != NULL && !tso->implied && n->offload_tso &&
	    place_ok(c, &n->offload_csum) != NULL && !n->offload_csum)
		diag_hint(check_fail_key(c, tso, "means nothing with offload_csum: off"),
			  "remove it");
}

/* What the kernel passes, Sill neither holds back nor answers. */
static void check_vhost(struct check *c, const struct sill_net_config *n)
{
	const struct node *vhost = place_ok(c, &n->vhost), *dhcp = place_ok(c, &n->dhcp);
	const struct node *rx = place_map(c, &n->rx_limit), *tx = place_map(c, &n->tx_limit);
	const struct node *cpus = place_ok(c, &n->affinity), *other = NULL;
	struct diag *g = NULL;

	if (vhost == NULL || n->vhost != SILL_VHOST_ON)
		return;
	if (rx != NULL || tx != NULL) {
		other = rx != NULL ? rx : tx;
		g = check_fail_key(c, vhost, "the kernel knows no limits of ours");
	} else if (cpus != NULL && !cpus->implied && n->affinity_count > 0) {
		other = cpus;
		g = check_fail_key(c, vhost, "the kernel's thread is not told where to run");
	} else if (n->tap == NULL && dhcp != NULL && n->dhcp == SILL_DHCP_ON &&
		   (n->bridge != NULL || n->fd_count > 0)) {
		other = dhcp;
		g = check_fail_key(c, vhost, "DHCP is answered on a tap of Sill's own only then");
	}
	if (g != NULL) {
		diag_other(g, other->key_at, "this");
		diag_hint(g, "remove one of them");
	}
}

static void check_slots(struct check *c, const struct sill_config *v,
			const struct sill_net_config *n)
{
	const struct node *slot = place_ok(c, &n->slot);

	for (unsigned i = 0; slot != NULL && i < v->disk_count; i++) {
		const struct node *other = place_ok(c, &v->disk[i].slot);

		if (other != NULL && v->disk[i].slot == n->slot)
			diag_other(check_fail(c, slot, "%s has the slot %u too",
					      place_map(c, &v->disk[i])->path, n->slot),
				   other->at, "that one");
	}
}

/* One tap for two cards: the second one could not have it. */
static void check_same_tap(struct check *c, const struct sill_config *v, unsigned i)
{
	const struct node *tap = place_ok(c, &v->net[i].tap);

	for (unsigned j = 0; tap != NULL && v->net[i].tap[0] != '\0' && j < i; j++) {
		const struct node *other = place_ok(c, &v->net[j].tap);

		if (other != NULL && strcmp(v->net[i].tap, v->net[j].tap) == 0)
			diag_other(check_fail(c, tap, "%s has this tap already",
					      place_map(c, &v->net[j])->path),
				   other->at, "that one");
	}
}

/* All sit on one PCI bus. */
static void check_room(struct check *c, const struct sill_config *v)
{
	const unsigned count = sill_check_slots(v), cards = v->disk_count + v->net_count;
	const struct node *at = place_ok(c, &v->net);

	if (at == NULL || v->net_count == 0)
		at = place_ok(c, &v->disk);
	if (at == NULL || count <= SILL_PCI_SLOTS || v->disk_count > SILL_MAX_DISKS)
		return;
	diag_hint(check_fail_key(c, at, "%u devices do not fit on the bus, which has room for %u",
				 count, SILL_PCI_SLOTS),
		  "of disks and network cards, at most %u beside the others (rng, console, vsock, "
		  "balloon, virtio-mem)",
		  SILL_PCI_SLOTS - (count - cards));
}

static void check_limits(struct check *c, const struct sill_config *v)
{
	const struct sill_rate_limit *list[2 * SILL_MAX_NETS];
	unsigned count = 0;

	for (unsigned i = 0; i < v->net_count && i < SILL_MAX_NETS; i++) {
		list[count++] = &v->net[i].rx_limit;
		list[count++] = &v->net[i].tx_limit;
	}
	check_rates(c, list, count, "cards");
}

void check_net_rules(struct check *c, const struct sill_config *v)
{
	const struct list nets = { &net_section, v->net, v->net_count, sizeof(*v->net) };

	check_room(c, v);
	check_limits(c, v);
	for (unsigned i = 0; i < v->net_count; i++) {
		check_net_end(c, v, i);
		check_mac(c, &v->net[i]);
		check_address(c, &v->net[i]);
		check_ipv6(c, &v->net[i]);
		check_dns(c, &v->net[i]);
		check_forward(c, v, i);
		check_filter(c, &v->net[i]);
		check_nat6(c, &v->net[i]);
		check_queues(c, v, &v->net[i]);
		check_vhost(c, &v->net[i]);
		check_slots(c, v, &v->net[i]);
		check_same_tap(c, v, i);
		check_host_cpus(c, &v->net[i].affinity, v->net[i].affinity_count);
	}
	check_unique(c, &nets, "id");
	check_unique(c, &nets, "mac");
	check_unique(c, &nets, "slot");
}
