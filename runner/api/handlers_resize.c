/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers_resize.c - how many vCPUs and how much memory: of the VM, if it runs, and in its manifest, for its boot.
 */
#include <string.h>

#include "runner/api/body.h"
#include "runner/api/event.h"
#include "runner/api/handlers.h"
#include "runner/api/life.h"
#include "runner/manifest/scalar.h"
#include "runner/report/json.h"

/* The manifest @take_m is what the next boot has. */
static void set_boot(struct api_call *c, json_t *take_m)
{
	struct mfile *mf = body_check(c, take_m, false);
	struct sill_err e = { 0 };

	json_decref(take_m);
	if (mf != NULL && life_set(c->api->life, mf, &e) < 0)
		api_fail_err(c, "The VM could not be resized", &e);
}

/* Of a VM that does not run. */
static void set_created_vcpus(struct api_call *c, unsigned vcpus)
{
	json_t *m = life_manifest(c->api->life);

	(void)json_object_set_new(json_object_get(m, "cpus"), "boot", json_integer(vcpus));
	set_boot(c, m);
}

static void set_bytes(json_t *o, const char *key, uint64_t bytes)
{
	char text[32];

	if (bytes == 0)
		(void)json_object_del(o, key);
	else
		(void)json_object_set_new(o, key,
					  json_string(scalar_size_text(text, sizeof(text), bytes)));
}

/* Of a VM that does not run; what a boot would have plugged is in @size. */
static void set_created_memory(struct api_call *c, uint64_t size)
{
	json_t *m = life_manifest(c->api->life), *memory = json_object_get(m, "memory");

	if (json_array_size(json_object_get(memory, "zones")) != 0 || size == 0) {
		if (size == 0) /* the manifest would have its default */
			api_fail(c, 400, "desired_ram: must be more than 0");
		else
			api_fail(c, 500,
				 "The VM could not be resized: its memory is made of zones");
		json_decref(m);
		return;
	}
	(void)json_object_del(memory, "hotplugged_size");
	set_bytes(memory, "size", size);
	set_boot(c, m);
}

/* Likewise the zone @id, or while it runs what it has plugged. */
static void set_boot_zone(struct api_call *c, const char *id, const char *key, uint64_t bytes)
{
	json_t *m = life_manifest(c->api->life), *memory = json_object_get(m, "memory");
	json_t *zone = json_find(json_object_get(memory, "zones"), "id", id);

	if (zone == NULL) {
		api_fail(c, 500, "there is no memory zone '%.64s'", id);
		json_decref(m);
		return;
	}
	set_bytes(zone, key, bytes);
	(void)json_object_del(memory, "size"); /* what they have together */
	set_boot(c, m);
}

/* By virtio-mem it has been plugged beside the size; else what there can be at most stays, or becomes what a guest
 * can take that begins with @size. */
static void set_boot_memory(struct api_call *c, struct sill_vm *vm, uint64_t size, uint64_t max)
{
	json_t *m = life_manifest(c->api->life), *memory = json_object_get(m, "memory");
	const uint64_t block = sill_memory_block(size);
	const uint64_t more = max > size ? (max - size + block - 1) / block * block : 0;
	const struct sill_memory_config *now = &sill_vm_config(vm)->memory;

	if (now->hotplug_method == SILL_HOTPLUG_VIRTIO_MEM && now->hotplug_size != 0) {
		set_bytes(memory, "hotplugged_size", size - now->size);
	} else {
		set_bytes(memory, "size", size);
		set_bytes(memory, "hotplug_size", more);
	}
	set_boot(c, m);
}

/*
 * A guest that has been asked for some has them still: clients of Cloud Hypervisor wait then, and try again. Not who wants as
 * many as there are, who has them, nor who says that this wish is in place of the one before. False: @c is answered.
 */
static bool may_wish(struct api_call *c, struct sill_vm *vm, unsigned wanted)
{
	struct sill_vm_cpus now;

	sill_vm_cpus(vm, &now);
	if (now.asked == 0 || wanted == now.present ||
	    json_is_true(json_object_get(c->body, "supersede")))
		return true;
	api_fail(c, 429,
		 "The VM could not be resized: the guest has not given up %u of its %u vCPUs yet",
		 now.asked, now.present);
	return false;
}

static void resize_vcpus(struct api_call *c, unsigned wanted)
{
	struct sill_err e = { 0 };
	struct sill_vm *vm;

	if (!api_hold_any(c, &vm))
		return;
	if (vm == NULL) {
		set_created_vcpus(c, wanted);
		return;
	}
	events_add(c->api->events, "vm", "resizing", NULL);
	if (may_wish(c, vm, wanted) && (sill_vm_resize_cpus(vm, wanted, NULL, &e) < 0 ||
					life_set_vcpus(c->api->life, wanted, &e) < 0))
		api_fail_err(c, "The VM could not be resized", &e);
	life_release(c->api->life);
}

