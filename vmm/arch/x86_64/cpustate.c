/* SPDX-License-Identifier: Apache-2.0 */
/* cpustate.c - see cpustate.h. */
#include "arch/x86_64/cpustate.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"

enum { MSR_MTRR_DEF_TYPE = 0x2ff };

_Static_assert(offsetof(struct msr_list, entry) == offsetof(struct kvm_msrs, entries),
	       "struct msr_list is what the ioctls take");

struct cpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	struct kvm_vcpu_events events;
	struct msr_list msrs;
	struct log_bucket bucket;
	bool has_nested;
	struct kvm_nested_state
		nested; /* of a vCPU that is no hypervisor: a header and nothing behind it */
	uint8_t xsave[sizeof(struct kvm_xsave)]; /* without the part that KVM_GET_XSAVE2 adds */
};

/* MSRs with state that KVM_GET_MSR_INDEX_LIST leaves out: MTRRs (SDM 3A 12.11) and others. */
static const struct {
	uint32_t first, count;
	bool hyperv;
} unlisted[] = {
	{ 0x200, 16, false }, /* variable ranges */
	{ 0x250, 1, false },  /* fixed, 64 KiB */
	{ 0x258, 2, false },  /* fixed, 16 KiB */
	{ 0x268, 8, false },  /* fixed, 4 KiB */
	{ 0x2ff, 1, false },  /* default type */
	{ 0x400, 40, false }, /* the machine check banks of cpu_set_machine_check() */
	{ 0x40000080, 5,
	  true }, /* SynIC: control, version, event and message page, end of message */
	{ 0x40000090, 16, true }, /* SINT0..15 */
	{ 0x400000b0, 8, true },  /* STIMER0..3 */
};

int cpu_list_msrs(const struct kvm *k, bool hyperv, struct msr_list *m, struct sill_err *e)
{
	struct {
		uint32_t nmsrs;
		uint32_t index[MAX_MSRS];
	} list = { .nmsrs = MAX_MSRS - 128 }; /* the layout of struct kvm_msr_list */

	if (ioctl(k->fd, KVM_GET_MSR_INDEX_LIST, &list) < 0)
		return sill_err_sys(e, errno, "list the MSRs");
	for (unsigned i = 0; i < list.nmsrs; i++)
		m->entry[i].index = list.index[i];
	m->head.nmsrs = list.nmsrs;
	for (unsigned i = 0; i < ARRAY_LEN(unlisted); i++)
		for (uint32_t n = 0; n < unlisted[i].count; n++)
			if (!unlisted[i].hyperv || hyperv)
				m->entry[m->head.nmsrs++].index = unlisted[i].first + n;
	return 0;
}

/* One run at a time. */
int cpu_read_msrs(int vcpu_fd, struct msr_list *m, struct sill_err *e)
{
	struct msr_list *run = calloc(1, sizeof(*run));
	unsigned kept = 0, at = 0;

	if (run == NULL)
		return sill_err_sys(e, ENOMEM, "MSR list");
	while (at < m->head.nmsrs) {
		int n;

		run->head.nmsrs = m->head.nmsrs - at;
		memcpy(run->entry, m->entry + at, run->head.nmsrs * sizeof(run->entry[0]));
		n = ioctl(vcpu_fd, KVM_GET_MSRS, run);
		if (n < 0) {
			free(run);
			return sill_err_sys(e, errno, "read the MSRs");
		}
		memmove(m->entry + kept, run->entry, (size_t)n * sizeof(run->entry[0]));
		kept += (unsigned)n;
		at += (unsigned)n + 1; /* the next one is the one that failed, or past the end */
	}
	m->head.nmsrs = kept;
	free(run);
	return 0;
}

/* The time-stamp counter begins anew, or is left as it is. */
static void list_msrs_to_write(const struct cpu_state *s, bool counter, struct msr_list *ret)
{
	const struct msr_list *m = &s->msrs;

	for (unsigned i = 0; i < m->head.nmsrs; i++) {
		const bool is_counter = m->entry[i].index == MSR_TSC;

		if (is_counter && !counter)
			continue;
		ret->entry[ret->head.nmsrs] = m->entry[i];
		if (is_counter)
			ret->entry[ret->head.nmsrs].data = 1;
		ret->head.nmsrs++;
	}
}

