/* SPDX-License-Identifier: Apache-2.0 */
/* host_rules.c - what a manifest asks of this host, and the host has not. */
#include <inttypes.h>
#include <string.h>

#include "runner/manifest/check.h"
#include "runner/manifest/scalar.h"
#include "runner/net/forwardspec.h"
#include "sill/check.h"
#include "sill/config.h"

static const uint64_t GIB = 1ull << 30;

/* --- memory -------------------------------------------------------------- */

static bool fits(const struct check *c, uint64_t size, uint64_t more, unsigned max_bits)
{
	struct sill_err e = { 0 };

	if (c->host == NULL || c->host->phys_bits == 0)
		return max_bits == 0 || sill_check_memory(NULL, size, more, max_bits, &e) == 0;
	return sill_check_memory(&(struct sill_check_cpu){ .phys_bits = c->host->phys_bits,
							   .amd = c->host->amd },
				 size, more, max_bits, &e) == 0;
}

/* The most that fits, in whole GiB, below @size, which does not. */
static uint64_t most(const struct check *c, uint64_t size, unsigned max_bits)
{
	uint64_t low = 0, high = size / GIB + 1;

	while (low + 1 < high) {
		const uint64_t middle = low + (high - low) / 2;

		if (fits(c, middle * GIB, 0, max_bits))
			low = middle;
		else
			high = middle;
	}
	return low * GIB;
}

/* False: that has been said. */
static bool check_phys_bits(struct check *c, const struct sill_config *v)
{
	const struct node *bits = place_ok(c, &v->cpus.max_phys_bits);
	const struct node *size = place_ok(c, &v->memory.size);
	const struct node *more = place_ok(c, &v->memory.hotplug_size);
	const unsigned host = c->host != NULL ? c->host->phys_bits : 0;
	const unsigned max = v->cpus.max_phys_bits;
	char text[32];

	if (bits != NULL && host != 0 && max > host) {
		diag_hint(check_fail(c, bits, "%u bits, but this host's CPU has %u", max, host),
			  "at most %u", host);
		return false;
	}
	if (size == NULL)
		return true;
	if (fits(c, v->memory.size, 0, max)) {
		if (more == NULL || fits(c, v->memory.size, v->memory.hotplug_size, max))
			return true;
		(void)check_fail(
			c, more,
			"'%s' more than memory.size needs more than %u physical address bits",
			more->text, max != 0 ? max : host);
		return false;
	}
	(void)scalar_size_text(text, sizeof(text), most(c, v->memory.size, max));
	if (bits != NULL)
		diag_other(check_fail(c, size,
				      "'%s' needs more than %u physical address bits (at most %s)",
				      size->text, max, text),
			   bits->at, "the limit");
	else
		(void)check_fail(c, size,
				 "'%s' needs more than the %u physical address bits of this "
				 "host's CPU (at most %s)",
				 size->text, host, text);
	return false;
}

/* What rules.c has said something about is not to be said twice. */
static bool is_whole(const struct sill_memory_config *m, uint64_t standard)
{
	const uint64_t unit = m->hugepage_size != 0 ? m->hugepage_size : standard;

	return is_power_of_two(unit) && m->size % unit == 0;
}

static bool host_has_page(const struct host_facts *host, uint64_t size)
{
	for (size_t i = 0; i < host->hugepage_count; i++) {
		if (host->hugepage_sizes[i] == size)
			return true;
	}
	return false;
}

/* The pools of each zone, then the host for all of them. */
static void check_zones(struct check *c, const struct sill_memory_config *m)
{
	struct sill_memory_config of;
	enum host_room_part part;

	for (unsigned i = 0; i <= m->zones_count; i++) {
		const bool is_zone = i < m->zones_count;
		const struct sill_memory_zone *z = &m->zones[is_zone ? i : 0];
		const void *blame = &m->zones;
		struct sill_err e = { 0 };

		host_room_of(m, i, &of);
		if (is_zone && place_ok(c, &z->size) == NULL)
			return;
		if (of.hugepages &&
		    ((c->host->hugepage_default != 0 &&
		      !is_whole(&of, c->host->hugepage_default)) ||
		     (of.hugepage_size != 0 && !host_has_page(c->host, of.hugepage_size))))
			continue; /* that has been said */
		if (host_room_check(c->host, &of, &part, &e) == 0)
			continue;
		if (is_zone)
			blame = part == ROOM_SIZE        ? (const void *)&z->size
				: part == ROOM_HUGEPAGES ? (const void *)&z->hugepages
				: place_ok(c, &m->prefault) && m->prefault
					? (const void *)&m->prefault
					: &z->prefault;
		diag_hint(check_fail(c, place_ok(c, blame), "%s", e.msg), "%s", e.hint);
		return;
	}
}

static void check_nodes(struct check *c, const struct sill_memory_config *m)
{
	for (unsigned i = 0; i < m->zones_count; i++)
		for (unsigned j = 0; j < m->zones[i].host_numa_node_count; j++) {
			const uint16_t *node = &m->zones[i].host_numa_node[j];
			const struct node *n = place_ok(c, node);

			if (n != NULL && c->host->has_nodes && *node < SILL_MAX_NODES &&
			    !c->host->nodes[*node])
				diag_hint(check_fail(c, n, "this host has no memory on a node %u",
						     *node),
					  "/sys/devices/system/node/has_memory lists those that "
					  "have some");
		}
}

