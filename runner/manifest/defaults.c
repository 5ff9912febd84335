/* SPDX-License-Identifier: Apache-2.0 */
/*
 * defaults.c - put in what was not written.
 *
 * Most defaults are text in their row (and another text for guest: windows). The few that depend on another
 * member are the functions here, over the value. Each goes into the value and into the tree that it was written
 * as, where `show` and messages find it.
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

/* Add @row with the value @text to @map, which is the struct @p. NULL: no memory. */
static struct node *add(struct check *c, struct node *map, const struct key *row, char *p,
			const char *text)
{
	struct mark at = map->key_at.line > 0 ? map->key_at : map->at;
	struct node *key = node_new(c->a, NODE_SCALAR, at);
	struct node *value = node_new(c->a, row->kind == KIND_MAP ? NODE_MAP : NODE_SCALAR, at);
	const char *path = arena_join(c->a, map->path, row->field.key);

	if (key == NULL || value == NULL || path == NULL || text == NULL ||
	    node_append(c->a, map, key, value) < 0) {
		c->no_memory = true;
		return NULL;
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
	value_put(c, row, value, p);
	return value;
}

/* The row of @member, if @p, a struct of @s, was written and without it. */
static const struct key *row_to_give(const struct check *c, const struct section *s, const void *p,
				     const void *member)
{
	const size_t offset = (size_t)((const char *)member - (const char *)p);
	const struct node *map = place_map(c, p);
	const struct key *row = s->keys;

	while (row->field.data_offset != offset)
		row++;
	return map != NULL && map->type == NODE_MAP && node_find(map, row->field.key) == NULL
		       ? row
		       : NULL;
}

/* What was not written of @p, a struct of @s: @member is @text. */
static void give_text(struct check *c, const struct section *s, void *p, const void *member,
		      const char *text)
{
	const struct key *row = row_to_give(c, s, p, member);

	if (row != NULL)
		(void)add(c, value_map(c, p), row, p, text);
}

/* The same of a number, a size, a switch or a word. */
static void give(struct check *c, const struct section *s, void *p, const void *member, uint64_t v)
{
	const struct key *row = row_to_give(c, s, p, member);
	char text[32];

	if (row != NULL)
		(void)add(c, value_map(c, p), row, p,
			  row->kind == KIND_ENUM
				  ? key_word(row, v)
				  : arena_printf(c->a, "%s",
						 scalar_text(text, sizeof(text), row, v)));
}

static void fill(struct check *c, const struct section *s, struct node *map, char *p, bool windows);

/* cpus.hyperv waits for fill_hyperv(). */
static void fill_value(struct check *c, const struct key *row, struct node *n, char *p,
		       bool windows)
{
	char *at = p + row->field.data_offset;

	if (row->section == NULL || row->section == &hyperv_section)
		return;
	if (n->type == NODE_MAP && row->kind == KIND_MAP)
		fill(c, row->section, n, at, windows);
	for (size_t i = 0; n->type == NODE_LIST && i < n->count && !c->no_memory; i++) {
		if (n->items[i]->type == NODE_MAP)
			fill(c, row->section, n->items[i],
			     *(char **)(void *)at + i * key_entry_size(row), windows);
	}
}

/* The rows' own defaults, of @map, which is the struct @p. */
static void fill(struct check *c, const struct section *s, struct node *map, char *p, bool windows)
{
	for (size_t i = 0; i < s->count && !c->no_memory; i++) {
		const struct key *row = &s->keys[i];
		const char *def = windows && row->def_windows != NULL ? row->def_windows : row->def;
		struct node *n = node_find(map, row->field.key);

		if (n == NULL && row->kind == KIND_MAP && row->implied)
			n = add(c, map, row, p, "");
		else if (n == NULL && def != NULL)
			n = add(c, map, row, p, def);
		if (n != NULL)
			fill_value(c, row, n, p, windows);
	}
}

static void fill_cpus(struct check *c, struct sill_config *v)
{
	if (place_ok(c, &v->cpus.boot) != NULL)
		give(c, &cpus_section, &v->cpus, &v->cpus.max, v->cpus.boot);
}

/* The switches that are not off; a mistake in one is none of the others'. */
static uint32_t hyperv_not_off(const struct check *c, const struct sill_hyperv_config *h)
{
	uint32_t set = 0;

	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		const bool *on = sill_hv_switch(h, f);

		set |= place_ok(c, on) == NULL || *on ? 1u << f : 0;
	}
	return set;
}

