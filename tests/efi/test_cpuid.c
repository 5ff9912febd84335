/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cpuid.c - CPUID of every processor.
 *
 * Bit numbers are from the SDM volume 2A (CPUID) and AMD's APM volume 3
 * appendix E. The dump is one line a leaf:
 *
 *	cpuid CPU LEAF SUBLEAF EAX EBX ECX EDX
 *
 * all of them for processor 0 and those that differ for the others.
 */
#include "cpuid.h"

#include "acpi.h"
#include "fw.h"
#include "lib.h"
#include "report.h"

enum { LEAVES_MAX = 112, HV = 0x40000000 };

struct leaf {
	uint32_t leaf, sub;
	struct regs r;
};

struct dump {
	unsigned count;
	struct leaf leaf[LEAVES_MAX];
};

static struct dump *dumps; /* cpu_count of them */

bool cpu_is_intel(void)
{
	return cpuid(0, 0).ebx == 0x756e6547; /* "Genu" */
}

bool cpu_is_amd(void)
{
	uint32_t b = cpuid(0, 0).ebx;

	return b == 0x68747541 || b == 0x6f677948; /* "Auth", "Hygo" */
}

bool has_hyperv(void)
{
	return bit(cpuid(1, 0).ecx, 31) && cpuid(HV + 1, 0).eax == 0x31237648; /* "Hv#1" */
}

unsigned phys_bits(void)
{
	return cpuid(0x80000008, 0).eax & 0xff;
}

/* --- collecting ---------------------------------------------------------- */

static void take(struct dump *d, uint32_t leaf, uint32_t sub)
{
	if (d->count < LEAVES_MAX)
		d->leaf[d->count++] = (struct leaf){ leaf, sub, cpuid(leaf, sub) };
}

/* How many subleaves the leaf has; caches and topology end with their own mark. */
static unsigned subleaves(uint32_t leaf)
{
	unsigned n = 0;

	switch (leaf) {
	case 4:
	case 0x8000001d:
		while (n < 8 && (cpuid(leaf, n).eax & 0x1f) != 0)
			n++;
		return n + 1;
	case 7:
		return bits(cpuid(7, 0).eax, 1, 0) + 1;
	case 0xb:
	case 0x1f:
		while (n < 6 && bits(cpuid(leaf, n).ecx, 15, 8) != 0)
			n++;
		return n + 1;
	case 0xd:
		return 20;
	default:
		return 1;
	}
}

static void take_range(struct dump *d, uint32_t first, uint32_t most)
{
	uint32_t last = cpuid(first, 0).eax;

	if (last < first)
		return;
	if (last > most)
		last = most;
	for (uint32_t leaf = first; leaf <= last; leaf++) {
		unsigned n = subleaves(leaf);

		for (unsigned sub = 0; sub < n; sub++) {
			struct regs r = cpuid(leaf, sub);

			/* Of empty ones only those that say something by it. */
			if ((r.eax | r.ebx | r.ecx | r.edx) != 0 || leaf == first || n == 1)
				take(d, leaf, sub);
		}
	}
}

static void collect(unsigned cpu, void *ctx)
{
	struct dump *d = &dumps[cpu];

	(void)ctx;
	take_range(d, 0, 0x20);
	if (bit(cpuid(1, 0).ecx, 31)) {
		take_range(d, HV, HV + 0xa);
		take_range(d, HV + 0x100, HV + 0x101);
	}
	take_range(d, 0x80000000, 0x80000022);
}

static const struct regs *find(unsigned cpu, uint32_t leaf, uint32_t sub)
{
	static const struct regs none;

	for (unsigned i = 0; i < dumps[cpu].count; i++)
		if (dumps[cpu].leaf[i].leaf == leaf && dumps[cpu].leaf[i].sub == sub)
			return &dumps[cpu].leaf[i].r;
	return &none;
}

static void print(unsigned cpu, const struct leaf *l)
{
	say("cpuid %u %08x %02x %08x %08x %08x %08x", cpu, l->leaf, l->sub, l->r.eax, l->r.ebx,
	    l->r.ecx, l->r.edx);
}

static bool same(const struct regs *a, const struct regs *b)
{
	return a->eax == b->eax && a->ebx == b->ebx && a->ecx == b->ecx && a->edx == b->edx;
}

