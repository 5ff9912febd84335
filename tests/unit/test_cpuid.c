/* SPDX-License-Identifier: Apache-2.0 */
/* test_cpuid.c - topology and the CPUID rules, on made-up hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/topology.h"

static struct topology make(unsigned threads, unsigned cores, unsigned dies, unsigned packages)
{
	const struct sill_topology c = { (uint16_t)threads, (uint16_t)cores, (uint16_t)dies,
					 (uint16_t)packages };
	struct sill_err e = { 0 };
	struct topology t;

	assert_int_equal(topology_init(&t, &c, threads * cores * dies * packages, &e), 0);
	return t;
}

static void topology_apic_id__fields_are_powers_of_two(void **state)
{
	struct topology six = make(1, 6, 1, 2), smt = make(2, 3, 1, 2);

	(void)state;
	assert_int_equal(topology_apic_id(&six, 5), 5);
	assert_int_equal(topology_apic_id(&six, 6), 8);
	assert_int_equal(topology_apic_id(&smt, 0), 0);
	assert_int_equal(topology_apic_id(&smt, 1), 1);
	assert_int_equal(topology_apic_id(&smt, 5), 5);
	assert_int_equal(topology_apic_id(&smt, 6), 8);
}

static void topology_init__default_is_one_package(void **state)
{
	const struct sill_topology none = { 0 };
	struct sill_err e = { 0 };
	struct topology t;

	(void)state;
	assert_int_equal(topology_init(&t, &none, 6, &e), 0);
	assert_int_equal(t.packages, 1);
	assert_int_equal(t.cores, 6);
}

static void topology_init__refuses_a_wrong_product_and_ids_that_do_not_fit(void **state)
{
	const struct sill_topology wrong = { 1, 2, 1, 1 }, wide = { 1, 65, 1, 3 },
				   last = { 1, 3, 1, 64 }, all = { 1, 64, 1, 4 };
	struct sill_err e = { 0 };
	struct topology t;

	(void)state;
	assert_int_equal(topology_init(&t, &wrong, 3, &e), -1);
	assert_int_equal(e.code, SILL_ERR_MANIFEST);
	e = (struct sill_err){ 0 };
	assert_int_equal(topology_init(&t, &wide, 195, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	/* 254 is the last id: 255 is everybody. */
	assert_int_equal(topology_init(&t, &last, 192, &e), 0);
	assert_int_equal(topology_apic_id(&t, 191), 254);
	assert_int_equal(topology_init(&t, &all, 256, &e), -1);
}

static void put(struct cpuid *c, uint32_t leaf, uint32_t index, bool indexed, uint32_t v)
{
	c->leaf[c->head.nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = index,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = v,
		.ebx = v,
		.ecx = v,
		.edx = v,
	};
}

/* A host that has every bit of every leaf set. */
static void host_with_everything(struct cpuid *c)
{
	static const uint32_t plain[] = { 0,          1,          5,          6,
					  0xa,        0x15,       0x16,       0x40000000,
					  0x40000001, 0x80000001, 0x80000008, 0x8000000a,
					  0x8000001f, 0x80000022 };
	static const struct {
		uint32_t leaf, index;
	} indexed[] = { { 4, 0 },    { 4, 1 },    { 4, 3 },    { 7, 0 },         { 7, 1 },
			{ 0xb, 0 },  { 0xb, 1 },  { 0xd, 0 },  { 0xd, 1 },       { 0xd, 17 },
			{ 0x12, 0 }, { 0x14, 0 }, { 0x1f, 0 }, { 0x8000001d, 3 } };

	*c = (struct cpuid){ 0 };
	for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
		put(c, plain[i], 0, false, 0xffffffff);
	for (unsigned i = 0; i < ARRAY_LEN(indexed); i++)
		put(c, indexed[i].leaf, indexed[i].index, true, 0xffffffff);
	/* Real cache descriptions: type 1, level 1 and type 3, level 3. */
	cpuid_find(c, 4, 0)->eax = 0xffffc021;
	cpuid_find(c, 4, 3)->eax = 0xffffc063;
	cpuid_find(c, 0x8000001d, 3)->eax = 0xffffc063;
}

