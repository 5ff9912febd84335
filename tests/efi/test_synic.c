/* SPDX-License-Identifier: Apache-2.0 */
/* test_synic.c - SynIC, synthetic timers and the APIC registers (TLFS 10, 11, 12). */
#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "cpuid.h"
#include "fw.h"
#include "hyperv.h"
#include "lib.h"
#include "report.h"
#include "tests.h"
#include "trap.h"

enum { HV = 0x40000000 };

enum {
	GUEST_OS_ID = HV + 0x00,
	HYPERCALL = HV + 0x01,
	REFERENCE_TSC = HV + 0x21,
	APIC_EOI = HV + 0x70,
	APIC_ICR = HV + 0x71,
	APIC_TPR = HV + 0x72,
	VP_ASSIST = HV + 0x73,
	SCONTROL = HV + 0x80,
	SVERSION = HV + 0x81,
	SIEFP = HV + 0x82,
	SIMP = HV + 0x83,
	EOM = HV + 0x84,
	SINT0 = HV + 0x90,
	STIMER0_CONFIG = HV + 0xb0,
	STIMER0_COUNT = HV + 0xb1,
};

enum {
	SINT_MASKED = 1 << 16,
	STIMER_ENABLE = 1 << 0,
	STIMER_PERIODIC = 1 << 1,
	STIMER_AUTO = 1 << 3,
	STIMER_DIRECT = 1 << 12,
	OUR_SINT = 3,
	MESSAGE_TIMER_EXPIRED = (int)0x80000010,
};

/* A slot of the message page. */
struct message {
	volatile uint32_t type;
	uint8_t size, flags, reserved[2];
	uint64_t sender;
	struct {
		uint32_t timer, reserved;
		uint64_t expires, delivered;
	} payload;
	uint8_t rest[256 - 16 - 24];
};

_Static_assert(sizeof(struct message) == 256, "TLFS 11.8.3");

static struct message *messages;
static void *events;

static void set_pages(void)
{
	if (messages == NULL) {
		messages = fw_pages(1);
		events = fw_pages(1);
	}
}

static unsigned want;

static bool came(void)
{
	return irq_seen[0].count >= want;
}

static bool wait_for(unsigned count)
{
	want = count;
	return clock_wait(came);
}

/* --- registers --------------------------------------------------------------- */

static void registers(void)
{
	uint64_t v = 0;

	rule_begin("hv.synic");
	if (rdmsr(SVERSION) != 1)
		rule_bad("version %lx, not 1", rdmsr(SVERSION));
	for (unsigned i = 0; i < 16; i++)
		if (!bit(rdmsr(SINT0 + i), 16))
			rule_bad("SINT%u is %lx: not masked at the start", i, rdmsr(SINT0 + i));
	if (try_wrmsr(SIMP, (uint64_t)messages | 1) != 0 || rdmsr(SIMP) != ((uint64_t)messages | 1))
		rule_bad("SIMP reads %lx", rdmsr(SIMP));
	if (try_wrmsr(SIEFP, (uint64_t)events | 1) != 0 || rdmsr(SIEFP) != ((uint64_t)events | 1))
		rule_bad("SIEFP reads %lx", rdmsr(SIEFP));
	if (try_wrmsr(SCONTROL, 1) != 0 || !bit(rdmsr(SCONTROL), 0))
		rule_bad("SCONTROL reads %lx", rdmsr(SCONTROL));
	if (try_wrmsr(SINT0 + OUR_SINT, IRQ_VECTOR) != 0 || try_rdmsr(SINT0 + OUR_SINT, &v) != 0 ||
	    (v & 0xff) != IRQ_VECTOR)
		rule_bad("SINT%u reads %lx", OUR_SINT, v);
	(void)rule_end();
}

/* --- timers ------------------------------------------------------------------- */

static void timers_off(void)
{
	for (unsigned i = 0; i < 4; i++)
		(void)try_wrmsr(STIMER0_CONFIG + 2 * i, 0);
}