static void print_all(void)
{
	for (unsigned i = 0; i < dumps[0].count; i++)
		print(0, &dumps[0].leaf[i]);
	for (unsigned cpu = 1; cpu < cpu_count; cpu++)
		for (unsigned i = 0; i < dumps[cpu].count; i++) {
			const struct leaf *l = &dumps[cpu].leaf[i];

			if (!same(&l->r, find(0, l->leaf, l->sub)))
				print(cpu, l);
		}
}

/* --- the same on all ------------------------------------------------------ */

/* What may differ: APIC ids, and what mirrors a control register of the processor itself. */
static void blank_own(struct leaf *l)
{
	switch (l->leaf) {
	case 1:
		l->r.ebx &= 0x00ffffff;
		l->r.ecx &= ~(1u << 27); /* OSXSAVE: CR4 */
		break;
	case 7:
		if (l->sub == 0)
			l->r.ecx &= ~(1u << 4); /* OSPKE: CR4 */
		break;
	case 0xb:
	case 0x1f:
		l->r.edx = 0;
		break;
	case 0xd:
		if (l->sub <= 1)
			l->r.ebx = 0; /* XCR0, XSS */
		break;
	case 0x8000001e:
		l->r.eax = l->r.ebx = l->r.ecx = 0;
		break;
	default:
		break;
	}
}

static void identical(void)
{
	rule_begin("cpuid.identical");
	for (unsigned cpu = 1; cpu < cpu_count; cpu++) {
		if (dumps[cpu].count != dumps[0].count)
			rule_bad("processor %u has %u leaves, processor 0 has %u", cpu,
				 dumps[cpu].count, dumps[0].count);
		for (unsigned i = 0; i < dumps[cpu].count && i < dumps[0].count; i++) {
			struct leaf a = dumps[0].leaf[i], b = dumps[cpu].leaf[i];

			blank_own(&a);
			blank_own(&b);
			if (a.leaf != b.leaf || a.sub != b.sub || !same(&a.r, &b.r))
				rule_bad("processor %u: leaf %x.%x is %x %x %x %x, processor 0 has "
					 "%x %x %x %x",
					 cpu, b.leaf, b.sub, b.r.eax, b.r.ebx, b.r.ecx, b.r.edx,
					 a.r.eax, a.r.ebx, a.r.ecx, a.r.edx);
		}
	}
	(void)rule_end();
}

/* --- bits that must be there, must not, or go together ---------------------- */

enum reg { EAX, EBX, ECX, EDX };

struct feature {
	uint32_t leaf, sub;
	enum reg reg;
	unsigned bit;
	const char *name;
};

static bool has(const struct feature *f)
{
	struct regs r = cpuid(f->leaf, f->sub);
	const uint32_t v[] = { r.eax, r.ebx, r.ecx, r.edx };

	/* Beyond the last leaf a processor answers something else. */
	if (f->leaf > cpuid(f->leaf & 0xffff0000, 0).eax)
		return false;
	return bit(v[f->reg], f->bit);
}

/* Windows does not boot without these. */
static const struct feature required[] = {
	{ 1, 0, ECX, 31, "hypervisor" },
	{ 1, 0, EDX, 7, "MCE" },
	{ 1, 0, EDX, 9, "APIC" },
	{ 1, 0, EDX, 11, "SEP" },
	{ 1, 0, EDX, 12, "MTRR" },
	{ 1, 0, EDX, 14, "MCA" },
	{ 1, 0, EDX, 16, "PAT" },
	{ 1, 0, EDX, 8, "CX8" },
	{ 1, 0, EDX, 13, "PGE" },
	{ 1, 0, EDX, 24, "FXSR" },
	{ 1, 0, EDX, 26, "SSE2" },
	{ 1, 0, ECX, 13, "CMPXCHG16B" },
	{ 1, 0, ECX, 20, "SSE4.2" },
	{ 1, 0, ECX, 23, "POPCNT" },
	{ 1, 0, ECX, 21, "x2APIC" },
	{ 0x80000001, 0, ECX, 0, "LAHF" },
	{ 0x80000001, 0, ECX, 8, "PREFETCHW" },
	{ 0x80000001, 0, EDX, 20, "NX" },
	{ 0x80000001, 0, EDX, 29, "LONG-MODE" },
	{ 0x80000001, 0, EDX, 26, "1GIB-PAGES" },
};