static bool apic_emulated;

static struct cpuid build(const struct topology *t, bool amd, bool hyperv, unsigned index)
{
	static struct cpuid host, can;
	struct hyperv_facts hv = { .max_vcpus = t->threads * t->cores * t->dies * t->packages,
				   .phys_bits = 40,
				   .apic_emulated = apic_emulated };
	struct cpuid_facts f = { .topology = t,
				 .max_vcpus = t->threads * t->cores * t->dies * t->packages,
				 .phys_bits = 40,
				 .amd = amd,
				 .hyperv = hyperv,
				 .tsc_deadline = true,
				 .hv = &hv };
	struct sill_err e = { 0 };

	host_with_everything(&host);
	can = (struct cpuid){ 0 };
	put(&can, 0x40000003, 0, false, 0xffffffff);
	put(&can, 0x40000004, 0, false, 0xffffffff);
	hyperv_resolve(&can, sill_hv_want(0, 0), hv.state);
	assert_int_equal(cpuid_build(&host, &f, index, &e), 0);
	return host;
}

static void cpuid_build__only_apic_ids_differ_between_vcpus(void **state)
{
	struct topology t = make(2, 3, 1, 2);
	struct cpuid a = build(&t, true, true, 0), b = build(&t, true, true, 7);

	(void)state;
	assert_int_equal(a.head.nent, b.head.nent);
	for (unsigned i = 0; i < a.head.nent; i++) {
		struct kvm_cpuid_entry2 *x = &a.leaf[i], *y = &b.leaf[i];

		assert_int_equal(x->function, y->function);
		if (x->function == 1) {
			assert_int_equal(x->ebx >> 24, topology_apic_id(&t, 0));
			assert_int_equal(y->ebx >> 24, topology_apic_id(&t, 7));
			y->ebx = (y->ebx & 0xffffff) | (x->ebx & 0xff000000);
		} else if (x->function == 0xb) {
			assert_int_equal(y->edx, topology_apic_id(&t, 7));
			y->edx = x->edx;
		} else if (x->function == 0x8000001e) {
			assert_int_equal(y->eax, topology_apic_id(&t, 7));
			continue;
		}
		assert_memory_equal(x, y, sizeof(*x));
	}
}

static void cpuid_build__leaf_1_describes_the_package(void **state)
{
	struct topology one = make(1, 1, 1, 1), six = make(1, 6, 1, 1);
	struct cpuid a = build(&one, false, false, 0), b = build(&six, false, false, 0);

	(void)state;
	assert_int_equal(cpuid_find(&a, 1, 0)->edx >> 28 & 1, 0);
	assert_int_equal(cpuid_find(&b, 1, 0)->edx >> 28 & 1, 1);
	assert_int_equal(cpuid_find(&b, 1, 0)->ebx >> 16 & 0xff, 8);
	assert_int_equal(cpuid_find(&b, 1, 0)->ecx >> 31, 1);
}

static void cpuid_build__virtualization_is_hidden(void **state)
{
	struct topology t = make(1, 2, 1, 1);
	struct cpuid c = build(&t, true, true, 0);

	(void)state;
	assert_int_equal(cpuid_find(&c, 1, 0)->ecx >> 5 & 1, 0);
	assert_int_equal(cpuid_find(&c, 0x80000001, 0)->ecx >> 2 & 1, 0);
	assert_int_equal(cpuid_find(&c, 0x8000000a, 0)->eax, 0);
	assert_int_equal(cpuid_find(&c, 0x8000001f, 0)->eax, 0);
	assert_null(cpuid_find(&c, 0x12, 0));
}

