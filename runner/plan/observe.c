/* SPDX-License-Identifier: Apache-2.0 */
/* observe.c - see observe.h. */
#include "runner/plan/observe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/report/json.h"
#include "runner/up/call.h"
#include "schema/store.h"

static const char applied_name[] = "applied.yaml";

/* A manifest as JSON into a value of its own. */
static int value_of(const char *text, size_t n, struct sill_config *ret, struct sill_err *e)
{
	struct mfile *mf = mfile_load_text("running.json", text, n, NULL);
	int done = -1;

	if (mf == NULL)
		return sill_err_sys(e, ENOMEM, "the manifest of the VM");
	if (mf->diags.total == 0 && mf->count == 1)
		done = sill_config_copy(ret, mf->docs[0].m, e);
	else
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "what the VM says of itself is no manifest: %s",
				   mf->diags.count > 0 ? mf->diags.list[0].msg : "");
	mfile_destroy(mf);
	return done;
}

static json_t *get(const struct rundir_vm *vm, const char *target, struct sill_err *e)
{
	const struct call c = { .method = "GET", .target = target };
	json_t *o = NULL;

	if (call_vm(vm, &c, &o, e) == 0 && o == NULL)
		(void)sill_err_set(e, SILL_ERR_STATE, "the VM says nothing of itself");
	return o;
}

/* The VM's own manifest, as it says it too: in @ret_said, which is the caller's. */
static int ask_value(const struct rundir_vm *vm, struct sill_config *ret, json_t **ret_said,
		     struct sill_err *e)
{
	json_t *o = get(vm, "/sill.manifest", e);
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	const int done = text != NULL ? value_of(text, strlen(text), ret, e) : -1;

	free(text);
	*ret_said = o;
	return done;
}

static json_int_t number(const json_t *o, const char *section, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(o, section), key));
}

/*
 * What may come is as it was at the start, and a VM of an older Sill does not say it; what zones have plugged then is in no
 * VM's words, which tell what they were asked for since. Its directory has both.
 */
static void take_start(struct observed *o)
{
	const json_t *said = json_object_get(json_object_get(o->pending, "memory"), "hotplug_size");
	struct sill_memory_config *m = &o->value.memory;
	struct sill_config start = { 0 };

	if (said != NULL)
		m->hotplug_size = (uint64_t)json_integer_value(said);
	if ((said != NULL && m->zones_count == 0) ||
	    rundir_read_manifest(&o->vm, &start, &(struct sill_err){ 0 }) < 0)
		return;
	if (said == NULL)
		m->hotplug_size = start.memory.hotplug_size;
	for (unsigned i = 0; i < m->zones_count && i < start.memory.zones_count; i++)
		m->zones[i].hotplugged_size = start.memory.zones[i].hotplugged_size;
	sill_config_free(&start);
}

/* Sizes are what the guest has, not what it was asked for. */
static void take_pending(struct observed *o)
{
	const json_t *p = o->pending;

	take_start(o);
	o->value.cpus.boot = (uint16_t)number(p, "vcpus", "present");
	/* Zones, and memory of which some is plugged at the start, are as at the start. */
	o->value.memory.hotplugged_size = (uint64_t)number(p, "memory", "hotplugged_size");
	if (o->value.memory.hotplugged_size != 0)
		o->value.memory.size = (uint64_t)number(p, "memory", "max") -
				       (uint64_t)number(p, "memory", "hotplug_size");
	else if (o->value.memory.zones_count == 0)
		o->value.memory.size = (uint64_t)number(p, "memory", "present");
	o->facts.vcpus_asked = (unsigned)number(p, "vcpus", "asked");
	o->facts.memory_asked = (uint64_t)number(p, "memory", "asked");
	o->facts.memory_max = (uint64_t)number(p, "memory", "max");
	o->facts.fixed = json_object_get(p, "fixed");
	o->facts.leaving = json_object_get(p, "devices");
	o->facts.vhost = json_object_get(p, "vhost");
}

