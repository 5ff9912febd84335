/* SPDX-License-Identifier: Apache-2.0 */
/* netstate.c - see netstate.h. */
#include "runner/net/netstate.h"

#include <inttypes.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/host/forwarding.h"
#include "runner/host/link.h"
#include "runner/host/nat.h"
#include "runner/host/nft.h"
#include "runner/host/proc.h"
#include "runner/host/rules.h"
#include "runner/host/rundir.h"
#include "runner/host/subnet.h"
#include "runner/host/vhost.h"
#include "runner/image/verbs.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

/* ---- the device, as it is now ---- */

struct device {
	bool there, up, has_address;
	int mtu;
	uint32_t address;
};

static struct device look(const char *name)
{
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct device d = { 0 };
	struct sockaddr_in in;
	struct ifreq ifr = { 0 };

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	d.there = s >= 0 && ioctl(s, SIOCGIFFLAGS, &ifr) == 0;
	d.up = d.there && (ifr.ifr_flags & IFF_UP) != 0;
	if (d.there && ioctl(s, SIOCGIFMTU, &ifr) == 0)
		d.mtu = ifr.ifr_mtu;
	if (d.there && ioctl(s, SIOCGIFADDR, &ifr) == 0) {
		memcpy(&in, &ifr.ifr_addr, sizeof(in));
		d.has_address = true;
		d.address = ntohl(in.sin_addr.s_addr);
	}
	if (s >= 0)
		(void)close(s);
	return d;
}

static uint64_t statistic(const char *device, const char *name)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/sys/class/net/%.15s/statistics/%s", device, name);
	return proc_number(path);
}

/* What the card's frames go through, and the interface of the host that can be looked at for it; "": none. */
struct end {
	const char *kind, *interface;
};

static struct end end_of(const struct sill_net_config *n)
{
	if (n->tap != NULL)
		return (struct end){ "tap", n->tap };
	if (n->bridge != NULL)
		return (struct end){ "bridge", n->bridge };
	if (n->macvtap != NULL)
		return (struct end){ "macvtap", n->macvtap };
	return (struct end){ n->fd_count > 0 ? "fd" : n->user ? "user" : "none", "" };
}

/*
 * What the VM has made for the card on somebody else's bridge or interface; it is found by its MAC address, which
 * the manifest tells. False: there is none, or it cannot be looked for.
 */
static bool find_port(const struct sill_net_config *n, struct link *ret)
{
	struct sill_err unused = { 0 };
	uint8_t mac[6];

	*ret = (struct link){ 0 };
	if ((n->bridge == NULL && n->macvtap == NULL) || n->mac == NULL ||
	    sill_mac_read(n->mac, mac) < 0)
		return false;
	if (n->bridge != NULL)
		sill_host_mac(mac, mac);
	return link_find_mac(mac, n->bridge != NULL ? "tun" : "macvtap", ret, &unused) == 1;
}

/* ---- what is in the way ---- */