static void cpuid_build__pairs_stay_pairs(void **state)
{
	struct topology t = make(1, 2, 1, 1);
	struct cpuid amd = build(&t, true, true, 0), intel = build(&t, false, true, 0);

	(void)state;
	/* TopologyExtensions without PerfCtrExtCore; no ARCH_CAPABILITIES on AMD. */
	assert_int_equal(cpuid_find(&amd, 0x80000001, 0)->ecx >> 22 & 3, 1);
	assert_int_equal(cpuid_find(&amd, 7, 0)->edx >> 29 & 1, 0);
	assert_int_equal(cpuid_find(&intel, 7, 0)->edx >> 29 & 1, 1);
	assert_int_equal(cpuid_find(&amd, 7, 0)->ecx >> 16 & 1, 0); /* la57 */
	assert_int_equal(cpuid_find(&amd, 0xd, 1)->eax >> 1 & 1, 1);
	assert_int_equal(cpuid_find(&amd, 0xd, 17)->eax, 0);
	assert_int_equal(cpuid_find(&amd, 0xa, 0)->eax, 0);
	assert_int_equal(cpuid_find(&intel, 0x15, 0)->ebx, 0);
	assert_int_equal(cpuid_find(&intel, 0x16, 0)->eax, 0);
}

static void cpuid_build__hides_what_a_guest_cannot_use(void **state)
{
	struct topology t = make(1, 2, 1, 1);
	struct cpuid c = build(&t, true, true, 0);

	(void)state;
	assert_int_equal(cpuid_find(&c, 1, 0)->ecx & (1u << 3 | 1u << 15), 0); /* MONITOR, PDCM */
	assert_int_equal(cpuid_find(&c, 5, 0)->edx, 0);                        /* MWAIT's states */
	assert_int_equal(cpuid_find(&c, 7, 0)->ebx & 1u << 2, 0);              /* SGX */
	assert_int_equal(cpuid_find(&c, 7, 0)->ecx & 1u << 7, 0);              /* shadow stacks */
	assert_int_equal(cpuid_find(&c, 7, 0)->edx & 1u << 20, 0);             /* branch tracking */
	assert_int_equal(cpuid_find(&c, 0xd, 1)->ecx & 3u << 11, 0);           /* and their state */
}

/* Whatever the host lists: without these Windows does not start. */
static void cpuid_build__has_what_windows_starts_with(void **state)
{
	enum { MCE = 7, APIC = 9, MTRR = 12, MCA = 14, PAT = 16 };
	const uint32_t needed = 1u << MCE | 1u << APIC | 1u << MTRR | 1u << MCA | 1u << PAT;
	struct topology t = make(1, 1, 1, 1);
	struct cpuid_facts f = { .topology = &t, .max_vcpus = 1, .phys_bits = 39 };
	struct sill_err e = { 0 };
	struct cpuid c;

	(void)state;
	host_with_everything(&c);
	cpuid_find(&c, 1, 0)->edx = 0;
	assert_int_equal(cpuid_build(&c, &f, 0, &e), 0);
	assert_int_equal(cpuid_find(&c, 1, 0)->edx & needed, needed);
}

/* Windows' hypervisor writes SPEC_CTRL when it sees PSFD alone, and faults. */
static void cpuid_build__psfd_only_with_spec_ctrl(void **state)
{
	enum { IBRS = 14, PSFD = 28 };
	struct topology t = make(1, 1, 1, 1);
	struct cpuid_facts f = { .topology = &t, .max_vcpus = 1, .phys_bits = 40, .amd = true };
	struct sill_err e = { 0 };
	struct cpuid c;

	(void)state;
	host_with_everything(&c);
	cpuid_find(&c, 0x80000008, 0)->ebx = 1u << PSFD;
	assert_int_equal(cpuid_build(&c, &f, 0, &e), 0);
	assert_int_equal(cpuid_find(&c, 0x80000008, 0)->ebx, 0);
	host_with_everything(&c);
	cpuid_find(&c, 0x80000008, 0)->ebx = 1u << PSFD | 1u << IBRS;
	assert_int_equal(cpuid_build(&c, &f, 0, &e), 0);
	assert_int_equal(cpuid_find(&c, 0x80000008, 0)->ebx, 1u << PSFD | 1u << IBRS);
}

