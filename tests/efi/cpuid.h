/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid.h - the CPUID leaves of every processor, and the rules about them. */
#ifndef CPUID_H
#define CPUID_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"

bool cpu_is_amd(void);
bool cpu_is_intel(void);
bool has_hyperv(void);
unsigned phys_bits(void);

void test_cpuid(void);
void test_topology(void);
void test_phys_bits(void);

#endif
