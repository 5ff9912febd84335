/* SPDX-License-Identifier: Apache-2.0 */
/* test_plan.c - what changes cost, how a plan reads, and that carrying it out leaves nothing but what waits. */
#include "kit.h"

#include <string.h>

#include "randvalue.h"
#include "runner/manifest/manifest.h"
#include "runner/plan/plan.h"
#include "runner/plan/print.h"

enum { TURNS = 2000 };

/* --- random values ------------------------------------------------------ */

/* Each device has an id of its own, some of them those of the other value. */
static void give_ids(struct sill_config *c)
{
	const unsigned first = (unsigned)rand_below(3);

	for (unsigned i = 0; i < c->disk_count; i++) {
		free(c->disk[i].id);
		assert_true(asprintf(&c->disk[i].id, "disk%u", first + i) > 0);
	}
	for (unsigned i = 0; i < c->net_count; i++) {
		free(c->net[i].id);
		assert_true(asprintf(&c->net[i].id, "net%u", first + i) > 0);
	}
}

static void rand_vm(struct sill_config *c)
{
	rand_map(&root_section, (char *)c);
	give_ids(c);
	c->cpus.max = (uint16_t)(2 + rand_below(6));
	c->cpus.boot = (uint16_t)(1 + rand_below(c->cpus.max));
	c->memory.size = (8 + rand_below(8)) << 27;
	c->memory.hotplug_size = rand_below(4) == 0 ? 0 : 4ull << 30;
}

/* Half of the pairs differ in a few keys only. */
static void rand_pair(struct sill_config *a, struct sill_config *b)
{
	struct sill_err e = { 0 };

	rand_vm(a);
	if (rand_below(2) == 0) {
		rand_vm(b);
		return;
	}
	assert_int_equal(sill_config_copy(b, a, &e), 0);
	b->cpus.boot = (uint16_t)(1 + rand_below(a->cpus.max));
	b->memory.size = a->memory.size + (rand_below(3) << 27);
	for (unsigned i = 0; i < b->disk_count; i++)
		b->disk[i].readonly = rand_below(4) == 0;
	give_ids(b);
}

/* --- carrying it out ---------------------------------------------------- */

static bool has_step(const struct plan *p, enum sill_device_kind kind, const char *id,
		     enum plan_step step)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].device && p->list[i].kind == kind && p->list[i].step == step &&
		    strcmp(p->list[i].id, id) == 0)
			return true;
	return false;
}

static bool has_any(const struct plan *p, enum plan_step step)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].step == step)
			return true;
	return false;
}

/* Those of @nets whose cable is plugged in, or pulled. */
static void pull_cables(const struct plan *p, const struct sill_config *want,
			struct sill_net_config *nets, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < want->net_count; j++)
			if (strcmp(nets[i].id, want->net[j].id) == 0 &&
			    has_step(p, SILL_DEVICE_NET, nets[i].id, PLAN_LINK))
				nets[i].link = want->net[j].link;
}

/* Numbers, not the group. */
static void set_limit(struct sill_rate_limit *to, const struct sill_rate_limit *from)
{
	char *group = to->group;

	*to = *from;
	to->group = group;
}

static void set_limits(const struct plan *p, const struct sill_config *want, struct sill_config *c)
{
	for (unsigned i = 0; i < c->disk_count; i++)
		for (unsigned j = 0; j < want->disk_count; j++)
			if (strcmp(c->disk[i].id, want->disk[j].id) == 0 &&
			    has_step(p, SILL_DEVICE_DISK, c->disk[i].id, PLAN_LIMIT))
				set_limit(&c->disk[i].rate_limit, &want->disk[j].rate_limit);
	for (unsigned i = 0; i < c->net_count; i++)
		for (unsigned j = 0; j < want->net_count; j++) {
			if (strcmp(c->net[i].id, want->net[j].id) != 0 ||
			    !has_step(p, SILL_DEVICE_NET, c->net[i].id, PLAN_LIMIT))
				continue;
			set_limit(&c->net[i].rx_limit, &want->net[j].rx_limit);
			set_limit(&c->net[i].tx_limit, &want->net[j].tx_limit);
		}
}

