/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cpudebug.c - what KVM is told of a debugger's points, and whose a trap is, on a KVM that does as Linux's says
 * (Documentation/virt/kvm/api.rst, KVM_SET_GUEST_DEBUG); cpudebug.c is included with ioctl() replaced.
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

#include "core/kvm.h"

static int fake_ioctl(int fd, unsigned long request, ...);
static int fake_cap(const struct kvm *k, unsigned cap);
#define ioctl   fake_ioctl
#define kvm_cap fake_cap
#include "arch/x86_64/cpudebug.c"
#undef ioctl
#undef kvm_cap

enum { FD = 17, FIXED = 0x600, DR6_QUIET = (int)0xffff0ff0u, INT3 = 0x1000, DATA = 0x2008 };

static struct fake {
	struct kvm_guest_debug debug; /* as set last */
	struct kvm_debugregs regs;    /* the guest's own */
	int block_irq, error;
	unsigned sets;
	struct machine machine;
	struct kvm_run run;
	struct arch_points points;
	struct cpu cpu;
} f;

static int fake_cap(const struct kvm *k, unsigned cap)
{
	assert_ptr_equal(k, &f.machine.kvm);
	assert_int_equal(cap, KVM_CAP_SET_GUEST_DEBUG2);
	return f.block_irq;
}

static int set_debug(const struct kvm_guest_debug *d)
{
	f.sets++;
	if (f.error != 0) {
		errno = f.error;
		return -1;
	}
	f.debug = *d;
	return 0;
}

static int fake_ioctl(int fd, unsigned long request, ...)
{
	struct kvm_translation *t;
	va_list ap;
	void *p;

	va_start(ap, request);
	p = va_arg(ap, void *);
	va_end(ap);
	assert_int_equal(fd, FD);
	switch (request) {
	case KVM_SET_GUEST_DEBUG:
		return set_debug(p);
	case KVM_GET_DEBUGREGS:
		*(struct kvm_debugregs *)p = f.regs;
		return 0;
	case KVM_SET_DEBUGREGS:
		f.regs = *(struct kvm_debugregs *)p;
		return 0;
	case KVM_TRANSLATE:
		t = p;
		t->valid = t->linear_address < 0x8000;
		t->physical_address = t->linear_address + 0x10000;
		return 0;
	default:
		fail_msg("ioctl 0x%lx", request);
		return -1;
	}
}

static int set_up(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.cpu = (struct cpu){ .index = 1, .fd = FD, .run = &f.run, .machine = &f.machine };
	f.regs.dr6 = (uint32_t)DR6_QUIET;
	return 0;
}

static void point(unsigned i, enum sill_debug_point kind, uint64_t address, uint8_t size)
{
	f.points.hard[i].used = true;
	f.points.hard[i].kind = kind;
	f.points.hard[i].address = address;
	f.points.hard[i].size = size;
}

static void soft(uint64_t address)
{
	f.points.soft[f.points.soft_count++] = address;
}

static void tell(bool step)
{
	struct sill_err e = { 0 };

	assert_int_equal(arch_cpu_debug(&f.cpu, &f.points, step, &e), 0);
}

/* KVM_EXIT_DEBUG: is it the debugger's? */
static bool exits(unsigned exception, uint64_t pc, uint64_t dr6)
{
	f.run.debug.arch.exception = exception;
	f.run.debug.arch.pc = pc;
	f.run.debug.arch.dr6 = dr6 | (uint32_t)DR6_QUIET;
	return cpu_debug_trapped(&f.cpu);
}

static void dr7__is_the_processors(void **state)
{
	(void)state;
	assert_int_equal(cpu_debug_dr7(&f.points), FIXED);
	point(0, SILL_DEBUG_HARD, 0x1000, 1);
	assert_int_equal(cpu_debug_dr7(&f.points), FIXED | 0x2);
	point(1, SILL_DEBUG_WRITE, 0x2000, 4);
	assert_int_equal(cpu_debug_dr7(&f.points), FIXED | 0xa | 0xdull << 20);
	point(2, SILL_DEBUG_ACCESS, 0x3000, 8);
	assert_int_equal(cpu_debug_dr7(&f.points), FIXED | 0x2a | 0xdull << 20 | 0xbull << 24);
	point(3, SILL_DEBUG_WRITE, 0x4002, 2);
	assert_int_equal(cpu_debug_dr7(&f.points),
			 FIXED | 0xaa | 0xdull << 20 | 0xbull << 24 | 0x5ull << 28);
	assert_false(arch_has_point(SILL_DEBUG_READ));
}

