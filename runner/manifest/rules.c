/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c - what one key asks of another, and what all of them ask of the host's CPU.
 *
 * Each rule is a function in the table at the end, over the value. A rule is
 * silent when a member it needs is missing or wrong: that has been said.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/un.h>

#include "runner/manifest/check.h"
#include "runner/manifest/scalar.h"
#include "runner/net/endpoint.h"
#include "runner/report/text.h"
#include "sill/check.h"
#include "sill/config.h"
#include "sill/hyperv.h"

static const uint64_t PAGE = 4096;

static void rule_boot(struct check *c, const struct sill_config *v)
{
	const struct node *kernel = place_at(c, &v->kernel);
	const struct node *firmware = place_map(c, &v->firmware);
	const struct node *code = place_at(c, &v->firmware.code);
	const struct node *root = place_map(c, v);
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

static void rule_kernel_only(struct check *c, const struct sill_config *v)
{
	const struct node *given[] = { place_at(c, &v->initramfs), place_at(c, &v->cmdline) };

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		if (given[i] != NULL && place_at(c, &v->kernel) == NULL && place_map(c, v)->ok)
			diag_hint(check_fail_key(c, given[i], "means something only with kernel"),
				  "add 'kernel: ...', or remove it");
	}
}

static void rule_vars(struct check *c, const struct sill_config *v)
{
	const struct node *vars = place_at(c, &v->firmware.vars);

	if (vars != NULL && place_at(c, &v->firmware.code) == NULL &&
	    place_map(c, &v->firmware)->ok)
		diag_hint(check_fail_key(c, vars, "variables without firmware.code"),
			  "add 'code: /usr/share/OVMF/OVMF_CODE_4M.fd', or remove it");
}

static void rule_boot_max(struct check *c, const struct sill_config *v)
{
	const struct node *boot = place_ok(c, &v->cpus.boot), *max = place_ok(c, &v->cpus.max);
	struct diag *g;

	if (boot == NULL || max == NULL || v->cpus.boot <= v->cpus.max)
		return;
	g = check_fail(c, boot, "%u vCPUs at the start, but cpus.max is %u", v->cpus.boot,
		       v->cpus.max);
	diag_other(g, max->at, "the maximum");
	diag_hint(g, "raise max or lower boot");
}

static void rule_topology(struct check *c, const struct sill_config *v)
{
	const struct sill_topology *t = &v->cpus.topology;
	const struct node *n = place_map(c, t), *max = place_ok(c, &v->cpus.max);
	struct sill_check_topology is;
	struct diag *g;

	if (n == NULL || !n->ok || max == NULL)
		return;
	switch (sill_check_topology(t, v->cpus.max, &is)) {
	case SILL_TOPOLOGY_FITS:
		return;
	case SILL_TOPOLOGY_IDS:
		diag_hint(check_fail_key(c, n,
					 "the last of its %" PRIu64
					 " vCPUs would have APIC id %" PRIu64 ": at most %u",
					 is.vcpus, is.last_apic_id, SILL_MAX_CPUS),
			  "each number takes the room of the next power of two; make them powers "
			  "of two");
		return;
	case SILL_TOPOLOGY_PRODUCT:
		break;
	}
	g = check_fail_key(c, n, "%u x %u x %u x %u is %" PRIu64 " vCPUs, but cpus.max is %u",
			   t->threads_per_core, t->cores_per_die, t->dies_per_package, t->packages,
			   is.vcpus, v->cpus.max);
	if (max->implied)
		diag_hint(g, "cpus.max is %u here because cpus.boot is; add 'max: %" PRIu64 "'",
			  v->cpus.max, is.vcpus);
	else
		diag_other(g, max->at, "the maximum");
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

static void rule_hyperv(struct check *c, const struct sill_config *v)
{
	const struct sill_hyperv_config *h = &v->cpus.hyperv;
	const struct node *map = place_map(c, h), *all = place_ok(c, &v->cpus.kvm_hyperv);
	const struct node *spins = place_ok(c, &h->spin_retries);

	if (map == NULL || !map->ok || all == NULL)
		return;
	if (!v->cpus.kvm_hyperv) {
		check_hyperv_off(c, map, all);
		return;
	}
	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		const bool *on = sill_hv_switch(h, f);
		enum sill_hv_feature need;
		const struct node *off;

		if (!*on || !sill_hv_lacks(sill_hv_set(&v->cpus), f, &need))
			continue;
		off = place_ok(c, sill_hv_switch(h, need));
		if (off != NULL)
			diag_other(check_fail(c, place_ok(c, on), "needs %s, which is off",
					      off->row->field.key),
				   off->at, off->implied ? "off by default" : "it is off here");
	}
	if (spins != NULL && !h->spinlocks)
		diag_other(check_fail_key(c, spins, "means something only with spinlocks: on"),
			   place_ok(c, &h->spinlocks)->at, "it is off");
}

