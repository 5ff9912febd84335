/* SPDX-License-Identifier: Apache-2.0 */
/* apply.c - see apply.h. */
#include "runner/plan/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/api/ask.h"
#include "runner/host/clock.h"
#include "runner/manifest/emit.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/record.h"

/* A plan that is carried out. */
struct applying {
	const struct rundir_vm *vm;
	const struct target *target;
	const json_t *manifest; /* of the target */
	unsigned patience_s;    /* for a guest to give a device up */
	const json_t *before;   /* of the VM */
};

static void say(const struct applying *a, const struct plan_entry *n, const char *what)
{
	text_say(stdout, "%s: %s: %s", a->vm->name, n->diff->path, what);
	(void)fflush(stdout);
}

/* What it is by now. */
static int remember(const struct applying *a, struct sill_err *e)
{
	struct observed o = { 0 };
	int ret = observe(a->vm, a->target->doc->m, &o, e);

	if (ret == 0)
		ret = observed_remember(a->vm, &o.value, e);
	observed_fini(&o);
	return ret;
}

static int put(const struct applying *a, const char *target, json_t *take_body, struct sill_err *e)
{
	const struct call c = { .method = "PUT", .target = target, .body = take_body };
	const int ret = call_vm(a->vm, &c, NULL, e);

	json_decref(take_body);
	return ret;
}

/* ---- what goes ---- */

enum { GONE = 1, KEPT, SILENT, FAILED };

struct leaving {
	const struct applying *a;
	const struct plan_entry *n;
	int fd;
	int64_t end; /* of the guest's time, of clock_ms(); 0: it is not asked yet */
	struct sill_err *e;
};

/* Other events do not make the guest's time longer. False: it is over. */
static bool wait_on(const struct leaving *l)
{
	const int64_t left = l->end - (int64_t)clock_ms();

	if (left > 0)
		ask_patience(l->fd, (unsigned)left);
	return left > 0;
}

/* The first line says that we listen; what is asked for then cannot be missed. */
static int hear(void *ctx, const char *line)
{
	struct leaving *l = ctx;
	json_t *o;
	const char *event, *id;
	int ret = 0;

	if (l->end == 0) {
		if (put(l->a, "/vm.remove-device", json_pack("{s:s}", "id", l->n->id), l->e) < 0)
			return FAILED;
		l->end = (int64_t)clock_ms() + (int64_t)l->a->patience_s * 1000;
		return wait_on(l) ? 0 : SILENT;
	}
	o = json_loads(line, 0, NULL);
	event = json_string_value(json_object_get(o, "event"));
	id = json_string_value(json_object_get(json_object_get(o, "properties"), "id"));
	if (event != NULL && id != NULL && strcmp(id, l->n->id) == 0)
		ret = strcmp(event, "device-removed") == 0 ? GONE
		      : strcmp(event, "device-kept") == 0  ? KEPT
							   : 0;
	json_decref(o);
	return ret == 0 && !wait_on(l) ? SILENT : ret;
}

/* GONE, KEPT, SILENT, or -1 and @e. */
static int take_out(const struct applying *a, const struct plan_entry *n, struct sill_err *e)
{
	struct leaving l = { .a = a, .n = n, .e = e };
	struct sill_err why = { 0 };
	int fd, ret = -1;

	fd = ask_connect_vm(a->vm, CALL_PATIENCE_S, e);
	if (fd < 0)
		return -1;
	l.fd = fd;
	ret = ask_lines(fd, "/sill.events?new", hear, &l, &why);
	(void)close(fd);
	if (ret < 0 && l.end != 0 && why.sys == ETIMEDOUT)
		return SILENT;
	if (ret < 0 && e->code == SILL_ERR_NONE)
		*e = why;
	if (ret == 0)
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' has ended meanwhile", a->vm->name);
	return ret == FAILED || ret == 0 ? -1 : ret;
}

/* The first entry of a device stands for all of its keys. */
static bool is_first(const struct plan *p, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (p->list[j].step == p->list[i].step && p->list[j].kind == p->list[i].kind &&
		    strcmp(p->list[j].id, p->list[i].id) == 0)
			return false;
	return true;
}

