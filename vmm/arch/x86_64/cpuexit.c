/* SPDX-License-Identifier: Apache-2.0 */
/* cpuexit.c - the exits that only x86 has, as a table. */
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "arch/x86_64/board.h"
#include "arch/x86_64/cpudebug.h"
#include "base/log.h"
#include "sill/vm.h"

typedef enum vcpu_next (*cpu_exit_fn)(struct cpu *c, enum cause *ret_why);

/* String instructions come as @count accesses to one port. */
static enum vcpu_next exit_pio(struct cpu *c, enum cause *ret_why)
{
	struct kvm_run *run = c->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	(void)ret_why;
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			(void)map_write(c->machine->pio, &c->pio, run->io.port, data, run->io.size);
		else
			(void)map_read(c->machine->pio, &c->pio, run->io.port, data, run->io.size);
	}
	return VCPU_AGAIN;
}

static enum vcpu_next exit_shutdown(struct cpu *c, enum cause *ret_why)
{
	(void)c;
	*ret_why = CAUSE_TRIPLE_FAULT;
	return VCPU_RESET;
}

/*
 * The guest has written its bug check to the crash registers (TLFS 15). It goes
 * on: it writes its own dump after this.
 */
static void report_crash(struct cpu *c)
{
	enum { CRASH_P0 = 0x40000100, PARAMETERS = 5 };
	struct {
		uint32_t nmsrs, padding;
		struct kvm_msr_entry entry[PARAMETERS];
	} m = { .nmsrs = PARAMETERS };
	const struct dev_env *env = &c->machine->env;
	struct sill_crash said;

	for (unsigned i = 0; i < PARAMETERS; i++)
		m.entry[i].index = CRASH_P0 + i;
	if (ioctl(c->fd, KVM_GET_MSRS, &m) != PARAMETERS)
		return;
	log_guest(&c->bucket, "guest",
		  "vcpu%u reports bug check 0x%llx (0x%llx, 0x%llx, 0x%llx, 0x%llx)", c->index,
		  m.entry[0].data, m.entry[1].data, m.entry[2].data, m.entry[3].data,
		  m.entry[4].data);
	said = (struct sill_crash){ .code = m.entry[0].data,
				    .has_code = true,
				    .has_parameters = true };
	for (unsigned i = 1; i < PARAMETERS; i++)
		said.parameter[i - 1] = m.entry[i].data;
	if (env->bug_check != NULL)
		env->bug_check(env->ctx, &said);
}

static enum vcpu_next exit_system(struct cpu *c, enum cause *ret_why)
{
	switch (c->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		*ret_why = CAUSE_OFF_CALL;
		return VCPU_OFF;
	case KVM_SYSTEM_EVENT_RESET:
		*ret_why = CAUSE_RESET_CALL;
		return VCPU_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		report_crash(c);
		return VCPU_AGAIN;
	default:
		return VCPU_AGAIN;
	}
}

/* SynIC pages need nothing of us; hypercalls that KVM leaves to us do not exist. */
static enum vcpu_next exit_hyperv(struct cpu *c, enum cause *ret_why)
{
	enum { HV_STATUS_INVALID_HYPERCALL_CODE = 2 };

	(void)ret_why;
	if (c->run->hyperv.type == KVM_EXIT_HYPERV_HCALL)
		c->run->hyperv.u.hcall.result = HV_STATUS_INVALID_HYPERCALL_CODE;
	return VCPU_AGAIN;
}

static enum vcpu_next exit_rdmsr(struct cpu *c, enum cause *ret_why)
{
	uint64_t val = 0;

	(void)ret_why;
	c->run->msr.error = !msr_read(&c->board->msrs, c->index, c->run->msr.index, &val);
	c->run->msr.data = val;
	return VCPU_AGAIN;
}

static enum vcpu_next exit_wrmsr(struct cpu *c, enum cause *ret_why)
{
	(void)ret_why;
	c->run->msr.error =
		!msr_write(&c->board->msrs, c->index, c->run->msr.index, c->run->msr.data);
	return VCPU_AGAIN;
}

/* One that we have not asked KVM for: its bug, or ours. */
static enum vcpu_next exit_unexpected(struct cpu *c, enum cause *ret_why)
{
	log_line(LOG_ERROR, "vcpu%u: unexpected KVM exit %u", c->index, c->run->exit_reason);
	*ret_why = CAUSE_UNEXPECTED_EXIT;
	return VCPU_BROKEN;
}

static enum vcpu_next exit_debug(struct cpu *c, enum cause *ret_why)
{
	if (c->points == NULL)
		return exit_unexpected(c, ret_why);
	return cpu_debug_trapped(c) ? VCPU_TRAP : VCPU_AGAIN;
}

/* A reason missing here and in vm/exit.c is unexpected. */
static const cpu_exit_fn on_cpu_exit[] = {
	[KVM_EXIT_IO] = exit_pio,
	[KVM_EXIT_DEBUG] = exit_debug,
	[KVM_EXIT_SHUTDOWN] = exit_shutdown,
	[KVM_EXIT_SYSTEM_EVENT] = exit_system,
	[KVM_EXIT_HYPERV] = exit_hyperv,
	[KVM_EXIT_X86_RDMSR] = exit_rdmsr,
	[KVM_EXIT_X86_WRMSR] = exit_wrmsr,
};

enum vcpu_next arch_cpu_exit(struct cpu *c, enum cause *ret_why)
{
	const uint32_t reason = c->run->exit_reason;

	if (reason < ARRAY_LEN(on_cpu_exit) && on_cpu_exit[reason] != NULL)
		return on_cpu_exit[reason](c, ret_why);
	return exit_unexpected(c, ret_why);
}
