/* SPDX-License-Identifier: Apache-2.0 */
/* smp.h - the other processors: found in the MADT, started, given work. */
#ifndef PAYLOAD_SMP_H
#define PAYLOAD_SMP_H

#include <stdbool.h>

#include "cpu.h"

extern struct cpu *smp_cpu[MAX_CPUS]; /* the processors that run; [0] is the boot processor's */
extern unsigned smp_count;

/* How many enabled processors the MADT lists; 0: no MADT. */
unsigned smp_listed(void);
/* Start all that do not run yet. Returns how many run now, with the boot processor. */
unsigned smp_start(void);
/* Start the one of this APIC id, which came later. False: it does not start, or runs already. */
bool smp_start_one(uint32_t id);
/* INIT and two SIPIs to one that runs: it starts over. False: it does not come back. */
bool smp_restart(struct cpu *c);
/* Have @c run @fn at ring 3. smp_wait() waits for the end of it. */
void smp_run(struct cpu *c, void (*fn)(struct cpu *c));
bool smp_wait(struct cpu *c, unsigned ms);

#endif