static int remove_one(const struct applying *a, const struct plan_entry *n, struct sill_err *e)
{
	const int ret = take_out(a, n, e);
	char what[64] = "the guest is asked for it, and has it still";

	if (ret < 0)
		return -1;
	if (ret != GONE && n->step == PLAN_REPLUG) {
		if (ret == KEPT)
			(void)snprintf(what, sizeof(what), "keeps it");
		else
			(void)snprintf(what, sizeof(what), "has not answered in %u s",
				       a->patience_s);
		(void)sill_err_set(
			e, SILL_ERR_STATE,
			"%s: the guest was asked for it, and %s: nothing can come in its place",
			n->id, what);
		(void)sill_err_hint(e,
				    "it goes with the guest's next reset: sill reboot --reset %s",
				    a->vm->name);
		(void)remember(a, &(struct sill_err){ 0 });
		return -1;
	}
	if (ret == SILENT)
		(void)snprintf(what, sizeof(what), "the guest has not answered in %u s: %s",
			       a->patience_s, "it has it still");
	say(a, n, ret == GONE ? "removed" : what);
	return remember(a, e);
}

/* ---- what comes ---- */

static const char *section_of(const struct plan_entry *n)
{
	return n->kind == SILL_DEVICE_DISK ? "disk" : "net";
}

static int plug(const struct applying *a, const struct plan_entry *n, json_t *take_entry,
		struct sill_err *e)
{
	return put(a, n->kind == SILL_DEVICE_DISK ? "/sill.add-disk" : "/sill.add-net", take_entry,
		   e);
}

/* The device as the manifest has it, by its id; NULL: no memory. */
static json_t *entry_of(const struct applying *a, const struct plan_entry *n)
{
	const struct sill_config *m = a->target->doc->m;
	const bool disk = n->kind == SILL_DEVICE_DISK;
	const json_t *list = json_object_get(a->manifest, section_of(n));
	const unsigned count = disk ? m->disk_count : m->net_count;
	json_t *o;

	for (unsigned i = 0; i < count; i++) {
		if (strcmp(disk ? m->disk[i].id : m->net[i].id, n->id) != 0)
			continue;
		o = json_deep_copy(json_array_get(list, i));
		if (o != NULL)
			(void)json_object_set_new(o, "id", json_string(n->id));
		return o;
	}
	return NULL;
}

static int add_one(const struct applying *a, const struct plan_entry *n, struct sill_err *e)
{
	json_t *o = entry_of(a, n);

	if (o == NULL)
		return sill_err_sys(e, ENOMEM, "the device");
	if (plug(a, n, o, e) < 0)
		return -1;
	say(a, n, n->step == PLAN_REPLUG ? "replaced" : "added");
	return remember(a, e);
}

/* ---- what is replaced ---- */

/* Its successor did not come: it is as it was. */
static void put_back(const struct applying *a, const struct plan_entry *n)
{
	const json_t *list = json_object_get(a->before, section_of(n));
	struct sill_err e = { 0 };
	json_t *old = NULL;

	for (size_t i = 0; old == NULL && i < json_array_size(list); i++) {
		json_t *one = json_array_get(list, i);
		const char *id = json_string_value(json_object_get(one, "id"));

		if (id != NULL && strcmp(id, n->id) == 0)
			old = json_incref(one);
	}
	if (old == NULL)
		(void)sill_err_set(&e, SILL_ERR_STATE, "the VM did not tell what it was");
	else if (plug(a, n, old, &e) == 0)
		say(a, n, "the old one is put back");
	if (e.code != SILL_ERR_NONE)
		text_say(stderr, "sill: %s: %s: the old one cannot be put back: %s", a->vm->name,
			 n->id, e.msg);
	(void)remember(a, &(struct sill_err){ 0 });
}

/* The first is the caller's; each other one is said. */
static void note(const struct applying *a, const struct plan_entry *n, const struct sill_err *one,
		 struct sill_err *e)
{
	if (e->code == SILL_ERR_NONE)
		*e = *one;
	else
		text_say(stderr, "sill: %s: %s: %s", a->vm->name, n->id, one->msg);
}

static bool has_step(const struct plan *p, enum plan_step step)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].step == step)
			return true;
	return false;
}

