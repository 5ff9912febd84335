/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.S - from the PVH entry (32-bit protected mode, paging off, EBX = start
 * info) to main() in 64-bit mode at ring 3; the way of the application
 * processors to the same place; and the few lines that run at ring 0 later.
 *
 * Ring 3 is the point: where /dev/kvm has no hardware behind it, 64-bit ring 3
 * runs natively and all else is interpreted. So what can be done at ring 3
 * (IDT, LAPIC, PIC, page tables above 4 GiB) is left to C, the page tables
 * below 4 GiB are data, and an interrupt handler is a dozen instructions.
 *
 * Ports are opened by the TSS's bitmap, not by IOPL, which that kind of /dev/kvm
 * loses.
 *
 * Each processor has one page with its struct cpu at the bottom and its ring 0
 * stack at the top, so that a handler finds the one from the other (cpu.h).
 */
#include "asm.h"

	.section .note.Xen, "a", @note
	.align 4
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad pvh_entry

	.text
	.code32
	.globl pvh_entry
pvh_entry:
	cli
	cld
	mov	$(cpu0 + 4096), %esp
	mov	%ebx, boot_start_info
	lgdt	gdt_pointer
	call	long_mode
	ljmp	$SEL_KERNEL_CODE, $1f

	.code64
1:	mov	$0x80000000, %eax	/* ring 3 shows the host's CPUID: ask here */
	cpuid
	cmp	$0x80000008, %eax
	jb	2f
	mov	$0x80000008, %eax
	cpuid
	mov	%eax, boot_phys_bits
2:	mov	$cpu0, %edi
	mov	$stack0_end, %esi
	mov	$main, %edx
	jmp	to_ring3

/* 32-bit: everything for long mode but the far jump. Clobbers eax, ecx, edx. */
	.code32
long_mode:
	mov	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER: LME */
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	$0x80000033, %eax	/* PG, NE, ET, MP, PE */
	mov	%eax, %cr0
	ret

/*
 * 64-bit, ring 0: rdi = struct cpu, rsi = ring 3 stack, rdx = function(cpu).
 * The first struct cpu is descriptor pair 0 of the TSSs, and so on.
 */
	.code64
to_ring3:
	mov	$SEL_KERNEL_DATA, %eax
	mov	%eax, %ss
	mov	$SEL_USER_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs

	/* Its TSS: RSP0 and where the I/O bitmap is, which all of them share. */
	imul	$TSS_SIZE, CPU_INDEX(%rdi), %eax
	add	$tss, %eax
	lea	4096(%rdi), %rcx
	mov	%rcx, 4(%rax)
	mov	$io_bitmap, %ecx
	sub	%eax, %ecx
	mov	%cx, 102(%rax)
	movb	$0xff, io_bitmap + 8192
	mov	%ecx, %ebx
	add	$8192, %ebx		/* the limit: the byte of ones behind the bitmap */
	mov	CPU_INDEX(%rdi), %ecx
	shl	$4, %ecx
	add	$SEL_TSS, %ecx
	mov	%bx, gdt(%rcx)
	mov	%ax, gdt + 2(%rcx)
	shr	$16, %rax
	mov	%al, gdt + 4(%rcx)
	movw	$0x89, gdt + 5(%rcx)
	mov	%ah, gdt + 7(%rcx)
	movq	$0, gdt + 8(%rcx)
	ltr	%cx
	lidt	idt_pointer

	pushq	$SEL_USER_DATA
	push	%rsi
	pushq	$0x0002			/* interrupts come with lapic_init() */
	pushq	$SEL_USER_CODE
	push	$call_rdx
	iretq
call_rdx:
	xor	%ebp, %ebp
	call	*%rdx
	ud2				/* it does not return */

/*
 * An application processor starts here, copied to AP_TRAMPOLINE. It takes the
 * next struct cpu of the chain that smp.c has made.
 */
	.code16
	.globl ap_start, ap_start_end
ap_start:
	cli
	cld
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	AP_TRAMPOLINE + ap_gdt_pointer - ap_start
	mov	$1, %eax
	mov	%eax, %cr0
	ljmpl	$SEL_KERNEL_CODE32, $ap_start32
	.align 4
