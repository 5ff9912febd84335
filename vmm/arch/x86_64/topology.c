/* SPDX-License-Identifier: Apache-2.0 */
/* topology.c - see topology.h. */
#include "arch/x86_64/topology.h"

#include "base/limits.h"

/* Bits needed for @n values. */
static unsigned width(unsigned n)
{
	return n <= 1 ? 0 : 32u - (unsigned)__builtin_clz(n - 1);
}

int topology_init(struct topology *t, const struct sill_topology *c, unsigned max,
		  struct sill_err *e)
{
	bool given = c->threads_per_core != 0 || c->cores_per_die != 0 ||
		     c->dies_per_package != 0 || c->packages != 0;

	*t = (struct topology){ .threads = 1, .cores = max, .dies = 1, .packages = 1 };
	if (given)
		*t = (struct topology){ .threads = c->threads_per_core,
					.cores = c->cores_per_die,
					.dies = c->dies_per_package,
					.packages = c->packages };
	if ((uint64_t)t->threads * t->cores * t->dies * t->packages != max)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "cpus.topology: %u x %u x %u x %u is not cpus.max, %u",
				    t->threads, t->cores, t->dies, t->packages, max);
	t->core_shift = width(t->threads);
	t->die_shift = t->core_shift + width(t->cores);
	t->package_shift = t->die_shift + width(t->dies);
	if (topology_apic_id(t, max - 1) > SILL_MAX_CPUS)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "cpus.topology: its power-of-two fields need APIC ids above %u",
				    SILL_MAX_CPUS);
	return 0;
}

uint32_t topology_apic_id(const struct topology *t, unsigned index)
{
	unsigned thread = index % t->threads;
	unsigned core = index / t->threads % t->cores;
	unsigned die = index / (t->threads * t->cores) % t->dies;
	unsigned package = index / (t->threads * t->cores * t->dies);

	return thread | core << t->core_shift | die << t->die_shift | package << t->package_shift;
}
