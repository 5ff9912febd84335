/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hyperv.c - cpus.hyperv: the Hyper-V enlightenments, one by one.
 *
 * The rows of the enlightenments are made from sill/hyperv.def, which is where
 * their defaults and what they need are written.
 */
#include "schema/key.h"
#include "sill/config.h"

/* clang-format off */
static const struct key hyperv_keys[] = {
#define SILL_HV(name, on, needs, text) \
	{ KEY_BOOL(struct sill_hyperv_config, name), .def = (on) ? "on" : "off", \
	  .doc = "Enlightenment: " text ".", .example = (on) ? "off" : "on" },
#include "sill/hyperv.def"
#undef SILL_HV
	{ KEY_UINT(struct sill_hyperv_config, spin_retries), .min = 1, .max = UINT32_MAX,
	  .def_note = "4095 with spinlocks: on", .unit = "spins",
	  .doc = "How often a lock is tried before the guest tells that it waits; 4294967295: it "
		 "never tells. Only with spinlocks: on.",
	  .example = "8191" },
	{ KEY_BOOL(struct sill_hyperv_config, enforce), .def = "off",
	  .doc = "Registers and hypercalls of enlightenments that are off fail, as they would "
		 "on a hypervisor that has never heard of them.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_hyperv_config, kvm_leaves), .def = "off",
	  .doc = "Show KVM's own CPUID leaves too, behind those of Hyper-V, at 0x40000100.",
	  .example = "on" },
};
/* clang-format on */

const struct section hyperv_section = {
	.name = "cpus.hyperv",
	.doc = "The Hyper-V enlightenments one by one. Only with kvm_hyperv: on. One that needs "
	       "another is off by default when that is off; `sill explain hyperv` tells which are "
	       "on for a manifest on this host, and why.",
	.keys = hyperv_keys,
	.count = CYAML_ARRAY_LEN(hyperv_keys),
};
