/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers_device.c - devices that come and go, and disks that grow.
 *
 * Each change is made to the manifest first, which is checked as a whole, then to the VM, if it runs. What a
 * VM that was created and does not run gets, it has at its boot.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runner/api/body.h"
#include "runner/api/event.h"
#include "runner/api/handlers.h"
#include "runner/api/hot.h"
#include "runner/api/life.h"
#include "runner/api/limit.h"
#include "runner/api/vmconfig.h"
#include "runner/ready/ready.h"
#include "runner/report/json.h"

/* One change of the devices at a time; taken before everything else. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

void api_change_begin(void)
{
	(void)pthread_mutex_lock(&changing);
}

void api_change_end(void)
{
	(void)pthread_mutex_unlock(&changing);
}

/* ---- the manifest ---- */

static bool is_id(const json_t *m, const char *id)
{
	return json_find(json_object_get(m, "disk"), "id", id) != NULL ||
	       json_find(json_object_get(m, "net"), "id", id) != NULL;
}

/* Ids by the place in the list would be another's, once one has gone. */
static void give_id(const json_t *m, const char *section, json_t *entry)
{
	char id[16];
	unsigned i = 0;

	if (json_object_get(entry, "id") != NULL)
		return;
	do {
		(void)snprintf(id, sizeof(id), "%s%u", section, i++);
	} while (is_id(m, id));
	(void)json_object_set_new(entry, "id", json_string(id));
}

/* 409: there is one of this id, or on this file. */
static bool is_double(struct api_call *c, const json_t *m, const json_t *entry)
{
	const char *id = json_string_value(json_object_get(entry, "id"));
	const char *path = json_string_value(json_object_get(entry, "path"));

	if (id != NULL && is_id(m, id)) {
		api_fail(c, 409, "Identifier %s is not unique", id);
		return true;
	}
	if (path == NULL || json_find(json_object_get(m, "disk"), "path", path) == NULL ||
	    json_is_true(json_object_get(entry, "readonly")))
		return false;
	api_fail(c, 409, "Duplicated device path: %s", path);
	return true;
}

/*
 * Who the guest has ejected by itself is in the manifest still: it comes back with the next boot. Its id and its file
 * are free meanwhile: what comes now takes its place.
 */
static void drop_gone(struct api_call *c, json_t *m, const char *section, const json_t *entry)
{
	struct sill_vm *vm = life_hold(c->api->life);
	const json_t *path = json_object_get(entry, "path"), *id = json_object_get(entry, "id");
	json_t *list = json_object_get(m, section);
	struct sill_device_info d;

	if (vm == NULL)
		return;
	for (size_t i = json_array_size(list); i-- > 0;) {
		const json_t *is = json_array_get(list, i), *at = json_object_get(is, "path");
		const char *name = json_string_value(json_object_get(is, "id"));
		const bool same = (id != NULL && json_equal(json_object_get(is, "id"), id)) ||
				  (path != NULL && json_equal(at, path));

		if (same && name != NULL && !hot_find(vm, name, &d))
			(void)json_array_remove(list, i);
	}
	life_release(c->api->life);
}

/* The manifest with @take_entry in the list @section, checked. NULL: @c is answered. */
static struct mfile *with(struct api_call *c, const char *section, json_t *take_entry)
{
	json_t *m = life_manifest(c->api->life);
	struct mfile *mf = NULL;
	json_t *list;

	if (m == NULL) {
		api_fail(c, 404, "VM is not created");
		json_decref(take_entry);
		return NULL;
	}
	drop_gone(c, m, section, take_entry);
	if (!is_double(c, m, take_entry)) {
		give_id(m, section, take_entry);
		list = json_object_get(m, section);
		if (list == NULL) {
			list = json_array();
			(void)json_object_set_new(m, section, list);
		}
		(void)json_array_append(list, take_entry);
		mf = body_check(c, m, life_state(c->api->life) == LIFE_CREATED);
	}
	json_decref(m);
	json_decref(take_entry);
	return mf;
}

/* ---- add ---- */

