/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpustate.h - the whole architectural state of a vCPU, as KVM gives it.
 *
 * Read right after creation it is the reset state, which is what a reset in
 * place puts back. The vCPU must not be inside KVM_RUN.
 */
#ifndef ARCH_X86_64_CPUSTATE_H
#define ARCH_X86_64_CPUSTATE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/err.h"
#include "core/kvm.h"

struct cpu_state;

struct cpu_state *cpu_state_get(const struct kvm *k, int vcpu_fd, bool hyperv, struct sill_err *e);
/*
 * Everything back into the vCPU. The time-stamp counter is written as 1: KVM
 * takes 0 for a hot-plugged vCPU that wants to follow the others, and Windows
 * hangs when a reset leaves it above 2^54.
 */
int cpu_state_set(struct cpu_state *s, int vcpu_fd, struct sill_err *e) MUST_CHECK;
/* The same for one of several while the others are at work: its counter goes on with theirs. */
int cpu_state_set_late(struct cpu_state *s, int vcpu_fd, struct sill_err *e) MUST_CHECK;
void cpu_state_free(struct cpu_state *s); /* accepts NULL */

enum { MAX_MSRS = 512 };
enum { MSR_TSC = 0x10, MSR_FEATURE_CONTROL = 0x3a };

/* Public struct; the layout of struct kvm_msrs. */
struct msr_list {
	struct {
		uint32_t nmsrs, padding;
	} head;
	struct kvm_msr_entry entry[MAX_MSRS];
};

/* The numbers of all that have state, @ret zeroed before. Then their values: those this host cannot read leave the list. */
int cpu_list_msrs(const struct kvm *k, bool hyperv, struct msr_list *ret,
		  struct sill_err *e) MUST_CHECK;
int cpu_read_msrs(int vcpu_fd, struct msr_list *m, struct sill_err *e) MUST_CHECK;

/* How the boot processor starts when there is no reset vector (door B). */
struct cpu_entry {
	uint64_t rip, rbx, rsi, rsp;
	uint64_t gdt, idt; /* where boot.c put them */
};

/* 32-bit protected mode, paging off, flat segments (Xen PVH and Linux 32-bit boot protocol). */
int cpu_enter_flat(int vcpu_fd, const struct cpu_entry *at, struct sill_err *e) MUST_CHECK;
/*
 * MTRRs on, write-back by default, as firmware leaves them: a kernel without firmware takes what it
 * finds (Linux gives PAT up where they are off), and so does firmware without a flash.
 */
int cpu_set_mtrr_wb(int vcpu_fd, struct sill_err *e) MUST_CHECK;
/* LINT0 as ExtINT and LINT1 as NMI, the state a PC BIOS leaves. */
int cpu_set_lint(int vcpu_fd, struct sill_err *e) MUST_CHECK;

/* Ten machine check banks, all on: without this KVM has 32, all off. */
int cpu_set_machine_check(const struct kvm *k, int vcpu_fd, struct sill_err *e) MUST_CHECK;
/*
 * Registers that say what CPUID says, where KVM starts with something else:
 * virtualization locked or disabled unless @nested, fast strings; Hyper-V's
 * CRASH_CTL (TLFS 15) for @crash_notify. Those that this host cannot set stay.
 */
void cpu_set_features(int vcpu_fd, bool amd, bool nested, bool crash_notify);

/* Registers, for the log: one line each to @fn. */
void cpu_dump(int vcpu_fd, void (*line)(void *ctx, const char *text), void *ctx);

#endif
