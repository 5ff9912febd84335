/* SPDX-License-Identifier: Apache-2.0 */
/* handlers_sill.c - the endpoints that Cloud Hypervisor has not: what the VM is in Sill's words, and events. */
#include <string.h>
#include <unistd.h>

#include "runner/api/body.h"
#include "runner/api/handlers.h"
#include "runner/api/life.h"
#include "runner/debug/windbg.h"
#include "runner/net/netstate.h"
#include "runner/ready/ready.h"
#include "runner/report/json.h"
#include "schema/diff.h"
#include "sill/debug.h"
#include "sill/kd.h"

void api_sill_manifest(struct api_call *c)
{
	json_t *m = life_manifest(c->api->life);

	if (m != NULL)
		api_json(c, m);
	else
		api_fail(c, 404, "VM is not created");
}

/* JSON lines, for as long as the client stays; with ?new an empty one first, then what comes from now on. */
void api_sill_events(struct api_call *c)
{
	c->status = 200;
	c->type = "application/x-ndjson";
	c->stream = true;
	c->only_new = strcmp(c->query, "new") == 0;
}

/* On a worker: the packet filter is asked. */
void api_sill_net_status(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	struct netstate s = { .pid = getpid(), .vm = vm };
	struct sill_config value;
	struct sill_err e = { 0 };
	json_t *o;

	if (vm == NULL)
		return;
	if (sill_vm_config_now(vm, &value, &e) < 0) {
		life_release(c->api->life);
		api_fail_err(c, "The network cannot be looked at", &e);
		return;
	}
	s.c = &value;
	s.cables = life_cables(c->api->life);
	o = netstate_json(&s);
	sill_config_free(&value);
	life_release(c->api->life);
	if (o != NULL)
		api_json(c, o);
	else
		api_fail(c, 500, "No memory");
}

/* Why it stands still though nobody has paused it, or must stand still; NULL: neither. */
static const char *held_by(struct life *life, struct sill_vm *vm)
{
	struct sill_debug_stop stop;

	if (sill_debug_stopped(vm, &stop))
		return "a debugger has stopped it";
	return life_writes(life);
}

static json_t *post_codes(struct sill_vm *vm)
{
	uint8_t code[SILL_POST_CODES];
	const size_t n = sill_vm_post_codes(vm, code);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_sprintf("0x%02x", code[i]));
	return list;
}

/* By whom the guest may be debugged, and is held; how far it says it is. */
void api_sill_debug(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	struct sill_kd_seen seen;
	const char *held;
	json_t *o, *post;

	if (vm == NULL)
		return;
	sill_vm_kd(vm, &seen);
	o = windbg_seen_json(sill_vm_config(vm), windbg_slot(vm), &seen);
	post = post_codes(vm);
	held = held_by(c->api->life, vm);
	life_release(c->api->life);
	api_json(c, json_pack("{s:o,s:s?,s:o}", "kd", o != NULL ? o : json_null(), "held", held,
			      "post_codes", post));
}

void api_sill_ready(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	struct ready *r;
	json_t *o;

	if (vm == NULL)
		return;
	r = life_ready(c->api->life);
	o = r != NULL ? ready_json(r) : json_pack("{s:b,s:n,s:[]}", "ready", 1, "seconds", "signs");
	life_release(c->api->life);
	if (o != NULL)
		api_json(c, o);
	else
		api_fail(c, 500, "No memory");
}

static json_t *text_or_null(const char *s)
{
	return s != NULL ? json_text(s) : json_null();
}

static json_t *diff_json(const struct diffs *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->count; i++) {
		const struct diff *one = &d->list[i];

		(void)json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:s}", "path",
							    json_text(one->path), "before",
							    text_or_null(one->before), "after",
							    text_or_null(one->after), "effect",
							    effect_name(one->row->effect)));
	}
	return list;
}

/* What would have to change for the VM to be what the manifest in the body says. */
void api_sill_diff(struct api_call *c)
{
	struct sill_config now;
	struct diffs d = { 0 };
	struct sill_err e = { 0 };
	struct mfile *mf;

	if (life_said(c->api->life, &now, &e) < 0) {
		api_fail(c, 404, "VM is not created");
		return;
	}
	mf = body_check(c, c->body, false);
	if (mf != NULL && diff_make(&now, mf->docs[0].m, &d, &e) == 0)
		api_json(c, diff_json(&d));
	else if (mf != NULL)
		api_fail_err(c, "The manifests could not be compared", &e);
	diff_free(&d);
	mfile_destroy(mf);
	sill_config_free(&now);
}
