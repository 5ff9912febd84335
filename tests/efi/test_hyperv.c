/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_hyperv.c - the hypervisor interface that Windows looks for.
 *
 * Numbers are from the Hypervisor Top Level Functional Specification (TLFS) 6.0b;
 * what an implementer must do from Microsoft's "Requirements for Implementing
 * the Microsoft Hypervisor Interface".
 */
#include "hyperv.h"

#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "cpuid.h"
#include "fw.h"
#include "lib.h"
#include "report.h"
#include "tests.h"
#include "trap.h"

enum { HV = 0x40000000 };

static struct regs access, advice;

/* --- CPUID ----------------------------------------------------------------- */

static void leaves(void)
{
	struct regs base = cpuid(HV, 0), limits = cpuid(HV + 5, 0);

	rule_begin("hv.signature");
	if (base.ebx != 0x7263694d || base.ecx != 0x666f736f || base.edx != 0x76482074)
		rule_bad("%x %x %x is not \"Microsoft Hv\"", base.ebx, base.ecx, base.edx);
	if (base.eax < HV + 5 || base.eax > HV + 0xff)
		rule_bad("the last leaf is %x", base.eax);
	(void)rule_end();

	rule_begin("hv.mandatory");
	if (!bit(access.eax, 5) || !bit(access.eax, 6))
		rule_bad("40000003.EAX is %x: hypercall MSRs (5) and VP index (6) must be there",
			 access.eax);
	if ((access.ebx & 0x314f) != 0)
		rule_bad("40000003.EBX is %x: bits 0-3, 6, 8, 12, 13 are the parent partition's",
			 access.ebx);
	if (!bit(advice.eax, 5))
		rule_bad("40000004.EAX is %x: without relaxed timing (5) the watchdogs run",
			 advice.eax);
	if (!bit(access.edx, 3))
		rule_bad("40000003.EDX is %x: CPU hot-add needs dynamic partitioning (3)",
			 access.edx);
	if (limits.eax < cpu_count)
		rule_bad("40000005.EAX is %u, with %u processors", limits.eax, cpu_count);
	(void)rule_end();

	rule_begin("hv.consistent");
	if (bit(access.eax, 9) && !bit(access.eax, 1))
		rule_bad("TSC page without reference counter: %x", access.eax);
	if (bit(access.eax, 3) && (!bit(access.eax, 2) || !bit(access.eax, 1)))
		rule_bad("synthetic timers without SynIC or counter: %x", access.eax);
	if (bit(access.edx, 19) && !bit(access.eax, 3))
		rule_bad("direct mode without synthetic timers");
	if (bit(access.eax, 11) != bit(access.edx, 8))
		rule_bad("frequency MSRs: EAX %x, EDX %x", access.eax, access.edx);
	if (bit(advice.eax, 3) && !bit(access.eax, 4))
		rule_bad("the APIC's MSRs are recommended (3) and not there: %x", advice.eax);
	if (bit(access.edx, 14) && !bit(advice.eax, 2))
		rule_bad("extended flush ranges without flush");
	if ((advice.ecx & 0x7f) != 0 && (advice.ecx & 0x7f) != phys_bits())
		rule_bad("40000004.ECX says %u address bits, 80000008 says %u", advice.ecx & 0x7f,
			 phys_bits());
	if (advice.ebx == 0)
		rule_bad("spin-wait hypercalls at once: 40000004.EBX is 0");
	/* Nested virtualization only when it is really offered. */
	if (!bit(cpuid(1, 0).ecx, 5) && !bit(cpuid(0x80000001, 0).ecx, 2) &&
	    (base.eax >= HV + 0xa || bit(advice.eax, 14)))
		rule_bad("nested features without VMX or SVM: last leaf %x, %x", base.eax,
			 advice.eax);
	(void)rule_end();
}

/* --- MSRs against the bits that advertise them ------------------------------- */