/* wanted.json is mostly what the VM has @said, whose value is there: JSON is compared sooner than a manifest is read. */
static int remember_wanted(struct observed *o, const json_t *said)
{
	size_t n = 0;
	char *text = rundir_read(&o->vm, "wanted.json", &n);
	json_t *wanted = text != NULL ? json_loadb(text, n, 0, NULL) : NULL;
	int done = -1;

	if (wanted != NULL && json_equal(wanted, said))
		done = sill_config_copy(&o->remembered, &o->value, &(struct sill_err){ 0 });
	else if (text != NULL)
		done = value_of(text, n, &o->remembered, &(struct sill_err){ 0 });
	json_decref(wanted);
	free(text);
	return done;
}

/* o->value is as it was @said. */
static void remember(struct observed *o, const json_t *said)
{
	size_t n = 0;
	char *text = rundir_read(&o->vm, applied_name, &n);
	int done;

	if (text != NULL)
		done = store_load(text, n, &o->remembered, &(struct sill_err){ 0 });
	else
		done = remember_wanted(o, said);
	free(text);
	if (done == 0)
		o->facts.remembered = &o->remembered;
}

static bool has_id(const struct sill_config *c, const char *id)
{
	for (unsigned i = 0; i < c->disk_count; i++)
		if (strcmp(c->disk[i].id, id) == 0)
			return true;
	for (unsigned i = 0; i < c->net_count; i++)
		if (strcmp(c->net[i].id, id) == 0)
			return true;
	return false;
}

/* The manifest has forgotten what the guest was asked for; the guest has it still. */
static int add_leaving(struct observed *o, const struct sill_config *want, struct sill_err *e)
{
	const struct sill_config *r = &o->remembered;
	struct sill_disk_config disks[2 * SILL_MAX_DISKS];
	struct sill_net_config nets[2 * SILL_MAX_NETS];
	struct sill_config c = o->value, copy;

	if (json_array_size(o->facts.leaving) == 0 || c.disk_count > SILL_MAX_DISKS ||
	    c.net_count > SILL_MAX_NETS)
		return 0;
	c.disk = disks;
	c.net = nets;
	for (unsigned i = 0; i < c.disk_count; i++)
		disks[i] = o->value.disk[i];
	for (unsigned i = 0; i < c.net_count; i++)
		nets[i] = o->value.net[i];
	for (unsigned i = 0; i < r->disk_count && i < SILL_MAX_DISKS; i++)
		if (json_has_text(o->facts.leaving, r->disk[i].id) &&
		    !has_id(want, r->disk[i].id) && !has_id(&o->value, r->disk[i].id))
			disks[c.disk_count++] = r->disk[i];
	for (unsigned i = 0; i < r->net_count && i < SILL_MAX_NETS; i++)
		if (json_has_text(o->facts.leaving, r->net[i].id) && !has_id(want, r->net[i].id) &&
		    !has_id(&o->value, r->net[i].id))
			nets[c.net_count++] = r->net[i];
	if (sill_config_copy(&copy, &c, e) < 0)
		return -1;
	sill_config_free(&o->value);
	o->value = copy;
	return 0;
}

int observe(const struct rundir_vm *vm, const struct sill_config *want, struct observed *ret,
	    struct sill_err *e)
{
	json_t *said = NULL;
	int done;

	ret->vm = *vm;
	done = ask_value(vm, &ret->value, &said, e);
	if (done == 0) {
		ret->pending = get(vm, "/sill.pending", e);
		done = ret->pending != NULL ? 0 : -1;
	}
	if (done == 0) {
		remember(ret, said);
		take_pending(ret);
		done = add_leaving(ret, want, e);
	}
	json_decref(said);
	if (done < 0)
		observed_fini(ret);
	return done;
}

void observed_fini(struct observed *o)
{
	sill_config_free(&o->value);
	sill_config_free(&o->remembered);
	json_decref(o->pending);
	*o = (struct observed){ 0 };
}

int observed_remember(const struct rundir_vm *vm, const struct sill_config *value,
		      struct sill_err *e)
{
	struct rundir d;
	size_t n = 0;
	char *text;
	int ret = -1;

	if (rundir_reach(vm, &d, e) < 0)
		return -1;
	text = store_save(value, &n, e);
	if (text != NULL)
		ret = rundir_write(&d, applied_name, text, n, e);
	free(text);
	(void)close(d.fd);
	return ret;
}