/* All of them go before any comes: one may have what was another's. A failure of one is not the others'. */
static int replace(const struct applying *a, const struct plan *p, struct sill_err *e)
{
	bool *out;

	if (!has_step(p, PLAN_REPLUG))
		return 0;
	out = calloc(p->count, sizeof(*out));
	if (out == NULL)
		return sill_err_sys(e, ENOMEM, "the devices");
	for (size_t i = 0; i < p->count; i++) {
		struct sill_err one = { 0 };

		if (p->list[i].step != PLAN_REPLUG || !is_first(p, i))
			continue;
		out[i] = remove_one(a, &p->list[i], &one) == 0;
		if (!out[i])
			note(a, &p->list[i], &one, e);
	}
	for (size_t i = 0; i < p->count; i++) {
		struct sill_err one = { 0 };

		if (!out[i] || add_one(a, &p->list[i], &one) == 0)
			continue;
		note(a, &p->list[i], &one, e);
		put_back(a, &p->list[i]);
	}
	free(out);
	return e->code == SILL_ERR_NONE ? 0 : -1;
}

/* ---- sizes ---- */

static json_int_t asked_now(const struct applying *a, const char *what)
{
	const struct call c = { .method = "GET", .target = "/sill.pending" };
	json_t *o = NULL;
	json_int_t n;

	(void)call_vm(a->vm, &c, &o, &(struct sill_err){ 0 });
	n = json_integer_value(json_object_get(json_object_get(o, what), "asked"));
	json_decref(o);
	return n;
}

static int resize(const struct applying *a, const struct plan_entry *n, struct sill_err *e)
{
	const struct sill_config *m = a->target->doc->m;
	const json_int_t want = n->step == PLAN_VCPUS    ? m->cpus.boot
				: n->step == PLAN_MEMORY ? (json_int_t)m->memory.size
							 : (json_int_t)m->balloon.size;
	const char *key = n->step == PLAN_VCPUS    ? "desired_vcpus"
			  : n->step == PLAN_MEMORY ? "desired_ram"
						   : "desired_balloon";
	bool asked;

	if (put(a, "/vm.resize", json_pack("{s:I,s:b}", key, want, "supersede", 1), e) < 0)
		return -1;
	asked = n->step != PLAN_BALLOON &&
		asked_now(a, n->step == PLAN_VCPUS ? "vcpus" : "memory") > 0;
	say(a, n, asked ? "the guest is asked for some of it, and has it still" : "done");
	return remember(a, e);
}

/* ---- the cable ---- */

static int set_link(const struct applying *a, const struct plan_entry *n, struct sill_err *e)
{
	const struct sill_config *m = a->target->doc->m;
	bool down = false;

	for (unsigned i = 0; i < m->net_count; i++)
		if (strcmp(m->net[i].id, n->id) == 0)
			down = m->net[i].link == SILL_LINK_DOWN;
	if (put(a, "/sill.set-link",
		json_pack("{s:s,s:s}", "id", n->id, "link", down ? "down" : "up"), e) < 0)
		return -1;
	say(a, n, "done");
	return remember(a, e);
}

/* ---- limits ---- */

static const char *const limit_keys[] = { "rate_limit", "rx_limit", "tx_limit" };
enum { LIMIT_KEYS = sizeof(limit_keys) / sizeof(limit_keys[0]) };

/* What @entry says at @key, without the group. */
static json_t *numbers_of(const json_t *entry, const char *key)
{
	json_t *limit = json_deep_copy(json_object_get(entry, key));

	if (limit == NULL)
		limit = json_object();
	(void)json_object_del(limit, "group");
	return limit;
}

static int set_limits(const struct applying *a, const struct plan_entry *n, struct sill_err *e)
{
	json_t *entry = entry_of(a, n), *body = json_pack("{s:s}", "id", n->id);

	for (size_t i = 0; i < LIMIT_KEYS; i++)
		if ((n->kind == SILL_DEVICE_DISK) == (i == 0))
			(void)json_object_set_new(body, limit_keys[i],
						  numbers_of(entry, limit_keys[i]));
	json_decref(entry);
	if (put(a, "/sill.set-limit", body, e) < 0)
		return -1;
	say(a, n, "done");
	return remember(a, e);
}

/* The limit that @group has in the target, where it is one of disks, or of cards. NULL: it has none there. */
static json_t *group_limit(const struct applying *a, bool disks, const json_t *group)
{
	const json_t *list = json_object_get(a->manifest, disks ? "disk" : "net");

	for (size_t i = 0; i < json_array_size(list); i++)
		for (size_t k = 0; k < LIMIT_KEYS; k++) {
			const json_t *entry = json_array_get(list, i);
			const json_t *limit = json_object_get(entry, limit_keys[k]);

			if (json_equal(json_object_get(limit, "group"), group))
				return numbers_of(entry, limit_keys[k]);
		}
	return NULL;
}