static void __attribute__((format(printf, 2, 3))) find(json_t *list, const char *fmt, ...)
{
	char text[NAT_ADVICE + 128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_array_append_new(list, json_text(text));
}

/* Of a card whose device hangs on somebody else's. The guest may have changed the MAC address of a macvtap. */
static void find_shared(json_t *list, const struct sill_net_config *n, const struct device *d)
{
	const char *name = end_of(n).interface;
	struct link port;

	if (name[0] == '\0')
		return;
	if (!d->there) {
		find(list, "the %s '%s' is gone", n->bridge != NULL ? "bridge" : "interface", name);
		return;
	}
	if (!d->up)
		find(list, "'%s' is down; `ip link set %s up`", name, name);
	if (!find_port(n, &port)) {
		if (n->bridge != NULL)
			find(list,
			     "the card's port of '%s' is gone; the guest has it back when the VM "
			     "starts anew",
			     name);
		return;
	}
	if (!port.up)
		find(list, "the device '%s' is down; `ip link set %s up`", port.name, port.name);
	if (n->bridge != NULL && port.master != if_nametoindex(n->bridge))
		find(list, "'%s' is no port of '%s' any more; `ip link set %s master %s`",
		     port.name, name, port.name, name);
}

static void find_device(json_t *list, const struct sill_net_config *n, const struct device *d)
{
	uint32_t address;
	uint8_t prefix;

	if (n->tap == NULL) {
		find_shared(list, n, d);
		return;
	}
	if (!d->there) {
		find(list, "the device '%s' is gone; the guest has it back when the VM starts anew",
		     n->tap);
		return;
	}
	if (!d->up)
		find(list, "the device '%s' is down; `ip link set %s up`", n->tap, n->tap);
	if (n->address != NULL && sill_address_read(n->address, &address, &prefix) == 0 &&
	    (!d->has_address || d->address != address))
		find(list, "the device '%s' has lost its address; `ip address add %s dev %s`",
		     n->tap, n->address, n->tap);
}

static void find_forwarding(json_t *list, const char *interface)
{
	if (!forwarding_is_on(FORWARDING_IPV4, interface))
		find(list, "nat: forwarding on '%s' is off; `sysctl net.ipv4.conf.%s.forwarding=1`",
		     interface, interface);
}

/* The file has a line for each of their tables that is in use. */
static bool has_old_tables(void)
{
	FILE *f = fopen("/proc/net/ip_tables_names", "re");
	const bool has = f != NULL && fgetc(f) != EOF;

	if (f != NULL)
		(void)fclose(f);
	return has;
}

static void find_nat(json_t *list, const char *tap)
{
	struct sill_err e = { 0 };
	char text[NAT_ADVICE];
	struct uplinks up;

	if (uplinks_find(&up, &e) == 0) {
		if (up.count == 0)
			find(list, "nat: the host has no default route");
		for (unsigned i = 0; i < up.count; i++)
			find_forwarding(list, up.name[i]);
	}
	find_forwarding(list, tap);
	if (nat_obstacle(tap, text))
		find(list, "nat: %s lets it through", text);
	if (has_old_tables())
		find(list, "nat: there are rules of the old iptables, which are not looked at; "
			   "`iptables-legacy -S FORWARD`");
}

static void find_silence(json_t *list, const struct sill_net_config *n,
			 const struct sill_net_status *s, enum sill_guest guest)
{
	if (!s->link && n->link == SILL_LINK_DOWN)
		find(list, "the cable is pulled (link: down)");
	if (!s->driver)
		find(list, "no driver of the guest is at work%s",
		     guest == SILL_GUEST_WINDOWS ? ": NetKVM of virtio-win" : "");
	else if (n->dhcp == SILL_DHCP_ON && s->dhcp_answers == 0 && s->lease_s == 0)
		find(list, "the guest has not asked for an address (DHCP)");
}

/* ---- one card ---- */

static json_t *counts(uint64_t frames, uint64_t bytes, uint64_t dropped)
{
	return json_pack("{s:I,s:I,s:I}", "frames", (json_int_t)frames, "bytes", (json_int_t)bytes,
			 "dropped", (json_int_t)dropped);
}

/* What comes out of a tap went into the guest, or waits for it. */
bool netstate_count(const struct sill_net_config *n, struct netstate_counts *ret)
{
	struct link port;
	const char *name = n->tap;

	/* Of a bridge the port; anything else is not this VM's alone, or a macvtap, whose numbers are others'. */
	if (name == NULL && n->bridge != NULL && find_port(n, &port))
		name = port.name;
	if (name == NULL)
		return false;
	*ret = (struct netstate_counts){
		.to_frames = statistic(name, "tx_packets"),
		.to_bytes = statistic(name, "tx_bytes"),
		.to_dropped = statistic(name, "tx_dropped"),
		.from_frames = statistic(name, "rx_packets"),
		.from_bytes = statistic(name, "rx_bytes"),
		.from_dropped = statistic(name, "rx_dropped"),
	};
	return true;
}

static json_t *counters(const struct sill_net_config *n, const struct sill_net_status *s)
{
	struct netstate_counts c;

	if (s != NULL && !s->vhost)
		return json_pack(
			"{s:s,s:o,s:o}", "of", "card", "to_guest",
			counts(s->to_guest_frames, s->to_guest_bytes, s->to_guest_dropped),
			"from_guest",
			counts(s->from_guest_frames, s->from_guest_bytes, s->from_guest_dropped));
	if (!netstate_count(n, &c))
		return json_null();
	return json_pack("{s:s,s:o,s:o}", "of", "device", "to_guest",
			 counts(c.to_frames, c.to_bytes, c.to_dropped), "from_guest",
			 counts(c.from_frames, c.from_bytes, c.from_dropped));
}

/* Who passes the frames, and if that is Sill, why not the kernel; null: because the manifest says so. */
static json_t *frames(const struct sill_net_config *n, const struct sill_net_status *s)
{
	const bool vhost = s != NULL ? s->vhost : n->vhost == SILL_VHOST_ON;
	const char *why = vhost_obstacle(n, n->dhcp == SILL_DHCP_ON);
	struct sill_err e = { 0 };

	if (why == NULL && !vhost && !vhost_opens(&e))
		why = e.msg;
	return json_pack("{s:s,s:o,s:o}", "by", vhost ? "vhost-net" : "sill", "queues",
			 s != NULL ? json_integer(s->vhost_queues) : json_null(), "why",
			 why != NULL && !vhost ? json_text(why) : json_null());
}

static json_t *forwards(const struct sill_net_config *n, struct cables *cs)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n->forward_count; i++) {
		json_t *o = json_pack("{s:o}", "forward", json_text(n->forward[i]));
		struct forward_count c;
		struct forward_spec s;

		if (cs != NULL && forward_read(n->forward[i], &s, &(struct sill_err){ 0 }) == 0 &&
		    cables_count(cs, n->id, &s, &c)) {
			(void)json_object_set_new(o, "open", json_integer((json_int_t)c.open));
			(void)json_object_set_new(o, "taken", json_integer((json_int_t)c.taken));
			(void)json_object_set_new(o, "bytes_to_guest",
						  json_integer((json_int_t)c.to_guest));
			(void)json_object_set_new(o, "bytes_from_guest",
						  json_integer((json_int_t)c.from_guest));
		}
		(void)json_array_append_new(list, o);
	}
	return list;
}

