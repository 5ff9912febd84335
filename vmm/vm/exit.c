/* SPDX-License-Identifier: Apache-2.0 */
/* exit.c - why KVM_RUN came back, as a table: what all processors have in common. */
#include "vm/exit.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "machine/machine.h"

typedef enum vcpu_next (*exit_fn)(struct cpu *c, enum cause *ret_why);

static enum vcpu_next exit_mmio(struct cpu *c, enum cause *ret_why)
{
	struct kvm_run *run = c->run;

	(void)ret_why;
	if (run->mmio.is_write)
		(void)map_write(c->machine->mmio, &c->mmio, run->mmio.phys_addr, run->mmio.data,
				run->mmio.len);
	else
		(void)map_read(c->machine->mmio, &c->mmio, run->mmio.phys_addr, run->mmio.data,
			       run->mmio.len);
	return VCPU_AGAIN;
}

/* With the interrupt controllers in the kernel, HLT stays there. */
static enum vcpu_next exit_again(struct cpu *c, enum cause *ret_why)
{
	(void)c;
	(void)ret_why;
	return VCPU_AGAIN;
}

static enum vcpu_next exit_fail_entry(struct cpu *c, enum cause *ret_why)
{
	log_line(LOG_ERROR, "vcpu%u: the processor refused to enter the guest, reason 0x%llx",
		 c->index, c->run->fail_entry.hardware_entry_failure_reason);
	*ret_why = CAUSE_ENTRY_FAILED;
	return VCPU_BROKEN;
}

static enum vcpu_next exit_internal_error(struct cpu *c, enum cause *ret_why)
{
	const struct kvm_run *run = c->run;

	log_line(LOG_ERROR, "vcpu%u: KVM internal error %u, data %llx %llx %llx", c->index,
		 run->internal.suberror, run->internal.ndata > 0 ? run->internal.data[0] : 0,
		 run->internal.ndata > 1 ? run->internal.data[1] : 0,
		 run->internal.ndata > 2 ? run->internal.data[2] : 0);
	*ret_why = CAUSE_CANNOT_EMULATE;
	return VCPU_BROKEN;
}

/* The exits that every processor has; arch_cpu_exit() has its own. */
static const exit_fn on_exit_reason[] = {
	[KVM_EXIT_MMIO] = exit_mmio,
	[KVM_EXIT_HLT] = exit_again,
	[KVM_EXIT_INTR] = exit_again,
	[KVM_EXIT_IRQ_WINDOW_OPEN] = exit_again,
	[KVM_EXIT_FAIL_ENTRY] = exit_fail_entry,
	[KVM_EXIT_INTERNAL_ERROR] = exit_internal_error,
};

static const char *const causes[CAUSE_COUNT] = {
	[CAUSE_NONE] = "no reason given",
	[CAUSE_DEVICE] = "a device",
	[CAUSE_RESET_BUTTON] = "reset button",
	[CAUSE_TRIPLE_FAULT] = "triple fault",
	[CAUSE_RESET_CALL] = "reset by Hyper-V register",
	[CAUSE_OFF_CALL] = "shutdown by hypercall",
	[CAUSE_ENTRY_FAILED] = "VM entry failed",
	[CAUSE_CANNOT_EMULATE] = "KVM cannot run this code",
	[CAUSE_RUN_FAILED] = "KVM_RUN failed",
	[CAUSE_UNEXPECTED_EXIT] = "unexpected KVM exit",
};

const char *cause_text(enum cause why)
{
	return causes[why];
}

static void count_reason(struct vcpu *v, uint32_t reason)
{
	__atomic_store_n(&v->reasons[reason], v->reasons[reason] + 1, __ATOMIC_RELAXED);
}

enum vcpu_next vcpu_step(struct vcpu *v, enum cause *ret_why)
{
	struct cpu *c = &v->cpu;
	uint32_t reason;

	if (ioctl(c->fd, KVM_RUN, 0) < 0) {
		int sys = errno;

		if (sys == EINTR || sys == EAGAIN)
			return VCPU_PARK;
		log_line(LOG_ERROR, "vcpu%u: KVM_RUN: %s", c->index, strerrordesc_np(sys));
		*ret_why = CAUSE_RUN_FAILED;
		return VCPU_BROKEN;
	}
	__atomic_store_n(&v->exits, v->exits + 1, __ATOMIC_RELAXED);
	reason = c->run->exit_reason;
	count_reason(v, reason < VCPU_REASONS ? reason : VCPU_REASONS - 1);
	if (reason < ARRAY_LEN(on_exit_reason) && on_exit_reason[reason] != NULL)
		return on_exit_reason[reason](c, ret_why);
	return arch_cpu_exit(c, ret_why);
}
