/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuregs.c - the registers of a vCPU as a debugger numbers them.
 *
 * The first 24 and the two groups of the floating-point unit are GDB's standard features of this processor (GDB manual,
 * "i386 Features"); the last group is ours: what a kernel's debugger wants besides.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch/x86_64/board.h"
#include "arch/x86_64/cpustate.h"

enum { FPR = 8, XMM = 16 };
static const uint32_t MSR_KERNEL_GS_BASE = 0xc0000102; /* SDM 4, table 2-2 */

/* clang-format off */
#define CORE "org.gnu.gdb.i386.core"
#define SSE "org.gnu.gdb.i386.sse"
#define SYSTEM "org.sill.i386.system"
#define GENERAL(name) { name, "int64", CORE, 8, false }
#define SELECTOR(name) { name, "int32", CORE, 4, true }
#define FLOAT(name) { name, "i387_ext", CORE, 10, false }
#define FLOAT_WORD(name, constant) { name, "int", CORE, 4, constant }
#define VECTOR(name) { name, "vec128", SSE, 16, false }
#define CONTROL(name, constant) { name, "int64", SYSTEM, 8, constant }

static const struct sill_debug_register rows[] = {
	GENERAL("rax"), GENERAL("rbx"), GENERAL("rcx"), GENERAL("rdx"), GENERAL("rsi"), GENERAL("rdi"),
	{ "rbp", "data_ptr", CORE, 8, false }, { "rsp", "data_ptr", CORE, 8, false },
	GENERAL("r8"), GENERAL("r9"), GENERAL("r10"), GENERAL("r11"),
	GENERAL("r12"), GENERAL("r13"), GENERAL("r14"), GENERAL("r15"),
	{ "rip", "code_ptr", CORE, 8, false }, { "eflags", "int32", CORE, 4, false },
	SELECTOR("cs"), SELECTOR("ss"), SELECTOR("ds"), SELECTOR("es"), SELECTOR("fs"), SELECTOR("gs"),
	FLOAT("st0"), FLOAT("st1"), FLOAT("st2"), FLOAT("st3"),
	FLOAT("st4"), FLOAT("st5"), FLOAT("st6"), FLOAT("st7"),
	FLOAT_WORD("fctrl", false), FLOAT_WORD("fstat", false), FLOAT_WORD("ftag", true), FLOAT_WORD("fiseg", true),
	FLOAT_WORD("fioff", true), FLOAT_WORD("foseg", true), FLOAT_WORD("fooff", true), FLOAT_WORD("fop", true),
	VECTOR("xmm0"), VECTOR("xmm1"), VECTOR("xmm2"), VECTOR("xmm3"),
	VECTOR("xmm4"), VECTOR("xmm5"), VECTOR("xmm6"), VECTOR("xmm7"),
	VECTOR("xmm8"), VECTOR("xmm9"), VECTOR("xmm10"), VECTOR("xmm11"),
	VECTOR("xmm12"), VECTOR("xmm13"), VECTOR("xmm14"), VECTOR("xmm15"),
	{ "mxcsr", "int", SSE, 4, false },
	CONTROL("fs_base", false), CONTROL("gs_base", false), CONTROL("k_gs_base", false),
	CONTROL("cr0", false), CONTROL("cr2", false), CONTROL("cr3", false), CONTROL("cr4", false), CONTROL("cr8", false),
	CONTROL("efer", false), CONTROL("gdt_base", true), CONTROL("idt_base", true), CONTROL("tr_base", true),
};
/* clang-format on */

const struct sill_debug_register *arch_debug_registers(unsigned *ret_count)
{
	*ret_count = ARRAY_LEN(rows);
	return rows;
}

const char *arch_debug_processor(void)
{
	return "i386:x86-64";
}

/* All that KVM has of them. */
struct all {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	uint64_t kernel_gs;
};

/* One after the other, out of the block or into it. */
struct walk {
	uint8_t *at;
	bool in; /* into the registers */
};

static void bytes(struct walk *w, void *p, size_t n)
{
	if (w->in)
		memcpy(p, w->at, n);
	else
		memcpy(w->at, p, n);
	w->at += n;
}

/* Four bytes of it; the others are zero. */
static uint32_t half(struct walk *w, uint64_t v)
{
	uint32_t h = (uint32_t)v;

	bytes(w, &h, sizeof(h));
	return h;
}

/* What a new value of is not taken. */
static void constant(struct walk *w, uint64_t v, size_t size)
{
	uint64_t copy = v;

	bytes(w, &copy, size);
}

static void walk_general(struct walk *w, struct kvm_regs *r)
{
	void *const first[] = { &r->rax, &r->rbx, &r->rcx, &r->rdx, &r->rsi, &r->rdi,
				&r->rbp, &r->rsp, &r->r8,  &r->r9,  &r->r10, &r->r11,
				&r->r12, &r->r13, &r->r14, &r->r15, &r->rip };

	for (unsigned i = 0; i < ARRAY_LEN(first); i++)
		bytes(w, first[i], 8);
	r->rflags = half(w, r->rflags);
}