/* We have told it, or nobody knows. */
static bool guest_address(const struct sill_net_config *n, char ret[INET_ADDRSTRLEN])
{
	struct in_addr in;
	uint32_t address;

	if (!sill_dhcp_gives(n->dhcp) || n->address == NULL ||
	    forward_guest(n->address, &address) < 0)
		return false;
	in.s_addr = htonl(address);
	return inet_ntop(AF_INET, &in, ret, INET_ADDRSTRLEN) != NULL;
}

/* It has taken it before our eyes. */
static bool guest_address6(const struct sill_net_status *s, char ret[INET6_ADDRSTRLEN])
{
	static const uint8_t none[16] = { 0 };

	return s != NULL && memcmp(s->guest6, none, sizeof(none)) != 0 &&
	       inet_ntop(AF_INET6, s->guest6, ret, INET6_ADDRSTRLEN) != NULL;
}

bool netstate_guest_of(const struct sill_config *c, char ret[INET_ADDRSTRLEN])
{
	for (unsigned i = 0; i < c->net_count; i++)
		if (!c->net[i].user && guest_address(&c->net[i], ret))
			return true;
	return false;
}

bool netstate_guest(const char *name, char ret[INET_ADDRSTRLEN])
{
	struct sill_err e = { 0 };
	struct sill_config c;
	struct rundir_vm vm;
	bool known;

	if (rundir_find(name, &vm, &e) < 0 || rundir_read_manifest(&vm, &c, &e) < 0)
		return false;
	known = netstate_guest_of(&c, ret);
	sill_config_free(&c);
	return known;
}

static json_t *guest(const struct sill_net_config *n, const struct sill_net_status *s)
{
	json_t *dns = json_array();
	char text[INET_ADDRSTRLEN] = "", six[INET6_ADDRSTRLEN];

	for (unsigned i = 0; i < n->dns_count; i++)
		if (strcmp(n->dns[i], "off") != 0)
			(void)json_array_append_new(dns, json_text(n->dns[i]));
	(void)guest_address(n, text);
	return json_pack("{s:o,s:o,s:b,s:o,s:o}", "address",
			 text[0] != '\0' ? json_string(text) : json_null(), "address6",
			 guest_address6(s, six) ? json_string(six) : json_null(), "dhcp",
			 sill_dhcp_gives(n->dhcp), "lease_seconds",
			 s != NULL && n->dhcp != SILL_DHCP_DNSMASQ ? json_integer(s->lease_s)
								   : json_null(),
			 "name_servers", dns);
}

