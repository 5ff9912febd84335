/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c - what one key asks of another, and what all of them ask of the host's CPU.
 *
 * Each rule is a function in the table at the end. A rule is silent when a
 * value it needs is missing or wrong: that has been said.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/un.h>

#include "runner/manifest/check.h"
#include "runner/manifest/scalar.h"
#include "runner/report/text.h"
#include "sill/config.h"
#include "sill/hyperv.h"

static const uint64_t PAGE = 4096;

/* The value at @path, when it is right. */
static bool get(const struct node *root, const char *path, uint64_t *ret_v)
{
	const struct node *n = node_ok(root, path);

	if (n == NULL)
		return false;
	*ret_v = n->num;
	return true;
}

static bool is_on(const struct node *root, const char *path)
{
	uint64_t v;

	return get(root, path, &v) && v != 0;
}

static void rule_boot(struct check *c, const struct node *root)
{
	const struct node *kernel = node_at(root, "kernel");
	const struct node *firmware = node_at(root, "firmware");
	const struct node *code = node_at(root, "firmware.code");
	struct diag *g;

	if (kernel != NULL && code != NULL) {
		g = check_fail_key(c, kernel,
				   "a VM starts from a kernel or from firmware, not both");
		diag_other(g, code->key_at, "the firmware");
		diag_hint(g, "remove one of them");
	}
	/* With an unknown key around, it may be the one that is missing. */
	if (kernel == NULL && code == NULL && root->ok &&
	    (firmware == NULL || firmware->count == 0)) {
		g = diag_add(c->d, firmware != NULL ? firmware->key_at : root->keys[0]->at, "",
			     "nothing to start from: neither firmware.code nor kernel");
		diag_hint(g, "add 'firmware: {code: /usr/share/OVMF/OVMF_CODE_4M.fd, vars: "
			     "NAME.vars.fd}'");
	}
}

static void rule_kernel_only(struct check *c, const struct node *root)
{
	static const char *const keys[] = { "initramfs", "cmdline" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct node *n = node_at(root, keys[i]);

		if (n != NULL && node_at(root, "kernel") == NULL && root->ok)
			diag_hint(check_fail_key(c, n, "means something only with kernel"),
				  "add 'kernel: ...', or remove it");
	}
}

static void rule_vars(struct check *c, const struct node *root)
{
	const struct node *vars = node_at(root, "firmware.vars");
	const struct node *firmware = node_at(root, "firmware");

	if (vars != NULL && node_at(root, "firmware.code") == NULL && firmware->ok)
		diag_hint(check_fail_key(c, vars, "variables without firmware.code"),
			  "add 'code: /usr/share/OVMF/OVMF_CODE_4M.fd', or remove it");
}

static void rule_boot_max(struct check *c, const struct node *root)
{
	const struct node *boot = node_ok(root, "cpus.boot"), *max = node_ok(root, "cpus.max");
	struct diag *g;

	if (boot == NULL || max == NULL || boot->num <= max->num)
		return;
	g = check_fail(c, boot, "%" PRIu64 " vCPUs at the start, but cpus.max is %" PRIu64,
		       boot->num, max->num);
	diag_other(g, max->at, "the maximum");
	diag_hint(g, "raise max or lower boot");
}

static const char *const levels[] = { "threads_per_core", "cores_per_die", "dies_per_package",
				      "packages" };

/* An APIC id has a field of whole bits for each level, so that 3 cores take the room of 4. */
static void check_apic_ids(struct check *c, const struct node *topology, uint64_t vcpus)
{
	uint64_t last = 0;
	unsigned shift = 0;

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		uint64_t n = node_find(topology, levels[i])->num;

		last |= (n - 1) << shift;
		for (uint64_t room = 1; room < n; room *= 2)
			shift++;
	}
	if (last > SILL_MAX_CPUS)
		diag_hint(check_fail_key(c, topology,
					 "the last of its %" PRIu64
					 " vCPUs would have APIC id %" PRIu64 ": at most %u",
					 vcpus, last, SILL_MAX_CPUS),
			  "each number takes the room of the next power of two; make them powers "
			  "of two");
}

