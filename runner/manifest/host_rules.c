/* SPDX-License-Identifier: Apache-2.0 */
/* host_rules.c - what a manifest asks of this host, and the host has not. */
#include <inttypes.h>
#include <string.h>

#include "runner/manifest/check.h"
#include "runner/manifest/scalar.h"
#include "sill/check.h"
#include "sill/config.h"

static const uint64_t GIB = 1ull << 30;

static bool is_on(const struct node *n)
{
	return n != NULL && n->ok && n->num != 0;
}

/* --- memory -------------------------------------------------------------- */

/* Without a host: what the largest processor of that many bits leaves for memory. */
static bool fits_anywhere(uint64_t size, unsigned bits)
{
	/* 2 GiB lie below 4 GiB; the last eighth of the space is the window of 64-bit BARs. */
	const uint64_t top = size <= 2 * GIB ? 0 : size - 2 * GIB + 4 * GIB;

	return top <= (1ull << bits) - (1ull << (bits - 3));
}

static bool fits(const struct check *c, uint64_t size, unsigned max_bits)
{
	struct sill_err e = { 0 };

	if (c->host == NULL || c->host->phys_bits == 0)
		return max_bits == 0 || fits_anywhere(size, max_bits);
	return sill_check_memory(&(struct sill_check_cpu){ .phys_bits = c->host->phys_bits,
							   .amd = c->host->amd },
				 size, max_bits, &e) == 0;
}

/* The most that fits, in whole GiB, below @size, which does not. */
static uint64_t most(const struct check *c, uint64_t size, unsigned max_bits)
{
	uint64_t low = 0, high = size / GIB + 1;

	while (low + 1 < high) {
		const uint64_t middle = low + (high - low) / 2;

		if (fits(c, middle * GIB, max_bits))
			low = middle;
		else
			high = middle;
	}
	return low * GIB;
}