/* A boot after its end has so much, too. */
static void resize_memory(struct api_call *c, uint64_t wanted)
{
	struct sill_vm_memory now;
	struct sill_err e = { 0 };
	struct sill_vm *vm;

	if (!api_hold_any(c, &vm))
		return;
	if (vm == NULL) {
		set_created_memory(c, wanted);
		return;
	}
	events_add(c->api->events, "vm", "resizing", NULL);
	if (sill_vm_resize_memory(vm, wanted, &now, &e) == 0)
		set_boot_memory(c, vm, wanted, now.max);
	else
		api_fail_err(c, "The VM could not be resized", &e);
	life_release(c->api->life);
}

static uint64_t memory_wanted(struct api_call *c, const struct sill_config *m)
{
	struct sill_vm *vm = life_hold(c->api->life);
	struct sill_vm_memory now;

	if (vm == NULL)
		return m->memory.size + m->memory.hotplugged_size;
	sill_vm_memory(vm, &now);
	life_release(c->api->life);
	return now.wanted;
}

/* At the next boot, too. */
static void set_boot_balloon(struct api_call *c, uint64_t bytes)
{
	json_t *m = life_manifest(c->api->life);
	json_t *balloon = json_object_get(m, "balloon");
	char text[32];

	if (balloon == NULL) {
		api_fail(c, 500, "The VM could not be resized: it has no balloon");
		json_decref(m);
		return;
	}
	(void)scalar_size_text(text, sizeof(text), bytes);
	(void)json_object_set_new(balloon, "size", json_string(bytes != 0 ? text : "off"));
	set_boot(c, m);
}

static void resize_balloon(struct api_call *c, uint64_t wanted)
{
	struct sill_err e = { 0 };
	struct sill_vm *vm;

	if (!api_hold_any(c, &vm))
		return;
	if (vm != NULL && sill_vm_resize_balloon(vm, wanted, &e) < 0)
		api_fail_err(c, "The VM could not be resized", &e);
	else
		set_boot_balloon(c, wanted);
	if (vm != NULL)
		life_release(c->api->life);
}

/* Absent or null: no wish. False: it is no number, and @c is answered. */
static bool read_wish(struct api_call *c, const char *key, json_int_t *ret)
{
	const json_t *v = json_object_get(c->body, key);

	*ret = -1;
	if (v == NULL || json_is_null(v))
		return true;
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*ret = json_integer_value(v);
		return true;
	}
	api_fail(c, 400, "%s: must be a number from 0", key);
	return false;
}

void api_vm_resize(struct api_call *c)
{
	json_int_t vcpus, ram, balloon;
	struct sill_config now;
	struct sill_err e = { 0 };

	if (!read_wish(c, "desired_vcpus", &vcpus) || !read_wish(c, "desired_ram", &ram) ||
	    !read_wish(c, "desired_balloon", &balloon))
		return;
	if (vcpus == 0 || vcpus > SILL_MAX_CPUS) {
		api_fail(c, 400, "desired_vcpus: must be 1 to %u", SILL_MAX_CPUS);
		return;
	}
	if (life_value(c->api->life, &now, &e) < 0) {
		api_fail(c, 404, "VM is not created");
		return;
	}
	api_change_begin();
	if (vcpus > 0)
		resize_vcpus(c, (unsigned)vcpus);
	if (c->status == 204 && ram >= 0 && (uint64_t)ram != memory_wanted(c, &now))
		resize_memory(c, (uint64_t)ram);
	if (c->status == 204 && balloon >= 0 && (uint64_t)balloon != now.balloon.size)
		resize_balloon(c, (uint64_t)balloon);
	api_change_end();
	sill_config_free(&now);
}

/* At the start. */
static uint64_t zone_size(struct sill_vm *vm, const char *id)
{
	const struct sill_memory_config *m = &sill_vm_config(vm)->memory;

	for (unsigned i = 0; i < m->zones_count; i++)
		if (strcmp(m->zones[i].id, id) == 0)
			return m->zones[i].size;
	return 0;
}

static void resize_zone(struct api_call *c, struct sill_vm *vm, const char *id, uint64_t wanted)
{
	struct sill_vm_memory now;
	struct sill_err e = { 0 };

	events_add(c->api->events, "vm", "resizing", NULL);
	if (sill_vm_resize_zone(vm, id, wanted, &now, &e) < 0)
		api_fail_err(c, "The memory zone could not be resized", &e);
	else
		set_boot_zone(c, id, "hotplugged_size", wanted - zone_size(vm, id));
}

void api_vm_resize_zone(struct api_call *c)
{
	const char *id = json_string_value(json_object_get(c->body, "id"));
	const json_t *size = json_object_get(c->body, "desired_ram");
	struct sill_vm *vm;

	if (id == NULL || !json_is_integer(size) || json_integer_value(size) <= 0) {
		api_fail(c, 400, "the body needs 'id', and 'desired_ram' in bytes");
		return;
	}
	api_change_begin();
	if (api_hold_any(c, &vm)) {
		if (vm == NULL)
			set_boot_zone(c, id, "size", (uint64_t)json_integer_value(size));
		else
			resize_zone(c, vm, id, (uint64_t)json_integer_value(size));
		if (vm != NULL)
			life_release(c->api->life);
	}
	api_change_end();
}
