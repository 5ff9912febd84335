/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hyperv.h - the Hyper-V CPUID leaves (TLFS 2.4), from a table of features.
 *
 * Each feature is a few bits of leaves 0x40000003 and 0x40000004. KVM says
 * which it can do (KVM_GET_SUPPORTED_HV_CPUID); the rest are claims that need
 * nothing of it. Pure.
 */
#ifndef ARCH_X86_64_HYPERV_H
#define ARCH_X86_64_HYPERV_H

#include <stdbool.h>
#include <stdint.h>

#include "sill/hyperv.h"

struct cpuid;

/* @hv: what KVM can do, or NULL. */
void hyperv_resolve(const struct cpuid *hv, uint32_t want, enum sill_hv_state ret[SILL_HV_COUNT]);

struct hyperv_facts {
	enum sill_hv_state state[SILL_HV_COUNT];
	unsigned max_vcpus;
	unsigned phys_bits;
	uint32_t spin_retries;
	bool apic_emulated; /* no APICv or AVIC */
};

/* Append leaves 0x40000000 to 0x40000005. */
void hyperv_leaves(struct cpuid *c, const struct hyperv_facts *f);

#endif
