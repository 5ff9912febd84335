/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers_state.c - the endpoints of what a VM is at an instant: snapshots, core dumps.
 *
 * A VM must be paused for either, and stays so: who wants it to go on meanwhile waits until it is written. Or it is paused
 * for it, which whoever asked need not live to undo.
 */
#include <string.h>

#include "runner/api/body.h"
#include "runner/api/event.h"
#include "runner/api/handlers.h"
#include "runner/api/life.h"
#include "runner/snapshot/core.h"
#include "runner/snapshot/snapshot.h"

/* ---- how far it has got ---- */

enum { TELLS = 20 }; /* so often, whatever the size */

struct telling {
	struct events *events;
	const char *of;
	uint64_t next;               /* when as much is done */
	const struct api_call *call; /* that is given up when nobody waits for it; NULL: never */
};

static bool tell(void *ctx, uint64_t done, uint64_t size)
{
	struct telling *t = ctx;

	if (t->call != NULL && __atomic_load_n(&t->call->gone, __ATOMIC_RELAXED))
		return false;
	if (done < t->next && done < size)
		return true;
	t->next = done + size / TELLS;
	events_add(t->events, "vm", "progress",
		   json_pack("{s:s,s:I,s:I}", "of", t->of, "done", (json_int_t)done, "size",
			     (json_int_t)size));
	return true;
}

/* ---- out ---- */

/* The path that a body names with @key; NULL: @c is answered. */
static const char *path_of(struct api_call *c, const char *key)
{
	const char *url = json_string_value(json_object_get(c->body, key));
	struct sill_err e = { 0 };
	const char *path = url != NULL ? snapshot_path(url, &e) : NULL;

	if (url == NULL)
		api_fail(c, 400, "The field '%s' is missing, or is no text", key);
	else if (path == NULL)
		api_fail_err(c, "The place cannot be used", &e);
	return path;
}

/* The VM, paused. NULL: @c is answered. */
static struct sill_vm *hold_paused(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);

	if (vm == NULL || sill_vm_is_paused(vm))
		return vm;
	life_release(c->api->life);
	api_fail(c, 405, "The VM is not paused");
	return NULL;
}

/* False: @c is answered. */
static bool pause_it(struct api_call *c, struct sill_vm *vm)
{
	struct sill_err e = { 0 };

	events_add(c->api->events, "vm", "pausing", NULL);
	if (sill_vm_pause(vm, &e) == 0)
		return true;
	api_fail_err(c, "The VM could not be paused", &e);
	return false;
}

static void go_on(struct api_call *c, struct sill_vm *vm)
{
	struct sill_err e = { 0 };

	events_add(c->api->events, "vm", "resuming", NULL);
	if (sill_vm_is_paused(vm) && sill_vm_resume(vm, &e) < 0 && c->status < 300)
		api_fail_err(c, "The VM could not be resumed", &e);
}

struct writing {
	struct telling telling;
	struct life *life;
	const char *dir;
};

static void written(void *ctx)
{
	const struct writing *w = ctx;

	life_set_written(w->life, w->dir);
}

/* @waited_for: given up when nobody waits for it. */
static void write_snapshot(struct api_call *c, struct sill_vm *vm, const char *dir, bool waited_for)
{
	struct writing w = {
		{ .events = c->api->events, .of = "snapshot", .call = waited_for ? c : NULL },
		c->api->life,
		dir
	};
	const struct snapshot_told told = { { tell, &w.telling }, written, &w };
	struct sill_config said = { 0 };
	struct sill_err e = { 0 };

	life_set_writes(c->api->life, "a snapshot is written");
	events_add(c->api->events, "vm", "snapshotting", NULL);
	if (life_said(c->api->life, &said, &e) < 0 ||
	    snapshot_write(vm, &said, dir, &told, &e) < 0) {
		api_fail_err(c, "The VM could not be snapshotted", &e);
		c->status = 500;
	} else {
		events_add(c->api->events, "vm", "snapshotted", NULL);
	}
	life_set_writes(c->api->life, NULL);
	sill_config_free(&said);
}

/* Nobody knows that it is written, and that the VM stands still. */
static void snapshot_unheard(struct api_call *c)
{
	struct sill_vm *vm = life_hold(c->api->life);

	if (vm == NULL)
		return;
	go_on(c, vm);
	life_release(c->api->life);
}

/* It stays paused when it is written: what it would write to its disks is not what the snapshot knows. */
static void write_snapshot_of_running(struct api_call *c, struct sill_vm *vm, const char *dir)
{
	if (!pause_it(c, vm))
		return;
	write_snapshot(c, vm, dir, true);
	if (c->status >= 300)
		go_on(c, vm);
	else
		c->unheard = snapshot_unheard;
}

void api_vm_snapshot(struct api_call *c)
{
	const bool pause = json_is_true(json_object_get(c->body, "pause"));
	struct sill_vm *vm = pause ? api_hold(c) : hold_paused(c);
	const char *dir = vm != NULL ? path_of(c, "destination_url") : NULL;

	if (dir != NULL && !sill_vm_is_paused(vm))
		write_snapshot_of_running(c, vm, dir);
	else if (dir != NULL)
		write_snapshot(c, vm, dir, false);
	if (vm != NULL)
		life_release(c->api->life);
}