/* @running has the limits that its groups have in the target. */
static int set_groups_of(const struct applying *a, bool disks, const json_t *running,
			 struct sill_err *e)
{
	for (size_t k = 0; k < LIMIT_KEYS; k++) {
		const json_t *limit = json_object_get(running, limit_keys[k]);
		const json_t *group = json_object_get(limit, "group");
		json_t *want = group != NULL ? group_limit(a, disks, group) : NULL;
		json_t *has = numbers_of(running, limit_keys[k]);
		int ret = 0;

		if (want != NULL && !json_equal(want, has))
			ret = put(a, "/sill.set-limit",
				  json_pack("{s:O,s:O}", "id", json_object_get(running, "id"),
					    limit_keys[k], want),
				  e);
		json_decref(want);
		json_decref(has);
		if (ret < 0)
			return -1;
	}
	return 0;
}

/* First: whoever comes into a group, or comes back, has the limit that the group has. */
static int set_groups(const struct applying *a, struct sill_err *e)
{
	for (unsigned disks = 0; disks < 2; disks++) {
		const json_t *list = json_object_get(a->before, disks ? "disk" : "net");

		for (size_t i = 0; i < json_array_size(list); i++)
			if (set_groups_of(a, disks, json_array_get(list, i), e) < 0)
				return -1;
	}
	return 0;
}

/* ---- what the guest does not see ---- */

static int set_word(const struct applying *a, const struct plan_entry *n, struct sill_err *e)
{
	const char *key = n->step == PLAN_READY ? "ready" : "restart";
	json_t *value = json_object_get(a->manifest, key), *none = json_array();
	json_t *body = json_pack("{s:O}", key, value != NULL ? value : none);

	json_decref(none);
	if (put(a, "/sill.set", body, e) < 0)
		return -1;
	say(a, n, "done");
	return remember(a, e);
}

/* ---- all of it ---- */

typedef int step_fn(const struct applying *a, const struct plan_entry *n, struct sill_err *e);

static int do_step(const struct applying *a, const struct plan *p, enum plan_step step, step_fn *fn,
		   struct sill_err *e)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].step == step && is_first(p, i) && fn(a, &p->list[i], e) < 0)
			return -1;
	return 0;
}

int apply_steps(const struct observed *o, const struct plan *p, const struct target *t,
		unsigned grace_s, struct sill_err *e)
{
	static const struct {
		enum plan_step step;
		step_fn *fn;
	} steps[] = {
		{ PLAN_PLUG, add_one },   { PLAN_VCPUS, resize },     { PLAN_MEMORY, resize },
		{ PLAN_BALLOON, resize }, { PLAN_LIMIT, set_limits }, { PLAN_LINK, set_link },
		{ PLAN_READY, set_word }, { PLAN_RESTART, set_word },
	};
	const struct call c = { .method = "GET", .target = "/sill.manifest" };
	json_t *manifest = emit_json(&t->mf->check, t->doc->root, EMIT_EFFECTIVE), *before = NULL;
	struct applying a = { &o->vm, t, manifest,
			      grace_s < APPLY_PATIENCE_S ? grace_s : APPLY_PATIENCE_S, NULL };
	int ret = manifest != NULL ? 0 : sill_err_sys(e, ENOMEM, "the manifest");

	if (ret == 0)
		ret = call_vm(a.vm, &c, &before, e);
	a.before = before;
	if (ret == 0)
		ret = set_groups(&a, e);
	if (ret == 0)
		ret = do_step(&a, p, PLAN_UNPLUG, remove_one, e);
	if (ret == 0)
		ret = replace(&a, p, e);
	for (size_t i = 0; ret == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		ret = do_step(&a, p, steps[i].step, steps[i].fn, e);
	json_decref(before);
	json_decref(manifest);
	return ret;
}

int apply_want(const struct observed *o, const struct target *t, struct sill_err *e)
{
	const struct rundir_vm *vm = &o->vm;
	json_t *record = record_read(vm);
	struct rundir d;
	int ret = 0;

	if (record == NULL)
		return 0;
	json_decref(record);
	/* So far it was what it was started from. */
	if (o->facts.remembered != NULL && observed_remember(vm, o->facts.remembered, e) < 0)
		return -1;
	if (rundir_reach(vm, &d, e) < 0)
		return -1;
	ret = record_want(&d, t, e);
	(void)close(d.fd);
	return ret;
}