/* The values that @m begins with, as far as the host takes them; what it does not take is left out. */
static int write_list(struct cpu_state *s, int vcpu_fd, struct msr_list *m, struct sill_err *e)
{
	while (m->head.nmsrs != 0) {
		const int n = ioctl(vcpu_fd, KVM_SET_MSRS, m);
		unsigned done;

		if (n < 0)
			return sill_err_sys(e, errno, "write the MSRs");
		done = (unsigned)n;
		if (done < m->head.nmsrs) {
			log_guest_at(&s->bucket, LOG_DEBUG, "reset",
				     "MSR 0x%x cannot be written on this host",
				     m->entry[done].index);
			done++;
		}
		m->head.nmsrs -= done;
		memmove(m->entry, m->entry + done, m->head.nmsrs * sizeof(m->entry[0]));
	}
	return 0;
}

static int write_msrs(struct cpu_state *s, int vcpu_fd, bool counter, struct sill_err *e)
{
	struct msr_list *m = calloc(1, sizeof(*m));
	int ret;

	if (m == NULL)
		return sill_err_sys(e, ENOMEM, "MSR list");
	list_msrs_to_write(s, counter, m);
	ret = write_list(s, vcpu_fd, m, e);
	free(m);
	return ret;
}

/* In whichever format this host has, VMX or SVM: KVM says itself what "not used" looks like there. */
static void get_nested(struct cpu_state *s, int vcpu_fd)
{
	s->nested.size = sizeof(s->nested);
	/* Put back at once: a host that does not take it now will not at a reset. */
	s->has_nested = ioctl(vcpu_fd, KVM_GET_NESTED_STATE, &s->nested) == 0 &&
			ioctl(vcpu_fd, KVM_SET_NESTED_STATE, &s->nested) == 0;
}

/*
 * Out of what the guest has done as a hypervisor, before anything else: after VMXON KVM takes no CR4
 * without VMXE and no VMX MSR, and in a nested guest EFER, CRs and segments would be that guest's.
 */
static int leave_nested(struct cpu_state *s, int vcpu_fd, struct sill_err *e)
{
	if (s->has_nested && ioctl(vcpu_fd, KVM_SET_NESTED_STATE, &s->nested) < 0)
		return sill_err_sys(e, errno, "end a vCPU's nested virtualization");
	return 0;
}

struct cpu_state *cpu_state_get(const struct kvm *k, int vcpu_fd, bool hyperv, struct sill_err *e)
{
	struct cpu_state *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		(void)sill_err_sys(e, ENOMEM, "vCPU state");
		return NULL;
	}
	if (ioctl(vcpu_fd, KVM_GET_MP_STATE, &s->mp_state) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_REGS, &s->regs) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_SREGS, &s->sregs) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_XSAVE, s->xsave) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_XCRS, &s->xcrs) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_DEBUGREGS, &s->debugregs) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_LAPIC, &s->lapic) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_VCPU_EVENTS, &s->events) < 0) {
		(void)sill_err_sys(e, errno, "read a vCPU's state");
		goto fail;
	}
	if (cpu_list_msrs(k, hyperv, &s->msrs, e) < 0 || cpu_read_msrs(vcpu_fd, &s->msrs, e) < 0)
		goto fail;
	get_nested(s, vcpu_fd);
	return s;

fail:
	cpu_state_free(s);
	return NULL;
}

void cpu_state_free(struct cpu_state *s)
{
	free(s);
}

