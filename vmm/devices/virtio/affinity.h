/* SPDX-License-Identifier: Apache-2.0 */
/* affinity.h - which host CPUs the threads of a device run on. */
#ifndef DEVICES_VIRTIO_AFFINITY_H
#define DEVICES_VIRTIO_AFFINITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

/* Where this thread ran before; caller-allocated. */
struct affinity {
	void *before; /* owned, a cpu_set_t; NULL: it has not been moved */
};

/* May this thread run on more than one host CPU? */
bool affinity_has_cpus(void);

/*
 * This thread stays on the host CPUs @cpus, @count of them, until affinity_restore(): threads it
 * creates meanwhile, and those that they create, stay there for good. With none it stays where it is.
 */
int affinity_set(struct affinity *a, const uint16_t *cpus, size_t count,
		 struct sill_err *e) MUST_CHECK;
void affinity_restore(struct affinity *a);

#endif
