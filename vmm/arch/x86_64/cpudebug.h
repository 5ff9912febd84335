/* SPDX-License-Identifier: Apache-2.0 */
/* cpudebug.h - a vCPU under a debugger, by KVM_SET_GUEST_DEBUG; the rest of it is in arch.h. */
#ifndef ARCH_X86_64_CPUDEBUG_H
#define ARCH_X86_64_CPUDEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"

/*
 * KVM_EXIT_DEBUG, on the vCPU's thread. True: it is the debugger's, and c->trap says what it is. False: it was
 * the guest's own breakpoint or step, which gets its exception; it goes on.
 */
bool cpu_debug_trapped(struct cpu *c);

/* DR7 with the points of @p on (SDM 3B 18.2.4). */
uint64_t cpu_debug_dr7(const struct arch_points *p);

#endif
