/* SPDX-License-Identifier: Apache-2.0 */
/* exit.c - why KVM_RUN came back, as a table. */
#include "vm/exit.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"

typedef enum vcpu_next (*exit_fn)(struct vcpu *v, const char **ret_why);

/* String instructions come as @count accesses to one port. */
static enum vcpu_next exit_pio(struct vcpu *v, const char **ret_why)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	(void)ret_why;
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			(void)map_write(v->machine->pio, &v->pio, run->io.port, data, run->io.size);
		else
			(void)map_read(v->machine->pio, &v->pio, run->io.port, data, run->io.size);
	}
	return VCPU_AGAIN;
}

static enum vcpu_next exit_mmio(struct vcpu *v, const char **ret_why)
{
	struct kvm_run *run = v->run;

	(void)ret_why;
	if (run->mmio.is_write)
		(void)map_write(v->machine->mmio, &v->mmio, run->mmio.phys_addr, run->mmio.data,
				run->mmio.len);
	else
		(void)map_read(v->machine->mmio, &v->mmio, run->mmio.phys_addr, run->mmio.data,
			       run->mmio.len);
	return VCPU_AGAIN;
}

static enum vcpu_next exit_shutdown(struct vcpu *v, const char **ret_why)
{
	(void)v;
	*ret_why = "triple fault";
	return VCPU_RESET;
}

/*
 * The guest has written its bug check to the crash registers (TLFS 15). It goes
 * on: it writes its own dump after this.
 */
static void report_crash(struct vcpu *v)
{
	enum { CRASH_P0 = 0x40000100, PARAMETERS = 5 };
	struct {
		uint32_t nmsrs, padding;
		struct kvm_msr_entry entry[PARAMETERS];
	} m = { .nmsrs = PARAMETERS };

	for (unsigned i = 0; i < PARAMETERS; i++)
		m.entry[i].index = CRASH_P0 + i;
	if (ioctl(v->fd, KVM_GET_MSRS, &m) != PARAMETERS)
		return;
	log_guest(&v->bucket, "guest",
		  "vcpu%u reports bug check 0x%llx (0x%llx, 0x%llx, 0x%llx, 0x%llx)", v->index,
		  m.entry[0].data, m.entry[1].data, m.entry[2].data, m.entry[3].data,
		  m.entry[4].data);
}

static enum vcpu_next exit_system(struct vcpu *v, const char **ret_why)
{
	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		*ret_why = "shutdown by hypercall";
		return VCPU_OFF;
	case KVM_SYSTEM_EVENT_RESET:
		*ret_why = "reset by Hyper-V register";
		return VCPU_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		report_crash(v);
		return VCPU_AGAIN;
	default:
		return VCPU_AGAIN;
	}
}

/* SynIC pages need nothing of us; hypercalls that KVM leaves to us do not exist. */
static enum vcpu_next exit_hyperv(struct vcpu *v, const char **ret_why)
{
	enum { HV_STATUS_INVALID_HYPERCALL_CODE = 2 };

	(void)ret_why;
	if (v->run->hyperv.type == KVM_EXIT_HYPERV_HCALL)
		v->run->hyperv.u.hcall.result = HV_STATUS_INVALID_HYPERCALL_CODE;
	return VCPU_AGAIN;
}

static enum vcpu_next exit_rdmsr(struct vcpu *v, const char **ret_why)
{
	uint64_t val = 0;

	(void)ret_why;
	v->run->msr.error = !msr_read(&v->machine->msrs, v->index, v->run->msr.index, &val);
	v->run->msr.data = val;
	return VCPU_AGAIN;
}

static enum vcpu_next exit_wrmsr(struct vcpu *v, const char **ret_why)
{
	(void)ret_why;
	v->run->msr.error =
		!msr_write(&v->machine->msrs, v->index, v->run->msr.index, v->run->msr.data);
	return VCPU_AGAIN;
}

/* With the interrupt controllers in the kernel, HLT stays there. */
static enum vcpu_next exit_again(struct vcpu *v, const char **ret_why)
{
	(void)v;
	(void)ret_why;
	return VCPU_AGAIN;
}

static enum vcpu_next exit_fail_entry(struct vcpu *v, const char **ret_why)
{
	log_line(LOG_ERROR, "vcpu%u: the processor refused to enter the guest, reason 0x%llx",
		 v->index, v->run->fail_entry.hardware_entry_failure_reason);
	*ret_why = "VM entry failed";
	return VCPU_BROKEN;
}

static enum vcpu_next exit_internal_error(struct vcpu *v, const char **ret_why)
{
	const struct kvm_run *run = v->run;

	log_line(LOG_ERROR, "vcpu%u: KVM internal error %u, data %llx %llx %llx", v->index,
		 run->internal.suberror, run->internal.ndata > 0 ? run->internal.data[0] : 0,
		 run->internal.ndata > 1 ? run->internal.data[1] : 0,
		 run->internal.ndata > 2 ? run->internal.data[2] : 0);
	*ret_why = "KVM cannot run this code";
	return VCPU_BROKEN;
}

/* Every exit we ask KVM for. A reason missing here is KVM's or our bug. */
static const exit_fn on_exit_reason[] = {
	[KVM_EXIT_IO] = exit_pio,
	[KVM_EXIT_MMIO] = exit_mmio,
	[KVM_EXIT_HLT] = exit_again,
	[KVM_EXIT_INTR] = exit_again,
	[KVM_EXIT_IRQ_WINDOW_OPEN] = exit_again,
	[KVM_EXIT_SHUTDOWN] = exit_shutdown,
	[KVM_EXIT_SYSTEM_EVENT] = exit_system,
	[KVM_EXIT_HYPERV] = exit_hyperv,
	[KVM_EXIT_X86_RDMSR] = exit_rdmsr,
	[KVM_EXIT_X86_WRMSR] = exit_wrmsr,
	[KVM_EXIT_FAIL_ENTRY] = exit_fail_entry,
	[KVM_EXIT_INTERNAL_ERROR] = exit_internal_error,
};

enum vcpu_next vcpu_step(struct vcpu *v, const char **ret_why)
{
	uint32_t reason;

	if (ioctl(v->fd, KVM_RUN, 0) < 0) {
		int sys = errno;

		if (sys == EINTR || sys == EAGAIN)
			return VCPU_PARK;
		log_line(LOG_ERROR, "vcpu%u: KVM_RUN: %s", v->index, strerrordesc_np(sys));
		*ret_why = "KVM_RUN failed";
		return VCPU_BROKEN;
	}
	__atomic_store_n(&v->exits, v->exits + 1, __ATOMIC_RELAXED);
	reason = v->run->exit_reason;
	if (reason >= ARRAY_LEN(on_exit_reason) || on_exit_reason[reason] == NULL) {
		log_line(LOG_ERROR, "vcpu%u: unexpected KVM exit %u", v->index, reason);
		*ret_why = "unexpected KVM exit";
		return VCPU_BROKEN;
	}
	return on_exit_reason[reason](v, ret_why);
}
