/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what a manifest may ask of this host.
 *
 * Collected once, handed to the checks: they are pure, and tests make their own.
 */
#ifndef RUNNER_HOST_FACTS_H
#define RUNNER_HOST_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HOST_HUGEPAGE_SIZES = 8 };

/* Public struct. */
struct host_facts {
	unsigned phys_bits; /* physical address bits of the CPU; 0: not known */
	unsigned cpus;      /* configured CPUs */
	uint64_t hugepage_default;
	uint64_t hugepage_sizes[HOST_HUGEPAGE_SIZES];
	size_t hugepage_count;
};

void host_facts_get(struct host_facts *f);

/* Does KVM run guests' local APICs on the processor's own (APICv, AVIC)? */
bool host_has_virtual_apic(void);

/* How many huge pages of @size are free now, and how many there are. */
uint64_t host_hugepages_free(uint64_t size, uint64_t *ret_total);

#endif
