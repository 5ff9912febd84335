/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the guest's time in nanoseconds: it stands still while the VM is
 * paused. Reads from any thread; pause, resume and set on the main loop.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Caller-allocated. */
struct vmclock {
	uint64_t base_ns;   /* host CLOCK_MONOTONIC at guest time 0 (moved by pauses) */
	uint64_t frozen_ns; /* guest time while frozen */
	bool frozen;
};

void vmclock_init(struct vmclock *c); /* guest time 0 is now, running */
uint64_t vmclock_now(const struct vmclock *c);
void vmclock_freeze(struct vmclock *c);
void vmclock_thaw(struct vmclock *c);
/* Guest time @ns from now on (restore; tests freeze a clock and set it). */
void vmclock_set(struct vmclock *c, uint64_t ns);
/* The host's CLOCK_MONOTONIC time at which the guest's clock will read @guest_ns. */
uint64_t vmclock_to_host(const struct vmclock *c, uint64_t guest_ns);
/* Host CLOCK_MONOTONIC in ns. */
uint64_t host_now(void);

#endif
