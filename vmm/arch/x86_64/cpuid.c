/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid.c - the rules, a table of one function per leaf.
 *
 * Bit numbers are from the SDM volume 2A (CPUID), AMD's APM volume 3 appendix
 * E, and the Hypervisor Top Level Functional Specification (0x4000xxxx).
 */
#include "arch/x86_64/cpuid.h"

#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch/x86_64/layout.h"
#include "base/limits.h"

_Static_assert(offsetof(struct cpuid, leaf) == offsetof(struct kvm_cpuid2, entries),
	       "struct cpuid is what the ioctls take");

enum { HYPERVISOR_BASE = 0x40000000 };

static uint32_t bit(unsigned n)
{
	return 1u << n;
}

/* --- the host ----------------------------------------------------------- */

int cpuid_supported(int kvm_fd, struct cpuid *ret, struct sill_err *e)
{
	*ret = (struct cpuid){ .head = { .nent = CPUID_MAX } };
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, ret) < 0)
		return sill_err_sys(e, errno, "ask KVM for the CPU's features");
	return 0;
}

void cpuid_supported_hv(int kvm_fd, struct cpuid *ret)
{
	*ret = (struct cpuid){ .head = { .nent = CPUID_MAX } };
	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYS_HYPERV_CPUID) <= 0 ||
	    ioctl(kvm_fd, KVM_GET_SUPPORTED_HV_CPUID, ret) < 0)
		ret->head.nent = 0;
}

bool cpuid_host_is_amd(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(0, &a, &b, &c, &d) == 0)
		return false;
	return b == signature_AMD_ebx || b == 0x6f677948; /* "Hygo" */
}

unsigned cpuid_host_phys_bits(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(0x80000008, &a, &b, &c, &d) == 0)
		return 36;
	return a & 0xff;
}

int cpuid_phys_bits(unsigned host, bool amd, unsigned max_phys_bits, uint64_t ram_end,
		    unsigned *ret, struct sill_err *e)
{
	unsigned most = host, bits;

	if (max_phys_bits > host)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "cpus.max_phys_bits is %u, this host has %u", max_phys_bits,
				    host);
	if (max_phys_bits != 0)
		most = max_phys_bits;
	bits = most;
	if (max_phys_bits == 0 && bits > (amd ? 40u : 39u))
		bits = amd ? 40 : 39;
	/* Half as many again for each bit: stop at the first that leaves RAM below the window. */
	while (bits < most && bits < 46 && !layout_mem64_fits(bits, amd, ram_end))
		bits++;
	if (!layout_mem64_fits(bits, amd, ram_end))
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "memory ends above the 64-bit device window of %u physical "
				    "address bits",
				    bits);
	*ret = bits;
	return 0;
}

/* --- leaves ------------------------------------------------------------- */

struct kvm_cpuid_entry2 *cpuid_find(struct cpuid *c, uint32_t leaf, uint32_t index)
{
	for (unsigned i = 0; i < c->head.nent; i++) {
		struct kvm_cpuid_entry2 *l = &c->leaf[i];

		if (l->function == leaf &&
		    (l->index == index || (l->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) == 0))
			return l;
	}
	return NULL;
}

/* Take out leaves first..last. */
static void drop(struct cpuid *c, uint32_t first, uint32_t last)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->head.nent; i++)
		if (c->leaf[i].function < first || c->leaf[i].function > last)
			c->leaf[n++] = c->leaf[i];
	c->head.nent = n;
}

static struct kvm_cpuid_entry2 *add(struct cpuid *c, uint32_t leaf, uint32_t index, bool indexed)
{
	struct kvm_cpuid_entry2 *l;

	assert(c->head.nent < CPUID_MAX); /* KVM gives some 60, we add a dozen */
	l = &c->leaf[c->head.nent++];
	*l = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = index,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
	};
	return l;
}

/* What the rules know about this vCPU. */
struct cpu {
	const struct cpuid_facts *f;
	uint32_t apic_id;
	unsigned per_package; /* logical processors, as a power of two */
	unsigned per_die;
	unsigned per_core;
};