static void cpuid_build__xsavec_goes_when_xsaves_is_missing(void **state)
{
	struct topology t = make(1, 1, 1, 1);
	struct cpuid_facts f = { .topology = &t, .max_vcpus = 1, .phys_bits = 39 };
	struct sill_err e = { 0 };
	struct cpuid c;

	(void)state;
	host_with_everything(&c);
	cpuid_find(&c, 0xd, 1)->eax = 0xffffffff & ~(1u << 3);
	assert_int_equal(cpuid_build(&c, &f, 0, &e), 0);
	assert_int_equal(cpuid_find(&c, 0xd, 1)->eax >> 1 & 1, 0);
}

static void cpuid_build__both_address_widths_agree(void **state)
{
	struct topology t = make(1, 1, 1, 1);
	struct cpuid c = build(&t, true, false, 0);
	uint32_t eax = cpuid_find(&c, 0x80000008, 0)->eax;

	(void)state;
	assert_int_equal(eax & 0xff, 40);
	assert_int_equal(eax >> 16 & 0xff, 40);
}

static void cpuid_build__topology_leaf_has_the_id_in_every_subleaf(void **state)
{
	struct topology t = make(2, 3, 1, 2);
	struct cpuid c = build(&t, false, false, 7);

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(cpuid_find(&c, 0xb, i)->edx, topology_apic_id(&t, 7));
	assert_int_equal(cpuid_find(&c, 0xb, 0)->eax, 1);
	assert_int_equal(cpuid_find(&c, 0xb, 0)->ecx, 0x100);
	assert_int_equal(cpuid_find(&c, 0xb, 1)->eax, 3);
	assert_int_equal(cpuid_find(&c, 0xb, 1)->ebx, 6);
	assert_int_equal(cpuid_find(&c, 0xb, 1)->ecx, 0x201);
	assert_int_equal(cpuid_find(&c, 0xb, 2)->ebx, 0);
	assert_null(cpuid_find(&c, 0x1f, 0));
}

static void cpuid_build__caches_are_shared_as_the_guest_sees_it(void **state)
{
	struct topology t = make(2, 4, 1, 1);
	struct cpuid c = build(&t, false, false, 0);

	(void)state;
	assert_int_equal((cpuid_find(&c, 4, 0)->eax >> 14 & 0xfff) + 1, 2);
	assert_int_equal((cpuid_find(&c, 4, 3)->eax >> 14 & 0xfff) + 1, 8);
	assert_int_equal((cpuid_find(&c, 4, 3)->eax >> 26) + 1, 4);
}

static void cpuid_build__hyperv_replaces_kvm(void **state)
{
	struct topology t = make(1, 2, 1, 1);
	struct cpuid with = build(&t, true, true, 0), without = build(&t, true, false, 0);

	(void)state;
	assert_int_equal(cpuid_find(&with, 0x40000000, 0)->ebx, 0x7263694d);
	assert_int_equal(cpuid_find(&with, 0x40000001, 0)->eax, 0x31237648);
	assert_int_equal(cpuid_find(&with, 0x40000003, 0)->eax, 0xa7f);
	assert_int_equal(cpuid_find(&with, 0x40000003, 0)->ebx, 0x30);
	assert_int_equal(cpuid_find(&with, 0x40000003, 0)->edx, 0x84518);
	assert_int_equal(cpuid_find(&with, 0x40000004, 0)->eax, 0xe24);
	assert_int_equal(cpuid_find(&with, 0x40000004, 0)->ebx, 4095);
	assert_int_equal(cpuid_find(&with, 0x40000004, 0)->ecx, 40);
	assert_int_equal(cpuid_find(&with, 0x40000005, 0)->eax, 2);
	assert_null(cpuid_find(&with, 0x4000000a, 0));
	assert_null(cpuid_find(&with, 0x40000082, 0));
	assert_int_equal(cpuid_find(&without, 0x40000000, 0)->ebx, 0xffffffff);
}

