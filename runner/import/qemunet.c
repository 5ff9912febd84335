/* SPDX-License-Identifier: Apache-2.0 */
/* qemunet.c - QEMU's network cards, and what they are connected to. */
#include "runner/import/qemu.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/scalar.h"

/* ---- -netdev user ---- */

/* The host's side of the network: "net=10.0.0.0/24,host=10.0.0.1"; its default is the second address. */
static void set_address(struct qemu *q, json_t *card, const json_t *o)
{
	const char *net = qemu_opt(o, "net"), *host = qemu_opt(o, "host");
	const char *slash = net != NULL ? strchr(net, '/') : NULL;
	char text[INET_ADDRSTRLEN] = "";
	struct in_addr a;

	if (net == NULL && host == NULL)
		return;
	(void)snprintf(text, sizeof(text), "%.*s", net != NULL ? (int)strcspn(net, "/") : 0,
		       net != NULL ? net : "");
	if (host == NULL && inet_pton(AF_INET, text, &a) == 1) {
		a.s_addr = htonl(ntohl(a.s_addr) + 2);
		host = inet_ntop(AF_INET, &a, text, sizeof(text));
	}
	if (host == NULL || (slash != NULL && strchr(slash, '.') != NULL))
		import_lost(q->im, "-netdev user net", "'%.40s' is no network of Sill's", net);
	else
		(void)json_object_set_new(
			card, "address", json_sprintf("%s%s", host, slash != NULL ? slash : "/24"));
}

/* "tcp:HOST:PORT-GUEST:PORT" */
static void add_forward(struct qemu *q, json_t *card, const char *text)
{
	char host[64] = "", what[96];
	unsigned from = 0, to = 0;
	const char *p = strncmp(text, "tcp:", 4) == 0 ? text + 4 : text[0] == ':' ? text + 1 : NULL;
	const char *colon = p != NULL ? strchr(p, ':') : NULL, *dash, *last;

	(void)snprintf(what, sizeof(what), "hostfwd=%.80s", text);
	dash = colon != NULL ? strchr(colon, '-') : NULL;
	last = dash != NULL ? strrchr(dash, ':') : NULL;
	if (last == NULL || colon - p >= (long)sizeof(host) ||
	    sscanf(colon + 1, "%5u", &from) != 1 || sscanf(last + 1, "%5u", &to) != 1) {
		import_lost(q->im, what, "Sill forwards ports of TCP only");
		return;
	}
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - p), p);
	if (json_object_get(card, "forward") == NULL)
		(void)json_object_set_new(card, "forward", json_array());
	(void)json_array_append_new(
		json_object_get(card, "forward"),
		json_sprintf("%s:%u:%u", host[0] != '\0' ? host : "0.0.0.0", from, to));
}

static void set_user(struct qemu *q, json_t *card, const json_t *o)
{
	(void)json_object_set_new(card, "user", json_true());
	set_address(q, card, o);
	for (size_t i = 0; qemu_opt_at(o, "hostfwd", i) != NULL; i++)
		add_forward(q, card, qemu_opt_at(o, "hostfwd", i));
	if (qemu_opt(o, "dhcpstart") != NULL)
		import_lost(q->im, "dhcpstart", "the guest gets the second address of the network");
	qemu_rest(q, o, " type id net host hostfwd dhcpstart ipv4 ipv6 ", "-netdev user");
}

/* ---- the others ---- */

static void set_fds(json_t *card, const char *list)
{
	json_t *fds = json_array();
	char *end;

	while (json_array_size(fds) < 16) {
		(void)json_array_append_new(fds, json_integer(strtol(list, &end, 10)));
		if (*end != ':' || end == list)
			break;
		list = end + 1;
	}
	(void)json_object_set_new(card, "fd", fds);
}

static bool is_script(const char *s)
{
	return s != NULL && s[0] != '\0' && strcmp(s, "no") != 0;
}

static void set_tap(struct qemu *q, json_t *card, const json_t *o)
{
	const char *fd = qemu_opt(o, "fds") != NULL ? qemu_opt(o, "fds") : qemu_opt(o, "fd");
	uint64_t n;

	if (fd != NULL)
		set_fds(card, fd);
	else if (qemu_opt(o, "br") != NULL || qemu_opt(o, "helper") != NULL)
		import_text(card, "bridge", qemu_opt(o, "br") != NULL ? qemu_opt(o, "br") : "br0");
	else
		import_text(card, "tap",
			    qemu_opt(o, "ifname") != NULL ? qemu_opt(o, "ifname") : "");
	if (qemu_is_off(o, "vhost"))
		import_text(card, "vhost", "off");
	if (qemu_opt(o, "queues") != NULL && scalar_uint(qemu_opt(o, "queues"), &n) == SCALAR_OK)
		(void)json_object_set_new(card, "queues", json_integer((json_int_t)n));
	if (is_script(qemu_opt(o, "script")) || is_script(qemu_opt(o, "downscript")))
		import_lost(q->im, "-netdev tap script",
			    "Sill runs no programs; 'bridge', 'address' and "
			    "'nat' are keys of the card");
	qemu_rest(q, o,
		  " type id fds fd br helper ifname vhost vhostfd vhostfds vhostforce queues "
		  "script downscript sndbuf ",
		  "-netdev tap");
}