static const struct feature hidden[] = {
	{ 1, 0, ECX, 3, "MONITOR" }, { 1, 0, ECX, 5, "VMX" },      { 1, 0, ECX, 15, "PDCM" },
	{ 7, 0, EBX, 2, "SGX" },     { 7, 0, ECX, 7, "CET_SS" },   { 7, 0, ECX, 16, "LA57" },
	{ 7, 0, ECX, 30, "SGX_LC" }, { 7, 0, EDX, 20, "CET_IBT" }, { 0x80000001, 0, ECX, 2, "SVM" },
};

static void required_and_hidden(void)
{
	rule_begin("cpuid.required");
	for (unsigned i = 0; i < ARRAY_LEN(required); i++)
		if (!has(&required[i]) && !opt_lists("lacks", required[i].name))
			rule_bad("%s is not there", required[i].name);
	(void)rule_end();

	rule_begin("cpuid.hidden");
	for (unsigned i = 0; i < ARRAY_LEN(hidden); i++)
		if (has(&hidden[i]))
			rule_bad("%s is shown", hidden[i].name);
	if (cpu_is_amd() && bit(cpuid(7, 0).edx, 29))
		rule_bad("ARCH_CAPABILITIES on AMD: Windows stops with 0x5D");
	(void)rule_end();
}

static void empty_leaves(void)
{
	/* MWAIT, PMU, SGX, processor trace, AMX, SVM, AMD's PMU 2 */
	static const uint32_t empty[] = { 5,    0xa,  0x12, 0x14,       0x15,
					  0x16, 0x1d, 0x1e, 0x8000000a, 0x80000022 };

	rule_begin("cpuid.empty-leaves");
	for (unsigned i = 0; i < ARRAY_LEN(empty); i++) {
		const struct regs *r = find(0, empty[i], 0);

		if ((r->eax | r->ebx | r->ecx | r->edx) != 0)
			rule_bad("leaf %x is %x %x %x %x", empty[i], r->eax, r->ebx, r->ecx,
				 r->edx);
	}
	(void)rule_end();
}

static void pairs(void)
{
	uint32_t xsave = cpuid(0xd, 1).eax, ext = cpuid(0x80000001, 0).ecx;
	uint32_t ext8 = cpuid(0x80000008, 0).ebx;
	enum { XSAVEC = 1, XSAVES = 3, TOPOEXT = 22, PERFCTR_CORE = 23 };
	enum { IBRS = 14, STIBP = 15, SSBD = 24, PSFD = 28 };

	rule_begin("cpuid.xsavec-with-xsaves");
	if (bit(xsave, XSAVEC) && !bit(xsave, XSAVES))
		rule_bad("XSAVEC without XSAVES: 0xD.1.EAX is %x", xsave);
	(void)rule_end();

	if (!cpu_is_amd()) {
		rule_skip("cpuid.amd-pairs", "not an AMD processor");
		return;
	}
	rule_begin("cpuid.amd-pairs");
	if (bit(ext, PERFCTR_CORE) && !bit(ext, TOPOEXT))
		rule_bad("PERFCTR_CORE without TOPOEXT: 80000001.ECX is %x", ext);
	if ((find(0, 0x8000001e, 0)->eax | find(0, 0x8000001e, 0)->ebx |
	     find(0, 0x8000001d, 0)->eax) != 0 &&
	    !bit(ext, TOPOEXT))
		rule_bad("8000001D/E without TOPOEXT");
	if (bit(ext8, PSFD) && !bit(ext8, IBRS) && !bit(ext8, STIBP) && !bit(ext8, SSBD))
		rule_bad("PSFD without SPEC_CTRL: 80000008.EBX is %x", ext8);
	(void)rule_end();
}