static const struct {
	uint32_t first, last;
	bool edx; /* which register of 40000003 */
	unsigned bit;
	const char *name;
} privileges[] = {
	{ HV + 0x00, HV + 0x01, false, 5, "hypercall" },
	{ HV + 0x02, HV + 0x02, false, 6, "VP index" },
	{ HV + 0x03, HV + 0x03, false, 7, "reset" },
	{ HV + 0x10, HV + 0x10, false, 0, "VP runtime" },
	{ HV + 0x20, HV + 0x20, false, 1, "reference counter" },
	{ HV + 0x21, HV + 0x21, false, 9, "TSC page" },
	{ HV + 0x22, HV + 0x23, false, 11, "frequencies" },
	{ HV + 0x72, HV + 0x73, false, 4, "APIC" },
	{ HV + 0x80, HV + 0x83, false, 2, "SynIC" },
	{ HV + 0x90, HV + 0x9f, false, 2, "SINT" },
	{ HV + 0xb0, HV + 0xb7, false, 3, "synthetic timers" },
	{ HV + 0xf0, HV + 0xf0, false, 10, "guest idle" },
	{ HV + 0x100, HV + 0x105, true, 10, "crash" },
	{ HV + 0x106, HV + 0x108, false, 13, "reenlightenment" },
	{ HV + 0x118, HV + 0x118, false, 15, "invariant TSC control" },
};

static bool advertised(unsigned i)
{
	return bit(privileges[i].edx ? access.edx : access.eax, privileges[i].bit);
}

static void msrs(void)
{
	uint64_t v;

	rule_begin("hv.advertised-msrs");
	for (unsigned i = 0; i < ARRAY_LEN(privileges); i++)
		for (uint32_t m = privileges[i].first; m <= privileges[i].last; m++)
			if (advertised(i) && try_rdmsr(m, &v) != 0)
				rule_bad("%s: %x is advertised and faults", privileges[i].name, m);
	(void)rule_end();

	if (!opt_is("enforce", "on")) {
		rule_skip("hv.enforced-msrs", "KVM does not enforce the leaves (option enforce)");
		return;
	}
	rule_begin("hv.enforced-msrs");
	for (unsigned i = 0; i < ARRAY_LEN(privileges); i++)
		for (uint32_t m = privileges[i].first; m <= privileges[i].last; m++)
			if (!advertised(i) && try_rdmsr(m, &v) != VECTOR_GP)
				rule_bad("%s: %x is not advertised and reads", privileges[i].name,
					 m);
	(void)rule_end();
}

/* --- VP index, run time, crash ------------------------------------------------ */

static volatile uint64_t per_cpu[MAX_CPUS];

static void take_vp_index(unsigned cpu, void *ctx)
{
	(void)ctx;
	per_cpu[cpu] = rdmsr(HV + 2);
}

static void vp_index(void)
{
	rule_begin("hv.vp-index");
	mp_each(take_vp_index, NULL);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		if (per_cpu[cpu] != cpu)
			rule_bad("processor %u has VP index %lu", cpu, per_cpu[cpu]);
	if (try_wrmsr(HV + 2, 0) != VECTOR_GP)
		rule_bad("it can be written");
	(void)rule_end();
}

static void runtime(void)
{
	uint64_t first, second;

	if (!bit(access.eax, 0)) {
		rule_skip("hv.runtime", "not advertised");
		return;
	}
	rule_begin("hv.runtime");
	first = rdmsr(HV + 0x10);
	clock_spin_us(20000);
	second = rdmsr(HV + 0x10);
	if (second <= first)
		rule_bad("%lu, 20 ms later %lu", first, second);
	(void)rule_end();
}

static void crash(void)
{
	uint64_t v = 0;

	if (!bit(access.edx, 10)) {
		rule_skip("hv.crash", "not advertised");
		return;
	}
	rule_begin("hv.crash");
	for (unsigned i = 0; i < 5; i++)
		if (try_wrmsr(HV + 0x100 + i, 0xd1000000 + i) != 0 ||
		    try_rdmsr(HV + 0x100 + i, &v) != 0 || v != 0xd1000000 + i)
			rule_bad("P%u: wrote %x, reads %lx", i, 0xd1000000 + i, v);
	if (!bit(rdmsr(HV + 0x105), 63))
		rule_bad("CRASH_CTL is %lx: no crash notify (63)", rdmsr(HV + 0x105));
	/* The machine reports it and we go on: a crash dump is written after this. */
	if (opt_is("crash", "on") && try_wrmsr(HV + 0x105, 1ull << 63) != 0)
		rule_bad("CRASH_CTL faults");
	(void)rule_end();
}