static void connect_card(struct qemu *q, json_t *card, const json_t *o)
{
	const char *type = qemu_opt(o, "type");
	char what[64];

	if (qemu_one_of(" user passt ", type)) {
		set_user(q, card, o);
	} else if (import_is(type, "tap")) {
		set_tap(q, card, o);
	} else if (import_is(type, "bridge")) {
		import_text(card, "bridge", qemu_opt(o, "br") != NULL ? qemu_opt(o, "br") : "br0");
	} else {
		(void)json_object_set_new(card, "none", json_true());
		(void)snprintf(what, sizeof(what), "-netdev %.48s", type != NULL ? type : "");
		import_lost(q->im, what,
			    "Sill has no such network; the card is connected to nothing");
	}
}

static void set_number(json_t *card, const char *key, const char *text)
{
	uint64_t n;

	if (text != NULL && scalar_uint(text, &n) == SCALAR_OK && n > 0)
		(void)json_object_set_new(card, key, json_integer((json_int_t)n));
}

static void set_card(struct qemu *q, json_t *card, const json_t *dev)
{
	const char *driver = qemu_opt(dev, "driver");
	const char *mac =
		qemu_opt(dev, "mac") != NULL ? qemu_opt(dev, "mac") : qemu_opt(dev, "macaddr");

	import_text(card, "mac", mac);
	import_text(card, "id", qemu_opt(dev, "id"));
	set_number(card, "mtu", qemu_opt(dev, "host_mtu"));
	set_number(card, "queue_size", qemu_opt(dev, "rx_queue_size"));
	if (driver != NULL && strncmp(driver, "virtio", 6) != 0)
		import_note(q->im, driver,
			    "the card is a virtio one: the guest needs its driver (for Windows: "
			    "NetKVM)");
	qemu_rest(q, dev,
		  " driver netdev mac macaddr id host_mtu rx_queue_size tx_queue_size mq vectors "
		  "bus addr bootindex "
		  "disable-legacy disable-modern romfile rombar model multifunction acpi-index "
		  "ioeventfd ",
		  driver != NULL ? driver : "-nic");
}

/* ---- the options ---- */

/* Both are taken. */
static void add_nic(struct qemu *q, json_t *dev, json_t *net)
{
	(void)json_array_append_new(q->nics, json_pack("{s:o,s:o}", "dev", dev, "net", net));
}

void qemu_net_device(struct qemu *q, const json_t *dev)
{
	const char *id = qemu_opt(dev, "netdev");
	json_t *net = id != NULL ? json_object_get(q->netdevs, id) : NULL;

	add_nic(q, json_incref((json_t *)(uintptr_t)dev),
		net != NULL ? json_incref(net) : json_object());
}

static void move(json_t *from, json_t *to, const char *key, const char *as)
{
	json_t *v = json_object_get(from, key);

	if (v == NULL)
		return;
	(void)json_object_set(to, as, v);
	(void)json_object_del(from, key);
}

/* -nic has both in one. */
void qemu_nic(struct qemu *q, const char *text)
{
	json_t *net = qemu_opts(text, "type"), *dev = json_object();

	q->no_net = true;
	if (import_is(qemu_opt(net, "type"), "none")) {
		json_decref(net);
		json_decref(dev);
		return;
	}
	/* Without a model a PC has an Intel card. */
	(void)json_object_set_new(dev, "driver", json_string("e1000"));
	move(net, dev, "model", "driver");
	move(net, dev, "mac", "mac");
	move(net, dev, "addr", "addr");
	add_nic(q, dev, net);
}

/* -net nic and -net user, which a hub joins: the first of the one gets the first of the other. */
void qemu_old_net(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, "type");
	const bool card = import_is(qemu_opt(o, "type"), "nic");
	const char *part = card ? "dev" : "net";

	q->no_net = true;
	if (import_is(qemu_opt(o, "type"), "none")) {
		json_decref(o);
		return;
	}
	if (card) {
		(void)json_object_del(o, "type");
		move(o, o, "model", "driver");
	}
	for (size_t i = 0; i < json_array_size(q->nics); i++) {
		json_t *nic = json_array_get(q->nics, i);

		if (json_object_size(json_object_get(nic, part)) == 0) {
			(void)json_object_set_new(nic, part, o);
			return;
		}
	}
	add_nic(q, card ? o : json_object(), card ? json_object() : o);
}

void qemu_nets(struct qemu *q)
{
	if (json_array_size(q->nics) == 0 && !q->no_net && json_object_size(q->netdevs) == 0) {
		import_note(q->im, "-nic user", "that is what QEMU has where nothing is said");
		(void)json_object_set_new(import_entry(q->m, "net"), "user", json_true());
	}
	for (size_t i = 0; i < json_array_size(q->nics); i++) {
		const json_t *nic = json_array_get(q->nics, i);
		json_t *card = import_entry(q->m, "net");

		set_card(q, card, json_object_get(nic, "dev"));
		connect_card(q, card, json_object_get(nic, "net"));
	}
}