/* An EOI by MSR saves exits only where the processor does not take it by itself. */
static void hyperv_leaves__recommend_apic_registers_when_it_is_emulated(void **state)
{
	struct topology t = make(1, 2, 1, 1);
	struct cpuid c;

	(void)state;
	apic_emulated = true;
	c = build(&t, true, true, 0);
	assert_int_equal(cpuid_find(&c, 0x40000004, 0)->eax >> 3 & 1, 1);
	apic_emulated = false;
	c = build(&t, true, true, 0);
	assert_int_equal(cpuid_find(&c, 0x40000004, 0)->eax >> 3 & 1, 0);
	assert_int_equal(cpuid_find(&c, 0x40000003, 0)->eax >> 4 & 1, 1);
}

static void hyperv_resolve__masks_and_blocks(void **state)
{
	enum sill_hv_state s[SILL_HV_COUNT];
	struct cpuid can = { 0 };

	(void)state;
	put(&can, 0x40000003, 0, false, 0xffffffff & ~(1u << 2)); /* no SynIC */
	put(&can, 0x40000004, 0, false, 0xffffffff);
	hyperv_resolve(&can, sill_hv_want(0, SILL_HV_BIT(tlbflush)), s);
	assert_int_equal(s[SILL_HV_relaxed], SILL_HV_ON);
	assert_int_equal(s[SILL_HV_synic], SILL_HV_UNSUPPORTED);
	assert_int_equal(s[SILL_HV_stimer], SILL_HV_BLOCKED);
	assert_int_equal(s[SILL_HV_stimer_direct], SILL_HV_BLOCKED);
	assert_int_equal(s[SILL_HV_tlbflush], SILL_HV_OFF);
	assert_int_equal(s[SILL_HV_tlbflush_ext], SILL_HV_BLOCKED);
	assert_int_equal(s[SILL_HV_reset], SILL_HV_OFF);
	hyperv_resolve(NULL, sill_hv_want(0, 0), s);
	assert_int_equal(s[SILL_HV_relaxed], SILL_HV_UNSUPPORTED);
}

static void cpuid_build__features_by_name(void **state)
{
	static const char *const off[] = { "avx2", "x2apic" }, *const on[] = { "la57" },
				 *const no[] = { "svm" };
	struct topology t = make(1, 1, 1, 1);
	struct cpuid_facts f = { .topology = &t,
				 .max_vcpus = 1,
				 .phys_bits = 39,
				 .off = off,
				 .off_count = 2,
				 .on = on,
				 .on_count = 1 };
	struct sill_err e = { 0 };
	struct cpuid c;

	(void)state;
	host_with_everything(&c);
	assert_int_equal(cpuid_build(&c, &f, 0, &e), 0);
	assert_false(cpuid_feature_get(&c, "avx2"));
	assert_false(cpuid_feature_get(&c, "x2apic"));
	assert_true(cpuid_feature_get(&c, "la57"));
	for (size_t i = 0; sill_cpu_feature_name(i) != NULL; i++)
		assert_int_equal(cpuid_feature_at(&c, i),
				 cpuid_feature_get(&c, sill_cpu_feature_name(i)));
	assert_false(cpuid_feature_at(&c, SIZE_MAX));
	host_with_everything(&c);
	assert_true(cpuid_feature_set(&c, "svm", false));
	f.on = no;
	assert_int_equal(cpuid_build(&c, &f, 0, &e), -1);
	assert_false(sill_cpu_feature_known("no_such_thing"));
	assert_true(sill_cpu_feature_known("popcnt"));
}