/* Which of @list, before @end, is @name; @end: none. */
static unsigned find_name(char *const *list, const char *name, unsigned end)
{
	unsigned i = 0;

	while (i < end && strcmp(list[i], name) != 0)
		i++;
	return i;
}

static void check_features(struct check *c, char *const *list, unsigned count, char *const *other,
			   unsigned others)
{
	for (unsigned i = 0; i < count; i++) {
		const struct node *n = place_at(c, &list[i]);
		const unsigned twice = find_name(list, list[i], i);
		const unsigned both = find_name(other, list[i], others);

		if (strcmp(list[i], "vmx") == 0 || strcmp(list[i], "svm") == 0)
			diag_hint(check_fail(c, n, "'%s' is switched by cpus.nested", list[i]),
				  "write 'nested: on' or 'nested: off' in cpus");
		else if (twice < i)
			diag_other(check_fail(c, n, "'%s' is there twice", list[i]),
				   place_at(c, &list[twice])->at, "the other one");
		else if (both < others)
			diag_other(check_fail(c, n, "'%s' is both added and removed", list[i]),
				   place_at(c, &other[both])->at, "the other one");
	}
}

static void rule_features(struct check *c, const struct sill_config *v)
{
	const struct sill_features_config *f = &v->cpus.features;
	const unsigned added = place_ok(c, &f->add) != NULL ? f->add_count : 0;

	check_features(c, f->add, added, NULL, 0);
	if (place_ok(c, &f->remove) != NULL)
		check_features(c, f->remove, f->remove_count, f->add, added);
}

void check_host_cpus(struct check *c, uint16_t *const *list, unsigned count)
{
	const uint16_t *cpu = *list;

	for (unsigned i = 0; place_ok(c, list) != NULL && i < count; i++) {
		const struct node *n = place_at(c, &cpu[i]);

		for (unsigned j = 0; j < i; j++) {
			if (cpu[j] == cpu[i])
				diag_other(check_fail(c, n, "host CPU %u is there twice", cpu[i]),
					   place_at(c, &cpu[j])->at, "the other one");
		}
		if (c->host != NULL && c->host->cpus != 0 && cpu[i] >= c->host->cpus)
			diag_hint(check_fail(c, n, "this host has no CPU %u", cpu[i]),
				  "it has CPUs 0 to %u", c->host->cpus - 1);
	}
}

static void rule_affinity(struct check *c, const struct sill_config *v)
{
	const struct sill_affinity *pin = v->cpus.affinity;

	for (unsigned i = 0; i < v->cpus.affinity_count; i++) {
		const struct node *n = place_ok(c, &pin[i].vcpu);

		check_host_cpus(c, &pin[i].host_cpus, pin[i].host_cpus_count);
		if (n == NULL)
			continue;
		if (place_ok(c, &v->cpus.max) != NULL && pin[i].vcpu >= v->cpus.max)
			diag_hint(check_fail(c, n, "there is no vCPU %u", pin[i].vcpu),
				  "with cpus.max %u they are 0 to %d", v->cpus.max,
				  v->cpus.max - 1);
		for (unsigned j = 0; j < i; j++) {
			const struct node *other = place_ok(c, &pin[j].vcpu);

			if (other != NULL && pin[j].vcpu == pin[i].vcpu)
				diag_other(check_fail(c, n, "vCPU %u is there twice", pin[i].vcpu),
					   other->at, "the other one");
		}
	}
}

static bool same_member(const struct key *row, const char *a, const char *b)
{
	return kind_is_text(row->kind)
		       ? strcmp(*(const char *const *)a, *(const char *const *)b) == 0
		       : key_number(row, a) == key_number(row, b);
}

