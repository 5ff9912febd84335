/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what a manifest may ask of this host.
 *
 * Collected once, handed to the checks: they are pure, and tests make their own.
 */
#ifndef RUNNER_HOST_FACTS_H
#define RUNNER_HOST_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/config.h"
#include "sill/error.h"
#include "sill/files.h"

enum { HOST_HUGEPAGE_SIZES = 8, HOST_FEATURES = 256, HOST_CPUS = 4096 };

/* What there is of the memory. Zeroes: not known. */
struct host_room {
	uint64_t all, now;      /* bytes with swap: there are, and could be had */
	uint64_t address_space; /* that this process may have (RLIMIT_AS); 0: no limit */
	uint64_t hugepages[HOST_HUGEPAGE_SIZES];      /* reserved pages of each size */
	uint64_t hugepages_free[HOST_HUGEPAGE_SIZES]; /* and those nobody has */
};

/* Is it so on this host? */
enum host_answer { HOST_UNKNOWN, HOST_NO, HOST_YES };

/* Public struct. All zeroes: nothing is known. */
struct host_facts {
	unsigned phys_bits; /* physical address bits of the CPU; 0: not known */
	bool amd;
	unsigned cpus; /* configured CPUs */
	uint64_t hugepage_default;
	uint64_t hugepage_sizes[HOST_HUGEPAGE_SIZES];
	size_t hugepage_count;
	bool has_room; /* @room is filled in */
	struct host_room room;
	enum host_answer nested;              /* guests can have VMX or SVM */
	const char *nested_why, *nested_hint; /* when not: why, and "COMMAND, or " */
	enum host_answer hyperv;              /* KVM offers enlightenments */
	enum host_answer uring;               /* this process may use io_uring */
	unsigned port_min; /* the first that this process may listen on; 0: any */
	unsigned max_cpus; /* of a VM, by KVM; 0: not known */
	bool has_features; /* KVM could be asked; [i] is sill_cpu_feature_name(i) */
	bool features[HOST_FEATURES];
	bool has_usable; /* CPUs that this process may run on */
	bool usable[HOST_CPUS];
	bool has_nodes; /* NUMA nodes with memory */
	bool nodes[SILL_MAX_NODES];
};

/* All but the room. @kvm: an open /dev/kvm, borrowed; -1: it is opened. */
void host_facts_get(struct host_facts *f, int kvm);

/* And what there is of the memory now; of the facts it changes those about pages alone. */
void host_room_get(struct host_facts *f);

/* What a failure of host_room_check() is about. */
enum host_room_part { ROOM_SIZE, ROOM_HUGEPAGES, ROOM_PREFAULT };

/*
 * What is taken of one kind by zones, as a configuration without them: by the @i-th and those before it that are of
 * the same pages. @i the number of zones: by all that are not huge.
 */
void host_room_of(const struct sill_memory_config *m, unsigned i, struct sill_memory_config *ret);

/* Is there memory for a VM without zones? 0, or -1, *ret_part, @e and what to do. */
int host_room_check(const struct host_facts *f, const struct sill_memory_config *m,
		    enum host_room_part *ret_part, struct sill_err *e);

/*
 * What the engine asks the host by goes into @files: /dev/kvm, and what tells whether KVM runs guests' local APICs on
 * the processor's own, if that is there. 0, or -1 and @e.
 */
int host_give(struct sill_files *files, struct sill_err *e);

/* How many huge pages of @size are free now, and how many there are. */
uint64_t host_hugepages_free(uint64_t size, uint64_t *ret_total);

#endif