/* --- hypercalls ----------------------------------------------------------------- */

enum {
	HC_FLUSH = 2,
	HC_FLUSH_EX = 0x13,
	HC_LONG_SPIN_WAIT = 8,
	HC_IPI = 0xb,
	HC_IPI_EX = 0x15,
	HC_POST_MESSAGE = 0x5c,
	HC_SIGNAL_EVENT = 0x5d,
	HC_FAST = 1 << 16,
	STATUS_INVALID_CODE = 2,
	STATUS_ACCESS_DENIED = 6,
	STATUS_INVALID_CONNECTION = 18,
};

static uint8_t *hypercall_page, *input;

bool hyperv_hypercalls_on(void)
{
	if (hypercall_page == NULL) {
		hypercall_page = fw_pages(1);
		input = fw_pages(1);
	}
	return try_wrmsr(HV + 0, 0x0001040a00000000) == 0 && /* a made-up Windows 10 */
	       try_wrmsr(HV + 1, (uint64_t)hypercall_page | 1) == 0;
}

void hyperv_hypercalls_off(void)
{
	(void)try_wrmsr(HV + 1, 0);
	(void)try_wrmsr(HV + 0, 0);
}

static unsigned call(uint64_t control, uint64_t in, uint64_t out)
{
	return (unsigned)(hypercall_at(hypercall_page, control, in, out) & 0xffff);
}

static uint32_t page_sum(void)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 4096; i++)
		sum = sum * 31 + hypercall_page[i];
	return sum;
}

static void put64(unsigned at, uint64_t v)
{
	memcpy(input + at, &v, 8);
}

static bool ipi_came(void)
{
	return irq_seen[2].count > 0;
}

static unsigned refusal(uint64_t code, uint64_t control)
{
	unsigned status;

	memset(input, 0, 4096);
	status = call(code | control, control != 0 ? 0 : (uint64_t)input,
		      control != 0 ? 0 : (uint64_t)input + 2048);
	/* An extended call that no bit advertises may be denied; a connection may be unknown. */
	if ((code == 0x8001 && status == STATUS_ACCESS_DENIED) ||
	    (code == HC_POST_MESSAGE && status == STATUS_INVALID_CONNECTION) ||
	    (code == HC_SIGNAL_EVENT && status == STATUS_INVALID_CONNECTION))
		return STATUS_INVALID_CODE;
	return status;
}

static void refused(void)
{
	static const uint64_t codes[] = { 0x7fff, 0x1234, 0x8001, HC_POST_MESSAGE,
					  HC_SIGNAL_EVENT };

	rule_begin("hv.unknown-hypercall");
	for (unsigned i = 0; i < ARRAY_LEN(codes); i++) {
		unsigned slow = refusal(codes[i], 0), fast = refusal(codes[i], HC_FAST);

		if (slow != STATUS_INVALID_CODE || fast != STATUS_INVALID_CODE)
			rule_bad("call %lx gives %u, fast %u; 2 is right", codes[i], slow, fast);
	}
	(void)rule_end();
}

static void flush(void)
{
	unsigned status;

	if (!bit(advice.eax, 2)) {
		rule_skip("hv.flush", "not advertised");
		return;
	}
	rule_begin("hv.flush");
	memset(input, 0, 4096);
	put64(8, 3); /* all processors, all address spaces */
	status = call(HC_FLUSH, (uint64_t)input, 0);
	if (status != 0)
		rule_bad("flushing all gives %u", status);
	if (bit(advice.eax, 11)) {
		put64(8, 2);  /* all address spaces */
		put64(16, 1); /* a processor set of all */
		status = call(HC_FLUSH_EX, (uint64_t)input, 0);
		if (status != 0)
			rule_bad("the extended one gives %u", status);
	}
	(void)rule_end();
}

