/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr.h - answers for the model-specific registers that KVM does not know.
 *
 * KVM hands over accesses it would answer with #GP (KVM_CAP_X86_USER_SPACE_MSR).
 * A table says what the registers that systems really probe read as; the rest
 * follows the policy: read 0 and drop writes, or #GP. Each register is logged
 * once. Thread: any vCPU; no lock.
 */
#ifndef ARCH_X86_64_MSR_H
#define ARCH_X86_64_MSR_H

#include <stdbool.h>
#include <stdint.h>

struct msr_policy {
	bool ignore_unknown; /* else #GP */
	uint64_t seen[64];   /* atomic: a bit per hash of an MSR that was logged */
};

/* False: inject #GP. */
bool msr_read(struct msr_policy *p, unsigned vcpu, uint32_t msr, uint64_t *ret);
bool msr_write(struct msr_policy *p, unsigned vcpu, uint32_t msr, uint64_t val);

#endif