/* The hook notes what the counter says when the interrupt is taken. */
static volatile uint64_t taken_at;

static void note_time(void)
{
	taken_at = hyperv_time();
}

static void direct(void)
{
	enum { TIMERS = 4, PERIODS = 10, MS = 10000 };
	uint64_t due, from;

	rule_begin("hv.stimer-direct");
	irq_hook[0] = note_time;
	for (unsigned t = 0; t < TIMERS; t++) {
		irq_seen[0].count = 0;
		if (try_wrmsr(STIMER0_CONFIG + 2 * t,
			      STIMER_DIRECT | STIMER_AUTO | IRQ_VECTOR << 4) != 0)
			rule_bad("timer %u has no direct mode", t);
		due = hyperv_time() + 2 * MS;
		(void)try_wrmsr(STIMER0_COUNT + 2 * t, due);
		if (!wait_for(1))
			rule_bad("timer %u does not come", t);
		else if (taken_at < due)
			rule_bad("timer %u comes at %lu, due at %lu", t, taken_at, due);
		if (bit(rdmsr(STIMER0_CONFIG + 2 * t), 0))
			rule_bad("timer %u is still on after its one shot", t);
	}
	(void)rule_end();

	rule_begin("hv.stimer-periodic");
	irq_seen[0].count = 0;
	(void)try_wrmsr(STIMER0_CONFIG,
			STIMER_DIRECT | STIMER_PERIODIC | STIMER_AUTO | IRQ_VECTOR << 4);
	from = hyperv_time();
	(void)try_wrmsr(STIMER0_COUNT, 2 * MS);
	if (!wait_for(PERIODS))
		rule_bad("%u interrupts in half a minute, a period is 2 ms", irq_seen[0].count);
	else if (taken_at - from < PERIODS * 2 * MS)
		rule_bad("%u periods of 2 ms in %lu units of 100 ns", PERIODS, taken_at - from);
	timers_off();
	irq_hook[0] = NULL;
	clock_spin_us(3000);
	irq_seen[0].count = 0;
	clock_spin_us(10000);
	if (irq_seen[0].count != 0)
		rule_bad("it comes after it was switched off");
	(void)rule_end();
}

/* More than one message for the slot: this one has not been taken yet. */
static bool is_flagged(void)
{
	return (((volatile struct message *)messages)[OUR_SINT].flags & 1) != 0;
}

static void by_message(void)
{
	enum { MS = 10000 };
	struct message *m = &messages[OUR_SINT];
	uint64_t due;

	rule_begin("hv.stimer-message");
	irq_seen[0].count = 0;
	(void)try_wrmsr(STIMER0_CONFIG + 2, STIMER_AUTO | OUR_SINT << 16);
	due = hyperv_time() + 2 * MS;
	(void)try_wrmsr(STIMER0_COUNT + 2, due);
	if (!wait_for(1))
		rule_bad("no interrupt");
	if (m->type != (uint32_t)MESSAGE_TIMER_EXPIRED)
		rule_bad("the message has type %x", m->type);
	if (m->payload.timer != 1 || m->payload.expires != due || m->payload.delivered < due)
		rule_bad("timer %u, due %lu, delivered %lu; 1, %lu and later is right",
			 m->payload.timer, m->payload.expires, m->payload.delivered, due);
	(void)rule_end();

	/* The slot is taken: the next message waits for the end-of-message register. */
	rule_begin("hv.stimer-message-pending");
	irq_seen[0].count = 0;
	due = hyperv_time() + MS;
	(void)try_wrmsr(STIMER0_COUNT + 2, due);
	if (!clock_wait(is_flagged))
		rule_bad("the waiting message is not flagged: %x", m->flags);
	clock_spin_us(10000);
	if (irq_seen[0].count != 0)
		rule_bad("an interrupt for a slot that is taken");
	m->type = 0;
	(void)try_wrmsr(EOM, 0);
	if (!wait_for(1) || m->type != (uint32_t)MESSAGE_TIMER_EXPIRED)
		rule_bad("it does not come after EOM: %u interrupts, type %x", irq_seen[0].count,
			 m->type);
	m->type = 0;
	(void)try_wrmsr(EOM, 0);
	timers_off();
	(void)rule_end();
}

