/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.c - the endpoints of what is counted: Cloud Hypervisor's counters, ours, and Prometheus' text.
 *
 * The text is version 0.0.4 of its exposition format: a line of help and type for each name, once, then
 * its samples together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/api/handlers.h"
#include "runner/api/life.h"
#include "runner/net/netstate.h"

/* Which names are no counts; nobody's answer. */
#define GAUGES "gauges"

static void into(json_t *groups, const struct sill_counter *c)
{
	json_t *group = json_object_get(groups, c->id);

	if (group == NULL) {
		group = json_object();
		(void)json_object_set_new(groups, c->id, group);
	}
	(void)json_object_set_new(group, c->name, json_integer((json_int_t)c->value));
}

/* ctx: {"devices": {id: {name: value}}, "vcpus": {number: {reason: value}}, GAUGES: {name: true}} */
static void note(void *ctx, const struct sill_counter *c)
{
	if (c->gauge)
		(void)json_object_set_new(json_object_get(ctx, GAUGES), c->name, json_true());
	into(json_object_get(ctx, c->of == SILL_COUNTER_DEVICE ? "devices" : "vcpus"), c);
}

static void put(json_t *group, const char *name, uint64_t value)
{
	(void)json_object_set_new(group, name, json_integer((json_int_t)value));
}

/* Of cards whose frames the host's kernel passes, the tap knows the numbers. */
static void count_taps(struct sill_vm *vm, json_t *devices)
{
	struct sill_config value;
	struct sill_err e = { 0 };

	if (sill_vm_config_now(vm, &value, &e) < 0)
		return;
	for (unsigned i = 0; i < value.net_count; i++) {
		const struct sill_net_config *n = &value.net[i];
		struct netstate_counts c;
		json_t *group;

		if (n->vhost != SILL_VHOST_ON || !netstate_count(n, &c))
			continue;
		group = json_object();
		put(group, "rx_bytes", c.to_bytes);
		put(group, "rx_frames", c.to_frames);
		put(group, "rx_dropped", c.to_dropped);
		put(group, "tx_bytes", c.from_bytes);
		put(group, "tx_frames", c.from_frames);
		put(group, "tx_dropped", c.from_dropped);
		(void)json_object_set_new(devices, n->id, group);
	}
	sill_config_free(&value);
}

/* NULL: @c is answered. */
static json_t *count(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	json_t *all;

	if (vm == NULL)
		return NULL;
	all = json_pack("{s:{},s:{},s:{}}", "devices", "vcpus", GAUGES);
	sill_vm_counters(vm, note, all);
	count_taps(vm, json_object_get(all, "devices"));
	life_release(c->api->life);
	return all;
}

void api_vm_counters(struct api_call *c)
{
	json_t *all = count(c);

	if (all != NULL)
		api_json(c, json_incref(json_object_get(all, "devices")));
	json_decref(all);
}

void api_sill_metrics(struct api_call *c)
{
	json_t *all = count(c);

	if (all == NULL)
		return;
	(void)json_object_del(all, GAUGES);
	api_json(c, all);
}

/* ---- Prometheus ---- */

/* Of a name of a VM and an id of a device nothing needs to be escaped: letters, digits and ._- */
static void write_name(FILE *f, const char *vm, const json_t *all, const char *name)
{
	const bool gauge = json_object_get(json_object_get(all, GAUGES), name) != NULL;
	const json_t *devices = json_object_get(all, "devices");
	const char *total = gauge ? "" : "_total", *id;
	json_t *group;

	(void)fprintf(f,
		      "# HELP sill_device_%s%s %s of a device%s.\n"
		      "# TYPE sill_device_%s%s %s\n",
		      name, total, name, gauge ? ", now" : " since it came", name, total,
		      gauge ? "gauge" : "counter");
	json_object_foreach((json_t *)(uintptr_t)devices, id, group)
	{
		const json_t *v = json_object_get(group, name);

		if (v != NULL)
			(void)fprintf(f, "sill_device_%s%s{vm=\"%s\",device=\"%s\"} %lld\n", name,
				      total, vm, id, (long long)json_integer_value(v));
	}
}

/* Each name once, whichever device has it first. */
static void write_devices(FILE *f, const char *vm, const json_t *all)
{
	const json_t *devices = json_object_get(all, "devices");
	json_t *said = json_object(), *group, *v;
	const char *id, *name;

	json_object_foreach((json_t *)(uintptr_t)devices, id, group)
		json_object_foreach(group, name, v)
	{
		if (json_object_get(said, name) != NULL)
			continue;
		(void)json_object_set_new(said, name, json_true());
		write_name(f, vm, all, name);
	}
	json_decref(said);
}

static void write_vcpus(FILE *f, const char *vm, const json_t *vcpus)
{
	const char *id, *reason;
	json_t *group, *v;

	(void)fputs("# HELP sill_vcpu_exits_total How often KVM_RUN came back, by reason.\n"
		    "# TYPE sill_vcpu_exits_total counter\n",
		    f);
	json_object_foreach((json_t *)(uintptr_t)vcpus, id, group)
		json_object_foreach(group, reason, v)(void)
			fprintf(f,
				"sill_vcpu_exits_total{vm=\"%s\",vcpu=\"%s\",reason=\"%s\"} "
				"%lld\n",
				vm, id, reason, (long long)json_integer_value(v));
}

static void write_state(FILE *f, struct api_call *c)
{
	struct sill_vm *vm = life_hold(c->api->life);
	const bool paused = vm != NULL && sill_vm_is_paused(vm);

	if (vm != NULL)
		life_release(c->api->life);
	(void)fprintf(f,
		      "# HELP sill_vm_running Whether the guest runs.\n"
		      "# TYPE sill_vm_running gauge\n"
		      "sill_vm_running{vm=\"%s\"} %d\n",
		      life_name(c->api->life), vm != NULL && !paused);
}

/* Which way the frames of each card go. */
static void write_paths(FILE *f, struct api_call *c)
{
	struct sill_vm *vm = life_hold(c->api->life);
	struct sill_config value;
	struct sill_err e = { 0 };

	if (vm == NULL)
		return;
	if (sill_vm_config_now(vm, &value, &e) == 0) {
		(void)fputs("# HELP sill_net_vhost Whether the host's kernel passes the frames of "
			    "a card.\n"
			    "# TYPE sill_net_vhost gauge\n",
			    f);
		for (unsigned i = 0; i < value.net_count; i++)
			(void)fprintf(f, "sill_net_vhost{vm=\"%s\",device=\"%s\"} %d\n",
				      life_name(c->api->life), value.net[i].id,
				      value.net[i].vhost == SILL_VHOST_ON);
		sill_config_free(&value);
	}
	life_release(c->api->life);
}

void api_sill_prometheus(struct api_call *c)
{
	const char *vm = life_name(c->api->life);
	json_t *all = count(c);
	char *text = NULL;
	size_t size = 0;
	FILE *f = all != NULL ? open_memstream(&text, &size) : NULL;

	if (f != NULL) {
		write_state(f, c);
		write_paths(f, c);
		write_devices(f, vm, all);
		write_vcpus(f, vm, json_object_get(all, "vcpus"));
		if (fclose(f) != 0) {
			free(text);
			text = NULL;
		}
		api_text(c, "text/plain; version=0.0.4", text, size);
	} else if (all != NULL) {
		api_fail(c, 503, "no memory for the metrics");
	}
	json_decref(all);
}
