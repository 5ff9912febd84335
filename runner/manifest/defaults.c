/* SPDX-License-Identifier: Apache-2.0 */
/*
 * defaults.c - put in what was not written.
 *
 * Most defaults are text in their row (and another text for guest: windows).
 * The few that depend on another key are the functions here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runner/host/machine_id.h"
#include "runner/manifest/check.h"
#include "runner/manifest/scalar.h"
#include "runner/net/endpoint.h"
#include "sill/config.h"
#include "sill/hash.h"
#include "sill/hyperv.h"

/* Add @row with the value @text to @map. */
static void add(struct check *c, struct node *map, const struct key *row, const char *text)
{
	struct mark at = map->key_at.line > 0 ? map->key_at : map->at;
	struct node *key = node_new(c->a, NODE_SCALAR, at);
	struct node *value = node_new(c->a, row->kind == KIND_MAP ? NODE_MAP : NODE_SCALAR, at);
	const char *path = arena_join(c->a, map->path, row->field.key);

	if (key == NULL || value == NULL || path == NULL ||
	    node_append(c->a, map, key, value) < 0) {
		c->no_memory = true;
		return;
	}
	key->text = row->field.key;
	key->len = strlen(key->text);
	/* What is text stays text: a disk's serial number may have digits only. */
	key->plain = true;
	value->plain = row->kind != KIND_TEXT && row->kind != KIND_NAME && row->kind != KIND_UUID;
	value->text = text;
	value->len = strlen(text);
	value->key_at = at;
	check_value(c, row, value, path);
	value->implied = true;
}

static void add_named(struct check *c, struct node *map, const struct section *s, const char *key,
		      const char *text)
{
	if (text == NULL)
		c->no_memory = true;
	else if (node_find(map, key) == NULL)
		add(c, map, section_find(s, key), text);
}

static void fill(struct check *c, const struct section *s, struct node *map, bool windows);

/* cpus.hyperv waits for fill_hyperv(). */
static void fill_value(struct check *c, const struct key *row, struct node *n, bool windows)
{
	if (row->section == NULL || row->section == &hyperv_section)
		return;
	if (n->type == NODE_MAP && row->kind == KIND_MAP)
		fill(c, row->section, n, windows);
	for (size_t i = 0; n->type == NODE_LIST && i < n->count; i++) {
		if (n->items[i]->type == NODE_MAP)
			fill(c, row->section, n->items[i], windows);
	}
}

static void fill(struct check *c, const struct section *s, struct node *map, bool windows)
{
	for (size_t i = 0; i < s->count && !c->no_memory; i++) {
		const struct key *row = &s->keys[i];
		const char *def = windows && row->def_windows != NULL ? row->def_windows : row->def;

		if (node_find(map, row->field.key) == NULL) {
			if (row->kind == KIND_MAP && row->implied)
				add(c, map, row, "");
			else if (def != NULL)
				add(c, map, row, def);
		}
		if (node_find(map, row->field.key) != NULL)
			fill_value(c, row, node_find(map, row->field.key), windows);
	}
}

static void fill_cpus(struct check *c, const struct node *root)
{
	const struct node *boot = node_ok(root, "cpus.boot");

	if (boot != NULL)
		add_named(c, node_at(root, "cpus"), &cpus_section, "max",
			  arena_printf(c->a, "%" PRIu64, boot->num));
}

/* The switches of @map (cpus.hyperv) that are not off; a mistake in one is none of the others'. */
static uint32_t hyperv_not_off(const struct node *map)
{
	uint32_t set = 0;

	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		const struct node *n = node_ok(map, sill_hv_features[f].name);

		set |= n == NULL || n->num != 0 ? 1u << f : 0;
	}
	return set;
}