typedef void (*rule_fn)(struct kvm_cpuid_entry2 *l, const struct cpu *cpu);

static void leaf_1(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	enum { MONITOR = 3, VMX = 5, PDCM = 15, X2APIC = 21, TSC_DEADLINE = 24, HYPERVISOR = 31 };
	enum { MCE = 7, APIC = 9, MTRR = 12, MCA = 14, PAT = 16, HTT = 28 };

	l->ebx = (l->ebx & 0x0000ffff) | cpu->apic_id << 24 | cpu->per_package << 16;
	l->ecx &= ~(bit(MONITOR) | bit(PDCM));
	if (!cpu->f->nested)
		l->ecx &= ~bit(VMX);
	l->ecx |= bit(HYPERVISOR) | bit(X2APIC);
	if (cpu->f->tsc_deadline)
		l->ecx |= bit(TSC_DEADLINE);
	/* Windows does not boot without these. */
	l->edx |= bit(MCE) | bit(APIC) | bit(MTRR) | bit(MCA) | bit(PAT);
	l->edx &= ~bit(HTT);
	if (cpu->per_package > 1)
		l->edx |= bit(HTT);
}

/* Caches: level 1 and 2 are a core's, the rest a die's. */
static void leaf_4(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	unsigned type = l->eax & 0x1f, level = l->eax >> 5 & 7;
	unsigned sharing = level <= 2 ? cpu->per_core : cpu->per_die;
	unsigned cores = cpu->per_package / cpu->per_core;

	if (type == 0)
		return;
	if (cores > 64)
		cores = 64; /* six bits hold it less one */
	l->eax = (l->eax & 0x3fff) | (sharing - 1) << 14 | (cores - 1) << 26;
}

static void leaf_8000001d(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	unsigned type = l->eax & 0x1f, level = l->eax >> 5 & 7;
	unsigned sharing = level <= 2 ? cpu->per_core : cpu->per_die;

	if (type != 0)
		l->eax = (l->eax & 0x3fff) | (sharing - 1) << 14;
}

/* No MWAIT without a host that lets a guest sleep in it. */
static void leaf_zero(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	(void)cpu;
	l->eax = l->ebx = l->ecx = l->edx = 0;
}

static void leaf_6(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	enum { ARAT = 2 };

	(void)cpu;
	l->eax &= bit(ARAT);
	l->ebx = l->ecx = l->edx = 0;
}

static void leaf_7(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	enum { SGX = 2 };                            /* ebx */
	enum { CET_SS = 7, LA57 = 16, SGX_LC = 30 }; /* ecx */
	enum { CET_IBT = 20, AMX_BF16 = 22, AMX_TILE = 24, AMX_INT8 = 25, ARCH_CAPABILITIES = 29 };

	if (l->index == 1) {
		l->eax &= ~bit(21);            /* AMX-FP16 */
		l->edx &= ~(bit(8) | bit(18)); /* AMX-COMPLEX, CET_SSS */
		return;
	}
	if (l->index != 0)
		return;
	l->ebx &= ~bit(SGX);
	l->ecx &= ~(bit(CET_SS) | bit(LA57) | bit(SGX_LC));
	l->edx &= ~(bit(CET_IBT) | bit(AMX_BF16) | bit(AMX_TILE) | bit(AMX_INT8));
	if (cpu->f->amd)
		l->edx &=
			~bit(ARCH_CAPABILITIES); /* Windows stops with 0x5D when it sees it there */
}

static void leaf_d(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	enum { XSAVEC = 1, XSAVES = 3 };
	enum { TILE_CONFIG = 17, TILE_DATA = 18, CET_U = 11, CET_S = 12 };

	(void)cpu;
	switch (l->index) {
	case 0:
		l->eax &= ~(bit(TILE_CONFIG) | bit(TILE_DATA));
		break;
	case 1:
		/* One without the other stops Windows Server 2016 with Hyper-V. */
		if ((l->eax & bit(XSAVES)) == 0)
			l->eax &= ~bit(XSAVEC);
		l->ecx &= ~(bit(CET_U) | bit(CET_S));
		break;
	case CET_U:
	case CET_S:
	case TILE_CONFIG:
	case TILE_DATA:
		leaf_zero(l, cpu);
		break;
	default:
		break;
	}
}

