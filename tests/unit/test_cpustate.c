/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cpustate.c - what a reset puts back, and in which order, on a KVM with the rules of Linux's
 * about nested virtualization (arch/x86/kvm/vmx/nested.c, svm/nested.c); cpustate.c is included with
 * ioctl() replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

static int fake_ioctl(int fd, unsigned long request, ...);
#define ioctl fake_ioctl
#include "arch/x86_64/cpustate.c"
#undef ioctl

enum { CR4_VMXE = 1 << 13, MSR_VMX_BASIC = 0x480, MSR_PAT = 0x277, MSRS = 4 };
#define EFER_SVME (1ull << 12)

enum vendor { NONE, INTEL, AMD };

/* One vCPU. */
static struct fake {
	enum vendor vendor;
	/* As a hypervisor. */
	bool vmxon, in_guest, gif;
	uint64_t efer; /* the one that counts: in a guest, the guest's */
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_msr_entry msr[MSRS];
	unsigned msrs_refused;
	/* A triple fault that KVM has not told of yet, and whether it may be asked for (Linux 6.1). */
	bool fault, fault_event;
} v;

static int no(int error)
{
	errno = error;
	return -1;
}

static int get_nested_state(struct kvm_nested_state *s)
{
	if (v.vendor == NONE)
		return no(EINVAL);
	if (s->size < sizeof(*s))
		return no(E2BIG);
	*s = (struct kvm_nested_state){ .size = sizeof(*s) };
	if (v.vendor == INTEL) {
		s->format = KVM_STATE_NESTED_FORMAT_VMX;
		s->hdr.vmx.vmxon_pa = v.vmxon ? 0x1000 : ~0ull;
		s->hdr.vmx.vmcs12_pa = ~0ull;
	} else {
		s->format = KVM_STATE_NESTED_FORMAT_SVM;
		s->flags = v.gif ? KVM_STATE_NESTED_GIF_SET : 0;
	}
	return 0;
}

static int set_nested_state(const struct kvm_nested_state *s)
{
	if (v.vendor == NONE || s->size < sizeof(*s))
		return no(EINVAL);
	if (v.vendor == INTEL) {
		if (s->format != KVM_STATE_NESTED_FORMAT_VMX || s->flags != 0 ||
		    s->hdr.vmx.vmxon_pa != ~0ull || s->hdr.vmx.vmcs12_pa != ~0ull)
			return no(EINVAL);
		v.vmxon = v.in_guest = false;
		return 0;
	}
	if (s->format != KVM_STATE_NESTED_FORMAT_SVM ||
	    ((v.efer & EFER_SVME) == 0 && s->flags != KVM_STATE_NESTED_GIF_SET))
		return no(EINVAL);
	v.in_guest = false;
	v.gif = (s->flags & KVM_STATE_NESTED_GIF_SET) != 0;
	return 0;
}

static int set_sregs(const struct kvm_sregs *s)
{
	if (v.vmxon && (s->cr4 & CR4_VMXE) == 0)
		return no(EINVAL);
	assert_false(v.in_guest); /* they would be the nested guest's */
	v.sregs = *s;
	v.efer = s->efer;
	return 0;
}

static int msrs(struct kvm_msr_entry *list, uint32_t n, bool set)
{
	for (uint32_t i = 0; i < n; i++) {
		unsigned m = 0;

		while (m < MSRS && v.msr[m].index != list[i].index)
			m++;
		if (m == MSRS)
			return (int)i;
		if (set && v.vmxon && list[i].index == MSR_VMX_BASIC) {
			v.msrs_refused++;
			return (int)i;
		}
		*(set ? &v.msr[m] : &list[i]) = *(set ? &list[i] : &v.msr[m]);
	}
	return (int)n;
}

static int list_indices(struct kvm_msr_list *l)
{
	assert_true(l->nmsrs >= MSRS);
	l->nmsrs = MSRS;
	for (unsigned i = 0; i < MSRS; i++)
		l->indices[i] = v.msr[i].index;
	return 0;
}

static void get_events(struct kvm_vcpu_events *e)
{
	*e = (struct kvm_vcpu_events){ .flags = KVM_VCPUEVENT_VALID_SHADOW };
	if (v.fault_event) {
		e->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
		e->triple_fault.pending = v.fault;
	}
}

static int set_events(const struct kvm_vcpu_events *e)
{
	if ((e->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) == 0)
		return 0;
	if (!v.fault_event)
		return no(EINVAL);
	v.fault = e->triple_fault.pending != 0;
	return 0;
}

static int fake_ioctl(int fd, unsigned long request, ...)
{
	struct kvm_msrs *m;
	va_list ap;
	void *p;

	(void)fd;
	va_start(ap, request);
	p = va_arg(ap, void *);
	va_end(ap);
	m = p;
	switch (request) {
	case KVM_GET_NESTED_STATE:
		return get_nested_state(p);
	case KVM_SET_NESTED_STATE:
		return set_nested_state(p);
	case KVM_GET_MSR_INDEX_LIST:
		return list_indices(p);
	case KVM_GET_MSRS:
		return msrs(m->entries, m->nmsrs, false);
	case KVM_SET_MSRS:
		return msrs(m->entries, m->nmsrs, true);
	case KVM_GET_SREGS:
		*(struct kvm_sregs *)p = v.sregs;
		return 0;
	case KVM_SET_SREGS:
		return set_sregs(p);
	case KVM_GET_REGS:
		*(struct kvm_regs *)p = v.regs;
		return 0;
	case KVM_SET_REGS:
		assert_false(v.in_guest);
		v.regs = *(struct kvm_regs *)p;
		return 0;
	case KVM_GET_VCPU_EVENTS:
		get_events(p);
		return 0;
	case KVM_SET_VCPU_EVENTS:
		return set_events(p);
	default:
		return 0;
	}
}