/* The enlightenments are there only when they are on as a whole. */
static void fill_hyperv(struct check *c, struct sill_config *v)
{
	struct sill_hyperv_config *h = &v->cpus.hyperv;
	struct node *map;

	if (!v->cpus.kvm_hyperv)
		return;
	give_text(c, &cpus_section, &v->cpus, h, "");
	map = value_map(c, h);
	if (map == NULL || map->type != NODE_MAP)
		return;
	/* A feature only needs features above it in the list. */
	for (unsigned f = 0; f < SILL_HV_COUNT && !c->no_memory; f++) {
		enum sill_hv_feature lacks;

		give(c, &hyperv_section, h, sill_hv_switch(h, f),
		     sill_hv_features[f].on && !sill_hv_lacks(hyperv_not_off(c, h), f, &lacks));
	}
	fill(c, &hyperv_section, map, (char *)h, false);
	if (h->spinlocks)
		give(c, &hyperv_section, h, &h->spin_retries, SILL_SPIN_RETRIES);
}

/*
 * What all zones say at @offset together, a size that each @must say. 0: there are none, or nothing that is
 * right.
 */
static uint64_t zones_sum(const struct check *c, const struct sill_memory_config *m, size_t offset,
			  bool must)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < m->zones_count; i++) {
		const uint64_t *size = (const void *)((const char *)&m->zones[i] + offset);

		if (place_ok(c, size) == NULL && (must || place_at(c, size) != NULL))
			return 0;
		if (__builtin_add_overflow(sum, *size, &sum))
			return 0;
	}
	return sum;
}

static void fill_memory(struct check *c, struct sill_config *v)
{
	struct sill_memory_config *m = &v->memory;
	const uint64_t size = zones_sum(c, m, offsetof(struct sill_memory_zone, size), true);
	const uint64_t more =
		zones_sum(c, m, offsetof(struct sill_memory_zone, hotplug_size), false);
	const struct node *zones = place_at(c, &m->zones);
	const bool none = zones == NULL || (zones->type == NODE_LIST && zones->count == 0);

	if (none || size != 0)
		give(c, &memory_section, m, &m->size, none ? 512ull << 20 : size);
	if (more != 0)
		give(c, &memory_section, m, &m->hotplug_size, more);
	if (place_ok(c, &m->hugepages) != NULL)
		give(c, &memory_section, m, &m->thp, !m->hugepages);
}

static uint64_t hash(const char *first, const char *what, const char *second)
{
	return sill_hash_text(sill_hash_text(sill_hash_text(SILL_HASH_START, first), what), second);
}