/* --- each processor has its own ------------------------------------------------- */

static struct message *page_of[MAX_CPUS];
static uint32_t got_type[MAX_CPUS];
static volatile struct message *awaited;

static bool message_came(void)
{
	return awaited->type != 0;
}

/* The message is written whether interrupts are taken or not; on the others they are off. */
static void own_timer(unsigned cpu, void *ctx)
{
	enum { MS = 10000 };

	(void)ctx;
	awaited = &page_of[cpu][OUR_SINT];
	(void)try_wrmsr(SCONTROL, 1);
	(void)try_wrmsr(SIMP, (uint64_t)page_of[cpu] | 1);
	(void)try_wrmsr(SINT0 + OUR_SINT, IRQ_VECTOR);
	(void)try_wrmsr(STIMER0_CONFIG, STIMER_AUTO | OUR_SINT << 16);
	(void)try_wrmsr(STIMER0_COUNT, hyperv_time() + 2 * MS);
	(void)clock_wait(message_came);
	got_type[cpu] = awaited->type;
	timers_off();
	(void)try_wrmsr(SINT0 + OUR_SINT, SINT_MASKED);
	(void)try_wrmsr(SIMP, 0);
}

static void on_each(void)
{
	rule_begin("hv.stimer-on-each");
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		page_of[cpu] = fw_pages(1);
		mp_on(cpu, own_timer, NULL);
		if (got_type[cpu] != (uint32_t)MESSAGE_TIMER_EXPIRED)
			rule_bad("processor %u got a message of type %x", cpu, got_type[cpu]);
		for (unsigned other = 0; other < cpu; other++)
			if (page_of[other][OUR_SINT].type != 0)
				rule_bad("processor %u got one for %u", other, cpu);
		page_of[cpu][OUR_SINT].type = 0;
	}
	(void)rule_end();
}

/* --- APIC registers -------------------------------------------------------------- */

static void hv_eoi(void)
{
	(void)try_wrmsr(APIC_EOI, 0);
}

static void apic(void)
{
	enum { TPR = 0x80, ICR_SELF_NMI_NOT = 0x40000 };
	uint64_t v = 0;
	void *assist = fw_pages(1);
	bool on;

	rule_begin("hv.apic-msrs");
	on = irq_off();
	if (try_wrmsr(APIC_TPR, 0x20) != 0 || rdmsr(APIC_TPR) != 0x20 || apic_read(TPR) != 0x20)
		rule_bad("TPR reads %lx, in the APIC %x", rdmsr(APIC_TPR), apic_read(TPR));
	(void)try_wrmsr(APIC_TPR, 0);
	irq_restore(on);
	/* Three, each ended by the register: the next would not come otherwise. */
	irq_seen[0].count = 0;
	irq_eoi = hv_eoi;
	for (unsigned i = 1; i <= 3; i++) {
		if (try_wrmsr(APIC_ICR, ICR_SELF_NMI_NOT | IRQ_VECTOR) != 0)
			rule_bad("ICR faults");
		if (!wait_for(i))
			rule_bad("interrupt %u to ourselves does not come", i);
	}
	irq_eoi = apic_eoi;
	(void)rule_end();

	rule_begin("hv.assist-page");
	if (try_wrmsr(VP_ASSIST, (uint64_t)assist | 1) != 0 || try_rdmsr(VP_ASSIST, &v) != 0 ||
	    v != ((uint64_t)assist | 1))
		rule_bad("VP_ASSIST_PAGE reads %lx", v);
	/* With it, an end of interrupt may be left to the hypervisor; the next comes all the same. */
	irq_seen[0].count = 0;
	for (unsigned i = 1; i <= 3; i++) {
		apic_write(0x300, ICR_SELF_NMI_NOT | IRQ_VECTOR);
		if (!wait_for(i))
			rule_bad("interrupt %u to ourselves does not come", i);
	}
	if (try_wrmsr(VP_ASSIST, 0) != 0)
		rule_bad("it cannot be switched off");
	(void)rule_end();
}