/* What the engine would run then: devices that go, then those that come, in the order of the file. */
static void carry_out(const struct plan *p, const struct sill_config *now,
		      const struct sill_config *want, struct sill_config *ret)
{
	struct sill_disk_config disks[2 * SILL_MAX_DISKS];
	struct sill_net_config nets[2 * SILL_MAX_NETS];
	struct sill_config c = *now;
	struct sill_err e = { 0 };

	c.disk = disks;
	c.net = nets;
	c.disk_count = c.net_count = 0;
	for (unsigned i = 0; i < now->disk_count; i++)
		if (!has_step(p, SILL_DEVICE_DISK, now->disk[i].id, PLAN_UNPLUG) &&
		    !has_step(p, SILL_DEVICE_DISK, now->disk[i].id, PLAN_REPLUG))
			disks[c.disk_count++] = now->disk[i];
	for (unsigned i = 0; i < want->disk_count; i++)
		if (has_step(p, SILL_DEVICE_DISK, want->disk[i].id, PLAN_PLUG) ||
		    has_step(p, SILL_DEVICE_DISK, want->disk[i].id, PLAN_REPLUG))
			disks[c.disk_count++] = want->disk[i];
	for (unsigned i = 0; i < now->net_count; i++)
		if (!has_step(p, SILL_DEVICE_NET, now->net[i].id, PLAN_UNPLUG) &&
		    !has_step(p, SILL_DEVICE_NET, now->net[i].id, PLAN_REPLUG))
			nets[c.net_count++] = now->net[i];
	pull_cables(p, want, nets, c.net_count);
	set_limits(p, want, &c);
	for (unsigned i = 0; i < want->net_count; i++)
		if (has_step(p, SILL_DEVICE_NET, want->net[i].id, PLAN_PLUG) ||
		    has_step(p, SILL_DEVICE_NET, want->net[i].id, PLAN_REPLUG))
			nets[c.net_count++] = want->net[i];
	if (has_any(p, PLAN_VCPUS))
		c.cpus.boot = want->cpus.boot;
	if (has_any(p, PLAN_MEMORY))
		c.memory.size = want->memory.size;
	if (has_any(p, PLAN_BALLOON))
		c.balloon.size = want->balloon.size;
	if (has_any(p, PLAN_RESTART))
		c.restart = want->restart;
	if (has_any(p, PLAN_READY)) {
		c.ready = want->ready;
		c.ready_count = want->ready_count;
	}
	assert_int_equal(sill_config_copy(ret, &c, &e), 0);
}

/* All that waited waits still, and nothing else is left: but an order that only a start can have. */
static void assert_waits(const struct plan *before, const struct plan *after)
{
	size_t waited = 0, waits = 0;

	for (size_t i = 0; i < before->count; i++)
		waited += before->list[i].step == PLAN_WAITS &&
			  before->list[i].diff->path[0] != '\0' &&
			  strcmp(plan_entry_how(&before->list[i]), "order") != 0;
	for (size_t i = 0; i < after->count; i++) {
		const struct plan_entry *n = &after->list[i];

		if (n->step != PLAN_WAITS)
			fail_msg("%s: still to be done: %s -> %s", n->diff->path,
				 n->diff->before != NULL ? n->diff->before : "none",
				 n->diff->after != NULL ? n->diff->after : "none");
		assert_true(n->effect != PLAN_LIVE && n->effect != PLAN_HOTPLUG);
		waits += strcmp(plan_entry_how(n), "order") != 0;
	}
	assert_int_equal(waited, waits);
}

static void plan__carried_out_leaves_what_waits(void **state)
{
	unsigned steps = 0, empty = 0;

	(void)state;
	for (unsigned i = 0; i < TURNS; i++) {
		struct sill_config a = { 0 }, b = { 0 }, then = { 0 };
		struct plan p = { 0 }, again = { 0 };
		struct plan_facts facts = { 0 };
		struct sill_err e = { 0 };

		rand_pair(&a, &b);
		facts.memory_max = a.memory.size + a.memory.hotplug_size;
		assert_int_equal(plan_make(&a, &b, &facts, &p, &e), 0);
		carry_out(&p, &a, &b, &then);
		assert_int_equal(plan_make(&then, &b, &facts, &again, &e), 0);
		assert_waits(&p, &again);
		steps += (unsigned)(p.count - again.count);
		empty += again.count == 0;
		plan_fini(&p);
		plan_fini(&again);
		sill_config_free(&a);
		sill_config_free(&b);
		sill_config_free(&then);
	}
	assert_true(steps > TURNS / 4 && empty > 0);
}

/* --- what is said ------------------------------------------------------- */

