/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpunote.c - a vCPU's registers as notes of an ELF core file, for debuggers.
 *
 *   CORE, NT_PRSTATUS (1)  struct elf_prstatus of x86-64 Linux: general registers
 *   QEMU, 0                what QEMU's dumps add: segments, tables, control registers
 *
 * Layouts: System V ABI, "Note Section"; <sys/procfs.h>; QEMU's documentation of dump-guest-memory
 * as crash and volatility read it: version and size, 18 registers, 10 segments, CR0..CR4, the
 * kernel's GS base.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch/arch.h"
#include "arch/x86_64/cpustate.h"
#include "base/buf.h"

enum { NT_PRSTATUS_TYPE = 1, QEMU_TYPE = 0, QEMU_VERSION = 1 };
static const uint32_t MSR_KERNEL_GS_BASE = 0xc0000102; /* SDM 4, table 2-2 */

/* struct elf_prstatus: where its registers begin, and how long it is. */
enum { PRSTATUS_PID = 32, PRSTATUS_REGS = 112, PRSTATUS_REG_COUNT = 27, PRSTATUS_SIZE = 336 };
enum { QEMU_SIZE = 440 };

static void begin_note(struct buf *out, const char *name, uint32_t size, uint32_t type)
{
	(void)buf_add32(out, (uint32_t)strlen(name) + 1);
	(void)buf_add32(out, size);
	(void)buf_add32(out, type);
	(void)buf_add(out, name, strlen(name) + 1);
	buf_align(out, 4);
}

static void note_status(const struct cpu *c, const struct kvm_regs *r, const struct kvm_sregs *s,
			struct buf *out)
{
	const uint64_t reg[PRSTATUS_REG_COUNT] = {
		r->r15,         r->r14,         r->r13,         r->r12,
		r->rbp,         r->rbx,         r->r11,         r->r10,
		r->r9,          r->r8,          r->rax,         r->rcx,
		r->rdx,         r->rsi,         r->rdi,         ~0ull /* no system call */,
		r->rip,         s->cs.selector, r->rflags,      r->rsp,
		s->ss.selector, s->fs.base,     s->gs.base,     s->ds.selector,
		s->es.selector, s->fs.selector, s->gs.selector,
	};

	begin_note(out, "CORE", PRSTATUS_SIZE, NT_PRSTATUS_TYPE);
	(void)buf_add(out, NULL, PRSTATUS_PID);
	(void)buf_add32(out, c->index + 1); /* debuggers take 0 for no thread */
	(void)buf_add(out, NULL, PRSTATUS_REGS - PRSTATUS_PID - 4);
	for (unsigned i = 0; i < PRSTATUS_REG_COUNT; i++)
		(void)buf_add64(out, reg[i]);
	(void)buf_add(out, NULL, PRSTATUS_SIZE - PRSTATUS_REGS - sizeof(reg));
}

/* The flags are bits 40 to 55 of a descriptor, where they are in its second word (SDM 3A 3.4.5). */
static uint32_t descriptor_bits(const struct kvm_segment *s)
{
	return (uint32_t)s->type << 8 | (uint32_t)s->s << 12 | (uint32_t)s->dpl << 13 |
	       (uint32_t)s->present << 15 | (uint32_t)s->avl << 20 | (uint32_t)s->l << 21 |
	       (uint32_t)s->db << 22 | (uint32_t)s->g << 23;
}

static void add_segment(struct buf *out, const struct kvm_segment *s)
{
	(void)buf_add32(out, s->selector);
	(void)buf_add32(out, s->limit);
	(void)buf_add32(out, descriptor_bits(s));
	(void)buf_add32(out, 0);
	(void)buf_add64(out, s->base);
}

static void add_table(struct buf *out, const struct kvm_dtable *t)
{
	const struct kvm_segment s = { .base = t->base, .limit = t->limit };

	add_segment(out, &s);
}

static void note_qemu(const struct kvm_regs *r, const struct kvm_sregs *s, uint64_t kernel_gs,
		      struct buf *out)
{
	const uint64_t reg[] = { r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi,
				 r->rsp, r->rbp, r->r8,  r->r9,  r->r10, r->r11,
				 r->r12, r->r13, r->r14, r->r15, r->rip, r->rflags };
	const uint64_t cr[] = { s->cr0, 0, s->cr2, s->cr3, s->cr4 };

	begin_note(out, "QEMU", QEMU_SIZE, QEMU_TYPE);
	(void)buf_add32(out, QEMU_VERSION);
	(void)buf_add32(out, QEMU_SIZE);
	for (unsigned i = 0; i < ARRAY_LEN(reg); i++)
		(void)buf_add64(out, reg[i]);
	add_segment(out, &s->cs);
	add_segment(out, &s->ds);
	add_segment(out, &s->es);
	add_segment(out, &s->fs);
	add_segment(out, &s->gs);
	add_segment(out, &s->ss);
	add_segment(out, &s->ldt);
	add_segment(out, &s->tr);
	add_table(out, &s->gdt);
	add_table(out, &s->idt);
	for (unsigned i = 0; i < ARRAY_LEN(cr); i++)
		(void)buf_add64(out, cr[i]);
	(void)buf_add64(out, kernel_gs);
	buf_align(out, 4);
}

int arch_cpu_note(const struct cpu *c, struct buf *out, struct sill_err *e)
{
	struct msr_list m = { .head = { .nmsrs = 1 },
			      .entry = { { .index = MSR_KERNEL_GS_BASE } } };
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(c->fd, KVM_GET_REGS, &regs) < 0 || ioctl(c->fd, KVM_GET_SREGS, &sregs) < 0 ||
	    ioctl(c->fd, KVM_GET_MSRS, &m) < 0)
		return sill_err_sys(e, errno, "read the registers of vCPU %u", c->index);
	note_status(c, &regs, &sregs, out);
	note_qemu(&regs, &sregs, m.entry[0].data, out);
	return 0;
}
