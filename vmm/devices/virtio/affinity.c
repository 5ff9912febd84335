/* SPDX-License-Identifier: Apache-2.0 */
/* affinity.c - see affinity.h. Sets have room for every number a manifest can hold. */
#include "devices/virtio/affinity.h"

#include <errno.h>
#include <sched.h>

enum { MAX_HOST_CPUS = 65536 };

bool affinity_has_cpus(void)
{
	const size_t size = CPU_ALLOC_SIZE(MAX_HOST_CPUS);
	cpu_set_t *set = CPU_ALLOC(MAX_HOST_CPUS);
	const bool yes =
		set != NULL && sched_getaffinity(0, size, set) == 0 && CPU_COUNT_S(size, set) > 1;

	CPU_FREE(set);
	return yes;
}

int affinity_set(struct affinity *a, const uint16_t *cpus, size_t count, struct sill_err *e)
{
	const size_t size = CPU_ALLOC_SIZE(MAX_HOST_CPUS);
	cpu_set_t *set, *before;
	int err = 0;

	a->before = NULL;
	if (count == 0)
		return 0;
	set = CPU_ALLOC(MAX_HOST_CPUS);
	before = CPU_ALLOC(MAX_HOST_CPUS);
	if (set == NULL || before == NULL) {
		err = ENOMEM;
	} else {
		CPU_ZERO_S(size, set);
		for (size_t i = 0; i < count; i++)
			CPU_SET_S(cpus[i], size, set);
		if (sched_getaffinity(0, size, before) < 0 || sched_setaffinity(0, size, set) < 0)
			err = errno;
	}
	CPU_FREE(set);
	if (err == 0) {
		a->before = before;
		return 0;
	}
	CPU_FREE(before);
	(void)sill_err_sys(e, err, "affinity: the I/O threads cannot run on these host CPUs");
	return sill_err_hint(e, "nproc and taskset -p tell which CPUs there are and may be used");
}

void affinity_restore(struct affinity *a)
{
	cpu_set_t *before = a->before;

	if (before != NULL)
		(void)sched_setaffinity(0, CPU_ALLOC_SIZE(MAX_HOST_CPUS), before);
	CPU_FREE(before);
	a->before = NULL;
}
