/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.c - a vCPU of a PC: what it can do, how it starts, what it looks like in the log. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "arch/x86_64/board.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/cpustate.h"
#include "arch/x86_64/hyperv.h"
#include "base/fd.h"
#include "base/log.h"

struct arch_cpus {
	struct board *board;
	struct cpuid host, host_hv; /* what KVM can do */
	struct cpuid_facts facts;
	struct hyperv_facts hv;
	bool enforce; /* only what the Hyper-V leaves say exists */
};

/* What of Hyper-V this host can do; each thing asked for and missing gets its line. */
static void resolve_hyperv(struct arch_cpus *a, const struct sill_cpus_config *c)
{
	const struct board *b = a->board;
	const char *vm = b->machine->name;

	a->hv = (struct hyperv_facts){ .max_vcpus = b->max_cpus,
				       .phys_bits = b->phys_bits,
				       .spin_retries = c->hyperv.spin_retries,
				       .apic_emulated = b->apic_emulated };
	if (a->host_hv.head.nent == 0)
		log_line(LOG_WARN, "%s: this host's KVM has no Hyper-V enlightenments", vm);
	hyperv_resolve(&a->host_hv, sill_hv_set(c), a->hv.state);
	for (unsigned i = 0; i < SILL_HV_COUNT && a->host_hv.head.nent != 0; i++)
		if (a->hv.state[i] == SILL_HV_UNSUPPORTED || a->hv.state[i] == SILL_HV_BLOCKED)
			log_line(sill_hv_features[i].on ? LOG_INFO : LOG_WARN,
				 "%s: cpus.hyperv.%s: %s", vm, sill_hv_features[i].name,
				 a->hv.state[i] == SILL_HV_BLOCKED
					 ? "off, because a feature it needs is off"
					 : "this host's kernel does not have it");
}

struct arch_cpus *arch_cpus_create(struct board *b, const struct sill_cpus_config *c,
				   struct sill_err *e)
{
	struct arch_cpus *a = calloc(1, sizeof(*a));
	const struct kvm *k = &b->machine->kvm;

	if (a == NULL) {
		(void)sill_err_sys(e, ENOMEM, "vCPUs");
		return NULL;
	}
	a->board = b;
	a->enforce = c->hyperv.enforce;
	a->facts = (struct cpuid_facts){
		.topology = &b->topology,
		.max_vcpus = b->max_cpus,
		.phys_bits = b->phys_bits,
		.amd = cpuid_host_is_amd(),
		.nested = c->nested,
		.hyperv = b->hyperv,
		.hyperv_kvm = c->hyperv.kvm_leaves,
		.hv = &a->hv,
		.off = (const char *const *)c->features.remove,
		.off_count = c->features.remove_count,
		.on = (const char *const *)c->features.add,
		.on_count = c->features.add_count,
		.tsc_deadline = kvm_cap(k, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
	};
	if (cpuid_supported(k->fd, &a->host, e) < 0) {
		arch_cpus_destroy(a);
		return NULL;
	}
	cpuid_supported_hv(k->fd, &a->host_hv);
	if (b->hyperv)
		resolve_hyperv(a, c);
	return a;
}

void arch_cpus_destroy(struct arch_cpus *a)
{
	free(a);
}

int arch_cpus_leaves(const struct arch_cpus *a, struct cpuid *ret, struct sill_err *e)
{
	*ret = a->host;
	return cpuid_build(ret, &a->facts, 0, e);
}

static int set_features(struct cpu *c, const struct arch_cpus *a, struct sill_err *e)
{
	const struct cpuid_facts *f = &a->facts;
	struct cpuid leaves = a->host;

	if (f->hyperv) {
		struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_SYNIC2 };

		/* Before any SynIC register exists; hosts without it have no SynIC bits either. */
		(void)ioctl(c->fd, KVM_ENABLE_CAP, &cap);
	}
	if (f->hyperv && a->enforce) {
		struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_ENFORCE_CPUID, .args = { 1 } };