/* The last one of its list in @mf, into the VM that runs. */
static int plug_last(struct api_call *c, struct sill_vm *vm, enum sill_device_kind kind,
		     const struct sill_config *m)
{
	struct sill_device d = { .kind = kind };
	const char *id = "vsock";
	struct hot_vm to = { .vm = vm, .cables = life_cables(c->api->life) };
	struct hot *h;
	struct sill_err e = { 0 };
	char bdf[HOT_BDF];

	if (kind == SILL_DEVICE_DISK) {
		d.disk = &m->disk[m->disk_count - 1];
		id = d.disk->id;
	} else if (kind == SILL_DEVICE_NET) {
		d.net = &m->net[m->net_count - 1];
		id = d.net->id;
	} else {
		d.vsock = &m->vsock;
	}
	to.lent_count = life_lent(c->api->life, &to.lent);
	h = hot_plug(&to, &d, &e);
	if (h == NULL) {
		api_fail_err(c, "The device could not be added to the VM", &e);
		if (c->status == 405)
			c->status = 500;
		return -1;
	}
	if (kind == SILL_DEVICE_VSOCK)
		life_keep_vsock(c->api->life, h);
	else
		hot_destroy(h);
	hot_bdf(vm, id, bdf);
	api_json(c, json_pack("{s:s,s:s}", "id", id, "bdf", bdf));
	return 0;
}

/* Takes @mf: what the VM is from now on. */
static int add(struct api_call *c, enum sill_device_kind kind, struct mfile *take_mf)
{
	struct sill_vm *vm = life_hold(c->api->life);
	struct sill_err e = { 0 };
	int ret = 0;

	if (vm != NULL) {
		ret = plug_last(c, vm, kind, take_mf->docs[0].m);
		life_release(c->api->life);
	}
	if (ret < 0) {
		mfile_destroy(take_mf);
		return -1;
	}
	if (life_set(c->api->life, take_mf, &e) == 0)
		return 0;
	api_fail_err(c, "The device could not be added to the VM", &e);
	return -1;
}

/* An entry in the manifest's own words, which a manifest's reader has checked with it. */
void api_sill_add_disk(struct api_call *c)
{
	struct mfile *mf;

	api_change_begin();
	mf = with(c, "disk", json_incref(c->body));
	if (mf != NULL)
		(void)add(c, SILL_DEVICE_DISK, mf);
	api_change_end();
}

/* Its group may have been said with the VM, and have had nobody. */
static void join_group(const struct api_call *c, json_t *disk)
{
	json_t *groups = life_groups(c->api->life), *m = life_manifest(c->api->life);

	vmconfig_first_of_group(disk, groups, json_object_get(m, "disk"));
	json_decref(groups);
	json_decref(m);
}

void api_vm_add_disk(struct api_call *c)
{
	struct vmconfig_err ve = { 0 };
	json_t *entry = vmconfig_disk(c->body, &ve);
	struct mfile *mf;
	json_t *list;

	if (entry == NULL) {
		body_fail(c, "The disk could not be added to the VM", &ve);
		return;
	}
	list = json_pack("[O]", entry);
	body_find_formats(list);
	json_decref(list);
	api_change_begin();
	join_group(c, entry);
	mf = with(c, "disk", entry);
	if (mf != NULL)
		(void)add(c, SILL_DEVICE_DISK, mf);
	api_change_end();
}

/* As many queues as descriptors; who says another number is mistaken. */
static int take_queues(struct api_call *c, json_t *entry)
{
	const json_t *queues = json_object_get(entry, "queues");

	if (c->fd_count == 0)
		return 0;
	if (queues != NULL && json_integer_value(queues) != (json_int_t)c->fd_count) {
		api_fail(c, 400,
			 "Number of queues (%lld) to virtio_net does not match the number of FDs "
			 "(%u)",
			 (long long)(2 * json_integer_value(queues)), c->fd_count);
		return -1;
	}
	return json_object_set_new(entry, "queues", json_integer(c->fd_count));
}

static void add_net(struct api_call *c, struct mfile *mf)
{
	const struct sill_config *m = mf->docs[0].m;
	char id[SILL_FILE_ID_MAX + 1];
	struct sill_err e = { 0 };

	(void)snprintf(id, sizeof(id), "%s", m->net[m->net_count - 1].id);
	if (c->fd_count > 0 && life_lend(c->api->life, id, c->fds, c->fd_count, &e) < 0) {
		api_fail_err(c, "The network card could not be added to the VM", &e);
		mfile_destroy(mf);
	} else if (add(c, SILL_DEVICE_NET, mf) < 0) {
		life_lend_no_more(c->api->life, id);
	}
}