void test_synic(uint32_t access, uint32_t features)
{
	if (bit(access, 4))
		apic();
	else
		rule_skip("hv.apic-msrs", "not advertised");
	if (!bit(access, 2)) {
		rule_skip("hv.synic", "not advertised");
		return;
	}
	set_pages();
	registers();
	if (bit(access, 3)) {
		by_message();
		if (bit(features, 19))
			direct();
		else
			rule_skip("hv.stimer-direct", "not advertised");
	} else {
		rule_skip("hv.stimer-message", "not advertised");
	}
	if (bit(access, 3))
		on_each();
	(void)try_wrmsr(SINT0 + OUR_SINT, SINT_MASKED);
	(void)try_wrmsr(SIMP, 0);
	(void)try_wrmsr(SIEFP, 0);
}

/* --- reset ------------------------------------------------------------------------- */

void hyperv_leave_on(void)
{
	void *page = fw_pages(1);

	if (!has_hyperv())
		return;
	set_pages();
	(void)hyperv_hypercalls_on();
	(void)try_wrmsr(REFERENCE_TSC, (uint64_t)page | 1);
	(void)try_wrmsr(VP_ASSIST, (uint64_t)page | 1);
	(void)try_wrmsr(SIMP, (uint64_t)messages | 1);
	(void)try_wrmsr(SIEFP, (uint64_t)events | 1);
	(void)try_wrmsr(SCONTROL, 1);
	(void)try_wrmsr(SINT0 + OUR_SINT, IRQ_VECTOR);
	/* A period of ten minutes: on, and it does not come. */
	(void)try_wrmsr(STIMER0_COUNT, 6000000000);
	(void)try_wrmsr(STIMER0_CONFIG, STIMER_ENABLE | STIMER_PERIODIC | OUR_SINT << 16);
}

void hyperv_after_reset(void)
{
	static const struct {
		uint32_t msr;
		uint64_t mask;
		const char *name;
	} off[] = {
		{ GUEST_OS_ID, ~0ull, "GUEST_OS_ID" },
		{ HYPERCALL, 1, "HYPERCALL" },
		{ REFERENCE_TSC, 1, "REFERENCE_TSC" },
		{ VP_ASSIST, 1, "VP_ASSIST_PAGE" },
		{ SIMP, 1, "SIMP" },
		{ SIEFP, 1, "SIEFP" },
		{ STIMER0_CONFIG, ~0ull, "STIMER0_CONFIG" },
		{ STIMER0_COUNT, ~0ull, "STIMER0_COUNT" },
	};

	if (!has_hyperv() || state.hyperv == 0) {
		rule_skip("reset.hyperv", "no Hyper-V leaves, or nothing was on");
		return;
	}
	rule_begin("reset.hyperv");
	for (unsigned i = 0; i < ARRAY_LEN(off); i++) {
		uint64_t v = 0;

		if (try_rdmsr(off[i].msr, &v) == 0 && (v & off[i].mask) != 0)
			rule_bad("%s is %lx after the reset", off[i].name, v);
	}
	/* SCONTROL stays 1, as on Hyper-V and as KVM creates it. */
	if (!bit(rdmsr(SINT0 + OUR_SINT), 16))
		rule_bad("SINT%u is %lx after the reset", OUR_SINT, rdmsr(SINT0 + OUR_SINT));
	(void)rule_end();
}
