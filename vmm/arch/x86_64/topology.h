/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topology.h - which APIC id each vCPU has.
 *
 * An APIC id is fields of power-of-two widths, from the lowest: thread, core,
 * die, package (SDM 3A 9.9.1); CPUID, MADT, SRAT and the _MAT objects all take
 * the ids from here. Pure.
 */
#ifndef ARCH_X86_64_TOPOLOGY_H
#define ARCH_X86_64_TOPOLOGY_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "sill/config.h"

/* Caller-allocated. */
struct topology {
	unsigned threads, cores, dies, packages;       /* counts, each at least 1 */
	unsigned core_shift, die_shift, package_shift; /* where each field begins */
};

/* @max: possible vCPUs; all-zero @c means one package of @max cores. */
int topology_init(struct topology *t, const struct sill_topology *c, unsigned max,
		  struct sill_err *e) MUST_CHECK;
uint32_t topology_apic_id(const struct topology *t, unsigned index);

#endif
