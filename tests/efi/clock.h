/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - time by the TSC, whose rate is measured once with the PM timer. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define PM_HZ 3579545u

extern uint64_t tsc_hz; /* measured */

/* A counter read at a known moment: the closest of several tries, as the host may be busy. */
struct sample {
	uint64_t value, tsc;
};

void clock_init(void);
struct sample clock_sample(uint64_t (*read)(void));
uint64_t clock_us(void); /* since the machine's start, or anything that counts up */
/* Until @done says so; false after half a minute, which no busy host needs. */
bool clock_wait(bool (*done)(void));
void clock_spin_us(uint64_t us);

/* The PM timer, extended to 32 bits by the one who asks: the difference of two readings. */
uint32_t pm_timer(void);
uint32_t pm_timer_diff(uint32_t from, uint32_t to);
bool pm_timer_is_32bit(void);

#endif
