/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hyperv.h - the Hyper-V enlightenments: names, dependencies, and which of
 * them a configuration gets on this host, and why. Any thread.
 */
#ifndef SILL_HYPERV_H
#define SILL_HYPERV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/config.h"
#include "sill/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sill_hv_feature {
#define SILL_HV(name, on, needs, doc) SILL_HV_##name,
#include "sill/hyperv.def"
#undef SILL_HV
	SILL_HV_COUNT
};

#define SILL_HV_BIT(name) (1u << SILL_HV_##name)

struct sill_hv_info {
	const char *name; /* the manifest's key under cpus.hyperv */
	bool on;          /* by default */
	uint32_t needs;   /* SILL_HV_BIT()s */
	const char *doc;
};

extern const struct sill_hv_info sill_hv_features[SILL_HV_COUNT];

/* What became of a feature. */
enum sill_hv_state {
	SILL_HV_OFF,         /* not asked for */
	SILL_HV_ON,          /* the guest sees it */
	SILL_HV_UNSUPPORTED, /* asked for; this host's kernel lacks it */
	SILL_HV_BLOCKED,     /* asked for; something it needs is off or unsupported */
};

/*
 * The state of every feature on this host when @want (SILL_HV_BIT()s) is asked
 * for; @kvm is an open /dev/kvm, which stays the caller's. -1: it cannot be asked.
 */
int sill_hv_resolve(int kvm, uint32_t want, enum sill_hv_state ret[SILL_HV_COUNT],
		    struct sill_err *e);

/* The switch of @f in @c. */
const bool *sill_hv_switch(const struct sill_hyperv_config *c, enum sill_hv_feature f);

/* What the switches of @c are: SILL_HV_BIT()s, none without kvm_hyperv. */
uint32_t sill_hv_set(const struct sill_cpus_config *c);

/* Does @feature lack something in @set that it needs? *ret is the first such feature. */
bool sill_hv_lacks(uint32_t set, enum sill_hv_feature feature, enum sill_hv_feature *ret);

/* The default set, without and with switches from a configuration. */
uint32_t sill_hv_want(uint32_t on, uint32_t off);

#ifdef __cplusplus
}
#endif
#endif