void check_unique(struct check *c, const struct list *l, const char *key)
{
	const struct key *row = section_find(l->section, key);
	char buf[TEXT_SHORT];

	for (unsigned i = 0; i < l->count; i++) {
		const char *entry = (const char *)l->first + i * l->size;
		const char *at = entry + row->field.data_offset;
		const struct node *a = place_ok(c, at);

		for (unsigned j = 0; a != NULL && j < i; j++) {
			const char *entry_j = (const char *)l->first + j * l->size;
			const char *other = entry_j + row->field.data_offset;
			const struct node *b = place_ok(c, other);
			/* The written one is to blame, not the default. */
			const struct node *blame = a->implied && b != NULL ? b : a;
			struct diag *g;

			/* Two defaults are alike when what they are made from is. */
			if (b == NULL || (a->implied && b->implied) || !same_member(row, at, other))
				continue;
			g = check_fail(c, blame, "%s has the %s '%s' too",
				       place_map(c, blame == a ? entry_j : entry)->path, key,
				       text_clean(buf, sizeof(buf), a->text, a->len));
			diag_other(g, blame == a ? b->at : a->at, "that one");
			break;
		}
	}
}

static void rule_disks(struct check *c, const struct sill_config *v)
{
	const struct list disks = { &disk_section, v->disk, v->disk_count, sizeof(*v->disk) };

	check_unique(c, &disks, "id");
	check_unique(c, &disks, "serial");
	check_unique(c, &disks, "slot");
}

static void rule_firmware_memory(struct check *c, const struct sill_config *v)
{
	const struct node *size = place_ok(c, &v->memory.size);

	if (size != NULL && v->firmware.code != NULL && v->memory.size < 64ull << 20)
		diag_hint(check_fail(c, size, "'%s' is too little for UEFI firmware", size->text),
			  "at least 64M");
}

/* `serial: file` for `serial: {mode: file}`: what is missing has no place to be added to. */
static bool is_short(struct check *c, const struct sill_char_config *s, const struct node *mode)
{
	const struct node *map = place_map(c, s);

	return map->at.line == mode->at.line && map->at.col == mode->at.col &&
	       map->at.src == mode->at.src;
}

/* The key @n is of mode @which. */
static void fail_not_of_mode(struct check *c, const struct node *mode, const struct node *n,
			     const char *what, const char *which)
{
	struct diag *g = check_fail_key(c, n, "mode %s %s", mode->text, what);

	diag_other(g, mode->at, mode->implied ? "mode is %s by default" : "the mode", mode->text);
	diag_hint(g,
		  mode->implied ? "add 'mode: %s', or remove it" : "write 'mode: %s', or remove it",
		  which);
}

/* A file or a socket has a path, and nothing else has. */
static void check_needed_path(struct check *c, const struct sill_char_config *s, const char *name)
{
	const struct node *mode = place_ok(c, &s->mode), *path = place_at(c, &s->path);
	const bool needed = s->mode == SILL_CHAR_FILE || s->mode == SILL_CHAR_SOCKET;

	if (needed && path == NULL && place_map(c, s)->ok) {
		const char *end = s->mode == SILL_CHAR_FILE ? "log" : "sock";
		struct diag *g = check_fail(c, mode, "mode %s needs a path", mode->text);

		if (is_short(c, s, mode))
			diag_hint(g, "write '%s: {mode: %s, path: %s.%s}'", name, mode->text, name,
				  end);
		else
			diag_hint(g, "add 'path: %s.%s'", name, end);
	}
	if (!needed && path != NULL)
		fail_not_of_mode(c, mode, path, "has no path", "socket");
}

bool check_tcp_end(struct check *c, char *const *listen, char *const *connect)
{
	const struct node *l = place_at(c, listen), *d = place_at(c, connect);
	struct sill_err e = { 0 };
	struct endpoint at;
	struct diag *g;

	if (l != NULL && d != NULL) {
		g = check_fail_key(c, d, "either listen or connect");
		diag_other(g, l->at, "the other one");
		diag_hint(g, "remove one of them");
		return false;
	}
	if (place_ok(c, l != NULL ? listen : connect) == NULL)
		return false;
	if ((l != NULL ? endpoint_read_listen(*listen, &at, &e)
		       : endpoint_check_connect(*connect, &e)) == 0)
		return true;
	diag_hint(check_fail(c, l != NULL ? l : d, "%s", e.msg), "%s", e.hint);
	return false;
}