static void leaf_80000001(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	enum {
		CMP_LEGACY = 1,
		SVM = 2,
		TOPOEXT = 22,
		PERFCTR_CORE = 23,
		PERFCTR_NB = 24,
		PERFCTR_LLC = 28
	};

	/* PERFCTR_CORE without TOPOEXT makes Server 2022 loop at boot: no PMU at all here. */
	l->ecx &= ~(bit(PERFCTR_CORE) | bit(PERFCTR_NB) | bit(PERFCTR_LLC) | bit(CMP_LEGACY));
	if (!cpu->f->nested)
		l->ecx &= ~bit(SVM);
	if (cpu->f->amd) {
		l->ecx |= bit(TOPOEXT);
		if (cpu->per_package > 1)
			l->ecx |= bit(CMP_LEGACY);
	}
}

static void leaf_8000000a(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	if (!cpu->f->nested)
		leaf_zero(l, cpu);
}

static void leaf_80000008(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	enum { IBRS = 14, STIBP = 15, SSBD = 24, PSFD = 28 };
	const struct topology *t = cpu->f->topology;
	unsigned logical = t->threads * t->cores * t->dies;

	/* Both fields, or firmware and Windows believe different ones. */
	l->eax = (l->eax & 0xff00ff00) | cpu->f->phys_bits | cpu->f->phys_bits << 16;
	if ((l->ebx & (bit(IBRS) | bit(STIBP) | bit(SSBD))) == 0)
		l->ebx &= ~bit(PSFD);
	if (cpu->f->amd)
		l->ecx = (l->ecx & 0xffff0f00) | (logical - 1) | t->package_shift << 12;
}

static void leaf_8000001e(struct kvm_cpuid_entry2 *l, const struct cpu *cpu)
{
	const struct topology *t = cpu->f->topology;
	unsigned in_package = cpu->apic_id & ((1u << t->package_shift) - 1);

	l->eax = cpu->apic_id;
	l->ebx = (in_package >> t->core_shift) | (t->threads - 1) << 8;
	l->ecx = cpu->apic_id >> t->package_shift; /* one node a package */
	l->edx = 0;
}

static const struct {
	uint32_t leaf;
	rule_fn fn;
} rules[] = {
	{ 0x1, leaf_1 },
	{ 0x4, leaf_4 },
	{ 0x5, leaf_zero },
	{ 0x6, leaf_6 },
	{ 0x7, leaf_7 },
	{ 0xa, leaf_zero }, /* no PMU */
	{ 0xd, leaf_d },
	{ 0x15, leaf_zero }, /* the TSC's rate: the host's need not be the guest's */
	{ 0x16, leaf_zero },
	{ 0x80000001, leaf_80000001 },
	{ 0x80000008, leaf_80000008 },
	{ 0x8000000a, leaf_8000000a },
	{ 0x8000001d, leaf_8000001d },
	{ 0x8000001e, leaf_8000001e },
	{ 0x8000001f, leaf_zero }, /* no SEV: firmware asks */
};

/* Leaves 0xB and 0x1F: the shifts between the levels; the full id in every subleaf. */
static void topology_leaf(struct cpuid *c, const struct cpu *cpu, uint32_t leaf)
{
	enum { SMT = 1, CORE = 2, DIE = 5 };
	const struct topology *t = cpu->f->topology;
	const struct {
		unsigned shift, count, type;
	} level[] = {
		{ t->core_shift, t->threads, SMT },
		{ leaf == 0xb ? t->package_shift : t->die_shift,
		  t->threads * t->cores * (leaf == 0xb ? t->dies : 1), CORE },
		{ t->package_shift, t->threads * t->cores * t->dies, DIE },
	};
	unsigned levels = leaf == 0xb ? 2 : 3;

	drop(c, leaf, leaf);
	for (unsigned i = 0; i <= levels; i++) {
		struct kvm_cpuid_entry2 *l = add(c, leaf, i, true);

		l->ecx = i;
		l->edx = cpu->apic_id;
		if (i < levels) {
			l->eax = level[i].shift;
			l->ebx = level[i].count;
			l->ecx |= level[i].type << 8;
		}
	}
}