/* What is advertised can be executed. */
static void executes(void)
{
	static const struct feature rdtscp = { 0x80000001, 0, EDX, 27, "RDTSCP" };
	static const struct feature invpcid = { 7, 0, EBX, 10, "INVPCID" };
	static const uint64_t descriptor[2];
	uint64_t v;
	int fault;

	rule_begin("cpuid.instructions-work");
	if (has(&rdtscp) && (fault = try_rdtscp(&v)) != 0)
		rule_bad("RDTSCP is advertised and faults with %d", fault);
	if (has(&invpcid) && (fault = try_invpcid(2, descriptor)) != 0)
		rule_bad("INVPCID is advertised and faults with %d", fault);
	(void)rule_end();
}

/* A bit that XCR0 or XSS can have has a subleaf with a size, and no other. */
static void xsave_subleaves(void)
{
	uint64_t may = cpuid(0xd, 0).eax | (uint64_t)cpuid(0xd, 0).edx << 32 | cpuid(0xd, 1).ecx;

	rule_begin("cpuid.xsave");
	for (unsigned i = 2; i < 63; i++) {
		struct regs r = cpuid(0xd, i);

		if (bit(may, i) != (r.eax != 0))
			rule_bad("subleaf %u has %u bytes, XCR0 and XSS may have %lx", i, r.eax,
				 may);
	}
	(void)rule_end();
}

/* The size of the save area follows XCR0, OSXSAVE follows CR4. */
static void xsave_size(void)
{
	enum { OSXSAVE = 18, AVX = 28, X87_SSE_SIZE = 576, AVX_SIZE = 832 };
	uint64_t cr4 = read_cr4(), xcr0 = 1;

	if (opt_is("emulated", "on")) {
		rule_skip("cpuid.xsave-size", "the emulated processor does not intercept XSETBV");
		return;
	}
	rule_begin("cpuid.xsave-size");
	write_cr4(cr4 | 1ull << OSXSAVE);
	(void)try_xgetbv(0, &xcr0);
	if (try_xsetbv(0, 3) != 0 || cpuid(0xd, 0).ebx != X87_SSE_SIZE)
		rule_bad("XCR0 3 needs %u bytes, not %u", X87_SSE_SIZE, cpuid(0xd, 0).ebx);
	if (bit(cpuid(1, 0).ecx, AVX) && (try_xsetbv(0, 7) != 0 || cpuid(0xd, 0).ebx != AVX_SIZE))
		rule_bad("XCR0 7 needs %u bytes, not %u", AVX_SIZE, cpuid(0xd, 0).ebx);
	if (!bit(cpuid(1, 0).ecx, 27))
		rule_bad("OSXSAVE does not follow CR4");
	(void)try_xsetbv(0, xcr0);
	write_cr4(cr4);
	(void)rule_end();
}

static void xsave(void)
{
	enum { XSAVE = 26 };

	if (!bit(cpuid(1, 0).ecx, XSAVE)) {
		rule_skip("cpuid.xsave", "no XSAVE");
		return;
	}
	xsave_subleaves();
	xsave_size();
}

void test_cpuid(void)
{
	dumps = fw_pages((unsigned)(sizeof(struct dump) * cpu_count / 4096 + 1));
	mp_each(collect, NULL);
	print_all();
	identical();
	required_and_hidden();
	empty_leaves();
	pairs();
	executes();
	xsave();
	test_topology();
}

/* --- topology -------------------------------------------------------------- */

static uint32_t apic_id_of(unsigned cpu)
{
	return find(cpu, 1, 0)->ebx >> 24;
}