static void ipi(void)
{
	unsigned status;

	if (!bit(advice.eax, 10)) {
		rule_skip("hv.ipi", "not advertised");
		return;
	}
	rule_begin("hv.ipi");
	irq_seen[2].count = 0;
	status = call(HC_IPI | HC_FAST, IRQ_VECTOR + 2, 1);
	if (status != 0 || !clock_wait(ipi_came))
		rule_bad("to ourselves: status %u, %u interrupts", status, irq_seen[2].count);
	if (bit(advice.eax, 11)) {
		irq_seen[2].count = 0;
		memset(input, 0, 4096);
		put64(0, IRQ_VECTOR + 2);
		put64(8, 0);  /* a sparse set of processors: */
		put64(16, 1); /* bank 0 is there */
		put64(24, 1); /* and has processor 0 */
		status = call(HC_IPI_EX | 1ull << 17, (uint64_t)input, 0);
		if (status != 0 || !clock_wait(ipi_came))
			rule_bad("the extended one: status %u, %u interrupts", status,
				 irq_seen[2].count);
	}
	(void)rule_end();
}

static void hypercalls(void)
{
	uint32_t sum;
	uint64_t v = 0;

	rule_begin("hv.hypercall-page");
	if (!hyperv_hypercalls_on()) {
		rule_bad("the hypercall MSRs fault");
		(void)rule_end();
		return;
	}
	(void)try_rdmsr(HV + 1, &v);
	if (v != ((uint64_t)hypercall_page | 1))
		rule_bad("HYPERCALL reads %lx", v);
	sum = page_sum();
	if (call(0x7fff | HC_FAST, 0, 0) != STATUS_INVALID_CODE)
		rule_bad("the page does not call");
	(void)rule_end();

	refused();
	flush();
	ipi();
	rule_begin("hv.spin-wait");
	if (call(HC_LONG_SPIN_WAIT | HC_FAST, 1000, 0) != 0)
		rule_bad("status %u", call(HC_LONG_SPIN_WAIT | HC_FAST, 1000, 0));
	(void)rule_end();

	/* PatchGuard hashes it. */
	rule_begin("hv.hypercall-page-constant");
	if (page_sum() != sum)
		rule_bad("its contents have changed");
	(void)rule_end();
	hyperv_hypercalls_off();
}

/* --- clocks ---------------------------------------------------------------------- */

struct tsc_page {
	volatile uint32_t sequence;
	uint32_t reserved;
	volatile uint64_t scale;
	volatile int64_t offset;
};

static struct tsc_page *tsc_page;

uint64_t hyperv_time(void)
{
	return rdmsr(HV + 0x20);
}

/* TLFS 12.6.3: the high half of the product, and the offset. */
static bool tsc_page_time(uint64_t *ret)
{
	uint32_t sequence;

	do {
		sequence = tsc_page->sequence;
		if (sequence == 0)
			return false;
		*ret = (uint64_t)((unsigned __int128)rdtsc() * tsc_page->scale >> 64) +
		       (uint64_t)tsc_page->offset;
	} while (tsc_page->sequence != sequence);
	return true;
}

static void counter(void)
{
	enum { READS = 500 };
	uint64_t last = hyperv_time(), hz;
	struct sample from, to;

	rule_begin("hv.counter");
	for (unsigned i = 0; i < READS; i++) {
		uint64_t now = hyperv_time();

		if (now < last)
			rule_bad("%lu after %lu", now, last);
		last = now;
	}
	(void)rule_end();

	/* Against the TSC, whose rate the PM timer gave. */
	rule_begin("hv.counter-rate");
	from = clock_sample(hyperv_time);
	clock_spin_us(100000);
	to = clock_sample(hyperv_time);
	hz = (to.value - from.value) * tsc_hz / (to.tsc - from.tsc);
	if (hz < 9900000 || hz > 10100000)
		rule_bad("%lu Hz, 10000000 are right", hz);
	(void)rule_end();
}

static void take_counter(unsigned cpu, void *ctx)
{
	(void)ctx;
	per_cpu[cpu] = hyperv_time();
}

