/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers_vm.c - the endpoints of a VM's life.
 *
 * Without a VM they are 404; in a state that does not allow them 405, as Cloud Hypervisor's description has it.
 */
#include <stdio.h>
#include <unistd.h>

#include "runner/api/body.h"
#include "runner/api/event.h"
#include "runner/api/handlers.h"
#include "runner/api/hot.h"
#include "runner/api/life.h"
#include "runner/api/vmconfig.h"

static void event(const struct api_call *c, const char *name)
{
	events_add(c->api->events, "vm", name, NULL);
}

static void refuse(struct api_call *c, enum life_state state)
{
	if (state == LIFE_NONE)
		api_fail(c, 404, "VM is not created");
	else
		api_fail(c, 405, "VM is not booted");
}

struct sill_vm *api_hold(struct api_call *c)
{
	struct sill_vm *vm = life_hold(c->api->life);

	if (vm == NULL)
		refuse(c, life_state(c->api->life));
	return vm;
}

bool api_hold_any(struct api_call *c, struct sill_vm **ret)
{
	enum life_state state;

	*ret = life_hold(c->api->life);
	if (*ret != NULL)
		return true;
	state = life_state(c->api->life);
	if (state == LIFE_CREATED)
		return true;
	refuse(c, state); /* it may have booted by now: nobody has asked it for anything */
	return false;
}

void api_vmm_ping(struct api_call *c)
{
	api_json(c,
		 json_pack("{s:s,s:s,s:I,s:[s]}", "build_version", "sill-v" SILL_VERSION, "version",
			   API_VERSION, "pid", (json_int_t)getpid(), "features", "kvm"));
}

void api_vmm_shutdown(struct api_call *c)
{
	events_add(c->api->events, "vmm", "shutdown", NULL);
	life_quit(c->api->life);
	c->status = 200;
}

/* ---- what it is ---- */

static uint64_t created_size(const struct sill_memory_config *m)
{
	uint64_t size = m->size + m->hotplugged_size;

	for (unsigned i = 0; i < m->zones_count; i++)
		size += m->zones[i].hotplugged_size;
	return size;
}

/* What is in the balloon the guest has not. */
static json_int_t memory_size(struct life *l, const struct sill_config *m)
{
	struct sill_vm_memory now = { .present = created_size(&m->memory) };
	struct sill_vm *vm = life_hold(l);
	struct sill_vm_balloon b = { 0 };

	if (vm != NULL) {
		sill_vm_memory(vm, &now);
		(void)sill_vm_balloon(vm, &b);
		life_release(l);
	}
	return (json_int_t)(now.present > b.actual ? now.present - b.actual : 0);
}

static void set_hotplugged(json_t *o, uint64_t size, uint64_t wanted)
{
	(void)json_object_set_new(o, "hotplugged_size", json_integer((json_int_t)(wanted - size)));
}

/* What came by virtio-mem, or is to, stands beside the size at the start. */
static void tell_hotplugged(struct life *l, const struct sill_config *m, json_t *config)
{
	json_t *memory = json_object_get(config, "memory"),
	       *zones = json_object_get(memory, "zones");
	struct sill_vm *vm = life_hold(l);
	struct sill_vm_memory now;

	if (vm == NULL)
		return;
	if (m->memory.hotplug_method == SILL_HOTPLUG_VIRTIO_MEM && m->memory.zones_count == 0) {
		const uint64_t size = sill_vm_config(vm)->memory.size;

		sill_vm_memory(vm, &now);
		(void)json_object_set_new(memory, "size", json_integer((json_int_t)size));
		set_hotplugged(memory, size, now.wanted);
	}
	for (unsigned i = 0; i < m->memory.zones_count; i++)
		if (m->memory.zones[i].hotplug_size != 0 &&
		    sill_vm_zone(vm, m->memory.zones[i].id, &now) == 0)
			set_hotplugged(json_array_get(zones, i), m->memory.zones[i].size,
				       now.wanted);
	life_release(l);
}

static const char *state_word(struct life *l)
{
	struct sill_vm *vm = life_hold(l);
	bool paused;

	if (vm == NULL)
		return "Created";
	paused = sill_vm_is_paused(vm);
	life_release(l);
	return paused ? "Paused" : "Running";
}

/* What is on the PCI bus now. */
static json_t *device_tree(struct life *l)
{
	struct sill_device_info list[HOT_DEVICES];
	struct sill_vm *vm = life_hold(l);
	json_t *tree = json_object();
	size_t n;

	if (vm == NULL)
		return tree;
	n = sill_vm_devices(vm, list, HOT_DEVICES);
	for (size_t i = 0; i < n && i < HOT_DEVICES; i++) {
		char bdf[HOT_BDF];

		hot_bdf_at(list[i].slot, bdf);
		(void)json_object_set_new(tree, list[i].id,
					  json_pack("{s:s,s:[],s:[],s:s}", "id", list[i].id,
						    "resources", "children", "pci_bdf", bdf));
	}
	life_release(l);
	return tree;
}