ap_gdt_pointer:
	.word	GDT_SIZE - 1
	.long	gdt
ap_start_end:

	.code32
ap_start32:
	mov	$SEL_KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	$ap_scratch_stack + 16, %esp
	call	long_mode		/* they come one at a time: smp.c waits for each */
	ljmp	$SEL_KERNEL_CODE, $1f
	.code64
1:	mov	ap_next_cpu, %rdi
	lea	4096(%rdi), %rsp
	mov	CPU_STACK(%rdi), %rsi
	mov	$smp_ap_main, %edx
	jmp	to_ring3

/* Interrupts: count, end the interrupt, return. */
irq_common:
	push	%rax
	push	%rcx
	mov	%rsp, %rcx
	and	$-4096, %rcx
	mov	16(%rsp), %eax
	incl	CPU_COUNT(%rcx, %rax, 4)
	incq	CPU_IRQS(%rcx)
	mov	$LAPIC_EOI, %eax
	movl	$0, (%rax)
	pop	%rcx
	pop	%rax
	add	$8, %rsp
	iretq

	.globl irq_spurious
irq_spurious:
	iretq

/*
 * int3 with rax = the CPU's count of interrupts that the caller has seen: sleep
 * until there is another. The gate has cleared IF, so none is slept through. It
 * returns with IF set: ring 3 without IOPL has no other way to set it.
 */
	.globl irq_idle
irq_idle:
	push	%rcx
	mov	%rsp, %rcx
	and	$-4096, %rcx
	cmp	CPU_IRQS(%rcx), %rax
	jne	1f
	sti
	hlt
	cli
1:	pop	%rcx
	orl	$0x200, 16(%rsp)
	iretq

/* Exceptions end the run: trap.c says why. Stack: vector, error code, frame. */
exception_common:
	mov	%rsp, %rdi
	mov	%cr2, %rsi
	and	$-16, %rsp
	call	trap_report
1:	cli
	hlt
	jmp	1b

	.globl irq_stubs, irq_stub_size
	.align STUB_SIZE
irq_stubs:
	.set vector, 0
	.rept 256
	.align STUB_SIZE
	.if vector >= 32
	pushq	$vector
	jmp	irq_common
	.else
	.if !((0x60227d00 >> vector) & 1)	/* 8, 10..14, 17, 21, 29, 30 bring an error code */
	pushq	$0
	.endif
	pushq	$vector
	jmp	exception_common
	.endif
	.set vector, vector + 1
	.endr

	.data
	.align 16
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff	/* ring 0 code, 32-bit */
	.quad 0x00af9b000000ffff	/* ring 0 code, 64-bit */
	.quad 0x00cf93000000ffff	/* ring 0 data */
	.quad 0
	.quad 0x00cff3000000ffff	/* ring 3 data */
	.quad 0x00affb000000ffff	/* ring 3 code, 64-bit */
	.quad 0
	.fill 2 * MAX_CPUS, 8, 0	/* TSSs */
gdt_pointer:
	.word GDT_SIZE - 1
	.quad gdt
	.align 8
idt_pointer:
	.word 4095
	.quad idt

/* Identity map of the first 4 GiB in 2 MiB pages: present, writable, user. */
	.globl pml4
	.align 4096
pml4:
	.quad pdpt + 7
	.fill 511, 8, 0
pdpt:
	.quad pd + 7, pd + 0x1007, pd + 0x2007, pd + 0x3007
	.fill 508, 8, 0
pd:
	.set page, 0
	.rept 2048
	.quad (page << 21) + 0x87
	.set page, page + 1
	.endr

	.globl boot_start_info, boot_phys_bits, ap_next_cpu
	.align 8
boot_start_info: .quad 0
ap_next_cpu:	.quad 0
boot_phys_bits:	.long 36

	.bss
	.globl idt, cpu0
	.align 4096
idt:	.skip 4096
tss:	.skip MAX_CPUS * TSS_SIZE
io_bitmap:			/* zero: all ports are allowed */
	.skip 8192 + 1
	.align 4096
cpu0:	.skip 4096
	.skip 32768
stack0_end:
ap_scratch_stack:
	.skip 16

	.section .note.GNU-stack, "", @progbits