/* Two bits a register, where FXSAVE has one: there is something, or it is empty (SDM 1 8.1.7, 10.5.1.1). */
static uint16_t full_tag(uint8_t used)
{
	unsigned tag = 0;

	for (unsigned i = 0; i < FPR; i++)
		tag |= (used >> i & 1) != 0 ? 0 : 3u << (2 * i);
	return (uint16_t)tag;
}

static void walk_float(struct walk *w, struct kvm_fpu *f)
{
	for (unsigned i = 0; i < FPR; i++)
		bytes(w, f->fpr[i], 10);
	f->fcw = (uint16_t)half(w, f->fcw);
	f->fsw = (uint16_t)half(w, f->fsw);
	constant(w, full_tag(f->ftwx), 4);
	constant(w, 0, 4); /* the segments are not kept any more (SDM 1 8.1.8) */
	constant(w, f->last_ip, 4);
	constant(w, 0, 4);
	constant(w, f->last_dp, 4);
	constant(w, f->last_opcode, 4);
	for (unsigned i = 0; i < XMM; i++)
		bytes(w, f->xmm[i], 16);
	bytes(w, &f->mxcsr, 4);
}

static void walk_all(struct walk *w, struct all *a)
{
	struct kvm_sregs *s = &a->sregs;
	const uint16_t selector[] = { s->cs.selector, s->ss.selector, s->ds.selector,
				      s->es.selector, s->fs.selector, s->gs.selector };
	void *const control[] = { &s->fs.base, &s->gs.base, &a->kernel_gs, &s->cr0, &s->cr2,
				  &s->cr3,     &s->cr4,     &s->cr8,       &s->efer };

	walk_general(w, &a->regs);
	for (unsigned i = 0; i < ARRAY_LEN(selector); i++)
		constant(w, selector[i], 4);
	walk_float(w, &a->fpu);
	for (unsigned i = 0; i < ARRAY_LEN(control); i++)
		bytes(w, control[i], 8);
	constant(w, s->gdt.base, 8);
	constant(w, s->idt.base, 8);
	constant(w, s->tr.base, 8);
}

static int read_all(const struct cpu *c, struct all *ret, struct sill_err *e)
{
	struct msr_list m = { .head = { .nmsrs = 1 },
			      .entry = { { .index = MSR_KERNEL_GS_BASE } } };

	memset(ret, 0, sizeof(*ret)); /* padding is compared, too */
	if (ioctl(c->fd, KVM_GET_REGS, &ret->regs) < 0 ||
	    ioctl(c->fd, KVM_GET_SREGS, &ret->sregs) < 0 ||
	    ioctl(c->fd, KVM_GET_FPU, &ret->fpu) < 0 || ioctl(c->fd, KVM_GET_MSRS, &m) < 0)
		return sill_err_sys(e, errno, "read the registers of vCPU %u", c->index);
	ret->kernel_gs = m.entry[0].data;
	return 0;
}

int arch_cpu_debug_get(const struct cpu *c, uint8_t *block, struct sill_err *e)
{
	struct walk w = { .at = block };
	struct all a;

	if (read_all(c, &a, e) < 0)
		return -1;
	walk_all(&w, &a);
	return 0;
}

/* Only what has changed: KVM forgets an exception that is on its way with new general registers. */
int arch_cpu_debug_set(const struct cpu *c, const uint8_t *block, struct sill_err *e)
{
	struct walk w = { .in = true };
	struct all old, now;
	int failed = 0;

	if (read_all(c, &old, e) < 0)
		return -1;
	now = old;
	w.at = (uint8_t *)(uintptr_t)block; /* which is only read */
	walk_all(&w, &now);
	if (memcmp(&now.sregs, &old.sregs, sizeof(now.sregs)) != 0)
		failed |= ioctl(c->fd, KVM_SET_SREGS, &now.sregs) < 0;
	if (memcmp(&now.regs, &old.regs, sizeof(now.regs)) != 0)
		failed |= ioctl(c->fd, KVM_SET_REGS, &now.regs) < 0;
	if (memcmp(&now.fpu, &old.fpu, sizeof(now.fpu)) != 0)
		failed |= ioctl(c->fd, KVM_SET_FPU, &now.fpu) < 0;
	if (now.kernel_gs != old.kernel_gs) {
		struct msr_list m = { .head = { .nmsrs = 1 },
				      .entry = { { .index = MSR_KERNEL_GS_BASE,
						   .data = now.kernel_gs } } };

		failed |= ioctl(c->fd, KVM_SET_MSRS, &m) != 1;
	}
	return failed == 0 ? 0
			   : sill_err_set(e, SILL_ERR_LIMIT,
					  "vCPU %u does not take these registers", c->index);
}
