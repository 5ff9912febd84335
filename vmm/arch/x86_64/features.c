/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.c - CPUID features by name, for cpus.features in the manifest.
 *
 * Names are those of Linux's /proc/cpuinfo where it has one, else of the
 * vendor's manual in lower case. Bits: SDM volume 2A (CPUID), APM volume 3,
 * appendix E.
 */
#include <string.h>

#include "arch/x86_64/cpuid.h"

enum reg { EAX, EBX, ECX, EDX };

struct feature {
	const char *name;
	uint32_t leaf;
	uint32_t index;
	enum reg reg;
	unsigned bit;
};

/* clang-format off */
static const struct feature features[] = {
	{ "pni", 0x1, 0, ECX, 0 },
	{ "pclmulqdq", 0x1, 0, ECX, 1 },
	{ "monitor", 0x1, 0, ECX, 3 },
	{ "vmx", 0x1, 0, ECX, 5 },
	{ "ssse3", 0x1, 0, ECX, 9 },
	{ "fma", 0x1, 0, ECX, 12 },
	{ "cx16", 0x1, 0, ECX, 13 },
	{ "pcid", 0x1, 0, ECX, 17 },
	{ "sse4_1", 0x1, 0, ECX, 19 },
	{ "sse4_2", 0x1, 0, ECX, 20 },
	{ "x2apic", 0x1, 0, ECX, 21 },
	{ "movbe", 0x1, 0, ECX, 22 },
	{ "popcnt", 0x1, 0, ECX, 23 },
	{ "tsc_deadline_timer", 0x1, 0, ECX, 24 },
	{ "aes", 0x1, 0, ECX, 25 },
	{ "xsave", 0x1, 0, ECX, 26 },
	{ "avx", 0x1, 0, ECX, 28 },
	{ "f16c", 0x1, 0, ECX, 29 },
	{ "rdrand", 0x1, 0, ECX, 30 },
	{ "fpu", 0x1, 0, EDX, 0 },
	{ "vme", 0x1, 0, EDX, 1 },
	{ "de", 0x1, 0, EDX, 2 },
	{ "pse", 0x1, 0, EDX, 3 },
	{ "tsc", 0x1, 0, EDX, 4 },
	{ "pae", 0x1, 0, EDX, 6 },
	{ "cx8", 0x1, 0, EDX, 8 },
	{ "sep", 0x1, 0, EDX, 11 },
	{ "pge", 0x1, 0, EDX, 13 },
	{ "cmov", 0x1, 0, EDX, 15 },
	{ "pse36", 0x1, 0, EDX, 17 },
	{ "clflush", 0x1, 0, EDX, 19 },
	{ "mmx", 0x1, 0, EDX, 23 },
	{ "fxsr", 0x1, 0, EDX, 24 },
	{ "sse", 0x1, 0, EDX, 25 },
	{ "sse2", 0x1, 0, EDX, 26 },
	{ "arat", 0x6, 0, EAX, 2 },
	{ "fsgsbase", 0x7, 0, EBX, 0 },
	{ "tsc_adjust", 0x7, 0, EBX, 1 },
	{ "bmi1", 0x7, 0, EBX, 3 },
	{ "hle", 0x7, 0, EBX, 4 },
	{ "avx2", 0x7, 0, EBX, 5 },
	{ "smep", 0x7, 0, EBX, 7 },
	{ "bmi2", 0x7, 0, EBX, 8 },
	{ "erms", 0x7, 0, EBX, 9 },
	{ "invpcid", 0x7, 0, EBX, 10 },
	{ "rtm", 0x7, 0, EBX, 11 },
	{ "avx512f", 0x7, 0, EBX, 16 },
	{ "avx512dq", 0x7, 0, EBX, 17 },
	{ "rdseed", 0x7, 0, EBX, 18 },
	{ "adx", 0x7, 0, EBX, 19 },
	{ "smap", 0x7, 0, EBX, 20 },
	{ "avx512ifma", 0x7, 0, EBX, 21 },
	{ "clflushopt", 0x7, 0, EBX, 23 },
	{ "clwb", 0x7, 0, EBX, 24 },
	{ "avx512pf", 0x7, 0, EBX, 26 },
	{ "avx512er", 0x7, 0, EBX, 27 },
	{ "avx512cd", 0x7, 0, EBX, 28 },
	{ "sha_ni", 0x7, 0, EBX, 29 },
	{ "avx512bw", 0x7, 0, EBX, 30 },
	{ "avx512vl", 0x7, 0, EBX, 31 },
	{ "avx512vbmi", 0x7, 0, ECX, 1 },
	{ "umip", 0x7, 0, ECX, 2 },
	{ "pku", 0x7, 0, ECX, 3 },
	{ "waitpkg", 0x7, 0, ECX, 5 },
	{ "avx512_vbmi2", 0x7, 0, ECX, 6 },
	{ "cet_ss", 0x7, 0, ECX, 7 },
	{ "gfni", 0x7, 0, ECX, 8 },
	{ "vaes", 0x7, 0, ECX, 9 },
	{ "vpclmulqdq", 0x7, 0, ECX, 10 },
	{ "avx512_vnni", 0x7, 0, ECX, 11 },
	{ "avx512_bitalg", 0x7, 0, ECX, 12 },
	{ "avx512_vpopcntdq", 0x7, 0, ECX, 14 },
	{ "la57", 0x7, 0, ECX, 16 },
	{ "rdpid", 0x7, 0, ECX, 22 },
	{ "cldemote", 0x7, 0, ECX, 25 },
	{ "movdiri", 0x7, 0, ECX, 27 },
	{ "movdir64b", 0x7, 0, ECX, 28 },
	{ "fsrm", 0x7, 0, EDX, 4 },
	{ "avx512_vp2intersect", 0x7, 0, EDX, 8 },
	{ "md_clear", 0x7, 0, EDX, 10 },
	{ "serialize", 0x7, 0, EDX, 14 },
	{ "tsxldtrk", 0x7, 0, EDX, 16 },
	{ "cet_ibt", 0x7, 0, EDX, 20 },
	{ "amx_bf16", 0x7, 0, EDX, 22 },
	{ "avx512_fp16", 0x7, 0, EDX, 23 },
	{ "amx_tile", 0x7, 0, EDX, 24 },
	{ "amx_int8", 0x7, 0, EDX, 25 },
	{ "spec_ctrl", 0x7, 0, EDX, 26 },
	{ "intel_stibp", 0x7, 0, EDX, 27 },
	{ "flush_l1d", 0x7, 0, EDX, 28 },
	{ "arch_capabilities", 0x7, 0, EDX, 29 },
	{ "ssbd", 0x7, 0, EDX, 31 },
	{ "avx_vnni", 0x7, 1, EAX, 4 },
	{ "avx512_bf16", 0x7, 1, EAX, 5 },
	{ "amx_fp16", 0x7, 1, EAX, 21 },
	{ "avx_ifma", 0x7, 1, EAX, 23 },
	{ "xsaveopt", 0xd, 1, EAX, 0 },
	{ "xsavec", 0xd, 1, EAX, 1 },
	{ "xgetbv1", 0xd, 1, EAX, 2 },
	{ "xsaves", 0xd, 1, EAX, 3 },
	{ "lahf_lm", 0x80000001, 0, ECX, 0 },
	{ "svm", 0x80000001, 0, ECX, 2 },
	{ "cr8_legacy", 0x80000001, 0, ECX, 4 },
	{ "abm", 0x80000001, 0, ECX, 5 },
	{ "sse4a", 0x80000001, 0, ECX, 6 },
	{ "misalignsse", 0x80000001, 0, ECX, 7 },
	{ "3dnowprefetch", 0x80000001, 0, ECX, 8 },
	{ "osvw", 0x80000001, 0, ECX, 9 },
	{ "xop", 0x80000001, 0, ECX, 11 },
	{ "fma4", 0x80000001, 0, ECX, 16 },
	{ "tbm", 0x80000001, 0, ECX, 21 },
	{ "topoext", 0x80000001, 0, ECX, 22 },
	{ "perfctr_core", 0x80000001, 0, ECX, 23 },
	{ "mwaitx", 0x80000001, 0, ECX, 29 },
	{ "syscall", 0x80000001, 0, EDX, 11 },
	{ "nx", 0x80000001, 0, EDX, 20 },
	{ "mmxext", 0x80000001, 0, EDX, 22 },
	{ "fxsr_opt", 0x80000001, 0, EDX, 25 },
	{ "pdpe1gb", 0x80000001, 0, EDX, 26 },
	{ "rdtscp", 0x80000001, 0, EDX, 27 },
	{ "lm", 0x80000001, 0, EDX, 29 },
	{ "invtsc", 0x80000007, 0, EDX, 8 },
	{ "clzero", 0x80000008, 0, EBX, 0 },
	{ "xsaveerptr", 0x80000008, 0, EBX, 2 },
	{ "wbnoinvd", 0x80000008, 0, EBX, 9 },
	{ "amd_ibpb", 0x80000008, 0, EBX, 12 },
	{ "amd_ibrs", 0x80000008, 0, EBX, 14 },
	{ "amd_stibp", 0x80000008, 0, EBX, 15 },
	{ "amd_ssbd", 0x80000008, 0, EBX, 24 },
	{ "virt_ssbd", 0x80000008, 0, EBX, 25 },
	{ "amd_psfd", 0x80000008, 0, EBX, 28 },
};
/* clang-format on */