static json_t *card(const struct netstate *w, const struct sill_net_config *n)
{
	const struct end end = end_of(n);
	const struct device d = look(end.interface);
	struct sill_net_status status;
	const struct sill_net_status *s = NULL;
	json_t *found = json_array(), *o;
	struct link port;

	if (w->vm != NULL &&
	    sill_vm_net_status(w->vm, n->id, &status, &(struct sill_err){ 0 }) == 0)
		s = &status;
	find_device(found, n, &d);
	if (s != NULL)
		find_silence(found, n, s, w->c->guest);
	if (n->nat && n->tap != NULL && d.there)
		find_nat(found, n->tap);
	o = json_pack("{s:o,s:s,s:o,s:b,s:b,s:o,s:o}", "id", json_text(n->id), "kind", end.kind,
		      "device", json_text(end.interface), "there", d.there, "up", d.up, "mac",
		      n->mac != NULL ? json_text(n->mac) : json_null(), "mtu",
		      d.there ? json_integer(d.mtu) : json_null());
	(void)json_object_set_new(o, "link",
				  s != NULL ? json_string(s->link ? "up" : "down") : json_null());
	(void)json_object_set_new(o, "driver", s != NULL ? json_boolean(s->driver) : json_null());
	(void)json_object_set_new(o, "queues",
				  s != NULL ? json_pack("{s:i,s:i}", "used", (int)s->pairs, "there",
							(int)s->max_pairs)
					    : json_null());
	(void)json_object_set_new(o, "frames", frames(n, s));
	(void)json_object_set_new(o, "host",
				  n->address != NULL && strcmp(n->address, "off") != 0
					  ? json_text(n->address)
					  : json_null());
	(void)json_object_set_new(
		o, "host6",
		n->ipv6 != NULL && strcmp(n->ipv6, "off") != 0 ? json_text(n->ipv6) : json_null());
	(void)json_object_set_new(o, "guest", guest(n, s));
	(void)json_object_set_new(o, "nat", json_boolean(n->nat));
	(void)json_object_set_new(o, "nat6", json_boolean(n->nat && n->nat6 == SILL_DHCP_ON));
	(void)json_object_set_new(o, "isolate", json_boolean(n->isolate));
	(void)json_object_set_new(o, "antispoof", json_boolean(n->antispoof == SILL_ANTISPOOF_ON));
	(void)find_port(n, &port);
	(void)json_object_set_new(o, "port",
				  port.name[0] != '\0' ? json_text(port.name) : json_null());
	(void)json_object_set_new(o, "counters", counters(n, s));
	(void)json_object_set_new(o, "forwards", forwards(n, w->cables));
	(void)json_object_set_new(o, "in_the_way", found);
	return o;
}

/* ---- the packet filter ---- */

static void on_count(void *ctx, const struct nft_counted *c)
{
	json_t *list = ctx, *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		json_t *packets = json_object_get(one, "packets"),
		       *bytes = json_object_get(one, "bytes");

		if (strcmp(json_string_value(json_object_get(one, "rule")), c->comment) != 0)
			continue;
		(void)json_integer_set(packets,
				       json_integer_value(packets) + (json_int_t)c->packets);
		(void)json_integer_set(bytes, json_integer_value(bytes) + (json_int_t)c->bytes);
		return;
	}
	(void)json_array_append_new(list, json_pack("{s:o,s:I,s:I}", "rule", json_text(c->comment),
						    "packets", (json_int_t)c->packets, "bytes",
						    (json_int_t)c->bytes));
}

/* The tables of a VM have the name of the first card that there are rules for; so have those of one that came later. */
static json_t *read_tables(int fd, const char *name)
{
	static const uint8_t families[] = { NFPROTO_INET, NFPROTO_NETDEV };
	struct sill_err unused = { 0 };
	json_t *list = json_array();
	int bad = 0;

	for (unsigned i = 0; i < sizeof(families); i++)
		bad |= nft_each_count(fd, &(struct nft_table){ families[i], name }, on_count, list,
				      &unused);
	if (bad == 0)
		return json_pack("{s:o,s:o}", "table", json_text(name), "rules", list);
	json_decref(list);
	return NULL;
}