/* The enlightenments are there only when they are on as a whole. */
static void fill_hyperv(struct check *c, const struct node *root)
{
	const struct node *all = node_ok(root, "cpus.kvm_hyperv");
	struct node *cpus = node_at(root, "cpus"), *map;

	if (all == NULL || all->num == 0)
		return;
	add_named(c, cpus, &cpus_section, "hyperv", "");
	map = node_find(cpus, "hyperv");
	if (map == NULL || map->type != NODE_MAP)
		return;
	fill(c, &hyperv_section, map, false);
	/* A feature only needs features above it in the list. */
	for (unsigned f = 0; f < SILL_HV_COUNT && !c->no_memory; f++) {
		struct node *n = node_find(map, sill_hv_features[f].name);
		enum sill_hv_feature lacks;

		if (n->implied && sill_hv_lacks(hyperv_not_off(map), f, &lacks)) {
			n->text = "off";
			n->len = 3;
			n->num = 0;
		}
	}
	map = node_ok(root, "cpus.hyperv.spinlocks");
	if (map != NULL && map->num != 0)
		add_named(c, node_find(cpus, "hyperv"), &hyperv_section, "spin_retries", "4095");
}

/* What all of them say at @key together. 0: there are none, or nothing that is right. */
static uint64_t zones_sum(const struct node *zones, const char *key)
{
	uint64_t sum = 0;

	for (size_t i = 0; zones != NULL && zones->type == NODE_LIST && i < zones->count; i++) {
		const struct node *n = node_ok(zones->items[i], key);

		if (n == NULL && node_find(zones->items[i], key) == NULL &&
		    strcmp(key, "size") != 0)
			continue;
		if (n == NULL || __builtin_add_overflow(sum, n->num, &sum))
			return 0;
	}
	return sum;
}

static void add_size(struct check *c, struct node *memory, const char *key, uint64_t size)
{
	char text[32];

	add_named(c, memory, &memory_section, key,
		  arena_printf(c->a, "%s", scalar_size_text(text, sizeof(text), size)));
}

static void fill_memory(struct check *c, const struct node *root)
{
	const struct node *huge = node_ok(root, "memory.hugepages");
	struct node *memory = node_at(root, "memory"), *zones = node_at(root, "memory.zones");
	const uint64_t size = zones_sum(zones, "size"), more = zones_sum(zones, "hotplug_size");
	const bool none = zones == NULL || (zones->type == NODE_LIST && zones->count == 0);
	const bool is_map = memory != NULL && memory->type == NODE_MAP;

	if (is_map && (none || size != 0))
		add_size(c, memory, "size", none ? 512ull << 20 : size);
	if (is_map && more != 0)
		add_size(c, memory, "hotplug_size", more);
	if (huge != NULL)
		add_named(c, node_at(root, "memory"), &memory_section, "thp",
			  huge->num != 0 ? "off" : "on");
}

static uint64_t hash(const char *first, const char *what, const char *second)
{
	return sill_hash_text(sill_hash_text(sill_hash_text(SILL_HASH_START, first), what), second);
}

static bool is_ephemeral(const struct node *disk)
{
	const struct node *n = node_ok(disk, "ephemeral");

	return n != NULL && strcmp(n->text, "off") != 0 && strcmp(n->text, "false") != 0;
}

static void fill_disks(struct check *c, const struct node *root)
{
	const struct node *list = node_at(root, "disk"), *name = node_ok(root, "name");

	for (size_t i = 0; list != NULL && list->type == NODE_LIST && i < list->count; i++) {
		struct node *disk = list->items[i];
		const struct node *id;
		uint64_t h;

		if (disk->type != NODE_MAP)
			continue;
		add_named(c, disk, &disk_section, "cache",
			  is_ephemeral(disk) ? "unsafe" : "writeback");
		add_named(c, disk, &disk_section, "id", arena_printf(c->a, "disk%zu", i));
		id = node_find(disk, "id");
		if (name == NULL || id == NULL || !id->ok)
			continue;
		h = hash(name->text, "/", id->text);
		add_named(c, disk, &disk_section, "serial", arena_printf(c->a, "%016" PRIx64, h));
	}
}

