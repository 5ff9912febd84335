/* SPDX-License-Identifier: Apache-2.0 */
/* count.c - all that is counted in a VM, for whoever asks. */
#include <linux/kvm.h>
#include <stdio.h>

#include "base/attr.h"
#include "machine/plug.h"
#include "vm/vm.h"

/* By KVM_EXIT_*: why KVM_RUN came back. What has no name is "other". */
static const char *const reasons[VCPU_REASONS] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_EXCEPTION] = "exception",
	[KVM_EXIT_IO] = "io",
	[KVM_EXIT_HYPERCALL] = "hypercall",
	[KVM_EXIT_DEBUG] = "debug",
	[KVM_EXIT_HLT] = "hlt",
	[KVM_EXIT_MMIO] = "mmio",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq_window",
	[KVM_EXIT_SHUTDOWN] = "shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "fail_entry",
	[KVM_EXIT_INTR] = "intr",
	[KVM_EXIT_INTERNAL_ERROR] = "internal_error",
	[KVM_EXIT_SYSTEM_EVENT] = "system_event",
	[KVM_EXIT_HYPERV] = "hyperv",
	[KVM_EXIT_X86_RDMSR] = "rdmsr",
	[KVM_EXIT_X86_WRMSR] = "wrmsr",
};

static void tell_vcpu(const struct vcpu *v, const char *id, sill_counter_fn fn, void *ctx)
{
	uint64_t other = 0;
	struct sill_counter c = { .of = SILL_COUNTER_VCPU, .id = id };

	for (unsigned i = 0; i < VCPU_REASONS; i++) {
		c.value = __atomic_load_n(&v->reasons[i], __ATOMIC_RELAXED);
		c.name = reasons[i];
		if (c.name == NULL)
			other += c.value;
		else if (c.value > 0)
			fn(ctx, &c);
	}
	c.name = "other";
	c.value = other;
	if (other > 0)
		fn(ctx, &c);
}

void sill_vm_counters(struct sill_vm *vm, sill_counter_fn fn, void *ctx)
{
	char id[16];

	machine_counters(&vm->machine, fn, ctx);
	for (unsigned i = 0; i < vm->gate.room; i++) {
		(void)snprintf(id, sizeof(id), "%u", i);
		tell_vcpu(&vm->vcpus[i], id, fn, ctx);
	}
}
