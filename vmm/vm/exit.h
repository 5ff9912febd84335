/* SPDX-License-Identifier: Apache-2.0 */
/* exit.h - one turn of a vCPU: KVM_RUN, and the exit's handler. */
#ifndef VM_EXIT_H
#define VM_EXIT_H

#include "vm/vcpu.h"

/* Runs on the vCPU's thread. *ret_why is set for everything but AGAIN and PARK. */
enum vcpu_next vcpu_step(struct vcpu *v, enum cause *ret_why);

/* For the log. */
const char *cause_text(enum cause why);

#endif