static void fill_disks(struct check *c, struct sill_config *v)
{
	for (unsigned i = 0; i < v->disk_count; i++) {
		struct sill_disk_config *d = &v->disk[i];

		give(c, &disk_section, d, &d->cache,
		     sill_disk_ephemeral(d) ? SILL_CACHE_UNSAFE : SILL_CACHE_WRITEBACK);
		give_text(c, &disk_section, d, &d->id, arena_printf(c->a, "disk%u", i));
		if (v->name != NULL && d->id != NULL)
			give_text(c, &disk_section, d, &d->serial,
				  arena_printf(c->a, "%016" PRIx64, hash(v->name, "/", d->id)));
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
static void host_of_card(const struct sill_net_config *n, char ret[MACHINE_ID_MAX])
{
	ret[0] = '\0';
	if (n->bridge != NULL || n->macvtap != NULL)
		machine_id(ret);
}

/* NULL: no memory. */
static const char *card_id(struct check *c, unsigned card)
{
	return arena_printf(c->a, "net%u", card);
}

static void fill_nets(struct check *c, struct sill_config *v)
{
	for (unsigned i = 0; i < v->net_count; i++) {
		struct sill_net_config *n = &v->net[i];
		char host[MACHINE_ID_MAX];

		host_of_card(n, host);
		give(c, &net_section, n, &n->queues, place_ok(c, &n->fd) != NULL ? n->fd_count : 1);
		give_text(c, &net_section, n, &n->id, card_id(c, i));
		if (v->name != NULL && n->id != NULL)
			give_text(c, &net_section, n, &n->mac, made_mac(c, v->name, n->id, host));
	}
}

/* The limits of one list, which may share groups. */
struct rates {
	struct sill_rate_limit *at[2 * SILL_MAX_NETS + SILL_MAX_DISKS];
	unsigned count;
};

static void add_rate(const struct check *c, struct rates *r, struct sill_rate_limit *limit)
{
	const struct node *n = place_map(c, limit);

	if (n != NULL && n->ok && limit->group != NULL &&
	    r->count < sizeof(r->at) / sizeof(r->at[0]))
		r->at[r->count++] = limit;
}

/* What @from, of its group, states. */
static void fill_rate(struct check *c, struct sill_rate_limit *to,
		      const struct sill_rate_limit *from)
{
	const struct node *stated = place_map(c, from);
	struct node *map = value_map(c, to);

	for (size_t i = 0; i < stated->count && !c->no_memory; i++) {
		const struct node *n = stated->items[i];
		const struct key *row = section_find(map->row->section, n->row->field.key);
		struct node *added = NULL;

		if (node_find(map, row->field.key) == NULL)
			added = add(c, map, row, (char *)to, n->text);
		if (added != NULL)
			added->from = node_origin(n);
	}
}

/* Whoever of a group states the limit, it is each one's: none of them is the one that must not go. */
static void fill_groups(struct check *c, const struct rates *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		unsigned k = 0;

		if (place_map(c, r->at[i])->count > 1) /* it says more than its group */
			continue;
		while (k < r->count && (strcmp(r->at[k]->group, r->at[i]->group) != 0 ||
					!sill_rate_limit_states(r->at[k])))
			k++;
		if (k < r->count)
			fill_rate(c, r->at[i], r->at[k]);
	}
}

static void fill_limits(struct check *c, struct sill_config *v)
{
	struct rates disks = { 0 }, nets = { 0 };

	for (unsigned i = 0; i < v->disk_count; i++)
		add_rate(c, &disks, &v->disk[i].rate_limit);
	for (unsigned i = 0; i < v->net_count; i++) {
		add_rate(c, &nets, &v->net[i].rx_limit);
		add_rate(c, &nets, &v->net[i].tx_limit);
	}
	fill_groups(c, &disks);
	fill_groups(c, &nets);
}

/* What cannot grow has no limit. */
static void fill_char(struct check *c, const struct section *s, struct sill_char_config *end)
{
	if (place_ok(c, &end->mode) == NULL)
		return;
	if (end->mode == SILL_CHAR_FILE || place_at(c, &end->log) != NULL)
		give(c, s, end, &end->limit, 64ull << 20);
	if (end->mode == SILL_CHAR_SOCKET)
		give(c, s, end, &end->history, 1ull << 20);
}

/* The end that debug says, if it is a right one: what is wrong is said once. */
static char *const *kd_end(const struct check *c, const struct sill_debug_config *d)
{
	const bool listen = place_at(c, &d->listen) != NULL;
	char *const *end = listen ? &d->listen : &d->connect;
	struct sill_err e = { 0 };
	struct endpoint at;

	if (*end == NULL || (listen && place_at(c, &d->connect) != NULL))
		return NULL;
	return (listen ? endpoint_read_listen(*end, &at, &e) : endpoint_check_connect(*end, &e)) ==
			       0
		       ? end
		       : NULL;
}

/* Is it the card that debug.card names, or the only one? */
static bool is_kd_card(struct check *c, const struct sill_config *v, unsigned card)
{
	const char *id = v->net[card].id != NULL ? v->net[card].id : card_id(c, card);

	if (v->debug.card == NULL)
		return v->net_count == 1;
	return id != NULL && strcmp(v->debug.card, id) == 0;
}

/* A guest that calls its debugger through a card on a tap of its own gets further than its host. */
static void fill_kd_card(struct check *c, struct sill_config *v)
{
	for (unsigned i = 0; i < v->net_count; i++) {
		struct sill_net_config *n = &v->net[i];

		if (is_kd_card(c, v, i) && n->tap != NULL && n->tap[0] == '\0' &&
		    place_at(c, &n->isolate) == NULL && place_at(c, &n->address) == NULL)
			give(c, &net_section, n, &n->nat, true);
	}
}

/* The port that a kernel debugger is at is what debug says, as far as nothing else is written. */
static void fill_debug(struct check *c, struct sill_config *v)
{
	char *const *end = kd_end(c, &v->debug);
	const bool second = v->debug.kd == SILL_KD_SERIAL2;
	const struct section *s = second ? &serial2_section : &serial_section;
	struct sill_char_config *port = second ? &v->serial2 : &v->serial;

	if (v->debug.kd == SILL_KD_NET)
		fill_kd_card(c, v);
	if (sill_kd_port(&v->debug) == SILL_PORTS)
		return;
	give_text(c, &root_section, v, port, "");
	if (place_at(c, &port->mode) != NULL || place_at(c, &port->listen) != NULL ||
	    place_at(c, &port->connect) != NULL)
		return;
	give(c, s, port, &port->mode, end != NULL ? SILL_CHAR_TCP : SILL_CHAR_OFF);
	if (end != NULL)
		give_text(c, s, port, end == &v->debug.listen ? &port->listen : &port->connect,
			  *end);
}

void check_defaults(struct check *c, struct sill_config *v)
{
	fill_debug(c, v);
	fill(c, &root_section, value_map(c, v), (char *)v, v->guest == SILL_GUEST_WINDOWS);
	fill_cpus(c, v);
	fill_hyperv(c, v);
	fill_memory(c, v);
	fill_disks(c, v);
	fill_nets(c, v);
	fill_limits(c, v);
	fill_char(c, &serial_section, &v->serial);
	fill_char(c, &serial2_section, &v->serial2);
	fill_char(c, &debug_console_section, &v->debug_console);
	fill_char(c, &console_section, &v->console);
}
