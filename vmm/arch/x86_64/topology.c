/* SPDX-License-Identifier: Apache-2.0 */
/* topology.c - see topology.h. */
#include "arch/x86_64/topology.h"

#include "sill/check.h"

/* Bits needed for @n values. */
static unsigned width(unsigned n)
{
	return n <= 1 ? 0 : 32u - (unsigned)__builtin_clz(n - 1);
}

static void set_topology(struct topology *t, const struct sill_topology *c, unsigned max)
{
	const bool given = c->threads_per_core != 0 || c->cores_per_die != 0 ||
			   c->dies_per_package != 0 || c->packages != 0;

	*t = (struct topology){ .threads = 1, .cores = max, .dies = 1, .packages = 1 };
	if (given)
		*t = (struct topology){ .threads = c->threads_per_core,
					.cores = c->cores_per_die,
					.dies = c->dies_per_package,
					.packages = c->packages };
	t->core_shift = width(t->threads);
	t->die_shift = t->core_shift + width(t->cores);
	t->package_shift = t->die_shift + width(t->dies);
}

enum sill_topology_fault sill_check_topology(const struct sill_topology *c, unsigned max,
					     struct sill_check_topology *ret)
{
	struct topology t;

	set_topology(&t, c, max);
	/* At most 16 bits a level, of which the schema leaves 8. */
	*ret = (struct sill_check_topology){
		.vcpus = (uint64_t)t.threads * t.cores * t.dies * t.packages,
	};
	if (ret->vcpus != 0)
		ret->last_apic_id = (t.threads - 1ull) | (t.cores - 1ull) << t.core_shift |
				    (t.dies - 1ull) << t.die_shift |
				    (t.packages - 1ull) << t.package_shift;
	if (ret->vcpus != max)
		return SILL_TOPOLOGY_PRODUCT;
	return ret->last_apic_id > SILL_MAX_CPUS ? SILL_TOPOLOGY_IDS : SILL_TOPOLOGY_FITS;
}

int topology_init(struct topology *t, const struct sill_topology *c, unsigned max,
		  struct sill_err *e)
{
	struct sill_check_topology is;

	set_topology(t, c, max);
	switch (sill_check_topology(c, max, &is)) {
	case SILL_TOPOLOGY_FITS:
		return 0;
	case SILL_TOPOLOGY_PRODUCT:
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "cpus.topology: %u x %u x %u x %u is not cpus.max, %u",
				    t->threads, t->cores, t->dies, t->packages, max);
	case SILL_TOPOLOGY_IDS:
		break;
	}
	return sill_err_set(e, SILL_ERR_LIMIT,
			    "cpus.topology: its power-of-two fields need APIC ids above %u",
			    SILL_MAX_CPUS);
}

uint32_t topology_apic_id(const struct topology *t, unsigned index)
{
	unsigned thread = index % t->threads;
	unsigned core = index / t->threads % t->cores;
	unsigned die = index / (t->threads * t->cores) % t->dies;
	unsigned package = index / (t->threads * t->cores * t->dies);

	return thread | core << t->core_shift | die << t->die_shift | package << t->package_shift;
}