static void rule_topology(struct check *c, const struct node *root)
{
	const struct node *topology = node_ok(root, "cpus.topology"),
			  *max = node_ok(root, "cpus.max");
	uint64_t product = 1;
	struct diag *g;

	if (topology == NULL || max == NULL)
		return;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		product *= node_find(topology, levels[i])->num; /* at most 254^4 */
	if (product == max->num) {
		check_apic_ids(c, topology, product);
		return;
	}
	g = check_fail_key(c, topology,
			   "%" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64 " is %" PRIu64
			   " vCPUs, but cpus.max is %" PRIu64,
			   node_find(topology, levels[0])->num, node_find(topology, levels[1])->num,
			   node_find(topology, levels[2])->num, node_find(topology, levels[3])->num,
			   product, max->num);
	if (max->implied)
		diag_hint(g, "cpus.max is %s here because cpus.boot is; add 'max: %" PRIu64 "'",
			  max->text, product);
	else
		diag_other(g, max->at, "the maximum");
}

const struct node *hyperv_missing(const struct node *map, unsigned feature)
{
	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		const struct node *n = node_ok(map, sill_hv_features[f].name);

		if ((sill_hv_features[feature].needs & (1u << f)) != 0 && n != NULL && n->num == 0)
			return n;
	}
	return NULL;
}

/* What is written in cpus.hyperv, while cpus.kvm_hyperv is off. */
static void check_hyperv_off(struct check *c, const struct node *map, const struct node *all)
{
	size_t last = map->count > 0 ? map->count : 1;

	for (size_t i = 0; i < last; i++) {
		const struct node *n = map->count > 0 ? map->items[i] : map;
		struct diag *g = check_fail_key(c, n, "means something only with kvm_hyperv: on");

		if (all->implied)
			diag_hint(g, "kvm_hyperv is off by default here; add 'kvm_hyperv: on'");
		else
			diag_other(g, all->at, "it is off");
	}
}

static void rule_hyperv(struct check *c, const struct node *root)
{
	const struct node *map = node_ok(root, "cpus.hyperv");
	const struct node *all = node_ok(root, "cpus.kvm_hyperv");
	const struct node *spins, *lock;

	if (map == NULL || all == NULL)
		return;
	if (all->num == 0) {
		check_hyperv_off(c, map, all);
		return;
	}
	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		const struct node *n = node_find(map, sill_hv_features[f].name);
		const struct node *off = hyperv_missing(map, f);

		if (n == NULL || n->num == 0 || off == NULL)
			continue;
		diag_other(check_fail(c, n, "needs %s, which is off", off->row->field.key), off->at,
			   off->implied ? "off by default" : "it is off here");
	}
	spins = node_find(map, "spin_retries");
	lock = node_find(map, "spinlocks");
	if (spins != NULL && lock != NULL && lock->num == 0)
		diag_other(check_fail_key(c, spins, "means something only with spinlocks: on"),
			   lock->at, "it is off");
}

/* The entry of @list that says @name, before entry @end. */
static const struct node *find_name(const struct node *list, const char *name, size_t end)
{
	for (size_t i = 0; list != NULL && i < list->count && i < end; i++) {
		if (strcmp(list->items[i]->text, name) == 0)
			return list->items[i];
	}
	return NULL;
}

static void check_features(struct check *c, const struct node *list, const struct node *other)
{
	for (size_t i = 0; list != NULL && i < list->count; i++) {
		const struct node *n = list->items[i];
		const struct node *twice = find_name(list, n->text, i);
		const struct node *both = find_name(other, n->text, SIZE_MAX);

		if (strcmp(n->text, "vmx") == 0 || strcmp(n->text, "svm") == 0)
			diag_hint(check_fail(c, n, "'%s' is switched by cpus.nested", n->text),
				  "write 'nested: on' or 'nested: off' in cpus");
		else if (twice != NULL)
			diag_other(check_fail(c, n, "'%s' is there twice", n->text), twice->at,
				   "the other one");
		else if (both != NULL)
			diag_other(check_fail(c, n, "'%s' is both added and removed", n->text),
				   both->at, "the other one");
	}
}