/* Mode tcp has one end, and nothing else has any. */
static void check_tcp(struct check *c, const struct sill_char_config *s, const char *name)
{
	const struct node *mode = place_ok(c, &s->mode);
	const struct node *end[] = { place_at(c, &s->listen), place_at(c, &s->connect) };

	for (unsigned i = 0; i < 2 && s->mode != SILL_CHAR_TCP; i++)
		if (end[i] != NULL)
			fail_not_of_mode(c, mode, end[i],
					 i == 0 ? "has no listen" : "has no connect", "tcp");
	if (s->mode != SILL_CHAR_TCP || !place_map(c, s)->ok)
		return;
	if (end[0] == NULL && end[1] == NULL)
		diag_hint(check_fail(c, mode, "mode tcp needs an end"),
			  is_short(c, s, mode) ? "write '%s: {mode: tcp, %s}'" : "add '%.0s%s'",
			  name, "listen: 127.0.0.1:4445");
	else
		(void)check_tcp_end(c, &s->listen, &s->connect);
}

static void check_socket_path(struct check *c, char *const *path)
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);
	const struct node *n = place_ok(c, path);

	if (n != NULL && strlen(*path) >= room)
		diag_hint(check_fail(c, n,
				     "%zu bytes with its directory: a socket's path has at most "
				     "%zu",
				     strlen(*path), room - 1),
			  "/run and /tmp are short");
}

static void check_char(struct check *c, const struct sill_char_config *s, const char *name)
{
	const struct node *mode = place_ok(c, &s->mode), *limit = place_at(c, &s->limit);
	const struct node *of_socket[] = { place_at(c, &s->log), place_at(c, &s->history) };

	if (mode == NULL)
		return;
	if (limit != NULL && !limit->implied && s->mode != SILL_CHAR_FILE && s->log == NULL)
		fail_not_of_mode(c, mode, limit, "has no limit: only a file grows", "file");
	for (size_t i = 0; i < 2 && s->mode != SILL_CHAR_SOCKET; i++)
		if (of_socket[i] != NULL && !of_socket[i]->implied)
			fail_not_of_mode(c, mode, of_socket[i],
					 i == 0 ? "has no log" : "has no history", "socket");
	check_needed_path(c, s, name);
	check_tcp(c, s, name);
	if (s->mode == SILL_CHAR_SOCKET)
		check_socket_path(c, &s->path);
}

/* Port @p wants the terminal, and @first has it. */
static void check_one_tty(struct check *c, const struct sill_config *v, enum sill_port first,
			  enum sill_port p)
{
	const struct node *one = place_ok(c, &sill_port_config(v, first)->mode);
	const struct node *other = place_ok(c, &sill_port_config(v, p)->mode);
	const char *name = sill_port_name(first);

	if (one == NULL || other == NULL)
		return;
	if (one->implied)
		diag_hint(check_fail(c, other,
				     "%s.mode is tty by default: two cannot have the terminal",
				     name),
			  "add '%s: {mode: off}'", name);
	else
		diag_other(check_fail(c, other, "two cannot have the terminal"), one->at,
			   "the other one");
}

static void rule_chars(struct check *c, const struct sill_config *v)
{
	const enum sill_port first = sill_port_on_tty(v);

	for (unsigned p = 0; p < SILL_PORTS; p++) {
		check_char(c, sill_port_config(v, p), sill_port_name(p));
		if (p > first && sill_port_config(v, p)->mode == SILL_CHAR_TTY)
			check_one_tty(c, v, first, p);
	}
}

/* Its own name is a socket's, and with a port behind it another's. */
static void rule_vsock(struct check *c, const struct sill_config *v)
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - strlen("_4294967295");
	const struct node *socket = place_ok(c, &v->vsock.socket);

	if (socket != NULL && strlen(v->vsock.socket) >= room)
		diag_hint(check_fail(c, socket,
				     "%zu bytes with its directory: this socket's path has at most "
				     "%zu, as a port comes behind it",
				     strlen(v->vsock.socket), room - 1),
			  "/run and /tmp are short");
}

static void rule_api(struct check *c, const struct sill_config *v)
{
	check_socket_path(c, &v->api.socket);
}

static void rule_balloon(struct check *c, const struct sill_config *v)
{
	const struct node *size = place_ok(c, &v->balloon.size);
	char text[32];

	if (size == NULL)
		return;
	if (v->balloon.size % PAGE != 0)
		diag_hint(check_fail(c, size, "'%s' is not a multiple of %s", size->text,
				     scalar_size_text(text, sizeof(text), PAGE)),
			  "a balloon has whole pages of that size");
	if (place_ok(c, &v->memory.size) != NULL && v->balloon.size > v->memory.size)
		diag_hint(check_fail(c, size, "more than all of the guest's memory, which is %s",
				     scalar_size_text(text, sizeof(text), v->memory.size)),
			  "leave the guest some");
}