static int set_state(struct cpu_state *s, int vcpu_fd, bool counter, struct sill_err *e)
{
	struct kvm_vcpu_events events = s->events;

	/* Take back what was pending: an NMI, an exception, a SIPI. */
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
		       KVM_VCPUEVENT_VALID_SHADOW;
	/* A vCPU that faulted when another one already had, and was called back before KVM told of it. */
	if ((s->events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) != 0) {
		events.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
		events.triple_fault.pending = 0;
	}
	if (leave_nested(s, vcpu_fd, e) < 0)
		return -1;
	/* The LAPIC's mode comes with the APIC base in sregs, so its registers follow. */
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &s->sregs) < 0)
		return sill_err_sys(e, errno, "reset a vCPU's segments");
	if (write_msrs(s, vcpu_fd, counter, e) < 0)
		return -1;
	if (ioctl(vcpu_fd, KVM_SET_REGS, &s->regs) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_XSAVE, s->xsave) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_XCRS, &s->xcrs) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_DEBUGREGS, &s->debugregs) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_LAPIC, &s->lapic) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &events) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_MP_STATE, &s->mp_state) < 0)
		return sill_err_sys(e, errno, "reset a vCPU");
	return 0;
}

int cpu_state_set(struct cpu_state *s, int vcpu_fd, struct sill_err *e)
{
	return set_state(s, vcpu_fd, true, e);
}

int cpu_state_set_late(struct cpu_state *s, int vcpu_fd, struct sill_err *e)
{
	return set_state(s, vcpu_fd, false, e);
}

int cpu_enter_flat(int vcpu_fd, const struct cpu_entry *at, struct sill_err *e)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 0x10,
		.type = 0xb,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_segment data = code, tss;
	struct kvm_sregs s;
	struct kvm_regs r = {
		.rip = at->rip, .rbx = at->rbx, .rsi = at->rsi, .rsp = at->rsp, .rflags = 2
	};

	data.selector = 0x18;
	data.type = 0x3;
	tss = (struct kvm_segment){ .limit = 0x67, .selector = 0x20, .type = 0xb, .present = 1 };
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &s) < 0)
		return sill_err_sys(e, errno, "read the boot vCPU");
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = tss;
	s.gdt = (struct kvm_dtable){ .base = at->gdt, .limit = 5 * 8 - 1 };
	s.idt = (struct kvm_dtable){ .base = at->idt, .limit = 7 };
	s.cr0 = 0x11; /* PE, ET */
	s.cr3 = s.cr4 = 0;
	s.efer = 0;
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &s) < 0 || ioctl(vcpu_fd, KVM_SET_REGS, &r) < 0)
		return sill_err_sys(e, errno, "set up the boot vCPU");
	return 0;
}

int cpu_set_mtrr_wb(int vcpu_fd, struct sill_err *e)
{
	struct msr_list m = { .head = { .nmsrs = 1 },
			      .entry = { { .index = MSR_MTRR_DEF_TYPE, .data = 0x806 } } };

	if (ioctl(vcpu_fd, KVM_SET_MSRS, &m) != 1)
		return sill_err_sys(e, errno, "set the memory type");
	return 0;
}

int cpu_set_lint(int vcpu_fd, struct sill_err *e)
{
	enum { LVT_LINT0 = 0x350, LVT_LINT1 = 0x360, EXTINT = 0x700, NMI = 0x400 };
	struct kvm_lapic_state l;
	const uint32_t lint0 = EXTINT, lint1 = NMI;

	if (ioctl(vcpu_fd, KVM_GET_LAPIC, &l) < 0)
		return sill_err_sys(e, errno, "read a local APIC");
	memcpy(l.regs + LVT_LINT0, &lint0, sizeof(lint0));
	memcpy(l.regs + LVT_LINT1, &lint1, sizeof(lint1));
	if (ioctl(vcpu_fd, KVM_SET_LAPIC, &l) < 0)
		return sill_err_sys(e, errno, "set a local APIC");
	return 0;
}

int cpu_set_machine_check(const struct kvm *k, int vcpu_fd, struct sill_err *e)
{
	enum { BANKS = 10 };
	const uint64_t wanted = 1u << 8 |  /* MCG_CTL */
				1u << 10 | /* CMCI: systems program its vector unasked */
				1u << 24;  /* software recovery */
	uint64_t cap = 0;

	if (kvm_cap(k, KVM_CAP_MCE) < BANKS)
		return 0;
	if (ioctl(k->fd, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap) < 0)
		return sill_err_sys(e, errno, "ask KVM for machine checks");
	cap = (cap & wanted) | BANKS;
	if (ioctl(vcpu_fd, KVM_X86_SETUP_MCE, &cap) < 0)
		return sill_err_sys(e, errno, "set up machine checks");
	return 0;
}