void api_sill_add_net(struct api_call *c)
{
	struct mfile *mf;

	api_change_begin();
	mf = with(c, "net", json_incref(c->body));
	if (mf != NULL)
		add_net(c, mf);
	api_change_end();
}

void api_vm_add_net(struct api_call *c)
{
	struct vmconfig_err ve = { 0 };
	json_t *entry = vmconfig_net(c->body, &ve);
	struct mfile *mf;

	if (entry == NULL) {
		body_fail(c, "The network card could not be added to the VM", &ve);
		return;
	}
	if (take_queues(c, entry) < 0) {
		json_decref(entry);
		return;
	}
	api_change_begin();
	mf = with(c, "net", entry);
	if (mf != NULL)
		add_net(c, mf);
	api_change_end();
}

static bool has_vsock(struct api_call *c, const json_t *m)
{
	struct sill_vm *vm = life_hold(c->api->life);
	struct sill_device_info d;
	bool has = json_object_get(m, "vsock") != NULL;

	if (vm == NULL)
		return has;
	has = hot_find(vm, "vsock", &d); /* the guest may have ejected what the manifest has */
	life_release(c->api->life);
	return has;
}

/* The manifest with @take_vsock, checked. NULL: @c is answered. */
static struct mfile *with_vsock(struct api_call *c, json_t *take_vsock)
{
	json_t *m = life_manifest(c->api->life);
	struct mfile *mf = NULL;

	if (m == NULL) {
		api_fail(c, 404, "VM is not created");
	} else if (has_vsock(c, m)) {
		api_fail(c, 500, "There is a vsock device already");
	} else {
		(void)json_object_set(m, "vsock", take_vsock);
		mf = body_check(c, m, life_state(c->api->life) == LIFE_CREATED);
	}
	json_decref(m);
	json_decref(take_vsock);
	return mf;
}

void api_vm_add_vsock(struct api_call *c)
{
	struct vmconfig_err ve = { 0 };
	json_t *vsock = vmconfig_vsock(c->body, &ve);
	struct mfile *mf;

	if (vsock == NULL) {
		body_fail(c, "The vsock device could not be added to the VM", &ve);
		return;
	}
	api_change_begin();
	mf = with_vsock(c, vsock);
	if (mf != NULL)
		(void)add(c, SILL_DEVICE_VSOCK, mf);
	api_change_end();
}

/* ---- remove ---- */

static bool remove_entry(json_t *m, const char *section, const char *id)
{
	json_t *list = json_object_get(m, section);
	const json_t *entry = json_find(list, "id", id);
	size_t i = 0;

	if (entry == NULL)
		return false;
	while (json_array_get(list, i) != entry)
		i++;
	(void)json_array_remove(list, i);
	if (json_array_size(list) == 0)
		(void)json_object_del(m, section);
	return true;
}

/* False: @m had none. */
static bool take_out(json_t *m, const char *id)
{
	if (strcmp(id, "rng") == 0)
		return json_object_set_new(m, "rng", json_pack("{s:s}", "src", "off")) == 0;
	if (strcmp(id, "console") == 0)
		return json_object_set_new(m, "console", json_pack("{s:s}", "mode", "off")) == 0;
	if (strcmp(id, "balloon") == 0 || strcmp(id, "vsock") == 0)
		return json_object_del(m, id) == 0;
	return remove_entry(m, "disk", id) || remove_entry(m, "net", id);
}

/* The guest may have given up by itself what the manifest has; what it was asked for already is not there. */
static void remove_from(struct api_call *c, struct sill_vm *vm, const char *id)
{
	json_t *m = life_manifest(c->api->life);
	struct sill_device_info d = { .kind = SILL_DEVICE_KINDS };
	const bool here = vm != NULL && hot_find(vm, id, &d), was = take_out(m, id);
	const bool one = d.kind == SILL_DEVICE_DISK || d.kind == SILL_DEVICE_NET;
	struct mfile *mf = was ? body_check(c, m, false) : NULL;
	struct sill_err e = { 0 };

	json_decref(m);
	if (!was && !here)
		api_fail(c, 404, "There is no device '%.64s'", id);
	if (was ? mf == NULL : !here)
		return;
	if (here && sill_vm_eject(vm, d.kind, one ? id : NULL, &e) < 0) {
		api_fail_err(c, "The device could not be removed from the VM", &e);
		mfile_destroy(mf);
		return;
	}
	life_lend_no_more(c->api->life, id);
	if (mf != NULL && life_set(c->api->life, mf, &e) < 0)
		api_fail_err(c, "The device could not be removed", &e);
	else if (!here) /* no event of the engine's comes */
		events_add(c->api->events, "vm", "device-removed", json_pack("{s:s}", "id", id));
}

