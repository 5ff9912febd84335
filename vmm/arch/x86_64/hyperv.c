/* SPDX-License-Identifier: Apache-2.0 */
/* hyperv.c - see hyperv.h. */
#include "arch/x86_64/hyperv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/x86_64/cpuid.h"
#include "base/fd.h"

enum { HV_BASE = 0x40000000 };

const struct sill_hv_info sill_hv_features[SILL_HV_COUNT] = {
#define SILL_HV(name, on, needs, doc) [SILL_HV_##name] = { #name, on, needs, doc },
#include "sill/hyperv.def"
#undef SILL_HV
};

static uint32_t bit(unsigned n)
{
	return 1u << n;
}

/* Bits of 0x40000003 and 0x40000004. free_*: claims that need no help of KVM's. */
struct hv_bits {
	uint32_t eax3, ebx3, edx3, eax4;
	uint32_t free_edx3, free_eax4;
};

static struct hv_bits feature_bits(enum sill_hv_feature f)
{
	switch (f) {
	case SILL_HV_relaxed:
		return (struct hv_bits){ .free_eax4 = bit(5) };
	case SILL_HV_vapic:
		return (struct hv_bits){ .eax3 = bit(4) };
	case SILL_HV_spinlocks:
		return (struct hv_bits){ 0 }; /* a number, not a bit */
	case SILL_HV_runtime:
		return (struct hv_bits){ .eax3 = bit(0) };
	case SILL_HV_time:
		return (struct hv_bits){ .eax3 = bit(1) | bit(9) };
	case SILL_HV_frequencies:
		return (struct hv_bits){ .eax3 = bit(11), .edx3 = bit(8) };
	case SILL_HV_synic:
		/* Posting messages and signalling events; AutoEOI would switch APICv off. */
		return (struct hv_bits){ .eax3 = bit(2),
					 .ebx3 = bit(4) | bit(5),
					 .free_eax4 = bit(9) };
	case SILL_HV_stimer:
		return (struct hv_bits){ .eax3 = bit(3) };
	case SILL_HV_stimer_direct:
		return (struct hv_bits){ .edx3 = bit(19) };
	case SILL_HV_tlbflush:
		return (struct hv_bits){ .eax4 = bit(2) | bit(11) };
	case SILL_HV_tlbflush_ext:
		return (struct hv_bits){ .edx3 = bit(14) };
	case SILL_HV_ipi:
		return (struct hv_bits){ .eax4 = bit(10) | bit(11) };
	case SILL_HV_xmm_input:
		return (struct hv_bits){ .edx3 = bit(4) };
	case SILL_HV_crash:
		return (struct hv_bits){ .edx3 = bit(10) };
	case SILL_HV_reset:
		return (struct hv_bits){ .eax3 = bit(7) };
	case SILL_HV_dynamic_partitioning:
		return (struct hv_bits){ .free_edx3 = bit(3) };
	case SILL_HV_COUNT:
		break;
	}
	return (struct hv_bits){ 0 };
}

static const struct kvm_cpuid_entry2 *supported(const struct cpuid *hv, uint32_t leaf)
{
	static const struct kvm_cpuid_entry2 none;

	for (unsigned i = 0; hv != NULL && i < hv->head.nent; i++)
		if (hv->leaf[i].function == leaf)
			return &hv->leaf[i];
	return &none;
}

const bool *sill_hv_switch(const struct sill_hyperv_config *c, enum sill_hv_feature f)
{
#define SILL_HV(name, on, needs, doc) offsetof(struct sill_hyperv_config, name),
	static const size_t at[SILL_HV_COUNT] = {
#include "sill/hyperv.def"
	};
#undef SILL_HV

	return (const bool *)((const char *)c + at[f]);
}

uint32_t sill_hv_set(const struct sill_cpus_config *c)
{
	uint32_t set = 0;

	for (unsigned f = 0; c->kvm_hyperv && f < SILL_HV_COUNT; f++)
		set |= *sill_hv_switch(&c->hyperv, f) ? bit(f) : 0;
	return set;
}

bool sill_hv_lacks(uint32_t set, enum sill_hv_feature feature, enum sill_hv_feature *ret)
{
	const uint32_t lacks = sill_hv_features[feature].needs & ~set;

	if (lacks != 0)
		*ret = (enum sill_hv_feature)__builtin_ctz(lacks);
	return lacks != 0;
}