/* Locally administered and unicast, the other 44 bits from where the card is (IEEE 802c, AAI). */
static const char *made_mac(struct check *c, const char *vm, const char *id, const char *host)
{
	const uint64_t h = sill_hash_mix(sill_hash_text(hash(vm, "/net/", id), host));

	return arena_printf(c->a, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(h >> 40 & 0xf0) | 2,
			    (unsigned)(h >> 32 & 0xff), (unsigned)(h >> 24 & 0xff),
			    (unsigned)(h >> 16 & 0xff), (unsigned)(h >> 8 & 0xff),
			    (unsigned)(h & 0xff));
}

/*
 * On a network that other hosts are on, one manifest that runs on two of them makes two addresses. "": of a
 * card that is on its own host's network only, or the host has no name for itself.
 */
static void host_of_card(const struct node *net, char ret[MACHINE_ID_MAX])
{
	ret[0] = '\0';
	if (node_find(net, "bridge") != NULL || node_find(net, "macvtap") != NULL)
		machine_id(ret);
}

static void fill_nets(struct check *c, const struct node *root)
{
	const struct node *list = node_at(root, "net"), *name = node_ok(root, "name");

	for (size_t i = 0; list != NULL && list->type == NODE_LIST && i < list->count; i++) {
		struct node *net = list->items[i];
		const struct node *id, *fd;
		char host[MACHINE_ID_MAX];

		if (net->type != NODE_MAP)
			continue;
		host_of_card(net, host);
		fd = node_ok(net, "fd");
		add_named(c, net, &net_section, "queues",
			  arena_printf(c->a, "%zu", fd != NULL ? fd->count : 1));
		add_named(c, net, &net_section, "id", arena_printf(c->a, "net%zu", i));
		id = node_find(net, "id");
		if (name != NULL && id != NULL && id->ok)
			add_named(c, net, &net_section, "mac",
				  made_mac(c, name->text, id->text, host));
	}
}

/* The limits of one list, which may share groups: "rate_limit" of disks, two of each card. */
struct rates {
	struct node *at[2 * SILL_MAX_NETS + SILL_MAX_DISKS];
	size_t count;
};

static void add_rate(struct rates *r, const struct node *entry, const char *key)
{
	struct node *n = node_find(entry, key);

	if (n != NULL && n->type == NODE_MAP && n->ok && node_find(n, "group") != NULL &&
	    r->count < sizeof(r->at) / sizeof(r->at[0]))
		r->at[r->count++] = n;
}

static bool same_group(const struct node *a, const struct node *b)
{
	return strcmp(node_find(a, "group")->text, node_find(b, "group")->text) == 0;
}

static bool states_limit(const struct node *n)
{
	return node_find(n, "bandwidth") != NULL || node_find(n, "ops") != NULL;
}

/* What @from, of its group, states. */
static void fill_rate(struct check *c, struct node *to, const struct node *from)
{
	for (size_t i = 0; i < from->count && !c->no_memory; i++) {
		const struct node *n = from->items[i];
		struct node *added;

		add_named(c, to, to->row->section, n->row->field.key, n->text);
		added = node_find(to, n->row->field.key);
		if (added != NULL && added->implied)
			added->from = node_origin(n);
	}
}

/* Whoever of a group states the limit, it is each one's: none of them is the one that must not go. */
static void fill_groups(struct check *c, const struct node *root, const char *section,
			const char *const *keys)
{
	const struct node *list = node_at(root, section);
	struct rates r = { 0 };

	for (size_t i = 0; list != NULL && list->type == NODE_LIST && i < list->count; i++)
		for (const char *const *key = keys; *key != NULL; key++)
			add_rate(&r, list->items[i], *key);
	for (size_t i = 0; i < r.count; i++) {
		size_t k = 0;

		if (r.at[i]->count > 1) /* it says more than its group */
			continue;
		while (k < r.count && (!same_group(r.at[k], r.at[i]) || !states_limit(r.at[k])))
			k++;
		if (k < r.count)
			fill_rate(c, r.at[i], r.at[k]);
	}
}