/* What has an I/O port already, or KVM answers. */
static void rule_debug_port(struct check *c, const struct sill_config *v)
{
	const struct node *port = place_ok(c, &v->debug_console.port);
	const char *owner = port != NULL ? sill_check_port(v->debug_console.port) : NULL;

	if (owner != NULL)
		diag_hint(check_fail(c, port, "'%s' is an I/O port of %s", port->text, owner),
			  "0xe9 is what guests look at");
}

/* A path in the manifest, and whether the VM writes there. */
struct use {
	const struct node *n;
	const char *path;
	bool writes;
};

enum { USES = SILL_MAX_DISKS + 7 + 2 * SILL_PORTS };

static void add_use(struct check *c, struct use uses[USES], size_t *count, char *const *path,
		    bool writes)
{
	if (*path != NULL && *count < USES)
		uses[(*count)++] = (struct use){ place_at(c, path), *path, writes };
}

static size_t all_paths(struct check *c, const struct sill_config *v, struct use uses[USES])
{
	size_t count = 0;

	add_use(c, uses, &count, &v->firmware.code, false);
	add_use(c, uses, &count, &v->firmware.vars, true);
	add_use(c, uses, &count, &v->kernel, false);
	add_use(c, uses, &count, &v->initramfs, false);
	for (unsigned p = 0; p < SILL_PORTS; p++) {
		add_use(c, uses, &count, &sill_port_config(v, p)->path, true);
		add_use(c, uses, &count, &sill_port_config(v, p)->log, true);
	}
	add_use(c, uses, &count, &v->vsock.socket, true);
	add_use(c, uses, &count, &v->api.socket, true);
	if (v->debug.gdb != NULL && strchr(v->debug.gdb, '/') != NULL)
		add_use(c, uses, &count, &v->debug.gdb, true);
	for (unsigned i = 0; i < v->disk_count; i++)
		add_use(c, uses, &count, &v->disk[i].path, disk_is_written(c, &v->disk[i]));
	return count;
}

/* One path in two roles is a mistake, unless both only read. paths.c finds other names of a file. */
static void rule_same_path(struct check *c, const struct sill_config *v)
{
	struct use uses[USES];
	const size_t count = all_paths(c, v, uses);

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct use *a = &uses[i], *b = &uses[j];

			if (strcmp(a->path, b->path) != 0 || (!a->writes && !b->writes))
				continue;
			diag_other(check_fail(c, a->n, "is the same file as %s", b->n->path),
				   b->n->at, "that one");
			break;
		}
	}
}

/* Where a full output file goes, PATH.1, nothing else may be. */
static void check_old_output(struct check *c, const struct sill_char_config *s, const char *name,
			     const struct use *uses, size_t count)
{
	char *const *path = s->mode == SILL_CHAR_FILE ? &s->path : &s->log;
	const size_t n = *path != NULL ? strlen(*path) : 0;

	if (*path == NULL || place_ok(c, &s->mode) == NULL || place_ok(c, &s->limit) == NULL ||
	    s->limit == 0)
		return;
	for (size_t u = 0; u < count; u++) {
		struct diag *g;

		if (strncmp(uses[u].path, *path, n) != 0 || strcmp(uses[u].path + n, ".1") != 0)
			continue;
		g = check_fail(c, uses[u].n, "is where %s goes when it is full",
			       place_at(c, path)->path);
		diag_other(g, place_at(c, path)->at, "this one");
		diag_hint(g, "choose another path, or set %s.limit: off", name);
	}
}

static void rule_old_output(struct check *c, const struct sill_config *v)
{
	struct use uses[USES];
	const size_t count = all_paths(c, v, uses);

	for (unsigned p = 0; p < SILL_PORTS; p++)
		check_old_output(c, sill_port_config(v, p), sill_port_name(p), uses, count);
}

static void (*const rules[])(struct check *c, const struct sill_config *v) = {
	rule_boot,         rule_kernel_only, rule_vars,          rule_boot_max,
	rule_topology,     rule_affinity,    check_memory_rules, rule_firmware_memory,
	rule_disks,        check_disk_rules, rule_chars,         rule_same_path,
	rule_hyperv,       rule_features,    rule_old_output,    check_net_rules,
	rule_debug_port,   rule_vsock,       rule_balloon,       check_debug_rules,
	check_ready_rules, rule_api,         check_port_rules,
};

void check_rules(struct check *c, const struct sill_config *v)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		rules[i](c, v);
}