uint32_t sill_hv_want(uint32_t on, uint32_t off)
{
	uint32_t want = on;

	for (unsigned f = 0; f < SILL_HV_COUNT; f++)
		if (sill_hv_features[f].on)
			want |= bit(f);
	return want & ~off;
}

void hyperv_resolve(const struct cpuid *hv, uint32_t want, enum sill_hv_state ret[SILL_HV_COUNT])
{
	const struct kvm_cpuid_entry2 *l3 = supported(hv, HV_BASE + 3);
	const struct kvm_cpuid_entry2 *l4 = supported(hv, HV_BASE + 4);
	enum sill_hv_feature lacks;
	uint32_t on = 0;

	/* A feature only needs features above it in the list. */
	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		struct hv_bits b = feature_bits((enum sill_hv_feature)f);

		if ((want & bit(f)) == 0)
			ret[f] = SILL_HV_OFF;
		else if (hv == NULL || hv->head.nent == 0 || (b.eax3 & ~l3->eax) != 0 ||
			 (b.ebx3 & ~l3->ebx) != 0 || (b.edx3 & ~l3->edx) != 0 ||
			 (b.eax4 & ~l4->eax) != 0)
			ret[f] = SILL_HV_UNSUPPORTED;
		else if (sill_hv_lacks(on, (enum sill_hv_feature)f, &lacks))
			ret[f] = SILL_HV_BLOCKED;
		else
			ret[f] = SILL_HV_ON;
		if (ret[f] == SILL_HV_ON)
			on |= bit(f);
	}
}

static struct kvm_cpuid_entry2 *add(struct cpuid *c, uint32_t leaf)
{
	struct kvm_cpuid_entry2 *l = &c->leaf[c->head.nent++];

	*l = (struct kvm_cpuid_entry2){ .function = leaf };
	return l;
}

void hyperv_leaves(struct cpuid *c, const struct hyperv_facts *f)
{
	struct kvm_cpuid_entry2 *l;
	struct hv_bits all = { .eax3 = bit(5) | bit(6) }; /* hypercall, VP index: mandatory */

	for (unsigned i = 0; i < SILL_HV_COUNT; i++) {
		struct hv_bits b = feature_bits((enum sill_hv_feature)i);

		if (f->state[i] != SILL_HV_ON)
			continue;
		all.eax3 |= b.eax3;
		all.ebx3 |= b.ebx3;
		all.edx3 |= b.edx3 | b.free_edx3;
		all.eax4 |= b.eax4 | b.free_eax4;
	}
	l = add(c, HV_BASE + 0);
	l->eax = HV_BASE + 5;
	l->ebx = 0x7263694d; /* "Microsoft Hv": Linux guests go by it, and so prove the rest */
	l->ecx = 0x666f736f;
	l->edx = 0x76482074;
	l = add(c, HV_BASE + 1);
	l->eax = 0x31237648; /* "Hv#1": Windows goes by it, and KVM */
	l = add(c, HV_BASE + 2);
	l->eax = 0x3839; /* build 14393, version 10.0: Server 2016 */
	l->ebx = 0x000a0000;
	l = add(c, HV_BASE + 3);
	l->eax = all.eax3;
	l->ebx = all.ebx3;
	l->edx = all.edx3;
	l = add(c, HV_BASE + 4);
	l->eax = all.eax4;
	/* "Use the APIC's MSRs": where hardware takes an EOI without an exit they would cost one. */
	if (f->state[SILL_HV_vapic] == SILL_HV_ON && f->apic_emulated)
		l->eax |= bit(3);
	l->ebx = 0xffffffff; /* never tell us about a long spin */
	if (f->state[SILL_HV_spinlocks] == SILL_HV_ON)
		l->ebx = f->spin_retries != 0 ? f->spin_retries : SILL_SPIN_RETRIES;
	l->ecx = f->phys_bits;
	l = add(c, HV_BASE + 5);
	l->eax = f->max_vcpus;
	l->ebx = 64;
}

int sill_hv_resolve(int kvm, uint32_t want, enum sill_hv_state ret[SILL_HV_COUNT],
		    struct sill_err *e)
{
	struct cpuid *hv = calloc(1, sizeof(*hv));
	if (hv == NULL)
		return sill_err_sys(e, ENOMEM, "CPUID");
	cpuid_supported_hv(kvm, hv);
	hyperv_resolve(hv, want, ret);
	free(hv);
	return 0;
}