static void cpuid_phys_bits__rules(void **state)
{
	struct sill_err e = { 0 };
	unsigned bits;

	(void)state;
	assert_int_equal(cpuid_phys_bits(48, true, 0, 1ull << 32, &bits, &e), 0);
	assert_int_equal(bits, 40);
	assert_int_equal(cpuid_phys_bits(46, false, 0, 1ull << 32, &bits, &e), 0);
	assert_int_equal(bits, 39);
	assert_int_equal(cpuid_phys_bits(39, false, 0, 1ull << 32, &bits, &e), 0);
	assert_int_equal(bits, 39);
	assert_int_equal(cpuid_phys_bits(48, true, 36, 1ull << 32, &bits, &e), 0);
	assert_int_equal(bits, 36);
	/* Memory that reaches into the window of 40 bits needs 41. */
	assert_int_equal(cpuid_phys_bits(48, true, 0, (0xe0ull << 32) + 1, &bits, &e), 0);
	assert_int_equal(bits, 41);
	/* 46 when asked for, and never more by itself: firmware with four levels of tables stops there. */
	assert_int_equal(cpuid_phys_bits(48, true, 46, 1ull << 32, &bits, &e), 0);
	assert_int_equal(bits, 46);
	assert_int_equal(cpuid_phys_bits(52, true, 0, 0x380000000000, &bits, &e), 0);
	assert_int_equal(bits, 46);
	assert_int_equal(cpuid_phys_bits(52, true, 0, 0x380000000001, &bits, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	e = (struct sill_err){ 0 };
	assert_int_equal(cpuid_phys_bits(39, false, 40, 1ull << 32, &bits, &e), -1);
	e = (struct sill_err){ 0 };
	assert_int_equal(cpuid_phys_bits(36, false, 0, 1ull << 36, &bits, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
}

/* What OVMF 2022.11 was seen to choose. */
static void layout_mem64_base__is_where_firmware_puts_bars(void **state)
{
	(void)state;
	assert_int_equal(layout_mem64_base(40, true, 1ull << 32), 0xe000000000);
	assert_int_equal(layout_mem64_base(46, true, 1ull << 32), 0x380000000000);
	assert_int_equal(layout_mem64_base(46, false, 0), 0x380000000000);
	assert_int_equal(layout_mem64_base(39, false, 1ull << 32), 0x7000000000);
	/* Not believed, or too little: 32 GiB behind RAM. */
	assert_int_equal(layout_mem64_base(36, true, 0), 0x800000000);
	assert_int_equal(layout_mem64_base(36, false, 1ull << 32), 0x800000000);
	assert_int_equal(layout_mem64_base(39, true, 1ull << 32), 0x800000000);
	assert_int_equal(layout_mem64_base(40, false, 1ull << 32), 0x800000000);
	assert_int_equal(layout_mem64_base(38, true, 40ull << 30), 0x1000000000);
	assert_true(layout_mem64_fits(36, true, 32ull << 30));
	assert_false(layout_mem64_fits(36, true, (32ull << 30) + 1));
	assert_true(layout_mem64_fits(40, true, 0xe000000000));
	assert_false(layout_mem64_fits(40, true, 0xe000000001));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topology_apic_id__fields_are_powers_of_two),
		cmocka_unit_test(topology_init__default_is_one_package),
		cmocka_unit_test(topology_init__refuses_a_wrong_product_and_ids_that_do_not_fit),
		cmocka_unit_test(cpuid_build__only_apic_ids_differ_between_vcpus),
		cmocka_unit_test(cpuid_build__leaf_1_describes_the_package),
		cmocka_unit_test(cpuid_build__virtualization_is_hidden),
		cmocka_unit_test(cpuid_build__pairs_stay_pairs),
		cmocka_unit_test(cpuid_build__hides_what_a_guest_cannot_use),
		cmocka_unit_test(cpuid_build__has_what_windows_starts_with),
		cmocka_unit_test(cpuid_build__psfd_only_with_spec_ctrl),
		cmocka_unit_test(cpuid_build__xsavec_goes_when_xsaves_is_missing),
		cmocka_unit_test(cpuid_build__both_address_widths_agree),
		cmocka_unit_test(cpuid_build__topology_leaf_has_the_id_in_every_subleaf),
		cmocka_unit_test(cpuid_build__caches_are_shared_as_the_guest_sees_it),
		cmocka_unit_test(cpuid_build__hyperv_replaces_kvm),
		cmocka_unit_test(hyperv_leaves__recommend_apic_registers_when_it_is_emulated),
		cmocka_unit_test(hyperv_resolve__masks_and_blocks),
		cmocka_unit_test(cpuid_build__features_by_name),
		cmocka_unit_test(cpuid_phys_bits__rules),
		cmocka_unit_test(layout_mem64_base__is_where_firmware_puts_bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