/* What cannot grow has no limit. */
static void fill_char(struct check *c, const struct node *root, const char *name,
		      const struct section *s)
{
	struct node *end = node_at(root, name);
	const struct node *mode = node_ok(end, "mode");

	if (mode == NULL)
		return;
	if (mode->num == SILL_CHAR_FILE || node_at(end, "log") != NULL)
		add_named(c, end, s, "limit", "64M");
	if (mode->num == SILL_CHAR_SOCKET)
		add_named(c, end, s, "history", "1M");
}

/* The end that debug says, if it is a right one: what is wrong is said once. */
static const struct node *kd_end(const struct node *root)
{
	const struct node *listen = node_at(root, "debug.listen"),
			  *connect = node_at(root, "debug.connect"),
			  *end = listen != NULL ? listen : connect;
	struct sill_err e = { 0 };
	struct endpoint at;

	if (end == NULL || !end->ok || (listen != NULL && connect != NULL))
		return NULL;
	return (end == listen ? endpoint_read_listen(end->text, &at, &e)
			      : endpoint_check_connect(end->text, &e)) == 0
		       ? end
		       : NULL;
}

/* Is it the card that debug.card names, or the only one? */
static bool is_kd_card(const struct check *c, const struct node *root, const struct node *list,
		       size_t i)
{
	const struct node *card = node_ok(root, "debug.card"),
			  *id = node_find(list->items[i], "id");

	if (card == NULL)
		return list->count == 1;
	return strcmp(card->text, id != NULL ? id->text : arena_printf(c->a, "net%zu", i)) == 0;
}

/* A guest that calls its debugger through a card on a tap of its own gets further than its host. */
static void fill_kd_card(struct check *c, const struct node *root)
{
	const struct node *list = node_at(root, "net");

	for (size_t i = 0; list != NULL && list->type == NODE_LIST && i < list->count; i++) {
		struct node *net = list->items[i];
		const struct node *tap;

		if (net->type != NODE_MAP || !is_kd_card(c, root, list, i))
			continue;
		tap = node_ok(net, "tap");
		if (tap != NULL && tap->len == 0 && node_find(net, "nat") == NULL &&
		    node_find(net, "isolate") == NULL && node_find(net, "address") == NULL)
			add_named(c, net, &net_section, "nat", "on");
	}
}

/* The port that a kernel debugger is at is what debug says, as far as nothing else is written. */
static void fill_debug(struct check *c, struct node *root)
{
	const struct node *kd = node_ok(root, "debug.kd"), *end = kd_end(root);
	const struct section *s =
		kd != NULL && kd->num == SILL_KD_SERIAL ? &serial_section : &serial2_section;
	struct node *port;

	if (kd == NULL || kd->num == SILL_KD_OFF)
		return;
	if (kd->num == SILL_KD_NET) {
		fill_kd_card(c, root);
		return;
	}
	add_named(c, root, &root_section, s->name, "");
	port = node_find(root, s->name);
	if (port == NULL || port->type != NODE_MAP || node_find(port, "mode") != NULL ||
	    node_find(port, "listen") != NULL || node_find(port, "connect") != NULL)
		return;
	add_named(c, port, s, "mode", end != NULL ? "tcp" : "off");
	if (end != NULL)
		add_named(c, port, s, end->row->field.key, end->text);
}

void check_defaults(struct check *c, struct node *root)
{
	const struct node *guest;

	if (root->type != NODE_MAP)
		return;
	fill_debug(c, root);
	guest = node_ok(root, "guest");
	fill(c, &root_section, root, guest != NULL && guest->num == SILL_GUEST_WINDOWS);
	fill_cpus(c, root);
	fill_hyperv(c, root);
	fill_memory(c, root);
	fill_disks(c, root);
	fill_nets(c, root);
	fill_groups(c, root, "disk", (const char *const[]){ "rate_limit", NULL });
	fill_groups(c, root, "net", (const char *const[]){ "rx_limit", "tx_limit", NULL });
	fill_char(c, root, "serial", &serial_section);
	fill_char(c, root, "serial2", &serial2_section);
	fill_char(c, root, "debug_console", &debug_console_section);
	fill_char(c, root, "console", &console_section);
}
