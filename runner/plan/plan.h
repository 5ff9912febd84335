/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what it takes for a VM that runs to become what a manifest says: each difference, and what it costs.
 *
 * Pure: two values and what the engine tells of the first. What a row of the table says of its key (schema/key.h) is
 * the rule; here is what depends on both values, or is not done while a VM runs yet.
 */
#ifndef RUNNER_PLAN_PLAN_H
#define RUNNER_PLAN_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "schema/diff.h"
#include "sill/config.h"
#include "sill/device.h"
#include "sill/error.h"

/* What a change costs. */
enum plan_effect {
	PLAN_LIVE,      /* nothing: the guest does not notice */
	PLAN_HOTPLUG,   /* the guest sees something come, or is asked for something */
	PLAN_NEXT_BOOT, /* the guest shuts down, and starts anew */
	PLAN_RECREATE,  /* likewise, and finds another machine */
	PLAN_REFUSED,   /* it cannot be had */
};

/* What is done about it while the VM runs. */
enum plan_step {
	PLAN_WAITS,
	PLAN_VCPUS,
	PLAN_MEMORY,
	PLAN_BALLOON,
	PLAN_LINK,
	PLAN_LIMIT,
	PLAN_READY,
	PLAN_RESTART,
	PLAN_PLUG,
	PLAN_UNPLUG,
	PLAN_REPLUG,
};

enum { PLAN_ID = 64 };

/* Public struct. */
struct plan_entry {
	const struct diff *diff; /* borrowed from the plan */
	enum plan_effect effect;
	enum plan_step step;
	const char *why; /* static; NULL: the effect tells all */
	bool device;     /* it is about a disk or a network card: */
	enum sill_device_kind kind;
	char id[PLAN_ID];
	bool drift; /* it was otherwise when the last plan was carried out */
};

/* Public struct: what the engine tells of the VM. Zeroed: nothing is pending. Borrowed. */
struct plan_facts {
	unsigned vcpus_asked;              /* that the guest was asked for, and has still */
	uint64_t memory_asked, memory_max; /* bytes; max 0: not known */
	const json_t *fixed, *leaving;     /* ids; NULL: none */
	const json_t *vhost; /* ids of cards whose frames the kernel passes; NULL: none */
	const struct sill_config
		*remembered; /* what it was when the last plan was carried out; NULL: not known */
};

/* Public struct. Zeroed by its owner. */
struct plan {
	struct diffs diffs;
	struct plan_entry *list; /* owned */
	size_t count;
};

/* From @now, what runs, to @want; both live as long as the plan. 0, or -1 and @e: no memory. */
int plan_make(const struct sill_config *now, const struct sill_config *want,
	      const struct plan_facts *facts, struct plan *ret, struct sill_err *e);
void plan_fini(struct plan *p);

/* How many have this effect. */
size_t plan_count(const struct plan *p, enum plan_effect effect);
/* Is there one that takes a new start? */
bool plan_restarts(const struct plan *p);
/* Is what the row of the key @path says done while a VM runs, or only with the next boot yet? */
bool plan_knows(const char *path, const struct key *row);
/* "live", "hotplug", "next boot", "recreate", "refused" */
const char *plan_effect_name(enum plan_effect effect);
/* "add", "remove", "replace", "order", "set" */
const char *plan_entry_how(const struct plan_entry *p);

#endif