/* The id is the same wherever a processor is asked, and nobody else has it. */
static void apic_ids(void)
{
	struct madt_cpu madt[MAX_CPUS * 2];
	unsigned n = acpi_madt_cpus(madt, ARRAY_LEN(madt)), enabled = 0;

	rule_begin("topology.apic-id");
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		uint32_t id = apic_id_of(cpu);

		if (id != cpu_fw_apic_id[cpu])
			rule_bad("processor %u: leaf 1 says %u, its APIC %u", cpu, id,
				 cpu_fw_apic_id[cpu]);
		for (uint32_t sub = 0; sub < 3; sub++)
			if (cpuid(0, 0).eax >= 0xb && dumps[cpu].count > 0 &&
			    find(cpu, 0xb, sub)->ecx != 0 && find(cpu, 0xb, sub)->edx != id)
				rule_bad("processor %u: leaf B.%u says %u, leaf 1 %u", cpu, sub,
					 find(cpu, 0xb, sub)->edx, id);
		for (uint32_t sub = 0; sub < 4; sub++)
			if (find(cpu, 0x1f, sub)->ecx != 0 && find(cpu, 0x1f, sub)->edx != id)
				rule_bad("processor %u: leaf 1F.%u says %u, leaf 1 %u", cpu, sub,
					 find(cpu, 0x1f, sub)->edx, id);
		if (cpu_is_amd() && find(cpu, 0x8000001e, 0)->eax != id)
			rule_bad("processor %u: leaf 8000001E says %u, leaf 1 %u", cpu,
				 find(cpu, 0x8000001e, 0)->eax, id);
		for (unsigned other = 0; other < cpu; other++)
			if (apic_id_of(other) == id)
				rule_bad("processors %u and %u have the id %u", cpu, other, id);
	}
	(void)rule_end();

	rule_begin("topology.madt");
	for (unsigned i = 0; i < n; i++) {
		bool found = false;

		for (unsigned cpu = 0; cpu < cpu_count; cpu++)
			found = found || apic_id_of(cpu) == madt[i].apic_id;
		enabled += madt[i].flags & 1;
		if (found != ((madt[i].flags & 1) != 0))
			rule_bad("APIC id %u: flags %x, and it %s", madt[i].apic_id, madt[i].flags,
				 found ? "runs" : "does not run");
		if ((madt[i].flags & 3) == 0)
			rule_bad("APIC id %u: neither enabled nor online-capable", madt[i].apic_id);
		for (unsigned k = 0; k < i; k++)
			if (madt[k].uid == madt[i].uid || madt[k].apic_id == madt[i].apic_id)
				rule_bad("two processors with UID %u or APIC id %u", madt[i].uid,
					 madt[i].apic_id);
	}
	if (enabled != cpu_count)
		rule_bad("%u processors enabled, %u run", enabled, cpu_count);
	(void)rule_end();
}

/* Leaf 0xB: type 1 then 2, shifts that do not shrink, an empty last level that still has the id. */
static void leaf_b(unsigned *ret_smt_shift, unsigned *ret_package_shift)
{
	struct regs a = cpuid(0xb, 0), b = cpuid(0xb, 1), end = cpuid(0xb, 2);

	rule_begin("topology.leaf-b");
	if (cpuid(0, 0).eax < 0xb)
		rule_bad("the last leaf is %x", cpuid(0, 0).eax);
	if (bits(a.ecx, 15, 8) != 1 || bits(b.ecx, 15, 8) != 2)
		rule_bad("level types %u and %u, not 1 and 2", bits(a.ecx, 15, 8),
			 bits(b.ecx, 15, 8));
	if ((a.eax & 0x1f) > (b.eax & 0x1f))
		rule_bad("shifts %u and %u", a.eax & 0x1f, b.eax & 0x1f);
	if ((a.ebx & 0xffff) == 0 || (a.ebx & 0xffff) > 1u << (a.eax & 0x1f) ||
	    (b.ebx & 0xffff) == 0 || (b.ebx & 0xffff) > 1u << (b.eax & 0x1f))
		rule_bad("%u and %u processors do not fit in %u and %u bits", a.ebx & 0xffff,
			 b.ebx & 0xffff, a.eax & 0x1f, b.eax & 0x1f);
	if (end.eax != 0 || end.ebx != 0 || end.ecx != 2 || end.edx != apic_id_of(0))
		rule_bad("subleaf 2 is %x %x %x %x, not 0 0 2 and the id", end.eax, end.ebx,
			 end.ecx, end.edx);
	*ret_smt_shift = a.eax & 0x1f;
	*ret_package_shift = b.eax & 0x1f;
	(void)rule_end();
}

static void caches(uint32_t leaf, unsigned smt_shift, unsigned package_shift)
{
	for (uint32_t sub = 0; sub < 8; sub++) {
		struct regs r = cpuid(leaf, sub);
		unsigned sharing = bits(r.eax, 25, 14) + 1, cores = bits(r.eax, 31, 26) + 1;
		unsigned level = bits(r.eax, 7, 5);

		if ((r.eax & 0x1f) == 0)
			break;
		if (!is_pow2(sharing) || sharing > 1u << package_shift)
			rule_bad("leaf %x.%x: a cache for %u processors in a package of %u", leaf,
				 sub, sharing, 1u << package_shift);
		if (level <= 2 && sharing != 1u << smt_shift)
			rule_bad("leaf %x.%x: level %u shared by %u, a core has %u", leaf, sub,
				 level, sharing, 1u << smt_shift);
		if (leaf == 4 && cores != 1u << (package_shift - smt_shift) && cores != 64)
			rule_bad("leaf 4.%x: %u cores in the package, not %u", sub, cores,
				 1u << (package_shift - smt_shift));
	}
}