static void rule_features(struct check *c, const struct node *root)
{
	const struct node *add = node_ok(root, "cpus.features.add");
	const struct node *remove = node_ok(root, "cpus.features.remove");

	check_features(c, add, NULL);
	check_features(c, remove, add);
}

void check_host_cpus(struct check *c, const struct node *list)
{
	for (size_t i = 0; list != NULL && i < list->count; i++) {
		const struct node *n = list->items[i];

		for (size_t j = 0; j < i; j++) {
			if (list->items[j]->num == n->num)
				diag_other(check_fail(c, n, "host CPU %" PRIu64 " is there twice",
						      n->num),
					   list->items[j]->at, "the other one");
		}
		if (c->host != NULL && c->host->cpus != 0 && n->num >= c->host->cpus)
			diag_hint(check_fail(c, n, "this host has no CPU %" PRIu64, n->num),
				  "it has CPUs 0 to %u", c->host->cpus - 1);
	}
}

static void rule_affinity(struct check *c, const struct node *root)
{
	const struct node *list = node_at(root, "cpus.affinity"), *max = node_ok(root, "cpus.max");

	if (list == NULL || list->type != NODE_LIST)
		return;
	for (size_t i = 0; i < list->count; i++) {
		const struct node *vcpu = node_ok(list->items[i], "vcpu");

		check_host_cpus(c, node_ok(list->items[i], "host_cpus"));
		if (vcpu == NULL)
			continue;
		if (max != NULL && vcpu->num >= max->num)
			diag_hint(check_fail(c, vcpu, "there is no vCPU %" PRIu64, vcpu->num),
				  "with cpus.max %" PRIu64 " they are 0 to %" PRIu64, max->num,
				  max->num - 1);
		for (size_t j = 0; j < i; j++) {
			const struct node *other = node_ok(list->items[j], "vcpu");

			if (other != NULL && other->num == vcpu->num)
				diag_other(check_fail(c, vcpu, "vCPU %" PRIu64 " is there twice",
						      vcpu->num),
					   other->at, "the other one");
		}
	}
}

/* No two disks with the same value of @key. */
static void unique(struct check *c, const struct node *list, const char *key)
{
	char buf[TEXT_SHORT];

	for (size_t i = 0; i < list->count; i++) {
		const struct node *a = node_ok(list->items[i], key);

		for (size_t j = 0; a != NULL && j < i; j++) {
			const struct node *b = node_ok(list->items[j], key);
			/* The written one is to blame, not the default. */
			const struct node *blame = a->implied && b != NULL ? b : a;
			struct diag *g;

			/* Two defaults are alike when what they are made from is. */
			if (b == NULL || (a->implied && b->implied) ||
			    (a->row->kind == KIND_UINT ? a->num != b->num
						       : strcmp(a->text, b->text) != 0))
				continue;
			g = check_fail(c, blame, "%s has the %s '%s' too",
				       blame == a ? list->items[j]->path : list->items[i]->path,
				       key, text_clean(buf, sizeof(buf), a->text, a->len));
			diag_other(g, blame == a ? b->at : a->at, "that one");
			break;
		}
	}
}

static void rule_disks(struct check *c, const struct node *root)
{
	const struct node *list = node_at(root, "disk");

	if (list == NULL || list->type != NODE_LIST)
		return;
	unique(c, list, "id");
	unique(c, list, "serial");
	unique(c, list, "slot");
}

static void rule_memory(struct check *c, const struct node *root)
{
	const struct node *size = node_ok(root, "memory.size");
	const struct node *page = node_ok(root, "memory.hugepage_size");
	const struct node *thp = node_ok(root, "memory.thp");
	bool huge = is_on(root, "memory.hugepages");
	uint64_t unit = PAGE;
	char text[32];

	if (huge && page != NULL && (page->num & (page->num - 1)) != 0)
		return; /* rule_hugepage_size() has said it */
	if (huge && page != NULL)
		unit = page->num;
	else if (huge && c->host != NULL && c->host->hugepage_default != 0)
		unit = c->host->hugepage_default;
	if (size != NULL && size->num % unit != 0)
		diag_hint(check_fail(c, size, "'%s' is not a multiple of %s", size->text,
				     scalar_size_text(text, sizeof(text), unit)),
			  huge ? "with hugepages: on, memory comes in pages of that size"
			       : "memory comes in pages of that size");
	if (page != NULL && !huge && node_ok(root, "memory.hugepages") != NULL)
		diag_hint(check_fail_key(c, page, "means something only with hugepages: on"),
			  "add 'hugepages: on', or remove it");
	if (huge && thp != NULL && thp->num != 0)
		diag_hint(check_fail(c, thp, "transparent huge pages together with hugepages: on"),
			  "remove one of them: reserved huge pages are huge already");
}

