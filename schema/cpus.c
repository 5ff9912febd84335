/* SPDX-License-Identifier: Apache-2.0 */
/* cpus.c - cpus: the virtual processors. */
#include "schema/key.h"
#include "sill/config.h"

static const struct key topology_keys[] = {
	{ KEY_UINT(struct sill_topology, threads_per_core), .min = 1, .max = SILL_MAX_CPUS,
	  .def = "1", .doc = "Hardware threads in a core.", .unit = "threads", .example = "2" },
	{ KEY_UINT(struct sill_topology, cores_per_die), .min = 1, .max = SILL_MAX_CPUS, .def = "1",
	  .doc = "Cores on a die.", .unit = "cores", .example = "4" },
	{ KEY_UINT(struct sill_topology, dies_per_package), .min = 1, .max = SILL_MAX_CPUS,
	  .def = "1", .doc = "Dies in a package.", .unit = "dies", .example = "1" },
	{ KEY_UINT(struct sill_topology, packages), .min = 1, .max = SILL_MAX_CPUS, .def = "1",
	  .doc = "Packages (sockets). Windows client editions use no more than two.",
	  .unit = "packages", .example = "1" },
};

static const struct section topology_section = {
	.name = "cpus.topology",
	.doc = "How the guest sees its processors arranged. The product of the four numbers is "
	       "cpus.max.",
	.keys = topology_keys,
	.count = CYAML_ARRAY_LEN(topology_keys),
};

static const struct key host_cpu = {
	.field = { .key = "host_cpus[]",
		   .value = { CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint16_t) } },
	.kind = KIND_UINT,
	.min = 0,
	.max = 65535,
	.doc = "The number of a host CPU.",
	.example = "3",
};

static const struct key affinity_keys[] = {
	{ KEY_UINT(struct sill_affinity, vcpu), .min = 0, .max = SILL_MAX_CPUS - 1,
	  .required = true, .effect = EFFECT_LIVE,
	  .doc = "The vCPU that is pinned, counted from 0; less than cpus.max.", .example = "0" },
	{ KEY_LIST(struct sill_affinity, host_cpus, host_cpu), .min = 1, .max = 1024,
	  .required = true, .effect = EFFECT_LIVE, .ranges = true,
	  .doc = "The host CPUs it may run on; 0-3 stands for 0, 1, 2, 3.", .example = "[2, 3]" },
};

static const struct section affinity_section = {
	.name = "cpus.affinity",
	.doc = "One entry pins one vCPU to a set of host CPUs.",
	.keys = affinity_keys,
	.count = CYAML_ARRAY_LEN(affinity_keys),
};

static const struct key feature = {
	.field = { .key = "features[]",
		   .value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0,
						 CYAML_UNLIMITED) } },
	.kind = KIND_NAME,
	.min = 1,
	.max = 32,
	.names = sill_cpu_feature_name,
	.doc = "The name of a processor feature.",
	.example = "avx512f",
};

/* clang-format off */
static const struct key features_keys[] = {
	{ KEY_LIST(struct sill_features_config, add, feature), .min = 0, .max = 64,
	  .doc = "Features the guest sees that it would not.",
	  .example = "[invtsc]" },
	{ KEY_LIST(struct sill_features_config, remove, feature), .min = 0, .max = 64,
	  .doc = "Features the guest does not see that it would.",
	  .example = "[avx512f, rtm]" },
};
/* clang-format on */

static const struct section features_section = {
	.name = "cpus.features",
	.doc = "Processor features (CPUID) that differ from what the guest would see. The names "
	       "are those of /proc/cpuinfo where it has one. vmx and svm are switched by "
	       "cpus.nested. A feature is either added or removed.",
	.keys = features_keys,
	.count = CYAML_ARRAY_LEN(features_keys),
};

static const cyaml_strval_t unknown_msrs[] = {
	{ "ignore", SILL_MSRS_IGNORE },
	{ "fault", SILL_MSRS_FAULT },
};

/* clang-format off */
static const struct key cpus_keys[] = {
	{ KEY_UINT(struct sill_cpus_config, boot), .min = 1, .max = SILL_MAX_CPUS, .def = "1",
	  .effect = EFFECT_HOTPLUG, .effect_note = "up to max; fewer when the guest gives them up, at the latest at its next reset",
	  .unit = "vCPUs",
	  .doc = "How many vCPUs the VM starts with.",
	  .example = "2" },
	{ KEY_UINT(struct sill_cpus_config, max), .min = 1, .max = SILL_MAX_CPUS,
	  .def_note = "the value of cpus.boot", .unit = "vCPUs",
	  .doc = "How many vCPUs the VM can have.",
	  .example = "8" },
	{ KEY_MAP(struct sill_cpus_config, topology, topology_section),
	  .def_note = "one package with cpus.max cores of one thread",
	  .doc = "How the guest sees its processors arranged.",
	  .example = "{threads_per_core: 2, cores_per_die: 4}" },
	{ KEY_LIST_OF_MAPS(struct sill_cpus_config, affinity, affinity_section), .match = "vcpu", .min = 0,
	  .max = SILL_MAX_CPUS, .effect = EFFECT_LIVE,
	  .doc = "Which host CPUs each vCPU may run on. A vCPU that is not named runs anywhere.",
	  .example = "[{vcpu: 0, host_cpus: [2, 3]}]" },
	{ KEY_BOOL(struct sill_cpus_config, kvm_hyperv), .def = "off", .def_windows = "on",
	  .doc = "The Hyper-V enlightenments: clocks, timers and spinlocks that Windows knows how "
		 "to use. Windows needs them. cpus.hyperv has a switch for each.",
	  .example = "on" },
	{ KEY_MAP(struct sill_cpus_config, hyperv, hyperv_section),
	  .def_note = "its keys' defaults with kvm_hyperv: on",
	  .doc = "The Hyper-V enlightenments one by one. Only with kvm_hyperv: on.",
	  .example = "{reset: on, spin_retries: 8191}" },
	{ KEY_BOOL(struct sill_cpus_config, nested), .def = "off",
	  .doc = "Hardware virtualization (VMX or SVM) for the guest, to run virtual machines of "
		 "its own. A Windows that sees it may start its virtualization-based security, "
		 "which is slow inside a VM.",
	  .example = "on" },
	{ KEY_ENUM(struct sill_cpus_config, unknown_msrs, unknown_msrs), .def = "fault",
	  .def_windows = "ignore",
	  .doc = "What becomes of an access to a model-specific register that nobody knows. "
		 "ignore: it reads 0 and writes are dropped; fault: the guest gets a general "
		 "protection fault, as from a processor without the register, which some "
		 "versions of Windows do not survive.",
	  .example = "ignore" },
	{ KEY_MAP(struct sill_cpus_config, features, features_section),
	  .def_note = "none added, none removed",
	  .doc = "Processor features to add and to remove.",
	  .example = "{remove: [avx512f]}" },
	{ KEY_UINT(struct sill_cpus_config, max_phys_bits), .min = 36, .max = 52, .unit = "bits",
	  .def_note = "40 on AMD and 39 on Intel, or what the host has when that is less or the "
		      "memory needs more",
	  .doc = "The most physical address bits the guest may see. Firmware boots faster with "
		 "fewer.",
	  .example = "40" },
};
/* clang-format on */

const struct section cpus_section = {
	.name = "cpus",
	.doc = "The virtual processors.",
	.keys = cpus_keys,
	.count = CYAML_ARRAY_LEN(cpus_keys),
};