static bool set_msr(int vcpu_fd, uint32_t msr, uint64_t value)
{
	struct {
		uint32_t nmsrs, padding;
		struct kvm_msr_entry entry;
	} m = {
		.nmsrs = 1,
		.entry = { .index = msr, .data = value },
	};

	return ioctl(vcpu_fd, KVM_SET_MSRS, &m) == 1;
}

void cpu_set_features(int vcpu_fd, bool amd, bool nested, bool crash_notify)
{
	enum {
		FEATURE_CONTROL = 0x3a,
		MISC_ENABLE = 0x1a0,
		VM_CR = 0xc0010114,
		HV_CRASH_CTL = 0x40000105,
	};
	const struct {
		bool wanted;
		uint32_t msr;
		uint64_t value;
	} start[] = {
		{ !amd && !nested, FEATURE_CONTROL, 1 },      /* locked, without VMX */
		{ !amd, MISC_ENABLE, 1 | 1 << 11 | 1 << 12 }, /* fast strings, no BTS, no PEBS */
		{ amd && !nested, VM_CR, 1 << 4 },            /* SVM disabled */
		{ crash_notify, HV_CRASH_CTL, 1ull << 63 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(start); i++)
		if (start[i].wanted && !set_msr(vcpu_fd, start[i].msr, start[i].value))
			log_line(LOG_DEBUG, "MSR 0x%x cannot be set on this host", start[i].msr);
}

static void dump_segment(const char *name, const struct kvm_segment *s,
			 void (*line)(void *ctx, const char *text), void *ctx)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "%s %04x base %016llx limit %08x type %x%s%s", name,
		       s->selector, s->base, s->limit, s->type, s->l ? " 64-bit" : "",
		       s->db ? " 32-bit" : "");
	line(ctx, text);
}

void cpu_dump(int vcpu_fd, void (*line)(void *ctx, const char *text), void *ctx)
{
	struct kvm_regs r;
	struct kvm_sregs s;
	char text[160];

	if (ioctl(vcpu_fd, KVM_GET_REGS, &r) < 0 || ioctl(vcpu_fd, KVM_GET_SREGS, &s) < 0) {
		line(ctx, "registers cannot be read");
		return;
	}
	(void)snprintf(text, sizeof(text), "rip %016llx rflags %08llx", r.rip, r.rflags);
	line(ctx, text);
	(void)snprintf(text, sizeof(text), "rax %016llx rbx %016llx rcx %016llx rdx %016llx", r.rax,
		       r.rbx, r.rcx, r.rdx);
	line(ctx, text);
	(void)snprintf(text, sizeof(text), "rsi %016llx rdi %016llx rsp %016llx rbp %016llx", r.rsi,
		       r.rdi, r.rsp, r.rbp);
	line(ctx, text);
	(void)snprintf(text, sizeof(text), "r8  %016llx r9  %016llx r10 %016llx r11 %016llx", r.r8,
		       r.r9, r.r10, r.r11);
	line(ctx, text);
	(void)snprintf(text, sizeof(text), "r12 %016llx r13 %016llx r14 %016llx r15 %016llx", r.r12,
		       r.r13, r.r14, r.r15);
	line(ctx, text);
	(void)snprintf(text, sizeof(text),
		       "cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer %llx", s.cr0, s.cr2,
		       s.cr3, s.cr4, s.efer);
	line(ctx, text);
	dump_segment("cs", &s.cs, line, ctx);
	dump_segment("ss", &s.ss, line, ctx);
	dump_segment("tr", &s.tr, line, ctx);
	(void)snprintf(text, sizeof(text), "gdt %016llx+%x idt %016llx+%x apic base %llx",
		       s.gdt.base, s.gdt.limit, s.idt.base, s.idt.limit, s.apic_base);
	line(ctx, text);
}
