/* SPDX-License-Identifier: Apache-2.0 */
/* limit.c - see limit.h. */
#include "runner/api/limit.h"

#include <string.h>

#include "runner/api/body.h"
#include "runner/api/handlers.h"
#include "runner/api/hot.h"
#include "runner/api/life.h"
#include "runner/report/json.h"

/* Of a disk, of a card. */
static const char *const disk_keys[] = { "rate_limit", NULL };
static const char *const net_keys[] = { "rx_limit", "tx_limit", NULL };

/* The group stays; a limit of nothing, in no group, is none. */
static void put(json_t *entry, const char *key, const json_t *numbers)
{
	json_t *group = json_incref(json_object_get(json_object_get(entry, key), "group"));
	json_t *limit = json_deep_copy(numbers);

	if (group != NULL)
		(void)json_object_set(limit, "group", group);
	if (json_object_size(limit) > 0)
		(void)json_object_set(entry, key, limit);
	else
		(void)json_object_del(entry, key);
	json_decref(group);
	json_decref(limit);
}

/* All of the group of @key of @entry, if it is in one, with @numbers. */
static void put_all(const json_t *list, const char *const *keys, json_t *entry, const char *key,
		    const json_t *numbers)
{
	json_t *group = json_incref(json_object_get(json_object_get(entry, key), "group"));

	for (size_t i = 0; group != NULL && i < json_array_size(list); i++) {
		json_t *other = json_array_get(list, i);

		for (const char *const *k = keys; *k != NULL; k++)
			if (json_equal(json_object_get(json_object_get(other, *k), "group"), group))
				put(other, *k, numbers);
	}
	put(entry, key, numbers);
	json_decref(group);
}

/* False: @c is answered. */
static bool is_body(struct api_call *c, const char *const *keys)
{
	const char *key;
	json_t *value;
	unsigned n = 0;

	/* clang-format off */
	json_object_foreach(c->body, key, value) {
		const bool is = strcmp(key, keys[0]) == 0 ||
				(keys[1] != NULL && strcmp(key, keys[1]) == 0);

		if (!is && strcmp(key, "id") == 0)
			continue;
		if (!is || !json_is_object(value) || json_object_get(value, "group") != NULL) {
			api_fail(c, 400, !is ? "'%.64s' is no limit of it"
					     : "%.64s: a map of limits is needed, without the group",
				 key);
			return false;
		}
		n++;
	}
	/* clang-format on */
	if (n == 0)
		api_fail(c, 400, "the body needs 'id', and rate_limit, or rx_limit and tx_limit");
	return n > 0;
}

/* The manifest with what the body says, checked. NULL: @c is answered. */
static struct mfile *changed(struct api_call *c, const char *id, enum sill_device_kind *ret)
{
	json_t *m = life_manifest(c->api->life), *list = json_object_get(m, "disk");
	json_t *entry = json_find(list, "id", id);
	const char *const *keys = disk_keys;
	struct mfile *mf = NULL;

	*ret = SILL_DEVICE_DISK;
	if (entry == NULL) {
		list = json_object_get(m, "net");
		entry = json_find(list, "id", id);
		keys = net_keys;
		*ret = SILL_DEVICE_NET;
	}
	if (entry == NULL) {
		api_fail(c, 404, "There is no disk or network card '%.64s'", id);
	} else if (is_body(c, keys)) {
		for (const char *const *k = keys; *k != NULL; k++)
			if (json_object_get(c->body, *k) != NULL)
				put_all(list, keys, entry, *k, json_object_get(c->body, *k));
		mf = body_check(c, m, false);
	}
	json_decref(m);
	return mf;
}

static bool is_here(struct sill_vm *vm, const char *id)
{
	struct sill_device_info d;

	return hot_find(vm, id, &d);
}

/* The engine keeps the limits of a group alike: one of it is told, that is in the VM. */
static int tell_disk(struct sill_vm *vm, const struct sill_config *m,
		     const struct sill_rate_limit *of, struct sill_err *e)
{
	for (const struct sill_disk_config *d = m->disk; d < m->disk + m->disk_count; d++)
		if (sill_rate_limit_shared(&d->rate_limit, of) && is_here(vm, d->id))
			return sill_vm_disk_limit(vm, d->id, &d->rate_limit, e);
	return 0;
}

static int tell_card(struct sill_vm *vm, const struct sill_config *m,
		     const struct sill_rate_limit *of, struct sill_err *e)
{
	for (const struct sill_net_config *n = m->net; n < m->net + m->net_count; n++) {
		const bool rx = sill_rate_limit_shared(&n->rx_limit, of);

		if ((rx || sill_rate_limit_shared(&n->tx_limit, of)) && is_here(vm, n->id))
			return sill_vm_net_limit(vm, n->id, rx ? &n->rx_limit : NULL,
						 rx ? NULL : &n->tx_limit, e);
	}
	return 0;
}

/* @id itself may be what the guest has ejected, and comes with the next boot: others of its group may be there. */
static int tell(const struct api_call *c, struct sill_vm *vm, enum sill_device_kind kind,
		const char *id, const struct sill_config *m, struct sill_err *e)
{
	const struct sill_disk_config *d = m->disk;
	const struct sill_net_config *n = m->net;

	if (kind == SILL_DEVICE_DISK) {
		while (strcmp(d->id, id) != 0)
			d++;
		return tell_disk(vm, m, &d->rate_limit, e);
	}
	while (strcmp(n->id, id) != 0)
		n++;
	if (json_object_get(c->body, "rx_limit") != NULL && tell_card(vm, m, &n->rx_limit, e) < 0)
		return -1;
	return json_object_get(c->body, "tx_limit") != NULL ? tell_card(vm, m, &n->tx_limit, e) : 0;
}

void limit_change(struct api_call *c)
{
	const char *id = json_string_value(json_object_get(c->body, "id"));
	enum sill_device_kind kind;
	struct sill_err e = { 0 };
	struct mfile *mf = NULL;
	struct sill_vm *vm;

	if (id == NULL) {
		api_fail(c, 400, "missing field 'id'");
		return;
	}
	if (!api_hold_any(c, &vm))
		return;
	mf = changed(c, id, &kind);
	if (mf != NULL && vm != NULL && tell(c, vm, kind, id, mf->docs[0].m, &e) < 0) {
		api_fail_err(c, "The limit could not be changed", &e);
		mfile_destroy(mf);
	} else if (mf != NULL && life_set(c->api->life, mf, &e) < 0) {
		api_fail_err(c, "The limit could not be changed", &e);
	}
	if (vm != NULL)
		life_release(c->api->life);
}