/* Asks the guest, and does not wait: the event device-removed tells. */
void api_vm_remove_device(struct api_call *c)
{
	const char *id = json_string_value(json_object_get(c->body, "id"));
	struct sill_vm *vm;

	if (id == NULL) {
		api_fail(c, 400, "missing field 'id'");
		return;
	}
	api_change_begin();
	if (api_hold_any(c, &vm)) {
		remove_from(c, vm, id);
		if (vm != NULL)
			life_release(c->api->life);
	}
	api_change_end();
}

/* ---- grow ---- */

void api_vm_resize_disk(struct api_call *c)
{
	const char *id = json_string_value(json_object_get(c->body, "id"));
	const json_t *size = json_object_get(c->body, "desired_size");
	struct sill_device_info d;
	struct sill_err e = { 0 };
	struct sill_vm *vm;

	if (id == NULL || !json_is_integer(size) || json_integer_value(size) <= 0) {
		api_fail(c, 400, "the body needs 'id', and 'desired_size' in bytes");
		return;
	}
	vm = api_hold(c);
	if (vm == NULL)
		return;
	if (!hot_find(vm, id, &d) || d.kind != SILL_DEVICE_DISK) {
		api_fail(c, 404, "There is no disk '%.64s'", id);
	} else if (sill_vm_disk_resize(vm, id, (uint64_t)json_integer_value(size), &e) < 0) {
		api_fail_err(c, "The disk could not be resized", &e);
		c->status = 500;
	} else {
		life_set_written(c->api->life, NULL); /* a snapshot was of the smaller one */
	}
	life_release(c->api->life);
}

/* ---- the cable ---- */

/* At the next boot, too. */
static void set_boot_link(struct api_call *c, const char *id, const char *link)
{
	json_t *m = life_manifest(c->api->life);
	json_t *card = json_find(json_object_get(m, "net"), "id", id);
	struct sill_err e = { 0 };
	struct mfile *mf;

	if (card != NULL)
		(void)json_object_set_new(card, "link", json_string(link));
	mf = card != NULL ? body_check(c, m, false) : NULL;
	json_decref(m);
	if (mf != NULL && life_set(c->api->life, mf, &e) < 0)
		api_fail_err(c, "The link could not be changed", &e);
	else if (card == NULL)
		api_fail(c, 404, "There is no network card '%.64s'", id);
}

static void set_link(struct api_call *c, const char *id, const char *link)
{
	struct sill_device_info d;
	struct sill_err e = { 0 };
	struct sill_vm *vm;

	if (!api_hold_any(c, &vm))
		return;
	if (vm != NULL && (!hot_find(vm, id, &d) || d.kind != SILL_DEVICE_NET))
		api_fail(c, 404, "There is no network card '%.64s'", id);
	else if (vm != NULL && sill_vm_net_link(vm, id, strcmp(link, "up") == 0, &e) < 0)
		api_fail_err(c, "The link could not be changed", &e);
	else
		set_boot_link(c, id, link);
	if (vm != NULL)
		life_release(c->api->life);
}

void api_sill_set_link(struct api_call *c)
{
	const char *id = json_string_value(json_object_get(c->body, "id"));
	const char *link = json_string_value(json_object_get(c->body, "link"));

	if (id == NULL || link == NULL || (strcmp(link, "up") != 0 && strcmp(link, "down") != 0)) {
		api_fail(c, 400, "the body needs 'id', and 'link': up or down");
		return;
	}
	api_change_begin();
	set_link(c, id, link);
	api_change_end();
}

void api_sill_set_limit(struct api_call *c)
{
	api_change_begin();
	limit_change(c);
	api_change_end();
}

/* ---- what the engine does not see ---- */

