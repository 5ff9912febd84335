/* SPDX-License-Identifier: Apache-2.0 */
/* asm.h - the numbers that start.S and the C files share. */
#ifndef PAYLOAD_ASM_H
#define PAYLOAD_ASM_H

#define MAX_CPUS 256

/* Offsets in struct cpu (cpu.h), asserted there. */
#define CPU_IRQS  0
#define CPU_STACK 8
#define CPU_INDEX 16
#define CPU_COUNT 32

#define TSS_SIZE 104

/* Linux's own, so that a monitor that runs ring 3 as a process needs no others. */
#define SEL_KERNEL_CODE32 0x08
#define SEL_KERNEL_CODE   0x10
#define SEL_KERNEL_DATA   0x18
#define SEL_USER_DATA     0x2b
#define SEL_USER_CODE     0x33
#define SEL_TSS           0x40
#define GDT_SIZE          (SEL_TSS + MAX_CPUS * 16)

#define STUB_SIZE 16

#define LAPIC_BASE 0xfee00000
#define LAPIC_EOI  0xfee000b0

#define AP_TRAMPOLINE 0x8000

#endif
