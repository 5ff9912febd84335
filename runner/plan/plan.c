/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - see plan.h. */
#include "runner/plan/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/json.h"

static const char asked[] = "the guest was asked, and has it still: it goes with its next reset",
		  ask[] = "the guest is asked; what it keeps goes with its next reset",
		  fixed[] = "it is fixed in its slot: the guest boots from it",
		  descriptors[] = "its descriptors are opened by who starts the VM: sill run",
		  windows[] = "Windows gives nothing of it up while it runs";

struct work {
	const struct sill_config *now, *want;
	const struct plan_facts *facts;
	struct plan *p;
};

static void judge(struct plan_entry *n, enum plan_effect effect, enum plan_step step,
		  const char *why)
{
	n->effect = effect;
	n->step = step;
	n->why = why;
}

/* ---- devices: "disk[data]", "disk[data].cache" ---- */

/* What comes behind the id; NULL: it is about no device. */
static const char *read_device(const char *path, struct plan_entry *n)
{
	const char *id, *end;

	if (strncmp(path, "disk[", 5) == 0)
		n->kind = SILL_DEVICE_DISK;
	else if (strncmp(path, "net[", 4) == 0)
		n->kind = SILL_DEVICE_NET;
	else
		return NULL;
	id = strchr(path, '[') + 1;
	end = strchr(id, ']');
	if (end == NULL || end - id >= PLAN_ID)
		return NULL;
	(void)snprintf(n->id, sizeof(n->id), "%.*s", (int)(end - id), id);
	n->device = true;
	return end + 1;
}

static bool is_whole(const struct plan_entry *n)
{
	return n->device && n->diff->path[strlen(n->diff->path) - 1] == ']' &&
	       strchr(n->diff->path, '.') == NULL;
}

static const struct sill_net_config *card(const struct sill_config *c, const char *id)
{
	for (unsigned i = 0; i < c->net_count; i++)
		if (c->net[i].id != NULL && strcmp(c->net[i].id, id) == 0)
			return &c->net[i];
	return NULL;
}

/* Descriptors that the caller has opened get into the process at its start alone. */
static bool lacks_descriptors(const struct work *w, const struct plan_entry *n)
{
	const struct sill_net_config *want = card(w->want, n->id);

	return n->kind == SILL_DEVICE_NET && want != NULL && want->fd_count > 0;
}

static void judge_whole(const struct work *w, struct plan_entry *n)
{
	if (n->diff->after == NULL && json_has_text(w->facts->leaving, n->id)) {
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, asked);
	} else if (n->diff->after == NULL && json_has_text(w->facts->fixed, n->id)) {
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, fixed);
	} else if (n->diff->after == NULL) {
		judge(n, PLAN_HOTPLUG, PLAN_UNPLUG, "the guest is asked to give it up");
	} else if (json_has_text(w->facts->leaving, n->id)) {
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS,
		      "the guest was asked for the old one, and has it still");
	} else if (lacks_descriptors(w, n)) {
		judge(n, PLAN_REFUSED, PLAN_WAITS, descriptors);
	} else {
		judge(n, PLAN_HOTPLUG, PLAN_PLUG, NULL);
	}
}

/* ".rx_limit.ops"; its group is what the device came with. */
static bool is_limit(const char *key)
{
	return strncmp(key, ".rate_limit", 11) == 0 || strncmp(key, ".rx_limit", 9) == 0 ||
	       strncmp(key, ".tx_limit", 9) == 0;
}

static bool is_group(const char *key)
{
	const char *dot = is_limit(key) ? strrchr(key, '.') : NULL;

	return dot != NULL && strcmp(dot, ".group") == 0;
}

/* Must the device @n is about be taken out for @key? The kernel has no limits: Sill must pass the frames. */
static bool takes_another(const struct work *w, const struct plan_entry *n, const struct key *row,
			  const char *key)
{
	return row->effect == EFFECT_HOTPLUG ||
	       (is_limit(key) && json_has_text(w->facts->vhost, n->id));
}

/* Does a key of the device differ that is @of_group, or else that it must be taken out for? */
static bool any_differs(const struct work *w, const struct plan_entry *n, bool of_group)
{
	for (size_t i = 0; i < w->p->diffs.count; i++) {
		struct plan_entry other = { .diff = &w->p->diffs.list[i] };
		const char *key = read_device(other.diff->path, &other);

		if (key != NULL && other.kind == n->kind && strcmp(other.id, n->id) == 0 &&
		    (of_group ? is_group(key) : takes_another(w, n, other.diff->row, key)))
			return true;
	}
	return false;
}