/* Of what runs, with the signs of @m. */
static int set_ready(struct api_call *c, const struct sill_config *m, struct sill_err *e)
{
	struct ready *r = life_ready(c->api->life);
	struct sill_config value, signs, old;
	int done;

	if (r == NULL)
		return sill_err_set(e, SILL_ERR_STATE, "the VM has not begun");
	if (life_value(c->api->life, &value, e) < 0)
		return -1;
	if (sill_config_copy(&signs, m, e) < 0) {
		sill_config_free(&value);
		return -1;
	}
	old = value;
	value.ready = signs.ready;
	value.ready_count = signs.ready_count;
	done = ready_set(r, &value, e);
	sill_config_free(&signs);
	sill_config_free(&old);
	return done;
}

static void set_words(struct api_call *c)
{
	struct sill_vm *vm = life_hold(c->api->life);
	const bool signs = json_object_get(c->body, "ready") != NULL;
	json_t *m = life_manifest(c->api->life);
	struct sill_err e = { 0 };
	struct mfile *mf;

	(void)json_object_update(m, c->body);
	mf = m != NULL ? body_check(c, m, false) : NULL;
	if (m == NULL) {
		api_fail(c, 404, "VM is not created");
	} else if (mf != NULL && vm != NULL && signs && set_ready(c, mf->docs[0].m, &e) < 0) {
		api_fail_err(c, "The signs could not be changed", &e);
		mfile_destroy(mf);
	} else if (mf != NULL && life_set(c->api->life, mf, &e) < 0) {
		api_fail_err(c, "The manifest could not be changed", &e);
	}
	json_decref(m);
	if (vm != NULL)
		life_release(c->api->life);
}

void api_sill_set(struct api_call *c)
{
	const char *key;
	json_t *value;

	json_object_foreach(c->body, key,
			    value) if (strcmp(key, "ready") != 0 && strcmp(key, "restart") != 0)
	{
		api_fail(c, 400, "only 'ready' and 'restart' can be set, not '%.64s'", key);
		return;
	}
	api_change_begin();
	set_words(c);
	api_change_end();
}

/* ---- what the guest has not consented to yet ---- */

void api_sill_pending(struct api_call *c)
{
	struct sill_device_info list[HOT_DEVICES];
	struct sill_vm *vm = api_hold(c);
	struct sill_vm_memory memory;
	struct sill_vm_cpus cpus;
	bool heard = false;
	json_t *ids, *fixed, *vhost;
	uint64_t room, plugged;
	size_t n;

	if (vm == NULL)
		return;
	ids = json_array();
	fixed = json_array();
	vhost = json_array();
	n = sill_vm_devices(vm, list, HOT_DEVICES);
	for (size_t i = 0; i < n && i < HOT_DEVICES; i++) {
		heard = list[i].heard;
		if (list[i].stage != SILL_DEVICE_HERE)
			(void)json_array_append_new(ids, json_string(list[i].id));
		if (!list[i].removable)
			(void)json_array_append_new(fixed, json_string(list[i].id));
		if (hot_has_vhost(vm, &list[i]))
			(void)json_array_append_new(vhost, json_string(list[i].id));
	}
	sill_vm_cpus(vm, &cpus);
	sill_vm_memory(vm, &memory);
	room = sill_vm_config(vm)->memory.hotplug_size;
	plugged = sill_vm_config(vm)->memory.hotplugged_size;
	life_release(c->api->life);
	api_json(c, json_pack("{s:o,s:o,s:o,s:b,s:o,s:o}", "devices", ids, "fixed", fixed, "vhost",
			      vhost, "devices_heard", heard, "vcpus",
			      json_pack("{s:I,s:I,s:I,s:I,s:b}", "present",
					(json_int_t)cpus.present, "asked", (json_int_t)cpus.asked,
					"refused", (json_int_t)cpus.refused, "max",
					(json_int_t)cpus.max, "heard", cpus.heard),
			      "memory",
			      json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:b}", "present",
					(json_int_t)memory.present, "asked",
					(json_int_t)memory.asked, "refused",
					(json_int_t)memory.refused, "max", (json_int_t)memory.max,
					"hotplug_size", (json_int_t)room, "hotplugged_size",
					(json_int_t)plugged, "heard", memory.heard)));
}