		if (ioctl(c->fd, KVM_ENABLE_CAP, &cap) < 0)
			return sill_err_sys(e, errno, "enforce the Hyper-V leaves");
	}
	if (cpuid_build(&leaves, f, c->index, e) < 0)
		return -1;
	if (ioctl(c->fd, KVM_SET_CPUID2, &leaves) < 0)
		return sill_err_sys(e, errno, "vCPU %u: set CPUID", c->index);
	return 0;
}

/* Where there is no firmware to set them. */
static int set_mtrr(const struct cpu *c, struct sill_err *e)
{
	const struct boot *b = &c->board->boot;
	struct sill_err why = { 0 };

	if (b->door == BOOT_FLASH || cpu_set_mtrr_wb(c->fd, &why) == 0)
		return 0;
	if (b->firmware) {
		*e = why;
		return -1;
	}
	log_line(LOG_DEBUG, "vcpu%u: %s: kernels do without", c->index, why.msg);
	return 0;
}

int arch_cpu_init(struct cpu *c, const struct arch_cpus *a, unsigned index, struct sill_err *e)
{
	const struct cpuid_facts *f = &a->facts;
	struct board *b = a->board;
	struct machine *m = b->machine;
	void *run;

	*c = (struct cpu){ .index = index, .fd = -1, .machine = m, .board = b };
	c->fd = kvm_vcpu_create(&m->kvm, topology_apic_id(&b->topology, index), e);
	if (c->fd < 0)
		return -1;
	run = mmap(NULL, m->kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (run == MAP_FAILED)
		return sill_err_sys(e, errno, "map vCPU %u", index);
	c->run = run;
	if (set_features(c, a, e) < 0 || cpu_set_lint(c->fd, e) < 0 ||
	    cpu_set_machine_check(&m->kvm, c->fd, e) < 0)
		return -1;
	cpu_set_features(c->fd, f->amd, f->nested,
			 f->hyperv && f->hv->state[SILL_HV_crash] == SILL_HV_ON);
	if (set_mtrr(c, e) < 0)
		return -1;
	c->at_reset = cpu_state_get(&m->kvm, c->fd, f->hyperv, e);
	return c->at_reset == NULL ? -1 : 0;
}

void arch_cpu_fini(struct cpu *c)
{
	if (c->run != NULL)
		(void)munmap(c->run, c->machine->kvm.run_size);
	if (c->machine != NULL)
		fd_close(&c->fd);
	cpu_state_free(c->at_reset);
	*c = (struct cpu){ .fd = -1 };
}

int arch_cpu_reset(struct cpu *c, struct sill_err *e)
{
	struct boot *b = &c->board->boot;

	if (cpu_state_set(c->at_reset, c->fd, e) < 0)
		return -1;
	if (c->index == 0 && b->door != BOOT_FLASH)
		return cpu_enter_flat(c->fd, &b->entry, e);
	return 0;
}

/* KVM's master clock, and guests, want the same offset for all; one that is written 0 follows the others, too. */
int arch_cpu_join(struct cpu *c, const struct cpu *running, struct sill_err *e)
{
	struct msr_list m = { .head = { .nmsrs = 1 }, .entry = { { .index = MSR_TSC } } };
	uint64_t offset = 0;
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)&offset };

	if (ioctl(running->fd, KVM_GET_DEVICE_ATTR, &a) == 0 &&
	    ioctl(c->fd, KVM_SET_DEVICE_ATTR, &a) == 0)
		return 0;
	/* Kernels before 5.16 */
	if (ioctl(c->fd, KVM_SET_MSRS, &m) != 1)
		return sill_err_sys(e, errno, "vCPU %u: the time-stamp counter", c->index);
	return 0;
}

int arch_cpu_clear(struct cpu *c, struct sill_err *e)
{
	return cpu_state_set_late(c->at_reset, c->fd, e);
}

int arch_cpu_nmi(struct cpu *c)
{
	return ioctl(c->fd, KVM_NMI, 0);
}

void arch_cpu_dump(struct cpu *c, void (*line)(void *ctx, const char *text), void *ctx)
{
	cpu_dump(c->fd, line, ctx);
}