/* With a key that it must be taken out for, all of them come with the new one. */
static bool is_replugged(const struct work *w, const struct plan_entry *n)
{
	return !json_has_text(w->facts->fixed, n->id) && !json_has_text(w->facts->leaving, n->id) &&
	       !lacks_descriptors(w, n) && any_differs(w, n, false);
}

/* Can a limit of the device not change while it stays? It has one of its new group, or the kernel has none. */
static bool holds_limits(const struct work *w, const struct plan_entry *n)
{
	return json_has_text(w->facts->vhost, n->id) || any_differs(w, n, true);
}

static void judge_row(struct plan_entry *n)
{
	switch (n->diff->row->effect) {
	case EFFECT_RECREATE:
		judge(n, PLAN_RECREATE, PLAN_WAITS, NULL);
		break;
	case EFFECT_NEXT_BOOT:
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, NULL);
		break;
	case EFFECT_HOTPLUG:
	case EFFECT_LIVE:
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, "this is not done while it runs yet");
		break;
	}
}

/* @key: of the device; "": all of it. */
static void judge_device(const struct work *w, struct plan_entry *n, const char *key)
{
	if (is_whole(n))
		judge_whole(w, n);
	else if (is_replugged(w, n))
		judge(n, PLAN_HOTPLUG, PLAN_REPLUG,
		      "the guest is asked to give the old one up, and gets a new one");
	else if (n->kind == SILL_DEVICE_NET && strcmp(key, ".link") == 0)
		judge(n, PLAN_LIVE, PLAN_LINK, NULL);
	else if (is_limit(key) && !is_group(key) && !holds_limits(w, n))
		judge(n, PLAN_LIVE, PLAN_LIMIT, NULL);
	else if (json_has_text(w->facts->fixed, n->id))
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, fixed);
	else if (lacks_descriptors(w, n) && n->diff->row->effect == EFFECT_HOTPLUG)
		judge(n, PLAN_REFUSED, PLAN_WAITS, descriptors);
	else
		judge_row(n);
}

/* ---- sizes ---- */

static void judge_vcpus(const struct work *w, struct plan_entry *n)
{
	const unsigned now = w->now->cpus.boot, want = w->want->cpus.boot;

	if (want < now && w->facts->vcpus_asked == now - want)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, asked);
	else if (want > w->now->cpus.max)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, "it runs with fewer in cpus.max");
	else if (want > now)
		judge(n, PLAN_HOTPLUG, PLAN_VCPUS, NULL);
	else if (w->now->guest == SILL_GUEST_WINDOWS)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, windows);
	else
		judge(n, PLAN_HOTPLUG, PLAN_VCPUS, ask);
}

/* What it has had from the start is never given up. */
static void judge_memory(const struct work *w, struct plan_entry *n)
{
	const uint64_t now = w->now->memory.size, want = w->want->memory.size,
		       max = w->facts->memory_max, room = w->now->memory.hotplug_size,
		       start = max > room ? max - room : 0;

	if (w->now->memory.hotplugged_size != 0 || w->want->memory.hotplugged_size != 0)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, "with hotplugged_size it is what a start has");
	else if (want < now && w->facts->memory_asked == now - want)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, asked);
	else if (max == 0 || room == 0)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, "it runs without memory.hotplug_size");
	else if (want > max)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, "more than it may have, memory.hotplug_size");
	else if (want < start)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, "less than it was started with");
	else if ((want - start) % sill_memory_block(start) != 0)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, "it comes in larger pieces while it runs");
	else if (want > now)
		judge(n, PLAN_HOTPLUG, PLAN_MEMORY, NULL);
	else if (w->now->guest == SILL_GUEST_WINDOWS)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, windows);
	else
		judge(n, PLAN_HOTPLUG, PLAN_MEMORY, ask);
}

/* ---- all of them ---- */

/* Is one of them the other, or something in it? */
static bool is_within(const char *a, const char *b)
{
	const size_t x = strlen(a), y = strlen(b), n = x < y ? x : y;

	return strncmp(a, b, n) == 0 && (x == y || (x < y ? b : a)[n] == '.');
}