/* What the rules have counted. A table without any is one that is gone; no table: there is none, or who asks may not know. */
static json_t *filter(const struct sill_config *c)
{
	const int fd = nft_open(&(struct sill_err){ 0 });
	json_t *list = json_array();

	for (unsigned i = 0; i < c->net_count; i++) {
		const struct sill_net_config *n = &c->net[i];
		char name[NFT_NAME];
		struct link port;
		json_t *o;

		if (fd < 0 || (!n->nat && !n->isolate && n->antispoof != SILL_ANTISPOOF_ON))
			continue;
		(void)find_port(n, &port);
		rules_name(name, n->tap != NULL ? n->tap : port.name);
		o = read_tables(fd, name);
		if (o != NULL && (json_array_size(list) == 0 ||
				  json_array_size(json_object_get(o, "rules")) > 0))
			(void)json_array_append_new(list, o);
		else
			json_decref(o);
	}
	if (fd >= 0)
		(void)close(fd);
	return list;
}

json_t *netstate_json(const struct netstate *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->c->net_count; i++)
		(void)json_array_append_new(list, card(s, &s->c->net[i]));
	return json_pack("{s:o,s:o,s:o,s:o}", "vm", json_text(s->c->name), "pid",
			 s->pid != 0 ? json_integer(s->pid) : json_null(), "net", list, "filter",
			 filter(s->c));
}

/* ---- for a person ---- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static uint64_t number_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static void print_counts(FILE *f, const char *label, const json_t *o)
{
	char size[32];

	(void)image_size_text(size, sizeof(size), number_of(o, "bytes"));
	if (json_is_object(o))
		text_say(f, "  %-11s %" PRIu64 " frames, %s, %" PRIu64 " dropped", label,
			 number_of(o, "frames"), size, number_of(o, "dropped"));
}

static void print_guest(FILE *f, const json_t *g)
{
	const json_t *lease = json_object_get(g, "lease_seconds"),
		     *dns = json_object_get(g, "name_servers");
	char line[256], *at = line;
	size_t left = sizeof(line);
	json_t *server;
	size_t i;

#define ADD(...)                                                \
	do {                                                    \
		const int n_ = snprintf(at, left, __VA_ARGS__); \
		if (n_ > 0 && (size_t)n_ < left) {              \
			at += n_;                               \
			left -= (size_t)n_;                     \
		}                                               \
	} while (0)
	line[0] = '\0';
	if (text_of(g, "address")[0] == '\0') {
		ADD("not known: it gets its address elsewhere");
	} else {
		ADD("%s by DHCP", text_of(g, "address"));
		if (json_integer_value(lease) > 0)
			ADD(", for %" PRIu64 " min more",
			    ((uint64_t)json_integer_value(lease) + 59) / 60);
		else if (json_is_integer(lease))
			ADD(", once it asks");
	}
	json_array_foreach(dns, i, server)
		ADD("%s%s", i == 0 ? "; name servers " : ", ", json_string_value(server));
	if (text_of(g, "address6")[0] != '\0')
		ADD("; %s", text_of(g, "address6"));
#undef ADD
	text_say(f, "  %-11s %s", "guest", line);
}

static void print_forward(FILE *f, const json_t *o)
{
	char to[32], from[32];

	if (json_object_get(o, "taken") == NULL) {
		text_say(f, "  %-11s %s", "forward", text_of(o, "forward"));
		return;
	}
	(void)image_size_text(to, sizeof(to), number_of(o, "bytes_to_guest"));
	(void)image_size_text(from, sizeof(from), number_of(o, "bytes_from_guest"));
	text_say(f, "  %-11s %s: %" PRIu64 " connections, %" PRIu64 " so far; %s in, %s out",
		 "forward", text_of(o, "forward"), number_of(o, "open"), number_of(o, "taken"), to,
		 from);
}

/* "vmtap0, up, MTU 1500", "vmtap0 on bridge br0, down, MTU 9000", "user". */
static void print_end(FILE *f, const json_t *o)
{
	const char *kind = text_of(o, "kind"), *link = text_of(o, "link"),
		   *port = text_of(o, "port");
	const bool is_tap = kind[0] == '\0' || strcmp(kind, "tap") == 0;
	char line[160] = "";

	if (text_of(o, "device")[0] != '\0')
		(void)snprintf(line, sizeof(line), "%s%s%s%s%s, %s, MTU %" PRIu64, port,
			       port[0] != '\0' ? " on " : "", is_tap ? "" : kind, is_tap ? "" : " ",
			       text_of(o, "device"),
			       !json_is_true(json_object_get(o, "there")) ? "gone"
			       : json_is_true(json_object_get(o, "up"))   ? "up"
									  : "down",
			       number_of(o, "mtu"));
	text_say(f, "%s: %s%s%s, %s", text_of(o, "id"), line[0] != '\0' ? line : kind,
		 link[0] != '\0' ? ", the guest's link " : "", link, text_of(o, "mac"));
}