/* --- all of it ---------------------------------------------------------- */

/* Hyper-V's leaves where KVM's were; KVM finds its own by signature at a multiple of 0x100. */
static void replace_kvm_leaves(struct cpuid *c, const struct cpuid_facts *f)
{
	struct kvm_cpuid_entry2 base = { 0 }, features = { 0 };
	struct kvm_cpuid_entry2 *l;

	l = cpuid_find(c, HYPERVISOR_BASE, 0);
	if (l != NULL)
		base = *l;
	l = cpuid_find(c, HYPERVISOR_BASE + 1, 0);
	if (l != NULL)
		features = *l;
	drop(c, HYPERVISOR_BASE, HYPERVISOR_BASE + 0xff);
	hyperv_leaves(c, f->hv);
	if (!f->hyperv_kvm)
		return;
	base.eax = HYPERVISOR_BASE + 0x101;
	base.function = HYPERVISOR_BASE + 0x100;
	features.function = HYPERVISOR_BASE + 0x101;
	c->leaf[c->head.nent++] = base;
	c->leaf[c->head.nent++] = features;
}

/* cpus.features: what the rules took out may come back if the host has it; anything may go. */
static int switch_features(struct cpuid *c, struct cpuid *host, const struct cpuid_facts *f,
			   struct sill_err *e)
{
	for (size_t i = 0; i < f->on_count; i++)
		if (!cpuid_feature_get(host, f->on[i]) || !cpuid_feature_set(c, f->on[i], true))
			return sill_err_set(e, SILL_ERR_HOST,
					    "this host cannot give a guest the CPU feature '%s'",
					    f->on[i]);
	for (size_t i = 0; i < f->off_count; i++)
		(void)cpuid_feature_set(c, f->off[i], false);
	return 0;
}

static void apply_rules(struct cpuid *c, const struct cpu *cpu)
{
	for (unsigned i = 0; i < c->head.nent; i++)
		for (unsigned r = 0; r < ARRAY_LEN(rules); r++)
			if (c->leaf[i].function == rules[r].leaf)
				rules[r].fn(&c->leaf[i], cpu);
}

int cpuid_build(struct cpuid *c, const struct cpuid_facts *f, unsigned index, struct sill_err *e)
{
	const struct topology *t = f->topology;
	struct cpuid host = *c;
	struct cpu cpu = {
		.f = f,
		.apic_id = topology_apic_id(t, index),
		.per_package = 1u << t->package_shift,
		.per_die = 1u << t->die_shift,
		.per_core = 1u << t->core_shift,
	};

	if (c->head.nent == 0 || c->head.nent > CPUID_MAX - 24)
		return sill_err_set(e, SILL_ERR_HOST, "KVM lists %u CPUID leaves", c->head.nent);
	drop(c, 0x12, 0x12);             /* SGX */
	drop(c, 0x14, 0x14);             /* processor trace */
	drop(c, 0x1d, 0x1e);             /* AMX */
	drop(c, 0x80000022, 0x80000022); /* AMD performance monitoring 2 */
	if (f->amd) {
		drop(c, 0x8000001e, 0x8000001e);
		(void)add(c, 0x8000001e, 0, false);
	}
	apply_rules(c, &cpu);
	topology_leaf(c, &cpu, 0xb);
	if (!f->amd && t->dies > 1)
		topology_leaf(c, &cpu, 0x1f);
	else
		drop(c, 0x1f, 0x1f);
	if (f->hyperv)
		replace_kvm_leaves(c, f);
	return switch_features(c, &host, f, e);
}
