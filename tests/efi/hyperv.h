/* SPDX-License-Identifier: Apache-2.0 */
/* hyperv.h - shared by the tests of the Hyper-V interface. */
#ifndef HYPERV_H
#define HYPERV_H

#include <stdbool.h>
#include <stdint.h>

uint64_t hyperv_time(void); /* the reference counter, 100 ns */
bool hyperv_hypercalls_on(void);
void hyperv_hypercalls_off(void);
/* SynIC, timers and the APIC registers; @access and @features are 40000003's EAX and EDX. */
void test_synic(uint32_t access, uint32_t features);
/* Switch on all that a reset must switch off, and what is still on after one. */
void hyperv_leave_on(void);
void hyperv_after_reset(void);

#endif