/* @waited_for: given up when nobody waits for it. */
static void write_core(struct api_call *c, struct sill_vm *vm, const char *path, bool waited_for)
{
	const bool linear = json_is_true(json_object_get(c->body, "linear"));
	struct telling t = { .events = c->api->events,
			     .of = "coredump",
			     .call = waited_for ? c : NULL };
	const struct sparse_told told = { tell, &t };
	struct sill_err e = { 0 };

	events_add(c->api->events, "vm", "coredumping", NULL);
	life_set_writes(c->api->life, "its memory is dumped");
	if (core_write(vm, path, linear, &told, &e) < 0) {
		api_fail_err(c, "The VM's core could not be dumped", &e);
		c->status = 500;
	} else {
		events_add(c->api->events, "vm", "coredumped", NULL);
	}
	life_set_writes(c->api->life, NULL);
}

/* The guest does not stand still for nobody, and goes on whoever is there. */
static void write_core_of_running(struct api_call *c, struct sill_vm *vm, const char *path)
{
	if (!pause_it(c, vm))
		return;
	write_core(c, vm, path, true);
	go_on(c, vm);
}

void api_vm_coredump(struct api_call *c)
{
	const bool pause = json_is_true(json_object_get(c->body, "pause"));
	struct sill_vm *vm = pause ? api_hold(c) : hold_paused(c);
	const char *path = vm != NULL ? path_of(c, "destination_url") : NULL;

	if (path != NULL && !sill_vm_is_paused(vm))
		write_core_of_running(c, vm, path);
	else if (path != NULL)
		write_core(c, vm, path, false);
	if (vm != NULL)
		life_release(c->api->life);
}

/* ---- in ---- */

/* What Sill has not, and what contradicts itself. False: @c is answered. */
static bool can_restore(struct api_call *c)
{
	const char *mode = json_string_value(json_object_get(c->body, "memory_restore_mode"));
	const bool prefault = json_is_true(json_object_get(c->body, "prefault"));

	if (mode != NULL && strcmp(mode, "Copy") != 0 && strcmp(mode, "OnDemand") != 0)
		api_fail(c, 400, "memory_restore_mode: '%.32s' is none of Copy, OnDemand", mode);
	else if (mode != NULL && mode[0] == 'O' && prefault)
		api_fail(c, 400,
			 "'prefault' cannot be combined with 'memory_restore_mode=ondemand'");
	else if (mode != NULL && mode[0] == 'O')
		api_fail(c, 501, "Sill reads all of a snapshot's memory before the guest goes on");
	else if (json_array_size(json_object_get(c->body, "zone_updates")) > 0)
		api_fail(c, 501, "Sill does not move memory zones when it restores yet");
	else if (json_array_size(json_object_get(c->body, "vfio_fds")) > 0)
		api_fail(c, 501, "Sill has no devices of the host for the guest (VFIO) yet");
	else
		return true;
	return false;
}

/* net_fds: for each card so many of the descriptors that came, in order. False: @c is answered. */
static bool lend(struct api_call *c)
{
	const json_t *list = json_object_get(c->body, "net_fds");
	struct sill_err e = { 0 };
	unsigned at = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		const char *id = json_string_value(json_object_get(o, "id"));
		const json_int_t n = json_integer_value(json_object_get(o, "num_fds"));

		if (id == NULL || n < 1 || n > (json_int_t)(c->fd_count - at)) {
			api_fail(c, 400,
				 "Number of Net FDs passed for '%.64s' during Restore: %u. "
				 "Expected: %lld",
				 id != NULL ? id : "", c->fd_count - at, (long long)n);
			return false;
		}
		if (life_lend(c->api->life, id, c->fds + at, (unsigned)n, &e) < 0) {
			api_fail_err(c, "The VM could not be restored", &e);
			return false;
		}
		at += (unsigned)n;
	}
	return true;
}

/* Its configuration is checked as any other is. */
static void restore(struct api_call *c, struct snapshot *take_s)
{
	const struct life_restore from = {
		.from = take_s,
		.resume = json_is_true(json_object_get(c->body, "resume")),
		.prefault = json_is_true(json_object_get(c->body, "prefault")),
	};
	size_t size;
	const char *text = snapshot_config(take_s, &size);
	struct mfile *mf = body_check_text(c, text, size);
	struct sill_err e = { 0 };

	if (mf == NULL) {
		snapshot_close(take_s);
		return;
	}
	if (life_set(c->api->life, mf, &e) < 0) {
		snapshot_close(take_s);
		api_fail_err(c, "The VM could not be restored", &e);
		return;
	}
	life_set_restore(c->api->life, &from);
	if (lend(c) && life_boot(c->api->life, &e) < 0) {
		api_fail_err(c, "The VM could not be restored", &e);
		c->status = 500;
	}
	if (c->status >= 300)
		(void)life_forget(c->api->life, &(struct sill_err){ 0 });
}

void api_vm_restore(struct api_call *c)
{
	const char *dir = can_restore(c) ? path_of(c, "source_url") : NULL;
	struct sill_err e = { 0 };
	struct snapshot *s;

	if (dir == NULL)
		return;
	if (life_state(c->api->life) != LIFE_NONE) {
		api_fail(c, 500, "VM is already created");
		return;
	}
	s = snapshot_open(dir, &e);
	if (s != NULL) {
		restore(c, s);
		return;
	}
	api_fail_err(c, "The VM could not be restored", &e);
	c->status = 500;
}