static void rule_hugepage_size(struct check *c, const struct node *root)
{
	const struct node *page = node_ok(root, "memory.hugepage_size");
	char sizes[128] = "", text[32];
	size_t used = 0;
	struct diag *g;

	if (page == NULL)
		return;
	if ((page->num & (page->num - 1)) != 0) {
		diag_hint(check_fail(c, page, "'%s' is not a power of two", page->text),
			  "x86 has 2M and 1G");
		return;
	}
	if (c->host == NULL)
		return;
	for (size_t i = 0; i < c->host->hugepage_count; i++) {
		if (c->host->hugepage_sizes[i] == page->num)
			return;
		if (used < sizeof(sizes))
			used += (size_t)snprintf(
				sizes + used, sizeof(sizes) - used, "%s%s", used > 0 ? ", " : "",
				scalar_size_text(text, sizeof(text), c->host->hugepage_sizes[i]));
	}
	g = check_fail(c, page, "this host has no huge pages of '%s'", page->text);
	diag_hint(g, "it has: %s", used > 0 ? sizes : "none");
}

static void rule_firmware_memory(struct check *c, const struct node *root)
{
	const struct node *size = node_ok(root, "memory.size");

	if (size != NULL && node_ok(root, "firmware.code") != NULL && size->num < 64ull << 20)
		diag_hint(check_fail(c, size, "'%s' is too little for UEFI firmware", size->text),
			  "at least 64M");
}

static void check_char_path(struct check *c, const struct node *root, const char *section)
{
	const struct node *s = node_at(root, section);
	const struct node *mode = node_ok(s, "mode"), *path = node_find(s, "path");
	bool needed =
		mode != NULL && (mode->num == SILL_CHAR_FILE || mode->num == SILL_CHAR_SOCKET);
	const struct node *limit = node_find(s, "limit");
	const char *abs;

	if (mode == NULL)
		return;
	if (limit != NULL && !limit->implied && mode->num != SILL_CHAR_FILE)
		diag_other(check_fail_key(c, limit, "mode %s has no limit: only a file grows",
					  mode->text),
			   mode->at, mode->implied ? "mode is %s by default" : "the mode",
			   mode->text);
	if (needed && path == NULL && s->ok) {
		const char *end = mode->num == SILL_CHAR_FILE ? "log" : "sock";
		struct diag *g = check_fail(c, mode, "mode %s needs a path", mode->text);

		if (mode->key_at.line == 0) /* the short form */
			diag_hint(g, "write '%s: {mode: %s, path: %s.%s}'", section, mode->text,
				  section, end);
		else
			diag_hint(g, "add 'path: %s.%s'", section, end);
	}
	if (!needed && path != NULL)
		diag_other(check_fail_key(c, path, "mode %s has no path", mode->text), mode->at,
			   mode->implied ? "mode is %s by default" : "the mode", mode->text);
	if (mode->num != SILL_CHAR_SOCKET || path == NULL || !path->ok)
		return;
	abs = check_path(c, path);
	if (abs != NULL && strlen(abs) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		diag_hint(check_fail(c, path,
				     "%zu bytes with its directory: a socket's path has at most "
				     "%zu",
				     strlen(abs), sizeof(((struct sockaddr_un *)0)->sun_path) - 1),
			  "/run and /tmp are short");
}

static void rule_chars(struct check *c, const struct node *root)
{
	const struct node *serial = node_ok(root, "serial.mode");
	const struct node *console = node_ok(root, "console.mode");

	check_char_path(c, root, "serial");
	check_char_path(c, root, "console");
	if (serial == NULL || console == NULL || serial->num != SILL_CHAR_TTY ||
	    console->num != SILL_CHAR_TTY)
		return;
	if (serial->implied)
		diag_hint(check_fail(c, console,
				     "serial.mode is tty by default: two cannot have the "
				     "terminal"),
			  "add 'serial: {mode: off}'");
	else
		diag_other(check_fail(c, console, "two cannot have the terminal"), serial->at,
			   "the other one");
}

/* A path in the manifest, and whether the VM writes there. */
struct use {
	const struct node *n;
	bool writes;
};

static size_t all_paths(const struct node *root, struct use *ret, size_t max)
{
	static const struct {
		const char *path;
		bool writes;
	} single[] = { { "firmware.code", false }, { "firmware.vars", true },
		       { "kernel", false },        { "initramfs", false },
		       { "serial.path", true },    { "console.path", true } };
	const struct node *disks = node_at(root, "disk");
	size_t count = 0;

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]) && count < max; i++) {
		const struct node *n = node_ok(root, single[i].path);

		if (n != NULL)
			ret[count++] = (struct use){ n, single[i].writes };
	}
	for (size_t i = 0; disks != NULL && disks->type == NODE_LIST && i < disks->count; i++) {
		const struct node *n = node_ok(disks->items[i], "path");

		if (n != NULL && count < max)
			ret[count++] = (struct use){ n, disk_is_written(disks->items[i]) };
	}
	return count;
}

