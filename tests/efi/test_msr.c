/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_msr.c - the model-specific registers Windows touches.
 *
 * Names and numbers from the SDM volume 4 and AMD's BKDGs and PPRs. Each is read
 * on every processor with a #GP handler. A register is one of
 *
 *	KVM     always there: the kernel emulates it
 *	ANSWER  the machine answers what a table says, whatever the policy
 *	PROBED  as ANSWER, or the kernel does: read and write are accepted, nobody depends on the value
 *
 * and what is in no table follows the policy, option msrs=: "ignore" reads 0 and
 * drops writes, "fault" raises #GP.
 */
#include "clock.h"
#include "cpu.h"
#include "cpuid.h"
#include "fw.h"
#include "lib.h"
#include "report.h"
#include "tests.h"

enum kind { KVM, ANSWER, PROBED };
enum vendor { ANY, AMD, INTEL };
enum { UNSAFE_TO_WRITE = 1, OWN_VALUE = 2 /* may differ between processors */ };

struct reg {
	uint32_t msr;
	const char *name;
	enum kind kind;
	enum vendor vendor;
	unsigned flags;
	uint64_t mask, value; /* of ANSWER and KVM: the bits that are known */
};

#define ALL (~0ull)

static const struct reg regs[] = {
	{ 0x10, "TSC", KVM, ANY, UNSAFE_TO_WRITE | OWN_VALUE, 0, 0 },
	{ 0x17, "PLATFORM_ID", ANSWER, ANY, 0, ALL, 0 },
	{ 0x1b, "APIC_BASE", KVM, ANY, UNSAFE_TO_WRITE | OWN_VALUE, 0xfffff000, 0xfee00000 },
	{ 0x2a, "EBL_CR_POWERON", PROBED, ANY, 0, 0, 0 },
	{ 0x3b, "TSC_ADJUST", KVM, ANY, UNSAFE_TO_WRITE, ALL, 0 },
	{ 0x3a, "FEATURE_CONTROL", ANSWER, ANY, UNSAFE_TO_WRITE, 5, 1 },
	{ 0x79, "BIOS_UPDT_TRIG", PROBED, ANY, 0, 0, 0 },
	{ 0x88, "BBL_CR_D0", PROBED, ANY, 0, 0, 0 },
	{ 0x8a, "BBL_CR_D2", PROBED, ANY, 0, 0, 0 },
	{ 0x8b, "BIOS_SIGN_ID", PROBED, ANY, 0, 0, 0 },
	{ 0xce, "PLATFORM_INFO", PROBED, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xe7, "MPERF", PROBED, ANY, OWN_VALUE, 0, 0 },
	{ 0xe8, "APERF", PROBED, ANY, OWN_VALUE, 0, 0 },
	{ 0xfe, "MTRRCAP", KVM, ANY, UNSAFE_TO_WRITE, 0x5ff, 0x508 },
	{ 0x116, "BBL_CR_ADDR", PROBED, ANY, 0, 0, 0 },
	{ 0x119, "BBL_CR_CTL", PROBED, ANY, 0, 0, 0 },
	{ 0x11e, "BBL_CR_CTL3", PROBED, ANY, 0, 0, 0 },
	{ 0x140, "MISC_FEATURES_ENABLES", PROBED, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x174, "SYSENTER_CS", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0x175, "SYSENTER_ESP", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0x176, "SYSENTER_EIP", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0x179, "MCG_CAP", KVM, ANY, UNSAFE_TO_WRITE, 0xff, 10 },
	{ 0x17a, "MCG_STATUS", KVM, ANY, 0, ALL, 0 },
	{ 0x186, "PERFEVTSEL0", PROBED, ANY, 0, 0, 0 },
	{ 0x198, "PERF_STATUS", PROBED, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x199, "PERF_CTL", PROBED, ANY, 0, 0, 0 },
	{ 0x19a, "CLOCK_MODULATION", PROBED, ANY, 0, 0, 0 },
	{ 0x19b, "THERM_INTERRUPT", PROBED, ANY, 0, 0, 0 },
	{ 0x19c, "THERM_STATUS", PROBED, ANY, 0, 0, 0 },
	{ 0x19d, "THERM2_CTL", PROBED, ANY, 0, 0, 0 },
	{ 0x1a0, "MISC_ENABLE", KVM, INTEL, UNSAFE_TO_WRITE, 0x1801, 0x1801 },
	{ 0x1ad, "TURBO_RATIO_LIMIT", PROBED, ANY, 0, 0, 0 },
	{ 0x1b0, "ENERGY_PERF_BIAS", PROBED, ANY, 0, 0, 0 },
	{ 0x1b1, "PACKAGE_THERM_STATUS", PROBED, ANY, 0, 0, 0 },
	{ 0x1c8, "LBR_SELECT", PROBED, ANY, 0, 0, 0 },
	{ 0x1c9, "LASTBRANCH_TOS", PROBED, ANY, 0, 0, 0 },
	{ 0x1d9, "DEBUGCTL", KVM, ANY, 0, ALL, 0 },
	{ 0x1db, "LASTBRANCHFROMIP", PROBED, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x1de, "LASTINTTOIP", PROBED, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x200, "MTRR_PHYSBASE0", KVM, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x20f, "MTRR_PHYSMASK7", KVM, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x250, "MTRR_FIX64K", KVM, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x26f, "MTRR_FIX4K_F8000", KVM, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x277, "PAT", KVM, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x2ff, "MTRR_DEF_TYPE", KVM, ANY, UNSAFE_TO_WRITE, 0x800, 0x800 },
	{ 0x309, "FIXED_CTR0", PROBED, ANY, 0, 0, 0 },
	{ 0x345, "PERF_CAPABILITIES", PROBED, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x38d, "FIXED_CTR_CTRL", PROBED, ANY, 0, 0, 0 },
	{ 0x38f, "PERF_GLOBAL_CTRL", PROBED, ANY, 0, 0, 0 },
	{ 0x400, "MC0_CTL", KVM, ANY, UNSAFE_TO_WRITE, 0, 0 },
	{ 0x606, "RAPL_POWER_UNIT", ANSWER, ANY, 0, ALL, 0 },
	{ 0x610, "PKG_POWER_LIMIT", ANSWER, ANY, 0, ALL, 0 },
	{ 0x611, "PKG_ENERGY_STATUS", ANSWER, ANY, 0, ALL, 0 },
	{ 0x614, "PKG_POWER_INFO", ANSWER, ANY, 0, ALL, 0 },
	{ 0x619, "DRAM_ENERGY_STATUS", ANSWER, ANY, 0, ALL, 0 },
	{ 0x639, "PP0_ENERGY_STATUS", ANSWER, ANY, 0, ALL, 0 },
	{ 0x641, "PP1_ENERGY_STATUS", ANSWER, ANY, 0, ALL, 0 },
	{ 0x64e, "PPERF", ANSWER, ANY, 0, ALL, 0 },
	{ 0x680, "LASTBRANCH_0_FROM", PROBED, ANY, 0, 0, 0 },
	{ 0xc0000080, "EFER", KVM, ANY, UNSAFE_TO_WRITE, 0x500, 0x500 },
	{ 0xc0000081, "STAR", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0xc0000082, "LSTAR", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0xc0000083, "CSTAR", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0xc0000084, "FMASK", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0xc0000100, "FS_BASE", KVM, ANY, OWN_VALUE | UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0000101, "GS_BASE", KVM, ANY, OWN_VALUE | UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0000102, "KERNEL_GS_BASE", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0xc0000103, "TSC_AUX", KVM, ANY, OWN_VALUE, 0, 0 },
	{ 0xc0010000, "PERF_CTL0", PROBED, AMD, 0, 0, 0 },
	{ 0xc0010004, "PERF_CTR0", PROBED, AMD, OWN_VALUE, 0, 0 },
	{ 0xc0010010, "SYSCFG", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0010015, "HWCR", KVM, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc001001f, "NB_CFG", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0010055, "INT_PENDING", PROBED, AMD, 0, 0, 0 },
	{ 0xc0010112, "TSEG_BASE", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0010113, "TSEG_MASK", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0010114, "VM_CR", ANSWER, AMD, UNSAFE_TO_WRITE, 1 << 4, 1 << 4 },
	{ 0xc0010115, "IGNNE", PROBED, AMD, 0, 0, 0 },
	{ 0xc0010117, "VM_HSAVE_PA", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0010140, "OSVW_ID_LENGTH", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0010141, "OSVW_STATUS", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0010200, "PERF_CTL0 (core)", PROBED, AMD, 0, 0, 0 },
	{ 0xc0010201, "PERF_CTR0 (core)", PROBED, AMD, OWN_VALUE, 0, 0 },
	{ 0xc0010292, "PWR_MGMT_MISC", PROBED, AMD, 0, 0, 0 },
	{ 0xc0010293, "HW_PSTATE_STATUS", PROBED, AMD, 0, 0, 0 },
	{ 0xc0010299, "RAPL_PWR_UNIT", PROBED, AMD, 0, 0, 0 },
	{ 0xc001029a, "CORE_ENERGY_STAT", PROBED, AMD, 0, 0, 0 },
	{ 0xc001029b, "PKG_ENERGY_STAT", PROBED, AMD, 0, 0, 0 },
	{ 0xc0011020, "LS_CFG", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0011021, "IC_CFG", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0011022, "DC_CFG", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0011023, "BU_CFG", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
	{ 0xc0011029, "DE_CFG", PROBED, AMD, UNSAFE_TO_WRITE, 0, 0 },
};

/* In no table and no processor. */
static const uint32_t unknown[] = { 0x12345, 0x7ff, 0xc0011fff, 0x4b564dff };
/* Unassigned in the Hyper-V range: detection code counts on #GP, whatever the policy. */
static const uint32_t unknown_hyperv[] = { 0x4000001f, 0x400000f8, 0x400001ff };

struct reading {
	int fault;
	uint64_t value;
};

static struct reading (*readings)[ARRAY_LEN(regs)];
static bool ignores, answers;

static bool applies(const struct reg *r)
{
	return r->vendor == ANY || (r->vendor == AMD ? cpu_is_amd() : cpu_is_intel());
}

static void read_all(unsigned cpu, void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
		if (applies(&regs[i]))
			readings[cpu][i].fault = try_rdmsr(regs[i].msr, &readings[cpu][i].value);
}

static void read_table(void)
{
	rule_begin("msr.read");
	for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
		const struct reg *r = &regs[i];

		if (!applies(r) || (r->kind != KVM && !answers))
			continue;
		for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
			const struct reading *v = &readings[cpu][i];

			if (v->fault != 0)
				rule_bad("%s (%x) faults on processor %u", r->name, r->msr, cpu);
			else if ((v->value & r->mask) != r->value)
				rule_bad("%s (%x) is %lx on processor %u, not %lx in %lx", r->name,
					 r->msr, v->value, cpu, r->value, r->mask);
		}
	}
	(void)rule_end();

	rule_begin("msr.same-on-all");
	for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
		for (unsigned cpu = 1; cpu < cpu_count; cpu++)
			if (applies(&regs[i]) && (regs[i].flags & OWN_VALUE) == 0 &&
			    readings[cpu][i].value != readings[0][i].value)
				rule_bad("%s (%x) is %lx on processor %u, %lx on 0", regs[i].name,
					 regs[i].msr, readings[cpu][i].value, cpu,
					 readings[0][i].value);
	(void)rule_end();
}

