/* SPDX-License-Identifier: Apache-2.0 */
/* cpuclock.c - the TSC and the KVM clock (or Hyper-V's, which follows it), stopped and started. */
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "arch/arch.h"

void arch_clock_stop(const struct kvm *k, struct arch_clock *ret)
{
	struct kvm_clock_data clock = { 0 };

	ret->counter = __rdtsc();
	(void)ioctl(k->vm_fd, KVM_GET_CLOCK, &clock);
	ret->ns = clock.clock;
}

void arch_clock_stop_again(struct arch_clock *c)
{
	c->counter = __rdtsc();
}

/* Linux's watchdogs hear of it from its KVM clock; a guest without one has none (EINVAL). */
void arch_clock_tell(const struct cpu *c)
{
	(void)ioctl(c->fd, KVM_KVMCLOCK_CTRL, 0);
}

void arch_clock_start(const struct kvm *k, const struct arch_clock *c)
{
	struct kvm_clock_data clock = { .clock = c->ns };

	(void)ioctl(k->vm_fd, KVM_SET_CLOCK, &clock);
}

uint64_t arch_clock_gap(const struct arch_clock *c)
{
	return __rdtsc() - c->counter;
}

/* Offsets that were equal stay so: KVM's master clock wants it. */
bool arch_clock_turn_back(const struct cpu *c, uint64_t gap)
{
	uint64_t offset = 0;
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)&offset };

	/* Kernels before 5.16 lack it. */
	if (ioctl(c->fd, KVM_GET_DEVICE_ATTR, &a) < 0)
		return false;
	offset -= gap;
	(void)ioctl(c->fd, KVM_SET_DEVICE_ATTR, &a);
	return true;
}
