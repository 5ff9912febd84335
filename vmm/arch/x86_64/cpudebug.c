/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpudebug.c - see cpudebug.h and arch.h.
 *
 * While a debugger is there #BP and, with points in debug registers or a step, #DB exit to us. What is not the
 * debugger's is given to the guest as it would have had it.
 */
#include "arch/x86_64/cpudebug.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch/x86_64/board.h"
#include "base/log.h"

/* SDM 3B 18.2.3; the last two are a move to a debug register that DR7 guards, and a task switch. */
enum { DR6_HITS = 0xf, DR6_STEP = 1 << 14, DR6_GUARD = 1 << 13, DR6_TASK = 1 << 15 };

const uint8_t arch_trap[] = { 0xcc };
const unsigned arch_trap_size = sizeof(arch_trap);

bool arch_has_point(enum sill_debug_point kind)
{
	return kind != SILL_DEBUG_SOFT && kind != SILL_DEBUG_READ;
}

uint64_t cpu_debug_dr7(const struct arch_points *p)
{
	static const uint8_t length[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };
	static const uint8_t access[] = { [SILL_DEBUG_HARD] = 0,
					  [SILL_DEBUG_WRITE] = 1,
					  [SILL_DEBUG_READ] = 3,
					  [SILL_DEBUG_ACCESS] = 3 };
	uint64_t dr7 = 0x600; /* bit 10 is always set; exact matches */

	for (unsigned i = 0; i < ARCH_HARD_POINTS; i++)
		if (p->hard[i].used)
			dr7 |= 2ull << (2 * i) | (uint64_t)access[p->hard[i].kind] << (16 + 4 * i) |
			       (uint64_t)length[p->hard[i].size] << (18 + 4 * i);
	return dr7;
}

int arch_cpu_debug(struct cpu *c, const struct arch_points *p, bool step, struct sill_err *e)
{
	struct kvm_guest_debug d = { 0 };

	if (p != NULL)
		d.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
	for (unsigned i = 0; p != NULL && i < ARCH_HARD_POINTS; i++) {
		if (!p->hard[i].used)
			continue;
		d.control |= KVM_GUESTDBG_USE_HW_BP;
		d.arch.debugreg[i] = p->hard[i].address;
	}
	if (p != NULL)
		d.arch.debugreg[7] = cpu_debug_dr7(p);
	if (p != NULL && step) {
		d.control |= KVM_GUESTDBG_SINGLESTEP;
		if ((kvm_cap(&c->machine->kvm, KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ) !=
		    0)
			d.control |= KVM_GUESTDBG_BLOCKIRQ;
	}
	if (ioctl(c->fd, KVM_SET_GUEST_DEBUG, &d) < 0)
		return sill_err_sys(e, errno, "vCPU %u: set up for a debugger", c->index);
	c->points = p;
	c->debug_control = d.control;
	return 0;
}

/* The guest's own. With the registers of the debugger in place, DR6 is what the guest would read. */
static void give_back(const struct cpu *c)
{
	const struct kvm_debug_exit_arch *x = &c->run->debug.arch;
	const bool db = x->exception == DB_VECTOR;
	struct kvm_guest_debug d = { .control = c->debug_control };
	struct kvm_debugregs regs;

	if (db && ioctl(c->fd, KVM_GET_DEBUGREGS, &regs) == 0) {
		regs.dr6 &= ~(uint64_t)DR6_HITS;
		regs.dr6 |= x->dr6 & (DR6_HITS | DR6_STEP | DR6_GUARD | DR6_TASK);
		(void)ioctl(c->fd, KVM_SET_DEBUGREGS, &regs);
	}
	d.control |= db ? KVM_GUESTDBG_INJECT_DB : KVM_GUESTDBG_INJECT_BP;
	for (unsigned i = 0; c->points != NULL && i < ARCH_HARD_POINTS; i++)
		if (c->points->hard[i].used)
			d.arch.debugreg[i] = c->points->hard[i].address;
	if (c->points != NULL)
		d.arch.debugreg[7] = cpu_debug_dr7(c->points);
	/* Another exception is on its way, which comes first. */
	(void)ioctl(c->fd, KVM_SET_GUEST_DEBUG, &d);
}

static bool is_soft(const struct arch_points *p, uint64_t pc)
{
	for (unsigned i = 0; i < p->soft_count; i++)
		if (p->soft[i] == pc)
			return true;
	return false;
}

bool cpu_debug_trapped(struct cpu *c)
{
	const struct kvm_debug_exit_arch *x = &c->run->debug.arch;
	const struct arch_points *p = c->points;

	c->trap = (struct sill_debug_stop){ .vcpu = c->index, .address = x->pc };
	if (p != NULL && x->exception == BP_VECTOR && is_soft(p, x->pc)) {
		c->trap.why = SILL_DEBUG_POINT;
		c->trap.point = SILL_DEBUG_SOFT;
		return c->trapped = true;
	}
	for (unsigned i = 0; p != NULL && x->exception == DB_VECTOR && i < ARCH_HARD_POINTS; i++) {
		if (!p->hard[i].used || (x->dr6 & 1u << i) == 0)
			continue;
		c->trap.why = SILL_DEBUG_POINT;
		c->trap.point = p->hard[i].kind;
		c->trap.address = p->hard[i].address;
		return c->trapped = true;
	}
	if (x->exception == DB_VECTOR && (x->dr6 & DR6_STEP) != 0 &&
	    (c->debug_control & KVM_GUESTDBG_SINGLESTEP) != 0) {
		c->trap.why = SILL_DEBUG_STEP;
		return c->trapped = true;
	}
	give_back(c);
	return false;
}

bool arch_cpu_translate(const struct cpu *c, uint64_t address, uint64_t *ret)
{
	struct kvm_translation t = { .linear_address = address };

	if (ioctl(c->fd, KVM_TRANSLATE, &t) < 0 || !t.valid)
		return false;
	*ret = t.physical_address;
	return true;
}