static const char running[] = "sill: 1\n"
			      "name: web\n"
			      "kernel: /boot/vmlinuz\n"
			      "guest: %s\n"
			      "cpus: {boot: 4, max: 8}\n"
			      "memory: {size: 2G, hotplug_size: 2G}\n"
			      "disk:\n"
			      "  - {id: root, path: /srv/root.img, format: raw}\n"
			      "  - {id: old, path: /srv/old.img, format: raw}\n"
			      "net:\n"
			      "  - {id: lan, tap: t0, mac: '02:00:5e:10:00:01'}\n";

struct fixture {
	struct mfile *a, *b;
	json_t *fixed;
	struct plan_facts facts;
	struct plan p;
};

static void setup(struct fixture *f, const char *guest, const char *want)
{
	char *text;
	struct sill_err e = { 0 };

	*f = (struct fixture){ .facts = { .memory_max = 4ull << 30 } };
	assert_true(asprintf(&text, running, guest) > 0);
	f->a = mfile_load_text("running.yaml", text, strlen(text), NULL);
	free(text);
	assert_true(asprintf(&text, "%s", want) > 0);
	f->b = mfile_load_text("web.yaml", text, strlen(text), NULL);
	free(text);
	assert_int_equal(f->a->diags.total, 0);
	assert_int_equal(f->b->diags.total, 0);
	f->fixed = strcmp(guest, "windows") == 0 ? json_pack("[s]", "root") : NULL;
	f->facts.fixed = f->fixed;
	assert_int_equal(plan_make(f->a->docs[0].m, f->b->docs[0].m, &f->facts, &f->p, &e), 0);
}

static void teardown(struct fixture *f)
{
	plan_fini(&f->p);
	json_decref(f->fixed);
	mfile_destroy(f->a);
	mfile_destroy(f->b);
}

static void assert_prints(const struct fixture *f, const char *want)
{
	const struct target t = { .mf = f->b, .doc = &f->b->docs[0], .file = "/srv/web.yaml" };
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	plan_print(out,
		   &(struct plan_vm){ .name = "web",
				      .target = &t,
				      .action = f->p.count > 0 ? PLAN_CHANGE : PLAN_NOTHING,
				      .plan = &f->p },
		   false);
	(void)fclose(out);
	assert_string_equal(text, want);
	free(text);
}

static void plan_print__says_each_with_its_place_and_cost(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "linux",
	      "sill: 1\n"
	      "name: web\n"
	      "kernel: /boot/vmlinuz\n"
	      "guest: linux\n"
	      "cpus: {boot: 6, max: 8}\n"
	      "memory:\n"
	      "  size: 3G\n"
	      "  hotplug_size: 2G\n"
	      "disk:\n"
	      "  - {id: root, path: /srv/root.img, format: raw, cache: writethrough}\n"
	      "net:\n"
	      "  - id: lan\n"
	      "    tap: t1\n"
	      "    mac: '02:00:5e:10:00:01'\n"
	      "    queues: 2\n");
	assert_prints(
		&f,
		"web: 6 changes\n"
		"  ~ web.yaml:5: cpus.boot: 4 -> 6\n"
		"      hotplug\n"
		"  ~ web.yaml:7: memory.size: 2G -> 3G\n"
		"      hotplug\n"
		"  ~ web.yaml:10: disk[root].cache: writeback -> writethrough\n"
		"      next boot\n"
		"  - web.yaml:9: disk[old]: {path: /srv/old.img, format: raw, readonly: off, "
		"ephemeral: off, cache: writeback, discard: unmap, queues: 1, queue_...\n"
		"      hotplug: the guest is asked to give it up\n"
		"  ~ web.yaml:13: net[lan].tap: t0 -> t1\n"
		"      hotplug: the guest is asked to give the old one up, and gets a new one\n"
		"  ~ web.yaml:15: net[lan].queues: 1 -> 2\n"
		"      hotplug: the guest is asked to give the old one up, and gets a new one\n");
	teardown(&f);
}

static const char limited[] =
	"sill: 1\n"
	"name: web\n"
	"kernel: /boot/vmlinuz\n"
	"guest: linux\n"
	"cpus: {boot: 4, max: 8}\n"
	"memory: {size: 2G, hotplug_size: 2G}\n"
	"disk:\n"
	"  - {id: root, path: /srv/root.img, format: raw, rate_limit: {ops: 5}}\n"
	"  - {id: old, path: /srv/old.img, format: raw}\n"
	"net:\n"
	"  - {id: lan, tap: t0, mac: '02:00:5e:10:00:01', tx_limit: {ops: 7}}\n";