static void package(unsigned smt_shift, unsigned package_shift)
{
	uint32_t logical = cpuid(0xb, 1).ebx & 0xffff;
	struct regs one = cpuid(1, 0), eight = cpuid(0x80000008, 0), e = cpuid(0x8000001e, 0);

	rule_begin("topology.package");
	if (bits(one.ebx, 23, 16) != 1u << package_shift)
		rule_bad("leaf 1 has %u ids in a package, leaf B %u bits", bits(one.ebx, 23, 16),
			 package_shift);
	if (bit(one.edx, 28) != (logical > 1))
		rule_bad("HTT is %u with %u processors in a package", bit(one.edx, 28), logical);
	if (cpuid(0, 0).eax >= 4)
		caches(4, smt_shift, package_shift);
	if (cpu_is_amd()) {
		if (bits(eight.ecx, 7, 0) + 1 != logical)
			rule_bad("80000008 has %u processors in a package, leaf B %u",
				 bits(eight.ecx, 7, 0) + 1, logical);
		if (bits(eight.ecx, 15, 12) != package_shift)
			rule_bad("ApicIdSize is %u, leaf B says %u", bits(eight.ecx, 15, 12),
				 package_shift);
		if (bits(e.ebx, 15, 8) + 1 != (cpuid(0xb, 0).ebx & 0xffff))
			rule_bad("8000001E has %u threads in a core, leaf B %u",
				 bits(e.ebx, 15, 8) + 1, cpuid(0xb, 0).ebx & 0xffff);
		if (bit(cpuid(0x80000001, 0).ecx, 1) != (logical > 1))
			rule_bad("CmpLegacy is %u with %u processors in a package",
				 bit(cpuid(0x80000001, 0).ecx, 1), logical);
		caches(0x8000001d, smt_shift, package_shift);
	}
	(void)rule_end();
}

static unsigned width(unsigned n)
{
	unsigned w = 0;

	while (1u << w < n)
		w++;
	return w;
}

/* Option topology=THREADSxCORESxDIESxPACKAGES, as the manifest has it. */
static void as_asked(void)
{
	unsigned t[4] = { 0 }, shift[4], n = 0;
	char text[32];

	if (!opt("topology", text, sizeof(text))) {
		rule_skip("topology.as-asked", "no option topology");
		return;
	}
	for (const char *s = text; *s != '\0'; s++)
		if (*s >= '0' && *s <= '9' && n < 4)
			t[n] = t[n] * 10 + (unsigned)(*s - '0');
		else
			n++;
	shift[0] = 0;
	for (unsigned i = 1; i < 4; i++)
		shift[i] = shift[i - 1] + width(t[i - 1]);
	rule_begin("topology.as-asked");
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		unsigned rest = cpu;
		uint32_t id = 0;

		for (unsigned i = 0; i < 4; i++) {
			id |= (rest % t[i]) << shift[i];
			rest /= t[i];
		}
		if (apic_id_of(cpu) != id)
			rule_bad("processor %u of %s has the APIC id %u, not %u", cpu, text,
				 apic_id_of(cpu), id);
	}
	if ((cpuid(0xb, 0).eax & 0x1f) != shift[1] || (cpuid(0xb, 1).eax & 0x1f) != shift[3])
		rule_bad("leaf B has shifts %u and %u, not %u and %u", cpuid(0xb, 0).eax & 0x1f,
			 cpuid(0xb, 1).eax & 0x1f, shift[1], shift[3]);
	(void)rule_end();
}

void test_topology(void)
{
	unsigned smt_shift, package_shift;

	apic_ids();
	leaf_b(&smt_shift, &package_shift);
	package(smt_shift, package_shift);
	as_asked();
}