static void judge_any(const struct work *w, struct plan_entry *n)
{
	const char *path = n->diff->path, *key = read_device(path, n);

	if (key != NULL)
		judge_device(w, n, key);
	else if (strcmp(path, "cpus.boot") == 0)
		judge_vcpus(w, n);
	else if (strcmp(path, "memory.size") == 0)
		judge_memory(w, n);
	else if (strcmp(path, "balloon.size") == 0 && w->now->balloon.enabled &&
		 w->want->balloon.enabled)
		judge(n, PLAN_LIVE, PLAN_BALLOON, NULL);
	else if (is_within(path, "ready") || strncmp(path, "ready[", 6) == 0)
		judge(n, PLAN_LIVE, PLAN_READY, NULL);
	else if (strcmp(path, "restart") == 0)
		judge(n, PLAN_LIVE, PLAN_RESTART, NULL);
	else if (strcmp(path, "disk") == 0 || strcmp(path, "net") == 0)
		judge(n, PLAN_NEXT_BOOT, PLAN_WAITS, "the order counts at the start");
	else
		judge_row(n);
}

/* What the guest was asked for is on its way: nobody else has done it. */
static void find_drift(struct plan *p, const struct diffs *since, const json_t *leaving)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t j = 0; j < since->count && !json_has_text(leaving, p->list[i].id); j++)
			p->list[i].drift |= is_within(p->list[i].diff->path, since->list[j].path);
}

int plan_make(const struct sill_config *now, const struct sill_config *want,
	      const struct plan_facts *facts, struct plan *ret, struct sill_err *e)
{
	struct work w = { now, want, facts, ret };
	struct diffs since = { 0 };

	if (diff_make(now, want, &ret->diffs, e) < 0)
		return -1;
	if (facts->remembered != NULL && diff_make(facts->remembered, now, &since, e) < 0) {
		plan_fini(ret);
		return -1;
	}
	ret->list = calloc(ret->diffs.count + 1, sizeof(*ret->list));
	if (ret->list == NULL) {
		diff_free(&since);
		plan_fini(ret);
		return sill_err_sys(e, ENOMEM, "the plan");
	}
	for (; ret->count < ret->diffs.count; ret->count++) {
		ret->list[ret->count].diff = &ret->diffs.list[ret->count];
		judge_any(&w, &ret->list[ret->count]);
	}
	find_drift(ret, &since, facts->leaving);
	diff_free(&since);
	return 0;
}

void plan_fini(struct plan *p)
{
	diff_free(&p->diffs);
	free(p->list);
	*p = (struct plan){ 0 };
}

bool plan_knows(const char *path, const struct key *row)
{
	if (row->effect == EFFECT_LIVE)
		return strcmp(path, "balloon.size") == 0 || strcmp(path, "net.link") == 0 ||
		       strcmp(path, "restart") == 0 || is_within(path, "ready") ||
		       is_within(path, "disk.rate_limit") || is_within(path, "net.rx_limit") ||
		       is_within(path, "net.tx_limit");
	return row->effect != EFFECT_HOTPLUG || strncmp(path, "disk", 4) == 0 ||
	       strncmp(path, "net", 3) == 0 || strcmp(path, "cpus.boot") == 0 ||
	       strcmp(path, "memory.size") == 0;
}

size_t plan_count(const struct plan *p, enum plan_effect effect)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += p->list[i].effect == effect;
	return n;
}

bool plan_restarts(const struct plan *p)
{
	return plan_count(p, PLAN_NEXT_BOOT) + plan_count(p, PLAN_RECREATE) > 0;
}

const char *plan_effect_name(enum plan_effect effect)
{
	static const char *const names[] = {
		[PLAN_LIVE] = "live",           [PLAN_HOTPLUG] = "hotplug",
		[PLAN_NEXT_BOOT] = "next boot", [PLAN_RECREATE] = "recreate",
		[PLAN_REFUSED] = "refused",
	};

	return names[effect];
}

const char *plan_entry_how(const struct plan_entry *p)
{
	const struct key *row = p->diff->row;

	if (p->step == PLAN_REPLUG)
		return "replace";
	if (row->kind != KIND_LIST || row->item != NULL)
		return "set";
	return p->diff->before == NULL ? "add" : p->diff->after == NULL ? "remove" : "order";
}