/* Limits change while the device stays; what the kernel passes has to come to us first. */
static void plan__changes_limits_of_what_stays(void **state)
{
	struct fixture f;
	struct sill_err e = { 0 };
	json_t *vhost = json_pack("[s]", "lan");

	(void)state;
	setup(&f, "linux", limited);
	assert_prints(&f, "web: 2 changes\n"
			  "  ~ web.yaml:8: disk[root].rate_limit.ops: none -> 5\n"
			  "      live\n"
			  "  ~ web.yaml:11: net[lan].tx_limit.ops: none -> 7\n"
			  "      live\n");
	assert_int_equal(f.p.list[0].step, PLAN_LIMIT);
	assert_int_equal(f.p.list[1].step, PLAN_LIMIT);
	plan_fini(&f.p);
	f.facts.vhost = vhost;
	assert_int_equal(plan_make(f.a->docs[0].m, f.b->docs[0].m, &f.facts, &f.p, &e), 0);
	assert_int_equal(f.p.list[0].step, PLAN_LIMIT);
	assert_int_equal(f.p.list[1].step, PLAN_REPLUG);
	json_decref(vhost);
	teardown(&f);
}

/* What the host does beside a card comes and goes with it. */
static void plan__plugs_what_the_host_has_to_do_more_for(void **state)
{
	struct fixture f;
	unsigned count = 0;

	(void)state;
	setup(&f, "linux",
	      "sill: 1\n"
	      "name: web\n"
	      "kernel: /boot/vmlinuz\n"
	      "guest: linux\n"
	      "cpus: {boot: 4, max: 8}\n"
	      "memory: {size: 2G, hotplug_size: 2G}\n"
	      "disk:\n"
	      "  - {id: root, path: /srv/root.img, format: raw}\n"
	      "  - {id: old, path: /srv/old.img, format: raw, readonly: on}\n"
	      "net:\n"
	      "  - {id: lan, tap: t1, mac: '02:00:5e:10:00:01', isolate: on}\n"
	      "  - {id: more, tap: '', nat: on}\n");
	for (size_t i = 0; i < f.p.count; i++)
		if (f.p.list[i].device && f.p.list[i].kind == SILL_DEVICE_NET) {
			assert_int_equal(f.p.list[i].effect, PLAN_HOTPLUG);
			assert_int_equal(f.p.list[i].step, strcmp(f.p.list[i].id, "more") == 0
								   ? PLAN_PLUG
								   : PLAN_REPLUG);
			count++;
		}
	assert_true(count >= 2);
	assert_false(plan_restarts(&f.p));
	teardown(&f);
}

static void plan__pulls_a_cable_live(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "linux",
	      "sill: 1\n"
	      "name: web\n"
	      "kernel: /boot/vmlinuz\n"
	      "guest: linux\n"
	      "cpus: {boot: 4, max: 8}\n"
	      "memory: {size: 2G, hotplug_size: 2G}\n"
	      "disk:\n"
	      "  - {id: root, path: /srv/root.img, format: raw}\n"
	      "  - {id: old, path: /srv/old.img, format: raw, readonly: on}\n"
	      "net:\n"
	      "  - {id: lan, tap: t0, mac: '02:00:5e:10:00:01', link: down}\n");
	for (size_t i = 0; i < f.p.count; i++)
		if (f.p.list[i].device && f.p.list[i].kind == SILL_DEVICE_NET) {
			assert_string_equal(f.p.list[i].diff->path, "net[lan].link");
			assert_int_equal(f.p.list[i].effect, PLAN_LIVE);
			assert_int_equal(f.p.list[i].step, PLAN_LINK);
			teardown(&f);
			return;
		}
	fail_msg("no difference");
}

static void plan_print__of_windows_knows_what_it_never_gives_up(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "windows",
	      "sill: 1\n"
	      "name: web\n"
	      "kernel: /boot/vmlinuz\n"
	      "guest: windows\n"
	      "cpus: {boot: 2, max: 8}\n"
	      "memory: {size: 1G, hotplug_size: 2G}\n"
	      "disk:\n"
	      "  - {id: root, path: /srv/other.img, format: raw}\n"
	      "  - {id: old, path: /srv/old.img, format: raw}\n"
	      "net:\n"
	      "  - {id: lan, tap: t0, mac: '02:00:5e:10:00:01'}\n");
	assert_prints(&f, "web: 3 changes\n"
			  "  ~ web.yaml:5: cpus.boot: 4 -> 2\n"
			  "      next boot: Windows gives nothing of it up while it runs\n"
			  "  ~ web.yaml:6: memory.size: 2G -> 1G\n"
			  "      next boot: less than it was started with\n"
			  "  ~ web.yaml:8: disk[root].path: /srv/root.img -> /srv/other.img\n"
			  "      next boot: it is fixed in its slot: the guest boots from it\n");
	assert_true(plan_restarts(&f.p));
	teardown(&f);
}