static void print_frames(FILE *f, const json_t *o)
{
	const char *why = text_of(o, "why");

	if (strcmp(text_of(o, "by"), "vhost-net") == 0)
		text_say(f, "  %-11s by the host's kernel (vhost-net)", "frames");
	else if (json_is_object(o))
		text_say(f, "  %-11s by Sill%s%s", "frames", why[0] != '\0' ? ": " : "", why);
}

static void print_card(FILE *f, const json_t *o)
{
	const json_t *queues = json_object_get(o, "queues"),
		     *counts_of = json_object_get(o, "counters");
	json_t *one;
	size_t i;

	print_end(f, o);
	if (text_of(o, "host")[0] != '\0' || text_of(o, "host6")[0] != '\0')
		text_say(f, "  %-11s %s%s%s", "host", text_of(o, "host"),
			 text_of(o, "host")[0] != '\0' && text_of(o, "host6")[0] != '\0' ? ", "
											 : "",
			 text_of(o, "host6"));
	print_guest(f, json_object_get(o, "guest"));
	if (json_is_true(json_object_get(o, "nat")))
		text_say(f, "  %-11s on%s", "nat",
			 json_is_true(json_object_get(o, "nat6")) ? ", of IPv6 too" : "");
	if (json_is_true(json_object_get(o, "isolate")))
		text_say(f, "  %-11s on", "isolate");
	if (json_is_true(json_object_get(o, "antispoof")))
		text_say(f, "  %-11s on", "antispoof");
	print_frames(f, json_object_get(o, "frames"));
	print_counts(f, "to guest", json_object_get(counts_of, "to_guest"));
	print_counts(f, "from guest", json_object_get(counts_of, "from_guest"));
	if (number_of(queues, "there") > 1)
		text_say(f, "  %-11s %" PRIu64 " of %" PRIu64, "queues", number_of(queues, "used"),
			 number_of(queues, "there"));
	json_array_foreach(json_object_get(o, "forwards"), i, one) print_forward(f, one);
	json_array_foreach(json_object_get(o, "in_the_way"), i, one)
		text_say(f, "  %-11s %s", "in the way", json_string_value(one));
}

/* Of each rule that has seen something. */
static void print_table(FILE *f, const json_t *o)
{
	const json_t *rules = json_object_get(o, "rules");
	char size[32];
	json_t *one;
	size_t i;

	text_say(f, "%s: %s", text_of(o, "table"),
		 json_array_size(rules) > 0 ? "rules of the packet filter" : "the rules are gone");
	json_array_foreach(rules, i, one)
	{
		if (number_of(one, "packets") == 0)
			continue;
		(void)image_size_text(size, sizeof(size), number_of(one, "bytes"));
		text_say(f, "  %-31s %" PRIu64 " packets, %s", text_of(one, "rule"),
			 number_of(one, "packets"), size);
	}
}

void netstate_print(FILE *f, const json_t *o)
{
	const json_t *list = json_object_get(o, "net");
	json_t *one;
	size_t i;

	if (json_array_size(list) == 0)
		text_say(f, "'%s' has no network card", text_of(o, "vm"));
	json_array_foreach(list, i, one) print_card(f, one);
	json_array_foreach(json_object_get(o, "filter"), i, one) print_table(f, one);
}