void api_vm_info(struct api_call *c)
{
	struct sill_config config;
	struct vmconfig_ends ends;
	struct sill_err e = { 0 };
	json_t *o, *body, *groups;

	if (life_value(c->api->life, &config, &e) < 0) {
		api_fail_err(c, "VM is not created", &e);
		c->status = 404;
		return;
	}
	life_ends(c->api->life, &ends);
	body = vmconfig_of(&config, &ends);
	groups = life_groups(c->api->life);
	vmconfig_keep_groups(body, groups);
	json_decref(groups);
	tell_hotplugged(c->api->life, &config, body);
	o = json_pack("{s:o,s:s,s:I,s:o}", "config", body, "state", state_word(c->api->life),
		      "memory_actual_size", memory_size(c->api->life, &config), "device_tree",
		      device_tree(c->api->life));
	sill_config_free(&config);
	api_json(c, o);
}

/* ---- create, boot, delete ---- */

void api_vm_create(struct api_call *c)
{
	struct vmconfig_err ve = { 0 };
	struct sill_err e = { 0 };
	struct mfile *mf;
	json_t *m;

	if (life_state(c->api->life) != LIFE_NONE) {
		api_fail(c, 500, "VM is already created");
		return;
	}
	m = vmconfig_manifest(c->body, life_name(c->api->life), &ve);
	if (m == NULL) {
		body_fail(c, "The VM could not be created", &ve);
		return;
	}
	body_find_formats(json_object_get(m, "disk"));
	body_fit_nested(m);
	mf = body_check(c, m, true);
	json_decref(m);
	if (mf == NULL)
		return;
	if (life_set(c->api->life, mf, &e) < 0)
		api_fail_err(c, "The VM could not be created", &e);
	else
		life_set_groups(c->api->life, vmconfig_groups(c->body));
}

void api_vm_delete(struct api_call *c)
{
	struct sill_err e = { 0 };

	if (life_forget(c->api->life, &e) == 0)
		return;
	api_fail_err(c, "The VM could not be deleted", &e);
	c->status = 404;
}

void api_vm_boot(struct api_call *c)
{
	const bool there = life_state(c->api->life) != LIFE_NONE;
	struct sill_err e = { 0 };

	if (there && life_boot(c->api->life, &e) == 0)
		return;
	api_fail_err(c, there ? "The VM could not boot" : "VM is not created", &e);
	c->status = there ? 500 : 404;
}

void api_vm_shutdown(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	struct sill_err e = { 0 };

	if (vm == NULL)
		return;
	life_release(c->api->life);
	if (life_shutdown(c->api->life, &e) < 0)
		api_fail_err(c, "The VM could not shut down", &e);
}

/* ---- while it runs ---- */

void api_vm_pause(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	struct sill_err e = { 0 };

	if (vm == NULL)
		return;
	if (sill_vm_is_paused(vm)) {
		api_fail(c, 405, "The VM is paused already");
	} else {
		event(c, "pausing");
		if (sill_vm_pause(vm, &e) < 0)
			api_fail_err(c, "The VM could not be paused", &e);
	}
	life_release(c->api->life);
}

void api_vm_resume(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	struct sill_err e = { 0 };

	if (vm == NULL)
		return;
	if (!sill_vm_is_paused(vm)) {
		api_fail(c, 405, "The VM is not paused");
	} else {
		event(c, "resuming");
		if (sill_vm_resume(vm, &e) < 0)
			api_fail_err(c, "The VM could not be resumed", &e);
	}
	life_release(c->api->life);
}

/* In place: the process, its files and its devices stay. It runs afterwards, as after a boot. */
void api_vm_reboot(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	struct sill_err e = { 0 };

	if (vm == NULL)
		return;
	event(c, "rebooting");
	sill_vm_reset(vm);
	if (sill_vm_is_paused(vm) && sill_vm_resume(vm, &e) < 0)
		api_fail_err(c, "The VM has been reset, and does not go on", &e);
	life_release(c->api->life);
}

void api_vm_power_button(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);

	if (vm == NULL)
		return;
	if (sill_vm_power_button(vm) < 0)
		api_fail(c, 500, "The guest does not listen to the power button yet");
	life_release(c->api->life);
}

void api_vm_nmi(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);

	if (vm == NULL)
		return;
	sill_vm_nmi(vm);
	life_release(c->api->life);
}