/* A write of what was read, and of 0, which Windows does on AMD: accepted. */
static void write_table(void)
{
	rule_begin("msr.write");
	for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
		const struct reg *r = &regs[i];
		int fault;

		if (!applies(r) || (r->flags & UNSAFE_TO_WRITE) != 0 ||
		    (r->kind != KVM && !answers))
			continue;
		fault = try_wrmsr(r->msr, readings[0][i].value);
		if (fault == 0 && readings[0][i].value != 0 && r->kind != KVM)
			fault = try_wrmsr(r->msr, 0);
		if (fault != 0)
			rule_bad("writing %s (%x) faults", r->name, r->msr);
	}
	(void)rule_end();
}

static void feature_control(void)
{
	uint64_t v = rdmsr(0x3a);

	rule_begin("msr.feature-control-locked");
	if (!bit(v, 0) || bit(v, 2))
		rule_bad("%lx, not locked with VMX off", v);
	if (try_wrmsr(0x3a, v ^ 4) == 0 && rdmsr(0x3a) != v)
		rule_bad("it is locked and a write changes it");
	(void)rule_end();
}

static void policy(void)
{
	rule_begin(ignores ? "msr.unknown-ignored" : "msr.unknown-faults");
	for (unsigned i = 0; i < ARRAY_LEN(unknown); i++) {
		uint64_t v = 1;
		int read = try_rdmsr(unknown[i], &v);
		int write = try_wrmsr(unknown[i], 0x55);

		if (ignores && (read != 0 || v != 0))
			rule_bad("reading %x gives %lx, fault %d; 0 is right", unknown[i], v, read);
		if (ignores && (write != 0 || try_rdmsr(unknown[i], &v) != 0 || v != 0))
			rule_bad("writing %x: fault %d, then %lx; dropped is right", unknown[i],
				 write, v);
		if (!ignores && (read != VECTOR_GP || write != VECTOR_GP))
			rule_bad("%x: faults %d and %d, #GP is right", unknown[i], read, write);
	}
	(void)rule_end();

	rule_begin("msr.unknown-hyperv-faults");
	for (unsigned i = 0; i < ARRAY_LEN(unknown_hyperv); i++) {
		uint64_t v = 0;
		int read = try_rdmsr(unknown_hyperv[i], &v);

		if (read != VECTOR_GP)
			rule_bad("reading %x gives %lx, fault %d; #GP is right", unknown_hyperv[i],
				 v, read);
	}
	(void)rule_end();
}