/* One path in two roles is a mistake, unless both only read. files.c finds other names of a file. */
static void rule_same_path(struct check *c, const struct node *root)
{
	struct use uses[SILL_MAX_DISKS + 6];
	size_t count = all_paths(root, uses, sizeof(uses) / sizeof(uses[0]));

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct node *a = uses[i].n, *b = uses[j].n;
			const char *first = check_path(c, a), *second = check_path(c, b);

			if (first == NULL || second == NULL || strcmp(first, second) != 0 ||
			    (!uses[i].writes && !uses[j].writes))
				continue;
			diag_other(check_fail(c, a, "is the same file as %s", b->path), b->at,
				   "that one");
			break;
		}
	}
}

/* Where a full output file goes, PATH.1, nothing else may be. */
static void rule_old_output(struct check *c, const struct node *root)
{
	static const char *const ends[] = { "serial", "console" };
	struct use uses[SILL_MAX_DISKS + 6];
	const size_t count = all_paths(root, uses, sizeof(uses) / sizeof(uses[0]));

	for (size_t i = 0; i < 2; i++) {
		const struct node *s = node_at(root, ends[i]);
		const struct node *mode = node_ok(s, "mode"), *path = node_ok(s, "path");
		const struct node *limit = node_ok(s, "limit");
		const char *first = path != NULL ? check_path(c, path) : NULL;

		if (first == NULL || mode == NULL || mode->num != SILL_CHAR_FILE || limit == NULL ||
		    limit->num == 0)
			continue;
		for (size_t u = 0; u < count; u++) {
			const char *other = check_path(c, uses[u].n);
			const size_t n = strlen(first);
			struct diag *g;

			if (other == NULL || strncmp(other, first, n) != 0 ||
			    strcmp(other + n, ".1") != 0)
				continue;
			g = check_fail(c, uses[u].n, "is where %s goes when it is full",
				       path->path);
			diag_other(g, path->at, "this one");
			diag_hint(g, "choose another path, or set %s.limit: off", ends[i]);
		}
	}
}

static void (*const rules[])(struct check *c, const struct node *root) = {
	rule_boot,        rule_kernel_only, rule_vars,          rule_boot_max,        rule_topology,
	rule_affinity,    rule_memory,      rule_hugepage_size, rule_firmware_memory, rule_disks,
	check_disk_rules, rule_chars,       rule_same_path,     rule_hyperv,          rule_features,
	rule_old_output,
};

void check_rules(struct check *c, struct node *root)
{
	if (root->type != NODE_MAP || c->no_memory)
		return;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		rules[i](c, root);
}