static const struct plan_entry *entry(const struct plan *p, const char *path)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->list[i].diff->path, path) == 0)
			return &p->list[i];
	fail_msg("no %s", path);
	return NULL;
}

static void plan__knows_what_is_pending(void **state)
{
	struct sill_config a, b;
	struct sill_err e = { 0 };
	struct fixture f;
	struct plan p = { 0 };
	json_t *leaving = json_pack("[s]", "new");
	struct plan_facts facts = { .vcpus_asked = 2,
				    .memory_asked = 1ull << 30,
				    .memory_max = 4ull << 30,
				    .leaving = leaving };

	(void)state;
	setup(&f, "linux",
	      "sill: 1\nname: web\nkernel: /boot/vmlinuz\nguest: linux\n"
	      "cpus: {boot: 2, max: 8}\nmemory: {size: 2G, hotplug_size: 2G}\n"
	      "disk: [{id: new, path: /srv/new.img, format: raw}]\n");
	assert_int_equal(sill_config_copy(&a, f.a->docs[0].m, &e), 0);
	assert_int_equal(sill_config_copy(&b, f.b->docs[0].m, &e), 0);
	a.memory.size = 3ull << 30;
	assert_int_equal(plan_make(&a, &b, &facts, &p, &e), 0);
	assert_int_equal(entry(&p, "cpus.boot")->step, PLAN_WAITS);
	assert_int_equal(entry(&p, "cpus.boot")->effect, PLAN_NEXT_BOOT);
	assert_int_equal(entry(&p, "memory.size")->step, PLAN_WAITS);
	assert_int_equal(entry(&p, "disk[new]")->effect, PLAN_NEXT_BOOT);
	plan_fini(&p);
	facts.vcpus_asked = 1;
	facts.memory_asked = 0;
	facts.leaving = NULL;
	assert_int_equal(plan_make(&a, &b, &facts, &p, &e), 0);
	assert_int_equal(entry(&p, "cpus.boot")->step, PLAN_VCPUS);
	assert_int_equal(entry(&p, "memory.size")->step, PLAN_MEMORY);
	assert_int_equal(entry(&p, "disk[new]")->step, PLAN_PLUG);
	plan_fini(&p);
	sill_config_free(&a);
	sill_config_free(&b);
	json_decref(leaving);
	teardown(&f);
}

static void plan__tells_drift(void **state)
{
	struct sill_config then;
	struct sill_err e = { 0 };
	struct fixture f;
	struct plan p = { 0 };
	struct plan_facts facts = { .memory_max = 4ull << 30, .remembered = &then };

	(void)state;
	setup(&f, "linux",
	      "sill: 1\nname: web\nkernel: /boot/vmlinuz\nguest: linux\n"
	      "cpus: {boot: 2, max: 8}\nmemory: {size: 3G, hotplug_size: 2G}\n");
	assert_int_equal(sill_config_copy(&then, f.a->docs[0].m, &e), 0);
	then.cpus.boot = 2;
	assert_int_equal(plan_make(f.a->docs[0].m, f.b->docs[0].m, &facts, &p, &e), 0);
	assert_true(entry(&p, "cpus.boot")->drift);
	assert_false(entry(&p, "memory.size")->drift);
	assert_false(entry(&p, "disk[root]")->drift);
	plan_fini(&p);
	sill_config_free(&then);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan__carried_out_leaves_what_waits),
		cmocka_unit_test(plan_print__says_each_with_its_place_and_cost),
		cmocka_unit_test(plan__changes_limits_of_what_stays),
		cmocka_unit_test(plan__plugs_what_the_host_has_to_do_more_for),
		cmocka_unit_test(plan__pulls_a_cable_live),
		cmocka_unit_test(plan_print__of_windows_knows_what_it_never_gives_up),
		cmocka_unit_test(plan__knows_what_is_pending),
		cmocka_unit_test(plan__tells_drift),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