/* Windows' PatchGuard writes values at random and reads them back. */
static void exact(void)
{
	static const uint64_t values[] = {
		0xfffff80012345678, 0x00007fffdeadbeef, 0xffff800000000000, 0, 1,
	};
	static const uint32_t msrs[] = { 0xc0000082, 0xc0000083, 0x175, 0x176, 0xc0000102 };
	uint64_t v = 0;

	rule_begin("msr.syscall-exact");
	for (unsigned m = 0; m < ARRAY_LEN(msrs); m++) {
		uint64_t old = rdmsr(msrs[m]);

		for (unsigned i = 0; i < ARRAY_LEN(values); i++)
			if (try_wrmsr(msrs[m], values[i]) != 0 || try_rdmsr(msrs[m], &v) != 0 ||
			    v != values[i])
				rule_bad("%x: wrote %lx, reads %lx", msrs[m], values[i], v);
		(void)try_wrmsr(msrs[m], old);
	}
	(void)rule_end();
}

static void machine_check(void)
{
	uint64_t cap = rdmsr(0x179), v = 0;
	unsigned banks = cap & 0xff;

	rule_begin("msr.machine-check");
	if (banks < 1 || banks > 32)
		rule_bad("MCG_CAP is %lx", cap);
	if (bit(cap, 8) && try_wrmsr(0x17b, ~0ull) != 0)
		rule_bad("MCG_CTL refuses all ones");
	for (unsigned i = 0; i < banks && i < 32; i++) {
		uint32_t at = 0x400 + 4 * i;

		if (try_wrmsr(at, ~0ull) != 0 || try_rdmsr(at, &v) != 0 || v != ~0ull)
			rule_bad("MC%u_CTL: wrote all ones, reads %lx", i, v);
		if (try_rdmsr(at + 1, &v) != 0 || v != 0 || try_wrmsr(at + 1, 0) != 0)
			rule_bad("MC%u_STATUS reads %lx", i, v);
	}
	(void)rule_end();
}