static void create(enum vendor vendor)
{
	v = (struct fake){ .vendor = vendor, .gif = true };
	v.sregs.cr0 = 0x60000010;
	v.regs.rip = 0xfff0;
	v.msr[0].index = MSR_TSC;
	v.msr[1].index = MSR_MTRR_DEF_TYPE;
	v.msr[2].index = MSR_VMX_BASIC;
	v.msr[2].data = 5;
	v.msr[3].index = MSR_PAT;
	v.msr[3].data = 6;
}

static struct cpu_state *remember(void)
{
	static const struct kvm k;
	struct sill_err e = { 0 };
	struct cpu_state *s = cpu_state_get(&k, 0, false, &e);

	if (s == NULL)
		fail_msg("%s", e.msg);
	return s;
}

static void put_back(struct cpu_state *s)
{
	struct sill_err e = { 0 };

	if (cpu_state_set(s, 0, &e) < 0)
		fail_msg("%s", e.msg);
	cpu_state_free(s);
	assert_int_equal(v.regs.rip, 0xfff0);
	assert_int_equal(v.sregs.cr4, 0);
	assert_int_equal(v.efer, 0);
	assert_int_equal(v.msr[0].data, 1);
	assert_int_equal(v.msr[3].data, 6);
	assert_int_equal(v.msrs_refused, 0);
}

static void guest_ran(uint64_t cr4, uint64_t efer)
{
	v.regs.rip = 0x123456;
	v.sregs.cr4 = cr4;
	v.sregs.efer = v.efer = efer;
	v.msr[3].data = 0x0007040600070406;
}

static void cpu_state_set__leaves_vmx_operation_before_cr4(void **state)
{
	struct cpu_state *s;

	(void)state;
	for (unsigned in_guest = 0; in_guest < 2; in_guest++) {
		create(INTEL);
		s = remember();
		guest_ran(CR4_VMXE, 0x500);
		v.vmxon = true;
		v.in_guest = in_guest == 1;
		put_back(s);
		assert_false(v.vmxon);
	}
}

static void cpu_state_set__leaves_svm_guests_and_opens_the_gate(void **state)
{
	struct cpu_state *s;

	(void)state;
	for (unsigned in_guest = 0; in_guest < 2; in_guest++) {
		create(AMD);
		s = remember();
		guest_ran(0, EFER_SVME | 0x500);
		v.in_guest = in_guest == 1;
		v.gif = false; /* CLGI */
		put_back(s);
		assert_false(v.in_guest);
		assert_true(v.gif);
	}
}

/* The guest was no hypervisor, or had stopped being one. */
static void cpu_state_set__works_without_any_of_that(void **state)
{
	(void)state;
	for (enum vendor vendor = NONE; vendor <= AMD; vendor++) {
		struct cpu_state *s;

		create(vendor);
		s = remember();
		guest_ran(0x20, 0x500);
		put_back(s);
	}
}

/*
 * Two vCPUs fault; the first one's resets the machine, and the second is called back before KVM tells
 * of its own. That one belongs to the boot that is over.
 */
static void cpu_state_set__takes_back_a_triple_fault_nobody_was_told_of(void **state)
{
	(void)state;
	for (unsigned at_start = 0; at_start < 2; at_start++) {
		struct cpu_state *s;

		create(INTEL);
		v.fault_event = true;
		v.fault = at_start == 1;
		s = remember();
		guest_ran(0, 0);
		v.fault = true;
		put_back(s);
		assert_false(v.fault);
	}
}

/* KVM refuses the whole of the events when they hold what it has not offered. */
static void cpu_state_set__leaves_triple_faults_to_an_older_kvm(void **state)
{
	struct cpu_state *s;

	(void)state;
	create(INTEL);
	s = remember();
	guest_ran(0, 0);
	v.fault = true;
	put_back(s);
	assert_true(v.fault);
}

/* It comes beside others that are at work: what they agree on stays. */
static void cpu_state_set_late__leaves_the_counter_alone(void **state)
{
	struct sill_err e = { 0 };
	struct cpu_state *s;

	(void)state;
	create(AMD);
	s = remember();
	guest_ran(0x20, 0x500);
	v.msr[0].data = 0x1234;
	assert_int_equal(cpu_state_set_late(s, 0, &e), 0);
	assert_int_equal(v.msr[0].data, 0x1234);
	assert_int_equal(v.msr[2].data, 5);
	assert_int_equal(v.msr[3].data, 6);
	assert_int_equal(v.regs.rip, 0xfff0);
	put_back(s);
}

static void cpu_set_mtrr_wb__turns_mtrrs_on_and_a_reset_keeps_that(void **state)
{
	struct sill_err e = { 0 };
	struct cpu_state *s;

	(void)state;
	create(AMD);
	assert_int_equal(cpu_set_mtrr_wb(0, &e), 0);
	s = remember();
	guest_ran(0, 0);
	v.msr[1].data = 0;
	put_back(s);
	assert_int_equal(v.msr[1].data, 0x806);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpu_state_set__leaves_vmx_operation_before_cr4),
		cmocka_unit_test(cpu_state_set__leaves_svm_guests_and_opens_the_gate),
		cmocka_unit_test(cpu_state_set__works_without_any_of_that),
		cmocka_unit_test(cpu_state_set__takes_back_a_triple_fault_nobody_was_told_of),
		cmocka_unit_test(cpu_state_set__leaves_triple_faults_to_an_older_kvm),
		cmocka_unit_test(cpu_state_set_late__leaves_the_counter_alone),
		cmocka_unit_test(cpu_set_mtrr_wb__turns_mtrrs_on_and_a_reset_keeps_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