/* False: that has been said. */
static bool check_phys_bits(struct check *c, const struct node *root)
{
	const struct node *bits = node_ok(root, "cpus.max_phys_bits");
	const struct node *size = node_ok(root, "memory.size");
	const unsigned host = c->host != NULL ? c->host->phys_bits : 0;
	const unsigned max = bits != NULL ? (unsigned)bits->num : 0;
	char text[32];

	if (bits != NULL && host != 0 && max > host) {
		diag_hint(check_fail(c, bits, "%u bits, but this host's CPU has %u", max, host),
			  "at most %u", host);
		return false;
	}
	if (size == NULL || fits(c, size->num, max))
		return true;
	(void)scalar_size_text(text, sizeof(text), most(c, size->num, max));
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
static bool is_whole(const struct node *size, const struct node *page, uint64_t standard)
{
	const uint64_t unit = page != NULL ? page->num : standard;

	return unit != 0 && (unit & (unit - 1)) == 0 && size->num % unit == 0;
}

static bool host_has_page(const struct host_facts *host, uint64_t size)
{
	for (size_t i = 0; i < host->hugepage_count; i++) {
		if (host->hugepage_sizes[i] == size)
			return true;
	}
	return false;
}

static void check_room(struct check *c, const struct node *root)
{
	const struct node *size = node_ok(root, "memory.size"),
			  *huge = node_ok(root, "memory.hugepages"),
			  *page = node_ok(root, "memory.hugepage_size"),
			  *prefault = node_ok(root, "memory.prefault");
	struct sill_memory_config m = { .hugepages = is_on(huge), .prefault = is_on(prefault) };
	enum host_room_part part;
	struct sill_err e = { 0 };

	if (size == NULL || !c->host->has_room)
		return;
	m.size = size->num;
	m.hugepage_size = m.hugepages && page != NULL ? page->num : 0;
	if (m.hugepages && c->host->hugepage_default != 0 &&
	    !is_whole(size, page, c->host->hugepage_default))
		return;
	if (m.hugepages && page != NULL && !host_has_page(c->host, page->num))
		return;
	if (host_room_check(c->host, &m, &part, &e) < 0)
		diag_hint(check_fail(c,
				     part == ROOM_SIZE       ? size
				     : part == ROOM_PREFAULT ? prefault
							     : huge,
				     "%s", e.msg),
			  "%s", e.hint);
}

/* --- processors ---------------------------------------------------------- */

static void check_cpus(struct check *c, const struct node *root)
{
	const struct node *max = node_ok(root, "cpus.max"), *boot = node_ok(root, "cpus.boot");
	const struct node *nested = node_ok(root, "cpus.nested"),
			  *hyperv = node_ok(root, "cpus.kvm_hyperv");

	if (max != NULL && c->host->max_cpus != 0 && max->num > c->host->max_cpus)
		(void)check_fail(c, max->implied && boot != NULL ? boot : max,
				 "%" PRIu64 " vCPUs, but this host's KVM gives a VM at most %u",
				 max->num, c->host->max_cpus);
	if (is_on(nested) && c->host->nested == HOST_NO)
		diag_hint(check_fail(c, nested,
				     "this host cannot give a guest hardware virtualization: %s",
				     c->host->nested_why),
			  "%sset nested: off", c->host->nested_hint);
	if (is_on(hyperv) && c->host->hyperv == HOST_NO)
		diag_hint(check_fail(c, hyperv, "this KVM has no Hyper-V enlightenments"),
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

static void check_features(struct check *c, const struct node *root)
{
	const struct node *add = node_ok(root, "cpus.features.add");

	for (size_t i = 0; add != NULL && c->host->has_features && i < add->count; i++) {
		const struct node *n = add->items[i];

		if (strcmp(n->text, "vmx") != 0 && strcmp(n->text, "svm") != 0 &&
		    !host_has_feature(c->host, n->text))
			diag_hint(check_fail(c, n,
					     "this host cannot give a guest the CPU feature '%s'",
					     n->text),
				  "leave it out");
	}
}

/* --- host CPUs and I/O --------------------------------------------------- */

/* One that can be used is enough: the kernel leaves out the others. */
static void check_usable(struct check *c, const struct node *list)
{
	if (list == NULL || !c->host->has_usable || list->count == 0)
		return;
	for (size_t i = 0; i < list->count; i++) {
		const uint64_t n = list->items[i]->num;

		/* What is not there at all has been said. */
		if (n >= HOST_CPUS || n >= c->host->cpus || c->host->usable[n])
			return;
	}
	diag_hint(check_fail_key(c, list, "none of these host CPUs can be used"),
		  "they are offline, or outside of this session's cpuset: `taskset -pc $$`, "
		  "/sys/devices/system/cpu/online");
}

static void check_disks(struct check *c, const struct node *root)
{
	const struct node *disks = node_at(root, "disk");

	for (size_t i = 0; disks != NULL && disks->type == NODE_LIST && i < disks->count; i++) {
		const struct node *io = node_ok(disks->items[i], "io");

		check_usable(c, node_ok(disks->items[i], "affinity"));
		if (io != NULL && io->num == SILL_IO_URING && c->host->uring == HOST_NO)
			diag_hint(check_fail(c, io, "this process may not use io_uring"),
				  "write io: threads; or see kernel.io_uring_disabled");
	}
}

void check_on_host(struct check *c, struct node *root)
{
	const struct node *pins = node_at(root, "cpus.affinity");
	bool has_address_space;

	if (root->type != NODE_MAP || c->no_memory)
		return;
	has_address_space = check_phys_bits(c, root);
	if (c->host == NULL)
		return;
	if (has_address_space)
		check_room(c, root);
	check_cpus(c, root);
	check_features(c, root);
	for (size_t i = 0; pins != NULL && pins->type == NODE_LIST && i < pins->count; i++)
		check_usable(c, node_ok(pins->items[i], "host_cpus"));
	check_disks(c, root);
}