static void counter_equal(void)
{
	rule_begin("hv.counter-equal");
	for (unsigned cpu = 1; cpu < cpu_count; cpu++) {
		uint64_t before = hyperv_time(), after;

		mp_on(cpu, take_counter, NULL);
		after = hyperv_time();
		if (per_cpu[cpu] < before || per_cpu[cpu] > after)
			rule_bad("processor %u reads %lu, between %lu and %lu is right", cpu,
				 per_cpu[cpu], before, after);
	}
	(void)rule_end();
}

static void page_clock(void)
{
	enum { READS = 200, SLACK = 100 /* 10 us: two ways to round the same clock */ };
	uint64_t v = 0;

	rule_begin("hv.tsc-page");
	tsc_page = fw_pages(1);
	if (try_wrmsr(HV + 0x21, (uint64_t)tsc_page | 1) != 0 || try_rdmsr(HV + 0x21, &v) != 0 ||
	    v != ((uint64_t)tsc_page | 1))
		rule_bad("REFERENCE_TSC reads %lx", v);
	if (!tsc_page_time(&v))
		rule_bad("its sequence is 0: not valid");
	for (unsigned i = 0; i < READS; i++) {
		uint64_t before = 0, msr, after = 0;

		if (!tsc_page_time(&before))
			break;
		msr = hyperv_time();
		(void)tsc_page_time(&after);
		if (after < before || msr + SLACK < before || msr > after + SLACK)
			rule_bad("page %lu, counter %lu, page %lu", before, msr, after);
	}
	(void)try_wrmsr(HV + 0x21, 0);
	(void)rule_end();
}

enum { LVT_TIMER = 0x320, INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0, BY_1 = 0xb };

static uint64_t read_apic_timer(void)
{
	return apic_read(CURRENT);
}

/* The local APIC's timer, masked. It counts down. */
static uint64_t apic_timer_hz(void)
{
	uint32_t lvt, initial, divide;
	struct sample from, to;
	bool on = irq_off();

	lvt = apic_read(LVT_TIMER);
	initial = apic_read(INITIAL);
	divide = apic_read(DIVIDE);
	apic_write(LVT_TIMER, 0x10000 | IRQ_VECTOR);
	apic_write(DIVIDE, BY_1);
	apic_write(INITIAL, ~0u);
	from = clock_sample(read_apic_timer);
	clock_spin_us(50000);
	to = clock_sample(read_apic_timer);
	apic_write(DIVIDE, divide);
	apic_write(LVT_TIMER, lvt);
	apic_write(INITIAL, initial);
	irq_restore(on);
	return (from.value - to.value) * tsc_hz / (to.tsc - from.tsc);
}

static void frequencies(void)
{
	uint64_t tsc = rdmsr(HV + 0x22), apic = rdmsr(HV + 0x23), measured;

	if (!bit(access.eax, 11)) {
		rule_skip("hv.frequencies", "not advertised");
		return;
	}
	rule_begin("hv.frequencies");
	if (tsc < tsc_hz - tsc_hz / 100 || tsc > tsc_hz + tsc_hz / 100)
		rule_bad("TSC %lu Hz, measured %lu", tsc, tsc_hz);
	measured = apic_timer_hz();
	if (apic < measured - measured / 50 || apic > measured + measured / 50)
		rule_bad("APIC timer %lu Hz, measured %lu", apic, measured);
	(void)rule_end();
}

void test_hyperv(void)
{
	if (!has_hyperv()) {
		rule_skip("hv", "no Hyper-V leaves");
		return;
	}
	access = cpuid(HV + 3, 0);
	advice = cpuid(HV + 4, 0);
	leaves();
	msrs();
	vp_index();
	runtime();
	crash();
	hypercalls();
	if (bit(access.eax, 1)) {
		counter();
		counter_equal();
	} else {
		rule_skip("hv.counter", "not advertised");
	}
	if (bit(access.eax, 9))
		page_clock();
	else
		rule_skip("hv.tsc-page", "not advertised");
	frequencies();
	test_synic(access.eax, access.edx);
}