static const struct feature *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		if (strcmp(features[i].name, name) == 0)
			return &features[i];
	return NULL;
}

bool sill_cpu_feature_known(const char *name)
{
	return find(name) != NULL;
}

const char *sill_cpu_feature_name(size_t index)
{
	return index < ARRAY_LEN(features) ? features[index].name : NULL;
}

static uint32_t *word(struct kvm_cpuid_entry2 *l, enum reg r)
{
	switch (r) {
	case EAX:
		return &l->eax;
	case EBX:
		return &l->ebx;
	case ECX:
		return &l->ecx;
	case EDX:
		break;
	}
	return &l->edx;
}

static bool is_set(struct cpuid *c, const struct feature *f)
{
	struct kvm_cpuid_entry2 *l = cpuid_find(c, f->leaf, f->index);

	return l != NULL && (*word(l, f->reg) >> f->bit & 1) != 0;
}

bool cpuid_feature_get(struct cpuid *c, const char *name)
{
	const struct feature *f = find(name);

	return f != NULL && is_set(c, f);
}

bool cpuid_feature_at(struct cpuid *c, size_t index)
{
	return index < ARRAY_LEN(features) && is_set(c, &features[index]);
}

bool cpuid_feature_set(struct cpuid *c, const char *name, bool on)
{
	const struct feature *f = find(name);
	struct kvm_cpuid_entry2 *l = f != NULL ? cpuid_find(c, f->leaf, f->index) : NULL;

	if (l == NULL)
		return !on && f != NULL;
	*word(l, f->reg) &= ~(1u << f->bit);
	if (on)
		*word(l, f->reg) |= 1u << f->bit;
	return true;
}
