/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid.h - what each vCPU says about itself.
 *
 * Starts from what KVM can do (KVM_GET_SUPPORTED_CPUID) and applies a table of
 * rules, one function a leaf: topology and APIC ids per vCPU, one physical
 * address width everywhere, features that only confuse guests taken out,
 * features that must come in pairs kept in pairs, and the Hyper-V leaves.
 * cpuid_build() is pure: host facts in, leaves out.
 */
#ifndef ARCH_X86_64_CPUID_H
#define ARCH_X86_64_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/x86_64/hyperv.h"
#include "arch/x86_64/topology.h"
#include "base/attr.h"
#include "base/err.h"
#include "sill/config.h"

#define CPUID_MAX 256u /* leaves; KVM's own limit (KVM_MAX_CPUID_ENTRIES) */

/* Caller-allocated (8 KiB). The first member has the layout the ioctls take. */
struct cpuid {
	struct {
		uint32_t nent, padding;
	} head; /* of struct kvm_cpuid2 */
	struct kvm_cpuid_entry2 leaf[CPUID_MAX];
};

struct cpuid_facts {
	const struct topology *topology;
	unsigned max_vcpus;
	unsigned phys_bits;
	bool amd;                      /* AuthenticAMD or HygonGenuine */
	bool nested;                   /* leave VMX or SVM in */
	bool hyperv;                   /* Hyper-V leaves instead of KVM's */
	bool hyperv_kvm;               /* and KVM's at 0x40000100 */
	bool tsc_deadline;             /* the in-kernel LAPIC has the mode */
	const struct hyperv_facts *hv; /* with hyperv */
	const char *const *off;        /* features to take out, by name */
	size_t off_count;
	const char *const *on; /* features to leave in that the rules take out */
	size_t on_count;
};

/* From an open /dev/kvm. */
int cpuid_supported(int kvm_fd, struct cpuid *ret, struct sill_err *e) MUST_CHECK;
/* Hyper-V leaves KVM can do; count 0 when it cannot. */
void cpuid_supported_hv(int kvm_fd, struct cpuid *ret);
struct kvm_cpuid_entry2 *cpuid_find(struct cpuid *c, uint32_t leaf, uint32_t index);

bool cpuid_host_is_amd(void);
unsigned cpuid_host_phys_bits(void);

/*
 * The guest's width: the host's at most, @max_phys_bits at most when not 0;
 * else capped at 40 (AMD) or 39 (Intel) unless @ram_end needs more, because
 * firmware with a 32-bit PEI phase builds page tables for all of it.
 * -1: RAM does not fit below the BAR window, or the host has fewer bits.
 */
int cpuid_phys_bits(unsigned host, bool amd, unsigned max_phys_bits, uint64_t ram_end,
		    unsigned *ret, struct sill_err *e) MUST_CHECK;

/* Features by name (features.c). Setting: false when the name or its leaf does not exist here. */
bool cpuid_feature_get(struct cpuid *c, const char *name);
/* Of sill_cpu_feature_name(index); false beyond the last. */
bool cpuid_feature_at(struct cpuid *c, size_t index);
bool cpuid_feature_set(struct cpuid *c, const char *name, bool on);

/* Turn @c, a copy of the supported leaves, into those of vCPU @index. */
int cpuid_build(struct cpuid *c, const struct cpuid_facts *f, unsigned index,
		struct sill_err *e) MUST_CHECK;

struct arch_cpus;

/* Those of vCPU 0 (cpu.c). */
int arch_cpus_leaves(const struct arch_cpus *a, struct cpuid *ret, struct sill_err *e) MUST_CHECK;

#endif
