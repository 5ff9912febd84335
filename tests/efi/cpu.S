/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.S - instructions that may fault, and the ways in from exceptions and
 * interrupts.
 *
 * A function that may fault leaves the stack as it found it, so that the
 * handler can end it early: trap.c sends it to fault_return with the vector in
 * EAX when the faulting instruction is in the table fault_points.
 */
	.text

	.globl try_rdmsr
try_rdmsr:
	movl %edi, %ecx
.Lrdmsr:
	rdmsr
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, (%rsi)
	xorl %eax, %eax
	ret

	.globl try_wrmsr
try_wrmsr:
	movl %edi, %ecx
	movl %esi, %eax
	movq %rsi, %rdx
	shrq $32, %rdx
.Lwrmsr:
	wrmsr
	xorl %eax, %eax
	ret

	.globl try_xgetbv
try_xgetbv:
	movl %edi, %ecx
.Lxgetbv:
	xgetbv
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, (%rsi)
	xorl %eax, %eax
	ret

	.globl try_xsetbv
try_xsetbv:
	movl %edi, %ecx
	movl %esi, %eax
	movq %rsi, %rdx
	shrq $32, %rdx
.Lxsetbv:
	xsetbv
	xorl %eax, %eax
	ret

	.globl try_rdtscp
try_rdtscp:
.Lrdtscp:
	rdtscp
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, (%rdi)
	xorl %eax, %eax
	ret

	.globl try_invpcid
try_invpcid:
.Linvpcid:
	invpcid (%rsi), %rdi
	xorl %eax, %eax
	ret

	.globl try_read32
try_read32:
.Lread32:
	movl (%rdi), %eax
	movl %eax, (%rsi)
	xorl %eax, %eax
	ret

	.globl fault_return
fault_return:
	ret

	/* Offsets from the table itself: the image is loaded anywhere. Ends in 0. */
	.balign 8
	.globl fault_points
fault_points:
	.quad .Lrdmsr - fault_points
	.quad .Lwrmsr - fault_points
	.quad .Lxgetbv - fault_points
	.quad .Lxsetbv - fault_points
	.quad .Lrdtscp - fault_points
	.quad .Linvpcid - fault_points
	.quad .Lread32 - fault_points
	.quad 0

	/* The hypercall's registers: RCX control, RDX input, R8 output (TLFS 3.7). */
	.globl hypercall_at
hypercall_at:
	pushq %rbx
	movq %rdi, %rax
	movq %rcx, %r8
	movq %rsi, %rcx
	call *%rax
	popq %rbx
	ret

	/* struct frame of trap.h. Here the stack has the vector and the error code on it. */
common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	call trap_entry
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	.macro exception vector, error_code
	.globl entry_\vector
entry_\vector:
	.if \error_code == 0
	pushq $0
	.endif
	pushq $\vector
	jmp common
	.endm

	exception 6, 0
	exception 13, 1
	exception 14, 1
	exception 0xe0, 0
	exception 0xe1, 0
	exception 0xe2, 0
	exception 0xe3, 0

	.section .note.GNU-stack, "", @progbits