static void check_room(struct check *c, const struct sill_config *v)
{
	const struct sill_memory_config *m = &v->memory;
	enum host_room_part part;
	struct sill_err e = { 0 };
	const void *blame;

	if (place_ok(c, &m->size) == NULL || !c->host->has_room)
		return;
	if (m->zones_count != 0) {
		check_zones(c, m);
		return;
	}
	if (m->hugepages && c->host->hugepage_default != 0 &&
	    !is_whole(m, c->host->hugepage_default))
		return;
	if (m->hugepages && m->hugepage_size != 0 && !host_has_page(c->host, m->hugepage_size))
		return;
	if (host_room_check(c->host, m, &part, &e) == 0)
		return;
	blame = part == ROOM_SIZE       ? (const void *)&m->size
		: part == ROOM_PREFAULT ? (const void *)&m->prefault
					: (const void *)&m->hugepages;
	diag_hint(check_fail(c, place_ok(c, blame), "%s", e.msg), "%s", e.hint);
}

/* --- processors ---------------------------------------------------------- */

static void check_cpus(struct check *c, const struct sill_config *v)
{
	const struct node *max = place_ok(c, &v->cpus.max), *boot = place_ok(c, &v->cpus.boot);

	if (max != NULL && c->host->max_cpus != 0 && v->cpus.max > c->host->max_cpus)
		(void)check_fail(c, max->implied && boot != NULL ? boot : max,
				 "%u vCPUs, but this host's KVM gives a VM at most %u", v->cpus.max,
				 c->host->max_cpus);
	if (v->cpus.nested && c->host->nested == HOST_NO)
		diag_hint(check_fail(c, place_ok(c, &v->cpus.nested),
				     "this host cannot give a guest hardware virtualization: %s",
				     c->host->nested_why),
			  "%sset nested: off", c->host->nested_hint);
	if (v->cpus.kvm_hyperv && c->host->hyperv == HOST_NO)
		diag_hint(check_fail(c, place_ok(c, &v->cpus.kvm_hyperv),
				     "this KVM has no Hyper-V enlightenments"),
			  "a kernel with CONFIG_KVM_HYPERV=y has them, or set kvm_hyperv: off");
}

static bool host_has_feature(const struct host_facts *host, const char *name)
{
	const char *known;

	for (size_t i = 0; i < HOST_FEATURES && (known = sill_cpu_feature_name(i)) != NULL; i++) {
		if (strcmp(known, name) == 0)
			return host->features[i];
	}
	return true;
}

static void check_features(struct check *c, const struct sill_features_config *f)
{
	if (place_ok(c, &f->add) == NULL || !c->host->has_features)
		return;
	for (unsigned i = 0; i < f->add_count; i++) {
		const char *name = f->add[i];

		if (strcmp(name, "vmx") != 0 && strcmp(name, "svm") != 0 &&
		    !host_has_feature(c->host, name))
			diag_hint(check_fail(c, place_at(c, &f->add[i]),
					     "this host cannot give a guest the CPU feature '%s'",
					     name),
				  "leave it out");
	}
}

/* --- host CPUs and I/O --------------------------------------------------- */

/* One that can be used is enough: the kernel leaves out the others. */
static void check_usable(struct check *c, uint16_t *const *list, unsigned count)
{
	if (place_ok(c, list) == NULL || !c->host->has_usable || count == 0)
		return;
	for (unsigned i = 0; i < count; i++) {
		const uint16_t n = (*list)[i];

		/* What is not there at all has been said. */
		if (n >= HOST_CPUS || n >= c->host->cpus || c->host->usable[n])
			return;
	}
	diag_hint(check_fail_key(c, place_ok(c, list), "none of these host CPUs can be used"),
		  "they are offline, or outside of this session's cpuset: `taskset -pc $$`, "
		  "/sys/devices/system/cpu/online");
}

static void check_disk(struct check *c, const struct sill_disk_config *d)
{
	check_usable(c, &d->affinity, d->affinity_count);
	if (d->io == SILL_IO_URING && c->host->uring == HOST_NO)
		diag_hint(check_fail(c, place_ok(c, &d->io), "this process may not use io_uring"),
			  "write io: threads; or see kernel.io_uring_disabled");
}

/* A port that somebody has is found at the start: until then it may be free again. */
static void check_net(struct check *c, const struct sill_net_config *n)
{
	check_usable(c, &n->affinity, n->affinity_count);
	check_net_end_on_host(c, n);
	for (unsigned i = 0; i < n->forward_count; i++) {
		const struct node *at = place_ok(c, &n->forward[i]);
		struct sill_err unused = { 0 };
		struct forward_spec s;

		if (at == NULL || forward_read(n->forward[i], &s, &unused) < 0 ||
		    s.host_port >= c->host->port_min)
			continue;
		diag_hint(check_fail(c, at, "this process may not listen on port %u", s.host_port),
			  "take one from %u up, for example %u:%u; lower ones take "
			  "CAP_NET_BIND_SERVICE",
			  c->host->port_min, 8000 + s.host_port, s.guest_port);
	}
}

void check_on_host(struct check *c, const struct sill_config *v)
{
	const bool has_address_space = check_phys_bits(c, v);

	if (c->host == NULL)
		return;
	if (has_address_space)
		check_room(c, v);
	check_nodes(c, &v->memory);
	check_cpus(c, v);
	check_features(c, &v->cpus.features);
	for (unsigned i = 0; i < v->cpus.affinity_count; i++)
		check_usable(c, &v->cpus.affinity[i].host_cpus,
			     v->cpus.affinity[i].host_cpus_count);
	for (unsigned i = 0; i < v->disk_count; i++)
		check_disk(c, &v->disk[i]);
	for (unsigned i = 0; i < v->net_count; i++)
		check_net(c, &v->net[i]);
}