static void kvm__is_told_of_points_and_steps(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	tell(false);
	assert_int_equal(f.debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
	point(2, SILL_DEBUG_WRITE, DATA, 8);
	tell(false);
	assert_int_equal(f.debug.control,
			 KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP);
	assert_int_equal(f.debug.arch.debugreg[2], DATA);
	assert_int_equal(f.debug.arch.debugreg[7], FIXED | 0x20 | 0x9ull << 24);
	tell(true); /* a host that cannot hold interrupts back */
	assert_int_equal(f.debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP |
						  KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_SINGLESTEP);
	f.block_irq = KVM_GUESTDBG_BLOCKIRQ | KVM_GUESTDBG_ENABLE;
	tell(true);
	assert_int_not_equal(f.debug.control & KVM_GUESTDBG_BLOCKIRQ, 0);
	tell(false); /* only while it steps */
	assert_int_equal(f.debug.control & (KVM_GUESTDBG_BLOCKIRQ | KVM_GUESTDBG_SINGLESTEP), 0);
	assert_int_equal(arch_cpu_debug(&f.cpu, NULL, false, &e), 0);
	assert_int_equal(f.debug.control, 0);
	assert_null(f.cpu.points);
	f.error = EINVAL;
	assert_int_equal(arch_cpu_debug(&f.cpu, &f.points, false, &e), -1);
	assert_int_equal(e.code, SILL_ERR_HOST);
	assert_null(f.cpu.points);
}

static void breakpoint__is_the_debuggers_where_it_set_one(void **state)
{
	(void)state;
	soft(INT3);
	tell(false);
	assert_true(exits(BP_VECTOR, INT3, 0));
	assert_true(f.cpu.trapped);
	assert_int_equal(f.cpu.trap.why, SILL_DEBUG_POINT);
	assert_int_equal(f.cpu.trap.point, SILL_DEBUG_SOFT);
	assert_int_equal(f.cpu.trap.address, INT3);
	assert_int_equal(f.cpu.trap.vcpu, 1);
	assert_int_equal(f.sets, 1); /* and the guest hears nothing of it */
}

/* It gets its exception, and the debugger's points stay; a step too, which ends behind the guest's handler. */
static void breakpoint__of_the_guests_own_is_given_back(void **state)
{
	(void)state;
	soft(INT3);
	point(1, SILL_DEBUG_ACCESS, DATA, 4);
	tell(true);
	assert_false(exits(BP_VECTOR, INT3 + 1, 0));
	assert_false(f.cpu.trapped);
	assert_int_equal(f.debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP |
						  KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_SINGLESTEP |
						  KVM_GUESTDBG_INJECT_BP);
	assert_int_equal(f.debug.arch.debugreg[1], DATA);
	assert_int_equal(f.debug.arch.debugreg[7], FIXED | 0x8 | 0xfull << 20);
	assert_int_equal(f.regs.dr6, (uint32_t)DR6_QUIET);
	tell(false); /* the injection is for once */
	assert_int_equal(f.debug.control & KVM_GUESTDBG_INJECT_BP, 0);
}

static void hard_point__is_told_by_dr6(void **state)
{
	(void)state;
	point(0, SILL_DEBUG_HARD, INT3, 1);
	point(3, SILL_DEBUG_WRITE, DATA, 8);
	tell(false);
	/* What is not on may be told, too (SDM 3B 18.2.3). */
	assert_true(exits(DB_VECTOR, 0x5000, 1 << 3 | 1 << 1));
	assert_int_equal(f.cpu.trap.why, SILL_DEBUG_POINT);
	assert_int_equal(f.cpu.trap.point, SILL_DEBUG_WRITE);
	assert_int_equal(f.cpu.trap.address, DATA);
	assert_true(exits(DB_VECTOR, INT3, 1));
	assert_int_equal(f.cpu.trap.point, SILL_DEBUG_HARD);
	assert_int_equal(f.sets, 1);
}

static void step__is_the_debuggers_when_it_asked(void **state)
{
	(void)state;
	point(0, SILL_DEBUG_WRITE, DATA, 8);
	tell(true);
	assert_true(exits(DB_VECTOR, 0x5000, DR6_STEP));
	assert_int_equal(f.cpu.trap.why, SILL_DEBUG_STEP);
	/* A step into what is watched is that. */
	assert_true(exits(DB_VECTOR, 0x5000, DR6_STEP | 1));
	assert_int_equal(f.cpu.trap.why, SILL_DEBUG_POINT);
}

/* A debugger inside the guest: it reads in DR6 why, as the processor would have told it. */
static void debug_exception__of_the_guests_own_is_given_back(void **state)
{
	(void)state;
	point(0, SILL_DEBUG_WRITE, DATA, 8);
	tell(false);
	f.regs.dr6 |= 1 << 1; /* an old one */
	assert_false(exits(DB_VECTOR, 0x5000, DR6_STEP));
	assert_int_equal(f.regs.dr6, (uint32_t)DR6_QUIET | DR6_STEP);
	assert_int_equal(f.debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP |
						  KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB);
	f.regs.dr6 = (uint32_t)DR6_QUIET;
	assert_false(exits(DB_VECTOR, 0x5000, DR6_GUARD | 1 << 2));
	assert_int_equal(f.regs.dr6, (uint32_t)DR6_QUIET | DR6_GUARD | 1 << 2);
	/* Another exception comes first, and with it this one again. */
	f.error = EBUSY;
	assert_false(exits(DB_VECTOR, 0x5000, DR6_STEP));
}

static void translate__is_the_vcpus(void **state)
{
	uint64_t gpa = 0;

	(void)state;
	assert_true(arch_cpu_translate(&f.cpu, 0x7fff, &gpa));
	assert_int_equal(gpa, 0x17fff);
	assert_false(arch_cpu_translate(&f.cpu, 0x8000, &gpa));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(dr7__is_the_processors, set_up),
		cmocka_unit_test_setup(kvm__is_told_of_points_and_steps, set_up),
		cmocka_unit_test_setup(breakpoint__is_the_debuggers_where_it_set_one, set_up),
		cmocka_unit_test_setup(breakpoint__of_the_guests_own_is_given_back, set_up),
		cmocka_unit_test_setup(hard_point__is_told_by_dr6, set_up),
		cmocka_unit_test_setup(step__is_the_debuggers_when_it_asked, set_up),
		cmocka_unit_test_setup(debug_exception__of_the_guests_own_is_given_back, set_up),
		cmocka_unit_test_setup(translate__is_the_vcpus, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