/* Memory types: RAM write-back, the device hole below 4 GiB not. */
static unsigned mtrr_type(uint64_t addr)
{
	uint64_t def = rdmsr(0x2ff), cap = rdmsr(0xfe);
	unsigned type = def & 0xff;
	bool found = false;

	for (unsigned i = 0; i < (cap & 0xff); i++) {
		uint64_t base = rdmsr(0x200 + 2 * i), mask = rdmsr(0x201 + 2 * i);

		if (!bit(mask, 11) || ((addr ^ base) & mask & ~0xfffull) != 0)
			continue;
		if (!found || (base & 0xff) == 0)
			type = base & 0xff;
		found = true;
		if (type == 0)
			break;
	}
	return bit(def, 11) ? type : 0;
}

static void memory_types(void)
{
	enum { UC = 0, WB = 6 };
	static const uint64_t device[] = { 0xc0000000, 0xe0000000, 0xfec00000, 0xfee00000 };

	rule_begin("msr.mtrr-types");
	for (unsigned i = 0; i < ARRAY_LEN(device); i++)
		if (mtrr_type(device[i]) != UC)
			rule_bad("%lx has type %u, not uncached", device[i], mtrr_type(device[i]));
	if (mtrr_type(0x200000) != WB)
		rule_bad("RAM has type %u, not write-back", mtrr_type(0x200000));
	(void)rule_end();
}

void test_msr(void)
{
	char mode[16] = "";

	(void)opt("msrs", mode, sizeof(mode));
	ignores = streq(mode, "ignore");
	answers = ignores || streq(mode, "fault");
	readings = fw_pages((unsigned)(sizeof(readings[0]) * cpu_count / 4096 + 1));
	mp_each(read_all, NULL);
	read_table();
	write_table();
	exact();
	machine_check();
	memory_types();
	if (answers) {
		feature_control();
		policy();
	} else {
		rule_skip("msr.feature-control-locked", "no option msrs");
		rule_skip("msr.unknown-ignored", "no option msrs");
		rule_skip("msr.unknown-hyperv-faults", "no option msrs");
	}
	if (cpu_is_amd() && bit(cpuid(0x80000007, 0).edx, 8)) {
		rule_begin("msr.hwcr-tscfreqsel");
		if (!bit(rdmsr(0xc0010015), 24))
			rule_bad("HWCR is %lx with an invariant TSC: bit 24 is clear",
				 rdmsr(0xc0010015));
		(void)rule_end();
	} else {
		rule_skip("msr.hwcr-tscfreqsel", "no AMD processor with an invariant TSC");
	}
}
