/* SPDX-License-Identifier: Apache-2.0 */
/* msr.c - see msr.h. Register names from the SDM volume 4 and AMD's BKDGs. */
#include "arch/x86_64/msr.h"

#include <stddef.h>

#include "base/attr.h"
#include "base/log.h"

/* What happens to a write of a register in the table. */
enum on_write { DROP, FAULT };

struct answer {
	uint32_t first, last;
	uint64_t value; /* reads as */
	enum on_write write;
};

/*
 * Sorted. Most of these are never reached: KVM answers what it knows first,
 * and which it knows depends on its version.
 */
static const struct answer answers[] = {
	{ 0x00000017, 0x00000017, 0, DROP },  /* PLATFORM_ID */
	{ 0x0000002a, 0x0000002a, 0, DROP },  /* EBL_CR_POWERON */
	{ 0x00000034, 0x00000034, 0, DROP },  /* SMI_COUNT */
	{ 0x00000035, 0x00000035, 0, FAULT }, /* CORE_THREAD_COUNT */
	{ 0x0000003a, 0x0000003a, 1,
	  FAULT },                           /* FEATURE_CONTROL: locked; Windows reads it unasked */
	{ 0x00000079, 0x00000079, 0, DROP }, /* BIOS_UPDT_TRIG */
	{ 0x00000088, 0x0000008a, 0, DROP }, /* BBL_CR_D0..2 */
	{ 0x0000008b, 0x0000008b, 1ull << 32, DROP }, /* BIOS_SIGN_ID: some microcode */
	{ 0x000000ce, 0x000000ce, 0, DROP },          /* PLATFORM_INFO */
	{ 0x000000e7, 0x000000e8, 0, DROP },          /* MPERF, APERF */
	{ 0x00000116, 0x0000011e, 0, DROP },          /* BBL_CR_ADDR..CTL3 */
	{ 0x00000140, 0x00000140, 0, DROP },          /* MISC_FEATURES_ENABLES */
	{ 0x00000186, 0x00000189, 0, DROP },          /* PERFEVTSEL0..3 */
	{ 0x00000198, 0x0000019d, 0, DROP },          /* PERF_STATUS .. THERM2_CTL */
	{ 0x000001a2, 0x000001a2, 0, DROP },          /* TEMPERATURE_TARGET */
	{ 0x000001ad, 0x000001ad, 0, DROP },          /* TURBO_RATIO_LIMIT */
	{ 0x000001b0, 0x000001b2, 0, DROP },          /* ENERGY_PERF_BIAS, PACKAGE_THERM_* */
	{ 0x000001c8, 0x000001c9, 0, DROP },          /* LBR_SELECT, LASTBRANCH_TOS */
	{ 0x000001db, 0x000001de, 0, DROP },          /* LASTBRANCH and LASTINT addresses */
	{ 0x00000309, 0x0000030b, 0, DROP },          /* FIXED_CTR0..2 */
	{ 0x00000345, 0x00000345, 0, DROP },          /* PERF_CAPABILITIES */
	{ 0x0000038d, 0x00000390, 0, DROP },          /* FIXED_CTR_CTRL, PERF_GLOBAL_* */
	{ 0x00000606, 0x00000606, 0, DROP },          /* RAPL_POWER_UNIT: Windows 10 reads it */
	{ 0x00000610, 0x0000061f, 0, DROP },          /* PKG_POWER_LIMIT, energy status ... */
	{ 0x00000638, 0x00000642, 0, DROP },          /* PP0, PP1 */
	{ 0x0000064e, 0x0000064e, 0, DROP },          /* PPERF */
	{ 0x00000680, 0x000006cf, 0, DROP },          /* LASTBRANCH_n_FROM, _TO */
	{ 0xc0010000, 0xc0010007, 0, DROP },          /* AMD: PERF_CTL0..3, PERF_CTR0..3 */
	{ 0xc0010010, 0xc0010010, 0, DROP },          /* AMD: SYSCFG */
	{ 0xc001001f, 0xc001001f, 0, DROP },          /* AMD: NB_CFG */
	{ 0xc0010055, 0xc0010055, 0, DROP },          /* AMD: INT_PENDING */
	{ 0xc0010061, 0xc0010071, 0, DROP },          /* AMD: P-states, COFVID */
	{ 0xc0010112, 0xc0010113, 0, DROP },          /* AMD: TSEG base, mask */
	{ 0xc0010114, 0xc0010114, 1u << 4, DROP },    /* AMD: VM_CR, SVM disabled */
	{ 0xc0010115, 0xc0010115, 0, DROP }, /* AMD: IGNNE: Windows writes 0 on every CPU */
	{ 0xc0010117, 0xc0010117, 0, DROP }, /* AMD: VM_HSAVE_PA */
	{ 0xc0010140, 0xc0010141, 0, DROP }, /* AMD: OSVW */
	{ 0xc0010200, 0xc001020b, 0, DROP }, /* AMD: core performance counters */
	{ 0xc0010230, 0xc001023b, 0, DROP }, /* AMD: L2 and north bridge counters */
	{ 0xc0010292, 0xc0010299, 0, DROP }, /* AMD: P-states, RAPL unit */
	{ 0xc001029a, 0xc001029b, 0, DROP }, /* AMD: energy */
	{ 0xc0011020, 0xc001102d, 0, DROP }, /* AMD: LS_CFG .. DE_CFG: errata work-arounds */
};

/* The Hyper-V range never follows the policy: detection code counts on #GP there. */
static bool is_hyperv(uint32_t msr)
{
	return msr >= 0x40000000 && msr <= 0x400001ff;
}

static const struct answer *find(uint32_t msr)
{
	size_t lo = 0, hi = ARRAY_LEN(answers);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (msr < answers[mid].first)
			hi = mid;
		else if (msr > answers[mid].last)
			lo = mid + 1;
		else
			return &answers[mid];
	}
	return NULL;
}

/* Once per register, near enough: registers that share a hash share the line. */
static void say_once(struct msr_policy *p, unsigned vcpu, uint32_t msr, const char *what)
{
	uint32_t hash = msr * 2654435761u >> 20; /* 12 bits (Knuth's multiplicative hash) */
	uint64_t bit = 1ull << (hash & 63);

	if ((__atomic_fetch_or(&p->seen[hash >> 6], bit, __ATOMIC_RELAXED) & bit) == 0)
		log_line(LOG_DEBUG, "vcpu%u: MSR 0x%x: %s", vcpu, msr, what);
}

bool msr_read(struct msr_policy *p, unsigned vcpu, uint32_t msr, uint64_t *ret)
{
	const struct answer *a = find(msr);

	if (a != NULL) {
		*ret = a->value;
		return true;
	}
	*ret = 0;
	if (is_hyperv(msr) || !p->ignore_unknown) {
		say_once(p, vcpu, msr, "unknown, read gets #GP");
		return false;
	}
	say_once(p, vcpu, msr, "unknown, reads 0");
	return true;
}

bool msr_write(struct msr_policy *p, unsigned vcpu, uint32_t msr, uint64_t val)
{
	const struct answer *a = find(msr);

	(void)val;
	if (a != NULL)
		return a->write == DROP;
	if (is_hyperv(msr) || !p->ignore_unknown) {
		say_once(p, vcpu, msr, "unknown, write gets #GP");
		return false;
	}
	say_once(p, vcpu, msr, "unknown, write dropped");
	return true;
}
